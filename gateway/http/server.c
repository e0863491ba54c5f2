#include "gateway/http/http_int.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACK_BYTES                                                                                \
    ((size_t)256 * 1024) /* GnuTLS's handshake and a handler fit; only used pages count */
#define CONNECTION_BYTES ((size_t)32 * 1024)
#define MIN_BYTES_PER_S 8192 /* what a client must reach beyond the time-out */

/* One request while it arrives. */
struct request {
    char path[HTTP_PATH_MAX]; /* raw; empty: too long */
    char text[HTTP_PATH_MAX]; /* decoded parts */
    struct http_request q;
    const struct http_route *route;
    struct buf body;
    bool begun;
    enum st body_st;
    struct http_later later;
    char peer[INET6_ADDRSTRLEN];
};

const char *http_header(const struct http_request *q, const char *name)
{
    return MHD_lookup_connection_value(q->impl, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_request *q, const char *name)
{
    return MHD_lookup_connection_value(q->impl, MHD_GET_ARGUMENT_KIND, name);
}

const uint8_t *http_peer_cert(const struct http_request *q, size_t *n)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(q->impl, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    unsigned count = 0;
    const gnutls_datum_t *list =
        i != NULL ? gnutls_certificate_get_peers(i->tls_session, &count) : NULL;

    *n = count > 0 && list != NULL ? list[0].size : 0;
    return *n > 0 ? list[0].data : NULL;
}

void http_later(const struct http_request *q, void *job, void (*drop)(void *job))
{
    *q->later = (struct http_later){job, drop, true};
    MHD_suspend_connection(q->impl);
}

void http_resume(void *impl)
{
    MHD_resume_connection(impl);
}

/* ---- libmicrohttpd's calls into us ------------------------------------------------------- */

static struct http_watch_slot *slot_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i != NULL ? i->socket_context : NULL;
}

static void extend(struct http_server *s, struct MHD_Connection *c, int64_t more_ms)
{
    struct http_watch_slot *slot = slot_of(c);
    if (slot != NULL)
        http_watch_extend(&s->watch, slot, more_ms);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = cls;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context != NULL)
            http_watch_remove(&s->watch, *context);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (i == NULL)
        return;
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct http_peer peer;
    http_peer_key(from != NULL ? from->client_addr : NULL, &peer);
    *context = http_watch_add(&s->watch, i->connect_fd, &peer);
    if (*context == NULL)
        shutdown(i->connect_fd, SHUT_RDWR);
    else
        ((struct http_watch_slot *)*context)->generation = atomic_load(&s->generation);
}

/* The raw request target, before libmicrohttpd decodes it: "%2F" must not become a separator. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct http_server *s = cls;
    struct http_watch_slot *slot = slot_of(c);
    struct request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    size_t n = strcspn(uri, "?");
    if (n < sizeof r->path)
        memcpy(r->path, uri, n);
    if (slot != NULL)
        http_watch_head(&s->watch, slot);
    return r;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct http_server *s = cls;
    struct http_watch_slot *slot = slot_of(c);
    struct request *r = *state;

    (void)why;
    if (slot != NULL)
        http_watch_rest(&s->watch, slot);
    if (r == NULL)
        return;
    buf_wipe(&r->body);
    if (r->later.drop != NULL)
        r->later.drop(r->later.job);
    free(r);
    *state = NULL;
}

static void on_message(void *cls, const char *fmt, va_list ap)
{
    struct http_server *s = cls;

    if (atomic_load(&s->started) || s->complaint[0] != '\0')
        return; /* rooms do not log */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(s->complaint, sizeof s->complaint, fmt, ap);
#pragma GCC diagnostic pop
    s->complaint[strcspn(s->complaint, "\n")] = '\0';
}

/* ---- answering --------------------------------------------------------------------------- */

/* Begun with TLS files that were replaced since: the next request is to come over a new one. */
static bool is_stale(struct http_server *s, struct MHD_Connection *c)
{
    const struct http_watch_slot *slot = slot_of(c);
    return slot != NULL && slot->generation != atomic_load(&s->generation);
}

bool http_server_goes_on(struct http_server *s, struct MHD_Connection *c)
{
    extend(s, c, 0);
    return !is_stale(s, c);
}

static enum MHD_Result send_answer(struct http_server *s, struct MHD_Connection *c,
                                   struct http_answer *a, bool close_after)
{
    size_t n = 0;
    struct MHD_Response *resp =
        a->stream != NULL ? http_stream_response(s, c, a->stream) : http_answer_response(a, &n);

    if (resp == NULL)
        return MHD_NO;
    bool ok = http_answer_headers(resp, s->cfg.policy, a);
    if (ok && (close_after || a->stream != NULL || is_stale(s, c)))
        ok = MHD_add_response_header(resp, "Connection", "close") == MHD_YES;
    enum MHD_Result res = MHD_NO;
    if (ok) {
        extend(s, c, (int64_t)(n / MIN_BYTES_PER_S) * 1000);
        res = MHD_queue_response(c, (unsigned)a->status, resp);
    }
    MHD_destroy_response(resp);
    return res;
}

static enum MHD_Result send_problem(struct http_server *s, struct MHD_Connection *c, int status,
                                    const char *code, const char *detail, bool close_after)
{
    struct http_answer a = {0};

    http_problem(&a, status, code, detail, NULL, NULL);
    return send_answer(s, c, &a, close_after);
}

/* What the peer still sends is read away, so that it gets the answer. */
static void linger(struct http_server *s, struct MHD_Connection *c)
{
    struct http_watch_slot *slot = slot_of(c);

    if (slot != NULL)
        http_watch_linger(&s->watch, slot);
}

static void fill(struct MHD_Connection *c, struct request *r, const char *method)
{
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    r->q.method = method;
    r->q.path = r->path;
    r->q.body = r->body.p;
    r->q.body_n = r->body.n;
    r->q.peer = http_peer_text(from != NULL ? from->client_addr : NULL, r->peer, sizeof r->peer);
    r->q.route = r->route;
    r->q.impl = c;
    r->q.later = &r->later;
}

/* Handlers that were promised one thread have one at a time, also while an old daemon ends. */
void http_turn_begin(struct http_server *s)
{
    if (s->cfg.threads <= 1)
        pthread_mutex_lock(&s->turn);
}

void http_turn_end(struct http_server *s)
{
    if (s->cfg.threads <= 1)
        pthread_mutex_unlock(&s->turn);
}

/* The head is complete: refuse what need not be read on, or make ready for the body. */
static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *c, struct request *r,
                             const char *method)
{
    bool known;

    if (r->path[0] == '\0')
        return send_problem(s, c, 414, "not_found", "the path is too long", true);
    r->route = http_route_find(s->routes, s->nroutes, method, r->path, r->text, r->q.param, &known);
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
    uint64_t n = length != NULL ? strtoull(length, NULL, 10) : 0;
    bool has_body =
        n > 0 || MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
    if (r->route == NULL && known) {
        struct http_answer a = {0};
        char methods[64];
        http_route_methods(s->routes, s->nroutes, r->path, r->text, methods, sizeof methods);
        http_problem(&a, 405, "method_not_allowed", "this path has other methods", NULL, NULL);
        http_answer_header(&a, "Allow", "%s", methods);
        return send_answer(s, c, &a, has_body);
    }
    if (r->route == NULL)
        return send_problem(s, c, 404, "not_found", "there is nothing under this path", has_body);
    if (n > r->route->max_body) {
        linger(s, c);
        return send_problem(s, c, 413, "too_large", "the body is longer than accepted here", true);
    }
    struct http_answer no = {0};
    fill(c, r, method);
    http_turn_begin(s);
    bool in = s->cfg.admit == NULL || s->cfg.admit(s->ctx, &r->q, &no);
    http_turn_end(s);
    if (!in) {
        if (has_body)
            linger(s, c);
        return send_answer(s, c, &no, has_body);
    }
    buf_init(&r->body, r->route->max_body);
    extend(s, c, (int64_t)(n / MIN_BYTES_PER_S) * 1000);
    r->begun = true;
    return MHD_YES;
}

static enum MHD_Result finish(struct http_server *s, struct MHD_Connection *c, struct request *r,
                              const char *method)
{
    struct http_answer a = {0};

    if (r->body_st == ST_FULL)
        return send_problem(s, c, 413, "too_large", "the body is longer than accepted here", true);
    if (r->body_st != ST_OK)
        return send_problem(s, c, 503, "unavailable", "no memory for the body", true);
    fill(c, r, method);
    r->later.waits = false;
    http_turn_begin(s);
    r->route->handle(s->ctx, &r->q, &a);
    http_turn_end(s);
    if (r->later.waits)
        return MHD_YES;
    buf_wipe(&r->body);
    if (a.status == 0)
        http_problem(&a, 500, "unavailable", "no answer was made", NULL, NULL);
    return send_answer(s, c, &a, false);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **state)
{
    struct http_server *s = cls;
    struct request *r = *state;

    (void)url;
    (void)version;
    if (r == NULL)
        return MHD_NO; /* no memory when the request line came */
    if (!r->begun)
        return begin(s, c, r, method);
    if (*data_n > 0) {
        /* A body without Content-Length that grows too long is read to its end, or to the
         * deadline, and dropped: libmicrohttpd cannot answer in the middle. */
        if (r->body_st == ST_OK)
            r->body_st = http_body_put(&r->body, data, *data_n);
        if (r->body_st != ST_OK)
            buf_wipe(&r->body);
        http_piece_wipe(data, *data_n);
        *data_n = 0;
        return MHD_YES;
    }
    return finish(s, c, r, method);
}

/* ---- start and stop ---------------------------------------------------------------------- */

/* Hands fd over to libmicrohttpd, which closes it also when it does not start. */
static enum st daemon_start(struct http_server *s, struct MHD_Daemon **out, int fd,
                            const char *cert, const char *key, const char *client_ca, struct err *e)
{
    const struct http_server_cfg *cfg = &s->cfg;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (s->v6 ? MHD_USE_IPv6 : 0U) | (cert != NULL ? MHD_USE_TLS : 0U);
    unsigned threads = cfg->threads < 1 ? 1 : cfg->threads > 8 ? 8 : cfg->threads;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, NULL},
        {client_ca != NULL ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    static char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    union {
        const char *in;
        void *out;
    } cert_p = {cert}, key_p = {key}, ca_p = {client_ca};

    tls[0].ptr_value = cert_p.out;
    tls[1].ptr_value = key_p.out;
    tls[2].ptr_value = priorities;
    tls[3].ptr_value = ca_p.out;
    *out = MHD_start_daemon(
        flags, 0, http_peer_taken, s, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_message, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0U,
        MHD_OPTION_CONNECTION_LIMIT,
        cfg->max_connections < threads ? threads : cfg->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, cfg->timeout_s, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        s, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, cert != NULL ? MHD_OPTION_ARRAY : MHD_OPTION_END,
        tls, MHD_OPTION_END);
    if (*out != NULL)
        return ST_OK;
    if (cert != NULL)
        return err_set(e, ST_BAD, "%s, %s: not a usable TLS certificate and key (%s)", cfg->cert,
                       cfg->key, s->complaint);
    return err_set(e, ST_IO, "listen %s: the server did not start (%s)", cfg->listen, s->complaint);
}

enum st http_server_start(struct http_server *s, struct MHD_Daemon **out, struct err *e)
{
    const struct http_server_cfg *cfg = &s->cfg;
    char *cert = NULL, *key = NULL, *client_ca = NULL;
    sigset_t all, old;
    int fd = -1;
    enum st st = ST_OK;

    if (cfg->cert != NULL)
        st = http_pem_read(cfg->cert, &cert, e);
    if (st == ST_OK && cfg->cert != NULL)
        st = http_pem_read(cfg->key, &key, e);
    if (st == ST_OK && cfg->client_ca != NULL)
        st = http_pem_read(cfg->client_ca, &client_ca, e);
    if (st == ST_OK && (fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0)) < 0)
        st = err_set(e, ST_IO, "listen %s: %s", cfg->listen, strerror(errno));
    if (st == ST_OK) {
        /* Signals are the program's main thread's; libmicrohttpd's threads inherit this mask. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        st = daemon_start(s, out, fd, cert, key, client_ca, e);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (key != NULL)
        explicit_bzero(key, strlen(key));
    free(cert);
    free(key);
    free(client_ca);
    return st;
}

enum st http_server_open(struct http_server **out, const struct http_server_cfg *cfg,
                         const struct http_route *routes, size_t nroutes, void *ctx, struct err *e)
{
    struct http_server *s = calloc(1, sizeof *s);
    enum st st = ST_OK;

    *out = NULL;
    if (s == NULL)
        return err_set(e, ST_MEMORY, "no memory for the web server");
    s->routes = routes;
    s->nroutes = nroutes;
    s->ctx = ctx;
    s->timeout_ms = (int64_t)cfg->timeout_s * 1000;
    s->fd = s->renew.stop.fd = -1;
    (void)pthread_mutex_init(&s->turn, NULL);
    http_tls_wipes();
    if (!http_cfg_copy(&s->cfg, cfg))
        st = err_set(e, ST_MEMORY, "no memory for the web server");
    if (st == ST_OK)
        st = http_socket_open(cfg->listen, &s->fd, &s->port, &s->v6, e);
    if (st == ST_OK)
        st = http_watch_open(&s->watch, (size_t)cfg->max_connections + 8, s->timeout_ms,
                             cfg->head_s > 0 ? (int64_t)cfg->head_s * 1000 : s->timeout_ms, e);
    http_renew_note(&s->cfg, s->renew.used);
    if (st == ST_OK)
        st = http_server_start(s, &s->daemon, e);
    atomic_store(&s->started, true);
    if (st == ST_OK && cfg->cert != NULL)
        st = http_renew_open(s, e);
    if (st != ST_OK) {
        http_server_close(s);
        s = NULL;
    }
    *out = s;
    return st;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_close(struct http_server *s)
{
    if (s == NULL)
        return;
    http_renew_close(&s->renew);
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    if (s->fd >= 0)
        close(s->fd);
    http_watch_close(&s->watch);
    (void)pthread_mutex_destroy(&s->turn);
    http_cfg_done(&s->cfg);
    free(s);
}
