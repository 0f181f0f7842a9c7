// See session.h.
#include "web/worker/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace viv::web {

namespace {

using Json = nlohmann::json;

// Deterministic machines see input at the ends of slices, so those must depend on instructions alone.
constexpr u64 deterministic_slice = 1'000'000;
constexpr u64 usual_jit_cache = u64{32} << 20;
constexpr u64 unlimited_instructions = u64{1} << 40;

Error wrong(std::string_view field, std::string_view what) { return Error{fmt::format("{}: {}", field, what)}; }

Result<void> read_text(const Json& value, std::string_view field, std::string& into) {
    if (!value.is_string()) return wrong(field, "must be a string");
    into = value.get<std::string>();
    return {};
}

Result<void> read_number(const Json& value, std::string_view field, u64 least, u64 most, u64& into) {
    if (!value.is_number_unsigned() || value.get<u64>() < least || value.get<u64>() > most)
        return wrong(field, fmt::format("must be a whole number from {} to {}", least, most));
    into = value.get<u64>();
    return {};
}

}  // namespace

Session::Session() = default;
Session::~Session() = default;

std::string_view Session::version() {
#ifdef VIV_VERSION
    return VIV_VERSION;
#else
    return "0.0.0";
#endif
}

u8* Session::make_file(std::string name, u64 size) {
    if (!fits_in_memory(size)) return nullptr;
    auto& bytes = files_[std::move(name)];
    bytes.assign(static_cast<usize>(size), 0);
    return bytes.data();
}

Result<MachineConfig> Session::read(std::string_view description) {
    const Json all = Json::parse(description, nullptr, false);
    if (!all.is_object()) return Error{"the machine's description: is no JSON object"};
    MachineConfig config;
    BoardConfig& board = config.board;
    board.jit_cache = usual_jit_cache;
    for (const auto& [field, value] : all.items()) {
        const auto take_file = [&, name = &field, from = &value](std::optional<Blob>& into) -> Result<void> {
            std::string file;
            TRY(read_text(*from, *name, file));
            const auto found = files_.find(file);
            if (found == files_.end()) return wrong(*name, fmt::format("there is no file called '{}'", file));
            into = Blob{file, std::move(found->second)};
            files_.erase(found);
            return {};
        };
        u64 number = 0;
        if (field == "name") {
            TRY(read_text(value, field, name_));
        } else if (field == "board") {
            TRY(read_text(value, field, board.machine));
        } else if (field == "cpu") {
            TRY(read_text(value, field, board.cpu));
        } else if (field == "append") {
            TRY(read_text(value, field, board.append));
        } else if (field == "memory") {
            TRY(read_number(value, field, 1 << 20, std::numeric_limits<u32>::max(), board.memory));
            if (board.memory % 4096 != 0) return wrong(field, "must be a multiple of 4096");
        } else if (field == "cpus") {
            TRY(read_number(value, field, 1, 64, number));
            board.cpus = static_cast<unsigned>(number);
        } else if (field == "seed") {
            TRY(read_number(value, field, 0, ~u64{0}, config.seed));
        } else if (field == "jitCache") {
            TRY(read_number(value, field, 1 << 16, u64{1} << 30, number));
            if (number % 4096 != 0) return wrong(field, "must be a multiple of 4096");
            board.jit_cache = number;
        } else if (field == "jit") {
            std::string tier;
            TRY(read_text(value, field, tier));
            const auto found = std::find(jit_names.begin(), jit_names.end(), tier);
            if (found == jit_names.end()) return wrong(field, "must be \"off\", \"quick\" or \"full\"");
            board.jit = static_cast<Jit>(found - jit_names.begin());
        } else if (field == "deterministic") {
            if (!value.is_boolean()) return wrong(field, "must be true or false");
            config.determinism = value.get<bool>() ? Determinism::deterministic : Determinism::live;
        } else if (field == "kernel") {
            TRY(take_file(board.kernel));
        } else if (field == "initrd") {
            TRY(take_file(board.initrd));
        } else if (field == "bios") {
            TRY(take_file(board.bios));
        } else {
            return wrong(field, "is no field of a machine's description");
        }
    }
    TRY_SET(const BoardKind* kind, find_board(board.machine));
    if (board.cpus > kind->maximum_cpus)
        return wrong("cpus", fmt::format("{} has at most {}", kind->name, kind->maximum_cpus));
    return config;
}

Result<void> Session::start(std::string_view description) {
    if (machine_ != nullptr) return Error{"the machine: has been started already"};
    TRY_SET(auto config, read(description));
    config.board.serials.push_back(&serial_);
    TRY_SET(machine_, Machine::create(std::move(config), {memory_, clock_, entropy_, log_, nullptr, &code_memory_}));
    serial_.attach(machine_->board().serial(0));
    qmp_ = std::make_unique<QmpSession>(*machine_, *this, [this](std::string_view bytes) { answers_ += bytes; });
    qmp_->start();
    return {};
}

double Session::run(double milliseconds, u64 last_instruction) {
    const u64 end_ns = clock_.monotonic_ns() + static_cast<u64>(std::max(milliseconds, 0.0) * 1e6);
    const bool deterministic = machine_->config().determinism == Determinism::deterministic;
    while (true) {
        if (machine_->state() == RunState::powered_off) return -1;
        const u64 now_ns = clock_.monotonic_ns(), done = machine_->instructions();
        if (now_ns >= end_ns || done >= last_instruction) return 0;
        Machine::Slice slice;
        slice.host_ns = end_ns - now_ns;
        slice.instructions = deterministic ? deterministic_slice - done % deterministic_slice : unlimited_instructions;
        slice.instructions = std::min(slice.instructions, last_instruction - done);
        const Machine::Ran ran = machine_->run(slice);
        if (ran.state == RunState::powered_off) return -1;
        if (ran.idle)
            return ran.idle_ns == ~u64{0} ? std::numeric_limits<double>::infinity()
                                          : static_cast<double>(ran.idle_ns) / 1e6;
    }
}

Result<std::unique_ptr<ByteSink>> Session::create_file(std::string_view path) {
    return Error{fmt::format("{}: there are no files to write to in a page", path)};
}

}  // namespace viv::web
