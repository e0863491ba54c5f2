/* Indicators: the figures of the wards' plans, computed from readings where the data is, by a
 * catalogue of data files, so that anyone can compute them again (gateway/doc/indicator.md).
 * Results are readings. */
#ifndef GATEWAY_INDICATOR_INDICATOR_H
#define GATEWAY_INDICATOR_INDICATOR_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/indicator/alarm.h"
#include "gateway/indicator/report.h"
#include "gateway/store/store.h"

/* Section `indicator`; absent: nothing is computed. */
struct indicator_cfg {
    struct cfg_strings use;  /* ids; none: all whose inputs are there and that are not `off` */
    char *folder;            /* a site's own files, or NULL */
    struct cfg_items params; /* {indicator id: {param: number}} */
};
extern const struct cfg_table indicator_cfg_table;

struct indicators;
/* Loads the catalogue: the installed files, and those of cfg->folder, which lies beside the
 * configuration when it is no whole path. Every mistake, of the files and of the section, is
 * complained about in c. cfg is borrowed. Without the section there is no catalogue. *out is the
 * caller's to close, also after a failure. ST_BAD, ST_MEMORY. */
enum st indicators_open(struct indicators **out, const struct indicator_cfg *cfg, struct cfg *c,
                        struct err *e) ST_MUST_CHECK;
/* Finds the instances among the devices and series of the store, and adds their own: after all
 * other rooms have declared theirs. */
enum st indicators_declare(struct indicators *x, struct store *s, struct err *e) ST_MUST_CHECK;
void indicators_close(struct indicators *x); /* takes NULL */
/* The i-th file of cfg->folder, as collect_profile_take has those of profiles: its path (borrowed),
 * NULL behind the last. bytes: as they were read, the caller's to free, the first time that they
 * are asked for. */
const char *indicators_take(struct indicators *x, size_t i, struct buf *bytes);

/* ---- about the catalogue -------------------------------------------------------------------- */

#define INDICATOR_WANTS_BYTES 512
#define INDICATOR_NUMBER_BYTES 48
struct indicator_about_input {
    const char *id;
    char wants[INDICATOR_WANTS_BYTES]; /* "energy_import; role: grid" */
    bool optional;
    bool matches; /* once declared: a series of this site fits it, or such an indicator is computed
                   */
};
struct indicator_about_param {
    const char *id;
    char value[INDICATOR_NUMBER_BYTES]; /* as this site has it */
};
struct indicator_about_target {
    const char *territory, *op, *source, *note; /* note may be NULL */
    int64_t year;
    char value[INDICATOR_NUMBER_BYTES];
};
/* One indicator; a text that is not in its file is NULL. */
struct indicator_about {
    const char *id, *path, *vi, *en, *quantity, *unit, *label, *sentence_vi, *sentence_en;
    const char *period, *longer, *by;
    int64_t completeness;
    bool off, used; /* used: the site computes it where its series are there */
    const char *formula, *numerator, *denominator, *reason_vi, *reason_en;
    char factor[INDICATOR_NUMBER_BYTES];
    const char *norm, *parameter, *window, *owner_unit, *owner_person, *type, *attribute;
    const struct indicator_about_input *inputs;
    const struct indicator_about_param *params;
    const struct indicator_about_target *targets;
    size_t ninputs, nparams, ntargets;
    const char *const *fed; /* once declared: the devices of its values, one for each place, … */
    size_t nfed;
};
/* The catalogue as it is installed, without any site. Its mistakes are in `complaints`, each
 * "file:line:col: …\n", and then it is ST_BAD; *out is the caller's to close in every case. */
enum st indicators_installed(struct indicators **out, struct buf *complaints,
                             struct err *e) ST_MUST_CHECK;
/* Hands the indicators to take, all in the order of their ids, or the one with this id; what it
 * gets lives until it returns. ST_NOT_FOUND: there is no such id, *near has the nearest (or NULL).
 * Stops at what is not ST_OK and returns it. s: the store in which x was declared, or NULL. */
enum st indicators_tell(const struct indicators *x, const struct store *s, const char *id,
                        enum st (*take)(const struct indicator_about *a, void *arg), void *arg,
                        const char **near) ST_MUST_CHECK;

/* A device of the site that measures what its indicators are made of and feeds none with it, for
 * the configuration does not say where it stands, which part it has or which waste it measures. */
struct indicator_unfed {
    const char *device;
    char why[INDICATOR_WANTS_BYTES]; /* "it has no `place`, so that no indicator is computed from
                                        pm25, pm10; with it: air-aqi-day" */
};
/* Hands all of them to take, once x was declared in s; what it gets lives until it returns. */
void indicators_unfed(const struct indicators *x, const struct store *s,
                      void (*take)(const struct indicator_unfed *u, void *arg), void *arg);

/* Whether that device id is, or begins as, one of a figure's results: a device of the site cannot
 * have it. false without the section. */
bool indicators_id_used(const struct indicators *x, const char *id);
/* Whether anything is computed: indicators_main has something to do. */
bool indicators_any(const struct indicators *x);
struct indicators_job {
    struct indicators *indicators;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
};
void indicators_main(void *indicators_job);

#endif
