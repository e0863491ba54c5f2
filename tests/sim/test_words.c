/* Registers from a file: what it says is served, what it does not say is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/words.h"
#include "tests/support/temp.h"

static const struct sim_profile plain = {.most = {0, 2000, 2000, 125, 125}, .joined = true};

static enum st load(struct sim_device *d, const char *text, struct err *e)
{
    char path[128];
    int fd = mkstemp(temp_name(path, sizeof path));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    enum st st = sim_words_load(d, path, e);
    (void)unlink(path);
    return st;
}

static void words_are_served_and_what_lies_outside_is_refused(void **state)
{
    static const uint8_t ask[] = {3, 0x9C, 0x40, 0, 4}, low[] = {3, 0x9C, 0x3F, 0, 2};
    static const uint8_t beyond[] = {3, 0x9C, 0x44, 0, 2}, other[] = {4, 0x9C, 0x40, 0, 1};
    static const uint8_t got[] = {3, 8, 0x53, 0x75, 0x6E, 0x53, 0, 0, 0xAB, 0xCD};
    struct sim_device d = {.id = "d", .profile = &plain};
    uint8_t out[SIM_PDU_MAX_BYTES];
    struct err e;
    (void)state;
    assert_int_equal(sim_device_open(&d, NULL, 1, &e), ST_OK);
    assert_int_equal(load(&d, "# a chain\n40000: 5375 6E53\n\n40003: ABCD 0001 # end\n", &e),
                     ST_OK);
    assert_int_equal(sim_device_answer(&d, ask, sizeof ask, out), sizeof got);
    assert_memory_equal(out, got, sizeof got);
    (void)sim_device_answer(&d, low, sizeof low, out);
    assert_int_equal(out[0], 0x83);
    (void)sim_device_answer(&d, beyond, sizeof beyond, out);
    assert_int_equal(out[0], 0x83);
    (void)sim_device_answer(&d, other, sizeof other, out);
    assert_int_equal(out[0], 0x84);
    static const char *const bad[] = {"40000 5375\n", "65536: 0000\n", "1: 123\n",
                                      "1: 12345\n",   "1: 00G0\n",     "65535: 0001 0002\n",
                                      "# nothing\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(load(&d, bad[i], &e), ST_BAD);
    assert_int_equal(sim_device_answer(&d, ask, sizeof ask, out), sizeof got); /* as before */
    sim_device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_served_and_what_lies_outside_is_refused),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
