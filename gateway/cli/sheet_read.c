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

static int64_t whole(struct reader *x, const json_t *o, const char *key, int64_t least,
                     int64_t most)
{
    const json_t *v = json_object_get(o, key);
    int64_t n = json_integer_value(v);
    bool good = json_is_integer(v) && n >= least && n <= most;
    x->bad |= !good;
    return good ? n : least;
}

/* Exact where it has at most 15 digits, which sheet_read checks at the end. */
static struct num number(struct reader *x, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    struct num n = {.kind = NUM_NONE};
    char digits[NUM_TEXT_BYTES];
    if (json_is_integer(v))
        return num_dec(json_integer_value(v), 0);
    if (json_is_real(v) && !num_parse(num_text(num_flt(json_real_value(v)), digits), &n))
        x->bad = true;
    return n;
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
    r->duty_to = text(x, d, "to");
    r->due_day = day(x, d, "before", true);
    r->duty_source = text(x, d, "source");
    r->catalogue = text(x, o, "catalogue");
}

static void whole_report(struct reader *x, const json_t *o)
{
    const json_t *rows = json_object_get(o, "rows");
    size_t n = json_array_size(rows);
    struct report_row *v = n > 0 && n <= REPORT_ROWS_MAX ? report_bytes(x->r, n * sizeof *v) : NULL;
    head(x, o);
    x->bad |= n > 0 && !v;
    for (size_t i = 0; v && i < n; i++)
        row(x, json_array_get(rows, i), &v[i]);
    x->r->rows = v;
    x->r->n = v ? n : 0;
}

enum st sheet_read(struct report *out, const void *p, size_t n, struct err *e)
{
    struct reader x = {.r = out};
    report_init(out);
    json_t *root = json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
    x.bad = !json_is_object(root);
    if (!x.bad)
        whole_report(&x, root);
    json_decref(root);
    if (x.bad)
        return err_set(e, ST_CORRUPT, "no content of a report");
    ERR_TRY(report_seal(out, e));
    return out->content.n == n && memcmp(out->content.p, p, n) == 0
               ? ST_OK
               : err_set(e, ST_CORRUPT, "not the content of a report as fieldpost writes it");
}
