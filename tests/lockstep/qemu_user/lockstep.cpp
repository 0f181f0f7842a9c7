// Differential fuzzing of the RISC-V interpreter, or of translated code (--jit), against QEMU's user mode. See
// README.md for how to run it and what it covers. Without --qemu and --guest it takes the peer QEMU from the user's
// cache and the guest program that was built with this one. Exit codes: 0 no difference, 1 differences (printed, each
// reduced to the instructions it needs), or with --jit no code was translated, 2 wrong usage, 77 QEMU or the guest
// program is absent, or QEMU is too old, or nothing makes code for this host.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "engine/isa/riscv/rv_c.h"
#include "engine/lang/check.h"
#include "native/values.h"
#include "tests/lockstep/qemu_user/compare.h"
#include "tests/lockstep/qemu_user/generator.h"
#include "tests/lockstep/qemu_user/ours.h"
#include "tests/lockstep/qemu_user/peer.h"

namespace viv::lockstep {

namespace {

struct Options {
    GeneratorOptions generator;
    std::string qemu, guest;
    std::string cpu;  // extra properties for QEMU's -cpu
    u64 instructions = 1'000'000;
    u64 seconds = ~u64{0};
    u64 seed = 1;
    unsigned report = 5;           // differences shown before giving up
    std::optional<jit::Tier> jit;  // the best that code can get; none: it is interpreted
    u64 jit_cache = u64{16} << 20;
    usize states = 0;       // that each block runs from, one after the other; 0: by the tier
    bool coverage = false;  // print how often each instruction was in a case, and trapped
    std::string shared_folder =
        std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path().string();
};

// What QEMU's processor must have: what ours has, and no more, so that reserved encodings agree.
std::string cpu_of(const Options& options) {
    std::string cpu = options.generator.xlen == 64 ? "rv64" : "rv32";
    for (const char* on : {"zfh", "zfhmin", "zicond", "zcb", "zbc", "zicbom", "zicboz"})
        cpu += fmt::format(",{}=true", on);
    for (const char* off : {"zfa", "zawrs", "zacas", "zabha", "zkr"}) cpu += fmt::format(",{}=false", off);
    if (options.generator.vlen != 0) {
        cpu += fmt::format(",v=true,vext_spec=v1.0,vlen={},elen=64", options.generator.vlen);
        for (const char* on : {"zvfh", "zvfhmin", "zvbb", "zvbc", "zvkb"}) cpu += fmt::format(",{}=true", on);
    }
    if (!options.cpu.empty()) cpu += "," + options.cpu;
    return cpu;
}

// Cases on their way through both sides: as many as there are states for each block, one block after the other.
struct Batch {
    static constexpr usize size = 1024;
    std::vector<Block> blocks;
    std::unique_ptr<test_case[]> cases = std::make_unique<test_case[]>(size);
    std::unique_ptr<test_result[]> ours = std::make_unique<test_result[]>(size);
    std::vector<u8> code = std::vector<u8>(size * CODE_STRIDE);
    const Block& block_of(usize i) const { return blocks[cases[i].block]; }
    std::vector<Ours::Outcome> outcomes;
};

class Fuzzer {
public:
    Fuzzer(const Options& options, std::unique_ptr<Peer> peer)
        : options_(options),
          generator_(options.generator, options.seed),
          ours_(options.generator.xlen, options.generator.vlen),
          peer_(std::move(peer)),
          random_(options.seed ^ 0x77'696e'646f'77) {
        for (u64& word : window_) word = random_.next();
    }

    // False: nothing makes code for this host.
    Result<bool> translate();
    int run();

private:
    // Makes a batch and runs it on our side. The other side skips what cannot be compared.
    void prepare(Batch& batch);
    void publish(const Batch& batch);
    void compare(const Batch& batch);
    void note_coverage(const Block& block, const test_result& result);
    void examine(const Batch& batch, usize wrong);
    // Runs one block on both sides, from all its states; what the first that differs came to, if any does.
    struct Difference {
        usize state = 0;
        test_result ours, theirs;
    };
    std::unique_ptr<Difference> find_difference(const Block& block, std::span<const test_case> states);
    void reduce(Block& block, std::span<const test_case> states);
    void list(const Block& block, const test_case& test) const;
    void print(const Block& block, std::span<const test_case> states);
    void put_code(const Block& block, u8* to) const;
    bool summarize() const;
    bool enough() const { return gone_ || by_instruction_.size() >= options_.report; }

    Options options_;
    Generator generator_;
    Ours ours_;
    std::unique_ptr<Peer> peer_;
    Random random_;
    u64 window_[WINDOW_BYTES / 8] = {};
    bool gone_ = false;  // the guest program ended while a case was reduced
    u64 executed_ = 0, interpreted_ = 0, by_regions_ = 0, again_ = 0;
    u64 blocks_ = 0, cases_ = 0, faults_ = 0, left_out_ = 0, differing_ = 0;
    struct Count {
        u64 present = 0, trapped = 0;
    };
    std::map<std::string, Count> coverage_;
    std::map<std::string, u64> by_instruction_;  // differing cases by the instructions they were reduced to
};

void Fuzzer::put_code(const Block& block, u8* to) const {
    u8 code[CODE_STRIDE];
    assemble(block, options_.generator.xlen, peer_->shared().exit_stubs[block.link], code);
    std::memcpy(to, code, CODE_STRIDE);
}

Result<bool> Fuzzer::translate() {
    if (!options_.jit) return true;
    // What is executed a second time is part of a region, if that is allowed.
    return ours_.translate(
        {.cache_bytes = options_.jit_cache, .highest = *options_.jit, .quick_after = 0, .full_after = 1});
}

void Fuzzer::prepare(Batch& batch) {
    batch.blocks.clear();
    batch.outcomes.clear();
    for (usize i = 0; i < Batch::size; i++) {
        if (i % options_.states == 0) {
            batch.blocks.push_back(generator_.make());
            put_code(batch.blocks.back(), batch.code.data() + (batch.blocks.size() - 1) * CODE_STRIDE);
        }
        generator_.make_state(batch.blocks.back(), batch.blocks.size() - 1, batch.cases[i]);
    }
    ours_.load(batch.code, window_);
    for (usize i = 0; i < Batch::size; i++) {
        batch.outcomes.push_back(
            ours_.run(batch.cases[i], peer_->shared().exit_stubs[batch.block_of(i).link], batch.ours[i]));
        batch.cases[i].skip = !batch.outcomes[i].comparable;
    }
}

// Copies only what a case of this vector length uses.
void copy_case(test_case& to, const test_case& from, unsigned vlen) {
    std::memcpy(&to.before, &from.before, STATE_V + usize{32} * vlen / 8);
    to.block = from.block;
    to.link = from.link;
    to.uses_f = from.uses_f;
    to.uses_v = from.uses_v;
    to.skip = from.skip;
}

void Fuzzer::publish(const Batch& batch) {
    shared_file& shared = peer_->shared();
    shared.count = Batch::size;
    shared.vlenb = options_.generator.vlen / 8;
    std::memcpy(shared.window, window_, sizeof window_);
    std::memcpy(shared.code, batch.code.data(), batch.code.size());
    for (usize i = 0; i < Batch::size; i++) copy_case(shared.cases[i], batch.cases[i], options_.generator.vlen);
}

void Fuzzer::compare(const Batch& batch) {
    const shared_file& shared = peer_->shared();
    std::vector<usize> wrong;
    blocks_ += batch.blocks.size();
    for (usize i = 0; i < Batch::size; i++) {
        const Ours::Outcome& outcome = batch.outcomes[i];
        if (!outcome.comparable) {
            left_out_++;
            continue;
        }
        cases_++;
        executed_ += outcome.instructions;
        interpreted_ += std::min(outcome.interpreted, outcome.instructions);
        if (outcome.region) by_regions_ += outcome.instructions - std::min(outcome.interpreted, outcome.instructions);
        faults_ += batch.ours[i].fault_count;
        if (const unsigned counter = batch.block_of(i).counter; counter != 0)
            again_ += (batch.cases[i].before.x[counter] - batch.ours[i].after.x[counter]) & 0xff;
        if (options_.coverage) note_coverage(batch.block_of(i), batch.ours[i]);
        if (!equal(batch.cases[i], batch.ours[i], shared.results[i], options_.generator.xlen, options_.generator.vlen))
            wrong.push_back(i);
    }
    differing_ += wrong.size();
    for (const usize i : wrong)
        if (!enough()) examine(batch, i);
}

std::unique_ptr<Fuzzer::Difference> Fuzzer::find_difference(const Block& block, std::span<const test_case> states) {
    shared_file& shared = peer_->shared();
    shared.count = states.size();
    put_code(block, shared.code);
    ours_.load({shared.code, Batch::size * CODE_STRIDE}, window_);  // cases may read the code
    auto ours = std::make_unique<test_result[]>(states.size());
    for (usize i = 0; i < states.size(); i++) {
        copy_case(shared.cases[i], states[i], options_.generator.vlen);
        place(shared.cases[i], block, 0);
        shared.cases[i].skip = !ours_.run(shared.cases[i], shared.exit_stubs[block.link], ours[i]).comparable;
    }
    if (!peer_->begin() || !peer_->finish()) {
        gone_ = true;
        return nullptr;
    }
    for (usize i = 0; i < states.size(); i++)
        if (!shared.cases[i].skip &&
            !equal(shared.cases[i], ours[i], shared.results[i], options_.generator.xlen, options_.generator.vlen)) {
            auto found = std::make_unique<Difference>();
            found->state = i;
            found->ours = ours[i];
            found->theirs = shared.results[i];
            return found;
        }
    return nullptr;
}

// Does without every instruction that the difference does not need.
void Fuzzer::reduce(Block& block, std::span<const test_case> states) {
    for (usize i = block.pieces.size(); i-- > 0;) {
        if (block.pieces[i].bound) continue;
        Block smaller = block;
        make_nop(smaller.pieces[i]);
        for (usize k = i + 1; k < smaller.pieces.size() && smaller.pieces[k].bound; k++) make_nop(smaller.pieces[k]);
        if (find_difference(smaller, states) != nullptr) block = smaller;
    }
}

void Fuzzer::list(const Block& block, const test_case& test) const {
    const machine_state& s = test.before;
    fmt::print("  fcsr {:#x}", s.fcsr);
    if (options_.generator.vlen != 0)
        fmt::print(", vcsr {:#x}, vstart {}, AVL {}, vtype {:#x} (SEW {}, LMUL 2^{})", s.vcsr, s.vstart, s.vl, s.vtype,
                   8 << (s.vtype >> 3 & 7), static_cast<int>(s.vtype & 3) - static_cast<int>(s.vtype & 4));
    fmt::print(", link x{}\n", block.link);
    unsigned offset = 0;
    for (const Piece& piece : block.pieces) {
        if (piece.word != 0x13 && piece.word != 1) {
            fmt::print("  {:3}: {:0{}x}  {}", offset, piece.word, piece.length * 2, generator_.name_of(piece));
            const u32 w = piece.length == 4
                              ? piece.word
                              : riscv::expand_compressed(static_cast<u16>(piece.word), options_.generator.xlen);
            const u32 first = w >> 15 & 31, second = w >> 20 & 31;
            fmt::print("   rd/vd {}, rs1/vs1 {}, rs2/vs2 {}, vm {}", w >> 7 & 31, first, second, w >> 25 & 1);
            fmt::print("; x{}={:#x} x{}={:#x}\n", first, s.x[first], second, s.x[second]);
        }
        offset += piece.length;
    }
}

void Fuzzer::print(const Block& block, std::span<const test_case> states) {
    const auto found = find_difference(block, states);
    fmt::print("---- case {}{}\n", cases_, found != nullptr ? "" : " (does not differ when its block is run alone)");
    const usize state = found != nullptr ? found->state : states.size() - 1;
    if (state != 0) fmt::print("  from the state that its block runs from {} states later\n", state);
    list(block, states[state]);
    if (found == nullptr) return;
    const auto lines =
        differences(states[state], found->ours, found->theirs, options_.generator.xlen, options_.generator.vlen);
    for (usize i = 0; i < lines.size() && i < 12; i++) fmt::print("  {}\n", lines[i]);
    if (lines.size() > 12) fmt::print("  and {} more\n", lines.size() - 12);
    std::fflush(stdout);
}

void Fuzzer::note_coverage(const Block& block, const test_result& result) {
    u32 offset = 0;
    for (const Piece& piece : block.pieces) {
        Count& count = coverage_[generator_.name_of(piece)];
        count.present++;
        for (u64 i = 0; i < result.fault_count; i++) count.trapped += result.faults[i].offset == offset;
        offset += piece.length;
    }
}

void Fuzzer::examine(const Batch& batch, usize wrong) {
    Block block = batch.block_of(wrong);
    const usize first = wrong - wrong % options_.states;
    const std::span<const test_case> states(&batch.cases[first], options_.states);
    reduce(block, states);
    std::string name;
    for (const Piece& piece : block.pieces)
        if (piece.word != 0x13 && piece.word != 1) name += (name.empty() ? "" : " ") + generator_.name_of(piece);
    // Each kind is shown once; the others are counted.
    if (by_instruction_[name]++ == 0) print(block, states);
}

// What was translated; false if there is nothing that should have been.
bool Fuzzer::summarize() const {
    const jit::Tiers* tiers = ours_.tiers();
    if (tiers == nullptr) return true;
    const jit::Statistics& made = tiers->statistics();
    const u64 translated = executed_ - interpreted_;
    const auto share = [&](u64 part) {
        return 100 * static_cast<double>(part) / static_cast<double>(std::max(executed_, u64{1}));
    };
    fmt::print(
        "by generated code {} instructions ({:.1f} %), of these by cases that began in a region {} ({:.1f} %); made {} "
        "blocks and {} regions, {} bytes of code for a cache of {}\n",
        translated, share(translated), by_regions_, share(by_regions_), made.translations, made.regions,
        made.host_bytes, tiers->cache().capacity());
    const bool regions = options_.jit == jit::Tier::full;
    if (translated != 0 && (!regions || by_regions_ != 0)) return true;
    fmt::print("no {} executed: nothing has been shown of translated code\n",
               regions ? "region was" : "generated code was");
    return false;
}

int Fuzzer::run() {
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    double shown = 0;
    bool alive = true;
    Batch batches[2];
    unsigned current = 0;
    prepare(batches[current]);
    while (executed_ < options_.instructions && elapsed() < static_cast<double>(options_.seconds) && !enough()) {
        publish(batches[current]);
        alive = peer_->begin();
        prepare(batches[current ^ 1]);
        if (!alive || !peer_->finish()) {
            const u64 at = peer_->shared().current;
            fmt::print("the guest program ended in case {} of the batch:\n", at);
            if (at < Batch::size) list(batches[current].block_of(at), batches[current].cases[at]);
            return 1;
        }
        compare(batches[current]);
        current ^= 1;
        if (elapsed() - shown > 10) {
            shown = elapsed();
            fmt::print(stderr, "{:.0f} s: {} instructions, {} differences\n", shown, executed_, differing_);
        }
    }
    fmt::print(
        "{} cases of {} blocks, {} instructions ({} of them trapped, {} before a jump backwards), {} cases differ, {} "
        "left out, {:.1f} s, seed {}\n",
        cases_, blocks_, executed_, faults_, again_, differing_, left_out_, elapsed(), options_.seed);
    const bool shown_enough = summarize();
    for (const auto& [name, count] : by_instruction_) fmt::print("  {:6}  {}\n", count, name);
    for (const auto& [name, count] : coverage_) fmt::print("{:9} {:9}  {}\n", count.present, count.trapped, name);
    return differing_ == 0 && shown_enough ? 0 : 1;
}

std::string peers_folder() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != 0)
        return std::string(cache) + "/vivarium/peers";
    const char* home = std::getenv("HOME");
    return std::string(home == nullptr ? "" : home) + "/.cache/vivarium/peers";
}

// Older ones let reserved operands of reductions and widening instructions pass, for one.
constexpr int oldest_qemu = 11;

// The first number that the program says of its version; 0 if it says none.
int major_version(const std::string& qemu) {
    const std::unique_ptr<FILE, int (*)(FILE*)> said(popen(fmt::format("'{}' --version", qemu).c_str(), "r"), pclose);
    int version = 0;
    if (said == nullptr || std::fscanf(said.get(), "%*s version %d", &version) != 1) return 0;
    return version;
}

int usage(const std::string& why) {
    fmt::print(
        stderr,
        "{}\nusage: lockstep_qemu_user [--qemu PROGRAM] [--guest PROGRAM] [--xlen 64|32] [--vlen "
        "0|128|256|512|1024] [--extensions I,M,V,...]\n"
        "         [--only PREFIX] [--length N] [--reserved PERCENT] [--states N] [--jit off|quick|full] [--jit-cache "
        "SIZE]\n"
        "         [--instructions N] [--seconds N] [--seed N] [--report N] [--coverage yes] [--cpu PROPERTIES]\n",
        why);
    return 2;
}

}  // namespace

int main_program(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; i += 2) {
        const std::string name = arguments[i];
        if (i + 1 == count) return usage(name + ": has no value");
        const std::string value = arguments[i + 1];
        const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 0); };
        if (name == "--qemu")
            options.qemu = value;
        else if (name == "--guest")
            options.guest = value;
        else if (name == "--cpu")
            options.cpu = value;
        else if (name == "--xlen")
            options.generator.xlen = static_cast<unsigned>(number());
        else if (name == "--vlen")
            options.generator.vlen = static_cast<unsigned>(number());
        else if (name == "--only")
            options.generator.only = value;
        else if (name == "--length")
            options.generator.longest = std::max(1u, static_cast<unsigned>(number()));
        else if (name == "--reserved")
            options.generator.reserved_percent = static_cast<unsigned>(number());
        else if (name == "--instructions")
            options.instructions = number();
        else if (name == "--seconds")
            options.seconds = number();
        else if (name == "--seed")
            options.seed = number();
        else if (name == "--coverage")
            options.coverage = value == "yes";
        else if (name == "--states")
            options.states = number();
        else if (name == "--jit-cache") {
            const auto size = native::parse_size("--jit-cache", value);
            if (!size) return usage(size.error().message);
            options.jit_cache = *size;
        } else if (name == "--jit") {
            const auto found = std::find(std::begin(jit::tier_names), std::end(jit::tier_names), value);
            if (found != std::end(jit::tier_names))
                options.jit = static_cast<jit::Tier>(found - std::begin(jit::tier_names));
            else if (value != "off")
                return usage("--jit: is off, quick or full");
        } else if (name == "--report")
            options.report = static_cast<unsigned>(number());
        else if (name == "--extensions") {
            for (usize at = 0; at <= value.size();) {
                const usize end = std::min(value.find(',', at), value.size());
                options.generator.extensions.insert(value.substr(at, end - at));
                at = end + 1;
            }
        } else
            return usage(name + ": is not an option");
    }
    if (options.generator.xlen != 64 && options.generator.xlen != 32) return usage("--xlen: is 64 or 32");
    const unsigned vlen = options.generator.vlen;
    if (vlen != 0 && (vlen < 128 || vlen > 1024 || !is_power_of_two(vlen)))
        return usage("--vlen: is 0, 128, 256, 512 or 1024");
    // Code that has been translated twice is executed some times more.
    if (options.states == 0) options.states = options.jit ? 8 : 1;
    if (options.states > Batch::size || !is_power_of_two(options.states))
        return usage(fmt::format("--states: is a power of two of at most {}", Batch::size));
    if (options.jit_cache < page_size || options.jit_cache > u64{1} << 30 || options.jit_cache % page_size != 0)
        return usage("--jit-cache: is a multiple of 4K, 1G at most");
    if (options.qemu.empty()) options.qemu = peers_folder() + fmt::format("/bin/qemu-riscv{}", options.generator.xlen);
#ifdef VIV_LOCKSTEP_GUESTS
    if (options.guest.empty()) options.guest = fmt::format("{}/guest{}", VIV_LOCKSTEP_GUESTS, options.generator.xlen);
#endif
    for (const std::string& file : {options.qemu, options.guest})
        if (!std::filesystem::exists(file)) {
            fmt::print("skipped: \"{}\" is absent\n", file);
            return 77;
        }
    if (const int version = major_version(options.qemu); version < oldest_qemu) {
        fmt::print("skipped: \"{}\" is QEMU {}; {} is the first without known mistakes in vector instructions\n",
                   options.qemu, version, oldest_qemu);
        return 77;
    }
    auto peer = Peer::start({options.qemu, "-cpu", cpu_of(options), options.guest}, options.shared_folder);
    if (!peer) {
        fmt::print(stderr, "{}\n", peer.error().message);
        return 1;
    }
    Fuzzer fuzzer(options, std::move(peer).value());
    const auto translated = fuzzer.translate();
    if (!translated) {
        fmt::print(stderr, "{}\n", translated.error().message);
        return 1;
    }
    if (!*translated) {
        fmt::print("skipped: nothing makes code for this host\n");
        return 77;
    }
    return fuzzer.run();
}

}  // namespace viv::lockstep

int main(int count, char** arguments) { return viv::lockstep::main_program(count, arguments); }
