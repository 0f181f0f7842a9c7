// Requests to a disk image from standard input, for tests: image_io FILE FORMAT rw|ro [KEY-FILE].
// Every sector that is written says which it is and by which write, so that a test can tell what survived. Lines:
//   w OFFSET LENGTH TAG   z OFFSET LENGTH   d OFFSET LENGTH   f   and   load SEED MOST
// each answered by "ok" or by the error. `load` makes random requests of at most MOST bytes until it is killed; it says
// what it is about to do, and "f" when a flush is done.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <optional>
#include <random>
#include <string>

#include "engine/lang/bytes.h"
#include "native/ciphers.h"
#include "native/image_files.h"

using namespace viv;

namespace {

constexpr u64 sector = 512;

void say(const std::string& line) {
    const auto text = line + "\n";
    if (write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(1);
}

class Requests {
public:
    explicit Requests(std::unique_ptr<block::Disk> disk) : disk_(std::move(disk)) {}
    u64 size() const { return disk_->size(); }

    bool write(u64 offset, u64 length, u64 tag) {
        bytes_.resize(length);
        for (u64 at = 0; at < length; at += 16) {
            store_le<u64>(&bytes_[at], (offset + at) / sector);
            store_le<u64>(&bytes_[at + 8], tag);
        }
        block::Request request{block::Operation::write, offset, length, {}, {}};
        // In pieces, as a guest's pages are.
        for (u64 at = 0; at < length;) {
            const u64 part = std::min<u64>(length - at, at % (3 * sector) == 0 ? 4096 : sector);
            request.segments.push_back(std::span(bytes_).subspan(at, part));
            at += part;
        }
        return run(std::move(request));
    }
    bool other(block::Operation operation, u64 offset, u64 length) { return run({operation, offset, length, {}, {}}); }

private:
    bool run(block::Request request) {
        bool good = false;
        request.done = [&](block::Status status) { good = status == block::Status::ok; };
        disk_->submit(std::move(request));
        return good;
    }

    std::unique_ptr<block::Disk> disk_;
    std::vector<u8> bytes_;
};

int load(Requests& disk, u64 seed, u64 most) {
    std::mt19937_64 random(seed);
    for (u64 tag = 1;; tag++) {
        const u64 kind = random() % 16;
        if (kind == 0) {
            if (!disk.other(block::Operation::flush, 0, 0)) return 1;
            say("f");
            continue;
        }
        const u64 bytes = (random() % (random() % 4 == 0 ? most : 16384) / sector + 1) * sector;
        const u64 offset = random() % (disk.size() / sector) * sector;
        const u64 length = std::min(bytes, disk.size() - offset);
        const char letter = kind == 1 ? 'z' : kind == 2 ? 'd' : 'w';
        say(std::string(1, letter) + " " + std::to_string(offset) + " " + std::to_string(length) + " " +
            std::to_string(tag));
        const bool good = letter == 'w'
                              ? disk.write(offset, length, tag)
                              : disk.other(letter == 'z' ? block::Operation::write_zeroes : block::Operation::discard,
                                           offset, length);
        if (!good) return 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 && argc != 5) return 2;
    const auto access = argv[3] == std::string("rw") ? block::Access::read_write : block::Access::read_only;
    native::ImageFiles files;
    auto file = files.open_named(argv[1], access);
    block::OpenOptions options;
    options.format = argv[2];
    options.access = access;
    options.opener = &files;
    std::optional<block::Key> key;
    if (argc == 5) {
        auto found = native::read_key(argv[4]);
        if (!found.ok()) return 2;
        key.emplace(std::move(*found));
        options.key = &*key;
    }
    auto image = file.ok() ? block::open_image(std::move(*file), options) : file.error();
    if (!image.ok()) {
        say(image.error().message);
        return 1;
    }
    Requests disk(block::make_disk(std::move(*image)));
    std::string word;
    while (std::cin >> word) {
        u64 offset = 0, length = 0, tag = 0;
        bool good = false;
        if (word == "load") {
            std::cin >> offset >> length;
            return load(disk, offset, length);
        }
        if (word == "f") {
            good = disk.other(block::Operation::flush, 0, 0);
        } else {
            std::cin >> offset >> length;
            if (word == "w") std::cin >> tag;
            good = word == "w"   ? disk.write(offset, length, tag)
                   : word == "z" ? disk.other(block::Operation::write_zeroes, offset, length)
                                 : disk.other(block::Operation::discard, offset, length);
        }
        say(good ? "ok" : "failed: " + word);
    }
    return 0;
}
