/* The file of tokens: what it holds, who may read it, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/web/web.h"

static char dir[64], store[96], path[128];
static struct web_tokens all;

static int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/fp-token-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(store, sizeof store, "%s/store.db", dir);
    snprintf(path, sizeof path, "%s" WEB_TOKENS, store);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(store);
    return 0;
}

static int stop(void **state)
{
    clean(state);
    return rmdir(dir);
}

static enum st add(const char *name, unsigned scopes, int64_t ends_ms, char text[WEB_TOKEN_TEXT])
{
    struct web_token t = {.scopes = scopes, .made_ms = 1790000000000, .ends_ms = ends_ms};
    snprintf(t.name, sizeof t.name, "%s", name);
    return web_token_add(store, &t, text, NULL);
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
    assert_int_equal(web_token_remove(store, "lan.n", NULL), ST_OK);
    assert_int_equal(web_tokens_read(store, &all, NULL), ST_OK);
    assert_null(web_token_find(&all, b));
    assert_int_equal(web_token_remove(store, "lan.n", NULL), ST_NOT_FOUND);
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
    assert_int_equal(web_token_remove(store, "n7", NULL), ST_OK);
    assert_int_equal(add("one-more", 1, 0, text), ST_OK);
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    assert_false(web_token_name(longest));
    assert_true(web_token_name(longest + 1));
    static const char *const bad[] = {"", "a b", "-a", ".a", "a:b", "a\nb", "Lý"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(web_token_name(bad[i]));
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
    assert_int_equal(web_token_add(store, &t, text, NULL), ST_CORRUPT); /* nothing is overwritten */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_token_is_found_by_its_text_alone, clean),
        cmocka_unit_test_teardown(there_are_so_many_and_one_for_each_name, clean),
        cmocka_unit_test_teardown(a_file_that_is_not_ours_counts_for_nothing, clean),
        cmocka_unit_test(scopes_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
