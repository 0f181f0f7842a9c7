// QMP sessions: negotiation, replies and their ids, error classes, events, framing, and input that means harm.
#include "engine/control/qmp.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/control/fake_points.h"
#include "tests/control/programs.h"

namespace viv::test {
namespace {

using nlohmann::json;

struct Client {
    explicit Client(Bench& a_bench)
        : bench(a_bench), session(*bench.machine, host, [this](std::string_view bytes) { out += bytes; }) {
        session.start();
        greeting = messages();
    }
    void raw(std::string_view bytes) { session.receive(as_bytes(bytes)); }
    std::vector<json> messages() {
        std::vector<json> all;
        for (usize at = 0; at < out.size();) {
            const usize end = out.find("\r\n", at);
            EXPECT_NE(end, out.npos);
            all.push_back(json::parse(out.substr(at, end - at), nullptr, false));
            EXPECT_FALSE(all.back().is_discarded());
            at = end + 2;
        }
        out.clear();
        return all;
    }
    // The replies and events that a request brings.
    std::vector<json> ask(std::string_view request) {
        raw(request);
        return messages();
    }
    json reply(std::string_view request) {
        const auto all = ask(request);
        EXPECT_EQ(all.size(), 1U) << request;
        return all.empty() ? json() : all.back();
    }
    json execute(std::string_view command) { return reply(fmt::format("{{\"execute\": \"{}\"}}", command)); }
    Client& negotiated() {
        EXPECT_EQ(execute("qmp_capabilities"), json::parse("{\"return\": {}}"));
        return *this;
    }

    Bench& bench;
    FakeCommandHost host;
    std::string out;
    QmpSession session;
    std::vector<json> greeting;
};

std::string error_of(const json& reply) {
    return reply.contains("error") ? reply["error"]["class"].get<std::string>() : "none";
}

TEST(Qmp, GreetsAndWantsCapabilitiesFirst) {
    Bench bench(counting_program());
    Client client(bench);
    ASSERT_EQ(client.greeting.size(), 1U);
    EXPECT_EQ(
        client.greeting[0],
        json::parse(R"({"QMP": {"version": {"qemu": {"major": 1, "minor": 2, "micro": 3}, "package": "vivarium 1.2.3"},
                                      "capabilities": []}})"));
    EXPECT_EQ(error_of(client.execute("query-status")), "CommandNotFound");
    bench.machine->pause();
    EXPECT_TRUE(client.messages().empty());  // no events yet
    EXPECT_EQ(error_of(client.reply(R"({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})")),
              "GenericError");
    EXPECT_EQ(error_of(client.reply(R"({"execute": "qmp_capabilities", "arguments": {"other": 1}})")), "GenericError");
    EXPECT_EQ(client.reply(R"({"execute": "qmp_capabilities", "arguments": {"enable": []}, "id": "a"})"),
              json::parse(R"({"return": {}, "id": "a"})"));
    EXPECT_EQ(error_of(client.execute("qmp_capabilities")), "CommandNotFound");
    EXPECT_EQ(client.execute("query-status"), json::parse(R"({"return": {"status": "paused", "running": false}})"));
}

TEST(Qmp, EchoesIdsOfAnyType) {
    Bench bench(counting_program());
    Client client(bench);
    client.negotiated();
    for (const char* id : {"1", "\"x\"", "null", "[1,{\"a\":2}]", "1.5"}) {
        const json reply = client.reply(fmt::format("{{\"execute\": \"query-name\", \"id\": {}}}", id));
        EXPECT_EQ(reply["id"], json::parse(id));
        EXPECT_EQ(reply["return"]["name"], "test machine");
        EXPECT_EQ(client.reply(fmt::format("{{\"execute\": \"nonsense\", \"id\": {}}}", id))["id"], json::parse(id));
    }
    EXPECT_FALSE(client.execute("query-name").contains("id"));
}

TEST(Qmp, StopContResetPowerdownQuitTellEvents) {
    Bench bench(counting_program());
    Client client(bench);
    client.negotiated();
    auto all = client.ask(R"({"execute": "stop"})");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["event"], "STOP");
    EXPECT_EQ(all[0]["timestamp"], json::parse(R"({"seconds": 1700000000, "microseconds": 123456})"));
    EXPECT_EQ(all[1], json::parse(R"({"return": {}})"));
    EXPECT_EQ(bench.machine->state(), RunState::paused);
    EXPECT_EQ(client.ask(R"({"execute": "stop"})").size(), 1U);  // already
    all = client.ask(R"({"execute": "cont"})");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["event"], "RESUME");
    all = client.ask(R"({"execute": "system_reset"})");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["event"], "RESET");
    EXPECT_EQ(all[0]["data"], json::parse(R"({"guest": false, "reason": "host-qmp-system-reset"})"));
    EXPECT_EQ(bench.board().resets, 2U);
    all = client.ask(R"({"execute": "system_powerdown"})");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["event"], "POWERDOWN");
    bench.board().has_button = false;
    EXPECT_EQ(error_of(client.execute("system_powerdown")), "GenericError");
    all = client.ask(R"({"execute": "quit"})");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["event"], "SHUTDOWN");
    EXPECT_EQ(all[0]["data"], json::parse(R"({"guest": false, "reason": "host-qmp-quit"})"));
    EXPECT_EQ(client.execute("query-status")["return"]["status"], "shutdown");
    EXPECT_EQ(error_of(client.execute("cont")), "GenericError");
}

TEST(Qmp, GuestsOwnEventsSayGuest) {
    Bench bench({set(1, 1),
                 set(5, power_address),
                 set(8, 0x1'8000),
                 {Op::swap_add, 7, 8, 0, 1},
                 {Op::branch, 7, 0, 0, 3 * 8},
                 set(6, 2),
                 {Op::store, 6, 5, 0, 0},
                 set(6, 1),
                 {Op::store, 6, 5, 0, 0}});
    Client client(bench);
    client.negotiated();
    bench.run_out();
    const auto all = client.messages();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["data"], json::parse(R"({"guest": true, "reason": "guest-reset"})"));
    EXPECT_EQ(all[1]["data"], json::parse(R"({"guest": true, "reason": "guest-shutdown"})"));
}

// The machine of two disks, of which one can be written, with two clients.
struct JobClients {
    JobClients()
        : bench(counting_program(),
                [this] {
                    Bench::Options options;
                    options.disks = {disk, new FakeDisk("locked.img", true)};
                    return options;
                }()),
          client(bench),
          other(bench) {
        client.host.store = &store;
        client.negotiated();
        other.negotiated();
    }
    // The states told to both since the last time, and other events of the first.
    std::string told() {
        const auto text = [](const std::vector<json>& messages) {
            std::string all;
            for (const json& message : messages)
                all += message["event"] == "JOB_STATUS_CHANGE" ? message["data"]["id"].get<std::string>() + ":" +
                                                                     message["data"]["status"].get<std::string>() + " "
                                                               : message["event"].get<std::string>() + " ";
            return all;
        };
        const std::string first = text(client.messages());
        EXPECT_EQ(text(other.messages()), first);
        return first;
    }
    // The reply behind the two events of its begin.
    void start(std::string_view request, std::string_view id) {
        const auto all = client.ask(request);
        ASSERT_EQ(all.size(), 3U) << request;
        EXPECT_EQ(all[0]["data"], (json{{"id", id}, {"status", "created"}}));
        EXPECT_EQ(all[1]["data"], (json{{"id", id}, {"status", "running"}}));
        EXPECT_EQ(all[2], json::parse(R"({"return": {}})"));
        other.messages();
    }
    void run() {  // until all of them have concluded
        const auto& list = bench.machine->jobs().all();
        while (std::any_of(list.begin(), list.end(), [](const Job& job) { return job.status != JobStatus::concluded; }))
            bench.machine->run({100, 0});
    }
    json jobs() { return client.execute("query-jobs")["return"]; }

    FakeDisk* disk = new FakeDisk("disk.img");
    FakePointStore store;
    Bench bench;
    Client client, other;
};

TEST(Qmp, JobsOfSnapshotsAsQemuHasThem) {
    JobClients all;
    constexpr const char* save =
        R"({"execute": "snapshot-save", "arguments": {"job-id": "s-1", "tag": "a", "vmstate": "fake-disk.0", "devices": ["fake-disk.0"]}})";
    all.start(save, "s-1");
    EXPECT_EQ(all.jobs(),
              json::parse(R"([{"id": "s-1", "type": "snapshot-save", "status": "running", "current-progress": 0,
                                           "total-progress": 1}])"));
    EXPECT_TRUE(all.disk->kept->empty());
    EXPECT_NE(all.client.reply(R"({"execute": "job-dismiss", "arguments": {"id": "s-1"}})")["error"]["desc"]
                  .get<std::string>()
                  .find("is running"),
              std::string::npos);
    all.run();
    EXPECT_EQ(all.told(), "s-1:waiting s-1:pending s-1:concluded ");
    EXPECT_EQ(all.disk->names(), "a ");
    EXPECT_EQ(all.jobs(),
              json::parse(R"([{"id": "s-1", "type": "snapshot-save", "status": "concluded", "current-progress": 1,
                                           "total-progress": 1}])"));
    EXPECT_EQ(error_of(all.client.reply(save)), "GenericError");  // the ID is in use
    auto dismissed = all.client.ask(R"({"execute": "job-dismiss", "arguments": {"id": "s-1"}})");
    ASSERT_EQ(dismissed.size(), 2U);
    EXPECT_EQ(dismissed[0]["data"], json::parse(R"({"id": "s-1", "status": "null"})"));
    all.other.messages();
    EXPECT_EQ(all.jobs(), json::array());
    EXPECT_EQ(error_of(all.client.reply(R"({"execute": "job-dismiss", "arguments": {"id": "s-1"}})")), "GenericError");

    // The same name again is an error, which is told by the job.
    all.start(save, "s-1");
    all.run();
    EXPECT_EQ(all.told(), "s-1:aborting s-1:concluded ");
    EXPECT_EQ(all.jobs()[0]["error"], "there is a point 'a' already");

    const u64 then = all.store.tree().find("a")->instructions;
    all.start(
        R"({"execute": "snapshot-load", "arguments": {"job-id": "l", "tag": "a", "vmstate": "fake-disk.0", "devices": ["fake-disk.0"]}})",
        "l");
    all.bench.machine->run({100, 0});
    EXPECT_EQ(all.told(), "STOP RESUME l:waiting l:pending l:concluded ");
    EXPECT_EQ(all.bench.machine->instructions(), then + 100);

    // Several at once: one after the other. What is not there is no error for this one, as with QEMU.
    all.client.raw(
        R"({"execute": "snapshot-delete", "arguments": {"job-id": "d1", "tag": "a", "devices": ["fake-disk.0"]}})");
    all.client.raw(
        R"({"execute": "snapshot-delete", "arguments": {"job-id": "d2", "tag": "a", "devices": ["fake-disk.0"]}})");
    all.client.messages();
    all.other.messages();
    all.bench.machine->pause();
    all.client.messages();
    all.other.messages();
    EXPECT_EQ(all.bench.machine->run({}).idle_ns, ~u64{0});
    EXPECT_EQ(all.told(), "d1:waiting d1:pending d1:concluded d2:waiting d2:pending d2:concluded ");
    EXPECT_TRUE(all.disk->kept->empty());
}

TEST(Qmp, JobsThatAreRefusedOrFail) {
    JobClients all;
    unsigned number = 0;
    const auto error = [&](std::string_view tag, std::string_view vmstate, std::string_view devices) {
        const std::string id = fmt::format("j{}", number++);
        all.start(
            fmt::format(R"({{"execute": "snapshot-save", "arguments": {{"job-id": "{}", "tag": "{}", "vmstate": "{}",
                                  "devices": {}}}}})",
                        id, tag, vmstate, devices),
            id);
        all.run();
        EXPECT_EQ(all.told(), fmt::format("{}:aborting {}:concluded ", id, id));
        return all.jobs().back()["error"].get<std::string>();
    };
    EXPECT_EQ(error("a", "nix", R"(["fake-disk.0"])"), "there is no disk 'nix' for vmstate; query-block lists them");
    EXPECT_EQ(error("a", "fake-disk.0", "[]"),
              "a snapshot holds all disks that can be written: 'fake-disk.0' is missing in devices");
    EXPECT_EQ(error("a", "fake-disk.0", R"(["fake-disk.0", "fake-disk.1"])"),
              "there is no disk 'fake-disk.1' that can be written; query-block lists them");
    EXPECT_NE(error(" ", "fake-disk.0", R"(["fake-disk.0"])").find("the name of a point"), std::string::npos);
    all.disk->fail_create = true;
    EXPECT_EQ(error("a", "fake-disk.0", R"(["fake-disk.0"])"), "disk.img: no space");
    EXPECT_TRUE(all.store.files.empty());

    const auto refusal = [&](std::string_view arguments) {
        return error_of(
            all.client.reply(fmt::format(R"({{"execute": "snapshot-delete", "arguments": {}}})", arguments)));
    };
    for (const char* id : {"", "1", "a b", "a/b", "\n"})
        EXPECT_EQ(refusal(fmt::format(R"({{"job-id": "{}", "tag": "a", "devices": []}})", id)), "GenericError") << id;
    EXPECT_EQ(refusal(R"({"job-id": "x", "tag": "a"})"), "GenericError");
    EXPECT_EQ(refusal(R"({"job-id": "x", "tag": "a", "devices": "fake-disk.0"})"), "GenericError");
    EXPECT_EQ(refusal(R"({"job-id": "x", "tag": "a", "devices": [1]})"), "GenericError");
    EXPECT_EQ(all.jobs().size(), number);
    for (; number < Jobs::most; number++)
        all.client.raw(fmt::format(
            R"({{"execute": "snapshot-delete", "arguments": {{"job-id": "n{}", "tag": "a", "devices": []}}}})",
            number));
    all.client.messages();
    EXPECT_EQ(refusal(R"({"job-id": "x", "tag": "a", "devices": []})"), "GenericError");
    all.run();
    all.client.messages();
    EXPECT_EQ(all.jobs().size(), Jobs::most);
}

TEST(Qmp, PointsByTheirOwnCommands) {
    JobClients all;
    all.client.raw(R"({"execute": "savevm", "arguments": {"name": "a"}, "id": 7})");
    EXPECT_TRUE(all.client.messages().empty());
    while (all.client.out.empty()) all.bench.machine->run({100, 0});
    EXPECT_EQ(all.client.messages(), (std::vector<json>{json::parse(R"({"return": {}, "id": 7})")}));
    EXPECT_EQ(all.client.execute("viv-query-snapshots")["return"][0]["name"], "a");
    EXPECT_EQ(all.client.ask(R"({"execute": "loadvm", "arguments": {"name": "a"}})").size(), 3U);  // STOP, RESUME
    all.other.messages();
    EXPECT_EQ(error_of(all.client.reply(R"({"execute": "loadvm", "arguments": {"name": "b"}})")), "GenericError");
    EXPECT_EQ(all.client.reply(R"({"execute": "human-monitor-command", "arguments": {"command-line": "delvm a"}})"),
              json::parse(R"({"return": ""})"));
    EXPECT_EQ(all.client.execute("viv-query-snapshots")["return"], json::array());
    EXPECT_EQ(error_of(all.other.execute("viv-query-snapshots")), "GenericError");  // that one's host has no store
    const json block = all.client.execute("query-block")["return"];
    EXPECT_EQ(block[0]["inserted"]["node-name"], "fake-disk.0");
    EXPECT_EQ(block[0]["inserted"]["file"], "disk.img");
    EXPECT_EQ(block[1]["inserted"]["ro"], true);
}

TEST(Qmp, CpusSayWhichThreadOfTheHostRunsThem) {
    Bench::Options options;
    options.cpus = 2;
    const auto ids = [](Bench& bench) {
        Client client(bench);
        client.negotiated();
        const json cpus = client.execute("query-cpus-fast")["return"];
        return std::pair<u64, u64>(cpus[0]["thread-id"].get<u64>(), cpus[1]["thread-id"].get<u64>());
    };
    const u64 here = StandardThreads().current_id();
    Bench in_turn(counting_program(), options);
    EXPECT_EQ(ids(in_turn), std::pair(here, here));
    options.harts = Harts::parallel;
    options.determinism = Determinism::live;
    Bench parallel(counting_program(), options);
    const auto [first, second] = ids(parallel);
    EXPECT_NE(first, second);
    EXPECT_NE(first, here);
    EXPECT_NE(second, here);
    EXPECT_NE(first, 0U);

    MachineConfig config;
    config.board.kernel = Blob{"kernel.bin", assemble(counting_program())};
    config.board.memory = 64 << 10;
    auto without = Machine::create(
        std::move(config), MachineHost{in_turn.memory, in_turn.step_clock, in_turn.entropy, in_turn.log}, fake_kind);
    ASSERT_TRUE(without.ok());
    EXPECT_EQ((*without)->thread_id(0), 0U) << "a host without threads";
}

TEST(Qmp, AShutdownInPlaceOfAResetSaysSo) {
    Bench::Options options;
    options.on_reset = OnReset::power_off;
    Bench by_guest({set(5, power_address), set(6, 2), {Op::store, 6, 5, 0, 0}}, options);
    Client client(by_guest);
    client.negotiated();
    by_guest.run_out();
    auto all = client.messages();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0]["event"], "SHUTDOWN");
    EXPECT_EQ(all[0]["data"], json::parse(R"({"guest": true, "reason": "guest-reset"})"));

    Bench by_host(counting_program(), options);
    Client other(by_host);
    other.negotiated();
    all = other.ask(R"({"execute": "system_reset"})");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["event"], "SHUTDOWN");
    EXPECT_EQ(all[0]["data"], json::parse(R"({"guest": false, "reason": "host-qmp-system-reset"})"));
}

TEST(Qmp, QueriesAnswerInTheProtocolsShapes) {
    Bench::Options options;
    options.cpus = 2;
    Bench bench(counting_program(), options);
    Client client(bench);
    client.negotiated();
    const json cpus = client.execute("query-cpus-fast")["return"];
    ASSERT_EQ(cpus.size(), 2U);
    EXPECT_EQ(cpus[1]["cpu-index"], 1);
    EXPECT_EQ(cpus[1]["target"], "riscv64");
    EXPECT_TRUE(cpus[1]["thread-id"].is_number_integer());
    std::set<std::string> names;
    const json commands = client.execute("query-commands")["return"];
    for (const json& row : commands) names.insert(row["name"].get<std::string>());
    EXPECT_EQ(names.size(), commands.size());
    for (const char* name :
         {"qmp_capabilities", "query-status", "query-version", "query-commands", "query-name", "stop", "cont",
          "system_powerdown", "system_reset", "quit", "query-cpus-fast", "human-monitor-command", "query-block"})
        EXPECT_TRUE(names.contains(name)) << name;
    EXPECT_EQ(client.execute("query-version")["return"]["qemu"]["minor"], 2);
    EXPECT_EQ(client.execute("query-block")["return"], json::array());
    EXPECT_EQ(
        client.reply(R"({"execute": "human-monitor-command", "arguments": {"command-line": "info status"}})")["return"],
        "VM status: running\n");
    const json registers = client.reply(R"({"execute": "viv-query-registers", "arguments": {"cpu": 1}})")["return"];
    EXPECT_EQ(registers["x10"], "0x0000000000000001");
    EXPECT_EQ(
        client.reply(
            R"({"execute": "human-monitor-command", "arguments": {"command-line": "x/1dg 0x18000 + $x10", "cpu-index": 1}})")
            ["return"],
        "0000000000018001:                    0\n");
    EXPECT_EQ(client.reply(R"({"execute": "viv-translate", "arguments": {"address": 65536}})")["return"]["physical"],
              65536);
    EXPECT_EQ(client.execute("viv-query-hash")["return"]["hash"], bench.machine->hash().hex());
    const json map = client.execute("viv-query-memory-map")["return"];
    EXPECT_EQ(map[0]["name"], "power");
    EXPECT_EQ(map[3], json::parse(R"({"base": 65536, "size": 65536, "kind": "ram", "name": "ram"})"));
}

TEST(Qmp, ArgumentsAreCheckedByName) {
    Bench bench(counting_program());
    Client client(bench);
    client.negotiated();
    const auto description = [&](std::string_view request) {
        const json reply = client.reply(request);
        return reply.contains("error") ? reply["error"]["desc"].get<std::string>() : "no error";
    };
    EXPECT_EQ(description(R"({"execute": "stop", "arguments": {"now": true}})"), "'stop' has no argument 'now'");
    EXPECT_EQ(description(R"({"execute": "viv-save"})"), "'viv-save' needs the argument 'file'");
    EXPECT_EQ(description(R"({"execute": "viv-save", "arguments": {"file": 3}})"),
              "the argument 'file' of 'viv-save' must be a string");
    EXPECT_EQ(description(R"({"execute": "viv-query-registers", "arguments": {"cpu": -1}})"),
              "the argument 'cpu' of 'viv-query-registers' must be an integer that is not negative");
    EXPECT_EQ(description(R"({"execute": "viv-query-registers", "arguments": {"cpu": 7}})"),
              "there is no CPU 7; they are numbered 0 to 0");
    EXPECT_EQ(description(R"({"execute": "query-statu"})"),
              "there is no command 'query-statu'; did you mean 'query-status'?");
    EXPECT_EQ(error_of(client.execute("query-statu")), "CommandNotFound");
    EXPECT_EQ(error_of(client.reply(R"({"execute": "viv-query-devices", "arguments": {"name": "timr"}})")),
              "DeviceNotFound");
    EXPECT_EQ(client.reply(R"({"execute": "viv-query-devices", "arguments": {"name": "timer"}})")["return"][0]["kind"],
              "fake-timer");
    EXPECT_EQ(error_of(client.execute("")), "CommandNotFound");
    EXPECT_EQ(error_of(client.execute("info status")), "CommandNotFound");
    EXPECT_EQ(error_of(client.reply(R"({"execute": "stop", "arguments": []})")), "GenericError");
    EXPECT_EQ(error_of(client.reply(R"({"execute": 7})")), "GenericError");
    EXPECT_EQ(error_of(client.reply(R"({"id": 7})")), "GenericError");
    EXPECT_EQ(error_of(client.reply(R"({"execute": "stop", "control": {}})")), "GenericError");
    EXPECT_EQ(bench.machine->state(), RunState::running);
}

TEST(Qmp, SaveWritesAFileThatRestores) {
    Bench bench(counting_program()), other(counting_program());
    bench.machine->run({12'345, 0});
    Client client(bench);
    client.negotiated();
    bench.machine->pause();
    client.messages();
    client.raw(R"({"execute": "viv-save", "id": 1, "arguments": {"file": "a.viv"}})");
    client.raw(R"({"execute": "query-name", "id": 2} {"execute": "quer)");
    client.raw(R"(y-name", "id": 3})");
    EXPECT_TRUE(client.out.empty()) << "the machine has not run";
    while (client.out.empty()) bench.machine->run({100, 0});
    const auto replies = client.messages();
    ASSERT_EQ(replies.size(), 3U);
    EXPECT_EQ(replies[0], json::parse(R"({"return": {}, "id": 1})"));
    EXPECT_EQ(replies[1]["id"], 2);
    EXPECT_EQ(replies[2]["id"], 3);
    auto source = state::Source::of(std::make_unique<host::BytesFile>(client.host.files["a.viv"]));
    ASSERT_TRUE(other.machine->restore(source).ok());
    EXPECT_EQ(other.machine->hash(), bench.machine->hash());
    EXPECT_EQ(error_of(client.reply(R"({"execute": "viv-save", "arguments": {"file": "/no/such"}})")), "GenericError");
    EXPECT_EQ(client.reply(R"({"execute": "pmemsave", "arguments": {"val": 65536, "size": 8, "filename": "m"}})"),
              json::parse(R"({"return": {}})"));
    EXPECT_EQ(client.host.files["m"], assemble({set(1, 1)}));
    EXPECT_EQ(
        error_of(client.reply(R"({"execute": "memsave", "arguments": {"val": 131064, "size": 16, "filename": "n"}})")),
        "GenericError");
    EXPECT_FALSE(client.host.files.contains("n"));
}

TEST(Qmp, WhatIsSentWhileAReplyIsToComeIsBounded) {
    Bench bench(counting_program());
    Client client(bench);
    client.negotiated();
    client.raw(R"({"execute": "viv-save", "arguments": {"file": "a.viv"}})");
    const std::string flood(100'000, ' ');
    for (unsigned i = 0; i < 30; i++) client.raw(flood);
    client.raw(R"({"execute": "query-name"})");
    while (client.out.empty()) bench.machine->run({100, 0});
    const auto replies = client.messages();
    ASSERT_EQ(replies.size(), 2U);
    EXPECT_EQ(error_of(replies[1]), "GenericError");
    EXPECT_TRUE(client.execute("query-name").contains("return"));
}

TEST(Qmp, AClientMayGoWhileItsMachineIsSaved) {
    FakeCommandHost host;
    Bench bench(counting_program());
    {
        QmpSession session(*bench.machine, host, [](std::string_view) {});
        session.start();
        session.receive(as_bytes(R"({"execute": "qmp_capabilities"})"));
        session.receive(as_bytes(R"({"execute": "viv-save", "arguments": {"file": "a.viv"}})"));
    }
    while (host.files.empty()) bench.machine->run({100, 0});
    EXPECT_TRUE(host.files.contains("a.viv"));
}

TEST(Qmp, RequestsMayBeCutAndJoinedAnywhere) {
    Bench bench(counting_program());
    Client client(bench);
    const std::string text =
        " {\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-name\",\"id\":\"}{\\\"\"}\r\n\n[1]";
    for (const char c : text) client.raw({&c, 1});
    const auto all = client.messages();
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[1]["id"], "}{\"");
    EXPECT_EQ(error_of(all[2]), "GenericError");
}

TEST(Qmp, GarbageIsAnErrorAndTheNextRequestWorks) {
    Bench bench(counting_program());
    Client client(bench);
    client.negotiated();
    for (const char* garbage :
         {"hello\n", "{]\n", "{\"execute\": \"stop\",}\n", "\"text\"\n", "12\n", "}\n", "{\"a\": \xff\xfe}\n"}) {
        EXPECT_EQ(error_of(client.reply(garbage)), "GenericError") << garbage;
        EXPECT_EQ(error_of(client.execute("query-name")), "none") << garbage;
    }
    EXPECT_TRUE(client.ask("\n\n  \r\n").empty());
}

TEST(Qmp, InputIsBounded) {
    Bench bench(counting_program());
    Client client(bench);
    client.negotiated();
    EXPECT_EQ(error_of(client.reply(std::string(JsonStream::maximum_size, '{'))), "GenericError");
    EXPECT_TRUE(client.ask("the rest of the line {} [] \"").empty());
    EXPECT_TRUE(client.ask("\n").empty());
    EXPECT_EQ(error_of(client.execute("query-name")), "none");
    EXPECT_EQ(error_of(client.reply("{\"execute\": \"" + std::string(JsonStream::maximum_size, 'x'))), "GenericError");
    client.raw("\n");
    EXPECT_EQ(error_of(client.reply("x" + std::string(JsonStream::maximum_size, '['))), "GenericError");
    client.raw("\n");
    EXPECT_EQ(error_of(client.reply("{\"a\":" + std::string(200, '['))), "GenericError");
    client.raw("\n");
    EXPECT_EQ(error_of(client.execute("query-name")), "none");
}

TEST(Qmp, TextThatIsNoUtf8IsMadeSo) {
    Bench bench(counting_program());
    Client client(bench);
    client.host.name = "\xff\xc3";
    client.negotiated();
    EXPECT_EQ(client.execute("query-name")["return"]["name"], "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Qmp, SurvivesWhateverComes) {
    std::mt19937_64 random(21);
    Bench bench(counting_program());
    const std::vector<std::string> seeds{
        R"({"execute": "query-status", "id": 1})",
        R"({"execute": "stop"})",
        R"({"execute": "cont", "id": [1, "x"]})",
        R"({"execute": "human-monitor-command", "arguments": {"command-line": "x/3i $pc", "cpu-index": 0}})",
        R"({"execute": "human-monitor-command", "arguments": {"command-line": "info registers"}})",
        R"({"execute": "pmemsave", "arguments": {"val": 65536, "size": 100, "filename": "f"}})",
        R"({"execute": "viv-disassemble", "arguments": {"address": 65536, "count": 3}})",
        R"({"execute": "system_reset"})",
        R"({"execute": "viv-step"})"};
    FakeCommandHost host;
    QmpSession session(*bench.machine, host, [](std::string_view) {});
    session.start();
    session.receive(as_bytes(R"({"execute": "qmp_capabilities"})"));
    for (unsigned round = 0; round < 4'000; round++) {
        std::string text = seeds[random() % seeds.size()];
        for (u64 changes = random() % 4; changes > 0 && !text.empty(); changes--) {
            const usize at = random() % text.size();
            switch (random() % 4) {
                case 0: text[at] = static_cast<char>(random()); break;
                case 1: text.erase(at, 1 + random() % 3); break;
                case 2: text.insert(at, text.substr(random() % text.size())); break;
                default: text.insert(at, 1, "{}[]\":,0e-\\"[random() % 11]);
            }
        }
        session.receive(as_bytes(text + (random() % 2 == 0 ? "\n" : "")));
        bench.machine->run({100, 0});
    }
    EXPECT_NE(bench.machine->state(), RunState::powered_off);
}

}  // namespace
}  // namespace viv::test
