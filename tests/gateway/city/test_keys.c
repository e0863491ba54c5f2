/* Keys at the city: the next key comes with a `key` entry, and one that is revoked signs nothing
 * more. */
#include "tests/gateway/city/site.h"

#include "gateway/city/city_int.h"

struct own {
    char path[128];
    struct wire_key *key;
};

static struct own own_make(const struct site *s, const char *name)
{
    struct own o;
    snprintf(o.path, sizeof o.path, "%s/%s.key", s->dir, name);
    assert_int_equal(wire_key_make(o.path, NULL), ST_OK);
    assert_int_equal(wire_key_load(&o.key, o.path, NULL), ST_OK);
    return o;
}

static void own_done(struct own *o)
{
    wire_key_free(o->key);
    assert_int_equal(unlink(o->path), 0);
}

static void kid_text(const struct wire_key *k, char out[WIRE_ID_TEXT])
{
    wire_hex(wire_pub_kid(wire_key_pub(k)), WIRE_ID_BYTES, out);
}

/* A control batch that names `next`, signed by `by`, as batch seq of the chain. */
static struct sealed handover(uint8_t chain, uint64_t seq, const struct sealed *before,
                              const struct wire_key *next, const struct wire_key *by)
{
    struct wire_header h = header_of(chain, seq, before);
    struct buf p;
    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    buf_init(&p, 4096);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(wire_put_key(&p, wire_key_pub(next)), ST_OK);
    struct sealed b = seal(&h, &p, by);
    buf_done(&p);
    return b;
}

static struct sealed data(uint8_t chain, uint64_t seq, const struct sealed *before,
                          const struct wire_key *by)
{
    struct wire_header h = header_of(chain, seq, before);
    struct buf p;
    h.from_ms += chain * INT64_C(3600000); /* else a later chain repeats an earlier one */
    h.to_ms += chain * INT64_C(3600000);
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed b = seal(&h, &p, by);
    buf_done(&p);
    return b;
}

static void refused(struct site *s, const struct sealed *b, int status, const char *code)
{
    char part[64];
    snprintf(part, sizeof part, "\"code\":\"%s\"", code);
    assert_int_equal(site_put(s, b), status);
    if (!site_answered(s, part)) {
        snprintf(part, sizeof part, "\"%s\"", code);
        assert_true(site_answered(s, part));
    }
}

static char *keys_text(const struct site *s, bool json)
{
    char *text = NULL;
    size_t n = 0;
    struct err e = {.text = ""};
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    if (city_keys(&s->cfg, json, f, &e) != ST_OK)
        fail_msg("%s", e.text);
    fclose(f);
    return text;
}

static void L3_the_next_key_counts_once_its_entry_is_stored(void **state)
{
    struct site *s = site_open();
    struct own next = own_make(s, "next");
    struct sealed one = data(1, 1, NULL, s->key);
    struct sealed over = handover(1, 2, &one, next.key, s->key);
    struct sealed later = data(2, 1, NULL, next.key);
    char kid[WIRE_ID_TEXT];
    (void)state;

    refused(s, &later, 403, "unknown_key");
    assert_int_equal(site_put(s, &one), 201);
    refused(s, &later, 403, "unknown_key");
    assert_int_equal(site_put(s, &over), 201);
    assert_int_equal(site_put(s, &later), 201);
    assert_int_equal(site_rows(s), 12);
    kid_text(next.key, kid);
    char *text = keys_text(s, false);
    assert_non_null(strstr(text, kid));
    assert_non_null(strstr(text, "rotation by batch 0101010101010101/2"));
    free(text);
    sealed_done(&one);
    sealed_done(&over);
    sealed_done(&later);
    own_done(&next);
    site_close(s);
}

static void an_entry_counts_for_its_own_gateway(void **state)
{
    struct site *s = site_open();
    struct own next = own_make(s, "next"), other = own_make(s, "other");
    char pub[128], kid[17];
    struct wire_header h = header_of(9, 1, NULL);
    struct buf p;
    (void)state;

    snprintf(pub, sizeof pub, "%s/other.pub", s->dir);
    site_pub_write(other.key, pub);
    assert_int_equal(city_enroll(&s->cfg, "gw-2", pub, kid, NULL), ST_OK);
    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    h.gw = "gw-2";
    buf_init(&p, 4096);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(wire_put_key(&p, wire_key_pub(next.key)), ST_OK);
    struct sealed over = seal(&h, &p, other.key);
    buf_done(&p);
    char chain[WIRE_ID_TEXT];
    wire_hex(over.chain, WIRE_ID_BYTES, chain);
    assert_int_equal(
        site_put_as(s, "gw-2", chain, 1, over.zstd.p, over.zstd.n, TYPE, "Content-Encoding: zstd"),
        201);
    struct sealed later = data(2, 1, NULL, next.key);
    refused(s, &later, 403, "unknown_key");
    sealed_done(&over);
    sealed_done(&later);
    unlink(pub);
    own_done(&next);
    own_done(&other);
    site_close(s);
}

static void a_revoked_key_signs_nothing_new_and_keeps_what_it_signed(void **state)
{
    struct site *s = site_open();
    struct own second = own_make(s, "second"), third = own_make(s, "third");
    struct sealed one = data(1, 1, NULL, s->key);
    struct sealed over = handover(1, 2, &one, second.key, s->key);
    struct sealed more = data(1, 3, &over, s->key), fresh = data(3, 1, NULL, s->key);
    struct sealed late = handover(4, 1, NULL, third.key, s->key);
    struct sealed good = data(2, 1, NULL, second.key), bad = data(5, 1, NULL, third.key);
    char kid[WIRE_ID_TEXT], file[128], text[CITY_VERIFY_TEXT];
    struct err e = {.text = ""};
    (void)state;

    kid_text(s->key, kid);
    assert_int_equal(city_revoke(&s->cfg, "gw-9", kid, "lost", &e), ST_NOT_FOUND);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", "0011223344556677", "lost", &e), ST_NOT_FOUND);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", "no kid", "lost", &e), ST_BAD);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", kid, "", &e), ST_BAD);
    assert_int_equal(site_put(s, &one), 201);
    struct buf first = s->reply.body;
    memset(&s->reply.body, 0, sizeof s->reply.body);
    assert_int_equal(site_put(s, &over), 201);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", kid, "the box was \"stolen\"", &e), ST_OK);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", kid, "twice", &e), ST_CONFLICT);
    assert_int_equal(city_enroll(&s->cfg, "gw-1", s->dev_pub, kid, &e), ST_REFUSED);
    /* in a chain that is held, in a new one, and a key that it names now */
    refused(s, &more, 401, "unauthorized");
    refused(s, &fresh, 401, "unauthorized");
    refused(s, &late, 401, "unauthorized");
    refused(s, &bad, 403, "unknown_key");
    /* what it named before counts, and what it signed before is known, byte for byte */
    assert_int_equal(site_put(s, &good), 201);
    assert_int_equal(site_put(s, &one), 200);
    assert_int_equal(s->reply.body.n, first.n);
    assert_memory_equal(s->reply.body.p, first.p, first.n);
    assert_int_equal(site_rows(s), 12);
    snprintf(file, sizeof file, "%s/one.cose", s->dir);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(one.cose.p, 1, one.cose.n, f), one.cose.n);
    fclose(f);
    assert_int_equal(city_verify(&s->cfg, file, text, &e), ST_OK);
    unlink(file);
    char *list = keys_text(s, true);
    assert_non_null(strstr(list, "the box was \\\"stolen\\\""));
    assert_non_null(strstr(list, "\"rotation\""));
    free(list);
    buf_done(&first);
    struct sealed *all[] = {&one, &over, &more, &fresh, &late, &good, &bad};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sealed_done(all[i]);
    own_done(&second);
    own_done(&third);
    site_close(s);
}

/* Revoked between the look at a batch and its storing: the writer looks again. */
static void a_key_that_is_revoked_meanwhile(void **state)
{
    struct site *s = site_open();
    struct sealed one = data(1, 1, NULL, s->key);
    struct city_where w = {.gw = "gw-1", .seq = 1};
    struct city_db d;
    struct city_batch b;
    char kid[WIRE_ID_TEXT];
    bool same = false;
    struct err e = {.text = ""};
    (void)state;

    memcpy(w.chain, one.chain, sizeof w.chain);
    kid_text(s->key, kid);
    assert_int_equal(city_db_open(&d, s->db, CITY_DB_WRITE, &e), ST_OK);
    assert_int_equal(
        city_ingest(&d, &w, "application/cose", "zstd", one.zstd.p, one.zstd.n, &b, &e), CITY_OK);
    assert_int_equal(city_revoke(&s->cfg, "gw-1", kid, "lost", &e), ST_OK);
    assert_int_equal(city_db_exec(&d, "BEGIN IMMEDIATE", &e), ST_OK);
    assert_int_equal(city_keep(&d, s->sign, &b, T0, &same, &e), CITY_UNAUTHORIZED);
    assert_int_equal(city_db_exec(&d, "COMMIT", &e), ST_OK);
    city_batch_done(&b);
    city_db_close(&d);
    assert_int_equal(site_rows(s), 0);
    sealed_done(&one);
    site_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L3_the_next_key_counts_once_its_entry_is_stored),
        cmocka_unit_test(an_entry_counts_for_its_own_gateway),
        cmocka_unit_test(a_revoked_key_signs_nothing_new_and_keeps_what_it_signed),
        cmocka_unit_test(a_key_that_is_revoked_meanwhile),
    };
    return cmocka_run_group_tests_name("keys of the city", tests, NULL, NULL);
}
