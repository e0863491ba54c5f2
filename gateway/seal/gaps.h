/* What is missing, and why: one tracker over all series. Pure bookkeeping on times (ms of the
 * batch's time base); writer thread only. Rules: batch.md 10, 17, 18. */
#ifndef GATEWAY_SEAL_GAPS_H
#define GATEWAY_SEAL_GAPS_H

#include "gateway/store/store.h"

struct gaps;
enum st gaps_open(struct gaps **out, const struct store *s, struct err *e) ST_MUST_CHECK;
void gaps_close(struct gaps *g);

/* A series that the signed plan has and the configuration has no more: its index, behind those of
 * the store. All are added in byte order of their names before anything else is told. ST_FULL:
 * there are too many. */
enum st gaps_add_absent(struct gaps *g, const char *name, int64_t period_ms, uint32_t *series,
                        struct err *e) ST_MUST_CHECK;
/* From here on, what earlier runs left is told: series that are not configured are missing, cause
 * STORE_PAUSED, until they are retired. */
void gaps_pause(struct gaps *g, int64_t now_ms);
/* The index of an absent series that is not retired; UINT32_MAX. */
uint32_t gaps_find_absent(const struct gaps *g, const char *name);
/* It owes nothing from at_ms on, nor ever again. */
void gaps_retire(struct gaps *g, uint32_t series, int64_t at_ms);

/* From when on a series owes readings: its first poll is due at the next multiple of its period. A
 * gap that is open ends there. */
void gaps_owe(struct gaps *g, uint32_t series, int64_t from_ms);
/* All series owe from here on; open gaps go on from here (a clock step). */
void gaps_restart(struct gaps *g, int64_t now_ms);
/* The clock was found: all times of the tracker move by add_ms. */
void gaps_shift(struct gaps *g, int64_t add_ms);
/* The program was not running in [from, to), which lies before all that the tracker knows, or what
 * it recorded is lost: the cause says which. */
void gaps_off_before(struct gaps *g, int64_t from_ms, int64_t to_ms, enum store_cause cause);
/* The same from until_ms (its last sign of life) to now_ms. */
void gaps_off(struct gaps *g, int64_t until_ms, int64_t now_ms, enum store_cause cause);
/* The cause of polls that nothing tells of: STORE_OVERRUN unless their records may be lost. */
void gaps_silence(struct gaps *g, enum store_cause cause);
/* Looks at one poll. ST_FULL: so many short gaps that a window must end now. */
enum st gaps_frame(struct gaps *g, const struct store_frame *f) ST_MUST_CHECK;

/* The gaps of [from, to), clipped to it, joined per device, or to one entry, where they agree.
 * Valid until the next call. Series that are two periods behind by now count as overrun. */
enum st gaps_window(struct gaps *g, int64_t from_ms, int64_t to_ms, bool whole,
                    const struct wire_gap **out, size_t *n, struct err *e) ST_MUST_CHECK;
/* The configured series of which a poll was due before `to` that nothing tells of: it may be under
 * way. */
void gaps_underway(const struct gaps *g, int64_t to_ms,
                   void (*each)(void *ctx, uint32_t series, int64_t due_ms), void *ctx);
/* Whether every poll that was due before `to` has been seen, good or failed. */
bool gaps_complete(const struct gaps *g, int64_t to_ms);
/* The window up to `to` is sealed: forgets what ended before. */
void gaps_sealed(struct gaps *g, int64_t to_ms);

/* The first multiple of step at or after t. */
int64_t gaps_align_up(int64_t t, int64_t step);

#endif
