/* What a tool tells beside the gateway becomes an event of the gateway's, once and whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/line.h"

static struct store_event event_of(const char *subject, int64_t t_ms)
{
    struct store_event v = {.t_ms = t_ms, .grade = CLK_HOLDOVER, .severity = STORE_INFO};
    snprintf(v.code, sizeof v.code, "token.made");
    snprintf(v.subject, sizeof v.subject, "%s", subject);
    snprintf(v.text, sizeof v.text, "by lan: scopes correct");
    return v;
}

static void tell(const struct line *l, const char *subject, int64_t t_ms)
{
    struct store_event v = event_of(subject, t_ms);
    struct err e = {.text = ""};
    if (store_tell(l->db, &v, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static int files(const struct line *l)
{
    char path[300];
    int n = 0;
    snprintf(path, sizeof path, "%s.told", l->db);
    DIR *d = opendir(path);
    for (const struct dirent *f; d && (f = readdir(d));)
        n += f->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

struct found {
    const char *code;
    struct store_event v[8];
    size_t n;
};

static bool collect(void *ctx, const struct store_event *v)
{
    struct found *f = ctx;
    if (strcmp(v->code, f->code) == 0 && f->n < 8)
        f->v[f->n++] = *v;
    return true;
}

/* Newest first. */
static struct found told(const struct line *l, const char *code)
{
    struct store_reader *r = NULL;
    struct found f = {.code = code};
    struct err e = {.text = ""};
    if (store_reader_open(&r, l->db, &e) != ST_OK ||
        store_each_event(r, 0, 1000, collect, &f, &e) != ST_OK)
        fail_msg("%s", e.text);
    store_reader_close(r);
    return f;
}

static void turn(struct line *l)
{
    l->mono_ms += 1000;
    l->utc_ms += 1000;
    line_step(l, false);
}

static void it_is_an_event_once_and_the_file_goes(void **state)
{
    struct line *l = *state;
    tell(l, "early", LINE_T0 - 5000); /* before there is a store */
    line_start(l);
    turn(l);
    tell(l, "late", LINE_T0 + 5000);
    tell(l, "later", LINE_T0 + 6000);
    assert_int_equal(files(l), 2);
    turn(l);
    turn(l);
    assert_int_equal(files(l), 0);
    struct found f = told(l, "token.made");
    assert_int_equal(f.n, 3);
    assert_string_equal(f.v[0].subject, "later");
    assert_string_equal(f.v[1].subject, "late");
    assert_string_equal(f.v[2].subject, "early");
    assert_int_equal(f.v[2].t_ms, LINE_T0 - 5000); /* when it was done */
    assert_int_equal(f.v[2].grade, CLK_HOLDOVER);
    assert_string_equal(f.v[2].text, "by lan: scopes correct");
    line_stop(l); /* as killed: what was taken was committed */
    line_start(l);
    turn(l);
    assert_int_equal(told(l, "token.made").n, 3);
    line_stop(l);
}

static void many_are_taken_in_turns_and_too_many_are_refused(void **state)
{
    struct line *l = *state;
    struct store_event v = event_of("x", LINE_T0);
    struct err e = {.text = ""};
    line_start(l);
    for (int i = 0; i < 256; i++)
        tell(l, "x", LINE_T0 + i);
    assert_int_equal(store_tell(l->db, &v, &e), ST_FULL);
    for (int i = 0; i < 16; i++)
        turn(l);
    assert_int_equal(files(l), 0);
    line_stop(l);
}

static void put(const struct line *l, const char *name, const char *text, mode_t mode)
{
    char path[400];
    snprintf(path, sizeof path, "%s.told/%s", l->db, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

#define GOOD "fieldpost told 1\n1790000000000 0 0\ntoken.made\nlan\ntext\n"

static void what_no_tool_wrote_is_no_event(void **state)
{
    struct line *l = *state;
    static const char *const bad[] = {
        "",
        "fieldpost told 2\n1 0 0\na\nb\nc\n",
        "fieldpost told 1\n1 0 9\na\nb\nc\n",
        "fieldpost told 1\n1 9 0\na\nb\nc\n",
        "fieldpost told 1\n1 0\na\nb\nc\n",
        "fieldpost told 1\n1 0 0 0\na\nb\nc\n",
        "fieldpost told 1\nx 0 0\na\nb\nc\n",
        "fieldpost told 1\n1 0 0\n\nb\nc\n",
        "fieldpost told 1\n1 0 0\na\nb\nc",
        "fieldpost told 1\n1 0 0\na\nb\n",
        "fieldpost told 1\n1 0 0\na\nb\nc\nd\n",
        "fieldpost told 1\n1 0 0\na\nb\n\x1b[2Jc\n",
        "fieldpost told 1\n1 0 0\n012345678901234567890123456789012345\nb\nc\n"};
    char name[64];
    line_start(l);
    tell(l, "x", LINE_T0);
    turn(l);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(name, sizeof name, "%016zx-0123456789abcdef.told", i);
        put(l, name, bad[i], 0600);
    }
    put(l, "00000000000000ff-0123456789abcdef.told", GOOD, 0644); /* others read: not a tool's */
    put(l, "notes.txt", GOOD, 0600);                              /* nobody's: left alone */
    put(l, "00000000000000ff-0123456789abcdef.told.part", GOOD, 0600);
    turn(l);
    turn(l);
    assert_int_equal(files(l), 2);
    assert_int_equal(told(l, "token.made").n, 1);
    line_step(l, true);
    assert_int_equal(told(l, "told.bad").n, 8); /* each is told; here no more are counted */
    /* a folder in which others may write is not looked at */
    char path[300];
    snprintf(path, sizeof path, "%s.told", l->db);
    put(l, "00000000000000ff-0123456789abcdef.told", GOOD, 0600);
    assert_int_equal(chmod(path, 0770), 0);
    turn(l);
    turn(l);
    assert_int_equal(files(l), 3);
    assert_int_equal(chmod(path, 0700), 0);
    turn(l);
    assert_int_equal(files(l), 2);
    assert_int_equal(told(l, "token.made").n, 2);
    line_stop(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_an_event_once_and_the_file_goes, line_setup,
                                        line_teardown),
        cmocka_unit_test_setup_teardown(many_are_taken_in_turns_and_too_many_are_refused,
                                        line_setup, line_teardown),
        cmocka_unit_test_setup_teardown(what_no_tool_wrote_is_no_event, line_setup, line_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
