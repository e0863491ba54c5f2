/* Readings that come late and out of order, minutes to a day behind others of the same series:
 * charts, rollups, the last value and what is sealed are as if they had come in order of time.
 * FP_SEED draws another life. */
#include "tests/gateway/store/oracle.h"

#define HOUR (60 * MINUTE)
#define LIFE (33 * HOUR)
#define HELD_MAX 4096

/* ---- what is held back ---- */

struct held {
    int64_t until_ms;
    struct polled x;
};
static struct held *bag;
static size_t nbag;
static struct {
    int64_t t_ms; /* of the newest that the store was given since its start; 0: none */
    struct num v;
} newest[SERIES];

static void give(struct line *l, const struct polled *x)
{
    for (uint32_t i = 0; i < x->p.n; i++) {
        uint32_t k = x->v[i].series;
        if (x->v[i].v.kind == NUM_NONE || x->p.t_ms < newest[k].t_ms)
            continue;
        newest[k].t_ms = x->p.t_ms;
        newest[k].v = x->v[i].v;
    }
    poll_put(l, x);
}

/* Most come at once, others after minutes, hours or a day. */
static void hold_or_give(struct line *l, struct polled x)
{
    static const int64_t most[] = {10 * MINUTE, 10 * MINUTE, 3 * HOUR, 26 * HOUR};
    for (uint32_t i = 0; i < x.p.n; i++) /* a failed poll says so at its time, or not at all */
        if (x.v[i].v.kind == NUM_NONE)
            x.v[i].v = x.r[i].v;
    if (rnd(4) != 0) {
        give(l, &x);
        return;
    }
    assert_true(nbag < HELD_MAX);
    bag[nbag++] = (struct held){l->utc_ms + rnd((uint32_t)(most[rnd(4)] / 1000)) * 1000, x};
}

static void let_go(struct line *l, int64_t now_ms)
{
    for (size_t i = 0; i < nbag;) {
        if (bag[i].until_ms > now_ms) {
            i++;
            continue;
        }
        give(l, &bag[i].x);
        bag[i] = bag[--nbag]; /* and so in no order */
    }
}

/* ---- what is compared ---- */

static void the_board_has_the_newest(struct line *l)
{
    struct store_now b[SERIES];
    store_board(l->store, 0, SERIES, b);
    for (size_t i = 0; i < SERIES; i++) {
        if (!newest[i].t_ms)
            continue;
        assert_int_equal(b[i].t_ms, newest[i].t_ms);
        same_num(b[i].v, newest[i].v);
        assert_int_equal(l->mono_ms - b[i].read_at.ms, l->utc_ms - newest[i].t_ms);
    }
}

/* ---- the readings themselves ---- */

struct counted {
    uint64_t n[SERIES];
    uint32_t stop; /* after so many, now and then */
    int64_t sum_ms[SERIES];
};

static bool count_one(void *ctx, const struct store_told_reading *t)
{
    struct counted *c = ctx;
    char name[WIRE_SERIES_BYTES];
    (void)snprintf(name, sizeof name, "%.*s/%.*s", (int)t->now->device.n,
                   (const char *)t->now->device.p, (int)t->now->point.n,
                   (const char *)t->now->point.p);
    for (size_t i = 0; i < SERIES; i++) {
        char is[WIRE_SERIES_BYTES];
        (void)snprintf(is, sizeof is, "%s/%s", site[i].device, site[i].point);
        if (strcmp(is, name) != 0)
            continue;
        c->n[i]++;
        c->sum_ms[i] += t->now->t_ms;
    }
    return ++c->stop % 7 != 0;
}

/* Each once, sealed or not, however late, whether all batches are opened for it or only those that
 * can have such a time. */
static void readings_are_whole(struct line *l, int64_t from_ms, int64_t to_ms, bool part)
{
    const struct store_readings_ask a = {
        .from_ms = from_ms, .to_ms = to_ms, .part = part, .gateway = "gw-01"};
    struct counted c = {.stop = 0};
    struct err e = {0};
    struct store_readings *x;
    struct store_reader *r;
    enum st st;
    ok(store_reader_open(&r, l->db, &e), &e);
    ok(store_readings_open(&x, r, &a, &e), &e);
    while ((st = store_readings_step(x, count_one, &c, &e)) == ST_OK)
        ;
    assert_int_equal(st, ST_NOT_FOUND);
    store_readings_close(x);
    store_reader_close(r);
    for (size_t i = 0; i < SERIES; i++) {
        uint64_t n = 0;
        int64_t sum_ms = 0;
        for (size_t k = 0; k < all.n[i]; k++) {
            bool in = all.v[i][k].t_ms >= from_ms && all.v[i][k].t_ms < to_ms;
            n += in;
            sum_ms += in ? all.v[i][k].t_ms : 0;
        }
        assert_int_equal(c.n[i], n);
        assert_int_equal(c.sum_ms[i], sum_ms);
    }
}

static void charts_of_readings_are_whole(struct line *l)
{
    line_step(l, true); /* other processes see what is durable */
    int64_t ago = (int64_t)rnd(LIFE / 1000) * 1000;
    int64_t to = l->utc_ms - (ago < l->utc_ms - DAY0 ? ago : 0);
    int64_t hours = 1 + rnd(8);
    compare_all(l, to - hours * HOUR, to, 1 + rnd(60));
    readings_are_whole(l, to - hours * HOUR, to, true);
    readings_are_whole(l, to - hours * HOUR, to, false);
}

struct sealed {
    char text[160];
};
static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static size_t from_batches(struct line *l, struct sealed *out, size_t max)
{
    struct line_batches b;
    size_t n = 0;
    line_batches(l, &b);
    line_assert_chain(&b);
    for (size_t i = 0; i < b.n; i++) {
        struct wire_senml m;
        struct wire_reading r;
        char v[NUM_TEXT_BYTES];
        struct wire_span p = b.v[i].batch.cose.payload;
        if (b.v[i].batch.header.kind != WIRE_DATA)
            continue;
        assert_int_equal(wire_senml_open(&m, p.p, p.n, "gw-01", NULL, NULL), ST_OK);
        while (wire_senml_next(&m, &r, NULL) == ST_OK) {
            assert_true(n < max);
            (void)snprintf(out[n++].text, sizeof out->text, "%.*s/%.*s %lld %.40s %u",
                           (int)r.device.n, (const char *)r.device.p, (int)r.point.n,
                           (const char *)r.point.p, (long long)r.t_ms, num_text(r.v, v), r.q);
        }
    }
    line_batches_done(&b);
    return n;
}

static void each_is_sealed_once(struct line *l)
{
    size_t n = 0, k = 0;
    char v[NUM_TEXT_BYTES];
    for (size_t i = 0; i < SERIES; i++)
        n += all.n[i];
    struct sealed *is = calloc(n, sizeof *is), *due = calloc(n, sizeof *due);
    assert_non_null(is);
    assert_non_null(due);
    for (size_t i = 0; i < SERIES; i++)
        for (size_t j = 0; j < all.n[i]; j++)
            (void)snprintf(due[k++].text, sizeof due->text, "%s/%s %lld %.40s %u", site[i].device,
                           site[i].point, (long long)all.v[i][j].t_ms, num_text(all.v[i][j].v, v),
                           all.v[i][j].q);
    assert_int_equal(from_batches(l, is, n), n);
    qsort(is, n, sizeof *is, by_text);
    qsort(due, n, sizeof *due, by_text);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(is[i].text, due[i].text);
    free(is);
    free(due);
}

/* ---- lives ---- */

static void forget(struct line *l)
{
    line_step(l, true);
    line_stop(l);
    start(l);
    memset(newest, 0, sizeof newest);
}

static void lives(struct line *l, uint32_t with)
{
    print_message("FP_SEED=%u\n", with);
    nbag = 0;
    memset(newest, 0, sizeof newest);
    begin(l, with);
    for (int64_t t = l->utc_ms; t < DAY0 + LIFE; t += MINUTE) {
        hold_or_give(l, poll_make(0, t));
        hold_or_give(l, poll_make(1, t));
        let_go(l, t);
        the_board_has_the_newest(l);
        if (rnd(150) == 0)
            charts_of_readings_are_whole(l);
        if (rnd(400) == 0)
            forget(l);
        line_to(l, t + MINUTE);
    }
    let_go(l, INT64_MAX);
    the_board_has_the_newest(l);
    int64_t to = l->utc_ms;
    for (int i = 0; i < 120 || (i < 600 && ask(l, "SELECT count(*) FROM rollup_dirty") > 0); i++)
        line_to(l, l->utc_ms + MINUTE);
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    compare_all(l, to - 49 * HOUR, to, 700);                      /* readings */
    compare_all(l, DAY0 - 3 * HOUR, l->utc_ms + 48 * HOUR, 2000); /* quarters */
    compare_all(l, DAY0 - 100 * STORE_DAY_MS, to, 150);           /* days */
    each_is_sealed_once(l);
}

static void any_order_says_the_same(void **state)
{
    const char *with = getenv("FP_SEED");
    bag = calloc(HELD_MAX, sizeof *bag);
    assert_non_null(bag);
    for (uint32_t i = 0; i < (with ? 1 : 2); i++) {
        lives(*state, with ? (uint32_t)strtoul(with, NULL, 10) : 41 + i);
        teardown(state);
        setup(state);
    }
    start(*state);
    free(bag);
}

/* What a chart shows of yesterday it shows before, at and behind the seal of the batch that it is
 * in. */
static void a_chart_never_loses_what_came_late(void **state)
{
    struct line *l = *state;
    begin(l, 9);
    for (; l->utc_ms < DAY0 + 3 * HOUR; line_to(l, l->utc_ms + MINUTE))
        poll(l, 0, l->utc_ms);
    poll(l, 1, DAY0);
    for (int i = 0; i < 40; i++) {
        line_step(l, true);
        compare_all(l, DAY0 - HOUR, DAY0 + HOUR, 4);
        line_to(l, l->utc_ms + MINUTE);
    }
}

/* The page shows the last value by its own time, with the age of that, and not what came last. */
static void an_older_reading_is_not_the_last(void **state)
{
    struct line *l = *state;
    struct store_now b;
    begin(l, 1);
    struct store_value v = {num_dec(5, 0), 0, 0};
    struct store_poll p = {0, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, 1};
    int64_t t = l->utc_ms;
    p.t_ms = p.due_ms = t - HOUR;
    assert_int_equal(store_put(l->store, &p, &v, 0), ST_OK);
    store_board(l->store, 0, 1, &b);
    assert_int_equal(l->mono_ms - b.read_at.ms, HOUR); /* it is the last, and an hour old */
    v.v = num_dec(7, 0);
    p.t_ms = p.due_ms = t;
    assert_int_equal(store_put(l->store, &p, &v, 0), ST_OK);
    v.v = num_dec(6, 0);
    p.t_ms = p.due_ms = t - HOUR / 2;
    assert_int_equal(store_put(l->store, &p, &v, 0), ST_OK);
    store_board(l->store, 0, 1, &b);
    same_num(b.v, num_dec(7, 0));
    assert_int_equal(b.t_ms, t);
    assert_int_equal(b.count, 3);
    l->utc_ms -= 2 * HOUR; /* the clock was ahead: what is read now is the last */
    v.v = num_dec(8, 0);
    p.t_ms = p.due_ms = l->utc_ms;
    assert_int_equal(store_put(l->store, &p, &v, 0), ST_OK);
    store_board(l->store, 0, 1, &b);
    same_num(b.v, num_dec(8, 0));
    assert_int_equal(b.t_ms, l->utc_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_older_reading_is_not_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chart_never_loses_what_came_late, setup, teardown),
        cmocka_unit_test_setup_teardown(any_order_says_the_same, setup, teardown),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
