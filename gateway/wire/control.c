/* Control entries: flat arrays, the name first (batch.md rule 16). */
#include "gateway/wire/wire_int.h"

/* What may stand at a place of an entry. */
enum {
    A_SERIES = 's', /* device/point */
    A_TARGET = 'S', /* device/point or device/STAR */
    A_TEXT = 't',   /* not empty */
    A_UNIT = 'U',   /* text or null */
    A_DAY = 'd',    /* YYYY-MM-DD */
    A_COUNT = 'u',  /* unsigned, up to INT64_MAX */
    A_SEQ = 'q',    /* from 1 */
    A_INT = 'i',    /* 64 bits: times and differences, ms */
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
} entries[] = {
    {"plan", "stUui", WIRE_ENTRY_PLAN},
    {"retire", "sit", WIRE_ENTRY_RETIRE},
    {"void", "qqHt", WIRE_ENTRY_VOID},
    {"time", "bqqiu", WIRE_ENTRY_TIME},
    {"correct", "asiicatt", WIRE_ENTRY_CORRECT},
    {"maintain", "Sinwm", WIRE_ENTRY_MAINTAIN},
    {"key", "k", WIRE_ENTRY_KEY},
    {"config", "hit", WIRE_ENTRY_CONFIG},
    {"digest", "dqquuh", WIRE_ENTRY_DIGEST},
};
#define ENTRIES (sizeof(entries) / sizeof(entries[0]))
#define ARGS_MAX 8
static const char *const changes[] = {"invalidate", "rescale", "reassign", NULL};
static const char *const works[] = {"calibration", "swap", "meter", NULL};

/* ---- writers ------------------------------------------------------------------------------- */

/* An entry goes in whole or not at all. */
static enum st done(struct buf *out, size_t start, enum st st)
{
    if (st)
        out->n = start;
    return st;
}

static enum st begin(struct buf *out, unsigned members, const char *name)
{
    enum st st = wire_put_array(out, members);

    return st ? st : wire_put_text(out, name);
}

static bool is_series(const char *s)
{
    return wire_is_series((struct wire_span){(const uint8_t *)s, strlen(s)}, false);
}

enum st wire_put_plan(struct buf *out, const char *series, const char *quantity, const char *unit,
                      int64_t period_ms, int64_t from_ms)
{
    size_t start = out->n;
    enum st st;

    if (!is_series(series) || !quantity[0] || period_ms < 0)
        return ST_BAD;
    st = begin(out, 6, "plan");
    if (!st)
        st = wire_put_text(out, series);
    if (!st)
        st = wire_put_text(out, quantity);
    if (!st)
        st = unit ? wire_put_text(out, unit) : wire_put_null(out);
    if (!st)
        st = wire_put_int(out, period_ms);
    if (!st)
        st = wire_put_int(out, from_ms);
    return done(out, start, st);
}

enum st wire_put_retire(struct buf *out, const char *series, int64_t at_ms, const char *reason)
{
    size_t start = out->n;
    enum st st;

    if (!is_series(series) || !reason[0])
        return ST_BAD;
    st = begin(out, 4, "retire");
    if (!st)
        st = wire_put_text(out, series);
    if (!st)
        st = wire_put_int(out, at_ms);
    if (!st)
        st = wire_put_text(out, reason);
    return done(out, start, st);
}

enum st wire_put_void(struct buf *out, uint64_t seq_from, uint64_t seq_to,
                      const uint8_t (*hashes)[WIRE_HASH_BYTES], const char *cause)
{
    size_t start = out->n;
    uint64_t i, n = seq_to - seq_from + 1;
    enum st st;

    if (seq_from == 0 || seq_to > INT64_MAX || seq_from > seq_to || !cause[0])
        return ST_BAD;
    st = begin(out, 5, "void");
    if (!st)
        st = wire_put_uint(out, seq_from);
    if (!st)
        st = wire_put_uint(out, seq_to);
    if (!st)
        st = wire_put_array(out, n);
    for (i = 0; !st && i < n; i++)
        st = wire_put_bytes(out, hashes[i], WIRE_HASH_BYTES);
    if (!st)
        st = wire_put_text(out, cause);
    return done(out, start, st);
}

enum st wire_put_time(struct buf *out, const uint8_t boot[WIRE_ID_BYTES], uint64_t seq_from,
                      uint64_t seq_to, int64_t add_ms, int64_t err_ms)
{
    size_t start = out->n;
    enum st st;

    if (seq_from == 0 || seq_to > INT64_MAX || seq_from > seq_to || err_ms < 0)
        return ST_BAD;
    st = begin(out, 6, "time");
    if (!st)
        st = wire_put_bytes(out, boot, WIRE_ID_BYTES);
    if (!st)
        st = wire_put_uint(out, seq_from);
    if (!st)
        st = wire_put_uint(out, seq_to);
    if (!st)
        st = wire_put_int(out, add_ms);
    if (!st)
        st = wire_put_int(out, err_ms);
    return done(out, start, st);
}

enum st wire_put_digest(struct buf *out, const struct wire_digest *d)
{
    size_t start = out->n;
    char day[WIRE_DAY_TEXT];
    enum st st;

    if (d->seq_from == 0 || d->seq_to > INT64_MAX || d->seq_from > d->seq_to ||
        d->readings > INT64_MAX || d->gaps > INT64_MAX || wire_day_text(d->day, day) != ST_OK)
        return ST_BAD;
    st = begin(out, 7, "digest");
    if (!st)
        st = wire_put_text(out, day);
    if (!st)
        st = wire_put_uint(out, d->seq_from);
    if (!st)
        st = wire_put_uint(out, d->seq_to);
    if (!st)
        st = wire_put_uint(out, d->readings);
    if (!st)
        st = wire_put_uint(out, d->gaps);
    if (!st)
        st = wire_put_bytes(out, d->hash, WIRE_HASH_BYTES);
    return done(out, start, st);
}

enum st wire_put_key(struct buf *out, const struct wire_pub *next)
{
    struct wire_span der = wire_pub_der(next);
    size_t start = out->n;
    enum st st = begin(out, 2, "key");

    if (!st)
        st = wire_put_bytes(out, der.p, der.n);
    return done(out, start, st);
}

enum st wire_put_config(struct buf *out, const uint8_t hash[WIRE_HASH_BYTES], int64_t at_ms,
                        const char *who)
{
    size_t start = out->n;
    enum st st;

    if (!who[0])
        return ST_BAD;
    st = begin(out, 4, "config");
    if (!st)
        st = wire_put_bytes(out, hash, WIRE_HASH_BYTES);
    if (!st)
        st = wire_put_int(out, at_ms);
    if (!st)
        st = wire_put_text(out, who);
    return done(out, start, st);
}

enum st wire_put_correct(struct buf *out, const char *id, const char *series, int64_t from_ms,
                         int64_t to_ms, const struct wire_fix *f, const char *reason,
                         const char *author)
{
    size_t start = out->n;
    enum st st;

    if (!is_series(series) || !id[0] || from_ms >= to_ms || !reason[0] || !author[0] ||
        (f->what == WIRE_REASSIGN && !is_series(f->target)))
        return ST_BAD;
    st = begin(out, 9, "correct");
    if (!st)
        st = wire_put_text(out, id);
    if (!st)
        st = wire_put_text(out, series);
    if (!st)
        st = wire_put_int(out, from_ms);
    if (!st)
        st = wire_put_int(out, to_ms);
    if (!st)
        st = wire_put_text(out, changes[f->what]);
    if (!st)
        st = wire_put_arguments(out, f);
    if (!st)
        st = wire_put_text(out, reason);
    if (!st)
        st = wire_put_text(out, author);
    return done(out, start, st);
}

enum st wire_put_maintain(struct buf *out, const char *target, int64_t from_ms,
                          const int64_t *to_ms, enum wire_work work, const struct wire_span *map)
{
    struct wire_span t = {(const uint8_t *)target, strlen(target)};
    size_t start = out->n;
    enum st st;

    if (!wire_is_series(t, true) || (to_ms && *to_ms < from_ms))
        return ST_BAD;
    st = begin(out, 6, "maintain");
    if (!st)
        st = wire_put_text(out, target);
    if (!st)
        st = wire_put_int(out, from_ms);
    if (!st)
        st = to_ms ? wire_put_int(out, *to_ms) : wire_put_null(out);
    if (!st)
        st = wire_put_text(out, works[work]);
    if (!st)
        st = buf_put(out, map->p, map->n);
    return done(out, start, st);
}

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

    if (st || (shape == A_UNIT && it.type == WIRE_NULL))
        return st;
    a->span = it.span;
    good = it.type == WIRE_TEXT && it.span.n > 0 &&
           (shape == A_SERIES   ? wire_is_series(it.span, false)
            : shape == A_TARGET ? wire_is_series(it.span, true)
            : shape == A_DAY    ? is_day(it.span)
            : shape == A_CHANGE ? in(it.span, changes)
            : shape == A_WORK   ? in(it.span, works)
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
    } else if (out->kind == WIRE_ENTRY_KEY) {
        out->spki = a[0].span;
    } else if (out->kind == WIRE_ENTRY_CONFIG) {
        out->hash = a[0].span;
        out->at_ms = a[1].i;
    }
}

static enum st next_known(struct wire_reader *r, size_t which, bool request, uint64_t members,
                          struct wire_entry *out, struct err *e)
{
    bool device = request && entries[which].kind == WIRE_ENTRY_RETIRE;
    const char *shape = device ? "Sit" : entries[which].shape;
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
