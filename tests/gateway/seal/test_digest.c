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
    bool rest[16]; /* of a chain before that batch's */
    uint8_t of[16][WIRE_ID_BYTES];
};

/* By the text of the rule: h(n) = SHA-256(h(n - 1) || hash of batch n). of: the chain. */
static void assert_digest_is_true(const struct line_batches *b, size_t k, const uint8_t *of,
                                  const struct wire_digest *d)
{
    uint8_t both[2 * WIRE_HASH_BYTES] = {0};
    uint64_t readings = 0, gaps = 0;
    const struct wire_header *last = NULL;
    for (size_t i = 0; i < k; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        if (memcmp(h->chain, of, sizeof h->chain) != 0 || h->seq < d->seq_from ||
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
static struct found digests_in(const struct line_batches *b)
{
    struct found f = {0};
    for (size_t i = 0; i < b->n; i++) {
        struct wire_control c;
        struct wire_entry x;
        if (b->v[i].batch.header.kind != WIRE_CONTROL)
            continue;
        struct wire_span p = b->v[i].batch.cose.payload;
        assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
        assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
        if (x.kind != WIRE_ENTRY_DIGEST && x.kind != WIRE_ENTRY_REST)
            continue;
        assert_int_equal(wire_control_next(&c, &x, NULL), ST_NOT_FOUND);
        assert_true(f.n < 16);
        f.rest[f.n] = x.kind == WIRE_ENTRY_REST;
        memcpy(f.of[f.n], f.rest[f.n] ? x.chain.p : b->v[i].batch.header.chain, WIRE_ID_BYTES);
        assert_digest_is_true(b, i, f.of[f.n], &x.digest);
        for (size_t k = 0; k < f.n; k++)
            assert_true(memcmp(f.of[k], f.of[f.n], WIRE_ID_BYTES) != 0 ||
                        f.v[k].seq_to < x.digest.seq_from);
        f.at[f.n] = i;
        f.v[f.n++] = x.digest;
    }
    return f;
}

static struct found digests(struct line *l, struct line_batches *b)
{
    line_batches(l, b);
    line_assert_chain(b);
    return digests_in(b);
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
        assert_digest_is_true(&b, i, b.v[i].batch.header.chain, &x.digest);
        from[n] = x.digest.seq_from;
        to[n++] = x.digest.seq_to;
    }
    assert_int_equal(n, 2);
    assert_int_equal(from[0], 1);
    assert_int_equal(to[0], 2);
    assert_int_equal(from[1], 4);
    line_batches_done(&b);
}

/* ---- chains that end before their day does ---- */

/* Another start, of which the store is another machine's: a new chain. */
static void start_elsewhere(struct line *l, const char *machine)
{
    line_stop(l);
    l->machine = machine;
    line_start(l);
}

/* The telling batches of a chain, the last of them. */
static uint64_t last_telling(const struct line_batches *b, const uint8_t *chain)
{
    uint64_t last = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        if (memcmp(h->chain, chain, WIRE_ID_BYTES) == 0 && h->kind == WIRE_DATA &&
            h->clk != CLK_UNKNOWN)
            last = h->seq;
    }
    return last;
}

static void what_a_chain_held_at_its_end_is_told_by_the_next(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT + 4 * WINDOW);
    start_elsewhere(l, "machine-b");
    line_run(l, MIDNIGHT + 6 * WINDOW);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 2);
    assert_true(f.rest[1]);
    assert_memory_equal(f.of[1], f.of[0], WIRE_ID_BYTES);
    assert_memory_not_equal(b.v[f.at[1]].batch.header.chain, f.of[1], WIRE_ID_BYTES);
    assert_int_equal(f.v[1].seq_from, f.v[0].seq_to + 1);
    assert_int_equal(f.v[1].seq_to, last_telling(&b, f.of[1]));
    assert_int_equal(f.v[1].day, f.v[0].day + 1);
    line_batches_done(&b);
    line_stop(l); /* neither a start nor the end of the day says it again */
    line_start(l);
    line_run(l, MIDNIGHT + 24 * HOUR + 3000);
    f = digests(l, &b);
    assert_int_equal(f.n, 3);
    assert_false(f.rest[2]);
    assert_int_equal(f.v[2].day, f.v[1].day);
    assert_int_equal(f.v[2].seq_from, 1);
    line_batches_done(&b);
}

static void chains_that_ended_one_upon_the_other_are_all_told(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, LINE_T0 + HOUR);
    start_elsewhere(l, "machine-b"); /* and it ends before it has said a word of the first */
    start_elsewhere(l, "machine-c");
    line_run(l, LINE_T0 + HOUR + 2 * WINDOW);
    start_elsewhere(l, "machine-d");
    line_run(l, LINE_T0 + 2 * HOUR);
    struct found f = digests(l, &b);
    assert_int_equal(f.n, 2);
    assert_true(f.rest[0] && f.rest[1]);
    assert_memory_equal(f.of[0], b.v[0].batch.header.chain, WIRE_ID_BYTES);
    assert_int_equal(f.v[0].seq_from, 1);
    assert_int_equal(f.v[1].seq_to, last_telling(&b, f.of[1]));
    line_batches_done(&b);
}

static void ack(struct line *l, const struct line_batch *b)
{
    struct err e = {0};
    line_writer_start(l);
    assert_int_equal(store_ack(l->store, 0, b->row.chain, b->row.seq, false,
                               (struct wire_span){(const uint8_t *)"r", 1}, &e),
                     ST_OK);
    line_writer_stop(l);
}

static void conflict(struct line *l, const struct line_batch *b)
{
    struct err e = {0};
    line_writer_start(l);
    assert_int_equal(store_refuse(l->store, 0, b->row.chain, b->row.seq, "conflict", &e), ST_OK);
    assert_int_equal(store_chain_end(l->store, b->row.chain, &e), ST_OK);
    line_writer_stop(l);
}

/* The city has another batch in the place of number 5: what it holds is what it acknowledges. */
static void of_a_forked_chain_only_what_the_city_took_is_told(void **state)
{
    struct line *l = *state;
    struct line_batches b, all;
    line_start(l);
    line_run(l, LINE_T0 + 2 * HOUR);
    line_batches(l, &b);
    assert_true(b.n > 8);
    ack(l, &b.v[0]);
    ack(l, &b.v[1]);
    conflict(l, &b.v[4]);
    line_run(l, LINE_T0 + 3 * HOUR);
    struct found f;
    line_batches(l, &all);
    f = digests_in(&all);
    assert_int_equal(f.n, 0); /* 3 may be taken yet */
    line_batches_done(&all);
    ack(l, &b.v[2]);
    ack(l, &b.v[3]);
    ack(l, &b.v[5]);
    line_run(l, LINE_T0 + 4 * HOUR);
    line_batches(l, &all);
    f = digests_in(&all);
    assert_int_equal(f.n, 1); /* the fifth is sealed anew elsewhere, the seventh is not taken */
    assert_true(f.rest[0]);
    assert_int_equal(f.v[0].seq_from, 1);
    assert_int_equal(f.v[0].seq_to, 4);
    line_batches_done(&all);
    line_run(l, MIDNIGHT + 24 * HOUR + 3000); /* a day is as long as that waits */
    line_batches(l, &all);
    f = digests_in(&all);
    assert_int_equal(f.n, 4);
    assert_int_equal(f.v[1].seq_from, 6);
    assert_int_equal(f.v[1].seq_to, 6);
    for (size_t i = 2; i < 4; i++) { /* then the days of the newest chain, none left out */
        assert_false(f.rest[i]);
        assert_int_equal(f.v[i].day, f.v[0].day + (int64_t)i - 2);
    }
    line_batches_done(&all);
    line_batches_done(&b);
}

/* All of it can be read but a number that contradicts: it is set aside and rescued. */
static void damage(struct line *l)
{
    sqlite3 *h = NULL;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "UPDATE chain SET last_seq = 2", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static void a_rescued_store_goes_on_behind_its_last_digest(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, MIDNIGHT + 4 * WINDOW);
    line_stop(l);
    damage(l);
    line_start(l);
    line_run(l, MIDNIGHT + 8 * WINDOW);
    line_batches(l, &b);
    struct found f = digests_in(&b);
    assert_int_equal(f.n, 2); /* it would fail in digests_in if the first day were told again */
    assert_true(f.rest[1]);
    assert_int_equal(f.v[1].seq_from, f.v[0].seq_to + 1);
    assert_int_equal(f.v[1].seq_to, last_telling(&b, f.of[1]));
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
        TEST(what_a_chain_held_at_its_end_is_told_by_the_next),
        TEST(chains_that_ended_one_upon_the_other_are_all_told),
        TEST(of_a_forked_chain_only_what_the_city_took_is_told),
        TEST(a_rescued_store_goes_on_behind_its_last_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
