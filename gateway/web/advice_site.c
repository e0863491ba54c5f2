/* What is wrong with the gateway itself and its way to the city. */
#include "gateway/web/advice_int.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
#define CUT_MS (2 * DAY_MS)    /* a power cut is told so long: yesterday's, too */
#define FORKED_MS (7 * DAY_MS) /* and what is to be found out */
#define SHORT_MS (7 * DAY_MS)
#define DISK_LOW_PERCENT 5
#define DISK_SPARE (INT64_C(64) << 20) /* beside what the store may still take */
#define BUDGET_LOW_PERCENT 20

/* ---- the store ---------------------------------------------------------------------------- */

static bool signer_is_gone(const struct web_told *t)
{
    int64_t down = t->last[WEB_TOLD_SIGNER_DOWN].id, ended = t->last[WEB_TOLD_SIGNER_ENDED].id;
    down = ended > down ? ended : down;
    return down > t->last[WEB_TOLD_SIGNER_UP].id && down > t->last[WEB_TOLD_START].id;
}

static void look_at_store(const struct web_known *k, struct web_advices *all, bool stuck)
{
    const struct store_stats *s = &k->stats;
    const struct store_figures *f = &s->figures;
    enum web_advice_code code = web_advice_code_of(s->fault_why, WEB_ADVICE_store_fault);
    if (code == WEB_ADVICE_seal_fault && signer_is_gone(k->told))
        code = WEB_ADVICE_signer_gone;
    if (s->fault[0])
        web_param_text(web_advice_add(all, code, ""), "text", s->fault);
    if (stuck && f->autonomy_ms == 0)
        (void)web_advice_add(all, WEB_ADVICE_thinning, "");
    else if (stuck && f->autonomy_ms > 0 && f->autonomy_ms < SHORT_MS)
        web_param_int(web_advice_add(all, WEB_ADVICE_autonomy_short, ""), "n",
                      f->autonomy_ms / DAY_MS);
    int64_t grows = f->max_bytes > s->db_bytes ? f->max_bytes - s->db_bytes : 0;
    int64_t percent =
        k->disk_bytes > 0 ? 100 * (k->disk_free_bytes / 1024) / (k->disk_bytes / 1024 + 1) : 100;
    if (percent < DISK_LOW_PERCENT && k->disk_free_bytes < grows + DISK_SPARE)
        web_param_int(web_advice_add(all, WEB_ADVICE_disk_low, ""), "percent", percent);
    if (s->rescuing || s->aside_sets > 0)
        web_param_int(web_advice_add(all, WEB_ADVICE_store_damaged, ""), "n", s->aside_sets);
    if (s->wear.pre_eol > 1)
        web_param_text(web_advice_add(all, WEB_ADVICE_flash_worn, ""), "disk", s->wear.device);
    if (k->due[0])
        web_param_text(web_advice_add(all, WEB_ADVICE_not_configured, ""), "series", k->due);
    if (k->refused.batches > 0) {
        struct web_advice *a = web_advice_add(all, WEB_ADVICE_batches_refused, "");
        web_param_int(a, "n", k->refused.batches);
        web_param_text(a, "reason", k->refused.code);
        web_param_since(a, k->refused.at_ms, k->now);
    }
}

/* ---- an uplink ---------------------------------------------------------------------------- */

static struct web_advice *about_uplink(struct web_advices *all, enum web_advice_code code,
                                       const struct web_uplink *u)
{
    struct web_advice *a = web_advice_add(all, code, u->id);
    web_param_text(a, "uplink", u->id);
    return a;
}

static void look_at_clock(const struct web_known *k, struct web_advices *all, bool wrong)
{
    if (k->now.grade == CLK_UNKNOWN)
        (void)web_advice_add(all, WEB_ADVICE_clock_unknown, "");
    else if (wrong) {
        struct clk_time other_year = {.grade = CLK_SYNCED}; /* 1970: it writes the year */
        web_param_since(web_advice_add(all, WEB_ADVICE_clock_wrong, ""), k->now.utc_ms, other_year);
    }
}

static void look_at_certificate(const struct web_known *k, struct web_advices *all,
                                const struct web_uplink *u)
{
    bool ended = u->cert_to_ms > 0 && k->now.grade != CLK_UNKNOWN && u->cert_to_ms <= k->now.utc_ms;
    enum web_advice_code code = ended               ? WEB_ADVICE_certificate_ended
                                : u->cert_to_ms > 0 ? WEB_ADVICE_certificate_ends
                                                    : WEB_ADVICE_certificate_bad;
    if (!ended && !u->cert_text[0])
        return;
    struct web_advice *a = about_uplink(all, code, u);
    web_param_text(a, "text", u->cert_text);
    if (u->cert_to_ms > 0)
        web_param_since(a, u->cert_to_ms, k->now);
}

/* Where the SIM card has no data it is the operator who answers, or nobody; and where the way to
 * the city is broken that is why nothing can be sent: neither is another cause. */
static bool is_explained(const struct web_advices *all, enum web_advice_code code)
{
    bool no_data = false, path = false;
    for (size_t i = 0; i < all->n; i++) {
        no_data |= all->v[i].code == WEB_ADVICE_sim_no_data;
        path |= strncmp(web_advice_kinds[all->v[i].code].code, "path_", 5) == 0;
    }
    return (no_data && strncmp(web_advice_kinds[code].code, "city_", 5) == 0) ||
           (path && (code == WEB_ADVICE_city_down || code == WEB_ADVICE_city_portal));
}

static void look_at_uplink(const struct web_known *k, struct web_advices *all,
                           const struct web_uplink *u)
{
    enum web_advice_code code = web_advice_code_of(u->why, WEB_ADVICE_city_trouble);
    if (u->why && code != WEB_ADVICE_clock_wrong && !is_explained(all, code)) {
        struct web_advice *a = about_uplink(all, code, u);
        web_param_text(a, "text", u->text);
        web_param_since(a, code == WEB_ADVICE_budget_used ? u->renews_ms : u->last_ok_ms, k->now);
    }
    if (u->unproven)
        (void)about_uplink(all, WEB_ADVICE_receipt_key, u);
    look_at_certificate(k, all, u);
    if (u->trust_text[0])
        web_param_text(about_uplink(all, WEB_ADVICE_trust_refused, u), "text", u->trust_text);
    int64_t left = u->budget_bytes - u->month_bytes;
    if (!u->why && u->metered && u->budget_bytes > 0 &&
        left < u->budget_bytes / 100 * BUDGET_LOW_PERCENT)
        web_param_int(about_uplink(all, WEB_ADVICE_budget_low, u), "percent",
                      left > 0 ? left / (u->budget_bytes / 100 + 1) : 0);
}

/* ---- what was ----------------------------------------------------------------------------- */

static void look_at_told(const struct web_known *k, struct web_advices *all)
{
    static const struct {
        enum web_told_kind kind;
        enum web_advice_code code;
        int64_t for_ms;
    } rules[] = {{WEB_TOLD_POWER_CUT, WEB_ADVICE_power_cut, CUT_MS},
                 {WEB_TOLD_KILLED, WEB_ADVICE_run_killed, CUT_MS},
                 {WEB_TOLD_CONFLICT, WEB_ADVICE_chain_forked, FORKED_MS},
                 {WEB_TOLD_BEHIND, WEB_ADVICE_chain_forked, FORKED_MS}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        int64_t at_ms = web_told_ms(k->told, rules[i].kind, k->now, k->mono);
        bool dated = at_ms > 0 && k->now.grade != CLK_UNKNOWN;
        if (k->told->last[rules[i].kind].id == 0 ||
            (dated && k->now.utc_ms - at_ms >= rules[i].for_ms) ||
            (at_ms == 0 && k->now.grade != CLK_UNKNOWN)) /* of a boot whose time nobody knows */
            continue;
        web_param_since(web_advice_add(all, rules[i].code, ""), at_ms, k->now);
    }
    if (k->told->last[WEB_TOLD_CONFIG].id > k->told->last[WEB_TOLD_START].id)
        web_param_since(web_advice_add(all, WEB_ADVICE_config_refused, ""),
                        web_told_ms(k->told, WEB_TOLD_CONFIG, k->now, k->mono), k->now);
}

void web_advise_site(const struct web_known *k, struct web_advices *all)
{
    bool stuck = k->nup == 0, wrong = false;
    for (size_t i = 0; i < k->nup; i++) {
        const struct web_uplink *u = &k->up[i];
        stuck |= u->why != NULL;
        wrong |= u->clock_off_ms != 0 || (u->why && strcmp(u->why, "clock_wrong") == 0);
        look_at_uplink(k, all, u);
    }
    if (k->nup == 0)
        (void)web_advice_add(all, WEB_ADVICE_no_uplink, "");
    look_at_store(k, all, stuck);
    look_at_clock(k, all, wrong);
    look_at_told(k, all);
}
