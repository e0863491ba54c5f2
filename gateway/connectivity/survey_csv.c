/* A survey app's file: which column is what, and from lines to samples. */
#include "gateway/connectivity/survey_int.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 32
#define BESIDE_MAX 3 /* columns that may say the same */
#define AGE_MAX_MS 10000
#define EARLIEST_MS INT64_C(1420070400000) /* 2015: no phone knew 5G before */

enum column {
    TIME,
    LATITUDE,
    LONGITUDE,
    OPERATOR,
    MCC,
    MNC,
    MODE, /* the finer one */
    TECHNOLOGY,
    RSRP,
    RSRQ,
    SINR,
    NR_RSRP,
    NR_RSRQ,
    NR_SINR,
    SERVING,
    AGE,
    TRANSFER,
    LTE_MARK, /* a file of LTE cells alone has it, of 5G cells the other */
    NR_MARK,
    COLUMNS
};

/* Names as apps write them, in lower case and without all that is no letter or digit. */
static const struct {
    const char *name;
    enum column column;
} names[] = {{"time", TIME},
             {"timestamp", TIME},
             {"devicetime", TIME},
             {"datetime", TIME},
             {"timems", TIME},
             {"latitude", LATITUDE},
             {"lat", LATITUDE},
             {"longitude", LONGITUDE},
             {"lon", LONGITUDE},
             {"lng", LONGITUDE},
             {"operator", OPERATOR},
             {"mccmnc", OPERATOR},
             {"plmn", OPERATOR},
             {"operatorcode", OPERATOR},
             {"mcc", MCC},
             {"mnc", MNC},
             {"networkmode", MODE},
             {"mode", MODE},
             {"technology", TECHNOLOGY},
             {"networktech", TECHNOLOGY},
             {"tech", TECHNOLOGY},
             {"type", TECHNOLOGY},
             {"networktype", TECHNOLOGY},
             {"rat", TECHNOLOGY},
             {"rsrp", RSRP},
             {"ltersrp", RSRP},
             {"level", RSRP},
             {"signal", RSRP},
             {"rsrq", RSRQ},
             {"ltersrq", RSRQ},
             {"qual", RSRQ},
             {"sinr", SINR},
             {"snr", SINR},
             {"rssnr", SINR},
             {"ltesnr", SINR},
             {"nrrsrp", NR_RSRP},
             {"ssrsrp", NR_RSRP},
             {"nrssrsrp", NR_RSRP},
             {"5grsrp", NR_RSRP},
             {"nrrsrq", NR_RSRQ},
             {"ssrsrq", NR_RSRQ},
             {"nrssrsrq", NR_RSRQ},
             {"5grsrq", NR_RSRQ},
             {"nrsinr", NR_SINR},
             {"sssinr", NR_SINR},
             {"nrsssinr", NR_SINR},
             {"5gsnr", NR_SINR},
             {"servingcell", SERVING},
             {"isregistered", SERVING},
             {"locationage", AGE},
             {"transfer", TRANSFER},
             {"earfcn", LTE_MARK},
             {"eci", LTE_MARK},
             {"nrarfcn", NR_MARK},
             {"narfcn", NR_MARK},
             {"nci", NR_MARK}};

struct head {
    size_t at[COLUMNS][BESIDE_MAX], n[COLUMNS];
    size_t columns;
    unsigned known;
};
struct job {
    const struct connectivity_csv_ask *ask;
    struct head head;
    struct connectivity_row row;
    struct connectivity_csv *out;
};

/* ---- the head
 * ------------------------------------------------------------------------------------ */

static bool column_of(struct connectivity_text t, enum column *out)
{
    char name[NAME_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < t.n && t.p[i] != '(' && t.p[i] != '['; i++) {
        if (!isalnum((unsigned char)t.p[i]))
            continue;
        if (n == sizeof name - 1)
            return false;
        name[n++] = (char)tolower((unsigned char)t.p[i]);
    }
    name[n] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].column;
            return true;
        }
    return false;
}

static void head_of(const struct connectivity_row *r, struct head *h)
{
    enum column c;
    *h = (struct head){.columns = r->n};
    while (h->columns > 0 && r->field[h->columns - 1].n == 0) /* a separator at the end */
        h->columns--;
    for (size_t i = 0; i < h->columns; i++)
        if (column_of(r->field[i], &c) && h->n[c] < BESIDE_MAX) {
            h->at[c][h->n[c]++] = i;
            h->known++;
        }
}

/* Which separator it is, the head says: the one that shows most names. */
static enum st head_read(struct connectivity_rows *r, struct job *j, const char *name,
                         struct err *e)
{
    static const char betweens[] = {'\t', ';', ','};
    struct connectivity_rows best = *r, try;
    bool any = false;
    for (size_t i = 0; i < sizeof betweens; i++) {
        struct head h;
        try = *r;
        try.between = betweens[i];
        if (!connectivity_row_next(&try, 0, &j->row))
            return err_set(e, ST_BAD, "%s: the file is empty", name);
        head_of(&j->row, &h);
        if (any && h.known <= j->head.known)
            continue;
        any = true;
        j->head = h;
        best = try;
    }
    *r = best;
    return ST_OK;
}

static enum st head_check(const struct job *j, const char *name, struct err *e)
{
    const size_t *n = j->head.n;
    bool tech = n[TECHNOLOGY] || n[MODE] || !n[LTE_MARK] != !n[NR_MARK] || j->ask->has_tech;
    if (!n[LATITUDE] || !n[LONGITUDE])
        return err_set(e, ST_BAD,
                       "%s: its first line names no column latitude and longitude: is it a survey "
                       "app's CSV file? see fieldpost(1), survey",
                       name);
    if (!n[TIME] && j->ask->t_ms == 0)
        return err_set(e, ST_BAD, "%s: no column has the time: give it with --time", name);
    if (!n[OPERATOR] && !(n[MCC] && n[MNC]) && j->ask->plmn == 0)
        return err_set(e, ST_BAD,
                       "%s: no column has the operator (operator, or mcc and mnc): give it with "
                       "--operator",
                       name);
    if (!tech)
        return err_set(e, ST_BAD, "%s: no column has the technology: give it with --technology",
                       name);
    return ST_OK;
}

/* ---- a line
 * -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static bool wrong(struct job *j, const char *fmt, ...)
{
    struct connectivity_csv *o = j->out;
    if (o->bad < CONNECTIVITY_CSV_TOLD) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(o->told[o->bad].why, sizeof o->told->why, fmt, ap);
        va_end(ap);
        for (char *p = o->told[o->bad].why; *p; p++) /* of a stranger's file, for a terminal */
            if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
                *p = '?';
        o->told[o->bad].line = j->row.line;
    }
    o->bad++;
    return false;
}

/* The first of its columns that says something. */
static bool get(const struct job *j, enum column c, struct connectivity_text *out)
{
    for (size_t i = 0; i < j->head.n[c]; i++)
        if (j->head.at[c][i] < j->row.n) {
            *out = j->row.field[j->head.at[c][i]];
            if (!connectivity_text_none(*out))
                return true;
        }
    return false;
}

static bool number(struct job *j, enum column c, const char *what, int low, int high,
                   struct num *out)
{
    struct connectivity_text t;
    *out = (struct num){.kind = NUM_NONE};
    if (!get(j, c, &t))
        return true;
    if (!connectivity_text_num(t, out))
        return wrong(j, "%s is no number: \"%.*s\"", what, t.n > 20 ? 20 : (int)t.n, t.p);
    if (num_cmp(*out, num_dec(low, 0)) < 0 || num_cmp(*out, num_dec(high, 0)) > 0)
        return wrong(j, "%s %.*s is not between %d and %d", what, t.n > 20 ? 20 : (int)t.n, t.p,
                     low, high);
    return true;
}

static bool take_place(struct job *j, struct connectivity_sample *s)
{
    struct num lat, lon, age;
    if (!number(j, LATITUDE, "the latitude", -90, 90, &lat) ||
        !number(j, LONGITUDE, "the longitude", -180, 180, &lon) ||
        !number(j, AGE, "the position's age in ms", 0, INT32_MAX, &age))
        return false;
    if (lat.kind == NUM_NONE || lon.kind == NUM_NONE)
        return wrong(j, "no position");
    s->lat = round(num_double(lat) * 1e7) / 1e7; /* 1 cm: as it is kept */
    s->lon = round(num_double(lon) * 1e7) / 1e7;
    if (s->lat == 0 && s->lon == 0)
        return wrong(j, "position 0, 0: the phone had no fix");
    if (age.kind != NUM_NONE && num_double(age) > AGE_MAX_MS)
        return wrong(j, "the position is older than %d s", AGE_MAX_MS / 1000);
    return true;
}

static bool take_time(struct job *j, struct connectivity_sample *s)
{
    struct connectivity_text t;
    if (!j->head.n[TIME])
        s->t_ms = j->ask->t_ms;
    else if (!get(j, TIME, &t))
        return wrong(j, "no time");
    else if (!connectivity_text_time(t, j->ask->utc_offset_ms, &s->t_ms))
        return wrong(j, "no time that can be read: \"%.*s\"", t.n > 30 ? 30 : (int)t.n, t.p);
    if (s->t_ms < EARLIEST_MS || s->t_ms >= j->ask->now_ms + 86400000)
        return wrong(j, "its time is before 2015, or in the future");
    return true;
}

static bool take_operator(struct job *j, struct connectivity_sample *s)
{
    struct connectivity_text mcc, mnc;
    char text[8];
    s->plmn = j->ask->plmn;
    for (size_t i = 0; i < j->head.n[OPERATOR]; i++) /* a column of that name may have words */
        if (j->head.at[OPERATOR][i] < j->row.n &&
            connectivity_text_plmn(j->row.field[j->head.at[OPERATOR][i]], &s->plmn))
            return true;
    if (get(j, MCC, &mcc) && get(j, MNC, &mnc) && mcc.n == 3 && mnc.n >= 1 && mnc.n <= 3) {
        (void)snprintf(text, sizeof text, "%.3s%s%.*s", mcc.p, mnc.n == 1 ? "0" : "", (int)mnc.n,
                       mnc.p);
        if (connectivity_text_plmn((struct connectivity_text){text, strlen(text)}, &s->plmn))
            return true;
    }
    return s->plmn != 0 || wrong(j, "no operator (MCC and MNC)");
}

static bool take_technology(struct job *j, struct connectivity_sample *s)
{
    struct connectivity_text t;
    enum connectivity_survey_tech rough = CONNECTIVITY_SURVEY_TECHS;
    bool finer = get(j, MODE, &t) && connectivity_text_tech(t, &s->tech);
    if (get(j, TECHNOLOGY, &t) && !connectivity_text_tech(t, &rough) && !finer)
        return wrong(j, "no technology that we know: \"%.*s\"", t.n > 20 ? 20 : (int)t.n, t.p);
    if (finer && s->tech == CONNECTIVITY_SURVEY_LTE && rough == CONNECTIVITY_SURVEY_NR)
        s->tech = CONNECTIVITY_SURVEY_ENDC; /* 5G beside LTE */
    else if (!finer && rough != CONNECTIVITY_SURVEY_TECHS)
        s->tech = rough;
    else if (!finer && !j->head.n[LTE_MARK] != !j->head.n[NR_MARK])
        s->tech = j->head.n[NR_MARK] ? CONNECTIVITY_SURVEY_NR : CONNECTIVITY_SURVEY_LTE;
    else if (!finer && j->ask->has_tech)
        s->tech = j->ask->tech;
    else if (!finer)
        return wrong(j, "no technology");
    return true;
}

static bool take_signal(struct job *j, struct connectivity_sample *s)
{
    static const struct {
        enum column column, nr;
        const char *what;
        int low, high;
    } kinds[] = {{RSRP, NR_RSRP, "RSRP in dBm", -156, -31},
                 {RSRQ, NR_RSRQ, "RSRQ in dB", -43, 20},
                 {SINR, NR_SINR, "SINR in dB", -23, 40}};
    struct num *const to[] = {&s->rsrp, &s->rsrq, &s->sinr};
    bool is_5g = s->tech != CONNECTIVITY_SURVEY_LTE;
    if (s->tech == CONNECTIVITY_SURVEY_OTHER) /* the columns mean something else */
        return true;
    for (size_t i = 0; i < 3; i++) {
        struct connectivity_text t;
        /* beside LTE, an unmarked signal is LTE's */
        bool nr = is_5g && (s->tech == CONNECTIVITY_SURVEY_ENDC || get(j, kinds[i].nr, &t));
        if (!number(j, nr ? kinds[i].nr : kinds[i].column, kinds[i].what, kinds[i].low,
                    kinds[i].high, to[i]))
            return false;
    }
    return true;
}

static bool serves(const struct job *j)
{
    struct connectivity_text t;
    return !get(j, SERVING, &t) || !(t.p[0] == 'f' || t.p[0] == 'F' || t.p[0] == '0');
}

static bool sample_of(struct job *j, struct connectivity_sample *s)
{
    struct connectivity_text t;
    *s = (struct connectivity_sample){.own = false};
    if (j->row.open)
        return wrong(j, "a quote has no end");
    if (!connectivity_row_fits(&j->row, j->head.columns))
        return wrong(j, "%zu fields, but the first line names %zu", j->row.n, j->head.columns);
    if (!take_place(j, s) || !take_time(j, s) || !take_operator(j, s) || !take_technology(j, s) ||
        !take_signal(j, s))
        return false;
    s->transfer = get(j, TRANSFER, &t) && t.n == 1 && t.p[0] == '1';
    return true;
}

/* ---- the whole
 * ----------------------------------------------------------------------------------- */

static bool grown(struct connectivity_csv *o)
{
    if (o->n < o->cap)
        return true;
    size_t cap = o->cap ? 2 * o->cap : 256;
    struct connectivity_sample *p = realloc(o->sample, cap * sizeof *p);
    if (!p)
        return false;
    o->sample = p;
    o->cap = cap;
    return true;
}

static enum st rows_read(struct connectivity_rows *r, struct job *j, const char *name,
                         struct err *e)
{
    struct connectivity_csv *o = j->out;
    while (connectivity_row_next(r, j->head.columns, &j->row)) {
        struct connectivity_sample s;
        o->rows++;
        if (!j->row.open && !serves(j)) {
            o->neighbour++;
            continue;
        }
        if (!sample_of(j, &s))
            continue;
        if (o->n == CONNECTIVITY_SAMPLES_MAX)
            return err_set(e, ST_FULL, "%s: more than %d samples: cut it into smaller files", name,
                           CONNECTIVITY_SAMPLES_MAX);
        if (!grown(o))
            return err_set(e, ST_MEMORY, "%s: no memory", name);
        o->sample[o->n++] = s;
    }
    if (o->n > 0)
        return ST_OK;
    if (o->bad == 0)
        return err_set(e, ST_BAD, "%s: it has no samples", name);
    return err_set(e, ST_BAD, "%s: none of its %u lines can be used; line %u: %s", name, o->bad,
                   o->told[0].line, o->told[0].why);
}

enum st connectivity_csv_read(struct connectivity_csv *out, const char *name, const void *text,
                              size_t n, const struct connectivity_csv_ask *ask, struct err *e)
{
    *out = (struct connectivity_csv){.n = 0};
    struct connectivity_rows r = {.p = text, .end = (const char *)text + n, .line = 1};
    if (n >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return err_set(e, ST_BAD, "%s: it is UTF-16: save it as UTF-8", name);
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r.p += 3;
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ST_MEMORY, "%s: no memory", name);
    j->ask = ask;
    j->out = out;
    enum st st = head_read(&r, j, name, e);
    if (st == ST_OK)
        st = head_check(j, name, e);
    if (st == ST_OK)
        st = rows_read(&r, j, name, e);
    free(j);
    return st;
}
