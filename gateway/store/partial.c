/* What periods of indicators came to: the writer's side, and what readers see of it. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_KEY "indicator"
#define FED_KEY "indicator-fed"
#define ROW_BYTES 512 /* of a partial, for the room that it takes */

/* ---- the writer's ---- */

static void bind_text(sqlite3_stmt *q, int i, const char *text)
{
    if (text && *text)
        sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

/* The number of an indicator's name, or of a catalogue's hash, which gets one when it has none. */
static enum st number_of(struct store_db *d, enum store_sql add, enum store_sql get, const void *p,
                         int n, bool text, int64_t *id, struct err *e)
{
    const enum store_sql both[] = {add, get};
    for (size_t i = 0; i < 2; i++) {
        sqlite3_stmt *q = store_db_use(d, both[i], e);
        if (!q)
            return ST_IO;
        if (text)
            sqlite3_bind_text(q, 1, p, n, SQLITE_STATIC);
        else
            sqlite3_bind_blob(q, 1, p, n, SQLITE_STATIC);
        if (i == 0) {
            ERR_TRY(store_db_run(d, q, e));
            continue;
        }
        ERR_TRY(store_db_row(d, q, e));
        *id = sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
    }
    return ST_OK;
}

/* Behind keep_rollups. */
static enum st forget_old(struct store *s, int64_t indicator, int64_t newest_ms, struct err *e)
{
    if (s->cfg.keep_rollups_ms == 0)
        return ST_OK;
    int64_t v[] = {indicator, newest_ms - s->cfg.keep_rollups_ms};
    return store_db_do(&s->db, SQL_PARTIAL_EXPIRE, 2, v, e);
}

static enum st write_row(struct store *s, const struct store_partial *p, struct err *e)
{
    int64_t indicator = 0, catalogue = 0;
    ERR_TRY(number_of(&s->db, SQL_INDICATOR_ADD, SQL_INDICATOR_GET, p->indicator, -1, true,
                      &indicator, e));
    ERR_TRY(number_of(&s->db, SQL_CATALOGUE_ADD, SQL_CATALOGUE_GET, p->catalogue, WIRE_HASH_BYTES,
                      false, &catalogue, e));
    const int64_t v[] = {indicator, p->from_ms, p->to_ms, p->revision, p->reason};
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_PARTIAL_ADD, 5, v, e);
    if (!q)
        return ST_IO;
    bind_text(q, 6, p->value);
    bind_text(q, 7, p->numerator);
    bind_text(q, 8, p->denominator);
    sqlite3_bind_int64(q, 9, (int64_t)p->due);
    sqlite3_bind_int64(q, 10, (int64_t)p->good);
    sqlite3_bind_int64(q, 11, catalogue);
    sqlite3_bind_int64(q, 12, p->at_ms);
    ERR_TRY(store_db_run(&s->db, q, e));
    ERR_TRY(store_db_do(&s->db, SQL_UNPUT_ADD, 2, v, e));
    return forget_old(s, indicator, p->from_ms, e);
}

static enum st write_day(struct store *s, const struct store_partial_day *d, struct err *e)
{
    const int64_t v[] = {d->day, d->first, d->last - d->first, d->n};
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_PARTIAL_DAY_ADD, 4, v, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 5, d->stood.n ? (const void *)d->stood.p : "", (int)d->stood.n,
                      SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

static enum st write_all(struct store *s, const struct store_partials *p, struct err *e)
{
    char progress[64];
    for (size_t i = 0; i < p->n; i++)
        ERR_TRY(write_row(s, &p->row[i], e));
    for (size_t i = 0; i < p->ndays; i++)
        ERR_TRY(write_day(s, &p->days[i], e));
    for (size_t i = 0; i < p->nclean; i++) {
        int64_t v[] = {p->clean[i]};
        ERR_TRY(store_db_do(&s->db, SQL_PARTIAL_CLEAN, 1, v, e));
    }
    for (size_t i = 0; i < p->ndirty; i++) {
        int64_t v[] = {p->dirty[i].day, p->dirty[i].batch};
        ERR_TRY(store_db_do(&s->db, SQL_PARTIAL_DIRTY, 2, v, e));
    }
    if (p->fed.p)
        ERR_TRY(store_meta_set(s, FED_KEY, p->fed.p, p->fed.n, e));
    int64_t before[] = {p->forget_days_before};
    ERR_TRY(store_db_do(&s->db, SQL_PARTIAL_DAY_TRIM, 1, before, e));
    int n = snprintf(progress, sizeof progress, "%lld %lld", (long long)p->progress.batch,
                     (long long)p->progress.done_ms);
    return store_meta_set(s, PROGRESS_KEY, progress, (size_t)n, e);
}

static enum st write_call(struct store *s, void *arg, struct err *e)
{
    const struct store_partials *p = arg;
    ERR_TRY(store_begin(s, p->n * ROW_BYTES + p->fed.n, e));
    return store_db_end(&s->db, write_all(s, p, e), e);
}

enum st store_partials_write(struct store *s, const struct store_partials *p, struct err *e)
{
    return store_call(s, write_call, (void *)(uintptr_t)p, e);
}

static enum st put_call(struct store *s, void *arg, struct err *e)
{
    (void)arg;
    ERR_TRY(store_begin(s, 0, e));
    return store_db_end(&s->db, store_db_do(&s->db, SQL_UNPUT_CLEAR, 0, NULL, e), e);
}

enum st store_partials_put(struct store *s, struct err *e)
{
    return store_call(s, put_call, NULL, e);
}

/* ---- readers ---- */

enum st store_partial_progress_get(struct store_reader *r, struct store_partial_progress *out,
                                   struct err *e)
{
    struct buf b;
    long long batch = 0, done_ms = 0;
    char *end = NULL;
    buf_init(&b, 64);
    enum st st = store_reader_meta(r, PROGRESS_KEY, &b, e);
    if (st == ST_OK)
        st = buf_put(&b, "", 1);
    if (st == ST_OK) {
        batch = strtoll((const char *)b.p, &end, 10);
        done_ms = strtoll(end, &end, 10);
    }
    if (st == ST_OK && (*end != '\0' || batch < 0))
        st = err_set(e, ST_CORRUPT, "store %s: how far indicators are is damaged",
                     store_reader_db(r)->path);
    buf_done(&b);
    *out = (struct store_partial_progress){batch, done_ms};
    return st;
}

enum st store_partial_fed_get(struct store_reader *r, struct buf *out, struct err *e)
{
    return store_reader_meta(r, FED_KEY, out, e);
}

static const char *text_of(sqlite3_stmt *q, int i)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    return text ? text : "";
}

static enum st row_of(struct store_reader *r, sqlite3_stmt *q, struct store_partial *p,
                      struct err *e)
{
    *p = (struct store_partial){.from_ms = sqlite3_column_int64(q, 0),
                                .to_ms = sqlite3_column_int64(q, 1),
                                .revision = (uint32_t)sqlite3_column_int64(q, 2),
                                .reason = sqlite3_column_int(q, 3),
                                .value = text_of(q, 4),
                                .numerator = text_of(q, 5),
                                .denominator = text_of(q, 6),
                                .due = (uint64_t)sqlite3_column_int64(q, 7),
                                .good = (uint64_t)sqlite3_column_int64(q, 8),
                                .at_ms = sqlite3_column_int64(q, 9),
                                .indicator = text_of(q, 10)};
    return store_db_blob(q, 11, p->catalogue, WIRE_HASH_BYTES)
               ? ST_OK
               : err_set(e, ST_CORRUPT, "store %s: a partial of %s is damaged",
                         store_reader_db(r)->path, p->indicator);
}

static enum st each_of(struct store_reader *r, sqlite3_stmt *q,
                       bool (*each)(void *ctx, const struct store_partial *p), void *ctx,
                       struct err *e)
{
    struct store_partial p;
    enum st st;
    bool more = true;
    while (more && (st = store_db_row(store_reader_db(r), q, e)) == ST_OK) {
        st = row_of(r, q, &p, e);
        if (st != ST_OK) {
            sqlite3_reset(q);
            return st;
        }
        more = each(ctx, &p);
    }
    sqlite3_reset(q);
    return !more || st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_partial_each(struct store_reader *r, const char *indicator, int64_t from_ms,
                           int64_t to_ms, bool (*each)(void *ctx, const struct store_partial *p),
                           void *ctx, struct err *e)
{
    sqlite3_stmt *q = store_db_use(store_reader_db(r), SQL_PARTIAL_EACH, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, indicator, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, from_ms);
    sqlite3_bind_int64(q, 3, to_ms);
    return each_of(r, q, each, ctx, e);
}

enum st store_partial_unput_each(struct store_reader *r,
                                 bool (*each)(void *ctx, const struct store_partial *p), void *ctx,
                                 struct err *e)
{
    sqlite3_stmt *q = store_db_use(store_reader_db(r), SQL_UNPUT_EACH, e);
    return q ? each_of(r, q, each, ctx, e) : ST_IO;
}

struct found {
    struct store_partial *out;
    struct buf *texts;
    enum st st;
};

/* With its texts, which are the statement's: that must be over, or the reader sees nothing new. */
static bool take(void *ctx, const struct store_partial *p)
{
    struct found *f = ctx;
    const char *const text[] = {p->indicator, p->value, p->numerator, p->denominator};
    size_t at[4];
    f->texts->n = 0;
    f->st = ST_OK;
    for (size_t i = 0; i < 4 && f->st == ST_OK; i++) {
        at[i] = f->texts->n;
        f->st = buf_put(f->texts, text[i], strlen(text[i]) + 1);
    }
    if (f->st != ST_OK)
        return false;
    const char *all = (const char *)f->texts->p;
    *f->out = *p;
    f->out->indicator = all + at[0];
    f->out->value = all + at[1];
    f->out->numerator = all + at[2];
    f->out->denominator = all + at[3];
    return false;
}

enum st store_partial_find(struct store_reader *r, const char *indicator, int64_t from_ms,
                           struct store_partial *out, struct buf *texts, struct err *e)
{
    struct found f = {out, texts, ST_NOT_FOUND};
    ERR_TRY(store_partial_each(r, indicator, from_ms, from_ms + 1, take, &f, e));
    return f.st == ST_OK || f.st == ST_NOT_FOUND
               ? f.st
               : err_set(e, f.st, "store %s: no memory for a partial", store_reader_db(r)->path);
}

enum st store_partial_names(struct store_reader *r, bool (*each)(void *ctx, const char *indicator),
                            void *ctx, struct err *e)
{
    sqlite3_stmt *q = store_db_use(store_reader_db(r), SQL_INDICATORS, e);
    enum st st = q ? ST_OK : ST_IO;
    bool more = true;
    while (st == ST_OK && more && (st = store_db_row(store_reader_db(r), q, e)) == ST_OK)
        more = each(ctx, text_of(q, 0));
    if (q)
        sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_partial_dirty_next(struct store_reader *r, int32_t from,
                                 struct store_partial_dirty *out, struct err *e)
{
    const int64_t v[] = {from};
    sqlite3_stmt *q = store_db_ask(store_reader_db(r), SQL_PARTIAL_DIRTY_NEXT, 1, v, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(store_reader_db(r), q, e));
    *out = (struct store_partial_dirty){sqlite3_column_int(q, 0), sqlite3_column_int64(q, 1)};
    sqlite3_reset(q);
    return ST_OK;
}

static enum st day_of(struct store_reader *r, enum store_sql sql, int32_t day,
                      struct store_partial_day *out, struct buf *buf, struct err *e)
{
    const int64_t v[] = {day};
    sqlite3_stmt *q = store_db_ask(store_reader_db(r), sql, 1, v, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(store_reader_db(r), q, e));
    int64_t first = sqlite3_column_int64(q, 1);
    *out = (struct store_partial_day){.day = sqlite3_column_int(q, 0),
                                      .first = first,
                                      .last = first + sqlite3_column_int64(q, 2),
                                      .n = sqlite3_column_int64(q, 3)};
    buf->n = 0;
    enum st st = buf_put(buf, sqlite3_column_blob(q, 4), (size_t)sqlite3_column_bytes(q, 4));
    out->stood = (struct wire_span){buf->p, buf->n};
    sqlite3_reset(q);
    return st == ST_OK ? ST_OK
                       : err_set(e, st, "store %s: no memory for a day", store_reader_db(r)->path);
}

enum st store_partial_day_get(struct store_reader *r, int32_t day, struct store_partial_day *out,
                              struct buf *buf, struct err *e)
{
    return day_of(r, SQL_PARTIAL_DAY_GET, day, out, buf, e);
}

enum st store_partial_day_before(struct store_reader *r, int32_t day, struct store_partial_day *out,
                                 struct buf *buf, struct err *e)
{
    return day_of(r, SQL_PARTIAL_DAY_BEFORE, day, out, buf, e);
}

enum st store_each_meter(struct store_reader *r, int64_t from_ms, int64_t to_ms,
                         void (*each)(void *ctx, struct wire_span series, int64_t at_ms,
                                      struct num last, struct num first),
                         void *ctx, struct err *e)
{
    const int64_t v[] = {from_ms, to_ms};
    sqlite3_stmt *q = store_db_ask(store_reader_db(r), SQL_METER_OF, 2, v, e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(store_reader_db(r), q, e)) == ST_OK) {
        struct wire_entry w;
        struct num last, first;
        store_said_of(q, WIRE_ENTRY_MAINTAIN, &w);
        if (wire_meter_of(&w, &last, &first))
            each(ctx, w.series, w.at_ms, last, first);
    }
    if (q)
        sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_each_touched(struct store_reader *r, int64_t batch,
                           void (*each)(void *ctx, int64_t from_ms, int64_t to_ms), void *ctx,
                           struct err *e)
{
    static const enum store_sql sql[] = {SQL_TOUCHED_CORRECTED, SQL_TOUCHED_MAINTAINED,
                                         SQL_TOUCHED_MOVED};
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
        sqlite3_stmt *q = store_db_ask(store_reader_db(r), sql[i], 1, &batch, e);
        enum st st = q ? ST_OK : ST_IO;
        while (st == ST_OK && (st = store_db_row(store_reader_db(r), q, e)) == ST_OK)
            each(ctx, sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1));
        if (q)
            sqlite3_reset(q);
        if (st != ST_NOT_FOUND)
            return st;
    }
    return ST_OK;
}

enum st store_batches_held(struct store_reader *r, int64_t first, int64_t last, int64_t *n,
                           struct err *e)
{
    const int64_t v[] = {first, last};
    return store_db_int(store_reader_db(r), SQL_BATCH_BETWEEN, 2, v, n, e);
}
