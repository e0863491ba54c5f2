/* Thinning: values of a minute, then of a quarter of an hour, stand for unsent readings when space
 * runs short. Each step is a void entry and one data batch with `for`, in one transaction
 * (batch.md rules 5 and 11; gateway/doc/decisions/0014-limits.md). */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/seal/thin_int.h"

#define TRIES 4 /* rows of batches that one call looks at */
#define UNIT_BYTES 32

/* ---- reading the row ---- */

static enum st read_records(struct thin *t, const struct wire_batch *b, struct err *e)
{
    struct wire_senml m;
    struct wire_reading r;
    ERR_TRY(wire_senml_open(&m, b->cose.payload.p, b->cose.payload.n, NULL, NULL, e));
    enum st st;
    while ((st = wire_senml_next(&m, &r, e)) == ST_OK) {
        struct item *x = &t->in[t->nin];
        *x = (struct item){.t_ms = r.t_ms,
                           .v = r.v,
                           .device = r.device,
                           .unit = r.unit,
                           .at = (uint32_t)t->nin,
                           .q = (uint8_t)r.q};
        seal_name_split(x, r.point);
        t->nin++;
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Adds a gap, joined with one of the same series and cause that it touches. */
static bool gap_add(struct thin *t, const struct wire_gap *g)
{
    for (size_t i = 0; i < t->ngap; i++) {
        struct wire_gap *h = &t->gap[i];
        if (g->from_ms > h->to_ms || g->to_ms < h->from_ms || strcmp(g->cause, h->cause) != 0 ||
            strcmp(g->series, h->series) != 0)
            continue;
        h->from_ms = g->from_ms < h->from_ms ? g->from_ms : h->from_ms;
        h->to_ms = g->to_ms > h->to_ms ? g->to_ms : h->to_ms;
        return true;
    }
    if (t->ngap == SEAL_GAPS_MAX)
        return false;
    t->gap[t->ngap++] = *g;
    return true;
}

static enum st open_batch(struct thin *t, size_t i, struct err *e)
{
    buf_init(&t->cose[i], WIRE_BATCH_MAX);
    ERR_TRY(
        wire_zstd_unpack(t->row[i].packed.p, t->row[i].packed.n, WIRE_BATCH_MAX, &t->cose[i], e));
    return wire_batch_open(&t->batch[i], t->cose[i].p, t->cose[i].n, e);
}

/* Opens the row and cuts it where boot, clock grade or what moves them change. */
static enum st open_row(struct thin *t, struct err *e)
{
    for (size_t i = 0; i < t->nrow; i++) {
        enum st st = open_batch(t, i, e);
        const struct wire_header *a = &t->batch[0].header, *b = &t->batch[i].header;
        bool fits = st == ST_OK && a->clk == b->clk &&
                    memcmp(a->boot, b->boot, sizeof a->boot) == 0 &&
                    t->row[0].add_ms == t->row[i].add_ms && t->row[0].err_ms == t->row[i].err_ms;
        if (i > 0 && !fits) {
            t->nrow = i;
            return ST_OK;
        }
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* Reads the first n batches of the row. ST_FULL: their gaps need more than a header. */
static enum st read_row(struct thin *t, size_t n, struct err *e)
{
    uint64_t records = 1;
    for (size_t i = 0; i < n; i++)
        records += t->row[i].n;
    free(t->in);
    free(t->out);
    t->in = calloc(records, sizeof *t->in);
    t->out = calloc(records, sizeof *t->out); /* a series is thinned only where that is shorter */
    t->nin = t->nout = t->ngap = 0;
    t->gain = false;
    if (!t->in || !t->out)
        return err_set(e, ST_MEMORY, "seal: no memory for thinning");
    for (size_t i = 0; i < n; i++) {
        const struct wire_header *h = &t->batch[i].header;
        ERR_TRY(read_records(t, &t->batch[i], e));
        for (size_t g = 0; g < h->ngaps; g++)
            if (!gap_add(t, &h->gaps[g]))
                return err_set(e, ST_FULL, "seal: too many gaps for one header");
    }
    return ST_OK;
}

/* ---- one series ---- */

static int by_series(const void *va, const void *vb)
{
    const struct item *a = va, *b = vb;
    int d = span_cmp(a->device, b->device);
    d = d ? d : span_cmp(a->point, b->point);
    d = d ? d : (a->t_ms > b->t_ms) - (a->t_ms < b->t_ms);
    return d ? d : (a->at > b->at) - (a->at < b->at);
}

static bool same_series(const struct item *a, const struct item *b)
{
    return span_cmp(a->device, b->device) == 0 && span_cmp(a->point, b->point) == 0;
}

/* ---- the row ---- */

/* What is thinned is a gap, too: its readings are not there. `all`: all that the device has. */
static bool gap_thinned(struct thin *t, const struct item *x, bool all, size_t n)
{
    struct wire_gap g = {.from_ms = t->batch[0].header.from_ms,
                         .to_ms = t->batch[n - 1].header.to_ms,
                         .cause = store_cause_text[STORE_THINNED]};
    char *name = NULL;
    if (g.from_ms >= g.to_ms)
        return true;
    if (t->nname == SEAL_GAPS_MAX ||
        asprintf(&name, "%.*s/%.*s", (int)x->device.n, (const char *)x->device.p,
                 all ? 1 : (int)x->point.n, all ? "*" : (const char *)x->point.p) < 0)
        return false;
    g.series = t->name[t->nname++] = name;
    return gap_add(t, &g);
}

/* Thins the n items of one device. */
static enum st thin_device(struct thin *t, const struct item *x, size_t n, size_t batches,
                           struct err *e)
{
    size_t series = 0, thinned = 0, first_out = t->nout;
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && same_series(&x[k], &x[i]);)
            k++;
        series++;
        thinned += seal_thin_series(t, &x[i], k - i);
    }
    bool all = thinned == series && series > 1, room = true;
    for (size_t i = first_out; i < t->nout && room && thinned; i++) {
        bool begins = i == first_out || !same_series(&t->out[i], &t->out[i - 1]);
        if (begins && t->out[i].what != SEAL_RAW)
            room = gap_thinned(t, &t->out[i], all, batches);
        if (all)
            break;
    }
    return room ? ST_OK : err_set(e, ST_FULL, "seal: too many gaps for one header");
}

static enum st thin_row(struct thin *t, size_t batches, struct err *e)
{
    ERR_TRY(read_row(t, batches, e));
    qsort(t->in, t->nin, sizeof *t->in, by_series);
    for (size_t i = 0, k; i < t->nin; i = k) {
        for (k = i + 1; k < t->nin && span_cmp(t->in[k].device, t->in[i].device) == 0;)
            k++;
        ERR_TRY(thin_device(t, &t->in[i], k - i, batches, e));
    }
    return ST_OK;
}

/* ---- the payload ---- */

/* Records of one device and time stand together, as one poll. */
static int by_poll(const void *va, const void *vb)
{
    const struct item *a = va, *b = vb;
    int d = (a->t_ms > b->t_ms) - (a->t_ms < b->t_ms);
    d = d ? d : span_cmp(a->device, b->device);
    return d ? d : (a->at > b->at) - (a->at < b->at);
}

static size_t poll_length(const struct thin *t, size_t i)
{
    size_t k = i + 1;
    while (k < t->nout && t->out[k].t_ms == t->out[i].t_ms &&
           span_cmp(t->out[k].device, t->out[i].device) == 0)
        k++;
    return k - i;
}

static enum st put_poll(struct thin *t, const struct item *x, size_t n, struct wire_point *point,
                        struct wire_record *record, struct err *e)
{
    char base[2 * SEAL_NAME_BYTES], name[SEAL_NAME_BYTES], unit[UNIT_BYTES];
    (void)snprintf(base, sizeof base, "%s/%.*s/", t->l->gateway, (int)x->device.n,
                   (const char *)x->device.p);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "%.*s%s", (int)x[i].point.n, (const char *)x[i].point.p,
                       seal_suffix[x[i].what]);
        (void)snprintf(unit, sizeof unit, "%.*s", (int)x[i].unit.n,
                       x[i].unit.p ? (const char *)x[i].unit.p : "");
        ERR_TRY(wire_point_init(&point[i], name, x[i].unit.p ? unit : NULL, e));
        record[i] = (struct wire_record){&point[i], x[i].v, x[i].q};
    }
    enum st st = wire_senml_poll(&t->l->payload, base, x->t_ms, record, n);
    return st == ST_OK ? ST_OK : err_set(e, st, "seal: a thinned value could not be encoded");
}

/* The out items as a payload. ST_FULL: too large for one batch. */
static enum st encode(struct thin *t, struct err *e)
{
    size_t most = 0;
    qsort(t->out, t->nout, sizeof *t->out, by_poll);
    for (size_t i = 0, n; i < t->nout; i += n) {
        n = poll_length(t, i);
        most = n > most ? n : most;
    }
    struct wire_point *point = calloc(most + 1, sizeof *point);
    struct wire_record *record = calloc(most + 1, sizeof *record);
    enum st st = point && record ? ST_OK : err_set(e, ST_MEMORY, "seal: no memory for thinning");
    t->l->payload.n = 0;
    if (st == ST_OK)
        st = wire_put_array(&t->l->payload, t->nout);
    for (size_t i = 0, n; i < t->nout && st == ST_OK; i += n) {
        n = poll_length(t, i);
        st = put_poll(t, &t->out[i], n, point, record, e);
    }
    free(point);
    free(record);
    return st;
}

/* ---- one step ---- */

static enum st make_void(struct thin *t, size_t n, struct seal_made *out, struct err *e)
{
    struct seal *l = t->l;
    uint8_t hash[SEAL_ROW_MAX][WIRE_HASH_BYTES];
    for (size_t i = 0; i < n; i++)
        memcpy(hash[i], t->row[i].hash, sizeof hash[i]);
    /* A `time` entry names numbers: it would not reach what stands for them under a new one. */
    bool moved = t->row[0].err_ms != 0;
    uint64_t seq = l->chain.last_seq + 2; /* of the thinned batch */
    l->payload.n = 0;
    enum st st = wire_put_array(&l->payload, moved ? 2 : 1);
    if (st == ST_OK && moved)
        st = wire_put_time(&l->payload, t->batch[0].header.boot, seq, seq, t->row[0].add_ms,
                           t->row[0].err_ms);
    if (st == ST_OK)
        st = wire_put_void(&l->payload, t->row[0].seq, t->row[n - 1].seq,
                           (const uint8_t(*)[WIRE_HASH_BYTES])hash, "thinned");
    if (st != ST_OK)
        return err_set(e, st, "seal: a void entry could not be encoded");
    struct seal_window w = seal_control_window(l);
    return seal_make(l, &l->chain, &w, NULL, 0, out, e);
}

/* The thinned batch that follows `at`. It stands for the raw batches at the root of the row. */
static enum st make_thinned(struct thin *t, size_t n, const struct store_chain *at,
                            struct seal_made *out, struct err *e)
{
    const struct wire_header *first = &t->batch[0].header, *last = &t->batch[n - 1].header;
    struct seal_window w = {.kind = WIRE_DATA,
                            .from_ms = first->from_ms,
                            .to_ms = last->to_ms,
                            .boot = first->boot,
                            .grade = (enum clk_grade)first->clk,
                            .n = t->nout,
                            .level = t->level,
                            .for_from = first->for_from ? first->for_from : first->seq,
                            .for_to = first->for_to ? first->for_to : last->seq};
    ERR_TRY(encode(t, e));
    return seal_make(t->l, at, &w, t->gap, t->ngap, out, e);
}

/* Whether the step leaves room: what it stores must be a tenth smaller than what it gives up. */
static bool shrinks(const struct thin *t, size_t n, const struct seal_made *m)
{
    size_t old = 0, new = m[0].packed.n + m[1].packed.n;
    for (size_t i = 0; i < n; i++)
        old += t->row[i].packed.n;
    return new < old - old / 10;
}

/* The `time` entry that comes once the clock is found has to name both batches. */
static void note(const struct thin *t, const struct store_sealed *entry,
                 const struct store_sealed *b)
{
    struct seal_window w = {
        .kind = WIRE_CONTROL, .boot = store_boot(t->l->store), .grade = CLK_UNKNOWN};
    if (t->batch[0].header.clk != CLK_UNKNOWN || t->row[0].err_ms)
        return;
    if (entry->clk == CLK_UNKNOWN)
        seal_note_range(t->l, &w, entry->seq);
    w.kind = WIRE_DATA;
    w.boot = t->batch[0].header.boot;
    seal_note_range(t->l, &w, b->seq);
}

/* ST_NOT_FOUND: the first n batches of the row do not get smaller. ST_FULL: too many. */
static enum st take_step(struct thin *t, size_t n, struct err *e)
{
    struct seal *l = t->l;
    struct seal_made m[2] = {0};
    const struct wire_header *h = &t->batch[0].header;
    if (h->clk == CLK_UNKNOWN && t->row[0].err_ms == 0 && seal_starts_waits(l, h->boot))
        return ST_NOT_FOUND; /* of a start before this one that may be told its time yet */
    ERR_TRY(thin_row(t, n, e));
    if (!t->gain)
        return ST_NOT_FOUND;
    enum st st = make_void(t, n, &m[0], e);
    struct store_chain at = l->chain;
    if (st == ST_OK) {
        seal_chain_move(&at, &m[0].b);
        st = make_thinned(t, n, &at, &m[1], e);
    }
    if (st == ST_OK && !shrinks(t, n, m))
        st = ST_NOT_FOUND;
    if (st == ST_OK) {
        const struct store_sealed b[2] = {m[0].b, m[1].b};
        seal_chain_move(&at, &m[1].b);
        st = store_seal_thinned(l->store, b, 2, t->row[0].seq, t->row[n - 1].seq, e);
    }
    if (st == ST_OK) {
        l->chain = at;
        note(t, &m[0].b, &m[1].b);
    }
    seal_made_done(&m[0]);
    seal_made_done(&m[1]);
    return st;
}

/* How many of the row to take: up to where a quarter of an hour ends. 0: at the chain's end, wait
 * for more of it. */
static size_t row_take(const struct thin *t, bool more, bool now)
{
    size_t n = t->nrow;
    while (n > 0 && t->row[n - 1].to_ms % SEAL_ALIGN_MS != 0)
        n--;
    return n > 0 ? n : more || now ? t->nrow : 0;
}

static void thin_done(struct thin *t)
{
    for (size_t i = 0; i < SEAL_ROW_MAX; i++) {
        buf_done(&t->row[i].packed);
        wire_batch_done(&t->batch[i]);
        buf_done(&t->cose[i]);
    }
    for (size_t i = 0; i < t->nname; i++)
        free(t->name[i]);
    free(t->in);
    free(t->out);
    buf_done(&t->l->payload);
    free(t);
}

static void tell(struct seal *l, const struct thin *t)
{
    if (!l->thinning)
        store_event(l->store, STORE_WARNING, "store.thinning", NULL,
                    "the store is full of readings that no uplink takes: from batch %llu on the "
                    "oldest become values of %d min",
                    (unsigned long long)t->row[0].seq, (int)(seal_step_ms[t->level] / 60000));
    l->thinning = true;
}

/* One row at this level. ST_OK: a step was taken or the row passed over; ST_NOT_FOUND: there is
 * none. */
static enum st thin_level(struct seal *l, enum store_level level, bool now, bool *taken,
                          struct err *e)
{
    struct thin *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ST_MEMORY, "seal: no memory for thinning");
    t->l = l;
    t->level = level;
    bool more;
    enum st st = store_unsent_next(l->store, level, &l->thin_at[level], t->row, SEAL_ROW_MAX,
                                   &t->nrow, &more, e);
    size_t found = t->nrow, n = 0;
    if (st == ST_OK)
        st = open_row(t, e);
    if (st == ST_OK) {
        n = row_take(t, more || t->nrow < found, now);
        st = n ? ST_FULL : ST_NOT_FOUND;
    } else if (found) { /* what cannot be read is passed over */
        l->thin_at[level] = t->row[0].id;
        st = ST_OK;
    }
    for (; st == ST_FULL && n > 0; n /= 2) {
        st = take_step(t, n, e);
        if (st == ST_OK || st == ST_NOT_FOUND || n == 1)
            l->thin_at[level] = t->row[n - 1].id;
        *taken = st == ST_OK;
        st = st == ST_NOT_FOUND ? ST_OK : st;
        if (*taken)
            tell(l, t);
    }
    thin_done(t);
    return st;
}

enum st seal_thin(struct seal *l, struct err *e)
{
    enum store_level level = STORE_1MIN;
    for (int tries = 0; tries < TRIES && level < STORE_LEVELS;) {
        enum store_space space;
        bool taken = false;
        ERR_TRY(store_space(l->store, &space, e));
        if (space == STORE_ROOMY) {
            l->thinning = false;
            return ST_OK;
        }
        enum st st = thin_level(l, level, space == STORE_SHORT, &taken, e);
        if (st == ST_NOT_FOUND)
            level++; /* nothing is left at this level: the next one loses more */
        else if (st != ST_OK && st != ST_BUSY && st != ST_FULL)
            return st;
        tries += st != ST_NOT_FOUND;
    }
    return ST_OK;
}
