/* A phone's position: what is taken of it, how old it is by no clock but ours, who has the turn,
 * and that gpsd comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "gateway/connectivity/survey_int.h"

#define STALE CONNECTIVITY_GPS_STALE_MS
#define CELL_M 100

/* By a phone's clock that is years ahead of ours. */
static const struct connectivity_phone_fix usual = {.lat = 14.8301,
                                                    .lon = 108.9552,
                                                    .accuracy_m = 8,
                                                    .stamp_ms = INT64_C(1999000000000),
                                                    .age_ms = 0,
                                                    .from = {1}};
static struct connectivity_phone phone;
static bool fresh;

/* At our time t_ms, of a fix at that time of the phone. */
static enum st take(int64_t t_ms, int64_t fix_ms, int64_t age_ms, uint8_t from)
{
    struct connectivity_phone_fix f = usual;
    struct err e;
    f.stamp_ms += fix_ms;
    f.age_ms = age_ms;
    f.from[0] = from;
    fresh = false;
    return connectivity_phone_take(&phone, &f, CELL_M, (struct mono){t_ms}, &fresh, &e);
}

static enum connectivity_gps_state at(int64_t t_ms)
{
    return connectivity_phone_judge(&phone, (struct mono){t_ms});
}

static int nothing(void **state)
{
    (void)state;
    memset(&phone, 0, sizeof phone);
    return 0;
}

static void what_lies_beyond_the_earth_or_its_limits_is_refused(void **state)
{
    (void)state;
    static const struct {
        double lat, lon, accuracy_m;
        int64_t stamp_ms, age_ms;
        enum st st;
    } rows[] = {
        {90, 180, 0, 0, 0, ST_OK},
        {-90, -180, 50, INT64_C(1) << 53, 0, ST_OK},
        {90.0001, 0, 8, 0, 0, ST_BAD},
        {0, -180.0001, 8, 0, 0, ST_BAD},
        {NAN, 0, 8, 0, 0, ST_BAD},
        {0, INFINITY, 8, 0, 0, ST_BAD},
        {0, 0, -1, 0, 0, ST_BAD},
        {0, 0, NAN, 0, 0, ST_BAD},
        {0, 0, 1e7, 0, 0, ST_BAD},
        {0, 0, 50.1, 0, 0, ST_REFUSED}, /* half a cell */
        {0, 0, 1500, 0, 0, ST_REFUSED},
        {0, 0, 8, -1, 0, ST_BAD},
        {0, 0, 8, (INT64_C(1) << 53) + 1, 0, ST_BAD},
        {0, 0, 8, 0, -1, ST_BAD},
        {0, 0, 8, 0, INT64_MAX, ST_BAD},
        {0, 0, 8, 0, STALE, ST_OK},
        {0, 0, 8, 0, STALE + 1, ST_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct connectivity_phone_fix f = {.lat = rows[i].lat,
                                                 .lon = rows[i].lon,
                                                 .accuracy_m = rows[i].accuracy_m,
                                                 .stamp_ms = rows[i].stamp_ms,
                                                 .age_ms = rows[i].age_ms};
        struct err e = {.text = ""};
        memset(&phone, 0, sizeof phone);
        enum st st =
            connectivity_phone_take(&phone, &f, CELL_M, (struct mono){1000000}, &fresh, &e);
        if (st != rows[i].st)
            fail_msg("row %zu: %d, not %d: %s", i, (int)st, (int)rows[i].st, e.text);
        assert_int_equal(phone.is, st == ST_OK);
        assert_int_equal(st == ST_OK, e.text[0] == '\0');
    }
}

static void a_fix_grows_old_as_gpsd_s_does(void **state)
{
    (void)state;
    assert_int_equal(at(1000), CONNECTIVITY_GPS_NO_FIX);
    assert_int_equal(take(1000, 0, 0, 1), ST_OK);
    assert_int_equal(at(1000 + STALE), CONNECTIVITY_GPS_2D);
    assert_int_equal(at(1000 + STALE + 1), CONNECTIVITY_GPS_STALE);
    phone.fix.has_altitude = true;
    assert_int_equal(at(1000), CONNECTIVITY_GPS_3D);
    /* it was two seconds on the page before it was sent */
    nothing(NULL);
    assert_int_equal(take(1000, 0, 2000, 1), ST_OK);
    assert_int_equal(at(1000 + STALE - 2000), CONNECTIVITY_GPS_2D);
    assert_int_equal(at(1000 + STALE - 1999), CONNECTIVITY_GPS_STALE);
}

static void a_fix_is_as_old_as_its_stamp_stands_behind(void **state)
{
    (void)state;
    assert_int_equal(take(1000, 0, 0, 1), ST_OK);
    assert_int_equal(take(4000, 3000, 0, 1), ST_OK); /* as fast as the first */
    assert_int_equal(phone.fix_at.ms, 4000);
    assert_int_equal(take(10000, 3500, 0, 1), ST_OK); /* on its way, or held back, for 5.5 s */
    assert_int_equal(phone.fix_at.ms, 4500);
    assert_int_equal(at(14500), CONNECTIVITY_GPS_2D);
    assert_int_equal(at(14501), CONNECTIVITY_GPS_STALE);
    assert_int_equal(take(14000, 3999, 0, 1), ST_OK); /* … 9.001 s */
    assert_int_equal(take(16000, 4999, 0, 1), ST_TIMEOUT);
    assert_int_equal(phone.fix_at.ms, 4999); /* and nothing is changed */
    /* a faster one sets the measure for those behind it */
    nothing(NULL);
    assert_int_equal(take(9000, 0, 0, 1), ST_OK);
    assert_int_equal(take(10000, 9000, 0, 1), ST_OK);
    assert_int_equal(take(12000, 9500, 0, 1), ST_OK);
    assert_int_equal(phone.fix_at.ms, 10500);
}

static void the_same_fix_told_again_is_not_fresh(void **state)
{
    (void)state;
    assert_int_equal(take(1000, 0, 0, 1), ST_OK);
    assert_int_equal(take(4000, 0, 0, 1), ST_TIMEOUT);
    assert_int_equal(take(4000 + 2 * STALE, 0, 0, 1), ST_TIMEOUT);
    assert_int_equal(at(1000 + STALE + 1), CONNECTIVITY_GPS_STALE);
}

static void a_phone_whose_clock_is_set_comes_back(void **state)
{
    (void)state;
    assert_int_equal(take(1000, 0, 0, 1), ST_OK);
    assert_int_equal(take(4000, 3603000, 0, 1), ST_OK); /* an hour ahead: as fast as can be */
    assert_int_equal(phone.fix_at.ms, 4000);
    assert_int_equal(take(7000, 6000, 0, 1), ST_TIMEOUT); /* and back */
    assert_int_equal(take(4000 + STALE, 13000, 0, 1), ST_TIMEOUT);
    assert_int_equal(take(4001 + STALE, 13001, 0, 1), ST_OK);
    assert_int_equal(phone.fix_at.ms, 4001 + STALE);
}

static void one_phone_at_a_time_leads(void **state)
{
    (void)state;
    assert_int_equal(take(1000, 0, 0, 1), ST_OK);
    assert_true(fresh);
    assert_int_equal(take(2000, 0, 0, 2), ST_CONFLICT);
    assert_int_equal(phone.fix.from[0], 1);
    assert_int_equal(take(4000, 3000, 0, 1), ST_OK);
    assert_false(fresh);
    assert_int_equal(take(4000 + STALE, 0, 0, 2), ST_CONFLICT);
    assert_int_equal(take(4001 + STALE, 0, 0, 2), ST_OK);
    assert_true(fresh);
    assert_int_equal(take(4002 + STALE, 13000, 0, 1), ST_CONFLICT);
}

/* ---- two sources --------------------------------------------------------------------------------
 */

static char gpsd[] = "127.0.0.1:2947";
static struct connectivity_survey_cfg cfg = {.cell_m = CELL_M, .gpsd = gpsd, .browser = true};

static void gpsd_comes_first_and_each_says_whose_it_is(void **state)
{
    (void)state;
    struct connectivity_place p;
    struct connectivity k = {.npings = 0};
    struct connectivity_walk *w = NULL;
    struct err e;
    bool used = false;
    const struct mono now = {50000}, late = {50000 + STALE + 1};
    assert_int_equal(connectivity_walk_open(&w, &cfg, &e), ST_OK);
    assert_int_equal(connectivity_walk_place(w, now, &p), CONNECTIVITY_GPS_AWAY);
    k.walk = w;
    assert_int_equal(connectivity_phone(&k, &usual, now, &fresh, &used, &e), ST_OK);
    assert_true(used);
    assert_int_equal(connectivity_walk_place(w, now, &p), CONNECTIVITY_GPS_2D);
    assert_int_equal(p.source, CONNECTIVITY_BY_BROWSER);
    assert_true(p.lat == usual.lat && p.lon == usual.lon);
    assert_int_equal(num_cmp(p.error_m, num_dec(80, -1)), 0);
    assert_int_equal(p.alt_m.kind, NUM_NONE);
    /* gpsd has a fix, elsewhere */
    w->gps.fd = STDOUT_FILENO; /* it is not read */
    w->gps.heard = true;
    w->gps.mode = 3;
    w->gps.lat = 14.9;
    w->gps.lon = 109;
    w->gps.alt_m = num_dec(123, -1);
    w->gps.fix_at = now;
    assert_int_equal(connectivity_walk_place(w, now, &p), CONNECTIVITY_GPS_3D);
    assert_int_equal(p.source, CONNECTIVITY_BY_GPSD);
    assert_true(p.lat > 14.89 && p.alt_m.kind == NUM_DEC);
    struct connectivity_phone_fix next = usual;
    next.stamp_ms += 1000;
    assert_int_equal(connectivity_phone(&k, &next, (struct mono){51000}, &fresh, &used, &e), ST_OK);
    assert_false(used);
    /* both are old: gpsd's state counts; a fresh phone takes over */
    assert_int_equal(connectivity_walk_place(w, (struct mono){late.ms + 1000}, &p),
                     CONNECTIVITY_GPS_STALE);
    next.stamp_ms += STALE;
    assert_int_equal(connectivity_phone(&k, &next, late, &fresh, &used, &e), ST_OK);
    assert_int_equal(connectivity_walk_place(w, late, &p), CONNECTIVITY_GPS_2D);
    assert_int_equal(p.source, CONNECTIVITY_BY_BROWSER);
    w->gps.fd = -1;
    connectivity_walk_close(w);
}

static void a_walk_without_gpsd_says_what_the_phone_lacks(void **state)
{
    (void)state;
    const struct connectivity_survey_cfg alone = {.cell_m = CELL_M, .browser = true};
    struct connectivity_place p;
    struct connectivity k = {.npings = 0};
    struct err e;
    bool used = false;
    assert_int_equal(connectivity_walk_open(&k.walk, &alone, &e), ST_OK);
    assert_int_equal(connectivity_walk_place(k.walk, (struct mono){1000}, &p),
                     CONNECTIVITY_GPS_NO_FIX);
    assert_int_equal(connectivity_phone(&k, &usual, (struct mono){1000}, &fresh, &used, &e), ST_OK);
    assert_int_equal(connectivity_walk_place(k.walk, (struct mono){1000 + STALE}, &p),
                     CONNECTIVITY_GPS_2D);
    assert_int_equal(connectivity_walk_place(k.walk, (struct mono){1001 + STALE}, &p),
                     CONNECTIVITY_GPS_STALE);
    connectivity_walk_close(k.walk);
}

static void who_did_not_ask_for_phones_gets_none(void **state)
{
    (void)state;
    const struct connectivity_survey_cfg none = {.cell_m = CELL_M, .gpsd = gpsd};
    struct connectivity k = {.npings = 0};
    struct err e;
    bool used = false;
    assert_int_equal(connectivity_phone(&k, &usual, (struct mono){1000}, &fresh, &used, &e),
                     ST_NOT_FOUND);
    assert_int_equal(connectivity_walk_open(&k.walk, &none, &e), ST_OK);
    assert_int_equal(connectivity_phone(&k, &usual, (struct mono){1000}, &fresh, &used, &e),
                     ST_NOT_FOUND);
    assert_non_null(strstr(e.text, "connectivity.survey.browser"));
    connectivity_walk_close(k.walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_lies_beyond_the_earth_or_its_limits_is_refused, nothing),
        cmocka_unit_test_setup(a_fix_grows_old_as_gpsd_s_does, nothing),
        cmocka_unit_test_setup(a_fix_is_as_old_as_its_stamp_stands_behind, nothing),
        cmocka_unit_test_setup(the_same_fix_told_again_is_not_fresh, nothing),
        cmocka_unit_test_setup(a_phone_whose_clock_is_set_comes_back, nothing),
        cmocka_unit_test_setup(one_phone_at_a_time_leads, nothing),
        cmocka_unit_test_setup(gpsd_comes_first_and_each_says_whose_it_is, nothing),
        cmocka_unit_test_setup(a_walk_without_gpsd_says_what_the_phone_lacks, nothing),
        cmocka_unit_test_setup(who_did_not_ask_for_phones_gets_none, nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
