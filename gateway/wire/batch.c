/* Batch headers: what a batch says about itself. */
#include <stdlib.h>

#include "gateway/wire/wire_int.h"

#define VERSION 1
#define CLK_MAX 3
#define CLK_CORRECTED 2
#define GAP_MIN_BYTES 9 /* array head, "*", two times, "off" */

const char *const wire_causes[] = {"off",    "bus",     "device",  "overrun", "queue",
                                   "paused", "storage", "thinned", NULL};

/* In the order of the encoded map. */
enum key {
    K_V,
    K_GW,
    K_TO,
    K_CLK,
    K_FOR,
    K_SEQ,
    K_BOOT,
    K_FROM,
    K_GAPS,
    K_PREV,
    K_STEP,
    K_AFTER,
    K_CHAIN,
    KEYS
};
static const char *const key_text[KEYS] = {"v",    "gw",   "to",   "clk",  "for",   "seq",  "boot",
                                           "from", "gaps", "prev", "step", "after", "chain"};
#define KEYS_ALWAYS                                                                                \
    (1u << K_V | 1u << K_GW | 1u << K_TO | 1u << K_CLK | 1u << K_SEQ | 1u << K_BOOT |              \
     1u << K_FROM | 1u << K_GAPS | 1u << K_CHAIN)

/* ---- rules that hold for any header ---------------------------------------------------------- */

static struct wire_span span_of(const char *s)
{
    return (struct wire_span){(const uint8_t *)s, strlen(s)};
}

static const char *gap_fault(const struct wire_gap *g, const struct wire_header *h)
{
    size_t i = 0;

    if (strcmp(g->series, "*") != 0 && !wire_is_series(span_of(g->series), true))
        return "a gap's series is device/point, device/* or *";
    while (wire_causes[i] && strcmp(wire_causes[i], g->cause) != 0)
        i++;
    if (!wire_causes[i])
        return "a gap with an unknown cause";
    if (g->from_ms >= g->to_ms || g->from_ms < h->from_ms || g->to_ms > h->to_ms)
        return "a gap that is empty or reaches out of its window";
    return NULL;
}

static const char *header_fault(const struct wire_header *h)
{
    const char *fault = NULL;
    size_t i;

    if (!wire_is_id(span_of(h->gw)))
        return "gw is no id";
    if (h->seq == 0 || h->seq > INT64_MAX)
        return "seq begins at 1";
    if (h->from_ms < 0 || h->to_ms > WIRE_TIME_MAX_MS || h->from_ms > h->to_ms)
        return "a window that ends before it begins";
    if (h->kind == WIRE_CONTROL && h->from_ms != h->to_ms)
        return "a control batch has no window: from = to";
    if (h->clk < 0 || h->clk > CLK_MAX)
        return "clk is 0 to 3";
    if (h->clk == CLK_MAX && h->from_ms < WIRE_TIME_MIN_MS)
        return "with an unknown clock times begin at 2^28 s";
    if (h->for_from && (h->kind != WIRE_DATA || h->for_from > h->for_to || h->for_to >= h->seq))
        return "for names earlier batches, in a data batch";
    if (h->after && (h->after_seq == 0 || h->after_seq > INT64_MAX))
        return "after names a batch of another chain";
    for (i = 0; !fault && i < h->ngaps; i++)
        fault = gap_fault(&h->gaps[i], h);
    return fault;
}

/* ---- writer -------------------------------------------------------------------------------- */

static enum st put_key_int(struct buf *b, enum key key, int64_t v)
{
    enum st st = wire_put_text(b, key_text[key]);

    return st ? st : wire_put_int(b, v);
}

static enum st put_key_bytes(struct buf *b, enum key key, const void *p, size_t n)
{
    enum st st = wire_put_text(b, key_text[key]);

    return st ? st : wire_put_bytes(b, p, n);
}

static enum st put_for(struct buf *b, const struct wire_header *h)
{
    enum st st = wire_put_text(b, key_text[K_FOR]);

    if (!st)
        st = wire_put_array(b, 2);
    if (!st)
        st = wire_put_uint(b, h->for_from);
    return st ? st : wire_put_uint(b, h->for_to);
}

static enum st put_gaps(struct buf *b, const struct wire_header *h)
{
    enum st st = wire_put_text(b, key_text[K_GAPS]);
    size_t i;

    if (!st)
        st = wire_put_array(b, h->ngaps);
    for (i = 0; !st && i < h->ngaps; i++) {
        st = wire_put_array(b, 4);
        if (!st)
            st = wire_put_text(b, h->gaps[i].series);
        if (!st)
            st = wire_put_int(b, h->gaps[i].from_ms);
        if (!st)
            st = wire_put_int(b, h->gaps[i].to_ms);
        if (!st)
            st = wire_put_text(b, h->gaps[i].cause);
    }
    return st;
}

static enum st put_after(struct buf *b, const struct wire_header *h)
{
    enum st st = wire_put_text(b, key_text[K_AFTER]);

    if (st || !h->after)
        return st ? st : wire_put_null(b);
    st = wire_put_array(b, 3);
    if (!st)
        st = wire_put_bytes(b, h->after_chain, WIRE_ID_BYTES);
    if (!st)
        st = wire_put_uint(b, h->after_seq);
    return st ? st : wire_put_bytes(b, h->after_hash, WIRE_HASH_BYTES);
}

static enum st put_header(struct buf *b, const struct wire_header *h, const struct wire_signer *key)
{
    unsigned keys = 10u + (h->for_from ? 1 : 0) + (h->step ? 1 : 0);
    enum st st = wire_cose_begin(b, keys, h->kind == WIRE_CONTROL ? WIRE_TYPE_CONTROL : NULL, key);

    if (!st)
        st = put_key_int(b, K_V, VERSION);
    if (!st)
        st = wire_put_text(b, key_text[K_GW]);
    if (!st)
        st = wire_put_text(b, h->gw);
    if (!st)
        st = put_key_int(b, K_TO, h->to_ms);
    if (!st)
        st = put_key_int(b, K_CLK, h->clk);
    if (!st && h->for_from)
        st = put_for(b, h);
    if (!st)
        st = put_key_int(b, K_SEQ, (int64_t)h->seq);
    if (!st)
        st = put_key_bytes(b, K_BOOT, h->boot, WIRE_ID_BYTES);
    if (!st)
        st = put_key_int(b, K_FROM, h->from_ms);
    if (!st)
        st = put_gaps(b, h);
    if (!st && h->seq > 1)
        st = put_key_bytes(b, K_PREV, h->prev, WIRE_HASH_BYTES);
    if (!st && h->step)
        st = wire_put_text(b, key_text[K_STEP]);
    if (!st && h->step)
        st = wire_put_bool(b, true);
    if (!st && h->seq == 1)
        st = put_after(b, h);
    return st ? st : put_key_bytes(b, K_CHAIN, h->chain, WIRE_ID_BYTES);
}

enum st wire_batch_sign_parts(const struct wire_header *h, const struct wire_span *parts, size_t n,
                              const struct wire_signer *key, struct buf *out, struct err *e)
{
    const char *fault = header_fault(h);
    struct buf b;
    enum st st;

    if (fault)
        return err_set(e, ST_BAD, "a batch that cannot be: %s", fault);
    buf_init(&b, WIRE_HEADER_MAX + WIRE_CBOR_HEAD_BYTES);
    st = put_header(&b, h, key);
    if (st)
        st = err_set(e, st, "a header above %d bytes (%zu gaps)", WIRE_HEADER_MAX, h->ngaps);
    else
        st = wire_cose_sign_parts((struct wire_span){b.p, b.n}, parts, n, key, out, e);
    buf_done(&b);
    return st;
}

enum st wire_batch_sign(const struct wire_header *h, const void *payload, size_t n,
                        const struct wire_signer *key, struct buf *out, struct err *e)
{
    struct wire_span whole = {payload, n};

    return wire_batch_sign_parts(h, &whole, 1, key, out, e);
}

/* ---- reader -------------------------------------------------------------------------------- */

struct parse {
    struct wire_header *h;
    struct wire_gap *gaps;
    char *text; /* room for the texts that are still to come */
    unsigned seen;
};

/* A text with a NUL behind it, in the batch's own memory; it may hold no NUL itself. */
static enum st own_text(struct parse *p, struct wire_reader *r, const char **out, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_TEXT, &it, e);

    if (st)
        return st;
    if (it.span.n && memchr(it.span.p, 0, it.span.n))
        return wire_bad(r, at, e, "a text with a NUL");
    memcpy(p->text, it.span.p, it.span.n);
    p->text[it.span.n] = 0;
    *out = p->text;
    p->text += it.span.n + 1;
    return ST_OK;
}

static enum st next_gaps(struct parse *p, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_ARRAY, &it, e);
    size_t i;

    if (!st && it.u > (size_t)(r->end - r->p) / GAP_MIN_BYTES)
        return wire_bad(r, at, e, "ends before all gaps that it announces");
    for (i = 0; !st && i < it.u; i++) {
        struct wire_gap *g = &p->gaps[i];

        st = wire_expect_count(r, WIRE_ARRAY, 4, e);
        if (!st)
            st = own_text(p, r, &g->series, e);
        if (!st)
            st = wire_expect_int(r, &g->from_ms, e);
        if (!st)
            st = wire_expect_int(r, &g->to_ms, e);
        if (!st)
            st = own_text(p, r, &g->cause, e);
    }
    p->h->gaps = p->gaps;
    p->h->ngaps = i;
    return st;
}

static enum st next_after(struct wire_header *h, struct wire_reader *r, struct err *e)
{
    struct wire_reader ahead = *r;
    struct wire_item it;
    enum st st = wire_next(&ahead, &it, e);

    if (!st && it.type == WIRE_NULL) {
        *r = ahead;
        return ST_OK;
    }
    if (!st)
        st = wire_expect_count(r, WIRE_ARRAY, 3, e);
    if (!st)
        st = wire_expect_bytes(r, h->after_chain, WIRE_ID_BYTES, e);
    if (!st)
        st = wire_expect_seq(r, &h->after_seq, e);
    if (!st)
        st = wire_expect_bytes(r, h->after_hash, WIRE_HASH_BYTES, e);
    h->after = true;
    return st;
}

static enum st next_for(struct wire_header *h, struct wire_reader *r, struct err *e)
{
    enum st st = wire_expect_count(r, WIRE_ARRAY, 2, e);

    if (!st)
        st = wire_expect_seq(r, &h->for_from, e);
    return st ? st : wire_expect_seq(r, &h->for_to, e);
}

static enum st next_clk(struct wire_header *h, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    int64_t clk;
    enum st st = wire_expect_int(r, &clk, e);

    if (!st && (clk < 0 || clk > CLK_MAX))
        return wire_bad(r, at, e, "clk is 0 to 3");
    h->clk = st ? 0 : (int)clk;
    return st;
}

static enum st next_version(struct wire_reader *r, struct err *e)
{
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_UINT, &it, e);

    if (!st && it.u != VERSION)
        return err_set(e, ST_UNSUPPORTED, "a batch of version %llu, known is %d",
                       (unsigned long long)it.u, VERSION);
    return st;
}

static enum st next_step(struct wire_header *h, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_BOOL, &it, e);

    if (!st && it.u == 0)
        return wire_bad(r, at, e, "step is true or left out");
    h->step = true;
    return st;
}

static enum st next_key(void *ctx, struct wire_reader *r, const struct wire_item *key,
                        struct err *e)
{
    struct parse *p = ctx;
    struct wire_header *h = p->h;
    int k = 0;

    while (k < KEYS && (key->type != WIRE_TEXT || !wire_is(key->span, key_text[k])))
        k++;
    if (k < KEYS)
        p->seen |= 1u << k;
    switch (k) {
    case K_V:
        return next_version(r, e);
    case K_GW:
        return own_text(p, r, &h->gw, e);
    case K_TO:
        return wire_expect_int(r, &h->to_ms, e);
    case K_CLK:
        return next_clk(h, r, e);
    case K_FOR:
        return next_for(h, r, e);
    case K_SEQ:
        return wire_expect_seq(r, &h->seq, e);
    case K_BOOT:
        return wire_expect_bytes(r, h->boot, WIRE_ID_BYTES, e);
    case K_FROM:
        return wire_expect_int(r, &h->from_ms, e);
    case K_GAPS:
        return next_gaps(p, r, e);
    case K_PREV:
        return wire_expect_bytes(r, h->prev, WIRE_HASH_BYTES, e);
    case K_STEP:
        return next_step(h, r, e);
    case K_AFTER:
        return next_after(h, r, e);
    case K_CHAIN:
        return wire_expect_bytes(r, h->chain, WIRE_ID_BYTES, e);
    default:
        return ST_NOT_FOUND;
    }
}

static enum st open_header(struct wire_batch *b, struct err *e)
{
    size_t bytes = b->cose.protected_.n, gaps = bytes / GAP_MIN_BYTES + 1;
    struct parse p = {.h = &b->header};
    struct wire_item type;
    const char *fault;
    unsigned link;
    enum st st;

    /* A text with its NUL is as long as its encoding, so all texts fit into the header's size. */
    b->owned = malloc(gaps * sizeof(*p.gaps) + bytes);
    if (!b->owned)
        return err_set(e, ST_MEMORY, "no memory for a header");
    p.gaps = b->owned;
    p.text = (char *)(p.gaps + gaps);
    st = wire_cose_header(&b->cose, &type, b->header.kid, next_key, &p, e);
    if (st)
        return st;
    if (type.type == WIRE_UINT && type.u == WIRE_TYPE_SENML)
        b->header.kind = WIRE_DATA;
    else if (type.type == WIRE_TEXT && wire_is(type.span, WIRE_TYPE_CONTROL))
        b->header.kind = WIRE_CONTROL;
    else
        return err_set(e, ST_BAD, "neither a data nor a control batch");
    link = p.seen & (1u << K_PREV | 1u << K_AFTER);
    if ((p.seen & KEYS_ALWAYS) != KEYS_ALWAYS ||
        link != (b->header.seq == 1 ? 1u << K_AFTER : 1u << K_PREV))
        return err_set(e, ST_BAD, "a header without all its keys, or with both prev and after");
    fault = header_fault(&b->header);
    return fault ? err_set(e, ST_BAD, "header: %s", fault) : ST_OK;
}

static enum st walk_records(const struct wire_batch *b, struct err *e)
{
    const struct wire_header *h = &b->header;
    uint32_t flag = h->clk == CLK_MAX         ? WIRE_Q_TIME_UNKNOWN
                    : h->clk == CLK_CORRECTED ? WIRE_Q_TIME_CORRECTED
                                              : 0;
    struct wire_reading w;
    struct wire_senml s;
    enum st st = wire_senml_open(&s, b->cose.payload.p, b->cose.payload.n, h->gw, NULL, e);

    while (!st) {
        const uint8_t *at = s.r.p;

        st = wire_senml_next(&s, &w, e);
        if (!st && (w.q & flag) != flag)
            return wire_bad(&s.r, at, e, "a reading without the flag of its batch's clock");
        if (!st && !h->for_from && memchr(w.point.p, ':', w.point.n))
            return wire_bad(&s.r, at, e, "a thinned value in a batch that is not thinned");
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st walk_entries(const struct wire_batch *b, struct err *e)
{
    struct wire_control c;
    struct wire_entry entry;
    enum st st = wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e);

    while (!st)
        st = wire_control_next(&c, &entry, e);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st wire_batch_open_sealed(struct wire_batch *b, const void *p, size_t n, struct err *e)
{
    enum st st;

    *b = (struct wire_batch){.owned = NULL};
    st = wire_cose_open(&b->cose, p, n, e);
    if (!st)
        st = open_header(b, e);
    if (st)
        wire_batch_done(b);
    return st;
}

enum st wire_batch_open(struct wire_batch *b, const void *p, size_t n, struct err *e)
{
    enum st st = wire_batch_open_sealed(b, p, n, e);

    if (st)
        return st;
    st = b->header.kind == WIRE_DATA ? walk_records(b, e) : walk_entries(b, e);
    if (st)
        wire_batch_done(b);
    return st;
}

void wire_batch_done(struct wire_batch *b)
{
    free(b->owned);
    *b = (struct wire_batch){.owned = NULL};
}
