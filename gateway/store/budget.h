/* A data budget of a month, counted in calendar months of Viet Nam and kept in the store. A count
 * is its owner's, one thread; load and save as it says. Part of store.h. */
#ifndef GATEWAY_STORE_BUDGET_H
#define GATEWAY_STORE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/clk.h"
#include "gateway/base/err.h"

struct store;
struct store_reader;

/* What may go out over a link that costs by the byte. */
enum store_spend {
    STORE_SPEND_ALL,
    STORE_SPEND_NEWEST,  /* from 80 % of the budget on: control and the newest, no backlog */
    STORE_SPEND_NOTHING, /* it is used up */
};
struct store_budget {
    int64_t limit;                 /* bytes a month; 0: none */
    int64_t month;                 /* as store_month_of; 0: the date was never known */
    int64_t used, undated;         /* in that month; while the date was not known */
    int64_t last_month, last_used; /* of the one before the clock came into this: it may go back */
    enum store_spend told;         /* by an event in this month */
    int64_t unsaved;               /* bytes that the store does not know of */
    struct mono saved_at;
};
/* Calendar months of Viet Nam, counted: year * 12 + month - 1. And where one begins, in UTC. */
int64_t store_month_of(int64_t utc_ms);
int64_t store_month_start_ms(int64_t month);
void store_budget_add(struct store_budget *b, struct clk_time now, int64_t bytes);
enum store_spend store_budget_spend(struct store_budget *b, struct clk_time now);
/* What is left of the limit; INT64_MAX where there is none. */
int64_t store_budget_left(struct store_budget *b, struct clk_time now);
/* As the store keeps it. */
void store_budget_text(const struct store_budget *b, char *out, size_t n);
bool store_budget_parse(struct store_budget *b, const char *text); /* false: b is unchanged */
enum st store_budget_load(struct store_budget *b, struct store_reader *r, const char *name,
                          struct err *e) ST_MUST_CHECK;
/* Now and then, or at once: a power cut costs at most an hour and 256 KiB of the count. */
enum st store_budget_save(struct store_budget *b, struct store *s, const char *name,
                          struct mono now, bool at_once, struct err *e) ST_MUST_CHECK;

#endif
