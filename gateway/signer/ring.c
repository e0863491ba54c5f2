/* The private keys, in the process that signs. */
#include <stdio.h>
#include <string.h>

#include "gateway/signer/signer_int.h"

static enum st open_key(struct signer_ring *r, int i, const char *key, const struct wire_signer **w,
                        struct err *e)
{
    if (signer_is_token(key)) {
        ERR_TRY(signer_token_open(&r->tokens[i], key, e));
        *w = signer_token_signer(r->tokens[i]);
        return ST_OK;
    }
    ERR_TRY(wire_key_load(&r->files[i], key, e));
    *w = wire_key_signer(r->files[i]);
    return ST_OK;
}

/* Where the next key would be; "": there is no place for one. */
static enum st next_place(const char *key, const char *next, char out[SIGNER_PATH], struct err *e)
{
    out[0] = '\0';
    if (next)
        (void)snprintf(out, SIGNER_PATH, "%s", next);
    else if (!signer_is_token(key))
        return signer_next_path(key, out, e);
    return ST_OK;
}

enum st signer_ring_open(struct signer_ring *r, const char *key, const char *next, struct err *e)
{
    char place[SIGNER_PATH];
    struct err why = {.text = ""};
    *r = (struct signer_ring){.fault = ""};
    ERR_TRY(next_place(key, next, place, e));
    enum st st = open_key(r, 0, key, &r->now, e);
    if (st == ST_NOT_FOUND && !signer_is_token(key))
        return err_set(e, st, "seal.key %s is missing: make it with `fieldpost keygen --out %s`",
                       key, key);
    if (st != ST_OK || !place[0])
        return st;
    st = open_key(r, 1, place, &r->next, &why);
    if (st == ST_OK &&
        memcmp(wire_pub_kid(r->next->pub), wire_pub_kid(r->now->pub), WIRE_ID_BYTES) == 0)
        st = err_set(&why, ST_CONFLICT, "%s is the key that is in force already: remove it",
                     next ? "seal.next_key" : place);
    if (st == ST_OK)
        return ST_OK;
    if (st != ST_NOT_FOUND || next)
        (void)snprintf(r->fault, sizeof r->fault, "%.*s", SIGNER_TEXT - 1, why.text);
    r->next = NULL;
    wire_key_free(r->files[1]);
    signer_token_close(r->tokens[1]);
    r->files[1] = NULL;
    r->tokens[1] = NULL;
    return ST_OK;
}

void signer_ring_close(struct signer_ring *r)
{
    for (int i = 0; i < 2; i++) {
        wire_key_free(r->files[i]);
        signer_token_close(r->tokens[i]);
    }
    *r = (struct signer_ring){.fault = ""};
}
