/* Rollups, private to the store: what a quarter of an hour and a day of a series come to.
 *
 * A rollup (struct store_roll) says of all readings of a series in a slot, as sealed and whatever
 * their quality: how many, how many of them plainly good (q == 0), the least, the greatest, the
 * first, the last, the mean. Of a counter (struct quantity) also how far it grew: the sum of its
 * rises from reading to reading in the order of their times. A fall is a reset or a rollover, which
 * nobody can tell apart afterwards: it is counted, and what was lost in it is not guessed, unless a
 * `maintain` entry says that the meter was changed, where the two ended and began. Readings
 * that are outside their limits, faulty or from a calibration count for nothing in a difference.
 * A slot's own growth is that between its own readings; what lies between two slots is added where
 * they are joined, from the trusted ends of both.
 *
 * Quarters begin at multiples of 15 minutes of UTC. Days are those people read: they begin at
 * midnight of Viet Nam (UTC+7, no summer time), which is a quarter's begin as well.
 *
 * In the file a row holds one slot of up to STORE_ROLL_GROUP series, those whose number in table
 * `series` has the same upper bits: rows are only ever added at the end (key: slot, then group).
 * Its bytes are zstd over CBOR, an array:
 *   [1, present, [count], [not good], [form], [min], [max], [first], [last], [mean],
 *    [grown], [resets], [from], [to]]
 * present: a byte string, bit i (of byte i / 8, from the lowest) for series i of the group; the
 * lists have one item for each bit that is set, the last four one for each form with 32 in it.
 * form: 0 … 24 is the number of decimals of all values of that series, 25 says binary64; 32 is
 * added when its growth is known. With decimals min is an integer, max, first and last are how much
 * they lie above it, mean is (sum - count × min) and exact, or a float in whole units when that
 * does not fit, in a list of its own; grown, from and to are integers. With binary64 they are
 * numbers, mean is how much it lies above min (as a single; null when there is none). from and to
 * are null where they equal first and last. */
#ifndef GATEWAY_STORE_ROLLUP_INT_H
#define GATEWAY_STORE_ROLLUP_INT_H

#include "gateway/store/store_int.h"

#define STORE_QUARTER_MS INT64_C(900000)
#define STORE_DAY_MS INT64_C(86400000)
#define STORE_DAY_ZONE_MS (INT64_C(7) * 3600000) /* local midnight is this much before UTC's */
#define STORE_ROLL_GROUP 128
#define STORE_ROLL_GROUP_BITS 7
#define STORE_ROLL_BLOB_MAX (64 * 1024)          /* of one row, unpacked */
#define STORE_KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from a boot */

enum store_span { STORE_QUARTER, STORE_DAY };
static inline int64_t store_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}
static inline int64_t store_slot_of(enum store_span span, int64_t t_ms)
{
    return span == STORE_DAY ? store_floor_div(t_ms + STORE_DAY_ZONE_MS, STORE_DAY_MS)
                             : store_floor_div(t_ms, STORE_QUARTER_MS);
}
static inline int64_t store_slot_ms(enum store_span span, int64_t slot)
{
    return span == STORE_DAY ? slot * STORE_DAY_MS - STORE_DAY_ZONE_MS : slot * STORE_QUARTER_MS;
}

/* ---- roll.c: one rollup ---- */

union store_roll_value {
    int64_t i; /* in 10^-scale */
    double f;  /* scale STORE_ROLL_FLOAT */
};
#define STORE_ROLL_FLOAT 25
struct store_roll {
    union store_roll_value min, max, first, last;
    union store_roll_value from, to; /* counters: the first and the last trusted reading */
    union store_roll_value grown;
    double sum; /* in 10^-scale too */
    uint32_t count, good;
    uint32_t first_ms, last_ms, to_ms; /* of the slot; while readings are added */
    uint32_t resets;
    uint8_t scale;
    bool counter;    /* a trusted reading of a counter is in it */
    bool disordered; /* a counter's readings did not come in order: grown is not known */
};
/* Whether a counter's reading may be a step; a doubtful one may be anything. */
static inline bool store_roll_trusts(uint32_t q)
{
    return !(q & (WIRE_Q_LIMITS | WIRE_Q_FAULT | WIRE_Q_CALIBRATING));
}
/* Adds a reading that lies at_ms into the slot. An empty rollup is all zero. */
void store_roll_add(struct store_roll *r, uint32_t at_ms, struct num v, uint32_t q, bool counter);
/* Counts a trusted reading that was added as if of no counter. */
void store_roll_count(struct store_roll *r, uint32_t at_ms, struct num v);
/* A meter was changed behind the last trusted reading: the old one ended at `last`, the new one
 * began at `first`. r is not empty. And the same before the first one. */
void store_roll_change(struct store_roll *r, uint32_t at_ms, struct num last, struct num first);
void store_roll_change_before(struct store_roll *r, struct num last, struct num first);
/* Adds all of `next`, which is later. */
void store_roll_merge(struct store_roll *r, const struct store_roll *next);
/* Adds to grown and resets what lies between `before` and r. */
void store_roll_join(const struct store_roll *before, struct store_roll *r);
struct num store_roll_num(const struct store_roll *r, union store_roll_value a);
double store_roll_mean(const struct store_roll *r);
/* Takes the growth anew, with store_roll_count, from readings in order of time. */
void store_roll_restart(struct store_roll *r);
struct store_counted {
    int64_t t_ms;
    uint32_t series, order;
    struct num v;
};

/* ---- roll_blob.c: the bytes of a row ---- */

/* Appends the raw bytes of a group to out; those with count 0 are absent. */
enum st store_rolls_encode(const struct store_roll r[STORE_ROLL_GROUP], struct buf *out,
                           struct err *e);
/* Reads raw bytes back, all series or (only >= 0) one of them into out[0]; those that are absent
 * have count 0. Refuses (ST_CORRUPT) whatever store_rolls_encode cannot have written. */
enum st store_rolls_decode(const void *p, size_t n, int only, struct store_roll *out,
                           struct err *e);

/* ---- rollup_db.c: rows ---- */

/* Where `time` entries of the chain plug in: whether the times of this batch count from 1970, and
 * what is to be added to each. */
struct store_moved {
    bool known;
    int64_t add_ms, err_ms; /* of an entry; err 0: none */
};
enum st store_batch_moved(struct store_db *d, int64_t id, int64_t from_ms, struct store_moved *out,
                          struct err *e);

/* Batches between the two may be moved and not be in rollup_late yet; INT64_MAX: none. */
enum st store_moved_pending(struct store_db *d, int64_t *first, int64_t *last, struct err *e);

/* The batches of a quarter: first … first + past, `n` of them in the store then, and `late` ones
 * of table rollup_late. */
struct store_sources {
    int64_t first, past, n, late;
};
static inline int64_t store_roll_key(int64_t slot, uint32_t group)
{
    return slot << 16 | group;
}
#define STORE_ROLL_GROUPS 65536

/* The next row of a group from *slot on, before `end`, unpacked into raw; *slot becomes its own.
 * ST_NOT_FOUND, ST_CORRUPT. */
enum st store_rolls_next(struct store_db *d, enum store_span span, uint32_t group, int64_t *slot,
                         int64_t end, struct buf *raw, struct err *e);
/* How far the job got: `slot` is open (all before it are done), -1 when there was none yet. */
struct store_roll_progress {
    int64_t slot, done, seen; /* batches up to done are in; those up to seen were looked at */
};
enum st store_roll_progress_get(struct store_db *d, struct store_roll_progress *out, struct err *e);
/* Unpacks the bytes of a sealed batch into `cose`, whose content it replaces; ST_CORRUPT when they
 * are not those that were sealed (with hash; NULL: not asked). */
enum st store_batch_bytes(struct store_db *d, int64_t id, const uint8_t *hash, struct buf *cose,
                          struct err *e);

/* ---- fixes.c, meters.c: what people said of sealed readings ---- */

struct store_names;
struct store_rolls;

/* What a `correct` entry does to a series by its number, or (calibrates) that its readings count as
 * calibrating. A slot applies those of so many entries, which are more than anyone has signed for
 * it; an event says when there are more. */
#define STORE_FIXES_MAX 1024
struct store_fix {
    uint32_t number, to; /* and that of the name that it gets */
    int64_t from_ms, to_ms;
    bool calibrates;
    struct wire_fix f;
};
/* A meter that was changed. What lies between two readings goes over the change: to `last`, and on
 * from `first`. */
struct store_meter {
    uint32_t number;
    int64_t at_ms;
    struct num last, first;
    bool done;
};
/* Those within a time, of one series (NULL: of all), in order; to be freed. */
enum st store_meters_of(struct store_db *d, const struct store_names *names, const char *series,
                        int64_t from_ms, int64_t to_ms, struct store_meter **out, uint32_t *n,
                        struct err *e);
/* Applies those of a series that lie between two readings of the slot: behind the last trusted one
 * of r, up to at_ms within the slot. */
void store_meters_apply(const struct store_rolls *x, uint32_t number, struct store_roll *r,
                        uint32_t at_ms);
/* Before its rows are made: those behind the last readings of the slot. */
enum st store_meters_end(struct store_rolls *x, struct err *e);
/* For a chart, each change once: those before a rollup of [from_ms, to_ms), which has those within
 * it; those up to a reading at t_ms that r counts next. */
void store_meters_before(struct store_meter *m, uint32_t n, struct store_roll *r, int64_t from_ms,
                         int64_t to_ms);
void store_meters_until(struct store_meter *m, uint32_t n, struct store_roll *r, int64_t t_ms);
/* The same for a chart: and the series whose readings may be of it, itself the first. */
struct store_chart_fixes {
    struct wire_fixes *fixes;
    char (*source)[WIRE_SERIES_BYTES];
    size_t n;
};
/* Loads those within a time; to be closed also after a failure. */
enum st store_chart_fixes_open(struct store_chart_fixes *x, struct store_db *d, const char *series,
                               int64_t from_ms, int64_t to_ms, struct err *e);
/* The two parts of the name of source i. */
void store_chart_source(const struct store_chart_fixes *x, size_t i, struct wire_span *device,
                        struct wire_span *point);
void store_chart_fixes_close(struct store_chart_fixes *x);
/* What it is in the end; false: no reading of the series. */
bool store_chart_fixes_apply(struct store_chart_fixes *x, struct wire_reading *r);

/* ---- names.c: the numbers of series ---- */

struct store_names {
    struct store *s;
    struct store_name {
        char *text;       /* NULL: of the configured series `ser` */
        uint32_t ser;     /* UINT32_MAX: the configuration has it no more */
        int32_t quantity; /* index into quantity_table; -1: not known */
    } * of;
    uint32_t n, cap, saved; /* those from `saved` on are not in the file yet */
    uint32_t *number;       /* of each configured series, + 1; 0: none yet */
    /* Where the last one stood: what comes next is likely. */
    uint32_t device, next, old;
};
enum st store_names_open(struct store_names *x, struct store *s, struct err *e);
void store_names_close(struct store_names *x);
/* A poll of that device begins: its records follow. */
void store_names_device(struct store_names *x, struct wire_span device);
/* The number of a record's series, or of a configured one; a new name gets the next one. ST_FULL,
 * ST_MEMORY. */
enum st store_names_find(struct store_names *x, const struct wire_skimmed *w, uint32_t *number,
                         struct err *e);
enum st store_names_of(struct store_names *x, uint32_t ser, uint32_t *number, struct err *e);
/* The number of "device/point", which gets the next one when it has none; moves nothing of where
 * the last one stood. */
enum st store_names_number(struct store_names *x, struct wire_span series, uint32_t *number,
                           struct err *e);
/* Its name; in buf, where it must be put together. */
const char *store_names_get(const struct store_names *x, uint32_t number,
                            char buf[WIRE_SERIES_BYTES]);
/* The number of "device/point"; ST_NOT_FOUND. */
enum st store_names_text(const struct store_names *x, const char *text, uint32_t *number);
bool store_names_counter(const struct store_names *x, uint32_t number);
/* Inside a transaction: writes the new ones. */
enum st store_names_write(struct store_names *x, struct err *e);

/* ---- rollup_read.c: the readings of a batch, and rollups of one slot in the making ---- */

struct store_rollup_reading {
    uint32_t number;
    int64_t t_ms; /* UTC */
    struct num v;
    uint32_t q;
    int64_t batch;
};
typedef enum st store_rollup_each(struct store *s, const struct store_rollup_reading *x,
                                  struct err *e);
/* A batch of the store, unpacked into s->rollup->cose; with hash (NULL: not asked) ST_CORRUPT when
 * its bytes are not those that were sealed. */
enum st store_rollup_load(struct store *s, int64_t id, const uint8_t *hash, struct wire_batch *b,
                          struct err *e);
void store_rollup_unload(struct store *s, struct wire_batch *b);
/* Its readings, add_ms on top of their times; takes their number from *left. ST_CORRUPT: it is
 * damaged, and each() may have seen some of it. */
enum st store_rollup_pass(struct store *s, const struct wire_batch *b, int64_t id, int64_t add_ms,
                          store_rollup_each *each, int64_t *left, struct err *e);
/* All of it, with what the latest `time` entry adds; none of one whose times are not known. */
enum st store_rollup_readings(struct store *s, int64_t id, int64_t from_ms, const uint8_t *hash,
                              store_rollup_each *each, int64_t *left, struct err *e);
/* The readings of these frames, which are batch id's. */
enum st store_rollup_frames(struct store *s, const bool *use, int64_t id, store_rollup_each *each,
                            struct err *e);

/* Rollups of one slot in the making, by number; each as narrow as can be, for there are thousands:
 * what only counters have stands apart. */
struct store_rolls {
    int64_t slot;
    struct store_cell {
        union store_roll_value min, max, first, last;
        double sum;
        uint32_t count, good, first_ms, last_ms;
        uint32_t growth; /* index + 1; 0: none */
        uint8_t scale;
        bool counts; /* of a counter; once count is not 0 */
    } * cell;
    struct store_growth {
        union store_roll_value from, to, grown;
        uint32_t to_ms, resets;
        bool counter, disordered;
    } * growth;
    uint32_t n, cap, ngrowth, growth_cap;
    uint32_t cap_wanted; /* of all that is configured */
    bool any, disordered;
    int64_t first, last;   /* batches with readings of it; 0: none */
    struct store_fix *fix; /* what entries say of the slot, read with its first reading */
    uint32_t nfix;
    struct store_meter *meter; /* the changes of meters in it */
    uint32_t nmeter;
    bool asked;
};
void store_rolls_get(const struct store_rolls *x, uint32_t number, struct store_roll *out);
enum st store_rolls_set(struct store_rolls *x, uint32_t number, const struct store_roll *r,
                        struct err *e);
enum st store_rolls_room(struct store_rolls *x, uint32_t number, struct err *e);
void store_rolls_clear(struct store_rolls *x, int64_t slot);
void store_rolls_done(struct store_rolls *x);
/* Adds a reading of x->slot as it is in the end, unless it was taken back. */
enum st store_rolls_add(struct store *s, struct store_rolls *x,
                        const struct store_rollup_reading *w, struct err *e);
/* Reads these entries anew. */
enum st store_rolls_ask(struct store *s, struct store_rolls *x, struct err *e);
/* What they make of a reading; false: it was taken back. */
bool store_fixes_apply(const struct store_rolls *x, struct store_rollup_reading *r);

/* ---- rollup.c, rollup_redo.c, rollup_place.c, rollup_write.c: the job, on the writer thread ----
 */

/* What the next seal writes. No more work is taken up from so many on; what was begun ends. */
#define STORE_ROLL_READY_ROWS 64
#define STORE_ROLL_READY_MARKS 1024
struct store_roll_row {
    enum store_span span;
    int64_t key;
    struct store_sources from; /* quarters */
    size_t at, n;              /* in bytes */
};
enum store_roll_marks {
    STORE_ROLL_CLEAR, /* the slot's rows go, before new ones come */
    STORE_ROLL_CLEAN, /* it need not be computed again */
    STORE_ROLL_LATE,  /* batch has readings of it, which is done */
    STORE_ROLL_DIRTY, /* it must be computed again */
    STORE_ROLL_MARKS
};
struct store_roll_mark {
    enum store_roll_marks what;
    int64_t slot; /* a row of rollup_dirty */
    int64_t batch;
};
#define STORE_ROLL_COUNTED 65536 /* readings of counters out of order in one slot */
struct store_rollup {
    struct store_names names;
    struct store_roll_progress at;
    struct store_rolls open;
    /* Of the walk: its last batch; the last before any with readings of a later slot; the least of
     * these slots, INT64_MAX: none. */
    int64_t cursor, consumed, later;
    /* A quarter that is computed again. */
    struct store_rolls redo;
    struct store_sources sources;
    int64_t late_was; /* of its row */
    bool redoing, in_late;
    int64_t redo_cursor, dirty_cursor;
    struct store_counted *counted; /* the second pass: readings of disordered counters */
    uint32_t ncounted;
    bool recount;
    /* A day in the making: its next group. */
    int64_t day;
    uint32_t group;
    bool in_day;
    struct store_roll_row *row;
    size_t nrows, row_cap;
    struct store_roll_mark *mark;
    size_t nmarks, mark_cap;
    /* What an entry said of sealed readings and is not worked off yet: the row of the file that
     * says so, and the one that it becomes. */
    int64_t todo_row, todo;
    bool placing, place_late;
    bool given_up; /* said once, until all is done */
    struct buf bytes, cose, raw;
    struct wire_zstd *zstd;  /* while a turn makes rows */
    int64_t newest_at_start; /* batches up to here may have been damaged since they were sealed */
    int64_t newest;          /* the last raw or control batch */
    uint64_t idle_since;     /* s->seals when nothing was left to do */
    struct mono retry;
    bool broken; /* said once */
};
/* Rows of table rollup_dirty: quarters as they are, days + 2^40; below zero what entries left to
 * do:
 * -(batch): the batches from this one on, as far as `time` entries that name it go, are to be
 * looked at again; from STORE_DIRTY_RANGE to its half: a quarter and another (24 bits each), all
 * between which are to be marked, for a `correct` entry. */
static inline int64_t store_dirty_id(enum store_span span, int64_t slot)
{
    return ((int64_t)span << 40) + slot;
}
#define STORE_DIRTY_DAYS (INT64_C(1) << 40)
#define STORE_DIRTY_RANGE (INT64_MIN + 1)
#define STORE_DIRTY_SLOT_BITS 24
enum st store_rollup_open(struct store *s, struct err *e);
void store_rollup_close(struct store *s);
/* A bounded piece of work: at most STORE_ROLL_TURN readings, or one batch. What it finds rides in
 * the next seal's transaction. Its failures are its own: it says them once and tries again. */
#define STORE_ROLL_TURN 8192
void store_rollup_step(struct store *s);
/* The same for a slot that is to be computed again, or for a day: ST_NOT_FOUND when there is
 * none. `left` counts down. */
enum st store_rollup_redo(struct store *s, int64_t *left, struct err *e);
/* Keeps the rows of a quarter, or one row, for the next seal. */
enum st store_rollup_keep(struct store_rollup *r, const struct store_rolls *x,
                          const struct store_sources *from, struct err *e);
enum st store_rollup_keep_group(struct store_rollup *r, enum store_span span, int64_t key,
                                const struct store_roll group[STORE_ROLL_GROUP],
                                const struct store_sources *from, struct err *e);
/* Whether rows of that quarter are kept for a seal: the file does not tell of them yet. */
bool store_rollup_is_new(const struct store_rollup *r, int64_t slot);
enum st store_rollup_mark(struct store_rollup *r, enum store_roll_marks what, int64_t slot,
                          int64_t batch, struct err *e);
/* After a failure: whatever is computed again starts over. */
void store_rollup_forget(struct store_rollup *r);
/* Inside the transaction of a seal, when control batch id was noted (store_times_note): what its
 * entries leave to do. */
enum st store_rollup_noted(struct store *s, int64_t id, struct err *e);
/* Takes up such a row; a bounded piece of what it asks. */
void store_rollup_place_begin(struct store_rollup *r, int64_t row);
enum st store_rollup_place(struct store *s, int64_t *left, struct err *e);
/* Starts the open slot over: what is in it was not seen whole. */
void store_rollup_reopen(struct store_rollup *r);
/* Inside the transaction of a seal; `written` after its commit. */
enum st store_rollup_write(struct store *s, struct err *e);
void store_rollup_written(struct store *s);
/* After the commit of a raw or control batch and before its frames go: takes the readings from them
 * when all before it are in, which spares unpacking the batch. Not while batches are rescued, which
 * come in no order. */
void store_rollup_sealed(struct store *s, const struct store_sealed *b, int64_t id,
                         const bool *use);

#endif
