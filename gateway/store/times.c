/* What control batches say about sealed readings: kept in tables by the writer, applied by readers.
 */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_END_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from boot */
#define CLOCK_KEY "clock" /* small value: "<boot of the machine> <UTC minus time since boot>" */
#define STEP_MS 1000

struct move {
    uint8_t chain[WIRE_ID_BYTES], boot[WIRE_ID_BYTES];
    uint64_t seq_from, seq_to;
    struct store_shift shift;
};
struct store_times {
    struct store_db *db;
    struct move *moves;
    size_t nmoves;
    struct wire_fixes *fixes;
    int64_t reach_ms;
};

/* ---- walking a control batch ---- */

typedef enum st each_entry(void *ctx, int64_t id, uint64_t n, const struct wire_entry *x,
                           struct err *e);

static enum st walk(const struct wire_batch *b, int64_t id, each_entry *each, void *ctx,
                    struct err *e)
{
    struct wire_control c;
    struct wire_entry x;
    enum st st = wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e);
    for (uint64_t n = 0; st == ST_OK && (st = wire_control_next(&c, &x, e)) == ST_OK; n++)
        st = each(ctx, id, n, &x, e);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st walk_packed(int64_t id, struct wire_span packed, each_entry *each, void *ctx,
                           struct err *e)
{
    struct buf cose;
    struct wire_batch b;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = wire_zstd_unpack(packed.p, packed.n, WIRE_BATCH_MAX, &cose, e);
    if (st == ST_OK)
        st = wire_batch_open(&b, cose.p, cose.n, e);
    if (st == ST_OK) {
        st = walk(&b, id, each, ctx, e);
        wire_batch_done(&b);
    }
    buf_done(&cose);
    return st;
}

/* All control batches. A damaged one says nothing; that it is damaged is another's to tell. */
static enum st walk_all(struct store_db *d, each_entry *each, void *ctx, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_CONTROLS, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(d, q, e)) == ST_OK) {
        struct wire_span packed = {sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1)};
        st = walk_packed(sqlite3_column_int64(q, 0), packed, each, ctx, e);
        if (st != ST_OK && st != ST_BAD && st != ST_CORRUPT)
            break;
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- the writer's tables ---- */

static void bind_span(sqlite3_stmt *q, int i, struct wire_span s)
{
    sqlite3_bind_text(q, i, (const char *)s.p, (int)s.n, SQLITE_STATIC);
}

static void bind_time(sqlite3_stmt *q, int64_t n, const struct wire_entry *x)
{
    sqlite3_bind_int64(q, 2, n);
    sqlite3_bind_blob(q, 3, x->boot.p, (int)x->boot.n, SQLITE_STATIC);
    sqlite3_bind_int64(q, 4, (int64_t)x->seq_from);
    sqlite3_bind_int64(q, 5, (int64_t)x->seq_to);
    sqlite3_bind_int64(q, 6, x->add_ms);
    sqlite3_bind_int64(q, 7, x->err_ms);
}

/* A `correct` or `maintain` entry. */
static void bind_said(sqlite3_stmt *q, int64_t n, const struct wire_entry *x)
{
    sqlite3_bind_int64(q, 2, n);
    bind_span(q, 3, x->series);
    sqlite3_bind_int64(q, 4, x->at_ms);
    if (x->to_ms != INT64_MAX)
        sqlite3_bind_int64(q, 5, x->to_ms);
    bind_span(q, 6, x->text);
    sqlite3_bind_blob(q, 7, x->arguments.p, (int)x->arguments.n, SQLITE_STATIC);
    if (x->kind == WIRE_ENTRY_CORRECT)
        sqlite3_bind_blob(q, 8, x->id.p, (int)x->id.n, SQLITE_STATIC);
}

static void bind_entered(sqlite3_stmt *q, int64_t n, const struct wire_entry *x)
{
    char value[NUM_TEXT_BYTES];
    (void)n;
    bind_span(q, 3, x->series);
    sqlite3_bind_int64(q, 4, x->at_ms);
    sqlite3_bind_text(q, 5, num_text(x->value, value), -1, SQLITE_TRANSIENT);
}

static const struct {
    enum wire_entry_kind kind;
    enum store_sql sql;
    void (*bind)(sqlite3_stmt *q, int64_t n, const struct wire_entry *x);
} kept[] = {{WIRE_ENTRY_TIME, SQL_MOVED_ADD, bind_time},
            {WIRE_ENTRY_CORRECT, SQL_CORRECTED_ADD, bind_said},
            {WIRE_ENTRY_MAINTAIN, SQL_MAINTAINED_ADD, bind_said},
            {WIRE_ENTRY_ENTERED, SQL_ENTERED_ADD, bind_entered}};
#define KEPT (sizeof kept / sizeof *kept)

static enum st keep(void *ctx, int64_t id, uint64_t n, const struct wire_entry *x, struct err *e)
{
    struct store_db *d = ctx;
    size_t k = 0;
    while (k < KEPT && kept[k].kind != x->kind)
        k++;
    if (k == KEPT)
        return ST_OK;
    sqlite3_stmt *q = store_db_use(d, kept[k].sql, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    kept[k].bind(q, (int64_t)n, x);
    return store_db_run(d, q, e);
}

enum st store_times_add(struct store_db *d, int64_t id, struct wire_span packed, struct err *e)
{
    return walk_packed(id, packed, keep, d, e);
}

enum st store_times_note(struct store_db *d, int64_t id, struct wire_span packed, struct err *e)
{
    ERR_TRY(store_times_add(d, id, packed, e));
    static const enum store_sql trim[] = {SQL_MOVED_TRIM, SQL_ENTERED_TRIM};
    for (size_t i = 0; i < sizeof trim / sizeof *trim; i++) { /* of batches that are gone */
        sqlite3_stmt *q = store_db_use(d, trim[i], e);
        if (!q)
            return ST_IO;
        ERR_TRY(store_db_run(d, q, e));
    }
    return ST_OK;
}

enum st store_times_fill(struct store_db *d, struct err *e)
{
    return walk_all(d, keep, d, e);
}

enum st store_boot_offset(struct store *s, const uint8_t boot[WIRE_ID_BYTES],
                          struct store_offset *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_MOVED_BOOT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 1, boot, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, UNKNOWN_END_MS); /* not what moves a UTC a little */
    ERR_TRY(store_db_row(&s->db, q, e));
    out->add_ms = sqlite3_column_int64(q, 0);
    out->err_ms = sqlite3_column_int64(q, 1);
    out->from_ms = sqlite3_column_int64(q, 2) + out->add_ms;
    out->to_ms = sqlite3_column_int64(q, 3) + out->add_ms;
    sqlite3_reset(q);
    q = store_db_use(&s->db, SQL_UTC_LAST, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, UNKNOWN_END_MS);
    ERR_TRY(store_db_row(&s->db, q, e));
    out->utc_seq = store_batch_seq(sqlite3_column_int64(q, 0)); /* NULL, none: 0 */
    sqlite3_reset(q);
    return ST_OK;
}

/* ---- the clock, from run to run ---- */

enum st store_clock_recall(struct store *s, struct clk_past *out, struct err *e)
{
    char boot[CLK_BOOT_BYTES];
    struct buf text;
    *out = (struct clk_past){0};
    enum st st = store_latest_end(s, &out->newest_ms, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    for (size_t i = 0; i < s->nframes; i++)
        if (s->frames[i].t_ms > out->newest_ms)
            out->newest_ms = s->frames[i].t_ms;
    if (out->newest_ms < UNKNOWN_END_MS)
        out->newest_ms = 0;
    buf_init(&text, 256);
    st = store_meta_get(s, CLOCK_KEY, &text, e);
    if (st == ST_OK)
        st = buf_put(&text, "", 1);
    clk_boot(s->clk, boot);
    size_t n = strlen(boot);
    out->same_boot = st == ST_OK && n && text.n > n + 1 && memcmp(text.p, boot, n) == 0 &&
                     clk_parse((const char *)text.p + n + 1, &out->offset_ms);
    s->clock_known = out->same_boot;
    s->clock_offset_ms = out->offset_ms;
    buf_done(&text);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_clock_note(struct store *s, struct err *e)
{
    struct clk_time now = clk_now(s->clk);
    int64_t offset_ms = now.utc_ms - clk_mono(s->clk).ms, moved = offset_ms - s->clock_offset_ms;
    char boot[CLK_BOOT_BYTES], text[CLK_BOOT_BYTES + 32];
    if (now.grade == CLK_UNKNOWN || (s->clock_known && moved <= STEP_MS && moved >= -STEP_MS))
        return ST_OK;
    clk_boot(s->clk, boot);
    int n = snprintf(text, sizeof text, "%s %lld", boot[0] ? boot : "?", (long long)offset_ms);
    ERR_TRY(store_meta_set(s, CLOCK_KEY, text, (size_t)n, e));
    s->clock_known = true;
    s->clock_offset_ms = offset_ms;
    return ST_OK;
}

/* ---- readers ---- */

static enum st add_move(struct store_times *t, const struct move *m, struct err *e)
{
    struct move *p = reallocarray(t->moves, t->nmoves + 1, sizeof *p);
    if (!p)
        return err_set(e, ST_MEMORY, "store: no memory for corrections");
    t->moves = p;
    p[t->nmoves++] = *m;
    /* A first move leaves the times since boot; a later one shifts UTC by little. */
    if (m->shift.add_ms < UNKNOWN_END_MS && m->shift.add_ms > t->reach_ms)
        t->reach_ms = m->shift.add_ms;
    return ST_OK;
}

/* The chain's id of a batch's row number. */
static enum st chain_of(struct store_db *d, int64_t batch, uint8_t chain[WIRE_ID_BYTES],
                        struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_CHAIN_OF, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, batch >> STORE_SEQ_BITS);
    enum st st = store_db_row(d, q, e);
    bool ok = st == ST_OK && store_db_blob(q, 0, chain, WIRE_ID_BYTES);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a chain's row is damaged", d->path);
}

static enum st load_entry(void *ctx, int64_t id, uint64_t n, const struct wire_entry *x,
                          struct err *e)
{
    struct store_times *t = ctx;
    (void)n;
    if (x->kind != WIRE_ENTRY_TIME)
        return wire_fixes_add(t->fixes, x, e);
    struct move m = {
        .seq_from = x->seq_from, .seq_to = x->seq_to, .shift = {true, x->add_ms, x->err_ms}};
    memcpy(m.boot, x->boot.p, sizeof m.boot);
    ERR_TRY(chain_of(t->db, id, m.chain, e));
    return add_move(t, &m, e);
}

static struct wire_span column_span(sqlite3_stmt *q, int i)
{
    const void *p = sqlite3_column_blob(q, i);
    return (struct wire_span){p, (size_t)sqlite3_column_bytes(q, i)};
}

static enum st load_moves(struct store_times *t, struct err *e)
{
    sqlite3_stmt *q = store_db_use(t->db, SQL_MOVED, e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(t->db, q, e)) == ST_OK) {
        struct wire_entry x = {.kind = WIRE_ENTRY_TIME,
                               .boot = column_span(q, 1),
                               .seq_from = (uint64_t)sqlite3_column_int64(q, 2),
                               .seq_to = (uint64_t)sqlite3_column_int64(q, 3),
                               .add_ms = sqlite3_column_int64(q, 4),
                               .err_ms = sqlite3_column_int64(q, 5)};
        if (x.boot.n == WIRE_ID_BYTES)
            st = load_entry(t, sqlite3_column_int64(q, 0), 0, &x, e);
    }
    if (q)
        sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void store_said_of(sqlite3_stmt *q, enum wire_entry_kind kind, struct wire_entry *x)
{
    *x = (struct wire_entry){
        .kind = kind,
        .series = column_span(q, 0),
        .at_ms = sqlite3_column_int64(q, 1),
        .to_ms = sqlite3_column_type(q, 2) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(q, 2),
        .text = column_span(q, 3),
        .arguments = column_span(q, 4)};
    if (kind == WIRE_ENTRY_CORRECT)
        x->id = column_span(q, 5);
}

static enum st load_said(struct store_times *t, enum store_sql sql, enum wire_entry_kind kind,
                         struct err *e)
{
    sqlite3_stmt *q = store_db_use(t->db, sql, e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(t->db, q, e)) == ST_OK) {
        struct wire_entry x;
        store_said_of(q, kind, &x);
        st = wire_fixes_add(t->fixes, &x, e);
    }
    if (q)
        sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st load_tables(struct store_times *t, struct err *e)
{
    ERR_TRY(load_moves(t, e));
    ERR_TRY(load_said(t, SQL_CORRECTIONS, WIRE_ENTRY_CORRECT, e));
    return load_said(t, SQL_MAINTENANCE, WIRE_ENTRY_MAINTAIN, e);
}

enum st store_times_open(struct store_times **out, struct store_reader *r, struct err *e)
{
    struct store_times *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ST_MEMORY, "store: no memory for corrections");
    t->db = store_reader_db(r);
    enum st st = wire_fixes_open(&t->fixes, e);
    sqlite3_stmt *q = st == ST_OK ? store_db_use(t->db, SQL_HAS_TIMES, e) : NULL;
    if (st == ST_OK)
        st = q ? store_db_row(t->db, q, e) : ST_IO;
    if (q)
        sqlite3_reset(q);
    if (st == ST_OK)
        st = load_tables(t, e);
    else if (st == ST_NOT_FOUND)
        st = walk_all(t->db, load_entry, t, e);
    if (st != ST_OK) {
        store_times_close(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void store_times_close(struct store_times *t)
{
    if (!t)
        return;
    wire_fixes_close(t->fixes);
    free(t->moves);
    free(t);
}

struct store_shift store_times_of(const struct store_times *t, const uint8_t chain[WIRE_ID_BYTES],
                                  const uint8_t boot[WIRE_ID_BYTES], uint64_t seq)
{
    for (size_t i = t->nmoves; i-- > 0;) { /* the latest wins */
        const struct move *m = &t->moves[i];
        if (m->seq_from <= seq && seq <= m->seq_to &&
            memcmp(m->chain, chain, sizeof m->chain) == 0 &&
            memcmp(m->boot, boot, sizeof m->boot) == 0)
            return m->shift;
    }
    return (struct store_shift){0};
}

bool store_times_apply(struct store_times *t, struct store_shift shift, struct wire_reading *w)
{
    w->t_ms += shift.add_ms;
    if (shift.moved && w->q & WIRE_Q_TIME_UNKNOWN)
        w->q = (w->q & ~(uint32_t)WIRE_Q_TIME_UNKNOWN) | WIRE_Q_TIME_CORRECTED;
    return wire_fixes_apply(t->fixes, w);
}

int64_t store_times_reach_ms(const struct store_times *t)
{
    return t->reach_ms;
}
