/* Readings that are sealed once more, under new numbers: nothing of them is lost and nothing is
 * there twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/support/line.h"

static void refuse(struct line *l, const struct line_batch *b, const char *code)
{
    struct err e = {0};
    line_writer_start(l);
    assert_int_equal(store_refuse(l->store, 0, b->row.chain, b->row.seq, code, &e), ST_OK);
    if (strcmp(code, "conflict") == 0)
        assert_int_equal(store_chain_end(l->store, b->row.chain, &e), ST_OK);
    line_writer_stop(l);
}

/* The first data batch with readings behind the first one. */
static size_t a_data_batch(const struct line_batches *b)
{
    for (size_t i = 1, found = 0; i < b->n; i++)
        if (b->v[i].row.kind == WIRE_DATA && b->v[i].row.n > 0 && found++ > 0)
            return i;
    fail_msg("no data batch");
    return 0;
}

static size_t find(const struct line_batches *b, const uint8_t *chain, uint64_t seq)
{
    for (size_t i = 0; i < b->n; i++)
        if (memcmp(b->v[i].row.chain, chain, WIRE_ID_BYTES) == 0 && b->v[i].row.seq == seq)
            return i;
    return b->n;
}

/* The batch that says what `old` said; at most one may. */
static const struct line_batch *twin(const struct line_batches *b, const struct line_batch *old)
{
    const struct line_batch *found = NULL;
    const struct wire_span *want = &old->batch.cose.payload;
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_span *p = &b->v[i].batch.cose.payload;
        if (p->n != want->n || memcmp(p->p, want->p, p->n) != 0)
            continue;
        assert_null(found);
        found = &b->v[i];
    }
    return found;
}

static void assert_same_words(const struct wire_header *a, const struct wire_header *b)
{
    assert_int_equal(a->from_ms, b->from_ms);
    assert_int_equal(a->to_ms, b->to_ms);
    assert_int_equal(a->clk, b->clk);
    assert_memory_equal(a->boot, b->boot, sizeof a->boot);
    assert_int_equal(a->ngaps, b->ngaps);
    for (size_t i = 0; i < a->ngaps; i++) {
        assert_string_equal(a->gaps[i].series, b->gaps[i].series);
        assert_int_equal(a->gaps[i].from_ms, b->gaps[i].from_ms);
    }
}

static void a_batch_in_conflict_goes_out_again_in_the_next_chain(void **state)
{
    struct line *l = *state;
    struct line_batches before, after;
    line_start(l);
    line_run(l, LINE_M1 + 4 * LINE_MINUTE);
    line_batches(l, &before);
    size_t at = a_data_batch(&before);
    refuse(l, &before.v[at], "conflict");
    line_run(l, LINE_M1 + 7 * LINE_MINUTE);
    line_batches(l, &after);
    assert_int_equal(find(&after, before.v[at].row.chain, before.v[at].row.seq), after.n);
    const struct line_batch *again = twin(&after, &before.v[at]);
    assert_non_null(again);
    assert_memory_not_equal(again->row.chain, before.v[at].row.chain, WIRE_ID_BYTES);
    assert_same_words(&again->batch.header, &before.v[at].batch.header);
    assert_true(again->batch.header.step);
    /* the windows go on where they were: nothing is told twice, nothing is missing */
    line_assert_all_told(l, &after, LINE_M1, LINE_M1 + 6 * LINE_MINUTE);
    /* also behind a restart, which begins where the last window ended */
    line_stop(l);
    line_start(l);
    line_run(l, LINE_M1 + 9 * LINE_MINUTE);
    line_batches_done(&after);
    line_batches(l, &after);
    line_assert_all_told(l, &after, LINE_M1, LINE_M1 + 8 * LINE_MINUTE);
    line_batches_done(&before);
    line_batches_done(&after);
    line_stop(l);
}

static void a_refused_batch_is_sealed_again_only_when_it_is_asked_for(void **state)
{
    struct line *l = *state;
    struct line_batches before, after;
    struct err e = {0};
    line_start(l);
    line_run(l, LINE_M1 + 4 * LINE_MINUTE);
    line_batches(l, &before);
    size_t at = a_data_batch(&before);
    const struct line_batch *old = &before.v[at];
    refuse(l, old, "bad_cbor");
    line_writer_start(l); /* the chain must say first that it is given up */
    assert_int_equal(store_refused_again(l->store, old->row.chain, old->row.seq, &e), ST_BUSY);
    line_writer_stop(l);
    line_run(l, LINE_M1 + 6 * LINE_MINUTE);
    line_batches(l, &after);
    assert_ptr_equal(twin(&after, old), &after.v[find(&after, old->row.chain, old->row.seq)]);
    line_writer_start(l);
    assert_int_equal(store_refused_again(l->store, old->row.chain, 4000, &e), ST_NOT_FOUND);
    assert_int_equal(store_refused_again(l->store, old->row.chain, old->row.seq, &e), ST_OK);
    line_writer_stop(l);
    line_run(l, LINE_M1 + 8 * LINE_MINUTE);
    line_batches_done(&after);
    line_batches(l, &after);
    assert_int_equal(find(&after, old->row.chain, old->row.seq), after.n);
    const struct line_batch *again = twin(&after, old);
    assert_non_null(again);
    assert_memory_equal(again->row.chain, old->row.chain, WIRE_ID_BYTES);
    assert_same_words(&again->batch.header, &old->batch.header);
    line_assert_all_told(l, &after, LINE_M1, LINE_M1 + 7 * LINE_MINUTE);
    line_batches_done(&before);
    line_batches_done(&after);
    line_stop(l);
}

/* Of a control batch the chain's own words stay behind: its plan is said anew, and numbers of the
 * old chain are not the new one's. What a person said goes along. */
static void what_people_said_in_conflict_is_said_again(void **state)
{
    struct line *l = *state;
    struct line_batches before, after;
    struct buf b;
    static const uint8_t empty[] = {0xA0};
    const struct wire_span map = {empty, sizeof empty};
    line_start(l);
    line_run(l, LINE_M1 + 3 * LINE_MINUTE);
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 5), ST_OK);
    assert_int_equal(wire_put_plan(&b, "dev-0/p0", "temperature", "Cel", 10000, LINE_M1), ST_OK);
    line_put_correct(&b, "dev-0/p0", LINE_M1, LINE_M1 + 30000);
    assert_int_equal(wire_put_maintain(&b, "dev-0/p0", LINE_M1, NULL, WIRE_CALIBRATION, &map),
                     ST_OK);
    assert_int_equal(wire_put_setup(&b, LINE_M1, "meter: unit 1 -> unit 11", "Minh"), ST_OK);
    assert_int_equal(wire_put_change(&b, LINE_M1, "user.added", "lan", "viewer", "Minh"), ST_OK);
    line_seal_control(l, &b);
    buf_done(&b);
    line_stop(l);
    line_start(l);
    line_batches(l, &before);
    refuse(l, &before.v[before.n - 1], "conflict");
    line_run(l, LINE_M1 + 6 * LINE_MINUTE);
    line_batches(l, &after);
    int corrections = 0, works = 0, setups = 0, changes = 0;
    for (size_t i = 0; i < after.n; i++) {
        const struct wire_span *p = &after.v[i].batch.cose.payload;
        struct wire_control c;
        struct wire_entry x;
        if (after.v[i].row.kind != WIRE_CONTROL)
            continue;
        assert_int_equal(wire_control_open(&c, p->p, p->n, NULL), ST_OK);
        while (wire_control_next(&c, &x, NULL) == ST_OK) {
            corrections += x.kind == WIRE_ENTRY_CORRECT;
            works += x.kind == WIRE_ENTRY_MAINTAIN;
            setups += x.kind == WIRE_ENTRY_SETUP;
            changes += x.kind == WIRE_ENTRY_CHANGE;
        }
    }
    assert_int_equal(corrections, 1);
    assert_int_equal(works, 1);
    assert_int_equal(setups, 1);
    assert_int_equal(changes, 1);
    line_batches_done(&before);
    line_batches_done(&after);
    line_stop(l);
}

/* A power cut right behind it: the next window still begins where the last one ended. */
static void what_is_sealed_again_does_not_move_where_windows_go_on(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    struct store_chain chain, now;
    struct err e = {0};
    line_start(l);
    line_run(l, LINE_M1 + 4 * LINE_MINUTE);
    line_batches(l, &b);
    assert_int_equal(store_chain_last(l->store, &chain, &e), ST_OK);
    struct store_sealed old = {.chain = chain.id,
                               .seq = chain.last_seq + 1,
                               .kind = WIRE_DATA,
                               .from_ms = LINE_M1,
                               .to_ms = LINE_M1 + LINE_MINUTE,
                               .packed = {(const uint8_t *)"bytes", 5},
                               .again = true};
    assert_int_equal(store_seal_again(l->store, &old, b.v[2].row.id, &e), ST_OK);
    assert_int_equal(store_chain_last(l->store, &now, &e), ST_OK);
    assert_int_equal(now.last_seq, old.seq);
    assert_int_equal(now.window_to_ms, chain.window_to_ms);
    line_batches_done(&b);
    line_stop(l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
    const struct CMUnitTest tests[] = {
        T(a_batch_in_conflict_goes_out_again_in_the_next_chain),
        T(a_refused_batch_is_sealed_again_only_when_it_is_asked_for),
        T(what_people_said_in_conflict_is_said_again),
        T(what_is_sealed_again_does_not_move_where_windows_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
