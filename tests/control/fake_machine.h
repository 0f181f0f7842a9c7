// A board of fake CPUs, a timer, an inter-hart interrupt and a power device, and hosts for it: what tests of control
// run. Memory map: RAM at 0x1'0000; device registers at 0x1000 (power), 0x2000 (timer), 0x3000 (interrupts), 8 bytes
// each.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/control/machine.h"
#include "engine/host/bytes_file.h"
#include "tests/control/fake_cpu.h"

namespace viv::test {

constexpr u64 ram_base = 0x1'0000;
constexpr u64 power_address = 0x1000;  // write: low byte 1 power off with code (value >> 8), 2 reset
constexpr u64 timer_address =
    0x2000;  // + 8 * hart; write n: the interrupt comes n ns from now (0: cancelled); read: deadline
constexpr u64 raise_address = 0x3000;  // + 8 * hart; write: raises its line

class FakePower final : public Device, public Mmio {
public:
    explicit FakePower(BoardEvents& events) : events_(events) {}
    std::string_view kind() const override { return "fake-power"; }
    void reset() override { button = 0; }
    void state(Archive& a) override { a(1, "button", button); }
    u64 read(u64, unsigned) override { return button; }
    void write(u64, unsigned, u64 value) override {
        if ((value & 0xff) == 1) events_.power_off(static_cast<int>(value >> 8 & 0xff));
        if ((value & 0xff) == 2) events_.reset_requested();
    }
    u64 button = 0;

private:
    BoardEvents& events_;
};

class FakeTimer final : public Device, public Mmio {
public:
    FakeTimer(Timers& timers, std::span<const std::unique_ptr<FakeCpu>> cpus) : timers_(timers) {
        for (const auto& cpu : cpus)
            each_.push_back(std::make_unique<Timer>(timers, [this, target = cpu.get()] {
                deadlines_[target->index()] = Timers::never;
                fired++;
                target->raise();
            }));
        deadlines_.assign(each_.size(), Timers::never);
    }
    std::string_view kind() const override { return "fake-timer"; }
    void reset() override {
        for (usize i = 0; i < each_.size(); i++) write(i * 8, 8, 0);
        fired = 0;
    }
    void state(Archive& a) override {
        a.numbers(1, "deadlines", deadlines_, 64);
        a.require(deadlines_.size() == each_.size(), "deadlines", "has the wrong length");
        a(2, "fired", fired);
    }
    void restored() override {
        for (usize i = 0; i < each_.size(); i++) each_[i]->arm(deadlines_[i]);
    }
    u64 read(u64 offset, unsigned) override { return deadlines_[offset / 8 % each_.size()]; }
    void write(u64 offset, unsigned, u64 value) override {
        const usize i = offset / 8 % each_.size();
        deadlines_[i] = value == 0 ? Timers::never : timers_.now_ns() + value;
        each_[i]->arm(deadlines_[i]);
    }
    u64 fired = 0;

private:
    Timers& timers_;
    std::vector<std::unique_ptr<Timer>> each_;
    std::vector<u64> deadlines_;
};

class FakeRaise final : public Mmio {
public:
    explicit FakeRaise(std::span<const std::unique_ptr<FakeCpu>> cpus) : cpus_(cpus) {}
    u64 read(u64, unsigned) override { return 0; }
    void write(u64 offset, unsigned, u64) override { cpus_[offset / 8 % cpus_.size()]->raise(); }

private:
    std::span<const std::unique_ptr<FakeCpu>> cpus_;
};

class FakeBoard final : public Board {
public:
    static Result<std::unique_ptr<Board>> create(BoardConfig config, const BoardServices& services) {
        if (!config.kernel) return Error{"the fake board needs a kernel"};
        auto board = std::make_unique<FakeBoard>(std::move(config), services);
        TRY(board->build(services));
        return std::unique_ptr<Board>(std::move(board));
    }

    FakeBoard(BoardConfig config, const BoardServices& services)
        : config_(std::move(config)), memory_(services.memory), power_(services.events) {}

    Result<void> build(const BoardServices& services) {
        TRY(memory_.add(ram_base, config_.memory, GuestMemory::Kind::ram, "ram"));
        for (unsigned i = 0; i < config_.cpus; i++) {
            // Every hart begins at the same place; x10 tells them apart.
            fake_cpus_.push_back(std::make_unique<FakeCpu>(i, ram_base, memory_, bus_, services, witness));
            cpus_.push_back(fake_cpus_.back().get());
        }
        timer_ = std::make_unique<FakeTimer>(services.timers, fake_cpus_);
        raise_ = std::make_unique<FakeRaise>(fake_cpus_);
        TRY(bus_.map(power_address, 8, power_, "power"));
        TRY(bus_.map(timer_address, 8 * config_.cpus, *timer_, "timer"));
        TRY(bus_.map(raise_address, 8 * config_.cpus, *raise_, "raise"));
        devices_ = {{"power", &power_}, {"timer", timer_.get()}};
        return {};
    }

    std::string_view machine() const override { return "fake"; }
    const BoardConfig& config() const override { return config_; }
    std::span<Cpu* const> cpus() override { return cpus_; }
    GuestMemory& memory() override { return memory_; }
    Bus& bus() override { return bus_; }
    std::span<const NamedDevice> devices() override { return devices_; }
    Result<void> reset() override {
        if (fail_next_reset) return Error{"the kernel is gone"};
        for (Cpu* cpu : cpus_) cpu->reset();
        power_.reset();
        timer_->reset();
        resets++;
        if (!memory_.load(ram_base, config_.kernel->bytes)) return Error{"the kernel does not fit"};
        return {};
    }
    bool press_power_button() override {
        if (!has_button) return false;
        power_.button++;
        fake_cpus_[0]->raise();
        return true;
    }
    ByteDevice* serial(unsigned) override { return nullptr; }
    ByteDevice* console_port(std::string_view) override { return nullptr; }
    void state(Archive& a) override {
        a(1, "latch", latch);
        a.require(latch <= largest_latch, "latch", "is too large");
    }
    void restored() override {}

    FakeCpu& cpu(unsigned index) { return *fake_cpus_[index]; }
    FakeTimer& timer() { return *timer_; }
    u64 ram(u64 address) {
        const u8* at = memory_.host(address, 8);
        return at == nullptr ? 0 : load_le<u64>(at);
    }

    bool has_button = true;
    bool fail_next_reset = false;
    unsigned resets = 0;
    u64 latch = 0, largest_latch = ~u64{0};
    Witness witness;

private:
    BoardConfig config_;
    GuestMemory memory_;
    Bus bus_;
    FakePower power_;
    std::vector<std::unique_ptr<FakeCpu>> fake_cpus_;
    std::vector<Cpu*> cpus_;
    std::unique_ptr<FakeTimer> timer_;
    std::unique_ptr<FakeRaise> raise_;
    std::vector<NamedDevice> devices_;
};

inline constexpr BoardKind fake_kind{"fake", "for tests", "tiny", 8, "", "", "", "", {}, &FakeBoard::create};

// Host memory from the heap.
class HeapMemory final : public host::Memory {
public:
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override {
        return std::unique_ptr<host::MemoryBlock>(std::make_unique<Block>(size));
    }

private:
    struct Block final : host::MemoryBlock {
        explicit Block(u64 size) : words(size / 8) {}
        std::span<u8> bytes() override { return {reinterpret_cast<u8*>(words.data()), words.size() * 8}; }
        void discard(u64 offset, u64 size) override { std::memset(bytes().data() + offset, 0, size); }
        std::vector<u64> words;
    };
};

// A clock that moves by a fixed amount at each look (so that budgets of time end) and by what tests add.
class StepClock final : public host::Clock {
public:
    u64 monotonic_ns() override { return now.fetch_add(step) + step; }
    u64 realtime_ns() override { return 1'700'000'000'000'000'000; }
    std::atomic<u64> now{1'000};
    std::atomic<u64> step{1'000};
};

class RealClock final : public host::Clock {
public:
    u64 monotonic_ns() override {
        return static_cast<u64>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
    }
    u64 realtime_ns() override { return 1'700'000'000'000'000'000; }
};

class FixedEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override { std::fill(out.begin(), out.end(), u8{7}); }
};

class StandardThreads final : public host::Threads {
public:
    std::unique_ptr<host::Mutex> make_mutex() override { return std::make_unique<OneMutex>(); }
    std::unique_ptr<host::Condition> make_condition() override { return std::make_unique<OneCondition>(); }
    std::unique_ptr<host::Thread> start(std::string, std::function<void()> body) override {
        return std::make_unique<OneThread>(std::move(body));
    }
    unsigned hardware_threads() override { return 2; }
    u64 current_id() const override { return number(std::this_thread::get_id()); }

private:
    static u64 number(std::thread::id id) { return std::hash<std::thread::id>()(id); }
    struct OneMutex final : host::Mutex {
        void lock() override { mutex.lock(); }
        void unlock() override { mutex.unlock(); }
        std::mutex mutex;
    };
    struct OneCondition final : host::Condition {
        void wait(host::Mutex& held) override {
            std::unique_lock lock(static_cast<OneMutex&>(held).mutex, std::adopt_lock);
            condition.wait(lock);
            lock.release();
        }
        void wait_for(host::Mutex& held, u64 nanoseconds) override {
            std::unique_lock lock(static_cast<OneMutex&>(held).mutex, std::adopt_lock);
            // By the system clock: g++ 12's steady waits are pthread_cond_clockwait, which its ThreadSanitizer misses.
            const u64 bounded = std::min<u64>(nanoseconds, 1'000'000'000'000);
            condition.wait_until(lock, std::chrono::system_clock::now() + std::chrono::nanoseconds(bounded));
            lock.release();
        }
        void notify_all() override { condition.notify_all(); }
        std::condition_variable condition;
    };
    struct OneThread final : host::Thread {
        explicit OneThread(std::function<void()> body) : thread(std::move(body)) {}
        ~OneThread() override { thread.join(); }
        u64 id() const override { return number(thread.get_id()); }
        std::thread thread;
    };
};

// Everything a test needs around one machine.
struct Bench {
    struct Options {
        unsigned cpus = 1;
        Determinism determinism = Determinism::deterministic;
        Harts harts = Harts::in_turn;
        u64 memory = 64 << 10;
        std::string launch = "--test";
        bool real_clock = false;
        OnReset on_reset = OnReset::start_again;
        Jit jit = Jit::off;
        std::vector<block::Disk*> disks;  // taken over
    };

    Bench(const std::vector<Instruction>& program, Options options) {
        MachineConfig config;
        config.board.machine = "fake";
        config.board.cpus = options.cpus;
        config.board.memory = options.memory;
        config.board.append = "console=none";
        config.board.jit = options.jit;
        config.board.kernel = Blob{"kernel.bin", assemble(program)};
        config.determinism = options.determinism;
        config.harts = options.harts;
        config.on_reset = options.on_reset;
        config.launch = options.launch;
        for (block::Disk* disk : options.disks) {
            config.board.devices.emplace_back().name = "fake-disk";
            config.board.devices.back().disk.reset(disk);
        }
        host::Clock& clock = options.real_clock ? static_cast<host::Clock&>(real_clock) : step_clock;
        auto made = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log, &threads}, fake_kind);
        if (made.ok())
            machine = std::move(made).value();
        else
            error = made.error().message;
    }
    explicit Bench(const std::vector<Instruction>& program) : Bench(program, Options{}) {}

    FakeBoard& board() { return static_cast<FakeBoard&>(machine->board()); }
    FakeCpu& cpu(unsigned index) { return board().cpu(index); }

    // Runs until the machine is not running or waits for ever; at most `slices` calls.
    Machine::Ran run_out(Machine::Slice slice = {}, unsigned slices = 100'000) {
        Machine::Ran ran;
        for (unsigned i = 0; i < slices; i++) {
            ran = machine->run(slice);
            if (ran.state != RunState::running || (ran.idle && ran.idle_ns == ~u64{0})) break;
        }
        return ran;
    }

    HeapMemory memory;
    StepClock step_clock;
    RealClock real_clock;
    FixedEntropy entropy;
    NullLogSink log;
    StandardThreads threads;
    std::unique_ptr<Machine> machine;
    std::string error;
};

struct Recorder final : MachineListener {
    void stopped(StopReason reason) override { note(fmt::format("stopped {}", static_cast<int>(reason))); }
    void resumed() override { note("resumed"); }
    void was_reset(ResetBy by) override { note(by == ResetBy::guest ? "reset by guest" : "reset by host"); }
    void power_button_pressed() override { note("button"); }
    void powered_off(int code) override { note(fmt::format("off {}", code)); }
    void debug_stop(unsigned cpu, const Cpu::DebugEvent& event) override {
        note(fmt::format("debug cpu{} {} {:#x}", cpu, static_cast<int>(event.kind), event.address));
    }
    void note(std::string line) { lines.push_back(std::move(line)); }
    std::vector<std::string> lines;
};

struct VectorSink final : ByteSink {
    Result<void> write(std::span<const u8> in) override {
        if (bytes.size() + in.size() > limit) return Error{"disk full"};
        bytes.insert(bytes.end(), in.begin(), in.end());
        return {};
    }
    Result<void> finish() override { return finished = true, Result<void>(); }
    std::vector<u8> bytes;
    usize limit = ~usize{0};
    bool finished = false;
};

}  // namespace viv::test
