// The text of /metrics. See metrics.h.
#include "netbridge/metrics.h"

#include <fmt/format.h>

#include <iterator>

namespace viv::netbridge {

namespace {

constexpr std::array<std::string_view, static_cast<usize>(Refusal::count)> refusals = {
    "connections", "rate", "origin", "token", "path", "rooms", "tunnels"};
constexpr std::array<std::string_view, static_cast<usize>(Dropped::count)> drops = {
    "queue_full", "spoofed", "bad_size", "outside_refused", "outside_full", "backplane_full", "backplane_malformed"};
constexpr std::array<std::string_view, static_cast<usize>(Ended::count)> ends = {
    "by_client", "oversize", "malformed", "idle", "stalled", "expired", "shutdown", "far_end"};

}  // namespace

std::string_view name_of(Refusal why) { return refusals[static_cast<usize>(why)]; }
std::string_view name_of(Ended why) { return ends[static_cast<usize>(why)]; }

void Durations::add(u64 duration_ns) {
    constexpr u64 millisecond = 1'000'000;
    usize i = 0;
    while (i < bounds_ms.size() && duration_ns > bounds_ms[i] * millisecond) i++;
    counts[i]++;
    sum_ns += duration_ns;
}

std::string prometheus_text(const Metrics& metrics) {
    std::string text;
    const auto head = [&](std::string_view name, std::string_view type, std::string_view help) {
        fmt::format_to(std::back_inserter(text), "# HELP netbridge_{} {}\n# TYPE netbridge_{} {}\n", name, help, name,
                       type);
    };
    const auto one = [&](std::string_view name, std::string_view type, std::string_view help, u64 value) {
        head(name, type, help);
        fmt::format_to(std::back_inserter(text), "netbridge_{} {}\n", name, value);
    };
    const auto many = [&](std::string_view name, std::string_view help, const auto& names, const auto& values) {
        head(name, "counter", help);
        for (usize i = 0; i < names.size(); i++)
            fmt::format_to(std::back_inserter(text), "netbridge_{}{{reason=\"{}\"}} {}\n", name, names[i], values[i]);
    };
    const auto durations = [&](std::string_view name, std::string_view help, const Durations& of) {
        head(name, "histogram", help);
        u64 count = 0;
        for (usize i = 0; i < of.bounds_ms.size(); i++) {
            count += of.counts[i];
            fmt::format_to(std::back_inserter(text), "netbridge_{}_bucket{{le=\"{}.{:03}\"}} {}\n", name,
                           of.bounds_ms[i] / 1000, of.bounds_ms[i] % 1000, count);
        }
        count += of.counts.back();
        constexpr u64 second = 1'000'000'000;
        fmt::format_to(
            std::back_inserter(text),
            "netbridge_{0}_bucket{{le=\"+Inf\"}} {1}\nnetbridge_{0}_sum {2}.{3:09}\nnetbridge_{0}_count {1}\n", name,
            count, of.sum_ns / second, of.sum_ns % second);
    };
    one("clients", "gauge", "Websocket clients.", metrics.clients);
    one("rooms", "gauge", "Rooms with somebody in them.", metrics.rooms);
    one("streams", "gauge", "WISP streams.", metrics.streams);
    one("tunnels", "gauge", "Tunnels that are offered.", metrics.tunnels);
    one("tunnel_streams", "gauge", "Streams of tunnels.", metrics.tunnel_streams);
    one("addresses", "gauge", "Addresses that are remembered for their limits.", metrics.addresses);
    one("queued_bytes", "gauge", "Bytes that wait for clients.", metrics.queued_bytes);
    one("backplane_connected", "gauge", "1 while there is a connection to the NATS server.",
        metrics.backplane_connected);
    one("backplane_relays", "gauge", "Other relays that have been heard of late.", metrics.backplane_relays);
    one("connections_total", "counter", "TCP connections accepted.", metrics.connections);
    one("messages_received_total", "counter", "Messages of clients.", metrics.frames_in);
    one("received_bytes_total", "counter", "Bytes of those.", metrics.bytes_in);
    one("messages_sent_total", "counter", "Messages to clients.", metrics.frames_out);
    one("sent_bytes_total", "counter", "Bytes of those.", metrics.bytes_out);
    one("frames_forwarded_total", "counter", "Frames that went to one port.", metrics.forwarded);
    one("frames_flooded_total", "counter", "Frames that went to all ports of a room.", metrics.flooded);
    one("pauses_total", "counter", "Times that a client had to wait for its rate.", metrics.paused);
    one("tap_sent_total", "counter", "Frames to TAP interfaces.", metrics.tap_sent);
    one("tap_received_total", "counter", "Frames of TAP interfaces.", metrics.tap_received);
    one("backplane_sent_total", "counter", "Messages to other relays.", metrics.backplane_sent);
    one("backplane_received_total", "counter", "Messages of other relays.", metrics.backplane_received);
    durations("loop_late_seconds", "By how much the relay came too late to a time of its own, ten times a second.",
              metrics.late);
    many("refused_total", "Connections and requests refused.", refusals, metrics.refused);
    many("dropped_total", "Frames dropped.", drops, metrics.dropped);
    many("ended_total", "Websocket clients that went.", ends, metrics.ended);
    return text;
}

}  // namespace viv::netbridge
