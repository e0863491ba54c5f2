/* The invariants, on a store that came back. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/ledger.h"

struct count {
    uint8_t batch, pending;
};
struct judge {
    struct ledger *g;
    size_t at;
    struct ledger_view *out;
    struct count *count; /* per reading */
    size_t ncount;
    size_t last; /* batch of the row before, as an index; SIZE_MAX: none */
    int64_t unaccepted;
};

static void wrong(struct judge *j, int what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void wrong(struct judge *j, int what, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs(what == LEDGER_LOST      ? "lost: "
          : what == LEDGER_DOUBLED ? "doubled: "
                                   : "corrupt: ",
          stderr);
    (void)vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    j->out->wrong |= what;
}

static unsigned long long number(uint64_t n)
{
    return n;
}

/* ---- the chain ---- */

/* The batch may have left: the city has accepted it, or a void entry of the chain gives it up. */
static bool may_leave(const struct judge *j, const struct ledger_batch *x)
{
    return x->accepted <= j->at || x->voided;
}

/* The batch of that number, which may have left. */
static struct ledger_batch *left(struct judge *j, const uint8_t *chain, uint64_t seq)
{
    for (size_t i = 0; i < j->g->nbatch; i++) {
        struct ledger_batch *x = &j->g->batch[i];
        if (x->seq == seq && memcmp(x->batch.header.chain, chain, WIRE_ID_BYTES) == 0 &&
            may_leave(j, x))
            return x;
    }
    return NULL;
}

static void check_link(struct judge *j, const struct ledger_batch *x, const uint8_t *hash)
{
    if (memcmp(x->batch.header.prev, hash, WIRE_HASH_BYTES) != 0)
        wrong(j, LEDGER_CORRUPT, "batch %llu is not linked to the one before", number(x->seq));
}

/* Numbers first … x->seq - 1 are not there: all of them must have left. */
static void check_hole(struct judge *j, const struct ledger_batch *x, uint64_t first)
{
    for (uint64_t seq = first; seq < x->seq; seq++) {
        const struct ledger_batch *gone = left(j, x->batch.header.chain, seq);
        if (!gone)
            wrong(j, LEDGER_LOST, "batch %llu is not there, %llu is", number(seq), number(x->seq));
        else if (seq + 1 == x->seq)
            check_link(j, x, gone->hash);
    }
}

static void check_birth(struct judge *j, const struct ledger_batch *x,
                        const struct ledger_batch *before)
{
    const struct wire_header *h = &x->batch.header;
    if (x->seq != 1) {
        check_hole(j, x, 1);
        return;
    }
    if (!h->after) {
        if (before)
            wrong(j, LEDGER_CORRUPT, "a second chain follows none");
        return;
    }
    const struct ledger_batch *end = before;
    if (!end || end->seq != h->after_seq ||
        memcmp(end->batch.header.chain, h->after_chain, WIRE_ID_BYTES) != 0)
        end = left(j, h->after_chain, h->after_seq);
    if (!end || memcmp(end->hash, h->after_hash, WIRE_HASH_BYTES) != 0)
        wrong(j, LEDGER_CORRUPT, "a chain does not follow the end of the one before");
}

static void check_row(struct judge *j, const struct ledger_batch *x)
{
    const struct ledger_batch *before = j->last == SIZE_MAX ? NULL : &j->g->batch[j->last];
    const struct wire_header *h = &x->batch.header;
    if (!before || memcmp(before->batch.header.chain, h->chain, WIRE_ID_BYTES) != 0) {
        check_birth(j, x, before);
    } else if (before->seq + 1 == x->seq) {
        check_link(j, x, before->hash);
        bool thinned = h->for_from || before->batch.header.for_from;
        if (!h->step && !thinned && h->from_ms != before->batch.header.to_ms)
            wrong(j, LEDGER_CORRUPT, "the window of batch %llu does not abut", number(x->seq));
    } else {
        check_hole(j, x, before->seq + 1);
    }
}

/* The noted batch of this row; NULL: it is wrong. */
static struct ledger_batch *batch_of_row(struct judge *j, const struct store_batch *b)
{
    struct ledger_batch *same = NULL;
    for (size_t i = 0; i < j->g->nbatch && !same; i++) {
        struct ledger_batch *x = &j->g->batch[i];
        if (x->seq != b->seq || memcmp(x->batch.header.chain, b->chain, WIRE_ID_BYTES) != 0)
            continue;
        if (ledger_same(x, b))
            same = x;
        else if (x->handed <= j->at)
            wrong(j, LEDGER_CORRUPT, "batch %llu is not what the city was handed", number(b->seq));
    }
    if (same)
        return same;
    const char *why;
    same = ledger_note(j->g, b, &why);
    if (same)
        same->fresh = true;
    else
        wrong(j, LEDGER_CORRUPT, "batch %llu: %s", number(b->seq), why);
    return same;
}

/* What the void entries of a control batch give up. */
static void take_voids(struct judge *j, const struct ledger_batch *x)
{
    struct wire_control c;
    struct wire_entry v;
    const struct wire_span *payload = &x->batch.cose.payload;
    if (x->batch.header.kind != WIRE_CONTROL ||
        wire_control_open(&c, payload->p, payload->n, NULL) != ST_OK)
        return;
    while (wire_control_next(&c, &v, NULL) == ST_OK)
        for (size_t i = 0; v.kind == WIRE_ENTRY_VOID && i < j->g->nbatch; i++) {
            struct ledger_batch *gone = &j->g->batch[i];
            if (gone->seq >= v.seq_from && gone->seq <= v.seq_to &&
                memcmp(gone->batch.header.chain, x->batch.header.chain, WIRE_ID_BYTES) == 0)
                gone->voided = true;
        }
}

static bool find_voids(void *ctx, const struct store_batch *b)
{
    struct judge *j = ctx;
    struct ledger_batch *x = batch_of_row(j, b);
    if (x)
        take_voids(j, x);
    return j->out->wrong == 0;
}

static bool judge_batch(void *ctx, const struct store_batch *b)
{
    struct judge *j = ctx;
    struct ledger_batch *x = batch_of_row(j, b);
    if (!x)
        return true;
    x->held = true;
    for (size_t i = 0; i < x->n; i++)
        j->count[x->reading[i]].batch++;
    check_row(j, x);
    j->last = (size_t)(x - j->g->batch);
    j->out->sealed += x->fresh;
    j->unaccepted += x->accepted > j->at;
    return true;
}

/* ---- the journal ---- */

static bool judge_pending(void *ctx, const struct wire_reading *w)
{
    struct judge *j = ctx;
    uint32_t at;
    if (!ledger_reading(j->g, w, &at)) {
        wrong(j, LEDGER_CORRUPT, "the journal holds a reading that nobody has measured");
        return true;
    }
    j->count[at].pending++;
    if (j->out->pending++ == 0 || w->t_ms < j->out->oldest_pending_ms)
        j->out->oldest_pending_ms = w->t_ms;
    return true;
}

/* ---- the ledger's side ---- */

/* What was handed over is held until the city has accepted it; then it may have left. */
static void check_handed(struct judge *j)
{
    for (size_t i = 0; i < j->g->nbatch; i++) {
        struct ledger_batch *x = &j->g->batch[i];
        if (x->held)
            continue;
        if (may_leave(j, x)) {
            for (size_t k = 0; k < x->n; k++)
                j->count[x->reading[k]].batch++; /* the city has them, or knows */
        } else if (x->handed <= j->at) {
            wrong(j, LEDGER_LOST, "batch %llu was handed to the city and is not there",
                  number(x->seq));
        }
    }
}

static void check_readings(struct judge *j)
{
    size_t lost = 0, doubled = 0, both = 0, early = 0;
    for (size_t i = 0; i < j->g->npoll; i++) {
        const struct ledger_poll *p = &j->g->poll[i];
        for (uint32_t k = 0; k < p->points; k++) {
            struct count c = j->count[i * LEDGER_POINTS + k];
            lost += p->safe <= j->at && c.batch + c.pending == 0;
            doubled += c.batch > 1 || c.pending > 1;
            both += c.batch && c.pending;
            early += p->put > j->at && c.batch + c.pending > 0;
        }
    }
    if (lost)
        wrong(j, LEDGER_LOST, "%zu readings that were acknowledged to their source", lost);
    if (doubled)
        wrong(j, LEDGER_DOUBLED, "%zu readings are there twice", doubled);
    if (both)
        wrong(j, LEDGER_DOUBLED, "%zu readings are in the journal and in a batch", both);
    if (early)
        wrong(j, LEDGER_CORRUPT, "%zu readings were not measured yet", early);
}

static void check_file(struct judge *j)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *q = NULL;
    const char *said = "it cannot be opened";
    if (sqlite3_open_v2(j->g->line->db, &h, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(h, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        said = (const char *)sqlite3_column_text(q, 0);
    if (!said || strcmp(said, "ok") != 0)
        wrong(j, LEDGER_CORRUPT, "integrity check: %s", said ? said : "no memory");
    sqlite3_finalize(q);
    sqlite3_close(h);
}

static void read_store(struct judge *j, struct store_reader *r)
{
    struct err e = {0};
    int64_t batches = 0, readings = 0;
    enum st st = line_each_batch(r, find_voids, j, &e); /* nobody writes meanwhile */
    if (st == ST_OK && !j->out->wrong)
        st = line_each_batch(r, judge_batch, j, &e);
    if (st == ST_OK)
        st = store_each_pending(r, judge_pending, j, &e);
    if (st == ST_OK)
        st = store_unsent(r, "city", &batches, &readings, &e);
    if (st != ST_OK)
        wrong(j, LEDGER_CORRUPT, "%s: %s", err_name(st), e.text);
    else if (batches < j->unaccepted)
        wrong(j, LEDGER_LOST, "%lld batches will never be sent",
              (long long)(j->unaccepted - batches));
}

void ledger_judge(struct ledger *g, size_t at, struct ledger_view *out)
{
    struct err e = {0};
    struct store_reader *r;
    *out = (struct ledger_view){0};
    struct judge j = {.g = g, .at = at, .out = out, .last = SIZE_MAX};
    j.count = calloc(g->npoll * LEDGER_POINTS + 1, sizeof *j.count);
    for (size_t i = 0; i < g->nbatch; i++)
        g->batch[i].held = g->batch[i].voided = false;
    check_file(&j);
    enum st st = j.count ? store_reader_open(&r, g->line->db, &e) : ST_MEMORY;
    if (st != ST_OK) {
        wrong(&j, LEDGER_CORRUPT, "%s: %s", err_name(st), e.text);
        free(j.count);
        return;
    }
    read_store(&j, r);
    store_reader_close(r);
    check_handed(&j);
    check_readings(&j);
    free(j.count);
}
