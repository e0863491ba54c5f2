/* When the city is asked what it holds, and what is made of the answer: a city that was restored, a
 * store that was, and answers that are none. */
#include "tests/gateway/uplink/rig.h"

static unsigned heads(struct rig *r)
{
    (void)pthread_mutex_lock(&r->city.lock);
    unsigned n = r->city.heads;
    (void)pthread_mutex_unlock(&r->city.lock);
    return n;
}

static void until_heads(struct rig *r, unsigned n)
{
    for (int i = 0; heads(r) < n; i++) {
        if (i == STEPS_MAX) {
            fail_msg("the head was asked for %u times, not %u", heads(r), n);
        }
        rig_step(r);
    }
}

static void the_head_is_asked_for_about_every_hour(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 3);
    know_two(&r);
    r.city.head_key = r.city.sign;
    r.city.through_seq = 2;
    memcpy(r.city.through_hash, r.city.two, WIRE_HASH_BYTES);
    rig_go(&r);
    rig_until_sent(&r, 1);
    (void)pthread_mutex_lock(&r.city.lock); /* from here on it has 3 as well */
    r.city.missing[0][0] = 0;
    (void)pthread_mutex_unlock(&r.city.lock);
    assert_int_equal(heads(&r), 1);
    atomic_fetch_add(&r.mono_ms, UPLINK_HEAD_EVERY_MS / 4 * 3 - 120000);
    for (int i = 0; i < 1500; i++) { /* longer than an idle thread sleeps */
        (void)poll(NULL, 0, 1);
        struct err e = {0};
        ok(store_step(r.store, false, &e), &e);
    }
    assert_int_equal(heads(&r), 1);
    atomic_fetch_add(&r.mono_ms, UPLINK_HEAD_EVERY_MS / 2 + 120000);
    until_heads(&r, 2);
    rig_stop(&r);
    rig_close(&r);
}

/* 1 to 6 are acknowledged; then the city is as it was behind 2, and gets 7. */
static void lose_from_three(struct rig *r)
{
    rig_open(r, 6);
    know_two(r);
    rig_go(r);
    rig_until_sent(r, 6);
    atomic_fetch_add(&r->mono_ms, 20000);
    for (int i = 0; status_of(r).acknowledged < 6; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(r);
    }
    (void)pthread_mutex_lock(&r->city.lock);
    r->city.head_key = r->city.sign;
    r->city.through_seq = 2;
    memcpy(r->city.through_hash, r->city.two, WIRE_HASH_BYTES);
    r->city.missing[0][0] = 3;
    r->city.missing[0][1] = 6;
    (void)pthread_mutex_unlock(&r->city.lock);
    seal_one(r, WIRE_DATA);
}

static void what_a_restored_city_lost_is_sent_again_at_its_pace(void **state)
{
    (void)state;
    struct rig r;
    lose_from_three(&r);
    rig_until_sent(&r, 9);
    seal_one(&r, WIRE_DATA); /* it does not wait for the lost ones */
    rig_until_sent(&r, 12);
    rig_stop(&r);
    assert_int_equal(heads(&r), 2);
    uint64_t lost = 3;
    int64_t last_ms = 0;
    bool passed = false;
    for (size_t i = 6; i < 12; i++) {
        const struct seen *s = &r.city.seen[i];
        if (s->seq > 6) {
            passed = passed || (s->seq == 8 && lost <= 6);
            continue;
        }
        assert_int_equal(s->seq, lost++);
        assert_true(s->backfill);
        assert_true(last_ms == 0 || s->at_ms - last_ms >= UPLINK_AGAIN_MS - 20);
        last_ms = s->at_ms;
    }
    assert_int_equal(r.city.seen[6].seq, 7);
    assert_int_equal(lost, 7);
    assert_true(passed);
    assert_unsent(&r, NULL, 0);
    rig_close(&r);
}

static bool is_lack(void *ctx, const struct store_event *v)
{
    char *text = ctx;
    if (strcmp(v->code, "city.lacks") == 0) {
        (void)snprintf(text, sizeof v->text, "%s", v->text);
    }
    return true;
}

static void batches_that_left_the_store_are_named(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    struct store_reader *reader = NULL;
    char text[sizeof(((struct store_event *)0)->text)] = "";
    lose_from_three(&r);
    ok(store_seal_again(r.store, NULL, (INT64_C(1) << 40) + 4, &e), &e); /* forgets it */
    rig_until_sent(&r, 10);
    rig_stop(&r);
    ok(store_reader_open(&reader, r.db, &e), &e);
    ok(store_each_event(reader, 0, 100, is_lack, text, &e), &e);
    store_reader_close(reader);
    assert_non_null(strstr(text, "batches 3 to 6 of chain 0707070707070707"));
    assert_non_null(strstr(text, "3 are sent again; the others have left this store"));
    rig_close(&r);
}

static void three_conflicts(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                            struct http_answer *a)
{
    (void)again;
    if (seq == 3) {
        problem(a, 409, "conflict", hash);
    } else {
        receipt(c, seq, hash, c->sign, a);
    }
}

static void a_conflict_ends_the_chain_and_loses_nothing(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    struct store_chain chain;
    struct store_again again;
    rig_open(&r, 3);
    r.city.answer = three_conflicts;
    rig_go(&r);
    rig_until_sent(&r, 2);
    rig_stop(&r);
    ok(store_chain_last(r.store, &chain, &e), &e);
    assert_true(chain.ended);
    /* not sent again under its number; once a new chain has begun it is sealed there */
    assert_unsent(&r, NULL, 0);
    assert_int_equal(store_again_next(r.store, &again, &e), ST_NOT_FOUND);
    memset(r.chain.id, 8, WIRE_ID_BYTES);
    r.chain.last_seq = 0;
    ok(store_chain_begin(r.store, &r.chain, &e), &e);
    ok(store_again_next(r.store, &again, &e), &e);
    assert_int_equal(again.seq, 3);
    assert_int_equal(again.n, 1);
    buf_done(&again.packed);
    rig_close(&r);
}

/* The receipt of 4 says that all up to 4 are there, with our hash; 2 and 3 were never taken. */
static void four_stands_for_all(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                                struct http_answer *a)
{
    (void)again;
    if (seq == 2 || seq == 3) {
        a->status = 500;
        a->content_type = "text/html";
        return;
    }
    (void)pthread_mutex_lock(&c->lock);
    if (seq == 4) {
        c->through_seq = 4;
        memcpy(c->through_hash, hash, WIRE_HASH_BYTES);
    }
    (void)pthread_mutex_unlock(&c->lock);
    receipt(c, seq, hash, c->sign, a);
}

static void a_through_beyond_what_was_sent_asks_the_head(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4);
    r.city.answer = four_stands_for_all;
    rig_go(&r);
    rig_until_sent(&r, 2);
    rig_until_seen(&r, 4);
    atomic_fetch_add(&r.mono_ms, 20000);
    until_heads(&r, 2);
    rig_stop(&r);
    ASSERT_UNSENT(&r, 2, 3);
    rig_close(&r);
}

/* Whoever signed it. */
static void a_receipt_is_no_head_and_a_head_no_receipt(void **state)
{
    (void)state;
    struct city c;
    struct err e = {0};
    struct buf bytes;
    struct wire_head h = {.gw = GW, .nonce = "0123456789abcdef", .nonce_n = 16}, got;
    struct wire_receipt x = {.gw = GW, .seq = 1};
    struct wire_cose cose;
    memset(&c, 0, sizeof c);
    city_open(&c);
    buf_init(&bytes, 4096);
    ok(wire_receipt_sign(&x, wire_key_signer(c.sign), &bytes, &e), &e);
    assert_int_equal(wire_head_open(&got, &cose, bytes.p, bytes.n, &e), ST_BAD);
    bytes.n = 0;
    ok(wire_head_sign(&h, wire_key_signer(c.sign), &bytes, &e), &e);
    assert_int_equal(wire_receipt_open(&x, &cose, bytes.p, bytes.n, &e), ST_BAD);
    buf_done(&bytes);
    http_server_close(c.server);
    wire_key_free(c.sign);
    wire_key_free(c.other);
    temp_done(c.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_is_asked_for_about_every_hour),
        cmocka_unit_test(what_a_restored_city_lost_is_sent_again_at_its_pace),
        cmocka_unit_test(batches_that_left_the_store_are_named),
        cmocka_unit_test(a_conflict_ends_the_chain_and_loses_nothing),
        cmocka_unit_test(a_through_beyond_what_was_sent_asks_the_head),
        cmocka_unit_test(a_receipt_is_no_head_and_a_head_no_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
