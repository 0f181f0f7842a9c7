// The keys that belong to viv on a raw terminal, all after Ctrl-A, as QEMU's users know them.
// Promises: everything else goes through unchanged; an unknown key after Ctrl-A is dropped.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::native {

class EscapeKeys {
public:
    enum class Key : u8 { quit, switch_monitor, help };  // x, c, h or ?
    static constexpr u8 escape = 0x01;                   // Ctrl-A; typed twice it is sent once

    // Splits what was typed: `through` gets runs of ordinary bytes, `pressed` the keys, in order. After quit the rest
    // is dropped.
    void feed(std::span<const u8> typed, const std::function<void(std::span<const u8>)>& through,
              const std::function<void(Key)>& pressed);

    static std::string_view help_text();  // lines end with "\n"

private:
    bool escaped_ = false;
};

}  // namespace viv::native
