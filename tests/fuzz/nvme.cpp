// A driver of an NVMe controller that does anything: registers, doorbells, commands of any content with pages and lists
// that are mostly in memory; the disk answers late now and then. Saving, loading and resets in between.
#include "engine/dev/storage/nvme.h"
#include "tests/dev/device_bench.h"
#include "tests/fuzz/fuzz_machine.h"
#include "tests/fuzz/late_disk.h"

using namespace viv;

namespace {

constexpr u64 base = fuzz::ram_base, ram_size = 512 << 10, data_area = base + 0x2'0000;
constexpr u16 entries = 8, queues = 3;

struct Rig {
    Rig() {
        if (!memory.add(base, ram_size, GuestMemory::Kind::ram, "ram")) std::abort();
        auto made = std::make_unique<fuzz::LateDisk>(late);
        disk = made.get();
        card = std::make_unique<Nvme>(CardWiring{port, bench.timers, bench.sink}, std::move(made), "fuzzed");
        card->write_config(0x04, 2, 6);
        start();
    }
    void put(u32 offset, unsigned size, u64 value) { card->bar(0).window->write(offset, size, value); }
    void start() {
        put(0x14, 4, 0);
        put(0x24, 4, (entries - 1) << 16 | (entries - 1));
        put(0x28, 8, base);
        put(0x30, 8, base + 0x1000);
        put(0x14, 4, 0x0046'0001);
        for (u16& tail : tails) tail = 0;
        for (u32 id = 1; id < queues; id++) {
            send(0, {5, 0, base + id * 0x2000 + 0x1000, 0, (entries - 1) << 16 | id, 3});
            send(0, {1, 0, base + id * 0x2000, 0, (entries - 1) << 16 | id, id << 16 | 1});
        }
    }
    struct Words {
        u32 first, space;
        u64 prp1, prp2;
        u32 w10, w11, w12 = 0, w13 = 0;
    };
    void send(u16 queue, const Words& words) {
        const u64 at = base + queue * 0x2000u + tails[queue] * 64u;
        bool good = port.store<u32>(at, words.first) && port.store<u32>(at + 4, words.space);
        good = good && port.store<u64>(at + 24, words.prp1) && port.store<u64>(at + 32, words.prp2);
        good = good && port.store<u32>(at + 40, words.w10) && port.store<u32>(at + 44, words.w11);
        good = good && port.store<u32>(at + 48, words.w12) && port.store<u32>(at + 52, words.w13);
        if (!good) std::abort();
        tails[queue] = static_cast<u16>((tails[queue] + 1) % entries);
        put(0x1000 + queue * 8u, 4, tails[queue]);
    }

    test::Bench bench;
    test::HeapMemory heap;
    GuestMemory memory{heap};
    Dma port{memory};
    bool late = false;
    fuzz::LateDisk* disk = nullptr;
    std::unique_ptr<Nvme> card;
    std::array<u16, queues> tails{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    Rig rig;
    fuzz::Tape tape({data, size});
    for (unsigned step = 0; step < 200 && !tape.done(); step++) {
        switch (tape.byte() % 10) {
            default: {
                const u8 what = tape.byte();
                const u16 queue = what % queues;
                Rig::Words words{};
                words.first = (tape.byte() & 0x0fu) | (bit(what, 7) ? u32{tape.byte()} << 4 : 0) |
                              static_cast<u32>(tape.byte() & 15) << 16;
                words.space = bit(what, 6) ? static_cast<u32>(tape.number(4)) : queue != 0;
                words.prp1 = data_area + tape.number(2) * 4;
                words.prp2 = data_area + (bit(what, 5) ? tape.byte() * 8u : tape.byte() * 0x1000u);
                words.w10 = static_cast<u32>(tape.number(queue == 0 ? 4 : 2));
                words.w11 = queue == 0 ? static_cast<u32>(tape.number(4)) : bit(what, 4) ? tape.byte() : 0u;
                words.w12 = static_cast<u32>(tape.number(2));
                rig.send(queue, words);
                break;
            }
            case 1: {
                const u32 offset = static_cast<u32>(tape.byte() & 0x3c);
                rig.put(offset, 4, tape.number(4));
                break;
            }
            case 2: {
                const u32 offset = 0x1000 + (tape.byte() & 15u) * 4;
                rig.put(offset, 4, tape.byte() % 12);
                break;
            }
            case 3: rig.late = !rig.late; break;
            case 4: rig.disk->complete(); break;
            case 5: {
                const auto saved = test::save(*rig.card);
                if (!test::load(*rig.card, saved)) std::abort();
                break;
            }
            case 6: rig.bench.advance(u64{tape.byte()} * 1000); break;
            case 7: rig.start(); break;
            case 8: {  // a list of pages
                const u64 at = data_area + tape.byte() * 8u;
                for (u64 i = 0, count = tape.byte(); i < count; i++)
                    if (!rig.port.store<u64>(at + i * 8, data_area + (tape.byte() & 0x3f) * 0x1000u)) std::abort();
                break;
            }
            case 9:
                for (u16 queue = 0; queue < queues; queue++) {
                    const u32 head = tape.byte() % entries;
                    rig.put(0x1004 + queue * 8u, 4, head);
                }
                break;
        }
    }
    std::vector<u8> saved = test::save(*rig.card);
    for (unsigned i = 0; i < 4; i++) saved[tape.number(2) % saved.size()] ^= tape.byte();
    if (test::load(*rig.card, saved)) rig.bench.advance(1'000'000);
    rig.disk->complete();
    return 0;
}
