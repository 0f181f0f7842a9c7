// Which frames an 82574 takes and into which queue: exact addresses, the multicast hash, VLANs, and receive-side
// scaling. Datasheet sections 7.1.1 and 7.1.2. Promises: any frame of 14 bytes or more is a legal argument.
#pragma once

#include <array>
#include <span>

#include "engine/dev/net/e1000e_bits.h"
#include "engine/state/archive.h"

namespace viv::e1000e {

class Filter {
public:
    enum class Verdict : u8 { refused, exact, inexact };
    // Of a frame that is tagged if its type is `vet`.
    Verdict judge(std::span<const u8> frame, u32 rctl, u16 vet) const;

    // What RSS finds in a frame: the write-back's RSS type (0: none), the hash, the queue.
    struct Scaled {
        u8 type = 0, queue = 0;
        u32 hash = 0;
    };
    Scaled scale(std::span<const u8> frame) const;

    std::array<u32, 128> mta{}, vfta{};
    std::array<u32, 32> ra{};  // RAL and RAH in turn
    u32 mrqc = 0;
    std::array<u32, 32> reta{};
    std::array<u32, 10> rssrk{};

    void state(Archive& a);

private:
    bool has_vlan(std::span<const u8> frame, u32 rctl, u16 vet) const;
    bool has_address(std::span<const u8> frame) const;
    bool has_multicast(std::span<const u8> frame, u32 rctl) const;
    u32 hash_of(std::span<const u8> input) const;
};

}  // namespace viv::e1000e
