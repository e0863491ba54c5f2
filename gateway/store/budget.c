/* What a month may cost: bytes on the wire over links that cost by the byte, by calendar months as
 * the bill has them (Viet Nam, UTC+7). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store/store.h"

#define ZONE_MS INT64_C(25200000) /* UTC+7, without summer time */
#define DAY_MS INT64_C(86400000)
#define SAVE_MS 3600000   /* a power cut forgets at most what was sent in so long … */
#define SAVE_BYTES 262144 /* … or so much and one call */
#define KEY_BYTES 96

/* ---- months ---- */

/* Days since 1970 to a civil date: Howard Hinnant, "chrono-compatible low-level date algorithms".
 */
int64_t store_month_of(int64_t utc_ms)
{
    int64_t z = (utc_ms + ZONE_MS) / DAY_MS + 719468;
    int64_t era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t mp = (5 * (doe - (365 * yoe + yoe / 4 - yoe / 100)) + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    return (yoe + era * 400 + (month <= 2)) * 12 + month - 1;
}

int64_t store_month_start_ms(int64_t month)
{
    int64_t y = month / 12 - (month % 12 < 2), mp = (month % 12 + 10) % 12;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * mp + 2) / 5;
    return (era * 146097 + doe - 719468) * DAY_MS - ZONE_MS;
}

/* ---- the count ---- */

/* What was sent while nobody knew the date belongs to the month that turns out to be. */
static void date(struct store_budget *b, struct clk_time now)
{
    if (now.grade == CLK_UNKNOWN) {
        return;
    }
    int64_t month = store_month_of(now.utc_ms);
    if (month != b->month) {
        /* a clock that jumps over a month's end and back must not have it begin anew */
        int64_t used = month == b->last_month ? b->last_used : 0;
        b->last_month = b->month;
        b->last_used = b->used;
        b->month = month;
        b->used = used;
        b->told = STORE_SPEND_ALL;
        b->unsaved += b->limit ? SAVE_BYTES : 0;
    }
    b->used += b->undated;
    b->undated = 0;
    if (b->used < 0) { /* what was reserved in one month and given back in the next */
        b->used = 0;
    }
}

void store_budget_add(struct store_budget *b, struct clk_time now, int64_t bytes)
{
    b->undated += bytes;
    b->unsaved += bytes;
    date(b, now);
}

enum store_spend store_budget_spend(struct store_budget *b, struct clk_time now)
{
    date(b, now);
    int64_t used = b->used + b->undated;
    return b->limit == 0 || used < b->limit / 5 * 4 ? STORE_SPEND_ALL
           : used < b->limit                        ? STORE_SPEND_NEWEST
                                                    : STORE_SPEND_NOTHING;
}

int64_t store_budget_left(struct store_budget *b, struct clk_time now)
{
    date(b, now);
    int64_t used = b->used + b->undated;
    return b->limit == 0 ? INT64_MAX : used < b->limit ? b->limit - used : 0;
}

/* ---- kept across restarts ---- */

static void key_of(const char *name, char *out, size_t n)
{
    (void)snprintf(out, n, "budget:%s", name);
}

void store_budget_text(const struct store_budget *b, char *out, size_t n)
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

bool store_budget_parse(struct store_budget *b, const char *text)
{
    int64_t month, used, undated, told, last_month = 0, last_used = 0;
    if (!take_int(&text, INT64_MAX, &month) || !take_int(&text, INT64_MAX, &used) ||
        !take_int(&text, INT64_MAX - used, &undated) ||
        !take_int(&text, STORE_SPEND_NOTHING, &told)) {
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
    b->told = (enum store_spend)told;
    b->last_month = last_month;
    b->last_used = last_used;
    return true;
}

enum st store_budget_load(struct store_budget *b, struct store_reader *r, const char *name,
                          struct err *e)
{
    char key[KEY_BYTES], text[128];
    struct buf was;
    key_of(name, key, sizeof(key));
    buf_init(&was, sizeof(text) - 1);
    enum st st = store_reader_meta(r, key, &was, e);
    if (st == ST_OK) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)was.n, (const char *)was.p);
        (void)store_budget_parse(b, text); /* else it counts from nothing, as in a new store */
    }
    buf_done(&was);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

struct save {
    const char *key, *text;
};

static enum st save_call(struct store *s, void *arg, struct err *e)
{
    const struct save *x = arg;
    return store_meta_set(s, x->key, x->text, strlen(x->text), e);
}

enum st store_budget_save(struct store_budget *b, struct store *s, const char *name,
                          struct mono now, bool at_once, struct err *e)
{
    char key[KEY_BYTES], text[128];
    if (b->unsaved == 0 ||
        (!at_once && b->unsaved < SAVE_BYTES && now.ms - b->saved_at.ms < SAVE_MS)) {
        return ST_OK;
    }
    key_of(name, key, sizeof(key));
    store_budget_text(b, text, sizeof(text));
    struct save x = {key, text};
    enum st st = store_call(s, save_call, &x, e);
    if (st == ST_OK) {
        b->unsaved = 0;
        b->saved_at = now;
    }
    return st;
}
