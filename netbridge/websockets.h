// What the server asks of libwebsockets as a whole: its context, what a request says, a whole answer.
// Promises: a header or an argument that is too long for us is as one that is not there; errors name the option.
#pragma once

#include <libwebsockets.h>
#include <uv.h>

#include <string>
#include <string_view>

#include "engine/lang/result.h"
#include "netbridge/settings.h"

namespace viv::netbridge {

struct HostOrder {
    const lws_protocols* protocols;  // it and `liveliness` stay where they are as long as the context is there
    lws_retry_bo_t* liveliness;
    uv_loop_t* loop;
    void* user;             // of the context
    lws_context** context;  // is set as soon as there is one, and null again once it has gone
};
// A host that listens on nothing.
Result<lws_vhost*> make_host(const Settings& settings, const HostOrder& order);

std::string header_of(lws* wsi, lws_token_indexes which);
std::string token_of(lws* wsi);
// What it returns is the library's: nonzero ends the connection.
int answer(lws* wsi, unsigned status, const std::string& type, std::string_view body);

}  // namespace viv::netbridge
