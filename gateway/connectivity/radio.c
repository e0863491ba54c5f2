/* The standard's answers, and what follows from all of them. */
#include "gateway/connectivity/radio_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void connectivity_radio_init(struct connectivity_radio *r)
{
    *r = (struct connectivity_radio){.lte_stat = CONNECTIVITY_STAT_NONE,
                                     .nr_stat = CONNECTIVITY_STAT_NONE,
                                     .act = CONNECTIVITY_ACT_NONE};
}

/* ---- fields ------------------------------------------------------------------------------- */

const char *connectivity_after(const char *line, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncasecmp(line, prefix, n) != 0)
        return NULL;
    return line + n + strspn(line + n, " ");
}

static struct connectivity_field trimmed(const char *p, size_t n)
{
    while (n > 0 && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    bool quoted = n >= 2 && p[0] == '"' && p[n - 1] == '"';
    return (struct connectivity_field){quoted ? p + 1 : p, quoted ? n - 2 : n, quoted};
}

size_t connectivity_fields(const char *text, struct connectivity_field f[CONNECTIVITY_FIELDS_MAX])
{
    size_t n = 0;
    const char *from = text;
    bool within = false;
    for (const char *p = text; n < CONNECTIVITY_FIELDS_MAX; p++) {
        within ^= *p == '"';
        if (*p != '\0' && (*p != ',' || within))
            continue;
        f[n++] = trimmed(from, (size_t)(p - from));
        if (*p == '\0')
            break;
        from = p + 1;
    }
    return n;
}

bool connectivity_field_is(const struct connectivity_field *f, const char *word)
{
    return f->n == strlen(word) && strncasecmp(f->p, word, f->n) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool connectivity_field_int(const struct connectivity_field *f, int64_t min, int64_t max,
                            int64_t *out)
{
    size_t at = f->n > 0 && f->p[0] == '-' ? 1 : 0;
    int64_t v = 0;
    if (f->n == at || f->n > at + 9)
        return false;
    for (size_t i = at; i < f->n; i++) {
        if (!is_digit(f->p[i]))
            return false;
        v = v * 10 + (f->p[i] - '0');
    }
    v = at ? -v : v;
    if (v < min || v > max)
        return false;
    *out = v;
    return true;
}

static int hex_of(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct num connectivity_field_hex(const struct connectivity_field *f, size_t digits)
{
    uint64_t v = 0;
    bool known = false; /* FFFF… stands for none */
    if (f->n == 0 || f->n > digits)
        return (struct num){.kind = NUM_NONE};
    for (size_t i = 0; i < f->n; i++) {
        int digit = hex_of(f->p[i]);
        if (digit < 0)
            return (struct num){.kind = NUM_NONE};
        v = v << 4 | (uint64_t)digit;
        known |= digit != 15;
    }
    return known ? num_dec((int64_t)v, 0) : (struct num){.kind = NUM_NONE};
}

static bool all_digits(const char *p, size_t n)
{
    while (n > 0 && is_digit(p[n - 1]))
        n--;
    return n == 0;
}

bool connectivity_plmn_set(char out[CONNECTIVITY_PLMN_BYTES], const char *mcc, size_t mcc_n,
                           const char *mnc, size_t mnc_n)
{
    if (mcc_n != 3 || mnc_n < 2 || mnc_n > 3 || !all_digits(mcc, mcc_n) || !all_digits(mnc, mnc_n))
        return false;
    memcpy(out, mcc, 3);
    memcpy(out + 3, mnc, mnc_n);
    out[3 + mnc_n] = '\0';
    return true;
}

bool connectivity_plmn_text(char out[CONNECTIVITY_PLMN_BYTES], const char *p, size_t n)
{
    return n >= 5 && connectivity_plmn_set(out, p, 3, p + 3, n - 3);
}

/* ---- CSQ, CESQ ---------------------------------------------------------------------------- */

static void fill(struct num *to, struct num v)
{
    if (to->kind == NUM_NONE)
        *to = v;
}

static void csq_take(struct connectivity_radio *r, const char *text)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    int64_t n;
    if (connectivity_fields(text, f) >= 1 && connectivity_field_int(&f[0], 0, 31, &n))
        r->rssi = num_dec(-113 + 2 * n, 0);
}

/* Each number stands for a step of 1 or 0.5 dB; its lower edge is what is said, as ModemManager
 * does for LTE: a signal is at least that good. 255, and 99 where the range ends before it, is
 * none.
 */
static void cesq_take(struct connectivity_radio *r, const char *text)
{
    const struct {
        size_t at;
        int64_t max, first_tenths, step_tenths;
        struct num *to;
    } rows[] = {{0, 63, -1110, 10, &r->rssi},     {4, 34, -200, 5, &r->lte.rsrq},
                {5, 97, -1410, 10, &r->lte.rsrp}, {6, 126, -435, 5, &r->nr.rsrq},
                {7, 126, -1570, 10, &r->nr.rsrp}, {8, 127, -235, 5, &r->nr.sinr}};
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    size_t n = connectivity_fields(text, f);
    int64_t v;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].at < n && connectivity_field_int(&f[rows[i].at], 0, rows[i].max, &v))
            fill(rows[i].to, num_dec(rows[i].first_tenths + v * rows[i].step_tenths, -1));
}

/* ---- registration -------------------------------------------------------------------------- */

/* `<n>,<stat>[,<tac>,<ci>,<AcT>…]` is asked for, `<stat>[,<tac>,<ci>,<AcT>…]` comes by itself, and
 * never with two fields. A second field of one or two bare digits is a <stat>: an area code has
 * four. */
static bool stat_at(const struct connectivity_field *f, size_t n, size_t *at, int64_t *stat)
{
    *at = n == 2 || (n > 2 && !f[1].quoted && f[1].n <= 2) ? 1 : 0;
    return connectivity_field_int(&f[*at], 0, CONNECTIVITY_STAT_MAX, stat);
}

static void reg_take(struct connectivity_radio *r, const char *text, bool nr)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    size_t n = connectivity_fields(text, f), at;
    int64_t v;
    if (!stat_at(f, n, &at, &v))
        return;
    *(nr ? &r->nr_stat : &r->lte_stat) = (int)v;
    if (!connectivity_stat_good((int)v) || n < at + 4 ||
        !connectivity_field_int(&f[at + 3], 0, CONNECTIVITY_ACT_MAX, &v))
        return;
    /* both commands of some modems tell of the one cell that serves */
    struct connectivity_leg *leg =
        v == CONNECTIVITY_ACT_SA || v == CONNECTIVITY_ACT_NGRAN ? &r->nr : &r->lte;
    r->act = (int)v;
    fill(&leg->tac, connectivity_field_hex(&f[at + 1], CONNECTIVITY_TAC_DIGITS));
    fill(&leg->cell, connectivity_field_hex(&f[at + 2], CONNECTIVITY_CELL_DIGITS));
}

static void cops_take(struct connectivity_radio *r, const char *text)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    size_t n = connectivity_fields(text, f);
    int64_t v;
    if (n >= 3 && connectivity_field_is(&f[1], "2"))
        (void)connectivity_plmn_text(r->plmn, f[2].p, f[2].n);
    if (n >= 4 && r->act == CONNECTIVITY_ACT_NONE &&
        connectivity_field_int(&f[3], 0, CONNECTIVITY_ACT_MAX, &v))
        r->act = (int)v;
}

/* ---- SIM ----------------------------------------------------------------------------------- */

static void cpin_take(struct connectivity_radio *r, const char *text)
{
    static const struct {
        const char *word;
        enum connectivity_sim sim;
    } rows[] = {{"READY", CONNECTIVITY_SIM_READY},         {"SIM PIN", CONNECTIVITY_SIM_PIN},
                {"SIM PUK", CONNECTIVITY_SIM_PUK},         {"SIM PIN2", CONNECTIVITY_SIM_READY},
                {"SIM PUK2", CONNECTIVITY_SIM_READY},      {"NOT READY", CONNECTIVITY_SIM_BUSY},
                {"NOT INSERTED", CONNECTIVITY_SIM_MISSING}};
    size_t n = strcspn(text, ",");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (n == strlen(rows[i].word) && strncasecmp(text, rows[i].word, n) == 0) {
            r->sim = rows[i].sim;
            return;
        }
    if (strncasecmp(text, "PH-", 3) == 0)
        r->sim = CONNECTIVITY_SIM_LOCK;
}

/* By number or by words; SIM_UNKNOWN: it says nothing of the SIM. */
static enum connectivity_sim cme_sim(const char *line)
{
    /* TS 27.007, 9.2: by number with CMEE=1, by words with CMEE=2 */
    static const struct {
        int64_t code;
        const char *word;
        enum connectivity_sim sim;
    } rows[] = {{5, "PH-SIM PIN required", CONNECTIVITY_SIM_LOCK},
                {10, "SIM not inserted", CONNECTIVITY_SIM_MISSING},
                {11, "SIM PIN required", CONNECTIVITY_SIM_PIN},
                {12, "SIM PUK required", CONNECTIVITY_SIM_PUK},
                {13, "SIM failure", CONNECTIVITY_SIM_FAULT},
                {14, "SIM busy", CONNECTIVITY_SIM_BUSY},
                {15, "SIM wrong", CONNECTIVITY_SIM_FAULT},
                {40, "network personalisation PIN required", CONNECTIVITY_SIM_LOCK}};
    const char *text = connectivity_after(line, "+CME ERROR:");
    if (!text)
        return CONNECTIVITY_SIM_UNKNOWN;
    struct connectivity_field f = trimmed(text, strlen(text));
    int64_t code = -1;
    (void)connectivity_field_int(&f, 0, 999, &code);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (code == rows[i].code || connectivity_field_is(&f, rows[i].word))
            return rows[i].sim;
    return CONNECTIVITY_SIM_UNKNOWN;
}

/* ---- all of them --------------------------------------------------------------------------- */

void connectivity_radio_take(struct connectivity_radio *r, const char *line)
{
    const char *text;
    enum connectivity_sim sim = cme_sim(line);
    if (sim != CONNECTIVITY_SIM_UNKNOWN)
        r->sim = sim;
    else if ((text = connectivity_after(line, "+CSQ:")) != NULL)
        csq_take(r, text);
    else if ((text = connectivity_after(line, "+CESQ:")) != NULL)
        cesq_take(r, text);
    else if ((text = connectivity_after(line, "+CEREG:")) != NULL)
        reg_take(r, text, false);
    else if ((text = connectivity_after(line, "+C5GREG:")) != NULL)
        reg_take(r, text, true);
    else if ((text = connectivity_after(line, "+COPS:")) != NULL)
        cops_take(r, text);
    else if ((text = connectivity_after(line, "+CPIN:")) != NULL)
        cpin_take(r, text);
    else
        (void)connectivity_quectel_take(r, line);
}

bool connectivity_stat_good(int stat)
{
    return stat == CONNECTIVITY_STAT_HOME || stat == CONNECTIVITY_STAT_ROAMING || stat == 9 ||
           stat == 10; /* registered, circuit-switched fallback not preferred */
}

enum connectivity_stat connectivity_radio_stat(const struct connectivity_radio *r)
{
    int a = r->lte_stat, b = r->nr_stat;
    /* what a person can act on stands before what mends itself */
    static const int order[] = {CONNECTIVITY_STAT_DENIED, CONNECTIVITY_STAT_EMERGENCY,
                                CONNECTIVITY_STAT_SEARCHING};
    if (connectivity_stat_good(a) || connectivity_stat_good(b))
        return (enum connectivity_stat)(connectivity_stat_good(a) ? a : b);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i])
            return (enum connectivity_stat)order[i];
    return (enum connectivity_stat)(a > b ? a : b);
}

static bool is_heard(const struct connectivity_leg *leg)
{
    return leg->rsrp.kind != NUM_NONE;
}

enum connectivity_act connectivity_radio_act(const struct connectivity_radio *r)
{
    bool nr = r->act == CONNECTIVITY_ACT_SA || r->act == CONNECTIVITY_ACT_NGRAN;
    if (r->nr_alone)
        return CONNECTIVITY_ACT_SA;
    if (r->nr_beside || r->act == CONNECTIVITY_ACT_ENDC)
        return CONNECTIVITY_ACT_ENDC;
    if (is_heard(&r->nr) && !nr)
        return is_heard(&r->lte) ? CONNECTIVITY_ACT_ENDC : CONNECTIVITY_ACT_SA;
    return (enum connectivity_act)r->act;
}

const char *connectivity_act_text(int act)
{
    static const char *const text[] = {"GSM",       "GSM",   "UMTS",   "EDGE",          "HSDPA",
                                       "HSUPA",     "HSPA",  "LTE",    "EC-GSM",        "NB-IoT",
                                       "LTE (5GC)", "5G SA", "NG-RAN", "5G NSA (EN-DC)"};
    return act >= 0 && (size_t)act < sizeof text / sizeof *text ? text[act] : "";
}
