/* Lines of any modem, well or ill, one behind the other: what is kept of them lies within the
 * limits of its quantity, whatever the fields were and in whatever order they came, and nothing of
 * the subscriber is among it. */
// uses: connectivity
// seeds: tests/fuzz/corpus/modem/*
#include <string.h>

#include "gateway/connectivity/radio_int.h"
#include "sensors/quantity.h"
#include "tests/fuzz/fuzz.h"

#define LINE_MAX_BYTES 600

static void within(struct num v, const char *key)
{
    const struct quantity *q = quantity_by_key(key);
    demand(v.kind == NUM_NONE || v.kind == NUM_DEC);
    demand(v.kind == NUM_NONE || (num_cmp(v, num_dec(q->min, -q->decimals)) >= 0 &&
                                  num_cmp(v, num_dec(q->max, -q->decimals)) <= 0));
}

static void whole(struct num v, int64_t max)
{
    demand(v.kind == NUM_NONE || (v.kind == NUM_DEC && v.exp == 0 && v.i >= 0 && v.i <= max));
}

static void check_leg(const struct connectivity_leg *leg)
{
    within(leg->rsrp, "rsrp");
    within(leg->rsrq, "rsrq");
    within(leg->sinr, "sinr");
    within(leg->band, "radio_band");
    whole(leg->arfcn, 3279165);
    whole(leg->cell, (INT64_C(1) << 36) - 1);
    whole(leg->tac, (1 << 24) - 1);
    demand((leg->arfcn.kind == NUM_NONE) == (leg->mhz.kind == NUM_NONE));
    demand(leg->mhz.kind == NUM_NONE || num_cmp(leg->mhz, num_dec(100000, 0)) < 0);
}

static void check(const struct connectivity_radio *r)
{
    check_leg(&r->lte);
    check_leg(&r->nr);
    within(r->rssi, "rssi");
    within(r->temperature, "device_temperature");
    demand(r->act >= -1 && r->act <= CONNECTIVITY_ACT_MAX);
    demand(r->lte_stat >= -1 && r->lte_stat <= CONNECTIVITY_STAT_MAX);
    demand(r->nr_stat >= -1 && r->nr_stat <= CONNECTIVITY_STAT_MAX);
    size_t plmn = strnlen(r->plmn, sizeof r->plmn), card = strnlen(r->card, sizeof r->card);
    demand(plmn == 0 || plmn == 5 || plmn == 6);
    demand(strspn(r->plmn, "0123456789") == plmn);
    demand((card == 0 || card == 4) && strspn(r->card, "0123456789") == card);
    demand(!r->nr_beside || r->nr.rsrp.kind != NUM_NONE);
    enum connectivity_act act = connectivity_radio_act(r);
    demand(r->nr_alone ? act == CONNECTIVITY_ACT_SA
                       : !r->nr_beside || act == CONNECTIVITY_ACT_ENDC);
    demand(connectivity_act_text(act) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct connectivity_radio r;
    connectivity_radio_init(&r);
    while (n > 0) {
        const uint8_t *end = memchr(data, '\n', n);
        size_t len = end ? (size_t)(end - data) : n;
        if (len < LINE_MAX_BYTES) {
            char *line = malloc(len + 1); /* exact: the sanitizer sees a read beyond */
            demand(line != NULL);
            memcpy(line, data, len);
            line[len] = '\0';
            connectivity_radio_take(&r, line);
            check(&r);
            free(line);
        }
        len += end != NULL;
        data += len;
        n -= len;
    }
    PLANT(r.nr_beside && r.limited && r.card[0] != '\0');
    return 0;
}
