// See disk_web.h.
#include "web/worker/disk_web.h"

#include <emscripten.h>
#include <fmt/format.h>

#include <array>
#include <utility>

#include "engine/block/catalog.h"
#include "engine/block/overlay.h"
#include "web/worker/saved_web.h"

namespace viv::web {

// As in host_web.cpp, places are made positive.
// clang-format off
// 1: there; 2: on its way; 0: source_problem() says why not.
EM_JS(int, web_disk_chunk, (unsigned number, const char* name, unsigned name_size, u8* to, unsigned size, int waits), {
    const source = Module["sources"].get(number);
    const chunk = new TextDecoder().decode(HEAPU8.slice(name >>> 0, (name >>> 0) + name_size));
    try {
        if (!waits && !source.isThere(chunk, size)) return 2;
        const bytes = source.chunk(chunk, size);
        HEAPU8.set(bytes, to >>> 0);
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});

EM_JS(void, web_disk_expect, (unsigned number, const char* name, unsigned name_size, unsigned size), {
    Module["sources"].get(number).expect(new TextDecoder().decode(HEAPU8.slice(name >>> 0, (name >>> 0) + name_size)), size);
});

EM_JS(void, web_disk_forget_failures, (unsigned number), { Module["sources"].get(number).forgetFailures(); });

// Of the file that takes what is written. 1, or 0 and source_problem() says why not.
EM_JS(double, web_store_size, (unsigned number), { return Module["sources"].get(number).store.getSize(); });

EM_JS(int, web_store_read, (unsigned number, double offset, u8* to, unsigned size), {
    const source = Module["sources"].get(number);
    try {
        const at = to >>> 0;
        if (source.store.read(HEAPU8.subarray(at, at + size), { at: offset }) !== size) throw new Error("ends too early");
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});

EM_JS(int, web_store_write, (unsigned number, double offset, const u8* from, unsigned size), {
    const source = Module["sources"].get(number);
    try {
        const at = from >>> 0;
        if (source.store.write(HEAPU8.subarray(at, at + size), { at: offset }) !== size) throw new Error("there is no space left for this site");
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});

EM_JS(int, web_store_resize, (unsigned number, double size), {
    const source = Module["sources"].get(number);
    try {
        source.store.truncate(size);
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});

EM_JS(int, web_store_flush, (unsigned number), {
    const source = Module["sources"].get(number);
    try {
        source.store.flush();
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});
// clang-format on

namespace {

// A FileSystemSyncAccessHandle.
class StoreFile final : public host::File {
public:
    explicit StoreFile(u32 number) : number_(number) {}
    u64 size() override { return static_cast<u64>(web_store_size(number_)); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), size())) return Error{"reads past the end"};
        return ended(web_store_read(number_, static_cast<double>(offset), out.data(), narrow(out.size())));
    }
    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        return ended(web_store_write(number_, static_cast<double>(offset), in.data(), narrow(in.size())));
    }
    Result<void> flush() override { return ended(web_store_flush(number_)); }
    bool punch_hole(u64, u64) override { return false; }
    Result<void> resize(u64 size) override { return ended(web_store_resize(number_, static_cast<double>(size))); }

private:
    static unsigned narrow(usize size) { return static_cast<unsigned>(size); }
    Result<void> ended(int good) const {
        if (good == 1) return {};
        return source_problem(number_);
    }
    u32 number_;
};

}  // namespace

class WebDisks::WebFar final : public block::Far {
public:
    explicit WebFar(u32 number) : number_(number) {}
    void set_patience(Patience patience) override { patience_ = patience; }
    bool take_missed() override { return std::exchange(missed_, false); }
    void on_arrival(std::function<void()> arrived) override { arrived_ = std::move(arrived); }
    void forget_failures() override { web_disk_forget_failures(number_); }
    void arrived() {
        if (arrived_) arrived_();
    }

    Result<void> fetch(const std::string& name, std::span<u8> out) {
        const int found = web_disk_chunk(number_, name.data(), static_cast<unsigned>(name.size()), out.data(),
                                         static_cast<unsigned>(out.size()), patience_ == Patience::waits);
        if (found == 1) return {};
        if (found == 0) return source_problem(number_);
        missed_ = true;
        return Error{fmt::format("chunk {} is on its way", name)};
    }
    void expect(const std::string& name, u32 size) {
        // Whoever waits has nobody who would fetch meanwhile.
        if (patience_ == Patience::fails)
            web_disk_expect(number_, name.data(), static_cast<unsigned>(name.size()), size);
    }

private:
    u32 number_;
    Patience patience_ = Patience::waits;
    bool missed_ = false;
    std::function<void()> arrived_;
};

class WebDisks::Chunks final : public state::ChunkStore {
public:
    explicit Chunks(std::shared_ptr<WebFar> far) : far_(std::move(far)) {}
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override { return far_->fetch(hash.hex(), out); }
    void expect(const Hash128& hash, u32 size) override { far_->expect(hash.hex(), size); }

private:
    std::shared_ptr<WebFar> far_;
};

namespace {

class Opener final : public block::FileOpener {
public:
    explicit Opener(std::unique_ptr<state::ChunkStore> chunks) : chunks_(std::move(chunks)) {}
    Result<Opened> open(const std::string& name, const std::string&) override { return refused(name); }
    Result<Opened> open_part(const std::string& name, const std::string&, block::Access) override {
        return refused(name);
    }
    Result<std::unique_ptr<state::ChunkStore>> open_chunks(const std::string&) override { return std::move(chunks_); }

private:
    static Error refused(const std::string& name) { return Error{fmt::format("{}: is not there in a page", name)}; }
    std::unique_ptr<state::ChunkStore> chunks_;
};

// The file that takes what is written, over `below`. A new one is made of an empty file.
Result<std::unique_ptr<block::Image>> open_kept(u32 number, const std::string& url, std::unique_ptr<block::Image> below,
                                                host::Entropy& entropy) {
    constexpr std::string_view format = "qcow2";
    const auto name = "what is kept of " + url;
    auto file = std::make_unique<StoreFile>(number);
    if (file->size() == 0) {
        TRY_SET(const auto* kind, block::find_format(format));
        block::CreateOptions options;
        options.size = below->size();
        options.backing_file = fmt::format("{}#{}", url, below->identity());
        options.backing_format = below->format();
        entropy.fill(options.unique);
        TRY(kind->create(*file, options));
        TRY(file->flush());
    }
    block::OpenOptions how;
    how.format = format;
    how.access = block::Access::read_write;
    how.chain = block::Chain::first_only;
    block::FileOpener::Opened opened{std::move(file), name, name, {}, {}};
    entropy.fill(opened.unique);
    TRY_SET(auto kept, block::open_image(std::move(opened), how));
    // The site may have moved, but its disk must be the same.
    if (!kept->details().backing_file.ends_with("#" + below->identity()))
        return Error{fmt::format("{}: belongs to another version of the disk", name)};
    kept->put_below(std::move(below));
    return kept;
}

}  // namespace

Result<std::unique_ptr<block::Disk>> WebDisks::open(const Wanted& wanted, Waiting waiting) {
    const auto far = std::make_shared<WebFar>(wanted.number);
    Opener opener(std::make_unique<Chunks>(far));
    block::OpenOptions how;
    how.format = "published";
    how.opener = &opener;
    TRY_SET(auto image, block::open_image({open_source_file(wanted.number), wanted.url, wanted.url, {}, {}}, how));
    if (wanted.kept && !wanted.read_only) {
        TRY_SET(image, open_kept(wanted.number, wanted.url, std::move(image), entropy_));
    }
    auto disk = block::make_disk(std::move(image));
    if (waiting == Waiting::machine_goes_on) {
        disk = block::make_far_disk(std::move(disk), far);
        disks_[wanted.number] = far;
    }
    if (wanted.read_only || wanted.kept) return disk;
    return std::unique_ptr<block::Disk>(block::make_temporary_overlay(std::move(disk)));
}

void WebDisks::arrived(u32 number) {
    const auto found = disks_.find(number);
    if (found == disks_.end()) return;
    if (const auto far = found->second.lock()) far->arrived();
}

}  // namespace viv::web
