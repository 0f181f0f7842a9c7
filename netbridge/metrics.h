// Counters of what the relay does, and their text for Prometheus (exposition format 0.0.4).
// Promises: the number of series is fixed: nothing that a client names becomes a label.
#pragma once

#include <array>
#include <string>

#include "engine/lang/bits.h"

namespace viv::netbridge {

enum class Refusal : u8 { connections, rate, origin, token, path, rooms, tunnels, count };
enum class Dropped : u8 {
    queue_full,
    spoofed,
    bad_size,
    outside_refused,
    outside_full,
    backplane_full,
    backplane_malformed,
    count
};
enum class Ended : u8 { by_client, oversize, malformed, idle, stalled, expired, shutdown, far_end, count };

// How many durations there were of which length, as Prometheus' histograms have it.
struct Durations {
    static constexpr std::array<u64, 6> bounds_ms = {5, 20, 100, 500, 2'000, 10'000};
    std::array<u64, bounds_ms.size() + 1>
        counts{};  // up to each bound, the shorter ones not among them; the last: longer
    u64 sum_ns = 0;

    void add(u64 duration_ns);
};

struct Metrics {
    u64 clients = 0, rooms = 0, streams = 0, tunnels = 0, tunnel_streams = 0, addresses = 0;  // now
    u64 queued_bytes = 0;
    u64 backplane_connected = 0, backplane_relays = 0;
    u64 connections = 0;  // since the start, as all below
    u64 frames_in = 0, bytes_in = 0, frames_out = 0, bytes_out = 0;
    u64 forwarded = 0, flooded = 0;
    u64 paused = 0;
    u64 tap_sent = 0, tap_received = 0;
    u64 backplane_sent = 0, backplane_received = 0;
    Durations late;  // the loop
    std::array<u64, static_cast<usize>(Refusal::count)> refused{};
    std::array<u64, static_cast<usize>(Dropped::count)> dropped{};
    std::array<u64, static_cast<usize>(Ended::count)> ended{};

    void refuse(Refusal why) { refused[static_cast<usize>(why)]++; }
    void drop(Dropped why) { dropped[static_cast<usize>(why)]++; }
    void end(Ended why) { ended[static_cast<usize>(why)]++; }
};

std::string prometheus_text(const Metrics& metrics);
std::string_view name_of(Refusal why);
std::string_view name_of(Ended why);

}  // namespace viv::netbridge
