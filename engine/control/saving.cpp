// See saving.h.
#include "engine/control/saving.h"

#include "engine/lang/check.h"

namespace viv {

namespace {

constexpr u64 first_step_pages = 512;  // about a millisecond

}  // namespace

Saving::Saving(Machine::Implementation& machine, ByteSink& sink)
    : machine_(machine),
      writer_(sink),
      memory_(machine.board->memory(), machine.cpus, pipeline_),
      pipeline_(writer_, machine.host.threads),
      step_pages_(first_step_pages),
      next_growth_(machine.board->memory().ram_size() / page_size) {
    if (auto begun = writer_.begin(); !begun.ok()) problem_ = begun.error();
}

std::optional<Result<void>> Saving::advance() {
    if (problem_) return Result<void>(*problem_);
    if (wants_steps()) {
        if (!memory_.step(step_pages_)) {
            take_state();
        } else if (memory_.taken() >= next_growth_) {
            next_growth_ += memory_.taken();
            step_pages_ *= 2;
        }
    }
    return pipeline_.result();
}

Result<void> Saving::finish() {
    if (problem_) return *problem_;
    if (!state_taken_) take_state();
    pipeline_.wait();
    return *pipeline_.result();
}

void Saving::take_state() {
    state_taken_ = true;
    machine_.describe(table_.head);
    const BoardConfig& made_with = machine_.board->config();
    for (usize i = 0; i < blob_slots.size(); i++)
        if (const auto& blob = made_with.*blob_slots[i].in_config) table_.blobs[i] = memory_.add(blob->bytes);
    table_.components = memory_.add(machine_.save_components());
    memory_.finish();
    table_.regions = memory_.regions();
    pipeline_.finish([this](const ChunkPipeline::Numbers& numbers) {
        for (const u64 place : memory_.chunks()) table_.chunks.push_back(numbers[static_cast<usize>(place)]);
        std::vector<u8> bytes;
        Archive archive = Archive::saver(bytes);
        table_.state(archive);
        return writer_.finish(bytes);
    });
}

}  // namespace viv
