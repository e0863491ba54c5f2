/* Web: the technician's page and the API under /api/v1/ (gateway/doc/openapi.yaml). */
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
    uint64_t trust_n;    /* the city's notice on its keys that counts last; 0: none */
    int64_t trust_to_ms; /* when what it replaced ends; 0: nothing does */
    char trust_text[200];
};
struct web_site {
    const char *id, *name, *territory, *language, *version;
    double lat, lon;
    bool located;
    size_t (*uplinks)(void *ctx, struct web_uplink *out, size_t max);
    void *uplinks_ctx;
    /* Takes a SenML pack that a program posted; durable when it returns ST_OK. ST_BAD,
     * ST_NOT_FOUND: not in this form. *taken: readings that are new. */
    enum st (*post)(void *ctx, const void *pack, size_t n, size_t *taken, struct err *e);
    void *post_ctx;
};
struct web;
/* *out is NULL with ST_OK when listen is "off". Copies *site; what it points to must outlive the
 * room. The API: gateway/web/api.c. */
enum st web_open(struct web **out, const struct web_cfg *cfg, const struct web_site *site,
                 struct store *s, const struct clk *clk, struct err *e) ST_MUST_CHECK;
unsigned web_port(const struct web *w); /* 0 for NULL */
void web_close(struct web *w);          /* takes NULL */

/* ---- tokens of the API (token.c; decision 0025) -------------------------------------------- */

/* What a token lets its holder do; a bit for each in web_token.scopes. */
enum web_scope { WEB_CORRECT, WEB_MAINTAIN, WEB_RETIRE, WEB_PUSH, WEB_SCOPES };
extern const char *const web_scope_text[WEB_SCOPES + 1]; /* ends with NULL */
#define WEB_SCOPES_TEXT 65
/* "correct,retire". false: one of them is unknown, or there is none. */
bool web_scopes_parse(const char *text, unsigned *scopes);
void web_scopes_print(unsigned scopes, char out[WEB_SCOPES_TEXT]);

#define WEB_TOKENS ".tokens" /* the file: the store's path and this, mode 0600 */
#define WEB_TOKENS_MAX 64
#define WEB_TOKEN_TEXT 69
struct web_token {
    char name[65]; /* whose: the author of what it asks for */
    unsigned scopes;
    int64_t made_ms, ends_ms; /* UTC; ends_ms 0: it does not end */
    uint8_t hash[WIRE_HASH_BYTES];
};
struct web_tokens {
    size_t n;
    struct web_token v[WEB_TOKENS_MAX];
};
bool web_token_name(
    const char *name); /* letters, digits, dots, _ and -; one of the first two first */
/* All of them; none when there is no file. ST_REFUSED: others may use the file; ST_CORRUPT. */
enum st web_tokens_read(const char *store, struct web_tokens *out, struct err *e) ST_MUST_CHECK;
/* Makes one for t->name with these scopes and times; text is the token, kept nowhere else.
 * ST_CONFLICT: that name has one; ST_FULL. */
enum st web_token_add(const char *store, struct web_token *t, char text[WEB_TOKEN_TEXT],
                      struct err *e) ST_MUST_CHECK;
enum st web_token_remove(const char *store, const char *name, struct err *e) ST_MUST_CHECK;
/* Whose it is, in the same time whatever it is; NULL: nobody's. Not whether it has ended. */
const struct web_token *web_token_find(const struct web_tokens *all, const char *text);

#endif
