/* The subcommands as a person types them, over a store that the line itself has written. */
#include "tests/support/line.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli/cli.h"
#include "tests/support/temp.h"

#define TEXT_BYTES 65536

static char out[TEXT_BYTES], err[TEXT_BYTES];

static void slurp(FILE *f, char *to)
{
    rewind(f);
    to[fread(to, 1, TEXT_BYTES - 1, f)] = '\0';
    (void)fclose(f);
}

static int no_run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 77;
}

/* Runs "fieldpost ARGS…" with its streams in `out` and `err`. */
static int cli(const char *const *args)
{
    char *argv[16] = {(char *)(uintptr_t) "fieldpost"};
    int argc = 1;
    for (; args[argc - 1]; argc++) {
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    }
    FILE *o = tmpfile(), *e = tmpfile();
    assert_true(o && e);
    (void)fflush(stdout);
    int so = dup(1), se = dup(2);
    assert_true(dup2(fileno(o), 1) >= 0 && dup2(fileno(e), 2) >= 0);
    int code = cli_main(argc, argv, no_run);
    (void)fflush(stdout);
    assert_true(dup2(so, 1) >= 0 && dup2(se, 2) >= 0);
    (void)close(so);
    (void)close(se);
    slurp(o, out);
    slurp(e, err);
    return code;
}
#define CLI(...) cli((const char *const[]){__VA_ARGS__, NULL})

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++) {
        n++;
    }
    return n;
}

/* ---- commands ---- */

static void every_command_explains_itself(void **state)
{
    (void)state;
    static const char *const commands[] = {"check",  "keygen",   "status", "export",
                                           "digest", "receipts", "backup", "verify"};
    assert_int_equal(CLI("--help"), 0);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        assert_non_null(strstr(out, commands[i]));
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        assert_int_equal(CLI(commands[i], "--help"), 0);
        assert_non_null(strstr(out, "usage: fieldpost "));
        assert_string_equal(err, "");
        char *explained = strdup(out);
        assert_int_equal(CLI("help", commands[i]), 0);
        assert_string_equal(out, explained);
        free(explained);
        assert_int_equal(CLI(commands[i], "--no-such-option"), 2);
        assert_string_equal(out, "");
        assert_non_null(strstr(err, "usage: fieldpost "));
    }
    assert_int_equal(CLI("chekc"), 2);
    assert_non_null(strstr(err, "unknown command \"chekc\"; did you mean \"check\"?"));
    assert_int_equal(CLI("help", "chekc"), 2);
    assert_int_equal(CLI("--version"), 0);
    assert_string_equal(out, "fieldpost " CLI_VERSION "\n");
    assert_int_equal(CLI("run"), 77);
}

static void a_key_is_made_once(void **state)
{
    (void)state;
    char *dir = temp_make(), path[200];
    struct stat before, after;
    assert_non_null(dir);
    (void)snprintf(path, sizeof(path), "%s/device.key", dir);
    assert_int_equal(CLI("keygen", "--out", path), 0);
    assert_memory_equal(out, "-----BEGIN PUBLIC KEY-----\n", 27);
    assert_memory_equal(err, "kid ", 4);
    assert_int_equal(strlen(err), 4 + 16 + 1);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_int_equal(CLI("keygen", "--out", path), 1);
    assert_string_equal(out, "");
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    assert_int_equal(CLI("keygen"), 2);
    temp_done(dir);
}

static void check_prints_all_mistakes_at_once(void **state)
{
    (void)state;
    char *dir = temp_make(), path[200], want[1000];
    assert_non_null(dir);
    (void)snprintf(path, sizeof(path), "%s/f.yaml", dir);
    static const char bad[] = "gateway: {idd: x}\n"
                              "store: {path: /nonexistent/x.db, keep: 60}\n"
                              "uplinks:\n"
                              "  city: {url: 'http://city', ca: /nonexistent/ca.pem,\n"
                              "         receipt_keys: [/nonexistent/k.pub]}\n"
                              "wbe: {}\n";
    write_file(path, bad, sizeof(bad) - 1);
    assert_int_equal(CLI("check", "--config", path), 2);
    assert_string_equal(out, "");
    static const char *const each[] = {":1:1: section \"seal:\" is missing",
                                       ":1:11: unknown key \"idd\"; did you mean \"id\"?",
                                       ":2:40: keep: \"60\" is not a time",
                                       ":4:15: url: must be https://",
                                       ":4:34: ca: /nonexistent/ca.pem cannot be read",
                                       ":5:25: receipt_keys: ",
                                       ":6:1: unknown key \"wbe\"; did you mean \"web\"?"};
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        (void)snprintf(want, sizeof(want), "%s%s", path, each[i]);
        if (!strstr(err, want)) {
            fail_msg("lacks %s:\n%s", want, err);
        }
    }
    static const char good[] = "gateway: {id: gw-01}\nstore: {path: /nonexistent/x.db}\n"
                               "seal: {key: /nonexistent/device.key}\n";
    write_file(path, good, sizeof(good) - 1);
    if (CLI("check", "--config", path) != 0) {
        fail_msg("%s", err);
    }
    assert_int_equal(CLI("check", "--config", "/nonexistent/f.yaml"), 2);
    assert_int_equal(lines(err), 1);
    temp_done(dir);
}

/* It would be shown on the page, stand in errors and go to the city with the configuration. */
static void a_password_in_the_url_of_a_city_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const urls[] = {"https://lan:s3cret@city.example:8443",
                                       "https://s3cret@city.example/x", "https://:s3cret@city"};
    char *dir = temp_make(), path[200], text[400], none[220];
    assert_non_null(dir);
    (void)snprintf(path, sizeof(path), "%s/f.yaml", dir);
    (void)snprintf(none, sizeof(none), "%s/none.yaml", dir);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        int n = snprintf(text, sizeof(text),
                         "gateway: {id: gw-01}\nstore: {path: /nonexistent/x.db}\n"
                         "seal: {key: %s/device.key}\nuplinks:\n  city: {url: \"%s\", ca: %s, "
                         "receipt_keys: [%s]}\n",
                         dir, urls[i], path, path);
        write_file(path, text, (size_t)n);
        assert_int_equal(CLI("check", "--config", path), 2);
        assert_non_null(strstr(err, "f.yaml:5:15: url: takes no name and no password"));
        assert_non_null(strstr(err, "identity"));
        assert_null(strstr(err, "s3cret"));
        /* nor does enrolling, which begins before there is anything to check */
        assert_int_not_equal(
            CLI("enroll", "--config", none, "--replaces", "gw-01", "--city", urls[i]), 0);
        assert_non_null(strstr(err, "url: takes no name and no password"));
        assert_null(strstr(err, "s3cret"));
        assert_int_equal(access(none, F_OK), -1);
    }
    temp_done(dir);
}

/* ---- a site ---- */

struct site {
    struct line line;
    char config[200], pub[200], usb[200], db[300];
};

/* Two devices polled for three windows: 2 × 3 points every 10 s, the last poll not sealed. */
static void site_open(struct site *s)
{
    struct err e = {0};
    line_init(&s->line);
    line_start(&s->line);
    line_run(&s->line, LINE_T0 + 190000);
    line_step(&s->line, true);
    (void)snprintf(s->config, sizeof(s->config), "%s/f.yaml", s->line.dir);
    (void)snprintf(s->pub, sizeof(s->pub), "%s/device.pub", s->line.dir);
    (void)snprintf(s->usb, sizeof(s->usb), "%s/usb", s->line.dir);
    char yaml[800];
    int n = snprintf(yaml, sizeof(yaml),
                     "gateway: {id: gw-01}\nstore: {path: %s}\nseal: {key: %s}\n"
                     "web: {listen: \"off\"}\n",
                     s->line.db, s->line.key);
    write_file(s->config, yaml, (size_t)n);
    struct wire_key *key = NULL;
    struct buf pem;
    buf_init(&pem, 4096);
    assert_int_equal(wire_key_load(&key, s->line.key, &e), ST_OK);
    assert_int_equal(wire_pub_pem(wire_key_pub(key), &pem), ST_OK);
    write_file(s->pub, pem.p, pem.n);
    buf_done(&pem);
    wire_key_free(key);
}

static void site_close(struct site *s)
{
    line_done(&s->line);
}

static void make_dir(const char *path)
{
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
}

/* {usb}/gw-01/{chain}/{seq}.cose.zst; returns how many. */
static size_t write_usb(struct site *s)
{
    struct line_batches b;
    line_batches(&s->line, &b);
    make_dir(s->usb);
    for (size_t i = 0; i < b.n; i++) {
        char chain[WIRE_ID_TEXT], path[400];
        wire_hex(b.v[i].row.chain, WIRE_ID_BYTES, chain);
        (void)snprintf(path, sizeof(path), "%s/gw-01", s->usb);
        make_dir(path);
        (void)snprintf(s->db, sizeof(s->db), "%s/gw-01/%s", s->usb, chain);
        make_dir(s->db);
        (void)snprintf(path, sizeof(path), "%s/%llu.cose.zst", s->db,
                       (unsigned long long)b.v[i].row.seq);
        struct wire_zstd *z = NULL;
        struct buf packed;
        buf_init(&packed, WIRE_BATCH_MAX);
        assert_int_equal(wire_zstd_open(&z, NULL), ST_OK);
        assert_int_equal(wire_zstd_pack(z, 3, b.v[i].cose.p, b.v[i].cose.n, &packed, NULL), ST_OK);
        write_file(path, packed.p, packed.n);
        (void)snprintf(path, sizeof(path), "%s/%llu.raw", s->line.dir,
                       (unsigned long long)b.v[i].row.seq);
        write_file(path, b.v[i].cose.p, b.v[i].cose.n);
        wire_zstd_close(z);
        buf_done(&packed);
    }
    size_t n = b.n;
    line_batches_done(&b);
    return n;
}

static void export_prints_every_reading_once(void **state)
{
    (void)state;
    struct site s;
    site_open(&s);
    struct line_batches b;
    line_batches(&s.line, &b);
    uint64_t sealed = line_sealed_readings(&b), pending = line_pending_readings(&s.line);
    line_batches_done(&b);
    assert_true(sealed > 0 && pending > 0);

    assert_int_equal(CLI("export", "--config", s.config, "--format", "csv"), 0);
    assert_memory_equal(out, "series,ts_ms,value,quality,chain,seq\n", 37);
    assert_int_equal(lines(out), 1 + sealed + pending);
    uint64_t open = 0;
    for (const char *p = out; (p = strstr(p, ",,\n")); p++) {
        open++;
    }
    assert_int_equal(open, pending);

    assert_int_equal(CLI("export", "--config", s.config, "--format", "jsonl"), 0);
    assert_int_equal(lines(out), sealed + pending);
    assert_memory_equal(out, "{\"series\":\"", 11);
    assert_non_null(strstr(out, "\"chain\":null,\"seq\":null}\n"));

    assert_int_equal(CLI("export", "--config", s.config, "--format", "csv", "--from",
                         "1790000060000", "--to", "1790000070000"),
                     0);
    assert_int_equal(lines(out), 1 + LINE_DEVICES * LINE_POINTS);
    assert_null(strstr(out, ",1790000070000,"));
    assert_int_equal(CLI("export", "--config", s.config, "--format", "csv", "--series", "nothing*"),
                     0);
    assert_int_equal(lines(out), 1);
    assert_int_equal(CLI("export", "--config", s.config, "--format", "csv", "--from", "noon"), 2);
    assert_int_equal(CLI("export", "--config", s.config, "--format", "xml"), 2);
    assert_int_equal(CLI("export", "--config", "/nonexistent", "--format", "csv"), 2);
    site_close(&s);
}

static void status_falls_back_to_the_store(void **state)
{
    (void)state;
    struct site s;
    site_open(&s);
    assert_int_equal(CLI("status", "--config", s.config), 0);
    assert_non_null(strstr(out, "running: false\n"));
    assert_int_equal(CLI("status", "--config", s.config, "--json"), 0);
    assert_non_null(strstr(out, "\"gateway\": \"gw-01\""));
    site_close(&s);
}

/* Verifies the export; it must be off, and the reason on stderr. */
static void assert_off(struct site *s, const char *why)
{
    assert_int_equal(CLI("verify", "--key", s->pub, s->usb), 1);
    if (!strstr(err, why)) {
        fail_msg("\"%s\" is not what it says: %s", why, err);
    }
    (void)write_usb(s); /* whole again */
}

/* Number 2 signed anew, with one thing of its header changed. */
static void forge(struct site *s, void (*change)(struct wire_header *h))
{
    struct line_batches b;
    struct wire_key *key = NULL;
    struct buf cose;
    char path[400];
    line_batches(&s->line, &b);
    buf_init(&cose, WIRE_BATCH_MAX);
    assert_int_equal(wire_key_load(&key, s->line.key, NULL), ST_OK);
    struct wire_header h = b.v[1].batch.header;
    struct wire_span payload = b.v[1].batch.cose.payload;
    change(&h);
    assert_int_equal(wire_batch_sign(&h, payload.p, payload.n, wire_key_signer(key), &cose, NULL),
                     ST_OK);
    (void)snprintf(path, sizeof(path), "%s/2.cose.zst", s->db);
    write_file(path, cose.p, cose.n); /* not a frame: verify looks at the bytes, not the name */
    wire_key_free(key);
    buf_done(&cose);
    line_batches_done(&b);
}

static void other_prev(struct wire_header *h)
{
    h->prev[0] ^= 1;
}

static void later_window(struct wire_header *h)
{
    h->from_ms += 1;
}

static void verify_says_what_is_off(void **state)
{
    (void)state;
    struct site s;
    char a[400], b[400], want[100];
    site_open(&s);
    size_t n = write_usb(&s);
    assert_true(n >= 3);
    (void)snprintf(want, sizeof(want), "%zu batches, ", n);
    if (CLI("verify", "--key", s.pub, s.usb) != 0) {
        fail_msg("%s%s", out, err);
    }
    assert_memory_equal(out, want, strlen(want));
    assert_non_null(strstr(out, ": good\n"));
    (void)snprintf(a, sizeof(a), "%s/2.raw", s.line.dir);
    assert_int_equal(CLI("verify", "--key", s.pub, a), 0);

    /* one bit of a signature, which ends the bytes */
    FILE *f = fopen(a, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    int last = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    assert_int_equal(fputc(last ^ 1, f), last ^ 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(CLI("verify", "--key", s.pub, a), 1);
    assert_non_null(strstr(err, "2.raw: "));

    (void)snprintf(a, sizeof(a), "%s/2.cose.zst", s.db);
    (void)snprintf(b, sizeof(b), "%s/99.cose.zst", s.db);
    assert_int_equal(unlink(a), 0);
    assert_off(&s, "before it 2 to 2 are missing");
    assert_int_equal(rename(a, b), 0);
    assert_off(&s, "does not lie where its header says");
    assert_int_equal(unlink(b), 0);
    write_file(a, "not a batch", 11);
    assert_off(&s, "2.cose.zst: ");
    assert_int_equal(truncate(a, 40), 0);
    assert_off(&s, "2.cose.zst: ");

    forge(&s, other_prev);
    assert_off(&s, "2.cose.zst: does not follow the batch before it: the chain is broken");
    forge(&s, later_window);
    assert_off(&s, "2.cose.zst: its window does not begin where the one before ends");

    /* a key that signed none of them */
    char other[200], pem[200];
    (void)snprintf(other, sizeof(other), "%s/other.key", s.line.dir);
    (void)snprintf(pem, sizeof(pem), "%s/other.pub", s.line.dir);
    assert_int_equal(CLI("keygen", "--out", other), 0);
    write_file(pem, out, strlen(out));
    assert_int_equal(CLI("verify", "--key", pem, s.usb), 1);
    assert_non_null(strstr(err, "which is not among the given ones"));
    assert_int_equal(CLI("verify", "--key", s.pub, "--key", pem, s.usb), 0);
    assert_int_equal(CLI("verify", s.usb), 2);
    assert_int_equal(CLI("verify", "--key", "/nonexistent", s.usb), 2);
    assert_int_equal(CLI("verify", "--key", s.pub, "/nonexistent"), 1);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(a_key_is_made_once),
        cmocka_unit_test(check_prints_all_mistakes_at_once),
        cmocka_unit_test(a_password_in_the_url_of_a_city_is_refused_and_not_repeated),
        cmocka_unit_test(export_prints_every_reading_once),
        cmocka_unit_test(status_falls_back_to_the_store),
        cmocka_unit_test(verify_says_what_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
