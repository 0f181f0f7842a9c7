// A machine of a lab: a `viv exec` of its own with a shell in the guest, to which commands are given one after the
// other. Promises: never blocks; what the guest says is passed on line by line, bounded; the machine ends with the lab,
// whatever becomes of that; a command has exactly one end, also when its machine ends before it.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "native/byte_stream.h"
#include "native/descriptor.h"
#include "native/event_loop.h"

namespace viv::native::lab {

class Member {
public:
    // What a command's end is reported with if its machine has gone.
    static constexpr int machine_gone = -1;
    using Heard = std::function<void(std::string_view line)>;
    using Room = std::function<bool()>;
    using Done = std::function<void(int exit_code)>;

    // `heard` gets what commands print; `ended` is called once, when the machine's process has.
    Member(EventLoop& events, std::string name, Heard heard, std::function<void()> ended);
    ~Member();  // kills the process if it is there
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    const std::string& name() const { return name_; }
    // `arguments` behind the program's name; the console goes to the file `log`.
    Result<void> start(const std::vector<std::string>& arguments, const std::string& log);
    // A shell script, after those before it. It reads nothing, and its errors are output like the rest.
    void run(std::string_view script, Done done);
    // Moves bytes; output is taken over only while there is `room` for it.
    void service(const Room& room);
    bool running() const { return process_ > 0; }
    // No more commands: one that runs is interrupted, the shell ends, and the machine with it, as after any command of
    // viv exec.
    void finish();
    void kill(int signal);

    // After the end: what became of the process, and the last of what its console and viv itself said.
    const std::string& fate() const { return fate_; }
    const std::string& last_words() const { return last_words_; }

private:
    void take_lines(const Room& room);
    void take_line(std::string_view line);
    void take_console();
    void process_ended();

    EventLoop& events_;
    std::string name_, mark_;
    Heard heard_;
    std::function<void()> ended_;
    pid_t process_ = 0;
    Descriptor watch_;  // a pidfd
    Descriptor shell_in_, shell_out_, console_, log_;
    std::unique_ptr<ByteStream> shell_, console_stream_;
    std::string unsent_;  // of scripts
    std::deque<Done> commands_;
    bool blank_held_ = false;  // a line that may be our own, before a mark
    bool finishing_ = false;
    std::string fate_, last_words_;
};

}  // namespace viv::native::lab
