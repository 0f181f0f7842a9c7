// A room's way out by a TAP interface of this host, whose other end is the kernel's: an address, a bridge, a LAN
// (tuntap, Linux's Documentation/networking/tuntap.rst). Frames pass as they are; no rule about destinations is asked.
// Promises: the interface is this process's from open() to the end and wants no privilege later; it is read only while
// it is in a room, a bounded number of frames a turn of the loop; what had come before is thrown away; what the kernel
// does not take is dropped and counted; an interface that is taken away is logged once, and the room goes on without.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/lang/result.h"
#include "netbridge/journal.h"
#include "netbridge/loop.h"
#include "netbridge/metrics.h"
#include "netbridge/rooms.h"

namespace viv::netbridge {

class Tap final : public Port {
public:
    static constexpr usize frames_a_turn = 256;
    static constexpr usize most_stale = 4096;  // frames; the kernel's queue has 500 or 1000, unless told otherwise

    // `interface` is there already, and has at most IFNAMSIZ - 1 bytes. All others outlive this.
    static Result<std::unique_ptr<Tap>> open(uv_loop_t* loop, const std::string& room, const std::string& interface,
                                             Journal& journal, Metrics& metrics, const u64& now_ns);
    ~Tap() override;
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    void enter(Room& room);
    void leave();
    void give(const SharedMessage& frame, u64 behind) override;

private:
    Tap(int descriptor, std::string interface, Journal& journal, Metrics& metrics, const u64& now_ns);
    // Its size; negative if there is none now, or never again.
    ssize_t read_frame();
    void readable();
    void gone();

    int descriptor_;
    std::string interface_;
    Journal& journal_;
    Metrics& metrics_;
    const u64& now_ns_;
    std::vector<u8> buffer_;
    Room* room_ = nullptr;                    // the one that it is in now
    std::unique_ptr<DescriptorWatch> watch_;  // null: the interface has gone
};

}  // namespace viv::netbridge
