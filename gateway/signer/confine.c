/* Shutting a process in. What the signing process may do once it has its keys: take messages, sign,
 * answer, get memory, end. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#include "gateway/signer/signer_int.h"

static enum st fail(const char *what, struct err *e)
{
    return err_set(e, ST_IO, "the signing process: %s: %s", what, strerror(errno));
}

enum st signer_shield(struct err *e)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail("PR_SET_DUMPABLE", e);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail("PR_SET_NO_NEW_PRIVS", e);
    return setrlimit(RLIMIT_CORE, &none) == 0 ? ST_OK : fail("RLIMIT_CORE", e);
}

/* Also of a process that started as root: the files that it had to open are open. */
static enum st drop_capabilities(struct err *e)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    return syscall(SYS_capset, &head, none) == 0 ? ST_OK : fail("capset", e);
}

static enum st limit(struct err *e)
{
    static const int zero[] = {RLIMIT_FSIZE, RLIMIT_NPROC};
    const struct rlimit none = {0, 0};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
        if (setrlimit((__rlimit_resource_t)zero[i], &none) != 0)
            return fail("setrlimit", e);
    return ST_OK;
}

/* Those that glibc, mbedTLS and a sanitizer's runtime use to do that; names that this architecture
 * does not have are passed over. */
static const char *const allowed[] = {"read",
                                      "write",
                                      "recvfrom",
                                      "recvmsg",
                                      "recv",
                                      "sendto",
                                      "sendmsg",
                                      "send",
                                      "brk",
                                      "munmap",
                                      "mremap",
                                      "madvise",
                                      "futex",
                                      "futex_time64",
                                      "getrandom",
                                      "clock_gettime",
                                      "clock_gettime64",
                                      "gettimeofday",
                                      "exit",
                                      "exit_group",
                                      "rt_sigreturn",
                                      "sigreturn",
                                      "restart_syscall",
                                      "sched_yield",
                                      "nanosleep",
                                      "clock_nanosleep",
                                      "rt_sigprocmask",
                                      "getpid",
                                      "gettid",
                                      "sigaltstack"};

/* Beside these, for a module: files of the token, and a daemon on this machine that may hold it. */
static const char *const for_token[] = {
    "open",       "openat",    "close",      "stat",       "fstat",     "lstat",   "newfstatat",
    "statx",      "fstat64",   "stat64",     "lstat64",    "fstatat64", "access",  "faccessat",
    "faccessat2", "readlink",  "readlinkat", "lseek",      "_llseek",   "pread64", "fcntl",
    "fcntl64",    "flock",     "getdents",   "getdents64", "poll",      "ppoll",   "ppoll_time64",
    "select",     "pselect6",  "connect",    "getuid",     "geteuid",   "getgid",  "getegid",
    "getuid32",   "geteuid32", "uname",      "getcwd",     "time",      "dup"};

static int allow(scmp_filter_ctx f, const char *const *names, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        int nr = seccomp_syscall_resolve_name(names[i]);
        rc = nr >= 0 ? seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0) : 0;
    }
    return rc;
}

static int add_rules(scmp_filter_ctx f, bool token)
{
    static const char *const maps[] = {"mmap", "mmap2", "mprotect"};
    int rc = allow(f, allowed, sizeof allowed / sizeof *allowed);
    for (size_t i = 0; i < 3 && rc == 0; i++) { /* memory, but no code */
        int nr = seccomp_syscall_resolve_name(maps[i]);
        rc = nr >= 0 ? seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 1,
                                        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
                     : 0;
    }
    if (!token || rc != 0)
        return rc;
    rc = allow(f, for_token, sizeof for_token / sizeof *for_token);
    return rc != 0 ? rc
                   : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                      SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
}

static enum st filter(bool token, char *lacks, struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return err_set(e, ST_MEMORY, "the signing process: no memory for a filter");
    int rc = add_rules(f, token);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    if (rc == -EINVAL || rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -ECANCELED) {
        (void)snprintf(
            lacks, SIGNER_TEXT,
            "this kernel cannot filter system calls (CONFIG_SECCOMP_FILTER): the signing "
            "process is less shut in than it should be");
        return ST_OK;
    }
    errno = -rc;
    return rc == 0 ? ST_OK : fail("seccomp", e);
}

enum st signer_confine(bool token, char *lacks, struct err *e)
{
    lacks[0] = '\0';
    ERR_TRY(drop_capabilities(e));
    ERR_TRY(limit(e));
    return filter(token, lacks, e);
}
