// The part of the Assembler that knows offsets: labels and jumps to them, padding, data, and jumps patched at run time.
// Promises: a jump back is short where it reaches; fix-ups lie in flat lists and are done in one pass by finish().
// Specification: Intel 64 and IA-32 Architectures SDM, volume 2 (Jcc, JMP, CALL, NOP) and volume 3, section 8.1.
#include <atomic>
#include <limits>

#include "engine/jit/x64/assembler.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

Label Assembler::make_label() {
    labels_.push_back(unbound);
    return {static_cast<u32>(labels_.size() - 1)};
}

void Assembler::bind(Label label) {
    CHECK(label.id < labels_.size(), "a label of another Assembler");
    CHECK(labels_[label.id] == unbound, "a label bound twice");
    labels_[label.id] = static_cast<u32>(size());
}

bool Assembler::bound(Label label) const {
    CHECK(label.id < labels_.size(), "a label of another Assembler");
    return labels_[label.id] != unbound;
}

usize Assembler::offset(Label label) const {
    CHECK(bound(label), "the offset of a label that is not bound");
    return labels_[label.id];
}

std::span<const u8> Assembler::finish() {
    const auto distance = [this](const Fixup& fixup, unsigned bytes) {
        CHECK(fixup.label < labels_.size(), "a label of another Assembler");
        CHECK(labels_[fixup.label] != unbound, "a label that is used but not bound");
        return i64{labels_[fixup.label]} - (i64{fixup.at} + bytes);
    };
    for (const Fixup& fixup : fixups32_) {
        u8* const p = begin_ + fixup.at;
        store_le(p, static_cast<i32>(load_le<i32>(p) + distance(fixup, 4)));
    }
    for (const Fixup& fixup : fixups8_) {
        const i64 value = distance(fixup, 1);
        CHECK(value == static_cast<i8>(value), "Reach::rel8 does not reach");
        begin_[fixup.at] = static_cast<u8>(value);
    }
    fixups32_.clear();
    fixups8_.clear();
    if (buffer_ != &own_) {
        buffer_->resize(size());
        end_ = cursor_;
    }
    return code();
}

void Assembler::jump(u32 opcode8, u32 opcode32, unsigned length32, Label to, Reach reach) {
    const bool known = bound(to);
    const i64 back = known ? i64{labels_[to.id]} - static_cast<i64>(size()) : 0;  // from our start, at most 0
    const bool short_form = known ? opcode8 && back - 2 >= std::numeric_limits<i8>::min() : reach == Reach::rel8;
    if (short_form) {
        plain(opcode8, 2);
        if (known)
            cursor_[-1] = static_cast<u8>(back - 2);
        else
            fixups8_.push_back({static_cast<u32>(size() - 1), to.id});
        return;
    }
    plain(opcode32, length32);
    store_le(cursor_, known ? static_cast<i32>(back - (length32 + 4)) : 0);
    if (!known) fixups32_.push_back({static_cast<u32>(size()), to.id});
    cursor_ += 4;
}

void Assembler::jmp(Label to, Reach reach) { jump(0xeb, 0xe9, 1, to, reach); }
void Assembler::jcc(Condition c, Label to, Reach reach) {
    const u32 number = static_cast<u32>(c);
    jump(0x70 | number, 0x800f | number << 8, 2, to, reach);
}
void Assembler::call(Label to) { jump(0, 0xe8, 1, to, Reach::rel32); }

void Assembler::nop(usize bytes) {
    // Intel's recommended forms, by length.
    static constexpr u8 forms[9][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };
    while (bytes > 0) {
        const usize length = bytes < 9 ? bytes : 9;
        std::memcpy(room(), forms[length - 1], length);
        cursor_ += length;
        bytes -= length;
    }
}

void Assembler::align(usize to) {
    CHECK(is_power_of_two(to), "an alignment is a power of two");
    nop(align_up(size(), to) - size());
}

void Assembler::db(std::span<const u8> bytes) {
    if (bytes.empty()) return;
    std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
    cursor_ += bytes.size();
}
void Assembler::dd(u32 value) {
    store_le(room(), value);
    cursor_ += 4;
}
void Assembler::dq(u64 value) {
    store_le(room(), value);
    cursor_ += 8;
}

usize Assembler::placeholder(u32 opcode, unsigned length) {
    nop((0 - (size() + length)) & 3);
    plain(opcode, length);
    const usize at = size();
    dd(0);
    return at;
}
usize Assembler::jmp_rel32_placeholder() { return placeholder(0xe9, 1); }
usize Assembler::jcc_rel32_placeholder(Condition c) { return placeholder(0x800f | static_cast<u32>(c) << 8, 2); }
usize Assembler::call_rel32_placeholder() { return placeholder(0xe8, 1); }

void Assembler::patch_rel32(u8* at, i64 target_minus_end) {
    CHECK(target_minus_end == static_cast<i32>(target_minus_end), "a jump beyond 2 GiB");
    CHECK(reinterpret_cast<std::uintptr_t>(at) % 4 == 0, "a displacement that cannot be written atomically");
    // Only on a host that runs what it assembles is this atomic in meaning; there the byte order is little.
    std::atomic_ref<i32> displacement(*reinterpret_cast<i32*>(at));
    displacement.store(static_cast<i32>(target_minus_end), std::memory_order_release);
}

}  // namespace viv::jit::x64
