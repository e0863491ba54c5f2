/* Answers whose length is not known, or without an end. libmicrohttpd asks for bytes when it can
 * send some; while there are none the connection is set aside (suspended), so that waiting costs
 * nothing. */
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gateway/http/http_int.h"

#define BLOCK_BYTES ((size_t)16 * 1024)
#define SOCKET_BYTES (64 * 1024) /* that the kernel holds for who reads slowly; it doubles it */

struct flow {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_stream *stream;
};

/* Woken between the two, the connection is marked as to be resumed, and suspending it takes that
 * back and goes on (libmicrohttpd's internal_suspend_connection_): no wake-up is lost. */
static ssize_t on_read(void *cls, uint64_t pos, char *to, size_t max)
{
    struct flow *f = cls;
    (void)pos;
    if (!http_server_goes_on(f->server, f->connection) && !f->stream->ends)
        return MHD_CONTENT_READER_END_OF_STREAM;
    http_turn_begin(f->server);
    int64_t n = f->stream->fill(f->stream->ctx, to, max);
    http_turn_end(f->server);
    if (n == 0)
        MHD_suspend_connection(f->connection);
    if (n == HTTP_STREAM_BROKEN)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)n;
}

static void end(struct http_server *s, struct http_stream *stream)
{
    http_turn_begin(s);
    stream->closed(stream->ctx);
    http_turn_end(s);
}

/* libmicrohttpd calls it where it ends a connection or gives up an answer, never within on_read,
 * and all of ours that may make it do so is outside of a turn. */
static void on_end(void *cls)
{
    struct flow *f = cls;
    end(f->server, f->stream);
    free(f);
}

struct MHD_Response *http_stream_response(struct http_server *s, struct MHD_Connection *c,
                                          struct http_stream *stream)
{
    struct flow *f = malloc(sizeof *f);
    struct MHD_Response *r = NULL;
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    const int bytes = SOCKET_BYTES;
    if (i != NULL) /* what fails leaves the kernel's own ceiling */
        (void)setsockopt(i->connect_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (f != NULL) {
        *f = (struct flow){s, c, stream};
        stream->impl = c;
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, f, on_end);
    }
    if (r == NULL) {
        free(f);
        end(s, stream);
    }
    return r;
}

void http_stream_wake(struct http_stream *s)
{
    MHD_resume_connection(s->impl);
}

bool http_stream_gone(const struct http_stream *s)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(s->impl, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd p = {.fd = i != NULL ? i->connect_fd : -1, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0;
}
