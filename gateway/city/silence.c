/* Gateways that have gone silent, for the log: found by looking, as nothing arrives that could
 * tell. A few gateways a second, so that the look costs the same however many there are. In the
 * same way, the receipt keys that are to be used one day. */
#include "gateway/city/city_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/clk.h"
#include "gateway/base/log.h"
#include "gateway/base/thr.h"

#define TICK_MS 1000
#define LOOKS 64      /* gateways a tick */
#define ROUND_MS 5000 /* from one look at a gateway to the next, or as long as all take */
#define KEYS_MS 2000
#define KEYS_AGAIN_MS 3600000 /* until it is told again that one cannot be read */

/* Silent, and the log has it: since its last batch came. In order of the gateways. */
struct told {
    int64_t gateway, last_ms;
};

struct city_silence {
    struct city_db db;
    int64_t since_ms;
    int64_t at; /* the gateway that was looked at last in this round; 0: it begins */
    struct mono round;
    struct told *told;
    size_t n, room;
    struct city_sign *keys;
    struct mono keys_due, keys_again;
    bool keys_bad; /* and the log has it */
    struct thr_stop stop;
    struct thr thread;
};

struct seen {
    bool silent;
    int64_t last_ms; /* 0: it was never heard, and has not gone silent */
    char text[256];
};

static enum st see(void *ctx, const struct city_alarm *a, struct err *e)
{
    struct seen *s = ctx;

    (void)e;
    s->silent = a->since_ms > 0;
    s->last_ms = a->since_ms;
    snprintf(s->text, sizeof s->text, "%s", a->text);
    return ST_OK;
}

/* Its place in the list, or where it belongs. */
static size_t place_of(const struct city_silence *w, int64_t gateway)
{
    size_t low = 0, high = w->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->told[middle].gateway < gateway)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum st put(struct city_silence *w, size_t i, int64_t gateway, int64_t last_ms,
                   struct err *e)
{
    if (w->n == w->room) { /* never more than there are gateways */
        size_t room = w->room > 0 ? 2 * w->room : 16;
        struct told *more = realloc(w->told, room * sizeof *more);
        if (more == NULL)
            return err_set(e, ST_MEMORY, "no memory for silent gateways");
        w->told = more;
        w->room = room;
    }
    memmove(w->told + i + 1, w->told + i, (w->n - i) * sizeof *w->told);
    w->told[i] = (struct told){gateway, last_ms};
    w->n++;
    return ST_OK;
}

/* One line when it goes silent, one when that is over. */
static enum st look(struct city_silence *w, int64_t gateway, const char *gw, struct err *e)
{
    struct seen s = {.text = ""};
    const struct city_alarm_to to = {see, &s};
    int64_t now_ms = clk_now(clk_real()).utc_ms;
    size_t i = place_of(w, gateway);
    bool told = i < w->n && w->told[i].gateway == gateway;

    ERR_TRY(city_silence_of(&w->db, gateway, now_ms, w->since_ms, &to, e));
    if (s.silent && told && w->told[i].last_ms != s.last_ms) {
        w->told[i].last_ms = s.last_ms; /* heard between two looks, and silent again */
        told = false;
    } else if (s.silent && !told) {
        ERR_TRY(put(w, i, gateway, s.last_ms, e));
    }
    if (s.silent && !told)
        log_warn("ALARM %s %s: %s", city_alarm_text[CITY_ALARM_SILENCE], gw, s.text);
    if (!s.silent && told) {
        w->n--;
        memmove(w->told + i, w->told + i + 1, (w->n - i) * sizeof *w->told);
        log_info("%s %s: over", city_alarm_text[CITY_ALARM_SILENCE], gw);
    }
    return ST_OK;
}

struct row {
    int64_t id;
    char gw[65];
};

/* The next gateways of this round. */
static enum st next(struct city_silence *w, struct row row[LOOKS], size_t *n, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(&w->db, SQL_GATEWAYS_BEHIND, "ii", w->at, (int64_t)LOOKS);
    enum st st;

    *n = 0;
    while (*n < LOOKS && (st = city_db_step(&w->db, s, e)) == ST_OK) {
        struct row *r = &row[(*n)++];
        r->id = sqlite3_column_int64(s, 0);
        snprintf(r->gw, sizeof r->gw, "%s", (const char *)sqlite3_column_text(s, 1));
    }
    sqlite3_reset(s);
    return *n == LOOKS || st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st tick(struct city_silence *w, struct err *e)
{
    struct row row[LOOKS];
    size_t n = 0;
    struct mono now = clk_mono(clk_real());

    if (w->at == 0 && now.ms < w->round.ms)
        return ST_OK;
    if (w->at == 0)
        w->round.ms = now.ms + ROUND_MS;
    ERR_TRY(next(w, row, &n, e));
    for (size_t i = 0; i < n; i++) {
        w->at = row[i].id;
        ERR_TRY(look(w, row[i].id, row[i].gw, e));
    }
    if (n < LOOKS)
        w->at = 0;
    return ST_OK;
}

/* A key that cannot be used on its day, told while there is time to mend it. */
static void look_at_keys(struct city_silence *w)
{
    struct mono now = clk_mono(clk_real());
    struct err e = {.text = ""};

    if (now.ms < w->keys_due.ms)
        return;
    w->keys_due.ms = now.ms + KEYS_MS;
    bool good = city_sign_ahead(w->keys, &w->db, clk_now(clk_real()).utc_ms, &e) == ST_OK;
    if (!good && (!w->keys_bad || now.ms >= w->keys_again.ms)) {
        log_warn("ALARM receipt key: %s", e.text);
        w->keys_again.ms = now.ms + KEYS_AGAIN_MS;
    }
    if (good && w->keys_bad)
        log_info("receipt key: over");
    w->keys_bad = !good;
}

static void silence_main(void *arg)
{
    static struct log_limit limit;
    struct city_silence *w = arg;

    while (!thr_stop_wait(&w->stop, TICK_MS)) {
        struct err e = {.text = ""};
        if (tick(w, &e) != ST_OK)
            log_limited(&limit, 5, LOG_LEVEL_WARN, "silence: %s", e.text);
        look_at_keys(w);
    }
}

enum st city_silence_open(struct city_silence **out, const char *path, struct city_sign *keys,
                          struct err *e)
{
    struct city_silence *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w == NULL)
        return err_set(e, ST_MEMORY, "no memory for the look at silence");
    w->since_ms = clk_now(clk_real()).utc_ms;
    w->keys = keys;
    w->stop.fd = -1;
    enum st st = city_db_open(&w->db, path, CITY_DB_READ, e);
    if (st == ST_OK)
        st = thr_stop_open(&w->stop, e);
    if (st == ST_OK)
        st = thr_start(&w->thread, "city-silence", silence_main, w, e);
    if (st != ST_OK) {
        city_silence_close(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void city_silence_close(struct city_silence *w)
{
    if (w == NULL)
        return;
    if (w->thread.running)
        thr_stop_now(&w->stop);
    thr_join(&w->thread);
    thr_stop_close(&w->stop);
    city_db_close(&w->db);
    free(w->told);
    free(w);
}
