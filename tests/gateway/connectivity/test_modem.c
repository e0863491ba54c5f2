/* A modem on a real terminal line, that misbehaves on demand; the dialog alone, and the thread with
 * a real store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/ioctl.h>

#include "gateway/connectivity/modem_int.h"
#include "tests/gateway/connectivity/pty.h"
#include "tests/support/skip.h"
#include "tests/support/temp.h"

#define WAIT_MS 20000
#define EVERY_MS 2000 /* the bound of a whole poll, too */
#define FAIL_MS 400   /* a time-out that is meant to run out */

/* An RM520N-GL with LTE and 5G beside it; AcT says 7. */
#define SERVING                                                                                    \
    "\r\n+QENG: \"servingcell\",\"CONNECT\"\r\n"                                                   \
    "+QENG: \"LTE\",\"FDD\",452,04,328261F,280,1300,3,5,5,BE3,-99,-14,-66,7,4,30,-\r\n"            \
    "+QENG: \"NR5G-NSA\",452,04,920,-96,18,-10,627264,78,10,1\r\n\r\nOK\r\n"
#define REST(sim, cereg)                                                                           \
    {"AT", "\r\nOK\r\n"}, {"AT+CMEE=1", "\r\nOK\r\n"}, {"AT+CEREG=2", "\r\nOK\r\n"},               \
        {"AT+COPS=3,2", "\r\nOK\r\n"}, {"AT+CPIN?", sim}, {"AT+CEREG?", cereg},                    \
        {"AT+CSQ", "\r\n+CSQ: 24,99\r\n\r\nOK\r\n"},                                               \
    {                                                                                              \
        "AT+CESQ", "\r\n+CESQ: 99,99,255,255,13,42\r\n\r\nOK\r\n"                                  \
    }
#define READY "\r\n+CPIN: READY\r\n\r\nOK\r\n"
#define HOME "\r\n+CEREG: 2,1,\"BE3\",\"328261F\",7\r\n\r\nOK\r\n"
#define NOWHERE "\r\n+CEREG: 2,0\r\n\r\nOK\r\n"

static const struct pty_answer good[] = {
    REST(READY, HOME),
    {"AT+COPS?", "\r\n+COPS: 0,2,\"45204\",7\r\n\r\nOK\r\n"},
    {"AT+QENG=\"servingcell\"", SERVING},
    {"AT+QTEMP", "\r\n+QTEMP:\"modem-ambient-usr\",\"44\"\r\n\r\nOK\r\n"},
    {"AT+QCCID", "\r\n+QCCID: 8984012345678905678F\r\n\r\nOK\r\n"},
    {NULL, NULL}};

struct bench {
    char dir[64];
    struct pty pty;
    struct connectivity_modem_cfg cfg;
    struct connectivity_modem m;
    struct connectivity_radio r;
    struct thr_stop stop;
    struct err e;
};
static struct bench *opened; /* NULL: none; static, see pty.h */

static void bench_open(struct bench *b, const struct pty_answer *script)
{
    memset(b, 0, sizeof *b);
    assert_non_null(mkdtemp(temp_name(b->dir, sizeof b->dir)));
    assert_int_equal(thr_stop_open(&b->stop, NULL), ST_OK);
    pty_start(&b->pty, b->dir, script);
    opened = b;
    b->cfg = (struct connectivity_modem_cfg){.port = b->pty.link, .every_ms = EVERY_MS};
    b->m = (struct connectivity_modem){.cfg = &b->cfg, .dialog.fd = -1};
}

static void bench_close(struct bench *b)
{
    opened = NULL;
    connectivity_dialog_close(&b->m.dialog);
    pty_end(&b->pty);
    thr_stop_close(&b->stop);
    assert_int_equal(rmdir(b->dir), 0);
    assert_false(atomic_load(&b->pty.broken));
}

static enum connectivity_modem_state ask(struct bench *b)
{
    return connectivity_modem_ask(&b->m, WAIT_MS, &b->stop, &b->r, &b->e);
}

static void is(struct num have, const char *want)
{
    char text[NUM_TEXT_BYTES];
    assert_string_equal(num_text(have, text), want);
}

static void all_is_there(const struct connectivity_radio *r)
{
    is(r->lte.rsrp, "-99");
    is(r->lte.rsrq, "-14");
    is(r->lte.sinr, "7");
    is(r->nr.rsrp, "-96");
    is(r->nr.sinr, "18");
    is(r->nr.mhz, "3408.96");
    is(r->rssi, "-66");
    is(r->temperature, "44");
    assert_string_equal(r->plmn, "45204");
    assert_string_equal(r->card, "5678");
    assert_int_equal(connectivity_radio_act(r), CONNECTIVITY_ACT_ENDC);
}

static void a_modem_is_asked_with_echo_or_without(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    all_is_there(&b.r);
    atomic_store(&b.pty.echo, true);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    all_is_there(&b.r);
    bench_close(&b);
}

static void what_comes_unasked_within_an_answer_does_no_harm(void **state)
{
    (void)state;
    static const struct pty_answer script[] = {
        {"AT+CSQ", "\r\nRING\r\n\r\n+CSQ: 24,99\r\n\r\n+CMTI: \"ME\",3\r\n\r\nOK\r\n"},
        {"AT+CEREG?", "\r\n+CEREG: 1,\"BE3\",\"328261F\",7\r\n" HOME},
        {"AT+CESQ", "\r\n+CESQ: 99,99,255,255,13\r\n+QIND: \"csq\",24,99\r\n\r\nOK\r\n"},
        REST(READY, HOME),
        {"AT+COPS?", "\r\n+COPS: 0,2,\"45204\",7\r\n\r\nOK\r\n"},
        {"AT+QENG=\"servingcell\"", SERVING},
        {"AT+QTEMP", "\r\n+QTEMP:\"modem-ambient-usr\",\"44\"\r\n\r\nOK\r\n"},
        {"AT+QCCID", "\r\n+QCCID: 8984012345678905678F\r\n\r\nOK\r\n"},
        {NULL, NULL}};
    static struct bench b;
    bench_open(&b, script);
    atomic_store(&b.pty.before, "\r\nOK\r\n\r\n+CEREG: 0\r\n");
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    all_is_there(&b.r);
    bench_close(&b);
}

static void what_waits_when_a_poll_begins_is_of_then(void **state)
{
    (void)state;
    static const struct pty_answer script[] = {REST(READY, HOME), {NULL, NULL}};
    static const char stale[] = "\r\n+QTEMP: \"x\",\"99\"\r\n";
    static struct bench b;
    int waiting = 0;
    bench_open(&b, script);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    is(b.r.temperature, "");
    pty_say(b.pty.master, stale);
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    while (waiting < (int)sizeof stale && clk_mono(clk_real()).ms < until)
        assert_int_equal(ioctl(b.pty.slave, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, sizeof stale); /* and the \n of the last answer */
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    is(b.r.temperature, "");
    bench_close(&b);
}

static enum st one(struct bench *b, const char *command, int64_t ms)
{
    const struct connectivity_ask q = {.command = command, .ms = ms};
    return connectivity_dialog_ask(&b->m.dialog, &q, &b->stop);
}

static void keep(void *ctx, const char *line)
{
    connectivity_radio_take(ctx, line);
}

/* CSQ has no answer in its time; echo, line and result come when the next command is there. */
static void a_late_answer_is_not_the_next_ones(void **state)
{
    (void)state;
    static const struct pty_answer script[] = {
        {"AT+CSQ", NULL}, {"AT+QTEMP", "\r\nERROR\r\n"}, REST(READY, HOME), {NULL, NULL}};
    static struct bench b;
    bench_open(&b, script);
    atomic_store(&b.pty.echo, true);
    atomic_store(&b.pty.late, "AT+CSQ\r\n\r\n+CSQ: 20,99\r\n\r\nERROR\r\n");
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY); /* the echo is no other program's */
    is(b.r.rssi, "-73");
    is(b.r.lte.rsrp, "-99"); /* CESQ was waited for */
    assert_false(b.m.dialog.late);
    bench_close(&b);
}

/* Its first command wakes it and is lost; what it does not know it says so at once. */
static void a_modem_that_sleeps_is_asked_again(void **state)
{
    (void)state;
    static const struct pty_answer script[] = {{"AT+CMEE=1", "\r\nERROR\r\n"},
                                               {"AT+CEREG=2", "\r\nERROR\r\n"},
                                               {"AT+CPIN?", "\r\n+CME ERROR: 10\r\n"},
                                               REST(READY, NOWHERE),
                                               {NULL, NULL}};
    static struct bench b;
    bench_open(&b, script);
    atomic_store(&b.pty.asleep, true);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_SIM_MISSING);
    /* AT twice, and each of the others once */
    assert_int_equal(atomic_load(&b.pty.asked), 1 + 16);
    bench_close(&b);
}

static void errors_are_answers_and_a_modem_may_know_little(void **state)
{
    (void)state;
    static const struct pty_answer script[] = {REST(READY, HOME), {NULL, NULL}};
    static struct bench b;
    bench_open(&b, script);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    is(b.r.lte.rsrp, "-99");
    is(b.r.lte.rsrq, "-13.5");
    is(b.r.rssi, "-65");
    is(b.r.lte.sinr, "");
    is(b.r.temperature, "");
    assert_int_equal(connectivity_radio_act(&b.r), CONNECTIVITY_ACT_LTE);
    assert_int_equal(one(&b, "AT+NONSENSE", WAIT_MS), ST_REFUSED);
    bench_close(&b);
}

static void a_silent_port_costs_its_bound_and_no_more(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    atomic_store(&b.pty.mute, true);
    int64_t from = clk_mono(clk_real()).ms;
    assert_int_equal(connectivity_modem_ask(&b.m, 2000, &b.stop, &b.r, &b.e),
                     CONNECTIVITY_MODEM_SILENT);
    int64_t took = clk_mono(clk_real()).ms - from;
    assert_true(took >= 1995 && took < 4000); /* asked once */
    assert_int_equal(b.m.dialog.fd, -1);
    is(b.r.lte.rsrp, "");
    atomic_store(&b.pty.mute, false);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    bench_close(&b);
}

static void an_answer_that_breaks_off_is_silence(void **state)
{
    (void)state;
    static const struct pty_answer script[] = {
        {"AT", "\r\nOK\r\n"}, {"AT+CSQ", "\r\n+CSQ: 24,"}, {NULL, NULL}};
    static struct bench b;
    bench_open(&b, script);
    assert_int_equal(connectivity_dialog_open(&b.m.dialog, b.pty.link, &b.e), ST_OK);
    assert_int_equal(one(&b, "AT+CSQ", FAIL_MS), ST_TIMEOUT);
    assert_int_equal(one(&b, "AT", WAIT_MS), ST_OK); /* the half line is forgotten */
    bench_close(&b);
}

static void noise_without_end_ends(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    atomic_store(&b.pty.mute, true);
    atomic_store(&b.pty.noise, true);
    assert_int_equal(connectivity_dialog_open(&b.m.dialog, b.pty.link, &b.e), ST_OK);
    assert_int_equal(one(&b, "AT", WAIT_MS), ST_BAD);
    atomic_store(&b.pty.noise, false);
    bench_close(&b);
}

/* Its answer is there, but never the quiet behind it. */
static void a_port_that_talks_on_costs_its_bound_and_no_more(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    atomic_store(&b.pty.talks, true);
    assert_int_equal(connectivity_dialog_open(&b.m.dialog, b.pty.link, &b.e), ST_OK);
    const struct connectivity_ask q = {.command = "AT", .ms = 1000, .quiet_ms = 1000};
    assert_int_equal(connectivity_dialog_ask(&b.m.dialog, &q, &b.stop), ST_TIMEOUT);
    assert_true(b.m.dialog.late); /* what is late may still come */
    atomic_store(&b.pty.talks, false);
    bench_close(&b);
}

static void a_line_without_end_is_dropped_whole(void **state)
{
    (void)state;
    static char endless[3 * CONNECTIVITY_LINE_BYTES];
    static const struct pty_answer script[] = {{"AT+CSQ", endless}, {NULL, NULL}};
    static struct bench b;
    memset(endless, 'x', 2 * CONNECTIVITY_LINE_BYTES);
    strcpy(endless + 2 * CONNECTIVITY_LINE_BYTES, "\r\n+CSQ: 24,99\r\n\r\nOK\r\n");
    bench_open(&b, script);
    assert_int_equal(connectivity_dialog_open(&b.m.dialog, b.pty.link, &b.e), ST_OK);
    connectivity_radio_init(&b.r);
    const struct connectivity_ask q = {
        .command = "AT+CSQ", .ms = WAIT_MS, .take = keep, .ctx = &b.r};
    assert_int_equal(connectivity_dialog_ask(&b.m.dialog, &q, &b.stop), ST_OK);
    is(b.r.rssi, "-65");
    bench_close(&b);
}

/* The modem resets in mid-poll and comes back with another number: its by-id name stays. */
static void a_modem_that_is_renumbered_is_found_again(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    char before[64] = "", after[64] = "";
    assert_true(readlink(b.pty.link, before, sizeof before - 1) > 0);
    atomic_store(&b.pty.reborn, 3);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_GONE);
    assert_int_equal(b.m.dialog.fd, -1);
    is(b.r.lte.rsrp, "");
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS; /* it takes its time to come back */
    enum connectivity_modem_state now;
    while ((now = ask(&b)) == CONNECTIVITY_MODEM_GONE && clk_mono(clk_real()).ms < until)
        ;
    assert_int_equal(now, CONNECTIVITY_MODEM_READY);
    all_is_there(&b.r);
    assert_true(readlink(b.pty.link, after, sizeof after - 1) > 0);
    assert_string_not_equal(before, after);
    bench_close(&b);
}

static void no_port_says_so(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    static char none[] = "/tmp/fp-no-such-port";
    b.cfg.port = none;
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_GONE);
    assert_non_null(strstr(b.e.text, none));
    bench_close(&b);
}

static void two_writers_are_noticed(void **state)
{
    (void)state;
    static struct bench b;
    struct connectivity_dialog other;
    bench_open(&b, good);
    assert_int_equal(connectivity_dialog_open(&other, b.pty.link, &b.e), ST_OK);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_BUSY);
    assert_int_equal(b.m.dialog.fd, -1);
    connectivity_dialog_close(&other);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    /* one that locks nothing shows by its commands */
    atomic_store(&b.pty.echo, true);
    atomic_store(&b.pty.before, "AT+CGDCONT?\r\n");
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_BUSY);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    bench_close(&b);
}

/* Whether the line is its holder's alone: -1: this machine cannot say. */
static int is_exclusive(int fd)
{
    int exclusive = 0;
    return ioctl(fd, TIOCGEXCL, &exclusive) == 0 ? exclusive : -1;
}

/* Each Linux knows TIOCGEXCL, but qemu-user does not. */
static void a_line_that_another_has_for_itself_stays_so(void **state)
{
    (void)state;
    static struct bench b;
    struct connectivity_dialog other;
    bench_open(&b, good);
    int fd = open(b.pty.name, O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    if (is_exclusive(fd) < 0 && EMULATOR[0]) {
        (void)close(fd);
        bench_close(&b);
        SKIP("the emulator does not know TIOCGEXCL");
    }
    /* one that does not lock its file; root passes TIOCEXCL by */
    assert_int_equal(ioctl(fd, TIOCEXCL), 0);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_BUSY);
    assert_int_equal(is_exclusive(fd), 1);
    assert_int_equal(ioctl(fd, TIOCNXCL), 0);
    (void)close(fd);
    /* one that locks it as well */
    assert_int_equal(connectivity_dialog_open(&other, b.pty.link, &b.e), ST_OK);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_BUSY);
    assert_int_equal(is_exclusive(other.fd), 1);
    connectivity_dialog_close(&other);
    assert_int_equal(ask(&b), CONNECTIVITY_MODEM_READY);
    bench_close(&b);
}

static void a_stop_ends_the_waiting(void **state)
{
    (void)state;
    static struct bench b;
    bench_open(&b, good);
    atomic_store(&b.pty.mute, true);
    thr_stop_now(&b.stop);
    int64_t from = clk_mono(clk_real()).ms;
    (void)ask(&b);
    assert_true(clk_mono(clk_real()).ms - from < WAIT_MS / 2);
    bench_close(&b);
}

static void states_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *cpin, *cereg;
        enum connectivity_modem_state want;
    } rows[] = {
        {READY, "\r\n+CEREG: 2,5,\"BE3\",\"328261F\",7\r\n\r\nOK\r\n", CONNECTIVITY_MODEM_READY},
        {"\r\n+CME ERROR: 10\r\n", NOWHERE, CONNECTIVITY_MODEM_SIM_MISSING},
        {"\r\n+CME ERROR: SIM not inserted\r\n", "\r\nERROR\r\n", CONNECTIVITY_MODEM_SIM_MISSING},
        {"\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n", NOWHERE, CONNECTIVITY_MODEM_SIM_PIN},
        {"\r\n+CPIN: SIM PUK\r\n\r\nOK\r\n", NOWHERE, CONNECTIVITY_MODEM_SIM_PUK},
        {"\r\n+CPIN: PH-NET PIN\r\n\r\nOK\r\n", NOWHERE, CONNECTIVITY_MODEM_SIM_LOCK},
        {"\r\n+CME ERROR: 13\r\n", NOWHERE, CONNECTIVITY_MODEM_SIM_FAULT},
        {READY, "\r\n+CEREG: 2,2\r\n\r\nOK\r\n", CONNECTIVITY_MODEM_SEARCHING},
        {READY, "\r\n+CEREG: 2,3\r\n\r\nOK\r\n", CONNECTIVITY_MODEM_DENIED},
        {READY, "\r\n+CEREG: 2,8\r\n\r\nOK\r\n", CONNECTIVITY_MODEM_EMERGENCY},
        {"\r\nERROR\r\n", "\r\nERROR\r\n", CONNECTIVITY_MODEM_ODD}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct pty_answer now[] = {REST(rows[i].cpin, rows[i].cereg), {NULL, NULL}};
        static struct pty_answer script[sizeof now / sizeof *now];
        memcpy(script, now, sizeof now);
        static struct bench b;
        bench_open(&b, script);
        assert_int_equal(ask(&b), rows[i].want);
        bench_close(&b);
    }
    for (size_t i = 0; i < CONNECTIVITY_MODEM_STATES; i++) {
        const struct connectivity_kind *k = &connectivity_modem_kinds[i];
        assert_int_equal(k->health == STORE_GOOD, i == CONNECTIVITY_MODEM_READY);
        assert_true(i == CONNECTIVITY_MODEM_READY || (k->text[0] && k->event && k->why));
    }
}

/* ---- the thread, and a real store -------------------------------------------------------------
 */

struct site {
    struct bench b;
    char path[96];
    struct connectivity *k;
    struct store *store;
    struct connectivity_link_cfg link;
    struct thr thr, others;
    struct connectivity_job job;
};
enum { LINK, MODEM };        /* devices */
static struct site *running; /* NULL: none */

static void site_open(struct site *s, const struct pty_answer *script, struct cfg_strings points)
{
    struct err e = {.text = ""};
    bench_open(&s->b, script);
    snprintf(s->path, sizeof s->path, "%s/store.db", s->b.dir);
    const struct store_cfg sc = {
        .path = s->path, .max_size_bytes = 1 << 30, .keep_ms = 86400000, .journal_every_ms = 10000};
    s->b.cfg.points = points;
    static struct connectivity_cfg cfg;
    static char lo[] = "lo";
    s->link = (struct connectivity_link_cfg){.id = lo, .interface = lo, .every_ms = 1000};
    cfg = (struct connectivity_cfg){.link = {&s->link, 1}, .modem = s->b.cfg};
    struct cfg *none = NULL;
    const struct cfg_section sections[] = {{.key = NULL}};
    assert_int_not_equal(cfg_load(&none, "/nonexistent", sections, NULL, NULL), ST_OK);
    assert_int_equal(connectivity_open(&s->k, &cfg, none, &e), ST_OK);
    cfg_free(none);
    assert_true(connectivity_has_modem(s->k));
    assert_int_equal(store_open(&s->store, &sc, "gw", clk_real(), &e), ST_OK);
    if (connectivity_declare(s->k, s->store, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(store_start(s->store, &e), ST_OK);
    s->job = (struct connectivity_job){
        .connectivity = s->k, .store = s->store, .clk = clk_real(), .stop = &s->b.stop};
    assert_int_equal(thr_start(&s->thr, "modem", connectivity_modem_main, &s->job, &e), ST_OK);
    running = s;
    assert_int_equal(thr_start(&s->others, "others", connectivity_main, &s->job, &e), ST_OK);
}

static void site_close(struct site *s)
{
    running = NULL;
    thr_stop_now(&s->b.stop);
    thr_join(&s->thr);
    thr_join(&s->others);
    store_stop(s->store);
    store_close(s->store);
    connectivity_close(s->k);
    static const char *const suffix[] = {"", "-wal", "-shm", ".journal", ".reserve"};
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", s->path, suffix[i]);
        (void)unlink(name);
    }
    bench_close(&s->b);
}

static struct store_now now_of(struct site *s, const char *point)
{
    struct store_now now = {.count = 0};
    for (uint32_t i = 0; i < store_series_count(s->store); i++)
        if (store_series_at(s->store, i)->device == MODEM &&
            strcmp(store_series_at(s->store, i)->point, point) == 0) {
            store_board(s->store, i, 1, &now);
            return now;
        }
    fail_msg("no series modem/%s", point);
    return now;
}

/* Until the state's own series says so; health is told before. */
static struct store_health state_wait(struct site *s, int code)
{
    struct store_health h;
    struct store_now now;
    struct thr_stop tick;
    assert_int_equal(thr_stop_open(&tick, NULL), ST_OK);
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    do
        now = now_of(s, "state");
    while ((now.v.kind == NUM_NONE || now.v.i != code) && !thr_stop_wait(&tick, 20) &&
           clk_mono(clk_real()).ms < until);
    thr_stop_close(&tick);
    store_health_get(s->store, MODEM, &h);
    if (now.v.kind == NUM_NONE || now.v.i != code)
        fail_msg("no state %d but %d: %s", code, (int)now.v.i, h.text);
    assert_false(now.missing);
    return h;
}

static void health_is(struct store_health h, enum store_state state, const char *why)
{
    assert_int_equal(h.state, state);
    assert_string_equal(h.why ? h.why : "", why);
}

/* M2: LTE with 5G, no SIM card, a silent port, no modem: each is a record. */
static void M2_every_state_of_a_modem_is_a_record(void **state)
{
    (void)state;
    static const struct pty_answer no_sim[] = {REST("\r\n+CME ERROR: 10\r\n", NOWHERE),
                                               {NULL, NULL}};
    static struct site s;
    site_open(&s, good, (struct cfg_strings){NULL, 0});
    struct store_health h = state_wait(&s, CONNECTIVITY_MODEM_READY);
    health_is(h, STORE_GOOD, "");
    is(now_of(&s, "technology").v, "13");
    is(now_of(&s, "registration").v, "1");
    is(now_of(&s, "operator").v, "45204");
    is(now_of(&s, "rsrp").v, "-99");
    is(now_of(&s, "nr_rsrp").v, "-96");
    is(now_of(&s, "nr_frequency").v, "3408.96");
    is(now_of(&s, "cell").v, "52962847");
    is(now_of(&s, "temperature").v, "44");
    assert_int_equal(now_of(&s, "rsrp").q, 0);
    assert_string_equal(h.says, "5G NSA (EN-DC), operator 45204"); /* and no card */

    atomic_store(&s.b.pty.script, no_sim);
    h = state_wait(&s, CONNECTIVITY_MODEM_SIM_MISSING);
    health_is(h, STORE_FAULTY, "sim_missing");
    assert_true(now_of(&s, "nr_rsrp").missing);
    assert_int_equal(now_of(&s, "nr_rsrp").cause, STORE_DEVICE);

    atomic_store(&s.b.pty.mute, true);
    h = state_wait(&s, CONNECTIVITY_MODEM_SILENT);
    health_is(h, STORE_SILENT, "modem_silent");
    assert_true(now_of(&s, "rsrp").missing);
    assert_int_equal(now_of(&s, "rsrp").cause, STORE_DEVICE);

    assert_int_equal(unlink(s.b.pty.link), 0);
    h = state_wait(&s, CONNECTIVITY_MODEM_GONE);
    health_is(h, STORE_FAULTY, "modem_silent");
    assert_int_equal(now_of(&s, "rsrp").cause, STORE_BUS);
    assert_non_null(strstr(h.text, "no modem at its port"));
    site_close(&s);
}

struct told {
    const char *code;
    bool seen;
};

static bool told_take(void *ctx, const struct store_event *v)
{
    struct told *t = ctx;
    t->seen |= strcmp(v->code, t->code) == 0;
    return true;
}

/* The state's own series comes behind its event. */
static void event_is(struct site *s, const char *code)
{
    struct told told = {.code = code};
    struct store_reader *r;
    assert_int_equal(store_step(s->store, true, &s->b.e), ST_OK);
    assert_int_equal(store_reader_open(&r, s->path, &s->b.e), ST_OK);
    enum st st = store_each_event(r, 0, 100, told_take, &told, &s->b.e);
    store_reader_close(r);
    assert_int_equal(st, ST_OK);
    if (!told.seen)
        fail_msg("no event %s", code);
}

/* Two states that ask for the same piece of advice are two all the same. */
static void each_state_has_its_event(void **state)
{
    (void)state;
    static const struct pty_answer scripts[][9] = {
        {REST("\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n", NOWHERE), {NULL, NULL}},
        {REST("\r\n+CPIN: SIM PUK\r\n\r\nOK\r\n", NOWHERE), {NULL, NULL}}};
    static struct site s;
    site_open(&s, scripts[0], (struct cfg_strings){NULL, 0});
    struct store_health pin = state_wait(&s, CONNECTIVITY_MODEM_SIM_PIN);
    event_is(&s, "sim.pin");
    atomic_store(&s.b.pty.script, scripts[1]);
    struct store_health puk = state_wait(&s, CONNECTIVITY_MODEM_SIM_PUK);
    assert_true(puk.since_ms > pin.since_ms);
    event_is(&s, "sim.puk");
    site_close(&s);
}

static void only_the_points_that_are_named_are_kept(void **state)
{
    (void)state;
    static char a[] = "state", b[] = "nr_rsrp";
    char *names[] = {a, b};
    static struct site s;
    site_open(&s, good, (struct cfg_strings){names, 2});
    struct store_health h = state_wait(&s, CONNECTIVITY_MODEM_READY);
    health_is(h, STORE_GOOD, "");
    size_t kept = 0;
    for (uint32_t i = 0; i < store_series_count(s.store); i++)
        kept += store_series_at(s.store, i)->device == MODEM;
    assert_int_equal(kept, 2);
    is(now_of(&s, "nr_rsrp").v, "-96");
    site_close(&s);
}

/* D: it takes seconds to find out that a modem is silent; nothing else waits for it. */
static void a_silent_modem_slows_no_other_probe(void **state)
{
    (void)state;
    static struct site s;
    struct store_health link, modem;
    site_open(&s, good, (struct cfg_strings){NULL, 0});
    atomic_store(&s.b.pty.mute, true);
    (void)state_wait(&s, CONNECTIVITY_MODEM_SILENT);
    uint64_t polls = 0;
    struct thr_stop tick;
    assert_int_equal(thr_stop_open(&tick, NULL), ST_OK);
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    do {
        store_health_get(s.store, LINK, &link);
        polls = polls == 0 ? link.polls : polls;
    } while (link.polls < polls + 2 && !thr_stop_wait(&tick, 20) &&
             clk_mono(clk_real()).ms < until);
    thr_stop_close(&tick);
    store_health_get(s.store, MODEM, &modem);
    assert_true(link.polls >= polls + 2 && link.failures == 0);
    assert_int_equal(modem.state, STORE_SILENT);
    site_close(&s);
}

/* Of a test that has failed. */
static int end(void **state)
{
    (void)state;
    if (running)
        site_close(running);
    else if (opened)
        bench_close(opened);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_modem_is_asked_with_echo_or_without, end),
        cmocka_unit_test_teardown(what_comes_unasked_within_an_answer_does_no_harm, end),
        cmocka_unit_test_teardown(what_waits_when_a_poll_begins_is_of_then, end),
        cmocka_unit_test_teardown(a_late_answer_is_not_the_next_ones, end),
        cmocka_unit_test_teardown(a_modem_that_sleeps_is_asked_again, end),
        cmocka_unit_test_teardown(errors_are_answers_and_a_modem_may_know_little, end),
        cmocka_unit_test_teardown(a_silent_port_costs_its_bound_and_no_more, end),
        cmocka_unit_test_teardown(an_answer_that_breaks_off_is_silence, end),
        cmocka_unit_test_teardown(noise_without_end_ends, end),
        cmocka_unit_test_teardown(a_port_that_talks_on_costs_its_bound_and_no_more, end),
        cmocka_unit_test_teardown(a_line_without_end_is_dropped_whole, end),
        cmocka_unit_test_teardown(a_modem_that_is_renumbered_is_found_again, end),
        cmocka_unit_test_teardown(no_port_says_so, end),
        cmocka_unit_test_teardown(two_writers_are_noticed, end),
        cmocka_unit_test_teardown(a_line_that_another_has_for_itself_stays_so, end),
        cmocka_unit_test_teardown(a_stop_ends_the_waiting, end),
        cmocka_unit_test_teardown(states_are_told_apart, end),
        cmocka_unit_test_teardown(M2_every_state_of_a_modem_is_a_record, end),
        cmocka_unit_test_teardown(each_state_has_its_event, end),
        cmocka_unit_test_teardown(only_the_points_that_are_named_are_kept, end),
        cmocka_unit_test_teardown(a_silent_modem_slows_no_other_probe, end),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
