/* Counters that a power cut and a reset do not set back, and what a node counts of itself.
 *
 * They are saved when one has moved and COUNTERS_EVERY_MS have gone by since the last save, and
 * before a restart by command. So what a power cut costs is what was counted in the last five
 * minutes before it, and what would have been counted while it lasted; a counter then goes on
 * below the value that it last showed, never above. A ring of 8 slots of 64 bytes on an EEPROM for
 * 10^6 writes lasts 38 years so (105120 saves a year, each two writes of a page).
 *
 * One thread. */
#ifndef FIRMWARE_COUNTERS_H
#define FIRMWARE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/node/limits.h"
#include "firmware/node/record.h"

#define COUNTERS_EVERY_MS 300000U
#define COUNTERS_MASK 0x7FFFFFFFU /* behind 2147483647 comes 0 */

struct counters_kept { /* as it is stored */
    uint32_t hash;     /* of the points that the totals belong to */
    uint32_t boots, watchdogs;
    uint32_t total[LIMITS_COUNTERS];
};

struct counters {
    struct counters_kept now, saving;
    uint32_t last[LIMITS_COUNTERS]; /* raw, as the chip said it */
    uint32_t saved_ms;
    bool moved; /* since the last save */
    struct record record;
};

/* Takes up what was kept; of points with another hash the totals begin at 0. Its record has been
 * placed. Counts this start, and one by the watchdog, which is saved at once. */
void counters_start(struct counters *c, uint32_t hash, bool watchdog, uint32_t now_ms);
/* Counter `i` of the node says raw; each counts from 0 since the start. One that says less has
 * begun anew, unless it has come around. Beyond LIMITS_COUNTERS: nothing. */
void counters_take(struct counters *c, unsigned i, int32_t raw);
/* 0 beyond LIMITS_COUNTERS. */
int32_t counters_total(const struct counters *c, unsigned i);
/* Begins a save when one is due, or `now` when there is something to save. */
void counters_turn(struct counters *c, uint32_t now_ms, bool now);

#endif
