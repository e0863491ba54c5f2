/* Counters. */
#include "firmware/node/counters.h"

#define KIND 0xF902U
#define AROUND 0x40000000U /* a step down of more is a counter that came around */

static void save(struct counters *c, uint32_t now_ms)
{
    c->saving = c->now;
    c->moved = false;
    c->saved_ms = now_ms;
    record_save(&c->record);
}

void counters_start(struct counters *c, uint32_t hash, bool watchdog, uint32_t now_ms)
{
    c->record.kind = KIND;
    c->record.size = sizeof c->saving;
    c->record.data = (uint8_t *)&c->saving;
    if (record_load(&c->record))
        c->now = c->saving;
    if (c->now.hash != hash) {
        for (unsigned i = 0; i < LIMITS_COUNTERS; i++)
            c->now.total[i] = 0;
    }
    c->now.hash = hash;
    c->now.boots++;
    if (watchdog)
        c->now.watchdogs++;
    save(c, now_ms);
}

void counters_take(struct counters *c, unsigned i, int32_t raw)
{
    if (i >= LIMITS_COUNTERS)
        return;
    uint32_t now = (uint32_t)raw & COUNTERS_MASK, last = c->last[i], more = now - last;
    if (now < last)
        more = last - now > AROUND ? (now - last) & COUNTERS_MASK : now;
    c->last[i] = now;
    c->now.total[i] = (c->now.total[i] + more) & COUNTERS_MASK;
    if (more > 0)
        c->moved = true;
}

int32_t counters_total(const struct counters *c, unsigned i)
{
    return i < LIMITS_COUNTERS ? (int32_t)c->now.total[i] : 0;
}

void counters_turn(struct counters *c, uint32_t now_ms, bool now)
{
    if (c->moved && (now || now_ms - c->saved_ms >= COUNTERS_EVERY_MS))
        save(c, now_ms);
}
