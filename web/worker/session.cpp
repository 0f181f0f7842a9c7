// See session.h.
#include "web/worker/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace viv::web {

namespace {

// Deterministic machines see input at the ends of slices, so those must depend on instructions alone.
constexpr u64 deterministic_slice = 1'000'000;
constexpr u64 unlimited_instructions = u64{1} << 40;

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

Result<void> Session::make(MachineConfig config) {
    config.board.serials.push_back(&serial_);
    TRY_SET(machine_, Machine::create(std::move(config), {memory_, clock_, entropy_, log_, nullptr, &code_memory_}));
    return {};
}

void Session::connect() {
    serial_.attach(machine_->board().serial(0));
    for (const Port& port : ports_) port.stream->attach(machine_->board().console_port(port.name));
    network_.follow(*machine_);
}

Result<void> Session::start(std::string_view description) {
    if (machine_ != nullptr) return Error{"the machine: has been started already"};
    TRY_SET(auto config, read_description(description, files_, name_, {ports_, network_, disks_}));
    TRY(make(std::move(config)));
    connect();
    return {};
}

Result<Hash128> Session::look(u32 number) {
    if (machine_ != nullptr) return Error{"the machine: has been started already"};
    TRY_SET(source_, open_source(number));
    TRY_SET(head_, Machine::read_head(source_));
    return head_->identity;
}

Result<void> Session::open(std::string_view wishes) {
    if (machine_ != nullptr) return Error{"the machine: has been started already"};
    if (!head_) return Error{"the machine: there is no saved one to open"};
    TRY_SET(auto config,
            describe_saved(std::move(*std::exchange(head_, std::nullopt)), wishes, {ports_, network_, disks_}));
    name_ = config.board.machine;
    TRY(make(std::move(config)));
    if (auto opened = machine_->open(std::move(source_)); !opened.ok()) {
        machine_.reset();
        return opened;
    }
    connect();
    machine_->resume();
    return {};
}

WebSerial* Session::stream(unsigned number) {
    if (number == 0) return &serial_;
    return number <= ports_.size() ? ports_[number - 1].stream.get() : nullptr;
}

Result<void> Session::begin_save() {
    if (machine_->state() == RunState::powered_off) return Error{"the machine is off, and cannot be saved"};
    using Progress = SavedOutput::Progress;
    if (saved_.progress != Progress::under_way) saved_ = {};
    TRY(machine_->begin_save(make_sink(saved_), [this](const Result<void>& result) {
        saved_.progress = result.ok() ? Progress::complete : Progress::failed;
        if (!result.ok()) saved_.problem = result.error().message;
    }));
    saved_.progress = Progress::under_way;
    return {};
}

double Session::run(double milliseconds, u64 last_instruction) {
    const u64 end_ns = clock_.monotonic_ns() + static_cast<u64>(std::max(milliseconds, 0.0) * 1e6);
    network_.flush();
    const bool deterministic = machine_->config().determinism == Determinism::deterministic;
    while (true) {
        if (machine_->state() == RunState::powered_off) return -1;
        const u64 now_ns = clock_.monotonic_ns(), done = machine_->instructions();
        // A machine that has come to the last instruction is still saved to the end.
        const bool saving = saved_.progress == SavedOutput::Progress::under_way;
        if (machine_->state() == RunState::paused && !saving) return std::numeric_limits<double>::infinity();
        if (now_ns >= end_ns || (done >= last_instruction && !saving)) return 0;
        Machine::Slice slice;
        // The machine and its saving share the time.
        slice.host_ns = saving ? (end_ns - now_ns) / 2 : end_ns - now_ns;
        slice.instructions = deterministic ? deterministic_slice - done % deterministic_slice : unlimited_instructions;
        slice.instructions = std::min(slice.instructions, last_instruction - std::min(done, last_instruction));
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
