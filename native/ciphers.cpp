// See ciphers.h.
#include "native/ciphers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>

#include "engine/lang/check.h"
#include "native/descriptor.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

constexpr usize most_passphrase = 8 << 20;
constexpr usize most_at_once = usize{1} << 30;  // libcrypto counts in int

Result<const EVP_MD*> hash_of(std::string_view name) {
    const EVP_MD* const found = EVP_get_digestbyname(std::string(name).c_str());
    if (found != nullptr) return found;
    return Error{fmt::format("has keys by the hash {}, which this host's libcrypto has not", name)};
}

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

class Aes final : public host::BlockCipher {
public:
    Result<void> prepare(std::span<const u8> key) {
        const EVP_CIPHER* const kind = key.size() == 16   ? EVP_aes_128_ecb()
                                       : key.size() == 24 ? EVP_aes_192_ecb()
                                       : key.size() == 32 ? EVP_aes_256_ecb()
                                                          : nullptr;
        for (const bool encrypting : {true, false}) {
            auto& context = encrypting ? encrypt_ : decrypt_;
            context.reset(EVP_CIPHER_CTX_new());
            if (kind == nullptr || !context ||
                EVP_CipherInit_ex(context.get(), kind, nullptr, key.data(), nullptr, encrypting ? 1 : 0) != 1 ||
                EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1)
                return Error{"has a key that AES cannot use"};
        }
        return {};
    }
    Result<void> encrypt(std::span<u8> blocks) override { return run(*encrypt_, blocks); }
    Result<void> decrypt(std::span<u8> blocks) override { return run(*decrypt_, blocks); }

private:
    static Result<void> run(EVP_CIPHER_CTX& context, std::span<u8> blocks) {
        while (!blocks.empty()) {
            const auto part = blocks.first(std::min(blocks.size(), most_at_once));
            int length = 0;
            if (EVP_CipherUpdate(&context, part.data(), &length, part.data(), static_cast<int>(part.size())) != 1 ||
                static_cast<usize>(length) != part.size())
                return Error{"cannot be encrypted or decrypted: AES failed"};
            blocks = blocks.subspan(part.size());
        }
        return {};
    }

    Context encrypt_, decrypt_;
};

class HostCiphers final : public host::Ciphers {
public:
    Result<std::unique_ptr<host::BlockCipher>> aes(std::span<const u8> key) override {
        auto cipher = std::make_unique<Aes>();
        TRY(cipher->prepare(key));
        return std::unique_ptr<host::BlockCipher>(std::move(cipher));
    }

    Result<Secret> digest(std::string_view hash, std::span<const u8> data) override {
        TRY_SET(const EVP_MD* kind, hash_of(hash));
        Secret out(static_cast<usize>(EVP_MD_get_size(kind)));
        if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, kind, nullptr) == 1) return out;
        return Error{fmt::format("has keys by the hash {}, which failed", hash)};
    }

    Result<void> derive(std::string_view hash, std::span<const u8> secret, std::span<const u8> salt, u32 iterations,
                        std::span<u8> out) override {
        TRY_SET(const EVP_MD* kind, hash_of(hash));
        if (iterations <= low_mask(31) &&
            PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(secret.data()), static_cast<int>(secret.size()),
                              salt.data(), static_cast<int>(salt.size()), static_cast<int>(iterations), kind,
                              static_cast<int>(out.size()), out.data()) == 1)
            return {};
        return Error{fmt::format("has keys by the hash {}, which failed", hash)};
    }

    // Without random bytes there must be no key.
    void random(std::span<u8> out) override { CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1); }
};

u64 used_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

Result<int> descriptor_of(const std::string& source) {
    if (!source.starts_with("fd:")) {
        const int file = open(source.c_str(), O_RDONLY | O_CLOEXEC);
        if (file >= 0) return file;
        return Error{fmt::format("{}: cannot read a passphrase: {}", source, error_text(errno))};
    }
    int file = -1;
    const char* const end = source.data() + source.size();
    const auto parsed = std::from_chars(source.data() + 3, end, file);
    if (parsed.ec == std::errc{} && parsed.ptr == end && file >= 0) return file;
    return Error{fmt::format("{}: a descriptor's number is needed, as in fd:3", source)};
}

}  // namespace

host::Ciphers& host_ciphers() {
    static HostCiphers ciphers;  // has no state
    return ciphers;
}

Result<block::Key> read_key(const std::string& source) {
    TRY_SET(const int number, descriptor_of(source));
    const Descriptor file(number);
    Secret text(4096);
    usize length = 0;
    while (true) {
        const ssize_t got = read(file.number(), text.data() + length, text.size() - length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error{fmt::format("{}: cannot read a passphrase: {}", source, error_text(errno))};
        if (got == 0) break;
        length += static_cast<usize>(got);
        if (length > most_passphrase) return Error{fmt::format("{}: is too long for a passphrase", source)};
        if (length == text.size()) text.resize(2 * length);
    }
    if (length == 0) return Error{fmt::format("{}: has no passphrase; it is empty", source)};
    text.resize(length);
    return block::Key{host_ciphers(), std::move(text)};
}

Result<u32> iterations_in(std::string_view hash, u64 milliseconds) {
    constexpr u64 long_enough = 20'000'000;  // nanoseconds that can be measured
    constexpr u32 fewest = 1000, most = 32'000'000;
    const std::array<u8, 32> salt{};
    std::array<u8, 64> out{};
    for (u32 iterations = fewest;; iterations *= 2) {
        const u64 before = used_nanoseconds();
        TRY(host_ciphers().derive(hash, salt, salt, iterations, out));
        const u64 used = used_nanoseconds() - before;
        if (used < long_enough && iterations < most / 2) continue;
        const double wanted = static_cast<double>(iterations) * static_cast<double>(milliseconds) * 1e6 /
                              static_cast<double>(std::max<u64>(used, 1));
        return static_cast<u32>(std::clamp<double>(wanted, fewest, most));
    }
}

}  // namespace viv::native
