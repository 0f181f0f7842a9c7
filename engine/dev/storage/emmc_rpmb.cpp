// RPMB requests and their answers. See emmc_rpmb.h.
#include "engine/dev/storage/emmc_rpmb.h"

#include <algorithm>
#include <memory>

#include "engine/lang/bytes.h"

namespace viv::emmc {

namespace {

enum FrameOffset : usize {
    f_mac = 196,
    f_data = 228,
    f_nonce = 484,
    f_counter = 500,
    f_address = 504,
    f_count = 506,
    f_result = 508,
    f_type = 510,
};
constexpr usize mac_size = 32, nonce_size = 16;

enum Type : u16 { program_key_type = 1, read_counter = 2, write_data = 3, read_data = 4, read_result = 5 };
constexpr u16 response_of(u16 request) { return static_cast<u16>(request << 8); }

constexpr u16 counter_expired = 0x80;
constexpr u32 last_counter = ~u32{0};

u16 field(std::span<const u8> frame, usize offset) { return load_be<u16>(&frame[offset]); }

// Over what follows the MAC in each of the frames.
Digest mac_of(const std::array<u8, 32>& key, std::span<const u8> frames) {
    std::vector<std::span<const u8>> pieces;
    for (usize at = 0; at < frames.size(); at += frame_size)
        pieces.push_back(frames.subspan(at + f_data, frame_size - f_data));
    return hmac_sha256(key, pieces);
}

}  // namespace

void Rpmb::state(Archive& a) {
    a(1, "request", s_.request);
    a(2, "nonce", s_.nonce);
    a(3, "address", s_.address);
    a(4, "response", s_.response);
    a(5, "result", s_.result);
    a(6, "result_address", s_.result_address);
    a(7, "result_counter", s_.result_counter);
}

void Rpmb::request(std::span<const u8> frames, bool reliable, Volume::Done done) {
    const u16 type = field(frames, f_type);
    s_.request = 0;
    switch (type) {
        case read_counter:
        case read_data:
            s_.request = type;
            std::copy_n(&frames[f_nonce], nonce_size, s_.nonce.begin());
            s_.address = field(frames, f_address);
            return done(true);
        case read_result: s_.request = type; return done(true);
        default: break;
    }
    s_.response = response_of(type);
    s_.result_address = 0;
    s_.result_counter = 0;
    const bool known = type == program_key_type || type == write_data;
    if (!known || !reliable || volume_.read_only()) return conclude(Result::general_failure, done);
    std::vector<u8> kept(frames.begin(), frames.end());
    volume_.load([this, type, kept = std::move(kept), done = std::move(done)](bool ok) {
        if (!ok) return conclude(Result::general_failure, done);
        if (type == program_key_type) return program_key(kept, done);
        write_blocks(kept, done);
    });
}

void Rpmb::conclude(Result result, const Volume::Done& done) {
    s_.result = static_cast<u16>(result);
    done(true);
}

void Rpmb::program_key(std::span<const u8> frames, const Volume::Done& done) {
    if (frames.size() != frame_size) return conclude(Result::general_failure, done);
    Record record = volume_.record();
    if (record.key_set) return conclude(Result::write_failure, done);
    record.key_set = true;
    std::copy_n(&frames[f_mac], mac_size, record.key.begin());
    volume_.keep(record, [this, done](bool ok) { conclude(ok ? Result::ok : Result::write_failure, done); });
}

// In the order of 6.6.22.4.3.
Rpmb::Result Rpmb::check_write(std::span<const u8> frames) const {
    const Record& record = volume_.record();
    const usize count = frames.size() / frame_size;
    const u16 address = field(frames, f_address);
    if (!record.key_set) return Result::no_key;
    if (record.write_counter == last_counter) return Result::write_failure;
    // REL_WR_SEC_C and EN_RPMB_REL_WR: 256 bytes, 512 bytes or 8 KiB at once.
    if ((count != 1 && count != 2 && count != journal_blocks) || field(frames, f_count) != count)
        return Result::general_failure;
    if (!range_fits(address * rpmb_block, count * rpmb_block, volume_.geometry().rpmb)) return Result::address_failure;
    const Digest mac = mac_of(record.key, frames);
    u32 difference = 0;
    for (usize i = 0; i < mac_size; i++) difference |= u32{mac[i]} ^ frames[frames.size() - frame_size + f_mac + i];
    if (difference != 0) return Result::authentication_failure;
    for (usize at = 0; at < frames.size(); at += frame_size)
        if (field(frames.subspan(at), f_type) != write_data || field(frames.subspan(at), f_address) != address ||
            field(frames.subspan(at), f_count) != count)
            return Result::general_failure;
    if (load_be<u32>(&frames[f_counter]) != record.write_counter) return Result::counter_failure;
    return Result::ok;
}

void Rpmb::write_blocks(std::span<const u8> frames, const Volume::Done& done) {
    const Result result = check_write(frames);
    Record record = volume_.record();
    const u16 address = field(frames, f_address);
    const auto answer = [this, done, address](Result given, const Record& now) {
        s_.result_address = address;
        s_.result_counter = now.write_counter;
        conclude(given, [](bool) {});
        if (now.write_counter == last_counter) s_.result |= counter_expired;
        done(true);
    };
    if (result != Result::ok) return answer(result, record);
    std::vector<u8> blocks;
    for (usize at = 0; at < frames.size(); at += frame_size)
        blocks.insert(blocks.end(), &frames[at + f_data], &frames[at + f_data] + rpmb_block);
    const Record before = record;
    record.write_counter++;
    volume_.keep_with_blocks(record, address, blocks, [answer, before, record](bool ok) {
        if (ok) return answer(Result::ok, record);
        answer(Result::write_failure, before);
    });
}

void Rpmb::authenticate(std::span<u8> frames) const {
    if (!volume_.record().key_set) return;
    const Digest mac = mac_of(volume_.record().key, frames);
    std::copy(mac.begin(), mac.end(), &frames[frames.size() - frame_size + f_mac]);
}

void Rpmb::respond(u32 count, std::vector<u8>& out, Volume::Done answered) {
    out.assign(usize{count} * frame_size, 0);
    const u16 request = s_.request;
    const Volume::Done done = [this, answered = std::move(answered)](bool ok) {
        s_.request = 0;
        answered(ok);
    };
    const auto fill = [&out](u16 type, u16 result) {
        for (usize at = 0; at < out.size(); at += frame_size) {
            store_be<u16>(&out[at + f_type], type);
            store_be<u16>(&out[at + f_result], result);
        }
    };
    if (request == 0 || (request != read_data && count != 1)) {
        fill(response_of(request), static_cast<u16>(Result::general_failure));
        return done(true);
    }
    const auto reply = [this, request, count, fill, &out, done](bool loaded) {
        const Record& record = volume_.record();
        const u16 expired = record.write_counter == last_counter ? counter_expired : u16{0};
        const auto finish = [this, request, expired, fill, &out, done](Result result) {
            fill(response_of(request), static_cast<u16>(static_cast<u16>(result) | expired));
            authenticate(out);
            done(true);
        };
        if (!loaded) {
            fill(response_of(request), static_cast<u16>(Result::general_failure));
            return done(true);
        }
        if (request == read_result) {
            fill(s_.response, s_.result);
            store_be<u32>(&out[f_counter], s_.result_counter);
            store_be<u16>(&out[f_address], s_.result_address);
            if (s_.response == response_of(write_data)) authenticate(out);
            return done(true);
        }
        for (usize at = 0; at < out.size(); at += frame_size)
            std::copy(s_.nonce.begin(), s_.nonce.end(), &out[at + f_nonce]);
        if (!record.key_set) return finish(Result::no_key);
        if (request == read_counter) {
            store_be<u32>(&out[f_counter], record.write_counter);
            return finish(Result::ok);
        }
        for (usize at = 0; at < out.size(); at += frame_size) {
            store_be<u16>(&out[at + f_address], s_.address);
            store_be<u16>(&out[at + f_count], static_cast<u16>(count));
        }
        if (!range_fits(s_.address * rpmb_block, usize{count} * rpmb_block, volume_.geometry().rpmb))
            return finish(Result::address_failure);
        auto blocks = std::make_shared<std::vector<u8>>(usize{count} * rpmb_block);
        volume_.read_rpmb(s_.address, *blocks, [finish, blocks, count, &out](bool ok) {
            if (!ok) return finish(Result::read_failure);
            for (usize i = 0; i < count; i++)
                std::copy_n(&(*blocks)[i * rpmb_block], rpmb_block, &out[i * frame_size + f_data]);
            finish(Result::ok);
        });
    };
    volume_.load(reply);
}

}  // namespace viv::emmc
