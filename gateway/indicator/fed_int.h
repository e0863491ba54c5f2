/* Indicator: what the configuration said of each series, day by day, as it is kept over a start. */
#ifndef GATEWAY_INDICATOR_FED_INT_H
#define GATEWAY_INDICATOR_FED_INT_H

#include "gateway/indicator/instances_int.h"

/* One time of a series; those of one series follow each other, in order, and fill all time. Of a
 * figure, too: its device is "=ID", and nothing but a place is said of it. */
struct fed_line {
    const char *device, *point, *quantity;
    int32_t gone;                /* the first day without it; INT32_MAX: it is there */
    int32_t from_day, until_day; /* inclusive */
    const char *role, *stream, *place, *capacity;
};
struct fed {
    char *text; /* the lines' */
    struct fed_line *line;
    uint32_t n;
};
/* The text as lines; what another version wrote is none. ST_MEMORY; fed_done takes it in any case.
 */
enum st fed_read(struct fed *out, struct wire_span text, struct err *e) ST_MUST_CHECK;
void fed_done(struct fed *f);
/* What the configuration says now, and behind it what was there before (`was`) and is no longer:
 * gone since `day`, or since earlier; forgotten when that is `forget_before` or earlier. */
enum st fed_text(struct buf *out, const struct instances *in, const struct store *s,
                 const struct fed *was, int32_t day, int32_t forget_before,
                 struct err *e) ST_MUST_CHECK;
/* Tells the days on which something else is said now of a series that was there before. */
void fed_compare(const struct fed *was, const struct fed *now,
                 void (*differs)(void *ctx, int32_t from_day, int32_t until_day), void *ctx);
/* Tells the figures of the one that the other has not. */
void fed_figures_but(const struct fed *of, const struct fed *but,
                     void (*each)(void *ctx, const char *figure), void *ctx);
/* Leaves what is gone alone; where nothing is, no memory. */
void fed_keep_gone(struct fed *f);
/* A line of what is gone and was an input of that instance on that day; NULL. device: its store's,
 * where it is about one; else NULL. */
const struct fed_line *fed_gone_of(const struct fed *gone, const struct instance *i,
                                   const char *device, int32_t day);

#endif
