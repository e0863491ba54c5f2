/* The city changes its receipt key while an uplink runs: on an injected clock, over real TLS. */
#include "tests/gateway/uplink/notices.h"
#include "tests/gateway/uplink/rig.h"

#define NO_CA                                                                                      \
    (struct wire_span)                                                                             \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static _Atomic int64_t received_ms;
static struct wire_key *_Atomic signer;

/* A receipt of now, by the key that signs now. */
static void by_signer(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                      struct http_answer *a)
{
    struct wire_receipt r = {.gw = GW, .seq = seq, .n = 1, .received_ms = received_ms};
    (void)again;
    memset(r.chain, 7, WIRE_ID_BYTES);
    memcpy(r.sha256, hash, WIRE_HASH_BYTES);
    a->status = 201;
    a->content_type = "application/cose; cose-type=\"cose-sign1\"";
    buf_init(&a->body, 4096);
    (void)pthread_mutex_lock(&c->lock);
    enum st st = wire_receipt_sign(&r, wire_key_signer(signer), &a->body, NULL);
    (void)pthread_mutex_unlock(&c->lock);
    a->status = st == ST_OK ? 201 : 500;
}

static void begin(struct rig *r)
{
    rig_open(r, 3); /* the head has two of them */
    know_two(r);
    r->city.head_key = r->city.sign;
    r->city.through_seq = 0;
    r->city.answer = by_signer;
    signer = r->city.sign;
    received_ms = T0;
}

static void announce(struct rig *r, int64_t at_ms, bool in_head)
{
    struct city *c = &r->city;
    (void)pthread_mutex_lock(&c->lock);
    (void)notice_put(&c->notices, 1, NO_CA, c->sign, c->other, NO_CA, at_ms);
    c->trust = in_head ? 1 : 0;
    (void)pthread_mutex_unlock(&c->lock);
}

static void until_acked(struct rig *r, uint64_t n)
{
    for (int i = 0; status_of(r).acknowledged < n; i++) {
        if (i == STEPS_MAX) {
            fail_msg("%llu of %llu: %s", (unsigned long long)status_of(r).acknowledged,
                     (unsigned long long)n, status_of(r).text);
        }
        rig_step(r);
        atomic_fetch_add(&r->mono_ms, 200); /* runs grow old */
    }
}

static void the_head_tells_of_a_notice_and_the_next_key_is_good_at_once(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    announce(&r, T0 - A_DAY_MS, true);
    rig_go(&r);
    for (int i = 0; status_of(&r).trust_n < 1; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    assert_int_equal(status_of(&r).trust_to_ms, T0 + 89 * A_DAY_MS);
    uint64_t acked = status_of(&r).acknowledged;
    signer = r.city.other;
    seal_one(&r, WIRE_DATA);
    until_acked(&r, acked + 1);
    rig_stop(&r);
    assert_int_equal(r.city.asked, 1);
    rig_close(&r);
}

static void a_receipt_by_an_unknown_key_has_the_notices_asked_for(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    announce(&r, T0 - A_DAY_MS, false);
    signer = r.city.other;
    rig_go(&r);
    until_acked(&r, 1);
    rig_stop(&r);
    assert_int_equal(status_of(&r).trust_n, 1);
    assert_int_equal(r.city.asked, 1);
    rig_close(&r);
}

static void a_head_by_an_unknown_key_has_the_notices_asked_for(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    announce(&r, T0 - A_DAY_MS, true);
    signer = r.city.other;
    r.city.head_key = r.city.other;
    rig_go(&r);
    until_acked(&r, 1);
    rig_stop(&r);
    assert_int_equal(status_of(&r).trust_n, 1);
    assert_string_equal(status_of(&r).text, "");
    rig_close(&r);
}

static void after_91_days_the_old_key_acknowledges_nothing(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    announce(&r, T0 - A_DAY_MS, true);
    rig_go(&r);
    until_acked(&r, 1); /* the old one, in its time */
    uint64_t acked = status_of(&r).acknowledged;
    atomic_store(&r.utc_ms, T0 + 90 * A_DAY_MS);
    received_ms = T0 + 90 * A_DAY_MS;
    seal_one(&r, WIRE_DATA);
    for (int i = 0; !strstr(status_of(&r).text, "not signed by the city"); i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
        atomic_fetch_add(&r.mono_ms, 200);
    }
    assert_int_equal(status_of(&r).acknowledged, acked);
    signer = r.city.other;
    (void)pthread_mutex_lock(&r.city.lock);
    r.city.head_key = r.city.other;
    (void)pthread_mutex_unlock(&r.city.lock);
    until_acked(&r, acked + 1);
    rig_stop(&r);
    rig_close(&r);
}

static void without_a_date_nothing_ends_and_too_late_needs_a_file(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    announce(&r, T0 - 100 * A_DAY_MS, true);
    signer = r.city.other;
    rig_go(&r);
    for (int i = 0; !strstr(status_of(&r).trust_text, "fieldpost trust --file"); i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    assert_int_equal(status_of(&r).trust_n, 0);
    assert_int_equal(status_of(&r).acknowledged, 0);
    atomic_store(&r.grade, CLK_UNKNOWN);
    until_acked(&r, 1);
    assert_int_equal(status_of(&r).trust_n, 1);
    rig_stop(&r);
    rig_close(&r);
}

/* A CA that ended by a clock that was months ahead is the city's still. */
static void a_clock_that_was_ahead_ends_nothing_for_good(void **state)
{
    (void)state;
    struct rig r;
    struct wire_certs ca = {.n = 0};
    struct buf pem;
    char cert[200], key[200];
    begin(&r);
    (void)snprintf(cert, sizeof(cert), "%s/next-ca.pem", r.city.dir);
    (void)snprintf(key, sizeof(key), "%s/next-ca.key", r.city.dir);
    buf_init(&pem, 65536);
    assert_true(cert_make(cert, key));
    assert_int_equal(wire_file_get(cert, &pem, NULL), ST_OK);
    assert_int_equal(wire_certs_pem(&ca, pem.p, pem.n, NULL), ST_OK);
    (void)notice_put(&r.city.notices, 1, NO_CA, r.city.sign, NULL, ca.v[0], T0 - A_DAY_MS);
    r.city.trust = 1;
    rig_go(&r);
    until_acked(&r, 1); /* under the one that the city shows */
    for (int i = 0; status_of(&r).trust_n < 1; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
    }
    atomic_store(&r.utc_ms, T0 + 90 * A_DAY_MS);
    for (int i = 0; status_of(&r).text[0] == '\0'; i++) { /* the open connection may end first */
        assert_true(i < STEPS_MAX);
        seal_one(&r, WIRE_DATA);
        rig_step(&r);
        atomic_fetch_add(&r.mono_ms, 1000);
    }
    for (int i = 0; i < 100; i++) { /* what had been accepted settles */
        rig_step(&r);
    }
    uint64_t acked = status_of(&r).acknowledged;
    seal_one(&r, WIRE_DATA);
    atomic_store(&r.utc_ms, T0 + 60000);
    until_acked(&r, acked + 1);
    rig_stop(&r);
    wire_certs_done(&ca);
    buf_done(&pem);
    rig_close(&r);
}

static void say(const char *text)
{
    assert_true(text[0] != '\0');
}

/* By `fieldpost trust`: a notice too old to be taken from the city. */
static void bring_a_file(struct rig *r)
{
    struct uplinks *cli = NULL;
    struct uplink_trusted n;
    struct err e = {0};
    char path[200];
    struct buf file;
    buf_init(&file, 65536);
    (void)notice_put(&file, 1, NO_CA, r->city.sign, r->city.other, NO_CA, T0 - 200 * A_DAY_MS);
    (void)snprintf(path, sizeof(path), "%s/notices", r->city.dir);
    ok(wire_file_put(path, file.p, file.n, 0644, false, &e), &e);
    buf_done(&file);
    ok(uplinks_open(&cli, &r->cfg, GW, NULL, &e), &e);
    ok(uplinks_trust_take(cli, 0, r->db, path, &r->clk, say, &n, &e), &e);
    assert_int_equal(n.fresh, 1);
    ok(uplinks_trust_take(cli, 0, r->db, path, &r->clk, say, &n, &e), &e);
    assert_true(n.fresh == 0 && n.known == 1);
    uplinks_close(cli);
}

static void a_file_that_is_put_there_counts_while_it_runs(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    signer = r.city.other;
    rig_go(&r);
    rig_until_sent(&r, 1);
    bring_a_file(&r);
    until_acked(&r, 1);
    rig_stop(&r);
    assert_int_equal(status_of(&r).trust_n, 1);
    rig_close(&r);
}

static unsigned asked(struct city *c)
{
    (void)pthread_mutex_lock(&c->lock);
    unsigned n = c->asked;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

static void answers_wait(struct city *c, bool yes)
{
    (void)pthread_mutex_lock(&c->lock);
    c->waits = yes;
    (void)pthread_cond_signal(&c->goes);
    (void)pthread_mutex_unlock(&c->lock);
}

static bool is_change(void *ctx, const struct store_event *v)
{
    *(int *)ctx += strcmp(v->code, "trust.changed") == 0;
    return true;
}

static void a_file_that_is_put_there_while_the_city_is_asked_is_told(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    struct store_reader *reader = NULL;
    int told = 0;
    begin(&r);
    signer = r.city.other;
    answers_wait(&r.city, true);
    rig_go(&r);
    for (int i = 0; asked(&r.city) == 0; i++) {
        assert_true(i < STEPS_MAX);
        rig_step(&r);
        atomic_fetch_add(&r.mono_ms, 200); /* runs grow old */
    }
    bring_a_file(&r);
    answers_wait(&r.city, false);
    until_acked(&r, 1);
    rig_stop(&r);
    assert_int_equal(status_of(&r).trust_n, 1);
    ok(store_reader_open(&reader, r.db, &e), &e);
    ok(store_each_event(reader, 0, 100, is_change, &told, &e), &e);
    store_reader_close(reader);
    assert_int_equal(told, 1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_tells_of_a_notice_and_the_next_key_is_good_at_once),
        cmocka_unit_test(a_receipt_by_an_unknown_key_has_the_notices_asked_for),
        cmocka_unit_test(a_head_by_an_unknown_key_has_the_notices_asked_for),
        cmocka_unit_test(after_91_days_the_old_key_acknowledges_nothing),
        cmocka_unit_test(without_a_date_nothing_ends_and_too_late_needs_a_file),
        cmocka_unit_test(a_clock_that_was_ahead_ends_nothing_for_good),
        cmocka_unit_test(a_file_that_is_put_there_counts_while_it_runs),
        cmocka_unit_test(a_file_that_is_put_there_while_the_city_is_asked_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
