// libcurl's easy interface: one handle is one connection that stays open. See http.h.
#include "native/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>

namespace viv::native {

namespace {

// libcurl brings some thirty libraries along, which cost every start of the program milliseconds: it is loaded when it
// is wanted first, and stays.
struct Curl {
    decltype(&curl_easy_init) init = nullptr;
    decltype(&curl_easy_cleanup) cleanup = nullptr;
    decltype(&curl_easy_setopt) setopt = nullptr;
    decltype(&curl_easy_perform) perform = nullptr;
    decltype(&curl_easy_getinfo) getinfo = nullptr;
    decltype(&curl_easy_strerror) strerror = nullptr;
    std::string problem;  // empty: all of these are there

    // Called once, before other threads use it.
    static const Curl& get() {
        static const Curl loaded;
        return loaded;
    }

private:
    Curl() {
        void* library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        const auto find = [&](auto& function, const char* name) {
            if (!problem.empty()) return;
            void* found = library == nullptr ? nullptr : dlsym(library, name);
            if (found == nullptr) problem = dlerror();
            std::memcpy(&function, &found, sizeof found);
        };
        find(init, "curl_easy_init");
        find(cleanup, "curl_easy_cleanup");
        find(setopt, "curl_easy_setopt");
        find(perform, "curl_easy_perform");
        find(getinfo, "curl_easy_getinfo");
        find(strerror, "curl_easy_strerror");
    }
};

constexpr long connect_seconds = 10, silent_seconds = 20, most_redirections = 5;
constexpr unsigned most_attempts = 6;
constexpr std::chrono::milliseconds first_pause{100};  // doubled each time

constexpr long http_ok = 200, http_partial = 206, http_range = 416, http_too_many = 429, http_server_error = 500;

bool may_pass(CURLcode code, long status, HttpClient::Trust trust) {
    switch (code) {
        case CURLE_OK: return status == http_too_many || status >= http_server_error;
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_PARTIAL_FILE: return true;
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_OPERATION_TIMEDOUT: return trust == HttpClient::Trust::seen;
        default: return false;
    }
}

}  // namespace

bool is_url(std::string_view name) { return name.starts_with("http://") || name.starts_with("https://"); }

struct HttpClient::Request {
    std::string range;  // "0-99", empty: all
    u64 limit = 0;
    std::vector<u8> bytes;
    std::optional<u64> total;  // of Content-Range
    std::string tag, date;     // of ETag and Last-Modified
    bool too_large = false;
    long status = 0;

    static usize take(char* data, usize size, usize count, void* self_pointer) {
        auto& self = *static_cast<Request*>(self_pointer);
        const usize length = size * count;
        if (length > self.limit - self.bytes.size()) {
            self.too_large = true;
            return 0;
        }
        self.bytes.insert(self.bytes.end(), data, data + length);
        return length;
    }
    // RFC 9110: Content-Range (bytes 0-99/1234; section 14.4), ETag and Last-Modified (sections 8.8.2 and 8.8.3).
    static usize take_header(char* data, usize size, usize count, void* self_pointer) {
        auto& self = *static_cast<Request*>(self_pointer);
        const std::string_view line(data, size * count);
        const auto value_of = [&](std::string_view name) -> std::optional<std::string_view> {
            if (line.size() < name.size() || strncasecmp(line.data(), name.data(), name.size()) != 0) return {};
            auto value = line.substr(name.size());
            while (!value.empty() && std::string_view(" \t\r\n").find(value.front()) != value.npos)
                value.remove_prefix(1);
            while (!value.empty() && std::string_view(" \t\r\n").find(value.back()) != value.npos)
                value.remove_suffix(1);
            return value;
        };
        if (const auto tag = value_of("etag:")) self.tag = *tag;
        if (const auto date = value_of("last-modified:")) self.date = *date;
        const auto range = value_of("content-range:");
        const auto slash = range ? range->rfind('/') : std::string_view::npos;
        if (slash == std::string_view::npos) return size * count;
        u64 total = 0;
        if (std::from_chars(range->data() + slash + 1, range->data() + range->size(), total).ec == std::errc())
            self.total = total;
        return size * count;
    }
    std::string version() const { return tag.empty() ? date : tag; }
    // Called by libcurl about once a second at least; not 0: give up.
    static int ask_to_stop(void* token, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<const std::stop_token*>(token)->stop_requested() ? 1 : 0;
    }
};

void HttpClient::Close::operator()(void* handle) const { Curl::get().cleanup(handle); }

HttpClient::HttpClient(std::stop_token stop)
    : handle_(Curl::get().problem.empty() ? Curl::get().init() : nullptr), stop_(std::move(stop)) {}
HttpClient::~HttpClient() = default;

Result<void> HttpClient::perform(const std::string& url, Request& request, Trust trust) {
    const Curl& library = Curl::get();
    CURL* curl = handle_.get();
    if (curl == nullptr) return Error{fmt::format("{}: libcurl cannot be used: {}", url, library.problem)};
    char problem[CURL_ERROR_SIZE] = {};
    library.setopt(curl, CURLOPT_URL, url.c_str());
    library.setopt(curl, CURLOPT_ERRORBUFFER, problem);
    library.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    library.setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    library.setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    library.setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    library.setopt(curl, CURLOPT_MAXREDIRS, most_redirections);
    library.setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_seconds);
    library.setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    library.setopt(curl, CURLOPT_LOW_SPEED_TIME, silent_seconds);
    library.setopt(curl, CURLOPT_WRITEFUNCTION, &Request::take);
    library.setopt(curl, CURLOPT_WRITEDATA, &request);
    library.setopt(curl, CURLOPT_HEADERFUNCTION, &Request::take_header);
    library.setopt(curl, CURLOPT_HEADERDATA, &request);
    library.setopt(curl, CURLOPT_RANGE, request.range.empty() ? nullptr : request.range.c_str());
    library.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    library.setopt(curl, CURLOPT_XFERINFOFUNCTION, &Request::ask_to_stop);
    library.setopt(curl, CURLOPT_XFERINFODATA, &stop_);
    auto time = first_pause;
    for (unsigned attempt = 1;; attempt++, time *= 2) {
        request.bytes.clear();
        request.total.reset();
        request.tag.clear();
        request.date.clear();
        const CURLcode code = library.perform(curl);
        library.getinfo(curl, CURLINFO_RESPONSE_CODE, &request.status);
        if (attempt < most_attempts && may_pass(code, request.status, trust) && !stop_.stop_requested()) {
            pause(time);
            continue;
        }
        library.setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
        if (request.too_large) return Error{fmt::format("{}: is larger than {} bytes", url, request.limit)};
        if (code != CURLE_OK)
            return Error{fmt::format("{}: {}", url, problem[0] != 0 ? problem : library.strerror(code))};
        return {};
    }
}

void HttpClient::pause(std::chrono::milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop_, time, [] { return false; });
}

Result<std::vector<u8>> HttpClient::get(const std::string& url, u64 limit, Trust trust) {
    Request request;
    request.limit = limit;
    TRY(perform(url, request, trust));
    if (request.status != http_ok) return Error{fmt::format("{}: the server answers {}", url, request.status)};
    return std::move(request.bytes);
}

Result<HttpClient::Part> HttpClient::get_part(const std::string& url, u64 offset, u64 size, Trust trust) {
    Request request;
    request.limit = size;
    request.range = fmt::format("{}-{}", offset, offset + size - 1);
    const auto done = perform(url, request, trust);
    if (request.status == http_ok) {
        // All of it, since it is no longer, or since the server knows no parts.
        const u64 total = request.bytes.size();
        if (done.ok() && offset == 0) return Part{std::move(request.bytes), total, request.version()};
        return Error{fmt::format("{}: the server gives files only as a whole", url)};
    }
    TRY(done);
    if (request.status == http_range) return Error{fmt::format("{}: is shorter than expected", url)};
    if (request.status != http_partial || !request.total)
        return Error{fmt::format("{}: the server answers {}", url, request.status)};
    return Part{std::move(request.bytes), *request.total, request.version()};
}

Result<void> HttpClient::get_rest(const std::string& url, Part& head, u64 limit) {
    if (head.bytes.size() == head.total) return {};
    if (head.total > limit) return Error{fmt::format("{}: is too large for an index", url)};
    TRY_SET(const auto rest, get_part(url, head.bytes.size(), head.total - head.bytes.size(), Trust::seen));
    head.bytes.insert(head.bytes.end(), rest.bytes.begin(), rest.bytes.end());
    if (head.bytes.size() != head.total) return Error{fmt::format("{}: came cut short", url)};
    return {};
}

Result<void> HttpFile::read_at(u64 offset, std::span<u8> out) {
    if (!range_fits(offset, out.size(), size())) return Error{fmt::format("{}: reads past the end", url_)};
    if (out.empty()) return {};
    if (range_fits(offset, out.size(), head_.bytes.size())) {
        std::memcpy(out.data(), head_.bytes.data() + offset, out.size());
        return {};
    }
    TRY_SET(const auto part, client_.get_part(url_, offset, out.size(), HttpClient::Trust::seen));
    if (part.total != size()) return Error{fmt::format("{}: has another size than before", url_)};
    if (part.bytes.size() != out.size()) return Error{fmt::format("{}: the server gave another part", url_)};
    std::copy(part.bytes.begin(), part.bytes.end(), out.begin());
    return {};
}

Result<void> HttpFile::write_at(u64, std::span<const u8>) { return Error{fmt::format("{}: can only be read", url_)}; }

}  // namespace viv::native
