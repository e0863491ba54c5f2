/* What charts cost: a sealed batch is read once for a series, what is kept of it has a ceiling, and
 * a day of more readings than it is worth is made of quarters. */
#include "gateway/store/chart_int.h"
#include "tests/gateway/store/oracle.h"

#define HOUR (60 * MINUTE)

static struct store_chart drawn(int64_t from_ms, int64_t to_ms)
{
    struct err e = {0};
    struct store_chart c;
    const struct store_chart_ask a = {site[1].device, site[1].point, from_ms, to_ms, 50};
    ok(store_chart_read(lasting, &a, &c, &e), &e);
    return c;
}

static uint64_t opened(int64_t from_ms, int64_t to_ms)
{
    struct store_chart c = drawn(from_ms, to_ms);
    uint64_t n = c.batches;
    store_chart_done(&c);
    return n;
}

static void live_for(struct line *l, int64_t ms)
{
    for (int64_t end = l->utc_ms + ms; l->utc_ms < end; line_to(l, l->utc_ms + MINUTE))
        poll(l, 0, l->utc_ms);
    line_step(l, true);
}

static void a_sealed_batch_is_opened_once_for_a_series(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    begin(l, 1);
    live_for(l, 2 * HOUR);
    int64_t from = l->utc_ms - HOUR, to = l->utc_ms + HOUR;
    ok(store_reader_open(&lasting, l->db, &e), &e);
    uint64_t first = opened(from, to);
    assert_true(first >= 10);
    assert_int_equal(opened(from, to), 0);
    assert_int_equal(opened(from + 7 * MINUTE, to - MINUTE), 0); /* however it is cut */
    compare(l, 1, from, to, 17, NULL);
    live_for(l, 5 * MINUTE); /* one window more */
    assert_int_equal(opened(from, to), 1);
    assert_int_equal(opened(from, to), 0);
    compare(l, 1, from, to, 50, NULL);
}

static void a_gap_is_there_however_often_it_is_asked_for(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    begin(l, 2);
    live_for(l, HOUR);
    int64_t from = l->utc_ms, to = from + 2 * HOUR;
    for (int i = 0; i < 60; i++, line_to(l, l->utc_ms + MINUTE))
        line_miss(l, 0, l->utc_ms, STORE_BUS);
    live_for(l, HOUR);
    ok(store_reader_open(&lasting, l->db, &e), &e);
    for (int i = 0; i < 3; i++) {
        struct store_chart c = drawn(from, to);
        assert_int_equal(c.ngaps, 1);
        assert_int_equal(c.gap[0].cause, STORE_BUS);
        assert_int_equal(c.gap[0].from_ms, from);
        assert_int_equal(c.gap[0].to_ms, from + HOUR);
        assert_int_equal(i == 0 ? c.batches > 0 : c.batches == 0, 1);
        store_chart_done(&c);
    }
}

/* The latest charts' stay, the rest makes way; and one chart that is more than all of it keeps what
 * goes in. */
static void what_is_kept_has_a_ceiling(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    struct store_part_reading x[100] = {{.t_ms = 1}};
    struct store_part p = {.reading = x, .readings = 100}, got;
    begin(l, 1);
    ok(store_reader_open(&lasting, l->db, &e), &e);
    struct store_kept *k = store_kept_of(lasting);
    assert_non_null(k);
    store_kept_turn(k, 1);
    uint32_t a = store_kept_series(k, "a/x");
    int64_t held = 0;
    for (int64_t id = 1; id <= 3000; id++)
        store_kept_add(k, a, id, &p);
    for (int64_t id = 1; id <= 3000; id++)
        held += store_kept_find(k, a, id, &got);
    assert_in_range(held, 300, STORE_KEPT_BYTES / sizeof x);
    assert_true(store_kept_find(k, a, 1, &got)); /* it was there before there was no room */
    store_kept_turn(k, 1);
    assert_true(store_kept_find(k, a, 7, &got));
    uint32_t b = store_kept_series(k, "b/x");
    x[0].t_ms = 2;
    for (int64_t id = 1; id <= 50; id++)
        store_kept_add(k, b, id, &p);
    for (int64_t id = 1; id <= 50; id++)
        assert_true(store_kept_find(k, b, id, &got) && got.readings == 100 &&
                    got.reading[0].t_ms == 2);
    assert_true(store_kept_find(k, a, 7, &got) && got.reading[0].t_ms == 1);
    assert_false(store_kept_find(k, a, 8, &got));
    for (int i = 0; i < 1000; i++) { /* names have a ceiling, too */
        char name[16];
        (void)snprintf(name, sizeof name, "c/%d", i);
        store_kept_turn(k, 1);
        assert_true(store_kept_series(k, name) != STORE_KEPT_NONE);
    }
    assert_false(store_kept_find(k, a, 7, &got));
}

static void more_readings_than_a_chart_is_worth_become_quarters(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    begin(l, 4);
    live_for(l, 26 * HOUR);
    ok(store_reader_open(&lasting, l->db, &e), &e);
    int64_t to = l->utc_ms;
    struct store_chart c = drawn(to - 24 * HOUR, to);
    assert_int_equal(c.source, STORE_CHART_READINGS);
    store_chart_done(&c);
    assert_int_equal(sqlite3_exec(l->store->db.h, "UPDATE batch SET n = 100000 WHERE kind <> 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK); /* as if of 20,000 series */
    c = drawn(to - 24 * HOUR, to);
    assert_int_equal(c.source, STORE_CHART_15MIN);
    assert_true(c.rows > 90);
    store_chart_done(&c);
    compare(l, 1, to - 24 * HOUR, to, 200, &c);
    assert_int_equal(c.source, STORE_CHART_15MIN);
    store_chart_done(&c);
    c = drawn(to - 5 * HOUR, to); /* a short time is worth it */
    assert_int_equal(c.source, STORE_CHART_READINGS);
    store_chart_done(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_sealed_batch_is_opened_once_for_a_series),
        T(a_gap_is_there_however_often_it_is_asked_for),
        T(what_is_kept_has_a_ceiling),
        T(more_readings_than_a_chart_is_worth_become_quarters),
    };
    return cmocka_run_group_tests_name("chart", tests, NULL, NULL);
}
