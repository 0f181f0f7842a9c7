// Guest memory on its way into a saved file: pages by content, equal ones once, zero ones not at all. Promises: what
// the last step leaves is memory as it is then, however it was written between those before; a step costs time in
// proportion to the pages that it takes. Called while no CPU runs.
#pragma once

#include <memory_resource>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/control/chunk_pipeline.h"
#include "engine/isa/cpu.h"
#include "engine/lang/hash.h"
#include "engine/mem/guest_memory.h"

namespace viv {

// Where the pages of something are, a region of memory or a file; the last one may be a part of a page. Stored pages
// are numbered in the order of the chunks that hold them; what is in no run is zero.
struct SavedBytes {
    u64 size = 0;
    // Three numbers a run: its first page, how many, and the number of the first one among the stored pages. Ascending.
    std::vector<u32> runs;
    // The same for pages that are stored as what they differ by (exclusive or) from the page of that number.
    std::vector<u32> bases;

    static constexpr usize numbers_in_run = 3;
    u64 pages() const { return size / page_size + (size % page_size != 0); }
    void state(Archive& a);
};

// More of them are compressed faster; but whoever opens a machine reads a chunk for each page that it touches.
constexpr u32 saved_pages_in_chunk = 32;
constexpr usize saved_chunk_size = saved_pages_in_chunk * page_size;

class MemorySaver {
public:
    // All of them outlive this; the pipeline may be made later.
    MemorySaver(GuestMemory& memory, std::span<Cpu* const> cpus, ChunkPipeline& pipeline);
    ~MemorySaver();
    MemorySaver(const MemorySaver&) = delete;
    MemorySaver& operator=(const MemorySaver&) = delete;

    // Takes changed pages, at most so many. False: these were all.
    bool step(u64 most);
    u64 taken() const { return taken_; }  // pages so far, repetitions included
    // Something else than memory.
    SavedBytes add(std::span<const u8> bytes);
    // The same by pages, ascending.
    void add_page(SavedBytes& saved, u64 page, const u8* bytes);
    // A file that the machine was started with, after most of memory: much of it lies there in one piece, some pages a
    // little altered. In steps of at most so many pages; true: there is more to do.
    struct Loaded {
        std::span<const u8> file;  // outlives the last step
        SavedBytes saved;          // the result

        std::vector<Hash128> hashes;                  // of its pages so far
        const GuestMemory::Region* region = nullptr;  // null: it is nowhere
        i64 distance = 0;                             // pages, from the file's to the region's
        u64 next = 0;                                 // page
    };
    bool step_loaded(Loaded& loaded, u64 most);
    // After the last of all.
    void finish();

    std::vector<SavedBytes> regions() const;

private:
    static constexpr u32 zero_page = ~u32{0};
    struct HashOfHash {
        usize operator()(const Hash128& hash) const { return static_cast<usize>(hash.low); }
    };
    u32 store(const u8* page);  // zero_page, or its number
    u32 store(const u8* page, const Hash128& hash);
    void find(Loaded& loaded) const;
    const u8* as_loaded(const Loaded& loaded, u64 page) const;
    void flush();

    GuestMemory& memory_;
    std::span<Cpu* const> cpus_;
    ChunkPipeline& pipeline_;
    std::vector<std::vector<u32>> stored_;              // by region and page: the number, or zero_page
    std::pmr::monotonic_buffer_resource known_memory_;  // entries come by the thousand, and go together
    std::pmr::unordered_map<Hash128, u32, HashOfHash> known_{&known_memory_};
    std::vector<u8> pages_;  // for the next chunks
    u32 next_stored_ = 0;
    u64 taken_ = 0;
    usize region_ = 0;  // where the next step begins
    u64 page_ = 0;
};

}  // namespace viv
