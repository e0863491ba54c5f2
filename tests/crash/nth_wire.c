/* What is good is never called bad because memory is short: each allocation that a check makes is
 * refused in turn, once and from there on. What the caller would do with ST_BAD is refuse a key or
 * set a store aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/wire/wire.h"
#include "tests/crash/nth.h"
#include "tests/support/temp.h"

static struct wire_key *key;
static struct buf der, frame, out;

static enum st read_key(void)
{
    struct wire_pub *pub = NULL;
    enum st st = wire_pub_parse(&pub, der.p, der.n, NULL);
    wire_pub_free(pub);
    return st;
}

static enum st read_frame(void)
{
    return wire_zstd_unpack(frame.p, frame.n, 1 << 10, &out, NULL);
}

static int setup(void **state)
{
    static const char text[] = "the same again, the same again, the same again, the same again";
    char dir[48], path[64];
    struct wire_zstd *z;
    (void)state;
    buf_init(&der, 1 << 10);
    buf_init(&frame, 1 << 10);
    buf_init(&out, 1 << 10);
    assert_non_null(mkdtemp(temp_name(dir, sizeof dir)));
    (void)snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(wire_key_make(path, NULL), ST_OK);
    assert_int_equal(wire_key_load(&key, path, NULL), ST_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    struct wire_span p = wire_pub_der(wire_key_pub(key));
    assert_int_equal(buf_put(&der, p.p, p.n), ST_OK);
    assert_int_equal(wire_zstd_open(&z, NULL), ST_OK);
    assert_int_equal(wire_zstd_pack(z, 5, text, sizeof text, &frame, NULL), ST_OK);
    wire_zstd_close(z);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wire_key_free(key);
    buf_done(&der);
    buf_done(&frame);
    buf_done(&out);
    return 0;
}

static void without_memory(enum st (*check)(void), bool forever)
{
    bool refused = true;
    for (int64_t at = 1; refused; at++) {
        buf_done(&out); /* its memory is asked for, too */
        buf_init(&out, 1 << 10);
        nth_arm(NTH_MEMORY, 0, at, forever);
        enum st st = check();
        nth_disarm();
        refused = atomic_load(&nth_control()->failed) > 0;
        if (st != ST_MEMORY)
            assert_int_equal(st, ST_OK);
        if (!refused) {
            assert_int_equal(st, ST_OK);
            assert_true(at > 1); /* something was asked for */
        }
    }
}

static void a_good_key_is_not_bad_for_want_of_memory(void **state)
{
    (void)state;
    without_memory(read_key, false);
    without_memory(read_key, true);
}

static void a_good_frame_is_not_damage_for_want_of_memory(void **state)
{
    (void)state;
    without_memory(read_frame, false);
    without_memory(read_frame, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_key_is_not_bad_for_want_of_memory),
        cmocka_unit_test(a_good_frame_is_not_damage_for_want_of_memory),
    };
    return cmocka_run_group_tests_name("nth_wire", tests, setup, teardown);
}
