/* Store: what readers see of it, in the gateway and in tools: batches, events, receipts, walks, a
 * copy, charts. A part of store.h, which includes it at its end. */
#ifndef GATEWAY_STORE_READ_H
#define GATEWAY_STORE_READ_H

#include "gateway/store/store.h"

/* ---- readers: own read-only connection, one thread each ----------------------------------- */

/* `s` may be NULL: another process reads the file at path. */
enum st store_reader_open(struct store_reader **out, const char *path, struct err *e) ST_MUST_CHECK;
/* In the gateway's own process: it also knows the acknowledgements that wait for a commit. */
enum st store_reader_open_in(struct store_reader **out, struct store *s,
                             struct err *e) ST_MUST_CHECK;
void store_reader_close(struct store_reader *r);
/* Between the two, all calls see the store as it was at one moment (a reading is then seen once,
 * in a batch or pending). The WAL grows meanwhile: keep it short on the gateway itself. */
enum st store_reader_begin(struct store_reader *r, struct err *e) ST_MUST_CHECK;
void store_reader_end(struct store_reader *r);

struct store_batch {
    int64_t id; /* its place in the store; grows with the chain's birth, then with seq */
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    enum wire_kind kind;
    int64_t from_ms, to_ms;
    uint64_t n;
    uint8_t hash[WIRE_HASH_BYTES];
    struct wire_span packed; /* valid until the next call on this reader */
};
enum store_pick {
    STORE_PICK_CONTROL, /* oldest unacknowledged control batch */
    STORE_PICK_NEWEST,  /* newest unacknowledged data batch */
    STORE_PICK_OLDEST   /* oldest unacknowledged batch */
};
/* The next batch for this uplink, ST_NOT_FOUND when all are acknowledged or refused. Passes over
 * the `nbut` batches with these ids (on their way, or held back); a negative id passes over the
 * whole chain of that batch. */
enum st store_pick_batch_but(struct store_reader *r, const char *uplink, enum store_pick pick,
                             const int64_t *but, size_t nbut, struct store_batch *out,
                             struct err *e) ST_MUST_CHECK;
/* The same among batches with a larger id than `above`. */
enum st store_pick_batch_above(struct store_reader *r, const char *uplink, enum store_pick pick,
                               int64_t above, const int64_t *but, size_t nbut,
                               struct store_batch *out, struct err *e) ST_MUST_CHECK;
enum st store_unsent(struct store_reader *r, const char *uplink, int64_t *batches,
                     int64_t *readings, struct err *e) ST_MUST_CHECK;
/* The earliest time of any batch that a required uplink has not acknowledged; where they have all,
 * the end of the last window. For a reader in the gateway's own process. ST_NOT_FOUND: no uplink is
 * required, or nothing is sealed yet. */
enum st store_unsent_since(struct store_reader *r, int64_t *from_ms, struct err *e) ST_MUST_CHECK;
/* Journalled readings that no batch holds yet, as wire_reading, in order. Outside of begin and end
 * it makes a view of its own. */
enum st store_each_pending(struct store_reader *r,
                           bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                           struct err *e) ST_MUST_CHECK;
/* Newest first, at most `limit`, with id < before (0: from the end). */
enum st store_each_event(struct store_reader *r, int64_t before, int limit,
                         bool (*each)(void *ctx, const struct store_event *v), void *ctx,
                         struct err *e) ST_MUST_CHECK;
/* Last acknowledgement of an uplink. ST_NOT_FOUND when there is none. */
struct store_receipt {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    int64_t at_ms; /* when we stored it */
};
enum st store_last_receipt(struct store_reader *r, const char *uplink, struct store_receipt *out,
                           struct err *e) ST_MUST_CHECK;
/* Batches that the store still has and an uplink was refused for ever, and the latest of them.
 * ST_NOT_FOUND when there is none. */
struct store_set_aside {
    int64_t batches;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    int64_t at_ms;
    char code[32];
};
enum st store_set_aside_last(struct store_reader *r, struct store_set_aside *out,
                             struct err *e) ST_MUST_CHECK;
/* Each of them once, in order, that is not to be sealed once more already. */
struct store_refusal {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq, n; /* n: readings */
    int64_t at_ms;
    char code[32];
};
enum st store_each_refusal(struct store_reader *r,
                           bool (*each)(void *ctx, const struct store_refusal *f), void *ctx,
                           struct err *e) ST_MUST_CHECK;
void store_stats(struct store *s, struct store_stats *out);

/* Another number whenever something was committed since: what was read before may be read anew. */
enum st store_reader_version(struct store_reader *r, int64_t *out, struct err *e) ST_MUST_CHECK;

/* ---- what the page tells of the city's side (city.c) ---------------------------------------- */

/* The newest chain; ST_NOT_FOUND in a new store. */
enum st store_chain_newest(struct store_reader *r, struct store_chain *out,
                           struct err *e) ST_MUST_CHECK;
/* The data batch, without its bytes, whose window holds that time, among the last 1000 batches;
 * INT64_MAX: the newest. ST_NOT_FOUND: there is none (yet). */
enum st store_batch_holding(struct store_reader *r, int64_t t_ms, struct store_batch *out,
                            struct err *e) ST_MUST_CHECK;
/* The last receipts of an uplink for batches that the store holds, the newest first; without bytes.
 */
enum st store_each_receipt(struct store_reader *r, const char *uplink, int limit,
                           void (*each)(void *ctx, const struct store_batch *b, int64_t at_ms),
                           void *ctx, struct err *e) ST_MUST_CHECK;
/* Data batches whose window begins at from_ms or later, and those of them that the uplink has
 * acknowledged. */
struct store_since {
    int64_t batches, acked_batches, readings, acked_readings;
};
enum st store_sealed_since(struct store_reader *r, const char *uplink, int64_t from_ms,
                           struct store_since *out, struct err *e) ST_MUST_CHECK;

/* ---- for tools: walks in short transactions, single batches, a copy (reader) ------------- */

/* The first batch behind id `after` (0: from the oldest) whose window touches [from_ms, to_ms];
 * ST_NOT_FOUND when there is none now. A transaction of its own: what is sealed between two calls
 * has a larger id than all before it, so a walk meets each batch once; what has left the store
 * meanwhile it does not meet. */
enum st store_batch_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                           struct store_batch *out, struct err *e) ST_MUST_CHECK;
/* The end of such a walk: the readings that no batch holds, as of one moment when no batch stands
 * behind `after`; with what the walk met that is every reading once. ST_BUSY, and nothing told,
 * when one does: go on with store_batch_behind. They are copied first, then told, without any
 * transaction: each() may take its time; it returns false to stop. */
enum st store_pending_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                             bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                             struct err *e) ST_MUST_CHECK;
/* All readings of [from_ms, to_ms), each once, in steps: in the order of their seal, then those
 * that no batch holds. */
struct store_readings;
struct store_readings_ask {
    int64_t from_ms, to_ms; /* after corrections; INT64_MIN, INT64_MAX: no bound */
    bool raw;               /* as sealed: nothing is moved or corrected */
    /* Only batches that can have such a time are opened: for a short time of a long store, from
     * 1987 on. Not of a file that no gateway of this version has opened. */
    bool part;
    const char *gateway; /* of those that no batch holds; borrowed */
};
struct store_told_reading {
    const struct wire_reading *sealed,
        *now;                        /* as it was sealed, and with all that was said later */
    bool gone;                       /* it was taken back */
    const struct store_batch *batch; /* without bytes; NULL: none holds it yet */
    struct store_shift shift;        /* what moved it in time */
    const char *gw;
};
/* false: that was enough for now. All pointers are borrowed for the call. */
typedef bool store_readings_each(void *ctx, const struct store_told_reading *t);
enum st store_readings_open(struct store_readings **out, struct store_reader *r,
                            const struct store_readings_ask *ask, struct err *e) ST_MUST_CHECK;
/* Tells those of one batch at most, up to where each() has enough: the next call goes on behind it.
 * Holds no transaction between two calls, and unpacks one batch (1 MiB), or as much of the journal;
 * of that the blobs that touch the time are copied, packed (all with !part: up to 128 MiB).
 * ST_NOT_FOUND: that was all. ST_CORRUPT, ST_BAD: a batch is damaged; it says which. */
enum st store_readings_step(struct store_readings *x, store_readings_each *each, void *ctx,
                            struct err *e) ST_MUST_CHECK;
void store_readings_close(struct store_readings *x); /* takes NULL; before the reader */
/* Whether the store ever had it due or rolled it up, so also one that was retired. ST_NOT_FOUND. */
enum st store_series_known(struct store_reader *r, const char *series, struct err *e) ST_MUST_CHECK;
/* What can be proved of a past reading (proof.c). The corrections that apply to a series at a time
 * (after `time` entries), in order of their seal; *more: beyond the first 32. */
#define STORE_CORRECTIONS_MAX 32
struct store_correction {
    bool held; /* false: the batch that says it has left the store, and nothing but seq is known */
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    char id[STORE_CORRECTION_BYTES]; /* "": it is no text */
    char reason[256], author[WIRE_WHO_MAX + 1];
    int64_t from_ms, to_ms;
    struct wire_fix fix;
};
enum st store_each_correction(struct store_reader *r, const char *series, int64_t t_ms,
                              void (*each)(void *ctx, const struct store_correction *c), void *ctx,
                              bool *more, struct err *e) ST_MUST_CHECK;
/* The device's serial number at that time as `swap` and `meter` entries tell it. ST_NOT_FOUND: none
 * does. */
enum st store_serial_at(struct store_reader *r, const char *device, int64_t t_ms,
                        char out[STORE_NOTE_BYTES], struct err *e) ST_MUST_CHECK;
/* When the receipt that acknowledges this batch was stored. ST_NOT_FOUND: there is none yet, or it
 * is not written yet, or has left the store with its batch. */
enum st store_receipt_of(struct store_reader *r, const char *uplink, int64_t id, int64_t *at_ms,
                         struct err *e) ST_MUST_CHECK;
/* What the store knows of one batch, but for its bytes; ST_NOT_FOUND. */
enum st store_batch_find(struct store_reader *r, const uint8_t *chain, uint64_t seq,
                         struct store_batch *out, struct err *e) ST_MUST_CHECK;
/* Whether this uplink has acknowledged the batch with this id. */
enum st store_batch_acked(struct store_reader *r, const char *uplink, int64_t id, bool *acked,
                          struct err *e) ST_MUST_CHECK;
/* The newest control batch with an id below `before` (0: of all); ST_NOT_FOUND. */
enum st store_control_before(struct store_reader *r, int64_t before, struct store_batch *out,
                             struct err *e) ST_MUST_CHECK;
/* As store_meta_get, for a reader. */
enum st store_reader_meta(struct store_reader *r, const char *key, struct buf *out,
                          struct err *e) ST_MUST_CHECK;
/* Whether a gateway runs on this store. Before any other call on the same file in this process. */
bool store_in_use(const char *path);
/* Copies the store at `path`, readings that wait to be sealed included, and beside it the sheets of
 * reports and the requests that wait, into one new file `to` with mode 0600, while its gateway may
 * run: no transaction is longer than a moment unless the store changes faster than it can be
 * copied. A gateway that starts on the copy begins a new chain, and puts sheets and requests back
 * beside it, where nothing lies in their place. ST_CONFLICT when `to` exists; on failure nothing is
 * left there. Any thread. */
enum st store_backup(const char *path, const char *to, struct err *e) ST_MUST_CHECK;

/* ---- charts -------------------------------------------------------------------------------- */

/* What a chart is drawn from: batches (every reading), or their rollups. Rollups of 15 min and 1
 * day are made of sealed batches, and kept for store.keep_rollups; days begin at midnight of Viet
 * Nam (UTC+7), as people there read them. */
enum store_chart_source { STORE_CHART_READINGS, STORE_CHART_15MIN, STORE_CHART_1DAY };
#define STORE_CHART_READINGS_MS (INT64_C(50) * 3600000) /* up to here a chart decodes batches … */
/* … while these have no more readings of all series together (seconds of work on a slow box), or it
 * is shorter than this; else it is made of quarters, which are read at once. */
#define STORE_CHART_READINGS_MAX 10000000
#define STORE_CHART_DETAIL_MS (INT64_C(6) * 3600000)
#define STORE_CHART_15MIN_MS (INT64_C(92) * 86400000) /* … and up to here reads quarters */
#define STORE_CHART_POINTS 2000
#define STORE_CHART_GAPS 1000

struct store_chart_ask {
    const char *device, *point;
    int64_t from_ms, to_ms; /* UTC, half-open */
    uint32_t points;        /* at most so many, 1 … STORE_CHART_POINTS */
};
/* All readings of one stretch, whatever their quality. */
struct store_chart_point {
    uint32_t count, good; /* 0: nothing was read; good: those with q == 0 */
    struct num min, max;  /* exact */
    struct num first, last;
    double mean; /* NaN: not to be told */
    /* Counters: how far it grew since the last reading of this chart before this stretch that
     * counts (the first such stretch: since its own first one), and how often it fell back, which
     * is not in it. NUM_NONE: no counter, or not known. */
    struct num grown;
    uint32_t resets;
};
struct store_chart_gap {
    int64_t from_ms, to_ms;
    enum store_cause cause;
};
struct store_chart {
    enum store_chart_source source; /* of the longest stretches */
    int64_t from_ms, step_ms;       /* point i covers [from_ms + i × step_ms, … + step_ms) */
    uint32_t n;
    struct store_chart_point *point;
    /* Where readings are drawn from batches: what is missing and why; in order, clipped. Cut: there
     * are more. Elsewhere a stretch without readings has count 0. */
    struct store_chart_gap *gap;
    uint32_t ngaps;
    bool gaps_cut;
    uint64_t batches, rows, bytes; /* read for it: batches decoded, rollups, bytes of both */
};
/* Reads a chart of one series. What it reads of sealed batches the reader keeps for the next one
 * (at most 1 MiB, the latest charts'). With rollups it begins at a whole slot at or before from_ms,
 * and a step is whole slots. What no rollup has yet comes from batches and the journal. Its
 * transactions last well below 1 s. ST_BAD: a mistake in the question; a series that the store does
 * not have gives a chart of nothing. Free with store_chart_done, also after a failure. */
enum st store_chart_read(struct store_reader *r, const struct store_chart_ask *ask,
                         struct store_chart *out, struct err *e) ST_MUST_CHECK;
void store_chart_done(struct store_chart *c);

#endif
