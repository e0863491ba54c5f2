/* Bytes that must never change: published vectors, and our own batches under the key of RFC 9052.
 * tests/golden holds them as hex; `FP_GOLDEN=write` writes ours anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

#define GOLDEN FP_SOURCE_DIR "/tests/golden/"

static size_t load_text(const char *name, char *text, size_t size)
{
    FILE *f = fopen(name, "r");
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, size - 1, f);
    (void)fclose(f);
    text[n] = 0;
    return n;
}

static size_t load(const char *name, uint8_t *out, size_t size)
{
    char text[8192];

    (void)load_text(name, text, sizeof(text));
    text[strcspn(text, "\n")] = 0;
    assert_true(strlen(text) / 2 <= size);
    assert_true(wire_unhex(text, out, strlen(text) / 2));
    return strlen(text) / 2;
}

/* A checkout does not keep the mode of a key, so it is copied first. */
static struct wire_key *rfc_key(const struct fixture *f)
{
    char text[1024], path[100];
    struct wire_key *k = NULL;
    struct err e = {0};
    FILE *out;

    (void)load_text(GOLDEN "rfc9052.key", text, sizeof(text));
    (void)snprintf(path, sizeof(path), "%s/rfc.key", f->folder);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0 && fclose(out) == 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(wire_key_load(&k, path, &e), &e);
    unlink(path);
    return k;
}

static void the_cose_vector_of_rfc_9052_verifies(void **state)
{
    uint8_t msg[256];
    size_t n = load(GOLDEN "rfc9052-sign1.hex", msg, sizeof(msg));
    struct wire_pub *pub = NULL;
    struct wire_cose c;
    struct err e = {0};

    (void)state;
    assert_ok(wire_pub_load(&pub, GOLDEN "rfc9052.pub", &e), &e);
    /* d2 84 43 a10126 a1044231 31 54 "This is the content." 58 40 signature */
    c = (struct wire_cose){{msg, n}, {msg + 3, 3}, {msg + 12, 20}, {msg + 34, 64}};
    assert_ok(wire_cose_verify(&c, pub, &e), &e);
    msg[12] ^= 1;
    assert_int_equal(wire_cose_verify(&c, pub, &e), ST_CORRUPT);
    msg[12] ^= 1;
    /* Its kid is unprotected and it has no content type: no batch of ours. */
    assert_int_equal(wire_cose_open(&c, msg, n, &e), ST_BAD);
    wire_pub_free(pub);
}

static void a_signature_with_a_high_s_is_refused(void **state)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                      0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    struct fixture *f = *state;
    struct buf batch = sample(f, 2);
    struct wire_cose c;
    struct err e = {0};
    int i, borrow = 0;

    assert_ok(wire_cose_open(&c, batch.p, batch.n, &e), &e);
    assert_ok(wire_cose_verify(&c, wire_key_pub(f->key), &e), &e);
    for (i = 31; i >= 0; i--) { /* s becomes n - s, which is as valid to plain ECDSA */
        uint8_t *s = &batch.p[batch.n - 32 + (size_t)i];
        int d = order[i] - *s - borrow;

        borrow = d < 0;
        *s = (uint8_t)d;
    }
    assert_int_equal(wire_cose_verify(&c, wire_key_pub(f->key), &e), ST_CORRUPT);
    assert_non_null(strstr(e.text, "n/2"));
    buf_done(&batch);
}

static void the_senml_vector_of_riot_reads_item_by_item(void **state)
{
    uint8_t msg[256];
    size_t n = load(GOLDEN "senml-riot.hex", msg, sizeof(msg)), at;
    struct wire_reader r = wire_reader_of(msg, n);
    struct wire_item it;
    struct num v;
    struct buf b;

    (void)state;
    assert_int_equal(wire_next(&r, &it, NULL), ST_OK);
    assert_int_equal(it.type, WIRE_ARRAY);
    assert_int_equal(it.u, 9);
    for (at = 0; !wire_end(&r); at++)
        assert_int_equal(wire_next(&r, &it, NULL), ST_OK);
    assert_int_equal(at, 54);
    /* Its map keys are not in deterministic order, and its 61.5 as tag 4 is not the shortest. */
    r = wire_reader_of(msg, n);
    assert_int_equal(wire_skip(&r, NULL), ST_BAD);
    buf_init(&b, 64);
    assert_int_equal(wire_put_num(&b, num_dec(615, -1)), ST_OK);
    assert_int_equal(wire_put_num(&b, num_dec(61, 0)), ST_OK);
    assert_memory_equal(b.p, "\xf9\x53\xb0\x18\x3d", 5);
    r = wire_reader_of("\xc4\x82\x20\x19\x02\x67", 6);
    assert_int_equal(wire_next_num(&r, &v, NULL), ST_BAD);
    buf_done(&b);
}

static void assert_golden(const char *name, const struct buf *b)
{
    const char *mode = getenv("FP_GOLDEN");
    uint8_t want[4096];
    size_t n;

    if (mode && strcmp(mode, "write") == 0) {
        FILE *f = fopen(name, "w");
        char text[8192];

        assert_non_null(f);
        assert_true(b->n < sizeof(text) / 2);
        wire_hex(b->p, b->n, text);
        assert_true(fprintf(f, "%s\n", text) > 0 && fclose(f) == 0);
    }
    n = load(name, want, sizeof(want));
    assert_int_equal(n, b->n);
    assert_memory_equal(want, b->p, n);
}

static void our_chain_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;
    struct fixture rfc = {.key = rfc_key(f)};
    struct wire_header h = sample_header(1);
    struct buf payload, control, data;
    struct err e = {0};

    buf_init(&payload, 4096);
    buf_init(&control, 4096);
    assert_int_equal(wire_put_array(&payload, 3), ST_OK);
    assert_int_equal(wire_put_plan(&payload, "meter-1/power", "power", "W", 10000, SAMPLE_MS),
                     ST_OK);
    assert_int_equal(wire_put_plan(&payload, "meter-1/state", "number", NULL, 0, SAMPLE_MS), ST_OK);
    assert_int_equal(wire_put_plan(&payload, "air-1/pm25", "pm25", "ug/m3", 60000, SAMPLE_MS),
                     ST_OK);
    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    h.ngaps = 0;
    assert_ok(wire_batch_sign(&h, payload.p, payload.n, wire_key_signer(rfc.key), &control, &e),
              &e);
    assert_golden(GOLDEN "batch-1-control.hex", &control);

    h = sample_header(2);
    wire_sha256(control.p, control.n, h.prev);
    buf_done(&payload);
    payload = sample_payload();
    buf_init(&data, 4096);
    assert_ok(wire_batch_sign(&h, payload.p, payload.n, wire_key_signer(rfc.key), &data, &e), &e);
    assert_golden(GOLDEN "batch-2-data.hex", &data);

    struct wire_receipt r = {.gw = "tra-cau-01",
                             .chain = {1, 2, 3, 4, 5, 6, 7, 8},
                             .seq = 2,
                             .n = 3,
                             .received_ms = SAMPLE_MS + 300123,
                             .through_seq = 2};
    struct buf receipt;

    wire_sha256(data.p, data.n, r.sha256);
    memcpy(r.through_hash, r.sha256, sizeof(r.sha256));
    buf_init(&receipt, 4096);
    assert_ok(wire_receipt_sign(&r, wire_key_signer(rfc.key), &receipt, &e), &e);
    assert_golden(GOLDEN "receipt-2.hex", &receipt);
    buf_done(&receipt);
    buf_done(&data);
    buf_done(&control);
    buf_done(&payload);
    wire_key_free(rfc.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cose_vector_of_rfc_9052_verifies),
        cmocka_unit_test(a_signature_with_a_high_s_is_refused),
        cmocka_unit_test(the_senml_vector_of_riot_reads_item_by_item),
        cmocka_unit_test(our_chain_keeps_its_bytes),
    };

    return cmocka_run_group_tests_name("wire golden", tests, setup, teardown);
}
