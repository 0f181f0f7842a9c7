// The controller's data: between guest memory or the data port and the card, a buffer of whole blocks at a time. See
// sdhci.h.
#include <algorithm>

#include "engine/dev/storage/sdhci.h"
#include "engine/dev/storage/sdhci_bits.h"
#include "engine/lang/bytes.h"

namespace viv {

using namespace sdhci;

namespace {

constexpr u64 work_at_once = u64{4} << 20;  // bytes, then the machine goes on for a while
constexpr u64 work_of_piece = 256;          // what a piece of memory counts for at least
constexpr u64 later_ns = 10'000;
constexpr u32 most_idle_descriptors = 4096;

enum DescriptorBit : u16 { d_valid = 1 << 0, d_end = 1 << 1, d_interrupt = 1 << 2 };
enum class Act : u8 { none = 0, reserved = 1, move = 2, link = 3 };

}  // namespace

void Sdhci::begin_transfer() {
    t_ = {};
    t_.to_host = (r_.transfer_mode & m_read) != 0;
    t_.dma = (r_.transfer_mode & m_dma) != 0;
    const bool multiple = (r_.transfer_mode & m_multiple) != 0;
    t_.counted = !multiple || (r_.transfer_mode & m_block_count) != 0;
    t_.blocks_left = multiple ? r_.block_count : 1;
    const u32 select = r_.host_control >> 3 & 3;
    t_.adma = t_.dma && select >= 2;
    t_.wide = select == 3;
    t_.descriptor = r_.adma_address;
    r_.adma_error = 0;
    t_.active = true;
    if (t_.counted && t_.blocks_left == 0) return finish_transfer();
    const auto flow = t_.to_host ? emmc::Card::Flow::to_host : emmc::Card::Flow::to_card;
    if (card_.flow() != flow) return fail_transfer(e_data_timeout);
    if ((r_.block_size & 0xfff) != emmc::block_size) {
        log_.guest("blocks of {} bytes; the card's have {}", r_.block_size & 0xfff, emmc::block_size);
        return fail_transfer(e_data_crc);
    }
    advance();
}

void Sdhci::later() {
    resume_ns_ = wiring_.timers.now_ns() + later_ns;
    resume_.arm(resume_ns_);
}

// Goes on until the transfer has ended or waits: for the card, the driver or its turn.
void Sdhci::advance() {
    if (calling_card_ || !t_.active || t_.paused || resume_.armed()) return;
    if (t_.dma && !bus_master()) return;
    if (t_.waiting && card_.busy()) return;
    t_.waiting = false;
    u64 work = 0;
    while (t_.active && !t_.paused) {
        if (t_.at == t_.buffer.size()) {
            if (!next_buffer()) return;
            continue;
        }
        if (!t_.dma) return;
        if (work >= work_at_once) return later();
        const u64 moved = dma_piece(std::span(t_.buffer).subspan(t_.at));
        t_.at += static_cast<u32>(moved);
        work += std::max(moved, work_of_piece);
    }
}

// Brings the next blocks from the card, or gives it what has been collected. False if that has to be waited for, or if
// the driver is to move the bytes.
bool Sdhci::next_buffer() {
    const bool full = !t_.to_host && !t_.buffer.empty();
    if (!full) {
        const bool no_more_memory = t_.list_ended && t_.piece_left == 0;
        if (t_.counted ? t_.blocks_left == 0 : no_more_memory) {
            finish_transfer();
            return false;
        }
        if (no_more_memory) {
            adma_failed(a_length_mismatch);
            return false;
        }
        // The driver moves, or says the end of, single blocks.
        u64 blocks = t_.dma && t_.counted ? std::min<u64>(t_.blocks_left, largest_buffer / emmc::block_size) : 1;
        blocks = std::min(blocks, card_.blocks_ahead());
        t_.buffer.assign(blocks * emmc::block_size, 0);
        t_.at = 0;
        if (!t_.to_host) {
            if (!t_.dma) raise(s_write_ready);
            return t_.dma;
        }
    }
    calling_card_ = true;
    t_.at = static_cast<u32>(t_.buffer.size());
    t_.waiting = true;
    if (t_.to_host)
        card_.fetch(t_.buffer);
    else
        card_.store(t_.buffer);
    calling_card_ = false;
    if (card_.busy()) return false;
    t_.waiting = false;
    buffer_done();
    return t_.active && (t_.dma || t_.at == t_.buffer.size());
}

// The card has moved a buffer, or has not.
void Sdhci::buffer_done() {
    if (card_.failed()) return fail_transfer(t_.to_host ? e_data_timeout : e_data_crc);
    const u32 blocks = static_cast<u32>(t_.buffer.size() / emmc::block_size);
    if (t_.counted) {
        t_.blocks_left -= std::min(blocks, t_.blocks_left);
        if ((r_.transfer_mode & m_multiple) != 0) r_.block_count = static_cast<u16>(t_.blocks_left);
    }
    if (!t_.to_host) {
        t_.buffer.clear();
        t_.at = 0;
        return;
    }
    t_.at = 0;
    if (!t_.dma) raise(s_read_ready);
}

void Sdhci::card_settled() {
    if (calling_card_) return;
    if (command_busy_) {
        command_busy_ = false;
        return raise(s_transfer_complete);
    }
    if (!t_.active || !t_.waiting) return;
    t_.waiting = false;
    buffer_done();
    advance();
}

void Sdhci::finish_transfer() {
    t_ = {};
    const bool stops = (r_.transfer_mode & (m_multiple | m_auto_cmd12 | m_auto_cmd23)) == (m_multiple | m_auto_cmd12);
    if (stops && card_.flow() != emmc::Card::Flow::none) {
        calling_card_ = true;
        r_.response[3] = card_.command(12, 0).words[0];
        calling_card_ = false;
    }
    raise(s_transfer_complete);
}

void Sdhci::fail_transfer(u16 causes) {
    t_ = {};
    raise_error(causes);
}

u64 Sdhci::dma_piece(std::span<u8> bytes) { return t_.adma ? adma_piece(bytes) : sdma_piece(bytes); }

// Up to the next boundary of the driver's buffer, where it gives another one (2.2.2).
u64 Sdhci::sdma_piece(std::span<u8> bytes) {
    const u64 boundary = u64{4096} << (r_.block_size >> 12 & 7);
    const u64 size = std::min<u64>(bytes.size(), boundary - (r_.sdma_address & (boundary - 1)));
    const auto piece = bytes.first(size);
    if (!(t_.to_host ? wiring_.dma.write(r_.sdma_address, piece) : wiring_.dma.read(r_.sdma_address, piece))) {
        log_.guest("SDMA at {:#x} is outside of memory", r_.sdma_address);
        fail_transfer(e_data_timeout);
        return 0;
    }
    r_.sdma_address += static_cast<u32>(size);
    // Blocks for the card are counted as left until it has them.
    const u64 blocks = u64{t_.blocks_left} * emmc::block_size;
    const bool last = t_.counted && (t_.to_host ? blocks == 0 && size == bytes.size() : t_.at + size == blocks);
    if ((r_.sdma_address & (boundary - 1)) == 0 && !last) {
        t_.paused = true;
        raise(s_dma);
    }
    return size;
}

u64 Sdhci::adma_piece(std::span<u8> bytes) {
    if (t_.piece_left == 0) {
        if (t_.list_ended) {
            // Without a count the list says how long the transfer is, in whole blocks.
            if (t_.counted || t_.at != 0)
                adma_failed(a_length_mismatch);
            else
                finish_transfer();
            return 0;
        }
        load_descriptor();
        return 0;
    }
    const u64 size = std::min<u64>(bytes.size(), t_.piece_left);
    const auto piece = bytes.first(size);
    if (!(t_.to_host ? wiring_.dma.write(t_.piece_address, piece) : wiring_.dma.read(t_.piece_address, piece))) {
        log_.guest("ADMA2: {} bytes at {:#x} are outside of memory", size, t_.piece_address);
        adma_failed(a_moving);
        return 0;
    }
    t_.piece_address += size;
    t_.piece_left -= static_cast<u32>(size);
    t_.idle_descriptors = 0;
    if (t_.piece_left == 0 && t_.piece_interrupts) raise(s_dma);
    return size;
}

// 1.13.3, and 1.13.4 for 64-bit addresses: 96 bits a descriptor.
void Sdhci::load_descriptor() {
    std::array<u8, 12> raw{};
    const auto read = std::span(raw).first(t_.wide ? 12 : 8);
    const bool there = wiring_.dma.read(t_.descriptor, read);
    const u16 attributes = load_le<u16>(&raw[0]), length = load_le<u16>(&raw[2]);
    if (!there || (attributes & d_valid) == 0 || ++t_.idle_descriptors > most_idle_descriptors) {
        log_.guest("ADMA2: the descriptor at {:#x} cannot be used", t_.descriptor);
        return adma_failed(a_fetching);
    }
    const u64 address = t_.wide ? load_le<u64>(&raw[4]) : load_le<u32>(&raw[4]);
    const Act act = static_cast<Act>(attributes >> 4 & 3);
    t_.descriptor = act == Act::link ? address : t_.descriptor + read.size();
    r_.adma_address = t_.descriptor;
    t_.list_ended = (attributes & d_end) != 0;
    t_.piece_interrupts = (attributes & d_interrupt) != 0;
    if (act == Act::move) {
        t_.piece_address = address;
        t_.piece_left = length == 0 ? 0x1'0000 : length;
    } else if (t_.piece_interrupts) {
        raise(s_dma);
    }
}

void Sdhci::adma_failed(u8 error) {
    r_.adma_error = error;
    fail_transfer(e_adma);
}

u32 Sdhci::read_data(unsigned size) {
    u32 value = 0;
    if (!t_.active || t_.dma || !t_.to_host || t_.waiting) return 0;
    for (unsigned i = 0; i < size && t_.at < t_.buffer.size(); i++) value |= u32{t_.buffer[t_.at++]} << (8 * i);
    if (t_.at == t_.buffer.size()) advance();
    return value;
}

void Sdhci::write_data(unsigned size, u32 value) {
    if (!t_.active || t_.dma || t_.to_host || t_.waiting) return;
    for (unsigned i = 0; i < size && t_.at < t_.buffer.size(); i++)
        t_.buffer[t_.at++] = static_cast<u8>(value >> (8 * i));
    if (t_.at == t_.buffer.size()) advance();
}

}  // namespace viv
