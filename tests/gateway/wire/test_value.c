/* Values: one encoding for each, and it gives the same number back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

static void assert_bytes(struct num v, const char *hex)
{
    uint8_t b[WIRE_NUM_BYTES];
    char text[2 * WIRE_NUM_BYTES + 1];
    uint8_t *end = wire_store_num(b, v);

    assert_non_null(end);
    wire_hex(b, (size_t)(end - b), text);
    assert_string_equal(text, hex);
}

static void each_value_takes_the_fewest_bytes_that_are_exact(void **state)
{
    (void)state;
    assert_bytes(num_dec(0, 0), "00");
    assert_bytes(num_dec(-1, 0), "20");
    assert_bytes(num_dec(65536, 0), "1a00010000");
    assert_bytes(num_dec(5, -1), "f93800");    /* 0.5: half before tag 4 */
    assert_bytes(num_dec(2305, -1), "f95b34"); /* 230.5 */
    assert_bytes(num_dec(1, -1), "c4822001");  /* 0.1 */
    assert_bytes(num_dec(-1, -1), "c4822020");
    assert_bytes(num_dec(INT64_C(10296666666667), -10), "c482291b0000095d6128b6ab");
    assert_bytes(num_flt(33554432.5), "c482201a14000005"); /* tag 4 wins over a double */
    assert_bytes(num_dec(335544325, -1), "c482201a14000005");
    assert_bytes(num_flt(0.5), "f93800");
    assert_bytes(num_flt(-0.0), "f98000"); /* stays a float */
    assert_bytes(num_flt(0.0), "00");
    assert_bytes(num_flt(5.0), "05");
    assert_bytes(num_flt(100000.0), "1a000186a0"); /* ties: integer first */
    assert_bytes(num_flt((double)0.1f), "fa3dcccccd");
    assert_bytes(num_flt(0.1), "fb3fb999999999999a");             /* never the decimal 0.1 */
    assert_bytes(num_flt(1029.6666666667), "fb409016aaaaaaab3d"); /* as a register's binary64 */
    assert_bytes(num_flt(5.960464477539063e-8), "f90001");
    assert_bytes(num_flt(1e300), "fb7e37e43c8800759c");
    assert_bytes(num_flt(65504.0), "19ffe0");
    assert_bytes(num_dec(INT64_C(4294967296), 0), "fa4f800000"); /* a single is shorter */
    assert_bytes(num_dec(INT64_C(4294967297), 0), "1b0000000100000001");
    assert_bytes(num_dec(INT64_MIN, 0), "fadf000000");
    assert_bytes(num_dec(INT64_MIN + 1, 0), "3b7ffffffffffffffe");
    assert_bytes(num_udec(UINT64_MAX, 0), "1bffffffffffffffff");
    assert_bytes(num_udec(UINT64_C(1) << 63, 0), "fa5f000000");
    assert_bytes(num_flt(-1e19), "3b8ac7230489e7ffff");
    assert_bytes(num_udec(UINT64_MAX, -3), "c482221bffffffffffffffff");
}

static void no_value_has_no_encoding(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 64);
    assert_int_equal(wire_put_num(&b, num_flt(NAN)), ST_BAD);
    assert_int_equal(wire_put_num(&b, (struct num){.kind = NUM_NONE}), ST_BAD);
    assert_int_equal(b.n, 0);
    buf_done(&b);
}

static void assert_refused(const char *hex)
{
    uint8_t b[32] = {0};
    size_t n = strlen(hex) / 2;
    struct wire_reader r = wire_reader_of(b, n);
    struct num v;

    assert_true(wire_unhex(hex, b, n));
    if (wire_next_num(&r, &v, NULL) != ST_BAD)
        fail_msg("%s was read as a value", hex);
}

static void every_other_encoding_of_a_value_is_refused(void **state)
{
    static const char *const bad[] = {
        "1800",                     /* 0 in two bytes */
        "f90000",                   /* 0 as a float */
        "f94500",                   /* 5 as a float */
        "fa3f000000",               /* 0.5 as a single */
        "fb3fe0000000000000",       /* 0.5 as a double */
        "c4822005",                 /* 0.5 as tag 4 */
        "c482210a",                 /* mantissa divisible by 10 */
        "c4820005",                 /* exponent 0 */
        "c4820105",                 /* exponent 1 */
        "c482381801",               /* exponent -25: beyond what we hold */
        "1b0000000100000000",       /* 2^32: a single is shorter */
        "fb4180000004000000",       /* 33554432.5 as a double */
        "f97e00",                   /* NaN */
        "f97c00",                   /* infinity */
        "fa7fc00000",               /* another NaN */
        "c249010000000000000000",   /* a bignum */
        "6131",                     /* a text */
        "f5",                       /* true */
        "3bffffffffffffffff",       /* -2^64: a single is shorter */
        "c482201b0000000000000007", /* a long head inside */
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i]);
}

static uint64_t random_state;
static uint64_t rnd(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct num any_num(void)
{
    uint64_t bits = rnd() >> (rnd() % 64);
    double f;

    switch (rnd() % 4) {
    case 0:
        return num_dec((int64_t)(rnd() & 1 ? bits : 0 - bits), -(int)(rnd() % 25));
    case 1:
        return num_udec(bits, -(int)(rnd() % 25));
    case 2: /* short binary fractions, where the forms compete */
        return num_flt(ldexp((double)(int64_t)(bits >> 11), -(int)(rnd() % 40)) *
                       (rnd() & 1 ? 1 : -1));
    default:
        bits = rnd();
        memcpy(&f, &bits, sizeof(f));
        return num_flt(f);
    }
}

static void any_value_reads_back_equal_and_in_one_form(void **state)
{
    const char *given = getenv("FP_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20261126;
    int i;

    (void)state;
    print_message("FP_SEED=%llu\n", (unsigned long long)seed);
    random_state = seed * 2 + 1;
    for (i = 0; i < 200000; i++) {
        struct num v = any_num(), back;
        uint8_t b[WIRE_NUM_BYTES], again[WIRE_NUM_BYTES];
        uint8_t *end = wire_store_num(b, v);
        struct wire_reader r;

        if (v.kind == NUM_NONE)
            continue;
        assert_non_null(end);
        r = wire_reader_of(b, (size_t)(end - b));
        assert_int_equal(wire_next_num(&r, &back, NULL), ST_OK);
        assert_true(wire_end(&r));
        if (v.kind == NUM_FLT) { /* bit for bit, the sign of zero included */
            double f = num_double(back);

            assert_memory_equal(&f, &v.f, sizeof(f));
        } else {
            assert_int_equal(num_cmp(v, back), 0);
        }
        assert_int_equal(wire_store_num(again, back) - again, end - b);
        assert_memory_equal(again, b, (size_t)(end - b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_takes_the_fewest_bytes_that_are_exact),
        cmocka_unit_test(no_value_has_no_encoding),
        cmocka_unit_test(every_other_encoding_of_a_value_is_refused),
        cmocka_unit_test(any_value_reads_back_equal_and_in_one_form),
    };

    return cmocka_run_group_tests_name("wire values", tests, NULL, NULL);
}
