/* How fast the line is: the thread that measures, and what our own uploads show by the way. */
#include "gateway/connectivity/throughput_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"

#define SYSFS_NET "/sys/class/net"
#define STEP_MS 1000 /* longest sleep: a stepped UTC clock, or a request, is noticed within it */
#define LOOK_MS 100
#define QUIET_MS 1000       /* no uplink sends for so long: the line is free */
#define WAIT_DUE_MS 120000  /* for that: batches are sealed at the ticks of measuring, too */
#define WAIT_ASKED_MS 20000 /* while a person looks on */
#define CONNECT_MS 10000
#define PUT_WAIT_MS 500

static const char *const direction_names[CONNECTIVITY_DIRECTIONS] = {"download", "upload"};

/* ---- one direction -------------------------------------------------------------------------- */

struct watch {
    const struct connectivity_job *job;
    struct connectivity_load from, to;
};

static bool line_used(const struct connectivity_job *job)
{
    return job->line_used && job->line_used(job->line_ctx);
}

static bool go_on(void *ctx)
{
    const struct watch *w = ctx;
    return !line_used(w->job);
}

static void window(void *ctx, bool begins)
{
    struct watch *w = ctx;
    connectivity_load_now(begins ? &w->from : &w->to);
}

static int64_t link_mbit(const char *interface)
{
    struct connectivity_link_state now;
    return interface[0] && connectivity_link_read(SYSFS_NET, interface, &now) == ST_OK
               ? now.rate_mbit
               : 0;
}

/* Counted before it is spent, so that a power cut meanwhile does not give it away; then what it
 * truly was. */
static enum st spend(struct connectivity_throughput *t, const struct connectivity_job *job,
                     int64_t bytes)
{
    char name[CONNECTIVITY_BUDGET_BYTES];
    struct err e = {.text = ""};
    connectivity_budget_name(t->cfg->id, name);
    store_budget_add(&t->budget, clk_now(job->clk), bytes);
    t->budget.unsaved = 1;
    enum st st = store_budget_save(&t->budget, job->store, name, clk_mono(job->clk), true, &e);
    if (st != ST_OK && st != ST_STOPPED)
        log_warn("%s: what measuring has cost is not saved: %s", t->cfg->id, e.text);
    return st;
}

static void used_up_tell(struct connectivity_throughput *t, const struct connectivity_job *job)
{
    if (t->budget.told == STORE_SPEND_NOTHING)
        return;
    t->budget.told = STORE_SPEND_NOTHING;
    (void)spend(t, job, 0); /* told once a month, restarts or not */
    store_event(job->store, STORE_WARNING, "throughput.budget", t->cfg->id,
                "%s: the rest of this month's data budget (%" PRId64
                " MB) does not do for another measurement: the next month has its own, or raise "
                "connectivity.throughput.%s.budget",
                t->cfg->id, t->cfg->budget_bytes / 1000000, t->cfg->id);
}

static void conclude(struct connectivity_speed_result *r, const struct http_transfer *x,
                     const struct watch *w, int64_t mbit)
{
    r->cost_bytes = x->wire.sent_bytes + x->wire.received_bytes;
    r->connections = x->connections;
    r->code = connectivity_speed_of(x->fault);
    if (x->fault == HTTP_TRANSFER_GOOD) {
        r->bytes = x->bytes;
        r->us = x->us;
        r->kbit = x->bytes * 8000 / x->us;
        r->load_permille = connectivity_load_permille(&w->from, &w->to);
        r->code = connectivity_speed_judge(r->kbit, mbit,
                                           connectivity_load_limit_permille(&w->from, &w->to));
    }
    const char *text = connectivity_speed_kind(r->code)->text;
    (void)snprintf(r->text, sizeof r->text, "%s%s%s%s", text, x->text[0] && text[0] ? " (" : "",
                   text[0] ? x->text : "", x->text[0] && text[0] ? ")" : "");
}

/* false: the stop came in between. */
static bool transfer(struct connectivity_throughput *t, const struct connectivity_job *job,
                     enum connectivity_direction d, struct connectivity_speed_result *r,
                     char interface[HTTP_INTERFACE_BYTES])
{
    const struct connectivity_throughput_cfg *c = t->cfg;
    int64_t most = connectivity_speed_cost(c);
    struct watch w = {.job = job};
    struct http_transfer x;
    const struct http_transfer_cfg how = {.url = connectivity_speed_url(c, d),
                                          .upload = d == CONNECTIVITY_UP,
                                          .ca = c->ca,
                                          .interface = c->interface,
                                          .connections = (unsigned)c->connections,
                                          .connect_ms = CONNECT_MS,
                                          .ramp_ms = c->ramp_ms,
                                          .window_ms = c->duration_ms,
                                          .max_bytes = c->size_bytes,
                                          .go_on = go_on,
                                          .window = window,
                                          .ctx = &w,
                                          .stop_fd = job->stop->fd};
    *r = (struct connectivity_speed_result){.code = CONNECTIVITY_SPEED_BUDGET};
    if (store_budget_left(&t->budget, clk_now(job->clk)) < most) {
        used_up_tell(t, job);
        (void)snprintf(r->text, sizeof r->text, "%s", connectivity_speed_kind(r->code)->text);
        return true;
    }
    if (spend(t, job, most) != ST_OK) { /* what cannot be counted is not spent */
        store_budget_add(&t->budget, clk_now(job->clk), -most);
        r->code = CONNECTIVITY_SPEED_BROKEN;
        (void)snprintf(r->text, sizeof r->text, "%s", connectivity_speed_kind(r->code)->text);
        return !atomic_load(&job->stop->set);
    }
    http_transfer(&how, &x);
    if (x.wire.interface[0])
        (void)snprintf(interface, HTTP_INTERFACE_BYTES, "%s", x.wire.interface);
    conclude(r, &x, &w, link_mbit(interface));
    (void)spend(t, job, r->cost_bytes - most); /* it counts here, and is saved the next time */
    return x.fault != HTTP_TRANSFER_STOPPED;
}

/* ---- a measurement -------------------------------------------------------------------------- */

/* false: it is not free within so long, or the stop came. */
static bool wait_for_line(const struct connectivity_job *job, int64_t ms)
{
    int64_t quiet = 0;
    for (int64_t left = ms; quiet < QUIET_MS; left -= LOOK_MS) {
        if (left <= 0 || thr_stop_wait(job->stop, job->line_used ? LOOK_MS : 0))
            return false;
        quiet = !job->line_used ? QUIET_MS : line_used(job) ? 0 : quiet + LOOK_MS;
    }
    return true;
}

struct measured {
    struct connectivity_speed_result r[CONNECTIVITY_DIRECTIONS];
    char interface[HTTP_INTERFACE_BYTES];
    int64_t link_mbit;
};

static bool measure(struct connectivity_throughput *t, const struct connectivity_job *job,
                    int64_t wait_ms, struct measured *m)
{
    const struct connectivity_throughput_cfg *c = t->cfg;
    memset(m, 0, sizeof *m);
    if (c->interface)
        (void)snprintf(m->interface, sizeof m->interface, "%s", c->interface);
    bool is_free = wait_for_line(job, wait_ms);
    for (size_t d = 0; d < CONNECTIVITY_DIRECTIONS; d++) {
        struct connectivity_speed_result *r = &m->r[d];
        if (!connectivity_speed_url(c, (enum connectivity_direction)d))
            continue;
        if (is_free && !transfer(t, job, (enum connectivity_direction)d, r, m->interface))
            return false;
        if (!is_free) {
            r->code = CONNECTIVITY_SPEED_BUSY;
            (void)snprintf(r->text, sizeof r->text, "%s", connectivity_speed_kind(r->code)->text);
        }
    }
    m->link_mbit = link_mbit(m->interface);
    return !atomic_load(&job->stop->set);
}

/* What the month has cost is not known. */
static void cannot(struct measured *m)
{
    memset(m, 0, sizeof *m);
    for (size_t d = 0; d < CONNECTIVITY_DIRECTIONS; d++) {
        m->r[d].code = CONNECTIVITY_SPEED_BROKEN;
        (void)snprintf(m->r[d].text, sizeof m->r[d].text, "%s",
                       connectivity_speed_kind(CONNECTIVITY_SPEED_BROKEN)->text);
    }
}

static void says(struct connectivity_throughput *t, const struct measured *m, char *out, size_t n)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t d = 0; d < CONNECTIVITY_DIRECTIONS && at < n; d++) {
        const struct connectivity_speed_result *r = &m->r[d];
        if (!connectivity_speed_url(t->cfg, (enum connectivity_direction)d))
            continue;
        int k = r->us > 0 ? snprintf(out + at, n - at, "%s%s %.2f Mbit/s (%s)", at ? ", " : "",
                                     direction_names[d], (double)r->kbit / 1000,
                                     connectivity_speed_kind(r->code)->word)
                          : snprintf(out + at, n - at, "%s%s: %s", at ? ", " : "",
                                     direction_names[d], connectivity_speed_kind(r->code)->word);
        at += k > 0 ? (size_t)k : n;
    }
}

static void put(struct connectivity_throughput *t, const struct connectivity_job *job,
                int64_t due_ms, const struct measured *m)
{
    struct connectivity_result out = {.device = t->device,
                                      .id = t->cfg->id,
                                      .tick_ms = due_ms,
                                      .state = STORE_GOOD,
                                      .paused = true,
                                      .text = ""};
    for (size_t d = 0; d < CONNECTIVITY_DIRECTIONS; d++) {
        const struct connectivity_speed_result *r = &m->r[d];
        const uint32_t *series = t->series[d];
        bool has = r->us > 0;
        if (!connectivity_speed_url(t->cfg, (enum connectivity_direction)d))
            continue;
        struct store_value *v = &out.v[out.n];
        out.n += CONNECTIVITY_SPEED_POINTS;
        v[0].series = series[CONNECTIVITY_SPEED_RATE];
        v[1].series = series[CONNECTIVITY_SPEED_RESULT];
        v[2].series = series[CONNECTIVITY_SPEED_LOAD];
        v[1].v = num_dec(r->code, 0);
        if (has) {
            v[0].v = num_dec(r->kbit, -3);
            v[2].v = num_dec(r->load_permille, -1);
        } else if (!connectivity_speed_kind(r->code)->paused) {
            out.paused = false;
            out.state = STORE_FAULTY;
            out.text = r->text;
        }
    }
    if (t->link != UINT32_MAX) {
        out.v[out.n].series = t->link;
        if (m->link_mbit > 0)
            out.v[out.n].v = num_dec(m->link_mbit, 0);
        out.n++;
    }
    says(t, m, t->health.now.says, sizeof t->health.now.says);
    connectivity_put(job, &t->health, &out);
}

/* ---- asked by a person ---------------------------------------------------------------------- */

/* What came from elsewhere, fit for a JSON text and a terminal. */
static void plain(char *out, size_t n, const char *text)
{
    size_t i = 0;
    for (; i < n - 1 && text[i]; i++)
        out[i] =
            text[i] == '"' || text[i] == '\\' || text[i] < ' ' || text[i] == 127 ? '.' : text[i];
    out[i] = '\0';
}

static void answer(struct connectivity_throughput *t, const struct connectivity_job *job,
                   const struct measured *m)
{
    char json[2048], text[sizeof m->r[0].text];
    int64_t cost = 0;
    int at = snprintf(json, sizeof json, "{\"device\":\"%s\"", t->cfg->id);
    for (size_t d = 0; d < CONNECTIVITY_DIRECTIONS; d++) {
        const struct connectivity_speed_result *r = &m->r[d];
        if (!connectivity_speed_url(t->cfg, (enum connectivity_direction)d))
            continue;
        cost += r->cost_bytes;
        plain(text, sizeof text, r->text);
        at +=
            snprintf(json + at, sizeof json - (size_t)at,
                     ",\"%s\":{\"result\":\"%s\",\"code\":%d,\"bytes\":%" PRId64 ",\"us\":%" PRId64
                     ",\"connections\":%u,\"cost_bytes\":%" PRId64 ",\"text\":\"%s\"",
                     direction_names[d], connectivity_speed_kind(r->code)->word, (int)r->code,
                     r->bytes, r->us, r->connections, r->cost_bytes, text);
        if (r->us > 0)
            at += snprintf(json + at, sizeof json - (size_t)at,
                           ",\"mbit\":%.3f,\"load_percent\":%.1f", (double)r->kbit / 1000,
                           (double)r->load_permille / 10);
        at += snprintf(json + at, sizeof json - (size_t)at, "}");
    }
    (void)snprintf(json + at, sizeof json - (size_t)at,
                   ",\"interface\":\"%s\",\"link_mbit\":%" PRId64 ",\"cost_bytes\":%" PRId64
                   ",\"left_bytes\":%" PRId64 "}\n",
                   m->interface, m->link_mbit, cost,
                   store_budget_left(&t->budget, clk_now(job->clk)));
    connectivity_asked_answer(store_path(job->store), t->cfg->id, json);
}

/* ---- our own uploads ------------------------------------------------------------------------ */

/* Uploads that follow one another count together: in a drain the way is warm, and one of some ten
 * packets takes as few turns as the begin of a large one. */
static void run_add(struct connectivity_throughput *t, int64_t bytes, int64_t us, struct mono end)
{
    if (end.ms - us / 1000 - t->run_end.ms > CONNECTIVITY_OWN_PAUSE_MS)
        t->run_bytes = t->run_us = 0;
    t->run_bytes += bytes;
    t->run_us += us;
    t->run_end = end;
    if (t->run_bytes < CONNECTIVITY_OWN_LEAST_BYTES)
        return;
    t->own_bytes += t->run_bytes;
    t->own_us += t->run_us;
    t->run_bytes = t->run_us = 0;
}

void connectivity_uploaded(struct connectivity *k, const char *interface, int64_t bytes, int64_t us,
                           struct mono end)
{
    if (bytes < CONNECTIVITY_OWN_PART_BYTES || us <= 0)
        return;
    for (size_t i = 0; i < k->nthroughputs; i++) {
        struct connectivity_throughput *t = &k->throughput[i];
        if (t->cfg->interface && strcmp(t->cfg->interface, interface) != 0)
            continue;
        (void)pthread_mutex_lock(&t->lock);
        run_add(t, bytes, us, end);
        (void)pthread_mutex_unlock(&t->lock);
    }
}

/* The mean of the period's uploads that say something; without one a gap. */
static void own_step(struct connectivity_throughput *t, const struct connectivity_job *job)
{
    struct clk_time now = clk_now(job->clk);
    int64_t due = connectivity_due(job, t->device, &t->own_next_ms, t->cfg->own_every_ms);
    if (!due)
        return;
    (void)pthread_mutex_lock(&t->lock);
    int64_t bytes = t->own_bytes, us = t->own_us;
    t->own_bytes = t->own_us = 0;
    (void)pthread_mutex_unlock(&t->lock);
    struct connectivity_result r = {.device = t->device,
                                    .id = t->cfg->id,
                                    .tick_ms = due,
                                    .n = 1,
                                    .state = STORE_GOOD,
                                    .paused = true,
                                    .text = ""};
    r.v[0].series = t->own;
    if (us > 0)
        r.v[0].v = num_dec(bytes * 8000 / us, -3);
    if (!t->cfg->down && !t->cfg->up) {
        connectivity_put(job, &t->health, &r);
        return;
    }
    /* how the device does is told by what is measured on purpose */
    const struct store_poll poll = {.device = t->device,
                                    .due_ms = due,
                                    .t_ms = now.utc_ms,
                                    .grade = now.grade,
                                    .cause = STORE_PAUSED,
                                    .n = 1};
    enum st st = store_put(job->store, &poll, r.v, PUT_WAIT_MS);
    (void)st; /* ST_FULL: the store has written the gap; ST_STOPPED: so is this thread, soon */
}

/* ---- the thread ----------------------------------------------------------------------------- */

static bool budget_load(struct connectivity_throughput *t, const struct connectivity_job *job)
{
    char name[CONNECTIVITY_BUDGET_BYTES];
    struct store_reader *reader = NULL;
    struct err e = {.text = ""};
    if (t->loaded)
        return true;
    connectivity_budget_name(t->cfg->id, name);
    enum st st = store_reader_open_in(&reader, job->store, &e);
    if (st == ST_OK)
        st = store_budget_load(&t->budget, reader, name, &e);
    store_reader_close(reader);
    t->loaded = st == ST_OK;
    if (!t->loaded && st != ST_STOPPED)
        log_warn("%s: nothing is measured, for what the month has cost is not known: %s",
                 t->cfg->id, e.text);
    return t->loaded;
}

static void step(struct connectivity_throughput *t, const struct connectivity_job *job)
{
    struct measured m;
    if (!t->cfg->down && !t->cfg->up)
        return;
    int64_t due = connectivity_due(job, t->device, &t->next_ms, t->cfg->every_ms);
    bool asked = connectivity_asked_take(store_path(job->store), t->cfg->id);
    if (!due && !asked)
        return;
    if (!budget_load(t, job))
        cannot(&m);
    else if (!measure(t, job, asked ? WAIT_ASKED_MS : WAIT_DUE_MS, &m))
        return; /* cut short by the stop: it says nothing */
    put(t, job, due ? due : clk_now(job->clk).utc_ms, &m);
    if (asked)
        answer(t, job, &m);
}

bool connectivity_has_throughput(const struct connectivity *k)
{
    return k->nthroughputs > 0;
}

void connectivity_throughput_main(void *connectivity_job)
{
    const struct connectivity_job *job = connectivity_job;
    struct connectivity *k = job->connectivity;
    while (!atomic_load(&job->stop->set)) {
        int64_t wait = STEP_MS, now_ms;
        for (size_t i = 0; i < k->nthroughputs; i++) {
            own_step(&k->throughput[i], job);
            step(&k->throughput[i], job);
        }
        now_ms = clk_now(job->clk).utc_ms;
        for (size_t i = 0; i < k->nthroughputs; i++) {
            const struct connectivity_throughput *t = &k->throughput[i];
            if (t->own_next_ms - now_ms < wait)
                wait = t->own_next_ms - now_ms;
            if (t->next_ms > 0 && t->next_ms - now_ms < wait)
                wait = t->next_ms - now_ms;
        }
        (void)thr_stop_wait(job->stop, wait < 0 ? 0 : wait);
    }
}
