/* So much of cmocka as tests that also run on target use; target.c. A failure ends the image. */
#ifndef TARGET_CMOCKA_H
#define TARGET_CMOCKA_H

#include <stddef.h>
#include <stdint.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state), (*teardown)(void **state);
};
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                        \
    {                                                                                              \
#f, f, setup, teardown                                                                     \
    }
#define cmocka_unit_test_setup(f, setup) cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test(f) cmocka_unit_test_setup(f, NULL)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    target_run(name, tests, sizeof(tests) / sizeof *(tests))
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)
int target_run(const char *name, const struct CMUnitTest *tests, size_t n);

#define fail_msg(...) target_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(x)                                                                             \
    do {                                                                                           \
        if (!(x))                                                                                  \
            fail_msg("%s", #x);                                                                    \
    } while (0)
#define assert_false(x) assert_true(!(x))
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_null(x) assert_true((x) == NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b)                                                                     \
    do {                                                                                           \
        long long a_ = (long long)(a), b_ = (long long)(b);                                        \
        if (a_ != b_)                                                                              \
            fail_msg("%s is %d, not %d", #a, (int)a_, (int)b_);                                    \
    } while (0)
#define assert_int_not_equal(a, b) assert_true((long long)(a) != (long long)(b))
#define assert_in_range(x, from, to)                                                               \
    do {                                                                                           \
        unsigned long long x_ = (x), from_ = (from), to_ = (to);                                   \
        assert_true(x_ >= from_ && x_ <= to_);                                                     \
    } while (0)
#define assert_string_equal(a, b) assert_true(target_same(a, b))
#define assert_memory_equal(a, b, n) assert_true(__builtin_memcmp(a, b, n) == 0)

_Noreturn void target_fail(const char *file, int line, const char *format, ...);
_Bool target_same(const char *a, const char *b);

#endif
