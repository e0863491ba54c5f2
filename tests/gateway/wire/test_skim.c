/* The quick walk over records that were checked before: the same readings as the strict reader's,
 * those of one device alone when asked, and nothing outside the bytes when these are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gateway/wire/wire_test.h"

static const char *const devices[] = {"meter-1", "meter-10", "air"};
static uint32_t seed = 4;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static struct num any_value(void)
{
    switch (rnd(5)) {
    case 0:
        return num_flt((double)rnd(100000) / 7);
    case 1:
        return num_udec(UINT64_MAX - rnd(9), 0);
    case 2:
        return num_dec((int64_t)rnd(200) - 100, 0);
    default:
        return num_dec((int64_t)(rnd(1u << 20)) * rnd(1u << 20) - (1 << 19), -(int)rnd(5));
    }
}

/* A payload of some polls; *n of its records. */
static void payload(struct buf *b, uint64_t *n)
{
    struct buf body;
    struct wire_point point[3];
    buf_init(&body, 1 << 20);
    *n = 0;
    assert_int_equal(wire_point_init(&point[0], "p1", "W", NULL), ST_OK);
    assert_int_equal(wire_point_init(&point[1], "p10", NULL, NULL), ST_OK);
    assert_int_equal(wire_point_init(&point[2], "a-point.with_a-long-name", "kWh", NULL), ST_OK);
    for (uint32_t polls = rnd(20); polls > 0; polls--) {
        struct wire_record r[8];
        char base[64];
        size_t k = 1 + rnd(8);
        snprintf(base, sizeof base, "gw/%s/", devices[rnd(3)]);
        for (size_t i = 0; i < k; i++)
            r[i] = (struct wire_record){&point[rnd(3)], any_value(), rnd(3) ? 0 : rnd(256)};
        int64_t t = INT64_C(1790000000000) + rnd(5000) * (rnd(2) ? 1 : 1000);
        assert_int_equal(wire_senml_poll(&body, base, t, r, k), ST_OK);
        *n += k;
    }
    b->n = 0;
    assert_int_equal(wire_put_array(b, *n), ST_OK);
    assert_int_equal(buf_put(b, body.p, body.n), ST_OK);
    buf_done(&body);
}

static bool same(struct wire_span a, struct wire_span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void it_reads_what_the_strict_reader_reads(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int round = 0; round < 300; round++) {
        uint64_t n = 0;
        payload(&b, &n);
        for (int only = -1; only < 3; only++) {
            struct wire_senml s;
            struct wire_reading w;
            struct wire_skim k;
            struct wire_skimmed x;
            struct num v;
            struct wire_span device = {(const uint8_t *)devices[only < 0 ? 0 : only], 0};
            device.n = strlen((const char *)device.p);
            assert_int_equal(wire_senml_open(&s, b.p, b.n, "gw", NULL, NULL), ST_OK);
            assert_int_equal(wire_skim_open(&k, b.p, b.n, NULL), ST_OK);
            while (wire_senml_next(&s, &w, NULL) == ST_OK) {
                if (only >= 0 && !same(device, w.device))
                    continue;
                assert_int_equal(wire_skim_next(&k, only < 0 ? NULL : &device, &x, NULL), ST_OK);
                assert_true(same(x.device, w.device) && same(x.point, w.point));
                assert_int_equal(x.t_ms, w.t_ms);
                assert_int_equal(x.q, w.q);
                assert_int_equal(wire_skim_value(&k, &x, &v, NULL), ST_OK);
                assert_int_equal(num_cmp(v, w.v), 0);
            }
            assert_int_equal(wire_skim_next(&k, only < 0 ? NULL : &device, &x, NULL), ST_NOT_FOUND);
        }
    }
    buf_done(&b);
}

/* An exact copy, so that the sanitizer sees a read behind it. */
static enum st walk(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct wire_skim k;
    struct wire_skimmed x;
    struct num v;
    assert_non_null(copy);
    memcpy(copy, p, n);
    enum st st = wire_skim_open(&k, copy, n, NULL);
    while (st == ST_OK && (st = wire_skim_next(&k, NULL, &x, NULL)) == ST_OK)
        (void)!wire_skim_value(&k, &x, &v, NULL);
    free(copy);
    return st;
}

static void damage_stays_inside_the_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int round = 0; round < 20; round++) {
        uint64_t n = 0;
        do
            payload(&b, &n);
        while (n == 0);
        assert_int_equal(walk(b.p, b.n), ST_NOT_FOUND);
        for (size_t cut = 0; cut < b.n; cut++)
            assert_int_equal(walk(b.p, cut), ST_CORRUPT);
        for (int flips = 0; flips < 500; flips++) {
            size_t at = rnd((uint32_t)b.n);
            uint8_t was = b.p[at];
            b.p[at] ^= (uint8_t)(1u << rnd(8));
            enum st st = walk(b.p, b.n);
            assert_true(st == ST_NOT_FOUND || st == ST_CORRUPT);
            b.p[at] = was;
        }
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_reads_what_the_strict_reader_reads),
        cmocka_unit_test(damage_stays_inside_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
