// The queues of virtio-net: frames behind a 12-byte header (virtio 1.2, 5.1.6) and the commands of the control queue
// (5.1.6.5). See net.h.
#include "engine/dev/virtio/net.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/dev/mac_addresses.h"
#include "engine/dev/virtio/create.h"
#include "engine/net/inspect.h"

namespace viv::virtio {

namespace {

enum Feature : unsigned {
    f_csum = 0,
    f_guest_csum = 1,
    f_mtu = 3,
    f_mac = 5,
    f_guest_tso4 = 7,
    f_guest_tso6 = 8,
    f_host_tso4 = 11,
    f_host_tso6 = 12,
    f_mrg_rxbuf = 15,
    f_status = 16,
    f_ctrl_vq = 17,
    f_ctrl_rx = 18,
    f_ctrl_rx_extra = 20,
    f_mq = 22,
    f_ctrl_mac_addr = 23,
};

// Pair n has queue 2n to receive and 2n + 1 to transmit; the control queue is behind all that the driver knows of.
constexpr u16 queues_of_pair = 2, transmit_of_pair = 1;
constexpr u16 control_queue_size = 64;
// struct virtio_net_hdr
constexpr usize header_size = 12, segmentation_at = 1, header_length_at = 2, segment_at = 4, sum_from_at = 6,
                sum_at_at = 8, num_buffers_at = 10;
enum HeaderFlag : u8 { header_needs_sum = 1, header_checked = 2 };
enum Segmentation : u8 { segmentation_none = 0, segmentation_tcp4 = 1, segmentation_tcp6 = 4 };
constexpr unsigned frames_per_notification = 256;
constexpr unsigned commands_per_notification = 64;

constexpr usize c_status = 6, c_max_pairs = 8, c_mtu = 10;
constexpr u16 smallest_mtu = 68, largest_mtu = 65'535 - 14;
constexpr u16 status_link_up = 1;

enum ControlClass : u8 { class_rx = 0, class_mac = 1, class_mq = 4 };
enum RxCommand : u8 { rx_promisc = 0, rx_allmulti = 1, rx_alluni = 2, rx_nomulti = 3, rx_nouni = 4, rx_nobcast = 5 };
enum MacCommand : u8 { mac_table_set = 0, mac_addr_set = 1 };
enum MqCommand : u8 { mq_vq_pairs_set = 0 };
enum Acknowledgement : u8 { ack_ok = 0, ack_error = 1 };

constexpr usize mac_size = 6;
constexpr usize largest_table = 64;  // addresses

Function::Identity identity(const Net::Options& options) {
    u64 features = 0;
    for (const unsigned bit : {f_mac, f_mrg_rxbuf, f_status, f_ctrl_vq, f_ctrl_rx, f_ctrl_rx_extra, f_ctrl_mac_addr})
        features |= feature(bit);
    if (options.offloads)
        for (const unsigned bit : {f_csum, f_guest_csum, f_guest_tso4, f_guest_tso6, f_host_tso4, f_host_tso6})
            features |= feature(bit);
    if (options.mtu != 0) features |= feature(f_mtu);
    if (options.queue_pairs > 1) features |= feature(f_mq);
    std::vector<u16> sizes(options.queue_pairs * queues_of_pair, options.queue_size);
    sizes.push_back(control_queue_size);
    return {DeviceId::net, "virtio-net", features, std::move(sizes)};
}

bool contains(const std::vector<u8>& table, std::span<const u8> address) {
    for (usize at = 0; at + mac_size <= table.size(); at += mac_size)
        if (std::equal(address.begin(), address.begin() + mac_size, table.begin() + static_cast<std::ptrdiff_t>(at)))
            return true;
    return false;
}

}  // namespace

Net::Net(const Wiring& wiring, std::unique_ptr<net::NetBackend> backend, const Options& options)
    : Function(wiring, identity(options)), options_(options), backend_(std::move(backend)) {
    s_.mac = options_.mac;
    show();
    backend_->connect(this);
}

void Net::show() {
    std::copy(s_.mac.begin(), s_.mac.end(), config_.begin());
    store_le<u16>(&config_[c_status], s_.link_up ? status_link_up : 0);
    store_le<u16>(&config_[c_max_pairs], options_.queue_pairs);
    store_le<u16>(&config_[c_mtu], options_.mtu);
}

bool Net::features_acceptable(u64 features) const {
    const bool needs_control = bit(features, f_ctrl_rx) || bit(features, f_ctrl_rx_extra) ||
                               bit(features, f_ctrl_mac_addr) || bit(features, f_mq);
    const bool sends_long = bit(features, f_host_tso4) || bit(features, f_host_tso6);
    const bool takes_long = bit(features, f_guest_tso4) || bit(features, f_guest_tso6);
    return (!needs_control || bit(features, f_ctrl_vq)) && (!sends_long || bit(features, f_csum)) &&
           (!takes_long || bit(features, f_guest_csum));
}

void Net::device_reset() {
    s_.mac = options_.mac;
    s_.filter = {};
    s_.pairs = 1;
    s_.steering = {};
    show();
}

void Net::device_state(Archive& a) {
    a(1, "mac", s_.mac);
    a(2, "link_up", s_.link_up);
    a(3, "promiscuous", s_.filter.promiscuous);
    a(4, "all_multicast", s_.filter.all_multicast);
    a(5, "all_unicast", s_.filter.all_unicast);
    a(6, "no_multicast", s_.filter.no_multicast);
    a(7, "no_unicast", s_.filter.no_unicast);
    a(8, "no_broadcast", s_.filter.no_broadcast);
    a.bytes(9, "unicast", s_.filter.unicast, largest_table * mac_size);
    a.bytes(10, "multicast", s_.filter.multicast, largest_table * mac_size);
    a(11, "unicast_overflow", s_.filter.unicast_overflow);
    a(12, "multicast_overflow", s_.filter.multicast_overflow);
    a(13, "pairs", s_.pairs);
    a(14, "steering", s_.steering);
    if (!a.loading()) return;
    const bool pairs_good = s_.pairs != 0 && s_.pairs <= options_.queue_pairs;
    a.require(pairs_good, "pairs", "is more than this device, as configured, has");
    if (!pairs_good) s_.pairs = 1;
}

void Net::device_restored() {
    show();
    refused_ = true;  // whatever the back end waits for
}

void Net::set_link(bool up) {
    if (s_.link_up == up) return;
    s_.link_up = up;
    show();
    if (negotiated(f_status)) config_changed();
}

void Net::notify(u16 queue) {
    if (queue == control_queue()) return control();
    if (queue > control_queue()) return;  // of pairs that this driver does not know of
    if (queue % queues_of_pair == transmit_of_pair) return transmit(queue);
    if (std::exchange(refused_, false)) backend_->receive_ready();
}

u16 Net::control_queue() const {
    return static_cast<u16>(queues_of_pair * (negotiated(f_mq) ? options_.queue_pairs : 1));
}

u16 Net::receive_queue_of(std::span<const u8> frame) const {
    if (s_.pairs == 1) return 0;
    const u8 pair = s_.steering[net::flow_hash(frame) % s_.steering.size()];
    return static_cast<u16>(queues_of_pair * (pair % s_.pairs));
}

bool Net::accepts(std::span<const u8> frame) const {
    const Filter& filter = s_.filter;
    if (filter.promiscuous) return true;
    const auto to = frame.first(mac_size);
    if (std::all_of(to.begin(), to.end(), [](u8 byte) { return byte == 0xff; })) return !filter.no_broadcast;
    if ((to[0] & 1) != 0) {
        if (filter.no_multicast) return false;
        return filter.all_multicast || filter.multicast_overflow || contains(filter.multicast, to);
    }
    if (filter.no_unicast) return false;
    if (filter.all_unicast || filter.unicast_overflow) return true;
    return std::equal(to.begin(), to.end(), s_.mac.begin()) || contains(filter.unicast, to);
}

// Pops chains until they have room for `needed` bytes; without room, all go back.
bool Net::gather_room(u16 queue, u64 needed) {
    receive_count_ = 0;
    u64 room = 0;
    const bool mergeable = negotiated(f_mrg_rxbuf);
    while (room < needed && (mergeable || receive_count_ == 0)) {
        if (receive_chains_.size() == receive_count_) receive_chains_.emplace_back();
        Chain& chain = receive_chains_[receive_count_];
        if (!pop(queue, chain)) break;
        receive_count_++;
        room += chain.writable_size();
    }
    if (room >= needed) return true;
    if (running())
        for (usize i = receive_count_; i > 0; i--) unpop(queue, receive_chains_[i - 1]);
    return false;
}

net::NetDevice::Takes Net::takes() const {
    if (!running() || !negotiated(f_guest_csum)) return {};
    return {.checked = true, .tcp4 = negotiated(f_guest_tso4), .tcp6 = negotiated(f_guest_tso6)};
}

bool Net::receive_offloaded(std::span<const u8> frame, const net::Offload& offload) {
    if (!running() || !net::good_size(frame.size()) || !s_.link_up || !accepts(frame)) return true;
    const u16 queue = receive_queue_of(frame);
    if (!gather_room(queue, header_size + frame.size())) {
        if (running() && receive_count_ != 0 && !negotiated(f_mrg_rxbuf))
            return true;  // too long for this driver's buffers
        refused_ = true;
        return false;
    }
    std::array<u8, header_size> header{};
    if (offload.checked) header[0] = header_checked;
    if (offload.sum_from != 0) {
        header[0] = header_needs_sum;
        store_le(&header[sum_from_at], offload.sum_from);
        store_le(&header[sum_at_at], offload.sum_at);
    }
    if (offload.segment != 0) {
        header[segmentation_at] = net::ether_type_of(frame) == net::ether_ipv4 ? segmentation_tcp4 : segmentation_tcp6;
        store_le(&header[segment_at], offload.segment);
        store_le(&header[header_length_at], offload.header);
    }
    store_le<u16>(&header[num_buffers_at], static_cast<u16>(receive_count_));
    std::span<const u8> header_left = header;
    for (usize i = 0; i < receive_count_; i++) {
        ChainWriter writer(receive_chains_[i]);
        header_left = header_left.subspan(writer.write(header_left));
        if (header_left.empty()) frame = frame.subspan(writer.write(frame));
        fill(queue, receive_chains_[i], writer.written());
    }
    publish(queue);
    return true;
}

void Net::transmit(u16 queue) {
    Chain chain;
    for (unsigned i = 0; i < frames_per_notification; i++) {
        if (!pop(queue, chain)) return;
        send(chain, queue / queues_of_pair);
        push(queue, chain, 0);
    }
    later(queue);
}

// What a driver asks for in the header; nothing, if it may not.
std::optional<net::Offload> Net::offload_of(std::span<const u8, 12> header) const {
    net::Offload offload;
    const u8 segmentation = header[segmentation_at];
    if ((header[0] & ~header_needs_sum) != 0) return std::nullopt;
    if (header[0] != 0) {
        offload.sum_from = load_le<u16>(&header[sum_from_at]);
        offload.sum_at = load_le<u16>(&header[sum_at_at]);
        if (!negotiated(f_csum) || offload.sum_from == 0) return std::nullopt;
    }
    if (segmentation == segmentation_none) return offload;
    const bool may = segmentation == segmentation_tcp4   ? negotiated(f_host_tso4)
                     : segmentation == segmentation_tcp6 ? negotiated(f_host_tso6)
                                                         : false;
    offload.segment = load_le<u16>(&header[segment_at]);
    offload.header = load_le<u16>(&header[header_length_at]);
    if (!may || header[0] == 0 || offload.segment == 0) return std::nullopt;
    return offload;
}

void Net::send(const Chain& chain, u16 pair) {
    ChainReader reader(chain);
    std::array<u8, header_size> header{};
    reader.read(header);
    const u64 size = reader.remaining();
    const auto offload = offload_of(header);
    if (!net::good_size(size) || !offload)
        return log().guest("a frame of {} bytes with flags {:#x} and segmentation {:#x} is dropped", size, header[0],
                           header[segmentation_at]);
    if (!s_.link_up) return;
    if (s_.pairs > 1) s_.steering[net::flow_hash(reader.front()) % s_.steering.size()] = static_cast<u8>(pair);
    if (reader.front().size() == size && offload->is_finished()) return backend_->send(reader.front());
    transmit_frame_.resize(size);
    reader.read(transmit_frame_);
    if (offload->is_finished()) return backend_->send(transmit_frame_);
    backend_->send_offloaded(transmit_frame_, *offload);
}

void Net::control() {
    Chain chain;
    for (unsigned i = 0; i < commands_per_notification; i++) {
        if (!pop(control_queue(), chain)) return;
        if (chain.writable_size() == 0) return needs_reset("a control command without room for its acknowledgement");
        ChainReader reader(chain);
        const u8 answer = command(reader) ? ack_ok : ack_error;
        ChainWriter(chain).store<u8>(answer);
        push(control_queue(), chain, 1);
    }
    later(control_queue());
}

bool Net::command(ChainReader& reader) {
    const auto kind = reader.load<u8>();
    const auto what = reader.load<u8>();
    if (!kind || !what) return false;
    if (*kind == class_rx) {
        const auto on = reader.load<u8>();
        return on && set_mode(*what, *on != 0);
    }
    if (*kind == class_mq) return *what == mq_vq_pairs_set && set_pairs(reader);
    if (*kind != class_mac) return false;
    if (*what == mac_table_set) return set_tables(reader);
    if (*what != mac_addr_set || reader.remaining() != mac_size) return false;
    reader.read(s_.mac);
    show();
    return true;
}

bool Net::set_mode(u8 command, bool on) {
    Filter& filter = s_.filter;
    switch (command) {
        case rx_promisc: filter.promiscuous = on; return true;
        case rx_allmulti: filter.all_multicast = on; return true;
        case rx_alluni: filter.all_unicast = on; return true;
        case rx_nomulti: filter.no_multicast = on; return true;
        case rx_nouni: filter.no_unicast = on; return true;
        case rx_nobcast: filter.no_broadcast = on; return true;
        default: return false;
    }
}

bool Net::set_pairs(ChainReader& reader) {
    const auto pairs = reader.load<u16>();
    if (!negotiated(f_mq) || !pairs || *pairs == 0 || *pairs > options_.queue_pairs) return false;
    s_.pairs = *pairs;
    return true;
}

bool Net::set_tables(ChainReader& reader) {
    Filter next = s_.filter;
    if (!read_table(reader, next.unicast, next.unicast_overflow)) return false;
    if (!read_table(reader, next.multicast, next.multicast_overflow)) return false;
    s_.filter = std::move(next);
    return true;
}

bool Net::read_table(ChainReader& reader, std::vector<u8>& table, bool& overflow) {
    const auto entries = reader.load<u32>();
    if (!entries || u64{*entries} * mac_size > reader.remaining()) return false;
    overflow = *entries > largest_table;
    table.resize(overflow ? 0 : *entries * mac_size);
    if (overflow)
        reader.skip(u64{*entries} * mac_size);
    else
        reader.read(table);
    return true;
}

Result<std::unique_ptr<Function>> make_net(DeviceSpec& spec, const Properties& properties, const Wiring& wiring) {
    Net::Options options;
    TRY_SET(options.mac, mac_address(properties));
    TRY_SET(const u64 size, properties.number("queue-size", options.queue_size, 4, Queue::largest));
    if (!is_power_of_two(size)) return properties.error("queue-size", "is not a power of two");
    options.queue_size = static_cast<u16>(size);
    TRY_SET(const u64 pairs, properties.number("queues", options.queue_pairs, 1, Net::most_pairs));
    options.queue_pairs = static_cast<u16>(pairs);
    TRY_SET(options.offloads, properties.on_off("offloads", options.offloads));
    if (properties.text("host_mtu")) {
        TRY_SET(const u64 mtu, properties.number("host_mtu", 0, smallest_mtu, largest_mtu));
        options.mtu = static_cast<u16>(mtu);
    }
    if (spec.net == nullptr) return Error{fmt::format("{}: no network is connected to it; use --net", spec.name)};
    return std::unique_ptr<Function>(std::make_unique<Net>(wiring, std::move(spec.net), options));
}

}  // namespace viv::virtio
