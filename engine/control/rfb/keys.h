// Keys of RFB clients as Linux's evdev codes: X11 keysyms (RFC 6143, 7.5.4), for a keyboard with US layout, and the key
// numbers of QEMU's extension ("qnum": PC scan code set 1, with 0x80 for the prefix 0xe0), which know no layout.
#pragma once

#include "engine/lang/bits.h"

namespace viv::rfb {

// 0: there is no such key.
u16 key_of_keysym(u32 keysym);
u16 key_of_qnum(u32 qnum);

}  // namespace viv::rfb
