/* Partials: what each period of an indicator came to, its latest revision, kept for years
 * (store.keep_rollups); how far the periods are computed; and what is to be computed anew. Part of
 * store.h. */
#ifndef GATEWAY_STORE_PARTIAL_H
#define GATEWAY_STORE_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/wire/wire.h"

struct store;
struct store_reader;

/* A period [from_ms, to_ms) of the device that its readings have. Texts are never NULL; "": none.
 */
struct store_partial {
    const char *indicator;
    int64_t from_ms, to_ms;
    uint32_t revision;
    int reason;                                  /* 0: there is a value */
    const char *value, *numerator, *denominator; /* a decimal; "p/q" in lowest terms */
    uint64_t due, good;
    uint8_t catalogue[WIRE_HASH_BYTES];
    int64_t at_ms; /* UTC of its computing */
};
/* What a day (from 1970-01-01, in UTC+7) was folded from: the batches first … last, of which the
 * store held n; and where its series stood at its end, the folder's own text. */
struct store_partial_day {
    int32_t day;
    int64_t first, last, n;
    struct wire_span stood;
};
/* Batches up to `batch` were looked at, and all periods that end at done_ms or before are computed.
 * 0, 0: nothing yet. */
struct store_partial_progress {
    int64_t batch, done_ms;
};
struct store_partial_dirty {
    int32_t day;
    int64_t batch; /* the last that touched it */
};
/* What one step found, as one transaction. */
struct store_partials {
    const struct store_partial *row;
    size_t n;
    const struct store_partial_dirty *dirty; /* to be folded anew */
    size_t ndirty;
    const int32_t *clean; /* no longer */
    size_t nclean;
    const struct store_partial_day *days;
    size_t ndays;
    int32_t forget_days_before;
    struct wire_span fed; /* what feeds the figures, the folder's own text; p NULL: as it was */
    struct store_partial_progress progress;
};
/* Any thread but the writer. Rows take the place of older revisions, and are unput until
 * store_partials_put. On failure nothing has changed. */
enum st store_partials_write(struct store *s, const struct store_partials *p,
                             struct err *e) ST_MUST_CHECK;
/* The readings of all that was written are in the journal, or in batches. */
enum st store_partials_put(struct store *s, struct err *e) ST_MUST_CHECK;

/* Readers. ST_NOT_FOUND: there is none. What each() is told is borrowed for the call. */
enum st store_partial_progress_get(struct store_reader *r, struct store_partial_progress *out,
                                   struct err *e) ST_MUST_CHECK;
/* `fed` as it was written last; put into *out. */
enum st store_partial_fed_get(struct store_reader *r, struct buf *out, struct err *e) ST_MUST_CHECK;
/* That one; its texts lie in *texts. */
enum st store_partial_find(struct store_reader *r, const char *indicator, int64_t from_ms,
                           struct store_partial *out, struct buf *texts,
                           struct err *e) ST_MUST_CHECK;
/* Those of this indicator that begin within [from_ms, to_ms), in order; false: that was enough. The
 * call is one transaction: be short, or ask for less. */
enum st store_partial_each(struct store_reader *r, const char *indicator, int64_t from_ms,
                           int64_t to_ms, bool (*each)(void *ctx, const struct store_partial *p),
                           void *ctx, struct err *e) ST_MUST_CHECK;
enum st store_partial_unput_each(struct store_reader *r,
                                 bool (*each)(void *ctx, const struct store_partial *p), void *ctx,
                                 struct err *e) ST_MUST_CHECK;
/* Whom there are partials of. */
enum st store_partial_names(struct store_reader *r, bool (*each)(void *ctx, const char *indicator),
                            void *ctx, struct err *e) ST_MUST_CHECK;
/* The first day from `from` on that is to be folded anew. */
enum st store_partial_dirty_next(struct store_reader *r, int32_t from,
                                 struct store_partial_dirty *out, struct err *e) ST_MUST_CHECK;
/* stood is put into *buf. */
enum st store_partial_day_get(struct store_reader *r, int32_t day, struct store_partial_day *out,
                              struct buf *buf, struct err *e) ST_MUST_CHECK;
/* The same of the newest day before that one. */
enum st store_partial_day_before(struct store_reader *r, int32_t day, struct store_partial_day *out,
                                 struct buf *buf, struct err *e) ST_MUST_CHECK;
/* Each change of a meter within [from_ms, to_ms), in order of time, as `maintain` entries say: the
 * old one ended at `last`, the new one began at `first`. series: device/point. The call is one
 * transaction. */
enum st store_each_meter(struct store_reader *r, int64_t from_ms, int64_t to_ms,
                         void (*each)(void *ctx, struct wire_span series, int64_t at_ms,
                                      struct num last, struct num first),
                         void *ctx, struct err *e) ST_MUST_CHECK;
/* Each time of which the entries of that control batch made readings another than they were:
 * corrected, taken back, counted as calibrating, moved (from where, too), over a change of a meter;
 * also where they take the place of earlier entries. One transaction. */
enum st store_each_touched(struct store_reader *r, int64_t batch,
                           void (*each)(void *ctx, int64_t from_ms, int64_t to_ms), void *ctx,
                           struct err *e) ST_MUST_CHECK;
/* How many of the batches first … last the store holds. */
enum st store_batches_held(struct store_reader *r, int64_t first, int64_t last, int64_t *n,
                           struct err *e) ST_MUST_CHECK;

#endif
