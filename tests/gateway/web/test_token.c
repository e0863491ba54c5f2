/* The file of tokens: what it holds, who may read it, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/clk.h"
#include "gateway/base/id.h"
#include "gateway/web/web.h"
#include "tests/support/temp.h"

#define BY "lan", at
static const struct clk_time at = {1795322171000, CLK_HOLDOVER, 0};
static char dir[64], store[96], path[128], told[128];
static struct web_tokens all;

static int start(void **state)
{
    (void)state;
    if (!mkdtemp(temp_name(dir, sizeof dir)))
        return -1;
    snprintf(store, sizeof store, "%s/store.db", dir);
    snprintf(path, sizeof path, "%s" WEB_TOKENS, store);
    snprintf(told, sizeof told, "%s.told", store);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(store);
    temp_done(strdup(told));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    temp_done(strdup(dir));
    return 0;
}

static enum st add(const char *name, unsigned scopes, int64_t ends_ms, char text[WEB_TOKEN_TEXT])
{
    struct web_token t = {.scopes = scopes, .made_ms = 1790000000000, .ends_ms = ends_ms};
    snprintf(t.name, sizeof t.name, "%s", name);
    return web_token_add(store, &t, BY, text, NULL);
}

static void put(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_token_is_found_by_its_text_alone(void **state)
{
    (void)state;
    char a[WEB_TOKEN_TEXT], b[WEB_TOKEN_TEXT], kept[512] = "";
    struct stat sb;
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 0); /* no file: no token */
    assert_null(web_token_find(&all, ""));
    assert_int_equal(add("lab-1", 1U << WEB_CORRECT, 0, a), ST_OK);
    assert_int_equal(add("lan.n", 1U << WEB_RETIRE | 1U << WEB_MAINTAIN, 1800000000000, b), ST_OK);
    assert_int_equal(strlen(a), 4 + 64);
    assert_memory_equal(a, "fpt_", 4);
    assert_int_equal(strspn(a + 4, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0600);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(kept, 1, sizeof kept - 1, f) > 0);
    assert_int_equal(fclose(f), 0);
    assert_null(strstr(kept, a + 4));
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 2);
    assert_string_equal(web_token_find(&all, a)->name, "lab-1");
    assert_int_equal(web_token_find(&all, b)->scopes, 1U << WEB_RETIRE | 1U << WEB_MAINTAIN);
    assert_int_equal(web_token_find(&all, b)->ends_ms, 1800000000000);
    a[67] = a[67] == '0' ? '1' : '0';
    assert_null(web_token_find(&all, a));
    assert_null(web_token_find(&all, "lab-1"));
    assert_int_equal(web_token_remove(store, "lan.n", BY, NULL), ST_OK);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_null(web_token_find(&all, b));
    assert_int_equal(web_token_remove(store, "lan.n", BY, NULL), ST_NOT_FOUND);
}

static void there_are_so_many_and_one_for_each_name(void **state)
{
    (void)state;
    char text[WEB_TOKEN_TEXT], name[16];
    for (int i = 0; i < WEB_TOKENS_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(add(name, 1, 0, text), ST_OK);
    }
    assert_int_equal(add("n7", 1, 0, text), ST_CONFLICT);
    assert_int_equal(add("one-more", 1, 0, text), ST_FULL);
    assert_int_equal(web_token_remove(store, "n7", BY, NULL), ST_OK);
    assert_int_equal(add("one-more", 1, 0, text), ST_OK);
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    assert_false(id_is_text(longest));
    assert_true(id_is_text(longest + 1));
    static const char *const bad[] = {"", "a b", "-a", ".a", "a:b", "a\nb", "Lý"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(id_is_text(bad[i]));
    assert_int_equal(add("a b", 1, 0, text), ST_BAD);
}

static void a_file_that_is_not_ours_counts_for_nothing(void **state)
{
    (void)state;
    static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    char text[600], long_line[400];
    snprintf(text, sizeof text, "fieldpost tokens 1\nlan correct 1 0 %s\n", hash);
    put(text, 0600);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 1);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_REFUSED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_IO);
    assert_int_equal(unlink(path), 0);
    memset(long_line, 'a', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = '\0';
    const char *const lines[] = {
        "lan correct 1 0 %s", /* no end */
        "lan correct 1 0 %s \n",  "lan  correct 1 0 %s\n",
        "lan correct 1 0 0%s\n",  "lan all 1 0 %s\n",
        "lan correct, 1 0 %s\n",  "lan retire,correct 1 0 %s\n",
        "lan correct 1 %s\n",     "lan correct x 0 %s\n",
        "-lan correct 1 0 %s\n",  "lan correct 99999999999999999999 0 %s\n",
        "\nlan correct 1 0 %s\n", long_line};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, lines[i], hash);
#pragma GCC diagnostic pop
        snprintf(text, sizeof text, "fieldpost tokens 1\n%s", line);
        put(text, 0600);
        assert_int_equal(web_tokens_read(store, &all, NULL), ST_CORRUPT);
        assert_int_equal(all.n, 0);
    }
    put("fieldpost tokens 2\n", 0600);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_CORRUPT);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 100000; i++)
        fputs("fieldpost tokens 1\n", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_CORRUPT);
    struct web_token t = {.name = "x", .scopes = 1};
    assert_int_equal(web_token_add(store, &t, BY, text, NULL),
                     ST_CORRUPT); /* nothing is overwritten */
}

/* All that was told, and how many times. */
static int read_told(char *out, size_t size)
{
    struct dirent **v = NULL;
    size_t used = 0;
    int n = scandir(told, &v, NULL, alphasort), files = 0;
    for (int i = 0; i < n; i++) {
        char name[420];
        snprintf(name, sizeof name, "%s/%s", told, v[i]->d_name);
        FILE *f = v[i]->d_name[0] != '.' ? fopen(name, "r") : NULL;
        if (f) {
            files++;
            used += fread(out + used, 1, size - 1 - used, f);
            fclose(f);
        }
        free(v[i]);
    }
    free(v);
    out[used] = '\0';
    return files;
}

static void who_makes_and_removes_one_is_told_and_never_the_token(void **state)
{
    (void)state;
    char text[WEB_TOKEN_TEXT], said[4096], hash[2 * WIRE_HASH_BYTES + 1];
    assert_int_equal(add("lab-1", 1U << WEB_RETIRE | 1U << WEB_CORRECT, 1800000000000, text),
                     ST_OK);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    wire_hex(all.v[0].hash, WIRE_HASH_BYTES, hash);
    assert_int_equal(add("lab-1", 1, 0, said), ST_CONFLICT); /* nothing was made */
    assert_int_equal(web_token_remove(store, "lab-1", BY, NULL), ST_OK);
    assert_int_equal(web_token_remove(store, "lab-1", BY, NULL), ST_NOT_FOUND);
    assert_int_equal(read_told(said, sizeof said), 2);
    assert_non_null(strstr(said, "1795322171000 1 0\ntoken.made\nlab-1\nby lan: scopes "
                                 "correct,retire, ends 2027-"));
    assert_non_null(strstr(said, "token.removed\nlab-1\nby lan: scopes correct,retire"));
    assert_null(strstr(said, text + 4));
    assert_null(strstr(said, hash));
}

/* One that no event would know of is none. */
static void without_an_event_there_is_no_token(void **state)
{
    (void)state;
    char text[WEB_TOKEN_TEXT];
    assert_int_equal(add("lan", 1, 0, text), ST_OK);
    temp_done(strdup(told));
    FILE *f = fopen(told, "w"); /* no folder can be there */
    assert_non_null(f);
    fclose(f);
    assert_int_equal(add("lab-1", 1, 0, text), ST_IO);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 1);
    assert_null(web_token_find(&all, text));
    struct err e = {.text = ""};
    assert_int_equal(web_token_remove(store, "lan", BY, &e), ST_IO); /* and yet it ends */
    assert_non_null(strstr(e.text, "the token is removed"));
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 0);
}

static void scopes_are_read_as_they_are_written(void **state)
{
    (void)state;
    unsigned scopes;
    char text[WEB_SCOPES_TEXT];
    assert_true(web_scopes_parse("retire,correct", &scopes));
    assert_int_equal(scopes, 1U << WEB_RETIRE | 1U << WEB_CORRECT);
    web_scopes_print(scopes, text);
    assert_string_equal(text, "correct,retire");
    web_scopes_print((1U << WEB_SCOPES) - 1, text);
    assert_true(web_scopes_parse(text, &scopes));
    assert_int_equal(scopes, (1U << WEB_SCOPES) - 1);
    static const char *const bad[] = {"",       ",",   "correct,",       ",correct", "corrects",
                                      "correc", "all", "correct retire", "Correct"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(web_scopes_parse(bad[i], &scopes));
}

/* The same of a user's right, whatever else can be written. */
static void without_an_event_there_is_no_user(void **state)
{
    (void)state;
    const enum web_role role = WEB_ADMINISTRATOR;
    struct web_secret secret = {.rounds = 1};
    const struct web_user_put p = {
        .name = "lan", .role = &role, .secret = &secret, .how = WEB_USER_ADD};
    struct web_users none;
    char users[128];
    snprintf(users, sizeof users, "%s" WEB_USERS, store);
    temp_done(strdup(told));
    FILE *f = fopen(told, "w"); /* no folder can be there */
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_not_equal(web_user_put(store, &p, BY, NULL), ST_OK);
    assert_int_equal(access(users, F_OK), -1); /* not even for a moment */
    assert_int_equal(web_users_read(store, &none, NULL), ST_OK);
    assert_int_equal(none.n, 0);
    assert_int_equal(unlink(told), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_token_is_found_by_its_text_alone, clean),
        cmocka_unit_test_teardown(there_are_so_many_and_one_for_each_name, clean),
        cmocka_unit_test_teardown(a_file_that_is_not_ours_counts_for_nothing, clean),
        cmocka_unit_test_teardown(who_makes_and_removes_one_is_told_and_never_the_token, clean),
        cmocka_unit_test_teardown(without_an_event_there_is_no_token, clean),
        cmocka_unit_test_teardown(without_an_event_there_is_no_user, clean),
        cmocka_unit_test(scopes_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
