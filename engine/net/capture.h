// A tap on a cable: every frame that passes, either way, is shown to a recorder.
// Promises: frames and their order on the cable are as without it. PcapngWriter makes of them what tcpdump and
// Wireshark read: pcapng 1.0 (draft-ietf-opsawg-pcapng), one Ethernet interface, times to the nanosecond, directions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/net/net.h"

namespace viv::net {

enum class Passing : u8 { to_guest, from_guest };

class FrameRecorder {
public:
    virtual ~FrameRecorder() = default;
    virtual void record(Passing direction, std::span<const u8> frame) = 0;
};

// Both owned by what is returned. A frame for the guest is recorded when the card takes it.
std::unique_ptr<NetBackend> make_captured(std::unique_ptr<NetBackend> inner, std::unique_ptr<FrameRecorder> recorder);

class PcapngWriter {
public:
    // The file's start; `name` of the interface, up to 255 bytes of it.
    static std::vector<u8> head(std::string_view program, std::string_view name);
    // `time_ns` since 1970.
    static void append_frame(std::vector<u8>& to, Passing direction, u64 time_ns, std::span<const u8> frame);
};

}  // namespace viv::net
