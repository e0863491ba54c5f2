/* The private keys, in the process that signs. */
#include <stdio.h>
#include <string.h>

#include "gateway/signer/signer_int.h"

enum st signer_ring_open(struct signer_ring *r, const char *key, struct err *e)
{
    char path[SIGNER_PATH];
    struct err why = {.text = ""};
    *r = (struct signer_ring){.fault = ""};
    ERR_TRY(signer_next_path(key, path, e));
    enum st st = wire_key_load(&r->files[0], key, e);
    if (st == ST_NOT_FOUND)
        return err_set(e, st, "seal.key %s is missing: make it with `fieldpost keygen --out %s`",
                       key, key);
    if (st != ST_OK)
        return st;
    r->now = wire_key_signer(r->files[0]);
    st = wire_key_load(&r->files[1], path, &why);
    if (st == ST_OK && memcmp(wire_pub_kid(wire_key_pub(r->files[1])), wire_pub_kid(r->now->pub),
                              WIRE_ID_BYTES) == 0)
        st = err_set(&why, ST_CONFLICT, "%s is the key that is in force already: remove it", path);
    if (st == ST_OK) {
        r->next = wire_key_signer(r->files[1]);
        return ST_OK;
    }
    if (st != ST_NOT_FOUND)
        (void)snprintf(r->fault, sizeof r->fault, "%s", why.text);
    wire_key_free(r->files[1]);
    r->files[1] = NULL;
    return ST_OK;
}

void signer_ring_close(struct signer_ring *r)
{
    wire_key_free(r->files[0]);
    wire_key_free(r->files[1]);
    *r = (struct signer_ring){.fault = ""};
}
