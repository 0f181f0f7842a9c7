// Points: machine and disks go back together, failures undo what was done, refusals change nothing, the tree and how it
// looks.
#include "engine/control/points.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/control/fake_points.h"
#include "tests/control/programs.h"

namespace viv::test {
namespace {

void run_to(Machine& machine, u64 total) {
    while (machine.instructions() < total && machine.state() == RunState::running)
        machine.run({total - machine.instructions(), 0});
}

// A machine with two disks that can be written and one that cannot.
struct World {
    explicit World(unsigned cpus = 2)
        : bench(busy_program(), [&] {
              Bench::Options options;
              options.cpus = cpus;
              options.disks = {first, second, locked};
              return options;
          }()) {
        host.store = &store;
        bench.machine->add_listener(recorder);
    }
    Machine& machine() { return *bench.machine; }
    void to(u64 total) {
        run_to(machine(), total);
        first->content = total;
        second->content = total + 1;
    }
    std::string make(const std::string& name, SameName same = SameName::refuse) {
        const auto made = make_point(machine(), host, name, same);
        return made.ok() ? std::string() : made.error().message;
    }
    std::string load(const std::string& name) {
        const auto loaded = load_point(machine(), host, name);
        return loaded.ok() ? std::string() : loaded.error().message;
    }
    std::string remove(const std::string& name) {
        const auto removed = delete_point(machine(), host, name);
        return removed.ok() ? std::string() : removed.error().message;
    }
    // The load is refused with these words, and nothing at all happens.
    void refuses(const std::string& name, std::string_view words) {
        const auto before = machine().hash();
        const u64 a = first->content, b = second->content;
        const auto state = machine().state();
        recorder.lines.clear();
        EXPECT_NE(load(name).find(words), std::string::npos) << load(name);
        EXPECT_EQ(machine().hash(), before);
        EXPECT_EQ(machine().state(), state);
        EXPECT_EQ(first->content, a);
        EXPECT_EQ(second->content, b);
        EXPECT_TRUE(recorder.lines.empty());
    }
    bool left_nothing() { return first->kept->empty() && second->kept->empty() && store.files.empty(); }

    FakeDisk* first = new FakeDisk("first.img");
    FakeDisk* second = new FakeDisk("second.img");
    FakeDisk* locked = new FakeDisk("locked.img", true);
    FakePointStore store;
    FakeCommandHost host;
    Recorder recorder;
    Bench bench;
};

std::string tree_of(const PointStore& store) {
    std::string text;
    for (const Point& point : store.tree().points()) text += fmt::format("{}<{} ", point.name, point.parent);
    return text + "@" + store.present();
}

TEST(Points, MachineAndDisksGoBackTogether) {
    constexpr u64 total = 90'000;
    World whole;
    run_to(whole.machine(), total);
    World world;
    world.to(20'000);
    EXPECT_EQ(world.make("a"), "");
    EXPECT_EQ(world.machine().state(), RunState::running);
    world.to(50'000);
    EXPECT_EQ(world.make("b"), "");
    world.to(70'000);
    world.recorder.lines.clear();
    EXPECT_EQ(world.load("a"), "");
    EXPECT_EQ(world.recorder.lines,
              (std::vector<std::string>{fmt::format("stopped {}", static_cast<int>(StopReason::restored)), "resumed"}));
    EXPECT_EQ(world.machine().instructions(), 20'000U);
    EXPECT_EQ(world.first->content, 20'000U);
    EXPECT_EQ(world.second->content, 20'001U);
    EXPECT_TRUE(world.locked->kept->empty());
    run_to(world.machine(), total);
    EXPECT_EQ(world.machine().hash(), whole.machine().hash());
    EXPECT_EQ(world.load("b"), "");
    EXPECT_EQ(world.machine().instructions(), 50'000U);
    EXPECT_EQ(world.second->content, 50'001U);
    run_to(world.machine(), total);
    EXPECT_EQ(world.machine().hash(), whole.machine().hash());
    // One that is paused stays so.
    world.machine().pause();
    EXPECT_EQ(world.load("a"), "");
    EXPECT_EQ(world.machine().state(), RunState::paused);

    const Point* point = world.store.tree().find("b");
    ASSERT_NE(point, nullptr);
    EXPECT_EQ(point->parent, "a");
    EXPECT_EQ(point->instructions, 50'000U);
    EXPECT_EQ(point->guest_ns, world.second->kept->at("b").time.guest_ns);
    EXPECT_EQ(point->realtime_ns, world.host.realtime_ns());
    EXPECT_EQ(point->realtime_ns, world.second->kept->at("b").time.realtime_ns);
    EXPECT_EQ(point->disks, (std::vector<std::string>{"fake-disk.0", "fake-disk.1"}));
    EXPECT_EQ(point->bytes, world.store.files.at(point->file).size());
}

TEST(Points, OneMomentWhileItRuns) {
    World world;
    world.to(10'000);
    world.second->content = world.first->content;
    std::optional<Result<void>> told;
    ASSERT_TRUE(
        begin_point(world.machine(), world.host, "a", SameName::refuse, [&](const auto& done) { told = done; }).ok());
    EXPECT_FALSE(begin_point(world.machine(), world.host, "b", SameName::refuse, [](const auto&) { FAIL(); }).ok());
    world.refuses("a", "there is no point 'a'");
    while (!told) {
        world.machine().run({100, 0});
        world.first->content = world.second->content = world.machine().instructions();
    }
    ASSERT_TRUE(told->ok()) << told->error().message;
    world.to(40'000);
    EXPECT_EQ(world.load("a"), "");
    EXPECT_EQ(world.first->content, world.machine().instructions());
    EXPECT_EQ(world.second->content, world.machine().instructions());
    EXPECT_EQ(world.machine().instructions(), world.store.tree().find("a")->instructions);
}

TEST(Points, ATree) {
    World world(1);
    for (const char* name : {"a", "b", "c"}) EXPECT_EQ(world.make(name), "");
    EXPECT_EQ(world.load("a"), "");
    EXPECT_EQ(world.make("d"), "");
    EXPECT_EQ(tree_of(world.store), "a< b<a c<b d<a @d");
    EXPECT_EQ(world.remove("b"), "");
    EXPECT_EQ(tree_of(world.store), "a< c<a d<a @d");
    EXPECT_EQ(world.first->names(), "a c d ");
    EXPECT_EQ(world.store.files.size(), 3U);
    EXPECT_EQ(world.remove("d"), "");
    EXPECT_EQ(tree_of(world.store), "a< c<a @a");
    EXPECT_EQ(world.remove("a"), "");
    EXPECT_EQ(tree_of(world.store), "c< @");
    EXPECT_NE(world.remove("a").find("no point 'a'"), std::string::npos);
    EXPECT_EQ(world.make("e"), "");
    EXPECT_EQ(tree_of(world.store), "c< e< @e");
}

TEST(Points, OneOfTheSameNameIsRefusedOrReplaced) {
    World world(1);
    world.to(1'000);
    EXPECT_EQ(world.make("a"), "");
    EXPECT_EQ(world.make("b"), "");
    world.to(2'000);
    EXPECT_NE(world.make("a").find("already"), std::string::npos);
    EXPECT_EQ(world.store.tree().find("a")->instructions, 1'000U);
    EXPECT_EQ(world.make("a", SameName::replace), "");
    EXPECT_EQ(tree_of(world.store), "b< a<b @a");
    EXPECT_EQ(world.store.tree().find("a")->instructions, 2'000U);
    EXPECT_EQ(world.store.files.size(), 2U);
    EXPECT_EQ(world.first->kept->at("a").content, 2'000U);
}

TEST(Points, NamesThatAreNone) {
    World world(1);
    for (const auto& name : {std::string(), std::string(" a"), std::string("a "), std::string("a\nb"),
                             std::string("\x1b[2J"), std::string("\xc3\xa4"), std::string(129, 'x')})
        EXPECT_NE(world.make(name).find("printable"), std::string::npos) << name;
    EXPECT_EQ(world.make("../.. /etc/passwd \"x\""), "");
    EXPECT_EQ(world.make(std::string(128, 'x')), "");
}

TEST(Points, WhatCannotBeMadeLeavesNothing) {
    World world;
    world.to(5'000);
    const auto before = world.machine().hash();
    world.second->fail_create = true;
    EXPECT_EQ(world.make("a"), "second.img: no space");
    EXPECT_TRUE(world.left_nothing());
    world.second->fail_create = false;
    world.store.room = 100;
    EXPECT_EQ(world.make("a"), "disk full");
    EXPECT_TRUE(world.left_nothing());
    world.store.room = ~usize{0};
    world.store.fail_add = true;
    EXPECT_EQ(world.make("a"), "the list cannot be written");
    EXPECT_TRUE(world.left_nothing());
    world.store.fail_add = false;
    world.second->keeps = false;
    EXPECT_EQ(world.make("a"), "second.img: keeps no snapshots");
    EXPECT_TRUE(world.left_nothing());
    world.second->keeps = true;
    world.second->kept->insert({"a", {}});
    EXPECT_NE(world.make("a").find("second.img: has a snapshot 'a' that is no point's"), std::string::npos);
    EXPECT_TRUE(world.first->kept->empty());
    EXPECT_EQ(world.second->names(), "a ");
    world.second->kept->clear();
    world.host.store = nullptr;
    EXPECT_EQ(world.make("a"), "no folder for points");
    world.host.store = &world.store;

    // The same when it is found later.
    std::optional<Result<void>> told;
    world.second->fail_create = true;
    ASSERT_TRUE(
        begin_point(world.machine(), world.host, "a", SameName::refuse, [&](const auto& done) { told = done; }).ok());
    world.machine().pause();
    while (!told) world.machine().run({});
    EXPECT_EQ(told->error().message, "second.img: no space");
    EXPECT_TRUE(world.left_nothing());
    EXPECT_EQ(tree_of(world.store), "@");
    EXPECT_EQ(world.machine().hash(), before);
    world.second->fail_create = false;
    EXPECT_EQ(world.make("a"), "");
}

TEST(Points, AMachineThatEndsInTheMiddleLeavesNothing) {
    FakeDisk* disk = new FakeDisk("disk.img");
    const auto kept = disk->kept;
    FakePointStore store;
    FakeCommandHost host;
    host.store = &store;
    std::mutex gate;
    store.gate = &gate;
    {
        Bench::Options options;
        options.determinism = Determinism::live;  // files are written by threads
        options.disks = {disk};
        Bench bench(counting_program(), options);
        gate.lock();
        ASSERT_TRUE(begin_point(*bench.machine, host, "a", SameName::refuse, [](const auto&) { FAIL(); }).ok());
        // As far as the moment: the file's end is told by run() only.
        while (kept->empty()) bench.machine->run({100, 0});
        gate.unlock();
    }
    EXPECT_TRUE(kept->empty());
    EXPECT_TRUE(store.tree().points().empty());
}

TEST(Points, RefusalsChangeNothing) {
    World world;
    world.to(30'000);
    ASSERT_EQ(world.make("a"), "");
    world.to(60'000);
    world.refuses("b", "there is no point 'b'");
    const auto all = *world.second->kept;
    world.second->kept->clear();
    world.refuses("a", "second.img: has no snapshot 'a'");
    *world.second->kept = all;
    world.second->kept->at("a").bytes = 512;
    world.refuses("a", "second.img: had 512 bytes");
    *world.second->kept = all;
    world.first->fail_apply = true;
    world.refuses("a", "first.img: cannot be read");
    world.first->fail_apply = false;
    // The board is loaded last of all: everything else has its new state by then.
    world.bench.board().latch = 7;
    ASSERT_EQ(world.make("latched"), "");
    world.bench.board().latch = 0;
    world.bench.board().largest_latch = 6;
    run_to(world.machine(), 70'000);
    world.refuses("latched", "is too large");
    const std::string file = world.store.tree().find("a")->file;
    const auto bytes = world.store.files.at(file);
    world.store.files[file].pop_back();
    world.refuses("a", "");
    world.store.files[file] = bytes;
    world.store.files[file][bytes.size() / 2] ^= 1;
    world.refuses("a", "");
    World other(3);
    ASSERT_EQ(other.make("a"), "");
    world.store.files[file] = other.store.files.at(other.store.tree().find("a")->file);
    world.refuses("a", "CPUs");
    world.store.files.erase(file);
    world.refuses("a", "the file is gone");
    EXPECT_EQ(world.first->names(), "a latched ");
    world.store.files[file] = bytes;
    EXPECT_EQ(world.load("a"), "");
    EXPECT_EQ(world.machine().instructions(), 30'000U);
    EXPECT_EQ(world.second->content, 30'001U);
    // What has lost a part can be deleted.
    world.second->kept->erase("a");
    EXPECT_EQ(world.remove("a"), "");
    EXPECT_EQ(world.first->names(), "latched ");
}

TEST(Points, OtherDisksAreRefused) {
    World world(1);
    ASSERT_EQ(world.make("a"), "");
    const auto with = [&](std::vector<block::Disk*> disks) {
        Bench::Options options;
        options.disks = std::move(disks);
        Bench bench(busy_program(), options);
        const auto loaded = load_point(*bench.machine, world.host, "a");
        return loaded.ok() ? std::string() : loaded.error().message;
    };
    EXPECT_EQ(with({}), "the point 'a' was made with a disk fake-disk.0 that can be written");
    FakeDisk* more[] = {new FakeDisk("1"), new FakeDisk("2"), new FakeDisk("3")};
    more[0]->kept = world.first->kept;
    more[1]->kept = world.second->kept;
    EXPECT_EQ(with({more[0], more[1], more[2]}), "the point 'a' was made without the disk fake-disk.2 (3)");
}

TEST(Points, DisksOfTwoMomentsAreTheEnd) {
    World world(1);
    ASSERT_EQ(world.make("a"), "");
    world.to(1'000);
    world.second->fail_apply = true;
    EXPECT_NE(world.load("a").find("the machine is ended"), std::string::npos);
    EXPECT_EQ(world.machine().state(), RunState::powered_off);
    EXPECT_EQ(world.machine().stop_reason(), StopReason::host_error);
}

TEST(Points, TreesThatAreNone) {
    const auto refused = [](std::vector<Point> points) { return !PointTree::of(std::move(points)).ok(); };
    const auto point = [](std::string name, std::string parent) {
        Point made;
        made.name = std::move(name);
        made.parent = std::move(parent);
        return made;
    };
    EXPECT_FALSE(refused({point("a", ""), point("b", "a")}));
    EXPECT_TRUE(refused({point("a", ""), point("a", "")}));
    EXPECT_TRUE(refused({point("a", "a")}));
    EXPECT_TRUE(refused({point("a", "b"), point("b", "a")}));
    EXPECT_TRUE(refused({point("\n", "")}));
}

TEST(Points, AsTextAndJson) {
    PointTree tree;
    EXPECT_EQ(points_text(tree, ""), "there are no points\n");
    const auto add = [&](std::string name, std::string parent, u64 seconds, u64 guest_ms, u64 bytes) {
        Point point;
        point.name = std::move(name);
        point.parent = std::move(parent);
        point.realtime_ns = seconds * 1'000'000'000;
        point.guest_ns = guest_ms * 1'000'000;
        point.instructions = 5;
        point.bytes = bytes;
        point.disks = {"virtio-blk-pci.0"};
        EXPECT_TRUE(tree.add(std::move(point)).ok());
    };
    add("a", "", 0, 1, 1'000'000);
    add("bb", "a", 951'825'599, 61'500, 52'340'000);  // a leap day at its end
    add("c", "", 1'700'000'000, 100 * 3'600'000, 99'999);
    add("d", "bb", 4'107'542'400, 0, 0);  // 2100 has none
    EXPECT_EQ(points_text(tree, "c"),
              "  name   date (UTC)               guest time       size  disks\n"
              "  a      1970-01-01 00:00:00     0:00:00.001      1.0 M  virtio-blk-pci.0\n"
              "    bb   2000-02-29 11:59:59     0:01:01.500     52.3 M  virtio-blk-pci.0\n"
              "      d  2100-03-01 00:00:00     0:00:00.000      0.0 M  virtio-blk-pci.0\n"
              "* c      2023-11-14 22:13:20   100:00:00.000      0.1 M  virtio-blk-pci.0\n");
    const auto rows = points_json(tree, "bb");
    ASSERT_EQ(rows.size(), 4U);
    EXPECT_EQ(rows[1], nlohmann::json::parse(R"({"name": "bb", "parent": "a", "present": true, "date-sec": 951825599,
        "date-nsec": 0, "vm-clock-sec": 61, "vm-clock-nsec": 500000000, "instructions": 5, "vm-state-size": 52340000,
        "disks": ["virtio-blk-pci.0"]})"));
    EXPECT_FALSE(rows[0].contains("parent"));
}

TEST(Points, DeepTreesAsText) {
    PointTree tree;
    std::string parent;
    for (unsigned i = 0; i < 5'000; i++) {
        Point point;
        point.name = fmt::format("p{}", i);
        point.parent = std::exchange(parent, point.name);
        ASSERT_TRUE(tree.add(std::move(point)).ok());
    }
    EXPECT_LT(points_text(tree, "").size(), 5'000U * 200);
}

}  // namespace
}  // namespace viv::test
