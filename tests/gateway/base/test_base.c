#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/buf.h"
#include "gateway/base/clk.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/thr.h"

static void errors_wrap_and_are_cut(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set(NULL, ST_IO, "x"), ST_IO);
    assert_int_equal(err_set(&e, ST_IO, "disk %d", 7), ST_IO);
    assert_int_equal(err_wrap(&e, ST_BAD, "store"), ST_IO);
    assert_string_equal(e.text, "store: disk 7");
    for (int i = 0; i < 100; i++) {
        (void)err_wrap(&e, ST_IO, "prefix");
    }
    assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
    assert_string_equal(err_name(ST_STOPPED), "stopped");
    assert_string_equal(err_name((enum st)99), "unknown");
}

static void buffer_never_grows_beyond_its_ceiling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 600);
    char big[500];
    memset(big, 'x', sizeof(big));
    assert_int_equal(buf_put(&b, big, 500), ST_OK);
    assert_int_equal(buf_put(&b, big, 101), ST_FULL);
    assert_int_equal(b.n, 500);
    assert_int_equal(buf_printf(&b, "%.*s", 100, big), ST_OK);
    assert_int_equal(b.n, 600);
    assert_int_equal(buf_printf(&b, "y"), ST_FULL);
    assert_true(b.cap <= 600);
    buf_done(&b);
    buf_init(&b, 1000);
    assert_int_equal(buf_printf(&b, "%.*s", 300, "a"), ST_OK);
    assert_int_equal(buf_printf(&b, "%0300d", 5), ST_OK);
    assert_int_equal(b.n, 301);
    assert_int_equal(b.p[300], '5');
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ST_FULL);
    buf_done(&b);
    buf_done(&(struct buf){0});
}

static void times_print_and_read_back(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } v[] = {{0, "1970-01-01T00:00:00.000Z"},
             {INT64_C(1795316710250), "2026-11-22T03:05:10.250Z"},
             {-1, "1969-12-31T23:59:59.999Z"},
             {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
             {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
             {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"}};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        char buf[CLK_TEXT_BYTES];
        int64_t back = 1;
        assert_string_equal(clk_text(v[i].ms, buf), v[i].text);
        assert_true(clk_parse(v[i].text, &back));
        assert_true(back == v[i].ms);
    }
    char buf[CLK_TEXT_BYTES];
    assert_string_equal(clk_text(INT64_MIN, buf), "-9223372036854775808 ms");
    int64_t ms;
    assert_true(clk_parse("2026-11-22", &ms) && ms == INT64_C(1795305600000));
    assert_true(clk_parse("1795305600000", &ms) && ms == INT64_C(1795305600000));
    static const char *const bad[] = {"",
                                      "-",
                                      "2026-13-01",
                                      "2026-02-29",
                                      "2026-11-22T24:00:00Z",
                                      "2026-11-22T03:05:10",
                                      "2026-11-22T03:05:10.2Z",
                                      "2026-11-22T03:05:10Z ",
                                      "2026-11-22 03:05:10Z",
                                      "12a",
                                      "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (clk_parse(bad[i], &ms)) {
            fail_msg("accepted \"%s\"", bad[i]);
        }
    }
}

static void real_clock_moves(void **state)
{
    (void)state;
    const struct clk *c = clk_real();
    struct mono a = clk_mono(c);
    struct clk_time t = clk_now(c);
    assert_true(clk_mono(c).ms >= a.ms);
    if (t.grade != CLK_UNKNOWN) {
        assert_in_range(t.utc_ms / 1000, (uintmax_t)time(NULL) - 5, (uintmax_t)time(NULL) + 5);
    }
}

struct waiter {
    struct thr_stop stop;
    bool stopped, blocked;
};

static void wait_main(void *arg)
{
    struct waiter *w = arg;
    sigset_t set;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &set);
    w->blocked = sigismember(&set, SIGTERM) == 1;
    w->stopped = thr_stop_wait(&w->stop, -1);
}

static void stop_wakes_a_thread_that_sleeps_for_ever(void **state)
{
    (void)state;
    struct waiter w = {0};
    struct thr t = {0};
    assert_int_equal(thr_stop_open(&w.stop, NULL), ST_OK);
    assert_false(thr_stop_wait(&w.stop, 0));
    assert_false(thr_stop_wait(&w.stop, 5));
    assert_int_equal(thr_start(&t, "waiter", wait_main, &w, NULL), ST_OK);
    thr_stop_now(&w.stop);
    thr_join(&t);
    thr_join(&t); /* takes one that is not running */
    assert_true(w.stopped);
    assert_true(w.blocked);
    thr_stop_close(&w.stop);
}

static void condition_wait_times_out(void **state)
{
    (void)state;
    pthread_cond_t c;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    assert_int_equal(thr_cond_init(&c), 0);
    assert_int_equal(pthread_mutex_lock(&m), 0);
    assert_false(thr_cond_wait(&c, &m, 1));
    assert_int_equal(pthread_mutex_unlock(&m), 0);
    assert_int_equal(pthread_cond_destroy(&c), 0);
}

/* Runs with stderr in a pipe and returns what was printed. */
static void captured(void (*fn)(void), char *out, size_t n)
{
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(p[1], STDERR_FILENO) >= 0);
    fn();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(p[1]);
    ssize_t got = read(p[0], out, n - 1);
    (void)close(p[0]);
    out[got < 0 ? 0 : got] = '\0';
}

static void say(void)
{
    log_info("one\nfieldpost: error: %s", "forged");
    log_line(LOG_LEVEL_DEBUG, "not shown");
}

static void say_long(void)
{
    char big[3000];
    memset(big, 'x', sizeof(big));
    log_warn("%.*s", (int)sizeof(big), big);
}

static void say_often(void)
{
    static struct log_limit limit;
    for (int i = 0; i < 50; i++) {
        log_limited(&limit, 2, LOG_LEVEL_WARN, "again %d", i);
    }
    limit.window = 0; /* as if a minute had passed */
    log_limited(&limit, 2, LOG_LEVEL_WARN, "later");
}

static void a_log_event_is_one_bounded_line(void **state)
{
    (void)state;
    char out[4096];
    (void)unsetenv("JOURNAL_STREAM");
    log_open("fieldpost", LOG_LEVEL_INFO);
    captured(say, out, sizeof(out));
    assert_string_equal(out, "fieldpost: info: one fieldpost: error: forged\n");
    captured(say_long, out, sizeof(out));
    assert_true(strlen(out) < 1100);
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    (void)setenv("JOURNAL_STREAM", "1:1", 1);
    log_open("fieldpost", LOG_LEVEL_INFO);
    captured(say, out, sizeof(out));
    assert_string_equal(out, "<6>one fieldpost: error: forged\n");
    (void)unsetenv("JOURNAL_STREAM");
    log_open("fieldpost", LOG_LEVEL_INFO);
}

static void limited_lines_say_how_many_are_missing(void **state)
{
    (void)state;
    char out[4096];
    captured(say_often, out, sizeof(out));
    const char *later = strstr(out, "later (");
    assert_non_null(later);
    /* 48 of 50, or fewer when a minute ended in between */
    assert_true(strtol(later + 7, NULL, 10) >= 40);
    int lines = 0;
    for (const char *p = out; (p = strchr(p, '\n')); p++) {
        lines++;
    }
    assert_in_range(lines, 3, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_wrap_and_are_cut),
        cmocka_unit_test(buffer_never_grows_beyond_its_ceiling),
        cmocka_unit_test(times_print_and_read_back),
        cmocka_unit_test(real_clock_moves),
        cmocka_unit_test(stop_wakes_a_thread_that_sleeps_for_ever),
        cmocka_unit_test(condition_wait_times_out),
        cmocka_unit_test(a_log_event_is_one_bounded_line),
        cmocka_unit_test(limited_lines_say_how_many_are_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
