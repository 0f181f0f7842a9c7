// Tokens: what is made is good for what it says and for nothing else.
#include "netbridge/token.h"

#include <gtest/gtest.h>

namespace viv::netbridge {
namespace {

constexpr u64 now = 1'700'000'000;

TokenKeys keys_of(std::string_view key) {
    TokenKeys keys;
    EXPECT_TRUE(keys.add("test", key).ok());
    return keys;
}
const std::string key_one(32, 'a'), key_two(40, 'b');

std::string refusal(const TokenKeys& keys, std::string_view token, Scope scope, std::string_view name, u64 at = now) {
    const auto grant = keys.check(token, scope, name, at);
    return grant.ok() ? "granted" : grant.error().message;
}

TEST(Token, IsGoodForItsRoomUntilItsTime) {
    const auto keys = keys_of(key_one);
    const auto token = keys.make({Scope::room, "lab", now + 60});
    EXPECT_EQ(refusal(keys, token, Scope::room, "lab"), "granted");
    EXPECT_EQ(refusal(keys, token, Scope::room, "lab", now + 59), "granted");
    EXPECT_EQ(refusal(keys, token, Scope::room, "lab", now + 60), "expired");
    EXPECT_EQ(refusal(keys, token, Scope::room, "lab2"), "elsewhere");
    EXPECT_EQ(refusal(keys, token, Scope::wisp, "lab"), "elsewhere");
    EXPECT_EQ(refusal(keys, keys.make({Scope::room, "any", now + 1}), Scope::room, "lab"), "granted");
}

TEST(Token, IsWhatOthersWouldMakeOfIt) {
    // HMAC-SHA256 by another implementation (Python's hmac) over "nb1.room.lab.1700000060" with 32 times 'a'.
    EXPECT_EQ(keys_of(key_one).make({Scope::room, "lab", now + 60}),
              "nb1.room.lab.1700000060.MONmp8IIBxs7bQW4jIjI-wKvp2Tivi390bzmXd_62ic");
}

TEST(Token, AnyChangeMakesItForged) {
    const auto keys = keys_of(key_one);
    const auto token = keys.make({Scope::room, "lab", now + 60});
    for (usize at = 0; at < token.size(); at++) {
        auto changed = token;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        EXPECT_NE(refusal(keys, changed, Scope::room, "lab"), "granted") << changed;
        EXPECT_NE(refusal(keys, token.substr(0, at), Scope::room, "lab"), "granted");
    }
    EXPECT_EQ(refusal(keys, "", Scope::room, "lab"), "malformed");
    EXPECT_EQ(refusal(keys, std::string(513, '.'), Scope::room, "lab"), "malformed");
    EXPECT_EQ(refusal(keys, token + "=", Scope::room, "lab"), "forged");
    EXPECT_EQ(refusal(keys_of(key_two), token, Scope::room, "lab"), "forged");
}

TEST(Token, OldKeysAreGoodForCheckingOnly) {
    const auto old = keys_of(key_one).make({Scope::wisp, "wisp", now + 1});
    TokenKeys both = keys_of(key_two);
    ASSERT_TRUE(both.add("old", key_one).ok());
    EXPECT_EQ(refusal(both, old, Scope::wisp, "wisp"), "granted");
    EXPECT_EQ(both.make({Scope::wisp, "wisp", now + 1}), keys_of(key_two).make({Scope::wisp, "wisp", now + 1}));
}

TEST(Token, KeysHaveALength) {
    TokenKeys keys;
    EXPECT_FALSE(keys.add("f", std::string(31, 'k')).ok());
    EXPECT_FALSE(keys.add("f", std::string(31, 'k') + "\n").ok());
    EXPECT_TRUE(keys.add("f", std::string(32, 'k') + "\r\n").ok());
    EXPECT_EQ(keys.make({Scope::room, "r", 5}), keys_of(std::string(32, 'k')).make({Scope::room, "r", 5}));
}

TEST(Token, Names) {
    EXPECT_TRUE(is_name("a-Z_9"));
    EXPECT_TRUE(is_name(std::string(64, 'x')));
    for (const auto* text : {"", ".", "a.b", "a/b", "a b", "\xc3\xa4"}) EXPECT_FALSE(is_name(text)) << text;
    EXPECT_FALSE(is_name(std::string(65, 'x')));
}

}  // namespace
}  // namespace viv::netbridge
