/* A store and a seal room on a clock that the test drives, for tests of what gets sealed. */
#ifndef TESTS_SUPPORT_LINE_H
#define TESTS_SUPPORT_LINE_H

#include <stdatomic.h>

#include "gateway/base/thr.h"
#include "gateway/seal/seal.h"
#include "gateway/store/store.h"

#define LINE_T0 INT64_C(1790000000000) /* 2026-09-21T14:13:20Z, a multiple of 1 s */
#define LINE_MINUTE 60000
#define LINE_M1 ((LINE_T0 / LINE_MINUTE + 1) * LINE_MINUTE) /* the first whole minute behind it */
#define LINE_DEVICES 2 /* as set up; a test may ask for others before line_start */
#define LINE_POINTS 3
#define LINE_DEVICES_MAX 64

struct line {
    char *dir, *db, *key;
    int64_t utc_ms, mono_ms, err_ms; /* err_ms: of utc_ms, 0 as set up */
    enum clk_grade grade;
    int boots; /* of the machine; with another, mono_ms begins anew */
    struct clk clk;
    struct store_cfg store_cfg;
    struct seal_cfg seal_cfg;
    const char *machine;
    /* What line_start configures: device_name0/point_name0 …; its series are device * points +
     * point.
     */
    uint32_t devices, points; /* at most LINE_DEVICES_MAX, STORE_POLL_MAX */
    int64_t period_ms[LINE_DEVICES_MAX], phase_ms[LINE_DEVICES_MAX];
    bool legal[LINE_DEVICES_MAX];  /* bound by law */
    bool manual[LINE_DEVICES_MAX]; /* read by nobody: event-driven, within its quantity's limits */
    const char *device_name, *point_name;
    const char *gateway;
    bool second_uplink, second_required; /* "ward", with index 1, beside "city" */
    const char *const *quantity;         /* keys, one a series; NULL: all are temperatures */
    enum st (*declare)(void *ctx, struct store *s, struct err *e); /* what else there is; NULL */
    void *declare_ctx;
    struct store *store;
    struct seal *seal;
    struct thr writer;
    struct thr_stop writer_stop;
    enum st writer_st; /* its first failure */
    struct err writer_err;
};

/* Sets up folder, key and clock; periods are 10 s, windows 60 s, names dev-0/p0 …. */
void line_init(struct line *l);
void line_done(struct line *l);
/* The same for cmocka: *state is the line. */
int line_setup(void **state);
int line_teardown(void **state);
/* Opens store and seal on the folder as it is; stop leaves them as a killed process does (after
 * the last commit), so the next start finds what was durable. */
void line_start(struct line *l);
/* The same where it may fail; all is closed then. */
enum st line_try_start(struct line *l, struct err *e) ST_MUST_CHECK;
void line_stop(struct line *l);

/* One good poll of a device at tick t: each point's value is v. */
void line_poll(struct line *l, uint32_t device, int64_t t_ms, int64_t v);
/* The same, but only the first `good` points bring a value; the others miss for cause `device`. */
void line_poll_part(struct line *l, uint32_t device, int64_t t_ms, int64_t v, uint32_t good);
/* One failed poll. */
void line_miss(struct line *l, uint32_t device, int64_t t_ms, enum store_cause cause);
/* Moves both clocks to t and lets the writer work; line_run also polls good values
 * at each device's period. */
void line_to(struct line *l, int64_t t_ms);
void line_run(struct line *l, int64_t t_ms);
/* One turn of the writer; flush commits the journal. */
void line_step(struct line *l, bool flush);
/* Between the two a thread does the writer's turns, as main's does, so that the test may make calls
 * that wait for the writer. A turn may fail for a full store and for nothing else: line_writer_stop
 * says so. */
void line_writer_start(struct line *l);
void line_writer_stop(struct line *l);

/* Appends a `correct` entry: one that invalidates, with an id of its own, or any. */
void line_put_correct(struct buf *b, const char *series, int64_t from_ms, int64_t to_ms);
void line_put_fix(struct buf *b, const char *id, const char *series, int64_t from_ms, int64_t to_ms,
                  const struct wire_fix *f);
/* Seals a batch with that payload into the newest chain: one that stands for the thinned batch with
 * that number, or with 0 a control batch. The seal does not know of it: it must be opened again
 * before it seals on. */
void line_seal_as(struct line *l, uint64_t thinned, const struct buf *payload);
void line_seal_control(struct line *l, const struct buf *payload);

/* All batches that the reader's store holds, in order of (chain birth, seq); each() returns false
 * to stop. Not between store_reader_begin and _end. */
enum st line_each_batch(struct store_reader *r,
                        bool (*each)(void *ctx, const struct store_batch *b), void *ctx,
                        struct err *e) ST_MUST_CHECK;

/* All sealed batches, opened and their signatures verified. */
struct line_batch {
    struct store_batch row;
    struct buf cose;
    struct wire_batch batch;
    bool moved; /* by a `time` entry: */
    int64_t add_ms, err_ms;
};
struct line_batches {
    struct line_batch *v;
    size_t n;
};
void line_batches(struct line *l, struct line_batches *out);
/* Adds those behind the last one held. */
void line_batches_more(struct line *l, struct line_batches *out);
void line_batches_done(struct line_batches *b);
/* Readings in batches and in the journal. */
uint64_t line_sealed_readings(const struct line_batches *b);
uint64_t line_pending_readings(struct line *l);

/* What the contract asks of any batches in a row: numbers without a hole, each linked to the one
 * before (a new chain to the last of the old), windows that abut or say `step`, unknown clocks on
 * times since boot and only these. */
void line_assert_chain(const struct line_batches *b);
/* From here on times are what readers make of them: with `time` entries applied.
 *
 * Every tick of the device at its period in [from, to) has a reading or lies in a gap. */
void line_assert_told(const struct line *l, const struct line_batches *b, uint32_t device,
                      int64_t from_ms, int64_t to_ms);
/* The same for all devices; and no gap covers a second that has a reading. */
void line_assert_all_told(const struct line *l, const struct line_batches *b, int64_t from_ms,
                          int64_t to_ms);
/* The cause of the gap of that point at t; NULL: there is none. */
const char *line_cause(const struct line *l, const struct line_batches *b, uint32_t device,
                       uint32_t point, int64_t t_ms);

#endif
