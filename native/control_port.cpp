// Sessions and their streams. See control_port.h.
#include "native/control_port.h"

#include <utility>

namespace viv::native {

ControlPort::ControlPort(std::unique_ptr<StreamSource> source, Accept accept)
    : source_(std::move(source)), accept_(std::move(accept)) {}
ControlPort::ControlPort(std::unique_ptr<ByteStream> stream, Accept accept)
    : stream_(std::move(stream)), accept_(std::move(accept)) {}

void ControlPort::hand_over() {
    const usize taken = stream()->write({reinterpret_cast<const u8*>(replies_.data()), replies_.size()});
    replies_.erase(0, taken);
}

usize ControlPort::output_pending() const {
    const ByteStream* stream = source_ ? std::as_const(*source_).stream() : stream_.get();
    return stream == nullptr ? 0 : replies_.size() + stream->output_pending();
}

void ControlPort::service() {
    if (ended_) return;
    if (source_) source_->service();
    if (stream() == nullptr) return;
    if (!session_) {
        replies_.clear();
        session_ = accept_([this](std::string_view text) { replies_ += text; });
    }
    const auto input = stream()->input();
    if (!input.empty() && replies_.empty()) {
        session_->receive(input);
        stream()->consume(input.size());
    }
    if (replies_.empty()) session_->service();
    hand_over();
    stream()->service();
    const bool over = session_->ended() || stream()->output_ended() || (stream()->input_ended() && replies_.empty());
    if (!over && replies_.size() <= reply_limit) return;
    session_.reset();
    if (source_)
        source_->disconnect();
    else
        ended_ = true;
}

}  // namespace viv::native
