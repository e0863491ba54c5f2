/* Longer: months, quarters and years from days, by the def's `longer`. */
#ifndef GATEWAY_INDICATOR_LONGER_INT_H
#define GATEWAY_INDICATOR_LONGER_INT_H

#include "gateway/indicator/indicator_int.h"

struct longer;
enum st longer_open(struct longer **out, const struct indicator_def *def,
                    struct err *e) ST_MUST_CHECK;
/* A day, or an hour of an indicator by the hour. Of one that was never there: what was due, reason
 * `missing`, no numerator. */
enum st longer_add(struct longer *l, const struct fold_result *day, struct err *e) ST_MUST_CHECK;
/* Of all that was added; the completeness rule is applied here, over all of it. out->num and den:
 * the sums of a ratio; the sum of the values and how many for a mean; the value and 1 else. */
enum st longer_result(struct longer *l, struct fold_result *out, struct err *e) ST_MUST_CHECK;
void longer_close(struct longer *l);

#endif
