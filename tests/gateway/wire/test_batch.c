/* Batches: what is signed opens, verifies and reads back; whatever else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/gateway/wire/wire_test.h"

static void what_is_signed_opens_and_reads_back(void **state)
{
    struct fixture *f = *state;
    struct wire_batch b;
    struct wire_senml s;
    struct wire_reading w;
    struct err e = {0};
    uint64_t n;
    struct buf batch = sample(f, 2);

    assert_ok(wire_batch_open(&b, batch.p, batch.n, &e), &e);
    assert_ok(wire_cose_verify(&b.cose, wire_key_pub(f->key), &e), &e);
    assert_int_equal(b.header.seq, 2);
    assert_string_equal(b.header.gw, "tra-cau-01");
    assert_int_equal(b.header.ngaps, 1);
    assert_string_equal(b.header.gaps[0].series, "meter-1/power");
    assert_string_equal(b.header.gaps[0].cause, "bus");
    assert_memory_equal(b.header.kid, wire_pub_kid(wire_key_pub(f->key)), WIRE_ID_BYTES);
    assert_ok(wire_senml_open(&s, b.cose.payload.p, b.cose.payload.n, "tra-cau-01", &n, &e), &e);
    assert_int_equal(n, 3);
    assert_ok(wire_senml_next(&s, &w, &e), &e);
    assert_span(w.device, "meter-1");
    assert_span(w.point, "power");
    assert_span(w.unit, "W");
    assert_int_equal(w.t_ms, SAMPLE_MS);
    assert_int_equal(num_cmp(w.v, num_dec(2305, -1)), 0);
    assert_ok(wire_senml_next(&s, &w, &e), &e);
    assert_span(w.point, "state");
    assert_null(w.unit.p);
    assert_int_equal(w.q, WIRE_Q_FAULT);
    assert_ok(wire_senml_next(&s, &w, &e), &e);
    assert_span(w.device, "air-1");
    assert_int_equal(w.t_ms, SAMPLE_MS + 250);
    assert_int_equal(wire_senml_next(&s, &w, &e), ST_NOT_FOUND);
    wire_batch_done(&b);
    buf_done(&batch);
}

static void a_payload_in_parts_signs_as_one_piece(void **state)
{
    struct fixture *f = *state;
    struct wire_header h = sample_header(2);
    struct buf whole = sample(f, 2), payload = sample_payload(), out;
    struct err e = {0};
    size_t cut;

    buf_init(&out, WIRE_BATCH_MAX);
    for (cut = 0; cut <= payload.n; cut++) {
        struct wire_span parts[] = {
            {payload.p, cut}, {NULL, 0}, {payload.p + cut, payload.n - cut}};

        out.n = 0;
        assert_ok(wire_batch_sign_parts(&h, parts, 3, wire_key_signer(f->key), &out, &e), &e);
        assert_int_equal(out.n, whole.n);
        assert_memory_equal(out.p, whole.p, whole.n);
    }
    buf_done(&whole);
    buf_done(&payload);
    buf_done(&out);
}

/* Each part fits, the sum does not. */
static void parts_that_are_too_much_together_are_refused(void **state)
{
    struct fixture *f = *state;
    struct wire_header h = sample_header(2);
    static const uint8_t half[WIRE_BATCH_MAX / 2];
    struct wire_span parts[] = {{half, sizeof(half)}, {half, sizeof(half)}, {half, 1}};
    struct buf out;

    buf_init(&out, 2 * WIRE_BATCH_MAX);
    assert_int_equal(wire_batch_sign_parts(&h, parts, 3, wire_key_signer(f->key), &out, NULL),
                     ST_FULL);
    assert_int_equal(wire_batch_sign_parts(&h, parts, 2, wire_key_signer(f->key), &out, NULL),
                     ST_FULL);
    assert_int_equal(out.n, 0);
    parts[1].n = SIZE_MAX; /* must not wrap around */
    assert_int_equal(wire_batch_sign_parts(&h, parts, 3, wire_key_signer(f->key), &out, NULL),
                     ST_FULL);
    buf_done(&out);
}

/* Envelope, header, payload and signature alike. */
static void every_flipped_bit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf batch = sample(f, 2);
    size_t i, refused = 0;

    for (i = 0; i < batch.n * 8; i++) {
        struct wire_batch b;

        batch.p[i / 8] ^= (uint8_t)(1 << i % 8);
        if (wire_batch_open(&b, batch.p, batch.n, NULL) ||
            wire_cose_verify(&b.cose, wire_key_pub(f->key), NULL))
            refused++;
        wire_batch_done(&b);
        batch.p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(refused, batch.n * 8);
    buf_done(&batch);
}

static void a_batch_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf batch = sample(f, 2);
    size_t n;

    for (n = 0; n < batch.n; n++) {
        struct wire_batch b;
        uint8_t *exact = malloc(n + 1); /* so that a read behind the end is seen */

        assert_non_null(exact);
        memcpy(exact, batch.p, n);
        exact = realloc(exact, n ? n : 1);
        assert_non_null(exact);
        assert_int_equal(wire_batch_open(&b, exact, n, NULL), ST_BAD);
        free(exact);
    }
    buf_done(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_opens_and_reads_back),
        cmocka_unit_test(a_payload_in_parts_signs_as_one_piece),
        cmocka_unit_test(parts_that_are_too_much_together_are_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(a_batch_cut_anywhere_is_refused),
    };

    return cmocka_run_group_tests_name("wire batches", tests, setup, teardown);
}
