/* GET /metrics: figures in Prometheus' text format 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats, …/practices/naming). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/web/web_int.h"

#define METRICS_MAX (1024 * 1024)

struct metrics {
    struct web *w;
    struct buf *out;
    enum st st;
};

static void head(struct metrics *m, const char *name, const char *type, const char *help)
{
    if (m->st == ST_OK)
        m->st = buf_printf(m->out, "# HELP fieldpost_%s %s\n# TYPE fieldpost_%s %s\n", name, help,
                           name, type);
}

static void put_label(struct metrics *m, const char *text)
{
    for (; *text && m->st == ST_OK; text++)
        m->st = *text == '\n'                   ? buf_put(m->out, "\\n", 2)
                : *text == '"' || *text == '\\' ? buf_printf(m->out, "\\%c", *text)
                                                : buf_put(m->out, text, 1);
}

/* label NULL: the figure has none. */
static void sample(struct metrics *m, const char *name, const char *label, const char *of, double v)
{
    if (m->st == ST_OK)
        m->st = buf_printf(m->out, "fieldpost_%s%s%s%s", name, label ? "{" : "", label ? label : "",
                           label ? "=\"" : "");
    if (label)
        put_label(m, of);
    if (m->st == ST_OK)
        m->st = buf_printf(m->out, "%s %.17g\n", label ? "\"}" : "", v);
}

static void one(struct metrics *m, const char *name, const char *type, const char *help, double v)
{
    head(m, name, type, help);
    sample(m, name, NULL, NULL, v);
}

/* ---- devices -------------------------------------------------------------------------------- */

static double d_up(const struct store_health *h)
{
    return h->state == STORE_GOOD || h->state == STORE_LATE;
}
static double d_polls(const struct store_health *h)
{
    return (double)h->polls;
}
static double d_failures(const struct store_health *h)
{
    return (double)h->failures;
}
static double d_ticks(const struct store_health *h)
{
    return (double)h->ticks;
}
static double d_overruns(const struct store_health *h)
{
    return (double)h->overruns;
}
static double d_answer(const struct store_health *h)
{
    return h->answer_ms / 1e3;
}
static double d_lost(const struct store_health *h)
{
    return (double)h->lost_ms / 1e3;
}

static const struct {
    const char *name, *type, *help;
    double (*of)(const struct store_health *h);
} device_figures[] = {
    {"device_up", "gauge", "1 while the device answers.", d_up},
    {"device_polls_total", "counter", "Polls of the device since the start.", d_polls},
    {"device_poll_failures_total", "counter", "Polls that brought nothing or not all.", d_failures},
    {"device_ticks_total", "counter", "Scheduled polls of the device.", d_ticks},
    {"device_overruns_total", "counter", "Scheduled polls whose turn never came.", d_overruns},
    {"device_answer_seconds", "gauge", "Time that the last good poll took.", d_answer},
    {"device_bus_lost_seconds_total", "counter",
     "Time of its bus that went with requests that brought nothing.", d_lost},
};

static void put_devices(struct metrics *m)
{
    struct store *s = m->w->store;
    for (size_t k = 0; k < sizeof device_figures / sizeof *device_figures; k++) {
        head(m, device_figures[k].name, device_figures[k].type, device_figures[k].help);
        for (uint32_t i = 0; i < store_device_count(s); i++) {
            struct store_health h;
            store_health_get(s, i, &h);
            sample(m, device_figures[k].name, "device", store_device_at(s, i)->id,
                   device_figures[k].of(&h));
        }
    }
}

/* A device's series lie beside each other. */
static void put_readings(struct metrics *m)
{
    struct store *s = m->w->store;
    uint32_t n = store_series_count(s);
    head(m, "readings_total", "counter", "Readings of the device since the start.");
    for (uint32_t i = 0; i < n;) {
        uint32_t device = store_series_at(s, i)->device;
        double count = 0;
        for (; i < n && store_series_at(s, i)->device == device; i++) {
            struct store_now now;
            store_board(s, i, 1, &now);
            count += (double)now.count;
        }
        sample(m, "readings_total", "device", store_device_at(s, device)->id, count);
    }
}

/* ---- store and uplinks ---------------------------------------------------------------------- */

static void put_store(struct metrics *m)
{
    struct store_stats t;
    store_stats(m->w->store, &t);
    const struct {
        const char *name, *type, *help;
        double v;
    } figures[] = {
        {"store_queued_polls", "gauge", "Polls that wait for the writer.", (double)t.queue_polls},
        {"store_dropped_polls_total", "counter", "Polls that found no room in the queue.",
         (double)t.queue_dropped},
        {"store_waiting_readings", "gauge", "Readings that are not sealed yet.",
         (double)t.readings_waiting},
        {"store_held_batches", "gauge", "Sealed batches in the store.", (double)t.batches_held},
        {"store_unsent_batches", "gauge",
         "Sealed batches that the slowest required uplink has not acknowledged.",
         (double)t.batches_unsent},
        {"store_size_bytes", "gauge", "Database, WAL and journal together.", (double)t.db_bytes},
        {"store_limit_bytes", "gauge", "What the store may take.", (double)t.figures.max_bytes},
        {"store_thinned_total", "counter", "Steps of thinning since the start.",
         (double)t.figures.thinned},
        {"store_faulty", "gauge", "1 while nothing can be stored or sealed.", t.fault[0] != '\0'},
        {"store_last_commit_timestamp_seconds", "gauge", "The last durable commit; 0: none.",
         (double)t.last_commit_ms / 1e3},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        one(m, figures[i].name, figures[i].type, figures[i].help, figures[i].v);
    if (t.figures.autonomy_ms >= 0)
        one(m, "store_autonomy_seconds", "gauge",
            "How long the rest lasts while no uplink takes anything.",
            (double)t.figures.autonomy_ms / 1e3);
}

static double u_online(const struct web_uplink *u)
{
    return u->online;
}
static double u_sent(const struct web_uplink *u)
{
    return (double)u->sent;
}
static double u_acked(const struct web_uplink *u)
{
    return (double)u->acknowledged;
}
static double u_wire(const struct web_uplink *u)
{
    return (double)u->wire_bytes;
}
static double u_last(const struct web_uplink *u)
{
    return (double)u->last_ok_ms / 1e3;
}
static double u_month(const struct web_uplink *u)
{
    return (double)u->month_bytes;
}

static const struct {
    const char *name, *type, *help;
    double (*of)(const struct web_uplink *u);
} uplink_figures[] = {
    {"uplink_online", "gauge", "1 while the uplink reaches its city.", u_online},
    {"uplink_sent_batches_total", "counter", "Batches sent since the start.", u_sent},
    {"uplink_acknowledged_batches_total", "counter", "Batches acknowledged since the start.",
     u_acked},
    {"uplink_wire_bytes_total", "counter", "Bytes on the wire since the start, both ways.", u_wire},
    {"uplink_last_success_timestamp_seconds", "gauge", "The last success; 0: none.", u_last},
    {"uplink_month_metered_bytes", "gauge", "Bytes over metered links in this month.", u_month},
};

static void put_uplinks(struct metrics *m)
{
    struct web_uplink up[WEB_UPLINKS_MAX];
    size_t n = web_uplinks(m->w, up);
    for (size_t k = 0; n > 0 && k < sizeof uplink_figures / sizeof *uplink_figures; k++) {
        head(m, uplink_figures[k].name, uplink_figures[k].type, uplink_figures[k].help);
        for (size_t i = 0; i < n; i++)
            sample(m, uplink_figures[k].name, "uplink", up[i].id, uplink_figures[k].of(&up[i]));
    }
}

/* ---- the process ---------------------------------------------------------------------------- */

static double rss_bytes(void)
{
    char text[64] = "";
    FILE *f = fopen("/proc/self/statm", "re");
    const char *space = f && fgets(text, sizeof text, f) ? strchr(text, ' ') : NULL;
    struct num pages = {.kind = NUM_NONE};
    if (f)
        (void)fclose(f);
    if (space) {
        text[1 + (space - text) + (ptrdiff_t)strcspn(space + 1, " \n")] = '\0';
        if (!num_parse(space + 1, &pages))
            return 0;
    }
    return pages.kind == NUM_DEC ? (double)pages.i * (double)sysconf(_SC_PAGESIZE) : 0;
}

static void put_process(struct metrics *m)
{
    struct rusage u = {0};
    (void)getrusage(RUSAGE_SELF, &u);
    head(m, "build_info", "gauge", "1; the label says the version.");
    sample(m, "build_info", "version", m->w->site.version, 1);
    one(m, "uptime_seconds", "gauge", "Since the start.",
        (double)(clk_mono(m->w->clk).ms - m->w->started.ms) / 1e3);
    one(m, "clock_synced", "gauge", "1 while the time is known to be right.",
        clk_now(m->w->clk).grade == CLK_SYNCED);
    one(m, "cpu_seconds_total", "counter", "Processor time of the gateway, user and system.",
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
            (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    one(m, "resident_memory_bytes", "gauge", "Memory of the gateway.", rss_bytes());
}

void web_api_metrics(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_who who;
    struct metrics m = {.w = w, .out = &a->body, .st = ST_OK};
    if (!web_allows(w, q, &who, a))
        return;
    buf_init(&a->body, METRICS_MAX);
    put_process(&m);
    put_devices(&m);
    put_readings(&m);
    put_store(&m);
    put_uplinks(&m);
    if (m.st != ST_OK) {
        http_problem(a, 503, "unavailable", "no memory for the figures", NULL, NULL);
        return;
    }
    a->status = 200;
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    http_answer_header(a, "Cache-Control", "no-store");
}
