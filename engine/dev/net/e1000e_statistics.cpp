// See e1000e_statistics.h.
#include "engine/dev/net/e1000e_statistics.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/net/inspect.h"

namespace viv::e1000e {

namespace {

constexpr u64 fcs_bytes = 4;
constexpr net::MacAddress everyone{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// Which counter of a size's row; sizes are those on the wire.
u32 size_class(u64 bytes) {
    constexpr u64 limits[] = {64, 127, 255, 511, 1023};
    return static_cast<u32>(std::lower_bound(std::begin(limits), std::end(limits), bytes) - std::begin(limits));
}

bool is_upper_half(u32 offset) {
    for (const u32 low : {Statistics::gorc, Statistics::gotc, Statistics::tor, Statistics::tot})
        if (offset == low + 4) return true;
    return false;
}

bool is_lower_half(u32 offset) { return is_upper_half(offset + 4); }

}  // namespace

// The upper half of a pair is read last, and clears both.
u32 Statistics::read(u32 offset) {
    if (is_lower_half(offset)) return at(offset);
    if (is_upper_half(offset)) at(offset - 4) = 0;
    return std::exchange(at(offset), 0);
}

void Statistics::count(Counter counter, u32 times) {
    u32& value = at(counter);
    value = value + times < value ? ~u32{0} : value + times;
}

void Statistics::add_bytes(Counter counter, u64 bytes) {
    const u64 before = at(counter) | u64{at(counter + 4)} << 32;
    const u64 sum = before + bytes < before ? ~u64{0} : before + bytes;
    at(counter) = static_cast<u32>(sum);
    at(counter + 4) = static_cast<u32>(sum >> 32);
}

void Statistics::received(std::span<const u8> frame) {
    const u64 bytes = frame.size() + fcs_bytes;
    const auto to = net::destination_of(frame);
    count(tpr);
    count(gprc);
    count(static_cast<Counter>(prc64 + 4 * size_class(bytes)));
    if (net::is_group(to)) count(to == everyone ? bprc : mprc);
    add_bytes(tor, bytes);
    add_bytes(gorc, bytes);
}

void Statistics::sent(std::span<const u8> frame, u32 segments, usize header) {
    const u64 bytes = frame.size() + (segments - 1) * header + segments * fcs_bytes;
    const auto to = net::destination_of(frame);
    count(tpt, segments);
    count(gptc, segments);
    count(static_cast<Counter>(ptc64 + 4 * size_class(bytes / segments)), segments);
    if (net::is_group(to)) count(to == everyone ? bptc : mptc, segments);
    add_bytes(tot, bytes);
    add_bytes(gotc, bytes);
}

}  // namespace viv::e1000e
