// The network that is not connected: frames sent vanish, none ever arrives.
#include "engine/net/net.h"

namespace viv::net {

namespace {

class NullBackend final : public NetBackend {
public:
    void attach(NetDevice*) override {}
    void send(std::span<const u8>) override {}
};

}  // namespace

std::unique_ptr<NetBackend> make_null_backend() { return std::make_unique<NullBackend>(); }

}  // namespace viv::net
