/* Private to the store. */
#ifndef GATEWAY_STORE_STORE_INT_H
#define GATEWAY_STORE_STORE_INT_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "gateway/base/thr.h"
#include "gateway/store/store.h"

#define STORE_QUEUE_BYTES (512 * 1024)       /* of polls, twice: filling and draining */
#define STORE_SENML_BYTES (4 * 1024 * 1024)  /* of encoded records that wait to be sealed */
#define STORE_SENML_MORE (8 * STORE_FRAMES)  /* room for times that grow, see store_restamp */
#define STORE_INDICES (512 * 1024)           /* of got and missed series in these */
#define STORE_FRAMES 65536                   /* polls that wait to be sealed */
#define STORE_BLOB_MAX (64 * 1024 * 1024)    /* all frames, each missed point with its name */
#define STORE_JFILE_BYTES (32 * 1024 * 1024) /* of the journal's file; a full one is sealed */
#define STORE_PARKED 32                      /* acknowledgements that wait for the next commit */
#define STORE_EVENTS_QUEUED 64
#define STORE_EVENTS_KEPT 10000
/* How max_size is shared out; what these leave is the reserve's. */
#define STORE_FILE_PERCENT 83  /* the database */
#define STORE_SEAL_PERCENT 79  /* no more readings go in; acknowledgements still fit */
#define STORE_EVENT_PERCENT 81 /* events wait, too: what is left is for acknowledgements alone */
#define STORE_CROWDED_PERCENT                                                                      \
    74 /* acknowledged history goes before its age, the rest is thinned                            \
        */
#define STORE_WAL_PERCENT 10
#define STORE_JFILE_PERCENT 5
/* The writer's patience with another program's lock, where the next turn tries again: a stop must
 * not wait for several of them. */
#define STORE_BUSY_MS 500
#define STORE_UPLINKS 8
#define STORE_SEQ_BITS 40 /* batch.id = chain.id << 40 | seq */

/* ---- db.c: the only file that prepares statements by hand ---- */

enum store_sql {
#define STORE_SQL(id, text) id,
#include "gateway/store/sql.def"
#undef STORE_SQL
    STORE_SQLS
};
struct store_db {
    sqlite3 *h;
    sqlite3_stmt *stmt[STORE_SQLS]; /* prepared at first use */
    char *path;
    int lock;             /* -1: none */
    int full;             /* ENOSPC or EDQUOT since the reserve looked; 0: neither */
    int64_t wal_bytes;    /* at which the WAL is folded into the file */
    atomic_bool *suspect; /* set when SQLite meets damage; may be NULL */
    bool unread;          /* the storage has refused a read */
};
enum st store_db_open(struct store_db *d, const char *path, bool readonly, struct err *e);
void store_db_close(struct store_db *d);
enum st store_db_migrate(struct store_db *d, struct err *e);
int store_db_version(void); /* that migrating leads to */
/* Takes off what a message of the store tells a technician to do about damage. */
void store_db_cut_advice(char *text);
/* Whether the storage has refused a read since the last such question: SQLite calls a page that it
 * is not handed a corrupt one. */
bool store_db_unread(struct store_db *d);
/* One writer at a time: ST_BUSY when another process has the file. */
enum st store_db_own(struct store_db *d, struct err *e);
/* The file never grows beyond this. */
enum st store_db_limit(struct store_db *d, int64_t bytes, struct err *e);
/* The pages of the file: those in use, all of them, and the size of one. */
struct store_pages {
    int64_t used, all, bytes;
};
enum st store_db_pages(struct store_db *d, struct store_pages *out, struct err *e);
/* What the file has, free pages too. */
enum st store_db_bytes(struct store_db *d, int64_t *bytes, struct err *e);
/* A statement, reset and without bindings. NULL: e is set. */
sqlite3_stmt *store_db_use(struct store_db *d, enum store_sql id, struct err *e);
/* SQLITE_ROW -> ST_OK, SQLITE_DONE -> ST_NOT_FOUND, else an error with the text of SQLite. */
enum st store_db_row(struct store_db *d, sqlite3_stmt *q, struct err *e);
/* Runs a statement that returns no row; resets it. */
enum st store_db_run(struct store_db *d, sqlite3_stmt *q, struct err *e);
/* A statement with the n integers at v bound in order. NULL: e is set. */
sqlite3_stmt *store_db_ask(struct store_db *d, enum store_sql id, size_t n, const int64_t *v,
                           struct err *e);
/* The one integer of the first row; ST_NOT_FOUND. */
enum st store_db_int(struct store_db *d, enum store_sql id, size_t n, const int64_t *v,
                     int64_t *out, struct err *e);
/* Such a statement that returns no row, run. */
enum st store_db_do(struct store_db *d, enum store_sql id, size_t n, const int64_t *v,
                    struct err *e);
/* Whether the statement has a row for v; ST_NOT_FOUND. */
enum st store_db_has(struct store_db *d, enum store_sql id, int64_t v, struct err *e) ST_MUST_CHECK;
enum st store_db_fail(struct store_db *d, const char *doing, struct err *e);
enum st store_db_begin(struct store_db *d, struct err *e);
/* Commits when st is ST_OK, else rolls back; returns what holds in the end. */
enum st store_db_end(struct store_db *d, enum st st, struct err *e);

/* ---- jfile.c: the append-only file beside the database ---- */

struct store_jfile {
    int fd; /* -1: closed; a reader also when there is none yet */
    char *path;
    int64_t end;     /* where the next record goes */
    int64_t max;     /* no record goes beyond; at most STORE_JFILE_BYTES */
    int full;        /* as store_db's */
    int64_t damaged; /* bytes that the last walk passed over although records stand behind them */
};
/* Opens `<db_path>.journal`; the writer makes it, for its owner alone. */
enum st store_jfile_open(struct store_jfile *j, const char *db_path, bool readonly, struct err *e);
void store_jfile_close(struct store_jfile *j); /* takes one that failed to open */
/* Writes and syncs one record. On failure nothing has changed, and the next try takes its place.
 * ST_FULL: no room in the file or on the disk. */
enum st store_jfile_append(struct store_jfile *j, uint64_t epoch, struct wire_span payload,
                           struct err *e);
/* Walks the whole records of this epoch and sets end behind the last. Stops with what each()
 * returns. */
enum st store_jfile_each(struct store_jfile *j, uint64_t epoch,
                         enum st (*each)(void *ctx, struct wire_span payload, struct err *e),
                         void *ctx, struct err *e);

/* The newest epoch of any whole record in the file; 0: there is none. */
enum st store_jfile_newest(struct store_jfile *j, uint64_t *epoch, struct err *e);

/* ---- store.c, queue.c, journal.c, blob.c, batch.c, ack.c ---- */

struct store_findings {
    size_t n;
    struct store_finding f[STORE_FINDINGS_MAX];
};
struct store_dev {
    struct store_device d;
    uint32_t first, n; /* its series; they are contiguous */
    struct store_health health;
    struct store_findings *findings; /* of its bus, under board_lock; NULL: there never was one */
    char *base;                      /* "<gateway>/<device>/" */
};
/* A point's name and encoding: devices of one model share them. */
struct store_point {
    struct store_point *next;
    const char *unit; /* of its quantity; may be NULL */
    struct wire_point wire;
    char name[];
};
struct store_ser {
    struct store_series s; /* its text is the point's */
    const struct store_point *point;
    struct store_now now;
    int64_t calibrating_ms; /* under board_lock: from here on its readings bear that flag */
};
struct store_call_node {
    enum st (*fn)(struct store *s, void *arg, struct err *e);
    void *arg;
    struct err e;
    enum st st;
    bool done;
    struct store_call_node *next;
};
struct store_amount {
    int64_t n, bytes; /* batches, packed */
};
struct store_up {
    char *id;
    bool required;
    struct store_amount unsent; /* that it has not acknowledged; writer only */
};
/* An acknowledgement that the next commit writes. */
struct store_parked {
    uint32_t uplink;
    int64_t chain;
    uint64_t a, z;
    int64_t at_ms;
    uint8_t *receipt; /* owned; NULL: refused for ever */
    size_t receipt_n;
    char refused[32];
};

/* Bytes of the last day, by hours. Times may be negative: only differences count. */
#define STORE_DAY_SLOTS 24
struct store_day {
    int64_t since_ms, slot; /* when it began; the newest hour */
    int64_t bytes[STORE_DAY_SLOTS];
};
/* What the writer does, each with a fault of its own: the one's success is not the other's. */
enum store_doing { STORE_JOURNALLING, STORE_SEALING, STORE_SPACE, STORE_DOINGS };
#define STORE_FAULT_BYTES sizeof(((struct store_stats *)0)->fault)

/* Behind the batch old_id, keep has been lived through. */
struct store_age {
    int64_t window_ms;         /* the longest window that counts; 0: none is old */
    bool known;                /* the store was looked through */
    int64_t old_id, old_to_ms; /* 0: none */
    int64_t behind_ms;         /* of windows behind it */
};
/* What urges (urge.c). */
#define STORE_URGENT 16
struct store_urge {
    int64_t asked_ms, seen_ms; /* seen: writer only, as of its last look at the queue; 0: nothing */
    int64_t id[STORE_URGENT];  /* batches that were sealed for it */
    size_t next;
};
struct store {
    struct store_cfg cfg;
    char *path, *gateway;
    const struct clk *clk;
    struct store_db db; /* the writer's */
    char *reserve_path;
    int64_t reserve_bytes, limit_bytes; /* the limit is max_size, or less on a full disk */
    int64_t full_bytes;                 /* what the file had when the disk was full; 0: it is not */
    bool reserve_out, quota;            /* given back; because a quota is used up */
    struct mono reserve_due;            /* when to look for room again */
    uint8_t boot[WIRE_ID_BYTES];

    struct store_dev *dev;
    struct store_ser *ser;
    struct store_point *points;
    uint32_t ndev, nser;
    struct store_up up[STORE_UPLINKS];
    uint32_t nup;

    pthread_mutex_t board_lock; /* ser[].now, dev[].health, stats, fault */
    struct store_stats stats;
    char fault[STORE_DOINGS][STORE_FAULT_BYTES];

    pthread_mutex_t lock;  /* all below, down to the journal */
    pthread_cond_t work;   /* for the writer */
    pthread_cond_t room;   /* for store_put */
    pthread_cond_t called; /* for store_call */
    pthread_cond_t sealed; /* for store_wait_sealed */
    uint8_t *in, *out;     /* queued polls: filled by store_put, drained by the writer */
    size_t in_n;
    bool stopping, woken, writer_gone;
    struct store_urge urge;
    uint64_t seals; /* how often the uplinks have got something new to look at */
    struct store_call_node *calls;
    struct store_event events[STORE_EVENTS_QUEUED];
    uint32_t nevents, events_dropped;
    uint32_t polls_queued;
    uint64_t polls_dropped;
    struct store_lost { /* per device: what the queue could not take, for one gap */
        int64_t due_ms, t_ms;
        enum clk_grade grade;
        enum store_cause cause;
        bool is;
    } * lost, *lost_out; /* noted by store_put; taken by the writer with the polls before them */
    bool any_lost, any_lost_out;
    bool faulty;          /* there is a fault: what is lost now is lost for the storage */
    struct mono in_since; /* of the oldest poll in `in` */
    struct store_parked parked[STORE_PARKED]; /* changed by the writer only */
    uint32_t nparked;

    /* The journal: writer only. */
    struct store_jfile jfile;
    uint64_t epoch; /* of the database: records of the file with another are folded */
    size_t out_n, out_at;
    struct mono out_since;
    bool behind; /* the queue holds polls that are no frames yet */
    struct store_frame *frames;
    size_t nframes, njournalled;
    struct buf senml; /* over reserved memory, never grows: pointers into it stay */
    struct wire_record record[STORE_POLL_MAX];
    uint32_t *index;
    size_t nindex;
    uint64_t waiting; /* readings in frames */
    struct mono journal_due, events_due, told_due;
    struct store_amount held;    /* in the store */
    struct store_rollup *rollup; /* rollup_int.h; NULL before store_start */
    struct mono parked_since;    /* the oldest */

    bool clock_known; /* what store_clock_note wrote last: writer only */
    int64_t clock_offset_ms;
    int64_t refused_bytes; /* what the last batch wanted that there was no room for; 0: it fitted */
    struct store_day sealed_day, written_day;
    struct store_age age;  /* writer only */
    int64_t written_bytes; /* by this process so far, as the kernel counts; -1: it does not say */

    /* Damage (damage.c, rescue.c, held.c): writer only, but for the atomics. */
    atomic_uint deposits;        /* kept since the start (deposit.c) */
    atomic_uint_fast64_t works;  /* store_works */
    atomic_bool suspect;         /* a connection met damage */
    atomic_bool marked;          /* and the next start sets the files aside */
    atomic_bool rescued;         /* this start had something to rescue: ask the city what it has */
    struct store_rescue *rescue; /* NULL: none runs */
    struct mono rescue_due;      /* after a part of it failed */
    const struct wire_pub *pub;  /* the gateway's; borrowed from seal; NULL: not known */
    bool storage_lost;           /* silence before this start is the storage's fault */
    bool blank;                  /* the rescue found no chain: wait a moment for the city's word */
    struct mono blank_until;
    int64_t scrub_id; /* the last batch that was compared with its hash */
    struct mono scrub_due;
};

/* What the poll brings, onto the board: a reading that came late does not take the place of a later
 * one. Any thread. */
void store_board_update(struct store *s, const struct store_poll *p, const struct store_value *v);
/* Whether a poll of n series fits behind the frames in RAM. */
bool store_frame_room(const struct store *s, uint32_t n);
/* Writer: the poll as the newest frame; there is room. On failure nothing has changed. */
enum st store_frame_add(struct store *s, const struct store_poll *p, const struct store_value *v);
/* enter.c, writer: store_seal of a batch with `entered`; and whether that was entered before. */
enum st store_seal_entered(struct store *s, const struct store_sealed *b, struct err *e);
enum st store_entered_before(struct store *s, struct store_db *d, const struct store_entered *x,
                             bool *is, struct err *e);
/* Writer: frames first … last-1, but those with skip (may be NULL), as a blob, appended to out;
 * *n of them. */
enum st store_blob_make(struct store *s, size_t first, size_t last, const bool *skip,
                        struct buf *out, size_t *n, struct err *e);
/* The frames of a blob behind those in RAM; ctx is the store. */
enum st store_blob_restore(void *ctx, struct wire_span packed, struct err *e);
/* The database's epoch into s; a new store draws its first. */
enum st store_epoch_get(struct store *s, struct err *e);
/* Reads the journal's table and file back. */
enum st store_journal_read(struct store *s, struct err *e);
/* Writer, inside the seal's transaction: the journal's table holds what was journalled and is not
 * in `use`, and the epoch moves on to s->epoch + 1. */
enum st store_journal_fold(struct store *s, const bool *use, struct err *e);
/* After that commit: drops the frames for which use is true; the file begins anew. */
void store_frames_drop(struct store *s, const bool *use);
/* Walks the frames of one journal blob. */
struct store_entry {
    struct wire_span device, boot, senml;
    int64_t due_ms, t_ms;
    uint64_t grade, cause, n, nmissed;
    struct wire_reader missed; /* nmissed texts */
};
enum st store_entries_each(struct wire_span packed,
                           enum st (*each)(void *ctx, const struct store_entry *x, struct err *e),
                           void *ctx, struct err *e);
/* Writer: writes one event inside a transaction. */
enum st store_event_write(struct store *s, const struct store_event *v, struct err *e);
/* told.c. Writer: makes events of what tools left; at most once a second. */
enum st store_told_step(struct store *s, struct err *e);
/* Writer: writes the queued events inside a transaction; after its commit, drops these n. */
enum st store_events_write(struct store *s, uint32_t *n, struct err *e);
void store_events_written(struct store *s, uint32_t n);
/* What has waited for a commit rides with this one: inside a transaction, and after it. */
struct store_riders {
    uint32_t events, parked;
};
enum st store_riders_write(struct store *s, struct store_riders *r, struct err *e);
/* Whether events may take room. */
enum st store_event_room(struct store *s, bool *yes, struct err *e) ST_MUST_CHECK;
void store_riders_written(struct store *s, const struct store_riders *r);
enum st store_riders_commit(struct store *s, struct err *e);
enum st store_parked_write(struct store *s, uint32_t most, uint32_t *n, struct err *e);
void store_parked_written(struct store *s, uint32_t n);
/* Writer: forgets acknowledged batches older than keep, or any when the file nears its limit. Has
 * a transaction of its own, so that it frees room for one that needs it. */
enum st store_retention(struct store *s, struct err *e);
/* ST_FULL when so many bytes of readings may not be written any more: the rest is for
 * acknowledgements, which free. */
enum st store_room(struct store *s, size_t more, struct err *e);
/* What a transaction forgets: taken off the figures behind its commit. */
struct store_gone {
    struct store_amount all, unsent[STORE_UPLINKS];
    int64_t lived_ms; /* of windows that are not old */
};
/* age.c, writer: brings s->age up to date; and what a sealed and a forgotten window do to it. */
enum st store_age_step(struct store *s, struct err *e);
void store_age_sealed(struct store *s, const struct store_sealed *b);
int64_t store_age_gone(const struct store *s, int64_t id, int64_t from_ms, int64_t to_ms);
/* Inside a transaction: forgets one batch, if it is there, and all that is kept of it. */
enum st store_batch_drop(struct store *s, int64_t id, struct store_gone *gone, struct err *e);
void store_gone_tell(struct store *s, const struct store_gone *gone);
/* Inside a transaction: stores b as the chain's next, without its journal and plan. */
enum st store_batch_add(struct store *s, int64_t chain, const struct store_sealed *b,
                        struct err *e);
/* Inside a transaction: a batch's row and its bytes, whatever its chain says. */
enum st store_batch_put(struct store *s, int64_t id, const struct store_sealed *b, struct err *e);
/* Behind the commit of a batch: wakes the uplinks, brings the figures up to date. */
void store_sealed_tell(struct store *s, const struct store_sealed *b);
/* Begins a transaction that writes about `bytes` beside the small things. ST_FULL: it might push
 * database, WAL and journal over max_size together, and the WAL cannot be folded now. */
enum st store_begin(struct store *s, size_t bytes, struct err *e);
/* Bytes of batches that may still be sealed before unsent ones must be thinned. */
enum st store_space_left(struct store *s, int64_t *bytes, struct err *e);

/* ---- wear.c, figures.c ---- */

/* What sysfs, mounted at `sysfs`, says of the block device with this number: zero or -1 for what it
 * does not say. Never fails. */
void store_wear_read(const char *sysfs, unsigned major_no, unsigned minor_no, struct store_wear *w);
/* write_bytes of a file like /proc/self/io; -1: it cannot be told. */
int64_t store_wear_written(const char *io_path);
void store_day_begin(struct store_day *d, int64_t at_ms);
void store_day_add(struct store_day *d, int64_t at_ms, int64_t bytes);
/* Bytes within the last day, and how much of it was watched. */
int64_t store_day_sum(struct store_day *d, int64_t at_ms, int64_t *window_ms);
/* At the start: takes over what was sealed within the last day. */
enum st store_figures_start(struct store *s, struct err *e);
/* Writer: the figures now. */
void store_figures(struct store *s, struct store_figures *f);

/* Id of a chain's row; ST_NOT_FOUND. */
enum st store_chain_row(struct store_db *d, const uint8_t *chain, int64_t *id, struct err *e);
/* The chain in this row of SQL_CHAIN_LAST or its like; false: it is damaged. */
bool store_chain_read(sqlite3_stmt *q, struct store_chain *c);
static inline int64_t store_batch_id(int64_t chain, uint64_t seq)
{
    return (chain << STORE_SEQ_BITS) + (int64_t)seq;
}
/* batch.kind: 0 raw data, 1 control, then thinned data by its level. Raw data alone has 0, so that
 * what looks for the newest readings passes over thinned ones, however young their number. */
#define STORE_KIND_CONTROL 1
static inline int store_kind(enum wire_kind kind, enum store_level level)
{
    return kind == WIRE_CONTROL ? STORE_KIND_CONTROL : level == STORE_RAW ? 0 : 1 + (int)level;
}
static inline uint64_t store_batch_seq(int64_t id)
{
    return (uint64_t)id & ((UINT64_C(1) << STORE_SEQ_BITS) - 1);
}
/* Copies a blob column of exactly n bytes; false when it has another size. */
bool store_db_blob(sqlite3_stmt *q, int column, void *to, size_t n);
/* The acknowledged range of this uplink that holds seq: [a, z]; ST_NOT_FOUND. With a store also
 * what is parked there. */
enum st store_ack_range(struct store_db *d, struct store *s, const char *uplink, int64_t chain,
                        uint64_t seq, uint64_t *a, uint64_t *z, struct err *e);
/* Writer: the first acknowledged number behind seq, also of those that are parked; UINT64_MAX:
 * none.
 */
enum st store_ack_next(struct store *s, const char *uplink, int64_t chain, uint64_t seq,
                       uint64_t *next, struct err *e);
/* Writer: adds the batches a..z that the store holds to *n. */
enum st store_batches_between(struct store *s, int64_t chain, uint64_t a, uint64_t z,
                              struct store_amount *n, struct err *e);
struct store_db *store_reader_db(struct store_reader *r);
/* As store_planned_each, on the writer's connection or a reader's. */
enum st store_planned_of(struct store_db *d, void (*each)(void *ctx, const struct store_planned *p),
                         void *ctx, struct err *e) ST_MUST_CHECK;
/* times.c, inside a transaction: what a control batch says about sealed readings, into the tables;
 * and the same of all control batches that the store holds. */
enum st store_times_note(struct store_db *d, int64_t id, struct wire_span packed, struct err *e);
/* The same, of one whose batches may come later. */
enum st store_times_add(struct store_db *d, int64_t id, struct wire_span packed, struct err *e);
enum st store_times_fill(struct store_db *d, struct err *e);
/* The entry in a row (series, from_ms, to_ms, what, arguments, id of a `correct`), until the next
 * step. */
void store_said_of(sqlite3_stmt *q, enum wire_entry_kind kind, struct wire_entry *x);
/* fixes.c, writer: which series are being calibrated, as open `maintain` entries say. */
enum st store_calibrate(struct store *s, struct err *e);
/* Size of the file path+suffix; 0 when there is none. */
int64_t store_file_bytes(const char *path, const char *suffix);
/* Inside a transaction: adds a..z, merged with the ranges that overlap or touch it. */
enum st store_ack_add(struct store *s, const char *uplink, int64_t chain, uint64_t a, uint64_t z,
                      struct err *e);
/* Writer: records why this cannot be done (or "" again) for the page, and the change as an event.
 */
void store_fault(struct store *s, enum store_doing doing, const char *text);
/* Takes the reserve, and sets the file's limit. A full disk is no failure: the first turn of the
 * writer says so. */
enum st store_reserve_open(struct store *s, struct err *e);
/* Writer, each turn: gives it back when the disk is full, takes it again when there is room. */
void store_reserve_step(struct store *s);
void store_stats_refresh(struct store *s);
/* Counts batches and what each uplink has not acknowledged, once at the start. */
enum st store_count(struct store *s, struct err *e);

/* ---- reader.c, walk.c ---- */

struct store_reader {
    struct store_db db;
    struct store *store; /* of this process: also what is parked there; NULL: another's file */
    struct buf bytes;    /* of the last batch */
    bool view;           /* between begin and end */
    struct buf *journal; /* records of the journal's file in this view */
    size_t njournal;
    struct store_kept *kept; /* what charts read of batches; NULL: nothing yet */
};
/* The batch with this id into *out; ST_CORRUPT when a part of it is lost. */
enum st store_batch_load(struct store_db *d, int64_t id, struct store_batch *out, struct buf *bytes,
                         struct err *e) ST_MUST_CHECK;
enum st store_reader_load(struct store_reader *r, int64_t id, struct store_batch *out,
                          struct err *e);
/* Within a view: each poll that no batch holds yet, in order. */
enum st store_each_entry(struct store_reader *r,
                         enum st (*each)(void *ctx, const struct store_entry *x, struct err *e),
                         void *ctx, struct err *e) ST_MUST_CHECK;
/* The text under "new_serial" or "old_serial" in a `maintain` entry's map; "": none that fits. */
void store_work_serial(const struct wire_entry *x, const char *which, char out[STORE_NOTE_BYTES]);
/* The two halves of store_pending_behind: the blobs, each behind its length, without those that
 * have nothing of the time that `only` asks for (NULL: all); the readings of the one at *at, which
 * is then the next one's unless each() returned false. ST_NOT_FOUND: there is none. */
#define STORE_PENDING_MAX (128 * 1024 * 1024) /* all blobs of a journal, packed */
enum st store_pending_copy(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                           const struct store_readings_ask *only, struct buf *out,
                           struct err *e) ST_MUST_CHECK;
enum st store_pending_next(const struct buf *blobs, size_t *at,
                           bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                           bool *stopped, struct err *e) ST_MUST_CHECK;
/* The readings of one journal blob; *stopped when each() returned false. */
enum st store_blob_readings(struct wire_span packed,
                            bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                            bool *stopped, struct err *e);

/* ---- follows.c ---- */

/* At the start: takes the note, when there is one and no chain yet. */
enum st store_follows_take(struct store *s, struct err *e) ST_MUST_CHECK;

/* ---- beside.c ---- */

/* Puts what goes with a copy into its table; `to` is the copy, which has none yet. */
enum st store_beside_copy(struct store_db *to, const char *store, struct err *e) ST_MUST_CHECK;
/* At the start: where this is a copy, puts it back beside the store. */
enum st store_beside_take(struct store *s, struct err *e) ST_MUST_CHECK;

/* ---- urge.c ---- */

void store_urge_see(struct store *s);
void store_urge_sealed(struct store *s, const struct store_sealed *b, int64_t id);

#endif
