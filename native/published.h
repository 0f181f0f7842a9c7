// Published machines: a folder with an index (NAME.viv) and the chunks that it names, each a file of its own that is
// called by the hash of its content, for any web server that can serve files; and opening them, as well as whole saved
// machines, from this host or by URL. Chunks: DIR/chunks/xx/HASH, xx being the first two digits of the hash.
// Promises: the content of each chunk is checked by whoever reads it; chunks that are there already are not written
// again, so that machines that have much in common share it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/state/file.h"
#include "native/arrival.h"
#include "native/chunk_folder.h"

namespace viv::native {

inline constexpr std::string_view usual_published_name = "machine";

// What `name` leads to: a saved file, a folder with a published machine, or a URL of either (a URL that ends with a
// slash is a folder's). `who` begins the error: "--restore".
Result<std::shared_ptr<state::Source>> open_saved(std::string_view who, const std::string& name);
// Looks only: could it be one, if it is no URL?
Result<void> check_saved(std::string_view who, const std::string& name);

// Writes the saved machine `from` into `folder`, which is made if it is missing, as NAME.viv. Chunks are compressed
// better than a machine in a hurry does it. `progress` is told of each chunk, and how many there are; false: stop.
Result<Published> publish(const std::string& from, const std::string& folder, const std::string& name,
                          const std::function<bool(u64 done, u64 all)>& progress);
// The machine that is published there, as if it were behind a URL.
Result<std::shared_ptr<state::Source>> open_as_far(const std::string& folder, const std::string& name);
// NAME.first is a pack of the chunks that a machine asks for first (arrival.h): who fetches it need not fetch those one
// by one.
// Without chunks it is removed.
Result<void> publish_first(const std::string& folder, const std::string& name, const KeptChunks& first);
// Of the machine behind this URL; empty if there is none.
std::vector<u8> fetch_first(const std::string& url);

}  // namespace viv::native
