/* The city's word on what it holds: it restores what a damaged store has forgotten, and shows what
 * a restored city has lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

#define NONCE_BYTES 16
#define HEAD_CHAINS 1024 /* a head with fewer lists all chains of the gateway */

enum st uplink_head_check(const struct wire_head *h, const struct wire_cose *cose, const char *gw,
                          const char *nonce, const struct uplink_key *keys, size_t nkeys,
                          int64_t now_ms, struct err *e)
{
    if (strcmp(h->gw, gw) != 0 || h->nonce_n != strlen(nonce) ||
        memcmp(h->nonce, nonce, h->nonce_n) != 0) {
        return err_set(e, ST_CORRUPT,
                       "the head that came is of another gateway or an older question: see who "
                       "answers at url");
    }
    size_t i;
    enum st st = uplink_signer_of(cose, keys, nkeys, now_ms, &i, e);
    return st != ST_CORRUPT
               ? st
               : err_set(e, ST_CORRUPT,
                         "the head is not signed by the city: see receipt_keys, and who answers at "
                         "url; or it has changed its key: fieldpost trust --file");
}

static enum st apply(const struct wire_head *h, struct store *s, uint32_t uplink,
                     struct store_lacks *lacks, struct err *e)
{
    struct store_held *v = calloc(h->nchains + 1, sizeof(*v));
    if (!v) {
        return err_set(e, ST_MEMORY, "no memory for a head");
    }
    for (size_t i = 0; i < h->nchains; i++) {
        const struct wire_head_chain *c = &h->chains[i];
        v[i] = (struct store_held){
            c->chain,    c->through_seq, c->through_hash, (const uint64_t(*)[2])c->missing,
            c->nmissing, c->broken,      c->nbroken};
    }
    enum st st = store_city_holds(s, uplink, v, h->nchains, h->nchains < HEAD_CHAINS, lacks, e);
    free(v);
    return st;
}

enum st uplink_head_ask(const struct uplink_head_call *c, struct store *s, uint32_t uplink,
                        struct store_lacks *lacks, uint64_t *trust, struct http_reply *reply,
                        struct err *e)
{
    uint8_t random[NONCE_BYTES];
    char nonce[2 * NONCE_BYTES + 1], url[UPLINK_URL_BYTES];
    struct wire_head h = {.owned = NULL};
    struct wire_cose cose;
    ERR_TRY(wire_random(random, sizeof(random), e));
    wire_hex(random, sizeof(random), nonce);
    ERR_TRY(uplink_url_put(url, c->url, e, "/v1/gateways/%s/head?nonce=%s", c->gw, nonce));
    const struct http_call call = {.method = "GET", .url = url, .max_answer = WIRE_BATCH_MAX};
    enum st st = http_client_do(c->client, &call, c->stop_fd, reply, e);
    if (st == ST_OK && reply->status != 200) {
        st = err_set(e, ST_NOT_FOUND, "answer %d to the question for the head", reply->status);
    }
    if (st == ST_OK) {
        st = wire_head_open(&h, &cose, reply->body.p, reply->body.n, e);
        st = st == ST_BAD ? ST_CORRUPT : st;
    }
    if (st == ST_OK) {
        st = uplink_head_check(&h, &cose, c->gw, nonce, c->keys, c->nkeys, c->now_ms, e);
    }
    *trust = st == ST_OK ? h.trust : 0;
    if (st == ST_OK && c->config) {
        c->config->keeps = h.keeps_config;
        memcpy(c->config->sha256, h.config, sizeof(h.config));
    }
    if (st == ST_OK) {
        st = apply(&h, s, uplink, lacks, e);
    }
    wire_head_done(&h);
    return st;
}
