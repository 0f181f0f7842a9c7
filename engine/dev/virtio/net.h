// virtio-net: pairs of a receive and a transmit queue, a control queue for the receive filter, the MAC address and how
// many pairs are used. OASIS virtio 1.2, section 5.1. Promises: frames of 14 to 65,550 bytes; mergeable receive
// buffers; a frame that finds no room is refused whole, and the back end hears when there is room again. Checksums and
// the cutting of TCP segments are left to the back end if the driver wishes, and segments may come joined
// (5.1.6.2, 5.1.6.4). With several pairs a frame arrives in the queue beside the one that the driver sends its flow
// through (5.1.6.5.5).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/dev/mac_addresses.h"
#include "engine/dev/virtio/virtio.h"
#include "engine/net/net.h"

namespace viv::virtio {

class Net final : public Function, public net::NetDevice {
public:
    static constexpr u16 most_pairs = 16;
    struct Options {
        net::MacAddress mac = first_mac_address;
        u16 queue_size = 256;  // 4 to Queue::largest, a power of two
        u16 queue_pairs = 1;   // 1 to most_pairs
        bool offloads = true;  // are offered
        u16 mtu = 0;           // bytes, at least 68, that the driver is told to use; 0: it is told nothing
    };

    Net(const Wiring& wiring, std::unique_ptr<net::NetBackend> backend, const Options& options);

    bool receive(std::span<const u8> frame) override { return receive_offloaded(frame, {}); }
    Takes takes() const override;
    bool receive_offloaded(std::span<const u8> frame, const net::Offload& offload) override;
    void set_link(bool up) override;
    bool link_up() const override { return s_.link_up; }

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    bool features_acceptable(u64 features) const override;
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;

private:
    // What the driver let through; promiscuous until it says otherwise.
    struct Filter {
        bool promiscuous = true, all_multicast = false, all_unicast = false;
        bool no_multicast = false, no_unicast = false, no_broadcast = false;
        std::vector<u8> unicast, multicast;                         // six bytes an address
        bool unicast_overflow = false, multicast_overflow = false;  // the list was too long: all pass
    };
    bool accepts(std::span<const u8> frame) const;
    u16 control_queue() const;
    u16 receive_queue_of(std::span<const u8> frame) const;
    bool gather_room(u16 queue, u64 needed);
    void transmit(u16 queue);
    std::optional<net::Offload> offload_of(std::span<const u8, 12> header) const;
    void send(const Chain& chain, u16 pair);
    void control();
    bool command(ChainReader& reader);
    bool set_mode(u8 command, bool on);
    bool set_pairs(ChainReader& reader);
    bool set_tables(ChainReader& reader);
    bool read_table(ChainReader& reader, std::vector<u8>& table, bool& overflow);
    void show();

    static constexpr usize config_size = 12;
    Options options_;
    struct {
        net::MacAddress mac{};
        bool link_up = true;
        Filter filter;
        u16 pairs = 1;                 // in use
        std::array<u8, 256> steering;  // the pair that a flow was sent through last, by its hash
    } s_{};
    std::array<u8, config_size> config_{};
    bool refused_ = false;  // a frame found no room: the back end waits to hear of some
    std::vector<Chain> receive_chains_;
    usize receive_count_ = 0;
    std::vector<u8> transmit_frame_;
    std::unique_ptr<net::NetBackend> backend_;
};

}  // namespace viv::virtio
