/* Private to the CLI: sheets that were approved and submitted. Each is a file beside the store,
 * STORE.sheets/TERRITORY.PERIOD.sheet: who approved and submitted it when, and the content as it
 * was then. What was submitted stays; a version that takes its place is a file of its own,
 * TERRITORY.PERIOD.v2.sheet, which names the one before and why. Each act is an entry of the signed
 * chain that names the content's digest (decision 0056). */
#ifndef GATEWAY_CLI_SHEET_KEEP_H
#define GATEWAY_CLI_SHEET_KEEP_H

#include "gateway/indicator/indicator.h"

/* Reads a content (report_seal) back and seals it; the caller looks whether that gave the same
 * bytes. ST_CORRUPT: it is none. */
enum st sheet_read(struct report *out, const char *text, struct err *e) ST_MUST_CHECK;

#define SHEET_WHO_MAX 64                           /* bytes of a name */
#define SHEET_WHY_MAX 200                          /* and of a reason */
#define SHEET_VERSIONS 99                          /* of one sheet */
#define SHEET_FILE_MAX (REPORT_CONTENT_MAX + 1024) /* bytes */
/* Reads the bytes of a file, behind which a NUL stands, into a report with its state, to be closed
 * also after a failure. ST_CORRUPT: not byte for byte as sheet_file_write has it. */
enum st sheet_file_read(struct report *out, const char *text, size_t n,
                        struct err *e) ST_MUST_CHECK;
enum st sheet_file_write(struct buf *out, const struct report *r, struct err *e) ST_MUST_CHECK;

/* What is kept of the sheet, as a report with its state, and of all its versions who did what:
 * that version, or in its place the newest that was submitted (where none was: the one that was
 * approved), or the newest of all. ST_NOT_FOUND: there is none; ST_CORRUPT: a file is damaged, or
 * is another's, or a version does not follow the one before. */
#define SHEET_IN_FORCE 0
#define SHEET_NEWEST (SHEET_VERSIONS + 1)
enum st sheet_get(struct report *out, const char *store, const char *territory, const char *period,
                  unsigned version, struct err *e) ST_MUST_CHECK;
/* Approves r, or submits what `kept` (sheet_get, the newest) has, where r says the same by now; who
 * does so becomes the author of the entry. why: of a version that takes the place of one that was
 * submitted, and of no other; NULL. ST_CONFLICT: it was submitted, or is not what was approved, or
 * says what was submitted; ST_NOT_FOUND: it was not approved. Neither the file nor the entry is
 * there without the other: what a kill parted, the next call joins. */
struct sheet_done {
    unsigned version;
    char entry[WIRE_ID_TEXT]; /* its id */
};
enum st sheet_approve(const char *store, const struct report *r, const char *who, const char *why,
                      int64_t now_ms, struct sheet_done *done, struct err *e) ST_MUST_CHECK;
enum st sheet_submit(const char *store, const struct report *r, const char *who, int64_t now_ms,
                     struct sheet_done *done, struct err *e) ST_MUST_CHECK;

#endif
