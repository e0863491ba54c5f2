/* The catalogue that is shipped: every file of it, what became of each row of the plans, and the
 * numbers of norms and targets as their documents have them. */
#include <dirent.h>

#include "tests/gateway/indicator/folder.h"

/* What became of a row. An id may stand in several. */
#define IDS_MAX 24
static const struct row {
    const char *name;
    const char *ids[IDS_MAX]; /* its figures; none: why there is no file */
    const char *why;
} rows[] = {
    /* connectivity */
    {"CON-5G-AREA", {"con-5g-samples"}, NULL},
    {"CON-5G-POP", {NULL}, "a share of the population: operators alone can tell it"},
    {"CON-5G-CLUSTER", {"con-5g-cluster"}, NULL},
    {"CON-5G-PRIORITY", {"con-5g-priority"}, NULL},
    {"CON-5G-INFRA", {NULL}, "a task to build, yearly, of the city's department"},
    {"CON-6G-AREA", {"con-6g-area"}, NULL},
    {"CON-6G-CLUSTER", {"con-6g-cluster"}, NULL},
    {"CON-FBB-1G", {"con-fixed-link", "con-fixed-rate", "con-download"}, NULL},
    {"CON-BB-HH", {"con-broadband-households"}, NULL},
    {"CON-BLACKSPOT", {"con-no-service"}, NULL},
    /* environment, waste, energy, transport */
    {"WST-SORT-HH", {"wst-sorted-mass", "wst-sorted-volume"}, NULL},
    {"WST-TREAT",
     {NULL},
     "waste treated to standard: not measurable here, and of what is not said"},
    {"ENE-REN", {"ene-renewable-site", "ene-solar"}, NULL},
    {"ENE-SAVE", {"ene-consumption"}, NULL},
    {"ENE-INFRA", {NULL}, "a task to build, without a number"},
    {"TRA-EV", {"ene-charging"}, NULL},
    {"ENV-IOT", {"dat-completeness"}, NULL},
    {"ENV-MON-WARN",
     {"env-rain-1h", "env-rain-24h", "env-level-max", "env-wind-max", "air-aqi-hour"},
     NULL},
    {"ENV-PROV", {NULL}, "a duty of the uplinks: where the readings go"},
    {"ENV-SENSOR", {"dat-completeness"}, NULL},
    {"SEA-MON", {"sea-temperature", "sea-ph", "sea-oxygen", "sea-salinity", "sea-turbidity"}, NULL},
    {"SEA-SENSOR", {"sea-temperature"}, NULL},
    {"CITY-SMART", {NULL}, "five districts as smart city: no measurement"},
    /* figures that are ours */
    {"5G sample share", {"con-5g-samples"}, NULL},
    {"fixed link over 1 Gb/s", {"con-fixed-link", "con-fixed-rate"}, NULL},
    {"sorted-mass share",
     {"wst-sorted-mass", "wst-mass-all", "wst-mass-recyclable", "wst-mass-food", "wst-mass-other",
      "wst-mass-industrial"},
     NULL},
    {"container service", {"wst-over-threshold", "wst-collections", "wst-collections-week"}, NULL},
    {"site renewable share", {"ene-renewable-site"}, NULL},
    {"grid import/export, peak demand", {"ene-grid-import", "ene-grid-export", "ene-peak"}, NULL},
    {"VN_AQI (hour/day)", {"air-aqi-hour", "air-aqi-day", "air-aqi-days-above-100"}, NULL},
    {"VN_WQI", {"wat-wqi", "wat-oxygen"}, NULL},
    {"data delivery", {"dat-completeness", "dat-age", "con-availability"}, NULL},
    /* QCVN 05:2023 and noise */
    {"QCVN 05:2023",
     {"air-so2-over-1h", "air-so2-over-24h", "air-co-over-1h", "air-co-over-8h", "air-no2-over-1h",
      "air-no2-over-24h", "air-o3-over-1h", "air-o3-over-8h", "air-tsp-over-1h", "air-tsp-over-24h",
      "air-pm10-over-24h", "air-pm25-over-24h", "air-nh3-over-1h", "air-h2s-over-1h",
      "air-so2-mean", "air-no2-mean", "air-tsp-mean", "air-pm10-mean", "air-pm25-mean"},
     NULL},
    {"QCVN 26:2025", {"noi-laeq-max"}, NULL},
};

static int open_shipped(void **state)
{
    static struct folder f;
    const char *const folders[] = {SHIPPED, NULL};
    f = (struct folder){.path = NULL};
    buf_init(&f.complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
    enum st st = indicator_catalogue_open(&f.catalogue, folders, &f.complaints, &f.e);
    if (st != ST_OK)
        print_error("%.*s", (int)f.complaints.n, f.complaints.n > 0 ? (char *)f.complaints.p : "");
    *state = &f;
    return st == ST_OK ? 0 : -1;
}

static int close_shipped(void **state)
{
    folder_close(*state);
    return 0;
}

static const struct indicator_catalogue *shipped(void **state)
{
    const struct folder *f = *state;
    return f->catalogue;
}

static size_t files_in(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;
    assert_non_null(d);
    for (const struct dirent *i; (i = readdir(d));)
        n += strlen(i->d_name) > 5 && strcmp(i->d_name + strlen(i->d_name) - 5, ".yaml") == 0;
    (void)closedir(d);
    return n;
}

static void every_file_is_read(void **state)
{
    const struct indicator_catalogue *c = shipped(state);
    size_t n = indicator_catalogue_count(c);
    assert_int_equal(n, files_in(SHIPPED));
    for (size_t i = 0; i < n; i++) {
        const struct indicator_def *d = indicator_catalogue_at(c, i);
        bool computed = d->formula || d->numerator;
        assert_non_null(d->q);
        assert_true(d->name.vi[0] && d->name.en[0] && d->sentence.vi[0] && d->sentence.en[0]);
        assert_true(computed ? d->num != NULL : d->reason.vi && d->targets.n > 0);
        assert_true((d->numerator != NULL) == (d->den != NULL));
    }
    size_t norms = 0;
    static const char *const names[] = {"vn-aqi",      "qcvn-05-2023", "vn-wqi",
                                        "vn-wqi-step", "vn-wqi-ph",    "vn-wqi-oxygen"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        norms += indicator_norm_find(c, names[i]) != NULL;
    assert_int_equal(norms, files_in(SHIPPED "/norm"));
}

static void every_row_of_the_plans_has_its_figure_or_a_reason(void **state)
{
    const struct indicator_catalogue *c = shipped(state);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true((rows[i].ids[0] == NULL) == (rows[i].why != NULL));
        for (size_t k = 0; k < IDS_MAX && rows[i].ids[k]; k++)
            if (!indicator_catalogue_find(c, rows[i].ids[k]))
                fail_msg("%s: there is no %s", rows[i].name, rows[i].ids[k]);
    }
    for (size_t i = 0; i < indicator_catalogue_count(c); i++) {
        const char *id = indicator_catalogue_at(c, i)->id;
        bool found = false;
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            for (size_t k = 0; k < IDS_MAX && rows[r].ids[k]; k++)
                found |= strcmp(rows[r].ids[k], id) == 0;
        if (!found)
            fail_msg("%s is of no row: add it to the table above", id);
    }
}

/* What no gateway can measure is not there: but for targets, with the reason. */
static void what_cannot_be_measured_is_a_target_without_a_value(void **state)
{
    const struct indicator_catalogue *c = shipped(state);
    static const char *const alone[] = {"con-6g-area", "con-6g-cluster",
                                        "con-broadband-households"};
    size_t n = 0;
    for (size_t i = 0; i < indicator_catalogue_count(c); i++)
        n += indicator_catalogue_at(c, i)->reason.vi != NULL;
    assert_int_equal(n, sizeof alone / sizeof alone[0]);
    for (size_t i = 0; i < n; i++) {
        const struct indicator_def *d = indicator_catalogue_find(c, alone[i]);
        assert_non_null(d);
        assert_true(d->reason.vi && d->inputs.n == 0);
    }
}

/* A share of the plans that is measured otherwise than they mean it is a proxy, and says so. */
static void a_target_of_the_plans_stands_beside_a_proxy_alone(void **state)
{
    const struct indicator_catalogue *c = shipped(state);
    for (size_t i = 0; i < indicator_catalogue_count(c); i++) {
        const struct indicator_def *d = indicator_catalogue_at(c, i);
        const struct indicator_target *t = d->targets.v;
        if (d->targets.n > 0)
            assert_int_equal(d->label, INDICATOR_PROXY);
        for (size_t k = 0; k < d->targets.n; k++)
            if (d->formula || d->numerator)
                assert_non_null(t[k].note);
    }
}

static void the_targets_are_those_of_the_plans(void **state)
{
    const struct indicator_catalogue *c = shipped(state);
    static const struct {
        const char *id, *territory;
        int year;
        enum indicator_op op;
        const char *value, *source;
    } want[] = {
        {"con-5g-samples", "kinh-mon", 2030, INDICATOR_GE, "100", "001:268"},
        {"con-5g-samples", "21451", 2025, INDICATOR_GT, "50", "002:101"},
        {"con-5g-samples", "21451", 2030, INDICATOR_GE, "100", "002:153"},
        {"con-5g-cluster", "kinh-mon", 2030, INDICATOR_GE, "100", "001:269"},
        {"con-6g-area", "kinh-mon", 2035, INDICATOR_GE, "50", "001:319"},
        {"con-6g-area", "kinh-mon", 2040, INDICATOR_GE, "80", "001:359"},
        {"con-6g-area", "kinh-mon", 2045, INDICATOR_GE, "100", "001:396"},
        {"con-6g-area", "21451", 2035, INDICATOR_GE, "50", "002:221"},
        {"con-6g-area", "21451", 2040, INDICATOR_GE, "80", "002:273"},
        {"con-6g-area", "21451", 2045, INDICATOR_GE, "100", "002:329"},
        {"con-6g-cluster", "kinh-mon", 2035, INDICATOR_GE, "100", "001:321"},
        {"con-6g-cluster", "kinh-mon", 2040, INDICATOR_GE, "100", "001:761-765"},
        {"con-6g-cluster", "kinh-mon", 2045, INDICATOR_GE, "100", "001:761-765"},
        {"con-fixed-link", "kinh-mon", 2030, INDICATOR_GE, "100", "001:271-272"},
        {"con-fixed-link", "kinh-mon", 2035, INDICATOR_GE, "100", "001:757-760"},
        {"con-fixed-link", "kinh-mon", 2040, INDICATOR_GE, "100", "001:757-760"},
        {"con-fixed-link", "kinh-mon", 2045, INDICATOR_GE, "100", "001:757-760"},
        {"con-fixed-link", "21451", 2025, INDICATOR_GT, "60", "002:102-103"},
        {"con-fixed-link", "21451", 2030, INDICATOR_GE, "100", "002:155-156"},
        {"con-fixed-link", "31", 2030, INDICATOR_GE, "100", "003:623-627"},
        {"con-fixed-rate", "kinh-mon", 2030, INDICATOR_GE, "100", "001:271-272"},
        {"con-fixed-rate", "kinh-mon", 2035, INDICATOR_GE, "100", "001:757-760"},
        {"con-fixed-rate", "kinh-mon", 2040, INDICATOR_GE, "100", "001:757-760"},
        {"con-fixed-rate", "kinh-mon", 2045, INDICATOR_GE, "100", "001:757-760"},
        {"con-fixed-rate", "21451", 2025, INDICATOR_GT, "60", "002:102-103"},
        {"con-fixed-rate", "21451", 2030, INDICATOR_GE, "100", "002:155-156"},
        {"con-fixed-rate", "31", 2030, INDICATOR_GE, "100", "003:623-627"},
        {"con-broadband-households", "cat-hai", 2030, INDICATOR_GE, "100", "000:115"},
        {"wst-sorted-mass", "cat-hai", 2030, INDICATOR_GE, "100", "000:86-87"},
        {"wst-sorted-volume", "cat-hai", 2030, INDICATOR_GE, "100", "000:86-87"},
        {"ene-renewable-site", "cat-hai", 2030, INDICATOR_GE, "5", "000:83-84"},
    };
    size_t n = 0;
    for (size_t i = 0; i < indicator_catalogue_count(c); i++)
        n += indicator_catalogue_at(c, i)->targets.n;
    assert_int_equal(n, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < n; i++) {
        const struct indicator_def *d = indicator_catalogue_find(c, want[i].id);
        assert_non_null(d);
        const struct indicator_target *t = d->targets.v, *found = NULL;
        for (size_t k = 0; k < d->targets.n; k++)
            if (strcmp(t[k].territory, want[i].territory) == 0 && t[k].year == want[i].year)
                found = &t[k];
        struct num value;
        assert_true(num_parse(want[i].value, &value));
        if (!found || found->op != (int)want[i].op || num_cmp(found->value, value) != 0 ||
            strcmp(found->source, want[i].source) != 0)
            fail_msg("%s, %s, %d", want[i].id, want[i].territory, want[i].year);
    }
}

static void the_breakpoints_of_vn_aqi_are_those_of_the_decision(void **state)
{
    static const char *const index[] = {"0", "50", "100", "150", "200", "300", "400", "500"};
    static const struct {
        const char *column, *at[8];
    } want[] = {
        {"o3_1h", {"0", "160", "200", "300", "400", "800", "1000", "1200"}},
        {"o3_8h", {"0", "100", "120", "170", "210", "400", "-", "-"}},
        {"co", {"0", "10000", "30000", "45000", "60000", "90000", "120000", "150000"}},
        {"so2", {"0", "125", "350", "550", "800", "1600", "2100", "2630"}},
        {"no2", {"0", "100", "200", "700", "1200", "2350", "3100", "3850"}},
        {"pm10", {"0", "50", "150", "250", "350", "420", "500", "600"}},
        {"pm25", {"0", "25", "50", "80", "150", "250", "350", "500"}},
    };
    const struct indicator_norm *n = indicator_norm_find(shipped(state), "vn-aqi");
    const struct indicator_column *col = n->column.v;
    assert_int_equal(n->index.n, 8);
    assert_int_equal(n->column.n, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(n->index.v[i], index[i]);
    for (size_t k = 0; k < n->column.n; k++) {
        assert_string_equal(col[k].id, want[k].column);
        assert_string_equal(col[k].unit, "ug/m3");
        for (size_t i = 0; i < 8; i++)
            assert_string_equal(col[k].bp.v[i], want[k].at[i]);
    }
}

static void a_limit_counts_on_its_own_days_alone(void **state)
{
    static const struct {
        const char *parameter, *window, *day, *value; /* value NULL: there is none */
    } want[] = {
        {"pm25", "24h", "2023-09-11", NULL},  {"pm25", "24h", "2023-09-12", "50"},
        {"pm25", "24h", "2025-12-31", "50"},  {"pm25", "24h", "2026-01-01", "45"},
        {"pm25", "year", "2026-01-01", "25"}, {"pm25", "1h", "2026-01-01", NULL},
        {"pm10", "24h", "2026-01-01", "100"}, {"pm10", "year", "2026-01-01", "50"},
        {"so2", "1h", "2026-01-01", "350"},   {"so2", "24h", "2026-01-01", "125"},
        {"so2", "year", "2026-01-01", "50"},  {"co", "1h", "2026-01-01", "30000"},
        {"co", "8h", "2026-01-01", "10000"},  {"no2", "1h", "2026-01-01", "200"},
        {"no2", "24h", "2026-01-01", "100"},  {"no2", "year", "2026-01-01", "40"},
        {"o3", "1h", "2026-01-01", "200"},    {"o3", "8h", "2026-01-01", "120"},
        {"tsp", "1h", "2026-01-01", "300"},   {"tsp", "24h", "2026-01-01", "200"},
        {"tsp", "year", "2026-01-01", "100"}, {"nh3", "1h", "2026-01-01", "200"},
        {"h2s", "1h", "2026-01-01", "42"},
    };
    const struct indicator_norm *n = indicator_norm_find(shipped(state), "qcvn-05-2023");
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        int32_t day;
        struct num v = {.kind = NUM_NONE};
        assert_true(indicator_date_parse(want[i].day, &day));
        const struct indicator_limit *l =
            indicator_limit_on(n, want[i].parameter, want[i].window, day);
        assert_true((l != NULL) == (want[i].value != NULL));
        assert_true(!l || (num_parse(want[i].value, &v) && num_cmp(l->value, v) == 0));
    }
    assert_int_equal(n->limit.n, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_read),
        cmocka_unit_test(every_row_of_the_plans_has_its_figure_or_a_reason),
        cmocka_unit_test(what_cannot_be_measured_is_a_target_without_a_value),
        cmocka_unit_test(a_target_of_the_plans_stands_beside_a_proxy_alone),
        cmocka_unit_test(the_targets_are_those_of_the_plans),
        cmocka_unit_test(the_breakpoints_of_vn_aqi_are_those_of_the_decision),
        cmocka_unit_test(a_limit_counts_on_its_own_days_alone),
    };
    return cmocka_run_group_tests(tests, open_shipped, close_shipped);
}
