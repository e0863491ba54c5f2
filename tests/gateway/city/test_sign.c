/* The keys with which the city signs: each is read long before its day, and is its user's. */
#include "tests/gateway/city/site.h"

#include <sys/stat.h>

#include "gateway/city/city_int.h"

#define A_DAY_MS INT64_C(86400000)

struct keys {
    struct site *site;
    struct city_sign *sign;
    struct city_db d;
    char next[128]; /* the file of notice 1 */
};

static struct keys keys_open(void)
{
    struct keys k = {.site = site_open()};
    struct err e = {.text = ""};
    snprintf(k.next, sizeof k.next, "%s.1", k.site->sign_key);
    if (city_sign_open(&k.sign, k.site->sign_key, &e) != ST_OK ||
        city_db_open(&k.d, k.site->db, CITY_DB_WRITE, &e) != ST_OK)
        fail_msg("%s", e.text);
    return k;
}

static void keys_close(struct keys *k)
{
    city_db_close(&k->d);
    city_sign_close(k->sign);
    unlink(k->next);
    site_close(k->site);
}

static enum st announce(const struct keys *k, int64_t after_ms, struct err *e)
{
    const struct city_announce q = {.key = true, .after_ms = after_ms, .both_ms = 90 * A_DAY_MS};
    uint64_t n = 0;
    *e = (struct err){.text = ""};
    return city_announce(&k->site->cfg, &q, &n, e);
}

static int64_t now_ms(void)
{
    return clk_now(clk_real()).utc_ms;
}

static void says(enum st st, enum st want, const struct err *e, const char *words)
{
    assert_int_equal(st, want);
    if (strstr(e->text, words) == NULL)
        fail_msg("\"%s\" is not said in: %s", words, e->text);
}

static enum st ahead(struct keys *k, struct err *e)
{
    *e = (struct err){.text = ""};
    return city_sign_ahead(k->sign, &k->d, now_ms(), e);
}

static void a_key_that_cannot_be_read_is_told_before_its_day(void **state)
{
    struct keys k = keys_open();
    const struct wire_key *key = NULL;
    char away[160];
    struct err e;
    (void)state;

    assert_int_equal(ahead(&k, &e), ST_OK);
    assert_int_equal(announce(&k, 7 * A_DAY_MS, &e), ST_OK);
    snprintf(away, sizeof away, "%s.away", k.next);
    assert_int_equal(rename(k.next, away), 0);
    says(ahead(&k, &e), ST_IO, &e, k.next);
    assert_non_null(strstr(e.text, "from 20")); /* the day */
    /* whatever it is, the key of now signs */
    assert_int_equal(city_sign_now(k.sign, &k.d, now_ms(), &key, &e), ST_OK);
    says(city_sign_now(k.sign, &k.d, now_ms() + 8 * A_DAY_MS, &key, &e), ST_IO, &e, k.next);
    assert_int_equal(wire_key_make(k.next, NULL), ST_OK);
    says(ahead(&k, &e), ST_CORRUPT, &e, "not the key that notice 1 names");
    assert_int_equal(rename(away, k.next), 0);
    assert_int_equal(chmod(k.next, 0644), 0);
    says(ahead(&k, &e), ST_REFUSED, &e, k.next);
    assert_int_equal(chmod(k.next, 0600), 0);
    /* once it is read nothing of the file matters any more */
    assert_int_equal(ahead(&k, &e), ST_OK);
    assert_int_equal(unlink(k.next), 0);
    assert_int_equal(ahead(&k, &e), ST_OK);
    assert_int_equal(city_sign_now(k.sign, &k.d, now_ms() + 8 * A_DAY_MS, &key, &e), ST_OK);
    assert_memory_not_equal(wire_pub_kid(wire_key_pub(key)),
                            wire_pub_kid(wire_key_pub(k.site->sign)), WIRE_ID_BYTES);
    keys_close(&k);
}

static void a_city_without_its_key_does_not_start(void **state)
{
    struct keys k = keys_open();
    struct err e;
    (void)state;

    assert_int_equal(announce(&k, 0, &e), ST_OK);
    city_close(k.site->city);
    k.site->city = NULL;
    assert_int_equal(chmod(k.next, 0644), 0);
    says(city_open(&k.site->city, &k.site->cfg, &e), ST_REFUSED, &e, k.next);
    assert_int_equal(chmod(k.next, 0600), 0);
    site_run(k.site);
    keys_close(&k);
}

static void an_announcement_that_fails_leaves_no_key(void **state)
{
    struct keys k = keys_open();
    struct err e;
    (void)state;

    assert_int_equal(city_db_exec(&k.d,
                                  "CREATE TRIGGER full BEFORE INSERT ON trust BEGIN SELECT "
                                  "RAISE(ABORT, 'the disk is full'); END",
                                  &e),
                     ST_OK);
    says(announce(&k, 0, &e), ST_IO, &e, "the disk is full");
    assert_int_equal(access(k.next, F_OK), -1);
    assert_int_equal(city_db_exec(&k.d, "DROP TRIGGER full", &e), ST_OK);
    assert_int_equal(announce(&k, 0, &e), ST_OK); /* nothing is in its way */
    assert_int_equal(ahead(&k, &e), ST_OK);
    keys_close(&k);
}

/* As root, whoever the key belongs to; else to this user. */
static void the_next_key_is_whose_the_one_before_is(void **state)
{
    struct keys k = keys_open();
    uid_t who = geteuid() == 0 ? 65534 : geteuid();
    struct stat sb;
    struct err e;
    (void)state;

    assert_int_equal(chown(k.site->sign_key, who, (gid_t)-1), 0);
    assert_int_equal(announce(&k, 0, &e), ST_OK);
    assert_int_equal(stat(k.next, &sb), 0);
    assert_int_equal(sb.st_uid, who);
    assert_int_equal(sb.st_mode & 07777, 0600);
    /* the one before is the last, whatever became of the first */
    char third[128];
    snprintf(third, sizeof third, "%s.2", k.site->sign_key);
    assert_int_equal(chown(k.site->sign_key, geteuid(), (gid_t)-1), 0);
    assert_int_equal(announce(&k, A_DAY_MS, &e), ST_OK);
    assert_int_equal(stat(third, &sb), 0);
    assert_int_equal(sb.st_uid, who);
    unlink(third);
    keys_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_cannot_be_read_is_told_before_its_day),
        cmocka_unit_test(a_city_without_its_key_does_not_start),
        cmocka_unit_test(an_announcement_that_fails_leaves_no_key),
        cmocka_unit_test(the_next_key_is_whose_the_one_before_is),
    };
    return cmocka_run_group_tests_name("the keys that sign", tests, NULL, NULL);
}
