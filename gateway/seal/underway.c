/* Polls that were due before a window ended and that nothing tells of yet: a slow answer may be on
 * its way. A run that is killed meanwhile takes the knowledge with it, and the series would be
 * silent up to its next tick, which may be a week away. So the names stand in the store while there
 * are any, each with when it was due: "device/point due\n". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/seal/seal_int.h"

#define KEY "underway"
#define BYTES_MAX ((size_t)64 * 1024) /* what does not fit is not kept */

static void list_one(void *ctx, uint32_t series, int64_t due_ms)
{
    struct seal *l = ctx;
    const struct store_series *s = store_series_at(l->store, series);
    const char *device = store_device_at(l->store, s->device)->id;
    (void)!buf_printf(&l->underway_now, "%s/%s %" PRId64 "\n", device, s->point, due_ms);
}

enum st seal_underway_keep(struct seal *l, int64_t to_ms, struct err *e)
{
    struct buf *now = &l->underway_now, *kept = &l->underway;
    if (l->from_unknown || !l->old_done)
        return ST_OK;
    now->n = 0;
    now->max = BYTES_MAX;
    gaps_underway(l->gaps, to_ms, list_one, l);
    if (now->n == kept->n && (now->n == 0 || memcmp(now->p, kept->p, now->n) == 0))
        return ST_OK;
    ERR_TRY(store_meta_set(l->store, KEY, now->n ? (const void *)now->p : "", now->n, e));
    struct buf old = *kept;
    *kept = *now;
    *now = old;
    return ST_OK;
}

static uint32_t find(const struct seal *l, const char *name, size_t n)
{
    for (uint32_t i = 0; i < store_series_count(l->store); i++) {
        const struct store_series *s = store_series_at(l->store, i);
        const char *device = store_device_at(l->store, s->device)->id;
        size_t d = strlen(device), p = strlen(s->point);
        if (n == d + 1 + p && memcmp(name, device, d) == 0 && name[d] == '/' &&
            memcmp(name + d + 1, s->point, p) == 0)
            return i;
    }
    return UINT32_MAX;
}

enum st seal_underway_owe(struct seal *l, struct err *e)
{
    struct buf *kept = &l->underway;
    kept->max = BYTES_MAX + 1;
    kept->n = 0;
    if (l->from_unknown)
        return ST_OK;
    enum st st = store_meta_get(l->store, KEY, kept, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    size_t end = kept->n;
    ERR_TRY(buf_put(kept, "", 1)); /* a text from here on */
    kept->n = end;
    for (const char *at = (const char *)kept->p; *at;) {
        size_t line = strcspn(at, "\n"), name = strcspn(at, " \n");
        uint32_t i = name < line ? find(l, at, name) : UINT32_MAX;
        int64_t due_ms = name < line ? strtoll(at + name, NULL, 10) : 0;
        if (i != UINT32_MAX && due_ms > 0 && due_ms < l->from_ms)
            gaps_owe(l->gaps, i, due_ms);
        at += line + (at[line] == '\n');
    }
    return ST_OK;
}
