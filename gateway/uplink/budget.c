/* What a month may cost: bytes on the wire over links that cost by the byte, by calendar months as
 * the bill has them (Viet Nam, UTC+7). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

#define ZONE_MS INT64_C(25200000) /* UTC+7, without summer time */
#define DAY_MS INT64_C(86400000)
#define SAVE_MS 3600000   /* a power cut forgets at most what was sent in so long … */
#define SAVE_BYTES 262144 /* … or so much and one call */

/* ---- months ---- */

/* Days since 1970 to a civil date: Howard Hinnant, "chrono-compatible low-level date algorithms".
 */
int64_t uplink_month_of(int64_t utc_ms)
{
    int64_t z = (utc_ms + ZONE_MS) / DAY_MS + 719468;
    int64_t era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t mp = (5 * (doe - (365 * yoe + yoe / 4 - yoe / 100)) + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    return (yoe + era * 400 + (month <= 2)) * 12 + month - 1;
}

int64_t uplink_month_start_ms(int64_t month)
{
    int64_t y = month / 12 - (month % 12 < 2), mp = (month % 12 + 10) % 12;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * mp + 2) / 5;
    return (era * 146097 + doe - 719468) * DAY_MS - ZONE_MS;
}

/* ---- the count ---- */

/* What was sent while nobody knew the date belongs to the month that turns out to be. */
static void date(struct uplink_budget *b, struct clk_time now)
{
    if (now.grade == CLK_UNKNOWN) {
        return;
    }
    int64_t month = uplink_month_of(now.utc_ms);
    if (month != b->month) {
        /* a clock that jumps over a month's end and back must not have it begin anew */
        int64_t used = month == b->last_month ? b->last_used : 0;
        b->last_month = b->month;
        b->last_used = b->used;
        b->month = month;
        b->used = used;
        b->told = UPLINK_SPEND_ALL;
        b->unsaved += b->limit ? SAVE_BYTES : 0;
    }
    b->used += b->undated;
    b->undated = 0;
}

void uplink_budget_add(struct uplink_budget *b, struct clk_time now, int64_t bytes)
{
    b->undated += bytes;
    b->unsaved += bytes;
    date(b, now);
}

enum uplink_spend uplink_budget_spend(struct uplink_budget *b, struct clk_time now)
{
    date(b, now);
    int64_t used = b->used + b->undated;
    return b->limit == 0 || used < b->limit / 5 * 4 ? UPLINK_SPEND_ALL
           : used < b->limit                        ? UPLINK_SPEND_NEWEST
                                                    : UPLINK_SPEND_NOTHING;
}

/* ---- kept across restarts ---- */

static void key_of(const char *uplink, char *out, size_t n)
{
    (void)snprintf(out, n, "budget:%s", uplink);
}

void uplink_budget_text(const struct uplink_budget *b, char *out, size_t n)
{
    (void)snprintf(out, n, "%" PRId64 " %" PRId64 " %" PRId64 " %d %" PRId64 " %" PRId64, b->month,
                   b->used, b->undated, (int)b->told, b->last_month, b->last_used);
}

static bool take_int(const char **text, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(*text, &end, 10);
    bool good = end != *text && errno == 0 && *out >= 0 && *out <= max;
    *text = end;
    return good;
}

bool uplink_budget_parse(struct uplink_budget *b, const char *text)
{
    int64_t month, used, undated, told, last_month = 0, last_used = 0;
    if (!take_int(&text, INT64_MAX, &month) || !take_int(&text, INT64_MAX, &used) ||
        !take_int(&text, INT64_MAX - used, &undated) ||
        !take_int(&text, UPLINK_SPEND_NOTHING, &told)) {
        return false;
    }
    /* a store from before has not kept these two */
    if (*text && (!take_int(&text, INT64_MAX, &last_month) ||
                  !take_int(&text, INT64_MAX, &last_used) || *text)) {
        return false;
    }
    b->month = month;
    b->used = used;
    b->undated = undated;
    b->told = (enum uplink_spend)told;
    b->last_month = last_month;
    b->last_used = last_used;
    return true;
}

enum st uplink_budget_load(struct uplink_budget *b, struct store_reader *r, const char *uplink,
                           struct err *e)
{
    char key[80], text[128];
    struct buf was;
    key_of(uplink, key, sizeof(key));
    buf_init(&was, sizeof(text) - 1);
    enum st st = store_reader_meta(r, key, &was, e);
    if (st == ST_OK) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)was.n, (const char *)was.p);
        (void)uplink_budget_parse(b, text); /* else it counts from nothing, as in a new store */
    }
    buf_done(&was);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st uplinks_spent(struct store_reader *r, const char *id, int64_t *since_ms, int64_t *bytes,
                      struct err *e)
{
    struct uplink_budget b = {.month = 0};
    ERR_TRY(uplink_budget_load(&b, r, id, e));
    *since_ms = b.month ? uplink_month_start_ms(b.month) : 0;
    *bytes = b.used + b.undated;
    return ST_OK;
}

struct save {
    const char *key, *text;
};

static enum st save_call(struct store *s, void *arg, struct err *e)
{
    const struct save *x = arg;
    return store_meta_set(s, x->key, x->text, strlen(x->text), e);
}

enum st uplink_budget_save(struct uplink_budget *b, struct store *s, const char *uplink,
                           struct mono now, bool at_once, struct err *e)
{
    char key[80], text[128];
    if (b->unsaved == 0 ||
        (!at_once && b->unsaved < SAVE_BYTES && now.ms - b->saved_at.ms < SAVE_MS)) {
        return ST_OK;
    }
    key_of(uplink, key, sizeof(key));
    uplink_budget_text(b, text, sizeof(text));
    struct save x = {key, text};
    enum st st = store_call(s, save_call, &x, e);
    if (st == ST_OK) {
        b->unsaved = 0;
        b->saved_at = now;
    }
    return st;
}

/* ---- an uplink's ---- */

/* Whether what goes out now costs: by the link of the last connection, or by what the link would be
 * now. */
static bool is_metered(const struct uplink *u, const char *interface)
{
    return u->metered == UPLINK_METERED_ALWAYS ||
           (u->metered == UPLINK_METERED_AUTO && uplink_link_metered("", interface));
}

static void show(struct uplink *u, bool metered)
{
    (void)pthread_mutex_lock(&u->lock);
    u->status.metered = metered;
    u->status.wire_bytes = (uint64_t)(u->wire.sent_bytes + u->wire.received_bytes);
    u->status.month_bytes = u->budget.used + u->budget.undated;
    u->status.budget_bytes = u->budget.limit;
    u->status.renews_ms = u->budget.month ? uplink_month_start_ms(u->budget.month + 1) : 0;
    (void)pthread_mutex_unlock(&u->lock);
}

static void save(struct uplink *u, bool at_once)
{
    struct err e = {.text = ""};
    enum st st =
        uplink_budget_save(&u->budget, u->job->store, u->id, clk_mono(u->job->clk), at_once, &e);
    if (st != ST_OK && st != ST_STOPPED) {
        log_warn("uplink %s: what the month has cost is not saved: %s", u->id, e.text);
    }
}

void uplink_count(struct uplink *u, bool at_end)
{
    int64_t all = u->wire.sent_bytes + u->wire.received_bytes, new = all - u->counted;
    bool metered = is_metered(u, u->wire.interface);
    u->counted = all;
    if (metered && new > 0) {
        uplink_budget_add(&u->budget, clk_now(u->job->clk), new);
    }
    save(u, at_end);
    show(u, metered);
}

static void budget_words(const struct uplink *u, enum uplink_spend spend, char *out, size_t n)
{
    static const char *const names[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
    const struct uplink_budget *b = &u->budget;
    char until[32] = "the date is known";
    if (b->month) {
        (void)snprintf(until, sizeof(until), "1 %s", names[(b->month + 1) % 12]);
    }
    (void)snprintf(out, n,
                   spend == UPLINK_SPEND_NOTHING
                       ? "data budget used up until %s (%" PRId64 " of %" PRId64
                         " MB): readings wait here and go out then, or at once over cable or "
                         "Wi-Fi; or raise uplinks.%s.budget"
                       : "little of the data budget is left until %s (%" PRId64 " of %" PRId64
                         " MB used): the newest go out, the backlog waits for then, or for cable "
                         "or Wi-Fi; or raise uplinks.%s.budget",
                   until, (b->used + b->undated) / 1000000, b->limit / 1000000, u->id);
}

enum uplink_spend uplink_may_spend(struct uplink *u)
{
    enum uplink_spend spend = uplink_budget_spend(&u->budget, clk_now(u->job->clk));
    char text[sizeof(u->status.text)];
    if (spend != UPLINK_SPEND_ALL && !is_metered(u, "")) {
        spend = UPLINK_SPEND_ALL; /* a free link: nothing is held back */
    }
    if (spend > u->budget.told) {
        u->budget.told = spend;
        u->budget.unsaved++;
        budget_words(u, spend, text, sizeof(text));
        uplink_event(u, STORE_WARNING, "uplink.budget", text);
        save(u, true);
    }
    if (spend == UPLINK_SPEND_NOTHING) {
        budget_words(u, spend, text, sizeof(text));
    }
    uplink_set_stopped(u, spend == UPLINK_SPEND_NOTHING ? text : NULL);
    return spend;
}
