/* Periods of reports: the days that they take in, by the calendar and closed on the 14th, and what
 * is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/indicator/indicator.h"

static const struct {
    const char *text;
    enum report_kind kind;
    const char *calendar[2], *closed[2];
} good[] = {
    {"2026-01", REPORT_MONTH, {"2026-01-01", "2026-01-31"}, {"2025-12-15", "2026-01-14"}},
    {"2026-02", REPORT_MONTH, {"2026-02-01", "2026-02-28"}, {"2026-01-15", "2026-02-14"}},
    {"2028-02", REPORT_MONTH, {"2028-02-01", "2028-02-29"}, {"2028-01-15", "2028-02-14"}},
    {"2028-03", REPORT_MONTH, {"2028-03-01", "2028-03-31"}, {"2028-02-15", "2028-03-14"}},
    {"2000-02", REPORT_MONTH, {"2000-02-01", "2000-02-29"}, {"2000-01-15", "2000-02-14"}},
    {"2026-12", REPORT_MONTH, {"2026-12-01", "2026-12-31"}, {"2026-11-15", "2026-12-14"}},
    {"2026-Q1", REPORT_QUARTER, {"2026-01-01", "2026-03-31"}, {"2025-12-15", "2026-03-14"}},
    {"2026-Q3", REPORT_QUARTER, {"2026-07-01", "2026-09-30"}, {"2026-06-15", "2026-09-14"}},
    {"2026-Q4", REPORT_QUARTER, {"2026-10-01", "2026-12-31"}, {"2026-09-15", "2026-12-14"}},
    {"2026-H1", REPORT_FIRST_HALF, {"2026-01-01", "2026-06-30"}, {"2025-12-15", "2026-06-14"}},
    {"2026-H2", REPORT_SECOND_HALF, {"2026-07-01", "2026-12-31"}, {"2026-06-15", "2026-12-14"}},
    {"2026-9M", REPORT_NINE_MONTHS, {"2026-01-01", "2026-09-30"}, {"2025-12-15", "2026-09-14"}},
    {"2026", REPORT_YEAR, {"2026-01-01", "2026-12-31"}, {"2025-12-15", "2026-12-14"}},
    {"2028", REPORT_YEAR, {"2028-01-01", "2028-12-31"}, {"2027-12-15", "2028-12-14"}},
    /* a range says its days itself */
    {"2026-01-15..2026-06-14",
     REPORT_RANGE,
     {"2026-01-15", "2026-06-14"},
     {"2026-01-15", "2026-06-14"}},
    {"2028-02-29..2028-02-29",
     REPORT_RANGE,
     {"2028-02-29", "2028-02-29"},
     {"2028-02-29", "2028-02-29"}},
    {"2025-12-31..2026-01-01",
     REPORT_RANGE,
     {"2025-12-31", "2026-01-01"},
     {"2025-12-31", "2026-01-01"}},
};

static void is_day(int32_t day, const char *text)
{
    char got[WIRE_DAY_TEXT];
    assert_int_equal(wire_day_text(day, got), ST_OK);
    assert_string_equal(got, text);
}

static void periods_have_their_days(void **s)
{
    (void)s;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct report_period p;
        struct err e;
        assert_int_equal(report_period_parse(&p, good[i].text, REPORT_CALENDAR, &e), ST_OK);
        assert_string_equal(p.text, good[i].text);
        assert_int_equal(p.kind, good[i].kind);
        is_day(p.from_day, good[i].calendar[0]);
        is_day(p.to_day, good[i].calendar[1]);
        assert_int_equal(report_period_parse(&p, good[i].text, REPORT_ON_14TH, &e), ST_OK);
        is_day(p.from_day, good[i].closed[0]);
        is_day(p.to_day, good[i].closed[1]);
    }
}

/* No day is in two months, and none in no month; the same of quarters, and years are their sum. */
static void closed_months_follow_each_other(void **s)
{
    (void)s;
    for (int closing = REPORT_CALENDAR; closing <= REPORT_ON_14TH; closing++) {
        struct report_period p, year;
        struct err e;
        char text[16];
        int32_t next = INT32_MIN;
        for (int y = 2000; y <= 2099; y++) {
            (void)snprintf(text, sizeof text, "%d", y);
            assert_int_equal(report_period_parse(&year, text, (enum report_closing)closing, &e),
                             ST_OK);
            for (int m = 1; m <= 12; m++) {
                (void)snprintf(text, sizeof text, "%d-%02d", y, m);
                assert_int_equal(report_period_parse(&p, text, (enum report_closing)closing, &e),
                                 ST_OK);
                assert_true(next == INT32_MIN || p.from_day == next);
                assert_true(m > 1 || p.from_day == year.from_day);
                next = p.to_day + 1;
            }
            assert_int_equal(p.to_day, year.to_day);
        }
    }
}

static void what_is_no_period_is_refused(void **s)
{
    (void)s;
    static const char *const bad[] = {"",
                                      "26",
                                      "2026-",
                                      "2026-0",
                                      "2026-00",
                                      "2026-13",
                                      "2026-7",
                                      "2026-007",
                                      "2026-Q0",
                                      "2026-Q5",
                                      "2026-Q",
                                      "2026-Q11",
                                      "2026-H3",
                                      "2026-H",
                                      "2026-h1",
                                      "2026-9",
                                      "2026-9m",
                                      "2026-6M",
                                      "1999",
                                      "2100",
                                      "2026 ",
                                      " 2026",
                                      "2026-07-01",
                                      "2026-W01",
                                      "+026",
                                      "٢٠٢٦",
                                      "2026-01-15..",
                                      "..2026-01-15",
                                      "2026-01-15...2026-06-14",
                                      "2026-01-15..2026-06-14 ",
                                      "2026-01-15..2026-06-1",
                                      "2026-02-29..2026-03-01",
                                      "2026-01-01..2026-02-30",
                                      "2026-06-14..2026-01-15",
                                      "2000-01-01..2099-12-31",
                                      "1999-12-31..2000-01-05",
                                      "2026-04-31..2026-05-01",
                                      "2026-13-01..2026-13-02",
                                      "....",
                                      "2026..2027"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct report_period p;
        struct err e = {.text = ""};
        if (report_period_parse(&p, bad[i], REPORT_CALENDAR, &e) != ST_BAD)
            fail_msg("\"%s\" is taken for a period", bad[i]);
        assert_non_null(strstr(e.text, "period"));
    }
}

static void periods_and_days_have_names(void **s)
{
    (void)s;
    static const struct {
        const char *text, *vi, *en;
    } named[] = {{"2026-07", "Tháng 7 năm 2026", "Month 7 of 2026"},
                 {"2026-Q3", "Quý 3 năm 2026", "Quarter 3 of 2026"},
                 {"2026-H1", "6 tháng đầu năm 2026", "First half of 2026"},
                 {"2026-H2", "6 tháng cuối năm 2026", "Second half of 2026"},
                 {"2026-9M", "9 tháng đầu năm 2026", "First nine months of 2026"},
                 {"2026", "Năm 2026", "Year 2026"},
                 {"2026-01-15..2026-06-14", "Khoảng ngày", "A range of days"}};
    char out[REPORT_NAME_BYTES], date[REPORT_DATE_BYTES];
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        struct report_period p;
        assert_int_equal(report_period_parse(&p, named[i].text, REPORT_CALENDAR, NULL), ST_OK);
        assert_string_equal(report_period_name(&p, REPORT_VI, out), named[i].vi);
        assert_string_equal(report_period_name(&p, REPORT_EN, out), named[i].en);
    }
    assert_string_equal(report_date(report_day(2026, 6, 9), REPORT_VI, date), "09/06/2026");
    assert_string_equal(report_date(report_day(2026, 6, 9), REPORT_EN, date), "9 June 2026");
    assert_string_equal(report_date(INT32_MAX, REPORT_EN, date), "?");
    assert_int_equal(report_day(1970, 1, 1), 0);
    assert_int_equal(report_day(2025, 13, 1), report_day(2026, 1, 1));
    assert_int_equal(report_day(2026, 0, 15), report_day(2025, 12, 15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods_have_their_days),
        cmocka_unit_test(closed_months_follow_each_other),
        cmocka_unit_test(what_is_no_period_is_refused),
        cmocka_unit_test(periods_and_days_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
