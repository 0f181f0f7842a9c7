// A machine by its name in the board catalogue. Apart from machine.cpp so that tests can bring a board of their own.
#include "engine/control/machine.h"

namespace viv {

Result<std::unique_ptr<Machine>> Machine::create(MachineConfig config, const MachineHost& host) {
    TRY_SET(const BoardKind* kind, find_board(config.board.machine));
    return create(std::move(config), host, *kind);
}

}  // namespace viv
