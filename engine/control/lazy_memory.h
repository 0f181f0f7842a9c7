// Guest memory that is still in the file of a saved machine: pages come when they are touched first, with those that
// are stored beside them. Promises: every page is brought once, by one thread, and never over what has been written
// since; with the last one the file is not needed any more. A file that cannot be read any more is told once, as an
// error, and its pages are zero: the machine is to be ended.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/control/saved_table.h"
#include "engine/host/threads.h"
#include "engine/mem/guest_memory.h"

namespace viv {

class LazyMemory final : public PageSource {
public:
    // The table has been checked (SavedPages::check) and fits the memory, none of which runs. Marks what is stored as
    // absent and the rest as zero. `failed` comes from the thread that wanted the page.
    enum class Before : u8 { anything, zero_where_unchanged };  // what is in the memory
    LazyMemory(GuestMemory& memory, state::FileReader reader, SavedTable table, host::Threads* threads, Before before,
               std::function<void(const Error&)> failed);
    ~LazyMemory() override;

    void fetch(usize region, u64 page) override;
    // All of the next chunk that has pages still to come; false: there is none.
    bool fetch_more();
    // Whether it costs little to have everything brought.
    bool is_near() const { return reader_.is_near(); }

private:
    struct Place {
        u32 region, page;
    };
    void fetch_chunk(u32 place);
    u32 stored_of(usize region, u64 page) const;

    GuestMemory& memory_;
    state::FileReader reader_;
    SavedTable table_;
    std::unique_ptr<host::Mutex> mutex_;  // of reading and of bringing
    std::function<void(const Error&)> failed_;
    // For each stored page where it goes, in the order of the stored pages; equal pages go to several places.
    std::vector<u32> first_place_;
    std::vector<Place> places_;
    u32 next_chunk_ = 0;
    bool has_failed_ = false;
};

}  // namespace viv
