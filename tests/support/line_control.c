/* Batches that the seal does not make by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/line.h"

void line_put_fix(struct buf *b, const char *id, const char *series, int64_t from_ms, int64_t to_ms,
                  const struct wire_fix *f)
{
    assert_int_equal(wire_put_correct(b, id, series, from_ms, to_ms, f, "spider", "an"), ST_OK);
}

void line_put_correct(struct buf *b, const char *series, int64_t from_ms, int64_t to_ms)
{
    static unsigned n; /* none takes the place of another */
    static const struct wire_fix gone = {.what = WIRE_INVALIDATE};
    char id[16];
    (void)snprintf(id, sizeof id, "c%u", n++);
    line_put_fix(b, id, series, from_ms, to_ms, &gone);
}

void line_seal_as(struct line *l, uint64_t thinned, const struct buf *payload)
{
    struct err e = {0};
    struct store_chain c;
    struct wire_key *key = NULL;
    struct wire_zstd *z = NULL;
    struct buf cose, packed;
    buf_init(&cose, WIRE_BATCH_MAX);
    buf_init(&packed, WIRE_BATCH_MAX);
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    assert_int_equal(wire_key_load(&key, l->key, &e), ST_OK);
    struct wire_header h = {.kind = thinned ? WIRE_DATA : WIRE_CONTROL,
                            .for_from = thinned,
                            .for_to = thinned,
                            .gw = "gw-01",
                            .seq = c.last_seq + 1,
                            .from_ms = c.last_to_ms,
                            .to_ms = c.last_to_ms + (thinned ? 1 : 0)};
    memcpy(h.kid, c.kid, sizeof h.kid);
    memcpy(h.chain, c.id, sizeof h.chain);
    memcpy(h.prev, c.last_hash, sizeof h.prev);
    memcpy(h.boot, store_boot(l->store), sizeof h.boot);
    assert_int_equal(wire_batch_sign(&h, payload->p, payload->n, wire_key_signer(key), &cose, &e),
                     ST_OK);
    assert_int_equal(wire_zstd_open(&z, &e), ST_OK);
    assert_int_equal(wire_zstd_pack(z, 3, cose.p, cose.n, &packed, &e), ST_OK);
    struct store_sealed b = {.chain = c.id,
                             .seq = h.seq,
                             .kind = h.kind,
                             .level = thinned ? STORE_15MIN : STORE_RAW,
                             .from_ms = h.from_ms,
                             .to_ms = h.to_ms,
                             .packed = {packed.p, packed.n}};
    wire_sha256(cose.p, cose.n, b.hash);
    assert_int_equal(store_seal(l->store, &b, NULL, NULL, 0, &e), ST_OK);
    wire_zstd_close(z);
    wire_key_free(key);
    buf_done(&cose);
    buf_done(&packed);
}

void line_seal_control(struct line *l, const struct buf *payload)
{
    line_seal_as(l, 0, payload);
}
