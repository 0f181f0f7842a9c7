// Between libwebsockets and Client. See connection.h.
#include "netbridge/connection.h"

#include <algorithm>

#include "engine/lang/bytes.h"

namespace viv::netbridge {

static_assert(Message::headroom >= LWS_PRE);

namespace {

// The value between HTTP and PING, which the library's public header names in a comment only.
constexpr auto write_close = static_cast<lws_write_protocol>(4);

lws_close_status code_of(Ended why) {
    switch (why) {
        case Ended::oversize: return LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE;
        case Ended::malformed: return LWS_CLOSE_STATUS_PROTOCOL_ERR;
        case Ended::shutdown: return LWS_CLOSE_STATUS_GOINGAWAY;
        case Ended::idle:
        case Ended::stalled:
        case Ended::expired: return LWS_CLOSE_STATUS_POLICY_VIOLATION;
        case Ended::by_client:
        case Ended::far_end:
        case Ended::count: break;
    }
    return LWS_CLOSE_STATUS_NORMAL;
}

}  // namespace

void Connection::want_write() {
    if (wsi_ != nullptr) lws_callback_on_writable(wsi_);
}

void Connection::end(Ended why) {
    if (ended() || wsi_ == nullptr) return;
    state_ = State::ending;
    why_ = why;
    // Who takes nothing will not take a farewell either.
    if (why == Ended::stalled)
        lws_set_timeout(wsi_, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    else
        lws_callback_on_writable(wsi_);
}

void Connection::hold(Hold hold) {
    if (hold == hold_ || wsi_ == nullptr || ended()) return;
    hold_ = hold;
    if (!paused_) lws_rx_flow_control(wsi_, hold == Hold::on ? 0 : 1);
}

int Connection::close_now(Ended why) {
    state_ = State::told;
    why_ = why;
    lws_close_reason(wsi_, code_of(why), nullptr, 0);
    return -1;
}

int Connection::receive(std::span<const u8> piece) {
    if (ended()) return 0;
    if (!client) return -1;
    const bool whole = lws_is_final_fragment(wsi_) != 0 && lws_remaining_packet_payload(wsi_) == 0;
    const auto why = client->receive(piece, whole ? Client::Place::last : Client::Place::inside,
                                     lws_frame_is_binary(wsi_) != 0 ? Client::Form::binary : Client::Form::text);
    if (why) return close_now(*why);
    // Who speaks has not gone, whether it answers pings or not. The library puts this into a sorted list each time.
    constexpr u64 often_enough_ns = 1'000'000'000;
    if (const u64 now_ns = client->relay().now_ns; now_ns - confirmed_ns_ >= often_enough_ns) {
        confirmed_ns_ = now_ns;
        lws_validity_confirmed(wsi_);
    }
    return pause_if_needed();
}

int Connection::pause_if_needed() {
    const u64 wait_ns = client->wait_ns();
    if (wait_ns == 0) return 0;
    if (!paused_) {
        paused_ = true;
        client->relay().metrics.paused++;
        lws_rx_flow_control(wsi_, 0);
    }
    constexpr u64 longest_us = 1'000'000;
    lws_set_timer_usecs(wsi_, static_cast<lws_usec_t>(std::clamp<u64>(wait_ns / 1000, 500, longest_us)));
    return 0;
}

int Connection::resume() {
    if (!client || !paused_ || ended()) return 0;
    if (client->wait_ns() != 0) return pause_if_needed();
    paused_ = false;
    if (hold_ == Hold::off) lws_rx_flow_control(wsi_, 1);
    return 0;
}

int Connection::writable() {
    if (state_ == State::ending && client) {
        state_ = State::told;
        // Ending it by -1 from here would be without a word: where the library has been built for debugging, as
        // Debian's, it closes such a connection of libuv's twice, and the second time takes it for one that has been
        // told.
        u8 farewell[LWS_PRE + 2] = {};
        store_be<u16>(farewell + LWS_PRE, static_cast<u16>(code_of(why_)));
        if (lws_write(wsi_, farewell + LWS_PRE, 2, write_close) < 0) return -1;
        constexpr int seconds_to_answer = 2;
        lws_set_timeout(wsi_, PENDING_TIMEOUT_USER_REASON_BASE, seconds_to_answer);
    }
    if (!client || ended()) return 0;
    // Others want to be served as well.
    constexpr usize most_at_once = 256 << 10;
    for (usize sent = 0; sent < most_at_once && client->has_output() && lws_send_pipe_choked(wsi_) == 0;) {
        const auto message = client->next();
        sent += message->size() + 1;
        if (lws_write(wsi_, message->start(), message->size(), LWS_WRITE_BINARY) < 0) return -1;
    }
    if (client->has_output()) lws_callback_on_writable(wsi_);
    return 0;
}

}  // namespace viv::netbridge
