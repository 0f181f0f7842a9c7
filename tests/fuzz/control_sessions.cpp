// Clients of the monitor: bytes for the gdb stub, QMP and the prompt, with the machine running in between.
#include "engine/control/gdbstub.h"
#include "engine/control/monitor.h"
#include "engine/control/qmp.h"
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

namespace {

class Host final : public CommandHost {
public:
    std::string_view version() override { return "0"; }
    std::string_view machine_name() override { return "fuzz"; }
    u64 realtime_ns() override { return 0; }
    Result<std::unique_ptr<ByteSink>> create_file(std::string_view) override { return Error{"no files here"}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static fuzz::Bench bench(fuzz::Plugged::bare);
    if (size == 0 || !bench.machine->reset()) return 0;
    Machine& machine = *bench.machine;
    machine.resume();
    Host host;
    usize sent = 0;
    const auto count = [&](std::string_view text) { sent += text.size(); };
    const std::span<const u8> input(data + 1, size - 1);
    const auto feed = [&](auto& session) {
        for (usize at = 0; at < input.size(); at += 100) {
            session.receive(input.subspan(at, std::min<usize>(100, input.size() - at)));
            machine.run({.instructions = 200, .host_ns = 1'000'000});
        }
    };
    switch (data[0] % 3) {
        case 0: {
            GdbStub stub(machine, host, count);
            stub.connected();
            // Packets need right checksums: the input is their contents.
            std::string packet;
            for (const u8 byte : input) {
                if (byte != '\n') {
                    packet += static_cast<char>(byte);
                    continue;
                }
                u8 sum = 0;
                for (const char c : packet) sum = static_cast<u8>(sum + static_cast<u8>(c));
                const std::string framed = fmt::format("${}#{:02x}", packet, sum);
                stub.receive({reinterpret_cast<const u8*>(framed.data()), framed.size()});
                machine.run({.instructions = 200, .host_ns = 1'000'000});
                packet.clear();
            }
            stub.receive(input);
            break;
        }
        case 1: {
            QmpSession session(machine, host, count);
            session.start();
            static constexpr std::string_view hello = R"({"execute":"qmp_capabilities"})";
            session.receive({reinterpret_cast<const u8*>(hello.data()), hello.size()});
            feed(session);
            break;
        }
        default: {
            MonitorSession session(machine, host,
                                   (data[0] & 0x80) != 0 ? MonitorSession::Echo::on : MonitorSession::Echo::off, count);
            session.start();
            feed(session);
            break;
        }
    }
    return 0;
}
