/* What an uplink's month may cost (store/budget.h counts it). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

enum st uplinks_spent(struct store_reader *r, const char *id, int64_t *since_ms, int64_t *bytes,
                      struct err *e)
{
    struct store_budget b = {.month = 0};
    ERR_TRY(store_budget_load(&b, r, id, e));
    *since_ms = b.month ? store_month_start_ms(b.month) : 0;
    *bytes = b.used + b.undated;
    return ST_OK;
}

/* Whether what goes out now costs: by the link of the last connection, or by what the link would be
 * now. */
static bool is_metered(const struct uplink *u, const char *interface)
{
    return u->metered == UPLINK_METERED_ALWAYS ||
           (u->metered == UPLINK_METERED_AUTO && uplink_link_metered("", interface));
}

static void show(struct uplink *u, bool metered)
{
    (void)pthread_mutex_lock(&u->lock);
    u->status.metered = metered;
    u->status.wire_bytes = (uint64_t)(u->wire.sent_bytes + u->wire.received_bytes);
    u->status.month_bytes = u->budget.used + u->budget.undated;
    u->status.budget_bytes = u->budget.limit;
    u->status.renews_ms = u->budget.month ? store_month_start_ms(u->budget.month + 1) : 0;
    (void)pthread_mutex_unlock(&u->lock);
}

static void save(struct uplink *u, bool at_once)
{
    struct err e = {.text = ""};
    enum st st =
        store_budget_save(&u->budget, u->job->store, u->id, clk_mono(u->job->clk), at_once, &e);
    if (st != ST_OK && st != ST_STOPPED) {
        log_warn("uplink %s: what the month has cost is not saved: %s", u->id, e.text);
    }
}

void uplink_count(struct uplink *u, bool at_end)
{
    int64_t all = u->wire.sent_bytes + u->wire.received_bytes, new = all - u->counted;
    bool metered = is_metered(u, u->wire.interface);
    u->counted = all;
    if (metered && new > 0) {
        store_budget_add(&u->budget, clk_now(u->job->clk), new);
    }
    save(u, at_end);
    show(u, metered);
}

static void budget_words(const struct uplink *u, enum store_spend spend, char *out, size_t n)
{
    static const char *const names[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
    const struct store_budget *b = &u->budget;
    char until[32] = "the date is known";
    if (b->month) {
        (void)snprintf(until, sizeof(until), "1 %s", names[(b->month + 1) % 12]);
    }
    (void)snprintf(out, n,
                   spend == STORE_SPEND_NOTHING
                       ? "data budget used up until %s (%" PRId64 " of %" PRId64
                         " MB): readings wait here and go out then, or at once over cable or "
                         "Wi-Fi; or raise uplinks.%s.budget"
                       : "little of the data budget is left until %s (%" PRId64 " of %" PRId64
                         " MB used): the newest go out, the backlog waits for then, or for cable "
                         "or Wi-Fi; or raise uplinks.%s.budget",
                   until, (b->used + b->undated) / 1000000, b->limit / 1000000, u->id);
}

enum store_spend uplink_may_spend(struct uplink *u)
{
    enum store_spend spend = store_budget_spend(&u->budget, clk_now(u->job->clk));
    char text[sizeof(u->status.text)];
    if (spend != STORE_SPEND_ALL && !is_metered(u, "")) {
        spend = STORE_SPEND_ALL; /* a free link: nothing is held back */
    }
    if (spend > u->budget.told) {
        u->budget.told = spend;
        u->budget.unsaved++;
        budget_words(u, spend, text, sizeof(text));
        uplink_event(u, STORE_WARNING, "uplink.budget", text);
        save(u, true);
    }
    if (spend == STORE_SPEND_NOTHING) {
        budget_words(u, spend, text, sizeof(text));
    }
    uplink_set_stopped(u, spend == STORE_SPEND_NOTHING ? text : NULL);
    return spend;
}
