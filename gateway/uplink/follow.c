/* What a box that replaces another asks the city before its first batch: where the other ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/uplink/enrol_int.h"

#define NONCE_BYTES 16

/* "last CHAIN TO_MS" in front of the receipt keys: which of the chains in the head it is. Where
 * that one stands, the head says, which is signed. */
static bool last_line(const struct buf *answer, uint8_t chain[WIRE_ID_BYTES], int64_t *to_ms)
{
    static const char word[] = "last ";
    const char *p = (const char *)answer->p;
    char hex[WIRE_ID_TEXT];
    size_t at = sizeof(word) - 1 + sizeof(hex);
    int64_t ms = 0;
    if (answer->n <= at || memcmp(p, word, sizeof(word) - 1) != 0 || p[at - 1] != ' ') {
        return false;
    }
    memcpy(hex, p + sizeof(word) - 1, sizeof(hex) - 1);
    hex[sizeof(hex) - 1] = '\0';
    for (; at < answer->n && p[at] >= '0' && p[at] <= '9'; at++) {
        if (__builtin_mul_overflow(ms, 10, &ms) || __builtin_add_overflow(ms, p[at] - '0', &ms)) {
            return false;
        }
    }
    *to_ms = ms;
    return at < answer->n && p[at] == '\n' && wire_unhex(hex, chain, WIRE_ID_BYTES);
}

static enum st verified(const struct wire_head *h, const struct wire_cose *cose, const char *gw,
                        const char *nonce, const struct cfg_strings *files, struct err *e)
{
    enum st st = err_set(e, ST_CORRUPT, "no key of the city is there");
    for (size_t i = 0; i < files->n; i++) {
        struct wire_pub *pub = NULL;
        st = wire_pub_load(&pub, files->v[i], e);
        if (st == ST_OK) {
            const struct uplink_key key = {pub, INT64_MAX};
            st = uplink_head_check(h, cose, gw, nonce, &key, 1, INT64_MIN, e);
        }
        wire_pub_free(pub);
        if (st == ST_OK) {
            return st;
        }
    }
    return st;
}

static enum st note(const struct wire_head *h, const uint8_t chain[WIRE_ID_BYTES], int64_t to_ms,
                    const char *store_path, struct err *e)
{
    for (size_t i = 0; i < h->nchains; i++) {
        const struct wire_head_chain *c = &h->chains[i];
        if (memcmp(c->chain, chain, WIRE_ID_BYTES) != 0 || c->through_seq == 0) {
            continue;
        }
        struct store_follows f = {.seq = c->through_seq, .to_ms = to_ms};
        memcpy(f.chain, chain, sizeof(f.chain));
        memcpy(f.hash, c->through_hash, sizeof(f.hash));
        return store_follows_write(store_path, &f, e);
    }
    return err_set(e, ST_BAD, "the city's head does not have the chain that it named");
}

enum st uplink_follow(const struct uplink_est *s, const struct cfg_strings *keys,
                      const struct buf *answer, const char *store_path, struct err *e)
{
    uint8_t chain[WIRE_ID_BYTES], random[NONCE_BYTES];
    char nonce[2 * NONCE_BYTES + 1], path[192];
    struct wire_head h = {.owned = NULL};
    struct wire_cose cose;
    struct buf body;
    int64_t to_ms = 0;
    if (!last_line(answer, chain, &to_ms)) {
        return ST_OK; /* the other never sent anything */
    }
    ERR_TRY(wire_random(random, sizeof(random), e));
    wire_hex(random, sizeof(random), nonce);
    (void)snprintf(path, sizeof(path), "/v1/gateways/%s/head?nonce=%s", s->gw, nonce);
    buf_init(&body, WIRE_BATCH_MAX);
    enum st st = uplink_est_get(s, path, "application/cose", &body, e);
    if (st == ST_OK) {
        st = wire_head_open(&h, &cose, body.p, body.n, e);
    }
    if (st == ST_OK) {
        st = verified(&h, &cose, s->gw, nonce, keys, e);
    }
    if (st == ST_OK) {
        st = note(&h, chain, to_ms, store_path, e);
    }
    wire_head_done(&h);
    buf_done(&body);
    return st;
}
