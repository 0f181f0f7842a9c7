// Tokens: who may enter which room, use streams, offer or attach to which tunnel, until when. A token is a text that
// its holder shows: VERSION.SCOPE.NAME.EXPIRY.MAC, with HMAC-SHA256 (RFC 2104, FIPS 180-4) in base64url (RFC 4648
// section 5) over what is before the last dot. Promises: the comparison takes the same time wherever two MACs differ;
// nothing of a token is believed before its MAC has been found right; a token says nothing that its holder may not
// know.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::netbridge {

// What a name may consist of: letters, digits, '-' and '_', 1 to 64 of them.
bool is_name(std::string_view text);

enum class Scope : u8 { room, wisp, offer, attach };
std::string_view name_of(Scope scope);

struct Grant {
    Scope scope = Scope::room;
    std::string name;  // of the room or the tunnel ("any" grants all of them); of streams it is "wisp"
    u64 expiry = 0;    // in seconds since 1970
};

// Keys that tokens are made and checked with. The first makes them, all of them are good for checking, so that a key
// can be replaced while tokens of the old one are still in use.
class TokenKeys {
public:
    static constexpr usize shortest_key = 32, longest_token = 512;

    // Bytes as read from a file; a newline at the end does not belong to the key. `where` is for messages.
    Result<void> add(std::string_view where, std::string_view key);
    bool empty() const { return keys_.empty(); }

    std::string make(const Grant& grant) const;
    // The grant, if it is for `scope` and `name` and not over at `now` (seconds since 1970); else why not, in a word
    // for logs: malformed, forged, expired, elsewhere.
    Result<Grant> check(std::string_view token, Scope scope, std::string_view name, u64 now) const;

private:
    std::vector<std::string> keys_;
};

}  // namespace viv::netbridge
