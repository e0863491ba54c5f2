/* The content of a report as bytes: what its digest is of (gateway/doc/report.md). Always the same
 * order, no white space, numbers as num.h writes them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/report_int.h"

const char *const report_label_text[REPORT_LABELS] = {"measured", "proxy", "indicative"};
const char *const report_state_text[REPORT_STATES] = {"draft", "approved", "submitted"};

/* ---- texts that it owns -----------------------------------------------------------------------
 */

struct report_arena {
    struct report_arena *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

void report_init(struct report *r)
{
    *r = (struct report){.gateway = "",
                         .site = "",
                         .territory = "",
                         .code = "",
                         .territory_name = {"", ""},
                         .office = "",
                         .duty_to = "",
                         .duty_source = "",
                         .due_day = INT32_MAX,
                         .catalogue = "",
                         .approved = {.who = ""},
                         .submitted = {.who = ""},
                         .replaces = "",
                         .reason = ""};
    buf_init(&r->content, REPORT_CONTENT_MAX);
}

void report_done(struct report *r)
{
    while (r->arena) {
        struct report_arena *next = r->arena->next;
        free(r->arena);
        r->arena = next;
    }
    buf_done(&r->content);
    *r = (struct report){.n = 0};
}

void *report_bytes(struct report *r, size_t n)
{
    struct report_arena *a = n < SIZE_MAX / 2 ? calloc(1, sizeof *a + n) : NULL;
    if (!a)
        return NULL;
    a->next = r->arena;
    r->arena = a;
    return a->bytes;
}

/* Bytes of the character that begins at p; 0: none that UTF-8 has. */
static size_t character(const unsigned char *p)
{
    static const struct {
        unsigned char from, to, least, most; /* first byte; what the second may be */
        size_t n;
    } forms[] = {{0x20, 0x7e, 0, 0, 1},       {0xc2, 0xc2, 0xa0, 0xbf, 2}, /* no C1 controls */
                 {0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                 {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*p < forms[i].from || *p > forms[i].to)
            continue;
        if (forms[i].n > 1 && (p[1] < forms[i].least || p[1] > forms[i].most))
            return 0;
        for (size_t k = 2; k < forms[i].n; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].n;
    }
    return 0;
}

const char *report_text(struct report *r, const char *text)
{
    static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
    if (!text || !*text)
        return "";
    char *out = report_bytes(r, 3 * strlen(text) + 1), *to = out;
    for (const unsigned char *p = (const unsigned char *)text; out && *p;) {
        size_t n = character(p);
        if (n > 0) {
            memcpy(to, p, n);
            to += n;
        } else if (*p < 0x20 || *p == 0x7f) {
            *to++ = ' ';
        } else {
            memcpy(to, unknown, sizeof unknown - 1);
            to += sizeof unknown - 1;
        }
        p += n > 0 ? n : 1;
    }
    return out;
}

/* ---- the bytes ---------------------------------------------------------------------------------
 */

struct writer {
    struct buf *out;
    enum st st;
    bool first; /* of its object or list */
};

static void put(struct writer *w, const char *text, size_t n)
{
    if (w->st == ST_OK)
        w->st = buf_put(w->out, text, n);
}

enum st report_quote(struct buf *out, const char *text)
{
    enum st st = buf_put(out, "\"", 1);
    for (const char *p = text; st == ST_OK && *p; p++) {
        if (*p == '"' || *p == '\\')
            st = buf_put(out, "\\", 1);
        if (st == ST_OK)
            st = buf_put(out, p, 1);
    }
    return st == ST_OK ? buf_put(out, "\"", 1) : st;
}

static void put_text(struct writer *w, const char *text)
{
    if (w->st == ST_OK)
        w->st = report_quote(w->out, text);
}

static void key(struct writer *w, const char *name)
{
    if (!w->first)
        put(w, ",", 1);
    w->first = false;
    if (!name)
        return;
    put_text(w, name);
    put(w, ":", 1);
}

static void begin(struct writer *w, const char *name, const char *bracket)
{
    key(w, name);
    put(w, bracket, 1);
    w->first = true;
}

static void end(struct writer *w, const char *bracket)
{
    put(w, bracket, 1);
    w->first = false;
}

static void text(struct writer *w, const char *name, const char *value)
{
    key(w, name);
    put_text(w, value);
}

static void whole(struct writer *w, const char *name, int64_t value)
{
    key(w, name);
    if (w->st == ST_OK)
        w->st = buf_printf(w->out, "%" PRId64, value);
}

static void number(struct writer *w, const char *name, struct num value)
{
    char digits[NUM_TEXT_BYTES];
    const char *t = value.kind == NUM_NONE ? "null" : num_text(value, digits);
    key(w, name);
    put(w, t, strlen(t));
}

static void both(struct writer *w, const char *name, const char *const value[REPORT_LANGUAGES])
{
    begin(w, name, "{");
    text(w, "vi", value[REPORT_VI]);
    text(w, "en", value[REPORT_EN]);
    end(w, "}");
}

static void day(struct writer *w, const char *name, int32_t value)
{
    char date[WIRE_DAY_TEXT];
    key(w, name);
    if (value != INT32_MAX && wire_day_text(value, date) == ST_OK)
        put_text(w, date);
    else
        put(w, "null", 4);
}

static void put_target(struct writer *w, const struct report_target *t)
{
    if (!t->op[0])
        return;
    begin(w, "target", "{");
    text(w, "op", t->op);
    number(w, "value", t->value);
    whole(w, "year", t->year);
    text(w, "source", t->source);
    text(w, "note", t->note);
    number(w, "distance", t->distance);
    if (t->distance.kind != NUM_NONE) {
        key(w, "met");
        put(w, t->met ? "true" : "false", t->met ? 4 : 5);
    }
    end(w, "}");
}

static void put_limit(struct writer *w, const struct report_limit *l)
{
    if (!l->norm[0])
        return;
    begin(w, "limit", "{");
    text(w, "norm", l->norm);
    text(w, "parameter", l->parameter);
    text(w, "window", l->window);
    number(w, "value", l->value);
    text(w, "unit", l->unit);
    end(w, "}");
}

static void put_row(struct writer *w, const struct report_row *x)
{
    begin(w, NULL, "{");
    text(w, "id", x->id);
    text(w, "instance", x->instance);
    text(w, "about", x->about);
    both(w, "name", x->name);
    both(w, "sentence", x->sentence);
    text(w, "label", report_label_text[x->label]);
    text(w, "unit", x->unit);
    whole(w, "decimals", x->decimals);
    number(w, "value", x->value);
    text(w, "reason", x->reason);
    both(w, "reason_text", x->reason_text);
    text(w, "numerator", x->numerator);
    text(w, "denominator", x->denominator);
    whole(w, "due", (int64_t)x->due);
    whole(w, "good", (int64_t)x->good);
    whole(w, "needed", x->needed);
    put_target(w, &x->target);
    put_limit(w, &x->limit);
    begin(w, "owner", "{");
    text(w, "unit", x->owner_unit);
    text(w, "person", x->owner_person);
    end(w, "}");
    begin(w, "model", "{");
    text(w, "type", x->model_type);
    text(w, "attribute", x->model_attribute);
    end(w, "}");
    begin(w, "days", "[");
    for (size_t i = 0; i < x->nruns; i++) {
        begin(w, NULL, "{");
        day(w, "from", x->runs[i].day);
        whole(w, "days", x->runs[i].days);
        whole(w, "revision", x->runs[i].revision);
        end(w, "}");
    }
    end(w, "]");
    end(w, "}");
}

static void put_period(struct writer *w, const struct report *r)
{
    begin(w, "period", "{");
    text(w, "text", r->period.text);
    text(w, "closing", r->period.closing == REPORT_ON_14TH ? "14" : "calendar");
    day(w, "from", r->period.from_day);
    day(w, "to", r->period.to_day);
    day(w, "until", r->until_day);
    end(w, "}");
}

enum st report_seal(struct report *r, struct err *e)
{
    uint8_t hash[WIRE_HASH_BYTES];
    struct writer w = {.out = &r->content, .st = ST_OK, .first = true};
    r->content.n = 0;
    begin(&w, NULL, "{");
    whole(&w, "v", 1);
    text(&w, "gateway", r->gateway);
    text(&w, "site", r->site);
    begin(&w, "territory", "{");
    text(&w, "id", r->territory);
    text(&w, "code", r->code);
    both(&w, "name", r->territory_name);
    text(&w, "office", r->office);
    end(&w, "}");
    put_period(&w, r);
    begin(&w, "duty", "{");
    text(&w, "to", r->duty_to);
    day(&w, "before", r->due_day);
    text(&w, "source", r->duty_source);
    end(&w, "}");
    text(&w, "catalogue", r->catalogue);
    begin(&w, "rows", "[");
    for (size_t i = 0; i < r->n; i++)
        put_row(&w, &r->rows[i]);
    end(&w, "]");
    end(&w, "}");
    if (w.st != ST_OK)
        return err_set(e, w.st, "the report of %s does not fit into %zu bytes", r->period.text,
                       REPORT_CONTENT_MAX);
    wire_sha256(r->content.p, r->content.n, hash);
    wire_hex(hash, sizeof hash, r->digest);
    return ST_OK;
}
