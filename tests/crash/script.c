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

#define TICK SITE_TICK
/* schema-1.sql: polls up to here, batches up to this one acknowledged or refused. */
#define FIXTURE_MS (5 * LINE_MINUTE)
#define FIXTURE_ACCEPTED 4
#define KEY FP_SOURCE_DIR "/tests/golden/rfc9052.key" /* one that anyone may know */

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

static struct site *add_run(struct script_runs *all, const char *name, uint64_t seed)
{
    struct site *r = calloc(1, sizeof *r);
    all->v = realloc(all->v, (all->n + 1) * sizeof(struct site *));
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

static void record(struct site *r)
{
    assert_true(rec_start(&r->log, r->dir));
    rec_random(r->random | 1);
    r->recording = true;
}

static void record_end(struct site *r)
{
    site_stop(r, false);
    rec_stop();
    rec_random(0);
    r->recording = false;
    assert_false(r->log.failed);
}

/* Days of a steady gateway. Every fourth round the city is away. */
static void play_days(struct script_runs *all, uint64_t seed, unsigned rounds)
{
    struct site *r = add_run(all, "days", seed);
    r->stays = true;
    record(r);
    rec_phase(PHASE_BIRTH);
    site_start(r);
    for (unsigned i = 0; i < rounds; i++) {
        bool away = i % 4 == 2;
        site_window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
        site_window(r, i % 3 == 2 ? 0 : 6, i % 3 == 1 ? 2 : 0, PHASE_POLL, PHASE_SEAL);
        rec_watch(away ? NULL : site_eager, r);
        enum site_phase p = away ? PHASE_SEAL : PHASE_UPLOAD;
        site_window(r, 6, 3, p, p);
        rec_watch(NULL, NULL);
        if (!away) {
            site_drain(r);
            rec_phase(PHASE_RECEIPT);
            if (i % 4 == 3)
                site_refuse(r);
            site_answer(r, false);
            site_answer_all(r);
        }
        site_window(r, 6, 0, PHASE_RECEIPT, PHASE_RECEIPT);
        site_window(r, 6, 0, PHASE_RETENTION, PHASE_RETENTION);
        site_window(r, 2, 1, PHASE_RETENTION, PHASE_RETENTION);
    }
    record_end(r);
}

static void play_birth(struct script_runs *all, uint64_t seed)
{
    struct site *r = add_run(all, "birth", seed);
    r->stays = true;
    record(r);
    rec_phase(PHASE_BIRTH);
    site_start(r);
    site_window(r, 6, 3, PHASE_BIRTH, PHASE_BIRTH);
    site_window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
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
static bool has_thinned(const struct site *r)
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
    struct site *r = add_run(all, "configuration", seed);
    record(r);
    rec_phase(PHASE_BIRTH);
    site_start(r);
    for (unsigned i = 0; i < changes; i++) {
        struct err e = {0};
        site_window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
        site_drain(r);
        site_answer_all(r);
        site_window(r, i % 3 == 2 ? 0 : 6, i % 3 == 1 ? 4 : 0, PHASE_POLL, PHASE_SEAL);
        site_to(r, r->line.utc_ms / TICK * TICK + TICK);
        site_poll(r);
        site_flush(r);
        rec_phase(PHASE_CONFIG);
        if (i % 5 == 3) {
            line_writer_start(&r->line);
            site_ok(store_chain_end(r->line.store,
                                    r->ledger.batch[r->ledger.nbatch - 1].batch.header.chain, &e),
                    &e);
            line_writer_stop(&r->line);
        }
        site_stop(r, i % 2 == 0);
        site_clock_to(r, r->line.utc_ms + 17000 + (int64_t)site_dice(r, 300) * 1000);
        r->line.devices = devices[i % 5];
        if (i % 5 == 1)
            r->line.machine = i % 2 ? "machine-b" : "machine-a";
        site_start(r);
        site_window(r, 6, 2, PHASE_CONFIG, PHASE_CONFIG);
    }
    record_end(r);
}

/* A store of schema 1, opened by this version. */
static void play_migration(struct script_runs *all, uint64_t seed)
{
    struct site *r = add_run(all, "migration", seed);
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
            ledger_put(&r->ledger, d, l->points, t, site_value(d, t), 0);
    ledger_safe(&r->ledger, 0);
    site_clock_to(r, LINE_T0 + FIXTURE_MS + 90000 + 1000 * (int64_t)site_dice(r, 100));
    record(r);
    rec_phase(PHASE_MIGRATION);
    site_start(r);
    for (size_t i = 0; i < r->ledger.nbatch; i++)
        if (r->ledger.batch[i].seq <= FIXTURE_ACCEPTED)
            r->ledger.batch[i].handed = r->ledger.batch[i].accepted = 0;
    site_window(r, 6, 3, PHASE_MIGRATION, PHASE_MIGRATION);
    site_window(r, 6, 6, PHASE_POLL, PHASE_FOLD);
    record_end(r);
}

/* The city stays away until the store is full, and longer. */
static void play_full(struct script_runs *all, uint64_t seed, unsigned windows)
{
    struct site *r = add_run(all, "full", seed);
    r->line.store_cfg.max_size_bytes = 192 << 10;
    r->may_fill = true;
    record(r);
    site_start(r);
    while (!r->full && !has_thinned(r) && r->line.utc_ms < LINE_T0 + 240 * LINE_MINUTE)
        site_window(r, 6, 1, PHASE_NONE, PHASE_THINNING);
    for (unsigned i = 0; i < windows && has_thinned(r); i++)
        site_window(r, 6, 3, PHASE_POLL, PHASE_THINNING);
    r->stuck = !has_thinned(r);
    record_end(r);
}

void script_free(struct script_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++) {
        struct site *r = runs->v[i];
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

enum site_phase script_phase_of(const struct site *r, size_t i)
{
    const struct rec_op *o = &r->log.op[i];
    enum site_phase p = (enum site_phase)o->phase;
    bool whole = p == PHASE_NONE || p == PHASE_BIRTH || p == PHASE_MIGRATION || p == PHASE_CONFIG;
    if (whole || (o->kind != REC_WRITE && o->kind != REC_SIZE && o->kind != REC_SYNC))
        return p;
    for (size_t k = 0; k < r->log.n; k++)
        if (r->log.op[k].kind == REC_CREATE && r->log.op[k].file == o->file)
            return strcmp(r->log.op[k].name, "fieldpost.db") == 0 ? PHASE_CHECKPOINT : p;
    return p;
}

/* ---- after the cut ---- */

static void set_back(struct site *r, size_t at, const char *dir)
{
    struct line *l = &r->line;
    const struct site_mark *m = r->mark;
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
}

void script_come_back(struct site *r, size_t at, const char *dir)
{
    set_back(r, at, dir);
    line_start(&r->line);
}

void script_play_back(struct site *r, size_t at, const char *dir, uint64_t seed, size_t *taken)
{
    set_back(r, at, dir);
    while (r->nmark > 1 && r->mark[r->nmark - 1].at > at)
        r->nmark--; /* that did not come to be */
    r->mark[0].at = 0;
    assert_true(rec_start(&r->log, dir));
    *taken = r->log.n;
    r->before = at - *taken;
    rec_random(seed | 1);
    r->recording = true;
    site_start(r);
    rec_watch(site_eager, r);
    site_window(r, 6, 3, PHASE_AGAIN, PHASE_AGAIN);
    rec_watch(NULL, NULL);
    record_end(r);
}

void script_go_on(struct site *r)
{
    site_to(r, r->line.utc_ms);
    site_window(r, 6, 6, PHASE_NONE, PHASE_NONE);
    site_window(r, 6, 3, PHASE_NONE, PHASE_NONE);
}

/* The ledger's batches of the store that was judged last, as the line's assertions want them. What
 * a void entry names is told by it, though the batch may have left before older ones. */
void script_assert_told(const struct site *r)
{
    const struct ledger *g = &r->ledger;
    struct line_batches b = {calloc(g->nbatch + 1, sizeof *b.v), 0};
    int64_t from = INT64_MAX, until = INT64_MIN;
    assert_non_null(b.v);
    for (size_t i = 0; i < g->nbatch; i++) {
        const struct wire_header *h = &g->batch[i].batch.header;
        if ((!g->batch[i].held && !g->batch[i].voided) || h->kind != WIRE_DATA)
            continue;
        b.v[b.n++].batch = g->batch[i].batch;
        if (!g->batch[i].held)
            continue;
        from = h->from_ms < from ? h->from_ms : from;
        until = h->to_ms > until ? h->to_ms : until;
    }
    from = from > LINE_M1 ? from : LINE_M1;
    if (from < until)
        line_assert_all_told(&r->line, &b, from, until);
    free(b.v);
}
