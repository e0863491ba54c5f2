/* For test_damage.c: images of a store, to be harmed, and what must hold when a line has started on
 * them. */
#ifndef TESTS_GATEWAY_STORE_DAMAGE_CASE_H
#define TESTS_GATEWAY_STORE_DAMAGE_CASE_H

#include <dirent.h>
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
#include <sqlite3.h>

#include "tests/support/line.h"

#define WINDOWS 8
#define SECONDS 1200                   /* the image and what the line does behind it */
#define WINDOW_READINGS 36             /* 2 devices, 3 points, 6 polls */
#define ONE_SPOT (3 * WINDOW_READINGS) /* batches that share a page */
#define END (LINE_M1 + WINDOWS * LINE_MINUTE + 35000)

enum { DB, WAL, JOURNAL, FILES };
static const char *const suffix[FILES] = {"", "-wal", ".journal"};

struct bytes {
    uint8_t *p;
    size_t n;
    bool is;
};
struct seen {
    uint8_t n[LINE_DEVICES][LINE_POINTS][SECONDS];
    uint64_t sum;
};
/* A store as it was left: closed (all in the database), or killed (all in its WAL). */
struct image {
    struct bytes file[FILES];
    struct seen truth;
};
static struct image closed, killed;
static uint64_t seed = 20261125;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* ---- files ---- */

static char *name_of(const struct line *l, const char *end)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s%s", l->db, end);
    return path;
}

static struct bytes slurp(const char *path)
{
    struct bytes b = {NULL, 0, false};
    struct stat sb;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return b;
    assert_int_equal(fstat(fd, &sb), 0);
    b = (struct bytes){malloc((size_t)sb.st_size + 1), (size_t)sb.st_size, true};
    assert_non_null(b.p);
    assert_int_equal(read(fd, b.p, b.n), sb.st_size);
    close(fd);
    return b;
}

static void spill(const char *path, const struct bytes *b)
{
    (void)unlink(path);
    if (!b->is)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->p, b->n), b->n);
    close(fd);
}

static void clear(const struct line *l)
{
    DIR *d = opendir(l->dir);
    assert_non_null(d);
    for (struct dirent *x = readdir(d); x; x = readdir(d)) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", l->dir, x->d_name);
        if (strncmp(x->d_name, "fieldpost.db", 12) == 0)
            assert_int_equal(unlink(path), 0);
    }
    closedir(d);
}

/* The dated database of the only set; NULL: nothing was set aside. More than one is a mistake. */
static const char *dated(const struct line *l)
{
    static char found[1024];
    int n = 0;
    DIR *d = opendir(l->dir);
    assert_non_null(d);
    for (struct dirent *x = readdir(d); x; x = readdir(d)) {
        const char *stamp = strstr(x->d_name, ".damaged-");
        if (!stamp || strspn(stamp + 9, "0123456789TZ-") != strlen(stamp + 9))
            continue;
        (void)snprintf(found, sizeof found, "%s/%s", l->dir, x->d_name);
        n++;
    }
    closedir(d);
    assert_true(n <= 1);
    return n ? found : NULL;
}

/* ---- the line ---- */

static void note(struct seen *s, const struct wire_reading *w)
{
    size_t second = (size_t)(w->t_ms - LINE_T0) / 1000;
    assert_true(second < SECONDS);
    s->n[w->device.p[w->device.n - 1] - '0'][w->point.p[w->point.n - 1] - '0'][second]++;
    s->sum++;
}

static bool note_pending(void *ctx, const struct wire_reading *w)
{
    note(ctx, w);
    return true;
}

static void see(struct line *l, const struct line_batches *b, struct seen *out)
{
    struct err e = {0};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_batch *x = &b->v[i].batch;
        struct wire_senml s;
        struct wire_reading w;
        if (x->header.kind != WIRE_DATA)
            continue;
        assert_int_equal(
            wire_senml_open(&s, x->cose.payload.p, x->cose.payload.n, "gw-01", NULL, NULL), ST_OK);
        while (wire_senml_next(&s, &w, NULL) == ST_OK)
            note(out, &w);
    }
    struct store_reader *r;
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(store_each_pending(r, note_pending, out, &e), ST_OK);
    store_reader_close(r);
}

static void turn(struct line *l)
{
    struct err e = {0};
    enum st st = store_step(l->store, false, &e);
    if (st == ST_OK)
        st = seal_step(l->seal, &e);
    if (st != ST_OK && st != ST_CORRUPT)
        fail_msg("a turn: %s", e.text);
    if (store_step(l->store, false, &e) == ST_CORRUPT && !store_damaged(l->store))
        fail_msg("damage without a mark: %s", e.text);
    if (!store_damaged(l->store))
        return;
    st = store_step(l->store, true, &e); /* as main ends a line */
    assert_int_equal(st, ST_CORRUPT);
    line_stop(l);
    line_start(l);
}

/* As line_run, on a store that may be damaged. */
static void run(struct line *l, int64_t until_ms)
{
    for (; l->utc_ms < until_ms; l->utc_ms += 5000, l->mono_ms += 5000) {
        for (uint32_t d = 0; d < l->devices; d++)
            if (l->utc_ms % l->period_ms[d] == 0)
                line_poll(l, d, l->utc_ms, l->utc_ms / 1000);
        turn(l);
    }
}

static void take_image(struct line *l, struct image *im)
{
    struct line_batches b;
    for (int i = 0; i < FILES; i++)
        im->file[i] = slurp(name_of(l, suffix[i]));
    line_batches(l, &b);
    see(l, &b, &im->truth);
    line_batches_done(&b);
}

static int images(void **state)
{
    static struct line l;
    line_init(&l);
    line_start(&l);
    line_run(&l, END);
    line_step(&l, true);
    take_image(&l, &killed);
    line_stop(&l);
    for (int i = 0; i < FILES; i++)
        closed.file[i] = slurp(name_of(&l, suffix[i]));
    closed.truth = killed.truth;
    assert_true(killed.file[WAL].is && killed.file[JOURNAL].n > 0);
    assert_false(closed.file[WAL].is);
    assert_true(killed.truth.sum > WINDOWS * WINDOW_READINGS);
    *state = &l;
    return 0;
}

static int images_done(void **state)
{
    for (int i = 0; i < FILES; i++) {
        free(closed.file[i].p);
        free(killed.file[i].p);
    }
    line_done(*state);
    return 0;
}

/* ---- what must hold ---- */

static bool find_event(void *ctx, const struct store_event *v)
{
    struct store_event *want = ctx;
    if (strcmp(v->code, want->code) == 0)
        *want = *v;
    return true;
}

static struct store_event event(const struct line *l, const char *code)
{
    struct store_event v = {.id = 0};
    struct store_reader *r;
    struct err e = {0};
    (void)snprintf(v.code, sizeof v.code, "%s", code);
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(store_each_event(r, 0, 1000, find_event, &v, &e), ST_OK);
    store_reader_close(r);
    return v;
}

/* Within a chain each number follows the one before or comes behind lost ones; the newest chain is
 * whole, and follows the batch that it names. */
static void assert_chains(const struct line_batches *b)
{
    assert_true(b->n > 0);
    for (size_t i = 1; i < b->n; i++) {
        const struct wire_header *p = &b->v[i - 1].batch.header, *x = &b->v[i].batch.header;
        bool same = memcmp(p->chain, x->chain, sizeof x->chain) == 0;
        if (same) {
            assert_true(x->seq > p->seq);
            if (x->seq == p->seq + 1)
                assert_memory_equal(x->prev, b->v[i - 1].row.hash, sizeof x->prev);
            continue;
        }
        assert_int_equal(x->seq, 1);
        assert_true(x->after);
        if (memcmp(x->after_chain, p->chain, sizeof p->chain) == 0 && x->after_seq == p->seq)
            assert_memory_equal(x->after_hash, b->v[i - 1].row.hash, sizeof x->after_hash);
    }
    const struct wire_header *last = &b->v[b->n - 1].batch.header;
    for (size_t i = 0; i < last->seq; i++) {
        const struct wire_header *x = &b->v[b->n - 1 - i].batch.header;
        assert_memory_equal(x->chain, last->chain, sizeof last->chain);
        assert_int_equal(x->seq, last->seq - i);
    }
}

/* The first time that any batch tells of. When nothing is left of what was before, nobody knows
 * since when there was something. */
static int64_t first_known(const struct line_batches *b)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].row.from_ms < first)
            first = b->v[i].row.from_ms;
    return first;
}

/* Readings of the image that are gone; none is there twice; each that is gone lies in a gap. */
static uint64_t assert_told_once(const struct line *l, const struct line_batches *b,
                                 const struct seen *truth, const struct seen *now)
{
    uint64_t gone = 0;
    int64_t known_ms = first_known(b);
    for (uint32_t d = 0; d < LINE_DEVICES; d++)
        for (uint32_t p = 0; p < LINE_POINTS; p++)
            for (size_t s = 0; s < SECONDS; s++) {
                int64_t t_ms = LINE_T0 + (int64_t)s * 1000;
                if (now->n[d][p][s] > 1)
                    fail_msg("device %u point %u is there %u times at +%zu s", d, p,
                             now->n[d][p][s], s);
                if (!truth->n[d][p][s] || now->n[d][p][s])
                    continue;
                gone++;
                if (t_ms >= known_ms && !line_cause(l, b, d, p, t_ms))
                    fail_msg("device %u point %u is neither there nor in a gap at +%zu s", d, p, s);
            }
    return gone;
}

struct harm {
    const struct image *im;
    struct bytes file[FILES]; /* copies, to be damaged */
};

static struct harm harm_of(const struct image *im)
{
    struct harm h = {.im = im};
    for (int i = 0; i < FILES; i++) {
        h.file[i] = im->file[i];
        h.file[i].p = malloc(im->file[i].n + 1);
        assert_non_null(h.file[i].p);
        if (im->file[i].n)
            memcpy(h.file[i].p, im->file[i].p, im->file[i].n);
    }
    return h;
}

static void harm_done(struct harm *h)
{
    for (int i = 0; i < FILES; i++)
        free(h->file[i].p);
}

/* Starts on the harmed files, lets the line run, and checks all. The readings that are gone;
 * *aside: the files were set aside. */
static uint64_t suffer(struct line *l, const struct harm *h, bool *aside)
{
    struct line_batches b;
    static struct seen now;
    clear(l);
    for (int i = 0; i < FILES; i++)
        spill(name_of(l, suffix[i]), &h->file[i]);
    l->utc_ms = END + 25000;
    line_start(l);
    run(l, END + 4 * LINE_MINUTE);
    line_batches(l, &b);
    see(l, &b, &now);
    assert_chains(&b);
    uint64_t gone = assert_told_once(l, &b, &h->im->truth, &now);
    /* the line went on: the last minute is there */
    assert_int_equal(now.n[0][0][(END / 10000 * 10000 + 3 * LINE_MINUTE - LINE_T0) / 1000], 1);
    line_batches_done(&b);
    const char *set = dated(l);
    *aside = set != NULL;
    if (set) {
        struct store_event v = event(l, "store.damaged");
        assert_true(v.id > 0 && v.severity == STORE_ERROR);
        assert_true(event(l, "rescue.end").id > 0);
        char done[1100];
        struct stat sb;
        (void)snprintf(done, sizeof done, "%s.rescued", set);
        assert_int_equal(stat(done, &sb), 0);
    }
    line_stop(l);
    return gone;
}

/* The dated files have the bytes that were harmed (when the look at the start found it: the line
 * has written to none of them). */
static void assert_untouched(const struct line *l, const struct harm *h)
{
    char set[1024];
    (void)snprintf(set, sizeof set, "%s", dated(l));
    for (int i = 0; i < FILES; i++) {
        char path[1100];
        (void)snprintf(path, sizeof path, "%s%s", set, suffix[i]);
        struct bytes b = slurp(path);
        if (h->file[i].is) {
            assert_true(b.is);
            assert_int_equal(b.n, h->file[i].n);
            assert_memory_equal(b.p, h->file[i].p, b.n);
        } else {
            assert_int_equal(b.n, 0);
        }
        free(b.p);
    }
}

#endif
