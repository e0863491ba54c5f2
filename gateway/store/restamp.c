/* Frames that wait to be sealed get the time that was unknown when they were polled. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 160

struct restamp {
    struct store *s;
    int64_t add_ms;
    struct buf out; /* the records of all frames, in their order */
    size_t *at;     /* per frame: where its records begin */
    struct wire_point *points;
};

static void span_text(struct wire_span from, char to[NAME_BYTES])
{
    (void)snprintf(to, NAME_BYTES, "%.*s", (int)from.n, (const char *)from.p);
}

/* The records of a poll, decoded and encoded again: value, unit and order stay. */
static enum st encode(struct restamp *r, const struct store_frame *f, struct err *e)
{
    struct store *s = r->s;
    struct wire_senml it;
    struct wire_reading w;
    char base[NAME_BYTES] = "", name[NAME_BYTES], unit[NAME_BYTES];
    size_t n = 0;
    wire_senml_open_records(&it, f->senml, f->senml_n, f->n, NULL);
    while (n < STORE_POLL_MAX && wire_senml_next(&it, &w, NULL) == ST_OK) {
        span_text(w.point, name);
        if (w.unit.p)
            span_text(w.unit, unit);
        ERR_TRY(wire_point_init(&r->points[n], name, w.unit.p ? unit : NULL, e));
        uint32_t q = (w.q & ~(uint32_t)WIRE_Q_TIME_UNKNOWN) | WIRE_Q_TIME_CORRECTED;
        s->record[n] = (struct wire_record){&r->points[n], w.v, q};
        n++;
    }
    if (n != f->n)
        return err_set(e, ST_CORRUPT, "store %s: a poll that waits cannot be read", s->path);
    span_text(it.base, base);
    enum st st = n ? wire_senml_poll(&r->out, base, f->t_ms + r->add_ms, s->record, n) : ST_OK;
    return st == ST_OK ? ST_OK
                       : err_set(e, st, "store %s: a poll could not be encoded again", s->path);
}

static bool is_meant(const struct store_frame *f, const uint8_t boot[WIRE_ID_BYTES])
{
    return f->grade == CLK_UNKNOWN && memcmp(f->boot, boot, sizeof f->boot) == 0;
}

static enum st encode_all(struct restamp *r, const uint8_t boot[WIRE_ID_BYTES], struct err *e)
{
    struct store *s = r->s;
    for (size_t i = 0; i < s->nframes; i++) {
        const struct store_frame *f = &s->frames[i];
        r->at[i] = r->out.n;
        if (is_meant(f, boot))
            ERR_TRY(encode(r, f, e));
        else if (buf_put(&r->out, f->senml, f->senml_n) != ST_OK)
            return err_set(e, ST_MEMORY, "store %s: no memory for corrected times", s->path);
    }
    r->at[s->nframes] = r->out.n;
    return ST_OK;
}

static void take_over(struct restamp *r, const uint8_t boot[WIRE_ID_BYTES])
{
    struct store *s = r->s;
    if (r->out.n)
        memcpy(s->senml.p, r->out.p, r->out.n);
    s->senml.n = r->out.n;
    for (size_t i = 0; i < s->nframes; i++) {
        struct store_frame *f = &s->frames[i];
        f->senml = s->senml.p + r->at[i];
        f->senml_n = r->at[i + 1] - r->at[i];
        if (!is_meant(f, boot))
            continue;
        f->t_ms += r->add_ms;
        if (f->due_ms < 2 * CLK_UNKNOWN_BASE_MS) /* the tick may be of another time base */
            f->due_ms += r->add_ms;
        f->grade = CLK_CORRECTED;
    }
}

enum st store_restamp(struct store *s, const uint8_t boot[WIRE_ID_BYTES], int64_t add_ms, size_t *n,
                      struct err *e)
{
    *n = 0;
    for (size_t i = 0; i < s->nframes; i++)
        *n += is_meant(&s->frames[i], boot);
    if (*n == 0)
        return ST_OK;
    struct restamp r = {.s = s, .add_ms = add_ms};
    buf_init(&r.out, STORE_SENML_BYTES + STORE_SENML_MORE);
    r.at = calloc(s->nframes + 1, sizeof *r.at);
    r.points = calloc(STORE_POLL_MAX, sizeof *r.points);
    enum st st = r.at && r.points
                     ? ST_OK
                     : err_set(e, ST_MEMORY, "store %s: no memory for corrected times", s->path);
    if (st == ST_OK)
        st = encode_all(&r, boot, e);
    if (st == ST_OK)
        take_over(&r, boot);
    buf_done(&r.out);
    free(r.points);
    free(r.at);
    return st;
}
