/* Case C1 from inside: whatever is flipped, cut, zeroed or deleted, the line starts and goes on,
 * what is readable is there once, what is not is a gap, and the damaged files lie beside. */
#include "tests/gateway/store/damage_case.h"

/* ---- the cases ---- */

static void flips(struct line *l, const struct image *im, int file, int n, uint64_t most)
{
    int found = 0;
    uint64_t worst = 0;
    for (int i = 0; i < n; i++) {
        struct harm h = harm_of(im);
        uint64_t at = draw(h.file[file].n), before = seed;
        if (file == JOURNAL) /* the records that count; the rest of a slot is empty */
            at = draw(3) * 4096 + draw(200);
        h.file[file].p[at] ^= (uint8_t)(1u << draw(8));
        bool aside = false;
        uint64_t gone = suffer(l, &h, &aside);
        if (gone > most)
            fail_msg("a flip at %llu of %s (seed %llu) cost %llu readings", (unsigned long long)at,
                     file == DB ? "the database" : suffix[file], (unsigned long long)before,
                     (unsigned long long)gone);
        worst = gone > worst ? gone : worst;
        found += aside;
        harm_done(&h);
    }
    print_message("%d flips of %s: %d set aside, at most %llu readings lost\n", n,
                  file == DB ? "the database" : suffix[file], found, (unsigned long long)worst);
}

static void a_flipped_byte_of_the_database_costs_its_place_alone(void **state)
{
    flips(*state, &closed, DB, 80, ONE_SPOT);
}

static void a_flipped_byte_of_the_wal_costs_its_place_alone(void **state)
{
    flips(*state, &killed, WAL, 30, ONE_SPOT);
}

static void a_flipped_byte_of_the_journal_costs_its_record_alone(void **state)
{
    flips(*state, &closed, JOURNAL, 20, WINDOW_READINGS);
}

static void any_file_cut_anywhere_costs_what_was_cut(void **state)
{
    for (int i = 0; i < 36; i++) {
        const struct image *im = i % 2 ? &killed : &closed;
        struct harm h = harm_of(im);
        int file = i % 3;
        if (!h.file[file].is)
            file = DB;
        h.file[file].n = i < 6 ? 0 : draw(h.file[file].n);
        bool aside;
        (void)suffer(*state, &h, &aside);
        harm_done(&h);
    }
}

static void any_file_may_be_gone(void **state)
{
    for (int i = 1; i < 1 << FILES; i++)
        for (int k = 0; k < 2; k++) {
            struct harm h = harm_of(k ? &killed : &closed);
            for (int f = 0; f < FILES; f++)
                h.file[f].is = h.file[f].is && !(i >> f & 1);
            if (h.file[DB].is || h.file[WAL].is || h.file[JOURNAL].is) {
                bool aside;
                (void)suffer(*state, &h, &aside);
                assert_int_equal(aside,
                                 !h.file[DB].is || (k && !h.file[WAL].is && h.file[JOURNAL].is));
            }
            harm_done(&h);
        }
}

static void zeroed_pages_cost_what_stood_on_them(void **state)
{
    for (int i = 0; i < 24; i++) {
        struct harm h = harm_of(&closed);
        size_t page = i == 0 ? 0 : draw(h.file[DB].n / 512);
        memset(h.file[DB].p + page * 512, 0, 512);
        bool aside;
        uint64_t gone = suffer(*state, &h, &aside);
        assert_true(gone <= ONE_SPOT);
        if (i == 0) { /* no table can be read by name, and every batch is there */
            assert_true(aside);
            assert_int_equal(gone, 0);
            assert_untouched(*state, &h);
        }
        harm_done(&h);
    }
}

static void a_file_of_ours_that_is_no_database_is_set_aside(void **state)
{
    struct line *l = *state;
    struct harm h = harm_of(&closed);
    memset(h.file[DB].p, 'x', h.file[DB].n);
    bool aside;
    uint64_t gone = suffer(l, &h, &aside);
    assert_true(aside);
    assert_true(gone > 0); /* the journal's readings are there, and the time before is not told */
    assert_untouched(l, &h);
    harm_done(&h);
}

/* The last window is sealed and nothing was journalled since: without its database nobody can tell
 * by the journal alone that its readings stand in a batch. */
static void readings_of_a_journal_that_was_sealed_are_not_rescued_twice(void **state)
{
    struct line *l = *state;
    struct image im = {.truth = {.sum = 0}};
    struct line_batches b;
    bool aside;
    clear(l);
    l->utc_ms = LINE_T0;
    line_start(l);
    line_run(l, END - 32000); /* 3 s behind a window's end */
    line_batches(l, &b);
    see(l, &b, &im.truth);
    line_batches_done(&b);
    line_stop(l);
    for (int i = 0; i < FILES; i++)
        im.file[i] = slurp(name_of(l, suffix[i]));
    struct harm h = harm_of(&im);
    memset(h.file[DB].p, 0, 512);
    assert_int_equal(suffer(l, &h, &aside), 0);
    assert_true(aside);
    harm_done(&h);
    for (int i = 0; i < FILES; i++)
        free(im.file[i].p);
}

/* ---- the city's word ---- */

static uint64_t oldest_unsent(struct line *l)
{
    struct store_reader *r;
    struct store_batch b = {.seq = 0};
    struct err e = {0};
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    enum st st = store_pick_batch_but(r, "city", STORE_PICK_OLDEST, NULL, 0, &b, &e);
    store_reader_close(r);
    assert_true(st == ST_OK || st == ST_NOT_FOUND);
    return b.seq;
}

static void city_says(struct line *l, const struct line_batches *b, uint64_t through)
{
    struct err e = {0};
    struct store_held held = {.chain = b->v[0].row.chain,
                              .through_seq = through,
                              .through_hash = b->v[through - 1].row.hash};
    struct store_lacks lacks;
    line_writer_start(l);
    assert_int_equal(store_city_holds(l->store, 0, &held, 1, true, &lacks, &e), ST_OK);
    line_writer_stop(l);
}

static void the_citys_head_gives_back_receipts_and_takes_back_what_it_lost(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    clear(l);
    for (int i = 0; i < FILES; i++)
        spill(name_of(l, suffix[i]), &closed.file[i]);
    l->utc_ms = END + 25000;
    line_start(l);
    line_step(l, true);
    line_batches(l, &b);
    assert_int_equal(oldest_unsent(l), 1);
    city_says(l, &b, 5); /* nothing was acknowledged here */
    assert_int_equal(oldest_unsent(l), 6);
    city_says(l, &b, 3); /* a city that was restored */
    assert_int_equal(oldest_unsent(l), 4);
    struct line_batches other = b; /* another batch than ours under the number: sent, and told */
    struct line_batch swapped[2] = {b.v[0], b.v[3]};
    other.v = swapped;
    city_says(l, &other, 2);
    assert_int_equal(oldest_unsent(l), 4);
    line_batches_done(&b);
    line_stop(l);
}

static void a_store_that_lost_all_follows_the_chain_that_the_city_names(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    struct err e = {0};
    static const uint8_t chain[WIRE_ID_BYTES] = "thechain", hash[WIRE_HASH_BYTES] = "its hash";
    struct store_held held = {.chain = chain, .through_seq = 77, .through_hash = hash};
    clear(l);
    spill(name_of(l, suffix[JOURNAL]), &closed.file[JOURNAL]);
    l->utc_ms = END + 25000;
    line_start(l);
    line_step(l, true);
    line_step(l, true);
    line_step(l, true);
    line_batches(l, &b);
    assert_int_equal(b.n, 0); /* it waits for the city's word */
    line_batches_done(&b);
    struct store_lacks lacks;
    line_writer_start(l);
    assert_int_equal(store_city_holds(l->store, 0, &held, 1, true, &lacks, &e), ST_OK);
    line_writer_stop(l);
    run(l, END + 3 * LINE_MINUTE);
    line_batches(l, &b);
    assert_true(b.n > 0 && b.v[0].batch.header.after);
    assert_memory_equal(b.v[0].batch.header.after_chain, chain, sizeof chain);
    assert_int_equal(b.v[0].batch.header.after_seq, 77);
    line_batches_done(&b);
    line_stop(l);
}

/* Bytes that parse, under a number that is theirs, with another hash than the row's, and not signed
 * by this gateway: never taken. */
static void a_batch_of_another_key_is_not_rescued(void **state)
{
    struct line *l = *state;
    struct harm h = harm_of(&closed);
    memset(h.file[DB].p, 0, 512); /* no row can be asked for a hash: the signature counts */
    struct line_batches b;
    struct err e = {0};
    char *key = l->key, *other = NULL;
    assert_true(asprintf(&other, "%s.other", l->key) > 0);
    (void)unlink(other);
    assert_int_equal(wire_key_make(other, &e), ST_OK);
    clear(l);
    for (int i = 0; i < FILES; i++)
        spill(name_of(l, suffix[i]), &h.file[i]);
    l->utc_ms = END + 25000;
    l->key = other;
    l->seal_cfg.key = other;
    line_start(l);
    run(l, END + 3 * LINE_MINUTE);
    line_batches(l, &b); /* verifies each with the other key */
    assert_true(b.n > 0);
    line_batches_done(&b);
    line_stop(l);
    l->key = key;
    l->seal_cfg.key = key;
    free(other);
    harm_done(&h);
}

int main(int argc, char **argv)
{
    if (argc > 1) /* the seed that a failed run printed */
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_of_the_database_costs_its_place_alone),
        cmocka_unit_test(a_flipped_byte_of_the_wal_costs_its_place_alone),
        cmocka_unit_test(a_flipped_byte_of_the_journal_costs_its_record_alone),
        cmocka_unit_test(any_file_cut_anywhere_costs_what_was_cut),
        cmocka_unit_test(any_file_may_be_gone),
        cmocka_unit_test(zeroed_pages_cost_what_stood_on_them),
        cmocka_unit_test(a_file_of_ours_that_is_no_database_is_set_aside),
        cmocka_unit_test(readings_of_a_journal_that_was_sealed_are_not_rescued_twice),
        cmocka_unit_test(the_citys_head_gives_back_receipts_and_takes_back_what_it_lost),
        cmocka_unit_test(a_store_that_lost_all_follows_the_chain_that_the_city_names),
        cmocka_unit_test(a_batch_of_another_key_is_not_rescued),
    };
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, images, images_done);
}
