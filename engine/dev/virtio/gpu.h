// virtio-gpu in 2D mode: a display adapter with up to sixteen outputs. OASIS virtio 1.2, section 5.7.
// Promises: each command is complete when its response is published, fenced or not. All pictures and resources together
// stay within `maximum_host_memory`; every rectangle, length and count is checked before it is used. What outputs show
// is a display::Surface each. A saved machine carries its resources; surfaces are drawn again from them.
#pragma once

#include <array>
#include <map>
#include <span>
#include <vector>

#include "engine/dev/display/surface.h"
#include "engine/dev/virtio/gpu_resource.h"
#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Gpu final : public Function, public display::DisplayDevice {
public:
    static constexpr unsigned most_outputs = 16;
    static constexpr u64 default_host_memory = u64{256} << 20;
    static constexpr u64 least_host_memory = u64{1} << 20;
    static constexpr u64 most_host_memory = u64{2} << 30;
    static constexpr usize most_resources = 16384;

    enum class Edid : u8 { offered, hidden };
    struct Options {
        unsigned outputs = 1;  // 1 to most_outputs; the first is plugged in, others when a host prefers a size
        u32 width = 1280, height = 800;  // the preferred size at first
        u64 maximum_host_memory = default_host_memory;
        Edid edid = Edid::offered;
    };
    Gpu(const Wiring& wiring, const Options& options);

    display::DisplayDevice* display() override { return this; }
    unsigned outputs() const override { return static_cast<unsigned>(outputs_.size()); }
    const display::Surface& surface(unsigned output) const override { return outputs_[output].surface; }
    void prefer_size(unsigned output, u32 width, u32 height) override;

    u64 host_memory_used() const { return memory_used_; }

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void config_written(u32 offset, std::span<const u8> bytes) override;
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;

private:
    // The `type` of a response.
    enum class Answer : u32;
    struct Output {
        display::Surface surface;
        u32 preferred_width = 0, preferred_height = 0;  // zero: no monitor
        u32 resource = 0;                               // shown here; 0: none
        display::Rectangle area;                        // the part of it that is
    };

    u64 answer(u16 queue, const Chain& chain);
    Answer execute(u16 queue, u32 type, ChainReader& in);
    Answer get_display_info();
    Answer get_edid(ChainReader& in);
    Answer create_2d(ChainReader& in);
    Answer unref(ChainReader& in);
    Answer set_scanout(ChainReader& in);
    Answer flush(ChainReader& in);
    Answer transfer(ChainReader& in);
    Answer attach_backing(ChainReader& in);
    Answer detach_backing(ChainReader& in);
    Answer move_cursor(u32 type, ChainReader& in);

    gpu::Resource* find(u32 id);
    bool reserve(u64 bytes) const { return bytes <= maximum_memory_ - memory_used_; }
    void count_memory();
    void turn_off(Output& output);
    void show(Output& output, const display::Rectangle& area);
    void show_config();
    void output_state(Archive& a, Output& output);
    void resources_state(Archive& a);

    static constexpr usize config_size = 16;
    u64 maximum_memory_;
    std::array<u8, config_size> config_{};
    std::vector<Output> outputs_;
    std::map<u32, gpu::Resource> resources_;
    u32 events_ = 0;       // events_read
    u64 memory_used_ = 0;  // by resources and surfaces
    u64 work_ = 0;         // bytes moved by the command in progress
    Chain chain_;
    std::vector<u8> payload_;  // of the response, after its header
};

}  // namespace viv::virtio
