/* What a sheet says to people: its words, its numbers, the lines of its head and its cells. */
#include "gateway/cli/sheet.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[SHEET_WORDS][REPORT_LANGUAGES] = {
    [SHEET_TITLE] = {"PHIẾU SỐ LIỆU CHỈ TIÊU", "INDICATOR FIGURE SHEET"},
    [SHEET_PERIOD] = {"Kỳ báo cáo", "Period"},
    [SHEET_FROM] = {"từ", "from"},
    [SHEET_TO_END] = {"đến hết", "to the end of"},
    [SHEET_UNTIL] = {"Số liệu đến hết ngày", "Figures until the end of"},
    [SHEET_NONE_YET] = {"kỳ chưa bắt đầu", "the period has not begun"},
    [SHEET_CLOSED] = {"chốt ngày 14", "closed on the 14th"},
    [SHEET_TERRITORY] = {"Địa bàn", "Territory"},
    [SHEET_OFFICE] = {"Đơn vị báo cáo", "Reporting office"},
    [SHEET_DUE] = {"Hạn nộp", "Due"},
    [SHEET_BEFORE] = {"trước ngày", "before"},
    [SHEET_NO_DAY] = {"không quy định ngày", "no day is given"},
    [SHEET_SITE] = {"Điểm đo", "Site"},
    [SHEET_STATE] = {"Trạng thái", "State"},
    [SHEET_VERSION] = {"Phiên bản", "Version"},
    [SHEET_INSTEAD_OF] = {"thay cho phiên bản", "in place of version"},
    [SHEET_REPLACED_BY] = {"đã được thay bằng phiên bản", "replaced by version"},
    [SHEET_NOT_YET] = {"chưa nộp phiên bản", "not submitted yet: version"},
    [SHEET_SUBMITTED_AT] = {"nộp lúc", "submitted"},
    [SHEET_APPROVED_AT] = {"duyệt lúc", "approved"},
    [SHEET_DIGEST] = {"Mã băm SHA-256", "SHA-256 digest"},
    [SHEET_SCAN] = {"Mã QR chứa mã băm của phiếu", "The QR code holds the sheet's digest"},
    [SHEET_MADE] = {"In lúc", "Printed"},
    [SHEET_PAGE] = {"Trang", "Page"},
    [SHEET_CHANGES] = {"Thay đổi sau khi nộp", "Changed since it was submitted"},
    [SHEET_CHANGES_APPROVED] = {"Thay đổi sau khi duyệt", "Changed since it was approved"},
    [SHEET_WAS] = {"Trên phiếu", "On the sheet"},
    [SHEET_NOW] = {"Hiện nay", "Now"},
    [SHEET_WHY] = {"Vì sao", "Why"},
    [SHEET_MET] = {"đạt", "met"},
    [SHEET_MISSED] = {"chưa đạt", "not met"},
    [SHEET_YEAR] = {"năm", "in"},
    [SHEET_LIMIT] = {"Giới hạn", "Limit"},
    [SHEET_NEEDED] = {"cần", "needs"},
    [SHEET_NOBODY] = {"chưa phân công", "nobody is named"},
    [SHEET_CATALOGUE] = {"Danh mục chỉ tiêu", "Catalogue"},
    [SHEET_ALL_COLUMNS] = {"Chi tiết", "Details"}};
static const char *const labels[REPORT_LABELS][REPORT_LANGUAGES] = {
    [REPORT_MEASURED] = {"Đo trực tiếp", "Measured"},
    [REPORT_PROXY] = {"Thay thế", "Proxy"},
    [REPORT_INDICATIVE] = {"Chỉ báo", "Indicative"}};
static const char *const states[REPORT_STATES][REPORT_LANGUAGES] = {
    [REPORT_DRAFT] = {"BẢN NHÁP", "DRAFT"},
    [REPORT_APPROVED] = {"ĐÃ DUYỆT", "APPROVED"},
    [REPORT_SUBMITTED] = {"ĐÃ NỘP", "SUBMITTED"}};
static const char *const headings[SHEET_COLUMNS][REPORT_LANGUAGES] = {
    [SHEET_NUMBER] = {"TT", "#"},
    [SHEET_INDICATOR] = {"Chỉ tiêu", "Indicator"},
    [SHEET_UNIT] = {"Đơn vị tính", "Unit"},
    [SHEET_VALUE] = {"Số liệu", "Figure"},
    [SHEET_TARGET] = {"Mục tiêu", "Target"},
    [SHEET_DISTANCE] = {"So với mục tiêu", "Distance"},
    [SHEET_COMPLETE] = {"Mức đầy đủ", "Completeness"},
    [SHEET_OWNER] = {"Đơn vị, người phụ trách", "Unit and person"}};

const char *sheet_word(enum sheet_word w, enum report_language l)
{
    return words[w][l];
}

const char *sheet_label(enum report_label label, enum report_language l)
{
    return labels[label][l];
}

const char *sheet_state(enum report_state state, enum report_language l)
{
    return states[state][l];
}

const char *sheet_changes(const struct report *r, enum report_language l)
{
    return words[r->state == REPORT_SUBMITTED ? SHEET_CHANGES : SHEET_CHANGES_APPROVED][l];
}

const char *sheet_heading(enum sheet_column c, enum report_language l)
{
    return headings[c][l];
}

/* ---- numbers and times ------------------------------------------------------------------------
 */

const char *sheet_unit(const char *unit, enum report_language l)
{
    static const struct {
        const char *senml, *people[REPORT_LANGUAGES];
    } known[] = {{"/100", {"%", "%"}},
                 {"/", {"tỷ lệ", "ratio"}},
                 {"1", {"", ""}},
                 {"count", {"số lần", "count"}},
                 {"Cel", {"°C", "°C"}},
                 {"ug/m3", {"µg/m³", "µg/m³"}},
                 {"mg/m3", {"mg/m³", "mg/m³"}},
                 {"ug/l", {"µg/l", "µg/l"}},
                 {"m3", {"m³", "m³"}},
                 {"m3/s", {"m³/s", "m³/s"}},
                 {"W/m2", {"W/m²", "W/m²"}},
                 {"%RH", {"%", "%"}},
                 {"%EL", {"%", "%"}},
                 {"h", {"giờ", "h"}},
                 {"min", {"phút", "min"}},
                 {"s", {"giây", "s"}},
                 {"d", {"ngày", "d"}},
                 {"dBspl", {"dB", "dB"}}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].senml, unit) == 0)
            return known[i].people[l];
    return unit;
}

const char *sheet_number(struct num n, int decimals, bool signed_, enum report_language l,
                         char out[SHEET_NUMBER_BYTES])
{
    char text[NUM_TEXT_BYTES];
    out[0] = '\0';
    if (n.kind == NUM_NONE)
        return out;
    (void)num_text(n, text);
    bool minus = text[0] == '-';
    const char *digits = text + minus, *dot = strchr(digits, '.');
    int have = dot ? (int)strlen(dot + 1) : 0;
    int whole = dot ? (int)(dot - digits) : (int)strlen(digits);
    bool zero = strspn(digits, "0.") == strlen(digits);
    int pad = decimals > have ? decimals - have : 0;
    (void)snprintf(out, SHEET_NUMBER_BYTES, "%s%.*s%s%s%.*s",
                   minus              ? "\xe2\x88\x92" /* U+2212 */
                   : signed_ && !zero ? "+"
                                      : "",
                   whole, digits, have + pad > 0 ? (l == REPORT_VI ? "," : ".") : "",
                   dot ? dot + 1 : "", pad < 24 ? pad : 24, "000000000000000000000000");
    return out;
}

int64_t sheet_complete(const struct report_row *x)
{
    if (x->due == 0)
        return -1;
    if (x->good >= x->due)
        return 1000;
    return x->due > UINT64_MAX / 1000 ? (int64_t)(x->good / (x->due / 1000))
                                      : (int64_t)(x->good * 1000 / x->due);
}

const char *sheet_time(int64_t t_ms, enum report_language l, char out[64])
{
    char text[CLK_TEXT_BYTES], date[REPORT_DATE_BYTES];
    int64_t day = wire_day_of(t_ms);
    int32_t d = day > INT32_MIN && day < INT32_MAX ? (int32_t)day : INT32_MAX;
    (void)clk_text(t_ms - wire_day_begin_ms(day), text); /* 1970-01-01T14:03:… */
    (void)snprintf(out, 64, "%.5s %s", text + 11, report_date(d, l, date));
    return out;
}

/* ---- the head ----------------------------------------------------------------------------------
 */

#define EMPTY(text) ((text)[0] == '\0')

static void say_period(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    char name[REPORT_NAME_BYTES], from[REPORT_DATE_BYTES], to[REPORT_DATE_BYTES];
    bool closed = r->period.closing == REPORT_ON_14TH;
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s, %s %s %s %s%s%s",
                   report_period_name(&r->period, l, name), words[SHEET_FROM][l],
                   report_date(r->period.from_day, l, from), words[SHEET_TO_END][l],
                   report_date(r->period.to_day, l, to), closed ? ", " : "",
                   closed ? words[SHEET_CLOSED][l] : "");
}

static void say_until(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    char day[REPORT_DATE_BYTES];
    bool begun = r->until_day >= r->period.from_day;
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s",
                   begun ? report_date(r->until_day, l, day) : words[SHEET_NONE_YET][l]);
}

static void say_territory(const struct report *r, enum report_language l,
                          char out[SHEET_TEXT_BYTES])
{
    bool coded = !EMPTY(r->code);
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s%s%s%s", r->territory_name[l], coded ? " (" : "",
                   r->code, coded ? ")" : "");
}

static void say_office(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    (void)l;
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s", r->office);
}

static void say_due(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    char day[REPORT_DATE_BYTES] = "";
    bool given = r->due_day != INT32_MAX;
    out[0] = '\0';
    if (EMPTY(r->duty_to))
        return;
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s%s%s → %s",
                   words[given ? SHEET_BEFORE : SHEET_NO_DAY][l], given ? " " : "",
                   given ? report_date(r->due_day, l, day) : "", r->duty_to);
}

static void say_site(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    (void)l;
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s%s%s%s", EMPTY(r->site) ? r->gateway : r->site,
                   EMPTY(r->site) ? "" : " (", EMPTY(r->site) ? "" : r->gateway,
                   EMPTY(r->site) ? "" : ")");
}

static void say_state(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    const struct report_act *const acts[] = {&r->approved, &r->submitted};
    char when[64];
    size_t n = 0;
    if (r->state == REPORT_DRAFT)
        n = (size_t)snprintf(out, SHEET_TEXT_BYTES, "%s", states[REPORT_DRAFT][l]);
    for (unsigned i = 0; i < 2 && i < (unsigned)r->state; i++)
        n += (size_t)snprintf(out + n, SHEET_TEXT_BYTES - n, "%s%s: %.64s, %s", i > 0 ? "; " : "",
                              states[i + 1][l], acts[i]->who, sheet_time(acts[i]->at_ms, l, when));
}

static const struct report_version *version_at(const struct report *r, unsigned number)
{
    return number > 0 && number <= r->nversions ? &r->versions[number - 1] : NULL;
}

/* Nothing of a sheet that has one version. */
static void say_version(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    const struct report_version *before = version_at(r, r->version - 1);
    const struct report_version *next = version_at(r, r->version + 1);
    char when[64];
    size_t n = 0;
    out[0] = '\0';
    if (r->version == 0 || (!before && !next))
        return;
    n = (size_t)snprintf(out, SHEET_TEXT_BYTES, "%u", r->version);
    if (before)
        n += (size_t)snprintf(out + n, SHEET_TEXT_BYTES - n, ", %s %u (%s %s, %s %s): %s",
                              words[SHEET_INSTEAD_OF][l], before->number,
                              words[SHEET_SUBMITTED_AT][l],
                              sheet_time(before->submitted.at_ms, l, when), words[SHEET_DIGEST][l],
                              before->digest, r->reason);
    bool handed = next && next->submitted.who[0];
    if (next && n < SHEET_TEXT_BYTES)
        (void)snprintf(out + n, SHEET_TEXT_BYTES - n, "; %s %u (%s %s): %s",
                       words[handed ? SHEET_REPLACED_BY : SHEET_NOT_YET][l], next->number,
                       words[handed ? SHEET_SUBMITTED_AT : SHEET_APPROVED_AT][l],
                       sheet_time(handed ? next->submitted.at_ms : next->approved.at_ms, l, when),
                       next->reason);
}

static void say_digest(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES])
{
    (void)l;
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s", r->digest);
}

static const struct {
    enum sheet_word name;
    void (*say)(const struct report *r, enum report_language l, char out[SHEET_TEXT_BYTES]);
} lines[] = {
    {SHEET_PERIOD, say_period}, {SHEET_UNTIL, say_until},     {SHEET_TERRITORY, say_territory},
    {SHEET_OFFICE, say_office}, {SHEET_DUE, say_due},         {SHEET_SITE, say_site},
    {SHEET_STATE, say_state},   {SHEET_VERSION, say_version}, {SHEET_DIGEST, say_digest}};

bool sheet_line(const struct report *r, enum report_language l, size_t i, const char **name,
                char text[SHEET_TEXT_BYTES])
{
    if (i >= sizeof lines / sizeof *lines)
        return false;
    *name = words[lines[i].name][l];
    lines[i].say(r, l, text);
    return true;
}

/* ---- the cells ---------------------------------------------------------------------------------
 */

static void cut_mark(char *text, size_t n)
{
    /* A text that was cut may end within a character. */
    size_t k = strlen(text);
    if (k + 1 < n)
        return;
    while (k > 0 && ((unsigned char)text[k - 1] & 0xc0) == 0x80)
        k--;
    text[k > 0 ? k - 1 : 0] = '\0';
}

__attribute__((format(printf, 4, 5))) static size_t
piece(struct sheet_piece *out, size_t n, enum sheet_style style, const char *fmt, ...)
{
    va_list args;
    if (n >= SHEET_PIECES)
        return n;
    va_start(args, fmt);
    (void)vsnprintf(out[n].text, sizeof out[n].text, fmt, args);
    va_end(args);
    cut_mark(out[n].text, sizeof out[n].text);
    out[n].style = style;
    return EMPTY(out[n].text) ? n : n + 1;
}

static const char *op_text(const char *op)
{
    static const char *const known[][2] = {{"<=", "≤"}, {">=", "≥"}, {"!=", "≠"}};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(op, known[i][0]) == 0)
            return known[i][1];
    return op;
}

/* The number with its own decimals where it has more than the indicator. */
static const char *number_unit(struct num v, const struct report_row *x, bool signed_,
                               enum report_language l, char out[SHEET_NUMBER_BYTES + 40])
{
    char n[SHEET_NUMBER_BYTES];
    const char *unit = sheet_unit(x->unit, l);
    (void)snprintf(out, SHEET_NUMBER_BYTES + 40, "%s%s%.32s",
                   sheet_number(v, x->decimals, signed_, l, n), EMPTY(unit) ? "" : " ", unit);
    return out;
}

const char *sheet_figure(const struct report_row *x, enum report_language l,
                         char out[SHEET_TEXT_BYTES])
{
    char text[SHEET_NUMBER_BYTES + 40];
    (void)snprintf(out, SHEET_TEXT_BYTES, "%s",
                   x->value.kind == NUM_NONE ? x->reason_text[l]
                                             : number_unit(x->value, x, false, l, text));
    return out;
}

static size_t indicator(const struct report *r, const struct report_row *x, enum report_language l,
                        struct sheet_piece *out)
{
    char limit[SHEET_NUMBER_BYTES];
    size_t n = piece(out, 0, SHEET_STRONG, "%s", EMPTY(x->name[l]) ? x->id : x->name[l]);
    (void)r;
    n = piece(out, n, SHEET_PLAIN, "%s", x->about);
    const char *label = labels[x->label][l]; /* many a sentence begins with it */
    bool said = strncmp(x->sentence[l], label, strlen(label)) == 0;
    n = piece(out, n, SHEET_SMALL, "%s%s%s", said ? "" : label,
              said || EMPTY(x->sentence[l]) ? "" : ": ", x->sentence[l]);
    if (!EMPTY(x->limit.norm))
        n = piece(out, n, SHEET_SMALL, "%s: %s %s (%s, %s, %s)", words[SHEET_LIMIT][l],
                  sheet_number(x->limit.value, 0, false, l, limit), sheet_unit(x->limit.unit, l),
                  x->limit.norm, x->limit.parameter, x->limit.window);
    return piece(out, n, SHEET_SMALL, "%s", EMPTY(x->instance) ? x->id : x->instance);
}

static size_t value(const struct report *r, const struct report_row *x, enum report_language l,
                    struct sheet_piece *out)
{
    char text[SHEET_NUMBER_BYTES];
    (void)r;
    if (x->value.kind == NUM_NONE)
        return piece(out, 0, SHEET_WARNING, "%s", x->reason_text[l]);
    return piece(out, 0, SHEET_STRONG, "%s", sheet_number(x->value, x->decimals, false, l, text));
}

static size_t target(const struct report *r, const struct report_row *x, enum report_language l,
                     struct sheet_piece *out)
{
    char text[SHEET_NUMBER_BYTES + 40];
    (void)r;
    if (EMPTY(x->target.op))
        return 0;
    size_t n = piece(out, 0, SHEET_PLAIN, "%s %s", op_text(x->target.op),
                     number_unit(x->target.value, x, false, l, text));
    n = piece(out, n, SHEET_SMALL, "%s %" PRId64, words[SHEET_YEAR][l], x->target.year);
    return piece(out, n, SHEET_SMALL, "%s", x->target.source);
}

static size_t distance(const struct report *r, const struct report_row *x, enum report_language l,
                       struct sheet_piece *out)
{
    char text[SHEET_NUMBER_BYTES];
    (void)r;
    if (x->target.distance.kind == NUM_NONE)
        return 0;
    size_t n = piece(out, 0, SHEET_PLAIN, "%s",
                     sheet_number(x->target.distance, x->decimals, true, l, text));
    return piece(out, n, x->target.met ? SHEET_SMALL : SHEET_WARNING, "%s",
                 words[x->target.met ? SHEET_MET : SHEET_MISSED][l]);
}

static size_t complete(const struct report *r, const struct report_row *x, enum report_language l,
                       struct sheet_piece *out)
{
    char text[SHEET_NUMBER_BYTES];
    int64_t tenths = sheet_complete(x);
    (void)r;
    if (tenths < 0)
        return 0;
    size_t n =
        piece(out, 0, SHEET_PLAIN, "%s %%", sheet_number(num_dec(tenths, -1), 1, false, l, text));
    n = piece(out, n, SHEET_SMALL, "%" PRIu64 " / %" PRIu64, x->good, x->due);
    return piece(out, n, SHEET_SMALL, "%s ≥ %" PRId64 " %%", words[SHEET_NEEDED][l], x->needed);
}

static size_t owner(const struct report *r, const struct report_row *x, enum report_language l,
                    struct sheet_piece *out)
{
    (void)r;
    if (EMPTY(x->owner_unit) && EMPTY(x->owner_person))
        return piece(out, 0, SHEET_SMALL, "%s", words[SHEET_NOBODY][l]);
    size_t n = piece(out, 0, SHEET_PLAIN, "%s", x->owner_unit);
    return piece(out, n, SHEET_SMALL, "%s", x->owner_person);
}

static size_t counted(const struct report *r, const struct report_row *x, enum report_language l,
                      struct sheet_piece *out)
{
    (void)l;
    return piece(out, 0, SHEET_PLAIN, "%zu", (size_t)(x - r->rows) + 1);
}

static size_t unit(const struct report *r, const struct report_row *x, enum report_language l,
                   struct sheet_piece *out)
{
    (void)r;
    return piece(out, 0, SHEET_PLAIN, "%s", sheet_unit(x->unit, l));
}

size_t sheet_cell(const struct report *r, size_t row, enum sheet_column c, enum report_language l,
                  struct sheet_piece out[SHEET_PIECES])
{
    static size_t (*const cells[SHEET_COLUMNS])(const struct report *, const struct report_row *,
                                                enum report_language, struct sheet_piece *) = {
        [SHEET_NUMBER] = counted,    [SHEET_INDICATOR] = indicator, [SHEET_UNIT] = unit,
        [SHEET_VALUE] = value,       [SHEET_TARGET] = target,       [SHEET_DISTANCE] = distance,
        [SHEET_COMPLETE] = complete, [SHEET_OWNER] = owner};
    return cells[c](r, &r->rows[row], l, out);
}

const char *sheet_qr(const struct report *r, char out[SHEET_QR_BYTES])
{
    (void)snprintf(out, SHEET_QR_BYTES, "FPR1:%.64s:%.64s:%s:%s", r->gateway,
                   EMPTY(r->code) ? r->territory : r->code, r->period.text, r->digest);
    return out;
}
