/* Every rule of the contract that one batch can break alone, broken once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

/* A whole batch from a protected header and a payload in hex; its signature is not looked at. */
static enum st open_hex(const char *header, const char *payload, struct err *e)
{
    uint8_t h[512], p[512], msg[1200], *m = msg;
    size_t hn = strlen(header) / 2, pn = strlen(payload) / 2;
    struct wire_batch b;
    enum st st;

    assert_true(wire_unhex(header, h, hn) && wire_unhex(payload, p, pn));
    *m++ = 0xd2;
    *m++ = 0x84;
    m = wire_store_head(m, 2, hn);
    memcpy(m, h, hn);
    m += hn;
    *m++ = 0xa0;
    m = wire_store_head(m, 2, pn);
    memcpy(m, p, pn);
    m += pn;
    m = wire_store_head(m, 2, 64);
    memset(m, 1, 64);
    m += 64;
    st = wire_batch_open(&b, msg, (size_t)(m - msg), e);
    wire_batch_done(&b);
    return st;
}

/* The pieces of a header, in order; the first byte of the map is counted from them. */
enum {
    ALG,
    CRIT,
    TYPE,
    KID,
    V,
    GW,
    TO,
    CLK,
    FOR,
    SEQ,
    BOOT,
    FROM,
    GAPS,
    PREV,
    STEP,
    AFTER,
    CHAIN,
    PIECES
};
static const char *const good[PIECES] = {
    "0126",
    "",
    "031870",
    "04480102030405060708",
    "617601",
    "6267776167",
    "62746f1b000001a202b2aee0",
    "63636c6b00",
    "",
    "6373657102",
    "64626f6f74480000000000000000",
    "6466726f6d1b000001a202ae1b00",
    "646761707380",
    "647072657658200000000000000000000000000000000000000000000000000000000000000000",
    "",
    "",
    "65636861696e480000000000000000",
};

/* The header in hex with up to two pieces replaced. */
static const char *header(int which, const char *piece, int other, const char *instead)
{
    static char hex[1024];
    size_t n = 2, members = 0;
    int i;

    for (i = 0; i < PIECES; i++) {
        const char *s = i == which ? piece : i == other ? instead : good[i];

        memcpy(hex + n, s, strlen(s));
        n += strlen(s);
        members += s[0] != 0;
    }
    hex[n] = 0;
    hex[0] = 'a';
    hex[1] = "0123456789abcdef"[members];
    return hex;
}

static enum st with(int which, const char *piece, int other, const char *instead, struct err *e)
{
    return open_hex(header(which, piece, other, instead), "80", e);
}

static void the_header_that_the_others_break_is_good(void **state)
{
    struct err e = {0};

    (void)state;
    assert_ok(with(-1, NULL, -1, NULL, &e), &e);
    assert_ok(with(STEP, "6473746570f5", -1, NULL, &e), &e);
    assert_ok(with(CLK, "63636c6b02", -1, NULL, &e), &e);
    assert_ok(with(STEP, "647374656f00", -1, NULL, &e), &e); /* unknown: kept and ignored */
    assert_ok(
        with(GAPS, "64676170738184612a1b000001a202ae1b001b000001a202ae1b01636f6666", -1, NULL, &e),
        &e);
    assert_ok(with(FOR, "63666f72820101", -1, NULL, &e), &e);
}

static void each_broken_header_is_refused(void **state)
{
    static const struct {
        const char *what;
        int which;
        const char *piece;
        int other;
        const char *instead;
    } bad[] = {
        {"alg ES384", ALG, "013822", -1, NULL},
        {"no alg", ALG, "", -1, NULL},
        {"a critical header", CRIT, "028101", -1, NULL},
        {"another content type", TYPE, "031871", -1, NULL},
        {"a type of neither", TYPE, "036161", -1, NULL},
        {"the same with the window of a control batch", TYPE, "036161", TO,
         "62746f1b000001a202ae1b00"},
        {"a kid of 7 bytes", KID, "044701020304050607", -1, NULL},
        {"no kid", KID, "", -1, NULL},
        {"no v", V, "", -1, NULL},
        {"gw with a slash", GW, "62677763612f62", -1, NULL},
        {"an empty gw", GW, "62677760", -1, NULL},
        {"to before from", TO, "62746f00", -1, NULL},
        {"clk 4", CLK, "63636c6b04", -1, NULL},
        {"for of a later batch", FOR, "63666f72820102", -1, NULL},
        {"seq 0", SEQ, "6373657100", PREV, ""},
        {"seq 1 with prev", SEQ, "6373657101", -1, NULL},
        {"seq 1 with neither", SEQ, "6373657101", PREV, ""},
        {"seq 2 without prev", PREV, "", -1, NULL},
        {"prev and after", AFTER, "656166746572f6", -1, NULL},
        {"seq above 2^63", SEQ, "637365711bffffffffffffffff", -1, NULL},
        {"a boot of 7 bytes", BOOT, "64626f6f744700000000000000", -1, NULL},
        {"no boot", BOOT, "", -1, NULL},
        {"no gaps", GAPS, "", -1, NULL},
        {"step false", STEP, "6473746570f4", -1, NULL},
        {"no chain", CHAIN, "", -1, NULL},
        {"a key twice", FOR, "63636c6b00", -1, NULL},
        {"keys out of order", SEQ, "64626f6f74480000000000000000", BOOT, "6373657102"},
        {"from as a float", FROM, "6466726f6dfb4279a202ae1b0000", -1, NULL},
        {"a gap of another cause", GAPS,
         "64676170738184612a1b000001a202ae1b001b000001a202ae1b0163617765", -1, NULL},
        {"a gap of five members", GAPS,
         "64676170738185612a1b000001a202ae1b001b000001a202ae1b01636f666600", -1, NULL},
        {"a gap out of the window", GAPS,
         "64676170738184612a1b000001a202ae1b001b000001a202b2aee1636f6666", -1, NULL},
        {"an empty gap", GAPS, "64676170738184612a1b000001a202ae1b001b000001a202ae1b00636f6666", -1,
         NULL},
        {"a gap of no series", GAPS,
         "6467617073818461411b000001a202ae1b001b000001a202ae1b01636f6666", -1, NULL},
        {"a gap of a lone device", GAPS,
         "6467617073818461611b000001a202ae1b001b000001a202ae1b01636f6666", -1, NULL},
        {"with clk 3 a window before 2^28 s", CLK, "63636c6b03", FROM, "6466726f6d00"},
    };
    struct err e;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (with(bad[i].which, bad[i].piece, bad[i].other, bad[i].instead, &e) != ST_BAD)
            fail_msg("%s was not refused", bad[i].what);
    assert_int_equal(with(V, "617602", -1, NULL, &e), ST_UNSUPPORTED);
}

#define BN "2164672f612f" /* "g/a/" */
#define BT "221a6b02a900"
static void each_broken_record_is_refused(void **state)
{
    static const struct {
        const char *what, *payload;
        enum st st;
    } t[] = {
        {"a good record", "81a400616102182a" BN BT, ST_OK},
        {"none at all", "80", ST_OK},
        {"unit and quality",
         "81a6006161016157"
         "02182a" BN BT "617104",
         ST_OK},
        {"a later record of the poll", "82a400616102182a" BN BT "a20061620200", ST_OK},
        {"a later record with its own time", "82a400616102182a" BN BT "a300616202000601", ST_OK},
        {"unknown members", "81a700616102182a181e811901002164672f612f" BT "382a00617900", ST_OK},
        {"no bn and bt", "81a200616102182a", ST_BAD},
        {"bn without bt", "81a300616102182a" BN, ST_BAD},
        {"bt without bn", "82a400616102182a" BN BT "a300616202002201", ST_BAD},
        {"no value", "81a3006161" BN BT, ST_BAD},
        {"no name", "81a302182a" BN BT, ST_BAD},
        {"another gateway",
         "81a400616102182a"
         "2164682f612f" BT,
         ST_BAD},
        {"a base without device",
         "81a400616102182a"
         "2162672f" BT,
         ST_BAD},
        {"a base of three parts",
         "81a400616102182a"
         "2166672f612f622f" BT,
         ST_BAD},
        {"a name with a slash", "81a40063612f6202182a" BN BT, ST_BAD},
        {"a text value", "81a400616103616e" BN BT, ST_BAD},
        {"a boolean value", "81a400616104f5" BN BT, ST_BAD},
        {"value and data", "81a500616102182a084101" BN BT, ST_BAD},
        {"base unit", "81a500616102182a" BN BT "236157", ST_BAD},
        {"base value", "81a500616102182a" BN BT "2401", ST_BAD},
        {"base sum", "81a500616102182a" BN BT "2501", ST_BAD},
        {"base version", "81a500616102182a200a" BN BT, ST_BAD},
        {"a member that must be understood", "81a500616102182a" BN BT "62615f00", ST_BAD},
        {"q 0", "81a500616102182a" BN BT "617100", ST_BAD},
        {"q 256", "81a500616102182a" BN BT "6171190100", ST_BAD},
        {"NaN", "81a400616102f97e00" BN BT, ST_BAD},
        {"an empty unit", "81a5006161016002182a" BN BT, ST_BAD},
        {"members out of order", "81a402182a006161" BN BT, ST_BAD},
        {"a member twice", "81a500616100616102182a" BN BT, ST_BAD},
        {"a time of 0", "82a400616102182a" BN BT "a300616202000600", ST_BAD},
        {"a first record with its own time", "81a500616102182a0601" BN BT, ST_BAD},
        {"a time as a float", "82a400616102182a" BN BT "a3006162020006f93800", ST_BAD},
        {"ms in exponent -2",
         "82a400616102182a" BN BT "a3006162020006c4822119"
         "0101",
         ST_BAD},
        {"whole seconds as tag 4", "82a400616102182a" BN BT "a3006162020006c482221903e8", ST_BAD},
        {"a time before 2^28 s", "81a400616102182a" BN "2201", ST_BAD},
        {"more announced than there", "82a400616102182a" BN BT, ST_BAD},
        {"less announced than there", "81a400616102182a" BN BT "a20061620200", ST_BAD},
        {"a thinned value", "81a40066613a6d65616e02182a" BN BT, ST_BAD},
        {"not an array", "a0", ST_BAD},
    };
    struct err e;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        if (open_hex(header(-1, NULL, -1, NULL), t[i].payload, &e) != t[i].st)
            fail_msg("%s: %s", t[i].what, t[i].st ? "was not refused" : e.text);
}

static void readings_carry_the_flag_of_their_clock(void **state)
{
    static const struct {
        int clk;
        uint32_t q;
        enum st st;
    } t[] = {{2, 128, ST_OK}, {2, 129, ST_OK}, {2, 0, ST_BAD}, {2, 64, ST_BAD},
             {3, 64, ST_OK},  {3, 0, ST_BAD},  {0, 0, ST_OK},  {1, 0, ST_OK}};
    struct fixture *f = *state;
    struct wire_header h = sample_header(2);
    struct wire_point p;
    struct err e = {0};
    size_t i;

    assert_ok(wire_point_init(&p, "a", NULL, &e), &e);
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct wire_record r = {&p, num_dec(1, 0), t[i].q};
        struct wire_batch b;
        struct buf payload, out;

        buf_init(&payload, 1024);
        buf_init(&out, 4096);
        h.clk = t[i].clk;
        assert_int_equal(wire_put_array(&payload, 1), ST_OK);
        assert_int_equal(wire_senml_poll(&payload, "tra-cau-01/a/", SAMPLE_MS, &r, 1), ST_OK);
        assert_ok(wire_batch_sign(&h, payload.p, payload.n, wire_key_signer(f->key), &out, &e), &e);
        assert_int_equal(wire_batch_open(&b, out.p, out.n, NULL), t[i].st);
        wire_batch_done(&b);
        buf_done(&payload);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_that_the_others_break_is_good),
        cmocka_unit_test(each_broken_header_is_refused),
        cmocka_unit_test(each_broken_record_is_refused),
        cmocka_unit_test(readings_carry_the_flag_of_their_clock),
    };

    return cmocka_run_group_tests_name("wire rules", tests, setup, teardown);
}
