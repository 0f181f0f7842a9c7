// Hand-over between device and stream, with both sides' refusals remembered. See byte_port.h.
#include "native/byte_port.h"

#include <algorithm>

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
    connected_ = false;
    service();
}

usize SourcePort::accept(std::span<const u8> bytes) {
    auto* stream = source_->stream();
    return stream == nullptr ? bytes.size() : stream->write(bytes);
}

std::span<const u8> SourcePort::available() {
    auto* stream = source_->stream();
    return stream == nullptr ? std::span<const u8>{} : stream->input();
}

void SourcePort::taken(usize count) { source_->stream()->consume(count); }

void SourcePort::service() {
    source_->service();
    if (source_->lost()) source_->disconnect();
    const bool connected = source_->stream() != nullptr;
    if (connected != connected_ && device() != nullptr) {
        connected_ = connected;
        device()->host_connected(connected);
    }
    offer();
    if (!connected || source_->stream()->output_pending() < ByteStream::output_limit / 2) made_room();
}

}  // namespace viv::native
