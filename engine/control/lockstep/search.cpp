// From "they differ somewhere between" to the first place that differs, and what is there. See lockstep.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "engine/control/lockstep/lockstep.h"
#include "engine/lang/bytes.h"

namespace viv::lockstep {

namespace {

constexpr u64 points_of_first_pass = 64;
constexpr u64 instructions_shown = 48;
constexpr usize words_shown = 16;
// How often a newer checkpoint may fail to show the difference before the older one is kept for good.
constexpr unsigned failures_allowed = 3;

std::map<std::string, std::string, std::less<>> fields_of(std::string_view listing) {
    std::map<std::string, std::string, std::less<>> fields;
    while (!listing.empty()) {
        const auto end = listing.find('\n');
        const auto line = listing.substr(0, end);
        const auto space = line.find(' ');
        if (space != std::string_view::npos) fields.emplace(line.substr(0, space), line.substr(space + 1));
        listing.remove_prefix(end == std::string_view::npos ? listing.size() : end + 1);
    }
    return fields;
}

std::string state_text(Machine& machine) {
    if (machine.state() == RunState::powered_off) return fmt::format("powered off with {}", machine.exit_code());
    return machine.state() == RunState::running ? "running" : "paused";
}

void compare_fields(Twins& twins, Differing& out) {
    Machine &first = twins.machine(Side::first), &second = twins.machine(Side::second);
    if (state_text(first) != state_text(second))
        out.fields.push_back({"machine", state_text(first), state_text(second)});
    const std::string first_listing = first.listing();
    const auto others = fields_of(second.listing());
    const auto ones = fields_of(first_listing);
    // In the order of the listing, which is that of the machine's parts.
    std::string_view rest = first_listing;
    for (usize end = 0; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
        const auto name = rest.substr(0, rest.substr(0, end).find(' '));
        const auto one = ones.find(name), other = others.find(name);
        const std::string second_text = other == others.end() ? "(none)" : other->second;
        if (one != ones.end() && one->second != second_text)
            out.fields.push_back({std::string(name), one->second, second_text});
    }
    for (const auto& [name, text] : others)
        if (!ones.contains(name)) out.fields.push_back({name, "(none)", text});
    for (usize i = 0; i < twins.ports(Side::first).size(); i++) {
        const Port &one = twins.ports(Side::first)[i], &other = twins.ports(Side::second)[i];
        const auto text = [](const Port& port) {
            return fmt::format("{} bytes sent, {} to take", port.output().size(), port.state().input.size());
        };
        if (!(one.state() == other.state()) || !std::ranges::equal(one.output(), other.output()))
            out.fields.push_back({fmt::format("port{}", i), text(one), text(other)});
    }
}

void compare_memory(Twins& twins, Differing& out) {
    const auto& first = twins.machine(Side::first).board().memory().regions();
    const auto& second = twins.machine(Side::second).board().memory().regions();
    for (usize r = 0; r < std::min(first.size(), second.size()); r++) {
        const auto &one = *first[r], &other = *second[r];
        if (one.base != other.base || one.size != other.size) continue;
        for (u64 page = 0; page < one.size; page += page_size) {
            if (std::memcmp(one.host + page, other.host + page, page_size) == 0) continue;
            for (u64 at = page; at < page + page_size; at += 8) {
                const u64 here = load_le<u64>(one.host + at), there = load_le<u64>(other.host + at);
                if (here == there) continue;
                if (out.words.size() < words_shown) out.words.push_back({one.base + at, here, there});
                out.words_in_all++;
            }
        }
    }
}

}  // namespace

Differing differing(Twins& twins) {
    Differing out;
    compare_fields(twins, out);
    compare_memory(twins, out);
    return out;
}

class Search {
public:
    using Searching = std::function<void(u64, u64)>;
    Search(Lockstep& lockstep, const Searching& searching)
        : lockstep_(lockstep), twins_(lockstep.twins_), searching_(searching) {}

    Result<Difference> run();

private:
    using Kept = Lockstep::Kept;
    Result<void> begin();
    bool feed();
    void go_to(u64 instructions);
    bool alike() { return twins_.same_state() && twins_.same_memory(); }
    u64 start_instructions() const { return start_ ? start_->checkpoint.instructions : 0; }

    Result<std::optional<usize>> first_that_differs(std::span<const u64> points);
    Result<bool> differs_at(u64 point);
    Result<bool> repeat();
    Result<void> close_in();
    Result<void> try_checkpoint_here();
    Result<void> show();
    void show_code();

    Lockstep& lockstep_;
    Twins& twins_;
    const Searching& searching_;
    Difference found_;
    std::optional<Kept> start_;  // none: power-on
    usize typed_ = 0;
    unsigned failures_ = 0;
};

Result<void> Search::begin() {
    typed_ = start_ ? start_->typed : 0;
    if (start_)
        TRY(twins_.restore(start_->checkpoint));
    else
        TRY(twins_.power_on());
    feed();
    return {};
}

// Types what was typed at this stop.
bool Search::feed() {
    const auto& entries = lockstep_.tape_.entries;
    bool any = false;
    for (; typed_ < entries.size() && entries[typed_].stop == twins_.stops(); typed_++, any = true)
        twins_.type(entries[typed_].port, entries[typed_].bytes);
    return any;
}

void Search::go_to(u64 instructions) {
    while (twins_.instructions() < instructions) {
        const auto at = twins_.advance(instructions);
        if (at == Twins::At::cut) return;
        const bool fed = feed();
        if (at == Twins::At::ended || (at == Twins::At::idle && !fed)) return;
    }
}

// Points in rising order, compared in one run.
Result<std::optional<usize>> Search::first_that_differs(std::span<const u64> points) {
    TRY(begin());
    for (usize i = 0; i < points.size(); i++) {
        go_to(points[i]);
        if (!alike()) return std::optional(i);
    }
    return std::optional<usize>();
}

Result<bool> Search::differs_at(u64 point) {
    TRY_SET(const auto found, first_that_differs({&point, 1}));
    return found.has_value();
}

// Does it show again from `start_`? If so, brings the places together as far as can be done in one run: stops are no
// cuts.
Result<bool> Search::repeat() {
    const u64 every = twins_.every();
    const u64 stops = (found_.differs_at - found_.alike_at) / every;
    const u64 apart = (stops / points_of_first_pass + 1) * every;
    std::vector<u64> points;
    for (u64 at = (found_.alike_at / every + 1) * every; at < found_.differs_at; at += apart) points.push_back(at);
    points.push_back(found_.differs_at);
    TRY_SET(const auto first, first_that_differs(points));
    if (!first) return false;
    found_.first_differing = points[*first];
    found_.last_alike = *first == 0 ? found_.alike_at : points[*first - 1];
    searching_(found_.last_alike, found_.first_differing);
    return true;
}

// The machines are alike here, which is nearer than the start: the next runs might begin here.
Result<void> Search::try_checkpoint_here() {
    const u64 nearer = twins_.instructions() - start_instructions();
    const bool worth = nearer > 4 * twins_.every() && failures_ < failures_allowed;
    if (!worth || lockstep_.settings_.checkpoints == Settings::Checkpoints::none) return {};
    TRY_SET(auto checkpoint, twins_.save());
    auto before = std::exchange(start_, Kept{std::move(checkpoint), typed_});
    TRY_SET(const bool shows, differs_at(found_.first_differing));
    if (shows) return {};
    start_ = std::move(before);
    failures_++;
    return {};
}

Result<void> Search::close_in() {
    while (found_.first_differing - found_.last_alike > 1) {
        const u64 middle = found_.last_alike + (found_.first_differing - found_.last_alike) / 2;
        TRY_SET(const bool differs, differs_at(middle));
        (differs ? found_.first_differing : found_.last_alike) = middle;
        searching_(found_.last_alike, found_.first_differing);
        if (!differs) TRY(try_checkpoint_here());
    }
    return {};
}

Result<void> Search::show() {
    TRY(begin());
    const u64 last = found_.first_differing;
    go_to(std::max(start_instructions(), last - std::min(last, instructions_shown)));
    Machine& first = twins_.machine(Side::first);
    const auto cpus = first.board().cpus();
    while (twins_.instructions() < last) {
        const u64 before = twins_.instructions();
        std::vector<Difference::Executed> next;
        std::vector<u64> counts;
        for (Cpu* cpu : cpus) {
            next.push_back({before + 1, cpu->index(), cpu->pc(), cpu->disassemble(cpu->pc()).text});
            counts.push_back(cpu->instructions());
        }
        go_to(before + 1);
        if (twins_.instructions() == before) break;
        for (usize i = 0; i < cpus.size(); i++)
            if (cpus[i]->instructions() != counts[i]) found_.executed.push_back(std::move(next[i]));
    }
    TRY(begin());
    go_to(last);
    found_.fine = differing(twins_);
    show_code();
    return {};
}

// Of the block that the last instruction belongs to: the nearest before it that code is entered at and that reaches it.
void Search::show_code() {
    if (found_.executed.empty()) return;
    const auto& end = found_.executed.back();
    for (const Side side : {Side::second, Side::first}) {
        for (auto at = found_.executed.rbegin(); at != found_.executed.rend(); ++at) {
            if (at->cpu != end.cpu) break;
            auto all = twins_.machine(side).board().cpus()[end.cpu]->translated_code(at->pc);
            std::erase_if(all, [&](const exec::TranslatedCode& code) { return end.pc - code.pc >= code.size; });
            if (all.empty()) continue;
            found_.code = std::move(all);
            found_.code_of = side;
            return;
        }
    }
}

Result<Difference> Search::run() {
    found_.alike_at = lockstep_.alike_at_;
    found_.differs_at = twins_.instructions();
    found_.coarse = differing(twins_);
    auto& kept = lockstep_.kept_;
    while (!found_.repeated) {
        const bool from_power_on = kept.empty();
        start_.reset();
        if (!from_power_on) {
            start_ = std::move(kept.back());
            kept.pop_back();
            if (start_->checkpoint.instructions > found_.alike_at) continue;
        }
        TRY_SET(found_.repeated, repeat());
        if (from_power_on) break;
    }
    if (!found_.repeated) return std::move(found_);
    TRY(close_in());
    if (start_) found_.checkpoint = start_->checkpoint.instructions;
    TRY(show());
    return std::move(found_);
}

Result<Difference> Lockstep::search(const std::function<void(u64, u64)>& searching) {
    return Search(*this, searching).run();
}

}  // namespace viv::lockstep
