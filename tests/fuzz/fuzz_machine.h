// What the fuzz targets share: a whole riscv-virt with every kind of device, deterministic and without a host, and a
// reader of the fuzzer's bytes.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "engine/block/overlay.h"
#include "engine/control/machine.h"
#include "engine/dev/catalog.h"
#include "engine/lang/bytes.h"

namespace viv::fuzz {

// The input as a tape: past its end there are zeros.
class Tape {
public:
    explicit Tape(std::span<const u8> bytes) : bytes_(bytes) {}
    bool done() const { return at_ >= bytes_.size(); }
    u8 byte() { return done() ? u8{0} : bytes_[at_++]; }
    u64 number(unsigned size) {
        u64 value = 0;
        for (unsigned i = 0; i < size; i++) value |= u64{byte()} << (8 * i);
        return value;
    }
    std::span<const u8> rest() const { return done() ? std::span<const u8>{} : bytes_.subspan(at_); }

private:
    std::span<const u8> bytes_;
    usize at_ = 0;
};

class Memory final : public host::Memory {
public:
    class Block final : public host::MemoryBlock {
    public:
        explicit Block(u64 size) : bytes_(static_cast<u8*>(std::calloc(1, size))), size_(size) {}
        ~Block() override { std::free(bytes_); }
        Block(const Block&) = delete;
        Block& operator=(const Block&) = delete;
        std::span<u8> bytes() override { return {bytes_, size_}; }
        void discard(u64 offset, u64 size) override { std::fill_n(bytes_ + offset, size, u8{0}); }

    private:
        u8* bytes_;
        usize size_;
    };
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override {
        return std::unique_ptr<host::MemoryBlock>(std::make_unique<Block>(size));
    }
};

class Clock final : public host::Clock {
public:
    u64 monotonic_ns() override { return 0; }
    u64 realtime_ns() override { return 0; }
};
class Entropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override { std::fill(out.begin(), out.end(), u8{0}); }
};

class MemoryDisk final : public host::File {
public:
    explicit MemoryDisk(usize size = 64 << 10) : bytes_(size) {}
    u64 size() override { return bytes_.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        std::copy_n(bytes_.data() + offset, out.size(), out.begin());
        return {};
    }
    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        std::copy(in.begin(), in.end(), bytes_.data() + offset);
        return {};
    }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }

private:
    std::vector<u8> bytes_;
};

constexpr u64 ram_base = 0x8000'0000, ram_size = 16 << 20;

enum class Plugged : u8 { bare, temporary_disk, every_device };

class Bench {
public:
    explicit Bench(Plugged plugged) {
        MachineConfig config;
        config.determinism = Determinism::deterministic;
        config.board.memory = ram_size;
        config.board.kernel = Blob{"loop", {0x6f, 0, 0, 0}};  // j .
        config.board.serials = {&null_};
        if (plugged == Plugged::temporary_disk) {
            DeviceSpec spec;
            spec.name = "virtio-blk-device";
            spec.disk = block::make_temporary_overlay(
                block::open_raw(std::make_unique<MemoryDisk>(), "disk", block::Access::read_only).value());
            config.board.devices.push_back(std::move(spec));
        }
        if (plugged == Plugged::every_device) {
            unsigned on_mmio = 0;
            for (const auto& kind : device_catalog()) {
                if (kind.bus == DeviceBus::board || kind.name.find("9p") != std::string_view::npos) continue;
                if (kind.bus == DeviceBus::virtio_mmio && on_mmio++ >= 8) continue;
                DeviceSpec spec;
                spec.name = kind.name;
                if (kind.name.starts_with("virtio-")) spec.properties["packed"] = "on";
                if (kind.name.find("blk") != std::string_view::npos || kind.bus == DeviceBus::scsi ||
                    kind.name == "nvme")
                    spec.disk =
                        block::open_raw(std::make_unique<MemoryDisk>(), "disk", block::Access::read_write).value();
                if (kind.name.find("net") != std::string_view::npos) {
                    spec.net = net::make_loopback_backend();
                    spec.properties["queues"] = "2";
                }
                if (kind.name == "emmc") {
                    spec.disk =
                        block::open_raw(std::make_unique<MemoryDisk>(512 << 10), "disk", block::Access::read_write)
                            .value();
                    spec.properties = {{"boot-size-mult", "0"}, {"rpmb-size-mult", "1"}};
                }
                if (kind.name == "nvme") spec.properties = {{"serial", "fuzzed"}};
                if (kind.name == "e1000e") spec.net = net::make_loopback_backend();
                if (kind.name.find("serial") != std::string_view::npos)
                    spec.ports = {{"console", &null_}, {"org.vivarium.test", &null_}};
                config.board.devices.push_back(std::move(spec));
            }
        }
        auto made = Machine::create(std::move(config), MachineHost{memory_, clock_, entropy_, log_});
        if (!made) {
            std::fprintf(stderr, "cannot build the machine: %s\n", made.error().message.c_str());
            std::abort();
        }
        machine = std::move(*made);
    }
    void fill_ram(u64 offset, std::span<const u8> bytes) {
        const usize size = std::min<usize>(bytes.size(), ram_size - offset);
        if (!machine->board().memory().write(ram_base + offset, bytes.subspan(0, size))) std::abort();
    }

    std::unique_ptr<Machine> machine;

private:
    Memory memory_;
    Clock clock_;
    Entropy entropy_;
    NullLogSink log_;
    NullByteBackend null_;
};

}  // namespace viv::fuzz
