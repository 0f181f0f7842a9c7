// Session and programs. See agent_session.h; the copies are in agent_copy.cpp.
#include "native/agent_session.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/lang/check.h"

namespace viv::native {

namespace {

constexpr u32 protocol_magic = 0x4756'4956;  // "VIVG"
constexpr u16 protocol_version = 1;
constexpr u32 least_window = 65536;
constexpr u8 exec_terminal = 1;

bool costs_credit(FrameType type) { return (static_cast<u8>(type) & 0xf0) == 0x40; }

}  // namespace

void AgentOperation::send(FrameType type, std::span<const u8> payload, u8 flags) {
    if (costs_credit(type)) {
        CHECK(payload.size() <= send_credit_);
        send_credit_ -= payload.size();
    }
    session_->send(type, channel_, payload, flags);
}

usize AgentOperation::sendable(usize wanted) const {
    if (session_ == nullptr || done_) return 0;
    const usize room = session_->room();
    if (room <= frame_header_size) return 0;
    return static_cast<usize>(std::min<u64>({wanted, send_credit_, room - frame_header_size, frame_payload_limit}));
}

void AgentOperation::passed_on(usize bytes) {
    unreturned_ += bytes;
    if (done_ || unreturned_ < AgentSession::window / 4) return;
    PayloadWriter credit;
    credit.put_u32(static_cast<u32>(unreturned_));
    receive_credit_ += unreturned_;
    unreturned_ = 0;
    send(FrameType::window, credit.bytes());
}

void AgentOperation::fail(std::string message) {
    if (!failure_) failure_ = Error{std::move(message)};
    done_ = true;
}

void AgentSession::send(FrameType type, u16 channel, std::span<const u8> payload, u8 flags) {
    if (state_ != State::lost) append_frame(output_, type, flags, channel, payload);
}

void AgentSession::sent(usize count) {
    output_head_ += count;
    CHECK(output_head_ <= output_.size());
    if (output_head_ < output_.size() / 2) return;
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(output_head_));
    output_head_ = 0;
}

void AgentSession::lose(std::string why) {
    if (state_ == State::lost) return;
    state_ = State::lost;
    problem_ = std::move(why);
    if (operation_ != nullptr && !operation_->done()) operation_->fail(problem_);
    operation_ = nullptr;
}

void AgentSession::greet() {
    PayloadWriter hello;
    hello.put_u32(protocol_magic).put_u16(protocol_version).put_u16(0).put_u32(nonce_).put_u32(window);
    send(FrameType::hello, 0, hello.bytes());
}

void AgentSession::power_off() {
    constexpr u8 off[] = {0};
    send(FrameType::power_off, 0, off);
}

void AgentSession::start(AgentOperation& operation) {
    CHECK(state_ == State::ready && operation_ == nullptr);
    operation_ = &operation;
    operation.session_ = this;
    operation.channel_ = ++last_channel_;
    operation.send_credit_ = peer_window_;
    operation.receive_credit_ = window;
    operation.begin();
    step();
}

void AgentSession::step() {
    if (operation_ == nullptr) return;
    operation_->step();
    if (operation_->done()) operation_ = nullptr;
}

void AgentSession::hello(const Frame& frame) {
    PayloadReader reader(frame.payload);
    const u32 magic = reader.read_u32();
    const u16 version = reader.read_u16();
    reader.read_u16();
    const u32 nonce = reader.read_u32();
    const u32 peer_window = reader.read_u32();
    reader.read_string(agent_name_limit);
    const auto release = reader.read_string(agent_name_limit);
    if (!reader.good() || magic != protocol_magic || peer_window < least_window)
        return lose("the guest's agent does not greet as it should");
    if (version != protocol_version)
        return lose(fmt::format(
            "the guest's agent speaks version {} of the protocol, this viv version {}; build the guest again", version,
            protocol_version));
    if (nonce == 0) {
        if (state_ == State::ready) return lose("the guest's agent has started anew");
        return greet();
    }
    if (nonce != nonce_ || state_ == State::ready) return;  // the answer to somebody before us
    peer_window_ = peer_window;
    release_ = release;
    state_ = State::ready;
}

void AgentSession::for_operation(const Frame& frame) {
    AgentOperation& operation = *operation_;
    if (frame.type == FrameType::window) {
        operation.send_credit_ += PayloadReader(frame.payload).read_u32();
        return;
    }
    if (frame.type == FrameType::error) {
        PayloadReader reader(frame.payload);
        reader.read_u32();  // the errno is in the text too
        const auto text = reader.read_string(frame_payload_limit);
        operation.fail(
            fmt::format("{}: {}", operation.subject(), reader.good() ? printable(text) : "an error without a text"));
    } else {
        if (costs_credit(frame.type)) {
            if (frame.payload.size() > operation.receive_credit_)
                return lose("the guest's agent sends more than it may");
            operation.receive_credit_ -= frame.payload.size();
        }
        operation.receive(frame);
    }
    if (operation.done()) operation_ = nullptr;
}

void AgentSession::receive(std::span<const u8> bytes) {
    if (state_ == State::lost) return;
    parser_.add(bytes);
    while (state_ != State::lost) {
        const auto frame = parser_.next();
        if (!frame) break;
        if (frame->channel == 0 && frame->type == FrameType::hello) {
            hello(*frame);
        } else if (state_ != State::ready) {
            continue;  // of a session before ours
        } else if (frame->channel == 0 && frame->type == FrameType::error) {
            PayloadReader reader(frame->payload);
            reader.read_u32();
            lose("the guest's agent gives up: " + printable(reader.read_string(frame_payload_limit)));
        } else if (operation_ != nullptr && frame->channel == operation_->channel_) {
            for_operation(*frame);
        }
    }
    if (parser_.broken()) lose("the guest's agent sends what is no frame");
    step();
}

Result<void> AgentProcess::check(const Start& start) {
    usize size = 12 + start.folder.size();
    for (const auto* list : {&start.command, &start.environment})
        for (const auto& text : *list) size += 4 + text.size();
    if (size > frame_payload_limit || start.command.size() > 0xffff || start.environment.size() > 0xffff ||
        start.folder.size() > agent_name_limit)
        return Error{fmt::format(
            "the command is too long: {} bytes with its variables, at most {} can be sent; use --copy-in and a script",
            size, frame_payload_limit)};
    return {};
}

void AgentProcess::begin() {
    PayloadWriter payload;
    payload.put_u16(static_cast<u16>(start_.command.size())).put_u16(static_cast<u16>(start_.environment.size()));
    payload.put_u16(start_.rows).put_u16(start_.columns).put_string(start_.folder);
    for (const auto& word : start_.command) payload.put_string(word);
    for (const auto& variable : start_.environment) payload.put_string(variable);
    send(FrameType::exec, payload.bytes(), start_.terminal ? exec_terminal : 0);
}

void AgentProcess::receive(const Frame& frame) {
    if (frame.type == FrameType::stdout_bytes || frame.type == FrameType::stderr_bytes) {
        auto& buffer = buffers_[frame.type == FrameType::stderr_bytes];
        buffer.insert(buffer.end(), frame.payload.begin(), frame.payload.end());
    } else if (frame.type == FrameType::exited) {
        PayloadReader reader(frame.payload);
        const bool by_signal = reader.read_u32() == 1;
        const u32 value = reader.read_u32();
        if (!reader.good() || value > 255) return fail("the guest's agent reports an end that cannot be");
        exit_code_ = static_cast<int>(by_signal ? (128 + value) & 0xff : value);
        finish();
    }
}

void AgentProcess::take(Stream stream, usize count) {
    auto& buffer = buffers_[static_cast<usize>(stream)];
    CHECK(count <= buffer.size());
    buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    if (count > 0) passed_on(count);
}

void AgentProcess::send_stdin(std::span<const u8> bytes) {
    if (!bytes.empty()) send(FrameType::stdin_bytes, bytes);
}

void AgentProcess::end_stdin() {
    if (!stdin_ended_ && !done()) send(FrameType::stdin_end, {});
    stdin_ended_ = true;
}

void AgentProcess::send_signal(u32 number) {
    if (done()) return;
    PayloadWriter payload;
    payload.put_u32(number);
    send(FrameType::signal, payload.bytes());
}

void AgentProcess::resize(u16 rows, u16 columns) {
    if (done()) return;
    PayloadWriter payload;
    payload.put_u16(rows).put_u16(columns);
    send(FrameType::resize, payload.bytes());
}

void AgentProcess::cancel() {
    if (!done()) send(FrameType::cancel, {});
}

}  // namespace viv::native
