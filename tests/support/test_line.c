/* What a line promises to the tests on it: one that fails while the writer's thread works ends with
 * its message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/support/line.h"

#define TRIES 20 /* of what a thread may or may not run into */

static atomic_bool broken; /* every turn of the writer fails, but serves the calls that wait */

enum st __real_store_step(struct store *s, bool flush, struct err *e);
enum st __wrap_store_step(struct store *s, bool flush, struct err *e);
enum st __wrap_store_step(struct store *s, bool flush, struct err *e)
{
    enum st st = __real_store_step(s, flush, e);
    return atomic_load(&broken) ? err_set(e, ST_IO, "the storage is gone") : st;
}

/* ---- tests that fail: in a program of their own, this one with an argument ---- */

/* As when a city does not answer in time: the thread is amid its turns. */
static void fails_beside_the_writer(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + LINE_MINUTE);
    line_writer_start(l);
    for (int i = 0; i < 50; i++)
        store_event(l->store, STORE_INFO, "test", NULL, "work for the writer");
    fail_msg("the reason");
}

static void fails_in_the_writer(void **state)
{
    struct line *l = *state;
    struct err e = {.text = ""};
    line_start(l);
    atomic_store(&broken, true);
    line_writer_start(l);
    assert_int_equal(store_ack_flush(l->store, &e), ST_OK);
    line_writer_stop(l);
}

static int failing(const char *which)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fails_beside_the_writer, line_setup, line_teardown),
        cmocka_unit_test_setup_teardown(fails_in_the_writer, line_setup, line_teardown),
    };
    cmocka_set_test_filter(which);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ---- how they end ---- */

static const char *self;

static void ends_with(const char *which, const char *message)
{
    char command[1000], text[65536];
    snprintf(command, sizeof command, EMULATOR " %s %s 2>&1", self, which);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    int status = pclose(f);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || !strstr(text, message) ||
        strstr(text, "exception"))
        fail_msg("status %x: %s", (unsigned)status, text);
}

static void a_test_that_fails_beside_the_writer_says_why(void **state)
{
    (void)state;
    for (int i = 0; i < TRIES; i++)
        ends_with("fails_beside_the_writer", "the reason");
}

static void a_writer_that_fails_is_told_when_it_ends(void **state)
{
    (void)state;
    ends_with("fails_in_the_writer", "the storage is gone");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_test_that_fails_beside_the_writer_says_why),
        cmocka_unit_test(a_writer_that_fails_is_told_when_it_ends),
    };
    self = argv[0];
    return argc > 1 ? failing(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
