/* The journal: polls that wait to be sealed, as frames in RAM and as blobs in the file.
 *
 * A blob is zstd over CBOR: [1, [frame, …]], frame = [device, due_ms, t_ms, grade, boot, cause,
 * n, records, [missed point, …]]; `records` are the SenML bytes that the batch will carry, so that
 * a reading is encoded once and a later version can read an older journal. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_VERSION 1
#define JOURNAL_BLOB_MAX (64 * 1024 * 1024) /* all frames, each missed point with its name */
#define ZSTD_LEVEL 1
#define RETRY_MS 1000 /* after a failed commit */

void store_fault(struct store *s, const char *text)
{
    pthread_mutex_lock(&s->board_lock);
    snprintf(s->stats.fault, sizeof s->stats.fault, "%s", text);
    pthread_mutex_unlock(&s->board_lock);
    pthread_mutex_lock(&s->lock);
    s->faulty = text[0] != 0;
    pthread_mutex_unlock(&s->lock);
}

/* ---- queue to frames ---- */

static bool frame_room(const struct store *s, uint32_t n)
{
    /* A record takes less than point + value + time + flags. */
    size_t senml = (size_t)n * (WIRE_POINT_MAX + 32) + 256;
    return s->nframes < STORE_FRAMES && s->nindex + n <= STORE_INDICES &&
           s->senml.n + senml <= s->senml.max;
}

static uint32_t grade_flags(enum clk_grade g)
{
    return g == CLK_UNKNOWN ? WIRE_Q_TIME_UNKNOWN : g == CLK_CORRECTED ? WIRE_Q_TIME_CORRECTED : 0;
}

static enum st frame_add(struct store *s, const struct store_poll *p, const struct store_value *v)
{
    struct store_frame *f = &s->frames[s->nframes];
    *f = (struct store_frame){.device = p->device,
                              .due_ms = p->due_ms,
                              .t_ms = p->t_ms,
                              .grade = p->grade,
                              .cause = p->cause,
                              .got = s->index + s->nindex};
    memcpy(f->boot, s->boot, sizeof f->boot);
    uint32_t *index = s->index + s->nindex;
    for (uint32_t i = 0; i < p->n; i++) {
        if (v[i].v.kind == NUM_NONE)
            continue;
        s->record[f->ngot] = (struct wire_record){&s->ser[v[i].series].point->wire, v[i].v,
                                                  v[i].q | grade_flags(p->grade)};
        index[f->ngot++] = v[i].series;
    }
    f->missed = index + f->ngot;
    for (uint32_t i = 0; i < p->n; i++)
        if (v[i].v.kind == NUM_NONE)
            index[f->ngot + f->nmissed++] = v[i].series;
    f->n = f->ngot;
    size_t at = s->senml.n;
    if (f->n) {
        enum st st = wire_senml_poll(&s->senml, s->dev[p->device].base, p->t_ms, s->record, f->n);
        if (st != ST_OK)
            return st;
    }
    f->senml = s->senml.p + at;
    f->senml_n = s->senml.n - at;
    s->nindex += p->n;
    s->waiting += f->n;
    s->nframes++;
    return ST_OK;
}

/* Turns a device's lost polls into one frame that misses all its series from the first due time. */
static enum st frame_lost(struct store *s, uint32_t device, const struct store_lost *l)
{
    struct store_dev *d = &s->dev[device];
    struct store_poll p = {.device = device,
                           .due_ms = l->due_ms,
                           .t_ms = l->t_ms,
                           .grade = l->grade,
                           .cause = l->cause,
                           .n = d->n};
    struct store_value *v = calloc(d->n, sizeof *v);
    if (!v)
        return ST_MEMORY;
    for (uint32_t i = 0; i < d->n; i++)
        v[i].series = d->first + i;
    enum st st = frame_add(s, &p, v);
    free(v);
    return st;
}

/* Losses are told behind the polls that were queued before them, as soon as there is room. */
static enum st drain_lost(struct store *s)
{
    enum st st = ST_OK;
    s->any_lost_out = false;
    for (uint32_t i = 0; i < s->ndev && st == ST_OK; i++) {
        struct store_lost *l = &s->lost_out[i];
        if (l->is && frame_room(s, s->dev[i].n)) {
            st = frame_lost(s, i, l);
            l->is = false;
        }
        s->any_lost_out = s->any_lost_out || l->is;
    }
    return st;
}

/* The writer takes the filled buffer, and with it what did not fit into it. */
static void swap_queue(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    uint8_t *full = s->in;
    s->in = s->out;
    s->out = full;
    s->out_n = s->in_n;
    s->out_at = 0;
    s->in_n = 0;
    s->polls_queued = 0;
    if (s->any_lost) {
        struct store_lost *lost = s->lost;
        s->lost = s->lost_out;
        s->lost_out = lost;
        s->any_lost_out = true;
        s->any_lost = false;
    }
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->lock);
}

/* Takes queued polls into frames while there is room. What does not fit stays queued. */
static enum st drain(struct store *s, struct err *e)
{
    if (s->out_at == s->out_n && !s->any_lost_out)
        swap_queue(s);
    while (s->out_at < s->out_n) {
        struct store_poll p;
        memcpy(&p, s->out + s->out_at, sizeof p);
        if (!frame_room(s, p.n))
            break;
        const struct store_value *v =
            (const struct store_value *)(const void *)(s->out + s->out_at + sizeof p);
        enum st st = frame_add(s, &p, v);
        if (st != ST_OK)
            return err_set(e, st, "store %s: a poll of %s could not be encoded", s->path,
                           s->dev[p.device].d.id);
        s->out_at += sizeof p + p.n * sizeof *v;
    }
    enum st st = s->any_lost_out && s->out_at == s->out_n ? drain_lost(s) : ST_OK;
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: a gap could not be noted", s->path);
}

bool store_crowded(const struct store *s)
{
    return s->nframes > STORE_FRAMES / 4 * 3 || s->nindex > STORE_INDICES / 4 * 3 ||
           s->senml.n > s->senml.max / 4 * 3;
}

size_t store_frames(struct store *s, const struct store_frame **frames)
{
    *frames = s->frames;
    return s->nframes;
}

void store_frames_drop(struct store *s, const bool *use)
{
    size_t kept = 0, senml = 0, index = 0;
    s->waiting = 0;
    for (size_t i = 0; i < s->nframes; i++) {
        if (use[i])
            continue;
        struct store_frame f = s->frames[i];
        memmove(s->senml.p + senml, f.senml, f.senml_n);
        memmove(s->index + index, f.got, (f.ngot + (size_t)f.nmissed) * sizeof *s->index);
        f.senml = s->senml.p + senml;
        f.got = s->index + index;
        f.missed = f.got + f.ngot;
        senml += f.senml_n;
        index += f.ngot + (size_t)f.nmissed;
        s->waiting += f.n;
        s->frames[kept++] = f;
    }
    s->nframes = s->njournalled = kept;
    s->senml.n = senml;
    s->nindex = index;
    s->journal_due.ms = clk_mono(s->clk).ms + s->cfg.journal_every_ms;
}

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

static enum st blob_encode(const struct store *s, size_t first, const bool *skip, size_t n,
                           struct buf *blob)
{
    ERR_TRY(wire_put_array(blob, 2));
    ERR_TRY(wire_put_uint(blob, JOURNAL_VERSION));
    ERR_TRY(wire_put_array(blob, n));
    for (size_t i = first; i < s->nframes; i++)
        if (!skip || !skip[i])
            ERR_TRY(frame_encode(s, &s->frames[i], blob));
    return ST_OK;
}

static enum st blob_pack(const struct buf *blob, struct buf *packed, struct err *e)
{
    struct wire_zstd *z = NULL;
    ERR_TRY(wire_zstd_open(&z, e));
    enum st st = wire_zstd_pack(z, ZSTD_LEVEL, blob->p, blob->n, packed, e);
    wire_zstd_close(z);
    return st;
}

static enum st blob_add(struct store *s, const struct buf *packed, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_JOURNAL_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob64(q, 1, packed->p, packed->n, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

/* What a commit takes it gives back: commits are rare beside polls. */
enum st store_journal_write(struct store *s, size_t first, const bool *skip, struct err *e)
{
    size_t n = 0;
    for (size_t i = first; i < s->nframes; i++)
        n += !skip || !skip[i];
    if (n == 0)
        return ST_OK;
    struct buf blob, packed;
    buf_init(&blob, JOURNAL_BLOB_MAX);
    buf_init(&packed, JOURNAL_BLOB_MAX);
    enum st st = blob_encode(s, first, skip, n, &blob);
    if (st != ST_OK)
        st = err_set(e, st, "store %s: the journal could not be encoded", s->path);
    if (st == ST_OK)
        st = blob_pack(&blob, &packed, e);
    buf_done(&blob);
    if (st == ST_OK)
        st = blob_add(s, &packed, e);
    buf_done(&packed);
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
    buf_init(&raw, JOURNAL_BLOB_MAX);
    enum st st = wire_zstd_unpack(packed.p, packed.n, JOURNAL_BLOB_MAX, &raw, e);
    struct wire_reader r = {raw.p, raw.p, raw.p + raw.n};
    struct wire_item it = {0};
    if (st == ST_OK)
        st = want(&r, WIRE_ARRAY, &it, e);
    if (st == ST_OK)
        st = want(&r, WIRE_UINT, &it, e);
    if (st == ST_OK && it.u != JOURNAL_VERSION)
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
        !frame_room(s, (uint32_t)(x->n + x->nmissed)))
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

enum st store_journal_read(struct store *s, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_JOURNAL_ALL, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        struct wire_span packed = {sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0)};
        st = store_entries_each(packed, frame_restore, s, e);
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(q);
    s->njournalled = s->nframes;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- the writer's step ---- */

static void run_calls(struct store *s)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct store_call_node *c = s->calls;
        if (c)
            s->calls = c->next;
        pthread_mutex_unlock(&s->lock);
        if (!c)
            return;
        enum st st = c->fn(s, c->arg, &c->e);
        pthread_mutex_lock(&s->lock);
        c->st = st;
        c->done = true; /* from here the caller's stack may be gone */
        pthread_cond_broadcast(&s->called);
        pthread_mutex_unlock(&s->lock);
    }
}

static enum st commit(struct store *s, struct err *e)
{
    uint32_t events = 0;
    enum st st = store_room(s, e);
    if (st == ST_OK)
        st = store_db_begin(&s->db, e);
    if (st != ST_OK)
        return st;
    st = store_journal_write(s, s->njournalled, NULL, e);
    if (st == ST_OK)
        st = store_events_write(s, &events, e);
    st = store_db_end(&s->db, st, e);
    if (st != ST_OK)
        return st;
    s->njournalled = s->nframes;
    store_events_written(s, events);
    return ST_OK;
}

enum st store_step(struct store *s, bool flush, struct err *e)
{
    run_calls(s);
    struct err why = {0};
    enum st st = drain(s, &why);
    int64_t now = clk_mono(s->clk).ms;
    if (st == ST_OK && (flush || now >= s->journal_due.ms)) {
        pthread_mutex_lock(&s->lock);
        bool events = s->nevents > 0;
        pthread_mutex_unlock(&s->lock);
        if (s->njournalled < s->nframes || events) {
            st = commit(s, &why);
            store_fault(s, st == ST_OK ? "" : why.text);
            if (st == ST_OK)
                store_stats_refresh(s);
        }
        s->journal_due.ms = now + (st == ST_OK ? s->cfg.journal_every_ms : RETRY_MS);
    }
    pthread_mutex_lock(&s->board_lock);
    s->stats.readings_waiting = (int64_t)s->waiting;
    pthread_mutex_unlock(&s->board_lock);
    if (st != ST_OK && e)
        *e = why;
    return st;
}

struct mono store_due(const struct store *s)
{
    return s->journal_due;
}
