// The layout of a machine's state: every field with its tag and type, as Machine::schema() prints it for a riscv-virt
// with every device, against the file schema-riscv-virt.txt. Saved machines live as long as tags keep their meaning, so
// a change of the layout must show in review. VIV_GOLDEN=write makes the test write the file instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "engine/dev/catalog.h"
#include "tests/control/fake_machine.h"
#include "tests/dev/p9_memory_folder.h"

namespace viv::test {
namespace {

constexpr const char* golden_name = "tests/golden/schema-riscv-virt.txt";

class EmptyDisk final : public host::File {
public:
    u64 size() override { return 1 << 20; }
    Result<void> read_at(u64, std::span<u8> out) override {
        std::fill(out.begin(), out.end(), u8{0});
        return {};
    }
    Result<void> write_at(u64, std::span<const u8>) override { return {}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }
};

// Every device that can be plugged in: each over PCI, and as many as there are slots over MMIO.
std::string schema_of_riscv_virt() {
    constexpr unsigned mmio_slots = 8;
    HeapMemory memory;
    StepClock clock;
    FixedEntropy entropy;
    NullLogSink log;
    NullByteBackend nobody;
    MachineConfig config;
    config.board.memory = 16 << 20;
    config.board.kernel = Blob{"loop", {0x6f, 0, 0, 0}};  // j .
    unsigned on_mmio = 0;
    for (const DeviceKind& kind : device_catalog()) {
        if (kind.bus == DeviceBus::board) continue;
        if (kind.bus == DeviceBus::virtio_mmio && on_mmio++ >= mmio_slots) continue;
        const auto is = [&](std::string_view stem) { return kind.name.starts_with(stem); };
        DeviceSpec spec;
        spec.name = kind.name;
        if (is("virtio-blk") || is("scsi-") || is("nvme"))
            spec.disk = block::open_raw(std::make_unique<EmptyDisk>(), "disk", block::Access::read_write).value();
        if (is("emmc")) {
            spec.disk = block::open_raw(std::make_unique<EmptyDisk>(), "disk", block::Access::read_write).value();
            spec.properties = {{"boot-size-mult", "1"}, {"rpmb-size-mult", "1"}};
        }
        if (is("nvme")) spec.properties = {{"serial", "golden"}};
        if (is("virtio-net") || is("e1000e")) spec.net = net::make_null_backend();
        if (is("virtio-serial")) spec.ports = {{"console", &nobody}, {"org.vivarium.test", &nobody}};
        if (is("virtio-9p")) {
            spec.folder = std::make_unique<MemoryFolder>();
            spec.properties = {{"mount_tag", "share"}};
        }
        config.board.devices.push_back(std::move(spec));
    }
    auto made = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log});
    if (!made.ok()) {
        ADD_FAILURE() << made.error().message;
        return {};
    }
    return made.value()->schema();
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// "- line" for what only `before` has, "+ line" for what only `after` has; nothing if they differ by order at most.
std::string difference(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    std::map<std::string, int> surplus;
    for (const auto& line : after) surplus[line]++;
    std::string text;
    for (const auto& line : before)
        if (--surplus[line] < 0) text += "- " + line + "\n";
    for (const auto& line : after)
        if (surplus[line] > 0) {
            surplus[line]--;
            text += "+ " + line + "\n";
        }
    return text;
}

TEST(GoldenSchema, OfRiscvVirtIsTheOneInTheFile) {
    const std::string schema = schema_of_riscv_virt();
    ASSERT_FALSE(schema.empty());
    const std::string path = std::string(VIV_SOURCE_FOLDER "/") + golden_name;
    const char* wish = std::getenv("VIV_GOLDEN");
    if (wish != nullptr && std::string_view(wish) == "write") {
        std::ofstream out(path, std::ios::binary | std::ios::trunc);
        out << schema;
        ASSERT_TRUE(out.flush().good()) << path << " cannot be written";
        GTEST_SKIP() << golden_name << " has been written: look at what changed before committing it";
    }
    std::ifstream in(path, std::ios::binary);
    ASSERT_TRUE(in.good()) << path << " cannot be read";
    std::ostringstream golden;
    golden << in.rdbuf();
    if (golden.str() == schema) return;
    const std::string changed = difference(lines_of(golden.str()), lines_of(schema));
    FAIL()
        << "the layout of the state is no longer that of " << golden_name << " (-: in the file, +: in the machine):\n"
        << (changed.empty() ? "the same lines in another order\n" : changed)
        << "A tag never changes its meaning or type and is never used again; a new field gets a new one.\n"
           "If the change keeps to that, write the file anew and commit it: VIV_GOLDEN=write build/dev/bin/test_golden";
}

TEST(GoldenSchema, NoTagIsGivenTwice) {
    std::set<std::string> seen;
    for (const std::string& line : lines_of(schema_of_riscv_virt())) {
        std::istringstream words(line);
        std::string field, tag, type;
        ASSERT_TRUE(words >> field >> tag >> type) << line;
        EXPECT_TRUE(seen.insert(field.substr(0, field.rfind('.')) + " " + tag).second)
            << line << ": another field beside it has this tag";
    }
    EXPECT_GT(seen.size(), 100u);
}

TEST(GoldenSchema, DifferencesAreShownLineByLine) {
    EXPECT_EQ(difference({"a.x 1 u8", "a.y 2 u8"}, {"a.x 1 u8", "a.y 2 u16", "a.z 3 u8"}),
              "- a.y 2 u8\n+ a.y 2 u16\n+ a.z 3 u8\n");
    EXPECT_EQ(difference({"a.x 1 u8", "a.y 2 u8"}, {"a.y 2 u8", "a.x 1 u8"}), "");
}

}  // namespace
}  // namespace viv::test
