/* The city's own protocol: PUT the sealed bytes as they are, get a signed receipt. */
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

enum st uplink_city_put(struct http_client *c, const char *url, const char *gw,
                        const struct store_batch *b, bool backfill, int stop_fd,
                        struct http_reply *r, struct err *e)
{
    static const char type[] = "Content-Type: application/cose; cose-type=\"cose-sign1\"";
    static const char encoding[] = "Content-Encoding: zstd";
    static const char *const live[] = {type, encoding, NULL};
    static const char *const late[] = {type, encoding, "Fieldpost-Backfill: 1", NULL};
    char chain[WIRE_ID_TEXT], full[UPLINK_URL_BYTES];
    size_t base = strlen(url);
    while (base > 0 && url[base - 1] == '/') {
        base--;
    }
    wire_hex(b->chain, WIRE_ID_BYTES, chain);
    int n = snprintf(full, sizeof(full), "%.*s/v1/gateways/%s/batches/%s/%llu", (int)base, url, gw,
                     chain, (unsigned long long)b->seq);
    if (n < 0 || (size_t)n >= sizeof(full)) {
        return err_set(e, ST_BAD, "%s: the address is too long", url);
    }
    const struct http_call call = {.method = "PUT",
                                   .url = full,
                                   .body = b->packed.p,
                                   .body_n = b->packed.n,
                                   .headers = backfill ? late : live,
                                   .total_ms =
                                       UPLINK_CALL_MS + (int64_t)b->packed.n / UPLINK_SLOWEST};
    return http_client_do(c, &call, stop_fd, r, e);
}
