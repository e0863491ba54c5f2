/* When the configuration goes to the city: where one keeps it and has another, behind every batch,
 * again with a pause when it is not taken, and never instead of a batch. */
#include "tests/gateway/uplink/rig.h"

static void keep(struct rig *r, uint8_t what)
{
    struct store_deposit d = {.when_ms = T0};
    uint8_t bytes[4] = {what, 2, 3, 4};
    struct err e = {0};
    memset(d.sha256, what, sizeof(d.sha256));
    buf_init(&d.packed, 64);
    assert_int_equal(buf_put(&d.packed, bytes, sizeof(bytes)), ST_OK);
    ok(store_deposit_keep(r->store, &d, &e), &e);
    buf_done(&d.packed);
}

static unsigned configs(struct rig *r)
{
    (void)pthread_mutex_lock(&r->city.lock);
    unsigned n = r->city.configs;
    (void)pthread_mutex_unlock(&r->city.lock);
    return n;
}

static void until_configs(struct rig *r, unsigned n)
{
    for (int i = 0; configs(r) < n; i++) {
        if (i == STEPS_MAX) {
            fail_msg("the configuration came %u times, not %u", configs(r), n);
        }
        rig_step(r);
    }
}

static void wait_idle(struct rig *r)
{
    for (int i = 0; i < 1500; i++) { /* longer than an idle thread sleeps */
        rig_step(r);
    }
}

static void open_city(struct rig *r, bool keeps)
{
    rig_open(r, 3);
    know_two(r);
    r->city.head_key = r->city.sign;
    r->city.through_seq = 2;
    memcpy(r->city.through_hash, r->city.two, WIRE_HASH_BYTES);
    r->city.keeps = keeps;
}

static void it_goes_once_behind_every_batch(void **state)
{
    (void)state;
    struct rig r;
    open_city(&r, true);
    keep(&r, 9);
    rig_go(&r);
    rig_until_seen(&r, 1);
    until_configs(&r, 1);
    assert_int_equal(r.city.configs_behind, 1); /* 3 alone is new to this city */
    wait_idle(&r);
    assert_int_equal(configs(&r), 1);
    keep(&r, 10); /* a reload */
    until_configs(&r, 2);
    rig_stop(&r);
    assert_unsent(&r, NULL, 0);
    rig_close(&r);
}

static void a_city_that_keeps_none_gets_none(void **state)
{
    (void)state;
    struct rig r;
    open_city(&r, false);
    keep(&r, 9);
    rig_go(&r);
    rig_until_sent(&r, 1);
    wait_idle(&r);
    assert_int_equal(configs(&r), 0);
    rig_stop(&r);
    rig_close(&r);
}

static void one_that_has_it_gets_none(void **state)
{
    (void)state;
    struct rig r;
    open_city(&r, true);
    memset(r.city.config, 9, sizeof(r.city.config));
    keep(&r, 9);
    rig_go(&r);
    rig_until_sent(&r, 1);
    wait_idle(&r);
    assert_int_equal(configs(&r), 0);
    rig_stop(&r);
    rig_close(&r);
}

static void a_refusal_waits_and_keeps_no_batch_back(void **state)
{
    (void)state;
    struct rig r;
    open_city(&r, true);
    r.city.config_answer = 409;
    keep(&r, 9);
    rig_go(&r);
    until_configs(&r, 1);
    unsigned before = configs(&r);
    for (int i = 0; i < 400; i++) { /* 4 s of its clock: the first pause is 5 s or more */
        rig_step(&r);
    }
    assert_int_equal(configs(&r), before);
    uint64_t sent = status_of(&r).sent;
    seal_one(&r, WIRE_DATA);
    rig_until_sent(&r, sent + 1);
    assert_true(status_of(&r).online);
    atomic_fetch_add(&r.mono_ms, 60000);
    until_configs(&r, before + 1);
    (void)pthread_mutex_lock(&r.city.lock);
    r.city.config_answer = 0;
    (void)pthread_mutex_unlock(&r.city.lock);
    atomic_fetch_add(&r.mono_ms, 60000);
    until_configs(&r, before + 2);
    wait_idle(&r);
    assert_int_equal(configs(&r), before + 2);
    rig_stop(&r);
    rig_close(&r);
}

/* From 80 % of a month's budget on, as the backlog does. */
static void it_waits_while_little_of_the_budget_is_left(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    char text[128];
    const struct store_budget used = {.month = store_month_of(T0), .used = 850000};
    open_city(&r, true);
    r.uplinks->v[0].metered = UPLINK_METERED_ALWAYS;
    r.uplinks->v[0].budget.limit = 1000000;
    store_budget_text(&used, text, sizeof(text));
    ok(store_meta_set(r.store, "budget:city", text, strlen(text), &e), &e);
    keep(&r, 9);
    rig_go(&r);
    rig_until_sent(&r, 1);
    wait_idle(&r);
    assert_int_equal(configs(&r), 0);
    rig_stop(&r);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_once_behind_every_batch),
        cmocka_unit_test(a_city_that_keeps_none_gets_none),
        cmocka_unit_test(one_that_has_it_gets_none),
        cmocka_unit_test(a_refusal_waits_and_keeps_no_batch_back),
        cmocka_unit_test(it_waits_while_little_of_the_budget_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
