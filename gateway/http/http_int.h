/* Private to the http room: what the server's files share. */
#ifndef GATEWAY_HTTP_HTTP_INT_H
#define GATEWAY_HTTP_HTTP_INT_H

#include <microhttpd.h>
#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include "gateway/base/thr.h"
#include "gateway/http/http.h"

/* ---- route.c: pure matching of raw paths ------------------------------------------------- */

#define HTTP_PATH_MAX 512

/* The route that matches the raw (still %-encoded) path, or NULL. *known says whether the path
 * exists under another method. Decoded parts go to text (HTTP_PATH_MAX bytes), param points there.
 * A part that decodes to nothing, or to control characters or a slash, matches no route. */
const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const char *path, char *text,
                                         const char **param, bool *known);

/* The methods of all routes that match, "GET, HEAD, PUT": for the Allow header. */
void http_route_methods(const struct http_route *routes, size_t n, const char *path, char *text,
                        char *out, size_t out_n);

/* ---- answer.c ------------------------------------------------------------------------------ */

/* The response with the answer's body, which it takes; NULL: no memory. *n: its bytes. */
struct MHD_Response *http_answer_response(struct http_answer *a, size_t *n);
/* The answer's headers and those that every answer has; false: no memory. */
bool http_answer_headers(struct MHD_Response *resp, const char *policy,
                         const struct http_answer *a);

/* ---- body.c -------------------------------------------------------------------------------- */

/* From here on GnuTLS wipes what it frees, in this whole process. */
void http_tls_wipes(void);
/* As buf_put, and nothing of what was in it stays behind in memory when it grows. Ended by
 * buf_wipe. */
enum st http_body_put(struct buf *b, const void *p, size_t n) ST_MUST_CHECK;
/* A piece of a body where libmicrohttpd handed it out, which has no more use for it. */
void http_piece_wipe(const char *data, size_t n);

/* ---- meter.c: what the client's connection takes on the wire ------------------------------ */

#define HTTP_METERED 16 /* connections at a time: one is kept, others are on their way */
struct http_meter {
    struct http_wire *wire; /* NULL: nobody wants to know */
    struct {
        bool is;
        int fd;
        int64_t sent, received; /* at the last look */
    } seen[HTTP_METERED];
};
/* Adds to the wire what went over the socket since the last look; before it is closed. false: the
 * kernel does not tell. */
bool http_meter_read(struct http_meter *m, int fd);
/* Instead, from the bytes of a call as libcurl counts them, above TLS; fresh: it connected. */
void http_meter_guess(struct http_meter *m, int fd, int64_t sent, int64_t received, bool fresh);
void http_meter_end(struct http_meter *m, int fd);
/* Payload that the peer's kernel has acknowledged; false: not connected, or it is not told. */
bool http_meter_acked(int fd, int64_t *acked);
/* As http_reply.packet_bytes. */
int64_t http_meter_packet(int fd);

/* ---- client.c ---------------------------------------------------------------------------- */

/* CURLOPT_QUICK_EXIT of every handle. libcurl looks names up by getaddrinfo() on a thread of the
 * call, and at the call's end joins it, however long the DNS servers are silent: minutes, where
 * resolv.conf says so, beyond each of libcurl's time-outs and our stop. With 1 it detaches the
 * thread, which frees what it holds when it is back. Each call leaves one at most, and the
 * resolver's own time-outs end it. */
#define HTTP_LEAVES_LOOKUPS 1L
/* Starts libcurl, once. */
enum st http_client_ready(struct err *e) ST_MUST_CHECK;

/* ---- listen.c ---------------------------------------------------------------------------- */

/* The texts of cfg as its own; NULL stays NULL. false: no memory for all of them; done all the
 * same.
 */
bool http_cfg_copy(struct http_server_cfg *to, const struct http_server_cfg *from) ST_MUST_CHECK;
void http_cfg_done(struct http_server_cfg *c);
/* The text of the file; free it. */
enum st http_pem_read(const char *path, char **out, struct err *e) ST_MUST_CHECK;
enum st http_socket_open(const char *listen_at, int *out, unsigned *port, bool *v6,
                         struct err *e) ST_MUST_CHECK;

/* ---- server.c, renew.c --------------------------------------------------------------------- */

struct http_file_id { /* tells a file that was replaced */
    ino_t ino;
    struct timespec mtime;
    off_t size;
};
#define HTTP_TLS_FILES 3 /* cert, key, client_ca */
struct http_renew {
    struct thr_stop stop;
    struct thr thread;
    /* that are in use; that are not fit, at the last look; that were told of */
    struct http_file_id used[HTTP_TLS_FILES], unfit[HTTP_TLS_FILES], told[HTTP_TLS_FILES];
    struct MHD_Daemon *old; /* whose connections are still to end */
    int64_t old_end_ms;     /* monotonic: by then they must */
};
/* Starts a daemon on the socket with the files as they are now. */
enum st http_server_start(struct http_server *s, struct MHD_Daemon **out,
                          struct err *e) ST_MUST_CHECK;
/* Around what was promised one thread: while an old daemon ends, two have one each. */
void http_turn_begin(struct http_server *s);
void http_turn_end(struct http_server *s);
/* Notes which files are used, before they are read. */
void http_renew_note(const struct http_server_cfg *cfg, struct http_file_id id[HTTP_TLS_FILES]);
enum st http_renew_open(struct http_server *s, struct err *e) ST_MUST_CHECK;
void http_renew_close(struct http_renew *r); /* takes a zeroed one */

/* ---- watch.c: the overall deadline of every connection ----------------------------------- */

/* libmicrohttpd's time-out starts anew with every byte; a client that trickles would hold its
 * connection for ever. This table keeps one deadline per connection, and a thread that shuts down
 * the sockets of those that passed theirs; libmicrohttpd then sees the end and cleans up. */
struct http_peer { /* an address, as far as it tells one house from another */
    uint8_t bytes[16];
};
struct http_watch_slot {
    int fd; /* -1: free */
    struct http_peer peer;
    int64_t deadline_ms;
    bool linger, draining, kept; /* kept: it has had an answer */
    unsigned generation;         /* of the TLS files that it was begun with */
};
struct http_watch {
    pthread_mutex_t lock;
    struct http_watch_slot *slots;
    size_t n;
    int64_t grace_ms, head_ms; /* head_ms <= grace_ms */
    size_t draining;
    int wake_fd; /* a connection began to linger */
    struct thr_stop stop;
    struct thr thread;
};
enum st http_watch_open(struct http_watch *w, size_t n, int64_t grace_ms, int64_t head_ms,
                        struct err *e) ST_MUST_CHECK;
void http_watch_close(struct http_watch *w); /* takes a zeroed one */
/* NULL when all slots are taken. Its first head is to come within head_ms. */
struct http_watch_slot *http_watch_add(struct http_watch *w, int fd, const struct http_peer *peer);
/* Connections that are open, of all and of this peer. */
size_t http_watch_count(struct http_watch *w, const struct http_peer *peer, size_t *each);
/* The first line of a head came: the rest within head_ms. Of the first one, it was counted before.
 */
void http_watch_head(struct http_watch *w, struct http_watch_slot *s);
/* A request is over; the line of the next one is to come within the grace, libmicrohttpd's own
 * time-out, and head_ms for one that comes in small pieces. */
void http_watch_rest(struct http_watch *w, struct http_watch_slot *s);
/* The deadline becomes now + grace + more_ms (>= 0). */
void http_watch_extend(struct http_watch *w, struct http_watch_slot *s, int64_t more_ms);
/* Once removed, what the peer still sends is read away until it ends or its deadline comes: closing
 * on unread bytes would reset the connection, and the peer would lose the answer. */
void http_watch_linger(struct http_watch *w, struct http_watch_slot *s);
void http_watch_remove(struct http_watch *w, struct http_watch_slot *s);

/* ---- peer.c ------------------------------------------------------------------------------- */

void http_peer_key(const struct sockaddr *from, struct http_peer *key); /* takes NULL */
/* The numeric address, in text or behind its start. */
const char *http_peer_text(const struct sockaddr *from, char *text, size_t n);
/* For libmicrohttpd: MHD_NO where he, or all, hold too many. */
enum MHD_Result http_peer_taken(void *server, const struct sockaddr *from, socklen_t len);

/* ---- stream.c: answers without an end ------------------------------------------------------- */

/* The response that reads a->stream; NULL: no memory, and closed() was called. */
struct MHD_Response *http_stream_response(struct http_server *s, struct MHD_Connection *c,
                                          struct http_stream *stream);
/* From on_connection's table: the time that a client has is counted anew; false: its TLS files were
 * replaced, so it is to come again. */
bool http_server_goes_on(struct http_server *s, struct MHD_Connection *c);

/* ---- a server ------------------------------------------------------------------------------ */

struct http_server {
    struct http_server_cfg cfg; /* its texts are owned */
    const struct http_route *routes;
    size_t nroutes;
    void *ctx;
    int fd; /* listens; each daemon has a copy */
    bool v6;
    struct MHD_Daemon *daemon;
    atomic_uint generation;
    atomic_bool started; /* once: what libmicrohttpd says later is nobody's */
    struct http_watch watch;
    struct http_renew renew;
    /* Of one thread: the daemon before a new certificate has its own for a while. */
    pthread_mutex_t turn;
    int64_t timeout_ms;
    unsigned port;
    char complaint[256]; /* the first message of libmicrohttpd while it starts */
};

#endif
