// An SD host controller with an eMMC soldered to its only slot: a PCI function of class 0x0805. SD Host Controller
// Simplified Specification 3.00. Promises: data by SDMA, ADMA2 with 32-bit and 64-bit addresses, or the data port;
// every descriptor and length has a defined end; a long transfer and a list of descriptors that moves little give the
// machine time in between. Interrupts are INTA#. Not offered: suspending and stopping at a block gap, UHS-I modes,
// blocks of other than 512 bytes.
#pragma once

#include <memory>
#include <vector>

#include "engine/dev/cards.h"
#include "engine/dev/pci/function.h"
#include "engine/dev/storage/emmc_card.h"

namespace viv {

class Sdhci final : public pci::Function {
public:
    static constexpr unsigned memory_bar = 0;
    static constexpr u64 memory_size = 256;

    static constexpr u32 largest_buffer = 64 << 10;  // bytes that are on their way at once

    using Wiring = CardWiring;

    Sdhci(const Wiring& wiring, std::unique_ptr<emmc::Volume> volume, u32 serial);

    // From a DeviceSpec, whose disk is taken if the properties are good; errors name the property or the disk's file.
    static Result<std::unique_ptr<pci::Function>> create(DeviceSpec& spec, const Wiring& wiring);

    std::string_view kind() const override { return "emmc"; }

protected:
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;
    void config_written(u16 offset, unsigned size) override;

private:
    struct Window final : Mmio {
        explicit Window(Sdhci& device) : sdhci(device) {}
        u64 read(u64 offset, unsigned size) override;
        void write(u64 offset, unsigned size, u64 value) override;
        Sdhci& sdhci;
    };

    // Registers by words; `mask` has the bits that are written.
    u32 read_word(u32 offset) const;
    void write_word(u32 offset, u32 value, u32 mask);
    void write_control(u32 value, u32 mask);
    void write_clock(u32 value, u32 mask);
    u32 present_state() const;
    u32 read_data(unsigned size);
    void write_data(unsigned size, u32 value);

    bool card_has_clock() const;
    void issue();
    void take_answer(const emmc::Answer& answer, u16 command);
    void software_reset(u8 which);
    void raise(u16 causes);
    void raise_error(u16 causes);
    void update_interrupt();

    // Data, in sdhci_transfer.cpp.
    void begin_transfer();
    void advance();
    bool next_buffer();
    u64 dma_piece(std::span<u8> bytes);
    u64 adma_piece(std::span<u8> bytes);
    u64 sdma_piece(std::span<u8> bytes);
    void load_descriptor();
    void adma_failed(u8 error);
    void card_settled();
    void buffer_done();
    void finish_transfer();
    void fail_transfer(u16 causes);
    void later();

    Wiring wiring_;
    Log log_;
    Window window_{*this};
    struct Registers {
        u32 sdma_address = 0;  // or argument 2
        u16 block_size = 0, block_count = 0;
        u32 argument = 0;
        u16 transfer_mode = 0, command = 0;
        std::array<u32, 4> response{};
        u8 host_control = 0, power = 0, wakeup = 0, timeout = 0;
        u16 clock = 0;
        u16 status = 0, error = 0, status_enable = 0, error_enable = 0, status_signal = 0, error_signal = 0;
        u16 auto_command_error = 0;
        u8 adma_error = 0;
        u64 adma_address = 0;
    } r_;
    struct Transfer {
        bool active = false;
        bool to_host = false;
        bool counted = false;
        bool dma = false;
        bool adma = false, wide = false;  // descriptors, with 64-bit addresses
        bool waiting = false;             // for the card
        bool paused = false;              // at a boundary of SDMA's buffer
        bool list_ended = false;
        u32 blocks_left = 0;
        u32 at = 0;              // in the buffer
        std::vector<u8> buffer;  // of blocks, from the card or for it
        u64 descriptor = 0;      // the next one's address
        u64 piece_address = 0;   // of the last one
        u32 piece_left = 0;
        bool piece_interrupts = false;
        u32 idle_descriptors = 0;  // without a byte moved
    } t_;
    bool command_busy_ = false;  // Transfer Complete comes when the card has settled
    bool calling_card_ = false;
    u64 resume_ns_ = Timers::never;
    Timer resume_;
    emmc::Card card_;  // last: its disk may hold completions
};

}  // namespace viv
