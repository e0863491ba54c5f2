/* Territories: each file is read, says its duties and dates as the plans do, and what is unknown or
 * wrong is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/indicator/indicator.h"
#include "tests/support/temp.h"

#define OURS FP_SOURCE_DIR "/gateway/indicator/territory"
static const char *const ours[] = {OURS, NULL};

static void open_it(struct report_territory *t, const char *wanted)
{
    const char *complaints;
    struct err e = {.text = ""};
    if (report_territory_open(t, ours, wanted, &complaints, &e) != ST_OK)
        fail_msg("%s: %s%s", wanted, e.text, complaints);
}

/* The reporting duties of the five plans: which report, due before which day. */
static void duties_are_those_of_the_plans(void **s)
{
    (void)s;
    static const struct {
        const char *wanted, *id, *period;
        const char *due; /* "": no day; NULL: no duty */
        enum report_closing closing;
    } cases[] = {
        {"kim-dong", "kim-dong", "2026-H1", "2026-06-10", REPORT_CALENDAR},
        {"Kim Động", "kim-dong", "2026", "2026-12-01", REPORT_CALENDAR},
        {"kim-dong", "kim-dong", "2026-H2", NULL, REPORT_CALENDAR},
        {"hai-phong", "hai-phong", "2026", "2026-12-15", REPORT_ON_14TH},
        {"31", "hai-phong", "2026-H1", NULL, REPORT_ON_14TH},
        {"21451", "tra-cau", "2026-H1", "", REPORT_CALENDAR},
        {"tra-cau", "tra-cau", "2026-07", "", REPORT_CALENDAR},
        {"tra-cau", "tra-cau", "2026-9M", NULL, REPORT_CALENDAR},
        {"Phường Kinh Môn", "kinh-mon", "2026-Q3", "", REPORT_CALENDAR},
        {"kinh-mon", "kinh-mon", "2026-H2", "", REPORT_CALENDAR},
        {"cat-hai", "cat-hai", "2026", NULL, REPORT_CALENDAR},
        {"cat-hai", "cat-hai", "2026-01-01..2026-01-31", NULL, REPORT_CALENDAR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_territory t;
        struct report_period p;
        int32_t due;
        char text[WIRE_DAY_TEXT] = "";
        open_it(&t, cases[i].wanted);
        assert_string_equal(t.id, cases[i].id);
        assert_int_equal(t.closing, cases[i].closing);
        assert_int_equal(
            report_period_parse(&p, cases[i].period, (enum report_closing)t.closing, NULL), ST_OK);
        const struct report_duty *d = report_duty_of(&t, &p, &due);
        if ((d != NULL) != (cases[i].due != NULL))
            fail_msg("%s %s", cases[i].wanted, cases[i].period);
        if (due != INT32_MAX)
            assert_int_equal(wire_day_text(due, text), ST_OK);
        assert_string_equal(text, cases[i].due ? cases[i].due : "");
        report_territory_close(&t);
    }
}

static void unknown_territories_name_the_nearest(void **s)
{
    (void)s;
    static const struct {
        const char *wanted, *near;
    } cases[] = {{"tracau", "did you mean \"tra-cau\"?"},
                 {"21541", "did you mean \"21451\"?"},
                 {"10675", "known are: cat-hai"}, /* nobody has confirmed that code */
                 {"", "known are: cat-hai"},
                 {"../../etc/passwd", "known are: cat-hai"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_territory t;
        const char *complaints;
        struct err e = {.text = ""};
        assert_int_equal(report_territory_open(&t, ours, cases[i].wanted, &complaints, &e),
                         ST_NOT_FOUND);
        if (!strstr(e.text, cases[i].near))
            fail_msg("\"%s\": %s", cases[i].wanted, e.text);
        report_territory_close(&t);
    }
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A site that knows better has its own file; a mistake in it is told by line, and is in nobody
 * else's way. */
static void a_sites_own_file_counts(void **s)
{
    (void)s;
    char *dir = temp_make();
    assert_non_null(dir);
    const char *const folders[] = {OURS, "/nonexistent", dir, NULL};
    const char *complaints;
    struct report_territory t;
    struct err e = {.text = ""};
    put(dir, "kinh-mon.yaml",
        "id: kinh-mon\ncode: \"99999\"\nname: {vi: \"KM\", en: \"KM\"}\nclosing: 14\nsource: "
        "here\n");
    put(dir, "xa-moi.yaml",
        "id: xa-moi\nname: {vi: \"Xã Mới\", en: \"New\"}\nclosing: 15\nsource: here\n"
        "duties:\n  - {period: year, to: me, before: 02-29, source: here}\n");
    assert_int_equal(report_territory_open(&t, folders, "99999", &complaints, &e), ST_OK);
    assert_string_equal(t.id, "kinh-mon");
    assert_int_equal(t.closing, REPORT_ON_14TH);
    report_territory_close(&t);
    assert_int_equal(report_territory_open(&t, folders, "xa-moi", &complaints, &e), ST_BAD);
    assert_non_null(strstr(complaints, "xa-moi.yaml:3:10: "));
    report_territory_close(&t);
    put(dir, "xa-moi.yaml",
        "id: xa-cu\nname: {vi: \"Xã Mới\", en: \"New\"}\nsource: here\n"
        "duties:\n  - {period: year, to: me, before: 02-29, source: here}\n");
    assert_int_equal(report_territory_open(&t, folders, "xa-moi", &complaints, &e), ST_BAD);
    assert_non_null(strstr(complaints, "xa-moi.yaml:1:5: id: the file is called xa-moi.yaml"));
    assert_non_null(strstr(complaints, "xa-moi.yaml:5:36: before: a day of each year"));
    report_territory_close(&t);
    temp_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duties_are_those_of_the_plans),
        cmocka_unit_test(unknown_territories_name_the_nearest),
        cmocka_unit_test(a_sites_own_file_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
