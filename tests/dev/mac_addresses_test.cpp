// Addresses of network cards that were given none.
#include "engine/dev/mac_addresses.h"

#include <gtest/gtest.h>

#include <set>

namespace viv::test {
namespace {

TEST(MacAddresses, NetworkDevicesOfEveryKindGetAddressesOfTheirOwn) {
    const auto addresses = [](std::vector<std::pair<std::string, std::string>> given) {
        std::vector<DeviceSpec> specs(given.size());
        for (usize i = 0; i < given.size(); i++) {
            specs[i].name = given[i].first;
            if (!given[i].second.empty()) specs[i].properties = {{"mac", given[i].second}};
        }
        give_mac_addresses(specs);
        std::vector<std::string> got;
        for (const DeviceSpec& each : specs)
            got.push_back(each.properties.contains("mac") ? each.properties.at("mac") : "none");
        return got;
    };
    EXPECT_EQ(addresses({{"virtio-net-pci", ""}, {"virtio-blk-pci", ""}, {"e1000e", ""}}),
              (std::vector<std::string>{"52:54:00:12:34:56", "none", "52:54:00:12:34:57"}));
    EXPECT_EQ(addresses({{"virtio-net-pci", ""},
                         {"virtio-net-pci", "02:00:00:00:00:01"},
                         {"virtio-net-pci", ""},
                         {"virtio-net-pci", "52:54:00:12:34:56"},
                         {"virtio-net-pci", "bad"}}),
              (std::vector<std::string>{"52:54:00:12:34:57", "02:00:00:00:00:01", "52:54:00:12:34:58",
                                        "52:54:00:12:34:56", "bad"}));
    std::vector<std::pair<std::string, std::string>> many(40, {"virtio-net-pci", ""});
    many.back().second = "52:54:00:12:34:5A";
    const auto got = addresses(many);
    EXPECT_EQ(std::set<std::string>(got.begin(), got.end()).size(), 40u);
    EXPECT_EQ(got[4], "52:54:00:12:34:5b") << "5A is taken, however it is written";
}

}  // namespace
}  // namespace viv::test
