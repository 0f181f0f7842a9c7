// See header.h.
#include "engine/block/luks/header.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/block/catalog.h"
#include "engine/lang/bytes.h"

namespace viv::block::luks {

namespace {

constexpr usize slot_bytes = 48;
constexpr u32 slot_in_use = 0x00ac71f3, slot_free = 0x0000dead;
constexpr u32 most_stripes = 4096, new_stripes = 4000;
constexpr u64 new_alignment = 4096;  // of keys in a new header
constexpr u32 fewest_iterations = 1000;
constexpr std::array<u8, 6> mark = {'L', 'U', 'K', 'S', 0xba, 0xbe};

namespace at {
constexpr usize version = 6, cipher = 8, mode = 40, hash = 72, payload = 104, key_bytes = 108, digest = 112,
                digest_salt = 132, digest_iterations = 164, uuid = 168, slots = 208;
// In a slot.
constexpr usize iterations = 4, salt = 8, material = 40, stripes = 44;
}  // namespace at

using HeaderBytes = std::array<u8, header_bytes>;

struct HashKind {
    std::string_view name;
    usize bytes;
};
constexpr HashKind hashes[] = {{"sha1", 20},   {"sha224", 28}, {"sha256", 32},
                               {"sha384", 48}, {"sha512", 64}, {"ripemd160", 20}};

// For a message, too: what cannot be printed is a question mark.
std::string text_at(const HeaderBytes& header, usize place, usize most) {
    std::string text;
    for (usize i = place; i < place + most && header[i] != 0; i++)
        text += header[i] >= ' ' && header[i] <= '~' ? static_cast<char>(header[i]) : '?';
    return text;
}

Result<usize> hash_bytes(std::string_view hash) {
    const auto found = std::ranges::find(hashes, hash, &HashKind::name);
    if (found != std::end(hashes)) return found->bytes;
    return Error{fmt::format("has keys by the hash {}, which is not supported", hash)};
}

// Each part of the size of a hash becomes the hash of its number and itself.
Result<void> diffuse(host::Ciphers& ciphers, const std::string& hash, std::span<u8> key) {
    TRY_SET(const usize length, hash_bytes(hash));
    for (u32 number = 0; !key.empty(); number++) {
        const auto part = key.first(std::min(length, key.size()));
        Secret data(4 + part.size());
        store_be<u32>(data.data(), number);
        std::ranges::copy(part, data.data() + 4);
        TRY_SET(const Secret hashed, ciphers.digest(hash, data.bytes()));
        std::copy_n(hashed.bytes().begin(), part.size(), part.begin());
        key = key.subspan(part.size());
    }
    return {};
}

void mix(std::span<u8> to, std::span<const u8> from) {
    for (usize i = 0; i < to.size(); i++) to[i] ^= from[i];
}

Result<Slot> read_slot(const u8* bytes, unsigned number, const Method& method, const Place& place) {
    Slot slot;
    const u32 state = load_be<u32>(bytes);
    if (state == slot_free) return slot;
    if (state != slot_in_use) return Error{fmt::format("has a key slot {} that is damaged", number)};
    slot.used = true;
    slot.iterations = load_be<u32>(bytes + at::iterations);
    std::copy_n(bytes + at::salt, slot.salt.size(), slot.salt.begin());
    slot.material = u64{load_be<u32>(bytes + at::material)} * sector_bytes;
    slot.stripes = load_be<u32>(bytes + at::stripes);
    if (slot.stripes == 0 || slot.stripes > most_stripes)
        return Error{fmt::format("has a key in {} stripes; 1 to {} can be", slot.stripes, most_stripes)};
    const u64 bytes_needed = align_up(u64{slot.stripes} * method.key_bytes, sector_bytes);
    if (slot.material < header_bytes || !range_fits(slot.material, bytes_needed, place.length))
        return Error{fmt::format("has the key of slot {} outside its header", number)};
    return slot;
}

// Before any of them are spent.
Result<void> check_iterations(const Header& header) {
    u64 sum = 0;
    for (const Slot& slot : header.slot) {
        if (!slot.used) continue;
        if (slot.iterations == 0 || header.digest_iterations == 0) return Error{"has a key that takes no iterations"};
        sum += u64{slot.iterations} + header.digest_iterations;
    }
    if (sum <= most_iterations) return {};
    return Error{fmt::format("has keys that take {} iterations; at most {} are supported", sum, most_iterations)};
}

Result<bool> is_right(host::Ciphers& ciphers, const Header& header, const Secret& key) {
    std::array<u8, 20> digest{};
    TRY(ciphers.derive(header.hash, key.bytes(), header.digest_salt, header.digest_iterations, digest));
    return digest == header.digest;
}

// The master key if the passphrase is that of the slot, otherwise nothing in particular.
Result<Secret> key_of(host::File& file, const Place& place, const Header& header, const Slot& slot, const Key& key) {
    const usize length = header.method.key_bytes;
    Secret master(length), material(align_up(slot.stripes * length, sector_bytes));
    TRY(key.ciphers.derive(header.hash, key.passphrase.bytes(), slot.salt, slot.iterations, master.bytes()));
    TRY_SET(const auto cipher, SectorCipher::make(key.ciphers, header.method, master.bytes()));
    TRY(read_padded(file, place.offset + slot.material, material.bytes()));
    TRY(cipher->decrypt(0, material.bytes()));
    wipe(master.bytes());
    for (usize i = 0; i < slot.stripes; i++) {
        if (i != 0) TRY(diffuse(key.ciphers, header.hash, master.bytes()));
        mix(master.bytes(), material.bytes().subspan(i * length, length));
    }
    return master;
}

std::string new_uuid(host::Ciphers& ciphers) {
    std::array<u8, 16> id{};
    ciphers.random(id);
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    const auto part = [&](usize first, usize count) {
        return fmt::format("{:02x}", fmt::join(std::span(id).subspan(first, count), ""));
    };
    return fmt::format("{}-{}-{}-{}-{}", part(0, 4), part(4, 2), part(6, 2), part(8, 2), part(10, 6));
}

u64 slot_room(const Method& method) { return align_up(u64{new_stripes} * method.key_bytes, new_alignment); }
u64 new_payload(const Method& method) { return new_alignment + slots * slot_room(method); }

Result<Method> wanted_method(const Encryption& wanted) {
    std::string text = wanted.mode + "-" + wanted.start;
    if (wanted.start == "essiv")
        text += ":" + (wanted.start_hash.empty() ? "sha256" : wanted.start_hash);
    else if (!wanted.start_hash.empty())
        return Error{"ivgen-hash-alg is for ivgen-alg=essiv"};
    TRY(hash_bytes(wanted.hash));
    return parse_method(text, wanted.aes_bits / (wanted.mode == "xts" ? 4 : 8));
}

// The key in pieces that are random but for the last one, encrypted by what the passphrase gives.
Result<void> fill_slot(const Key& key, const Header& header, const Secret& master, const Slot& slot,
                       std::span<u8> material) {
    const usize length = master.size();
    Secret sum(length), derived(length), pieces(material.size());
    key.ciphers.random(pieces.bytes().first((slot.stripes - 1) * length));
    for (usize i = 0; i + 1 < slot.stripes; i++) {
        mix(sum.bytes(), pieces.bytes().subspan(i * length, length));
        TRY(diffuse(key.ciphers, header.hash, sum.bytes()));
    }
    const auto last = pieces.bytes().subspan((slot.stripes - 1) * length, length);
    std::ranges::copy(master.bytes(), last.begin());
    mix(last, sum.bytes());
    TRY(key.ciphers.derive(header.hash, key.passphrase.bytes(), slot.salt, slot.iterations, derived.bytes()));
    TRY_SET(const auto cipher, SectorCipher::make(key.ciphers, header.method, derived.bytes()));
    TRY(cipher->encrypt(0, pieces.bytes()));
    std::ranges::copy(pieces.bytes(), material.begin());
    return {};
}

void put_text(std::span<u8> bytes, usize place, std::string_view text) { std::ranges::copy(text, &bytes[place]); }

void encode(const Header& header, std::span<u8> out) {
    std::ranges::copy(mark, out.begin());
    store_be<u16>(&out[at::version], 1);
    put_text(out, at::cipher, "aes");
    put_text(out, at::mode, header.method.text());
    put_text(out, at::hash, header.hash);
    store_be<u32>(&out[at::payload], static_cast<u32>(header.payload / sector_bytes));
    store_be<u32>(&out[at::key_bytes], static_cast<u32>(header.method.key_bytes));
    std::ranges::copy(header.digest, &out[at::digest]);
    std::ranges::copy(header.digest_salt, &out[at::digest_salt]);
    store_be<u32>(&out[at::digest_iterations], header.digest_iterations);
    put_text(out, at::uuid, header.uuid);
    for (usize i = 0; i < slots; i++) {
        const Slot& slot = header.slot[i];
        u8* const bytes = &out[at::slots + i * slot_bytes];
        store_be<u32>(bytes, slot.used ? slot_in_use : slot_free);
        store_be<u32>(bytes + at::iterations, slot.iterations);
        std::ranges::copy(slot.salt, bytes + at::salt);
        store_be<u32>(bytes + at::material, static_cast<u32>(slot.material / sector_bytes));
        store_be<u32>(bytes + at::stripes, slot.stripes);
    }
}

}  // namespace

std::vector<std::pair<std::string, ImageDetails::Value>> Header::details(std::string_view prefix) const {
    std::vector<std::pair<std::string, ImageDetails::Value>> all;
    const auto add = [&](std::string_view name, ImageDetails::Value value) {
        all.emplace_back(fmt::format("{}{}", prefix, name), std::move(value));
    };
    add("ivgen-alg", method.start_name());
    if (!method.start_hash.empty()) add("ivgen-hash-alg", method.start_hash);
    add("hash-alg", hash);
    add("cipher-alg", fmt::format("aes-{}", method.aes_bits()));
    add("uuid", uuid);
    add("cipher-mode", method.mode_name());
    add("active-slots", static_cast<u64>(std::ranges::count(slot, true, &Slot::used)));
    add("payload-offset", payload);
    add("master-key-iters", u64{digest_iterations});
    return all;
}

Result<Header> read_header(host::File& file, const Place& place) {
    HeaderBytes bytes{};
    if (place.length < bytes.size()) return Error{"has too little room for its header of encryption"};
    TRY(read_padded(file, place.offset, bytes));
    if (!std::equal(mark.begin(), mark.end(), bytes.begin())) return Error{"is no LUKS image"};
    const u32 version = load_be<u16>(&bytes[at::version]);
    if (version != 1) return Error{fmt::format("is a LUKS image of version {}; 1 is supported", version)};
    const auto cipher = text_at(bytes, at::cipher, 32);
    if (cipher != "aes") return Error{fmt::format("is encrypted by {}; aes is supported", cipher)};
    Header header;
    TRY_SET(header.method, parse_method(text_at(bytes, at::mode, 32), load_be<u32>(&bytes[at::key_bytes])));
    header.hash = text_at(bytes, at::hash, 32);
    TRY(hash_bytes(header.hash));
    header.uuid = text_at(bytes, at::uuid, 40);
    header.payload = u64{load_be<u32>(&bytes[at::payload])} * sector_bytes;
    if (header.payload < header_bytes) return Error{"has its data where its header is"};
    std::copy_n(&bytes[at::digest], header.digest.size(), header.digest.begin());
    std::copy_n(&bytes[at::digest_salt], header.digest_salt.size(), header.digest_salt.begin());
    header.digest_iterations = load_be<u32>(&bytes[at::digest_iterations]);
    for (unsigned i = 0; i < slots; i++) {
        TRY_SET(header.slot[i], read_slot(&bytes[at::slots + i * slot_bytes], i, header.method, place));
    }
    TRY(check_iterations(header));
    return header;
}

Result<std::unique_ptr<SectorCipher>> unlock(host::File& file, const Place& place, const Header& header,
                                             const Key& key) {
    for (const Slot& slot : header.slot) {
        if (!slot.used) continue;
        TRY_SET(const Secret master, key_of(file, place, header, slot, key));
        TRY_SET(const bool right, is_right(key.ciphers, header, master));
        if (right) return SectorCipher::make(key.ciphers, header.method, master.bytes());
    }
    return Error{"is not opened by this passphrase"};
}

Result<std::vector<u8>> make_header(const Key& key, const Encryption& wanted) {
    Header header;
    TRY_SET(header.method, wanted_method(wanted));
    header.hash = wanted.hash;
    header.uuid = new_uuid(key.ciphers);
    header.payload = new_payload(header.method);
    key.ciphers.random(header.digest_salt);
    // The key itself is random: for it fewer do.
    header.digest_iterations = std::max(wanted.iterations / 8, fewest_iterations);
    for (usize i = 0; i < slots; i++) {
        header.slot[i].material = new_alignment + i * slot_room(header.method);
        header.slot[i].stripes = new_stripes;
    }
    Slot& slot = header.slot[0];
    slot.used = true;
    slot.iterations = std::max(wanted.iterations, fewest_iterations);
    key.ciphers.random(slot.salt);
    TRY(check_iterations(header));

    Secret master(header.method.key_bytes);
    key.ciphers.random(master.bytes());
    TRY(key.ciphers.derive(header.hash, master.bytes(), header.digest_salt, header.digest_iterations, header.digest));
    std::vector<u8> bytes(header.payload);
    const u64 room = align_up(u64{slot.stripes} * master.size(), sector_bytes);
    TRY(fill_slot(key, header, master, slot, std::span(bytes).subspan(slot.material, room)));
    encode(header, bytes);
    return bytes;
}

}  // namespace viv::block::luks
