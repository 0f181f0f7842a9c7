// The parser behind parse.h: a scanner for one line, and one function for each part of a line.
#include "engine/ir/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "engine/ir/op_info.h"

namespace viv::ir {

namespace {

constexpr bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
constexpr int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

// What is left of one line. Every take function skips blanks first.
class Line {
public:
    explicit Line(std::string_view text) : rest_(text.substr(0, text.find('#'))) {}

    bool empty() {
        skip();
        return rest_.empty();
    }
    bool take(char c) {
        skip();
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    // Letters, digits, '_', and '.' where `dots` says so; empty if there is none.
    enum class Dots : u8 { no, yes };
    std::string_view word(Dots dots = Dots::no) {
        skip();
        before_word_ = rest_;
        usize length = 0;
        while (length < rest_.size() && (is_word(rest_[length]) || (dots == Dots::yes && rest_[length] == '.')))
            length++;
        const std::string_view found = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return found;
    }
    // Puts the last word back.
    void back() { rest_ = before_word_; }
    // Takes `expected` if it is the next word.
    bool take_word(std::string_view expected) {
        if (word() == expected) return true;
        back();
        return false;
    }
    // A decimal or hexadecimal number below 2^128.
    std::optional<u128> number() {
        const std::string_view text = word();
        const bool hexadecimal = text.starts_with("0x");
        const std::string_view digits = hexadecimal ? text.substr(2) : text;
        const unsigned base = hexadecimal ? 16 : 10;
        if (digits.empty()) return std::nullopt;
        u128 value = 0;
        for (const char c : digits) {
            const int digit = digit_of(c);
            if (digit >= static_cast<int>(base)) return std::nullopt;
            if (value > (~u128{0} - static_cast<u128>(digit)) / base) return std::nullopt;
            value = value * base + static_cast<u128>(digit);
        }
        return value;
    }
    // What stands here, for messages.
    std::string here() {
        skip();
        if (rest_.empty()) return "the line ends";
        std::string shown;
        for (const char c : rest_.substr(0, 20)) shown += c >= ' ' && c <= '~' ? c : '?';
        return fmt::format("here is '{}'", shown);
    }

private:
    void skip() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\r'))
            rest_.remove_prefix(1);
    }
    std::string_view rest_;
    std::string_view before_word_;
};

template <class Names>
std::optional<usize> index_in(const Names& names, std::string_view name) {
    const auto found = std::find(std::begin(names), std::end(names), name);
    if (found == std::end(names)) return std::nullopt;
    return static_cast<usize>(found - std::begin(names));
}

class Parser {
public:
    Parser(const SlotTable& slots, std::span<const Helper> helpers) : slots_(slots), helpers_(helpers) {}

    Result<Block> run(std::string_view text) {
        if (text.size() > maximum_text) return Error{fmt::format("IR text: longer than {} bytes", maximum_text)};
        bool started = false;
        while (!text.empty()) {
            number_++;
            const usize end = text.find('\n');
            Line line(text.substr(0, end));
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
            if (line.empty()) continue;
            TRY(started ? instruction(line) : header(line));
            started = true;
            if (!line.empty()) return wrong(line, "the end of the line");
        }
        if (!started) return Error{fmt::format("line {}: expected 'block', but the text ends", number_ + 1)};
        return std::move(block_);
    }

private:
    Error wrong(Line& line, std::string_view expected) const {
        return Error{fmt::format("line {}: expected {}, but {}", number_, expected, line.here())};
    }

    // The word just taken was not what it should be.
    Error wrong_word(Line& line, std::string_view expected) const {
        line.back();
        return wrong(line, expected);
    }

    Result<void> number(Line& line, u64& value, std::string_view expected) {
        const std::optional<u128> found = line.number();
        if (!found || *found > ~u64{0}) return wrong_word(line, expected);
        value = static_cast<u64>(*found);
        return {};
    }
    template <class Names>
    Result<usize> one_of(Line& line, const Names& names, std::string_view expected) {
        const auto index = index_in(names, line.word());
        if (!index) return wrong_word(line, expected);
        return *index;
    }
    Result<void> slot(Line& line, u64& offset, Type& type) {
        const Slot* found = slots_.named(line.word());
        if (found == nullptr) return wrong_word(line, "the name of a slot");
        offset = found->offset;
        type = found->type;
        return {};
    }
    Result<void> value(Line& line, ValueId& id) {
        if (!line.take('%')) return wrong(line, "a value, like %1");
        const auto found = values_.find(line.word());
        if (found == values_.end()) return wrong_word(line, "the name of an earlier value");
        id = found->second;
        return {};
    }
    Result<void> type(Line& line, Type& type) {
        const auto index = index_in(type_names, line.word());
        if (!index || *index == 0) return wrong_word(line, "a type: i1, i8, i16, i32, i64 or i128");
        type = static_cast<Type>(*index);
        return {};
    }
    Result<void> suffix(Line& line, Type& to) {
        if (!line.take('.')) return wrong(line, "'.' and a type");
        return type(line, to);
    }
    Result<void> lane_suffix(Line& line, Inst& inst) {
        Type lane = Type::none;
        TRY(suffix(line, lane));
        inst.imm2 = static_cast<u64>(lane);
        return {};
    }
    // The name of an operation as an immediate.
    Result<void> operation(Line& line, u64& to) {
        const std::string_view name = line.word();
        const auto found =
            std::find_if(op_table.begin(), op_table.end(), [&](const OpInfo& each) { return each.name == name; });
        if (found == op_table.end()) return wrong_word(line, "a binary operation");
        to = static_cast<u64>(found - op_table.begin());
        return {};
    }
    Result<void> operands(Line& line, Inst& inst, unsigned count) {
        ValueId* const all[] = {&inst.a, &inst.b, &inst.c};
        for (unsigned i = 0; i < count; i++) {
            if (i > 0 && !line.take(',')) return wrong(line, "',' and a value");
            TRY(value(line, *all[i]));
        }
        return {};
    }
    Result<void> comma_number(Line& line, u64& to) {
        if (!line.take(',')) return wrong(line, "',' and an address");
        return number(line, to, "an address");
    }

    Result<void> header(Line& line) {
        if (!line.take_word("block")) return wrong(line, "'block'");
        if (!line.take_word("pc")) return wrong(line, "'pc'");
        TRY(number(line, block_.pc, "the block's address"));
        if (!line.take_word("mode")) return wrong(line, "'mode'");
        TRY(number(line, block_.mode, "the block's mode"));
        if (!line.take_word("size")) return wrong(line, "'size'");
        return number(line, block_.size, "the block's size in bytes");
    }

    Result<void> float_unit(Line& line) {
        if (!block_.code.empty()) return wrong(line, "float units before all instructions");
        if (block_.float_units.size() == maximum_float_units) return wrong(line, "no more than 16 float units");
        FloatUnit unit;
        Type ignored = Type::none;
        if (!line.take_word("flags")) return wrong(line, "'flags'");
        TRY(slot(line, unit.flags, ignored));
        if (!line.take_word("rounding")) return wrong(line, "'rounding'");
        if (!line.take_word("none")) TRY(slot(line, unit.rounding, ignored));
        TRY_SET(const usize nan_rule, one_of(line, nan_rule_names, "canonical, first_operand or signaling_first"));
        TRY_SET(const usize tininess, one_of(line, tininess_names, "after_rounding or before_rounding"));
        unit.nan_rule = static_cast<soft::NanRule>(nan_rule);
        unit.tininess = static_cast<soft::Tininess>(tininess);
        block_.float_units.push_back(unit);
        return {};
    }

    Result<void> call(Line& line, Inst& inst) {
        const std::string_view name = line.word(Line::Dots::yes);
        const auto helper =
            std::find_if(helpers_.begin(), helpers_.end(), [&](const Helper& each) { return name == each.name; });
        if (helper == helpers_.end()) return wrong_word(line, "the name of a helper");
        Call made{.helper = *helper};
        if (!line.take('(')) return wrong(line, "'('");
        for (usize count = 0; !line.take(')'); count++) {
            if (count == std::size(made.arguments)) return wrong(line, "')': a call has at most four arguments");
            if (count > 0 && !line.take(',')) return wrong(line, "',' or ')'");
            TRY(value(line, made.arguments[count]));
        }
        while (!line.empty()) {
            TRY_SET(const usize effect, one_of(line, effect_names, "an effect, like reads_state"));
            made.effects |= static_cast<u8>(1u << effect);
        }
        inst.type = Type::i64;
        inst.imm = block_.calls.size();
        block_.calls.push_back(made);
        return {};
    }

    Result<void> float_tail(Line& line, Inst& inst) {
        if (uses_float_unit(inst.op)) {
            if (!line.take_word("unit")) return wrong(line, "'unit'");
            TRY(number(line, inst.imm, "the number of a float unit"));
            if (inst.imm >= block_.float_units.size())
                return wrong_word(line, "a float unit that the head of the block declares");
        }
        if (rounds(inst.op)) {
            TRY_SET(const usize rounding, one_of(line, rounding_names, "a rounding mode, like nearest_even"));
            inst.rounding = static_cast<Rounding>(rounding);
        }
        return {};
    }

    void hint(Line& line, Inst& inst) {
        if (line.take_word("call"))
            inst.hint = JumpHint::call;
        else if (line.take_word("return"))
            inst.hint = JumpHint::return_;
    }

    // What follows the operation's name. inst.type is that of the result, if the line names one.
    Result<void> body(Line& line, Inst& inst) {
        const OpInfo& info = info_of(inst.op);
        switch (info.shape) {
            case Shape::unary:
            case Shape::binary:
            case Shape::convert:
            case Shape::select:
            case Shape::load:
            case Shape::exchange:
            case Shape::compare_exchange: return operands(line, inst, info.operands);
            case Shape::compare:
            case Shape::store: TRY(suffix(line, inst.type)); return operands(line, inst, info.operands);
            case Shape::float_unary:
            case Shape::float_binary:
            case Shape::float_ternary:
            case Shape::float_convert: TRY(operands(line, inst, info.operands)); return float_tail(line, inst);
            case Shape::float_compare:
                TRY(suffix(line, inst.type));
                TRY(operands(line, inst, info.operands));
                return float_tail(line, inst);
            case Shape::constant: {
                const std::optional<u128> number = line.number();
                if (!number) return wrong_word(line, "a number below 2^128");
                inst.imm = static_cast<u64>(*number);
                inst.imm2 = static_cast<u64>(*number >> 64);
                return {};
            }
            case Shape::get: {
                const Type named = inst.type;
                TRY(slot(line, inst.imm, inst.type));
                if (named != inst.type) return wrong_word(line, fmt::format("a slot of type {}", name_of(named)));
                return {};
            }
            case Shape::set:
                TRY(slot(line, inst.imm, inst.type));
                if (!line.take(',')) return wrong(line, "',' and a value");
                return operands(line, inst, 1);
            case Shape::fetch_op: TRY(operation(line, inst.imm)); return operands(line, inst, 2);
            case Shape::lanes: {
                TRY(lane_suffix(line, inst));
                TRY(operation(line, inst.imm));
                return operands(line, inst, 2);
            }
            case Shape::splat: return operands(line, inst, 1);
            case Shape::lane_mask:
            case Shape::expand_bits:
            case Shape::insert_bits:
                TRY(lane_suffix(line, inst));
                TRY(number(line, inst.imm, "the number of the first lane"));
                if (!line.take(',')) return wrong(line, "',' and a value");
                return operands(line, inst, info.operands);
            case Shape::transfer_lanes: {
                Type ignored = Type::none;
                TRY(suffix(line, inst.type));
                TRY(slot(line, inst.imm, ignored));
                if (!line.take(',')) return wrong(line, "',' and a number of elements");
                TRY(number(line, inst.imm2, "a number of elements"));
                if (!line.take(',')) return wrong(line, "',' and a value");
                return operands(line, inst, 2);
            }
            case Shape::physical:
                TRY(suffix(line, inst.type));
                if (line.take_word("store"))
                    inst.imm = static_cast<u64>(MemoryAccess::store);
                else if (!line.take_word("load"))
                    return wrong(line, "'load' or 'store'");
                return operands(line, inst, 1);
            case Shape::call: return call(line, inst);
            case Shape::address:
            case Shape::guest: return number(line, inst.imm, "an address");
            case Shape::jump:
                TRY(number(line, inst.imm, "an address"));
                hint(line, inst);
                return {};
            case Shape::branch:
                TRY(operands(line, inst, 1));
                TRY(comma_number(line, inst.imm));
                return comma_number(line, inst.imm2);
            case Shape::jump_indirect:
                TRY(operands(line, inst, 1));
                hint(line, inst);
                return {};
            case Shape::fence:
            case Shape::leave: break;
        }
        return {};
    }

    Result<void> instruction(Line& line) {
        Inst inst;
        std::string_view name;
        const bool has_result = line.take('%');
        Type named = Type::none;
        if (has_result) {
            name = line.word();
            if (name.empty()) return wrong(line, "a name behind '%'");
            if (!line.take(':')) return wrong(line, "':' and a type");
            TRY(type(line, named));
            if (!line.take('=')) return wrong(line, "'=' and an operation");
        }
        const std::string_view op = line.word();
        if (!has_result && op == "float_unit") return float_unit(line);
        const auto found =
            std::find_if(op_table.begin(), op_table.end(), [&](const OpInfo& each) { return each.name == op; });
        if (op.empty() || found == op_table.end()) return wrong_word(line, "an operation");
        inst.op = static_cast<Op>(found - op_table.begin());
        inst.type = named;
        if (makes_value(inst.op) != has_result)
            return Error{fmt::format("line {}: expected {}'{}'", number_,
                                     has_result ? "no value from " : "'%name:type =' before ", op)};
        TRY(body(line, inst));
        if (result_type(inst) != named)
            return Error{fmt::format("line {}: expected the type {} of what '{}' makes", number_,
                                     name_of(result_type(inst)), op)};
        const ValueId id = static_cast<ValueId>(block_.code.size());
        if (has_result && !values_.emplace(name, id).second)
            return Error{fmt::format("line {}: expected a new name, but %{} is one already", number_, name)};
        block_.code.push_back(inst);
        return {};
    }

    const SlotTable& slots_;
    std::span<const Helper> helpers_;
    usize number_ = 0;  // of the line
    Block block_;
    std::unordered_map<std::string_view, ValueId> values_;
};

}  // namespace

Result<Block> parse(std::string_view text, const SlotTable& slots, std::span<const Helper> helpers) {
    return Parser(slots, helpers).run(text);
}

}  // namespace viv::ir
