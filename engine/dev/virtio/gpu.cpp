// Commands in, responses out. Layouts are those of struct virtio_gpu_*; see gpu.h.
#include "engine/dev/virtio/gpu.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/dev/display/edid.h"
#include "engine/dev/virtio/create.h"
#include "engine/lang/check.h"

namespace viv::virtio {

using display::Rectangle;
using gpu::cursor_side;
using gpu::Format;
using gpu::Resource;
using gpu::surface_size;

namespace {

enum Queues : u16 { control_queue = 0, cursor_queue = 1 };
constexpr u16 control_queue_size = 256, cursor_queue_size = 16;
constexpr unsigned f_edid = 1;

enum Command : u32 {
    cmd_get_display_info = 0x0100,
    cmd_resource_create_2d,
    cmd_resource_unref,
    cmd_set_scanout,
    cmd_resource_flush,
    cmd_transfer_to_host_2d,
    cmd_resource_attach_backing,
    cmd_resource_detach_backing,
    cmd_get_capset_info,
    cmd_get_capset,
    cmd_get_edid,
    cmd_update_cursor = 0x0300,
    cmd_move_cursor,
};
enum ConfigOffset : usize { c_events_read = 0, c_events_clear = 4, c_num_scanouts = 8, c_num_capsets = 12 };
constexpr u32 event_display = 1;
constexpr u32 flag_fence = 1;
constexpr usize header_size = 24;
constexpr usize edid_room = 1024;
constexpr u64 work_per_notification = u64{64} << 20;  // bytes moved, then the rest waits for the timers
constexpr u64 work_per_command = u64{16} << 10;       // what a command counts for at least

// The fields of a command, copied in order. Short commands read as zeros and are not complete.
class Fields {
public:
    explicit Fields(ChainReader& in) : in_(in) {}
    template <class T = u32>
    T next() {
        const auto value = in_.load<T>();
        if (!value) complete_ = false;
        return value.value_or(T{});
    }
    Rectangle rectangle() {
        const u32 x = next(), y = next(), width = next(), height = next();
        return {x, y, width, height};
    }
    bool complete() const { return complete_; }

private:
    ChainReader& in_;
    bool complete_ = true;
};

template <class T>
void append(std::vector<u8>& to, T value) {
    u8 raw[sizeof(T)];
    store_le(raw, value);
    to.insert(to.end(), raw, raw + sizeof raw);
}

u32 to_mode(u32 side) { return std::clamp(side, display::smallest_mode, display::largest_mode); }

}  // namespace

enum class Gpu::Answer : u32 {
    ok_nodata = 0x1100,
    ok_display_info = 0x1101,
    ok_edid = 0x1104,
    err_unspec = 0x1200,
    err_out_of_memory = 0x1201,
    err_invalid_scanout_id = 0x1202,
    err_invalid_resource_id = 0x1203,
    err_invalid_parameter = 0x1205,
};

Gpu::Gpu(const Wiring& wiring, const Options& options)
    : Function(wiring, {DeviceId::gpu,
                        "virtio-gpu",
                        options.edid == Edid::offered ? feature(f_edid) : 0,
                        {control_queue_size, cursor_queue_size}}),
      maximum_memory_(options.maximum_host_memory),
      outputs_(options.outputs) {
    CHECK(options.outputs >= 1 && options.outputs <= most_outputs && maximum_memory_ <= most_host_memory);
    outputs_[0].preferred_width = to_mode(options.width);
    outputs_[0].preferred_height = to_mode(options.height);
    show_config();
}

void Gpu::show_config() {
    store_le(&config_[c_events_read], events_);
    store_le(&config_[c_num_scanouts], static_cast<u32>(outputs_.size()));
}

void Gpu::config_written(u32 offset, std::span<const u8> bytes) {
    if (offset != c_events_clear || bytes.size() != 4) return;
    events_ &= ~load_le<u32>(bytes.data());
    show_config();
}

void Gpu::prefer_size(unsigned output, u32 width, u32 height) {
    CHECK(output < outputs_.size());
    const bool plugged = width != 0 && height != 0;
    Output& at = outputs_[output];
    const u32 new_width = plugged ? to_mode(width) : 0, new_height = plugged ? to_mode(height) : 0;
    if (at.preferred_width == new_width && at.preferred_height == new_height) return;
    at.preferred_width = new_width;
    at.preferred_height = new_height;
    events_ |= event_display;
    show_config();
    config_changed();
}

void Gpu::notify(u16 queue) {
    u64 work = 0;
    while (work < work_per_notification) {
        if (!pop(queue, chain_)) return;
        work += std::max(answer(queue, chain_), work_per_command);
    }
    later(queue);
}

// Returns the number of bytes that were moved.
u64 Gpu::answer(u16 queue, const Chain& chain) {
    ChainReader in(chain);
    Fields header(in);
    const u32 type = header.next(), flags = header.next();
    const u64 fence = header.next<u64>();
    const u32 context = header.next();
    header.next();  // ring index: of 3D contexts
    payload_.clear();
    work_ = 0;
    Answer answer = header.complete() ? execute(queue, type, in) : Answer::err_unspec;
    ChainWriter out(chain);
    if (out.remaining() >= header_size && out.remaining() < header_size + payload_.size()) {
        log().guest("command {:#x} leaves {} bytes for a response of {}", type, out.remaining(),
                    header_size + payload_.size());
        payload_.clear();
        answer = Answer::err_unspec;
    }
    // The cursor queue's commands usually come without room: then there is no response.
    if (out.remaining() >= header_size) {
        out.store(static_cast<u32>(answer));
        out.store(flags & flag_fence);
        out.store((flags & flag_fence) != 0 ? fence : u64{0});
        out.store((flags & flag_fence) != 0 ? context : u32{0});
        out.store(u32{0});
        out.write(payload_);
    }
    push(queue, chain, out.written());
    return work_;
}

Gpu::Answer Gpu::execute(u16 queue, u32 type, ChainReader& in) {
    if (queue == cursor_queue) {
        if (type == cmd_update_cursor || type == cmd_move_cursor) return move_cursor(type, in);
        log().guest("command {:#x} on the cursor queue", type);
        return Answer::err_unspec;
    }
    switch (type) {
        case cmd_get_display_info: return get_display_info();
        case cmd_resource_create_2d: return create_2d(in);
        case cmd_resource_unref: return unref(in);
        case cmd_set_scanout: return set_scanout(in);
        case cmd_resource_flush: return flush(in);
        case cmd_transfer_to_host_2d: return transfer(in);
        case cmd_resource_attach_backing: return attach_backing(in);
        case cmd_resource_detach_backing: return detach_backing(in);
        case cmd_get_edid: return get_edid(in);
        default: break;
    }
    log().guest("command {:#x} is none of 2D mode", type);
    return Answer::err_unspec;
}

Resource* Gpu::find(u32 id) {
    const auto found = resources_.find(id);
    return found == resources_.end() ? nullptr : &found->second;
}

void Gpu::count_memory() {
    memory_used_ = 0;
    for (const auto& [id, resource] : resources_) memory_used_ += resource.cost();
    for (const Output& output : outputs_) memory_used_ += surface_size(output.area.width, output.area.height);
}

Gpu::Answer Gpu::get_display_info() {
    u32 left = 0;
    for (unsigned i = 0; i < most_outputs; i++) {
        const bool exists = i < outputs_.size();
        const u32 width = exists ? outputs_[i].preferred_width : 0, height = exists ? outputs_[i].preferred_height : 0;
        for (const u32 field : {left, u32{0}, width, height, u32{width != 0}, u32{0}}) append(payload_, field);
        left += width;
    }
    return Answer::ok_display_info;
}

Gpu::Answer Gpu::get_edid(ChainReader& in) {
    Fields fields(in);
    const u32 output = fields.next();
    fields.next();
    if (!fields.complete() || !negotiated(f_edid)) return Answer::err_unspec;
    if (output >= outputs_.size()) return Answer::err_invalid_scanout_id;
    const Output& from = outputs_[output];
    const bool plugged = from.preferred_width != 0;
    append(payload_, plugged ? u32{sizeof(display::Edid)} : u32{0});
    append(payload_, u32{0});
    payload_.resize(payload_.size() + edid_room);
    if (!plugged) return Answer::ok_edid;
    const auto edid = display::make_edid(from.preferred_width, from.preferred_height, output);
    std::copy(edid.begin(), edid.end(), payload_.end() - edid_room);
    return Answer::ok_edid;
}

Gpu::Answer Gpu::create_2d(ChainReader& in) {
    Fields fields(in);
    const u32 id = fields.next();
    const Format format{fields.next()};
    const u32 width = fields.next(), height = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    if (id == 0 || find(id) != nullptr) return Answer::err_invalid_resource_id;
    const bool good = width != 0 && height != 0 && width <= gpu::largest_side && height <= gpu::largest_side;
    if (!good || !gpu::is_known(format)) {
        log().guest("a resource of {}x{}, format {}, is not possible", width, height, static_cast<u32>(format));
        return Answer::err_invalid_parameter;
    }
    if (resources_.size() >= most_resources || !reserve(Resource::cost(width, height))) {
        log().guest("no room for a resource of {}x{}: {} of {} bytes are used (max_hostmem)", width, height,
                    memory_used_, maximum_memory_);
        return Answer::err_out_of_memory;
    }
    work_ = surface_size(width, height);
    resources_.emplace(id, Resource(format, width, height));
    count_memory();
    return Answer::ok_nodata;
}

void Gpu::turn_off(Output& output) {
    output.resource = 0;
    output.area = {};
    output.surface.resize(0, 0);
}

Gpu::Answer Gpu::unref(ChainReader& in) {
    Fields fields(in);
    const u32 id = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    if (find(id) == nullptr) return Answer::err_invalid_resource_id;
    for (Output& output : outputs_)
        if (output.resource == id) turn_off(output);
    resources_.erase(id);
    count_memory();
    return Answer::ok_nodata;
}

Gpu::Answer Gpu::set_scanout(ChainReader& in) {
    Fields fields(in);
    const Rectangle area = fields.rectangle();
    const u32 number = fields.next(), id = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    if (number >= outputs_.size()) return Answer::err_invalid_scanout_id;
    Output& output = outputs_[number];
    if (id == 0) {
        turn_off(output);
        count_memory();
        return Answer::ok_nodata;
    }
    const Resource* resource = find(id);
    if (resource == nullptr) return Answer::err_invalid_resource_id;
    if (area.empty() || !display::fits(area, resource->width(), resource->height()))
        return Answer::err_invalid_parameter;
    const u64 before = surface_size(output.area.width, output.area.height);
    const u64 after = surface_size(area.width, area.height);
    if (after > before && !reserve(after - before)) return Answer::err_out_of_memory;
    output.resource = id;
    output.area = area;
    output.surface.resize(area.width, area.height);
    count_memory();
    show(output, area);
    return Answer::ok_nodata;
}

// Draws what of `area`, in the resource's coordinates, the output shows.
void Gpu::show(Output& output, const Rectangle& area) {
    const Rectangle part = display::intersection(area, output.area);
    const Resource& resource = *find(output.resource);
    if (part.empty()) return;
    const Rectangle target{part.x - output.area.x, part.y - output.area.y, part.width, part.height};
    for (u32 row = 0; row < part.height; row++) {
        const auto from = resource.pixels(part.x, part.y + row, part.width);
        const auto to = output.surface.writable_row(target.y + row);
        gpu::convert(resource.format(), gpu::Alpha::opaque, from, to.subspan(target.x * gpu::pixel_size, from.size()));
    }
    output.surface.changed(target);
    work_ += surface_size(part.width, part.height);
}

Gpu::Answer Gpu::flush(ChainReader& in) {
    Fields fields(in);
    const Rectangle area = fields.rectangle();
    const u32 id = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    const Resource* resource = find(id);
    if (resource == nullptr) return Answer::err_invalid_resource_id;
    if (!display::fits(area, resource->width(), resource->height())) return Answer::err_invalid_parameter;
    for (Output& output : outputs_)
        if (output.resource == id) show(output, area);
    return Answer::ok_nodata;
}

Gpu::Answer Gpu::transfer(ChainReader& in) {
    Fields fields(in);
    const Rectangle area = fields.rectangle();
    const u64 offset = fields.next<u64>();
    const u32 id = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    Resource* resource = find(id);
    if (resource == nullptr || !resource->has_backing()) return Answer::err_invalid_resource_id;
    if (!resource->transfer(dma(), area, offset)) {
        log().guest("a transfer to resource {} leaves the resource, its backing or RAM", id);
        return Answer::err_invalid_parameter;
    }
    work_ = surface_size(area.width, area.height);
    return Answer::ok_nodata;
}

Gpu::Answer Gpu::attach_backing(ChainReader& in) {
    Fields fields(in);
    const u32 id = fields.next(), count = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    Resource* resource = find(id);
    if (resource == nullptr) return Answer::err_invalid_resource_id;
    if (resource->has_backing()) return Answer::err_unspec;
    if (count > gpu::most_backing_entries || in.remaining() < u64{count} * gpu::backing_entry_size) {
        log().guest("{} entries of backing with {} bytes to list them", count, in.remaining());
        return Answer::err_unspec;
    }
    if (!reserve(u64{count} * gpu::backing_entry_size)) return Answer::err_out_of_memory;
    std::vector<Resource::Backing> backing;
    backing.reserve(count);
    for (u32 i = 0; i < count; i++) {
        const u64 address = fields.next<u64>();
        const u32 length = fields.next();
        fields.next();
        if (length == 0) continue;
        if (dma().view(address, length).empty()) {
            log().guest("backing at {:#x}, {} bytes, is not RAM", address, length);
            return Answer::err_unspec;
        }
        backing.push_back({address, length});
    }
    resource->attach(std::move(backing));
    count_memory();
    return Answer::ok_nodata;
}

Gpu::Answer Gpu::detach_backing(ChainReader& in) {
    Fields fields(in);
    const u32 id = fields.next();
    if (!fields.complete()) return Answer::err_unspec;
    Resource* resource = find(id);
    if (resource == nullptr) return Answer::err_invalid_resource_id;
    if (!resource->has_backing()) return Answer::err_unspec;
    resource->detach();
    count_memory();
    return Answer::ok_nodata;
}

Gpu::Answer Gpu::move_cursor(u32 type, ChainReader& in) {
    Fields fields(in);
    const u32 number = fields.next(), x = fields.next(), y = fields.next();
    fields.next();
    const bool placed = fields.complete();
    const u32 id = fields.next(), hot_x = fields.next(), hot_y = fields.next();
    if (!placed || (type == cmd_update_cursor && !fields.complete())) return Answer::err_unspec;
    if (number >= outputs_.size()) return Answer::err_invalid_scanout_id;
    const Resource* resource = nullptr;
    if (type == cmd_update_cursor && id != 0) {
        resource = find(id);
        if (resource == nullptr) return Answer::err_invalid_resource_id;
        if (resource->width() != cursor_side || resource->height() != cursor_side) return Answer::err_invalid_parameter;
    }
    display::Cursor& cursor = outputs_[number].surface.change_cursor();
    cursor.x = static_cast<i32>(x);
    cursor.y = static_cast<i32>(y);
    if (type == cmd_move_cursor) return Answer::ok_nodata;
    cursor.visible = resource != nullptr;
    if (resource == nullptr) return Answer::ok_nodata;
    cursor.hot_x = std::min(hot_x, cursor_side - 1);
    cursor.hot_y = std::min(hot_y, cursor_side - 1);
    cursor.width = cursor.height = cursor_side;
    cursor.pixels.resize(surface_size(cursor_side, cursor_side));
    for (u32 row = 0; row < cursor_side; row++)
        gpu::convert(resource->format(), gpu::Alpha::kept, resource->pixels(0, row, cursor_side),
                     std::span(cursor.pixels).subspan(surface_size(cursor_side, row), surface_size(cursor_side, 1)));
    return Answer::ok_nodata;
}

void Gpu::device_reset() {
    // Monitors stay plugged in; what the guest made goes.
    for (Output& output : outputs_) {
        turn_off(output);
        display::Cursor none;
        none.generation = output.surface.cursor().generation + 1;
        output.surface.change_cursor() = none;
    }
    resources_.clear();
    events_ = 0;
    count_memory();
    show_config();
}

namespace {

// A number of bytes with an optional K, M or G.
std::optional<u64> parse_size(std::string_view text) {
    unsigned shift = 0;
    if (text.ends_with('K') || text.ends_with('k')) shift = 10;
    if (text.ends_with('M') || text.ends_with('m')) shift = 20;
    if (text.ends_with('G') || text.ends_with('g')) shift = 30;
    if (shift != 0) text.remove_suffix(1);
    u64 value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || value > ~u64{0} >> shift) return std::nullopt;
    return value << shift;
}

}  // namespace

Result<std::unique_ptr<Function>> make_gpu(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    Gpu::Options options;
    TRY_SET(const u64 outputs, properties.number("max_outputs", options.outputs, 1, Gpu::most_outputs));
    TRY_SET(const u64 width, properties.number("xres", options.width, display::smallest_mode, display::largest_mode));
    TRY_SET(const u64 height, properties.number("yres", options.height, display::smallest_mode, display::largest_mode));
    TRY_SET(const bool edid, properties.on_off("edid", true));
    options.outputs = static_cast<unsigned>(outputs);
    options.width = static_cast<u32>(width);
    options.height = static_cast<u32>(height);
    options.edid = edid ? Gpu::Edid::offered : Gpu::Edid::hidden;
    if (const auto text = properties.text("max_hostmem")) {
        const auto size = parse_size(*text);
        if (!size || *size < Gpu::least_host_memory || *size > Gpu::most_host_memory)
            return properties.error("max_hostmem", fmt::format("is '{}', but wants a size from 1M to 2G", *text));
        options.maximum_host_memory = *size;
    }
    return std::unique_ptr<Function>(std::make_unique<Gpu>(wiring, options));
}

}  // namespace viv::virtio
