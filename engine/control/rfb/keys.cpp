// See keys.h. Names and numbers: linux/input-event-codes.h, X11/keysymdef.h.
#include "engine/control/rfb/keys.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace viv::rfb {

namespace {

// Two characters a key, without and with Shift; in rows of consecutive codes.
struct Row {
    u16 first;
    std::string_view characters;
};
constexpr Row rows[] = {
    {2, "1!2@3#4$5%6^7&8*9(0)-_=+"},
    {16, "qQwWeErRtTyYuUiIoOpP[{]}"},
    {30, "aAsSdDfFgGhHjJkKlL;:'\"`~"},
    {43, "\\|zZxXcCvVbBnNmM,<.>/?"},
    {57, "  "},
};

struct Named {
    u32 from;
    u16 code;
};
constexpr Named keysyms[] = {
    {0xff08, 14},  {0xff09, 15},  {0xff0d, 28},  {0xff13, 119}, {0xff14, 70},  {0xff15, 99},
    {0xff1b, 1},   {0xff50, 102}, {0xff51, 105}, {0xff52, 103}, {0xff53, 106}, {0xff54, 108},
    {0xff55, 104}, {0xff56, 109}, {0xff57, 107}, {0xff61, 99},  {0xff63, 110}, {0xff67, 127},
    {0xff7f, 69},  {0xffff, 111}, {0xfe20, 15},  // Tab with Shift
    {0xfe03, 100},                               // AltGr
    {0xff8d, 96},  {0xff95, 71},  {0xff96, 75},  {0xff97, 72},  {0xff98, 77},  {0xff99, 80},
    {0xff9a, 73},  {0xff9b, 81},  {0xff9c, 79},  {0xff9d, 76},  {0xff9e, 82},  {0xff9f, 83},
    {0xffaa, 55},  {0xffab, 78},  {0xffad, 74},  {0xffae, 83},  {0xffaf, 98},  // keypad
    {0xffb0, 82},  {0xffb1, 79},  {0xffb2, 80},  {0xffb3, 81},  {0xffb4, 75},  {0xffb5, 76},
    {0xffb6, 77},  {0xffb7, 71},  {0xffb8, 72},  {0xffb9, 73},  // its digits
    {0xffbe, 59},  {0xffbf, 60},  {0xffc0, 61},  {0xffc1, 62},  {0xffc2, 63},  {0xffc3, 64},
    {0xffc4, 65},  {0xffc5, 66},  {0xffc6, 67},  {0xffc7, 68},  {0xffc8, 87},  {0xffc9, 88},  // F1 to F12
    {0xffe1, 42},  {0xffe2, 54},  {0xffe3, 29},  {0xffe4, 97},  {0xffe5, 58},  {0xffe7, 125},
    {0xffe8, 126}, {0xffe9, 56},  {0xffea, 100}, {0xffeb, 125}, {0xffec, 126},  // Shift, Control, Caps Lock, Meta, Alt,
                                                                                // Super
};
constexpr Named extended_qnums[] = {
    {0x9c, 96},  {0x9d, 97},  {0xb5, 98},  {0xb7, 99},  {0xb8, 100}, {0xc6, 119}, {0xc7, 102}, {0xc8, 103},
    {0xc9, 104}, {0xcb, 105}, {0xcd, 106}, {0xcf, 107}, {0xd0, 108}, {0xd1, 109}, {0xd2, 110}, {0xd3, 111},
    {0xdb, 125}, {0xdc, 126}, {0xdd, 127}, {0xa0, 113}, {0xae, 114}, {0xb0, 115},
};

template <usize count>
u16 look_up(const Named (&table)[count], u32 from) {
    const auto* found =
        std::find_if(std::begin(table), std::end(table), [&](const Named& n) { return n.from == from; });
    return found == std::end(table) ? u16{0} : found->code;
}

}  // namespace

u16 key_of_keysym(u32 keysym) {
    // Those of Latin 1 are its characters.
    if (keysym >= 0x80) return look_up(keysyms, keysym);
    for (const Row& row : rows) {
        const auto at = row.characters.find(static_cast<char>(keysym));
        if (at != std::string_view::npos) return static_cast<u16>(row.first + at / 2);
    }
    return 0;
}

u16 key_of_qnum(u32 qnum) {
    // Up to F12 evdev's codes are the scan codes.
    constexpr u32 last_plain = 0x58, no_key = 0x54, no_other_key = 0x55;
    if (qnum <= last_plain) return qnum == no_key || qnum == no_other_key ? u16{0} : static_cast<u16>(qnum);
    return look_up(extended_qnums, qnum);
}

}  // namespace viv::rfb
