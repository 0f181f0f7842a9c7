// The tap and its file format. See capture.h.
#include "engine/net/capture.h"

#include <algorithm>

#include "engine/lang/bytes.h"

namespace viv::net {

namespace {

class Captured final : public NetBackend, public NetDevice {
public:
    Captured(std::unique_ptr<NetBackend> inner, std::unique_ptr<FrameRecorder> recorder)
        : recorder_(std::move(recorder)), inner_(std::move(inner)) {}

    void attach(NetDevice* device) override {
        device_ = device;
        inner_->connect(device == nullptr ? nullptr : this);
    }
    void send(std::span<const u8> frame) override {
        // What is recorded is what is sent, whatever the guest does to its memory meanwhile.
        frame_.assign(frame.begin(), frame.end());
        recorder_->record(Passing::from_guest, frame_);
        inner_->send(frame_);
    }
    void receive_ready() override { inner_->receive_ready(); }
    bool receive(std::span<const u8> frame) override {
        if (!device_->receive(frame)) return false;
        recorder_->record(Passing::to_guest, frame);
        return true;
    }

private:
    NetDevice* device_ = nullptr;
    std::vector<u8> frame_;
    std::unique_ptr<FrameRecorder> recorder_;
    std::unique_ptr<NetBackend> inner_;
};

enum BlockType : u32 { section_header = 0x0a0d'0d0a, interface_description = 1, enhanced_packet = 6 };
enum Option : u16 {
    end_of_options = 0,
    section_user_application = 4,
    interface_name = 2,
    interface_resolution = 9,
    packet_flags = 2
};
constexpr u32 byte_order_magic = 0x1a2b'3c4d;
constexpr u16 link_type_ethernet = 1;
constexpr u32 inbound = 1, outbound = 2;
constexpr usize longest_option = 255;

template <class T>
void put(std::vector<u8>& to, T value) {
    to.resize(to.size() + sizeof value);
    store_le<T>(&to[to.size() - sizeof value], value);
}
void put_padded(std::vector<u8>& to, std::span<const u8> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
    to.resize(to.size() + (0 - bytes.size()) % 4);
}
void put_option(std::vector<u8>& to, u16 code, std::string_view text) {
    text = text.substr(0, longest_option);
    put(to, code);
    put(to, static_cast<u16>(text.size()));
    put_padded(to, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

// The length stands at both ends of a block.
class Block {
public:
    Block(std::vector<u8>& to, u32 type) : to_(to), start_(to.size()) {
        put(to_, type);
        put<u32>(to_, 0);
    }
    void finish() {
        put<u32>(to_, 0);
        const auto size = static_cast<u32>(to_.size() - start_);
        store_le<u32>(&to_[start_ + 4], size);
        store_le<u32>(&to_[to_.size() - 4], size);
    }

private:
    std::vector<u8>& to_;
    usize start_;
};

}  // namespace

std::unique_ptr<NetBackend> make_captured(std::unique_ptr<NetBackend> inner, std::unique_ptr<FrameRecorder> recorder) {
    return std::make_unique<Captured>(std::move(inner), std::move(recorder));
}

std::vector<u8> PcapngWriter::head(std::string_view program, std::string_view name) {
    std::vector<u8> bytes;
    Block section(bytes, section_header);
    put(bytes, byte_order_magic);
    put<u16>(bytes, 1);
    put<u16>(bytes, 0);
    put<u64>(bytes, ~u64{0});  // the section's length is not known
    put_option(bytes, section_user_application, program);
    put<u32>(bytes, end_of_options);
    section.finish();
    Block interface(bytes, interface_description);
    put<u32>(bytes, link_type_ethernet);
    put<u32>(bytes, static_cast<u32>(largest_frame));
    put_option(bytes, interface_name, name);
    put_option(bytes, interface_resolution, "\x09");
    put<u32>(bytes, end_of_options);
    interface.finish();
    return bytes;
}

void PcapngWriter::append_frame(std::vector<u8>& to, Passing direction, u64 time_ns, std::span<const u8> frame) {
    Block packet(to, enhanced_packet);
    put<u32>(to, 0);
    put(to, static_cast<u32>(time_ns >> 32));
    put(to, static_cast<u32>(time_ns));
    put(to, static_cast<u32>(frame.size()));
    put(to, static_cast<u32>(frame.size()));
    put_padded(to, frame);
    put<u16>(to, packet_flags);
    put<u16>(to, 4);
    put(to, direction == Passing::to_guest ? inbound : outbound);
    put<u32>(to, end_of_options);
    packet.finish();
}

}  // namespace viv::net
