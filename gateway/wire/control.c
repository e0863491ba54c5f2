/* Control entries, read: flat arrays, the name first (batch.md rule 16). */
#include "gateway/wire/wire_int.h"

/* What may stand at a place of an entry. */
enum {
    A_SERIES = 's', /* device/point */
    A_TARGET = 'S', /* device/point or device/STAR */
    A_TEXT = 't',   /* not empty */
    A_UNIT = 'U',   /* text or null */
    A_ABOUT = 'A',  /* an id, the same as A_TARGET, or null */
    A_DAY = 'd',    /* YYYY-MM-DD */
    A_COUNT = 'u',  /* unsigned, up to INT64_MAX */
    A_SEQ = 'q',    /* from 1 */
    A_INT = 'i',    /* 64 bits: times and differences, ms */
    A_EXACT = 'x',  /* an integer or a decimal */
    A_END = 'n',    /* the same, or null */
    A_ID = 'b',     /* 8 bytes */
    A_HASH = 'h',   /* 32 bytes */
    A_HASHES = 'H', /* an array of hashes */
    A_KEY = 'k',    /* SubjectPublicKeyInfo */
    A_CHANGE = 'c', /* invalidate, rescale, reassign */
    A_WORK = 'w',   /* calibration, swap, meter */
    A_MAP = 'm',    /* any map */
    A_ANY = 'a'
};
static const struct {
    const char *name, *shape;
    enum wire_entry_kind kind;
    const char *asked; /* in a request; NULL: the same */
} entries[] = {
    {"plan", "stUui", WIRE_ENTRY_PLAN, NULL},
    {"retire", "sit", WIRE_ENTRY_RETIRE, "Sit"},
    {"void", "qqHt", WIRE_ENTRY_VOID, NULL},
    {"time", "bqqiu", WIRE_ENTRY_TIME, NULL},
    {"correct", "asiicatt", WIRE_ENTRY_CORRECT, NULL},
    {"maintain", "Sinwm", WIRE_ENTRY_MAINTAIN, NULL},
    {"key", "k", WIRE_ENTRY_KEY, NULL},
    {"config", "hit", WIRE_ENTRY_CONFIG, NULL},
    {"setup", "itt", WIRE_ENTRY_SETUP, NULL},
    {"digest", "dqquuh", WIRE_ENTRY_DIGEST, NULL},
    {"rest", "bdqquuh", WIRE_ENTRY_REST, NULL},
    {"entered", "sixtU", WIRE_ENTRY_ENTERED, "sixUUu"},
    {"change", "itAtt", WIRE_ENTRY_CHANGE, NULL},
};
#define ENTRIES (sizeof(entries) / sizeof(entries[0]))
#define ARGS_MAX 8
const char *const wire_changes[WIRE_CHANGES + 1] = {
    [WIRE_INVALIDATE] = "invalidate", [WIRE_RESCALE] = "rescale", [WIRE_REASSIGN] = "reassign"};
const char *const wire_works[WIRE_WORKS + 1] = {
    [WIRE_CALIBRATION] = "calibration", [WIRE_SWAP] = "swap", [WIRE_METER] = "meter"};

/* ---- reader -------------------------------------------------------------------------------- */

enum st wire_control_open(struct wire_control *c, const void *payload, size_t n, struct err *e)
{
    struct wire_reader r = wire_reader_of(payload, n);
    struct wire_item it;
    enum st st = wire_expect(&r, WIRE_ARRAY, &it, e);

    if (st)
        return st;
    *c = (struct wire_control){.r = r, .left = it.u};
    return ST_OK;
}

/* One place of an entry, as read. */
struct arg {
    struct wire_span span;
    int64_t i;
    struct num v;
    bool none; /* null */
};

static bool in(struct wire_span s, const char *const *words)
{
    while (*words && !wire_is(s, *words))
        words++;
    return *words != NULL;
}

static bool is_day(struct wire_span s)
{
    size_t i;

    for (i = 0; s.n == 10 && i < 10; i++)
        if (i == 4 || i == 7 ? s.p[i] != '-' : s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n == 10;
}

static enum st next_text(struct wire_reader *r, char shape, struct arg *a, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    bool good;
    enum st st = wire_next(r, &it, e);

    if (st || ((shape == A_UNIT || shape == A_ABOUT) && it.type == WIRE_NULL))
        return st;
    a->span = it.span;
    good = it.type == WIRE_TEXT && it.span.n > 0 &&
           (shape == A_SERIES   ? wire_is_series(it.span, false)
            : shape == A_TARGET ? wire_is_series(it.span, true)
            : shape == A_ABOUT  ? wire_is_id(it.span) || wire_is_series(it.span, true)
            : shape == A_DAY    ? is_day(it.span)
            : shape == A_CHANGE ? in(it.span, wire_changes)
            : shape == A_WORK   ? in(it.span, wire_works)
                                : true);
    return good ? ST_OK : wire_bad(r, at, e, "not the text that belongs here");
}

static enum st next_bytes(struct wire_reader *r, size_t n, struct arg *a, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_BYTES, &it, e);

    a->span = it.span;
    return !st && n && it.span.n != n ? wire_bad(r, at, e, "a byte string of the wrong length")
                                      : st;
}

static enum st next_spki(struct wire_reader *r, struct arg *a, struct err *e)
{
    struct wire_pub *pub = NULL;
    enum st st = next_bytes(r, 0, a, e);

    if (!st)
        st = wire_pub_parse(&pub, a->span.p, a->span.n, e);
    wire_pub_free(pub);
    return st;
}

static enum st next_hashes(struct wire_reader *r, struct arg *a, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    struct arg hash;
    enum st st = wire_expect(r, WIRE_ARRAY, &it, e);
    uint64_t i;

    for (i = 0; !st && i < it.u; i++)
        st = next_bytes(r, WIRE_HASH_BYTES, &hash, e);
    a->i = (int64_t)i;
    a->span = (struct wire_span){at, (size_t)(r->p - at)};
    return st;
}

static enum st next_integer(struct wire_reader *r, char shape, struct arg *a, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_reader ahead = *r;
    struct wire_item it;
    enum st st = wire_next(&ahead, &it, e);

    if (!st && shape == A_END && it.type == WIRE_NULL) {
        *r = ahead;
        a->none = true;
        return ST_OK;
    }
    if (!st)
        st = wire_expect_int(r, &a->i, e);
    if (!st && ((shape == A_COUNT && a->i < 0) || (shape == A_SEQ && a->i < 1)))
        return wire_bad(r, at, e, "a number below its least value");
    return st;
}

/* Steps over any item, which becomes the span. */
static enum st next_any(struct wire_reader *r, struct arg *a, struct err *e)
{
    const uint8_t *at = r->p;
    enum st st = wire_skip_in(r, 2, e);

    a->span = (struct wire_span){at, (size_t)(r->p - at)};
    return st;
}

static enum st next_arg(struct wire_reader *r, char shape, struct arg *a, struct err *e)
{
    const uint8_t *at = r->p;

    switch (shape) {
    case A_COUNT:
    case A_SEQ:
    case A_INT:
    case A_END:
        return next_integer(r, shape, a, e);
    case A_ID:
        return next_bytes(r, WIRE_ID_BYTES, a, e);
    case A_HASH:
        return next_bytes(r, WIRE_HASH_BYTES, a, e);
    case A_HASHES:
        return next_hashes(r, a, e);
    case A_KEY:
        return next_spki(r, a, e);
    case A_EXACT:
        return wire_next_exact(r, &a->v, e);
    case A_MAP:
        if (r->p < r->end && *r->p >> 5 != WIRE_MAP)
            return wire_bad(r, at, e, "should be a map");
        return next_any(r, a, e);
    case A_ANY:
        return next_any(r, a, e);
    default:
        return next_text(r, shape, a, e);
    }
}

/* A day that is none (2026-02-30) is of no day that any batch has. */
static void fill_digest(struct wire_digest *d, const struct arg *a)
{
    if (!wire_day_parse(a[0].span, &d->day))
        d->day = INT64_MIN;
    d->seq_from = (uint64_t)a[1].i;
    d->seq_to = (uint64_t)a[2].i;
    d->readings = (uint64_t)a[3].i;
    d->gaps = (uint64_t)a[4].i;
    if (a[5].span.p) /* as next_arg has seen to */
        memcpy(d->hash, a[5].span.p, WIRE_HASH_BYTES);
}

/* In a request the author is who asks. */
static void fill_entered(struct wire_entry *out, const struct arg *a, bool request)
{
    out->series = a[0].span;
    out->at_ms = a[1].i;
    out->value = a[2].v;
    out->unit = request ? a[3].span : out->unit;
    out->author = request ? out->author : a[3].span;
    out->reason = a[4].span;
    out->force = request && a[5].i != 0;
}

static void fill(struct wire_entry *out, const struct arg *a)
{
    if (out->kind == WIRE_ENTRY_PLAN) {
        out->series = a[0].span;
        out->quantity = a[1].span;
        out->unit = a[2].span;
        out->period_ms = a[3].i;
        out->at_ms = a[4].i;
    } else if (out->kind == WIRE_ENTRY_RETIRE) {
        out->series = a[0].span;
        out->at_ms = a[1].i;
        out->text = a[2].span;
    } else if (out->kind == WIRE_ENTRY_VOID) {
        out->seq_from = (uint64_t)a[0].i;
        out->seq_to = (uint64_t)a[1].i;
        out->hashes = a[2].span;
        out->text = a[3].span;
    } else if (out->kind == WIRE_ENTRY_TIME) {
        out->boot = a[0].span;
        out->seq_from = (uint64_t)a[1].i;
        out->seq_to = (uint64_t)a[2].i;
        out->add_ms = a[3].i;
        out->err_ms = a[4].i;
    } else if (out->kind == WIRE_ENTRY_CORRECT) {
        out->id = a[0].span;
        out->series = a[1].span;
        out->at_ms = a[2].i;
        out->to_ms = a[3].i;
        out->text = a[4].span;
        out->arguments = a[5].span;
        out->reason = a[6].span;
        out->author = a[7].span;
    } else if (out->kind == WIRE_ENTRY_MAINTAIN) {
        out->series = a[0].span;
        out->at_ms = a[1].i;
        out->to_ms = a[2].none ? INT64_MAX : a[2].i;
        out->text = a[3].span;
        out->arguments = a[4].span;
    } else if (out->kind == WIRE_ENTRY_DIGEST) {
        fill_digest(&out->digest, a);
    } else if (out->kind == WIRE_ENTRY_REST) {
        out->chain = a[0].span;
        fill_digest(&out->digest, a + 1);
    } else if (out->kind == WIRE_ENTRY_KEY) {
        out->spki = a[0].span;
    } else if (out->kind == WIRE_ENTRY_CONFIG) {
        out->hash = a[0].span;
        out->at_ms = a[1].i;
        out->author = a[2].span;
    } else if (out->kind == WIRE_ENTRY_SETUP) {
        out->at_ms = a[0].i;
        out->text = a[1].span;
        out->author = a[2].span;
    } else if (out->kind == WIRE_ENTRY_CHANGE) {
        out->at_ms = a[0].i;
        out->text = a[1].span;
        out->about = a[2].span;
        out->reason = a[3].span;
        out->author = a[4].span;
    }
}

static enum st next_known(struct wire_reader *r, size_t which, bool request, uint64_t members,
                          struct wire_entry *out, struct err *e)
{
    const char *asked = request ? entries[which].asked : NULL;
    const char *shape = asked ? asked : entries[which].shape;
    struct wire_fix fix;
    const uint8_t *at = r->p;
    struct arg a[ARGS_MAX] = {{.i = 0}};
    size_t i, n = strlen(shape);
    enum st st = ST_OK;

    if (members != n + 1)
        return wire_bad(r, at, e, "an entry with another number of members than it should");
    for (i = 0; !st && i < n; i++)
        st = next_arg(r, shape[i], &a[i], e);
    if (st)
        return st;
    out->kind = entries[which].kind;
    fill(out, a);
    if (out->kind == WIRE_ENTRY_ENTERED)
        fill_entered(out, a, request);
    if (out->kind == WIRE_ENTRY_VOID &&
        (out->seq_to < out->seq_from || (uint64_t)a[2].i != out->seq_to - out->seq_from + 1))
        return wire_bad(r, at, e, "a void entry without one hash for each batch");
    if (out->kind == WIRE_ENTRY_CORRECT && !wire_fix_of(out, &fix))
        return wire_bad(r, at, e, "a correct entry without what it needs");
    if (out->kind == WIRE_ENTRY_MAINTAIN && out->to_ms < out->at_ms)
        return wire_bad(r, at, e, "a maintain entry that ends before it begins");
    return ST_OK;
}

enum st wire_control_next(struct wire_control *c, struct wire_entry *out, struct err *e)
{
    const uint8_t *at = c->r.p;
    struct wire_item entry, name;
    size_t k = 0;
    uint64_t i;
    enum st st;

    if (c->left == 0)
        return wire_end(&c->r) ? ST_NOT_FOUND
                               : wire_bad(&c->r, at, e, "bytes behind the last entry");
    st = wire_expect(&c->r, WIRE_ARRAY, &entry, e);
    if (!st && entry.u == 0)
        return wire_bad(&c->r, at, e, "an entry without a name");
    if (!st)
        st = wire_expect(&c->r, WIRE_TEXT, &name, e);
    if (st)
        return st;
    *out = (struct wire_entry){.kind = WIRE_ENTRY_OTHER, .name = name.span};
    while (k < ENTRIES && !wire_is(name.span, entries[k].name))
        k++;
    if (k < ENTRIES)
        st = next_known(&c->r, k, c->request, entry.u, out, e);
    for (i = 1; k == ENTRIES && !st && i < entry.u; i++)
        st = wire_skip_in(&c->r, 2, e);
    c->left -= !st;
    return st;
}
