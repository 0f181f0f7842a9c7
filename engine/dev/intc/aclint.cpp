// MSIP, MTIMECMP and MTIME. See aclint.h. Everything is kept as aligned doublewords; narrower accesses are cut out of
// them, so each size has its natural meaning.
#include "engine/dev/intc/aclint.h"

#include <algorithm>

#include "engine/lang/check.h"

namespace viv {

namespace {

constexpr u64 mtimecmp_base = 0x4000, mtime_offset_in_map = 0xbff8;

}  // namespace

void Aclint::Context::state(Archive& a) {
    a(1, "msip", msip);
    a(2, "mtimecmp", mtimecmp);
}

Aclint::Aclint(Wiring wiring) : wire_(std::move(wiring)) {
    CHECK(!wire_.harts.empty() && wire_.harts.size() <= maximum_harts);
    for (usize hart = 0; hart < wire_.harts.size(); hart++)
        harts_.push_back(std::make_unique<Context>(wire_.timers, [this, hart] { sync(hart); }));
}

void Aclint::reset() {
    s_.mtime_offset = u64{0} - ticks();
    for (auto& hart : harts_) {
        hart->msip = false;
        hart->mtimecmp = ~u64{0};
    }
    sync_all();
    if (wire_.mtime_changed) wire_.mtime_changed();
}

void Aclint::state(Archive& a) {
    a(1, "mtime_offset", s_.mtime_offset);
    for (usize hart = 0; hart < harts_.size(); hart++) a(static_cast<u16>(16 + hart), "hart", *harts_[hart]);
}

void Aclint::restored() {
    sync_all();
    if (wire_.mtime_changed) wire_.mtime_changed();
}

u64 Aclint::read_doubleword(u64 offset) {
    if (offset == mtime_offset_in_map) return mtime();
    if (offset >= mtimecmp_base) {
        const u64 hart = (offset - mtimecmp_base) / 8;
        return hart < harts_.size() ? harts_[hart]->mtimecmp : 0;
    }
    u64 value = 0;
    for (u64 half = 0; half < 2; half++)
        if (const u64 hart = offset / 4 + half; hart < harts_.size()) value |= u64{harts_[hart]->msip} << (32 * half);
    return value;
}

void Aclint::write_doubleword(u64 offset, u64 mask, u64 value) {
    if (offset == mtime_offset_in_map) {
        s_.mtime_offset = ((mtime() & ~mask) | (value & mask)) - ticks();
        sync_all();
        if (wire_.mtime_changed) wire_.mtime_changed();
    } else if (offset >= mtimecmp_base) {
        const u64 hart = (offset - mtimecmp_base) / 8;
        if (hart >= harts_.size()) return wire_.log.guest("write at {:#x}, where there is no register", offset);
        u64& mtimecmp = harts_[hart]->mtimecmp;
        mtimecmp = (mtimecmp & ~mask) | (value & mask);
        sync(hart);
    } else {
        for (u64 half = 0; half < 2; half++) {
            const u64 hart = offset / 4 + half;
            if (hart >= harts_.size() || !bit(mask, static_cast<unsigned>(32 * half))) continue;
            harts_[hart]->msip = bit(value, static_cast<unsigned>(32 * half));
            sync(hart);
        }
    }
}

u64 Aclint::read(u64 offset, unsigned size) {
    const unsigned shift = static_cast<unsigned>(offset % 8) * 8;
    return read_doubleword(align_down(offset, 8)) >> shift & low_mask(size * 8);
}

void Aclint::write(u64 offset, unsigned size, u64 value) {
    const unsigned shift = static_cast<unsigned>(offset % 8) * 8;
    write_doubleword(align_down(offset, 8), low_mask(size * 8) << shift, value << shift);
}

u64 Aclint::deadline_ns(u64 compare) {
    const u64 now = ticks();
    const u64 count = now + s_.mtime_offset;
    if (count >= compare) return now * tick_ns;
    const u64 left = compare - count;
    return left > (Timers::never - 1) / tick_ns - now ? Timers::never : (now + left) * tick_ns;
}

void Aclint::sync(usize hart) {
    Context& context = *harts_[hart];
    const u64 now = ticks();
    const u64 count = now + s_.mtime_offset;
    const bool pending = count >= context.mtimecmp;
    // The comparison changes when the count reaches mtimecmp or, once it has, when the count wraps to 0 (a guest may
    // set mtime that high).
    const u64 left = pending ? u64{0} - count : context.mtimecmp - count;
    const bool reachable = left != 0 && context.mtimecmp != 0 && left <= (Timers::never - 1) / tick_ns - now;
    context.timer.arm(reachable ? (now + left) * tick_ns : Timers::never);
    wire_.harts[hart].msip.set(context.msip);
    wire_.harts[hart].mtip.set(pending);
}

void Aclint::sync_all() {
    for (usize hart = 0; hart < harts_.size(); hart++) sync(hart);
}

}  // namespace viv
