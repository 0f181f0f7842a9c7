// Kernels of every format, placement with initrd and device tree in memories of every size, firmware, the reset vector.
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <random>
#include <string>

#include "engine/firmware/linux_riscv.h"
#include "tests/dev/device_bench.h"
#include "tests/firmware/elf_maker.h"

namespace viv {
namespace {

using namespace riscv_boot;

constexpr u64 mebibyte = 1 << 20;
constexpr Ram ram_64m{0x8000'0000, 64 * mebibyte};

// A flat Image with an EFI header: one section up to the file's end.
std::vector<u8> make_image(usize size, u64 image_size, u64 text_offset = 2 * mebibyte, u16 pe_machine = 0x5064) {
    std::vector<u8> image(size);
    std::mt19937 random(1);
    for (usize i = 256; i < size; i += 16) image[i] = static_cast<u8>(random());
    std::memcpy(image.data(), "MZ", 2);
    store_le(image.data() + 8, text_offset);
    store_le(image.data() + 16, image_size);
    std::memcpy(image.data() + 0x38, "RSC\x05", 4);
    store_le(image.data() + 0x3c, u32{0x40});
    std::memcpy(image.data() + 0x40, "PE\0\0", 4);
    store_le(image.data() + 0x44, pe_machine);
    store_le(image.data() + 0x46, u16{1});
    store_le(image.data() + 0x54, u16{32});
    u8* section = image.data() + 0x40 + 24 + 32;
    store_le(section + 16, static_cast<u32>(size - 0x200));
    store_le(section + 20, u32{0x200});
    return image;
}

std::vector<u8> gzip(std::span<const u8> data) {
    std::vector<u8> out(data.size() + 1000);
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = const_cast<u8*>(data.data());
    stream.avail_in = static_cast<uInt>(data.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::vector<u8> zstd(std::span<const u8> data) {
    std::vector<u8> out(ZSTD_compressBound(data.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 1));
    return out;
}

std::vector<u8> zboot(std::span<const u8> payload, std::string_view compression) {
    std::vector<u8> out(512);
    std::memcpy(out.data(), "MZ\0\0zimg", 8);
    store_le(out.data() + 8, u32{512});
    store_le(out.data() + 12, static_cast<u32>(payload.size()));
    std::memcpy(out.data() + 0x18, compression.data(), compression.size());
    out.insert(out.end(), payload.begin(), payload.end());
    out.resize(out.size() + 100, 0xcc);  // the code of the wrapper
    return out;
}

std::string error(std::span<const u8> file, const Ram& ram = ram_64m, unsigned xlen = 64) {
    const auto kernel = Kernel::open("x", file, xlen, ram);
    return kernel.ok() ? "" : kernel.error().message;
}

struct LinuxRiscvTest : ::testing::Test {
    test::HeapMemory heap;
    GuestMemory memory{heap};
    void SetUp() override { ASSERT_TRUE(memory.add(ram_64m.base, ram_64m.size, GuestMemory::Kind::ram, "ram").ok()); }
    bool holds(u64 address, std::span<const u8> expected) {
        const u8* at = memory.host(address, expected.size());
        return at != nullptr && std::memcmp(at, expected.data(), expected.size()) == 0;
    }
};

TEST_F(LinuxRiscvTest, AnImageGoesToItsOffset) {
    const auto image = make_image(300'000, mebibyte);
    const auto kernel = Kernel::open("Image", image, 64, ram_64m);
    ASSERT_TRUE(kernel.ok()) << kernel.error().message;
    EXPECT_EQ(kernel.value().format(), Format::image);
    EXPECT_EQ(kernel.value().address(), 0x8020'0000u);
    EXPECT_EQ(kernel.value().entry(), 0x8020'0000u);
    EXPECT_EQ(kernel.value().end(), 0x8030'0000u) << "image_size counts, with bss";
    ASSERT_TRUE(kernel.value().load(memory).ok());
    EXPECT_TRUE(holds(0x8020'0000, image));
}

TEST_F(LinuxRiscvTest, WrappingsComeOff) {
    const auto image = make_image(2'500'000, 4 * mebibyte);
    for (const auto& file : {gzip(image), zstd(image), zboot(gzip(image), "gzip"), zboot(zstd(image), "zstd22"),
                             gzip(zboot(zstd(image), "zstd"))}) {
        auto opened = Kernel::open("vmlinuz", file, 64, ram_64m);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        const Kernel kernel = std::move(opened).value();
        EXPECT_EQ(kernel.format(), Format::image);
        memory.host(kernel.address(), 1)[0] = 0;
        ASSERT_TRUE(kernel.load(memory).ok());
        EXPECT_TRUE(holds(0x8020'0000, image));
    }
}

TEST_F(LinuxRiscvTest, PaddingBehindACompressedStreamIsIgnored) {
    const auto image = make_image(100'000, mebibyte);
    auto file = gzip(image);
    file.resize(file.size() + 4096);
    EXPECT_EQ(error(file), "");
}

TEST_F(LinuxRiscvTest, RefusesWrappingsThatAreDamagedOrTooLarge) {
    const auto image = make_image(2'500'000, 4 * mebibyte);
    auto packed = gzip(image);
    EXPECT_EQ(error(std::span(packed).first(packed.size() / 2)),
              "kernel 'x' is gzip data that is damaged or cut short");
    const auto packed_zstd = zstd(image);
    EXPECT_EQ(error(std::span(packed_zstd).first(packed_zstd.size() / 2)),
              "kernel 'x' is zstd data that is damaged or cut short");
    packed[packed.size() / 2] ^= 0x55;
    EXPECT_NE(error(packed), "");
    EXPECT_EQ(error(zboot(gzip(image), "lzma")),
              "kernel 'x' is packed with 'lzma'; gzip, zstd or a plain Image would be right");
    const auto boot = zboot(gzip(image), "gzip");
    EXPECT_NE(error(std::span(boot).first(1000)).find("cut short"), std::string::npos);
    const Ram ram_8m{0x8000'0000, 8 * mebibyte};
    const std::vector<u8> bomb(9 * mebibyte);
    EXPECT_EQ(error(gzip(bomb), ram_8m), "kernel 'x' unpacks to more than the 8 MiB that fit");
    EXPECT_EQ(error(zstd(bomb), ram_8m), "kernel 'x' unpacks to more than the 8 MiB that fit");
    // Exactly what fits is not too much; it then needs room for the firmware as well.
    const std::vector<u8> full(8 * mebibyte, 1);
    EXPECT_EQ(error(gzip(full), ram_8m), "memory 8M is too small for kernel 'x'; at least 10M would be right");
    EXPECT_EQ(error(zstd(full), ram_8m), "memory 8M is too small for kernel 'x'; at least 10M would be right");
}

TEST_F(LinuxRiscvTest, RefusesImagesThatCannotRun) {
    const auto image = make_image(300'000, 31 * mebibyte);
    EXPECT_EQ(error(std::span(image).first(200'000)), "kernel 'x' is cut short: 200000 bytes of 300000");
    EXPECT_NE(error(std::span(image).first(100)), "");
    EXPECT_EQ(error(image, {0x8000'0000, 32 * mebibyte}),
              "memory 32M is too small for kernel 'x'; at least 34M would be right");
    EXPECT_EQ(error(make_image(300'000, ~u64{0})).substr(0, 44), "memory 64M is too small for kernel 'x'; at l");
    EXPECT_NE(error(make_image(300'000, mebibyte, ~u64{0} - 4095)), "");
    EXPECT_NE(error(make_image(300'000, mebibyte, 123)), "");
    EXPECT_EQ(error(make_image(300'000, mebibyte, 2 * mebibyte, 0x5032)),
              "kernel 'x' is an EFI image for RISC-V 32; this machine is RISC-V 64");
    auto big_endian = image;
    big_endian[24] = 1;
    EXPECT_NE(error(big_endian).find("big-endian"), std::string::npos);
    EXPECT_EQ(error({}), "kernel 'x' is empty");
}

TEST_F(LinuxRiscvTest, OtherMachinesKernelsAreNamed) {
    std::vector<u8> arm(4096);
    std::memcpy(arm.data() + 0x38, "ARM\x64", 4);
    EXPECT_NE(error(arm).find("AArch64"), std::string::npos);
    std::vector<u8> x86(4096);
    std::memcpy(x86.data() + 0x202, "HdrS", 4);
    EXPECT_NE(error(x86).find("x86"), std::string::npos);
    std::vector<u8> xz(4096);
    std::memcpy(xz.data(),
                "\xfd"
                "7zXZ",
                5);
    EXPECT_NE(error(xz).find("xz"), std::string::npos);
    test::ElfMaker maker;
    maker.target = {183, 64, std::endian::little};
    EXPECT_EQ(error(maker.make()), "kernel 'x' is an ELF for AArch64 (little endian); this machine is RISC-V 64");
}

TEST_F(LinuxRiscvTest, ElfAndRaw) {
    test::ElfMaker maker;
    maker.entry = 0x8000'1000;
    maker.pieces = {{0x8000'1000, 0x8000'1000, {1, 2, 3}, 0x2000}};
    maker.symbols = {{"tohost", 0x8000'2000}};
    auto file = maker.make();
    const auto elf = Kernel::open("prog", file, 64, ram_64m);
    ASSERT_TRUE(elf.ok()) << elf.error().message;
    EXPECT_EQ(elf.value().entry(), 0x8000'1000u);
    EXPECT_EQ(elf.value().end(), 0x8000'3000u);
    EXPECT_EQ(elf.value().symbol("tohost"), 0x8000'2000u);
    ASSERT_TRUE(elf.value().load(memory).ok());

    maker.pieces[0].address = 0xffff'ffff'8000'0000;
    EXPECT_NE(error(maker.make()).find("'Image' would be right"), std::string::npos);
    maker.type = 3;
    maker.entry = maker.pieces[0].virtual_address = 0xffff'ffff'8000'0000;
    file = maker.make();
    const auto moved = Kernel::open("vmlinux", file, 64, ram_64m);
    ASSERT_TRUE(moved.ok()) << moved.error().message;
    EXPECT_EQ(moved.value().entry(), 0x8020'0000u);
    ASSERT_TRUE(moved.value().load(memory).ok());
    EXPECT_TRUE(holds(0x8020'0000, std::vector<u8>{1, 2, 3}));

    const std::vector<u8> code{0x13, 0, 0, 0};
    const auto raw = Kernel::open("code.bin", code, 64, ram_64m);
    ASSERT_TRUE(raw.ok());
    EXPECT_EQ(raw.value().format(), Format::raw);
    EXPECT_EQ(raw.value().entry(), 0x8020'0000u);
    const auto raw32 = Kernel::open("code.bin", code, 32, ram_64m);
    ASSERT_TRUE(raw32.ok());
    EXPECT_EQ(raw32.value().entry(), 0x8040'0000u);
}

TEST_F(LinuxRiscvTest, FirmwareRawAndElf) {
    const std::vector<u8> raw(1000, 3);
    const auto loaded = load_firmware(memory, "fw_dynamic.bin", raw, 64, ram_64m);
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded.value().entry, 0x8000'0000u);
    EXPECT_EQ(loaded.value().end, 0x8000'0000u + 1000);
    EXPECT_TRUE(holds(0x8000'0000, raw));
    test::ElfMaker maker;  // as Debian's fw_dynamic.elf: position-independent from 0
    maker.type = 3;
    maker.pieces = {{0, 0, {1, 2}, 2}, {0x4'0000, 0x4'0000, {5}, 0x5000}};
    const auto elf = load_firmware(memory, "fw_dynamic.elf", maker.make(), 64, ram_64m);
    ASSERT_TRUE(elf.ok()) << elf.error().message;
    EXPECT_EQ(elf.value().entry, 0x8000'0000u);
    EXPECT_EQ(elf.value().end, 0x8004'5000u);
    EXPECT_TRUE(holds(0x8004'0000, std::vector<u8>{5}));
    EXPECT_FALSE(load_firmware(memory, "none", {}, 64, ram_64m).ok());
    const std::vector<u8> large(65 * mebibyte);
    const auto refused = load_firmware(memory, "large", large, 64, ram_64m);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, "memory 64M is too small for firmware 'large'; at least 66M would be right");
}

TEST(RiscvPlacement, FitsOrSaysWhatWouldDo) {
    const auto image = make_image(300'000, 20 * mebibyte);
    for (u64 size = 24 * mebibyte; size <= 8192 * mebibyte; size += size / 3 & ~u64{4095}) {
        const Ram ram{0x8000'0000, size};
        const auto kernel = Kernel::open("Image", image, 64, ram);
        ASSERT_TRUE(kernel.ok()) << kernel.error().message;
        for (const u64 initrd_size : {u64{0}, u64{1}, 5 * mebibyte + 123, 200 * mebibyte}) {
            Request request;
            request.ram = ram;
            request.firmware = {ram.base, ram.base, ram.base + 0x4'5000};
            request.kernel = &kernel.value();
            request.initrd_name = "initrd.img";
            request.initrd_size = initrd_size;
            request.fdt_size = 9000;
            const auto result = place(request);
            if (!result.ok()) {
                // The advice must be good: with that memory it works.
                unsigned long long least = 0;
                const auto at = result.error().message.find("at least ");
                ASSERT_NE(at, std::string::npos) << result.error().message;
                ASSERT_EQ(std::sscanf(result.error().message.c_str() + at, "at least %lluM", &least), 1);
                EXPECT_GT(least * mebibyte, size);
                request.ram.size = least * mebibyte;
                EXPECT_TRUE(place(request).ok()) << result.error().message;
                continue;
            }
            const Placement placement = result.value();
            EXPECT_EQ(placement.fdt % (2 * mebibyte), 0u);
            EXPECT_LE(placement.fdt + request.fdt_size, std::min(ram.end(), 3072 * mebibyte));
            EXPECT_GE(placement.fdt, kernel.value().end());
            if (initrd_size == 0) {
                EXPECT_EQ(placement.initrd, 0u);
                continue;
            }
            EXPECT_EQ(placement.initrd % 4096, 0u);
            EXPECT_EQ(placement.initrd_end - placement.initrd, initrd_size);
            EXPECT_LE(placement.initrd_end, placement.fdt);
            EXPECT_GE(placement.initrd, kernel.value().end());
        }
    }
}

TEST(RiscvPlacement, NamesWhatDoesNotFit) {
    const Ram ram{0x8000'0000, 32 * mebibyte};
    const auto image = make_image(300'000, 20 * mebibyte);
    const auto kernel = Kernel::open("Image", image, 64, ram);
    ASSERT_TRUE(kernel.ok());
    Request request;
    request.ram = ram;
    request.kernel = &kernel.value();
    request.initrd_name = "initrd.img";
    request.initrd_size = 20 * mebibyte;
    request.fdt_size = 9000;
    const auto small = place(request);
    ASSERT_FALSE(small.ok());
    EXPECT_EQ(small.error().message,
              "memory 32M is too small for kernel 'Image' and initrd 'initrd.img' with the "
              "device tree; at least 46M would be right");
    request.ram.size = 8192 * mebibyte;
    request.initrd_size = 1100 * mebibyte;
    const auto high = place(request);
    ASSERT_FALSE(high.ok());
    EXPECT_NE(high.error().message.find("does not fit below 0xc0000000"), std::string::npos) << high.error().message;
    request = {};
    request.ram = ram;
    request.firmware = {ram.base, ram.base, ram.base + 3 * mebibyte};
    request.kernel = &kernel.value();
    request.fdt_size = 9000;
    const auto overlap = place(request);
    ASSERT_FALSE(overlap.ok());
    EXPECT_NE(overlap.error().message.find("overlaps the firmware"), std::string::npos);
    request.kernel = nullptr;
    EXPECT_TRUE(place(request).ok());
}

TEST(RiscvResetVector, IsTheCodeThatQemuHasAt0x1000) {
    ResetVector vector;
    vector.start = 0x8000'0000;
    vector.fdt = 0x87e0'0000;
    vector.next = 0x8020'0000;
    vector.boot_hart = 2;
    const auto bytes = make_reset_vector(vector);
    ASSERT_EQ(bytes.size(), 40u + 48u);
    const u32 code[] = {0x0000'0297, 0x0282'8613, 0xf140'2573, 0x0202'b583, 0x0182'b283, 0x0002'8067};
    for (usize i = 0; i < 6; i++) EXPECT_EQ(load_le<u32>(bytes.data() + 4 * i), code[i]) << i;
    const u64 words[] = {0x8000'0000, 0x87e0'0000, 0x4942'534f, 2, 0x8020'0000, 1, 0, 2};
    for (usize i = 0; i < 8; i++) EXPECT_EQ(load_le<u64>(bytes.data() + 24 + 8 * i), words[i]) << i;

    vector.xlen = 32;
    vector.next_mode = ResetVector::Mode::machine;
    const auto narrow = make_reset_vector(vector);
    ASSERT_EQ(narrow.size(), 40u + 24u);
    EXPECT_EQ(load_le<u32>(narrow.data() + 12), 0x0202'a583u);
    EXPECT_EQ(load_le<u32>(narrow.data() + 16), 0x0182'a283u);
    const u32 info[] = {0x4942'534f, 2, 0x8020'0000, 3, 0, 2};
    for (usize i = 0; i < 6; i++) EXPECT_EQ(load_le<u32>(narrow.data() + 40 + 4 * i), info[i]) << i;
}

TEST(RiscvKernel, DamagedFilesNeverCrash) {
    const Ram ram{0x8000'0000, 16 * mebibyte};
    const auto image = make_image(3000, mebibyte);
    const std::vector<std::vector<u8>> files{image, gzip(image), zstd(image), zboot(gzip(image), "gzip")};
    test::HeapMemory heap;
    GuestMemory memory(heap);
    ASSERT_TRUE(memory.add(ram.base, ram.size, GuestMemory::Kind::ram, "ram").ok());
    std::mt19937 random(8);
    for (unsigned round = 0; round < 3000; round++) {
        auto file = files[round % files.size()];
        if (random() % 4 == 0) file.resize(random() % file.size());
        for (unsigned i = 0; i < 1 + random() % 4 && !file.empty(); i++)
            file[random() % std::min<usize>(file.size(), 200)] = static_cast<u8>(random() % 2 == 0 ? 0xff : random());
        const auto kernel = Kernel::open("x", file, 64, ram);
        if (!kernel.ok()) continue;
        EXPECT_GE(kernel.value().address(), ram.base);
        EXPECT_LE(kernel.value().end(), ram.end());
        EXPECT_TRUE(kernel.value().load(memory).ok());
    }
}

}  // namespace
}  // namespace viv
