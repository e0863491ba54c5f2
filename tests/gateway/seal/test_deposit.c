/* The configuration for the city: signed by the key in force, once for each chain and each content,
 * and never with a time that is not behind the one before. */
#include "tests/gateway/seal/town.h"

#include <string.h>

static void give(struct line *l, const char *text)
{
    const struct wire_deposit_file v = {{(const uint8_t *)"fieldpost.yaml", 14},
                                        {(const uint8_t *)text, strlen(text)}};
    struct buf files;
    buf_init(&files, WIRE_DEPOSIT_MAX);
    assert_int_equal(wire_deposit_files(&v, 1, &files, NULL), ST_OK);
    seal_deposit(l->seal, &files);
    assert_null(files.p);
}

struct kept {
    uint8_t sha256[WIRE_HASH_BYTES];
    int64_t when_ms;
    char text[64];
};

/* What the uplinks find, verified by the key in that file. ST_NOT_FOUND: nothing. */
static enum st look(const struct line *l, const char *key_path, struct kept *out)
{
    static struct wire_deposit d;
    struct store_reader *r;
    struct store_deposit k;
    struct wire_key *key;
    struct wire_cose cose;
    struct buf b;
    struct err e = {.text = ""};
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    enum st st = store_reader_deposit(r, &k, &e);
    store_reader_close(r);
    if (st != ST_OK)
        return st;
    buf_init(&b, WIRE_BATCH_MAX);
    assert_int_equal(wire_zstd_unpack(k.packed.p, k.packed.n, WIRE_BATCH_MAX, &b, &e), ST_OK);
    wire_sha256(b.p, b.n, out->sha256);
    assert_memory_equal(out->sha256, k.sha256, WIRE_HASH_BYTES);
    if (wire_deposit_open(&d, &cose, b.p, b.n, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(wire_key_load(&key, key_path, &e), ST_OK);
    assert_int_equal(wire_cose_verify(&cose, wire_key_pub(key), &e), ST_OK);
    wire_key_free(key);
    assert_string_equal(d.gw, l->gateway);
    assert_int_equal(d.when_ms, k.when_ms);
    out->when_ms = k.when_ms;
    (void)snprintf(out->text, sizeof out->text, "%.*s", (int)d.file[0].content.n,
                   (const char *)d.file[0].content.p);
    buf_done(&b);
    buf_done(&k.packed);
    return ST_OK;
}

static void it_is_signed_once_and_again_when_it_has_changed(void **state)
{
    struct line *l = *state;
    struct kept first, same, other;
    line_start(l);
    line_run(l, LINE_M1);
    assert_int_equal(look(l, l->key, &first), ST_NOT_FOUND);
    give(l, "one");
    line_run(l, LINE_M1 + LINE_MINUTE);
    assert_int_equal(look(l, l->key, &first), ST_OK);
    assert_string_equal(first.text, "one");
    assert_int_equal(store_deposits(l->store), 1);
    line_stop(l);
    line_start(l);
    give(l, "one");
    line_run(l, LINE_M1 + 3 * LINE_MINUTE);
    assert_int_equal(look(l, l->key, &same), ST_OK);
    assert_memory_equal(same.sha256, first.sha256, sizeof same.sha256);
    assert_int_equal(store_deposits(l->store), 0);
    line_stop(l);
    line_start(l);
    give(l, "two");
    line_run(l, LINE_M1 + 5 * LINE_MINUTE);
    assert_int_equal(look(l, l->key, &other), ST_OK);
    assert_string_equal(other.text, "two");
    assert_true(other.when_ms > first.when_ms);
    line_stop(l);
}

static void its_time_is_known_and_goes_on(void **state)
{
    struct line *l = *state;
    struct kept first, later;
    l->grade = CLK_UNKNOWN;
    l->utc_ms = CLK_UNKNOWN_BASE_MS + l->mono_ms;
    line_start(l);
    give(l, "one");
    line_step(l, false);
    assert_int_equal(look(l, l->key, &first), ST_NOT_FOUND);
    l->grade = CLK_SYNCED;
    l->utc_ms = LINE_M1;
    for (int i = 0; i < 10; i++) {
        l->utc_ms += 1000;
        l->mono_ms += 1000;
        line_step(l, false);
    }
    assert_int_equal(look(l, l->key, &first), ST_OK);
    line_stop(l);
    l->utc_ms -= 60000; /* the clock was set back */
    line_start(l);
    give(l, "two");
    line_step(l, false);
    line_step(l, false);
    assert_int_equal(look(l, l->key, &later), ST_OK);
    assert_string_equal(later.text, "two");
    assert_int_equal(later.when_ms, first.when_ms + 1);
    line_stop(l);
    l->utc_ms -= 2 * INT64_C(86400000); /* it was days ahead: no city has taken that */
    line_start(l);
    give(l, "three");
    line_step(l, false);
    line_step(l, false);
    assert_int_equal(look(l, l->key, &first), ST_OK);
    assert_string_equal(first.text, "three");
    assert_true(first.when_ms <= l->utc_ms);
    line_stop(l);
}

static void the_next_key_signs_it_anew_in_its_chain(void **state)
{
    struct line *l = *state;
    struct kept first, later;
    line_start(l);
    give(l, "one");
    line_run(l, LINE_M1 + LINE_MINUTE);
    assert_int_equal(look(l, l->key, &first), ST_OK);
    assert_int_equal(signer_make_next(l->key, NULL), ST_OK);
    assert_int_equal(seal_rotation_ask(l->db, NULL), ST_OK);
    line_run(l, LINE_M1 + 6 * LINE_MINUTE);
    assert_int_equal(look(l, l->key, &later), ST_OK); /* the new key has the name now */
    assert_string_equal(later.text, "one");
    assert_memory_not_equal(later.sha256, first.sha256, sizeof first.sha256);
    line_stop(l);
}

static void what_cannot_be_signed_keeps_nothing_back(void **state)
{
    struct line *l = *state;
    struct kept none;
    line_start(l);
    give(l, "a control character \x1b");
    line_run(l, LINE_M1 + 3 * LINE_MINUTE);
    assert_int_equal(look(l, l->key, &none), ST_NOT_FOUND);
    struct line_batches b = {0};
    line_batches(l, &b);
    assert_true(line_sealed_readings(&b) > 0);
    line_batches_done(&b);
    line_stop(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_signed_once_and_again_when_it_has_changed, line_setup,
                                        line_teardown),
        cmocka_unit_test_setup_teardown(its_time_is_known_and_goes_on, line_setup, line_teardown),
        cmocka_unit_test_setup_teardown(the_next_key_signs_it_anew_in_its_chain, line_setup,
                                        line_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_signed_keeps_nothing_back, line_setup,
                                        line_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
