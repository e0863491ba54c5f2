/* An operator's messages: PDUs that others publish (ModemManager's and perl5-device-gsm's own
 * tests, of real networks), what is broken in them, and what becomes of a modem's list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/connectivity/modem_int.h"

/* A message of a short number in septets whose first is not at a byte's edge (SFR). */
#define SHORT_CODE                                                                                 \
    "07913306091093F0040485810000F111604231805180A0"                                               \
    "49B7F90D9A1AA5A0166"                                                                          \
    "8F8769BD3E4B29B9E2EB359A03FC85D06A9C3ED707A0EA2CBC3EE79BB4CA7CBCBA05643617DA7C76990FD4D979"   \
    "741EE77DD5E0ED741ED371D442E83E0E1F9BC0CD281E677D9B84C06C1DF7539E85C9097E520FB9B2E2F83C6EF36"  \
    "9C5E064D8D52D0BC2E07DDEF77D7DC2C7799E5A0771D040FCB41F402BB0047BFDD6550B80ECAD966"
/* A name as sender, and UCS-2. */
#define NAMED "07919730071111F10414D04937BD2C7797E9D3E614000811309291024061080442043504410442"
#define EXTENDED                                                                                   \
    "07912104442961F4040B916171957291F8000011208211050"                                            \
    "50A6AC8B2BC7C9A83C220F6DB7D2ECB41EDF27C1E3E97411BDE06754FD3D1A0F9BB5D0695F1F4B29B5C2683C6E8"  \
    "B03C3CA697E5F34D6AE303D1D1F2F7DD0D4ABB59A0797D8C0685E7A00028EC26832A960B28EC2683BE6050780EBA" \
    "97D96C17"
#define HELLO                                                                                      \
    "07912143658709F1040B918100551512F2000011101021436500"                                         \
    "0AE8329BFD4697D9EC37"
/* The first of two parts (KPN). */
#define WELCOME                                                                                    \
    "07911356131313F64004850120390011609232239180A006080400100201D7327BFD6EB340E232"               \
    "1BF46E83EA7790F59D1E97DBE1341B442F83C465763D3DA797E56537C81D0ECB41AB59CC1693C1"               \
    "6031D96C064241E5656838AF03A96230982A269BCD462917C8FA4E8FCBED709A0D7ABBE9F6B0FB"               \
    "5C7683D27350984D4FABC9A0B33C4C4FCF5D20EBFB2D079DCB62793DBD06D9C36E50FB2D4E97D9"               \
    "A0B49B5E96BBCB"
#define PART_1                                                                                     \
    "07912160130320F5440B916171056429F5000021405291650569A00500034C0201A9E8F41C949E"               \
    "83C2207B599E07B1DFEE33885E9ED341E4F23C7D7697C920FA1B54C697E5E3F4BC0C6AD7D9F434"               \
    "081E96D341E3303C2C4EB3D3F4BC0B94A483E6E8779D4D06CDD1EF3BA80E0785E7A0B7BB0C6A97"               \
    "E7F3F0B9CC02B9DF7450780EA2DFDF2C50780EA2A3CBA0BA9B5C96B3F369F71954768FDFE4B4FB"               \
    "0C9297E1F2F2BCECA6CF41"

static struct connectivity_sms sms;

static void reads(const char *hex, const char *from, int64_t at_ms, const char *text)
{
    assert_true(connectivity_sms_read(hex, &sms));
    assert_string_equal(sms.from, from);
    assert_string_equal(sms.text, text);
    assert_int_equal(sms.at_ms, at_ms);
}

static void published_messages_are_read(void **state)
{
    (void)state;
    /* 2011-06-24T13:08:15+02:00 */
    reads(SHORT_CODE, "1800", INT64_C(1308913695000),
          "Info SFR - Confidentiel, à ne jamais transmettre - Voici votre nouveau mot de passe : "
          "sw2ced pour gérer votre compte SFR sur www.sfr.fr ou par téléphone au 963");
    assert_true(connectivity_sms_operator(sms.from));
    /* 2011-03-29T19:20:04+04:00 */
    reads(NAMED, "InternetSMS", INT64_C(1301412004000), "тест");
    assert_true(connectivity_sms_operator(sms.from));
    /* 2011-02-28T11:50:50-05:00 */
    reads(EXTENDED, "+16175927198", INT64_C(1298911850000),
          "Here's a longer message [{with some extended characters}] thrown in, such as £ and ΩΠΨ "
          "and §¿ as well.");
    assert_false(connectivity_sms_operator(sms.from));
    reads(HELLO, "+18005551212", INT64_C(1293885296000), "hellohello");
    assert_int_equal(sms.of, 1);
    reads(WELCOME, "1002", INT64_C(1309383139000),
          "Welkom, bel om uw Voicemail te beluisteren naar +31612001233 (PrePay: *100*1233#). "
          "Voicemail ontvangen is altijd gratis. Voor gebruik van mobiel interne");
    assert_true(sms.ref == 0x10 && sms.of == 2 && sms.part == 1);
    reads(PART_1, "+16175046925", INT64_C(1335398210000),
          "This is a very long test designed to exercise multi part capability. It should show up "
          "as one message, not as two, as the underlying encoding represents ");
    assert_true(sms.ref == 0x4c && sms.of == 2 && sms.part == 1);
}

/* Vietnamese, an emoji of two units, half of one, and what would turn the text around. */
static void wide_text_is_vietnamese_and_nothing_that_steers(void **state)
{
    (void)state;
    reads("00040DD0D664914A2D32010008621162510300821A004C01B00075002000FD0020D83DDE00D83D0041202E00"
          "1B0042",
          "VIETTEL", INT64_C(1795681800000),
          "Lưu ý 😀\xef\xbf\xbd"
          "AB");
}

static void what_is_broken_is_not_read(void **state)
{
    (void)state;
    static const char *const good[] = {SHORT_CODE, NAMED, EXTENDED, HELLO, WELCOME};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t n = 0; n < strlen(good[i]); n++) {
            char *cut = malloc(n + 1); /* exact: the sanitizer sees a read beyond */
            assert_non_null(cut);
            memcpy(cut, good[i], n);
            cut[n] = '\0';
            assert_false(connectivity_sms_read(cut, &sms));
            free(cut);
        }
    assert_false(connectivity_sms_read("zz" HELLO, &sms));
    /* a message that is to be sent, one of 8 bits, a report of what was sent */
    assert_false(connectivity_sms_read("002100098136397339F70008024F60", &sms));
    assert_false(connectivity_sms_read("07912143658709F1040B918100551512F2000411101021436500"
                                       "0AE8329BFD4697D9EC37DE",
                                       &sms));
    assert_false(connectivity_sms_read("07914356060013F1065A098136397339F7219011700463802190117004"
                                       "638030",
                                       &sms));
    /* a month 13 is no time, and the message is one all the same */
    reads("07912143658709F1040B918100551512F2000011311021436500"
          "0AE8329BFD4697D9EC37",
          "+18005551212", 0, "hellohello");
}

static void persons_are_no_operators(void **state)
{
    (void)state;
    static const char *const operators[] = {"191",     "9029",   "198",     "888888",
                                            "Viettel", "VNPT-1", "MobiFone"};
    static const char *const others[] = {
        "",     "12",       "0912345678", "+84912345678", "84912345678",
        "+191", "18001091", "1234567",    "*101#",        "+Viettel"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        assert_true(connectivity_sms_operator(operators[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(connectivity_sms_operator(others[i]));
}

static void times_of_modemmanager_are_read(void **state)
{
    (void)state;
    assert_int_equal(connectivity_sms_time("2011-06-24T13:08:15+02:00"), INT64_C(1308913695000));
    assert_int_equal(connectivity_sms_time("2011-06-24T13:08:15+02"), INT64_C(1308913695000));
    assert_int_equal(connectivity_sms_time("2011-06-24T11:08:15Z"), INT64_C(1308913695000));
    static const char *const bad[] = {"",
                                      "now",
                                      "2011-13-24T13:08:15",
                                      "2011-06-24T25:08:15",
                                      "2011-06-24T13:08:15+99:00",
                                      "0000-00-00T00:00:00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(connectivity_sms_time(bad[i]), 0);
}

static void text_is_cut_between_characters(void **state)
{
    (void)state;
    char out[6];
    connectivity_text_copy(out, sizeof out, "aé漢字b"); /* 1, 2, 3 bytes: no room for the third */
    assert_string_equal(out, "aé");
    connectivity_text_copy(out, sizeof out, "a\377\342\200\256b\033[");
    assert_string_equal(out, "a\357\277\275b"); /* 1 + 3 */
}

/* ---- the list ------------------------------------------------------------------------------- */

static struct connectivity_inbox in;
static struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX];

static void take(const char *const *lines)
{
    memset(&in, 0, sizeof in);
    for (; *lines; lines++)
        connectivity_inbox_take(&in, *lines);
}

static void a_list_gives_what_operators_sent_newest_first(void **state)
{
    (void)state;
    static const char *const lines[] = {"+CMGL: 0,1,,159",
                                        SHORT_CODE,
                                        "+CMGL: 1,0,,30",
                                        HELLO,
                                        "+CMGL: 2,1,,28",
                                        "+CREG: 1",
                                        NAMED,
                                        "+CMGL: 3,2,,28", /* one of ours, to be sent */
                                        NAMED,
                                        NAMED, /* without its line */
                                        "+CMGL: x",
                                        WELCOME,
                                        "+CMGL: 4,1,,160",
                                        WELCOME,
                                        NULL};
    take(lines);
    assert_int_equal(connectivity_inbox_messages(&in, out), 3);
    assert_string_equal(out[0].from, "1002");
    assert_string_equal(out[0].text + strlen(out[0].text) - 3, "…"); /* the second part lacks */
    assert_string_equal(out[1].from, "1800");
    assert_string_equal(out[2].text, "тест");
}

static struct connectivity_sms made(const char *from, int64_t at_ms, unsigned ref, unsigned part,
                                    unsigned of, const char *text)
{
    struct connectivity_sms s = {
        .at_ms = at_ms, .ref = (uint16_t)ref, .part = (uint8_t)part, .of = (uint8_t)of};
    (void)snprintf(s.from, sizeof s.from, "%s", from);
    (void)snprintf(s.text, sizeof s.text, "%s", text);
    return s;
}

static void parts_are_joined_in_their_order(void **state)
{
    (void)state;
    const struct connectivity_sms all[] = {
        made("191", 3000, 7, 3, 3, "ba"),   made("191", 1000, 7, 1, 3, "một "),
        made("191", 2000, 7, 2, 3, "hai "), made("192", 2500, 7, 2, 3, "nobody's"),
        made("191", 500, 8, 2, 2, "other"), made("191", 900, 7, 2, 3, "older")};
    memset(&in, 0, sizeof in);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        connectivity_inbox_add(&in, &all[i]);
    assert_int_equal(connectivity_inbox_messages(&in, out), 4);
    assert_string_equal(out[0].text, "một hai ba");
    assert_string_equal(out[1].text, "…nobody's…");
    assert_string_equal(out[2].text, "…older…");
    assert_string_equal(out[3].text, "…other");
}

static void a_full_card_costs_no_more_and_the_newest_stay(void **state)
{
    (void)state;
    memset(&in, 0, sizeof in);
    for (int i = 0; i < 300; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%d", i * 7 % 300);
        const struct connectivity_sms s = made("191", i * 7 % 300, 0, 1, 1, text);
        connectivity_inbox_add(&in, &s);
    }
    assert_int_equal(in.n, CONNECTIVITY_PARTS_MAX);
    assert_int_equal(connectivity_inbox_messages(&in, out), CONNECTIVITY_MESSAGES_MAX);
    assert_string_equal(out[0].text, "299");
    assert_string_equal(out[4].text, "295");
    /* and of one that claims 255 parts there is a message, too, no longer than one */
    memset(&in, 0, sizeof in);
    for (unsigned i = 1; i <= 24; i++) {
        char text[161];
        memset(text, 'a' + (int)i % 26, 160);
        text[160] = '\0';
        const struct connectivity_sms s = made("191", i, 0, i * 10, 255, text);
        connectivity_inbox_add(&in, &s);
    }
    assert_int_equal(connectivity_inbox_messages(&in, out), 1);
    assert_int_equal(strlen(out[0].text), CONNECTIVITY_MESSAGE_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_messages_are_read),
        cmocka_unit_test(wide_text_is_vietnamese_and_nothing_that_steers),
        cmocka_unit_test(what_is_broken_is_not_read),
        cmocka_unit_test(persons_are_no_operators),
        cmocka_unit_test(times_of_modemmanager_are_read),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(a_list_gives_what_operators_sent_newest_first),
        cmocka_unit_test(parts_are_joined_in_their_order),
        cmocka_unit_test(a_full_card_costs_no_more_and_the_newest_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
