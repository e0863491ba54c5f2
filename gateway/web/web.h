/* Web: the technician's page and the read API under /api/v1/. */
#ifndef GATEWAY_WEB_WEB_H
#define GATEWAY_WEB_WEB_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/store/store.h"

struct web_cfg {
    char *listen; /* default 127.0.0.1:8080; "off": no page */
};
extern const struct cfg_table web_cfg_table;
/* ST_REFUSED, with a sentence, for an address that others could reach: the page has no login. */
enum st web_check(const struct web_cfg *cfg, struct err *e) ST_MUST_CHECK;

/* What the page says of the site and of each uplink; the pointers must outlive the web room.
 * Stage rooms do not know each other, so main hands the uplinks' state in through a function. */
struct web_uplink {
    char id[65];
    bool online, required;
    char text[200];
    int64_t last_ok_ms;
    uint64_t sent, acknowledged, bytes, wire_bytes;
    bool metered;
    int64_t month_bytes, budget_bytes, renews_ms; /* 0: no budget; not known */
    int64_t cert_to_ms; /* when its TLS certificate ends; 0: it has none */
    char cert_text[200];
};
struct web_site {
    const char *id, *name, *territory, *language, *version;
    double lat, lon;
    bool located;
    size_t (*uplinks)(void *ctx, struct web_uplink *out, size_t max);
    void *uplinks_ctx;
};
struct web;
/* *out is NULL with ST_OK when listen is "off". Copies *site; what it points to must outlive the
 * room. The API: gateway/web/api.c. */
enum st web_open(struct web **out, const struct web_cfg *cfg, const struct web_site *site,
                 struct store *s, const struct clk *clk, struct err *e) ST_MUST_CHECK;
unsigned web_port(const struct web *w); /* 0 for NULL */
void web_close(struct web *w);          /* takes NULL */

#endif
