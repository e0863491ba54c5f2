/* Quectel's own answers. Firmware differs: fields are taken by position and each is held against
 * its range. One that is neither in range nor a mark for "no value" shows that the fields are not
 * where they should be, and then no signal of that line is believed. */
#include "gateway/connectivity/radio_int.h"

#include <string.h>

#define LTE_ARFCN_MAX 262143
#define NR_ARFCN_MAX 3279165
#define BAND_MAX 1024

/* ---- signal -------------------------------------------------------------------------------- */

struct range {
    int64_t min, max, none; /* none: a number that means "no value", beside those of all */
};
#define NONE_16 (-32768)
static const struct range of_rsrp = {-156, -31, -140}, of_rsrq = {-43, 20, NONE_16},
                          of_sinr = {-23, 40, NONE_16}, of_rssi = {-120, -10, NONE_16};

/* false: neither a figure nor a mark. */
static bool figure(const struct connectivity_field *f, const struct range *g, struct num *out)
{
    int64_t v;
    *out = (struct num){.kind = NUM_NONE};
    if (f->n == 0 || connectivity_field_is(f, "-"))
        return true;
    if (!connectivity_field_int(f, NONE_16, 32767, &v))
        return false;
    if (v == NONE_16 || v == g->none || v == 255)
        return true;
    if (v < g->min || v > g->max)
        return false;
    *out = num_dec(v, 0);
    return true;
}

struct signal {
    const struct connectivity_field *rsrp, *rsrq, *sinr; /* NULL: not of this line */
};

static void put(struct num *to, struct num v, bool over)
{
    if (v.kind != NUM_NONE && (over || to->kind == NUM_NONE))
        *to = v;
}

/* over: these stand before what others say. */
static void signal_take(struct connectivity_leg *leg, struct signal s, bool over)
{
    struct num rsrp, rsrq, sinr = {.kind = NUM_NONE};
    if (!figure(s.rsrp, &of_rsrp, &rsrp) || !figure(s.rsrq, &of_rsrq, &rsrq) ||
        (s.sinr && !figure(s.sinr, &of_sinr, &sinr)))
        return;
    put(&leg->rsrp, rsrp, over);
    put(&leg->rsrq, rsrq, over);
    put(&leg->sinr, sinr, over);
}

/* ---- a cell -------------------------------------------------------------------------------- */

static void channel_take(struct connectivity_leg *leg, const struct connectivity_field *arfcn,
                         const struct connectivity_field *band, bool nr)
{
    int64_t n, b = 0;
    if (connectivity_field_int(arfcn, 0, nr ? NR_ARFCN_MAX : LTE_ARFCN_MAX, &n)) {
        struct num mhz = nr ? connectivity_nr_mhz(n) : connectivity_lte_mhz(n, &b);
        if (mhz.kind != NUM_NONE && leg->mhz.kind == NUM_NONE) {
            leg->arfcn = num_dec(n, 0);
            leg->mhz = mhz;
        }
    }
    if (leg->band.kind == NUM_NONE && (connectivity_field_int(band, 1, BAND_MAX, &b) || b > 0))
        leg->band = num_dec(b, 0);
}

static void cell_take(struct connectivity_leg *leg, const struct connectivity_field *cell,
                      const struct connectivity_field *tac)
{
    put(&leg->cell, connectivity_field_hex(cell, CONNECTIVITY_CELL_DIGITS), true);
    put(&leg->tac, connectivity_field_hex(tac, CONNECTIVITY_TAC_DIGITS), true);
}

static void plmn_take(struct connectivity_radio *r, const struct connectivity_field *mcc)
{
    (void)connectivity_plmn_set(r->plmn, mcc[0].p, mcc[0].n, mcc[1].p, mcc[1].n);
}

/* f[0] is "LTE" in all three. */
static void lte_take(struct connectivity_radio *r, const struct connectivity_field *f, size_t n)
{
    if (n < 14) /* cut off before its signal ends */
        return;
    plmn_take(r, &f[2]);
    cell_take(&r->lte, &f[4], &f[10]);
    channel_take(&r->lte, &f[6], &f[7], false);
    signal_take(&r->lte, (struct signal){&f[11], &f[12], n > 14 ? &f[14] : NULL}, true);
    struct num rssi;
    if (figure(&f[13], &of_rssi, &rssi))
        put(&r->rssi, rssi, true);
    if (r->act == CONNECTIVITY_ACT_NONE)
        r->act = CONNECTIVITY_ACT_LTE;
}

static void sa_take(struct connectivity_radio *r, const struct connectivity_field *f, size_t n)
{
    if (n < 13)
        return;
    r->nr_alone = true;
    plmn_take(r, &f[2]);
    cell_take(&r->nr, &f[4], &f[6]);
    channel_take(&r->nr, &f[7], &f[8], true);
    signal_take(&r->nr, (struct signal){&f[10], &f[11], &f[12]}, true);
}

/* SINR stands before RSRQ here, and after it in SA. The line comes without figures while NR is
 * only on offer. */
static void nsa_take(struct connectivity_radio *r, const struct connectivity_field *f, size_t n)
{
    if (n < 7)
        return;
    signal_take(&r->nr, (struct signal){&f[4], &f[6], &f[5]}, true);
    if (n > 8)
        channel_take(&r->nr, &f[7], &f[8], true);
    r->nr_beside = r->nr.rsrp.kind != NUM_NONE;
}

static void qeng_take(struct connectivity_radio *r, const char *text)
{
    static const struct {
        const char *word;
        void (*take)(struct connectivity_radio *r, const struct connectivity_field *f, size_t n);
    } rows[] = {{"LTE", lte_take}, {"NR5G-SA", sa_take}, {"NR5G-NSA", nsa_take}};
    struct connectivity_field all[CONNECTIVITY_FIELDS_MAX], *f = all;
    size_t n = connectivity_fields(text, all);
    if (connectivity_field_is(f, "servingcell")) {
        if (n >= 2 && (connectivity_field_is(&f[1], "LIMSRV")))
            r->limited = true;
        if (n < 3)
            return;
        f += 2;
        n -= 2;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (connectivity_field_is(f, rows[i].word))
            rows[i].take(r, f, n);
}

/* ---- QCSQ, QNWINFO ------------------------------------------------------------------------- */

/* LTE's SINR is not taken: some modems give 0 to 250 here, in fifths of a dB from -20 on. */
static void qcsq_take(struct connectivity_radio *r, const char *text)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    size_t n = connectivity_fields(text, f);
    bool nsa = connectivity_field_is(&f[0], "NR5G_NSA") || connectivity_field_is(&f[0], "NR5G-NSA");
    if (n >= 4 && (connectivity_field_is(&f[0], "NR5G") || connectivity_field_is(&f[0], "NR5G-SA")))
        signal_take(&r->nr, (struct signal){&f[1], &f[3], &f[2]}, false);
    if (n >= 5 && (nsa || connectivity_field_is(&f[0], "LTE")))
        signal_take(&r->lte, (struct signal){&f[2], &f[4], NULL}, false);
    if (n >= 8 && nsa)
        signal_take(&r->nr, (struct signal){&f[5], &f[7], &f[6]}, false);
}

static bool ends_with_number(const struct connectivity_field *f, struct connectivity_field *out)
{
    size_t at = f->n;
    while (at > 0 && f->p[at - 1] >= '0' && f->p[at - 1] <= '9')
        at--;
    *out = (struct connectivity_field){f->p + at, f->n - at, false};
    return at < f->n;
}

/* "TDD NR5G","310260","NR5G BAND 41",516270 */
static void qnwinfo_take(struct connectivity_radio *r, const char *text)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX], band;
    if (connectivity_fields(text, f) < 4 || !ends_with_number(&f[2], &band))
        return;
    bool nr = f[2].n > 4 && memcmp(f[2].p, "NR5G", 4) == 0;
    bool lte = f[2].n > 3 && memcmp(f[2].p, "LTE", 3) == 0;
    if (r->plmn[0] == '\0')
        (void)connectivity_plmn_text(r->plmn, f[1].p, f[1].n);
    if (nr || lte)
        channel_take(nr ? &r->nr : &r->lte, &f[3], &band, nr);
}

/* ---- QTEMP --------------------------------------------------------------------------------- */

/* Several lines, a sensor each; "ambient" is the one near the board's air, else the hottest counts.
 * -273 and 0 stand for a part that is not there or asleep. Old modems: three numbers, no names. */
static void qtemp_take(struct connectivity_radio *r, const char *text)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    size_t n = connectivity_fields(text, f);
    bool ambient = f[0].n >= 13 && memcmp(f[0].p, "modem-ambient", 13) == 0;
    for (size_t i = 0; i < n && i < 3; i++) {
        int64_t v;
        if (!connectivity_field_int(&f[i], -40, 125, &v) || v == 0 || r->ambient > ambient)
            continue;
        struct num t = num_dec(v, 0);
        if (r->temperature.kind == NUM_NONE || ambient > r->ambient ||
            num_cmp(t, r->temperature) > 0)
            r->temperature = t;
        r->ambient = ambient;
    }
}

/* ---- the SIM card's number ----------------------------------------------------------------- */

static void card_take(struct connectivity_radio *r, const char *text)
{
    text += *text == '"';
    size_t n = strspn(text, "0123456789");
    if (n < 18 || n > 20) /* ITU-T E.118; some pad with an F */
        return;
    memcpy(r->card, text + n - 4, 4);
    r->card[4] = '\0';
}

bool connectivity_quectel_take(struct connectivity_radio *r, const char *line)
{
    static const struct {
        const char *prefix;
        void (*take)(struct connectivity_radio *r, const char *text);
    } rows[] = {{"+QENG:", qeng_take},   {"+QCSQ:", qcsq_take},  {"+QNWINFO:", qnwinfo_take},
                {"+QTEMP:", qtemp_take}, {"+QCCID:", card_take}, {"+CCID:", card_take},
                {"+ICCID:", card_take}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = connectivity_after(line, rows[i].prefix);
        if (text) {
            rows[i].take(r, text);
            return true;
        }
    }
    return false;
}
