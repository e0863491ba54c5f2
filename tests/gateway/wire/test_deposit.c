/* A configuration for the city's keeping: what is signed comes back byte for byte, and nothing that
 * breaks a bound is taken, neither when it is made nor when it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

static struct wire_span span_of(const char *text)
{
    return (struct wire_span){(const uint8_t *)text, strlen(text)};
}

static struct buf files_of(const struct wire_deposit_file *v, size_t n)
{
    struct buf b;
    struct err e = {.text = ""};

    buf_init(&b, WIRE_DEPOSIT_MAX);
    assert_ok(wire_deposit_files(v, n, &b, &e), &e);
    return b;
}

static const struct wire_deposit_file *two_files(size_t *n)
{
    static struct wire_deposit_file v[2];

    v[0] = (struct wire_deposit_file){span_of("fieldpost.yaml"),
                                      span_of("gateway: {id: gw-01} # Trà Câu\n\t\r\n")};
    v[1] = (struct wire_deposit_file){span_of("profiles/own.yaml"), span_of("model: x\n")};
    *n = 2;
    return v;
}

static struct buf sign(const struct fixture *f, struct wire_deposit *d, const struct buf *files,
                       enum st want)
{
    struct buf cose;
    struct err e = {.text = ""};

    *d = (struct wire_deposit){.gw = "gw-01", .when_ms = SAMPLE_MS};
    d->files = (struct wire_span){files->p, files->n};
    buf_init(&cose, WIRE_BATCH_MAX);
    assert_int_equal(wire_deposit_sign(d, wire_key_signer(f->key), &cose, &e), want);
    return cose;
}

static void what_is_signed_comes_back(void **state)
{
    static struct wire_deposit d, back;
    uint8_t hash[WIRE_HASH_BYTES];
    struct wire_cose cose;
    struct err e = {.text = ""};
    size_t n;
    const struct wire_deposit_file *v = two_files(&n);
    struct buf files = files_of(v, n), b = sign(*state, &d, &files, ST_OK);
    const struct fixture *f = *state;

    assert_ok(wire_deposit_open(&back, &cose, b.p, b.n, &e), &e);
    assert_ok(wire_cose_verify(&cose, wire_key_pub(f->key), &e), &e);
    assert_string_equal(back.gw, "gw-01");
    assert_int_equal(back.when_ms, SAMPLE_MS);
    assert_memory_equal(back.kid, wire_pub_kid(wire_key_pub(f->key)), WIRE_ID_BYTES);
    wire_sha256(v[0].content.p, v[0].content.n, hash);
    assert_memory_equal(back.hash, hash, sizeof hash);
    assert_int_equal(back.nfiles, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(back.file[i].name.n, v[i].name.n);
        assert_memory_equal(back.file[i].name.p, v[i].name.p, v[i].name.n);
        assert_int_equal(back.file[i].content.n, v[i].content.n);
        assert_memory_equal(back.file[i].content.p, v[i].content.p, v[i].content.n);
    }
    assert_int_equal(back.files.n, files.n);
    assert_memory_equal(back.files.p, files.p, files.n);
    buf_done(&files);
    buf_done(&b);
}

static void no_flipped_bit_verifies(void **state)
{
    static struct wire_deposit d;
    struct wire_cose cose;
    size_t n;
    const struct wire_deposit_file *v = two_files(&n);
    struct buf files = files_of(v, n), b = sign(*state, &d, &files, ST_OK);
    const struct fixture *f = *state;

    for (size_t bit = 0; bit < 8 * b.n; bit += 7) { /* each of a byte in its turn */
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(wire_deposit_open(&d, &cose, b.p, b.n, NULL) == ST_OK &&
                     wire_cose_verify(&cose, wire_key_pub(f->key), NULL) == ST_OK);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t k = 0; k < b.n; k++)
        assert_int_not_equal(wire_deposit_open(&d, &cose, b.p, k, NULL), ST_OK);
    buf_done(&files);
    buf_done(&b);
}

static void bounds_hold_when_it_is_made(void **state)
{
    static struct wire_deposit d;
    static struct wire_deposit_file many[WIRE_DEPOSIT_FILES + 1];
    static char large[WIRE_DEPOSIT_FILE_MAX + 2], name[WIRE_DEPOSIT_NAME + 2];
    const struct {
        const char *name, *content;
        enum st want;
    } cases[] = {
        {"a", "", ST_OK},          {"", "x", ST_BAD},
        {"a\nb", "x", ST_BAD},     {"a", "\x1b[2J", ST_BAD},
        {"a", "\xc2\x9b", ST_BAD}, {"a", "\xff", ST_BAD},
        {"a", "\x7f", ST_BAD},     {"\xc3\xa0", "\xc3\xa0\n", ST_OK},
        {name, "x", ST_BAD},       {name + 1, "x", ST_OK},
        {"a", large, ST_BAD},      {"a", large + 1, ST_OK},
    };

    memset(large, 'x', sizeof large - 1);
    memset(name, 'n', sizeof name - 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct wire_deposit_file v = {span_of(cases[i].name), span_of(cases[i].content)};
        struct buf files = files_of(&v, 1), b = sign(*state, &d, &files, cases[i].want);
        assert_int_equal(b.n > 0, cases[i].want == ST_OK);
        buf_done(&files);
        buf_done(&b);
    }
    for (size_t i = 0; i <= WIRE_DEPOSIT_FILES; i++)
        many[i] = (struct wire_deposit_file){span_of("a"), span_of("x")};
    for (size_t n = 0; n <= WIRE_DEPOSIT_FILES + 1; n += n ? WIRE_DEPOSIT_FILES / 2 : 1) {
        struct buf files = files_of(many, n > WIRE_DEPOSIT_FILES ? WIRE_DEPOSIT_FILES + 1 : n);
        struct buf b = sign(*state, &d, &files, n == 0 || n > WIRE_DEPOSIT_FILES ? ST_BAD : ST_OK);
        buf_done(&files);
        buf_done(&b);
    }
}

static void all_of_it_has_a_bound(void **state)
{
    static char large[WIRE_DEPOSIT_FILE_MAX + 1];
    struct wire_deposit_file v[4];
    struct buf b;

    (void)state;
    memset(large, 'x', WIRE_DEPOSIT_FILE_MAX);
    for (size_t i = 0; i < 4; i++)
        v[i] = (struct wire_deposit_file){span_of("a"), span_of(large)};
    buf_init(&b, WIRE_DEPOSIT_MAX);
    assert_int_equal(wire_deposit_files(v, 4, &b, NULL), ST_FULL);
    assert_int_equal(b.n, 0);
    assert_int_equal(wire_deposit_files(v, 3, &b, NULL), ST_OK);
    buf_done(&b);
}

/* A message like it by the same key, but for what is broken. */
struct made {
    const char *type, *gw;
    uint64_t version, keys;
    size_t hash_n;
    int64_t when_ms;
    bool wrong_hash, behind;
};

static void put_payload(struct buf *b, const struct made *m)
{
    uint8_t hash[WIRE_HASH_BYTES + 1];

    wire_sha256("x", 1, hash);
    hash[0] ^= m->wrong_hash;
    assert_int_equal(wire_put_map(b, m->keys), ST_OK);
    assert_int_equal(wire_put_text(b, "v"), ST_OK);
    assert_int_equal(wire_put_uint(b, m->version), ST_OK);
    assert_int_equal(wire_put_text(b, "gw"), ST_OK);
    assert_int_equal(wire_put_text(b, m->gw), ST_OK);
    assert_int_equal(wire_put_text(b, "hash"), ST_OK);
    assert_int_equal(wire_put_bytes(b, hash, m->hash_n), ST_OK);
    assert_int_equal(wire_put_text(b, "when"), ST_OK);
    assert_int_equal(wire_put_int(b, m->when_ms), ST_OK);
    assert_int_equal(wire_put_text(b, "files"), ST_OK);
    const struct wire_deposit_file v = {span_of("a"), span_of("x")};
    assert_int_equal(wire_deposit_files(&v, 1, b, NULL), ST_OK);
    if (m->behind)
        assert_int_equal(wire_put_text(b, "more"), ST_OK);
    if (m->behind)
        assert_int_equal(wire_put_uint(b, 1), ST_OK);
}

static void it_has_one_form(void **state)
{
    static struct wire_deposit d;
    const struct fixture *f = *state;
    const struct made good = {WIRE_TYPE_CONFIG, "gw-01", 1, 5, 32, 1, false, false};
    struct made cases[10];
    const enum st want[] = {ST_OK,  ST_BAD, ST_BAD, ST_UNSUPPORTED, ST_BAD,
                            ST_BAD, ST_BAD, ST_BAD, ST_BAD,         ST_BAD};

    for (size_t i = 0; i < 10; i++)
        cases[i] = good;
    cases[1].type = WIRE_TYPE_KEY;
    cases[2].gw = "../gw";
    cases[3].version = 2;
    cases[4].keys = 4;
    cases[5].keys = 6;
    cases[5].behind = true;
    cases[6].hash_n = 31;
    cases[7].when_ms = -1;
    cases[8].wrong_hash = true;
    cases[9].behind = true;
    for (size_t i = 0; i < 10; i++) {
        struct wire_cose cose;
        struct buf payload, b;
        struct err e = {.text = ""};
        buf_init(&payload, 4096);
        buf_init(&b, WIRE_BATCH_MAX);
        put_payload(&payload, &cases[i]);
        assert_ok(wire_answer_sign(cases[i].type, &payload, wire_key_signer(f->key), &b, &e), &e);
        if (wire_deposit_open(&d, &cose, b.p, b.n, &e) != want[i])
            fail_msg("case %zu: %s", i, e.text);
        buf_done(&payload);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_signed_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(no_flipped_bit_verifies, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_hold_when_it_is_made, setup, teardown),
        cmocka_unit_test(all_of_it_has_a_bound),
        cmocka_unit_test_setup_teardown(it_has_one_form, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
