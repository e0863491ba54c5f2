/* Keys, hash, hex and zstd frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

static void a_key_is_private_and_never_overwritten(void **state)
{
    struct fixture *f = *state;
    struct wire_key *again = NULL;
    struct err e = {0};
    struct stat s;

    assert_int_equal(stat(f->path, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(wire_key_make(f->path, &e), ST_CONFLICT);
    assert_ok(wire_key_load(&again, f->path, &e), &e);
    assert_memory_equal(wire_pub_kid(wire_key_pub(again)), wire_pub_kid(wire_key_pub(f->key)),
                        WIRE_ID_BYTES);
    wire_key_free(again);
}

static void a_key_that_others_can_read_is_refused_with_the_remedy(void **state)
{
    struct fixture *f = *state;
    struct wire_key *k = NULL;
    struct err e = {0};

    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(wire_key_load(&k, f->path, &e), ST_REFUSED);
    assert_non_null(strstr(e.text, "chmod 600"));
    assert_int_equal(chmod(f->path, 0600), 0);
    assert_int_equal(wire_key_load(&k, "/nonexistent/key", &e), ST_NOT_FOUND);
    assert_null(k);
}

static void a_failed_key_leaves_nothing_behind(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(wire_key_make("/nonexistent/folder/key", &e), ST_IO);
    assert_non_null(strstr(e.text, "/nonexistent/folder/key"));
}

static void a_public_key_survives_pem_and_der(void **state)
{
    struct fixture *f = *state;
    struct wire_span der = wire_pub_der(wire_key_pub(f->key));
    uint8_t bad[91], hash[WIRE_HASH_BYTES];
    struct wire_pub *k = NULL;
    struct err e = {0};
    struct buf pem;
    char path[100];
    FILE *out;

    buf_init(&pem, 1024);
    assert_int_equal(wire_pub_pem(wire_key_pub(f->key), &pem), ST_OK);
    assert_null(memchr(pem.p, 0, pem.n));
    (void)snprintf(path, sizeof(path), "%s/pub.pem", f->folder);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(pem.p, 1, pem.n, out), pem.n);
    assert_int_equal(fclose(out), 0);
    assert_ok(wire_pub_load(&k, path, &e), &e);
    unlink(path);
    assert_int_equal(wire_pub_der(k).n, der.n);
    assert_memory_equal(wire_pub_der(k).p, der.p, der.n);
    wire_sha256(der.p, der.n, hash);
    assert_memory_equal(wire_pub_kid(k), hash, WIRE_ID_BYTES);
    wire_pub_free(k);
    k = NULL;
    memcpy(bad, der.p, sizeof(bad));
    bad[40] ^= 1; /* off the curve */
    assert_int_equal(wire_pub_parse(&k, bad, sizeof(bad), &e), ST_BAD);
    bad[40] ^= 1;
    bad[26] = 2; /* not an uncompressed point */
    assert_int_equal(wire_pub_parse(&k, bad, sizeof(bad), &e), ST_BAD);
    assert_int_equal(wire_pub_parse(&k, der.p, der.n - 1, &e), ST_BAD);
    assert_null(k);
    buf_done(&pem);
}

static void another_key_does_not_verify(void **state)
{
    struct fixture *f = *state;
    struct buf batch = sample(f, 2);
    struct wire_pub *other = NULL;
    struct wire_cose c;
    struct err e = {0};

    assert_ok(wire_pub_load(&other, FP_SOURCE_DIR "/tests/golden/rfc9052.pub", &e), &e);
    assert_ok(wire_cose_open(&c, batch.p, batch.n, &e), &e);
    assert_int_equal(wire_cose_verify(&c, other, &e), ST_CORRUPT);
    wire_pub_free(other);
    buf_done(&batch);
}

static void sha256_is_that_of_fips_180(void **state)
{
    uint8_t hash[WIRE_HASH_BYTES];
    char text[2 * WIRE_HASH_BYTES + 1];

    (void)state;
    wire_sha256("abc", 3, hash);
    wire_hex(hash, sizeof(hash), text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(wire_unhex("00ff", hash, 2));
    assert_false(wire_unhex("00f", hash, 2));
    assert_false(wire_unhex("00ff0", hash, 2));
    assert_false(wire_unhex("00FF", hash, 2));
    assert_false(wire_unhex("0g", hash, 1));
}

static void a_frame_comes_back_and_only_one_frame_is_taken(void **state)
{
    struct wire_zstd *z = NULL;
    struct buf text, packed, back;
    struct err e = {0};
    int i;

    (void)state;
    buf_init(&text, 1 << 20);
    buf_init(&packed, 1 << 20);
    buf_init(&back, 1 << 20);
    for (i = 0; i < 20000; i++)
        assert_int_equal(buf_printf(&text, "%d,", i % 97), ST_OK);
    assert_ok(wire_zstd_open(&z, &e), &e);
    assert_ok(wire_zstd_pack(z, 3, text.p, text.n, &packed, &e), &e);
    assert_ok(wire_zstd_unpack(packed.p, packed.n, text.n, &back, &e), &e);
    assert_int_equal(back.n, text.n);
    assert_memory_equal(back.p, text.p, text.n);
    back.n = 0;
    assert_int_equal(wire_zstd_unpack(packed.p, packed.n, text.n - 1, &back, &e), ST_BAD);
    assert_int_equal(buf_put(&packed, "x", 1), ST_OK);
    assert_int_equal(wire_zstd_unpack(packed.p, packed.n, text.n, &back, &e), ST_BAD);
    packed.n--;
    for (i = 0; (size_t)i < packed.n; i += 1 + i / 16)
        assert_int_equal(wire_zstd_unpack(packed.p, (size_t)i, text.n, &back, &e), ST_BAD);
    assert_int_equal(back.n, 0);
    wire_zstd_close(z);
    buf_done(&text);
    buf_done(&packed);
    buf_done(&back);
}

static void frames_that_break_a_rule_are_refused(void **state)
{
    static const char text[] = "the same words again and again, the same words again and again";
    uint8_t frame[256];
    struct err e = {0};
    struct buf back;
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t n;

    (void)state;
    buf_init(&back, 1 << 20);
    assert_non_null(c);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1); /* optional, hence taken */
    n = ZSTD_compress2(c, frame, sizeof(frame), text, sizeof(text));
    assert_ok(wire_zstd_unpack(frame, n, sizeof(text), &back, &e), &e);
    frame[n - 1] ^= 1;
    assert_int_equal(wire_zstd_unpack(frame, n, sizeof(text), &back, &e), ST_BAD);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    n = ZSTD_compress2(c, frame, sizeof(frame), text, sizeof(text));
    assert_int_equal(wire_zstd_unpack(frame, n, sizeof(text), &back, &e), ST_BAD);
    assert_non_null(strstr(e.text, "content size"));
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_loadDictionary(c, text, sizeof(text)); /* a raw one, without an id */
    n = ZSTD_compress2(c, frame, sizeof(frame), text, sizeof(text));
    assert_int_equal(wire_zstd_unpack(frame, n, sizeof(text), &back, &e), ST_BAD);
    ZSTD_freeCCtx(c);
    /* window 2^24, size 1, one raw block of 1 byte; then the same with 2^23 */
    memcpy(frame, "\x28\xb5\x2f\xfd\x80\x70\x01\x00\x00\x00\x09\x00\x00x", 14);
    assert_int_equal(wire_zstd_unpack(frame, 14, 1, &back, &e), ST_BAD);
    assert_non_null(strstr(e.text, "window"));
    frame[5] = 0x68;
    assert_ok(wire_zstd_unpack(frame, 14, 1, &back, &e), &e);
    /* an empty one, into a buffer without memory */
    buf_done(&back);
    buf_init(&back, 16);
    assert_ok(wire_zstd_unpack("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", 9, 16, &back, &e), &e);
    assert_int_equal(back.n, 0);
    /* a skippable frame */
    assert_int_equal(wire_zstd_unpack("\x50\x2a\x4d\x18\x01\x00\x00\x00x", 9, 1, &back, &e),
                     ST_BAD);
    buf_done(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_private_and_never_overwritten),
        cmocka_unit_test(a_key_that_others_can_read_is_refused_with_the_remedy),
        cmocka_unit_test(a_failed_key_leaves_nothing_behind),
        cmocka_unit_test(a_public_key_survives_pem_and_der),
        cmocka_unit_test(another_key_does_not_verify),
        cmocka_unit_test(sha256_is_that_of_fips_180),
        cmocka_unit_test(a_frame_comes_back_and_only_one_frame_is_taken),
        cmocka_unit_test(frames_that_break_a_rule_are_refused),
    };

    return cmocka_run_group_tests_name("wire tools", tests, setup, teardown);
}
