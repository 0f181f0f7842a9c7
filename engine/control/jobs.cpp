// See jobs.h.
#include "engine/control/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace viv {

namespace {

constexpr usize longest_id = 127;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool good_id(std::string_view id) {
    return !id.empty() && id.size() <= longest_id && is_letter(id.front()) &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
           });
}

}  // namespace

std::string_view job_status_name(JobStatus status) {
    switch (status) {
        case JobStatus::created: return "created";
        case JobStatus::running: return "running";
        case JobStatus::waiting: return "waiting";
        case JobStatus::pending: return "pending";
        case JobStatus::aborting: return "aborting";
        case JobStatus::concluded: return "concluded";
        case JobStatus::null: break;
    }
    return "null";
}

Job* Jobs::find(std::string_view id) {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const Job& job) { return job.id == id; });
    return found == jobs_.end() ? nullptr : &*found;
}

// Whoever is told may look at the list, but by then the job could have moved in it: a copy is what is told.
void Jobs::set(std::string_view id, JobStatus status) {
    Job* job = find(id);
    if (job == nullptr) return;
    job->status = status;
    changed_(Job(*job));
}

Result<void> Jobs::start(std::string id, std::string type, Work work) {
    if (!good_id(id))
        return Error{
            fmt::format("'{}' is no ID for a job: a letter, then letters, digits and any of - . _, at most {} in all",
                        id, longest_id)};
    if (find(id) != nullptr) return Error{fmt::format("a job has the ID '{}' already; job-dismiss forgets it", id)};
    if (jobs_.size() >= most) return Error{fmt::format("there are {} jobs; job-dismiss forgets one", jobs_.size())};
    jobs_.push_back({id, std::move(type), JobStatus::created, {}});
    changed_(Job(jobs_.back()));
    set(id, JobStatus::running);
    works_.push_back({std::move(id), std::move(work)});
    return {};
}

Result<void> Jobs::dismiss(std::string_view id) {
    const Job* job = find(id);
    if (job == nullptr) return Error{fmt::format("there is no job '{}'", id)};
    if (job->status != JobStatus::concluded)
        return Error{fmt::format("the job '{}' is {}; it can be dismissed when it has concluded", id,
                                 job_status_name(job->status))};
    Job last = *job;
    last.status = JobStatus::null;
    std::erase_if(jobs_, [&](const Job& each) { return each.id == last.id; });
    changed_(last);
    return {};
}

void Jobs::advance() {
    while (waiting()) {
        Begun begun = std::move(works_.front());
        works_.pop_front();
        busy_ = true;
        begun.work([this, id = begun.id](const Result<void>& result) { finish(id, result); });
    }
}

void Jobs::finish(const std::string& id, const Result<void>& result) {
    busy_ = false;
    if (result.ok()) {
        set(id, JobStatus::waiting);
        set(id, JobStatus::pending);
    } else {
        if (Job* job = find(id)) job->error = result.error().message;
        set(id, JobStatus::aborting);
    }
    set(id, JobStatus::concluded);
}

}  // namespace viv
