// See publishing.h.
#include "engine/control/publishing.h"

#include <algorithm>

#include "engine/control/saved_table.h"

namespace viv {

namespace {

// Fewer compress badly, and are a request each; of more, most would be fetched for nothing.
constexpr u32 fetched_pages_in_chunk = 4;

}  // namespace

Result<void> write_for_fetching(state::FileReader& from, state::FileWriter& to,
                                const std::function<bool(u64 done, u64 all)>& progress) {
    TRY_SET(SavedTable table, SavedTable::of(from));
    TRY(SavedPages::open(from, table));
    table.pages_in_chunk = std::min(table.pages_in_chunk, fetched_pages_in_chunk);
    const usize size = table.pages_in_chunk * page_size;
    state::ChunkPacker packer;
    std::vector<u32> chunks;
    for (usize i = 0; i < table.chunks.size(); i++) {
        if (!progress(i, table.chunks.size())) return Error{"interrupted; nothing that is there already has changed"};
        TRY_SET(auto plain, from.read(table.chunks[i]));
        for (; !plain.empty(); plain = plain.subspan(std::min(size, plain.size()))) {
            const auto piece = plain.first(std::min(size, plain.size()));
            TRY_SET(const u32 number, to.add(packer.pack(piece, state::ChunkPacker::Effort::much)));
            chunks.push_back(number);
        }
    }
    table.chunks = std::move(chunks);
    std::vector<u8> bytes;
    Archive archive = Archive::saver(bytes);
    table.state(archive);
    return to.finish(bytes);
}

}  // namespace viv
