// The device catalogue, the reading of properties and the making of virtio functions by name: what is made, and the
// words of every refusal.
#include <gtest/gtest.h>

#include <set>

#include "engine/dev/cards.h"
#include "engine/dev/catalog.h"
#include "engine/dev/virtio/block.h"
#include "engine/dev/virtio/create.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

class SmallDisk final : public block::Disk {
public:
    u64 size() const override { return 8 << 20; }
    bool read_only() const override { return false; }
    void submit(block::Request request) override { request.done(block::Status::ok); }
};

class EmptyFolder final : public host::Folder {
public:
    NodePointer root() override { return std::make_shared<host::FolderNode>(); }
    host::Outcome<NodePointer> lookup(host::FolderNode&, std::string_view) override {
        return host::Outcome<NodePointer>::fail(2);
    }
    host::Outcome<host::FileAttributes> attributes(host::FolderNode&) override { return host::FileAttributes{}; }
    u32 change(host::FolderNode&, const host::AttributeChange&) override { return 30; }
    host::Outcome<FilePointer> open(host::FolderNode&, u32) override { return host::Outcome<FilePointer>::fail(2); }
    host::Outcome<NodePointer> create(host::FolderNode&, std::string_view, u32, u32, FilePointer&) override {
        return host::Outcome<NodePointer>::fail(30);
    }
    host::Outcome<NodePointer> make_directory(host::FolderNode&, std::string_view, u32) override {
        return host::Outcome<NodePointer>::fail(30);
    }
    host::Outcome<NodePointer> make_symlink(host::FolderNode&, std::string_view, std::string_view) override {
        return host::Outcome<NodePointer>::fail(30);
    }
    host::Outcome<NodePointer> make_node(host::FolderNode&, std::string_view, u32, u64) override {
        return host::Outcome<NodePointer>::fail(30);
    }
    u32 link(host::FolderNode&, std::string_view, host::FolderNode&) override { return 30; }
    host::Outcome<std::string> read_link(host::FolderNode&) override { return host::Outcome<std::string>::fail(22); }
    host::Outcome<std::vector<host::FolderEntry>> list(host::FolderNode&) override {
        return std::vector<host::FolderEntry>{};
    }
    u32 remove(host::FolderNode&, std::string_view, bool) override { return 30; }
    u32 rename(host::FolderNode&, std::string_view, host::FolderNode&, std::string_view) override { return 30; }
    host::Outcome<host::FolderStatistics> statistics(host::FolderNode&) override { return host::FolderStatistics{}; }
};

struct VirtioCreateTest : ::testing::Test {
    Bench bench;
    HeapMemory heap;
    GuestMemory memory{heap};
    Dma dma{memory};
    virtio::Wiring wiring{dma, bench.timers, bench.inlet, bench.sink};
    DeviceSpec spec;

    void describe(std::string_view name, std::map<std::string, std::string> properties) {
        spec = DeviceSpec{};
        spec.name = name;
        spec.properties = std::move(properties);
        spec.disk = std::make_unique<SmallDisk>();
        spec.net = net::make_null_backend();
        spec.folder = std::make_unique<EmptyFolder>();
        spec.ports.push_back({"hvc0", nullptr});
    }
    std::string refusal(std::string_view name, std::map<std::string, std::string> properties) {
        describe(name, std::move(properties));
        const auto result = virtio::create(spec, wiring);
        return result.ok() ? "" : result.error().message;
    }
};

TEST_F(VirtioCreateTest, MakesEveryPluggableDeviceOnEitherBus) {
    std::set<std::string_view> names;
    for (const DeviceKind& kind : device_catalog()) {
        EXPECT_TRUE(names.insert(kind.name).second) << kind.name;
        EXPECT_FALSE(kind.description.empty());
        EXPECT_EQ(find_device(kind.name).value(), &kind);
        if (find_card(kind.name) != nullptr || kind.bus == DeviceBus::scsi) continue;
        if (kind.bus == DeviceBus::board) {
            EXPECT_EQ(refusal(kind.name, {}), std::string(kind.name) + ": it is part of a board and cannot be added");
            continue;
        }
        std::map<std::string, std::string> properties{{"id", "x"}};
        if (kind.name.starts_with("virtio-9p")) properties["mount_tag"] = "share";
        describe(kind.name, std::move(properties));
        auto function = virtio::create(spec, wiring);
        ASSERT_TRUE(function.ok()) << function.error().message;
        EXPECT_TRUE(kind.name.starts_with((*function)->kind())) << kind.name << ", " << (*function)->kind();
        EXPECT_EQ(kind.name.ends_with("-pci"), kind.bus == DeviceBus::pci);
        EXPECT_EQ(kind.properties.find("addr=SLOT") != std::string_view::npos, kind.bus == DeviceBus::pci);
    }
}

TEST_F(VirtioCreateTest, NamesThatDoNotExistGetASuggestion) {
    EXPECT_EQ(refusal("virtio-blk-pic", {}),
              "there is no device 'virtio-blk-pic' (did you mean virtio-blk-pci?); 'viv list devices' shows them");
    EXPECT_EQ(refusal("zzzzzzzzzzzzzzzzzzzzzz", {}),
              "there is no device 'zzzzzzzzzzzzzzzzzzzzzz'; 'viv list devices' shows them");
}

TEST_F(VirtioCreateTest, PropertiesAreCheckedByNameAndValue) {
    EXPECT_EQ(
        refusal("virtio-blk-device", {{"seral", "x"}}),
        "virtio-blk-device: unknown property 'seral'; did you mean 'serial'? (it has serial=TEXT, readonly=on|off, "
        "num-queues=N, queue-size=N, packed=on|off)");
    EXPECT_EQ(refusal("virtio-serial-device", {{"nonsense", "x"}}),
              "virtio-serial-device: unknown property 'nonsense' (it has packed=on|off)");
    EXPECT_EQ(refusal("virtio-blk-device", {{"addr", "3"}}).substr(0, 42),
              "virtio-blk-device: unknown property 'addr'");
    EXPECT_EQ(refusal("virtio-blk-pci", {{"readonly", "maybe"}}),
              "virtio-blk-pci: property 'readonly' is 'maybe', but wants on or off");
    EXPECT_EQ(refusal("virtio-blk-pci", {{"num-queues", "0"}}),
              "virtio-blk-pci: property 'num-queues' is '0', but wants a number from 1 to 64");
    for (const char* bad : {"", "x", "12x", "-1", "0x", "99999999999999999999", "1025"})
        EXPECT_EQ(
            refusal("virtio-blk-pci", {{"queue-size", bad}}),
            "virtio-blk-pci: property 'queue-size' is '" + std::string(bad) + "', but wants a number from 4 to 1024");
    EXPECT_EQ(refusal("virtio-blk-pci", {{"queue-size", "100"}}),
              "virtio-blk-pci: property 'queue-size' is not a power of two");
    EXPECT_EQ(refusal("virtio-blk-pci", {{"serial", std::string(21, 's')}}),
              "virtio-blk-pci: property 'serial' is longer than 20 characters");
    for (const char* bad : {"", "52:54:00:12:34", "52:54:00:12:34:5g", "52-54-00-12-34-56", "52:54:00:12:34:567"})
        EXPECT_EQ(refusal("virtio-net-pci", {{"mac", bad}}), "virtio-net-pci: property 'mac' is '" + std::string(bad) +
                                                                 "', but wants six bytes as in 52:54:00:12:34:56");
    EXPECT_EQ(refusal("virtio-net-pci", {{"mac", "53:54:00:12:34:56"}}),
              "virtio-net-pci: property 'mac' is a group address; the first byte of a device's own is even");
    EXPECT_EQ(refusal("virtio-net-pci", {{"mac", "00:00:00:00:00:00"}}),
              "virtio-net-pci: property 'mac' is zero, which is no device's address");
    EXPECT_EQ(refusal("virtio-rng-pci", {{"period", "0"}}),
              "virtio-rng-pci: property 'period' is '0', but wants a number from 1 to 3600000");
    EXPECT_NE(spec.disk, nullptr) << "nothing is taken by a refusal";
}

TEST_F(VirtioCreateTest, PropertiesReachTheDevice) {
    describe("virtio-blk-pci", {{"num-queues", "0x4"}, {"queue-size", "32"}, {"readonly", "on"}});
    auto disk = virtio::create(spec, wiring);
    ASSERT_TRUE(disk.ok());
    EXPECT_EQ((*disk)->queue_count(), 4);
    EXPECT_EQ((*disk)->queue(3).maximum(), 32);
    EXPECT_TRUE(bit((*disk)->offered(), 5));
    EXPECT_EQ(spec.disk, nullptr) << "the device owns it now";
    describe("virtio-net-pci", {{"mac", "02:00:00:aB:cd:Ef"}});
    auto net = virtio::create(spec, wiring);
    ASSERT_TRUE(net.ok());
    EXPECT_EQ((*net)->read_config(0, 8) & low_mask(48), 0xefcd'ab00'0002u);
    describe("virtio-balloon-pci", {{"deflate-on-oom", "yes"}, {"free-page-reporting", "off"}});
    auto balloon = virtio::create(spec, wiring);
    ASSERT_TRUE(balloon.ok());
    EXPECT_EQ((*balloon)->offered() & 0xff, 0x06u);
    EXPECT_EQ((*balloon)->queue_count(), 3);
}

TEST_F(VirtioCreateTest, MissingBackEndsAndBadPortsAreNamed) {
    const auto without = [&](std::string_view name, auto&& spoil) {
        describe(name, {});
        spoil();
        const auto result = virtio::create(spec, wiring);
        return result.ok() ? "" : result.error().message;
    };
    EXPECT_EQ(without("virtio-blk-pci", [&] { spec.disk.reset(); }),
              "virtio-blk-pci: no disk is connected to it; use --disk FILE");
    EXPECT_EQ(without("virtio-net-pci", [&] { spec.net.reset(); }),
              "virtio-net-pci: no network is connected to it; use --net");
    EXPECT_EQ(without("virtio-serial-pci",
                      [&] {
                          spec.ports.push_back({"hvc0", nullptr});
                      }),
              "virtio-serial-pci: two ports are named 'hvc0'");
    EXPECT_EQ(without("virtio-serial-pci",
                      [&] {
                          spec.ports.push_back({"", nullptr});
                      }),
              "virtio-serial-pci: a port's name has 1 to 255 characters, not 0");
    EXPECT_EQ(without("virtio-serial-pci",
                      [&] {
                          for (int i = 0; i < 31; i++) spec.ports.push_back({"p" + std::to_string(i), nullptr});
                      }),
              "virtio-serial-pci: 32 ports are too many; it takes 31");
    EXPECT_EQ(without("virtio-serial-pci", [&] { spec.ports.clear(); }), "") << "a console that nobody is connected to";
}

// One description of each device's state: two fields with one name, or two names with one tag, would show here.
TEST_F(VirtioCreateTest, EveryStateDescribesItselfWithoutRepetition) {
    for (const DeviceKind& kind : device_catalog()) {
        if (kind.bus != DeviceBus::pci) continue;
        std::map<std::string, std::string> properties;
        if (kind.name.starts_with("virtio-9p")) properties["mount_tag"] = "share";
        if (kind.name == "nvme") properties["serial"] = "x";
        describe(kind.name, std::move(properties));
        std::unique_ptr<Device> device;
        if (const CardMaker make = find_card(kind.name))
            device = make(spec, CardWiring{dma, bench.timers, bench.sink}).value();
        else
            device = virtio::create(spec, wiring).value();
        std::string text;
        Archive archive = Archive::describer(text, "device");
        device->state(archive);
        std::set<std::string> lines;
        usize start = 0;
        while (start < text.size()) {
            const auto end = text.find('\n', start);
            EXPECT_TRUE(lines.insert(text.substr(start, end - start)).second)
                << kind.name << ": " << text.substr(start, end - start);
            start = end + 1;
        }
        EXPECT_GT(lines.size(), 10u);
        const auto saved = save(*device);
        ASSERT_TRUE(load(*device, saved).ok());
        EXPECT_EQ(save(*device), saved) << kind.name;
    }
}

}  // namespace
}  // namespace viv::test
