/* The store: where all stage rooms meet. A bounded queue takes polls in, one writer thread moves
 * them into the journal and into sealed batches, a board in RAM holds current values and health.
 * SQLite in WAL mode with synchronous=FULL; only this room knows it.
 *
 * Order of life: store_open, then store_add_* (one thread), then store_start; from then on the
 * calls below are free for any thread unless they say "writer" (the thread that runs store_step)
 * or "reader" (the thread that opened that reader). */
#ifndef GATEWAY_STORE_STORE_H
#define GATEWAY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/err.h"
#include "gateway/base/num.h"
#include "gateway/store/asked.h"
#include "gateway/wire/wire.h"
#include "sensors/quantity.h"

struct store;
struct store_reader;

struct store_cfg {
    char *path;
    int64_t max_size_bytes, keep_ms, journal_every_ms;
    int64_t keep_rollups_ms; /* 0: for ever */
};
extern const struct cfg_table store_cfg_table;

/* ---- what there is to read ---------------------------------------------------------------- */

/* What a device was up to and with a day (counted from 1970-01-01, in UTC+7), since the day of the
 * one before: all of it, also what has not changed. */
struct store_was {
    int32_t until_day;
    const char *stream, *role, *place; /* may be NULL */
    struct num capacity;
};
/* A device as the page and the plan know it. Strings are copied; all but id may be NULL. */
struct store_device {
    const char *id;
    const char *name, *place, *stream, *role, *serial;
    const char *source;  /* what it hangs on: bus id, or "connectivity" */
    const char *address; /* for people: "rs485-1 unit 3", "192.168.1.20:502 unit 7" */
    const char *model;   /* profile model, or the kind of probe */
    int64_t period_ms;   /* of its polls */
    bool legal;          /* bound by law: thinned last */
    bool learned;        /* it says itself what it measures: it may have other series some day */
    struct num capacity; /* of its container, in litres; NUM_NONE: not said */
    const struct store_was *was;
    uint32_t nwas;
};
struct store_limits {
    struct num low, high; /* NUM_NONE: no such limit */
};
struct store_series {
    uint32_t device; /* index from store_add_device */
    const char *point;
    const struct quantity *quantity;
    int64_t period_ms; /* 0: event driven, owes gaps only */
    int64_t phase_ms;  /* its polls are due so long after multiples of the period; below it */
    /* A person brings its readings (store_enter_of), which lie within these; NULL: nobody does. */
    const struct store_limits *manual;
};
/* Indices count up from 0. ST_CONFLICT for a name that exists. A device's series are added before
 * the next device. */
enum st store_add_device(struct store *s, const struct store_device *d, uint32_t *index,
                         struct err *e) ST_MUST_CHECK;
enum st store_add_series(struct store *s, const struct store_series *d, uint32_t *index,
                         struct err *e) ST_MUST_CHECK;
const char *store_gateway(const struct store *s); /* its id, as it was opened with */
uint32_t store_device_count(const struct store *s);
uint32_t store_series_count(const struct store *s);
const struct store_device *store_device_at(const struct store *s, uint32_t i);
const struct store_series *store_series_at(const struct store *s, uint32_t i);

/* ---- readings in --------------------------------------------------------------------------- */

/* Why a value is missing: the batch contract's causes, in its order. */
enum store_cause {
    STORE_OFF,
    STORE_BUS,
    STORE_DEVICE,
    STORE_OVERRUN,
    STORE_QUEUE,
    STORE_PAUSED,
    STORE_STORAGE,
    STORE_THINNED,
    STORE_CAUSES
};
extern const char *const store_cause_text[STORE_CAUSES];

struct store_value {
    struct num v;    /* NUM_NONE: missing, for the poll's cause */
    uint32_t series; /* of the poll's device */
    uint16_t q;      /* WIRE_Q_… */
};
/* One poll of one device: what came back, and what did not. A failed poll has only NUM_NONE
 * values (one per series that was due). Of an event-driven series it says that nothing could be
 * heard in [due_ms, t_ms). */
struct store_poll {
    uint32_t device;
    int64_t due_ms; /* the scheduled tick, same time base as t */
    int64_t t_ms;   /* when the response was complete, or the tick within tolerance */
    enum clk_grade grade;
    enum store_cause cause; /* of the missing ones: STORE_BUS or STORE_DEVICE, … */
    uint32_t n;             /* 1 … STORE_POLL_MAX */
};
#define STORE_POLL_MAX 1024

/* Copies the poll into the queue and updates the board. Waits at most wait_ms when the queue is
 * full (give one poll period), then drops this poll: ST_FULL, and its series get a gap `queue`.
 * ST_STOPPED once the store closes. */
enum st store_put(struct store *s, const struct store_poll *p, const struct store_value *v,
                  int64_t wait_ms) ST_MUST_CHECK;

/* Returns when all that this thread has put is durable: what its sender then may be told. On
 * failure nothing is lost or done twice: what was put stays queued, and is tried again by the next
 * commit. Any thread but the writer. */
enum st store_commit(struct store *s, struct err *e) ST_MUST_CHECK;

/* ---- the board: current values and health, in RAM ---------------------------------------- */

struct store_now {
    struct num v;        /* last value; NUM_NONE: never read since start */
    int64_t t_ms;        /* its own time */
    struct mono read_at; /* for its age */
    uint64_t count;      /* readings since start */
    uint16_t q;
    bool missing; /* the latest poll did not bring it */
    enum store_cause cause;
};
/* Copies the current values of `n` series from `first`. */
void store_board(struct store *s, uint32_t first, uint32_t n, struct store_now *out);

/* Overruns that follow each other within so long are one overload. */
static inline int64_t store_overrun_ms(int64_t period_ms)
{
    return period_ms < 250 ? 5000 : 20 * period_ms;
}

/* What the last requests to a device's unit brought: 400 at most, of half an hour at most; fewer
 * where it is well again since. */
struct store_heard {
    uint32_t asked, good, refused, silent, late, damaged, overlapped, foreign;
    uint32_t beside; /* answers with bytes beside them that nobody asked for */
    uint32_t answer_min_ms, answer_max_ms; /* of a request, not of a poll; 0: none was answered */
};
enum store_state { STORE_NEVER, STORE_GOOD, STORE_LATE, STORE_SILENT, STORE_FAULTY };
struct store_health {
    enum store_state state;
    char text[160];           /* what is wrong and what to do; "" when good */
    char says[160];           /* what it says of itself: firmware, states; "": nothing */
    int64_t since_ms;         /* UTC of the last change of state */
    uint64_t polls, failures; /* since start */
    uint32_t answer_ms;       /* of the last good poll */
    uint64_t lost_ms;         /* of its bus, with requests that brought nothing, since start */
    uint64_t ticks, overruns; /* since start; overruns: ticks whose turn never came */
    struct mono overrun_at;   /* the latest of these; 0: none */
    uint32_t overrun_run;     /* of these, each soon after the one before */
    /* For what the page says first; all live as long as the store is open, and may be NULL. */
    const char *why;   /* what text is about: a code of gateway/web/advice.def */
    const char *other; /* another device that it names */
    const char *order; /* its values are impossible, and would not be in this word order */
    struct store_heard heard;
};
void store_health_set(struct store *s, uint32_t device, const struct store_health *h);
void store_health_get(struct store *s, uint32_t device, struct store_health *out);

/* What is wrong with a bus as a whole, for people, in plain English. */
#define STORE_FINDINGS_MAX 8
struct store_finding {
    const char *code, *fault, *advice; /* live as long as the program */
    bool note;                         /* worth knowing, but nothing is wrong */
    int64_t since_ms;                  /* UTC */
    char devices[128], seen[256];      /* whom it is about; on which evidence */
    char also[128];                    /* advice for this very bus; "": none */
};
/* The findings of a bus; its first device stands for it. Takes memory with the first of them:
 * ST_MEMORY leaves what was there. */
enum st store_findings_set(struct store *s, uint32_t device, const struct store_finding *f,
                           size_t n) ST_MUST_CHECK;
size_t store_findings_get(struct store *s, uint32_t device,
                          struct store_finding out[STORE_FINDINGS_MAX]);

/* ---- events ------------------------------------------------------------------------------- */

enum store_severity { STORE_INFO, STORE_WARNING, STORE_ERROR };
struct store_event {
    int64_t id, t_ms;
    enum clk_grade grade;
    enum store_severity severity;
    char code[32];    /* stable word: "device.silent", "batch.refused", "start" */
    char subject[80]; /* device, uplink, batch */
    char text[256];
};
/* Queued (bounded; a full queue counts what it dropped and says so) and written by the writer with
 * the next journal commit. */
void store_event(struct store *s, enum store_severity sev, const char *code, const char *subject,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* For a tool beside the gateway: leaves the event, with a time and grade of its own, in the folder
 * STORE.told; the gateway on the store at `path` makes it one of its own within seconds, or when it
 * next starts, also where the store is not there yet. No line breaks in its texts. ST_FULL: too
 * many wait; ST_REFUSED: this user may not. */
#define STORE_TOLD ".told"
enum st store_tell(const char *path, const struct store_event *v, struct err *e) ST_MUST_CHECK;

/* Folder beside the store (the path and this) with a file for each sheet of a report that somebody
 * approved, and the name of one whose act was cut off (decision 0056). The store carries them in
 * its backup, and knows no more of them. */
#define STORE_SHEETS ".sheets"
#define STORE_SHEET ".sheet"
#define STORE_SHEET_NEW ".new"

/* ---- the page's certificate ----------------------------------------------------------------- */

/* Where the page and the uplink that is enrolled meet: files beside the store, mode 0600. What the
 * page asks the city's CA to sign: its names, with commas, in one line, and a PKCS#10 request in
 * base64 in the next. And what the city gave: certificates in PEM, the page's own first. */
#define STORE_PAGE_ASKED ".page.csr"
#define STORE_PAGE_GIVEN ".page.given"
#define STORE_PAGE_BYTES ((size_t)32 * 1024)

/* ---- the writer --------------------------------------------------------------------------- */

/* A poll that waits to be sealed. Writer only; valid until the next store_step or store_seal. */
struct store_frame {
    uint32_t device; /* UINT32_MAX: a device that the configuration no longer has */
    int64_t due_ms, t_ms;
    enum clk_grade grade;
    uint8_t boot[WIRE_ID_BYTES];
    enum store_cause cause;
    uint32_t n;           /* records in senml */
    const uint8_t *senml; /* n encoded records (no array head) */
    size_t senml_n;
    const uint32_t *got, *missed; /* series indices, ngot and nmissed of them */
    uint32_t ngot, nmissed;
    struct mono since; /* it has waited for the journal no longer than from here on */
};
/* What the kernel tells of the flash under the store. */
struct store_wear {
    char device[32];        /* "mmcblk0"; "": not known */
    int64_t capacity_bytes; /* 0: not known */
    int life_percent[2];    /* used up at most, of its two types of memory; over 100: more than its
                               life; -1: not said (SD cards do not) */
    int pre_eol; /* 0: not said, 1 normal, 2 warning (80 % of its spare blocks), 3 urgent */
};
/* Erase cycles that years are reckoned with where nobody knows better: a consumer card with three
 * bits a cell bears 500 to 1000, and this leaves nothing for what its controller adds. */
#define STORE_WEAR_CYCLES 500
/* A rate is told once it was watched for so long. */
#define STORE_RATE_MS INT64_C(3600000)
#define STORE_AUTONOMY_MAX_MS (INT64_C(3650) * 86400000)
struct store_figures {
    int64_t max_bytes;
    int64_t held_from_ms;                   /* UTC: the oldest time that a batch covers; 0: none */
    int64_t sealed_bytes, sealed_window_ms; /* within the last day, and how much of it was seen */
    /* how long the rest lasts at that rate, if no uplink takes anything, until readings must be
     * thinned; -1: not known yet; at most STORE_AUTONOMY_MAX_MS */
    int64_t autonomy_ms;
    int64_t thinned;                      /* steps of thinning since start */
    int64_t flash_bytes, flash_window_ms; /* written by this process; 0, 0: not known */
};
struct store_stats {
    int64_t batches_unsent;                 /* for the slowest required uplink */
    int64_t batches_held, readings_waiting; /* sealed in store; not yet sealed */
    int64_t queue_polls, queue_dropped;
    int64_t db_bytes;
    int64_t last_commit_ms; /* UTC of the last durable commit; 0: none since start */
    char fault[200];        /* "" or why nothing can be stored or sealed, and what to do */
    const char *fault_why;  /* what that is about: a code of gateway/web/advice.def, or NULL */
    struct store_figures figures; /* as of the last commit */
    struct store_wear wear;
    int64_t aside_sets, aside_bytes; /* dated files of damaged stores beside this one */
    bool rescuing;                   /* batches of a damaged store are being brought over */
};

/* Opens or creates the file, and beside it `<path>.journal` and `<path>.reserve`, runs migrations,
 * checks it. Messages say what to do (missing folder, permission, not a database, newer schema).
 * boot: this start's id. */
enum st store_open(struct store **out, const struct store_cfg *cfg, const char *gateway,
                   const struct clk *clk, struct err *e) ST_MUST_CHECK;
/* One without any file, for tools: it takes store_add_* and gives back what was added, no more. */
enum st store_open_declared(struct store **out, const char *gateway, struct err *e) ST_MUST_CHECK;
/* Ends the adding; reads back the journal. */
enum st store_start(struct store *s, struct err *e) ST_MUST_CHECK;
void store_close(struct store *s); /* commits nothing; the writer must have ended */
const uint8_t *store_boot(const struct store *s);
const char *store_path(const struct store *s); /* for store_reader_open */

/* Writer: runs calls of other threads, drains the queue into frames, commits the journal when it
 * is due (or when `flush`). A failed commit keeps everything in RAM, sets stats.fault and is tried
 * again. */
enum st store_step(struct store *s, bool flush, struct err *e) ST_MUST_CHECK;
/* Writer: when the journal wants its next commit. */
struct mono store_due(const struct store *s);
/* Writer: sleeps until there is work, or until `until`; a stop wakes it. */
void store_wait(struct store *s, struct mono until);
void store_stop(struct store *s); /* no more store_put; wakes the writer and the waiting */

/* Runs fn on the writer thread between two steps and waits for it: how other threads write. */
enum st store_call(struct store *s, enum st (*fn)(struct store *s, void *arg, struct err *e),
                   void *arg, struct err *e) ST_MUST_CHECK;

/* Writer, for seal. Frames in order of completion. */
size_t store_frames(struct store *s, const struct store_frame **frames);
/* Polls were queued that store_step has not made frames yet: a window must not say they are
 * missing.
 */
bool store_behind(const struct store *s);
/* Whether the frames near what can wait unsealed (failed polls take room too): seal now. */
bool store_crowded(const struct store *s);
/* What does not wait (urge.c): asks for a window that ends behind that time, which the caller has
 * put, and for its batch to go out before all others. Any thread. */
void store_urge(struct store *s, int64_t t_ms);
/* Writer, for seal: where such a window ends; 0: nothing urges. */
int64_t store_urged(const struct store *s);
/* For uplinks: the first batch behind this id that was sealed so since the start, of the last 16;
 * 0: there is none. Any thread. */
int64_t store_urgent_behind(struct store *s, int64_t after);
/* The latest end of any batch that the store holds; ST_NOT_FOUND when it holds none. */
enum st store_latest_end(struct store *s, int64_t *to_ms, struct err *e) ST_MUST_CHECK;

/* A chain, and where it stands. */
struct store_chain {
    uint8_t id[WIRE_ID_BYTES];
    uint64_t last_seq; /* 0: nothing sealed yet */
    uint8_t last_hash[WIRE_HASH_BYTES];
    int64_t last_to_ms;   /* end of its last batch */
    int64_t window_to_ms; /* where the next window begins: thinned batches do not move it */
    int last_clk;
    uint8_t last_boot[WIRE_ID_BYTES];
    uint8_t kid[WIRE_ID_BYTES];
    bool ended;  /* by store_chain_end or a `key` entry: the next seal begins another */
    bool forked; /* ended, as the city holds other batches of it */
    bool after;  /* follows another chain */
    uint8_t after_chain[WIRE_ID_BYTES];
    uint64_t after_seq;
    uint8_t after_hash[WIRE_HASH_BYTES];
};
/* Writer: the newest chain; ST_NOT_FOUND in a new store. */
enum st store_chain_last(struct store *s, struct store_chain *out, struct err *e) ST_MUST_CHECK;
/* Writer: the chain with this id; the one that was born behind it (NULL: the first of the store).
 * ST_NOT_FOUND. */
enum st store_chain_find(struct store *s, const uint8_t *chain, struct store_chain *out,
                         struct err *e) ST_MUST_CHECK;
enum st store_chain_behind(struct store *s, const uint8_t *chain, struct store_chain *out,
                           struct err *e) ST_MUST_CHECK;
/* Writer: ST_OK when every required uplink, of which there is one at least, has acknowledged that
 * batch, else ST_NOT_FOUND. */
enum st store_acknowledged(struct store *s, const uint8_t *chain, uint64_t seq,
                           struct err *e) ST_MUST_CHECK;
/* Writer: begins a chain (id, kid, after… given). */
enum st store_chain_begin(struct store *s, const struct store_chain *c,
                          struct err *e) ST_MUST_CHECK;

/* How far a data batch is thinned. The last two thin also what is kept longest: series of devices
 * that are bound by law or no longer configured, and event-driven ones. */
enum store_level {
    STORE_RAW,
    STORE_1MIN,
    STORE_15MIN,
    STORE_LAST_1MIN,
    STORE_LAST_15MIN,
    STORE_LEVELS
};
struct store_sealed {
    const uint8_t *chain; /* the newest chain */
    uint64_t seq;
    enum wire_kind kind;
    enum store_level level;
    int64_t from_ms, to_ms;
    int clk;
    uint64_t n; /* records */
    uint8_t hash[WIRE_HASH_BYTES];
    struct wire_span packed; /* zstd frame over the COSE bytes */
    const uint64_t *voided;  /* numbers of this chain that its void entries name */
    size_t nvoided;
    struct wire_span digested; /* n > 0: becomes STORE_META_DIGEST in the same transaction */
    /* The chain ends with this batch, whose `key` entry names the next chain's key: its id, kept as
     * STORE_META_KEY in the same transaction. NULL: it goes on. */
    const uint8_t *next_kid;
    bool again; /* readings of an earlier window once more: the next one does not begin behind it */
    const uint8_t *request; /* WIRE_ID_BYTES: what was asked for; NULL */
    const uint8_t *config;  /* WIRE_HASH_BYTES: becomes STORE_META_CONFIG; NULL */
    /* A reading whose author this control batch names: it is journalled, as a poll of its own that
     * waits to be sealed, in the same transaction. ST_FULL: too much waits. NULL. */
    const struct store_entered *entered;
};
/* A plan entry that a control batch carries: remembered as signed, in the same transaction. */
struct store_planned {
    const char *series, *quantity, *unit; /* quantity NULL: retired */
    int64_t period_ms, from_ms;
    bool said; /* in the newest chain; of store_planned_each only */
};
/* Writer: one transaction that stores the batch, drops `use` frames (use[i] says whether frame i
 * is folded into it; NULL: none) and keeps the rest in the journal. On failure nothing has
 * changed. */
enum st store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                   const struct store_planned *plan, size_t nplan, struct err *e) ST_MUST_CHECK;
struct store_batch; /* below, for readers */
/* Writer: the batch of that chain with the least number from seq on, its COSE bytes in *cose
 * (out->packed is not set). ST_NOT_FOUND: there is none. ST_CORRUPT: the one with number out->seq
 * cannot be read. */
enum st store_sealed_from(struct store *s, const uint8_t *chain, uint64_t seq,
                          struct store_batch *out, struct buf *cose, struct err *e) ST_MUST_CHECK;
/* For seal, before its first batch: windows are this long. Acknowledged batches leave when windows
 * of keep_ms in all stand behind them, whatever the date says. Without this call none is old. */
void store_windows(struct store *s, int64_t every_ms);
/* Writer, for seal: why nothing can be sealed now, "" when it can: shown as stats.fault. */
void store_seal_fault(struct store *s, const char *text);
/* Writer: the inventory as last signed, in byte order of the series: what the newest chain says,
 * and what one before it said and was never retired. */
enum st store_planned_each(struct store *s, void (*each)(void *ctx, const struct store_planned *p),
                           void *ctx, struct err *e) ST_MUST_CHECK;
/* The same for a reader. */
enum st store_due_each(struct store_reader *r,
                       void (*each)(void *ctx, const struct store_planned *p), void *ctx,
                       struct err *e) ST_MUST_CHECK;
/* Writer: whether the request with this id is sealed already. */
enum st store_request_done(struct store *s, const uint8_t id[WIRE_ID_BYTES], bool *done,
                           struct err *e) ST_MUST_CHECK;
/* Reader: a `correct` entry in force, by the text that is its id; the newest calibration of this
 * series (or device/STAR) that has no end. ST_NOT_FOUND. */
struct store_said {
    char series[WIRE_SERIES_BYTES];
    int64_t from_ms, to_ms; /* INT64_MAX: open */
};
enum st store_correction_find(struct store_reader *r, const char *id, struct store_said *out,
                              struct err *e) ST_MUST_CHECK;
enum st store_calibration_open(struct store_reader *r, const char *series, struct store_said *out,
                               struct err *e) ST_MUST_CHECK;
/* The newest calibration of the series or of the whole device ("device/STAR") that began at t_ms or
 * before (INT64_MAX: of all). */
enum st store_calibration_last(struct store_reader *r, const char *series, const char *device,
                               int64_t t_ms, struct store_said *out, struct err *e) ST_MUST_CHECK;
/* Writer: batches that an uplink was refused for ever and that no void entry names yet. */
struct store_refused {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    uint8_t hash[WIRE_HASH_BYTES];
    char code[32];
};
enum st store_refused_next(struct store *s, struct store_refused *out, struct err *e) ST_MUST_CHECK;
/* A batch whose readings are to be sealed once more, under a new number: the city has another one
 * under its own (409, code "conflict"), or a person asked for it (store_refused_again). */
struct store_again {
    int64_t id;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq, n;
    enum wire_kind kind;
    bool thinned;
    int64_t from_ms, to_ms;
    int64_t add_ms, err_ms; /* of the `time` entry that moves it; err 0: none */
    struct buf packed;      /* the caller's, to free */
};
/* Writer: the next of them; ST_NOT_FOUND. Those in conflict come once a newer chain has begun. */
enum st store_again_next(struct store *s, struct store_again *out, struct err *e) ST_MUST_CHECK;
/* Writer: one transaction that forgets the batch with this id and stores b in its place (NULL:
 * nothing). b's window does not move where the chain's next one begins. On failure nothing has
 * changed. */
enum st store_seal_again(struct store *s, const struct store_sealed *b, int64_t id,
                         struct err *e) ST_MUST_CHECK;
/* Small values that outlive a restart. */
#define STORE_META_MACHINE "machine-id" /* who writes the store; absent in a copy of it */
#define STORE_META_KEY "key"            /* WIRE_ID_BYTES: whom the last sealed `key` entry named */
#define STORE_META_CONFIG "config"      /* hash of the configuration that was sealed last */
#define STORE_META_PAGE "page"          /* where the page listens, when the system chose the port */
#define STORE_META_DIGEST "digest"      /* of seal: how far days are digested; empty: not known */
enum st store_meta_get(struct store *s, const char *key, struct buf *out,
                       struct err *e) ST_MUST_CHECK; /* ST_NOT_FOUND */
enum st store_meta_set(struct store *s, const char *key, const void *p, size_t n,
                       struct err *e) ST_MUST_CHECK;

/* The configuration as it was signed for the city (decision 0024). */
struct store_deposit {
    uint8_t about[WIRE_HASH_BYTES]; /* of the files in it */
    uint8_t chain[WIRE_ID_BYTES];   /* that was open when it was signed */
    int64_t when_ms;
    uint8_t sha256[WIRE_HASH_BYTES]; /* of the COSE bytes */
    struct buf packed;               /* zstd; of one that was got the caller's, to free */
};
/* Writer: takes the place of the one before. */
enum st store_deposit_keep(struct store *s, const struct store_deposit *d,
                           struct err *e) ST_MUST_CHECK;
enum st store_deposit_get(struct store *s, struct store_deposit *out,
                          struct err *e) ST_MUST_CHECK; /* ST_NOT_FOUND */
/* How often one was kept since the store was opened: a look is due when it has changed. Any thread.
 */
unsigned store_deposits(const struct store *s);
/* The same for a reader. */
enum st store_reader_deposit(struct store_reader *r, struct store_deposit *out,
                             struct err *e) ST_MUST_CHECK;

/* ---- times that were found later (times.c, restamp.c) -------------------------------------- */

/* Writer: the frames of that boot whose clock was unknown get their UTC: add_ms on top, grade
 * corrected, flag 128 instead of 64; *n of them. The file keeps them as they were until the next
 * store_seal writes the journal anew, so that a power cut finds each once, in one form or the
 * other: seal at once. On failure nothing has changed. */
enum st store_restamp(struct store *s, const uint8_t boot[WIRE_ID_BYTES], int64_t add_ms, size_t *n,
                      struct err *e) ST_MUST_CHECK;
/* Writer: what a sealed `time` entry adds to times since that boot, what the windows that it moves
 * cover (in UTC), and behind which batch of the newest chain no window is in UTC; ST_NOT_FOUND. */
struct store_offset {
    int64_t add_ms, err_ms, from_ms, to_ms;
    uint64_t utc_seq;
};
enum st store_boot_offset(struct store *s, const uint8_t boot[WIRE_ID_BYTES],
                          struct store_offset *out, struct err *e) ST_MUST_CHECK;
/* Starts of the program in one boot of the machine (clk_boot) whose time was unknown: what the next
 * start needs to tell it still. */
struct store_start {
    uint8_t boot[WIRE_ID_BYTES];
    uint64_t seq_from, seq_to; /* its batches in time since boot; 0: none is sealed */
    bool data;                 /* readings are among them */
    int64_t since_ms;          /* time since boot when it began */
    bool moved;                /* by a `time` entry, which adds: */
    int64_t add_ms;
};
#define STORE_STARTS 64
struct store_starts {
    bool same_boot; /* the machine has not booted since: its time since boot went on */
    size_t n;       /* in order; 0: there are none in the newest chain */
    struct store_start v[STORE_STARTS];
};
/* Writer: what store_starts_note kept, and what the newest chain says of it now. */
enum st store_starts_recall(struct store *s, struct store_starts *out, struct err *e) ST_MUST_CHECK;
/* Writer: keeps boot, seq_from and since_ms of these n starts, at most STORE_STARTS, in the place
 * of those before. A transaction of its own. */
enum st store_starts_note(struct store *s, const struct store_start *v, size_t n,
                          struct err *e) ST_MUST_CHECK;
/* For clk_real, before its first look: the newest known time in the store, and whether this boot of
 * the machine knew the time already. After store_start. */
enum st store_clock_recall(struct store *s, struct clk_past *out, struct err *e) ST_MUST_CHECK;
/* Writer: remembers it, when the clock is known and this is news. */
enum st store_clock_note(struct store *s, struct err *e) ST_MUST_CHECK;

/* Sealed data is never rewritten: `time` entries move it, `correct` entries take it back, scale it
 * or give it another name, `maintain` entries flag it; readers apply them all (batch.md rules 16
 * and 19, decision 0018). One reading of a store: */
struct store_times;
struct store_reader;
/* Loads what the store's control batches say; within store_reader_begin and _end it fits what the
 * reader sees. A store that no newer fieldpost has opened is scanned. */
enum st store_times_open(struct store_times **out, struct store_reader *r,
                         struct err *e) ST_MUST_CHECK;
void store_times_close(struct store_times *t);
/* What is added to the times of a batch (0: nothing moved it), and how far they may be off then. */
struct store_shift {
    bool moved;
    int64_t add_ms, err_ms;
};
struct store_shift store_times_of(const struct store_times *t, const uint8_t chain[WIRE_ID_BYTES],
                                  const uint8_t boot[WIRE_ID_BYTES], uint64_t seq);
/* Moves a reading of such a batch, turns its flag 64 into 128, and corrects it. false: it was taken
 * back. Its names may point into t then, until the next call. */
bool store_times_apply(struct store_times *t, struct store_shift shift, struct wire_reading *w);
/* A batch with a UTC window that ends this much before T may hold readings from T on. */
int64_t store_times_reach_ms(const struct store_times *t);
/* ---- when space runs short ---------------------------------------------------------------- */

/* Acknowledged batches go first (store_seal sees to it); what remains is unsent. */
enum store_space {
    STORE_ROOMY,
    STORE_TIGHT, /* nothing acknowledged is left to forget: unsent batches are to be thinned */
    STORE_SHORT, /* and until that is done no reading is sealed */
};
/* Writer: forgets what is acknowledged, as far as it must and a bounded number at a time, and says
 * how it stands then. */
enum st store_space(struct store *s, enum store_space *out, struct err *e) ST_MUST_CHECK;
/* A batch that a required uplink has not acknowledged and none has refused. */
struct store_unsent_batch {
    int64_t id;
    uint64_t seq;
    enum store_level level;
    uint64_t n;
    int64_t to_ms;
    int64_t add_ms, err_ms; /* of the `time` entry that moves it; err 0: none */
    uint8_t hash[WIRE_HASH_BYTES];
    struct buf packed; /* the caller's, to free */
};
/* Writer: the oldest unsent data batches of the newest chain behind *id that are not thinned to
 * this level yet: either one that is thinned already, or raw ones with numbers in a row, at most
 * max of them and STORE_THIN_READINGS readings unless one alone has more. The chain's newest raw
 * batch is never among them. *more: the row ends only there. ST_NOT_FOUND: none; ST_BUSY: none
 * among the next thousands, *id has moved on. */
#define STORE_THIN_READINGS 16384
enum st store_unsent_next(struct store *s, enum store_level level, int64_t *id,
                          struct store_unsent_batch *out, size_t max, size_t *n, bool *more,
                          struct err *e) ST_MUST_CHECK;
/* Writer: one transaction that forgets the batches seq_from to seq_to of the newest chain and
 * stores these n that stand for them (a void entry and thinned values), in order. On failure
 * nothing has changed. */
enum st store_seal_thinned(struct store *s, const struct store_sealed *b, size_t n,
                           uint64_t seq_from, uint64_t seq_to, struct err *e) ST_MUST_CHECK;
/* ---- how the run before ended (run.c) ------------------------------------------------------ */

struct store_last_run {
    bool cut;        /* it never said that it stops: power, or somebody killed it */
    int64_t life_ms; /* UTC of its last sign of life; 0: not known */
};
/* Before the writer runs, and before this run's event `start`. ST_OK also when there was none. */
enum st store_last_run(struct store *s, struct store_last_run *out, struct err *e) ST_MUST_CHECK;
/* ---- damage -------------------------------------------------------------------------------- */

/* store_open sets files aside that are damaged, under dated names beside them, and begins a new
 * database; what is readable follows in bounded parts of store_step. The chains of the damaged
 * store are ended; the next begins behind the newest of them. */

/* Writer: whether the chain to follow is not known yet: a rescue runs, or the city may still tell.
 * Nothing is sealed meanwhile, unless the frames crowd. */
bool store_unsettled(struct store *s);
/* Writer: the cause of what is missing before this start: STORE_STORAGE after damage, else
 * STORE_OFF; and that a sealed window has said so. */
enum store_cause store_silence(struct store *s);
enum st store_silence_told(struct store *s, struct err *e) ST_MUST_CHECK;
/* Writer: a time of which batches were lost; ST_NOT_FOUND. It comes again until it is told. */
enum st store_hole_next(struct store *s, int64_t *from_ms, int64_t *to_ms,
                        struct err *e) ST_MUST_CHECK;
enum st store_hole_told(struct store *s, struct err *e) ST_MUST_CHECK;
/* Writer: the key that proves rescued batches where their hash is lost; borrowed until NULL. */
void store_key(struct store *s, const struct wire_pub *pub);
/* Any thread: damage was met while it ran. Close the store and open it again. */
bool store_damaged(struct store *s);

/* The chain of the box that this one replaces: a note beside a store that is not there yet, which
 * store_start takes. The first chain then follows that one, and its first window begins at to_ms,
 * the end of the other's last (0: not known). */
#define STORE_FOLLOWS ".follows"
struct store_follows {
    uint8_t chain[WIRE_ID_BYTES], hash[WIRE_HASH_BYTES];
    uint64_t seq;
    int64_t to_ms;
};
enum st store_follows_write(const char *store_path, const struct store_follows *f,
                            struct err *e) ST_MUST_CHECK;

/* What the city's signed head says of this gateway's chains: each without a hole up to `through`,
 * the ranges that are missing behind, and the numbers whose link does not fit the batch before.
 * Acknowledges what the city is proven to hold (our hash at the end of its prefix, and no broken
 * link down from there), takes back what it does not hold, and tells a store that lost its chain
 * what to follow. Writes nothing when nothing is new. `all`: there are no other chains. Any thread.
 */
struct store_held {
    const uint8_t *chain;
    uint64_t through_seq; /* 0: nothing */
    const uint8_t *through_hash;
    const uint64_t (*missing)[2];
    size_t nmissing;
    const uint64_t *broken;
    size_t nbroken;
};
struct store_lacks { /* what this head took back */
    int64_t batches; /* the store has them: they are unsent again */
    int64_t gone;    /* numbers that it has not: left it, or given up */
    int64_t last_id; /* no batch behind this id was taken back */
};
enum st store_city_holds(struct store *s, uint32_t uplink, const struct store_held *v, size_t n,
                         bool all, struct store_lacks *lacks, struct err *e) ST_MUST_CHECK;

/* What people ask for: asked.h. */

/* ---- what was done to a device (works.c): for collect, any thread but the writer ------------ */

/* How often a `maintain` entry was sealed since start, counted so that a change says: ask again.
 * Any thread, at once; those below wait for the writer. */
uint64_t store_works(struct store *s);
#define STORE_NOTE_BYTES 128
struct store_work {
    int64_t at_ms;
    char serial[STORE_NOTE_BYTES]; /* the new one; "": it names none */
    struct num last, first;        /* of a series */
};
/* The newest entry that says what was changed. point NULL: of the device or any of its series, that
 * names the new serial number; else the newest change of a meter of this series. ST_NOT_FOUND. */
enum st store_work_last(struct store *s, const char *device, const char *point,
                        struct store_work *out, struct err *e) ST_MUST_CHECK;
/* A short text that is kept over restarts, of a kind ("serial", "counter") and a device or series;
 * "": none. Writes a transaction: for what changes seldom. */
enum st store_note_set(struct store *s, const char *kind, const char *name, const char *text,
                       struct err *e) ST_MUST_CHECK;
/* Tells each note of that kind, on the writer's thread: `each` must be short. */
enum st store_notes_each(struct store *s, const char *kind,
                         void (*each)(void *ctx, const char *name, const char *text), void *ctx,
                         struct err *e) ST_MUST_CHECK;
/* Asks for a `meter` entry of the series, in the gateway's own name: it went on from `first` at
 * at_ms, where it would have shown `last`. Writes a file; ST_FULL: too many wait. */
enum st store_meter_rolled(struct store *s, const char *device, const char *point, int64_t at_ms,
                           struct num last, struct num first, struct err *e) ST_MUST_CHECK;

/* ---- for uplinks -------------------------------------------------------------------------- */

/* Names an uplink before store_start; index counts from 0. */
enum st store_add_uplink(struct store *s, const char *id, bool required, uint32_t *index,
                         struct err *e) ST_MUST_CHECK;
/* Acknowledge (with the whole prefix when prefix is set) or refuse for ever. Any thread: they go
 * through the writer. A refusal and the acknowledgement of many batches return when they are
 * committed; the acknowledgement of a few is written with the next seal or, without one, ten
 * minutes later: a power cut before costs a second sending. */
enum st store_ack(struct store *s, uint32_t uplink, const uint8_t *chain, uint64_t seq, bool prefix,
                  struct wire_span receipt, struct err *e) ST_MUST_CHECK;
/* The same for a prefix in which the store holds at most n batches that are not acknowledged yet:
 * those of a run, each accepted under its own hash. ST_CONFLICT when it holds more: nothing has
 * changed, for what was never sent may be another batch there than here. */
enum st store_ack_run(struct store *s, uint32_t uplink, const uint8_t *chain, uint64_t seq,
                      int64_t n, struct wire_span receipt, struct err *e) ST_MUST_CHECK;
/* Returns when all that store_ack was told is committed. */
enum st store_ack_flush(struct store *s, struct err *e) ST_MUST_CHECK;
enum st store_refuse(struct store *s, uint32_t uplink, const uint8_t *chain, uint64_t seq,
                     const char *code, struct err *e) ST_MUST_CHECK;
/* Asks for the readings of a batch that was refused for ever to be sealed once more. ST_NOT_FOUND:
 * the store holds no such batch; ST_BUSY: it is not given up in its chain yet. Any thread. */
enum st store_refused_again(struct store *s, const uint8_t *chain, uint64_t seq,
                            struct err *e) ST_MUST_CHECK;
/* Ends the newest chain: the next seal begins another (answer 409). */
enum st store_chain_end(struct store *s, const uint8_t *chain, struct err *e) ST_MUST_CHECK;
/* Waits until a batch may be there that has not been sent, or ms passed. */
void store_wait_sealed(struct store *s, int64_t ms);

#include "gateway/store/budget.h"
#include "gateway/store/partial.h" /* what indicators came to */
#include "gateway/store/read.h"    /* what readers see */

#endif
