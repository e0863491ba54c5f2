/* The control socket: a bus at work is asked through it, and keeps its polls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/collect/ctl_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"
#include "tests/support/skip.h"

static struct slave slave;
static struct rig rig;
static struct collect_ctl *ctl;
static struct thr server;
static char store[256];

static void start(const char *bus, const char *devices)
{
    char text[1024];
    struct err e;
    (void)snprintf(text, sizeof text, "buses:\n  line: {%s%s}\ndevices:%s\n", bus, slave.address,
                   devices);
    rig_start(&rig, text);
    (void)snprintf(store, sizeof store, "%s/fieldpost.db", rig.dir);
    assert_int_equal(collect_ctl_open(&ctl, rig.room, store, &rig.clk, &rig.stop, &e), ST_OK);
    assert_int_equal(thr_start(&server, "control", collect_ctl_main, ctl, &e), ST_OK);
}

#define SERIAL "type: modbus-rtu, baud: 115200, timeout: 150ms, port: "
static void start_serial(const char *devices)
{
    assert_int_equal(slave_open_serial(&slave), 0);
    start(SERIAL, devices);
}

static int end(void **state)
{
    (void)state;
    if (rig.dir) {
        thr_stop_now(&rig.stop);
        thr_join(&server);
        (void)rig_stop(&rig);
        collect_ctl_close(ctl);
    }
    ctl = NULL;
    server = (struct thr){.running = false};
    rig = (struct rig){.dir = NULL};
    slave_close(&slave);
    slave = (struct slave){.thread = 0};
    return 0;
}

static const struct collect_ask of_three = {
    .op = COLLECT_READ, .bus = "line", .unit = 1, .function = 3, .address = 5, .count = 3};

static struct collect_reply call(const struct collect_ask *q)
{
    struct collect_reply r;
    struct err e = {.text = ""};
    if (collect_ctl_call(store, q, &r, NULL, &e) != ST_OK)
        fail_msg("%s", e.text);
    return r;
}

static struct collect_reply ask_unit(int unit)
{
    struct collect_ask q = of_three;
    q.unit = unit;
    return call(&q);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void a_bus_at_work_is_read_through_the_socket(void **state)
{
    (void)state;
    static const uint8_t want[] = {0, 5, 0, 6, 0, 7};
    start_serial("\n  a: {bus: line, unit: 1, profile: one, every: 200ms}\n");
    for (int unit = 1; unit < 10; unit += 8) { /* one that a device reads, and a stranger */
        struct collect_reply r = ask_unit(unit);
        assert_int_equal(r.st, ST_OK);
        assert_int_equal(r.fault, COLLECT_GOOD);
        assert_int_equal(r.bytes, sizeof want);
        assert_memory_equal(r.data, want, sizeof want);
    }
    assert_int_not_equal(fake_wait_poll(0, true, fake_count()), SIZE_MAX);
}

static void a_refusal_and_a_silence_come_in_words(void **state)
{
    (void)state;
    start_serial(" {}");
    atomic_store(&slave.mood[7], SLAVE_REFUSE);
    struct collect_reply r = ask_unit(7);
    for (int i = 0; i < 20 && r.fault == COLLECT_SILENT; i++) /* the slave was not run for 150 ms */
        r = ask_unit(7);
    assert_int_equal(r.fault, COLLECT_EXCEPTION);
    assert_int_equal(r.exception, 2);
    assert_string_equal(r.text, "unit 7 refuses function 3, address 5, count 3: it has no such "
                                "registers (code 2)");
    atomic_store(&slave.mood[7], SLAVE_MUTE);
    r = ask_unit(7);
    assert_int_equal(r.fault, COLLECT_SILENT);
    assert_non_null(strstr(r.text, "unit 7 on line does not answer"));
    assert_true(r.took_ms >= 150);
    struct collect_ask q = of_three;
    (void)snprintf(q.bus, sizeof q.bus, "plant");
    assert_int_equal(call(&q).st, ST_NOT_FOUND);
}

/* The answer to the request before comes while the same is asked again: it must not be taken. */
static void a_late_answer_is_never_the_answer_to_the_next_request(void **state)
{
    (void)state;
    assert_int_equal(slave_open_serial(&slave), 0);
    start("type: modbus-rtu, baud: 115200, timeout: 200ms, port: ", " {}");
    for (int i = 0; i < 2; i++) {
        atomic_store(&slave.mood[9], SLAVE_LATE); /* SLAVE_LATE_MS: within two time-outs */
        assert_int_equal(ask_unit(9).fault, COLLECT_SILENT);
        atomic_store(&slave.mood[9], SLAVE_MUTE);
        assert_int_not_equal(ask_unit(9).fault, COLLECT_GOOD);
        atomic_store(&slave.mood[9], SLAVE_GOOD);
        (void)poll(NULL, 0, 2 * SLAVE_LATE_MS); /* the line is at rest */
    }
}

/* ---- polls keep their time ------------------------------------------------------------------ */

struct asker {
    pthread_t id;
    int64_t timeout_ms;
    atomic_bool *over;
    unsigned served;
};

/* Asks a unit that never answers, again and again: the worst that can be asked. */
static void *ask_on(void *arg)
{
    struct asker *k = arg;
    struct collect_ask q = of_three;
    struct collect_reply r;
    q.unit = 99;
    while (!atomic_load(k->over))
        k->served += collect_ctl_call(store, &q, &r, NULL, NULL) == ST_OK && r.st == ST_OK;
    return NULL;
}

static void no_poll_waits_for_more_than_one_transaction(void **state)
{
    (void)state;
    atomic_bool over = false;
    struct asker askers[3] = {{.over = &over}, {.over = &over}, {.over = &over}};
    /* a time-out of 300 ms never fits between polls that come each 200 ms */
    assert_int_equal(slave_open_serial(&slave), 0);
    start("type: modbus-rtu, baud: 115200, timeout: 300ms, port: ",
          "\n  a: {bus: line, unit: 1, profile: three, every: 200ms}\n");
    atomic_store(&slave.mood[99], SLAVE_MUTE);
    size_t first = fake_wait_poll(0, true, 0), last = first;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&askers[i].id, NULL, ask_on, &askers[i]), 0);
    for (int i = 0; i < 6 && last != SIZE_MAX; i++)
        last = fake_wait_poll(0, true, last + 1);
    atomic_store(&over, true);
    unsigned served = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(askers[i].id, NULL), 0);
        served += askers[i].served;
    }
    assert_int_not_equal(last, SIZE_MAX);
    assert_true(served >= 3);
    int64_t before = fake_at(first).p.t_ms;
    for (size_t i = first + 1; i <= last; i++) {
        struct fake_poll p = fake_at(i);
        if (p.v[0].v.kind == NUM_NONE)
            continue; /* a tick that went by meanwhile */
        /* a period, and one transaction too late */
        assert_true(p.p.t_ms - before <= 200 + 300 + 250);
        before = p.p.t_ms;
    }
}

/* A read of 700 ms: one fits behind a poll, a second one would make the next poll late. */
static void what_fits_between_two_polls_delays_none(void **state)
{
    (void)state;
    atomic_bool over = false;
    struct asker asker = {.over = &over};
    assert_int_equal(slave_open_serial(&slave), 0);
    start("type: modbus-rtu, baud: 115200, timeout: 700ms, port: ",
          "\n  a: {bus: line, unit: 1, profile: three, every: 1s}\n");
    atomic_store(&slave.mood[99], SLAVE_MUTE);
    size_t first = fake_wait_poll(0, true, 0), last = first;
    assert_int_equal(pthread_create(&asker.id, NULL, ask_on, &asker), 0);
    for (int i = 0; i < 6 && last != SIZE_MAX; i++)
        last = fake_wait_poll(0, true, last + 1);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(asker.id, NULL), 0);
    assert_int_not_equal(last, SIZE_MAX);
    assert_true(asker.served >= 3);
    unsigned late = 0; /* beyond the tolerance of 200 ms */
    for (size_t i = first + 1; i <= last; i++)
        late += fake_at(i).p.t_ms != fake_at(i).p.due_ms;
    /* the machine may have been busy; else it would be nearly all of them */
    assert_true(2 * late < last - first);
}

/* ---- a pause -------------------------------------------------------------------------------- */

static int pause_bus(int64_t ms, struct collect_reply *r)
{
    struct collect_ask q = {.op = COLLECT_PAUSE, .bus = "line", .unit = -1, .timeout_ms = ms};
    struct err e = {.text = ""};
    int held = -1;
    if (collect_ctl_call(store, &q, r, &held, &e) != ST_OK)
        fail_msg("%s", e.text);
    return held;
}

static speed_t speed_of_line(void)
{
    struct termios t;
    int fd = open(slave.address, O_RDWR | O_NOCTTY);
    assert_true(fd >= 0 && tcgetattr(fd, &t) == 0);
    (void)close(fd);
    return cfgetospeed(&t);
}

static size_t wait_cause(enum store_cause cause, size_t after)
{
    for (;;) {
        after = fake_wait_poll(0, false, after);
        assert_int_not_equal(after, SIZE_MAX);
        if (fake_at(after).p.cause == cause)
            return after;
        after++;
    }
}

static void settings_change_in_a_pause_and_come_back_when_its_client_has_gone(void **state)
{
    (void)state;
    struct collect_reply r;
    struct collect_ask q = of_three;
    start_serial("\n  a: {bus: line, unit: 1, profile: one, every: 200ms}\n");
    (void)fake_wait_poll(0, true, 0);
    q.unit = 9;
    q.line = (struct collect_serial){.baud = 2400, .parity = 'E', .stop_bits = 1};
    r = call(&q);
    assert_int_equal(r.st, ST_REFUSED);
    assert_int_equal(speed_of_line(), B115200);
    int held = pause_bus(60000, &r);
    assert_true(held >= 0);
    int other = pause_bus(60000, &r);
    assert_int_equal(other, -1);
    assert_int_equal(r.st, ST_BUSY);
    assert_true(fake_wait_events("bus.paused", 1));
    size_t at = wait_cause(STORE_PAUSED, 0);
    r = call(&q);
    assert_int_equal(r.fault, COLLECT_GOOD);
    assert_int_equal(speed_of_line(), B2400);
    unsigned polled = atomic_load(&slave.requests[1]);
    at = wait_cause(STORE_PAUSED, at + 1);
    assert_int_equal(atomic_load(&slave.requests[1]), polled);
    (void)close(held); /* as when it is killed */
    assert_true(fake_wait_events("bus.resumed", 1));
    assert_int_not_equal(fake_wait_poll(0, true, at), SIZE_MAX);
    assert_int_equal(speed_of_line(), B115200);
    assert_int_equal(call(&q).st, ST_REFUSED);
}

static void a_pause_ends_when_its_time_is_over(void **state)
{
    (void)state;
    struct collect_reply r;
    char line[512];
    start_serial("\n  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    int held = pause_bus(300, &r);
    assert_true(held >= 0);
    ssize_t n = read(held, line, sizeof line - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_non_null(strstr(line, "the time of the pause is over"));
    assert_true(fake_wait_events("bus.resumed", 1));
    assert_int_not_equal(fake_wait_poll(0, true, fake_count()), SIZE_MAX);
    (void)close(held);
}

/* Somebody exchanged the device meanwhile, and gave the new one the old one's number. */
static void who_is_there_behind_a_pause_is_asked(void **state)
{
    (void)state;
    struct collect_reply r;
    assert_int_equal(slave_open_serial(&slave), 0);
    atomic_store(&slave.set[1][7], 4711);
    start(SERIAL, "\n  m: {bus: line, unit: 1, profile: meter, every: 100ms}\n");
    assert_int_not_equal(fake_wait_poll(0, true, fake_count()), SIZE_MAX);
    int held = pause_bus(60000, &r);
    assert_true(held >= 0);
    atomic_store(&slave.set[1][7], 4712);
    (void)close(held);
    assert_true(fake_wait_events("bus.resumed", 1));
    assert_true(fake_wait_events("device.changed", 1));
    assert_non_null(strstr(fake_event("device.changed", 0).text, "4712 instead of 4711"));
}

static void what_a_profile_forbids_is_not_asked_for_anybody(void **state)
{
    (void)state;
    start_serial("\n  a: {bus: line, unit: 1, profile: shy, every: 200ms}\n");
    struct collect_reply r = call(&of_three);
    assert_int_equal(r.fault, COLLECT_EXCEPTION);
    assert_string_equal(r.text, "the profile of a forbids to read that: it was not asked");
    assert_int_equal(ask_unit(9).fault, COLLECT_GOOD);
}

/* It may be asked for what it does not have: that says nothing of the line. (A refusal is never
 * what a busy machine makes of an answer.) */
static void what_a_person_asks_is_no_evidence_of_the_line(void **state)
{
    static const unsigned short all[256];
    static const struct slave_words words = {0, 256, all, 0};
    struct collect_ask q = of_three;
    (void)state;
    start_serial("\n  a: {bus: line, unit: 1, profile: three, every: 200ms}\n");
    atomic_store(&slave.words[1], &words);
    assert_int_not_equal(fake_wait_poll(0, true, 0), SIZE_MAX);
    q.address = 1000;
    for (int i = 0; i < 3; i++)
        assert_int_equal(call(&q).fault, COLLECT_EXCEPTION);
    for (size_t i = 0, at = fake_count(); i < 2; i++)
        at = fake_wait_poll(0, true, at) + 1;
    assert_true(fake_health(0).heard.good > 2);
    assert_int_equal(fake_health(0).heard.refused, 0);
}

/* ---- probes --------------------------------------------------------------------------------- */

static void a_probe_ends_the_back_off(void **state)
{
    (void)state;
    const struct collect_ask q = {.op = COLLECT_PROBE, .bus = "line", .unit = -1};
    start_serial("\n  a: {bus: line, unit: 1, profile: one, every: 500ms}\n"
                 "  b: {bus: line, unit: 2, profile: one, every: 500ms}\n");
    size_t at = fake_wait_poll(0, true, 0);
    (void)fake_wait_poll(1, true, 0);
    assert_false(call(&q).waited);
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    do
        at = fake_wait_poll(0, false, at + 1);
    while (fake_health(0).failures < 3); /* a probe in vain: the next is in more than 6 s */
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    int64_t from = clk_mono(clk_real()).ms;
    assert_true(call(&q).waited);
    at = fake_wait_poll(0, true, at + 1);
    assert_int_not_equal(at, SIZE_MAX);
    assert_true(clk_mono(clk_real()).ms - from < 2000);
}

/* ---- who may ask, and what ------------------------------------------------------------------ */

static int dial(void)
{
    struct sockaddr_un a;
    char name[CTL_NAME_BYTES];
    int folder, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(collect_ctl_address(store, &folder, name, &a, NULL), ST_OK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    (void)close(folder);
    return fd;
}

/* What comes back until the connection ends. */
static void say(const char *line, size_t n, char *back, size_t room)
{
    size_t at = 0;
    int fd = dial();
    (void)!send(fd, line, n, MSG_NOSIGNAL);
    for (ssize_t got; at + 1 < room && (got = read(fd, back + at, room - at - 1)) > 0;)
        at += (size_t)got;
    back[at] = '\0';
    (void)close(fd);
}

static void what_is_no_request_is_told_so(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "hello\n",
        "[]\n",
        "{\"op\":\"read\"}\n",
        "{\"op\":\"write\",\"bus\":\"line\"}\n",
        "{\"op\":\"read\",\"bus\":\"line\",\"unit\":1,\"function\":5,\"address\":0,\"count\":1}\n",
        "{\"op\":\"read\",\"bus\":\"line\",\"unit\":1,\"function\":3,\"address\":0,\"count\":126}"
        "\n",
        "{\"op\":\"read\",\"bus\":\"line\",\"unit\":1,\"function\":3,\"address\":65535,\"count\":2}"
        "\n",
        "{\"op\":\"read\",\"bus\":\"line\",\"unit\":1,\"function\":3,\"address\":0,\"count\":1,"
        "\"write\":1}\n",
        "{\"op\":\"pause\",\"bus\":\"line\",\"timeout\":99999999}\n",
        "{\"op\":\"setup\",\"bus\":\"line\",\"unit\":1,\"to_unit\":2,\"by\":\"m\"}\n",
        "{\"op\":\"setup\",\"bus\":\"line\",\"unit\":1,\"to_unit\":2,\"profile\":\"one\"}\n",
        "{\"op\":\"setup\",\"bus\":\"line\",\"unit\":0,\"to_unit\":2,\"profile\":\"one\","
        "\"by\":\"m\"}\n",
        "{\"op\":\"setup\",\"bus\":\"line\",\"unit\":1,\"to_unit\":248,\"profile\":\"one\","
        "\"by\":\"m\"}\n",
        "{\"op\":\"setup\",\"bus\":\"line\",\"unit\":1,\"to_unit\":2,\"to_baud\":1,\"profile\":"
        "\"one\",\"by\":\"m\"}\n",
        "{\"op\":\"probe\",\"bus\":\"line\"}\n{\"op\":\"probe\",\"bus\":\"line\"}\n",
    };
    char back[512], big[COLLECT_ASK_TEXT + 1];
    start_serial(" {}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        say(bad[i], strlen(bad[i]), back, sizeof back);
        if (!strstr(back, "\"st\":\"bad\""))
            fail_msg("%s: %s", bad[i], back);
    }
    memset(big, ' ', sizeof big);
    say(big, COLLECT_ASK_TEXT, back, sizeof back);
    assert_non_null(strstr(back, "at most 512 bytes"));
    assert_int_equal(ask_unit(1).fault, COLLECT_GOOD);
}

/* All places are taken by clients that say nothing: they lose them, and who asks is served. */
static void who_says_nothing_is_not_waited_for(void **state)
{
    (void)state;
    int mute[2 * COLLECT_ERRANDS_MAX];
    start_serial(" {}");
    int64_t from = clk_mono(clk_real()).ms;
    for (int i = 0; i < COLLECT_ERRANDS_MAX; i++)
        mute[i] = dial();
    assert_int_equal(ask_unit(1).fault, COLLECT_GOOD);
    assert_true(clk_mono(clk_real()).ms - from < 8000);
    for (int i = 0; i < COLLECT_ERRANDS_MAX; i++)
        (void)close(mute[i]);
}

/* Many ask and go before they are answered: nothing of them is left. */
static void who_goes_leaves_nothing_behind(void **state)
{
    (void)state;
    char text[COLLECT_ASK_TEXT];
    struct collect_ask q = of_three;
    start_serial(" {}");
    q.unit = 99;
    atomic_store(&slave.mood[99], SLAVE_MUTE);
    size_t n = collect_ask_print(&q, text);
    for (int i = 0; i < 3 * COLLECT_ERRANDS_MAX; i++) {
        int fd = dial();
        assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
        (void)close(fd);
    }
    assert_int_equal(ask_unit(1).fault, COLLECT_GOOD);
}

static void the_socket_is_its_owner_s_alone(void **state)
{
    (void)state;
    char path[300];
    struct stat sb;
    int status;
    start_serial(" {}");
    (void)snprintf(path, sizeof path, "%s.control", store);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    if (geteuid() != 0)
        SKIP("another user can be played by root alone");
    /* also when somebody opened it to all */
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chmod(rig.dir, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        struct collect_reply r;
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(9);
        if (access(path, W_OK) != 0) /* else nothing of ours would refuse it */
            _exit(8);
        _exit(collect_ctl_call(store, &of_three, &r, NULL, NULL) == ST_IO ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 8)
        SKIP("the folder of temporary files is closed to other users");
    assert_int_equal(status, 0);
    assert_int_equal(ask_unit(1).fault, COLLECT_GOOD);
}

/* ---- without a gateway ---------------------------------------------------------------------- */

static void a_line_is_one_program_s_alone(void **state)
{
    (void)state;
    struct collect_reply r;
    struct err e = {.text = ""};
    struct collect_cfg in;
    struct collect *own = NULL;
    struct thr_stop stop;
    start_serial("\n  a: {bus: line, unit: 1, profile: one, every: 200ms}\n");
    (void)fake_wait_poll(0, true, 0);
    in = rig.in;
    assert_int_equal(collect_open(&own, &in, rig.cfg, rig.dir, &e), ST_OK);
    assert_int_equal(thr_stop_open(&stop, &e), ST_OK);
    assert_int_equal(collect_ask_now(own, &rig.clk, &stop, &of_three, &r, &e), ST_OK);
    assert_int_equal(r.fault, COLLECT_LOST);
    assert_non_null(strstr(r.text, "another program uses it"));
    /* the gateway ends */
    thr_stop_now(&rig.stop);
    thr_join(&server);
    thr_join(&rig.thread);
    collect_port_free(rig.room->buses[0].port);
    rig.room->buses[0].port = NULL;
    collect_ctl_close(ctl);
    ctl = NULL;
    assert_int_equal(collect_ctl_call(store, &of_three, &r, NULL, &e), ST_NOT_FOUND);
    assert_string_equal(e.text, "no gateway runs with this configuration");
    collect_port_hurry(own->buses[0].port);
    assert_int_equal(collect_ask_now(own, &rig.clk, &stop, &of_three, &r, &e), ST_OK);
    assert_int_equal(r.fault, COLLECT_GOOD);
    assert_int_equal(r.data[1], 5);
    collect_close(own);
    thr_stop_close(&stop);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_teardown(f, end)
    const struct CMUnitTest tests[] = {
        CASE(a_bus_at_work_is_read_through_the_socket),
        CASE(a_refusal_and_a_silence_come_in_words),
        CASE(a_late_answer_is_never_the_answer_to_the_next_request),
        CASE(no_poll_waits_for_more_than_one_transaction),
        CASE(what_fits_between_two_polls_delays_none),
        CASE(settings_change_in_a_pause_and_come_back_when_its_client_has_gone),
        CASE(a_pause_ends_when_its_time_is_over),
        CASE(who_is_there_behind_a_pause_is_asked),
        CASE(what_a_profile_forbids_is_not_asked_for_anybody),
        CASE(what_a_person_asks_is_no_evidence_of_the_line),
        CASE(a_probe_ends_the_back_off),
        CASE(what_is_no_request_is_told_so),
        CASE(who_says_nothing_is_not_waited_for),
        CASE(who_goes_leaves_nothing_behind),
        CASE(the_socket_is_its_owner_s_alone),
        CASE(a_line_is_one_program_s_alone),
    };
    return skip_result(cmocka_run_group_tests_name("ctl", tests, NULL, NULL));
}
