/* Charts of one series out of 102, by the product's own store: chart [DATABASE].
 *
 * The day is the last one of DATABASE (made by the benchmark `store`: 60 days of 102 series each
 * minute in windows of 5 minutes), the year one that this program makes first: 102 series every 15
 * minutes in windows of an hour, so that it has the rows of a year, and the last two days each
 * minute as above; without DATABASE the day is of these. Prints `name value unit` lines, raw counts
 * first; a time is the best of so many charts. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "gateway/store/rollup_int.h"
#include "tests/support/line.h"

#define DEVICES 3
#define POINTS 34
#define DAY_MS INT64_C(86400000)
#define REPEAT 21
#define PIXELS 1000

static void refuse(const char *what, const struct err *e)
{
    (void)fprintf(stderr, "chart: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static double clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Values that wander like a measured quantity with one decimal. */
static void poll_all(struct line *l)
{
    static uint32_t x = 1;
    static int64_t at[DEVICES * POINTS];
    for (uint32_t d = 0; d < DEVICES; d++) {
        struct store_poll p = {d, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, POINTS};
        struct store_value v[POINTS];
        for (uint32_t i = 0; i < POINTS; i++) {
            x = x * 1664525 + 1013904223;
            at[d * POINTS + i] += (int64_t)(x >> 8) % 15 - 7;
            v[i] = (struct store_value){num_dec(2000 + at[d * POINTS + i], -1), d * POINTS + i, 0};
        }
        if (store_put(l->store, &p, v, 0) != ST_OK)
            refuse("the queue is full", NULL);
    }
}

/* What making rollups takes: the job's turns, and what it takes from the frames of each seal (the
 * linker puts our function in front of the store's). */
static struct {
    double cpu_ms, longest_cpu_ms;
    uint64_t readings;
} job;

static void job_took(double since)
{
    double took = clock_ms(CLOCK_THREAD_CPUTIME_ID) - since;
    job.cpu_ms += took;
    job.longest_cpu_ms = took > job.longest_cpu_ms ? took : job.longest_cpu_ms;
}

static void turn(struct line *l)
{
    double before = clock_ms(CLOCK_THREAD_CPUTIME_ID);
    store_rollup_step(l->store);
    job_took(before);
}

void __real_store_rollup_sealed(struct store *s, const struct store_sealed *b, int64_t id,
                                const bool *use);
void __wrap_store_rollup_sealed(struct store *s, const struct store_sealed *b, int64_t id,
                                const bool *use);
void __wrap_store_rollup_sealed(struct store *s, const struct store_sealed *b, int64_t id,
                                const bool *use)
{
    double before = clock_ms(CLOCK_THREAD_CPUTIME_ID);
    __real_store_rollup_sealed(s, b, id, use);
    job_took(before);
}

static void live(struct line *l, int64_t to_ms, int64_t period_ms, int64_t window_ms)
{
    memset(&job, 0, sizeof job);
    for (uint32_t d = 0; d < DEVICES; d++)
        l->period_ms[d] = period_ms;
    l->seal_cfg.every_ms = window_ms;
    line_start(l);
    while (l->utc_ms < to_ms) {
        turn(l);
        poll_all(l);
        job.readings += DEVICES * POINTS;
        line_to(l, l->utc_ms + period_ms);
    }
    line_step(l, true);
    line_stop(l);
}

static void make_year(struct line *l)
{
    l->devices = DEVICES;
    l->points = POINTS;
    l->store_cfg.max_size_bytes = INT64_C(16) << 30;
    l->store_cfg.keep_ms = 3650 * DAY_MS;
    l->store_cfg.journal_every_ms = 3600000;
    l->grade = CLK_SYNCED;
    int64_t end = LINE_T0 / DAY_MS * DAY_MS;
    l->utc_ms = end - 365 * DAY_MS;
    live(l, end - 2 * DAY_MS, 900000, 3600000);
    live(l, end, 60000, 300000);
}

static int64_t ask(const char *path, const char *sql, char *text, size_t n)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *q = NULL;
    if (sqlite3_open_v2(path, &h, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(h, sql, -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW)
        refuse(sqlite3_errmsg(h), NULL);
    int64_t v = sqlite3_column_int64(q, 0);
    if (text)
        (void)snprintf(text, n, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(h);
    return v;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *name, const char *path, int64_t length_ms)
{
    char series[160];
    double ms[REPEAT], cpu_ms = 1e9;
    struct err e = {0};
    struct store_reader *r;
    struct store_chart c = {0};
    int64_t to_ms = ask(path, "SELECT max(to_ms) FROM batch", NULL, 0);
    (void)ask(path, "SELECT name FROM series ORDER BY id LIMIT 1 OFFSET 50", series, sizeof series);
    char *point = strchr(series, '/');
    if (!point)
        refuse("the store has no series", NULL);
    *point++ = '\0';
    const struct store_chart_ask ask_for = {series, point, to_ms - length_ms, to_ms, PIXELS};
    if (store_reader_open(&r, path, &e) != ST_OK)
        refuse(path, &e);
    uint64_t readings = 0;
    for (int i = 0; i < REPEAT; i++) {
        store_chart_done(&c);
        double before = clock_ms(CLOCK_MONOTONIC), cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID);
        if (store_chart_read(r, &ask_for, &c, &e) != ST_OK)
            refuse("a chart", &e);
        ms[i] = clock_ms(CLOCK_MONOTONIC) - before;
        cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
        cpu_ms = cpu < cpu_ms ? cpu : cpu_ms;
    }
    for (uint32_t i = 0; i < c.n; i++)
        readings += c.point[i].count;
    qsort(ms, REPEAT, sizeof *ms, by_size);
    printf("store.%s.raw.points %u 1\nstore.%s.raw.readings %" PRIu64 " 1\n", name, c.n, name,
           readings);
    printf("store.%s.raw.batches_decoded %" PRIu64 " 1\nstore.%s.raw.rows_read %" PRIu64 " 1\n",
           name, c.batches, name, c.rows);
    printf("store.%s.raw.bytes_decoded %" PRIu64 " B\nstore.%s.raw.cpu_ms %.2f ms\n"
           "store.%s.raw.median_ms %.2f ms\nstore.%s.raw.slowest_ms %.2f ms\n",
           name, c.bytes, name, cpu_ms, name, ms[REPEAT / 2], name, ms[REPEAT - 1]);
    printf("store.%s_ms %.2f ms\n", name, ms[0]);
    store_chart_done(&c);
    store_reader_close(r);
}

static void sizes(const char *path)
{
    /* The last day, which is polled each minute. */
    static const char where[] = "FROM rollup_quarter WHERE id >> 16 > "
                                "(SELECT max(id) >> 16 FROM rollup_quarter) - 96";
    char count[160], sum[160];
    (void)snprintf(count, sizeof count, "SELECT count(*) %s", where);
    (void)snprintf(sum, sizeof sum, "SELECT sum(length(bytes)) %s", where);
    int64_t rows = ask(path, count, NULL, 0), bytes = ask(path, sum, NULL, 0);
    int64_t all = ask(path, "SELECT sum(length(bytes)) FROM rollup_quarter", NULL, 0);
    int64_t days = ask(path, "SELECT sum(length(bytes)) FROM rollup_day", NULL, 0);
    printf("store.rollup.raw.bytes_15min %" PRId64 " B\nstore.rollup.raw.bytes_1day %" PRId64
           " B\nstore.rollup.raw.last_rows_15min %" PRId64
           " 1\nstore.rollup.raw.last_bytes_15min %" PRId64 " B\n",
           all, days, rows, bytes);
    printf("store.rollup.raw.cpu_ms %.1f ms\nstore.rollup.raw.readings %" PRIu64 " 1\n", job.cpu_ms,
           job.readings);
    printf("store.rollup_cpu_s_per_1m %.3f s\nstore.rollup_turn_cpu_ms %.2f ms\n",
           job.cpu_ms * 1e3 / (double)job.readings, job.longest_cpu_ms);
    printf("store.rollup_b_per_series_and_quarter %.2f B\n",
           (double)bytes / (double)rows / (DEVICES * POINTS));
}

int main(int argc, char **argv)
{
    static struct line l;
    if (argc > 2)
        refuse("usage: chart [DATABASE]", NULL);
    line_init(&l);
    make_year(&l);
    const char *day = argc == 2 ? argv[1] : l.db;
    sizes(day);
    measure("chart_day", day, DAY_MS);
    measure("chart_quarter", l.db, 90 * DAY_MS);
    measure("chart_year", l.db, 365 * DAY_MS);
    line_done(&l);
    return 0;
}
