// One visitor for a component's state: `void state(Archive& a) { a(1, "ier", s.ier); a(2, "lcr", s.lcr); }` serves
// saving, loading, hashing (the hash of what saving writes), description (the golden schema that keeps tags
// permanent) and listing (fields with their values, for people). Promises: tags never change meaning; unknown tags are
// ignored, missing ones leave the value as it was; every length is checked before a byte is decoded; a hostile archive
// ends in an error, never in undefined behaviour. Encoding, little endian, one record a field: u16 tag, u8 type, u8
// zero, u32 length, then `length` bytes of payload.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/check.h"
#include "engine/lang/result.h"

namespace viv::state {

class Archive;

template <class T>
concept Stateful = requires(T& value, Archive& archive) {
    value.state(archive);
};
template <class T>
concept Scalar = std::is_integral_v<T> || std::is_enum_v<T> || std::is_same_v<T, u128>;

class Archive {
public:
    static Archive saver(std::vector<u8>& out);
    static Archive loader(std::span<const u8> in);  // `in` must outlive the archive
    // Writes one line a field: "prefix.name tag type".
    static Archive describer(std::string& out, std::string prefix);
    // Writes what saving would, as lines "prefix.name value": a line a field or entry of an array, bytes sixteen a
    // line.
    static Archive lister(std::string& out, std::string prefix);

    bool loading() const { return mode_ == Mode::load; }
    bool saving() const { return mode_ == Mode::save || mode_ == Mode::list; }

    // An integer, bool or enum. On load a value above `maximum` is an error (bool: above 1).
    template <Scalar T>
    void operator()(u16 tag, const char* name, T& value, u64 maximum = ~u64{0}) {
        if constexpr (std::is_same_v<T, bool>) maximum = 1;
        u128 raw = to_raw(value);
        scalar(tag, name, raw, sizeof(T), maximum);
        if (loading()) value = static_cast<T>(raw);
    }
    // A fixed array of integers.
    template <Scalar T, usize N>
    void operator()(u16 tag, const char* name, std::array<T, N>& values) {
        fixed(tag, name, values.data(), sizeof(T), N, array_type<T>);
    }
    template <Scalar T, usize N>
    void operator()(u16 tag, const char* name, T (&values)[N]) {
        fixed(tag, name, values, sizeof(T), N, array_type<T>);
    }
    // Raw bytes whose number is fixed by the configuration (a framebuffer, flash); a different length is an error.
    void operator()(u16 tag, const char* name, std::span<u8> bytes) {
        fixed(tag, name, bytes.data(), 1, bytes.size(), ArrayOf::integers);
    }
    // Bytes and strings of varying length, at most `maximum` of them.
    void bytes(u16 tag, const char* name, std::vector<u8>& value, usize maximum);
    void text(u16 tag, const char* name, std::string& value, usize maximum);
    // A nested component with tags of its own.
    template <Stateful T>
    void operator()(u16 tag, const char* name, T& value) {
        section(tag, name, [&](Archive& inner) { value.state(inner); });
    }
    // Nested components: a fixed number of them, or a vector of at most `maximum`.
    template <Stateful T, usize N>
    void operator()(u16 tag, const char* name, std::array<T, N>& values) {
        usize count = N;
        sequence(
            tag, name, count, N, [](usize) {}, [&](Archive& inner, usize i) { values[i].state(inner); });
        if (loading() && count != N) fail(name, "has the wrong number of entries");
    }
    template <Stateful T>
    void list(u16 tag, const char* name, std::vector<T>& values, usize maximum) {
        usize count = values.size();
        sequence(
            tag, name, count, maximum, [&](usize n) { values.assign(n, T{}); },
            [&](Archive& inner, usize i) {
                if (i < values.size())
                    values[i].state(inner);
                else
                    T{}.state(inner);  // description of an empty list
            });
    }
    // A vector of integers, at most `maximum` of them.
    template <Scalar T>
    void numbers(u16 tag, const char* name, std::vector<T>& values, usize maximum) {
        std::vector<u8> raw;
        if (!loading()) {
            raw.resize(values.size() * sizeof(T));
            for (usize i = 0; i < values.size(); i++) put(raw.data() + i * sizeof(T), to_raw(values[i]), sizeof(T));
        }
        const usize before = raw.size();
        bytes(tag, name, raw, maximum * sizeof(T));
        if (!loading() || (raw.empty() && before == 0 && !last_found_)) return;
        if (raw.size() % sizeof(T) != 0) return fail(name, "has a broken length");
        values.resize(raw.size() / sizeof(T));
        for (usize i = 0; i < values.size(); i++)
            values[i] = static_cast<T>(get(raw.data() + i * sizeof(T), sizeof(T)));
    }

    template <class F>
    void section(u16 tag, const char* name, F&& visit) {
        Archive inner = enter(tag, name);
        if (loading() && !last_found_) return;
        visit(inner);
        leave(inner);
    }

    // For a component's own rules (an index inside its FIFO): on load, a false condition refuses the archive.
    void require(bool condition, const char* name, const char* problem) {
        if (loading() && !condition) fail(name, problem);
    }

    // The first problem met while loading.
    Result<void> finish() const;

private:
    enum class Mode : u8 { save, load, describe, list };
    explicit Archive(Mode mode) : mode_(mode) {}

    template <class T>
    static u128 to_raw(T value) {
        if constexpr (std::is_enum_v<T>)
            return to_raw(static_cast<std::underlying_type_t<T>>(value));
        else if constexpr (std::is_same_v<T, bool>)
            return value ? 1 : 0;
        else if constexpr (sizeof(T) == 16)
            return static_cast<u128>(value);
        else
            return static_cast<std::make_unsigned_t<T>>(value);
    }
    static void put(u8* to, u128 value, usize size);
    static u128 get(const u8* from, usize size);

    void scalar(u16 tag, const char* name, u128& value, usize size, u64 maximum);
    // A byte other than 0 and 1 in a bool would be undefined behaviour, so arrays of them are checked before they are
    // copied.
    enum class ArrayOf : u8 { integers, bools };
    template <class T>
    static constexpr ArrayOf array_type = std::is_same_v<T, bool> ? ArrayOf::bools : ArrayOf::integers;
    void fixed(u16 tag, const char* name, void* values, usize size, usize count, ArrayOf type);
    Archive enter(u16 tag, const char* name);
    void leave(Archive& inner);
    template <class Resize, class Visit>
    void sequence(u16 tag, const char* name, usize& count, usize maximum, Resize resize, Visit visit) {
        section(tag, name, [&](Archive& inner) {
            CHECK(maximum <= 0xffff && count <= maximum, "entries are numbered by 16-bit tags");
            u32 stored = static_cast<u32>(count);
            inner(0, "count", stored);
            if (loading()) {
                if (stored > maximum) return inner.fail(name, "has too many entries");
                count = stored;
                resize(count);
            }
            const usize visits = mode_ == Mode::describe ? 1 : count;
            // Loading stops at the first entry that is missing or broken, so that a false count costs nothing.
            for (usize i = 0; i < visits && inner.problem_.empty(); i++) {
                const std::string entry_name = mode_ == Mode::list ? std::to_string(i) : std::string();
                const char* shown = mode_ == Mode::describe ? "*" : mode_ == Mode::list ? entry_name.c_str() : name;
                inner.section(static_cast<u16>(i + 1), shown, [&](Archive& entry) { visit(entry, i); });
                if (loading() && !inner.last_found_) inner.fail(name, "lacks an entry");
            }
        });
    }
    void record(u16 tag, u8 type, std::span<const u8> payload);
    std::span<const u8> find(u16 tag, u8 type, const char* name);
    void describe(u16 tag, const char* name, std::string_view type);
    void list_line(const std::string& name, u128 value, usize size);
    void list_bytes(const char* name, std::span<const u8> bytes);
    void fail(const char* name, const char* problem);

    Mode mode_;
    bool last_found_ = false;
    std::vector<u8>* out_ = nullptr;
    usize section_start_ = 0;
    std::span<const u8> in_;
    std::string* text_ = nullptr;
    std::string prefix_;
    std::string problem_;
    usize cursor_ = 0;  // where the record after the last found one starts: fields usually come in order
};

}  // namespace viv::state

namespace viv {
using state::Archive;
}
