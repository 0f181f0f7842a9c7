// Hand-over between device and stream, with both sides' refusals remembered. See byte_port.h.
#include "native/byte_port.h"

#include <algorithm>
#include <utility>

namespace viv::native {

usize BytePort::put(std::span<const u8> bytes) {
    const usize count = accept(bytes);
    refused_ = refused_ || count < bytes.size();
    return count;
}

void BytePort::input_wanted() {
    wanted_ = true;
    // At once and not at the next service(): a UART's FIFO holds 16 bytes, and a slice is long.
    offer();
}

void BytePort::offer() {
    if (offering_) return;  // the device wants more from within its put(): the loop below sees it
    offering_ = true;
    while (wanted_ && device_ != nullptr) {
        const auto bytes = available();
        if (bytes.empty()) break;
        wanted_ = false;
        const usize count = std::min(device_->put(bytes), bytes.size());
        taken(count);
        if (count == bytes.size()) wanted_ = true;
    }
    offering_ = false;
}

void BytePort::made_room() {
    if (!refused_ || device_ == nullptr) return;
    refused_ = false;
    device_->room_for_output();
}

void SourcePort::attach(ByteDevice* device) {
    BytePort::attach(device);
    // A console port believes in its host from the start.
    connected_ = true;
    service();
}

void SourcePort::open(std::unique_ptr<StreamSource> source) {
    source_ = std::move(source);
    service();
}

usize SourcePort::output_pending() const {
    const ByteStream* stream = source_ ? std::as_const(*source_).stream() : nullptr;
    return stream == nullptr ? 0 : stream->output_pending();
}

usize SourcePort::accept(std::span<const u8> bytes) {
    auto* stream = source_ ? source_->stream() : nullptr;
    return stream == nullptr ? bytes.size() : stream->write(bytes);
}

std::span<const u8> SourcePort::available() {
    auto* stream = source_ ? source_->stream() : nullptr;
    return stream == nullptr ? std::span<const u8>{} : stream->input();
}

void SourcePort::taken(usize count) { source_->stream()->consume(count); }

void SourcePort::service() {
    if (source_) {
        source_->service();
        if (source_->lost()) source_->disconnect();
    }
    auto* stream = source_ ? source_->stream() : nullptr;
    const bool connected = stream != nullptr;
    if (connected != connected_ && device() != nullptr) {
        connected_ = connected;
        device()->host_connected(connected);
    }
    offer();
    if (!connected || stream->output_pending() < ByteStream::output_limit / 2) made_room();
}

}  // namespace viv::native
