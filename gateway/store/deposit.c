/* The configuration as it was signed for the city: kept by seal, sent by the uplinks. One small
 * value: what it is about, its chain, its time, its hash, and behind them the zstd frame. */
#include <string.h>

#include "gateway/store/store_int.h"

#define KEY "deposit"
#define TIME_BYTES 8
#define HEAD_BYTES (WIRE_HASH_BYTES + WIRE_ID_BYTES + TIME_BYTES + WIRE_HASH_BYTES)
#define VALUE_MAX (HEAD_BYTES + 2 * WIRE_BATCH_MAX)

enum st store_deposit_keep(struct store *s, const struct store_deposit *d, struct err *e)
{
    uint8_t head[HEAD_BYTES], *p = head;
    struct buf b;
    memcpy(p, d->about, sizeof d->about);
    p += sizeof d->about;
    memcpy(p, d->chain, sizeof d->chain);
    p += sizeof d->chain;
    for (int i = 0; i < TIME_BYTES; i++)
        *p++ = (uint8_t)((uint64_t)d->when_ms >> (56 - 8 * i));
    memcpy(p, d->sha256, sizeof d->sha256);
    buf_init(&b, VALUE_MAX);
    enum st st = buf_put(&b, head, sizeof head);
    if (st == ST_OK)
        st = buf_put(&b, d->packed.p, d->packed.n);
    st = st == ST_OK ? store_meta_set(s, KEY, b.p, b.n, e)
                     : err_set(e, st, "store %s: no memory for the configuration", s->path);
    buf_done(&b);
    if (st == ST_OK)
        atomic_fetch_add(&s->deposits, 1);
    return st;
}

unsigned store_deposits(const struct store *s)
{
    return atomic_load(&s->deposits);
}

/* Takes the value apart, leaving the frame. */
static enum st take(struct buf *b, struct store_deposit *out, const char *path, struct err *e)
{
    const uint8_t *p = b->p;
    uint64_t when = 0;
    if (b->n < HEAD_BYTES)
        return err_set(e, ST_CORRUPT, "store %s: the signed configuration is damaged", path);
    memcpy(out->about, p, sizeof out->about);
    p += sizeof out->about;
    memcpy(out->chain, p, sizeof out->chain);
    p += sizeof out->chain;
    for (int i = 0; i < TIME_BYTES; i++)
        when = when << 8 | *p++;
    out->when_ms = (int64_t)when;
    memcpy(out->sha256, p, sizeof out->sha256);
    memmove(b->p, b->p + HEAD_BYTES, b->n - HEAD_BYTES);
    b->n -= HEAD_BYTES;
    out->packed = *b;
    return ST_OK;
}

static enum st finish(enum st st, struct buf *b, struct store_deposit *out, const char *path,
                      struct err *e)
{
    *out = (struct store_deposit){.when_ms = 0};
    if (st == ST_OK)
        st = take(b, out, path, e);
    if (st != ST_OK)
        buf_done(b);
    return st;
}

enum st store_deposit_get(struct store *s, struct store_deposit *out, struct err *e)
{
    struct buf b;
    buf_init(&b, VALUE_MAX);
    return finish(store_meta_get(s, KEY, &b, e), &b, out, s->path, e);
}

enum st store_reader_deposit(struct store_reader *r, struct store_deposit *out, struct err *e)
{
    struct buf b;
    buf_init(&b, VALUE_MAX);
    return finish(store_reader_meta(r, KEY, &b, e), &b, out, r->db.path, e);
}
