// A machine on its way into a file while it runs. Memory goes out in small steps between slices, and what is written
// meanwhile once more; the step that finds nothing else takes the state of everything else with it, which is the moment
// that the file holds. What temporary disks held then goes out after it. Compressing and writing go on beside the
// machine. Promises: the machine stands still for a few milliseconds at a time; a guest that writes faster than steps
// go is given longer ones until they suffice.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "engine/control/implementation.h"
#include "engine/control/memory_saver.h"
#include "engine/control/saved_overlay.h"
#include "engine/control/saved_table.h"

namespace viv {

class Saving {
public:
    // `sink` is used until there is a result. Everything is called while no CPU runs.
    Saving(Machine::Implementation& machine, ByteSink& sink, Machine::Moment moment);
    Saving(const Saving&) = delete;
    Saving& operator=(const Saving&) = delete;

    // One step. The result, once the file is complete or cannot be.
    std::optional<Result<void>> advance();
    // Whether a step would do something now, or the threads are to be waited for.
    bool wants_steps() const { return !all_taken_ && !problem_ && pipeline_.wants_more(); }
    // All that is left, at once.
    Result<void> finish();

private:
    void step();
    bool step_blob();
    void take_state();
    Result<void> take_overlays();
    bool step_overlay();
    void finish_table();

    Machine::Implementation& machine_;
    Machine::Moment moment_;
    state::FileWriter writer_;
    SavedTable table_;
    MemorySaver memory_;
    ChunkPipeline pipeline_;  // behind what its threads use
    usize blob_ = 0;          // of blob_slots, which comes next or is under way
    std::optional<BlobContent> blob_content_;
    MemorySaver::Loaded loaded_;
    u64 step_pages_, next_growth_;
    bool state_taken_ = false;            // the moment has been
    std::vector<OverlaySaver> overlays_;  // of it, that have not been written
    bool all_taken_ = false;
    std::optional<Error> problem_;
};

}  // namespace viv
