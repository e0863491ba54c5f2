/* What the uplink's thread sends, in which order, and what it makes of the answers. */
#include "tests/gateway/uplink/rig.h"

/* ---- tests ---- */

static void control_first_then_the_newest_then_the_oldest(void **state)
{
    (void)state;
    static const struct seen want[] = {{1, false, 0}, {6, false, 0}, {2, true, 0},
                                       {3, true, 0},  {4, true, 0},  {5, true, 0}};
    struct rig r;
    rig_open(&r, 6);
    rig_go(&r);
    rig_until_sent(&r, 6);
    rig_stop(&r);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(r.city.seen[i].seq, want[i].seq);
        assert_int_equal(r.city.seen[i].backfill, want[i].backfill);
    }
    assert_unsent(&r, NULL, 0);
    struct uplink_status s = status_of(&r);
    assert_true(s.online);
    assert_string_equal(s.text, "");
    assert_int_equal(s.sent, 6);
    assert_int_equal(s.acknowledged, 6);
    rig_close(&r);
}

static void a_new_batch_passes_the_backlog(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    rig_go(&r);
    rig_until_sent(&r, 3);
    seal_one(&r, WIRE_DATA);
    rig_until_sent(&r, 4);
    assert_int_equal(r.city.seen[3].seq, 4);
    assert_false(r.city.seen[3].backfill);
    /* a run that has grown old is settled without a stop */
    atomic_fetch_add(&r.mono_ms, 20000);
    for (int i = 0; status_of(&r).acknowledged < 4; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    rig_stop(&r);
    assert_unsent(&r, NULL, 0);
    rig_close(&r);
}

static void sign_with_another_key(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                                  struct http_answer *a)
{
    (void)again;
    receipt(c, seq, hash, c->other, a);
}

static void a_receipt_is_never_applied_unverified(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    r.city.answer = sign_with_another_key;
    rig_go(&r);
    rig_until_sent(&r, 3);
    rig_stop(&r);
    ASSERT_UNSENT(&r, 1, 2, 3);
    assert_false(status_of(&r).online);
    assert_non_null(strstr(status_of(&r).text, "not signed by the city"));
    assert_int_equal(status_of(&r).acknowledged, 0);
    rig_close(&r);
}

static void one_is_about_another(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                                 struct http_answer *a)
{
    (void)again;
    uint8_t wrong[WIRE_HASH_BYTES] = {1};
    receipt(c, seq, seq == 2 ? wrong : hash, c->sign, a);
}

static void a_receipt_for_other_bytes_counts_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    r.city.answer = one_is_about_another;
    rig_go(&r);
    rig_until_sent(&r, 2);
    rig_until_seen(&r, 3);
    rig_stop(&r);
    ASSERT_UNSENT(&r, 2);
    rig_close(&r);
}

/* 3 has a forged receipt; that of 2, which is verified for both, tells of other bytes under 3. */
static void through_with_a_foreign_hash(struct city *c, uint64_t seq, const uint8_t *hash,
                                        unsigned again, struct http_answer *a)
{
    (void)again;
    (void)pthread_mutex_lock(&c->lock);
    c->through_seq = seq == 2 ? 3 : 0;
    memset(c->through_hash, 9, WIRE_HASH_BYTES);
    (void)pthread_mutex_unlock(&c->lock);
    receipt(c, seq, hash, seq == 3 ? c->other : c->sign, a);
}

static void through_counts_only_with_our_hash(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    r.city.answer = through_with_a_foreign_hash;
    rig_go(&r);
    rig_until_sent(&r, 3);
    rig_stop(&r);
    ASSERT_UNSENT(&r, 3);
    rig_close(&r);
}

static void refuse_two(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                       struct http_answer *a)
{
    (void)again;
    if (seq == 2) {
        problem(a, 400, "bad_cbor", hash);
    } else {
        receipt(c, seq, hash, c->sign, a);
    }
}

static void a_final_refusal_is_kept_and_the_rest_flows(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    struct store_refused refused;
    rig_open(&r, 4);
    r.city.answer = refuse_two;
    rig_go(&r);
    rig_until_sent(&r, 3);
    rig_stop(&r);
    ok(store_refused_next(r.store, &refused, &e), &e);
    assert_int_equal(refused.seq, 2);
    assert_string_equal(refused.code, "bad_cbor");
    assert_unsent(&r, NULL, 0);
    rig_close(&r);
}

static void two_is_too_large(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                             struct http_answer *a)
{
    (void)again;
    if (seq == 2 || seq == 4) {
        problem(a, 413, "too_large", hash);
    } else {
        receipt(c, seq, hash, c->sign, a);
    }
}

static void a_batch_that_cannot_be_taken_blocks_no_other(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 6);
    r.city.answer = two_is_too_large;
    rig_go(&r);
    rig_until_sent(&r, 4);
    rig_stop(&r);
    ASSERT_UNSENT(&r, 2, 4);
    rig_close(&r);
}

static void not_ready_at_first(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                               struct http_answer *a)
{
    if (again == 0 && seq == 1) {
        a->status = 503;
        a->content_type = "text/html";
        return;
    }
    receipt(c, seq, hash, c->sign, a);
}

static void a_city_that_is_not_ready_gets_the_same_bytes_later(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 2);
    r.city.answer = not_ready_at_first;
    rig_go(&r);
    rig_until_sent(&r, 2);
    rig_stop(&r);
    assert_unsent(&r, NULL, 0);
    assert_true(status_of(&r).online);
    rig_close(&r);
}

static void a_city_with_another_certificate_gets_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 2);
    /* the same address, but the uplink trusts another authority */
    char cert[160], key[160];
    (void)snprintf(cert, sizeof(cert), "%s/other.pem", r.city.dir);
    (void)snprintf(key, sizeof(key), "%s/other-tls.key", r.city.dir);
    assert_true(cert_make(cert, key));
    assert_int_equal(rename(cert, r.city.cert), 0);
    rig_go(&r);
    for (int i = 0; !status_of(&r).text[0]; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    rig_stop(&r);
    assert_int_equal(city_seen(&r.city), 0);
    ASSERT_UNSENT(&r, 1, 2);
    rig_close(&r);
}

static void what_the_signed_head_holds_is_not_sent_again(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4);
    know_two(&r);
    r.city.head_key = r.city.sign;
    r.city.through_seq = 2;
    memcpy(r.city.through_hash, r.city.two, WIRE_HASH_BYTES);
    rig_go(&r);
    rig_until_sent(&r, 2);
    rig_stop(&r);
    assert_int_equal(city_seen(&r.city), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(r.city.seen[i].seq > 2);
    }
    assert_int_equal(r.city.heads, 1);
    ASSERT_UNSENT(&r);
    rig_close(&r);
}

static void a_head_that_another_key_signed_changes_nothing(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    know_two(&r);
    r.city.head_key = r.city.other;
    rig_go(&r);
    rig_until_sent(&r, 3);
    rig_stop(&r);
    assert_int_equal(city_seen(&r.city), 3);
    rig_close(&r);
}

static void the_head_is_asked_for_again_when_the_certificate_is_right(void **state)
{
    (void)state;
    struct rig r;
    char cert[160], key[160], good[160];
    rig_open(&r, 3);
    know_two(&r);
    r.city.head_key = r.city.sign;
    (void)snprintf(cert, sizeof(cert), "%s/other.pem", r.city.dir);
    (void)snprintf(key, sizeof(key), "%s/other-tls.key", r.city.dir);
    (void)snprintf(good, sizeof(good), "%s/good.pem", r.city.dir);
    assert_true(cert_make(cert, key));
    assert_int_equal(rename(r.city.cert, good), 0);
    assert_int_equal(rename(cert, r.city.cert), 0);
    rig_go(&r);
    for (int i = 0; !status_of(&r).text[0]; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    assert_int_equal(rename(good, r.city.cert), 0);
    rig_until_sent(&r, 1);
    rig_stop(&r);
    assert_int_equal(r.city.heads, 1);
    assert_int_equal(city_seen(&r.city), 1);
    assert_int_equal(r.city.seen[0].seq, 3);
    rig_close(&r);
}

/* The line broke behind the last batch, whose receipt never came: nothing is left to be sent, and
 * what the page said is over. */
static void a_signed_head_that_has_all_ends_the_fault(void **state)
{
    (void)state;
    struct rig r;
    char cert[160], key[160], good[160];
    rig_open(&r, 2);
    know_two(&r);
    r.city.head_key = r.city.sign;
    (void)snprintf(cert, sizeof(cert), "%s/other.pem", r.city.dir);
    (void)snprintf(key, sizeof(key), "%s/other-tls.key", r.city.dir);
    (void)snprintf(good, sizeof(good), "%s/good.pem", r.city.dir);
    assert_true(cert_make(cert, key));
    assert_int_equal(rename(r.city.cert, good), 0);
    assert_int_equal(rename(cert, r.city.cert), 0);
    rig_go(&r);
    for (int i = 0; !status_of(&r).text[0]; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    assert_int_equal(rename(good, r.city.cert), 0);
    for (int i = 0; status_of(&r).text[0]; i++) {
        if (i == STEPS_MAX) {
            fail_msg("it still says: %s", status_of(&r).text);
        }
        rig_step(&r);
    }
    rig_stop(&r);
    assert_int_equal(city_seen(&r.city), 0);
    assert_unsent(&r, NULL, 0);
    rig_close(&r);
}

static void all_are_too_large(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                              struct http_answer *a)
{
    (void)c;
    (void)seq;
    (void)again;
    problem(a, 413, "too_large", hash);
}

static bool is_online(void *ctx, const struct store_event *v)
{
    *(int *)ctx += strcmp(v->code, "uplink.online") == 0;
    return true;
}

static void a_signed_head_does_not_end_the_fault_of_a_batch(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    struct store_reader *reader = NULL;
    int told = 0;
    rig_open(&r, 3); /* the head has two of them */
    know_two(&r);
    r.city.head_key = r.city.sign;
    r.city.answer = all_are_too_large;
    rig_go(&r);
    for (int i = 0; !strstr(status_of(&r).text, "too_large"); i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    atomic_fetch_add(&r.mono_ms, UPLINK_HEAD_EVERY_MS * 2);
    rig_until_seen(&r, 2); /* the second head was in between */
    rig_stop(&r);
    assert_true(r.city.heads >= 2);
    ok(store_reader_open(&reader, r.db, &e), &e);
    ok(store_each_event(reader, 0, 100, is_online, &told, &e), &e);
    store_reader_close(reader);
    assert_int_equal(told, 0);
    ASSERT_UNSENT(&r, 3);
    rig_close(&r);
}

struct told {
    struct rig *r;
    atomic_uint n, idle; /* idle: told while nobody was said to be busy */
    atomic_int_fast64_t bytes, least_us;
};

static void told(void *ctx, const char *interface, int64_t bytes, int64_t us)
{
    struct told *t = ctx;
    atomic_fetch_add(&t->n, 1);
    atomic_fetch_add(&t->bytes, bytes);
    if (us < atomic_load(&t->least_us))
        atomic_store(&t->least_us, us);
    if (!uplinks_busy(t->r->uplinks) || strcmp(interface, "lo") != 0)
        atomic_fetch_add(&t->idle, 1);
}

static void what_goes_out_is_told_with_its_bytes_and_time_and_the_line_is_busy_so_long(void **state)
{
    (void)state;
    struct rig r;
    struct told t = {.r = &r, .least_us = INT64_MAX};
    rig_open(&r, 3);
    r.job.uploaded = told;
    r.job.ctx = &t;
    assert_false(uplinks_busy(r.uplinks));
    rig_go(&r);
    rig_until_sent(&r, 3);
    for (int i = 0; uplinks_busy(r.uplinks); i++) { /* nothing is left to go */
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    rig_stop(&r);
    assert_int_equal(atomic_load(&t.n), 3);
    assert_int_equal(atomic_load(&t.idle), 0);
    assert_true(atomic_load(&t.bytes) > 3 * 100);
    assert_true(atomic_load(&t.least_us) > 0);
    assert_int_equal((uint64_t)atomic_load(&t.bytes), status_of(&r).bytes);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_first_then_the_newest_then_the_oldest),
        cmocka_unit_test(a_new_batch_passes_the_backlog),
        cmocka_unit_test(a_receipt_is_never_applied_unverified),
        cmocka_unit_test(a_receipt_for_other_bytes_counts_nothing),
        cmocka_unit_test(through_counts_only_with_our_hash),
        cmocka_unit_test(a_final_refusal_is_kept_and_the_rest_flows),
        cmocka_unit_test(a_batch_that_cannot_be_taken_blocks_no_other),
        cmocka_unit_test(a_city_that_is_not_ready_gets_the_same_bytes_later),
        cmocka_unit_test(a_city_with_another_certificate_gets_nothing),
        cmocka_unit_test(what_the_signed_head_holds_is_not_sent_again),
        cmocka_unit_test(a_head_that_another_key_signed_changes_nothing),
        cmocka_unit_test(the_head_is_asked_for_again_when_the_certificate_is_right),
        cmocka_unit_test(a_signed_head_that_has_all_ends_the_fault),
        cmocka_unit_test(a_signed_head_does_not_end_the_fault_of_a_batch),
        cmocka_unit_test(
            what_goes_out_is_told_with_its_bytes_and_time_and_the_line_is_busy_so_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
