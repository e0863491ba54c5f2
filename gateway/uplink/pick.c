/* What an uplink sends next. */
#include <string.h>

#include "gateway/uplink/uplink_int.h"

#define HELD_MS 60000

void uplink_hold_for(struct uplink *u, int64_t id, int64_t ms)
{
    struct mono now = clk_mono(u->job->clk);
    if (u->nheld == UPLINK_HELD_MAX) {
        memmove(u->held, u->held + 1, (UPLINK_HELD_MAX - 1) * sizeof(u->held[0]));
        u->nheld--;
    }
    u->held[u->nheld++] = (struct uplink_held){id, {now.ms + ms}};
}

void uplink_hold(struct uplink *u, int64_t id)
{
    uplink_hold_for(u, id, HELD_MS);
}

/* What the city has lost, when its turn is. */
static enum st pick_again(struct uplink *u, const int64_t *but, size_t n, struct store_batch *b,
                          struct err *e)
{
    if (u->again_id == 0 || u->again_due.ms > clk_mono(u->job->clk).ms) {
        return ST_NOT_FOUND;
    }
    enum st st = store_pick_batch_but(u->reader, u->id, STORE_PICK_CONTROL, but, n, b, e);
    if (st == ST_NOT_FOUND) {
        st = store_pick_batch_but(u->reader, u->id, STORE_PICK_OLDEST, but, n, b, e);
    }
    if (st == ST_NOT_FOUND) {
        u->again_id = 0; /* all of it is sent */
    }
    return st;
}

/* What urges, in order: two of them can lie before the newest. */
static enum st pick_urgent(struct uplink *u, const int64_t *but, size_t n, struct store_batch *b,
                           struct err *e)
{
    int64_t id;
    while ((id = store_urgent_behind(u->job->store, u->urgent_id)) != 0) {
        enum st st =
            store_pick_batch_above(u->reader, u->id, STORE_PICK_OLDEST, id - 1, but, n, b, e);
        if (st != ST_NOT_FOUND && (st != ST_OK || b->id == id))
            return st;
        u->urgent_id = id; /* the city has it, or it is on its way or held */
    }
    return ST_NOT_FOUND;
}

bool uplink_urged(const struct uplink *u)
{
    return store_urgent_behind(u->job->store, u->urgent_id) != 0;
}

/* What urges first, then control, the newest when it is new, the oldest, and last what the city has
 * lost. What is on its way or held is passed over. */
enum st uplink_pick(struct uplink *u, enum store_spend spend, struct store_batch *b, bool *backfill,
                    struct err *e)
{
    int64_t but[UPLINK_HELD_MAX + UPLINK_RUN_MAX];
    size_t n = 0, kept = 0;
    int64_t now_ms = clk_mono(u->job->clk).ms;
    for (size_t i = 0; i < u->nheld; i++) {
        if (u->held[i].until.ms > now_ms) {
            u->held[kept++] = u->held[i];
            but[n++] = u->held[i].id;
        }
    }
    u->nheld = kept;
    for (size_t i = 0; i < u->run.count; i++) {
        but[n++] = u->run.sent[i].id;
    }
    *backfill = false;
    enum st st = pick_urgent(u, but, n, b, e);
    if (st != ST_NOT_FOUND || spend == STORE_SPEND_NOTHING) {
        return st;
    }
    st = store_pick_batch_above(u->reader, u->id, STORE_PICK_CONTROL, u->again_id, but, n, b, e);
    if (st != ST_NOT_FOUND) {
        return st;
    }
    st = store_pick_batch_above(u->reader, u->id, STORE_PICK_NEWEST, u->again_id, but, n, b, e);
    if (st != ST_NOT_FOUND && (st != ST_OK || b->id > u->live_id)) {
        return st;
    }
    if (spend != STORE_SPEND_ALL) {
        return ST_NOT_FOUND;
    }
    *backfill = true;
    st = store_pick_batch_above(u->reader, u->id, STORE_PICK_OLDEST, u->again_id, but, n, b, e);
    return st == ST_NOT_FOUND ? pick_again(u, but, n, b, e) : st;
}
