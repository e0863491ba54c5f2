/* Hash, random bytes, hex, zstd frames. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <nettle/sha2.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "gateway/wire/wire_int.h"

void wire_sha256_parts(const struct wire_span *parts, size_t n, uint8_t out[WIRE_HASH_BYTES])
{
    struct sha256_ctx c;

    sha256_init(&c);
    for (; n > 0; n--, parts++)
        sha256_update(&c, parts->n, parts->p);
    sha256_digest(&c, WIRE_HASH_BYTES, out);
}

void wire_sha256(const void *p, size_t n, uint8_t out[WIRE_HASH_BYTES])
{
    struct wire_span s = {p, n};

    wire_sha256_parts(&s, 1, out);
}

enum st wire_random(void *p, size_t n, struct err *e)
{
    uint8_t *b = p;

    while (n > 0) {
        ssize_t got = getrandom(b, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, ST_IO, "getrandom: %s", strerror(errno));
        b += got;
        n -= (size_t)got;
    }
    return ST_OK;
}

void wire_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digit[] = "0123456789abcdef";

    for (; n > 0; n--, p++) {
        *out++ = digit[*p >> 4];
        *out++ = digit[*p & 15];
    }
    *out = 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool wire_unhex(const char *text, uint8_t *out, size_t n)
{
    for (; n > 0; n--, text += 2) {
        int high = nibble(text[0]), low = high < 0 ? -1 : nibble(text[1]);

        if (low < 0)
            return false;
        *out++ = (uint8_t)(high << 4 | low);
    }
    return *text == 0;
}

/* ---- zstd --------------------------------------------------------------------------------- */

#define WINDOW_MAX (UINT64_C(8) << 20)
/* Entries of the two tables as a power of two. Level 3 takes 2^17 and 2^16 for a large batch: 0.5 %
 * fewer bytes for 0.5 MiB more memory and a third more time (measured on 15,000 readings). */
#define TABLE_LOG 15
#define LARGE_BATCH (128 * 1024)

struct wire_zstd {
    ZSTD_CCtx *c;
};

enum st wire_zstd_open(struct wire_zstd **out, struct err *e)
{
    struct wire_zstd *z = calloc(1, sizeof(*z));

    if (z)
        z->c = ZSTD_createCCtx();
    if (!z || !z->c || ZSTD_isError(ZSTD_CCtx_setParameter(z->c, ZSTD_c_hashLog, TABLE_LOG)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z->c, ZSTD_c_chainLog, TABLE_LOG))) {
        wire_zstd_close(z);
        return err_set(e, ST_MEMORY, "no memory for a compressor");
    }
    *out = z;
    return ST_OK;
}

void wire_zstd_close(struct wire_zstd *z)
{
    if (!z)
        return;
    ZSTD_freeCCtx(z->c);
    free(z);
}

enum st wire_zstd_pack(struct wire_zstd *z, int level, const void *p, size_t n, struct buf *out,
                       struct err *e)
{
    size_t bound = ZSTD_compressBound(n), got;
    enum st st = buf_reserve(out, bound);

    if (st)
        return err_set(e, st, "no room for %zu bytes to compress", n);
    got = ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(got)) /* a batch has its hash; a journal may have nothing else */
        got = ZSTD_CCtx_setParameter(z->c, ZSTD_c_checksumFlag, level == 1);
    if (!ZSTD_isError(got))
        got = ZSTD_compress2(z->c, out->p + out->n, bound, p, n);
    if (ZSTD_isError(got))
        return err_set(e, ST_MEMORY, "zstd: %s", ZSTD_getErrorName(got));
    out->n += got;
    return ST_OK;
}

int wire_batch_level(size_t n)
{
    return n > LARGE_BATCH ? 3 : 5;
}

/* RFC 8878 §3.1.1.1: the contract's demands on a frame that the stable API does not answer. */
static const char *frame_fault(const uint8_t *p, size_t n)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t descriptor, window;
    uint64_t base;

    if (n < 6 || memcmp(p, magic, sizeof(magic)) != 0)
        return "not a zstd frame";
    descriptor = p[4];
    if (descriptor & 3)
        return "a zstd frame with a dictionary";
    if (descriptor & 0x20) /* a single segment: the window is the content */
        return NULL;
    if (descriptor >> 6 == 0)
        return "a zstd frame that does not state its content size";
    window = p[5];
    base = UINT64_C(1024) << (window >> 3);
    if (base + base / 8 * (window & 7) > WINDOW_MAX)
        return "a zstd frame with a window above 8 MiB";
    return NULL;
}

enum st wire_zstd_unpack(const void *p, size_t n, size_t max, struct buf *out, struct err *e)
{
    const char *fault = frame_fault(p, n);
    unsigned long long size;
    size_t used, got;
    enum st st;

    if (fault)
        return err_set(e, ST_BAD, "%s", fault);
    size = ZSTD_getFrameContentSize(p, n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        return err_set(e, ST_BAD, "a zstd frame that does not state its content size");
    if (size > max)
        return err_set(e, ST_BAD, "a zstd frame of %llu bytes, at most %zu are allowed", size, max);
    used = ZSTD_findFrameCompressedSize(p, n);
    if (ZSTD_isError(used))
        return err_set(e, ST_BAD, "a damaged zstd frame: %s", ZSTD_getErrorName(used));
    if (used != n)
        return err_set(e, ST_BAD, "%zu bytes behind the zstd frame", n - used);
    st = buf_reserve(out, size ? (size_t)size : 1); /* memory to point into */
    if (st)
        return err_set(e, st, "no room for %llu bytes to decompress", size);
    got = ZSTD_decompress(out->p + out->n, (size_t)size, p, n);
    if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation) /* of its own: nothing is damaged */
        return err_set(e, ST_MEMORY, "no memory to decompress");
    if (ZSTD_isError(got) || got != size)
        return err_set(e, ST_BAD, "a damaged zstd frame");
    out->n += got;
    return ST_OK;
}
