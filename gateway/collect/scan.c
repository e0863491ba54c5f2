/* What is on a line: settings and units as devices are delivered first, then all others. */
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/node_int.h"
#include "gateway/collect/scan_int.h"
#include "gateway/collect/sunspec_int.h"

#define LINES_MAX 64
#define UNITS 256
#define FIT_TIMEOUT_MIN_MS 200
#define TRIAL_MS 50 /* of a trial, beside its time-out */
#define CHARACTER_BITS 11
#define TRIAL_CHARACTERS 16
#define NOBODY_1 10 /* exceptions of a converter behind which nobody answers */
#define NOBODY_2 11

/* What is tried beside what profiles name. */
static const int64_t speeds[] = {9600, 19200, 4800, 2400, 115200, 38400, 57600, 1200};
static const int parities[] = {'N', 'E', 'O'};

struct scan {
    const struct collect_scan_how *how;
    const struct collect_scan_calls *calls;
    struct collect_scan_sum *sum;
    struct collect_set set;
    struct collect_fit *fits;
    struct collect_serial lines[LINES_MAX];
    size_t nlines;
    uint8_t found[LINES_MAX][UNITS / 8];
    int64_t left_ms; /* of the trials to come, at most */
    bool over;
    struct err *e;
};

/* ---- the lines ------------------------------------------------------------------------------ */

static bool same(const struct collect_serial *a, const struct collect_serial *b)
{
    return a->baud == b->baud && a->parity == b->parity && a->stop_bits == b->stop_bits;
}

static bool add_line(struct scan *s, struct collect_serial line)
{
    for (size_t i = 0; i < s->nlines; i++)
        if (same(&s->lines[i], &line))
            return false;
    if (s->nlines == LINES_MAX)
        return false;
    s->lines[s->nlines++] = line;
    return true;
}

static size_t named(const struct scan *s, const struct collect_serial *line)
{
    size_t n = 0;
    for (size_t i = 0; i < s->set.n; i++)
        n += s->set.v[i].serial.baud > 0 && same(&s->set.v[i].serial, line);
    return n;
}

/* The configured one, those that profiles name, the most named first, and then the others. */
static void set_lines(struct scan *s)
{
    (void)add_line(s, s->how->line);
    if (!s->how->tune)
        return;
    for (size_t most = s->set.n; most > 0; most--)
        for (size_t i = 0; i < s->set.n; i++)
            if (s->set.v[i].serial.baud > 0 && named(s, &s->set.v[i].serial) == most)
                (void)add_line(s, s->set.v[i].serial);
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++)
        for (size_t k = 0; k < sizeof parities / sizeof *parities; k++)
            (void)add_line(s, (struct collect_serial){speeds[i], parities[k], 1});
}

/* ---- a trial -------------------------------------------------------------------------------- */

static int64_t timeout_ms(const struct scan *s, size_t line)
{
    int64_t baud = s->lines[line].baud;
    return s->how->serial
               ? COLLECT_SCAN_TIMEOUT_MS + TRIAL_CHARACTERS * CHARACTER_BITS * INT64_C(1000) / baud
               : 0;
}

/* At most. Reckoned like that a find or a refusal, which are quick, only shorten what is left. */
static int64_t trial_ms(const struct scan *s, size_t line)
{
    return (s->how->serial ? timeout_ms(s, line) : s->how->timeout_ms) + s->how->turn_ms + TRIAL_MS;
}

static enum st tell(struct scan *s, struct collect_ask *q, size_t line, int64_t took_ms)
{
    struct collect_found f = {.unit = q->unit,
                              .line = s->how->serial ? s->lines[line]
                                                     : (struct collect_serial){.baud = 0},
                              .took_ms = took_ms,
                              .fits = s->fits,
                              .n = s->set.n};
    s->found[line][q->unit / 8] |= (uint8_t)(1U << q->unit % 8);
    s->sum->found++;
    s->over = !s->how->all;
    q->trial = false;
    if (s->how->serial) { /* it is known how fast it is: what it does not know costs little */
        q->timeout_ms = 2 * took_ms + 100;
        if (q->timeout_ms < FIT_TIMEOUT_MIN_MS)
            q->timeout_ms = FIT_TIMEOUT_MIN_MS;
        if (q->timeout_ms > 3000)
            q->timeout_ms = 3000;
    }
    ERR_TRY(collect_node_fit(s->calls, q, &f.node, s->fits, s->e));
    if (f.node)
        f.n = 1;
    else
        ERR_TRY(collect_fit_all(&s->set, s->calls, q, s->fits, s->e));
    return s->calls->found(s->calls->ctx, &f);
}

static bool is_there(const struct collect_reply *r)
{
    return r->late || r->fault == COLLECT_GOOD ||
           (r->fault == COLLECT_EXCEPTION && r->exception != NOBODY_1 && r->exception != NOBODY_2);
}

static enum st trial(struct scan *s, size_t line, int unit, const struct collect_request *r)
{
    struct collect_reply reply;
    struct collect_ask q = {.op = COLLECT_READ,
                            .unit = unit,
                            .function = r->function,
                            .address = r->address,
                            .count = r->count,
                            .timeout_ms = timeout_ms(s, line),
                            .trial = true};
    int64_t reckoned = trial_ms(s, line);
    memcpy(q.bus, s->how->bus, strlen(s->how->bus) + 1);
    if (line > 0) /* the configured one is whatever the bus has */
        q.line = s->lines[line];
    if (s->over || s->found[line][unit / 8] >> unit % 8 & 1) {
        s->left_ms -= reckoned;
        return ST_OK;
    }
    s->calls->trial(s->calls->ctx, unit, &s->lines[line], s->left_ms);
    s->sum->trials++;
    ERR_TRY(s->calls->ask(s->calls->ctx, &q, &reply, s->e));
    if (reply.st != ST_OK)
        return err_set(s->e, reply.st, "%s", reply.text);
    if (reply.fault == COLLECT_LOST || reply.fault == COLLECT_STOPPED)
        return err_set(s->e, ST_IO, "%s", reply.text);
    s->left_ms -= reckoned;
    if (is_there(&reply))
        return tell(s, &q, line, reply.took_ms);
    if (reply.fault == COLLECT_GARBAGE || reply.fault == COLLECT_FOREIGN) {
        if (s->sum->damaged++ == 0)
            s->sum->at = s->lines[line];
    }
    return ST_OK;
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* What a profile reads first, at the unit that its device has as delivered: 1 where none is said.
 */
struct first {
    int unit;
    struct collect_request r;
};
static bool first_of(const struct scan *s, size_t i, size_t line, struct first *out)
{
    const struct collect_profile *p = &s->set.v[i];
    uint16_t at;
    size_t point = 0;
    if (s->how->serial && (p->serial.baud > 0 ? !same(&p->serial, &s->lines[line]) : line > 0))
        return false;
    while (point + 1 < p->n && !p->points[point].quantity)
        point++;
    *out = (struct first){p->unit > 0 ? p->unit : 1, collect_plan_single(p, point, &at)};
    if (p->sunspec) /* its points have no place yet, the chain has */
        out->r = (struct collect_request){
            .function = 3, .address = collect_bases[0], .count = SUNSPEC_HEAD};
    return out->unit >= s->how->from && out->unit <= s->how->to;
}

/* Not one that an earlier profile has on this line already. */
static bool is_new(const struct scan *s, size_t i, size_t line, struct first *out)
{
    struct first other;
    if (!first_of(s, i, line, out))
        return false;
    for (size_t k = 0; k < i; k++)
        if (first_of(s, k, line, &other) && other.unit == out->unit &&
            other.r.function == out->r.function && other.r.address == out->r.address &&
            other.r.count == out->r.count)
            return false;
    return true;
}

static void reckon(struct scan *s)
{
    struct first f;
    for (size_t line = 0; line < s->nlines; line++) {
        for (size_t i = 0; i < s->set.n; i++)
            s->left_ms += is_new(s, i, line, &f) ? trial_ms(s, line) : 0;
        s->left_ms += (s->how->to - s->how->from + 1) * trial_ms(s, line);
    }
}

static enum st run(struct scan *s)
{
    static const struct collect_request any = {.function = 3, .address = 0, .count = 1};
    struct first f;
    reckon(s);
    for (size_t line = 0; line < s->nlines && !s->over; line++)
        for (size_t i = 0; i < s->set.n; i++)
            if (is_new(s, i, line, &f))
                ERR_TRY(trial(s, line, f.unit, &f.r));
    for (size_t line = 0; line < s->nlines && !s->over; line++)
        for (int unit = s->how->from; unit <= s->how->to; unit++)
            ERR_TRY(trial(s, line, unit, &any));
    return ST_OK;
}

enum st collect_scan(const struct collect_scan_how *how, const struct collect_scan_calls *calls,
                     struct collect_scan_sum *sum, struct err *e)
{
    struct scan *s = calloc(1, sizeof *s);
    *sum = (struct collect_scan_sum){.trials = 0};
    if (!s)
        return err_set(e, ST_MEMORY, "no memory for a scan");
    *s = (struct scan){.how = how, .calls = calls, .sum = sum, .e = e};
    enum st st = collect_set_open(&s->set, how->profile_dir, e);
    if (st == ST_OK && !(s->fits = calloc(s->set.n + 1, sizeof *s->fits)))
        st = err_set(e, ST_MEMORY, "no memory for a scan");
    if (st == ST_OK) {
        set_lines(s);
        st = run(s);
    }
    collect_set_done(&s->set);
    free(s->fits);
    free(s);
    return st;
}
