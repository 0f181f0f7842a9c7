// QEMU's firmware configuration device, memory-mapped: named blobs that firmware and kernels read by selector, data
// port or DMA.
// Promises: items are fixed before the machine starts and read-only to the guest; reading past an item's end gives
// zeros; a DMA request touches guest RAM only, never more of it than the request names, and always ends with a status
// word.
// Specification: QEMU docs/specs/fw_cfg. Data port at 0 (8 bytes), selector at 8 (16 bits, big endian), DMA address
// at 16 (64 bits, big endian).
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dev/device.h"
#include "engine/lang/log.h"
#include "engine/lang/result.h"
#include "engine/mem/bus.h"
#include "engine/mem/dma.h"

namespace viv {

class FwCfg final : public Device, public Mmio {
public:
    static constexpr u64 mmio_size = 0x18;
    static constexpr usize maximum_name = 55;
    static constexpr usize maximum_files = 0x1000;

    // Well-known selectors; files follow from 0x20 on.
    enum Key : u16 {
        signature = 0x00,
        id = 0x01,
        uuid = 0x02,
        ram_size = 0x03,
        nographic = 0x04,
        nb_cpus = 0x05,
        machine_id = 0x06,
        kernel_addr = 0x07,
        kernel_size = 0x08,
        kernel_cmdline = 0x09,
        initrd_addr = 0x0a,
        initrd_size = 0x0b,
        boot_device = 0x0c,
        boot_menu = 0x0e,
        max_cpus = 0x0f,
        kernel_entry = 0x10,
        kernel_data = 0x11,
        initrd_data = 0x12,
        cmdline_addr = 0x13,
        cmdline_size = 0x14,
        cmdline_data = 0x15,
        setup_addr = 0x16,
        setup_size = 0x17,
        setup_data = 0x18,
        file_dir = 0x19,
        file_first = 0x20,
    };

    struct Wiring {
        Dma dma;
        Log log;
    };

    explicit FwCfg(Wiring wiring);

    // Before the machine starts: an item by key (replacing an earlier one), its integers little endian as guests
    // expect.
    void set_item(u16 key, std::vector<u8> content);
    void set_u16(u16 key, u16 value);
    void set_u32(u16 key, u32 value);
    void set_u64(u16 key, u64 value);
    void set_text(u16 key, std::string_view text);  // with its final NUL
    // A file ("opt/org.example/x", "etc/acpi/tables"); the error names one that exists already, is too long or one
    // too many.
    Result<void> add_file(std::string_view name, std::vector<u8> content);

    std::string_view kind() const override { return "fw_cfg"; }
    void reset() override;
    void state(Archive& a) override;

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

private:
    struct File {
        std::string name;
        u32 size = 0;
        u16 key = 0;
    };
    struct State {
        u16 key = signature;
        u32 offset = 0;
        u64 dma_address = 0;
    };

    std::span<const u8> rest() const;
    u64 read_data(unsigned size);
    void select(u16 key);
    void transfer();
    u32 carry_out(u32 control, u32 length, u64 address);

    Wiring wire_;
    std::map<u16, std::vector<u8>> items_;
    std::vector<File> files_;
    State s_;
};

}  // namespace viv
