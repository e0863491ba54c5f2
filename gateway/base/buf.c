#include "gateway/base/buf.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 256

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
}

void buf_wipe(struct buf *b)
{
    if (b->p) {
        explicit_bzero(b->p, b->cap);
    }
    buf_done(b);
}

void buf_wipe_free(void *p)
{
    if (p) {
        explicit_bzero(p, malloc_usable_size(p));
    }
    free(p);
}

enum st buf_reserve(struct buf *b, size_t more)
{
    if (b->n > b->max || more > b->max - b->n) {
        return ST_FULL;
    }
    size_t need = b->n + more;
    if (need <= b->cap) {
        return ST_OK;
    }
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }
    if (cap > b->max) {
        cap = b->max;
    }
    uint8_t *p = realloc(b->p, cap);
    if (!p) {
        return ST_MEMORY;
    }
    b->p = p;
    b->cap = cap;
    return ST_OK;
}

enum st buf_put(struct buf *b, const void *p, size_t n)
{
    enum st st = buf_reserve(b, n);
    if (st == ST_OK && n > 0) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
    return st;
}

enum st buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    enum st st = ST_BAD;
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    if (n < 0) {
        goto out;
    }
    if ((size_t)n < sizeof(small)) {
        st = buf_put(b, small, (size_t)n);
        goto out;
    }
    /* vsnprintf wants room for its NUL, which does not count into n */
    char *text = malloc((size_t)n + 1);
    if (!text) {
        st = ST_MEMORY;
        goto out;
    }
    st = vsnprintf(text, (size_t)n + 1, fmt, again) == n ? buf_put(b, text, (size_t)n) : ST_BAD;
    free(text);
out:
    va_end(again);
    va_end(ap);
    return st;
}
