/* Our sensor nodes: the frames of tests/golden/node.txt, nodes that are newer or older, chains
 * without sense, and the real bus thread on all that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "gateway/collect/node_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/golden_node.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"
#include "tests/support/temp.h"

#define SPACE 65536u
#define UNIT 17
enum { VALUES_AT = 75, VALUE = 5, HASH_AT = 37, BOOTS_AT = 96 };

static uint16_t space[SPACE];
static unsigned known; /* registers from 0 on that are there; the others are refused */

/* ---- walking --------------------------------------------------------------------------------- */

/* How many reads it took. */
static unsigned walk(struct collect_node_walk *w)
{
    uint16_t at, count;
    unsigned reads = 0;
    collect_node_walk_begin(w);
    while (collect_node_walk_next(w, &at, &count)) {
        uint8_t data[250];
        assert_true(count >= 1 && count <= 125);
        assert_true((unsigned)at + count <= SPACE);
        for (unsigned i = 0; i < count; i++) {
            data[2 * i] = (uint8_t)(space[at + i] >> 8);
            data[2 * i + 1] = (uint8_t)space[at + i];
        }
        collect_node_walk_heard(w, (unsigned)at + count <= known ? data : NULL);
        assert_true(++reads <= COLLECT_NODE_READS);
    }
    assert_true(w->state == COLLECT_NODE_DONE || w->state == COLLECT_NODE_BAD);
    assert_true((w->state == COLLECT_NODE_BAD) == (w->why[0] != '\0'));
    return reads;
}

static void use_golden(const char *part)
{
    unsigned short words[GOLDEN_WORDS];
    memset(space, 0, sizeof space);
    golden_words(part, words);
    for (unsigned i = 0; i < GOLDEN_WORDS; i++)
        space[i] = words[i];
    known = GOLDEN_WORDS;
}

static unsigned put(unsigned at, unsigned n, ...)
{
    va_list words;
    va_start(words, n);
    for (unsigned i = 0; i < n; i++)
        space[at + i] = (uint16_t)va_arg(words, unsigned);
    va_end(words);
    return at + n;
}

/* The check sum of the table of n registers at `from`, by a second reckoning (zlib's, bit by bit
 * from the other end would be no other; so by a table of remainders). */
static uint32_t sum_of(unsigned from, unsigned n)
{
    uint32_t table[256], crc = 0xFFFFFFFFU;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = table[i] & 1 ? 0xEDB88320U ^ table[i] >> 1 : table[i] >> 1;
    }
    for (unsigned i = 0; i < n; i++) {
        crc = table[(crc ^ space[from + i] >> 8) & 0xFF] ^ crc >> 8;
        crc = table[(crc ^ space[from + i]) & 0xFF] ^ crc >> 8;
    }
    return ~crc;
}

/* What a node may have more of than this version knows. */
struct newer {
    unsigned strange;      /* blocks of an unknown number before each known one */
    unsigned head, body;   /* registers more in each head, and in each entry */
    unsigned point, value; /* registers of an entry; 0: as this version has it */
    unsigned version;
};

static unsigned block(unsigned at, unsigned id, unsigned length)
{
    space[at] = (uint16_t)id;
    space[at + 1] = (uint16_t)length;
    return at + 2;
}

/* A node of two points, temperature 21.5 and co2 1234, by one sensor of 2.0 s. */
static void build(const struct newer *as)
{
    unsigned point = as->point ? as->point : 10 + as->body,
             value = as->value ? as->value : 5 + as->body;
    unsigned at = 3, table, identity, values, n;
    memset(space, 0xEE, sizeof space);
    (void)put(0, 3, 0x4650U, 0x6E64U, as->version ? as->version : 0x0103U);
    for (unsigned i = 0; i < as->strange; i++)
        at = block(at, 900 + i, i) + i;
    identity = block(at, 1, 34 + as->head);
    at = identity + 34 + as->head;
    memset(&space[identity], 0, 34 * sizeof *space);
    (void)put(identity, 2, 0x4649U, 0x0000U);      /* "FI" */
    (void)put(identity + 8, 2, 0x6E32U, 0x0000U);  /* "n2" */
    (void)put(identity + 24, 2, 0x5331U, 0x0000U); /* "S1" */
    for (unsigned i = 0; i < as->strange; i++)
        at = block(at, 910 + i, 3) + 3;
    n = 2 + as->head + 2 * point;
    table = block(at, 2, n);
    at = table + n;
    (void)put(table, 2, point, 2U);
    const unsigned points[2][10] = {{60, 1, 0xFFFF, 0, 0xFFFF, 0xFE70, 0, 1250, 0, 0},
                                    {24, 1, 0, 0, 0, 0, 0, 40000, 0, 0}};
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < point && k < 10; k++)
            space[table + 2 + as->head + i * point + k] = (uint16_t)points[i][k];
    n = 4 + as->head + 2 * value;
    values = block(at, 3, n);
    at = values + n;
    (void)put(values, 2, value, 2U);
    const unsigned v[2][5] = {{0, 215, 0, 10, 7}, {0, 1234, 6, 61, 7}};
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < value && k < 5; k++)
            space[values + 4 + as->head + i * value + k] = (uint16_t)v[i][k];
    n = 2 + as->head + 14 + as->body;
    at = block(at, 6, n);
    (void)put(at, 2, 14 + as->body, 1U);
    (void)put(at + 2 + as->head, 6, 1U, 0U, 0U, 20U, 0U, 0U);
    at += n;
    for (unsigned i = 0; i < as->strange; i++)
        at = block(at, 920 + i, 1) + 1;
    space[at] = 0xFFFF;
    known = at + 1;
    uint32_t sum = sum_of(table, 2 + as->head + 2 * point);
    (void)put(identity + 32, 2, sum >> 16, sum & 0xFFFFU);
    (void)put(values + 2, 2, sum >> 16, sum & 0xFFFFU);
}

static void table_of(struct collect_node_table *t)
{
    struct collect_node_walk w;
    (void)walk(&w);
    assert_string_equal(w.why, "");
    collect_node_table_read(&w, t);
}

static void is_refused(const char *why)
{
    struct collect_node_walk w;
    (void)walk(&w);
    if (!strstr(w.why, why))
        fail_msg("\"%s\" instead of \"%s\"", w.why, why);
}

/* ---- the golden frames ------------------------------------------------------------------------
 */

static void every_golden_frame_has_its_check_sum(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_count; i++) {
        struct golden_frame g = golden[i];
        uint8_t copy[GOLDEN_BYTES];
        bool wrong = g.request[g.nrequest - 1] == 0 && g.request[g.nrequest - 2] == 0;
        memcpy(copy, g.request, g.nrequest);
        assert_int_equal(collect_answer_seal(copy, g.nrequest - 2), g.nrequest);
        assert_int_equal(memcmp(copy, g.request, g.nrequest) != 0,
                         wrong); /* one is so on purpose */
        if (g.nanswer == 0)
            continue;
        memcpy(copy, g.answer, g.nanswer);
        assert_int_equal(collect_answer_seal(copy, g.nanswer - 2), g.nanswer);
        assert_memory_equal(copy, g.answer, g.nanswer);
    }
}

/* Byte by byte what a master sends and hears. NULL: no frame of it was typed. */
static const struct golden_frame *frame_of(uint16_t at, uint16_t count)
{
    uint8_t request[8] = {UNIT,          3, (uint8_t)(at >> 8), (uint8_t)at, (uint8_t)(count >> 8),
                          (uint8_t)count};
    assert_int_equal(collect_answer_seal(request, 6), 8);
    for (size_t i = 0; i < golden_count; i++)
        if (golden[i].nrequest == 8 && memcmp(golden[i].request, request, 8) == 0)
            return &golden[i];
    return NULL;
}

static void the_walk_sends_and_understands_the_golden_frames(void **state)
{
    (void)state;
    struct collect_node_walk w;
    struct collect_request r = {.function = 3};
    collect_node_walk_begin(&w);
    unsigned reads = 0;
    while (collect_node_walk_next(&w, &r.address, &r.count)) {
        const struct golden_frame *g = frame_of(r.address, r.count);
        struct collect_answer a;
        if (!g)
            fail_msg("nobody typed a frame for %u registers at %u", r.count, r.address);
        enum collect_fault f = collect_answer_check(g->answer, g->nanswer, -1, UNIT, &r, &a);
        assert_true(f == COLLECT_GOOD || (f == COLLECT_EXCEPTION && a.exception == 2));
        collect_node_walk_heard(&w, f == COLLECT_GOOD ? a.data : NULL);
        reads++;
    }
    assert_string_equal(w.why, "");
    assert_int_equal(reads, 14); /* mark, 7 heads, the end twice, 4 blocks */
    struct collect_node_table t;
    collect_node_table_read(&w, &t);
    assert_string_equal(t.vendor, "Fieldpost");
    assert_string_equal(t.model, "example-1");
    assert_string_equal(t.firmware, "1.0.0");
    assert_string_equal(t.serial, "FP000123");
    assert_int_equal(t.hash, 0xF4502E74);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.values.address, 75);
    assert_int_equal(t.head, 4);
    assert_int_equal(t.entry, 5);
    assert_int_equal(t.diagnostics.address, 96);
    const struct collect_node_point want[] = {{60, 1, 0, -2, true, false, -4000, 12500},
                                              {61, 1, 0, -2, true, false, 0, 10000},
                                              {137, 1, 1, -2, true, true, 0, 2147483647}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(t.points[i].quantity, want[i].quantity);
        assert_int_equal(t.points[i].instance, want[i].instance);
        assert_int_equal(t.points[i].sensor, want[i].sensor);
        assert_int_equal(t.points[i].exponent, want[i].exponent);
        assert_int_equal(t.points[i].ranged, want[i].ranged);
        assert_int_equal(t.points[i].counter, want[i].counter);
        assert_int_equal(t.points[i].min, want[i].min);
        assert_int_equal(t.points[i].max, want[i].max);
    }
    assert_int_equal(t.nsensors, 2);
    assert_int_equal(t.periods[0], 10);
    assert_int_equal(t.periods[1], 5);
}

/* ---- the profile ------------------------------------------------------------------------------
 */

#define STATES                                                                                     \
    "    function: 3\n    address: %d\n    type: u16\n    states:\n"                               \
    "      - {value: 0, name: good}\n      - {value: 1, name: starting}\n"                         \
    "      - {value: 2, name: absent, severity: error, do: \"This sensor of the node does not "    \
    "answer: check its plug and cable.\"}\n"                                                       \
    "      - {value: 3, name: fault, severity: error, do: \"This sensor of the node answers what " \
    "cannot be: check its cable, then change it.\"}\n"                                             \
    "      - {value: 4, name: beyond its limits}\n"                                                \
    "      - {value: 5, name: stale, severity: warning, do: \"This sensor of the node measures "   \
    "no "                                                                                          \
    "more: restart the node.\"}\n      - {value: 6, name: calibrating}\n"

static const char golden_profile[] =
    "# What this node says of itself. fieldpost wrote it, and writes it anew when the node says\n"
    "# something else.\n"
    "model: \"Fieldpost example-1\"\n"
    "what: sensor node\n"
    "source: the node itself\n"
    "verified: true\n"
    "node: {values: 75, length: 19, head: 4, entry: 5, diagnostics: 96}\n"
    "points:\n"
    "  - {name: temperature, quantity: temperature, function: 3, address: 79, type: s32, scale: "
    "0.01, no_value: [-2147483648], valid: [-40, 125]}\n"
    "  - name: temperature_sensor\n" STATES
    "  - {name: humidity, quantity: humidity, function: 3, address: 84, type: s32, scale: 0.01, "
    "no_value: [-2147483648], valid: [0, 100]}\n"
    "  - {name: water_total, quantity: water_total, function: 3, address: 89, type: s32, scale: "
    "0.01, no_value: [-2147483648], rollover: 21474836.48}\n"
    "  - name: water_total_sensor\n" STATES
    "  - {name: node_boots, function: 3, address: 96, quantity: counter, type: u32}\n"
    "  - {name: node_uptime, function: 3, address: 98, quantity: uptime, type: u32}\n"
    "  - {name: node_watchdogs, function: 3, address: 101, quantity: counter, type: u16}\n"
    "  - {name: node_crc_errors, function: 3, address: 104, quantity: number, type: u32}\n"
    "  - {name: node_supply, function: 3, address: 112, quantity: supply_voltage, type: u16, "
    "scale: "
    "0.001, no_value: [0xFFFF]}\n"
    "  - {name: node_temperature, function: 3, address: 113, quantity: device_temperature, type: "
    "s16, scale: 0.1, no_value: [0x8000]}\n"
    "  - {name: node_reset, function: 3, address: 100, type: u16, states: [{value: 0, name: "
    "unknown}, {value: 1, name: power}, {value: 2, name: watchdog, severity: warning}, {value: 3, "
    "name: command}, {value: 4, name: fault, severity: warning}]}\n"
    "  - {name: node_firmware, function: 3, address: 21, type: string, count: 8}\n"
    "  - {name: node_serial, identity: serial, function: 3, address: 29, type: string, count: 8}\n";

static void profile_of(const struct collect_node_table *t, char *text, size_t n, char *said,
                       size_t nsaid)
{
    struct buf out = {.max = 1 << 16};
    assert_int_equal(collect_node_profile(t, &out, said, nsaid), ST_OK);
    assert_true(out.n < n);
    memcpy(text, out.p, out.n);
    text[out.n] = '\0';
    buf_done(&out);
}

static void what_a_node_says_is_a_profile(void **state)
{
    (void)state;
    struct collect_node_table t;
    char want[8192], text[8192], said[200];
    use_golden(NULL);
    table_of(&t);
    profile_of(&t, text, sizeof text, said, sizeof said);
    (void)snprintf(want, sizeof want, golden_profile, 81, 91);
    assert_string_equal(text, want);
    assert_string_equal(said, "Fieldpost example-1: temperature, humidity, water_total");
}

static void names_are_those_of_quantities_each_once(void **state)
{
    (void)state;
    struct collect_node_table t;
    char text[16384], said[300];
    const struct collect_node_point points[] = {
        {.quantity = 60, .instance = 1, .sensor = 0},
        {.quantity = 60, .instance = 2, .sensor = 1},
        {.quantity = 60, .instance = 2, .sensor = 2},
        {.quantity = 60, .instance = 0, .sensor = 3},
        {.quantity = 9999, .instance = 1, .sensor = 4},
        {.quantity = 61, .instance = 1, .exponent = 10},
        {.quantity = 24, .instance = 1, .exponent = 2, .sensor = 4}};
    use_golden(NULL);
    table_of(&t);
    t.n = t.entries = sizeof points / sizeof *points;
    memcpy(t.points, points, sizeof points);
    profile_of(&t, text, sizeof text, said, sizeof said);
    assert_string_equal(said,
                        "Fieldpost example-1: temperature, temperature_2, temperature_3, "
                        "temperature_4, co2; left out: quantity 9999, which is not known here "
                        "(a newer fieldpost may know it), a point of the exponent 10, which "
                        "cannot be");
    /* the place of what is left out stays its own */
    assert_non_null(strstr(text, "{name: co2, quantity: co2, function: 3, address: 109, type: s32, "
                                 "scale: 100, "));
}

/* ---- other versions ---------------------------------------------------------------------------
 */

static void a_newer_node_is_read_as_far_as_it_is_known(void **state)
{
    (void)state;
    struct collect_node_table plain, t;
    char text[2][8192], said[200];
    const struct newer same = {.version = 0x0100}, more = {.strange = 3, .head = 5, .body = 4};
    build(&same);
    table_of(&plain);
    build(&more);
    table_of(&t);
    assert_memory_equal(t.points, plain.points, sizeof t.points);
    assert_int_equal(t.head, 9);
    assert_int_equal(t.entry, 9);
    assert_int_equal(t.periods[0], 20);
    profile_of(&plain, text[0], sizeof text[0], said, sizeof said);
    profile_of(&t, text[1], sizeof text[1], said, sizeof said);
    assert_string_equal(said, "FI n2: temperature, co2");
    assert_non_null(strstr(text[0], "node: {values: 65, length: 14, head: 4, entry: 5}"));
    assert_non_null(strstr(text[1], "length: 27, head: 9, entry: 9}"));
    (void)snprintf(text[0], sizeof text[0], "{name: co2, quantity: co2, function: 3, address: %d,",
                   t.values.address + 9 + 9);
    assert_non_null(strstr(text[1], text[0]));
}

static void an_older_nodes_short_entries_lack_what_is_not_there(void **state)
{
    (void)state;
    struct collect_node_table t;
    char text[8192], said[200];
    const struct newer less = {.point = 3, .value = 3};
    build(&less);
    table_of(&t);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.points[0].sensor, UINT16_MAX);
    assert_false(t.points[0].ranged);
    assert_false(t.points[0].counter);
    profile_of(&t, text, sizeof text, said, sizeof said);
    assert_null(strstr(text, "valid"));
    assert_non_null(strstr(text, "head: 4, entry: 3}"));
}

static void another_major_version_is_refused_in_words(void **state)
{
    (void)state;
    const struct newer next = {.version = 0x0200}, before = {.version = 0x0009};
    build(&next);
    is_refused("a node of version 2.0, and this fieldpost reads version 1: update fieldpost");
    build(&before);
    is_refused(
        "a node of version 0.9, and this fieldpost reads version 1: update the node's firmware");
}

/* ---- what cannot be ---------------------------------------------------------------------------
 */

static void what_a_chain_cannot_be_is_told(void **state)
{
    (void)state;
    const struct newer plain = {.version = 0x0100};
    const struct {
        unsigned at, word;
        const char *why;
    } wrong[] = {{1, 0x6E65, "it is none of our nodes"},
                 {4, 0xFFFF, "its block 1 at address 3 cannot be 65535 registers long"},
                 {4, 2, "breaks off"},
                 {37, 0, "its check sum is"},
                 {41, 9, "its check sum is"},
                 {42, 0, "its check sum is"},
                 {67, 1, "its values are not those of its table of points"},
                 {65, 6, "its values cannot be: 2 entries of 6 registers in 14, for 2 points"},
                 {66, 3, "its values cannot be"},
                 {3, 7, "its block 1 is not there, or too short"},
                 {39, 7, "its block 2 is not there, or too short"},
                 {63, 7, "its block 3 is not there, or too short"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        build(&plain);
        space[wrong[i].at] = (uint16_t)wrong[i].word;
        is_refused(wrong[i].why);
    }
    build(&plain);
    known--;
    is_refused("breaks off: at address");
    build(&plain);
    known = 50;
    is_refused("breaks off: at address 63");
    memset(space, 0, sizeof space);
    (void)put(0, 3, 0x4650U, 0x6E64U, 0x0100U);
    known = SPACE;
    is_refused("its chain of blocks has no end: more than 64");
    known = 0;
    is_refused("it is none of our nodes");
}

/* The chain goes on up to the last register, where the end alone has room. */
static void a_chain_may_end_at_the_last_address(void **state)
{
    (void)state;
    struct collect_node_table t;
    const struct newer plain = {.version = 0x0100};
    build(&plain);
    unsigned at = known - 1;
    (void)block(at, 900, 65535 - at - 2);
    space[65535] = 0xFFFF;
    known = SPACE;
    table_of(&t);
    assert_int_equal(t.n, 2);
    space[65535] = 1;
    is_refused("at address 65535 there is neither a block nor the end");
}

/* Any words at all, and good chains with some words changed: it ends, in bounds, and what it takes
 * makes a profile. */
static void any_chain_comes_to_an_end(void **state)
{
    (void)state;
    unsigned seed = 58, done = 0;
    for (unsigned round = 0; round < 4000; round++) {
        struct newer as = {.version = 0x0100};
        struct collect_node_walk w;
        seed = seed * 1103515245U + 12345U;
        as.strange = seed >> 16 & 3;
        as.head = seed >> 18 & 7;
        as.body = seed >> 21 & 7;
        build(&as);
        for (unsigned k = seed >> 24 & 3; k > 0; k--) {
            seed = seed * 1103515245U + 12345U;
            space[3 + (seed >> 8) % (known - 3)] =
                (uint16_t)(seed >> 24 & 1 ? seed >> 4 : seed >> 26);
        }
        (void)walk(&w);
        if (w.state != COLLECT_NODE_DONE)
            continue;
        struct collect_node_table t;
        char text[16384], said[64];
        done++;
        collect_node_table_read(&w, &t);
        assert_true(t.n >= 1 && t.n <= COLLECT_NODE_POINTS);
        assert_true(t.head + t.entries * t.entry <= t.values.length);
        profile_of(&t, text, sizeof text, said, sizeof said);
    }
    assert_true(done > 500);
}

/* ---- what a value is worth --------------------------------------------------------------------
 */

static void a_value_counts_by_its_state_and_age(void **state)
{
    (void)state;
    const struct {
        unsigned state, age, period;
        bool counts, stale;
        uint16_t q;
    } cases[] = {{0, 0, 10, true, false, 0},        {0, 30, 10, true, false, 0},
                 {0, 31, 10, false, true, 0},       {0, 0xFFFF, 10, false, true, 0},
                 {0, 0xFFFF, 0, false, true, 0},    {0, 60000, 0, true, false, 0},
                 {0, 65534, 30000, true, false, 0}, {1, 0, 10, false, false, 0},
                 {2, 0, 10, false, false, 0},       {3, 0, 10, false, false, 0},
                 {4, 0, 10, true, false, 1},        {4, 31, 10, false, true, 1},
                 {5, 0, 10, false, false, 0},       {6, 9, 10, true, false, 8},
                 {7, 0, 10, false, false, 0},       {65535, 0, 10, false, false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t q;
        bool stale;
        assert_int_equal(
            collect_node_counts(cases[i].state, cases[i].age, cases[i].period, &q, &stale),
            cases[i].counts);
        assert_int_equal(stale, cases[i].stale);
        if (cases[i].counts)
            assert_int_equal(q, cases[i].q);
    }
}

/* ---- on a bus ---------------------------------------------------------------------------------
 */

static struct slave slave;
static struct rig rig;
static struct slave_words held[8];
static unsigned short copies[8][1024];
static unsigned nheld;
static char *folder, nodes[300], file[320];

/* What the unit has from now on; every copy stands as long as it may be asked. */
static unsigned short *lay(void)
{
    for (unsigned i = 0; i < known; i++)
        copies[nheld][i] = space[i];
    held[nheld] = (struct slave_words){0, known, copies[nheld], 0};
    atomic_store(&slave.words[UNIT], &held[nheld]);
    return copies[nheld++];
}

static void lay_golden(const char *part)
{
    use_golden(part);
    (void)lay();
}

static void start(const char *more)
{
    char text[512];
    bool serial = slave.address[0] == '/';
    (void)snprintf(text, sizeof text,
                   "buses:\n  plant: {type: modbus-%s, port: %s, timeout: 100ms}\ndevices:\n"
                   "  n: {bus: plant, unit: %d, profile: node, every: 100ms%s}\n",
                   serial ? "rtu" : "tcp, host: 127.0.0.1", slave.address, UNIT, more);
    rig_start(&rig, text);
}

static void stop(void)
{
    if (rig.dir)
        (void)rig_stop(&rig);
    rig = (struct rig){0};
}

static int begin(void **state)
{
    (void)state;
    nheld = 0;
    rig_reloads = 0;
    folder = temp_make();
    (void)snprintf(nodes, sizeof nodes, "%s/nodes", folder);
    (void)snprintf(file, sizeof file, "%s/n.yaml", nodes);
    rig_nodes = nodes;
    return slave_open_tcp(&slave, "");
}

static int end(void **state)
{
    (void)state;
    stop();
    slave_close(&slave);
    slave = (struct slave){0};
    temp_done(folder);
    folder = NULL;
    rig_nodes = NULL;
    return 0;
}

/* Meets the node, as the first start does. */
static void meet(const char *more)
{
    start(more);
    assert_true(fake_wait_events("device.learned", 1));
    stop();
    assert_int_equal(access(file, R_OK), 0);
}

/* As if its file was written long ago. */
static void age_file(void)
{
    const struct timeval t[2] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimes(file, t), 0);
}

/* The first values of the next good poll (or, without the first, the next bad one), and flags. */
static size_t next_is(size_t after, bool good, size_t n, const char *const v[], const uint16_t *q)
{
    char text[NUM_TEXT_BYTES];
    size_t at = fake_wait_poll(0, good, after);
    assert_int_not_equal(at, SIZE_MAX);
    struct fake_poll p = fake_at(at);
    assert_true(p.p.n >= n);
    assert_int_equal(p.p.cause, STORE_DEVICE);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(num_text(p.v[i].v, text), v[i]);
        assert_int_equal(p.v[i].q, q[i]);
    }
    return at;
}

static const char *const right[] = {"-5.25", "102.5", "47.11", "7", "86461", "1", "5", "3.312"};
static const uint16_t right_q[] = {0, 1, 0, 0, 0, 0, 0, 0};

static void a_node_is_met_and_read_from_the_next_start_on(void **state)
{
    for (unsigned serial = 0; serial < 2; serial++) {
        char want[8192], text[8192] = "", note[STORE_NOTE_BYTES];
        (void)end(state);
        assert_int_equal(begin(state), 0);
        if (serial) {
            slave_close(&slave);
            slave = (struct slave){0};
            assert_int_equal(slave_open_serial(&slave), 0);
        }
        lay_golden(NULL);
        start("");
        assert_true(fake_wait_events("device.learned", 1));
        assert_string_equal(fake_event("device.learned", 0).text,
                            "it is Fieldpost example-1: temperature, humidity, water_total");
        assert_int_equal(rig_reloads, 1);
        assert_int_equal(fake_count(), 0); /* it has no series yet, and so no gaps */
        stop();
        FILE *f = fopen(file, "r");
        assert_non_null(f);
        (void)!fread(text, 1, sizeof text - 1, f);
        (void)fclose(f);
        (void)snprintf(want, sizeof want, golden_profile, 81, 91);
        assert_string_equal(text, want);
        start("");
        (void)next_is(0, true, 8, right, right_q);
        assert_true(fake_wait_events("device.text", 1));
        assert_string_equal(fake_event("device.text", 0).subject, "n/node_firmware");
        (void)fake_wait_poll(0, true, fake_count());
        fake_note("serial", "n", note);
        assert_string_equal(note, "FP000123");
        assert_int_equal(fake_events("device.learned"), 0);
        assert_int_equal(fake_events("device.node"), 0);
        assert_int_equal(rig_reloads, 1);
        assert_int_equal(fake_health(0).state, STORE_GOOD);
    }
}

static void states_are_flags_and_gaps(void **state)
{
    (void)state;
    const char *const none[] = {"", "", "47.11"}, *const absent[] = {"", "", "47.12"};
    const uint16_t no_q[] = {0, 0, 0}, calibrating[] = {0, 0, 8};
    lay_golden(NULL);
    meet("");
    start("");
    size_t at = next_is(0, true, 8, right, right_q);
    lay_golden("starting");
    at = next_is(at + 1, false, 3, none, no_q);
    lay_golden("absent");
    at = fake_wait_poll(0, false, fake_count() + 1);
    (void)next_is(at, false, 3, absent, calibrating);
    assert_int_equal(fake_events("device.node"), 0);
    stop();
    struct store_health h = fake_health(0);
    assert_int_equal(h.state, STORE_FAULTY);
    assert_string_equal(h.text, "It says temperature_sensor: absent. This sensor of the node does "
                                "not answer: check its plug and cable.");
}

static void what_is_too_old_is_no_value(void **state)
{
    (void)state;
    const char *const old[] = {"", "102.5", "47.11"};
    const uint16_t q[] = {0, 1, 0};
    lay_golden(NULL);
    meet("");
    use_golden(NULL);
    space[VALUES_AT + 4 + 3] = 31; /* 3.1 s, of a sensor of 1.0 s */
    (void)lay();
    start("");
    (void)next_is(0, false, 3, old, q);
    assert_true(fake_wait_events("device.node", 1));
    assert_non_null(strstr(fake_event("device.node", 0).text, "temperature"));
}

/* The proof in front of the values: without it none of them counts, and the node is looked at. */
static void values_of_another_table_do_not_count(void **state)
{
    (void)state;
    const unsigned places[] = {VALUES_AT - 1, VALUES_AT, VALUES_AT + 1, VALUES_AT + 2,
                               VALUES_AT + 3};
    lay_golden(NULL);
    meet("");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        nheld = 0;
        lay_golden(NULL);
        start("");
        size_t at = next_is(0, true, 8, right, right_q);
        use_golden(NULL);
        space[places[i]]++;
        space[VALUES_AT + 4] = 0; /* another value beside it: 649.85, … */
        (void)lay();
        assert_true(fake_wait_events("device.node", 1));
        size_t bad = fake_wait_poll(0, false, at);
        assert_int_not_equal(bad, SIZE_MAX);
        for (; at < bad; at++) /* … which nobody ever takes */
            assert_true(fake_at(at).v[0].v.kind == NUM_NONE || fake_at(at).v[0].v.i == -525);
        assert_non_null(strstr(fake_event("device.node", 0).text, "its table has changed"));
        stop();
    }
}

static void other_diagnostics_do_not_count_and_the_values_do(void **state)
{
    (void)state;
    const char *const without[] = {"-5.25", "102.5", "47.11", "", "", ""};
    lay_golden(NULL);
    meet("");
    lay_golden(NULL);
    start("");
    size_t at = next_is(0, true, 8, right, right_q);
    use_golden(NULL);
    space[BOOTS_AT - 1]++;
    (void)lay();
    size_t bad = fake_wait_poll(0, false, at); /* the table is another without them */
    assert_int_not_equal(bad, SIZE_MAX);
    at = bad - 1;
    (void)next_is(at, true, 6, without, right_q);
}

static void a_changed_table_is_taken_over_once_in_ten_minutes(void **state)
{
    (void)state;
    const struct newer two = {.version = 0x0100};
    lay_golden(NULL);
    meet("");
    lay_golden(NULL);
    start("");
    (void)next_is(0, true, 8, right, right_q);
    build(&two);
    (void)lay();
    assert_true(fake_wait_events("device.node", 2));
    assert_string_equal(fake_event("device.node", 0).text,
                        "its table has changed: it is read again");
    assert_non_null(strstr(fake_event("device.node", 1).text, "it is taken over in "));
    assert_int_equal(rig_reloads, 1);
    stop();
    age_file();
    start("");
    assert_true(fake_wait_events("device.learned", 1));
    assert_string_equal(fake_event("device.learned", 0).text, "it is FI n2: temperature, co2");
    assert_int_equal(rig_reloads, 2);
    stop();
    const char *const values[] = {"21.5", ""};
    const uint16_t q[] = {0, 0};
    start("");
    (void)next_is(0, true, 2, values, q); /* co2 is 6.1 s old, of a sensor of 2.0 s */
}

static void a_newer_nodes_values_are_found_by_its_lengths(void **state)
{
    (void)state;
    const struct newer more = {.strange = 2, .head = 3, .body = 2};
    const char *const values[] = {"21.5"};
    const uint16_t q[] = {0};
    build(&more);
    (void)lay();
    meet("");
    start("");
    (void)next_is(0, true, 1, values, q);
}

/* More than one request holds, and more than are taken. */
static void a_node_of_forty_points_gives_the_first_thirty_two(void **state)
{
    (void)state;
    enum { POINTS = 40, TABLE = 41, HEADS = TABLE + 2 + 10 * POINTS + 2 };
    const char *const values[] = {"100", "101", "102"};
    const uint16_t q[] = {0, 0, 0};
    memset(space, 0, sizeof space);
    (void)put(0, 3, 0x4650U, 0x6E64U, 0x0100U);
    (void)block(block(3, 1, 34) + 34, 2, 2 + 10 * POINTS);
    (void)put(TABLE, 2, 10U, (unsigned)POINTS);
    for (unsigned i = 0; i < POINTS; i++) /* numbers, by no sensor that it tells of */
        (void)put(TABLE + 2 + 10 * i, 8, 1U, i + 1, 0U, 99U, 0U, 0U, 0U, 1000U);
    (void)block(HEADS - 2, 3, 4 + 5 * POINTS);
    (void)put(HEADS, 2, 5U, (unsigned)POINTS);
    for (unsigned i = 0; i < POINTS; i++)
        (void)put(HEADS + 4 + 5 * i, 3, 0U, 100 + i, 0U);
    known = HEADS + 4 + 5 * POINTS + 1;
    space[known - 1] = 0xFFFF;
    uint32_t sum = sum_of(TABLE, 2 + 10 * POINTS);
    (void)put(37, 2, sum >> 16, sum & 0xFFFFU);
    (void)put(HEADS + 2, 2, sum >> 16, sum & 0xFFFFU);
    (void)lay();
    meet("");
    start("");
    size_t at = next_is(0, true, 3, values, q);
    assert_int_equal(fake_at(at).p.n, 32);
    assert_int_equal(rig.room->devices[0].plan.nrequests, 2);
}

static void a_damaged_file_is_no_mistake_of_the_configuration(void **state)
{
    (void)state;
    static const char plain[] = "points:\n  - {name: p, quantity: number, function: 3, address: 1, "
                                "type: u16}\n";
    static const char *const damaged[] = {"", "points: [", "model: x\n", plain};
    lay_golden(NULL);
    meet("");
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        FILE *f = fopen(file, "w");
        assert_non_null(f);
        assert_true(fputs(damaged[i], f) >= 0);
        (void)fclose(f);
        age_file();
        meet("");
        assert_true(rig_reloads == 2 + i);
    }
    start("");
    (void)next_is(0, true, 8, right, right_q);
}

static void points_of_the_configuration_that_it_has_not_are_told(void **state)
{
    (void)state;
    const char *const one[] = {"102.5"};
    const uint16_t q[] = {1};
    lay_golden(NULL);
    meet(", points: [humidity, pm25]");
    start(", points: [humidity, pm25]");
    (void)next_is(0, true, 1, one, q);
    assert_int_equal(fake_at(0).p.n, 1);
    assert_true(fake_wait_events("device.lacks", 1));
    assert_string_equal(fake_event("device.lacks", 0).text,
                        "the configuration names points that it does not have: pm25");
}

static void what_is_no_node_is_told(void **state)
{
    (void)state;
    use_golden(NULL);
    space[0] = 0;
    (void)lay();
    start("");
    assert_true(fake_wait_events("device.node", 1));
    assert_non_null(strstr(fake_event("device.node", 0).text, "none of our nodes"));
    assert_int_equal(rig_reloads, 0);
    stop(); /* its poll goes to its end */
    assert_int_equal(fake_health(0).state, STORE_FAULTY);
}

/* ---- in a scan --------------------------------------------------------------------------------
 */

static enum st ask(void *ctx, const struct collect_ask *q, struct collect_reply *r, struct err *e)
{
    (void)e;
    *(unsigned *)ctx += 1;
    *r = (struct collect_reply){.st = ST_OK};
    assert_int_equal(q->function, 3);
    if (q->address + q->count > known) {
        r->fault = COLLECT_EXCEPTION;
        return ST_OK;
    }
    for (unsigned i = 0; i < q->count; i++) {
        r->data[2 * i] = (uint8_t)(space[q->address + i] >> 8);
        r->data[2 * i + 1] = (uint8_t)space[q->address + i];
    }
    r->bytes = (size_t)2 * q->count;
    return ST_OK;
}

static void a_scan_knows_a_node_and_says_what_it_is(void **state)
{
    (void)state;
    unsigned asked = 0;
    const struct collect_scan_calls calls = {.ctx = &asked, .ask = ask};
    const struct collect_ask base = {.unit = UNIT};
    struct collect_fit fit;
    struct err e;
    bool is;
    use_golden(NULL);
    assert_int_equal(collect_node_fit(&calls, &base, &is, &fit, &e), ST_OK);
    assert_true(is && fit.fits);
    assert_string_equal(fit.name, "node");
    assert_string_equal(fit.model, "Fieldpost example-1");
    assert_string_equal(fit.why, "serial number FP000123, firmware 1.0.0, it measures temperature, "
                                 "humidity, water_total");
    assert_int_equal(asked, 14);
    space[2] = 0x0200;
    assert_int_equal(collect_node_fit(&calls, &base, &is, &fit, &e), ST_OK);
    assert_true(is && !fit.fits);
    assert_non_null(strstr(fit.why, "version 2.0"));
    asked = 0;
    space[0] = 1;
    assert_int_equal(collect_node_fit(&calls, &base, &is, &fit, &e), ST_OK);
    assert_false(is);
    assert_int_equal(asked, 1);
}

static int load(void **state)
{
    (void)state;
    golden_load(FP_SOURCE_DIR "/tests/golden/node.txt");
    return 0;
}

#define TEST(f) cmocka_unit_test(f)
#define ON_BUS(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_golden_frame_has_its_check_sum),
        TEST(the_walk_sends_and_understands_the_golden_frames),
        TEST(what_a_node_says_is_a_profile),
        TEST(names_are_those_of_quantities_each_once),
        TEST(a_newer_node_is_read_as_far_as_it_is_known),
        TEST(an_older_nodes_short_entries_lack_what_is_not_there),
        TEST(another_major_version_is_refused_in_words),
        TEST(what_a_chain_cannot_be_is_told),
        TEST(a_chain_may_end_at_the_last_address),
        TEST(any_chain_comes_to_an_end),
        TEST(a_value_counts_by_its_state_and_age),
        ON_BUS(a_node_is_met_and_read_from_the_next_start_on),
        ON_BUS(states_are_flags_and_gaps),
        ON_BUS(what_is_too_old_is_no_value),
        ON_BUS(values_of_another_table_do_not_count),
        ON_BUS(other_diagnostics_do_not_count_and_the_values_do),
        ON_BUS(a_changed_table_is_taken_over_once_in_ten_minutes),
        ON_BUS(a_newer_nodes_values_are_found_by_its_lengths),
        ON_BUS(a_node_of_forty_points_gives_the_first_thirty_two),
        ON_BUS(a_damaged_file_is_no_mistake_of_the_configuration),
        ON_BUS(points_of_the_configuration_that_it_has_not_are_told),
        ON_BUS(what_is_no_node_is_told),
        TEST(a_scan_knows_a_node_and_says_what_it_is),
    };
    return cmocka_run_group_tests_name("node", tests, load, NULL);
}
