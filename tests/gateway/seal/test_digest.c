/* The digest of each day: judged by a reckoning of its own over the sealed batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/line.h"

#define HOUR INT64_C(3600000)
#define WINDOW 600000
/* Midnight of Viet Nam behind LINE_T0: 2026-09-21T17:00:00Z. */
#define MIDNIGHT INT64_C(1790010000000)

struct found {
    size_t n;
    struct wire_digest v[16];
    size_t at[16]; /* index of its batch */
};

/* By the text of the rule: h(n) = SHA-256(h(n - 1) || hash of batch n). */
static void assert_digest_is_true(const struct line_batches *b, size_t k,
                                  const struct wire_digest *d)
{
    uint8_t both[2 * WIRE_HASH_BYTES] = {0};
    uint64_t readings = 0, gaps = 0;
    const struct wire_header *own = &b->v[k].batch.header, *last = NULL;
    for (size_t i = 0; i < k; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        if (memcmp(h->chain, own->chain, sizeof h->chain) != 0 || h->seq < d->seq_from ||
            h->seq > d->seq_to)
            continue;
        memcpy(both + WIRE_HASH_BYTES, b->v[i].row.hash, WIRE_HASH_BYTES);
        wire_sha256(both, sizeof both, both);
        readings += b->v[i].row.n;
        gaps += h->ngaps;
        if (h->kind == WIRE_DATA && h->clk != CLK_UNKNOWN)
            assert_int_equal((h->to_ms - 1 + 7 * HOUR) / (24 * HOUR), d->day);
        last = h;
    }
    assert_non_null(last);
    assert_int_equal(last->seq, d->seq_to);
    assert_int_equal(last->kind, WIRE_DATA);
    assert_memory_equal(both, d->hash, WIRE_HASH_BYTES);
    assert_int_equal(readings, d->readings);
    assert_int_equal(gaps, d->gaps);
}

/* All digests, each alone in its batch and true; those of a chain lie one behind the other. */
static struct found digests(struct line *l, struct line_batches *b)
{
    struct found f = {0};
    line_batches(l, b);
    line_assert_chain(b);
    for (size_t i = 0; i < b->n; i++) {
        struct wire_control c;
        struct wire_entry x;
        if (b->v[i].batch.header.kind != WIRE_CONTROL)
            continue;
        struct wire_span p = b->v[i].batch.cose.payload;
        assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
        assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
        if (x.kind != WIRE_ENTRY_DIGEST)
            continue;
        assert_int_equal(wire_control_next(&c, &x, NULL), ST_NOT_FOUND);
        assert_true(f.n < 16);
        assert_digest_is_true(b, i, &x.digest);
        f.at[f.n] = i;
        f.v[f.n++] = x.digest;
    }
    return f;
}

static void a_day_that_is_over_is_digested_once(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT - WINDOW);
    line_miss(l, 0, MIDNIGHT - WINDOW, STORE_BUS);
    line_poll(l, 1, MIDNIGHT - WINDOW, 7);
    line_to(l, MIDNIGHT - WINDOW + 300000);
    line_run(l, MIDNIGHT + 3000);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.v[0].day, (MIDNIGHT + 7 * HOUR) / (24 * HOUR) - 1);
    assert_int_equal(f.v[0].seq_from, 1);
    assert_int_equal(f.at[0], b.n - 1); /* at once, and nothing is left out */
    assert_int_equal(f.v[0].seq_to, b.n - 1);
    assert_true(f.v[0].gaps > 0);
    line_batches_done(&b);
    line_run(l, MIDNIGHT + 24 * HOUR + 3000);
    struct found two = digests(l, &b);
    assert_int_equal(two.n, 2);
    assert_memory_equal(&two.v[0], &f.v[0], sizeof f.v[0]);
    assert_int_equal(two.v[1].day, f.v[0].day + 1);
    assert_int_equal(two.v[1].seq_from, f.v[0].seq_to + 1); /* the digest's own batch, too */
    line_batches_done(&b);
}

static void a_restart_neither_repeats_nor_forgets_a_day(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT - 10 * WINDOW);
    line_stop(l);
    l->mono_ms = 1000; /* the power was off over midnight, and for two days more */
    l->boots++;
    l->utc_ms = MIDNIGHT + 50 * HOUR;
    line_start(l);
    line_run(l, l->utc_ms + 3 * WINDOW);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.v[0].day, (MIDNIGHT + 7 * HOUR) / (24 * HOUR) - 1);
    line_batches_done(&b);
    for (int i = 0; i < 3; i++) { /* starts behind the digest make no other */
        line_stop(l);
        line_start(l);
        line_run(l, l->utc_ms + 2 * WINDOW);
    }
    f = digests(l, &b);
    assert_int_equal(f.n, 1);
    line_batches_done(&b);
    line_run(l, MIDNIGHT + 72 * HOUR + 5000);
    f = digests(l, &b);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.v[1].day, f.v[0].day + 3); /* no batch is of the days between */
    assert_int_equal(f.v[1].seq_from, f.v[0].seq_to + 1);
    line_batches_done(&b);
}

static void a_kill_before_the_digest_costs_nothing(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT - 1000);
    line_stop(l);
    line_start(l); /* many batches are to be read again, a few at each turn */
    line_run(l, MIDNIGHT + 40 * 1000);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.v[0].seq_from, 1);
    line_batches_done(&b);
}

static void batches_on_an_unknown_clock_are_of_the_day_that_follows(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT - 2 * WINDOW);
    line_stop(l);
    l->boots++;
    l->mono_ms = 20000;
    l->grade = CLK_UNKNOWN;
    l->utc_ms = CLK_UNKNOWN_BASE_MS + l->mono_ms;
    line_start(l);
    line_run(l, l->utc_ms + 5 * WINDOW);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 0); /* nobody knows that the day is over */
    line_batches_done(&b);
    l->grade = CLK_SYNCED;
    l->utc_ms = MIDNIGHT + HOUR;
    line_step(l, false);
    line_run(l, l->utc_ms + 3 * WINDOW);
    f = digests(l, &b);
    assert_int_equal(f.n, 1);
    assert_int_equal(b.v[f.v[0].seq_to - 1].batch.header.clk, CLK_SYNCED);
    line_batches_done(&b);
    line_run(l, MIDNIGHT + 24 * HOUR + 3000);
    f = digests(l, &b);
    assert_int_equal(f.n, 2);
    assert_int_equal(b.v[f.v[1].seq_from - 1].batch.header.clk, CLK_UNKNOWN);
    line_batches_done(&b);
}

static void a_clock_set_back_into_a_digested_day_makes_a_second_digest(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT + 5 * WINDOW + 3000);
    l->utc_ms = MIDNIGHT - 5 * WINDOW; /* the time since boot goes on */
    line_step(l, false);
    line_run(l, MIDNIGHT + 5000);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 3); /* the day, five minutes of the next, the day again */
    assert_int_equal(f.v[1].day, f.v[0].day + 1);
    assert_int_equal(f.v[2].day, f.v[0].day);
    assert_int_equal(f.v[1].seq_from, f.v[0].seq_to + 1);
    assert_int_equal(f.v[2].seq_from, f.v[1].seq_to + 1);
    line_batches_done(&b);
}

static void what_the_store_has_lost_is_in_no_digest(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, LINE_T0 + HOUR);
    line_stop(l);
    sqlite3 *h = NULL;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h,
                                  "DELETE FROM batch WHERE id & 65535 = 3; DELETE FROM batch_bytes "
                                  "WHERE id & 65535 = 3",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    line_start(l);
    line_run(l, MIDNIGHT + 3000);
    line_batches(l, &b);
    size_t n = 0;
    uint64_t from[2] = {0}, to[2] = {0};
    for (size_t i = 0; i < b.n; i++) {
        struct wire_control c;
        struct wire_entry x;
        struct wire_span p = b.v[i].batch.cose.payload;
        if (b.v[i].batch.header.kind != WIRE_CONTROL ||
            wire_control_open(&c, p.p, p.n, NULL) != ST_OK ||
            wire_control_next(&c, &x, NULL) != ST_OK || x.kind != WIRE_ENTRY_DIGEST)
            continue;
        assert_true(n < 2);
        assert_digest_is_true(&b, i, &x.digest);
        from[n] = x.digest.seq_from;
        to[n++] = x.digest.seq_to;
    }
    assert_int_equal(n, 2);
    assert_int_equal(from[0], 1);
    assert_int_equal(to[0], 2);
    assert_int_equal(from[1], 4);
    line_batches_done(&b);
}

static int setup(void **state)
{
    int rc = line_setup(state);
    struct line *l = *state;
    l->seal_cfg.every_ms = WINDOW;
    for (uint32_t i = 0; i < l->devices; i++)
        l->period_ms[i] = 300000;
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, line_teardown)
        TEST(a_day_that_is_over_is_digested_once),
        TEST(a_restart_neither_repeats_nor_forgets_a_day),
        TEST(a_kill_before_the_digest_costs_nothing),
        TEST(batches_on_an_unknown_clock_are_of_the_day_that_follows),
        TEST(a_clock_set_back_into_a_digested_day_makes_a_second_digest),
        TEST(what_the_store_has_lost_is_in_no_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
