/* The age of data that is not sent: a series of the gateway's own, which figures may be made of. */
#include "gateway/indicator/run_int.h"

#define EVERY_MS INT64_C(300000)
#define LATE_MS 5000 /* up to here the tick stands for it */

enum st run_age_declare(struct indicators *x, struct store *s, struct err *e)
{
    const struct store_device d = {
        .id = "fieldpost", .source = "indicator", .model = "fieldpost", .period_ms = EVERY_MS};
    ERR_TRY(store_add_device(s, &d, &x->age_device, e));
    const struct store_series a = {.device = x->age_device,
                                   .point = "unsent_age",
                                   .quantity = quantity_by_key("data_age"),
                                   .period_ms = EVERY_MS};
    return store_add_series(s, &a, &x->age_series, e);
}

/* Of the oldest reading, in whole seconds; NUM_NONE: not known. */
static struct num age_of(struct run *r, const struct clk_time *now)
{
    int64_t from_ms = 0;
    if (now->grade == CLK_UNKNOWN || store_unsent_since(r->reader, &from_ms, NULL) != ST_OK ||
        from_ms < 2 * CLK_UNKNOWN_BASE_MS)
        return (struct num){.kind = NUM_NONE};
    return num_dec(now->utc_ms > from_ms ? (now->utc_ms - from_ms) / 1000 : 0, 0);
}

void run_age(struct run *r)
{
    struct clk_time now = clk_now(r->clk);
    int64_t tick_ms = now.utc_ms - now.utc_ms % EVERY_MS;
    if (tick_ms == r->age_tick_ms)
        return;
    if (now.utc_ms - tick_ms <= LATE_MS)
        now.utc_ms = tick_ms;
    const struct store_poll p = {.device = r->x->age_device,
                                 .due_ms = tick_ms,
                                 .t_ms = now.utc_ms,
                                 .grade = now.grade,
                                 .cause = STORE_DEVICE,
                                 .n = 1};
    const struct store_value v = {age_of(r, &now), r->x->age_series, 0};
    bool first = r->age_tick_ms == 0;
    r->age_tick_ms = tick_ms;
    if (!first)                                /* the tick before the start is nobody's */
        (void)!store_put(r->store, &p, &v, 0); /* a full queue has its gap */
}
