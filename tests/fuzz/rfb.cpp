// A viewer of the display: bytes after a handshake or instead of one, while the picture changes.
#include "tests/control/fake_seat.h"

using namespace viv;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    test::FakeSeat seat;
    seat.display.shown.resize(96, 80);
    usize sent = 0;
    rfb::Session session(seat.seat(), "fuzz", [&](std::string_view text) { sent += text.size(); });
    if (size == 0) return 0;
    static constexpr std::string_view hello = "RFB 003.008\n\1\1";
    if (data[0] % 8 != 0) session.receive({reinterpret_cast<const u8*>(hello.data()), hello.size()});
    const std::span<const u8> input(data + 1, size - 1);
    for (usize at = 0; at < input.size(); at += 64) {
        const auto part = input.subspan(at, std::min<usize>(64, input.size() - at));
        session.receive(part);
        if (part[0] % 16 == 0) seat.display.shown.resize(part[0] * 2u, part.back());
        const u32 width = seat.display.shown.width(), height = seat.display.shown.height();
        if (width > 0 && height > 0) seat.display.paint({part.back() % width, part[0] % height, 1, 1}, part[0], 1, 2);
        session.service();
        seat.told.clear();
    }
    return 0;
}
