/* Any bytes as the file of a sheet. Beside the sanitizers: what is taken is, written again, the
 * same bytes; its texts may be shown on a terminal, its figures are those of its period, it says
 * the same as itself, and every form that is drawn without a library comes out whole. */
// uses: cli
// seeds: tests/fuzz/corpus/sheet/*
#include <string.h>

#include "gateway/cli/sheet.h"
#include "gateway/cli/sheet_keep.h"
#include "tests/fuzz/fuzz.h"

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void check_row(const struct report *r, const struct report_row *x)
{
    const char *const texts[] = {x->id,
                                 x->instance,
                                 x->about,
                                 x->name[REPORT_VI],
                                 x->name[REPORT_EN],
                                 x->sentence[REPORT_VI],
                                 x->sentence[REPORT_EN],
                                 x->reason,
                                 x->unit,
                                 x->numerator,
                                 x->denominator,
                                 x->target.op,
                                 x->target.source,
                                 x->limit.norm,
                                 x->owner_unit,
                                 x->model_type};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        demand(texts[i] && is_plain(texts[i]));
    demand(x->label < REPORT_LABELS && x->decimals >= 0 && x->decimals <= 24);
    demand(x->needed >= 0 && x->needed <= 100);
    for (size_t i = 0; i < x->nruns; i++)
        demand(x->runs[i].days > 0 && x->runs[i].day >= r->period.from_day &&
               x->runs[i].day + x->runs[i].days - 1 <= r->until_day);
}

static void check(const struct report *r)
{
    demand(r->state == REPORT_APPROVED || r->state == REPORT_SUBMITTED);
    demand(r->approved.who[0] && strlen(r->approved.who) <= SHEET_WHO_MAX);
    demand((r->state == REPORT_SUBMITTED) == (r->submitted.who[0] != '\0'));
    demand(r->version >= 1 && r->version <= SHEET_VERSIONS && is_plain(r->reason));
    demand((r->version > 1) ==
           (r->reason[0] && strlen(r->replaces) == 2 * (size_t)WIRE_HASH_BYTES));
    demand(is_plain(r->gateway) && is_plain(r->approved.who) && is_plain(r->submitted.who));
    demand(r->period.from_day <= r->period.to_day);
    demand(r->until_day >= r->period.from_day - 1 && r->until_day <= r->period.to_day);
    demand(r->n <= REPORT_ROWS_MAX);
    for (size_t i = 0; i < r->n; i++)
        check_row(r, &r->rows[i]);
}

/* Without the forms that need libraries. */
static void draw(const struct report *r)
{
    static sheet_form_write *const forms[] = {sheet_csv, sheet_json, sheet_html};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct buf b;
        buf_init(&b, (size_t)16 * 1024 * 1024);
        enum report_language l = r->n % 2 == 0 ? REPORT_VI : REPORT_EN;
        demand(forms[i](&b, r, l, NULL) == ST_OK && b.n > 0);
        demand(!memchr(b.p, 0, b.n) && !memchr(b.p, 0x1b, b.n));
        demand(forms[i] != sheet_html || !memmem(b.p, b.n, "<x>", 3));
        buf_done(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct report r;
    struct buf b, again;
    struct err e = {.text = ""};
    buf_init(&b, SHEET_FILE_MAX + 1);
    buf_init(&again, SHEET_FILE_MAX);
    demand(buf_put(&b, data, n) == ST_OK && buf_put(&b, "", 1) == ST_OK);
    enum st st = sheet_file_read(&r, (const char *)b.p, n, &e);
    demand(st == ST_OK || (st == ST_CORRUPT && e.text[0]));
    if (st == ST_OK) {
        demand(sheet_file_write(&again, &r, &e) == ST_OK);
        demand(again.n == n && memcmp(again.p, data, n) == 0);
        check(&r);
        draw(&r);
        demand(sheet_compare(&r, &r, NULL, &e) == ST_OK && r.nchanges == 0);
        PLANT(r.state == REPORT_SUBMITTED && r.n > 3 && r.rows[0].label == REPORT_PROXY);
    }
    report_done(&r);
    buf_done(&again);
    buf_done(&b);
    return 0;
}

/* ---- what is changed in a sheet ------------------------------------------------------------- */

/* The digest of what stands behind the head, where there is one. */
static void seal(uint8_t *data, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *line = memchr(data, '\n', n), *body = memmem(data, n, "\n\n", 2);
    size_t at = line ? (size_t)(line - data) + 1 : n, k = sizeof(uint8_t[WIRE_HASH_BYTES]);
    uint8_t is[WIRE_HASH_BYTES];
    if (!body || at + 2 * k > (size_t)(body - data))
        return;
    wire_sha256(body + 2, n - (size_t)(body + 2 - data), is);
    for (size_t i = 0; i < k; i++) {
        data[at + 2 * i] = (uint8_t)hex[is[i] >> 4];
        data[at + 2 * i + 1] = (uint8_t)hex[is[i] & 15];
    }
}

/* A digit becomes another. */
static size_t digit(uint8_t *data, size_t n, unsigned seed)
{
    size_t at = seed % n;
    while (at < n && (data[at] < '0' || data[at] > '9'))
        at++;
    if (at < n)
        data[at] = (uint8_t)('0' + seed / 7 % 10);
    return n;
}

/* Takes `cut` bytes away at `at` and puts text there. */
static size_t splice(uint8_t *data, size_t n, size_t max, size_t at, size_t cut, const char *text)
{
    size_t len = strlen(text);
    if (n - cut + len > max)
        return n;
    memmove(data + at + len, data + at + cut, n - at - cut);
    memcpy(data + at, text, len);
    return n - cut + len;
}

/* The first `what` behind a place that the seed draws becomes `text`. */
static size_t instead(uint8_t *data, size_t n, size_t max, unsigned seed, const char *what,
                      const char *text)
{
    size_t from = seed % n, len = strlen(what);
    const uint8_t *at = memmem(data + from, n - from, what, len);
    if (!at)
        at = memmem(data, n, what, len);
    return at ? splice(data, n, max, (size_t)(at - data), len, text) : n;
}

/* The last row once more, as one of an indicator that comes behind it. */
static size_t row_again(uint8_t *data, size_t n, size_t max)
{
    static const char begin[] = "{\"id\":\"";
    const uint8_t *at = NULL, *next = data;
    while ((next = memmem(next, n - (size_t)(next - data), begin, strlen(begin)))) {
        at = next;
        next += strlen(begin);
    }
    size_t from = at ? (size_t)(at - data) : n, len = n - from - 2; /* behind it: ]} */
    if (!at || n - from < strlen(begin) + 3 || n + len + 1 > max)
        return n;
    memmove(data + from + len + 1, data + from, n - from);
    data[from + len] = ',';
    data[from + len + 1 + strlen(begin)]++;
    return n + len + 1;
}

/* A byte changed anywhere seldom leaves a sheet: most of the time one thing of it becomes another
 * that a sheet may have, and nearly always the digest is made to fit. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const char *const words[][2] = {{"2026-H1", "2026-H2"},
                                           {"2026-H1", "2026-Q2"},
                                           {"2026-01-01", "2026-04-01"},
                                           {"calendar", "14"},
                                           {"\"14\"", "\"calendar\""},
                                           {"null", "0"},
                                           {"null", "\"2026-06-10\""},
                                           {"measured", "proxy"},
                                           {">=", "<"},
                                           {"\"days\":[", "\"days\":[{\"from\":\"2026-01-01\","
                                                          "\"days\":1,\"revision\":1},"},
                                           {"\",\"", "\\\"\",\""},
                                           {"\",\"", "=\",\""},
                                           {"\"about\":\"\"", "\"about\":\"\\\\\""},
                                           {"version 2", "version 9"},
                                           {"\napproved", "\nversion 2 x\napproved"},
                                           {"\n\n", "\nsubmitted 7 b\n\n"},
                                           {"\n\n", "\n\n\n"},
                                           {"lan", "l a n"},
                                           {"{", "{{"},
                                           {"}", ""}};
    size_t count = sizeof words / sizeof *words, kind = seed % 8;
    if (n == 0 || kind == 0)
        n = LLVMFuzzerMutate(data, n, max);
    else if (kind < 3)
        n = digit(data, n, seed / 8);
    else if (kind == 3)
        n = row_again(data, n, max);
    else
        n = instead(data, n, max, seed / 512, words[seed / 8 % count][0],
                    words[seed / 8 % count][1]);
    if (seed % 64 != 1)
        seal(data, n);
    return n;
}
