/* Private to the rescue (decision 0016): rescue.c is its course, rescue_old.c its beginning,
 * rescue_batch.c takes one batch. Writer only. */
#ifndef GATEWAY_STORE_RESCUE_INT_H
#define GATEWAY_STORE_RESCUE_INT_H

#include "gateway/store/damage.h"
#include "gateway/store/page.h"

struct store_tally {
    int64_t batches, bytes, readings, unreadable, skipped;
};
struct store_rescue {
    struct store *s;
    char stamp[STORE_STAMP_BYTES];
    char *path; /* of the dated database */
    struct store_db src;
    bool readable; /* by SQL */
    struct store_pages *pages;
    int64_t at, count;
    struct store_tally sum, part;
    struct store_amount part_unsent[STORE_UPLINKS];
    struct buf raw;
    uint64_t epoch; /* of the new store while the frames stand as they were read */
    size_t nold;    /* frames in RAM that came with the journals */
    bool *sealed;   /* per frame: a rescued batch has it */
};

/* The key in `meta` that says that this set was begun. */
void store_rescue_key(const struct store_rescue *r, char *out, size_t n);
/* One transaction, once for each set: the small tables and the journals. */
enum st store_rescue_begin(struct store_rescue *r, struct err *e) ST_MUST_CHECK;
/* Inside a transaction: takes the row when it is a batch that is proven and not here yet. ctx: the
 * rescue. */
enum st store_rescue_row(void *ctx, int64_t rowid, struct wire_span blob,
                         struct err *e) ST_MUST_CHECK;

#endif
