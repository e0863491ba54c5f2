/* The numbers of series: those that are configured by their place, those that were once by name. */
#include "gateway/store/rollup_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES WIRE_SERIES_BYTES
#define LOST_MAX 4096 /* numbers in a row that a damaged table may have lost */
#define NUMBERS_MAX ((uint32_t)STORE_ROLL_GROUPS * STORE_ROLL_GROUP)

static bool is(struct wire_span t, const char *text)
{
    return strlen(text) == t.n && memcmp(t.p, text, t.n) == 0;
}

static uint32_t device_of(const struct store_names *x, struct wire_span id)
{
    uint32_t n = x->s->ndev, at = x->device < n ? x->device : 0;
    for (uint32_t i = 0; i < n; i++, at = at + 1 < n ? at + 1 : 0)
        if (is(id, x->s->dev[at].d.id))
            return at;
    return UINT32_MAX;
}

/* The configured series of the device that was named last; UINT32_MAX: none. */
static uint32_t series_of(const struct store_names *x, struct wire_span point)
{
    if (x->device == UINT32_MAX)
        return UINT32_MAX;
    const struct store_dev *d = &x->s->dev[x->device];
    uint32_t end = d->first + d->n, at = x->next >= d->first && x->next < end ? x->next : d->first;
    for (uint32_t i = 0; i < d->n; i++, at = at + 1 < end ? at + 1 : d->first)
        if (is(point, x->s->ser[at].s.point))
            return at;
    return UINT32_MAX;
}

static enum st no_memory(const struct store_names *x, struct err *e)
{
    return err_set(e, ST_MEMORY, "store %s: no memory for rollups", x->s->path);
}

/* Gives the next number; text is copied, NULL for a configured series. */
static enum st add(struct store_names *x, uint32_t ser, const char *text, int32_t quantity,
                   struct err *e)
{
    if (x->n == NUMBERS_MAX)
        return err_set(e, ST_FULL, "store %s: more than %u series", x->s->path, NUMBERS_MAX);
    if (x->n == x->cap) { /* at first all that is configured */
        uint32_t cap = x->cap ? 2 * x->cap : x->s->nser + 1;
        struct store_name *of = reallocarray(x->of, cap, sizeof *of);
        if (!of)
            return no_memory(x, e);
        x->of = of;
        x->cap = cap;
    }
    struct store_name *to = &x->of[x->n];
    *to = (struct store_name){NULL, ser, quantity};
    if (text && !(to->text = strdup(text)))
        return no_memory(x, e);
    if (ser != UINT32_MAX) {
        x->number[ser] = x->n + 1;
        to->quantity = (int32_t)(x->s->ser[ser].s.quantity - quantity_table);
    }
    x->n++;
    return ST_OK;
}

static int32_t quantity_index(const char *key)
{
    const struct quantity *q = key ? quantity_by_key(key) : NULL;
    return q ? (int32_t)(q - quantity_table) : -1;
}

static enum st load(struct store_names *x, uint32_t id, const char *text, const char *quantity,
                    struct err *e)
{
    while (x->n < id) { /* a number that is lost is not given again */
        char lost[16];
        (void)snprintf(lost, sizeof lost, "?%u", x->n);
        ERR_TRY(add(x, UINT32_MAX, lost, -1, e));
    }
    const char *slash = strchr(text, '/');
    uint32_t ser = UINT32_MAX;
    if (slash) {
        x->device = device_of(x, (struct wire_span){(const uint8_t *)text, (size_t)(slash - text)});
        ser = series_of(x, (struct wire_span){(const uint8_t *)slash + 1, strlen(slash + 1)});
        x->next = ser + 1;
    }
    int32_t was = quantity_index(quantity);
    ERR_TRY(add(x, ser, ser == UINT32_MAX ? text : NULL, was, e));
    if (x->of[id].quantity != was && id < x->saved)
        x->saved = id; /* the configuration says otherwise now */
    return ST_OK;
}

enum st store_names_open(struct store_names *x, struct store *s, struct err *e)
{
    *x = (struct store_names){.s = s, .saved = UINT32_MAX};
    x->number = calloc(s->nser ? s->nser : 1, sizeof *x->number);
    if (!x->number)
        return no_memory(x, e);
    sqlite3_stmt *q = store_db_use(&s->db, SQL_SERIES_ALL, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        int64_t id = sqlite3_column_int64(q, 0);
        const char *text = (const char *)sqlite3_column_text(q, 1);
        if (text && id >= x->n && id < x->n + LOST_MAX && id < NUMBERS_MAX)
            st = load(x, (uint32_t)id, text, (const char *)sqlite3_column_text(q, 2), e);
        else /* costs the history of its series, and not the start */
            store_event(s, STORE_ERROR, "rollup.damaged", text,
                        "a row of the table of series is damaged: older charts miss it");
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(q);
    if (x->saved > x->n)
        x->saved = x->n;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void store_names_close(struct store_names *x)
{
    for (uint32_t i = 0; i < x->n; i++)
        free(x->of[i].text);
    free(x->of);
    free(x->number);
    *x = (struct store_names){.s = NULL};
}

const char *store_names_get(const struct store_names *x, uint32_t number, char buf[TEXT_BYTES])
{
    const struct store_name *n = &x->of[number];
    if (n->text)
        return n->text;
    const struct store_series *s = &x->s->ser[n->ser].s;
    (void)snprintf(buf, TEXT_BYTES, "%s/%s", x->s->dev[s->device].d.id, s->point);
    return buf;
}

/* A series that the configuration has no more. */
static enum st find_old(struct store_names *x, const struct wire_skimmed *w, uint32_t *number,
                        struct err *e)
{
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%.*s/%.*s", (int)w->device.n, (const char *)w->device.p,
                   (int)w->point.n, (const char *)w->point.p);
    uint32_t at = x->old < x->n ? x->old : 0;
    for (uint32_t i = 0; i < x->n; i++, at = at + 1 < x->n ? at + 1 : 0)
        if (x->of[at].text && strcmp(x->of[at].text, text) == 0) {
            *number = at;
            x->old = at + 1;
            return ST_OK;
        }
    *number = x->n;
    x->old = x->n + 1;
    return add(x, UINT32_MAX, text, -1, e);
}

void store_names_device(struct store_names *x, struct wire_span device)
{
    x->device = device_of(x, device);
}

enum st store_names_find(struct store_names *x, const struct wire_skimmed *w, uint32_t *number,
                         struct err *e)
{
    uint32_t ser = series_of(x, w->point);
    if (ser == UINT32_MAX)
        return find_old(x, w, number, e);
    x->next = ser + 1;
    return store_names_of(x, ser, number, e);
}

enum st store_names_of(struct store_names *x, uint32_t ser, uint32_t *number, struct err *e)
{
    if (!x->number[ser])
        ERR_TRY(add(x, ser, NULL, -1, e));
    *number = x->number[ser] - 1;
    return ST_OK;
}

enum st store_names_number(struct store_names *x, struct wire_span series, uint32_t *number,
                           struct err *e)
{
    const uint8_t *slash = memchr(series.p, '/', series.n);
    uint32_t device = x->device, next = x->next, old = x->old;
    if (!slash)
        return err_set(e, ST_CORRUPT, "store %s: an entry names no series", x->s->path);
    size_t n = (size_t)(slash - series.p);
    struct wire_skimmed w = {.device = {series.p, n}, .point = {slash + 1, series.n - n - 1}};
    store_names_device(x, w.device);
    enum st st = store_names_find(x, &w, number, e);
    x->device = device;
    x->next = next;
    x->old = old;
    return st;
}

enum st store_names_text(const struct store_names *x, const char *text, uint32_t *number)
{
    char buf[TEXT_BYTES];
    for (*number = 0; *number < x->n; ++*number)
        if (strcmp(store_names_get(x, *number, buf), text) == 0)
            return ST_OK;
    return ST_NOT_FOUND;
}

bool store_names_counter(const struct store_names *x, uint32_t number)
{
    int32_t q = x->of[number].quantity;
    return q >= 0 && quantity_table[q].counter;
}

enum st store_names_write(struct store_names *x, struct err *e)
{
    char buf[TEXT_BYTES];
    for (uint32_t i = x->saved; i < x->n; i++) {
        int64_t id = i;
        sqlite3_stmt *q = store_db_ask(&x->s->db, SQL_SERIES_SET, 1, &id, e);
        if (!q)
            return ST_IO;
        int32_t quantity = x->of[i].quantity;
        sqlite3_bind_text(q, 2, store_names_get(x, i, buf), -1, SQLITE_STATIC);
        if (quantity >= 0)
            sqlite3_bind_text(q, 3, quantity_table[quantity].key, -1, SQLITE_STATIC);
        ERR_TRY(store_db_run(&x->s->db, q, e));
    }
    return ST_OK;
}
