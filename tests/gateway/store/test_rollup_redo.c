/* Rollups and charts after an entry that moves sealed readings or takes them back. The oracle reads
 * every batch that is held, applies the entries as line.c and this file understand them, and says
 * what each quarter must come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "gateway/store/rollup_int.h"
#include "tests/support/line.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define SERIES (LINE_DEVICES * LINE_POINTS)
/* A local midnight. */
#define DAY0 ((LINE_T0 / STORE_DAY_MS + 1) * STORE_DAY_MS - STORE_DAY_ZONE_MS)
#define SLOTS_MAX 400

static const char *const name[SERIES] = {"dev-0/p0", "dev-0/p1", "dev-0/p2",
                                         "dev-1/p0", "dev-1/p1", "dev-1/p2"};

/* ---- the oracle ---- */

struct cell {
    uint32_t count;
    double min, max, sum;
};
static struct {
    int64_t first; /* slot */
    struct cell of[SERIES][SLOTS_MAX];
} truth;
static struct {
    size_t series;
    int64_t from_ms, to_ms;
} taken[8];
static size_t ntaken;
static struct { /* what corrections in force make of readings, as this test understands them */
    size_t series, to;
    int64_t from_ms, to_ms;
    double scale, offset;
} changed[8];
static size_t nchanged;

static bool is_gone(size_t series, int64_t t_ms)
{
    for (size_t i = 0; i < ntaken; i++)
        if (taken[i].series == series && taken[i].from_ms <= t_ms && t_ms < taken[i].to_ms)
            return true;
    return false;
}

static void learn_one(const struct wire_reading *w, int64_t t_ms)
{
    size_t series = (size_t)(w->device.p[4] - '0') * LINE_POINTS + (size_t)(w->point.p[1] - '0');
    int64_t slot = store_slot_of(STORE_QUARTER, t_ms) - truth.first;
    double v = num_double(w->v);
    if (is_gone(series, t_ms))
        return;
    size_t was = series;
    for (size_t i = 0; i < nchanged; i++)
        if (changed[i].series == was && changed[i].from_ms <= t_ms && t_ms < changed[i].to_ms) {
            v = v * changed[i].scale + changed[i].offset;
            series = changed[i].to != was ? changed[i].to : series;
        }
    assert_true(slot >= 0 && slot < SLOTS_MAX);
    struct cell *c = &truth.of[series][slot];
    c->min = c->count && c->min < v ? c->min : v;
    c->max = c->count && c->max > v ? c->max : v;
    c->sum += v;
    c->count++;
}

static void learn(struct line *l, int64_t from_ms)
{
    struct line_batches b = {0};
    struct err e = {0};
    memset(&truth, 0, sizeof truth);
    truth.first = store_slot_of(STORE_QUARTER, from_ms);
    line_batches(l, &b);
    for (size_t i = 0; i < b.n; i++) {
        const struct line_batch *x = &b.v[i];
        struct wire_senml it;
        struct wire_reading w;
        if (x->row.kind == WIRE_CONTROL || (!x->moved && x->row.from_ms < STORE_KNOWN_MS))
            continue;
        struct wire_span p = x->batch.cose.payload;
        assert_int_equal(wire_senml_open(&it, p.p, p.n, "gw-01", NULL, &e), ST_OK);
        while (wire_senml_next(&it, &w, &e) == ST_OK)
            learn_one(&w, w.t_ms + x->add_ms);
    }
    line_batches_done(&b);
}

static int64_t ask(struct line *l, const char *sql)
{
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(l->store->db.h, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

static int64_t number_of(struct line *l, size_t series)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT id FROM series WHERE name = '%s'", name[series]);
    return ask(l, sql);
}

static struct store_roll row(struct line *l, enum store_span span, int64_t slot, size_t series)
{
    struct err e = {0};
    struct buf raw;
    struct store_roll r = {.count = 0};
    int64_t at = slot;
    buf_init(&raw, STORE_ROLL_BLOB_MAX);
    enum st st = store_rolls_next(&l->store->db, span, 0, &at, slot + 1, &raw, &e);
    if (st == ST_OK)
        st = store_rolls_decode(raw.p, raw.n, (int)number_of(l, series), &r, &e);
    assert_true(st == ST_OK || st == ST_NOT_FOUND);
    buf_done(&raw);
    return r;
}

static void same(const struct store_roll *r, const struct cell *c, size_t series, int64_t slot)
{
    if (r->count != c->count)
        fail_msg("%s in slot %lld: %u readings, not %u", name[series], (long long)slot, r->count,
                 c->count);
    if (!c->count)
        return;
    assert_true(fabs(num_double(store_roll_num(r, r->min)) - c->min) < 1e-6);
    assert_true(fabs(num_double(store_roll_num(r, r->max)) - c->max) < 1e-6);
    assert_true(fabs(store_roll_mean(r) - c->sum / c->count) < 1e-6);
}

/* All quarters and days that are done say what the readings say. */
static void assert_rows(struct line *l, int64_t from_ms)
{
    struct cell day[SERIES] = {{0}};
    int64_t done = ask(l, "SELECT max(rollup_slot) FROM chain"), quarters = 0, days = 0;
    learn(l, from_ms);
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    for (int64_t slot = truth.first; slot < done; slot++) {
        int64_t today = store_slot_of(STORE_DAY, store_slot_ms(STORE_QUARTER, slot));
        int64_t next = store_slot_of(STORE_DAY, store_slot_ms(STORE_QUARTER, slot + 1));
        for (size_t i = 0; i < SERIES; i++) {
            struct cell *c = &truth.of[i][slot - truth.first], *d = &day[i];
            struct store_roll r = row(l, STORE_QUARTER, slot, i);
            same(&r, c, i, slot);
            quarters += c->count > 0;
            d->min = d->count && d->min < c->min ? d->min : c->count ? c->min : d->min;
            d->max = d->count && d->max > c->max ? d->max : c->count ? c->max : d->max;
            d->sum += c->sum;
            d->count += c->count;
            if (next == today || slot == truth.first)
                continue;
            r = row(l, STORE_DAY, today, i);
            same(&r, d, i, today);
            days += d->count > 0;
            *d = (struct cell){0};
        }
    }
    assert_true(quarters > 0 && days > 0);
}

/* As long as a life, so that it keeps what it read of batches before they were moved or corrected.
 */
static struct store_reader *lasting;

/* A chart has as many readings of each series as there are, sealed or not. */
static void assert_charts(struct line *l, int64_t from_ms, int64_t to_ms)
{
    struct err e = {0};
    if (!lasting)
        assert_int_equal(store_reader_open(&lasting, l->db, &e), ST_OK);
    struct store_reader *r = lasting;
    for (size_t i = 0; i < SERIES; i++) {
        char device[16];
        uint32_t count = 0, wanted = 0;
        (void)snprintf(device, sizeof device, "%.5s", name[i]);
        struct store_chart c;
        struct store_chart_ask a = {device, name[i] + 6, from_ms, to_ms, 100};
        assert_int_equal(store_chart_read(r, &a, &c, &e), ST_OK);
        for (uint32_t k = 0; k < c.n; k++)
            count += c.point[k].count;
        for (int64_t t = from_ms; t < to_ms; t += STORE_QUARTER_MS)
            wanted += truth.of[i][store_slot_of(STORE_QUARTER, t) - truth.first].count;
        if (count != wanted)
            fail_msg("a chart of %s has %u readings, not %u", name[i], count, wanted);
        store_chart_done(&c);
    }
}

/* ---- a life ---- */

static int setup(void **state)
{
    static struct line l;
    line_init(&l);
    ntaken = nchanged = 0;
    l.seal_cfg.every_ms = 5 * MINUTE;
    l.store_cfg.journal_every_ms = HOUR;
    *state = &l;
    return 0;
}

static int teardown(void **state)
{
    store_reader_close(lasting);
    lasting = NULL;
    return line_teardown(state);
}

/* Boots without a clock, which comes at `at` after so long. */
static void boot_without_a_clock(struct line *l, int64_t at_ms, int64_t after_ms)
{
    l->grade = CLK_UNKNOWN;
    l->utc_ms = CLK_UNKNOWN_BASE_MS + l->mono_ms;
    line_start(l);
    line_run(l, l->utc_ms + after_ms);
    l->grade = CLK_SYNCED;
    l->mono_ms += 1000;
    l->utc_ms = at_ms;
}

/* The seal must learn of what was sealed beside it. */
static void seal_by_hand(struct line *l, struct buf *b)
{
    struct err e = {0};
    line_seal_control(l, b);
    buf_done(b);
    seal_close(l->seal);
    l->seal = NULL;
    assert_int_equal(
        seal_open(&l->seal, &l->seal_cfg, l->gateway, l->machine, l->store, &l->clk, &e), ST_OK);
}

static void correct(struct line *l, const char *id, size_t series, int64_t from_ms, int64_t to_ms,
                    const struct wire_fix *f)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    line_put_fix(&b, id, name[series], from_ms, to_ms, f);
    seal_by_hand(l, &b);
}

static void take_back(struct line *l, size_t series, int64_t from_ms, int64_t to_ms)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    line_put_correct(&b, name[series], from_ms, to_ms);
    seal_by_hand(l, &b);
    taken[ntaken].series = series;
    taken[ntaken].from_ms = from_ms;
    taken[ntaken++].to_ms = to_ms;
}

/* Says of all data batches of the chain and boot that they were `add_ms` off. */
static void move(struct line *l, uint64_t seq_from, uint64_t seq_to, int64_t add_ms)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(wire_put_time(&b, store_boot(l->store), seq_from, seq_to, add_ms, 100), ST_OK);
    seal_by_hand(l, &b);
}

/* Until everything is worked off: what is computed rides with a seal. */
static void settle(struct line *l)
{
    line_run(l, l->utc_ms + 90 * MINUTE);
}

/* ---- tests ---- */

static void H2_rollups_take_in_what_a_late_clock_moves(void **state)
{
    struct line *l = *state;
    boot_without_a_clock(l, DAY0 + 6 * HOUR, 14 * HOUR);
    settle(l);
    assert_rows(l, DAY0 - STORE_DAY_MS);
    assert_charts(l, DAY0 - 9 * HOUR, DAY0 + 7 * HOUR);
}

static void a_chart_shows_what_was_moved_before_rollups_do(void **state)
{
    struct line *l = *state;
    boot_without_a_clock(l, DAY0 + 6 * HOUR, 5 * HOUR);
    line_step(l, true);
    while (ask(l, "SELECT count(*) FROM moved") == 0)
        line_run(l, l->utc_ms + 10000);
    assert_true(ask(l, "SELECT count(*) FROM rollup_late") == 0);
    learn(l, DAY0 - STORE_DAY_MS);
    assert_charts(l, DAY0, DAY0 + 6 * HOUR);
}

static void readings_leave_the_slots_that_a_later_entry_moves_them_from(void **state)
{
    struct line *l = *state;
    boot_without_a_clock(l, DAY0 + 6 * HOUR, 8 * HOUR);
    settle(l);
    uint64_t last = (uint64_t)ask(l, "SELECT max(seq_to) FROM moved");
    int64_t add_ms = ask(l, "SELECT add_ms FROM moved");
    move(l, 1, last, add_ms - 3 * HOUR - 7 * MINUTE);
    line_run(l, l->utc_ms + 10 * MINUTE);
    move(l, last / 2, last, add_ms - HOUR);
    settle(l);
    assert_rows(l, DAY0 - STORE_DAY_MS);
    assert_charts(l, DAY0 - 9 * HOUR, DAY0 + 7 * HOUR);
}

static void readings_of_the_open_slot_and_of_known_time_are_moved_too(void **state)
{
    struct line *l = *state;
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 2 * HOUR;
    line_start(l);
    line_run(l, DAY0 + HOUR + 7 * MINUTE);
    uint64_t last = (uint64_t)ask(l, "SELECT max(last_seq) FROM chain");
    move(l, last - 20, last, -20 * MINUTE);
    settle(l);
    assert_rows(l, DAY0 - 3 * HOUR);
    move(l, last - 20, last, 3 * HOUR); /* a time that is still to come */
    line_run(l, DAY0 + 6 * HOUR);
    assert_rows(l, DAY0 - 3 * HOUR);
    assert_charts(l, DAY0 - 3 * HOUR, DAY0 + 5 * HOUR);
}

static void a_power_cut_while_rollups_are_redone_leaves_none_out(void **state)
{
    struct line *l = *state;
    boot_without_a_clock(l, DAY0 + 6 * HOUR, 20 * HOUR);
    while (ask(l, "SELECT count(*) FROM moved") == 0)
        line_run(l, l->utc_ms + 10000);
    l->seal_cfg.every_ms = 10000; /* a seal after each turn, which writes what it found */
    int halfway = 0;
    for (int i = 0; i < 60; i++) {
        line_stop(l);
        line_start(l);
        line_run(l, l->utc_ms + 20000);
        halfway += ask(l, "SELECT coalesce(min(-id), 0) FROM rollup_dirty WHERE id < 0") >
                   store_batch_id(1, 10);
    }
    assert_true(halfway > 1);
    settle(l);
    assert_rows(l, DAY0 - STORE_DAY_MS);
}

static void a_turn_does_a_bounded_piece_of_what_an_entry_asks(void **state)
{
    struct line *l = *state;
    boot_without_a_clock(l, DAY0 + 6 * HOUR, 40 * HOUR);
    while (ask(l, "SELECT count(*) FROM moved") == 0)
        line_run(l, l->utc_ms + 10000);
    struct store_rollup *r = l->store->rollup;
    int turns = 0;
    int64_t before = r->todo;
    do {
        store_rollup_step(l->store);
        if (r->placing && before < 0) /* so many readings, and no batch more */
            assert_true((before - r->todo) * 180 <= STORE_ROLL_TURN + 180);
        before = r->placing ? r->todo : 0;
        turns++;
    } while (r->placing);
    assert_true(turns > 8);
}

static void what_is_taken_back_leaves_rollups_and_charts(void **state)
{
    struct line *l = *state;
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 3 * HOUR;
    line_start(l);
    line_run(l, DAY0 + HOUR + 7 * MINUTE);
    take_back(l, 1, DAY0 - 2 * HOUR + 5 * MINUTE, DAY0 - HOUR + 1);
    take_back(l, 4, DAY0 + HOUR, DAY0 + 2 * HOUR); /* from the open slot into times to come */
    line_run(l, DAY0 + HOUR + 11 * MINUTE);
    learn(l, DAY0 - 4 * HOUR);
    settle(l);
    line_run(l, DAY0 + 4 * HOUR);
    assert_rows(l, DAY0 - 4 * HOUR);
    assert_charts(l, DAY0 - 3 * HOUR, DAY0 + 3 * HOUR);
    assert_int_equal(truth.of[4][20].count, 0); /* DAY0 + 1 h */
    assert_true(truth.of[3][20].count > 0);
}

static void what_is_taken_back_leaves_rollups_whose_batches_are_gone(void **state)
{
    struct line *l = *state;
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 3 * HOUR;
    line_start(l);
    line_run(l, DAY0 + 2 * HOUR);
    assert_int_equal(sqlite3_exec(l->store->db.h,
                                  "DELETE FROM batch_bytes WHERE id IN (SELECT id FROM batch WHERE "
                                  "kind = 0 ORDER BY id LIMIT 40); DELETE FROM batch WHERE id IN "
                                  "(SELECT id FROM batch WHERE kind = 0 ORDER BY id LIMIT 40)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    int64_t whole = store_slot_of(STORE_QUARTER, DAY0 - HOUR),
            day = store_slot_of(STORE_DAY, DAY0 - HOUR);
    struct store_roll was = row(l, STORE_DAY, day, 2), other = row(l, STORE_QUARTER, whole, 3);
    assert_true(row(l, STORE_QUARTER, whole, 2).count == 90);
    take_back(l, 2, DAY0 - HOUR, DAY0 - HOUR + 20 * MINUTE); /* one slot and a third of the next */
    settle(l);
    assert_int_equal(row(l, STORE_QUARTER, whole, 2).count, 0);
    assert_int_equal(row(l, STORE_QUARTER, whole + 1, 2).count, 90); /* nobody can tell any more */
    assert_int_equal(row(l, STORE_DAY, day, 2).count, was.count - 90);
    struct store_roll now = row(l, STORE_QUARTER, whole, 3);
    assert_memory_equal(&now, &other, sizeof now);
    line_step(l, true);
    assert_int_equal(ask(l, "SELECT count(*) FROM event WHERE code = 'rollup.late'"), 1);
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
}

/* As correct(), for the oracle too: to is the series itself for what stays there. */
static void change(struct line *l, const char *id, size_t series, size_t to, int64_t from_ms,
                   int64_t to_ms, double scale)
{
    struct wire_fix f = {.what = to != series ? WIRE_REASSIGN : WIRE_RESCALE,
                         .scale = num_dec((int64_t)(scale * 10), -1),
                         .offset = num_dec(5, -1)};
    (void)snprintf(f.target, sizeof f.target, "%s", name[to]);
    correct(l, id, series, from_ms, to_ms, &f);
    changed[nchanged].series = series;
    changed[nchanged].to = to;
    changed[nchanged].from_ms = from_ms;
    changed[nchanged].to_ms = to_ms;
    changed[nchanged].scale = to != series ? 1 : scale;
    changed[nchanged++].offset = to != series ? 0 : 0.5;
}

static void what_is_scaled_or_renamed_shows_in_rollups_and_charts(void **state)
{
    struct line *l = *state;
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 3 * HOUR;
    line_start(l);
    line_run(l, DAY0 + HOUR + 7 * MINUTE);
    change(l, "a", 1, 1, DAY0 - 2 * HOUR + 5 * MINUTE, DAY0 - HOUR + 1, -0.5);
    change(l, "b", 1, 1, DAY0 - 90 * MINUTE, DAY0 + 30 * MINUTE, 2); /* in order, both */
    change(l, "c", 2, 4, DAY0 - HOUR, DAY0 + 2 * HOUR, 1); /* into times to come, among its own */
    change(l, "d", 2, 2, DAY0 - 20 * MINUTE, DAY0 + 20 * MINUTE, 3);
    line_run(l, DAY0 + HOUR + 11 * MINUTE);
    learn(l, DAY0 - 4 * HOUR);
    assert_charts(l, DAY0 - 2 * HOUR, DAY0 + HOUR);
    settle(l);
    line_run(l, DAY0 + 4 * HOUR);
    assert_rows(l, DAY0 - 4 * HOUR);
    assert_charts(l, DAY0 - 3 * HOUR, DAY0 + 3 * HOUR);
    assert_int_equal(truth.of[2][20].count, 0);
    assert_int_equal(truth.of[4][20].count, 2 * truth.of[3][20].count);
}

/* A later entry with the same id: as if the earlier one had never been. */
static void a_correction_that_is_replaced_leaves_nothing_behind(void **state)
{
    struct line *l = *state;
    struct wire_fix same = {.what = WIRE_RESCALE, .scale = num_dec(1, 0), .offset = num_dec(0, 0)};
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 3 * HOUR;
    line_start(l);
    line_run(l, DAY0 + HOUR);
    change(l, "a", 1, 1, DAY0 - 2 * HOUR, DAY0 - HOUR, 7);
    change(l, "b", 2, 4, DAY0 - 30 * MINUTE, DAY0, 1);
    settle(l);
    assert_rows(l, DAY0 - 4 * HOUR);
    nchanged = 0;
    correct(l, "b", 2, DAY0 - 30 * MINUTE, DAY0, &same); /* taken back */
    change(l, "a", 3, 3, DAY0, DAY0 + HOUR, 7);          /* it was another series */
    settle(l);
    assert_rows(l, DAY0 - 4 * HOUR);
    assert_charts(l, DAY0 - 3 * HOUR, DAY0 + HOUR);
}

static void a_calibration_counts_as_no_good_reading(void **state)
{
    struct line *l = *state;
    struct buf b;
    int64_t to_ms = DAY0 - HOUR;
    static const struct wire_span empty = {(const uint8_t *)"\xa0", 1};
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 3 * HOUR;
    line_start(l);
    line_run(l, DAY0 + HOUR);
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(
        wire_put_maintain(&b, "dev-0/*", DAY0 - 2 * HOUR, &to_ms, WIRE_CALIBRATION, &empty), ST_OK);
    seal_by_hand(l, &b);
    settle(l);
    assert_rows(l, DAY0 - 4 * HOUR);
    int64_t slot = store_slot_of(STORE_QUARTER, DAY0 - 2 * HOUR);
    for (size_t i = 0; i < SERIES; i++) {
        struct store_roll in = row(l, STORE_QUARTER, slot, i);
        struct store_roll out = row(l, STORE_QUARTER, slot - 1, i);
        assert_int_equal(in.good, i < 3 ? 0 : in.count);
        assert_int_equal(out.good, out.count);
    }
}

/* What three meters show, one after the other; what they count goes on: one tenth in ten seconds.
 */
#define CHANGE_1 (DAY0 - 100 * MINUTE + 5000)
#define CHANGE_2 (DAY0 - 20 * MINUTE + 5000) /* while nothing is read */
static int64_t shown(int64_t t_ms)
{
    int64_t base_ms = t_ms < CHANGE_1 ? DAY0 - 10 * HOUR : t_ms < CHANGE_2 ? CHANGE_1 : CHANGE_2;
    return (t_ms - base_ms) / 10000 + (t_ms < CHANGE_1 ? 50000 : 3);
}

static void run_meter(struct line *l, int64_t to_ms)
{
    for (; l->utc_ms < to_ms; line_to(l, l->utc_ms + 10000))
        line_poll(l, 0, l->utc_ms, shown(l->utc_ms));
}

static void change_meter(struct line *l, int64_t at_ms)
{
    struct buf b, map;
    buf_init(&b, 4096);
    buf_init(&map, 4096);
    assert_int_equal(wire_put_map(&map, 2), ST_OK);
    assert_int_equal(wire_put_text(&map, "last"), ST_OK);
    assert_int_equal(wire_put_exact(&map, num_dec(shown(at_ms - 1), -1)), ST_OK);
    assert_int_equal(wire_put_text(&map, "first"), ST_OK);
    assert_int_equal(wire_put_exact(&map, num_dec(3, -1)), ST_OK);
    const struct wire_span bytes = {map.p, map.n};
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(wire_put_maintain(&b, name[0], at_ms, NULL, WIRE_METER, &bytes), ST_OK);
    seal_by_hand(l, &b);
    buf_done(&map);
}

/* All that dev-0/p0 counted in a chart; *resets that it saw. */
static double grown(struct line *l, int64_t from_ms, int64_t to_ms, uint32_t *resets)
{
    struct err e = {0};
    struct store_reader *r;
    struct store_chart c;
    struct store_chart_ask a = {"dev-0", "p0", from_ms, to_ms, 500};
    double sum = 0;
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(store_chart_read(r, &a, &c, &e), ST_OK);
    *resets = 0;
    for (uint32_t i = 0; i < c.n; i++) {
        sum += c.point[i].grown.kind == NUM_NONE ? 0 : num_double(c.point[i].grown);
        *resets += c.point[i].resets;
    }
    store_chart_done(&c);
    store_reader_close(r);
    return sum;
}

static void what_a_meter_counts_goes_on_over_its_change(void **state)
{
    struct line *l = *state;
    static const char *const counters[SERIES] = {"uptime", "uptime", "uptime",
                                                 "uptime", "uptime", "uptime"};
    uint32_t resets = 0;
    l->quantity = counters;
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 3 * HOUR;
    line_start(l);
    run_meter(l, DAY0 - 40 * MINUTE);
    line_to(l, DAY0 - 5 * MINUTE);
    run_meter(l, DAY0 + HOUR);
    int64_t to_ms = DAY0 + 50 * MINUTE; /* sealed */
    double all = (double)(to_ms - 10000 - (DAY0 - 3 * HOUR)) / 1e5;
    double before = grown(l, DAY0 - 3 * HOUR, to_ms, &resets);
    assert_int_equal(resets, 2);
    assert_true(before < all - 1);
    change_meter(l, CHANGE_1);
    change_meter(l, CHANGE_2);
    assert_true(fabs(grown(l, DAY0 - 3 * HOUR, to_ms, &resets) - all) < 0.25); /* of readings */
    assert_int_equal(resets, 0);
    run_meter(l, DAY0 + 3 * HOUR);
    to_ms = DAY0 + 150 * MINUTE;
    all = (double)(to_ms - 10000 - (DAY0 - 3 * HOUR)) / 1e5;
    assert_int_equal(ask(l, "SELECT count(*) FROM rollup_dirty"), 0);
    assert_true(fabs(grown(l, DAY0 - 3 * HOUR, to_ms, &resets) - all) < 0.25);
    assert_int_equal(resets, 0);
    assert_true(fabs(grown(l, to_ms - 50 * HOUR - HOUR, to_ms, &resets) - all) <
                0.25); /* quarters */
    assert_int_equal(resets, 0);
    double days = grown(l, to_ms - 100 * 24 * HOUR, to_ms, &resets); /* ends with a day */
    assert_true(days > all - 0.25);
    assert_int_equal(resets, 0);
}

static void a_clock_set_back_among_batches_that_were_never_looked_at_counts_both(void **state)
{
    struct line *l = *state;
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - 2 * HOUR;
    line_start(l);
    store_rollup_close(l->store); /* they stand still, for a rescue, say */
    line_run(l, DAY0 - HOUR);
    l->utc_ms -= HOUR - 7 * MINUTE;
    line_run(l, DAY0 - HOUR);
    line_stop(l);
    line_start(l);
    line_run(l, DAY0 + 2 * HOUR);
    assert_rows(l, DAY0 - 3 * HOUR);
}

static void what_is_sealed_during_a_rescue_waits_for_the_batches_before_it(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    l->grade = CLK_SYNCED;
    l->utc_ms = DAY0 - HOUR;
    line_start(l);
    line_run(l, DAY0 + 2 * MINUTE);
    int64_t at = l->store->rollup->cursor, batches = ask(l, "SELECT max(id) FROM batch");
    assert_int_equal(at, batches);
    line_poll(l, 0, l->utc_ms, 1);
    assert_int_equal(store_step(l->store, true, &e), ST_OK);
    l->utc_ms += 4 * MINUTE;
    l->mono_ms += 4 * MINUTE;
    l->store->rescue = (struct store_rescue *)l; /* only that there is one */
    assert_int_equal(seal_step(l->seal, &e), ST_OK);
    l->store->rescue = NULL;
    assert_true(ask(l, "SELECT max(id) FROM batch") > batches);
    assert_int_equal(l->store->rollup->cursor, at);
    line_run(l, DAY0 + HOUR);
    assert_rows(l, DAY0 - 2 * HOUR);
}

/* More groups of series than one turn rolls up, so that a seal comes between two of them. */
static void a_day_of_many_groups_is_rolled_up_once(void **state)
{
    struct line *l = *state;
    int64_t midnight = store_slot_ms(STORE_DAY, store_slot_of(STORE_DAY, LINE_T0) + 1);
    l->devices = 2;
    l->points = 1000;
    l->period_ms[0] = l->period_ms[1] = 30 * LINE_MINUTE;
    l->utc_ms = midnight - 30 * LINE_MINUTE;
    line_start(l);
    for (int64_t t = midnight; t <= midnight + 150 * LINE_MINUTE; t += 30 * LINE_MINUTE) {
        line_run(l, t); /* a seal that fails ends the test */
        for (int turn = 0; turn < 2 && t == midnight + 90 * LINE_MINUTE; turn++)
            store_rollup_step(l->store);
        for (int turn = 0; turn < 8 && t > midnight + 90 * LINE_MINUTE; turn++)
            store_rollup_step(l->store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(a_day_of_many_groups_is_rolled_up_once),
        T(H2_rollups_take_in_what_a_late_clock_moves),
        T(a_chart_shows_what_was_moved_before_rollups_do),
        T(readings_leave_the_slots_that_a_later_entry_moves_them_from),
        T(readings_of_the_open_slot_and_of_known_time_are_moved_too),
        T(a_power_cut_while_rollups_are_redone_leaves_none_out),
        T(a_turn_does_a_bounded_piece_of_what_an_entry_asks),
        T(what_is_taken_back_leaves_rollups_and_charts),
        T(what_is_taken_back_leaves_rollups_whose_batches_are_gone),
        T(what_is_scaled_or_renamed_shows_in_rollups_and_charts),
        T(a_correction_that_is_replaced_leaves_nothing_behind),
        T(a_calibration_counts_as_no_good_reading),
        T(what_a_meter_counts_goes_on_over_its_change),
        T(a_clock_set_back_among_batches_that_were_never_looked_at_counts_both),
        T(what_is_sealed_during_a_rescue_waits_for_the_batches_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
