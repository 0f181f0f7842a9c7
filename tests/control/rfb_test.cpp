// Viewers of a display: handshakes, pixels in several formats and both encodings, changes of size, keys and pointers,
// and input that means harm.
#include "engine/control/rfb/session.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <optional>
#include <random>

#include "engine/control/rfb/keys.h"
#include "engine/control/rfb/wire.h"
#include "tests/control/fake_seat.h"

namespace viv::test {
namespace {

using display::Rectangle;
using rfb::get16;
using rfb::get32;
using rfb::put16;
using rfb::put32;

constexpr i32 zrle = 16, cursor_shape = -239, desktop_size = -223, qemu_keys = -258;

// A viewer that knows the protocol from the other side. Its picture has the pixel values that it was sent.
struct Viewer {
    explicit Viewer(FakeSeat& seat, std::string_view version = "RFB 003.008\n")
        : session(seat.seat(), "a machine", [this](std::string_view text) { in += text; }) {
        EXPECT_EQ(take(12), "RFB 003.008\n");
        say(version);
        if (!version.ends_with("7\n") && !version.ends_with("8\n")) {
            EXPECT_EQ(number(4), 1u);
        } else {
            EXPECT_EQ(take(2), std::string("\1\1"));
            say("\1");
            if (version == "RFB 003.008\n") {
                EXPECT_EQ(number(4), 0u);
            }
        }
        say("\1");
        width = number(2);
        height = number(2);
        format = take(16);
        EXPECT_EQ(take(number(4)), "a machine");
        EXPECT_TRUE(in.empty());
        picture.assign(usize{width} * height, 0);
        inflateInit(&stream);
    }
    ~Viewer() { inflateEnd(&stream); }
    Viewer(const Viewer&) = delete;
    Viewer& operator=(const Viewer&) = delete;

    void say(std::string_view text) { session.receive({reinterpret_cast<const u8*>(text.data()), text.size()}); }
    void say(const std::vector<u8>& bytes) { session.receive(bytes); }
    std::string take(usize count) {
        if (in.size() - done < count) ADD_FAILURE() << "only " << in.size() - done << " of " << count;
        auto text = in.substr(done, count);
        done += text.size();
        if (done == in.size()) {
            in.clear();
            done = 0;
        }
        return text;
    }
    u32 number(usize bytes) {
        u32 value = 0;
        for (const char c : take(bytes)) value = value << 8 | static_cast<u8>(c);
        return value;
    }

    void encodings(const std::vector<i32>& list) {
        std::vector<u8> message{2, 0};
        put16(message, static_cast<u32>(list.size()));
        for (const i32 each : list) put32(message, static_cast<u32>(each));
        say(message);
    }
    void wants(u8 bits, u8 depth, bool big_endian, std::array<u16, 3> most, std::array<u8, 3> shift) {
        std::vector<u8> message{0, 0, 0, 0, bits, depth, big_endian ? u8{1} : u8{0}, 1};
        for (const u16 each : most) put16(message, each);
        message.insert(message.end(), {shift[0], shift[1], shift[2], 0, 0, 0});
        say(message);
        pixel_bytes = bits / 8u;
        little = !big_endian;
    }
    void ask(bool incremental) {
        std::vector<u8> message{3, incremental ? u8{1} : u8{0}};
        for (const u32 each : {0u, 0u, width, height}) put16(message, each);
        say(message);
        session.service();
    }
    // The rectangles of one update.
    std::vector<Rectangle> update() {
        std::vector<Rectangle> all;
        EXPECT_EQ(number(2), 0u);
        const u32 count = number(2);
        for (u32 i = 0; i < count; i++) {
            const Rectangle area{number(2), number(2), number(2), number(2)};
            all.push_back(area);
            const i32 encoding = static_cast<i32>(number(4));
            seen.push_back(encoding);
            if (encoding == desktop_size) {
                width = area.width;
                height = area.height;
                picture.assign(usize{width} * height, 0);
            } else if (encoding == cursor_shape) {
                cursor = take(usize{area.width} * area.height * pixel_bytes);
                mask = take(usize{(area.width + 7) / 8} * area.height);
            } else if (encoding == zrle) {
                decode(area, take(number(4)));
            } else if (encoding == 0) {
                for (u32 y = 0; y < area.height; y++)
                    for (u32 x = 0; x < area.width; x++) at(area.x + x, area.y + y) = pixel(pixel_bytes);
            } else {
                EXPECT_EQ(encoding, qemu_keys);
            }
        }
        EXPECT_TRUE(in.empty());
        return all;
    }
    u32& at(u32 x, u32 y) { return picture.at(usize{y} * width + x); }

    // RFC 6143, 7.7.6.
    void decode(const Rectangle& area, const std::string& data) {
        std::string plain(usize{area.width} * area.height * 4 + 4096, '\0');
        stream.next_in = reinterpret_cast<u8*>(const_cast<char*>(data.data()));
        stream.avail_in = static_cast<uInt>(data.size());
        stream.next_out = reinterpret_cast<u8*>(plain.data());
        stream.avail_out = static_cast<uInt>(plain.size());
        ASSERT_EQ(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
        ASSERT_EQ(stream.avail_in, 0u);
        plain.resize(plain.size() - stream.avail_out);
        std::swap(in, plain);
        const usize after = std::exchange(done, 0);
        const usize compact = pixel_bytes == 4 ? 3 : pixel_bytes;
        for (u32 top = 0; top < area.height; top += 64)
            for (u32 left = 0; left < area.width; left += 64) {
                const u32 wide = std::min(64u, area.width - left), high = std::min(64u, area.height - top);
                const u32 kind = number(1);
                kinds.push_back(kind);
                ASSERT_LE(kind, 16u);
                std::vector<u32> palette;
                for (u32 i = 0; i < kind; i++) palette.push_back(pixel(compact));
                const u32 bits = kind == 2 ? 1 : kind <= 4 ? 2 : 4;
                for (u32 y = 0; y < high; y++) {
                    u32 held = 0, byte = 0;
                    for (u32 x = 0; x < wide; x++) {
                        u32& to = at(area.x + left + x, area.y + top + y);
                        if (kind == 0) {
                            to = pixel(compact);
                        } else if (kind == 1) {
                            to = palette[0];
                        } else {
                            if (held == 0) {
                                byte = number(1);
                                held = 8;
                            }
                            held -= bits;
                            to = palette.at(byte >> held & ((1u << bits) - 1));
                        }
                    }
                }
            }
        EXPECT_TRUE(in.empty());
        std::swap(in, plain);
        done = after;
    }
    u32 pixel(usize bytes) {
        const auto text = take(bytes);
        u32 value = 0;
        for (usize i = 0; i < bytes; i++) value |= u32{static_cast<u8>(text[i])} << 8 * (little ? i : bytes - 1 - i);
        return value;
    }

    std::string in;
    usize done = 0;  // of it
    rfb::Session session;
    u32 width = 0, height = 0;
    std::string format, cursor, mask;
    std::vector<u32> picture, kinds;
    std::vector<i32> seen;
    usize pixel_bytes = 4;
    bool little = true;
    z_stream stream{};
};

// Something in every tile: one colour, a few, many.
void draw(FakeDisplay& display) {
    display.shown.resize(200, 150);
    std::mt19937 random(7);
    for (u32 y = 0; y < 150; y++)
        for (u32 x = 0; x < 200; x++) {
            const u32 tile = y / 64 * 4 + x / 64;
            const u32 colours[] = {1, 2, 3, 4, 5, 16, 17, 4096, 2, 1, 9, 300};
            const u32 c = static_cast<u32>(random()) % colours[tile];
            display.paint({x, y, 1, 1}, static_cast<u8>(c * 37), static_cast<u8>(c * 91 + tile),
                          static_cast<u8>(c >> 4));
        }
}

u32 value_of(const FakeDisplay& display, u32 x, u32 y, std::array<u32, 3> most, std::array<u32, 3> shift) {
    const u8* pixel = &display.shown.row(y)[usize{4} * x];
    u32 value = 0;
    for (unsigned channel = 0; channel < 3; channel++)
        value |= (u32{pixel[2 - channel]} * most[channel] + 127) / 255 << shift[channel];
    return value;
}

TEST(Rfb, EveryVersionGetsThePicture) {
    FakeSeat seat;
    draw(seat.display);
    for (const char* version : {"RFB 003.003\n", "RFB 003.007\n", "RFB 003.008\n", "RFB 003.889\n"}) {
        Viewer viewer(seat, version);
        EXPECT_EQ(viewer.width, 200u);
        EXPECT_EQ(viewer.height, 150u);
        viewer.ask(false);
        EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 0, 200, 150}}));
        for (u32 y = 0; y < 150; y++)
            for (u32 x = 0; x < 200; x++)
                ASSERT_EQ(viewer.at(x, y), value_of(seat.display, x, y, {255, 255, 255}, {16, 8, 0}));
    }
}

TEST(Rfb, FormatsAndEncodings) {
    struct Format {
        u8 bits, depth;
        bool big_endian;
        std::array<u16, 3> most;
        std::array<u8, 3> shift;
    };
    const Format formats[] = {
        {32, 24, false, {255, 255, 255}, {16, 8, 0}}, {32, 24, false, {255, 255, 255}, {0, 8, 16}},
        {32, 24, true, {255, 255, 255}, {16, 8, 0}},  {16, 16, false, {31, 63, 31}, {11, 5, 0}},
        {16, 15, true, {31, 31, 31}, {10, 5, 0}},     {8, 8, false, {7, 7, 3}, {5, 2, 0}}};
    FakeSeat seat;
    draw(seat.display);
    for (const Format& format : formats) {
        for (const i32 encoding : {0, zrle}) {
            Viewer viewer(seat);
            viewer.wants(format.bits, format.depth, format.big_endian, format.most, format.shift);
            viewer.encodings({encoding, 0});
            viewer.ask(false);
            viewer.update();
            EXPECT_EQ(viewer.seen, std::vector<i32>{encoding});
            for (u32 y = 0; y < 150; y++)
                for (u32 x = 0; x < 200; x++)
                    ASSERT_EQ(viewer.at(x, y),
                              value_of(seat.display, x, y, {format.most[0], format.most[1], format.most[2]},
                                       {format.shift[0], format.shift[1], format.shift[2]}))
                        << x << "," << y << " bits " << int{format.bits} << " encoding " << encoding;
            if (encoding == zrle && format.bits == 32) {
                EXPECT_EQ(viewer.kinds, (std::vector<u32>{1, 2, 3, 4, 5, 16, 0, 0, 2, 1, 9, 0}));
            }
        }
    }
}

TEST(Rfb, CompactPixelsMayBeTheUpperBytes) {
    FakeSeat seat;
    draw(seat.display);
    rfb::PixelFormat format;
    format.shift = {24, 16, 8};
    const rfb::PixelWriter writer(format);
    rfb::Bytes out;
    writer.put_compact(out, 0x11223300);
    EXPECT_EQ(out, (rfb::Bytes{0x33, 0x22, 0x11}));
    writer.put(out, 0x11223300);
    EXPECT_EQ(out, (rfb::Bytes{0x33, 0x22, 0x11, 0x00, 0x33, 0x22, 0x11}));
}

TEST(Rfb, OnlyWhatHasChangedIsSentAndOnlyIfAsked) {
    FakeSeat seat;
    draw(seat.display);
    Viewer viewer(seat);
    viewer.encodings({zrle});
    viewer.ask(false);
    viewer.update();
    viewer.ask(true);
    EXPECT_TRUE(viewer.in.empty()) << "nothing has changed";
    seat.display.paint({10, 20, 3, 4}, 1, 2, 3);
    viewer.session.service();
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{10, 20, 3, 4}}));
    seat.display.paint({0, 0, 1, 1}, 9, 9, 9);
    viewer.session.service();
    EXPECT_TRUE(viewer.in.empty()) << "nothing was asked for";
    seat.display.paint({4, 5, 1, 1}, 9, 9, 9);
    viewer.ask(true);
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 0, 5, 6}}));
    EXPECT_EQ(viewer.at(4, 5), 0x090909u);
}

TEST(Rfb, LargePicturesComeInPieces) {
    FakeSeat seat;
    seat.display.shown.resize(2048, 1200);
    seat.display.paint({0, 0, 2048, 1200}, 1, 2, 3);
    Viewer viewer(seat);
    viewer.ask(false);
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 0, 2048, 512}}));
    viewer.ask(true);
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 512, 2048, 512}}));
    viewer.ask(true);
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 1024, 2048, 176}}));
    EXPECT_EQ(viewer.at(2047, 1199), 0x010203u);
}

TEST(Rfb, SizesChange) {
    FakeSeat seat;
    Viewer viewer(seat), fixed(seat);
    EXPECT_EQ(viewer.width, 640u) << "dark: the display is off";
    viewer.encodings({zrle, desktop_size});
    viewer.ask(false);
    viewer.update();
    fixed.ask(false);
    fixed.update();
    draw(seat.display);
    viewer.ask(true);
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 0, 200, 150}, {0, 0, 200, 150}}));
    EXPECT_EQ(viewer.at(199, 149), value_of(seat.display, 199, 149, {255, 255, 255}, {16, 8, 0}));
    fixed.ask(true);
    EXPECT_EQ(fixed.update(), (std::vector<Rectangle>{{0, 0, 200, 150}}));
    seat.display.shown.resize(0, 0);
    viewer.ask(true);
    EXPECT_EQ(viewer.update(), (std::vector<Rectangle>{{0, 0, 640, 480}, {0, 0, 640, 480}}));
    EXPECT_EQ(viewer.at(0, 0), 0u);
}

TEST(Rfb, ThePointersShape) {
    FakeSeat seat;
    draw(seat.display);
    auto& cursor = seat.display.shown.change_cursor();
    cursor.visible = true;
    cursor.width = 9;
    cursor.height = 2;
    cursor.hot_x = 4;
    cursor.hot_y = 1;
    cursor.pixels.assign(9 * 2 * 4, 0xff);
    cursor.pixels[4 * 9 + 3] = 0;  // the second row's first
    Viewer viewer(seat);
    viewer.encodings({cursor_shape});
    viewer.ask(true);
    EXPECT_EQ(viewer.update()[0], (Rectangle{4, 1, 9, 2}));
    EXPECT_EQ(viewer.mask, std::string("\xff\x80\x7f\x80"));
    seat.display.shown.change_cursor().visible = false;
    viewer.ask(true);
    EXPECT_EQ(viewer.update()[0], (Rectangle{4, 1, 0, 0}));
}

TEST(Rfb, KeysAndPointers) {
    FakeSeat seat;
    draw(seat.display);
    {
        Viewer viewer(seat);
        const auto key = [&](bool down, u32 keysym) {
            std::vector<u8> message{4, down ? u8{1} : u8{0}, 0, 0};
            put32(message, keysym);
            viewer.say(message);
        };
        const auto point = [&](u8 buttons, u32 x, u32 y) {
            std::vector<u8> message{5, buttons};
            put16(message, x);
            put16(message, y);
            viewer.say(message);
        };
        key(true, 'A');
        key(false, 'A');
        key(true, 0xff0d);
        key(true, 0x1234567);
        EXPECT_EQ(std::exchange(seat.told, {}), "+30 -30 +28 ");
        viewer.encodings({qemu_keys});
        viewer.ask(true);
        viewer.update();
        std::vector<u8> extended{255, 0, 0, 1};
        put32(extended, 'q');
        put32(extended, 0x1e);  // where a French keyboard has its q
        viewer.say(extended);
        EXPECT_EQ(std::exchange(seat.told, {}), "+30 ");
        point(1, 199, 0);
        point(0, 0, 149);
        EXPECT_EQ(std::exchange(seat.told, {}), "to 32767,0 +272 to 0,32767 -272 ");
        point(8, 0, 0);
        point(0, 0, 0);
        EXPECT_EQ(std::exchange(seat.told, {}), "to 0,0 wheel 1,0 to 0,0 ");
    }
    EXPECT_EQ(std::exchange(seat.told, {}), "-28 -30 -28 -30 -28 -30 ") << "whoever goes lets go, everywhere";
    seat.inputs.pop_back();
    Viewer viewer(seat);
    viewer.say(std::vector<u8>{5, 0, 0, 10, 0, 20});
    EXPECT_EQ(seat.told, "by 10,20 ");
}

TEST(Rfb, EveryKeyOfAUsKeyboardIsThere) {
    for (u32 c = ' '; c < 0x7f; c++) EXPECT_NE(rfb::key_of_keysym(c), 0) << c;
    EXPECT_EQ(rfb::key_of_keysym('1'), 2);
    EXPECT_EQ(rfb::key_of_keysym('='), 13);
    EXPECT_EQ(rfb::key_of_keysym('}'), 27);
    EXPECT_EQ(rfb::key_of_keysym('~'), 41);
    EXPECT_EQ(rfb::key_of_keysym('/'), 53);
    EXPECT_EQ(rfb::key_of_keysym(' '), 57);
    EXPECT_EQ(rfb::key_of_keysym(0), 0);
    EXPECT_EQ(rfb::key_of_qnum(0x1c), 28);
    EXPECT_EQ(rfb::key_of_qnum(0xc8), 103);
    EXPECT_EQ(rfb::key_of_qnum(0x54), 0);
    EXPECT_EQ(rfb::key_of_qnum(~0u), 0);
}

TEST(Rfb, WhatIsWrongEndsTheSession) {
    FakeSeat seat;
    draw(seat.display);
    const std::string hello = "RFB 003.008\n\1\1";
    const std::vector<std::string> wrong = {
        "GET / HTTP/1.1\r\n",
        std::string("RFB 003.008\n\2", 13),
        hello + "\x09",
        hello + std::string("\0\0\0\0\x18\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0", 20),  // 24 bits
        hello + std::string("\0\0\0\0\x20\x18\0\0\0\xff\0\xff\0\xff\x10\x08\0\0\0\0", 20),  // a colour map
        hello + std::string("\0\0\0\0\x20\x18\0\1\0\xff\0\xff\0\xff\x19\x08\0\0\0\0", 20),  // beyond the pixel
        hello + std::string("\0\0\0\0\x20\x18\0\1\0\xfe\0\xff\0\xff\x10\x08\0\0\0\0", 20),
    };
    for (const auto& text : wrong) {
        usize sent = 0;
        rfb::Session session(seat.seat(), "", [&](std::string_view more) { sent += more.size(); });
        session.receive({reinterpret_cast<const u8*>(text.data()), text.size()});
        EXPECT_TRUE(session.ended()) << text;
        const usize before = sent;
        session.receive(std::vector<u8>(100, 3));
        session.service();
        EXPECT_EQ(sent, before);
    }
    // A text of 4 GiB is passed over, not kept.
    Viewer viewer(seat);
    viewer.say(std::vector<u8>{6, 0, 0, 0, 0, 0, 0x40, 0});
    for (int i = 0; i < 16; i++) viewer.say(std::vector<u8>(1024, 9));
    viewer.ask(false);
    viewer.update();
    EXPECT_FALSE(viewer.session.ended());
}

}  // namespace
}  // namespace viv::test
