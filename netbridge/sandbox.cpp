// Users and seccomp(2). See sandbox.h. The list is one of what is allowed; the rest fails with EPERM instead of ending
// the process, since the C library tries newer calls before older ones.
#include "netbridge/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace viv::netbridge {

namespace {

constexpr int allowed[] = {
    // Memory, threads of the resolver, time.
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(gettid),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(membarrier),
    // Signals and the end.
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(restart_syscall), SCMP_SYS(tgkill), SCMP_SYS(getpid),
    // Sockets and waiting.
    SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
    // Descriptors, and files for reading: /etc/resolv.conf, /etc/hosts and what the resolver loads.
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
    SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(uname),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(sysinfo), SCMP_SYS(prlimit64)};

}  // namespace

Result<void> become(const std::string& user) {
    const auto failed = [&](std::string_view what) {
        return Error{fmt::format("--user {}: {}: {}", user, what, std::strerror(errno))};
    };
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return failed("core dumps cannot be switched off");
    if (user.empty() && geteuid() != 0) return {};
    const std::string name = user.empty() ? "nobody" : user;
    const passwd* entry = getpwnam(name.c_str());
    if (entry == nullptr) return Error{fmt::format("--user {}: there is no such user on this system", name)};
    if (entry->pw_uid == geteuid() && entry->pw_gid == getegid()) return {};
    if (geteuid() != 0) return Error{fmt::format("--user {}: only root can become another user", name)};
    if (setgroups(0, nullptr) != 0) return failed("groups cannot be left");
    if (setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0) return failed("its group cannot be taken");
    if (setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0) return failed("it cannot be taken");
    if (entry->pw_uid != 0 && setuid(0) == 0) return Error{fmt::format("--user {}: root could be taken back", name)};
    return {};
}

Result<void> close_sandbox() {
    const auto failed = [](int problem) {
        return Error{fmt::format("the filter of system calls cannot be set: {}; --no-sandbox leaves it out",
                                 std::strerror(-problem))};
    };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == nullptr) return failed(-ENOMEM);
    int problem = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (const int call : allowed)
        // Some are not there on every architecture.
        if (problem == 0 && call >= 0) problem = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    constexpr scmp_arg_cmp for_reading{2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT, O_RDONLY};
    // Of what ioctl() does, the requests of sockets: a TAP interface has others.
    constexpr scmp_arg_cmp requests[] = {{1, SCMP_CMP_MASKED_EQ, 0xffffffff, FIONBIO},
                                         {1, SCMP_CMP_MASKED_EQ, 0xffffffff, FIONREAD}};
    constexpr scmp_arg_cmp to_name_a_thread{0, SCMP_CMP_EQ, PR_SET_NAME, 0};
    if (problem == 0) problem = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, &for_reading);
    if (problem == 0) problem = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, &to_name_a_thread);
    for (const auto& request : requests)
        if (problem == 0) problem = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &request);
    if (problem == 0) problem = seccomp_load(filter);
    seccomp_release(filter);
    if (problem != 0) return failed(problem);
    return {};
}

}  // namespace viv::netbridge
