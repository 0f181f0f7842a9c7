// The options that make a machine, shared by `viv run`, `viv exec` and saved files. See options.h for what they mean.
// Promises: declare() binds a CommandLine to raw texts; convert() turns them into checked values with errors that name
// the option.
#pragma once

#include "native/command_line.h"
#include "native/options.h"

namespace viv::native {

class MachineArguments {
public:
    void declare(CommandLine& line);
    Result<MachineOptions> convert(std::string_view verb) const;
    // As if --deterministic had been given.
    void be_deterministic() { deterministic_ = true; }
    bool jit_given() const { return jit_.has_value(); }

private:
    std::optional<std::string> guest_, machine_, cpu_, kernel_, initrd_, bios_, append_, memory_, cpus_, seed_, harts_,
        jit_, jit_cache_;
    std::vector<std::string> disks_, nets_, shares_, devices_;
    bool deterministic_ = false, perf_map_ = false;
};

Result<Jit> parse_jit(std::string_view option, std::string_view text);
Result<DiskOption> parse_disk(std::string_view option, std::string_view text);
Result<ShareOption> parse_share(std::string_view option, std::string_view text);
Result<DeviceOption> parse_device(std::string_view text);

}  // namespace viv::native
