/* The first sentence: each piece of advice from its condition, their order, their words, and names
 * that are data whatever they hold. The store is real; the clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/web/advice_rig.h"

#define LANG FP_SOURCE_DIR "/gateway/web/ui/lang/"

static const struct web_advice *found(enum web_advice_code code)
{
    for (size_t i = 0; i < rig.out.n; i++)
        if (rig.out.v[i].code == code)
            return &rig.out.v[i];
    return NULL;
}

static const struct web_param *param_of(const struct web_advice *a, const char *key)
{
    for (size_t i = 0; a && i < a->n; i++)
        if (strcmp(a->p[i].key, key) == 0)
            return &a->p[i];
    return NULL;
}

static const char *first(void)
{
    web_advise(&rig.k, &rig.out);
    assert_in_range(rig.out.n, 1, WEB_ADVICE_MAX);
    return web_advice_kinds[rig.out.v[0].code].code;
}

static void each_piece_comes_of_its_condition_and_goes_with_it(void **state)
{
    (void)state;
    for (enum web_advice_code c = 0; c < WEB_ADVICE_COUNT; c++) {
        reset();
        assert_string_equal(first(), "all_well");
        make(c);
        bool beside = c == WEB_ADVICE_autonomy_short; /* it says what else is wrong, too */
        (void)first();
        if (!found(c) || (!beside && rig.out.v[0].code != c))
            fail_msg("%s: it says %s", web_advice_kinds[c].code,
                     web_advice_kinds[rig.out.v[0].code].code);
        if (!beside && c != WEB_ADVICE_thinning && rig.out.n != 1)
            fail_msg("%s: it says %s, too", web_advice_kinds[c].code,
                     web_advice_kinds[rig.out.v[1].code].code);
    }
}

static void conditions_that_are_over_say_nothing(void **state)
{
    (void)state;
    static const struct {
        enum web_told_kind kind;
        int64_t ago_ms;
    } old[] = {{WEB_TOLD_POWER_CUT, 2 * DAY_MS},
               {WEB_TOLD_KILLED, 2 * DAY_MS},
               {WEB_TOLD_CONFLICT, 7 * DAY_MS},
               {WEB_TOLD_BEHIND, 7 * DAY_MS}};
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        reset();
        told(old[i].kind, old[i].ago_ms);
        assert_string_equal(first(), "all_well");
        told(old[i].kind, old[i].ago_ms - 1);
        assert_string_not_equal(first(), "all_well");
    }
    reset();
    told(WEB_TOLD_CONFIG, MIN_MS);
    rig.told.last[WEB_TOLD_START].id = 21; /* it was started anew since */
    assert_string_equal(first(), "all_well");
    reset();
    overrun(2, 1000); /* a moment's */
    assert_string_equal(first(), "all_well");
    overrun(9, store_overrun_ms(1000) + 1);
    assert_string_equal(first(), "all_well");
    fault("seal_fault");
    told(WEB_TOLD_SIGNER_DOWN, MIN_MS);
    rig.told.last[WEB_TOLD_SIGNER_UP].id = 21; /* it is back: something else keeps it */
    assert_string_equal(first(), "seal_fault");
}

/* What was told without a clock gets its date once there is one, of this run alone. */
static void a_power_cut_without_a_clock_is_dated_when_the_time_is_found(void **state)
{
    (void)state;
    reset();
    rig.told.last[WEB_TOLD_POWER_CUT] =
        (struct web_told_event){20, CLK_UNKNOWN_BASE_MS + BOOT_MS - 5 * MIN_MS, CLK_UNKNOWN};
    assert_string_equal(first(), "power_cut");
    assert_int_equal(param_of(&rig.out.v[0], "since_ms")->v, NOW_MS - 5 * MIN_MS);
    rig.k.now = (struct clk_time){CLK_UNKNOWN_BASE_MS + BOOT_MS, CLK_UNKNOWN, 0};
    (void)first();
    assert_non_null(found(WEB_ADVICE_power_cut));
    assert_null(param_of(found(WEB_ADVICE_power_cut), "since_ms"));
    assert_string_equal(param_of(found(WEB_ADVICE_power_cut), "time")->text, "--:--");
    rig.k.now = (struct clk_time){NOW_MS, CLK_SYNCED, 0};
    rig.told.last[WEB_TOLD_STOP].id = 30; /* another run since, maybe another boot */
    assert_string_equal(first(), "all_well");
}

static void the_most_important_comes_first(void **state)
{
    (void)state;
    static const enum web_advice_code order[] = {
        WEB_ADVICE_store_fault,       WEB_ADVICE_line_cable, WEB_ADVICE_device_silent,
        WEB_ADVICE_word_order,        WEB_ADVICE_disk_low,   WEB_ADVICE_clock_wrong,
        WEB_ADVICE_certificate_ended, WEB_ADVICE_city_down,  WEB_ADVICE_network_down,
        WEB_ADVICE_power_cut,         WEB_ADVICE_flash_worn, WEB_ADVICE_not_configured};
    size_t n = sizeof order / sizeof *order;
    for (size_t turn = 0; turn < 2; turn++) { /* whatever came first */
        reset();
        for (size_t i = 0; i < n; i++)
            make(order[turn ? n - 1 - i : i]);
        (void)first();
        assert_int_equal(rig.out.n, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(rig.out.v[i].code, order[i]);
    }
}

static void levels_fall_along_the_table_and_say_who_must_act(void **state)
{
    (void)state;
    static const enum web_advice_code act[] = {
        WEB_ADVICE_store_fault, WEB_ADVICE_line_port,     WEB_ADVICE_device_silent,
        WEB_ADVICE_word_order,  WEB_ADVICE_overloaded,    WEB_ADVICE_disk_low,
        WEB_ADVICE_clock_wrong, WEB_ADVICE_enrol_missing, WEB_ADVICE_certificate_ended};
    for (size_t i = 1; i < WEB_ADVICE_COUNT; i++)
        assert_true(web_advice_kinds[i - 1].level >= web_advice_kinds[i].level);
    for (size_t i = 0; i < sizeof act / sizeof *act; i++)
        assert_int_equal(web_advice_kinds[act[i]].level, WEB_ACT);
    assert_int_equal(web_advice_kinds[WEB_ADVICE_city_down].level, WEB_LOOK);
    assert_int_equal(web_advice_kinds[WEB_ADVICE_sensor_stuck].level, WEB_LOOK);
    assert_int_equal(web_advice_kinds[WEB_ADVICE_power_cut].level, WEB_LOOK);
    assert_int_equal(web_advice_kinds[WEB_ADVICE_all_well].level, WEB_GOOD);
    assert_int_equal(web_advice_kinds[WEB_ADVICE_device_waiting].level, WEB_LOOK);
}

static void the_age_is_of_now(void **state)
{
    (void)state;
    reset();
    health(AIR, STORE_SILENT, NULL);
    (void)first();
    assert_int_equal(param_of(&rig.out.v[0], "age_ms")->v, 12 * MIN_MS);
    assert_string_equal(param_of(&rig.out.v[0], "time")->text, "10:27");
    assert_string_equal(param_of(&rig.out.v[0], "date")->text, "01/08");
    rig.k.now.utc_ms += 30 * MIN_MS;
    (void)first();
    assert_int_equal(param_of(&rig.out.v[0], "age_ms")->v, 42 * MIN_MS);
    rig.k.now.utc_ms += 200 * DAY_MS;
    (void)first();
    assert_string_equal(param_of(&rig.out.v[0], "date")->text, "01/08/2026");
}

/* A fault that explains others takes their place. */
static void devices_of_a_bus_that_is_cut_are_not_told_one_by_one(void **state)
{
    (void)state;
    reset();
    make_bus_port();
    assert_string_equal(first(), "line_port");
    assert_int_equal(rig.out.n, 1);
    assert_int_equal(param_of(&rig.out.v[0], "n")->v, 2);
    reset();
    make_order(); /* what is outside its limits is outside because of it */
    (void)first();
    assert_int_equal(rig.out.n, 1);
    reset();
    both_silent("line_port"); /* before the line doctor has judged */
    assert_string_equal(first(), "line_port");
    assert_int_equal(rig.out.n, 1);
}

static void a_sim_card_without_data_is_why_the_city_is_not_reached(void **state)
{
    (void)state;
    static const enum web_advice_code of_city[] = {WEB_ADVICE_city_down, WEB_ADVICE_city_stranger,
                                                   WEB_ADVICE_city_portal, WEB_ADVICE_city_trouble};
    for (size_t i = 0; i < sizeof of_city / sizeof *of_city; i++) {
        reset();
        make(WEB_ADVICE_sim_no_data);
        make(of_city[i]);
        assert_string_equal(first(), "sim_no_data");
        assert_int_equal(rig.out.n, 1);
    }
    reset();
    make(WEB_ADVICE_path_dns); /* so is a way that is broken, of a silence */
    make(WEB_ADVICE_city_down);
    assert_string_equal(first(), "path_dns");
    assert_int_equal(rig.out.n, 1);
    reset();
    make(WEB_ADVICE_path_city);
    make(WEB_ADVICE_city_certificate);
    (void)first();
    assert_int_equal(rig.out.n, 2);
    reset();
    make(WEB_ADVICE_sim_no_data);
    make(WEB_ADVICE_enrol_missing); /* that is another matter */
    (void)first();
    assert_int_equal(rig.out.n, 2);
}

static void what_does_not_fit_is_counted_and_the_rest_is_the_most_important(void **state)
{
    (void)state;
    struct web_advices *all = calloc(1, sizeof *all);
    static char names[200][8];
    assert_non_null(all);
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        (void)web_advice_add(all, i % 2 ? WEB_ADVICE_device_late : WEB_ADVICE_device_silent,
                             names[i]);
    }
    assert_int_equal(all->n, WEB_ADVICE_MAX);
    assert_int_equal(all->left_off, 200 - WEB_ADVICE_MAX);
    for (size_t i = 0; i < all->n; i++)
        assert_int_equal(all->v[i].code, WEB_ADVICE_device_silent);
    assert_non_null(web_advice_add(all, WEB_ADVICE_store_fault, ""));
    assert_int_equal(all->v[0].code, WEB_ADVICE_store_fault);
    assert_null(web_advice_add(all, WEB_ADVICE_store_fault, "")); /* it is there */
    free(all);
}

/* ---- words --------------------------------------------------------------------------------- */

static json_t *load(const char *language)
{
    char path[512];
    json_error_t e;
    snprintf(path, sizeof path, LANG "%s.json", language);
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        fail_msg("%s:%d: %s", path, e.line, e.text);
    return j;
}

static void blanks_are_given(const json_t *words, const struct web_advice *a, const char *more)
{
    char key[80], name[40];
    snprintf(key, sizeof key, "advice.%s%s", web_advice_kinds[a->code].code, more);
    const char *text = json_string_value(json_object_get(words, key));
    if (!text || !*text)
        fail_msg("no words for %s", key);
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{')) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p + 1, "}"), p + 1);
        if (!param_of(a, name))
            fail_msg("%s wants {%s}, which is not given", key, name);
    }
}

static void every_sentence_has_its_words_and_its_blanks_in_both_languages(void **state)
{
    (void)state;
    static const char *const languages[] = {"en", "vi"};
    for (size_t l = 0; l < 2; l++) {
        json_t *words = load(languages[l]);
        const char *key;
        json_t *v;
        for (enum web_advice_code c = 0; c < WEB_ADVICE_COUNT; c++) {
            reset();
            make(c);
            (void)first();
            assert_non_null(found(c));
            blanks_are_given(words, found(c), "");
            blanks_are_given(words, found(c), ".next");
        }
        json_object_foreach(words, key, v)
        {
            char code[60];
            if (strncmp(key, "advice.", 7) != 0)
                continue;
            snprintf(code, sizeof code, "%.*s", (int)strcspn(key + 7, "."), key + 7);
            if (web_advice_code_of(code, WEB_ADVICE_COUNT) == WEB_ADVICE_COUNT &&
                strcmp(code, "no_gateway") != 0)
                fail_msg("%s is said of nothing", key);
        }
        json_decref(words);
    }
}

static void say(const char *language, const char *json, const char *sentence)
{
    char is[WEB_SENTENCE_BYTES], next[WEB_SENTENCE_BYTES];
    json_t *j = json_loads(json, 0, NULL);
    assert_non_null(j);
    assert_int_equal(web_say(language, j, is, next), sentence != NULL);
    if (sentence)
        assert_string_equal(is, sentence);
    json_decref(j);
}

static void names_stay_data_and_bounded(void **state)
{
    (void)state;
    char out[WEB_PARAM_BYTES];
    say("vi",
        "{\"code\": \"device_silent\", \"params\": {\"name\": \"{time} {name}\", "
        "\"time\": \"10:27\", \"date\": \"01/08\"}}",
        "Mất liên lạc với {time} {name} từ 10:27 ngày 01/08.");
    say("en",
        "{\"code\": \"device_silent\", \"params\": {\"name\": \"a\\u001b[2Jb\\u202ec\\u009b\", "
        "\"time\": \"10:27\", \"date\": \"01/08\"}}",
        "a [2Jb c  does not answer since 10:27 on 01/08.");
    say("vi", "{\"code\": \"batches_refused\", \"params\": {\"n\": 1234567, \"reason\": \"x\"}}",
        "Thành phố từ chối hẳn 1.234.567 gói, gói cuối vì lý do x.");
    say("en", "{\"code\": \"batches_refused\", \"params\": {\"n\": -123456, \"reason\": \"x\"}}",
        "The city refused -123,456 batches for ever, the last with the reason x.");
    say("en", "{\"code\": \"batches_refused\", \"params\": {\"n\": 2, \"reason\": []}}",
        "The city refused 2 batches for ever, the last with the reason .");
    say("en", "{\"code\": \"nothing of ours\", \"params\": {}}", NULL);
    say("en", "{\"code\": 7}", NULL);
    say("en", "[]", NULL);
    say("fr", "{\"code\": \"all_well\", \"params\": {}}", NULL);
    web_plain(out, 8, "Công tơ");
    assert_string_equal(out, "Côn…");
    web_plain(out, 8, "a\xff");
    assert_string_equal(out, "a\xef\xbf\xbd");
    web_plain(out, 12, "<b>\n\"{}\"");
    assert_string_equal(out, "<b> \"{}\"");
    for (size_t n = 5; n < 60; n++) { /* wherever it is cut, it is UTF-8 */
        web_plain(out, n, "Trạm đo không khí ở cổng chợ 🏭, phường Trà Câu");
        assert_in_range(strlen(out), 1, n - 1);
        for (const char *p = out; *p; p += web_utf8_length(p))
            assert_true(web_utf8_length(p) > 0);
    }
    reset();
    health(AIR, STORE_SILENT, NULL);
    (void)first();
    assert_string_equal(param_of(&rig.out.v[0], "name")->text, "Trạm khí (cổng chợ)");
    assert_string_equal(param_of(&rig.out.v[0], "device")->text, "air-1");
}

/* ---- events --------------------------------------------------------------------------------- */

static void events_are_walked_once_and_the_latest_of_each_kind_counts(void **state)
{
    (void)state;
    struct web_told t = {.seen = 0};
    struct store_reader *r;
    reset();
    store_event(rig.store, STORE_WARNING, "power.cut", "gw-1", "first");
    store_event(rig.store, STORE_INFO, "start", "gw-1", "started");
    assert_int_equal(store_step(rig.store, true, NULL), ST_OK);
    assert_int_equal(store_reader_open_in(&r, rig.store, NULL), ST_OK);
    assert_int_equal(web_told_look(&t, r, NULL), ST_OK);
    int64_t cut = t.last[WEB_TOLD_POWER_CUT].id;
    assert_true(cut > 0 && t.last[WEB_TOLD_START].id > cut && t.seen == t.last[WEB_TOLD_START].id);
    assert_int_equal(web_told_ms(&t, WEB_TOLD_POWER_CUT, rig.k.now, rig.k.mono), NOW_MS);
    assert_int_equal(t.last[WEB_TOLD_CONFLICT].id, 0);
    store_event(rig.store, STORE_WARNING, "power.cut", "gw-1", "second");
    assert_int_equal(store_step(rig.store, true, NULL), ST_OK);
    assert_int_equal(web_told_look(&t, r, NULL), ST_OK);
    assert_true(t.last[WEB_TOLD_POWER_CUT].id > t.last[WEB_TOLD_START].id);
    store_reader_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_comes_of_its_condition_and_goes_with_it),
        cmocka_unit_test(conditions_that_are_over_say_nothing),
        cmocka_unit_test(a_power_cut_without_a_clock_is_dated_when_the_time_is_found),
        cmocka_unit_test(the_most_important_comes_first),
        cmocka_unit_test(levels_fall_along_the_table_and_say_who_must_act),
        cmocka_unit_test(the_age_is_of_now),
        cmocka_unit_test(devices_of_a_bus_that_is_cut_are_not_told_one_by_one),
        cmocka_unit_test(a_sim_card_without_data_is_why_the_city_is_not_reached),
        cmocka_unit_test(what_does_not_fit_is_counted_and_the_rest_is_the_most_important),
        cmocka_unit_test(every_sentence_has_its_words_and_its_blanks_in_both_languages),
        cmocka_unit_test(names_stay_data_and_bounded),
        cmocka_unit_test(events_are_walked_once_and_the_latest_of_each_kind_counts),
    };
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
