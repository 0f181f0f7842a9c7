// A serial or console port's other end in a page: what the guest prints waits until JavaScript takes it, what is typed
// until the guest does. Promises: output is bounded, and the guest held back when it is full; input is the page's to
// bound.
#pragma once

#include <deque>
#include <vector>

#include "engine/dev/ports.h"

namespace viv::web {

class WebSerial final : public ByteBackend {
public:
    void attach(ByteDevice* device) { device_ = device; }

    usize put(std::span<const u8> bytes) override;
    void input_wanted() override;
    void guest_opened(bool open) override { opened_ = open; }

    // From the page. Offered to the device at once.
    void type(std::span<const u8> bytes);
    usize typed() const { return typed_.size(); }  // bytes that the guest has not taken yet
    bool attached() const { return device_ != nullptr; }
    // Has the guest opened its end? Consoles know, serial ports never.
    bool opened() const { return opened_; }
    // What has been printed since the last call; valid until the next.
    std::span<const u8> take_output();

private:
    void offer();

    static constexpr usize output_limit = 1 << 20;
    ByteDevice* device_ = nullptr;
    std::vector<u8> output_, taken_;
    std::deque<u8> typed_;
    bool wanted_ = true;
    bool refused_ = false;
    bool opened_ = false;
    bool offering_ = false;
};

}  // namespace viv::web
