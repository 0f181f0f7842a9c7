// The states that cases start from: numbers at the edges, floating-point specials, pointers into the window, small
// offsets; see generator.h.
#include <algorithm>
#include <cstring>

#include "tests/lockstep/qemu_user/generator.h"

namespace viv::lockstep {

namespace {

// Bit patterns of `width` bits that matter to floating point.
constexpr std::array<u64, 20> special_16{0x0000, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0x7d00, 0xfd01,
                                         0xffff, 0x0001, 0x83ff, 0x0400, 0x7bff, 0xfbff, 0x3c00,
                                         0xbc00, 0x3c01, 0x3800, 0x4248, 0x7800, 0x5bff};
constexpr std::array<u64, 20> special_32{0x0000'0000, 0x8000'0000, 0x7f80'0000, 0xff80'0000, 0x7fc0'0000,
                                         0x7fa0'0000, 0xff80'0001, 0xffff'ffff, 0x0000'0001, 0x807f'ffff,
                                         0x0080'0000, 0x7f7f'ffff, 0xff7f'ffff, 0x3f80'0000, 0xbf80'0000,
                                         0x3f80'0001, 0x3f00'0000, 0x4f00'0000, 0x5f7f'ffff, 0x3340'0000};
constexpr std::array<u64, 20> special_64{
    0x0000'0000'0000'0000, 0x8000'0000'0000'0000, 0x7ff0'0000'0000'0000, 0xfff0'0000'0000'0000, 0x7ff8'0000'0000'0000,
    0x7ff4'0000'0000'0000, 0xfff0'0000'0000'0001, 0xffff'ffff'ffff'ffff, 0x0000'0000'0000'0001, 0x800f'ffff'ffff'ffff,
    0x0010'0000'0000'0000, 0x7fef'ffff'ffff'ffff, 0xffef'ffff'ffff'ffff, 0x3ff0'0000'0000'0000, 0xbff0'0000'0000'0000,
    0x3ff0'0000'0000'0001, 0x3fe0'0000'0000'0000, 0x41e0'0000'0000'0000, 0x43e0'0000'0000'0000, 0x4340'0000'0000'0001};

// A number with an exponent near that of 1, so that sums cancel and products stay in range.
u64 near_one(u64 bits, unsigned width) {
    const unsigned fraction = width == 16 ? 10 : width == 32 ? 23 : 52;
    const u64 bias = low_mask(width - fraction - 2);
    const u64 exponent = bias - 4 + (bits & 7);
    const u64 body = bits >> 3 & low_mask(fraction) & (bits >> 62 == 0 ? ~low_mask(fraction / 2) : ~u64{0});
    return (bits >> 61 & 1) << (width - 1) | exponent << fraction | body;
}
u64 float_pattern(Random& random, unsigned width) {
    const u64 bits = random.next();
    switch (random.below(4)) {
        case 0:
            return width == 16   ? random.pick(special_16)
                   : width == 32 ? random.pick(special_32)
                                 : random.pick(special_64);
        case 1: return bits & low_mask(width);
        default: return near_one(bits, width);
    }
}

constexpr std::array<unsigned, 3> float_widths{16, 32, 64};

}  // namespace

u64 Generator::random_x() {
    const u64 bits = random_.next();
    switch (random_.below(8)) {
        case 0: return bits & 63;
        case 1: return ~u64{0} << (bits & 63);
        case 2: return (u64{1} << (bits & 63)) - (bits >> 8 & 1);
        case 3: return static_cast<u64>(static_cast<i64>(static_cast<i32>(bits)));
        case 4: return static_cast<u64>(static_cast<i64>(static_cast<i16>(bits)));
        case 5: return (bits & 1) != 0 ? ~u64{0} : u64{0x8000'0000} << (bits & 32);
        default: return bits;
    }
}

u64 Generator::random_f() {
    const unsigned width = random_.pick(float_widths);
    const u64 value = float_pattern(random_, width);
    const bool boxed = !random_.percent(5);
    return boxed ? value | ~low_mask(width) : value;
}

void Generator::fill_vector(test_case& test) {
    using Kind = Contents::Kind;
    const unsigned bytes = options_.vlen / 8;
    for (unsigned number = 0; number < 32; number++) {
        const auto [kind, width] = contents_[number / 4];
        u8* const reg = test.before.v + number * bytes;
        for (unsigned at = 0; at < bytes; at += 8) {
            u64 word = random_.next();
            if (kind == Kind::ones)
                word = ~u64{0};
            else if (kind == Kind::zero)
                word = 0;
            else if (kind == Kind::float_ || kind == Kind::small || kind == Kind::edges) {
                const unsigned element = kind == Kind::float_ ? 8u << std::max<unsigned>(width, 1) : 8u << width;
                u64 gathered = 0;
                for (unsigned low = 0; low < 64; low += element) {
                    u64 value = random_.next();
                    if (kind == Kind::float_)
                        value = float_pattern(random_, element);
                    else if (kind == Kind::small)
                        value &= random_.percent(50) ? 15 : 1023;
                    else
                        value = random_x() >> random_.below(2);
                    gathered |= (value & low_mask(element)) << low;
                }
                word = gathered;
            }
            std::memcpy(reg + at, &word, 8);
        }
    }
}

// What the registers are for, for all states of a block.
void Generator::choose_roles() {
    link_ = 1 + random_.below(31);
    pointers_.clear();
    smalls_.clear();
    counter_ = returns_ = vtype_register_ = 0;
    reserved_width_ = options_.xlen == 64 ? 2 + random_.below(2) : 2;
    const auto taken = [&](unsigned r) {
        return r == link_ || r == counter_ || r == returns_ ||
               std::find(pointers_.begin(), pointers_.end(), r) != pointers_.end();
    };
    // Compressed loads and stores know x8 to x15 and x2 only.
    for (const unsigned r : {2u, 8 + random_.below(8), 8 + random_.below(8), 16 + random_.below(16)})
        if (r != link_) pointers_.push_back(r);
    if (loops_) {
        unsigned r = link_;
        while (taken(r)) r = 3 + random_.below(29);
        counter_ = r;
        // The registers by which processors, and translators, tell calls.
        returns_ = random_.percent(50) ? 1 : 5;
        if (returns_ == link_ || returns_ == counter_) returns_ = 0;
    }
    while (smalls_.size() < 2) {
        const unsigned r = 1 + random_.below(31);
        if (!taken(r)) smalls_.push_back(r);
    }
    rounding_ = random_.percent(5) ? random_.below(8) : random_.percent(50) ? 0 : random_.below(5);
    if (options_.vlen == 0) return;
    for (Contents& contents : contents_)
        contents = {static_cast<Contents::Kind>(random_.below(8) % 6), static_cast<u8>(random_.below(4))};
    do vtype_register_ = 1 + random_.below(31);
    while (taken(vtype_register_));
    vtype_ = first_vtype_ = random_vtype();
}

void Generator::make_state(const Block& block, usize number, test_case& test) {
    const u64 x_mask = options_.xlen == 64 ? ~u64{0} : 0xffff'ffff;
    machine_state& s = test.before;
    test.link = link_;
    test.uses_f = 1;
    test.skip = 0;
    test.uses_v = options_.vlen != 0;
    for (unsigned i = 1; i < 32; i++) s.x[i] = random_x() & x_mask;
    s.x[0] = 0;
    for (usize i = 0; i < pointers_.size(); i++) {
        u64 offset = random_.below(WINDOW_BYTES);
        if (i == 0 || random_.percent(50)) offset &= ~u64{15};
        if (random_.percent(70)) offset = WINDOW_BYTES / 4 + offset / 2;
        if (random_.percent(5))
            offset = random_.percent(50) ? WINDOW_BYTES - random_.below(64) : 4096 - random_.below(64);
        s.x[pointers_[i]] = WINDOW_BASE + offset;
    }
    for (const unsigned r : smalls_) s.x[r] = (static_cast<u64>(random_.below(160)) - 48) & x_mask;
    if (counter_ != 0) s.x[counter_] = random_.percent(5) ? random_.below(40) : random_.below(8);
    if (returns_ != 0) {
        const std::vector<u32> places = block.places();
        s.x[returns_] = places[random_.below(places.size())];
    }
    for (u64& f : s.f) f = random_f();
    // Mostly the same: code that is translated for one rounding mode is not for another.
    const u64 rounding = random_.percent(80) ? rounding_ : random_.below(5);
    s.fcsr = rounding << 5 | (random_.percent(80) ? 0 : random_.below(32));
    place(test, block, number);
    if (options_.vlen == 0) return;
    fill_vector(test);
    s.vcsr = random_.below(8);
    s.x[vtype_register_] = random_vtype() & x_mask;
    s.vtype = (random_.percent(80) ? first_vtype_ : random_vtype()) & x_mask;
    // The requested length; the real one is the guest's min(vl, VLMAX).
    const u64 longest = u64{options_.vlen};
    s.vl = random_.percent(60) ? longest * 8 : random_.percent(10) ? 0 : random_.below(longest * 2);
    s.vstart = random_.percent(95) ? 0 : random_.below(random_.percent(50) ? 8 : options_.vlen);
}

}  // namespace viv::lockstep
