// Whole files that the user names: kernels and firmware to read, saved machines to write and read.
// Promises: only regular files are read, and only up to a limit; a file being written has a temporary name in the same
// folder until it is complete and durable, and is gone if it never becomes so; errors name the file and, where given,
// the option.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/board/board.h"
#include "engine/state/file.h"
#include "native/descriptor.h"

namespace viv::native {

// `who` begins the message: an option, or empty.
Result<Blob> read_blob(std::string_view who, const std::string& path, u64 limit);
Result<std::optional<std::vector<u8>>> read_file_if_present(const std::string& path, u64 limit);

// Could a file of this name be read or written? Looks only.
Result<void> check_readable(std::string_view who, const std::string& path);
Result<void> check_writable(std::string_view who, const std::string& path);

class FileSink final : public ByteSink {
public:
    enum class Readers : u8 { owner, all };     // guest memory may hold secrets: usually for this user only
    enum class Durable : u8 { at_end, later };  // later: whenever the host gets to it
    static Result<std::unique_ptr<FileSink>> create(std::string_view who, const std::string& path,
                                                    Readers readers = Readers::owner,
                                                    Durable durable = Durable::at_end);
    ~FileSink() override;
    Result<void> write(std::span<const u8> bytes) override;
    Result<void> finish() override;

private:
    FileSink(std::string who, std::string path, std::string temporary, Descriptor file, Durable durable)
        : who_(std::move(who)),
          path_(std::move(path)),
          temporary_(std::move(temporary)),
          file_(std::move(file)),
          durable_(durable) {}
    Error failure(std::string_view action, int error_number) const;

    std::string who_, path_, temporary_;
    Descriptor file_;
    Durable durable_;
    bool finished_ = false;
};

}  // namespace viv::native
