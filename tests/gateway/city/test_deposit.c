/* The gateways' configurations at the city: only their own, by a key that counts, that their chain
 * has said, and never an older one for a newer. */
#include "tests/gateway/city/site.h"

#include <sqlite3.h>

#include "gateway/city/city_int.h"

#define ZSTD "Content-Encoding: zstd"

static const char yaml[] = "gateway: {id: gw-1}\n";

struct deposit {
    struct buf cose, zstd;
    uint8_t sha256[WIRE_HASH_BYTES];
};

static void deposit_done(struct deposit *d)
{
    buf_done(&d->cose);
    buf_done(&d->zstd);
}

static struct deposit deposit_of(const struct wire_key *key, const char *gw, const char *text,
                                 int64_t when_ms)
{
    static struct wire_deposit w;
    struct deposit d;
    const struct wire_deposit_file v[] = {
        {{(const uint8_t *)"a.yaml", 6}, {(const uint8_t *)text, strlen(text)}},
        {{(const uint8_t *)"own.yaml", 8}, {(const uint8_t *)"model: x\n", 9}}};
    struct wire_zstd *z;
    struct buf files;
    struct err e = {.text = ""};

    buf_init(&files, WIRE_DEPOSIT_MAX);
    assert_int_equal(wire_deposit_files(v, 2, &files, NULL), ST_OK);
    w = (struct wire_deposit){.when_ms = when_ms, .files = {files.p, files.n}};
    snprintf(w.gw, sizeof w.gw, "%s", gw);
    buf_init(&d.cose, WIRE_BATCH_MAX);
    buf_init(&d.zstd, 2 * WIRE_BATCH_MAX);
    if (wire_deposit_sign(&w, wire_key_signer(key), &d.cose, &e) != ST_OK)
        fail_msg("%s", e.text);
    wire_sha256(d.cose.p, d.cose.n, d.sha256);
    assert_int_equal(wire_zstd_open(&z, NULL), ST_OK);
    assert_int_equal(wire_zstd_pack(z, 3, d.cose.p, d.cose.n, &d.zstd, NULL), ST_OK);
    wire_zstd_close(z);
    buf_done(&files);
    return d;
}

static int put_to(struct site *s, const char *gw, const struct deposit *d)
{
    const char *const headers[] = {TYPE, ZSTD, NULL};
    char path[128];

    snprintf(path, sizeof path, "/v1/gateways/%s/config", gw);
    return site_call(s, "PUT", path, d->zstd.p, d->zstd.n, headers);
}

/* As fast as the test can: the city wants two seconds between them. */
static int put(struct site *s, const struct deposit *d)
{
    struct timespec part = {.tv_nsec = 20000000};
    int status;

    while ((status = put_to(s, "gw-1", d)) == 429)
        nanosleep(&part, NULL);
    return status;
}

static void refused(struct site *s, const struct deposit *d, int status, const char *code,
                    const char *words)
{
    char part[64];

    assert_int_equal(put_to(s, "gw-1", d), status);
    snprintf(part, sizeof part, "\"%s\"", code);
    if (!site_answered(s, part) || !site_answered(s, words))
        fail_msg("%.*s is not %s, %s", (int)s->reply.body.n, (const char *)s->reply.body.p, code,
                 words);
}

/* The batch in which the gateway says that this configuration is in force. */
static void say(struct site *s, uint8_t chain, const char *text, const struct wire_key *key)
{
    struct wire_header h = header_of(chain, 1, NULL);
    uint8_t hash[WIRE_HASH_BYTES];
    struct buf p;

    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    wire_sha256(text, strlen(text), hash);
    buf_init(&p, 4096);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(wire_put_config(&p, hash, h.from_ms, "root"), ST_OK);
    struct sealed b = seal(&h, &p, key);
    assert_int_equal(site_put(s, &b), 201);
    buf_done(&p);
    sealed_done(&b);
}

static void head_names(struct site *s, const uint8_t *sha256)
{
    static const uint8_t none[WIRE_HASH_BYTES];
    struct wire_head h;
    struct wire_cose c;

    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-1/head?nonce=n", NULL, 0, NULL), 200);
    assert_int_equal(wire_head_open(&h, &c, s->reply.body.p, s->reply.body.n, NULL), ST_OK);
    assert_int_equal(wire_cose_verify(&c, wire_key_pub(s->sign), NULL), ST_OK);
    assert_true(h.keeps_config);
    assert_memory_equal(h.config, sha256 ? sha256 : none, WIRE_HASH_BYTES);
    wire_head_done(&h);
}

static char *printed(const struct site *s, bool list, const char *file, enum st want)
{
    const struct city_config_ask q = {list, file};
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    assert_int_equal(city_config(&s->cfg, "gw-1", &q, f, NULL), want);
    fclose(f);
    return text;
}

static int64_t now(void)
{
    return clk_now(clk_real()).utc_ms;
}

static struct wire_key *another_key(const struct site *s, char path[128])
{
    struct wire_key *key;

    snprintf(path, 128, "%s/another.key", s->dir);
    assert_int_equal(wire_key_make(path, NULL), ST_OK);
    assert_int_equal(wire_key_load(&key, path, NULL), ST_OK);
    return key;
}

static void what_the_chain_has_said_is_kept_and_named_in_the_head(void **state)
{
    struct site *s = site_open();
    struct deposit one = deposit_of(s->key, "gw-1", yaml, now());
    char *text;
    (void)state;

    head_names(s, NULL);
    free(printed(s, false, NULL, ST_NOT_FOUND));
    refused(s, &one, 409, "conflict", "no config entry");
    head_names(s, NULL);
    say(s, 1, yaml, s->key);
    assert_int_equal(put(s, &one), 201);
    assert_int_equal(put(s, &one), 200);
    head_names(s, one.sha256);
    text = printed(s, false, NULL, ST_OK);
    assert_string_equal(text, yaml);
    free(text);
    text = printed(s, false, "own.yaml", ST_OK);
    assert_string_equal(text, "model: x\n");
    free(text);
    free(printed(s, false, "none.yaml", ST_NOT_FOUND));
    text = printed(s, true, NULL, ST_OK);
    assert_non_null(strstr(text, "a.yaml (20 bytes) own.yaml (9 bytes)\n"));
    free(text);
    deposit_done(&one);
    site_close(s);
}

static void strangers_and_broken_ones_are_refused(void **state)
{
    struct site *s = site_open();
    char path[128];
    struct wire_key *other = another_key(s, path);
    struct deposit good = deposit_of(s->key, "gw-1", yaml, now());
    struct deposit by_other = deposit_of(other, "gw-1", yaml, now());
    struct deposit of_other = deposit_of(s->key, "gw-2", yaml, now());
    struct deposit ahead = deposit_of(s->key, "gw-1", yaml, now() + 2 * 3600000);
    (void)state;

    say(s, 1, yaml, s->key);
    refused(s, &by_other, 403, "unknown_key", "no key");
    refused(s, &of_other, 403, "wrong_gateway", "another gateway");
    refused(s, &ahead, 409, "conflict", "ahead");
    assert_int_equal(put_to(s, "gw-3", &good), 404);
    assert_int_equal(put_to(s, "..", &good), 404);

    struct deposit bad = {.zstd = good.cose}; /* a flipped bit of the signature */
    const char *const plain[] = {TYPE, NULL};
    bad.zstd.p[bad.zstd.n - 1] ^= 1;
    assert_int_equal(site_call(s, "PUT", "/v1/gateways/gw-1/config", bad.zstd.p, bad.zstd.n, plain),
                     400);
    assert_true(site_answered(s, "\"bad_signature\""));
    bad.zstd.p[bad.zstd.n - 1] ^= 1;
    assert_int_equal(
        site_call(s, "PUT", "/v1/gateways/gw-1/config", bad.zstd.p, bad.zstd.n - 1, plain), 400);
    assert_true(site_answered(s, "\"bad_cbor\""));
    char *large = calloc(1, WIRE_BATCH_MAX + 1);
    assert_int_equal(
        site_call(s, "PUT", "/v1/gateways/gw-1/config", large, WIRE_BATCH_MAX + 1, plain), 413);
    free(large);
    assert_int_equal(site_call(s, "PUT", "/v1/gateways/gw-1/config", "x", 1, NULL), 415);
    head_names(s, NULL);
    assert_int_equal(put(s, &good), 201);

    deposit_done(&good);
    deposit_done(&by_other);
    deposit_done(&of_other);
    deposit_done(&ahead);
    wire_key_free(other);
    unlink(path);
    site_close(s);
}

static void an_older_one_never_takes_the_place_of_a_newer(void **state)
{
    struct site *s = site_open();
    int64_t t = now();
    struct deposit old = deposit_of(s->key, "gw-1", yaml, t - 1);
    struct deposit one = deposit_of(s->key, "gw-1", yaml, t);
    (void)state;

    say(s, 1, yaml, s->key);
    assert_int_equal(put(s, &one), 201);
    refused(s, &old, 409, "conflict", "later");
    head_names(s, one.sha256);
    deposit_done(&old);
    deposit_done(&one);
    site_close(s);
}

/* Straight into the table, for two seconds each would take long. */
static void the_last_few_are_kept(void **state)
{
    struct site *s = site_open();
    int64_t t = now();
    struct deposit one = deposit_of(s->key, "gw-1", yaml, t);
    sqlite3 *db;
    sqlite3_stmt *q;
    (void)state;

    say(s, 1, yaml, s->key);
    assert_int_equal(sqlite3_open(s->db, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(
        sqlite3_exec(db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) "
                     "INSERT INTO deposit(gateway, key, hash, sha256, when_ms, received_ms, cose) "
                     "SELECT 1, 1, zeroblob(32), randomblob(32), i, i, x'00' FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(put(s, &one), 201);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*), max(when_ms) FROM deposit", -1, &q, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(q, 0), 8);
    assert_int_equal(sqlite3_column_int64(q, 1), t);
    sqlite3_finalize(q);
    sqlite3_close(db);
    deposit_done(&one);
    site_close(s);
}

static void a_revoked_key_leaves_nothing_and_what_it_left_does_not_come_back(void **state)
{
    struct site *s = site_open();
    int64_t t = now();
    struct deposit one = deposit_of(s->key, "gw-1", yaml, t);
    struct deposit two = deposit_of(s->key, "gw-1", yaml, t + 1);
    char kid[WIRE_ID_TEXT];
    (void)state;

    say(s, 1, yaml, s->key);
    assert_int_equal(put(s, &one), 201);
    wire_hex(wire_pub_kid(wire_key_pub(s->key)), WIRE_ID_BYTES, kid);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", kid, "stolen", NULL), ST_OK);
    refused(s, &two, 401, "unauthorized", "revoked");
    head_names(s, NULL);
    char *text = printed(s, true, NULL, ST_OK); /* the operator may look */
    assert_non_null(strstr(text, "(revoked)"));
    free(text);
    deposit_done(&one);
    deposit_done(&two);
    site_close(s);
}

/* A box that another has taken over from, as bind.c notes it. */
static void a_replaced_box_leaves_nothing(void **state)
{
    struct site *s = site_open();
    struct deposit one = deposit_of(s->key, "gw-1", yaml, now());
    sqlite3 *db;
    (void)state;

    say(s, 1, yaml, s->key);
    assert_int_equal(sqlite3_open(s->db, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(
        sqlite3_exec(db, "INSERT INTO handed VALUES(1, 9007199254740992)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    refused(s, &one, 401, "unauthorized", "taken over");
    deposit_done(&one);
    site_close(s);
}

/* The city's database is of the version before. */
static void what_was_said_before_the_upgrade_counts(void **state)
{
    struct site *s = site_open();
    struct deposit one = deposit_of(s->key, "gw-1", yaml, now());
    sqlite3 *db;
    (void)state;

    say(s, 1, yaml, s->key);
    city_close(s->city);
    assert_int_equal(sqlite3_open(s->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE config_said; DROP TABLE deposit; PRAGMA user_version "
                                  "= 8",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    site_run(s);
    assert_int_equal(put(s, &one), 201);
    deposit_done(&one);
    site_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_chain_has_said_is_kept_and_named_in_the_head),
        cmocka_unit_test(strangers_and_broken_ones_are_refused),
        cmocka_unit_test(an_older_one_never_takes_the_place_of_a_newer),
        cmocka_unit_test(the_last_few_are_kept),
        cmocka_unit_test(a_revoked_key_leaves_nothing_and_what_it_left_does_not_come_back),
        cmocka_unit_test(a_replaced_box_leaves_nothing),
        cmocka_unit_test(what_was_said_before_the_upgrade_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
