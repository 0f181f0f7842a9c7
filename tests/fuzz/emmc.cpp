// A driver of an SD host controller with an eMMC that does anything: registers, commands in and out of order, lists of
// descriptors of arbitrary content, frames for the RPMB partition that are signed well enough to get far, saving and
// resets in between. The card and its disk are new for each input.
#include "engine/dev/storage/sdhci.h"
#include "tests/dev/device_bench.h"
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

namespace {

constexpr u64 base = fuzz::ram_base, list = base, buffer = base + 0x1000;
constexpr u32 dma = 1, counted = 2, auto_23 = 8, to_host = 16, multiple = 32, with_data = 0x3a;

struct Rig {
    Rig() {
        if (!memory.add(base, 128 << 10, GuestMemory::Kind::ram, "ram")) std::abort();
        auto disk = block::open_raw(std::make_unique<fuzz::MemoryDisk>(256 << 10), "disk", block::Access::read_write);
        auto volume = emmc::Volume::open(std::move(*disk), u64{0}, emmc::size_unit);
        if (!volume) std::abort();
        card = std::make_unique<Sdhci>(CardWiring{port, bench.timers, bench.sink}, std::move(*volume), 1);
        card->write_config(0x04, 2, 7);
    }
    void put(u32 offset, unsigned size, u64 value) { card->bar(0).window->write(offset, size, value); }
    u64 get(u32 offset, unsigned size) { return card->bar(0).window->read(offset, size); }
    void command(u32 index, u32 argument, u32 low) {
        put(0x08, 4, argument);
        put(0x0c, 4, low | index << 24);
        put(0x30, 4, ~u32{0});
    }
    void bring_up(u8 partition) {
        put(0x29, 1, 0x0f);
        put(0x2c, 2, 0x0105);
        put(0x34, 4, ~u32{0});
        put(0x38, 4, ~u32{0});
        for (const u32 index : {0u, 1u, 2u, 3u, 7u})
            command(index, index == 1 ? 0x4030'0000 : 0x1'0000, index == 0 ? 0 : index == 2 ? 0x9'0000 : 0x2'0000);
        command(6, 0x03b3'0000u | partition << 8, 0x1b'0000);
    }
    void transfer(u32 index, u32 argument, u32 blocks, u32 mode) {
        put(0x28, 1, 0x18);
        put(0x58, 8, list);
        put(0x00, 4, blocks | 1u << 31);
        put(0x04, 4, 0x7200u | (blocks & 0xffff) << 16);
        command(index, argument, mode | with_data << 16);
    }
    void send_frames(fuzz::Tape& tape) {
        const u8 kind = tape.byte();
        const u32 count = std::array<u32, 4>{1, 2, 32, 33}[kind >> 4 & 3];
        std::vector<u8> frames(count * 512);
        for (u32 i = 0; i < count; i++) {
            u8* const frame = &frames[i * 512];
            store_be<u32>(frame + 500, static_cast<u32>(tape.number(1)));
            store_be<u16>(frame + 504, static_cast<u16>(tape.number(2) % 600));
            store_be<u16>(frame + 506, static_cast<u16>(bit(kind, 7) ? tape.number(1) : count));
            store_be<u16>(frame + 510, kind & 7);
            frame[228] = tape.byte();
            if (i != 0 && !bit(kind, 6)) std::copy_n(&frames[500], 8, frame + 500);
        }
        const std::array<u8, 32> key{};
        std::vector<std::span<const u8>> pieces;
        for (u32 i = 0; i < count; i++) pieces.push_back(std::span(frames).subspan(i * 512 + 228, 284));
        const emmc::Digest mac = emmc::hmac_sha256(key, pieces);
        if ((kind & 7) != 1) std::copy(mac.begin(), mac.end(), &frames[(count - 1) * 512 + 196]);
        if (!port.write(buffer, frames) || !port.store<u32>(list, 0x23u | count * 512 << 16) ||
            !port.store<u64>(list + 4, buffer))
            std::abort();
        transfer(25, 0, count, dma | counted | multiple | auto_23);
    }

    test::Bench bench;
    test::HeapMemory heap;
    GuestMemory memory{heap};
    Dma port{memory};
    std::unique_ptr<Sdhci> card;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    Rig rig;
    fuzz::Tape tape({data, size});
    rig.bring_up(tape.byte() & 3);
    for (unsigned step = 0; step < 200 && !tape.done(); step++) {
        switch (tape.byte() % 10) {
            case 0: {
                const unsigned width = 1u << tape.byte() % 4;
                rig.put(tape.byte() & ~(width - 1), width, tape.number(width));
                break;
            }
            case 1: {
                const unsigned width = 1u << tape.byte() % 4;
                rig.get(tape.byte() & ~(width - 1), width);
                break;
            }
            case 2: {
                const u8 index = tape.byte();
                const u32 argument = static_cast<u32>(tape.number(4));
                rig.command(index & 0x3f, argument, static_cast<u32>(tape.number(3)));
                break;
            }
            case 3: {
                std::vector<u8> bytes(tape.byte());
                for (u8& byte : bytes) byte = tape.byte();
                if (!rig.port.write(list, bytes)) std::abort();
                break;
            }
            case 4: {
                const u64 address = list + tape.byte() % 8 * 12;
                const u32 attributes = static_cast<u32>(tape.number(4));
                if (!rig.port.store<u32>(address, attributes | 1) ||
                    !rig.port.store<u64>(address + 4, base + tape.number(2)))
                    std::abort();
                break;
            }
            case 5: {
                constexpr std::array<u8, 8> commands{17, 18, 24, 25, 8, 18, 25, 8};
                const u32 index = commands[tape.byte() % commands.size()];
                const u32 argument = static_cast<u32>(tape.number(2)) * 512;
                const u32 blocks = static_cast<u32>(tape.number(2));
                rig.transfer(index, argument, blocks, tape.byte() & 0x3f);
                break;
            }
            case 6: rig.send_frames(tape); break;
            case 7: {
                const u32 blocks = tape.byte();
                rig.transfer(18, 0, blocks, dma | counted | multiple | auto_23 | to_host);
                break;
            }
            case 8: {
                const auto saved = test::save(*rig.card);
                if (!test::load(*rig.card, saved)) std::abort();
                break;
            }
            default: rig.bench.advance(u64{tape.byte()} * 1000); break;
        }
    }
    rig.bench.advance(1'000'000);
    std::vector<u8> saved = test::save(*rig.card);
    for (unsigned i = 0; i < 4; i++) saved[tape.number(2) % saved.size()] ^= tape.byte();
    if (test::load(*rig.card, saved)) rig.bench.advance(1'000'000);
    return 0;
}
