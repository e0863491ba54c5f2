/* Thin tools over libmicrohttpd (server) and libcurl (client). Know no room above base. */
#ifndef GATEWAY_HTTP_HTTP_H
#define GATEWAY_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/buf.h"
#include "gateway/base/err.h"

/* ---- server ----------------------------------------------------------------------------- */

#define HTTP_PARAMS_MAX 4

/* One request, complete with its body. Everything is borrowed for the call. */
struct http_request {
    const char *method, *path;
    const char *param[HTTP_PARAMS_MAX]; /* what the route's {…} parts matched, URL-decoded */
    const uint8_t *body;
    size_t body_n;
    const char *peer; /* numeric address */
    const struct http_route *route;
    void *impl;
    struct http_later *later;
};
const char *http_header(const struct http_request *q, const char *name); /* NULL when absent */
const char *http_query(const struct http_request *q, const char *name);  /* NULL when absent */
/* The certificate (DER) that the client showed; NULL without. The handshake proved that it holds
 * the key, and nothing else is checked: neither who signed it nor its dates. */
const uint8_t *http_peer_cert(const struct http_request *q, size_t *n);

/* An answer without an end, such as server-sent events, or one that is made while it is sent.
 * fill() copies what there is to `to`, at most max bytes, and says how many; 0: nothing now, so
 * http_stream_wake() when there is; -1: that was all; HTTP_STREAM_BROKEN: hang up so that the other
 * end sees that it was not. closed(): it is over, once, whatever became of it. Both on a thread of
 * the server, and never beside a handler where it has one. The caller's, until closed().
 */
#define HTTP_STREAM_BROKEN (-2)
struct http_stream {
    int64_t (*fill)(void *ctx, char *to, size_t max);
    void (*closed)(void *ctx);
    void *ctx;
    void *impl;
    bool ends; /* it has an end: not cut short when TLS files were replaced meanwhile */
};
/* After a fill() that gave 0 (or within it, to be called again when others had their turn), once,
 * and not behind closed(). Any thread. Before the server closes
 * all streams must have been woken, and their fill() says -1 from then on. */
void http_stream_wake(struct http_stream *s);
/* Whether the other end has hung up, or will say no more; nobody else notices while nothing is
 * sent. What is gone is to be woken, and its fill() says -1. Between a fill() that gave 0 and its
 * wake-up only. Any thread. */
bool http_stream_gone(const struct http_stream *s);

/* A handler whose answer another thread is still to find: it calls http_later, tells that thread,
 * and returns without an answer. After http_resume (any thread, once) it is called again, with the
 * same request and `job` in q->later. drop(job) is called when the request is over, answered or
 * not, on the server's thread. All that wait are to be resumed before http_server_close. */
struct http_later {
    void *job;
    void (*drop)(void *job);
    bool waits;
};
void http_later(const struct http_request *q, void *job, void (*drop)(void *job));
void http_resume(void *impl); /* q->impl */

/* What a handler fills in. body is freed by the server with buf_done; static_body (not copied,
 * not freed) is used instead when set. */
struct http_answer {
    int status;
    const char *content_type;
    struct buf body;
    const void *static_body;
    size_t static_n;
    struct http_stream *stream; /* instead of both */
    struct {
        const char *name;
        char value[160];
    } header[6];
    size_t headers;
};
void http_answer_header(struct http_answer *a, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* application/problem+json (RFC 9457) with a `code` and an optional further member
 * ("sha256", hex). */
void http_problem(struct http_answer *a, int status, const char *code, const char *detail,
                  const char *member, const char *value);

struct http_route {
    const char *method;  /* "GET" also answers HEAD */
    const char *pattern; /* "/v1/gateways/{gw}/batches/{chain}/{seq}"; a part is whole or literal */
    size_t max_body;     /* 413 problem too_large beyond it, before the body is read on */
    void (*handle)(void *ctx, const struct http_request *q, struct http_answer *a);
};
/* How many connections may be open, in all and of one address, where one more of it is to be taken.
 * Of IPv6 an address is its first 64 bits: one house has all behind them. */
struct http_room {
    unsigned all, each;
};
struct http_server_cfg {
    const char *listen;       /* "127.0.0.1:8080", "[::1]:0"; port 0: any free one */
    const char *cert, *key;   /* PEM files; both NULL: plain HTTP */
    const char *client_ca;    /* PEM file; NULL: clients are not asked for a certificate */
    unsigned threads;         /* worker threads, 1 to 8 */
    unsigned max_connections; /* further ones are refused */
    unsigned timeout_s;       /* a connection idle or slow for so long is closed */
    unsigned head_s; /* at most so long from the connection to its first whole head, and for each
                        further one from its first line; 0: timeout_s */
    unsigned per_ip; /* connections per address; 0: no limit of its own */
    /* Asked before a connection of this address is taken, with {max_connections, per_ip} in *room,
     * which it may make smaller, or `each` greater; NULL: these are for all. */
    void (*room)(void *ctx, const char *peer, struct http_room *room);
    /* Asked once a head is complete and its route is found, before any of the body is read: false
     * with the answer that the request gets instead of its handler's; may be NULL. */
    bool (*admit)(void *ctx, const struct http_request *q, struct http_answer *a);
    /* Content-Security-Policy of every answer without one of its own, which then also has
     * Referrer-Policy: no-referrer; NULL: neither. */
    const char *policy;
    /* With TLS: told, on a thread of the server, when cert, key or client_ca are others and are in
     * use (ST_OK), or cannot be used for a second, so that those before go on; may be NULL. */
    void (*renewed)(void *ctx, enum st st, const char *text);
};
struct http_server;
/* Routes and ctx must outlive the server. TLS files that are replaced are used within two seconds
 * by new connections; those that are open end with their next answer. Handlers run on worker
 * threads. Every answer carries X-Content-Type-Options: nosniff. Unknown path 404, known path with
 * another method 405. */
enum st http_server_open(struct http_server **out, const struct http_server_cfg *cfg,
                         const struct http_route *routes, size_t nroutes, void *ctx,
                         struct err *e) ST_MUST_CHECK;
unsigned http_server_port(const struct http_server *s);
void http_server_close(struct http_server *s); /* waits for handlers that run */

/* ---- client ----------------------------------------------------------------------------- */

/* Bytes of IP packets, as the kernel counts them (TCP_INFO): payload, TLS and heads, repeats too.
 * Not in it: looking names up. Some 2 % more than a counter in nftables says: the end of a
 * connection is an estimate, and all of it is one where the kernel does not tell. */
#define HTTP_INTERFACE_BYTES 16
struct http_wire {
    int64_t sent_bytes, received_bytes;
    char interface[HTTP_INTERFACE_BYTES]; /* of the last connection; "": not known */
};
struct http_client; /* one keep-alive connection pool, one thread */
struct http_client_cfg {
    const char *ca; /* PEM file; required for https, but for: */
    /* "sha256//" and base64 of the SHA-256 over the server's SubjectPublicKeyInfo: instead of a CA,
     * on the first contact. Nothing is sent to whoever has another key. */
    const char *pin;
    const char *cert;   /* PEM file with a client's key and certificate; NULL: none is shown */
    const char *bearer; /* NULL: none; never logged */
    int64_t connect_ms, total_ms;
    size_t max_answer; /* bytes of an answer that are accepted */
    const char *user_agent;
    struct http_wire *wire; /* counts what all calls take, up to the close; may be NULL */
    const char *interface;  /* connections leave by it alone; NULL: by whichever the kernel takes */
    /* "HOST:PORT:ADDRESS[,ADDRESS]": this host is looked up already; IPv6 in brackets. NULL. */
    const char *resolved;
};
struct http_call {
    const char *method, *url;
    const void *body;
    size_t body_n;
    const char *const *headers; /* "Name: value", ends with NULL */
    size_t max_answer;          /* of this call; 0: the client's */
    int64_t total_ms;           /* as well */
};
/* How long each part of a call took, by libcurl; -1: it did not come so far. With a connection that
 * was there already the first two are 0. */
struct http_took {
    int64_t connect_us; /* of TCP, without looking the name up */
    int64_t tls_us;
    int64_t first_us; /* from the request to the first byte of its answer */
};
struct http_reply {
    int status; /* 0: no answer */
    char content_type[96];
    char redirect[256]; /* where it sends to, as a whole address; "": nowhere. Cut where too long */
    long retry_after_s; /* -1: absent */
    struct buf body;    /* reused between calls; buf_done at the end */
    int64_t sent_bytes, received_bytes;
    int64_t call_us;       /* from when the request could be sent, connected, to the answer's end */
    struct http_took took; /* also of a call that failed */
    int os_errno;          /* of a connection that could not be made; 0: not known */
    /* The largest IP packet that the connection sends, as the kernel knows by now: of the
     * interface, the other end, and routers that had none larger through; 0: not known. */
    int64_t packet_bytes;
    /* After ST_CORRUPT: the certificate whose dates do not hold by this machine's clock, and what
     * that said; all 0 when the dates are not the reason. */
    struct {
        int64_t from_ms, to_ms, now_ms;
    } cert;
};
/* The certificate is always verified against ca (with a pin: its key), and the host name too;
 * redirects are not followed; TLS 1.2 or newer. */
enum st http_client_open(struct http_client **out, const struct http_client_cfg *cfg,
                         struct err *e) ST_MUST_CHECK;
void http_client_close(struct http_client *c);
/* The certificate (PEM, appended) of whoever answers at an https url. Nothing is sent, nothing is
 * verified: what it is worth, a pin says. */
enum st http_server_cert(const char *url, int64_t connect_ms, struct buf *pem,
                         struct err *e) ST_MUST_CHECK;
/* ST_OK when there was an HTTP answer, whatever its status; else ST_TIMEOUT, ST_IO (connect, DNS,
 * send, receive), ST_CORRUPT (certificate), ST_FULL (answer too long), ST_STOPPED. `stop_fd` (or
 * -1): becomes readable to abort the call. The text of e is fit for a technician. */
enum st http_client_do(struct http_client *c, const struct http_call *call, int stop_fd,
                       struct http_reply *reply, struct err *e) ST_MUST_CHECK;

/* ---- timed transfer (transfer.c) ---------------------------------------------------------- */

#define HTTP_TRANSFER_CONNECTIONS 8
#define HTTP_TRANSFER_LEAST_BYTES 262144 /* an answer below it tells nothing of a line */
#define HTTP_TRANSFER_LEAST_MS 1000      /* nor does a shorter window */
/* Why there is no rate. */
enum http_transfer_fault {
    HTTP_TRANSFER_GOOD,
    HTTP_TRANSFER_CONNECT,   /* no name, no way, nobody there */
    HTTP_TRANSFER_STRANGER,  /* the certificate does not hold, or the CA file cannot be read */
    HTTP_TRANSFER_INTERFACE, /* not to be had, or without an address */
    HTTP_TRANSFER_REDIRECT,  /* it sends elsewhere; nobody goes there */
    HTTP_TRANSFER_PAGE,      /* a page for people instead of data */
    HTTP_TRANSFER_STATUS,    /* another status than 2xx: `status` */
    HTTP_TRANSFER_CUT,       /* the connection ended within an answer or a request */
    HTTP_TRANSFER_SMALL,     /* a download below HTTP_TRANSFER_LEAST_BYTES */
    HTTP_TRANSFER_SILENT,    /* connected, but nothing comes, or is taken */
    HTTP_TRANSFER_SHORT,     /* max_bytes were gone before a window of HTTP_TRANSFER_LEAST_MS */
    HTTP_TRANSFER_ENDED,     /* go_on() said so */
    HTTP_TRANSFER_STOPPED,   /* stop_fd */
    HTTP_TRANSFER_BROKEN     /* no memory here */
};
struct http_transfer_cfg {
    const char *url; /* http:// or https:// */
    bool upload;     /* POST of random bytes; else GET, again where the answer ends in good order */
    const char *ca;  /* PEM file; required for https */
    const char *interface; /* through which; NULL: as the machine routes */
    unsigned connections;  /* 1 to HTTP_TRANSFER_CONNECTIONS, each with HTTP/1.1 */
    int64_t connect_ms;    /* until all of them are going; later those count that are */
    int64_t ramp_ms;       /* from then on, before the window */
    int64_t window_ms;     /* what is measured */
    int64_t max_bytes; /* payload of all connections together: the end, of the window too. What is
                          on its way then, at most the buffers of the connections, comes on top */
    /* At least five times a second; false ends it. May be NULL, as may be: */
    bool (*go_on)(void *ctx);
    void (*window)(void *ctx, bool begins); /* the window begins, ends */
    void *ctx;
    int stop_fd; /* or -1: becomes readable to abort */
};
struct http_transfer {
    enum http_transfer_fault fault;
    int64_t bytes, us;     /* within the window: payload received; or sent and acknowledged by the
                              peer's kernel, TLS in it, where the kernel tells. 0 without a rate */
    unsigned connections;  /* that were going as the window began */
    int status;            /* of the answer that was wrong; 0: none was */
    char text[200];        /* what was wrong, for a technician */
    struct http_wire wire; /* what all of it took, on the wire */
};
/* Returns within connect_ms + ramp_ms + window_ms and a second; holds 128 KiB a connection
 * meanwhile. TLS is verified as by a client; redirects are not followed; nothing is decompressed.
 * The caller's thread. */
void http_transfer(const struct http_transfer_cfg *cfg, struct http_transfer *out);

#endif
