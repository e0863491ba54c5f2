/* Reading batches that this gateway sealed: their rules were checked then, so that a reader of
 * many batches may keep to the bounds alone and step over what it does not look for. */
#include "gateway/wire/wire_int.h"

/* The keys that a record of ours can have (RFC 8428 §6), as they stand in the bytes. */
enum { BYTE_N = 0x00, BYTE_U = 0x01, BYTE_V = 0x02, BYTE_T = 0x06, BYTE_BN = 0x21, BYTE_BT = 0x22 };
#define BYTE_TEXT1 0x61 /* a text of one character, which is q */

/* One head; the length of a string is checked, its bytes are not taken. NULL: cut short. */
static inline const uint8_t *head(const uint8_t *p, const uint8_t *end, unsigned *major,
                                  uint64_t *u)
{
    if (p >= end)
        return NULL;
    unsigned ai = *p & 31;
    *major = *p++ >> 5;
    if (ai < 24) {
        *u = ai;
    } else {
        size_t n = (size_t)1 << (ai - 24);
        if (ai > 27 || (size_t)(end - p) < n)
            return NULL;
        for (*u = 0; n > 0; n--)
            *u = *u << 8 | *p++;
    }
    if ((*major == 2 || *major == 3) && *u > (size_t)(end - p))
        return NULL;
    return p;
}

/* Steps over one item with all that it holds. */
static const uint8_t *over(const uint8_t *p, const uint8_t *end)
{
    for (uint64_t left = 1; left > 0; left--) {
        unsigned major;
        uint64_t u;
        p = head(p, end, &major, &u);
        if (!p)
            return NULL;
        if (major == 2 || major == 3)
            p += u;
        else if (major == 4 || major == 5)
            left += u > (size_t)(end - p) ? (size_t)(end - p) + 1 : u << (major - 4);
        else if (major == 6)
            left++;
    }
    return p;
}

static const uint8_t *text(const uint8_t *p, const uint8_t *end, struct wire_span *out)
{
    unsigned major;
    uint64_t u;
    p = head(p, end, &major, &u);
    if (!p || major != 3)
        return NULL;
    *out = (struct wire_span){p, (size_t)u};
    return p + u;
}

/* "<gateway>/<device>/" */
static bool device_of(struct wire_span bn, struct wire_span *device)
{
    const uint8_t *slash = bn.n ? memchr(bn.p, '/', bn.n) : NULL;
    if (!slash || (size_t)(slash - bn.p) + 2 > bn.n)
        return false;
    *device = (struct wire_span){slash + 1, bn.n - (size_t)(slash - bn.p) - 2};
    return true;
}

enum st wire_skim_open(struct wire_skim *s, const void *payload, size_t n, struct err *e)
{
    unsigned major = 0;
    const uint8_t *end = (const uint8_t *)payload + n;
    *s = (struct wire_skim){.end = end};
    s->p = n ? head(payload, end, &major, &s->left) : NULL;
    return s->p && major == 4 ? ST_OK : err_set(e, ST_CORRUPT, "a payload that is no array");
}

void wire_skim_records(struct wire_skim *s, const void *records, size_t bytes, uint64_t n)
{
    *s = (struct wire_skim){.p = records, .end = (const uint8_t *)records + bytes, .left = n};
}

/* What a record has but its value, and where that stands. */
struct parts {
    struct wire_span bn;
    const uint8_t *bt, *t, *q;
};

static const uint8_t *record(const uint8_t *p, const uint8_t *end, struct wire_skimmed *out,
                             struct parts *x)
{
    unsigned major;
    uint64_t pairs;
    p = head(p, end, &major, &pairs);
    if (!p || major != 5)
        return NULL;
    for (; pairs > 0 && p && p < end; pairs--) {
        switch (*p) {
        case BYTE_N:
            p = text(p + 1, end, &out->point);
            continue;
        case BYTE_V:
            out->value = p + 1;
            break;
        case BYTE_T:
            x->t = p + 1;
            break;
        case BYTE_BN:
            p = text(p + 1, end, &x->bn);
            continue;
        case BYTE_BT:
            x->bt = p + 1;
            break;
        case BYTE_TEXT1:
            if (end - p < 3)
                return NULL;
            if (p[1] == 'q')
                x->q = p + 2;
            p++; /* a key of two bytes */
            break;
        case BYTE_U:
            break;
        default: /* a key that later versions may have */
            p = over(p, end);
            if (!p)
                return NULL;
            p--;
        }
        p = over(p + 1, end);
    }
    return pairs == 0 ? p : NULL;
}

static bool time_at(const struct wire_skim *s, const uint8_t *p, int64_t *ms)
{
    struct wire_reader r = {p, p, s->end};
    return wire_next_time(&r, ms, NULL) == ST_OK;
}

static enum st damaged(struct err *e)
{
    return err_set(e, ST_CORRUPT, "a record that is cut short or no record");
}

enum st wire_skim_next(struct wire_skim *s, const struct wire_span *only, struct wire_skimmed *out,
                       struct err *e)
{
    while (s->left > 0) {
        struct parts x = {.t = NULL};
        out->value = NULL;
        out->point.p = NULL;
        s->p = record(s->p, s->end, out, &x);
        if (!s->p)
            return damaged(e);
        s->left--;
        if (x.bn.p && (!device_of(x.bn, &s->device) || !x.bt || !time_at(s, x.bt, &s->base_ms)))
            return damaged(e);
        out->opens = x.bn.p != NULL;
        if (only && (s->device.n != only->n || memcmp(s->device.p, only->p, only->n) != 0))
            continue;
        int64_t t = 0;
        if (!s->device.p || !out->point.p || !out->value || (x.t && !time_at(s, x.t, &t)))
            return damaged(e);
        unsigned major = 0;
        uint64_t q = 0;
        if (x.q && (!head(x.q, s->end, &major, &q) || major != 0 || q > UINT8_MAX))
            return damaged(e);
        out->device = s->device;
        out->t_ms = s->base_ms + t;
        out->q = (uint32_t)q;
        return ST_OK;
    }
    return s->p == s->end ? ST_NOT_FOUND : damaged(e);
}

/* Integers and decimals, nearly all values, without the detour over their one form. */
enum st wire_skim_value(const struct wire_skim *s, const struct wire_skimmed *r, struct num *v,
                        struct err *e)
{
    const uint8_t *p = r->value;
    unsigned major;
    uint64_t u;
    int exp = 0;
    if (s->end - p > 3 && p[0] == 0xc4 && p[1] == 0x82 && p[2] >= 0x20 &&
        p[2] < 0x20 - NUM_EXP_MIN) {
        exp = -1 - (p[2] - 0x20);
        p += 3;
    }
    p = head(p, s->end, &major, &u);
    if (p && major < 2 && u <= INT64_MAX) {
        *v = (struct num){
            .i = major ? -1 - (int64_t)u : (int64_t)u, .kind = NUM_DEC, .exp = (int8_t)exp};
        return ST_OK;
    }
    struct wire_reader full = {r->value, r->value, s->end};
    return wire_next_num(&full, v, e) == ST_OK ? ST_OK : damaged(e);
}
