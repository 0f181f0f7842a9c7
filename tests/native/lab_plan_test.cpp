// Files of labs: what is read from a good one, and the line that each mistake gets.
#include "native/lab/plan.h"

#include <gtest/gtest.h>

#include <random>

#include "native/lab/quality.h"
#include "native/lab/scripts.h"

namespace viv::native::lab {
namespace {

const std::string two_hosts = R"(
title = "Two"
seed = 9

[switch.wire]
outside = "user,net=10.9.0.0/24"

[machine.a]
guest = "linux-riscv64"
memory = "256M"
cpus = 2
disks = ["file=a.img,readonly=on"]
options = ["--jit", "quick"]
setup = "true"
link = [{to = "wire", address = "10.0.0.1/24", gateway = "10.0.0.9", latency = "1.5ms", jitter = "500us", loss = "0.5%", rate = "10M", queue = "64K"},
        {to = "far", mac = "52:54:00:AA:00:01"}]

[machine.b]
guest = "linux-riscv64"
[[machine.b.link]]
to = "wire"
address = "fd00::2/64"

[switch.far]
[[trunk]]
between = ["wire", "far"]
loss = "100%"

[[test]]
machine = "a"
run = "true"
)";

TEST(LabPlan, EverythingOfAFileIsRead) {
    auto plan = read_plan(two_hosts, "two.toml");
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->title, "Two");
    EXPECT_EQ(plan->seed, 9u);
    ASSERT_EQ(plan->machines.size(), 2u);
    const auto& a = plan->machines[0];
    EXPECT_EQ(a.options, (std::vector<std::string>{"--cpus", "2", "--memory", "256M", "--disk",
                                                   "file=a.img,readonly=on", "--jit", "quick"}));
    ASSERT_EQ(a.cards.size(), 2u);
    EXPECT_EQ(a.cards[0].quality,
              (net::LinkQuality{
                  .latency_ns = 1'500'000, .jitter_ns = 500'000, .loss = 5000, .rate = 10'000'000, .queue = 65'536}));
    EXPECT_EQ(a.cards[0].mac, "52:54:00:00:01:01");
    EXPECT_EQ(a.cards[1].mac, "52:54:00:aa:00:01");
    EXPECT_EQ(plan->machines[1].cards[0].mac, "52:54:00:00:02:01");
    ASSERT_EQ(plan->switches.size(), 2u);
    EXPECT_EQ(plan->switches[1].outside, std::vector<std::string>{"user,net=10.9.0.0/24"});
    ASSERT_EQ(plan->trunks.size(), 1u);
    EXPECT_EQ(plan->trunks[0].name, "wire-far");
    EXPECT_EQ(plan->trunks[0].quality.loss, net::Link::all_lost);
    EXPECT_EQ(plan->tests[0].name, "true") << "a test without a name is called by what it runs";
    const auto script = configuration_script(*plan, a);
    for (const char* part : {"hostname a\n", "echo 10.0.0.1 a >>", "echo fd00::2 b >>", "find_card 52:54:00:00:01:01",
                             "ip addr add 10.0.0.1/24", "ip route add default via 10.0.0.9"})
        EXPECT_NE(script.find(part), std::string::npos) << part << "\n" << script;
}

TEST(LabPlan, EachMistakeIsALineThatSaysWhatIsRight) {
    const auto told = [](const std::string& text) {
        const auto plan = read_plan(text, "f");
        return plan.ok() ? std::string("(good)") : plan.error().message;
    };
    const std::string machine = "[switch.s]\n[machine.a]\nguest = \"g\"\n";
    const auto link = [&](const std::string& keys) { return told(machine + "link = [{" + keys + "}]\n"); };
    EXPECT_EQ(told(""), "f:1: a lab needs a machine: [machine.NAME] with guest = \"linux-riscv64\"");
    EXPECT_EQ(told("x = [").substr(0, 4), "f:1:");
    EXPECT_EQ(told("\u00e9 = 1").substr(0, 4), "f:1:") << "letters that no key may have";
    EXPECT_EQ(told("title = \"\"\"\\\n  \u00e9t\u00e9\"\"\"\n" + machine), "(good)") << "and that any text may";
    EXPECT_EQ(told("[machine.a]\n"), "f:1: machine a: guest is missing; viv list guests shows them");
    EXPECT_EQ(told(machine + "memroy = \"1G\"\n"),
              "f:4: memroy is not known; a machine has guest, memory, cpus, append, disks, options, setup, link; did "
              "you mean memory?");
    EXPECT_EQ(told(machine + "cpus = 0\n"), "f:4: cpus is a number from 1 on");
    EXPECT_EQ(told(machine + "memory = 5\n"), "f:4: memory is a text, in quotes");
    EXPECT_EQ(told(machine + "disks = [1]\n"), "f:4: disks is a list of texts, as in [\"a\", \"b\"]");
    EXPECT_EQ(told("[machine.Big]\nguest = \"g\"\n"),
              "f:1: \"Big\" is no name; up to 32 of a-z, 0-9 and - make one, and help, link, quit, status are taken");
    EXPECT_EQ(link("address = \"10.0.0.1/24\""), "f:4: to is missing: the switch that the link leads to");
    EXPECT_EQ(link("to = \"t\""), "f:4: there is no switch t; write [switch.t]");
    EXPECT_EQ(link("to = \"s\", address = \"10.0.0.1\""),
              "f:4: address = \"10.0.0.1\": an address with its network's bits is needed, as in \"10.0.0.1/24\" or "
              "\"fd00::1/64\"");
    EXPECT_NE(link("to = \"s\", address = \"10.0.0.1/33\""), "(good)");
    EXPECT_NE(link("to = \"s\", gateway = \"x;reboot\""), "(good)") << "what goes into a script is checked";
    EXPECT_EQ(link("to = \"s\", loss = \"101%\""),
              "f:4: loss = \"101%\": a share from 0% to 100% is needed, as in \"0.5%\"");
    for (const char* bad :
         {"latency = \"5\"", "latency = \"-1ms\"", "latency = \"61s\"", "latency = \"nanms\"", "rate = \"10\"",
          "rate = \"1e3M\"", "queue = \"65M\"", "mac = \"01:00:00:00:00:00\"", "mac = \"52:54\"", "jitter = 5"})
        EXPECT_NE(link(std::string("to = \"s\", ") + bad), "(good)") << bad;
    EXPECT_EQ(
        told(machine + "link = [{to = \"s\", address = \"10.0.0.1/24\"}, {to = \"s\", address = \"10.0.0.1/8\"}]\n"),
        "f:4: address = \"10.0.0.1\": another card of this lab has it");
    EXPECT_EQ(told(machine + "[switch.x]\noutside = \"usr\"\n").substr(0, 4), "f:5:");
    EXPECT_NE(told(machine + "[switch.x]\noutside = \"user,mac=52:54:00:00:00:01\"\n"), "(good)");
    EXPECT_EQ(told(machine + "[[test]]\nmachine = \"b\"\nrun = \"x\"\n"), "f:4: there is no machine b");
    EXPECT_NE(told(machine + "[switch.t]\n[[trunk]]\nbetween = [\"s\", \"t\"]\n[[trunk]]\nbetween = [\"t\", \"s\"]\n")
                  .find("closes a loop"),
              std::string::npos);
    EXPECT_EQ(told("a = 1\nb = 2\n").substr(0, 4), "f:1:");
    EXPECT_NE(told("a = 1\nb = 2\n").find("\nf:2: b is not known"), std::string::npos) << "all mistakes at once";
}

TEST(LabPlan, BrokenFilesNeverCrash) {
    std::mt19937 random(3);
    for (int i = 0; i < 20'000; i++) {
        std::string text = two_hosts;
        for (unsigned n = 1 + random() % 4; n > 0; n--) {
            const auto at = random() % text.size();
            switch (random() % 3) {
                case 0: text[at] = static_cast<char>(random()); break;
                case 1: text.erase(at, random() % 20); break;
                default: text.insert(at, text.substr(random() % text.size(), random() % 20)); break;
            }
        }
        const auto plan = read_plan(text, "f");
        if (!plan.ok()) {
            EXPECT_TRUE(plan.error().message.starts_with("f:"));
        }
    }
}

TEST(LabPlan, QualityAsItIsTyped) {
    const auto quality = parse_quality("latency=20ms,loss=1%");
    ASSERT_TRUE(quality.ok());
    EXPECT_EQ(*quality, (net::LinkQuality{.latency_ns = 20'000'000, .loss = 10'000}));
    EXPECT_EQ(*parse_quality(""), net::LinkQuality{});
    EXPECT_EQ(parse_quality("latency").error().message, "latency: KEY=VALUE is needed, as in latency=20ms,loss=1%");
    EXPECT_EQ(parse_quality("los=1%").error().message,
              "los is not known; a link has latency, jitter, loss, rate, queue; did you mean loss?");
}

}  // namespace
}  // namespace viv::native::lab
