// The program around the engine, as commands see it, with files that are vectors.
#pragma once

#include <map>

#include "engine/control/commands/command.h"
#include "tests/control/fake_machine.h"

namespace viv::test {

class FakeCommandHost final : public CommandHost {
public:
    std::string_view version() override { return "1.2.3"; }
    std::string_view machine_name() override { return name; }
    u64 realtime_ns() override { return 1'700'000'000'123'456'789; }
    Result<std::unique_ptr<ByteSink>> create_file(std::string_view path) override {
        if (path.starts_with("/no")) return Error{fmt::format("'{}' cannot be created", path)};
        return std::unique_ptr<ByteSink>(std::make_unique<Sink>(*this, std::string(path)));
    }

    Result<PointStore*> points() override {
        if (store == nullptr) return Error{"no folder for points"};
        return store;
    }

    std::string name = "test machine";
    PointStore* store = nullptr;
    std::map<std::string, std::vector<u8>> files;  // the finished ones

private:
    struct Sink final : ByteSink {
        Sink(FakeCommandHost& to, std::string with_path) : host(to), path(std::move(with_path)) {}
        Result<void> write(std::span<const u8> in) override {
            bytes.insert(bytes.end(), in.begin(), in.end());
            return {};
        }
        Result<void> finish() override {
            host.files[path] = bytes;
            return {};
        }
        FakeCommandHost& host;
        std::string path;
        std::vector<u8> bytes;
    };
};

inline std::span<const u8> as_bytes(std::string_view text) {
    return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

}  // namespace viv::test
