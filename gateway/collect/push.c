/* The thread of a broker: messages become polls of their devices, which are durable before the
 * broker is told that they arrived. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/push_int.h"
#include "gateway/mqtt/mqtt.h"

#define STEP_MS 1000 /* how long a wait for messages is at most */
#define PUT_WAIT_MS 1000
#define BACK_OFF_MIN_MS 1000
#define BACK_OFF_MAX_MS 30000
#define BURST_MS 1000
#define DEAF_MS 60000                      /* so long without a broker is a gap */
#define STEP_OF_CLOCK_MS 5000              /* a change of UTC beside the other clock */
#define EARLIEST_MS INT64_C(1577836800000) /* 2020: a clock before it was never set */
#define SESSION_S (7 * 24 * 3600)          /* that the broker keeps messages for us */

struct collect_push {
    struct mqtt_cfg cfg;
    char *password;
    const struct collect_bus_job *job;
    struct collect_bus *bus;
    struct mqtt *mqtt;    /* NULL: bus of type http */
    pthread_mutex_t lock; /* of all below: on a bus of type http whoever posts is here, too */
    struct collect_seen seen;
    struct collect_pack pack;
    struct clk_time now; /* of this turn */
    struct mono mono;
    size_t taken;  /* readings of one message that are new, … */
    size_t met;    /* and devices that it names */
    struct err no; /* why it cannot be read; st is ST_OK when it can */
    bool online;
    int64_t down_ms; /* the broker is away since */
    int64_t deaf_ms; /* nothing could be heard since */
};

/* ---- one message ---------------------------------------------------------------------------- */

static void health(struct collect_push *p, struct collect_device *d, enum store_state state,
                   const char *text)
{
    struct store_health *h = &d->health;
    if (state != h->state)
        h->since_ms = p->now.utc_ms;
    h->state = state;
    (void)snprintf(h->text, sizeof h->text, "%s", text);
    store_health_set(p->job->store, d->store, h);
    const char *id = d->cfg->id;
    if (state == STORE_NEVER || !collect_is_news(&d->teller, state, p->mono))
        return;
    if (state == STORE_GOOD)
        store_event(p->job->store, STORE_INFO, "device.good", id, "%s sends again", id);
    else
        store_event(p->job->store, STORE_WARNING,
                    state == STORE_FAULTY ? "device.faulty" : "device.silent", id, "%s", text);
}

/* A time that cannot be right is not used: the arrival stands for it, and messages that arrive in
 * one millisecond are told apart by the next ones. While our own clock is not known no time of
 * another can be told from a wrong one, and all go by the time since boot. */
static int64_t stamp(const struct collect_push *p, struct collect_device *d, int64_t t_ms)
{
    int64_t now_ms = p->now.utc_ms;
    if (p->now.grade != CLK_UNKNOWN && t_ms >= EARLIEST_MS && t_ms <= now_ms)
        return t_ms;
    bool again = d->read_ms >= now_ms && d->read_ms < now_ms + BURST_MS;
    d->read_ms = again ? d->read_ms + 1 : now_ms;
    return d->read_ms;
}

/* Values from..to of the pack have one time: one poll. */
static enum st put(struct collect_push *p, struct collect_device *d, size_t from, size_t to,
                   struct err *e)
{
    const struct collect_pack *k = &p->pack;
    int64_t said_ms = k->v[from].t_ms, t_ms = stamp(p, d, said_ms);
    struct store_value *v = p->bus->values;
    uint64_t marks[STORE_POLL_MAX];
    uint32_t n = 0;
    for (size_t i = from; i < to; i++) {
        const struct collect_value *x = &k->v[i];
        const char *point = d->profile->points[x->point].name;
        marks[n] = collect_reading_mark(d->cfg->id, strlen(d->cfg->id), point, strlen(point),
                                        said_ms, x->v);
        if (said_ms && collect_seen_has(&p->seen, marks[n]))
            continue;
        v[n++] = (struct store_value){x->v, d->seen[x->point].series, x->q};
    }
    if (n == 0)
        return ST_OK;
    struct store_poll poll = {.device = d->store,
                              .due_ms = t_ms,
                              .t_ms = t_ms,
                              .grade = p->now.grade,
                              .cause = STORE_DEVICE,
                              .n = n};
    enum st st = store_put(p->job->store, &poll, v, PUT_WAIT_MS);
    if (st != ST_OK)
        return err_set(e, st, "the store takes no readings now: the broker keeps them");
    p->taken += n;
    for (uint32_t i = 0; i < n && said_ms; i++)
        collect_seen_add(&p->seen, marks[i]);
    for (size_t i = from; i < to; i++) {
        struct collect_point_seen *s = &d->seen[k->v[i].point];
        s->last_ms = t_ms > s->last_ms ? t_ms : s->last_ms;
        s->silent = false;
    }
    return ST_OK;
}

static enum st put_all(struct collect_push *p, struct collect_device *d, struct err *e)
{
    const struct collect_pack *k = &p->pack;
    for (size_t i = 0, j; i < k->n; i = j) {
        for (j = i + 1; j < k->n && k->v[j].t_ms == k->v[i].t_ms; j++)
            ;
        ERR_TRY(put(p, d, i, j, e));
    }
    return ST_OK;
}

static bool is_repeat(struct collect_push *p)
{
    const uint64_t *m = p->pack.marks;
    return (m[0] && collect_seen_has(&p->seen, m[0])) || (m[1] && collect_seen_has(&p->seen, m[1]));
}

static enum st read_pack(struct collect_pack *k, const struct collect_device_cfg *d,
                         const struct mqtt_message *m, struct err *e)
{
    switch (d->format) {
    case COLLECT_CHIRPSTACK:
        return collect_chirpstack_read(k, d->dev_eui, m->payload, m->n, e);
    case COLLECT_SENML:
        return collect_senml_read(k, d->base, m->payload, m->n, e);
    default:
        return collect_json_read(k, m->payload, m->n, e);
    }
}

static enum st read_for(struct collect_push *p, const struct collect_device *d,
                        const struct mqtt_message *m, struct err *e)
{
    struct collect_pack *k = &p->pack;
    k->profile = d->profile;
    k->wanted = d->wanted;
    k->now_ms = p->now.utc_ms;
    k->n = k->strange = 0;
    k->marks[0] = k->marks[1] = 0;
    k->empty = false;
    return read_pack(k, d->cfg, m, e);
}

/* A message that cannot be read is told and acknowledged: it would come for ever. */
static enum st take(struct collect_push *p, struct collect_device *d, const struct mqtt_message *m,
                    struct err *e)
{
    struct collect_pack *k = &p->pack;
    struct err why = {0};
    char text[200];
    enum st st = read_for(p, d, m, &why);
    if (st != ST_OK)
        p->no = why;
    if (st == ST_OK && (k->empty || is_repeat(p)))
        return ST_OK;
    if (st != ST_OK && p->bus->cfg->type == COLLECT_HTTP)
        return ST_OK; /* whoever posted it learns it; it names no device */
    p->met += k->n > 0;
    d->health.polls++;
    if (st != ST_OK || k->n == 0) {
        d->health.failures++;
        (void)snprintf(text, sizeof text, "Its message is not used: %s. Check format and mapping.",
                       st != ST_OK  ? why.text
                       : k->strange ? "its values are no numbers, or have another unit"
                                    : "it has none of the mapping's values");
        health(p, d, STORE_FAULTY, text);
        return ST_OK;
    }
    ERR_TRY(put_all(p, d, e));
    for (int i = 0; i < 2; i++)
        if (k->marks[i])
            collect_seen_add(&p->seen, k->marks[i]);
    health(p, d, k->strange ? STORE_FAULTY : STORE_GOOD,
           k->strange
               ? "Some of its values are no numbers, or have another unit. Check the mapping."
               : "");
    return ST_OK;
}

/* All times of this thread begin anew: at its start, and when the clock was set. */
static void begin_times(struct collect_push *p)
{
    for (size_t i = 0; i < p->bus->n; i++)
        for (size_t j = 0; j < p->bus->devices[i]->profile->n; j++)
            p->bus->devices[i]->seen[j] = (struct collect_point_seen){
                .series = p->bus->devices[i]->seen[j].series, .last_ms = p->now.utc_ms};
    p->deaf_ms = p->now.utc_ms;
}

static void look_at_clock(struct collect_push *p)
{
    struct clk_time t = clk_now(p->job->clk);
    struct mono m = clk_mono(p->job->clk);
    int64_t step = (t.utc_ms - p->now.utc_ms) - (m.ms - p->mono.ms);
    p->now = t;
    p->mono = m;
    if (step > STEP_OF_CLOCK_MS || step < -STEP_OF_CLOCK_MS)
        begin_times(p);
}

/* ---- what is posted ------------------------------------------------------------------------- */

static enum st post(struct collect_push *p, const struct mqtt_message *m, struct err *e)
{
    if (!p->job)
        return err_set(e, ST_BUSY, "bus %s has not started yet: try again", p->bus->cfg->id);
    look_at_clock(p);
    p->taken = p->met = 0;
    p->no.st = ST_OK;
    for (size_t i = 0; i < p->bus->n; i++) { /* what is refused is refused whole */
        struct err why = {0};
        if (read_for(p, p->bus->devices[i], m, &why) != ST_OK)
            return err_set(e, ST_BAD, "%s", why.text);
    }
    for (size_t i = 0; i < p->bus->n; i++)
        ERR_TRY(take(p, p->bus->devices[i], m, e));
    return p->no.st == ST_OK ? ST_OK : err_set(e, ST_BAD, "%s", p->no.text);
}

enum st collect_post(struct collect *k, const void *body, size_t n, size_t *taken, struct err *e)
{
    const struct mqtt_message m = {.payload = body, .n = n};
    struct store *store = NULL;
    size_t met = 0;
    *taken = 0;
    for (size_t i = 0; i < k->nbuses; i++) {
        struct collect_push *p = k->buses[i].push;
        if (k->buses[i].cfg->type != COLLECT_HTTP)
            continue;
        pthread_mutex_lock(&p->lock);
        enum st st = post(p, &m, e);
        *taken += p->taken;
        met += p->met;
        store = p->job ? p->job->store : NULL;
        pthread_mutex_unlock(&p->lock);
        if (st != ST_OK) { /* what is in already stays: durable, like all that is in */
            if (*taken > 0)
                (void)!store_commit(store, NULL);
            return st;
        }
    }
    if (met == 0)
        return err_set(e, ST_NOT_FOUND,
                       "no name in it is a point of a device on a bus of type http");
    return store_commit(store, e);
}

/* ---- silence -------------------------------------------------------------------------------- */

/* Nothing came of these n series in [from_ms, to_ms). */
static void put_silence(struct collect_push *p, struct collect_device *d, uint32_t n,
                        int64_t from_ms, int64_t to_ms, enum store_cause cause)
{
    struct store_poll poll = {.device = d->store,
                              .due_ms = from_ms,
                              .t_ms = to_ms,
                              .grade = p->now.grade,
                              .cause = cause,
                              .n = n};
    if (n > 0) /* one that does not fit leaves its gap in the store */
        (void)!store_put(p->job->store, &poll, p->bus->values, 0);
}

/* Points that owe a reading each period, and brought none for two. Once for each silence: the gap
 * lasts until the next reading. */
static void tell_silent(struct collect_push *p, struct collect_device *d)
{
    int64_t every = d->cfg->every_ms, now = p->now.utc_ms;
    bool any = false;
    for (size_t i = 0; i < d->profile->n; i++) {
        struct collect_point_seen *s = &d->seen[i];
        if (!d->wanted[i] || s->silent || now < s->last_ms + 2 * every)
            continue;
        int64_t last_ms = s->last_ms;
        uint32_t n = 0;
        for (size_t j = i; j < d->profile->n; j++)
            if (d->wanted[j] && !d->seen[j].silent && d->seen[j].last_ms == last_ms) {
                d->seen[j].silent = true;
                p->bus->values[n++] =
                    (struct store_value){{.kind = NUM_NONE}, d->seen[j].series, 0};
            }
        put_silence(p, d, n, last_ms + every, now, p->online ? STORE_DEVICE : STORE_BUS);
        any = true;
    }
    if (any && p->online)
        health(p, d, STORE_SILENT,
               "Nothing came from it for two periods. Check its power and radio.");
}

static void tell_deaf(struct collect_push *p, int64_t to_ms)
{
    for (size_t i = 0; i < p->bus->n; i++) {
        struct collect_device *d = p->bus->devices[i];
        uint32_t n = 0;
        for (size_t j = 0; j < d->profile->n && d->cfg->every_ms == 0; j++)
            if (d->wanted[j])
                p->bus->values[n++] =
                    (struct store_value){{.kind = NUM_NONE}, d->seen[j].series, 0};
        put_silence(p, d, n, p->deaf_ms, to_ms, STORE_BUS);
    }
    p->deaf_ms = to_ms;
}

/* ---- the broker ----------------------------------------------------------------------------- */

static void went_down(struct collect_push *p, const char *why)
{
    const char *id = p->bus->cfg->id;
    char text[200];
    (void)snprintf(text, sizeof text, "Bus %s: %s", id, why);
    if (p->online || !p->down_ms)
        p->down_ms = p->now.utc_ms;
    p->deaf_ms = p->online ? p->now.utc_ms : p->deaf_ms;
    p->online = false;
    for (size_t i = 0; i < p->bus->n; i++) { /* the broker is told once, as the bus's event */
        struct store_health h = p->bus->devices[i]->health; /* its own stays for afterwards */
        h.since_ms = p->down_ms;
        h.state = STORE_SILENT;
        (void)snprintf(h.text, sizeof h.text, "%s", text);
        store_health_set(p->job->store, p->bus->devices[i]->store, &h);
    }
    if (collect_is_news(&p->bus->teller, STORE_SILENT, p->mono))
        store_event(p->job->store, STORE_WARNING, "bus.down", id, "%s", text);
}

static void came_up(struct collect_push *p, bool kept)
{
    const char *id = p->bus->cfg->id;
    p->online = true;
    if (!kept)
        tell_deaf(p, p->now.utc_ms);
    if (collect_is_news(&p->bus->teller, STORE_GOOD, p->mono))
        store_event(p->job->store, STORE_INFO, "bus.up", id, "bus %s works again%s", id,
                    kept ? "" : "; what was sent meanwhile is lost: the broker kept no session");
    for (size_t i = 0; i < p->bus->n; i++) {
        struct collect_device *d = p->bus->devices[i];
        for (size_t j = 0; j < d->profile->n && d->health.state != STORE_SILENT; j++)
            if (d->seen[j].silent) { /* for the broker's sake: its own silence begins now */
                d->seen[j].silent = false;
                d->seen[j].last_ms = p->now.utc_ms;
            }
        store_health_set(p->job->store, d->store, &d->health);
    }
}

static enum st on_message(void *ctx, const struct mqtt_message *m, struct err *e)
{
    struct collect_push *p = ctx;
    look_at_clock(p);
    if (!p->online) /* before its reading, so that no gap covers that */
        came_up(p, mqtt_session_kept(p->mqtt));
    for (size_t i = 0; i < p->bus->n && !m->repeat; i++)
        if (mqtt_topic_matches(p->bus->devices[i]->topic, m->topic))
            ERR_TRY(take(p, p->bus->devices[i], m, e));
    return ST_OK;
}

static enum st on_commit(void *ctx, struct err *e)
{
    struct collect_push *p = ctx;
    return store_commit(p->job->store, e);
}

static void turn(struct collect_push *p, struct mono *try_at, int64_t *back_off_ms)
{
    struct err e = {0};
    if (p->mono.ms < try_at->ms) {
        (void)thr_stop_wait(p->job->stop, STEP_MS);
        return;
    }
    enum st st = mqtt_step(p->mqtt, STEP_MS, p->job->stop->fd, &e);
    look_at_clock(p);
    if (st == ST_OK && mqtt_online(p->mqtt)) {
        *back_off_ms = 0;
        if (!p->online)
            came_up(p, mqtt_session_kept(p->mqtt));
    } else if (st != ST_OK) {
        went_down(p, e.text);
        *back_off_ms = *back_off_ms == 0 ? BACK_OFF_MIN_MS : 2 * *back_off_ms;
        if (*back_off_ms > BACK_OFF_MAX_MS)
            *back_off_ms = BACK_OFF_MAX_MS;
        try_at->ms = p->mono.ms + *back_off_ms;
    }
}

/* A turn of the thread beside the messages. */
static void look(struct collect_push *p)
{
    look_at_clock(p);
    if (!p->online && p->now.utc_ms - p->deaf_ms >= DEAF_MS)
        tell_deaf(p, p->now.utc_ms);
    for (size_t i = 0; i < p->bus->n; i++)
        if (p->bus->devices[i]->cfg->every_ms > 0)
            tell_silent(p, p->bus->devices[i]);
}

static void begin(struct collect_push *p, const struct collect_bus_job *job)
{
    struct err e = {0};
    p->job = job;
    p->now = clk_now(job->clk);
    p->mono = clk_mono(job->clk);
    p->online = p->bus->cfg->type == COLLECT_HTTP;
    begin_times(p);
    if (collect_seen_recall(&p->seen, job, p->bus, p->now, &e) != ST_OK)
        store_event(job->store, STORE_WARNING, "push.recall", p->bus->cfg->id,
                    "messages that come a second time may be taken twice: %s", e.text);
}

static void http_main(struct collect_push *p)
{
    while (!thr_stop_wait(p->job->stop, STEP_MS)) {
        pthread_mutex_lock(&p->lock);
        look(p);
        pthread_mutex_unlock(&p->lock);
    }
}

/* Nobody is listened to: what is brought goes another way (store_enter_of). */
static void manual_main(const struct collect_bus_job *job, const struct collect_bus *b)
{
    const struct store_health good = {.state = STORE_GOOD, .since_ms = clk_now(job->clk).utc_ms};
    for (size_t i = 0; i < b->n; i++)
        store_health_set(job->store, b->devices[i]->store, &good);
}

void collect_push_main(const struct collect_bus_job *job, struct collect_bus *b)
{
    struct collect_push *p = b->push;
    const struct mqtt_hooks hooks = {on_message, on_commit, p};
    struct mono try_at = {0};
    struct err e = {0};
    int64_t back_off_ms = 0;
    if (b->cfg->type == COLLECT_MANUAL) {
        manual_main(job, b);
        return;
    }
    pthread_mutex_lock(&p->lock);
    begin(p, job);
    pthread_mutex_unlock(&p->lock);
    if (b->cfg->type == COLLECT_HTTP) {
        http_main(p);
        return;
    }
    if (mqtt_open(&p->mqtt, &p->cfg, &hooks, &e) != ST_OK)
        went_down(p, e.text);
    while (!atomic_load(&job->stop->set)) {
        if (p->mqtt)
            turn(p, &try_at, &back_off_ms);
        else
            (void)thr_stop_wait(job->stop, STEP_MS);
        look(p);
    }
    mqtt_close(p->mqtt);
    p->mqtt = NULL;
}

/* ---- made of the configuration -------------------------------------------------------------- */

enum st collect_push_make(struct collect_bus *b, struct err *e)
{
    const struct collect_bus_cfg *c = b->cfg;
    struct collect_push *p = b->push = calloc(1, sizeof *p);
    const char **topics = calloc(b->n + 1, sizeof *topics);
    if (!p || !topics) {
        free(topics);
        return err_set(e, ST_MEMORY, "collect: no memory for bus %s", c->id);
    }
    p->bus = b;
    pthread_mutex_init(&p->lock, NULL);
    if (c->type != COLLECT_MQTT) {
        free(topics);
        return ST_OK;
    }
    p->cfg = (struct mqtt_cfg){.host = c->host,
                               .port = (int)strtol(c->port, NULL, 10),
                               .ca = c->ca,
                               .user = c->user,
                               .client = c->client,
                               .session_s = SESSION_S,
                               .max_bytes = COLLECT_MESSAGE_MAX,
                               .topics = topics};
    for (size_t i = 0; i < b->n; i++) {
        size_t same = 0;
        while (same < p->cfg.ntopics && strcmp(topics[same], b->devices[i]->topic) != 0)
            same++;
        if (same == p->cfg.ntopics)
            topics[p->cfg.ntopics++] = b->devices[i]->topic;
    }
    if (!c->password_file)
        return ST_OK;
    ERR_TRY(collect_push_password(&p->password, c->password_file, e));
    p->cfg.password = p->password;
    return ST_OK;
}

void collect_push_free(struct collect_push *p)
{
    if (!p)
        return;
    if (p->password)
        explicit_bzero(p->password, strlen(p->password));
    free(p->password);
    pthread_mutex_destroy(&p->lock);
    free((void *)(uintptr_t)p->cfg.topics);
    free(p);
}
