// See serial_web.h.
#include "web/worker/serial_web.h"

#include <algorithm>
#include <array>

namespace viv::web {

usize WebSerial::put(std::span<const u8> bytes) {
    const usize count = std::min(bytes.size(), output_limit - std::min(output_.size(), output_limit));
    output_.insert(output_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    refused_ = refused_ || count < bytes.size();
    return count;
}

void WebSerial::input_wanted() {
    wanted_ = true;
    offer();
}

void WebSerial::type(std::span<const u8> bytes) {
    typed_.insert(typed_.end(), bytes.begin(), bytes.end());
    offer();
}

void WebSerial::offer() {
    if (offering_) return;  // the device wants more from within its put(): the loop below sees it
    offering_ = true;
    while (wanted_ && device_ != nullptr && !typed_.empty()) {
        std::array<u8, 256> next;
        const usize size = std::min(next.size(), typed_.size());
        std::copy_n(typed_.begin(), size, next.begin());
        wanted_ = false;
        const usize count = std::min(device_->put(std::span(next).first(size)), size);
        typed_.erase(typed_.begin(), typed_.begin() + static_cast<std::ptrdiff_t>(count));
        if (count == size) wanted_ = true;
    }
    offering_ = false;
}

std::span<const u8> WebSerial::take_output() {
    taken_.clear();
    taken_.swap(output_);
    if (refused_ && device_ != nullptr) {
        refused_ = false;
        device_->room_for_output();
    }
    return taken_;
}

}  // namespace viv::web
