/* Control entries, written: each goes in whole or not at all. */
#include "gateway/wire/wire_int.h"

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

/* What `digest` and `rest` entries have in common. */
static enum st put_run(struct buf *out, const struct wire_digest *d)
{
    char day[WIRE_DAY_TEXT];
    enum st st;

    if (d->seq_from == 0 || d->seq_to > INT64_MAX || d->seq_from > d->seq_to ||
        d->readings > INT64_MAX || d->gaps > INT64_MAX || wire_day_text(d->day, day) != ST_OK)
        return ST_BAD;
    st = wire_put_text(out, day);
    if (!st)
        st = wire_put_uint(out, d->seq_from);
    if (!st)
        st = wire_put_uint(out, d->seq_to);
    if (!st)
        st = wire_put_uint(out, d->readings);
    if (!st)
        st = wire_put_uint(out, d->gaps);
    return st ? st : wire_put_bytes(out, d->hash, WIRE_HASH_BYTES);
}

enum st wire_put_digest(struct buf *out, const struct wire_digest *d)
{
    size_t start = out->n;
    enum st st = begin(out, 7, "digest");

    if (!st)
        st = put_run(out, d);
    return done(out, start, st);
}

enum st wire_put_rest(struct buf *out, const uint8_t chain[WIRE_ID_BYTES],
                      const struct wire_digest *d)
{
    size_t start = out->n;
    enum st st = begin(out, 8, "rest");

    if (!st)
        st = wire_put_bytes(out, chain, WIRE_ID_BYTES);
    if (!st)
        st = put_run(out, d);
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

enum st wire_put_setup(struct buf *out, int64_t at_ms, const char *what, const char *author)
{
    size_t start = out->n;
    enum st st;

    if (!what[0] || !author[0])
        return ST_BAD;
    st = begin(out, 4, "setup");
    if (!st)
        st = wire_put_int(out, at_ms);
    if (!st)
        st = wire_put_text(out, what);
    if (!st)
        st = wire_put_text(out, author);
    return done(out, start, st);
}

static bool is_about(const char *s)
{
    struct wire_span t = {(const uint8_t *)s, strlen(s)};

    return wire_is_id(t) || wire_is_series(t, true);
}

enum st wire_put_change(struct buf *out, int64_t at_ms, const char *what, const char *about,
                        const char *now, const char *author)
{
    size_t start = out->n;
    enum st st;

    if (!what[0] || !now[0] || !author[0] || (about && !is_about(about)))
        return ST_BAD;
    st = begin(out, 6, "change");
    if (!st)
        st = wire_put_int(out, at_ms);
    if (!st)
        st = wire_put_text(out, what);
    if (!st)
        st = about ? wire_put_text(out, about) : wire_put_null(out);
    if (!st)
        st = wire_put_text(out, now);
    if (!st)
        st = wire_put_text(out, author);
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
        st = wire_put_text(out, wire_changes[f->what]);
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
        st = wire_put_text(out, wire_works[work]);
    if (!st)
        st = buf_put(out, map->p, map->n);
    return done(out, start, st);
}

enum st wire_put_entered(struct buf *out, const char *series, int64_t at_ms, struct num value,
                         const char *author, const char *note)
{
    size_t start = out->n;
    enum st st;

    if (!is_series(series) || !author[0] || (note && !note[0]))
        return ST_BAD;
    st = begin(out, 6, "entered");
    if (!st)
        st = wire_put_text(out, series);
    if (!st)
        st = wire_put_int(out, at_ms);
    if (!st)
        st = wire_put_exact(out, value);
    if (!st)
        st = wire_put_text(out, author);
    if (!st)
        st = note ? wire_put_text(out, note) : wire_put_null(out);
    return done(out, start, st);
}
