/* What the city's signed head may acknowledge and take back, where it and the store have not the
 * same history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/support/line.h"

struct city {
    struct line *l;
    struct line_batches b;
    struct store_lacks lacks;
};

static void city_open(struct city *c, struct line *l, int minutes)
{
    c->l = l;
    line_start(l);
    line_run(l, LINE_M1 + minutes * LINE_MINUTE);
    line_batches(l, &c->b);
    assert_true(c->b.n >= 4);
}

static void city_close(struct city *c)
{
    line_batches_done(&c->b);
    line_stop(c->l);
}

static void says(struct city *c, struct store_held h)
{
    struct err e = {0};
    h.chain = c->b.v[0].row.chain;
    if (!h.through_hash)
        h.through_hash = c->b.v[h.through_seq - 1].row.hash;
    line_writer_start(c->l);
    assert_int_equal(store_city_holds(c->l->store, 0, &h, 1, true, &c->lacks, &e), ST_OK);
    line_writer_stop(c->l);
}

static void ack_by(struct city *c, uint32_t uplink, uint64_t seq)
{
    struct err e = {0};
    line_writer_start(c->l);
    assert_int_equal(store_ack(c->l->store, uplink, c->b.v[0].row.chain, seq, false,
                               (struct wire_span){(const uint8_t *)"r", 1}, &e),
                     ST_OK);
    line_writer_stop(c->l);
}

static void ack(struct city *c, uint64_t seq)
{
    ack_by(c, 0, seq);
}

static bool is_unsent(struct city *c, uint64_t seq)
{
    struct err e = {0};
    struct store_reader *r = NULL;
    bool acked = false;
    assert_int_equal(store_reader_open_in(&r, c->l->store, &e), ST_OK);
    assert_int_equal(store_batch_acked(r, "city", c->b.v[seq - 1].row.id, &acked, &e), ST_OK);
    store_reader_close(r);
    return !acked;
}

/* The city was further in this chain than a copy of the store that was put back: which of these
 * numbers hold our bytes is not known. */
static void numbers_of_another_history_are_not_acknowledged(void **state)
{
    static const uint8_t theirs[WIRE_HASH_BYTES] = "of another history";
    struct city c;
    struct store_chain chain;
    struct err e = {0};
    city_open(&c, *state, 4);
    for (int i = 0; i < 3; i++) { /* and an hour later it says the same */
        says(&c, (struct store_held){.through_seq = 77, .through_hash = theirs});
        for (uint64_t seq = 1; seq <= c.b.n; seq++)
            assert_true(is_unsent(&c, seq));
    }
    assert_int_equal(store_chain_last(c.l->store, &chain, &e), ST_OK);
    assert_true(chain.ended);
    assert_int_equal(chain.last_seq, 77);
    city_close(&c);
}

static void below_a_broken_link_nothing_is_proven(void **state)
{
    const uint64_t broken[] = {3};
    struct city c;
    city_open(&c, *state, 4);
    says(&c, (struct store_held){.through_seq = 4, .broken = broken, .nbroken = 1});
    assert_true(is_unsent(&c, 1) && is_unsent(&c, 2));
    assert_true(!is_unsent(&c, 3) && !is_unsent(&c, 4));
    says(&c, (struct store_held){.through_seq = 4});
    assert_true(!is_unsent(&c, 1) && !is_unsent(&c, 2));
    city_close(&c);
}

static void an_acknowledgement_that_waits_for_its_commit_is_taken_back_too(void **state)
{
    const uint64_t missing[][2] = {{2, 3}};
    struct city c;
    struct err e = {0};
    struct store_stats stats;
    city_open(&c, *state, 4);
    for (uint64_t seq = 1; seq <= 4; seq++)
        ack(&c, seq);
    assert_false(is_unsent(&c, 3));
    says(&c, (struct store_held){.through_seq = 1, .missing = missing, .nmissing = 1});
    assert_int_equal(c.lacks.batches, 2);
    assert_int_equal(c.lacks.gone, 0);
    assert_int_equal(c.lacks.last_id, c.b.v[2].row.id);
    line_writer_start(c.l);
    assert_int_equal(store_ack_flush(c.l->store, &e), ST_OK);
    line_writer_stop(c.l);
    assert_true(!is_unsent(&c, 1) && is_unsent(&c, 2) && is_unsent(&c, 3) && !is_unsent(&c, 4));
    store_stats(c.l->store, &stats);
    assert_int_equal(stats.batches_unsent, (int64_t)c.b.n - 2);
    /* said once more it is no news */
    says(&c, (struct store_held){.through_seq = 1, .missing = missing, .nmissing = 1});
    assert_int_equal(c.lacks.batches, 0);
    city_close(&c);
}

static uint64_t oldest(struct line *l)
{
    struct line_batches b;
    line_batches(l, &b);
    uint64_t seq = b.v[0].row.seq;
    line_batches_done(&b);
    return seq;
}

/* Nothing but a time is over: what is old leaves when each uplink that must have it has it. */
static void a_batch_leaves_when_every_required_uplink_has_it(void **state)
{
    struct line *l = *state;
    for (int required = 0; required < 2; required++) {
        struct city c;
        l->second_uplink = true;
        l->second_required = required;
        l->store_cfg.keep_ms = 2 * LINE_MINUTE;
        city_open(&c, l, 8);
        for (uint64_t seq = 1; seq <= 5; seq++)
            ack(&c, seq);
        line_run(l, LINE_M1 + 12 * LINE_MINUTE);
        assert_int_equal(oldest(l) > 1, !required);
        for (uint64_t seq = 1; seq <= 3 && required; seq++)
            ack_by(&c, 1, seq);
        line_run(l, LINE_M1 + 15 * LINE_MINUTE);
        assert_int_equal(oldest(l), required ? 4 : 6);
        city_close(&c);
        assert_int_equal(line_teardown(state), 0);
        assert_int_equal(line_setup(state), 0);
        l = *state;
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
    const struct CMUnitTest tests[] = {
        T(numbers_of_another_history_are_not_acknowledged),
        T(below_a_broken_link_nothing_is_proven),
        T(an_acknowledgement_that_waits_for_its_commit_is_taken_back_too),
        T(a_batch_leaves_when_every_required_uplink_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
