/* What goes over the control socket: one JSON object a line, of known keys alone. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/ctl_int.h"
#include "gateway/collect/push_int.h"

static const char *const ops[] = {[COLLECT_READ] = "read",
                                  [COLLECT_PROBE] = "probe",
                                  [COLLECT_PAUSE] = "pause",
                                  [COLLECT_SETUP] = "setup"};
static const char *const faults[COLLECT_FAULTS] = {
    [COLLECT_GOOD] = "good",       [COLLECT_EXCEPTION] = "exception", [COLLECT_SILENT] = "silent",
    [COLLECT_GARBAGE] = "garbage", [COLLECT_FOREIGN] = "foreign",     [COLLECT_LOST] = "lost",
    [COLLECT_STOPPED] = "stopped"};
static const char hex[] = "0123456789abcdef";

static bool word_of(const char *const *words, size_t n, const char *text, int *out)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], text) == 0) {
            *out = (int)i;
            return true;
        }
    return false;
}

static size_t print(json_t *o, char *text, size_t room)
{
    size_t n = o ? json_dumpb(o, text, room - 1, JSON_COMPACT) : 0;
    json_decref(o);
    if (n == 0 || n >= room)
        return 0;
    text[n] = '\n';
    return n + 1;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* As unpacked, before its ranges are checked. */
struct raw {
    const char *op, *bus, *parity, *profile, *by, *to_parity;
    json_int_t unit, function, address, count, timeout, baud, stop_bits, to_unit, to_baud;
    int trial;
};

static bool within(json_int_t v, json_int_t min, json_int_t max, const char *what, struct err *e)
{
    if (v >= min && v <= max)
        return true;
    (void)err_set(e, ST_BAD, "%s: a number from %lld to %lld", what, (long long)min,
                  (long long)max);
    return false;
}

static bool line_of(const struct raw *r, struct collect_ask *q, struct err *e)
{
    char parity = r->parity[0];
    q->line = (struct collect_serial){.baud = r->baud, .stop_bits = r->stop_bits};
    if (r->baud == 0)
        return true;
    if (strlen(r->parity) != 1 || !strchr("NEO", parity)) {
        (void)err_set(e, ST_BAD, "parity: N, E or O");
        return false;
    }
    q->line.parity = (unsigned char)parity;
    return within(r->baud, 300, 4000000, "baud", e) && within(r->stop_bits, 1, 2, "stop_bits", e);
}

static bool read_of(const struct raw *r, struct collect_ask *q, struct err *e)
{
    json_int_t most = r->function <= 2 ? 8 * COLLECT_DATA_BYTES : COLLECT_DATA_BYTES / 2;
    if (!within(r->unit, 0, 255, "unit", e) || !within(r->function, 1, 4, "function", e) ||
        !within(r->address, 0, 65535, "address", e) || !within(r->count, 1, most, "count", e) ||
        !within(r->address + r->count, 1, 65536, "address and count", e) ||
        !within(r->timeout, 0, 3000, "timeout", e))
        return false;
    q->function = (unsigned)r->function;
    q->address = (unsigned)r->address;
    q->count = (unsigned)r->count;
    q->trial = r->trial != 0;
    return line_of(r, q, e);
}

static bool word_fits(const char *text, char *to, size_t room, const char *what, struct err *e)
{
    int n = snprintf(to, room, "%s", text);
    if (n > 0 && (size_t)n < room)
        return true;
    (void)err_set(e, ST_BAD, "%s: 1 to %zu bytes", what, room - 1);
    return false;
}

static bool setup_of(const struct raw *r, struct collect_ask *q, struct err *e)
{
    if (!within(r->unit, 1, 247, "unit", e) || !within(r->to_unit, 0, 247, "to_unit", e) ||
        (r->to_baud != 0 && !within(r->to_baud, 300, 921600, "to_baud", e)) ||
        !word_fits(r->profile, q->profile, sizeof q->profile, "profile", e) ||
        !word_fits(r->by, q->by, sizeof q->by, "by", e))
        return false;
    if (r->to_parity[0] && (strlen(r->to_parity) != 1 || !strchr("NEO", r->to_parity[0]))) {
        (void)err_set(e, ST_BAD, "to_parity: N, E or O");
        return false;
    }
    q->to_unit = (int)r->to_unit;
    q->to_baud = r->to_baud;
    q->to_parity = (unsigned char)r->to_parity[0];
    return true;
}

static bool ask_of(const struct raw *r, struct collect_ask *q, struct err *e)
{
    int op;
    if (!word_of(ops, sizeof ops / sizeof *ops, r->op, &op)) {
        (void)err_set(e, ST_BAD, "op: read, probe, pause or setup");
        return false;
    }
    if (snprintf(q->bus, sizeof q->bus, "%s", r->bus) >= (int)sizeof q->bus) {
        (void)err_set(e, ST_BAD, "bus: no id is that long");
        return false;
    }
    q->op = (enum collect_op)op;
    if (!within(r->unit, -1, 255, "unit", e) ||
        !within(r->timeout, q->op == COLLECT_PAUSE, COLLECT_PAUSE_MAX_MS, "timeout", e) ||
        (q->op == COLLECT_READ && !read_of(r, q, e)) ||
        (q->op == COLLECT_SETUP && !setup_of(r, q, e)))
        return false;
    q->unit = (int)r->unit;
    q->timeout_ms = r->timeout;
    return true;
}

enum st collect_ask_parse(const char *p, size_t n, struct collect_ask *q, struct err *e)
{
    struct raw r = {
        .parity = "", .unit = -1, .stop_bits = 1, .profile = "", .by = "", .to_parity = ""};
    struct collect_ask got = {.unit = -1};
    json_error_t why;
    json_t *o = collect_json_load(p, n, e);
    bool good = false;
    if (!o)
        return ST_BAD;
    if (json_unpack_ex(
            o, &why, JSON_STRICT,
            "{s:s, s:s, s?I, s?I, s?I, s?I, s?I, s?b, s?I, s?s, s?I, s?s, s?s, s?I, s?I, "
            "s?s}",
            "op", &r.op, "bus", &r.bus, "unit", &r.unit, "function", &r.function, "address",
            &r.address, "count", &r.count, "timeout", &r.timeout, "trial", &r.trial, "baud",
            &r.baud, "parity", &r.parity, "stop_bits", &r.stop_bits, "profile", &r.profile, "by",
            &r.by, "to_unit", &r.to_unit, "to_baud", &r.to_baud, "to_parity", &r.to_parity) != 0)
        (void)err_set(e, ST_BAD, "no request: %s", why.text);
    else
        good = ask_of(&r, &got, e);
    json_decref(o); /* r's texts with it */
    if (!good)
        return ST_BAD;
    *q = got;
    return ST_OK;
}

size_t collect_ask_print(const struct collect_ask *q, char text[COLLECT_ASK_TEXT])
{
    const char parity[2] = {(char)q->line.parity, '\0'};
    const char to_parity[2] = {(char)q->to_parity, '\0'};
    json_t *o = json_pack("{s:s, s:s, s:i, s:I}", "op", ops[q->op], "bus", q->bus, "unit", q->unit,
                          "timeout", (json_int_t)q->timeout_ms);
    int rc = o ? 0 : -1;
    if (rc == 0 && q->op == COLLECT_READ)
        rc = json_object_update_new(o, json_pack("{s:i, s:i, s:i, s:b}", "function",
                                                 (int)q->function, "address", (int)q->address,
                                                 "count", (int)q->count, "trial", (int)q->trial));
    if (rc == 0 && q->op == COLLECT_READ && q->line.baud > 0)
        rc = json_object_update_new(o, json_pack("{s:I, s:s, s:I}", "baud",
                                                 (json_int_t)q->line.baud, "parity", parity,
                                                 "stop_bits", (json_int_t)q->line.stop_bits));
    if (rc == 0 && q->op == COLLECT_SETUP)
        rc = json_object_update_new(o, json_pack("{s:s, s:s, s:i, s:I, s:s}", "profile", q->profile,
                                                 "by", q->by, "to_unit", q->to_unit, "to_baud",
                                                 (json_int_t)q->to_baud, "to_parity", to_parity));
    if (rc != 0) {
        json_decref(o);
        return 0;
    }
    return print(o, text, COLLECT_ASK_TEXT);
}

/* ---- replies -------------------------------------------------------------------------------- */

static bool bytes_of(const char *text, struct collect_reply *r)
{
    size_t n = strlen(text);
    if (n % 2 != 0 || n / 2 > sizeof r->data)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *at = strchr(hex, text[i]);
        if (!at)
            return false;
        r->data[i / 2] = (uint8_t)(r->data[i / 2] << 4 | (at - hex));
    }
    r->bytes = n / 2;
    return true;
}

static bool st_of(const char *text, enum st *out)
{
    for (enum st st = ST_OK; st <= ST_STOPPED; st++)
        if (strcmp(err_name(st), text) == 0) {
            *out = st;
            return true;
        }
    return false;
}

enum st collect_reply_parse(const char *p, size_t n, struct collect_reply *r, struct err *e)
{
    const char *st, *fault, *text, *data;
    int late, waited, f = 0;
    json_int_t took;
    json_error_t why;
    struct collect_reply got = {.st = ST_OK};
    json_t *o = collect_json_load(p, n, e);
    if (!o)
        return ST_BAD;
    bool good = json_unpack_ex(o, &why, 0, "{s:s, s:s, s:i, s:b, s:b, s:I, s:s, s:s}", "st", &st,
                               "fault", &fault, "exception", &got.exception, "late", &late,
                               "waited", &waited, "ms", &took, "text", &text, "data", &data) == 0 &&
                st_of(st, &got.st) && word_of(faults, COLLECT_FAULTS, fault, &f) &&
                bytes_of(data, &got);
    if (good) {
        got.fault = (enum collect_fault)f;
        got.late = late != 0;
        got.waited = waited != 0;
        got.took_ms = took;
        (void)snprintf(got.text, sizeof got.text, "%s", text);
        *r = got;
    }
    json_decref(o);
    return good ? ST_OK : err_set(e, ST_BAD, "the gateway's reply cannot be read");
}

size_t collect_reply_print(const struct collect_reply *r, char text[COLLECT_REPLY_TEXT])
{
    char data[2 * COLLECT_DATA_BYTES + 1];
    for (size_t i = 0; i < r->bytes; i++) {
        data[2 * i] = hex[r->data[i] >> 4];
        data[2 * i + 1] = hex[r->data[i] & 15];
    }
    data[2 * r->bytes] = '\0';
    return print(json_pack("{s:s, s:s, s:i, s:b, s:b, s:I, s:s, s:s}", "st", err_name(r->st),
                           "fault", faults[r->fault], "exception", r->exception, "late",
                           (int)r->late, "waited", (int)r->waited, "ms", (json_int_t)r->took_ms,
                           "text", r->text, "data", data),
                 text, COLLECT_REPLY_TEXT);
}

/* ---- while a device is set up -----------------------------------------------------------------
 */

static const char *const kinds[] = {
    [COLLECT_NEWS_SAY] = "say", [COLLECT_NEWS_ASK] = "ask", [COLLECT_NEWS_DONE] = "done"};

size_t collect_news_print(const struct collect_news *w, char text[COLLECT_REPLY_TEXT])
{
    return print(json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "news", kinds[w->kind], "text",
                           w->text, "st", err_name(w->st), "what", w->done.text, "written",
                           (int)w->done.written, "others", (int)w->done.others, "recorded",
                           (int)w->done.recorded),
                 text, COLLECT_REPLY_TEXT);
}

enum st collect_news_parse(const char *p, size_t n, struct collect_news *w, struct err *e)
{
    const char *kind, *text, *st, *what;
    int k = 0, written, others, recorded;
    json_error_t why;
    struct collect_news got = {.st = ST_OK};
    json_t *o = collect_json_load(p, n, e);
    if (!o)
        return ST_BAD;
    bool good = json_unpack_ex(o, &why, 0, "{s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "news", &kind,
                               "text", &text, "st", &st, "what", &what, "written", &written,
                               "others", &others, "recorded", &recorded) == 0 &&
                word_of(kinds, sizeof kinds / sizeof *kinds, kind, &k) && st_of(st, &got.st);
    if (good) {
        got.kind = (enum collect_news_kind)k;
        got.done = (struct collect_setup_done){
            .written = written != 0, .others = others != 0, .recorded = recorded != 0};
        (void)snprintf(got.text, sizeof got.text, "%s", text);
        (void)snprintf(got.done.text, sizeof got.done.text, "%s", what);
        *w = got;
    }
    json_decref(o);
    return good ? ST_OK : err_set(e, ST_BAD, "what the gateway says cannot be read");
}
