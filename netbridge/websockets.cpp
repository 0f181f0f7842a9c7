// libwebsockets' context and its HTTP. See websockets.h.
#include "netbridge/websockets.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace viv::netbridge {

std::string header_of(lws* wsi, lws_token_indexes which) {
    const int length = lws_hdr_total_length(wsi, which);
    if (length <= 0 || length > 2048) return {};
    std::string text(static_cast<usize>(length) + 1, '\0');
    if (lws_hdr_copy(wsi, text.data(), length + 1, which) != length) return {};
    text.resize(static_cast<usize>(length));
    return text;
}

std::string token_of(lws* wsi) {
    constexpr std::string_view bearer = "Bearer ";
    const auto authorization = header_of(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (authorization.starts_with(bearer)) return authorization.substr(bearer.size());
    char text[TokenKeys::longest_token + 1] = "";
    const char* value = lws_get_urlarg_by_name(wsi, "token=", text, sizeof text);
    return value == nullptr ? std::string() : std::string(value);
}

Result<lws_vhost*> make_host(const Settings& settings, const HostOrder& order) {
    lws_set_log_level(LLL_ERR, [](int, const char*) {});
    order.liveliness->secs_since_valid_ping = static_cast<u16>(settings.times.ping);
    order.liveliness->secs_since_valid_hangup = static_cast<u16>(settings.times.hang_up);
    lws_context_creation_info info{};
    void* loops[] = {order.loop};
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.foreign_loops = loops;
    info.protocols = order.protocols;
    info.user = order.user;
    info.pcontext = order.context;
    info.gid = static_cast<gid_t>(-1);
    info.uid = static_cast<uid_t>(-1);
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8;
    info.server_string = "netbridge";
    info.timeout_secs = static_cast<unsigned>(settings.times.handshake);
    info.keepalive_timeout = 5;
    info.max_http_header_pool = 1024;
    info.pt_serv_buf_size = 64 << 10;
    info.retry_and_idle_policy = order.liveliness;
    info.vhost_name = "netbridge";
    const bool tls = !settings.certificate.empty();
    if (tls) info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    *order.context = lws_create_context(&info);
    if (*order.context == nullptr)
        return Error{"libwebsockets cannot start; its event loop is in Debian's package libwebsockets-evlib-uv"};
    if (tls) {
        info.ssl_cert_filepath = settings.certificate.c_str();
        info.ssl_private_key_filepath = settings.private_key.c_str();
        info.ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION;
        info.alpn = "http/1.1";
    }
    lws_vhost* host = lws_create_vhost(*order.context, &info);
    if (host == nullptr)
        return Error{tls ? fmt::format("--cert {}, --key {}: are not a certificate chain and its key, in PEM",
                                       settings.certificate, settings.private_key)
                         : std::string("libwebsockets cannot make its host")};
    return host;
}

int answer(lws* wsi, unsigned status, const std::string& type, std::string_view body) {
    std::vector<u8> buffer(LWS_PRE + 1024 + body.size());
    u8 *at = buffer.data() + LWS_PRE, *const start = at, *const end = buffer.data() + buffer.size();
    if (lws_add_http_common_headers(wsi, status, type.c_str(), body.size(), &at, end) != 0) return -1;
    if (lws_finalize_http_header(wsi, &at, end) != 0) return -1;
    std::copy(body.begin(), body.end(), at);
    const usize size = static_cast<usize>(at - start) + body.size();
    if (lws_write(wsi, start, size, LWS_WRITE_HTTP_FINAL) != static_cast<int>(size)) return -1;
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

}  // namespace viv::netbridge
