/* Private to thin.c and values.c. Writer thread only. */
#ifndef GATEWAY_SEAL_THIN_INT_H
#define GATEWAY_SEAL_THIN_INT_H

#include <string.h>

#include "gateway/seal/seal_int.h"

#define SEAL_ROW_MAX 32                /* batches of one step */
#define SEAL_ALIGN_MS (15 * 60 * 1000) /* the longest interval of a thinned value */
#define SEAL_GAPS_MAX 1000             /* of one header */
#define SEAL_NAME_BYTES 80

enum what {
    SEAL_RAW,
    SEAL_COUNT,
    SEAL_MEAN,
    SEAL_MIN,
    SEAL_MAX,
    SEAL_FIRST,
    SEAL_LAST,
    SEAL_WHATS
};
/* "", ":count", … */
extern const char *const seal_suffix[SEAL_WHATS];
/* Length of the intervals of a level. */
extern const int64_t seal_step_ms[STORE_LEVELS];

/* One record, read or to be written. Spans point into the batches. */
struct item {
    int64_t t_ms;
    struct num v;
    struct wire_span device, point, unit;
    uint32_t at; /* its place among its like */
    uint8_t what, q;
};
/* One step's work. */
struct thin {
    struct seal *l;
    enum store_level level;
    struct store_unsent_batch row[SEAL_ROW_MAX];
    size_t nrow;
    struct buf cose[SEAL_ROW_MAX];
    struct wire_batch batch[SEAL_ROW_MAX];
    struct item *in, *out;
    size_t nin, nout;
    struct wire_gap gap[SEAL_GAPS_MAX];
    size_t ngap;
    char *name[SEAL_GAPS_MAX]; /* of the gaps that this step adds */
    size_t nname;
    bool gain; /* some series became shorter */
};

static inline int span_cmp(struct wire_span a, struct wire_span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : a.n < b.n ? -1 : a.n > b.n;
}

/* values.c */

/* Splits "point:mean" into point and what; a name without a suffix is raw. */
void seal_name_split(struct item *x, struct wire_span name);
/* Thins the n items of one series, in order of time, into t->out, or passes them on as they are
 * where that is shorter or the level does not touch them; says whether they are thinned values
 * then. t->out has room for n more. */
bool seal_thin_series(struct thin *t, const struct item *x, size_t n);

#endif
