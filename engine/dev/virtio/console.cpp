// Ports and their control messages (virtio 1.2, 5.3.6). What a port still has to tell the guest is a set of flags, sent
// as control buffers appear, so that nothing queues up. See console.h.
#include "engine/dev/virtio/console.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/dev/virtio/create.h"
#include "engine/lang/check.h"

namespace viv::virtio {

namespace {

enum Feature : unsigned { f_size = 0, f_multiport = 1, f_emerg_write = 2 };

constexpr u16 control_receive_queue = 2, control_transmit_queue = 3;
constexpr u16 port_queue_size = 128, control_queue_size = 32;
constexpr usize c_cols = 0, c_rows = 2, c_max_nr_ports = 4, c_emerg_wr = 8;

enum ControlEvent : u16 {
    device_ready = 0,
    device_add = 1,
    port_ready = 3,
    console_port = 4,
    console_resize = 5,
    port_open = 6,
    port_name = 7,
};

// Messages that a port has yet to send, lowest first.
enum Pending : u8 { pending_add = 1, pending_console = 2, pending_resize = 4, pending_name = 8, pending_all = 15 };

constexpr u64 output_per_notification = u64{1} << 20;  // bytes
constexpr u64 output_per_chain = 64;                   // what an empty chain counts for
constexpr unsigned messages_per_notification = 256;
constexpr usize longest_name = 255;

// Port 0 has queues 0 and 1, the control channel 2 and 3, port n from 1 on 2n + 2 and 2n + 3.
u16 receive_queue_of(usize port) { return static_cast<u16>(port == 0 ? 0 : 2 * port + 2); }
usize port_of(u16 queue) { return queue < 2 ? 0 : (queue - 2u) / 2; }

Function::Identity identity(usize ports) {
    std::vector<u16> sizes{port_queue_size, port_queue_size, control_queue_size, control_queue_size};
    sizes.resize(4 + 2 * (ports - 1), port_queue_size);
    return {DeviceId::console, "virtio-serial", feature(f_size) | feature(f_multiport) | feature(f_emerg_write),
            std::move(sizes)};
}

}  // namespace

class Console::Port final : public ByteDevice {
public:
    Port(Console& console, usize index, PortOptions options)
        : console_(console),
          index_(index),
          name_(std::move(options.name)),
          backend_(options.backend),
          connected_(backend_ != nullptr) {}

    // The host's side.
    usize put(std::span<const u8> bytes) override {
        usize done = 0;
        if (guest_open_ && console_.running()) {
            while (done < bytes.size() && console_.pop(receive_queue(), input_)) {
                ChainWriter writer(input_);
                done += writer.write(bytes.subspan(done));
                console_.fill(receive_queue(), input_, writer.written());
            }
            console_.publish(receive_queue());
        }
        if (done < bytes.size()) input_refused_ = true;
        return done;
    }
    void room_for_output() override {
        if (holding_ && !pumping_) pump();
    }
    void host_connected(bool connected) override {
        connected_ = connected && backend_ != nullptr;
        console_.send_control();
        room_for_output();  // nobody may be left to wait for
    }

    // The guest's side.
    u16 receive_queue() const { return receive_queue_of(index_); }
    u16 transmit_queue() const { return static_cast<u16>(receive_queue() + 1); }
    void input_buffers_came() {
        if (guest_open_ && std::exchange(input_refused_, false) && backend_ != nullptr) backend_->input_wanted();
    }
    void pump();
    bool move_output();
    void set_guest_open(bool open) {
        if (guest_open_ == open) return;
        guest_open_ = open;
        if (backend_ != nullptr) backend_->guest_opened(open);
        if (open) input_buffers_came();
    }
    void write_at_once(u8 byte) {
        if (connected_) backend_->put(std::span(&byte, 1));
    }
    void drop_chains() { holding_ = false; }
    void reset() {
        set_guest_open(false);
        announced_ = told_open_ = false;
        pending_ = 0;
        output_taken_ = 0;
    }
    void restored() {
        input_refused_ = true;  // the backend may have waited
        if (backend_ != nullptr) backend_->guest_opened(guest_open_);
    }
    void state(Archive& a) {
        a(1, "guest_open", guest_open_);
        a(2, "announced", announced_);
        a(3, "told_open", told_open_);
        a(4, "pending", pending_, pending_all);
        a(5, "output_taken", output_taken_);
    }

    std::string_view name() const { return name_; }
    usize index() const { return index_; }
    bool open_differs() const { return announced_ && told_open_ != connected_; }

private:
    friend class Console;
    Console& console_;
    usize index_;
    std::string name_;
    ByteBackend* backend_;
    bool connected_;              // the host's end: belongs to the host, not to the machine
    bool input_refused_ = false;  // the backend waits for input_wanted()
    Chain input_;
    Chain output_;
    bool holding_ = false;  // output_ is popped and not yet taken whole
    bool pumping_ = false;  // inside pump(): a backend may call back from put()
    // State.
    bool guest_open_ = false;
    bool announced_ = false;  // the guest's driver knows the port and takes its messages
    bool told_open_ = false;  // what PORT_OPEN said last
    u8 pending_ = 0;
    u64 output_taken_ = 0;  // bytes of the held chain that the backend has
};

// Moves output from the guest's ring to the backend, until the one is empty or the other full.
void Console::Port::pump() {
    pumping_ = true;
    if (move_output()) console_.later(transmit_queue());
    pumping_ = false;
}

// True if there may be more to move.
bool Console::Port::move_output() {
    const u16 queue = transmit_queue();
    u64 work = 0;
    while (work < output_per_notification) {
        if (!holding_) {
            const bool again = console_.queue(queue).has_rewound();
            if (!console_.pop(queue, output_)) return false;
            holding_ = true;
            if (!again) output_taken_ = 0;
        }
        ChainReader reader(output_);
        reader.skip(connected_ ? output_taken_ : reader.remaining());
        while (reader.remaining() != 0) {
            const usize taken = std::min(backend_->put(reader.front()), reader.front().size());
            if (taken == 0) return false;  // room_for_output() goes on
            output_taken_ += taken;
            work += taken;
            reader.skip(taken);
        }
        holding_ = false;
        output_taken_ = 0;
        work += output_per_chain;
        console_.push(queue, output_, 0);
    }
    return true;
}

Console::Console(const Wiring& wiring, std::vector<PortOptions> ports) : Function(wiring, identity(ports.size())) {
    CHECK(!ports.empty() && ports.size() <= most_ports);
    for (usize i = 0; i < ports.size(); i++) ports_.push_back(std::make_unique<Port>(*this, i, std::move(ports[i])));
    store_le<u32>(&config_[c_max_nr_ports], static_cast<u32>(ports_.size()));
}

Console::~Console() = default;

ByteDevice* Console::port(std::string_view name) {
    const auto at = std::find_if(ports_.begin(), ports_.end(), [&](const auto& port) { return port->name() == name; });
    return at == ports_.end() ? nullptr : at->get();
}

void Console::show() {
    store_le<u16>(&config_[c_cols], columns_);
    store_le<u16>(&config_[c_rows], rows_);
}

void Console::resize(u16 columns, u16 rows) {
    if (columns == columns_ && rows == rows_) return;
    columns_ = columns;
    rows_ = rows;
    show();
    if (negotiated(f_size)) config_changed();
    if (!ports_[0]->announced_) return;
    ports_[0]->pending_ |= pending_resize;
    send_control();
}

void Console::config_written(u32 offset, std::span<const u8> bytes) {
    if (offset == c_emerg_wr) ports_[0]->write_at_once(bytes[0]);
}

void Console::driver_ready() {
    if (!negotiated(f_multiport)) ports_[0]->set_guest_open(true);
}

void Console::drop_chains() {
    for (auto& port : ports_) port->drop_chains();
}

void Console::device_reset() {
    for (auto& port : ports_) port->reset();
}

void Console::device_state(Archive& a) {
    a(1, "columns", columns_);
    a(2, "rows", rows_);
    a.section(3, "ports", [&](Archive& inner) {
        const bool describing = !inner.loading() && !inner.saving();  // one port stands for all
        for (usize i = 0; i < (describing ? 1 : ports_.size()); i++) inner(static_cast<u16>(i + 1), "port", *ports_[i]);
    });
}

void Console::device_restored() {
    show();
    bool news = false;
    for (auto& port : ports_) {
        port->restored();
        news = news || port->open_differs();
    }
    if (news) later(control_receive_queue);
}

void Console::notify(u16 queue) {
    if (queue == control_receive_queue) return send_control();
    if (queue == control_transmit_queue) return control_from_guest();
    Port& port = *ports_[port_of(queue)];
    if (queue == port.receive_queue()) return port.input_buffers_came();
    port.pump();
}

void Console::control_from_guest() {
    Chain chain;
    for (unsigned i = 0; i < messages_per_notification; i++) {
        if (!pop(control_transmit_queue, chain)) return;
        ChainReader reader(chain);
        const auto id = reader.load<u32>();
        const auto event = reader.load<u16>();
        const auto value = reader.load<u16>();
        push(control_transmit_queue, chain, 0);
        if (value)
            handle_control(*id, *event, *value);
        else
            log().guest("a control message of {} bytes is ignored", chain.readable_size());
    }
    later(control_transmit_queue);
}

void Console::handle_control(u32 id, u16 event, u16 value) {
    if (event == device_ready) {
        if (value == 1)
            for (auto& port : ports_) port->pending_ |= pending_add;
        return send_control();
    }
    if (id >= ports_.size()) return log().guest("control event {} for port {}, which does not exist", event, id);
    Port& port = *ports_[id];
    switch (event) {
        case port_ready:
            if (value != 1) return log().guest("the guest could not add port {}", id);
            port.announced_ = true;
            port.told_open_ = false;
            if (id == 0) port.pending_ |= columns_ != 0 ? pending_console | pending_resize : pending_console;
            port.pending_ |= pending_name;
            return send_control();
        case port_open: return port.set_guest_open(value != 0);
        default: return log().guest("control event {} is ignored", event);
    }
}

void Console::send_control() {
    if (!negotiated(f_multiport)) return;
    for (auto& port : ports_)
        while (port->pending_ != 0 || port->open_differs())
            if (!send_next(*port)) return;
}

// Sends a port's next message; false if there is no buffer for it.
bool Console::send_next(Port& port) {
    const u8 which = static_cast<u8>(port.pending_ & -port.pending_);
    Chain chain;
    if (!pop(control_receive_queue, chain)) return false;
    ChainWriter writer(chain);
    const auto message = [&](ControlEvent event, bool value) {
        writer.store<u32>(static_cast<u32>(port.index()));
        writer.store<u16>(event);
        writer.store<u16>(value);
    };
    switch (which) {
        case pending_add: message(device_add, true); break;
        case pending_console: message(console_port, true); break;
        case pending_resize:
            message(console_resize, true);
            writer.store<u16>(columns_);
            writer.store<u16>(rows_);
            break;
        case pending_name: {
            message(port_name, true);
            const auto name = port.name();
            writer.write(std::span(reinterpret_cast<const u8*>(name.data()), name.size()));
            break;
        }
        default:
            port.told_open_ = port.connected_;
            message(port_open, port.connected_);
            break;
    }
    port.pending_ = static_cast<u8>(port.pending_ & ~which);
    push(control_receive_queue, chain, writer.written());
    return true;
}

Result<std::unique_ptr<Function>> make_console(DeviceSpec& spec, const Properties&, const Wiring& wiring) {
    std::vector<Console::PortOptions> ports;
    for (const auto& port : spec.ports) {
        const auto same = [&](const auto& other) { return other.name == port.name; };
        if (port.name.empty() || port.name.size() > longest_name)
            return Error{fmt::format("{}: a port's name has 1 to {} characters, not {}", spec.name, longest_name,
                                     port.name.size())};
        if (std::any_of(ports.begin(), ports.end(), same))
            return Error{fmt::format("{}: two ports are named '{}'", spec.name, port.name)};
        ports.push_back({port.name, port.backend});
    }
    if (ports.size() > Console::most_ports)
        return Error{
            fmt::format("{}: {} ports are too many; it takes {}", spec.name, ports.size(), Console::most_ports)};
    if (ports.empty()) ports.push_back({"console", nullptr});
    return std::unique_ptr<Function>(std::make_unique<Console>(wiring, std::move(ports)));
}

}  // namespace viv::virtio
