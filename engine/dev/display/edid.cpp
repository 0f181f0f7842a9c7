// Field by field in the order of the block. See edid.h.
#include "engine/dev/display/edid.h"

#include <algorithm>
#include <string_view>

#include "engine/lang/bytes.h"

namespace viv::display {

namespace {

struct Timing {
    u32 clock_10khz = 0;
    u32 horizontal_blank = 160, horizontal_front = 48, horizontal_sync = 32;
    u32 vertical_blank = 0, vertical_front = 3, vertical_sync = 0;
};

// CVT tells the aspect ratio by the length of the vertical sync.
u32 vertical_sync_lines(u32 width, u32 height) {
    if (width * 3 == height * 4) return 4;
    if (width * 9 == height * 16) return 5;
    if (width * 10 == height * 16) return 6;
    if (width * 4 == height * 5 || width * 9 == height * 15) return 7;
    return 10;
}

Timing reduced_blanking(u32 width, u32 height) {
    constexpr u64 refresh = 60, least_blank_ns = 460'000, least_back_porch = 6;
    constexpr u64 clock_step_10khz = 25, largest_clock_10khz = 65'535 / clock_step_10khz * clock_step_10khz;
    constexpr u64 least_clock_10khz = 1'000 + clock_step_10khz;
    Timing timing;
    timing.vertical_sync = vertical_sync_lines(width, height);
    const u64 line_ns = (1'000'000'000 / refresh - least_blank_ns) / height;
    const u64 lines = least_blank_ns / std::max<u64>(line_ns, 1) + 1;
    timing.vertical_blank =
        static_cast<u32>(std::max<u64>(lines, timing.vertical_front + timing.vertical_sync + least_back_porch));
    const u64 all_lines = height + timing.vertical_blank;
    // Readers take a slower clock for rubbish: small modes get longer lines.
    const u64 least_line = least_clock_10khz * 10'000 / (refresh * all_lines) + 1;
    if (width + timing.horizontal_blank < least_line) timing.horizontal_blank = static_cast<u32>(least_line) - width;
    const u64 clock =
        refresh * (width + timing.horizontal_blank) * all_lines / 10'000 / clock_step_10khz * clock_step_10khz;
    timing.clock_10khz = static_cast<u32>(std::min(clock, largest_clock_10khz));
    return timing;
}

u32 millimetres(u32 pixels) { return pixels * 254 / 960; }  // at 96 pixels an inch

void put_mode(u8* at, u32 width, u32 height) {
    const Timing timing = reduced_blanking(width, height);
    store_le(at, static_cast<u16>(timing.clock_10khz));
    const auto low = [](u32 value) { return static_cast<u8>(value); };
    const auto high = [](u32 a, u32 b) { return static_cast<u8>((a >> 8) << 4 | b >> 8); };
    at[2] = low(width);
    at[3] = low(timing.horizontal_blank);
    at[4] = high(width, timing.horizontal_blank);
    at[5] = low(height);
    at[6] = low(timing.vertical_blank);
    at[7] = high(height, timing.vertical_blank);
    at[8] = low(timing.horizontal_front);
    at[9] = low(timing.horizontal_sync);
    at[10] = static_cast<u8>(timing.vertical_front << 4 | timing.vertical_sync);
    at[12] = low(millimetres(width));
    at[13] = low(millimetres(height));
    at[14] = high(millimetres(width), millimetres(height));
    at[17] = 0x1a;  // digital separate sync, horizontal positive, vertical negative
}

void put_text(u8* at, u8 tag, std::string_view text) {
    constexpr usize room = 13;
    at[3] = tag;
    std::fill_n(at + 5, room, u8{' '});
    std::copy_n(text.begin(), std::min(text.size(), room), at + 5);
    if (text.size() < room) at[5 + text.size()] = '\n';
}

}  // namespace

Edid make_edid(u32 width, u32 height, unsigned output) {
    width = std::clamp(width, smallest_mode, largest_mode);
    height = std::clamp(height, smallest_mode, largest_mode);
    Edid edid{};
    std::fill_n(edid.begin() + 1, 6, u8{0xff});
    constexpr u16 maker = ('V' - '@') << 10 | ('I' - '@') << 5 | ('V' - '@');
    store_be(&edid[8], maker);
    store_le<u16>(&edid[10], 1);           // product
    store_le<u32>(&edid[12], output + 1);  // serial number
    edid[17] = 2025 - 1990;                // year, week unknown
    edid[18] = 1, edid[19] = 4;
    edid[20] = 0xa5;  // digital, 8 bits a colour, DisplayPort
    edid[21] = static_cast<u8>(std::clamp<u32>(millimetres(width) / 10, 1, 255));
    edid[22] = static_cast<u8>(std::clamp<u32>(millimetres(height) / 10, 1, 255));
    edid[23] = 120;   // gamma 2.2
    edid[24] = 0x06;  // sRGB, the first mode is the native one
    constexpr std::array<u8, 10> srgb_primaries = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
    std::copy(srgb_primaries.begin(), srgb_primaries.end(), edid.begin() + 25);
    edid[35] = 0x21, edid[36] = 0x08;              // 640x480, 800x600 and 1024x768 at 60 Hz
    std::fill_n(edid.begin() + 38, 16, u8{0x01});  // no standard timings
    put_mode(&edid[54], width, height);
    put_text(&edid[72], 0xfc, "Vivarium");
    constexpr std::string_view serials[] = {"1", "2",  "3",  "4",  "5",  "6",  "7",  "8",
                                            "9", "10", "11", "12", "13", "14", "15", "16"};
    put_text(&edid[90], 0xff, serials[output % std::size(serials)]);
    edid[108 + 3] = 0x10;  // unused
    u8 sum = 0;
    for (const u8 byte : edid) sum = static_cast<u8>(sum + byte);
    edid[127] = static_cast<u8>(-sum);
    return edid;
}

}  // namespace viv::display
