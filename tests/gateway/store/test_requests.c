/* From words to a request, and what becomes of the file that holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/store/store.h"
#include "tests/support/temp.h"

#define NOW_MS INT64_C(1795322171000)

static enum st make(struct store_request *q, const struct store_ask *a, const char *who,
                    struct err *e)
{
    return store_request_make(q, a, who, NOW_MS, NULL, e);
}

static void words_become_the_entry_that_they_say(void **state)
{
    (void)state;
    struct store_request q;
    struct wire_fix f;
    struct num last, first;
    struct store_ask a = {.kind = STORE_CORRECT,
                          .series = "meter-1/power",
                          .from = "2026-11-22",
                          .to = "2026-11-22T03:05:10.250Z",
                          .change = "rescale",
                          .scale = "0.10",
                          .reason = "wrong transformer"};
    assert_int_equal(make(&q, &a, "Lan", NULL), ST_OK);
    assert_int_equal(q.open.x.kind, WIRE_ENTRY_CORRECT);
    assert_string_equal(q.correction, q.hex);
    assert_true(wire_fix_of(&q.open.x, &f));
    assert_int_equal(num_cmp(f.scale, num_dec(1, -1)), 0);
    assert_int_equal(num_cmp(f.offset, num_dec(0, 0)), 0);
    assert_int_equal(q.open.x.to_ms - q.open.x.at_ms, ((3 * 60 + 5) * 60 + 10) * 1000 + 250);
    store_request_free(&q);
    a = (struct store_ask){.kind = STORE_MAINTAIN,
                           .series = "meter-1/energy",
                           .from = "1790000000000",
                           .work = "meter",
                           .detail = {{"last", "10432.7"}, {"first", "0"}, {"seal", "blue"}},
                           .details = 3};
    assert_int_equal(make(&q, &a, "Lan", NULL), ST_OK);
    assert_true(wire_meter_of(&q.open.x, &last, &first));
    assert_int_equal(num_cmp(last, num_dec(104327, -1)), 0);
    assert_int_equal(q.open.x.at_ms, 1790000000000);
    assert_string_equal(q.correction, "");
    store_request_free(&q);
    a = (struct store_ask){.kind = STORE_RETIRE, .series = "bin-1/*", .reason = "sold"};
    assert_int_equal(make(&q, &a, "Lan", NULL), ST_OK);
    assert_int_equal(q.open.x.at_ms, NOW_MS); /* now, when nothing is said */
    store_request_free(&q);
    a = (struct store_ask){
        .kind = STORE_ENTER, .series = "scale/net", .value = "4.250", .unit = "t", .force = "true"};
    assert_int_equal(make(&q, &a, "Lan", NULL), ST_OK);
    const struct wire_entry *x = &q.open.x;
    assert_int_equal(x->kind, WIRE_ENTRY_ENTERED);
    assert_int_equal(x->at_ms, NOW_MS);
    assert_int_equal(num_cmp(x->value, num_dec(425, -2)), 0);
    assert_int_equal(x->unit.n, 1);
    assert_int_equal(x->reason.n, 0);
    assert_true(x->force);
    store_request_free(&q);
}

/* What is written on slips becomes the quantity's unit digit by digit, or is refused. */
static void units_that_convert_exactly_are_converted(void **state)
{
    (void)state;
    static const struct {
        const char *value, *unit, *to, *is; /* is NULL: refused */
    } cases[] = {{"4.25", "t", "kg", "4250"},
                 {"4.25", "kg", "kg", "4.25"},
                 {"1", "g", "kg", "0.001"},
                 {"293.15", "K", "Cel", "20"},
                 {"-0.5", "MW", "W", "-500000"},
                 {"1013", "mbar", "hPa", "1013"},
                 {"0.1", "mg/l", "ug/l", "100"},
                 {"1", "l", "kg", NULL},
                 {"0.1", "ppm", "ppb", "100"},
                 {"36", "km/h", "m/s", NULL},
                 {"68", "degF", "Cel", NULL},
                 {"1", "kg", "m3", NULL},
                 {"1", "", "kg", NULL},
                 {"1", "KG", "kg", NULL},
                 {"9223372036854775807", "t", "kg", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct num v, out;
        char text[NUM_TEXT_BYTES];
        struct err e = {.text = ""};
        assert_true(num_parse(cases[i].value, &v));
        enum st st = store_unit_convert(v, cases[i].unit, cases[i].to, &out, &e);
        assert_int_equal(st, cases[i].is ? ST_OK : ST_BAD);
        if (cases[i].is)
            assert_string_equal(num_text(out, text), cases[i].is);
        else
            assert_non_null(strstr(e.text, cases[i].to));
    }
}

static void what_was_set_up_becomes_an_entry_with_its_author(void **state)
{
    (void)state;
    static const char done[] = "meter on line: unit 1 -> unit 11";
    /* ["setup", 0, "x"]: without its author */
    static const uint8_t short_one[] = {0x81, 0x83, 0x65, 's', 'e', 't', 'u', 'p', 0, 0x61, 'x'};
    struct store_request q;
    struct wire_control c;
    struct wire_entry x;
    assert_int_equal(store_request_setup(&q, done, "Minh", NOW_MS, NULL), ST_OK);
    assert_int_equal(q.open.x.kind, WIRE_ENTRY_SETUP);
    assert_int_equal(q.open.x.at_ms, NOW_MS);
    assert_int_equal(q.open.x.text.n, strlen(done));
    assert_memory_equal(q.open.x.text.p, done, strlen(done));
    assert_memory_equal(q.open.x.author.p, "Minh", q.open.x.author.n);
    store_request_free(&q);
    assert_int_equal(store_request_setup(&q, "", "Minh", NOW_MS, NULL), ST_BAD);
    store_request_free(&q);
    assert_int_equal(store_request_setup(&q, done, "", NOW_MS, NULL), ST_BAD);
    store_request_free(&q);
    assert_int_equal(wire_control_open(&c, short_one, sizeof short_one, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_BAD);
}

/* What it says of a wrong request; valid until the next call. */
static const char *wrong(const struct store_ask *a, enum st st)
{
    static struct err e;
    struct store_request q;
    assert_int_equal(make(&q, a, "Lan", &e), st);
    store_request_free(&q);
    return e.text;
}

#define FIX .kind = STORE_CORRECT, .series = "a/b", .from = "1", .to = "2", .reason = "x"
#define SLIP .kind = STORE_ENTER, .series = "a/b"
#define WORK .kind = STORE_MAINTAIN, .series = "a/b", .from = "1"

static void words_that_do_not_belong_together_are_told(void **state)
{
    (void)state;
    static char long_id[200], long_reason[17000], long_value[300], long_key[40];
    memset(long_id, 'x', sizeof long_id - 1);
    memset(long_reason, 'x', sizeof long_reason - 1);
    memset(long_value, 'x', sizeof long_value - 1);
    memset(long_key, 'x', sizeof long_key - 1);
    const struct {
        struct store_ask a;
        const char *says;
    } bad[] = {
        {{FIX}, "change"},
        {{FIX, .change = "delete"}, "change"},
        {{FIX, .change = "invalidate", .scale = "1"}, "scale does not belong"},
        {{FIX, .change = "rescale"}, "scale is needed"},
        {{FIX, .change = "rescale", .scale = "1e3"}, "decimal"},
        {{FIX, .change = "rescale", .scale = "nan"}, "decimal"},
        {{FIX, .change = "reassign"}, "target is needed"},
        {{FIX, .change = "reassign", .target = "c"}, "device/point"},
        {{FIX, .change = "reassign", .target = long_id}, "device/point"},
        {{FIX, .change = "invalidate", .id = long_id}, "128"},
        {{FIX, .change = "invalidate", .id = ""}, "128"},
        {{FIX, .change = "invalidate", .undo = "c"}, "does not belong"},
        {{.kind = STORE_CORRECT, .undo = "c"}, "reason"},
        {{.kind = STORE_CORRECT,
          .series = "a/b",
          .from = "1",
          .to = "1",
          .reason = "x",
          .change = "invalidate"},
         "before to"},
        {{.kind = STORE_CORRECT,
          .series = "a/*",
          .from = "1",
          .to = "2",
          .reason = "x",
          .change = "invalidate"},
         "device/point"},
        {{.kind = STORE_CORRECT,
          .series = "a/b",
          .from = "1",
          .to = "soon",
          .reason = "x",
          .change = "invalidate"},
         "to: \"soon\""},
        {{.kind = STORE_CORRECT,
          .series = "a/b",
          .from = "1",
          .to = "2",
          .reason = long_reason,
          .change = "invalidate"},
         "longer than"},
        {{.kind = STORE_CORRECT,
          .series = "a/b",
          .from = "1",
          .to = "2",
          .reason = "\xff",
          .change = "invalidate"},
         ""},
        {{WORK}, "work"},
        {{WORK, .work = "holiday"}, "work"},
        {{WORK, .work = "calibration", .reason = "x"}, "reason does not belong"},
        {{.kind = STORE_MAINTAIN, .series = "a/b", .work = "calibration"}, "from or to"},
        {{WORK, .work = "calibration", .to = "0"}, "not before"},
        {{WORK, .work = "swap", .to = "2"}, "to does not belong"},
        {{WORK, .work = "swap"}, "old_serial"},
        {{WORK, .work = "swap", .detail = {{"old_serial", "1"}}, .details = 1}, "new_serial"},
        {{WORK, .work = "meter", .detail = {{"last", "1"}, {"first", "x"}}, .details = 2},
         "first: \"x\""},
        {{.kind = STORE_MAINTAIN,
          .series = "a/*",
          .from = "1",
          .work = "meter",
          .detail = {{"last", "1"}, {"first", "2"}},
          .details = 2},
         "one series"},
        {{WORK, .work = "calibration", .detail = {{"by", "x"}}, .details = 1}, "by"},
        {{WORK, .work = "calibration", .detail = {{"a", "x"}, {"a", "y"}}, .details = 2}, "twice"},
        {{WORK, .work = "calibration", .detail = {{"A", "x"}}, .details = 1}, "small letters"},
        {{WORK, .work = "calibration", .detail = {{"", "x"}}, .details = 1}, "small letters"},
        {{WORK, .work = "calibration", .detail = {{long_key, "x"}}, .details = 1}, "31"},
        {{WORK, .work = "calibration", .detail = {{"a", ""}}, .details = 1}, "256"},
        {{WORK, .work = "calibration", .detail = {{"a", long_value}}, .details = 1}, "256"},
        {{.kind = STORE_RETIRE, .series = "a/b"}, "reason is needed"},
        {{.kind = STORE_RETIRE, .reason = "x"}, "series is needed"},
        {{.kind = STORE_RETIRE, .series = "a", .reason = "x"}, ""},
        {{SLIP}, "value is needed"},
        {{SLIP, .value = "1e3"}, "decimal"},
        {{SLIP, .value = "1,5"}, "decimal"},
        {{SLIP, .value = "1", .at = "soon"}, "at: \"soon\""},
        {{SLIP, .value = "1", .note = ""}, "empty"},
        {{SLIP, .value = "1", .unit = ""}, "empty"},
        {{SLIP, .value = "1", .force = "yes"}, "true or false"},
        {{SLIP, .value = "1", .reason = "x"}, "reason does not belong"},
        {{SLIP, .value = "1", .note = long_reason}, "longer than"},
        {{.kind = STORE_ENTER, .series = "a/*", .value = "1"}, ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *text = wrong(&bad[i].a, ST_BAD);
        if (!strstr(text, bad[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, text, bad[i].says);
    }
    /* what only the store can tell */
    wrong(&(struct store_ask){.kind = STORE_CORRECT, .undo = "c", .reason = "x"}, ST_IO);
    wrong(
        &(struct store_ask){
            .kind = STORE_MAINTAIN, .series = "a/b", .to = "1", .work = "calibration"},
        ST_IO);
    struct store_request q;
    const struct store_ask good = {FIX, .change = "invalidate"};
    assert_int_equal(make(&q, &good, "", NULL), ST_BAD);
    store_request_free(&q);
    assert_int_equal(make(&q, &good, long_id, NULL), ST_BAD);
    store_request_free(&q);
}

static void each_word_is_of_the_kinds_that_take_it(void **state)
{
    (void)state;
    struct store_ask a = {.kind = STORE_RETIRE};
    assert_null(store_ask_word_of(STORE_RETIRE, "from"));
    assert_null(store_ask_word_of(STORE_MAINTAIN, "reason"));
    assert_null(store_ask_word_of(STORE_CORRECT, "details"));
    const struct store_ask_word *w = store_ask_word_of(STORE_RETIRE, "at");
    assert_non_null(w);
    *store_ask_at(&a, w) = "1";
    assert_string_equal(a.at, "1");
}

static void what_became_of_it_is_told_from_the_folder(void **state)
{
    (void)state;
    char dir[48], path[64], folder[80], name[300], refused[300];
    struct store_request q;
    struct store_fate f;
    struct store *s = NULL;
    struct store_reader *r = NULL;
    const struct store_ask a = {
        .kind = STORE_RETIRE, .series = "bin-1/*", .reason = "sold\nin spring"};
    assert_non_null(mkdtemp(temp_name(dir, sizeof dir)));
    snprintf(path, sizeof path, "%s/store.db", dir);
    snprintf(folder, sizeof folder, "%s" STORE_REQUESTS, path);
    const struct store_cfg cfg = {
        .path = path, .max_size_bytes = 1 << 28, .keep_ms = 86400000, .journal_every_ms = 10000};
    /* what one that was killed in 1970 left, which a start takes away */
    const struct timespec then[] = {{.tv_sec = 5}, {.tv_sec = 5}};
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(name, sizeof name, "%s/0123.part", folder);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && futimens(fd, then) == 0 && close(fd) == 0);
    assert_int_equal(store_open(&s, &cfg, "gw-1", clk_real(), NULL), ST_OK);
    assert_int_equal(store_start(s, NULL), ST_OK);
    assert_int_equal(access(name, F_OK), -1);
    assert_int_equal(store_reader_open(&r, path, NULL), ST_OK);
    assert_int_equal(make(&q, &a, "Lan", NULL), ST_OK);
    assert_int_equal(store_request_fate(path, r, q.hex, &f, NULL), ST_NOT_FOUND);
    assert_int_equal(store_request_put(path, &q, NULL), ST_OK);
    snprintf(name, sizeof name, "%s/%016llx-%s" STORE_REQUEST_WAITS, folder,
             (unsigned long long)NOW_MS, q.hex);
    struct stat sb;
    assert_int_equal(stat(name, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0600);
    assert_int_equal(store_request_fate(path, r, q.hex, &f, NULL), ST_OK);
    assert_int_equal(f.is, STORE_WAITS);
    static const char *const others[] = {"", "0123456789abcdef", "0123456789abcdeg", "*", "../x"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(store_request_fate(path, r, others[i], &f, NULL), ST_NOT_FOUND);
    char longer[32];
    snprintf(longer, sizeof longer, "%s00", q.hex);
    assert_int_equal(store_request_fate(path, r, longer, &f, NULL), ST_NOT_FOUND);
    snprintf(refused, sizeof refused, "%.*s" STORE_REQUEST_REFUSED,
             (int)(strlen(name) - strlen(STORE_REQUEST_WAITS)), name);
    assert_int_equal(rename(name, refused), 0);
    assert_int_equal(store_request_fate(path, r, q.hex, &f, NULL), ST_OK);
    assert_int_equal(f.is, STORE_REFUSED);
    assert_non_null(strstr(f.why, "events")); /* no reason stands there */
    FILE *w = fopen(refused, "ab");
    assert_non_null(w);
    assert_true(fputs("\nstill configured\n", w) >= 0);
    assert_int_equal(fclose(w), 0);
    assert_int_equal(store_request_fate(path, r, q.hex, &f, NULL), ST_OK);
    assert_string_equal(f.why, "still configured");
    assert_int_equal(unlink(refused), 0);
    assert_int_equal(rmdir(folder), 0);
    store_request_free(&q);
    store_reader_close(r);
    store_close(s);
    static const char *const suffix[] = {"", "-wal", "-shm", ".journal", ".reserve"};
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffix[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(dir), 0);
}

/* People can only ask for so much; what was done to a device is recorded all the same. */
static void what_was_set_up_finds_room_in_a_full_folder(void **state)
{
    (void)state;
    char *dir = temp_make(), path[512];
    struct store_request q;
    struct err e = {.text = ""};
    const struct store_ask a = {.kind = STORE_RETIRE, .series = "bin-1/*", .reason = "sold"};
    assert_non_null(dir);
    (void)snprintf(path, sizeof path, "%s/store.db", dir);
    for (int i = 0; i <= 2 * STORE_REQUESTS_MAX; i++) {
        bool setup = i >= STORE_REQUESTS_MAX;
        if (i == STORE_REQUESTS_MAX) {
            assert_int_equal(make(&q, &a, "Lan", &e), ST_OK);
            assert_int_equal(store_request_put(path, &q, &e), ST_FULL);
            store_request_free(&q);
        }
        assert_int_equal(setup ? store_request_setup(&q, "done", "Minh", NOW_MS, &e)
                               : make(&q, &a, "Lan", &e),
                         ST_OK);
        enum st st = store_request_put(path, &q, &e);
        store_request_free(&q);
        assert_int_equal(st, i < 2 * STORE_REQUESTS_MAX ? ST_OK : ST_FULL); /* nor without end */
    }
    temp_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_the_entry_that_they_say),
        cmocka_unit_test(what_was_set_up_becomes_an_entry_with_its_author),
        cmocka_unit_test(units_that_convert_exactly_are_converted),
        cmocka_unit_test(words_that_do_not_belong_together_are_told),
        cmocka_unit_test(each_word_is_of_the_kinds_that_take_it),
        cmocka_unit_test(what_became_of_it_is_told_from_the_folder),
        cmocka_unit_test(what_was_set_up_finds_room_in_a_full_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
