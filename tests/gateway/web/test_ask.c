/* Who may ask for changes, what a request says, and what becomes of it: over HTTP, with a real
 * store behind, and an injected clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>

#include "gateway/web/web_int.h"
#include "tests/gateway/web/site.h"
#include "tests/support/temp.h"

#define CORRECTIONS "/api/v1/corrections"
#define GOOD                                                                                       \
    "{\"series\":\"meter-1/voltage_l1\",\"from\":\"2026-01-01\",\"to\":\"2026-01-02\","            \
    "\"change\":\"invalidate\",\"reason\":\"spider\",\"by\":\"Lan\"}"

static struct site site;
static struct http_client *client;
static struct http_reply reply;
static char token[WEB_TOKEN_TEXT], folder[128], tokens[128];

static void make(const char *name, unsigned scopes, int64_t ends_ms, char text[WEB_TOKEN_TEXT])
{
    struct web_token t = {.scopes = scopes, .made_ms = 1, .ends_ms = ends_ms};
    snprintf(t.name, sizeof t.name, "%s", name);
    SITE_TRY(web_token_add(site.path, &t, "lan", clk_now(&site.clk), text, e));
}

/* What is due, as the chain says it. */
static void plan(void)
{
    const struct store_sealed b = {.chain = site_chain,
                                   .seq = 2,
                                   .kind = WIRE_DATA,
                                   .from_ms = 300000,
                                   .to_ms = 300000,
                                   .packed = {site_chain, sizeof site_chain}};
    const struct store_planned due[] = {
        {.series = "meter-1/voltage_l1", .quantity = "voltage", .period_ms = 10000},
        {.series = "air-1/pm25", .quantity = "pm25", .period_ms = 60000}};
    SITE_TRY(store_seal(site.store, &b, NULL, due, sizeof due / sizeof *due, e));
}

static int start(void **state)
{
    (void)state;
    site_open(&site, "127.0.0.1:0");
    const struct http_client_cfg cfg = {.ca = site.cert,
                                        .connect_ms = 5000,
                                        .total_ms = 20000,
                                        .max_answer = 1 << 20,
                                        .user_agent = "test"};
    snprintf(folder, sizeof folder, "%s" STORE_REQUESTS, site.path);
    snprintf(tokens, sizeof tokens, "%s" WEB_TOKENS, site.path);
    SITE_TRY(http_client_open(&client, &cfg, e));
    plan();
    make("lab-1", 1U << WEB_CORRECT | 1U << WEB_RETIRE, 0, token);
    return 0;
}

/* What making and removing tokens leaves there is not what is asked for by the API. */
static bool is_change(const char *name)
{
    uint8_t bytes[WIRE_REQUEST_MAX];
    struct wire_request q;
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    return wire_request_open(&q, bytes, n, NULL) == ST_OK && q.x.kind == WIRE_ENTRY_CHANGE;
}

/* How many requests lie there, and the last one's name. */
static int waiting(char name[320])
{
    int n = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *f; d && (f = readdir(d));) {
        if (f->d_name[0] == '.')
            continue;
        char path[320];
        snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        if (is_change(path))
            continue;
        snprintf(name, 320, "%s", path);
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

static int stop(void **state)
{
    (void)state;
    buf_done(&reply.body);
    http_client_close(client);
    site_close(&site);
    return 0;
}

static const char *const as_json = "Content-Type: application/json";

static int ask(const char *method, const char *path, const char *with, const char *type,
               const char *body)
{
    char url[256], bearer[128] = "X-None: 1";
    if (with)
        snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", with);
    const char *headers[] = {bearer, type, NULL};
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", web_port(site.web), path);
    const struct http_call call = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .body = body,
                                   .body_n = body ? strlen(body) : 0};
    reply.body.n = 0;
    SITE_TRY(http_client_do(client, &call, -1, &reply, e));
    return reply.status;
}

/* A member of the answer; valid until the next call. */
static const char *said(const char *key)
{
    static char text[512];
    json_t *j = json_loadb((const char *)reply.body.p, reply.body.n, 0, NULL);
    const char *s = json_string_value(json_object_get(j, key));
    snprintf(text, sizeof text, "%s", s ? s : "(none)");
    json_decref(j);
    return text;
}

static void refused(int status, const char *code, const char *path, const char *with,
                    const char *type, const char *body)
{
    assert_int_equal(ask("POST", path, with, type, body), status);
    assert_string_equal(reply.content_type, "application/problem+json");
    assert_string_equal(said("code"), code);
}

static void a_request_lies_in_the_folder_under_the_tokens_name(void **state)
{
    (void)state;
    char name[320], path[64];
    uint8_t bytes[4096];
    struct wire_request q;
    assert_int_equal(waiting(name), 0);
    assert_int_equal(ask("POST", CORRECTIONS, token, as_json, GOOD), 202);
    assert_string_equal(said("state"), "waiting");
    assert_int_equal(strlen(said("request")), 16);
    snprintf(path, sizeof path, "/api/v1/requests/%s", said("request"));
    assert_string_equal(said("correction"), path + strlen("/api/v1/requests/"));
    assert_int_equal(waiting(name), 1);
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    SITE_TRY(wire_request_open(&q, bytes, n, e));
    assert_int_equal(q.who.n, strlen("lab-1: Lan"));
    assert_memory_equal(q.who.p, "lab-1: Lan", q.who.n);
    assert_int_equal(q.x.author.n, q.who.n);
    assert_memory_equal(q.x.author.p, q.who.p, q.who.n);
    assert_memory_equal(q.x.series.p, "meter-1/voltage_l1", q.x.series.n);
    assert_int_equal(ask("GET", path, token, as_json, NULL), 200);
    assert_string_equal(said("state"), "waiting");
    assert_int_equal(ask("GET", path, NULL, as_json, NULL), 401);
    /* as the seal leaves one that it does not take */
    char refuses[340];
    snprintf(refuses, sizeof refuses, "%.*s" STORE_REQUEST_REFUSED,
             (int)(strlen(name) - strlen(STORE_REQUEST_WAITS)), name);
    f = fopen(name, "ab");
    assert_non_null(f);
    assert_true(fputs("\nthe reason\n", f) >= 0);
    fclose(f);
    assert_int_equal(rename(name, refuses), 0);
    assert_int_equal(ask("GET", path, token, as_json, NULL), 200);
    assert_string_equal(said("state"), "refused");
    assert_string_equal(said("text"), "the reason");
    assert_int_equal(unlink(refuses), 0);
    assert_int_equal(ask("GET", path, token, as_json, NULL), 404);
    assert_string_equal(said("code"), "unknown_request");
}

static void without_the_right_token_nothing_is_asked(void **state)
{
    (void)state;
    char name[320], other[WEB_TOKEN_TEXT], near[WEB_TOKEN_TEXT];
    make("other", 1U << WEB_MAINTAIN, 0, other);
    refused(401, "no_token", CORRECTIONS, NULL, as_json, GOOD);
    refused(401, "no_token", CORRECTIONS "?token=x", NULL, as_json, GOOD);
    snprintf(near, sizeof near, "%s", token);
    near[67] = near[67] == '0' ? '1' : '0';
    refused(401, "wrong_token", CORRECTIONS, near, as_json, GOOD);
    refused(401, "wrong_token", CORRECTIONS, "fpt_", as_json, GOOD);
    refused(403, "wrong_scope", CORRECTIONS, other, as_json, GOOD);
    refused(403, "wrong_scope", "/api/v1/maintenance", token, as_json, GOOD);
    SITE_TRY(web_token_remove(site.path, "other", "lan", clk_now(&site.clk), e));
    refused(401, "wrong_token", CORRECTIONS, other, as_json, GOOD); /* at once */
    refused(415, "unsupported_type", CORRECTIONS, token, "Content-Type: text/plain", GOOD);
    refused(415, "unsupported_type", CORRECTIONS, token, "Content-Type: application/jsonx", GOOD);
    assert_int_equal(waiting(name), 0);
    memset(site.web->door->tokens, 0, sizeof site.web->door->tokens);
}

static struct clk_time unknown_now(void *ctx)
{
    (void)ctx;
    return (struct clk_time){CLK_UNKNOWN_BASE_MS + 1000, CLK_UNKNOWN, 0};
}

static void a_token_that_ended_is_none(void **state)
{
    (void)state;
    char name[320], day[WEB_TOKEN_TEXT];
    int64_t now = clk_now(&site.clk).utc_ms;
    make("day", 1U << WEB_CORRECT, now + 86400000, day);
    refused(400, "bad_json", CORRECTIONS, day, as_json, "x");
    site.back_ms = -86400000;
    refused(401, "expired", CORRECTIONS, day, as_json, GOOD);
    refused(400, "bad_json", CORRECTIONS, token, as_json, "x"); /* one without an end */
    site.back_ms = 0;
    site.clk.now = unknown_now; /* nobody can tell */
    refused(503, "unavailable", CORRECTIONS, day, as_json, GOOD);
    refused(400, "bad_json", CORRECTIONS, token, as_json, "x");
    site.clk.now = site_now;
    assert_int_equal(waiting(name), 0);
    SITE_TRY(web_token_remove(site.path, "day", "lan", clk_now(&site.clk), e));
}

static void wrong_tokens_are_held_up_longer_each_time(void **state)
{
    (void)state;
    static const long delays[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    for (int i = 0; i < 5; i++)
        refused(401, "wrong_token", CORRECTIONS, "x", as_json, GOOD);
    refused(400, "bad_json", CORRECTIONS, token, as_json, "x");
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        refused(401, "wrong_token", CORRECTIONS, "x", as_json, GOOD);
        refused(429, "rate", CORRECTIONS, "x", as_json, GOOD);
        assert_in_range(reply.retry_after_s, delays[i] - 1, delays[i]);
        refused(400, "bad_json", CORRECTIONS, token, as_json, "x"); /* a right one never waits */
        refused(401, "no_token", CORRECTIONS, NULL, as_json, GOOD);
        site.back_ms -= delays[i] * 1000;
    }
    refused(400, "bad_json", CORRECTIONS, token, as_json, "x");
    site.back_ms -= 600001;
    refused(401, "wrong_token", CORRECTIONS, "x", as_json, GOOD); /* forgotten: the first again */
    refused(400, "bad_json", CORRECTIONS, token, as_json, "x");
    site.back_ms = 0;
    memset(site.web->door->tokens, 0, sizeof site.web->door->tokens);
}

static void what_cannot_be_is_refused_before_it_is_written(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code, *body;
    } bad[] = {
        {404, "unknown_series",
         "{\"series\":\"meter-1/none\",\"from\":\"2026-01-01\",\"to\":\"2026-01-02\","
         "\"change\":\"invalidate\",\"reason\":\"x\"}"},
        {409, "conflict",
         "{\"series\":\"meter-1/voltage_l1\",\"from\":\"2026-01-01\",\"to\":\"2026-01-02\","
         "\"change\":\"reassign\",\"target\":\"air-1/pm25\",\"reason\":\"x\"}"},
        {400, "bad_request",
         "{\"series\":\"meter-1/voltage_l1\",\"from\":\"2026-01-02\",\"to\":\"2026-01-02\","
         "\"change\":\"invalidate\",\"reason\":\"x\"}"},
        {400, "bad_request",
         "{\"series\":\"meter-1/voltage_l1\",\"from\":1,\"to\":2,"
         "\"change\":\"invalidate\",\"reason\":\"x\"}"},
        {404, "unknown_correction", "{\"undo\":\"nope\",\"reason\":\"x\"}"},
        {400, "bad_request", "{\"undo\":\"nope\",\"reason\":\"x\",\"by\":\"\"}"},
    };
    char name[320];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].status, bad[i].code, CORRECTIONS, token, as_json, bad[i].body);
    refused(404, "unknown_series", "/api/v1/retirements", token, as_json,
            "{\"series\":\"no/such\",\"reason\":\"x\"}");
    assert_int_equal(waiting(name), 0);
    static char large[WEB_ASK_MAX + 2];
    memset(large, ' ', WEB_ASK_MAX + 1);
    refused(413, "too_large", CORRECTIONS, token, as_json, large);
    assert_int_equal(ask("GET", CORRECTIONS, token, as_json, NULL), 405);
}

static void a_body_is_a_flat_object_of_known_words(void **state)
{
    (void)state;
    static const struct {
        enum store_ask_kind kind;
        enum st st;
        const char *body, *why;
    } bodies[] = {
        {STORE_CORRECT, ST_OK, GOOD, ""},
        {STORE_CORRECT, ST_OK, "{}", ""}, /* what is missing, the store says */
        {STORE_CORRECT, ST_OK, "{\"from\":-5,\"scale\":3}", ""},
        {STORE_MAINTAIN, ST_OK, "{\"details\":{\"last\":10,\"first\":\"0.5\"}}", ""},
        {STORE_CORRECT, ST_BAD, "", "empty"},
        {STORE_CORRECT, ST_BAD, "{\"reason\":\"a\"", "line 1"},
        {STORE_CORRECT, ST_BAD, "{\"reason\":\"a\",\"reason\":\"b\"}", "duplicate"},
        {STORE_CORRECT, ST_BAD, "{\"reason\":\"\\u0000\"}", "line 1"},
        {STORE_CORRECT, ST_BAD, "{\"reason\":\"\xff\"}", "line 1"},
        {STORE_CORRECT, ST_BAD, "[]", "object"},
        {STORE_CORRECT, ST_BAD, "{\"a\":{\"b\":{}}}", "deeper"},
        {STORE_CORRECT, ST_BAD, "[[[[[[[[[[[[[[", "deeper"},
        {STORE_CORRECT, ST_REFUSED, "{\"author\":\"x\"}", "author"},
        {STORE_CORRECT, ST_REFUSED, "{\"work\":\"swap\"}", "work"},
        {STORE_CORRECT, ST_REFUSED, "{\"details\":{}}", "details"},
        {STORE_CORRECT, ST_REFUSED, "{\"reason\":5}", "reason: a text"},
        {STORE_CORRECT, ST_REFUSED, "{\"scale\":0.1}", "\"0.1\""},
        {STORE_CORRECT, ST_REFUSED, "{\"from\":null}", "from"},
        {STORE_MAINTAIN, ST_REFUSED, "{\"details\":[]}", "details"},
        {STORE_MAINTAIN, ST_BAD, "{\"details\":{\"a\":{}}}", "deeper"},
        {STORE_MAINTAIN, ST_REFUSED, "{\"details\":{\"a\":true}}", "a: a text"},
        {STORE_RETIRE, ST_REFUSED, "{\"from\":\"1\"}", "from"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct web_ask x;
        struct err e = {.text = ""};
        enum st st = web_ask_read(&x, bodies[i].kind, bodies[i].body, strlen(bodies[i].body), &e);
        assert_int_equal(st, bodies[i].st);
        assert_non_null(strstr(e.text, bodies[i].why));
        web_ask_done(&x);
    }
    struct web_ask x;
    static const char many[] =
        "{\"details\":{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\",\"f\":\"\",\"g\":"
        "\"\","
        "\"h\":\"\",\"i\":\"\",\"j\":\"\",\"k\":\"\",\"l\":\"\",\"m\":\"\",\"n\":\"\",\"o\":\"\","
        "\"p\":\"\",\"q\":\"\"}}";
    assert_int_equal(web_ask_read(&x, STORE_MAINTAIN, many, sizeof many - 1, NULL), ST_REFUSED);
    web_ask_done(&x);
    static const char text[] =
        "{\"from\":1700000000000,\"scale\":\"0.10\",\"reason\":\"[[[{{{\\\"\"}";
    SITE_TRY(web_ask_read(&x, STORE_CORRECT, text, sizeof text - 1, e));
    assert_string_equal(x.ask.from, "1700000000000");
    assert_string_equal(x.ask.scale, "0.10");
    assert_string_equal(x.ask.reason, "[[[{{{\"");
    assert_null(x.ask.series);
    web_ask_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_lies_in_the_folder_under_the_tokens_name),
        cmocka_unit_test(without_the_right_token_nothing_is_asked),
        cmocka_unit_test(a_token_that_ended_is_none),
        cmocka_unit_test(wrong_tokens_are_held_up_longer_each_time),
        cmocka_unit_test(what_cannot_be_is_refused_before_it_is_written),
        cmocka_unit_test(a_body_is_a_flat_object_of_known_words),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
