// See sectors.h.
#include "engine/block/luks/sectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/lang/bytes.h"

namespace viv::block::luks {

namespace {

constexpr usize block_bytes = 16;
constexpr u64 part_sectors = 16;  // that are worked on at once
constexpr u64 piece = 256 << 10;  // bytes that are encrypted and written at once

struct StartName {
    std::string_view name;
    Method::Start start;
};
constexpr StartName start_names[] = {
    {"plain", Method::Start::plain}, {"plain64", Method::Start::plain64}, {"essiv", Method::Start::essiv}};
struct ModeName {
    std::string_view name;
    Method::Mode mode;
};
constexpr ModeName mode_names[] = {{"ecb", Method::Mode::ecb}, {"cbc", Method::Mode::cbc}, {"xts", Method::Mode::xts}};

void add(u8* to, const u8* from, usize bytes) {
    for (usize i = 0; i < bytes; i++) to[i] ^= from[i];
}

}  // namespace

std::string Method::mode_name() const {
    return std::string(std::ranges::find(mode_names, mode, &ModeName::mode)->name);
}
std::string Method::start_name() const {
    return std::string(std::ranges::find(start_names, start, &StartName::start)->name);
}
std::string Method::text() const {
    return fmt::format("{}-{}{}{}", mode_name(), start_name(), start_hash.empty() ? "" : ":", start_hash);
}

Result<Method> parse_method(std::string_view text, u64 key_bytes) {
    Method method;
    const auto dash = text.find('-'), colon = text.find(':');
    const auto mode = std::ranges::find(mode_names, text.substr(0, dash), &ModeName::name);
    const auto start_text = dash == std::string_view::npos ? "" : text.substr(dash + 1).substr(0, colon - dash - 1);
    const auto start = std::ranges::find(start_names, start_text, &StartName::name);
    if (mode == std::end(mode_names) || start == std::end(start_names))
        return Error{fmt::format(
            "is encrypted by aes-{}; aes-xts, aes-cbc and aes-ecb with plain, plain64 or essiv are supported", text)};
    method.mode = mode->mode;
    method.start = start->start;
    if (colon != std::string_view::npos) method.start_hash = text.substr(colon + 1);
    if ((method.start == Method::Start::essiv) == method.start_hash.empty())
        return Error{fmt::format("is encrypted by aes-{}, which cannot be", text)};
    method.key_bytes = key_bytes;
    if (key_bytes > 64 || (method.aes_bits() != 128 && method.aes_bits() != 192 && method.aes_bits() != 256))
        return Error{fmt::format("has a key of {} bytes for aes-{}, which cannot be", key_bytes, text)};
    return method;
}

Result<std::unique_ptr<SectorCipher>> SectorCipher::make(host::Ciphers& ciphers, const Method& method,
                                                         std::span<const u8> key) {
    std::unique_ptr<SectorCipher> made(new SectorCipher(method));
    const bool xts = method.mode == Method::Mode::xts;
    const auto first = key.first(xts ? key.size() / 2 : key.size());
    TRY_SET(made->data_, ciphers.aes(first));
    if (xts) {
        if (method.start == Method::Start::essiv) return Error{"is encrypted by aes-xts-essiv, which is not supported"};
        TRY_SET(made->second_, ciphers.aes(key.subspan(first.size())));
    } else if (method.start == Method::Start::essiv && method.mode == Method::Mode::cbc) {
        TRY_SET(const Secret salt, ciphers.digest(method.start_hash, key));
        if (salt.size() != 16 && salt.size() != 24 && salt.size() != 32)
            return Error{fmt::format("is encrypted with essiv:{}, which makes no key for AES", method.start_hash)};
        TRY_SET(made->second_, ciphers.aes(salt.bytes()));
    }
    return made;
}

Result<void> SectorCipher::starts(u64 sector, u64 count) {
    starts_.assign(count * block_bytes, 0);
    for (u64 i = 0; i < count; i++) {
        const u64 number = sector + i;
        store_le<u64>(&starts_[i * block_bytes], start_ == Method::Start::plain ? number & low_mask(32) : number);
    }
    return second_ ? second_->encrypt(starts_) : Result<void>{};
}

template <class Run>
Result<void> SectorCipher::each_part(u64 sector, std::span<u8> bytes, Run&& run) {
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min<usize>(bytes.size(), part_sectors * sector_bytes));
        TRY(starts(sector, part.size() / sector_bytes));
        TRY(run(part));
        bytes = bytes.subspan(part.size());
        sector += part_sectors;
    }
    return {};
}

// IEEE 1619: each block has its own mask, the one before doubled in GF(2^128).
Result<void> SectorCipher::run_xts(Way way, u64 sector, std::span<u8> bytes) {
    return each_part(sector, bytes, [&](std::span<u8> part) -> Result<void> {
        scratch_.resize(part.size());
        u8* out = scratch_.data();
        for (usize s = 0; s < part.size() / sector_bytes; s++) {
            u64 low = load_le<u64>(&starts_[s * block_bytes]), high = load_le<u64>(&starts_[s * block_bytes + 8]);
            for (usize i = 0; i < sector_bytes / block_bytes; i++, out += block_bytes) {
                store_le<u64>(out, low);
                store_le<u64>(out + 8, high);
                const u64 carry = high >> 63;
                high = high << 1 | low >> 63;
                low = low << 1 ^ (carry != 0 ? 0x87 : 0);
            }
        }
        add(part.data(), scratch_.data(), part.size());
        TRY(way == Way::encrypt ? data_->encrypt(part) : data_->decrypt(part));
        add(part.data(), scratch_.data(), part.size());
        return {};
    });
}

Result<void> SectorCipher::encrypt_cbc(u64 sector, std::span<u8> bytes) {
    return each_part(sector, bytes, [&](std::span<u8> part) -> Result<void> {
        for (usize at = 0; at < part.size(); at += block_bytes) {
            const bool first = at % sector_bytes == 0;
            add(&part[at], first ? &starts_[at / sector_bytes * block_bytes] : &part[at - block_bytes], block_bytes);
            TRY(data_->encrypt(part.subspan(at, block_bytes)));
        }
        return {};
    });
}

Result<void> SectorCipher::decrypt_cbc(u64 sector, std::span<u8> bytes) {
    return each_part(sector, bytes, [&](std::span<u8> part) -> Result<void> {
        scratch_.assign(part.begin(), part.end());
        TRY(data_->decrypt(part));
        for (usize at = 0; at < part.size(); at += block_bytes) {
            const bool first = at % sector_bytes == 0;
            add(&part[at], first ? &starts_[at / sector_bytes * block_bytes] : &scratch_[at - block_bytes],
                block_bytes);
        }
        return {};
    });
}

Result<void> SectorCipher::encrypt(u64 sector, std::span<u8> bytes) {
    switch (mode_) {
        case Method::Mode::ecb: return data_->encrypt(bytes);
        case Method::Mode::cbc: return encrypt_cbc(sector, bytes);
        case Method::Mode::xts: break;
    }
    return run_xts(Way::encrypt, sector, bytes);
}

Result<void> SectorCipher::decrypt(u64 sector, std::span<u8> bytes) {
    switch (mode_) {
        case Method::Mode::ecb: return data_->decrypt(bytes);
        case Method::Mode::cbc: return decrypt_cbc(sector, bytes);
        case Method::Mode::xts: break;
    }
    return run_xts(Way::decrypt, sector, bytes);
}

u64 EncryptedFile::size() {
    const u64 all = file_.size();
    return all <= payload_ ? 0 : align_down(all - payload_, sector_bytes);
}

// Whole sectors, decrypted, into buffer_. Those behind the end are zero: nobody has written them.
Result<void> EncryptedFile::load(u64 start, u64 length) {
    buffer_.assign(length, 0);
    const u64 end = size(), there = start >= end ? 0 : std::min(length, end - start);
    const auto bytes = std::span(buffer_).first(there);
    if (there == 0) return {};
    TRY(file_.read_at(payload_ + start, bytes));
    return cipher_->decrypt(start / sector_bytes, bytes);
}

Result<void> EncryptedFile::read_at(u64 offset, std::span<u8> out) {
    if (!cipher_) return Error{"is encrypted, and opened without its passphrase"};
    if (!range_fits(offset, out.size(), size())) return Error{"the encrypted data ends before"};
    while (!out.empty()) {
        const u64 inside = offset % sector_bytes, part = std::min<u64>(out.size(), piece - inside);
        if (inside == 0 && part % sector_bytes == 0) {
            TRY(file_.read_at(payload_ + offset, out.first(part)));
            TRY(cipher_->decrypt(offset / sector_bytes, out.first(part)));
        } else {
            TRY(load(offset - inside, align_up(inside + part, sector_bytes)));
            std::memcpy(out.data(), &buffer_[inside], part);
        }
        offset += part;
        out = out.subspan(part);
    }
    return {};
}

Result<void> EncryptedFile::write_at(u64 offset, std::span<const u8> in) {
    if (!cipher_) return Error{"is encrypted, and opened without its passphrase"};
    while (!in.empty()) {
        const u64 inside = offset % sector_bytes, part = std::min<u64>(in.size(), piece - inside);
        const u64 whole = align_up(inside + part, sector_bytes), start = offset - inside;
        if (whole != part)
            TRY(load(start, whole));
        else
            buffer_.resize(whole);
        std::memcpy(&buffer_[inside], in.data(), part);
        TRY(cipher_->encrypt(start / sector_bytes, buffer_));
        TRY(file_.write_at(payload_ + start, buffer_));
        offset += part;
        in = in.subspan(part);
    }
    return {};
}

}  // namespace viv::block::luks
