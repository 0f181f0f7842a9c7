// The command line, paths, origins, and what is written for others to read.
#include "netbridge/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "netbridge/journal.h"
#include "netbridge/metrics.h"

namespace viv::netbridge {
namespace {

Result<Order> parse(std::vector<std::string> words) { return parse_arguments(words); }
Settings settings(std::vector<std::string> words) {
    auto order = parse(std::move(words));
    EXPECT_TRUE(order.ok()) << order.error().message;
    return *std::get_if<Settings>(&*order);
}
std::string problem(std::vector<std::string> words) {
    const auto order = parse(std::move(words));
    return order.ok() ? "" : order.error().message;
}

struct SecretFile {
    explicit SecretFile(const std::string& content)
        : path(testing::TempDir() + "netbridge-secret-" + std::to_string(getpid())) {
        std::ofstream(path) << content;
    }
    ~SecretFile() { unlink(path.c_str()); }
    std::string path;
};

TEST(Settings, DefaultsAreTheSafeOnes) {
    const auto defaults = settings({});
    ASSERT_EQ(defaults.listen.size(), 1u);
    EXPECT_EQ(defaults.listen[0].text(), "127.0.0.1:8090");
    EXPECT_TRUE(defaults.sandbox);
    EXPECT_FALSE(defaults.wisp);
    EXPECT_FALSE(defaults.has_nat("lobby"));
    EXPECT_FALSE(defaults.origins.allow("http://127.0.0.1:8000"));
    EXPECT_TRUE(defaults.origins.allow(""));
}

TEST(Settings, WithoutTokensOnlyLoopback) {
    for (const auto* address : {"0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[2001:db8::1]:80"})
        EXPECT_NE(problem({"--listen", address}).find("--secret-file"), std::string::npos) << address;
    for (const auto* address : {"127.0.0.1:80", "[::1]:80", "127.1.2.3:0"})
        EXPECT_EQ(problem({"--listen", address}), "");
    const SecretFile secret(std::string(32, 's'));
    EXPECT_EQ(settings({"--listen", "0.0.0.0:80", "--secret-file", secret.path}).listen[0].port, 80);
    EXPECT_NE(problem({"--listen", "127.0.0.1:80", "--listen", "0.0.0.0:81"}), "");
}

TEST(Settings, WrongWordsAreOneLineWithTheOption) {
    const std::vector<std::vector<std::string>> wrong = {
        {"--listen", "here"},
        {"--listen", "127.0.0.1"},
        {"--listen", "127.0.0.1:70000"},
        {"--allow", "x"},
        {"--deny", "10.0.0.0/99"},
        {"--origin", "example.org"},
        {"--nat", "a/b"},
        {"--connections", "0"},
        {"--frames", "many"},
        {"--ping", "50"},
        {"--secret-file", "/nowhere"},
        {"--cert", "/nowhere"},
        {"--metrics-from", "here"},
        {"--queue", "5"},
        {"--tap", "lab"},
        {"--tap", "lab="},
        {"--tap", "=tap0"},
        {"--tap", "a/b=tap0"},
        {"--tap", "any=tap0"},
        {"--tap", "lab=an-interface-name-too-long"},
        {"--tap", "lab=tap0", "--nat", "lab"},
        {"--tap", "lab=tap0", "--tap", "lab=tap1"},
        {"--tap", "lab=tap0", "--tap", "den=tap0"},
        {"--nat-first", "10.0.2.250"},
        {"--nat-first", "10.0.3.15"},
        {"--backplane", "127.0.0.1:4222"},
        {"--backplane", "nats://127.0.0.1"},
        {"--backplane", "nats://:4222"},
        {"--backplane", "nats://127.0.0.1:0"},
        {"--backplane", "nats://127.0.0.1:4222,"},
        {"--backplane", "nats://127.0.0.1:4222/x"},
        {"--backplane", "nats://127.0.0.1:4222,tls://127.0.0.1:4222"},
        {"--backplane", "nats://me:word@127.0.0.1:4222"},
        {"--backplane", "nats://127.0.0.1:4222", "--backplane-ca", "/nowhere"},
        {"--backplane-user-file", "/nowhere", "--backplane", "nats://127.0.0.1:4222"},
        {"--backplane-token-file", "/nowhere", "--backplane", "nats://127.0.0.1:4222"},
        {"--bogus"},
        {"token"},
    };
    for (const auto& words : wrong) {
        const auto text = problem(words);
        EXPECT_NE(text, "") << words[0];
        EXPECT_EQ(text.find('\n'), std::string::npos) << text;
        EXPECT_NE(text.find(words[0]), std::string::npos) << text;
    }
}

TEST(Settings, Limits) {
    const auto given = settings(
        {"--frames", "10", "--connections", "7", "--nat", "any", "--check-spoofing", "--wisp", "--no-sandbox"});
    EXPECT_EQ(given.limits.frames.per_second, 10u);
    EXPECT_EQ(given.limits.frames.burst, 20u);
    EXPECT_EQ(given.limits.connections, 7u);
    EXPECT_TRUE(given.has_nat("whatever"));
    EXPECT_EQ(given.spoof_check, SpoofCheck::on);
    EXPECT_FALSE(given.sandbox);
}

TEST(Settings, OptionsThatMayBeRepeated) {
    const SecretFile secret(std::string(32, 's'));
    const auto given = settings({"--listen",   "127.0.0.1:1",    "--listen",      "127.0.0.1:2", "--secret-file",
                                 secret.path,  "--secret-file",  secret.path,     "--origin",    "https://a",
                                 "--origin",   "https://b",      "--nat",         "a",           "--nat",
                                 "b",          "--allow",        "10.0.0.1",      "--allow",     "10.0.0.2",
                                 "--deny",     "10.0.0.3",       "--deny",        "10.0.0.4",    "--metrics-from",
                                 "10.0.0.0/8", "--metrics-from", "192.168.0.0/16"});
    EXPECT_EQ(given.listen.size(), 2u);
    EXPECT_TRUE(given.origins.allow("https://a") && given.origins.allow("https://b"));
    EXPECT_TRUE(given.has_nat("a") && given.has_nat("b"));
    EXPECT_FALSE(given.has_nat("c"));
    const auto permits = [&](const char* address) {
        return given.rules.permits({*Address::parse(address), Transport::tcp, 80});
    };
    EXPECT_TRUE(permits("10.0.0.1") && permits("10.0.0.2"));
    EXPECT_FALSE(permits("10.0.0.3") || permits("10.0.0.5"));
    EXPECT_EQ(given.metrics_from.size(), 2u);
    EXPECT_NE(problem({"--nat", "a", "b"}), "");
}

TEST(Settings, WaysOut) {
    const auto given = settings({"--tap", "lab=tap0", "--tap", "den=tap-of-15-bytes", "--nat", "any"});
    EXPECT_EQ(given.taps, (std::map<std::string, std::string>{{"den", "tap-of-15-bytes"}, {"lab", "tap0"}}));
    EXPECT_FALSE(given.has_nat("lab"));
    EXPECT_TRUE(given.has_nat("lobby"));
}

TEST(Settings, Backplane) {
    const SecretFile secret("relay:a:b\n");
    EXPECT_TRUE(settings({}).backplane.servers.empty());
    const auto user =
        settings({"--backplane", "nats://a:1,nats://[::1]:4222", "--backplane-user-file", secret.path}).backplane;
    EXPECT_EQ(user.servers, (std::vector<std::string>{"nats://a:1", "nats://[::1]:4222"}));
    EXPECT_FALSE(user.is_secure());
    EXPECT_EQ(user.user, "relay");
    EXPECT_EQ(user.password, "a:b");
    const auto token =
        settings({"--backplane", "tls://a:1", "--backplane-token-file", secret.path, "--backplane-ca", "f"}).backplane;
    EXPECT_TRUE(token.is_secure());
    EXPECT_EQ(token.token, "relay:a:b");
    EXPECT_EQ(token.authority_file, "f");
    for (const auto* other : {"--backplane-user-file", "--backplane-token-file", "--backplane-ca"})
        EXPECT_NE(problem({other, secret.path}).find("--backplane URL"), std::string::npos);
    EXPECT_NE(problem({"--backplane", "nats://a:1", "--backplane-user-file", secret.path, "--backplane-token-file",
                       secret.path}),
              "");
    const SecretFile bad("one word\n");
    EXPECT_NE(problem({"--backplane", "nats://a:1", "--backplane-user-file", bad.path}), "");
    const std::string password = problem({"--backplane", "nats://me:word@a:1"});
    EXPECT_EQ(password.find("word@"), std::string::npos) << password;
    EXPECT_EQ(settings({"--nat-first", "10.0.2.31"}).outside.first_lease, *Address::parse("10.0.2.31"));
}

TEST(Settings, TokenOrders) {
    const SecretFile secret(std::string(64, 's'));
    const auto order = parse({"token", "--secret-file", secret.path, "--room", "lab", "--expires", "2h"});
    ASSERT_TRUE(order.ok()) << order.error().message;
    const auto& token = *std::get_if<TokenOrder>(&*order);
    EXPECT_EQ(token.grant.name, "lab");
    EXPECT_EQ(token.grant.expiry, 7200u);
    for (const auto* scope : {"offer", "attach"}) {
        const auto named = parse({"token", "--secret-file", secret.path, std::string("--") + scope, "m"});
        ASSERT_TRUE(named.ok()) << named.error().message;
        EXPECT_EQ(name_of(std::get_if<TokenOrder>(&*named)->grant.scope), scope);
    }
    EXPECT_NE(problem({"token", "--secret-file", secret.path, "--offer", "a", "--attach", "a"}), "");
    EXPECT_NE(problem({"token", "--secret-file", secret.path}), "");
    EXPECT_NE(problem({"token", "--secret-file", secret.path, "--room", "a", "--wisp"}), "");
    EXPECT_NE(problem({"token", "--secret-file", secret.path, "--room", "a b"}), "");
    for (const auto* time : {"0", "x", "5y", "-3h", "99999999d", "h", ""})
        EXPECT_NE(problem({"token", "--secret-file", secret.path, "--room", "a", "--expires", time}), "") << time;
    const SecretFile empty("short");
    EXPECT_NE(problem({"token", "--secret-file", empty.path, "--room", "a"}).find("5 bytes"), std::string::npos);
}

TEST(Settings, TunnelOrders) {
    const auto order = parse({"offer", "wss://[::1]:9/tunnel/m", "--connect", "unix:/run/gdb"});
    ASSERT_TRUE(order.ok()) << order.error().message;
    const auto& offer = *std::get_if<TunnelOrder>(&*order);
    EXPECT_TRUE(offer.url.secure);
    EXPECT_EQ(offer.url.host, "::1");
    EXPECT_EQ(offer.url.port, 9);
    EXPECT_EQ(offer.url.path, "/tunnel/m/offer");
    EXPECT_EQ(offer.local.path, "/run/gdb");
    const auto other = parse({"attach", "ws://a/tunnel/m", "--listen", "127.0.0.1:1234"});
    ASSERT_TRUE(other.ok()) << other.error().message;
    const auto& attach = *std::get_if<TunnelOrder>(&*other);
    EXPECT_EQ(attach.url.port, 80);
    EXPECT_EQ(attach.url.path, "/tunnel/m");
    EXPECT_EQ(attach.local.tcp.port, 1234);
    for (const auto* url : {"http://a/tunnel/m", "ws://a/m", "ws://a", "ws:///tunnel/m", "ws://a:0/tunnel/m",
                            "ws://a:x/tunnel/m", "ws://b@a/tunnel/m", "ws://a/tunnel/m/offer", "ws://a/tunnel/m?x"})
        EXPECT_NE(problem({"attach", url, "--listen", "127.0.0.1:1"}), "") << url;
    for (const auto* where : {"0.0.0.0:1", "unix:", "1234", "localhost:1"})
        EXPECT_NE(problem({"attach", "ws://a/tunnel/m", "--listen", where}), "") << where;
    EXPECT_NE(problem({"attach", "ws://a/tunnel/m"}), "");
    EXPECT_NE(problem({"offer", "ws://a/tunnel/m", "--connect", "127.0.0.1:1", "--token-file", "/nowhere"}), "");
}

TEST(Request, PathsAreRoomsAndPlaces) {
    using Kind = Request::Kind;
    EXPECT_EQ(parse_request("/")->name, "lobby");
    EXPECT_EQ(parse_request("/lab")->name, "lab");
    EXPECT_EQ(parse_request("/lab/")->name, "lab");
    EXPECT_EQ(parse_request("/tunnel/m")->kind, Kind::attach);
    EXPECT_EQ(parse_request("/tunnel/m/offer")->kind, Kind::offer);
    EXPECT_EQ(parse_request("/tunnel/m/offer")->name, "m");
    EXPECT_EQ(parse_request("/tunnel/m/offer")->scope, Scope::offer);
    for (const auto* path : {"/tunnel/m/attach", "/tunnel/m/offer/x", "/tunnel/a.b"}) EXPECT_FALSE(parse_request(path));
    EXPECT_EQ(parse_request("/room/wisp")->kind, Kind::room);
    EXPECT_EQ(parse_request("/wisp/")->kind, Kind::wisp);
    EXPECT_EQ(parse_request("/wisp")->scope, Scope::wisp);
    EXPECT_EQ(parse_request("/healthz")->kind, Kind::health);
    EXPECT_EQ(parse_request("/metrics")->kind, Kind::metrics);
    for (const auto* path : {"", "lab", "//", "/a/b", "/a.b", "/%2e%2e", "/tunnel/m/x/host", "/tunnel/m/gdb/both",
                             "/room", "/wisp/x", "/metrics/x", "/a\nb"})
        EXPECT_FALSE(parse_request(path)) << path;
    EXPECT_FALSE(parse_request("/" + std::string(300, 'a')));
}

TEST(Origins, AreComparedWhole) {
    Origins origins;
    ASSERT_TRUE(origins.add("https://Example.org").ok());
    EXPECT_TRUE(origins.allow("https://example.org"));
    for (const auto* origin : {"http://example.org", "https://example.org:444", "https://example.org.evil.net", "null",
                               "https://sub.example.org"})
        EXPECT_FALSE(origins.allow(origin)) << origin;
    for (const auto* text : {"", "example.org", "https://", "https://example.org/", "://x"})
        EXPECT_FALSE(origins.add(text).ok()) << text;
    ASSERT_TRUE(origins.add("*").ok());
    EXPECT_TRUE(origins.allow("null"));
}

TEST(Metrics, TextIsWhatPrometheusReads) {
    Metrics metrics;
    metrics.clients = 3;
    metrics.refuse(Refusal::token);
    metrics.end(Ended::oversize);
    const auto text = prometheus_text(metrics);
    EXPECT_NE(text.find("\nnetbridge_clients 3\n"), std::string::npos);
    EXPECT_NE(text.find("\nnetbridge_refused_total{reason=\"token\"} 1\n"), std::string::npos);
    EXPECT_NE(text.find("\nnetbridge_ended_total{reason=\"oversize\"} 1\n"), std::string::npos);
    EXPECT_EQ(text.find("{}"), std::string::npos);
    EXPECT_EQ(text.back(), '\n');
}

TEST(Metrics, DurationsAreAHistogram) {
    Metrics metrics;
    for (const u64 milliseconds : {0, 5, 6, 99, 700, 20'000}) metrics.late.add(milliseconds * 1'000'000);
    const auto text = prometheus_text(metrics);
    EXPECT_NE(text.find("# TYPE netbridge_loop_late_seconds histogram\n"
                        "netbridge_loop_late_seconds_bucket{le=\"0.005\"} 2\n"
                        "netbridge_loop_late_seconds_bucket{le=\"0.020\"} 3\n"
                        "netbridge_loop_late_seconds_bucket{le=\"0.100\"} 4\n"
                        "netbridge_loop_late_seconds_bucket{le=\"0.500\"} 4\n"
                        "netbridge_loop_late_seconds_bucket{le=\"2.000\"} 5\n"
                        "netbridge_loop_late_seconds_bucket{le=\"10.000\"} 5\n"
                        "netbridge_loop_late_seconds_bucket{le=\"+Inf\"} 6\n"
                        "netbridge_loop_late_seconds_sum 20.810000000\n"
                        "netbridge_loop_late_seconds_count 6\n"),
              std::string::npos)
        << text;
}

TEST(Journal, LinesAreJsonAndLimited) {
    std::vector<std::string> lines;
    u64 now = 1'700'000'000'123'456'000;
    bool stalled = false;
    const auto write = [&](std::string_view line) {
        if (!stalled) lines.emplace_back(line);
        return !stalled;
    };
    Journal journal(write, [&] { return now; });
    journal.event("x", {{"text", "a\"b\\c\n\x01\xff"}, {"number", u64{7}}});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0],
              "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"event\":\"x\","
              "\"text\":\"a\\\"b\\\\c\\u000a\\u0001?\",\"number\":7}\n");
    for (int i = 0; i < 1000; i++) journal.client("y", {});
    EXPECT_EQ(lines.size(), 501u);
    now += 1'000'000'000;
    journal.client("y", {});
    ASSERT_EQ(lines.size(), 503u);
    EXPECT_NE(lines[501].find("\"lines\":500"), std::string::npos);
    // Whoever reads the log has stalled for a while.
    stalled = true;
    journal.event("z");
    journal.client("z", {});
    stalled = false;
    journal.event("x", {{"text", std::string(100'000, '\x01')}});
    ASSERT_EQ(lines.size(), 505u);
    EXPECT_NE(lines[503].find("\"suppressed\",\"lines\":"), std::string::npos);
    EXPECT_LT(lines[504].size(), Journal::longest_line);
}

}  // namespace
}  // namespace viv::netbridge
