/* What a measured rate says, what may be configured, and the thread against a server of this
 * process, with a clock that the test steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/connectivity/throughput_int.h"
#include "tests/support/temp.h"

#define WAIT_MS 60000
#define HOUR_MS INT64_C(3600000)

static void full_links_say_so_and_a_busy_processor_never_speaks_of_the_line(void **state)
{
    /* 1 GbE carries 941.48 Mbit/s of payload; full is from 894.408 on */
    static const struct {
        int64_t kbit, link, limit;
        enum connectivity_speed says;
    } cases[] = {{941000, 1000, 300, CONNECTIVITY_SPEED_LINK},
                 {894410, 1000, 300, CONNECTIVITY_SPEED_LINK},
                 {894400, 1000, 300, CONNECTIVITY_SPEED_MEASURED},
                 {941000, 2500, 300, CONNECTIVITY_SPEED_MEASURED},
                 {941000, 1000, 1000, CONNECTIVITY_SPEED_LINK},
                 {500000, 1000, 900, CONNECTIVITY_SPEED_CPU},
                 {500000, 1000, 899, CONNECTIVITY_SPEED_MEASURED},
                 {500000, 0, 950, CONNECTIVITY_SPEED_CPU},
                 {500000, 0, 0, CONNECTIVITY_SPEED_MEASURED},
                 {50000, 10, 0, CONNECTIVITY_SPEED_MEASURED}}; /* a tunnel's rate is made up */
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(connectivity_speed_judge(cases[i].kbit, cases[i].link, cases[i].limit),
                         cases[i].says);
}

static void every_fault_has_a_code_of_its_own_and_words(void **state)
{
    enum connectivity_speed seen[HTTP_TRANSFER_BROKEN + 1];
    (void)state;
    for (int f = HTTP_TRANSFER_CONNECT; f <= HTTP_TRANSFER_BROKEN; f++) {
        if (f == HTTP_TRANSFER_STOPPED)
            continue; /* it is no result */
        seen[f] = connectivity_speed_of((enum http_transfer_fault)f);
        const struct connectivity_speed_kind *k = connectivity_speed_kind(seen[f]);
        assert_int_equal(k->code, seen[f]);
        assert_true(k->word[0] && k->text[0]);
        assert_true(strlen(k->text) < 100); /* room for what libcurl says behind it */
        for (int g = HTTP_TRANSFER_CONNECT; g < f; g++)
            assert_true(g == HTTP_TRANSFER_STOPPED || seen[g] != seen[f]);
    }
    assert_string_equal(connectivity_speed_kind(CONNECTIVITY_SPEED_LINK)->word, "link capability");
    assert_string_equal(connectivity_speed_kind(CONNECTIVITY_SPEED_MEASURED)->word,
                        "measured rate");
}

static void load_is_read_as_the_kernel_writes_it(void **state)
{
    static const char first[] = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\n"
                                "cpu1 50 0 50 400 0 0 0 0 0 0\nintr 1 2 3\n";
    static const char then[] = "cpu  150 0 150 1550 50 0 100 0 0 0\ncpu0 100 0 100 700 0 0 100 0\n"
                               "cpu1 50 0 50 850 50 0 0 0 0 0\nintr 1 2 3\n";
    static const char *const bad[] = {"",
                                      "cpu",
                                      "cpu  1 2 3",
                                      "cpu  1 2 3 x 5 6 7 8",
                                      "cpu  1 2 3 4 5 6 7 -8",
                                      "intr 1",
                                      "cpu  1 2 3 99999999999999999999 5 6 7 8"};
    struct connectivity_load a = {.at_us = 0}, b = {.at_us = 1000000, .thread_us = 120000};
    (void)state;
    assert_true(connectivity_load_parse(&a, first) && connectivity_load_parse(&b, then));
    assert_int_equal(a.ncpus, 2);
    assert_int_equal(connectivity_load_permille(&a, &b), 200);       /* 200 of 1000 ticks */
    assert_int_equal(connectivity_load_limit_permille(&a, &b), 200); /* 100 of 500, cpu0's */
    b.thread_us = 950000;
    assert_int_equal(connectivity_load_limit_permille(&a, &b), 950);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(connectivity_load_parse(&a, bad[i]));
    connectivity_load_now(&a); /* of this machine */
    assert_true(a.at_us > 0);
}

/* ---- configuration -------------------------------------------------------------------------- */

static void config_is(const char *keys, const char *complaint)
{
    struct connectivity_cfg cfg = {.ping = {NULL, 0}};
    const struct cfg_section sections[] = {
        {"connectivity", &connectivity_cfg_table, &cfg, false, false}, {.key = NULL}};
    char path[128];
    const char *text = "";
    struct connectivity *k = NULL;
    struct cfg *c = NULL;
    int fd = mkstemp(temp_name(path, sizeof path));
    assert_true(fd >= 0);
    assert_true(dprintf(fd,
                        "connectivity:\n  ping: {taken: {host: 127.0.0.1}}\n  throughput:\n"
                        "    %s\n",
                        keys) > 0);
    close(fd);
    enum st st = cfg_load(&c, path, sections, NULL, NULL);
    if (st == ST_OK)
        st = connectivity_open(&k, &cfg, c, NULL);
    (void)cfg_complaints(c, &text);
    if (complaint ? !strstr(text, complaint) : st != ST_OK)
        fail_msg("%s: %s", keys, text);
    connectivity_close(k);
    cfg_free(c);
    unlink(path);
}

static void configurations_that_cannot_be_meant_are_refused(void **state)
{
    (void)state;
    config_is("line: {down: 'http://a/f', up: 'https://a/u', ca: /x.pem}", NULL);
    config_is("own: {}", NULL);
    config_is("line: {down: 'ftp://a/f'}", "begins with http:// or https://");
    config_is("line: {down: 'https://a/f'}", "needs ca");
    config_is("line: {up: 'http://me:secret@a/f'}", "no name or password");
    config_is("line: {down: 'http://a/f', interface: ../eth0}", "write a name such as eth0");
    config_is("line: {down: 'http://a/f', size: 100MB, budget: 50MB}",
              "more than a month's budget");
    config_is("line: {down: 'http://a/f', every: 1min, duration: 60s}", "longer than every");
    config_is("line: {down: 'http://a/f', connections: 9}", "connections");
    config_is("taken: {down: 'http://a/f'}", "is used for a ping, too");
    config_is("modem: {down: 'http://a/f'}", "is the gateway's own");
}

/* ---- the thread ----------------------------------------------------------------------------- */

static atomic_int_fast64_t step_ms; /* of the clock */
static atomic_uint asked;           /* of the server */
static atomic_bool busy;            /* the line */

static struct clk_time stepped_now(void *ctx)
{
    (void)ctx;
    struct clk_time t = clk_now(clk_real());
    return (struct clk_time){t.utc_ms + atomic_load(&step_ms), CLK_SYNCED, 0};
}
static struct mono stepped_mono(void *ctx)
{
    (void)ctx;
    return clk_mono(clk_real());
}
static const struct clk clk = {.now = stepped_now, .mono = stepped_mono};

static bool is_busy(void *ctx)
{
    (void)ctx;
    return atomic_load(&busy);
}

static int64_t fill(void *ctx, char *to, size_t max)
{
    (void)ctx;
    memset(to, 'x', max);
    return (int64_t)max;
}
static void closed(void *ctx)
{
    free(ctx);
}
static void on_file(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx, (void)q;
    struct http_stream *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *s = (struct http_stream){.fill = fill, .closed = closed, .ctx = s};
    atomic_fetch_add(&asked, 1);
    a->status = 200;
    a->content_type = "application/octet-stream";
    a->stream = s;
}
static const struct http_route routes[] = {{"GET", "/file", 0, on_file}};

struct site {
    char dir[64], path[96], url[64];
    struct http_server *server;
    struct connectivity_throughput_cfg cfg;
    struct connectivity *k;
    struct store *store;
    struct thr_stop stop, tick;
    struct thr thr, writer;
    struct thr_stop writer_stop;
    struct connectivity_job job;
};

static void writer_main(void *arg)
{
    struct site *s = arg;
    struct err e;
    while (!thr_stop_wait(&s->writer_stop, 20))
        if (store_step(s->store, false, &e) != ST_OK)
            break;
}

static void pause_ms(struct site *s, int64_t ms)
{
    (void)thr_stop_wait(&s->tick, ms);
}

static void site_run(struct site *s)
{
    struct err e = {.text = ""};
    const struct connectivity_cfg cfg = {.throughput = {&s->cfg, 1}};
    const struct store_cfg sc = {
        .path = s->path, .max_size_bytes = 1 << 30, .keep_ms = 86400000, .journal_every_ms = 500};
    struct cfg *none = NULL;
    const struct cfg_section sections[] = {{.key = NULL}};
    assert_int_not_equal(cfg_load(&none, "/nonexistent", sections, NULL, NULL), ST_OK);
    assert_int_equal(connectivity_open(&s->k, &cfg, none, &e), ST_OK);
    cfg_free(none);
    if (store_open(&s->store, &sc, "gw", &clk, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(connectivity_declare(s->k, s->store, &e), ST_OK);
    assert_int_equal(store_start(s->store, &e), ST_OK);
    assert_int_equal(thr_stop_open(&s->stop, &e), ST_OK);
    assert_int_equal(thr_stop_open(&s->writer_stop, &e), ST_OK);
    assert_int_equal(thr_start(&s->writer, "writer", writer_main, s, &e), ST_OK);
    s->job = (struct connectivity_job){.connectivity = s->k,
                                       .store = s->store,
                                       .clk = &clk,
                                       .stop = &s->stop,
                                       .line_used = is_busy};
    assert_int_equal(thr_start(&s->thr, "throughput", connectivity_throughput_main, &s->job, &e),
                     ST_OK);
    pause_ms(s, 1500); /* it has seen what time it is: ticks are those to come */
}

static void site_stop(struct site *s)
{
    thr_stop_now(&s->stop);
    thr_join(&s->thr);
    thr_stop_now(&s->writer_stop);
    thr_join(&s->writer);
    thr_stop_close(&s->writer_stop);
    store_stop(s->store);
    store_close(s->store);
    connectivity_close(s->k);
    thr_stop_close(&s->stop);
}

static int64_t to_tick(int64_t now_ms)
{
    return HOUR_MS - (now_ms - connectivity_phase("gw", "line", HOUR_MS)) % HOUR_MS;
}

static void site_open(struct site *s)
{
    struct err e = {.text = ""};
    static char id[] = "line";
    memset(s, 0, sizeof *s);
    temp_name(s->dir, sizeof s->dir);
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/store.db", s->dir);
    const struct http_server_cfg server = {
        .listen = "127.0.0.1:0", .threads = 1, .max_connections = 8, .timeout_s = 30};
    assert_int_equal(http_server_open(&s->server, &server, routes, 1, NULL, &e), ST_OK);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u/file", http_server_port(s->server));
    s->cfg = (struct connectivity_throughput_cfg){.id = id,
                                                  .down = s->url,
                                                  .every_ms = HOUR_MS,
                                                  .own_every_ms = HOUR_MS,
                                                  .duration_ms = HTTP_TRANSFER_LEAST_MS,
                                                  .connections = 2,
                                                  .size_bytes = INT64_C(1) << 40,
                                                  .budget_bytes = INT64_C(1) << 41};
    assert_int_equal(thr_stop_open(&s->tick, &e), ST_OK);
    atomic_store(&asked, 0);
    atomic_store(&busy, false);
    /* ten minutes before a tick: no hour of the machine falls into the test */
    atomic_store(&step_ms, to_tick(clk_now(clk_real()).utc_ms) - 600000);
    site_run(s);
}

static void site_close(struct site *s)
{
    site_stop(s);
    http_server_close(s->server);
    thr_stop_close(&s->tick);
    static const char *const suffix[] = {"", "-wal", "-shm", ".journal", ".reserve"};
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", s->path, suffix[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(s->dir), 0);
}

/* The series in their order: download, result, load, link, own_upload. */
static void polls_wait(struct site *s, uint64_t polls, struct store_now now[5])
{
    struct store_health h;
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    do {
        store_health_get(s->store, 0, &h);
        if (h.polls >= polls) {
            store_board(s->store, 0, s->cfg.down ? 5 : 1, now);
            return;
        }
        pause_ms(s, 20);
    } while (clk_mono(clk_real()).ms < until);
    fail_msg("no poll %llu: %s", (unsigned long long)polls, h.text);
}

static void asked_wait(struct site *s, unsigned n)
{
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    while (atomic_load(&asked) < n && clk_mono(clk_real()).ms < until) {
        pause_ms(s, 10);
    }
    assert_true(atomic_load(&asked) >= n);
}

static void to_the_tick(void)
{
    atomic_fetch_add(&step_ms, to_tick(stepped_now(NULL).utc_ms));
}

static void ticks_measure_and_steps_of_the_clock_neither_burst_nor_stall(void **state)
{
    struct site s;
    struct store_now now[5];
    (void)state;
    site_open(&s);
    assert_int_equal(atomic_load(&asked), 0); /* its time has not come */
    to_the_tick();
    polls_wait(&s, 1, now);
    assert_int_equal(atomic_load(&asked), 2); /* two connections, once */
    assert_false(now[0].missing);
    assert_true(num_double(now[0].v) > 1);
    double says = num_double(now[1].v);
    assert_true(says == CONNECTIVITY_SPEED_MEASURED || says == CONNECTIVITY_SPEED_CPU);
    assert_false(now[2].missing);
    assert_true(now[3].missing); /* loopback has no rate */

    atomic_store(&busy, true); /* a batch goes out at the tick: it waits for its end */
    to_the_tick();
    pause_ms(&s, 1500);
    atomic_store(&busy, false);
    polls_wait(&s, 2, now);
    assert_false(now[0].missing);
    assert_int_equal(atomic_load(&asked), 4);

    atomic_fetch_add(&step_ms, 30 * HOUR_MS); /* 30 ticks are jumped over: one measurement */
    polls_wait(&s, 3, now);
    atomic_fetch_sub(&step_ms, 20 * HOUR_MS); /* back: it waits for the next hour of then */
    pause_ms(&s, 2500);
    assert_int_equal(atomic_load(&asked), 6);
    to_the_tick();
    polls_wait(&s, 4, now);
    assert_int_equal(atomic_load(&asked), 8);
    site_close(&s);
}

static void nothing_is_transferred_beside_an_uplink_or_beyond_the_budget(void **state)
{
    struct site s;
    struct store_now now[5];
    struct connectivity_cost cost;
    struct store_reader *reader = NULL;
    struct err e = {.text = ""};
    (void)state;
    site_open(&s);
    s.cfg.duration_ms = 60000;
    to_the_tick();
    asked_wait(&s, 1);
    atomic_store(&busy, true); /* a batch goes out: the transfer gives way */
    polls_wait(&s, 1, now);
    assert_true(now[0].missing);
    assert_int_equal(now[0].cause, STORE_PAUSED);
    assert_int_equal((int)num_double(now[1].v), CONNECTIVITY_SPEED_BUSY);
    assert_int_equal(atomic_load(&asked), 2);
    atomic_store(&busy, false);

    /* what it took is known after a restart, and what is left does not do for another */
    site_stop(&s);
    site_run(&s);
    assert_int_equal(store_reader_open_in(&reader, s.store, &e), ST_OK);
    assert_int_equal(connectivity_throughput_cost(s.k, 0, reader, &clk, &cost, &e), ST_OK);
    store_reader_close(reader);
    assert_true(cost.left_bytes < cost.budget_bytes);
    site_stop(&s);
    s.cfg.budget_bytes = connectivity_speed_cost(&s.cfg); /* less what was used */
    site_run(&s);
    to_the_tick();
    polls_wait(&s, 1, now);
    assert_int_equal((int)num_double(now[1].v), CONNECTIVITY_SPEED_BUDGET);
    assert_int_equal(now[0].cause, STORE_PAUSED);
    assert_int_equal(atomic_load(&asked), 2);
    site_stop(&s);
    site_run(&s);
    atomic_fetch_add(&step_ms, 31 * 24 * HOUR_MS); /* the next month has its own */
    to_the_tick();
    asked_wait(&s, 3);
    site_close(&s); /* in the middle of it: a stop does not wait for its minute */
}

static struct mono at(int64_t ms)
{
    return (struct mono){ms};
}

static void own_uploads_are_told_where_they_say_something(void **state)
{
    struct site s;
    struct store_now now[5];
    (void)state;
    site_open(&s);
    site_stop(&s);
    s.cfg.down = NULL;
    site_run(&s);
    /* too small to tell, then 1 MB in 0.8 s and 3 MB in 0.8 s: 20 Mbit/s together */
    connectivity_uploaded(s.k, "eth0", CONNECTIVITY_OWN_LEAST_BYTES - 1, 1000, at(1000));
    connectivity_uploaded(s.k, "eth0", 1000000, 800000, at(3000));
    connectivity_uploaded(s.k, "eth0", 3000000, 800000, at(9000));
    to_the_tick();
    polls_wait(&s, 1, now);
    assert_false(now[0].missing);
    assert_int_equal(num_cmp(now[0].v, num_dec(20, 0)), 0);
    /* not so many of that size that they could have followed one another, nor many tiny ones */
    connectivity_uploaded(s.k, "eth0", CONNECTIVITY_OWN_LEAST_BYTES - 1, 1000, at(10000));
    connectivity_uploaded(s.k, "eth0", CONNECTIVITY_OWN_LEAST_BYTES - 1, 1000, at(10502));
    for (int64_t i = 0; i < 100; i++)
        connectivity_uploaded(s.k, "eth0", CONNECTIVITY_OWN_PART_BYTES - 1, 1000, at(12000 + i));
    to_the_tick();
    polls_wait(&s, 2, now);
    assert_true(now[0].missing);
    assert_int_equal(now[0].cause, STORE_PAUSED);
    /* a backlog that drains: each 20,000 bytes in 16 ms, 100 ms one after the other: 10 Mbit/s */
    for (int64_t i = 1; i <= 7; i++)
        connectivity_uploaded(s.k, "eth0", 20000, 16000, at(20000 + i * 116));
    to_the_tick();
    polls_wait(&s, 3, now);
    assert_false(now[0].missing);
    assert_int_equal(num_cmp(now[0].v, num_dec(10, 0)), 0);
    site_stop(&s);
    static char other[] = "wwan0";
    s.cfg.interface = other; /* those over another link are none of its */
    site_run(&s);
    connectivity_uploaded(s.k, "eth0", 1000000, 800000, at(30000));
    to_the_tick();
    polls_wait(&s, 1, now);
    assert_true(now[0].missing);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_links_say_so_and_a_busy_processor_never_speaks_of_the_line),
        cmocka_unit_test(every_fault_has_a_code_of_its_own_and_words),
        cmocka_unit_test(load_is_read_as_the_kernel_writes_it),
        cmocka_unit_test(configurations_that_cannot_be_meant_are_refused),
        cmocka_unit_test(ticks_measure_and_steps_of_the_clock_neither_burst_nor_stall),
        cmocka_unit_test(nothing_is_transferred_beside_an_uplink_or_beyond_the_budget),
        cmocka_unit_test(own_uploads_are_told_where_they_say_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
