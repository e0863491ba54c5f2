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
};

/* Whether a Host header, or a listen address, names this machine's loopback. */
bool web_is_loopback(const char *host_port);

/* What handlers share: a JSON object as the answer; a reader of the store (NULL: the file cannot be
 * read now, the next request tries again); a decimal number in a query within [min, max], dflt when
 * it is absent. */
void web_answer_begin(struct http_answer *a, struct web_json *j);
void web_answer_end(struct http_answer *a, struct web_json *j, int status);
struct store_reader *web_reader(struct web *w);
bool web_query_int(const struct http_request *q, const char *key, int64_t min, int64_t max,
                   int64_t dflt, int64_t *out);

void web_api_status(void *web, const struct http_request *q, struct http_answer *a);
void web_api_series(void *web, const struct http_request *q, struct http_answer *a);
void web_api_events(void *web, const struct http_request *q, struct http_answer *a);
void web_api_chart(void *web, const struct http_request *q, struct http_answer *a);
void web_api_health(void *web, const struct http_request *q, struct http_answer *a);

#endif
