// The command line: what each option becomes, and the exact line that each mistake gives.
#include "native/options.h"

#include <gtest/gtest.h>

#include "native/machine_options.h"
#include "native/values.h"

namespace viv::native {
namespace {

using Words = std::vector<std::string>;

template <class T>
T parsed(const Words& words) {
    auto command = parse_command_line(words);
    EXPECT_TRUE(command.ok()) << command.error().message;
    if (!command.ok() || !std::holds_alternative<T>(*command)) {
        ADD_FAILURE() << "another command came out";
        return {};
    }
    return std::get<T>(*command);
}

TEST(Options, RunTakesEverythingThatMakesAMachine) {
    const auto options = parsed<RunOptions>({"run", "--machine", "riscv-virt", "--cpu", "max", "--kernel", "Image",
                                             "--initrd=i.gz", "--append", "console=ttyS0 -x", "--bios", "fw.bin",
                                             "--memory", "1G", "--cpus", "2", "--harts", "parallel"});
    const auto& machine = options.machine;
    EXPECT_EQ(machine.machine, "riscv-virt");
    EXPECT_EQ(machine.cpu, "max");
    EXPECT_EQ(machine.kernel, "Image");
    EXPECT_EQ(machine.initrd, "i.gz");
    EXPECT_EQ(machine.append, "console=ttyS0 -x");
    EXPECT_EQ(machine.bios, "fw.bin");
    EXPECT_EQ(machine.memory, u64{1} << 30);
    EXPECT_EQ(machine.cpus, 2u);
    EXPECT_EQ(machine.parallel_harts, OnOff::on);
    EXPECT_EQ(machine.deterministic, OnOff::off);
    EXPECT_TRUE(machine.guest.empty());
}

TEST(Options, GuestMayStandAnywhere) {
    EXPECT_EQ(parsed<RunOptions>({"run", "linux-riscv64", "--cpus", "4"}).machine.guest, "linux-riscv64");
    EXPECT_EQ(parsed<RunOptions>({"run", "--cpus", "4", "linux-riscv64"}).machine.guest, "linux-riscv64");
    EXPECT_EQ(parsed<RunOptions>({"run", "--disk", "a.img", "linux-riscv64"}).machine.guest, "linux-riscv64");
    EXPECT_EQ(parsed<RunOptions>({"run", "list"}).machine.guest, "list");
}

TEST(Options, AppendMayBeEmpty) { EXPECT_EQ(parsed<RunOptions>({"run", "g", "--append", ""}).machine.append, ""); }

TEST(Options, DisksAreTakenApart) {
    const auto options = parsed<RunOptions>({"run", "g", "--disk", "a.img", "--disk",
                                             "file=b,,c.img,format=raw,snapshot=on,readonly=off,serial=s1", "--disk",
                                             "d.img,readonly=on"});
    const auto& disks = options.machine.disks;
    ASSERT_EQ(disks.size(), 3u);
    EXPECT_EQ(disks[0].file, "a.img");
    EXPECT_EQ(disks[0].format, "");
    EXPECT_EQ(disks[1].file, "b,c.img");
    EXPECT_EQ(disks[1].format, "raw");
    EXPECT_EQ(disks[1].snapshot, OnOff::on);
    EXPECT_EQ(disks[1].read_only, OnOff::off);
    EXPECT_EQ(disks[1].device_properties.at("serial"), "s1");
    EXPECT_EQ(disks[2].read_only, OnOff::on);
}

TEST(Options, SharesAreTakenApartFromTheRight) {
    const auto options =
        parsed<RunOptions>({"run", "g", "--share", "/a:b:tag", "--share", "x:y:ro", "--share", "p:q:rw"});
    const auto& shares = options.machine.shares;
    ASSERT_EQ(shares.size(), 3u);
    EXPECT_EQ(shares[0].folder, "/a:b");
    EXPECT_EQ(shares[0].tag, "tag");
    EXPECT_EQ(shares[0].read_only, OnOff::off);
    EXPECT_EQ(shares[1].tag, "y");
    EXPECT_EQ(shares[1].read_only, OnOff::on);
    EXPECT_EQ(shares[2].read_only, OnOff::off);
}

TEST(Options, DevicesKeepTheirPropertiesAndLoseTheHosts) {
    const auto options = parsed<RunOptions>({"run", "g", "--device", "virtio-blk-pci,file=d.img,snapshot=on,serial=x",
                                             "--device", "virtio-net-pci,mac=52:54:00:00:00:01,net=loopback",
                                             "--device", "virtio-9p-pci,folder=/srv,mount_tag=t", "--device",
                                             "e1000e,net=user,,net=10.9.0.0/24,addr=5"});
    const auto& devices = options.machine.devices;
    ASSERT_EQ(devices.size(), 4u);
    EXPECT_EQ(devices[3].name, "e1000e");
    ASSERT_TRUE(devices[3].net);
    EXPECT_TRUE(std::holds_alternative<UserNet>(devices[3].net->back_end));
    EXPECT_EQ(devices[3].properties, (std::map<std::string, std::string>{{"addr", "5"}}));
    EXPECT_EQ(devices[0].name, "virtio-blk-pci");
    ASSERT_TRUE(devices[0].disk);
    EXPECT_EQ(devices[0].disk->snapshot, OnOff::on);
    EXPECT_EQ(devices[0].properties, (std::map<std::string, std::string>{{"serial", "x"}}));
    ASSERT_TRUE(devices[1].net);
    EXPECT_TRUE(std::holds_alternative<LoopbackNet>(devices[1].net->back_end));
    EXPECT_EQ(devices[1].properties.at("mac"), "52:54:00:00:00:01");
    ASSERT_TRUE(devices[2].share);
    EXPECT_EQ(devices[2].share->folder, "/srv");
    EXPECT_EQ(devices[2].properties.at("mount_tag"), "t");
}

TEST(Options, EndpointsOfEveryKind) {
    const auto options = parsed<RunOptions>({"run",       "g",
                                             "--serial",  "stdio",
                                             "--serial",  "file:out.txt",
                                             "--serial",  "tcp:localhost:7000,server",
                                             "--serial",  "unix:/tmp/s=1",
                                             "--serial",  "null",
                                             "--qmp",     "unix:q.sock",
                                             "--gdb",     "[::1]:1234",
                                             "--monitor", "tcp::4444",
                                             "--vnc",     ":5900"});
    ASSERT_EQ(options.serials.size(), 5u);
    EXPECT_EQ(options.serials[0].kind, Endpoint::Kind::stdio);
    EXPECT_EQ(options.serials[1].path, "out.txt");
    EXPECT_EQ(options.serials[2].kind, Endpoint::Kind::tcp);
    EXPECT_EQ(options.serials[2].host, "localhost");
    EXPECT_EQ(options.serials[2].port, 7000);
    EXPECT_EQ(options.serials[2].role, Endpoint::Role::listen);
    EXPECT_EQ(options.serials[3].path, "/tmp/s=1");
    EXPECT_EQ(options.serials[3].role, Endpoint::Role::connect);
    EXPECT_EQ(options.serials[4].kind, Endpoint::Kind::null);
    EXPECT_EQ(options.qmp->role, Endpoint::Role::listen);
    EXPECT_EQ(options.gdb->host, "::1");
    EXPECT_EQ(options.gdb->port, 1234);
    EXPECT_EQ(options.monitor->host, "");
    EXPECT_EQ(options.monitor->port, 4444);
    EXPECT_EQ(options.vnc->role, Endpoint::Role::listen);
    EXPECT_EQ(options.vnc->port, 5900);
    EXPECT_EQ(options.machine.display, OnOff::on);
    EXPECT_EQ(parsed<RunOptions>({"run", "g"}).machine.display, OnOff::off);
}

TEST(Options, QemusWordsForAListenerThatDoesNotWait) {
    EXPECT_EQ(parsed<RunOptions>({"run", "g", "--qmp", "unix:q,server=on,wait=off"}).qmp->path, "q");
    EXPECT_EQ(parsed<RunOptions>({"run", "g", "--serial", "unix:q,server,nowait"}).serials[0].role,
              Endpoint::Role::listen);
}

TEST(Options, LockstepTakesMachineTiersAndCommand) {
    const auto options = parsed<LockstepOptions>(
        {"lockstep", "--tiers", "quick,off", "--every",   "250K",    "--memory-every", "7",   "--max-instructions",
         "2G",       "--seed",  "5",         "--copy-in", "a:/b",    "--env",          "X=1", "--cwd",
         "/tmp",     "--input", "-",         "g",         "--share", "d:t:ro",         "--",  "sh",
         "-c",       "true"});
    EXPECT_EQ(options.machine.guest, "g");
    EXPECT_EQ(options.machine.deterministic, OnOff::on);
    EXPECT_EQ(options.machine.seed, 5u);
    EXPECT_EQ(options.tiers[0], Jit::quick);
    EXPECT_EQ(options.tiers[1], Jit::off);
    EXPECT_EQ(options.every, 250'000u);
    EXPECT_EQ(options.memory_every, 7u);
    EXPECT_EQ(options.maximum, 2'000'000'000u);
    EXPECT_EQ(options.command, (Words{"sh", "-c", "true"}));
    EXPECT_EQ(options.copy_in.size(), 1u);
    EXPECT_EQ(options.environment, Words{"X=1"});
    EXPECT_EQ(options.folder, "/tmp");
    EXPECT_EQ(options.input, "-");
    const auto plain = parsed<LockstepOptions>({"lockstep", "--kernel", "Image"});
    EXPECT_EQ(plain.tiers[0], Jit::off);
    EXPECT_EQ(jit_names[static_cast<usize>(plain.tiers[1])], jit_names.back());
    EXPECT_TRUE(plain.command.empty());
    EXPECT_EQ(plain.maximum, ~u64{0});
}

TEST(Options, TiersByTheirNames) {
    for (usize i = 0; i < jit_names.size(); i++)
        EXPECT_EQ(parsed<RunOptions>({"run", "g", "--jit", std::string(jit_names[i])}).machine.jit,
                  static_cast<Jit>(i));
}

TEST(Options, CourseOfARun) {
    const auto options = parsed<RunOptions>({"run", "g", "--deterministic", "--seed", "7", "--paused", "--no-reboot",
                                             "--max-instructions", "1000000", "--print-hash", "--save-at-end",
                                             "f.saved", "--timeout", "1.5", "--verbose"});
    EXPECT_EQ(options.machine.deterministic, OnOff::on);
    EXPECT_EQ(options.machine.seed, 7u);
    EXPECT_EQ(options.paused, OnOff::on);
    EXPECT_EQ(options.no_reboot, OnOff::on);
    EXPECT_EQ(parsed<RunOptions>({"run", "g"}).no_reboot, OnOff::off);
    EXPECT_EQ(options.maximum_instructions, 1'000'000u);
    EXPECT_EQ(options.print_hash, OnOff::on);
    EXPECT_EQ(options.save_at_end, "f.saved");
    EXPECT_EQ(options.timeout_ns, 1'500'000'000u);
    EXPECT_EQ(options.verbose, OnOff::on);
}

TEST(Options, ExecKeepsTheCommandAsItIs) {
    const auto options = parsed<ExecOptions>(
        {"exec",  "--cpus", "4",     "--timeout",     "30", "--env", "A=b=c", "--copy-in", "x:/y", "--copy-out", "/z:w",
         "--cwd", "/tmp",   "--tty", "linux-riscv64", "--", "sh",    "-c",    "exit 7",    "--",   "--timeout"});
    EXPECT_EQ(options.machine.guest, "linux-riscv64");
    EXPECT_EQ(options.machine.cpus, 4u);
    EXPECT_EQ(options.command, (Words{"sh", "-c", "exit 7", "--", "--timeout"}));
    EXPECT_EQ(options.environment, (Words{"A=b=c"}));
    ASSERT_EQ(options.copy_in.size(), 1u);
    EXPECT_EQ(options.copy_in[0].from, "x");
    EXPECT_EQ(options.copy_in[0].to, "/y");
    EXPECT_EQ(options.copy_out[0].from, "/z");
    EXPECT_EQ(options.copy_out[0].to, "w");
    EXPECT_EQ(options.folder, "/tmp");
    EXPECT_EQ(options.terminal, OnOff::on);
    EXPECT_EQ(options.timeout_ns, 30'000'000'000u);
}

TEST(Options, SaveListInfoVersion) {
    const auto save = parsed<SaveOptions>({"save", "--from", "unix:vm.sock", "vm.saved"});
    EXPECT_EQ(save.from.role, Endpoint::Role::connect);
    EXPECT_EQ(save.from.path, "vm.sock");
    EXPECT_EQ(save.file, "vm.saved");
    const auto lab = parsed<LabOptions>({"lab", "--test", "--logs", "out", "--timeout", "60", "router.toml"});
    EXPECT_EQ(lab.file, "router.toml");
    EXPECT_EQ(lab.logs, "out");
    EXPECT_EQ(lab.test, OnOff::on);
    EXPECT_EQ(lab.check, OnOff::off);
    EXPECT_EQ(lab.input, OnOff::on);
    EXPECT_EQ(lab.timeout_ns, 60'000'000'000u);
    EXPECT_EQ(parsed<LabOptions>({"lab", "--no-input", "router.toml"}).input, OnOff::off);
    const auto publish = parsed<PublishOptions>({"publish", "--type", "uname -a", "vm.saved", "public"});
    EXPECT_EQ(publish.from, "vm.saved");
    EXPECT_EQ(publish.folder, "public");
    EXPECT_EQ(publish.name, "machine");
    EXPECT_EQ(publish.rehearse, OnOff::on);
    EXPECT_EQ(publish.typed, "uname -a");
    EXPECT_EQ(parsed<PublishOptions>({"publish", "--no-rehearsal", "vm.saved", "public"}).rehearse, OnOff::off);
    EXPECT_EQ(parsed<ListOptions>({"list", "guests"}).what, ListOptions::What::guests);
    EXPECT_EQ(parsed<ListOptions>({"list", "devices"}).what, ListOptions::What::devices);
    EXPECT_EQ(parsed<InfoOptions>({"info", "host"}).what, InfoOptions::What::host);
    const auto info = parsed<InfoOptions>({"info", "jit", "--from", "unix:vm.sock", "--most", "7", "--json"});
    EXPECT_EQ(info.what, InfoOptions::What::jit);
    EXPECT_EQ(info.from.role, Endpoint::Role::connect);
    EXPECT_EQ(info.from.path, "vm.sock");
    EXPECT_EQ(info.most, 7u);
    EXPECT_EQ(info.json, OnOff::on);
    const auto plain = parsed<InfoOptions>({"info", "--from=tcp::4444", "jit"});
    EXPECT_EQ(plain.from.port, 4444);
    EXPECT_EQ(plain.most, HottestLimit::usual);
    EXPECT_EQ(plain.json, OnOff::off);
    parsed<VersionOptions>({"version"});
    parsed<VersionOptions>({"--version"});
}

TEST(Options, HelpCoversVerbsTopicsAndOptions) {
    EXPECT_NE(parsed<HelpOptions>({"help"}).text.find("viv run GUEST"), std::string::npos);
    EXPECT_NE(parsed<HelpOptions>({"--help"}).text.find("viv exec"), std::string::npos);
    EXPECT_NE(parsed<HelpOptions>({"help", "keys"}).text.find("Ctrl-A x"), std::string::npos);
    EXPECT_NE(parsed<HelpOptions>({"help", "monitor"}).text.find("system_powerdown"), std::string::npos);
    EXPECT_NE(parsed<HelpOptions>({"help", "save"}).text.find("--from"), std::string::npos);
    EXPECT_NE(parsed<HelpOptions>({"help", "jit"}).text.find("--perf-map"), std::string::npos);
    EXPECT_NE(parsed<HelpOptions>({"help", "info"}).text.find("--json"), std::string::npos);
    for (const char* option : {"--machine", "--disk", "--serial", "--gdb", "--restore", "--deterministic"}) {
        EXPECT_NE(parsed<HelpOptions>({"help", "run"}).text.find(option), std::string::npos) << option;
        EXPECT_NE(parsed<HelpOptions>({"run", "--help"}).text.find(option), std::string::npos) << option;
    }
    EXPECT_NE(parsed<HelpOptions>({"exec", "-h"}).text.find("--copy-out"), std::string::npos);
}

TEST(Options, EveryMistakeHasItsLine) {
    const struct {
        Words words;
        const char* message;
    } cases[] = {
        {{}, "a command is missing, as in viv run linux-riscv64; viv help lists them"},
        {{"rum"},
         "rum: is no command; there are run, exec, lockstep, save, snapshot, publish, lab, list, info, version, help; "
         "did "
         "you mean run?"},
        {{"--kernel", "x"}, "--kernel: an option before the command; write viv run --kernel ..."},
        {{"run"}, "run: nothing to boot; name a guest (viv list guests), or give --kernel or --bios"},
        {{"run", "--memroy", "1G", "g"}, "run: unknown option --memroy; did you mean --memory?"},
        {{"run", "--memroy=1G", "g"}, "run: unknown option --memroy; did you mean --memory?"},
        {{"run", "-kernel", "x"}, "run: -kernel: options take two dashes: --kernel"},
        {{"run", "-m", "1G", "g"}, "run: unknown option -m"},
        {{"run", "a", "b"}, "run: one word too many: b"},
        {{"run", "g", "--memory"}, "run: --memory: a value is missing: --memory SIZE"},
        {{"run", "g", "--kernel", "a", "--kernel", "b"}, "run: --kernel: is given twice"},
        {{"run", "g", "--memory", "512"}, "--memory 512: a size needs a unit; write 512M for MiB or 512G for GiB"},
        {{"run", "g", "--memory", "1.5G"},
         "--memory 1.5G: is no size; write a whole number with K, M, G or T, as in 1G"},
        {{"run", "g", "--memory", "-1G"}, "--memory -1G: is no size; write a whole number with K, M, G or T, as in 1G"},
        {{"run", "g", "--memory", "1X"}, "--memory 1X: is no size; write a whole number with K, M, G or T, as in 1G"},
        {{"run", "g", "--memory", "0G"}, "--memory 0G: a multiple of 4K above 0 is needed"},
        {{"run", "g", "--memory", "5K"}, "--memory 5K: a multiple of 4K above 0 is needed"},
        {{"run", "g", "--memory", "99999999T"}, "--memory 99999999T: is too large for any machine"},
        {{"run", "g", "--memory", "99999999999999999999999T"},
         "--memory 99999999999999999999999T: is no size; write a whole number with K, M, G or T, as in 1G"},
        {{"run", "g", "--cpus", "0"}, "--cpus 0: a whole number from 1 to 4096 is needed"},
        {{"run", "g", "--cpus", "two"}, "--cpus two: a whole number from 1 to 4096 is needed"},
        {{"run", "g", "--disk", ""}, "--disk : a file is missing, as in --disk file=disk.img,readonly=on"},
        {{"run", "g", "--disk", "readonly=on"},
         "--disk readonly=on: a file is missing, as in --disk file=disk.img,readonly=on"},
        {{"run", "g", "--disk", "a,raedonly=on"},
         "--disk a,raedonly=on: raedonly is not known; file, format, snapshot, readonly, backing, overlay, data-file, "
         "key-file and serial are; did you mean readonly?"},
        {{"run", "g", "--disk", "a,key-file="}, "--disk a: key-file= needs a file, or fd:N"},
        {{"run", "g", "--disk", "a,data-file="}, "--disk a: data-file= needs a file"},
        {{"run", "g", "--disk", "a,snapshot=yes"}, "--disk snapshot=yes: on or off is needed"},
        {{"run", "g", "--disk", "a,format=qed"},
         "--disk a: format=qed: such images cannot be opened by this version; convert it with `qemu-img convert -O "
         "qcow2`"},
        {{"run", "g", "--disk", "a,overlay=http://h/x"}, "--disk a: overlay=http://h/x: a file of this host is needed"},
        {{"run", "g", "--disk", "a,backing=maybe"}, "--disk backing=maybe: on, off or web is needed"},
        {{"run", "g", "--disk", "a,serial=1,serial=2"}, "--disk a,serial=1,serial=2: serial is given twice"},
        {{"run", "g", "--disk", "a,,b,=x"}, "--disk a,,b,=x: key=value is needed between commas"},
        {{"run", "g", "--disk", "a,file=b"}, "--disk a,file=b: names two files, a and b"},
        {{"run", "g", "--net", "lopback"},
         "--net lopback: is no network; use user (NAT, the default), none, null (a cable to nowhere), loopback "
         "(every frame comes back), hub, stream, dgram, socket, tap, vde or websocket; did you mean loopback?"},
        {{"run", "g", "--net", "none", "--net", "user"}, "--net none: is given together with another --net"},
        {{"run", "g", "--deterministic", "--net", "user"},
         "--net user: brings what no run repeats; --deterministic takes none, null, loopback and hub only"},
        {{"lockstep", "g", "--device", "virtio-net-pci,net=user"},
         "--device virtio-net-pci,net user: brings what no run repeats; lockstep takes none, null, loopback and hub "
         "only"},
        {{"run", "g", "--device", "virtio-net-pci,net=user,,model=x"},
         "--device virtio-net-pci,net user,model=x: model=x is for --net; here the device is named already"},
        {{"run", "g", "--share", "dir"},
         "--share dir: a folder and a tag are needed, as in --share work:host or work:host:ro"},
        {{"run", "g", "--share", "dir:a/b"},
         "--share dir:a/b: the tag a/b must be a word of at most 31 characters without / , or spaces"},
        {{"run", "g", "--share", "a:t", "--share", "b:t"}, "--share b:t: the tag t is given twice"},
        {{"run", "g", "--device", ",a=b"},
         "--device ,a=b: the name of a device is missing; `viv list devices` shows them"},
        {{"run", "g", "--serial", "stdoi"},
         "--serial stdoi: stdio, null, file:F, tcp:HOST:PORT[,server] or unix:PATH[,server] is needed"},
        {{"run", "g", "--serial", "tcp:host"},
         "--serial tcp:host: stdio, null, file:F, tcp:HOST:PORT[,server] or unix:PATH[,server] is needed"},
        {{"run", "g", "--serial", "tcp:h:70000"},
         "--serial tcp:h:70000: stdio, null, file:F, tcp:HOST:PORT[,server] or unix:PATH[,server] is needed"},
        {{"run", "g", "--serial", "tcp:h:7,wait=on"},
         "--serial tcp:h:7,wait=on: wait=on is not understood; only server may follow the address"},
        {{"run", "g", "--qmp", "file:x"}, "--qmp file:x: stdio, tcp:HOST:PORT or unix:PATH is needed"},
        {{"run", "g", "--gdb", "1234"}, "--gdb 1234: stdio, [tcp:]HOST:PORT or unix:PATH is needed"},
        {{"run", "g", "--vnc", "stdio"}, "--vnc stdio: [tcp:]HOST:PORT or unix:PATH is needed"},
        {{"run", "g", "--vnc", "5900"}, "--vnc 5900: [tcp:]HOST:PORT or unix:PATH is needed"},
        {{"run", "g", "--serial", "stdio", "--monitor", "stdio"},
         "--serial stdio and --monitor stdio: standard input can serve one only; on a terminal Ctrl-A c reaches a "
         "monitor anyway"},
        {{"run", "g", "--qmp", "stdio", "--gdb", "stdio"},
         "--qmp stdio and --gdb stdio: standard input can serve one only"},
        {{"run", "g", "--harts", "all"}, "--harts all: in-turn or parallel is needed"},
        {{"run", "g", "--deterministic", "--harts", "parallel"},
         "--harts parallel: cannot be deterministic; use --harts in-turn with --deterministic"},
        {{"run", "g", "--seed", "1"}, "run: --seed 1: has a meaning only with --deterministic"},
        {{"run", "g", "--timeout", "0"}, "--timeout 0: a number of seconds above 0 is needed, as in 30 or 0.5"},
        {{"run", "g", "--timeout", "1h"}, "--timeout 1h: a number of seconds above 0 is needed, as in 30 or 0.5"},
        {{"run", "g", "--max-instructions", "0"}, "--max-instructions 0: a whole number from 1 on is needed"},
        {{"run", "--restore", "f", "--memory", "1G"},
         "--memory: cannot be given with --restore: the saved machine has its own"},
        {{"run", "g", "--restore", "f"}, "GUEST: cannot be given with --restore: the saved machine has its own"},
        {{"run", "--restore", ""}, "--restore: the name of a file is missing"},
        {{"run", "g", "--snapshots", ""}, "--snapshots: the name of a folder is missing"},
        {{"run", "g", "--loadvm", "a"}, "--loadvm a: needs --snapshots, the folder of points"},
        {{"run", "--loadvm", "a", "--snapshots", "d", "--restore", "f"},
         "--loadvm: cannot be given with --restore: each is a whole machine"},
        {{"run", "--loadvm", "a", "--snapshots", "d", "--cpus", "2"},
         "--cpus: cannot be given with --loadvm alone: the saved machine has its own"},
        {{"run", "--snapshots", "d"},
         "run: nothing to boot; name a guest (viv list guests), or give --kernel or --bios"},
        {{"snapshot"}, "snapshot: what? create, restore, delete, list"},
        {{"snapshot", "lst"}, "snapshot lst: there are create, restore, delete, list; did you mean list?"},
        {{"snapshot", "list"},
         "snapshot list: this is missing: --from, the running viv's --qmp, or --in, the folder of the points"},
        {{"snapshot", "list", "--in", "d", "a"}, "snapshot list: one word too many: a"},
        {{"snapshot", "delete", "--in", "d"},
         "snapshot delete: the name of a point is missing, as in viv snapshot delete --from unix:vm.sock "
         "before-upgrade"},
        {{"snapshot", "delete", "--in", "d", "--from", "unix:s", "a"},
         "snapshot delete: one of the two is needed: --from, the running viv's --qmp, or --in, the folder of the "
         "points"},
        {{"snapshot", "create", "--in", "d", "a"},
         "snapshot create: --in: only a running machine can do that; give --from"},
        {{"snapshot", "restore", "--in", "d", "a"},
         "snapshot restore: --in: only a running machine can do that; give --from, or start it by viv run --loadvm"},
        {{"snapshot", "create", "a"}, "snapshot create: this is missing: --from, the running viv's --qmp"},
        {{"snapshot", "delete", "--from", "unix:s", "a", "--disk", "f"},
         "snapshot delete: --disk: has a meaning only with delete --in"},
        {{"snapshot", "delete", "--in", "d", "a", "--json"}, "snapshot delete: --json: has a meaning only with list"},
        {{"lockstep"}, "lockstep: nothing to boot; name a guest (viv list guests), or give --kernel or --bios"},
        {{"lockstep", "g", "--jit", "off"}, "--jit: two tiers are needed here, as in --tiers off,quick"},
        {{"lockstep", "g", "--tiers", "off"}, "--tiers off: two of them are needed, as in --tiers off,quick"},
        {{"lockstep", "g", "--max-instructions", "2X"},
         "--max-instructions 2X: a whole number from 1 on is needed, as in 250000 or 2G"},
        {{"lockstep", "g", "--every", "0"}, "--every 0: a whole number from 1 on is needed, as in 250000 or 2G"},
        {{"lockstep", "g", "--harts", "parallel"},
         "--harts parallel: cannot be deterministic; use --harts in-turn with --deterministic"},
        {{"lockstep", "g", "--share", "d:t"},
         "--share d:t: two machines cannot both write there; share it read-only (:ro)"},
        {{"lockstep", "g", "--"},
         "lockstep: the command is missing; it follows two dashes, as in viv lockstep GUEST -- uname -a"},
        {{"lockstep", "g", "--cwd", "/"},
         "lockstep: --copy-in, --env and --cwd need a command, which follows two dashes"},
        {{"lockstep", "--kernel", "k", "--", "ls"},
         "lockstep: a command needs a guest, as in viv lockstep linux-riscv64 -- uname -a"},
        {{"exec", "g"},
         "exec: the command is missing; it follows two dashes, as in viv exec linux-riscv64 -- uname -a"},
        {{"exec", "g", "--"},
         "exec: the command is missing; it follows two dashes, as in viv exec linux-riscv64 -- uname -a"},
        {{"exec", "g", "uname"}, "exec: one word too many: uname"},
        {{"exec", "--", "uname"}, "exec: the name of a guest is missing, as in viv exec linux-riscv64 -- uname -a"},
        {{"exec", "--copy-in", "x", "g", "--", "a"}, "--copy-in x: HOST:GUEST is needed"},
        {{"exec", "--copy-out", "a:b:c", "g", "--", "a"},
         "--copy-out a:b:c: more than one colon; a path with a colon cannot be given, but its folder can"},
        {{"exec", "--env", "X", "g", "--", "a"}, "--env X: NAME=VALUE is needed"},
        {{"exec", "--gdb", "stdio", "g", "--", "a"},
         "--gdb stdio: standard input belongs to the command; give tcp: or unix:"},
        {{"save"}, "save: the name of a file is missing, as in viv save --from unix:vm.sock vm.saved"},
        {{"save", "f"},
         "save: --from is missing: the running viv's --qmp, as in viv save --from unix:vm.sock vm.saved"},
        {{"list", "guest"}, "list guest: there are machines, guests and devices; did you mean guests?"},
        {{"list"}, "list: what? machines, guests or devices"},
        {{"save", "f", "--from", "stdio"}, "--from stdio: tcp:HOST:PORT or unix:PATH is needed"},
        {{"info"}, "info: what? host or jit"},
        {{"lab"}, "lab: a file is missing, as in viv lab router.toml"},
        {{"lab", "--test", "--check", "f"}, "lab: --check starts nothing; --test would have to"},
        {{"publish", "vm.saved"},
         "publish: a saved machine and a folder are needed, as in viv publish vm.saved public/vm"},
        {{"publish", "--name", "a/b", "vm.saved", "public"},
         "publish: --name a/b: letters, digits, '-', '_' and '.' make a name"},
        {{"publish", "--type", "ls", "--no-rehearsal", "vm.saved", "public"},
         "publish: --type is for the rehearsal, which --no-rehearsal leaves out"},
        {{"info", "hots"}, "info hots: there are host and jit; did you mean host?"},
        {{"info", "host", "--json"}, "info host: --json has a meaning only with info jit"},
        {{"info", "host", "--from", "unix:s"}, "info host: --from has a meaning only with info jit"},
        {{"info", "jit"},
         "info jit: --from is missing; start a machine with viv run GUEST --qmp unix:vm.sock, and ask it with viv info "
         "jit --from unix:vm.sock"},
        {{"info", "jit", "--from", "stdio"}, "--from stdio: tcp:HOST:PORT or unix:PATH is needed"},
        {{"info", "jit", "--from", "vm.sock"}, "--from vm.sock: tcp:HOST:PORT or unix:PATH is needed"},
        {{"info", "jit", "--from", "unix:s", "--most", "1001"}, "--most 1001: a whole number from 0 to 1000 is needed"},
        {{"info", "jit", "--form", "unix:s"}, "info: unknown option --form; did you mean --from?"},
        {{"help", "kyes"}, "help kyes: is no topic; viv help lists them; did you mean keys?"},
        {{"version", "--all"}, "version: unknown option --all"},
    };
    for (const auto& each : cases) {
        const auto command = parse_command_line(each.words);
        ASSERT_FALSE(command.ok()) << each.message;
        EXPECT_EQ(command.error().message, each.message);
        EXPECT_EQ(command.error().message.find('\n'), std::string::npos);
    }
}

TEST(Options, LongSocketPathsAreRefused) {
    const auto command = parse_command_line(Words{"run", "g", "--qmp", "unix:/" + std::string(200, 'x')});
    ASSERT_FALSE(command.ok());
    EXPECT_NE(command.error().message.find("at most 107 characters"), std::string::npos);
}

TEST(Options, AMachineGoesToArgumentsAndBack) {
    const Words words = {"guest",
                         "--machine",
                         "m",
                         "--cpu",
                         "c",
                         "--kernel",
                         "k",
                         "--initrd",
                         "i",
                         "--append",
                         "a b",
                         "--memory",
                         "1048576K",
                         "--cpus",
                         "3",
                         "--disk",
                         "file=x,,y,format=qcow2,snapshot=on,backing=off,data-file=d,,e,key-file=fd:7,serial=1",
                         "--disk",
                         "file=http://h/d.disk,backing=web,overlay=a,,b",
                         "--net",
                         "loopback",
                         "--net",
                         "user,hostfwd=tcp::2222-:22,tftp=a,,b",
                         "--share",
                         "d:t:ro",
                         "--device",
                         "n,a=b",
                         "--deterministic",
                         "--seed",
                         "9"};
    const auto live = std::vector(words.begin(), words.end() - 3);  // without --deterministic and --seed
    auto first = parse_machine_arguments(live);
    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_EQ(machine_arguments(*first), live);
    const Words repeatable = {"guest", "--net", "none", "--deterministic", "--seed", "9"};
    auto second = parse_machine_arguments(repeatable);
    ASSERT_TRUE(second.ok()) << second.error().message;
    EXPECT_EQ(machine_arguments(*second), repeatable);
    EXPECT_EQ(first->disks[0].file, "x,y");
    EXPECT_EQ(first->memory, u64{1} << 30);
}

TEST(Values, SizesOfEveryUnit) {
    EXPECT_EQ(*parse_size("-", "4K"), 4096u);
    EXPECT_EQ(*parse_size("-", "3m"), u64{3} << 20);
    EXPECT_EQ(*parse_size("-", "2GiB"), u64{2} << 30);
    EXPECT_EQ(*parse_size("-", "1TB"), u64{1} << 40);
    EXPECT_EQ(*parse_size("-", "16777215T"), u64{16777215} << 40);
    EXPECT_FALSE(parse_size("-", "16777216T").ok());
    EXPECT_FALSE(parse_size("-", "").ok());
    EXPECT_FALSE(parse_size("-", "G").ok());
    EXPECT_EQ(size_text(u64{3} << 29), "1536M");
    EXPECT_EQ(size_text(1000), "1000 bytes");
    EXPECT_EQ(size_text(0), "0 bytes");
}

TEST(Values, SecondsToTheNanosecond) {
    EXPECT_EQ(*parse_seconds("-", "2"), 2'000'000'000u);
    EXPECT_EQ(*parse_seconds("-", "0.000000001"), 1u);
    EXPECT_FALSE(parse_seconds("-", "0.0000000001").ok());
    EXPECT_FALSE(parse_seconds("-", ".").ok());
    EXPECT_FALSE(parse_seconds("-", "99999999999").ok());
}

}  // namespace
}  // namespace viv::native
