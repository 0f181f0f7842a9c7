// WISP: TCP and UDP streams within one websocket, version 1 and the settled part of version 2 (INFO, the UDP
// extension). Packets as in the protocol's description: type, stream in 4 bytes, payload; the lowest byte first.
// Promises: a packet is judged before it is used; what a client may have in flight is bounded (streams, buffered
// packets and bytes); the other end of a slow client is made to wait; a client that breaks the protocol loses its
// connection, and nobody else's. Nothing here knows of sockets: they are given by a StreamOpener.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/lang/bits.h"
#include "netbridge/outbox.h"

namespace viv::netbridge::wisp {

enum class PacketType : u8 { connect = 1, data = 2, go_on = 3, close = 4, info = 5 };
enum class CloseReason : u8 {
    unknown = 0x01,
    voluntary = 0x02,
    network_error = 0x03,
    incompatible = 0x04,
    invalid = 0x41,
    unreachable = 0x42,
    timed_out = 0x43,
    refused = 0x44,
    blocked = 0x48,
    throttled = 0x49,
};
enum class StreamKind : u8 { tcp = 1, udp = 2 };

inline constexpr usize head_size = 5, longest_hostname = 253;

struct Packet {
    PacketType type = PacketType::data;
    u32 stream = 0;
    std::span<const u8> payload;
};
// None if it is too short or of no known type.
std::optional<Packet> parse_packet(std::span<const u8> bytes);
SharedMessage make_packet(PacketType type, u32 stream, std::span<const u8> payload);

struct ConnectRequest {
    StreamKind kind = StreamKind::tcp;
    u16 port = 0;
    std::string hostname;
};
// None if the kind or the port is none, or the name has characters that no host's name or address has.
std::optional<ConnectRequest> parse_connect(std::span<const u8> payload);

// What a stream's socket tells. Either of them may destroy the socket that calls it.
class StreamEvents {
public:
    virtual ~StreamEvents() = default;
    virtual void received(std::span<const u8> bytes) = 0;
    // So many send()s have left since the last call.
    virtual void sent(usize packets) = 0;
    // The last call.
    virtual void closed(CloseReason reason) = 0;
};

// A stream's end towards the outside. Destroying it closes it.
class StreamSocket {
public:
    virtual ~StreamSocket() = default;
    virtual void send(std::span<const u8> bytes) = 0;
    // Reads nothing further until it is called again.
    virtual void set_reading(bool reading) = 0;
};

class StreamOpener {
public:
    virtual ~StreamOpener() = default;
    // At once, connected or not: what goes wrong is said later, by closed(), never from within.
    virtual std::unique_ptr<StreamSocket> open(const ConnectRequest& request, StreamEvents& events) = 0;
};

// The websocket that the streams are in.
class Carrier {
public:
    virtual ~Carrier() = default;
    virtual void send(SharedMessage message) = 0;
    virtual bool choked() const = 0;  // so that streams should stop reading
};

enum class Version : u8 { one, two };

class Session {
public:
    // Packets of a TCP stream: what clients are told, and what those that keep to it may have on its way to here and
    // waiting here at most.
    static constexpr u32 buffered_packets = 64, most_in_flight = 2 * buffered_packets;
    static constexpr usize longest_payload = 64 << 10;
    static constexpr usize most_buffered_bytes = most_in_flight * longest_payload;  // of all streams of a session

    Session(Carrier& carrier, StreamOpener& opener, Budget& budget, Version version, usize most_streams);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // The first packets to the client.
    void start();
    // False if the client has broken the protocol, and its connection is to be ended.
    bool receive(std::span<const u8> message);
    // The carrier has room again.
    void drained();
    usize streams() const { return streams_.size(); }

private:
    class Stream;
    void close_stream(u32 number, CloseReason reason);
    bool connect(const Packet& packet);
    bool data(const Packet& packet);
    void go_on(u32 stream, u32 packets);
    void buffered(usize bytes);
    void unbuffered(usize bytes);

    Carrier& carrier_;
    StreamOpener& opener_;
    Budget& budget_;
    Version version_;
    bool introduced_ = false;  // version 2: the client's INFO has come
    usize most_streams_;
    usize buffered_bytes_ = 0;
    std::map<u32, std::unique_ptr<Stream>> streams_;
};

}  // namespace viv::netbridge::wisp
