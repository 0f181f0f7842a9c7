// Makes an endpoint's streams: opens files, connects, listens and takes one client at a time.
// Promises: open() either succeeds or leaves nothing behind, with one line that names the option and the endpoint; a
// listening Unix socket is removed at the end, a stale one of a program that has died is replaced, a live one or any
// other file never.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/lang/result.h"
#include "native/byte_stream.h"
#include "native/endpoint.h"

namespace viv::native {

class StreamSource {
public:
    static constexpr std::string_view start_or_listen = "start the other side first, or add ,server to listen here";
    // Standard input and output are not opened here: an Endpoint::Kind::stdio is our caller's to handle. Null never has
    // a stream.
    // `advice`: what the user can do if nobody listens where it connects to.
    static Result<std::unique_ptr<StreamSource>> open(EventLoop& loop, std::string_view option,
                                                      const Endpoint& endpoint,
                                                      std::string_view advice = start_or_listen);
    // Would open() have a chance? Looks only: nothing is created, bound or connected.
    static Result<void> check(std::string_view option, const Endpoint& endpoint);
    ~StreamSource();
    StreamSource(const StreamSource&) = delete;
    StreamSource& operator=(const StreamSource&) = delete;

    // The stream in use; null while nobody is connected. Valid until the next service() or disconnect().
    ByteStream* stream() { return stream_.get(); }
    const ByteStream* stream() const { return stream_.get(); }
    // Takes a waiting client if there is none now, and drives the stream. A stream that has broken is kept until
    // disconnect().
    void service();
    void disconnect();
    // The other side has gone: its input is consumed and at its end, or it takes no more output.
    bool lost() const;

private:
    StreamSource(EventLoop& loop, Endpoint endpoint) : loop_(loop), endpoint_(std::move(endpoint)) {}
    void accept_waiting();

    EventLoop& loop_;
    Endpoint endpoint_;
    Descriptor listener_;
    bool watching_ = false;
    u64 socket_inode_ = 0, socket_device_ = 0;  // of the Unix socket's name, so that only ours is removed
    std::unique_ptr<ByteStream> stream_;
};

}  // namespace viv::native
