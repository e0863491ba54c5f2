/* Makes notices of a city whose keys change. */
#ifndef TESTS_GATEWAY_UPLINK_NOTICES_H
#define TESTS_GATEWAY_UPLINK_NOTICES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/wire/wire.h"

#define A_DAY_MS INT64_C(86400000)

/* Appends one: signed by `by`, that names `next` (may be NULL) and the CA (may be empty). prev: the
 * bytes of the one before. Both count for 90 days from at_ms on. */
static inline struct wire_span notice_put(struct buf *out, uint64_t n, struct wire_span prev,
                                          const struct wire_key *by, const struct wire_key *next,
                                          struct wire_span ca, int64_t at_ms)
{
    struct wire_notice x = {
        .n = n, .at_ms = at_ms, .from_ms = at_ms, .until_ms = at_ms + 90 * A_DAY_MS};
    struct err e = {.text = ""};
    size_t before = out->n;
    if (prev.n > 0)
        wire_sha256(prev.p, prev.n, x.prev);
    if (next)
        x.key = wire_pub_der(wire_key_pub(next));
    if (ca.n > 0) {
        x.ca[0] = ca;
        x.ncas = 1;
    }
    if (wire_notice_sign(&x, wire_key_signer(by), out, &e) != ST_OK)
        fail_msg("%s", e.text);
    return (struct wire_span){out->p + before, out->n - before};
}

#endif
