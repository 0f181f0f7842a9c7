// The boards there are.
#include <fmt/core.h>

#include <array>

#include "engine/board/riscv_virt.h"
#include "engine/jit/catalog.h"
#include "engine/lang/nearest.h"

namespace viv {

std::span<const BoardKind> board_catalog() {
    static constexpr std::array boards{
        BoardKind{"riscv-virt",
                  "RISC-V, 32 and 64 bit, with QEMU's virt memory map",
                  "rv64",
                  8,
                  "virtio-blk-pci",
                  "virtio-net-pci",
                  "virtio-9p-pci",
                  "virtio-serial-pci",
                  {"virtio-gpu-pci", "virtio-keyboard-pci", "virtio-tablet-pci"},
                  RiscvVirt::create},
    };
    return boards;
}

bool translates(const host::CodeMemory* memory) {
    return memory != nullptr && jit::has_backend(memory->architecture());
}

Result<const BoardKind*> find_board(std::string_view name) {
    std::vector<std::string_view> names;
    for (const auto& board : board_catalog()) {
        if (board.name == name) return &board;
        names.push_back(board.name);
    }
    const auto near = nearest_name(name, names);
    return Error{fmt::format("--machine {}: no such machine{}; 'viv list machines' shows them", name,
                             near.empty() ? "" : fmt::format(" (did you mean {}?)", near))};
}

}  // namespace viv
