// See writer.h.
#include "engine/jit/wasm/writer.h"

namespace viv::jit::wasm {

void Writer::number(u64 value) {
    while (value >= 0x80) {
        byte(static_cast<u8>(value | 0x80));
        value >>= 7;
    }
    byte(static_cast<u8>(value));
}

void Writer::signed_number(i64 value) {
    while (value < -0x40 || value >= 0x40) {
        byte(static_cast<u8>((value & 0x7f) | 0x80));
        value >>= 7;
    }
    byte(static_cast<u8>(value & 0x7f));
}

void Writer::f32_const(u32 bits) {
    op(Code::f32_const);
    for (unsigned i = 0; i < 32; i += 8) byte(static_cast<u8>(bits >> i));
}

void Writer::f64_const(u64 bits) {
    op(Code::f64_const);
    for (unsigned i = 0; i < 64; i += 8) byte(static_cast<u8>(bits >> i));
}

void Writer::section(u8 id, const Writer& content) {
    byte(id);
    number(content.size());
    append(content.bytes_);
}

namespace {

constexpr u8 head[] = {0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00};
constexpr u8 section_type = 1, section_import = 2, section_function = 3, section_element = 9, section_code = 10;
constexpr u8 function_type = 0x60, import_table = 1, import_memory = 2, function_reference = 0x70;

void type(Writer& to, std::initializer_list<ValueType> parameters, ValueType result) {
    to.byte(function_type);
    to.number(parameters.size());
    for (const ValueType each : parameters) to.byte(static_cast<u8>(each));
    to.number(1);
    to.byte(static_cast<u8>(result));
}

void import(Writer& to, char name) {
    to.number(1);
    to.byte('e');
    to.number(1);
    to.byte(static_cast<u8>(name));
}

}  // namespace

std::vector<u8> make_module(std::span<const Function> functions) {
    constexpr ValueType i32 = ValueType::i32, i64 = ValueType::i64;
    Writer module;
    module.append(head);
    Writer types;
    types.number(4);
    type(types, {i32, i32, i32, i64, i64}, i32);
    type(types, {i32, i64, i64, i64, i64}, i64);
    type(types, {i32, i64, i32}, i32);
    type(types, {i64, i64, i64, i32, i32}, i64);
    module.section(section_type, types);

    Writer imports;
    imports.number(2);
    import(imports, 'm');
    imports.byte(import_memory);
    imports.byte(0);  // no upper limit
    imports.number(0);
    import(imports, 't');
    imports.byte(import_table);
    imports.byte(function_reference);
    imports.byte(0);
    imports.number(0);
    module.section(section_import, imports);

    Writer declared, elements, code;
    declared.number(functions.size());
    elements.number(functions.size());
    code.number(functions.size());
    for (usize i = 0; i < functions.size(); i++) {
        declared.number(type_region);
        elements.number(0);  // into table 0, from a constant place on
        elements.i32_const(functions[i].place);
        elements.op(Code::end);
        elements.number(1);
        elements.number(i);
        code.number(functions[i].body.size());
        code.append(functions[i].body);
    }
    module.section(section_function, declared);
    module.section(section_element, elements);
    module.section(section_code, code);
    return std::move(module.bytes());
}

}  // namespace viv::jit::wasm
