// A two-way stream of bytes with bounded buffers: standard input and output, a socket, a file being written.
// Promises: never blocks, never buffers more than its limits; it reads only while its input buffer has room, so a slow
// consumer slows the writer down. The owner looks at it between slices (service()); nothing calls back.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/lang/bits.h"
#include "native/event_loop.h"
#include "native/host_output.h"

namespace viv::native {

class ByteStream {
public:
    static constexpr usize input_limit = 128 << 10;  // the largest frame of a network fits
    static constexpr usize output_limit = 256 << 10;

    // A connected socket, owned.
    static std::unique_ptr<ByteStream> connected(EventLoop& loop, Descriptor socket);
    // Borrowed descriptors as standard input and output are; either may be -1, which is at its end from the start.
    static std::unique_ptr<ByteStream> standard(EventLoop& loop, int input, int output);
    // A file to write, owned.
    static std::unique_ptr<ByteStream> writing(EventLoop& loop, Descriptor file);
    ~ByteStream();
    ByteStream(const ByteStream&) = delete;
    ByteStream& operator=(const ByteStream&) = delete;

    // Into the output buffer: how many bytes fitted. Safe from any thread while the event loop is not running.
    usize write(std::span<const u8> bytes);
    usize output_pending() const { return output_.size() - output_head_; }

    // What has been read and not yet consumed.
    std::span<const u8> input() const { return {input_.data() + input_head_, input_.size() - input_head_}; }
    void consume(usize count);
    // The other side will send no more, and all that it sent has been consumed.
    bool input_ended() const { return input_closed_ && input().empty(); }
    // The same, but what it sent may not have been consumed.
    bool input_closed() const { return input_closed_; }
    // The other side takes no more; what is written is dropped.
    bool output_ended() const { return output_closed_; }

    // Writes what can be written now and tells the event loop what to wait for.
    void service();

private:
    explicit ByteStream(EventLoop& loop) : loop_(loop) {}
    struct Watched {
        int number = -1;
        Interest interest = Interest::none;
        bool added = false;
    };
    void want(Watched& watched, Interest interest);
    void read_now();
    void flush();

    EventLoop& loop_;
    std::optional<HostOutput> out_;
    Watched in_watch_, out_watch_;  // a socket has in_watch_ only
    bool input_closed_ = false;
    bool output_closed_ = false;
    std::vector<u8> input_, output_;
    usize input_head_ = 0, output_head_ = 0;
};

}  // namespace viv::native
