// Putting messages together, limits and the services. See client.h.
#include "netbridge/client.h"

#include "engine/net/net.h"

namespace viv::netbridge {

namespace {

// What a client may always have waiting, also when all together have too much.
constexpr usize share_of_each = 64 << 10;
constexpr usize crumb = 512;

}  // namespace

Client::Client(const Relay& relay, AddressTable::Usage& usage, Wire& wire)
    : relay_(relay),
      usage_(usage),
      wire_(wire),
      frames_(relay.limits.frames, relay.now_ns),
      bytes_(relay.limits.bytes, relay.now_ns),
      outbox_(relay.limits.queue_bytes, relay.limits.queue_messages),
      heard_ns_(relay.now_ns),
      moved_ns_(relay.now_ns) {}

Client::~Client() { relay_.budget.used -= outbox_.bytes(); }

std::optional<Ended> Client::receive(std::span<const u8> piece, Place place, Form form) {
    const u64 now_ns = relay_.now_ns;
    relay_.metrics.bytes_in += piece.size();
    bytes_.take(piece.size(), now_ns);
    usage_.bytes.take(piece.size(), now_ns);
    if (form == Form::text) return Ended::malformed;
    if (!service_) return Ended::malformed;
    if (assembled_.size() + piece.size() > service_->longest()) return Ended::oversize;
    if (place == Place::inside) {
        assembled_.insert(assembled_.end(), piece.begin(), piece.end());
        // Messages in crumbs would cost their sender less than they cost here.
        if (piece.size() < crumb) {
            frames_.take(1, now_ns);
            usage_.frames.take(1, now_ns);
        }
        return std::nullopt;
    }
    std::span<const u8> whole = piece;
    if (!assembled_.empty()) {
        assembled_.insert(assembled_.end(), piece.begin(), piece.end());
        whole = assembled_;
    }
    heard_ns_ = now_ns;
    relay_.metrics.frames_in++;
    frames_.take(1, now_ns);
    usage_.frames.take(1, now_ns);
    const bool good = service_->message(whole);
    assembled_.clear();
    return good ? std::nullopt : std::optional(Ended::malformed);
}

u64 Client::wait_ns() {
    const u64 now_ns = relay_.now_ns;
    return std::max(
        {frames_.wait_ns(now_ns), bytes_.wait_ns(now_ns), usage_.frames.wait_ns(now_ns), usage_.bytes.wait_ns(now_ns)});
}

bool Client::put(SharedMessage message) {
    const usize size = message->size();
    if (relay_.budget.over(size) && outbox_.bytes() + size > share_of_each) return false;
    if (outbox_.empty()) moved_ns_ = relay_.now_ns;
    if (!outbox_.put(std::move(message))) return false;
    relay_.budget.used += size;
    if (outbox_.half_full()) waiting_for_drain_ = true;
    wire_.want_write();
    return true;
}

SharedMessage Client::next() {
    if (outbox_.empty()) return nullptr;
    auto message = outbox_.take();
    relay_.budget.used -= message->size();
    relay_.metrics.frames_out++;
    relay_.metrics.bytes_out += message->size();
    moved_ns_ = relay_.now_ns;
    if (waiting_for_drain_ && outbox_.nearly_empty()) {
        waiting_for_drain_ = false;
        if (service_) service_->drained();
    }
    if (service_) service_->sent();
    return message;
}

std::unique_ptr<RoomService> RoomService::enter(Client& client, Rooms& rooms, const std::string& name) {
    std::unique_ptr<RoomService> service(new RoomService(client, rooms));
    service->room_ = rooms.enter(name, *service);
    if (service->room_ == nullptr) return nullptr;
    return service;
}

RoomService::~RoomService() {
    if (room_ != nullptr) rooms_.leave(*room_, *this);
}

usize RoomService::longest() const { return net::largest_frame; }

bool RoomService::message(std::span<const u8> bytes) {
    count(client_.relay().metrics, room_->forward(*this, bytes, client_.relay().now_ns));
    return true;
}

void RoomService::give(const SharedMessage& frame, u64) {
    if (!client_.put(frame)) client_.relay().metrics.drop(Dropped::queue_full);
}

WispService::WispService(Client& client, wisp::StreamOpener& opener, wisp::Version version)
    : client_(client), session_(*this, opener, client.relay().budget, version, client.relay().limits.streams) {}

bool WispService::message(std::span<const u8> bytes) { return session_.receive(bytes); }

// Nothing of a stream may be missing. Who lets so much wait that even what is small finds no room, does not read.
void WispService::send(SharedMessage message) {
    if (!client_.put(std::move(message))) client_.end(Ended::stalled);
}

}  // namespace viv::netbridge
