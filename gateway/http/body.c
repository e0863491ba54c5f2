/* The bodies of requests: a password may be in them, and in what they were before they grew. */
#include <gnutls/gnutls.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/http/http_int.h"

/* GnuTLS frees its records as it read them. */
static void wipe_free(void *p)
{
    if (p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

void http_tls_wipes(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&done))
        gnutls_free = wipe_free;
}

void http_body_wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_done(b);
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
        http_body_wipe(&more);
        return st;
    }
    http_body_wipe(b);
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
