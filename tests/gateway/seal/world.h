/* A line with a true time, on a clock that is unknown, found, lost and stepped. Each reading
 * carries its true time as its value, so that every time can be judged. A test that includes this
 * is linked with -Wl,--wrap=store_seal. */
#ifndef TESTS_GATEWAY_SEAL_WORLD_H
#define TESTS_GATEWAY_SEAL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define PERIOD 10000

/* ---- a world with a true time ---- */

struct world {
    struct line *l;
    int64_t true_ms; /* the clock, when it is known, shows it and error_ms more */
    int64_t error_ms;
    size_t polls, blind; /* readings made, and made while the clock was unknown */
    int64_t known_ms;    /* since when the clock has been known once */
};

static struct world w;

/* The store fails at this seal, counted from now; -1: never. The line is linked with a wrapper. */
static int fail_at = -1;
enum st __real_store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                          const struct store_planned *plan, size_t nplan, struct err *e);
enum st __wrap_store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                          const struct store_planned *plan, size_t nplan, struct err *e);
enum st __wrap_store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                          const struct store_planned *plan, size_t nplan, struct err *e)
{
    if (fail_at == 0)
        return err_set(e, ST_IO, "the card is gone");
    fail_at -= fail_at > 0;
    if (!w.known_ms && b->clk != CLK_UNKNOWN)
        w.known_ms = w.true_ms;
    return __real_store_seal(s, b, use, plan, nplan, e);
}

static inline void show(void)
{
    struct line *l = w.l;
    l->utc_ms = l->grade == CLK_UNKNOWN ? CLK_UNKNOWN_BASE_MS + l->mono_ms : w.true_ms + w.error_ms;
}

static inline void pass(int64_t ms)
{
    w.true_ms += ms;
    w.l->mono_ms += ms;
    show();
}

/* A failure of the store is the test's own doing. */
static inline void turn(bool flush)
{
    struct err e = {0};
    assert_int_equal(store_step(w.l->store, flush, &e), ST_OK);
    enum st st = seal_step(w.l->seal, &e);
    if (st != ST_OK && fail_at != 0)
        fail_msg("%s: %s", err_name(st), e.text);
}

static inline void poll_all(void)
{
    for (uint32_t i = 0; i < w.l->devices; i++)
        line_poll(w.l, i, w.l->utc_ms, w.true_ms * 10); /* it polls tenths */
    w.polls += w.l->devices;
    w.blind += w.l->grade == CLK_UNKNOWN ? w.l->devices : 0;
}

/* Polls at every tick of the clock as it shows itself. */
static inline void run(int64_t ms)
{
    for (int64_t left = ms; left > 0;) {
        if (w.l->utc_ms % PERIOD == 0)
            poll_all();
        int64_t to_tick = PERIOD - w.l->utc_ms % PERIOD, d = to_tick < left ? to_tick : left;
        pass(d);
        left -= d;
        turn(false);
    }
}

static inline void clock_is(enum clk_grade grade, int64_t err_ms)
{
    w.l->grade = grade;
    w.l->err_ms = err_ms;
    show();
    turn(false);
    turn(false); /* polls that were on their way */
}

static inline void cut_power(int64_t off_ms)
{
    line_stop(w.l);
    w.true_ms += off_ms;
}

/* The program ends and comes again, the machine goes on. */
static inline void restart(int64_t off_ms, enum clk_grade grade)
{
    line_stop(w.l);
    w.true_ms += off_ms;
    w.l->mono_ms += off_ms;
    w.l->grade = grade;
    show();
    line_start(w.l);
}

static inline void boot(enum clk_grade grade)
{
    w.l->boots++;
    w.l->mono_ms = 20000;
    w.l->grade = grade;
    w.error_ms = 0;
    show();
    line_start(w.l);
}

static inline int setup(void **state)
{
    int rc = line_setup(state);
    w = (struct world){.l = *state, .true_ms = LINE_T0};
    w.l->points = 1;
    fail_at = -1;
    return rc;
}

/* ---- what readers see ---- */

struct seen {
    size_t readings, unknown, corrected, entries, steps;
    int64_t off_ms; /* covered by gaps `off` */
    int64_t worst_ms;
};

static inline void see_reading(struct seen *s, const struct wire_reading *r,
                               const struct wire_reading *raw)
{
    s->readings++;
    s->unknown += (r->q & WIRE_Q_TIME_UNKNOWN) != 0;
    s->corrected += (r->q & WIRE_Q_TIME_CORRECTED) != 0;
    assert_false((r->q & WIRE_Q_TIME_UNKNOWN) && (r->q & WIRE_Q_TIME_CORRECTED));
    assert_int_equal((r->q & WIRE_Q_TIME_UNKNOWN) != 0, r->t_ms < 2 * CLK_UNKNOWN_BASE_MS);
    if (raw->t_ms < 2 * CLK_UNKNOWN_BASE_MS && r->t_ms != raw->t_ms)
        assert_true(r->q & WIRE_Q_TIME_CORRECTED);
    int64_t off = llabs(r->t_ms - r->v.i);
    if (!(r->q & WIRE_Q_TIME_UNKNOWN) && off > s->worst_ms)
        s->worst_ms = off;
}

/* Through the store's own API, as export, charts and rollups read. */
static inline void see_batch(struct seen *s, struct store_times *t, const struct line_batch *b)
{
    const struct wire_header *h = &b->batch.header;
    struct wire_senml m;
    struct wire_reading raw;
    struct store_shift shift = store_times_of(t, h->chain, h->boot, h->seq);
    assert_int_equal(shift.moved, b->moved); /* the test's own reading of the entries */
    assert_int_equal(shift.add_ms, b->add_ms);
    s->steps += h->step;
    for (size_t i = 0; i < h->ngaps; i++)
        if (strcmp(h->gaps[i].cause, "off") == 0)
            s->off_ms += h->gaps[i].to_ms - h->gaps[i].from_ms;
    struct wire_span p = b->batch.cose.payload;
    assert_int_equal(wire_senml_open(&m, p.p, p.n, "gw-01", NULL, NULL), ST_OK);
    while (wire_senml_next(&m, &raw, NULL) == ST_OK) {
        struct wire_reading r = raw;
        if (h->clk == CLK_CORRECTED)
            assert_true(raw.q & WIRE_Q_TIME_CORRECTED);
        if (h->clk == CLK_UNKNOWN)
            assert_true(raw.q & WIRE_Q_TIME_UNKNOWN);
        assert_true(store_times_apply(t, shift, &r));
        see_reading(s, &r, &raw);
    }
}

static inline size_t entries_in(const struct line_batch *b)
{
    struct wire_control c;
    struct wire_entry x;
    size_t n = 0;
    struct wire_span p = b->batch.cose.payload;
    assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
    while (wire_control_next(&c, &x, NULL) == ST_OK)
        n += x.kind == WIRE_ENTRY_TIME;
    return n;
}

static inline struct seen look(struct line_batches *b)
{
    struct seen s = {0};
    struct store_reader *r = NULL;
    struct store_times *t = NULL;
    struct err e = {0};
    turn(true);
    line_batches(w.l, b);
    line_assert_chain(b);
    assert_int_equal(store_reader_open(&r, w.l->db, &e), ST_OK);
    assert_int_equal(store_times_open(&t, r, &e), ST_OK);
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].batch.header.kind == WIRE_DATA)
            see_batch(&s, t, &b->v[i]);
        else
            s.entries += entries_in(&b->v[i]);
    store_times_close(t);
    store_reader_close(r);
    return s;
}

/* A night without power, then a boot at 1970. */
static inline int64_t boot_at_1970(void)
{
    line_start(w.l);
    run(5 * LINE_MINUTE);
    line_step(w.l, true);
    cut_power(8 * HOUR);
    boot(CLK_UNKNOWN);
    return w.true_ms;
}

#endif
