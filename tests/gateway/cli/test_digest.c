/* fieldpost digest, and fieldpost verify over a day and a range. */
#include <sys/stat.h>

#include "gateway/cli/qr.h"
#include "gateway/cli/site.h"
#include "gateway/http/http.h"
#include "gateway/web/web.h"
#include "tests/gateway/cli/day.h"

#define TEXT_BYTES 65536

static char out[TEXT_BYTES], err[TEXT_BYTES];

static void slurp(FILE *f, char *to)
{
    rewind(f);
    to[fread(to, 1, TEXT_BYTES - 1, f)] = '\0';
    (void)fclose(f);
}

static int cli(const char *const *args)
{
    FILE *o = tmpfile(), *e = tmpfile();
    assert_true(o && e);
    int code = day_cli(o, e, args);
    slurp(o, out);
    slurp(e, err);
    return code;
}
#define CLI(...) cli((const char *const[]){__VA_ARGS__, NULL})

static char conf[400], pub[400], usb[400], proof[400], chain[400];

static int setup(void **state)
{
    int rc = line_setup(state);
    struct line *l = *state;
    day_make(l);
    (void)snprintf(conf, sizeof(conf), "%s/f.yaml", l->dir);
    (void)snprintf(pub, sizeof(pub), "%s/device.pub", l->dir);
    (void)snprintf(usb, sizeof(usb), "%s/usb", l->dir);
    (void)snprintf(proof, sizeof(proof), "%s/proof.txt", l->dir);
    assert_int_equal(CLI("export", "--config", conf, "--sealed", usb), 0);
    assert_int_equal(CLI("digest", "--config", conf, "--format", "json"), 0);
    const char *at = strstr(out, "\"proof\":\"");
    assert_non_null(at);
    at += strlen("\"proof\":\"");
    day_file(l->dir, "proof.txt", at, strcspn(at, "\""));
    const char *id = strstr(out, "\"chain\":\"") + strlen("\"chain\":\"");
    (void)snprintf(chain, sizeof(chain), "%s/gw-01/%.16s", usb, id);
    return rc;
}

static void batch_path(char path[480], unsigned seq)
{
    (void)snprintf(path, 480, "%s/%u.cose.zst", chain, seq);
}

static void page(struct web *w, struct http_client *c, const char *path, struct http_reply *r)
{
    char url[100];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", web_port(w), path);
    const struct http_call call = {.method = "GET", .url = url, .headers = (const char *[]){NULL}};
    r->body.n = 0;
    assert_int_equal(http_client_do(c, &call, -1, r, NULL), ST_OK);
    assert_int_equal(r->status, 200);
    assert_int_equal(buf_put(&r->body, "", 1), ST_OK);
}

static void the_page_shows_the_same_proof_and_picture(void **state)
{
    struct line *l = *state;
    char at[] = "127.0.0.1:0", cert[400], console[WEB_TOKEN_TEXT];
    const struct web_cfg cfg = {.listen = at};
    const struct web_site site = {.id = "gw-01",
                                  .version = "0",
                                  .language = "vi",
                                  .rooms = {.proof = qr_proof_put, .picture = cli_site_picture}};
    const struct http_client_cfg how = {.ca = cert,
                                        .bearer = console,
                                        .connect_ms = 5000,
                                        .total_ms = 20000,
                                        .max_answer = 1 << 20,
                                        .user_agent = "test"};
    struct web *w = NULL;
    struct http_client *c = NULL;
    struct http_reply r = {.status = 0};
    struct err e = {.text = ""};
    line_start(l);
    assert_int_equal(web_open(&w, &cfg, &site, l->store, &l->clk, &e), ST_OK);
    (void)snprintf(cert, sizeof(cert), "%s" WEB_TLS_CERT, l->db);
    assert_int_equal(web_console_read(l->db, console, &e), ST_OK);
    assert_int_equal(http_client_open(&c, &how, &e), ST_OK);
    page(w, c, "/api/v1/city", &r);
    const char *said = strstr((const char *)r.body.p, "\"proof\":\"");
    assert_non_null(said);
    assert_int_equal(CLI("digest", "--config", conf, "--format", "json"), 0);
    const char *own = strstr(out, "\"proof\":\"");
    size_t n = strcspn(own + 9, "\"") + 10;
    assert_memory_equal(said, own, n);
    page(w, c, "/api/v1/digest.svg", &r);
    assert_int_equal(CLI("digest", "--config", conf, "--format", "svg"), 0);
    assert_string_equal((const char *)r.body.p, out);
    buf_done(&r.body);
    http_client_close(c);
    web_close(w);
    line_stop(l);
}

static void what_was_sealed_of_a_day_is_shown(void **state)
{
    (void)state;
    assert_int_equal(CLI("digest", "--config", conf), 0);
    assert_non_null(strstr(out, "gateway   gw-01\nday       " DAY " (UTC+7)\nbatches   1 to "));
    assert_non_null(strstr(out, "gaps      1\n"));
    assert_non_null(strstr(out, "█"));
    char *same = strdup(out);
    assert_int_equal(CLI("digest", "--config", conf, "--day", DAY), 0);
    assert_string_equal(out, same);
    free(same);
    assert_int_equal(CLI("digest", "--config", conf, "--day", "2026-09-20"), 1);
    assert_non_null(strstr(err, "no digest of that day"));
    assert_int_equal(CLI("digest", "--config", conf, "--day", "2026-02-30"), 2);
    assert_int_equal(CLI("digest", "--config", conf, "--format", "gif"), 2);
    assert_int_equal(CLI("digest", "--config", conf, "--format", "svg"), 0);
    assert_memory_equal(out, "<svg ", 5);
}

/* The card in another machine: the chain that follows tells what the first one held of the day. */
static void what_a_later_chain_tells_is_shown_and_verified(void **state)
{
    struct line *l = *state;
    l->machine = "machine-b";
    line_start(l);
    line_run(l, l->utc_ms + 1800000);
    line_stop(l);
    assert_int_equal(CLI("export", "--config", conf, "--sealed", usb), 0);
    assert_int_equal(CLI("digest", "--config", conf, "--day", "2026-09-22"), 0);
    assert_non_null(strstr(out, " of chain "));
    const char *at = strstr(out, "sealed in batch ");
    assert_non_null(at);
    assert_non_null(strstr(at, " of chain "));
    assert_int_equal(CLI("digest", "--config", conf, "--day", "2026-09-22", "--format", "json"), 0);
    assert_non_null(strstr(out, strrchr(chain, '/') + 1));
    assert_int_equal(CLI("verify", "--key", pub, "--day", "2026-09-22", usb), 1);
    assert_non_null(strstr(out, "gw-01 2026-09-22: batches "));
    assert_null(
        strstr(err, strrchr(chain, '/') + 1)); /* of the new chain's own day there is none */
    assert_non_null(strstr(err, "no digest that is here covers it"));
}

static void the_text_of_the_code_proves_by_itself(void **state)
{
    struct line *l = *state;
    char text[3000], bad[400];
    FILE *f = fopen(proof, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f);
    assert_memory_equal(text, "FP1:gw-01:" DAY ":", 21);
    assert_int_equal(CLI("verify", "--key", pub, proof), 0);
    assert_non_null(strstr(out, "signed: batches 1 to "));
    (void)snprintf(bad, sizeof(bad), "%s/bad.txt", l->dir);
    for (size_t i = 0; i < n; i++) { /* another letter anywhere */
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        day_file(l->dir, "bad.txt", text, n);
        if (CLI("verify", "--key", pub, bad) != 1)
            fail_msg("letter %zu of the proof may be another", i);
        text[i] = was;
    }
    day_file(l->dir, "bad.txt", text, n - 1);
    assert_int_equal(CLI("verify", "--key", pub, bad), 1);
}

static void a_day_is_verified_against_its_digest(void **state)
{
    struct line *l = *state;
    char path[480], away[480];
    (void)l;
    assert_int_equal(CLI("verify", "--key", pub, "--day", DAY, usb), 0);
    assert_non_null(strstr(out, "gw-01 " DAY ": batches 1 to "));
    assert_string_equal(err, "");
    assert_int_equal(CLI("verify", "--key", pub, "--day", "2026-09-20", usb), 1);
    assert_non_null(strstr(err, "no digest of this day"));
    /* of the next day there are batches, and no digest yet */
    assert_int_equal(CLI("verify", "--key", pub, "--day", "2026-09-22", usb), 1);
    assert_non_null(strstr(err, "no digest that is here covers it"));
    batch_path(path, 5);
    (void)snprintf(away, sizeof(away), "%s/away", l->dir);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(CLI("verify", "--key", pub, "--day", DAY, usb), 1);
    assert_non_null(strstr(err, "batch 5 of the day that it digests is missing"));
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(CLI("verify", "--key", pub, "--day", DAY, "--seq", "1-3", usb), 2);
}

/* Its batches are all signed and linked; the digest alone is about something else. */
static void seal_digest_again(struct line *l, const struct wire_digest *d)
{
    struct buf p;
    buf_init(&p, 4096);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(wire_put_digest(&p, d), ST_OK);
    line_start(l);
    line_seal_control(l, &p);
    line_stop(l);
    buf_done(&p);
    assert_int_equal(CLI("export", "--config", conf, "--sealed", usb), 0);
}

static struct wire_digest true_digest(void)
{
    struct wire_digest d = {0};
    char gw[65];
    struct buf text, cose;
    struct wire_batch b;
    struct wire_control c;
    struct wire_entry x;
    buf_init(&text, 4096);
    buf_init(&cose, 4096);
    FILE *f = fopen(proof, "r");
    assert_non_null(f);
    assert_int_equal(buf_reserve(&text, 4000), ST_OK);
    text.n = fread(text.p, 1, 4000, f);
    (void)fclose(f);
    assert_int_equal(qr_proof_read((struct wire_span){text.p, text.n}, gw, &d.day, &cose, NULL),
                     ST_OK);
    assert_int_equal(wire_batch_open(&b, cose.p, cose.n, NULL), ST_OK);
    assert_int_equal(wire_control_open(&c, b.cose.payload.p, b.cose.payload.n, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
    wire_batch_done(&b);
    buf_done(&text);
    buf_done(&cose);
    return x.digest;
}

static void a_digest_that_is_not_of_the_batches_is_told(void **state)
{
    struct line *l = *state;
    const struct wire_digest good = true_digest();
    struct wire_digest d = good;
    assert_int_equal(good.seq_from, 1);
    d.hash[31] ^= 1;
    seal_digest_again(l, &d);
    assert_int_equal(CLI("verify", "--key", pub, usb), 0); /* as batches all are good */
    assert_int_equal(CLI("verify", "--key", pub, "--day", DAY, usb), 1);
    assert_non_null(strstr(err, "the batches are not those that it digests"));
    assert_null(strstr(err, "counts other"));
}

static void a_digest_that_counts_wrong_is_told(void **state)
{
    struct line *l = *state;
    struct wire_digest d = true_digest();
    d.readings++;
    seal_digest_again(l, &d);
    assert_int_equal(CLI("verify", "--key", pub, "--day", DAY, usb), 1);
    assert_non_null(strstr(err, "counts other readings or gaps"));
    assert_null(strstr(err, "are not those"));
}

static void a_digest_of_another_day_is_told(void **state)
{
    struct line *l = *state;
    struct wire_digest d = true_digest();
    d.day++;
    seal_digest_again(l, &d);
    assert_int_equal(CLI("verify", "--key", pub, "--day", "2026-09-22", usb), 1);
    assert_non_null(strstr(err, "is of batches that are not of its day"));
}

static void a_range_is_verified_alone_and_must_be_whole(void **state)
{
    struct line *l = *state;
    char path[480];
    unsigned n = 0;
    (void)l;
    assert_int_equal(CLI("verify", "--key", pub, "--seq", "3-6", usb), 0);
    assert_int_equal(sscanf(out, "%u batches", &n), 1);
    assert_int_equal(n, 4);
    assert_int_equal(CLI("verify", "--key", pub, "--seq", "3-600", usb), 1);
    assert_non_null(strstr(err, "to 600 are missing"));
    assert_int_equal(CLI("verify", "--key", pub, "--seq", "600-700", usb), 1);
    assert_int_equal(CLI("verify", "--key", pub, "--from", "2026-09-21T15:00:00Z", "--to",
                         "2026-09-21T15:25:00Z", usb),
                     0);
    assert_int_equal(sscanf(out, "%u batches", &n), 1);
    assert_int_equal(n, 4); /* 14:50 to 15:00 touches, and three that begin before 15:25 */
    batch_path(path, 9);
    assert_int_equal(remove(path), 0); /* outside of what is asked for */
    assert_int_equal(CLI("verify", "--key", pub, "--seq", "3-6", usb), 0);
    assert_int_equal(CLI("verify", "--key", pub, "--seq", "3-12", usb), 1);
    assert_non_null(strstr(err, "before it 9 to 9 are missing"));
    static const char *const none[] = {"0-3", "3", "3-", "6-3", "3-6x", "-3", "a-b"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(CLI("verify", "--key", pub, "--seq", none[i], usb), 2);
    assert_int_equal(CLI("verify", "--key", pub, "--from", "soon", usb), 2);
}

static void base45_is_that_of_rfc_9285(void **state)
{
    struct buf cose, text;
    char gw[65];
    int64_t day = 0;
    (void)state;
    buf_init(&cose, 4096);
    buf_init(&text, 4096);
    assert_int_equal(qr_proof_put(&text, "g", 0, (struct wire_span){(const uint8_t *)"Hello!!", 7}),
                     ST_OK);
    assert_int_equal(text.n, 17 + 11);
    assert_memory_equal(text.p, "FP1:g:1970-01-01:%69 VD92EX0", 28); /* its section 4.3 */
    assert_int_equal(qr_proof_read((struct wire_span){text.p, text.n}, gw, &day, &cose, NULL),
                     ST_OK);
    assert_int_equal(cose.n, 7);
    assert_memory_equal(cose.p, "Hello!!", 7);
    static const char *const bad[] = {"FP1:g:1970-01-01:GGX", /* 65536: RFC 9285 refuses it */
                                      "FP1:g:1970-01-01::::",
                                      "FP1:g:1970-01-01:%69 VD92EX",
                                      "FP1:g:1970-01-01:a00",
                                      "FP1:g:1970-1-1:000",
                                      "FP1:g",
                                      "FP2:g:1970-01-01:000",
                                      ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        cose.n = 0;
        struct wire_span s = {(const uint8_t *)bad[i], strlen(bad[i])};
        assert_int_equal(qr_proof_read(s, gw, &day, &cose, NULL), ST_BAD);
    }
    buf_done(&cose);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, line_teardown)
        TEST(what_was_sealed_of_a_day_is_shown),
        TEST(the_page_shows_the_same_proof_and_picture),
        TEST(what_a_later_chain_tells_is_shown_and_verified),
        TEST(the_text_of_the_code_proves_by_itself),
        TEST(a_day_is_verified_against_its_digest),
        TEST(a_digest_that_is_not_of_the_batches_is_told),
        TEST(a_digest_that_counts_wrong_is_told),
        TEST(a_digest_of_another_day_is_told),
        TEST(a_range_is_verified_alone_and_must_be_whole),
        cmocka_unit_test(base45_is_that_of_rfc_9285),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
