/* Users and codes: what is kept of them, and what becomes of it when it is cut or two come at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/web/web_int.h"
#include "tests/support/temp.h"

#define BY "lan", at
static const struct clk_time at = {1795322171000, CLK_HOLDOVER, 0};
static char *dir, store[128];

static int start(void **state)
{
    (void)state;
    dir = temp_make();
    if (!dir)
        return -1;
    snprintf(store, sizeof store, "%s/store.db", dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    temp_done(dir);
    return 0;
}

/* ---- users ---- */

static enum st put(const char *name, enum web_role role, enum web_user_how how, bool force)
{
    struct web_secret s;
    assert_int_equal(web_secret_new(&s, NULL), ST_OK);
    memset(s.hash, 7, sizeof s.hash);
    const struct web_user_put p = {
        .name = name, .role = &role, .secret = &s, .how = how, .force = force};
    return web_user_put(store, &p, BY, NULL);
}

static void users_are_kept_for_their_owner_alone(void **state)
{
    (void)state;
    struct web_users all;
    struct stat sb;
    char path[160];
    assert_int_equal(web_users_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 0);
    assert_int_equal(put("lan", WEB_ADMINISTRATOR, WEB_USER_ADD, false), ST_OK);
    assert_int_equal(put("lan", WEB_VIEWER, WEB_USER_ADD, false), ST_CONFLICT);
    assert_int_equal(put("mai", WEB_VIEWER, WEB_USER_CHANGE, false), ST_NOT_FOUND);
    assert_int_equal(put("mai", WEB_VIEWER, WEB_USER_SET, false), ST_OK);
    assert_int_equal(put("a b", WEB_VIEWER, WEB_USER_ADD, false), ST_BAD);
    assert_int_equal(web_users_read(store, &all, NULL), ST_OK);
    assert_int_equal(all.n, 2);
    assert_int_equal(web_user_find(&all, "lan")->role, WEB_ADMINISTRATOR);
    assert_int_equal(web_user_find(&all, "mai")->made_ms, at.utc_ms);
    snprintf(path, sizeof path, "%s" WEB_USERS, store);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(web_users_read(store, &all, NULL), ST_REFUSED);
    assert_int_equal(all.n, 0);
    assert_int_equal(chmod(path, 0600), 0);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    assert_true(fputs("eve administrator 1 0 00 00\n", f) >= 0);
    fclose(f);
    assert_int_equal(web_users_read(store, &all, NULL), ST_CORRUPT);
    assert_int_equal(all.n, 0);
    assert_int_equal(unlink(path), 0);
}

static void the_last_administrator_stays_but_for_the_console(void **state)
{
    (void)state;
    assert_int_equal(put("lan", WEB_ADMINISTRATOR, WEB_USER_ADD, false), ST_OK);
    assert_int_equal(put("mai", WEB_VIEWER, WEB_USER_ADD, false), ST_OK);
    assert_int_equal(put("lan", WEB_VIEWER, WEB_USER_CHANGE, false), ST_REFUSED);
    assert_int_equal(web_user_remove(store, "lan", false, BY, NULL), ST_REFUSED);
    assert_int_equal(put("mai", WEB_ADMINISTRATOR, WEB_USER_CHANGE, false), ST_OK);
    assert_int_equal(web_user_remove(store, "lan", false, BY, NULL), ST_OK);
    assert_int_equal(web_user_remove(store, "lan", false, BY, NULL), ST_NOT_FOUND);
    assert_int_equal(web_user_remove(store, "mai", true, BY, NULL), ST_OK);
}

/* The author of a signed entry is one name: a user and a token must not share it. */
static void a_name_is_a_users_or_a_tokens(void **state)
{
    (void)state;
    char text[WEB_TOKEN_TEXT];
    struct web_token t = {.name = "lab-1", .scopes = 1U << WEB_READ, .made_ms = 1};
    assert_int_equal(put("lan", WEB_VIEWER, WEB_USER_ADD, false), ST_OK);
    assert_int_equal(web_token_add(store, &t, BY, text, NULL), ST_OK);
    assert_int_equal(put("lab-1", WEB_VIEWER, WEB_USER_ADD, false), ST_CONFLICT);
    snprintf(t.name, sizeof t.name, "lan");
    assert_int_equal(web_token_add(store, &t, BY, text, NULL), ST_CONFLICT);
    assert_int_equal(web_token_remove(store, "lab-1", BY, NULL), ST_OK);
    assert_int_equal(web_user_remove(store, "lan", false, BY, NULL), ST_OK);
}

static void a_password_is_long_and_not_the_name(void **state)
{
    (void)state;
    char longest[WEB_PASSWORD_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[WEB_PASSWORD_MAX] = '\0';
    static const char *const bad[] = {"", "123456789", "NguyenVanLan", "with\ttab in it",
                                      "broken \xff\xfe utf"};
    assert_int_equal(web_password_check("trà đá vỉa hè", "lan", NULL), ST_OK);
    assert_int_equal(web_password_check(longest, "lan", NULL), ST_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(web_password_check(bad[i], "nguyenvanlan", NULL), ST_BAD);
    longest[WEB_PASSWORD_MAX] = 'x';
    longest[WEB_PASSWORD_MAX + 1] = '\0';
    assert_int_equal(web_password_check(longest, "lan", NULL), ST_BAD);
}

/* RFC 7914 11: PBKDF2-HMAC-SHA-256. */
static void a_password_is_hashed_as_the_standard_says(void **state)
{
    (void)state;
    static const uint8_t want[WIRE_HASH_BYTES] = {0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f,
                                                  0xec, 0x16, 0x91, 0xc2, 0x25, 0x44, 0xb6, 0x05,
                                                  0xf9, 0x41, 0x85, 0x21, 0x6d, 0xde, 0x04, 0x65,
                                                  0xe6, 0x8b, 0x9d, 0x57, 0xc2, 0x0d, 0xac, 0xbc};
    uint8_t hash[WIRE_HASH_BYTES];
    struct web_secret s;
    wire_password_hash("passwd", (const uint8_t *)"salt", 4, 1, hash);
    assert_memory_equal(hash, want, sizeof hash);
    assert_int_equal(web_secret_new(&s, NULL), ST_OK);
    assert_true(s.rounds >= 600000);
}

/* ---- the claim code ---- */

static enum st claim(const char *code, const char *name)
{
    const enum web_role role = WEB_ADMINISTRATOR;
    struct web_secret s;
    assert_int_equal(web_secret_new(&s, NULL), ST_OK);
    memset(s.hash, 7, sizeof s.hash);
    const struct web_user_put p = {
        .name = name, .role = &role, .secret = &s, .how = WEB_USER_SET, .claim = code};
    return web_user_put(store, &p, BY, NULL);
}

static void a_code_is_good_once_and_until_the_next(void **state)
{
    (void)state;
    char one[WEB_CLAIM_TEXT], two[WEB_CLAIM_TEXT], path[160], kept[256] = "";
    struct stat sb;
    assert_int_equal(web_claim_check(store, "0000-0000-0000-0000", NULL), ST_NOT_FOUND);
    assert_int_equal(web_claim_make(store, BY, one, NULL), ST_OK);
    assert_int_equal(web_claim_make(store, BY, two, NULL), ST_OK);
    assert_int_equal(web_claim_check(store, one, NULL), ST_CORRUPT);
    assert_int_equal(web_claim_check(store, two, NULL), ST_OK);
    snprintf(path, sizeof path, "%s" WEB_CLAIM, store);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(kept, 1, sizeof kept - 1, f) > 0);
    fclose(f);
    assert_null(strstr(kept, two));
    two[0] = two[0] == '0' ? '1' : '0'; /* a slip of the finger is told from a guess */
    assert_int_equal(web_claim_check(store, two, NULL), ST_BAD);
    assert_int_equal(web_claim_make(store, BY, two, NULL), ST_OK);
    assert_int_equal(claim(one, "lan"), ST_NOT_FOUND);
    assert_int_equal(put("mai", WEB_ADMINISTRATOR, WEB_USER_SET, false), ST_OK);
    assert_int_equal(claim(two, "a b"), ST_BAD); /* what does not come off costs no code */
    assert_int_equal(claim(two, "lan"), ST_OK);
    assert_int_equal(claim(two, "eve"), ST_NOT_FOUND);
    assert_int_equal(web_claim_check(store, two, NULL), ST_NOT_FOUND);
    assert_false(web_user_is(store, "eve"));
    assert_int_equal(web_user_remove(store, "lan", true, BY, NULL), ST_OK);
    assert_int_equal(web_user_remove(store, "mai", true, BY, NULL), ST_OK);
}

/* The test's own, in the place of the C library's: the program ends at the Nth of those that change
 * a name. */
static int steps_left = -1;

static void step(void)
{
    if (steps_left == 0)
        _exit(9);
    steps_left -= steps_left > 0;
}

int rename(const char *from, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    step();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void wherever_it_is_cut_a_code_makes_one_administrator(void **state)
{
    (void)state;
    char code[WEB_CLAIM_TEXT];
    int status = 1, cuts = 0;
    assert_int_equal(put("mai", WEB_ADMINISTRATOR, WEB_USER_SET, false), ST_OK);
    for (; status != 0 && cuts < 50; cuts++) {
        assert_int_equal(web_claim_make(store, BY, code, NULL), ST_OK);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            steps_left = cuts;
            _exit(claim(code, "lan") == ST_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 0));
        bool is = web_user_is(store, "lan");
        assert_true(is == (claim(code, "eve") == ST_NOT_FOUND) || !is);
        assert_false(is && web_user_is(store, "eve"));
        (void)!web_user_remove(store, "lan", true, BY, NULL);
        (void)!web_user_remove(store, "eve", true, BY, NULL);
    }
    assert_true(cuts > 2); /* before the code, between the two, and then all of it */
    assert_int_equal(web_user_remove(store, "mai", true, BY, NULL), ST_OK);
}

/* ---- two at once ---- */

static void who_finds_another_at_work_waits_a_little_and_not_for_ever(void **state)
{
    (void)state;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    int64_t began = clk_mono(clk_real()).ms;
    assert_int_equal(put("lan", WEB_VIEWER, WEB_USER_ADD, false), ST_BUSY);
    assert_in_range(clk_mono(clk_real()).ms - began, 100, 10000);
    close(fd);
    assert_int_equal(put("lan", WEB_VIEWER, WEB_USER_ADD, false), ST_OK);
    assert_int_equal(web_user_remove(store, "lan", true, BY, NULL), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_kept_for_their_owner_alone),
        cmocka_unit_test(the_last_administrator_stays_but_for_the_console),
        cmocka_unit_test(a_name_is_a_users_or_a_tokens),
        cmocka_unit_test(a_password_is_long_and_not_the_name),
        cmocka_unit_test(a_password_is_hashed_as_the_standard_says),
        cmocka_unit_test(a_code_is_good_once_and_until_the_next),
        cmocka_unit_test(wherever_it_is_cut_a_code_makes_one_administrator),
        cmocka_unit_test(who_finds_another_at_work_waits_a_little_and_not_for_ever),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
