/* Every installed profile of addresses can be played (SunSpec devices are files of words), and
 * traces come out as they stand in the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <string.h>

#include "tests/sim/profile.h"
#include "tests/sim/trace.h"

static void every_profile_can_be_played(void **state)
{
    const char *dir = FP_SOURCE_DIR "/sensors/profile";
    DIR *d = opendir(dir);
    int n = 0;
    (void)state;
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        size_t stem = strlen(f->d_name);
        struct sim_profile p;
        struct err e;
        if (stem < 6 || strcmp(f->d_name + stem - 5, ".yaml") != 0 ||
            strncmp(f->d_name, "sunspec-", 8) == 0)
            continue;
        f->d_name[stem - 5] = '\0';
        if (sim_profile_load(&p, f->d_name, dir, "", &e) != ST_OK)
            fail_msg("%s", e.text);
        sim_profile_done(&p);
        n++;
    }
    closedir(d);
    assert_true(n >= 4);
}

static void a_compressed_trace_is_read_whole(void **state)
{
    struct sim_trace t;
    struct err e;
    (void)state;
    if (sim_trace_load(&t, FP_SOURCE_DIR "/tests/data", "energy", &e) != ST_OK)
        fail_msg("%s", e.text);
    const struct sim_series *s = sim_trace_find(&t, "meter1/voltage");
    assert_int_equal(t.n, 21);
    assert_non_null(s);
    assert_int_equal(s->n, 1440);
    assert_true(s->rows[0] == 243.15);
    assert_null(sim_trace_find(&t, "meter1/volt"));
    sim_trace_done(&t);
}

static void a_trace_that_is_not_there_says_where_it_was_sought(void **state)
{
    struct sim_trace t;
    struct err e;
    (void)state;
    assert_int_equal(sim_trace_load(&t, "/nonexistent", "energy", &e), ST_NOT_FOUND);
    assert_non_null(strstr(e.text, "/nonexistent/energy.csv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_can_be_played),
        cmocka_unit_test(a_compressed_trace_is_read_whole),
        cmocka_unit_test(a_trace_that_is_not_there_says_where_it_was_sought),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
