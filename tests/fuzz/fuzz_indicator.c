/* A catalogue with any bytes as one of its files: an indicator's where they say "quantity:", else a
 * norm's. Beside the sanitizers: without a complaint what was loaded keeps every rule of its file,
 * each complaint is one line with file, line and column, and the good file beside it is loaded. */
// uses: indicator gmp
// seeds: tests/fuzz/corpus/indicator/*
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/indicator/indicator_int.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temp.h"

/* libfyaml 0.7.12 loses 1 KiB on some texts that it refuses; every such text is refused once. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static char *folder;

static void put(const char *name, const void *p, size_t n)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    demand(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static void drop(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
}

static void clean(void)
{
    temp_done(folder);
}

static void open_folder(void)
{
    static const char good[] = "id: good\nname: {vi: a, en: b}\nquantity: pm25\nunit: ug/m3\n"
                               "label: measured\nsentence: {vi: c, en: d}\n"
                               "inputs: {x: {quantity: pm25}}\nformula: mean(x)\n";
    static const char norm[] =
        "id: n\nname: {vi: a, en: b}\nsource: s\nindex: [0, 50]\n"
        "columns: {pm25: {unit: ug/m3, at: [0, 25]}}\n"
        "limits: [{parameter: pm25, window: year, unit: ug/m3, value: 25}]\n";
    char path[512];
    folder = temp_make();
    demand(folder);
    (void)snprintf(path, sizeof path, "%s/norm", folder);
    demand(mkdir(path, 0700) == 0 && atexit(clean) == 0);
    put("good.yaml", good, strlen(good));
    put("norm/n.yaml", norm, strlen(norm));
}

static void check_complaints(const struct buf *b, enum st st)
{
    demand(st == ST_OK || st == ST_BAD);
    demand((st == ST_OK) == (b->n == 0));
    for (size_t at = 0; at < b->n;) {
        const char *line = (const char *)b->p + at;
        const char *end = memchr(line, '\n', b->n - at);
        demand(end && strncmp(line, folder, strlen(folder)) == 0);
        char text[2048];
        (void)snprintf(text, sizeof text, "%.*s", (int)(end - line), line);
        const char *place = strstr(text, ".yaml:");
        int row = 0, col = 0;
        demand(strstr(text, "more mistakes are not shown") ||
               (place && sscanf(place, ".yaml:%d:%d: ", &row, &col) == 2 && row > 0 && col > 0));
        at += (size_t)(end - line) + 1;
    }
}

static void check_def(const struct indicator_def *d)
{
    const struct indicator_input *in = d->inputs.v;
    demand(d->q && strcmp(d->q->key, d->quantity) == 0);
    demand(d->name.vi[0] && d->name.en[0] && d->sentence.vi[0] && d->sentence.en[0]);
    demand(d->inputs.n <= INDICATOR_INPUTS_MAX && d->completeness >= 0 && d->completeness <= 100);
    demand((d->formula || d->numerator) == (d->num != NULL));
    demand((d->numerator != NULL) == (d->den != NULL) && (d->den == NULL || d->denominator));
    demand(d->num ? d->reason.vi == NULL : d->reason.vi && d->targets.n > 0);
    for (size_t i = 0; i < d->inputs.n; i++) {
        demand((in[i].quantity.n > 0) != (in[i].indicator != NULL));
        demand(d->quantities[i] || strcmp(in[i].quantity.v[0], INDICATOR_ANY) == 0);
    }
    PLANT(d->den && d->require.n > 0 && d->by == INDICATOR_PLACE && d->limit.norm);
}

static void check_norm(const struct indicator_norm *n)
{
    const struct indicator_column *col = n->column.v;
    const struct indicator_limit *l = n->limit.v;
    for (size_t i = 0; i < n->column.n; i++) {
        struct num before = {.kind = NUM_NONE}, v;
        demand(col[i].bp.n == n->index.n);
        for (size_t k = 0; k < col[i].bp.n && strcmp(col[i].bp.v[k], "-") != 0; k++) {
            demand(num_parse(col[i].bp.v[k], &v));
            demand(before.kind == NUM_NONE || num_cmp(before, v) < 0);
            before = v;
        }
    }
    for (size_t i = 0; i < n->limit.n; i++) {
        demand(l[i].from_day <= l[i].until_day && l[i].value.kind != NUM_NONE);
        demand(indicator_limit_on(n, l[i].parameter, l[i].window, l[i].from_day) == &l[i]);
        demand(indicator_limit_on(n, l[i].parameter, l[i].window, l[i].until_day) == &l[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct indicator_catalogue *c = NULL;
    struct buf complaints;
    if (!folder)
        open_folder();
    bool norm = !memmem(data, n, "quantity:", strlen("quantity:"));
    const char *const folders[] = {folder, NULL};
    put(norm ? "norm/a.yaml" : "a.yaml", data, n);
    buf_init(&complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
    enum st st = indicator_catalogue_open(&c, folders, &complaints, NULL);
    demand(c && indicator_catalogue_find(c, "good") && indicator_norm_find(c, "n"));
    check_complaints(&complaints, st);
    if (st == ST_OK && norm)
        check_norm(indicator_norm_find(c, "a"));
    else if (st == ST_OK)
        check_def(indicator_catalogue_find(c, "a"));
    indicator_catalogue_close(c);
    buf_done(&complaints);
    drop(norm ? "norm/a.yaml" : "a.yaml");
    return 0;
}

/* Puts text at `at`; the new length. */
static size_t insert(uint8_t *data, size_t n, size_t max, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (n + len > max)
        return n;
    memmove(data + at + len, data + at, n - at);
    memcpy(data + at, text, len);
    return n + len;
}

/* YAML from nothing takes long: now and then a good file is put together from whole lines, and half
 * of the time a piece goes in somewhere. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const char *const way[] = {"formula: mean(x)\n", "formula: index(n, pm25, mean(x))\n",
                                      "numerator: mean(x)\ndenominator: count(x) + k\n",
                                      "reason: {vi: a, en: b}\n"};
    static const char *const line[] = {
        "params: {k: 1}\n",
        "require: [[x]]\n",
        "by: place\n",
        "limit: {norm: n, parameter: pm25, window: year}\n",
        "targets: [{territory: t, year: 2030, op: '>=', value: 5, source: s}]\n",
        "owner: {unit: u}\nmodel: {type: t, attribute: a}\n"};
    static const char *const piece[] = {
        "inputs: {x: {quantity: any}}\n",
        "  y: {indicator: good}\n",
        "  y: {indicator: a}\n",
        "columns: {a: {at: [0, 1, '-']}}\n",
        "  - {parameter: p, window: 1h, value: 1, from: 2026-01-01}\n",
        ", until: 2025-12-31",
        ", optional: true",
        "\"",
        "[",
        "]",
        "{",
        "}",
        "\n",
        ": ",
        "- "};
    const size_t lines = sizeof line / sizeof line[0], pieces = sizeof piece / sizeof piece[0];
    if (seed % 8 == 0) {
        n = insert(data, 0, max, 0,
                   "id: a\nname: {vi: a, en: b}\nquantity: pm25\nunit: ug/m3\nlabel: proxy\n"
                   "sentence: {vi: c, en: d}\ninputs: {x: {quantity: [pm25, pm10]}}\n");
        n = insert(data, n, max, n, way[seed / 8 % 4]);
        for (size_t i = 0; i < lines; i++)
            n = seed >> (8 + i) & 1 ? insert(data, n, max, n, line[i]) : n;
        return n;
    }
    if (seed % 2 == 0)
        return LLVMFuzzerMutate(data, n, max);
    return insert(data, n, max, n > 0 ? seed / 512 % (n + 1) : 0, piece[seed / 2 % pieces]);
}
