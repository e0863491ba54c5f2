/* Power cuts: plays the script, rebuilds what a disk may hold behind each call, and asks of every
 * such disk that the product comes back with all that it has promised. README.md says how. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/crash/disk.h"
#include "tests/crash/script.h"
#include "tests/support/temp.h"

#define SHOWN 3   /* failures that a worker prints whole */
#define ENOUGH 40 /* failures after which a worker stops: nobody needs the rest */
#define JOBS 2
#define CHILD_SECONDS 60 /* an image that hangs the product */

static const char *const phase_name[PHASES] = {
#define X(id, text) [PHASE_##id] = text,
    SITE_PHASES(X)
#undef X
};

struct point {
    uint32_t run;
    size_t at; /* calls before the cut */
    enum fault fault;
    uint64_t seed;
    enum site_phase phase;
};
struct tally {
    unsigned points, lost, doubled, corrupt;
};
struct sweep {
    struct script_runs runs;
    uint64_t seed;
    unsigned rounds;
    struct point *point;
    size_t n;
    char *dir;
    struct worker *worker; /* in memory that the processes share */
    unsigned jobs;
};
struct worker {
    struct tally cell[PHASES][FAULTS];
    unsigned failed, done;
    char image[512], again[512], said[512];
};

/* Linked into a sanitized build: each image is a fork, whose cost is the parent's memory. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=3:"
           "detect_leaks=0"; /* a failed assertion leaves its script behind */
}

/* ---- one point ---- */

struct back {
    struct site *run;
    const struct point *point;
    size_t at;
    const char *dir, *again; /* the image; where the image of a second cut goes */
    int wrong;
};

/* Comes back from the image, and the power is cut once more on the way. */
static void cut_again(struct back *b)
{
    uint64_t random = b->point->seed;
    size_t taken;
    script_play_back(b->run, b->at, b->dir, b->point->seed, &taken);
    size_t more = 1 + rec_next(&random) % (b->run->log.n - taken);
    struct disk d;
    disk_init(&d, &b->run->log);
    disk_to(&d, b->run->log.n);
    assert_true(disk_same(&d, b->dir)); /* the recorder has seen everything */
    disk_done(&d);
    disk_init(&d, &b->run->log);
    disk_to(&d, taken + more);
    disk_image(&d, b->point->fault, rec_next(&random), b->again);
    disk_done(&d);
    b->at += more;
    b->dir = b->again;
}

/* A test of cmocka's, so that a failed assertion of the line's says why. */
static void come_back(void **state)
{
    struct back *b = *state;
    struct site *r = b->run;
    struct ledger_view first, then;
    /* before its first plan is signed a store owes nothing */
    bool owes = r->stays && script_phase_of(r, b->at - 1) != PHASE_BIRTH;
    if (b->point->phase == PHASE_AGAIN)
        cut_again(b);
    script_come_back(r, b->at, b->dir);
    ledger_judge(&r->ledger, b->at, &first);
    b->wrong = first.wrong;
    if (b->wrong)
        return;
    int64_t start_ms = r->line.utc_ms;
    script_go_on(r);
    ledger_judge(&r->ledger, b->at, &then);
    b->wrong = then.wrong;
    assert_true(then.sealed > 1); /* it seals on */
    if (then.pending)             /* and what the journal held is sealed */
        assert_true(then.oldest_pending_ms >= start_ms);
    if (owes && !b->wrong)
        script_assert_told(r);
    line_stop(&r->line);
}

/* The exit code of a process that brings the image back. */
static int try_image(const struct worker *w, struct site *r, const struct point *p)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        int fd = open(w->said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(LEDGER_CORRUPT);
        alarm(CHILD_SECONDS);
        struct back b = {r, p, p->at, w->image, w->again, 0};
        const struct CMUnitTest test[] = {cmocka_unit_test_prestate(come_back, &b)};
        int failed = cmocka_run_group_tests(test, NULL, NULL);
        (void)fflush(NULL);
        _exit(failed ? b.wrong | LEDGER_CORRUPT : b.wrong);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : LEDGER_CORRUPT;
}

static void show(const struct sweep *s, const struct worker *w, const struct point *p)
{
    const struct site *r = s->runs.v[p->run];
    printf("FAILED %s %s: %s %u behind call %zu of %zu; again with --seed %llu --point "
           "%u:%zu:%d:%llu%s\n",
           phase_name[p->phase], fault_name[p->fault], r->name, r->number, p->at, r->log.n,
           (unsigned long long)s->seed, p->run, p->at, (int)p->fault, (unsigned long long)p->seed,
           p->phase == PHASE_AGAIN ? ":again" : "");
    char line[1024];
    FILE *f = fopen(w->said, "r");
    while (f && fgets(line, sizeof line, f))
        if (line[0] != '[' || strstr(line, "ERROR"))
            printf("    %s", line);
    if (f)
        fclose(f);
}

static void try_point(struct sweep *s, struct worker *w, const struct disk *d,
                      const struct point *p)
{
    struct site *r = s->runs.v[p->run];
    enum fault first = p->phase == PHASE_AGAIN ? (enum fault)(p->seed % FAULTS) : p->fault;
    disk_image(d, first, p->seed, w->image);
    int wrong = try_image(w, r, p);
    struct tally *t = &w->cell[p->phase][p->fault];
    t->points++;
    t->lost += (wrong & LEDGER_LOST) != 0;
    t->doubled += (wrong & LEDGER_DOUBLED) != 0;
    t->corrupt += (wrong & ~(LEDGER_LOST | LEDGER_DOUBLED)) != 0;
    w->done++;
    if (wrong && w->failed++ < SHOWN)
        show(s, w, p);
}

/* ---- all points ---- */

static int by_place(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void add_point(struct sweep *s, struct point p)
{
    if ((s->n & (s->n - 1)) == 0) {
        s->point = realloc(s->point, (s->n ? 2 * s->n : 1) * sizeof *s->point);
        if (!s->point)
            exit(2);
    }
    s->point[s->n++] = p;
}

/* Every cut of a phase, as points without a fault. */
static void cuts_of(const struct sweep *s, enum site_phase phase, struct sweep *out)
{
    for (uint32_t i = 0; i < s->runs.n; i++) {
        const struct site *r = s->runs.v[i];
        for (size_t k = 0; !r->stuck && k < r->log.n; k++) {
            enum site_phase of = script_phase_of(r, k);
            if (of == phase || (phase == PHASE_AGAIN && of != PHASE_NONE))
                add_point(out, (struct point){.run = i, .at = k + 1, .phase = phase});
        }
    }
}

/* `each` cuts per phase and fault, spread over all that there are, one drawn from each stretch. */
static void choose(struct sweep *s, unsigned each)
{
    uint64_t random = s->seed;
    for (int phase = PHASE_NONE + 1; phase < PHASES; phase++) {
        struct sweep cuts = {0};
        cuts_of(s, (enum site_phase)phase, &cuts);
        for (int fault = 0; fault < FAULTS && cuts.n; fault++)
            for (unsigned i = 0; i < each; i++) {
                size_t from = cuts.n * i / each, to = cuts.n * (i + 1) / each;
                size_t at = from + (to > from + 1 ? rec_next(&random) % (to - from) : 0);
                struct point p = cuts.point[at];
                p.fault = (enum fault)fault;
                p.seed = rec_next(&random);
                add_point(s, p);
            }
        free(cuts.point);
    }
    qsort(s->point, s->n, sizeof *s->point, by_place);
}

/* Points from … to - 1. */
static void try_some(struct sweep *s, struct worker *w, size_t from, size_t to)
{
    if (mkdir(w->image, 0700) != 0 || mkdir(w->again, 0700) != 0) {
        perror(w->image);
        exit(2);
    }
    for (size_t i = from; i < to && w->failed < ENOUGH;) {
        struct disk d;
        uint32_t run = s->point[i].run;
        disk_init(&d, &s->runs.v[run]->log);
        for (; i < to && s->point[i].run == run && w->failed < ENOUGH; i++) {
            disk_to(&d, s->point[i].at);
            try_point(s, w, &d, &s->point[i]);
        }
        disk_done(&d);
    }
}

/* All points, each job its stretch of them; false when a worker did not come to its end. */
static bool try_all(struct sweep *s)
{
    size_t bytes = s->jobs * sizeof *s->worker;
    s->worker = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t *pid = calloc(s->jobs, sizeof *pid);
    if (s->worker == MAP_FAILED || !pid)
        exit(2);
    (void)fflush(NULL);
    for (unsigned i = 0; i < s->jobs; i++) {
        struct worker *w = &s->worker[i];
        snprintf(w->image, sizeof w->image, "%s/image-%u", s->dir, i);
        snprintf(w->again, sizeof w->again, "%s/again-%u", s->dir, i);
        snprintf(w->said, sizeof w->said, "%s/said-%u", s->dir, i);
        pid[i] = fork();
        if (pid[i] == 0) {
            try_some(s, w, s->n * i / s->jobs, s->n * (i + 1) / s->jobs);
            (void)fflush(NULL);
            _exit(0);
        }
    }
    bool good = true;
    for (unsigned i = 0; i < s->jobs; i++) {
        int status = 1;
        good = pid[i] > 0 && waitpid(pid[i], &status, 0) == pid[i] && status == 0 && good;
    }
    free(pid);
    return good;
}

/* The recorder has seen everything: its log makes the files that are there. */
static bool complete(const struct sweep *s)
{
    bool same = true;
    for (size_t i = 0; i < s->runs.n; i++) {
        struct disk d;
        disk_init(&d, &s->runs.v[i]->log);
        disk_to(&d, s->runs.v[i]->log.n);
        same = disk_same(&d, s->runs.v[i]->dir) && same;
        disk_done(&d);
    }
    return same;
}

static void play(void **state)
{
    struct sweep *s = *state;
    script_play(&s->runs, s->seed, s->rounds);
    assert_true(complete(s));
}

/* ---- what it says ---- */

static void add_tally(struct tally *to, const struct tally *t)
{
    to->points += t->points;
    to->lost += t->lost;
    to->doubled += t->doubled;
    to->corrupt += t->corrupt;
}

static void print_row(const char *what, const struct tally *t)
{
    printf("figure: crash %-14s points %6u  lost %4u  doubled %4u  corrupt %4u\n", what, t->points,
           t->lost, t->doubled, t->corrupt);
}

/* Returns how many points failed. */
static unsigned print_table(const struct sweep *s)
{
    struct tally phase[PHASES] = {{0}}, fault[FAULTS] = {{0}}, sum = {0};
    unsigned failed = 0, done = 0;
    for (unsigned i = 0; i < s->jobs; i++) {
        failed += s->worker[i].failed;
        done += s->worker[i].done;
        for (int p = 0; p < PHASES; p++)
            for (int f = 0; f < FAULTS; f++) {
                add_tally(&phase[p], &s->worker[i].cell[p][f]);
                add_tally(&fault[f], &s->worker[i].cell[p][f]);
                add_tally(&sum, &s->worker[i].cell[p][f]);
            }
    }
    for (int p = PHASE_NONE + 1; p < PHASES; p++)
        print_row(phase_name[p], &phase[p]);
    for (int f = 0; f < FAULTS; f++)
        print_row(fault_name[f], &fault[f]);
    print_row("all", &sum);
    for (size_t i = 0; i < s->runs.n; i++)
        if (s->runs.v[i]->stuck) {
            printf("figure: crash thinning: NOT TRIED: the full store was never thinned\n");
            failed++;
        }
    if (failed)
        printf("%u points failed; %u of %zu were tried\n", failed, done, s->n);
    return failed;
}

/* ---- options ---- */

static uint64_t number_of(const char *text, uint64_t dflt)
{
    return text && *text ? strtoull(text, NULL, 10) : dflt;
}

static bool read_point(const char *text, struct sweep *s)
{
    unsigned run, fault;
    unsigned long long at, seed;
    char again[8] = "";
    if (sscanf(text, "%u:%llu:%u:%llu:%7s", &run, &at, &fault, &seed, again) < 4 ||
        (*again && strcmp(again, "again") != 0) || run >= s->runs.n || fault >= FAULTS || at == 0 ||
        at > s->runs.v[run]->log.n)
        return false;
    add_point(
        s, (struct point){run, (size_t)at, (enum fault)fault, seed,
                          *again ? PHASE_AGAIN : script_phase_of(s->runs.v[run], (size_t)at - 1)});
    return true;
}

int main(int argc, char **argv)
{
    struct sweep s = {.seed = number_of(getenv("FP_SEED"), 1)};
    const char *one = NULL;
    bool full = number_of(getenv("FP_FULL"), 0) != 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            s.seed = number_of(argv[i + 1], 1);
        else if (strcmp(argv[i], "--point") == 0)
            one = argv[i + 1];
        else if (strcmp(argv[i], "--deaf") == 0)
            disk_deaf = (unsigned)number_of(argv[i + 1], 0);
    }
    printf("figure: crash seed %llu\n", (unsigned long long)s.seed);
    s.dir = temp_make();
    if (!s.dir)
        return 2;
    struct CMUnitTest script[] = {cmocka_unit_test_prestate(play, &s)};
    s.rounds = full ? 60 : 20;
    bool good = cmocka_run_group_tests_name("script", script, NULL, NULL) == 0;
    if (!good)
        return 1;
    if (one && !read_point(one, &s)) {
        fprintf(stderr, "crash: --point RUN:CALL:FAULT:SEED[:again]\n");
        return 2;
    }
    if (!one)
        choose(&s, disk_deaf ? 2 : full ? 400 : 36);
    s.jobs = one ? 1 : JOBS;
    good = try_all(&s);
    unsigned failed = print_table(&s);
    (void)munmap(s.worker, s.jobs * sizeof *s.worker);
    script_free(&s.runs);
    free(s.point);
    temp_done(s.dir);
    return disk_deaf ? failed == 0 : !good || failed;
}
