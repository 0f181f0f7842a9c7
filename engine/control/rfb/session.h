// A viewer of the machine's display by the Remote Framebuffer protocol, 3.3 to 3.8 (RFC 6143; "VNC"), for any
// transport: bytes in, bytes out. Its keyboard and pointer go to the guest's.
// Promises: input of any size and content costs bounded memory and ends the session at worst; what is sent is asked for
// by the viewer, a bounded piece at a time; no key stays pressed when a viewer goes. There is no authentication: who
// may connect is the transport's affair.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/rfb/pixels.h"
#include "engine/control/rfb/zrle.h"
#include "engine/dev/display/surface.h"
#include "engine/dev/input/events.h"

namespace viv::rfb {

class Session {
public:
    using Send = std::function<void(std::string_view bytes)>;
    // Of a board, which outlives it: the first display's first output is shown; without one the picture is dark.
    struct Seat {
        std::span<display::DisplayDevice* const> displays;
        std::span<input::InputDevice* const> inputs;
    };
    // `name`: for the viewer's window.
    Session(const Seat& seat, std::string name, Send send);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Between slices, both: bytes from the viewer, cut anywhere; and what the guest has drawn since the last call.
    void receive(std::span<const u8> bytes);
    void service();
    // The viewer has broken the protocol or wants what there is not; nothing more is taken or sent.
    bool ended() const { return ended_; }

private:
    static constexpr u32 most_pixels = 1 << 20;                // of one update
    static constexpr u32 dark_width = 640, dark_height = 480;  // while there is no picture

    enum class Phase : u8 { version, security, client_init, messages };

    usize take(std::span<const u8> bytes);
    usize take_message(std::span<const u8> bytes);
    void take_encodings(std::span<const u8> list);
    void take_key(bool down, u16 code);
    void take_pointer(u32 buttons, u32 x, u32 y);
    void greet(std::string_view minor);
    void begin();
    const display::Surface& surface() const;
    input::InputDevice* pointer() const;
    void note_changes();
    void send_update();
    void add_rectangle(const display::Rectangle& area, i32 encoding);
    void add_pixels(const display::Rectangle& area);
    void add_cursor();
    void flush();

    Seat seat_;
    std::string name_;
    Send send_;
    display::Surface dark_;
    Phase phase_ = Phase::version;
    bool ended_ = false;
    bool tells_result_ = false;  // of security: version 3.8
    std::vector<u8> input_;
    u64 skip_ = 0;  // bytes of a text that nobody wants
    std::vector<u8> out_;
    u8 rectangles_ = 0;  // in the update that is being made

    PixelFormat format_;
    PixelWriter writer_{format_};
    ZrleEncoder zrle_;
    bool takes_zrle_ = false, takes_size_ = false, takes_cursor_ = false, takes_qnums_ = false;
    bool qnums_told_ = false;

    u32 width_ = 0, height_ = 0;  // as the viewer knows them
    const display::Surface* shown_ = nullptr;
    u64 seen_ = 0;  // of its generations
    u64 cursor_seen_ = 0;
    display::Rectangle stale_;  // what the viewer does not have
    bool asked_ = false;

    std::set<u16> pressed_;
    u32 buttons_ = 0, x_ = 0, y_ = 0;
};

}  // namespace viv::rfb
