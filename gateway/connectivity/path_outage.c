/* Outages: when each began and ended, what it was, and how many of them are told. */
#include "gateway/connectivity/path_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_MS ((int64_t)CONNECTIVITY_TOLD_MAX * CONNECTIVITY_TOLD_MS)
#define UNITS 4

void connectivity_duration(int64_t ms, char *text, size_t n)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[UNITS] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    size_t i = 0;
    while (i < UNITS - 1 && ms < units[i].ms)
        i++;
    int64_t whole = ms / units[i].ms, rest = ms % units[i].ms;
    if (i == UNITS - 1)
        (void)snprintf(text, n, "%" PRId64 " s", whole);
    else
        (void)snprintf(text, n, "%" PRId64 " %s %" PRId64 " %s", whole, units[i].unit,
                       rest / units[i + 1].ms, units[i + 1].unit);
}

/* The one that was there longest: while a link comes back, others are seen for a moment. */
static enum connectivity_cause longest(const struct connectivity_outage *o)
{
    size_t best = o->cause;
    for (size_t i = 1; i < CONNECTIVITY_PATH_STATES; i++)
        if (o->by_ms[i] > o->by_ms[best])
            best = i;
    return (enum connectivity_cause)best;
}

static void quiet_text(struct connectivity_outage *o, char *text, size_t n)
{
    char time[40];
    if (o->quiet == 0)
        return;
    connectivity_duration(o->quiet_ms, time, sizeof time);
    (void)snprintf(text, n, "; %" PRId64 " outages before, %s in all, are not told one by one",
                   o->quiet, time);
    o->quiet = o->quiet_ms = 0;
}

static bool may_tell(struct connectivity_outage *o)
{
    bool may = o->tokens_ms >= CONNECTIVITY_TOLD_MS;
    if (may)
        o->tokens_ms -= CONNECTIVITY_TOLD_MS;
    return may;
}

static void begin(struct connectivity_outage *o, enum connectivity_cause cause, struct mono now,
                  struct clk_time utc)
{
    memset(o->by_ms, 0, sizeof o->by_ms);
    o->down = true;
    o->resumed = false;
    o->since = now;
    o->since_ms = utc.grade == CLK_UNKNOWN ? 0 : utc.utc_ms;
    o->cause = cause;
    o->told = may_tell(o);
}

static enum connectivity_turn end(struct connectivity_outage *o, struct mono now,
                                  struct clk_time utc, char *text, size_t n)
{
    char time[40], more[120] = "";
    enum connectivity_cause cause = longest(o);
    int64_t ms = now.ms - o->since.ms;
    bool dated = o->since_ms > 0 && utc.grade != CLK_UNKNOWN && utc.utc_ms >= o->since_ms;
    if (o->resumed)
        ms = dated ? utc.utc_ms - o->since_ms : -1;
    o->down = false;
    o->cause = CONNECTIVITY_PATH_UP;
    if (!o->told) {
        o->quiet++;
        o->quiet_ms += ms;
        return CONNECTIVITY_STAYS;
    }
    quiet_text(o, more, sizeof more);
    connectivity_duration(ms, time, sizeof time);
    if (ms < 0)
        (void)snprintf(text, n, "back; for how long it was down is not known; cause: %s",
                       connectivity_causes[cause].word);
    else
        (void)snprintf(text, n, "back after %s; cause: %s%s%s", time,
                       connectivity_causes[cause].word,
                       o->resumed ? "; the gateway was started anew meanwhile" : "", more);
    return CONNECTIVITY_CAME;
}

enum connectivity_turn connectivity_outage_note(struct connectivity_outage *o,
                                                enum connectivity_cause cause, struct mono now,
                                                struct clk_time utc, char *text, size_t n)
{
    int64_t ms = o->last.ms > 0 ? now.ms - o->last.ms : 0;
    bool down = cause != CONNECTIVITY_PATH_UP;
    if (o->last.ms == 0)
        o->tokens_ms = BUCKET_MS;
    o->tokens_ms = o->tokens_ms + ms < BUCKET_MS ? o->tokens_ms + ms : BUCKET_MS;
    bool seen = o->known && !o->blind;
    if (seen && o->down)
        o->by_ms[o->cause] += ms;
    if (seen)
        *(o->down ? &o->down_ms : &o->up_ms) += ms;
    o->last = now;
    o->blind = false;
    bool was = o->down; /* also one of an earlier run */
    o->known = true;
    text[0] = '\0';
    if (was && !down)
        return end(o, now, utc, text, n);
    if (was) {
        o->cause = cause;
        return CONNECTIVITY_STAYS;
    }
    if (!down)
        return CONNECTIVITY_STAYS;
    begin(o, cause, now, utc);
    if (o->told)
        quiet_text(o, text, n);
    return o->told ? CONNECTIVITY_WENT : CONNECTIVITY_STAYS;
}

void connectivity_outage_blind(struct connectivity_outage *o)
{
    o->blind = true;
}

bool connectivity_outage_read(struct connectivity_outage *o, const char *text, struct mono now)
{
    char *end;
    int64_t since_ms = strtoll(text, &end, 10);
    if (end == text || *end != ' ' || since_ms < 0)
        return false;
    const char *from = end + 1;
    unsigned long cause = strtoul(from, &end, 10);
    if (end == from || *end || cause == CONNECTIVITY_PATH_UP || cause >= CONNECTIVITY_PATH_STATES)
        return false;
    *o = (struct connectivity_outage){.down = true,
                                      .told = true,
                                      .resumed = true,
                                      .since = now,
                                      .since_ms = since_ms,
                                      .cause = (enum connectivity_cause)cause};
    return true;
}

void connectivity_outage_write(const struct connectivity_outage *o, char *text, size_t n)
{
    (void)snprintf(text, n, "%" PRId64 " %u", o->since_ms, (unsigned)o->cause);
}

struct num connectivity_outage_share(struct connectivity_outage *o)
{
    int64_t all = o->up_ms + o->down_ms, up = o->up_ms;
    o->up_ms = o->down_ms = 0;
    if (!o->known)
        return (struct num){.kind = NUM_NONE};
    if (all == 0) /* the first look */
        return num_dec(o->down ? 0 : 1000, -1);
    return num_dec((up * 1000 + all / 2) / all, -1);
}
