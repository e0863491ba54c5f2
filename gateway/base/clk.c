#include "gateway/base/clk.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

/* Days since 1970-01-01 to a civil date and back; the year begins in March, so that the leap day
 * is its last. Source: H. Hinnant, "chrono-compatible low-level date algorithms". */
static void civil(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

const char *clk_text(int64_t utc_ms, char buf[CLK_TEXT_BYTES])
{
    if (utc_ms < days_of(0, 1, 1) * DAY_MS || utc_ms >= days_of(10000, 1, 1) * DAY_MS) {
        (void)snprintf(buf, CLK_TEXT_BYTES, "%lld ms", (long long)utc_ms);
        return buf;
    }
    int64_t days = utc_ms / DAY_MS - (utc_ms % DAY_MS < 0);
    int ms = (int)(utc_ms - days * DAY_MS);
    int y, m, d;
    civil(days, &y, &m, &d);
    (void)snprintf(buf, CLK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)y % 10000U,
                   (unsigned)m % 100U, (unsigned)d % 100U, (unsigned)(ms / 3600000) % 100U,
                   (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
    return buf;
}

/* Exactly n digits at *p; -1 when there are fewer. Steps over them. */
static int digits(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9') {
            return -1;
        }
        v = v * 10 + (**p - '0');
    }
    return v;
}

static bool step_over(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

static bool parse_ms(const char *text, int64_t *out)
{
    bool minus = step_over(&text, '-');
    if (!*text) {
        return false;
    }
    int64_t v = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, *text - '0', &v)) {
            return false;
        }
    }
    *out = minus ? -v : v;
    return true;
}

/* "T03:05:10[.250]Z" at p, and nothing behind it. */
static bool parse_clock(const char *p, int64_t *ms)
{
    if (!step_over(&p, 'T')) {
        return false;
    }
    int h = digits(&p, 2);
    if (h < 0 || h > 23 || !step_over(&p, ':')) {
        return false;
    }
    int min = digits(&p, 2);
    if (min < 0 || min > 59 || !step_over(&p, ':')) {
        return false;
    }
    int s = digits(&p, 2);
    if (s < 0 || s > 59) {
        return false;
    }
    int frac = 0;
    if (step_over(&p, '.') && (frac = digits(&p, 3)) < 0) {
        return false;
    }
    *ms = ((h * INT64_C(60) + min) * 60 + s) * 1000 + frac;
    return step_over(&p, 'Z') && !*p;
}

bool clk_parse(const char *text, int64_t *utc_ms)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *p = text;
    int y = digits(&p, 4);
    if (y < 0 || !step_over(&p, '-')) {
        return parse_ms(text, utc_ms);
    }
    int m = digits(&p, 2);
    if (m < 1 || m > 12 || !step_over(&p, '-')) {
        return false;
    }
    int d = digits(&p, 2);
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d < 1 || d > length[m - 1] + (m == 2 && leap)) {
        return false;
    }
    int64_t ms = 0;
    if (*p && !parse_clock(p, &ms)) {
        return false;
    }
    *utc_ms = days_of(y, m, d) * DAY_MS + ms;
    return true;
}
