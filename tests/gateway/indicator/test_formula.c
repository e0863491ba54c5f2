/* Formulas: what is read, which unit it has, and what is refused, where and with which words. */
#include "tests/gateway/indicator/kit.h"

static char *bp_pm[] = {"0", "25", "50"}, *bp_o3[] = {"0", "100", "-"},
            *rows[] = {"0", "50", "100"};
static char *bp_down[] = {"0", "30", "20"};
static struct indicator_column columns[] = {
    {.id = "pm25", .unit = "ug/m3", .bp = {bp_pm, 3}},
    {.id = "o3_8h", .unit = "ug/m3", .bp = {bp_o3, 3}},
    {.id = "down", .unit = "ug/m3", .bp = {bp_down, 3}},
    {.id = "oxygen", .unit = NULL, .bp = {bp_pm, 3}},
};
static struct indicator_limit limits[] = {
    {.parameter = "pm25", .unit = "ug/m3", .window = "24h", .from_day = 0, .until_day = 20000},
    {.parameter = "noise", .unit = "dB", .window = "1h", .from_day = 0, .until_day = 20000},
};
static const struct indicator_norm norms[] = {
    {.id = "vn-aqi", .index = {rows, 3}, .column = {columns, 4}},
    {.id = "qcvn-05-2023", .limit = {limits, 2}},
};

static void open_day(struct kit *k, enum indicator_period period)
{
    kit_open(k, period, "number");
    k->norms = norms;
    k->nnorms = sizeof norms / sizeof norms[0];
    (void)kit_input(k, "pm25", "pm25");
    (void)kit_input(k, "grid", "energy_import");
    (void)kit_input(k, "bin", "fill");
    (void)kit_input(k, "tech", "radio_technology");
    (void)kit_input(k, "rsrp", "rsrp");
    (void)kit_input(k, "all", NULL);
    kit_param(k, "theta", "-110");
    kit_param(k, "least", "15.5");
}

static void a_formula_has_the_unit_of_its_quantities(void **state)
{
    (void)state;
    static const struct {
        const char *text, *unit; /* NULL: a bare number */
    } good[] = {
        {"mean(pm25)", "ug/m3"},
        {" 2 * ( mean( pm25 ) + 1 ) / 3 ", "ug/m3"},
        {"growth(grid) - 1.5", "kWh"},
        {"growth(grid) / growth(grid)", NULL},
        {"-growth(grid)", "kWh"},
        {"count(tech in [11, 12, 13] and rsrp >= theta) / count(tech)", NULL},
        {"count(rsrp > -110 and rsrp <= - 44.5 and tech != 7)", NULL},
        {"time(bin > 80)", "h"},
        {"time(all) / 24", "h"},
        {"due(all) - count(all)", NULL},
        {"drops(bin, least)", "/100"},
        {"drops_volume(bin, 15)", "m3"},
        {"collections(bin, least)", NULL},
        {"peak(pm25, 15)", "ug/m3"},
        {"percentile(pm25, 98)", "ug/m3"},
        {"hour8_max(pm25)", "ug/m3"},
        {"index(vn-aqi, pm25, hour_mean(pm25))", NULL},
        {"lookup(vn-aqi, oxygen, number(mean(pm25)) * number(mean(pm25)))", NULL},
        {"exceed(pm25, qcvn-05-2023, pm25, 24)", NULL},
        {"windows(pm25, 8)", NULL},
        {"root(product_of(2, count(pm25)), 4)", NULL},
        {"if(hour8_max(pm25) <= 400, index(vn-aqi, o3_8h, hour8_max(pm25)), 0)", NULL},
        {"max_of(mean(pm25), 3, abs(min(pm25)))", "ug/m3"},
        {"round(mean(pm25), 0)", "ug/m3"},
        {"theta", NULL},
    };
    struct kit k;
    open_day(&k, INDICATOR_DAY);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct formula *f = NULL;
        if (kit_parse(&k, good[i].text, &f) != ST_OK) {
            fail_msg("%s: %zu: %s", good[i].text, k.at, k.e.text);
        }
        if (good[i].unit) {
            assert_non_null(k.unit);
            assert_string_equal(k.unit, good[i].unit);
        } else {
            assert_null(k.unit);
        }
        formula_free(f);
    }
    kit_close(&k);
}

static void what_does_not_fit_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
        const char *says;
    } bad[] = {
        {"", 0, "ends where a value should stand"},
        {"mean(pm25) +", 12, "ends where a value should stand"},
        {"mean(pm25", 9, "\")\" is missing"},
        {"mean(pm25))", 10, "should end here"},
        {"mean(pm25) 3", 11, "should end here"},
        {"median(pm25)", 0, "no function \"median\""},
        {"mean(pm26)", 5, "no input \"pm26\""},
        {"mean()", 5, "name of an input"},
        {"mean(pm25, 3)", 9, "\")\" is missing"},
        {"pm25 + 1", 0, "an input stands within a function"},
        {"mean(pm25) + growth(grid)", 11, "ug/m3 and kWh"},
        {"mean(pm25) - count(pm25)", 11, "ug/m3 and a bare number"},
        {"mean(pm25) * growth(grid)", 11, "ug/m3 times kWh"},
        {"mean(pm25) * mean(pm25)", 11, "ug/m3 times ug/m3"},
        {"1 / mean(pm25)", 2, "a bare number by ug/m3"},
        {"max_of(mean(pm25), growth(grid))", 18, "ug/m3 and kWh"},
        {"product_of(mean(pm25))", 11, "bare numbers"},
        {"if(mean(pm25) < growth(grid), 1, 2)", 14, "ug/m3 and kWh"},
        {"if(mean(pm25), 1, 2)", 13, "< <= > >= == !="},
        {"if(1 < 2, 1)", 11, "two values"},
        {"growth(pm25)", 7, "of counters alone"},
        {"drops_volume(pm25, 3)", 13, "of shares in /100"},
        {"mean(all)", 5, "no one unit"},
        {"count(all > 3)", 10, "no one unit"},
        {"time(bin ! 80)", 9, "< <= > >= == != in"},
        {"time(bin > )", 11, "a number or the name of a param"},
        {"time(bin > teta)", 11, "no param \"teta\""},
        {"count(tech in [11, 12)", 21, "\"]\" is missing"},
        {"count(tech in 11)", 14, "\"[\" is missing"},
        {"count(tech == 1 and)", 19, "name of an input"},
        {"percentile(pm25)", 15, "\",\" is missing"},
        {"peak(pm25, 7)", 11, "one of 5 6 10 12 15 20 30 60"},
        {"windows(pm25, 2)", 14, "one of 1 8 24"},
        {"nowcast(pm25)", 0, "period: hour alone"},
        {"root(2, 1)", 8, "from 2 to 9"},
        {"round(2, 1.5)", 9, "from 0 to 12"},
        {"index(vn-aqi-2, pm25, 3)", 6, "no norm \"vn-aqi-2\""},
        {"index(vn-aqi, pm26, 3)", 14, "no column \"pm26\""},
        {"index(vn-aqi, down, 3)", 14, "row 3 of column down"},
        {"index(vn-aqi, pm25, growth(grid))", 20, "in ug/m3, this in kWh"},
        {"index(vn-aqi, pm25, count(pm25))", 20, "in ug/m3, this in no unit"},
        {"exceed(pm25, qcvn-05-2023, pm10, 24)", 27, "no limit of pm10 over 24h"},
        {"exceed(pm25, qcvn-05-2023, noise, 1)", 27, "in dB, the input in ug/m3"},
        {"1.2.3", 0, "no number"},
        {"1.", 0, "no number"},
        {"99999999999999999999", 0, "no number that fits"},
        {"1 $ 2", 2, "should end here"},
    };
    struct kit k;
    open_day(&k, INDICATOR_DAY);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct formula *f = NULL;
        if (kit_parse(&k, bad[i].text, &f) == ST_OK) {
            fail_msg("%s: accepted", bad[i].text);
        }
        if (k.at != bad[i].at || !strstr(k.e.text, bad[i].says)) {
            fail_msg("%s: %zu: %s", bad[i].text, k.at, k.e.text);
        }
        assert_null(f);
    }
    kit_close(&k);
}

static void an_hour_has_no_windows_of_a_day(void **state)
{
    (void)state;
    struct kit k;
    struct formula *f = NULL;
    open_day(&k, INDICATOR_HOUR);
    assert_int_equal(kit_parse(&k, "nowcast(pm25)", &f), ST_OK);
    formula_free(f);
    static const char *const bad[] = {"hour8_max(pm25)", "windows(pm25, 8)", "windows(pm25, 24)",
                                      "exceed(pm25, qcvn-05-2023, pm25, 24)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(kit_parse(&k, bad[i], &f), ST_BAD);
    }
    kit_close(&k);
}

/* text, n times in, then `middle`, then as often `end`. */
static void nest(char *out, size_t size, const char *text, const char *middle, const char *end,
                 int n)
{
    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        (void)strncat(out, text, size - strlen(out) - 1);
    }
    (void)strncat(out, middle, size - strlen(out) - 1);
    for (int i = 0; i < n; i++) {
        (void)strncat(out, end, size - strlen(out) - 1);
    }
}

static void depth_parts_and_length_are_bounded(void **state)
{
    (void)state;
    static char text[8192];
    static const struct {
        const char *begin, *end, *says;
        int good, bad;
    } nests[] = {
        {"(", ")", "nest deeper than 16", 15, 16},
        {"abs(", ")", "nest deeper than 16", 15, 16},
        {"-", "", "nest deeper than 16", 15, 16},
        {"1+", "", "more than 256 parts", 127, 128},
        {"time(bin>1)+", "", "more than 64 conditions", 63, 65},
        {" ", "", "4096 bytes at most", 4083, 4097},
    };
    struct kit k;
    struct formula *f = NULL;
    open_day(&k, INDICATOR_DAY);
    for (size_t i = 0; i < sizeof nests / sizeof nests[0]; i++) {
        nest(text, sizeof text, nests[i].begin, i == 4 ? "time(bin)" : "1", nests[i].end,
             nests[i].good);
        if (kit_parse(&k, text, &f) != ST_OK) {
            fail_msg("%s: %zu: %s", text, k.at, k.e.text);
        }
        formula_free(f);
        nest(text, sizeof text, nests[i].begin, i == 4 ? "time(bin)" : "1", nests[i].end,
             nests[i].bad);
        assert_int_equal(kit_parse(&k, text, &f), ST_BAD);
        assert_non_null(strstr(k.e.text, nests[i].says));
        assert_null(f);
    }
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_formula_has_the_unit_of_its_quantities),
        cmocka_unit_test(what_does_not_fit_is_refused_with_its_place),
        cmocka_unit_test(an_hour_has_no_windows_of_a_day),
        cmocka_unit_test(depth_parts_and_length_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
