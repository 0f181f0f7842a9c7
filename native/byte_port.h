// The host's end of a serial port or console port: moves bytes between a device of the machine and a stream of the
// host. Promises: what the device sends waits in a bounded buffer, and the device is held back when that is full;
// output while nobody is connected is dropped; input is offered only as fast as the device takes it. put() and
// input_wanted() come from within run(), on whichever thread a hart has; everything else is called between slices.
#pragma once

#include "engine/dev/ports.h"
#include "native/stream_source.h"

namespace viv::native {

class BytePort : public ByteBackend {
public:
    // The device's end, once the machine exists; it must outlive the last service().
    virtual void attach(ByteDevice* device) { device_ = device; }
    // Moves what can be moved. Called before waiting for events and after each slice.
    virtual void service() = 0;

    usize put(std::span<const u8> bytes) final;
    void input_wanted() final;

protected:
    // Output of the device: how much was taken. Less than all holds the device back until made_room().
    virtual usize accept(std::span<const u8> bytes) = 0;
    // What there is for the device now, and that it has taken some of it.
    virtual std::span<const u8> available() { return {}; }
    virtual void taken(usize /*count*/) {}

    // Offers the device what is available, unless it is full.
    void offer();
    void made_room();
    ByteDevice* device() { return device_; }

private:
    ByteDevice* device_ = nullptr;
    bool wanted_ = true;
    bool refused_ = false;
    bool offering_ = false;
};

// A port that ends in a file or socket. It may be made without one, so that a machine can be made, and found wrong,
// before anything is created on the host: output is dropped until open().
class SourcePort final : public BytePort {
public:
    SourcePort() = default;
    void open(std::unique_ptr<StreamSource> source);
    void attach(ByteDevice* device) override;
    usize output_pending() const;
    void service() override;

private:
    usize accept(std::span<const u8> bytes) override;
    std::span<const u8> available() override;
    void taken(usize count) override;

    std::unique_ptr<StreamSource> source_;
    bool connected_ = false;
};

}  // namespace viv::native
