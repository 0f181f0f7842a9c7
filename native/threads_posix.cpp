// Threads, mutexes and conditions on pthreads: waiting harts sleep in the kernel, time-outs follow the monotonic clock.
// See engine/host/threads.h and host_posix.h; POSIX.1-2017, pthread.h.
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "engine/lang/check.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

class PosixMutex final : public host::Mutex {
public:
    ~PosixMutex() override { pthread_mutex_destroy(&mutex_); }
    void lock() override { CHECK(pthread_mutex_lock(&mutex_) == 0); }
    void unlock() override { CHECK(pthread_mutex_unlock(&mutex_) == 0); }
    pthread_mutex_t* native() { return &mutex_; }

private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

class PosixCondition final : public host::Condition {
public:
    PosixCondition() {
        pthread_condattr_t attributes;
        CHECK(pthread_condattr_init(&attributes) == 0);
        CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
        CHECK(pthread_cond_init(&condition_, &attributes) == 0);
        pthread_condattr_destroy(&attributes);
    }
    ~PosixCondition() override { pthread_cond_destroy(&condition_); }
    PosixCondition(const PosixCondition&) = delete;
    PosixCondition& operator=(const PosixCondition&) = delete;

    void wait(host::Mutex& held) override { pthread_cond_wait(&condition_, static_cast<PosixMutex&>(held).native()); }

    void wait_for(host::Mutex& held, u64 nanoseconds) override {
        constexpr u64 longest = u64{1'000'000'000} * 86'400 * 365;
        timespec until{};
        CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
        const u64 total = static_cast<u64>(until.tv_nsec) + (nanoseconds < longest ? nanoseconds : longest);
        until.tv_sec += static_cast<time_t>(total / 1'000'000'000);
        until.tv_nsec = static_cast<long>(total % 1'000'000'000);
        pthread_cond_timedwait(&condition_, static_cast<PosixMutex&>(held).native(), &until);
    }

    void notify_all() override { pthread_cond_broadcast(&condition_); }

private:
    pthread_cond_t condition_;
};

u64 this_thread() { return static_cast<u64>(gettid()); }

class PosixThread final : public host::Thread {
public:
    explicit PosixThread(std::function<void()> body) : body_(std::move(body)) {}
    ~PosixThread() override {
        if (started_) pthread_join(thread_, nullptr);
    }
    PosixThread(const PosixThread&) = delete;
    PosixThread& operator=(const PosixThread&) = delete;

    u64 id() const override { return id_.load(); }

    int start(const std::string& name) {
        const int error = pthread_create(&thread_, nullptr, &PosixThread::enter, this);
        if (error != 0) return error;
        started_ = true;
        id_.wait(0);                                              // the thread itself knows it first
        pthread_setname_np(thread_, name.substr(0, 15).c_str());  // the kernel keeps 15 bytes
        return 0;
    }

private:
    static void* enter(void* self) {
        auto& thread = *static_cast<PosixThread*>(self);
        thread.id_.store(this_thread());
        thread.id_.notify_all();
        thread.body_();
        return nullptr;
    }

    std::function<void()> body_;
    pthread_t thread_{};
    std::atomic<u64> id_{0};
    bool started_ = false;
};

}  // namespace

std::unique_ptr<host::Mutex> PosixThreads::make_mutex() { return std::make_unique<PosixMutex>(); }
std::unique_ptr<host::Condition> PosixThreads::make_condition() { return std::make_unique<PosixCondition>(); }

std::unique_ptr<host::Thread> PosixThreads::start(std::string name, std::function<void()> body) {
    auto thread = std::make_unique<PosixThread>(std::move(body));
    if (const int error = thread->start(name); error != 0) {
        std::fprintf(stderr,
                     "viv: cannot start the thread %s: %s; allow more processes (ulimit -u) or use --harts in-turn\n",
                     name.c_str(), error_text(error).c_str());
        std::exit(1);
    }
    return thread;
}

u64 PosixThreads::current_id() const { return this_thread(); }

// On Linux a thread has a priority of its own, by its own number.
void PosixThreads::give_way() {
    constexpr int background_niceness = 10;
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(current_id()), background_niceness);
}

unsigned PosixThreads::hardware_threads() {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? static_cast<unsigned>(count) : 1;
}

}  // namespace viv::native
