// See compare.h.
#include "tests/lockstep/qemu_user/compare.h"

#include <fmt/format.h>

#include <cstring>
#include <iterator>

#include "engine/lang/bits.h"

namespace viv::lockstep {

namespace {

// Calls differ(name, ours, theirs) for everything that differs.
template <class F>
void compare(const test_case& test, const test_result& ours, const test_result& theirs, unsigned xlen, unsigned vlen,
             F&& differ) {
    const u64 mask = xlen == 64 ? ~u64{0} : 0xffff'ffff;
    const machine_state &a = ours.after, &b = theirs.after;
    for (unsigned i = 1; i < 32; i++)
        if (i != test.link && ((a.x[i] ^ b.x[i]) & mask) != 0)
            differ(fmt::format("x{}", i), a.x[i] & mask, b.x[i] & mask);
    if (std::memcmp(a.f, b.f, sizeof a.f) != 0)
        for (unsigned i = 0; i < 32; i++)
            if (a.f[i] != b.f[i]) differ(fmt::format("f{}", i), a.f[i], b.f[i]);
    if (((a.fcsr ^ b.fcsr) & mask) != 0) differ("fcsr", a.fcsr, b.fcsr & mask);
    if (vlen != 0) {
        if (((a.vcsr ^ b.vcsr) & mask) != 0) differ("vcsr", a.vcsr, b.vcsr & mask);
        if (((a.vstart ^ b.vstart) & mask) != 0) differ("vstart", a.vstart, b.vstart & mask);
        if (((a.vl ^ b.vl) & mask) != 0) differ("vl", a.vl, b.vl & mask);
        if (((a.vtype ^ b.vtype) & mask) != 0) differ("vtype", a.vtype, b.vtype & mask);
        const unsigned bytes = vlen / 8;
        if (std::memcmp(a.v, b.v, usize{32} * bytes) != 0)
            for (unsigned at = 0; at < 32 * bytes; at += 8)
                if (std::memcmp(a.v + at, b.v + at, 8) != 0) {
                    u64 ours_word = 0, theirs_word = 0;
                    std::memcpy(&ours_word, a.v + at, 8);
                    std::memcpy(&theirs_word, b.v + at, 8);
                    differ(fmt::format("v{} byte {}", at / bytes, at % bytes), ours_word, theirs_word);
                }
    }
    if (ours.fault_count != theirs.fault_count) differ("number of faults", ours.fault_count, theirs.fault_count);
    for (u64 i = 0; i < std::min(ours.fault_count, theirs.fault_count); i++) {
        const fault &x = ours.faults[i], &y = theirs.faults[i];
        if (x.offset != y.offset || x.signal != y.signal)
            differ(fmt::format("fault {} (offset, signal)", i), u64{x.offset} << 32 | x.signal,
                   u64{y.offset} << 32 | y.signal);
    }
    for (usize group = 0; group < std::size(ours.changed); group++) {
        const u64 either = ours.changed[group] | theirs.changed[group];
        if (either == 0) continue;
        for (usize k = 0; k < 64; k++) {
            const usize i = group * 64 + k;
            if (bit(ours.changed[group], static_cast<unsigned>(k)) !=
                bit(theirs.changed[group], static_cast<unsigned>(k)))
                differ(fmt::format("whether window + {:#x} changed", i * 8),
                       bit(ours.changed[group], static_cast<unsigned>(k)),
                       bit(theirs.changed[group], static_cast<unsigned>(k)));
            else if (bit(either, static_cast<unsigned>(k)) && ours.window[i] != theirs.window[i])
                differ(fmt::format("window + {:#x}", i * 8), ours.window[i], theirs.window[i]);
        }
    }
}

}  // namespace

bool equal(const test_case& test, const test_result& ours, const test_result& theirs, unsigned xlen, unsigned vlen) {
    bool same = true;
    compare(test, ours, theirs, xlen, vlen, [&](std::string, u64, u64) { same = false; });
    return same;
}

std::vector<std::string> differences(const test_case& test, const test_result& ours, const test_result& theirs,
                                     unsigned xlen, unsigned vlen) {
    std::vector<std::string> lines;
    const auto faults = [&lines](const char* whose, const test_result& result) {
        std::string line = fmt::format("faults of {}:", whose);
        for (u64 i = 0; i < result.fault_count; i++)
            line += fmt::format(" signal {} at {}", result.faults[i].signal, result.faults[i].offset);
        lines.push_back(line);
    };
    if (ours.fault_count != 0) faults("ours", ours);
    if (theirs.fault_count != 0) faults("theirs", theirs);
    compare(test, ours, theirs, xlen, vlen, [&](std::string name, u64 a, u64 b) {
        lines.push_back(fmt::format("{}: ours {:#x}, theirs {:#x}", name, a, b));
    });
    return lines;
}

}  // namespace viv::lockstep
