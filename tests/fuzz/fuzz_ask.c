/* The body of a request to the API on any bytes: the first says which kind, the rest is the JSON.
 * Beside the sanitizers: what is taken is a request that the seal reads back, about the series that
 * the body names, and its author is the caller's. */
// uses: web
// seeds: tests/fuzz/corpus/ask/*
#include <string.h>

#include "gateway/web/web_int.h"
#include "tests/fuzz/fuzz.h"

#define WHO "lab-1: Lan"
#define NOW_MS INT64_C(1795322171000)

static bool is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool looks(const struct store_ask *a, const struct store_request *q)
{
    static const enum wire_entry_kind kinds[] = {[STORE_CORRECT] = WIRE_ENTRY_CORRECT,
                                                 [STORE_MAINTAIN] = WIRE_ENTRY_MAINTAIN,
                                                 [STORE_RETIRE] = WIRE_ENTRY_RETIRE};
    const struct wire_entry *x = &q->open.x;
    struct num last, first;
    demand(x->kind == kinds[a->kind]);
    demand(is(q->open.who, WHO) && q->open.at_ms == NOW_MS);
    demand(a->series && is(x->series, a->series)); /* without a store nothing is undone */
    demand((q->correction[0] != '\0') == (a->kind == STORE_CORRECT));
    if (a->kind == STORE_CORRECT) {
        demand(is(x->author, WHO) && is(x->reason, a->reason) && x->at_ms < x->to_ms);
    }
    return a->kind == STORE_MAINTAIN && a->details > 2 && wire_meter_of(x, &last, &first) &&
           num_cmp(last, first) < 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct web_ask x;
    struct store_request q;
    struct err e = {.text = ""};
    if (n == 0 || n - 1 > WEB_ASK_MAX) {
        return 0;
    }
    enum store_ask_kind kind = (enum store_ask_kind)(data[0] % STORE_ASK_KINDS);
    enum st st = web_ask_read(&x, kind, data + 1, n - 1, &e);
    if (st != ST_OK) {
        demand((st == ST_BAD || st == ST_REFUSED) && e.text[0]);
        web_ask_done(&x);
        return 0;
    }
    st = store_request_make(&q, &x.ask, WHO, NOW_MS, NULL, &e);
    if (st == ST_OK) {
        demand(q.bytes.n <= WIRE_REQUEST_MAX);
        bool rare = looks(&x.ask, &q);
        (void)rare;
        PLANT(rare);
    } else {
        demand((st == ST_BAD || st == ST_IO) && e.text[0]);
    }
    store_request_free(&q);
    web_ask_done(&x);
    return 0;
}
