/* A store that fills up while no uplink takes anything: what goes first, and that every reading is
 * accounted for at a real city in the end. FP_SEED chooses the values, the failures and the lost
 * answers. */
#include <math.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/gateway/seal/town.h"

#define MAX_BYTES (1024 * 1024) /* one thinning writes up to 80 KB: a tenth holds it */
#define FAST                                                                                       \
    3 /* of the devices, the last one bound by law; readings of the others never shrink            \
       */
#define LEGAL (FAST - 1)
#define DEVICES 20
#define POINTS 4
#define FAST_MS 5000
#define SLOW_MS 300000
#define EVERY_MS 300000

static uint64_t seed;

static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t x = seed ^ (a * 0x9e3779b97f4a7c15U) ^ (b * 0xbf58476d1ce4e5b9U) ^ (c << 32);
    x ^= x >> 30, x *= 0xbf58476d1ce4e5b9U;
    x ^= x >> 27, x *= 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static int64_t period_of(uint32_t device)
{
    return device < FAST ? FAST_MS : SLOW_MS;
}

/* ---- what is polled: a function of device, point and time ---- */

static bool answers(uint32_t device, int64_t t_ms)
{
    return mix(device, (uint64_t)t_ms / 40000, 7) % 50 != 0; /* fails for 40 s now and then */
}

static struct num value(uint32_t device, uint32_t point, int64_t t_ms)
{
    uint64_t r = mix(device * POINTS + point, (uint64_t)t_ms, 0);
    int64_t v = (int64_t)(r >> 40) - (1 << 23);
    return point % 3 == 2 ? num_flt((double)v / 7.0) : num_dec(v, -(int)(point % 4));
}

static unsigned quality(uint32_t device, uint32_t point, int64_t t_ms)
{
    uint64_t r = mix(device * POINTS + point, (uint64_t)t_ms, 1);
    return r % 60 == 0 ? WIRE_Q_LIMITS : r % 60 == 1 ? WIRE_Q_STUCK : 0;
}

static void poll_one(struct line *l, uint32_t device)
{
    bool good = answers(device, l->utc_ms);
    struct store_poll p = {device, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, POINTS};
    struct store_value v[POINTS];
    for (uint32_t i = 0; i < POINTS; i++)
        v[i] = (struct store_value){good ? value(device, i, l->utc_ms)
                                         : (struct num){.kind = NUM_NONE},
                                    device * POINTS + i, (uint16_t)quality(device, i, l->utc_ms)};
    enum st st = store_put(l->store, &p, v, 0);
    assert_true(st == ST_OK || st == ST_FULL); /* what a full store does not take becomes a gap */
}

/* ---- what the store holds ---- */

enum { KINDS = 1 + STORE_LEVELS };
struct census {
    int64_t of[KINDS]; /* by batch.kind: raw, control, thinned by level */
    int64_t acked;
};

static void census(struct line *l, struct census *c)
{
    static const char text[] =
        "SELECT b.kind, count(*), sum(EXISTS (SELECT 1 FROM ack a WHERE a.chain = b.id >> 40 AND "
        "a.a <= b.id & 1099511627775 AND a.z >= b.id & 1099511627775)) FROM batch b GROUP BY 1";
    sqlite3 *db;
    sqlite3_stmt *q;
    memset(c, 0, sizeof *c);
    assert_int_equal(sqlite3_open_v2(l->db, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK);
    while (sqlite3_step(q) == SQLITE_ROW) {
        c->of[sqlite3_column_int(q, 0)] = sqlite3_column_int64(q, 1);
        c->acked += sqlite3_column_int64(q, 2);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static int64_t size_of(const struct line *l, const char *suffix)
{
    char path[512];
    struct stat sb;
    snprintf(path, sizeof path, "%s%s", l->db, suffix);
    return stat(path, &sb) == 0 ? sb.st_size : 0;
}

static int64_t on_disk(const struct line *l)
{
    return size_of(l, "") + size_of(l, "-wal") + size_of(l, ".journal") + size_of(l, ".reserve");
}

/* ---- time goes on ---- */

/* One turn of the writer, as main makes it: one half does not keep the other from trying. */
static bool turn(struct line *l)
{
    struct err e = {0};
    enum st a = store_step(l->store, false, &e), b = seal_step(l->seal, &e);
    if ((a != ST_OK && a != ST_FULL) || (b != ST_OK && b != ST_FULL))
        fail_msg("%s", e.text);
    if (on_disk(l) > MAX_BYTES)
        fail_msg("database %lld, WAL %lld, journal %lld bytes", (long long)size_of(l, ""),
                 (long long)size_of(l, "-wal"), (long long)size_of(l, ".journal"));
    return a == ST_OK && b == ST_OK;
}

/* Polls until the next window is sealed, or should have been. */
static bool one_window(struct line *l)
{
    int64_t end = (l->utc_ms / EVERY_MS + 1) * EVERY_MS;
    bool good = true;
    while (l->utc_ms <= end) {
        for (uint32_t d = 0; d < DEVICES; d++)
            if (l->utc_ms % (period_of(d)) == 0)
                poll_one(l, d);
        good = turn(l);
        l->utc_ms += FAST_MS;
        l->mono_ms += FAST_MS;
    }
    return good;
}

static void start(struct line *l)
{
    l->devices = DEVICES;
    l->points = POINTS;
    for (uint32_t d = 0; d < DEVICES; d++)
        l->period_ms[d] = period_of(d);
    l->legal[LEGAL] = true;
    l->store_cfg.max_size_bytes = MAX_BYTES;
    l->store_cfg.keep_ms = 3600000;
    l->store_cfg.journal_every_ms = 100000;
    l->seal_cfg.every_ms = EVERY_MS;
    l->utc_ms = LINE_M1 / EVERY_MS * EVERY_MS;
    const char *given = getenv("FP_SEED");
    seed = given ? strtoull(given, NULL, 0) : 20261126;
    print_message("FP_SEED=%llu\n", (unsigned long long)seed);
    line_start(l);
}

/* ---- the order ---- */

/* A kind may only begin to grow when what goes before it is used up: acknowledged batches, then raw
 * ones but for the tail that waits for the end of its quarter of an hour, then values of a minute.
 * A few are passed over: those that would not end a tenth smaller. */
static void assert_order(const struct census *was, const struct census *is)
{
    const int64_t passed = 4, tail = 4 + passed;
    bool grew[KINDS];
    for (int k = 0; k < KINDS; k++)
        grew[k] = is->of[k] > was->of[k];
    for (int level = STORE_1MIN; level < STORE_LEVELS; level++)
        if (grew[1 + level])
            assert_int_equal(was->acked, 0);
    bool last = grew[1 + STORE_LAST_1MIN] || grew[1 + STORE_LAST_15MIN];
    if (grew[1 + STORE_15MIN] || last)
        assert_in_range(is->of[0], 0, tail);
    if (last)
        assert_in_range(is->of[1 + STORE_1MIN], 0, tail);
}

/* What the law asks for is still as it was read. */
static void assert_legal_is_raw(struct line *l)
{
    struct line_batches b;
    size_t readings = 0;
    line_batches(l, &b);
    for (size_t i = 0; i < b.n; i++) {
        struct wire_senml s;
        struct wire_reading r;
        const struct wire_span *p = &b.v[i].batch.cose.payload;
        if (b.v[i].batch.header.kind != WIRE_DATA)
            continue;
        assert_int_equal(wire_senml_open(&s, p->p, p->n, "gw-01", NULL, NULL), ST_OK);
        while (wire_senml_next(&s, &r, NULL) == ST_OK)
            if (r.device.p[r.device.n - 1] == '0' + LEGAL && r.device.n == strlen("dev-0")) {
                assert_null(memchr(r.point.p, ':', r.point.n));
                readings++;
            }
    }
    assert_true(readings > 0);
    line_batches_done(&b);
}

/* Fills the store until nothing can be sealed for half an hour. How many windows that took. */
static int fill(struct line *l, struct town *t, struct census *c)
{
    int windows = 0, failed = 0;
    bool looked = false;
    census(l, c);
    while (failed < 6) {
        struct census was = *c;
        failed = one_window(l) ? 0 : failed + 1;
        assert_in_range(++windows, 0, 2000);
        if (mix((uint64_t)windows, 3, 3) % 8 == 0)
            town_lose_an_answer(t);
        census(l, c);
        assert_order(&was, c);
        if (!looked && c->of[1 + STORE_15MIN] > 8 && c->of[1 + STORE_LAST_1MIN] == 0) {
            assert_legal_is_raw(l);
            looked = true;
        }
    }
    assert_true(looked);
    return windows;
}

/* ---- what the city holds, against what was polled ---- */

/* How often each tick of each series is at the city. */
struct seen {
    const struct town *t;
    int64_t from_ms, to_ms;
    size_t ticks; /* of FAST_MS */
    uint8_t *n;   /* [series][tick] */
    size_t raw, thinned;
};

static size_t tick_of(const struct seen *s, int64_t t_ms)
{
    assert_in_range(t_ms, s->from_ms, s->to_ms - 1);
    assert_int_equal((t_ms - s->from_ms) % FAST_MS, 0);
    return (size_t)((t_ms - s->from_ms) / FAST_MS);
}

static const struct town_batch *batch_of(const struct town *t, uint64_t seq)
{
    for (size_t i = 0; i < t->nbatch; i++)
        if (t->batch[i].seq == seq)
            return &t->batch[i];
    fail_msg("the dump has batch %llu, which nobody sent", (unsigned long long)seq);
    return NULL;
}

static struct num number_of(const char *text)
{
    struct num v;
    return num_parse(text, &v) ? v : num_flt(strtod(text, NULL));
}

static bool same_number(struct num a, const char *text)
{
    char own[NUM_TEXT_BYTES];
    return strcmp(num_text(a, own), text) == 0;
}

/* The six values of one interval, as the dump brings them: sorted by series, so one after another
 * for each suffix. They are gathered by series and time. */
struct group {
    uint32_t series;
    uint64_t seq;
    int64_t t_ms;
    unsigned q;
    char text[6][64];
    unsigned have;
};
static const char *const suffixes[6] = {"count", "mean", "min", "max", "first", "last"};

static struct group *group_of(struct group **all, size_t *n, uint32_t series, uint64_t seq,
                              int64_t t_ms)
{
    for (size_t i = *n; i-- > 0;)
        if ((*all)[i].series == series && (*all)[i].seq == seq && (*all)[i].t_ms == t_ms)
            return &(*all)[i];
    if ((*n & (*n - 1)) == 0) {
        *all = realloc(*all, (*n ? 2 * *n : 1) * sizeof **all);
        assert_non_null(*all);
    }
    (*all)[*n] = (struct group){.series = series, .seq = seq, .t_ms = t_ms};
    return &(*all)[(*n)++];
}

/* Whether the group says of [a, z) what was polled then. */
static bool group_fits(const struct group *g, int64_t a, int64_t z, int64_t period)
{
    uint32_t device = g->series / POINTS, point = g->series % POINTS;
    struct num none = {.kind = NUM_NONE}, min = none, max = none, first = none, last = none;
    double sum = 0;
    unsigned q = WIRE_Q_COMPUTED;
    uint64_t n = 0;
    for (int64_t at = (a + period - 1) / period * period; at < z; at += period) {
        if (!answers(device, at))
            continue;
        struct num v = value(device, point, at);
        first = n ? first : v;
        last = v;
        min = n == 0 || num_cmp(v, min) < 0 ? v : min;
        max = n == 0 || num_cmp(v, max) > 0 ? v : max;
        sum += num_double(v);
        q |= quality(device, point, at);
        n++;
    }
    double mean = sum / (double)n, said = strtod(g->text[1], NULL);
    return n > 0 && strtoull(g->text[0], NULL, 10) == n &&
           fabs(mean - said) <= 1e-9 * (fabs(mean) + 1) && same_number(min, g->text[2]) &&
           same_number(max, g->text[3]) && same_number(first, g->text[4]) &&
           same_number(last, g->text[5]) && g->q == q;
}

static void group_check(struct seen *s, const struct group *g)
{
    static const int64_t steps[] = {60000, 900000};
    const struct town_batch *b = batch_of(s->t, g->seq);
    int64_t period = period_of(g->series / POINTS);
    assert_int_equal(g->have, 0x3f);
    assert_true(b->for_from > 0);
    for (size_t i = 0; i < 2; i++) {
        int64_t a = g->t_ms > b->from_ms ? g->t_ms : b->from_ms;
        int64_t z = g->t_ms + steps[i] < b->to_ms ? g->t_ms + steps[i] : b->to_ms;
        if (g->t_ms % steps[i] != 0 || !group_fits(g, a, z, period))
            continue;
        for (int64_t at = (a + period - 1) / period * period; at < z; at += period)
            if (answers(g->series / POINTS, at))
                s->n[g->series * s->ticks + tick_of(s, at)]++;
        s->thinned++;
        return;
    }
    fail_msg(
        "series %u at %lld in batch %llu: count %s mean %s min %s max %s first %s last %s q %u",
        g->series, (long long)g->t_ms, (unsigned long long)g->seq, g->text[0], g->text[1],
        g->text[2], g->text[3], g->text[4], g->text[5], g->q);
}

static void raw_check(struct seen *s, const struct town_row *r, uint32_t device, uint32_t point)
{
    if (!answers(device, r->ts_ms) ||
        num_cmp(number_of(r->value), value(device, point, r->ts_ms)) != 0 ||
        r->q != quality(device, point, r->ts_ms))
        fail_msg("%s at %lld is %s", r->series, r->ts_ms, r->value);
    s->n[(device * POINTS + point) * s->ticks + tick_of(s, r->ts_ms)]++;
    s->raw++;
}

static void read_dump(struct seen *s)
{
    char *text = site_dump(s->t->site, false);
    const char *at = text;
    struct town_row r;
    struct group *all = NULL;
    size_t n = 0;
    while (town_row(&at, &r)) {
        unsigned device, point;
        char what[16] = "";
        assert_in_range(sscanf(r.series, "dev-%u/p%u:%15s", &device, &point, what), 2, 3);
        if (!what[0]) {
            raw_check(s, &r, device, point);
            continue;
        }
        struct group *g = group_of(&all, &n, device * POINTS + point, r.seq, r.ts_ms);
        for (unsigned k = 0; k < 6; k++)
            if (strcmp(what, suffixes[k]) == 0) {
                assert_int_equal(g->have & 1U << k, 0);
                g->have |= 1U << k;
                snprintf(g->text[k], sizeof g->text[k], "%s", r.value);
            }
        g->q = r.q;
    }
    for (size_t i = 0; i < n; i++)
        group_check(s, &all[i]);
    free(all);
    free(text);
}

static bool in_gap(const struct town *t, uint32_t device, uint32_t point, int64_t t_ms)
{
    char series[64], any[64];
    snprintf(series, sizeof series, "dev-%u/p%u", device, point);
    snprintf(any, sizeof any, "dev-%u/*", device);
    for (size_t i = 0; i < t->ngap; i++) {
        const struct town_gap *g = &t->gap[i];
        if (g->from_ms <= t_ms && t_ms < g->to_ms &&
            (strcmp(g->series, "*") == 0 || strcmp(g->series, any) == 0 ||
             strcmp(g->series, series) == 0))
            return true;
    }
    return false;
}

/* Every tick that was polled well is at the city exactly once or lies in a gap. */
static void assert_accounted(const struct town *t, int64_t from_ms, int64_t to_ms)
{
    struct seen s = {.t = t, .from_ms = from_ms, .to_ms = to_ms};
    s.ticks = (size_t)((to_ms - from_ms) / FAST_MS) + 1;
    s.n = calloc(s.ticks, (size_t)DEVICES * POINTS);
    assert_non_null(s.n);
    read_dump(&s);
    for (uint32_t d = 0; d < DEVICES; d++)
        for (uint32_t p = 0; p < POINTS; p++)
            for (int64_t at = from_ms; at < to_ms; at += period_of(d)) {
                unsigned n = s.n[(d * POINTS + p) * s.ticks + tick_of(&s, at)];
                if (n > 1 || (n == 0 && !in_gap(t, d, p, at)))
                    fail_msg("dev-%u/p%u at %lld is there %u times", d, p, (long long)at, n);
            }
    print_message("%zu raw readings, %zu thinned values at the city\n", s.raw, s.thinned);
    assert_true(s.raw > 0 && s.thinned > 0);
    free(s.n);
}

static void assert_whole_chain(struct town *t)
{
    struct err e = {0};
    struct store_chain c;
    assert_int_equal(store_chain_last(t->line->store, &c, &e), ST_OK);
    assert_int_equal(t->last.through_seq, c.last_seq);
    assert_memory_equal(t->last.through_hash, c.last_hash, sizeof c.last_hash);
    assert_int_equal(site_call(t->site, "GET", "/v1/gateways/gw-01/head?nonce=n", NULL, 0, NULL),
                     200);
    struct wire_head h;
    struct wire_cose cose;
    assert_int_equal(wire_head_open(&h, &cose, t->site->reply.body.p, t->site->reply.body.n, &e),
                     ST_OK);
    assert_int_equal(h.nchains, 1);
    assert_int_equal(h.chains[0].nbroken, 0);
    assert_int_equal(h.chains[0].nmissing, 0);
    wire_head_done(&h);
}

static void a_full_store_thins_in_order_and_loses_nothing(void **state)
{
    struct line *l = *state;
    struct town t;
    struct census c;
    start(l);
    town_open(&t, l);
    int64_t from = l->utc_ms;
    for (int i = 0; i < 20; i++) { /* with the city there: history is acknowledged */
        assert_true(one_window(l));
        if (i % 4 == 3) {
            line_writer_start(l);
            town_drain(&t);
            line_writer_stop(l);
        }
    }
    census(l, &c);
    assert_true(c.acked > 0 && c.of[2] == 0);
    int windows = fill(l, &t, &c);
    print_message("full after %d windows: raw %lld, control %lld, thinned %lld %lld %lld %lld\n",
                  windows, (long long)c.of[0], (long long)c.of[1], (long long)c.of[2],
                  (long long)c.of[3], (long long)c.of[4], (long long)c.of[5]);
    assert_true(c.of[1 + STORE_LAST_15MIN] > 0);
    for (int i = 0; i < 3; i++)
        (void)one_window(l);
    line_writer_start(l);
    town_drain(&t);
    line_writer_stop(l);
    for (int i = 0; i < 4; i++) /* there is room again: what waited is sealed */
        (void)one_window(l);
    assert_true(one_window(l));
    line_writer_start(l);
    town_drain(&t);
    line_writer_stop(l);
    int64_t to = 0;
    for (size_t i = 0; i < t.nbatch; i++)
        to = t.batch[i].to_ms > to ? t.batch[i].to_ms : to;
    assert_whole_chain(&t);
    assert_accounted(&t, from, to);
    town_close(&t);
}

/* ---- without a clock ---- */

/* How many data batches stand for thinned ones; what was polled without a clock has its time when
 * told, and only then. */
static size_t thinned_blind(struct line *l, bool told)
{
    struct line_batches b;
    size_t n = 0;
    line_batches(l, &b);
    for (size_t i = 0; i < b.n; i++) {
        const struct wire_header *h = &b.v[i].batch.header;
        if (h->kind != WIRE_DATA || h->clk != CLK_UNKNOWN)
            continue;
        n += h->for_from != 0;
        if (b.v[i].moved != told)
            fail_msg("batch %llu: moved %d", (unsigned long long)h->seq, b.v[i].moved);
        if (told)
            assert_true(b.v[i].add_ms == l->utc_ms - (CLK_UNKNOWN_BASE_MS + l->mono_ms));
    }
    line_batches_done(&b);
    return n;
}

static void a_store_full_of_unknown_times_is_thinned_and_told_them_later(void **state)
{
    struct line *l = *state;
    start(l);
    line_stop(l);
    l->grade = CLK_UNKNOWN;
    int64_t utc_ms = l->utc_ms;
    l->mono_ms = EVERY_MS - CLK_UNKNOWN_BASE_MS % EVERY_MS; /* polls are due at round times */
    l->utc_ms = CLK_UNKNOWN_BASE_MS + l->mono_ms;
    int64_t away_ms = utc_ms - l->utc_ms;
    line_start(l);
    struct census c = {{0}, 0};
    for (int windows = 0; c.of[1 + STORE_1MIN] < 5; windows++) {
        assert_true(one_window(l));
        assert_in_range(windows, 0, 500);
        census(l, &c);
    }
    assert_true(thinned_blind(l, false) >= 5);
    l->grade = CLK_SYNCED;
    l->utc_ms += away_ms;
    for (int i = 0; i < 4; i++) {
        (void)turn(l);
        l->utc_ms += FAST_MS;
        l->mono_ms += FAST_MS;
    }
    size_t before = thinned_blind(l, true);
    for (int windows = 0; c.of[1 + STORE_15MIN] < 5;
         windows++) { /* what was moved is thinned, too */
        (void)one_window(l);
        assert_in_range(windows, 0, 500);
        census(l, &c);
    }
    size_t n = thinned_blind(l, true);
    assert_true(n > 0 && before >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
        T(a_full_store_thins_in_order_and_loses_nothing),
        T(a_store_full_of_unknown_times_is_thinned_and_told_them_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
