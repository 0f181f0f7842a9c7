// See saved_overlay.h.
#include "engine/control/saved_overlay.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/control/saved_table.h"

namespace viv {

namespace {

using Cluster = block::OverlayCluster;

constexpr u64 pages_in_cluster = Cluster::size / page_size;
constexpr u64 largest_disk = u64{1} << 44;  // bytes: what page numbers of 32 bits can tell
constexpr usize most_numbers = usize{1} << 28;
constexpr usize bits_in_number = 32;

u64 clusters_of(u64 disk_size) { return disk_size / Cluster::size + (disk_size % Cluster::size != 0); }

}  // namespace

void SavedOverlay::state(Archive& a) {
    a(1, "device", device);
    a(2, "disk_size", disk_size, largest_disk);
    a.section(3, "bytes", [this](Archive& inner) { bytes.state(inner); });
    a.numbers(4, "whole", whole, most_numbers);
    a.require(whole.size() % numbers_in_whole == 0, "whole", "has a broken length");
    a.numbers(5, "partial", partial, most_numbers);
    a.require(partial.size() % numbers_in_partial == 0, "partial", "has a broken length");
}

Result<void> SavedOverlay::check() const {
    const u64 clusters = clusters_of(disk_size);
    bool good = bytes.size == disk_size;
    u64 next = 0;
    for (usize i = 0; i < whole.size(); i += numbers_in_whole) {
        good = good && whole[i] >= next && whole[i + 1] != 0 && u64{whole[i]} + whole[i + 1] <= clusters;
        next = u64{whole[i]} + whole[i + 1];
    }
    next = 0;
    for (usize i = 0; i < partial.size(); i += numbers_in_partial) {
        good = good && partial[i] >= next && partial[i] < clusters;
        next = u64{partial[i]} + 1;
    }
    if (good) return {};
    return Error{"the saved machine is damaged: what it says of a temporary disk cannot be"};
}

Result<OverlaySaver> OverlaySaver::of(u32 device, block::TemporaryOverlay& overlay) {
    if (overlay.size() > largest_disk)
        return Error{fmt::format("{}: a temporary disk of more than {} TiB cannot be saved", overlay.file_name(),
                                 largest_disk >> 40)};
    OverlaySaver saver;
    saver.saved_.device = device;
    saver.saved_.disk_size = saver.saved_.bytes.size = overlay.size();
    saver.left_ = overlay.content();
    return saver;
}

bool OverlaySaver::step(MemorySaver& memory, u64 most_pages) {
    for (u64 pages = 0; !left_.empty() && pages < most_pages; pages += pages_in_cluster) {
        const auto [number, cluster] = *left_.begin();
        left_.erase(left_.begin());  // and the overlay may write there again without a copy
        if (cluster.own.all()) {
            auto& whole = saved_.whole;
            if (whole.empty() || whole[whole.size() - 2] + whole.back() != number)
                whole.insert(whole.end(), {static_cast<u32>(number), 0});
            whole.back()++;
        } else {
            saved_.partial.push_back(static_cast<u32>(number));
            for (usize bit = 0; bit < Cluster::sectors; bit += bits_in_number) {
                const auto part = (cluster.own >> bit) & std::bitset<Cluster::sectors>(~u32{0});
                saved_.partial.push_back(static_cast<u32>(part.to_ulong()));
            }
        }
        if (!cluster.bytes) continue;
        const u64 first = number * pages_in_cluster;
        const u64 end = std::min(first + pages_in_cluster, saved_.bytes.pages());
        for (u64 page = first; page < end; page++)
            memory.add_page(saved_.bytes, page, cluster.bytes->data() + (page - first) * page_size);
    }
    return !left_.empty();
}

namespace {

Result<block::OverlayContent> read_overlay(SavedPages& pages, const SavedOverlay& saved) {
    block::OverlayContent content;
    for (usize i = 0; i < saved.whole.size(); i += SavedOverlay::numbers_in_whole)
        for (u32 at = 0; at < saved.whole[i + 1]; at++) content[u64{saved.whole[i]} + at].own.set();
    for (usize i = 0; i < saved.partial.size(); i += SavedOverlay::numbers_in_partial) {
        Cluster& cluster = content[saved.partial[i]];
        for (usize bit = 0; bit < Cluster::sectors; bit++)
            if ((saved.partial[i + 1 + bit / bits_in_number] >> bit % bits_in_number & 1) != 0) cluster.own.set(bit);
    }
    TRY(pages.each(saved.bytes, [&](u64 page, std::span<const u8> bytes) {
        const auto found = content.find(page / pages_in_cluster);
        if (found == content.end()) return;  // of no sector of its own
        auto& to = found->second.bytes;
        if (!to) to = std::make_shared<std::array<u8, Cluster::size>>();
        std::copy(bytes.begin(), bytes.end(), to->data() + page % pages_in_cluster * page_size);
    }));
    return content;
}

}  // namespace

Result<OverlayContents> read_overlays(SavedPages& pages, std::span<const SavedOverlay> saved,
                                      std::span<const PluggedDevice> plugged) {
    OverlayContents contents;
    for (usize i = 0; i < plugged.size(); i++) {
        const auto is_it = [&](const SavedOverlay& each) { return each.device == i; };
        const auto found = std::find_if(saved.begin(), saved.end(), is_it);
        block::TemporaryOverlay* const overlay = plugged[i].disk != nullptr ? plugged[i].disk->temporary() : nullptr;
        if (found == saved.end()) {
            if (overlay != nullptr) contents.emplace_back(overlay, block::OverlayContent());
            continue;
        }
        if (overlay == nullptr)
            return Error{
                fmt::format("the saved machine's {} has a temporary disk (snapshot=on), this one's has none: "
                            "create it as it was saved",
                            plugged[i].id)};
        if (overlay->size() != found->disk_size)
            return Error{fmt::format("{}: has {} bytes, and had {} when the machine was saved", overlay->file_name(),
                                     overlay->size(), found->disk_size)};
        TRY_SET(auto content, read_overlay(pages, *found));
        contents.emplace_back(overlay, std::move(content));
    }
    if (saved.size() > contents.size())
        return Error{"the saved machine is damaged: it has temporary disks of devices that it has not"};
    return contents;
}

}  // namespace viv
