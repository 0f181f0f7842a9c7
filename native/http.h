// Reading what a web server has, by libcurl: HTTP/1.1 and 2, with TLS.
// Promises: nothing larger than asked for is kept; a server that is silent is given up; what may pass (a lost
// connection, an overloaded server) is tried again for some seconds; redirections stay within HTTP; errors name the URL
// and what was wrong.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "engine/host/file.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::native {

// Whether a name that a user gave is an address in the web.
bool is_url(std::string_view name);

// One connection, kept open between requests. Calls wait; one thread at a time. A client that is told to stop ends what
// it is doing within about a second, with an error.
class HttpClient {
public:
    // Whether a server that is not there may come back: it was there before.
    enum class Trust : u8 { none, seen };

    explicit HttpClient(std::stop_token stop = {});
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // All of it, at most `limit` bytes.
    Result<std::vector<u8>> get(const std::string& url, u64 limit, Trust trust);
    struct Part {
        std::vector<u8> bytes;
        u64 total = 0;        // bytes of the whole
        std::string version;  // what the server calls this version of it (an ETag, or a date); empty: it does not
    };
    // At most `size` bytes (not 0) from `offset` on; fewer at the end of it. An error if the server gives no parts.
    Result<Part> get_part(const std::string& url, u64 offset, u64 size, Trust trust);
    // Fetches what is missing of a file whose first part is there, if it has at most `limit` bytes.
    Result<void> get_rest(const std::string& url, Part& head, u64 limit);

private:
    struct Request;
    Result<void> perform(const std::string& url, Request& request, Trust trust);
    void pause(std::chrono::milliseconds time);

    struct Close {
        void operator()(void* handle) const;
    };
    std::unique_ptr<void, Close> handle_;  // a CURL
    std::stop_token stop_;
};

// A file that a web server has, by parts of it; read-only, and taken to stay as it is.
class HttpFile final : public host::File {
public:
    // `head`: its first bytes, which are not asked for again.
    HttpFile(std::string url, HttpClient::Part head) : url_(std::move(url)), head_(std::move(head)) {}
    u64 size() override { return head_.total; }
    Result<void> read_at(u64 offset, std::span<u8> out) override;
    Result<void> write_at(u64, std::span<const u8>) override;
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }

private:
    std::string url_;
    HttpClient::Part head_;
    HttpClient client_;
};

}  // namespace viv::native
