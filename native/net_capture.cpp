// The file behind a tap on a cable. See net_capture.h.
#include "native/net_capture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "native/descriptor.h"
#include "native/host_posix.h"
#include "native/program_host.h"

namespace viv::native {

namespace {

constexpr usize buffer_limit = 1 << 20;

class CaptureFile final : public net::FrameRecorder {
public:
    CaptureFile(Networks& networks, std::string where, Descriptor file)
        : where_(std::move(where)),
          log_(networks.log(), "capture"),
          file_(std::move(file)),
          hook_(
              networks.events(), [this] { flush(); }, [] {}),
          buffer_(net::PcapngWriter::head(fmt::format("viv {}", program_version()), where_)) {}
    ~CaptureFile() override { flush(); }
    CaptureFile(const CaptureFile&) = delete;
    CaptureFile& operator=(const CaptureFile&) = delete;

    void record(net::Passing direction, std::span<const u8> frame) override {
        if (!file_) return;
        net::PcapngWriter::append_frame(buffer_, direction, clock_.realtime_ns(), frame);
        if (buffer_.size() >= buffer_limit) flush();
    }

private:
    void flush() {
        for (std::span<const u8> rest = buffer_; file_ && !rest.empty();) {
            const ssize_t count = ::write(file_.number(), rest.data(), rest.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) {
                log_.error("{}: capture ends: {}", where_, error_text(errno));
                file_.reset();
                break;
            }
            rest = rest.subspan(static_cast<usize>(count));
        }
        buffer_.clear();
    }

    std::string where_;
    Log log_;
    Descriptor file_;
    WaitHook hook_;
    PosixClock clock_;
    std::vector<u8> buffer_;
};

}  // namespace

Result<std::unique_ptr<net::FrameRecorder>> open_capture(Networks& networks, std::string_view where,
                                                         const std::string& file) {
    // What passes may hold passwords: for this user alone.
    Descriptor opened(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600));
    if (!opened) return Error{fmt::format("{}: capture={}: {}", where, file, error_text(errno))};
    return std::unique_ptr<net::FrameRecorder>(
        std::make_unique<CaptureFile>(networks, std::string(where), std::move(opened)));
}

}  // namespace viv::native
