// See mac_addresses.h.
#include "engine/dev/mac_addresses.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>

#include "engine/dev/catalog.h"

namespace viv {

namespace {

bool takes_mac(const DeviceSpec& spec) {
    const auto kind = find_device(spec.name);
    if (!kind.ok()) return false;
    const auto names = property_names((*kind)->properties);
    return std::find(names.begin(), names.end(), "mac") != names.end();
}

}  // namespace

void give_mac_addresses(std::span<DeviceSpec> specs) {
    std::set<std::string> taken;
    for (const DeviceSpec& spec : specs) {
        const auto given = spec.properties.find("mac");
        if (!takes_mac(spec) || given == spec.properties.end()) continue;
        std::string text = given->second;
        for (char& c : text)
            if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
        taken.insert(std::move(text));
    }
    const auto& first = first_mac_address;
    u32 next = u32{first[3]} << 16 | u32{first[4]} << 8 | first[5];
    for (DeviceSpec& spec : specs) {
        if (!takes_mac(spec) || spec.properties.contains("mac")) continue;
        std::string text;
        do {
            text = fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", first[0], first[1], first[2],
                               next >> 16 & 0xff, next >> 8 & 0xff, next & 0xff);
            next++;
        } while (!taken.insert(text).second);
        spec.properties.emplace("mac", std::move(text));
    }
}

Result<net::MacAddress> mac_address(const Properties& properties) {
    net::MacAddress mac = first_mac_address;
    const auto text = properties.text("mac");
    if (!text) return mac;
    bool good = text->size() == 3 * mac.size() - 1;
    for (usize i = 0; good && i < mac.size(); i++) {
        const char* digits = text->data() + 3 * i;
        const auto [end, problem] = std::from_chars(digits, digits + 2, mac[i], 16);
        good = problem == std::errc{} && end == digits + 2 && (i + 1 == mac.size() || *end == ':');
    }
    if (!good)
        return properties.error("mac", fmt::format("is '{}', but wants six bytes as in 52:54:00:12:34:56", *text));
    if (net::is_group(mac))
        return properties.error("mac", "is a group address; the first byte of a device's own is even");
    if (mac == net::MacAddress{}) return properties.error("mac", "is zero, which is no device's address");
    return mac;
}

}  // namespace viv
