#include "tests/sim/device.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ILLEGAL_FUNCTION = 1, ILLEGAL_ADDRESS = 2, ILLEGAL_VALUE = 3 };

/* ---- values --------------------------------------------------------------------------------- */

static double unit_random(struct sim_device *d)
{
    return (double)(sim_random(&d->random) >> 11) * 0x1p-53;
}

static double ramp(const struct sim_source *s, uint64_t turn)
{
    if (s->to > s->from && s->step > 0) {
        uint64_t steps = (uint64_t)((s->to - s->from) / s->step + 1e-9) + 1;
        turn %= steps;
    }
    return s->from + s->step * (double)turn;
}

static double next_value(struct sim_device *d, struct sim_point *p)
{
    const struct sim_source *s = &p->source;
    uint64_t turn = d->advance - 1;

    switch (s->formula) {
    case SIM_CONSTANT:
        break;
    case SIM_RAMP:
        return ramp(s, turn);
    case SIM_SINE:
        return s->value + s->amplitude * sin(6.283185307179586 * (double)turn / s->period);
    case SIM_WALK:
        p->walk = turn == 0 ? (s->from + s->to) / 2 : p->walk + s->step * (2 * unit_random(d) - 1);
        p->walk = fmin(fmax(p->walk, s->from), s->to);
        return p->walk;
    case SIM_RANDOM:
        return s->from + (s->to - s->from) * unit_random(d);
    case SIM_REPLAY:
        return s->series->rows[(s->row + turn) % s->series->n] * s->rescale + s->value;
    }
    return s->value;
}

static void put_text(const struct sim_point *p, uint8_t *wire)
{
    size_t room = 2u * p->regs, n = p->source.text != NULL ? strlen(p->source.text) : 0;
    memset(wire, 0, room);
    memcpy(wire, p->source.text != NULL ? p->source.text : "", n < room ? n : room);
}

static void refresh(struct sim_device *d)
{
    for (size_t i = 0; i < d->n; i++) {
        struct sim_point *p = &d->points[i];
        struct sim_bank *b = &d->banks[p->is->function - 1];
        uint32_t at = (uint32_t)p->is->address - b->first;
        if (p->spec.type == SIM_STRING) {
            put_text(p, b->wire + 2u * at);
            continue;
        }
        double v = (int)i == d->counter ? (double)d->advance : next_value(d, p);
        sim_raw(&p->spec, v, p->be);
        if (p->spec.type == SIM_BIT)
            b->wire[at] = p->be[0];
        else
            sim_wire(&p->spec, p->be, b->wire + 2u * at);
    }
}

/* ---- layout --------------------------------------------------------------------------------- */

static enum st place(struct sim_device *d, size_t i, struct err *e)
{
    struct sim_point *p = &d->points[i];
    struct sim_bank *b = &d->banks[p->is->function - 1];
    for (uint32_t r = 0; r < p->regs; r++) {
        uint16_t *slot = &b->point[(uint32_t)p->is->address - b->first + r];
        if (*slot != 0)
            return err_set(e, ST_BAD, "device %s: points %s and %s overlap", d->id,
                           d->points[*slot - 1].is->name, p->is->name);
        *slot = (uint16_t)(i + 1);
    }
    return ST_OK;
}

static enum st lay_out(struct sim_device *d, struct err *e)
{
    uint32_t end[4] = {0};
    for (int f = 0; f < 4; f++)
        d->banks[f] = (struct sim_bank){.first = UINT32_MAX};
    for (size_t i = 0; i < d->n; i++) {
        const struct sim_point *p = &d->points[i];
        int f = (int)p->is->function - 1;
        uint32_t a = (uint32_t)p->is->address;
        if (a + p->regs > 65536)
            return err_set(e, ST_BAD, "device %s: point %s ends beyond address 65535", d->id,
                           p->is->name);
        if (a < d->banks[f].first)
            d->banks[f].first = a;
        if (a + p->regs > end[f])
            end[f] = a + p->regs;
    }
    for (int f = 0; f < 4; f++) {
        struct sim_bank *b = &d->banks[f];
        b->n = end[f] == 0 ? 0 : end[f] - b->first;
        b->wire = calloc(b->n + 1, 2);
        b->point = calloc(b->n + 1, sizeof(*b->point));
        if (b->wire == NULL || b->point == NULL)
            return err_set(e, ST_MEMORY, "no memory for device %s", d->id);
    }
    for (size_t i = 0; i < d->n; i++) {
        enum st st = place(d, i, e);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum st sim_device_open(struct sim_device *d, const char *counter, uint64_t seed, struct err *e)
{
    d->counter = -1;
    d->advance = 1;
    d->random = seed;
    for (const char *c = d->id; *c != '\0'; c++) /* its own numbers, whoever else is asked */
        d->random = d->random * 31 + (uint8_t)*c;
    d->random |= 1;
    for (size_t i = 0; i < d->n; i++) {
        struct sim_point *p = &d->points[i];
        p->spec = (struct sim_spec){(enum sim_type)p->is->type, (enum sim_order)p->is->order,
                                    p->is->scale, p->is->offset};
        p->regs = (uint16_t)sim_regs(p->spec.type);
        if (p->regs == 0)
            p->regs = (uint16_t)p->is->count;
        if (counter != NULL && strcmp(p->is->name, counter) == 0)
            d->counter = (int)i;
    }
    if (counter != NULL && d->counter < 0)
        return err_set(e, ST_NOT_FOUND, "device %s: counter %s is no point of its profile", d->id,
                       counter);
    if (d->counter >= 0 && (d->points[d->counter].spec.type >= SIM_F32))
        return err_set(e, ST_BAD, "device %s: counter %s is no binary integer", d->id, counter);
    enum st st = lay_out(d, e);
    if (st == ST_OK)
        refresh(d);
    return st;
}

void sim_device_close(struct sim_device *d)
{
    for (int f = 0; f < 4; f++) {
        free(d->banks[f].wire);
        free(d->banks[f].point);
        d->banks[f] = (struct sim_bank){0};
    }
}

/* ---- requests ------------------------------------------------------------------------------- */

static enum sim_fault due_fault(struct sim_device *d)
{
    if (d->forced_left > 0) {
        d->forced_left--;
        return d->forced;
    }
    for (size_t i = 0; i < d->nrules; i++) {
        const struct sim_fault_rule *r = &d->rules[i];
        if (r->every > 0 ? d->polls % r->every == 0 : d->polls >= r->first && d->polls <= r->last)
            return r->fault;
    }
    return SIM_FAULT_NONE;
}

static void move_on(struct sim_device *d)
{
    d->advance++;
    d->in_poll = false;
    for (size_t i = 0; i < d->n; i++)
        d->points[i].asked = false;
    refresh(d);
}

/* Whether a request for [first, first + n) of its bank is exactly one point. */
static bool is_one_point(const struct sim_device *d, const struct sim_bank *b, uint32_t first,
                         uint32_t n)
{
    if (first < b->first || first >= b->first + b->n)
        return false;
    uint16_t p = b->point[first - b->first];
    return p != 0 && d->points[p - 1].is->address == first && d->points[p - 1].regs == n;
}

/* A fault that only joined reads meet. */
static bool spares(const struct sim_device *d, enum sim_fault f, const uint8_t *pdu, size_t n)
{
    if (f != SIM_FAULT_REFUSE_JOINED && f != SIM_FAULT_SILENT_JOINED)
        return false;
    return n == 5 && pdu[0] >= 1 && pdu[0] <= 4 &&
           is_one_point(d, &d->banks[pdu[0] - 1], (uint32_t)(pdu[1] << 8 | pdu[2]),
                        (uint32_t)(pdu[3] << 8 | pdu[4]));
}

enum sim_fault sim_device_request(struct sim_device *d, const uint8_t *pdu, size_t n)
{
    uint32_t at = n < 3 ? 0 : (uint32_t)(pdu[0] << 16 | pdu[1] << 8 | pdu[2]);
    bool begins = d->polls == 0 || at <= d->last_request;
    d->last_request = at;
    if (begins) {
        d->polls++;
        if (d->counter < 0 && d->in_poll)
            move_on(d);
    }
    enum sim_fault f = due_fault(d);
    return spares(d, f, pdu, n) ? SIM_FAULT_NONE : f;
}

static size_t exception(const uint8_t *pdu, uint8_t code, uint8_t *out)
{
    out[0] = (uint8_t)(pdu[0] | 0x80);
    out[1] = code;
    return 2;
}

/* 0, or the exception that the device's own limits ask for. */
static uint8_t limits(const struct sim_device *d, const struct sim_bank *b, int function,
                      uint32_t first, uint32_t n)
{
    if (n == 0 || n > d->profile->most[function])
        return ILLEGAL_VALUE;
    for (size_t i = 0; i < d->profile->nforbidden; i++) {
        const struct sim_forbidden *f = &d->profile->forbidden[i];
        if (f->function == function && first <= f->to && first + n > f->from)
            return ILLEGAL_ADDRESS;
    }
    if (first < b->first || first + n > b->first + b->n)
        return ILLEGAL_ADDRESS;
    if (d->profile->even_addresses && first % 2 != 0)
        return ILLEGAL_ADDRESS;
    if (d->profile->even_addresses && n % 2 != 0)
        return ILLEGAL_VALUE;
    return d->profile->joined || is_one_point(d, b, first, n) ? 0 : ILLEGAL_ADDRESS;
}

size_t sim_device_answer(const struct sim_device *d, const uint8_t *pdu, size_t n,
                         uint8_t out[SIM_PDU_MAX_BYTES])
{
    if (pdu[0] < 1 || pdu[0] > 4)
        return exception(pdu, ILLEGAL_FUNCTION, out);
    if (n != 5)
        return exception(pdu, ILLEGAL_VALUE, out);
    const struct sim_bank *b = &d->banks[pdu[0] - 1];
    bool bits = pdu[0] <= 2;
    uint32_t first = (uint32_t)(pdu[1] << 8 | pdu[2]), count = (uint32_t)(pdu[3] << 8 | pdu[4]);
    uint8_t code = limits(d, b, pdu[0], first, count);
    if (code != 0)
        return exception(pdu, code, out);
    uint32_t at = first - b->first, bytes = bits ? (count + 7) / 8 : 2 * count;
    out[0] = pdu[0];
    out[1] = (uint8_t)bytes;
    if (!bits) {
        memcpy(out + 2, b->wire + 2 * at, bytes);
        return 2 + bytes;
    }
    memset(out + 2, 0, bytes);
    for (uint32_t i = 0; i < count; i++)
        out[2 + i / 8] |= (uint8_t)(b->wire[at + i] << i % 8);
    return 2 + bytes;
}

/* The value of a point for the log; "" when its registers hold none. */
static const char *value_text(const struct sim_point *p, char buf[SIM_TEXT_BYTES])
{
    int64_t raw = sim_raw_integer(&p->spec, p->be);
    for (size_t i = 0; i < p->is->no_value.n; i++) {
        int64_t marker = p->is->no_value.v[i];
        /* 0xFFFF marks an s16 of -1, too: what counts is the bit pattern. */
        int bits = 16 * (int)p->regs;
        uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        if ((((uint64_t)raw ^ (uint64_t)marker) & mask) == 0) {
            buf[0] = '\0';
            return buf;
        }
    }
    return sim_text(&p->spec, p->be, buf);
}

static void write_log(const struct sim_device *d, FILE *log)
{
    char text[SIM_TEXT_BYTES];
    for (size_t i = 0; i < d->n; i++) {
        const struct sim_point *p = &d->points[i];
        if (p->asked && value_text(p, text)[0] != '\0')
            fprintf(log, "%s,%" PRIu64 ",%s,%s\n", d->id, d->advance, p->is->name, text);
    }
}

void sim_device_served(struct sim_device *d, const uint8_t *pdu, FILE *log)
{
    const struct sim_bank *b = &d->banks[pdu[0] - 1];
    uint32_t first = (uint32_t)(pdu[1] << 8 | pdu[2]), n = (uint32_t)(pdu[3] << 8 | pdu[4]);

    d->in_poll = true;
    for (uint32_t a = first; a < first + n; a++) {
        uint16_t i = b->point[a - b->first];
        if (i == 0)
            continue;
        struct sim_point *p = &d->points[i - 1];
        if (p->is->address == a && a + p->regs <= first + n) /* whole */
            p->asked = true;
    }
    if (d->counter < 0 || !d->points[d->counter].asked)
        return;
    if (log != NULL)
        write_log(d, log);
    move_on(d);
}
