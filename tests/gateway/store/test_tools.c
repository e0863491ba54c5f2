/* What the tools ask of the store: a walk in short transactions beside a writer that seals and
 * forgets, and a copy of the whole. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/store/store_int.h"
#include "tests/support/line.h"

#define TICKS 4000 /* seconds behind LINE_T0 that a reading may have */

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

/* How often each reading was met. */
struct met {
    uint8_t n[LINE_DEVICES][LINE_POINTS][TICKS];
    uint64_t all;
};

static bool meet(void *ctx, const struct wire_reading *w)
{
    struct met *m = ctx;
    int64_t tick = (w->t_ms - LINE_T0) / 1000;
    assert_in_range(tick, 0, TICKS - 1);
    m->n[w->device.p[w->device.n - 1] - '0'][w->point.p[w->point.n - 1] - '0'][tick]++;
    m->all++;
    return true;
}

static void meet_batch(struct met *m, const struct store_batch *row)
{
    struct buf cose;
    struct wire_batch b;
    struct wire_senml s;
    struct wire_reading w;
    struct err e = {0};
    buf_init(&cose, WIRE_BATCH_MAX);
    ok(wire_zstd_unpack(row->packed.p, row->packed.n, WIRE_BATCH_MAX, &cose, &e), &e);
    ok(wire_batch_open(&b, cose.p, cose.n, &e), &e);
    if (b.header.kind == WIRE_DATA) {
        ok(wire_senml_open(&s, b.cose.payload.p, b.cose.payload.n, NULL, NULL, &e), &e);
        while (wire_senml_next(&s, &w, &e) == ST_OK)
            meet(m, &w);
    }
    wire_batch_done(&b);
    buf_done(&cose);
}

static void no_reading_twice(const struct met *m)
{
    for (int d = 0; d < LINE_DEVICES; d++)
        for (int p = 0; p < LINE_POINTS; p++)
            for (int t = 0; t < TICKS; t++)
                if (m->n[d][p][t] > 1)
                    fail_msg("dev-%d/p%d at %d s was met %u times", d, p, t, m->n[d][p][t]);
}

static void every_tick_once(const struct met *m, int first, int last)
{
    no_reading_twice(m);
    for (int d = 0; d < LINE_DEVICES; d++)
        for (int p = 0; p < LINE_POINTS; p++)
            for (int t = first; t <= last; t += 10)
                if (m->n[d][p][t] != 1)
                    fail_msg("dev-%d/p%d at %d s was not met", d, p, t);
}

/* Walks all of the file; before step number `at` (from 0) and the one behind it, meanwhile(). */
static void walk(const char *db, struct met *m, int at, void (*meanwhile)(struct line *l),
                 struct line *l)
{
    struct store_reader *r = NULL;
    struct store_batch b = {.id = 0};
    struct err e = {0};
    enum st st = ST_OK;
    memset(m, 0, sizeof *m);
    ok(store_reader_open(&r, db, &e), &e);
    for (int step = 0; st != ST_NOT_FOUND; step++) {
        if (meanwhile && (step == at || step == at + 1))
            meanwhile(l);
        st = store_batch_behind(r, b.id, INT64_MIN, INT64_MAX, &b, &e);
        if (st == ST_OK) {
            meet_batch(m, &b);
            continue;
        }
        assert_int_equal(st, ST_NOT_FOUND);
        if (meanwhile && step + 1 == at)
            meanwhile(l); /* between the end of the batches and what waits */
        st = store_pending_behind(r, b.id, INT64_MIN, INT64_MAX, meet, m, &e);
        if (st == ST_OK)
            break;
        assert_int_equal(st, ST_BUSY);
    }
    store_reader_close(r);
}

static void a_window_more(struct line *l)
{
    line_run(l, l->utc_ms + 70000);
    line_step(l, true);
}

static void a_walk_meets_each_reading_once_whatever_is_sealed_meanwhile(void **state)
{
    struct line *l = *state;
    struct met *m = malloc(sizeof *m);
    assert_non_null(m);
    line_start(l);
    line_run(l, LINE_T0 + 190000);
    line_step(l, true);
    for (int k = -6; k < 4; k++) { /* around the end of what is sealed at the start of each walk */
        struct line_batches b;
        line_batches(l, &b);
        int at = (int)b.n + k;
        line_batches_done(&b);
        walk(l->db, m, at, a_window_more, l);
        line_batches(l, &b);
        uint64_t held = line_sealed_readings(&b) + line_pending_readings(l);
        line_batches_done(&b);
        no_reading_twice(m);
        assert_int_equal(m->all, held);
    }
    free(m);
}

static void two_hours_later(struct line *l)
{
    line_to(l, l->utc_ms + 7200000); /* far beyond keep: a seal forgets eight batches */
    line_to(l, l->utc_ms + 120000);
}

static void a_walk_goes_on_when_batches_leave_meanwhile(void **state)
{
    struct line *l = *state;
    struct met *m = malloc(sizeof *m);
    assert_non_null(m);
    l->store_cfg.keep_ms = 3600000;
    line_start(l);
    line_run(l, LINE_T0 + 1200000);
    line_step(l, true);
    walk(l->db, m, 3, two_hours_later, l);
    no_reading_twice(m);
    assert_true(m->all > 0);
    for (int t = 20; t < 60; t += 10) /* met before they left */
        assert_int_equal(m->n[0][0][t], 1);
    free(m);
}

/* ---- what waits to be sealed ---- */

enum st __real_store_blob_readings(struct wire_span packed,
                                   bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                                   bool *stopped, struct err *e);
enum st __wrap_store_blob_readings(struct wire_span packed,
                                   bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                                   bool *stopped, struct err *e);
static unsigned unpacked; /* blobs */
enum st __wrap_store_blob_readings(struct wire_span packed,
                                   bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                                   bool *stopped, struct err *e)
{
    unpacked++;
    return __real_store_blob_readings(packed, each, ctx, stopped, e);
}

static bool meet_one(void *ctx, const struct store_told_reading *t)
{
    assert_null(t->batch);
    meet(ctx, t->now);
    return false;
}

#define BLOBS 5

/* Five polls wait, each committed alone: the steps, one a reading, go on where they were, and of a
 * part only what has its time is looked into. */
static void what_waits_is_unpacked_once_a_step_and_where_it_is_asked_for(void **state)
{
    struct line *l = *state;
    struct met *m = malloc(sizeof *m);
    assert_non_null(m);
    line_start(l);
    for (int64_t k = 0; k < BLOBS; k++) {
        line_poll(l, 0, l->utc_ms, k);
        line_step(l, true);
        line_to(l, l->utc_ms + 5000);
    }
    for (int part = 0; part <= 1; part++) {
        struct store_readings_ask a = {INT64_MIN, INT64_MAX, false, part, "gw-01"};
        struct store_reader *r = NULL;
        struct store_readings *x = NULL;
        struct err e = {0};
        enum st st;
        if (part) {
            a.from_ms = LINE_T0 + 5000;
            a.to_ms = LINE_T0 + 5001;
        }
        memset(m, 0, sizeof *m);
        unpacked = 0;
        ok(store_reader_open(&r, l->db, &e), &e);
        ok(store_readings_open(&x, r, &a, &e), &e);
        while ((st = store_readings_step(x, meet_one, m, &e)) == ST_OK)
            ;
        assert_int_equal(st, ST_NOT_FOUND);
        store_readings_close(x);
        store_reader_close(r);
        no_reading_twice(m);
        unsigned blobs = part ? 1 : BLOBS;
        assert_int_equal(m->all, blobs * LINE_POINTS);
        assert_int_equal(unpacked, blobs * (LINE_POINTS + 1)); /* the last finds its end */
    }
    free(m);
}

/* ---- the copy ---- */

static const char *copy_path(const struct line *l, int i)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/copy-%d.db", l->dir, i);
    return path;
}

static void a_copy_is_private_whole_and_never_overwrites(void **state)
{
    struct line *l = *state;
    struct met *m = malloc(sizeof *m);
    struct err e = {0};
    struct stat sb, again;
    assert_non_null(m);
    line_start(l);
    line_run(l, LINE_T0 + 190000);
    line_step(l, true);
    assert_true(line_pending_readings(l) > 0);
    const char *to = copy_path(l, 0);
    ok(store_backup(l->db, to, &e), &e);
    assert_int_equal(stat(to, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    char beside[320];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(beside, sizeof beside, "%s%s", to,
                       (const char *[]){".part", "-wal", "-journal", ".journal"}[i]);
        assert_int_not_equal(access(beside, F_OK), 0);
    }
    walk(to, m, -2, NULL, l);
    every_tick_once(m, 0, 180);
    assert_int_equal(store_backup(l->db, to, &e), ST_CONFLICT);
    assert_non_null(strstr(e.text, "exists already"));
    assert_int_equal(stat(to, &again), 0);
    assert_true(sb.st_ino == again.st_ino && sb.st_mtim.tv_nsec == again.st_mtim.tv_nsec);
    assert_int_equal(store_backup(l->db, "/nonexistent/copy.db", &e), ST_IO);
    assert_int_equal(store_backup("/nonexistent/f.db", copy_path(l, 1), &e), ST_IO);
    assert_int_not_equal(access(copy_path(l, 1), F_OK), 0);
    free(m);
}

/* Who restores may leave the old journal file beside the place. */
static void put_journal_beside(const struct line *l, const char *db)
{
    char from[320], to[320], bytes[65536];
    (void)snprintf(from, sizeof from, "%s.journal", l->db);
    (void)snprintf(to, sizeof to, "%s.journal", db);
    FILE *f = fopen(from, "r"), *t = fopen(to, "w");
    assert_true(f && t);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    assert_true(n > 0 && fwrite(bytes, 1, n, t) == n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(fclose(t), 0);
}

static void who_wakes_up_on_a_copy_begins_a_new_chain(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    line_start(l);
    line_run(l, LINE_T0 + 190000);
    line_step(l, true);
    uint64_t pending = line_pending_readings(l);
    struct line_batches b;
    line_batches(l, &b);
    struct store_batch last = b.v[b.n - 1].row;
    uint64_t sealed = line_sealed_readings(&b);
    size_t batches = b.n;
    line_batches_done(&b);
    const char *to = copy_path(l, 0);
    ok(store_backup(l->db, to, &e), &e);
    put_journal_beside(l, to);
    line_stop(l);
    char *db = l->db;
    l->db = strdup(to);
    l->store_cfg.path = l->db;
    free(db);
    line_start(l);
    assert_int_equal(line_pending_readings(l), pending);
    line_run(l, LINE_T0 + 300000);
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_true(b.n > batches && line_sealed_readings(&b) >= sealed + pending);
    const struct wire_header *h = &b.v[batches].batch.header;
    assert_int_equal(h->seq, 1);
    assert_true(h->after && h->after_seq == last.seq);
    assert_memory_equal(h->after_chain, last.chain, WIRE_ID_BYTES);
    assert_memory_equal(h->after_hash, last.hash, WIRE_HASH_BYTES);
    line_batches_done(&b);
}

/* The journal's file, as a copy opens it behind the pages: this line seals a window first, once. */
struct store_jfile;
static struct line *seals_first;
enum st __real_store_jfile_open(struct store_jfile *j, const char *db, bool readonly,
                                struct err *e);
enum st __wrap_store_jfile_open(struct store_jfile *j, const char *db, bool readonly,
                                struct err *e);
enum st __wrap_store_jfile_open(struct store_jfile *j, const char *db, bool readonly, struct err *e)
{
    struct line *l = readonly ? seals_first : NULL;
    if (l) {
        seals_first = NULL;
        line_run(l, l->utc_ms + 70000);
        line_step(l, true);
    }
    return __real_store_jfile_open(j, db, readonly, e);
}

static void a_window_sealed_between_pages_and_journal_costs_nothing(void **state)
{
    struct line *l = *state;
    struct met *m = malloc(sizeof *m);
    struct err e = {0};
    assert_non_null(m);
    line_start(l);
    line_run(l, LINE_T0 + 190000);
    line_step(l, true);
    seals_first = l;
    ok(store_backup(l->db, copy_path(l, 0), &e), &e);
    assert_null(seals_first);
    walk(copy_path(l, 0), m, -2, NULL, l);
    every_tick_once(m, 0, 180);
    free(m);
}

#define COPIES 12
#define FILLER_BYTES (5 * 1024 * 1024)

struct copier {
    const struct line *l;
    atomic_int made;
};

static void copy_main(void *arg)
{
    struct copier *c = arg;
    char to[300];
    for (int i = 0; i < COPIES; i++) {
        struct err e = {0};
        (void)snprintf(to, sizeof to, "%s/copy-%d.db", c->l->dir, i);
        enum st st;
        do /* windows come as fast as the machine can here: as the message says, again */
            st = store_backup(c->l->db, to, &e);
        while (st == ST_BUSY);
        if (st != ST_OK) {
            (void)fprintf(stderr, "copy %d: %s\n", i, e.text);
            break;
        }
        atomic_fetch_add(&c->made, 1);
    }
    atomic_fetch_add(&c->made, 1000);
}

static void a_copy_taken_while_windows_are_sealed_misses_nothing(void **state)
{
    struct line *l = *state;
    struct met *m = malloc(sizeof *m);
    struct copier c = {.l = l};
    struct thr thread = {0};
    struct err e = {0};
    void *filler = calloc(1, FILLER_BYTES); /* so that a copy takes many steps */
    assert_true(m && filler);
    line_start(l);
    ok(store_meta_set(l->store, "filler", filler, FILLER_BYTES, &e), &e);
    free(filler);
    line_run(l, LINE_T0 + 190000);
    line_step(l, true);
    ok(thr_start(&thread, "copier", copy_main, &c, &e), &e);
    for (int i = 0; i < 300 && atomic_load(&c.made) < 1000; i++) {
        line_run(l, l->utc_ms + 10000);
        line_step(l, true);
    }
    thr_join(&thread);
    assert_int_equal(atomic_load(&c.made), 1000 + COPIES);
    for (int i = 0; i < COPIES; i++) {
        int last = 180;
        walk(copy_path(l, i), m, -2, NULL, l);
        while (last + 10 < TICKS && m->n[0][0][last + 10])
            last += 10;
        every_tick_once(m, 0, last);
        assert_int_equal(m->all, (uint64_t)(last / 10 + 1) * LINE_DEVICES * LINE_POINTS);
    }
    free(m);
}

int main(void)
{
#define LINE_TEST(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
    const struct CMUnitTest tests[] = {
        LINE_TEST(a_walk_meets_each_reading_once_whatever_is_sealed_meanwhile),
        LINE_TEST(a_walk_goes_on_when_batches_leave_meanwhile),
        LINE_TEST(what_waits_is_unpacked_once_a_step_and_where_it_is_asked_for),
        LINE_TEST(a_copy_is_private_whole_and_never_overwrites),
        LINE_TEST(who_wakes_up_on_a_copy_begins_a_new_chain),
        LINE_TEST(a_window_sealed_between_pages_and_journal_costs_nothing),
        LINE_TEST(a_copy_taken_while_windows_are_sealed_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
