/* What a real broker sees: an acknowledgement behind the commit only, a verified certificate, no
 * message without bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/mqtt/mqtt.h"
#include "tests/gateway/mqtt/broker.h"
#include "tests/support/cert.h"
#include "tests/support/temp.h"

#define WAIT_MS 10000

struct taker {
    int messages, repeats, commits, fails; /* fails: so many commits fail first */
    size_t last_n;
    char last[64];
    bool die; /* inside of the commit */
    bool refuse;
};

static enum st take(void *ctx, const struct mqtt_message *m, struct err *e)
{
    struct taker *t = ctx;
    if (t->refuse)
        return err_set(e, ST_FULL, "no room");
    t->messages++;
    t->repeats += m->repeat;
    t->last_n = m->n;
    snprintf(t->last, sizeof t->last, "%.*s", (int)m->n, (const char *)m->payload);
    return ST_OK;
}

static enum st commit(void *ctx, struct err *e)
{
    struct taker *t = ctx;
    if (t->die)
        kill(getpid(), SIGKILL);
    if (t->fails > 0) {
        t->fails--;
        return err_set(e, ST_IO, "the disk is full");
    }
    t->commits++;
    return ST_OK;
}

static const char *const topics[] = {"site/+/up"};

static struct mqtt_cfg cfg_of(const struct broker *b)
{
    return (struct mqtt_cfg){.host = "127.0.0.1",
                             .port = b->port,
                             .client = "fieldpost-test",
                             .session_s = 3600,
                             .max_bytes = 4096,
                             .topics = topics,
                             .ntopics = 1};
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Steps until *what >= n (what NULL: until it is online), and at least once. What failed last. */
static enum st steps(struct mqtt *m, const int *what, int n, struct err *e)
{
    enum st st = ST_OK;
    int64_t until = now_ms() + WAIT_MS;
    do {
        st = mqtt_step(m, 50, -1, e);
    } while (now_ms() < until && st == ST_OK && (what ? *what < n : !mqtt_online(m)));
    return st;
}

static void online(struct mqtt *m)
{
    struct err e = {0};
    if (steps(m, NULL, 0, &e) != ST_OK || !mqtt_online(m))
        fail_msg("not online: %s", e.text);
}

/* Nothing more comes: the broker was told that it arrived. */
static void quiet(struct mqtt *m, const struct taker *t)
{
    struct err e = {0};
    int before = t->messages;
    for (int i = 0; i < 6; i++)
        assert_int_equal(mqtt_step(m, 50, -1, &e), ST_OK);
    assert_int_equal(t->messages, before);
}

static struct mqtt *open_one(const struct mqtt_cfg *cfg, struct taker *t)
{
    struct mqtt *m;
    struct err e;
    const struct mqtt_hooks hooks = {take, commit, t};
    assert_int_equal(mqtt_open(&m, cfg, &hooks, &e), ST_OK);
    return m;
}

static void test_a_failed_commit_is_not_acknowledged(void **state)
{
    struct broker b = {0};
    struct taker t = {.fails = 2};
    struct err e = {0};
    (void)state;
    assert_true(broker_start(&b, ""));
    struct mqtt_cfg cfg = cfg_of(&b);
    struct mqtt *m = open_one(&cfg, &t);
    online(m);
    assert_false(mqtt_session_kept(m));
    assert_true(broker_publish(&b, "site/1/up", "21", 2));
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(steps(m, &t.messages, 99, &e), ST_IO);
        assert_string_equal(e.text, "the disk is full");
        assert_int_equal(t.messages, i);
        assert_false(mqtt_online(m));
    }
    assert_int_equal(t.repeats, 1); /* the second was marked: it was taken before */
    assert_int_equal(steps(m, &t.commits, 1, &e), ST_OK);
    assert_int_equal(t.messages, 3);
    assert_int_equal(t.repeats, 2);
    assert_true(mqtt_session_kept(m));
    quiet(m, &t);
    mqtt_close(m);
    m = open_one(&cfg, &t); /* and not on a new connection either */
    online(m);
    quiet(m, &t);
    assert_true(broker_publish(&b, "site/1/up", "21", 2)); /* the same once more is no repeat */
    assert_int_equal(steps(m, &t.messages, 4, &e), ST_OK);
    assert_int_equal(t.repeats, 2);
    mqtt_close(m);
    broker_stop(&b);
}

static void test_a_kill_before_the_commit_redelivers(void **state)
{
    struct broker b = {0};
    struct err e = {0};
    (void)state;
    assert_true(broker_start(&b, ""));
    struct mqtt_cfg cfg = cfg_of(&b);
    struct taker first = {0}, t = {0};
    struct mqtt *m = open_one(&cfg, &first); /* makes the session */
    online(m);
    mqtt_close(m);
    assert_true(broker_publish(&b, "site/1/up", "killed", 6));
    assert_true(broker_publish(&b, "site/2/up", "after", 5));
    pid_t pid = fork();
    if (pid == 0) {
        struct taker child = {.die = true};
        struct mqtt *k;
        const struct mqtt_hooks hooks = {take, commit, &child};
        if (mqtt_open(&k, &cfg, &hooks, NULL) == ST_OK)
            (void)steps(k, &child.commits, 1, NULL);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    m = open_one(&cfg, &t);
    assert_int_equal(steps(m, &t.messages, 2, &e), ST_OK);
    assert_int_equal(t.messages, 2);
    assert_string_equal(t.last, "after");
    quiet(m, &t);
    mqtt_close(m);
    broker_stop(&b);
}

static void test_what_is_not_taken_comes_again(void **state)
{
    struct broker b = {0};
    struct taker t = {.refuse = true};
    struct err e = {0};
    (void)state;
    assert_true(broker_start(&b, ""));
    struct mqtt_cfg cfg = cfg_of(&b);
    struct mqtt *m = open_one(&cfg, &t);
    online(m);
    assert_true(broker_publish(&b, "site/1/up", "x", 1));
    assert_int_equal(steps(m, &t.messages, 99, &e), ST_FULL);
    t.refuse = false;
    assert_int_equal(steps(m, &t.commits, 1, &e), ST_OK);
    assert_int_equal(t.messages, 1);
    assert_int_equal(t.repeats, 0); /* it was never taken */
    mqtt_close(m);
    broker_stop(&b);
}

static void test_a_message_that_is_too_large_is_left_out(void **state)
{
    struct broker b = {0};
    struct taker t = {0};
    struct err e = {0};
    static char large[5000];
    (void)state;
    assert_true(broker_start(&b, ""));
    struct mqtt_cfg cfg = cfg_of(&b);
    struct mqtt *m = open_one(&cfg, &t);
    online(m);
    memset(large, 'x', sizeof large);
    assert_true(broker_publish(&b, "site/1/up", large, sizeof large));
    assert_true(broker_publish(&b, "site/1/up", large, 4000));
    assert_int_equal(steps(m, &t.messages, 1, &e), ST_OK);
    assert_int_equal(t.last_n, 4000);
    assert_int_equal(t.messages, 1);
    quiet(m, &t);
    mqtt_close(m);
    broker_stop(&b);
}

static void test_a_burst_is_one_commit(void **state)
{
    struct broker b = {0};
    struct taker t = {0};
    struct err e = {0};
    (void)state;
    assert_true(broker_start(&b, "max_inflight_messages 0\n"));
    struct mqtt_cfg cfg = cfg_of(&b);
    struct mqtt *m = open_one(&cfg, &t);
    online(m);
    for (int i = 0; i < 20; i++)
        assert_true(broker_publish(&b, "site/1/up", "x", 1));
    assert_int_equal(steps(m, &t.messages, 20, &e), ST_OK);
    assert_int_equal(t.messages, 20);
    assert_true(t.commits <= 5);
    mqtt_close(m);
    broker_stop(&b);
}

static void test_the_certificate_is_verified(void **state)
{
    struct broker b = {.dir = temp_make(), .address = "0.0.0.0"};
    struct taker t = {0};
    struct err e = {0};
    char cert[512], key[512], other[512], other_key[512], more[2048];
    (void)state;
    assert_non_null(b.dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", b.dir);
    snprintf(key, sizeof key, "%s/key.pem", b.dir);
    snprintf(other, sizeof other, "%s/other.pem", b.dir);
    snprintf(other_key, sizeof other_key, "%s/other.key", b.dir);
    assert_true(cert_make(cert, key) && cert_make(other, other_key));
    snprintf(more, sizeof more, "certfile %s\nkeyfile %s\n", cert, key);
    assert_true(broker_start(&b, more));
    struct mqtt_cfg cfg = cfg_of(&b);
    cfg.ca = other;
    struct mqtt *m = open_one(&cfg, &t);
    assert_int_equal(steps(m, NULL, 0, &e), ST_IO);
    assert_non_null(strstr(e.text, "certificate"));
    mqtt_close(m);
    cfg.ca = cert;
    cfg.host = "127.0.0.2"; /* the same broker, but this name is not in its certificate */
    m = open_one(&cfg, &t);
    assert_int_equal(steps(m, NULL, 0, &e), ST_IO);
    assert_non_null(strstr(e.text, "certificate"));
    mqtt_close(m);
    cfg.host = "localhost";
    m = open_one(&cfg, &t);
    online(m);
    mqtt_close(m);
    cfg.ca = NULL; /* no TLS to a broker that wants it */
    m = open_one(&cfg, &t);
    assert_int_not_equal(steps(m, NULL, 0, &e), ST_OK);
    mqtt_close(m);
    broker_stop(&b);
}

static void test_a_wrong_password_is_refused_and_never_told(void **state)
{
    struct broker b = {.dir = temp_make()};
    struct taker t = {0};
    struct err e = {0};
    char more[1024], run[1200];
    (void)state;
    snprintf(run, sizeof run, "%s/passwd", b.dir);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("mosquitto_passwd", "mosquitto_passwd", "-b", "-c", run, "box", "geheim",
               (char *)NULL);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    snprintf(more, sizeof more, "password_file %s/passwd\n", b.dir);
    assert_true(broker_start(&b, more));
    struct mqtt_cfg cfg = cfg_of(&b);
    cfg.user = "box";
    cfg.password = "falsch";
    struct mqtt *m = open_one(&cfg, &t);
    assert_int_equal(steps(m, NULL, 0, &e), ST_REFUSED);
    assert_null(strstr(e.text, "falsch"));
    assert_non_null(strstr(e.text, "password_file"));
    mqtt_close(m);
    cfg.password = "geheim";
    m = open_one(&cfg, &t);
    online(m);
    mqtt_close(m);
    broker_stop(&b);
}

static void test_a_broker_that_is_not_there_says_so_and_comes_back(void **state)
{
    struct broker b = {0};
    struct taker t = {0};
    struct err e = {0};
    (void)state;
    assert_true(broker_start(&b, ""));
    struct mqtt_cfg cfg = cfg_of(&b);
    struct mqtt *m = open_one(&cfg, &t);
    online(m);
    broker_stop(&b);
    assert_int_equal(steps(m, &t.messages, 1, &e), ST_IO);
    assert_int_not_equal(steps(m, &t.messages, 1, &e), ST_OK);
    assert_non_null(strstr(e.text, "broker 127.0.0.1 port"));
    assert_true(broker_start(&b, ""));
    cfg.port = b.port;
    online(m);
    assert_false(mqtt_session_kept(m));
    mqtt_close(m);
    broker_stop(&b);
}

static void test_a_peer_that_is_silent_holds_nobody_up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    struct taker t = {0};
    struct err e = {0};
    char *dir = temp_make(), cert[512], key[512];
    (void)state;
    assert_non_null(dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    assert_true(cert_make(cert, key));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 8), 0); /* connects, and nobody speaks */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    struct mqtt_cfg cfg = cfg_of(&(struct broker){.port = ntohs(a.sin_port)});
    for (int tls = 0; tls < 2; tls++) {
        cfg.ca = tls ? cert : NULL;
        struct mqtt *m = open_one(&cfg, &t);
        int64_t begun = now_ms();
        for (int i = 0; i < 5; i++)
            assert_int_equal(mqtt_step(m, 50, -1, &e), ST_OK);
        assert_true(now_ms() - begun < 3000);
        assert_false(mqtt_online(m));
        mqtt_close(m);
    }
    close(fd);
    temp_done(dir);
}

static void test_topics_match_as_mqtt_says(void **state)
{
    static const struct {
        const char *filter, *topic;
        bool matches;
    } c[] = {{"a/b", "a/b", true},     {"a/b", "a/c", false},      {"a/+", "a/b", true},
             {"a/+", "a/b/c", false},  {"a/#", "a/b/c", true},     {"a/#", "a", true},
             {"a/#", "ab", false},     {"#", "a/b", true},         {"#", "$SYS/x", false},
             {"+/b", "$SYS/b", false}, {"$SYS/#", "$SYS/x", true}, {"+/+", "/b", true},
             {"+", "/b", false},       {"a/+/c", "a//c", true},    {"a/b", "a/b/", false},
             {"a/b/c", "a/b", false},  {"a/+", "a", false},        {"a/+", "a/", true}};
    static const char *const bad[] = {"", "a#", "a/#/b", "+a", "a/b+", "#/a", "a\n"};
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        if (mqtt_topic_matches(c[i].filter, c[i].topic) != c[i].matches)
            fail_msg("%s and %s", c[i].filter, c[i].topic);
        assert_true(mqtt_filter_valid(c[i].filter));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(mqtt_filter_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failed_commit_is_not_acknowledged),
        cmocka_unit_test(test_a_kill_before_the_commit_redelivers),
        cmocka_unit_test(test_what_is_not_taken_comes_again),
        cmocka_unit_test(test_a_message_that_is_too_large_is_left_out),
        cmocka_unit_test(test_a_burst_is_one_commit),
        cmocka_unit_test(test_the_certificate_is_verified),
        cmocka_unit_test(test_a_wrong_password_is_refused_and_never_told),
        cmocka_unit_test(test_a_broker_that_is_not_there_says_so_and_comes_back),
        cmocka_unit_test(test_a_peer_that_is_silent_holds_nobody_up),
        cmocka_unit_test(test_topics_match_as_mqtt_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
