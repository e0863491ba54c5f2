/* Every change of who may do what reaches the chain, as a request of its own, however it ends: the
 * change and its entry are both there, or neither is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/web/web_int.h"
#include "tests/support/temp.h"

static const struct clk_time now = {1795322171000, CLK_HOLDOVER, 0};
static char dir[64], store[96];

static int start(void **state)
{
    (void)state;
    if (!mkdtemp(temp_name(dir, sizeof dir)))
        return -1;
    snprintf(store, sizeof store, "%s/store.db", dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    temp_done(strdup(dir));
    return 0;
}

static const char *path(const char *suffix)
{
    static char text[128];
    snprintf(text, sizeof text, "%s%s", store, suffix);
    return text;
}

static const struct web_secret secret = {.rounds = 1};

static enum st put(const char *name, enum web_role role, enum web_user_how how)
{
    const struct web_user_put p = {
        .name = name, .role = &role, .secret = &secret, .how = how, .from = "192.168.1.9"};
    return web_user_put(store, &p, "lan", now, NULL);
}

static bool text_is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* Takes all requests away, as the seal does; what was asked in the order of asking. */
struct asked {
    char what[32], about[80], is[200], author[80];
    int64_t at_ms;
};
static size_t taken(struct asked *out, size_t max)
{
    struct dirent **v = NULL;
    size_t got = 0;
    int n = scandir(path(STORE_REQUESTS), &v, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char name[420];
        uint8_t bytes[1024];
        struct wire_request q;
        snprintf(name, sizeof name, "%s" STORE_REQUESTS "/%s", store, v[i]->d_name);
        int fd = store_request_name(v[i]->d_name, STORE_REQUEST_WAITS) ? open(name, O_RDONLY) : -1;
        if (fd >= 0) {
            ssize_t len = read(fd, bytes, sizeof bytes);
            close(fd);
            assert_true(len > 0 && got < max);
            assert_int_equal(wire_request_open(&q, bytes, (size_t)len, NULL), ST_OK);
            assert_int_equal(q.x.kind, WIRE_ENTRY_CHANGE);
            struct asked *a = &out[got++];
            a->at_ms = q.x.at_ms;
            snprintf(a->what, sizeof a->what, "%.*s", (int)q.x.text.n, (const char *)q.x.text.p);
            snprintf(a->about, sizeof a->about, "%.*s", (int)q.x.about.n,
                     q.x.about.p ? (const char *)q.x.about.p : "");
            snprintf(a->is, sizeof a->is, "%.*s", (int)q.x.reason.n, (const char *)q.x.reason.p);
            assert_true(text_is(q.x.author, "lan"));
            snprintf(a->author, sizeof a->author, "%.*s", (int)q.x.author.n,
                     (const char *)q.x.author.p);
            assert_int_equal(unlink(name), 0);
        }
        free(v[i]);
    }
    free(v);
    return got;
}

static void each_change_is_asked_to_be_sealed_with_its_author_and_no_secret(void **state)
{
    (void)state;
    char token[WEB_TOKEN_TEXT], code[WEB_CLAIM_TEXT];
    struct asked a[8];
    struct web_token t = {.name = "lab", .scopes = 1U << WEB_READ};
    static const struct {
        const char *what, *about, *is;
    } want[] = {{"user.added", "lan", "administrator, new password"},
                {"user.changed", "lan", "administrator, new password"},
                {"token.made", "lab", "scopes read, without end"},
                {"token.removed", "lab", "scopes read, without end"},
                {"claim.made", "", "a code for an administrator of the page"},
                {"user.removed", "lan", "gone; was administrator"}};
    struct {
        size_t n;
        struct asked v[8];
    } all = {0};
    assert_int_equal(put("lan", WEB_ADMINISTRATOR, WEB_USER_ADD), ST_OK);
    all.n += taken(a, 8), all.v[0] = a[0];
    assert_int_equal(put("lan", WEB_ADMINISTRATOR, WEB_USER_CHANGE), ST_OK);
    all.n += taken(a, 8), all.v[1] = a[0];
    assert_int_equal(put("lan", WEB_ADMINISTRATOR, WEB_USER_ADD), ST_CONFLICT);
    assert_int_equal(taken(a, 8), 0); /* nothing was changed */
    assert_int_equal(web_token_add(store, &t, "lan", now, token, NULL), ST_OK);
    all.n += taken(a, 8), all.v[2] = a[0];
    assert_int_equal(web_token_remove(store, "lab", "lan", now, NULL), ST_OK);
    all.n += taken(a, 8), all.v[3] = a[0];
    assert_int_equal(web_claim_make(store, "lan", now, code, NULL), ST_OK);
    all.n += taken(a, 8), all.v[4] = a[0];
    assert_int_equal(web_user_remove(store, "lan", true, "lan", now, NULL), ST_OK);
    all.n += taken(a, 8), all.v[5] = a[0];
    assert_int_equal(all.n, 6); /* one each */
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(all.v[i].what, want[i].what);
        assert_string_equal(all.v[i].about, want[i].about);
        assert_string_equal(all.v[i].is, want[i].is);
        assert_int_equal(all.v[i].at_ms, now.utc_ms);
        assert_null(strstr(all.v[i].is, token + 4));
        assert_null(strstr(all.v[i].is, code));
    }
    assert_int_equal(access(path(".changing"), F_OK), -1);
}

/* The folder of events is full: the change is told when it is not, whatever the file is by then. */
static void what_cannot_be_told_now_is_told_later(void **state)
{
    (void)state;
    struct asked a[8];
    assert_int_equal(put("lan", WEB_ADMINISTRATOR, WEB_USER_ADD), ST_OK);
    (void)taken(a, 8);
    struct store_event v = {.code = "x", .text = "x"};
    while (store_tell(store, &v, NULL) == ST_OK)
        v.t_ms++;
    assert_int_equal(put("mai", WEB_VIEWER, WEB_USER_ADD), ST_OK);
    assert_int_equal(access(path(".changing"), F_OK), 0);
    (void)taken(a, 8); /* it may wait there once before the event could not be left */
    assert_int_equal(put("vy", WEB_VIEWER, WEB_USER_ADD), ST_FULL); /* one after the other */
    struct err e = {.text = ""};
    assert_int_equal(web_user_remove(store, "mai", true, "lan", now, &e), ST_FULL);
    assert_non_null(strstr(e.text, "the user is removed"));
    (void)taken(a, 8);
    temp_done(strdup(path(STORE_TOLD)));
    assert_int_equal(web_change_settle(store, NULL), ST_OK);
    assert_int_equal(taken(a, 8), 1);
    assert_string_equal(a[0].what, "user.added");
    assert_string_equal(a[0].about, "mai");
    assert_int_equal(access(path(".changing"), F_OK), -1);
    assert_int_equal(put("vy", WEB_VIEWER, WEB_USER_ADD), ST_OK);
    assert_int_equal(web_user_remove(store, "vy", true, "lan", now, NULL), ST_OK);
    assert_int_equal(web_user_remove(store, "lan", true, "lan", now, NULL), ST_OK);
    (void)taken(a, 8);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Kills it wherever it is. */
static void a_kill_leaves_the_change_and_its_entry_or_neither(void **state)
{
    (void)state;
    const char *seed_text = getenv("FP_SEED");
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)getpid();
    int64_t longest_us = 2000;
    int killed = 0, applied = 0;
    print_message("FP_SEED=%u\n", seed);
    assert_int_equal(put("boss", WEB_ADMINISTRATOR, WEB_USER_ADD), ST_OK);
    struct asked a[8];
    (void)taken(a, 8);
    bool there = false;
    for (int i = 0; i < 60; i++) {
        struct timespec wait = {0, (long)(1000 * ((int64_t)rand_r(&seed) % longest_us))};
        int64_t begun = now_us();
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(there ? web_user_remove(store, "mai", false, "lan", now, NULL) != ST_OK
                        : put("mai", WEB_VIEWER, WEB_USER_ADD) != ST_OK);
        assert_true(child > 0);
        if (i % 8) /* the others tell how long it takes */
            nanosleep(&wait, NULL), (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (i % 8 == 0 && WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            longest_us = now_us() - begun + 1;
        }
        killed += WIFSIGNALED(status);
        assert_int_equal(web_change_settle(store, NULL), ST_OK);
        bool is = web_user_is(store, "mai");
        size_t n = taken(a, 8);
        assert_int_equal(n, is != there);
        if (n)
            assert_string_equal(a[0].what, is ? "user.added" : "user.removed");
        applied += is != there && WIFSIGNALED(status);
        there = is;
        temp_done(strdup(path(STORE_TOLD)));
    }
    print_message("%d killed, %d of these had changed it\n", killed, applied);
    assert_true(killed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_asked_to_be_sealed_with_its_author_and_no_secret),
        cmocka_unit_test(what_cannot_be_told_now_is_told_later),
        cmocka_unit_test(a_kill_leaves_the_change_and_its_entry_or_neither),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
