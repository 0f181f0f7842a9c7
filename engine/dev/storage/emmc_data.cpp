// The card's data: blocks of a partition, frames of the RPMB partition, EXT_CSD. See emmc_card.h.
#include <algorithm>

#include "engine/dev/storage/emmc_card.h"

namespace viv::emmc {

Answer Card::begin_data(Flow flow, Source source, u32 count, u32 argument) {
    const u64 address = source == Source::area ? address_of(argument) : 0;
    if (source == Source::area && address % block_size != 0) {
        s_.status |= address_misalign;
    } else if (source == Source::area && address >= volume_->size_of(area())) {
        s_.status |= address_out_of_range;
    } else if (source == Source::area && flow == Flow::to_card && write_protected()) {
        s_.status |= wp_violation;
    } else {
        const Answer answered = answer(State::transfer);
        s_.flow = flow;
        s_.source = source;
        s_.counted = count != 0;
        s_.blocks_left = count;
        s_.position = address;
        s_.frames.clear();
        s_.state = flow == Flow::to_host ? State::sending : State::receiving;
        return answered;
    }
    return answer(State::transfer);
}

Answer Card::stop() {
    const State before = s_.state;
    if (before != State::sending && before != State::receiving) return illegal(12);
    drop();
    return answer(before);
}

void Card::drop() {
    if (s_.flow == Flow::none) return;
    volume_->cancel();
    work_ = false;
    end_data();
}

void Card::end_data() {
    s_.flow = Flow::none;
    s_.frames.clear();
    s_.state = State::transfer;
}

u64 Card::blocks_ahead() const {
    u64 ahead = s_.counted ? s_.blocks_left : ~u64{0};
    if (s_.source == Source::area) {
        const u64 size = volume_->size_of(area());
        ahead = std::min(ahead, s_.position < size ? (size - s_.position) / block_size : 0);
    }
    return std::max<u64>(ahead, 1);
}

void Card::moved(bool ok, u64 bytes) {
    failed_ = !ok;
    if (ok) {
        s_.position += bytes;
        s_.blocks_left -= s_.counted ? static_cast<u32>(bytes / block_size) : 0;
        if (s_.counted && s_.blocks_left == 0) end_data();
    } else if (s_.source == Source::area && !range_fits(s_.position, bytes, volume_->size_of(area()))) {
        s_.status |= address_out_of_range;
    } else {
        s_.status |= general_error;
    }
    settle();
}

bool Card::expects(Flow flow, u64 bytes) const {
    return s_.flow == flow && bytes <= blocks_ahead() * block_size && !(s_.counted && s_.blocks_left == 0);
}

void Card::fetch(std::span<u8> out) {
    work_ = true;
    if (!expects(Flow::to_host, out.size())) return moved(false, out.size());
    if (s_.source == Source::area)
        return volume_->read(area(), s_.position, out, [this, out](bool ok) { moved(ok, out.size()); });
    if (s_.source == Source::ext_csd) {
        const auto all = ext_csd(s_.modes, volume_->geometry());
        std::copy_n(all.begin(), std::min(out.size(), all.size()), out.begin());
        return moved(true, out.size());
    }
    const auto give = [this, out](bool ok) {
        ok = ok && range_fits(s_.position, out.size(), s_.frames.size());
        if (ok) std::copy_n(s_.frames.begin() + static_cast<std::ptrdiff_t>(s_.position), out.size(), out.begin());
        moved(ok, out.size());
    };
    if (s_.position != 0) return give(true);
    if (s_.blocks_left > Rpmb::most_response_frames) return moved(false, out.size());
    rpmb_.respond(s_.blocks_left, s_.frames, give);
}

void Card::store(std::span<u8> in) {
    work_ = true;
    if (!expects(Flow::to_card, in.size())) return moved(false, in.size());
    const auto done = [this, bytes = in.size()](bool ok) { moved(ok, bytes); };
    if (s_.source == Source::area) {
        const bool cached = s_.modes[x_cache_ctrl] != 0 && !s_.reliable;
        return volume_->write(area(), s_.position, in, cached ? Volume::Durable::no : Volume::Durable::yes, done);
    }
    // One frame more than any request has shows that there are too many.
    constexpr u64 most = (Rpmb::most_request_frames + 1) * frame_size;
    if (s_.position < most) {
        s_.frames.resize(s_.position);
        s_.frames.insert(s_.frames.end(), in.begin(),
                         in.begin() + static_cast<std::ptrdiff_t>(std::min<u64>(in.size(), most - s_.position)));
    }
    if (in.size() / block_size < s_.blocks_left) return done(true);
    rpmb_.request(s_.frames, s_.reliable, done);
}

}  // namespace viv::emmc
