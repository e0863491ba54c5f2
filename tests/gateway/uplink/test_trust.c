/* Whom an uplink trusts: the administrator's files and the city's notices, one signed by the key
 * that the one before it left; what is forged, replayed, foreign or too late is refused. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/uplink/uplink_int.h"
#include "tests/gateway/uplink/notices.h"
#include "tests/support/cert.h"
#include "tests/support/temp.h"

#define T0 INT64_C(1790000000000)
#define KEYS 6
#define NO_CA                                                                                      \
    (struct wire_span)                                                                             \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

enum { A, B, C, D, OTHER, CA };
static char *dir;
static struct wire_key *key[KEYS];
static struct wire_certs ca;
/* The city's: 1 names B, 2 names C, 3 names a CA, 4 names D; each 40 days after the one before. */
static struct buf city;
static struct wire_span notice[5];

static int make(void **state)
{
    (void)state;
    char path[256], cert[256];
    struct buf pem;
    dir = temp_make();
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d.key", dir, i);
        if (wire_key_make(path, NULL) != ST_OK || wire_key_load(&key[i], path, NULL) != ST_OK) {
            return -1;
        }
    }
    (void)snprintf(path, sizeof(path), "%s/ca.key", dir);
    (void)snprintf(cert, sizeof(cert), "%s/ca.pem", dir);
    buf_init(&pem, 65536);
    bool good = cert_make(cert, path) && wire_file_get(cert, &pem, NULL) == ST_OK &&
                wire_certs_pem(&ca, pem.p, pem.n, NULL) == ST_OK;
    buf_done(&pem);
    buf_init(&city, 1 << 20);
    good = good && buf_reserve(&city, 1 << 18) == ST_OK; /* spans into it stay */
    notice[1] = notice_put(&city, 1, NO_CA, key[A], key[B], NO_CA, T0);
    notice[2] = notice_put(&city, 2, notice[1], key[B], key[C], NO_CA, T0 + 40 * A_DAY_MS);
    notice[3] = notice_put(&city, 3, notice[2], key[C], NULL, ca.v[0], T0 + 80 * A_DAY_MS);
    notice[4] = notice_put(&city, 4, notice[3], key[C], key[D], NO_CA, T0 + 120 * A_DAY_MS);
    return good ? 0 : -1;
}

static int unmake(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        wire_key_free(key[i]);
    }
    wire_certs_done(&ca);
    buf_done(&city);
    temp_done(dir);
    return 0;
}

/* ---- helpers ---- */

/* A trust whose files have these keys; ends with -1. */
static void begin(struct uplink_trust *t, const int *files)
{
    assert_int_equal(uplink_trust_init(t, KEYS, NULL), ST_OK);
    for (; *files >= 0; files++) {
        struct wire_span der = wire_pub_der(wire_key_pub(key[*files]));
        assert_int_equal(wire_pub_parse(&t->keys[t->nkeys].pub, der.p, der.n, NULL), ST_OK);
        t->keys[t->nkeys++].until_ms = INT64_MAX;
        t->files++;
    }
}
#define BEGIN(t, ...) begin(t, (const int[]){__VA_ARGS__, -1})

static enum st take(struct uplink_trust *t, struct wire_span p, int64_t now_ms, bool by_hand,
                    struct uplink_trust_took *took, struct err *e)
{
    const struct uplink_trust_how how = {.by_hand = by_hand, .now_ms = now_ms};
    *e = (struct err){.text = ""};
    return uplink_trust_take(t, p.p, p.n, &how, took, e);
}

static struct wire_span all(void)
{
    return (struct wire_span){city.p, city.n};
}

static struct wire_span from_to(int a, int z)
{
    return (struct wire_span){notice[a].p, (size_t)(notice[z].p + notice[z].n - notice[a].p)};
}

static bool counts(const struct uplink_trust *t, int which, int64_t at_ms)
{
    for (size_t i = 0; i < t->nkeys; i++) {
        if (memcmp(wire_pub_kid(t->keys[i].pub), wire_pub_kid(wire_key_pub(key[which])),
                   WIRE_ID_BYTES) == 0) {
            return uplink_key_counts(&t->keys[i], at_ms);
        }
    }
    return false;
}

static void refused(struct uplink_trust *t, struct wire_span p, int64_t now_ms, bool by_hand,
                    enum st want, const char *words)
{
    struct uplink_trust_took took;
    struct err e;
    uint64_t n = t->n;
    assert_int_equal(take(t, p, now_ms, by_hand, &took, &e), want);
    if (!strstr(e.text, words)) {
        fail_msg("\"%s\" is not said in: %s", words, e.text);
    }
    assert_int_equal(took.fresh, 0);
    assert_int_equal(t->n, n);
}

/* ---- tests ---- */

static void both_keys_count_for_90_days_and_then_the_next_alone(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    BEGIN(&t, A);
    assert_int_equal(take(&t, notice[1], T0 + A_DAY_MS, false, &took, &e), ST_OK);
    assert_int_equal(took.fresh, 1);
    assert_int_equal(t.n, 1);
    assert_true(counts(&t, A, T0 + 90 * A_DAY_MS - 1) && counts(&t, B, T0));
    assert_false(counts(&t, A, T0 + 90 * A_DAY_MS));
    assert_false(counts(&t, A, T0 + 91 * A_DAY_MS));
    assert_true(counts(&t, B, T0 + 91 * A_DAY_MS));
    assert_true(counts(&t, A, INT64_MIN)); /* without a date nothing ends */
    assert_int_equal(uplink_trust_next_end(&t, T0), T0 + 90 * A_DAY_MS);
    assert_int_equal(uplink_trust_next_end(&t, T0 + 91 * A_DAY_MS), INT64_MAX);
    uplink_trust_done(&t);
}

static void a_chain_is_taken_one_after_the_other(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    struct buf pem;
    BEGIN(&t, A);
    buf_init(&pem, 65536);
    assert_int_equal(take(&t, all(), T0 + 400 * A_DAY_MS, true, &took, &e), ST_OK);
    assert_int_equal(took.fresh, 4);
    assert_true(counts(&t, D, T0 + 400 * A_DAY_MS));
    for (int i = A; i <= C; i++) {
        assert_false(counts(&t, i, T0 + 400 * A_DAY_MS));
    }
    /* each ends by the notice that it signed */
    assert_true(counts(&t, B, T0 + 129 * A_DAY_MS) && !counts(&t, B, T0 + 131 * A_DAY_MS));
    assert_int_equal(t.ca_until_ms, T0 + 170 * A_DAY_MS);
    assert_int_equal(uplink_trust_cas(&t, T0 + 400 * A_DAY_MS, &pem, &e), ST_OK);
    assert_non_null(memmem(pem.p, pem.n, "BEGIN CERTIFICATE", 17));
    /* again, whole or in part: nothing changes */
    assert_int_equal(take(&t, all(), T0 + 400 * A_DAY_MS, false, &took, &e), ST_OK);
    assert_int_equal(took.known, 4);
    assert_int_equal(take(&t, notice[2], T0 + 400 * A_DAY_MS, true, &took, &e), ST_OK);
    assert_true(took.known == 1 && took.fresh == 0 && t.n == 4);
    buf_done(&pem);
    uplink_trust_done(&t);
}

static void what_is_behind_the_files_is_passed_over(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    BEGIN(&t, C); /* the administrator has written it there meanwhile */
    assert_int_equal(take(&t, all(), T0 + 130 * A_DAY_MS, false, &took, &e), ST_OK);
    assert_int_equal(took.before, 2);
    assert_int_equal(took.fresh, 2);
    assert_true(counts(&t, D, T0 + 130 * A_DAY_MS));
    uplink_trust_done(&t);
    BEGIN(&t, D);
    refused(&t, all(), T0, true, ST_NOT_FOUND, "does not trust");
    uplink_trust_done(&t);
    BEGIN(&t, A, B, C); /* as it was done by hand before */
    assert_int_equal(take(&t, all(), T0 + 1 * A_DAY_MS, false, &took, &e), ST_OK);
    assert_int_equal(took.fresh, 4);
    assert_int_equal(t.nkeys, 4);
    uplink_trust_done(&t);
}

static void a_late_word_of_an_ended_key_comes_by_hand_alone(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    BEGIN(&t, A);
    refused(&t, all(), T0 + 90 * A_DAY_MS, false, ST_REFUSED, "fieldpost trust --file");
    assert_int_equal(take(&t, notice[1], T0 + 90 * A_DAY_MS - 1, false, &took, &e), ST_OK);
    uplink_trust_done(&t);
    BEGIN(&t, A);
    assert_int_equal(take(&t, all(), INT64_MIN, false, &took, &e), ST_OK); /* no date is known */
    uplink_trust_done(&t);
    BEGIN(&t, A);
    assert_int_equal(take(&t, all(), T0 + 91 * A_DAY_MS, true, &took, &e), ST_OK);
    uplink_trust_done(&t);
}

static void forged_foreign_and_replayed_notices_are_refused(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    struct buf b, bad;
    buf_init(&b, 1 << 18);
    buf_init(&bad, 1 << 18);
    assert_int_equal(buf_reserve(&b, 1 << 17), ST_OK);
    BEGIN(&t, A);
    /* its bits, all of those in its header and its first keys */
    assert_int_equal(buf_put(&bad, notice[1].p, notice[1].n), ST_OK);
    for (size_t bit = 0; bit < notice[1].n * 8; bit += bit < 1000 ? 1 : 7) {
        bad.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct wire_span p = {bad.p, bad.n};
        assert_int_not_equal(take(&t, p, T0, true, &took, &e), ST_OK);
        assert_int_equal(took.fresh, 0);
        assert_true(e.text[0] && t.n == 0);
        bad.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    refused(&t, notice_put(&b, 1, NO_CA, key[OTHER], key[D], NO_CA, T0), T0, true, ST_NOT_FOUND,
            "another city's");
    assert_int_equal(take(&t, from_to(1, 2), T0 + 41 * A_DAY_MS, false, &took, &e), ST_OK);
    int64_t now_ms = T0 + 81 * A_DAY_MS;
    /* by the key before, which is still in its 90 days, and after them */
    refused(&t, notice_put(&b, 3, notice[2], key[B], key[OTHER], NO_CA, now_ms), now_ms, true,
            ST_CORRUPT, "which the city has replaced");
    refused(&t, notice_put(&b, 3, notice[2], key[A], key[OTHER], NO_CA, now_ms), now_ms, true,
            ST_CORRUPT, "which the city has replaced");
    refused(&t, notice_put(&b, 3, notice[2], key[OTHER], key[D], NO_CA, now_ms), now_ms, true,
            ST_CORRUPT, "does not trust");
    /* back to an ended key, out of order, and another of a number that counts */
    refused(&t, notice_put(&b, 3, notice[2], key[C], key[A], NO_CA, now_ms), now_ms, true,
            ST_CORRUPT, "was replaced");
    refused(&t, notice_put(&b, 3, notice[2], key[C], key[C], NO_CA, now_ms), now_ms, true,
            ST_CORRUPT, "signs it");
    refused(&t, notice[4], now_ms, true, ST_CORRUPT, "does not follow");
    refused(&t, notice_put(&b, 3, notice[1], key[C], key[D], NO_CA, now_ms), now_ms, true,
            ST_CORRUPT, "does not follow");
    refused(&t, notice_put(&b, 1, NO_CA, key[A], key[OTHER], NO_CA, T0), now_ms, true, ST_CORRUPT,
            "another than the one");
    assert_true(counts(&t, C, now_ms) && !counts(&t, OTHER, now_ms) && !counts(&t, D, now_ms));
    buf_done(&b);
    buf_done(&bad);
    uplink_trust_done(&t);
}

static void a_good_beginning_counts_when_its_end_is_refused(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    BEGIN(&t, A);
    struct wire_span cut = from_to(1, 2);
    cut.n -= 3;
    assert_int_equal(take(&t, cut, T0, false, &took, &e), ST_BAD);
    assert_true(took.fresh == 1 && t.n == 1);
    assert_int_equal(take(&t, from_to(1, 2), T0, false, &took, &e), ST_OK);
    assert_int_equal(t.n, 2);
    uplink_trust_done(&t);
}

static void what_is_kept_is_there_after_a_restart_and_verified_again(void **state)
{
    (void)state;
    struct uplink_trust t, again;
    const struct uplink_trust_how how = {.now_ms = T0 + 41 * A_DAY_MS};
    struct uplink_trust_took took;
    struct err e = {.text = ""};
    char store[256], path[512], pem[512], admin[256];
    struct stat s;
    (void)snprintf(store, sizeof(store), "%s/store", dir);
    (void)snprintf(admin, sizeof(admin), "%s/ca.pem", dir);
    assert_int_equal(wire_file_put(store, "", 0, 0644, true, NULL), ST_OK);
    BEGIN(&t, A);
    struct wire_span two = from_to(1, 2);
    assert_int_equal(uplink_trust_keep(&t, store, "city", two.p, two.n, &how, &took, &e), ST_OK);
    assert_int_equal(uplink_trust_ca(&t, store, "city", admin, T0, pem, sizeof(pem), &e), ST_OK);
    assert_string_equal(pem, admin); /* no notice names another */
    BEGIN(&again, A);
    assert_int_equal(uplink_trust_load(&again, store, "city", &e), ST_OK);
    assert_true(again.n == 2 && counts(&again, C, T0) && !counts(&again, A, T0 + 91 * A_DAY_MS));
    /* on top of it, long after: as a person brings it */
    const struct uplink_trust_how late = {.by_hand = true, .now_ms = T0 + 400 * A_DAY_MS};
    assert_int_equal(uplink_trust_keep(&again, store, "city", city.p, city.n, &late, &took, &e),
                     ST_OK);
    assert_true(took.known == 2 && took.fresh == 2 && again.n == 4);
    assert_int_equal(uplink_trust_ca(&again, store, "city", admin, T0, pem, sizeof(pem), &e),
                     ST_OK);
    assert_string_not_equal(pem, admin);
    assert_int_equal(stat(pem, &s), 0);
    off_t both = s.st_size;
    assert_int_equal(
        uplink_trust_ca(&again, store, "city", admin, T0 + 171 * A_DAY_MS, pem, sizeof(pem), &e),
        ST_OK);
    assert_int_equal(stat(pem, &s), 0);
    assert_true(s.st_size < both); /* the administrator's has ended */
    /* damaged: what verifies counts, and a good file mends it */
    struct buf file;
    buf_init(&file, 1 << 18);
    assert_int_equal(uplink_trust_path(store, "city", UPLINK_NOTICES, path, sizeof(path), &e),
                     ST_OK);
    assert_int_equal(wire_file_get(path, &file, &e), ST_OK);
    file.p[file.n - 1] ^= 1;
    assert_int_equal(wire_file_put(path, file.p, file.n, 0644, true, &e), ST_OK);
    assert_int_equal(uplink_trust_load(&again, store, "city", &e), ST_CORRUPT);
    assert_int_equal(again.n, 3);
    assert_int_equal(uplink_trust_keep(&again, store, "city", city.p, city.n, &late, &took, &e),
                     ST_OK);
    assert_int_equal(uplink_trust_load(&again, store, "city", &e), ST_OK);
    assert_int_equal(again.n, 4);
    buf_done(&file);
    uplink_trust_done(&t);
    uplink_trust_done(&again);
}

static void what_cannot_be_written_does_not_count(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e = {.text = ""};
    const struct uplink_trust_how how = {.now_ms = T0};
    const struct rlimit none = {0, RLIM_INFINITY}, all_of_it = {RLIM_INFINITY, RLIM_INFINITY};
    char store[256];
    (void)snprintf(store, sizeof(store), "%s/full.db", dir);
    assert_int_equal(wire_file_put(store, "", 0, 0644, true, NULL), ST_OK);
    BEGIN(&t, A);
    struct wire_span one = from_to(1, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum st st = uplink_trust_keep(&t, store, "city", one.p, one.n, &how, &took, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all_of_it), 0);
    assert_int_equal(st, ST_IO);
    assert_true(took.fresh == 0 && t.n == 0 && !counts(&t, B, T0));
    assert_int_equal(uplink_trust_keep(&t, store, "city", one.p, one.n, &how, &took, &e), ST_OK);
    assert_true(took.fresh == 1 && t.n == 1 && counts(&t, B, T0));
    uplink_trust_done(&t);
}

static void count_acked(void *ctx, const struct uplink_sent *s)
{
    (void)s;
    ++*(unsigned *)ctx;
}

/* Of batch 1 of this gateway, whose window ended at to_ms, made at that time; whether a run takes
 * it. */
static bool receipt_counts_of(struct uplink_trust *t, int by, int64_t to_ms, int64_t received_ms)
{
    static struct uplink_run run;
    struct store_batch b = {.id = 1, .seq = 1, .n = 1, .to_ms = to_ms};
    struct wire_receipt r = {.gw = "gw-1", .seq = 1, .n = 1, .received_ms = received_ms};
    struct buf cose;
    buf_init(&cose, 4096);
    buf_init(&run.bytes, 4096);
    run.count = 0;
    assert_int_equal(wire_receipt_sign(&r, wire_key_signer(key[by]), &cose, NULL), ST_OK);
    assert_int_equal(uplink_run_add(&run, "gw-1", &b, &cose, (struct mono){0}, NULL), ST_OK);
    bool stranger = uplink_run_stranger(&run, t->keys, t->nkeys);
    buf_done(&cose);
    struct err e = {.text = ""};
    unsigned acked = 0;
    enum st st = uplink_run_settle(&run, t->keys, t->nkeys, NULL, 0, count_acked, &acked, &e);
    buf_done(&run.bytes);
    assert_int_equal(st == ST_OK, acked == 1);
    assert_true(!stranger || st == ST_CORRUPT);
    return st == ST_OK;
}

static bool receipt_counts(struct uplink_trust *t, int by, int64_t received_ms)
{
    return receipt_counts_of(t, by, received_ms, received_ms);
}

static void a_receipt_counts_by_the_keys_of_its_time(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    BEGIN(&t, A);
    assert_int_equal(take(&t, from_to(1, 2), T0 + 41 * A_DAY_MS, false, &took, &e), ST_OK);
    assert_true(receipt_counts(&t, A, T0 - 300 * A_DAY_MS)); /* comes again after years */
    assert_true(receipt_counts(&t, A, T0 + 89 * A_DAY_MS));
    assert_false(receipt_counts(&t, A, T0 + 91 * A_DAY_MS));
    assert_true(receipt_counts(&t, B, T0 + 91 * A_DAY_MS));
    assert_true(receipt_counts(&t, C, T0 + 91 * A_DAY_MS));
    assert_false(receipt_counts(&t, OTHER, T0));
    uplink_trust_done(&t);
}

static void a_receipt_that_is_dated_back_does_not_count(void **state)
{
    (void)state;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    int64_t end_ms = T0 + 90 * A_DAY_MS;
    BEGIN(&t, A);
    assert_int_equal(take(&t, notice[1], T0 + A_DAY_MS, false, &took, &e), ST_OK);
    /* sealed behind the end of the key that signs, and said to be received before */
    assert_false(receipt_counts_of(&t, A, end_ms, end_ms - 1));
    assert_false(receipt_counts_of(&t, A, end_ms + A_DAY_MS, T0));
    assert_false(receipt_counts_of(&t, A, end_ms - 1, end_ms));
    assert_true(receipt_counts_of(&t, A, end_ms - 1, end_ms - 1));
    /* by one that has no end a box's clock may be ahead; and without a clock none has */
    assert_true(receipt_counts_of(&t, B, end_ms + A_DAY_MS, T0));
    assert_true(receipt_counts_of(&t, A, INT64_C(268435456000) + end_ms / 1000, end_ms - 1));
    uplink_trust_done(&t);
}

/* A receipt for an old batch whose `through` reaches over one that was sealed behind the key's end:
 * both lie in the file, and only the first counts. */
static void a_prefix_does_not_reach_over_the_end_of_its_key(void **state)
{
    (void)state;
    static struct uplink_run run;
    struct uplink_trust t;
    struct uplink_trust_took took;
    struct err e;
    struct buf cose;
    unsigned acked = 0;
    int64_t end_ms = T0 + 90 * A_DAY_MS;
    BEGIN(&t, A);
    assert_int_equal(take(&t, notice[1], T0 + A_DAY_MS, false, &took, &e), ST_OK);
    buf_init(&cose, 4096);
    buf_init(&run.bytes, 8192);
    run.count = 0;
    for (uint64_t seq = 2; seq > 0; seq--) {
        struct store_batch b = {
            .id = (int64_t)seq, .seq = seq, .n = 1, .to_ms = seq == 2 ? end_ms + 1 : T0};
        struct wire_receipt r = {
            .gw = "gw-1", .seq = seq, .n = 1, .received_ms = T0, .through_seq = 2};
        memset(b.hash, (int)seq, sizeof(b.hash));
        memset(r.sha256, (int)seq, sizeof(r.sha256));
        memset(r.through_hash, 2, sizeof(r.through_hash));
        cose.n = 0;
        assert_int_equal(wire_receipt_sign(&r, wire_key_signer(key[A]), &cose, NULL), ST_OK);
        assert_int_equal(uplink_run_add(&run, "gw-1", &b, &cose, (struct mono){0}, NULL), ST_OK);
    }
    assert_int_equal(uplink_run_settle(&run, t.keys, t.nkeys, NULL, 0, count_acked, &acked, &e),
                     ST_CORRUPT);
    assert_int_equal(acked, 1);
    buf_done(&cose);
    buf_done(&run.bytes);
    uplink_trust_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_keys_count_for_90_days_and_then_the_next_alone),
        cmocka_unit_test(a_chain_is_taken_one_after_the_other),
        cmocka_unit_test(what_is_behind_the_files_is_passed_over),
        cmocka_unit_test(a_late_word_of_an_ended_key_comes_by_hand_alone),
        cmocka_unit_test(forged_foreign_and_replayed_notices_are_refused),
        cmocka_unit_test(a_good_beginning_counts_when_its_end_is_refused),
        cmocka_unit_test(what_is_kept_is_there_after_a_restart_and_verified_again),
        cmocka_unit_test(what_cannot_be_written_does_not_count),
        cmocka_unit_test(a_receipt_counts_by_the_keys_of_its_time),
        cmocka_unit_test(a_receipt_that_is_dated_back_does_not_count),
        cmocka_unit_test(a_prefix_does_not_reach_over_the_end_of_its_key),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
