// Packets, the backlog and catching up; the tables of what each kind of device has. See input.h.
#include "engine/dev/virtio/input.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "engine/dev/virtio/create.h"

namespace viv::virtio {

using input::Kind;
using input::Press;

namespace {

enum Queues : u16 { event_queue = 0, status_queue = 1 };
constexpr u16 queue_size = 64;
constexpr usize event_size = 8;
constexpr usize longest_packet = 32;  // presses in one packet
constexpr unsigned status_per_notification = 256;

enum Select : u8 {
    select_id_name = 0x01,
    select_id_serial = 0x02,
    select_id_devids = 0x03,
    select_prop_bits = 0x10,
    select_ev_bits = 0x11,
    select_abs_info = 0x12,
};
enum ConfigOffset : usize { c_select = 0, c_subsel = 1, c_size = 2, c_payload = 8 };
constexpr u16 bus_virtual = 0x06, vendor = 0x5649;

struct Range {
    u16 first, last;
};
// What the keys of PC keyboards and their multimedia relatives send.
constexpr Range keyboard_keys[] = {{1, 83},    {85, 119},  {121, 143}, {150, 150}, {152, 152}, {155, 159}, {161, 161},
                                   {163, 166}, {172, 173}, {183, 194}, {217, 217}, {224, 226}, {248, 248}};
constexpr Range pointer_buttons[] = {{input::btn_left, input::btn_extra}};
constexpr u16 keyboard_leds[] = {input::led_num_lock, input::led_caps_lock, input::led_scroll_lock};
constexpr u16 mouse_axes[] = {input::rel_x, input::rel_y, input::rel_hwheel, input::rel_wheel};
constexpr u16 tablet_wheels[] = {input::rel_hwheel, input::rel_wheel};
constexpr u16 tablet_axes[] = {input::abs_x, input::abs_y};
constexpr u16 relative_codes[] = {input::rel_x, input::rel_y, input::rel_wheel, input::rel_hwheel};

struct Profile {
    std::string_view kind, name;
    u16 product;
    std::span<const Range> keys;
    std::span<const u16> relative, absolute, leds;
    bool repeats;
};
constexpr Profile profiles[] = {
    {"virtio-keyboard", "Vivarium Keyboard", 1, keyboard_keys, {}, {}, keyboard_leds, true},
    {"virtio-mouse", "Vivarium Mouse", 2, pointer_buttons, mouse_axes, {}, {}, false},
    {"virtio-tablet", "Vivarium Tablet", 3, pointer_buttons, tablet_wheels, tablet_axes, {}, false},
};
const Profile& profile(Kind kind) { return profiles[static_cast<usize>(kind)]; }

bool has(std::span<const u16> codes, u16 code) { return std::find(codes.begin(), codes.end(), code) != codes.end(); }

// Sets bits in `payload`; returns how many bytes hold them.
usize set_bits(std::span<u8> payload, std::span<const u16> codes) {
    usize size = 0;
    for (const u16 code : codes) {
        payload[code / 8u] = static_cast<u8>(payload[code / 8u] | 1u << (code % 8));
        size = std::max<usize>(size, code / 8u + 1);
    }
    return size;
}

u64 pack(u16 type, u16 code, u32 value) { return type | u64{code} << 16 | u64{value} << 32; }

}  // namespace

Input::Input(const Wiring& wiring, Kind kind, std::string serial)
    : Function(wiring, {DeviceId::input, profile(kind).kind, 0, {queue_size, queue_size}}),
      kind_(kind),
      serial_(std::move(serial)) {
    show_config();
}

bool Input::has_key(u16 code) const {
    const auto keys = profile(kind_).keys;
    return std::any_of(keys.begin(), keys.end(), [&](const Range& r) { return code >= r.first && code <= r.last; });
}

bool Input::key(u16 code, Press press) {
    if (!running() || !has_key(code)) return false;
    const bool down = press == Press::down;
    if (is_down(s_.wanted, code) == down) return true;
    set_down(s_.wanted, code, down);
    if (packet_.size() < longest_packet)
        packet_.push_back({input::ev_key, code, down ? 1u : 0u});
    else
        s_.behind = true;
    return true;
}

bool Input::add(Relative axis, i32 amount) {
    if (!running() || !has(profile(kind_).relative, relative_codes[axis])) return false;
    const i64 sum = i64{s_.moved[axis]} + amount;
    s_.moved[axis] =
        static_cast<i32>(std::clamp<i64>(sum, std::numeric_limits<i32>::min(), std::numeric_limits<i32>::max()));
    return true;
}

bool Input::move(i32 right, i32 down) { return add(x, right) && add(y, down); }

bool Input::wheel(i32 away, i32 right) { return add(vertical, away) && add(horizontal, right); }

bool Input::move_to(u32 to_x, u32 to_y) {
    if (!running() || profile(kind_).absolute.empty()) return false;
    s_.position = {std::min(to_x, input::absolute_maximum), std::min(to_y, input::absolute_maximum)};
    s_.position_known = true;
    return true;
}

void Input::flush() {
    if (!running()) return packet_.clear();
    // Behind already: order is lost, the sum is not.
    if (s_.behind || s_.backlog.size() + packet_.size() + relative_count + 3 > largest_backlog) {
        s_.behind = true;
        catch_up();
    } else {
        close_packet();
    }
    deliver();
}

void Input::release_all() {
    for (u16 code = 0; code < input::key_count; code++)
        if (is_down(s_.wanted, code)) key(code, Press::up);
    flush();
}

// Puts motion, the position and the presses of packet_ into the backlog, which has room for them.
void Input::close_packet() {
    const usize before = s_.backlog.size();
    for (usize axis = 0; axis < relative_count; axis++) {
        const i32 amount = std::exchange(s_.moved[axis], 0);
        if (amount != 0) s_.backlog.push_back(pack(input::ev_rel, relative_codes[axis], static_cast<u32>(amount)));
    }
    for (usize axis = 0; axis < 2 && s_.position_known; axis++)
        if (!s_.position_valid || s_.position[axis] != s_.position_told[axis])
            s_.backlog.push_back(pack(input::ev_abs, tablet_axes[axis], s_.position[axis]));
    if (s_.position_known) {
        s_.position_told = s_.position;
        s_.position_valid = true;
    }
    for (const Event& event : packet_) {
        s_.backlog.push_back(pack(event.type, event.code, event.value));
        set_down(s_.told, event.code, event.value != 0);
    }
    packet_.clear();
    if (s_.backlog.size() != before) s_.backlog.push_back(pack(input::ev_syn, 0, 0));
}

// Where the backlog has room: the difference between what the driver has heard and what is so, in whole packets.
void Input::catch_up() {
    packet_.clear();
    while (s_.behind && s_.backlog.size() + longest_packet + relative_count + 3 <= largest_backlog) {
        s_.behind = false;
        for (usize word = 0; word < key_words && !s_.behind; word++) {
            for (u64 left = s_.wanted[word] ^ s_.told[word]; left != 0 && !s_.behind; left &= left - 1) {
                const u16 code = static_cast<u16>(word * 64 + static_cast<usize>(std::countr_zero(left)));
                if (packet_.size() == longest_packet)
                    s_.behind = true;
                else
                    packet_.push_back({input::ev_key, code, is_down(s_.wanted, code) ? 1u : 0u});
            }
        }
        close_packet();
    }
}

void Input::deliver() {
    usize sent = 0, buffers = 0;
    while (sent < s_.backlog.size() && buffers < 2 * largest_backlog && pop(event_queue, chain_)) {
        buffers++;
        ChainWriter writer(chain_);
        if (chain_.writable_size() >= event_size)
            writer.store(s_.backlog[sent++]);
        else
            log().guest("an event buffer of {} bytes is too small and comes back empty", chain_.writable_size());
        fill(event_queue, chain_, writer.written());
    }
    s_.backlog.erase(s_.backlog.begin(), s_.backlog.begin() + static_cast<std::ptrdiff_t>(sent));
    if (buffers != 0) publish(event_queue);
    if (buffers == 2 * largest_backlog) later(event_queue);
}

void Input::notify(u16 queue) {
    if (queue == event_queue) {
        deliver();
        if (!s_.behind) return;
        catch_up();
        return deliver();
    }
    const u32 before = s_.leds;
    unsigned taken = 0;
    for (; taken < status_per_notification && pop(status_queue, chain_); taken++) {
        take_status(chain_);
        push(status_queue, chain_, 0);
    }
    if (taken == status_per_notification) later(status_queue);
    if (s_.leds != before && backend_ != nullptr) backend_->leds_changed(s_.leds);
}

void Input::take_status(const Chain& chain) {
    ChainReader reader(chain);
    for (unsigned events = 0; events < queue_size; events++) {
        const auto event = reader.load<u64>();
        if (!event) return;
        const u16 type = static_cast<u16>(*event), code = static_cast<u16>(*event >> 16);
        if (type == input::ev_led && has(profile(kind_).leds, code))
            s_.leds = static_cast<u32>(deposit(s_.leds, code, 1, *event >> 32 != 0 ? 1 : 0));
    }
}

void Input::config_written(u32 offset, std::span<const u8> bytes) {
    for (usize i = 0; i < bytes.size(); i++) {
        if (offset + i == c_select) s_.select = bytes[i];
        if (offset + i == c_subsel) s_.subselect = bytes[i];
    }
    show_config();
}

void Input::show_config() {
    config_.fill(0);
    config_[c_select] = s_.select;
    config_[c_subsel] = s_.subselect;
    config_[c_size] = static_cast<u8>(fill_config(std::span(config_).subspan(c_payload)));
}

// What the driver asks for with select and subsel; returns its size, 0 if there is no such thing.
usize Input::fill_config(std::span<u8> payload) const {
    const Profile& own = profile(kind_);
    const auto text = [&](std::string_view from) {
        const usize size = std::min(from.size(), payload.size());
        std::copy_n(from.begin(), size, payload.begin());
        return size;
    };
    if (s_.select == select_abs_info) {
        if (!has(own.absolute, s_.subselect)) return 0;
        store_le(payload.data() + 4, input::absolute_maximum);  // minimum, maximum, fuzz, flat, resolution
        return 20;
    }
    if (s_.select == select_ev_bits) {
        if (s_.subselect == input::ev_rel) return set_bits(payload, own.relative);
        if (s_.subselect == input::ev_abs) return set_bits(payload, own.absolute);
        if (s_.subselect == input::ev_led) return set_bits(payload, own.leds);
        if (s_.subselect == input::ev_rep) return own.repeats ? 1 : 0;  // no bits: it is enough to have the type
        if (s_.subselect != input::ev_key) return 0;
        std::vector<u16> codes;
        for (const Range& range : own.keys)
            for (u16 code = range.first; code <= range.last; code++) codes.push_back(code);
        return set_bits(payload, codes);
    }
    if (s_.subselect != 0) return 0;
    if (s_.select == select_id_name) return text(own.name);
    if (s_.select == select_id_serial) return text(serial_);
    if (s_.select == select_id_devids) {
        store_le(payload.data(), bus_virtual);
        store_le(payload.data() + 2, vendor);
        store_le(payload.data() + 4, own.product);
        store_le<u16>(payload.data() + 6, 1);
        return 8;
    }
    return 0;
}

void Input::device_reset() {
    const u32 before = s_.leds;
    s_ = {};
    packet_.clear();
    show_config();
    if (before != 0 && backend_ != nullptr) backend_->leds_changed(0);
}

void Input::device_state(Archive& a) {
    a(1, "select", s_.select);
    a(2, "subselect", s_.subselect);
    a(3, "leds", s_.leds, 7);
    a(4, "wanted", s_.wanted);
    a(5, "told", s_.told);
    a(6, "moved", s_.moved);
    a(7, "position", s_.position);
    a(8, "position_told", s_.position_told);
    a(9, "position_known", s_.position_known);
    a(10, "position_valid", s_.position_valid);
    a(11, "behind", s_.behind);
    a.numbers(12, "backlog", s_.backlog, largest_backlog);
    if (!a.loading()) return;
    packet_.clear();
    bool keys_good = true;
    for (u16 code = 0; code < input::key_count; code++)
        if (!has_key(code) && (is_down(s_.wanted, code) || is_down(s_.told, code))) keys_good = false;
    a.require(keys_good, "wanted", "holds a key that this device has not");
    const bool position_good = std::max({s_.position[0], s_.position[1]}) <= input::absolute_maximum;
    a.require(position_good, "position", "is out of range");
}

void Input::device_restored() {
    show_config();
    // Presses between two flushes are not saved apart: they are what `wanted` has and `told` has not.
    s_.behind = s_.behind || s_.wanted != s_.told;
    if (s_.behind) later(event_queue);
    if (backend_ != nullptr) backend_->leds_changed(s_.leds);
}

namespace {

Result<std::unique_ptr<Function>> make(Kind kind, const Properties& properties, const Wiring& wiring) {
    const auto serial = properties.text("serial").value_or("");
    if (serial.size() > Input::longest_serial)
        return properties.error("serial", fmt::format("is longer than {} bytes", Input::longest_serial));
    return std::unique_ptr<Function>(std::make_unique<Input>(wiring, kind, std::string(serial)));
}

}  // namespace

Result<std::unique_ptr<Function>> make_keyboard(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    return make(Kind::keyboard, properties, wiring);
}

Result<std::unique_ptr<Function>> make_mouse(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    return make(Kind::mouse, properties, wiring);
}

Result<std::unique_ptr<Function>> make_tablet(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    return make(Kind::tablet, properties, wiring);
}

}  // namespace viv::virtio
