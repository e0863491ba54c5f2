/* What a gateway's chains say against it (decision 0019). All of it is found when it is asked for,
 * in indexes that hold no batch; nothing is stored but counts of refusals. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/city/report_int.h"

#define CHAINS_MAX 256    /* of one gateway, the youngest */
#define AT_ONCE_MS 120000 /* two clocks on battery may be off so much from each other */
#define PATIENCE_MS (24 * CITY_HOUR_MS) /* a hole in the numbers that is older is an alarm */
#define WINDOW_UNKNOWN_MS CITY_HOUR_MS  /* while no window has come */

const char *const city_alarm_text[CITY_ALARMS] = {"silence", "clone",   "fork",   "conflict",
                                                  "broken",  "missing", "refused"};
const char *const city_alarm_do[CITY_ALARMS] = {
    [CITY_ALARM_SILENCE] = "Look whether the site has power and network; its page says what it "
                           "waits for. It keeps its "
                           "readings and sends them later.",
    [CITY_ALARM_CLONE] =
        "Two boxes run as this gateway. Find both; switch off the one that is not at the site, and "
        "give it an id and a key of its own. If nobody knows the second box, revoke the key.",
    [CITY_ALARM_FORK] =
        "A copy of the store or of the card was started more than once. Look whether two boxes "
        "run; "
        "if only one does, its backup was restored again, and nothing is to be done.",
    [CITY_ALARM_CONFLICT] =
        "The gateway has sent two different batches under one number: a copied card, a restored "
        "store, or somebody who holds its key. The first one counts, the other is kept as "
        "evidence.",
    [CITY_ALARM_BROKEN] =
        "A batch does not follow the one before it. Ask for the store of the gateway, and compare "
        "it "
        "(fieldpost verify): batches were changed or lost on the way, or another box seals.",
    [CITY_ALARM_MISSING] = "Ask the site whether batches wait: on the gateway (fieldpost status), "
                           "on an old card, or on "
                           "a stick that was not imported.",
    [CITY_ALARM_REFUSED] = "Look at the reason: a key or a gateway that is not enrolled, a proxy "
                           "that changes bytes, or a "
                           "program that is too old. The gateway keeps what was refused.",
};

struct chain {
    int64_t id, through_seq, after_seq, max_seq, first_ms, last_ms;
    uint8_t chain[WIRE_ID_BYTES], after[WIRE_ID_BYTES];
    bool follows;
    int64_t lived_from, lived_to; /* readings by a known clock; from > to: none */
};
struct look {
    struct city_db *db;
    int64_t gateway, now_ms;
    int64_t since_ms; /* silence does not count before */
    const struct city_alarm_to *to;
    struct chain chain[CHAINS_MAX];
    size_t n;
};

static enum st chains_read(struct look *l, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(l->db, SQL_CHAINS_OF, "ii", l->gateway, (int64_t)CHAINS_MAX);
    enum st st;

    while ((st = city_db_step(l->db, s, e)) == ST_OK) {
        struct chain *c = &l->chain[l->n++];
        *c = (struct chain){.id = sqlite3_column_int64(s, 0),
                            .through_seq = sqlite3_column_int64(s, 2),
                            .after_seq = sqlite3_column_int64(s, 4),
                            .max_seq = sqlite3_column_int64(s, 5),
                            .first_ms = sqlite3_column_int64(s, 6),
                            .last_ms = sqlite3_column_int64(s, 7),
                            .lived_from = 1};
        (void)city_db_blob(s, 1, c->chain, sizeof c->chain);
        c->follows = city_db_blob(s, 3, c->after, sizeof c->after);
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static const char *hex(const uint8_t *chain, char text[WIRE_ID_TEXT])
{
    wire_hex(chain, WIRE_ID_BYTES, text);
    return text;
}

static enum st raise(struct look *l, const struct city_alarm *a, struct err *e)
{
    return l->to->emit(l->to->ctx, a, e);
}

/* ---- silence ---- */

/* The middle one of the newest windows of a chain. */
static enum st window_of(struct look *l, const struct chain *c, int64_t *out, struct err *e)
{
    int64_t length[15];
    size_t n = 0;
    sqlite3_stmt *s = city_db_bind(l->db, SQL_LENGTHS, "i", c->id);
    enum st st;

    while (n < sizeof length / sizeof *length && (st = city_db_step(l->db, s, e)) == ST_OK)
        length[n++] = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    *out = n > 0 ? length[n / 2] : WINDOW_UNKNOWN_MS;
    return n == sizeof length / sizeof *length || st == ST_NOT_FOUND ? ST_OK : st;
}

/* Whether any series is due now: who has retired all may be silent. */
static enum st owes(struct look *l, bool *out, struct err *e)
{
    struct city_plan p;
    enum st st = city_plan_read(&p, l->db, l->gateway, e);

    *out = p.n == 0;
    for (size_t i = 0; i < p.n && !*out; i++)
        *out = city_plan_due(&p.series[i], l->now_ms) != NULL;
    city_plan_done(&p);
    return st;
}

static enum st silence(struct look *l, struct err *e)
{
    struct city_alarm a = {.kind = CITY_ALARM_SILENCE, .count = 1};
    const struct chain *newest = NULL;
    int64_t window_ms = 0;
    bool owing = true;

    if (l->gateway == 0)
        return ST_OK;
    for (size_t i = 0; i < l->n; i++)
        if (newest == NULL || l->chain[i].last_ms > newest->last_ms)
            newest = &l->chain[i];
    if (newest == NULL) {
        snprintf(a.text, sizeof a.text, "enrolled, but nothing was ever received");
        return raise(l, &a, e);
    }
    ERR_TRY(window_of(l, newest, &window_ms, e));
    if (l->now_ms - most(newest->last_ms, l->since_ms) <= 2 * window_ms)
        return ST_OK;
    ERR_TRY(owes(l, &owing, e));
    a.since_ms = newest->last_ms;
    a.last_ms = l->now_ms;
    snprintf(a.text, sizeof a.text,
             "nothing received for %" PRId64 " s; its windows have %" PRId64 " s",
             (l->now_ms - newest->last_ms) / 1000, window_ms / 1000);
    return owing ? raise(l, &a, e) : ST_OK;
}

enum st city_silence_of(struct city_db *d, int64_t gateway, int64_t now_ms, int64_t since_ms,
                        const struct city_alarm_to *to, struct err *e)
{
    struct look *l = calloc(1, sizeof *l);

    if (l == NULL)
        return err_set(e, ST_MEMORY, "no memory for alarms");
    *l = (struct look){
        .db = d, .gateway = gateway, .now_ms = now_ms, .since_ms = since_ms, .to = to};
    enum st st = chains_read(l, e);
    if (st == ST_OK)
        st = silence(l, e);
    free(l);
    return st;
}

/* ---- clones ---- */

static const struct chain *find(const struct look *l, const uint8_t *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (memcmp(l->chain[i].chain, id, WIRE_ID_BYTES) == 0)
            return &l->chain[i];
    return NULL;
}

/* Up to which number x stands before y: what y follows was sealed before y, whatever the clock has
 * said. 0: y does not follow x. */
static int64_t before(const struct look *l, const struct chain *x, const struct chain *y)
{
    for (size_t i = 0; y != NULL && y->follows && i < l->n; i++) {
        if (memcmp(y->after, x->chain, WIRE_ID_BYTES) == 0)
            return y->after_seq;
        y = find(l, y->after);
    }
    return 0;
}

static enum st lived(struct look *l, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        sqlite3_stmt *s = city_db_bind(l->db, SQL_LIVED, "i", l->chain[i].id);
        enum st st = city_db_step(l->db, s, e);
        if (st != ST_OK)
            return st;
        if (sqlite3_column_type(s, 0) != SQLITE_NULL) {
            l->chain[i].lived_from = sqlite3_column_int64(s, 0);
            l->chain[i].lived_to = sqlite3_column_int64(s, 1);
        }
        sqlite3_reset(s);
    }
    return ST_OK;
}

static enum st pair(struct look *l, const struct chain *x, const struct chain *y, struct err *e)
{
    struct city_alarm a = {.kind = CITY_ALARM_CLONE};
    int64_t from = most(x->lived_from, y->lived_from), to = least(x->lived_to, y->lived_to);
    int64_t past_x = before(l, x, y), past_y = before(l, y, x);
    char one[WIRE_ID_TEXT], two[WIRE_ID_TEXT], at[CLK_TEXT_BYTES];

    if (to - from <= AT_ONCE_MS || past_x >= x->max_seq || past_y >= y->max_seq)
        return ST_OK;
    sqlite3_stmt *s =
        city_db_bind(l->db, SQL_AT_ONCE, "iiiiii", x->id, y->id, from, to, past_x, past_y);
    enum st st = city_db_step(l->db, s, e);
    if (st != ST_OK)
        return st;
    a.count = (uint64_t)sqlite3_column_int64(s, 0);
    from = sqlite3_column_int64(s, 1);
    to = sqlite3_column_int64(s, 2);
    a.since_ms = sqlite3_column_int64(s, 3);
    a.last_ms = sqlite3_column_int64(s, 4);
    sqlite3_reset(s);
    if (a.count == 0 || to - from <= AT_ONCE_MS)
        return ST_OK;
    snprintf(a.text, sizeof a.text,
             "chains %s and %s have read devices at the same time, from %s on for %" PRId64
             " s, in different starts of the program",
             hex(y->chain, one), hex(x->chain, two), clk_text(from, at), (to - from) / 1000);
    return raise(l, &a, e);
}

static enum st clones(struct look *l, struct err *e)
{
    if (l->n > 1)
        ERR_TRY(lived(l, e));
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = i + 1; k < l->n; k++)
            ERR_TRY(pair(l, &l->chain[i], &l->chain[k], e));
    return ST_OK;
}

/* ---- forks ---- */

static bool same_after(const struct chain *x, const struct chain *y)
{
    return x->follows && y->follows && x->after_seq == y->after_seq &&
           memcmp(x->after, y->after, WIRE_ID_BYTES) == 0;
}

static bool is_forked(const struct look *l, const struct chain *own)
{
    for (size_t i = 0; i < l->n; i++)
        if (&l->chain[i] != own && same_after(&l->chain[i], own))
            return true;
    return false;
}

static enum st forks(struct look *l, struct err *e)
{
    char one[WIRE_ID_TEXT], two[WIRE_ID_TEXT], from[WIRE_ID_TEXT];

    for (size_t i = 0; i < l->n; i++)
        for (size_t k = i + 1; k < l->n; k++) {
            const struct chain *x = &l->chain[i], *y = &l->chain[k];
            if (!same_after(x, y))
                continue;
            struct city_alarm a = {.kind = CITY_ALARM_FORK,
                                   .since_ms = most(x->first_ms, y->first_ms),
                                   .last_ms = most(x->last_ms, y->last_ms),
                                   .count = 2};
            snprintf(a.text, sizeof a.text, "chains %s and %s both follow %s/%" PRId64,
                     hex(y->chain, one), hex(x->chain, two), hex(x->after, from), x->after_seq);
            ERR_TRY(raise(l, &a, e));
        }
    return ST_OK;
}

static enum st counted(struct look *l, enum city_sql which, enum city_alarm_kind kind,
                       const char *what, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        struct city_alarm a = {.kind = kind};
        char id[WIRE_ID_TEXT];
        sqlite3_stmt *s = city_db_bind(l->db, which, "i", l->chain[i].id);
        enum st st = city_db_step(l->db, s, e);
        if (st != ST_OK)
            return st;
        a.count = (uint64_t)sqlite3_column_int64(s, 0);
        a.since_ms = sqlite3_column_int64(s, 1);
        a.last_ms = sqlite3_column_int64(s, 2);
        snprintf(a.text, sizeof a.text, "chain %s, numbers %lld to %lld: %s",
                 hex(l->chain[i].chain, id), sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 4),
                 what);
        sqlite3_reset(s);
        if (a.count > 0)
            ERR_TRY(raise(l, &a, e));
    }
    return ST_OK;
}

static enum st conflicts(struct look *l, struct err *e)
{
    return counted(l, SQL_CONFLICTS, CITY_ALARM_CONFLICT,
                   "other bytes came under a number that was taken", e);
}

static enum st broken(struct look *l, struct err *e)
{
    return counted(l, SQL_BROKEN_IN, CITY_ALARM_BROKEN,
                   "a batch names another one before it than the one that is here", e);
}

/* ---- missing ---- */

static enum st received_at(struct look *l, int64_t chain, uint64_t seq, int64_t *ms, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(l->db, SQL_RECEIVED_AT, "ii", chain, (int64_t)seq);
    enum st st = city_db_step(l->db, s, e);

    *ms = st == ST_OK ? sqlite3_column_int64(s, 0) : l->now_ms;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* A hole counts from when the batch behind it came. */
static void hole(const struct look *l, struct city_alarm *a, uint64_t first, uint64_t last,
                 int64_t since_ms)
{
    if (l->now_ms - since_ms <= PATIENCE_MS)
        return;
    size_t n = strlen(a->text);
    if (a->count == 0 || since_ms < a->since_ms)
        a->since_ms = since_ms;
    a->count += last - first + 1;
    if (n + 48 < sizeof a->text)
        snprintf(a->text + n, sizeof a->text - n, " %" PRIu64 "-%" PRIu64, first, last);
}

/* The end of a chain that another one follows. */
static void lost_tail(const struct look *l, const struct chain *c, struct city_alarm *a)
{
    int64_t last = c->max_seq, since_ms = l->now_ms;

    for (size_t i = 0; i < l->n; i++)
        if (l->chain[i].follows && l->chain[i].after_seq > last &&
            memcmp(l->chain[i].after, c->chain, WIRE_ID_BYTES) == 0) {
            last = l->chain[i].after_seq;
            since_ms = l->chain[i].first_ms;
        }
    if (last > c->max_seq)
        hole(l, a, (uint64_t)c->max_seq + 1, (uint64_t)last, since_ms);
}

static enum st missing_of(struct look *l, const struct chain *c, uint64_t (*range)[2],
                          struct err *e)
{
    struct wire_head_chain h = {.through_seq = (uint64_t)c->through_seq, .missing = range};
    struct city_alarm a = {.kind = CITY_ALARM_MISSING, .last_ms = l->now_ms};
    char id[WIRE_ID_TEXT];

    snprintf(a.text, sizeof a.text, "chain %s, numbers that never came:", hex(c->chain, id));
    if (c->through_seq < c->max_seq)
        ERR_TRY(city_missing(l->db, c->id, &h, e));
    for (size_t i = 0; i < h.nmissing; i++) {
        int64_t since_ms;
        ERR_TRY(received_at(l, c->id, range[i][1] + 1, &since_ms, e));
        hole(l, &a, range[i][0], range[i][1], since_ms);
    }
    lost_tail(l, c, &a);
    return a.count > 0 ? raise(l, &a, e) : ST_OK;
}

static enum st missing(struct look *l, struct err *e)
{
    uint64_t(*range)[2] = calloc(CITY_RANGES_MAX, sizeof *range);
    enum st st = range != NULL ? ST_OK : err_set(e, ST_MEMORY, "no memory for alarms");

    for (size_t i = 0; i < l->n && st == ST_OK; i++)
        st = missing_of(l, &l->chain[i], range, e);
    free(range);
    return st;
}

/* ---- refusals ---- */

static enum st refused(struct look *l, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(l->db, SQL_REFUSED, "i", l->gateway);
    enum st st;

    while ((st = city_db_step(l->db, s, e)) == ST_OK) {
        struct city_alarm a = {.kind = CITY_ALARM_REFUSED,
                               .since_ms = sqlite3_column_int64(s, 1),
                               .last_ms = sqlite3_column_int64(s, 2),
                               .count = (uint64_t)sqlite3_column_int64(s, 3)};
        snprintf(a.text, sizeof a.text, "%s: %s", (const char *)sqlite3_column_text(s, 0),
                 (const char *)sqlite3_column_text(s, 4));
        st = raise(l, &a, e);
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- all ---- */

enum st city_alarms_of(struct city_db *d, int64_t gateway, int64_t now_ms,
                       const struct city_alarm_to *to, struct err *e)
{
    static enum st (*const kinds[])(struct look * l, struct err * e) = {
        silence, clones, forks, conflicts, broken, missing, refused};
    struct look *l = calloc(1, sizeof *l);

    if (l == NULL)
        return err_set(e, ST_MEMORY, "no memory for alarms");
    *l = (struct look){.db = d, .gateway = gateway, .now_ms = now_ms, .to = to};
    enum st st = chains_read(l, e);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && st == ST_OK; i++)
        st = kinds[i](l, e);
    free(l);
    return st;
}

static enum st at_once(struct look *l, const struct city_batch *b, const struct chain *own,
                       bool *may, struct err *e)
{
    for (size_t i = 0; i < l->n && !*may; i++) {
        const struct chain *y = &l->chain[i];
        if (y == own)
            continue;
        sqlite3_stmt *s = city_db_bind(l->db, SQL_AT_ONCE, "iiiiii", own->id, y->id, b->t_min,
                                       b->t_max, before(l, own, y), before(l, y, own));
        enum st st = city_db_step(l->db, s, e);
        if (st != ST_OK)
            return st;
        *may = sqlite3_column_int64(s, 0) > 0;
        sqlite3_reset(s);
    }
    return ST_OK;
}

enum st city_alarm_may(struct city_db *d, const struct city_batch *b, bool *may, struct err *e)
{
    const struct wire_header *h = &b->batch.header;
    struct look *l = calloc(1, sizeof *l);

    *may = false;
    if (l == NULL)
        return err_set(e, ST_MEMORY, "no memory for alarms");
    *l = (struct look){.db = d, .gateway = b->gateway};
    enum st st = chains_read(l, e);
    const struct chain *own = st == ST_OK ? find(l, h->chain) : NULL;
    if (own != NULL) {
        sqlite3_stmt *s = city_db_bind(d, SQL_BROKEN_AT, "ii", own->id, (int64_t)h->seq);
        st = city_db_step(d, s, e);
        *may = st == ST_OK || (h->seq == 1 && is_forked(l, own));
        sqlite3_reset(s);
        st = st == ST_NOT_FOUND ? ST_OK : st;
        if (st == ST_OK && b->n > 0)
            st = at_once(l, b, own, may, e);
    }
    free(l);
    return st;
}
