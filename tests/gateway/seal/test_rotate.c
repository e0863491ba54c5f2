/* The next key takes over (batch.md rule 3, case L3): the old one names it in the last batch of its
 * chain, whenever the power is cut. */
#include "tests/gateway/seal/town.h"
#include "tests/support/temp.h"

/* Each seal of a `key` entry that is to fail, counted down; below 0: none. */
static int fail_at = -1;
enum st __real_store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                          const struct store_planned *plan, size_t nplan, struct err *e);
enum st __wrap_store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                          const struct store_planned *plan, size_t nplan, struct err *e);
enum st __wrap_store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                          const struct store_planned *plan, size_t nplan, struct err *e)
{
    if (b->next_kid && fail_at-- == 0)
        return err_set(e, ST_IO, "the card is gone");
    return __real_store_seal(s, b, use, plan, nplan, e);
}

#define KEYS_MAX 8
struct walk {
    struct wire_pub *key[KEYS_MAX]; /* the first, and each that a verified batch named */
    size_t nkeys, chains, batches, readings;
    uint8_t chain[WIRE_ID_BYTES], last[WIRE_HASH_BYTES], kid[WIRE_ID_BYTES];
    bool ended; /* by a `key` entry */
};

static const struct wire_pub *named(const struct walk *w, const uint8_t *kid)
{
    for (size_t i = 0; i < w->nkeys; i++)
        if (memcmp(wire_pub_kid(w->key[i]), kid, WIRE_ID_BYTES) == 0)
            return w->key[i];
    return NULL;
}

static void learn(struct walk *w, const struct wire_batch *b)
{
    struct wire_control c;
    struct wire_entry x;
    if (b->header.kind != WIRE_CONTROL)
        return;
    assert_int_equal(wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, NULL), ST_OK);
    while (wire_control_next(&c, &x, NULL) == ST_OK) {
        if (x.kind != WIRE_ENTRY_KEY)
            continue;
        assert_int_equal(c.left, 0);
        assert_true(w->nkeys < KEYS_MAX);
        assert_int_equal(wire_pub_parse(&w->key[w->nkeys++], x.spki.p, x.spki.n, NULL), ST_OK);
        w->ended = true;
    }
}

static bool walk_one(void *ctx, const struct store_batch *row)
{
    struct walk *w = ctx;
    struct wire_batch b;
    struct buf cose;
    struct err e = {.text = ""};
    buf_init(&cose, WIRE_BATCH_MAX);
    assert_int_equal(wire_zstd_unpack(row->packed.p, row->packed.n, WIRE_BATCH_MAX, &cose, &e),
                     ST_OK);
    assert_int_equal(wire_batch_open(&b, cose.p, cose.n, &e), ST_OK);
    const struct wire_header *h = &b.header;
    const struct wire_pub *key = named(w, h->kid);
    assert_non_null(key); /* never by a key whose entry is not in a stored batch */
    assert_int_equal(wire_cose_verify(&b.cose, key, &e), ST_OK);
    if (w->batches++ == 0 || memcmp(h->chain, w->chain, sizeof h->chain) != 0) {
        assert_int_equal(h->seq, 1);
        assert_true(!w->chains++ || (h->after && w->ended));
        if (h->after) {
            assert_memory_equal(h->after_chain, w->chain, sizeof w->chain);
            assert_memory_equal(h->after_hash, w->last, sizeof w->last);
            assert_memory_not_equal(h->kid, w->kid, sizeof w->kid);
        }
        w->ended = false;
    } else {
        assert_memory_equal(h->kid, w->kid, sizeof w->kid);
        assert_memory_equal(h->prev, w->last, sizeof w->last);
        assert_false(w->ended); /* nothing behind the entry */
    }
    memcpy(w->chain, h->chain, sizeof w->chain);
    memcpy(w->kid, h->kid, sizeof w->kid);
    memcpy(w->last, row->hash, sizeof w->last);
    w->readings += row->n;
    learn(w, &b);
    wire_batch_done(&b);
    buf_done(&cose);
    return true;
}

static struct wire_pub *pub_of(const char *path)
{
    struct wire_key *key;
    struct wire_pub *pub;
    struct err e = {.text = ""};
    if (wire_key_load(&key, path, &e) != ST_OK)
        fail_msg("%s", e.text);
    struct wire_span der = wire_pub_der(wire_key_pub(key));
    assert_int_equal(wire_pub_parse(&pub, der.p, der.n, NULL), ST_OK);
    wire_key_free(key);
    return pub;
}

/* Walks all that is sealed, trusting the first key alone; takes it. */
static struct walk walk(struct line *l, struct wire_pub *first)
{
    struct walk w = {.key = {first}, .nkeys = 1};
    struct store_reader *r;
    struct err e = {.text = ""};
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(line_each_batch(r, walk_one, &w, &e), ST_OK);
    store_reader_close(r);
    for (size_t i = 0; i < w.nkeys; i++)
        wire_pub_free(w.key[i]);
    return w;
}

static void beside(const struct line *l, const char *tail, char out[256])
{
    (void)snprintf(out, 256, "%s%s", l->key, tail);
}

static void old_name(const struct line *l, const struct wire_pub *pub, char out[256])
{
    char hex[WIRE_ID_TEXT];
    wire_hex(wire_pub_kid(pub), WIRE_ID_BYTES, hex);
    (void)snprintf(out, 256, "%s.%s", l->key, hex);
}

static bool is_key(const char *path, const uint8_t kid[WIRE_ID_BYTES])
{
    struct wire_pub *pub = pub_of(path);
    bool same = memcmp(wire_pub_kid(pub), kid, WIRE_ID_BYTES) == 0;
    wire_pub_free(pub);
    return same;
}

static void make_next(struct line *l)
{
    struct err e = {.text = ""};
    if (signer_make_next(l->key, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static void ask(struct line *l)
{
    struct err e = {.text = ""};
    make_next(l);
    if (seal_rotation_ask(l->db, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static void L3_the_old_key_names_the_next_while_it_runs(void **state)
{
    struct line *l = *state;
    struct wire_pub *first = pub_of(l->key);
    char old[256], next[256];
    uint8_t kid[WIRE_ID_BYTES], kid1[WIRE_ID_BYTES];
    memcpy(kid1, wire_pub_kid(first), sizeof kid1);
    old_name(l, first, old);
    beside(l, ".next", next);
    line_start(l);
    line_run(l, LINE_M1 + 2 * LINE_MINUTE);
    make_next(l); /* which nobody was told of */
    line_run(l, LINE_M1 + 4 * LINE_MINUTE);
    assert_true(is_key(l->key, kid1));
    struct wire_pub *second = pub_of(next);
    memcpy(kid, wire_pub_kid(second), sizeof kid);
    wire_pub_free(second);
    assert_int_equal(seal_rotation_ask(l->db, NULL), ST_OK);
    line_run(l, LINE_M1 + 8 * LINE_MINUTE);
    struct walk w = walk(l, first);
    assert_int_equal(w.chains, 2);
    assert_int_equal(w.nkeys, 2);
    assert_memory_equal(w.kid, kid, sizeof kid);
    assert_true(is_key(l->key, kid));
    assert_true(is_key(old, kid1));
    assert_int_not_equal(access(next, F_OK), 0);
    assert_int_equal(w.readings + line_pending_readings(l),
                     (uint64_t)LINE_DEVICES * LINE_POINTS * ((LINE_M1 - LINE_T0) / 10000 + 8 * 6));
}

static void L3_a_cut_before_the_entry_leaves_the_old_key(void **state)
{
    struct line *l = *state;
    struct wire_pub *first = pub_of(l->key);
    uint8_t kid1[WIRE_ID_BYTES];
    struct err e = {.text = ""};
    memcpy(kid1, wire_pub_kid(first), sizeof kid1);
    line_start(l);
    line_run(l, LINE_M1 + 2 * LINE_MINUTE);
    ask(l);
    fail_at = 0;
    l->utc_ms += 1000;
    l->mono_ms += 1000;
    assert_int_equal(store_step(l->store, true, &e), ST_OK);
    assert_int_equal(seal_step(l->seal, &e), ST_IO);
    assert_true(is_key(l->key, kid1));
    line_stop(l); /* the cut */
    line_start(l);
    line_run(l, LINE_M1 + 6 * LINE_MINUTE);
    struct walk w = walk(l, first);
    assert_int_equal(w.chains, 2);
    assert_int_equal(w.nkeys, 2);
    assert_true(is_key(l->key, w.kid));
}

static void L3_a_cut_behind_the_entry_leaves_the_next_key(void **state)
{
    struct line *l = *state;
    struct wire_pub *first = pub_of(l->key);
    char old[256], next[256];
    uint8_t kid1[WIRE_ID_BYTES];
    memcpy(kid1, wire_pub_kid(first), sizeof kid1);
    old_name(l, first, old);
    beside(l, ".next", next);
    line_start(l);
    line_run(l, LINE_M1 + 2 * LINE_MINUTE);
    /* the names cannot change: as if the power failed between the store and them */
    assert_int_equal(wire_key_make(old, NULL), ST_OK);
    ask(l);
    line_to(l, l->utc_ms + 1000);
    assert_true(is_key(l->key, kid1));
    line_stop(l);
    line_start(l);
    line_run(l, LINE_M1 + 4 * LINE_MINUTE);
    line_stop(l);
    line_start(l);
    line_run(l, LINE_M1 + 6 * LINE_MINUTE);
    assert_true(is_key(l->key, kid1));
    unlink(old);
    line_run(l, LINE_M1 + 8 * LINE_MINUTE);
    struct walk w = walk(l, first);
    assert_int_equal(w.chains, 2); /* and each start went on in the new one */
    assert_int_equal(w.nkeys, 2);
    assert_true(is_key(l->key, w.kid));
    assert_true(is_key(old, kid1));
    assert_int_not_equal(access(next, F_OK), 0);
}

static void L3_a_chain_that_ends_by_itself_does_not_change_the_key(void **state)
{
    struct line *l = *state;
    uint8_t kid1[WIRE_ID_BYTES];
    struct store_chain c;
    struct err e = {.text = ""};
    struct wire_pub *first = pub_of(l->key);
    memcpy(kid1, wire_pub_kid(first), sizeof kid1);
    wire_pub_free(first);
    line_start(l);
    line_run(l, LINE_M1 + 2 * LINE_MINUTE);
    make_next(l);
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    line_writer_start(l);
    assert_int_equal(store_chain_end(l->store, c.id, &e), ST_OK); /* answer 409 */
    line_writer_stop(l);
    line_stop(l);
    line_start(l);
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    assert_memory_equal(c.kid, kid1, sizeof kid1);
}

static void a_next_key_that_cannot_be_used_is_told_and_the_old_one_signs_on(void **state)
{
    struct line *l = *state;
    struct wire_pub *first = pub_of(l->key);
    char next[256];
    beside(l, ".next", next);
    line_start(l);
    line_run(l, LINE_M1 + 2 * LINE_MINUTE);
    FILE *f = fopen(next, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_true(fputs("not a key\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(seal_rotation_ask(l->db, NULL), ST_OK);
    line_run(l, LINE_M1 + 4 * LINE_MINUTE);
    line_stop(l);
    line_start(l);
    line_run(l, LINE_M1 + 6 * LINE_MINUTE);
    struct walk w = walk(l, first);
    assert_int_equal(w.chains, 1);
    assert_int_equal(w.nkeys, 1);
}

/* Three rotations without a network: what comes first must be known at the city already. */
static void L3_a_backlog_over_several_keys_arrives_whole(void **state)
{
    struct line *l = *state;
    struct town t;
    struct wire_pub *first = pub_of(l->key);
    line_start(l);
    town_open(&t, l);
    for (int i = 1; i <= 3; i++) {
        line_run(l, LINE_M1 + (3 * i - 1) * LINE_MINUTE);
        ask(l);
        line_run(l, LINE_M1 + 3 * i * LINE_MINUTE);
    }
    /* the newest is not taken before all entries are: never for ever */
    struct store_batch b;
    char chain[WIRE_ID_TEXT];
    assert_true(town_pick(&t, STORE_PICK_NEWEST, &b));
    wire_hex(b.chain, sizeof b.chain, chain);
    assert_int_equal(site_put_as(t.site, "gw-01", chain, b.seq, b.packed.p, b.packed.n, TYPE,
                                 "Content-Encoding: zstd"),
                     403);
    assert_true(site_answered(t.site, "\"unknown_key\""));
    line_writer_start(l);
    town_drain(&t);
    line_writer_stop(l);
    struct walk w = walk(l, first);
    assert_int_equal(w.chains, 4);
    assert_int_equal(w.nkeys, 4);
    size_t rows = 0;
    char *text = site_dump(t.site, false);
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        rows++;
    free(text);
    assert_int_equal(rows - 1, w.readings);
    town_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROTATE(test) cmocka_unit_test_setup_teardown(test, line_setup, line_teardown)
        ROTATE(L3_the_old_key_names_the_next_while_it_runs),
        ROTATE(L3_a_cut_before_the_entry_leaves_the_old_key),
        ROTATE(L3_a_cut_behind_the_entry_leaves_the_next_key),
        ROTATE(L3_a_chain_that_ends_by_itself_does_not_change_the_key),
        ROTATE(a_next_key_that_cannot_be_used_is_told_and_the_old_one_signs_on),
        ROTATE(L3_a_backlog_over_several_keys_arrives_whole),
    };
    return cmocka_run_group_tests_name("rotation", tests, NULL, NULL);
}
