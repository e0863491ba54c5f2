/* The node answers the frames of tests/golden/node.txt, which were written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/node.h"
#include "tests/firmware/fake.h"

#define NEVER_MS 1000000000U /* no chip is asked while a part runs */

static const struct sensor_output weather[] = {
    {60, -2, false, -4000, 12500},
    {61, -2, false, 0, 10000},
};
static const struct sensor_output water[] = {{137, -2, true, 0, INT32_MAX}};

/* ---- the states of the file's parts -----------------------------------------------------------
 */

static void sensor_is(unsigned i, uint8_t state, uint16_t samples, uint32_t age_ms)
{
    struct measure_sensor *s = &fake.node.measure.sensor[i];
    s->state = state;
    s->samples = samples;
    s->ever = samples > 0;
    s->good_ms = fake.node.now_ms - age_ms;
    s->due_ms = fake.node.now_ms + NEVER_MS;
    s->have = 1;
}

static void values_are(int32_t temperature, int32_t humidity, uint32_t pulses)
{
    fake.node.measure.last[0][0] = temperature;
    fake.node.measure.last[1][0] = humidity;
    fake.node.counters.now.total[0] = pulses;
}

static void as_all(void)
{
    fake_new();
    fake.serial = "FP000123";
    fake_add(weather, 2);
    fake_add(water, 1);
    assert_true(fake_boot());
    struct node *n = &fake.node;
    n->firmware = "1.0.0";
    n->config.kept.period_ds[1] = 5;
    n->config.kept.line.address = 17;
    memcpy(n->config.kept.serial[0], "SHT-0042", 8);
    record_save(&n->config.record);
    assert_true(fake_run(2000000));
    assert_true(fake_boot());
    n->firmware = "1.0.0";
    assert_true(fake_run(2000000));
}

static void as_values(void)
{
    sensor_is(0, NODE_GOOD, 300, 1200);
    sensor_is(1, NODE_GOOD, 600, 300);
    values_are(-525, 10250, 4711);
}

static void as_starting(void)
{
    as_values();
    sensor_is(0, NODE_STARTING, 0, 0);
    sensor_is(1, NODE_GOOD, 1, 300);
}

static void as_absent(void)
{
    sensor_is(0, NODE_ABSENT, 300, 65300);
    sensor_is(1, NODE_GOOD, 601, 0);
    values_are(-525, 10250, 4712);
    measure_calibrate(&fake.node.measure, 1, 60, fake.node.now_ms);
}

static void as_diagnostics(void)
{
    struct node *n = &fake.node;
    n->counters.now.boots = 7;
    n->counters.now.watchdogs = 1;
    n->uptime_s = 86461;
    n->second_ms = n->now_ms;
    n->reset_cause = NODE_RESET_WATCHDOG;
    n->slave.requests = 1233;
    n->slave.exceptions = 6;
    n->frame.crc_errors = 5;
    n->frame.flaws = 0;
}

/* Set before each exchange, for time goes by in them; as_values is for the parts without a line. */
static const struct {
    const char *name;
    void (*set)(void);
} parts[] = {
    {"starting", as_starting},
    {"absent", as_absent},
    {"diagnostics", as_diagnostics},
};

/* ---- the file -------------------------------------------------------------------------------- */

struct frame_text {
    char way; /* '>' or '<'; 0: none yet */
    bool none;
    uint8_t p[600];
    size_t n;
};

static struct frame_text asked, wanted;
static unsigned exchanges, nparts;
static char part[64];

static void hex(struct frame_text *f, const char *s)
{
    for (; *s != '\0' && *s != '#'; s++) {
        if (strncmp(s, "none", 4) == 0) {
            f->none = true;
            return;
        }
        if (isspace((unsigned char)*s))
            continue;
        char two[3] = {s[0], s[1], 0}, *end;
        f->p[f->n++] = (uint8_t)strtoul(two, &end, 16);
        if (end != two + 2)
            fail_msg("[%s]: \"%s\" is no hexadecimal", part, s);
        s++;
    }
}

static void show(const char *what, const uint8_t *p, size_t n)
{
    (void)printf("%s", what);
    for (size_t i = 0; i < n; i++)
        (void)printf(" %02X", p[i]);
    (void)printf("\n");
}

static void pose(void)
{
    void (*set)(void) = as_values;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(parts[i].name, part) == 0)
            set = parts[i].set;
    }
    set();
}

static void exchange(void)
{
    if (asked.way == 0 || wanted.way == 0)
        return;
    unsigned sends = fake.sends;
    pose();
    fake_say(asked.p, asked.n, 5000);
    for (unsigned ms = 0; ms < 300 && fake.sends == sends; ms++)
        assert_true(fake_run(1000));
    while (port_line_sending())
        assert_true(fake_run(1000));
    bool answered = fake.sends > sends;
    if (answered == wanted.none ||
        (answered && (fake.nsent != wanted.n || memcmp(fake.sent, wanted.p, wanted.n) != 0))) {
        show("asked ", asked.p, asked.n);
        show("wanted", wanted.p, wanted.n);
        show("came  ", fake.sent, answered ? fake.nsent : 0);
        fail_msg("[%s]", part);
    }
    exchanges++;
    asked.way = wanted.way = 0;
}

static void begin(struct frame_text *f, const char *line)
{
    *f = (struct frame_text){.way = line[0]};
    hex(f, line + 1);
}

static void begin_part(const char *line)
{
    exchange();
    nparts++;
    assert_int_equal(sscanf(line, "[%63[^]]]", part), 1);
    as_all();
}

static void frames_written_by_hand_are_answered_as_written(void **state)
{
    (void)state;
    char line[512];
    FILE *file = fopen(FP_SOURCE_DIR "/tests/golden/node.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '[') {
            begin_part(line);
        } else if (line[0] == '>') {
            exchange();
            begin(&asked, line);
        } else if (line[0] == '<') {
            begin(&wanted, line);
        } else if (line[0] == ' ' && (wanted.way || asked.way)) {
            hex(wanted.way ? &wanted : &asked, line);
        }
    }
    exchange();
    assert_int_equal(fclose(file), 0);
    assert_true(nparts >= 10 && exchanges >= 50);
    (void)printf("%u exchanges in %u parts\n", exchanges, nparts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_written_by_hand_are_answered_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
