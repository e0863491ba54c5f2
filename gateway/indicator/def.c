/* An indicator's file: its keys, and what can be said of it without looking at another
 * (gateway/doc/indicator.md, 1). */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/indicator_int.h"

const struct cfg_word indicator_label_words[] = {{"measured", INDICATOR_MEASURED},
                                                 {"proxy", INDICATOR_PROXY},
                                                 {"indicative", INDICATOR_INDICATIVE},
                                                 {NULL, 0}};
const struct cfg_word indicator_period_words[] = {
    {"hour", INDICATOR_HOUR}, {"day", INDICATOR_DAY}, {NULL, 0}};
const struct cfg_word indicator_longer_words[] = {{"ratio", INDICATOR_RATIO},
                                                  {"sum", INDICATOR_SUM},
                                                  {"mean", INDICATOR_MEAN},
                                                  {"max", INDICATOR_MAX},
                                                  {"min", INDICATOR_MIN},
                                                  {"none", INDICATOR_NONE},
                                                  {NULL, 0}};
const struct cfg_word indicator_by_words[] = {
    {"site", INDICATOR_SITE}, {"place", INDICATOR_PLACE}, {"device", INDICATOR_DEVICE}, {NULL, 0}};
const struct cfg_word indicator_op_words[] = {{"<", INDICATOR_LT},
                                              {"<=", INDICATOR_LE},
                                              {">", INDICATOR_GT},
                                              {">=", INDICATOR_GE},
                                              {"==", INDICATOR_EQ},
                                              {"!=", INDICATOR_NE},
                                              {NULL, 0}};

#define INPUT(k, m) .key = k, .offset = offsetof(struct indicator_input, m)
static const struct cfg_field input_fields[] = {
    {INPUT("quantity", quantity), .kind = CFG_STRINGS,
     .help = "quantities of its series, of one unit; or `any`"},
    {INPUT("role", role), .kind = CFG_STRINGS, .help = "of devices with one of these roles"},
    {INPUT("stream", stream), .kind = CFG_STRINGS, .help = "of devices of these waste streams"},
    {INPUT("place", place), .kind = CFG_STRINGS, .help = "of devices at these places"},
    {INPUT("device", device), .kind = CFG_STRINGS, .help = "of devices with these ids"},
    {INPUT("point", point), .kind = CFG_STRINGS, .help = "points with these names"},
    {INPUT("indicator", indicator), .kind = CFG_ID,
     .help = "in place of a quantity: the values of this indicator"},
    {INPUT("optional", optional), .kind = CFG_BOOL, .help = "it may match no series"},
    {.key = NULL}};
static const struct cfg_table input_table = {sizeof(struct indicator_input), input_fields};

static const struct cfg_field param_fields[] = {{.key = CFG_WHOLE,
                                                 .kind = CFG_DECIMAL,
                                                 .offset = offsetof(struct indicator_param, value),
                                                 .help = "what it is where a site says nothing"},
                                                {.key = NULL}};
static const struct cfg_table param_table = {sizeof(struct indicator_param), param_fields};

static const struct cfg_field require_fields[] = {
    {.key = CFG_WHOLE, .kind = CFG_STRINGS, .help = "names of inputs"}, {.key = NULL}};
static const struct cfg_table require_table = {sizeof(struct cfg_strings), require_fields};

#define TARGET(k, m) .key = k, .offset = offsetof(struct indicator_target, m)
static const struct cfg_field target_fields[] = {
    {TARGET("territory", territory), .kind = CFG_ID, .required = true,
     .help = "its code, or a name for one whose code is not known"},
    {TARGET("year", year), .kind = CFG_INT, .required = true, .min = 2020, .max = 2100,
     .help = "by the end of which it is to be met"},
    {TARGET("op", op), .kind = CFG_WORD, .required = true, .words = indicator_op_words,
     .help = "how the figure is to stand to the value"},
    {TARGET("value", value), .kind = CFG_DECIMAL, .required = true,
     .help = "in the unit of the indicator"},
    {TARGET("source", source), .kind = CFG_STRING, .required = true,
     .help = "document and line that set it"},
    {TARGET("note", note), .kind = CFG_STRING, .help = "what has to be known of it"},
    {.key = NULL}};
static const struct cfg_table target_table = {sizeof(struct indicator_target), target_fields};

#define MEMBER(struct_, k, m)                                                                      \
    .key = k, .kind = CFG_STRING,                                                                  \
    .offset = offsetof(struct indicator_def, struct_.m) - offsetof(struct indicator_def, struct_)
static const struct cfg_field limit_fields[] = {
    {MEMBER(limit, "norm", norm), .required = true, .help = "the norm that has it"},
    {MEMBER(limit, "parameter", parameter), .required = true, .help = "of which parameter"},
    {MEMBER(limit, "window", window), .required = true, .help = "of which mean"},
    {.key = NULL}};
static const struct cfg_table limit_table = {sizeof(((struct indicator_def *)0)->limit),
                                             limit_fields};
static const struct cfg_field owner_fields[] = {
    {MEMBER(owner, "unit", unit), .help = "the office that owns the figure"},
    {MEMBER(owner, "person", person), .help = "who answers for it"},
    {.key = NULL}};
static const struct cfg_table owner_table = {sizeof(((struct indicator_def *)0)->owner),
                                             owner_fields};
static const struct cfg_field model_fields[] = {
    {MEMBER(model, "type", type), .required = true,
     .help = "smart data model, such as "
             "AirQualityObserved"},
    {MEMBER(model, "attribute", attribute), .required = true, .help = "its attribute"},
    {.key = NULL}};
static const struct cfg_table model_table = {sizeof(((struct indicator_def *)0)->model),
                                             model_fields};

#define DEF(k, m) .key = k, .offset = offsetof(struct indicator_def, m)
static const struct cfg_field def_fields[] = {
    {DEF("id", id), .kind = CFG_ID, .required = true, .help = "the name of the file"},
    {DEF("name", name), .kind = CFG_STRUCT, .sub = &indicator_text_table, .required = true,
     .help = "what people call it, in both languages"},
    {DEF("quantity", quantity), .kind = CFG_STRING, .required = true,
     .help = "the quantity of its value"},
    {DEF("unit", unit), .kind = CFG_STRING,
     .help = "the quantity's unit once more; absent: a bare number"},
    {DEF("label", label), .kind = CFG_WORD, .words = indicator_label_words, .required = true,
     .help = "how far the figure is to be trusted"},
    {DEF("sentence", sentence), .kind = CFG_STRUCT, .sub = &indicator_text_table, .required = true,
     .help = "what stands beside every figure, in both languages"},
    {DEF("period", period), .kind = CFG_WORD, .dflt = "day", .words = indicator_period_words,
     .help = "how often there is a value"},
    {DEF("longer", longer), .kind = CFG_WORD, .dflt = "none", .words = indicator_longer_words,
     .help = "how a value of months and years comes from the days"},
    {DEF("by", by), .kind = CFG_WORD, .dflt = "site", .words = indicator_by_words,
     .help = "what one value is about"},
    {DEF("completeness", completeness), .kind = CFG_INT, .dflt = "75", .min = 0, .max = 100,
     .help = "percent of the readings due, below which there is no value"},
    {DEF("off", off), .kind = CFG_BOOL, .help = "true: only where a site's `use` names it"},
    {DEF("inputs", inputs), .kind = CFG_MAP, .sub = &input_table,
     .help = "the series that feed it, by the names that the formula has for them"},
    {DEF("params", params), .kind = CFG_MAP, .sub = &param_table,
     .help = "numbers of the formula that a site may set"},
    {DEF("require", require), .kind = CFG_LIST, .sub = &require_table,
     .help = "lists of inputs, of each of which one at least must bring a value"},
    {DEF("formula", formula), .kind = CFG_STRING, .help = "how the value is computed"},
    {DEF("numerator", numerator), .kind = CFG_STRING, .help = "of a ratio, in place of a formula"},
    {DEF("denominator", denominator), .kind = CFG_STRING, .help = "of a ratio"},
    {DEF("factor", factor), .kind = CFG_DECIMAL, .dflt = "1",
     .help = "value = numerator / denominator x factor"},
    {DEF("reason", reason), .kind = CFG_STRUCT, .sub = &indicator_text_table,
     .help = "without any formula: why there is no value, in both languages"},
    {DEF("targets", targets), .kind = CFG_LIST, .sub = &target_table,
     .help = "what is to be reached where, and by when"},
    {DEF("limit", limit), .kind = CFG_STRUCT, .sub = &limit_table,
     .help = "limit of a norm that is shown beside the figure"},
    {DEF("owner", owner), .kind = CFG_STRUCT, .sub = &owner_table,
     .help = "who answers for the figure"},
    {DEF("model", model), .kind = CFG_STRUCT, .sub = &model_table,
     .help = "where it belongs in the smart data models"},
    {.key = NULL}};
const struct cfg_table indicator_def_table = {sizeof(struct indicator_def), def_fields};

const char *indicator_word(const struct cfg_word *words, int value)
{
    while (words->word && words->value != value)
        words++;
    return words->word;
}

/* ---- checks --------------------------------------------------------------------------------- */

bool indicator_same_unit(const char *a, const char *b)
{
    a = a && strcmp(a, "1") != 0 ? a : "";
    b = b && strcmp(b, "1") != 0 ? b : "";
    return strcmp(a, b) == 0;
}

static const char *shown(const char *unit)
{
    return unit ? unit : "none";
}

static const struct quantity *known_quantity(struct cfg *c, const void *member, const char *key)
{
    const struct quantity *q = quantity_by_key(key);
    if (q)
        return q;
    const char **known = calloc(quantity_count + 1, sizeof *known);
    for (size_t i = 0; known && i < quantity_count; i++)
        known[i] = quantity_table[i].key;
    const char *near = known ? cfg_nearest(key, known, quantity_count) : NULL;
    cfg_complain(c, member, "unknown quantity \"%s\"%s%s%s", key, near ? "; did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
    free(known);
    return NULL;
}

/* A name that a formula can say. */
#define NAME_MAX_BYTES 32
static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return s[n] == '\0' && n > 0 && n <= NAME_MAX_BYTES && (*s < '0' || *s > '9') &&
           strcmp(s, "and") != 0 && strcmp(s, "in") != 0;
}

/* The first of the input's quantities, NULL: `any`, or an indicator's. */
static const struct quantity *input_quantity(struct cfg *c, const struct indicator_input *in)
{
    const struct quantity *first = NULL;
    for (size_t i = 0; i < in->quantity.n; i++) {
        char *const *key = &in->quantity.v[i];
        if (strcmp(*key, INDICATOR_ANY) == 0) {
            if (in->quantity.n > 1)
                cfg_complain(c, key, "%s: " INDICATOR_ANY " stands alone", in->id);
            continue;
        }
        const struct quantity *q = known_quantity(c, key, *key);
        if (first && q && !indicator_same_unit(first->unit, q->unit))
            cfg_complain(c, key, "%s: %s is in %s, but %s in %s: an input has one unit", in->id,
                         q->key, shown(q->unit), first->key, shown(first->unit));
        first = first ? first : q;
    }
    return first;
}

static void check_input(struct cfg *c, const struct indicator_def *d,
                        const struct indicator_input *in, const struct quantity **q)
{
    bool selects = in->role.n + in->stream.n + in->place.n + in->device.n + in->point.n > 0;
    const struct indicator_param *p = d->params.v;
    if (!is_name(in->id))
        cfg_complain(c, &in->id,
                     "%s: an input's name has letters, digits and underscores, a letter first, "
                     "at most %d",
                     in->id, NAME_MAX_BYTES);
    for (size_t i = 0; i < d->params.n; i++)
        if (strcmp(p[i].id, in->id) == 0)
            cfg_complain(c, &in->id, "%s is the name of a param, too", in->id);
    if (in->indicator && (in->quantity.n > 0 || selects))
        cfg_complain(c, &in->indicator,
                     "%s: an indicator's values are of the same instance: nothing else selects",
                     in->id);
    else if (!in->indicator && in->quantity.n == 0)
        cfg_complain(c, in, "%s: needs \"quantity\": what its series measure", in->id);
    *q = input_quantity(c, in);
}

static void check_inputs(struct cfg *c, struct indicator_def *d)
{
    const struct indicator_input *in = d->inputs.v;
    if (d->inputs.n > INDICATOR_INPUTS_MAX) {
        cfg_complain(c, &d->inputs, "inputs: at most %d", INDICATOR_INPUTS_MAX);
        d->inputs.n = 0;
    }
    for (size_t i = 0; i < d->inputs.n; i++)
        check_input(c, d, &in[i], &d->quantities[i]);
    const struct indicator_param *p = d->params.v;
    for (size_t i = 0; i < d->params.n; i++)
        if (!is_name(p[i].id))
            cfg_complain(c, &p[i].id,
                         "%s: a param's name has letters, digits and underscores, a letter first, "
                         "at most %d",
                         p[i].id, NAME_MAX_BYTES);
}

static bool has_input(const struct indicator_def *d, const char *id)
{
    const struct indicator_input *in = d->inputs.v;
    for (size_t i = 0; i < d->inputs.n; i++)
        if (strcmp(in[i].id, id) == 0)
            return true;
    return false;
}

static void check_require(struct cfg *c, const struct indicator_def *d)
{
    const struct cfg_strings *list = d->require.v;
    for (size_t i = 0; i < d->require.n; i++)
        for (size_t k = 0; k < list[i].n; k++)
            if (!has_input(d, list[i].v[k]))
                cfg_complain(c, &list[i].v[k], "require: there is no input %s", list[i].v[k]);
}

/* What there is to compute, and what must not stand beside it. */
static void check_way(struct cfg *c, const struct indicator_def *d)
{
    const char *way = d->numerator ? d->numerator : d->denominator;
    bool computed = d->formula || way, reasoned = d->reason.vi != NULL;
    if (d->formula && way)
        cfg_complain(c, &d->formula, "write formula, or numerator and denominator, not both");
    if (!d->numerator != !d->denominator)
        cfg_complain(c, d->numerator ? &d->numerator : &d->denominator,
                     "numerator and denominator are given together, or neither");
    if (cfg_given(c, &d->factor) && !way)
        cfg_complain(c, &d->factor, "factor is of a numerator and a denominator");
    if (d->factor.kind != NUM_NONE && num_double(d->factor) == 0)
        cfg_complain(c, &d->factor, "a factor of 0 would make every value 0");
    if (!computed && !reasoned)
        cfg_complain(c, &d->id,
                     "needs a formula, or numerator and denominator; without a value a reason: "
                     "{vi, en}");
    if (computed && reasoned)
        cfg_complain(c, &d->reason, "reason: is of an indicator without a formula");
    if (computed && d->inputs.n == 0)
        cfg_complain(c, &d->id, "needs \"inputs\": the series that feed its formula");
    if (!computed && d->inputs.n > 0)
        cfg_complain(c, &d->inputs, "inputs: there is no formula that takes them");
    if (!computed && reasoned && d->targets.n == 0)
        cfg_complain(c, &d->id, "needs \"targets\": there is nothing else that it could say");
    if (d->longer == INDICATOR_RATIO && computed && !way)
        cfg_complain(c, &d->longer, "longer: a ratio is of a numerator and a denominator");
}

static void check_targets(struct cfg *c, const struct indicator_def *d)
{
    const struct indicator_target *t = d->targets.v;
    for (size_t i = 0; i < d->targets.n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(t[i].territory, t[k].territory) == 0 && t[i].year == t[k].year)
                cfg_complain(c, &t[i].territory, "%s has a target of %lld already", t[i].territory,
                             (long long)t[i].year);
}

/* What is not in the file is NULL, its needed members, too. */
static void forget_absent(const struct cfg *c, struct indicator_def *d)
{
    if (cfg_line(c, &d->reason) == 0)
        d->reason = (struct indicator_text){0};
    if (cfg_line(c, &d->limit) == 0)
        memset(&d->limit, 0, sizeof d->limit);
    if (cfg_line(c, &d->model) == 0)
        memset(&d->model, 0, sizeof d->model);
}

void indicator_def_check(struct indicator_file *f)
{
    struct indicator_def *d = &f->def;
    struct cfg *c = f->cfg;
    forget_absent(c, d);
    d->q = d->quantity[0] ? known_quantity(c, &d->quantity, d->quantity) : NULL;
    if (d->q && !indicator_same_unit(d->q->unit, d->unit))
        cfg_complain(c, d->unit ? &d->unit : &d->quantity, "%s is in %s, not in %s", d->quantity,
                     shown(d->q->unit), shown(d->unit));
    check_inputs(c, d);
    check_require(c, d);
    check_way(c, d);
    check_targets(c, d);
}
