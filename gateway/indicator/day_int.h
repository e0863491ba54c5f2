/* Indicator: one day of all instances. */
#ifndef GATEWAY_INDICATOR_DAY_INT_H
#define GATEWAY_INDICATOR_DAY_INT_H

#include "gateway/indicator/instances_int.h"

/* The last good reading of a series. */
struct day_stood {
    int64_t t_ms; /* INT64_MIN: none */
    struct num v;
};
struct day_use { /* a series of a fold that a feed is */
    uint32_t instance, series;
};
struct day_meter {
    uint32_t feed;
    int64_t at_ms;
    struct num last, first;
};
struct day_got { /* what an instance came to in an hour, or in the day, for those that take it */
    bool has;
    struct num v;
};
struct day {
    const struct instances *in;
    int32_t day;
    int64_t from_ms, to_ms, reach_ms;
    struct fold **fold;  /* NULL: nothing to compute on that day */
    struct day_use *use; /* of feed f: from first_use[f] to first_use[f + 1] */
    uint32_t *first_use;
    int64_t *last_ms;                 /* of each feed: what was put last */
    struct day_stood *before, *stood; /* of each feed, up to the day, and up to now */
    struct day_got *got;              /* INDICATOR_HOURS of each instance */
    uint32_t *given;                  /* of each source of an instance: periods that it has had */
    struct day_meter *meter;          /* since the reading before the day, in order of time */
    uint32_t nmeters;
    bool disordered;                 /* it must be folded anew from the store */
    bool fresh;                      /* no period was computed yet */
    int64_t batch_first, batch_last; /* with readings of it; 0: none */
    uint64_t readings;
    uint64_t cut; /* readings out of order that are not in it: more than can be sorted */
};
/* before: where each feed stood at its begin; copied. */
enum st day_open(struct day **out, const struct instances *in, int32_t day,
                 const struct day_stood *before, struct store_reader *r,
                 struct err *e) ST_MUST_CHECK;
void day_close(struct day *d);
/* As it was before any reading. */
enum st day_begin(struct day *d, struct err *e) ST_MUST_CHECK;
/* A reading of the day, or of the time before it that instances reach back to. One that goes back
 * in time within its series is not taken and makes the day disordered. */
enum st day_put(struct day *d, uint32_t feed, int64_t t_ms, struct num v, uint32_t q, int64_t batch,
                struct err *e) ST_MUST_CHECK;
/* All such readings up to that batch, from the store, in order of time within each series. Once,
 * into a day that has had none. */
enum st day_fill(struct day *d, struct store_reader *r, int64_t batch, struct err *e) ST_MUST_CHECK;
#define DAY_LATE_MAX 32768 /* that can */
/* Where its series stand at its end, as text and back: "device/point ms value" in lines. */
enum st day_stood_text(const struct day *d, struct buf *out, struct err *e) ST_MUST_CHECK;
/* Takes the lines out of such a text whose series feed nothing; its length then. */
size_t day_stood_known(const struct instances *in, uint8_t *text, size_t n);
void day_stood_read(const struct instances *in, struct wire_span text, struct day_stood *out);
#define DAY_STOOD_MAX (16 * 1024 * 1024)
size_t day_bytes(const struct day *d); /* memory that it holds */

#endif
