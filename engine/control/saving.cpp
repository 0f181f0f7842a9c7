// See saving.h.
#include "engine/control/saving.h"

#include <fmt/format.h>

namespace viv {

namespace {

constexpr u64 first_step_pages = 512;        // about a millisecond
constexpr u64 first_step_pages_alone = 128;  // some milliseconds, when the step has to compress them itself

}  // namespace

Saving::Saving(Machine::Implementation& machine, ByteSink& sink, Machine::Moment moment)
    : machine_(machine),
      moment_(std::move(moment)),
      writer_(sink),
      memory_(machine.board->memory(), machine.cpus, pipeline_),
      pipeline_(writer_, saved_chunk_size, machine.host.threads),
      step_pages_(machine.host.threads != nullptr ? first_step_pages : first_step_pages_alone),
      next_growth_(machine.board->memory().ram_size() / page_size) {
    if (auto begun = writer_.begin(); !begun.ok()) problem_ = begun.error();
}

std::optional<Result<void>> Saving::advance() {
    if (wants_steps()) step();
    if (problem_) return Result<void>(*problem_);
    return pipeline_.result();
}

void Saving::step() {
    if (state_taken_) return step_overlay() ? void() : finish_table();
    if (!memory_.step(step_pages_)) return step_blob() ? void() : take_state();
    if (memory_.taken() < next_growth_) return;
    next_growth_ += memory_.taken();
    step_pages_ *= 2;
}

// False: there was nothing left to do.
bool Saving::step_blob() {
    while (blob_ < blob_slots.size() && !(machine_.board->config().*blob_slots[blob_].in_config)) blob_++;
    if (blob_ == blob_slots.size()) return false;
    if (!blob_content_) {
        auto content = BlobContent::of(*(machine_.board->config().*blob_slots[blob_].in_config));
        if (!content.ok()) {
            problem_ = Error{
                fmt::format("the {} could not be read again: {}", blob_slots[blob_].what, content.error().message)};
            return true;
        }
        blob_content_ = std::move(content).value();
        loaded_ = {};
        loaded_.file = blob_content_->bytes();
    }
    if (memory_.step_loaded(loaded_, step_pages_)) return true;
    table_.blobs[blob_++] = std::move(loaded_.saved);
    blob_content_.reset();
    return true;
}

Result<void> Saving::finish() {
    while (!problem_ && !all_taken_) step();
    if (problem_) return *problem_;
    pipeline_.wait();
    return *pipeline_.result();
}

void Saving::take_state() {
    state_taken_ = true;
    if (moment_)
        if (auto done = moment_(); !done.ok()) {
            problem_ = done.error();
            return;
        }
    table_.pages_in_chunk = saved_pages_in_chunk;
    machine_.describe(table_.head);
    table_.components = memory_.add(machine_.save_components());
    memory_.step(~u64{0});
    table_.regions = memory_.regions();
    if (auto taken = take_overlays(); !taken.ok()) problem_ = taken.error();
}

Result<void> Saving::take_overlays() {
    for (usize i = 0; i < machine_.plugged.size(); i++) {
        block::Disk* const disk = machine_.plugged[i].disk;
        block::TemporaryOverlay* const overlay = disk != nullptr ? disk->temporary() : nullptr;
        if (overlay == nullptr) continue;
        TRY_SET(auto saver, OverlaySaver::of(static_cast<u32>(i), *overlay));
        overlays_.push_back(std::move(saver));
    }
    return {};
}

// False: there was nothing left to do.
bool Saving::step_overlay() {
    if (overlays_.empty()) return false;
    if (overlays_.back().step(memory_, step_pages_)) return true;
    table_.overlays.push_back(overlays_.back().take());
    overlays_.pop_back();
    return true;
}

void Saving::finish_table() {
    all_taken_ = true;
    memory_.finish();
    pipeline_.finish([this](const ChunkPipeline::Numbers& numbers) {
        table_.chunks = numbers;
        std::vector<u8> bytes;
        Archive archive = Archive::saver(bytes);
        table_.state(archive);
        return writer_.finish(bytes);
    });
}

}  // namespace viv
