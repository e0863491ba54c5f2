/* The configuration for the city's keeping: signed by the key in force, left in the store, where
 * the uplinks find it (decision 0024). Signed anew when a file of it is another, and in each new
 * chain, which also has a new key's signature on it after a rotation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/seal/seal_int.h"

#define AGAIN_MS 60000

void seal_deposit(struct seal *l, struct buf *files)
{
    buf_done(&l->deposit.files);
    l->deposit.files = *files;
    l->deposit.given = files->n > 0;
    buf_init(files, 0);
}

/* Those that were signed before, in an earlier chain of this run. */
static enum st files_again(const struct store_deposit *was, struct buf *cose,
                           struct wire_deposit *d, struct err *e)
{
    struct wire_cose c;
    ERR_TRY(wire_zstd_unpack(was->packed.p, was->packed.n, WIRE_BATCH_MAX, cose, e));
    return wire_deposit_open(d, &c, cose->p, cose->n, e);
}

static enum st pack(const struct buf *cose, struct buf *packed, struct err *e)
{
    struct wire_zstd *z = NULL;
    ERR_TRY(wire_zstd_open(&z, e));
    enum st st = wire_zstd_pack(z, wire_batch_level(cose->n), cose->p, cose->n, packed, e);
    wire_zstd_close(z);
    return st;
}

#define AHEAD_MS 3600000 /* more than this ahead of its clock the city takes nothing */

/* Its time is behind that of the one before, when the clock is behind it a little: the city takes
 * no older one for the newer. One of a far future the city cannot have taken. */
static enum st sign(struct seal *l, struct wire_deposit *d, struct store_deposit *out,
                    int64_t before_ms, struct err *e)
{
    struct buf cose;
    (void)snprintf(d->gw, sizeof d->gw, "%s", l->gateway);
    bool behind = before_ms >= l->last.utc_ms && before_ms - l->last.utc_ms <= AHEAD_MS;
    d->when_ms = behind ? before_ms + 1 : l->last.utc_ms;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = wire_deposit_sign(d, l->key, &cose, e);
    if (st == ST_OK) {
        out->when_ms = d->when_ms;
        wire_sha256(cose.p, cose.n, out->sha256);
        st = pack(&cose, &out->packed, e);
    }
    buf_done(&cose);
    return st;
}

static enum st make(struct seal *l, struct wire_deposit *d, struct err *e)
{
    struct store_deposit was, is = {.when_ms = 0};
    struct buf cose;
    enum st st = store_deposit_get(l->store, &was, e);
    bool there = st == ST_OK;
    buf_init(&cose, WIRE_BATCH_MAX);
    buf_init(&is.packed, 2 * WIRE_BATCH_MAX);
    d->files = (struct wire_span){l->deposit.files.p, l->deposit.files.n};
    st = st == ST_NOT_FOUND || st == ST_CORRUPT ? ST_OK : st;
    if (st == ST_OK && d->files.n == 0)
        st = there ? files_again(&was, &cose, d, e)
                   : err_set(e, ST_NOT_FOUND, "it is not in the store any more");
    if (st == ST_OK) {
        memcpy(is.chain, l->chain.id, sizeof is.chain);
        wire_sha256(d->files.p, d->files.n, is.about);
    }
    bool same = there && memcmp(was.about, is.about, sizeof is.about) == 0 &&
                memcmp(was.chain, is.chain, sizeof is.chain) == 0;
    if (st == ST_OK && !same)
        st = sign(l, d, &is, there ? was.when_ms : 0, e);
    if (st == ST_OK && !same)
        st = store_deposit_keep(l->store, &is, e);
    buf_done(&was.packed);
    buf_done(&is.packed);
    buf_done(&cose);
    return st;
}

void seal_deposit_step(struct seal *l)
{
    struct seal_deposit *d = &l->deposit;
    struct err e = {.text = ""};
    struct mono now = clk_mono(l->clk);
    if (!d->given || memcmp(d->chain, l->chain.id, sizeof d->chain) == 0 ||
        l->last.grade == CLK_UNKNOWN || now.ms < d->again.ms)
        return;
    struct wire_deposit *whole = calloc(1, sizeof *whole);
    enum st st = whole ? make(l, whole, &e) : err_set(&e, ST_MEMORY, "no memory");
    free(whole);
    if (st != ST_OK && !d->told)
        store_event(l->store, STORE_WARNING, "config.deposit", NULL,
                    "the configuration is not signed for the city: %s", e.text);
    d->told = st != ST_OK;
    d->again.ms = now.ms + AGAIN_MS;
    if (st != ST_OK)
        return;
    memcpy(d->chain, l->chain.id, sizeof d->chain);
    buf_done(&d->files);
}
