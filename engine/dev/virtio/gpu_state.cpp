// What a saved display adapter carries: monitors, resources with their pixels, what is shown where, pointers. See
// gpu.h.
#include <algorithm>
#include <utility>

#include "engine/dev/display/edid.h"
#include "engine/dev/virtio/gpu.h"

namespace viv::virtio {

using display::Rectangle;
using gpu::cursor_side;
using gpu::Resource;
using gpu::surface_size;

void Gpu::output_state(Archive& a, Output& output) {
    a(1, "preferred_width", output.preferred_width, display::largest_mode);
    a(2, "preferred_height", output.preferred_height, display::largest_mode);
    a(3, "resource", output.resource);
    a(4, "x", output.area.x);
    a(5, "y", output.area.y);
    a(6, "width", output.area.width);
    a(7, "height", output.area.height);
    display::Cursor cursor = output.surface.cursor();
    a(8, "cursor_visible", cursor.visible);
    a(9, "cursor_x", cursor.x);
    a(10, "cursor_y", cursor.y);
    a(11, "cursor_hot_x", cursor.hot_x, cursor_side - 1);
    a(12, "cursor_hot_y", cursor.hot_y, cursor_side - 1);
    a.bytes(13, "cursor_pixels", cursor.pixels, surface_size(cursor_side, cursor_side));
    if (!a.loading()) return;
    const bool whole = cursor.pixels.size() == surface_size(cursor_side, cursor_side);
    a.require(whole || !cursor.visible, "cursor_pixels", "are too few");
    if (!whole) cursor.pixels.clear();
    cursor.visible = cursor.visible && whole;
    cursor.width = cursor.height = whole ? cursor_side : 0;
    cursor.generation++;
    output.surface.change_cursor() = std::move(cursor);
}

void Gpu::resources_state(Archive& a) {
    u32 count = static_cast<u32>(resources_.size());
    a(0, "count", count, most_resources);
    if (a.loading()) {
        resources_.clear();
        u64 used = 0;
        for (u32 i = 0; i < std::min<u32>(count, most_resources); i++) {
            bool there = false;
            a.section(static_cast<u16>(i + 1), "resource", [&](Archive& inner) {
                u32 id = 0;
                inner(1, "id", id);
                Resource resource;
                inner.section(2, "contents", [&](Archive& deep) { resource.state(deep, maximum_memory_ - used); });
                there = id != 0 && find(id) == nullptr && resource.valid() && resource.cost() <= maximum_memory_ - used;
                inner.require(there, "resource", "is not whole, not the only one of its number, or too large");
                if (!there) return;
                used += resource.cost();
                resources_.emplace(id, std::move(resource));
            });
            a.require(there, "resource", "is missing");
            if (!there) return;
        }
        return;
    }
    const auto put = [&](u16 tag, u32 id, Resource& resource) {
        a.section(tag, a.saving() ? "resource" : "*", [&](Archive& inner) {
            inner(1, "id", id);
            inner.section(2, "contents", [&](Archive& deep) { resource.state(deep, maximum_memory_); });
        });
    };
    u16 tag = 1;
    for (auto& [id, resource] : resources_) put(tag++, id, resource);
    Resource example;
    if (!a.saving()) put(1, 0, example);
}

void Gpu::device_state(Archive& a) {
    a(1, "events", events_);
    a.section(2, "resources", [&](Archive& inner) { resources_state(inner); });
    a.section(3, "outputs", [&](Archive& inner) {
        u32 count = outputs();
        inner(0, "count", count);
        inner.require(count == outputs(), "count", "differs: the device was configured with other outputs");
        for (unsigned i = 0; i < outputs(); i++)
            inner.section(static_cast<u16>(i + 1), "output", [&](Archive& deep) { output_state(deep, outputs_[i]); });
    });
    if (!a.loading()) return;
    for (Output& output : outputs_) {
        const Resource* resource = find(output.resource);
        const bool good = output.resource == 0 ? output.area == Rectangle{}
                                               : resource != nullptr && !output.area.empty() &&
                                                     display::fits(output.area, resource->width(), resource->height());
        a.require(good, "outputs", "show what is not there");
        if (!good) turn_off(output);
    }
    for (Output& output : outputs_) {
        count_memory();
        const bool room = memory_used_ <= maximum_memory_;
        a.require(room, "outputs", "need more memory than the device has");
        if (!room) turn_off(output);
    }
    count_memory();
}

void Gpu::device_restored() {
    show_config();
    for (Output& output : outputs_) {
        output.surface.resize(output.area.width, output.area.height);
        if (output.resource != 0) show(output, output.area);
    }
}

}  // namespace viv::virtio
