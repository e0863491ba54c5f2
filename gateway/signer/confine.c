/* Shutting a process in. What the signing process may do once it has its keys: take messages, sign,
 * answer, get memory, end. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static int add_rules(scmp_filter_ctx f)
{
    static const char *const maps[] = {"mmap", "mmap2"};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        int nr = seccomp_syscall_resolve_name(allowed[i]);
        int rc = nr >= 0 ? seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0) : 0;
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) { /* memory, but no code */
        int nr = seccomp_syscall_resolve_name(maps[i]);
        int rc = nr >= 0 ? seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 1,
                                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
                         : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static enum st filter(char *lacks, struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return err_set(e, ST_MEMORY, "the signing process: no memory for a filter");
    int rc = add_rules(f);
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

enum st signer_confine(char *lacks, struct err *e)
{
    lacks[0] = '\0';
    ERR_TRY(drop_capabilities(e));
    ERR_TRY(limit(e));
    return filter(lacks, e);
}
