/* The SunSpec models: places that were read in the documents, and rules that hold for each line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sensors/sunspec.h"

/* SolarEdge's register mapping, as public code quotes it: an inverter at 40069, a meter at 40188.
 */
static void registers_stand_where_a_maker_has_them(void **state)
{
    static const struct {
        unsigned id, offset, factor;
        const char *name;
    } known[] = {{101, 40071 - 40069, 40075 - 40069, "A"},
                 {103, 40083 - 40069, 40084 - 40069, "W"},
                 {102, 40093 - 40069, 40095 - 40069, "WH"},
                 {103, 40100 - 40069, 40101 - 40069, "DCW"},
                 {103, 40107 - 40069, 0, "St"},
                 {203, 40190 - 40188, 40194 - 40188, "A"},
                 {201, 40206 - 40188, 40210 - 40188, "W"},
                 {204, 40226 - 40188, 40242 - 40188, "TotWhExp"},
                 {202, 40234 - 40188, 40242 - 40188, "TotWhImp"},
                 /* AGG Software's list of Fronius inverters, from number 40070 */
                 {111, 40072 - 40070, 0, "A"},
                 {113, 40092 - 40070, 0, "W"},
                 {112, 40102 - 40070, 0, "WH"},
                 {113, 40118 - 40070, 0, "St"},
                 {1, 40052 - 40002, 0, "SN"}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct sunspec_point *p = sunspec_point_of(known[i].id, known[i].name);
        assert_non_null(p);
        assert_int_equal(p->offset, known[i].offset);
        assert_int_equal(p->factor, known[i].factor);
    }
    assert_null(sunspec_point_of(103, "TotWhImp"));
    assert_null(sunspec_point_of(64110, "A"));
    assert_null(sunspec_models_of(100));
    assert_null(sunspec_models_of(0));
}

static void no_two_lines_share_a_register_or_a_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sunspec_point_count; i++) {
        const struct sunspec_point *a = &sunspec_points[i];
        const struct sunspec_models *m = sunspec_models_of(a->from);
        assert_non_null(m);
        assert_true(m->from == a->from && m->to == a->to);
        assert_true(a->offset >= SUNSPEC_HEAD && a->size > 0);
        assert_true(a->offset + a->size <= SUNSPEC_HEAD + m->length);
        assert_true(a->factor < SUNSPEC_HEAD + m->length);
        assert_true(a->type != SUNSPEC_acc32 || a->size == 2);
        for (size_t k = 0; k < sunspec_point_count; k++) {
            const struct sunspec_point *b = &sunspec_points[k];
            if (i == k || a->from != b->from)
                continue;
            assert_string_not_equal(a->name, b->name);
            assert_true(a->offset + a->size <= b->offset || b->offset + b->size <= a->offset);
            assert_false(a->factor >= b->offset && a->factor < b->offset + b->size);
        }
    }
}

static void a_point_is_only_where_the_model_is_long_enough(void **state)
{
    const struct sunspec_point *w = sunspec_point_of(103, "W"), *v = sunspec_point_of(160, "DCV");
    (void)state;
    assert_int_equal(sunspec_offset(w, 50, 0, 1), 14);
    assert_int_equal(sunspec_offset(w, 13, 0, 1), 14);
    assert_int_equal(sunspec_offset(w, 12, 0, 1), 0);
    assert_int_equal(sunspec_offset(w, 50, 0, 2), 0); /* it has no blocks */
    assert_int_equal(sunspec_offset(v, 48, 2, 1), 20);
    assert_int_equal(sunspec_offset(v, 48, 2, 2), 40);
    assert_int_equal(sunspec_offset(v, 48, 1, 2), 0);
    assert_int_equal(sunspec_offset(v, 48, 3, 3), 0); /* says three, has room for two */
    assert_int_equal(sunspec_offset(v, 48, 2, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_stand_where_a_maker_has_them),
        cmocka_unit_test(no_two_lines_share_a_register_or_a_name),
        cmocka_unit_test(a_point_is_only_where_the_model_is_long_enough),
    };
    return cmocka_run_group_tests_name("sunspec", tests, NULL, NULL);
}
