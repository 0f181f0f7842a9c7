// virtio-serial: a console and named byte channels, with the multiport protocol. OASIS virtio 1.2, section 5.3.
// Promises: port 0 is a console, the others are channels of the given names; neither direction buffers: what a backend
// does not take stays in the guest's ring, what the guest has no buffer for stays with the backend. A port that the
// host has not connected swallows output.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Console final : public Function {
public:
    static constexpr usize most_ports = 31;

    struct PortOptions {
        std::string name;
        ByteBackend* backend = nullptr;  // outlives the device; null: nobody is connected
    };

    // 1 to most_ports ports.
    Console(const Wiring& wiring, std::vector<PortOptions> ports);
    ~Console() override;

    ByteDevice* port(std::string_view name) override;
    // The size of the console's terminal, in characters; the guest is told of changes.
    void resize(u16 columns, u16 rows);

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void config_written(u32 offset, std::span<const u8> bytes) override;
    void driver_ready() override;
    void drop_chains() override;
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;

private:
    class Port;
    void control_from_guest();
    void handle_control(u32 id, u16 event, u16 value);
    void send_control();
    bool send_next(Port& port);
    void show();

    static constexpr usize config_size = 12;
    std::vector<std::unique_ptr<Port>> ports_;
    u16 columns_ = 0, rows_ = 0;
    std::array<u8, config_size> config_{};
};

}  // namespace viv::virtio
