/* Private to the store: what happens when its files are damaged (decision 0016).
 *
 * store_whole_open looks whether the files are whole and renames what is not to dated names beside;
 * a rescue, a bounded part of each turn of the writer, brings what is readable into the new store.
 * Which sets of dated files wait for it is told by their names alone: `<path>.damaged-STAMP` with
 * no `….rescued` beside it. */
#ifndef GATEWAY_STORE_DAMAGE_H
#define GATEWAY_STORE_DAMAGE_H

#include "gateway/store/store_int.h"

#define STORE_STAMP_BYTES 40

/* ---- damage.c ---- */

/* Opens, owns and migrates s->db. Files that are ours and damaged are set aside first, and a new
 * database begins; ST_CORRUPT for a file that is somebody else's. */
enum st store_whole_open(struct store *s, struct err *e) ST_MUST_CHECK;
/* Writer: SQLite has met damage. Marks the files, so that the next start sets them aside. */
enum st store_suspect(struct store *s, struct err *e) ST_MUST_CHECK;
/* Writer: compares a few batches with their hashes now and then; ST_CORRUPT as SQLite would say. */
enum st store_scrub(struct store *s, struct err *e) ST_MUST_CHECK;
/* ST_CORRUPT unless the batch is the one that the hash names. raw: scratch. */
enum st store_batch_check(struct wire_span packed, const uint8_t hash[WIRE_HASH_BYTES],
                          struct buf *raw, struct err *e) ST_MUST_CHECK;

/* ---- aside.c: the dated files ---- */

/* "<path>.damaged-<stamp><suffix>"; free it. */
char *store_aside_name(const char *path, const char *stamp, const char *suffix);
/* The oldest set that is not rescued and is later than `after` ("": the first). ST_NOT_FOUND. */
enum st store_aside_next(const char *path, const char *after, char stamp[STORE_STAMP_BYTES],
                         struct err *e) ST_MUST_CHECK;
/* Renames database, WAL and journal. Safe against a power cut at each point: a marker is written
 * first and the database goes last; the next call goes on where this one was cut. `why` may be "".
 */
enum st store_aside_move(const char *path, int64_t utc_ms, const char *why,
                         struct err *e) ST_MUST_CHECK;
/* Whether a marker asks for that; its reason. A marker whose set is complete is removed. */
enum st store_aside_asked(const char *path, bool *asked, char *why, size_t n,
                          struct err *e) ST_MUST_CHECK;
/* Asks for it. */
enum st store_aside_ask(const char *path, int64_t utc_ms, const char *why,
                        struct err *e) ST_MUST_CHECK;
enum st store_aside_rescued(const char *path, const char *stamp, struct err *e) ST_MUST_CHECK;
/* When the oldest file of a set was made; 0: the file system does not tell. */
int64_t store_aside_birth(const char *path, const char *stamp);
/* How many sets there are, and their bytes. */
void store_aside_sum(const char *path, int64_t *sets, int64_t *bytes);
/* Removes the oldest rescued sets while there are more than `sets` or `bytes`; never one that is
 * not rescued, nor the newest. *gone: how many; *over: it is still too much. */
void store_aside_trim(const char *path, int64_t sets, int64_t bytes, int64_t *gone, bool *over);

/* ---- rescue.c ---- */

/* After store_epoch_get, before the journal is read: takes over the small tables and the journals
 * of all sets that wait. */
enum st store_rescue_open(struct store *s, struct err *e) ST_MUST_CHECK;
void store_rescue_close(struct store *s);
/* Writer: one bounded part; ends the rescue with its holes and events. */
enum st store_rescue_step(struct store *s, struct err *e) ST_MUST_CHECK;
/* Notes the times that no rescued batch covers as gaps to be told (holes.c). src: the damaged
 * database, NULL when it cannot be read; since_ms: when that store began, as far as is known. */
enum st store_holes_find(struct store *s, struct store_db *src, int64_t since_ms, int64_t *n,
                         struct err *e) ST_MUST_CHECK;
/* Inside a transaction or not: forgets a small value. */
enum st store_meta_drop(struct store *s, const char *key, struct err *e) ST_MUST_CHECK;
/* Writer: since when the frames in RAM tell; now, when there are none. */
int64_t store_frames_from(const struct store *s);
/* ST_OK: every required uplink has a..z; there is one at least. */
enum st store_acked(struct store *s, int64_t chain, uint64_t a, uint64_t z,
                    struct err *e) ST_MUST_CHECK;

#endif
