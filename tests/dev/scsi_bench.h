// Units behind a SCSI bus for tests: a disk in memory that completes at once or when told to, and commands by their
// bytes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "engine/dev/scsi/cd.h"
#include "engine/dev/scsi/create.h"
#include "engine/dev/scsi/disk.h"
#include "engine/lang/bytes.h"
#include "tests/dev/device_bench.h"

namespace viv::test {

using Bytes = std::vector<u8>;

struct ScsiDisk {
    explicit ScsiDisk(usize size) : bytes(size) {}
    Bytes bytes;
    bool read_only = false, fails = false, late = false;
    std::vector<block::Operation> operations;
    std::vector<block::Request> waiting;
    unsigned abandoned = 0;

    void complete() {
        for (auto& request : std::exchange(waiting, {})) carry_out(request);
    }
    void carry_out(block::Request& request) {
        ASSERT_TRUE(range_fits(request.offset, request.length, bytes.size()));
        if (fails) return request.done(block::Status::io_error);
        auto at = bytes.begin() + static_cast<std::ptrdiff_t>(request.offset);
        u64 moved = 0;
        for (auto& segment : request.segments) {
            moved += segment.size();
            if (request.operation == block::Operation::read)
                std::copy_n(at, segment.size(), segment.begin());
            else
                std::copy_n(segment.begin(), segment.size(), at);
            at += std::ssize(segment);
        }
        if (request.operation == block::Operation::discard || request.operation == block::Operation::write_zeroes)
            std::fill_n(at, request.length, u8{0});
        else
            EXPECT_EQ(moved, request.length);
        request.done(block::Status::ok);
    }
};

class ScsiBackEnd final : public block::Disk {
public:
    explicit ScsiBackEnd(std::shared_ptr<ScsiDisk> shared) : shared_(std::move(shared)) {}
    u64 size() const override { return shared_->bytes.size(); }
    bool read_only() const override { return shared_->read_only; }
    void submit(block::Request request) override {
        shared_->operations.push_back(request.operation);
        if (shared_->late) return shared_->waiting.push_back(std::move(request));
        shared_->carry_out(request);
    }
    void abandon() override {
        shared_->abandoned++;
        for (auto& request : shared_->waiting) request.segments.clear(), request.length = 0;
    }

private:
    std::shared_ptr<ScsiDisk> shared_;
};

// A bus with what is attached to it by its specs.
struct ScsiRig {
    scsi::Bus bus;

    Result<void> attach(std::string name, std::shared_ptr<ScsiDisk> disk,
                        std::map<std::string, std::string> properties = {}) {
        DeviceSpec spec;
        spec.name = std::move(name);
        spec.properties = std::move(properties);
        if (disk) spec.disk = std::make_unique<ScsiBackEnd>(disk);
        return scsi::attach(bus, spec);
    }
    // Of the last command; nothing while it is under way.
    std::optional<scsi::Answer> answer;
    Bytes in;
    u64 send(Bytes cdb, usize room = 0, Bytes* out = nullptr, scsi::Place place = {}) {
        answer.reset();
        in.assign(room, 0xee);
        scsi::Command command;
        std::copy(cdb.begin(), cdb.end(), command.cdb.begin());
        // In two pieces, so that the seam is met.
        const auto pieces = [](Bytes& bytes) {
            std::vector<std::span<u8>> all;
            const usize half = bytes.size() / 2;
            if (half != 0) all.push_back(std::span(bytes).first(half));
            if (!bytes.empty()) all.push_back(std::span(bytes).subspan(half));
            return all;
        };
        command.data_in = pieces(in);
        if (out != nullptr) command.data_out = pieces(*out);
        command.done = [this](const scsi::Answer& given) {
            EXPECT_FALSE(answer) << "answered twice";
            answer = given;
        };
        return bus.submit(place, std::move(command));
    }
    // The data of a command that must succeed.
    Bytes data(const Bytes& cdb, usize room = 0, Bytes* out = nullptr, scsi::Place place = {}) {
        send(cdb, room, out, place);
        EXPECT_TRUE(answer && answer->delivery == scsi::Answer::Delivery::carried_out);
        if (!answer) return {};
        EXPECT_EQ(answer->status, scsi::Status::good) << int(answer->sense.key) << "/" << int(answer->sense.code);
        return Bytes(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(room == 0 ? 0 : answer->moved));
    }
    // What a command that must fail tells.
    scsi::Sense refusal(const Bytes& cdb, usize room = 0, Bytes* out = nullptr, scsi::Place place = {}) {
        send(cdb, room, out, place);
        EXPECT_TRUE(answer && answer->status == scsi::Status::check_condition);
        return answer ? answer->sense : scsi::Sense{};
    }
};

}  // namespace viv::test
