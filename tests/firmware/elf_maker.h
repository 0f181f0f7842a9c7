// Small ELF files for tests: both classes, both byte orders, segments and a symbol table.
#pragma once

#include <bit>
#include <string>
#include <vector>

#include "engine/firmware/elf.h"
#include "engine/lang/bytes.h"

namespace viv::test {

struct ElfMaker {
    struct Piece {
        u64 address = 0;
        u64 virtual_address = 0;
        std::vector<u8> bytes;
        u64 memory_size = 0;
    };
    ElfTarget target = elf_riscv64;
    u16 type = 2;
    u64 entry = 0;
    std::vector<Piece> pieces;
    std::vector<std::pair<std::string, u64>> symbols;

    std::vector<u8> make() const {
        const bool wide = target.bits == 64;
        std::vector<u8> out{0x7f, 'E', 'L', 'F', u8(wide ? 2 : 1), u8(target.order == std::endian::big ? 2 : 1), 1};
        out.resize(wide ? 64 : 52);
        const u64 header_size = wide ? 56 : 32, section_size = wide ? 64 : 40;
        put16(out, 16, type);
        put16(out, 18, target.machine);
        put32(out, 20, 1);
        word(out, 24, entry);
        word(out, wide ? 32 : 28, out.size());
        put16(out, wide ? 54 : 42, static_cast<u16>(header_size));
        put16(out, wide ? 56 : 44, static_cast<u16>(pieces.size()));
        const usize table = out.size();
        out.resize(table + pieces.size() * header_size);
        for (usize i = 0; i < pieces.size(); i++) {
            const usize at = table + i * header_size;
            const Piece& piece = pieces[i];
            put32(out, at, 1);
            put32(out, at + (wide ? 4 : 24), 7);
            word(out, at + (wide ? 8 : 4), out.size());
            word(out, at + (wide ? 16 : 8), piece.virtual_address);
            word(out, at + (wide ? 24 : 12), piece.address);
            word(out, at + (wide ? 32 : 16), piece.bytes.size());
            word(out, at + (wide ? 40 : 20), std::max<u64>(piece.memory_size, piece.bytes.size()));
            out.insert(out.end(), piece.bytes.begin(), piece.bytes.end());
        }
        if (symbols.empty()) return out;
        std::vector<u8> strings(1), table_bytes(wide ? 24 : 16);
        for (const auto& [name, value] : symbols) {
            const usize at = table_bytes.size();
            table_bytes.resize(at + (wide ? 24 : 16));
            put32(table_bytes, at, static_cast<u32>(strings.size()));
            word(table_bytes, at + (wide ? 8 : 4), value);
            strings.insert(strings.end(), name.begin(), name.end());
            strings.push_back(0);
        }
        const usize strings_at = out.size();
        out.insert(out.end(), strings.begin(), strings.end());
        const usize symbols_at = out.size();
        out.insert(out.end(), table_bytes.begin(), table_bytes.end());
        const usize sections = out.size();
        out.resize(sections + 3 * section_size);
        word(out, wide ? 40 : 32, sections);
        put16(out, wide ? 58 : 46, static_cast<u16>(section_size));
        put16(out, wide ? 60 : 48, 3);
        const auto section = [&](usize index, u32 kind, u64 offset, u64 size, u32 link, u64 entry_size) {
            const usize at = sections + index * section_size;
            put32(out, at + 4, kind);
            word(out, at + (wide ? 24 : 16), offset);
            word(out, at + (wide ? 32 : 20), size);
            put32(out, at + (wide ? 40 : 24), link);
            word(out, at + (wide ? 56 : 36), entry_size);
        };
        section(1, 3, strings_at, strings.size(), 0, 0);
        section(2, 2, symbols_at, table_bytes.size(), 1, wide ? 24 : 16);
        return out;
    }

    template <class T>
    void put(std::vector<u8>& out, usize at, T value) const {
        if (target.order == std::endian::big)
            store_be(out.data() + at, value);
        else
            store_le(out.data() + at, value);
    }
    void put16(std::vector<u8>& out, usize at, u16 value) const { put(out, at, value); }
    void put32(std::vector<u8>& out, usize at, u32 value) const { put(out, at, value); }
    void word(std::vector<u8>& out, usize at, u64 value) const {
        if (target.bits == 64)
            put(out, at, value);
        else
            put(out, at, static_cast<u32>(value));
    }
};

}  // namespace viv::test
