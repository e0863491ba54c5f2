/* What only events tell: how the run before ended, what the city made of a chain, what was refused.
 * The list of events is walked once; then only what is new. */
#include "gateway/web/advice_int.h"

#include <string.h>

#define FIRST_LOOK 10000 /* events; more than a store keeps of the days that count */

static const char *const codes[WEB_TOLD_KINDS] = {[WEB_TOLD_START] = "start",
                                                  [WEB_TOLD_STOP] = "stop",
                                                  [WEB_TOLD_POWER_CUT] = "power.cut",
                                                  [WEB_TOLD_KILLED] = "run.killed",
                                                  [WEB_TOLD_CONFLICT] = "chain.conflict",
                                                  [WEB_TOLD_BEHIND] = "chain.behind",
                                                  [WEB_TOLD_CONFIG] = "config.refused",
                                                  [WEB_TOLD_SIGNER_DOWN] = "signer.down",
                                                  [WEB_TOLD_SIGNER_ENDED] = "signer.ended",
                                                  [WEB_TOLD_SIGNER_UP] = "signer.up"};

struct walk {
    struct web_told *t;
    int64_t newest;
};

static bool take(void *ctx, const struct store_event *v)
{
    struct walk *w = ctx;
    if (v->id <= w->t->seen)
        return false;
    if (v->id > w->newest)
        w->newest = v->id;
    for (size_t i = 0; i < WEB_TOLD_KINDS; i++)
        if (strcmp(codes[i], v->code) == 0 && v->id > w->t->last[i].id)
            w->t->last[i] = (struct web_told_event){v->id, v->t_ms, v->grade};
    return true;
}

enum st web_told_look(struct web_told *t, struct store_reader *r, struct err *e)
{
    struct walk w = {t, t->seen};
    ERR_TRY(store_each_event(r, 0, FIRST_LOOK, take, &w, e));
    t->seen = w.newest;
    return ST_OK;
}

/* Time since boot goes on in this run: an event of it gets its date when there is one. */
int64_t web_told_ms(const struct web_told *t, enum web_told_kind kind, struct clk_time now,
                    struct mono mono)
{
    const struct web_told_event *v = &t->last[kind];
    bool ours = v->id > t->last[WEB_TOLD_STOP].id && v->id >= t->last[WEB_TOLD_POWER_CUT].id &&
                v->id >= t->last[WEB_TOLD_KILLED].id;
    if (v->grade != CLK_UNKNOWN)
        return v->t_ms;
    return ours && now.grade != CLK_UNKNOWN
               ? now.utc_ms - (mono.ms - (v->t_ms - CLK_UNKNOWN_BASE_MS))
               : 0;
}
