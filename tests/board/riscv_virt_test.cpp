// The board riscv-virt as its guests see it from their side of the bus: what is where, and how it was set up.
#include <gtest/gtest.h>

#include "tests/control/fake_machine.h"

namespace viv::test {
namespace {

struct VirtBench {
    explicit VirtBench(std::vector<DeviceSpec> devices) {
        MachineConfig config;
        config.board.memory = 16 << 20;
        config.board.kernel = Blob{"loop", {0x6f, 0, 0, 0}};  // j .
        config.board.devices = std::move(devices);
        auto made = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log});
        if (made.ok())
            machine = std::move(made).value();
        else
            error = made.error().message;
    }

    HeapMemory memory;
    StepClock clock;
    FixedEntropy entropy;
    NullLogSink log;
    std::unique_ptr<Machine> machine;
    std::string error;
};

DeviceSpec net(std::map<std::string, std::string> properties = {}) {
    DeviceSpec spec;
    spec.name = "virtio-net-device";
    spec.net = net::make_null_backend();
    spec.properties = std::move(properties);
    return spec;
}

TEST(RiscvVirt, NetworkDevicesHaveAddressesOfTheirOwn) {
    constexpr u64 first_slot = 0x1000'1000, slot_size = 0x1000, configuration = 0x100;
    std::vector<DeviceSpec> devices;
    devices.push_back(net());
    devices.push_back(net({{"mac", "02:00:00:00:00:07"}}));
    devices.push_back(net());
    VirtBench bench(std::move(devices));
    ASSERT_NE(bench.machine, nullptr) << bench.error;
    const auto last_byte = [&](u64 slot) {
        u64 value = 0;
        EXPECT_TRUE(bench.machine->board().bus().read(first_slot + slot * slot_size + configuration + 5, 1, value));
        return value;
    };
    EXPECT_EQ(last_byte(0), 0x56u);
    EXPECT_EQ(last_byte(1), 0x07u);
    EXPECT_EQ(last_byte(2), 0x57u);
}

TEST(RiscvVirt, ABadAddressIsRefused) {
    std::vector<DeviceSpec> devices;
    devices.push_back(net({{"mac", "52:54:00:12:34"}}));
    EXPECT_EQ(VirtBench(std::move(devices)).error,
              "virtio-net-device: property 'mac' is '52:54:00:12:34', but wants six bytes as in 52:54:00:12:34:56");
}

}  // namespace
}  // namespace viv::test
