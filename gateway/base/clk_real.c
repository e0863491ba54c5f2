/* What the machine's clock is worth. */
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include "gateway/base/clk.h"

#define LOOK_MS 1000       /* how often the kernel is asked whether its clock is synchronised */
#define STEP_MS 1000       /* UTC against time since boot: more than this is a step */
#define RTC_AGREES_S 60    /* an RTC drifts seconds a day; a dead one is years off */
#define SYNCED_ERR_MIN 100 /* ms; timesyncd sets maxerror to 0, half a round trip is not */
#define PATH_BYTES 512

/* ---- the judgement ---- */

/* Set while we looked, or by whoever kept it through our absence in the same boot. */
static bool was_set(const struct clk_judge *j, int64_t offset_ms, bool *same)
{
    int64_t was = j->looked ? j->offset_ms : j->past.offset_ms;
    bool any = j->looked || j->past.same_boot;
    int64_t moved = offset_ms - was;
    *same = any && moved <= STEP_MS && moved >= -STEP_MS;
    return any && !*same;
}

static bool is_vouched(struct clk_judge *j, int64_t utc_ms)
{
    if (!j->asked) {
        j->asked = true;
        j->answer = j->vouched(j->ctx, utc_ms);
    }
    return j->answer;
}

struct clk_time clk_judge(struct clk_judge *j, const struct clk_look *x)
{
    int64_t offset_ms = x->utc_ms - x->boot_ms;
    bool same, set = was_set(j, offset_ms, &same);
    bool kept = same && (j->looked ? j->known : true); /* what was known stays known */
    j->looked = true;
    j->offset_ms = offset_ms;
    if (set)
        j->asked = false; /* the RTC may agree with the new date */
    bool plausible = x->utc_ms >= j->built_ms;
    if (plausible && x->synced) {
        j->known = true;
        return (struct clk_time){x->utc_ms, CLK_SYNCED,
                                 x->maxerror_ms > SYNCED_ERR_MIN ? x->maxerror_ms : SYNCED_ERR_MIN};
    }
    j->known = plausible &&
               (kept || (x->utc_ms >= j->past.newest_ms && (set || is_vouched(j, x->utc_ms))));
    if (j->known)
        return (struct clk_time){x->utc_ms, CLK_HOLDOVER, CLK_HOLDOVER_ERR_MS};
    return (struct clk_time){CLK_UNKNOWN_BASE_MS + x->boot_ms, CLK_UNKNOWN, 0};
}

/* ---- the machine ---- */

/* The first line of a file; false when it cannot be read. */
static bool read_line(const char *path, char *to, size_t n)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(to, (int)n, f);
    if (f)
        (void)fclose(f);
    if (ok)
        to[strcspn(to, "\n")] = '\0';
    return ok;
}

static bool rtc_agrees(const char *hctosys, int64_t utc_ms)
{
    char path[PATH_BYTES], text[32];
    if (!read_line(hctosys, text, sizeof text) || strcmp(text, "1") != 0)
        return false;
    (void)snprintf(path, sizeof path, "%.*ssince_epoch", (int)(strrchr(hctosys, '/') + 1 - hctosys),
                   hctosys);
    if (!read_line(path, text, sizeof text))
        return false;
    long long off = strtoll(text, NULL, 10) - utc_ms / 1000;
    return off <= RTC_AGREES_S && off >= -RTC_AGREES_S;
}

static bool is_pc(const char *root)
{
    char path[PATH_BYTES], line[256];
    bool pc = false;
    (void)snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    FILE *f = fopen(path, "re");
    while (f && !pc && fgets(line, sizeof line, f))
        pc = strncmp(line, "vendor_id", 9) == 0; /* ARM's lists say "CPU implementer" */
    if (f)
        (void)fclose(f);
    return pc;
}

bool clk_vouched(const char *root, int64_t utc_ms)
{
    char pattern[PATH_BYTES];
    glob_t rtcs = {0};
    bool yes = false;
    (void)snprintf(pattern, sizeof pattern, "%s/sys/class/rtc/*/hctosys", root);
    int rc = glob(pattern, 0, NULL, &rtcs);
    for (size_t i = 0; rc == 0 && i < rtcs.gl_pathc; i++)
        yes = yes || rtc_agrees(rtcs.gl_pathv[i], utc_ms);
    globfree(&rtcs);
    return rc == GLOB_NOMATCH ? is_pc(root) : yes;
}

static void real_boot(void *ctx, char id[CLK_BOOT_BYTES])
{
    (void)ctx;
    if (!read_line("/proc/sys/kernel/random/boot_id", id, CLK_BOOT_BYTES))
        id[0] = '\0';
}

static int64_t read_ms(clockid_t id)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t); /* cannot fail for these clocks */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clk_physical_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

static struct mono real_mono(void *ctx)
{
    (void)ctx;
    return (struct mono){read_ms(CLOCK_BOOTTIME)};
}

static bool machine_vouched(void *ctx, int64_t utc_ms)
{
    (void)ctx;
    return clk_vouched("", utc_ms);
}

/* Of all that follows. An RTC is read under it: at the first look and after a step, never else. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct clk_judge judge = {.built_ms = INT64_C(1000) * FP_BUILD_EPOCH,
                                 .vouched = machine_vouched};
static int64_t next_look_ms;
static bool synced;
static int64_t maxerror_ms;

static void ask_kernel(int64_t boot_ms)
{
    struct timex x = {0};
    int state = adjtimex(&x);
    synced = state >= 0 && state != TIME_ERROR && !(x.status & STA_UNSYNC);
    maxerror_ms = x.maxerror / 1000 + 1;
    next_look_ms = boot_ms + LOOK_MS;
}

static struct clk_time real_now(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    struct clk_look x = {.utc_ms = read_ms(CLOCK_REALTIME), .boot_ms = read_ms(CLOCK_BOOTTIME)};
    int64_t moved = x.utc_ms - x.boot_ms - judge.offset_ms;
    if (x.boot_ms >= next_look_ms || moved > STEP_MS || moved < -STEP_MS)
        ask_kernel(x.boot_ms); /* a set clock is another one */
    x.synced = synced;
    x.maxerror_ms = maxerror_ms;
    struct clk_time t = clk_judge(&judge, &x);
    pthread_mutex_unlock(&lock);
    return t;
}

void clk_recall(const struct clk_past *p)
{
    pthread_mutex_lock(&lock);
    judge.past = *p;
    judge.looked &= judge.known; /* a look before this one did not know what it saw */
    pthread_mutex_unlock(&lock);
}

const struct clk *clk_real(void)
{
    static const struct clk real = {real_now, real_mono, real_boot, NULL};
    return &real;
}
