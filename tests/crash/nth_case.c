#include "tests/crash/nth_case.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#define JOBS_MAX 16
#define FRAIL 99 /* the exit of a child that crashed in such a library */

static const char *const class_name[NTH_CLASSES] = {
#define NTH_NAME_OF(id, name) [id] = name,
    NTH_CLASS_TABLE(NTH_NAME_OF)
#undef NTH_NAME_OF
};

struct child {
    pid_t pid;
    int said; /* what it printed */
    struct nth_case c;
};
struct tally {
    int cases, hits, failures, frail;
};
/* Shared with the children, for what only they know: whether their fault came to be. */
struct outcome {
    _Atomic int hits[NTH_CLASSES];
};

struct run {
    const struct nth_plan *p;
    struct child child[JOBS_MAX];
    int running, number;
    struct tally tally[NTH_CLASSES];
    struct outcome *outcome;
    uint64_t random;
};

static uint64_t draw(struct run *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static const char *kind_of(const struct nth_case *c)
{
    return c->forever ? "ever" : "once";
}

static const char *const *frail;

static void *place_of(const ucontext_t *u)
{
#if defined(__x86_64__)
    return (void *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)(uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return NULL;
#endif
}

/* The name of the file that holds that code; NULL: none that the loader knows. */
static const char *library_of(void *place)
{
    Dl_info at;
    if (dladdr(place, &at) == 0 || !at.dli_fname)
        return NULL;
    const char *slash = strrchr(at.dli_fname, '/');
    return slash ? slash + 1 : at.dli_fname;
}

static bool is_frail(const char *name)
{
    for (const char *const *f = frail; name && *f; f++)
        if (strncmp(name, *f, strlen(*f)) == 0)
            return true;
    return false;
}

/* On the way up from the answer to a signal, through the C library's frames, to who called it. */
struct climb {
    bool in_libc;
    const char *caller; /* the file that holds it */
};

static _Unwind_Reason_Code climb(struct _Unwind_Context *context, void *ctx)
{
    struct climb *c = ctx;
    const char *name = library_of((void *)_Unwind_GetIP(context)); // NOLINT
    bool libc = name && strncmp(name, "libc.", 5) == 0;
    c->caller = name;
    if (c->in_libc && !libc)
        return _URC_END_OF_STACK;
    c->in_libc = libc;
    return _URC_NO_REASON;
}

/* Who called abort(). */
static const char *aborter(void)
{
    struct climb c = {.in_libc = false};
    (void)_Unwind_Backtrace(climb, &c);
    return c.caller;
}

/* What crashes elsewhere crashes again, by itself, behind this. */
static void crashed(int signal_number, siginfo_t *info, void *context)
{
    (void)info;
    const char *where = signal_number == SIGABRT ? aborter() : library_of(place_of(context));
    (void)dprintf(STDOUT_FILENO, "it ended in %s\n", where ? where : "code of no file");
    if (is_frail(where))
        _exit(FRAIL);
    (void)signal(signal_number, SIG_DFL);
}

static void watch(const struct nth_plan *p, const struct nth_case *c)
{
    const struct sigaction on_crash = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO};
    frail = p->frail;
    if (frail && c->fault && c->fault->error == ENOMEM) {
        (void)sigaction(SIGSEGV, &on_crash, NULL);
        (void)sigaction(SIGABRT, &on_crash, NULL);
    }
}

/* The child's life. It returns from the script when all was as it should be, and ends by exit():
 * the leak check comes then. */
static void live(const struct run *r, const struct nth_case *c, int said)
{
    (void)dup2(said, STDOUT_FILENO);
    (void)dup2(said, STDERR_FILENO);
    (void)alarm((unsigned)r->p->deadline_s);
    watch(r->p, c);
    r->p->script(c);
    if (c->fault && atomic_load(&nth_control()->failed) > 0)
        atomic_fetch_add(&r->outcome->hits[c->fault->class], 1);
    nth_disarm();
    exit(0);
}

void nth_begin(const struct nth_case *c)
{
    if (c->fault)
        nth_arm(c->fault->class, c->fault->error, c->at, c->forever);
    else
        nth_arm(NTH_CLASSES, 0, 0, false);
}

static void print_said(int fd)
{
    char text[16384];
    ssize_t n = pread(fd, text, sizeof text, 0);
    (void)fwrite(text, 1, n > 0 ? (size_t)n : 0, stdout);
}

/* Waits for one child to end. */
static void reap(struct run *r)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    for (int i = 0; i < r->running; i++) {
        struct child *k = &r->child[i];
        if (k->pid != pid)
            continue;
        if (k->c.fault && WIFEXITED(status) && WEXITSTATUS(status) == FRAIL) {
            r->tally[k->c.fault->class].frail++;
            printf("a library crashed: --case %s:%s:%lld:%s\n", class_name[k->c.fault->class],
                   k->c.fault->name, (long long)k->c.at, kind_of(&k->c));
        } else if (status != 0 && k->c.fault) {
            r->tally[k->c.fault->class].failures++;
            printf("FAILED --case %s:%s:%lld:%s (%s %d)\n", class_name[k->c.fault->class],
                   k->c.fault->name, (long long)k->c.at, kind_of(&k->c),
                   WIFSIGNALED(status) ? "signal" : "exit",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            print_said(k->said);
        } else if (status != 0) {
            printf("the script fails without a fault:\n");
            print_said(k->said);
            exit(1);
        }
        (void)close(k->said);
        *k = r->child[--r->running];
        return;
    }
}

static void start(struct run *r, const struct nth_case *c)
{
    while (r->running == r->p->jobs)
        reap(r);
    struct child *k = &r->child[r->running];
    *k = (struct child){.said = memfd_create("said", MFD_CLOEXEC), .c = *c};
    k->c.number = r->number++;
    (void)fflush(stdout);
    struct nth *own =
        mmap(NULL, sizeof *own, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (k->said < 0 || own == MAP_FAILED || (k->pid = fork()) < 0) {
        printf("no child: %s\n", strerror(errno));
        exit(1);
    }
    if (k->pid == 0) {
        /* The count pass counts into the parent's; a case must not disturb other cases. */
        if (c->fault)
            nth_use(own);
        live(r, &k->c, k->said);
    }
    (void)munmap(own, sizeof *own);
    r->running++;
}

static void start_at(struct run *r, const struct nth_fault *f, int64_t at, bool forever)
{
    struct nth_case c = {.fault = f, .at = at, .forever = forever};
    r->tally[f->class].cases++;
    start(r, &c);
}

/* All calls, or `samples` of them: one drawn from each of as many equal parts. */
static void start_all(struct run *r, const struct nth_fault *f, int64_t calls, bool full)
{
    int64_t parts = full || calls < r->p->samples ? calls : r->p->samples;
    for (int ever = 0; ever < 2; ever++) {
        for (int64_t i = 0; i < parts; i++) {
            int64_t from = calls * i / parts, to = calls * (i + 1) / parts;
            start_at(r, f, from + 1 + (int64_t)(draw(r) % (uint64_t)(to - from)), ever);
        }
    }
}

static int alone(const struct nth_plan *p, const char *text)
{
    char class[16], name[16], kind[8];
    long long at = 0;
    if (sscanf(text, "%15[^:]:%15[^:]:%lld:%7s", class, name, &at, kind) != 4) {
        printf("--case CLASS:ERROR:AT:once|ever\n");
        return 2;
    }
    for (int i = 0; i < p->nfaults; i++) {
        const struct nth_fault *f = &p->faults[i];
        if (strcmp(class_name[f->class], class) != 0 || strcmp(f->name, name) != 0)
            continue;
        struct nth_case c = {.fault = f, .at = at, .forever = strcmp(kind, "ever") == 0};
        watch(p, &c);
        p->script(&c);
        printf("%lld calls failed\n", (long long)atomic_load(&nth_control()->failed));
        return 0;
    }
    printf("no fault %s:%s\n", class, name);
    return 2;
}

static int report(const struct run *r, const int64_t *calls)
{
    struct tally sum = {0};
    for (int i = 0; i < NTH_CLASSES; i++) {
        const struct tally *t = &r->tally[i];
        int hits = atomic_load(&r->outcome->hits[i]);
        if (t->cases)
            printf("%-8s %6lld calls, %5d cases, %5d met their fault, %d failed\n", class_name[i],
                   (long long)calls[i], t->cases, hits + t->failures, t->failures);
        if (t->frail)
            printf("         %d of them ended in a library that does not check its allocations\n",
                   t->frail);
        sum.cases += t->cases;
        sum.hits += hits;
        sum.failures += t->failures;
        sum.frail += t->frail;
    }
    printf("%d cases, %d met their fault and passed, %d failed\n", sum.cases, sum.hits,
           sum.failures);
    /* A campaign whose faults do not come to be proves nothing. */
    return sum.failures > 0 || sum.hits < sum.cases / 2 || sum.frail > sum.cases / 10;
}

int nth_run(const struct nth_plan *p, int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--case") == 0)
        return alone(p, argv[2]);
    /* What is asked here is not whether a disk keeps what it was told: memory is the faster one. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    const char *seed = getenv("FP_SEED"), *full = getenv("FP_FULL");
    static struct run r;
    r.p = p;
    r.random = seed ? (uint64_t)strtoull(seed, NULL, 10) : (uint64_t)getpid();
    printf("seed %llu%s\n", (unsigned long long)r.random, full && full[0] ? ", full" : "");
    r.random = (r.random + 1) * UINT64_C(0x9e3779b97f4a7c15);
    r.outcome =
        mmap(NULL, sizeof *r.outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.outcome == MAP_FAILED)
        return 1;
    start(&r, &(struct nth_case){0});
    reap(&r);
    int64_t calls[NTH_CLASSES];
    for (int i = 0; i < NTH_CLASSES; i++)
        calls[i] = atomic_load(&nth_control()->calls[i]);
    for (int i = 0; i < p->nfaults; i++) {
        int64_t n = calls[p->faults[i].class];
        if (n == 0) {
            printf("the script makes no call of class %s\n", class_name[p->faults[i].class]);
            return 1;
        }
        start_all(&r, &p->faults[i], n, full && full[0]);
    }
    while (r.running)
        reap(&r);
    return report(&r, calls);
}
