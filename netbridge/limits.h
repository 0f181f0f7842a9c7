// What one client and one address may do: rates and numbers.
// Promises: memory for addresses is bounded, and an address that has been quiet is forgotten; a rate allows its burst
// and then its rate, to the byte; nothing here reads a clock. Times are nanoseconds of any monotonic clock.
#pragma once

#include <map>
#include <memory>

#include "netbridge/address.h"

namespace viv::netbridge {

struct Rate {
    u64 per_second = 0;  // 0: no limit
    u64 burst = 0;
};

// A bucket that may be overdrawn by the last thing taken from it, so that whoever reads a stream can finish what it has
// and then wait.
class TokenBucket {
public:
    TokenBucket(Rate rate, u64 now_ns) : rate_(rate), level_(static_cast<double>(rate.burst)), filled_at_ns_(now_ns) {}

    void take(u64 amount, u64 now_ns);
    // Takes it if the bucket has it.
    bool try_take(u64 amount, u64 now_ns);
    // Until there is something in it again: 0 if there is.
    u64 wait_ns(u64 now_ns);
    bool full(u64 now_ns);

private:
    void fill(u64 now_ns);

    Rate rate_;
    double level_;
    u64 filled_at_ns_;
};

struct LimitSettings {
    u64 connections = 4096, connections_per_address = 64;
    Rate attempts_per_address = {20, 100};  // connections that are begun
    Rate frames = {50'000, 100'000}, bytes = {64 << 20, 64 << 20};
    Rate frames_per_address = {200'000, 400'000}, bytes_per_address = {256 << 20, 256 << 20};
    usize queue_bytes = 4 << 20;  // that wait for one client
    usize queue_messages = 4096;
    usize streams = 256;  // WISP, of one client
};

// The addresses that connections come from.
class AddressTable {
public:
    static constexpr usize most_addresses = 65'536;

    struct Usage {
        Usage(const LimitSettings& limits, u64 now_ns)
            : attempts(limits.attempts_per_address, now_ns),
              frames(limits.frames_per_address, now_ns),
              bytes(limits.bytes_per_address, now_ns) {}
        u64 connections = 0;
        TokenBucket attempts, frames, bytes;
    };
    enum class Answer : u8 { welcome, too_many, too_many_here, too_often };

    explicit AddressTable(const LimitSettings& limits) : limits_(limits) {}

    // `usage` is valid until leave(), which each welcome wants.
    Answer enter(const Address& from, u64 now_ns, Usage*& usage);
    void leave(const Address& from);
    // Forgets who is quiet; to be called now and then.
    void tidy(u64 now_ns);

    u64 connections() const { return connections_; }
    usize addresses() const { return table_.size(); }

private:
    LimitSettings limits_;
    std::map<Address, Usage> table_;
    u64 connections_ = 0;
};

}  // namespace viv::netbridge
