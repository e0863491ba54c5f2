/* Rollups and charts against a slow oracle that keeps every reading: whatever came, late, twice a
 * day, over a restart or with a counter that starts over, both say the same. */
#include "tests/gateway/store/oracle.h"

#include <time.h>

/* ---- a life ---- */

struct life {
    int64_t to_ms;
    uint32_t late, restart, off; /* one minute in so many; 0: never */
};

static void live(struct line *l, const struct life *f)
{
    while (l->utc_ms < f->to_ms) {
        int64_t t = l->utc_ms;
        if (f->off && rnd(f->off) == 0) {
            line_step(l, true);
            line_stop(l);
            int64_t pause = (int64_t)rnd(90) * MINUTE;
            l->utc_ms += pause;
            l->mono_ms += pause;
            start(l);
            t = l->utc_ms;
        }
        if (f->restart && rnd(f->restart) == 0) {
            line_step(l, true); /* what is in the queue is not promised */
            line_stop(l);
            start(l);
        }
        poll(l, 0, t);
        if (f->late && rnd(f->late) == 0) { /* its window is sealed already */
            line_to(l, t + 6 * MINUTE);
            poll(l, 1, t);
        } else {
            poll(l, 1, t);
        }
        line_to(l, l->utc_ms + MINUTE);
    }
    for (int i = 0; i < 75; i++) /* some quarters more, so that all that came is computed */
        line_to(l, l->utc_ms + MINUTE);
}

static void rollups_say_what_the_readings_say(void **state)
{
    struct line *l = *state;
    begin(l, 1);
    live(l, &(struct life){DAY0 + 2 * STORE_DAY_MS, 0, 0, 0});
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    assert_in_range(ask(l, "SELECT count(*) FROM rollup_quarter"), 2 * 96 + 12 - 1, 2 * 96 + 13);
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_day"), 2 + 1);
    int64_t to = DAY0 + 2 * STORE_DAY_MS;
    compare_all(l, DAY0 - 3 * 3600000, to, 2000);       /* readings: 51 h are too many */
    compare_all(l, DAY0, to, 97);                       /* readings */
    compare_all(l, DAY0 - 3 * 3600000, to, 10);         /* quarters */
    compare_all(l, DAY0 - 100 * STORE_DAY_MS, to, 200); /* days */
    compare_all(l, DAY0 - 100 * STORE_DAY_MS, to, 7);
}

static void what_came_late_is_computed_again(void **state)
{
    struct line *l = *state;
    begin(l, 7);
    live(l, &(struct life){DAY0 + STORE_DAY_MS, 15, 0, 0});
    live(l, &(struct life){DAY0 + STORE_DAY_MS + 3600000, 0, 0, 0});
    assert_true(ask(l, "SELECT count(*) FROM rollup_late") > 3);
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    int64_t to = DAY0 + STORE_DAY_MS;
    compare_all(l, DAY0 - 3 * 3600000, to + 23 * 3600000, 1000); /* quarters */
    compare_all(l, to - 49 * 3600000, to, 1000);                 /* readings */
    compare_all(l, DAY0 - 100 * STORE_DAY_MS, to, 150);          /* days */
}

static void a_restart_in_the_middle_of_a_slot_changes_nothing(void **state)
{
    struct line *l = *state;
    for (uint32_t with = 20; with < 23; with++) {
        begin(l, with);
        live(l, &(struct life){DAY0 + STORE_DAY_MS / 2, 200, 20, 150});
        live(l, &(struct life){l->utc_ms + 3600000, 0, 0, 0});
        assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
        compare_all(l, DAY0 - 3 * 3600000, l->utc_ms, 2000);
        compare_all(l, DAY0 - 60 * 3600000, l->utc_ms, 2000);
        teardown(state);
        setup(state);
    }
    start(l);
}

static void a_clock_set_back_adds_to_slots_that_are_done(void **state)
{
    struct line *l = *state;
    begin(l, 3);
    live(l, &(struct life){DAY0 + 6 * 3600000, 0, 0, 0});
    l->utc_ms = DAY0 + 2 * 3600000 + 30000; /* other ticks than before */
    live(l, &(struct life){DAY0 + 8 * 3600000, 0, 0, 0});
    live(l, &(struct life){l->utc_ms + 3600000, 0, 0, 0});
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    compare_all(l, DAY0 - 3 * 3600000, l->utc_ms, 2000);
    compare_all(l, DAY0 - 60 * 3600000, l->utc_ms, 2000);
}

static void batches_leave_and_rollups_stay(void **state)
{
    struct line *l = *state;
    l->store_cfg.keep_ms = 6 * 3600000;
    l->seal_cfg.every_ms = 15 * MINUTE;
    begin(l, 5);
    live(l, &(struct life){DAY0 + 2 * STORE_DAY_MS, 0, 0, 0});
    assert_in_range(ask(l, "SELECT min(from_ms) FROM batch"), DAY0 + 2 * STORE_DAY_MS - 7 * 3600000,
                    DAY0 + 2 * STORE_DAY_MS - 5 * 3600000);
    struct store_chart c;
    compare_all(l, DAY0, DAY0 + STORE_DAY_MS, 96); /* a day whose batches have left */
    qsort(all.v[1], all.n[1], sizeof *all.v[1], by_time);
    compare(l, 1, DAY0, DAY0 + STORE_DAY_MS, 96, &c);
    assert_int_equal(c.source, STORE_CHART_15MIN);
    assert_int_equal(c.batches, 0);
    assert_int_equal(c.rows, 96);
    store_chart_done(&c);
    /* a reading that comes when the batches of its time have left is told, and spoils nothing */
    static const char rows[] = "SELECT sum(length(bytes) + id) FROM rollup_quarter "
                               "WHERE id >> 16 < (SELECT max(id) >> 16 FROM rollup_quarter) - 96";
    int64_t before = ask(l, rows);
    poll(l, 0, DAY0 + 3600000);
    for (int i = 0; i < 90; i++)
        line_to(l, l->utc_ms + MINUTE);
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    assert_int_equal(ask(l, "SELECT count(*) FROM event WHERE code = 'rollup.late'"), 1);
    assert_int_equal(ask(l, rows), before);
}

static void rollups_leave_after_their_own_time(void **state)
{
    struct line *l = *state;
    l->store_cfg.keep_ms = 3600000;
    l->seal_cfg.every_ms = 15 * MINUTE;
    l->store_cfg.keep_rollups_ms = STORE_DAY_MS;
    begin(l, 6);
    live(l, &(struct life){DAY0 + 3 * STORE_DAY_MS, 0, 0, 0});
    int64_t quarter = ask(l, "SELECT min(id) >> 16 FROM rollup_quarter");
    int64_t day = ask(l, "SELECT min(id) >> 16 FROM rollup_day");
    int64_t now_ms = l->utc_ms - l->store_cfg.keep_ms; /* a date that has held for so long */
    int64_t from = store_slot_of(STORE_QUARTER, now_ms - STORE_DAY_MS);
    assert_in_range(quarter, from - 3, from);
    int64_t day_from = store_slot_of(STORE_DAY, now_ms - STORE_DAY_MS);
    assert_in_range(day, day_from - 1, day_from);
}

static void a_gap_is_a_gap_with_its_cause(void **state)
{
    struct line *l = *state;
    struct store_chart c;
    begin(l, 8);
    live(l, &(struct life){DAY0, 0, 0, 0});
    int64_t t0 = l->utc_ms;
    for (; l->utc_ms < t0 + 20 * MINUTE; line_to(l, l->utc_ms + MINUTE)) { /* the bus is cut */
        poll(l, 0, l->utc_ms);
        struct store_value v[2] = {{{.kind = NUM_NONE}, 3, 0}, {{.kind = NUM_NONE}, 4, 0}};
        struct store_poll p = {1, l->utc_ms, l->utc_ms, l->grade, STORE_BUS, 2};
        assert_int_equal(store_put(l->store, &p, v, 0), ST_OK);
    }
    live(l, &(struct life){t0 + 60 * MINUTE, 0, 0, 0});
    qsort(all.v[3], all.n[3], sizeof *all.v[3], by_time);
    compare(l, 3, t0 - 5 * MINUTE, t0 + 30 * MINUTE, 35, &c);
    bool found = false;
    for (uint32_t i = 0; i < c.ngaps; i++)
        found |= c.gap[i].cause == STORE_BUS && c.gap[i].from_ms == t0 &&
                 c.gap[i].to_ms == t0 + 20 * MINUTE;
    assert_true(found);
    for (uint32_t i = 5; i < 25; i++)
        assert_int_equal(c.point[i].count, 0);
    store_chart_done(&c);
}

/* ---- the bytes of a row ---- */

static void a_row_reads_back_as_it_was(void **state)
{
    static struct store_roll r[STORE_ROLL_GROUP], back[STORE_ROLL_GROUP], one;
    struct buf b;
    struct err e = {0};
    (void)state;
    seed = 9;
    for (int round = 0; round < 200; round++) {
        memset(r, 0, sizeof r);
        buf_init(&b, STORE_ROLL_BLOB_MAX);
        for (int i = 0; i < STORE_ROLL_GROUP; i++)
            for (uint32_t k = rnd(3) ? 1 + rnd(20) : 0; k > 0; k--) {
                struct num v = i % 3 == 0   ? num_flt((double)rnd(1000) / 7)
                               : i % 3 == 1 ? num_dec((int64_t)rnd(100000) - 50000, -(int)rnd(4))
                               : rnd(9) ? num_dec((int64_t)(UINT64_C(1) << rnd(63)), -(int)rnd(3))
                                        : num_udec(UINT64_MAX - rnd(99), 0);
                store_roll_add(&r[i], k * 1000, v, rnd(5) == 0, i % 2);
            }
        ok(store_rolls_encode(r, &b, &e), &e);
        ok(store_rolls_decode(b.p, b.n, -1, back, &e), &e);
        for (int i = 0; i < STORE_ROLL_GROUP; i++) {
            assert_int_equal(back[i].count, r[i].count);
            if (!r[i].count)
                continue;
            ok(store_rolls_decode(b.p, b.n, i, &one, &e), &e);
            assert_memory_equal(&one, &back[i], sizeof one);
            assert_int_equal(back[i].good, r[i].good);
            same_num(store_roll_num(&back[i], back[i].min), store_roll_num(&r[i], r[i].min));
            same_num(store_roll_num(&back[i], back[i].max), store_roll_num(&r[i], r[i].max));
            same_num(store_roll_num(&back[i], back[i].first), store_roll_num(&r[i], r[i].first));
            same_num(store_roll_num(&back[i], back[i].last), store_roll_num(&r[i], r[i].last));
            near(store_roll_mean(&back[i]), store_roll_mean(&r[i]));
            assert_int_equal(back[i].counter, r[i].counter && !r[i].disordered);
            if (!back[i].counter)
                continue;
            same_num(store_roll_num(&back[i], back[i].grown), store_roll_num(&r[i], r[i].grown));
            assert_int_equal(back[i].resets, r[i].resets);
        }
        for (size_t cut = 0; cut < b.n; cut += 1 + b.n / 50)
            assert_int_not_equal(store_rolls_decode(b.p, cut, -1, back, NULL), ST_OK);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rollups_say_what_the_readings_say, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_late_is_computed_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_in_the_middle_of_a_slot_changes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_clock_set_back_adds_to_slots_that_are_done, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(batches_leave_and_rollups_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(rollups_leave_after_their_own_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_is_a_gap_with_its_cause, setup, teardown),
        cmocka_unit_test(a_row_reads_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
