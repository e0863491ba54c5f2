/* Private to the CLI: a report in the forms that people hand over (decision 0056). One thread. */
#ifndef GATEWAY_CLI_SHEET_H
#define GATEWAY_CLI_SHEET_H

#include "gateway/indicator/indicator.h"

/* ---- forms: each appends a whole file to out ------------------------------------------------- */

typedef enum st sheet_form_write(struct buf *out, const struct report *r, enum report_language l,
                                 struct err *e);
struct sheet_form {
    const char *name;
    sheet_form_write *write;
    bool people; /* read by people alone: in one language */
};
extern const struct sheet_form sheet_forms[]; /* ends with a NULL name */
sheet_form_write sheet_pdf, sheet_xlsx, sheet_csv, sheet_json, sheet_html;

/* ---- words ----------------------------------------------------------------------------------- */

enum sheet_word {
    SHEET_TITLE,
    SHEET_PERIOD,
    SHEET_FROM,
    SHEET_TO_END,
    SHEET_UNTIL,
    SHEET_NONE_YET,
    SHEET_CLOSED,
    SHEET_TERRITORY,
    SHEET_OFFICE,
    SHEET_DUE,
    SHEET_BEFORE,
    SHEET_NO_DAY,
    SHEET_SITE,
    SHEET_STATE,
    SHEET_VERSION,
    SHEET_INSTEAD_OF, /* the one before; the next, which was submitted, or is not yet */
    SHEET_REPLACED_BY,
    SHEET_NOT_YET,
    SHEET_SUBMITTED_AT,
    SHEET_APPROVED_AT,
    SHEET_DIGEST,
    SHEET_SCAN,
    SHEET_MADE,
    SHEET_PAGE,
    SHEET_CHANGES,
    SHEET_CHANGES_APPROVED,
    SHEET_WAS,
    SHEET_NOW,
    SHEET_WHY,
    SHEET_MET,
    SHEET_MISSED,
    SHEET_YEAR,
    SHEET_LIMIT,
    SHEET_NEEDED,
    SHEET_NOBODY,
    SHEET_CATALOGUE,
    SHEET_ALL_COLUMNS, /* the second sheet of a workbook: at most 31 characters */
    SHEET_WORDS
};
const char *sheet_word(enum sheet_word w, enum report_language l);
const char *sheet_label(enum report_label label, enum report_language l);
const char *sheet_state(enum report_state state, enum report_language l);
/* The heading of what changed since. */
const char *sheet_changes(const struct report *r, enum report_language l);
/* How a SenML unit is written for people: "/100" is "%". */
const char *sheet_unit(const char *unit, enum report_language l);
/* A number with so many decimals and the language's decimal sign; "" for none. signed_: with its
 * sign also where it is positive. */
#define SHEET_NUMBER_BYTES (NUM_TEXT_BYTES + 32)
const char *sheet_number(struct num n, int decimals, bool signed_, enum report_language l,
                         char out[SHEET_NUMBER_BYTES]);
/* Of what is due, in tenths of a percent, rounded down so that 100 is all of it; -1: nothing is. */
int64_t sheet_complete(const struct report_row *x);
/* "14:03 09/06/2026" in UTC+7. */
const char *sheet_time(int64_t t_ms, enum report_language l, char out[64]);

/* ---- what stands in the head and in the cells, the same in every form for people --------------
 */

/* Lines about the sheet: a word and what it says; false: there is no such line. */
#define SHEET_TEXT_BYTES 1024
bool sheet_line(const struct report *r, enum report_language l, size_t i, const char **name,
                char text[SHEET_TEXT_BYTES]);
enum sheet_column {
    SHEET_NUMBER,
    SHEET_INDICATOR,
    SHEET_UNIT,
    SHEET_VALUE,
    SHEET_TARGET,
    SHEET_DISTANCE,
    SHEET_COMPLETE,
    SHEET_OWNER,
    SHEET_COLUMNS
};
const char *sheet_heading(enum sheet_column c, enum report_language l);
/* A cell is some texts, one below the other. */
enum sheet_style { SHEET_PLAIN, SHEET_STRONG, SHEET_SMALL, SHEET_WARNING };
#define SHEET_PIECES 5
struct sheet_piece {
    enum sheet_style style;
    char text[2 * SHEET_TEXT_BYTES];
};
size_t sheet_cell(const struct report *r, size_t row, enum sheet_column c, enum report_language l,
                  struct sheet_piece out[SHEET_PIECES]);
/* A row's value with its unit, or why it has none. */
const char *sheet_figure(const struct report_row *x, enum report_language l,
                         char out[SHEET_TEXT_BYTES]);
/* What is another figure in `now`, a report of the same days: each row that is not as `was` has it,
 * and each that one of the two lacks. Into was->changes, whose texts are its own. Corrections that
 * were sealed since are named where r (may be NULL) has them. */
struct store_reader;
enum st sheet_compare(struct report *was, const struct report *now, struct store_reader *r,
                      struct err *e) ST_MUST_CHECK;
/* The text of the QR code: "FPR1:GATEWAY:TERRITORY:PERIOD:DIGEST". */
#define SHEET_QR_BYTES 320
const char *sheet_qr(const struct report *r, char out[SHEET_QR_BYTES]);

/* ---- all that a row says, one text each: the columns of the CSV ------------------------------ */

enum sheet_kind { SHEET_WORD, SHEET_FREE, SHEET_FIGURE }; /* of ours; of others; a number */
struct sheet_field {
    const char *name; /* ends the table when NULL */
    enum sheet_kind kind;
    const char *(*text)(const struct report *r, const struct report_row *x, char *buf, size_t n);
};
extern const struct sheet_field sheet_fields[];

#endif
