// An eMMC 5.1: commands, states and data of a card on its bus. JESD84-B51, chapter 6. Promises: what a command or its
// argument asks for and the card cannot do has the standard's answer (none, or a bit of the device status); data moves
// only within the partition that is selected. Not offered: HPI, background operations, command queue, write protection
// of groups, packed commands, general purpose partitions, alternative boot, bus tests.
#pragma once

#include "engine/dev/storage/emmc_registers.h"
#include "engine/dev/storage/emmc_rpmb.h"
#include "engine/lang/log.h"

namespace viv::emmc {

constexpr u32 block_size = 512;

// The device status (6.13), of which bits 12 to 9 are the state and bit 8 is READY_FOR_DATA.
enum Status : u32 {
    address_out_of_range = 1u << 31,
    address_misalign = 1 << 30,
    block_len_error = 1 << 29,
    erase_seq_error = 1 << 28,
    erase_param = 1 << 27,
    wp_violation = 1 << 26,
    illegal_command = 1 << 22,
    general_error = 1 << 19,
    switch_error = 1 << 7,
};

struct Answer {
    enum class Kind : u8 { none, word, register_bits } kind = Kind::none;
    Words words{};  // of `word` the first; of `register_bits` all: 128 bits with the CRC
};

class Card {
public:
    // `settled` is called when busy() has become false, perhaps from within command(), fetch() or store(); `later` asks
    // that go_on() be called soon.
    struct Wiring {
        Log& log;
        std::function<void()> settled, later;
    };

    Card(const Wiring& wiring, std::unique_ptr<Volume> volume, u32 serial);

    Answer command(u8 index, u32 argument);
    // Something is under way: data, or what has to end before the next command that uses the data lines.
    bool busy() const { return work_ || s_.clear_length != 0; }
    void go_on();

    // Which way data go after the last command.
    enum class Flow : u8 { none, to_host, to_card };
    Flow flow() const { return s_.flow; }
    // How many blocks may be moved in one piece: at least one.
    u64 blocks_ahead() const;
    // Whole blocks, at least one and at most blocks_ahead(). Memory stays valid until the card has settled; then
    // failed() tells whether they were moved.
    void fetch(std::span<u8> out);
    void store(std::span<u8> in);
    bool failed() const { return failed_; }
    // Data under way are given up.
    void drop();

    void reset();
    void state(Archive& a);
    // Data that were under way are not any more: the host moves them again.
    void restored();

private:
    enum class State : u8 {
        idle,
        ready,
        ident,
        standby,
        transfer,
        sending,
        receiving,
        programming,
        disconnected,
        inactive,
        sleep,
    };
    enum class Source : u8 { area, ext_csd, rpmb };

    // R1, with the state in which the command came.
    Answer answer(State before);
    Answer illegal(u8 index);
    Answer identify(u8 index, u32 argument);
    Answer addressed(u8 index, u32 argument);
    Answer transfer_command(u8 index, u32 argument);
    Answer select(u32 argument);
    Answer sleep_awake(u32 argument);
    Answer switch_mode(u32 argument);
    Answer erase(u8 index, u32 argument);
    Answer begin_data(Flow flow, Source source, u32 count, u32 argument);
    Answer stop();
    void keep_modes();
    void flush();
    bool expects(Flow flow, u64 bytes) const;
    void moved(bool ok, u64 bytes);
    void end_data();
    void settle();

    Area area() const { return static_cast<Area>(s_.modes[x_partition_config] & 3); }
    bool write_protected() const;
    u64 address_of(u32 argument) const;

    Wiring wiring_;
    const u32 serial_;
    std::unique_ptr<Volume> volume_;
    Rpmb rpmb_;
    struct Kept {
        State state = State::idle;
        u16 rca = 1;
        u32 status = 0;  // errors that the next response tells
        Modes modes{};
        u32 block_count = 0;  // of CMD23, for the next transfer; 0: until CMD12
        bool reliable = false;
        Flow flow = Flow::none;
        Source source = Source::area;
        bool counted = false;
        u32 blocks_left = 0;  // if counted
        u64 position = 0;     // bytes, within the area, or within what the source holds
        u64 erase_start = 0, erase_end = 0;
        u8 erase_steps = 0;  // 1: CMD35 came, 2: CMD36
        u64 clear_position = 0, clear_length = 0;
        block::Operation clear_how = block::Operation::write_zeroes;
        bool keeping = false, flushing = false;  // lasting modes are being written, the cache
        std::vector<u8> frames;                  // of the RPMB partition, either way
    } s_;
    bool work_ = false, failed_ = false;
};

}  // namespace viv::emmc
