// Recipes and built guests as files, good and bad.
#include "native/guest_catalog.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace viv::native {
namespace {

namespace fs = std::filesystem;

constexpr const char* ready = R"(format = 1
name = "tiny"
title = "A tiny guest"
key = "0"
[machine]
board = "riscv-virt"
memory = "512M"
cpus = 2
[boot]
kernel = "KERNEL"
append = "console=ttyS0 \"quoted\""
[console]
ready = "~ # "
[exec]
port = "org.vivarium.agent.0"
append = "viv.exec=1"
[[disk]]
file = "/cache/disk.raw"
format = "raw"
device = "virtio-blk-pci"
writes = "keep"
)";

class Catalog : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viv-catalog-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder_ = name;
        for (const char* guest : {"tiny", "other"}) {
            fs::create_directories(folder_ + "/guests/" + guest);
            std::ofstream(folder_ + "/guests/" + guest + "/guest.toml") << "title = \"The " << guest << " one\"\n";
        }
        fs::create_directories(folder_ + "/guests/tools");
        fs::create_directories(folder_ + "/cache/guests/tiny");
        catalog = GuestCatalog(folder_ + "/guests", folder_ + "/cache");
    }
    void TearDown() override { fs::remove_all(folder_); }
    void write_ready(std::string text) {
        const auto at = text.find("KERNEL");
        if (at != std::string::npos) text.replace(at, 6, folder_ + "/kernel");
        std::ofstream(folder_ + "/cache/guests/tiny/ready.toml") << text;
        std::ofstream(folder_ + "/kernel") << "k";
    }
    // A tool that does what `script` says with the cache folder as $cache.
    void write_tool(const std::string& script) {
        std::ofstream(folder_ + "/guests/tools/guest.py") << "import sys\ncache = "
                                                          << "'" << folder_ << "/cache'\n"
                                                          << script;
    }
    std::string folder_;
    GuestCatalog catalog{"", ""};
};

TEST_F(Catalog, ListsRecipesAndWhatIsBuilt) {
    write_ready(ready);
    const auto rows = catalog.list();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].name, "other");
    EXPECT_EQ(rows[0].title, "The other one");
    EXPECT_EQ(rows[0].state, GuestCatalog::Row::State::missing);
    EXPECT_EQ(rows[1].name, "tiny");
    EXPECT_EQ(rows[1].state, GuestCatalog::Row::State::ready);
}

TEST_F(Catalog, ABuiltGuestOutlivesItsRecipe) {
    write_ready(ready);
    fs::remove_all(folder_ + "/guests/tiny");
    const auto rows = catalog.list();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[1].title, "A tiny guest");
    EXPECT_TRUE(catalog.find("tiny").ok());
}

TEST_F(Catalog, ReadsABuiltGuest) {
    write_ready(ready);
    auto found = catalog.find("tiny");
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_TRUE(*found);
    const Guest& guest = **found;
    EXPECT_EQ(guest.board, "riscv-virt");
    EXPECT_EQ(guest.memory, u64{512} << 20);
    EXPECT_EQ(guest.cpus, 2u);
    EXPECT_EQ(guest.kernel, folder_ + "/kernel");
    EXPECT_EQ(guest.initrd, "");
    EXPECT_EQ(guest.append, "console=ttyS0 \"quoted\"");
    EXPECT_EQ(guest.console_ready, "~ # ");
    EXPECT_EQ(guest.exec_port, "org.vivarium.agent.0");
    EXPECT_EQ(guest.exec_append, "viv.exec=1");
    ASSERT_EQ(guest.disks.size(), 1u);
    EXPECT_EQ(guest.disks[0].file, "/cache/disk.raw");
    EXPECT_EQ(guest.disks[0].device, "virtio-blk-pci");
    EXPECT_EQ(guest.disks[0].writes, Guest::Disk::Writes::keep);
}

TEST_F(Catalog, AGuestWhoseFilesAreGoneIsNotBuilt) {
    write_ready(ready);
    fs::remove(folder_ + "/kernel");
    auto found = catalog.find("tiny");
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(*found);
    found = catalog.find("other");
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(*found);
}

TEST_F(Catalog, NamesAreSuggestedAndNeverPaths) {
    EXPECT_EQ(catalog.find("tinny").error().message, "tinny: is no guest; there are other, tiny; did you mean tiny?");
    EXPECT_EQ(catalog.find("../tiny").error().message.find("../tiny: is no guest"), 0u);
    EXPECT_EQ(catalog.find("").error().message.find(": is no guest"), 0u);
    const GuestCatalog nowhere(folder_ + "/nothing", folder_ + "/nothing");
    EXPECT_EQ(nowhere.find("tiny").error().message,
              "tiny: no guests are known: " + folder_ +
                  "/nothing holds no recipes; set VIVARIUM_GUESTS to the folder guests of the source tree");
}

TEST_F(Catalog, EveryMistakeInReadyTomlHasItsLine) {
    const struct {
        std::string from, to, message;
    } cases[] = {
        {"format = 1", "format = 2",
         ": has format 2, this viv reads 1; build the guest again with guests/tools/guest.py"},
        {"title = \"A tiny guest\"", "", ": title is missing or not a text"},
        {"memory = \"512M\"", "memory = 512", ": [machine]: memory is missing or not a text"},
        {"memory = \"512M\"", "memory = \"much\"",
         ": memory much: is no size; write a whole number with K, M, G or T, as in 1G"},
        {"cpus = 2", "cpus = 0", ": [machine]: cpus is 0; 1 to 4096 is needed"},
        {"[boot]", "[boots]", ": [boot]: kernel is missing or not a text"},
        {"writes = \"keep\"", "writes = \"maybe\"", ": [[disk]]: writes is missing or not discard or keep"},
        {"[console]", "[console", ": line 12: "},
    };
    for (const auto& each : cases) {
        std::string text = ready;
        text.replace(text.find(each.from), each.from.size(), each.to);
        const auto guest = parse_ready(text, "ready.toml");
        ASSERT_FALSE(guest.ok()) << each.message;
        EXPECT_EQ(guest.error().message.find("ready.toml" + each.message), 0u) << guest.error().message;
        EXPECT_EQ(guest.error().message.find('\n'), std::string::npos);
    }
}

TEST_F(Catalog, BuildsWithTheToolOfTheTree) {
    std::string text = ready;
    text.replace(text.find("KERNEL"), 6, folder_ + "/kernel");
    write_tool(
        "assert sys.argv[1:] == ['build', 'tiny']\n"
        "open(cache + '/../kernel', 'w').write('k')\n"
        "open(cache + '/guests/tiny/ready.toml', 'w').write(r'''" +
        text + "''')\n");
    const auto guest = catalog.build("tiny");
    ASSERT_TRUE(guest.ok()) << guest.error().message;
    EXPECT_EQ(guest.value().title, "A tiny guest");
}

TEST_F(Catalog, SaysWhatToRunWhenBuildingFails) {
    const auto tool = folder_ + "/guests/tools/guest.py";
    EXPECT_EQ(
        catalog.build("tiny").error().message.find("tiny: is not built, and the tool that builds it is not at " + tool),
        0u);
    write_tool("sys.exit(1)\n");
    EXPECT_EQ(catalog.build("tiny").error().message,
              "tiny: could not be built; the reason is above, the command was: python3 " + tool + " build tiny");
    write_tool("");
    EXPECT_EQ(catalog.build("tiny").error().message,
              "tiny: was built, but " + folder_ + "/cache/guests/tiny/ready.toml or a file it names is missing");
}

}  // namespace
}  // namespace viv::native
