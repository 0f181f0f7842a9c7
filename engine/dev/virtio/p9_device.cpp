// Chains to messages and back. See p9_device.h.
#include "engine/dev/virtio/p9_device.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/dev/virtio/create.h"
#include "engine/lang/check.h"

namespace viv::virtio {

namespace {

constexpr unsigned f_mount_tag = 0;
constexpr u64 work_per_notification = u64{16} << 20;  // bytes, then the rest waits for the timers
constexpr u64 work_per_request = u64{64} << 10;       // what a request counts for at least

}  // namespace

Transport9p::Transport9p(const Wiring& wiring, std::unique_ptr<host::Folder> folder, std::string_view mount_tag)
    : Function(wiring, {DeviceId::transport_9p, "virtio-9p", feature(f_mount_tag), {queue_size}}),
      folder_(std::move(folder)),
      server_(*folder_, log()),
      message_(p9::maximum_message),
      room_(p9::maximum_message) {
    CHECK(!mount_tag.empty() && mount_tag.size() <= longest_tag);
    config_.resize(2 + mount_tag.size());
    store_le(config_.data(), static_cast<u16>(mount_tag.size()));
    std::copy(mount_tag.begin(), mount_tag.end(), config_.begin() + 2);
}

void Transport9p::notify(u16 queue) {
    u64 work = 0;
    while (work < work_per_notification) {
        if (!pop(queue, chain_)) return;
        work += std::max(answer(chain_), work_per_request);
    }
    later(queue);
}

// Returns the number of bytes of the request and its answer.
u64 Transport9p::answer(const Chain& chain) {
    // The header says how long the message is; no more than that, and no more than any session allows, is copied.
    ChainReader reader(chain);
    const usize had = reader.read(std::span(message_).first(p9::header_size));
    const usize size = had == p9::header_size ? load_le<u32>(message_.data()) : 0;
    const usize wanted = std::clamp<usize>(size, had, message_.size());
    const usize length = had + reader.read(std::span(message_).subspan(had, wanted - had));
    const usize room = std::min<usize>(chain.writable_size(), room_.size());
    const usize answered = server_.answer(std::span(message_).first(length), std::span(room_).first(room));
    ChainWriter writer(chain);
    writer.write(std::span(room_).first(answered));
    push(0, chain, writer.written());
    return length + answered;
}

Result<std::unique_ptr<Function>> make_9p(DeviceSpec& spec, const Properties& properties, const Wiring& wiring) {
    const std::string_view tag = properties.text("mount_tag").value_or("");
    if (tag.empty())
        return properties.error("mount_tag", "is missing; give the name that the guest is to mount the folder by");
    if (tag.size() > Transport9p::longest_tag)
        return properties.error("mount_tag", fmt::format("is longer than {} bytes", Transport9p::longest_tag));
    if (spec.folder == nullptr)
        return Error{fmt::format("{}: no folder is connected to it; use --share FOLDER:TAG", spec.name)};
    return std::unique_ptr<Function>(std::make_unique<Transport9p>(wiring, std::move(spec.folder), tag));
}

}  // namespace viv::virtio
