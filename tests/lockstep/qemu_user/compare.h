// What two runs of one case disagree about, in words.
#pragma once

#include <string>
#include <vector>

#include "tests/lockstep/qemu_user/protocol.h"

namespace viv::lockstep {

// `ours` and `theirs` ran `test`; empty if all that is architectural agrees. The link register is not compared.
std::vector<std::string> differences(const test_case& test, const test_result& ours, const test_result& theirs,
                                     unsigned xlen, unsigned vlen);
bool equal(const test_case& test, const test_result& ours, const test_result& theirs, unsigned xlen, unsigned vlen);

}  // namespace viv::lockstep
