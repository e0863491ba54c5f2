/* test-sheet-site DIR: a report whose every figure is known, in all forms and both languages, for
 * tests/system/sheet.py to read back: DIR/LANGUAGE.FORM. `changed` behind DIR: a sheet that was
 * submitted, with what changed since. */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/sheet.h"

static const struct report_run whole[] = {{20600, 100, 0}, {20700, 3, 2}, {20703, 78, 0}};

#define NO_LIMIT                                                                                   \
    {                                                                                              \
        .norm = "", .parameter = "", .window = "", .unit = ""                                      \
    }
static struct report_row rows[] = {
    {.id = "env-aqi-day",
     .instance = "env-aqi-day.air-1",
     .about = "Trạm khí cổng chợ",
     .name = {"Chỉ số chất lượng không khí ngày", "Daily air quality index"},
     .sentence = {"Chỉ báo: trạm không do đơn vị quan trắc đủ điều kiện vận hành.",
                  "Indicative: not run by a qualified monitoring body."},
     .reason = "",
     .reason_text = {"", ""},
     .unit = "1",
     .label = REPORT_INDICATIVE,
     .numerator = "15480",
     .denominator = "181",
     .due = 17376,
     .good = 17001,
     .needed = 75,
     .target = {.op = "", .source = "", .note = ""},
     .limit = {.norm = "qcvn-05-2023", .parameter = "pm25", .window = "24h", .unit = "ug/m3"},
     .owner_unit = "Phòng Văn hóa – Xã hội",
     .owner_person = "Trưởng phòng Văn hóa – Xã hội",
     .model_type = "AirQualityObserved",
     .model_attribute = "airQualityIndex",
     .runs = whole,
     .nruns = 3},
    {.id = "ene-renewable-site",
     .instance = "ene-renewable-site",
     .about = "",
     .name = {"Tỷ lệ năng lượng tái tạo tại điểm đo", "Renewable share at the site"},
     .sentence = {"Chỉ tính điện tại điểm đo, không phải toàn đảo.",
                  "Electricity at this site alone, not of the island."},
     .reason = "",
     .reason_text = {"", ""},
     .unit = "/100",
     .decimals = 2,
     .label = REPORT_PROXY,
     .numerator = "123456/7",
     .denominator = "5000000",
     .due = 10000,
     .good = 9999,
     .needed = 75,
     .target = {.op = ">=", .year = 2030, .source = "000:83", .note = ""},
     .limit = NO_LIMIT,
     .owner_unit = "",
     .owner_person = "",
     .model_type = "",
     .model_attribute = ""},
    {.id = "wst-fill",
     .instance = "wst-fill.bin-1",
     .about = "=HYPERLINK(\"http://x\",\"<script>alert(1)</script>\")",
     .name = {"@SUM(1+1)*cmd|' /C calc'!A0", "-2+3"},
     .sentence = {"a,b;\"c\"", "+1"},
     .reason = "incomplete",
     .reason_text = {"Không đủ số liệu: cần 75 %, có 40,2 %",
                     "Too few readings: 75 % needed, 40.2 % there"},
     .unit = "/100",
     .decimals = 1,
     .label = REPORT_MEASURED,
     .numerator = "",
     .denominator = "",
     .due = 1000,
     .good = 402,
     .needed = 75,
     .target = {.op = "<", .year = 2025, .source = "=1+1", .note = "<b>"},
     .limit = NO_LIMIT,
     .owner_unit = "<img src=x onerror=alert(1)>",
     .owner_person = "=cmd|' /C calc'!A0",
     .model_type = "",
     .model_attribute = ""},
    {.id = "con-6g-area",
     .instance = "",
     .about = "",
     .name = {"Tỷ lệ phủ sóng 6G trên địa bàn", "6G coverage of the area"},
     .sentence = {"Chưa có mạng 6G nào được triển khai.", "No 6G network is deployed."},
     .reason = "target",
     .reason_text = {"Chỉ có mục tiêu: chưa có mạng 6G để đo", "A target alone: no 6G to measure"},
     .unit = "/100",
     .label = REPORT_PROXY,
     .numerator = "",
     .denominator = "",
     .target = {.op = ">=", .year = 2035, .source = "002:221", .note = ""},
     .limit = NO_LIMIT,
     .owner_unit = "Phòng Văn hóa – Xã hội",
     .owner_person = "",
     .model_type = "",
     .model_attribute = ""},
};
#define ROWS (sizeof rows / sizeof *rows)
#define MANY 40 /* more than a page holds */

static struct report_change changes[] = {
    {.id = "ene-renewable-site",
     .instance = "ene-renewable-site",
     .name = {"Tỷ lệ năng lượng tái tạo tại điểm đo", "Renewable share at the site"},
     .was = {"3,53 %", "3.53 %"},
     .now = {"3,51 %", "3.51 %"},
     .why = {"3 ngày được tính lại (09/09/2026 – 11/09/2026)",
             "3 days were computed again (9 to 11 September 2026)"}}};

static struct report_version versions[] = {
    {.number = 1,
     .digest = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
     .reason = "",
     .approved = {.who = "lan", .at_ms = INT64_C(1782700000000)},
     .submitted = {.who = "hoa", .at_ms = INT64_C(1782710000000)}},
    {.number = 2,
     .digest = "",
     .reason = "<b>số liệu đến muộn</b>",
     .approved = {.who = "lan", .at_ms = INT64_C(1782800000000)},
     .submitted = {.who = "bình <chủ tịch>", .at_ms = INT64_C(1782900000000)}}};

static bool num(const char *text, struct num *out)
{
    return num_parse(text, out);
}

static bool fill(struct report *r, struct report_row *all, bool changed)
{
    struct err e;
    report_init(r);
    r->gateway = "tra-cau-01";
    r->site = "UBND phường Trà Câu";
    r->territory = "tra-cau";
    r->code = "21451";
    r->territory_name[REPORT_VI] = "Phường Trà Câu";
    r->territory_name[REPORT_EN] = "Trà Câu ward";
    r->office = "UBND phường Trà Câu";
    r->duty_to = "Ban Chỉ đạo, Ban Thường vụ Đảng ủy phường";
    r->duty_source = "002:663-667";
    r->catalogue = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    r->made_ms = INT64_C(1782900000000);
    if (report_period_parse(&r->period, "2026-H1", REPORT_CALENDAR, &e) != ST_OK)
        return false;
    r->until_day = r->period.to_day;
    bool good = num("85.5", &rows[0].value) && num("45", &rows[0].limit.value) &&
                num("3.53", &rows[1].value) && num("5", &rows[1].target.value) &&
                num("-1.47", &rows[1].target.distance) && num("80", &rows[2].target.value) &&
                num("50", &rows[3].target.value);
    for (size_t i = 0; i < MANY; i++) {
        all[i] = rows[i < ROWS ? i : i % 2];
        all[i].runs = all[i].runs ? all[i].runs : whole;
    }
    r->rows = all;
    r->n = changed ? MANY : ROWS;
    if (changed) {
        r->state = REPORT_SUBMITTED;
        r->approved = (struct report_act){.who = "lan", .at_ms = INT64_C(1782800000000)};
        r->submitted = (struct report_act){.who = "bình <chủ tịch>", .at_ms = r->made_ms};
        r->changes = changes;
        r->nchanges = 1;
        r->version = 2;
        r->replaces = versions[0].digest;
        r->reason = versions[1].reason;
        r->versions = versions;
        r->nversions = 2;
    }
    return good && report_seal(r, &e) == ST_OK;
}

static bool write_form(const char *dir, const struct report *r, const struct sheet_form *f,
                       enum report_language l)
{
    char path[1024];
    struct err e = {.text = ""};
    struct buf b;
    buf_init(&b, (size_t)16 * 1024 * 1024);
    bool good = f->write(&b, r, l, &e) == ST_OK;
    if (!good)
        (void)fprintf(stderr, "%s: %s\n", f->name, e.text);
    (void)snprintf(path, sizeof path, "%s/%s.%s", dir, l == REPORT_VI ? "vi" : "en", f->name);
    FILE *out = good ? fopen(path, "we") : NULL;
    good = out && fwrite(b.p, 1, b.n, out) == b.n;
    good = out && fclose(out) == 0 && good;
    buf_done(&b);
    return good;
}

int main(int argc, char **argv)
{
    static struct report_row all[MANY];
    struct report r;
    bool good = argc >= 2 && fill(&r, all, argc > 2);
    for (int l = 0; good && l < REPORT_LANGUAGES; l++)
        for (const struct sheet_form *f = sheet_forms; good && f->name; f++)
            good = write_form(argv[1], &r, f, (enum report_language)l);
    if (good)
        report_done(&r);
    return good ? 0 : 1;
}
