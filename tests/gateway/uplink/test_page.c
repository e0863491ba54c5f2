/* The page's request for a certificate, beside a store; the city is played where it would be
 * asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/uplink/enrol_int.h"
#include "tests/support/temp.h"

static char store[200], asked[240], given[240];
static struct mono now = {1000000};
static struct uplink u;

/* ---- the city, and the page that asks for something else meanwhile -------------------------- */

static const char *meanwhile; /* what the page puts there while the city is asked; NULL: nothing */
static enum st answer;
static unsigned asks;

static void put(const char *text)
{
    assert_int_equal(wire_file_put(asked, text, strlen(text), 0600, true, NULL), ST_OK);
}

enum st __wrap_uplink_est_cacerts(const struct uplink_est *s, struct wire_certs *out,
                                  struct err *e);
enum st __wrap_uplink_est_cacerts(const struct uplink_est *s, struct wire_certs *out, struct err *e)
{
    (void)s, (void)out, (void)e;
    return ST_OK;
}

enum st __wrap_uplink_est_page(const struct uplink_est *s, const struct buf *csr,
                               struct wire_certs *out, struct err *e);
enum st __wrap_uplink_est_page(const struct uplink_est *s, const struct buf *csr,
                               struct wire_certs *out, struct err *e)
{
    (void)s, (void)csr, (void)out;
    asks++;
    if (meanwhile)
        put(meanwhile);
    return answer == ST_OK ? ST_OK : err_set(e, answer, "not now");
}

const char *__wrap_store_path(const struct store *s);
const char *__wrap_store_path(const struct store *s)
{
    (void)s;
    return store;
}

void __wrap_uplink_event(struct uplink *of, enum store_severity sev, const char *code,
                         const char *text);
void __wrap_uplink_event(struct uplink *of, enum store_severity sev, const char *code,
                         const char *text)
{
    (void)of, (void)sev, (void)code, (void)text;
}

/* ---- */

static struct clk_time utc_now(void *ctx)
{
    (void)ctx;
    return (struct clk_time){INT64_C(1790000000000), CLK_SYNCED, 10};
}

static struct mono mono_now(void *ctx)
{
    (void)ctx;
    return now;
}

static const struct clk clk = {utc_now, mono_now, NULL, NULL};
static struct thr_stop stop;
static struct uplink_job job = {.clk = &clk, .stop = &stop};

static int begin(void **state)
{
    char *dir = temp_make();
    *state = dir;
    (void)snprintf(store, sizeof(store), "%s/fp.db", dir);
    (void)snprintf(asked, sizeof(asked), "%s%s", store, STORE_PAGE_ASKED);
    (void)snprintf(given, sizeof(given), "%s%s", store, STORE_PAGE_GIVEN);
    memset(&u, 0, sizeof(u));
    u.job = &job;
    u.random = 1;
    u.identity.good = true;
    u.identity.cert.to_ms = INT64_MAX;
    answer = ST_OK;
    meanwhile = NULL;
    asks = 0;
    return dir ? 0 : -1;
}

static int end(void **state)
{
    temp_done(*state);
    return 0;
}

static void step(int64_t ms)
{
    now.ms += ms;
    uplink_page_step(&u);
}

static void a_request_that_is_answered_is_taken_away(void **state)
{
    (void)state;
    put("first\nAAAA\n");
    step(2000);
    assert_int_equal(asks, 1);
    assert_int_equal(access(given, F_OK), 0);
    assert_int_equal(access(asked, F_OK), -1);
}

static void a_request_that_comes_while_another_is_answered_is_answered_too(void **state)
{
    (void)state;
    put("first\nAAAA\n");
    meanwhile = "second\nBBBB\n";
    step(2000);
    assert_int_equal(asks, 1);
    assert_int_equal(access(asked, F_OK), 0);
    meanwhile = NULL;
    step(2000);
    assert_int_equal(asks, 2);
    assert_int_equal(access(asked, F_OK), -1);
}

/* Half of the wait is random, so that boxes do not come together; it doubles up to a bound. */
static void what_fails_is_tried_again_ever_later(void **state)
{
    unsigned failures = 0;
    (void)state;
    for (int64_t wait = 1000; wait <= 16000; wait *= 2) {
        int64_t ms = uplink_again_ms(&u, 1000, 8000, &failures), most = wait < 8000 ? wait : 8000;
        assert_true(ms >= most / 2 && ms <= most);
    }
    assert_int_equal(failures, 5);
    put("first\nAAAA\n");
    answer = ST_BUSY;
    step(2000);
    step(2000);
    assert_int_equal(asks, 1); /* it waits for half a minute at least */
    step(60000);
    assert_int_equal(asks, 2);
    put("second\nBBBB\n"); /* another one does not wait for that */
    step(2000);
    assert_int_equal(asks, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_that_is_answered_is_taken_away, begin, end),
        cmocka_unit_test_setup_teardown(
            a_request_that_comes_while_another_is_answered_is_answered_too, begin, end),
        cmocka_unit_test_setup_teardown(what_fails_is_tried_again_ever_later, begin, end),
    };
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
