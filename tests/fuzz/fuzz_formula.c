/* The formula parser on any text, and a day by what parses. Beside the sanitizers: what is refused
 * says why and at a place within the text; what is read has the same unit when it is read again; a
 * figure has a value or a reason, and is the same when it is asked for again. */
// uses: indicator gmp
// seeds: tests/fuzz/corpus/formula/*
#include <string.h>

#include "gateway/indicator/formula_int.h"
#include "tests/fuzz/fuzz.h"

#define INPUTS 6
#define DAY 20454

static char *rows[] = {"0", "50", "100", "500"}, *bp[] = {"0", "25", "50", "-"},
            *step[] = {"3", "3", "6", "9"};
static char air[] = "ug/m3";
static struct indicator_column columns[] = {{.id = "pm25", .unit = air, .bp = {bp, 4}},
                                            {.id = "step", .unit = air, .bp = {step, 4}},
                                            {.id = "bare", .unit = NULL, .bp = {step, 4}}};
static struct indicator_limit limits[] = {
    {.parameter = "pm25", .unit = air, .window = "24h", .from_day = 0, .until_day = DAY},
    {.parameter = "pm25", .unit = air, .window = "1h", .from_day = 0, .until_day = DAY - 1},
    {.parameter = "pm25", .unit = air, .window = "8h", .from_day = 0, .until_day = DAY}};
static const struct indicator_norm norm = {
    .id = "n", .index = {rows, 4}, .column = {columns, 3}, .limit = {limits, 3}};

static const struct {
    char *id;
    const char *quantity;
} named[INPUTS] = {{"x", "pm25"}, {"c", "energy_import"},
                   {"f", "fill"}, {"t", "radio_technology"},
                   {"r", "rsrp"}, {"a", NULL}};

static const struct indicator_norm *find(void *ctx, const char *id)
{
    (void)ctx;
    return strcmp(id, norm.id) == 0 ? &norm : NULL;
}

/* Readings of every kind: some good, some not, a jump now and then, hours that lack. */
static void put_day(struct fold *f, uint32_t series, uint64_t draw)
{
    int64_t t = indicator_day_ms(DAY) - 40 * 60000;
    for (int i = 0; i < 120; i++) {
        draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
        t += (int64_t)(draw >> 40) % 1500000;
        struct fold_reading r = {.series = series,
                                 .t_ms = t,
                                 .v = num_dec((int64_t)(draw >> 33) % 1000, -1),
                                 .q = draw >> 60 == 0 ? 4 : 0};
        if (draw >> 54 == 5) {
            r.v = num_dec(INT64_MAX - (int64_t)(draw >> 40), draw >> 41 & 1 ? -6 : 0);
        }
        if (t < indicator_day_ms(DAY + 1)) {
            demand(fold_put(f, &r, NULL) == ST_OK);
        }
    }
}

static bool same(const struct fold_result *a, const struct fold_result *b)
{
    return a->reason == b->reason && a->value.kind == b->value.kind && mpq_equal(a->num, b->num) &&
           (a->value.kind == NUM_NONE || num_cmp(a->value, b->value) == 0);
}

static bool uses(const struct formula *x, enum formula_fn fn)
{
    for (size_t i = 0; i < x->nterms; i++) {
        if (x->term[i].fn == fn) {
            return true;
        }
    }
    return false;
}

static void work_out(struct indicator_def *def, const struct fold_series *series, uint64_t draw)
{
    int64_t length = def->period == INDICATOR_DAY ? INDICATOR_DAY_MS : INDICATOR_HOUR_MS;
    struct fold *f;
    struct fold_result a, b;
    fold_result_init(&a);
    fold_result_init(&b);
    demand(fold_open(&f, def, DAY, series, INPUTS, NULL) == ST_OK);
    for (uint32_t i = 0; i < INPUTS; i++) {
        put_day(f, i, draw + i);
    }
    for (int64_t t = 0; t < INDICATOR_DAY_MS; t += length) {
        int64_t from = indicator_day_ms(DAY) + t;
        demand(fold_result(f, from, INT64_MAX, &a, NULL) == ST_OK);
        demand(fold_result(f, from, INT64_MAX, &b, NULL) == ST_OK);
        demand((a.reason == FOLD_OK) == (a.value.kind != NUM_NONE) && same(&a, &b));
        demand(a.reason < FOLD_REASONS && a.has_num == a.has_den);
        bool rare =
            a.reason == FOLD_OK && uses(def->num, FORMULA_GROWTH) && uses(def->num, FORMULA_PEAK);
        (void)rare;
        PLANT(rare);
    }
    fold_close(f);
    fold_result_done(&a);
    fold_result_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct indicator_input inputs[INPUTS];
    static struct indicator_param params[] = {{.id = "theta"}, {.id = "least"}};
    static const struct quantity *quantities[INPUTS];
    static struct fold_series series[INPUTS];
    struct indicator_def def = {.id = "fuzz", .inputs = {inputs, INPUTS}, .params = {params, 2}};
    const struct formula_scope scope = {.def = &def, .quantities = quantities, .norm = find};
    char text[FORMULA_TEXT_MAX + 64];
    uint64_t draw = 1;
    if (n >= sizeof text) {
        return 0;
    }
    memcpy(text, data, n);
    text[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        draw = draw * 31 + data[i];
    }
    for (uint32_t i = 0; i < INPUTS; i++) {
        inputs[i] = (struct indicator_input){.id = named[i].id, .optional = true};
        quantities[i] = named[i].quantity ? quantity_by_key(named[i].quantity) : NULL;
        series[i] = (struct fold_series){.input = i,
                                         .device = i / 5,
                                         .period_ms = 600000,
                                         .due_from_ms = INT64_MIN,
                                         .due_to_ms = INT64_MAX,
                                         .capacity = num_dec(1100, 0),
                                         .quantity = quantities[i]};
    }
    params[0].value = num_dec(-110, 0);
    params[1].value = num_dec(155, -1);
    limits[0].value = limits[1].value = limits[2].value = num_dec(45, 0);
    def.q = quantity_by_key("number");
    def.factor = num_dec(1, 0);
    for (int period = INDICATOR_HOUR; period <= INDICATOR_DAY; period++) {
        const char *unit = "?", *again = "?";
        size_t at = 0;
        struct err e = {.text = ""};
        struct formula *f;
        def.period = period;
        enum st st = formula_parse(&f, text, &scope, &unit, &at, &e);
        if (st != ST_OK) {
            demand(st == ST_BAD && !f && e.text[0] && at <= strlen(text));
            continue;
        }
        demand(formula_parse(&def.num, text, &scope, &again, &at, &e) == ST_OK && again == unit);
        formula_free(f);
        work_out(&def, series, draw);
        formula_free(def.num);
        def.num = NULL;
    }
    return 0;
}

/* Puts text at `at`; the new length. */
static size_t insert(uint8_t *data, size_t n, size_t max, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (n + len > max) {
        return n;
    }
    memmove(data + at + len, data + at, n - at);
    memcpy(data + at, text, len);
    return n + len;
}

/* Names from nothing take long: now and then a formula is put together from whole values, whose
 * units need not fit, and half of the time a piece goes in somewhere. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const char *const value[] = {"mean(x)",
                                        "number(growth(c))",
                                        "growth(c)",
                                        "peak(x, 15)",
                                        "count(t > 3 and r > theta)",
                                        "number(nowcast(x))",
                                        "time(f >= 80)",
                                        "hour_max(x)",
                                        "-2.5",
                                        "theta",
                                        "drops(f, least)",
                                        "index(n, step, hour_mean(x))",
                                        "root(abs(number(min(x))), 3)",
                                        "exceed(x, n, pm25, 8)",
                                        "sum_of(percentile(x, 50), max(x))",
                                        "if(mean(x) > 50, 1, due(a))"};
    static const char *const join[] = {" + ", " * ", " / ", " - "};
    static const char *const piece[] = {"count(x)",   "number(", "(",    ")",          ", ",
                                        "max_of(",    "if(",     " <= ", "nowcast(x)", "0.5",
                                        "-",          "root(",   "in",   "round(",     "sum_of(",
                                        " and r > 3", "[1, 2]"};
    const size_t pieces = sizeof piece / sizeof piece[0];
    if (seed % 8 == 0) {
        n = insert(data, 0, max, 0, value[seed >> 3 & 15]);
        for (unsigned rest = seed >> 7, k = rest & 3; k > 0; k--) {
            rest >>= 2;
            n = insert(data, n, max, n, join[rest & 3]);
            n = insert(data, n, max, n, value[rest >> 2 & 15]);
            rest >>= 4;
        }
        return n;
    }
    if (seed % 2 == 0) {
        return LLVMFuzzerMutate(data, n, max);
    }
    return insert(data, n, max, n > 0 ? seed / 512 % (n + 1) : 0, piece[seed / 2 % pieces]);
}
