/* The store's promises: what was committed stays, ranges merge, nothing is picked twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/line.h"

static void assert_ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s", e->text);
}

#define DAY_MS INT64_C(86400000)

static void ack(struct line *l, const uint8_t *chain, uint64_t seq, bool prefix)
{
    struct err e = {0};
    line_writer_start(l);
    assert_ok(
        store_ack(l->store, 0, chain, seq, prefix, (struct wire_span){(const uint8_t *)"r", 1}, &e),
        &e);
    line_writer_stop(l);
    line_step(l, true); /* a few wait for a commit */
}

static uint64_t pick(struct line *l, enum store_pick how)
{
    struct store_reader *r;
    struct store_batch b = {.seq = 0};
    struct err e = {0};
    assert_ok(store_reader_open(&r, l->db, &e), &e);
    enum st st = store_pick_batch_but(r, "city", how, NULL, 0, &b, &e);
    store_reader_close(r);
    if (st == ST_NOT_FOUND)
        return 0;
    assert_ok(st, &e);
    return b.seq;
}

/* Seals a plan (1) and five data batches (2 … 6). */
static void six_batches(struct line *l, uint8_t chain[WIRE_ID_BYTES])
{
    line_start(l);
    line_run(l, LINE_M1 + 4 * LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    assert_int_equal(b.n, 6);
    memcpy(chain, b.v[0].row.chain, WIRE_ID_BYTES);
    line_batches_done(&b);
}

static void acknowledged_ranges_merge_and_are_never_picked_again(void **state)
{
    struct line *l = *state;
    uint8_t chain[WIRE_ID_BYTES];
    six_batches(l, chain);
    assert_int_equal(pick(l, STORE_PICK_CONTROL), 1);
    assert_int_equal(pick(l, STORE_PICK_OLDEST), 1);
    assert_int_equal(pick(l, STORE_PICK_NEWEST), 6);
    ack(l, chain, 1, false);
    assert_int_equal(pick(l, STORE_PICK_CONTROL), 0);
    ack(l, chain, 6, false);
    assert_int_equal(pick(l, STORE_PICK_NEWEST), 5);
    assert_int_equal(pick(l, STORE_PICK_OLDEST), 2);
    ack(l, chain, 3, false);
    ack(l, chain, 2, false);
    assert_int_equal(pick(l, STORE_PICK_OLDEST), 4);
    ack(l, chain, 5, true); /* through: the whole prefix */
    assert_int_equal(pick(l, STORE_PICK_OLDEST), 0);
    assert_int_equal(pick(l, STORE_PICK_NEWEST), 0);

    sqlite3 *h;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "SELECT a, z FROM ack", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(q, 0), 1);
    assert_int_equal(sqlite3_column_int(q, 1), 6);
    assert_int_equal(sqlite3_step(q), SQLITE_DONE);
    sqlite3_finalize(q);
    sqlite3_close(h);
}

static void acknowledgements_survive_a_restart(void **state)
{
    struct line *l = *state;
    uint8_t chain[WIRE_ID_BYTES];
    six_batches(l, chain);
    ack(l, chain, 4, true);
    line_stop(l);
    line_start(l);
    assert_int_equal(pick(l, STORE_PICK_OLDEST), 5);
    struct store_reader *r;
    struct store_receipt got;
    struct err e = {0};
    assert_ok(store_reader_open(&r, l->db, &e), &e);
    assert_ok(store_last_receipt(r, "city", &got, &e), &e);
    assert_int_equal(got.seq, 4);
    store_reader_close(r);
}

static uint64_t rows(const char *db, const char *text)
{
    sqlite3 *h;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, text, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    uint64_t n = (uint64_t)sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(h);
    return n;
}

/* A commit of its own would double what a window writes: it rides with the next seal. */
static void a_parked_acknowledgement_is_not_picked_and_rides_with_the_next_seal(void **state)
{
    struct line *l = *state;
    struct store_reader *r;
    struct store_batch b;
    struct store_receipt last;
    struct store_stats stats;
    struct err e = {0};
    uint8_t chain[WIRE_ID_BYTES];
    static const uint8_t receipt[] = "the city's words";
    six_batches(l, chain);
    line_writer_start(l);
    for (uint64_t seq = 1; seq <= 3; seq++)
        assert_ok(store_ack(l->store, 0, chain, seq, seq == 3,
                            (struct wire_span){receipt, sizeof receipt}, &e),
                  &e);
    line_writer_stop(l);
    assert_int_equal(rows(l->db, "SELECT count(*) FROM ack"), 0);
    assert_ok(store_reader_open_in(&r, l->store, &e), &e);
    assert_ok(store_pick_batch_but(r, "city", STORE_PICK_OLDEST, NULL, 0, &b, &e), &e);
    assert_int_equal(b.seq, 4);
    assert_ok(store_last_receipt(r, "city", &last, &e), &e);
    assert_int_equal(last.seq, 3);
    assert_memory_equal(last.chain, chain, sizeof chain);
    store_reader_close(r);
    store_stats(l->store, &stats);
    assert_int_equal(stats.batches_unsent, 3);
    line_run(l, l->utc_ms + LINE_MINUTE);
    assert_int_equal(rows(l->db, "SELECT count(*) FROM ack WHERE a = 1 AND z = 3"), 1);
    assert_int_equal(rows(l->db, "SELECT count(*) FROM receipt"), 1); /* `through` proves all */
    store_stats(l->store, &stats);
    assert_int_equal(stats.batches_unsent, 4);
}

static void many_acknowledgements_are_committed_at_once(void **state)
{
    struct line *l = *state;
    struct store_stats stats;
    struct err e = {0};
    uint8_t chain[WIRE_ID_BYTES];
    six_batches(l, chain);
    line_run(l, l->utc_ms + 20 * LINE_MINUTE);
    line_writer_start(l);
    assert_ok(
        store_ack(l->store, 0, chain, 20, true, (struct wire_span){(const uint8_t *)"r", 1}, &e),
        &e);
    line_writer_stop(l);
    assert_int_equal(rows(l->db, "SELECT count(*) FROM ack WHERE a = 1 AND z = 20"), 1);
    store_stats(l->store, &stats);
    assert_int_equal(stats.batches_unsent, stats.batches_held - 20);
    line_stop(l);
    line_start(l); /* counted anew */
    store_stats(l->store, &stats);
    assert_int_equal(stats.batches_unsent, stats.batches_held - 20);
}

static void a_refused_batch_is_voided_in_the_chain(void **state)
{
    struct line *l = *state;
    uint8_t chain[WIRE_ID_BYTES];
    six_batches(l, chain);
    struct err e = {0};
    line_writer_start(l);
    assert_ok(store_refuse(l->store, 0, chain, 3, "bad_cbor", &e), &e);
    line_writer_stop(l);
    line_run(l, l->utc_ms + 2 * LINE_MINUTE);
    struct line_batches b;
    line_batches(l, &b);
    size_t voids = 0;
    for (size_t i = 1; i < b.n; i++) {
        struct wire_control c;
        struct wire_entry x;
        if (b.v[i].batch.header.kind == WIRE_DATA)
            continue;
        assert_ok(
            wire_control_open(&c, b.v[i].batch.cose.payload.p, b.v[i].batch.cose.payload.n, &e),
            &e);
        while (wire_control_next(&c, &x, NULL) == ST_OK) {
            assert_int_equal(x.kind, WIRE_ENTRY_VOID);
            assert_int_equal(x.seq_from, 3);
            assert_int_equal(x.seq_to, 3);
            voids++;
        }
    }
    assert_int_equal(voids, 1);
    line_batches_done(&b);
}

static void only_acknowledged_batches_leave_after_keep(void **state)
{
    struct line *l = *state;
    uint8_t chain[WIRE_ID_BYTES];
    l->store_cfg.keep_ms = 2 * LINE_MINUTE;
    six_batches(l, chain);
    line_run(l, l->utc_ms + 10 * LINE_MINUTE);
    struct line_batches b;
    line_batches(l, &b);
    assert_int_equal(b.v[0].row.seq, 1); /* nothing acknowledged, nothing gone */
    line_batches_done(&b);
    ack(l, chain, 5, true);
    line_run(l, l->utc_ms + 3 * LINE_MINUTE);
    line_batches(l, &b);
    assert_int_equal(b.v[0].row.seq, 6);
    line_batches_done(&b);
}

static uint64_t oldest(struct line *l)
{
    struct line_batches b;
    line_batches(l, &b);
    uint64_t seq = b.v[0].row.seq;
    line_batches_done(&b);
    return seq;
}

/* Dates that jump ahead, by a day, two weeks, a year, and back, and a boot ten years later. */
static void H2_no_jump_of_the_clock_makes_history_old(void **state)
{
    static const int64_t jump_ms[] = {DAY_MS, 14 * DAY_MS, 365 * DAY_MS};
    struct line *l = *state;
    struct err e = {0};
    struct store_chain c;
    uint8_t chain[WIRE_ID_BYTES];
    l->store_cfg.keep_ms = 60 * LINE_MINUTE;
    six_batches(l, chain);
    for (size_t i = 0; i < sizeof jump_ms / sizeof *jump_ms; i++) {
        l->utc_ms += jump_ms[i];
        line_run(l, l->utc_ms + 5 * LINE_MINUTE);
        assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
        ack(l, chain, c.last_seq, true);
        line_run(l, l->utc_ms + 5 * LINE_MINUTE);
        assert_int_equal(oldest(l), 1);
        l->utc_ms -= jump_ms[i];
        line_run(l, l->utc_ms + 2 * LINE_MINUTE);
    }
    line_stop(l);
    l->utc_ms += 3650 * DAY_MS;
    l->mono_ms = 20000;
    l->boots++;
    line_start(l);
    line_run(l, l->utc_ms + 2 * LINE_MINUTE);
    assert_int_equal(oldest(l), 1);
    line_run(l, l->utc_ms + 80 * LINE_MINUTE); /* lived through */
    assert_true(oldest(l) > 6);
}

/* Seals `windows` windows, fewer when the store says that it is full: `polls` in each step. */
static enum st fill(struct line *l, int windows, int polls, int64_t step_ms)
{
    for (int i = 0; i < windows; i++) {
        for (int k = 0; k < polls; k++) { /* values that do not compress well */
            int64_t t = l->utc_ms + k;
            line_poll(l, 0, t, t % 1000003 * 7919 % 1000000007);
        }
        l->utc_ms += step_ms;
        l->mono_ms += step_ms;
        struct err e = {0};
        enum st st = store_step(l->store, false, &e);
        if (st == ST_OK)
            st = seal_step(l->seal, &e);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static void history_makes_room_before_its_age(void **state)
{
    struct line *l = *state;
    uint8_t chain[WIRE_ID_BYTES];
    l->store_cfg.max_size_bytes = 1024 * 1024;
    six_batches(l, chain);
    ack(l, chain, 1000000, true);                            /* whatever comes is acknowledged */
    assert_int_equal(fill(l, 1000, 60, LINE_MINUTE), ST_OK); /* goes on and on */
    struct line_batches b;
    line_batches(l, &b);
    assert_true(b.v[0].row.seq > 100);
    line_batches_done(&b);
}

static void a_full_store_keeps_what_is_not_sent_and_says_so(void **state)
{
    struct line *l = *state;
    uint8_t chain[WIRE_ID_BYTES];
    l->store_cfg.max_size_bytes = 1024 * 1024;
    six_batches(l, chain);
    /* so few in a quarter of an hour that thinning gains nothing */
    assert_int_equal(fill(l, 2000, 6, 15 * LINE_MINUTE), ST_FULL);
    struct store_stats stats;
    store_stats(l->store, &stats);
    assert_non_null(strstr(stats.fault, "store.max_size"));
    struct line_batches b;
    line_batches(l, &b);
    assert_int_equal(b.v[0].row.seq, 1);
    line_batches_done(&b);
}

static void a_full_queue_drops_the_newest_and_writes_a_gap(void **state)
{
    struct line *l = *state;
    line_start(l);
    struct store_poll p = {0, LINE_M1, LINE_M1, CLK_SYNCED, STORE_DEVICE, LINE_POINTS};
    struct store_value v[LINE_POINTS];
    for (uint32_t i = 0; i < LINE_POINTS; i++)
        v[i] = (struct store_value){num_dec(5, 0), i, 0};
    uint64_t put = 0;
    while (store_put(l->store, &p, v, 0) == ST_OK)
        put++;
    assert_true(put > 100);
    assert_int_equal(store_put(l->store, &p, v, 0), ST_FULL);
    struct store_stats stats;
    store_stats(l->store, &stats);
    assert_true(stats.queue_dropped >= 2);
    line_to(l, LINE_M1);
    line_to(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    bool queue = false;
    for (size_t i = 0; i < b.n; i++)
        for (size_t g = 0; g < b.v[i].batch.header.ngaps; g++)
            queue = queue || strcmp(b.v[i].batch.header.gaps[g].cause, "queue") == 0;
    assert_true(queue);
    assert_int_equal(line_sealed_readings(&b), put * LINE_POINTS);
    line_batches_done(&b);
}

static bool last_event(void *ctx, const struct store_event *v)
{
    *(struct store_event *)ctx = *v;
    return false;
}

static void events_are_kept_and_bounded(void **state)
{
    struct line *l = *state;
    line_start(l);
    for (int i = 0; i < 1000; i++)
        store_event(l->store, STORE_WARNING, "test", "dev-0", "event %d", i);
    line_step(l, true);
    struct store_reader *r;
    struct store_event v = {0};
    struct err e = {0};
    assert_ok(store_reader_open(&r, l->db, &e), &e);
    assert_ok(store_each_event(r, 0, 10, last_event, &v, &e), &e);
    store_reader_close(r);
    assert_string_equal(v.subject, "dev-0");
    assert_non_null(strstr(v.text, "more events were dropped"));
}

static void sql(const char *db, const char *text)
{
    sqlite3 *h;
    assert_int_equal(sqlite3_open(db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

static void a_newer_schema_is_refused_untouched(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    struct store *s = NULL;
    sql(l->db, "PRAGMA user_version=99; CREATE TABLE theirs (x)");
    assert_int_equal(store_open(&s, &l->store_cfg, "gw-01", &l->clk, &e), ST_UNSUPPORTED);
    assert_non_null(strstr(e.text, "newer fieldpost"));
    sql(l->db, "SELECT * FROM theirs");
}

static void a_file_that_is_no_database_is_named_and_kept(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    struct store *s = NULL;
    FILE *f = fopen(l->db, "w");
    assert_non_null(f);
    for (int i = 0; i < 100; i++)
        fputs("these are a technician's notes\n", f);
    fclose(f);
    assert_int_equal(store_open(&s, &l->store_cfg, "gw-01", &l->clk, &e), ST_CORRUPT);
    assert_non_null(strstr(e.text, l->db));
    assert_non_null(strstr(e.text, "not a fieldpost database"));
    f = fopen(l->db, "r");
    char line[64];
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "these are a technician's notes\n");
    fclose(f);
}

static void a_missing_folder_says_what_to_do(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    struct store *s = NULL;
    l->store_cfg.path = (char *)(uintptr_t) "/nonexistent/folder/fieldpost.db";
    assert_int_equal(store_open(&s, &l->store_cfg, "gw-01", &l->clk, &e), ST_IO);
    assert_non_null(strstr(e.text, "create its folder"));
    l->store_cfg.path = l->db;
}

static void a_lock_held_by_another_loses_nothing(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 5000);
    line_step(l, true);
    sqlite3 *h;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    uint64_t before = line_pending_readings(l);
    line_poll(l, 0, LINE_M1 + 10000, 1);
    line_step(l, true); /* the journal is a file of its own */
    assert_int_equal(line_pending_readings(l), before + LINE_POINTS);
    struct err e = {0};
    l->utc_ms += 2 * LINE_MINUTE;
    l->mono_ms += 2 * LINE_MINUTE;
    assert_int_equal(seal_step(l->seal, &e), ST_BUSY);
    struct store_stats stats;
    store_stats(l->store, &stats);
    assert_non_null(strstr(stats.fault, "another program"));
    assert_int_equal(line_pending_readings(l), before + LINE_POINTS);
    sqlite3_close(h);
    assert_ok(seal_step(l->seal, &e), &e);
    assert_int_equal(line_pending_readings(l), 0);
    store_stats(l->store, &stats);
    assert_string_equal(stats.fault, "");
}

static void a_second_gateway_is_turned_away(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    struct store *s = NULL;
    line_start(l);
    assert_int_equal(store_open(&s, &l->store_cfg, "gw-01", &l->clk, &e), ST_BUSY);
    assert_non_null(strstr(e.text, "another fieldpost"));
    line_run(l, LINE_M1 + 3000); /* and the first goes on undisturbed */
}

static void the_file_is_its_owners_alone(void **state)
{
    struct line *l = *state;
    line_start(l);
    struct stat sb;
    assert_int_equal(stat(l->db, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
}

static bool note_unit(void *ctx, const struct wire_reading *w)
{
    struct buf *b = ctx;
    return buf_printf(b, "%.*s %.*s %.*s\n", (int)w->device.n, w->device.p, (int)w->point.n,
                      w->point.p, (int)w->unit.n,
                      w->unit.p ? (const char *)w->unit.p : "") == ST_OK;
}

/* Devices share the encoding of a point only where name and unit are the same. */
static void points_of_one_name_keep_each_devices_unit(void **state)
{
    struct line *l = *state;
    static const char *const quantity[] = {"temperature", "number", "voltage", "temperature"};
    struct store *s;
    struct err e = {0};
    assert_ok(store_open(&s, &l->store_cfg, "gw-01", &l->clk, &e), &e);
    for (uint32_t d = 0; d < 4; d++) {
        char id[8];
        uint32_t device, series;
        snprintf(id, sizeof id, "d%u", d);
        struct store_device dev = {.id = id, .source = "bus", .period_ms = 10000};
        assert_ok(store_add_device(s, &dev, &device, &e), &e);
        struct store_series x = {.device = device,
                                 .point = "x",
                                 .quantity = quantity_by_key(quantity[d]),
                                 .period_ms = 10000};
        assert_ok(store_add_series(s, &x, &series, &e), &e);
        assert_string_equal(store_series_at(s, series)->point, "x");
    }
    assert_ok(store_start(s, &e), &e);
    for (uint32_t d = 0; d < 4; d++) {
        struct store_poll p = {d, LINE_T0, LINE_T0, CLK_SYNCED, STORE_DEVICE, 1};
        struct store_value v = {num_dec(1, 0), d, 0};
        assert_int_equal(store_put(s, &p, &v, 0), ST_OK);
    }
    assert_ok(store_step(s, true, &e), &e);
    store_close(s);

    struct store_reader *r;
    struct buf got;
    buf_init(&got, 4096);
    assert_ok(store_reader_open(&r, l->db, &e), &e);
    assert_ok(store_each_pending(r, note_unit, &got, &e), &e);
    store_reader_close(r);
    assert_int_equal(buf_put(&got, "", 1), ST_OK);
    assert_string_equal((const char *)got.p, "d0 x Cel\nd1 x \nd2 x V\nd3 x Cel\n");
    buf_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
        T(acknowledged_ranges_merge_and_are_never_picked_again),
        T(acknowledgements_survive_a_restart),
        T(a_parked_acknowledgement_is_not_picked_and_rides_with_the_next_seal),
        T(many_acknowledgements_are_committed_at_once),
        T(a_refused_batch_is_voided_in_the_chain),
        T(only_acknowledged_batches_leave_after_keep),
        T(H2_no_jump_of_the_clock_makes_history_old),
        T(history_makes_room_before_its_age),
        T(a_full_store_keeps_what_is_not_sent_and_says_so),
        T(a_full_queue_drops_the_newest_and_writes_a_gap),
        T(events_are_kept_and_bounded),
        T(a_newer_schema_is_refused_untouched),
        T(a_file_that_is_no_database_is_named_and_kept),
        T(a_missing_folder_says_what_to_do),
        T(a_lock_held_by_another_loses_nothing),
        T(a_second_gateway_is_turned_away),
        T(the_file_is_its_owners_alone),
        T(points_of_one_name_keep_each_devices_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
