/* A journal blob: polls that wait to be sealed, as bytes.
 *
 * zstd over CBOR: [1, [frame, …]], frame = [device, due_ms, t_ms, grade, boot, cause, n, records,
 * [missed point, …]]; `records` are the SenML bytes that the batch will carry, so that a reading is
 * encoded once and a later version can read an older journal. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <string.h>

#define BLOB_VERSION 1
#define ZSTD_LEVEL 1

/* ---- frames to blob ---- */

/* The device's id: from the plan, or from the records when the plan no longer has it. */
static struct wire_span frame_device(const struct store *s, const struct store_frame *f)
{
    if (f->device != UINT32_MAX) {
        const char *id = s->dev[f->device].d.id;
        return (struct wire_span){(const uint8_t *)id, strlen(id)};
    }
    struct wire_senml it;
    struct wire_reading r = {.device = {(const uint8_t *)"", 0}};
    wire_senml_open_records(&it, f->senml, f->senml_n, f->n, NULL);
    if (wire_senml_next(&it, &r, NULL) != ST_OK)
        r.device.n = 0;
    return r.device;
}

static enum st put_span_text(struct buf *b, struct wire_span t)
{
    char text[80];
    snprintf(text, sizeof text, "%.*s", (int)t.n, (const char *)t.p);
    return wire_put_text(b, text);
}

static enum st frame_encode(const struct store *s, const struct store_frame *f, struct buf *b)
{
    ERR_TRY(wire_put_array(b, 9));
    ERR_TRY(put_span_text(b, frame_device(s, f)));
    ERR_TRY(wire_put_int(b, f->due_ms));
    ERR_TRY(wire_put_int(b, f->t_ms));
    ERR_TRY(wire_put_uint(b, (uint64_t)f->grade));
    ERR_TRY(wire_put_bytes(b, f->boot, sizeof f->boot));
    ERR_TRY(wire_put_uint(b, (uint64_t)f->cause));
    ERR_TRY(wire_put_uint(b, f->n));
    ERR_TRY(wire_put_bytes(b, f->senml, f->senml_n));
    ERR_TRY(wire_put_array(b, f->nmissed));
    for (uint32_t i = 0; i < f->nmissed; i++)
        ERR_TRY(wire_put_text(b, s->ser[f->missed[i]].s.point));
    return ST_OK;
}

static enum st blob_encode(const struct store *s, size_t first, size_t last, const bool *skip,
                           size_t n, struct buf *blob)
{
    ERR_TRY(wire_put_array(blob, 2));
    ERR_TRY(wire_put_uint(blob, BLOB_VERSION));
    ERR_TRY(wire_put_array(blob, n));
    for (size_t i = first; i < last; i++)
        if (!skip || !skip[i])
            ERR_TRY(frame_encode(s, &s->frames[i], blob));
    return ST_OK;
}

/* What a commit takes it gives back: commits are rare beside polls. */
enum st store_blob_make(struct store *s, size_t first, size_t last, const bool *skip,
                        struct buf *out, size_t *n, struct err *e)
{
    *n = 0;
    for (size_t i = first; i < last; i++)
        *n += !skip || !skip[i];
    if (*n == 0)
        return ST_OK;
    struct buf blob;
    struct wire_zstd *z = NULL;
    buf_init(&blob, STORE_BLOB_MAX);
    enum st st = blob_encode(s, first, last, skip, *n, &blob);
    if (st != ST_OK)
        st = err_set(e, st, "store %s: the journal could not be encoded", s->path);
    if (st == ST_OK)
        st = wire_zstd_open(&z, e);
    if (st == ST_OK)
        st = wire_zstd_pack(z, ZSTD_LEVEL, blob.p, blob.n, out, e);
    wire_zstd_close(z);
    buf_done(&blob);
    return st;
}

/* ---- blob to frames ---- */

static enum st want(struct wire_reader *r, enum wire_type type, struct wire_item *it, struct err *e)
{
    enum st st = wire_next(r, it, e);
    if (st == ST_OK && it->type != type)
        st = err_set(e, ST_CORRUPT, "journal: a field has the wrong type");
    return st;
}

static enum st want_int(struct wire_reader *r, int64_t *v, struct err *e)
{
    struct wire_item it;
    ERR_TRY(wire_next(r, &it, e));
    if ((it.type != WIRE_UINT && it.type != WIRE_NINT) || it.u > INT64_MAX)
        return err_set(e, ST_CORRUPT, "journal: a time is no integer");
    *v = it.type == WIRE_UINT ? (int64_t)it.u : -1 - (int64_t)it.u;
    return ST_OK;
}

static enum st entry_read(struct wire_reader *r, struct store_entry *x, struct err *e)
{
    struct wire_item it;
    ERR_TRY(want(r, WIRE_ARRAY, &it, e));
    if (it.u != 9)
        return err_set(e, ST_CORRUPT, "journal: a frame has %llu fields", (unsigned long long)it.u);
    ERR_TRY(want(r, WIRE_TEXT, &it, e));
    x->device = it.span;
    ERR_TRY(want_int(r, &x->due_ms, e));
    ERR_TRY(want_int(r, &x->t_ms, e));
    ERR_TRY(want(r, WIRE_UINT, &it, e));
    x->grade = it.u;
    ERR_TRY(want(r, WIRE_BYTES, &it, e));
    x->boot = it.span;
    ERR_TRY(want(r, WIRE_UINT, &it, e));
    x->cause = it.u;
    ERR_TRY(want(r, WIRE_UINT, &it, e));
    x->n = it.u;
    ERR_TRY(want(r, WIRE_BYTES, &it, e));
    x->senml = it.span;
    ERR_TRY(want(r, WIRE_ARRAY, &it, e));
    x->nmissed = it.u;
    x->missed = *r;
    for (uint64_t i = 0; i < x->nmissed; i++)
        ERR_TRY(want(r, WIRE_TEXT, &it, e));
    if (x->grade > CLK_UNKNOWN || x->cause >= STORE_CAUSES || x->boot.n != WIRE_ID_BYTES)
        return err_set(e, ST_CORRUPT, "journal: a frame has an unknown grade, cause or boot");
    return ST_OK;
}

enum st store_entries_each(struct wire_span packed,
                           enum st (*each)(void *ctx, const struct store_entry *x, struct err *e),
                           void *ctx, struct err *e)
{
    struct buf raw;
    buf_init(&raw, STORE_BLOB_MAX);
    enum st st = wire_zstd_unpack(packed.p, packed.n, STORE_BLOB_MAX, &raw, e);
    struct wire_reader r = {raw.p, raw.p, raw.p + raw.n};
    struct wire_item it = {0};
    if (st == ST_OK)
        st = want(&r, WIRE_ARRAY, &it, e);
    if (st == ST_OK)
        st = want(&r, WIRE_UINT, &it, e);
    if (st == ST_OK && it.u != BLOB_VERSION)
        st = err_set(e, ST_UNSUPPORTED, "journal: version %llu is not known",
                     (unsigned long long)it.u);
    if (st == ST_OK)
        st = want(&r, WIRE_ARRAY, &it, e);
    for (uint64_t n = it.u; st == ST_OK && n; n--) {
        struct store_entry x;
        st = entry_read(&r, &x, e);
        if (st == ST_OK)
            st = each(ctx, &x, e);
    }
    buf_done(&raw);
    return st;
}

static bool span_is(struct wire_span t, const char *text)
{
    return t.n == strlen(text) && memcmp(t.p, text, t.n) == 0;
}

static uint32_t find_device(const struct store *s, struct wire_span id)
{
    for (uint32_t i = 0; i < s->ndev; i++)
        if (span_is(id, s->dev[i].d.id))
            return i;
    return UINT32_MAX;
}

static bool find_series(const struct store *s, uint32_t device, struct wire_span point,
                        uint32_t *index)
{
    if (device == UINT32_MAX)
        return false;
    const struct store_dev *d = &s->dev[device];
    for (uint32_t i = d->first; i < d->first + d->n; i++)
        if (span_is(point, s->ser[i].s.point)) {
            *index = i;
            return true;
        }
    return false;
}

/* One frame of an earlier run, back into RAM. Series that the plan lost keep their records. */
static enum st frame_restore(void *ctx, const struct store_entry *x, struct err *e)
{
    struct store *s = ctx;
    if (x->n > STORE_POLL_MAX || x->nmissed > STORE_POLL_MAX ||
        !store_frame_room(s, (uint32_t)(x->n + x->nmissed)))
        return err_set(e, ST_FULL, "journal: more frames than this version can hold");
    struct store_frame *f = &s->frames[s->nframes];
    *f = (struct store_frame){.device = find_device(s, x->device),
                              .due_ms = x->due_ms,
                              .t_ms = x->t_ms,
                              .grade = (enum clk_grade)x->grade,
                              .cause = (enum store_cause)x->cause,
                              .n = (uint32_t)x->n,
                              .got = s->index + s->nindex,
                              .senml = s->senml.p + s->senml.n,
                              .senml_n = x->senml.n};
    memcpy(f->boot, x->boot.p, sizeof f->boot);
    ERR_TRY(buf_put(&s->senml, x->senml.p, x->senml.n));
    uint32_t *index = s->index + s->nindex;
    struct wire_senml it;
    struct wire_reading w;
    wire_senml_open_records(&it, f->senml, f->senml_n, f->n, NULL);
    enum st st;
    while ((st = wire_senml_next(&it, &w, e)) == ST_OK)
        if (find_series(s, f->device, w.point, &index[f->ngot]))
            f->ngot++;
    if (st != ST_NOT_FOUND)
        return st;
    f->missed = index + f->ngot;
    struct wire_reader r = x->missed;
    for (uint64_t i = 0; i < x->nmissed; i++) {
        struct wire_item t;
        ERR_TRY(wire_next(&r, &t, e));
        if (find_series(s, f->device, t.span, &index[f->ngot + f->nmissed]))
            f->nmissed++;
    }
    s->nindex += f->ngot + (size_t)f->nmissed;
    s->waiting += f->n;
    s->nframes++;
    return ST_OK;
}

enum st store_blob_restore(void *ctx, struct wire_span packed, struct err *e)
{
    return store_entries_each(packed, frame_restore, ctx, e);
}
