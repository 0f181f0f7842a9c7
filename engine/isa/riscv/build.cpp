// Decoding guest code into blocks.
#include "engine/isa/riscv/build.h"

#include <map>
#include <string>
#include <string_view>

#include "engine/isa/riscv/build_rows.h"
#include "engine/isa/riscv/rv_c.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::riscv {

namespace {

const BuildRow& builders_of(usize table_index) {
    for (const auto part : {base_builders(), float_builders(), vector_builders()}) {
        if (table_index < part.size()) return part[table_index];
        table_index -= part.size();
    }
    CHECK(false);
    return base_builders()[0];
}

}  // namespace

u64 block_mode_of(const Hart& hart) {
    u64 mode = hart.xlen() == 64 ? block_mode::rv64 : 0;
    if (const unsigned vlen = hart.config().vlen; vlen != 0) {
        mode |= block_mode::vector | block_mode::of_vlen(vlen);
        if (hart.vector_on()) mode |= block_mode::vector_on;
    }
    if (!hart.fp_on()) return mode;
    mode |= block_mode::float_on | u64{hart.s.frm} << block_mode::frm_shift;
    if ((hart.s.mstatus & mstatus::fs) == mstatus::fs) mode |= block_mode::float_dirty;
    return mode;
}

BlockBuilder::Fetched BlockBuilder::fetch(const CodeReader& code, u64 pc) const {
    u8 bytes[4];
    if (code.read(pc, std::span(bytes, 2)) < 2) return {};
    if ((bytes[0] & 3) != 3) return {expand_compressed(load_le<u16>(bytes), xlen_), 2};
    if (code.read(pc, bytes) < 4) return {};
    return {load_le<u32>(bytes), 4};
}

ir::Block BlockBuilder::build_block(const CodeReader& code, u64 pc, u64 mode, unsigned limit) const {
    CHECK(((mode & block_mode::rv64) != 0) == (xlen_ == 64) && ((mode & block_mode::vector) != 0) == vector_ &&
          limit > 0);
    ir::Block block{.pc = pc, .mode = mode};
    ir::Builder builder(block);
    Translation translation{
        .b = builder,
        .pc = pc,
        .float_on = (mode & block_mode::float_on) != 0,
        .float_dirty = (mode & block_mode::float_dirty) != 0,
        .frm = static_cast<u8>(bits(mode, block_mode::frm_shift, 3)),
        .vector = {.vlen_bytes = block_mode::vlen_of(mode) / 8, .on = (mode & block_mode::vector_on) != 0},
    };
    const u64 address_mask = low_mask(xlen_);
    for (unsigned count = 0; !builder.terminated(); count++) {
        const u64 at = translation.pc;
        const bool may_go_on = count == 0 || (count < limit && ((at ^ pc) & ~page_mask) == 0);
        const Fetched fetched = may_go_on ? fetch(code, at) : Fetched{};
        const bool crosses = fetched.length > page_size - (at & page_mask);
        if (fetched.length == 0 || (crosses && count > 0)) {
            if (count > 0) builder.jump(at);
            break;
        }
        builder.guest(at);
        translation.length = fetched.length;
        block.size += fetched.length;
        const int index = decoder_.find(fetched.word);
        if (index < 0) {
            Build<u64>(translation).illegal();
        } else {
            const usize row = static_cast<usize>(index);
            translation.flow = instruction_table()[row].flow;
            builders_of(row).of[xlen_ == 64](translation, fetched.word);
        }
        translation.pc = (at + fetched.length) & address_mask;
        if (!builder.terminated() && translation.flow == Flow::system) {
            builder.set(ir::Type::i64, slots::pc, builder.address(translation.pc));
            builder.leave();
        }
    }
    return block;
}

ir::SlotTable state_slots() {
    std::vector<ir::Slot> all;
    for (unsigned r = 0; r < 32; r++) {
        all.push_back({slots::x(r), ir::Type::i64, "x" + std::to_string(r)});
        all.push_back({slots::f(r), ir::Type::i64, "f" + std::to_string(r)});
    }
    for (u64 at = 0; at < sizeof(State::v); at += 16)
        all.push_back({slots::v + at, ir::Type::i128, "v_" + std::to_string(at)});
    all.push_back({slots::vl, ir::Type::i64, "vl"});
    all.push_back({slots::vtype, ir::Type::i64, "vtype"});
    all.push_back({slots::vstart, ir::Type::i64, "vstart"});
    all.push_back({slots::pc, ir::Type::i64, "pc"});
    all.push_back({slots::fflags, ir::Type::i8, "fflags"});
    all.push_back({slots::frm, ir::Type::i8, "frm"});
    all.push_back({slots::mstatus, ir::Type::i64, "mstatus"});
    all.push_back({slots::reservation_valid, ir::Type::i8, "reservation_valid"});
    all.push_back({slots::reservation_address, ir::Type::i64, "reservation_address"});
    all.push_back({slots::reservation_value, ir::Type::i64, "reservation_value"});
    return ir::SlotTable(std::move(all));
}

std::vector<ir::Helper> block_helpers() {
    // Bodies name their helpers themselves, so each instruction is translated once. The FPU is off, so float ones name
    // what refuses them.
    ir::Block block;
    ir::Builder builder(block);
    Translation translation{.b = builder, .length = 4};
    for (usize row = 0; row < instruction_table().size(); row++) {
        translation.flow = instruction_table()[row].flow;
        for (const auto translate : builders_of(row).of)
            if (translate != nullptr) translate(translation, instruction_table()[row].encoding.value);
    }
    std::map<std::string_view, ir::Helper> helpers;
    for (const ir::Call& call : block.calls) helpers.emplace(call.helper.name, call.helper);
    std::vector<ir::Helper> all;
    for (const auto& [name, helper] : helpers) all.push_back(helper);
    return all;
}

}  // namespace viv::riscv
