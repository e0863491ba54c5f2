/* One device's poll: its requests, what they mean for its health, and what is told of it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/doctor_int.h"

#define WALK_READS 16      /* of one poll: half a second at 9600 baud */
#define LOST_AGAIN_MS 1000 /* until a sick unit is probed again where the line is down */
#define SAME_MS 2          /* that a stamp may be ahead, for polls of one millisecond */
#define TOLERANCE_MAX_MS 1000
#define PUT_WAIT_MAX_MS 1000
/* Exceptions up to this are a device's own; the others say that it is busy, or away. */
#define REFUSALS 4
/* Events about one device or bus in a minute; the last state is told when the minute is over. */
#define TELLS_PER_MINUTE 4

/* One poll under way. */
struct round {
    const struct collect_bus_job *job;
    struct collect_bus *b;
    struct collect_device *d;
    struct store_value *v;
    enum collect_fault fault; /* the worst of its requests, or good */
    uint8_t exception;
    struct collect_request refused; /* by that exception */
    size_t answered;
    bool alive;     /* it answered something */
    struct err why; /* the port is not open */
};

/* ---- telling -------------------------------------------------------------------------------- */

bool collect_is_news(struct collect_teller *t, enum store_state state, struct mono now)
{
    if (t->told == state)
        return false;
    if (now.ms - t->minute.ms >= 60000 || t->used == 0) {
        t->minute = now;
        t->used = 0;
    }
    if (t->used == TELLS_PER_MINUTE)
        return false;
    bool first = t->told == STORE_NEVER && state == STORE_GOOD; /* that it works is no news */
    t->told = state;
    t->used += !first;
    return !first;
}

static void tell_device(const struct round *r, struct mono now)
{
    const struct store_health *h = &r->d->health;
    const char *id = r->d->cfg->id;
    enum store_state state = h->state;
    if (state == STORE_FAULTY && r->fault == COLLECT_GOOD && !r->d->who.doubted)
        state = STORE_GOOD; /* what it says of itself is told by its point */
    /* a line that is down is told once, as the bus's event */
    if (state == STORE_LATE || r->fault == COLLECT_LOST ||
        !collect_is_news(&r->d->teller, state, now))
        return;
    if (state == STORE_GOOD)
        store_event(r->job->store, STORE_INFO, "device.good", id, "%s answers again", id);
    else if (state == STORE_FAULTY && r->fault == COLLECT_GOOD)
        return; /* who it is: collect_who_settle tells */
    else if (state == STORE_FAULTY)
        store_event(r->job->store, STORE_WARNING, "device.faulty", id, "%s", h->text);
    else
        store_event(r->job->store, STORE_WARNING, "device.silent", id, "%s", h->text);
}

static void tell_bus(const struct round *r, bool open, struct mono now)
{
    const char *id = r->b->cfg->id;
    if (!collect_is_news(&r->b->teller, open ? STORE_GOOD : STORE_SILENT, now))
        return;
    if (open)
        store_event(r->job->store, STORE_INFO, "bus.up", id, "bus %s works again", id);
    else
        store_event(r->job->store, STORE_WARNING, "bus.down", id, "%s", r->d->health.text);
}

/* ---- putting -------------------------------------------------------------------------------- */

static void clear(struct round *r)
{
    struct collect_plan *plan = &r->d->plan;
    for (size_t i = 0; i < plan->nall; i++) {
        r->v[i] = (struct store_value){.v = {.kind = NUM_NONE}, .series = plan->values[i].series};
        plan->values[i].got = 0;
    }
}

/* A tick may stand for the reading's time within the tolerance, but not where a poll before it was
 * so late that its reading is younger. Two polls of one millisecond are told apart by the next; a
 * reading that is further ahead is of a clock that was set back since. */
static int64_t reading_ms(struct collect_device *d, int64_t utc_ms)
{
    int64_t late = utc_ms - d->due_ms, tolerance = d->cfg->every_ms / 5;
    if (tolerance > TOLERANCE_MAX_MS)
        tolerance = TOLERANCE_MAX_MS;
    if (d->due_ms <= d->read_ms && d->read_ms <= utc_ms + SAME_MS)
        d->read_ms = d->read_ms < utc_ms ? utc_ms : d->read_ms + 1;
    else
        d->read_ms = late >= 0 && late <= tolerance ? d->due_ms : utc_ms;
    return d->read_ms;
}

static void put(struct round *r, enum store_cause cause)
{
    struct collect_device *d = r->d;
    if (d->plan.nvalues == 0) /* a node that was not met yet has no series */
        return;
    struct clk_time t = clk_now(r->job->clk);
    struct store_poll p = {.device = d->store,
                           .due_ms = d->due_ms,
                           .t_ms = reading_ms(d, t.utc_ms),
                           .grade = t.grade,
                           .cause = cause,
                           .n = (uint32_t)d->plan.nvalues};
    int64_t wait_ms = d->cfg->every_ms < PUT_WAIT_MAX_MS ? d->cfg->every_ms : PUT_WAIT_MAX_MS;
    collect_kept_take(d, r->v);
    if (r->b->full) /* one wait bridges a moment; each poll's would slow the bus for good */
        wait_ms = 0;
    bool full = store_put(r->job->store, &p, r->v, wait_ms) == ST_FULL;
    if (full && !r->b->full)
        store_event(r->job->store, STORE_ERROR, "queue.full", d->cfg->id,
                    "the store does not take readings as fast as bus %s brings them; "
                    "polls are lost until it does: see its disk",
                    r->b->cfg->id);
    r->b->full = full;
}

void collect_device_overrun(const struct collect_bus_job *job, struct collect_bus *b,
                            struct collect_device *d, int64_t more)
{
    struct round r = {.job = job, .b = b, .d = d, .v = b->values};
    clear(&r);
    d->health.ticks += (uint64_t)more + 1;
    if (b->desk.pause) {
        put(&r, STORE_PAUSED);
        return;
    }
    if (d->unit->failures == 0) {
        struct mono now = clk_mono(job->clk);
        d->health.overruns += (uint64_t)more + 1;
        if (now.ms - d->health.overrun_at.ms > store_overrun_ms(d->cfg->every_ms))
            d->health.overrun_run = 0;
        d->health.overrun_run += (uint32_t)more + 1;
        d->health.overrun_at = now;
    }
    put(&r, d->unit->failures > 0 ? STORE_DEVICE : STORE_OVERRUN); /* it lost the time by itself */
}

void collect_device_paused(const struct collect_bus_job *job, struct collect_bus *b,
                           struct collect_device *d)
{
    struct round r = {.job = job, .b = b, .d = d, .v = b->values};
    clear(&r);
    d->health.ticks++;
    put(&r, STORE_PAUSED);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* Whether nothing came that could be the answer: one that may be an older request's is not that. */
static bool is_missed(const struct round *r, enum collect_fault f)
{
    return f == COLLECT_SILENT || (f == COLLECT_GARBAGE && !r->d->unit->unproven);
}

static enum collect_fault ask(struct round *r, const struct collect_request *q,
                              struct collect_answer *a)
{
    enum collect_fault f = collect_unit_ask(r->job, r->b, r->d, q, a, &r->why);
    r->alive |= f == COLLECT_GOOD || f == COLLECT_EXCEPTION;
    return f;
}

static void decode(struct round *r, const struct collect_request *q, const uint8_t *data)
{
    const struct collect_plan *plan = &r->d->plan;
    const struct collect_point *points = r->d->profile->points;
    if (r->d->finder) {
        r->d->finder->take(r->d, q, data, r->v);
        return;
    }
    for (uint32_t i = q->first; i < q->first + q->n; i++) {
        const struct collect_item *item = &plan->items[i];
        struct collect_planned *of = &plan->values[item->value];
        struct store_value *v = &r->v[item->value];
        const struct collect_decoder *d = &points[of->point].decoder;
        if (d->form == COLLECT_BIT) {
            v->q = collect_decode_bit(data, item->at, &v->v);
            continue;
        }
        const uint8_t *whole = collect_plan_gather(of, item, data + 2 * item->at);
        if (whole) {
            v->q = collect_decode(d, whole, &v->v);
            collect_order_look(&r->d->order, &points[of->point], whole, v->v, v->q);
        }
    }
}

/* A refusal leaves the other requests their chance; after any other fault the device is left
 * alone until its next turn. */
static void ask_all(struct round *r)
{
    struct collect_device *d = r->d;
    for (size_t i = 0; i < d->plan.nrequests;) {
        const struct collect_request q = d->plan.requests[i];
        struct collect_answer a;
        enum collect_fault f = ask(r, &q, &a);
        if (f == COLLECT_GOOD) {
            decode(r, &q, a.data);
            r->answered++;
            collect_split_answered(d, i++);
            continue;
        }
        if (collect_split_failed(d, i, f, a.exception, r->alive, clk_mono(r->job->clk)))
            continue; /* its first part */
        r->fault = f;
        if (f != COLLECT_EXCEPTION)
            return;
        r->exception = a.exception;
        r->refused = q;
        i++;
    }
}

/* Asks for a join again that was refused, when that is due, and tells what is certain. */
static void prove(struct round *r)
{
    struct collect_device *d = r->d;
    struct collect_join *j = collect_split_due(d, clk_mono(r->job->clk));
    char text[256];
    if (j) {
        struct collect_answer a;
        enum collect_fault f = ask(r, &j->whole, &a);
        collect_split_proven(d, j, f, a.exception, clk_mono(r->job->clk));
    }
    const char *code = collect_split_news(d, text, sizeof text);
    if (code)
        store_event(r->job->store, STORE_INFO, code, d->cfg->id, "%s", text);
}

/* Finds where such a device has its values when that is not known, or no more for sure. */
static void find(struct round *r)
{
    const struct collect_finder *finder = r->d->finder;
    struct collect_request q;
    struct collect_answer a;
    for (int n = 0; n < WALK_READS && r->fault == COLLECT_GOOD &&
                    finder->next(r->d, clk_mono(r->job->clk), &q);
         n++) {
        if (collect_plan_forbids(r->d->profile, &q)) { /* as if it refused */
            finder->heard(r->job, r->d, NULL);
            continue;
        }
        enum collect_fault f = ask(r, &q, &a);
        bool refused = f == COLLECT_EXCEPTION && a.exception <= REFUSALS;
        if (f == COLLECT_GOOD || refused) {
            finder->heard(r->job, r->d, refused ? NULL : a.data);
            continue;
        }
        r->fault = f;
        r->exception = a.exception;
        r->refused = q;
        if (f == COLLECT_FOREIGN || is_missed(r, f))
            finder->missed(r->d, clk_mono(r->job->clk));
    }
}

/* Asks for the serial number when that is due, before the readings that hang on it. */
static void ask_who(struct round *r)
{
    struct collect_request q;
    struct collect_answer a;
    uint16_t at;
    if (!collect_who_due(r->d, clk_mono(r->job->clk), &q, &at))
        return;
    enum collect_fault f = ask(r, &q, &a);
    if (f == COLLECT_GOOD || f == COLLECT_EXCEPTION)
        collect_who_heard(r->job, r->d, f == COLLECT_GOOD ? a.data + 2 * at : NULL);
    else
        r->fault = f;
    if (is_missed(r, f))
        collect_who_missed(r->d);
}

/* The polls of such a device: only what is surely where it was found is asked for. */
static void ask_found(struct round *r)
{
    struct collect_device *d = r->d;
    const struct collect_finder *finder = d->finder;
    find(r);
    clear(r); /* its values may stand in another order now */
    if (r->fault == COLLECT_GOOD && finder->ready(d)) {
        ask_who(r);
        finder->begin(d);
        if (r->fault == COLLECT_GOOD)
            ask_all(r);
        finder->settle(d, clk_mono(r->job->clk), r->v);
        if (r->fault == COLLECT_EXCEPTION)
            finder->doubt(d, false, clk_mono(r->job->clk));
    }
    finder->tell(r->job, d, clk_mono(r->job->clk));
}

/* Flags on what came, beside those of its limits. */
static void flag(struct round *r)
{
    struct collect_device *d = r->d;
    for (size_t i = 0; i < collect_device_values(d); i++)
        if (d->who.apart[collect_device_point(d, i)])
            r->v[i].q |= WIRE_Q_FAULT;
    collect_counters_judge(r->job, r->d, r->v);
    collect_rests_judge(r->job, r->d, r->v);
    collect_says_judge(r->job, r->d, r->v);
    if (r->fault == COLLECT_GOOD)
        collect_started_judge(r->job, r->d, r->v);
    for (size_t i = 0; !d->node && collect_says_ill(d) && i < collect_device_values(d); i++)
        r->v[i].q |= WIRE_Q_FAULT; /* behind the counters: what they believe goes on */
}

/* Asks for one text when that is due: what becomes of it says nothing of the readings. */
static void ask_text(struct round *r)
{
    struct collect_request q;
    struct collect_answer a;
    uint16_t at;
    if (r->d->finder && !r->d->finder->ready(r->d)) /* where they are is in doubt */
        return;
    if (!collect_says_due(r->d, clk_mono(r->job->clk), &q, &at))
        return;
    enum collect_fault f = ask(r, &q, &a);
    if (f == COLLECT_GOOD || f == COLLECT_EXCEPTION)
        collect_says_heard(r->job, r->d, f == COLLECT_GOOD ? a.data + 2 * at : NULL);
    else if (is_missed(r, f))
        collect_says_missed(r->d);
}

/* ---- health --------------------------------------------------------------------------------- */

/* The exceptions of the Modbus application protocol 1.1b3, section 7. */
const char *collect_exception_text(uint8_t code)
{
    static const char *const text[] = {[1] = "it does not know this function",
                                       [2] = "it has no such registers",
                                       [3] = "it does not accept such a request",
                                       [4] = "it failed inside",
                                       [5] = "it needs more time",
                                       [6] = "it is busy",
                                       [8] = "its memory is damaged",
                                       [10] = "the converter cannot reach the bus",
                                       [11] = "the converter gets no answer from it"};
    return code < sizeof text / sizeof *text && text[code] ? text[code] : "unknown reason";
}

static void explain(struct round *r, char *text, size_t n)
{
    static const char *const whys[COLLECT_FAULTS] = {[COLLECT_EXCEPTION] = "device_refuses",
                                                     [COLLECT_SILENT] = "device_silent",
                                                     [COLLECT_GARBAGE] = "device_garbled",
                                                     [COLLECT_FOREIGN] = "device_garbled",
                                                     [COLLECT_LOST] = "line_port"};
    const struct collect_bus_cfg *bus = r->b->cfg;
    long long unit = (long long)r->d->cfg->unit;
    bool unproven = r->fault == COLLECT_GARBAGE && r->d->unit->unproven;
    bool slow = unproven || (r->fault == COLLECT_SILENT && r->d->unit->late_ms > 0);
    r->d->health.why = slow ? "device_slow" : whys[r->fault];
    switch (r->fault) {
    case COLLECT_EXCEPTION:
        (void)snprintf(text, n,
                       "Unit %lld refuses function %d, address %d, %d registers: %s "
                       "(code %d). Check model and profile.",
                       unit, r->refused.function, r->refused.address, r->refused.count,
                       collect_exception_text(r->exception), r->exception);
        break;
    case COLLECT_SILENT:
        if (r->d->unit->late_ms > 0) {
            (void)snprintf(text, n,
                           "Unit %lld on %s answers only after %lld ms. Raise the bus's `timeout` "
                           "above that.",
                           unit, bus->id, (long long)r->d->unit->late_ms);
            break;
        }
        (void)snprintf(text, n, "Unit %lld on %s does not answer. Check its power, its cable%s.",
                       unit, bus->id,
                       bus->type == COLLECT_RTU ? ", its unit number, baud and parity"
                                                : " and its unit number");
        break;
    case COLLECT_GARBAGE:
        if (unproven) {
            (void)snprintf(text, n,
                           "Unit %lld on %s answers, but this may be an older answer: not taken "
                           "until that is certain. If it lasts, raise the bus's `timeout`.",
                           unit, bus->id);
            break;
        }
        (void)snprintf(text, n, "Unit %lld on %s sends damaged or wrong answers. Check %s.", unit,
                       bus->id,
                       bus->type == COLLECT_RTU
                           ? "cable, termination, baud and parity, and that no unit number is "
                             "used twice"
                           : "the device or the converter before it");
        break;
    case COLLECT_FOREIGN:
        (void)snprintf(text, n,
                       "Asked for unit %lld on %s, another unit answers. Check the unit "
                       "numbers and, on a slow line, raise `timeout`.",
                       unit, bus->id);
        break;
    default:
        (void)snprintf(text, n, "Bus %s: %s", bus->id,
                       r->why.text[0] ? r->why.text : "the connection broke during a request");
        break;
    }
}

static enum store_state state_after(const struct round *r)
{
    const struct collect_finder *finder = r->d->finder;
    if (r->fault == COLLECT_GOOD && finder && *finder->text(r->d))
        return STORE_FAULTY;
    if (r->fault == COLLECT_GOOD && finder && !finder->ready(r->d))
        return STORE_LATE; /* its models are many: the next poll reads on */
    if (r->fault == COLLECT_GOOD)
        return r->d->who.doubted ? STORE_FAULTY : STORE_GOOD;
    if (r->fault == COLLECT_LOST)
        return STORE_SILENT;
    if (r->answered > 0) /* it lives, but does not give everything; yet, while joins are tried */
        return r->fault == COLLECT_EXCEPTION && collect_split_tries(r->d) ? STORE_LATE
                                                                          : STORE_FAULTY;
    if (!collect_unit_sick(r->d->unit) && r->d->health.state != STORE_NEVER)
        return STORE_LATE;
    return r->fault == COLLECT_SILENT ? STORE_SILENT : STORE_FAULTY;
}

static void note(struct round *r, struct mono start)
{
    struct collect_device *d = r->d;
    struct store_health *h = &d->health;
    struct mono now = clk_mono(r->job->clk);
    char fault[sizeof h->text];
    bool ill = collect_says_text(d, h->says, sizeof h->says, fault, sizeof fault);
    enum store_state state = state_after(r);
    h->polls++;
    h->failures += r->fault != COLLECT_GOOD;
    h->why = h->other = NULL;
    if (r->fault == COLLECT_GOOD) {
        h->answer_ms = (uint32_t)(now.ms - start.ms);
        h->text[0] = '\0';
        if (d->finder && *d->finder->text(d)) {
            h->why = d->finder->why;
            (void)snprintf(h->text, sizeof h->text, "Unit %lld: %s.", (long long)d->cfg->unit,
                           d->finder->text(d));
        } else if (d->who.doubted) {
            h->other = collect_who_text(r->job, d, h->text, sizeof h->text);
            h->why = h->other ? "cables_crossed" : "device_changed";
        } else if (ill) {
            h->why = "device_alarm";
            state = STORE_FAULTY;
            memcpy(h->text, fault, sizeof h->text);
        } else if (collect_started_text(d, h->text, sizeof h->text)) {
            h->why = "device_unstarted";
            state = STORE_FAULTY;
        }
    } else {
        explain(r, h->text, sizeof h->text);
    }
    if (state != h->state)
        h->since_ms = clk_now(r->job->clk).utc_ms;
    h->state = state;
    collect_doctor_figures(d->unit, &h->heard);
    store_health_set(r->job->store, d->store, h);
    tell_device(r, now);
    tell_bus(r, r->fault != COLLECT_LOST, now);
    if (r->b->echo && !r->b->echo_told) {
        r->b->echo_told = true;
        store_event(r->job->store, STORE_INFO, "bus.echo", r->b->cfg->id,
                    "the adapter of bus %s gives back what is sent; that is seen and left out",
                    r->b->cfg->id);
    }
    if (r->fault != COLLECT_LOST)
        collect_cable_judge(r->job, r->b);
    collect_doctor_attend(r->job, r->b, r->fault == COLLECT_LOST ? h->text : NULL);
}

/* Counts failures and sets the next probe. A line that is down says nothing about the device. */
static void judge(struct round *r, struct mono start)
{
    struct collect_unit *u = r->d->unit;
    struct mono now = clk_mono(r->job->clk);
    if (r->fault == COLLECT_GOOD || (r->fault == COLLECT_EXCEPTION && r->answered > 0))
        collect_unit_good(u);
    else if (r->fault == COLLECT_LOST)
        u->probe_at = (struct mono){now.ms + LOST_AGAIN_MS};
    else if (!r->alive || !collect_split_tries(r->d))
        collect_unit_failed(r->b, u, r->d->cfg->every_ms, now.ms - start.ms, now);
    if (r->b->lost && r->fault != COLLECT_LOST) /* the line is back, and with it whoever was away */
        for (size_t i = 0; i < r->b->nunits; i++)
            if (r->b->units[i] != u)
                collect_unit_hurry(r->b->units[i], now);
    r->b->lost = r->fault == COLLECT_LOST;
}

void collect_device_probe(const struct collect_bus_job *job, struct collect_bus *b,
                          struct collect_device *d)
{
    struct round r = {.job = job, .b = b, .d = d, .v = b->values};
    struct mono start = clk_mono(job->clk);
    struct collect_answer a;
    r.fault = collect_unit_probe(job, b, d, &a, &r.why);
    if (r.fault == COLLECT_STOPPED)
        return;
    bool alive = r.fault == COLLECT_GOOD || r.fault == COLLECT_EXCEPTION;
    if (alive) {
        collect_unit_good(d->unit); /* the next tick polls it, and tells */
        d->unit->alive = true;
        return;
    }
    judge(&r, start);
    for (size_t i = 0; i < b->n; i++) /* whoever shares the unit was tried with it */
        if (b->devices[i]->unit == d->unit) {
            r.d = b->devices[i];
            if (r.d->finder && r.fault != COLLECT_LOST)
                r.d->finder->missed(r.d, clk_mono(job->clk));
            note(&r, start);
        }
}

void collect_device_poll(const struct collect_bus_job *job, struct collect_bus *b,
                         struct collect_device *d)
{
    struct round r = {.job = job, .b = b, .d = d, .v = b->values};
    struct mono start = clk_mono(job->clk);
    clear(&r);
    d->health.ticks++;
    /* others have the line meanwhile; that nothing comes is told all the same */
    if (collect_unit_sick(d->unit)) {
        put(&r, b->lost ? STORE_BUS : STORE_DEVICE);
        d->away = true;
        collect_started_again(d);
        return;
    }
    collect_split_begin(d, d->away, start);
    if (d->finder && d->away)
        d->finder->doubt(d, true, start);
    d->away = false;
    r.alive = d->unit->alive;
    d->unit->alive = false;
    if (d->finder) {
        ask_found(&r);
    } else {
        ask_who(&r);
        collect_order_begin(&d->order);
        if (r.fault == COLLECT_GOOD)
            ask_all(&r);
        d->health.order = collect_order_settle(&d->order);
    }
    if (r.fault == COLLECT_STOPPED)
        return;
    collect_who_polled(job, d, r.fault == COLLECT_GOOD || r.fault == COLLECT_EXCEPTION);
    collect_who_settle(job, d);
    flag(&r);
    put(&r, r.fault == COLLECT_LOST ? STORE_BUS : STORE_DEVICE);
    judge(&r, start);
    note(&r, start);
    if (r.alive)
        prove(&r);
    if (r.fault == COLLECT_GOOD) {
        ask_text(&r);
    } else if (r.fault != COLLECT_EXCEPTION) {
        collect_says_again(d);
        collect_started_again(d);
    }
}
