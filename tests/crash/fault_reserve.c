/* The reserve on a disk that is really full: a tmpfs of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define DEVICES 8
#define POINTS 100

struct disk {
    struct line l;
    char mount[256], db[300], reserve[320], ballast[300];
};

/* Root, or root of a namespace of its own. */
static void may_mount(void)
{
    if (geteuid() != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        fail_msg("a tmpfs is needed, and neither root nor a user namespace is to be had: %s",
                 strerror(errno));
}

static int setup(void **state)
{
    static struct disk d;
    may_mount();
    memset(&d, 0, sizeof d);
    line_init(&d.l);
    snprintf(d.mount, sizeof d.mount, "%s/disk", d.l.dir);
    snprintf(d.db, sizeof d.db, "%s/fieldpost.db", d.mount);
    snprintf(d.reserve, sizeof d.reserve, "%s.reserve", d.db);
    snprintf(d.ballast, sizeof d.ballast, "%s/ballast", d.mount);
    assert_int_equal(mkdir(d.mount, 0700), 0);
    assert_int_equal(mount("tmpfs", d.mount, "tmpfs", 0, "size=6m"), 0);
    free(d.l.db);
    d.l.db = strdup(d.db);
    d.l.store_cfg.path = d.l.db;
    d.l.devices = DEVICES;
    d.l.points = POINTS;
    for (uint32_t i = 0; i < DEVICES; i++)
        d.l.period_ms[i] = 1000;
    d.l.utc_ms = LINE_M1;
    *state = &d;
    return 0;
}

static int teardown(void **state)
{
    struct disk *d = *state;
    line_stop(&d->l);
    (void)umount2(d->mount, MNT_DETACH);
    line_done(&d->l);
    return 0;
}

static const char *fault_of(struct disk *d)
{
    static struct store_stats stats;
    store_stats(d->l.store, &stats);
    return stats.fault;
}

static int64_t size_of(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 ? sb.st_size : -1;
}

/* Takes what the disk has left. */
static void fill(struct disk *d)
{
    static const char block[4096];
    int fd = open(d->ballast, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

/* One second of good polls with values that do not compress. */
static enum st polls(struct line *l)
{
    static uint32_t x = 1;
    enum st st = ST_OK;
    for (uint32_t i = 0; i < DEVICES; i++) {
        struct store_poll p = {i, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, POINTS};
        struct store_value v[POINTS];
        for (uint32_t k = 0; k < POINTS; k++) {
            x = x * 1664525 + 1013904223;
            v[k] = (struct store_value){num_dec(x >> 1, -3), i * POINTS + k, 0};
        }
        enum st put = store_put(l->store, &p, v, 0);
        st = st == ST_OK ? put : st;
    }
    l->utc_ms += 1000;
    l->mono_ms += 1000;
    return st;
}

static enum st turn(struct line *l)
{
    struct err e = {0};
    enum st a = store_step(l->store, false, &e), b = seal_step(l->seal, &e);
    if ((a != ST_OK && a != ST_FULL) || (b != ST_OK && b != ST_FULL))
        fail_msg("%s", e.text);
    return a == ST_OK ? b : a;
}

static struct store_chain chain_of(struct line *l)
{
    struct err e = {0};
    struct store_chain c;
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    return c;
}

/* The city takes all up to z, while the writer goes on. */
static void acknowledge(struct line *l, const struct store_chain *c)
{
    static const uint8_t receipt[300];
    struct err e = {0};
    line_writer_start(l);
    enum st st = store_ack(l->store, 0, c->id, c->last_seq, true,
                           (struct wire_span){receipt, sizeof receipt}, &e);
    line_writer_stop(l);
    if (st != ST_OK)
        fail_msg("%s", e.text);
}

static void run_until_full(struct disk *d)
{
    int seconds = 0;
    while (turn(&d->l) == ST_OK || size_of(d->reserve) >= 0) {
        assert_true(seconds++ < 1000);
        (void)polls(&d->l);
    }
}

static void a_full_disk_takes_acknowledgements_and_lives_on_what_they_free(void **state)
{
    struct disk *d = *state;
    struct line *l = &d->l;
    line_start(l);
    assert_true(size_of(d->reserve) > 1024 * 1024);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(polls(l), ST_OK);
        assert_int_equal(turn(l), ST_OK);
    }
    assert_string_equal(fault_of(d), "");
    fill(d);
    run_until_full(d);
    assert_non_null(strstr(fault_of(d), "full"));
    struct store_chain before = chain_of(l);
    acknowledge(l, &before);
    for (int i = 0; i < 300; i++) {
        (void)polls(l);
        (void)turn(l);
        struct store_chain c = chain_of(l);
        if (c.last_seq > before.last_seq + 16 || i % 60 == 59)
            acknowledge(l, &c);
    }
    struct store_chain after = chain_of(l);
    assert_true(after.last_seq > before.last_seq + 3);
    assert_true(after.last_to_ms > l->utc_ms - 3 * LINE_MINUTE); /* it keeps up */
    assert_non_null(strstr(fault_of(d), "full"));                /* and says how */
    assert_int_equal(size_of(d->reserve), -1);

    assert_int_equal(unlink(d->ballast), 0);
    assert_int_equal(mount(NULL, d->mount, NULL, MS_REMOUNT, "size=64m"), 0);
    for (int i = 0; i < 130; i++) {
        (void)polls(l);
        (void)turn(l);
    }
    assert_string_equal(fault_of(d), "");
    assert_true(size_of(d->reserve) > 1024 * 1024);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_all_told(l, &b, b.v[0].batch.header.to_ms, b.v[b.n - 1].batch.header.to_ms);
    line_batches_done(&b);
}

static void a_start_on_a_full_disk_works_and_says_so(void **state)
{
    struct disk *d = *state;
    struct line *l = &d->l;
    line_start(l);
    for (int i = 0; i < 70; i++) {
        assert_int_equal(polls(l), ST_OK);
        assert_int_equal(turn(l), ST_OK);
    }
    line_stop(l);
    assert_int_equal(unlink(d->reserve), 0);
    /* a last, small room: an opening writes the WAL's index */
    fill(d);
    assert_int_equal(truncate(d->ballast, size_of(d->ballast) - 128 * 1024), 0);
    line_start(l);
    (void)polls(l);
    (void)turn(l);
    assert_non_null(strstr(fault_of(d), "full"));
    assert_int_equal(unlink(d->ballast), 0);
    for (int i = 0; i < 30; i++) {
        (void)polls(l);
        (void)turn(l);
    }
    assert_string_equal(fault_of(d), "");
    assert_true(size_of(d->reserve) > 1024 * 1024);
}

static void the_reserve_is_a_part_of_what_the_store_takes(void **state)
{
    struct disk *d = *state;
    struct store_stats stats;
    d->l.store_cfg.max_size_bytes = 16 * 1024 * 1024;
    line_start(&d->l);
    store_stats(d->l.store, &stats);
    assert_true(size_of(d->reserve) < 16 * 1024 * 1024 / 50);
    assert_true(stats.db_bytes > size_of(d->reserve));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(a_full_disk_takes_acknowledgements_and_lives_on_what_they_free),
        T(a_start_on_a_full_disk_works_and_says_so),
        T(the_reserve_is_a_part_of_what_the_store_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
