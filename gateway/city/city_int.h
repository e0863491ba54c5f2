/* What the files of this room share. */
#ifndef GATEWAY_CITY_CITY_INT_H
#define GATEWAY_CITY_CITY_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "gateway/base/clk.h"
#include "gateway/base/id.h"
#include "gateway/city/city.h"
#include "gateway/http/http.h"
#include "gateway/wire/wire.h"

/* ---- db.c: one connection with its prepared statements ------------------------------------ */

enum city_sql {
#define SQL(name, text) SQL_##name,
#include "gateway/city/sql.def"
#undef SQL
    SQL_COUNT
};

struct city_db {
    sqlite3 *db;
    sqlite3_stmt *stmt[SQL_COUNT];
};
enum city_mode {
    CITY_DB_WRITE, /* makes the file and its tables when they are not there */
    CITY_DB_READ,  /* refuses a file that is not there; never writes */
};
enum st city_db_open(struct city_db *d, const char *path, enum city_mode mode,
                     struct err *e) ST_MUST_CHECK;
void city_db_close(struct city_db *d); /* takes a zeroed one */
/* The statement, reset and bound: one letter of `types` per parameter: i int64_t, t const char *,
 * b const void * and size_t (NULL: null). Texts and blobs must live until it is reset. */
sqlite3_stmt *city_db_bind(struct city_db *d, enum city_sql which, const char *types, ...);
/* Steps: ST_OK with a row, ST_NOT_FOUND without, ST_IO. After the last two it is reset. */
enum st city_db_step(struct city_db *d, sqlite3_stmt *s, struct err *e) ST_MUST_CHECK;
/* Runs a statement that returns no row. */
enum st city_db_run(struct city_db *d, sqlite3_stmt *s, struct err *e) ST_MUST_CHECK;
enum st city_db_exec(struct city_db *d, const char *sql, struct err *e) ST_MUST_CHECK;
enum st city_db_fail(struct city_db *d, struct err *e);
/* A blob column of exactly n bytes; false when it is not. */
bool city_db_blob(sqlite3_stmt *s, int column, void *out, size_t n);
/* A blob column as it lies; valid until the next step. */
struct wire_span city_db_span(sqlite3_stmt *s, int column);

/* ---- verify.c: libcrypto, for its speed ----------------------------------------------------- */

/* Whether the message is signed (ES256, low s) by the P-256 key with this SubjectPublicKeyInfo.
 * ST_CORRUPT: it is not; ST_MEMORY: it could not be told, which refuses nothing. */
enum st city_signed_by(const struct wire_cose *c, struct wire_span spki,
                       struct err *e) ST_MUST_CHECK;

/* ---- ingest.c: from received bytes to a batch that may be stored --------------------------- */

/* The closed list of reasons (batch.md rule 22). */
enum city_code {
    CITY_OK,
    CITY_BAD_CBOR,
    CITY_BAD_SIGNATURE,
    CITY_CONFLICT,
    CITY_WRONG_GATEWAY,
    CITY_UNKNOWN_GATEWAY,
    CITY_UNKNOWN_KEY,
    CITY_UNAUTHORIZED,
    CITY_VERSION,
    CITY_UNSUPPORTED_TYPE,
    CITY_TOO_LARGE,
    CITY_RATE,
    CITY_UNAVAILABLE,
};
const char *city_code_text(enum city_code c);
int city_code_status(enum city_code c);

struct city_where { /* what the URL says */
    const char *gw;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
};

struct city_batch {
    int64_t gateway, key; /* rows */
    struct buf cose;      /* uncompressed */
    struct buf packed;    /* own compression; empty when `stored` points to what came */
    struct wire_span stored;
    uint8_t sha256[WIRE_HASH_BYTES]; /* of cose; of what came while that is not known */
    struct wire_batch batch;
    uint64_t n;
    int64_t t_min, t_max; /* of its readings; 0, -1 without any */
    bool known;           /* the same bytes are stored already; `receipt` is theirs */
    struct buf receipt;
};
/* Runs all checks in their order; e says in words why not. body must outlive b. */
enum city_code city_ingest(struct city_db *d, const struct city_where *w, const char *type,
                           const char *encoding, const void *body, size_t n, struct city_batch *b,
                           struct err *e);
void city_batch_done(struct city_batch *b);
/* Steps of it: type and encoding, and the COSE bytes into b->cose, with their hash; and the other
 * way, where they did not come packed. */
enum city_code city_unpack(const char *type, const char *encoding, const void *body, size_t n,
                           struct city_batch *b, struct err *e);
enum city_code city_pack(struct city_batch *b, struct err *e);
/* The enrolled key of a gateway that verifies the batch, revoked or not: CITY_OK, _UNKNOWN_KEY,
 * _BAD_SIGNATURE, _UNAVAILABLE. */
enum city_code city_check_key(struct city_db *d, int64_t gateway, const struct wire_batch *b,
                              int64_t *key, struct err *e);

/* ---- admin.c ------------------------------------------------------------------------------- */

/* ST_NOT_FOUND, and why, when it is not enrolled. */
enum st city_gateway_find(struct city_db *d, const char *gw, int64_t *id,
                          struct err *e) ST_MUST_CHECK;
/* Calls each() for that gateway, or with NULL for all of them by name, until it fails. */
enum st city_gateway_each(struct city_db *d, const char *gw,
                          enum st (*each)(void *ctx, int64_t id, const char *gw, struct err *e),
                          void *ctx, struct err *e) ST_MUST_CHECK;

/* ---- keys.c ---------------------------------------------------------------------------------- */

/* Inside a transaction: makes the key known and notes how it came, by a batch (row) or, 0, by
 * enrolment. One that is known stays as it is. */
enum st city_key_add(struct city_db *d, int64_t gateway, const struct wire_pub *pub, int64_t batch,
                     int64_t now_ms, struct err *e) ST_MUST_CHECK;
/* The same for a `key` entry of a batch that is stored in this transaction: the next key. */
enum st city_key_named(struct city_db *d, int64_t gateway, int64_t batch,
                       const struct wire_entry *x, int64_t now_ms, struct err *e) ST_MUST_CHECK;
enum st city_key_revoked(struct city_db *d, int64_t key, bool *revoked,
                         struct err *e) ST_MUST_CHECK;
/* bind.c: CITY_UNAUTHORIZED when the key's box was replaced before the batch's window ended, or
 * when it cannot tell when that was. */
enum city_code city_check_handed(struct city_db *d, int64_t gateway, int64_t key,
                                 const struct wire_header *h, struct err *e);

/* ---- keep.c: one batch into the open transaction ------------------------------------------- */

/* CITY_OK: stored, or *same when it was there before; b->receipt is filled. CITY_CONFLICT,
 * CITY_UNKNOWN_KEY, CITY_UNAUTHORIZED (a revoked key); CITY_UNAVAILABLE: the transaction must be
 * rolled back. */
enum city_code city_keep(struct city_db *d, const struct wire_key *sign, struct city_batch *b,
                         int64_t now_ms, bool *same, struct err *e);

/* ---- sign.c: the keys that sign receipts and heads --------------------------------------------
 */

#define CITY_PATH_BYTES 1024
/* The file of the key that notice n named; 0: the first. */
enum st city_key_path(const char *sign_key, int64_t n, char out[CITY_PATH_BYTES],
                      struct err *e) ST_MUST_CHECK;
/* Loads it; ST_CORRUPT: it is not the key that the notice names. */
enum st city_sign_load(const char *sign_key, const struct wire_notice *x, struct wire_key **key,
                       struct err *e) ST_MUST_CHECK;
/* The notice that named the key with which is signed at that time; 0: none has. */
enum st city_sign_notice_at(struct city_db *d, int64_t now_ms, int64_t *n,
                            struct err *e) ST_MUST_CHECK;
struct city_sign; /* which key signs receipts and heads: any thread */
/* path: that of the first one, sign_key. */
enum st city_sign_open(struct city_sign **out, const char *path, struct err *e) ST_MUST_CHECK;
/* The key of that time by the notices in d; it lives as long as s. */
enum st city_sign_now(struct city_sign *s, struct city_db *d, int64_t now_ms,
                      const struct wire_key **key, struct err *e) ST_MUST_CHECK;
/* Loads the key of now and all that are to follow, so that each is there on its day. Else which is
 * not, why, and when it is needed; those before it are loaded. */
enum st city_sign_ahead(struct city_sign *s, struct city_db *d, int64_t now_ms,
                        struct err *e) ST_MUST_CHECK;
void city_sign_close(struct city_sign *s); /* takes NULL */

/* ---- trust.c: the notices that change them -----------------------------------------------------
 */

/* The number of the last notice; 0: there is none. */
enum st city_trust_last(struct city_db *d, uint64_t *n, struct err *e) ST_MUST_CHECK;
/* The last WIRE_NOTICES_MAX notices, in order: a CBOR sequence. */
enum st city_trust_put(struct city_db *d, struct buf *out, struct err *e) ST_MUST_CHECK;

/* ---- rate.c -------------------------------------------------------------------------------- */

struct city_rate;
/* per_minute 0: no limit. */
enum st city_rate_open(struct city_rate **out, int64_t per_minute, struct err *e) ST_MUST_CHECK;
void city_rate_close(struct city_rate *r); /* takes NULL */
/* Whether this peer may ask about this gateway now; else *wait_s says when it may. A minute's worth
 * may come at once. Any thread; now_ms is monotonic. */
bool city_rate_take(struct city_rate *r, const char *gw, const char *peer, int64_t now_ms,
                    int64_t *wait_s);

/* ---- writer.c: the one thread that writes -------------------------------------------------- */

struct city_writer;
enum st city_writer_open(struct city_writer **out, const char *path, struct city_sign *keys,
                         struct err *e) ST_MUST_CHECK;
/* Stores b and returns once that is committed. Any thread; takes part in one transaction with
 * whoever else waits. */
enum city_code city_writer_put(struct city_writer *w, struct city_batch *b, bool *same,
                               struct err *e);
/* Counts a refusal of that gateway (0: of none that is enrolled); `why` is kept with the last one.
 * Written with the next batch, or within a second or two; waits only when very many are to be. */
void city_writer_refused(struct city_writer *w, int64_t gateway, enum city_code code,
                         const char *why);
void city_writer_close(struct city_writer *w); /* neither may be running */

/* ---- alarms.c ------------------------------------------------------------------------------ */

enum city_alarm_kind {
    CITY_ALARM_SILENCE,
    CITY_ALARM_CLONE,
    CITY_ALARM_FORK,
    CITY_ALARM_CONFLICT,
    CITY_ALARM_BROKEN,
    CITY_ALARM_MISSING,
    CITY_ALARM_REFUSED,
    CITY_ALARMS
};
struct city_alarm {
    enum city_alarm_kind kind;
    int64_t since_ms, last_ms; /* 0: never */
    uint64_t count;
    char text[256];
};
/* All alarms of a gateway (0: of none that is enrolled) as the database stands, in the order of the
 * kinds. `emit` may end it with ST_STOPPED. */
struct city_alarm_to {
    enum st (*emit)(void *ctx, const struct city_alarm *a, struct err *e);
    void *ctx;
};
enum st city_alarms_of(struct city_db *d, int64_t gateway, int64_t now_ms,
                       const struct city_alarm_to *to, struct err *e) ST_MUST_CHECK;
/* The silence alone, and of no time before since_ms: when this city began to listen. */
enum st city_silence_of(struct city_db *d, int64_t gateway, int64_t now_ms, int64_t since_ms,
                        const struct city_alarm_to *to, struct err *e) ST_MUST_CHECK;
/* Whether the batch that has just been stored may raise one. */
enum st city_alarm_may(struct city_db *d, const struct city_batch *b, bool *may,
                       struct err *e) ST_MUST_CHECK;
extern const char *const city_alarm_text[CITY_ALARMS];
extern const char *const city_alarm_do[CITY_ALARMS]; /* what a person has to do */
struct city_query;
/* As city_gaps. */
enum st city_alarms_page(struct city_db *d, const struct city_query *q, const char *gw,
                         struct buf *out, int64_t *next_row, struct err *e) ST_MUST_CHECK;

/* ---- silence.c: a thread that looks, for the log, for what nothing that arrives could tell ------
 */

/* Gateways that have gone silent, and receipt keys that cannot be read on their day. */
struct city_silence;
enum st city_silence_open(struct city_silence **out, const char *path, struct city_sign *keys,
                          struct err *e) ST_MUST_CHECK;
void city_silence_close(struct city_silence *w);

/* ---- chain.c: holes and heads -------------------------------------------------------------- */

/* Moves through_seq, through_hash over what is held or voided behind it. */
enum st city_through(struct city_db *d, int64_t chain, uint64_t *seq, uint8_t hash[WIRE_HASH_BYTES],
                     struct err *e) ST_MUST_CHECK;
/* The batch of this number is held from now on: for each that is added, in its transaction. */
enum st city_hold(struct city_db *d, int64_t chain, uint64_t seq, struct err *e) ST_MUST_CHECK;
/* Fills c->missing (room for CITY_RANGES_MAX), behind c->through_seq. What it takes follows the
 * number of holes and voids, not that of batches. */
#define CITY_RANGES_MAX 256
enum st city_missing(struct city_db *d, int64_t chain, struct wire_head_chain *c,
                     struct err *e) ST_MUST_CHECK;
/* Signs the head of a gateway and appends it to out. */
enum st city_head(struct city_db *d, int64_t gateway, const char *gw, const char *nonce,
                  const struct wire_key *sign, struct buf *out, struct err *e) ST_MUST_CHECK;

/* ---- read.c: gaps and readings ------------------------------------------------------------- */

struct city_query {
    int64_t gateway;
    const char *series; /* NULL: all */
    int64_t from_ms, to_ms;
    int64_t after_row, after_index; /* where the last page ended */
    uint64_t limit;
    bool json;
    bool raw; /* readings as sealed: nothing moved or taken back */
};
/* Opens a batch as it is stored. cose keeps its bytes; free b with wire_batch_done in any case. */
enum st city_batch_read(struct wire_span stored, struct buf *cose, struct wire_batch *b,
                        struct err *e) ST_MUST_CHECK;
/* One page, appended to out; *next_row 0 when it was the last. */
enum st city_readings(struct city_db *d, const struct city_query *q, struct buf *out,
                      int64_t *next_row, int64_t *next_index, struct err *e) ST_MUST_CHECK;
enum st city_gaps(struct city_db *d, const struct city_query *q, struct buf *out, int64_t *next_row,
                  struct err *e) ST_MUST_CHECK;

/* ---- change.c ------------------------------------------------------------------------------ */

struct city_entry_at;
/* Keeps a `change`, `setup` or `config` entry of a batch that is stored in this transaction. */
enum st city_change_keep(struct city_db *d, const struct city_entry_at *at,
                         const struct wire_entry *x, struct err *e) ST_MUST_CHECK;
/* As city_gaps; after_row counts rows. */
enum st city_changes_page(struct city_db *d, const struct city_query *q, struct buf *out,
                          int64_t *next_row, struct err *e) ST_MUST_CHECK;

/* ---- page.c -------------------------------------------------------------------------------- */

/* One page of completeness by hour, as city_readings; it may be short, and even empty, before the
 * last. */
enum st city_completeness_page(struct city_db *d, const struct city_query *q, const char *gw,
                               struct buf *out, int64_t *next_row, int64_t *next_index,
                               struct err *e) ST_MUST_CHECK;

/* ---- print.c ------------------------------------------------------------------------------- */

/* A table as a command prints it. gateway 0: of all. */
struct city_table {
    const char *head; /* of the CSV */
    sqlite3_stmt *(*bind)(struct city_db *d, const struct city_ask *q, int64_t gateway);
    enum st (*put)(struct buf *out, sqlite3_stmt *row, bool json);
};
/* Opens the database, prints, flushes. ST_NOT_FOUND: no such gateway; ST_IO. */
enum st city_print(const struct city_cfg *cfg, const struct city_ask *q, const struct city_table *t,
                   FILE *out, struct err *e) ST_MUST_CHECK;

/* ---- text.c -------------------------------------------------------------------------------- */

/* A text as a JSON string, or as a CSV field, quoted where it must be, with ' before what a
 * spreadsheet would take for a formula. */
enum st city_put_text(struct buf *out, const char *text, bool json) ST_MUST_CHECK;

/* ---- correct.c: what later entries say about sealed readings ------------------------------- */

struct city_entry_at { /* where an entry stands: */
    int64_t batch, n;  /* row, place in it */
    int64_t chain, seq;
};
/* Inside a transaction: keeps a `time`, `correct`, `maintain`, `digest`, `rest` or `config` entry;
 * others are passed over. */
enum st city_correct_keep(struct city_db *d, const struct city_entry_at *at,
                          const struct wire_entry *x, struct err *e) ST_MUST_CHECK;
/* Inside a transaction: keeps those of all control batches that are held already. */
enum st city_correct_fill(struct city_db *d, struct err *e) ST_MUST_CHECK;
/* ---- digest.c: days ------------------------------------------------------------------------- */

enum st city_digest_keep(struct city_db *d, const struct city_entry_at *at,
                         const struct wire_entry *x, struct err *e) ST_MUST_CHECK;
enum st city_rest_keep(struct city_db *d, const struct city_entry_at *at,
                       const struct wire_entry *x, struct err *e) ST_MUST_CHECK;
/* Signs what the city holds of that day of a gateway and appends it to out. */
enum st city_digest(struct city_db *d, int64_t gateway, const char *gw, int64_t day, int64_t now_ms,
                    const struct wire_key *sign, struct buf *out, struct err *e) ST_MUST_CHECK;

/* ---- deposit.c: the gateways' configurations ------------------------------------------------- */

struct city_deposits;
enum st city_deposits_open(struct city_deposits **out, const struct city_cfg *cfg,
                           struct err *e) ST_MUST_CHECK;
void city_deposits_close(struct city_deposits *s); /* takes NULL */
/* Runs all checks on what a gateway wants kept, and keeps it; *same: it is held already. b says
 * whose it was; to be freed in any case. CITY_CONFLICT: e has the words. Any thread. */
enum city_code city_deposit_put(struct city_deposits *s, const struct http_request *q,
                                struct city_batch *b, bool *same, struct err *e);
/* SHA-256 of the COSE bytes that would be given back; all zero: none. */
enum st city_deposit_held(struct city_db *d, int64_t gateway, uint8_t sha256[WIRE_HASH_BYTES],
                          struct err *e) ST_MUST_CHECK;

struct city_correction {
    int64_t gateway;
    struct wire_fixes *fixes; /* NULL: raw */
    bool moved;               /* the batch, by the latest `time` entry for it */
    int64_t add_ms;
};
/* What a gateway says of its readings; raw: nothing. Done also after a failure. */
enum st city_correct_load(struct city_db *d, int64_t gateway, bool raw, struct city_correction *c,
                          struct err *e) ST_MUST_CHECK;
void city_correct_done(struct city_correction *c); /* takes a zeroed one */
/* What moves the batch in this row of SQL_READ_BATCHES. */
void city_correction_of(struct city_correction *c, sqlite3_stmt *row);
/* Moves the reading, turns its flag 64 into 128, and corrects it. false: it was taken back. Its
 * names may point into c then, until the next call. */
bool city_reading_correct(const struct city_correction *c, struct wire_reading *r);

#endif
