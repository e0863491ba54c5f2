/* What a sealed batch has of one series, taken out of its bytes. */
#include "gateway/store/chart_int.h"

#include <string.h>

/* More than the bytes of a batch can say. */
#define PART_MAX (16 * (size_t)WIRE_BATCH_MAX)

static enum store_cause cause_of(const char *text)
{
    int i = 0;
    while (i < STORE_CAUSES - 1 && strcmp(store_cause_text[i], text) != 0)
        i++;
    return (enum store_cause)i;
}

static bool has_gap(const char *series, const char *gap)
{
    size_t device = strcspn(series, "/") + 1;
    return strcmp(gap, series) == 0 || strcmp(gap, "*") == 0 ||
           (strncmp(gap, series, device) == 0 && strcmp(gap + device, "*") == 0);
}

static enum st take_gaps(struct buf *to, const char *series, const struct wire_header *h,
                         struct err *e)
{
    for (size_t i = 0; i < h->ngaps; i++) {
        const struct wire_gap *g = &h->gaps[i];
        if (!has_gap(series, g->series))
            continue;
        struct store_chart_gap x = {
            .from_ms = g->from_ms, .to_ms = g->to_ms, .cause = cause_of(g->cause)};
        if (buf_put(to, &x, sizeof x) != ST_OK)
            return err_set(e, ST_MEMORY, "no memory for a chart");
    }
    return ST_OK;
}

static bool is(struct wire_span t, const char *other)
{
    return t.n == strlen(other) && memcmp(t.p, other, t.n) == 0;
}

static enum st take_records(struct buf *to, const char *series, const struct wire_batch *b,
                            struct err *e)
{
    const struct wire_span device = {(const uint8_t *)series, strcspn(series, "/")};
    const char *point = series + device.n + 1;
    struct wire_skim it;
    struct wire_skimmed w;
    struct num v;
    enum st st = wire_skim_open(&it, b->cose.payload.p, b->cose.payload.n, e);
    while (st == ST_OK && (st = wire_skim_next(&it, &device, &w, e)) == ST_OK) {
        if (!is(w.point, point))
            continue;
        st = wire_skim_value(&it, &w, &v, e);
        struct store_part_reading x = {
            .t_ms = w.t_ms, .v = v.u, .kind = v.kind, .exp = v.exp, .q = (uint8_t)w.q};
        if (st == ST_OK && buf_put(to, &x, sizeof x) != ST_OK)
            return err_set(e, ST_MEMORY, "no memory for a chart");
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_part_take(struct store_part_bytes *x, const char *series, const struct wire_batch *b,
                        struct store_part *out, struct err *e)
{
    x->gaps.n = x->readings.n = 0;
    ERR_TRY(take_gaps(&x->gaps, series, &b->header, e));
    ERR_TRY(take_records(&x->readings, series, b, e));
    out->gap = (const struct store_chart_gap *)(const void *)x->gaps.p;
    out->gaps = (uint32_t)(x->gaps.n / sizeof *out->gap);
    out->reading = (const struct store_part_reading *)(const void *)x->readings.p;
    out->readings = (uint32_t)(x->readings.n / sizeof *out->reading);
    return ST_OK;
}

void store_part_begin(struct store_part_bytes *x)
{
    buf_init(&x->gaps, PART_MAX);
    buf_init(&x->readings, PART_MAX);
}

void store_part_end(struct store_part_bytes *x)
{
    buf_done(&x->gaps);
    buf_done(&x->readings);
}
