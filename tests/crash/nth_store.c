/* Every call of the product's store and seal fails, once and for ever: starts, polls, journal,
 * seals, acknowledgements, refusals, events, readers, a chain's end, a stop and another start. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/crash/nth_case.h"
#include "tests/support/line.h"

#define TICK_MS 10000
#define ROUNDS 30      /* ticks of the first run; a window has six */
#define ROUNDS_LATER 9 /* of the run behind the restart */
#define SICK_ROUNDS 9  /* how long a fault lasts that is for ever: one whole window at least */
#define HEALTHY_ROUNDS 15
#define STARTS_MAX 4
#define POLLS_MAX ((ROUNDS + ROUNDS_LATER + HEALTHY_ROUNDS + 8) * LINE_DEVICES)

static const struct nth_fault faults[] = {
    {NTH_READ, EIO, "EIO"},
    {NTH_WRITE, ENOSPC, "ENOSPC"},
    {NTH_WRITE, EIO, "EIO"},
    {NTH_WRITE, EDQUOT, "EDQUOT"},
    {NTH_WRITE, EROFS, "EROFS"},
    {NTH_SYNC, EIO, "EIO"},
    {NTH_SYNC, ENOSPC, "ENOSPC"},
    {NTH_OPEN, EMFILE, "EMFILE"},
    {NTH_OPEN, EROFS, "EROFS"},
    {NTH_SPACE, ENOSPC, "ENOSPC"},
    {NTH_SPACE, EIO, "EIO"},
    {NTH_NAME, EIO, "EIO"},
    {NTH_MEMORY, ENOMEM, "ENOMEM"},
    {NTH_MAP, ENOMEM, "ENOMEM"},
    {NTH_STEP, SQLITE_FULL, "FULL"},
    {NTH_STEP, SQLITE_IOERR, "IOERR"},
    {NTH_STEP, SQLITE_BUSY, "BUSY"},
    {NTH_STEP, SQLITE_NOMEM, "NOMEM"},
    {NTH_PREPARE, SQLITE_NOMEM, "NOMEM"},
    {NTH_PREPARE, SQLITE_BUSY, "BUSY"},
};

/* One poll that the test made. */
struct poll {
    uint32_t device;
    int64_t t_ms;
    bool taken, committed; /* by store_put; by a step that said so */
    bool of_last_run;      /* what a process took it does not lose while it runs */
};
struct site {
    struct line l;
    struct line_batches city; /* all batches that were ever seen */
    struct poll poll[POLLS_MAX];
    size_t npolls;
    bool sick;   /* the fault came to be */
    int healing; /* rounds until a fault for ever goes away */
    uint64_t acked;
};

static bool was_hit(void)
{
    return atomic_load(&nth_control()->failed) > 0;
}

/* ---- the script's parts ---- */

static void start(struct site *s)
{
    for (int i = 0; i < STARTS_MAX; i++) {
        struct err e = {0};
        enum st st = line_try_start(&s->l, &e);
        if (st == ST_OK)
            return;
        if (i == STARTS_MAX - 1)
            fail_msg("it does not start when the cause is gone: %s", e.text);
        if (!was_hit())
            fail_msg("a start fails without a cause: %s", e.text);
        if (strlen(e.text) < 10)
            fail_msg("a start fails without a message: %s \"%s\"", err_name(st), e.text);
        if (i >= 1)
            nth_disarm();
    }
}

/* A turn of the writer. What fails shows, and says what and where. */
static bool turn(struct site *s, bool flush)
{
    struct err e = {0}, f = {0};
    struct store_stats stats;
    enum st a = store_step(s->l.store, flush, &e), b = seal_step(s->l.seal, &f);
    store_stats(s->l.store, &stats);
    if (a == ST_OK && b == ST_OK)
        return true;
    if (!was_hit())
        fail_msg("a turn fails without a cause: %s%s", e.text, f.text);
    const char *text = a != ST_OK ? e.text : f.text;
    if (strlen(text) < 10)
        fail_msg("a turn fails without a message: %s %s", err_name(a), err_name(b));
    if (!stats.fault[0])
        fail_msg("a fault is not visible: %s", text);
    return a == ST_OK;
}

static void polls(struct site *s)
{
    for (uint32_t d = 0; d < s->l.devices; d++) {
        struct store_poll p = {d, s->l.utc_ms, s->l.utc_ms, s->l.grade, STORE_DEVICE, s->l.points};
        struct store_value v[LINE_POINTS];
        for (uint32_t i = 0; i < s->l.points; i++)
            v[i] = (struct store_value){num_dec(s->l.utc_ms / 1000, -1), d * s->l.points + i, 0};
        assert_true(s->npolls < POLLS_MAX);
        struct poll *x = &s->poll[s->npolls++];
        *x = (struct poll){d, s->l.utc_ms, store_put(s->l.store, &p, v, 0) == ST_OK, false, true};
    }
}

static void committed(struct site *s)
{
    for (size_t i = 0; i < s->npolls; i++)
        s->poll[i].committed |= s->poll[i].of_last_run && s->poll[i].taken;
}

/* Calls that wait for the writer, while the writer works: how uplinks come in. */
struct ack {
    struct site *s;
    struct store_batch b;
    bool refuse, end;
    enum st st;
    struct err e;
    atomic_bool begun, done;
};

static void ack_main(void *arg)
{
    static const uint8_t receipt[300];
    struct ack *a = arg;
    atomic_store(&a->begun, true);
    struct store *store = a->s->l.store;
    if (a->end)
        a->st = store_chain_end(store, a->b.chain, &a->e);
    else if (a->refuse)
        a->st = store_refuse(store, 0, a->b.chain, a->b.seq, "bad_cbor", &a->e);
    else
        a->st = store_ack(store, 0, a->b.chain, a->b.seq, true,
                          (struct wire_span){receipt, sizeof receipt}, &a->e);
    atomic_store(&a->done, true);
}

static bool acknowledge(struct site *s, struct ack *a)
{
    struct thr t = {0};
    struct err e = {0};
    a->s = s;
    nth_pause();
    assert_int_equal(thr_start(&t, "ack", ack_main, a, &e), ST_OK);
    while (!atomic_load(&a->begun)) /* a sanitizer's thread takes memory before it runs */
        sched_yield();
    nth_resume();
    while (!atomic_load(&a->done)) {
        (void)!store_step(s->l.store, false, &e);
        store_wait(s->l.store, (struct mono){0});
    }
    thr_join(&t);
    if (a->st != ST_OK && (!was_hit() || strlen(a->e.text) < 10))
        fail_msg("an acknowledgement fails: %s \"%s\"", err_name(a->st), a->e.text);
    return a->st == ST_OK;
}

/* The city takes all that is sealed; the third batch of all it refuses. */
static void send(struct site *s)
{
    nth_pause();
    size_t had = s->city.n;
    line_batches_more(&s->l, &s->city);
    nth_resume();
    for (size_t i = had; i < s->city.n; i++) {
        struct ack a = {.b = s->city.v[i].row, .refuse = i == 2};
        if (i == 2)
            (void)acknowledge(s, &a);
    }
    if (s->city.n) {
        struct ack a = {.b = s->city.v[s->city.n - 1].row};
        (void)acknowledge(s, &a);
    }
}

static bool see_event(void *ctx, const struct store_event *v)
{
    (void)ctx;
    return v->id > 0;
}

static bool see_reading(void *ctx, const struct wire_reading *w)
{
    (void)ctx;
    return w->point.n > 0;
}

/* What the page reads. It may fail; it must not harm. */
static void look(struct site *s)
{
    struct store_reader *r = NULL;
    struct store_receipt last;
    struct store_batch b;
    int64_t batches, readings;
    if (store_reader_open_in(&r, s->l.store, NULL) != ST_OK)
        return;
    (void)!store_unsent(r, "city", &batches, &readings, NULL);
    (void)!store_last_receipt(r, "city", &last, NULL);
    (void)!store_each_event(r, 0, 50, see_event, NULL, NULL);
    if (store_reader_begin(r, NULL) == ST_OK) {
        (void)!store_each_pending(r, see_reading, NULL, NULL);
        store_reader_end(r);
    }
    (void)!store_pick_batch_but(r, "city", STORE_PICK_NEWEST, NULL, 0, &b, NULL);
    store_reader_close(r);
}

static void heal(struct site *s)
{
    if (was_hit() && !s->sick) {
        s->sick = true;
        s->healing = SICK_ROUNDS;
    }
    if (s->sick && s->healing-- == 0)
        nth_disarm();
}

static void rounds(struct site *s, int n)
{
    for (int i = 0; i < n; i++) {
        polls(s);
        if (i % 5 == 0)
            store_event(s->l.store, STORE_INFO, "test", "subject", "round %d", i);
        s->l.utc_ms += TICK_MS;
        s->l.mono_ms += TICK_MS;
        if (turn(s, true))
            committed(s);
        if (i % 6 == 4)
            send(s);
        if (i % 6 == 5)
            look(s);
        heal(s);
    }
}

static void end_chain(struct site *s)
{
    if (s->city.n == 0)
        return;
    struct ack a = {.end = true, .b = s->city.v[s->city.n - 1].row};
    (void)acknowledge(s, &a);
}

/* As main stops: what is not committed then is lost. */
static void stop(struct site *s)
{
    struct err e = {0};
    if (store_step(s->l.store, true, &e) == ST_OK)
        committed(s);
    store_stop(s->l.store);
    line_stop(&s->l);
    for (size_t i = 0; i < s->npolls; i++)
        s->poll[i].of_last_run = false;
    s->l.utc_ms += 3 * TICK_MS;
    s->l.mono_ms += 3 * TICK_MS;
}

/* ---- the verdict ---- */

static int readings_of(const struct site *s, const struct poll *x)
{
    char id[64];
    int n = 0;
    snprintf(id, sizeof id, "%s%u", s->l.device_name, x->device);
    for (size_t i = 0; i < s->city.n; i++) {
        const struct wire_batch *b = &s->city.v[i].batch;
        struct wire_senml it;
        struct wire_reading r;
        if (b->header.kind != WIRE_DATA)
            continue;
        assert_int_equal(
            wire_senml_open(&it, b->cose.payload.p, b->cose.payload.n, "gw-01", NULL, NULL), ST_OK);
        while (wire_senml_next(&it, &r, NULL) == ST_OK)
            n += r.t_ms == x->t_ms && r.device.n == strlen(id) &&
                 memcmp(r.device.p, id, r.device.n) == 0;
    }
    return n;
}

static void assert_each_once(const struct site *s, int64_t to_ms)
{
    for (size_t i = 0; i < s->npolls; i++) {
        const struct poll *x = &s->poll[i];
        int n = readings_of(s, x);
        bool owed = x->taken && (x->committed || x->of_last_run) && x->t_ms < to_ms;
        if (n != 0 && n != (int)s->l.points)
            fail_msg("a poll has %d readings of %u", n, s->l.points);
        if (owed && n == 0)
            fail_msg("a poll of device %u that was %s is lost: %lld ms behind the start", x->device,
                     x->committed ? "committed" : "taken", (long long)(x->t_ms - LINE_M1));
    }
}

static void assert_healthy(struct site *s)
{
    struct store_stats stats;
    store_stats(s->l.store, &stats);
    if (stats.fault[0])
        fail_msg("the fault stays: %s", stats.fault);
    assert_true(stats.last_commit_ms > s->l.utc_ms - 7 * TICK_MS);
    sqlite3 *h = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(s->l.db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "PRAGMA integrity_check", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(q, 0), "ok");
    sqlite3_finalize(q);
    sqlite3_close(h);
}

static void script(const struct nth_case *c)
{
    static struct site s;
    line_init(&s.l);
    s.l.store_cfg.keep_ms = 3 * LINE_MINUTE; /* acknowledged batches leave during the script */
    s.l.utc_ms = LINE_M1;
    nth_begin(c);
    start(&s);
    rounds(&s, ROUNDS);
    end_chain(&s);
    stop(&s);
    start(&s);
    rounds(&s, ROUNDS_LATER);
    nth_disarm();
    rounds(&s, HEALTHY_ROUNDS);
    struct err e = {0};
    if (store_step(s.l.store, true, &e) != ST_OK || seal_step(s.l.seal, &e) != ST_OK)
        fail_msg("it does not recover: %s", e.text);
    line_batches_more(&s.l, &s.city);
    int64_t to_ms = s.city.v[s.city.n - 1].batch.header.to_ms;
    assert_true(to_ms > s.l.utc_ms - 2 * LINE_MINUTE);
    assert_healthy(&s);
    line_assert_chain(&s.city);
    line_assert_all_told(&s.l, &s.city, LINE_M1, to_ms);
    assert_each_once(&s, to_ms);
    line_batches_done(&s.city);
    line_done(&s.l);
}

int main(int argc, char **argv)
{
    const struct nth_plan plan = {.faults = faults,
                                  .nfaults = sizeof faults / sizeof *faults,
                                  .script = script,
                                  .deadline_s = 60,
                                  .samples = 12,
                                  .jobs = 2};
    return nth_run(&plan, argc, argv);
}
