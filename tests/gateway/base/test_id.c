/* Names in the configuration, in batches, paths and addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/base/id.h"

static void an_id_can_stand_in_a_path_and_an_address(void **state)
{
    static const char *const good[] = {"a", "7", "tra-cau-01", "Z.9_-", "a..b"};
    static const char *const bad[] = {"",    ".",   "..",   "-a",  "_a",   ".a",
                                      "a b", "a/b", "../a", "a:b", "a\nb", "a\x7f",
                                      "Lý",  "a*",  "a%2e", "a@b", "a?b",  "\xc3\x28"};
    char longest[ID_MAX_BYTES + 2];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(id_is_text(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(id_is_text(bad[i]));
    memset(longest, 'a', sizeof longest);
    assert_true(id_is(longest, ID_MAX_BYTES));
    assert_false(id_is(longest, ID_MAX_BYTES + 1));
    assert_false(id_is("a\0b", 3)); /* whatever stands behind a NUL */
    assert_false(id_is(NULL, 0));
}

/* Published vectors of FNV-1a: what hangs on the hash is the same after every update. */
static void a_hash_is_the_same_for_ever(void **state)
{
    (void)state;
    assert_true(id_hash(ID_HASH, "", 0) == ID_HASH);
    assert_true(id_hash(ID_HASH, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(id_hash(ID_HASH, "foobar", 6) == UINT64_C(0x85944171f73967e8));
    assert_true(id_hash(id_hash(ID_HASH, "foo", 3), "bar", 3) == id_hash(ID_HASH, "foobar", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_id_can_stand_in_a_path_and_an_address),
                                       cmocka_unit_test(a_hash_is_the_same_for_ever)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
