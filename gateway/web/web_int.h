/* The parts of the web room. Handlers run on the server's one thread. */
#ifndef GATEWAY_WEB_WEB_INT_H
#define GATEWAY_WEB_WEB_INT_H

#include "gateway/http/http.h"
#include "gateway/web/web.h"

/* ---- JSON out, into a bounded buffer ------------------------------------------------------ */

/* A writer that remembers its first failure: check web_json_end() once. Not thread-safe. */
struct web_json {
    struct buf *out;
    enum st st;
    bool comma; /* the next value needs one */
};
void web_json_begin(struct web_json *j, struct buf *out);
enum st web_json_end(struct web_json *j) ST_MUST_CHECK;
void web_json_open(struct web_json *j, const char *key, char bracket); /* '{' or '[' */
void web_json_close(struct web_json *j, char bracket);                 /* '}' or ']' */
/* key NULL inside an array. */
void web_json_text(struct web_json *j, const char *key, const char *text); /* NULL: null */
void web_json_int(struct web_json *j, const char *key, int64_t v);
void web_json_bool(struct web_json *j, const char *key, bool v);
void web_json_num(struct web_json *j, const char *key, struct num v); /* all digits; none: null */

/* ---- the page's files --------------------------------------------------------------------- */

struct web_asset {
    const char *path, *type;
    const unsigned char *bytes;
    const unsigned long *n;
};
extern const struct web_asset web_assets[];
extern const size_t web_assets_count;

/* ---- the room ----------------------------------------------------------------------------- */

struct web {
    struct web_site site;
    struct store *store;
    const struct clk *clk;
    struct store_reader *reader; /* opened by the server's thread when first needed */
    struct http_server *server;
    struct web_wrong {
        unsigned n; /* wrong tokens of late */
        struct mono last, until;
    } wrong;
};

/* Whether a Host header, or a listen address, names this machine's loopback. */
bool web_is_loopback(const char *host_port);
/* Whether a peer's numeric address is one of it. */
bool web_is_here(const char *peer);

/* What handlers share: a JSON object as the answer; a reader of the store (NULL: the file cannot be
 * read now, the next request tries again); a decimal number in a query within [min, max], dflt when
 * it is absent. */
void web_answer_begin(struct http_answer *a, struct web_json *j);
void web_answer_end(struct http_answer *a, struct web_json *j, int status);
struct store_reader *web_reader(struct web *w);
bool web_query_int(const struct http_request *q, const char *key, int64_t min, int64_t max,
                   int64_t dflt, int64_t *out);

/* ---- JSON in (ask.c) ----------------------------------------------------------------------- */

#define WEB_ASK_MAX (16 * 1024)   /* bytes of a body */
#define WEB_PACK_MAX (256 * 1024) /* bytes of a SenML pack */
/* What a body asks for; its texts are in json. Free it, also after a failure. */
struct web_ask {
    struct store_ask ask;
    void *json;
};
/* ST_BAD: not JSON, with the place; ST_REFUSED: JSON, and not what this kind of request takes. */
enum st web_ask_read(struct web_ask *out, enum store_ask_kind kind, const void *body, size_t n,
                     struct err *e) ST_MUST_CHECK;
void web_ask_done(struct web_ask *a);

/* ---- who asks (guard.c) --------------------------------------------------------------------- */

/* The closed list of what a request that wants a token can be refused for. */
enum web_no {
    WEB_NO_JSON,
    WEB_NO_REQUEST,
    WEB_NO_TOKEN,
    WEB_NO_SUCH_TOKEN,
    WEB_NO_MORE,
    WEB_NO_SCOPE,
    WEB_NO_PEER,
    WEB_NO_SERIES,
    WEB_NO_CORRECTION,
    WEB_NO_ASKED,
    WEB_NO_FIT,
    WEB_NO_TYPE,
    WEB_NO_RATE,
    WEB_NO_ROOM,
    WEB_NO_STORE
};
void web_refuse(struct http_answer *a, enum web_no no, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Finds out who asks and whether the token has the scope (WEB_SCOPES: any). false: the answer is
 * made. */
bool web_allows(struct web *w, const struct http_request *q, enum web_scope scope,
                struct web_token *who, struct http_answer *a);

/* ---- what the API answers -------------------------------------------------------------------- */

void web_api_status(void *web, const struct http_request *q, struct http_answer *a);
void web_api_series(void *web, const struct http_request *q, struct http_answer *a);
void web_api_events(void *web, const struct http_request *q, struct http_answer *a);
void web_api_chart(void *web, const struct http_request *q, struct http_answer *a);
void web_api_correct(void *web, const struct http_request *q, struct http_answer *a);
void web_api_maintain(void *web, const struct http_request *q, struct http_answer *a);
void web_api_retire(void *web, const struct http_request *q, struct http_answer *a);
void web_api_readings(void *web, const struct http_request *q, struct http_answer *a);
void web_api_request(void *web, const struct http_request *q, struct http_answer *a);
void web_api_health(void *web, const struct http_request *q, struct http_answer *a);

#endif
