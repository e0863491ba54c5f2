/* A modem: what it is asked, what becomes a series, and its thread. */
#include "gateway/connectivity/modem_int.h"
#include "gateway/connectivity/survey_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define STEP_MS 1000  /* longest sleep: a stepped UTC clock is noticed within it */
#define WALK_MS 100   /* as well, where the walk may want it */
#define POLL_MS 30000 /* all commands of one poll */
#define SILENT_MAX 2  /* commands without an answer, one behind the other: it is silent */
#define ANSWER_MS 3000
#define NETWORK_MS 8000 /* where the modem may ask the network */
#define QUIET_MS 100

/* ---- commands ------------------------------------------------------------------------------ */

/* Nothing here changes what the modem keeps, or asks who the subscriber is. */
static const struct {
    const char *command;
    int64_t ms;
} commands[] = {
    {"AT", ANSWER_MS},
    {"AT+CMEE=1", ANSWER_MS},  /* faults by number */
    {"AT+CEREG=2", ANSWER_MS}, /* registration with cell and area */
    {"AT+C5GREG=2", ANSWER_MS},
    {"AT+COPS=3,2", ANSWER_MS}, /* operators by number */
    {"AT+CPIN?", ANSWER_MS},
    {"AT+CEREG?", ANSWER_MS},
    {"AT+C5GREG?", ANSWER_MS},
    {"AT+COPS?", NETWORK_MS},
    {"AT+CSQ", ANSWER_MS},
    {"AT+CESQ", ANSWER_MS},
    {"AT+QENG=\"servingcell\"", ANSWER_MS},
    {"AT+QCSQ", ANSWER_MS},
    {"AT+QNWINFO", ANSWER_MS},
    {"AT+QTEMP", ANSWER_MS},
    {"AT+QCCID", ANSWER_MS},
};
#define SETTINGS 5 /* the first ones; all but "AT" once the port is open, and after a silence */

static void take(void *ctx, const char *line)
{
    connectivity_radio_take(ctx, line);
}

static int64_t left_ms(int64_t until_ms)
{
    int64_t now = clk_mono(clk_real()).ms;
    return until_ms > now ? until_ms - now : 0;
}

static enum st ask_one(struct connectivity_modem *m, size_t i, int64_t left,
                       const struct thr_stop *stop, struct connectivity_radio *r)
{
    struct connectivity_ask q = {.command = commands[i].command,
                                 .ms = commands[i].ms < left ? commands[i].ms : left,
                                 .quiet_ms = i == 0 ? QUIET_MS : 0,
                                 .take = take,
                                 .ctx = r};
    return left > 0 ? connectivity_dialog_ask(&m->dialog, &q, stop) : ST_TIMEOUT;
}

/* ST_OK: it answered. ST_REFUSED is an answer: not every modem knows every command. Behind a
 * command without an answer "AT" is asked until it has one, and then there is quiet: a late result
 * would be taken for the next command's. */
static enum st ask_all(struct connectivity_modem *m, bool fresh, int64_t ms,
                       const struct thr_stop *stop, struct connectivity_radio *r)
{
    int64_t until = clk_mono(clk_real()).ms + ms;
    unsigned silent = 0;
    for (size_t i = 0; i < sizeof commands / sizeof *commands;) {
        size_t now = m->dialog.late ? 0 : i;
        i += now == i;
        if (now > 0 && now < SETTINGS && !fresh)
            continue;
        int64_t left = left_ms(until);
        enum st st = ask_one(m, now, left, stop, r);
        silent = st == ST_TIMEOUT ? silent + 1 : 0;
        if (st != ST_OK && st != ST_REFUSED && st != ST_TIMEOUT)
            return st;
        if (silent == SILENT_MAX || (silent > 0 && left == 0))
            return ST_TIMEOUT;
    }
    return ST_OK;
}

enum connectivity_modem_state connectivity_modem_ask(struct connectivity_modem *m, int64_t ms,
                                                     const struct thr_stop *stop,
                                                     struct connectivity_radio *r, struct err *e)
{
    bool fresh = m->dialog.fd < 0;
    if (m->cfg->through == CONNECTIVITY_MODEMMANAGER)
        return connectivity_manager_ask(m->cfg->every_ms, stop, &m->setup, r, e);
    connectivity_radio_init(r);
    if (fresh) {
        enum st st = connectivity_dialog_open(&m->dialog, m->cfg->port, e);
        if (st == ST_CONFLICT)
            return CONNECTIVITY_MODEM_BUSY;
        if (st != ST_OK)
            return CONNECTIVITY_MODEM_GONE;
    }
    enum st st = ask_all(m, fresh, ms, stop, r);
    bool stranger = m->dialog.stranger;
    m->dialog.stranger = false;
    if (st != ST_OK) { /* it may be another device by now: the port is looked for anew */
        connectivity_dialog_close(&m->dialog);
        connectivity_radio_init(r);
        return st == ST_IO ? CONNECTIVITY_MODEM_GONE : CONNECTIVITY_MODEM_SILENT;
    }
    return stranger ? CONNECTIVITY_MODEM_BUSY : connectivity_modem_judge(r);
}

/* ---- series -------------------------------------------------------------------------------- */

enum place { STATE, REGISTRATION, TECHNOLOGY, OPERATOR, OF_RADIO, OF_LTE, OF_NR };

#define RADIO(m) OF_RADIO, offsetof(struct connectivity_radio, m)
#define LEG(m) offsetof(struct connectivity_leg, m)
static const struct {
    const char *point, *quantity;
    enum place place;
    size_t at;
} points[] = {
    {"state", "modem_state", STATE, 0},
    {"registration", "registration", REGISTRATION, 0},
    {"technology", "radio_technology", TECHNOLOGY, 0},
    {"operator", "radio_operator", OPERATOR, 0},
    {"rssi", "rssi", RADIO(rssi)},
    {"rsrp", "rsrp", OF_LTE, LEG(rsrp)},
    {"rsrq", "rsrq", OF_LTE, LEG(rsrq)},
    {"sinr", "sinr", OF_LTE, LEG(sinr)},
    {"band", "radio_band", OF_LTE, LEG(band)},
    {"channel", "radio_channel", OF_LTE, LEG(arfcn)},
    {"frequency", "radio_frequency", OF_LTE, LEG(mhz)},
    {"cell", "radio_cell", OF_LTE, LEG(cell)},
    {"area", "radio_area", OF_LTE, LEG(tac)},
    {"nr_rsrp", "rsrp", OF_NR, LEG(rsrp)},
    {"nr_rsrq", "rsrq", OF_NR, LEG(rsrq)},
    {"nr_sinr", "sinr", OF_NR, LEG(sinr)},
    {"nr_band", "radio_band", OF_NR, LEG(band)},
    {"nr_channel", "radio_channel", OF_NR, LEG(arfcn)},
    {"nr_frequency", "radio_frequency", OF_NR, LEG(mhz)},
    {"nr_cell", "radio_cell", OF_NR, LEG(cell)},
    {"nr_area", "radio_area", OF_NR, LEG(tac)},
    {"temperature", "device_temperature", RADIO(temperature)},
};
#define POINTS (sizeof points / sizeof *points)
_Static_assert(POINTS <= CONNECTIVITY_POINTS_MAX, "every point has its series");

static struct num code(int v)
{
    return v >= 0 ? num_dec(v, 0) : (struct num){.kind = NUM_NONE};
}

static struct num value_of(size_t i, enum connectivity_modem_state state,
                           const struct connectivity_radio *r)
{
    struct num v = {.kind = NUM_NONE};
    const char *base = (const char *)r;
    switch (points[i].place) {
    case STATE:
        return code((int)state);
    case REGISTRATION:
        return code((int)connectivity_radio_stat(r));
    case TECHNOLOGY:
        return code((int)connectivity_radio_act(r));
    case OPERATOR:
        (void)(r->plmn[0] && num_parse(r->plmn, &v));
        return v;
    case OF_LTE:
        base = (const char *)&r->lte;
        break;
    case OF_NR:
        base = (const char *)&r->nr;
        break;
    case OF_RADIO:
        break;
    }
    memcpy(&v, base + points[i].at, sizeof v);
    return v;
}

static bool is_wanted(const struct connectivity_modem_cfg *cfg, const char *point)
{
    bool wanted = cfg->points.n == 0;
    for (size_t i = 0; i < cfg->points.n; i++)
        wanted |= strcmp(cfg->points.v[i], point) == 0;
    return wanted;
}

void connectivity_modem_check(struct cfg *c, const struct connectivity_modem_cfg *cfg)
{
    const char *known[POINTS];
    bool manager = cfg->through == CONNECTIVITY_MODEMMANAGER;
    if (manager ? cfg->port != NULL : cfg->through == CONNECTIVITY_AT && !cfg->port)
        cfg_complain(c, manager ? (const void *)&cfg->port : (const void *)&cfg->through,
                     "a modem has a port, or is asked through modemmanager, which has its port");
    if (!cfg->port && cfg->through == CONNECTIVITY_NO_MODEM && cfg_line(c, cfg) > 0)
        cfg_complain(c, cfg, "a modem needs a port, or `through: modemmanager`");
    if (cfg->interface)
        connectivity_interface_check(c, &cfg->interface);
    if (!cfg->interface != !cfg->check)
        cfg_complain(c, cfg->interface ? &cfg->interface : &cfg->check,
                     "interface and check of the modem are given together, or neither");
    if (cfg->check && strncasecmp(cfg->check, "http://", 7) != 0)
        cfg_complain(c, &cfg->check,
                     "check %s: an address that begins with http://, for an operator's page can "
                     "answer no other",
                     cfg->check);
    for (size_t i = 0; i < POINTS; i++)
        known[i] = points[i].point;
    for (size_t i = 0; i < cfg->points.n; i++) {
        const char *name = cfg->points.v[i];
        size_t at = 0;
        while (at < POINTS && strcmp(name, known[at]) != 0)
            at++;
        const char *near = at < POINTS ? NULL : cfg_nearest(name, known, POINTS);
        if (at == POINTS)
            cfg_complain(c, &cfg->points, "a modem has no point \"%s\"%s%s%s", name,
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
}

enum st connectivity_modem_declare(struct connectivity_modem *m, struct store *s, struct err *e)
{
    const struct connectivity_modem_cfg *c = m->cfg;
    const struct store_device d = {.id = CONNECTIVITY_MODEM_ID,
                                   .name = c->name,
                                   .place = c->place,
                                   .role = c->role,
                                   .source = "connectivity",
                                   .address = c->port ? c->port : "ModemManager",
                                   .model = "modem",
                                   .period_ms = c->every_ms};
    enum st st = store_add_device(s, &d, &m->device, e);
    for (size_t i = 0; i < POINTS && st == ST_OK; i++) {
        m->series[i] = UINT32_MAX;
        if (is_wanted(c, points[i].point))
            st = connectivity_series_add(s, m->device, points[i].point, points[i].quantity,
                                         c->every_ms, &m->series[i], e);
    }
    return st;
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* For the page of this box. */
static void says(struct store_health *h, const struct connectivity_radio *r, bool refused)
{
    enum connectivity_act act = connectivity_radio_act(r);
    (void)snprintf(h->says, sizeof h->says, "%s%s%s%s%s", connectivity_act_text((int)act),
                   act >= 0 && r->plmn[0] ? ", " : "", r->plmn[0] ? "operator " : "", r->plmn,
                   refused ? "; its signal is not measured: ModemManager refuses" : "");
}

static void tell(struct connectivity_modem *m, const struct connectivity_job *job, int64_t due_ms,
                 enum connectivity_modem_state state, const struct connectivity_radio *r,
                 const char *detail)
{
    const struct connectivity_kind *kind = &connectivity_modem_kinds[state];
    char text[sizeof m->health.now.text];
    bool more = kind->text[0] && detail[0];
    (void)snprintf(text, sizeof text, "%s%s%s%s", kind->text, more ? " (" : "", more ? detail : "",
                   more ? ")" : "");
    struct connectivity_result out = {.device = m->device,
                                      .id = CONNECTIVITY_MODEM_ID,
                                      .tick_ms = due_ms,
                                      .state = kind->health,
                                      .bus = kind->bus,
                                      .event = kind->event,
                                      .why = kind->why,
                                      .text = text};
    for (size_t i = 0; i < POINTS; i++)
        if (m->series[i] != UINT32_MAX)
            out.v[out.n++] =
                (struct store_value){.v = value_of(i, state, r), .series = m->series[i]};
    (void)pthread_mutex_lock(&m->lock);
    memcpy(m->card, r->card, sizeof m->card);
    (void)pthread_mutex_unlock(&m->lock);
    says(&m->health.now, r, m->setup.refused >= CONNECTIVITY_SETUP_TOLD);
    connectivity_put(job, &m->health, &out);
}

static void refused_tell(struct connectivity_modem *m, struct store *store)
{
    if (m->setup.refused < CONNECTIVITY_SETUP_TOLD || m->setup.told)
        return;
    m->setup.told = true;
    store_event(store, STORE_WARNING, "modem.signal_refused", CONNECTIVITY_MODEM_ID,
                "the modem's signal is not measured: give the gateway's user polkit's right "
                "org.freedesktop.ModemManager1.Device.Control (%s)",
                m->setup.why);
}

static void step(struct connectivity_modem *m, const struct connectivity_job *job)
{
    int64_t due = connectivity_due(job, m->device, &m->next_ms, m->cfg->every_ms);
    if (!due)
        return;
    struct connectivity_radio r;
    struct err e = {.text = ""};
    int64_t ms = m->cfg->every_ms < POLL_MS ? m->cfg->every_ms : POLL_MS;
    enum connectivity_modem_state state = connectivity_modem_ask(m, ms, job->stop, &r, &e);
    if (state == CONNECTIVITY_MODEM_READY && connectivity_portal_look(&m->portal, m->cfg, job)) {
        state = CONNECTIVITY_MODEM_NO_DATA;
        (void)snprintf(e.text, sizeof e.text, "%s", m->portal.host);
    }
    if (atomic_load(&job->stop->set)) /* a poll that the stop cut short says nothing */
        return;
    refused_tell(m, job->store);
    atomic_store(&m->seen, (int)state + 1);
    tell(m, job, due, state, &r, e.text);
    connectivity_messages_look(m, state, job->stop);
}

void connectivity_modem_main(void *connectivity_job)
{
    const struct connectivity_job *job = connectivity_job;
    struct connectivity_modem *m = job->connectivity->modem;
    struct connectivity_walk *walk = job->connectivity->walk;
    int64_t longest = walk ? WALK_MS : STEP_MS;
    while (!atomic_load(&job->stop->set)) {
        step(m, job);
        connectivity_outbox_step(m, job);
        connectivity_walk_ask(walk, m, job);
        int64_t wait = m->next_ms - clk_now(job->clk).utc_ms;
        (void)thr_stop_wait(job->stop, wait < 0 ? 0 : wait < longest ? wait : longest);
    }
    connectivity_dialog_close(&m->dialog);
}
