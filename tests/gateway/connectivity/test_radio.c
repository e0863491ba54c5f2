/* What modems say, word for word: captures of real ones where there are, the standard's and the
 * vendor's own examples else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/connectivity/radio_int.h"

static struct connectivity_radio heard(const char *const *lines)
{
    struct connectivity_radio r;
    connectivity_radio_init(&r);
    for (; *lines; lines++)
        connectivity_radio_take(&r, *lines);
    return r;
}
#define HEARD(...) heard((const char *const[]){__VA_ARGS__, NULL})

static void is(struct num have, const char *want)
{
    char text[NUM_TEXT_BYTES];
    assert_string_equal(num_text(have, text), want);
}

static void signal_is(struct connectivity_leg leg, const char *rsrp, const char *rsrq,
                      const char *sinr)
{
    is(leg.rsrp, rsrp);
    is(leg.rsrq, rsrq);
    is(leg.sinr, sinr);
}

static void csq_is_rssi_and_99_is_none(void **state)
{
    (void)state;
    is(HEARD("+CSQ: 0,99").rssi, "-113");
    is(HEARD("+CSQ: 20,0").rssi, "-73");
    is(HEARD("+CSQ: 31,99").rssi, "-51");
    is(HEARD("+CSQ: 99,99").rssi, ""); /* RM520N on NR */
    is(HEARD("+CSQ: 32,0").rssi, "");
    is(HEARD("+CSQ: ").rssi, "");
    is(HEARD("+CSQ: 199,99").rssi, "");
}

static void cesq_gives_the_lower_edge_of_each_step(void **state)
{
    (void)state;
    static const struct {
        const char *line, *rssi, *lte[2], *nr[3];
    } rows[] = {
        {"+CESQ: 99,99,255,255,20,80", "", {"-61", "-10"}, {"", "", ""}},
        {"+CESQ: 0,0,255,255,0,0", "-111", {"-141", "-20"}, {"", "", ""}},
        {"+CESQ: 63,0,96,49,34,97", "-48", {"-44", "-3"}, {"", "", ""}},
        {"+CESQ: 99,99,255,255,255,255", "", {"", ""}, {"", "", ""}}, /* blind to NR */
        {"+CESQ: 99,99,255,255,255,255,65,82,57", "", {"", ""}, {"-75", "-11", "5"}},
        {"+CESQ: 99,99,255,255,255,255,0,0,0", "", {"", ""}, {"-157", "-43.5", "-23.5"}},
        {"+CESQ: 99,99,255,255,255,255,126,126,127", "", {"", ""}, {"-31", "19.5", "40"}},
        {"+CESQ: 99,99,255,255,255,255,127,127,128", "", {"", ""}, {"", "", ""}},
        {"+CESQ: 99,99,255,255,35,98", "", {"", ""}, {"", "", ""}},
        {"+CESQ: 99,99,255,255,20", "", {"", "-10"}, {"", "", ""}}, /* cut off */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct connectivity_radio r = HEARD(rows[i].line);
        is(r.rssi, rows[i].rssi);
        signal_is(r.lte, rows[i].lte[0], rows[i].lte[1], "");
        signal_is(r.nr, rows[i].nr[0], rows[i].nr[1], rows[i].nr[2]);
    }
}

static void registration_is_read_asked_for_or_not_quoted_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int lte, nr, act;
        const char *tac, *cell;
    } rows[] = {
        {"+CEREG: 2,1,\"1F00\",\"79D903\",7", 1, -1, 7, "7936", "7985411"},
        {"+CEREG: 2,1,1F00,79D903,7", 1, -1, 7, "7936", "7985411"},
        {"+CEREG: 1,\"1F00\",\"79D903\",7", 1, -1, 7, "7936", "7985411"},
        {"+CEREG: 5,1F00,79D903,13", 5, -1, 13, "7936", "7985411"},
        {"+CEREG: 0,2", 2, -1, -1, "", ""},
        {"+CEREG: 2", 2, -1, -1, "", ""},
        {"+CEREG: 1,12", -1, -1, -1, "", ""}, /* no such state */
        {"+CEREG: 2,1,\"FFFF\",\"FFFFFFFF\",7", 1, -1, 7, "", ""},
        {"+C5GREG: 2,1,1F00,79D903,11,6,ABCDEF", -1, 1, 11, "7936", "7985411"},
        {"+C5GREG: 1,3", -1, 3, -1, "", ""},
        {"+C5GREG: 1,\"794E00\",\"18666712F\",11", -1, 1, 11, "7949824", "6549827887"},
        {"+C5GREG: 2,1,\"794E00\",\"18666712F", -1, 1, -1, "", ""}, /* cut off */
        {"+C5GREG: ", -1, -1, -1, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct connectivity_radio r = HEARD(rows[i].line);
        assert_int_equal(r.lte_stat, rows[i].lte);
        assert_int_equal(r.nr_stat, rows[i].nr);
        assert_int_equal(r.act, rows[i].act);
        is(r.nr_stat >= 0 ? r.nr.tac : r.lte.tac, rows[i].tac);
        is(r.nr_stat >= 0 ? r.nr.cell : r.lte.cell, rows[i].cell);
    }
}

static void the_better_registration_counts(void **state)
{
    (void)state;
    static const struct {
        const char *lte, *nr;
        int stat;
        bool good;
    } rows[] = {{"+CEREG: 0,1", "+C5GREG: 0,3", 1, true},
                {"+CEREG: 0,3", "+C5GREG: 0,5", 5, true},
                {"+CEREG: 0,2", "+C5GREG: 0,3", 3, false},
                {"+CEREG: 0,0", "+C5GREG: 0,2", 2, false},
                {"+CEREG: 0,8", "+C5GREG: 0,2", 8, false},
                {"+CEREG: 0,0", "ERROR", 0, false},
                {"ERROR", "ERROR", -1, false},
                {"+CEREG: 0,4", "+C5GREG: 0,0", 4, false},
                {"+CEREG: 0,6", "+C5GREG: 0,0", 6, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct connectivity_radio r = HEARD(rows[i].lte, rows[i].nr);
        assert_int_equal(connectivity_radio_stat(&r), rows[i].stat);
        assert_int_equal(connectivity_stat_good(connectivity_radio_stat(&r)), rows[i].good);
    }
}

static void the_operator_is_its_number(void **state)
{
    (void)state;
    assert_string_equal(HEARD("+COPS: 0,2,\"310260\",11").plmn, "310260");
    assert_string_equal(HEARD("+COPS: 0,2,\"45204\",7").plmn, "45204");
    assert_string_equal(HEARD("+COPS: 0,0,\"Viettel\",7").plmn, "");
    assert_string_equal(HEARD("+COPS: 0").plmn, "");
    assert_string_equal(HEARD("+COPS: 0,2,\"4520\",7").plmn, "");
    assert_string_equal(HEARD("+COPS: 0,2,\"4520455\",7").plmn, "");
    assert_int_equal(HEARD("+COPS: 0,2,\"310260\",11").act, 11);
    assert_int_equal(HEARD("+COPS: 0,2,\"310260\",16").act, -1);
    assert_string_equal(HEARD("+QNWINFO: \"TDD NR5G\",\"310260\",\"NR5G BAND 41\",516270").plmn,
                        "310260");
}

static void the_sim_is_told_in_words_and_by_number(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum connectivity_sim sim;
    } rows[] = {{"+CPIN: READY", CONNECTIVITY_SIM_READY},
                {"+CPIN: SIM PIN", CONNECTIVITY_SIM_PIN},
                {"+CPIN: SIM PUK", CONNECTIVITY_SIM_PUK},
                {"+CPIN: SIM PIN2", CONNECTIVITY_SIM_READY}, /* data does not need it */
                {"+CPIN: PH-NET PIN", CONNECTIVITY_SIM_LOCK},
                {"+CPIN: NOT READY", CONNECTIVITY_SIM_BUSY},
                {"+CME ERROR: 10", CONNECTIVITY_SIM_MISSING},
                {"+CME ERROR: SIM not inserted", CONNECTIVITY_SIM_MISSING},
                {"+CME ERROR: 11", CONNECTIVITY_SIM_PIN},
                {"+CME ERROR: 12", CONNECTIVITY_SIM_PUK},
                {"+CME ERROR: SIM failure", CONNECTIVITY_SIM_FAULT},
                {"+CME ERROR: 14", CONNECTIVITY_SIM_BUSY},
                {"+CME ERROR: 15", CONNECTIVITY_SIM_FAULT},
                {"+CME ERROR: 30", CONNECTIVITY_SIM_UNKNOWN},
                {"+CME ERROR: ", CONNECTIVITY_SIM_UNKNOWN},
                {"+CMS ERROR: 310", CONNECTIVITY_SIM_UNKNOWN},
                {"ERROR", CONNECTIVITY_SIM_UNKNOWN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(HEARD(rows[i].line).sim, rows[i].sim);
}

/* ---- Quectel --------------------------------------------------------------------------------- */

#define SA_LINE                                                                                    \
    "+QENG: \"servingcell\",\"NOCONN\",\"NR5G-SA\",\"TDD\",310,260,18666712F,335,794E00,516270,"   \
    "41,12,-75,-11,5,1,-"
#define LTE_LINE                                                                                   \
    "+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",454,06,1625C29,193,1250,3,3,3,2E19,-88,"    \
    "-12,-60,12,-"

static void qeng_tells_5g_standing_alone(void **state)
{
    (void)state;
    struct connectivity_radio r = HEARD(SA_LINE); /* RM520N-GL */
    signal_is(r.nr, "-75", "-11", "5");
    signal_is(r.lte, "", "", "");
    is(r.nr.cell, "6549827887");
    is(r.nr.tac, "7949824");
    is(r.nr.arfcn, "516270");
    is(r.nr.mhz, "2581.35");
    is(r.nr.band, "41");
    assert_string_equal(r.plmn, "310260");
    assert_int_equal(connectivity_radio_act(&r), CONNECTIVITY_ACT_SA);
}

static void qeng_tells_lte(void **state)
{
    (void)state;
    struct connectivity_radio r = HEARD(LTE_LINE);
    signal_is(r.lte, "-88", "-12", "12");
    is(r.rssi, "-60");
    is(r.lte.mhz, "1810");
    is(r.lte.band, "3");
    is(r.lte.cell, "23223337");
    is(r.lte.tac, "11801");
    assert_string_equal(r.plmn, "45406"); /* the 0 of 06 is a digit of its own */
    assert_int_equal(connectivity_radio_act(&r), CONNECTIVITY_ACT_LTE);
}

static void qeng_tells_lte_with_5g_beside_it(void **state)
{
    (void)state;
    /* RM520N-GL; SINR comes before RSRQ in the last line, and AcT says 7 */
    struct connectivity_radio r =
        HEARD("+CEREG: 2,1,\"BE3\",\"328261F\",7", "+QENG: \"servingcell\",\"NOCONN\"",
              "+QENG: \"LTE\",\"FDD\",222,01,328261F,280,275,1,4,4,BE3,-99,-14,-66,7,4,30,-",
              "+QENG: \"NR5G-NSA\",222,01,920,-96,18,-10,648768,78,10,1", "+COPS: 0,2,\"22201\",7");
    signal_is(r.lte, "-99", "-14", "7");
    signal_is(r.nr, "-96", "-10", "18");
    is(r.nr.mhz, "3731.52");
    is(r.nr.band, "78");
    is(r.lte.mhz, "2137.5");
    assert_int_equal(r.act, 7);
    assert_int_equal(connectivity_radio_act(&r), CONNECTIVITY_ACT_ENDC);
    /* NR on offer, not in use */
    r = HEARD("+QENG: \"servingcell\",\"NOCONN\"",
              "+QENG: \"LTE\",\"FDD\",520,04,4D8002,167,250,1,3,3,7E7,-128,-17,-94,7,10,23-",
              "+QENG: \"NR5G-NSA\",");
    signal_is(r.lte, "-128", "-17", "7");
    assert_int_equal(connectivity_radio_act(&r), CONNECTIVITY_ACT_LTE);
    /* the manual's own example */
    r = HEARD("+QENG:\"NR5G-NSA\",460,01,747,-71,13,-11,627264,78,12,1");
    signal_is(r.nr, "-71", "-11", "13");
    is(r.nr.mhz, "3408.96");
}

static void marks_for_no_value_are_none(void **state)
{
    (void)state;
    static const char *const marks[] = {"-", "-32768", "255", ""};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        char line[160];
        (void)snprintf(line, sizeof line,
                       "+QENG: \"servingcell\",\"SEARCH\",\"NR5G-SA\",\"TDD\",452,04,1,335,2,"
                       "627264,78,12,%s,-11,%s,1,-",
                       marks[i], marks[i]);
        struct connectivity_radio r = HEARD(line);
        signal_is(r.nr, "", "-11", "");
    }
    signal_is(HEARD("+QCSQ: \"NR5G\",-140,4,-11").nr, "", "-11", "4");
    struct connectivity_radio r = HEARD("+QENG: \"servingcell\",\"SEARCH\"");
    assert_int_equal(connectivity_radio_act(&r), CONNECTIVITY_ACT_NONE);
    r = HEARD("+QENG: \"servingcell\",\"LIMSRV\",\"LTE\",\"FDD\",-,-,-,-,-,-,-,-,-,-,-,-,-,-");
    assert_true(r.limited);
    assert_string_equal(r.plmn, "");
    is(r.lte.band, "");
    is(r.lte.cell, "");
}

static void fields_out_of_place_give_no_signal(void **state)
{
    (void)state;
    static const char *const lines[] = {
        /* no TAC: all behind it has moved by one */
        "+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",310,260,1234ABCD,123,4,66,3,3,-85,-10,"
        "-65,18,17,1",
        /* a field more */
        "+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",310,260,12AB,123,4,66,3,3,7,4660,-85,"
        "-10,-65,18,17",
        /* RSRP and RSRQ interchanged */
        "+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",310,260,12AB,123,4,4,3,3,4660,-10,-85,"
        "-65,18,17",
        "+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",310,260,12AB,123,4,66,3,3,4660,-8x,-10,"
        "-65,18,17",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct connectivity_radio r = HEARD(lines[i]);
        signal_is(r.lte, "", "", "");
    }
    signal_is(HEARD("+QCSQ: \"NR5G\",12,4,-11").nr, "", "", "");
    signal_is(HEARD("+QENG: \"NR5G-NSA\",460,01,747,-71,-110,13,627264,78,12,1").nr, "", "", "");
}

static void every_cut_of_a_line_is_borne(void **state)
{
    (void)state;
    static const char *const lines[] = {SA_LINE,
                                        LTE_LINE,
                                        "+QENG: \"NR5G-NSA\",222,01,920,-96,18,-10,648768,78,10,1",
                                        "+QNWINFO: \"TDD NR5G\",\"310260\",\"NR5G BAND 41\",516270",
                                        "+QTEMP:\"modem-ambient-usr\",\"54\"",
                                        "+QCSQ: \"NR5G_NSA\",-70,-95,12,-10,-80,9,-12",
                                        "+C5GREG: 2,1,1F00,79D903,11,6,ABCDEF",
                                        "+QCCID: 8984012345678901234"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t n = 0; n <= strlen(lines[i]); n++) {
            char *cut = malloc(n + 1); /* exact: the sanitizer sees a read beyond */
            assert_non_null(cut);
            memcpy(cut, lines[i], n);
            cut[n] = '\0';
            struct connectivity_radio r = HEARD(cut);
            free(cut);
            /* a figure that was cut is out of range, or one that a modem could have meant */
            assert_true(r.nr.rsrp.kind == NUM_NONE || num_double(r.nr.rsrp) <= -31);
            assert_true(r.lte.rsrp.kind == NUM_NONE || num_double(r.lte.rsrp) <= -31);
        }
}

static void qcsq_fills_what_qeng_left_open(void **state)
{
    (void)state;
    signal_is(HEARD("+QCSQ: \"NR5G\",-75,4,-11").nr, "-75", "-11", "4"); /* RM520N-GL */
    struct connectivity_radio r = HEARD("+QCSQ: \"NR5G_NSA\",-70,-95,12,-10,-80,9,-12");
    signal_is(r.lte, "-95", "-10", "");
    signal_is(r.nr, "-80", "-12", "9");
    assert_int_equal(connectivity_radio_act(&r), CONNECTIVITY_ACT_ENDC);
    /* QDC507: 55 is a fifth of a dB from -20 on, that is -9 as QENG says */
    r = HEARD("+QCSQ: \"LTE\",85,-124,55,-18");
    signal_is(r.lte, "-124", "-18", "");
    r = HEARD("+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",302,220,188E598,428,66935,66,5,5,"
              "2CEE,-122,-19,-82,-9,5",
              "+QCSQ: \"LTE\",85,-124,55,-18", "+CESQ: 99,99,255,255,20,80");
    signal_is(r.lte, "-122", "-19", "-9"); /* the finer source stands, whatever comes behind */
    r = HEARD("+CESQ: 99,99,255,255,20,80", LTE_LINE);
    signal_is(r.lte, "-88", "-12", "12");
}

static void qnwinfo_gives_band_and_channel(void **state)
{
    (void)state;
    struct connectivity_radio r = HEARD("+QNWINFO: \"FDD LTE\",\"46001\",\"LTE BAND 3\",1650",
                                        "+QNWINFO: \"TDD NR5G\",\"46001\",\"NR5G BAND 78\",627264");
    is(r.lte.band, "3");
    is(r.lte.mhz, "1850");
    is(r.nr.band, "78");
    is(r.nr.arfcn, "627264");
    r = HEARD("+QNWINFO: No Service");
    is(r.lte.band, "");
}

static void the_ambient_sensor_stands_before_the_hottest(void **state)
{
    (void)state;
    is(HEARD("+QTEMP:\"modem-lte-sub6-pa1\",\"53\"", "+QTEMP:\"modem-sdr0-pa0\",\"0\"",
             "+QTEMP:\"modem-mmw0\",\"-273\"", "+QTEMP:\"modem-ambient-usr\",\"44\"",
             "+QTEMP:\"aoss-0-usr\",\"57\"")
           .temperature,
       "44");
    is(HEARD("+QTEMP: \"qfe_wtr_pa0\",\"51\"", "+QTEMP: \"xo_therm\",\"57\"").temperature, "57");
    is(HEARD("+QTEMP: \"modem-mmw0\",\"-273\"", "+QTEMP: \"modem-sdr0-pa0\",\"0\"").temperature,
       "");
    is(HEARD("+QTEMP: 30,28,29").temperature, "30");
}

static void of_a_sim_card_four_digits_stay(void **state)
{
    (void)state;
    struct connectivity_radio r = HEARD("+QCCID: 8984012345678905678F");
    assert_string_equal(r.card, "5678");
    assert_string_equal(HEARD("+CCID: \"8984012345678901234\"").card, "1234");
    assert_string_equal(HEARD("+QCCID: 1234").card, "");
    /* no other subscriber identity is known to the parser at all */
    r = HEARD("+CIMI: 452040123456789", "+CGSN: 861234567890123", "452040123456789",
              "+CNUM: \"\",\"+84912345678\",145");
    struct connectivity_radio none;
    connectivity_radio_init(&none);
    assert_memory_equal(&r, &none, sizeof r);
}

static void channels_become_megahertz(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        const char *mhz;
    } nr[] = {{1, "0.005"},
              {422000, "2110"},
              {516270, "2581.35"},
              {599999, "2999.995"},
              {600000, "3000"},
              {2016666, "24249.99"},
              {2016667, "24250.08"},
              {3279165, "99999.96"},
              {3279166, ""},
              {0, ""},
              {-1, ""}};
    static const struct {
        int64_t n, band;
        const char *mhz;
    } lte[] = {{0, 1, "2110"},      {599, 1, "2169.9"},  {600, 2, "1930"},    {1300, 3, "1815"},
               {3449, 7, "2689.9"}, {3450, 8, "925"},    {5035, 12, "731.5"}, {6100, 19, "885"},
               {9210, 28, "758"},   {38950, 40, "2330"}, {40590, 41, "2590"}, {66935, 66, "2159.9"},
               {4999, -1, ""},      {262143, -1, ""},    {-1, -1, ""}};
    for (size_t i = 0; i < sizeof nr / sizeof *nr; i++)
        is(connectivity_nr_mhz(nr[i].n), nr[i].mhz);
    for (size_t i = 0; i < sizeof lte / sizeof *lte; i++) {
        int64_t band = -1;
        is(connectivity_lte_mhz(lte[i].n, &band), lte[i].mhz);
        assert_int_equal(band, lte[i].band);
    }
}

static void technologies_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int act;
        const char *text;
    } rows[] = {
        {"+COPS: 0,2,\"45204\",7", "ERROR", 7, "LTE"},
        {"+COPS: 0,2,\"45204\",13", "ERROR", 13, "5G NSA (EN-DC)"},
        {"+COPS: 0,2,\"45204\",11", "ERROR", 11, "5G SA"},
        {"+COPS: 0,2,\"45204\",7", "+CESQ: 99,99,255,255,20,80,65,82,57", 13, "5G NSA (EN-DC)"},
        {"+C5GREG: 2,1,\"1\",\"2\",11", "+CESQ: 99,99,255,255,255,255,65,82,57", 11, "5G SA"},
        {"+COPS: 0,2,\"45204\",2", "ERROR", 2, "UMTS"},
        {"ERROR", "ERROR", -1, ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct connectivity_radio r = HEARD(rows[i].a, rows[i].b);
        assert_int_equal(connectivity_radio_act(&r), rows[i].act);
        assert_string_equal(connectivity_act_text(connectivity_radio_act(&r)), rows[i].text);
    }
    assert_string_equal(connectivity_act_text(CONNECTIVITY_ACT_MAX), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csq_is_rssi_and_99_is_none),
        cmocka_unit_test(cesq_gives_the_lower_edge_of_each_step),
        cmocka_unit_test(registration_is_read_asked_for_or_not_quoted_or_not),
        cmocka_unit_test(the_better_registration_counts),
        cmocka_unit_test(the_operator_is_its_number),
        cmocka_unit_test(the_sim_is_told_in_words_and_by_number),
        cmocka_unit_test(qeng_tells_5g_standing_alone),
        cmocka_unit_test(qeng_tells_lte),
        cmocka_unit_test(qeng_tells_lte_with_5g_beside_it),
        cmocka_unit_test(marks_for_no_value_are_none),
        cmocka_unit_test(fields_out_of_place_give_no_signal),
        cmocka_unit_test(every_cut_of_a_line_is_borne),
        cmocka_unit_test(qcsq_fills_what_qeng_left_open),
        cmocka_unit_test(qnwinfo_gives_band_and_channel),
        cmocka_unit_test(the_ambient_sensor_stands_before_the_hottest),
        cmocka_unit_test(of_a_sim_card_four_digits_stay),
        cmocka_unit_test(channels_become_megahertz),
        cmocka_unit_test(technologies_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
