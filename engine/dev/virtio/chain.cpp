// Moving through chains. See chain.h.
#include "engine/dev/virtio/chain.h"

namespace viv::virtio {

u64 ChainCursor::skip(u64 count) {
    u64 done = 0;
    while (done < count && !pieces_.empty()) {
        const usize part = static_cast<usize>(std::min<u64>(pieces_.front().bytes.size() - used_, count - done));
        done += part;
        used_ += part;
        if (used_ == pieces_.front().bytes.size()) {
            pieces_ = pieces_.subspan(1);
            used_ = 0;
        }
    }
    remaining_ -= done;
    passed_ += done;
    return done;
}

usize ChainReader::read(std::span<u8> out) {
    usize done = 0;
    while (done < out.size() && remaining() != 0) {
        const auto from = front().first(std::min(front().size(), out.size() - done));
        std::memcpy(out.data() + done, from.data(), from.size());
        done += from.size();
        skip(from.size());
    }
    return done;
}

usize ChainWriter::write(std::span<const u8> in) {
    usize done = 0;
    while (done < in.size() && remaining() != 0) {
        const auto to = front().first(std::min(front().size(), in.size() - done));
        std::memcpy(to.data(), in.data() + done, to.size());
        done += to.size();
        skip(to.size());
    }
    return done;
}

}  // namespace viv::virtio
