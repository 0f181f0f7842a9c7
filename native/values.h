// The small languages inside option values: sizes, counts, on/off, NAME,key=value lists.
// Promises: every error is one line that names the option and the value and says what would be right; nothing is
// guessed.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::native {

// "1G", "512M", "64K", "2T" (also with a trailing iB or B): bytes, powers of 1024. `option` is named in errors:
// "--memory".
Result<u64> parse_size(std::string_view option, std::string_view text);

// A decimal number from `minimum` to `maximum`.
Result<u64> parse_count(std::string_view option, std::string_view text, u64 minimum, u64 maximum);

// The same, or with K, M or G at its end for thousands, millions and thousands of millions: "2G".
Result<u64> parse_instructions(std::string_view option, std::string_view text);

// Seconds with an optional fraction, as nanoseconds: "30", "0.5". More than zero.
Result<u64> parse_seconds(std::string_view option, std::string_view text);

Result<bool> parse_switch(std::string_view option, std::string_view key, std::string_view text);  // on or off

// `head,key=value,key`: a bare key means key=on; two commas stand for one comma inside a value, as QEMU has it.
struct PropertyList {
    std::string head;
    std::map<std::string, std::string> properties;
};
enum class Head : u8 {
    required,
    optional
};  // optional: a first part that holds "=" is a property, and the head is empty
Result<PropertyList> parse_properties(std::string_view option, std::string_view text, Head head);
// The same in its order, where a key may be given several times.
struct OrderedProperties {
    std::string head;
    std::vector<std::pair<std::string, std::string>> properties;
};
Result<OrderedProperties> parse_ordered_properties(std::string_view option, std::string_view text, Head head);

// "268435456" as "256M", for messages.
std::string size_text(u64 bytes);

// The end of a message about a misspelt name: "; did you mean X?", or nothing if no name is near.
std::string suggestion(std::string_view word, std::span<const std::string_view> names);

}  // namespace viv::native
