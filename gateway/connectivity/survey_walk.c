/* The walk: the gateway itself is carried through the ward. One record for each tick, with its
 * cause; a sample only while data flows over the modem, because an idle EN-DC modem may show LTE.
 */
#include "gateway/connectivity/survey_int.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/http/http.h"

#define STEP_MS 1000
#define ASK_MS 25000 /* the modem, at most; the next tick is 30 s off */
#define TRIES 10
#define FETCH_MS 5000 /* one fetch */
#define PAUSE_MS 250  /* between two */
#define FETCH_BYTES ((size_t)64 * 1024)

/* ---- series ---------------------------------------------------------------------------------- */

enum point {
    STATE,
    FIX,
    LATITUDE,
    LONGITUDE,
    ALTITUDE,
    ERROR,
    OPERATOR,
    TECHNOLOGY,
    RSRP,
    RSRQ,
    SINR,
    NR_RSRP,
    NR_RSRQ,
    NR_SINR,
    DATA,
    SOURCE
};
static const struct {
    const char *point, *quantity;
} points[] = {[STATE] = {"state", "survey_state"},
              [FIX] = {"fix", "position_fix"},
              [LATITUDE] = {"latitude", "latitude"},
              [LONGITUDE] = {"longitude", "longitude"},
              [ALTITUDE] = {"altitude", "position_altitude"},
              [ERROR] = {"error", "position_error"},
              [OPERATOR] = {"operator", "radio_operator"},
              [TECHNOLOGY] = {"technology", "radio_technology"},
              [RSRP] = {"rsrp", "rsrp"},
              [RSRQ] = {"rsrq", "rsrq"},
              [SINR] = {"sinr", "sinr"},
              [NR_RSRP] = {"nr_rsrp", "rsrp"},
              [NR_RSRQ] = {"nr_rsrq", "rsrq"},
              [NR_SINR] = {"nr_sinr", "sinr"},
              [DATA] = {"data", "survey_data"},
              [SOURCE] = {"source", "position_source"}};
_Static_assert(sizeof points / sizeof *points == CONNECTIVITY_WALK_POINTS, "a series for each");
_Static_assert(CONNECTIVITY_WALK_POINTS <= CONNECTIVITY_VALUES_MAX, "they fit into one poll");

static const struct {
    enum store_state health;
    bool bus, paused;
    const char *text;
} kinds[CONNECTIVITY_WALK_STATES] = {
    [CONNECTIVITY_WALK_SAMPLED] = {STORE_GOOD, false, false, ""},
    [CONNECTIVITY_WALK_AWAY] = {STORE_SILENT, true, false,
                                "gpsd does not answer: is it installed, and does it run (systemctl "
                                "status gpsd)?"},
    [CONNECTIVITY_WALK_NO_RECEIVER] = {STORE_FAULTY, true, false,
                                       "gpsd has no receiver: plug it in, and name it in "
                                       "/etc/default/gpsd"},
    [CONNECTIVITY_WALK_NO_FIX] = {STORE_FAULTY, false, false,
                                  "the receiver has no fix: give it a view of the sky, and some "
                                  "minutes"},
    [CONNECTIVITY_WALK_STALE] = {STORE_SILENT, false, false,
                                 "the receiver's last fix is old: look at its cable"},
    [CONNECTIVITY_WALK_NO_MODEM] =
        {STORE_FAULTY, false, false,
         "the modem did not answer, or has no network: see its own state"},
    [CONNECTIVITY_WALK_NO_TRANSFER] = {STORE_FAULTY, false, false,
                                       "no data flowed over the modem's interface while it was "
                                       "asked: see connectivity.survey.interface and transfer"},
    [CONNECTIVITY_WALK_SPENT] = {STORE_FAULTY, false, true,
                                 "the survey's data of this month is used up: see "
                                 "connectivity.survey.month_data"},
    [CONNECTIVITY_WALK_STILL] = {STORE_GOOD, false, true, ""},
    [CONNECTIVITY_WALK_MOVED] = {STORE_FAULTY, false, false,
                                 "while the modem was asked the gateway moved by more than half a "
                                 "cell, or lost its fix: go slower"}};

enum st connectivity_walk_open(struct connectivity_walk **out,
                               const struct connectivity_survey_cfg *cfg, struct err *e)
{
    *out = NULL;
    struct connectivity_walk *w = calloc(1, sizeof *w);
    if (!w || pthread_mutex_init(&w->m, NULL) != 0) {
        free(w);
        return err_set(e, ST_MEMORY, "connectivity: no memory");
    }
    w->cfg = cfg;
    connectivity_gps_init(&w->gps);
    if (cfg->gpsd && !connectivity_gps_address(cfg->gpsd, &w->gpsd)) {
        connectivity_walk_close(w);
        return err_set(e, ST_BAD, "gpsd %s: no address and port", cfg->gpsd);
    }
    *out = w;
    return ST_OK;
}

void connectivity_walk_close(struct connectivity_walk *w)
{
    if (!w)
        return;
    connectivity_gps_close(&w->gps);
    (void)pthread_mutex_destroy(&w->m);
    free(w);
}

enum st connectivity_walk_declare(struct connectivity_walk *w, struct store *s, struct err *e)
{
    const struct connectivity_survey_cfg *c = w->cfg;
    const struct store_device d = {.id = CONNECTIVITY_SURVEY_ID,
                                   .name = c->name,
                                   .place = c->place,
                                   .source = "connectivity",
                                   .address = c->gpsd,
                                   .model = "survey",
                                   .period_ms = c->every_ms};
    enum st st = store_add_device(s, &d, &w->device, e);
    for (size_t i = 0; i < CONNECTIVITY_WALK_POINTS && st == ST_OK; i++)
        st = connectivity_series_add(s, w->device, points[i].point, points[i].quantity, c->every_ms,
                                     &w->series[i], e);
    return st;
}

/* ---- the month's data
 * ---------------------------------------------------------------------------- */

/* What the store kept is needed first: a restart frees no data. */
static bool budget_load(struct connectivity_walk *w, const struct connectivity_job *job)
{
    struct store_reader *reader = NULL;
    struct err e = {.text = ""};
    if (w->loaded)
        return true;
    enum st st = store_reader_open_in(&reader, job->store, &e);
    if (st == ST_OK)
        st = store_budget_load(&w->budget, reader, CONNECTIVITY_WALK_BUDGET, &e);
    store_reader_close(reader);
    w->loaded = st == ST_OK;
    if (!w->loaded && st != ST_STOPPED)
        log_warn("survey: nothing is fetched, for what the month has used is not known: %s",
                 e.text);
    return w->loaded;
}

static bool spend(struct connectivity_walk *w, const struct connectivity_job *job, int64_t bytes)
{
    struct err e = {.text = ""};
    store_budget_add(&w->budget, clk_now(job->clk), bytes);
    w->budget.unsaved = 1;
    enum st st = store_budget_save(&w->budget, job->store, CONNECTIVITY_WALK_BUDGET,
                                   clk_mono(job->clk), true, &e);
    if (st != ST_OK && st != ST_STOPPED)
        log_warn("survey: what samples have used is not saved: %s", e.text);
    return st == ST_OK;
}

bool connectivity_walk_reserve(struct connectivity_walk *w, const struct connectivity_job *job)
{
    int64_t most = w->cfg->sample_bytes;
    w->budget.limit = w->cfg->month_bytes;
    if (!budget_load(w, job) || store_budget_left(&w->budget, clk_now(job->clk)) < most)
        return false;
    if (spend(w, job, most))
        return true;
    store_budget_add(&w->budget, clk_now(job->clk), -most); /* not kept: not spent */
    return false;
}

void connectivity_walk_used(struct connectivity_walk *w, const struct connectivity_job *job,
                            int64_t bytes)
{
    int64_t most = w->cfg->sample_bytes;
    (void)store_budget_left(&w->budget, clk_now(job->clk)); /* a month may have begun meanwhile */
    if (w->budget.used + w->budget.undated < most)
        most = 0;
    (void)spend(w, job, bytes - most); /* it counts here, saved or not */
}

/* ---- the modem, asked by its own thread
 * ----------------------------------------------------------- */

static int64_t counter(const char *interface, const char *name)
{
    char path[PATH_MAX], text[32];
    int n = snprintf(path, sizeof path, "/sys/class/net/%s/statistics/%s", interface, name);
    int fd = n > 0 && n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0 ? strtoll(text, NULL, 10) : -1;
}

static int64_t moved(const char *interface)
{
    int64_t in = counter(interface, "rx_bytes"), out = counter(interface, "tx_bytes");
    return in < 0 || out < 0 ? -1 : in + out;
}

void connectivity_walk_want(struct connectivity_walk *w)
{
    (void)pthread_mutex_lock(&w->m);
    w->wanted = true;
    w->request++;
    (void)pthread_mutex_unlock(&w->m);
}

uint64_t connectivity_walk_take(struct connectivity_walk *w)
{
    (void)pthread_mutex_lock(&w->m);
    uint64_t request = w->wanted ? w->request : 0;
    w->wanted = false;
    (void)pthread_mutex_unlock(&w->m);
    return request;
}

void connectivity_walk_give(struct connectivity_walk *w, const struct connectivity_walk_answer *a)
{
    (void)pthread_mutex_lock(&w->m);
    w->answer = *a;
    (void)pthread_mutex_unlock(&w->m);
}

bool connectivity_walk_answered(struct connectivity_walk *w, bool give_up,
                                struct connectivity_walk_answer *out)
{
    (void)pthread_mutex_lock(&w->m);
    bool is = w->answer.request == w->request;
    *out = w->answer;
    if (give_up)
        w->wanted = false;
    (void)pthread_mutex_unlock(&w->m);
    return is;
}

void connectivity_walk_ask(struct connectivity_walk *w, struct connectivity_modem *m,
                           const struct connectivity_job *job)
{
    struct connectivity_walk_answer a = {.request = w ? connectivity_walk_take(w) : 0};
    struct err e;
    if (a.request == 0)
        return;
    int64_t until = clk_mono(clk_real()).ms + ASK_MS / 2;
    unsigned tries = 0;
    do { /* a quick modem may answer between two fetches: then it is asked once more */
        int64_t before = moved(w->cfg->interface);
        a.state = connectivity_modem_ask(m, ASK_MS / 2, job->stop, &a.radio, &e);
        int64_t after = moved(w->cfg->interface);
        a.moved_bytes = before < 0 || after < before ? -1 : after - before;
    } while (a.state == CONNECTIVITY_MODEM_READY && a.moved_bytes >= 0 &&
             a.moved_bytes < CONNECTIVITY_WALK_BUSY_BYTES && ++tries < TRIES &&
             clk_mono(clk_real()).ms < until && !atomic_load(&job->stop->set));
    connectivity_walk_give(w, &a);
}

/* ---- a sample
 * ------------------------------------------------------------------------------------- */

struct fetcher {
    struct http_client *client; /* NULL: nothing is to be fetched */
    struct http_wire wire;
    struct http_reply reply;
};

static void fetch_open(struct fetcher *f)
{
    const struct http_client_cfg as = {
        .connect_ms = FETCH_MS, .total_ms = FETCH_MS, .max_answer = FETCH_BYTES, .wire = &f->wire};
    if (http_client_open(&f->client, &as, NULL) != ST_OK)
        f->client = NULL;
}

static int64_t fetched(const struct fetcher *f)
{
    return f->wire.sent_bytes + f->wire.received_bytes;
}

/* One more fetch, while the sample may take one. How it ends is nothing to us: the interface's
 * counters say what flowed. */
static void fetch(struct fetcher *f, const struct connectivity_walk *w, struct thr_stop *stop)
{
    const struct http_call call = {.method = "GET", .url = w->cfg->transfer};
    int64_t most = w->cfg->sample_bytes - 2 * (int64_t)FETCH_BYTES; /* heads, what is on its way */
    if (!f->client || fetched(f) > most)
        return;
    enum st st = http_client_do(f->client, &call, stop->fd, &f->reply, NULL);
    (void)st;
}

static double metres_between(const struct connectivity_place *p, double lat, double lon)
{
    double high, wide;
    connectivity_metres(p->lat, &high, &wide);
    return hypot((p->lat - lat) * high, (p->lon - lon) * wide);
}

bool connectivity_walk_near(struct connectivity_walk *w, double lat, double lon, struct mono now)
{
    struct connectivity_place at;
    return connectivity_walk_place(w, now, &at) >= CONNECTIVITY_GPS_2D &&
           2 * metres_between(&at, lat, lon) <= (double)w->cfg->cell_m;
}

/* Without gpsd it only waits. */
static void hear(struct connectivity_walk *w, const struct connectivity_job *job, int64_t ms)
{
    if (w->cfg->gpsd)
        connectivity_gps_hear(&w->gps, &w->gpsd, job->clk, job->stop, ms);
    else
        (void)thr_stop_wait(job->stop, ms);
}

static enum connectivity_walk_state measure(struct connectivity_walk *w,
                                            const struct connectivity_job *job,
                                            const struct connectivity_place *at,
                                            struct connectivity_walk_answer *a, int64_t *data)
{
    struct fetcher f = {.client = NULL};
    int64_t until = clk_mono(clk_real()).ms + ASK_MS;
    bool done = false, late = false;
    if (w->cfg->transfer)
        fetch_open(&f);
    fetch(&f, w, job->stop); /* the radio takes a moment to add 5G: data flows before it is asked */
    connectivity_walk_want(w);
    while (!done && !late && !atomic_load(&job->stop->set)) {
        fetch(&f, w, job->stop);
        hear(w, job, PAUSE_MS);
        late = clk_mono(clk_real()).ms >= until;
        done = connectivity_walk_answered(w, late, a);
    }
    buf_done(&f.reply.body);
    http_client_close(f.client);
    *data = fetched(&f);
    if (w->cfg->transfer)
        connectivity_walk_used(w, job, *data);
    if (!done || a->state != CONNECTIVITY_MODEM_READY || !a->radio.plmn[0] ||
        connectivity_radio_act(&a->radio) < 0)
        return CONNECTIVITY_WALK_NO_MODEM;
    if (a->moved_bytes < CONNECTIVITY_WALK_BUSY_BYTES)
        return CONNECTIVITY_WALK_NO_TRANSFER;
    bool near = connectivity_walk_near(w, at->lat, at->lon, clk_mono(job->clk));
    return near ? CONNECTIVITY_WALK_SAMPLED : CONNECTIVITY_WALK_MOVED;
}

static bool is_still(const struct connectivity_walk *w, const struct connectivity_place *at,
                     int64_t day)
{
    return w->has_last && w->last_day == day &&
           metres_between(at, w->last_lat, w->last_lon) < CONNECTIVITY_WALK_STILL_M;
}

static struct num degrees(double v)
{
    return num_dec(llround(v * 1e7), -7);
}

static void put_fix(const struct connectivity_place *at, struct num *v)
{
    v[FIX] = num_dec(at->mode, 0);
    v[LATITUDE] = degrees(at->lat);
    v[LONGITUDE] = degrees(at->lon);
    v[ALTITUDE] = at->alt_m;
    v[ERROR] = at->error_m;
    v[SOURCE] = num_dec((int64_t)at->source, 0);
}

static void put_radio(const struct connectivity_radio *r, struct num *v)
{
    if (!num_parse(r->plmn, &v[OPERATOR]))
        v[OPERATOR] = (struct num){.kind = NUM_NONE};
    v[TECHNOLOGY] = num_dec((int64_t)connectivity_radio_act(r), 0);
    v[RSRP] = r->lte.rsrp;
    v[RSRQ] = r->lte.rsrq;
    v[SINR] = r->lte.sinr;
    v[NR_RSRP] = r->nr.rsrp;
    v[NR_RSRQ] = r->nr.rsrq;
    v[NR_SINR] = r->nr.sinr;
}

static void tell(struct connectivity_walk *w, const struct connectivity_job *job, int64_t due_ms,
                 enum connectivity_walk_state state, const struct num *v)
{
    struct connectivity_result out = {.device = w->device,
                                      .id = CONNECTIVITY_SURVEY_ID,
                                      .tick_ms = due_ms,
                                      .n = CONNECTIVITY_WALK_POINTS,
                                      .state = kinds[state].health,
                                      .bus = kinds[state].bus,
                                      .paused = kinds[state].paused,
                                      .text = kinds[state].text};
    if (!w->cfg->gpsd && state == CONNECTIVITY_WALK_NO_FIX)
        out.text = "no phone tells where it is: open the page's survey and press the button there";
    if (!w->cfg->gpsd && state == CONNECTIVITY_WALK_STALE)
        out.text = "the phone's last position is old: keep its screen on, and its page open";
    for (size_t i = 0; i < CONNECTIVITY_WALK_POINTS; i++)
        out.v[i] = (struct store_value){.v = v[i], .series = w->series[i]};
    (void)snprintf(w->health.now.says, sizeof w->health.now.says, "%s%" PRId64 " kB this month",
                   state == CONNECTIVITY_WALK_STILL ? "not moved since the last sample; " : "",
                   (w->budget.used + w->budget.undated) / 1000);
    connectivity_put(job, &w->health, &out);
}

static void sample(struct connectivity_walk *w, const struct connectivity_job *job, int64_t due_ms)
{
    static const enum connectivity_walk_state of_gps[] = {
        [CONNECTIVITY_GPS_AWAY] = CONNECTIVITY_WALK_AWAY,
        [CONNECTIVITY_GPS_NOTHING] = CONNECTIVITY_WALK_NO_RECEIVER,
        [CONNECTIVITY_GPS_NO_FIX] = CONNECTIVITY_WALK_NO_FIX,
        [CONNECTIVITY_GPS_STALE] = CONNECTIVITY_WALK_STALE,
        [CONNECTIVITY_GPS_2D] = CONNECTIVITY_WALK_SAMPLED,
        [CONNECTIVITY_GPS_3D] = CONNECTIVITY_WALK_SAMPLED};
    struct num v[CONNECTIVITY_WALK_POINTS] = {{.kind = NUM_NONE}};
    struct connectivity_walk_answer a;
    int64_t data = 0, day = wire_day_of(clk_now(job->clk).utc_ms);
    struct connectivity_place at = {.mode = 0};
    enum connectivity_walk_state state =
        of_gps[connectivity_walk_place(w, clk_mono(job->clk), &at)];
    bool fix = state == CONNECTIVITY_WALK_SAMPLED;
    if (fix)
        put_fix(&at, v);
    if (fix && is_still(w, &at, day))
        state = CONNECTIVITY_WALK_STILL;
    else if (fix && w->cfg->transfer && !connectivity_walk_reserve(w, job))
        state = CONNECTIVITY_WALK_SPENT;
    else if (fix)
        state = measure(w, job, &at, &a, &data);
    if (atomic_load(&job->stop->set)) /* what the stop cut short says nothing */
        return;
    if (state == CONNECTIVITY_WALK_SAMPLED) {
        put_radio(&a.radio, v);
        w->has_last = true;
        w->last_lat = at.lat;
        w->last_lon = at.lon;
        w->last_day = day;
    }
    v[STATE] = num_dec((int64_t)state, 0);
    v[DATA] = num_dec(data, 0);
    tell(w, job, due_ms, state, v);
}

void connectivity_walk_main(void *connectivity_job)
{
    const struct connectivity_job *job = connectivity_job;
    struct connectivity_walk *w = job->connectivity->walk;
    while (!atomic_load(&job->stop->set)) {
        int64_t due = connectivity_due(job, w->device, &w->next_ms, w->cfg->every_ms);
        if (due)
            sample(w, job, due);
        int64_t wait = w->next_ms - clk_now(job->clk).utc_ms;
        hear(w, job, wait < 0 ? 0 : wait < STEP_MS ? wait : STEP_MS);
    }
    connectivity_gps_close(&w->gps);
}
