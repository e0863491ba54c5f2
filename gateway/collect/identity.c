/* Whether it is still the same device that answers. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/collect/collect_int.h"

#define READ_AGAIN_MS 3600000
/* So many times no answer to this request alone: it is read no more, or it would cost the readings.
 */
#define MUTE_MAX 3
#define TELL_AGAIN_MS 60000 /* two devices with one number may take turns */

/* The threads of other buses look at who.read and who.known, too. */
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;

enum st collect_who_open(struct collect_device *d, struct err *e)
{
    const struct collect_profile *p = d->profile;
    d->who = (struct collect_who){.point = -1, .due = true, .apart = calloc(p->n, sizeof(bool))};
    for (size_t i = 0; i < p->n && d->who.point < 0; i++)
        if (p->points[i].identity == COLLECT_SERIAL)
            d->who.point = (int)i;
    return d->who.apart ? ST_OK
                        : err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
}

void collect_who_done(struct collect_device *d)
{
    free(d->who.apart);
    d->who.apart = NULL;
}

void collect_who_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                      const char *text)
{
    (void)job, (void)point;
    (void)pthread_mutex_lock(&names);
    (void)snprintf(d->who.known, sizeof d->who.known, "%s", text);
    (void)pthread_mutex_unlock(&names);
}

/* What is on a label and what a register holds differ by zeros in front, and by case. */
static const char *bare(const char *serial)
{
    return serial + strspn(serial, " 0");
}

static bool same(const char *a, const char *b)
{
    return strcasecmp(bare(a), bare(b)) == 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

bool collect_who_due(const struct collect_device *d, struct mono now, struct collect_request *q,
                     uint16_t *at)
{
    const struct collect_who *w = &d->who;
    if (w->point < 0 || w->mute == MUTE_MAX ||
        (!w->due && now.ms - w->read_at.ms < READ_AGAIN_MS) || d->profile->points[w->point].absent)
        return false;
    *q = collect_plan_single(d->profile, (size_t)w->point, at);
    return true;
}

void collect_who_missed(struct collect_device *d)
{
    d->who.missed = true;
    if (d->who.mute < MUTE_MAX)
        d->who.mute++;
}

void collect_who_polled(const struct collect_bus_job *job, struct collect_device *d, bool alive)
{
    struct collect_who *w = &d->who;
    if (!alive) {
        w->due = true; /* whoever answers next may be another */
        if (!w->missed && w->mute == MUTE_MAX && !w->mute_told)
            w->mute = 0; /* it is mute as a whole */
    } else if (w->mute == MUTE_MAX && !w->mute_told) {
        w->mute_told = true;
        store_event(job->store, STORE_WARNING, "device.no_serial", d->cfg->id,
                    "it answers, but not when it is asked for its serial number: a change of the "
                    "device will not be seen. Check model and profile.");
    }
    w->missed = false;
}

void collect_who_heard(const struct collect_bus_job *job, struct collect_device *d,
                       const uint8_t *data)
{
    struct collect_who *w = &d->who;
    const struct collect_point *p = &d->profile->points[w->point];
    char text[NUM_TEXT_BYTES] = "";
    struct num v;
    w->due = false;
    w->mute = 0;
    w->mute_told = false;
    w->read_at = clk_mono(job->clk);
    if (!data)
        return;
    if (p->decoder.form == COLLECT_STRING) {
        collect_decode_text(data, (unsigned)p->count, p->order, text, STORE_NOTE_BYTES);
    } else {
        (void)collect_decode(&p->decoder, data, &v);
        if (v.kind != NUM_NONE)
            (void)num_text(v, text);
    }
    if (bare(text)[0] == '\0')
        return; /* it was never given one */
    (void)pthread_mutex_lock(&names);
    (void)snprintf(w->read, sizeof w->read, "%s", text);
    (void)pthread_mutex_unlock(&names);
    w->stale = true;
}

/* ---- judging -------------------------------------------------------------------------------- */

/* Which readings may not stand for the device. false: the store could not be asked. */
static bool look(const struct collect_bus_job *job, struct collect_device *d)
{
    struct collect_who *w = &d->who;
    const struct collect_profile *p = d->profile;
    const char *said = d->cfg->serial;
    bool configured = said && *said, changed = w->known[0] && !same(w->known, w->read);
    bool declared = configured && same(said, w->read);
    struct store_work work;
    memset(w->apart, 0, p->n * sizeof *w->apart);
    if (!changed && (declared || !configured))
        return true;
    if (!declared) {
        enum st st = store_work_last(job->store, d->cfg->id, NULL, &work, NULL);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return false;
        declared = st == ST_OK && same(work.serial, w->read);
    }
    for (size_t i = 0; i < p->n; i++) {
        w->apart[i] = !declared;
        if (!declared || !changed || !d->wanted[i] || !p->points[i].quantity ||
            !p->points[i].quantity->counter)
            continue;
        enum st st = store_work_last(job->store, d->cfg->id, p->points[i].name, &work, NULL);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return false;
        w->apart[i] = st == ST_NOT_FOUND || !same(work.serial, w->read);
    }
    return true;
}

static bool judge(const struct collect_bus_job *job, struct collect_device *d)
{
    bool asked = look(job, d);
    if (!asked) /* rather one flag too many, until it can be */
        memset(d->who.apart, 1, d->profile->n * sizeof *d->who.apart);
    return asked;
}

/* The first counter that is held back, or -1. */
static int held_counter(const struct collect_device *d)
{
    for (size_t i = 0; i < d->profile->n; i++) {
        const struct quantity *q = d->profile->points[i].quantity;
        if (d->who.apart[i] && d->wanted[i] && q && q->counter)
            return (int)i;
    }
    return -1;
}

/* The other device of the configuration that is known by this serial number, or NULL. */
static const char *owner(const struct collect *k, const struct collect_device *d)
{
    const char *id = NULL;
    (void)pthread_mutex_lock(&names);
    for (size_t i = 0; i < k->ndevices && !id; i++) {
        const struct collect_device *o = &k->devices[i];
        const char *serial = o->who.known[0] ? o->who.known : o->cfg->serial;
        if (o != d && serial && bare(serial)[0] && same(serial, d->who.read))
            id = o->cfg->id;
    }
    (void)pthread_mutex_unlock(&names);
    return id;
}

static const char *before(const struct collect_device *d)
{
    return d->who.known[0] ? d->who.known : d->cfg->serial;
}

const char *collect_who_text(const struct collect_bus_job *job, const struct collect_device *d,
                             char *text, size_t n)
{
    const char *other = owner(job->collect, d);
    int counter = held_counter(d);
    (void)snprintf(text, n,
                   "Serial number %s instead of %s: %s%s? If it was changed: fieldpost maintain "
                   "%s/%s %s",
                   d->who.read, before(d),
                   other ? "cables interchanged with " : "device changed, or cables interchanged",
                   other ? other : "", d->cfg->id,
                   counter < 0 ? "*" : d->profile->points[counter].name,
                   counter < 0 ? "swap" : "meter");
    return other;
}

static void tell(const struct collect_bus_job *job, struct collect_device *d, struct mono now)
{
    struct collect_who *w = &d->who;
    char text[256];
    bool soon = w->told_at.ms != 0 && now.ms - w->told_at.ms < TELL_AGAIN_MS;
    if (w->told == w->doubted || (w->doubted && soon))
        return;
    w->told = w->doubted;
    if (w->doubted)
        w->told_at = now;
    if (!w->doubted) {
        store_event(job->store, STORE_INFO, "device.known", d->cfg->id,
                    "its serial number is %s, as it should be: its readings count", w->read);
        return;
    }
    (void)collect_who_text(job, d, text, sizeof text);
    store_event(job->store, STORE_WARNING, "device.changed", d->cfg->id,
                "%s --from T %sold_serial=%s new_serial=%s", text,
                held_counter(d) < 0 ? "" : "last=N first=N ", before(d), w->read);
}

void collect_who_settle(const struct collect_bus_job *job, struct collect_device *d)
{
    struct collect_who *w = &d->who;
    uint64_t works = store_works(job->store);
    if (w->point < 0)
        return;
    if (w->read[0] && (w->stale || (w->doubted && works != w->works)) && judge(job, d)) {
        w->doubted = false;
        for (size_t i = 0; i < d->profile->n; i++)
            w->doubted |= w->apart[i];
        w->stale = false;
        w->works = works;
    }
    if (!w->stale && !w->doubted && w->read[0] && strcmp(w->known, w->read) != 0 &&
        store_note_set(job->store, "serial", d->cfg->id, w->read, NULL) == ST_OK) {
        (void)pthread_mutex_lock(&names);
        memcpy(w->known, w->read, sizeof w->known);
        (void)pthread_mutex_unlock(&names);
    }
    tell(job, d, clk_mono(job->clk));
}
