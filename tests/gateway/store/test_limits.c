/* A store at its limit: what may go goes, what may not stays, and the city's answers always fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/line.h"

#define FILE_BYTES (1024 * 1024)
#define PAGE_BYTES 512
#define DEVICES 8
#define POINTS 100

static void setup(struct line *l)
{
    l->devices = DEVICES;
    l->points = POINTS;
    for (uint32_t d = 0; d < DEVICES; d++)
        l->period_ms[d] = 1000;
    l->store_cfg.max_size_bytes = FILE_BYTES;
    l->utc_ms = LINE_M1;
    line_start(l);
}

/* One second of good polls with values that do not compress. */
static enum st polls(struct line *l)
{
    static uint32_t x = 1;
    enum st st = ST_OK;
    for (uint32_t d = 0; d < DEVICES; d++) {
        struct store_poll p = {d, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, POINTS};
        struct store_value v[POINTS];
        for (uint32_t i = 0; i < POINTS; i++) {
            x = x * 1664525 + 1013904223;
            v[i] = (struct store_value){num_dec(x >> 1, -3), d * POINTS + i, 0};
        }
        enum st put = store_put(l->store, &p, v, 0);
        st = st == ST_OK ? put : st;
    }
    l->utc_ms += 1000;
    l->mono_ms += 1000;
    return st;
}

static int64_t on_disk(const struct line *l)
{
    static const char *const suffix[] = {"", "-wal", ".journal", ".reserve"};
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        char path[512];
        struct stat sb;
        snprintf(path, sizeof path, "%s%s", l->db, suffix[i]);
        sum += stat(path, &sb) == 0 ? sb.st_size : 0;
    }
    return sum;
}

/* One turn of the writer on a store that may be full: as in main, the one half does not keep the
 * other from trying. */
static enum st turn(struct line *l)
{
    struct err e = {0};
    enum st a = store_step(l->store, false, &e), b = seal_step(l->seal, &e);
    assert_true(a == ST_OK || a == ST_FULL);
    assert_true(b == ST_OK || b == ST_FULL);
    assert_in_range(on_disk(l), 1, FILE_BYTES);
    return a == ST_OK ? b : a;
}

/* The city takes batches [a, z], one by one, while the writer goes on. */
static void acknowledge(struct line *l, const struct store_chain *c, uint64_t a, uint64_t z)
{
    static const uint8_t receipt[300];
    struct err e = {0};
    enum st st = ST_OK;
    line_writer_start(l);
    for (uint64_t seq = a; seq <= z && st == ST_OK; seq++)
        st = store_ack(l->store, 0, c->id, seq, false, (struct wire_span){receipt, sizeof receipt},
                       &e);
    line_writer_stop(l);
    if (st != ST_OK)
        fail_msg("%s", e.text);
}

static int64_t used_pages(sqlite3 *db)
{
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT page_count - freelist_count FROM "
                                        "pragma_page_count(), pragma_freelist_count()",
                                        -1, &q, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t used = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return used;
}

static struct store_chain chain_of(struct line *l)
{
    struct err e = {0};
    struct store_chain c;
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    return c;
}

static void a_full_store_takes_acknowledgements_and_goes_on(void **state)
{
    struct line *l = *state;
    setup(l);
    int seconds = 0;
    while (turn(l) == ST_OK) {
        assert_true(seconds++ < 1000);
        assert_int_equal(polls(l), ST_OK);
    }
    int64_t full = l->utc_ms;
    struct store_chain before = chain_of(l);
    while (polls(l) == ST_OK) /* until the queue is full, too */
        assert_true(seconds++ < 1000);
    for (int i = 0; i < 5; i++)
        assert_int_equal(polls(l), ST_FULL);
    int64_t lost = l->utc_ms - 3000;
    acknowledge(l, &before, 1, before.last_seq);

    for (int i = 0; i < 3; i++) /* what waited is sealed, batch by batch, as history leaves */
        (void)turn(l);
    for (int i = 0; i < 115; i++) {
        (void)polls(l);
        (void)turn(l);
        struct store_chain c = chain_of(l);
        acknowledge(l, &c, before.last_seq, c.last_seq);
    }
    struct store_stats stats;
    store_stats(l->store, &stats);
    assert_string_equal(stats.fault, "");
    struct line_batches b;
    line_batches(l, &b);
    const struct wire_header *last = &b.v[b.n - 1].batch.header;
    assert_true(last->seq > before.last_seq);
    assert_true(last->to_ms > lost);
    assert_string_equal(line_cause(l, &b, 0, 0, lost), "storage");
    int64_t kept = b.v[0].batch.header.to_ms > full ? b.v[0].batch.header.to_ms : full;
    line_assert_all_told(l, &b, kept, last->to_ms);
    line_batches_done(&b);
}

/* Events of a long outage have taken what they may, and the city answers again. */
static void acknowledgements_fit_however_much_was_told(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    setup(l);
    int seconds = 0;
    while (turn(l) == ST_OK) {
        assert_true(seconds++ < 1000);
        assert_int_equal(polls(l), ST_OK);
    }
    for (int i = 0; i < 1000; i++) {
        store_event(l->store, STORE_INFO, "device.silent", "dev-0", "%d: %0200d", i, i);
        enum st st = store_step(l->store, true, &e);
        assert_true(st == ST_OK || st == ST_FULL);
    }
    struct store_chain c = chain_of(l);
    acknowledge(l, &c, 1, c.last_seq);
    for (int i = 0; i < 10; i++) {
        (void)polls(l);
        (void)turn(l);
    }
    assert_true(chain_of(l).last_seq > c.last_seq); /* and what waited goes on */
    struct store_stats stats;
    store_stats(l->store, &stats);
    assert_string_equal(stats.fault, "");
}

/* As many receipts as wait for a commit, and no page left for them: each makes room for the next.
 */
static void acknowledgements_make_room_for_each_other(void **state)
{
    struct line *l = *state;
    sqlite3 *db;
    char text[200];
    setup(l);
    int seconds = 0;
    while (turn(l) == ST_OK) {
        assert_true(seconds++ < 1000);
        assert_int_equal(polls(l), ST_OK);
    }
    struct store_chain c = chain_of(l);
    assert_int_equal(sqlite3_open(l->db, &db), SQLITE_OK);
    /* all but a few pages of the file are taken */
    int64_t pages = (int64_t)FILE_BYTES / 100 * 83 / PAGE_BYTES, used = used_pages(db);
    assert_true(used < pages - 8);
    snprintf(text, sizeof text, "INSERT INTO meta VALUES ('test', zeroblob(%lld))",
             (long long)(pages - used - 12) * 508);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    acknowledge(l, &c, 2, c.last_seq); /* the first, which would make way at once, is not taken */
    acknowledge(l, &c, 1, 1);
}

/* Batches stop at 79 of a hundred: the pages behind are for acknowledgements and events. */
static void a_store_full_of_batches_keeps_pages_for_acknowledgements(void **state)
{
    struct line *l = *state;
    sqlite3 *db;
    setup(l);
    int seconds = 0;
    while (turn(l) == ST_OK) {
        assert_true(seconds++ < 1000);
        assert_int_equal(polls(l), ST_OK);
    }
    assert_int_equal(sqlite3_open(l->db, &db), SQLITE_OK);
    assert_in_range(used_pages(db) * PAGE_BYTES, FILE_BYTES / 100 * 70, FILE_BYTES / 100 * 79);
    sqlite3_close(db);
}

static void one_batch_that_nobody_takes_does_not_pin_the_rest(void **state)
{
    struct line *l = *state;
    setup(l);
    uint64_t done = 2; /* 1 is the plan; 2 is never acknowledged */
    for (int i = 0; i < 600; i++) {
        assert_int_equal(polls(l), ST_OK);
        assert_int_equal(turn(l), ST_OK);
        struct store_chain c = chain_of(l);
        if (c.last_seq > done)
            acknowledge(l, &c, done + 1, c.last_seq);
        done = c.last_seq > done ? c.last_seq : done;
    }
    struct line_batches b;
    line_batches(l, &b);
    bool held = false, history_left = false;
    for (size_t i = 0; i < b.n; i++) {
        held = held || b.v[i].row.seq == 2;
        history_left = history_left || (i > 0 && b.v[i].row.seq > b.v[i - 1].row.seq + 1);
    }
    assert_true(held);
    assert_true(history_left); /* the file was full, and acknowledged history made room */
    line_batches_done(&b);
}

/* A reader's snapshot keeps the WAL from being folded: the store stops rather than grow over its
 * limit, says why, and goes on once the reader has gone. */
static void a_reader_that_stays_cannot_push_the_store_over_its_limit(void **state)
{
    struct line *l = *state;
    struct store_stats stats = {0};
    struct store_reader *r;
    struct err e = {0};
    setup(l);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(polls(l), ST_OK);
        assert_int_equal(turn(l), ST_OK);
    }
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(store_reader_begin(r, &e), ST_OK);
    int64_t batches, readings;
    assert_int_equal(store_unsent(r, "city", &batches, &readings, &e), ST_OK); /* the snapshot */
    for (int i = 0; i < 100 && !strstr(stats.fault, "another program reads"); i++) {
        assert_int_equal(polls(l), ST_OK);
        (void)turn(l);
        assert_in_range(on_disk(l), 1, FILE_BYTES);
        store_stats(l->store, &stats);
    }
    assert_non_null(strstr(stats.fault, "another program reads"));
    store_reader_end(r);
    for (int i = 0; i < 10; i++) {
        (void)polls(l);
        (void)turn(l);
        assert_in_range(on_disk(l), 1, FILE_BYTES);
    }
    assert_int_equal(turn(l), ST_OK);
    store_reader_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
        T(a_full_store_takes_acknowledgements_and_goes_on),
        T(a_reader_that_stays_cannot_push_the_store_over_its_limit),
        T(acknowledgements_fit_however_much_was_told),
        T(acknowledgements_make_room_for_each_other),
        T(a_store_full_of_batches_keeps_pages_for_acknowledgements),
        T(one_batch_that_nobody_takes_does_not_pin_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
