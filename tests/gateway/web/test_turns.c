/* Several at the door at once: nobody waits for another's password, nor for another program, and a
 * claim code makes one administrator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include "tests/gateway/web/door_rig.h"

static void changes_wait_for_no_other_program(void **state)
{
    (void)state;
    char cookie[128], csrf[128];
    const char *token = "{\"name\":\"lab\",\"scopes\":\"read\"}", *role = "{\"role\":\"viewer\"}";
    const char *next = "{\"password\":\"" PASSWORD "\",\"new\":\"" PASSWORD "!\"}";
    int fd = open(site.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sign_in("administrator", cookie, csrf);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* `fieldpost user`, say, on a slow card */
    const struct {
        const char *method, *path, *body;
    } all[] = {{"POST", "/api/v1/tokens", token},
               {"DELETE", "/api/v1/tokens/lab", NULL},
               {"PUT", "/api/v1/users/technician", role},
               {"DELETE", "/api/v1/users/technician", NULL},
               {"POST", "/api/v1/password", next}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ask(all[i].method, all[i].path, cookie, csrf, all[i].body);
        sees(503, "busy");
        assert_int_equal(reply.retry_after_s, 1);
    }
    assert_int_equal(ask("GET", "/healthz", NULL, NULL, NULL), 200);
    close(fd);
    assert_int_equal(ask("POST", "/api/v1/tokens", cookie, csrf, token), 201);
    assert_int_equal(ask("DELETE", "/api/v1/tokens/lab", cookie, csrf, NULL), 204);
}

/* ---- the page goes on while a password is hashed ---- */

static atomic_bool over;

static void slow_sign_in(void *arg)
{
    struct http_client *c = arg;
    struct http_reply r = {0};
    buf_init(&r.body, 1 << 20);
    assert_int_equal(ask_by(c, &r, "POST", SESSION, NULL, NULL,
                            "{\"name\":\"slow\",\"password\":\"" PASSWORD "\"}"),
                     401);
    atomic_store(&over, true);
    buf_done(&r.body);
}

/* Who is to sign in as "slow" takes a while. */
static struct http_client *slow_user(void)
{
    struct web_secret s;
    struct http_client *c = NULL;
    const enum web_role role = WEB_VIEWER;
    const struct web_user_put p = {
        .name = "slow", .role = &role, .secret = &s, .how = WEB_USER_SET, .force = true};
    const struct http_client_cfg cfg = {.ca = site.cert,
                                        .connect_ms = 20000,
                                        .total_ms = 120000,
                                        .max_answer = 1 << 20,
                                        .user_agent = "test"};
    SITE_TRY(web_secret_new(&s, e));
    s.rounds = 2000000;
    memset(s.hash, 1, sizeof s.hash);
    SITE_TRY(web_user_put(site.path, &p, "test", site_now(&site), e));
    SITE_TRY(http_client_open(&c, &cfg, e));
    atomic_store(&over, false);
    return c;
}

static void hashing_holds_up_nobody_else(void **state)
{
    (void)state;
    struct http_client *c = slow_user();
    struct thr t;
    SITE_TRY(thr_start(&t, "slow", slow_sign_in, c, e));
    int served = 0;
    struct web_hasher *h = &site.web->door->hasher;
    for (bool runs = false; !atomic_load(&over);) {
        pthread_mutex_lock(&h->lock);
        runs = h->job[0].state == WEB_JOB_RUNS;
        pthread_mutex_unlock(&h->lock);
        assert_int_equal(ask("GET", "/healthz", NULL, NULL, NULL), 200);
        served += runs && !atomic_load(&over);
    }
    thr_join(&t);
    assert_true(served > 3);
    http_client_close(c);
}

static char code[WEB_CLAIM_TEXT];
static atomic_int in;

static void claim(void *name)
{
    char body[256];
    struct http_client *c = NULL;
    struct http_reply r = {0};
    const struct http_client_cfg cfg = {.ca = site.cert,
                                        .connect_ms = 20000,
                                        .total_ms = 120000,
                                        .max_answer = 1 << 20,
                                        .user_agent = "test"};
    buf_init(&r.body, 1 << 20);
    SITE_TRY(http_client_open(&c, &cfg, e));
    snprintf(body, sizeof body, FORM, code, (const char *)name, PASSWORD);
    int status = ask_by(c, &r, "POST", "/api/v1/first", NULL, NULL, body);
    assert_true(status == 200 || status == 401);
    atomic_fetch_add(&in, status == 200);
    http_client_close(c);
    buf_done(&r.body);
}

static int jobs(int state)
{
    struct web_hasher *h = &site.web->door->hasher;
    int n = 0;
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < WEB_JOBS; i++)
        n += (int)h->job[i].state == state;
    pthread_mutex_unlock(&h->lock);
    return n;
}

/* true: both codes were looked at before either password was hashed, for a slow one is before them.
 */
static bool two_claim(void)
{
    static char an[] = "an", binh[] = "binh";
    struct thr t, one, two;
    atomic_store(&in, 0);
    struct http_client *c = slow_user();
    SITE_TRY(web_claim_make(site.path, "test", site_now(&site), code, e));
    SITE_TRY(thr_start(&t, "slow", slow_sign_in, c, e));
    while (jobs(WEB_JOB_RUNS) < 1 && !atomic_load(&over))
        (void)poll(NULL, 0, 5);
    SITE_TRY(thr_start(&one, "one", claim, an, e));
    SITE_TRY(thr_start(&two, "two", claim, binh, e));
    bool raced = false;
    while (!(raced = jobs(WEB_JOB_WAITS) == 2) && !atomic_load(&over))
        (void)poll(NULL, 0, 5);
    thr_join(&t);
    thr_join(&one);
    thr_join(&two);
    http_client_close(c);
    assert_int_equal(atomic_load(&in), 1);
    assert_true(web_user_is(site.path, an) != web_user_is(site.path, binh));
    for (size_t i = 0; i < 2; i++)
        if (web_user_is(site.path, i ? an : binh))
            SITE_TRY(web_user_remove(site.path, i ? an : binh, true, "test", site_now(&site), e));
    return raced;
}

static void of_two_that_claim_at_once_one_is_administrator(void **state)
{
    (void)state;
    bool raced = false;
    for (int i = 0; i < 5 && !raced; i++) /* a busy machine lets the slow one end first */
        raced = two_claim();
    assert_true(raced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(changes_wait_for_no_other_program, fresh),
        cmocka_unit_test_setup(hashing_holds_up_nobody_else, fresh),
        cmocka_unit_test_setup(of_two_that_claim_at_once_one_is_administrator, fresh),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
