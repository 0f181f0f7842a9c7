// Two buffers with a moving head each. See byte_stream.h.
#include "native/byte_stream.h"

#include <algorithm>
#include <cerrno>

#include "engine/lang/check.h"

namespace viv::native {

namespace {

void drop_front(std::vector<u8>& buffer, usize& head, usize count) {
    head += count;
    if (head == buffer.size()) {
        buffer.clear();
        head = 0;
    } else if (head > buffer.size() / 2) {  // each byte is moved at most once on average
        buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(head));
        head = 0;
    }
}

}  // namespace

std::unique_ptr<ByteStream> ByteStream::connected(EventLoop& loop, Descriptor socket) {
    std::unique_ptr<ByteStream> stream(new ByteStream(loop));
    stream->in_watch_.number = socket.number();
    stream->out_ = HostOutput::own(std::move(socket));
    return stream;
}

std::unique_ptr<ByteStream> ByteStream::standard(EventLoop& loop, int input, int output) {
    std::unique_ptr<ByteStream> stream(new ByteStream(loop));
    stream->in_watch_.number = input;
    stream->input_closed_ = input < 0;
    stream->output_closed_ = output < 0;
    if (output >= 0) {
        stream->out_ = HostOutput::borrow(output);
        stream->out_watch_.number = stream->out_->number();
    }
    return stream;
}

std::unique_ptr<ByteStream> ByteStream::writing(EventLoop& loop, Descriptor file) {
    std::unique_ptr<ByteStream> stream(new ByteStream(loop));
    stream->input_closed_ = true;
    stream->out_watch_.number = file.number();
    stream->out_ = HostOutput::own(std::move(file));
    return stream;
}

ByteStream::~ByteStream() {
    flush();  // as much as is taken without waiting
    want(in_watch_, Interest::none);
    want(out_watch_, Interest::none);
}

usize ByteStream::write(std::span<const u8> bytes) {
    if (output_closed_) return bytes.size();
    const usize taken = std::min(bytes.size(), output_limit - output_pending());
    output_.insert(output_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    return taken;
}

void ByteStream::consume(usize count) {
    CHECK(count <= input().size());
    drop_front(input_, input_head_, count);
}

void ByteStream::read_now() {
    const usize room = input_limit - input().size();
    if (room == 0 || input_closed_) return;
    const usize old_size = input_.size();
    input_.resize(old_size + room);
    ssize_t count = 0;
    do count = read(in_watch_.number, input_.data() + old_size, room);
    while (count < 0 && errno == EINTR);
    const bool later = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    input_.resize(old_size + (count > 0 ? static_cast<usize>(count) : 0));
    if (count <= 0 && !later) input_closed_ = true;  // end of file, a hang-up, or a connection that broke
}

void ByteStream::flush() {
    if (!out_ || output_closed_ || output_pending() == 0) return;
    const auto written = out_->write({output_.data() + output_head_, output_pending()});
    drop_front(output_, output_head_, written.count);
    if (written.state == Transfer::ended) {
        output_closed_ = true;
        output_.clear();
        output_head_ = 0;
    }
}

void ByteStream::want(Watched& watched, Interest interest) {
    if (watched.number < 0) return;
    if (interest == Interest::none) {
        if (watched.added) loop_.remove(watched.number);
        watched.added = false;
    } else if (!watched.added) {
        // A hang-up of the output must not make a blocking input be read.
        const bool reads = &watched == &in_watch_;
        loop_.add(watched.number, interest, [this, reads](EventLoop::Ready ready) {
            if (ready.write) flush();
            if (ready.read && reads) read_now();
        });
        watched.added = true;
    } else if (watched.interest != interest) {
        loop_.change(watched.number, interest);
    }
    watched.interest = interest;
}

void ByteStream::service() {
    flush();
    const auto reading = !input_closed_ && input().size() < input_limit ? Interest::read : Interest::none;
    const auto writing = !output_closed_ && output_pending() > 0 ? Interest::write : Interest::none;
    if (out_watch_.number < 0) return want(in_watch_, reading | writing);
    want(in_watch_, reading);
    want(out_watch_, writing);
}

}  // namespace viv::native
