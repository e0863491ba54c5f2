/* One of our nodes on a bus: met, kept as a profile, and read with proof that it is still what it
 * was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/node_int.h"

#define HOUR_MS INT64_C(3600000)
#define AGAIN_MS 60000 /* until a chain without sense is looked at again, or an age */
#define TELLS_PER_MINUTE 4
#define FUNCTION 3
#define SAID_BYTES 400

/* What is read beside its points: the heads that prove them, … */
enum { BLOCK, TABLE, HASH, OWN, PROOFS };
/* … and for each point of VALUES what stands beside the value. */
struct held {
    uint16_t entry, beside; /* + 1; 0: it is no point of VALUES */
    bool in;                /* this poll brought it */
    uint8_t raw[8];
};

struct collect_node {
    char *dir;
    struct collect_profile profile; /* as it was loaded, and what is read beside it */
    size_t nsaid;                   /* points of the former */
    struct held *held;
    struct collect_node_walk walk;
    struct collect_node_table table; /* of the last walk that was whole */
    bool begun, walking, known;      /* known: it is what its profile says */
    bool kept;                       /* it waits for the restart */
    struct mono walked_at, again_at, minute;
    unsigned tells;                               /* events of that minute */
    uint8_t asked[COLLECT_REGISTERS_MAX / 8 + 1]; /* lengths of its walks, as bits */
    char text[COLLECT_NODE_WHY_BYTES], told[COLLECT_NODE_WHY_BYTES], news[SAID_BYTES];
    char lacks[COLLECT_NODE_WHY_BYTES];
};

/* ---- opening -------------------------------------------------------------------------------- */

static struct collect_point beside(int64_t address, int type)
{
    static char proof[] = "(proof)";
    struct collect_point p = {.name = proof,
                              .function = FUNCTION,
                              .address = address,
                              .type = type,
                              .scale = num_dec(1, 0),
                              .offset = num_dec(0, 0),
                              .hidden = true};
    collect_decoder_init(&p.decoder, &p);
    return p;
}

static bool within_values(const struct collect_node_at *at, const struct collect_point *p)
{
    return p->function == FUNCTION && p->address >= at->values &&
           p->address < at->values + at->length;
}

/* Which entry's value it is, + 1; 0: none. */
static uint16_t entry_of(const struct collect_node_at *at, const struct collect_point *p)
{
    int64_t offset = p->address - at->values - at->head;
    if (!within_values(at, p) || p->type != COLLECT_TYPE_s32 || offset < 0 ||
        offset % at->entry != 0)
        return 0;
    return (uint16_t)(offset / at->entry + 1);
}

static void lay_beside(struct collect_device *d)
{
    struct collect_node *s = d->node;
    const struct collect_node_at *at = &s->profile.node;
    struct collect_point *p = s->profile.points;
    size_t n = s->nsaid;
    p[n + BLOCK] = beside(at->values - 2, COLLECT_TYPE_u32);
    p[n + TABLE] = beside(at->values + NODE_VALUES_entry_length, COLLECT_TYPE_u32);
    p[n + HASH] = beside(at->values + NODE_VALUES_hash, COLLECT_TYPE_u32);
    p[n + OWN] = beside(at->diagnostics - 2, COLLECT_TYPE_u32);
    p[n + OWN].absent = at->diagnostics == 0;
    memset(d->wanted + n, 1, PROOFS);
    d->wanted[n + OWN] = false;
    s->profile.n = n + PROOFS;
    for (size_t i = 0; i < n; i++) {
        s->held[i].entry = entry_of(at, &p[i]);
        if (d->wanted[i] && !within_values(at, &p[i]))
            d->wanted[n + OWN] = true;
        if (s->held[i].entry == 0)
            continue;
        s->held[i].beside = (uint16_t)(s->profile.n + 1);
        d->wanted[s->profile.n] = d->wanted[i];
        /* its state, and its age where the entry has one */
        p[s->profile.n++] =
            beside(p[i].address + NODE_VALUES_state,
                   at->entry > NODE_VALUES_age ? COLLECT_TYPE_u32 : COLLECT_TYPE_u16);
    }
}

/* Points of the configuration that it does not have. */
static void note_lacks(struct collect_device *d)
{
    struct collect_node *s = d->node;
    for (size_t i = 0; i < d->cfg->points.n; i++) {
        size_t k = 0;
        while (k < s->nsaid && strcmp(s->profile.points[k].name, d->cfg->points.v[i]) != 0)
            k++;
        if (k == s->nsaid)
            (void)collect_append(s->lacks, sizeof s->lacks, 0, ", ", d->cfg->points.v[i]);
    }
}

enum st collect_node_open(struct collect_device *d, const char *dir, struct err *e)
{
    const struct collect_profile *said = d->profile;
    size_t room = 2 * said->n + PROOFS;
    struct collect_node *s = d->node = calloc(1, sizeof *s);
    bool *wanted = realloc(d->wanted, room * sizeof *wanted);
    if (wanted)
        d->wanted = wanted;
    if (s) {
        s->profile = *said;
        s->nsaid = said->n;
        s->profile.points = calloc(room, sizeof *s->profile.points);
        s->held = calloc(room, sizeof *s->held);
        s->dir = dir ? strdup(dir) : NULL;
    }
    if (!s || !wanted || !s->profile.points || !s->held || (dir && !s->dir))
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    memcpy(s->profile.points, said->points, said->n * sizeof *said->points);
    if (said->node.entry > 0) {
        lay_beside(d);
        note_lacks(d);
    } else {
        d->wanted[0] = true; /* whatever points it will have, the mark is asked for */
    }
    d->profile = &s->profile;
    d->finder = &collect_node_finder;
    return ST_OK;
}

void collect_node_close(struct collect_device *d)
{
    if (!d->node)
        return;
    free(d->node->profile.points);
    free(d->node->held);
    free(d->node->dir);
    free(d->node);
    d->node = NULL;
}

/* ---- looking -------------------------------------------------------------------------------- */

static void doubt(struct collect_device *d, bool away, struct mono now)
{
    struct collect_node *s = d->node;
    if (s->begun && (away || now.ms - s->walked_at.ms >= AGAIN_MS))
        s->again_at = now;
}

static bool next(struct collect_device *d, struct mono now, struct collect_request *q)
{
    struct collect_node *s = d->node;
    if (!s->begun) {
        s->begun = true;
        s->again_at = now;
    }
    if (!s->walking && now.ms < s->again_at.ms)
        return false;
    if (!s->walking)
        collect_node_walk_begin(&s->walk);
    s->walking = true;
    *q = (struct collect_request){.function = FUNCTION};
    if (!collect_node_walk_next(&s->walk, &q->address, &q->count))
        return false;
    s->asked[q->count / 8] |= (uint8_t)(1U << q->count % 8);
    return true;
}

/* One that the walk will ask for, or has asked for, would be taken for the answer to a fence. */
static bool asks(const struct collect_device *d, unsigned function, unsigned count)
{
    return function == FUNCTION && count <= COLLECT_REGISTERS_MAX &&
           (count <= 3 || d->node->asked[count / 8] >> count % 8 & 1);
}

/* The walk came to its end: it is what its profile says, or the profile is another now. */
static void adopt(const struct collect_bus_job *job, struct collect_device *d, struct mono now)
{
    struct collect_node *s = d->node;
    struct buf profile = {.max = COLLECT_NODE_FILE_MAX};
    char said[SAID_BYTES];
    collect_node_table_read(&s->walk, &s->table);
    enum st st = collect_node_profile(&s->table, &profile, said, sizeof said);
    bool same = st == ST_OK && s->profile.node.entry > 0 &&
                node_crc32(0, profile.p, profile.n) == s->profile.node.sum;
    s->news[0] = '\0';
    if (same && !s->known) {
        d->who.due = true;
        collect_says_again(d);
    }
    s->known = same;
    if (same) {
        s->text[0] = '\0';
    } else if (st != ST_OK) {
        (void)snprintf(s->text, sizeof s->text, "no memory for what it says of itself");
    } else if (!s->dir) {
        (void)snprintf(s->text, sizeof s->text, "there is no place to keep what it says of itself");
    } else {
        s->text[0] = '\0';
        s->kept = collect_node_keep(s->dir, d->cfg->id, &profile, clk_now(job->clk).utc_ms, s->text,
                                    sizeof s->text);
        if (s->kept)
            memcpy(s->news, said, sizeof s->news);
        if (s->kept && job->reload)
            job->reload(job->reload_ctx);
        s->again_at = (struct mono){now.ms + (s->kept ? COLLECT_NODE_KEEP_MS : AGAIN_MS)};
    }
    buf_done(&profile);
}

static void heard(const struct collect_bus_job *job, struct collect_device *d, const uint8_t *data)
{
    struct collect_node *s = d->node;
    struct mono now = clk_mono(job->clk);
    collect_node_walk_heard(&s->walk, data);
    if (s->walk.state != COLLECT_NODE_DONE && s->walk.state != COLLECT_NODE_BAD)
        return;
    s->walking = false;
    s->walked_at = now;
    s->again_at = (struct mono){now.ms + (s->walk.state == COLLECT_NODE_DONE ? HOUR_MS : AGAIN_MS)};
    if (s->walk.state == COLLECT_NODE_DONE) {
        adopt(job, d, now);
    } else {
        s->known = false;
        memcpy(s->text, s->walk.why, sizeof s->text);
    }
}

static void missed(struct collect_device *d, struct mono now)
{
    struct collect_node *s = d->node;
    s->walking = false;
    if (s->known) /* what is known to be there is read meanwhile */
        s->again_at = (struct mono){now.ms + AGAIN_MS};
}

static bool ready(const struct collect_device *d)
{
    return d->node->known;
}

/* ---- a poll --------------------------------------------------------------------------------- */

static void begin(struct collect_device *d)
{
    struct collect_node *s = d->node;
    for (size_t i = 0; i < s->profile.n; i++)
        s->held[i].in = false;
}

static void take(struct collect_device *d, const struct collect_request *q, const uint8_t *data,
                 struct store_value *v)
{
    (void)v; /* they count once all is there: settle */
    for (uint32_t i = q->first; i < q->first + q->n; i++) {
        const struct collect_item *item = &d->plan.items[i];
        struct collect_planned *of = &d->plan.values[item->value];
        const uint8_t *whole = collect_plan_gather(of, item, data + 2 * item->at);
        if (!whole)
            continue;
        memcpy(d->node->held[of->point].raw, whole, 2U * of->width);
        d->node->held[of->point].in = true;
    }
}

/* Which heads are as the table has them. true: one is not. */
static bool prove(const struct collect_node *s, bool *values, bool *own)
{
    const struct held *h = s->held + s->nsaid;
    const struct collect_node_table *t = &s->table;
    const uint32_t words[PROOFS] = {[BLOCK] = (uint32_t)NODE_VALUES << 16 | t->values.length,
                                    [TABLE] = (uint32_t)t->entry << 16 | t->entries,
                                    [HASH] = t->hash,
                                    [OWN] =
                                        (uint32_t)NODE_DIAGNOSTICS << 16 | t->diagnostics.length};
    bool is[PROOFS], moved = false;
    for (size_t i = 0; i < PROOFS; i++) {
        const uint8_t *p = h[i].raw;
        is[i] =
            ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]) == words[i];
        moved |= h[i].in && !is[i];
        is[i] &= h[i].in;
    }
    *values = is[BLOCK] && is[TABLE] && is[HASH];
    *own = is[OWN];
    return moved;
}

/* Its period, by the sensor that measures the point; 0: unknown. */
static unsigned period_of(const struct collect_node_table *t, unsigned entry)
{
    unsigned sensor = entry < t->n ? t->points[entry].sensor : UINT16_MAX;
    return sensor < t->nsensors ? t->periods[sensor] : 0;
}

/* One value of VALUES: whether it counts, and its flags. */
static bool counts(struct collect_node *s, size_t point, uint16_t *q, bool *stale)
{
    const struct held *h = &s->held[point], *more = &s->held[h->beside - 1];
    bool aged = s->profile.node.entry > NODE_VALUES_age;
    *stale = false;
    if (!more->in)
        return false;
    return collect_node_counts((unsigned)more->raw[0] << 8 | more->raw[1],
                               aged ? (unsigned)more->raw[2] << 8 | more->raw[3] : 0,
                               period_of(&s->table, h->entry - 1U), q, stale);
}

static void settle(struct collect_device *d, struct mono now, struct store_value *v)
{
    struct collect_node *s = d->node;
    const char *old = NULL;
    bool values, own, moved = prove(s, &values, &own);
    for (size_t i = 0; i < d->plan.nall; i++) {
        size_t point = d->plan.values[i].point;
        const struct collect_point *p = &s->profile.points[point];
        bool of_values = within_values(&s->profile.node, p), stale = false;
        uint16_t q = 0;
        if (p->hidden || !s->held[point].in || !(of_values ? values : own))
            continue;
        if (s->held[point].entry == 0 || counts(s, point, &q, &stale))
            v[i].q = collect_decode(&p->decoder, s->held[point].raw, &v[i].v) | q;
        if (v[i].v.kind == NUM_NONE)
            v[i].q = 0;
        old = stale && !old ? p->name : old;
    }
    s->text[0] = '\0';
    if (moved) {
        (void)snprintf(s->text, sizeof s->text, "its table has changed: it is read again");
        s->known = s->walking = false;
        s->again_at = now;
    } else if (old) {
        (void)snprintf(s->text, sizeof s->text,
                       "%s and what is measured with it is too old: that sensor measures no more. "
                       "Restart the node",
                       old);
        doubt(d, false, now); /* or its period is another now */
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

static void tell(const struct collect_bus_job *job, struct collect_device *d, struct mono now)
{
    struct collect_node *s = d->node;
    if (s->known && s->lacks[0]) {
        store_event(job->store, STORE_WARNING, "device.lacks", d->cfg->id,
                    "the configuration names points that it does not have: %s", s->lacks);
        s->lacks[0] = '\0';
    }
    if (s->news[0]) {
        store_event(job->store, STORE_INFO, "device.learned", d->cfg->id, "it is %s", s->news);
        s->news[0] = '\0';
    }
    if (s->text[0] == '\0')
        s->told[0] = '\0';
    if (strcmp(s->text, s->told) == 0)
        return;
    if (s->tells == 0 || now.ms - s->minute.ms >= 60000) {
        s->minute = now;
        s->tells = 0;
    }
    if (s->tells == TELLS_PER_MINUTE)
        return;
    s->tells++;
    memcpy(s->told, s->text, sizeof s->told);
    store_event(job->store, STORE_WARNING, "device.node", d->cfg->id, "%s", s->text);
}

static const char *text(const struct collect_device *d)
{
    return d->node->text;
}

const struct collect_finder collect_node_finder = {.next = next,
                                                   .heard = heard,
                                                   .missed = missed,
                                                   .doubt = doubt,
                                                   .ready = ready,
                                                   .begin = begin,
                                                   .take = take,
                                                   .settle = settle,
                                                   .tell = tell,
                                                   .text = text,
                                                   .asks = asks,
                                                   .why = "device_alarm"};
