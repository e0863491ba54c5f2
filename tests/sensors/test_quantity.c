/* The catalogue keeps its promises: ids and keys are unique, units are SenML's, limits are sane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sensors/quantity.h"

/* The IANA SenML units that we may use: RFC 8428 (without those it does not recommend) and
 * RFC 8798. `deg` is the one exception, see quantity.def. */
static const char *const senml_units[] = {
    "m",    "kg",    "s",     "A",     "K",     "cd",    "mol",  "Hz",   "rad",    "sr",   "N",
    "Pa",   "J",     "W",     "C",     "V",     "F",     "Ohm",  "S",    "Wb",     "T",    "H",
    "Cel",  "lm",    "lx",    "Bq",    "Gy",    "Sv",    "kat",  "m2",   "m3",     "m/s",  "m/s2",
    "m3/s", "W/m2",  "cd/m2", "bit",   "bit/s", "lat",   "lon",  "pH",   "dB",     "dBW",  "count",
    "/",    "%RH",   "%EL",   "EL",    "1/s",   "S/m",   "B",    "VA",   "VAs",    "var",  "vars",
    "J/m",  "kg/m3", "NTU",   "ms",    "min",   "h",     "MHz",  "kW",   "kVA",    "kvar", "Ah",
    "Wh",   "kWh",   "varh",  "kvarh", "kVAh",  "Wh/km", "KiB",  "GB",   "Mbit/s", "B/s",  "MB/s",
    "mV",   "mA",    "dBm",   "ug/m3", "mm/h",  "m/h",   "ppm",  "/100", "/1000",  "hPa",  "mm",
    "cm",   "km",    "km/h",  "ppb",   "ppt",   "VAh",   "mg/l", "ug/l", "g/l",    "deg",
};

/* Keys that other parts name in their code and tests. */
static const char *const relied_on[] = {
    "number",
    "counter",
    "status",
    "battery",
    "temperature",
    "humidity",
    "pressure",
    "pm25",
    "pm10",
    "wind_speed",
    "wind_direction",
    "wind_force",
    "noise",
    "illuminance",
    "rain",
    "irradiance",
    "voltage",
    "current",
    "active_power",
    "reactive_power",
    "apparent_power",
    "power_factor",
    "frequency",
    "energy_import",
    "energy_export",
    "energy_total",
    "reactive_energy_import",
    "reactive_energy_export",
    "weight",
    "fill",
    "volume",
    "co2",
    "no2",
    "so2",
    "o3",
    "co",
    "water_level",
    "ph",
    "conductivity",
    "turbidity",
    "dissolved_oxygen",
    "latency",
    "jitter",
    "packet_loss",
    "link_up",
    "link_rate",
    "rsrp",
    "rsrq",
    "sinr",
};

#define EACH(q)                                                                                    \
    (const struct quantity *q = quantity_table; q < quantity_table + quantity_count; q++)

static void ids_and_keys_are_unique_and_found(void **state)
{
    (void)state;
    for
        EACH(q)
        {
            assert_int_not_equal(q->id, 0);
            assert_ptr_equal(quantity_by_id(q->id), q);
            assert_ptr_equal(quantity_by_key(q->key), q);
        }
}

static void unknown_names_are_not_found(void **state)
{
    (void)state;
    assert_null(quantity_by_key(""));
    assert_null(quantity_by_key("temperatur"));
    assert_null(quantity_by_key("temperature2"));
    assert_null(quantity_by_key("Temperature"));
    assert_null(quantity_by_id(0));
    assert_null(quantity_by_id(UINT16_MAX));
}

static void keys_are_lower_snake(void **state)
{
    (void)state;
    for
        EACH(q)
    assert_int_equal(strspn(q->key, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(q->key));
}

static void keys_that_others_rely_on_exist(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(relied_on) / sizeof(relied_on[0]); i++)
        if (quantity_by_key(relied_on[i]) == NULL)
            fail_msg("no quantity %s", relied_on[i]);
    assert_in_range(quantity_count, 75, 1000);
}

static void units_are_registered(void **state)
{
    (void)state;
    for
        EACH(q)
        {
            bool known = q->unit == NULL;
            for (size_t i = 0; !known && i < sizeof(senml_units) / sizeof(senml_units[0]); i++)
                known = strcmp(q->unit, senml_units[i]) == 0;
            if (!known)
                fail_msg("%s: %s is no SenML unit", q->key, q->unit);
        }
}

static void limits_are_sane(void **state)
{
    (void)state;
    for
        EACH(q)
        {
            if (q->decimals > 6)
                fail_msg("%s: %d decimals", q->key, q->decimals);
            if (q->limited ? q->min >= q->max : q->min != 0 || q->max != 0)
                fail_msg("%s: its limits are no range", q->key);
            if (q->unit != NULL && !q->limited)
                fail_msg("%s: has a unit and no limits", q->key);
            if (q->unit == NULL && !q->limited)
                assert_string_equal(q->key, "number");
        }
}

/* Facts that a wrong scale would break: limits are counted in 10^-decimals. */
static void known_values_lie_inside_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *key, *unit;
        int64_t inside, outside; /* in the unit, whole */
    } facts[] = {
        {"temperature", "Cel", 42, 90},
        {"humidity", "%RH", 100, 101},
        {"pressure", "hPa", 1013, 101},
        {"ph", "pH", 7, 15},
        {"frequency", "Hz", 50, 500},
        {"voltage", "V", 240, 2400},
        {"conductivity", "S/m", 5, 5000},
        {"power_factor", "/", 1, 2},
        {"wind_direction", "deg", 359, 361},
        {"packet_loss", "/100", 100, 101},
        {"rsrp", "dBm", -95, 95},
        {"fill", "/100", 100, 255},
    };
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        const struct quantity *q = quantity_by_key(facts[i].key);
        assert_non_null(q);
        assert_string_equal(q->unit, facts[i].unit);
        int64_t scale = 1;
        for (int d = 0; d < q->decimals; d++)
            scale *= 10;
        int64_t in = facts[i].inside * scale, out = facts[i].outside * scale;
        if (in < q->min || in > q->max || (out >= q->min && out <= q->max))
            fail_msg("%s: wrong limits", q->key);
    }
}

/* Every label is there, is UTF-8 text without control characters, and Vietnamese has its marks. */
static void labels_are_text_in_both_languages(void **state)
{
    (void)state;
    size_t marked = 0;
    for
        EACH(q)
        {
            for (const char *p = q->vi; *p != '\0'; p++)
                assert_in_range((unsigned char)*p, 0x20, 0xf4);
            assert_in_range(strlen(q->vi), 2, 80);
            assert_in_range(strlen(q->en), 2, 80);
            marked += strpbrk(q->vi, "\xc3\xc4\xc5\xc6\xe1\xe2") != NULL;
        }
    assert_in_range(marked, quantity_count * 9 / 10, quantity_count);
}

static void every_domain_is_used_and_named(void **state)
{
    (void)state;
    for (int d = 0; d < QUANTITY_DOMAINS; d++) {
        size_t n = 0;
        for
            EACH(q)
        n += q->domain == (enum quantity_domain)d;
        assert_int_not_equal(n, 0);
        assert_string_not_equal(quantity_domain_name((enum quantity_domain)d), "unknown");
    }
    assert_string_equal(quantity_domain_name(QUANTITY_WATER), "water");
    assert_string_equal(quantity_domain_name(QUANTITY_DOMAINS), "unknown");
}

/* Differences are taken of these alone: none of them can fall but by starting over. */
static void counters_only_grow(void **state)
{
    static const char *const yes[] = {"counter", "rain", "energy_import", "water_total", "pickups"};
    static const char *const no[] = {"temperature", "weight", "energy_total", "active_power"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(quantity_by_key(yes[i])->counter);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(quantity_by_key(no[i])->counter);
    for (size_t i = 0; i < quantity_count; i++)
        if (quantity_table[i].counter)
            assert_true(quantity_table[i].limited && quantity_table[i].min == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_keys_are_unique_and_found),
        cmocka_unit_test(unknown_names_are_not_found),
        cmocka_unit_test(keys_are_lower_snake),
        cmocka_unit_test(keys_that_others_rely_on_exist),
        cmocka_unit_test(units_are_registered),
        cmocka_unit_test(limits_are_sane),
        cmocka_unit_test(known_values_lie_inside_their_limits),
        cmocka_unit_test(labels_are_text_in_both_languages),
        cmocka_unit_test(every_domain_is_used_and_named),
        cmocka_unit_test(counters_only_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
