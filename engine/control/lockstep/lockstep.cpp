// Stepping, comparing and keeping checkpoints. See lockstep.h; the search is in search.cpp.
#include "engine/control/lockstep/lockstep.h"

namespace viv::lockstep {

Result<void> Lockstep::power_on() {
    tape_.entries.clear();
    kept_.clear();
    comparisons_ = memory_comparisons_ = alike_at_ = 0;
    return twins_.power_on();
}

void Lockstep::type(unsigned port, std::span<const u8> bytes) {
    if (bytes.empty()) return;
    tape_.entries.push_back({twins_.stops(), port, {bytes.begin(), bytes.end()}});
    twins_.type(port, bytes);
}

// Saving costs about what some hundred million instructions do, so checkpoints lie the further apart the longer it
// runs.
Result<void> Lockstep::keep() {
    const u64 now = twins_.instructions();
    if (settings_.checkpoints == Settings::Checkpoints::none) return {};
    if (!kept_.empty() && now < kept_.back().checkpoint.instructions * 5 / 4) return {};
    TRY_SET(auto checkpoint, twins_.save());
    if (kept_.size() == 2) kept_.erase(kept_.begin());
    kept_.push_back({std::move(checkpoint), tape_.entries.size()});
    return {};
}

Result<bool> Lockstep::same_memory() {
    memory_comparisons_++;
    if (!twins_.same_memory()) return false;
    alike_at_ = twins_.instructions();
    return true;
}

Result<Lockstep::Step> Lockstep::step() {
    Step step;
    step.at = twins_.advance(settings_.maximum);
    comparisons_++;
    step.alike = twins_.same_state();
    const bool end =
        step.at == Twins::At::cut || step.at == Twins::At::ended || twins_.instructions() >= settings_.maximum;
    if (step.alike && (end || comparisons_ % settings_.memory_every == 0)) {
        TRY_SET(step.alike, same_memory());
        if (step.alike && step.at == Twins::At::stop) TRY(keep());
    }
    if (step.at == Twins::At::stop && end) step.at = Twins::At::cut;
    return step;
}

}  // namespace viv::lockstep
