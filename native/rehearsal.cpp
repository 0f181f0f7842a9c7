// See rehearsal.h.
#include "native/rehearsal.h"

#include "engine/control/saved_config.h"
#include "native/byte_port.h"
#include "native/launch.h"
#include "native/machine_loop.h"

namespace viv::native {

namespace {

// The guest has found out that it was restored, and has set its clock.
constexpr u64 settling_ns = rehearsal_ns / 3;

// Whoever sits at the console: takes all output, and types one line.
class TypingPort final : public BytePort {
public:
    explicit TypingPort(std::string line) : line_(std::move(line)) {}
    void begin() { begun_ = true; }
    void service() override { offer(); }

private:
    usize accept(std::span<const u8> bytes) override { return bytes.size(); }
    std::span<const u8> available() override {
        if (!begun_) return {};
        return std::span(reinterpret_cast<const u8*>(line_.data()), line_.size()).subspan(typed_);
    }
    void taken(usize count) override { typed_ += count; }

    std::string line_;
    usize typed_ = 0;
    bool begun_ = false;
};

}  // namespace

Result<KeptChunks> rehearse(const std::shared_ptr<state::Source>& source, const std::string& cache,
                            const std::string& typed, const std::function<bool()>& go_on) {
    TRY_SET(auto head, Machine::read_head(source));
    const auto arrival = remember_arrival(source, cache, head.identity);
    TRY_SET(auto devices, plug_detached(head.devices, "a rehearsal"));
    MachineConfig config = config_of(std::move(head));
    config.board.devices = std::move(devices);
    TRY(check_host_memory(config.board.memory, host_memory_bytes()));
    TypingPort console(typed + '\r');
    config.board.serials.push_back(&console);
    HostServices host(LogLevel::error);
    EventLoop events;
    TRY_SET(const auto machine, Machine::create(std::move(config), host.machine_host()));
    TRY(machine->open(source));
    console.attach(machine->board().serial(0));
    MachineLoop loop(*machine, events);
    loop.add([&] { console.service(); });
    machine->resume();
    const u64 begin_ns = host.clock.monotonic_ns(), end_ns = begin_ns + rehearsal_ns;
    for (u64 now_ns = begin_ns; now_ns < end_ns && go_on(); now_ns = host.clock.monotonic_ns()) {
        if (machine->state() != RunState::running) break;
        const u64 types_ns = begin_ns + settling_ns;
        if (now_ns >= types_ns) console.begin();
        loop.wait(loop.run(~u64{0}), EventLoop::for_ever, (now_ns < types_ns ? types_ns : end_ns) - now_ns);
    }
    return arrival->packed();
}

}  // namespace viv::native
