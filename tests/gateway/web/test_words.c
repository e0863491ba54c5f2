/* The two dictionaries hold the same keys with the same blanks, and the page asks for no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UI FP_SOURCE_DIR "/gateway/web/ui/"

static json_t *load(const char *path)
{
    json_error_t e;
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        fail_msg("%s:%d: %s", path, e.line, e.text);
    return j;
}

static unsigned blanks(const char *text)
{
    unsigned sum = 0; /* names may come in another order */
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{'))
        for (const char *c = p + 1; *c && *c != '}'; c++)
            sum += (unsigned char)*c * 31U + 7U;
    return sum;
}

static void both_languages_say_everything(void **state)
{
    (void)state;
    json_t *vi = load(UI "vi.json"), *en = load(UI "en.json"), *v;
    const char *key;
    json_object_foreach(vi, key, v)
    {
        const char *a = json_string_value(v), *b = json_string_value(json_object_get(en, key));
        if (!a || !b || !*a || !*b)
            fail_msg("%s is missing in one language", key);
        if (blanks(a) != blanks(b))
            fail_msg("%s has other blanks in one language", key);
    }
    json_object_foreach(en, key, v)
    {
        if (!json_object_get(vi, key))
            fail_msg("%s is missing in Vietnamese", key);
    }
    json_decref(vi);
    json_decref(en);
}

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    char *p = calloc(1, 1 << 17);
    assert_non_null(f);
    assert_non_null(p);
    assert_in_range(fread(p, 1, (1 << 17) - 1, f), 1, (1 << 17) - 2);
    fclose(f);
    return p;
}

/* Keys made at run time: t(`state_${…}`). Every family must be whole. */
static const char *const families[][10] = {
    {"state_", "never", "good", "late", "silent", "faulty"},
    {"cause_", "off", "bus", "device", "overrun", "queue", "paused", "storage", "thinned"},
    {"clock_", "synced", "holdover", "corrected", "unknown"},
    {"quality_", "1", "2", "4", "8", "16", "32", "64", "128"},
    {"device_", "never", "late", "silent", "faulty"},
    {"network_", "silent"},
};

static void the_page_asks_only_for_words_that_exist(void **state)
{
    (void)state;
    json_t *en = load(UI "en.json");
    char *js = read_all(UI "app.js"), *html = read_all(UI "index.html"), key[64];
    size_t asked = 0;
    for (const char *p = js; (p = strstr(p, "t(\"")) != NULL; p++) {
        if (p > js && strchr(" (:[!?,.{;", p[-1]) == NULL)
            continue; /* the end of another function's name */
        size_t n = strcspn(p + 3, "\"");
        snprintf(key, sizeof key, "%.*s", (int)n, p + 3);
        asked++;
        if (p[-1] != '.' && !json_object_get(en, key))
            fail_msg("app.js asks for %s", key);
    }
    assert_in_range(asked, 20, 500);
    for (const char *p = html; (p = strstr(p, "data-word=\"")) != NULL; p++) {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(p + 11, "\""), p + 11);
        assert_non_null(json_object_get(en, key));
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (size_t k = 1; families[i][k]; k++) {
            snprintf(key, sizeof key, "%s%s", families[i][0], families[i][k]);
            if (!json_object_get(en, key))
                fail_msg("no word for %s", key);
        }
    free(js);
    free(html);
    json_decref(en);
}

static void the_page_writes_text_only(void **state)
{
    (void)state;
    static const char *const never[] = {
        "innerHTML", "outerHTML", "insertAdjacent", "document.write",
        "eval(",     "http:",     "https:",         "style="};
    char *js = read_all(UI "app.js"), *html = read_all(UI "index.html");
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(js, never[i]) || strstr(html, never[i]))
            fail_msg("the page has %s", never[i]);
    free(js);
    free(html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_languages_say_everything),
        cmocka_unit_test(the_page_asks_only_for_words_that_exist),
        cmocka_unit_test(the_page_writes_text_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
