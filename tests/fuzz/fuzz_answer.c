/* What an uplink makes of any answer: verdict, receipt, head, notices. The first two bytes choose
 * status and type, the others are the body. Beside the sanitizers: only a problem document about
 * our bytes is final, a receipt that is taken is for our batch, and a head or a notice without its
 * signature is never one.
 */
// uses: uplink store wire http
// seeds: tests/fuzz/corpus/answer/*
#include <strings.h>

#include "gateway/uplink/uplink_int.h"
#include "tests/fuzz/envelope.h"

#define PREFIX 2
#define GW "tra-cau-01" /* with chain, number and hash: the batch of tests/golden/receipt-2.hex */

static const int statuses[] = {200, 201, 204, 302, 400, 401, 403, 404,
                               409, 413, 415, 429, 500, 502, 503, 99};
static const char *const types[] = {"application/cose; cose-type=\"cose-sign1\"",
                                    "application/problem+json", "text/html", ""};
static const struct store_batch batch = {.id = 2,
                                         .chain = {1, 2, 3, 4, 5, 6, 7, 8},
                                         .seq = 2,
                                         .n = 3,
                                         .hash = {0xc4, 0xa2, 0xac, 0x2c, 0x86, 0x54, 0x01, 0x1a,
                                                  0xbe, 0x03, 0xd2, 0x25, 0xe1, 0x0a, 0xb0, 0x2b,
                                                  0xd5, 0xd9, 0xc1, 0x72, 0x15, 0x41, 0x91, 0x7e,
                                                  0x7c, 0xc6, 0x7f, 0x71, 0xe5, 0x18, 0x8a, 0xc7}};

static void try_verdict(const struct http_reply *r)
{
    struct uplink_verdict v = uplink_judge(r, batch.hash);
    char hex[2 * WIRE_HASH_BYTES + 1], theirs[2 * WIRE_HASH_BYTES + 1];
    demand(v.advice && memchr(v.code, 0, sizeof v.code));
    if (v.action == UPLINK_ACCEPTED)
        demand(r->status == 200 || r->status == 201);
    if (v.action != UPLINK_REFUSED && v.action != UPLINK_CONFLICT)
        return;
    wire_hex(batch.hash, WIRE_HASH_BYTES, hex);
    demand(r->status >= 400 && r->status <= 499 && strstr(r->content_type, "problem+json"));
    demand(uplink_problem_member(r->body.p, r->body.n, "sha256", theirs, sizeof theirs));
    demand(strcasecmp(hex, theirs) == 0);
}

static void try_receipt(const struct buf *body)
{
    static struct uplink_run run;
    struct err e = {.text = ""};
    run.count = 0;
    run.bytes.n = 0;
    run.bytes.max = (size_t)UPLINK_RUN_MAX * UPLINK_RECEIPT_MAX;
    enum st st = uplink_run_add(&run, GW, &batch, body, (struct mono){0}, &e);
    demand(st == ST_OK || st == ST_CORRUPT);
    if (st != ST_OK) {
        demand(run.count == 0 && e.text[0]);
        return;
    }
    demand(run.count == 1 && run.sent[0].n == body->n);
    demand(memcmp(run.sent[0].hash, batch.hash, sizeof batch.hash) == 0);
    PLANT(run.sent[0].through_seq > 8);
}

static void try_head(const struct buf *body)
{
    struct wire_head h = {.owned = NULL};
    struct wire_cose cose;
    if (wire_head_open(&h, &cose, body->p, body->n, NULL) == ST_OK)
        demand(uplink_head_check(&h, &cose, GW, "abc", NULL, 0, INT64_MIN, NULL) == ST_CORRUPT);
    wire_head_done(&h);
}

static void try_notices(const struct buf *body)
{
    static struct uplink_trust t;
    const struct uplink_trust_how how = {.by_hand = true, .now_ms = INT64_MIN};
    struct uplink_trust_took took;
    struct err e = {.text = ""};
    if (!t.keys) /* without a key nobody is believed */
        demand(uplink_trust_init(&t, 0, NULL) == ST_OK);
    enum st st = uplink_trust_take(&t, body->p, body->n, &how, &took, &e);
    demand(took.fresh == 0 && took.known == 0 && t.n == 0 && t.notices.n == 0);
    demand((st == ST_OK) == (body->n == 0) && (st == ST_OK || e.text[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct http_reply r = {.retry_after_s = -1};
    if (n < PREFIX)
        return 0;
    r.status = statuses[data[0] % (sizeof statuses / sizeof *statuses)];
    (void)snprintf(r.content_type, sizeof r.content_type, "%s", types[data[1] % 4]);
    r.body = (struct buf){.p = (uint8_t *)(uintptr_t)(data + PREFIX), .n = n - PREFIX};
    try_verdict(&r);
    try_receipt(&r.body);
    try_head(&r.body);
    try_notices(&r.body);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    if (n <= PREFIX || seed % 32 == 0)
        return LLVMFuzzerMutate(data, n, max);
    return PREFIX + envelope_mutate(data + PREFIX, n - PREFIX, max - PREFIX, seed / 32);
}
