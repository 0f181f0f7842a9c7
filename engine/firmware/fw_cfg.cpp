// Selector, data port, file directory and DMA of fw_cfg. See fw_cfg.h.
#include "engine/firmware/fw_cfg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv {

namespace {

constexpr u64 data_register = 0x00, selector_register = 0x08, dma_register = 0x10, dma_register_low = 0x14;
constexpr u32 control_error = 0x01, control_read = 0x02, control_skip = 0x04, control_select = 0x08,
              control_write = 0x10;
constexpr u32 feature_traditional = 0x01, feature_dma = 0x02;
constexpr u16 write_mode = 0x4000;  // a selector bit of old that changes nothing here
constexpr usize directory_entry_size = 64, directory_name_at = 8;
constexpr std::string_view item_signature = "QEMU", dma_signature = "QEMU CFG";

std::vector<u8> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

template <class T>
std::vector<u8> little_endian(T value) {
    std::vector<u8> bytes(sizeof value);
    store_le(bytes.data(), value);
    return bytes;
}

}  // namespace

FwCfg::FwCfg(Wiring wiring) : wire_(std::move(wiring)) {
    set_item(signature, bytes_of(item_signature));
    set_u32(id, feature_traditional | feature_dma);
    set_item(file_dir, std::vector<u8>(4));
}

void FwCfg::set_item(u16 key, std::vector<u8> content) {
    CHECK(content.size() <= 0xffff'ffff);
    items_[key & ~write_mode] = std::move(content);
}
void FwCfg::set_u16(u16 key, u16 value) { set_item(key, little_endian(value)); }
void FwCfg::set_u32(u16 key, u32 value) { set_item(key, little_endian(value)); }
void FwCfg::set_u64(u16 key, u64 value) { set_item(key, little_endian(value)); }
void FwCfg::set_text(u16 key, std::string_view text) {
    std::vector<u8> content = bytes_of(text);
    content.push_back(0);
    set_item(key, std::move(content));
}

Result<void> FwCfg::add_file(std::string_view name, std::vector<u8> content) {
    if (name.empty() || name.size() > maximum_name)
        return Error{fmt::format("fw_cfg file name '{}' must have 1 to {} characters", name, maximum_name)};
    if (std::any_of(files_.begin(), files_.end(), [&](const File& file) { return file.name == name; }))
        return Error{fmt::format("fw_cfg file '{}' exists already", name)};
    if (files_.size() == maximum_files) return Error{fmt::format("fw_cfg file '{}' is one too many", name)};
    if (content.size() > 0xffff'ffff) return Error{fmt::format("fw_cfg file '{}' is larger than 4 GiB", name)};
    const auto key = static_cast<u16>(file_first + files_.size());
    files_.push_back({std::string(name), static_cast<u32>(content.size()), key});
    set_item(key, std::move(content));

    std::vector<u8> directory(4 + directory_entry_size * files_.size());
    store_be(directory.data(), static_cast<u32>(files_.size()));
    u8* entry = directory.data() + 4;
    for (const File& file : files_) {
        store_be(entry, file.size);
        store_be(entry + 4, file.key);
        std::memcpy(entry + directory_name_at, file.name.data(), file.name.size());
        entry += directory_entry_size;
    }
    set_item(file_dir, std::move(directory));
    return {};
}

void FwCfg::reset() { s_ = State{}; }

void FwCfg::state(Archive& a) {
    a(1, "key", s_.key);
    a(2, "offset", s_.offset);
    a(3, "dma_address", s_.dma_address);
}

void FwCfg::select(u16 key) {
    s_.key = key & static_cast<u16>(~write_mode);
    s_.offset = 0;
}

// What is left to read of the selected item; empty for an unknown one.
std::span<const u8> FwCfg::rest() const {
    const auto item = items_.find(s_.key);
    if (item == items_.end() || s_.offset >= item->second.size()) return {};
    return std::span<const u8>(item->second).subspan(s_.offset);
}

// The data port is a string of bytes: the first one read goes to the lowest address.
u64 FwCfg::read_data(unsigned size) {
    const auto from = rest();
    const usize count = std::min<usize>(size, from.size());
    u64 value = 0;
    for (usize i = 0; i < count; i++) value |= u64{from[i]} << (8 * i);
    s_.offset += static_cast<u32>(count);
    return value;
}

u64 FwCfg::read(u64 offset, unsigned size) {
    if (offset == data_register) return read_data(size);
    u64 value = 0;
    if (offset >= dma_register)
        for (unsigned i = 0; i < size && offset - dma_register + i < dma_signature.size(); i++)
            value |= u64{static_cast<u8>(dma_signature[offset - dma_register + i])} << (8 * i);
    return value;
}

void FwCfg::write(u64 offset, unsigned size, u64 value) {
    if (offset == selector_register && size == 2) return select(byte_swap(static_cast<u16>(value)));
    if (offset == dma_register && size == 8) {
        s_.dma_address = byte_swap(value);
        return transfer();
    }
    if (offset == dma_register && size == 4) {
        s_.dma_address = u64{byte_swap(static_cast<u32>(value))} << 32;
        return;
    }
    if (offset == dma_register_low && size == 4) {
        s_.dma_address |= byte_swap(static_cast<u32>(value));
        return transfer();
    }
    wire_.log.guest("write of {} bytes at {:#x} has no effect", size, offset);
}

// A request in guest memory: control, length (32 bits each) and address (64 bits), all big endian. The answer goes
// into control.
void FwCfg::transfer() {
    const u64 at = s_.dma_address;
    s_.dma_address = 0;
    u8 request[16];
    u32 status = control_error;
    if (wire_.dma.read(at, request))
        status = carry_out(load_be<u32>(request), load_be<u32>(request + 4), load_be<u64>(request + 8));
    u8 answer[4];
    store_be(answer, status);
    if (!wire_.dma.write(at, answer)) wire_.log.guest("DMA request at {:#x}, which is not RAM", at);
}

u32 FwCfg::carry_out(u32 control, u32 length, u64 address) {
    if (control & control_select) select(static_cast<u16>(control >> 16));
    const auto from = rest();
    const auto count = static_cast<u32>(std::min<usize>(length, from.size()));
    if (control & control_read) {
        if (length != 0) {
            const auto to = wire_.dma.view(address, length);
            if (to.empty()) {
                wire_.log.guest("DMA of {:#x} bytes to {:#x}, which is not RAM", length, address);
                return control_error;
            }
            if (count != 0) std::memcpy(to.data(), from.data(), count);
            std::fill(to.begin() + count, to.end(), u8{0});
            wire_.dma.wrote(address, length);
        }
        s_.offset += count;
    } else if (control & control_write) {
        return control_error;  // every item is read-only
    } else if (control & control_skip) {
        s_.offset += count;
    }
    return 0;
}

}  // namespace viv
