// Joining those who offer and those who attach. See tunnel.h.
#include "netbridge/tunnel.h"

#include <algorithm>
#include <utility>

#include "engine/lang/check.h"

namespace viv::netbridge {

bool Tunnels::enter(TunnelService& service) {
    if (service.side_ == TunnelService::Side::attach) {
        const auto found = tunnels_.find(service.name_);
        if (found == tunnels_.end()) return false;
        auto& tunnel = found->second;
        if (tunnel.offering.empty()) {
            if (tunnel.attaching.size() >= most_waiting) return false;
            tunnel.attaching.push_back(&service);
            service.client_.hold(Hold::on);
            return true;
        }
        auto& offer = *tunnel.offering.front();
        tunnel.offering.pop_front();
        join(offer, service);
        return true;
    }
    auto& tunnel = tunnels_[service.name_];
    if (tunnel.offers >= most_offers) return false;
    tunnel.offers++;
    if (tunnel.attaching.empty()) {
        tunnel.offering.push_back(&service);
        return true;
    }
    auto& attach = *tunnel.attaching.front();
    tunnel.attaching.pop_front();
    join(service, attach);
    return true;
}

void Tunnels::join(TunnelService& offer, TunnelService& attach) {
    streams_++;
    offer.joined(attach);
    attach.joined(offer);
}

void Tunnels::leave(TunnelService& service) {
    const auto found = tunnels_.find(service.name_);
    if (auto* far = std::exchange(service.far_, nullptr)) {
        streams_--;
        far->far_gone();
    }
    if (found == tunnels_.end()) return;
    auto& tunnel = found->second;
    std::erase(tunnel.offering, &service);
    std::erase(tunnel.attaching, &service);
    if (service.side_ != TunnelService::Side::offer) return;
    CHECK(tunnel.offers > 0);
    if (--tunnel.offers > 0) return;
    for (auto* each : std::exchange(tunnel.attaching, {})) each->far_gone();
    tunnels_.erase(found);
}

std::unique_ptr<TunnelService> TunnelService::enter(Client& client, Tunnels& tunnels, const std::string& name,
                                                    Side side) {
    std::unique_ptr<TunnelService> service(new TunnelService(client, tunnels, name, side));
    service->entered_ = tunnels.enter(*service);
    if (!service->entered_) return nullptr;
    return service;
}

TunnelService::~TunnelService() {
    if (early_) client_.relay().budget.used -= early_->size();
    if (entered_) tunnels_.leave(*this);
}

void TunnelService::joined(TunnelService& far) {
    far_ = &far;
    if (side_ == Side::offer) return give(std::make_shared<Message>(std::span<const u8>{}));
    client_.hold(Hold::off);
    if (!early_) return;
    client_.relay().budget.used -= early_->size();
    far_->give(std::exchange(early_, nullptr));
}

bool TunnelService::message(std::span<const u8> bytes) {
    if (finished_ || bytes.empty()) return true;
    if (far_ == nullptr) {
        // Reading stops when it begins to wait, but what has been read by then comes.
        if (side_ == Side::offer || early_) return false;
        early_ = std::make_shared<Message>(bytes);
        client_.relay().budget.used += early_->size();
        return true;
    }
    far_->give(std::make_shared<Message>(bytes));
    return true;
}

bool TunnelService::has_enough() const {
    return client_.waiting_bytes() >= enough_bytes || client_.waiting_messages() >= enough_messages;
}

// Nothing of a stream may be missing. It fits: the other is held back before its share is full.
void TunnelService::give(SharedMessage message) {
    if (!client_.put(std::move(message))) return client_.end(Ended::stalled);
    if (far_ != nullptr && has_enough()) far_->client_.hold(Hold::on);
}

void TunnelService::sent() {
    if (finished_ && !client_.has_output()) return client_.end(Ended::far_end);
    if (far_ != nullptr && !has_enough()) far_->client_.hold(Hold::off);
}

void TunnelService::far_gone() {
    far_ = nullptr;
    finished_ = true;
    client_.hold(Hold::off);
    if (!client_.has_output()) client_.end(Ended::far_end);
}

}  // namespace viv::netbridge
