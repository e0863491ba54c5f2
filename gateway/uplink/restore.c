/* What the box that this one replaces had deposited at the city comes back: over this box's own
 * certificate, signed by a key of the gateway that the city names and has not revoked. */
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/enrol_int.h"

#define KEYS_BYTES 8192

enum st uplink_restore_check(const struct wire_deposit *d, const struct wire_cose *cose,
                             const char *gw, const struct buf *keys, struct err *e)
{
    struct wire_reader r = {keys->p, keys->p, keys->p + keys->n};
    struct wire_item list, key;
    enum st st = ST_CORRUPT;
    if (strcmp(d->gw, gw) != 0) {
        return err_set(e, ST_CORRUPT, "the configuration that came is of gateway %s, not of %s",
                       d->gw, gw);
    }
    if (keys->n == 0 || wire_next(&r, &list, NULL) != ST_OK || list.type != WIRE_ARRAY) {
        return err_set(e, ST_CORRUPT, "the city does not name the keys of %s", gw);
    }
    for (uint64_t i = 0; st != ST_OK && i < list.u && wire_next(&r, &key, NULL) == ST_OK; i++) {
        struct wire_pub *pub = NULL;
        st = key.type == WIRE_BYTES ? wire_pub_parse(&pub, key.span.p, key.span.n, NULL) : ST_BAD;
        st = st == ST_OK ? wire_cose_verify(cose, pub, NULL) : st;
        wire_pub_free(pub);
        if (st == ST_MEMORY) {
            return err_set(e, st, "no memory to check who signed the configuration: try again");
        }
    }
    return st == ST_OK ? ST_OK
                       : err_set(e, ST_CORRUPT,
                                 "the configuration that came is signed by no key of %s that the "
                                 "city names: see who answers there",
                                 gw);
}

enum st uplink_restore(const struct uplink_est *s, struct buf *cose, struct wire_deposit *out,
                       struct err *e)
{
    struct wire_cose c;
    struct buf keys;
    char path[128];
    (void)snprintf(path, sizeof(path), "/v1/gateways/%s/config", s->gw);
    enum st st = uplink_est_get(s, path, "application/cose", cose, e);
    buf_init(&keys, KEYS_BYTES);
    if (st == ST_OK) {
        (void)snprintf(path, sizeof(path), "/v1/gateways/%s/keys", s->gw);
        st = uplink_est_get(s, path, "application/cbor", &keys, e);
    }
    if (st == ST_OK) {
        st = wire_deposit_open(out, &c, cose->p, cose->n, e);
        if (st != ST_OK) {
            (void)err_wrap(e, st, "the configuration that came");
        }
    }
    if (st == ST_OK) {
        st = uplink_restore_check(out, &c, s->gw, &keys, e);
    }
    buf_done(&keys);
    return st;
}
