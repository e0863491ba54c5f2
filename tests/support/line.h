/* A store and a seal room on a clock that the test drives, for tests of what gets sealed. */
#ifndef TESTS_SUPPORT_LINE_H
#define TESTS_SUPPORT_LINE_H

#include "gateway/seal/seal.h"
#include "gateway/store/store.h"

#define LINE_T0 INT64_C(1790000000000) /* 2026-09-21T14:13:20Z, a multiple of 1 s */
#define LINE_MINUTE 60000
#define LINE_M1 ((LINE_T0 / LINE_MINUTE + 1) * LINE_MINUTE) /* the first whole minute behind it */
#define LINE_DEVICES 2
#define LINE_POINTS 3

struct line {
    char *dir, *db, *key;
    int64_t utc_ms, mono_ms;
    enum clk_grade grade;
    struct clk clk;
    struct store_cfg store_cfg;
    struct seal_cfg seal_cfg;
    const char *machine;
    uint32_t devices; /* how many of LINE_DEVICES are configured: line_start reads it */
    struct store *store;
    struct seal *seal;
    uint32_t series[LINE_DEVICES][LINE_POINTS];
};

/* Sets up folder, key and clock; periods are 10 s, windows 60 s. */
void line_init(struct line *l);
void line_done(struct line *l);
/* The same for cmocka: *state is the line. */
int line_setup(void **state);
int line_teardown(void **state);
/* Opens store and seal on the folder as it is; stop leaves them as a killed process does (after
 * the last commit), so the next start finds what was durable. */
void line_start(struct line *l);
void line_stop(struct line *l);

/* One good poll of a device at tick t: each point's value is v. */
void line_poll(struct line *l, uint32_t device, int64_t t_ms, int64_t v);
/* One failed poll. */
void line_miss(struct line *l, uint32_t device, int64_t t_ms, enum store_cause cause);
/* Moves both clocks to t and lets the writer work; polls good values each 10 s when `poll`. */
void line_to(struct line *l, int64_t t_ms);
void line_run(struct line *l, int64_t t_ms);
/* One turn of the writer; flush commits the journal. */
void line_step(struct line *l, bool flush);

/* All sealed batches, opened and their signatures verified. */
struct line_batch {
    struct store_batch row;
    struct buf cose;
    struct wire_batch batch;
};
struct line_batches {
    struct line_batch *v;
    size_t n;
};
void line_batches(struct line *l, struct line_batches *out);
void line_batches_done(struct line_batches *b);
/* Readings in batches and in the journal. */
uint64_t line_sealed_readings(const struct line_batches *b);
uint64_t line_pending_readings(struct line *l);

#endif
