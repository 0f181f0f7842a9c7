// Blocks of random instructions; see generator.h. The state they start from is in generator_state.cpp.
#include "tests/lockstep/qemu_user/generator.h"

#include <algorithm>
#include <cstring>

#include "engine/isa/riscv/rv_c.h"

namespace viv::lockstep {

namespace {

using riscv::Flow;
using riscv::InstructionInfo;
using riscv::Operands;

const InstructionInfo& info_of(usize row) { return riscv::instruction_table()[row]; }

// CSRs that user mode may know, and a few that it may not.
constexpr std::array<u16, 16> csr_numbers{0x001, 0x002, 0x003, 0x001, 0x002, 0x003, 0x009, 0x009,
                                          0x00a, 0x00f, 0xc20, 0xc21, 0xc22, 0x100, 0x300, 0x7ff};

constexpr u32 branch_bits(i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return (o >> 11 & 1) << 7 | (o >> 1 & 15) << 8 | (o >> 5 & 63) << 25 | (o >> 12 & 1) << 31;
}
constexpr u32 jump_bits(i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return (o >> 12 & 255) << 12 | (o >> 11 & 1) << 20 | (o >> 1 & 1023) << 21 | (o >> 20 & 1) << 31;
}
constexpr u32 compressed_branch_bits(i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return (o >> 5 & 1) << 2 | (o >> 1 & 3) << 3 | (o >> 6 & 3) << 5 | (o >> 3 & 3) << 10 | (o >> 8 & 1) << 12;
}
constexpr u32 compressed_jump_bits(i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return (o >> 5 & 1) << 2 | (o >> 1 & 7) << 3 | (o >> 7 & 1) << 6 | (o >> 6 & 1) << 7 | (o >> 10 & 1) << 8 |
           (o >> 8 & 3) << 9 | (o >> 4 & 1) << 11 | (o >> 11 & 1) << 12;
}

// A word with the offset of a branch, a jump, or an immediate operand (jalr, addi behind an auipc) put in.
u32 with_offset(const Piece& piece, i32 offset) {
    const u32 word = piece.word;
    if (piece.length == 2) {
        if (word >> 13 >= 6) return (word & 0xe383) | compressed_branch_bits(offset);
        return (word & 0xe003) | compressed_jump_bits(offset);
    }
    switch (word & 0x7f) {
        case 0x63: return (word & 0x01ff'f07f) | branch_bits(offset);
        case 0x6f: return (word & 0xfff) | jump_bits(offset);
        default: return (word & 0xf'ffff) | static_cast<u32>(offset) << 20;
    }
}

constexpr u32 c_nop = 0x0001, nop = 0x0000'0013;

}  // namespace

void make_nop(Piece& piece) {
    piece = {.word = piece.length == 2 ? c_nop : nop, .length = piece.length, .bound = piece.bound};
}

std::vector<u32> Block::places() const {
    std::vector<u32> offsets;
    u32 end = 0;
    for (const Piece& piece : pieces) {
        if (!piece.bound) offsets.push_back(end);
        end += piece.length;
    }
    offsets.push_back(end);
    return offsets;
}

void place(test_case& test, const Block& block, usize number) {
    const u64 code = CODE_BASE + number * CODE_STRIDE;
    test.block = number;
    test.before.x[block.link] = code;
    if (u64& x = test.before.x[block.returns]; block.returns != 0) x = code + x % CODE_STRIDE;
}

void assemble(const Block& block, unsigned xlen, u64 exit_stub, u8 (&code)[CODE_STRIDE]) {
    std::vector<u32> at;
    u32 end = 0;
    for (const Piece& piece : block.pieces) {
        at.push_back(end);
        end += piece.length;
    }
    at.push_back(end);
    std::memset(code, 0, sizeof code);
    const auto emit = [&code](u32 offset, u64 value, unsigned size) { std::memcpy(code + offset, &value, size); };
    for (usize i = 0; i < block.pieces.size(); i++) {
        const Piece& piece = block.pieces[i];
        u32 word = piece.word;
        if (piece.target >= 0) {
            const u32 base = at[piece.target_base >= 0 ? static_cast<usize>(piece.target_base) : i];
            word = with_offset(piece, static_cast<i32>(at[static_cast<usize>(piece.target)] - base));
        }
        emit(at[i], word, piece.length);
    }
    for (; (end & 7) != 0; end += 2) emit(end, c_nop, 2);
    const u32 r = block.link;
    emit(end, 0x17 | r << 7, 4);                                                            // auipc r, 0
    emit(end + 4, 0x03u | r << 7 | (xlen == 64 ? 3u : 2u) << 12 | r << 15 | 16u << 20, 4);  // ld r, 16(r)
    emit(end + 8, 0x67 | r << 7 | r << 15, 4);                                              // jalr r, 0(r)
    emit(end + 16, exit_stub, 8);
}

Generator::Generator(GeneratorOptions options, u64 seed)
    : options_(std::move(options)), random_(seed), decoder_(options_.xlen, options_.vlen != 0) {
    const auto wanted = [&](const std::string& extension) {
        return options_.extensions.empty() || options_.extensions.contains(extension);
    };
    const auto table = riscv::instruction_table();
    for (usize row = 0; row < table.size(); row++) {
        const InstructionInfo& info = table[row];
        if (info.xlen == (options_.xlen == 64 ? riscv::Xlen::only32 : riscv::Xlen::only64)) continue;
        if (info.operands == Operands::vector && options_.vlen == 0) continue;
        const std::string name = info.name;
        if (!wanted(info.extension) || !name.starts_with(options_.only)) continue;
        // An environment call would be one of the host's, and nothing ever ends the waiting.
        if (name == "ecall" || name == "wfi") continue;
        auto at = std::find_if(choices_.begin(), choices_.end(),
                               [&](const Choice& c) { return c.extension == info.extension; });
        if (at == choices_.end()) at = choices_.insert(at, Choice{info.extension, {}});
        at->rows.push_back(static_cast<u16>(row));
    }
    compressed_ = wanted("C") && options_.only.empty();
    loops_ = wanted("I") && options_.only.empty();
}

std::string Generator::name_of(const Piece& piece) const {
    if (piece.length == 2) {
        const char* name = riscv::compressed_name(static_cast<u16>(piece.word), options_.xlen);
        return name == nullptr ? "(reserved)" : name;
    }
    const int row = decoder_.find(piece.word);
    return row < 0 ? "(reserved)" : info_of(static_cast<usize>(row)).name;
}

u32 Generator::with_field(usize row, u32 word, unsigned low, unsigned width, u32 value) const {
    const u32 mask = static_cast<u32>(low_mask(width)) << low;
    if ((info_of(row).encoding.mask & mask) != 0) return word;
    return (word & ~mask) | (value << low & mask);
}

unsigned Generator::pointer() { return pointers_[random_.below(pointers_.size())]; }
unsigned Generator::aligned_pointer() { return random_.percent(99) ? pointers_[0] : pointer(); }

unsigned Generator::plain_register() {
    for (int attempts = 0; attempts < 8; attempts++) {
        const unsigned r = random_.below(32);
        if (r != 0 && (r == counter_ || r == returns_)) continue;
        if (std::find(pointers_.begin(), pointers_.end(), r) == pointers_.end() &&
            std::find(smalls_.begin(), smalls_.end(), r) == smalls_.end())
            return r;
    }
    return 0;
}

u32 Generator::steer(usize row, u32 word) {
    const Operands operands = info_of(row).operands;
    // Whether a store-conditional of another width than the reservation succeeds is up to the implementation.
    if (operands == Operands::lr || (operands == Operands::amo && word >> 27 == 3))
        word = (word & ~0x7000u) | reserved_width_ << 12;
    if (random_.percent(3) && operands != Operands::amo && operands != Operands::lr && operands != Operands::csr &&
        operands != Operands::csr_imm)
        return word;  // as it comes
    const bool writes_rd = operands != Operands::store && operands != Operands::fstore && operands != Operands::b &&
                           operands != Operands::cbo;
    if (writes_rd && operands != Operands::vector && !random_.percent(5))
        word = with_field(row, word, 7, 5, plain_register());
    switch (operands) {
        case Operands::load:
        case Operands::store:
        case Operands::fload:
        case Operands::fstore:
        case Operands::cbo: return with_field(row, word, 15, 5, pointer());
        case Operands::amo:
        case Operands::lr: return with_field(row, word, 15, 5, aligned_pointer());
        case Operands::fr:
        case Operands::fr2:
        case Operands::r4: {
            const unsigned rm = word >> 12 & 7;
            return rm == 5 || rm == 6 ? with_field(row, word, 12, 3, 7) : word;
        }
        case Operands::csr:
        case Operands::csr_imm: {
            // Neither counters nor entropy; and vstart only changes by traps, since some instructions with a large one
            // stop QEMU.
            u32 number = random_.pick(csr_numbers);
            while (random_.percent(5) || number == 0x008 || number == 0x015 || (number & 0xf60) == 0xc00)
                number = random_.below(4096);
            return with_field(row, word, 20, 12, number);
        }
        case Operands::vector: return steer_vector(row, word);
        default: return word;
    }
}

void Generator::add_word(Block& block, usize row) {
    const InstructionInfo& info = info_of(row);
    u32 word = (static_cast<u32>(random_.next()) & ~info.encoding.mask) | info.encoding.value;
    word = steer(row, word);
    const bool jumps = info.flow == Flow::branch || info.flow == Flow::jump;
    block.pieces.push_back({.word = word, .way = jumps ? Way::forward : Way::none});
}

void Generator::add_indirect_jump(Block& block) {
    // auipc t, 0; then jalr d, offset(t), or addi t, t, offset and c.jr t or c.jalr t
    const unsigned t = std::max(1u, plain_register());
    const int base = static_cast<int>(block.pieces.size());
    block.pieces.push_back({.word = 0x17 | t << 7});
    const auto add_offset = [&](u32 word) {
        block.pieces.push_back({.word = word, .way = Way::forward, .bound = true, .target_base = base});
    };
    if (!compressed_ || random_.percent(50)) {
        add_offset(0x67 | plain_register() << 7 | t << 15);
    } else {
        add_offset(0x13 | t << 7 | t << 15);
        block.pieces.push_back(
            {.word = (random_.percent(50) ? 0x8002u : 0x9002u) | t << 7, .length = 2, .bound = true});
    }
}

// What jumps backwards: a branch, a jump, a return; or a call, behind which a return may go on.
void Generator::add_loop(Block& block) {
    const bool short_form = compressed_ && random_.percent(50);
    const unsigned kind = random_.below(8);
    if (kind < 2 && returns_ != 0) {
        if (short_form && options_.xlen == 32 && returns_ == 1)
            block.pieces.push_back({.word = 0x2001, .length = 2, .way = Way::forward});  // c.jal
        else
            block.pieces.push_back({.word = 0x6f | returns_ << 7, .way = Way::forward});
        return;
    }
    if (compressed_ && random_.percent(50))
        block.pieces.push_back({.word = 0x107d | counter_ << 7, .length = 2});  // c.addi counter, -1
    else
        block.pieces.push_back({.word = 0xfff0'0013 | counter_ << 7 | counter_ << 15});
    if (kind < 5) {
        block.pieces.push_back({.word = 0x4063 | counter_ << 20, .way = Way::backward, .bound = true});  // bgtz
        return;
    }
    block.pieces.push_back({.word = 0x5063 | counter_ << 20, .way = Way::over, .bound = true});  // blez
    if (kind == 5 && returns_ != 0) {
        if (short_form)
            block.pieces.push_back({.word = 0x8002 | returns_ << 7, .length = 2, .bound = true});
        else
            block.pieces.push_back({.word = 0x67 | returns_ << 15, .bound = true});
    } else if (short_form) {
        block.pieces.push_back({.word = 0xa001, .length = 2, .way = Way::backward, .bound = true});  // c.j
    } else {
        const unsigned rd = random_.percent(30) ? returns_ : random_.percent(50) ? 0 : plain_register();
        block.pieces.push_back({.word = 0x6f | rd << 7, .way = Way::backward, .bound = true});
    }
}

bool Generator::writes_reserved(const Piece& piece) const {
    const u32 word =
        piece.length == 4 ? piece.word : riscv::expand_compressed(static_cast<u16>(piece.word), options_.xlen);
    const u32 opcode = word & 0x7f, rd = word >> 7 & 31;
    if (opcode == 0x23 || opcode == 0x27 || opcode == 0x63 || rd == 0) return false;
    return rd == counter_ || rd == returns_;
}

void Generator::add_compressed(Block& block) {
    for (int attempts = 0; attempts < 64; attempts++) {
        u32 half = static_cast<u32>(random_.next()) & 0xffff;
        if (random_.percent(25))
            half = (half & 0x0fff) | 0x8000;  // where most of the instructions are
        else if (random_.percent(10))
            half = (half & 0x03fc) | 0x9c41;  // the corner of Zcb
        if ((half & 3) == 3) continue;
        const char* text = riscv::compressed_name(static_cast<u16>(half), options_.xlen);
        if (text == nullptr) {
            if (!random_.percent(options_.reserved_percent)) continue;
            block.pieces.push_back({.word = half, .length = 2});
            return;
        }
        const std::string name = text;
        if (name == "c.jr" || name == "c.jalr") continue;
        const u32 word = riscv::expand_compressed(static_cast<u16>(half), options_.xlen);
        const int row = decoder_.find(word);
        if (row < 0) continue;
        const InstructionInfo& info = info_of(static_cast<usize>(row));
        const bool memory = info.operands == Operands::load || info.operands == Operands::store ||
                            info.operands == Operands::fload || info.operands == Operands::fstore;
        const auto is_pointer = [&](u32 r) {
            return std::find(pointers_.begin(), pointers_.end(), r) != pointers_.end();
        };
        if (memory && !is_pointer(word >> 15 & 31) && !random_.percent(3)) continue;
        if (!memory && info.flow == Flow::next && is_pointer(word >> 7 & 31) && !random_.percent(5)) continue;
        const bool jumps = info.flow == Flow::branch || info.flow == Flow::jump;
        block.pieces.push_back({.word = half, .length = 2, .way = jumps ? Way::forward : Way::none});
        return;
    }
}

void Generator::add_instruction(Block& block) {
    if (compressed_ &&
        (choices_.empty() ||
         random_.percent(options_.extensions.empty() ? 15 : 100 / (1 + static_cast<unsigned>(choices_.size())))))
        return add_compressed(block);
    if (choices_.empty()) return;
    // Vector instructions are half of all instructions that there are.
    const auto vector =
        std::find_if(choices_.begin(), choices_.end(), [](const Choice& c) { return c.extension == "V"; });
    const Choice& choice =
        vector != choices_.end() && random_.percent(40) ? *vector : choices_[random_.below(choices_.size())];
    const usize row = choice.rows[random_.below(choice.rows.size())];
    if (info_of(row).flow == Flow::indirect) return add_indirect_jump(block);
    add_word(block, row);
    if (random_.percent(options_.reserved_percent)) {
        Piece& piece = block.pieces.back();
        const u32 changed = piece.word ^ 1u << (2 + random_.below(30));
        const int other = decoder_.find(changed);
        // What turns into another instruction would miss its steering.
        if (other < 0) piece = {.word = changed};
    }
}

Block Generator::make() {
    choose_roles();
    Block block;
    block.link = link_;
    block.counter = counter_;
    block.returns = returns_;
    const unsigned wanted = 1 + random_.below(options_.longest);
    u32 bytes = 0;
    for (unsigned i = 0; i < wanted; i++) {
        const usize before = block.pieces.size();
        if (loops_ && random_.percent(8)) {
            add_loop(block);
        } else {
            const auto spoils = [&] {
                return std::any_of(block.pieces.begin() + static_cast<std::ptrdiff_t>(before), block.pieces.end(),
                                   [&](const Piece& piece) { return writes_reserved(piece); });
            };
            do {
                block.pieces.resize(before);
                add_instruction(block);
            } while (spoils());
        }
        u32 added = 0;
        for (usize k = before; k < block.pieces.size(); k++) added += block.pieces[k].length;
        if (bytes + added > CODE_STRIDE - EXIT_BYTES - 8) {
            block.pieces.resize(before);
            break;
        }
        bytes += added;
    }
    aim(block);
    return block;
}

// Chooses where branches and jumps go.
void Generator::aim(Block& block) {
    const auto pick = [this](const std::vector<int>& places) { return places[random_.below(places.size())]; };
    std::vector<int> before, behind;
    for (usize i = 0; i < block.pieces.size(); i++) {
        Piece& piece = block.pieces[i];
        if (!piece.bound) before.push_back(static_cast<int>(i));
        if (piece.way == Way::none) continue;
        behind.clear();
        for (usize k = i + 1; k < block.pieces.size(); k++)
            if (!block.pieces[k].bound) behind.push_back(static_cast<int>(k));
        behind.push_back(static_cast<int>(block.pieces.size()));
        piece.target = piece.way == Way::over ? behind.front() : pick(piece.way == Way::forward ? behind : before);
    }
}

}  // namespace viv::lockstep
