/* Chains, holes, broken links, heads, and the readings that come back. */
#include "tests/gateway/city/site.h"

#include <sqlite3.h>

static int start(void **state)
{
    *state = site_open();
    return 0;
}

static int stop(void **state)
{
    site_close(*state);
    return 0;
}

/* The head of gw-1, which holds one chain (or `n`). */
static struct wire_head head_of(struct site *s, size_t n)
{
    struct wire_head h;
    struct wire_cose c;
    struct err e = {.text = ""};

    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-1/head?nonce=n0nce", NULL, 0, NULL), 200);
    if (wire_head_open(&h, &c, s->reply.body.p, s->reply.body.n, &e) != ST_OK ||
        wire_cose_verify(&c, wire_key_pub(s->sign), &e) != ST_OK)
        fail_msg("head: %s", e.text);
    assert_string_equal(h.gw, "gw-1");
    assert_int_equal(h.nonce_n, 5);
    assert_memory_equal(h.nonce, "n0nce", 5);
    assert_int_equal(h.nchains, n);
    return h;
}

static void a_receipt_acknowledges_the_prefix_without_a_hole(void **state)
{
    struct site *s = *state;
    struct sealed b[6];

    for (uint64_t i = 1; i <= 5; i++)
        b[i] = batch_make(s, 0xaa, i, i > 1 ? &b[i - 1] : NULL);
    /* the newest first, then the rest: 5, 1, 2, 4, 3 */
    assert_int_equal(site_put(s, &b[5]), 201);
    assert_int_equal(site_receipt(s).through_seq, 0);
    assert_int_equal(site_put(s, &b[1]), 201);
    assert_int_equal(site_receipt(s).through_seq, 1);
    assert_int_equal(site_put(s, &b[2]), 201);
    assert_int_equal(site_put(s, &b[4]), 201);
    assert_int_equal(site_receipt(s).through_seq, 2);
    struct wire_head h = head_of(s, 1);
    assert_int_equal(h.chains[0].through_seq, 2);
    assert_memory_equal(h.chains[0].through_hash, b[2].hash, WIRE_HASH_BYTES);
    assert_int_equal(h.chains[0].nmissing, 1);
    assert_int_equal(h.chains[0].missing[0][0], 3);
    assert_int_equal(h.chains[0].missing[0][1], 3);
    assert_int_equal(h.chains[0].nbroken, 0);
    wire_head_done(&h);
    /* so does a database of before, once it is brought up */
    city_close(s->city);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(s->cfg.db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE run; PRAGMA user_version = 11", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    site_run(s);
    h = head_of(s, 1);
    assert_int_equal(h.chains[0].nmissing, 1);
    assert_int_equal(h.chains[0].missing[0][0], 3);
    assert_int_equal(h.chains[0].missing[0][1], 3);
    wire_head_done(&h);
    assert_int_equal(site_put(s, &b[3]), 201);
    struct wire_receipt r = site_receipt(s);
    assert_int_equal(r.through_seq, 5);
    assert_memory_equal(r.through_hash, b[5].hash, WIRE_HASH_BYTES);
    h = head_of(s, 1);
    assert_int_equal(h.chains[0].nmissing, 0);
    wire_head_done(&h);
    for (uint64_t i = 1; i <= 5; i++)
        sealed_done(&b[i]);
}

static void a_link_that_does_not_fit_is_broken_not_refused(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = batch_make(s, 0xaa, 2, &one);
    struct sealed three = batch_make(s, 0xaa, 3, &one); /* names the wrong one */

    assert_int_equal(site_put(s, &three), 201);
    struct wire_head h = head_of(s, 1);
    assert_int_equal(h.chains[0].nbroken, 0); /* its neighbour is not known */
    wire_head_done(&h);
    assert_int_equal(site_put(s, &one), 201);
    assert_int_equal(site_put(s, &two), 201);
    h = head_of(s, 1);
    assert_int_equal(h.chains[0].nbroken, 1);
    assert_int_equal(h.chains[0].broken[0], 3);
    assert_int_equal(h.chains[0].through_seq, 3);
    wire_head_done(&h);
    sealed_done(&one);
    sealed_done(&two);
    sealed_done(&three);
}

static void a_chain_that_follows_another_is_judged_too(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL);
    struct wire_header h = header_of(0xbb, 1, NULL);
    struct buf p;

    h.after = true;
    memcpy(h.after_chain, one.chain, sizeof h.after_chain);
    h.after_seq = 1;
    memset(h.after_hash, 7, sizeof h.after_hash);
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed next = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &next), 201);
    struct wire_head x = head_of(s, 1);
    assert_int_equal(x.chains[0].nbroken, 0);
    wire_head_done(&x);
    assert_int_equal(site_put(s, &one), 201);
    x = head_of(s, 2);
    size_t broken = x.chains[0].nbroken + x.chains[1].nbroken;
    assert_int_equal(broken, 1);
    wire_head_done(&x);
    buf_done(&p);
    sealed_done(&one);
    sealed_done(&next);
}

static void a_signed_void_closes_its_hole(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = batch_make(s, 0xaa, 2, &one),
                  three = batch_make(s, 0xaa, 3, &two), four = batch_make(s, 0xaa, 4, &three);
    struct wire_header h = header_of(0xaa, 5, &four);
    uint8_t hashes[2][WIRE_HASH_BYTES];
    struct buf p;

    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    memcpy(hashes[0], two.hash, WIRE_HASH_BYTES);
    memcpy(hashes[1], three.hash, WIRE_HASH_BYTES);
    buf_init(&p, 65536);
    assert_int_equal(wire_put_array(&p, 2), ST_OK);
    assert_int_equal(wire_put_void(&p, 2, 3, (const uint8_t(*)[WIRE_HASH_BYTES])hashes, "refused"),
                     ST_OK);
    assert_int_equal(wire_put_plan(&p, "air-1/temperature", "temperature", "Cel", 1000, T0), ST_OK);
    struct sealed five = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &one), 201);
    assert_int_equal(site_put(s, &four), 201);
    assert_int_equal(site_receipt(s).through_seq, 1);
    assert_int_equal(site_put(s, &five), 201);
    assert_int_equal(site_receipt(s).n, 0);
    assert_int_equal(site_receipt(s).through_seq, 5);
    struct wire_head x = head_of(s, 1);
    assert_int_equal(x.chains[0].nmissing, 0);
    assert_int_equal(x.chains[0].nbroken, 0);
    wire_head_done(&x);
    assert_int_equal(site_rows(s), 12); /* what is held stays, what is not there is not counted */
    buf_done(&p);
    sealed_done(&one);
    sealed_done(&two);
    sealed_done(&three);
    sealed_done(&four);
    sealed_done(&five);
}

static void the_dump_is_sorted_and_exact(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = batch_make(s, 0xaa, 2, &one);

    assert_int_equal(site_put(s, &two), 201);
    assert_int_equal(site_put(s, &one), 201);
    char *text = site_dump(s, false);
    assert_string_equal(text, "gateway,series,ts_ms,value,quality,chain,seq\n"
                              "gw-1,air-1/count,1795000300250,1000,1,aaaaaaaaaaaaaaaa,1\n"
                              "gw-1,air-1/count,1795000301250,1001,1,aaaaaaaaaaaaaaaa,1\n"
                              "gw-1,air-1/count,1795000302250,1002,1,aaaaaaaaaaaaaaaa,1\n"
                              "gw-1,air-1/count,1795000600250,2000,1,aaaaaaaaaaaaaaaa,2\n"
                              "gw-1,air-1/count,1795000601250,2001,1,aaaaaaaaaaaaaaaa,2\n"
                              "gw-1,air-1/count,1795000602250,2002,1,aaaaaaaaaaaaaaaa,2\n"
                              "gw-1,air-1/temperature,1795000300250,23.5,0,aaaaaaaaaaaaaaaa,1\n"
                              "gw-1,air-1/temperature,1795000301250,23.6,0,aaaaaaaaaaaaaaaa,1\n"
                              "gw-1,air-1/temperature,1795000302250,23.7,0,aaaaaaaaaaaaaaaa,1\n"
                              "gw-1,air-1/temperature,1795000600250,23.5,0,aaaaaaaaaaaaaaaa,2\n"
                              "gw-1,air-1/temperature,1795000601250,23.6,0,aaaaaaaaaaaaaaaa,2\n"
                              "gw-1,air-1/temperature,1795000602250,23.7,0,aaaaaaaaaaaaaaaa,2\n");
    free(text);
    sealed_done(&one);
    sealed_done(&two);
}

static void a_repeat_in_a_later_chain_stands_once(void **state)
{
    struct site *s = *state;
    struct wire_header h = header_of(0xbb, 1, NULL);
    struct sealed one = batch_make(s, 0xaa, 1, NULL), again = batch_make(s, 0xbb, 1, NULL);
    struct buf p;

    assert_int_equal(site_put(s, &one), 201);
    assert_int_equal(site_put(s, &again), 201);
    assert_int_equal(site_rows(s), 6);
    /* of another boot it is no repeat, and inside one chain nothing is dropped */
    memset(h.chain, 0xcc, sizeof h.chain);
    memset(h.boot, 0xb1, sizeof h.boot);
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed boot = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &boot), 201);
    assert_int_equal(site_rows(s), 12);
    buf_done(&p);
    h = header_of(0xaa, 2, &one);
    h.from_ms = T0 + WINDOW_MS;
    struct wire_header first = header_of(0xaa, 1, NULL);
    payload_make(&p, "gw-1/air-1/", &first, 3);
    struct sealed twice = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &twice), 201);
    assert_int_equal(site_rows(s), 18);
    buf_done(&p);
    sealed_done(&one);
    sealed_done(&again);
    sealed_done(&boot);
    sealed_done(&twice);
}

/* Batch 2: moves batch 1 by 5 s and then by 9 s, and takes one reading back; `what` is done to it.
 */
static struct sealed entries_make(struct site *s, const struct sealed *one,
                                  const struct wire_fix *what)
{
    struct wire_header h = header_of(0xaa, 2, one);
    struct buf p;

    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    buf_init(&p, 65536);
    /* two moves of the same batch (the latest wins), and one reading taken back */
    assert_int_equal(wire_put_array(&p, 3), ST_OK);
    for (int64_t add = 5000; add <= 9000; add += 4000) {
        assert_int_equal(wire_put_array(&p, 6), ST_OK);
        assert_int_equal(wire_put_text(&p, "time"), ST_OK);
        assert_int_equal(wire_put_bytes(&p, h.boot, sizeof h.boot), ST_OK);
        assert_int_equal(wire_put_uint(&p, 1), ST_OK);
        assert_int_equal(wire_put_uint(&p, 1), ST_OK);
        assert_int_equal(wire_put_int(&p, add), ST_OK);
        assert_int_equal(wire_put_uint(&p, 100), ST_OK);
    }
    assert_int_equal(wire_put_correct(&p, "c1", "air-1/count", 1795000309250, 1795000309251, what,
                                      "cleaning", "an"),
                     ST_OK);
    struct sealed two = seal(&h, &p, s->key);
    buf_done(&p);
    return two;
}

static const struct wire_fix taken_back = {.what = WIRE_INVALIDATE};
static const char *const moved_rows[] = {
    "air-1/count,1795000310250,1001,1,aaaaaaaaaaaaaaaa,1",
    "air-1/count,1795000311250,1002,1,aaaaaaaaaaaaaaaa,1",
    "air-1/temperature,1795000309250,23.5,0,aaaaaaaaaaaaaaaa,1",
    "air-1/temperature,1795000310250,23.6,0,aaaaaaaaaaaaaaaa,1",
    "air-1/temperature,1795000311250,23.7,0,aaaaaaaaaaaaaaaa,1",
};
#define MOVED_ROWS (sizeof moved_rows / sizeof *moved_rows)

static void later_entries_move_times_and_take_readings_back(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = entries_make(s, &one, &taken_back);
    char want[1024] = "gateway,series,ts_ms,value,quality,chain,seq\n";

    assert_int_equal(site_put(s, &one), 201);
    char *sealed = site_dump(s, false);
    if (site_put(s, &two) != 201)
        fail_msg("%.*s", (int)s->reply.body.n, (const char *)s->reply.body.p);
    char *raw = site_dump(s, true), *text = site_dump(s, false);
    assert_string_equal(raw, sealed);
    for (size_t i = 0; i < MOVED_ROWS; i++)
        snprintf(want + strlen(want), sizeof want - strlen(want), "gw-1,%s\n", moved_rows[i]);
    assert_string_equal(text, want);
    free(sealed);
    free(raw);
    free(text);
    sealed_done(&one);
    sealed_done(&two);
}

static bool body_is(const struct site *s, const char *text)
{
    return s->reply.body.n == strlen(text) && memcmp(s->reply.body.p, text, strlen(text)) == 0;
}

/* The dump and the answer are made of the same: whole, by the moved time, one by one, and raw. */
static void assert_served_as_moved(struct site *s)
{
    static const char path[] = "/v1/gateways/gw-1/readings";
    char url[160];

    assert_int_equal(site_call(s, "GET", path, NULL, 0, NULL), 200);
    for (size_t i = 0; i < MOVED_ROWS; i++) {
        char row[128];
        snprintf(row, sizeof row, "%s,9000\n", moved_rows[i]);
        assert_true(site_answered(s, row));
    }
    assert_false(site_answered(s, "air-1/count,1795000309250"));
    snprintf(url, sizeof url, "%s?series=air-1/count&from=1795000311250", path);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200); /* sealed as 302250 */
    assert_true(body_is(s, "series,ts_ms,value,quality,chain,seq,moved_ms\n"
                           "air-1/count,1795000311250,1002,1,aaaaaaaaaaaaaaaa,1,9000\n"));
    snprintf(url, sizeof url, "%s?to=1795000309250", path);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200);
    assert_true(body_is(s, "series,ts_ms,value,quality,chain,seq,moved_ms\n"));
    snprintf(url, sizeof url, "%s?raw=1&series=air-1/count&to=1795000301250", path);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200);
    assert_true(body_is(s, "series,ts_ms,value,quality,chain,seq,moved_ms\n"
                           "air-1/count,1795000300250,1000,1,aaaaaaaaaaaaaaaa,1,0\n"));
    snprintf(url, sizeof url, "%s?format=json&limit=1&series=air-1/count", path);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200);
    assert_true(site_answered(s, "\"ts_ms\":1795000310250"));
    assert_true(site_answered(s, "\"moved_ms\":9000"));
}

static void readings_are_served_as_later_entries_move_them(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = entries_make(s, &one, &taken_back);

    assert_int_equal(site_put(s, &two), 201); /* in any order */
    assert_int_equal(site_put(s, &one), 201);
    assert_served_as_moved(s);
    /* a database of before is brought up to it */
    city_close(s->city);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(s->cfg.db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE moved; DROP TABLE corrected; "
                                  "DROP TABLE maintained; "
                                  "PRAGMA user_version = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    site_run(s);
    assert_served_as_moved(s);
    /* also where the disk has spoilt another of them: that one alone is left out */
    struct wire_header h = header_of(0xbb, 1, NULL);
    struct buf p;
    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    buf_init(&p, 64);
    assert_int_equal(wire_put_array(&p, 0), ST_OK);
    struct sealed spoilt = seal(&h, &p, s->key);
    buf_done(&p);
    assert_int_equal(site_put(s, &spoilt), 201);
    city_close(s->city);
    assert_int_equal(sqlite3_open(s->cfg.db, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "UPDATE batch SET cose = x'28b52ffd' WHERE id = (SELECT max(id) FROM "
                     "batch WHERE kind = 1); "
                     "DROP TABLE moved; DROP TABLE corrected; DROP TABLE maintained; "
                     "PRAGMA user_version = 2",
                     NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
    site_run(s);
    assert_served_as_moved(s);
    sealed_done(&one);
    sealed_done(&two);
    sealed_done(&spoilt);
}

static void readings_are_served_as_corrections_make_them(void **state)
{
    struct site *s = *state;
    struct wire_fix scaled = {
        .what = WIRE_RESCALE, .scale = num_dec(-5, -1), .offset = num_dec(1, 0)};
    struct wire_fix renamed = {.what = WIRE_REASSIGN, .target = "air-2/visitors"};
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = entries_make(s, &one, &scaled);
    struct wire_header h = header_of(0xaa, 3, &two);
    struct buf p;

    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    buf_init(&p, 4096);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(wire_put_correct(&p, "c2", "air-1/count", 1795000309000, 1795000310000,
                                      &renamed, "two sites", "an"),
                     ST_OK);
    struct sealed three = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &one), 201);
    assert_int_equal(site_put(s, &three), 201); /* in any order */
    assert_int_equal(site_put(s, &two), 201);
    assert_int_equal(
        site_call(s, "GET", "/v1/gateways/gw-1/readings?series=air-2/visitors", NULL, 0, NULL),
        200);
    assert_true(body_is(s, "series,ts_ms,value,quality,chain,seq,moved_ms\n"
                           "air-2/visitors,1795000309250,-499,1,aaaaaaaaaaaaaaaa,1,9000\n"));
    char *text = site_dump(s, false);
    assert_non_null(strstr(text, "gw-1,air-2/visitors,1795000309250,-499,1,aaaaaaaaaaaaaaaa,1\n"));
    assert_null(strstr(text, "air-1/count,1795000309250"));
    free(text);
    text = site_dump(s, true);
    assert_null(strstr(text, "air-2"));
    free(text);
    buf_done(&p);
    sealed_done(&one);
    sealed_done(&two);
    sealed_done(&three);
}

static void readings_come_in_pages(void **state)
{
    struct site *s = *state;
    struct sealed one = batch_make(s, 0xaa, 1, NULL), two = batch_make(s, 0xaa, 2, &one);
    static const char path[] = "/v1/gateways/gw-1/readings";
    char url[160];

    assert_int_equal(site_put(s, &one), 201);
    assert_int_equal(site_put(s, &two), 201);
    snprintf(url, sizeof url, "%s?series=air-1/count&from=1795000301250&to=1795000601250", path);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200);
    assert_true(body_is(s, "series,ts_ms,value,quality,chain,seq,moved_ms\n"
                           "air-1/count,1795000301250,1001,1,aaaaaaaaaaaaaaaa,1,0\n"
                           "air-1/count,1795000302250,1002,1,aaaaaaaaaaaaaaaa,1,0\n"
                           "air-1/count,1795000600250,2000,1,aaaaaaaaaaaaaaaa,2,0\n"));
    snprintf(url, sizeof url, "%s?format=json&limit=1&series=air-1/temperature", path);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200);
    assert_true(body_is(s, "{\"readings\":[\n{\"series\":\"air-1/temperature\",\"ts_ms\":"
                           "1795000300250,\"value\":23.5,\"quality\":0,\"chain\":"
                           "\"aaaaaaaaaaaaaaaa\",\"seq\":1,\"moved_ms\":0}\n],\"next\":"
                           "\"1.2\"}\n"));
    /* all pages together are all readings */
    size_t rows = 0, pages = 0;
    char after[32] = "0";
    do {
        snprintf(url, sizeof url, "%s?format=json&limit=5&after=%s", path, after);
        assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200);
        assert_int_equal(buf_put(&s->reply.body, "", 1), ST_OK);
        const char *p = (const char *)s->reply.body.p;
        for (; (p = strstr(p, "\"ts_ms\"")) != NULL; p++)
            rows++;
        p = strstr((const char *)s->reply.body.p, "\"next\":\"");
        after[0] = '\0';
        if (p != NULL)
            snprintf(after, sizeof after, "%.*s", (int)strcspn(p + 8, "\""), p + 8);
        pages++;
    } while (after[0] != '\0' && pages < 10);
    assert_int_equal(rows, 12);
    assert_int_equal(pages, 3);
    static const char *const wrong[] = {"?limit=0",  "?limit=99999", "?from=x",     "?to=-",
                                        "?after=1x", "?after=1.y",   "?format=xml", "?raw=yes"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(url, sizeof url, "%s%s", path, wrong[i]);
        assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 400);
    }
    sealed_done(&one);
    sealed_done(&two);
}

static void gaps_come_back(void **state)
{
    struct site *s = *state;
    struct wire_header h = header_of(0xaa, 1, NULL);
    const struct wire_gap gaps[] = {
        {"air-1/*", h.from_ms, h.from_ms + 5000, "bus"},
        {"air-1/count", h.from_ms + 5000, h.to_ms, "device"},
    };
    struct buf p;

    h.gaps = gaps;
    h.ngaps = 2;
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed b = seal(&h, &p, s->key);
    assert_int_equal(site_put(s, &b), 201);
    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-1/gaps", NULL, 0, NULL), 200);
    assert_true(body_is(s, "series,from_ms,to_ms,cause,chain,seq\n"
                           "air-1/*,1795000300000,1795000305000,bus,aaaaaaaaaaaaaaaa,1\n"
                           "air-1/count,1795000305000,1795000600000,device,aaaaaaaaaaaaaaaa,1\n"));
    assert_int_equal(site_call(s, "GET",
                               "/v1/gateways/gw-1/gaps?format=json&limit=1&from=1795000300000",
                               NULL, 0, NULL),
                     200);
    assert_true(site_answered(s, "\"next\":\"1\""));
    assert_int_equal(
        site_call(s, "GET", "/v1/gateways/gw-1/gaps?after=1&from=1795000305000", NULL, 0, NULL),
        200);
    assert_true(site_answered(s, "air-1/count"));
    assert_false(site_answered(s, "air-1/*"));
    buf_done(&p);
    sealed_done(&b);
}

static void reading_needs_the_token_when_there_is_one(void **state)
{
    struct site *s = *state;
    char path[128];
    static const char *const good[] = {"Authorization: Bearer 0123456789abcdef", NULL};
    static const char *const bad[] = {"Authorization: Bearer 0123456789abcdeX", NULL};
    static const char *const url = "/v1/gateways/gw-1/readings";

    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 200); /* we are on loopback */
    snprintf(path, sizeof path, "%s/token", s->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("0123456789abcdef\n", f);
    fclose(f);
    city_close(s->city);
    s->cfg.read_token_file = path;
    site_run(s);
    assert_int_equal(site_call(s, "GET", url, NULL, 0, NULL), 401);
    assert_true(site_answered(s, "\"code\":\"unauthorized\""));
    assert_int_equal(site_call(s, "GET", url, NULL, 0, bad), 401);
    static const char *const others[] = {"gaps", "completeness", "alarms"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char other[64];
        snprintf(other, sizeof other, "/v1/gateways/gw-1/%s", others[i]);
        assert_int_equal(site_call(s, "GET", other, NULL, 0, bad), 401);
        assert_int_equal(site_call(s, "GET", other, NULL, 0, good), 200);
    }
    assert_int_equal(site_call(s, "GET", url, NULL, 0, good), 200);
    unlink(path);
}

static void what_is_unknown_is_not_found(void **state)
{
    struct site *s = *state;
    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-2/head?nonce=1", NULL, 0, NULL), 404);
    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-2/readings", NULL, 0, NULL), 404);
    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-1/head", NULL, 0, NULL), 400);
    struct wire_head h = head_of(s, 0);
    wire_head_done(&h);
}

static void a_batch_file_is_verified_against_the_enrolled_keys(void **state)
{
    struct site *s = *state;
    struct sealed b = batch_make(s, 0xaa, 1, NULL);
    char path[128], text[CITY_VERIFY_TEXT];
    struct err e;

    snprintf(path, sizeof path, "%s/1.cose.zst", s->dir);
    for (int turn = 0; turn < 3; turn++) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        if (turn == 2)
            b.cose.p[b.cose.n - 1] ^= 1;
        assert_int_equal(turn == 0 ? fwrite(b.zstd.p, 1, b.zstd.n, f) - b.zstd.n
                                   : fwrite(b.cose.p, 1, b.cose.n, f) - b.cose.n,
                         0);
        fclose(f);
        enum st st = city_verify(&s->cfg, path, text, &e);
        assert_int_equal(st, turn == 2 ? ST_CORRUPT : ST_OK);
        if (st == ST_OK)
            assert_string_equal(text, "gw-1 aaaaaaaaaaaaaaaa/1 data, signature good");
        else
            assert_non_null(strstr(e.text, path));
    }
    unlink(path);
    sealed_done(&b);
}

static void a_database_it_cannot_use_is_said(void **state)
{
    struct site *s = *state;
    struct err e;
    static char pg[] = "postgresql://city@db/fieldpost", none[] = "/nonexistent/city.db";
    struct city *c;

    s->cfg.db = pg;
    assert_int_equal(city_open(&c, &s->cfg, &e), ST_REFUSED);
    assert_non_null(strstr(e.text, "PostgreSQL"));
    s->cfg.db = none;
    assert_int_equal(city_open(&c, &s->cfg, &e), ST_IO);
    assert_non_null(strstr(e.text, none));
    assert_int_equal(city_dump(&s->cfg, false, stdout, &e), ST_NOT_FOUND);
    s->cfg.db = s->cert; /* a file that is no database stays as it is */
    assert_int_equal(city_open(&c, &s->cfg, &e), ST_IO);
    char kid[17];
    assert_int_equal(city_enroll(&s->cfg, "../x", s->dev_pub, kid, &e), ST_BAD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_receipt_acknowledges_the_prefix_without_a_hole),
        TEST(a_link_that_does_not_fit_is_broken_not_refused),
        TEST(a_chain_that_follows_another_is_judged_too),
        TEST(a_signed_void_closes_its_hole),
        TEST(the_dump_is_sorted_and_exact),
        TEST(a_repeat_in_a_later_chain_stands_once),
        TEST(later_entries_move_times_and_take_readings_back),
        TEST(readings_are_served_as_later_entries_move_them),
        TEST(readings_are_served_as_corrections_make_them),
        TEST(readings_come_in_pages),
        TEST(gaps_come_back),
        TEST(reading_needs_the_token_when_there_is_one),
        TEST(what_is_unknown_is_not_found),
        TEST(a_batch_file_is_verified_against_the_enrolled_keys),
        TEST(a_database_it_cannot_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
