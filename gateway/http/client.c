#include "gateway/http/http_int.h"

#include <curl/curl.h>
#include <libssh2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/clk.h"

#define IO_BUFFER_BYTES 16384L /* curl's own buffers; the gateway's memory is counted in KiB */

struct http_client {
    struct http_client_cfg cfg;
    char *ca, *pin, *cert, *agent, *auth; /* auth: "Authorization: Bearer …" */
    char *interface;                      /* "if!NAME" */
    struct curl_slist *resolved;
    CURLM *multi;
    CURL *easy;
    struct http_meter meter;
    int64_t packet_bytes; /* of a connection that ended with the call */
    char detail[CURL_ERROR_SIZE];
};

/* Where it fails (no memory), the next client tries again. */
static pthread_mutex_t global_lock = PTHREAD_MUTEX_INITIALIZER;
static bool global_ready; /* under the lock */

static CURLcode global_init(void)
{
    /* libcurl starts libssh2. Where that is the system's, and not gateway/http/lean, it starts
     * OpenSSL with all its engines: 1.6 MiB that HTTPS by GnuTLS never uses. Whoever starts libssh2
     * first says whether it brings its cryptography up. */
    if (libssh2_init(LIBSSH2_INIT_NO_CRYPTO) != 0)
        return CURLE_FAILED_INIT;
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (rc != CURLE_OK)
        libssh2_exit();
    return rc;
}

enum st http_client_ready(struct err *e)
{
    pthread_mutex_lock(&global_lock);
    CURLcode rc = global_ready ? CURLE_OK : global_init();
    global_ready = rc == CURLE_OK;
    pthread_mutex_unlock(&global_lock);
    return rc == CURLE_OK
               ? ST_OK
               : err_set(e, ST_MEMORY, "libcurl does not start: %s", curl_easy_strerror(rc));
}

static char *copy(const char *prefix, const char *text)
{
    size_t n = strlen(prefix) + strlen(text) + 1;
    char *p = malloc(n);

    if (p != NULL)
        snprintf(p, n, "%s%s", prefix, text);
    return p;
}

static void drop_handles(struct http_client *c)
{
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    c->easy = NULL;
    c->multi = NULL;
}

static bool make_handles(struct http_client *c)
{
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    if (c->multi != NULL && c->easy != NULL &&
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK)
        return true;
    drop_handles(c);
    return false;
}

enum st http_client_open(struct http_client **out, const struct http_client_cfg *cfg, struct err *e)
{
    *out = NULL;
    if (cfg->ca != NULL && access(cfg->ca, R_OK) != 0)
        return err_set(e, ST_NOT_FOUND, "%s: the CA file cannot be read", cfg->ca);
    ERR_TRY(http_client_ready(e));
    struct http_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(e, ST_MEMORY, "no memory for a client");
    c->cfg = *cfg;
    c->meter.wire = cfg->wire;
    c->ca = cfg->ca != NULL ? copy("", cfg->ca) : NULL;
    c->pin = cfg->pin != NULL ? copy("", cfg->pin) : NULL;
    c->cert = cfg->cert != NULL ? copy("", cfg->cert) : NULL;
    c->auth = cfg->bearer != NULL ? copy("Authorization: Bearer ", cfg->bearer) : NULL;
    c->agent = copy("", cfg->user_agent != NULL ? cfg->user_agent : "fieldpost");
    c->interface = cfg->interface != NULL ? copy("if!", cfg->interface) : NULL;
    c->resolved = cfg->resolved != NULL ? curl_slist_append(NULL, cfg->resolved) : NULL;
    if ((cfg->interface != NULL && c->interface == NULL) ||
        (cfg->resolved != NULL && c->resolved == NULL) || (cfg->ca != NULL && c->ca == NULL) ||
        (cfg->pin != NULL && c->pin == NULL) || (cfg->cert != NULL && c->cert == NULL) ||
        (cfg->bearer != NULL && c->auth == NULL) || c->agent == NULL || !make_handles(c)) {
        http_client_close(c);
        return err_set(e, ST_MEMORY, "no memory for a client");
    }
    *out = c;
    return ST_OK;
}

void http_client_close(struct http_client *c)
{
    if (c == NULL)
        return;
    drop_handles(c);
    if (c->auth != NULL)
        explicit_bzero(c->auth, strlen(c->auth));
    free(c->auth);
    free(c->agent);
    free(c->interface);
    curl_slist_free_all(c->resolved);
    free(c->cert);
    free(c->pin);
    free(c->ca);
    free(c);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct buf *b = ctx;
    return buf_put(b, p, size * n) == ST_OK ? size * n : 0;
}

static bool set_body(CURL *h, const struct http_call *call)
{
    bool ok = true;

    if (strcmp(call->method, "HEAD") == 0)
        return curl_easy_setopt(h, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (call->body != NULL) {
        ok = curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body) == CURLE_OK &&
             curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_n) == CURLE_OK;
    }
    return ok && curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct http_client *c = ctx;
    http_meter_end(&c->meter, fd);
    c->packet_bytes = http_meter_packet(fd);
    return close(fd);
}

/* Everything is set anew for each call: curl_easy_reset keeps the connection and TLS session. */
static bool set_options(struct http_client *c, const struct http_call *call,
                        struct curl_slist *headers, struct http_reply *r)
{
    CURL *h = c->easy;
    const bool pinned = c->ca == NULL && c->pin != NULL, tls = c->ca != NULL || pinned;

    curl_easy_reset(h);
#define SET(option, value) (curl_easy_setopt(h, CURLOPT_##option, (value)) == CURLE_OK)
    return SET(ERRORBUFFER, c->detail) && SET(URL, call->url) && SET(NOSIGNAL, 1L) &&
           SET(PROTOCOLS_STR, tls ? "https" : "http") && SET(PROXY, "") &&
           SET(FOLLOWLOCATION, 0L) && SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
           SET(SSL_VERIFYPEER, pinned ? 0L : 1L) && SET(SSL_VERIFYHOST, pinned ? 0L : 2L) &&
           (!pinned || SET(PINNEDPUBLICKEY, c->pin)) &&
           (c->cert == NULL || (SET(SSLCERT, c->cert) && SET(SSLKEY, c->cert))) &&
           SET(CERTINFO, 1L) && SET(CAPATH, NULL) && (c->ca == NULL || SET(CAINFO, c->ca)) &&
           SET(USERAGENT, c->agent) && SET(CONNECTTIMEOUT_MS, (long)c->cfg.connect_ms) &&
           SET(TIMEOUT_MS, (long)(call->total_ms > 0 ? call->total_ms : c->cfg.total_ms)) &&
           SET(QUICK_EXIT, HTTP_LEAVES_LOOKUPS) && SET(BUFFERSIZE, IO_BUFFER_BYTES) &&
           SET(UPLOAD_BUFFERSIZE, IO_BUFFER_BYTES) &&
           (c->interface == NULL || SET(INTERFACE, c->interface)) &&
           (c->resolved == NULL || SET(RESOLVE, c->resolved)) && SET(TCP_KEEPALIVE, 1L) &&
           SET(CLOSESOCKETFUNCTION, on_close) && SET(CLOSESOCKETDATA, c) &&
           SET(HTTPHEADER, headers) && SET(WRITEFUNCTION, on_body) && SET(WRITEDATA, &r->body) &&
           set_body(h, call);
#undef SET
}

static bool make_headers(struct http_client *c, const struct http_call *call,
                         struct curl_slist **out)
{
    const char *own[] = {c->auth, NULL};
    const char *const *lists[] = {own, call->headers};

    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; lists[k] != NULL && lists[k][i] != NULL; i++) {
            struct curl_slist *l = curl_slist_append(*out, lists[k][i]);
            if (l == NULL)
                return false;
            *out = l;
        }
    }
    return true;
}

/* Runs the transfer; false when stop_fd became readable. */
static bool transfer(struct http_client *c, int stop_fd, CURLcode *rc)
{
    struct curl_waitfd stop = {.fd = stop_fd, .events = CURL_WAIT_POLLIN};
    int running = 1, left;

    *rc = CURLE_FAILED_INIT;
    while (running > 0) {
        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return true;
        if (running == 0)
            break;
        stop.revents = 0;
        if (curl_multi_poll(c->multi, &stop, stop_fd >= 0 ? 1 : 0, 1000, NULL) != CURLM_OK)
            return true;
        if (stop.revents != 0)
            return false;
    }
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        if (m->msg == CURLMSG_DONE)
            *rc = m->data.result;
    }
    return true;
}

/* "Start date:2026-11-25 18:20:00 GMT" of a certificate; false when it has none. */
static bool cert_date(const struct curl_slist *l, const char *name, int64_t *ms)
{
    size_t n = strlen(name);
    char day[11], clock[9], text[CLK_TEXT_BYTES];

    while (l != NULL && (strncasecmp(l->data, name, n) != 0 || l->data[n] != ':'))
        l = l->next;
    if (l == NULL || sscanf(l->data + n + 1, "%10s %8s", day, clock) != 2)
        return false;
    snprintf(text, sizeof text, "%sT%sZ", day, clock);
    return clk_parse(text, ms);
}

/* libcurl does not say why GnuTLS refused: the dates of what the peer showed tell. */
static void judge_dates(CURL *h, struct http_reply *r)
{
    struct curl_certinfo *info = NULL;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, from_ms, to_ms;
    if (curl_easy_getinfo(h, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL)
        return;
    for (int i = 0; i < info->num_of_certs && r->cert.to_ms == 0; i++) {
        if (!cert_date(info->certinfo[i], "Start date", &from_ms) ||
            !cert_date(info->certinfo[i], "Expire date", &to_ms) ||
            (from_ms <= now_ms && now_ms <= to_ms))
            continue;
        r->cert.from_ms = from_ms;
        r->cert.to_ms = to_ms;
        r->cert.now_ms = now_ms;
    }
}

static enum st failure(struct http_client *c, const struct http_call *call, CURLcode rc,
                       const struct http_reply *r, struct err *e)
{
    const char *why = c->detail[0] != '\0' ? c->detail : curl_easy_strerror(rc);
    enum st st;

    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
        st = ST_TIMEOUT;
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        st = ST_CORRUPT;
        break;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT: /* the multi handle gave up */
        st = ST_MEMORY;
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        st = ST_BAD;
        break;
    case CURLE_WRITE_ERROR:
        st = r->body.max - r->body.n < (size_t)CURL_MAX_WRITE_SIZE ? ST_FULL : ST_MEMORY;
        if (st == ST_FULL)
            why = "the answer is longer than expected";
        break;
    default:
        st = ST_IO;
        break;
    }
    return err_set(e, st, "%s: %s", call->url, why);
}

/* The times of libcurl are since the call began, and 0 where it did not come so far. */
static void read_times(CURL *h, struct http_reply *r)
{
    curl_off_t name = 0, connect = 0, tls = 0, request = 0, first = 0;
    long fresh = 0, error = 0;

    curl_easy_getinfo(h, CURLINFO_NAMELOOKUP_TIME_T, &name);
    curl_easy_getinfo(h, CURLINFO_CONNECT_TIME_T, &connect);
    curl_easy_getinfo(h, CURLINFO_APPCONNECT_TIME_T, &tls);
    curl_easy_getinfo(h, CURLINFO_PRETRANSFER_TIME_T, &request);
    curl_easy_getinfo(h, CURLINFO_STARTTRANSFER_TIME_T, &first);
    curl_easy_getinfo(h, CURLINFO_NUM_CONNECTS, &fresh);
    curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &error);
    r->os_errno = (int)error;
    if (connect > 0)
        r->took.connect_us = fresh > 0 ? connect - name : 0;
    if (tls > 0)
        r->took.tls_us = fresh > 0 ? tls - connect : 0;
    if (first > 0)
        r->took.first_us = first - request;
}

/* What libcurl calls the size of the request is its head and as much of the body as went out with
 * it: all of it (from 8.7 on), what the first write took, or none of it where the server was asked
 * first whether it wants the body (Expect). A head that cannot be told apart is left out. */
static int64_t head_bytes(int64_t request, int64_t body)
{
    return request > body ? request - body : request < CURL_MAX_WRITE_SIZE ? request : 0;
}

static void read_reply(CURL *h, struct http_reply *r)
{
    curl_off_t up = 0, down = 0, retry = 0, ready = 0, last = 0;
    long status = 0, head_up = 0, head_down = 0;
    const char *type = NULL, *to = NULL;

    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(h, CURLINFO_REDIRECT_URL, &to);
    curl_easy_getinfo(h, CURLINFO_RETRY_AFTER, &retry);
    curl_easy_getinfo(h, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(h, CURLINFO_SIZE_DOWNLOAD_T, &down);
    curl_easy_getinfo(h, CURLINFO_PRETRANSFER_TIME_T, &ready);
    curl_easy_getinfo(h, CURLINFO_TOTAL_TIME_T, &last);
    curl_easy_getinfo(h, CURLINFO_REQUEST_SIZE, &head_up);
    curl_easy_getinfo(h, CURLINFO_HEADER_SIZE, &head_down);
    r->status = (int)status;
    snprintf(r->content_type, sizeof r->content_type, "%s", type != NULL ? type : "");
    snprintf(r->redirect, sizeof r->redirect, "%s", to != NULL ? to : "");
    r->retry_after_s = retry > 0 ? (long)retry : -1;
    r->sent_bytes = (int64_t)up + head_bytes(head_up, (int64_t)up);
    r->received_bytes = (int64_t)down + head_down;
    r->call_us = last > ready ? (int64_t)(last - ready) : 0;
    read_times(h, r);
}

static void read_meter(struct http_client *c, struct http_reply *r)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    long fresh = 0;
    if (curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK)
        return;
    r->packet_bytes = fd != CURL_SOCKET_BAD ? http_meter_packet(fd) : c->packet_bytes;
    if (http_meter_read(&c->meter, fd))
        return;
    (void)curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &fresh);
    http_meter_guess(&c->meter, fd, r->sent_bytes, r->received_bytes, fresh > 0);
}

enum st http_client_do(struct http_client *c, const struct http_call *call, int stop_fd,
                       struct http_reply *reply, struct err *e)
{
    struct curl_slist *headers = NULL;
    CURLcode rc = CURLE_FAILED_INIT;
    enum st st;

    reply->status = 0;
    reply->content_type[0] = reply->redirect[0] = '\0';
    reply->retry_after_s = -1;
    reply->sent_bytes = reply->received_bytes = reply->call_us = 0;
    reply->packet_bytes = c->packet_bytes = 0;
    reply->took = (struct http_took){-1, -1, -1};
    reply->os_errno = 0;
    memset(&reply->cert, 0, sizeof reply->cert);
    reply->body.n = 0;
    reply->body.max = call->max_answer > 0 ? call->max_answer : c->cfg.max_answer;
    c->detail[0] = '\0';
    if ((c->easy == NULL && !make_handles(c)) || !make_headers(c, call, &headers) ||
        !set_options(c, call, headers, reply) ||
        curl_multi_add_handle(c->multi, c->easy) != CURLM_OK) {
        st = err_set(e, ST_MEMORY, "%s: the call cannot be made", call->url);
        goto out;
    }
    if (transfer(c, stop_fd, &rc)) {
        read_reply(c->easy, reply);
        st = rc == CURLE_OK ? ST_OK : failure(c, call, rc, reply, e);
        if (st == ST_CORRUPT)
            judge_dates(c->easy, reply);
        if (rc != CURLE_OK)
            reply->status = 0;
    } else {
        st = err_set(e, ST_STOPPED, "%s: stopped", call->url);
    }
    read_meter(c, reply);
    curl_multi_remove_handle(c->multi, c->easy);
out:
    if (st == ST_MEMORY) /* what ran out of memory half-way takes no call any more */
        drop_handles(c);
    curl_slist_free_all(headers);
    return st;
}
