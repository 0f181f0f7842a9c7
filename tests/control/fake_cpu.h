// A tiny CPU for tests of control: 32 registers, 8-byte instructions in guest RAM, one interrupt line, debug points.
// Keeps the contract of engine/isa/cpu.h exactly, from any thread, and can be slowed down nowhere: every count is
// exact.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/board/board.h"
#include "engine/lang/bytes.h"

namespace viv::test {

enum class Op : u8 {
    nop,
    add,       // a = b + c + immediate
    load,      // a = 8 bytes at b + immediate, RAM or device
    store,     // the same place = a
    branch,    // if a != 0: pc += immediate
    wait,      // for the interrupt line
    time,      // a = guest time
    swap_add,  // atomically in RAM at b: a = old value, new = old + immediate
    enable,    // interrupts on (immediate != 0) or off
    from_interrupt,
    exclusive,  // in an exclusive section: *(RAM at b) += 1, not atomically
    entropy,    // a = a random number from the inlet
};

struct Instruction {
    Op op = Op::nop;
    u8 a = 0, b = 0, c = 0;
    i32 immediate = 0;
};
constexpr u64 instruction_size = 8;

inline std::vector<u8> assemble(const std::vector<Instruction>& program) {
    std::vector<u8> bytes;
    for (const Instruction& i : program) {
        u8 raw[instruction_size] = {static_cast<u8>(i.op), i.a, i.b, i.c};
        store_le(raw + 4, static_cast<u32>(i.immediate));
        bytes.insert(bytes.end(), raw, raw + instruction_size);
    }
    return bytes;
}

// What the harts of one board have in common, to see that exclusive sections are alone.
struct Witness {
    std::atomic<int> executing{0};   // harts in the middle of an instruction
    std::atomic<u64> violations{0};  // sections that met one
};

class FakeCpu final : public Cpu {
public:
    static constexpr u64 vector_address = 0x1'0400;  // where an interrupt goes to

    FakeCpu(unsigned index, u64 entry, GuestMemory& memory, Bus& bus, const BoardServices& services, Witness& witness)
        : index_(index), entry_(entry), memory_(memory), bus_(bus), services_(services), witness_(witness) {
        for (unsigned i = 0; i < 32; i++)
            registers_.push_back({fmt::format("x{}", i), "org.gnu.gdb.riscv.cpu", 64, i == 2 ? "data_ptr" : "int", i});
        registers_.push_back({"pc", "org.gnu.gdb.riscv.cpu", 64, "code_ptr", 32});
        registers_.push_back({"apart", "org.vivarium.fake", 64, "int", 70});
        registers_.push_back({"wide", "org.vivarium.fake", 128, "fake_vector", 33});
    }

    unsigned index() const override { return index_; }
    void reset() override {
        x_ = {};
        x_[10] = index_;
        wide_ = {};
        pc_ = entry_;
        saved_pc_ = 0;
        count_ = 0;
        waiting_ = enabled_ = false;
        line_.store(false);
        warmth_ = 0;
    }
    void state(Archive& a) override {
        a(1, "x", x_);
        a(2, "pc", pc_);
        a(3, "saved_pc", saved_pc_);
        a(4, "count", count_);
        a(5, "waiting", waiting_);
        a(6, "enabled", enabled_);
        bool line = line_.load();
        a(7, "line", line);
        line_.store(line);
        a(8, "wide", wide_);
    }
    void pages_noted() override {}
    void restored() override {
        restored_count++;
        warmth_ = 0;
    }

    Exit run(u64 instructions, Step step = Step::run) override {
        runs_.fetch_add(1, std::memory_order_relaxed);
        for (u64 done = 0; done < instructions;) {
            if (attention_.exchange(false)) return Exit::budget;
            if (stopped) return Exit::stopped;
            if (line_.load() && enabled_) {
                line_.store(false);
                enabled_ = waiting_ = false;
                saved_pc_ = pc_;
                pc_ = vector_address;
                if (step == Step::single) return stop(DebugEvent::Kind::step, pc_, {});
            }
            if (waiting_) {
                if (!line_.load()) return Exit::idle;
                line_.store(false);
                waiting_ = false;
            }
            if (points_ != nullptr && points_->breakpoints.contains(pc_))
                return stop(DebugEvent::Kind::breakpoint, pc_, {});
            if (defect && count_ + defect->block == defect->at)
                spoiled_ = instructions - done >= defect->block && warmth_ >= defect->warmth;
            witness_.executing.fetch_add(1);
            const bool executed = execute();
            witness_.executing.fetch_sub(1);
            if (!executed) return Exit::debug;
            warmth_++;
            if (defect && count_ == defect->at && std::exchange(spoiled_, false)) spoil();
            done++;
            if (step == Step::single) return stop(DebugEvent::Kind::step, pc_, {});
        }
        return waiting_ && !line_.load() ? Exit::idle : Exit::budget;
    }
    u64 instructions() const override { return count_; }
    void request_attention() override { attention_.store(true); }

    u64 pc() const override { return pc_; }
    std::string_view mode_name() const override { return "machine"; }
    void set_debug_points(const DebugPoints* points) override { points_ = points; }
    void debug_changed() override {}
    const DebugEvent& debug_event() const override { return event_; }

    std::span<const Register> registers() const override { return registers_; }
    std::vector<u8> read_register(unsigned number) override {
        std::vector<u8> out(8);
        if (number < 32)
            store_le(out.data(), x_[number]);
        else if (number == 32)
            store_le(out.data(), pc_);
        else if (number == 70)
            store_le(out.data(), count_);
        else if (number == 33)
            out.assign(wide_.begin(), wide_.end());
        else
            out.clear();
        return out;
    }
    bool write_register(unsigned number, std::span<const u8> value) override {
        if (number == 33 && value.size() == wide_.size())
            return std::copy(value.begin(), value.end(), wide_.begin()), true;
        if (number > 32 || value.size() != 8) return false;
        (number == 32 ? pc_ : x_[number]) = load_le<u64>(value.data());
        x_[0] = 0;
        return true;
    }
    std::string_view gdb_architecture() const override { return "riscv:rv64"; }
    std::optional<u64> translate(u64 address) override {
        return memory_.find(address, 1) == nullptr ? std::nullopt : std::optional(address);
    }
    bool read_memory(u64 address, std::span<u8> out) override { return memory_.read(address, out); }
    bool write_memory(u64 address, std::span<const u8> in) override { return memory_.write(address, in); }
    Disassembly disassemble(u64 pc) override {
        u8 raw[instruction_size];
        if (!memory_.read(pc, raw)) return {"?", 1};
        return {fmt::format("op{} {}, {}, {}, {}", raw[0], raw[1], raw[2], raw[3], load_le<i32>(raw + 4)),
                instruction_size};
    }

    std::optional<exec::TranslatorReport> translator_report(usize most) const override {
        auto shown = report;
        if (shown) shown->hottest.resize(std::min(most, shown->hottest.size()));
        return shown;
    }

    void raise() {
        line_.store(true);
        wake();
    }
    u64 runs() const { return runs_.load(std::memory_order_relaxed); }
    u64 x(unsigned number) const { return x_[number]; }
    void set_x(unsigned number, u64 value) { x_[number] = value; }

    bool stopped = false;  // as by firmware; for tests to set while nothing runs
    // As of a translator that it has.
    std::optional<exec::TranslatorReport> report;

    // As a wrong translation is: the last instruction of a block, the one that `at` executed instructions end with,
    // does too much, if the block is executed in one run() and after `warmth` others since the CPU was reset or
    // restored.
    struct Defect {
        u64 at = 0;
        unsigned block = 1;
        u64 warmth = 0;
        u64 memory = 0;  // 8 bytes there that become wrong; 0: x20 does
    };
    std::optional<Defect> defect;
    unsigned restored_count = 0;

private:
    Exit stop(DebugEvent::Kind kind, u64 address, DebugPoints::Access access) {
        event_ = {kind, address, access};
        return Exit::debug;
    }
    bool watched(u64 address, DebugPoints::Access access) {
        if (points_ == nullptr) return false;
        for (const auto& watch : points_->watches) {
            const bool wanted = (static_cast<u8>(watch.access) & static_cast<u8>(access)) != 0;
            if (!wanted || address + 8 <= watch.address || address >= watch.address + watch.length) continue;
            stop(DebugEvent::Kind::watch, std::max(address, watch.address), access);
            return true;
        }
        return false;
    }
    void spoil() {
        if (u8* at = memory_.host(defect->memory, 8)) {
            store_le(at, load_le<u64>(at) ^ 4);
            memory_.wrote(defect->memory, 8);
        } else {
            x_[20] ^= 4;
        }
    }
    bool execute() {
        u8 raw[instruction_size] = {};
        if (!memory_.read(pc_, raw)) raw[0] = static_cast<u8>(Op::wait);  // lost: nothing more happens
        const u64 immediate = static_cast<u64>(i64{load_le<i32>(raw + 4)});
        const usize a = raw[1] % 32, b = raw[2] % 32, c = raw[3] % 32;
        const u64 address = x_[b] + immediate;
        u64 next = pc_ + instruction_size;
        const Op op = static_cast<Op>(raw[0]);
        if (op == Op::load && watched(address, DebugPoints::Access::read)) return false;
        if (op == Op::store && watched(address, DebugPoints::Access::write)) return false;
        count_++;
        switch (op) {
            case Op::nop: break;
            case Op::add: x_[a] = x_[b] + x_[c] + immediate; break;
            case Op::load:
                if (u8* at = memory_.host(address, 8)) {
                    x_[a] = load_le<u64>(at);
                } else {
                    host::Lock held(services_.device_lock);
                    if (!bus_.read(address, 8, x_[a])) x_[a] = ~u64{0};
                }
                break;
            case Op::store:
                if (u8* at = memory_.host(address, 8)) {
                    store_le(at, x_[a]);
                    memory_.wrote(address, 8);
                } else {
                    host::Lock held(services_.device_lock);
                    bus_.write(address, 8, x_[a]);
                }
                break;
            case Op::branch:
                if (x_[a] != 0) next = pc_ + immediate;
                break;
            case Op::wait: waiting_ = true; break;
            case Op::time: x_[a] = services_.clock.now_ns(); break;
            case Op::swap_add:
                if (u8* at = memory_.host(x_[b], 8); at != nullptr && x_[b] % 8 == 0) {
                    memory_.wrote(x_[b], 8);
                    x_[a] = std::atomic_ref<u64>(*reinterpret_cast<u64*>(at)).fetch_add(immediate);
                }
                break;
            case Op::enable: enabled_ = immediate != 0; break;
            case Op::from_interrupt:
                next = saved_pc_;
                enabled_ = true;
                break;
            case Op::exclusive:
                witness_.executing.fetch_sub(1);
                services_.exclusive([&] {
                    if (witness_.executing.load() != 0) witness_.violations.fetch_add(1);
                    if (u8* at = memory_.host(x_[b], 8)) {
                        store_le(at, load_le<u64>(at) + 1);
                        memory_.wrote(x_[b], 8);
                    }
                });
                witness_.executing.fetch_add(1);
                break;
            case Op::entropy: {
                u8 bytes[8];
                host::Lock held(services_.device_lock);
                services_.inlet.entropy(bytes);
                x_[a] = load_le<u64>(bytes);
                break;
            }
            default: break;
        }
        x_[0] = 0;
        pc_ = next;
        return true;
    }

    unsigned index_;
    u64 entry_;
    GuestMemory& memory_;
    Bus& bus_;
    BoardServices services_;
    Witness& witness_;
    std::vector<Register> registers_;
    std::array<u64, 32> x_{};
    std::array<u8, 16> wide_{};
    u64 pc_ = 0;
    u64 saved_pc_ = 0;
    u64 count_ = 0;
    u64 warmth_ = 0;
    bool spoiled_ = false;
    bool waiting_ = false;
    bool enabled_ = false;
    std::atomic<bool> line_{false};
    std::atomic<bool> attention_{false};
    std::atomic<u64> runs_{0};
    const DebugPoints* points_ = nullptr;
    DebugEvent event_;
};

}  // namespace viv::test
