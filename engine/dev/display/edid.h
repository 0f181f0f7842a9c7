// The identification that a virtual monitor gives: one 128-byte EDID 1.4 block with a preferred mode.
// Promises: a correct checksum and a mode that the block can express, for any size. VESA E-EDID A2; timings by VESA
// CVT 1.2, reduced blanking version 1, at 60 Hz or as near as the block's pixel clock of 655.35 MHz allows.
#pragma once

#include <array>

#include "engine/lang/bits.h"

namespace viv::display {

constexpr u32 smallest_mode = 64;   // pixels, either way
constexpr u32 largest_mode = 4095;  // what a detailed timing has bits for

using Edid = std::array<u8, 128>;

// Sizes are clamped to [smallest_mode, largest_mode]. `output` tells the monitors of one adapter apart.
Edid make_edid(u32 width, u32 height, unsigned output);

}  // namespace viv::display
