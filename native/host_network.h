// What back ends of networks on this host have in common, and the list of those that a machine has.
// Promises: those of net/intake.h. Everything is called between slices, but for what devices call: that may come from a
// hart's thread while the main thread waits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/control/machine.h"
#include "engine/lang/log.h"
#include "engine/net/intake.h"
#include "engine/net/net.h"
#include "native/event_loop.h"
#include "native/net_options.h"

namespace viv::native {

class HostNetwork;

// The networks of one machine. Outlives the machine, whose devices own the back ends.
class Networks final : public MachineListener {
public:
    Networks(EventLoop& events, LogSink& log) : events_(events), log_(log) {}
    Networks(const Networks&) = delete;
    Networks& operator=(const Networks&) = delete;

    // Opens what `option` says. Errors name it.
    Result<std::unique_ptr<net::NetBackend>> open(const NetOption& option);
    // Writes what passes to the file of capture=, if there is one.
    Result<std::unique_ptr<net::NetBackend>> capture(const NetOption& option, std::unique_ptr<net::NetBackend> cable);
    // Those that need nothing of the host.
    static std::unique_ptr<net::NetBackend> open_repeatable(const NetOption& option);

    // Hands over what waits to be joined with what might have come. Before each slice.
    void flush();
    // The machine whose networks they are, from now on.
    void follow(Machine& machine);

    EventLoop& events() { return events_; }
    LogSink& log() { return log_; }
    bool running() const { return running_; }

    void stopped(StopReason reason) override;
    void resumed() override;

private:
    friend class HostNetwork;
    EventLoop& events_;
    LogSink& log_;
    std::vector<HostNetwork*> open_;
    bool running_ = false;
};

class HostNetwork : public net::NetBackend {
public:
    explicit HostNetwork(Networks& networks);
    ~HostNetwork() override;
    HostNetwork(const HostNetwork&) = delete;
    HostNetwork& operator=(const HostNetwork&) = delete;

    void attach(net::NetDevice* device) final;
    void receive_ready() final;

protected:
    // As net::Intake's, of frames for the guest.
    void deliver(std::span<const u8> frame) { intake_.deliver(frame); }
    void deliver_offloaded(std::span<u8> frame, const net::Offload& offload) {
        intake_.deliver_offloaded(frame, offload);
    }
    void flush() { intake_.flush(); }
    // Whether more frames are welcome now. When that changes, flow_changed() is called.
    bool flowing() const { return intake_.flowing(); }
    virtual void flow_changed() = 0;
    EventLoop& events() { return networks_.events(); }

private:
    friend class Networks;

    Networks& networks_;
    net::Intake intake_;
};

}  // namespace viv::native
