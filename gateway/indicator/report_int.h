/* Indicator: what the files of reports share. */
#ifndef GATEWAY_INDICATOR_REPORT_INT_H
#define GATEWAY_INDICATOR_REPORT_INT_H

#include "gateway/indicator/indicator_int.h"

/* config.c: the site's own folder as a whole path, the caller's to free; NULL: no memory. */
char *indicator_folder(const struct cfg *c, const char *folder);

/* ---- report_rows.c: one row from a definition, and the periods that a store has of it ----------
 */

/* Where periods come from: a store, or a test. */
struct report_figure { /* of one hour or day */
    int64_t from_ms;
    uint32_t revision;
    const struct fold_result *r;
};
typedef enum st report_take(void *ctx, const struct report_figure *f);
struct report_source {
    void *ctx;
    /* Tells each instance that it has figures of, of whatever time. */
    enum st (*instances)(void *ctx, enum st (*each)(void *each_ctx, const char *instance),
                         void *each_ctx, struct err *e);
    /* Hands over those of the instance that begin within [from_ms, to_ms), in order. What `take`
     * returns beyond ST_OK ends it, and is returned. */
    enum st (*figures)(void *ctx, const char *instance, int64_t from_ms, int64_t to_ms,
                       report_take *take, void *take_ctx, struct err *e);
};
/* What is said of the definition: its texts, its target for the territory and year, its limit. The
 * reason is that this site has no such figure. */
enum st report_row_of(struct report *r, struct report_row *x, const struct indicator_def *d,
                      const struct indicator_catalogue *c, const struct report_territory *t,
                      struct err *e) ST_MUST_CHECK;
/* And its figures: value, or the reason why there is none. *any: the source had some. */
enum st report_row_fill(struct report *r, struct report_row *x, const struct indicator_def *d,
                        const struct report_territory *t, const struct report_source *s, bool *any,
                        struct err *e) ST_MUST_CHECK;
/* The target that counts in that year, NULL. */
const struct indicator_target *report_target_of(const struct indicator_def *d,
                                                const struct report_territory *t, int year);

/* ---- report.c -------------------------------------------------------------------------------- */

/* report_make from another source, whose figures are computed up to done_ms. */
enum st report_make_from(struct report *out, const struct indicator_catalogue *c,
                         const struct report_ask *ask, const struct report_source *s,
                         int64_t done_ms, struct err *e) ST_MUST_CHECK;

#endif
