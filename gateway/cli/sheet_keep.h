/* Private to the CLI: sheets that were approved and submitted. Each is a file beside the store,
 * STORE.sheets/TERRITORY.PERIOD.sheet: who approved and submitted it when, and the content as it
 * was then. Each act is an entry of the signed chain that names the content's digest (decision
 * 0056). */
#ifndef GATEWAY_CLI_SHEET_KEEP_H
#define GATEWAY_CLI_SHEET_KEEP_H

#include "gateway/indicator/indicator.h"

/* Reads a content (report_seal) back and seals it; the caller looks whether that gave the same
 * bytes. ST_CORRUPT: it is none. */
enum st sheet_read(struct report *out, const char *text, struct err *e) ST_MUST_CHECK;

#define SHEET_WHO_MAX 64                           /* bytes of a name */
#define SHEET_FILE_MAX (REPORT_CONTENT_MAX + 1024) /* bytes */
/* Reads the bytes of a file, behind which a NUL stands, into a report with its state, to be closed
 * also after a failure. ST_CORRUPT: not byte for byte as sheet_file_write has it. */
enum st sheet_file_read(struct report *out, const char *text, size_t n,
                        struct err *e) ST_MUST_CHECK;
enum st sheet_file_write(struct buf *out, const struct report *r, struct err *e) ST_MUST_CHECK;

/* What is kept of the sheet, as a report with its state. ST_NOT_FOUND: nothing, it is a draft;
 * ST_CORRUPT: its file is damaged. */
enum st sheet_get(struct report *out, const char *store, const char *territory, const char *period,
                  struct err *e) ST_MUST_CHECK;
/* Approves r, or submits what `kept` (sheet_get) has, where r says the same by now; who does so
 * becomes the author of the entry, whose id goes to hex. ST_CONFLICT: it was submitted, or is not
 * what was approved; ST_NOT_FOUND: it was not approved. Neither the file nor the entry is there
 * without the other: what a kill parted, the next call joins. */
enum st sheet_approve(const char *store, const struct report *r, const char *who, int64_t now_ms,
                      char hex[WIRE_ID_TEXT], struct err *e) ST_MUST_CHECK;
enum st sheet_submit(const char *store, const struct report *r, const char *who, int64_t now_ms,
                     char hex[WIRE_ID_TEXT], struct err *e) ST_MUST_CHECK;

#endif
