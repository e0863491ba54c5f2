/* The journal's file: what a power cut tears, what another store left, what a seal folded. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define SLOT 4096

static char *journal_of(const struct line *l)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s.journal", l->db);
    return path;
}

/* Readings in batches and in the journal. */
static uint64_t held(struct line *l)
{
    struct line_batches b;
    line_batches(l, &b);
    uint64_t n = line_sealed_readings(&b) + line_pending_readings(l);
    line_batches_done(&b);
    return n;
}

/* Three commits of two polls each; seals nothing. */
static void three_commits(struct line *l)
{
    line_start(l);
    for (int i = 0; i < 3; i++) {
        line_poll(l, 0, LINE_M1 + 1000 * i, i);
        line_poll(l, 1, LINE_M1 + 1000 * i, i);
        line_step(l, true);
    }
    assert_int_equal(line_pending_readings(l), 6 * LINE_POINTS);
}

static void flip(const struct line *l, int64_t at)
{
    uint8_t b = 0;
    int fd = open(journal_of(l), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void a_torn_last_record_costs_only_itself(void **state)
{
    struct line *l = *state;
    three_commits(l);
    flip(l, 2 * SLOT + 40);
    assert_int_equal(line_pending_readings(l), 4 * LINE_POINTS);
    line_stop(l);
    line_start(l);
    line_poll(l, 0, LINE_M1 + 5000, 5);
    line_step(l, true); /* takes the torn record's place */
    assert_int_equal(held(l), 5 * LINE_POINTS);
    line_stop(l);
    line_start(l);
    assert_int_equal(held(l), 5 * LINE_POINTS);
}

static bool find_damage(void *ctx, const struct store_event *v)
{
    if (strcmp(v->code, "journal.damaged") == 0)
        *(struct store_event *)ctx = *v;
    return true;
}

static void what_stands_behind_a_damaged_record_is_read_and_the_damage_told(void **state)
{
    struct line *l = *state;
    struct store_event v = {0};
    three_commits(l);
    flip(l, SLOT + 40);
    assert_int_equal(line_pending_readings(l), 4 * LINE_POINTS);
    line_stop(l);
    line_start(l);
    line_step(l, true);
    struct store_reader *r;
    struct err e = {0};
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(store_each_event(r, 0, 100, find_damage, &v, &e), ST_OK);
    store_reader_close(r);
    assert_non_null(strstr(v.text, "4096 bytes"));
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_batches_done(&b);
}

static void a_file_of_another_store_never_counts(void **state)
{
    struct line *l = *state;
    char other[512];
    (void)snprintf(other, sizeof other, "%s.other", l->db);
    three_commits(l);
    line_stop(l);
    assert_int_equal(rename(journal_of(l), other), 0);
    assert_int_equal(unlink(l->db), 0);
    line_start(l); /* another store at the same place */
    line_step(l, true);
    line_stop(l);
    assert_int_equal(rename(other, journal_of(l)), 0);
    line_start(l);
    assert_int_equal(line_pending_readings(l), 0);
}

static void a_folded_record_never_counts_again(void **state)
{
    struct line *l = *state;
    three_commits(l);
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    assert_true(line_sealed_readings(&b) > 6 * LINE_POINTS);
    line_batches_done(&b);
    uint64_t before = held(l);
    line_stop(l);
    line_start(l);
    assert_int_equal(held(l), before);
}

/* A poll of the next window that was journalled before the seal stays; it lies in the database
 * then, and polls that come behind it in the file. */
static void what_a_seal_leaves_over_stays(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + LINE_MINUTE - 1000);
    l->utc_ms += 2000;
    l->mono_ms += 2000; /* behind the window's end, before the seal */
    line_poll(l, 0, LINE_M1 + LINE_MINUTE, 7);
    line_step(l, true);
    line_to(l, LINE_M1 + LINE_MINUTE + 3000);
    assert_int_equal(line_pending_readings(l), LINE_POINTS);
    line_poll(l, 1, LINE_M1 + LINE_MINUTE + 1000, 7);
    line_step(l, true);
    assert_int_equal(line_pending_readings(l), 2 * LINE_POINTS);
    uint64_t before = held(l);
    line_stop(l);
    line_start(l);
    assert_int_equal(held(l), before);
    line_to(l, LINE_M1 + 3 * LINE_MINUTE);
    line_stop(l);
    line_start(l); /* sealed, it has left the database's journal too */
    assert_int_equal(held(l), before);
}

/* What a power cut may cost: a poll is in the file at the latest journal_every after it came. */
static void a_poll_waits_no_longer_than_journal_every(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_to(l, LINE_M1 + 500);
    line_poll(l, 0, LINE_M1, 1);
    assert_int_equal(line_pending_readings(l), 0);
    line_to(l, LINE_M1 + 1000);
    line_to(l, LINE_M1 + 500 + l->store_cfg.journal_every_ms);
    assert_int_equal(line_pending_readings(l), LINE_POINTS);
}

/* Where windows are full sooner than that, nothing is written twice; what is left over has its time
 * from when it came. */
static void what_is_sealed_in_time_is_not_journalled(void **state)
{
    struct line *l = *state;
    const struct store_frame *f;
    struct stat sb;
    int64_t every = l->store_cfg.journal_every_ms, came = 0;
    for (uint32_t d = 0; d < l->devices; d++)
        l->period_ms[d] = 1000;
    l->seal_cfg.max_readings = (int64_t)l->devices * LINE_POINTS * 4;
    line_start(l);
    line_run(l, LINE_M1 + 39500);
    assert_int_equal(stat(journal_of(l), &sb), 0);
    assert_int_equal(sb.st_size, 0);
    size_t n = store_frames(l->store, &f);
    assert_true(n > 0);
    came = f->t_ms;
    line_to(l, came + every - 1);
    assert_int_equal(line_pending_readings(l), 0);
    line_to(l, came + every);
    assert_int_equal(line_pending_readings(l), n * LINE_POINTS);
}

static void a_commit_writes_one_slot(void **state)
{
    struct line *l = *state;
    struct stat sb;
    three_commits(l);
    assert_int_equal(stat(journal_of(l), &sb), 0);
    assert_int_equal(sb.st_size, 3 * SLOT);
    assert_int_equal(sb.st_mode & 0777, 0600);
    line_run(l, LINE_M1 + 10 * LINE_MINUTE);
    assert_int_equal(stat(journal_of(l), &sb), 0);
    assert_true(sb.st_size <= 8 * SLOT); /* each seal starts it over */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
    const struct CMUnitTest tests[] = {
        T(a_torn_last_record_costs_only_itself),
        T(what_stands_behind_a_damaged_record_is_read_and_the_damage_told),
        T(a_file_of_another_store_never_counts),
        T(a_folded_record_never_counts_again),
        T(what_a_seal_leaves_over_stays),
        T(a_poll_waits_no_longer_than_journal_every),
        T(what_is_sealed_in_time_is_not_journalled),
        T(a_commit_writes_one_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
