/* The thread of the alarms: looks at the board, judges, and tells. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/base/log.h"
#include "gateway/indicator/alarm_int.h"

#define LOOK_MS 500   /* how often the board is looked at */
#define ASKED_MS 1000 /* how often the folder of a tool is */
#define PUT_WAIT_MS 500
#define URGE_MS 10000             /* windows end early for alarms at most so often */
#define SMS_WATCH_MS 180000       /* a link that died says so only when a call has failed */
#define ZONE_MS INT64_C(25200000) /* UTC+7 */

/* As the page shows a device: it is well while it is watched for. */
static void health(struct alarms *x, const struct alarms_job *job, const char *fault)
{
    struct store_health *h = &x->health;
    enum store_state state = fault[0] ? STORE_FAULTY : STORE_GOOD;
    if (h->state != state)
        h->since_ms = clk_now(job->clk).utc_ms;
    h->state = state;
    h->polls++;
    (void)snprintf(h->text, sizeof h->text, "%s", fault);
    store_health_set(job->store, x->device, h);
}

/* ---- telling -------------------------------------------------------------------------------- */

static struct num as_num(const struct alarm *a)
{
    return num_dec(a->watch.figure, -6);
}

static void view(struct alarms *x, struct alarm *a, const struct store_now *now)
{
    (void)pthread_mutex_lock(&x->lock);
    a->view.state = alarm_watch_state(&a->watch);
    a->view.since_ms = a->watch.raised ? a->since_ms : 0;
    a->view.known_ms = a->watch.acknowledged ? a->known_ms : 0;
    (void)snprintf(a->view.by, sizeof a->view.by, "%s", a->watch.acknowledged ? a->by : "");
    if (now) {
        a->view.value = as_num(a);
        a->view.value_ms = now->t_ms;
        a->view.at = now->read_at;
    }
    (void)pthread_mutex_unlock(&x->lock);
}

/* Whether it is in the store: a start must find it as it was. Behind its reading: one that was kept
 * and not told would never be. */
static bool keep(const struct alarm *a, const struct alarms_job *job)
{
    static struct log_limit limit;
    char text[STORE_NOTE_BYTES];
    struct err e = {.text = ""};
    struct alarm_kept k = {
        .state = alarm_watch_state(&a->watch), .since_ms = a->since_ms, .known_ms = a->known_ms};
    (void)snprintf(k.by, sizeof k.by, "%s", a->by);
    alarm_kept_text(&k, text);
    enum st st = store_commit(job->store, &e);
    if (st == ST_OK)
        st = store_note_set(job->store, ALARM_NOTE, a->cfg->id, text, &e);
    if (st != ST_OK && st != ST_STOPPED)
        log_limited(&limit, 2, LOG_LEVEL_ERROR, "alarm %s is not kept over a restart: %s",
                    a->cfg->id, e.text);
    return st == ST_OK;
}

/* As readings. What the queue has no room for is told again. */
static void tell(struct alarms *x, struct alarm *a, const struct alarms_job *job)
{
    struct clk_time now = clk_now(job->clk);
    const struct store_poll poll = {.device = x->device,
                                    .due_ms = now.utc_ms,
                                    .t_ms = now.utc_ms,
                                    .grade = now.grade,
                                    .cause = STORE_DEVICE,
                                    .n = a->watch.has && !a->watch.silent ? 2 : 1};
    const struct store_value v[2] = {
        {.v = num_dec((int64_t)alarm_watch_state(&a->watch), 0),
         .series = a->state_series,
         .q = WIRE_Q_COMPUTED},
        {.v = as_num(a), .series = a->value_series, .q = WIRE_Q_COMPUTED}};
    a->untold = store_put(job->store, &poll, v, PUT_WAIT_MS) != ST_OK;
    health(x, job, "");
    if (a->untold || !a->urgent)
        return;
    a->urgent = false;
    x->urge = true;
    x->urge_t_ms = now.utc_ms;
}

static const char *unit(const struct alarm *a)
{
    return a->quantity->unit ? a->quantity->unit : "";
}

static const char *words(const struct alarm *a, const struct alarms_job *job)
{
    return job->english && a->cfg->text.en ? a->cfg->text.en : a->cfg->text.vi;
}

/* To as many decimals as the quantity has. */
static const char *figure(const struct alarm *a, char out[NUM_TEXT_BYTES])
{
    int64_t step = 1;
    for (unsigned i = a->quantity->decimals; i < 6; i++)
        step *= 10;
    int64_t v = a->watch.figure, half = v < 0 ? -step / 2 : step / 2;
    return num_text(num_dec((v + half) / step * step, -6), out);
}

static void event(const struct alarm *a, const struct alarms_job *job, enum store_severity severity,
                  const char *code, const char *more)
{
    char value[NUM_TEXT_BYTES] = "", limit[NUM_TEXT_BYTES], text[768];
    if (a->watch.has)
        (void)figure(a, value);
    /* the figures first: of the words, the last may be cut */
    (void)snprintf(text, sizeof text, "%.40s%s%s (%s %s %.20s)%s%s. %s", value, value[0] ? " " : "",
                   value[0] ? unit(a) : "no value", a->cfg->series, a->kind,
                   num_text(*a->limit, limit), more[0] ? ", " : "", more, words(a, job));
    alarm_cut(text, sizeof((struct store_event *)0)->text - 1);
    store_event(job->store, severity, code, a->cfg->id, "%s", text);
}

/* ---- SMS ------------------------------------------------------------------------------------ */

static void message(const struct alarm *a, const struct alarms_job *job)
{
    char value[NUM_TEXT_BYTES], limit[NUM_TEXT_BYTES], at[32] = "", text[512],
                                                       plain[ALARM_SMS_BYTES];
    time_t s = (time_t)((a->since_ms + ZONE_MS) / 1000);
    struct tm tm;
    if (clk_now(job->clk).grade != CLK_UNKNOWN && gmtime_r(&s, &tm))
        (void)snprintf(at, sizeof at, ", %02d:%02d %02d/%02d", tm.tm_hour, tm.tm_min, tm.tm_mday,
                       tm.tm_mon + 1);
    /* what stands first is cut last: 30 of its name, 80 of words, the rest are figures */
    (void)snprintf(text, sizeof text, "%s: %.12s %s (%s %.12s)%s. %s", words(a, job),
                   figure(a, value), unit(a),
                   a->rule.kind == ALARM_BELOW ? "<=" : ">=", num_text(*a->limit, limit), at,
                   job->gateway);
    alarm_plain(plain, sizeof plain, text);
    job->sms(job->ctx, plain);
}

static void sms_step(struct alarm *a, const struct alarms_job *job, int64_t now_ms)
{
    if (a->sms_until_ms == 0)
        return;
    if (!a->watch.raised || now_ms > a->sms_until_ms) {
        a->sms_until_ms = 0;
    } else if (!job->online || !job->online(job->ctx)) {
        a->sms_until_ms = 0;
        message(a, job);
    }
}

/* ---- a change ------------------------------------------------------------------------------- */

static void raised(struct alarm *a, const struct alarms_job *job, int64_t now_ms)
{
    a->since_ms = clk_now(job->clk).utc_ms;
    a->known_ms = 0;
    a->by[0] = '\0';
    if (a->cfg->sms && job->sms)
        a->sms_until_ms = now_ms + SMS_WATCH_MS;
    a->urgent = true;
}

static void cleared(struct alarm *a)
{
    a->since_ms = a->known_ms = 0;
    a->by[0] = '\0';
    a->urgent = true;
}

/* What became of it since it was told. */
static void change(struct alarm *a, const struct alarms_job *job, bool was, int64_t now_ms)
{
    enum alarm_state state = alarm_watch_state(&a->watch);
    bool is = a->watch.raised;
    if (is && !was) {
        raised(a, job, now_ms);
        event(a, job, (enum store_severity)a->cfg->severity, "alarm.raised", "");
    }
    if (was && !is) {
        cleared(a);
        event(a, job, STORE_INFO, "alarm.cleared", "");
    }
    if (state == ALARM_UNKNOWN && a->told != ALARM_UNKNOWN)
        event(a, job, STORE_WARNING, "alarm.unknown", "nothing is known any more");
    if (is && was && a->told == ALARM_UNKNOWN && state != ALARM_UNKNOWN)
        event(a, job, STORE_INFO, "alarm.known", "");
    if ((int)state == a->told)
        return;
    a->kept = false;
    a->untold = true;
    a->told = (int)state;
}

static void acknowledge(struct alarms *x, struct alarm *a, const struct alarms_job *job)
{
    char by[ALARM_NAME_BYTES], more[ALARM_NAME_BYTES + 4];
    (void)pthread_mutex_lock(&x->lock);
    memcpy(by, a->asked, sizeof by);
    a->asked[0] = '\0';
    (void)pthread_mutex_unlock(&x->lock);
    if (!by[0] || !a->watch.raised || a->watch.acknowledged)
        return;
    a->watch.acknowledged = true;
    a->known_ms = clk_now(job->clk).utc_ms;
    memcpy(a->by, by, sizeof by);
    (void)snprintf(more, sizeof more, "by %s", by);
    event(a, job, STORE_INFO, "alarm.acknowledged", more);
    a->kept = false;
}

/* A tool's: before the next look, so that what it says is of this alarm and none after. */
static void asked(struct alarms *x, struct alarm *a, const struct alarms_job *job)
{
    char by[ALARM_NAME_BYTES];
    if (!alarm_asked_take(store_path(job->store), a->cfg->id, by))
        return;
    (void)pthread_mutex_lock(&x->lock);
    memcpy(a->asked, by, sizeof by);
    (void)pthread_mutex_unlock(&x->lock);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void look(struct alarms *x, struct alarm *a, const struct alarms_job *job, int64_t now_ms)
{
    struct store_now now;
    int64_t v;
    bool was = a->watch.raised;
    store_board(job->store, a->series, 1, &now);
    bool fresh = now.count != a->count && !now.missing && !(now.q & ALARM_Q_BAD) &&
                 alarm_millionths(now.v, &v);
    a->count = now.count;
    if (fresh)
        alarm_watch_take(&a->watch, now.read_at.ms, v);
    alarm_watch_tick(&a->watch, now_ms);
    acknowledge(x, a, job);
    if (a->watch.has || a->watch.silent || a->told >= 0) /* before, nothing is known of it */
        change(a, job, was, now_ms);
    if (a->untold)
        tell(x, a, job);
    sms_step(a, job, now_ms);
    view(x, a, fresh ? &now : NULL);
}

void alarms_step(struct alarms *x, const struct alarms_job *job)
{
    int64_t now_ms = clk_mono(job->clk).ms;
    bool ask = now_ms >= x->asked_due.ms;
    if (ask)
        x->asked_due.ms = now_ms + ASKED_MS;
    alarms_fill(x, job);
    for (size_t i = 0; i < x->n; i++) {
        if (ask)
            asked(x, &x->v[i], job);
        look(x, &x->v[i], job, now_ms);
    }
    if (x->urge && now_ms >= x->urge_next_ms) {
        store_urge(job->store, x->urge_t_ms);
        x->urge = false;
        x->urge_next_ms = now_ms + URGE_MS;
    }
    for (size_t i = 0; i < x->n; i++) /* last, for it waits for the writer */
        if (!x->v[i].kept && !x->v[i].untold)
            x->v[i].kept = keep(&x->v[i], job);
}

static void recall(void *ctx, const char *name, const char *text)
{
    struct alarms *x = ctx;
    struct alarm_kept k;
    for (size_t i = 0; i < x->n; i++) {
        struct alarm *a = &x->v[i];
        if (strcmp(a->cfg->id, name) != 0 || !alarm_kept_read(text, &k))
            continue;
        a->watch.raised =
            k.state == ALARM_RAISED || k.state == ALARM_ACKNOWLEDGED || k.state == ALARM_UNKNOWN;
        a->watch.acknowledged = a->watch.raised && k.known_ms != 0;
        a->watch.silent = k.state == ALARM_UNKNOWN;
        a->since_ms = k.since_ms;
        a->known_ms = k.known_ms;
        memcpy(a->by, k.by, sizeof a->by);
        a->told = (int)alarm_watch_state(&a->watch);
        a->kept = true;
    }
}

enum st alarms_begin(struct alarms *x, const struct alarms_job *job, struct err *e)
{
    enum st st = ST_OK;
    int64_t now_ms = clk_mono(job->clk).ms;
    for (size_t i = 0; i < x->n && st == ST_OK; i++) {
        struct alarm *a = &x->v[i];
        a->told = -1;
        a->kept = true;
        st = alarm_watch_open(&a->watch, &a->rule, now_ms, e);
    }
    if (st == ST_OK)
        st = store_notes_each(job->store, ALARM_NOTE, recall, x, e);
    for (size_t i = 0; i < x->n && st == ST_OK; i++)
        view(x, &x->v[i], NULL);
    health(x, job,
           st == ST_OK ? "" : "no alarm is watched: see the log, and start the gateway anew");
    return st;
}

void alarms_end(struct alarms *x)
{
    for (size_t i = 0; i < x->n; i++)
        alarm_watch_done(&x->v[i].watch);
}

void alarms_main(void *alarms_job)
{
    const struct alarms_job *job = alarms_job;
    struct alarms *x = job->alarms;
    struct err e = {.text = ""};
    enum st st = alarms_begin(x, job, &e);
    if (st != ST_OK && st != ST_STOPPED) {
        log_error("%s: no alarm is watched", e.text);
        store_event(job->store, STORE_ERROR, "alarm.down", NULL, "no alarm is watched: %s", e.text);
    }
    while (st == ST_OK && !thr_stop_wait(job->stop, LOOK_MS))
        alarms_step(x, job);
    alarms_end(x);
}

/* ---- for others ----------------------------------------------------------------------------- */

size_t alarms_look(struct alarms *x, size_t first, struct alarm_view *out, size_t max)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&x->lock);
    for (; first + n < x->n && n < max; n++)
        out[n] = x->v[first + n].view;
    (void)pthread_mutex_unlock(&x->lock);
    return n;
}

enum st alarms_acknowledge(struct alarms *x, const char *id, const char *by, struct err *e)
{
    const char *wrong = alarm_name_wrong(by);
    enum st st = wrong ? err_set(e, ST_BAD, "%s", wrong)
                       : err_set(e, ST_NOT_FOUND, "there is no alarm %s", id);
    (void)pthread_mutex_lock(&x->lock);
    for (size_t i = 0; !wrong && i < x->n; i++) {
        struct alarm *a = &x->v[i];
        if (strcmp(a->cfg->id, id) != 0)
            continue;
        bool can = a->view.since_ms && !a->view.known_ms && !a->asked[0];
        st = can ? ST_OK
                 : err_set(e, ST_CONFLICT, "alarm %s is not raised, or acknowledged already", id);
        if (can)
            (void)snprintf(a->asked, sizeof a->asked, "%s", by);
    }
    (void)pthread_mutex_unlock(&x->lock);
    return st;
}
