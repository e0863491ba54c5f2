/* The configuration goes to the city as it is (decision 0024): no key of it takes a secret; what is
 * one is named by its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/cli/config.h"

static bool is_secret_word(const char *word, size_t n)
{
    static const char *const words[] = {"password", "passwd", "passphrase", "pass",   "secret",
                                        "secrets",  "token",  "tokens",     "pin",    "puk",
                                        "psk",      "bearer", "login",      "api_key"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && memcmp(words[i], word, n) == 0)
            return true;
    return false;
}

/* Whether a part of the key says that its value is one, and none that it is a file's name. */
static bool takes_a_secret(const struct cfg_field *f)
{
    size_t whole = strlen(f->key);
    bool secret = is_secret_word(f->key, whole);
    if (f->kind != CFG_STRING && f->kind != CFG_STRINGS && f->kind != CFG_ID)
        return false;
    for (const char *p = f->key; *p; p += *p == '_') {
        size_t n = strcspn(p, "_");
        secret = secret || is_secret_word(p, n);
        p += n;
    }
    return secret && (whole < 5 || strcmp(f->key + whole - 5, "_file") != 0);
}

/* Keys that take one; all fields are counted. */
static size_t secrets(const struct cfg_table *t, size_t *fields)
{
    size_t n = 0;
    for (const struct cfg_field *f = t->fields; f->key; f++) {
        (*fields)++;
        n += takes_a_secret(f);
        if (f->sub)
            n += secrets(f->sub, fields);
    }
    return n;
}

static void no_key_of_the_configuration_takes_a_secret(void **state)
{
    const struct cfg_table *const all[] = {
        &cli_gateway_table,    &store_cfg_table,        &seal_cfg_table, &collect_bus_table,
        &collect_device_table, &connectivity_cfg_table, &uplink_table,   &web_cfg_table};
    size_t fields = 0;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(secrets(all[i], &fields), 0);
    assert_true(fields > 50);
}

static void one_that_did_would_be_found(void **state)
{
    static const struct cfg_field sub[] = {{.key = "sim_pin", .kind = CFG_STRING}, {.key = NULL}};
    static const struct cfg_table sub_table = {0, sub};
    static const struct cfg_field fields[] = {{.key = "ping", .kind = CFG_STRING},
                                              {.key = "token_file", .kind = CFG_STRING},
                                              {.key = "token", .kind = CFG_STRING},
                                              {.key = "mqtt_password", .kind = CFG_STRING},
                                              {.key = "modem", .kind = CFG_MAP, .sub = &sub_table},
                                              {.key = NULL}};
    const struct cfg_table t = {0, fields};
    size_t n = 0;
    (void)state;
    assert_int_equal(secrets(&t, &n), 3);
    assert_int_equal(n, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_of_the_configuration_takes_a_secret),
        cmocka_unit_test(one_that_did_would_be_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
