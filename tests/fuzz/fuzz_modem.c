/* Lines of any modem, well or ill, one behind the other: what is kept of them lies within the
 * limits of its quantity, whatever the fields were and in whatever order they came, and nothing of
 * the subscriber is among it. So are its messages: bounded, text that steers nothing, of operators
 * alone. */
// uses: connectivity
// seeds: tests/fuzz/corpus/modem/*
#include <string.h>

#include "gateway/connectivity/modem_int.h"
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

/* UTF-8 as RFC 3629 has it, without control characters. */
static void check_text(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    demand(strnlen(text, size) < size);
    while (*p) {
        size_t more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        demand(*p >= 0x20 && *p != 0x7f && (*p < 0x80 || (*p >= 0xc2 && *p < 0xf5)));
        demand(!(p[0] == 0xc2 && p[1] < 0xa0));
        demand(!(p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae));
        for (p++; more > 0; more--, p++)
            demand((*p & 0xc0) == 0x80);
    }
}

static void check_inbox(const struct connectivity_inbox *in)
{
    static struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX];
    size_t n = connectivity_inbox_messages(in, out);
    demand(in->n <= CONNECTIVITY_PARTS_MAX && n <= CONNECTIVITY_MESSAGES_MAX && n <= in->n);
    demand((n == 0) == (in->n == 0));
    for (size_t i = 0; i < n; i++) {
        check_text(out[i].from, sizeof out[i].from);
        check_text(out[i].text, sizeof out[i].text);
        demand(connectivity_sms_operator(out[i].from));
        demand(i == 0 || out[i].at_ms <= out[i - 1].at_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct connectivity_inbox in;
    struct connectivity_radio r;
    connectivity_radio_init(&r);
    in.n = 0;
    in.listed = false;
    while (n > 0) {
        const uint8_t *end = memchr(data, '\n', n);
        size_t len = end ? (size_t)(end - data) : n;
        if (len < LINE_MAX_BYTES) {
            char *line = malloc(len + 1); /* exact: the sanitizer sees a read beyond */
            demand(line != NULL);
            memcpy(line, data, len);
            line[len] = '\0';
            connectivity_radio_take(&r, line);
            connectivity_inbox_take(&in, line);
            if (line[0] == '2')
                (void)connectivity_sms_time(line);
            check(&r);
            free(line);
        }
        len += end != NULL;
        data += len;
        n -= len;
    }
    check_inbox(&in);
    PLANT(r.nr_beside && r.limited && r.card[0] != '\0');
    return 0;
}
