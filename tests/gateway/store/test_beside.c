/* What lies beside the store and goes with a copy: sheets of reports, and requests that wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define SHEET ".sheets/tra-cau.2026-H1.sheet"
#define CUT ".sheets/tra-cau.2026-Q3.new"
#define NOTE ".sheets/note.txt"
#define ASKED ".requests/0123456789abcdef-0011223344556677.request"

static const char *path_of(const char *db, const char *name)
{
    static char path[2][512];
    static int i;
    i ^= 1;
    (void)snprintf(path[i], sizeof path[i], "%s%s", db, name);
    return path[i];
}

static void put(const char *db, const char *name, const char *text)
{
    struct err e = {.text = ""};
    if (wire_file_put(path_of(db, name), text, strlen(text), 0600, true, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static void assert_there(const char *db, const char *name, const char *text)
{
    struct buf b;
    struct stat sb;
    struct err e = {.text = ""};
    buf_init(&b, 4096);
    if (wire_file_get(path_of(db, name), &b, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_string_equal((const char *)b.p, text);
    assert_int_equal(stat(path_of(db, name), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    buf_done(&b);
}

static void fill(struct line *l)
{
    line_start(l);
    line_run(l, LINE_T0 + 190000);
    line_step(l, true);
    assert_int_equal(mkdir(path_of(l->db, ".sheets"), 0700), 0);
    assert_int_equal(mkdir(path_of(l->db, ".requests"), 0700), 0);
    put(l->db, SHEET, "submitted");
    put(l->db, CUT, "cut off");
    put(l->db, NOTE, "of somebody else");
    put(l->db, ASKED, "asked");
}

/* The line goes on, on a copy of its store. */
static void restart_on_copy(struct line *l, const char *name)
{
    struct err e = {.text = ""};
    char *copy = strdup(path_of(l->dir, name));
    if (store_backup(l->db, copy, &e) != ST_OK)
        fail_msg("%s", e.text);
    line_stop(l);
    free(l->db);
    l->db = copy;
    l->store_cfg.path = l->db;
}

static void they_are_back_once_a_gateway_starts_on_the_copy(void **state)
{
    struct line *l = *state;
    struct stat sb;
    fill(l);
    restart_on_copy(l, "/copy.db");
    assert_int_not_equal(access(path_of(l->db, ".sheets"), F_OK), 0); /* one file is all */
    line_start(l);
    assert_there(l->db, SHEET, "submitted");
    assert_there(l->db, CUT, "cut off");
    assert_there(l->db, ASKED, "asked");
    assert_int_not_equal(access(path_of(l->db, NOTE), F_OK), 0);
    assert_int_equal(stat(path_of(l->db, ".sheets"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    line_stop(l);
    assert_int_equal(unlink(path_of(l->db, ASKED)), 0); /* as the seal does */
    line_start(l);
    assert_int_not_equal(access(path_of(l->db, ASKED), F_OK), 0); /* once */
}

static void a_copy_of_a_copy_that_nobody_started_has_them(void **state)
{
    struct line *l = *state;
    fill(l);
    restart_on_copy(l, "/copy.db");
    struct err e = {.text = ""};
    char *again = strdup(path_of(l->dir, "/again.db"));
    if (store_backup(l->db, again, &e) != ST_OK)
        fail_msg("%s", e.text);
    free(l->db);
    l->db = again;
    l->store_cfg.path = l->db;
    line_start(l);
    assert_there(l->db, SHEET, "submitted");
}

/* Between the pages and what lies beside: this line seals what was asked, and takes it away. */
struct store_db;
static struct line *seals_first;
enum st __real_store_beside_copy(struct store_db *to, const char *store, struct err *e);
enum st __wrap_store_beside_copy(struct store_db *to, const char *store, struct err *e);
enum st __wrap_store_beside_copy(struct store_db *to, const char *store, struct err *e)
{
    struct line *l = seals_first;
    if (l) {
        struct buf payload;
        seals_first = NULL;
        buf_init(&payload, 4096);
        assert_int_equal(wire_put_array(&payload, 1), ST_OK);
        line_put_correct(&payload, "dev-0/p0", LINE_T0, LINE_T0 + 1000);
        line_seal_control(l, &payload);
        buf_done(&payload);
        assert_int_equal(unlink(path_of(l->db, ASKED)), 0);
    }
    return __real_store_beside_copy(to, store, e);
}

static void what_is_sealed_while_it_is_copied_is_in_the_copy(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    fill(l);
    line_batches(l, &b);
    size_t n = b.n;
    line_batches_done(&b);
    seals_first = l;
    restart_on_copy(l, "/copy.db");
    assert_null(seals_first);
    line_start(l);
    line_batches(l, &b);
    assert_int_equal(b.n, n + 1);
    line_batches_done(&b);
    assert_int_not_equal(access(path_of(l->db, ASKED), F_OK), 0);
}

static void what_lies_there_stays(void **state)
{
    struct line *l = *state;
    fill(l);
    restart_on_copy(l, "/copy.db");
    assert_int_equal(mkdir(path_of(l->db, ".sheets"), 0700), 0);
    put(l->db, SHEET, "approved since");
    line_start(l);
    assert_there(l->db, SHEET, "approved since");
    assert_there(l->db, CUT, "cut off");
}

static void a_folder_that_cannot_be_written_holds_no_start_up_and_is_tried_again(void **state)
{
    struct line *l = *state;
    fill(l);
    restart_on_copy(l, "/copy.db");
    put(l->db, ".sheets", "a file in its place");
    line_start(l);
    line_run(l, l->utc_ms + 70000);
    line_stop(l);
    assert_int_equal(unlink(path_of(l->db, ".sheets")), 0);
    line_start(l);
    assert_there(l->db, SHEET, "submitted");
}

int main(void)
{
#define LINE_TEST(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
    const struct CMUnitTest tests[] = {
        LINE_TEST(they_are_back_once_a_gateway_starts_on_the_copy),
        LINE_TEST(a_copy_of_a_copy_that_nobody_started_has_them),
        LINE_TEST(what_is_sealed_while_it_is_copied_is_in_the_copy),
        LINE_TEST(what_lies_there_stays),
        LINE_TEST(a_folder_that_cannot_be_written_holds_no_start_up_and_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
