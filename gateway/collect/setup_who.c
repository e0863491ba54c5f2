/* Who answers where, before anything is written. */
#include <stdio.h>
#include <string.h>

#include "gateway/collect/setup_int.h"

#define LOOKS 3 /* at who answers, so that two devices that take turns show */

/* "unit 11 at 9600 8N1" */
const char *collect_setup_where_text(const struct collect_setup_job *j,
                                     const struct collect_setup_where *w, char text[64])
{
    if (j->bus->type == COLLECT_RTU)
        (void)snprintf(text, 64, "unit %d at %lld %lld%c%lld", w->unit, (long long)w->baud,
                       (long long)j->bus->data_bits, (char)w->parity, (long long)w->stop_bits);
    else
        (void)snprintf(text, 64, "unit %d", w->unit);
    return text;
}

/* ---- requests ---- */

size_t collect_setup_read(unsigned function, unsigned address, unsigned count, uint8_t pdu[5])
{
    const uint8_t bytes[5] = {(uint8_t)function, (uint8_t)(address >> 8), (uint8_t)address,
                              (uint8_t)(count >> 8), (uint8_t)count};
    memcpy(pdu, bytes, sizeof bytes);
    return sizeof bytes;
}

static const struct collect_point *serial_of(const struct collect_profile *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->points[i].identity == COLLECT_SERIAL)
            return &p->points[i];
    return NULL;
}

static size_t identity_pdu(const struct collect_setup_job *j, uint8_t pdu[5])
{
    const struct collect_setup_place *id = &j->setup->place[COLLECT_SETUP_IDENTITY];
    return collect_setup_read((unsigned)id->function, (unsigned)id->address,
                              collect_types[id->type].regs, pdu);
}

/* A sign of life that tells one device from another, as far as one request can: best its serial
 * number. */
static size_t probe_pdu(const struct collect_setup_job *j, uint8_t pdu[5])
{
    const struct collect_point *serial = serial_of(j->profile);
    uint16_t at;
    if (!serial && j->setup->place[COLLECT_SETUP_IDENTITY].given)
        return identity_pdu(j, pdu);
    struct collect_request r =
        collect_plan_single(j->profile, serial ? (size_t)(serial - j->profile->points) : 0, &at);
    return collect_setup_read(r.function, r.address, r.count, pdu);
}

/* Goes to where the device is, with the line's settings; ST_OK when the line is open there. */
enum st collect_setup_go(struct collect_setup_job *j, const struct collect_setup_where *w,
                         struct err *e)
{
    if (atomic_load(&j->line.stop->set))
        return collect_setup_lost(j, e);
    if (j->line.ctx && collect_setup_same_line(&j->line.as, w))
        return ST_OK;
    return collect_setup_open(&j->line, j->bus, w, e);
}

enum st collect_setup_lost(const struct collect_setup_job *j, struct err *e)
{
    if (atomic_load(&j->line.stop->set))
        return err_set(e, ST_STOPPED, "the gateway stopped");
    return err_set(e, ST_IO, "bus %s: the line is gone: see its adapter", j->bus->id);
}

enum collect_heard_what collect_setup_probe(struct collect_setup_job *j, int unit, bool whole,
                                            struct collect_setup_answer *a)
{
    uint8_t pdu[5];
    size_t n = probe_pdu(j, pdu);
    return collect_setup_ask(&j->line, unit, pdu, n, whole, a);
}

/* ---- who is there ---------------------------------------------------------------------------- */

/* Nobody may answer where it is to be. */
enum st collect_setup_free(struct collect_setup_job *j, const struct collect_setup_where *w,
                           struct err *e)
{
    struct collect_setup_answer a;
    char text[64];
    ERR_TRY(collect_setup_go(j, w, e));
    enum collect_heard_what h = collect_setup_probe(j, j->to.unit, true, &a);
    if (h == COLLECT_HEARD_LOST)
        return collect_setup_lost(j, e);
    if (h == COLLECT_HEARD_NOTHING)
        return ST_OK;
    struct collect_setup_where there = *w;
    there.unit = j->to.unit;
    return err_set(e, ST_CONFLICT, "%s answers already: choose another unit, or take it off",
                   collect_setup_where_text(j, &there, text));
}

static enum st two(const struct collect_setup_job *j, struct err *e)
{
    char text[64];
    return err_set(e, ST_CONFLICT,
                   "at %s two devices or more seem to answer, or the line is bad: connect one of "
                   "the new devices alone",
                   collect_setup_where_text(j, &j->at, text));
}

static enum st check_model(struct collect_setup_job *j, struct err *e)
{
    const struct collect_setup_place *id = &j->setup->place[COLLECT_SETUP_IDENTITY];
    struct collect_setup_answer a;
    uint8_t raw[8], pdu[5];
    if (!id->given)
        return ST_OK;
    size_t n = identity_pdu(j, pdu);
    if (collect_setup_ask(&j->line, j->at.unit, pdu, n, true, &a) == COLLECT_HEARD_ONE)
        for (size_t i = 0; i < id->values.n; i++) {
            size_t bytes = collect_setup_encode(id, num_dec(id->values.v[i], 0), raw);
            if (bytes > 0 && a.n == bytes + 2 && memcmp(a.pdu + 2, raw, bytes) == 0)
                return ST_OK;
        }
    return err_set(e, ST_CONFLICT, "it is no %s: its identity register says another",
                   j->profile->model);
}

/* One device, of this model, answers where it is said to be. ST_NOT_FOUND: nobody does. */
static enum st check_one(struct collect_setup_job *j, struct err *e)
{
    struct collect_setup_answer first = {.n = 0}, a;
    bool tells = serial_of(j->profile) || j->setup->place[COLLECT_SETUP_IDENTITY].given;
    ERR_TRY(collect_setup_go(j, &j->at, e));
    for (int i = 0; i < LOOKS; i++) {
        enum collect_heard_what h = collect_setup_probe(j, j->at.unit, true, &a);
        if (h == COLLECT_HEARD_LOST)
            return collect_setup_lost(j, e);
        if (h == COLLECT_HEARD_NOTHING && i == 0)
            return ST_NOT_FOUND;
        if (h == COLLECT_HEARD_REFUSAL)
            return err_set(e, ST_CONFLICT, "it refuses what a %s answers: check the model",
                           j->profile->model);
        /* a reading may move between two looks, a serial number does not */
        if (h != COLLECT_HEARD_ONE ||
            (i > 0 && tells && (a.n != first.n || memcmp(a.pdu, first.pdu, a.n) != 0)))
            return two(j, e);
        if (i == 0)
            first = a;
    }
    return check_model(j, e);
}

/* Where the bus is set to, and where the device is as delivered. */
enum st collect_setup_find(struct collect_setup_job *j, struct err *e)
{
    const struct collect_profile *p = j->profile;
    struct collect_setup_where bus = j->at, new = j->at;
    char text[64], other[64];
    enum st st = check_one(j, e);
    if (st != ST_NOT_FOUND)
        return st;
    if (j->bus->type == COLLECT_RTU && p->serial.baud > 0) {
        new.baud = p->serial.baud;
        new.parity = p->serial.parity;
        new.stop_bits = p->serial.stop_bits;
    }
    if (!collect_setup_same_line(&bus, &new)) {
        j->at = new;
        st = check_one(j, e);
    }
    if (st == ST_OK && j->ask->to_baud == 0) /* it keeps what it has */
        j->to.baud = j->at.baud;
    if (st == ST_OK && !j->ask->to_parity) {
        j->to.parity = j->at.parity;
        j->to.stop_bits = j->at.stop_bits;
    }
    if (st != ST_NOT_FOUND)
        return st;
    return err_set(e, ST_NOT_FOUND, "nobody answers at %s%s%s: check power, cable and A/B",
                   collect_setup_where_text(j, &bus, text),
                   collect_setup_same_line(&bus, &new) ? "" : ", nor at ",
                   collect_setup_same_line(&bus, &new) ? ""
                                                       : collect_setup_where_text(j, &new, other));
}
