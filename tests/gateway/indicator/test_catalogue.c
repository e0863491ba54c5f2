/* Catalogue files: what is refused, and where it is said to be wrong. */
#include "gateway/wire/wire.h"
#include "tests/gateway/indicator/folder.h"

struct bad {
    const char *name, *text;  /* the file */
    const char *where, *what; /* FOLDER/where: what */
};

static void check_bad(const struct bad *b, size_t n)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct folder f;
        folder_open(&f);
        folder_put(&f, "good.yaml", GOOD);
        folder_put(&f, b[i].name, b[i].text);
        assert_int_equal(folder_load(&f, NULL), ST_BAD);
        if (!folder_says(&f, b[i].where, b[i].what) || folder_lines(&f) != 1) {
            print_error("case %zu: wanted this alone: %s: %s\nthere is:\n%s", i, b[i].where,
                        b[i].what, (const char *)f.complaints.p);
            wrong++;
        }
        /* the good file is there all the same */
        assert_non_null(indicator_catalogue_find(f.catalogue, "good"));
        folder_close(&f);
    }
    assert_int_equal(wrong, 0);
}
#define CHECK_BAD(b) check_bad(b, sizeof(b) / sizeof(b)[0])

static void a_mistake_of_an_indicator_is_told_with_its_place(void **state)
{
    (void)state;
#define X "inputs: {x: {quantity: pm25}}\nformula: mean(x)\n"
    static const struct bad bad[] = {
        /* quantities and units */
        {"a.yaml",
         "id: a\nname: {vi: a, en: b}\nquantity: pm2\nlabel: proxy\n"
         "sentence: {vi: c, en: d}\n" X,
         "a.yaml:3:11", "unknown quantity \"pm2\"; did you mean \"pm"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: [pm25, pm26]}}\nformula: mean(x)\n"),
         "a.yaml:7:31", "unknown quantity \"pm26\"; did you mean \"pm25\"?"},
        {"a.yaml",
         "id: a\nname: {vi: a, en: b}\nquantity: pm25\nunit: mg/l\nlabel: proxy\n"
         "sentence: {vi: c, en: d}\n" X,
         "a.yaml:4:7", "pm25 is in ug/m3, not in mg/l"},
        {"a.yaml",
         "id: a\nname: {vi: a, en: b}\nquantity: pm25\nlabel: proxy\n"
         "sentence: {vi: c, en: d}\n" X,
         "a.yaml:3:11", "pm25 is in ug/m3, not in none"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: [pm25, noise]}}\nformula: mean(x)\n"),
         "a.yaml:7:31", "x: noise is in dB, but pm25 in ug/m3: an input has one unit"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: [any, pm25]}}\nformula: mean(x)\n"),
         "a.yaml:7:25", "x: any stands alone"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: any}}\nformula: mean(x)\n"), "a.yaml:8:10",
         "formula, from character 6 on: "},
        /* formulas */
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: noise}}\nformula: mean(x)\n"),
         "a.yaml:8:10", "the formula gives dB, but pm25 is in ug/m3"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: pm25}}\nformula: count(x)\n"),
         "a.yaml:8:10", "the formula gives a bare number, but pm25 is in ug/m3"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: pm25}}\nformula: mean(y)\n"), "a.yaml:8:10",
         "formula, from character 6 on: no input \"y\""},
        {"a.yaml",
         FILE_OF("a", "inputs: {x: {quantity: pm25}}\nformula: index(nothing, pm25, mean(x))\n"),
         "a.yaml:8:10", "formula, from character 7 on: no norm \"nothing\""},
        {"a.yaml",
         FILE_OF("a", "inputs: {x: {quantity: pm25}, y: {quantity: noise}}\n"
                      "numerator: mean(x)\ndenominator: mean(y)\n"),
         "a.yaml:8:12", "a ratio of ug/m3 and dB has no unit of the catalogue"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {quantity: pm25}}\nnumerator: mean(x)\n"),
         "a.yaml:8:12", "numerator and denominator are given together, or neither"},
        {"a.yaml",
         FILE_OF("a", "inputs: {x: {quantity: pm25}}\nnumerator: mean(x)\n"
                      "denominator: count(x)\nformula: mean(x)\n"),
         "a.yaml:10:10", "write formula, or numerator and denominator, not both"},
        {"a.yaml", FILE_OF("a", X "factor: 100\n"), "a.yaml:9:9",
         "factor is of a numerator and a denominator"},
        {"a.yaml", FILE_OF("a", X "longer: ratio\n"), "a.yaml:9:9",
         "longer: a ratio is of a numerator and a denominator"},
        {"a.yaml", FILE_OF("a", ""), "a.yaml:1:5", "needs a formula, or numerator and denominator"},
        {"a.yaml", FILE_OF("a", X "reason: {vi: a, en: b}\n"), "a.yaml:9:14",
         "reason: is of an indicator without a formula"},
        {"a.yaml", FILE_OF("a", "reason: {vi: a, en: b}\n"), "a.yaml:1:5", "needs \"targets\""},
        {"a.yaml", FILE_OF("a", "formula: mean(x)\n"), "a.yaml:1:5", "needs \"inputs\""},
        /* names, labels, keys */
        {"a.yaml", FILE_OF("b", X), "a.yaml:1:5", "id: the file is a.yaml: write id: a"},
        {"A.yaml", FILE_OF("A", X), "A.yaml:1:5", "id: small letters, digits and dashes"},
        {"a.yaml",
         "id: a\nname: {vi: a, en: b}\nquantity: pm25\nunit: ug/m3\nlabel: proxy\n"
         "sentence: {vi: c}\n" X,
         "a.yaml:6:1", "\"en\" is missing"},
        {"a.yaml", "id: a\nname: {vi: a, en: b}\nquantity: pm25\nunit: ug/m3\nlabel: proxy\n" X,
         "a.yaml:1:1", "\"sentence\" is missing"},
        {"a.yaml", FILE_OF("a", X "labels: proxy\n"), "a.yaml:9:1",
         "unknown key \"labels\"; did you mean \"label\"?"},
        {"a.yaml",
         FILE_OF("a", "inputs: {x: {quantity: pm25, stream: food, rol: [grid]}}\n"
                      "formula: mean(x)\n"),
         "a.yaml:7:44", "unknown key \"rol\"; did you mean \"role\"?"},
        {"a.yaml",
         FILE_OF("a", "inputs: {x-1: {quantity: pm25}, x: {quantity: pm25}}\nformula: mean(x)\n"),
         "a.yaml:7:10", "x-1: an input's name has letters, digits and underscores"},
        {"a.yaml", FILE_OF("a", X "params: {x: 1}\n"), "a.yaml:7:10",
         "x is the name of a param, too"},
        {"a.yaml", FILE_OF("a", X "params: {theta: low}\n"), "a.yaml:9:17",
         "theta: \"low\" is not a decimal number"},
        {"a.yaml", FILE_OF("a", X "params: {2nd: 1}\n"), "a.yaml:9:10",
         "2nd: a param's name has letters, digits and underscores, a letter first"},
        {"a.yaml", FILE_OF("a", X "require: [[x, y]]\n"), "a.yaml:9:15",
         "require: there is no input y"},
        {"a.yaml", FILE_OF("a", X "require: [x, {x: 1}]\n"), "a.yaml:9:14",
         "require: must be a list"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {role: grid}}\nformula: mean(x)\n"), "a.yaml:7:10",
         "x: needs \"quantity\""},
        /* targets and limits */
        {"a.yaml",
         FILE_OF("a", X "targets: [{territory: t, year: 2030, op: '=', value: 1, source: s}]\n"),
         "a.yaml:9:42", "op: unknown word \"=\""},
        {"a.yaml", FILE_OF("a", X "targets: [{territory: t, op: '>', value: 1, source: s}]\n"),
         "a.yaml:9:11", "\"year\" is missing"},
        {"a.yaml", FILE_OF("a", X "targets: [{territory: t, year: 2030, op: '>', value: 1}]\n"),
         "a.yaml:9:11", "\"source\" is missing"},
        {"a.yaml",
         FILE_OF("a", X "targets:\n  - {territory: t, year: 2030, op: '>', value: 1, source: s}\n"
                        "  - {territory: t, year: 2030, op: '>', value: 2, source: s}\n"),
         "a.yaml:11:17", "t has a target of 2030 already"},
        {"a.yaml", FILE_OF("a", X "limit: {norm: n, parameter: pm25, window: year}\n"),
         "a.yaml:9:15", "unknown norm \"n\""},
        /* of each other */
        {"a.yaml", FILE_OF("a", "inputs: {x: {indicator: goot}}\nformula: mean(x)\n"),
         "a.yaml:7:25", "unknown indicator \"goot\"; did you mean \"good\"?"},
        {"a.yaml", FILE_OF("a", "by: place\ninputs: {x: {indicator: good}}\nformula: mean(x)\n"),
         "a.yaml:8:25", "good is by another thing"},
        {"a.yaml", FILE_OF("a", "period: hour\ninputs: {x: {indicator: good}}\nformula: mean(x)\n"),
         "a.yaml:8:25", "good has one value a day, which no hour can take"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {indicator: good, role: grid}}\nformula: mean(x)\n"),
         "a.yaml:7:25", "x: an indicator's values are of the same instance"},
        {"a.yaml", FILE_OF("a", "inputs: {x: {indicator: a}}\nformula: mean(x)\n"), "a.yaml:7:25",
         "a cycle: a → a"},
    };
    CHECK_BAD(bad);
}

static void a_mistake_of_a_norm_is_told_with_its_place(void **state)
{
    (void)state;
#define N "id: n\nname: {vi: a, en: b}\nsource: s\n"
#define L(rest) "  - {parameter: pm25, window: 24h, unit: ug/m3, value: 45" rest "}\n"
    static const struct bad bad[] = {
        {"norm/n.yaml", N "limits:\n" L(", until: 2025-12-31") L(", from: 2025-12-31"),
         "norm/n.yaml:6:17", "pm25 24h: valid on the same days as the limit of line 5"},
        {"norm/n.yaml", N "limits:\n" L("") L(""), "norm/n.yaml:6:17",
         "pm25 24h: valid on the same days as the limit of line 5"},
        {"norm/n.yaml", N "limits:\n" L(", from: 2026-01-01, until: 2025-12-31"),
         "norm/n.yaml:5:85", "pm25 24h: it ends on 2025-12-31, before it begins on 2026-01-01"},
        {"norm/n.yaml", N "limits:\n" L(", from: 2026-02-29"), "norm/n.yaml:5:66",
         "\"2026-02-29\" is not a date: write it as 2026-01-31"},
        {"norm/n.yaml", N "limits:\n" L(", until: 1/1/2026"), "norm/n.yaml:5:67",
         "\"1/1/2026\" is not a date"},
        {"norm/n.yaml", N "limits: [{parameter: pm25, window: 2h, value: 1}]\n", "norm/n.yaml:4:36",
         "unknown window \"2h\": 1h, 8h, 24h or year"},
        {"norm/n.yaml", N "limits: [{parameter: pm25, window: 1h, value: low}]\n",
         "norm/n.yaml:4:47", "value: \"low\" is not a decimal number"},
        {"norm/n.yaml", N "index: [0, 50, 100]\ncolumns: {pm25: {unit: ug/m3, at: [0, 25]}}\n",
         "norm/n.yaml:5:11", "pm25: 2 breakpoints for 3 index values"},
        {"norm/n.yaml", N "index: [0, 50, 100]\ncolumns: {pm25: {at: [0, 25, 25]}}\n",
         "norm/n.yaml:5:30", "pm25: the breakpoint 25 is not above the one before"},
        {"norm/n.yaml", N "index: [0, 50, 100]\ncolumns: {pm25: {at: [0, '-', 25]}}\n",
         "norm/n.yaml:5:31", "pm25: a breakpoint behind \"-\""},
        {"norm/n.yaml", N "index: [0, 50]\ncolumns: {pm25: {at: [0, x]}}\n", "norm/n.yaml:5:26",
         "pm25: \"x\" is not a decimal number"},
        {"norm/n.yaml", N "index: [0, 50]\ncolumns: {pm25: {at: [0, '-']}}\n", "norm/n.yaml:5:11",
         "pm25: a table needs two breakpoints at least"},
        {"norm/n.yaml", N "index: [0, x]\ncolumns: {pm25: {at: [0, 1]}}\n", "norm/n.yaml:4:12",
         "index: \"x\" is not a decimal number"},
        {"norm/n.yaml", N "index: [0, 50]\n", "norm/n.yaml:4:8",
         "index and columns are given together, or neither"},
        {"norm/n.yaml", "id: m\nname: {vi: a, en: b}\nsource: s\n", "norm/n.yaml:1:5",
         "id: the file is n.yaml: write id: n"},
        {"norm/n.yaml", "id: n\nname: {vi: a, en: b}\n", "norm/n.yaml:1:1",
         "\"source\" is missing"},
    };
    CHECK_BAD(bad);
}

static void a_cycle_is_named_from_end_to_end(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    folder_put(&f, "a.yaml", FILE_OF("a", "inputs: {x: {indicator: b}}\nformula: mean(x)\n"));
    folder_put(&f, "b.yaml", FILE_OF("b", "inputs: {x: {indicator: c}}\nformula: mean(x)\n"));
    folder_put(&f, "c.yaml", FILE_OF("c", "inputs: {x: {indicator: a}}\nformula: mean(x)\n"));
    assert_int_equal(folder_load(&f, NULL), ST_BAD);
    assert_true(folder_says(&f, "c.yaml:7:25", "a cycle: a → b → c → a"));
    assert_int_equal(folder_lines(&f), 1);
    folder_close(&f);
}

static void an_indicator_comes_behind_those_that_feed_it(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    folder_put(&f, "a.yaml", FILE_OF("a", "inputs: {x: {indicator: b}}\nformula: mean(x)\n"));
    folder_put(&f, "b.yaml",
               FILE_OF("b", "inputs: {x: {indicator: c}, y: {indicator: d}}\n"
                            "formula: mean(x) + mean(y)\n"));
    folder_put(&f, "c.yaml", FILE_OF("c", "inputs: {x: {quantity: pm25}}\nformula: mean(x)\n"));
    folder_put(&f, "d.yaml", FILE_OF("d", "inputs: {x: {indicator: c}}\nformula: mean(x)\n"));
    assert_int_equal(folder_load(&f, NULL), ST_OK);
    assert_int_equal(indicator_catalogue_count(f.catalogue), 4);
    static const char *const order[] = {"c", "d", "b", "a"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(indicator_catalogue_at(f.catalogue, i)->id, order[i]);
    /* an indicator's value is in that indicator's quantity */
    assert_string_equal(indicator_catalogue_find(f.catalogue, "a")->quantities[0]->key, "pm25");
    folder_close(&f);
}

static void one_broken_file_hides_no_other_s_mistakes(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    folder_put(&f, "a.yaml", "id: [a\n");
    folder_put(&f, "b.yaml", FILE_OF("b", "inputs: {x: {quantity: pm}}\nformula: mean(x)\n"));
    folder_put(&f, "c.yaml",
               FILE_OF("c", "inputs: {x: {quantity: pm25, y: 1}}\nformula: mean(z)\nlabels: a\n"));
    /* what takes of a broken file is not said to take of an unknown one */
    folder_put(&f, "d.yaml", FILE_OF("d", "inputs: {x: {indicator: a}}\nformula: mean(x)\n"));
    folder_put(&f, "e.yaml",
               FILE_OF("e", "inputs: {x: {quantity: pm25}}\nformula: index(n, pm25, mean(x))\n"
                            "limit: {norm: n, parameter: pm25, window: year}\n"));
    folder_put(&f, "norm/n.yaml", N "index: [0, 50]\ncolumns: {pm25: {unit: ug/m3, at: [0]}}\n");
    assert_int_equal(folder_load(&f, NULL), ST_BAD);
    assert_true(folder_says(&f, "a.yaml:2:1", "not valid YAML"));
    assert_true(folder_says(&f, "b.yaml:7:24", "unknown quantity \"pm\""));
    assert_true(folder_says(&f, "c.yaml:7:30", "unknown key \"y\""));
    assert_true(folder_says(&f, "c.yaml:8:10", "formula, from character 6 on: no input \"z\""));
    assert_true(folder_says(&f, "c.yaml:9:1", "unknown key \"labels\""));
    assert_true(folder_says(&f, "norm/n.yaml:5:11", "pm25: 1 breakpoints for 2 index values"));
    if (folder_lines(&f) != 6)
        fail_msg("%s", (const char *)f.complaints.p);
    folder_close(&f);
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    static char large[INDICATOR_FILE_MAX_BYTES + 1];
    struct folder f;
    char name[32], text[512];
    folder_open(&f);
    memset(large, '#', sizeof large);
    folder_put(&f, "good.yaml", GOOD);
    folder_put_n(&f, "a.yaml", large, sizeof large);
    assert_int_equal(folder_load(&f, NULL), ST_BAD);
    assert_true(folder_says(&f, "a.yaml:1:1", "is larger than 64 KiB"));
    assert_int_equal(folder_lines(&f), 1);
    for (int i = 0; i <= INDICATOR_FILES_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%03d.yaml", i);
        (void)snprintf(text, sizeof text, "id: n%03d\n%s", i, strchr(GOOD, '\n') + 1);
        folder_put(&f, name, text);
    }
    assert_int_equal(folder_load(&f, NULL), ST_BAD);
    assert_true(folder_says(&f, ":1:1", "a catalogue has at most 256 files"));
    assert_true(indicator_catalogue_count(f.catalogue) <= INDICATOR_FILES_MAX);
    folder_close(&f);
}

static void a_later_folder_s_file_takes_the_place_of_an_earlier_one_s(void **state)
{
    (void)state;
    struct folder a, b;
    folder_open(&a);
    folder_open(&b);
    folder_put(&a, "good.yaml", GOOD);
    folder_put(&a, "broken.yaml", "id: [\n");
    folder_put(&a, "notes.txt", "not of the catalogue");
    folder_put(&a, "norm/n.yaml", N);
    folder_put(&b, "broken.yaml", FILE_OF("broken", X));
    folder_put(&b, "norm/n.yaml", N "limits: [{parameter: q, window: 1h, value: 7}]\n");
    assert_int_equal(folder_load(&b, a.path), ST_OK);
    assert_int_equal(indicator_catalogue_count(b.catalogue), 2);
    const struct indicator_norm *n = indicator_norm_find(b.catalogue, "n");
    assert_non_null(n);
    assert_int_equal(n->limit.n, 1);
    folder_close(&a);
    folder_close(&b);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    folder_put(&f, "good.yaml", GOOD);
    assert_int_equal(folder_load(&f, "/nowhere/at/all"), ST_BAD);
    assert_non_null(strstr((const char *)f.complaints.p, "/nowhere/at/all/:1:1: cannot be read"));
    folder_close(&f);
}

static void the_hash_is_that_of_names_and_bytes_in_order(void **state)
{
    (void)state;
    struct folder f;
    uint8_t want[WIRE_HASH_BYTES];
    static const char all[] = "good.yaml\0" GOOD "norm/n.yaml\0" N;
    folder_open(&f);
    folder_put(&f, "norm/n.yaml", N);
    folder_put(&f, "good.yaml", GOOD);
    assert_int_equal(folder_load(&f, NULL), ST_OK);
    wire_sha256(all, sizeof all - 1, want);
    assert_memory_equal(indicator_catalogue_hash(f.catalogue), want, sizeof want);
    folder_put(&f, "norm/n.yaml", N "# a word more\n");
    assert_int_equal(folder_load(&f, NULL), ST_OK);
    assert_memory_not_equal(indicator_catalogue_hash(f.catalogue), want, sizeof want);
    folder_close(&f);
}

static void a_date_is_a_day_of_the_calendar(void **state)
{
    (void)state;
    int32_t day = 0;
    assert_true(indicator_date_parse("1970-01-01", &day) && day == 0);
    assert_true(indicator_date_parse("2000-02-29", &day) && day == 11016);
    assert_true(indicator_date_parse("2026-01-01", &day) && day == 20454);
    static const char *const bad[] = {"",           "2026",        "2026-1-1",   "2026-13-01",
                                      "2026-02-29", "2026-04-31",  "2100-02-29", "1969-12-31",
                                      "2026-00-10", "2026-01-01 ", "2026/01/01", "2026-01-0x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(indicator_date_parse(bad[i], &day));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistake_of_an_indicator_is_told_with_its_place),
        cmocka_unit_test(a_mistake_of_a_norm_is_told_with_its_place),
        cmocka_unit_test(a_cycle_is_named_from_end_to_end),
        cmocka_unit_test(an_indicator_comes_behind_those_that_feed_it),
        cmocka_unit_test(one_broken_file_hides_no_other_s_mistakes),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(a_later_folder_s_file_takes_the_place_of_an_earlier_one_s),
        cmocka_unit_test(a_folder_that_is_not_there_is_told),
        cmocka_unit_test(the_hash_is_that_of_names_and_bytes_in_order),
        cmocka_unit_test(a_date_is_a_day_of_the_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
