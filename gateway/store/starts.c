/* Starts of this program whose time is still unknown, from run to run: within one boot of the
 * machine the time since boot goes on, so that the next start can still tell what they were.
 *
 * Small value "starts": CBOR [boot of the machine, chain, [[boot, first number, since ms], …]], in
 * order of the starts. A range ends before the next one, and before the first window in UTC. What
 * cannot be read is as if it were not there: those readings stay uncertain, which is never wrong.
 */
#include "gateway/store/rollup_int.h"

#include <string.h>

#define KEY "starts"
#define VALUE_MAX 8192
#define UNKNOWN_END_MS (2 * CLK_UNKNOWN_BASE_MS)

static bool read_of(struct wire_reader *r, enum wire_type type, struct wire_item *it)
{
    return wire_next(r, it, NULL) == ST_OK && it->type == type;
}

static bool read_start(struct wire_reader *r, struct store_start *out)
{
    struct wire_item it;
    *out = (struct store_start){0};
    if (!read_of(r, WIRE_ARRAY, &it) || it.u != 3 || !read_of(r, WIRE_BYTES, &it) ||
        it.span.n != sizeof out->boot)
        return false;
    memcpy(out->boot, it.span.p, sizeof out->boot);
    if (!read_of(r, WIRE_UINT, &it) || it.u > INT64_MAX)
        return false;
    out->seq_from = it.u;
    if (!read_of(r, WIRE_UINT, &it) || it.u > INT64_MAX)
        return false;
    out->since_ms = (int64_t)it.u;
    return true;
}

/* The value, when it speaks of this chain. */
static bool read_value(struct wire_reader *r, const char *boot, const struct store_chain *c,
                       struct store_starts *out)
{
    struct wire_item it;
    if (!read_of(r, WIRE_ARRAY, &it) || it.u != 3 || !read_of(r, WIRE_TEXT, &it))
        return false;
    out->same_boot =
        boot[0] && it.span.n == strlen(boot) && memcmp(it.span.p, boot, it.span.n) == 0;
    if (!read_of(r, WIRE_BYTES, &it) || it.span.n != sizeof c->id ||
        memcmp(it.span.p, c->id, sizeof c->id) != 0 || !read_of(r, WIRE_ARRAY, &it) ||
        it.u > STORE_STARTS)
        return false;
    for (uint64_t n = it.u; n; n--)
        if (!read_start(r, &out->v[out->n++]))
            return false;
    return true;
}

/* The number before the chain's first window in UTC from seq on. */
static enum st last_unknown(struct store *s, int64_t chain, uint64_t seq, uint64_t last,
                            uint64_t *out, struct err *e)
{
    int64_t v[] = {store_batch_id(chain, seq), store_batch_id(chain, last), UNKNOWN_END_MS};
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_UTC_FIRST, 3, v, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    int64_t first = sqlite3_column_int64(q, 0); /* NULL, none: 0 */
    sqlite3_reset(q);
    *out = first ? store_batch_seq(first) - 1 : last;
    return ST_OK;
}

static enum st has_data(struct store *s, int64_t chain, struct store_start *v, struct err *e)
{
    int64_t at[] = {store_batch_id(chain, v->seq_from), store_batch_id(chain, v->seq_to)};
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_DATA_BETWEEN, 2, at, e);
    if (!q)
        return ST_IO;
    enum st st = store_db_row(&s->db, q, e);
    sqlite3_reset(q);
    v->data = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* What the store says of each range. */
static enum st look_up(struct store *s, const struct store_chain *c, struct store_starts *x,
                       struct err *e)
{
    int64_t chain = 0;
    uint64_t end = c->last_seq;
    ERR_TRY(store_chain_row(&s->db, c->id, &chain, e));
    for (size_t i = x->n; i-- > 0;) {
        struct store_start *v = &x->v[i];
        if (v->seq_from == 0)
            continue;
        uint64_t next = v->seq_from - 1;
        if (v->seq_from <= end)
            ERR_TRY(last_unknown(s, chain, v->seq_from, end, &v->seq_to, e));
        end = next < end ? next : end;
        if (v->seq_to < v->seq_from) {
            v->seq_from = v->seq_to = 0; /* nothing of it is sealed */
            continue;
        }
        ERR_TRY(has_data(s, chain, v, e));
        struct store_moved m;
        ERR_TRY(store_batch_moved(&s->db, store_batch_id(chain, v->seq_from), 0, &m, e));
        v->moved = m.known;
        v->add_ms = m.add_ms;
    }
    return ST_OK;
}

/* The kernel's id comes again with another time since boot: a machine that was copied. */
static bool went_back(const struct store_starts *x, const struct store_chain *c, int64_t mono_ms)
{
    int64_t last_ms = c->window_to_ms < UNKNOWN_END_MS ? c->window_to_ms - CLK_UNKNOWN_BASE_MS : 0;
    for (size_t i = 0; i < x->n; i++)
        last_ms = x->v[i].since_ms > last_ms ? x->v[i].since_ms : last_ms;
    return mono_ms < last_ms;
}

enum st store_starts_recall(struct store *s, struct store_starts *out, struct err *e)
{
    struct buf b;
    struct store_chain c;
    char boot[CLK_BOOT_BYTES];
    *out = (struct store_starts){0};
    buf_init(&b, VALUE_MAX);
    enum st st = store_meta_get(s, KEY, &b, e);
    if (st == ST_OK)
        st = store_chain_last(s, &c, e);
    if (st == ST_OK) {
        struct wire_reader r = {b.p, b.p, b.p + b.n};
        clk_boot(s->clk, boot);
        if (!read_value(&r, boot, &c, out))
            *out = (struct store_starts){0};
        if (went_back(out, &c, clk_mono(s->clk).ms))
            out->same_boot = false;
        st = look_up(s, &c, out, e);
    }
    buf_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st put_value(struct buf *b, const char *boot, const struct store_chain *c,
                         const struct store_start *v, size_t n)
{
    ERR_TRY(wire_put_array(b, 3));
    ERR_TRY(wire_put_text(b, boot));
    ERR_TRY(wire_put_bytes(b, c->id, sizeof c->id));
    ERR_TRY(wire_put_array(b, n));
    for (size_t i = 0; i < n; i++) {
        ERR_TRY(wire_put_array(b, 3));
        ERR_TRY(wire_put_bytes(b, v[i].boot, sizeof v[i].boot));
        ERR_TRY(wire_put_uint(b, v[i].seq_from));
        ERR_TRY(wire_put_uint(b, (uint64_t)v[i].since_ms));
    }
    return ST_OK;
}

enum st store_starts_note(struct store *s, const struct store_start *v, size_t n, struct err *e)
{
    struct buf b;
    struct store_chain c;
    char boot[CLK_BOOT_BYTES];
    ERR_TRY(store_chain_last(s, &c, e));
    clk_boot(s->clk, boot);
    buf_init(&b, VALUE_MAX);
    enum st st = put_value(&b, boot, &c, v, n);
    if (st == ST_OK)
        st = store_meta_set(s, KEY, b.p, b.n, e);
    else
        st = err_set(e, st, "store %s: no memory for the starts", s->path);
    buf_done(&b);
    return st;
}
