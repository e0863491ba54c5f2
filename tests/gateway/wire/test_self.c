/* The certificate that a machine signs itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/wire.h"
#include "tests/support/temp.h"

#define FROM INT64_C(1795322171000)
#define TO (FROM + 800 * INT64_C(86400000))

static char *dir, path[160];
static struct buf key;

static int start(void **state)
{
    (void)state;
    dir = temp_make();
    if (!dir)
        return -1;
    snprintf(path, sizeof path, "%s/key", dir);
    buf_init(&key, 4096);
    return wire_key_make(path, NULL) == ST_OK && wire_file_get(path, &key, NULL) == ST_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    buf_done(&key);
    temp_done(dir);
    return 0;
}

static void it_has_the_names_the_dates_and_the_key(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", "box_1.local", "192.168.1.5", "::1",
                                        "fd00::12"};
    static const char *const others[] = {"localhos", "ocalhost", "192.168.1.6",
                                         "::2",      "fd00::13", "local"};
    const struct wire_self s = {.cn = "gw-1", .names = names, .n = 5, .from_ms = FROM, .to_ms = TO};
    struct wire_key *k = NULL;
    struct wire_cert c;
    struct buf pem;
    uint8_t spki[WIRE_HASH_BYTES];
    buf_init(&pem, 8192);
    assert_int_equal(wire_self_sign(&s, &key, &pem, NULL), ST_OK);
    assert_int_equal(buf_put(&pem, "", 1), ST_OK);
    pem.n--;
    assert_int_equal(wire_cert_read_pem(&c, pem.p, pem.n, NULL), ST_OK);
    assert_string_equal(c.cn, "gw-1");
    assert_int_equal(c.from_ms, FROM);
    assert_int_equal(c.to_ms, TO);
    assert_int_equal(wire_key_load(&k, path, NULL), ST_OK);
    struct wire_span der = wire_pub_der(wire_key_pub(k));
    wire_sha256(der.p, der.n, spki);
    assert_memory_equal(c.spki, spki, sizeof spki);
    for (size_t i = 0; i < 5; i++)
        assert_true(wire_cert_names(pem.p, pem.n, names[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(wire_cert_names(pem.p, pem.n, others[i]));
    char found[8][WIRE_NAME_TEXT];
    assert_int_equal(wire_cert_list(pem.p, pem.n, found, 8), 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(found[i], names[i]);
    assert_int_equal(wire_cert_list(pem.p, pem.n, found, 3), 3);
    assert_int_equal(wire_cert_list("none", 4, found, 8), 0);
    wire_key_free(k);
    buf_done(&pem);
}

/* Each byte of the base64 in turn is another one: no such certificate is taken for ours. */
static void a_damaged_certificate_is_not_of_its_key(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost"};
    const struct wire_self s = {.cn = "gw-1", .names = names, .n = 1, .from_ms = FROM, .to_ms = TO};
    struct wire_key *k = NULL, *other = NULL;
    struct buf pem;
    char another[200];
    buf_init(&pem, 8192);
    assert_int_equal(wire_self_sign(&s, &key, &pem, NULL), ST_OK);
    assert_int_equal(buf_put(&pem, "", 1), ST_OK);
    pem.n--;
    assert_int_equal(wire_key_load(&k, path, NULL), ST_OK);
    snprintf(another, sizeof another, "%s.2", path);
    assert_int_equal(wire_key_make(another, NULL), ST_OK);
    assert_int_equal(wire_key_load(&other, another, NULL), ST_OK);
    assert_true(wire_self_is_of(pem.p, pem.n, wire_key_pub(k)));
    assert_false(wire_self_is_of(pem.p, pem.n, wire_key_pub(other)));
    char *begin = strchr((char *)pem.p, '\n') + 1, *end = strstr(begin, "-----END");
    assert_non_null(end);
    for (char *p = begin; p < end; p++) {
        char was = *p;
        if (was == '\n' || was == '=')
            continue;
        *p = was >= 'A' && was <= 'P' ? 'g' : 'A'; /* not only bits that the padding ignores */
        assert_false(wire_self_is_of(pem.p, pem.n, wire_key_pub(k)));
        *p = was;
    }
    wire_key_free(k);
    wire_key_free(other);
    buf_done(&pem);
}

static void no_key_and_too_many_names_make_none(void **state)
{
    (void)state;
    static char text[] = "no key";
    const char *names[200];
    struct buf pem, none = {.p = (uint8_t *)text, .n = sizeof text - 1};
    for (size_t i = 0; i < 200; i++)
        names[i] = "a-rather-long-name-of-a-box.example";
    struct wire_self s = {.cn = "gw-1", .names = names, .n = 1, .from_ms = FROM, .to_ms = TO};
    buf_init(&pem, 8192);
    assert_int_equal(wire_self_sign(&s, &none, &pem, NULL), ST_BAD);
    s.n = 200;
    assert_int_equal(wire_self_sign(&s, &key, &pem, NULL), ST_BAD);
    assert_int_equal(pem.n, 0);
    buf_done(&pem);
}

/* RFC 7914 11. */
static void a_password_is_hashed_as_the_standard_says(void **state)
{
    (void)state;
    static const uint8_t want[8] = {0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f};
    uint8_t hash[WIRE_HASH_BYTES];
    wire_password_hash("passwd", (const uint8_t *)"salt", 4, 1, hash);
    assert_memory_equal(hash, want, sizeof want);
    assert_true(wire_same(hash, want, sizeof want));
    for (size_t i = 0; i < sizeof want; i++) {
        hash[i] ^= 1;
        assert_false(wire_same(hash, want, sizeof want));
        hash[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_the_names_the_dates_and_the_key),
        cmocka_unit_test(a_damaged_certificate_is_not_of_its_key),
        cmocka_unit_test(no_key_and_too_many_names_make_none),
        cmocka_unit_test(a_password_is_hashed_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
