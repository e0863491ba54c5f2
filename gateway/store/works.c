/* What was done to a device, as `maintain` entries say, and the serial number that it was last
 * known by: for collect, which asks through the writer. */
#include <stdio.h>
#include <string.h>

#include "gateway/store/store_int.h"

uint64_t store_works(struct store *s)
{
    return atomic_load(&s->works);
}

static bool is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

void store_work_serial(const struct wire_entry *x, const char *which, char out[STORE_NOTE_BYTES])
{
    struct wire_reader r = {x->arguments.p, x->arguments.p, x->arguments.p + x->arguments.n};
    struct wire_item map, key, value;
    out[0] = '\0';
    if (wire_next(&r, &map, NULL) != ST_OK || map.type != WIRE_MAP)
        return;
    for (uint64_t i = 0; i < map.u; i++) {
        if (wire_next(&r, &key, NULL) != ST_OK)
            return;
        if (key.type != WIRE_TEXT || !is(key.span, which)) {
            if (wire_skip(&r, NULL) != ST_OK)
                return;
        } else if (wire_next(&r, &value, NULL) != ST_OK || value.type != WIRE_TEXT ||
                   value.span.n >= STORE_NOTE_BYTES) {
            return;
        } else {
            memcpy(out, value.span.p, value.span.n);
            out[value.span.n] = '\0';
        }
    }
}

struct asked {
    const char *device, *point;
    struct store_work *out;
};

/* Of the device (all its series lie from "device/" to "device0", the next character) or of one
 * series. */
static enum st last_call(struct store *s, void *arg, struct err *e)
{
    const struct asked *a = arg;
    char from[WIRE_SERIES_BYTES], to[WIRE_SERIES_BYTES];
    (void)snprintf(from, sizeof from, "%s/%s", a->device, a->point ? a->point : "");
    (void)snprintf(to, sizeof to, a->point ? "%s/%s" : "%s0", a->device, a->point);
    sqlite3_stmt *q = store_db_use(&s->db, SQL_WORK_LAST, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, from, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, to, -1, SQLITE_STATIC);
    for (;;) {
        struct wire_entry x;
        struct store_work w = {.last = {.kind = NUM_NONE}, .first = {.kind = NUM_NONE}};
        enum st st = store_db_row(&s->db, q, e);
        if (st != ST_OK)
            return st; /* and the statement is at its end */
        store_said_of(q, WIRE_ENTRY_MAINTAIN, &x);
        w.at_ms = x.at_ms;
        store_work_serial(&x, "new_serial", w.serial);
        if (a->point ? wire_meter_of(&x, &w.last, &w.first) : w.serial[0] != '\0') {
            *a->out = w;
            sqlite3_reset(q);
            return ST_OK;
        }
    }
}

enum st store_work_last(struct store *s, const char *device, const char *point,
                        struct store_work *out, struct err *e)
{
    struct asked a = {device, point, out};
    return store_call(s, last_call, &a, e);
}

/* ---- notes ---- */

struct note {
    char key[WIRE_SERIES_BYTES + 16];
    const char *text;
};

struct walk {
    const char *kind;
    void (*each)(void *ctx, const char *name, const char *text);
    void *ctx;
};

/* All keys from "kind " to "kind!", the next character. */
static enum st each_call(struct store *s, void *arg, struct err *e)
{
    const struct walk *w = arg;
    char from[32], to[32], text[STORE_NOTE_BYTES];
    enum st st;
    (void)snprintf(from, sizeof from, "%s ", w->kind);
    (void)snprintf(to, sizeof to, "%s!", w->kind);
    sqlite3_stmt *q = store_db_use(&s->db, SQL_META_EACH, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, from, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, to, -1, SQLITE_STATIC);
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        const char *key = (const char *)sqlite3_column_text(q, 0);
        int n = sqlite3_column_bytes(q, 1);
        (void)snprintf(text, sizeof text, "%.*s", n,
                       n > 0 ? (const char *)sqlite3_column_blob(q, 1) : "");
        if (key && text[0])
            w->each(w->ctx, key + strlen(from), text);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_notes_each(struct store *s, const char *kind,
                         void (*each)(void *ctx, const char *name, const char *text), void *ctx,
                         struct err *e)
{
    struct walk w = {kind, each, ctx};
    return store_call(s, each_call, &w, e);
}

static enum st set_call(struct store *s, void *arg, struct err *e)
{
    const struct note *n = arg;
    return store_meta_set(s, n->key, n->text, strlen(n->text), e);
}

enum st store_note_set(struct store *s, const char *kind, const char *name, const char *text,
                       struct err *e)
{
    struct note n = {.text = text};
    if (strlen(text) >= STORE_NOTE_BYTES)
        return err_set(e, ST_BAD, "store: a note of %zu bytes", strlen(text));
    (void)snprintf(n.key, sizeof n.key, "%s %s", kind, name);
    return store_call(s, set_call, &n, e);
}

/* ---- rollover ---- */

enum st store_meter_rolled(struct store *s, const char *device, const char *point, int64_t at_ms,
                           struct num last, struct num first, struct err *e)
{
    char series[WIRE_SERIES_BYTES], from[24], a[NUM_TEXT_BYTES], b[NUM_TEXT_BYTES];
    struct store_request q;
    (void)snprintf(series, sizeof series, "%s/%s", device, point);
    (void)snprintf(from, sizeof from, "%lld", (long long)at_ms);
    const struct store_ask ask = {
        .kind = STORE_MAINTAIN,
        .series = series,
        .from = from,
        .work = "meter",
        .detail = {{"last", num_text(last, a)}, {"first", num_text(first, b)}, {"why", "rollover"}},
        .details = 3};
    enum st st = store_request_make(&q, &ask, "fieldpost", at_ms, NULL, e);
    if (st == ST_OK)
        st = store_request_put(store_path(s), &q, e);
    store_request_free(&q);
    return st;
}
