/* Reports: what the indicators of a territory were in a period, as people hand it over (decision
 * 0056). A part of indicator.h, which includes it. For tools, on one thread, without global state.
 */
#ifndef GATEWAY_INDICATOR_REPORT_H
#define GATEWAY_INDICATOR_REPORT_H

#include "gateway/base/buf.h"
#include "gateway/base/cfg.h"
#include "gateway/base/num.h"
#include "gateway/wire/wire.h"

enum report_language { REPORT_VI, REPORT_EN, REPORT_LANGUAGES };

/* ---- periods --------------------------------------------------------------------------------- */

/* How state reports close (Decree 09/2019/ND-CP, Article 12): month M runs from the 15th of the
 * month before to the 14th of M, and longer periods so from their first to their last month. */
enum report_closing { REPORT_CALENDAR, REPORT_ON_14TH };
enum report_kind {
    REPORT_MONTH,
    REPORT_QUARTER,
    REPORT_FIRST_HALF,
    REPORT_SECOND_HALF,
    REPORT_NINE_MONTHS,
    REPORT_YEAR,
    REPORT_RANGE,
    REPORT_KINDS
};
#define REPORT_PERIOD_TEXT 24
struct report_period {
    char text[REPORT_PERIOD_TEXT]; /* as it was asked for */
    enum report_kind kind;
    int year;                    /* whose targets count; of a range: that of its last day */
    unsigned part;               /* month 1 to 12, quarter 1 to 4; else 0 */
    enum report_closing closing; /* of a range: REPORT_CALENDAR */
    int32_t from_day, to_day;    /* since 1970-01-01 in UTC+7, both inclusive */
};
/* "2026-07", "2026-Q3", "2026-H1", "2026-9M", "2026", "2026-01-15..2026-06-14" (both days in it, at
 * most ten years), 2000 to 2099. ST_BAD: what is wrong, and what would be right. */
enum st report_period_parse(struct report_period *out, const char *text,
                            enum report_closing closing, struct err *e) ST_MUST_CHECK;
/* "6 tháng đầu năm 2026", "the first half of 2026"; its days are for the caller to add. */
#define REPORT_NAME_BYTES 96
const char *report_period_name(const struct report_period *p, enum report_language l,
                               char out[REPORT_NAME_BYTES]);
/* "14/06/2026", "14 June 2026". Days outside of the years 0 to 9999: "?". */
#define REPORT_DATE_BYTES 32
const char *report_date(int32_t day, enum report_language l, char out[REPORT_DATE_BYTES]);
int32_t report_day(int year, int month, int day); /* months may overflow: 13 is next January */

/* ---- territories ----------------------------------------------------------------------------- */

/* One file, gateway/indicator/territory/ID.yaml: how a territory reports. */
struct report_duty {
    int period;   /* enum report_kind; REPORT_KINDS: any half of a year */
    char *to;     /* whom it goes to */
    char *before; /* "MM-DD" of the period's year: it is due before that day; NULL: no day given */
    char *source;
};
struct report_territory {
    char *id;   /* the name of the file */
    char *code; /* official, or NULL: not confirmed */
    char *name[REPORT_LANGUAGES];
    char *office; /* who reports, or NULL */
    int closing;  /* enum report_closing */
    char *source;
    struct cfg_items duties; /* struct report_duty */
    struct cfg *cfg;         /* owns it all */
};
/* Finds it by id, code or name in the folders (NULL-terminated; one that is not there is skipped; a
 * later one's file of the same id takes the place of an earlier one's). ST_NOT_FOUND: the nearest
 * and all that there are; ST_BAD: its file is wrong, *complaints (the territory's until it is
 * closed) says where. */
enum st report_territory_open(struct report_territory *out, const char *const *folders,
                              const char *wanted, const char **complaints,
                              struct err *e) ST_MUST_CHECK;
/* The same in the folders of the installed files and of the site (FOLDER/territory, of
 * `indicator.folder`). */
struct indicator_cfg;
enum st report_territory_find(struct report_territory *out, const struct indicator_cfg *cfg,
                              const struct cfg *c, const char *wanted, const char **complaints,
                              struct err *e) ST_MUST_CHECK;
/* Hands over the site's own files, by name: of each the path (borrowed) and the bytes as they were
 * read, which `each` frees. One with mistakes is passed over: no report is made with it. Stops at
 * what is not ST_OK and returns it. */
enum st report_territory_each_own(const struct indicator_cfg *cfg, const struct cfg *c,
                                  enum st (*each)(void *ctx, const char *path, struct buf *bytes,
                                                  struct err *e),
                                  void *ctx, struct err *e) ST_MUST_CHECK;
void report_territory_close(struct report_territory *t); /* takes a zeroed one */
/* Whether that is what a target or a gateway calls this territory. */
bool report_territory_is(const struct report_territory *t, const char *name);
/* The duty that a report of the period fulfils, NULL; *due_day: it is due before that day,
 * INT32_MAX where no day is given. */
const struct report_duty *report_duty_of(const struct report_territory *t,
                                         const struct report_period *p, int32_t *due_day);

/* ---- what a report says ---------------------------------------------------------------------- */

/* Texts are whole UTF-8 without control characters, and never NULL: "" where there is none. All of
 * it belongs to the report. */
enum report_label { REPORT_MEASURED, REPORT_PROXY, REPORT_INDICATIVE, REPORT_LABELS };
extern const char *const report_label_text[REPORT_LABELS]; /* "measured", … */
/* Days that follow each other whose figures have one revision. */
struct report_run {
    int32_t day, days;
    uint32_t revision;
};
struct report_target {
    const char *op; /* "<" "<=" ">" ">=" "=" "!="; "": there is no target */
    struct num value;
    int64_t year; /* the report's, else the next that the plan names, else the last that it named */
    const char *source, *note;
    struct num distance; /* value - target; NUM_NONE without a value */
    bool met;
};
struct report_limit {
    const char *norm, *parameter, *window, *unit; /* "": there is none */
    struct num value;                             /* valid on the last day of the figures */
};
struct report_row {
    const char *id, *instance; /* "" : this site has no figures of it */
    const char *about;         /* the place or device that it is about; "": the site */
    const char *name[REPORT_LANGUAGES], *sentence[REPORT_LANGUAGES];
    const char *reason; /* a word for why there is no value; "": there is one */
    const char *reason_text[REPORT_LANGUAGES];
    const char *unit; /* SenML */
    int decimals;
    enum report_label label;
    struct num value;
    const char *numerator, *denominator; /* exact, "p/q" */
    uint64_t due, good;
    int64_t needed; /* percent of what is due that a value needs */
    struct report_target target;
    struct report_limit limit;
    const char *owner_unit, *owner_person;
    const char *model_type, *model_attribute;
    const struct report_run *runs; /* the days that went in, and which revision of each */
    size_t nruns;
};
enum report_state { REPORT_DRAFT, REPORT_APPROVED, REPORT_SUBMITTED, REPORT_STATES };
extern const char *const report_state_text[REPORT_STATES]; /* "draft", … */
struct report_act {
    const char *who; /* "": it was not done */
    int64_t at_ms;
};
/* What a figure is by now, where that is not what was approved or submitted. */
struct report_change {
    const char *id, *instance;
    const char *name[REPORT_LANGUAGES];
    /* As people read them, and what happened in between. */
    const char *was[REPORT_LANGUAGES], *now[REPORT_LANGUAGES], *why[REPORT_LANGUAGES];
};
/* One of the versions of a sheet: from the second on it takes the place of the one before. */
struct report_version {
    unsigned number;             /* from 1 */
    const char *digest, *reason; /* why it is there; "": the first */
    struct report_act approved, submitted;
};
#define REPORT_ROWS_MAX 512
#define REPORT_CONTENT_MAX ((size_t)1024 * 1024)
struct report_arena;
struct report {
    const char *gateway, *site; /* id and name of the gateway */
    const char *territory, *code, *territory_name[REPORT_LANGUAGES], *office;
    struct report_period period;
    int32_t until_day; /* the last day whose figures went in; before from_day: none yet */
    const char *duty_to, *duty_source;
    int32_t due_day;       /* it is due before that day; INT32_MAX: no day is given */
    const char *catalogue; /* SHA-256 over the catalogue files, in hex */
    struct report_row *rows;
    size_t n;
    /* Of the sheet, and no part of its content: */
    struct buf content; /* the figures as bytes (report_seal) */
    char digest[2 * WIRE_HASH_BYTES + 1];
    int64_t made_ms;
    enum report_state state;
    struct report_act approved, submitted;
    unsigned version;                /* 0: it is not kept */
    const char *replaces, *reason;   /* the digest of the version before, and why; "": the first */
    struct report_version *versions; /* all that are kept, in their order */
    size_t nversions;
    struct report_change *changes;
    size_t nchanges;
    struct report_arena *arena;
};
/* Empty; texts "". Takes no memory. */
void report_init(struct report *r);
void report_done(struct report *r); /* takes a zeroed one */
/* A copy of the text that lives as long as the report, made whole UTF-8 without control characters;
 * NULL text: "". NULL: no memory. And n bytes of zeros. */
const char *report_text(struct report *r, const char *text);
void *report_bytes(struct report *r, size_t n);
/* Appends a text of the report as a string of JSON. */
enum st report_quote(struct buf *out, const char *text) ST_MUST_CHECK;
/* Writes the content: one object of JSON on one line, always the same bytes for the same figures
 * (gateway/doc/report.md); and its digest, SHA-256 in hex. */
enum st report_seal(struct report *r, struct err *e) ST_MUST_CHECK;

/* ---- making one ------------------------------------------------------------------------------ */

struct indicators;
struct store;
struct store_reader;
struct report_ask {
    const char *gateway, *site; /* id and name; NULL: none */
    const struct report_territory *territory;
    const struct report_period *period;
    int64_t now_ms;    /* UTC: days that are not over are not in it */
    int32_t until_day; /* nor those behind this one; INT32_MAX: no such limit */
    /* Where they are known: names and places of devices. NULL: ids alone. */
    const struct store *names;
};
/* A row for each of the site's figures, and for each indicator that the territory has a target of;
 * by id. Figures are those of the days up to `until_day`: the last that is over; up to two days
 * less where the gateway is about to compute them. What is missing of older days counts as missing.
 * It is sealed (report_seal); a draft. ST_BAD: the configuration has no indicators. Close with
 * report_done, also after a failure. */
enum st report_make(struct report *out, const struct indicators *x, const struct report_ask *ask,
                    struct store_reader *r, struct err *e) ST_MUST_CHECK;

#endif
