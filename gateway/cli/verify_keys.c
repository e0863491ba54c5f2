/* Which keys a batch may be signed with: those that were given, and those that a batch signed by
 * one of these names in a `key` entry, for its own gateway. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/verify.h"

enum st verify_key_add(struct verify_keys *k, struct wire_pub *pub, const char *gw, struct err *e)
{
    struct verify_key *grown = realloc(k->v, (k->n + 1) * sizeof(*grown));
    if (!grown) {
        wire_pub_free(pub);
        return err_set(e, ST_MEMORY, "no memory");
    }
    k->v = grown;
    struct verify_key *one = &k->v[k->n++];
    one->pub = pub;
    (void)snprintf(one->gw, sizeof(one->gw), "%s", gw);
    return ST_OK;
}

enum st verify_signed(const struct verify_keys *k, const struct wire_batch *b, struct err *e)
{
    enum st st = ST_NOT_FOUND;
    char kid[WIRE_ID_TEXT];
    /* the key id is a hint: more than one key may bear it */
    for (size_t i = 0; i < k->n && st != ST_OK; i++) {
        const struct verify_key *one = &k->v[i];
        if ((one->gw[0] == '\0' || strcmp(one->gw, b->header.gw) == 0) &&
            memcmp(wire_pub_kid(one->pub), b->header.kid, WIRE_ID_BYTES) == 0) {
            st = wire_cose_verify(&b->cose, one->pub, e);
        }
    }
    if (st != ST_NOT_FOUND) {
        return st;
    }
    wire_hex(b->header.kid, WIRE_ID_BYTES, kid);
    return err_set(e, st,
                   "is signed by key %s, which is not among the given ones, and no batch that they "
                   "sign names it as the next",
                   kid);
}

static bool is_known(const struct verify_keys *k, const struct wire_pub *pub, const char *gw)
{
    struct wire_span a = wire_pub_der(pub);
    for (size_t i = 0; i < k->n; i++) {
        struct wire_span b = wire_pub_der(k->v[i].pub);
        if (a.n == b.n && memcmp(a.p, b.p, a.n) == 0 &&
            (k->v[i].gw[0] == '\0' || strcmp(k->v[i].gw, gw) == 0)) {
            return true;
        }
    }
    return false;
}

enum st verify_learn(struct verify_keys *k, const struct wire_batch *b, struct err *e)
{
    struct wire_control c;
    struct wire_entry entry;
    if (b->header.kind != WIRE_CONTROL) {
        return ST_OK;
    }
    enum st st = wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e);
    while (st == ST_OK && (st = wire_control_next(&c, &entry, e)) == ST_OK) {
        struct wire_pub *pub = NULL;
        if (entry.kind != WIRE_ENTRY_KEY) {
            continue;
        }
        st = wire_pub_parse(&pub, entry.spki.p, entry.spki.n, e);
        if (st == ST_OK && is_known(k, pub, b->header.gw)) {
            wire_pub_free(pub);
        } else if (st == ST_OK) {
            st = verify_key_add(k, pub, b->header.gw, e);
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void verify_keys_done(struct verify_keys *k)
{
    for (size_t i = 0; i < k->n; i++) {
        wire_pub_free(k->v[i].pub);
    }
    free(k->v);
    *k = (struct verify_keys){0};
}
