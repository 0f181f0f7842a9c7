// What a translator has made of some guest code, for people who look for a mistake in it.
// Promises: plain data; nothing refers to the translator, which goes on.
#pragma once

#include <string>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::exec {

struct TranslatedCode {
    u64 pc = 0;        // where it is entered
    u64 mode = 0;      // the rest of the block's key
    u64 size = 0;      // bytes of guest code in the block at `pc`
    std::string tier;  // what made it
    // The block at `pc` in the IR's text form, made again from the guest code as it is now: as built, and after the
    // passes.
    std::string ir, ir_after;
    // The host's code of the whole translation, where it lies, and where `pc` is entered.
    std::vector<u8> host;
    u64 host_address = 0;
    u64 entry_offset = 0;
};

}  // namespace viv::exec
