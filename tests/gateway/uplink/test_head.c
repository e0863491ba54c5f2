/* A head counts when it answers this very question, of this gateway, signed by the city. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/uplink/uplink_int.h"
#include "tests/support/temp.h"

#define GW "gw-1"
#define ENDS_MS INT64_C(1790000000000)
#define NONCE "00112233445566778899aabbccddeeff"

static struct wire_key *made(const char *dir, const char *name)
{
    char path[200];
    struct wire_key *k = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(wire_key_make(path, NULL), ST_OK);
    assert_int_equal(wire_key_load(&k, path, NULL), ST_OK);
    return k;
}

/* What the check says of a head that the key signs for that gateway and that nonce, when it is
 * asked for at now_ms. */
static enum st check_at(const struct wire_key *key, const struct wire_pub *known, const char *gw,
                        const char *nonce, int64_t now_ms)
{
    struct wire_head h = {.nonce_n = strlen(nonce)}, got;
    const struct uplink_key keys[] = {{(struct wire_pub *)(uintptr_t)known, ENDS_MS}};
    struct wire_cose cose;
    struct buf b;
    (void)snprintf(h.gw, sizeof(h.gw), "%s", gw);
    memcpy(h.nonce, nonce, h.nonce_n);
    buf_init(&b, 4096);
    assert_int_equal(wire_head_sign(&h, wire_key_signer(key), &b, NULL), ST_OK);
    assert_int_equal(wire_head_open(&got, &cose, b.p, b.n, NULL), ST_OK);
    enum st st = uplink_head_check(&got, &cose, GW, NONCE, keys, 1, now_ms, NULL);
    wire_head_done(&got);
    buf_done(&b);
    return st;
}

static enum st check(const struct wire_key *key, const struct wire_pub *known, const char *gw,
                     const char *nonce)
{
    return check_at(key, known, gw, nonce, ENDS_MS - 1);
}

static void a_head_answers_this_question_or_none(void **state)
{
    (void)state;
    char *dir = temp_make();
    struct wire_key *city = made(dir, "city.key"), *other = made(dir, "other.key");
    const struct wire_pub *pub = wire_key_pub(city);
    assert_int_equal(check(city, pub, GW, NONCE), ST_OK);
    assert_int_not_equal(check(city, pub, GW, "00112233445566778899aabbccddeef0"), ST_OK);
    assert_int_not_equal(check(city, pub, GW, ""), ST_OK);
    assert_int_not_equal(check(city, pub, GW, NONCE "0"), ST_OK);
    assert_int_not_equal(check(city, pub, "gw-2", NONCE), ST_OK);
    assert_int_not_equal(check(other, pub, GW, NONCE), ST_OK);
    assert_int_not_equal(check_at(city, pub, GW, NONCE, ENDS_MS), ST_OK);
    assert_int_equal(check_at(city, pub, GW, NONCE, INT64_MIN), ST_OK); /* no date is known */
    wire_key_free(city);
    wire_key_free(other);
    temp_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_head_answers_this_question_or_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
