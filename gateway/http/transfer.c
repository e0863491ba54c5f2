/* How fast bytes come or go over several connections: one curl handle each, one thread. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/http/http_int.h"

#define BUFFER_BYTES 131072L /* of a connection */
#define RANDOM_BYTES 65536   /* deflate looks back half as far: it finds nothing to repeat */
#define REQUEST_BYTES ((int64_t)64 << 20) /* of one upload, at most */
#define HEAD_BYTES 65536                  /* of one answer */
#define LOOK_MS 100
#define SNIFF_BYTES 65 /* of an answer, with a 0 behind: to see whether it is a page */

struct transfer;
struct lane {
    struct transfer *t;
    CURL *h;
    bool going;              /* bytes have moved */
    int64_t got, left;       /* of this answer; of this request */
    char first[SNIFF_BYTES]; /* of this answer */
    char detail[CURL_ERROR_SIZE];
};
struct transfer {
    const struct http_transfer_cfg *cfg;
    struct http_transfer *out;
    CURLM *multi;
    struct lane lane[HTTP_TRANSFER_CONNECTIONS];
    int fds[HTTP_METERED]; /* that are open; -1: none */
    struct http_meter meter;
    int64_t moved, acked;                /* by the lanes; of connections that have ended */
    bool untold;                         /* the kernel does not tell what is acknowledged */
    int64_t start_us, going_us, from_us; /* 0: not yet */
    int64_t from_bytes;
    bool over;
    uint8_t random[RANDOM_BYTES];
};

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The first fault is the one that is told. */
static void fail(struct transfer *t, enum http_transfer_fault fault, const char *text)
{
    t->over = true;
    if (t->out->fault != HTTP_TRANSFER_GOOD)
        return;
    t->out->fault = fault;
    snprintf(t->out->text, sizeof t->out->text, "%s", text);
}

/* ---- connections ---------------------------------------------------------------------------- */

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

    (void)purpose;
    for (size_t i = 0; i < HTTP_METERED && fd >= 0; i++) {
        if (t->fds[i] < 0) {
            t->fds[i] = fd;
            return fd;
        }
    }
    if (fd >= 0)
        close(fd);
    return CURL_SOCKET_BAD;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct transfer *t = ctx;
    int64_t acked;

    for (size_t i = 0; i < HTTP_METERED; i++) {
        if (t->fds[i] == fd)
            t->fds[i] = -1;
    }
    if (http_meter_acked(fd, &acked)) {
        t->acked += acked;
        http_meter_end(&t->meter, fd);
    }
    return close(fd);
}

/* What has gone through so far; counts the wire on the way. */
static int64_t look(struct transfer *t)
{
    int64_t all = t->acked, acked;

    for (size_t i = 0; i < HTTP_METERED; i++) {
        if (t->fds[i] >= 0 && http_meter_acked(t->fds[i], &acked)) {
            all += acked;
            t->untold |= !http_meter_read(&t->meter, t->fds[i]);
        }
    }
    t->untold |= t->moved > 0 && all == 0;
    return t->cfg->upload && !t->untold ? all : t->moved;
}

/* ---- what comes and goes -------------------------------------------------------------------- */

static bool is_page(struct lane *l)
{
    static const char *const begins[] = {"<!doctype html", "<html"};
    const char *at = l->first;
    char *type = NULL;

    if (curl_easy_getinfo(l->h, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != NULL &&
        strncasecmp(type, "text/html", 9) == 0)
        return true;
    if (strncmp(at, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        at += 3;
    at += strspn(at, " \t\r\n");
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        if (strncasecmp(at, begins[i], strlen(begins[i])) == 0)
            return true;
    }
    return false;
}

/* Whether the answer's head is one that data may follow. */
static bool judge(struct lane *l)
{
    struct transfer *t = l->t;
    char text[200];
    long status = 0;

    curl_easy_getinfo(l->h, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status <= 299 && !is_page(l))
        return true;
    if (t->out->fault != HTTP_TRANSFER_GOOD)
        return false;
    t->out->status = (int)status;
    if (status >= 300 && status <= 399) {
        snprintf(text, sizeof text, "it sends elsewhere (status %ld)", status); /* an operator's
                                                   page may have the subscriber in its address */
        fail(t, HTTP_TRANSFER_REDIRECT, text);
    } else if (status >= 200 && status <= 299) {
        fail(t, HTTP_TRANSFER_PAGE, "it is HTML");
    } else {
        snprintf(text, sizeof text, "it answers with status %ld", status);
        fail(t, HTTP_TRANSFER_STATUS, text);
    }
    return false;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct lane *l = ctx;
    struct transfer *t = l->t;
    int64_t before = l->got;

    n *= size;
    for (size_t i = 0; i < n && l->got + (int64_t)i < SNIFF_BYTES - 1; i++)
        l->first[l->got + (int64_t)i] = p[i];
    l->got += (int64_t)n;
    if (before < SNIFF_BYTES && !judge(l))
        return 0;
    if (t->cfg->upload) /* the answer to it: nobody reads it, and it ends */
        return l->got <= HTTP_TRANSFER_LEAST_BYTES ? n : 0;
    l->going = true;
    t->moved += (int64_t)n;
    t->over |= t->moved >= t->cfg->max_bytes;
    return t->over ? 0 : n;
}

static size_t on_send(char *to, size_t size, size_t n, void *ctx)
{
    struct lane *l = ctx;
    struct transfer *t = l->t;
    int64_t most = t->cfg->max_bytes - t->moved;

    n *= size;
    t->over |= most <= 0;
    if (t->over)
        return CURL_READFUNC_ABORT;
    if ((int64_t)n > l->left)
        n = (size_t)l->left;
    if ((int64_t)n > most)
        n = (size_t)most;
    for (size_t at = 0; at < n;) {
        size_t part = n - at < RANDOM_BYTES ? n - at : RANDOM_BYTES;
        memcpy(to + at, t->random, part);
        at += part;
    }
    l->left -= (int64_t)n;
    l->going = true;
    t->moved += (int64_t)n;
    return n;
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool set_options(struct lane *l)
{
    struct transfer *t = l->t;
    const struct http_transfer_cfg *cfg = t->cfg;
    const bool tls = strncasecmp(cfg->url, "https:", 6) == 0;
    char interface[HTTP_INTERFACE_BYTES + 4];
    CURL *h = l->h;

    snprintf(interface, sizeof interface, "if!%s", cfg->interface != NULL ? cfg->interface : "");
#define SET(option, value) (curl_easy_setopt(h, CURLOPT_##option, (value)) == CURLE_OK)
    return SET(ERRORBUFFER, l->detail) && SET(URL, cfg->url) && SET(NOSIGNAL, 1L) &&
           SET(PROTOCOLS_STR, tls ? "https" : "http") && SET(PROXY, "") &&
           SET(FOLLOWLOCATION, 0L) && SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(SSL_VERIFYPEER, 1L) &&
           SET(SSL_VERIFYHOST, 2L) && SET(CAPATH, NULL) &&
           (cfg->ca == NULL || SET(CAINFO, cfg->ca)) && SET(USERAGENT, "fieldpost") &&
           SET(CONNECTTIMEOUT_MS, (long)cfg->connect_ms) && SET(QUICK_EXIT, HTTP_LEAVES_LOOKUPS) &&
           SET(BUFFERSIZE, BUFFER_BYTES) && SET(UPLOAD_BUFFERSIZE, BUFFER_BYTES) &&
           SET(OPENSOCKETFUNCTION, on_open) && SET(OPENSOCKETDATA, t) &&
           SET(CLOSESOCKETFUNCTION, on_close) && SET(CLOSESOCKETDATA, t) &&
           (cfg->interface == NULL || SET(INTERFACE, interface)) && SET(PRIVATE, l) &&
           SET(WRITEFUNCTION, on_body) && SET(WRITEDATA, l) &&
           (!cfg->upload || (SET(POST, 1L) && SET(READFUNCTION, on_send) && SET(READDATA, l)));
#undef SET
}

/* One more request on this lane. A server that refuses an upload may say so before it comes: curl
 * waits a second for that (Expect: 100-continue). */
static bool request(struct lane *l)
{
    struct transfer *t = l->t;
    int64_t left = t->cfg->max_bytes - t->moved;

    l->got = 0;
    memset(l->first, 0, sizeof l->first);
    l->left = left < REQUEST_BYTES ? left : REQUEST_BYTES;
    if (t->cfg->upload &&
        curl_easy_setopt(l->h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)l->left) != CURLE_OK)
        return false;
    return curl_multi_add_handle(t->multi, l->h) == CURLM_OK;
}

static bool open_lanes(struct transfer *t)
{
    t->multi = curl_multi_init();
    if (t->multi == NULL ||
        curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)t->cfg->connections) != CURLM_OK)
        return false;
    for (size_t i = 0; i < t->cfg->connections; i++) {
        struct lane *l = &t->lane[i];
        l->t = t;
        l->h = curl_easy_init();
        if (l->h == NULL || !set_options(l) || !request(l))
            return false;
    }
    return true;
}

static enum http_transfer_fault fault_of(const struct lane *l, CURLcode rc)
{
    switch (rc) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_TRANSFER_STRANGER;
    case CURLE_INTERFACE_FAILED:
        return HTTP_TRANSFER_INTERFACE;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        return HTTP_TRANSFER_BROKEN;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_UNSUPPORTED_PROTOCOL: /* what comes is no HTTP */
    case CURLE_WEIRD_SERVER_REPLY:
        return HTTP_TRANSFER_CUT;
    default:
        return l->going || l->got > 0 ? HTTP_TRANSFER_CUT : HTTP_TRANSFER_CONNECT;
    }
}

static void done(struct transfer *t, struct lane *l, CURLcode rc)
{
    if (t->over)
        return;
    if (rc != CURLE_OK) {
        fail(t, fault_of(l, rc), l->detail[0] != '\0' ? l->detail : curl_easy_strerror(rc));
        return;
    }
    if (!judge(l))
        return;
    if (!t->cfg->upload && l->got < HTTP_TRANSFER_LEAST_BYTES) {
        fail(t, HTTP_TRANSFER_SMALL, "at least 256 KiB");
        return;
    }
    if (t->cfg->upload && l->left > 0) {
        fail(t, HTTP_TRANSFER_CUT, "it answers before it has all");
        return;
    }
    t->over |= t->moved >= t->cfg->max_bytes;
    if (!t->over && !request(l))
        fail(t, HTTP_TRANSFER_BROKEN, "no memory for another request");
}

static void take_done(struct transfer *t)
{
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(t->multi, &left)) != NULL;) {
        struct lane *l = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode rc = m->data.result;
        CURL *h = m->easy_handle;
        curl_easy_getinfo(h, CURLINFO_PRIVATE, (char **)(void *)&l);
        curl_multi_remove_handle(t->multi, h);
        done(t, l, rc);
    }
}

/* ---- the window ----------------------------------------------------------------------------- */

static unsigned going(const struct transfer *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->cfg->connections; i++)
        n += t->lane[i].going;
    return n;
}

static void window_end(struct transfer *t, int64_t now, int64_t bytes)
{
    t->over = true;
    if (t->from_us == 0 || t->out->us > 0)
        return;
    t->out->us = now - t->from_us;
    t->out->bytes = bytes - t->from_bytes;
    if (t->cfg->window != NULL)
        t->cfg->window(t->cfg->ctx, false);
}

/* Where the time stands: all going, ramp, window, end. */
static void time_step(struct transfer *t)
{
    const struct http_transfer_cfg *cfg = t->cfg;
    int64_t bytes = look(t), now = clock_us();
    unsigned n = going(t);

    if (t->going_us == 0 && n == 0 && now - t->start_us > cfg->connect_ms * 1000)
        fail(t, HTTP_TRANSFER_SILENT, "connected, but nothing comes");
    if (t->going_us == 0 &&
        (n == cfg->connections || (n > 0 && now - t->start_us > cfg->connect_ms * 1000)))
        t->going_us = now;
    if (t->going_us > 0 && t->from_us == 0 && !t->over &&
        now - t->going_us >= cfg->ramp_ms * 1000) {
        t->from_us = now;
        t->from_bytes = bytes;
        t->out->connections = n;
        if (cfg->window != NULL)
            cfg->window(cfg->ctx, true);
    } else if (t->over || (t->from_us > 0 && now - t->from_us >= cfg->window_ms * 1000)) {
        window_end(t, now, bytes);
    }
}

static int wait_ms(const struct transfer *t)
{
    int64_t now = clock_us(), left = LOOK_MS * 1000;
    int64_t at = t->from_us > 0    ? t->from_us + t->cfg->window_ms * 1000
                 : t->going_us > 0 ? t->going_us + t->cfg->ramp_ms * 1000
                                   : now + left;
    if (at - now < left)
        left = at - now;
    return left > 0 ? (int)((left + 999) / 1000) : 0;
}

static void run(struct transfer *t)
{
    struct curl_waitfd stop = {.fd = t->cfg->stop_fd, .events = CURL_WAIT_POLLIN};
    int running;

    while (!t->over) {
        if (curl_multi_perform(t->multi, &running) != CURLM_OK) {
            fail(t, HTTP_TRANSFER_BROKEN, "libcurl gave up");
            break;
        }
        take_done(t);
        time_step(t);
        if (!t->over && t->cfg->go_on != NULL && !t->cfg->go_on(t->cfg->ctx))
            fail(t, HTTP_TRANSFER_ENDED, "ended");
        stop.revents = 0;
        if (!t->over && curl_multi_poll(t->multi, &stop, t->cfg->stop_fd >= 0 ? 1 : 0, wait_ms(t),
                                        NULL) != CURLM_OK)
            fail(t, HTTP_TRANSFER_BROKEN, "libcurl gave up");
        if (stop.revents != 0)
            fail(t, HTTP_TRANSFER_STOPPED, "stopped");
    }
}

/* What was measured, or why not. */
static void conclude(struct transfer *t)
{
    struct http_transfer *out = t->out;

    if (out->fault == HTTP_TRANSFER_GOOD && out->us < HTTP_TRANSFER_LEAST_MS * 1000)
        fail(t, HTTP_TRANSFER_SHORT, "the most bytes were gone before the window was long enough");
    if (out->fault == HTTP_TRANSFER_GOOD && out->bytes == 0)
        fail(t, HTTP_TRANSFER_SILENT, "nothing moved while it was measured");
    if (out->fault != HTTP_TRANSFER_GOOD)
        out->bytes = out->us = 0;
}

static void close_lanes(struct transfer *t)
{
    for (size_t i = 0; i < HTTP_TRANSFER_CONNECTIONS; i++) {
        if (t->lane[i].h == NULL)
            continue;
        curl_multi_remove_handle(t->multi, t->lane[i].h);
        curl_easy_cleanup(t->lane[i].h);
    }
    curl_multi_cleanup(t->multi);
    if (t->untold)
        http_meter_guess(&t->meter, -1, t->cfg->upload ? t->moved : 0,
                         t->cfg->upload ? 0 : t->moved, true);
}

void http_transfer(const struct http_transfer_cfg *cfg, struct http_transfer *out)
{
    struct err e = {.text = ""};

    memset(out, 0, sizeof *out);
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL || http_client_ready(&e) != ST_OK) {
        out->fault = HTTP_TRANSFER_BROKEN;
        snprintf(out->text, sizeof out->text, "no memory for a transfer");
        free(t);
        return;
    }
    t->cfg = cfg;
    t->out = out;
    t->meter.wire = &out->wire;
    t->start_us = clock_us();
    for (size_t i = 0; i < HTTP_METERED; i++)
        t->fds[i] = -1;
    if (cfg->ca != NULL && access(cfg->ca, R_OK) != 0)
        fail(t, HTTP_TRANSFER_STRANGER, "the CA file cannot be read");
    else if (getrandom(t->random, sizeof t->random, 0) != (ssize_t)sizeof t->random)
        fail(t, HTTP_TRANSFER_BROKEN, "no random bytes");
    else if (!open_lanes(t))
        fail(t, HTTP_TRANSFER_BROKEN, "no memory for a transfer");
    run(t);
    conclude(t);
    close_lanes(t);
    free(t);
}
