/* The line doctor's judgement: a table of findings, each what is seen, the likely fault, what to
 * do. What tells one fault from another, and where two look alike: decision 0033. */
#include "gateway/collect/doctor_int.h"

/* In a row: so many without a byte and a unit is silent; so many without a right answer. */
#define MUTE_RUN 3
#define FAILED_RUN 3
#define FEW 3             /* of anything; less may be chance */
#define CLEAN_RUN 50      /* so many clean answers in a row show that a unit is well now */
#define PERCENT_DAMAGED 2 /* a line that is well loses far less than one in a thousand */
#define PERCENT_SEEN 5    /* of late, foreign and unanswered ones */
#define PERCENT_BESIDE 10

struct rule {
    const char *code;
    bool note, serial; /* serial: of a serial line alone */
    bool tells;        /* by an event of its own */
    bool ends;         /* nothing else is to be said then */
    /* One of the two; `held`: it was found the last time. Names the units that it is about. */
    bool (*line)(const struct collect_case *c, bool held);
    bool (*unit)(const struct collect_case *c, const struct collect_evidence *e, bool held);
    collect_say_more *more; /* what the figures alone do not say; may be NULL */
    const char *fault, *advice;
};

/* ---- what is asked of the evidence ---------------------------------------------------------- */

/* At least `percent` of n, half of that to stay. */
static bool is_share(unsigned part, unsigned n, unsigned percent, bool held)
{
    return part > 0 && part * 100 * (held ? 2 : 1) >= n * percent;
}

static bool is_mute(const struct collect_evidence *e)
{
    return e->mute_run >= MUTE_RUN;
}

static unsigned overlapped(const struct collect_tally *t)
{
    return t->as[COLLECT_SIGN_OVERLAP] + t->doubled;
}

static bool is_hit(const struct collect_evidence *e, bool held)
{
    unsigned damage = collect_tally_damage(&e->all);
    return !e->told && damage >= FEW &&
           (is_share(damage, e->all.asked, PERCENT_DAMAGED, held) || e->failed_run > FAILED_RUN);
}

static bool is_clean(const struct collect_evidence *e)
{
    return e->clean_run >= CLEAN_RUN;
}

static void name_all(const struct collect_case *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->units[i]->named = true;
}

/* Names the damaged and counts them; *clean counts those that are proven not to be. */
static unsigned name_hit(const struct collect_case *c, bool held, unsigned *clean)
{
    unsigned hit = 0;
    *clean = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct collect_evidence *e = c->units[i];
        e->named = is_hit(e, held);
        hit += e->named;
        *clean += !e->named && is_clean(e);
    }
    return hit;
}

/* ---- of the line ---------------------------------------------------------------------------- */

static bool is_lost(const struct collect_case *c, bool held)
{
    (void)held;
    name_all(c);
    return c->lost;
}

static bool is_cut(const struct collect_case *c, bool held)
{
    (void)held;
    for (size_t i = 0; c->cable && i < c->n; i++)
        c->units[i]->named = c->units[i]->place >= c->cable->cfg->cable_order;
    return c->cable;
}

/* Nobody ever said anything right, and what was heard is a byte or two at most. */
static bool is_unwired(const struct collect_case *c, bool held)
{
    unsigned tried = 0;
    (void)held;
    name_all(c);
    for (size_t i = 0; i < c->n; i++) {
        const struct collect_evidence *e = c->units[i];
        if (e->ever || e->failed_run == 0 || e->all.after > 0 ||
            e->all.as[COLLECT_SIGN_SILENT] < e->all.asked)
            return false;
        tried += e->failed_run;
    }
    return tried >= FEW && tried >= 2 * c->n;
}

/* Nobody said anything right, and what came is about as long as an answer. */
static bool is_other_speed(const struct collect_case *c, bool held)
{
    unsigned heard = 0, fitting = 0;
    (void)held;
    for (size_t i = 0; i < c->n; i++) {
        struct collect_evidence *e = c->units[i];
        unsigned some = e->all.asked - e->all.as[COLLECT_SIGN_SILENT];
        if (collect_tally_right(&e->all) > 0 || e->failed_run == 0)
            return false;
        e->named = some > 0;
        heard += some;
        fitting += e->all.fitting;
    }
    return fitting > FEW && 4 * fitting >= 3 * heard;
}

static bool is_all_silent(const struct collect_case *c, bool held)
{
    bool ever = false;
    (void)held;
    name_all(c);
    for (size_t i = 0; i < c->n; i++) {
        ever |= c->units[i]->ever;
        if (!is_mute(c->units[i]))
            return false;
    }
    return ever && c->n > 1;
}

/* Who is damaged is all of whom there is enough to say. */
static bool is_noisy(const struct collect_case *c, bool held)
{
    unsigned clean, unsure = 0, hit = name_hit(c, held, &clean);
    for (size_t i = 0; i < c->n; i++)
        unsure += !c->units[i]->named && !c->units[i]->told && !is_mute(c->units[i]);
    return clean == 0 && hit > 0 && (hit > 1 || unsure == 0);
}

/* All damaged ones are farther along the cable than all clean ones. */
static bool is_farther(const struct collect_case *c, bool held)
{
    unsigned clean, hit = name_hit(c, held, &clean);
    int64_t near = INT64_MAX, far = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct collect_evidence *e = c->units[i];
        if (e->named && e->place < near)
            near = e->place;
        if (!e->named && is_clean(e) && (e->place > far || e->place == 0))
            far = e->place == 0 ? INT64_MAX : e->place;
    }
    return hit > 1 && clean > 0 && near > far;
}

static bool is_weak(const struct collect_case *c, bool held)
{
    unsigned clean;
    return name_hit(c, held, &clean) > 0 && clean > 0;
}

static bool is_idle_loud(const struct collect_case *c, bool held)
{
    unsigned asked = 0, beside = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct collect_evidence *e = c->units[i];
        e->named = e->all.beside > 0;
        asked += e->all.asked;
        beside += e->all.beside;
    }
    return beside > FEW && is_share(beside, asked, PERCENT_BESIDE, held);
}

static bool is_echo(const struct collect_case *c, bool held)
{
    (void)held;
    name_all(c);
    return c->echo;
}

/* ---- of a unit ------------------------------------------------------------------------------ */

/* The answers of two that speak at once begin alike and are longer than one; where one is quicker
 * by a whole answer both are heard. Not where everybody's are so. */
static bool is_twice(const struct collect_case *c, const struct collect_evidence *e, bool held)
{
    const struct collect_tally *t = &e->all;
    unsigned both = overlapped(t), others = 0;
    for (size_t i = 0; i < c->n; i++)
        others += overlapped(&c->units[i]->all) >= FEW;
    return both >= FEW && is_share(both, t->asked, PERCENT_SEEN, held) &&
           2 * both >= collect_tally_damage(t) + t->doubled && (c->n == 1 || others < c->n);
}

static bool is_slow(const struct collect_case *c, const struct collect_evidence *e, bool held)
{
    (void)c;
    return collect_tally_late(&e->all) >= FEW &&
           is_share(collect_tally_late(&e->all), e->all.asked, PERCENT_SEEN, held);
}

static bool is_never(const struct collect_case *c, const struct collect_evidence *e, bool held)
{
    (void)c, (void)held;
    return !e->ever && is_mute(e);
}

static bool is_gone(const struct collect_case *c, const struct collect_evidence *e, bool held)
{
    (void)c, (void)held;
    return e->ever && is_mute(e);
}

static bool is_unsteady(const struct collect_case *c, const struct collect_evidence *e, bool held)
{
    unsigned silent = e->all.as[COLLECT_SIGN_SILENT];
    (void)c;
    return collect_tally_right(&e->all) > 0 && silent > FEW &&
           is_share(silent, e->all.asked, PERCENT_SEEN, held);
}

static bool is_foreign(const struct collect_case *c, const struct collect_evidence *e, bool held)
{
    unsigned n = e->all.as[COLLECT_SIGN_FOREIGN];
    (void)c;
    return n >= FEW && is_share(n, e->all.asked, PERCENT_SEEN, held);
}

/* ---- the table ------------------------------------------------------------------------------ */

/* In this order they are looked for; a unit that one has named is no matter of a later one. */
static const struct rule rules[COLLECT_FIND_COUNT] = {
    [COLLECT_FIND_PORT] =
        {.code = "port",
         .line = is_lost,
         .more = collect_say_lost,
         .ends = true,
         .fault = "There is no line: the adapter is unplugged, or there is no connection.",
         .advice = "Plug it in; of a network device check power and cable."},
    [COLLECT_FIND_CABLE] =
        {.code = "cable",
         .line = is_cut,
         .more = collect_say_cut,
         .fault = "The cable is broken before the first of these.",
         .advice = "Check the cable and the terminals between it and the last that answers."},
    [COLLECT_FIND_WIRES] =
        {.code = "wires",
         .serial = true,
         .tells = true,
         .ends = true,
         .line = is_unwired,
         .more = collect_say_unwired,
         .fault = "Nothing is heard of any device: A and B swapped or not connected, or no power.",
         .advice = "Swap A and B (D+ and D-) at the gateway and look again; check power and the "
                   "adapter's terminals. Then speed, parity and unit numbers: a device is silent "
                   "to another speed, too."},
    [COLLECT_FIND_SPEED] =
        {.code = "speed",
         .serial = true,
         .tells = true,
         .ends = true,
         .line = is_other_speed,
         .more = collect_say_speed,
         .fault = "Answers come, but none can be read: wrong speed or parity.",
         .advice = "Compare `baud`, `parity`, `stop_bits` with the devices' settings; all on a "
                   "line have the same. When they are right swap A and B, which may look alike."},
    [COLLECT_FIND_LOST] =
        {.code = "lost",
         .serial = true,
         .tells = true,
         .ends = true,
         .line = is_all_silent,
         .fault = "All devices fell silent: the cable at the gateway, the adapter or their power.",
         .advice = "Check the cable to the first device, the adapter's terminals, and the power "
                   "supply that they share."},
    [COLLECT_FIND_TWICE] =
        {.code = "twice",
         .serial = true,
         .tells = true,
         .unit = is_twice,
         .more = collect_say_both,
         .fault = "Two devices have the same unit number.",
         .advice = "Switch one off: when the other then answers cleanly, give each a number of its "
                   "own."},
    [COLLECT_FIND_NOISE] =
        {.code = "noise",
         .serial = true,
         .tells = true,
         .line = is_noisy,
         .more = collect_say_length,
         .fault = "All devices' answers are damaged: no terminator, reflections or noise.",
         .advice = "120 ohm between A and B at both ends of the cable and nowhere else; no star, "
                   "short stubs; the common wire connected; away from motors and mains. Then a "
                   "lower speed."},
    [COLLECT_FIND_FAR] =
        {.code = "far",
         .serial = true,
         .tells = true,
         .line = is_farther,
         .more = collect_say_length,
         .fault = "From one place along the cable on answers are damaged: a bad joint there, or no "
                  "terminator at the end.",
         .advice = "Check the terminals of the first of these and the one before it, and the "
                   "120 ohm at the far end."},
    [COLLECT_FIND_WEAK] =
        {.code = "weak",
         .serial = true,
         .tells = true,
         .line = is_weak,
         .more = collect_say_errors,
         .fault = "Only these answer damaged: their terminals, their stub, or a weak driver.",
         .advice = "Check terminals, ground and supply, the length of the stub, its speed and "
                   "parity, and that no other device has its number; then exchange it."},
    [COLLECT_FIND_SLOW] = {.code = "slow",
                           .tells = true,
                           .unit = is_slow,
                           .more = collect_say_timeout,
                           .fault =
                               "Answers come after the time-out: the device turns around slowly.",
                           .advice =
                               "Raise the bus's `timeout`, or lower the device's response delay."},
    [COLLECT_FIND_NEVER] =
        {.code = "never",
         .unit = is_never,
         .fault = "No answer since the start.",
         .advice = "Check its unit number, speed and parity on the device itself, its power, and A "
                   "and B at its terminals."},
    [COLLECT_FIND_GONE] = {.code = "gone",
                           .unit = is_gone,
                           .fault = "It answered before and is silent now.",
                           .advice = "Check its power and its terminals."},
    [COLLECT_FIND_UNSTEADY] =
        {.code = "unsteady",
         .tells = true,
         .unit = is_unsteady,
         .fault = "Now and then there is no answer: a loose contact, weak power, or it is busy.",
         .advice = "Check its terminals and supply; for one that is busy a longer `timeout`, or "
                   "`pause` in its profile."},
    [COLLECT_FIND_FOREIGN] =
        {.code = "foreign",
         .tells = true,
         .unit = is_foreign,
         .fault = "Another unit answers than the one that was asked.",
         .advice = "Look for a second master on the line, and for a device whose number was "
                   "changed."},
    [COLLECT_FIND_IDLE] =
        {.code = "idle",
         .serial = true,
         .tells = true,
         .line = is_idle_loud,
         .more = collect_say_errors,
         .fault = "Bytes come that nobody asked for: the resting line floats, or a second master.",
         .advice = "Bias once on the line, often a switch of the adapter; take a second master "
                   "off."},
    [COLLECT_FIND_ECHO] =
        {.code = "echo",
         .note = true,
         .serial = true,
         .line = is_echo,
         .fault = "The adapter gives back what is sent; that is left out and costs nothing.",
         .advice = "Nothing need be done. Many adapters have a switch for it."},
};

bool collect_doctor_tells(int finding)
{
    return rules[finding].tells;
}

const char *collect_doctor_fault(int finding)
{
    return rules[finding].fault;
}

/* ---- judging -------------------------------------------------------------------------------- */

/* Who is named is no matter of a later finding. */
static void close_up(const struct collect_case *c, const struct rule *r)
{
    for (size_t i = 0; i < c->n; i++)
        c->units[i]->told |= c->units[i]->named && !r->note;
}

static void fill(const struct collect_case *c, const struct rule *r, struct store_finding *f)
{
    struct collect_tally sum = {0};
    *f = (struct store_finding){
        .code = r->code, .fault = r->fault, .advice = r->advice, .note = r->note};
    for (size_t i = 0; i < c->n; i++)
        if (c->units[i]->named)
            collect_tally_join(&sum, &c->units[i]->all);
    collect_say(c, &sum, f);
    if (r->more)
        r->more(c, &sum, f);
}

static bool found(struct collect_case *c, const struct rule *r, bool held)
{
    bool any = false;
    if (r->serial && !c->serial)
        return false;
    if (r->line)
        return r->line(c, held);
    for (size_t i = 0; i < c->n; i++) {
        struct collect_evidence *e = c->units[i];
        e->named = !e->told && r->unit(c, e, held);
        any |= e->named;
    }
    return any;
}

uint32_t collect_doctor_judge(struct collect_case *c, struct store_finding *out)
{
    uint32_t all = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct collect_evidence *e = c->units[i];
        e->all = e->now;
        collect_tally_join(&e->all, &e->older);
        e->told = false;
    }
    for (int k = 0; k < COLLECT_FIND_COUNT && n < STORE_FINDINGS_MAX; k++) {
        for (size_t i = 0; i < c->n; i++)
            c->units[i]->named = false;
        if (!found(c, &rules[k], c->before >> k & 1))
            continue;
        if (out)
            fill(c, &rules[k], &out[n]);
        n++;
        close_up(c, &rules[k]);
        all |= UINT32_C(1) << k;
        if (rules[k].ends)
            break;
    }
    return all;
}
