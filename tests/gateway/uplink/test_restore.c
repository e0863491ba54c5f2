/* The configuration that comes back: of this gateway and signed by a key that the city names, or it
 * is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "gateway/uplink/enrol_int.h"
#include "tests/support/temp.h"

#define GW "gw-01"
#define T0 INT64_C(1790000000000)

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK) {
        fail_msg("%s: %s", err_name(st), e->text);
    }
}

struct made {
    char *dir, path[128], other_path[128];
    struct wire_key *key, *other;
    struct buf cose, keys;
};

static void keys_of(struct made *m, const struct wire_key *const *v, size_t n)
{
    m->keys.n = 0;
    assert_int_equal(wire_put_array(&m->keys, n), ST_OK);
    for (size_t i = 0; i < n; i++) {
        struct wire_span der = wire_pub_der(wire_key_pub(v[i]));
        assert_int_equal(wire_put_bytes(&m->keys, der.p, der.n), ST_OK);
    }
}

static int make(void **state)
{
    static struct made m;
    static struct wire_deposit d;
    const struct wire_deposit_file v = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"x", 1}};
    struct buf files;
    struct err e = {.text = ""};
    m = (struct made){.dir = temp_make()};
    assert_non_null(m.dir);
    (void)snprintf(m.path, sizeof(m.path), "%s/a.key", m.dir);
    (void)snprintf(m.other_path, sizeof(m.other_path), "%s/b.key", m.dir);
    ok(wire_key_make(m.path, &e), &e);
    ok(wire_key_make(m.other_path, &e), &e);
    ok(wire_key_load(&m.key, m.path, &e), &e);
    ok(wire_key_load(&m.other, m.other_path, &e), &e);
    buf_init(&files, 4096);
    buf_init(&m.cose, WIRE_BATCH_MAX);
    buf_init(&m.keys, 4096);
    ok(wire_deposit_files(&v, 1, &files, &e), &e);
    d = (struct wire_deposit){.gw = GW, .when_ms = T0, .files = {files.p, files.n}};
    ok(wire_deposit_sign(&d, wire_key_signer(m.key), &m.cose, &e), &e);
    buf_done(&files);
    *state = &m;
    return 0;
}

static int done(void **state)
{
    struct made *m = *state;
    buf_done(&m->cose);
    buf_done(&m->keys);
    wire_key_free(m->key);
    wire_key_free(m->other);
    temp_done(m->dir);
    return 0;
}

static enum st check(const struct made *m, const char *gw)
{
    static struct wire_deposit d;
    struct wire_cose cose;
    struct err e = {.text = ""};
    ok(wire_deposit_open(&d, &cose, m->cose.p, m->cose.n, &e), &e);
    enum st st = uplink_restore_check(&d, &cose, gw, &m->keys, &e);
    assert_true(st == ST_OK || e.text[0]);
    return st;
}

static void any_named_key_of_this_gateway_will_do(void **state)
{
    struct made *m = *state;
    keys_of(m, (const struct wire_key *const[]){m->other, m->key}, 2);
    assert_int_equal(check(m, GW), ST_OK);
}

static void others_do_not(void **state)
{
    struct made *m = *state;
    keys_of(m, (const struct wire_key *const[]){m->key}, 1);
    assert_int_equal(check(m, "gw-02"), ST_CORRUPT);
    m->cose.p[m->cose.n - 1] ^= 1;
    assert_int_equal(check(m, GW), ST_CORRUPT);
    m->cose.p[m->cose.n - 1] ^= 1;
    assert_int_equal(check(m, GW), ST_OK);
    keys_of(m, (const struct wire_key *const[]){m->other}, 1);
    assert_int_equal(check(m, GW), ST_CORRUPT);
    keys_of(m, NULL, 0);
    assert_int_equal(check(m, GW), ST_CORRUPT);
    m->keys.n = 0;
    assert_int_equal(check(m, GW), ST_CORRUPT);
    keys_of(m, (const struct wire_key *const[]){m->key}, 1);
    m->keys.n -= 7;
    assert_int_equal(check(m, GW), ST_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_named_key_of_this_gateway_will_do, make, done),
        cmocka_unit_test_setup_teardown(others_do_not, make, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
