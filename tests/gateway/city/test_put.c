/* What the city takes, what it refuses, and that it stores before it answers. */
#include "tests/gateway/city/site.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* SQLite's way to the disk: counts, and fails on demand. */
static atomic_int syncs;
static atomic_bool sync_fails;

int fdatasync(int fd)
{
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fdatasync(fd);
}

static int start(void **state)
{
    *state = site_open();
    return 0;
}

static int stop(void **state)
{
    atomic_store(&sync_fails, false);
    site_close(*state);
    return 0;
}

static void refused(struct site *s, int status, const char *code, const char *what)
{
    char part[64];
    snprintf(part, sizeof part, "\"code\":\"%s\"", code);
    if (s->reply.status != status || !site_answered(s, part) ||
        strcmp(s->reply.content_type, "application/problem+json") != 0)
        fail_msg("%s: %d %.*s", what, s->reply.status, (int)s->reply.body.n,
                 (const char *)s->reply.body.p);
    if (status != 413 && !site_answered(s, "\"sha256\":\""))
        fail_msg("%s: no hash", what);
    if (site_rows(s) != 0)
        fail_msg("%s: something was stored", what);
}

static void a_batch_is_stored_and_its_receipt_signed(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL);

    assert_int_equal(site_put(s, &b), 201);
    struct wire_receipt r = site_receipt(s);
    assert_string_equal(r.gw, "gw-1");
    assert_memory_equal(r.chain, b.chain, sizeof r.chain);
    assert_int_equal(r.seq, 1);
    assert_memory_equal(r.sha256, b.hash, sizeof r.sha256);
    assert_int_equal(r.n, 6);
    assert_true(r.received_ms > INT64_C(1700000000000));
    assert_int_equal(r.through_seq, 1);
    assert_memory_equal(r.through_hash, b.hash, sizeof r.through_hash);
    assert_int_equal(site_rows(s), 6);
    sealed_done(&b);
}

static void the_same_bytes_get_the_same_receipt(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL), c = batch_make(s, 0xaa, 2, &b);
    struct buf first;

    assert_int_equal(site_put(s, &b), 201);
    buf_init(&first, 4096);
    assert_int_equal(buf_put(&first, s->reply.body.p, s->reply.body.n), ST_OK);
    assert_int_equal(site_put(s, &c), 201);
    assert_int_equal(site_put(s, &b), 200);
    assert_int_equal(s->reply.body.n, first.n);
    assert_memory_equal(s->reply.body.p, first.p, first.n);
    /* uncompressed, and after a restart: still the same */
    city_close(s->city);
    site_run(s);
    assert_int_equal(site_put_as(s, "gw-1", "aaaaaaaaaaaaaaaa", 1, b.cose.p, b.cose.n, TYPE, NULL),
                     200);
    assert_memory_equal(s->reply.body.p, first.p, first.n);
    assert_int_equal(site_rows(s), 12);
    buf_done(&first);
    sealed_done(&b);
    sealed_done(&c);
}

static void other_bytes_under_a_number_conflict_and_do_not_count(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL);
    struct wire_header h = header_of(0xaa, 1, NULL);
    struct buf p;

    payload_make(&p, "gw-1/air-1/", &h, 5);
    struct sealed other = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &b), 201);
    assert_int_equal(site_put(s, &other), 409);
    assert_true(site_answered(s, "\"code\":\"conflict\""));
    char hex[65];
    wire_hex(other.hash, sizeof other.hash, hex);
    assert_true(site_answered(s, hex));
    assert_int_equal(site_put(s, &other), 409);
    assert_int_equal(site_put(s, &b), 200);
    assert_int_equal(site_rows(s), 6);
    buf_done(&p);
    sealed_done(&b);
    sealed_done(&other);
}

static void it_answers_only_what_the_disk_has(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL), c = batch_make(s, 0xaa, 2, &b);

    int before = atomic_load(&syncs);
    assert_int_equal(site_put(s, &b), 201);
    assert_true(atomic_load(&syncs) > before);
    atomic_store(&sync_fails, true);
    assert_int_equal(site_put(s, &c), 503);
    assert_true(site_answered(s, "\"code\":\"unavailable\""));
    atomic_store(&sync_fails, false);
    assert_int_equal(site_rows(s), 6);
    assert_int_equal(site_put(s, &c), 201); /* not 200: it was not there */
    assert_int_equal(site_rows(s), 12);
    sealed_done(&b);
    sealed_done(&c);
}

static void what_is_not_for_this_city_is_refused(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 2, NULL);
    static const char zstd[] = "Content-Encoding: zstd", chain[] = "aaaaaaaaaaaaaaaa";

    site_put_as(s, "gw-2", chain, 2, b.zstd.p, b.zstd.n, TYPE, zstd);
    refused(s, 404, "unknown_gateway", "unknown gateway");
    site_put_as(s, "..", chain, 2, b.zstd.p, b.zstd.n, TYPE, zstd);
    assert_int_equal(s->reply.status, 404);
    site_put_as(s, "gw-1", "bbbbbbbbbbbbbbbb", 2, b.zstd.p, b.zstd.n, TYPE, zstd);
    refused(s, 403, "wrong_gateway", "another chain in the URL");
    site_put_as(s, "gw-1", chain, 3, b.zstd.p, b.zstd.n, TYPE, zstd);
    refused(s, 403, "wrong_gateway", "another seq in the URL");
    static const char *const urls[] = {"aaaaaaaaaaaaaaaa/0",
                                       "aaaaaaaaaaaaaaaa/02",
                                       "aaaaaaaaaaaaaaaa/+2",
                                       "aaaaaaaaaaaaaaaa/2x",
                                       "aaaaaaaaaaaaaaaa/18446744073709551618",
                                       "aaaaaaaaaaaaaaaa00/2",
                                       "aaaaaaaaaaaaaaa/2",
                                       "chain/2"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char path[128];
        static const char *const headers[] = {TYPE, zstd, NULL};
        snprintf(path, sizeof path, "/v1/gateways/gw-1/batches/%s", urls[i]);
        site_call(s, "PUT", path, b.zstd.p, b.zstd.n, headers);
        refused(s, 403, "wrong_gateway", urls[i]);
    }
    sealed_done(&b);

    /* an enrolled neighbour's batch under our name */
    char kid[17];
    assert_int_equal(city_enroll(&s->cfg, "gw-9", s->dev_pub, kid, NULL), ST_OK);
    struct wire_header h = header_of(0xaa, 2, NULL);
    struct buf p;
    h.gw = "gw-9";
    payload_make(&p, "gw-9/air-1/", &h, 3);
    b = seal(&h, &p, s->key);
    site_put(s, &b);
    refused(s, 403, "wrong_gateway", "another gateway in the batch");
    buf_done(&p);
    sealed_done(&b);
}

static void types_and_encodings_are_as_agreed(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL);
    static const char *const types[] = {"Content-Type: application/json",
                                        "Content-Type:", "Content-Type: application/cose-key",
                                        "Content-Type: application/cose; cose-type=\"cose-mac\"",
                                        "Content-Type: application/cose; charset=utf-8"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        site_put_as(s, "gw-1", "aaaaaaaaaaaaaaaa", 1, b.zstd.p, b.zstd.n, types[i],
                    "Content-Encoding: zstd");
        refused(s, 415, "unsupported_type", types[i]);
    }
    site_put_as(s, "gw-1", "aaaaaaaaaaaaaaaa", 1, b.zstd.p, b.zstd.n, TYPE,
                "Content-Encoding: gzip");
    refused(s, 415, "unsupported_type", "gzip");
    sealed_done(&b);
}

static void damaged_bytes_are_refused(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL);
    static const char zstd[] = "Content-Encoding: zstd", chain[] = "aaaaaaaaaaaaaaaa";
    uint8_t junk[300];

    site_put_as(s, "gw-1", chain, 1, b.zstd.p, b.zstd.n - 5, TYPE, zstd);
    refused(s, 400, "bad_cbor", "a frame cut short");
    site_put_as(s, "gw-1", chain, 1, b.cose.p, b.cose.n - 5, TYPE, NULL);
    refused(s, 400, "bad_cbor", "a batch cut short");
    site_put_as(s, "gw-1", chain, 1, "", 0, TYPE, NULL);
    refused(s, 400, "bad_cbor", "nothing");
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (uint8_t)(i * 37 + 11);
    site_put_as(s, "gw-1", chain, 1, junk, sizeof junk, TYPE, zstd);
    refused(s, 400, "bad_cbor", "garbage as zstd");
    site_put_as(s, "gw-1", chain, 1, junk, sizeof junk, TYPE, NULL);
    refused(s, 400, "bad_cbor", "garbage");
    /* the last byte is the signature's */
    b.cose.p[b.cose.n - 1] ^= 1;
    site_put_as(s, "gw-1", chain, 1, b.cose.p, b.cose.n, TYPE, NULL);
    refused(s, 400, "bad_signature", "a bit of the signature");
    char hex[65];
    wire_sha256(b.cose.p, b.cose.n, b.hash);
    wire_hex(b.hash, sizeof b.hash, hex);
    assert_true(site_answered(s, hex));
    sealed_done(&b);
}

static void a_bomb_and_a_long_body_are_too_large(void **state)
{
    struct site *s = *state;
    struct sealed b = {0};
    uint8_t *zeros = calloc(1, 20000000);

    buf_init(&b.cose, 64 * 1024 * 1024);
    assert_int_equal(buf_put(&b.cose, zeros, 20000000), ST_OK);
    struct wire_zstd *z;
    buf_init(&b.zstd, 64 * 1024 * 1024);
    assert_int_equal(wire_zstd_open(&z, NULL), ST_OK);
    assert_int_equal(wire_zstd_pack(z, 3, b.cose.p, b.cose.n, &b.zstd, NULL), ST_OK);
    wire_zstd_close(z);
    assert_true(b.zstd.n < 10000);
    site_put_as(s, "gw-1", "aaaaaaaaaaaaaaaa", 1, b.zstd.p, b.zstd.n, TYPE,
                "Content-Encoding: zstd");
    refused(s, 413, "too_large", "a bomb");
    site_put_as(s, "gw-1", "aaaaaaaaaaaaaaaa", 1, zeros, WIRE_BATCH_MAX + 1, TYPE, NULL);
    refused(s, 413, "too_large", "one byte over 1 MiB");
    site_put_as(s, "gw-1", "aaaaaaaaaaaaaaaa", 1, zeros, 20000000, TYPE, NULL);
    refused(s, 413, "too_large", "20 MB");
    sealed_done(&b);
    free(zeros);
}

static void only_enrolled_keys_count(void **state)
{
    struct site *s = *state;
    char path[128], pub[128], kid[17];
    struct wire_key *other;
    struct wire_header h = header_of(0xaa, 1, NULL);
    struct buf p;

    snprintf(path, sizeof path, "%s/other.key", s->dir);
    snprintf(pub, sizeof pub, "%s/other.pub", s->dir);
    assert_int_equal(wire_key_make(path, NULL), ST_OK);
    assert_int_equal(wire_key_load(&other, path, NULL), ST_OK);
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed b = seal(&h, &p, other);
    site_put(s, &b);
    refused(s, 403, "unknown_key", "a key that is not enrolled");
    /* enrolled while the city serves: it counts at once */
    site_pub_write(other, pub);
    assert_int_equal(city_enroll(&s->cfg, "gw-1", pub, kid, NULL), ST_OK);
    assert_int_equal(site_put(s, &b), 201);
    /* but one chain has one key */
    struct sealed c = batch_make(s, 0xaa, 2, &b);
    assert_int_equal(site_put(s, &c), 403);
    assert_true(site_answered(s, "unknown_key"));
    assert_int_equal(site_rows(s), 6);
    unlink(path);
    unlink(pub);
    wire_key_free(other);
    buf_done(&p);
    sealed_done(&b);
    sealed_done(&c);
}

static void other_methods_have_no_effect(void **state)
{
    struct site *s = *state;
    static const char path[] = "/v1/gateways/gw-1/batches/aaaaaaaaaaaaaaaa/1";
    assert_int_equal(site_call(s, "HEAD", path, NULL, 0, NULL), 405);
    assert_int_equal(site_call(s, "GET", path, NULL, 0, NULL), 405);
    assert_int_equal(site_call(s, "POST", path, "x", 1, NULL), 405);
    assert_int_equal(site_call(s, "DELETE", path, NULL, 0, NULL), 405);
    assert_int_equal(
        site_call(s, "PUT", "/v1/gateways/gw-1%2F../batches/aaaaaaaaaaaaaaaa/1", "x", 1, NULL),
        404);
    assert_int_equal(site_rows(s), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_stored_and_its_receipt_signed),
        TEST(the_same_bytes_get_the_same_receipt),
        TEST(other_bytes_under_a_number_conflict_and_do_not_count),
        TEST(it_answers_only_what_the_disk_has),
        TEST(what_is_not_for_this_city_is_refused),
        TEST(types_and_encodings_are_as_agreed),
        TEST(damaged_bytes_are_refused),
        TEST(a_bomb_and_a_long_body_are_too_large),
        TEST(only_enrolled_keys_count),
        TEST(other_methods_have_no_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
