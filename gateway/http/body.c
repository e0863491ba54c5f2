/* The bodies of requests: a password may be in them, and in what they were before they grew. */
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <string.h>

#include "gateway/http/http_int.h"

/* GnuTLS frees its records as it read them. */
void http_tls_wipes(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&done))
        gnutls_free = buf_wipe_free;
}

enum st http_body_put(struct buf *b, const void *p, size_t n)
{
    struct buf more;

    if (n > b->max - b->n)
        return ST_FULL;
    if (n <= b->cap - b->n)
        return buf_put(b, p, n);
    size_t want = b->n + n > 2 * b->cap ? b->n + n : 2 * b->cap;
    buf_init(&more, b->max);
    enum st st = buf_reserve(&more, want < b->max ? want : b->max);
    if (st == ST_OK)
        st = buf_put(&more, b->p, b->n);
    if (st == ST_OK)
        st = buf_put(&more, p, n);
    if (st != ST_OK) {
        buf_wipe(&more);
        return st;
    }
    buf_wipe(b);
    *b = more;
    return ST_OK;
}

/* It is libmicrohttpd's own buffer, behind a const. */
void http_piece_wipe(const char *data, size_t n)
{
    union {
        const char *in;
        char *out;
    } p = {data};

    explicit_bzero(p.out, n);
}
