// What will probably be read next of something that is far away, by its pieces: several readers that go forward are
// told apart, and the further one has gone, the more is fetched for it.
// Promises: nothing is proposed twice to one reader, and never more than `furthest` pieces ahead of it.
#pragma once

#include <algorithm>
#include <array>

#include "engine/lang/bits.h"

namespace viv::block {

class ReadAhead {
public:
    static constexpr u64 furthest = 32;
    struct Pieces {
        u64 first = 0, end = 0;  // none: equal
    };
    // Pieces from `first` up to `end` (more than first) are read now, perhaps again. What to fetch beside these.
    Pieces note(u64 first, u64 end) {
        const auto found = std::find_if(readers_.begin(), readers_.end(), [&](const Reader& reader) {
            return first >= reader.last_first && first <= reader.next && reader.next != 0;
        });
        if (found == readers_.end()) {
            readers_[turn_] = {first, end, end, 0};
            turn_ = (turn_ + 1) % readers_.size();
            return {};
        }
        Reader& reader = *found;
        if (end > reader.next) {
            reader.window = std::min(std::max<u64>(reader.window * 2, 2), furthest);
            reader.last_first = first;
            reader.next = end;
        }
        const Pieces ahead{std::max(reader.proposed, reader.next), reader.next + reader.window};
        if (ahead.first >= ahead.end) return {};
        reader.proposed = ahead.end;
        return ahead;
    }

private:
    struct Reader {
        u64 last_first = 0, next = 0;  // the last read; next 0: there is none yet
        u64 proposed = 0;              // up to here
        u64 window = 0;
    };
    std::array<Reader, 4> readers_{};
    usize turn_ = 0;
};

}  // namespace viv::block
