/* The indicators that are shipped, on days made up: the decision's vectors come out of the files
 * themselves, and each file's day can be folded and is small. */
#include <stdlib.h>

#include "tests/gateway/indicator/folder.h"
#include "tests/gateway/indicator/kit.h"

#define DAY INDICATOR_DAY_MS

static struct indicator_catalogue *catalogue;

static int open_shipped(void **state)
{
    static const char *const folders[] = {SHIPPED, NULL};
    struct buf complaints;
    struct err e;
    (void)state;
    buf_init(&complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
    enum st st = indicator_catalogue_open(&catalogue, folders, &complaints, &e);
    buf_done(&complaints);
    return st == ST_OK ? 0 : -1;
}

static int close_shipped(void **state)
{
    (void)state;
    indicator_catalogue_close(catalogue);
    return 0;
}

static size_t input_of(const struct indicator_def *def, const char *quantity)
{
    const struct indicator_input *inputs = def->inputs.v;
    for (size_t i = 0; i < def->inputs.n; i++) {
        if (inputs[i].quantity.n > 0 && strcmp(inputs[i].quantity.v[0], quantity) == 0) {
            return i;
        }
    }
    fail_msg("%s has no input of %s", def->id, quantity);
    return 0;
}

/* Series 0, 1, 2, … of these quantities. */
static void begin(struct kit *k, const char *id, const char *const *quantities)
{
    const struct indicator_def *def = indicator_catalogue_find(catalogue, id);
    assert_non_null(def);
    *k = (struct kit){.def = *def};
    for (size_t i = 0; quantities[i]; i++) {
        (void)kit_series(k, (uint32_t)input_of(def, quantities[i]), 1);
    }
    kit_day(k, KIT_2026 + 40);
}

static void end(struct kit *k)
{
    fold_close(k->fold);
    fold_result_done(&k->out);
}

static void the_decisions_hour_comes_out_of_the_file(void **state)
{
    (void)state;
    static const char *const pm25[] = {"26.9", "24.7", "20.5", "23.5", "19.5", "16.5",
                                       "19.0", "16.5", "20.3", "22.4", "19.6", "20.6"};
    struct kit k;
    begin(&k, "air-aqi-hour", (const char *const[]){"pm25", "no2", "o3", NULL});
    for (int h = 0; h < 12; h++) {
        kit_minutes(&k, 0, (8 + h) * KIT_HOUR, (9 + h) * KIT_HOUR, pm25[h]);
    }
    kit_minutes(&k, 1, 19 * KIT_HOUR, 20 * KIT_HOUR, "118.7");
    kit_minutes(&k, 2, 19 * KIT_HOUR, 20 * KIT_HOUR, "136.1");
    kit_is(&k, 19 * KIT_HOUR, "59");
    end(&k);
}

static void the_decisions_day_comes_out_of_the_file(void **state)
{
    (void)state;
    struct kit k;
    begin(&k, "air-aqi-day", (const char *const[]){"pm25", "no2", "o3", NULL});
    for (int h = 0; h < 24; h++) {
        kit_minutes(&k, 0, h * KIT_HOUR, (h + 1) * KIT_HOUR, "55.7");
        kit_minutes(&k, 1, h * KIT_HOUR, (h + 1) * KIT_HOUR, h == 3 ? "130.8" : "60");
        kit_minutes(&k, 2, h * KIT_HOUR, (h + 1) * KIT_HOUR, h == 12 ? "114.6" : "80");
    }
    kit_is(&k, 0, "110");
    assert_int_equal(mpq_cmp_ui(k.out.num, 219, 2), 0); /* 109.5 */
    end(&k);
}

static void a_year_s_limit_of_dust_falls_on_its_day(void **state)
{
    (void)state;
    struct kit k;
    begin(&k, "air-pm25-over-24h", (const char *const[]){"pm25", NULL});
    kit_day(&k, KIT_2026 - 1);
    kit_minutes(&k, 0, 0, DAY, "47");
    kit_is(&k, 0, "0");
    kit_day(&k, KIT_2026);
    kit_minutes(&k, 0, 0, DAY, "47");
    kit_is(&k, 0, "1");
    end(&k);
}

static void every_file_s_day_is_folded_in_little_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < indicator_catalogue_count(catalogue); i++) {
        const struct indicator_def *def = indicator_catalogue_at(catalogue, i);
        static struct fold_series series[100];
        struct fold_result out;
        struct fold *f;
        if (!def->num) {
            continue; /* a target without a value */
        }
        for (uint32_t s = 0; s < 100; s++) {
            series[s] = (struct fold_series){.input = s % (uint32_t)def->inputs.n,
                                             .device = s / (uint32_t)def->inputs.n,
                                             .period_ms = KIT_MINUTE,
                                             .due_from_ms = INT64_MIN,
                                             .due_to_ms = INT64_MAX};
            assert_true(num_parse("1100", &series[s].capacity));
        }
        assert_int_equal(fold_open(&f, def, KIT_2026, series, 100, NULL), ST_OK);
        for (int64_t t = 0; t < DAY; t += 10 * KIT_MINUTE) {
            for (uint32_t s = 0; s < 100; s++) {
                struct fold_reading r = {.series = s,
                                         .t_ms = indicator_day_ms(KIT_2026) + t,
                                         .v = num_dec(t / KIT_MINUTE % 7 + s % 5, 0)};
                assert_int_equal(fold_put(f, &r, NULL), ST_OK);
            }
        }
        fold_result_init(&out);
        assert_int_equal(fold_result(f, indicator_day_ms(KIT_2026), INT64_MAX, &out, NULL), ST_OK);
        assert_int_equal(out.due, 100 * (def->period == INDICATOR_HOUR ? 60 : 1440));
        bool peak = strcmp(def->id, "ene-peak") == 0; /* 96 windows of each */
        if (fold_bytes(f) > (peak ? 200000u : 110000u)) {
            fail_msg("%s: %zu bytes", def->id, fold_bytes(f));
        }
        fold_result_done(&out);
        fold_close(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decisions_hour_comes_out_of_the_file),
        cmocka_unit_test(the_decisions_day_comes_out_of_the_file),
        cmocka_unit_test(a_year_s_limit_of_dust_falls_on_its_day),
        cmocka_unit_test(every_file_s_day_is_folded_in_little_memory),
    };
    return cmocka_run_group_tests(tests, open_shipped, close_shipped);
}
