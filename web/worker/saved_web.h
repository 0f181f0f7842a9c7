// Saved machines between the engine and JavaScript: files and chunks that the page holds or fetches, and bytes on their
// way out to it.
// Promises: what JavaScript gives is copied at once and never believed (state/file.h checks it); an error that it
// throws is the error's one line.
#pragma once

#include <memory>
#include <vector>

#include "engine/state/file.h"

namespace viv::web {

// The object that web/js/engine.mjs has put down under this number: {size, read, chunk}, as described there.
// Near, if the machine's chunks are inside of the file.
Result<std::shared_ptr<state::Source>> open_source(u32 number);

// The file of such an object alone, and why its last call has failed.
std::unique_ptr<host::File> open_source_file(u32 number);
Error source_problem(u32 number);

// A file while it is being written: its bytes until JavaScript takes them, and how it has ended.
struct SavedOutput {
    enum class Progress : u8 { none, under_way, complete, failed } progress = Progress::none;
    std::vector<u8> bytes;
    std::string problem;  // of `failed`
};

// Writes there; `output` outlives it.
std::unique_ptr<ByteSink> make_sink(SavedOutput& output);

}  // namespace viv::web
