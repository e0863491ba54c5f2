/* The content of a report, read back. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gateway/cli/sheet_keep.h"

struct reader {
    struct report *r;
    bool bad;
};

/* A text of an object; what is not there is bad. */
static const char *text(struct reader *x, const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    const char *own = v ? report_text(x->r, v) : NULL;
    x->bad |= !own;
    return own ? own : "";
}

/* Numbers have become texts (texts_of). */
static struct num number(struct reader *x, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    struct num n = {.kind = NUM_NONE};
    if (!json_is_null(v) && !(json_is_string(v) && num_parse(json_string_value(v), &n)))
        x->bad = true;
    return n;
}

static int64_t whole(struct reader *x, const json_t *o, const char *key, int64_t least,
                     int64_t most)
{
    struct num v = number(x, o, key);
    bool good = v.kind == NUM_DEC && v.exp == 0 && v.i >= least && v.i <= most;
    x->bad |= !good;
    return good ? v.i : least;
}

static int32_t day(struct reader *x, const json_t *o, const char *key, bool may_lack)
{
    const json_t *v = json_object_get(o, key);
    const char *t = json_string_value(v);
    int64_t d = 0;
    if (may_lack && json_is_null(v))
        return INT32_MAX;
    if (!t || !wire_day_parse((struct wire_span){(const uint8_t *)t, strlen(t)}, &d))
        x->bad = true;
    return (int32_t)d;
}

static void both(struct reader *x, const json_t *o, const char *key,
                 const char *out[REPORT_LANGUAGES])
{
    const json_t *v = json_object_get(o, key);
    out[REPORT_VI] = text(x, v, "vi");
    out[REPORT_EN] = text(x, v, "en");
}

static const char *op_of(struct reader *x, const json_t *o)
{
    static const char *const ops[] = {"<", "<=", ">", ">=", "=", "!="};
    const char *t = json_string_value(json_object_get(o, "op"));
    for (size_t i = 0; t && i < sizeof ops / sizeof *ops; i++)
        if (strcmp(t, ops[i]) == 0)
            return ops[i];
    x->bad = true;
    return "";
}

static struct report_target target(struct reader *x, const json_t *o)
{
    if (!o)
        return (struct report_target){.op = "", .source = "", .note = ""};
    return (struct report_target){.op = op_of(x, o),
                                  .value = number(x, o, "value"),
                                  .year = whole(x, o, "year", 0, 9999),
                                  .source = text(x, o, "source"),
                                  .note = text(x, o, "note"),
                                  .distance = number(x, o, "distance"),
                                  .met = json_is_true(json_object_get(o, "met"))};
}

static struct report_limit limit(struct reader *x, const json_t *o)
{
    if (!o)
        return (struct report_limit){.norm = "", .parameter = "", .window = "", .unit = ""};
    return (struct report_limit){.norm = text(x, o, "norm"),
                                 .parameter = text(x, o, "parameter"),
                                 .window = text(x, o, "window"),
                                 .unit = text(x, o, "unit"),
                                 .value = number(x, o, "value")};
}

static void runs(struct reader *x, const json_t *list, struct report_row *to)
{
    size_t n = json_array_size(list);
    struct report_run *v = n > 0 ? report_bytes(x->r, n * sizeof *v) : NULL;
    x->bad |= !json_is_array(list) || (n > 0 && !v);
    for (size_t i = 0; v && i < n; i++) {
        const json_t *o = json_array_get(list, i);
        v[i].day = day(x, o, "from", false);
        v[i].days = (int32_t)whole(x, o, "days", 1, 100000);
        v[i].revision = (uint32_t)whole(x, o, "revision", 0, UINT32_MAX);
        x->bad |= v[i].day < x->r->period.from_day || v[i].day + v[i].days - 1 > x->r->until_day;
    }
    to->runs = v;
    to->nruns = v ? n : 0;
}

static void row(struct reader *x, const json_t *o, struct report_row *to)
{
    const json_t *owner = json_object_get(o, "owner"), *model = json_object_get(o, "model");
    const char *label = text(x, o, "label");
    int l = 0;
    while (l < REPORT_LABELS && strcmp(label, report_label_text[l]) != 0)
        l++;
    x->bad |= l == REPORT_LABELS;
    *to = (struct report_row){.id = text(x, o, "id"),
                              .instance = text(x, o, "instance"),
                              .about = text(x, o, "about"),
                              .reason = text(x, o, "reason"),
                              .unit = text(x, o, "unit"),
                              .decimals = (int)whole(x, o, "decimals", 0, 24),
                              .label = (enum report_label)(l % REPORT_LABELS),
                              .value = number(x, o, "value"),
                              .numerator = text(x, o, "numerator"),
                              .denominator = text(x, o, "denominator"),
                              .due = (uint64_t)whole(x, o, "due", 0, INT64_MAX),
                              .good = (uint64_t)whole(x, o, "good", 0, INT64_MAX),
                              .needed = whole(x, o, "needed", 0, 100),
                              .target = target(x, json_object_get(o, "target")),
                              .limit = limit(x, json_object_get(o, "limit")),
                              .owner_unit = text(x, owner, "unit"),
                              .owner_person = text(x, owner, "person"),
                              .model_type = text(x, model, "type"),
                              .model_attribute = text(x, model, "attribute")};
    both(x, o, "name", to->name);
    both(x, o, "sentence", to->sentence);
    both(x, o, "reason_text", to->reason_text);
    runs(x, json_object_get(o, "days"), to);
}

static void head(struct reader *x, const json_t *o)
{
    struct report *r = x->r;
    const json_t *t = json_object_get(o, "territory"), *p = json_object_get(o, "period");
    const json_t *d = json_object_get(o, "duty");
    const char *closing = text(x, p, "closing");
    r->gateway = text(x, o, "gateway");
    r->site = text(x, o, "site");
    r->territory = text(x, t, "id");
    r->code = text(x, t, "code");
    both(x, t, "name", r->territory_name);
    r->office = text(x, t, "office");
    x->bad |= report_period_parse(&r->period, text(x, p, "text"),
                                  strcmp(closing, "14") == 0 ? REPORT_ON_14TH : REPORT_CALENDAR,
                                  NULL) != ST_OK;
    r->until_day = day(x, p, "until", false);
    x->bad |= r->until_day < r->period.from_day - 1 || r->until_day > r->period.to_day;
    r->duty_to = text(x, d, "to");
    r->due_day = day(x, d, "before", true);
    r->duty_source = text(x, d, "source");
    r->catalogue = text(x, o, "catalogue");
}

/* Rows are sorted, and none is there twice: a sheet says one thing of each figure. */
static bool is_behind(const struct report_row *a, const struct report_row *b)
{
    int c = strcmp(a->id, b->id);
    return c < 0 || (c == 0 && strcmp(a->instance, b->instance) < 0);
}

static void whole_report(struct reader *x, const json_t *o)
{
    const json_t *rows = json_object_get(o, "rows");
    size_t n = json_array_size(rows);
    struct report_row *v = n > 0 && n <= REPORT_ROWS_MAX ? report_bytes(x->r, n * sizeof *v) : NULL;
    head(x, o);
    x->bad |= n > 0 && !v;
    for (size_t i = 0; v && i < n; i++) {
        row(x, json_array_get(rows, i), &v[i]);
        x->bad |= i > 0 && !is_behind(&v[i - 1], &v[i]);
    }
    x->r->rows = v;
    x->r->n = v ? n : 0;
}

/* JSON's numbers are binary64 to its readers; exact ones have up to 19 digits. So each becomes a
 * text before it is read; one that was a text comes out as a number, and is found by that. */
static enum st texts_of(const char *p, size_t n, struct buf *out)
{
    bool inside = false;
    for (size_t i = 0; i < n;) {
        size_t len = inside ? 0 : strspn(p + i, "+-.0123456789eE");
        if (len > 0 && (p[i] == '-' || (p[i] >= '0' && p[i] <= '9'))) {
            ERR_TRY(buf_printf(out, "\"%.*s\"", (int)len, p + i));
            i += len;
            continue;
        }
        inside ^= p[i] == '"';
        len = inside && p[i] == '\\' && i + 1 < n ? 2 : 1;
        ERR_TRY(buf_put(out, p + i, len));
        i += len;
    }
    return ST_OK;
}

enum st sheet_read(struct report *out, const char *text, struct err *e)
{
    struct reader x = {.r = out};
    struct buf b;
    report_init(out);
    buf_init(&b, 3 * REPORT_CONTENT_MAX);
    size_t n = strlen(text);
    enum st st = n <= REPORT_CONTENT_MAX ? texts_of(text, n, &b) : ST_FULL;
    json_t *root =
        st == ST_OK ? json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    buf_done(&b);
    x.bad = !json_is_object(root);
    if (!x.bad)
        whole_report(&x, root);
    json_decref(root);
    if (st == ST_MEMORY)
        return err_set(e, st, "no memory for a report");
    return x.bad ? err_set(e, ST_CORRUPT, "no content of a report") : report_seal(out, e);
}
