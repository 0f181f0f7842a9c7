// The rows of control/commands and the prompt: what lines mean, what they answer, what is refused and how.
#include "engine/control/commands/command.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "engine/control/monitor.h"
#include "tests/control/fake_points.h"
#include "tests/control/programs.h"

namespace viv::test {
namespace {

struct Prompt {
    explicit Prompt(Bench& bench) : context{*bench.machine, host} { host.store = &store; }
    std::string operator()(std::string_view line) {
        const auto outcome = run_line(context, line);
        return (outcome.ok ? "" : "! ") + outcome.text;
    }
    FakePointStore store;
    FakeCommandHost host;
    CommandContext context;
};

Bench::Options harts(unsigned count) {
    Bench::Options options;
    options.cpus = count;
    return options;
}

TEST(Commands, RowsAreComplete) {
    std::set<std::string> names, qmp_names;
    for (const CommandArea& area : command_catalog()) {
        EXPECT_FALSE(area.commands.empty());
        for (const Command& command : area.commands) {
            EXPECT_FALSE(command.name.empty() && command.qmp_name.empty());
            EXPECT_FALSE(command.help.empty());
            EXPECT_NE(command.help.back(), '.');
            if (!command.name.empty()) {
                EXPECT_TRUE(names.insert(std::string(first_name(command))).second) << command.name;
            }
            if (!command.qmp_name.empty()) {
                EXPECT_TRUE(qmp_names.insert(std::string(command.qmp_name)).second);
                EXPECT_EQ(find_qmp_command(command.qmp_name), &command);
            }
            bool optional = false;  // optional arguments come last, or nobody could leave them out
            for (const Argument& argument : command.arguments) {
                EXPECT_FALSE(argument.help.empty());
                if (argument.type == ArgumentType::format) continue;
                EXPECT_FALSE(optional && argument.need == Need::required) << command.name;
                optional = argument.need == Need::optional;
            }
            EXPECT_NE(commands_reference().find(std::string(command.help)), std::string::npos);
        }
    }
    EXPECT_NE(commands_help().find("save FILE"), std::string::npos);
    EXPECT_NE(commands_help().find("x[/FORMAT] ADDRESS"), std::string::npos);
    EXPECT_NE(commands_reference().find("| `info status` | `query-status` |"), std::string::npos);
}

TEST(Commands, EveryRowAnswersWithoutArgumentsSomehow) {
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands) {
            Bench bench(counting_program());
            Prompt prompt(bench);
            if (!command.name.empty()) {
                const bool needs =
                    std::any_of(command.arguments.begin(), command.arguments.end(),
                                [](const Argument& argument) { return argument.need == Need::required; });
                EXPECT_EQ(run_line(prompt.context, first_name(command)).ok, !needs) << command.name;
            }
            nlohmann::json result;
            const auto outcome = run_qmp(prompt.context, command.qmp_name, nullptr, result);
            EXPECT_EQ(outcome.ok, outcome.description.empty());
        }
}

TEST(Commands, PointsAtThePrompt) {
    Bench::Options options;
    options.disks = {new FakeDisk("disk.img")};
    Bench bench(counting_program(), options);
    Prompt prompt(bench);
    EXPECT_EQ(prompt("info snapshots"), "there are no points\n");
    bench.machine->run({1'000, 0});
    EXPECT_EQ(prompt("savevm \"two words\""), "");
    bench.machine->run({1'000, 0});
    EXPECT_EQ(prompt("savevm \"two words\""), "");  // replaces it
    bench.machine->run({1'000, 0});
    EXPECT_EQ(prompt("loadvm \"two words\""), "");
    EXPECT_EQ(bench.machine->instructions(), 2'000U);
    EXPECT_NE(prompt("info snapshots").find("\n* two words "), std::string::npos);
    EXPECT_EQ(prompt("delvm \"two words\""), "");
    EXPECT_EQ(prompt("delvm x"), "! there is no point 'x'; info snapshots lists them\n");
    EXPECT_EQ(prompt("loadvm"), "! name is missing; usage: loadvm NAME\n");
    EXPECT_EQ(prompt("info jobs"), "no jobs\n");
    EXPECT_EQ(prompt("snapshot_blkdev nix /tmp/over"), "! there is no disk 'nix'; info block lists them\n");
    EXPECT_EQ(prompt("snapshot_blkdev fake-disk.0 over qcow2 sideways"),
              "! mode 'sideways': absolute-paths (a new file) or existing is needed\n");
    EXPECT_EQ(prompt("snapshot_blkdev fake-disk.0 over"), "! over: this program makes no images\n");
}

TEST(Commands, StateAndLife) {
    Bench bench(counting_program(), harts(2));
    Prompt prompt(bench);
    EXPECT_EQ(prompt("info status"), "VM status: running\n");
    EXPECT_EQ(prompt("stop"), "");
    EXPECT_EQ(prompt("  info   status  "), "VM status: paused\n");
    EXPECT_EQ(prompt("c"), "");
    EXPECT_EQ(bench.machine->state(), RunState::running);
    EXPECT_EQ(prompt("info version"), "vivarium 1.2.3\n");
    EXPECT_EQ(prompt("info name"), "test machine\n");
    bench.machine->run({1'500, 0});
    EXPECT_EQ(prompt("info time"), "guest time 0.000000750 s, 1500 instructions, deterministic\n");
    EXPECT_EQ(prompt("info hash"), bench.machine->hash().hex() + " after 1500 instructions\n");
    EXPECT_EQ(prompt("step"), "CPU 0: 0x0000000000010008: op1 2, 2, 0, 1\n");
    EXPECT_EQ(prompt("step 1"), "CPU 1: 0x0000000000010008: op1 2, 2, 0, 1\n");
    EXPECT_EQ(prompt("info status"), "VM status: debug\n");
    EXPECT_EQ(prompt("save \"a file\""), "saved to a file\n");
    EXPECT_TRUE(prompt.host.files.contains("a file"));
    EXPECT_EQ(prompt("save /no/way"), "! '/no/way' cannot be created\n");
    EXPECT_EQ(prompt("q"), "");
    EXPECT_EQ(prompt("info status"), "VM status: shutdown (exit code 0)\n");
    EXPECT_EQ(prompt("step"), "! the machine is powered off\n");
    EXPECT_EQ(prompt("system_reset"), "");
    EXPECT_EQ(prompt("info status"), "VM status: running\n");
}

TEST(Commands, CpusAndRegisters) {
    Bench bench(counting_program(), harts(2));
    Prompt prompt(bench);
    EXPECT_EQ(prompt("info cpus"),
              "* CPU 0: pc=0x0000000000010000 machine 0 instructions\n"
              "  CPU 1: pc=0x0000000000010000 machine 0 instructions\n");
    EXPECT_EQ(prompt("cpu 1"), "");
    EXPECT_EQ(prompt.context.cpu, 1U);
    EXPECT_EQ(prompt("cpu 2"), "! there is no CPU 2; they are numbered 0 to 1\n");
    EXPECT_EQ(prompt.context.cpu, 1U);
    const std::string registers = prompt("info registers");
    EXPECT_EQ(registers.substr(0, 6), "CPU 1\n");
    EXPECT_NE(registers.find("       x10 0000000000000001"), std::string::npos);
    EXPECT_NE(registers.find("      wide 00000000000000000000000000000000"), std::string::npos);
    EXPECT_NE(prompt("info registers 0").find("       x10 0000000000000000"), std::string::npos);
}

TEST(Commands, MemoryIsShownInEveryFormat) {
    Bench bench(counting_program());
    Prompt prompt(bench);
    const std::vector<u8> bytes{0x41, 0x42, 0xff, 0x80, 0, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8};
    ASSERT_TRUE(bench.board().memory().write(0x1'8000, bytes));
    EXPECT_EQ(prompt("x 0x18000"), "0000000000018000: 0x80ff4241\n");
    EXPECT_EQ(prompt("x/2xg 0x18000"), "0000000000018000: 0x8000000080ff4241 0x0807060504030201\n");
    EXPECT_EQ(prompt("x/2db 0x18002"), "0000000000018002:  -1 -128\n");
    EXPECT_EQ(prompt("x/2ub 0x18002"), "0000000000018002: 255 128\n");
    EXPECT_EQ(prompt("x/ob 0x18000"), "0000000000018000: 0101\n");
    EXPECT_EQ(prompt("x/3c 0x18000"), "0000000000018000: 'A' 'B' '\\xff'\n");
    EXPECT_EQ(prompt("xp/6xw 0x18000"),
              "0000000000018000: 0x80ff4241 0x80000000 0x04030201 0x08070605\n"
              "0000000000018010: 0x00000000 0x00000000\n");
    bench.cpu(0).set_x(2, 0x1'8008);
    EXPECT_EQ(prompt("x/xb $x2 + 1"), "0000000000018009: 0x02\n");
    EXPECT_EQ(prompt("x/xb $x2-0x8"), "0000000000018000: 0x41\n");
    EXPECT_EQ(prompt("x/2i $pc"), "0x0000000000010000: op1 1, 0, 0, 1\n0x0000000000010008: op1 2, 2, 0, 1\n");
    EXPECT_EQ(prompt("disassemble $pc 1"), "0x0000000000010000: op1 1, 0, 0, 1\n");
    EXPECT_EQ(prompt("gva2gpa 0x10008"), "gpa: 0x10008\n");
    EXPECT_EQ(prompt("gva2gpa 8"), "! virtual address 0x8 is not mapped\n");
    EXPECT_EQ(prompt("x 0"), "! there is no memory at virtual address 0x0\n");
    EXPECT_EQ(prompt("xp/3xw 0x1fffc"),
              "000000000001fffc: 0x00000000\nthere is no memory at physical address 0x20000\n");
    EXPECT_EQ(prompt("x/i 0"), "! there is no memory at virtual address 0x0\n");
    EXPECT_EQ(prompt("xp/i 0x10000"), "! instructions are read by virtual address: x/10i\n");
    EXPECT_EQ(prompt("xp 0x1000"), "! there is no memory at physical address 0x1000\n");  // a device
    EXPECT_EQ(prompt("x/0x 0"), "! the count in the format must be 1 to 16384\n");
    EXPECT_EQ(prompt("x/99999999999999999999x 0"), "! the count in the format must be 1 to 16384\n");
    EXPECT_EQ(prompt("x/z 0").substr(0, 8), "! 'z' in");
    EXPECT_EQ(prompt("pmemsave 0x18000 4 out"), "");
    EXPECT_EQ(prompt.host.files["out"], (std::vector<u8>{0x41, 0x42, 0xff, 0x80}));
    EXPECT_EQ(prompt("memsave 0x18000 0xffffffffffffffff out2").substr(0, 2), "! ");
}

TEST(Commands, MapAndDevices) {
    Bench bench(counting_program());
    Prompt prompt(bench);
    EXPECT_EQ(prompt("info mtree"),
              "0000000000001000-0000000000001007 device power\n"
              "0000000000002000-0000000000002007 device timer\n"
              "0000000000003000-0000000000003007 device raise\n"
              "0000000000010000-000000000001ffff ram    ram\n");
    EXPECT_EQ(prompt("info devices"),
              "power                        fake-power\ntimer                        fake-timer\n");
    EXPECT_EQ(prompt("info devices timer"),
              "timer                        fake-timer\ntimer.deadlines 1 bytes\ntimer.fired 2 u64\n");
    EXPECT_EQ(prompt("info devices tmer"), "! there is no device 'tmer'; did you mean 'timer'?\n");
    EXPECT_EQ(prompt("info block"), "no disks\n");
    EXPECT_EQ(prompt("info network"), "no network cards\n");
    EXPECT_EQ(prompt("set_link net0 off"), "! there is no network card 'net0'; info network lists them\n");
    EXPECT_EQ(prompt("info plugged"), "nothing was plugged in\n");
}

TEST(Commands, DisksAreListed) {
    struct Disk final : block::Disk {
        explicit Disk(std::string file) : file_(std::move(file)) {}
        std::string_view file_name() const override { return file_; }
        std::string_view format() const override { return file_.empty() ? "" : "raw"; }
        u64 size() const override { return 1 << 20; }
        bool read_only() const override { return true; }
        void submit(block::Request request) override { request.done(block::Status::unsupported); }

    private:
        std::string file_;
    };
    MachineConfig config;
    config.board.memory = 64 << 10;
    config.board.kernel = Blob{"k", assemble(counting_program())};
    for (const char* id : {"", "root"}) {
        DeviceSpec spec;
        spec.name = "virtio-blk-pci";
        if (*id != 0) spec.properties["id"] = id;
        spec.disk = std::make_unique<Disk>(*id != 0 ? "images/root.img" : "");
        config.board.devices.push_back(std::move(spec));
    }
    HeapMemory memory;
    StepClock clock;
    FixedEntropy entropy;
    NullLogSink log;
    auto machine = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log}, fake_kind);
    ASSERT_TRUE(machine.ok());
    FakeCommandHost host;
    CommandContext context{**machine, host};
    EXPECT_EQ(run_line(context, "info block").text,
              "virtio-blk-pci.0: virtio-blk-pci, 1048576 bytes, read-only\n"
              "root: virtio-blk-pci, 1048576 bytes, read-only, images/root.img\n");
    EXPECT_EQ(run_line(context, "info plugged").text,
              "virtio-blk-pci.0: virtio-blk-pci\nroot: virtio-blk-pci id=root\n");
    nlohmann::json result;
    ASSERT_TRUE(run_qmp(context, "query-block", nullptr, result).ok);
    EXPECT_EQ(result[1]["device"], "root");
    EXPECT_EQ(result[1]["inserted"]["image"]["virtual-size"], 1 << 20);
    EXPECT_EQ(result[1]["inserted"]["image"]["filename"], "images/root.img");
    EXPECT_EQ(result[1]["inserted"]["image"]["format"], "raw");
    EXPECT_EQ(result[1]["inserted"]["file"], "images/root.img");
    EXPECT_EQ(result[1]["inserted"]["drv"], "raw");
    EXPECT_EQ(result[0]["inserted"]["file"], "") << "a disk that comes from no file";
}

TEST(Commands, MistakesAreNamed) {
    Bench bench(counting_program());
    Prompt prompt(bench);
    EXPECT_EQ(prompt(""), "");
    EXPECT_EQ(prompt("stap"), "! there is no command 'stap'; did you mean 'stop'? (help lists them)\n");
    EXPECT_EQ(prompt("info stats"),
              "! there is no command 'info stats'; did you mean 'info status'? (help lists them)\n");
    EXPECT_EQ(prompt("stop now"), "! 'now' is too much; usage: stop\n");
    EXPECT_EQ(prompt("stop/3"), "! '3' is too much; usage: stop\n");
    EXPECT_EQ(prompt("save"), "! file is missing; usage: save FILE\n");
    EXPECT_EQ(prompt("save \"a"), "! a quote is not closed\n");
    EXPECT_EQ(prompt("cpu x"), "! 'x' is not a number: write 4096, 0x1000 or $pc\n");
    EXPECT_EQ(prompt("x $nothing"), "! CPU 0 has no register 'nothing'\n");
    EXPECT_EQ(prompt("x 1 + "), "! '1 +' is not an address: write 0x1000, $pc or $sp + 16\n");
    EXPECT_EQ(prompt("x 1 2"), "! '1 2' is not an address: write 0x1000, $pc or $sp + 16\n");
    EXPECT_EQ(prompt("x 0x1ffffffffffffffff"), "! '0x1ffffffffffffffff' is not a number: write 4096, 0x1000 or $pc\n");
    EXPECT_NE(prompt("help"), "");
    EXPECT_EQ(prompt("help x"),
              "x[/FORMAT] ADDRESS\n    shows memory at a virtual address: x/8xg $sp, x/10i $pc\n"
              "    format       count, one of x d u o c i, and size b h w g\n    address      where to begin\n");
    EXPECT_EQ(prompt("help nothing"), "! there is no command 'nothing'; help lists them\n");
    EXPECT_NE(prompt("help info").find("info registers [CPU]"), std::string::npos);
    EXPECT_NE(prompt("info").find("info mtree"), std::string::npos);
}

TEST(Commands, LinesOfNoiseDoNoHarm) {
    std::mt19937_64 random(31);
    const std::vector<std::string> seeds{
        "x/10xg $pc + 8", "xp/4i 0x10000",      "info registers 0",     "cpu 0",
        "save \"a b\"",   "help info",          "memsave 0x10000 16 f", "disassemble 65536 3",
        "step 0",         "info devices timer", "system_reset"};
    Bench bench(counting_program());
    Prompt prompt(bench);
    for (unsigned round = 0; round < 5'000; round++) {
        std::string line = seeds[random() % seeds.size()];
        for (u64 changes = random() % 5; changes > 0 && !line.empty(); changes--) {
            const usize at = random() % line.size();
            if (random() % 2 == 0)
                line[at] = static_cast<char>(random());
            else
                line.insert(at, 1, " /$+-\"\\0x9"[random() % 10]);
        }
        prompt(line);
        complete_line(line);
    }
    EXPECT_LT(prompt.context.cpu, 1U);
}

struct Terminal {
    Terminal(Bench& bench, MonitorSession::Echo echo)
        : session(*bench.machine, host, echo, [this](std::string_view bytes) { out += bytes; }) {}
    std::string type(std::string_view keys) {
        out.clear();
        session.receive(as_bytes(keys));
        return out;
    }
    FakeCommandHost host;
    std::string out;
    MonitorSession session;
};

TEST(Monitor, LinesWithoutEcho) {
    Bench bench(counting_program());
    Terminal terminal(bench, MonitorSession::Echo::off);
    terminal.session.start();
    EXPECT_EQ(terminal.out, "vivarium 1.2.3 monitor - help lists the commands\n(viv) ");
    EXPECT_EQ(terminal.type("info st"), "");
    EXPECT_EQ(terminal.type("atus\ninfo name\r\n"), "VM status: running\n(viv) test machine\n(viv) ");
    EXPECT_EQ(terminal.type("\n"), "(viv) ");
    EXPECT_EQ(terminal.type("nonsense\n").substr(0, 19), "there is no command");
}

TEST(Monitor, EditsWithEcho) {
    Bench bench(counting_program());
    Terminal terminal(bench, MonitorSession::Echo::on);
    EXPECT_EQ(terminal.type("info naze\x7f\x08me\r"), "info naze\b \b\b \bme\r\ntest machine\r\n(viv) ");
    EXPECT_EQ(terminal.type("abc\x15"), "abc\b \b\b \b\b \b");
    EXPECT_EQ(terminal.type("\x7f"), "");
    EXPECT_EQ(terminal.type("info x\x17"), "info x\b \b\b \b\b \b\b \b\b \b\b \binfo ");
    EXPECT_EQ(terminal.type("\x03"), "\r\n(viv) ");
    EXPECT_EQ(terminal.type("info status\r\n"), "info status\r\nVM status: running\r\n(viv) ");
    EXPECT_EQ(terminal.type("\x1b[A"), "info status");
    EXPECT_EQ(terminal.type("\x1bOA").substr(11 * 3), "info name");
    EXPECT_EQ(terminal.type("\x1b[1;5A"), "");
    EXPECT_EQ(terminal.type("\x1b[B").substr(9 * 3), "info status");
    EXPECT_EQ(terminal.type("\x1b[B"), std::string("\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b"));
    EXPECT_EQ(terminal.type("inf\t"), "info ");
    EXPECT_EQ(terminal.type("sta\t"), "status ");
    EXPECT_EQ(terminal
                  .type("\x15"
                        "system_\t")
                  .substr(12 * 3),
              "system_\r\nsystem_powerdown  system_reset  \r\n(viv) system_");
    terminal.out.clear();
    terminal.session.show_prompt();
    EXPECT_EQ(terminal.out, "(viv) system_");
}

TEST(Monitor, IsBounded) {
    Bench bench(counting_program());
    Terminal terminal(bench, MonitorSession::Echo::on);
    EXPECT_EQ(terminal.type(std::string(10'000, 'x')).size(), MonitorSession::maximum_line);
    terminal.type("\r");
    std::mt19937_64 random(41);
    for (unsigned i = 0; i < 50'000; i++) {
        const u8 byte = static_cast<u8>(random() % 3 == 0 ? "\x1b[AB\t\r\x7f\x17 i"[random() % 10] : random());
        terminal.session.receive({&byte, 1});
        terminal.out.clear();
    }
    terminal.session.receive(as_bytes("\x03info name\r"));
    EXPECT_NE(terminal.out.find("test machine"), std::string::npos);
}

}  // namespace
}  // namespace viv::test
