/* Control entries, receipts and heads: written, read back, and refused when they break a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

static void entries_read_back(void **state)
{
    static const uint8_t hashes[2][WIRE_HASH_BYTES] = {{1}, {2}};
    struct wire_control c;
    struct wire_entry n;
    struct err e = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 5), ST_OK);
    assert_int_equal(wire_put_plan(&b, "a/p", "power", NULL, 10000, SAMPLE_MS), ST_OK);
    assert_int_equal(wire_put_retire(&b, "a/p", SAMPLE_MS, "removed"), ST_OK);
    assert_int_equal(wire_put_void(&b, 3, 4, hashes, "refused"), ST_OK);
    assert_int_equal(wire_put_time(&b, hashes[0], 5, 9, -7, 12), ST_OK);
    assert_int_equal(wire_put_array(&b, 2), ST_OK); /* of a later version */
    assert_int_equal(wire_put_text(&b, "novel"), ST_OK);
    assert_int_equal(wire_put_map(&b, 0), ST_OK);
    assert_ok(wire_control_open(&c, b.p, b.n, &e), &e);
    assert_ok(wire_control_next(&c, &n, &e), &e);
    assert_int_equal(n.kind, WIRE_ENTRY_PLAN);
    assert_span(n.series, "a/p");
    assert_span(n.quantity, "power");
    assert_null(n.unit.p);
    assert_int_equal(n.period_ms, 10000);
    assert_int_equal(n.at_ms, SAMPLE_MS);
    assert_ok(wire_control_next(&c, &n, &e), &e);
    assert_int_equal(n.kind, WIRE_ENTRY_RETIRE);
    assert_span(n.text, "removed");
    assert_ok(wire_control_next(&c, &n, &e), &e);
    assert_int_equal(n.kind, WIRE_ENTRY_VOID);
    assert_int_equal(n.seq_from, 3);
    assert_int_equal(n.seq_to, 4);
    assert_int_equal(n.hashes.n, 1 + 2 * 34);
    assert_span(n.text, "refused");
    assert_ok(wire_control_next(&c, &n, &e), &e);
    assert_int_equal(n.kind, WIRE_ENTRY_TIME);
    assert_int_equal(n.boot.n, WIRE_ID_BYTES);
    assert_memory_equal(n.boot.p, hashes[0], WIRE_ID_BYTES);
    assert_int_equal(n.seq_from, 5);
    assert_int_equal(n.seq_to, 9);
    assert_int_equal(n.add_ms, -7);
    assert_int_equal(n.err_ms, 12);
    assert_ok(wire_control_next(&c, &n, &e), &e);
    assert_int_equal(n.kind, WIRE_ENTRY_OTHER);
    assert_span(n.name, "novel");
    assert_int_equal(wire_control_next(&c, &n, &e), ST_NOT_FOUND);
    buf_done(&b);
}

static void writers_refuse_what_readers_would(void **state)
{
    struct wire_point p;
    struct buf b;

    (void)state;
    buf_init(&b, 64);
    assert_int_equal(wire_put_plan(&b, "a", "power", NULL, 1, SAMPLE_MS), ST_BAD);
    assert_int_equal(wire_put_plan(&b, "a/p", "", NULL, 1, SAMPLE_MS), ST_BAD);
    assert_int_equal(wire_put_retire(&b, "a/*", SAMPLE_MS, "removed"), ST_BAD);
    assert_int_equal(wire_put_void(&b, 2, 1, NULL, "lost"), ST_BAD);
    assert_int_equal(wire_put_time(&b, (const uint8_t *)"8 bytes.", 2, 1, 0, 0), ST_BAD);
    assert_int_equal(wire_put_time(&b, (const uint8_t *)"8 bytes.", 1, 1, 0, -1), ST_BAD);
    assert_int_equal(b.n, 0);
    assert_int_equal(wire_put_plan(&b, "a/p", "a-quantity-that-is-far-too-long-for-so-small-a-room",
                                   "W", 1, SAMPLE_MS),
                     ST_FULL);
    assert_int_equal(b.n, 0);
    assert_int_equal(wire_point_init(&p, "a b", NULL, NULL), ST_BAD);
    assert_int_equal(wire_point_init(&p, "", NULL, NULL), ST_BAD);
    assert_int_equal(wire_point_init(&p, "a", "", NULL), ST_BAD);
    buf_done(&b);
}

#define H32                                                                                        \
    "5820"                                                                                         \
    "0000000000000000000000000000000000000000000000000000000000000000"

static void each_broken_entry_is_refused(void **state)
{
    static const struct {
        const char *hex;
        enum st st;
    } t[] = {
        {"8664706c616e63612f706170f60000", ST_OK},
        {"8664706c616e616161"
         "70f60000",
         ST_BAD},                                     /* no series */
        {"8664706c616e63612f706170f62000", ST_BAD},   /* a negative period */
        {"8564706c616e63612f706170f600", ST_BAD},     /* one too few */
        {"8764706c616e63612f706170f6000000", ST_BAD}, /* one too many */
        {"8466726574697265"
         "63612f70"
         "00"
         "6178",
         ST_OK},
        {"8466726574697265"
         "63612f2a"
         "00"
         "6178",
         ST_BAD}, /* a device retires point by point */
        {"8564766f69640101"
         "81" H32 "6178",
         ST_OK},
        {"8564766f69640102"
         "81" H32 "6178",
         ST_BAD}, /* a hash short */
        {"8564766f69640201"
         "80"
         "6178",
         ST_BAD}, /* backwards */
        {"8564766f69640001"
         "81" H32 "6178",
         ST_BAD}, /* no seq 0 */
        {"8664"
         "74696d65"
         "480000000000000000"
         "01022000",
         ST_OK},
        {"8664"
         "74696d65"
         "480000000000000000"
         "01022020",
         ST_BAD},
        {"8667"
         "6d61696e7461696e"
         "63612f2a"
         "00f6"
         "6473776170"
         "a0",
         ST_BAD}, /* head too long */
        {"8668"
         "6d61696e7461696e"
         "63612f2a"
         "00f6"
         "6473776170"
         "a0",
         ST_OK},
        {"8668"
         "6d61696e7461696e"
         "63612f2a"
         "00f6"
         "6473776171"
         "a0",
         ST_BAD},
        {"8668"
         "6d61696e7461696e"
         "63612f2a"
         "00f6"
         "6473776170"
         "80",
         ST_BAD},
        {"8263"
         "6b6579"
         "4104",
         ST_BAD},
        {"8466"
         "636f6e666967" H32 "00"
         "6178",
         ST_OK},
        {"8766"
         "646967657374"
         "6a323032362d31312d3232"
         "01020300" H32,
         ST_OK},
        {"8766"
         "646967657374"
         "6a323032362e31312d3232"
         "01020300" H32,
         ST_BAD},
        {"80", ST_BAD},
        {"8100", ST_BAD},
        {"00", ST_BAD},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint8_t p[256] = {0x81};
        size_t n = strlen(t[i].hex) / 2;
        struct wire_control c;
        struct wire_entry x;

        assert_true(wire_unhex(t[i].hex, p + 1, n));
        assert_int_equal(wire_control_open(&c, p, n + 1, NULL), ST_OK);
        if (wire_control_next(&c, &x, NULL) != t[i].st)
            fail_msg("%s: %s", t[i].hex, t[i].st ? "was not refused" : "was refused");
    }
}

static const struct wire_receipt receipt = {.gw = "tra-cau-01",
                                            .chain = {1, 2, 3},
                                            .seq = 7,
                                            .sha256 = {4, 5},
                                            .n = 100,
                                            .received_ms = SAMPLE_MS,
                                            .through_seq = 5,
                                            .through_hash = {6}};

static void a_receipt_reads_back_and_no_bit_of_it_can_change(void **state)
{
    struct fixture *f = *state;
    struct wire_receipt r = {.seq = 0};
    struct wire_cose c;
    struct err e = {0};
    struct buf b;
    size_t i;

    buf_init(&b, 4096);
    assert_ok(wire_receipt_sign(&receipt, wire_key_signer(f->key), &b, &e), &e);
    assert_ok(wire_receipt_open(&r, &c, b.p, b.n, &e), &e);
    assert_ok(wire_cose_verify(&c, wire_key_pub(f->key), &e), &e);
    assert_string_equal(r.gw, receipt.gw);
    assert_memory_equal(r.chain, receipt.chain, WIRE_ID_BYTES);
    assert_memory_equal(r.sha256, receipt.sha256, WIRE_HASH_BYTES);
    assert_memory_equal(r.through_hash, receipt.through_hash, WIRE_HASH_BYTES);
    assert_int_equal(r.seq, 7);
    assert_int_equal(r.n, 100);
    assert_int_equal(r.received_ms, SAMPLE_MS);
    assert_int_equal(r.through_seq, 5);
    for (i = 0; i < b.n * 8; i++) {
        b.p[i / 8] ^= (uint8_t)(1 << i % 8);
        if (!wire_receipt_open(&r, &c, b.p, b.n, NULL) &&
            !wire_cose_verify(&c, wire_key_pub(f->key), NULL))
            fail_msg("bit %zu of a receipt changed unseen", i);
        b.p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (i = 0; i < b.n; i++)
        assert_int_equal(wire_receipt_open(&r, &c, b.p, i, NULL), ST_BAD);
    buf_done(&b);
}

static void one_kind_of_message_never_passes_for_another(void **state)
{
    struct fixture *f = *state;
    struct buf batch = sample(f, 2), b;
    struct wire_receipt r;
    struct wire_head h, empty = {.gw = "tra-cau-01"};
    struct wire_batch wb;
    struct wire_cose c;
    struct err e = {0};

    assert_int_equal(wire_receipt_open(&r, &c, batch.p, batch.n, NULL), ST_BAD);
    assert_int_equal(wire_head_open(&h, &c, batch.p, batch.n, NULL), ST_BAD);
    buf_init(&b, 4096);
    assert_ok(wire_receipt_sign(&receipt, wire_key_signer(f->key), &b, &e), &e);
    assert_int_equal(wire_head_open(&h, &c, b.p, b.n, NULL), ST_BAD);
    assert_int_equal(wire_batch_open(&wb, b.p, b.n, NULL), ST_BAD);
    /* the very same content under another type */
    struct buf header, other;

    buf_init(&header, 1024);
    buf_init(&other, 4096);
    assert_int_equal(wire_receipt_open(&r, &c, b.p, b.n, NULL), ST_OK);
    assert_int_equal(wire_cose_begin(&header, 0, "application/vnd.fieldpost.digest+cbor",
                                     wire_key_signer(f->key)),
                     ST_OK);
    assert_ok(wire_cose_sign((struct wire_span){header.p, header.n}, c.payload,
                             wire_key_signer(f->key), &other, &e),
              &e);
    assert_int_equal(wire_receipt_open(&r, &c, other.p, other.n, NULL), ST_BAD);
    buf_done(&header);
    buf_done(&other);
    b.n = 0;
    assert_ok(wire_head_sign(&empty, wire_key_signer(f->key), &b, &e), &e);
    assert_int_equal(wire_receipt_open(&r, &c, b.p, b.n, NULL), ST_BAD);
    buf_done(&b);
    buf_done(&batch);
}

static void a_head_reads_back_with_its_chains_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t missing[2][2] = {{3, 3}, {5, 9}}, broken[1] = {11};
    struct wire_head_chain chains[2] = {{.chain = {2},
                                         .through_seq = 2,
                                         .through_hash = {7},
                                         .missing = missing,
                                         .nmissing = 2,
                                         .broken = broken,
                                         .nbroken = 1},
                                        {.chain = {1}}};
    struct wire_head h = {.gw = "tra-cau-01",
                          .nonce = "n-1",
                          .nonce_n = 3,
                          .chains = chains,
                          .nchains = 2},
                     back;
    struct wire_cose c;
    struct err e = {0};
    struct buf b;

    buf_init(&b, 4096);
    assert_ok(wire_head_sign(&h, wire_key_signer(f->key), &b, &e), &e);
    assert_ok(wire_head_open(&back, &c, b.p, b.n, &e), &e);
    assert_ok(wire_cose_verify(&c, wire_key_pub(f->key), &e), &e);
    assert_int_equal(back.nonce_n, 3);
    assert_memory_equal(back.nonce, "n-1", 3);
    assert_int_equal(back.nchains, 2);
    assert_int_equal(back.chains[0].chain[0], 1);
    assert_int_equal(back.chains[0].through_seq, 0);
    assert_int_equal(back.chains[1].chain[0], 2);
    assert_int_equal(back.chains[1].through_hash[0], 7);
    assert_int_equal(back.chains[1].nmissing, 2);
    assert_int_equal(back.chains[1].missing[1][1], 9);
    assert_int_equal(back.chains[1].broken[0], 11);
    wire_head_done(&back);
    chains[1].chain[0] = 2; /* twice */
    assert_int_equal(wire_head_sign(&h, wire_key_signer(f->key), &b, &e), ST_BAD);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_read_back),
        cmocka_unit_test(writers_refuse_what_readers_would),
        cmocka_unit_test(each_broken_entry_is_refused),
        cmocka_unit_test(a_receipt_reads_back_and_no_bit_of_it_can_change),
        cmocka_unit_test(one_kind_of_message_never_passes_for_another),
        cmocka_unit_test(a_head_reads_back_with_its_chains_in_order),
    };

    return cmocka_run_group_tests_name("wire answers", tests, setup, teardown);
}
