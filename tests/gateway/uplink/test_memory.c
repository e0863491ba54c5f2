/* A signature that could not be checked, for memory was short, is not a wrong one: that is said as
 * it is, nothing is dropped, and it is checked again. */
#include "tests/gateway/uplink/notices.h"
#include "tests/gateway/uplink/rig.h"

#include "gateway/uplink/enrol_int.h"

/* ---- the library that has no memory: so many checks from now on ---- */

static atomic_int short_of;

enum st __real_wire_pub_check(const struct wire_pub *k, const uint8_t hash[WIRE_HASH_BYTES],
                              const uint8_t sig[64], struct err *e);
enum st __wrap_wire_pub_check(const struct wire_pub *k, const uint8_t hash[WIRE_HASH_BYTES],
                              const uint8_t sig[64], struct err *e);
enum st __wrap_wire_pub_check(const struct wire_pub *k, const uint8_t hash[WIRE_HASH_BYTES],
                              const uint8_t sig[64], struct err *e)
{
    if (atomic_load(&short_of) > 0) {
        atomic_fetch_sub(&short_of, 1);
        return err_set(e, ST_MEMORY, "no memory");
    }
    return __real_wire_pub_check(k, hash, sig, e);
}

static void assert_memory(enum st st, const struct err *e)
{
    assert_int_equal(st, ST_MEMORY);
    assert_non_null(strstr(e->text, "no memory to check"));
    assert_int_equal(atomic_load(&short_of), 0);
}

/* ---- one by one ---- */

static struct wire_key *key;
static struct uplink_key keys[1];

static int make(void **state)
{
    char path[200], *dir = temp_make();
    *state = dir;
    (void)snprintf(path, sizeof(path), "%s/a.key", dir);
    bool good = wire_key_make(path, NULL) == ST_OK && wire_key_load(&key, path, NULL) == ST_OK;
    keys[0] = (struct uplink_key){(struct wire_pub *)(uintptr_t)wire_key_pub(key), INT64_MAX};
    return good ? 0 : -1;
}

static int unmake(void **state)
{
    wire_key_free(key);
    temp_done(*state);
    return 0;
}

static void count(void *ctx, const struct uplink_sent *s)
{
    (void)s;
    ++*(unsigned *)ctx;
}

static void a_receipt_waits_for_its_check(void **state)
{
    (void)state;
    static struct uplink_run run;
    const struct store_batch b = {.id = 1, .seq = 1, .n = 1, .to_ms = T0};
    const struct wire_receipt r = {.gw = GW, .seq = 1, .n = 1, .received_ms = T0};
    struct err e = {0};
    struct buf cose;
    unsigned acked = 0;
    buf_init(&cose, 4096);
    buf_init(&run.bytes, 4096);
    ok(wire_receipt_sign(&r, wire_key_signer(key), &cose, &e), &e);
    ok(uplink_run_add(&run, GW, &b, &cose, (struct mono){0}, &e), &e);
    atomic_store(&short_of, 1);
    assert_memory(uplink_run_settle(&run, keys, 1, NULL, 0, count, &acked, &e), &e);
    assert_int_equal(run.count, 1);
    assert_int_equal(acked, 0);
    ok(uplink_run_settle(&run, keys, 1, NULL, 0, count, &acked, &e), &e);
    assert_int_equal(acked, 1);
    buf_done(&cose);
    buf_done(&run.bytes);
}

static void a_head_is_not_called_forged(void **state)
{
    (void)state;
    struct wire_head h = {.gw = GW, .nonce = "0123456789abcdef", .nonce_n = 16}, got;
    struct wire_cose cose;
    struct err e = {0};
    struct buf b;
    buf_init(&b, 4096);
    ok(wire_head_sign(&h, wire_key_signer(key), &b, &e), &e);
    ok(wire_head_open(&got, &cose, b.p, b.n, &e), &e);
    atomic_store(&short_of, 1);
    assert_memory(uplink_head_check(&got, &cose, GW, "0123456789abcdef", keys, 1, T0, &e), &e);
    ok(uplink_head_check(&got, &cose, GW, "0123456789abcdef", keys, 1, T0, &e), &e);
    wire_head_done(&got);
    buf_done(&b);
}

static void a_notice_is_not_called_forged(void **state)
{
    (void)state;
    const struct wire_span none = {NULL, 0}, der = wire_pub_der(wire_key_pub(key));
    const struct uplink_trust_how how = {.now_ms = T0};
    struct uplink_trust_took took;
    struct uplink_trust t;
    struct err e = {0};
    struct buf b;
    buf_init(&b, 1 << 16);
    ok(uplink_trust_init(&t, 1, &e), &e);
    ok(wire_pub_parse(&t.keys[0].pub, der.p, der.n, &e), &e);
    t.keys[0].until_ms = INT64_MAX;
    t.files = t.nkeys = 1;
    (void)notice_put(&b, 1, none, key, key, none, T0);
    atomic_store(&short_of, 1);
    assert_memory(uplink_trust_take(&t, b.p, b.n, &how, &took, &e), &e);
    assert_int_equal(took.fresh + took.before, 0);
    /* it names the key that signs it, which is what is told of once it could be checked */
    assert_int_equal(uplink_trust_take(&t, b.p, b.n, &how, &took, &e), ST_CORRUPT);
    assert_non_null(strstr(e.text, "names a receipt key that was replaced, or signs it"));
    uplink_trust_done(&t);
    buf_done(&b);
}

static void a_configuration_is_not_called_foreign(void **state)
{
    (void)state;
    const struct wire_span der = wire_pub_der(wire_key_pub(key));
    const struct wire_deposit_file file = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"x", 1}};
    static struct wire_deposit d;
    struct wire_cose cose;
    struct err e = {0};
    struct buf files, b, named;
    buf_init(&files, 4096);
    buf_init(&b, WIRE_BATCH_MAX);
    buf_init(&named, 4096);
    ok(wire_put_array(&named, 1), &e);
    ok(wire_put_bytes(&named, der.p, der.n), &e);
    ok(wire_deposit_files(&file, 1, &files, &e), &e);
    d = (struct wire_deposit){.gw = GW, .when_ms = T0, .files = {files.p, files.n}};
    ok(wire_deposit_sign(&d, wire_key_signer(key), &b, &e), &e);
    ok(wire_deposit_open(&d, &cose, b.p, b.n, &e), &e);
    atomic_store(&short_of, 1);
    assert_memory(uplink_restore_check(&d, &cose, GW, &named, &e), &e);
    ok(uplink_restore_check(&d, &cose, GW, &named, &e), &e);
    buf_done(&files);
    buf_done(&b);
    buf_done(&named);
}

/* ---- an uplink at work ---- */

static void until_text(struct rig *r, const char *part)
{
    for (int i = 0; part ? !strstr(status_of(r).text, part) : status_of(r).text[0] != '\0'; i++) {
        if (i == STEPS_MAX) {
            fail_msg("it says: %s", status_of(r).text);
        }
        rig_step(r);
        atomic_fetch_add(&r->mono_ms, 200); /* runs grow old */
    }
}

static void an_uplink_says_so_and_sends_nothing_twice(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    atomic_store(&short_of, 1);
    rig_go(&r);
    rig_until_sent(&r, 3);
    until_text(&r, "no memory to check a signature of the city");
    until_text(&r, NULL);
    rig_stop(&r);
    assert_int_equal(status_of(&r).acknowledged, 3);
    assert_int_equal(city_seen(&r.city), 3);
    assert_unsent(&r, NULL, 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_waits_for_its_check),
        cmocka_unit_test(a_head_is_not_called_forged),
        cmocka_unit_test(a_notice_is_not_called_forged),
        cmocka_unit_test(a_configuration_is_not_called_foreign),
        cmocka_unit_test(an_uplink_says_so_and_sends_nothing_twice),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
