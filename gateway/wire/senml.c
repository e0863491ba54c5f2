/* SenML-CBOR (RFC 8428) as the batch contract narrows it. */
#include "gateway/wire/wire_int.h"

/* Labels of RFC 8428 §6. */
enum {
    KEY_N = 0,
    KEY_U = 1,
    KEY_V = 2,
    KEY_VS = 3,
    KEY_VB = 4,
    KEY_T = 6,
    KEY_VD = 8,
    KEY_BVER = -1,
    KEY_BN = -2,
    KEY_BT = -3,
    KEY_BU = -4,
    KEY_BV = -5,
    KEY_BS = -6
};
enum { BYTE_V = 0x02, BYTE_BN = 0x21, BYTE_BT = 0x22 };
static const uint8_t key_q[] = {0x61, 'q'};

#define Q_MAX 255

/* ---- names -------------------------------------------------------------------------------- */

bool wire_is_id(struct wire_span s)
{
    return id_is(s.p, s.n);
}

/* Splits "a/b"; false without a slash. */
static bool split(struct wire_span s, struct wire_span *a, struct wire_span *b)
{
    const uint8_t *slash = s.n ? memchr(s.p, '/', s.n) : NULL;

    if (!slash)
        return false;
    *a = (struct wire_span){s.p, (size_t)(slash - s.p)};
    *b = (struct wire_span){slash + 1, s.n - a->n - 1};
    return true;
}

bool wire_is_series(struct wire_span s, bool star)
{
    struct wire_span device, point;

    return split(s, &device, &point) && wire_is_id(device) &&
           (wire_is_id(point) || (star && wire_is(point, "*")));
}

/* A point, or one of the values that a thinned batch carries in its place. */
static bool is_point(struct wire_span s)
{
    static const char *const thinned[] = {"mean", "min", "max", "count", "first", "last", NULL};
    const uint8_t *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
    size_t i;

    if (!colon)
        return wire_is_id(s);
    for (i = 0; thinned[i]; i++)
        if (wire_is((struct wire_span){colon + 1, s.n - (size_t)(colon + 1 - s.p)}, thinned[i]))
            return wire_is_id((struct wire_span){s.p, (size_t)(colon - s.p)});
    return false;
}

/* "<gateway>/<device>/" */
static bool is_base(struct wire_span s, const char *gw, struct wire_span *device)
{
    struct wire_span first, rest;

    if (s.n == 0 || s.p[s.n - 1] != '/')
        return false;
    s.n--;
    if (!split(s, &first, &rest) || !wire_is_id(rest))
        return false;
    *device = rest;
    return gw ? wire_is(first, gw) : wire_is_id(first);
}

/* ---- writer ------------------------------------------------------------------------------- */

enum st wire_point_init(struct wire_point *p, const char *name, const char *unit, struct err *e)
{
    struct wire_span s = {(const uint8_t *)name, strlen(name)};
    struct wire_span u = {(const uint8_t *)unit, unit ? strlen(unit) : 0};
    uint8_t *b = p->b;

    if (!is_point(s))
        return err_set(e, ST_BAD,
                       "\"%s\" is not a point name: [A-Za-z0-9][A-Za-z0-9._-]*, at most %d", name,
                       WIRE_GW_MAX);
    if ((unit && u.n == 0) || u.n > 24)
        return err_set(e, ST_BAD, "point %s: \"%s\" is no unit", name, unit);
    memset(p, 0, sizeof(*p));
    *b++ = KEY_N;
    b = wire_store_head(b, 3, s.n);
    memcpy(b, s.p, s.n);
    b += s.n;
    if (unit) {
        *b++ = KEY_U;
        b = wire_store_head(b, 3, u.n);
        memcpy(b, u.p, u.n);
        b += u.n;
    }
    p->has_unit = unit != NULL;
    p->n = (uint8_t)(b - p->b);
    return ST_OK;
}

/* Name and unit. Most have at most 32 bytes, and a copy of constant size is a few instructions;
 * what it writes too much is overwritten by what follows, within RECORD_BYTES. */
#define CHUNK 32
static inline uint8_t *store_point(uint8_t *p, const struct wire_point *pt)
{
    memcpy(p, pt->b, CHUNK);
    if (pt->n > CHUNK)
        memcpy(p + CHUNK, pt->b + CHUNK, WIRE_POINT_MAX - CHUNK);
    return p + pt->n;
}
/* Map head, name and unit, v, the value, q; and what store_point writes too much. */
#define RECORD_BYTES (1 + WIRE_POINT_MAX + 1 + WIRE_NUM_BYTES + 4)

static uint8_t *store_record(uint8_t *p, const struct wire_record *r, struct wire_span base,
                             int64_t t_ms)
{
    unsigned members = 2u + r->point->has_unit + (base.n ? 2 : 0) + (r->q ? 1 : 0);

    *p++ = (uint8_t)(0xa0 | members);
    p = store_point(p, r->point);
    *p++ = BYTE_V;
    if (r->v.kind == NUM_DEC && r->v.exp == 0 && r->v.i >= 0 && r->v.i <= UINT16_MAX)
        p = wire_store_head(p, 0, (uint64_t)r->v.i);
    else
        p = wire_store_num(p, r->v);
    if (!p)
        return NULL;
    if (base.n) {
        *p++ = BYTE_BN;
        p = wire_store_head(p, 3, base.n);
        memcpy(p, base.p, base.n);
        p += base.n;
        *p++ = BYTE_BT;
        p = wire_store_time(p, t_ms);
    }
    if (r->q) {
        *p++ = key_q[0];
        *p++ = key_q[1];
        p = wire_store_head(p, 0, r->q);
    }
    return p;
}

enum st wire_senml_poll(struct buf *out, const char *base, int64_t t_ms,
                        const struct wire_record *r, size_t n)
{
    struct wire_span bn = {(const uint8_t *)base, strlen(base)}, device;
    size_t start = out->n, i;
    uint8_t *p;
    enum st st;

    if (n == 0 || t_ms < WIRE_TIME_MIN_MS || t_ms > WIRE_TIME_MAX_MS || !is_base(bn, NULL, &device))
        return ST_BAD;
    for (i = 0; i < n; i++) {
        /* One record at a time, so that the reserve stays tight when the buffer is nearly full. */
        st = buf_reserve(out, RECORD_BYTES + (i ? 0 : bn.n + 4 + 1 + WIRE_NUM_BYTES));
        p = st || r[i].q > Q_MAX ? NULL : store_record(out->p + out->n, &r[i], bn, t_ms);
        if (!p) {
            out->n = start;
            return st ? st : ST_BAD;
        }
        out->n = (size_t)(p - out->p);
        bn.n = 0;
    }
    return ST_OK;
}

/* ---- reader ------------------------------------------------------------------------------- */

enum st wire_senml_open(struct wire_senml *s, const void *payload, size_t n, const char *gw,
                        uint64_t *count, struct err *e)
{
    struct wire_reader r = wire_reader_of(payload, n);
    struct wire_item it;
    enum st st = wire_expect(&r, WIRE_ARRAY, &it, e);

    if (st)
        return st;
    *s = (struct wire_senml){.r = r, .left = it.u, .gw = gw};
    if (count)
        *count = it.u;
    return ST_OK;
}

void wire_senml_open_records(struct wire_senml *s, const void *p, size_t n, uint64_t count,
                             const char *gw)
{
    *s = (struct wire_senml){.r = wire_reader_of(p, n), .left = count, .gw = gw};
}

/* What a record has said so far. */
struct seen {
    bool n, v, t, bn, bt;
};

static enum st next_text(struct wire_reader *r, struct wire_span *out, struct err *e)
{
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_TEXT, &it, e);

    *out = it.span;
    return st;
}

static enum st next_quality(struct wire_reader *r, uint32_t *q, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_UINT, &it, e);

    if (st)
        return st;
    if (it.u == 0 || it.u > Q_MAX)
        return wire_bad(r, at, e, "a quality that is not a sum of the flags");
    *q = (uint32_t)it.u;
    return ST_OK;
}

static enum st next_member(struct wire_senml *s, int64_t key, struct seen *seen, int64_t *t_ms,
                           struct wire_reading *out, struct err *e)
{
    const uint8_t *at = s->r.p;
    enum st st;

    switch (key) {
    case KEY_N:
        seen->n = true;
        st = next_text(&s->r, &out->point, e);
        return !st && !is_point(out->point) ? wire_bad(&s->r, at, e, "no point name") : st;
    case KEY_U:
        st = next_text(&s->r, &out->unit, e);
        return !st && out->unit.n == 0 ? wire_bad(&s->r, at, e, "an empty unit") : st;
    case KEY_V:
        seen->v = true;
        return wire_next_num(&s->r, &out->v, e);
    case KEY_T:
        seen->t = true;
        st = wire_next_time(&s->r, t_ms, e);
        return !st && *t_ms == 0 ? wire_bad(&s->r, at, e, "a time of 0 is left out") : st;
    case KEY_BN:
        seen->bn = true;
        st = next_text(&s->r, &s->base, e);
        return !st && !is_base(s->base, s->gw, &s->device)
                   ? wire_bad(&s->r, at, e, "a base name that is not \"<gateway>/<device>/\"")
                   : st;
    case KEY_BT:
        seen->bt = true;
        return wire_next_time(&s->r, &s->base_ms, e);
    case KEY_VS:
    case KEY_VB:
    case KEY_VD:
    case KEY_BVER:
    case KEY_BU:
    case KEY_BV:
    case KEY_BS:
        return wire_bad(&s->r, at, e, "a SenML member that a batch may not have");
    default:
        return wire_skip_in(&s->r, 2, e);
    }
}

static enum st next_record(struct wire_senml *s, struct seen *seen, int64_t *t_ms,
                           struct wire_reading *out, struct err *e)
{
    struct wire_span last = {NULL, 0};
    struct wire_item map, key;
    enum st st = wire_expect(&s->r, WIRE_MAP, &map, e);
    uint64_t i;

    for (i = 0; !st && i < map.u; i++) {
        const uint8_t *at = s->r.p;

        st = wire_next_key(&s->r, &last, &key, e);
        if (st)
            return st;
        if (key.type != WIRE_TEXT)
            st = next_member(s,
                             key.u > 64              ? 64
                             : key.type == WIRE_UINT ? (int64_t)key.u
                                                     : -1 - (int64_t)key.u,
                             seen, t_ms, out, e);
        else if (wire_is(key.span, "q"))
            st = next_quality(&s->r, &out->q, e);
        else if (key.span.n && key.span.p[key.span.n - 1] == '_') /* RFC 8428 §4.4 */
            st = wire_bad(&s->r, at, e, "a member that must be understood");
        else
            st = wire_skip_in(&s->r, 2, e);
    }
    return st;
}

enum st wire_senml_next(struct wire_senml *s, struct wire_reading *out, struct err *e)
{
    const uint8_t *at = s->r.p;
    struct seen seen = {0};
    int64_t t_ms = 0;
    enum st st;

    if (s->left == 0)
        return wire_end(&s->r) ? ST_NOT_FOUND
                               : wire_bad(&s->r, at, e, "bytes behind the last record");
    *out = (struct wire_reading){.q = 0};
    st = next_record(s, &seen, &t_ms, out, e);
    if (st)
        return st;
    if (!seen.n || !seen.v)
        return wire_bad(&s->r, at, e, "a record without name or value");
    if (seen.bn != seen.bt || (seen.bn && seen.t) || !s->base.p)
        return wire_bad(&s->r, at, e, "a poll opens with bn and bt, and bt is its first time");
    out->t_ms = s->base_ms + t_ms;
    if (out->t_ms < WIRE_TIME_MIN_MS || out->t_ms > WIRE_TIME_MAX_MS)
        return wire_bad(&s->r, at, e, "a time outside 2^28 s to 2^53 ms");
    out->device = s->device;
    s->left--;
    return ST_OK;
}
