// See saving.h.
#include "engine/control/saving.h"

#include <fmt/format.h>

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
    if (wants_steps()) step();
    if (problem_) return Result<void>(*problem_);
    return pipeline_.result();
}

void Saving::step() {
    if (!memory_.step(step_pages_)) return blobs_added_ < blob_slots.size() ? add_blob() : take_state();
    if (memory_.taken() < next_growth_) return;
    next_growth_ += memory_.taken();
    step_pages_ *= 2;
}

void Saving::add_blob() {
    const usize slot = blobs_added_++;
    const auto& blob = machine_.board->config().*blob_slots[slot].in_config;
    if (!blob) return;
    const auto content = BlobContent::of(*blob);
    if (content.ok())
        table_.blobs[slot] = memory_.add_loaded(content.value().bytes());
    else
        problem_ = Error{fmt::format("the {} could not be read again: {}", blob_slots[slot].what, content.error().message)};
}

Result<void> Saving::finish() {
    while (!problem_ && !state_taken_) step();
    if (problem_) return *problem_;
    pipeline_.wait();
    return *pipeline_.result();
}

void Saving::take_state() {
    state_taken_ = true;
    machine_.describe(table_.head);
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
