/* The files of survey apps, as these write them, and what gpsd says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/connectivity/survey_int.h"

#define NOON INT64_C(1795582800000) /* 2026-11-25T05:00:00Z */
#define VIETTEL 45204
#define VINAPHONE 45202
#define LTE CONNECTIVITY_SURVEY_LTE
#define ENDC CONNECTIVITY_SURVEY_ENDC
#define SA CONNECTIVITY_SURVEY_SA
#define NR CONNECTIVITY_SURVEY_NR

/* ---- files of survey apps
 * ------------------------------------------------------------------------- */

static const struct connectivity_csv_ask plain = {.utc_offset_ms = 25200000,
                                                  .now_ms = INT64_C(1795622400000)};

static void read_good(struct connectivity_csv *c, const char *text,
                      const struct connectivity_csv_ask *ask)
{
    struct err e = {.text = ""};
    if (connectivity_csv_read(c, "log.csv", text, strlen(text), ask, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static void is(struct num have, const char *want)
{
    char text[NUM_TEXT_BYTES];
    assert_string_equal(num_text(have, text), want);
}

static void network_survey_is_read(void **state)
{
    (void)state;
    struct connectivity_csv c;
    read_good(
        &c,
        "# Created by Network Survey version=1.43\r\n# CSV Version=0.4.0\r\n"
        "deviceTime,latitude,longitude,altitude,speed,accuracy,missionId,recordNumber,"
        "groupNumber,mcc,mnc,tac,eci,earfcn,pci,rsrp,rsrq,ta,servingCell,lteBandwidth,provider,"
        "signalStrength,cqi,slot,snr,deviceSerialNumber,locationAge\r\n"
        "2026-11-25T13:58:27.603261+07:00,14.8201,108.9502,15.58,0,22,NS,1,2,452,04,12345,"
        "12345678,1300,36,-102.5,-9.0,39,true,MHZ_10,\"Viettel, VN\",-61.0,11,,-1.0,abc,4916\r\n"
        "2026-11-25T13:58:27.603261+07:00,14.8201,108.9502,15.58,0,22,NS,2,2,,,,,1300,37,"
        "-110,-9.0,39,false,MHZ_10,,-61.0,11,,,abc,4916\r\n"
        "2026-11-25T13:59:27+07:00,14.8201,108.9502,15.58,0,22,NS,1,2,452,04,12345,"
        "12345678,1300,36,-102.5,-9.0,39,true,MHZ_10,Viettel,-61.0,11,,-1.0,abc,60000\r\n",
        &plain);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.neighbour, 1);
    assert_int_equal(c.bad, 1); /* its position is a minute old */
    assert_int_equal(c.told[0].line, 6);
    assert_non_null(strstr(c.told[0].why, "older than 10 s"));
    assert_int_equal(c.sample[0].t_ms, INT64_C(1795589907603));
    assert_int_equal(c.sample[0].plmn, VIETTEL);
    assert_int_equal(c.sample[0].tech, LTE);
    is(c.sample[0].rsrp, "-102.5");
    is(c.sample[0].sinr, "-1");
    connectivity_csv_done(&c);
    read_good(&c,
              "deviceTime,latitude,longitude,mcc,mnc,nci,narfcn,ssRsrp,ssRsrq,ssSinr,servingCell\n"
              "2026-11-25T06:58:27Z,14.8201,108.9502,452,2,123456789,627264,-96,-10,18,true\n",
              &plain);
    assert_int_equal(c.sample[0].tech, NR);
    assert_int_equal(c.sample[0].plmn, VINAPHONE);
    assert_int_equal(c.sample[0].t_ms, INT64_C(1795589907000));
    is(c.sample[0].rsrp, "-96");
    is(c.sample[0].sinr, "18");
    connectivity_csv_done(&c);
}

static void g_nettrack_is_read(void **state)
{
    (void)state;
    struct connectivity_csv c;
    read_good(
        &c,
        "Timestamp\tLongitude\tLatitude\tSpeed\tOperator\tMCC-MNC\tCGI\tCellName\tNode\tCellID\t"
        "LAC\tNetworkTech\tNetworkMode\tLevel\tQual\tSNR\tCQI\tARFCN\tDL_bitrate\tUL_bitrate\n"
        "2026-11-25 13:58:27\t108.9502\t14.8201\t4\tViettel\t452-04\tx\t\t\t\t\t4G\tLTE\t-85\t-12\t"
        "15.8\t12\t1300\t50\t10\t\n"
        "2026.11.25_13.58.57\t108.9503\t14.8201\t4\tViettel\t452-04\tx\t\t\t\t\t5G\tNR "
        "SA\t-82\t-9\t"
        "18\t14\t627264\t100\t25\n"
        "2026/11/25 "
        "13:59:27\t108.9504\t14.8201\t4\tViettel\t452-04\tx\t\t\t\t\t5G\tLTE\t-82\t-9\t18"
        "\t14\t1300\t100\t25\n"
        "2026/11/25 "
        "13:59:57\t108.9504\t14.8201\t4\tViettel\t452-04\tx\t\t\t\t\t3G\tHSPA+\t-20\t9\t\t"
        "\t1300\t100\t25\n",
        &plain);
    assert_int_equal(c.n, 4);
    assert_int_equal(c.sample[0].t_ms, INT64_C(1795589907000));
    assert_int_equal(c.sample[1].t_ms - c.sample[0].t_ms, 30000);
    assert_int_equal(c.sample[0].tech, LTE);
    is(c.sample[0].rsrp, "-85");
    assert_int_equal(c.sample[1].tech, SA);
    is(c.sample[1].rsrp, "-82");
    assert_int_equal(c.sample[2].tech, ENDC);
    is(c.sample[2].rsrp, ""); /* the level is that of LTE */
    assert_int_equal(c.sample[3].tech, CONNECTIVITY_SURVEY_OTHER);
    is(c.sample[3].rsrp, "");
    connectivity_csv_done(&c);
}

static void cellmapper_needs_a_time(void **state)
{
    (void)state;
    struct connectivity_csv c;
    struct err e = {.text = ""};
    static const char text[] =
        "latitude,longitude,altitude,MCC,MNC,LAC,CID,signal,type,subtype,ARFCN,PSC\n"
        "14.8201,108.9502,3,452,4,1,2,-97,LTE,LTE-A,1300,36\n";
    assert_int_equal(connectivity_csv_read(&c, "cm.csv", text, strlen(text), &plain, &e), ST_BAD);
    assert_non_null(strstr(e.text, "cm.csv: no column has the time: give it with --time"));
    connectivity_csv_done(&c);
    struct connectivity_csv_ask ask = plain;
    ask.t_ms = NOON;
    read_good(&c, text, &ask);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.sample[0].t_ms, NOON);
    assert_int_equal(c.sample[0].plmn, VIETTEL);
    is(c.sample[0].rsrp, "-97");
    connectivity_csv_done(&c);
}

static void decimal_commas_quotes_and_a_bom_are_read(void **state)
{
    (void)state;
    struct connectivity_csv c;
    read_good(&c,
              "\xef\xbb\xbf\"Time\";Lat;Lon;PLMN;Technology;RSRP (dBm);note;\r\n"
              "1795589907;14,8201;108,9502;45204;\"5G SA\";-82,5;\"two\r\nlines; and "
              "\"\"quotes\"\"\";\r\n"
              "\r\n"
              "25.11.2026 13:58:28,250;14,8202;+108,9502;45204;NSA;-82,5;;\r\n"
              "\"1795589909000\";14,8202;108,9502;45204;LTE;-82,5;open",
              &plain);
    assert_int_equal(c.n, 3);
    assert_int_equal(c.bad, 0);
    is(c.sample[0].rsrp, "-82.5");
    assert_true(c.sample[0].lat == 14.8201);
    assert_int_equal(c.sample[1].t_ms, INT64_C(1795589908250));
    assert_int_equal(c.sample[1].tech, ENDC);
    assert_int_equal(c.sample[2].t_ms, INT64_C(1795589909000));
    connectivity_csv_done(&c);
}

static void bad_lines_are_told_by_number(void **state)
{
    (void)state;
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"2026-11-25T13:58:27,14.8,108.9,45204,LTE,-200,\n", "RSRP in dBm -200 is not between"},
        {"2026-11-25T13:58:27,14.8,108.9,45204,LTE,weak,\n", "RSRP in dBm is no number: \"weak\""},
        {"2026-11-25T13:58:27,0,0.0,45204,LTE,-90,\n", "position 0, 0"},
        {"2026-11-25T13:58:27,,108.9,45204,LTE,-90,\n", "no position"},
        {"2026-11-25T13:58:27,114.8,108.9,45204,LTE,-90,\n", "the latitude 114.8 is not"},
        {"2026-13-25T13:58:27,14.8,108.9,45204,LTE,-90,\n", "no time that can be read"},
        {"2026-02-30T13:58:27,14.8,108.9,45204,LTE,-90,\n", "no time that can be read"},
        {"11/25/2026 13:58,14.8,108.9,45204,LTE,-90,\n", "no time that can be read"},
        {"2036-11-25T13:58:27,14.8,108.9,45204,LTE,-90,\n", "in the future"},
        {"2026-11-25T13:58:27,14.8,108.9,Viettel,LTE,-90,\n", "no operator"},
        {"2026-11-25T13:58:27,14.8,108.9,052-04,LTE,-90,\n", "no operator"},
        {"2026-11-25T13:58:27,14.8,108.9,45204,WLAN,-90,\n", "no technology that we know"},
        {"2026-11-25T13:58:27,14,8,108,9,45204,LTE,-90,\n", "8 fields, but the first line"},
        {"2026-11-25T13:58:27,14.8,108.9\n", "3 fields, but the first line names 7"},
        {"2026-11-25T13:58:27,14.8,108.9,45204,LTE,-90,\x1b[2J 40\n",
         "SINR in dB is no number: \"?[2J 40\""},
        {"2026-11-25T13:58:27,14.8,108.9,45204,LTE,\"-90,", "a quote has no end"}};
    struct connectivity_csv c;
    struct buf b;
    buf_init(&b, 65536);
    assert_int_equal(buf_printf(&b, "time,lat,lon,operator,technology,rsrp,sinr\n"
                                    "2026-11-25T13:58:27,14.8,108.9,45204,LTE,-90,5\n"),
                     ST_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(buf_printf(&b, "%s", bad[i].line), ST_OK);
    assert_int_equal(buf_put(&b, "", 1), ST_OK);
    read_good(&c, (const char *)b.p, &plain);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.bad, sizeof bad / sizeof *bad);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(c.told[i].line, 3 + i);
        if (!strstr(c.told[i].why, bad[i].why))
            fail_msg("line %u: \"%s\", wanted \"%s\"", c.told[i].line, c.told[i].why, bad[i].why);
    }
    connectivity_csv_done(&c);
    buf_done(&b);
}

static void a_stray_quote_costs_its_own_line_alone(void **state)
{
    (void)state;
#define HEAD "time,lat,lon,operator,technology,rsrp,note\n"
#define GOOD "2026-11-25T13:58:27,14.8,108.9,45204,LTE,-90,"
#define STRAY "2026-11-25T13:58:27,14.8,108.9,45204,LTE,\"-90,\n"
    static const struct {
        const char *text;
        uint32_t n, bad, line, last; /* of the bad ones */
    } files[] = {
        {HEAD GOOD "\n" STRAY GOOD "\n# \n" GOOD "\n", 3, 1, 3, 3},   /* to the end of the file */
        {HEAD GOOD "\n" STRAY GOOD "\n" STRAY GOOD "\n", 3, 2, 3, 5}, /* to the next one */
        {HEAD STRAY GOOD "\"wide\"\n" GOOD "\n", 2, 1, 2, 2},
        {HEAD GOOD "\n" STRAY, 1, 1, 3, 3},
        {HEAD GOOD "\n\"", 1, 1, 3, 3},
        {HEAD GOOD "\"two\nlines\"\n" GOOD "x\n", 2, 0, 0, 0}, /* no stray one */
        {HEAD GOOD "\"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\"\n", 1, 0, 0, 0},
        /* a line too many */
        {HEAD GOOD "\n" GOOD "\"\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\"\n", 1,
         17, 3, 19}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct connectivity_csv c;
        read_good(&c, files[i].text, &plain);
        assert_int_equal(c.n, files[i].n);
        assert_int_equal(c.bad, files[i].bad);
        if (c.bad > 0) {
            assert_int_equal(c.told[0].line, files[i].line);
            assert_int_equal(c.told[c.bad - 1].line, files[i].last);
            assert_string_equal(c.told[0].why, "a quote has no end");
        }
        connectivity_csv_done(&c);
    }
}

/* Each line opens a quote behind which no line is the end of a row: read to its end from each, the
 * file is read 100000 times. */
static void a_file_of_quotes_takes_no_time(void **state)
{
    (void)state;
    static const char *const lines[] = {"\",\"x\",\"c\n", "\"a\"b,\"c\n", "\"\n", "x,\"\"\"\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct connectivity_csv c;
        struct err e = {.text = ""};
        struct buf b;
        uint32_t rows = 0;
        buf_init(&b, 2 * 1024 * 1024);
        assert_int_equal(buf_printf(&b, HEAD), ST_OK);
        for (; b.n < 1024 * 1024; rows++)
            assert_int_equal(buf_put(&b, lines[i], strlen(lines[i])), ST_OK);
        clock_t from = clock();
        assert_int_equal(connectivity_csv_read(&c, "x", b.p, b.n, &plain, &e), ST_BAD);
        assert_true((clock() - from) / CLOCKS_PER_SEC < 10); /* of the processor; usual is 0.1 */
        assert_int_equal(c.bad, rows);
        connectivity_csv_done(&c);
        buf_done(&b);
    }
}

static void a_file_that_is_none_says_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "the file is empty"},
        {"\n\n# only\n", "the file is empty"},
        {"<html><body>gone</body></html>\n", "names no column latitude and longitude"},
        {"\xff\xfet\0i\0", "it is UTF-16"},
        {"time,lat,lon,technology\n1,2,3,LTE\n", "give it with --operator"},
        {"time,lat,lon,operator\n1,2,3,45204\n", "give it with --technology"},
        {"time,lat,lon,operator,tech\n", "it has no samples"},
        {"time,lat,lon,operator,tech\n1,2,3,4,5\n", "none of its 1 lines can be used; line 2"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct connectivity_csv c;
        struct err e = {.text = ""};
        assert_int_equal(
            connectivity_csv_read(&c, "x", bad[i].text, strlen(bad[i].text), &plain, &e), ST_BAD);
        if (!strstr(e.text, bad[i].why))
            fail_msg("\"%s\", wanted \"%s\"", e.text, bad[i].why);
        connectivity_csv_done(&c);
    }
}

static void our_own_form_loses_nothing(void **state)
{
    (void)state;
    struct connectivity_sample s[CONNECTIVITY_SURVEY_TECHS];
    struct connectivity_csv c;
    struct buf b;
    buf_init(&b, 65536);
    for (int i = 0; i < CONNECTIVITY_SURVEY_TECHS; i++) {
        s[i] = (struct connectivity_sample){
            .t_ms = NOON + i, .plmn = VIETTEL, .tech = (enum connectivity_survey_tech)i};
        s[i].lat = round((-14.8201234 + i) * 1e7) / 1e7;
        s[i].lon = round((108.9000001 + i) * 1e7) / 1e7;
        s[i].transfer = i % 2;
        if (i == CONNECTIVITY_SURVEY_OTHER)
            continue;
        s[i].rsrp = num_dec(-90, 0);
        s[i].sinr = num_dec(-5, -1);
    }
    assert_int_equal(connectivity_csv_write(s, CONNECTIVITY_SURVEY_TECHS, &b), ST_OK);
    assert_int_equal(buf_put(&b, "", 1), ST_OK);
    read_good(&c, (const char *)b.p, &plain);
    assert_int_equal(c.n, CONNECTIVITY_SURVEY_TECHS);
    for (int i = 0; i < CONNECTIVITY_SURVEY_TECHS; i++)
        assert_int_equal(connectivity_sample_cmp(&s[i], &c.sample[i]), 0);
    connectivity_csv_done(&c);
    buf_done(&b);
}

/* ---- gpsd
 * ------------------------------------------------------------------------------------------ */

static void take(struct connectivity_gps *g, const char *line, int64_t now_ms)
{
    connectivity_gps_take(g, line, strlen(line), (struct mono){now_ms});
}

#define TPV(mode, time)                                                                            \
    "{\"class\":\"TPV\",\"device\":\"/dev/pts/1\",\"mode\":" mode ",\"time\":\"" time              \
    "\",\"lat\":14.820133333,\"lon\":108.950050000,\"altHAE\":9.6,\"altMSL\":12.34,\"epx\":3.2,"   \
    "\"epy\":4.71}"

static void a_fix_is_fresh_stale_or_none(void **state)
{
    (void)state;
    static struct connectivity_gps g;
    struct mono now = {1000};
    connectivity_gps_init(&g);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_AWAY);
    g.fd = 1; /* of nobody here: it is not read */
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_AWAY); /* it says nothing */
    take(&g, "{\"class\":\"VERSION\",\"release\":\"3.22\",\"proto_major\":3,\"proto_minor\":14}",
         1000);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_NO_FIX);
    take(&g, "{\"class\":\"DEVICES\",\"devices\":[]}", 1000);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_NOTHING);
    take(
        &g,
        "{\"class\":\"DEVICE\",\"path\":\"/dev/pts/1\",\"activated\":\"2026-11-25T05:00:00.000Z\"}",
        1000);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_NO_FIX);
    take(&g, TPV("1", "2026-11-25T05:00:00.000Z"), 1000);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_NO_FIX);
    take(&g, TPV("2", "2026-11-25T05:00:01.000Z"), 1000);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_2D);
    assert_int_equal(g.alt_m.kind, NUM_NONE);
    take(&g, TPV("3", "2026-11-25T05:00:02.000Z"), 2000);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_3D);
    is(g.alt_m, "12.3");
    is(g.error_m, "4.7");
    assert_true(fabs(g.lat - 14.820133333) < 1e-12 && fabs(g.lon - 108.95005) < 1e-12);
    /* reports that go on, of the same fix */
    take(&g, TPV("3", "2026-11-25T05:00:02.000Z"), 12500);
    now.ms = 12000;
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_3D);
    now.ms = 12001;
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_STALE);
    take(&g, "{\"class\":\"DEVICE\",\"path\":\"/dev/pts/1\",\"activated\":0}", 12500);
    assert_int_equal(connectivity_gps_judge(&g, now), CONNECTIVITY_GPS_NOTHING);
}

static void what_gpsd_cannot_have_meant_is_no_fix(void **state)
{
    (void)state;
    static struct connectivity_gps g;
    static const char *const odd[] = {"{\"class\":\"TPV\",\"mode\":3,\"time\":\"x\"}",
                                      "{\"class\":\"TPV\",\"mode\":3,\"lat\":95,\"lon\":1}",
                                      "{\"class\":\"TPV\",\"mode\":3,\"lat\":\"14\",\"lon\":108}",
                                      "{\"class\":\"TPV\",\"mode\":4,\"lat\":14,\"lon\":108}",
                                      "{\"class\":\"TPV\",\"mode\":\"3\",\"lat\":14,\"lon\":108}"};
    connectivity_gps_init(&g);
    g.fd = 1;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        take(&g, TPV("3", "2026-11-25T05:00:02.000Z"), 1);
        take(&g, odd[i], 2);
        assert_int_equal(connectivity_gps_judge(&g, (struct mono){3}), CONNECTIVITY_GPS_NO_FIX);
    }
    /* what is no JSON, or of another class, changes nothing */
    take(&g, TPV("3", "2026-11-25T05:00:03.000Z"), 1);
    take(&g, "{\"class\":\"TPV\",\"mode\":1", 2);
    take(&g, "\x80\x81", 2);
    take(&g, "", 2);
    take(&g, "[1,2]", 2);
    take(&g, "{\"class\":\"SKY\",\"mode\":1,\"satellites\":[{\"PRN\":1}]}", 2);
    take(&g, "{\"class\":\"TPV\",\"mode\":1,\"x\":[[[[[[[[[[1]]]]]]]]]]}", 2);
    assert_int_equal(connectivity_gps_judge(&g, (struct mono){3}), CONNECTIVITY_GPS_3D);
    connectivity_gps_init(&g);
}

static void addresses_of_gpsd(void **state)
{
    (void)state;
    struct connectivity_address a;
    static const char *const good[] = {"127.0.0.1:2947", "localhost:1", "[::1]:65535"};
    static const char *const bad[] = {"127.0.0.1", "2947",       "127.0.0.1:0", "127.0.0.1:65536",
                                      "gps:2947",  "[::1:2947x", "127.0.0.1:x", ":2947"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(connectivity_gps_address(good[i], &a));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(connectivity_gps_address(bad[i], &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(network_survey_is_read),
                                       cmocka_unit_test(g_nettrack_is_read),
                                       cmocka_unit_test(cellmapper_needs_a_time),
                                       cmocka_unit_test(decimal_commas_quotes_and_a_bom_are_read),
                                       cmocka_unit_test(bad_lines_are_told_by_number),
                                       cmocka_unit_test(a_stray_quote_costs_its_own_line_alone),
                                       cmocka_unit_test(a_file_of_quotes_takes_no_time),
                                       cmocka_unit_test(a_file_that_is_none_says_what_is_missing),
                                       cmocka_unit_test(our_own_form_loses_nothing),
                                       cmocka_unit_test(a_fix_is_fresh_stale_or_none),
                                       cmocka_unit_test(what_gpsd_cannot_have_meant_is_no_fix),
                                       cmocka_unit_test(addresses_of_gpsd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
