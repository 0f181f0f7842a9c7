// Packets, streams and flow control of WISP. See wisp.h.
#include "netbridge/wisp.h"

#include <algorithm>
#include <array>
#include <deque>

#include "engine/lang/bytes.h"

namespace viv::netbridge::wisp {

std::optional<Packet> parse_packet(std::span<const u8> bytes) {
    if (bytes.size() < head_size) return std::nullopt;
    if (bytes[0] < static_cast<u8>(PacketType::connect) || bytes[0] > static_cast<u8>(PacketType::info))
        return std::nullopt;
    return Packet{static_cast<PacketType>(bytes[0]), load_le<u32>(&bytes[1]), bytes.subspan(head_size)};
}

SharedMessage make_packet(PacketType type, u32 stream, std::span<const u8> payload) {
    std::array<u8, head_size> head{static_cast<u8>(type)};
    store_le<u32>(&head[1], stream);
    return std::make_shared<Message>(head, payload);
}

std::optional<ConnectRequest> parse_connect(std::span<const u8> payload) {
    constexpr usize fixed = 3;
    if (payload.size() <= fixed || payload.size() > fixed + longest_hostname) return std::nullopt;
    ConnectRequest request;
    if (payload[0] != static_cast<u8>(StreamKind::tcp) && payload[0] != static_cast<u8>(StreamKind::udp))
        return std::nullopt;
    request.kind = static_cast<StreamKind>(payload[0]);
    request.port = load_le<u16>(&payload[1]);
    if (request.port == 0) return std::nullopt;
    for (const u8 byte : payload.subspan(fixed)) {
        const char c = static_cast<char>(byte);
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                          c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
        if (!good) return std::nullopt;
        request.hostname += c;
    }
    // An IPv6 address as in a URL.
    if (request.hostname.size() > 2 && request.hostname.front() == '[' && request.hostname.back() == ']')
        request.hostname = request.hostname.substr(1, request.hostname.size() - 2);
    return request;
}

class Session::Stream final : public StreamEvents {
public:
    Stream(Session& session, u32 number, StreamKind kind) : session_(session), number_(number), kind_(kind) {}
    ~Stream() override { session_.unbuffered(waiting_bytes()); }

    void open(const ConnectRequest& request) {
        socket_ = session_.opener_.open(request, *this);
        if (session_.carrier_.choked()) socket_->set_reading(false);
    }
    usize waiting() const { return sizes_.size(); }

    // A packet of the client's; false if it is one too many.
    bool take(std::span<const u8> bytes) {
        if (kind_ == StreamKind::udp) {
            if (waiting() < buffered_packets) send(bytes);  // else it is lost, as UDP may be
            return true;
        }
        if (waiting() >= most_in_flight) return false;
        came_++;
        if (!bytes.empty()) send(bytes);
        tell();
        return true;
    }
    void set_reading(bool reading) { socket_->set_reading(reading); }

    void received(std::span<const u8> bytes) override {
        session_.carrier_.send(make_packet(PacketType::data, number_, bytes));
        if (session_.carrier_.choked()) socket_->set_reading(false);
    }
    void sent(usize packets) override {
        for (; packets > 0 && !sizes_.empty(); packets--) {
            session_.unbuffered(sizes_.front());
            sizes_.pop_front();
        }
        if (kind_ == StreamKind::tcp) tell();
    }
    void closed(CloseReason reason) override { session_.close_stream(number_, reason); }

private:
    void send(std::span<const u8> bytes) {
        sizes_.push_back(bytes.size());
        session_.buffered(bytes.size());
        socket_->send(bytes);
    }
    // A client that reads CONTINUE may send so many from then on, whatever it has sent that has not come yet. So it is
    // told before it has used up what it was told before, or it would wait, but not much before, or there would be no
    // bound to what is under way; and only if nearly all of what came has left.
    void tell() {
        if (came_ + buffered_packets / 2 < allowed_ || waiting() > buffered_packets / 2) return;
        allowed_ += buffered_packets;
        session_.go_on(number_, buffered_packets);
    }
    usize waiting_bytes() const {
        usize sum = 0;
        for (const usize size : sizes_) sum += size;
        return sum;
    }

    Session& session_;
    u32 number_;
    StreamKind kind_;
    std::unique_ptr<StreamSocket> socket_;
    std::deque<usize> sizes_;                    // of what has been given to the socket and has not left
    u64 came_ = 0, allowed_ = buffered_packets;  // packets; at most so many
};

Session::Session(Carrier& carrier, StreamOpener& opener, Budget& budget, Version version, usize most_streams)
    : carrier_(carrier), opener_(opener), budget_(budget), version_(version), most_streams_(most_streams) {}
Session::~Session() = default;

void Session::buffered(usize bytes) {
    buffered_bytes_ += bytes;
    budget_.used += bytes;
}
void Session::unbuffered(usize bytes) {
    buffered_bytes_ -= bytes;
    budget_.used -= bytes;
}

void Session::start() {
    if (version_ == Version::two) {
        // Version 2.0, and the UDP extension, which has no payload.
        constexpr std::array<u8, 7> info = {2, 0, 0x01, 0, 0, 0, 0};
        carrier_.send(make_packet(PacketType::info, 0, info));
    }
    go_on(0, buffered_packets);
}

void Session::go_on(u32 stream, u32 packets) {
    std::array<u8, 4> payload{};
    store_le<u32>(payload.data(), packets);
    carrier_.send(make_packet(PacketType::go_on, stream, payload));
}

void Session::close_stream(u32 number, CloseReason reason) {
    const std::array<u8, 1> payload = {static_cast<u8>(reason)};
    carrier_.send(make_packet(PacketType::close, number, payload));
    streams_.erase(number);
}

bool Session::receive(std::span<const u8> message) {
    const auto packet = parse_packet(message);
    if (!packet) return false;
    switch (packet->type) {
        case PacketType::connect: return connect(*packet);
        case PacketType::data: return data(*packet);
        case PacketType::close:
            // Stream 0 is the connection as a whole.
            if (packet->stream == 0) return false;
            streams_.erase(packet->stream);
            return true;
        case PacketType::info: {
            if (version_ != Version::two || introduced_ || packet->stream != 0 || packet->payload.size() < 2)
                return false;
            introduced_ = true;
            if (packet->payload[0] == 2) return true;
            const std::array<u8, 1> payload = {static_cast<u8>(CloseReason::incompatible)};
            carrier_.send(make_packet(PacketType::close, 0, payload));
            return false;
        }
        case PacketType::go_on: return true;  // a server sends it; what a client means by it, nobody knows
    }
    return false;
}

bool Session::connect(const Packet& packet) {
    if (packet.stream == 0 || streams_.contains(packet.stream)) return false;
    const auto refuse = [&](CloseReason reason) {
        close_stream(packet.stream, reason);
        return true;
    };
    const auto request = parse_connect(packet.payload);
    if (!request) return refuse(CloseReason::invalid);
    if (streams_.size() >= most_streams_) return refuse(CloseReason::throttled);
    auto stream = std::make_unique<Stream>(*this, packet.stream, request->kind);
    Stream& opened = *stream;
    streams_.emplace(packet.stream, std::move(stream));
    opened.open(*request);
    return true;
}

bool Session::data(const Packet& packet) {
    const auto found = streams_.find(packet.stream);
    if (found == streams_.end()) return packet.stream != 0;  // it may have been closed while this was under way
    if (packet.payload.size() > longest_payload) return false;
    Stream& stream = *found->second;
    if (buffered_bytes_ + packet.payload.size() > most_buffered_bytes || budget_.over(packet.payload.size())) {
        close_stream(packet.stream, CloseReason::throttled);
        return true;
    }
    if (!stream.take(packet.payload)) close_stream(packet.stream, CloseReason::throttled);
    return true;
}

void Session::drained() {
    for (auto& [number, stream] : streams_) stream->set_reading(true);
}

}  // namespace viv::netbridge::wisp
