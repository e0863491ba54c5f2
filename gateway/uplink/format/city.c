/* The city's own protocol: PUT the sealed bytes as they are, get a signed receipt. */
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
    wire_hex(b->chain, WIRE_ID_BYTES, chain);
    ERR_TRY(uplink_url_put(full, url, e, "/v1/gateways/%s/batches/%s/%llu", gw, chain,
                           (unsigned long long)b->seq));
    const struct http_call call = {.method = "PUT",
                                   .url = full,
                                   .body = b->packed.p,
                                   .body_n = b->packed.n,
                                   .headers = backfill ? late : live,
                                   .total_ms =
                                       UPLINK_CALL_MS + (int64_t)b->packed.n / UPLINK_SLOWEST};
    return http_client_do(c, &call, stop_fd, r, e);
}
