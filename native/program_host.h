// What monitor commands want from the program: its version, the time, files to write, points, images to put over disks.
#pragma once

#include <string>

#include "engine/control/commands/command.h"
#include "engine/control/points.h"
#include "native/host_posix.h"
#include "native/user_files.h"

namespace viv::native {

std::string_view program_version();

class ProgramHost final : public CommandHost {
public:
    explicit ProgramHost(std::string machine_name) : machine_name_(std::move(machine_name)) {}
    std::string_view version() override { return program_version(); }
    std::string_view machine_name() override { return machine_name_; }
    u64 realtime_ns() override { return clock_.realtime_ns(); }
    Result<std::unique_ptr<ByteSink>> create_file(std::string_view path) override {
        TRY_SET(auto sink, FileSink::create("", std::string(path)));
        return std::unique_ptr<ByteSink>(std::move(sink));
    }
    void set_points(std::unique_ptr<PointStore> points) { points_ = std::move(points); }
    Result<PointStore*> points() override;
    Result<std::unique_ptr<block::Image>> open_overlay(const OverlayImage& wanted) override;

private:
    std::string machine_name_;
    std::unique_ptr<PointStore> points_;
    PosixClock clock_;
};

}  // namespace viv::native
