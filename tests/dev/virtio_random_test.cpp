// Every virtio device of the catalogue against a driver that means harm: random chains of random bytes with wild
// lengths, addresses, loops and heads in every queue, random configuration writes, resets, saves and loads in between.
// Nothing may crash, hang, or leave guest RAM; 200,000 rounds in all.
#include <gtest/gtest.h>

#include <random>

#include "engine/dev/cards.h"
#include "engine/dev/catalog.h"
#include "engine/dev/scsi/create.h"
#include "engine/dev/virtio/create.h"
#include "engine/lang/hash.h"
#include "tests/dev/p9_memory_folder.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

// Reads zeroes, keeps nothing, and completes some requests late.
class LateDisk final : public block::Disk {
public:
    u64 size() const override { return 1 << 20; }
    bool read_only() const override { return false; }
    void submit(block::Request request) override {
        waiting_.push_back(std::move(request));
        if (++submitted_ % 3 == 0) return;
        auto ready = std::exchange(waiting_, {});
        for (auto& one : ready) {
            if (one.operation == block::Operation::read)
                for (const auto& segment : one.segments) std::fill(segment.begin(), segment.end(), u8{0});
            one.done(block::Status::ok);
        }
    }
    void abandon() override { waiting_.clear(); }

private:
    std::vector<block::Request> waiting_;
    unsigned submitted_ = 0;
};

class FullBackend final : public ByteBackend {
public:
    usize put(std::span<const u8> bytes) override { return bytes.size() > 100 ? 100 : bytes.size() / 2; }
    void input_wanted() override {}
};

class Attack {
public:
    Attack(std::string_view name, Via via)
        : name_(name),
          via_(via),
          random_(hash64(std::span(reinterpret_cast<const u8*>(name.data()), name.size()))),
          rig_(make()) {}

    void run(unsigned rounds) {
        for (u64 at = buffers; at < buffers + 0x1'0000; at += 8) rig_->put<u64>(at, random_());
        start();
        for (unsigned i = 0; i < rounds; i++) {
            if (rig_->needs_reset() || random_() % 200 == 0) start();
            round();
        }
    }
    usize answers() const { return answers_; }

private:
    std::unique_ptr<Rig> make() {
        return std::make_unique<Rig>(via_, [&](const virtio::Wiring& wiring) {
            DeviceSpec spec;
            spec.name = name_;
            if (name_.starts_with("virtio-9p")) spec.properties["mount_tag"] = "share";
            if (name_.starts_with("virtio-rng")) spec.properties["period"] = "1";
            spec.disk = std::make_unique<LateDisk>();
            spec.net = net::make_loopback_backend();
            spec.folder = std::make_unique<MemoryFolder>();
            spec.ports = {{"hvc0", &backend_}, {"agent", &backend_}};
            auto function = std::move(virtio::create(spec, wiring)).value();
            if (scsi::Bus* const bus = function->scsi_bus()) {
                for (const char* unit : {"scsi-hd", "scsi-cd"}) {
                    DeviceSpec behind;
                    behind.name = unit;
                    behind.disk = std::make_unique<LateDisk>();
                    EXPECT_TRUE(scsi::attach(*bus, behind).ok());
                }
            }
            return function;
        });
    }
    void start() {
        for (u16 queue = 0; queue < rings_.size(); queue++) answers_ += rings_[queue]->used_index();
        rings_.clear();
        rig_->release_to(ram_base + 0x1000);
        ASSERT_TRUE(rig_->negotiate(random_() % 4 ? rig_->port->offered() : ring_features));
        for (u16 queue = 0; queue < rig_->function->queue_count(); queue++)
            rings_.push_back(
                std::make_unique<Ring>(*rig_, queue, std::min<u16>(64, rig_->function->queue(queue).maximum())));
        rig_->go();
    }
    template <class T>
    T one_of(std::initializer_list<T> values) {
        return values.begin()[random_() % values.size()];
    }

    // A chain that is well formed more often than not: small requests made of plausible numbers.
    void round() {
        Ring& ring = *rings_[random_() % rings_.size()];
        const u16 size = 16;
        const u64 wild = random_() % 32 == 0 ? random_() : 0;
        u16 head = static_cast<u16>(random_() % size);
        const u16 first = head;
        const unsigned readable = one_of({0u, 1u, 2u}), writable = one_of({0u, 1u, 2u});
        for (unsigned i = 0; i < readable + writable; i++) {
            const u64 at = buffers + random_() % 0x8000;
            const u32 length =
                one_of<u32>({1, 4, 8, 12, 16, 24, 32, 64, 512, 513, 4096, static_cast<u32>(random_() % 8192)});
            scribble(at, length);
            const u16 next = static_cast<u16>((head + 1) % size);
            const u16 flags = static_cast<u16>((i >= readable ? 2 : 0) | (i + 1 < readable + writable ? 1 : 0));
            ring.write_descriptor(ring.descriptors, head, at ^ wild, wild % 3 == 1 ? static_cast<u32>(wild) : length,
                                  static_cast<u16>(flags ^ (wild % 5 == 1 ? wild & 7 : 0)), next);
            head = next;
        }
        ring.offer(random_() % 512 == 0 ? static_cast<u16>(random_()) : first);
        if (random_() % 512 == 0) rig_->put<u16>(ring.available + 2, static_cast<u16>(random_()));
        ring.notify();
        switch (random_() % 32) {
            case 0: rig_->port->set_config(static_cast<u32>(random_() % 16) * 4, 4, random_()); break;
            case 1: rig_->port->config(static_cast<u32>(random_() % 64), 1); break;
            case 2: rig_->advance(random_() % 3'000'000); break;
            case 3: rig_->port->take_interrupts(); break;
            case 4:
                if (random_() % 64 == 0) move();
                break;
            case 5:
                if (ByteDevice* port = rig_->function->port("agent"))
                    port->put(std::span(rig_->memory.host(buffers, 64), 64));
                break;
            default: break;
        }
    }
    // The numbers of the protocols: small types and lengths where they stand, noise elsewhere.
    void scribble(u64 at, u32 length) {
        const unsigned words = static_cast<unsigned>(std::min<u32>(length / 4, 12));
        for (unsigned i = 0; i < words; i++)
            rig_->put<u32>(
                at + 4 * i,
                one_of<u32>({0, 1, 2, 3, 4, 8, 64, 0x100, 0x101, 0x105, length, static_cast<u32>(random_() % 256),
                             static_cast<u32>(random_() % 256) << 8 | length << 24, static_cast<u32>(random_())}));
        if (length >= 7 && name_.starts_with("virtio-9p")) {
            rig_->put<u32>(at, length);
            rig_->put<u8>(at + 4, static_cast<u8>(random_() % 128));
        }
    }
    // The machine is saved and goes on as another one.
    void move() {
        const auto saved = rig_->save_all();
        auto next = make();
        next->load_all(saved);
        EXPECT_EQ(next->save_all().device, saved.device) << name_;
        std::vector<std::unique_ptr<Ring>> rings;
        for (auto& ring : rings_) rings.push_back(std::make_unique<Ring>(*next, *ring));
        rig_ = std::move(next);
        rings_ = std::move(rings);
    }

    static constexpr u64 buffers = ram_base + 0x10'0000;
    std::string name_;
    Via via_;
    std::mt19937_64 random_;
    FullBackend backend_;
    std::unique_ptr<Rig> rig_;
    std::vector<std::unique_ptr<Ring>> rings_;
    usize answers_ = 0;
};

TEST(VirtioRandomTest, NoDeviceEscapes) {
    for (const DeviceKind& kind : device_catalog()) {
        if (kind.bus == DeviceBus::board || kind.bus == DeviceBus::scsi || find_card(kind.name) != nullptr) continue;
        Attack attack(kind.name, kind.bus == DeviceBus::pci ? Via::pci : Via::mmio);
        attack.run(10'000);
        EXPECT_GT(attack.answers(), 300u) << kind.name << " should have understood some of it";
    }
}

}  // namespace
}  // namespace viv::test
