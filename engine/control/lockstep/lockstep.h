// Runs two machines in lockstep from power-on, compares them at every stop, and finds the instruction where they part.
// Promises: `step()` costs two slices and two hashes; memory is compared less often. A difference is searched for by
// doing the run again, from a checkpoint if it shows from there too, else from power-on: code that is translated only
// when it is hot may be wrong only when it is warm. A slice that ends within a translated block leaves the rest of it
// to the interpreter, so the search never cuts a run but at the place it asks about.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/control/lockstep/twins.h"

namespace viv::lockstep {

struct Settings {
    u64 every = 1'000'000;   // instructions between comparisons of all but memory
    u64 memory_every = 256;  // such comparisons between those of memory
    u64 maximum = ~u64{0};   // instructions to run
    enum class Checkpoints : u8 { none, kept } checkpoints = Checkpoints::kept;  // none: disks are no part of them
};

// How two machines differ at one place.
struct Differing {
    struct Field {
        std::string name, first, second;
    };
    struct Word {
        u64 address = 0, first = 0, second = 0;
    };
    std::vector<Field> fields;
    std::vector<Word> words;  // of 8 bytes at physical addresses, the first few
    u64 words_in_all = 0;
};

struct Difference {
    // Compared alike, memory and all, and not alike any more, when it was found: instructions since power-on.
    u64 alike_at = 0, differs_at = 0;
    Differing coarse;
    // Whether it showed again when the run was repeated; the rest is of the repetition.
    bool repeated = false;
    std::optional<u64> checkpoint;  // it was repeated from there, else from power-on
    u64 last_alike = 0, first_differing = 0;
    Differing fine;
    struct Executed {
        u64 instruction = 0;  // its number since power-on
        unsigned cpu = 0;
        u64 pc = 0;
        std::string text;
    };
    // By the first machine, the last one being that behind which they differ. An instruction before which an interrupt
    // is taken is shown as the one that was interrupted.
    std::vector<Executed> executed;
    // The second machine's translations of the last of these instructions; else the first machine's.
    std::vector<exec::TranslatedCode> code;
    Side code_of = Side::second;
};

// Input as it was typed: doing it again types the same.
struct Tape {
    struct Entry {
        u64 stop = 0;
        unsigned port = 0;
        std::vector<u8> bytes;
    };
    std::vector<Entry> entries;
};

class Lockstep {
public:
    Lockstep(Maker& maker, const Settings& settings) : settings_(settings), twins_(maker, settings.every) {}

    Result<void> power_on();

    struct Step {
        Twins::At at = Twins::At::stop;  // cut: at the maximum
        bool alike = true;
    };
    // To the next stop, or to the maximum. The last step of a run compares memory as well; if it is the caller who ends
    // it, by same_memory().
    Result<Step> step();
    Result<bool> same_memory();
    void type(unsigned port, std::span<const u8> bytes);
    std::span<const u8> output(unsigned port) { return twins_.ports(Side::first)[port].output(); }  // of the last step
    bool opened(unsigned port) { return twins_.ports(Side::first)[port].state().opened; }
    Machine& machine() { return twins_.machine(Side::first); }

    u64 comparisons() const { return comparisons_; }
    u64 memory_comparisons() const { return memory_comparisons_; }

    // After a step that was not alike. `searching` is told each time the two places have come closer.
    Result<Difference> search(const std::function<void(u64 last_alike, u64 first_differing)>& searching);

private:
    struct Kept {
        Checkpoint checkpoint;
        usize typed = 0;  // entries of the tape
    };
    Result<void> keep();

    Settings settings_;
    Twins twins_;
    Tape tape_;
    std::vector<Kept> kept_;  // oldest first, at most two
    u64 comparisons_ = 0, memory_comparisons_ = 0;
    u64 alike_at_ = 0;
    friend class Search;
};

// How the machines differ now.
Differing differing(Twins& twins);

}  // namespace viv::lockstep
