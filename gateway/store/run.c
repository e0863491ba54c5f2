/* How the run before this one ended: its events say, and what it left says until when it lived. */
#include <limits.h>
#include <string.h>

#include "gateway/store/store_int.h"

static bool is_end(void *ctx, const struct store_event *v)
{
    struct store_last_run *x = ctx;
    bool start = strcmp(v->code, "start") == 0, stop = strcmp(v->code, "stop") == 0;
    x->cut = start;
    if (v->grade != CLK_UNKNOWN && v->t_ms > x->life_ms)
        x->life_ms = v->t_ms;
    return !start && !stop;
}

static void later(int64_t *ms, int64_t than_ms, bool known)
{
    if (known && than_ms > *ms)
        *ms = than_ms;
}

enum st store_last_run(struct store *s, struct store_last_run *out, struct err *e)
{
    struct store_reader *r = NULL;
    const struct store_frame *f;
    int64_t end_ms = 0;
    *out = (struct store_last_run){.life_ms = 0};
    enum st st = store_reader_open_in(&r, s, e);
    if (st == ST_OK)
        st = store_each_event(r, 0, INT_MAX, is_end, out, e);
    store_reader_close(r);
    if (st == ST_OK && out->cut)
        st = store_latest_end(s, &end_ms, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    later(&out->life_ms, end_ms, end_ms >= 2 * CLK_UNKNOWN_BASE_MS);
    for (size_t n = store_frames(s, &f); out->cut && n-- > 0;)
        later(&out->life_ms, f[n].t_ms, f[n].grade != CLK_UNKNOWN);
    return ST_OK;
}
