/* The line doctor's words: whom a finding is about, and the evidence in figures. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/doctor_int.h"

#define NAMES_MAX 3
#define ENOUGH 12 /* answers of one length, for a share in percent */
#define TIMEOUT_STEP_MS 100
#define TIMEOUT_MAX_MS 3000 /* as the configuration allows */

unsigned collect_tally_late(const struct collect_tally *t)
{
    return t->as[COLLECT_SIGN_LATE] + t->after;
}

__attribute__((format(printf, 3, 4))) static void append(char *to, size_t n, const char *fmt, ...)
{
    size_t at = strlen(to);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(to + at, n - at, fmt, ap);
    va_end(ap);
}

void collect_say_lost(const struct collect_case *c, const struct collect_tally *t,
                      struct store_finding *f)
{
    (void)t;
    (void)snprintf(f->seen, sizeof f->seen, "%s", c->lost ? c->lost : "");
}

void collect_say_cut(const struct collect_case *c, const struct collect_tally *t,
                     struct store_finding *f)
{
    (void)t;
    append(f->seen, sizeof f->seen, "; silent from %s (place %lld) on, who is before it answers",
           c->cable->cfg->id, (long long)c->cable->cfg->cable_order);
}

void collect_say_unwired(const struct collect_case *c, const struct collect_tally *t,
                         struct store_finding *f)
{
    if (t->scraps > 0)
        append(f->seen, sizeof f->seen, "; a stray byte or two %u times", (unsigned)t->scraps);
    if (c->echo)
        append(f->also, sizeof f->also, "The adapter hears itself: it works up to its terminals. ");
    if (c->n == 1)
        append(f->also, sizeof f->also,
               "It is the only device here: with a second one the line could be told from it.");
}

void collect_say_speed(const struct collect_case *c, const struct collect_tally *t,
                       struct store_finding *f)
{
    append(f->seen, sizeof f->seen, "; %u about as long as an answer", (unsigned)t->fitting);
    if (2 * t->blank > t->as[COLLECT_SIGN_GARBAGE])
        append(f->seen, sizeof f->seen, ", mostly bytes 00 and ff");
    if (c->frame_errors > 0)
        append(f->seen, sizeof f->seen, "; %lld framing or parity errors",
               (long long)c->frame_errors);
}

/* Whether long answers fare worse than short ones. */
void collect_say_length(const struct collect_case *c, const struct collect_tally *t,
                        struct store_finding *f)
{
    size_t low = 0, high = COLLECT_LENGTHS - 1;
    while (low < high && t->of[low] < ENOUGH)
        low++;
    while (high > low && t->of[high] < ENOUGH)
        high--;
    if (c->frame_errors > 0)
        append(f->seen, sizeof f->seen, "; %lld framing errors", (long long)c->frame_errors);
    if (low == high)
        return;
    unsigned a = t->spoilt[low] * 100 / t->of[low], b = t->spoilt[high] * 100 / t->of[high];
    append(f->seen, sizeof f->seen,
           "; %u %% of answers up to %u bytes are damaged, %u %% of those over %u", a,
           collect_length_most(low), b, collect_length_most(high - 1));
    append(f->also, sizeof f->also, "%s",
           3 * a > 2 * b ? "Short answers fare as badly as long ones: see also to who turns the "
                           "line's direction (`rs485`) and to the bias."
                         : "The longer the answer the worse: what hits single bytes.");
}

void collect_say_timeout(const struct collect_case *c, const struct collect_tally *t,
                         struct store_finding *f)
{
    int64_t ms = t->late_ms > 0 ? t->late_ms + t->late_ms / 4 : 2 * c->timeout_ms;
    ms = (ms + TIMEOUT_STEP_MS - 1) / TIMEOUT_STEP_MS * TIMEOUT_STEP_MS;
    if (t->late_ms > 0)
        append(f->seen, sizeof f->seen, "; the latest after %u ms", (unsigned)t->late_ms);
    append(f->seen, sizeof f->seen, "; the time-out is %lld ms", (long long)c->timeout_ms);
    append(f->also, sizeof f->also, "Set `timeout: %lldms` at bus %s.",
           (long long)(ms < TIMEOUT_MAX_MS ? ms : TIMEOUT_MAX_MS), c->bus);
}

void collect_say_both(const struct collect_case *c, const struct collect_tally *t,
                      struct store_finding *f)
{
    (void)c;
    if (t->doubled > 0)
        append(f->seen, sizeof f->seen, "; two whole answers %u times", (unsigned)t->doubled);
}

void collect_say_errors(const struct collect_case *c, const struct collect_tally *t,
                        struct store_finding *f)
{
    (void)t;
    if (c->frame_errors > 0)
        append(f->seen, sizeof f->seen, "; %lld framing errors", (long long)c->frame_errors);
}

static void list_names(const struct collect_case *c, char *to, size_t n)
{
    size_t named = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct collect_evidence *e = c->units[i];
        if (e->named && named++ < NAMES_MAX)
            append(to, n, "%s%.24s (unit %u)", named > 1 ? ", " : "", e->id, e->number);
    }
    if (named > NAMES_MAX)
        append(to, n, " and %zu more", named - NAMES_MAX);
}

/* "of 120 requests 80 answered, 30 damaged, …". */
static void say_figures(const struct collect_tally *t, char *to, size_t n)
{
    const struct {
        unsigned n;
        const char *word;
    } all[] = {{t->as[COLLECT_SIGN_GOOD], "answered"},
               {t->as[COLLECT_SIGN_REFUSED], "refused"},
               {t->as[COLLECT_SIGN_SILENT], "unanswered"},
               {collect_tally_late(t), "late"},
               {t->as[COLLECT_SIGN_DAMAGED] + t->as[COLLECT_SIGN_CUT], "damaged"},
               {t->as[COLLECT_SIGN_OVERLAP], "damaged and too long"},
               {t->as[COLLECT_SIGN_GARBAGE], "garbage"},
               {t->as[COLLECT_SIGN_FOREIGN], "by another unit"},
               {t->beside, "with stray bytes"}};
    (void)snprintf(to, n, "of %u requests", (unsigned)t->asked);
    const char *between = " ";
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].n > 0) {
            append(to, n, "%s%u %s", between, all[i].n, all[i].word);
            between = ", ";
        }
    if (t->answer_max_ms > 0)
        append(to, n, "; answers took %u to %u ms", (unsigned)t->answer_min_ms,
               (unsigned)t->answer_max_ms);
}

void collect_say(const struct collect_case *c, const struct collect_tally *sum,
                 struct store_finding *f)
{
    size_t named = 0;
    for (size_t i = 0; i < c->n; i++)
        named += c->units[i]->named;
    if (named == c->n && c->n > 1)
        (void)snprintf(f->devices, sizeof f->devices, "all");
    else
        list_names(c, f->devices, sizeof f->devices);
    say_figures(sum, f->seen, sizeof f->seen);
}
