/* What the control socket parses, at both ends. What is taken for a request lies within its ranges,
 * and says the same when it is printed and parsed again; so does a reply. */
// uses: collect
// seeds: tests/fuzz/corpus/ctl/*
#include <string.h>

#include "gateway/collect/ctl_int.h"
#include "tests/fuzz/fuzz.h"

static void try_ask(const char *p, size_t n)
{
    struct collect_ask q, again;
    struct err e = {.text = ""};
    char text[COLLECT_ASK_TEXT];
    memset(&q, 0x5a, sizeof q);
    if (collect_ask_parse(p, n, &q, &e) != ST_OK) {
        demand(e.text[0] != '\0' && q.bus[0] == 0x5a);
        return;
    }
    demand(memchr(q.bus, '\0', sizeof q.bus));
    demand(q.unit >= -1 && q.unit <= 255 && q.timeout_ms >= 0);
    if (q.op == COLLECT_READ) {
        unsigned bytes = q.function <= 2 ? (q.count + 7) / 8 : 2 * q.count;
        demand(q.unit >= 0 && q.function >= 1 && q.function <= 4 && q.count >= 1);
        demand(q.address + q.count <= 65536 && bytes <= COLLECT_DATA_BYTES);
        demand(q.line.baud == 0 || (q.line.baud > 0 && strchr("NEO", q.line.parity)));
    }
    if (q.op == COLLECT_SETUP) {
        demand(q.unit >= 1 && q.unit <= 247 && q.to_unit >= 0 && q.to_unit <= 247);
        demand(q.to_baud == 0 || (q.to_baud >= 300 && q.to_baud <= 921600));
        demand(q.to_parity == 0 || strchr("NEO", q.to_parity));
        demand(q.profile[0] && memchr(q.profile, '\0', sizeof q.profile));
        demand(q.by[0] && memchr(q.by, '\0', sizeof q.by));
    }
    size_t len = collect_ask_print(&q, text);
    if (len == 0)
        return; /* more escapes in a bus's name than a line has room for */
    demand(text[len - 1] == '\n' && memchr(text, '\n', len) == text + len - 1);
    demand(collect_ask_parse(text, len, &again, &e) == ST_OK);
    demand(again.op == q.op && again.unit == q.unit && strcmp(again.bus, q.bus) == 0);
    demand(q.op != COLLECT_READ || (again.address == q.address && again.count == q.count &&
                                    again.line.baud == q.line.baud));
    demand(q.op != COLLECT_SETUP || (again.to_unit == q.to_unit && again.to_baud == q.to_baud &&
                                     strcmp(again.profile, q.profile) == 0));
    PLANT(q.op == COLLECT_READ && q.count == 9);
}

static void try_reply(const char *p, size_t n)
{
    struct collect_reply r, again;
    char text[COLLECT_REPLY_TEXT];
    if (collect_reply_parse(p, n, &r, NULL) != ST_OK)
        return;
    demand(r.bytes <= sizeof r.data && r.fault < COLLECT_FAULTS);
    demand(memchr(r.text, '\0', sizeof r.text));
    size_t len = collect_reply_print(&r, text);
    if (len == 0)
        return; /* a text that was cut within a character */
    demand(collect_reply_parse(text, len, &again, NULL) == ST_OK);
    demand(again.bytes == r.bytes && memcmp(again.data, r.data, r.bytes) == 0);
}

static void try_news(const char *p, size_t n)
{
    struct collect_news w, again;
    char text[COLLECT_REPLY_TEXT];
    if (collect_news_parse(p, n, &w, NULL) != ST_OK)
        return;
    demand(memchr(w.text, '\0', sizeof w.text) && memchr(w.done.text, '\0', sizeof w.done.text));
    size_t len = collect_news_print(&w, text);
    if (len == 0)
        return; /* a text that was cut within a character */
    demand(collect_news_parse(text, len, &again, NULL) == ST_OK);
    demand(again.kind == w.kind && again.st == w.st && strcmp(again.text, w.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    try_ask((const char *)data, n);
    try_reply((const char *)data, n);
    try_news((const char *)data, n);
    return 0;
}
