/* Private to the tracker of gaps: gaps.c follows polls, gaps_window.c makes a window's entries. */
#ifndef GATEWAY_SEAL_GAPS_INT_H
#define GATEWAY_SEAL_GAPS_INT_H

#include "gateway/seal/gaps.h"

#define GAPS_ENTRIES_MAX 1000 /* in one header: 64 KiB at about 60 bytes each */

struct gaps_track {
    int64_t next_due;  /* of the first poll that is neither read nor missed */
    int64_t miss_from; /* open gap */
    int64_t period_ms, phase_ms;
    enum store_cause cause;
    bool missing;
    bool gone; /* retired: owes nothing any more */
};
/* A series that is due and not configured. */
struct gaps_absent {
    char *device, *point; /* one allocation, the device's */
    uint32_t dev;         /* as its device's others have it */
};
struct gaps_row {
    int64_t from, to;
    uint32_t series;
    enum store_cause cause;
};
struct gaps {
    const struct store *store;
    struct gaps_track *track; /* those that are configured, then the absent ones */
    uint32_t n, configured;
    struct gaps_absent *absent;
    bool pausing;       /* absent ones cannot have readings any more */
    uint32_t *due;      /* per device: its series that are not retired */
    uint32_t ndev, all; /* devices; series of all of them that are not retired */
    struct gaps_row *closed;
    size_t nclosed, max_closed;
    enum store_cause silence; /* of polls that never came */
    struct gaps_row *rows;    /* within gaps_window alone */
    struct wire_gap *entry;   /* its result */
    struct buf names;
};

/* A number for the device of a series; the same for its absent series, where it is configured. */
static inline uint32_t gaps_device_of(const struct gaps *g, uint32_t series)
{
    return series < g->configured ? store_series_at(g->store, series)->device
                                  : g->absent[series - g->configured].dev;
}

/* gaps.c: why polls of a series are missing that nothing tells of; opens such a gap, or goes on. */
enum store_cause gaps_silence_of(const struct gaps *g, uint32_t series);
void gaps_miss(struct gaps *g, uint32_t series, int64_t from, enum store_cause cause);

#endif
