/* Indicator: what its files share. What a figure is, rule by rule: gateway/doc/indicator.md. */
#ifndef GATEWAY_INDICATOR_INDICATOR_INT_H
#define GATEWAY_INDICATOR_INDICATOR_INT_H

#include <gmp.h>

#include "gateway/base/cfg.h"
#include "gateway/base/err.h"
#include "gateway/base/num.h"
#include "gateway/indicator/indicator.h"
#include "sensors/quantity.h"

#define INDICATOR_INPUTS_MAX 24
#define INDICATOR_HOURS 24
#define INDICATOR_HOUR_MS INT64_C(3600000)
#define INDICATOR_DAY_MS (INDICATOR_HOURS * INDICATOR_HOUR_MS)
#define INDICATOR_ZONE_MS (7 * INDICATOR_HOUR_MS) /* UTC+7, without summer time */
/* The day (counted from 1970-01-01 in UTC+7) of a time, and when a day begins, in UTC. */
int32_t indicator_day_of(int64_t t_ms);
int64_t indicator_day_ms(int32_t day);

/* ---- catalogue.c, norm.c: data files ------------------------------------------------------- */

enum indicator_label { INDICATOR_MEASURED, INDICATOR_PROXY, INDICATOR_INDICATIVE };
enum indicator_period { INDICATOR_HOUR, INDICATOR_DAY };
enum indicator_longer {
    INDICATOR_RATIO,
    INDICATOR_SUM,
    INDICATOR_MEAN,
    INDICATOR_MAX,
    INDICATOR_MIN,
    INDICATOR_NONE
};
enum indicator_by { INDICATOR_SITE, INDICATOR_PLACE, INDICATOR_DEVICE };

struct indicator_text {
    char *vi, *en;
};
struct indicator_input {
    char *id; /* the name in formulas; first: cfg.h */
    struct cfg_strings quantity, role, stream, place, device;
    struct cfg_strings point; /* names of points, where a quantity has several (rsrp, nr_rsrp) */
    char *indicator;          /* in place of quantity: the values of that one */
    bool optional;
};
struct indicator_param {
    char *id;
    struct num value;
};
struct indicator_target {
    char *territory;
    int64_t year;
    int op; /* enum indicator_op */
    struct num value;
    char *source, *note; /* note may be NULL */
};
enum indicator_op {
    INDICATOR_LT,
    INDICATOR_LE,
    INDICATOR_GT,
    INDICATOR_GE,
    INDICATOR_EQ,
    INDICATOR_NE
};
struct indicator_def {
    char *id;
    struct indicator_text name, sentence, reason;
    char *quantity, *unit;
    int label, period, longer, by; /* enums above */
    int64_t completeness;          /* percent */
    bool off;
    struct cfg_items inputs, params, targets; /* indicator_input, _param, _target */
    char *formula, *numerator, *denominator;
    struct num factor;
    struct cfg_items require; /* struct cfg_strings each (names of inputs) */
    struct {
        char *norm, *parameter, *window;
    } limit;
    struct {
        char *unit, *person;
    } owner;
    struct {
        char *type, *attribute;
    } model;
    /* Made from the texts: */
    const struct quantity *q;
    const struct quantity **quantities; /* one for each input: its first; NULL: `any` */
    struct formula *num, *den;          /* den NULL: one formula */
};

/* A table of a norm, and its limits. All numbers are decimals. */
struct indicator_column {
    char *id;              /* "pm25", "o3_1h" */
    char *unit;            /* of its breakpoints */
    struct cfg_strings bp; /* decimal texts, one for each index; "-": none from there on */
};
struct indicator_limit {
    char *parameter, *unit; /* "pm25", "ug/m3" */
    char *window;           /* "1h", "8h", "24h", "year" */
    struct num value;
    char *from, *until;          /* as they stand in the file; NULL: open */
    int32_t from_day, until_day; /* inclusive; INT32_MIN, INT32_MAX: open */
    char *source;
};
struct indicator_norm {
    char *id;
    struct indicator_text name;
    char *source;
    struct cfg_strings index; /* the table's index values, decimal texts; may be empty */
    struct cfg_items column;  /* struct indicator_column */
    struct cfg_items limit;   /* struct indicator_limit, once its dates are read */
};

#define INDICATOR_FILES_MAX 256
#define INDICATOR_FILE_MAX_BYTES (64 * 1024)
#define INDICATOR_COMPLAINTS_MAX_BYTES (256 * 1024) /* enough for `complaints` */

#define INDICATOR_ANY "any" /* an input's quantity: every series that is a number */

struct indicator_catalogue;
/* Loads and checks all files of the folders (NULL-terminated): FOLDER/ID.yaml are indicators,
 * FOLDER/norm/ID.yaml norms; a later folder's file of the same id takes the place of an earlier
 * one's. ST_BAD: every mistake of every file is in `complaints`, each "file:line:col: …\n", and
 * *out has what there is (for `fieldpost indicators`): it is not to be computed from. *out is the
 * caller's to close in every case; NULL: no memory. */
enum st indicator_catalogue_open(struct indicator_catalogue **out, const char *const *folders,
                                 struct buf *complaints, struct err *e) ST_MUST_CHECK;
/* The same, with what a site sets of the params (indicator_cfg.params); an id or a param that there
 * is not is complained about in c. Both NULL: none. */
enum st indicator_catalogue_open_for(struct indicator_catalogue **out, const char *const *folders,
                                     const struct indicator_cfg *site, struct cfg *c,
                                     struct buf *complaints, struct err *e) ST_MUST_CHECK;
void indicator_catalogue_close(struct indicator_catalogue *c);
size_t indicator_catalogue_count(const struct indicator_catalogue *c);
/* In an order in which an indicator comes after those whose values it takes. */
const struct indicator_def *indicator_catalogue_at(const struct indicator_catalogue *c, size_t i);
const struct indicator_def *indicator_catalogue_find(const struct indicator_catalogue *c,
                                                     const char *id);
const struct indicator_norm *indicator_norm_find(const struct indicator_catalogue *c,
                                                 const char *id);
/* The file that it is from; d is one of this catalogue. */
const char *indicator_catalogue_path(const struct indicator_catalogue *c,
                                     const struct indicator_def *d);
/* SHA-256 over the files that were loaded, by their names in order: name ("ID.yaml",
 * "norm/ID.yaml"), NUL, bytes. */
const uint8_t *indicator_catalogue_hash(const struct indicator_catalogue *c);
/* indicators_take. */
const char *indicator_catalogue_take(struct indicator_catalogue *c, size_t i, struct buf *bytes);
/* The limit that is valid on that day, NULL. */
const struct indicator_limit *indicator_limit_on(const struct indicator_norm *n,
                                                 const char *parameter, const char *window,
                                                 int32_t day);

/* config.c: a catalogue and what of it a site wants. */
struct indicators {
    const struct indicator_cfg *cfg;       /* NULL: of no site */
    struct indicator_catalogue *catalogue; /* NULL: there is no section `indicator` */
    struct instances *instances;           /* instances.c; NULL before indicators_declare */
    uint32_t age_device, age_series;       /* age.c */
};
/* Whether the site wants it: it is named in `use`, or there is none and it is not `off`, or one
 * that it wants takes its values; and it is no target alone. */
bool indicator_is_used(const struct indicators *x, const struct indicator_def *d);

/* "2026-01-01" as a day, counted from 1970-01-01. false: it is no date. */
bool indicator_date_parse(const char *text, int32_t *day);

/* Private to catalogue.c, def.c, norm.c and refer.c: one loaded file. */
#define INDICATOR_NORM_PREFIX "norm/"
struct indicator_file {
    char *path, *name; /* "air-aqi-hour.yaml", "norm/vn-aqi.yaml" */
    bool is_norm;
    bool own;        /* of the site's folder */
    struct buf raw;  /* of one of these: its bytes, until they are taken */
    struct cfg *cfg; /* owns what is filled in; NULL: it could not be read */
    struct indicator_def def;
    struct indicator_norm norm;
    bool good; /* its own checks found nothing */
};
extern const struct cfg_table indicator_def_table, indicator_norm_table, indicator_text_table;
extern const struct cfg_word indicator_label_words[], indicator_period_words[],
    indicator_longer_words[], indicator_by_words[], indicator_op_words[];
/* The word of a value; every value of these enums has one. */
const char *indicator_word(const struct cfg_word *words, int value);
void indicator_def_check(struct indicator_file *f);
void indicator_norm_check(struct indicator_file *f);
/* What files say of each other: inputs, limits, formulas. `order` (room for n) gets the indices of
 * the indicators that were read, *norder of them, each after those whose values it takes. */
enum st indicator_refer(struct indicator_file *files, size_t n, size_t *order, size_t *norder,
                        struct err *e) ST_MUST_CHECK;
/* Sets the params that a site sets, before formulas are parsed; complains in c. */
void indicator_params_set(const struct indicator_cfg *site, struct cfg *c,
                          struct indicator_file *files, size_t n);
/* A unit of the configuration's texts: NULL and "1" are a bare number. */
bool indicator_same_unit(const char *a, const char *b);

/* ---- formula.c: text to a tree, checked ------------------------------------------------------ */

/* What a formula may name. Input i of `quantities[i]`: the first quantity of the input (its unit is
 * the input's; all quantities of one input have the same unit, which the catalogue checks). NULL:
 * the input is of `any`. */
struct formula_scope {
    const struct indicator_def *def;
    const struct quantity *const *quantities; /* one for each input */
    const struct indicator_norm *(*norm)(void *ctx, const char *id);
    void *ctx;
};
struct formula;
/* Parses and checks; *unit is its unit (NULL: a bare number), borrowed from the quantities. ST_BAD:
 * e says what; *at is the offset in text. Bounded: 4 KiB of text, depth 16, 256 nodes. */
enum st formula_parse(struct formula **out, const char *text, const struct formula_scope *scope,
                      const char **unit, size_t *at, struct err *e) ST_MUST_CHECK;
void formula_free(struct formula *f);

/* ---- fold.c: readings of one day of one instance into what its formulas need ------------------
 */

/* One series of an instance, as it stands on one day. */
struct fold_series {
    uint32_t input;    /* index of the def's input */
    uint32_t device;   /* any number that says which; for COND: the same device, the same time */
    int64_t period_ms; /* 0: owes nothing */
    int64_t due_from_ms, due_to_ms; /* UTC: it belongs to the input then (validity), half-open */
    struct num capacity;            /* of its device in litres; NUM_NONE */
    const struct quantity *quantity;
};
struct fold_reading {
    uint32_t series; /* index of the instance's series */
    int64_t t_ms;
    struct num v;
    uint16_t q;
};
/* A meter's change: the old one would have shown `last`, the new one `first`. */
struct fold_meter {
    uint32_t series;
    int64_t at_ms;
    struct num last, first;
};
enum fold_reason {
    FOLD_OK,
    FOLD_INCOMPLETE,
    FOLD_MISSING,
    FOLD_DIVISION,
    FOLD_COUNTER,
    FOLD_RANGE,
    FOLD_NORM,
    FOLD_NO_HOURS,
    FOLD_REASONS
};
extern const char *const fold_reason_text[FOLD_REASONS]; /* "incomplete", … */
/* What came out for one period. Rationals are exact. */
struct fold_result {
    int64_t from_ms, to_ms;
    enum fold_reason reason;
    struct num value; /* rounded to the quantity's decimals; NUM_NONE with a reason */
    mpq_t num, den;   /* den 1 of a formula; 0/1 where there is none */
    bool has_num, has_den;
    uint64_t due, good;
};
struct fold;
/* A fold of one day. It wants, in order of time within each series: the last good reading of each
 * series before the day, and readings of the 11 hours before it where fold_reaches says so, then
 * those of the day. Between series any order will do; in order of time over all it is smallest.
 * The def, its formulas and its norms stay until it is closed. A reading that goes back in time
 * within its series is refused with ST_CONFLICT (nothing changed): the caller sorts that series and
 * folds the day anew. */
enum st fold_open(struct fold **out, const struct indicator_def *def, int32_t day,
                  const struct fold_series *series, size_t nseries, struct err *e) ST_MUST_CHECK;
void fold_close(struct fold *f);
int64_t
fold_reaches_ms(const struct indicator_def *def); /* how far before the day it looks: 0, 11 h */
enum st fold_meters(struct fold *f, const struct fold_meter *m, size_t n,
                    struct err *e) ST_MUST_CHECK; /* before any reading; copied; those since the
                                          last good reading before the day, in any order */
enum st fold_put(struct fold *f, const struct fold_reading *r, struct err *e) ST_MUST_CHECK;
/* The period that begins at from_ms (an hour of the day, or the day) as of all that was put; out is
 * initialised by the caller with fold_result_init and may be used again. now_ms: what is due is
 * reckoned up to here (INT64_MAX: the whole period). */
void fold_result_init(struct fold_result *r);
void fold_result_done(struct fold_result *r);
enum st fold_result(struct fold *f, int64_t from_ms, int64_t now_ms, struct fold_result *out,
                    struct err *e) ST_MUST_CHECK;
size_t fold_bytes(const struct fold *f); /* memory that it holds, for the budget */

/* Longer periods from days: longer_int.h. What a day keeps, as text so that it is read for years:
 * rationals "p/q", value a decimal. */
#define PARTIAL_TEXT_BYTES 640
#include "gateway/indicator/longer_int.h"

/* Distance to a target: value - target, exactly; NUM_NONE where one has no value, or it does not
 * fit. And whether it is met; never, without a value. */
struct num indicator_distance(struct num value, struct num target);
bool indicator_met(struct num value, enum indicator_op op, struct num target);
/* Whether `a op b`, where cmp is what comparing them gave. */
bool indicator_holds(int cmp, enum indicator_op op);

#endif
