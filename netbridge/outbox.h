// Messages that wait for a client to take them.
// Promises: memory is bounded by bytes and by number; a message for many clients exists once; order is kept; what finds
// no room is refused whole. Nothing here knows of sockets: `headroom` is what the library that writes wants in front.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::netbridge {

// Immutable but for the headroom, which whoever writes it may use.
class Message {
public:
    static constexpr usize headroom = 32;

    explicit Message(std::span<const u8> head, std::span<const u8> body = {})
        : storage_(headroom + head.size() + body.size()) {
        std::copy(body.begin(), body.end(), std::copy(head.begin(), head.end(), storage_.begin() + headroom));
    }
    std::span<const u8> bytes() const { return std::span(storage_).subspan(headroom); }
    u8* start() { return storage_.data() + headroom; }
    usize size() const { return storage_.size() - headroom; }

private:
    std::vector<u8> storage_;
};
using SharedMessage = std::shared_ptr<Message>;

// Bytes that wait anywhere in this relay, for all clients together.
struct Budget {
    u64 used = 0;
    u64 most = 512 << 20;
    bool over(usize more) const { return used + more > most; }
};

class Outbox {
public:
    Outbox(usize most_bytes, usize most_messages) : most_bytes_(most_bytes), most_messages_(most_messages) {}

    bool put(SharedMessage message) {
        // One message always fits, whatever its size: sizes are bounded where messages are made.
        if (!messages_.empty() && (bytes_ + message->size() > most_bytes_ || messages_.size() >= most_messages_))
            return false;
        bytes_ += message->size();
        messages_.push_back(std::move(message));
        return true;
    }
    SharedMessage take() {
        auto first = std::move(messages_.front());
        messages_.pop_front();
        bytes_ -= first->size();
        return first;
    }
    bool empty() const { return messages_.empty(); }
    // Whoever can make its source wait does so from here on, until the box is nearly empty.
    bool half_full() const { return bytes_ >= most_bytes_ / 2 || messages_.size() >= most_messages_ / 2; }
    bool nearly_empty() const { return bytes_ <= most_bytes_ / 8 && messages_.size() <= most_messages_ / 8; }
    usize bytes() const { return bytes_; }
    usize size() const { return messages_.size(); }

private:
    usize most_bytes_, most_messages_;
    std::deque<SharedMessage> messages_;
    usize bytes_ = 0;
};

}  // namespace viv::netbridge
