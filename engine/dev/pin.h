// A wire that a device drives: an interrupt line, a reset line. Level semantics; the receiver finds edges itself.
#pragma once

#include <functional>

#include "engine/lang/bits.h"

namespace viv {

class Pin {
public:
    virtual ~Pin() = default;
    // Called as often as the driver likes; only a change of level means anything.
    virtual void set(bool level) = 0;
};

// A pin that nobody listens to.
class OpenPin final : public Pin {
public:
    void set(bool) override {}
};

// A pin that calls a function when its level changes.
class FunctionPin final : public Pin {
public:
    explicit FunctionPin(std::function<void(bool)> changed) : changed_(std::move(changed)) {}
    void set(bool level) override {
        if (level == level_) return;
        level_ = level;
        changed_(level);
    }

private:
    std::function<void(bool)> changed_;
    bool level_ = false;
};

}  // namespace viv
