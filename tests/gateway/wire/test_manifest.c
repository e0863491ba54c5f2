/* The manifest of a folder of sealed batches: one form, read a line at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/wire/wire.h"

static const char good[] =
    "{\"format\":\"fieldpost sealed export\",\"version\":1,\"gateway\":\"gw-01\",\"made\":"
    "1790000000000,\"batches\":[\n"
    "{\"chain\":\"0102030405060708\",\"seq\":1,\"sha256\":"
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"kind\":\"control\","
    "\"n\":0,\"from\":1790000000000,\"to\":1790000000000}\n"
    ",{\"chain\":\"0102030405060708\",\"seq\":2,\"sha256\":"
    "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"kind\":\"data\","
    "\"n\":360,\"from\":1790000000000,\"to\":1790000060000}\n"
    "],\"count\":2,\"complete\":true}\n";

/* Reads a text; how many batches came before the end, or -1 - that many before a fault. */
static int read_text(const char *text, size_t n, struct err *e)
{
    char gw[65];
    struct wire_listed b;
    uint64_t read = 0;
    bool complete = false;
    FILE *f = fmemopen((void *)(uintptr_t)text, n, "r");
    assert_non_null(f);
    enum st st = wire_manifest_open(f, gw, e);
    while (st == ST_OK)
        st = wire_manifest_next(f, &read, &b, &complete, e);
    (void)fclose(f);
    return st == ST_NOT_FOUND ? (int)read : -1 - (int)read;
}

static void what_is_written_is_read_back(void **state)
{
    char line[WIRE_MANIFEST_LINE], text[4 * WIRE_MANIFEST_LINE];
    struct wire_listed b = {.seq = 1, .kind = WIRE_CONTROL, .from_ms = 1790000000000};
    (void)state;
    memcpy(b.chain, "\1\2\3\4\5\6\7\x8", WIRE_ID_BYTES);
    memset(b.sha256, 0xaa, WIRE_HASH_BYTES);
    b.to_ms = b.from_ms;
    wire_manifest_head(line, "gw-01", 1790000000000);
    (void)snprintf(text, sizeof text, "%s\n", line);
    wire_manifest_entry(line, &b);
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", line);
    b = (struct wire_listed){.seq = 2, .n = 360, .from_ms = 1790000000000, .to_ms = 1790000060000};
    memcpy(b.chain, "\1\2\3\4\5\6\7\x8", WIRE_ID_BYTES);
    memset(b.sha256, 0xbb, WIRE_HASH_BYTES);
    wire_manifest_entry(line, &b);
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), ",%s\n", line);
    wire_manifest_end(line, 2, true);
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", line);
    assert_string_equal(text, good);
    assert_int_equal(read_text(good, sizeof good - 1, NULL), 2);
}

static void a_manifest_that_is_cut_off_is_never_whole(void **state)
{
    (void)state;
    for (size_t n = 1; n < sizeof good - 1; n++) {
        if (read_text(good, n, NULL) >= 0)
            fail_msg("%zu bytes of it passed", n);
    }
}

static void no_byte_of_it_can_change_unnoticed(void **state)
{
    char text[sizeof good];
    (void)state;
    for (size_t i = 0; i < sizeof good - 1; i++) {
        memcpy(text, good, sizeof good);
        text[i] = (char)(text[i] ^ 0x80);
        if (read_text(text, sizeof good - 1, NULL) >= 0)
            fail_msg("byte %zu may be %02x", i, (unsigned)(uint8_t)text[i]);
    }
}

static void what_could_point_elsewhere_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } change[] = {
        {"\"gw-01\"", "\"../gw\""},
        {"\"gw-01\"", "\".gw01\""},
        {"\"gw-01\"", "\"gw/01\""},
        {"0102030405060708", "../../../../../x"},
        {"0102030405060708", "010203040506070F"},
        {"\"seq\":1,", "\"seq\":0,"},
        {"\"seq\":1,", "\"seq\":-1,"},
        {"\"seq\":1,", "\"seq\":01,"},
        {"\"seq\":1,", "\"seq\": 1,"},
        {"\"seq\":1,", "\"seq\":9999999999999999999,"},
        {"\"count\":2", "\"count\":3"},
        {"true}", "True}"},
        {"\"control\"", "\"contro\""},
        {"\"version\":1", "\"version\":2"},
    };
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        char text[2 * sizeof good];
        const char *at = strstr(good, change[i].from);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, change[i].to,
                       at + strlen(change[i].from));
        struct err e = {0};
        if (read_text(text, strlen(text), &e) >= 0)
            fail_msg("%s passed", change[i].to);
        assert_true(e.text[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_manifest_that_is_cut_off_is_never_whole),
        cmocka_unit_test(no_byte_of_it_can_change_unnoticed),
        cmocka_unit_test(what_could_point_elsewhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
