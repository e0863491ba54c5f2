/* What a person asks of a bus, done by its thread, one transaction at a time. See decision 0032. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"

/* A read that finds no room between two polls takes it after this long. */
#define PATIENCE_MS 1000
#define SETTLES 2 /* a fence in vain, and listening */

static bool bit_of(const uint8_t *set, unsigned unit)
{
    return set[unit / 8] >> unit % 8 & 1;
}

static void set_bit(uint8_t *set, unsigned unit, bool to)
{
    uint8_t mask = (uint8_t)(1U << unit % 8);
    set[unit / 8] = (uint8_t)(to ? set[unit / 8] | mask : set[unit / 8] & ~mask);
}

static struct collect_device *device_of(const struct collect_bus *b, int unit)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->devices[i]->unit->number == unit)
            return b->devices[i];
    return NULL;
}

static unsigned answer_bytes(const struct collect_ask *q)
{
    return q->function <= 2 ? (q->count + 7) / 8 : 2 * q->count;
}

/* ---- asking --------------------------------------------------------------------------------- */

/* No device reads this unit: there is no fence for it, so what it owes is waited for. */
static enum collect_fault ask_stranger(const struct collect_bus_job *job, struct collect_bus *b,
                                       const struct collect_call *call, bool trial,
                                       struct collect_answer *a, struct err *why)
{
    struct collect_desk *k = &b->desk;
    struct collect_call now = *call;
    *a = (struct collect_answer){0};
    enum collect_fault f = collect_port_ready(b->port, job->clk, job->stop, why);
    if (f != COLLECT_GOOD)
        return f;
    struct collect_came came;
    if (collect_port_stray(b->port, &came)) { /* whoever was asked last may have answered twice */
        if (b->last)
            b->last->owes = true;
        else
            set_bit(k->owes, k->asked, true);
    }
    b->last = NULL;
    k->asked = call->unit;
    if (!trial && bit_of(k->owes, call->unit)) {
        if (!collect_port_listen(b->port, call->timeout_ms, job->stop))
            return COLLECT_GARBAGE;
        set_bit(k->owes, call->unit, false);
    }
    now.listen_ms = bit_of(k->answered, call->unit) ? call->timeout_ms : 0;
    f = collect_port_ask(b->port, &now, job->clk, job->stop, a);
    bool answers = f == COLLECT_GOOD || f == COLLECT_EXCEPTION;
    set_bit(k->owes, call->unit, b->cfg->type == COLLECT_RTU && !answers && !a->late);
    if (answers || a->late)
        set_bit(k->answered, call->unit, true);
    b->echo |= a->echo;
    return f;
}

/* While the bus is at work nothing waits longer than its polls. */
static int64_t timeout_of(const struct collect_bus *b, const struct collect_ask *q)
{
    bool may = q->timeout_ms < b->cfg->timeout_ms || b->desk.pause || b->desk.alone;
    return q->timeout_ms > 0 && may ? q->timeout_ms : b->cfg->timeout_ms;
}

static enum collect_fault ask(const struct collect_bus_job *job, struct collect_bus *b,
                              const struct collect_ask *q, struct collect_answer *a,
                              struct err *why)
{
    struct collect_device *d = device_of(b, q->unit);
    const struct collect_request r = {.function = (uint8_t)q->function,
                                      .address = (uint16_t)q->address,
                                      .count = (uint16_t)q->count};
    const struct collect_call call = {
        .unit = (uint8_t)q->unit, .request = r, .timeout_ms = timeout_of(b, q)};
    if (!d || q->line.baud > 0)
        return ask_stranger(job, b, &call, q->trial, a, why);
    d->unit->errand_function = q->function;
    d->unit->errand_bytes = answer_bytes(q);
    b->desk.asks = true;
    enum collect_fault f = collect_unit_ask(job, b, d, &r, a, why);
    b->desk.asks = false;
    return f;
}

/* ---- in words ------------------------------------------------------------------------------- */

static void explain(const struct collect_bus *b, const struct collect_ask *q,
                    const struct collect_answer *a, const struct err *why, struct collect_reply *r)
{
    switch (r->fault) {
    case COLLECT_EXCEPTION:
        (void)snprintf(r->text, sizeof r->text,
                       "unit %d refuses function %u, address %u, count %u: %s (code %d)", q->unit,
                       q->function, q->address, q->count, collect_exception_text(a->exception),
                       a->exception);
        break;
    case COLLECT_SILENT:
        if (a->late)
            (void)snprintf(r->text, sizeof r->text,
                           "unit %d on %s answers only after %lld ms: raise the bus's `timeout` "
                           "above that",
                           q->unit, b->cfg->id, (long long)a->took_ms);
        else
            (void)snprintf(r->text, sizeof r->text,
                           "unit %d on %s does not answer: check its power, its cable%s", q->unit,
                           b->cfg->id,
                           b->cfg->type == COLLECT_RTU ? ", its unit number, baud and parity"
                                                       : " and its unit number");
        break;
    case COLLECT_GARBAGE:
        (void)snprintf(r->text, sizeof r->text,
                       "asked for unit %d on %s, something damaged or wrong comes back: check %s",
                       q->unit, b->cfg->id,
                       b->cfg->type == COLLECT_RTU
                           ? "cable, termination, baud and parity, and that no unit number is used "
                             "twice"
                           : "the device or the converter before it");
        break;
    case COLLECT_FOREIGN:
        (void)snprintf(r->text, sizeof r->text, "asked for unit %d on %s, another unit answers",
                       q->unit, b->cfg->id);
        break;
    case COLLECT_LOST:
        (void)snprintf(r->text, sizeof r->text, "bus %s: %s", b->cfg->id,
                       why->text[0] ? why->text : "the connection broke during the request");
        break;
    case COLLECT_STOPPED:
        (void)snprintf(r->text, sizeof r->text, "the gateway stops");
        break;
    default:
        break;
    }
}

static void refuse(struct collect_reply *r, enum st st, const char *text)
{
    r->st = st;
    (void)snprintf(r->text, sizeof r->text, "%s", text);
}

/* ---- the line's settings -------------------------------------------------------------------- */

/* Under another's speed a unit may have understood anything. */
static void forget(struct collect_bus *b, struct mono now)
{
    for (size_t i = 0; i < b->nunits; i++) {
        b->units[i]->owes = b->cfg->type == COLLECT_RTU;
        collect_unit_hurry(b->units[i], now);
    }
    memset(b->desk.owes, 0, sizeof b->desk.owes);
    memset(b->desk.answered, 0, sizeof b->desk.answered);
    b->last = NULL;
}

static bool tune(struct collect_bus *b, const struct collect_serial *line, struct mono now,
                 struct err *e)
{
    bool changed = false;
    if (b->cfg->type == COLLECT_RTU && collect_port_tune(b->port, line, &changed, e) != ST_OK)
        return false;
    if (changed)
        forget(b, now);
    return true;
}

/* ---- doing ---------------------------------------------------------------------------------- */

/* The device of the configuration whose profile says that this must not be read; NULL: it may. */
static const struct collect_device *forbids(const struct collect_bus *b,
                                            const struct collect_ask *q)
{
    const struct collect_request r = {.function = (uint8_t)q->function,
                                      .address = (uint16_t)q->address,
                                      .count = (uint16_t)q->count};
    for (size_t i = 0; i < b->n; i++)
        if (b->devices[i]->unit->number == q->unit && b->devices[i]->profile &&
            collect_plan_forbids(b->devices[i]->profile, &r))
            return b->devices[i];
    return NULL;
}

static void read_now(const struct collect_bus_job *job, struct collect_bus *b,
                     const struct collect_ask *q, struct collect_reply *r)
{
    struct collect_desk *k = &b->desk;
    struct collect_answer a = {0};
    struct err e = {.text = ""};
    if (q->line.baud > 0 && b->cfg->type != COLLECT_RTU) {
        refuse(r, ST_BAD, "a bus over TCP has no speed and no parity");
        return;
    }
    if (q->line.baud > 0 && !k->alone && !k->pause) {
        refuse(r, ST_REFUSED, "the bus is at work: its speed and parity change in a pause only");
        return;
    }
    const struct collect_device *d = forbids(b, q);
    if (d) { /* as if it refused: a scan goes on */
        r->fault = COLLECT_EXCEPTION;
        r->exception = 2;
        (void)snprintf(r->text, sizeof r->text,
                       "the profile of %s forbids to read that: it was not asked", d->cfg->id);
        return;
    }
    if (!tune(b, &q->line, clk_mono(job->clk), &e)) {
        refuse(r, e.st, e.text);
        return;
    }
    r->fault = ask(job, b, q, &a, &e);
    r->took_ms = a.took_ms;
    r->late = a.late;
    if (r->fault == COLLECT_EXCEPTION)
        r->exception = a.exception;
    if (r->fault == COLLECT_GOOD) {
        r->bytes = answer_bytes(q);
        memcpy(r->data, a.data, r->bytes);
    }
    explain(b, q, &a, &e, r);
}

static void probe_now(struct collect_bus *b, const struct collect_ask *q, struct mono now,
                      struct collect_reply *r)
{
    r->waited = b->lost;
    for (size_t i = 0; i < b->nunits; i++) {
        struct collect_unit *u = b->units[i];
        if (q->unit >= 0 && u->number != q->unit)
            continue;
        r->waited |= collect_unit_sick(u);
        collect_unit_hurry(u, now);
    }
    collect_port_hurry(b->port);
}

/* ---- a maintenance pause -------------------------------------------------------------------- */

static void say(struct collect_errand *x)
{
    uint64_t one = 1;
    (void)!write(x->news, &one, sizeof one); /* a full one tells, too */
}

bool collect_errand_pauses(const struct collect_bus_job *job, struct collect_bus *b)
{
    struct collect_desk *k = &b->desk;
    struct mono now = clk_mono(job->clk);
    struct err e = {.text = ""};
    struct collect_errand *x = k->pause;
    if (!x)
        return false;
    (void)pthread_mutex_lock(&k->lock);
    bool gone = x->over;
    (void)pthread_mutex_unlock(&k->lock);
    bool late = now.ms - x->since.ms >= x->ask.timeout_ms;
    if (!gone && (!late || x->ask.op == COLLECT_SETUP)) /* that ends by itself */
        return true;
    static const struct collect_serial configured = {.baud = 0};
    if (!tune(b, &configured, now, &e))
        return true; /* no memory: tried again with the next look */
    k->pause = NULL;
    forget(b, now);
    for (size_t i = 0; i < b->n; i++) { /* whoever answers now may be another */
        b->devices[i]->who.due = b->devices[i]->away = true;
        collect_says_again(b->devices[i]);
    }
    store_event(job->store, STORE_INFO, "bus.resumed", b->cfg->id,
                "bus %s is polled again, with its configured settings, after %lld s%s", b->cfg->id,
                (long long)(now.ms - x->since.ms) / 1000,
                gone ? "" : ": the pause's time was over");
    x->reply = (struct collect_reply){.st = ST_OK};
    if (!gone)
        refuse(&x->reply, ST_TIMEOUT, "the time of the pause is over");
    (void)pthread_mutex_lock(&k->lock);
    x->state = COLLECT_ERRAND_DONE;
    (void)pthread_mutex_unlock(&k->lock);
    say(x);
    return false;
}

static bool pause_now(const struct collect_bus_job *job, struct collect_bus *b,
                      struct collect_errand *x, struct mono now)
{
    if (b->desk.pause) {
        refuse(&x->reply, ST_BUSY, "the bus is paused already, by somebody else");
        return false;
    }
    x->since = now;
    b->desk.pause = x;
    if (x->ask.op == COLLECT_SETUP) {
        collect_port_leave(b->port); /* before its owner hears that it may have the line */
        store_event(job->store, STORE_WARNING, "bus.paused", b->cfg->id,
                    "bus %s is paused: %s sets up a device on it; its devices are not polled",
                    b->cfg->id, x->ask.by);
        return true;
    }
    store_event(job->store, STORE_WARNING, "bus.paused", b->cfg->id,
                "bus %s is paused for maintenance, %lld min at most: its devices are not polled",
                b->cfg->id, (long long)(x->ask.timeout_ms + 59999) / 60000);
    return true;
}

/* ---- the bus's thread ----------------------------------------------------------------------- */

/* How long it may keep the line. */
static int64_t errand_ms(const struct collect_bus *b, const struct collect_ask *q)
{
    const struct collect_device *d = device_of(b, q->unit);
    if (q->op != COLLECT_READ)
        return 0;
    if (d && d->unit->answered && d->unit->failures == 0)
        return collect_unit_probe_ms(b, d->unit);
    return timeout_of(b, q);
}

bool collect_errand_due(struct collect_bus *b, struct mono now, int64_t slack_ms)
{
    struct collect_desk *k = &b->desk;
    bool due = false;
    (void)pthread_mutex_lock(&k->lock);
    if (k->n > 0)
        due = errand_ms(b, &k->waiting[0]->ask) <= slack_ms ||
              now.ms - k->waiting[0]->since.ms >= PATIENCE_MS;
    (void)pthread_mutex_unlock(&k->lock);
    return due;
}

/* A unit that owes an answer costs the line several times: a fence, listening where it has none,
 * and the read. Each is done alone, so that a poll comes between. true: it was one of the first. */
static bool settles(const struct collect_bus_job *job, struct collect_bus *b,
                    const struct collect_ask *q)
{
    struct collect_device *d = q->line.baud > 0 ? NULL : device_of(b, q->unit);
    struct collect_answer a;
    struct err e;
    if (q->op != COLLECT_READ)
        return false;
    bool owes = d ? d->unit->owes : !q->trial && bit_of(b->desk.owes, (unsigned)q->unit);
    if (!owes || collect_port_ready(b->port, job->clk, job->stop, &e) != COLLECT_GOOD)
        return false;
    b->desk.asks = true;
    if (d) /* what still owes then shows in the read */
        (void)collect_unit_settle(job, b, d, &a);
    else if (collect_port_listen(b->port, timeout_of(b, q), job->stop))
        set_bit(b->desk.owes, (unsigned)q->unit, false);
    b->desk.asks = false;
    return true;
}

static struct collect_errand *take_first(struct collect_desk *k)
{
    struct collect_errand *x = NULL;
    (void)pthread_mutex_lock(&k->lock);
    if (k->n > 0) {
        x = k->waiting[0];
        x->state = COLLECT_ERRAND_SERVED;
        memmove(k->waiting, k->waiting + 1, --k->n * sizeof(void *));
    }
    (void)pthread_mutex_unlock(&k->lock);
    return x;
}

/* false: its owner wants it no more, or there is no room. */
static bool put_back(struct collect_desk *k, struct collect_errand *x)
{
    (void)pthread_mutex_lock(&k->lock);
    bool room = k->n < COLLECT_ERRANDS_MAX && !x->over;
    if (room) {
        memmove(k->waiting + 1, k->waiting, k->n++ * sizeof(void *));
        k->waiting[0] = x;
        x->state = COLLECT_ERRAND_WAITING;
    }
    (void)pthread_mutex_unlock(&k->lock);
    return room;
}

void collect_errand_serve(const struct collect_bus_job *job, struct collect_bus *b)
{
    struct collect_desk *k = &b->desk;
    struct mono now = clk_mono(job->clk);
    struct collect_errand *x = take_first(k);
    bool held = false;
    if (!x)
        return;
    x->reply = (struct collect_reply){.st = ST_OK};
    if (k->pause && k->pause->ask.op == COLLECT_SETUP) {
        refuse(&x->reply, ST_BUSY, "a device is being set up on this bus: try again later");
    } else if (x->settled < SETTLES && settles(job, b, &x->ask)) {
        x->settled++;
        if (put_back(k, x))
            return;
        refuse(&x->reply, ST_BUSY, "too much is asked of this bus");
    } else if (x->ask.op == COLLECT_READ) {
        read_now(job, b, &x->ask, &x->reply);
    } else if (x->ask.op == COLLECT_PROBE) {
        probe_now(b, &x->ask, now, &x->reply);
    } else {
        held = pause_now(job, b, x, now);
    }
    (void)pthread_mutex_lock(&k->lock);
    x->state = held ? COLLECT_ERRAND_HELD : COLLECT_ERRAND_DONE;
    (void)pthread_mutex_unlock(&k->lock);
    say(x);
}

/* ---- without a gateway ---------------------------------------------------------------------- */

static struct collect_bus *bus_of(const struct collect *k, const char *id, size_t *at)
{
    for (*at = 0; *at < k->nbuses; ++*at)
        if (strcmp(k->buses[*at].cfg->id, id) == 0 && k->buses[*at].port)
            return &k->buses[*at];
    return NULL;
}

int64_t collect_turn_ms(const struct collect *k, const char *bus, int64_t *timeout_ms)
{
    size_t at;
    const struct collect_bus *b = bus_of(k, bus, &at);
    int64_t poll_ms = 0;
    *timeout_ms = b ? b->cfg->timeout_ms : 0;
    for (size_t i = 0; b && i < b->n; i++) {
        struct collect_show_device d;
        collect_show_device(k, at, i, &d);
        if (d.line_ns / 1000000 + 1 > poll_ms)
            poll_ms = d.line_ns / 1000000 + 1;
    }
    return PATIENCE_MS + poll_ms + *timeout_ms;
}

enum st collect_ask_now(struct collect *k, const struct clk *clk, struct thr_stop *stop,
                        const struct collect_ask *q, struct collect_reply *r, struct err *e)
{
    struct collect_bus_job job = {.collect = k, .clk = clk, .stop = stop};
    struct collect_bus *b = bus_of(k, q->bus, &job.bus);
    *r = (struct collect_reply){.st = ST_OK};
    if (!b)
        return err_set(e, ST_NOT_FOUND, "there is no bus %s in the configuration that is asked",
                       q->bus);
    if (q->op != COLLECT_READ)
        return err_set(e, ST_BAD, "only a gateway that runs can be asked this");
    b->desk.alone = true;
    for (int i = 0; i < SETTLES && settles(&job, b, q); i++)
        continue;
    read_now(&job, b, q, r);
    return ST_OK;
}
