/* A store full of sealed batches, made by the product's own store and seal in minutes instead of
 * months: backlog FOLDER GATEWAY KEY MACHINE DEVICES POINTS PERIOD_S EVERY_S MAX_READINGS DAYS
 * <values.
 *
 * Standard input holds one series a line: its quantity, its decimal places and then its values,
 * which repeat; they are the shared traces. The clock is ours and stands at the end where `date` is
 * now. Prints what was made as `name value` lines. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "sensors/quantity.h"
#include "tests/support/line.h"

#define VALUES_MAX 10000

struct source {
    char *quantity;
    int places;
    size_t n;
    int64_t value[VALUES_MAX];
};

static void refuse(const char *what)
{
    (void)fprintf(stderr, "backlog: %s\n", what);
    exit(2);
}

static void read_source(struct source *s, char *text)
{
    char *save = NULL;
    char *word = strtok_r(text, " \n", &save);
    s->quantity = word ? strdup(word) : NULL;
    word = word ? strtok_r(NULL, " \n", &save) : NULL;
    if (!s->quantity || !quantity_by_key(s->quantity) || !word)
        refuse("a series is: quantity, decimal places, values");
    s->places = (int)strtol(word, NULL, 10);
    while ((word = strtok_r(NULL, " \n", &save)) && s->n < VALUES_MAX)
        s->value[s->n++] = strtoll(word, NULL, 10);
    if (s->n == 0)
        refuse("a series without values");
}

static struct source *read_sources(size_t n)
{
    struct source *s = calloc(n, sizeof *s);
    char *text = NULL;
    size_t room = 0;
    for (size_t i = 0; i < n; i++) {
        if (!s || getline(&text, &room, stdin) <= 0)
            refuse("fewer series on standard input than devices * points");
        read_source(&s[i], text);
    }
    free(text);
    return s;
}

static void poll_device(struct line *l, const struct source *s, uint32_t device, uint64_t turn)
{
    static struct store_value v[STORE_POLL_MAX];
    struct store_poll p = {device, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, l->points};
    for (uint32_t i = 0; i < l->points; i++) {
        uint32_t series = device * l->points + i;
        const struct source *x = &s[series];
        v[i] = (struct store_value){num_dec(x->value[turn % x->n], -x->places), series, 0};
    }
    if (store_put(l->store, &p, v, 0) != ST_OK)
        refuse("the queue is full");
}

static void fill(struct line *l, const struct source *s, int64_t end_ms)
{
    int64_t period = l->period_ms[0];
    for (uint64_t turn = 0; l->utc_ms < end_ms; turn++) {
        for (uint32_t d = 0; d < l->devices; d++)
            poll_device(l, s, d, turn);
        line_to(l, l->utc_ms + period);
    }
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static const char *const *quantities(const struct source *s, size_t n)
{
    const char **q = calloc(n, sizeof *q);
    if (!q)
        refuse("no memory");
    for (size_t i = 0; i < n; i++)
        q[i] = s[i].quantity;
    return q;
}

enum {
    FOLDER = 1,
    GATEWAY,
    KEY,
    MACHINE,
    DEVICES,
    POINTS,
    PERIOD_S,
    EVERY_S,
    MAX_READINGS,
    DAYS,
    ARGS
};

static void configure(struct line *l, char **argv)
{
    l->gateway = argv[GATEWAY];
    l->machine = argv[MACHINE];
    l->devices = (uint32_t)strtoul(argv[DEVICES], NULL, 10);
    l->points = (uint32_t)strtoul(argv[POINTS], NULL, 10);
    if (l->devices == 0 || l->devices > LINE_DEVICES_MAX || l->points == 0 ||
        l->points > STORE_POLL_MAX)
        refuse("too many devices or points, or none");
    for (uint32_t d = 0; d < LINE_DEVICES_MAX; d++)
        l->period_ms[d] = strtoll(argv[PERIOD_S], NULL, 10) * 1000;
    free(l->db);
    if (l->period_ms[0] <= 0 || asprintf(&l->db, "%s/fieldpost.db", argv[FOLDER]) < 0)
        refuse("no period, or no memory");
    /* Made at one go: no commit of the journal between the seals. */
    l->store_cfg = (struct store_cfg){.path = l->db,
                                      .max_size_bytes = INT64_C(64) << 30,
                                      .keep_ms = INT64_C(3650) * 86400000,
                                      .keep_rollups_ms = INT64_C(3650) * 86400000,
                                      .journal_every_ms = 3600000};
    l->seal_cfg = (struct seal_cfg){.key = argv[KEY],
                                    .every_ms = strtoll(argv[EVERY_S], NULL, 10) * 1000,
                                    .max_readings = strtoll(argv[MAX_READINGS], NULL, 10)};
    l->point_name = "r";
    l->grade = CLK_SYNCED;
}

int main(int argc, char **argv)
{
    static struct line l;
    if (argc != ARGS)
        refuse("FOLDER GATEWAY KEY MACHINE DEVICES POINTS PERIOD_S EVERY_S MAX_READINGS DAYS");
    line_init(&l);
    configure(&l, argv);
    int64_t now_ms = (int64_t)time(NULL) * 1000, period_ms = l.period_ms[0];
    l.utc_ms = (now_ms - (int64_t)(strtod(argv[DAYS], NULL) * 86400e3)) / period_ms * period_ms;
    int64_t polls = (now_ms - l.utc_ms + period_ms - 1) / period_ms;
    struct source *s = read_sources((size_t)l.devices * l.points);
    l.quantity = quantities(s, (size_t)l.devices * l.points);
    double before = cpu_s();
    line_start(&l);
    fill(&l, s, now_ms);
    line_step(&l, true);
    double used = cpu_s() - before;
    struct store_stats stats;
    store_stats(l.store, &stats);
    printf("readings %" PRId64 "\nbatches %" PRId64 "\ncpu_s %.2f\n", polls * l.devices * l.points,
           stats.batches_held, used);
    line_done(&l); /* the process ends: what the arrays hold goes with it */
    return 0;
}
