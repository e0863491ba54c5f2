#include "tests/crash/script.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TICK 10000
#define GRACE 2000
/* schema-1.sql: polls up to here, batches up to this one acknowledged or refused. */
#define FIXTURE_MS (5 * LINE_MINUTE)
#define FIXTURE_ACCEPTED 4
#define KEY FP_SOURCE_DIR "/tests/golden/rfc9052.key" /* one that anyone may know */

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

/* ---- one gateway ---- */

static size_t calls(const struct script_run *r)
{
    return r->recording ? r->log.n : r->cut;
}

static void mark(struct script_run *r)
{
    const struct line *l = &r->line;
    if (!r->recording)
        return;
    r->mark = realloc(r->mark, (r->nmark + 1) * sizeof *r->mark);
    assert_non_null(r->mark);
    r->mark[r->nmark++] =
        (struct script_mark){r->log.n, l->utc_ms, l->mono_ms, l->devices, l->machine};
}

static uint64_t dice(struct script_run *r, uint64_t n)
{
    return rec_next(&r->random) % n;
}

static void clock_to(struct script_run *r, int64_t t_ms)
{
    r->line.mono_ms += t_ms - r->line.utc_ms;
    r->line.utc_ms = t_ms;
    mark(r);
}

static void harvest(struct script_run *r)
{
    if (r->reader)
        ledger_harvest(&r->ledger, r->reader, calls(r));
}

/* What a call of the writer's said; a full store may be full, where that is the script. */
static bool worked(struct script_run *r, enum st st, const struct err *e)
{
    r->full = st == ST_FULL;
    if (!r->full || !r->may_fill)
        ok(st, e);
    return st == ST_OK;
}

static void step(struct script_run *r)
{
    struct err e = {0};
    if (worked(r, store_step(r->line.store, false, &e), &e))
        (void)worked(r, seal_step(r->line.seal, &e), &e);
    harvest(r);
}

static void to(struct script_run *r, int64_t t_ms)
{
    clock_to(r, t_ms);
    step(r);
}

static void flush(struct script_run *r)
{
    struct err e = {0};
    if (worked(r, store_step(r->line.store, true, &e), &e))
        ledger_safe(&r->ledger, calls(r));
}

static int64_t value_at(uint32_t device, int64_t t_ms)
{
    return (t_ms / 1000 * 7 + device * 131) % 997;
}

/* One tick of all devices; now and then one of them does not answer. */
static void poll_all(struct script_run *r)
{
    struct line *l = &r->line;
    for (uint32_t d = 0; d < l->devices; d++) {
        if (dice(r, 13) == 0) {
            line_miss(l, d, l->utc_ms, STORE_BUS);
            continue;
        }
        int64_t v = value_at(d, l->utc_ms);
        ledger_put(&r->ledger, d, l->points, l->utc_ms, v, calls(r));
        line_poll(l, d, l->utc_ms, v);
    }
}

/* To behind the end of the next window. The first `flushed` ticks are journalled one by one; the
 * last tick already belongs to the window behind it, and is there when this one is sealed. */
static void window(struct script_run *r, unsigned ticks, unsigned flushed, enum script_phase poll,
                   enum script_phase seal)
{
    int64_t end = (r->line.utc_ms / LINE_MINUTE + 1) * LINE_MINUTE;
    for (unsigned i = 0; r->line.utc_ms < end; i++) {
        rec_phase((int)poll);
        clock_to(r, r->line.utc_ms / TICK * TICK + TICK);
        if (i < ticks)
            poll_all(r); /* else it is as if the collector stood still: nothing tells of it */
        if (i < flushed)
            flush(r);
        rec_phase((int)(r->line.utc_ms < end ? poll : seal));
        step(r);
    }
    to(r, end + GRACE);
}

static void start(struct script_run *r)
{
    struct err e = {0};
    mark(r);
    line_start(&r->line);
    ok(store_reader_open_in(&r->reader, r->line.store, &e), &e);
    to(r, r->line.utc_ms);
}

/* When another program (a person's) has the file open too, its WAL stays, as after a kill. */
static void stop(struct script_run *r, bool shared)
{
    struct store_reader *other = NULL;
    struct err e = {0};
    if (shared)
        ok(store_reader_open(&other, r->line.db, &e), &e);
    store_reader_close(r->reader);
    r->reader = NULL;
    line_stop(&r->line);
    store_reader_close(other);
}

/* ---- the city ---- */

/* Sends all that the reader shows, oldest first. */
static void drain(struct script_run *r)
{
    int64_t sent[256];
    size_t n = 0;
    struct store_batch b;
    struct err e = {0};
    enum st st = ST_OK;
    while (n < 256 && (st = store_pick_batch_but(r->reader, "city", STORE_PICK_OLDEST, sent, n, &b,
                                                 &e)) == ST_OK) {
        ledger_hand(&r->ledger, &b, calls(r));
        sent[n++] = b.id;
    }
    if (st != ST_NOT_FOUND)
        fail_msg("pick: %s", e.text);
}

/* An uplink that is faster than the writer: behind each of its calls to the disk it looks for
 * something to send. */
static void eager(void *ctx)
{
    static const enum store_pick picks[] = {STORE_PICK_CONTROL, STORE_PICK_NEWEST,
                                            STORE_PICK_OLDEST};
    struct script_run *r = ctx;
    for (size_t i = 0; i < sizeof picks / sizeof *picks; i++) {
        struct store_batch b;
        struct err e = {0};
        enum st st = store_pick_batch_but(r->reader, "city", picks[i], NULL, 0, &b, &e);
        if (st == ST_OK)
            ledger_hand(&r->ledger, &b, calls(r));
        else if (st != ST_NOT_FOUND)
            fail_msg("pick: %s", e.text);
    }
}

/* The newest batch that the city was handed and has not accepted. */
static const struct ledger_batch *newest_handed(const struct script_run *r)
{
    for (size_t i = r->ledger.nbatch; i-- > 0;) {
        const struct ledger_batch *x = &r->ledger.batch[i];
        if (x->handed != LEDGER_NEVER && x->accepted == LEDGER_NEVER)
            return x;
    }
    return NULL;
}

static void answer(struct script_run *r, bool prefix)
{
    const struct ledger_batch *x = newest_handed(r);
    struct wire_receipt w = {.gw = "gw-01", .received_ms = r->line.utc_ms};
    struct wire_key *key;
    struct buf receipt;
    struct err e = {0};
    if (!x)
        return;
    w.seq = x->seq;
    w.n = x->n;
    w.through_seq = prefix ? x->seq : 0;
    memcpy(w.chain, x->batch.header.chain, sizeof w.chain);
    memcpy(w.sha256, x->hash, sizeof w.sha256);
    if (prefix)
        memcpy(w.through_hash, x->hash, sizeof w.through_hash);
    ok(wire_key_load(&key, r->line.key, &e), &e);
    buf_init(&receipt, 4096);
    ok(wire_receipt_sign(&w, key, &receipt, &e), &e);
    wire_key_free(key);
    ledger_accept(&r->ledger, w.chain, w.seq, prefix, calls(r));
    line_writer_start(&r->line);
    ok(store_ack(r->line.store, 0, w.chain, w.seq, prefix, (struct wire_span){receipt.p, receipt.n},
                 &e),
       &e);
    line_writer_stop(&r->line);
    buf_done(&receipt);
}

static void answer_all(struct script_run *r)
{
    while (newest_handed(r))
        answer(r, true);
}

static void refuse(struct script_run *r)
{
    const struct ledger_batch *x = newest_handed(r);
    struct err e = {0};
    uint8_t chain[WIRE_ID_BYTES];
    if (!x || x->batch.header.kind != WIRE_DATA)
        return;
    uint64_t seq = x->seq;
    memcpy(chain, x->batch.header.chain, sizeof chain);
    ledger_accept(&r->ledger, chain, seq, false, calls(r));
    line_writer_start(&r->line);
    ok(store_refuse(r->line.store, 0, chain, seq, "bad_cbor", &e), &e);
    line_writer_stop(&r->line);
}

/* ---- runs ---- */

static void copy_key(const char *to_path)
{
    char text[1024];
    FILE *from = fopen(KEY, "r");
    assert_non_null(from);
    size_t n = fread(text, 1, sizeof text, from);
    fclose(from);
    unlink(to_path);
    FILE *f = fopen(to_path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(to_path, 0600), 0);
}

static struct script_run *add_run(struct script_runs *all, const char *name, uint64_t seed)
{
    struct script_run *r = calloc(1, sizeof *r);
    all->v = realloc(all->v, (all->n + 1) * sizeof(struct script_run *));
    assert_true(r && all->v);
    r->name = name;
    for (size_t i = 0; i < all->n; i++)
        r->number += strcmp(all->v[i]->name, name) == 0;
    r->random = seed + 1000 * all->n;
    all->v[all->n++] = r;
    struct line *l = &r->line;
    line_init(l);
    copy_key(l->key);
    free(l->db);
    assert_true(asprintf(&r->dir, "%s/store", l->dir) > 0);
    assert_true(asprintf(&l->db, "%s/fieldpost.db", r->dir) > 0);
    assert_int_equal(mkdir(r->dir, 0700), 0);
    l->store_cfg = (struct store_cfg){.path = l->db,
                                      .max_size_bytes = 4 << 20,
                                      .keep_ms = 7 * LINE_MINUTE / 2,
                                      .keep_rollups_ms = INT64_C(3650) * 86400000,
                                      .journal_every_ms = 3600 * 1000};
    l->devices = 4;
    l->points = 8;
    ledger_init(&r->ledger, l);
    return r;
}

static void record(struct script_run *r)
{
    assert_true(rec_start(&r->log, r->dir));
    rec_random(r->random | 1);
    r->recording = true;
}

static void record_end(struct script_run *r)
{
    stop(r, false);
    rec_stop();
    rec_random(0);
    r->recording = false;
    assert_false(r->log.failed);
}

/* Days of a steady gateway. Every fourth round the city is away. */
static void play_days(struct script_runs *all, uint64_t seed, unsigned rounds)
{
    struct script_run *r = add_run(all, "days", seed);
    r->stays = true;
    record(r);
    rec_phase(PHASE_BIRTH);
    start(r);
    for (unsigned i = 0; i < rounds; i++) {
        bool away = i % 4 == 2;
        window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
        window(r, i % 3 == 2 ? 0 : 6, i % 3 == 1 ? 2 : 0, PHASE_POLL, PHASE_SEAL);
        rec_watch(away ? NULL : eager, r);
        enum script_phase p = away ? PHASE_SEAL : PHASE_UPLOAD;
        window(r, 6, 3, p, p);
        rec_watch(NULL, NULL);
        if (!away) {
            drain(r);
            rec_phase(PHASE_RECEIPT);
            if (i % 4 == 3)
                refuse(r);
            answer(r, false);
            answer_all(r);
        }
        window(r, 6, 0, PHASE_RECEIPT, PHASE_RECEIPT);
        window(r, 6, 0, PHASE_RETENTION, PHASE_RETENTION);
        window(r, 2, 1, PHASE_RETENTION, PHASE_RETENTION);
    }
    record_end(r);
}

static void play_birth(struct script_runs *all, uint64_t seed)
{
    struct script_run *r = add_run(all, "birth", seed);
    r->stays = true;
    record(r);
    rec_phase(PHASE_BIRTH);
    start(r);
    window(r, 6, 3, PHASE_BIRTH, PHASE_BIRTH);
    window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
    record_end(r);
}

static void run_sql(sqlite3 *h, const char *path)
{
    static char text[65536];
    char *why = NULL;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    assert_true(feof(f) && !fclose(f));
    text[n] = 0;
    if (sqlite3_exec(h, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", path, why);
}

/* Whether the store has given unsent batches up for space. */
static bool has_thinned(const struct script_run *r)
{
    for (size_t i = 0; i < r->ledger.nbatch; i++)
        if (r->ledger.batch[i].batch.header.for_from)
            return true;
    return false;
}

/* Devices come and go; now and then the machine or the chain is another. */
static void play_config(struct script_runs *all, uint64_t seed, unsigned changes)
{
    static const uint32_t devices[] = {5, 3, 4, 2, 6};
    struct script_run *r = add_run(all, "configuration", seed);
    record(r);
    rec_phase(PHASE_BIRTH);
    start(r);
    for (unsigned i = 0; i < changes; i++) {
        struct err e = {0};
        window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
        drain(r);
        answer_all(r);
        window(r, i % 3 == 2 ? 0 : 6, i % 3 == 1 ? 4 : 0, PHASE_POLL, PHASE_SEAL);
        to(r, r->line.utc_ms / TICK * TICK + TICK);
        poll_all(r);
        flush(r);
        rec_phase(PHASE_CONFIG);
        if (i % 5 == 3) {
            line_writer_start(&r->line);
            ok(store_chain_end(r->line.store,
                               r->ledger.batch[r->ledger.nbatch - 1].batch.header.chain, &e),
               &e);
            line_writer_stop(&r->line);
        }
        stop(r, i % 2 == 0);
        clock_to(r, r->line.utc_ms + 17000 + (int64_t)dice(r, 300) * 1000);
        r->line.devices = devices[i % 5];
        if (i % 5 == 1)
            r->line.machine = i % 2 ? "machine-b" : "machine-a";
        start(r);
        window(r, 6, 2, PHASE_CONFIG, PHASE_CONFIG);
    }
    record_end(r);
}

/* A store of schema 1, opened by this version. */
static void play_migration(struct script_runs *all, uint64_t seed)
{
    struct script_run *r = add_run(all, "migration", seed);
    struct line *l = &r->line;
    l->store_cfg.keep_ms = INT64_C(60) * 86400000;
    sqlite3 *h = NULL;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    run_sql(h, FP_SOURCE_DIR "/gateway/store/schema/001.sql");
    run_sql(h, FP_SOURCE_DIR "/tests/crash/schema-1.sql");
    assert_int_equal(
        sqlite3_exec(h, "PRAGMA user_version=1; PRAGMA journal_mode=WAL", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    for (int64_t t = LINE_T0 + TICK; t < LINE_T0 + FIXTURE_MS; t += TICK)
        for (uint32_t d = 0; d < l->devices; d++)
            ledger_put(&r->ledger, d, l->points, t, value_at(d, t), 0);
    ledger_safe(&r->ledger, 0);
    clock_to(r, LINE_T0 + FIXTURE_MS + 90000 + 1000 * (int64_t)dice(r, 100));
    record(r);
    rec_phase(PHASE_MIGRATION);
    start(r);
    for (size_t i = 0; i < r->ledger.nbatch; i++)
        if (r->ledger.batch[i].seq <= FIXTURE_ACCEPTED)
            r->ledger.batch[i].handed = r->ledger.batch[i].accepted = 0;
    window(r, 6, 3, PHASE_MIGRATION, PHASE_MIGRATION);
    window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
    record_end(r);
}

/* The city stays away until the store is full, and longer. */
static void play_full(struct script_runs *all, uint64_t seed, unsigned windows)
{
    struct script_run *r = add_run(all, "full", seed);
    r->line.store_cfg.max_size_bytes = 192 << 10;
    r->may_fill = true;
    record(r);
    start(r);
    while (!r->full && !has_thinned(r) && r->line.utc_ms < LINE_T0 + 240 * LINE_MINUTE)
        window(r, 6, 1, PHASE_NONE, PHASE_THINNING);
    for (unsigned i = 0; i < windows && has_thinned(r); i++)
        window(r, 6, 3, PHASE_POLL, PHASE_THINNING);
    r->stuck = !has_thinned(r);
    record_end(r);
}

void script_free(struct script_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++) {
        struct script_run *r = runs->v[i];
        ledger_done(&r->ledger);
        rec_free(&r->log);
        line_done(&r->line);
        free(r->mark);
        free(r->dir);
        free(r);
    }
    free(runs->v);
}

void script_play(struct script_runs *out, uint64_t seed, unsigned rounds)
{
    *out = (struct script_runs){0};
    play_days(out, seed, rounds);
    for (unsigned i = 0; i < 4; i++)
        play_birth(out, seed);
    play_config(out, seed, rounds);
    for (unsigned i = 0; i < 4; i++)
        play_migration(out, seed);
    play_full(out, seed, rounds);
}

enum script_phase script_phase_of(const struct script_run *r, size_t i)
{
    const struct rec_op *o = &r->log.op[i];
    enum script_phase p = (enum script_phase)o->phase;
    bool whole = p == PHASE_NONE || p == PHASE_BIRTH || p == PHASE_MIGRATION || p == PHASE_CONFIG;
    if (whole || (o->kind != REC_WRITE && o->kind != REC_SIZE && o->kind != REC_SYNC))
        return p;
    for (size_t k = 0; k < r->log.n; k++)
        if (r->log.op[k].kind == REC_CREATE && r->log.op[k].file == o->file)
            return strcmp(r->log.op[k].name, "fieldpost.db") == 0 ? PHASE_CHECKPOINT : p;
    return p;
}

/* ---- after the cut ---- */

void script_come_back(struct script_run *r, size_t at, const char *dir)
{
    struct line *l = &r->line;
    const struct script_mark *m = r->mark;
    for (size_t i = 0; i < r->nmark && r->mark[i].at <= at; i++)
        m = &r->mark[i];
    assert_true(asprintf(&l->db, "%s/fieldpost.db", dir) > 0);
    l->store_cfg.path = l->db;
    l->utc_ms = (m->utc_ms / 1000 + 47) * 1000;
    l->mono_ms = 5000;
    l->devices = m->devices;
    l->machine = m->machine;
    l->store = NULL;
    l->seal = NULL;
    r->reader = NULL;
    r->recording = false;
    r->cut = at;
    ledger_forget(&r->ledger, at);
    line_start(l);
}

void script_go_on(struct script_run *r)
{
    to(r, r->line.utc_ms);
    window(r, 6, 6, PHASE_NONE, PHASE_NONE);
    window(r, 6, 3, PHASE_NONE, PHASE_NONE);
}

/* The ledger's batches of the store that was judged last, as the line's assertions want them. */
void script_assert_told(const struct script_run *r)
{
    const struct ledger *g = &r->ledger;
    struct line_batches b = {calloc(g->nbatch + 1, sizeof *b.v), 0};
    int64_t from = INT64_MAX, until = INT64_MIN;
    assert_non_null(b.v);
    for (size_t i = 0; i < g->nbatch; i++) {
        const struct wire_header *h = &g->batch[i].batch.header;
        if (!g->batch[i].held || h->kind != WIRE_DATA)
            continue;
        b.v[b.n++].batch = g->batch[i].batch;
        from = h->from_ms < from ? h->from_ms : from;
        until = h->to_ms > until ? h->to_ms : until;
    }
    from = from > LINE_M1 ? from : LINE_M1;
    if (from < until)
        line_assert_all_told(&r->line, &b, from, until);
    free(b.v);
}
