// virtio-9p: a folder of the host as a 9P2000.L file system. OASIS virtio 1.2, device id 9 (one queue, the mount tag
// in the configuration space).
// Promises: one request is answered before the next is taken, so a saved machine has none on its way; a request that
// is no 9p message gets an Rlerror, or an empty answer where not even that fits. See p9_server.h for the protocol.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/dev/virtio/p9_server.h"
#include "engine/dev/virtio/virtio.h"
#include "engine/host/folder.h"

namespace viv::virtio {

class Transport9p final : public Function {
public:
    static constexpr usize longest_tag = 255;
    static constexpr u16 queue_size = 128;

    // `mount_tag` is 1 to longest_tag bytes: the name that the guest mounts it by.
    Transport9p(const Wiring& wiring, std::unique_ptr<host::Folder> folder, std::string_view mount_tag);

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void device_reset() override { server_.reset(); }
    void device_state(Archive& a) override { server_.state(a); }

private:
    u64 answer(const Chain& chain);

    std::vector<u8> config_;
    std::unique_ptr<host::Folder> folder_;
    p9::Server server_;
    Chain chain_;
    std::vector<u8> message_;  // room for a request, copied so that nobody changes it under us
    std::vector<u8> room_;     // room for an answer before it is spread over the chain
};

}  // namespace viv::virtio
