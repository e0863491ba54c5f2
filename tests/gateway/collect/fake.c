#include "tests/gateway/collect/fake.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/thr.h"

#define POLLS_MAX 20000
#define EVENTS_MAX 200
#define DEVICES_MAX 16
#define WAIT_MS 20000

atomic_bool fake_full;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news;
static struct fake_poll polls[POLLS_MAX];
static struct store_event events[EVENTS_MAX];
static struct store_health health[DEVICES_MAX];
static size_t npolls, nevents, nfindings;
static struct store_finding findings[STORE_FINDINGS_MAX];
static uint32_t ndevices, nseries;

#define WORKS_MAX 16
static struct work {
    char device[32], point[32];
    struct store_work w;
} works[WORKS_MAX];
static size_t nworks;
#define NOTES_MAX 64
static struct note {
    char kind[16], name[64], text[STORE_NOTE_BYTES];
} notes[NOTES_MAX];
static size_t nnotes;

void fake_reset(void)
{
    static bool made;
    if (!made)
        made = thr_cond_init(&news) == 0;
    (void)pthread_mutex_lock(&lock);
    npolls = nevents = nworks = nnotes = nfindings = 0;
    ndevices = nseries = 0;
    memset(health, 0, sizeof health);
    (void)pthread_mutex_unlock(&lock);
    atomic_store(&fake_full, false);
}

size_t fake_count(void)
{
    (void)pthread_mutex_lock(&lock);
    size_t n = npolls;
    (void)pthread_mutex_unlock(&lock);
    return n;
}

struct fake_poll fake_at(size_t i)
{
    (void)pthread_mutex_lock(&lock);
    struct fake_poll p = polls[i];
    (void)pthread_mutex_unlock(&lock);
    return p;
}

size_t fake_wait_poll(uint32_t device, bool good, size_t after)
{
    size_t found = SIZE_MAX;
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS, left = WAIT_MS;
    (void)pthread_mutex_lock(&lock);
    while (left > 0 && found == SIZE_MAX) {
        for (; after < npolls && found == SIZE_MAX; after++)
            if (polls[after].p.device == device && (polls[after].v[0].v.kind != NUM_NONE) == good)
                found = after;
        if (found == SIZE_MAX)
            (void)thr_cond_wait(&news, &lock, left);
        left = until - clk_mono(clk_real()).ms;
    }
    (void)pthread_mutex_unlock(&lock);
    return found;
}

static size_t count_events(const char *code)
{
    size_t n = 0;
    for (size_t i = 0; i < nevents; i++)
        n += strcmp(events[i].code, code) == 0;
    return n;
}

bool fake_wait_events(const char *code, size_t n)
{
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS, left = WAIT_MS;
    (void)pthread_mutex_lock(&lock);
    bool there = count_events(code) >= n;
    while (!there && left > 0) {
        (void)thr_cond_wait(&news, &lock, left);
        there = count_events(code) >= n;
        left = until - clk_mono(clk_real()).ms;
    }
    (void)pthread_mutex_unlock(&lock);
    return there;
}

size_t fake_events(const char *code)
{
    (void)pthread_mutex_lock(&lock);
    size_t n = count_events(code);
    (void)pthread_mutex_unlock(&lock);
    return n;
}

struct store_event fake_event(const char *code, size_t i)
{
    struct store_event e = {0};
    (void)pthread_mutex_lock(&lock);
    for (size_t k = 0; k < nevents; k++)
        if (strcmp(events[k].code, code) == 0 && i-- == 0)
            e = events[k];
    (void)pthread_mutex_unlock(&lock);
    return e;
}

struct store_health fake_health(uint32_t device)
{
    (void)pthread_mutex_lock(&lock);
    struct store_health h = health[device];
    (void)pthread_mutex_unlock(&lock);
    return h;
}

bool fake_finding(const char *code, struct store_finding *out)
{
    bool is = false;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < nfindings && !is; i++) {
        is = strcmp(findings[i].code, code) == 0;
        *out = findings[i];
    }
    (void)pthread_mutex_unlock(&lock);
    return is;
}

void fake_work(const char *device, const char *point, const struct store_work *w)
{
    (void)pthread_mutex_lock(&lock);
    if (nworks < WORKS_MAX) {
        struct work *to = &works[nworks++];
        (void)snprintf(to->device, sizeof to->device, "%s", device);
        (void)snprintf(to->point, sizeof to->point, "%s", point);
        to->w = *w;
    }
    (void)pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static struct note *note_of(const char *kind, const char *name)
{
    for (size_t i = 0; i < nnotes; i++)
        if (strcmp(notes[i].kind, kind) == 0 && strcmp(notes[i].name, name) == 0)
            return &notes[i];
    return NULL;
}

void fake_note(const char *kind, const char *name, char text[STORE_NOTE_BYTES])
{
    (void)pthread_mutex_lock(&lock);
    const struct note *n = note_of(kind, name);
    (void)snprintf(text, STORE_NOTE_BYTES, "%s", n ? n->text : "");
    (void)pthread_mutex_unlock(&lock);
}

void fake_note_was(const char *kind, const char *name, const char *text)
{
    (void)pthread_mutex_lock(&lock);
    struct note *n = note_of(kind, name);
    if (!n && nnotes < NOTES_MAX) {
        n = &notes[nnotes++];
        (void)snprintf(n->kind, sizeof n->kind, "%s", kind);
        (void)snprintf(n->name, sizeof n->name, "%s", name);
    }
    if (n)
        (void)snprintf(n->text, sizeof n->text, "%s", text);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- the store's side ----------------------------------------------------------------------- */

enum st store_add_device(struct store *s, const struct store_device *d, uint32_t *index,
                         struct err *e)
{
    (void)s, (void)d, (void)e;
    *index = ndevices++;
    return ST_OK;
}

enum st store_add_series(struct store *s, const struct store_series *d, uint32_t *index,
                         struct err *e)
{
    (void)s, (void)d, (void)e;
    *index = nseries++;
    return ST_OK;
}

enum st store_put(struct store *s, const struct store_poll *p, const struct store_value *v,
                  int64_t wait_ms)
{
    (void)s, (void)wait_ms;
    if (atomic_load(&fake_full))
        return ST_FULL;
    (void)pthread_mutex_lock(&lock);
    if (npolls < POLLS_MAX) {
        struct fake_poll *to = &polls[npolls++];
        to->p = *p;
        memcpy(to->v, v, (p->n < FAKE_VALUES_MAX ? p->n : FAKE_VALUES_MAX) * sizeof *v);
    }
    (void)pthread_cond_broadcast(&news);
    (void)pthread_mutex_unlock(&lock);
    return ST_OK;
}

void store_health_set(struct store *s, uint32_t device, const struct store_health *h)
{
    (void)s;
    (void)pthread_mutex_lock(&lock);
    health[device] = *h;
    (void)pthread_mutex_unlock(&lock);
}

enum st store_findings_set(struct store *s, uint32_t device, const struct store_finding *f,
                           size_t n)
{
    (void)s, (void)device;
    (void)pthread_mutex_lock(&lock);
    if (n > 0)
        memcpy(findings, f, n * sizeof *f);
    nfindings = n;
    (void)pthread_mutex_unlock(&lock);
    return ST_OK;
}

void store_event(struct store *s, enum store_severity sev, const char *code, const char *subject,
                 const char *fmt, ...)
{
    (void)s;
    (void)pthread_mutex_lock(&lock);
    if (nevents < EVENTS_MAX) {
        struct store_event *e = &events[nevents++];
        va_list ap;
        e->severity = sev;
        (void)snprintf(e->code, sizeof e->code, "%s", code);
        (void)snprintf(e->subject, sizeof e->subject, "%s", subject);
        va_start(ap, fmt);
        (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
        va_end(ap);
    }
    (void)pthread_cond_broadcast(&news);
    (void)pthread_mutex_unlock(&lock);
}

enum st store_request_setup(struct store_request *q, const char *what, const char *who,
                            int64_t at_ms, struct err *e)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s, by %s", what, who);
    *q = (struct store_request){.at_ms = at_ms};
    buf_init(&q->bytes, sizeof text);
    return n > 0 && n < (int)sizeof text ? buf_put(&q->bytes, text, (size_t)n)
                                         : err_set(e, ST_BAD, "too long");
}

enum st store_request_put(const char *path, const struct store_request *q, struct err *e)
{
    (void)path, (void)e;
    store_event(NULL, STORE_INFO, "fake.request", "", "%.*s", (int)q->bytes.n,
                (const char *)q->bytes.p);
    return ST_OK;
}

void store_request_free(struct store_request *q)
{
    buf_done(&q->bytes);
}

enum st store_commit(struct store *s, struct err *e)
{
    (void)s, (void)e;
    return ST_OK;
}

/* It took nothing before. */
enum st store_reader_open_in(struct store_reader **out, struct store *s, struct err *e)
{
    (void)s, (void)e;
    *out = NULL;
    return ST_OK;
}

void store_reader_close(struct store_reader *r)
{
    (void)r;
}

enum st store_batch_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                           struct store_batch *out, struct err *e)
{
    (void)r, (void)after, (void)from_ms, (void)to_ms, (void)out, (void)e;
    return ST_NOT_FOUND;
}

enum st store_pending_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                             bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                             struct err *e)
{
    (void)r, (void)after, (void)from_ms, (void)to_ms, (void)each, (void)ctx, (void)e;
    return ST_OK;
}

uint64_t store_works(struct store *s)
{
    (void)s;
    (void)pthread_mutex_lock(&lock);
    uint64_t n = nworks;
    (void)pthread_mutex_unlock(&lock);
    return n;
}

enum st store_work_last(struct store *s, const char *device, const char *point,
                        struct store_work *out, struct err *e)
{
    enum st st = ST_NOT_FOUND;
    (void)s, (void)e;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < nworks; i++)
        if (strcmp(works[i].device, device) == 0 &&
            (point ? strcmp(works[i].point, point) == 0 : works[i].w.serial[0] != '\0')) {
            *out = works[i].w;
            st = ST_OK;
        }
    (void)pthread_mutex_unlock(&lock);
    return st;
}

enum st store_notes_each(struct store *s, const char *kind,
                         void (*each)(void *ctx, const char *name, const char *text), void *ctx,
                         struct err *e)
{
    (void)s, (void)e;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < nnotes; i++)
        if (strcmp(notes[i].kind, kind) == 0 && notes[i].text[0])
            each(ctx, notes[i].name, notes[i].text);
    (void)pthread_mutex_unlock(&lock);
    return ST_OK;
}

enum st store_note_set(struct store *s, const char *kind, const char *name, const char *text,
                       struct err *e)
{
    (void)s, (void)e;
    fake_note_was(kind, name, text);
    return ST_OK;
}

enum st store_meter_rolled(struct store *s, const char *device, const char *point, int64_t at_ms,
                           struct num last, struct num first, struct err *e)
{
    (void)s, (void)e;
    fake_work(device, point, &(struct store_work){.at_ms = at_ms, .last = last, .first = first});
    return ST_OK;
}
