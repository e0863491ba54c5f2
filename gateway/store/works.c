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

/* The text under `new_serial` in the entry's map; "" when there is none that fits. */
static void new_serial(const struct wire_entry *x, char out[STORE_SERIAL_BYTES])
{
    struct wire_reader r = {x->arguments.p, x->arguments.p, x->arguments.p + x->arguments.n};
    struct wire_item map, key, value;
    out[0] = '\0';
    if (wire_next(&r, &map, NULL) != ST_OK || map.type != WIRE_MAP)
        return;
    for (uint64_t i = 0; i < map.u; i++) {
        if (wire_next(&r, &key, NULL) != ST_OK)
            return;
        if (key.type != WIRE_TEXT || !is(key.span, "new_serial")) {
            if (wire_skip(&r, NULL) != ST_OK)
                return;
        } else if (wire_next(&r, &value, NULL) != ST_OK || value.type != WIRE_TEXT ||
                   value.span.n >= STORE_SERIAL_BYTES) {
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
        new_serial(&x, w.serial);
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

/* ---- the serial number ---- */

struct known {
    const char *device;
    char *serial;
};

static void key_of(const struct known *k, char key[WIRE_SERIES_BYTES])
{
    (void)snprintf(key, WIRE_SERIES_BYTES, "serial %s", k->device);
}

static enum st get_call(struct store *s, void *arg, struct err *e)
{
    const struct known *k = arg;
    char key[WIRE_SERIES_BYTES];
    struct buf b;
    key_of(k, key);
    buf_init(&b, STORE_SERIAL_BYTES - 1);
    enum st st = store_meta_get(s, key, &b, e);
    if (st == ST_OK)
        (void)snprintf(k->serial, STORE_SERIAL_BYTES, "%.*s", (int)b.n, (const char *)b.p);
    buf_done(&b);
    return st;
}

enum st store_serial_get(struct store *s, const char *device, char serial[STORE_SERIAL_BYTES],
                         struct err *e)
{
    struct known k = {device, serial};
    return store_call(s, get_call, &k, e);
}

static enum st set_call(struct store *s, void *arg, struct err *e)
{
    const struct known *k = arg;
    char key[WIRE_SERIES_BYTES];
    key_of(k, key);
    return store_meta_set(s, key, k->serial, strlen(k->serial), e);
}

enum st store_serial_set(struct store *s, const char *device, const char *serial, struct err *e)
{
    char text[STORE_SERIAL_BYTES];
    (void)snprintf(text, sizeof text, "%s", serial);
    struct known k = {device, text};
    return store_call(s, set_call, &k, e);
}
