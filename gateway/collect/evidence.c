/* What is counted of each unit's requests, over a window that slides by halves. */
#include "gateway/collect/doctor_int.h"

#define HALF_ASKED 200
#define HALF_MS 900000
#define CHANCE 0.001
#define FAILED_RUN 3 /* fewer say nothing, however well it was before */

static const uint16_t most[COLLECT_LENGTHS] = {16, 64, UINT16_MAX};

size_t collect_length_class(uint16_t bytes)
{
    size_t i = 0;
    while (bytes > most[i])
        i++;
    return i;
}

uint16_t collect_length_most(size_t i)
{
    return most[i];
}

static bool is_damage(unsigned is)
{
    return is == COLLECT_SIGN_DAMAGED || is == COLLECT_SIGN_CUT || is == COLLECT_SIGN_OVERLAP ||
           is == COLLECT_SIGN_GARBAGE;
}

static bool is_right(unsigned is)
{
    return is == COLLECT_SIGN_GOOD || is == COLLECT_SIGN_REFUSED;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void add_time(struct collect_tally *t, uint32_t ms)
{
    if (t->answer_max_ms == 0 || ms < t->answer_min_ms)
        t->answer_min_ms = ms;
    t->answer_max_ms = larger(t->answer_max_ms, larger(ms, 1));
}

static void add(struct collect_tally *t, const struct collect_sign *s)
{
    size_t length = collect_length_class(s->wanted);
    bool garbage = s->is == COLLECT_SIGN_GARBAGE;
    t->asked++;
    t->as[s->is]++;
    t->beside += s->beside;
    t->doubled += s->doubled;
    t->after += s->belated;
    t->scraps += s->is == COLLECT_SIGN_SILENT && s->beside;
    t->fitting += garbage && 3U * s->bytes >= s->wanted && s->bytes <= 3U * s->wanted;
    t->blank += garbage && s->blank;
    t->of[length] += s->is != COLLECT_SIGN_SILENT && s->is != COLLECT_SIGN_REFUSED;
    t->spoilt[length] += is_damage(s->is);
    if (s->is == COLLECT_SIGN_LATE)
        t->late_ms = larger(t->late_ms, s->took_ms);
    else if (is_right(s->is))
        add_time(t, s->took_ms);
}

/* All in which something was wrong. */
static unsigned faults(const struct collect_tally *t)
{
    return t->asked - collect_tally_right(t) + t->beside + t->doubled + t->after;
}

/* That so many in a row come out as these by chance, when `like` of n did before. */
static bool is_chance(unsigned run, unsigned like, unsigned n)
{
    double share = (like + 1.0) / (n + 2.0),
           chance = 1; /* what was never seen may be all the same */
    while (run-- > 0 && chance >= CHANCE)
        chance *= share;
    return chance >= CHANCE;
}

static void forget(struct collect_evidence *e, const struct collect_tally *but, struct mono now)
{
    e->now = *but;
    e->older = (struct collect_tally){0};
    e->since = now;
}

static void look_back(struct collect_evidence *e, struct mono now)
{
    const struct collect_tally *t = &e->now;
    unsigned asked = t->asked + e->older.asked, bad = faults(t) + faults(&e->older);
    unsigned clean = e->clean_run < asked ? e->clean_run : asked, before = asked - clean;
    if (bad > 0 && !is_chance(clean, before > bad ? before - bad : 0, before)) {
        struct collect_tally good = {.asked = clean < HALF_ASKED ? clean : HALF_ASKED,
                                     .answer_min_ms = t->answer_min_ms,
                                     .answer_max_ms = t->answer_max_ms};
        good.as[COLLECT_SIGN_GOOD] = good.asked;
        forget(e, &good, now);
    }
    unsigned failed = e->failed.asked;
    if (e->failed_run == failed && failed >= FAILED_RUN && asked > failed &&
        !is_chance(failed, bad > failed ? bad - failed : 0, asked - failed))
        forget(e, &e->failed, now);
}

void collect_evidence_add(struct collect_evidence *e, const struct collect_sign *sign,
                          struct mono now)
{
    bool right = is_right(sign->is);
    if (e->now.asked >= HALF_ASKED || (e->now.asked > 0 && now.ms - e->since.ms >= HALF_MS)) {
        e->older = e->now;
        e->now = (struct collect_tally){0};
    }
    if (e->now.asked == 0)
        e->since = now;
    if (right || e->failed.asked >= HALF_ASKED)
        e->failed = (struct collect_tally){0};
    if (!right)
        add(&e->failed, sign);
    add(&e->now, sign);
    e->last_is = sign->is;
    e->ever |= right || sign->is == COLLECT_SIGN_LATE || sign->is == COLLECT_SIGN_OTHER;
    e->failed_run = right ? 0 : e->failed_run + 1;
    e->mute_run = sign->is == COLLECT_SIGN_SILENT ? e->mute_run + 1 : 0;
    e->clean_run =
        right && !sign->beside && !sign->doubled && !sign->belated ? e->clean_run + 1 : 0;
    look_back(e, now);
}

static void add_stray(struct collect_tally *t, bool answer, bool right)
{
    uint32_t *of = !answer ? &t->beside : right ? &t->doubled : &t->after;
    *of += *of < t->asked;
}

void collect_evidence_stray(struct collect_evidence *e, bool answer)
{
    e->clean_run = 0;
    e->ever |= answer;
    if (answer)
        e->mute_run = 0;
    add_stray(&e->now, answer, is_right(e->last_is));
    add_stray(&e->failed, answer, is_right(e->last_is));
}

void collect_tally_join(struct collect_tally *t, const struct collect_tally *o)
{
    if (o->answer_max_ms > 0 && (t->answer_max_ms == 0 || o->answer_min_ms < t->answer_min_ms))
        t->answer_min_ms = o->answer_min_ms;
    t->answer_max_ms = larger(t->answer_max_ms, o->answer_max_ms);
    t->late_ms = larger(t->late_ms, o->late_ms);
    t->asked += o->asked;
    t->beside += o->beside;
    t->doubled += o->doubled;
    t->after += o->after;
    t->fitting += o->fitting;
    t->scraps += o->scraps;
    t->blank += o->blank;
    for (size_t i = 0; i < COLLECT_SIGNS; i++)
        t->as[i] += o->as[i];
    for (size_t i = 0; i < COLLECT_LENGTHS; i++) {
        t->of[i] += o->of[i];
        t->spoilt[i] += o->spoilt[i];
    }
}

unsigned collect_tally_damage(const struct collect_tally *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < COLLECT_SIGNS; i++)
        n += is_damage(i) ? t->as[i] : 0;
    return n;
}

unsigned collect_tally_right(const struct collect_tally *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < COLLECT_SIGNS; i++)
        n += is_right(i) ? t->as[i] : 0;
    return n;
}

void collect_evidence_figures(const struct collect_evidence *e, struct store_heard *out)
{
    struct collect_tally t = e->now;
    collect_tally_join(&t, &e->older);
    *out = (struct store_heard){
        .asked = t.asked,
        .good = t.as[COLLECT_SIGN_GOOD],
        .refused = t.as[COLLECT_SIGN_REFUSED],
        .silent = t.as[COLLECT_SIGN_SILENT],
        .late = t.as[COLLECT_SIGN_LATE] + t.after,
        .damaged = collect_tally_damage(&t) - t.as[COLLECT_SIGN_OVERLAP],
        .overlapped = t.as[COLLECT_SIGN_OVERLAP] + t.doubled,
        .foreign = t.as[COLLECT_SIGN_FOREIGN],
        .beside = t.beside,
        .answer_min_ms = t.answer_min_ms,
        .answer_max_ms = t.answer_max_ms,
    };
}
