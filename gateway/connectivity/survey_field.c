/* Fields of survey apps: what they write for a number, a time, an operator, a technology. */
#include "gateway/connectivity/survey_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define NUM_BYTES 40

static bool is(struct connectivity_text t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

static bool has(struct connectivity_text t, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= t.n; i++)
        if (strncasecmp(t.p + i, word, n) == 0)
            return true;
    return false;
}

bool connectivity_text_none(struct connectivity_text t)
{
    static const char *const none[] = {"-",
                                       "--",
                                       "n/a",
                                       "na",
                                       "nan",
                                       "null",
                                       "unknown",
                                       "?",
                                       "2147483647",
                                       "-2147483648",
                                       "9223372036854775807"};
    bool nothing = t.n == 0;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        nothing |= is(t, none[i]);
    return nothing;
}

bool connectivity_text_num(struct connectivity_text t, struct num *out)
{
    char text[NUM_BYTES];
    if (t.n >= sizeof text || memchr(t.p, '\0', t.n))
        return false;
    memcpy(text, t.p, t.n);
    text[t.n] = '\0';
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.'; /* a second one, or a point beside it, is refused by num_parse */
    return num_parse(text[0] == '+' ? text + 1 : text, out);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Exactly n digits. */
static bool digits(const char **p, const char *end, size_t n, int *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++, (*p)++) {
        if (*p == end || **p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (**p - '0');
    }
    return true;
}

static bool one_of(const char **p, const char *end, const char *set)
{
    if (*p == end || **p == '\0' || !strchr(set, **p))
        return false;
    (*p)++;
    return true;
}

static bool date(const char **p, const char *end, struct tm *tm)
{
    const char *from = *p;
    if (digits(p, end, 4, &tm->tm_year) && one_of(p, end, "-/.") &&
        digits(p, end, 2, &tm->tm_mon) && one_of(p, end, "-/.") && digits(p, end, 2, &tm->tm_mday))
        return true;
    *p = from; /* day.month.year with points alone: with others nobody knows which is the month */
    return digits(p, end, 2, &tm->tm_mday) && one_of(p, end, ".") &&
           digits(p, end, 2, &tm->tm_mon) && one_of(p, end, ".") && digits(p, end, 4, &tm->tm_year);
}

static bool clock_of(const char **p, const char *end, struct tm *tm, int *ms)
{
    int digit;
    *ms = 0;
    if (!one_of(p, end, "T_ ") || !digits(p, end, 2, &tm->tm_hour) || !one_of(p, end, ":.") ||
        !digits(p, end, 2, &tm->tm_min) || !one_of(p, end, ":.") || !digits(p, end, 2, &tm->tm_sec))
        return false;
    if (!one_of(p, end, ".,"))
        return true;
    if (*p == end)
        return false;
    for (int weight = 100; digits(p, end, 1, &digit); weight /= 10)
        *ms += digit * weight;
    return true;
}

/* Z, +07:00, +0700, +07, or nothing: then it is as it was given. */
static bool offset_of(const char *p, const char *end, int64_t *offset_ms)
{
    int hours, minutes = 0;
    if (p == end)
        return true;
    if (end - p == 1 && (*p == 'Z' || *p == 'z')) {
        *offset_ms = 0;
        return true;
    }
    int64_t sign = *p == '-' ? -1 : 1;
    if (!one_of(&p, end, "+-") || !digits(&p, end, 2, &hours))
        return false;
    (void)one_of(&p, end, ":");
    if (p != end && !digits(&p, end, 2, &minutes))
        return false;
    *offset_ms = sign * (hours * 60 + minutes) * INT64_C(60000);
    return p == end && hours <= 14 && minutes < 60;
}

static bool epoch(struct connectivity_text t, int64_t *t_ms)
{
    struct num n;
    if (!connectivity_text_num(t, &n) || n.kind != NUM_DEC || n.exp != 0 || n.i < 100000000)
        return false;
    bool seconds = n.i < INT64_C(100000000000); /* of 5138; in ms that is 1973 */
    if (!seconds && n.i > INT64_C(100000000000000))
        return false;
    *t_ms = seconds ? n.i * 1000 : n.i;
    return true;
}

bool connectivity_text_time(struct connectivity_text t, int64_t utc_offset_ms, int64_t *t_ms)
{
    struct tm tm = {.tm_isdst = 0};
    const char *p = t.p, *end = t.p + t.n;
    int ms;
    if (epoch(t, t_ms))
        return true;
    if (!date(&p, end, &tm) || !clock_of(&p, end, &tm, &ms) || !offset_of(p, end, &utc_offset_ms))
        return false;
    if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    int day = tm.tm_mday;
    struct tm noon = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = day, .tm_hour = 12};
    (void)timegm(&noon); /* moves a day that the month does not have */
    *t_ms = timegm(&tm) * INT64_C(1000) + ms - utc_offset_ms;
    return noon.tm_mday == day;
}

/* ---- operator, technology -------------------------------------------------------------------- */

bool connectivity_text_plmn(struct connectivity_text t, uint32_t *plmn)
{
    uint32_t n = 0;
    size_t count = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (count == 3 && i == 3 && strchr("-/ ", t.p[i]) && t.p[i])
            continue;
        if (t.p[i] < '0' || t.p[i] > '9' || ++count > 6)
            return false;
        n = n * 10 + (uint32_t)(t.p[i] - '0');
    }
    if (count < 5 || n < 10000) /* no country's code begins with 0 */
        return false;
    *plmn = n;
    return true;
}

bool connectivity_text_tech(struct connectivity_text t, enum connectivity_survey_tech *tech)
{
    /* the first that is in it */
    static const struct {
        const char *word;
        enum connectivity_survey_tech tech;
    } words[] = {{"NSA", CONNECTIVITY_SURVEY_ENDC},    {"EN-DC", CONNECTIVITY_SURVEY_ENDC},
                 {"ENDC", CONNECTIVITY_SURVEY_ENDC},   {"SA", CONNECTIVITY_SURVEY_SA},
                 {"NR", CONNECTIVITY_SURVEY_NR},       {"5G", CONNECTIVITY_SURVEY_NR},
                 {"LTE", CONNECTIVITY_SURVEY_LTE},     {"4G", CONNECTIVITY_SURVEY_LTE},
                 {"IWLAN", CONNECTIVITY_SURVEY_TECHS}, {"HSPA", CONNECTIVITY_SURVEY_OTHER},
                 {"HSDPA", CONNECTIVITY_SURVEY_OTHER}, {"HSUPA", CONNECTIVITY_SURVEY_OTHER},
                 {"UMTS", CONNECTIVITY_SURVEY_OTHER},  {"WCDMA", CONNECTIVITY_SURVEY_OTHER},
                 {"3G", CONNECTIVITY_SURVEY_OTHER},    {"EDGE", CONNECTIVITY_SURVEY_OTHER},
                 {"GPRS", CONNECTIVITY_SURVEY_OTHER},  {"GSM", CONNECTIVITY_SURVEY_OTHER},
                 {"CDMA", CONNECTIVITY_SURVEY_OTHER},  {"2G", CONNECTIVITY_SURVEY_OTHER},
                 {"other", CONNECTIVITY_SURVEY_OTHER}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (has(t, words[i].word)) {
            *tech = words[i].tech;
            return *tech != CONNECTIVITY_SURVEY_TECHS;
        }
    return false;
}
