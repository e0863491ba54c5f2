/* A growing byte buffer with a ceiling. Not thread-safe. */
#ifndef GATEWAY_BASE_BUF_H
#define GATEWAY_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "sensors/status.h"

struct buf {
    uint8_t *p;
    size_t n, cap;
    size_t max; /* never grows beyond this */
};

void buf_init(struct buf *b, size_t max); /* empty, no memory yet */
void buf_done(struct buf *b);             /* frees; takes a zeroed one */
/* The same for what is secret: nothing of it stays behind in memory, unless it grew from a smaller
 * one. */
void buf_wipe(struct buf *b);
void buf_wipe_free(void *p); /* free(), and nothing of it stays behind */
/* Makes room for `more` bytes behind n. ST_FULL beyond max, ST_MEMORY; b unchanged then. */
enum st buf_reserve(struct buf *b, size_t more) ST_MUST_CHECK;
enum st buf_put(struct buf *b, const void *p, size_t n) ST_MUST_CHECK;
enum st buf_printf(struct buf *b, const char *fmt, ...) ST_MUST_CHECK
    __attribute__((format(printf, 2, 3)));

#endif
