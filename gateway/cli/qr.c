#include "gateway/cli/qr.h"

#include <errno.h>
#include <string.h>

#include <qrencode.h>

#define QUIET 4 /* modules of light around (ISO/IEC 18004) */
#define PIXELS 4

/* ---- the text ---- */

static const char base45[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

static enum st put_base45(struct buf *out, struct wire_span in)
{
    char c[3];
    enum st st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < in.n; i += 2) {
        bool two = i + 1 < in.n;
        unsigned v = two ? in.p[i] * 256U + in.p[i + 1] : in.p[i];
        for (int k = 0; k < 3; k++, v /= 45)
            c[k] = base45[v % 45];
        st = buf_put(out, c, two ? 3 : 2);
    }
    return st;
}

/* Letters that no encoder writes (a value above what its bytes hold) are refused, so that a proof
 * has one text alone. */
static enum st read_base45(struct buf *out, struct wire_span in)
{
    for (size_t i = 0; i < in.n; i += 3) {
        size_t n = in.n - i < 3 ? in.n - i : 3;
        unsigned v = 0;
        for (size_t k = n; k-- > 0;) {
            const char *at = in.p[i + k] ? strchr(base45, in.p[i + k]) : NULL;
            if (!at)
                return ST_BAD;
            v = v * 45 + (unsigned)(at - base45);
        }
        const uint8_t bytes[] = {(uint8_t)(v >> 8), (uint8_t)v};
        if (n == 1 || v >> (n == 3 ? 16 : 8))
            return ST_BAD;
        ERR_TRY(buf_put(out, n == 3 ? bytes : bytes + 1, n - 1));
    }
    return ST_OK;
}

enum st qr_proof_put(struct buf *out, const char *gw, int64_t day, struct wire_span cose)
{
    char text[WIRE_DAY_TEXT];
    ERR_TRY(wire_day_text(day, text));
    ERR_TRY(buf_printf(out, QR_PROOF "%s:%s:", gw, text));
    return put_base45(out, cose);
}

enum st qr_proof_read(struct wire_span text, char gw[65], int64_t *day, struct buf *cose,
                      struct err *e)
{
    size_t n = text.n, skip = strlen(QR_PROOF);
    while (n > 0 && (text.p[n - 1] == '\n' || text.p[n - 1] == '\r'))
        n--;
    const uint8_t *end = text.p + n, *id = text.p + skip;
    bool ours = n > skip && n <= QR_PROOF_MAX && memcmp(text.p, QR_PROOF, skip) == 0;
    const uint8_t *colon = ours ? memchr(id, ':', (size_t)(end - id)) : NULL;
    const uint8_t *second = colon ? memchr(colon + 1, ':', (size_t)(end - colon - 1)) : NULL;
    if (!second || colon - id > 64 ||
        !wire_day_parse((struct wire_span){colon + 1, (size_t)(second - colon - 1)}, day))
        return err_set(e, ST_BAD, "is no proof of a day (" QR_PROOF "gateway:day:…)");
    (void)snprintf(gw, 65, "%.*s", (int)(colon - id), (const char *)id);
    enum st st = read_base45(cose, (struct wire_span){second + 1, (size_t)(end - second - 1)});
    return st == ST_OK ? ST_OK : err_set(e, st, "is a proof of a day that is damaged");
}

/* ---- the picture ---- */

static bool is_light(const QRcode *q, int x, int y)
{
    return x < 0 || y < 0 || x >= q->width || y >= q->width || (q->data[y * q->width + x] & 1) == 0;
}

static void print_blocks(const QRcode *q, bool colours, FILE *out)
{
    static const char *const block[2][2] = {{" ", "▄"}, {"▀", "█"}}; /* upper, lower light */
    for (int y = -QUIET; y < q->width + QUIET; y += 2) {
        (void)fputs(colours ? "\033[97;40m" : "", out);
        for (int x = -QUIET; x < q->width + QUIET; x++) {
            bool lower = y + 1 < q->width + QUIET && is_light(q, x, y + 1);
            (void)fputs(block[is_light(q, x, y)][lower], out);
        }
        (void)fputs(colours ? "\033[0m\n" : "\n", out);
    }
}

static void print_svg(const QRcode *q, FILE *out)
{
    int side = q->width + 2 * QUIET;
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "shape-rendering=\"crispEdges\">\n"
                  "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<path d=\"",
                  side, side, side, side);
    for (int y = 0; y < q->width; y++)
        for (int x = 0; x < q->width; x++)
            if (!is_light(q, x, y))
                (void)fprintf(out, "M%d %dh1v1h-1z", x + QUIET, y + QUIET);
    (void)fputs("\"/>\n</svg>\n", out);
}

static void print_pbm(const QRcode *q, FILE *out)
{
    int side = (q->width + 2 * QUIET) * PIXELS;
    (void)fprintf(out, "P1\n%d %d\n", side, side);
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++)
            (void)fputc(is_light(q, x / PIXELS - QUIET, y / PIXELS - QUIET) ? '0' : '1', out);
        (void)fputc('\n', out);
    }
}

/* NULL: e says why. */
static QRcode *encode(struct wire_span text, QRecLevel level, struct err *e)
{
    char copy[QR_PROOF_MAX + 1];
    if (text.n > QR_PROOF_MAX) {
        (void)err_set(e, ST_FULL, "a text of %zu characters is too long for a QR code", text.n);
        return NULL;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    QRcode *q = QRcode_encodeString(copy, 0, level, QR_MODE_8, 1);
    if (!q)
        (void)(errno == ERANGE ? err_set(e, ST_FULL, "the text is too long for a QR code")
                               : err_set(e, ST_MEMORY, "no memory for a QR code"));
    return q;
}

enum st qr_print(struct wire_span text, enum qr_form form, FILE *out, struct err *e)
{
    /* It is read from a screen, and a text that was read wrong does not verify: the least
     * redundancy gives the coarsest modules. */
    struct err why = {.st = ST_MEMORY};
    QRcode *q = encode(text, QR_ECLEVEL_L, &why);
    if (!q)
        return err_set(e, why.st, "%s", why.text);
    if (form == QR_SVG)
        print_svg(q, out);
    else if (form == QR_PBM)
        print_pbm(q, out);
    else
        print_blocks(q, form == QR_COLOURS, out);
    QRcode_free(q);
    return ST_OK;
}

enum st qr_draw(const char *text, int *side, qr_dark *dark, void *ctx, struct err *e)
{
    /* On paper, which is folded and copied: more redundancy. */
    struct err why = {.st = ST_MEMORY};
    QRcode *q = encode((struct wire_span){(const uint8_t *)text, strlen(text)}, QR_ECLEVEL_M, &why);
    if (!q)
        return err_set(e, why.st, "%s", why.text);
    *side = q->width + 2 * QUIET;
    enum st st = ST_OK;
    for (int y = 0; st == ST_OK && y < q->width; y++)
        for (int x = 0; st == ST_OK && x < q->width; x++)
            if (!is_light(q, x, y))
                st = dark(ctx, x + QUIET, y + QUIET);
    QRcode_free(q);
    return st == ST_OK ? st : err_set(e, st, "no room for a QR code");
}
