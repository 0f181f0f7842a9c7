// Jobs of QMP: work that a client begins and looks at later, as in QEMU's "Background jobs" (docs/interop,
// qapi/job.json). Promises: the states of a job come in QEMU's order and each is told; one job works at a time, in the
// order in which they were begun; a job that has concluded stays with its error until it is dismissed; at most `most`
// of them are kept.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

enum class JobStatus : u8 { created, running, waiting, pending, aborting, concluded, null };
std::string_view job_status_name(JobStatus status);

struct Job {
    std::string id, type;
    JobStatus status = JobStatus::created;
    std::optional<std::string> error;  // of one that has concluded
};

class Jobs {
public:
    static constexpr usize most = 256;

    // `changed` is called with each new state.
    explicit Jobs(std::function<void(const Job&)> changed) : changed_(std::move(changed)) {}
    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;

    using Told = std::function<void(const Result<void>&)>;
    // Is called by advance(), and calls what it is given, then or later, once.
    using Work = std::function<void(Told)>;
    // The job is running when this returns.
    Result<void> start(std::string id, std::string type, Work work);
    // Forgets one that has concluded.
    Result<void> dismiss(std::string_view id);

    const std::vector<Job>& all() const { return jobs_; }  // the oldest first
    // Whether there is work that advance() would begin.
    bool waiting() const { return !works_.empty() && !busy_; }
    void advance();

private:
    struct Begun {
        std::string id;
        Work work;
    };
    void set(std::string_view id, JobStatus status);
    void finish(const std::string& id, const Result<void>& result);
    Job* find(std::string_view id);

    std::function<void(const Job&)> changed_;
    std::vector<Job> jobs_;
    std::deque<Begun> works_;
    bool busy_ = false;
};

}  // namespace viv
