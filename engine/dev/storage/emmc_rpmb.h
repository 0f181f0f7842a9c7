// The replay protected memory block of an eMMC: frames of 512 bytes, authenticated by HMAC-SHA-256. JESD84-B51, 6.6.22.
// Promises: without the key no block and no counter changes; the counter only goes up, and what it was after a write
// that the guest has been told of it is after any end of the host; a frame is used once.
#pragma once

#include "engine/dev/storage/emmc_volume.h"
#include "engine/state/archive.h"

namespace viv::emmc {

constexpr usize frame_size = 512;

class Rpmb {
public:
    // Requests of more fail; so long an answer is held until the host has it.
    static constexpr u32 most_request_frames = journal_blocks, most_response_frames = 2048;

    explicit Rpmb(Volume& volume) : volume_(volume) {}

    // CMD25: whole frames, at least one. `reliable` is bit 31 of CMD23's argument. `done` comes as the volume's do.
    void request(std::span<const u8> frames, bool reliable, Volume::Done done);
    // CMD18 for `count` frames, 1 to most_response_frames: makes `out` as long.
    void respond(u32 count, std::vector<u8>& out, Volume::Done done);

    void reset() { s_ = {}; }
    void state(Archive& a);

private:
    enum class Result : u8 {
        ok = 0,
        general_failure = 1,
        authentication_failure = 2,
        counter_failure = 3,
        address_failure = 4,
        write_failure = 5,
        read_failure = 6,
        no_key = 7,
    };
    void program_key(std::span<const u8> frames, const Volume::Done& done);
    void write_blocks(std::span<const u8> frames, const Volume::Done& done);
    Result check_write(std::span<const u8> frames) const;
    void conclude(Result result, const Volume::Done& done);
    void authenticate(std::span<u8> frames) const;

    Volume& volume_;
    struct State {
        u16 request = 0;             // what the next CMD18 answers; 0: nothing
        std::array<u8, 16> nonce{};  // of that request
        u16 address = 0;
        // What a result read tells, of the last write or key.
        u16 response = 0, result = static_cast<u16>(Result::general_failure), result_address = 0;
        u32 result_counter = 0;
    } s_;
};

}  // namespace viv::emmc
