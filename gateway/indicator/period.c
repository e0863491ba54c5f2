/* Periods of reports, in days of UTC+7. */
#include <stdio.h>
#include <string.h>

#include "gateway/indicator/report_int.h"

#define YEAR_MIN 2000
#define YEAR_MAX 2099
#define RANGE_MAX 3653 /* ten years */
#define CLOSES_ON 14
#define DATE (WIRE_DAY_TEXT - 1)

int32_t report_day(int year, int month, int day)
{
    char text[32];
    int64_t first = 0;
    for (; month < 1; month += 12)
        year--;
    for (; month > 12; month -= 12)
        year++;
    (void)snprintf(text, sizeof text, "%04d-%02d-01", year, month);
    bool there = wire_day_parse((struct wire_span){(const uint8_t *)text, strlen(text)}, &first);
    return there ? (int32_t)first + day - 1 : INT32_MIN;
}

/* n digits; false: others stand there. */
static bool digits(const char **at, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

/* ---- months ---- */

/* The forms behind a year: "%" stands for the number of the part. */
static const struct form {
    const char *text;
    enum report_kind kind;
    unsigned parts;    /* 1 to parts; 0: no number */
    int months, first; /* of a part: so many months; the first part begins with that month */
} forms[] = {{"", REPORT_YEAR, 0, 12, 1},          {"-%%", REPORT_MONTH, 12, 1, 1},
             {"-Q%", REPORT_QUARTER, 4, 3, 1},     {"-H1", REPORT_FIRST_HALF, 0, 6, 1},
             {"-H2", REPORT_SECOND_HALF, 0, 6, 7}, {"-9M", REPORT_NINE_MONTHS, 0, 9, 1}};

static bool fits(const struct form *f, const char *text, unsigned *part)
{
    *part = 0;
    const char *t = f->text;
    for (; *t && *text; t++, text++) {
        if (*t == '%' && *text >= '0' && *text <= '9')
            *part = *part * 10 + (unsigned)(*text - '0');
        else if (*t != *text)
            return false;
    }
    return !*t && !*text && (f->parts == 0 || (*part >= 1 && *part <= f->parts));
}

static void months(struct report_period *p, const struct form *f)
{
    int first = f->first + (int)(p->part > 0 ? p->part - 1 : 0) * f->months;
    int next = first + f->months;
    p->from_day = report_day(p->year, first, 1);
    p->to_day = report_day(p->year, next, 1) - 1;
    if (p->closing == REPORT_ON_14TH) {
        p->from_day = report_day(p->year, first - 1, CLOSES_ON + 1);
        p->to_day = report_day(p->year, next - 1, CLOSES_ON);
    }
}

/* ---- ranges ---- */

static bool date(const char *text, int *year, int32_t *day)
{
    int64_t d = 0;
    bool good = strnlen(text, DATE) == DATE &&
                wire_day_parse((struct wire_span){(const uint8_t *)text, DATE}, &d) &&
                digits(&text, 4, year) && *year >= YEAR_MIN && *year <= YEAR_MAX;
    *day = (int32_t)d;
    return good;
}

static enum st range(struct report_period *p, const char *text, struct err *e)
{
    int year = 0;
    const char *to = text + DATE + 2;
    if (!date(text, &year, &p->from_day) || strncmp(text + DATE, "..", 2) != 0 ||
        !date(to, &p->year, &p->to_day) || to[DATE])
        return err_set(e, ST_BAD,
                       "period \"%.40s\": a range is two days that there are, such as "
                       "2026-01-15..2026-06-14",
                       text);
    if (p->to_day < p->from_day)
        return err_set(e, ST_BAD, "period \"%.40s\": it ends before it begins", text);
    if (p->to_day - p->from_day >= RANGE_MAX)
        return err_set(e, ST_BAD, "period \"%.40s\": more than ten years", text);
    p->kind = REPORT_RANGE;
    p->closing = REPORT_CALENDAR;
    return ST_OK;
}

enum st report_period_parse(struct report_period *out, const char *text,
                            enum report_closing closing, struct err *e)
{
    *out = (struct report_period){.closing = closing};
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    if (strstr(text, ".."))
        return range(out, text, e);
    const char *at = text;
    bool year = digits(&at, 4, &out->year) && out->year >= YEAR_MIN && out->year <= YEAR_MAX;
    for (size_t i = 0; year && i < sizeof forms / sizeof *forms; i++)
        if (fits(&forms[i], at, &out->part)) {
            out->kind = forms[i].kind;
            months(out, &forms[i]);
            return ST_OK;
        }
    return err_set(
        e, ST_BAD,
        "period \"%.40s\": write a month 2026-07, a quarter 2026-Q3, half a year 2026-H1, "
        "nine months 2026-9M, a year 2026 (%d to %d), or days 2026-01-15..2026-06-14",
        text, YEAR_MIN, YEAR_MAX);
}

/* ---- names ---- */

const char *report_period_name(const struct report_period *p, enum report_language l,
                               char out[REPORT_NAME_BYTES])
{
    /* before the number of the part, if it has one, and before the year */
    static const struct {
        const char *part[REPORT_LANGUAGES], *year[REPORT_LANGUAGES];
    } named[REPORT_KINDS] = {
        [REPORT_MONTH] = {{"Tháng ", "Month "}, {" năm ", " of "}},
        [REPORT_QUARTER] = {{"Quý ", "Quarter "}, {" năm ", " of "}},
        [REPORT_FIRST_HALF] = {.year = {"6 tháng đầu năm ", "First half of "}},
        [REPORT_SECOND_HALF] = {.year = {"6 tháng cuối năm ", "Second half of "}},
        [REPORT_NINE_MONTHS] = {.year = {"9 tháng đầu năm ", "First nine months of "}},
        [REPORT_YEAR] = {.year = {"Năm ", "Year "}},
        [REPORT_RANGE] = {.part = {"Khoảng ngày", "A range of days"}}};
    const char *part = named[p->kind].part[l], *year = named[p->kind].year[l];
    size_t n = 0;
    out[0] = '\0';
    if (part && year)
        n = (size_t)snprintf(out, REPORT_NAME_BYTES, "%s%u", part, p->part);
    if (year)
        (void)snprintf(out + n, REPORT_NAME_BYTES - n, "%s%d", year, p->year);
    else
        (void)snprintf(out, REPORT_NAME_BYTES, "%s", part);
    return out;
}

const char *report_date(int32_t day, enum report_language l, char out[REPORT_DATE_BYTES])
{
    static const char *const month[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
    char iso[WIRE_DAY_TEXT];
    const char *at = iso;
    int y = 0, m = 0, d = 0;
    bool good = wire_day_text(day, iso) == ST_OK && digits(&at, 4, &y) && at++ &&
                digits(&at, 2, &m) && at++ && digits(&at, 2, &d) && m >= 1 && m <= 12;
    if (!good)
        (void)snprintf(out, REPORT_DATE_BYTES, "?");
    else if (l == REPORT_VI)
        (void)snprintf(out, REPORT_DATE_BYTES, "%02d/%02d/%04d", d, m, y);
    else
        (void)snprintf(out, REPORT_DATE_BYTES, "%d %s %04d", d, month[m - 1], y);
    return out;
}
