// The records behind Archive: bounds first, then bytes. See archive.h for the encoding.
#include "engine/state/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::state {

namespace {

constexpr usize header_size = 8;
constexpr u8 type_scalar = 1, type_array = 2, type_bytes = 3, type_section = 4;

}  // namespace

Archive Archive::saver(std::vector<u8>& out) {
    Archive archive(Mode::save);
    archive.out_ = &out;
    return archive;
}

Archive Archive::loader(std::span<const u8> in) {
    Archive archive(Mode::load);
    archive.in_ = in;
    return archive;
}

Archive Archive::describer(std::string& out, std::string prefix) {
    Archive archive(Mode::describe);
    archive.text_ = &out;
    archive.prefix_ = std::move(prefix);
    return archive;
}

Archive Archive::lister(std::string& out, std::string prefix) {
    Archive archive = describer(out, std::move(prefix));
    archive.mode_ = Mode::list;
    return archive;
}

void Archive::put(u8* to, u128 value, usize size) {
    for (usize i = 0; i < size; i++) to[i] = static_cast<u8>(value >> (8 * i));
}

u128 Archive::get(const u8* from, usize size) {
    u128 value = 0;
    for (usize i = 0; i < size; i++) value |= static_cast<u128>(from[i]) << (8 * i);
    return value;
}

void Archive::record(u16 tag, u8 type, std::span<const u8> payload) {
    CHECK(payload.size() <= 0xffff'ffff);
    u8 header[header_size] = {};
    store_le(header, tag);
    header[2] = type;
    store_le(header + 4, static_cast<u32>(payload.size()));
    out_->insert(out_->end(), header, header + header_size);
    out_->insert(out_->end(), payload.begin(), payload.end());
}

std::span<const u8> Archive::find(u16 tag, u8 type, const char* name) {
    last_found_ = false;
    // From the cursor to the end, then from the start to the cursor: in-order archives are found at once.
    for (int pass = 0; pass < 2; pass++) {
        usize at = pass == 0 ? cursor_ : 0;
        const usize end = pass == 0 ? in_.size() : cursor_;
        while (at < end) {
            if (in_.size() - at < header_size) return fail(name, "is cut short"), std::span<const u8>{};
            const u8* header = in_.data() + at;
            const u32 length = load_le<u32>(header + 4);
            if (length > in_.size() - at - header_size) return fail(name, "is cut short"), std::span<const u8>{};
            if (load_le<u16>(header) == tag) {
                if (header[2] != type) return fail(name, "has another type"), std::span<const u8>{};
                last_found_ = true;
                cursor_ = at + header_size + length;
                return in_.subspan(at + header_size, length);
            }
            at += header_size + length;
        }
    }
    return {};
}

void Archive::describe(u16 tag, const char* name, std::string_view type) {
    *text_ += fmt::format("{}.{} {} {}\n", prefix_, name, tag, type);
}

void Archive::list_line(const std::string& name, u128 value, usize size) {
    const u64 high = static_cast<u64>(value >> 64), low = static_cast<u64>(value);
    *text_ += size > 8 ? fmt::format("{}.{} {:#018x}{:016x}\n", prefix_, name, high, low)
                       : fmt::format("{}.{} {:#x}\n", prefix_, name, low);
}

void Archive::list_bytes(const char* name, std::span<const u8> bytes) {
    constexpr usize row = 16;
    if (bytes.size() <= row) {
        *text_ += fmt::format("{}.{} {:02x}\n", prefix_, name, fmt::join(bytes, " "));
        return;
    }
    for (usize at = 0; at < bytes.size(); at += row)
        *text_ += fmt::format("{}.{}[{}] {:02x}\n", prefix_, name, at,
                              fmt::join(bytes.subspan(at, std::min(row, bytes.size() - at)), " "));
}

void Archive::fail(const char* name, const char* problem) {
    if (problem_.empty()) problem_ = fmt::format("field '{}' {}", name, problem);
}

void Archive::scalar(u16 tag, const char* name, u128& value, usize size, u64 maximum) {
    switch (mode_) {
        case Mode::save: {
            u8 raw[16];
            put(raw, value, size);
            record(tag, type_scalar, {raw, size});
            return;
        }
        case Mode::describe: describe(tag, name, fmt::format("u{}", size * 8)); return;
        case Mode::list: list_line(name, value, size); return;
        case Mode::load: {
            const auto payload = find(tag, type_scalar, name);
            if (!last_found_) return;
            if (payload.empty() || payload.size() > 16) return fail(name, "has a broken length");
            const u128 stored = get(payload.data(), payload.size());
            if (size < 16 && (stored >> (8 * size)) != 0) return fail(name, "is too large for its type");
            if (maximum != ~u64{0} && stored > maximum) return fail(name, "is out of range");
            value = stored;
            return;
        }
    }
}

void Archive::fixed(u16 tag, const char* name, void* values, usize size, usize count, ArrayOf type) {
    if (mode_ == Mode::describe) return describe(tag, name, fmt::format("u{}[]", size * 8));
    auto* bytes = static_cast<u8*>(values);
    if (mode_ == Mode::list) {
        if (size == 1) return list_bytes(name, {bytes, count});
        for (usize i = 0; i < count; i++) {
            u128 value = 0;
            for (usize byte = 0; byte < size; byte++) {
                const usize at = std::endian::native == std::endian::little ? byte : size - 1 - byte;
                value |= static_cast<u128>(bytes[i * size + at]) << (8 * byte);
            }
            list_line(fmt::format("{}[{}]", name, i), value, size);
        }
        return;
    }
    if (mode_ == Mode::save) {
        if constexpr (std::endian::native == std::endian::little) {
            record(tag, type_array, {bytes, size * count});
        } else {
            std::vector<u8> raw(bytes, bytes + size * count);
            for (usize i = 0; i < count; i++) std::reverse(raw.begin() + i * size, raw.begin() + (i + 1) * size);
            record(tag, type_array, raw);
        }
        return;
    }
    const auto payload = find(tag, type_array, name);
    if (!last_found_) return;
    if (payload.size() != size * count) return fail(name, "has the wrong length");
    if (type == ArrayOf::bools && std::any_of(payload.begin(), payload.end(), [](u8 byte) { return byte > 1; }))
        return fail(name, "is out of range");
    if (!payload.empty()) std::memcpy(bytes, payload.data(), payload.size());
    if constexpr (std::endian::native == std::endian::big)
        for (usize i = 0; i < count; i++) std::reverse(bytes + i * size, bytes + (i + 1) * size);
}

void Archive::bytes(u16 tag, const char* name, std::vector<u8>& value, usize maximum) {
    if (mode_ == Mode::describe) return describe(tag, name, "bytes");
    if (mode_ == Mode::list) return list_bytes(name, value);
    if (mode_ == Mode::save) return record(tag, type_bytes, value);
    const auto payload = find(tag, type_bytes, name);
    if (!last_found_) return;
    if (payload.size() > maximum) return fail(name, "is too long");
    value.assign(payload.begin(), payload.end());
}

void Archive::text(u16 tag, const char* name, std::string& value, usize maximum) {
    std::vector<u8> raw(value.begin(), value.end());
    bytes(tag, name, raw, maximum);
    if (loading() && last_found_) value.assign(raw.begin(), raw.end());
}

Archive Archive::enter(u16 tag, const char* name) {
    Archive inner(mode_);
    switch (mode_) {
        case Mode::save:
            inner.out_ = out_;
            record(tag, type_section, {});
            inner.section_start_ = out_->size();
            break;
        case Mode::describe:
            describe(tag, name, "section");
            inner.text_ = text_;
            inner.prefix_ = prefix_ + "." + name;
            break;
        case Mode::list:
            inner.text_ = text_;
            inner.prefix_ = prefix_ + "." + name;
            break;
        case Mode::load: inner.in_ = find(tag, type_section, name); break;
    }
    return inner;
}

void Archive::leave(Archive& inner) {
    if (mode_ == Mode::save) {
        const usize length = out_->size() - inner.section_start_;
        CHECK(length <= 0xffff'ffff);
        store_le(out_->data() + inner.section_start_ - 4, static_cast<u32>(length));
    } else if (mode_ == Mode::load && problem_.empty()) {
        problem_ = inner.problem_;
    }
}

Result<void> Archive::finish() const {
    if (!problem_.empty()) return Error{problem_};
    return {};
}

}  // namespace viv::state
