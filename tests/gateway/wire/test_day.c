/* The days of a chain and their digests, by the rules of batch.cddl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gateway/wire/wire_test.h"

#define MIDNIGHT INT64_C(1795626000000) /* 2026-11-25T17:00:00Z: 2026-11-26 begins in Viet Nam */
#define DAY_25 INT64_C(20782)           /* 2026-11-25 */

static struct wire_span text(const char *s)
{
    return (struct wire_span){(const uint8_t *)s, strlen(s)};
}

static void days_are_those_of_viet_nam(void **state)
{
    char day[WIRE_DAY_TEXT];

    (void)state;
    assert_int_equal(wire_day_of(MIDNIGHT - 1), DAY_25);
    assert_int_equal(wire_day_of(MIDNIGHT), DAY_25 + 1);
    assert_int_equal(wire_day_begin_ms(DAY_25 + 1), MIDNIGHT);
    assert_int_equal(wire_day_of(-1), 0); /* 1970-01-01T06:59:59.999 there */
    assert_int_equal(wire_day_of(-7 * 3600000 - 1), -1);
    assert_int_equal(wire_day_text(DAY_25, day), ST_OK);
    assert_string_equal(day, "2026-11-25");
    assert_int_equal(wire_day_text(-1, day), ST_OK);
    assert_string_equal(day, "1969-12-31");
    assert_int_equal(wire_day_text(3000000, day), ST_BAD);
}

static void only_days_are_read(void **state)
{
    static const char *const none[] = {"2026-02-29", "2026-13-01",  "2026-1-1",   "0000-00-00",
                                       "1795539600", "2026-11-25Z", "2026/11/25", ""};
    int64_t day = 0;

    (void)state;
    assert_true(wire_day_parse(text("2026-11-25"), &day));
    assert_int_equal(day, DAY_25);
    assert_true(wire_day_parse(text("2028-02-29"), &day));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(wire_day_parse(text(none[i]), &day));
}

/* One batch, whose hash is all `mark`. */
static bool add(struct wire_days *d, uint8_t mark, bool tells, int64_t to_ms, uint64_t readings)
{
    uint8_t hash[WIRE_HASH_BYTES];
    struct wire_day_batch b = {.seq = wire_days_next(d),
                               .hash = hash,
                               .tells = tells,
                               .to_ms = to_ms,
                               .readings = readings,
                               .gaps = tells};

    memset(hash, mark, sizeof hash);
    return wire_days_add(d, &b);
}

/* h(n) as the rule has it, from the beginning. */
static void folded(const char *marks, uint8_t h[WIRE_HASH_BYTES])
{
    uint8_t both[2 * WIRE_HASH_BYTES] = {0};

    memset(h, 0, WIRE_HASH_BYTES);
    for (; *marks; marks++) {
        memcpy(both, h, WIRE_HASH_BYTES);
        memset(both + WIRE_HASH_BYTES, *marks, WIRE_HASH_BYTES);
        wire_sha256(both, sizeof both, h);
    }
}

static void what_tells_no_day_is_of_the_day_of_what_follows(void **state)
{
    struct wire_days d;
    uint8_t want[WIRE_HASH_BYTES];

    (void)state;
    wire_days_begin(&d, 1);
    assert_true(add(&d, 'a', false, 0, 0)); /* a plan */
    assert_int_equal(d.run.seq_to, 0);
    assert_true(add(&d, 'b', true, MIDNIGHT - 300000, 10));
    assert_true(add(&d, 'c', true, MIDNIGHT, 20)); /* its last millisecond is of the 25th */
    assert_true(add(&d, 'd', false, MIDNIGHT, 0)); /* the next day's, as it turns out */
    assert_false(add(&d, 'e', true, MIDNIGHT + 1, 30));
    folded("abc", want);
    assert_int_equal(d.run.day, DAY_25);
    assert_int_equal(d.run.seq_from, 1);
    assert_int_equal(d.run.seq_to, 3);
    assert_int_equal(d.run.readings, 30);
    assert_int_equal(d.run.gaps, 2);
    assert_memory_equal(d.run.hash, want, sizeof want);
    wire_days_begin(&d, d.run.seq_to + 1);
    assert_true(add(&d, 'd', false, MIDNIGHT, 0));
    assert_true(add(&d, 'e', true, MIDNIGHT + 1, 30));
    folded("de", want);
    assert_int_equal(d.run.day, DAY_25 + 1);
    assert_int_equal(d.run.seq_from, 4);
    assert_memory_equal(d.run.hash, want, sizeof want);
}

static void unknown_clocks_and_thinned_values_tell_no_day(void **state)
{
    struct wire_header h = {.kind = WIRE_DATA, .seq = 7, .to_ms = MIDNIGHT, .clk = 1};
    uint8_t hash[WIRE_HASH_BYTES] = {0};
    struct wire_day_batch b;

    (void)state;
    wire_day_batch(&b, &h, 5, hash);
    assert_true(b.tells);
    assert_int_equal(b.readings, 5);
    h.clk = 3;
    wire_day_batch(&b, &h, 5, hash);
    assert_false(b.tells);
    h.clk = 0;
    h.for_from = 2;
    h.for_to = 3;
    wire_day_batch(&b, &h, 5, hash);
    assert_false(b.tells);
    h.for_from = h.for_to = 0;
    h.kind = WIRE_CONTROL;
    wire_day_batch(&b, &h, 0, hash);
    assert_false(b.tells);
}

static void an_entry_comes_back_as_it_was_put(void **state)
{
    struct wire_digest d = {.day = DAY_25, .seq_from = 3, .seq_to = 290, .readings = 288000};
    static const uint8_t chain[WIRE_ID_BYTES] = {1, 2, 3};
    struct wire_control c;
    struct wire_entry x;
    struct buf b;

    (void)state;
    memset(d.hash, 0x5a, sizeof d.hash);
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(wire_put_digest(&b, &d), ST_OK);
    assert_int_equal(wire_control_open(&c, b.p, b.n, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
    assert_int_equal(x.kind, WIRE_ENTRY_DIGEST);
    assert_memory_equal(&x.digest, &d, sizeof d);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_NOT_FOUND);
    b.n = 0;
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(wire_put_rest(&b, chain, &d), ST_OK);
    assert_int_equal(wire_control_open(&c, b.p, b.n, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
    assert_int_equal(x.kind, WIRE_ENTRY_REST);
    assert_memory_equal(x.chain.p, chain, sizeof chain);
    assert_memory_equal(&x.digest, &d, sizeof d);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_NOT_FOUND);
    b.p[7]--; /* the head of the chain's id: 7 bytes */
    assert_int_equal(b.p[7], 0x47);
    assert_int_equal(wire_control_open(&c, b.p, b.n, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_BAD);
    size_t n = b.n;
    d.seq_from = 291;
    assert_int_equal(wire_put_digest(&b, &d), ST_BAD);
    assert_int_equal(wire_put_rest(&b, chain, &d), ST_BAD);
    d.seq_from = 0;
    assert_int_equal(wire_put_digest(&b, &d), ST_BAD);
    assert_int_equal(b.n, n);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_are_those_of_viet_nam),
        cmocka_unit_test(only_days_are_read),
        cmocka_unit_test(what_tells_no_day_is_of_the_day_of_what_follows),
        cmocka_unit_test(unknown_clocks_and_thinned_values_tell_no_day),
        cmocka_unit_test(an_entry_comes_back_as_it_was_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
