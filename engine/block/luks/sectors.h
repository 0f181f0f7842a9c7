// The encryption of sectors, each by its number: AES in the modes that LUKS images of QEMU have, and a file of such
// sectors as a file of what they say.
// Promises: an EncryptedFile writes whole sectors only; none of its bytes is in the file as it is; it frees nothing,
// for a hole would read as anything.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/host/cipher.h"
#include "engine/host/file.h"

namespace viv::block::luks {

inline constexpr u64 sector_bytes = 512;

// As the header spells them: "aes" of so many bytes of key, and "xts-plain64" or "cbc-essiv:sha256".
struct Method {
    enum class Mode : u8 { ecb, cbc, xts } mode = Mode::xts;
    enum class Start : u8 { plain, plain64, essiv } start = Start::plain64;  // of a sector, from its number
    std::string start_hash;                                                  // of essiv
    usize key_bytes = 64;

    unsigned aes_bits() const { return static_cast<unsigned>(key_bytes * (mode == Mode::xts ? 4 : 8)); }
    std::string mode_name() const;
    std::string start_name() const;
    std::string text() const;  // "xts-plain64"
};
// The error is the end of a sentence.
Result<Method> parse_method(std::string_view mode_text, u64 key_bytes);

class SectorCipher {
public:
    static Result<std::unique_ptr<SectorCipher>> make(host::Ciphers& ciphers, const Method& method,
                                                      std::span<const u8> key);
    // In place; whole sectors, the first of which has that number.
    Result<void> encrypt(u64 sector, std::span<u8> bytes);
    Result<void> decrypt(u64 sector, std::span<u8> bytes);

private:
    explicit SectorCipher(const Method& method) : mode_(method.mode), start_(method.start) {}
    enum class Way : u8 { encrypt, decrypt };
    Result<void> starts(u64 sector, u64 count);  // into starts_
    Result<void> run_xts(Way way, u64 sector, std::span<u8> bytes);
    Result<void> encrypt_cbc(u64 sector, std::span<u8> bytes);
    Result<void> decrypt_cbc(u64 sector, std::span<u8> bytes);
    template <class Run>
    Result<void> each_part(u64 sector, std::span<u8> bytes, Run&& run);

    Method::Mode mode_;
    Method::Start start_;
    std::unique_ptr<host::BlockCipher> data_, second_;  // second: of XTS and ESSIV
    std::vector<u8> starts_, scratch_;
};

class EncryptedFile final : public host::File {
public:
    // What is at `payload` of the file and on; its first sector has the number 0. Without a cipher it cannot be read.
    EncryptedFile(host::File& file, u64 payload, std::unique_ptr<SectorCipher> cipher)
        : file_(file), payload_(payload), cipher_(std::move(cipher)) {}

    u64 size() override;
    Result<void> read_at(u64 offset, std::span<u8> out) override;
    Result<void> write_at(u64 offset, std::span<const u8> in) override;
    Result<void> flush() override { return file_.flush(); }
    void begin_flush() override { file_.begin_flush(); }
    bool punch_hole(u64, u64) override { return false; }
    u64 allocated() override { return file_.allocated(); }

private:
    Result<void> load(u64 start, u64 length);

    host::File& file_;
    u64 payload_;
    std::unique_ptr<SectorCipher> cipher_;
    std::vector<u8> buffer_;
};

}  // namespace viv::block::luks
