// The lab's course: start, set up, tests or a prompt, stop. See lab.h.
#include "native/lab/lab.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "native/guest_catalog.h"
#include "native/host_posix.h"
#include "native/lab/fabric.h"
#include "native/lab/member.h"
#include "native/lab/quality.h"
#include "native/lab/scripts.h"
#include "native/session.h"
#include "native/terminal.h"

namespace viv::native {

namespace lab {
namespace {

constexpr u64 second_ns = 1'000'000'000;
constexpr u64 stop_patience_ns = 15 * second_ns, kill_patience_ns = 3 * second_ns;

constexpr std::string_view help_text =
    "MACHINE COMMAND        runs a command in a machine; what is typed next waits for its end\n"
    "status                 machines, their monitors, and what has passed the links\n"
    "link NAME down|up      pulls a link out, or puts it in\n"
    "link NAME KEY=VALUE,.. changes it: latency=20ms, jitter=5ms, loss=1%, rate=10M, queue=256K; what is left out is "
    "perfect\n"
    "quit                   ends the lab, as the end of the input and Ctrl-C do\n";

// A folder of this user's only, gone at the end.
class Folder {
public:
    static Result<std::unique_ptr<Folder>> make() {
        std::error_code ignored;
        auto path = (std::filesystem::temp_directory_path(ignored) / "viv-lab-XXXXXX").string();
        if (mkdtemp(path.data()) == nullptr)
            return Error{fmt::format("{}: cannot be made: {}", path, error_text(errno))};
        return std::unique_ptr<Folder>(new Folder(path));
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    const std::string& path() const { return path_; }

private:
    explicit Folder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

class Lab {
public:
    Lab(const LabOptions& options, Plan plan) : options_(options), plan_(std::move(plan)) {}

    int execute();
    std::optional<int> signal() const { return signal_; }

private:
    enum class Stage : u8 { starting, running, stopping, over };

    Result<void> start();
    std::vector<std::string> arguments_of(const MachinePlan& machine) const;
    std::string monitor_of(const MachinePlan& machine) const {
        return fmt::format("unix:{}/{}.qmp", folder_->path(), machine.name);
    }
    void set_up(usize index);
    void machine_ready();
    void member_ended(usize index);
    void next_test();
    void take_input();
    void obey(const std::string& line);
    void show_status();
    void change_link(std::string_view words);
    void fail(const std::string& why);
    void stop();
    void follow_stop(u64 now_ns);
    void say(std::string_view line);
    void live();
    bool hearing() const { return standard_->output_pending() < ByteStream::output_limit / 2; }
    double seconds() const { return static_cast<double>(EventLoop::now_ns() - start_ns_) / 1e9; }

    const LabOptions& options_;
    const Plan plan_;
    StandardErrorLog log_{LogLevel::error};
    EventLoop events_;
    std::unique_ptr<Folder> folder_;
    std::string logs_;
    std::unique_ptr<ByteStream> standard_;
    std::unique_ptr<Fabric> fabric_;
    std::vector<std::unique_ptr<Member>> members_;
    std::unique_ptr<Signals> signals_;
    Stage stage_ = Stage::starting;
    usize ready_ = 0, tests_done_ = 0, tests_failed_ = 0;
    bool busy_ = false;  // with a command of the input, or a test
    u64 start_ns_ = 0, stop_ns_ = 0;
    int stop_signal_ = 0;  // the last that the machines were given
    int code_ = 0;
    std::optional<int> signal_;
};

void Lab::say(std::string_view line) {
    const auto text = fmt::format("{}\n", line);
    standard_->write({reinterpret_cast<const u8*>(text.data()), text.size()});
}

void Lab::fail(const std::string& why) {
    if (stage_ != Stage::stopping) code_ = complain(Error{fmt::format("lab: {}", why)}, exit_failed);
    stop();
}

std::vector<std::string> Lab::arguments_of(const MachinePlan& machine) const {
    std::vector<std::string> words{"exec", "--verbose", "--qmp", monitor_of(machine)};
    if (machine.cards.empty()) words.insert(words.end(), {"--net", "none"});
    for (usize card = 0; card < machine.cards.size(); card++)
        words.insert(words.end(), {"--net", Fabric::card_option(machine, card, folder_->path())});
    words.insert(words.end(), machine.options.begin(), machine.options.end());
    if (sets_up_cards(machine)) {
        // linux-riscv64 then leaves its cards alone; the script stops other guests' managers.
        const auto append = std::find(words.begin(), words.end(), "--append");
        if (append == words.end())
            words.insert(words.end(), {"--append", "viv.net=manual"});
        else
            *(append + 1) += " viv.net=manual";
    }
    words.insert(words.end(), {machine.guest, "--", "sh"});
    return words;
}

Result<void> Lab::start() {
    TRY_SET(folder_, Folder::make());
    logs_ = options_.logs.empty() ? folder_->path() : options_.logs;
    std::error_code problem;
    std::filesystem::create_directories(logs_, problem);
    if (problem) return Error{fmt::format("--logs {}: cannot be made: {}", logs_, problem.message())};
    fabric_ = std::make_unique<Fabric>(events_, log_);
    TRY(fabric_->build(plan_, folder_->path()));
    for (usize i = 0; i < plan_.machines.size(); i++) {
        const auto& machine = plan_.machines[i];
        members_.push_back(std::make_unique<Member>(
            events_, machine.name,
            [this, i](std::string_view line) { say(fmt::format("{}| {}", plan_.machines[i].name, line)); },
            [this, i] { member_ended(i); }));
        TRY(members_[i]->start(arguments_of(machine), fmt::format("{}/{}.log", logs_, machine.name)));
        set_up(i);
    }
    return {};
}

void Lab::set_up(usize index) {
    const auto& machine = plan_.machines[index];
    const auto failed = [this, index](std::string_view what, int code) {
        if (code != Member::machine_gone)
            fail(fmt::format("{}: {} has failed with exit code {}", plan_.machines[index].name, what, code));
    };
    members_[index]->run(configuration_script(plan_, machine), [this, index, failed](int code) {
        if (code != 0) return failed("its configuration", code);
        const auto& setup = plan_.machines[index].setup;
        if (setup.empty()) return machine_ready();
        members_[index]->run(setup, [this, failed](int exit_code) {
            if (exit_code != 0) return failed("its setup", exit_code);
            machine_ready();
        });
    });
}

void Lab::machine_ready() {
    if (++ready_ != members_.size() || stage_ != Stage::starting) return;
    stage_ = Stage::running;
    say(fmt::format(
        "lab: {} machine{} ready after {:.1f} s{}", members_.size(), members_.size() == 1 ? "" : "s", seconds(),
        options_.test == OnOff::on || options_.input == OnOff::off ? "" : "; help shows what can be typed"));
    if (options_.test == OnOff::on) next_test();
}

void Lab::member_ended(usize index) {
    if (stage_ == Stage::stopping) return;
    const auto& member = *members_[index];
    auto words = member.last_words();
    while (!words.empty() && (words.back() == '\n' || words.back() == '\r')) words.pop_back();
    const auto what = fmt::format("{}: its machine has ended ({})", member.name(), member.fate());
    if (stage_ == Stage::starting)
        return fail(
            fmt::format("{}; its console and its errors end with:\n{}", what, words.empty() ? "(nothing)" : words));
    say("lab: " + what);
    if (std::none_of(members_.begin(), members_.end(), [](const auto& one) { return one->running(); })) stop();
}

void Lab::next_test() {
    if (tests_done_ == plan_.tests.size()) {
        say(fmt::format("lab: {} of {} tests have passed", tests_done_ - tests_failed_, tests_done_));
        if (tests_failed_ != 0) code_ = exit_failed;
        return stop();
    }
    const auto& test = plan_.tests[tests_done_];
    const auto member =
        std::find_if(members_.begin(), members_.end(), [&](const auto& one) { return one->name() == test.machine; });
    const u64 began_ns = EventLoop::now_ns();
    (*member)->run(test.run, [this, &test, began_ns](int code) {
        const double took = static_cast<double>(EventLoop::now_ns() - began_ns) / 1e9;
        tests_done_++;
        if (code != 0) tests_failed_++;
        say(code == 0 ? fmt::format("ok: {} ({:.1f} s)", test.name, took)
            : code == Member::machine_gone
                ? fmt::format("FAILED: {}: {} has ended", test.name, test.machine)
                : fmt::format("FAILED: {}: exit code {} on {}", test.name, code, test.machine));
        if (stage_ == Stage::running) next_test();
    });
}

void Lab::take_input() {
    if (options_.test == OnOff::on || options_.input == OnOff::off) return;
    while (stage_ == Stage::running && !busy_) {
        const auto bytes = standard_->input();
        const auto end = std::find(bytes.begin(), bytes.end(), '\n');
        if (end == bytes.end() && !standard_->input_closed() && bytes.size() < ByteStream::input_limit) return;
        if (bytes.empty()) return stop();
        const std::string line(bytes.begin(), end);
        standard_->consume(std::min(bytes.size(), line.size() + 1));
        obey(line);
    }
}

void Lab::obey(const std::string& line) {
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] == '#') return;
    const auto end = std::min(line.find_first_of(" \t", start), line.size());
    const auto word = line.substr(start, end - start);
    const auto rest = line.substr(std::min(line.find_first_not_of(" \t", end), line.size()));
    if (word == "quit") return stop();
    if (word == "status") return show_status();
    if (word == "link") return change_link(rest);
    if (word == "help") return say(help_text.substr(0, help_text.size() - 1));
    const auto member =
        std::find_if(members_.begin(), members_.end(), [&](const auto& one) { return one->name() == word; });
    if (member == members_.end())
        return say(fmt::format("lab: there is no machine {}; help shows what can be typed", word));
    if (rest.empty()) return say(fmt::format("lab: {}: a command is missing, as in {} ip addr", word, word));
    busy_ = true;
    (*member)->run(rest, [this, word](int code) {
        busy_ = false;
        if (code == Member::machine_gone) return say(fmt::format("lab: {}: its machine has ended", word));
        if (code != 0) say(fmt::format("lab: {}: exit code {}", word, code));
    });
}

void Lab::show_status() {
    for (usize i = 0; i < members_.size(); i++) {
        const auto& machine = plan_.machines[i];
        say(fmt::format(
            "{}: {}; console in {}/{}.log", machine.name,
            members_[i]->running() ? "runs, QMP at " + monitor_of(machine) : "has ended, " + members_[i]->fate(), logs_,
            machine.name));
    }
    for (const auto& [name, ends, link] : fabric_->links()) {
        const auto& there = link->to_far();
        const auto& back = link->to_near();
        say(fmt::format("link {} ({}): {}{} frames, {} bytes; lost {}, dropped {}", name, ends,
                        link->up() ? "" : "down; ", there.frames + back.frames, there.bytes + back.bytes,
                        there.lost + back.lost, there.dropped + back.dropped));
    }
}

void Lab::change_link(std::string_view words) {
    const auto space = std::min(words.find(' '), words.size());
    const auto name = words.substr(0, space);
    const auto what = words.substr(std::min(words.find_first_not_of(' ', space), words.size()));
    const auto& links = fabric_->links();
    const auto found = std::find_if(links.begin(), links.end(), [&](const auto& one) { return one.name == name; });
    if (found == links.end()) return say(fmt::format("lab: there is no link {}; status shows them", name));
    if (what == "up" || what == "down") return found->link->set_up(what == "up");
    if (what.empty()) return say(fmt::format("lab: link {}: up, down or KEY=VALUE is missing; help shows more", name));
    const auto quality = parse_quality(what);
    if (!quality.ok()) return say(fmt::format("lab: link {}: {}", name, quality.error().message));
    found->link->set_quality(*quality);
}

void Lab::stop() {
    if (stage_ == Stage::stopping || stage_ == Stage::over) return;
    stage_ = Stage::stopping;
    stop_ns_ = EventLoop::now_ns();
    for (auto& member : members_) member->finish();
}

// The shells end, and with them the machines; who does not is told by signals.
void Lab::follow_stop(u64 now_ns) {
    if (std::none_of(members_.begin(), members_.end(), [](const auto& one) { return one->running(); })) {
        stage_ = Stage::over;
        return;
    }
    const int wanted = now_ns - stop_ns_ > stop_patience_ns + kill_patience_ns ? SIGKILL
                       : now_ns - stop_ns_ > stop_patience_ns                  ? SIGTERM
                                                                               : 0;
    if (wanted == stop_signal_) return;
    stop_signal_ = wanted;
    for (auto& member : members_) member->kill(wanted);
}

void Lab::live() {
    while (stage_ != Stage::over) {
        fabric_->turn();
        for (auto& member : members_) member->service([this] { return hearing(); });
        take_input();
        standard_->service();
        const u64 now_ns = EventLoop::now_ns();
        if (options_.timeout_ns && stage_ != Stage::stopping && now_ns - start_ns_ >= *options_.timeout_ns) {
            code_ = complain(Error{fmt::format("lab: --timeout: {:g} seconds are over",
                                               static_cast<double>(*options_.timeout_ns) / 1e9)},
                             exit_timeout);
            stop();
        }
        if (standard_->output_ended() && stage_ != Stage::stopping) {
            code_ = 128 + SIGPIPE;
            stop();
        }
        if (stage_ == Stage::stopping) follow_stop(now_ns);
        if (stage_ == Stage::over) break;
        u64 wait_ns = fabric_->until_next_ns();
        if (stage_ == Stage::stopping || !hearing()) wait_ns = std::min(wait_ns, second_ns / 10);
        if (options_.timeout_ns) wait_ns = std::min(wait_ns, second_ns);
        events_.poll(wait_ns);
    }
    // What was said last, if somebody reads it.
    const u64 end_ns = EventLoop::now_ns() + second_ns;
    for (standard_->service();
         standard_->output_pending() != 0 && !standard_->output_ended() && EventLoop::now_ns() < end_ns;
         standard_->service())
        events_.poll(second_ns / 10);
}

int Lab::execute() {
    start_ns_ = EventLoop::now_ns();
    const bool reads = options_.test == OnOff::off && options_.input == OnOff::on;
    standard_ = ByteStream::standard(events_, reads ? STDIN_FILENO : -1, STDOUT_FILENO);
    signals_ = std::make_unique<Signals>(
        events_,
        [this](int signal) {
            signal_ = signal;
            stop();
        },
        [] {});
    if (auto started = start(); !started.ok()) {
        code_ = complain(Error{fmt::format("lab: {}", started.error().message)}, exit_bad_input);
        stop();
    }
    if (fabric_) live();
    return code_;
}

std::string summary(const Plan& plan) {
    usize links = plan.trunks.size();
    for (const auto& machine : plan.machines) links += machine.cards.size();
    return fmt::format("{}: {} machines, {} switches, {} links, {} tests", plan.title.empty() ? "a lab" : plan.title,
                       plan.machines.size(), plan.switches.size(), links, plan.tests.size());
}

}  // namespace
}  // namespace lab

int run_lab(const LabOptions& options) {
    auto plan = lab::read_plan_file(options.file);
    if (!plan.ok()) return complain(plan.error(), exit_bad_input);
    const auto catalog = GuestCatalog::of_this_user();
    for (const auto& machine : plan->machines)
        if (const auto known = catalog.check_name(machine.guest); !known.ok())
            return complain(Error{fmt::format("{}: machine {}: {}", options.file, machine.name, known.error().message)},
                            exit_bad_input);
    if (options.check == OnOff::on) {
        const auto text = lab::summary(*plan) + "\n";
        [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
        return 0;
    }
    if (options.test == OnOff::on && plan->tests.empty())
        return complain(Error{fmt::format("lab: --test: {} has no [[test]]", options.file)}, exit_bad_input);
    for (const auto& machine : plan->machines)
        if (const int code = ensure_guest(catalog, machine.guest); code != 0) return code;
    std::optional<int> signal;
    int code = 0;
    {
        lab::Lab lab(options, std::move(*plan));
        code = lab.execute();
        signal = lab.signal();
    }
    if (signal) die_of(*signal);
    return code;
}

}  // namespace viv::native
