/* Notices of a city's next keys: what is written is read, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"
#include "tests/support/cert.h"

#define T0 INT64_C(1790000000000)

static struct wire_notice notice_of(const struct fixture *f)
{
    struct wire_notice x = {.n = 7,
                            .at_ms = T0,
                            .from_ms = T0 + 1,
                            .until_ms = T0 + 2,
                            .key = wire_pub_der(wire_key_pub(f->key))};
    memset(x.prev, 9, sizeof x.prev);
    return x;
}

/* Two certificates of openssl in one PEM text. */
static void make_certs(const struct fixture *f, struct wire_certs *certs)
{
    char cert[128], key[128];
    struct buf pem;
    struct err e = {.text = ""};
    buf_init(&pem, 65536);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(cert, sizeof cert, "%s/%d.pem", f->folder, i);
        (void)snprintf(key, sizeof key, "%s/%d.tls", f->folder, i);
        assert_true(cert_make(cert, key));
        assert_ok(wire_file_get(cert, &pem, &e), &e);
        (void)unlink(cert);
        (void)unlink(key);
    }
    assert_ok(wire_certs_pem(certs, pem.p, pem.n, &e), &e);
    assert_int_equal(certs->n, 2);
    pem.p[pem.n / 2 + 100] = '!';
    struct wire_certs none;
    assert_int_equal(wire_certs_pem(&none, pem.p, pem.n, &e), ST_BAD);
    assert_int_equal(wire_certs_pem(&none, "", 0, &e), ST_BAD);
    assert_true(none.n == 0 && !none.owned);
    buf_done(&pem);
}

static void what_is_written_is_read(void **state)
{
    const struct fixture *f = *state;
    struct wire_notice x = notice_of(f), got;
    struct wire_certs certs;
    struct wire_cose cose;
    struct buf b;
    struct err e = {.text = ""};
    uint8_t hash[WIRE_HASH_BYTES], kid[WIRE_ID_BYTES];
    make_certs(f, &certs);
    x.ca[0] = certs.v[0];
    x.ca[1] = certs.v[1];
    for (x.ncas = 0; x.ncas <= 2; x.ncas++) {
        buf_init(&b, 65536);
        assert_ok(wire_notice_sign(&x, wire_key_signer(f->key), &b, &e), &e);
        assert_ok(wire_notice_open(&got, &cose, b.p, b.n, &e), &e);
        assert_ok(wire_cose_verify(&cose, wire_key_pub(f->key), &e), &e);
        assert_true(got.n == 7 && got.at_ms == T0 && got.from_ms == T0 + 1 &&
                    got.until_ms == T0 + 2 && got.ncas == x.ncas && got.key.n == x.key.n);
        assert_memory_equal(got.key.p, x.key.p, x.key.n);
        assert_memory_equal(got.prev, x.prev, sizeof x.prev);
        for (size_t i = 0; i < x.ncas; i++) {
            assert_int_equal(got.ca[i].n, x.ca[i].n);
            assert_memory_equal(got.ca[i].p, x.ca[i].p, x.ca[i].n);
        }
        wire_sha256(b.p, b.n, hash);
        assert_memory_equal(got.hash, hash, sizeof hash);
        assert_ok(wire_cose_kid(&cose, kid, &e), &e);
        assert_memory_equal(kid, wire_pub_kid(wire_key_pub(f->key)), sizeof kid);
        assert_memory_equal(got.kid, kid, sizeof kid);
        buf_done(&b);
    }
    wire_certs_done(&certs);
}

static void what_breaks_a_rule_is_not_written(void **state)
{
    const struct fixture *f = *state;
    const struct wire_notice good = notice_of(f);
    struct wire_notice bad[6];
    static const uint8_t junk[100] = {0x30};
    struct buf b;
    struct err e;
    for (size_t i = 0; i < 6; i++)
        bad[i] = good;
    bad[0].n = 0;
    bad[1].key.n = 0;
    bad[2].from_ms = T0 - 1;
    bad[3].until_ms = good.from_ms;
    bad[4].key = (struct wire_span){junk, 91};
    bad[5].ca[0] = (struct wire_span){junk, sizeof junk};
    bad[5].ncas = 1;
    buf_init(&b, 65536);
    for (size_t i = 0; i < 6; i++) {
        e.text[0] = '\0';
        assert_int_not_equal(wire_notice_sign(&bad[i], wire_key_signer(f->key), &b, &e), ST_OK);
        assert_true(e.text[0] && b.n == 0);
    }
    buf_done(&b);
}

static void anything_else_is_refused(void **state)
{
    const struct fixture *f = *state;
    struct wire_notice x = notice_of(f), got;
    struct wire_cose cose;
    struct wire_span rest, item;
    struct buf b, head;
    struct err e = {.text = ""};
    buf_init(&b, 65536);
    buf_init(&head, 65536);
    assert_ok(wire_notice_sign(&x, wire_key_signer(f->key), &b, &e), &e);
    for (size_t n = 0; n < b.n; n++)
        assert_int_not_equal(wire_notice_open(&got, &cose, b.p, n, NULL), ST_OK);
    for (size_t bit = 0; bit < b.n * 8; bit += bit < 1000 ? 1 : 7) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum st st = wire_notice_open(&got, &cose, b.p, b.n, NULL);
        assert_true(st != ST_OK || wire_cose_verify(&cose, wire_key_pub(f->key), NULL) != ST_OK);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* the city's word on something else */
    struct wire_head h = {.gw = "gw-1", .trust = 3}, again;
    assert_ok(wire_head_sign(&h, wire_key_signer(f->key), &head, &e), &e);
    assert_int_equal(wire_notice_open(&got, &cose, head.p, head.n, &e), ST_BAD);
    assert_int_not_equal(wire_head_open(&again, &cose, b.p, b.n, NULL), ST_OK);
    assert_ok(wire_head_open(&again, &cose, head.p, head.n, &e), &e);
    assert_int_equal(again.trust, 3);
    wire_head_done(&again);
    /* its own payload under the type of something else */
    assert_ok(wire_notice_open(&got, &cose, b.p, b.n, &e), &e);
    head.n = 0;
    const struct buf payload = {.p = b.p + (cose.payload.p - b.p), .n = cose.payload.n};
    assert_ok(wire_answer_sign(WIRE_TYPE_KEY, &payload, wire_key_signer(f->key), &head, &e), &e);
    assert_int_equal(wire_notice_open(&got, &cose, head.p, head.n, &e), ST_BAD);
    head.n = 0;
    assert_ok(wire_answer_sign(WIRE_TYPE_TRUST, &payload, wire_key_signer(f->key), &head, &e), &e);
    assert_ok(wire_notice_open(&got, &cose, head.p, head.n, &e), &e);
    /* a sequence */
    size_t n = b.n;
    assert_ok(wire_notice_sign(&x, wire_key_signer(f->key), &b, &e), &e);
    rest = (struct wire_span){b.p, b.n};
    assert_ok(wire_notice_next(&rest, &item, &e), &e);
    assert_true(item.p == b.p && item.n == n);
    assert_ok(wire_notice_next(&rest, &item, &e), &e);
    assert_true(item.p == b.p + n && item.n == n);
    assert_int_equal(wire_notice_next(&rest, &item, &e), ST_NOT_FOUND);
    rest = (struct wire_span){b.p, n - 1};
    assert_int_equal(wire_notice_next(&rest, &item, &e), ST_BAD);
    buf_done(&b);
    buf_done(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_breaks_a_rule_is_not_written),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
