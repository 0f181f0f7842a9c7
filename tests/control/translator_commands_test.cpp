// `info jit` and query-jit: what they say of translators, of none, and of a real one while harts run on threads.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "native/host_posix.h"
#include "tests/control/fake_command_host.h"
#include "tests/control/programs.h"

namespace viv::test {
namespace {

using nlohmann::json;

struct Client {
    explicit Client(Machine& a_machine) : context{a_machine, host} {}
    std::string prompt(std::string_view line) { return run_line(context, line).text; }
    json query(const json& arguments = nullptr) {
        json result;
        const auto outcome = run_qmp(context, "query-jit", arguments, result);
        EXPECT_TRUE(outcome.ok) << outcome.description;
        return result;
    }
    std::string refusal(const json& arguments) {
        json result;
        const auto outcome = run_qmp(context, "query-jit", arguments, result);
        EXPECT_FALSE(outcome.ok);
        return outcome.description;
    }

    FakeCommandHost host;
    CommandContext context;
};

Bench::Options translating(unsigned cpus) {
    Bench::Options options;
    options.cpus = cpus;
    options.jit = Jit::full;
    return options;
}

exec::TranslatorReport a_report() {
    exec::TranslatorReport report;
    report.backend = "z80";
    report.cache_capacity = 64 << 10;
    report.cache_used = 5 << 10;
    report.tiers = {{"quick", 9, 4, 5, 1024}, {"full", 2, 1, 1, 4096}};
    report.host_bytes_made = 9 << 10;
    report.entries = 200;
    report.exits = {{"jump", "to somewhere", 50}, {"budget", "the end", 150}};
    report.samples = 150;
    report.interpreted_blocks = 77;
    report.waiting = 3;
    report.outdated = 2;
    report.hottest = {{0xffff'ffff'8000'1234, 0x13, 0x8020'1000, "full", 3, 120, 640, 120, 130},
                      {0x1'0000, 0x10, 0x8000'0000, "quick", 1, 8, 96, 30, 31}};
    return report;
}

TEST(TranslatorCommands, OffSaysSoInOneLine) {
    Bench bench(counting_program());
    Client client(*bench.machine);
    EXPECT_EQ(client.prompt("info jit"), "nothing is translated, the interpreter does it all: --jit off\n");
    EXPECT_EQ(client.query(), json::parse(R"({"jit": "off", "cpus": []})"));
}

TEST(TranslatorCommands, AHostWithoutABackendSaysSo) {
    Bench bench(counting_program(), translating(2));
    Client client(*bench.machine);
    EXPECT_EQ(client.prompt("info jit"),
              "nothing is translated, the interpreter does it all: this host has no backend\n");
    EXPECT_EQ(client.query(), json::parse(R"({"jit": "full", "cpus": []})"));
}

TEST(TranslatorCommands, JsonOfEachCpu) {
    Bench bench(counting_program(), translating(2));
    bench.cpu(1).report = a_report();
    Client client(*bench.machine);
    EXPECT_EQ(client.query(), json::parse(R"({
        "jit": "full",
        "cpus": [{
            "cpu-index": 1, "backend": "z80", "cache-capacity": 65536, "cache-used": 5120, "host-bytes-made": 9216,
            "tiers": [{"name": "quick", "made": 9, "held": 4, "dropped": 5, "host-bytes": 1024},
                      {"name": "full", "made": 2, "held": 1, "dropped": 1, "host-bytes": 4096}],
            "entries": 200, "exits": [{"cause": "jump", "count": 50}, {"cause": "budget", "count": 150}],
            "interpreted-blocks": 77, "waiting": 3, "outdated": 2, "samples": 150,
            "hottest": [{"pc": 18446744071562072628, "mode": 19, "physical-page": 2149584896, "tier": "full",
                         "blocks": 3, "guest-bytes": 120, "host-bytes": 640, "samples": 120, "exits": 130},
                        {"pc": 65536, "mode": 16, "physical-page": 2147483648, "tier": "quick", "blocks": 1,
                         "guest-bytes": 8, "host-bytes": 96, "samples": 30, "exits": 31}]
        }]})"));
}

TEST(TranslatorCommands, TheTableForPeople) {
    Bench bench(counting_program(), translating(2));
    bench.cpu(1).report = a_report();
    Client client(*bench.machine);
    EXPECT_EQ(client.prompt("info jit"), R"(CPU 1: to z80 code, 5 KiB of 64 KiB in use, 9 KiB made since the start
  tier             made       held    dropped   host bytes
  quick               9          4          5         1024
  full                2          1          1         4096

  entered 200 times; the interpreter ran 77 blocks
  3 translations are being made, 2 came too late: their code had changed
  exit              count       %
  jump                 50   25.00  to somewhere
  budget              150   75.00  the end

  the hottest, of 150 samples
   samples      %      exits  tier  blocks guest B  host B   mode  page         pc
       120  80.00        130  full       3     120     640     13  80201000     0xffffffff80001234
        30  20.00         31  quick      1       8      96     10  80000000     0x0000000000010000
)");
    // One CPU after the other, an empty line between.
    bench.cpu(0).report = a_report();
    const std::string both = client.prompt("info jit 0");
    EXPECT_EQ(both.find("CPU 0"), 0u);
    EXPECT_NE(both.find("\n\nCPU 1"), both.npos);
    EXPECT_EQ(both.find("0xffff"), both.npos);
}

TEST(TranslatorCommands, AsManyAsWereAskedForWithinBounds) {
    Bench bench(counting_program(), translating(1));
    auto report = a_report();
    report.hottest.resize(3'000, report.hottest[0]);
    bench.cpu(0).report = report;
    Client client(*bench.machine);
    const auto shown = [&](const json& arguments) { return client.query(arguments)["cpus"][0]["hottest"].size(); };
    EXPECT_EQ(shown(nullptr), HottestLimit::usual);
    EXPECT_EQ(shown({{"most", 0u}}), 0u);
    EXPECT_EQ(shown({{"most", 2u}}), 2u);
    EXPECT_EQ(shown({{"most", HottestLimit::maximum}}), HottestLimit::maximum);
    EXPECT_EQ(client.refusal({{"most", HottestLimit::maximum + 1}}),
              "most is 1001, but at most 1000 translations can be shown");
    EXPECT_EQ(client.refusal({{"most", -1}}),
              "the argument 'most' of 'query-jit' must be an integer that is not negative");
    EXPECT_EQ(client.refusal({{"many", 1}}), "'query-jit' has no argument 'many'");
    EXPECT_EQ(client.prompt("info jit 0xffffffffffffffff"),
              "most is 18446744073709551615, but at most 1000 translations can be shown\n");
}

// Asked between slices, while every hart has a thread: under a thread sanitizer this shows that nothing is read that a
// hart still writes.
TEST(TranslatorCommands, ARealTranslatorWithHartsOnThreads) {
    native::PosixCodeMemory code_memory;
    if (!translates(&code_memory)) GTEST_SKIP() << "this host has no backend";
    HeapMemory memory;
    RealClock clock;
    FixedEntropy entropy;
    NullLogSink log;
    StandardThreads threads;
    MachineConfig config;
    config.board.memory = 16 << 20;
    config.board.cpus = 2;
    config.board.jit = Jit::full;
    config.board.jit_cache = 1 << 20;
    // In machine mode on both harts: addi t0, t0, 1; addi t1, t1, 1; j .-8
    config.board.bios = Blob{"loop", {0x93, 0x82, 0x12, 0, 0x13, 0x03, 0x13, 0, 0x6f, 0xf0, 0x9f, 0xff}};
    config.harts = Harts::parallel;
    auto machine = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log, &threads, &code_memory});
    ASSERT_TRUE(machine.ok()) << machine.error().message;
    Client client(**machine);
    json cpus;
    const auto sampled = [&] {
        return cpus.size() == 2 && std::all_of(cpus.begin(), cpus.end(), [](const json& cpu) {
                   const json& hottest = cpu["hottest"];
                   return !hottest.empty() && hottest[0]["tier"] == "full" && hottest[0]["samples"].get<u64>() >= 3;
               });
    };
    for (int slice = 0; slice < 2'000 && !sampled(); slice++) {
        (*machine)->run({});
        cpus = client.query()["cpus"];
        for (const json& cpu : cpus) {
            u64 exits = 0;
            for (const json& exit : cpu["exits"]) exits += exit["count"].get<u64>();
            ASSERT_EQ(exits, cpu["entries"].get<u64>());
        }
    }
    ASSERT_TRUE(sampled()) << cpus.dump(2);
    for (const json& cpu : cpus) {
        const json& hottest = cpu["hottest"][0];
        EXPECT_EQ(hottest["physical-page"], 0x8000'0000);
        EXPECT_LE(hottest["samples"].get<u64>(), cpu["samples"].get<u64>()) << cpu.dump(2);
        EXPECT_EQ(cpu["cache-capacity"], 1 << 20);
        EXPECT_LE(cpu["cache-used"].get<u64>(), u64{1} << 20);
        EXPECT_GT(cpu["cache-used"].get<u64>(), 0u);
    }
}

}  // namespace
}  // namespace viv::test
