/* What the catalogue says of its indicators, for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/run_int.h"

static void number(struct num v, char out[INDICATOR_NUMBER_BYTES])
{
    char text[NUM_TEXT_BYTES];
    (void)snprintf(out, INDICATOR_NUMBER_BYTES, "%s", num_text(v, text));
}

/* "; role: grid, solar" behind what there is. */
static void add(char out[INDICATOR_WANTS_BYTES], const char *key, const struct cfg_strings *list)
{
    size_t n = strlen(out);
    for (size_t i = 0; i < list->n && n < INDICATOR_WANTS_BYTES; i++) {
        n += (size_t)snprintf(out + n, INDICATOR_WANTS_BYTES - n, "%s%s%s%s",
                              i > 0   ? ", "
                              : n > 0 ? "; "
                                      : "",
                              i > 0 ? "" : key, i > 0 || !*key ? "" : ": ", list->v[i]);
    }
}

static void about_input(const struct indicator_input *in, struct indicator_about_input *out)
{
    *out = (struct indicator_about_input){.id = in->id, .optional = in->optional};
    if (in->indicator)
        (void)snprintf(out->wants, sizeof out->wants, "indicator: %s", in->indicator);
    add(out->wants, "", &in->quantity);
    add(out->wants, "role", &in->role);
    add(out->wants, "stream", &in->stream);
    add(out->wants, "place", &in->place);
    add(out->wants, "device", &in->device);
    add(out->wants, "point", &in->point);
}

/* The devices of its values. */
static size_t fed_of(const struct instances *in, const struct indicator_def *d, const char **out)
{
    size_t n = 0;
    for (uint32_t i = 0; in && i < in->n; i++)
        if (in->v[i].def == d)
            out[n++] = in->v[i].id;
    return n;
}

static enum st tell(const struct indicators *x, const struct store *s,
                    const struct indicator_def *d,
                    enum st (*take)(const struct indicator_about *a, void *arg), void *arg)
{
    const struct indicator_input *in = d->inputs.v;
    const struct indicator_param *param = d->params.v;
    const struct indicator_target *target = d->targets.v;
    struct indicator_about_input *inputs = calloc(d->inputs.n + 1, sizeof *inputs);
    struct indicator_about_param *params = calloc(d->params.n + 1, sizeof *params);
    struct indicator_about_target *targets = calloc(d->targets.n + 1, sizeof *targets);
    const char **fed = calloc(x->instances ? x->instances->n + (size_t)1 : 1, sizeof *fed);
    enum st st = inputs && params && targets && fed ? ST_OK : ST_MEMORY;
    for (size_t i = 0; st == ST_OK && i < d->inputs.n; i++) {
        about_input(&in[i], &inputs[i]);
        inputs[i].matches = x->instances && s && instances_match(x->instances, s, &in[i]);
    }
    for (size_t i = 0; st == ST_OK && i < d->params.n; i++) {
        params[i].id = param[i].id;
        number(param[i].value, params[i].value);
    }
    for (size_t i = 0; st == ST_OK && i < d->targets.n; i++) {
        targets[i] =
            (struct indicator_about_target){.territory = target[i].territory,
                                            .op = indicator_word(indicator_op_words, target[i].op),
                                            .source = target[i].source,
                                            .note = target[i].note,
                                            .year = target[i].year};
        number(target[i].value, targets[i].value);
    }
    struct indicator_about a = {.id = d->id,
                                .path = indicator_catalogue_path(x->catalogue, d),
                                .vi = d->name.vi,
                                .en = d->name.en,
                                .quantity = d->quantity,
                                .unit = d->unit,
                                .label = indicator_word(indicator_label_words, d->label),
                                .sentence_vi = d->sentence.vi,
                                .sentence_en = d->sentence.en,
                                .period = indicator_word(indicator_period_words, d->period),
                                .longer = indicator_word(indicator_longer_words, d->longer),
                                .by = indicator_word(indicator_by_words, d->by),
                                .completeness = d->completeness,
                                .off = d->off,
                                .used = indicator_is_used(x, d),
                                .formula = d->formula,
                                .numerator = d->numerator,
                                .denominator = d->denominator,
                                .reason_vi = d->reason.vi,
                                .reason_en = d->reason.en,
                                .norm = d->limit.norm,
                                .parameter = d->limit.parameter,
                                .window = d->limit.window,
                                .owner_unit = d->owner.unit,
                                .owner_person = d->owner.person,
                                .type = d->model.type,
                                .attribute = d->model.attribute,
                                .inputs = inputs,
                                .params = params,
                                .targets = targets,
                                .ninputs = d->inputs.n,
                                .nparams = d->params.n,
                                .ntargets = d->targets.n};
    number(d->factor, a.factor);
    if (st == ST_OK) {
        a.fed = fed;
        a.nfed = fed_of(x->instances, d, fed);
        st = take(&a, arg);
    }
    free(inputs);
    free(params);
    free(targets);
    free(fed);
    return st;
}

static int by_id(const void *a, const void *b)
{
    const struct indicator_def *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

enum st indicators_tell(const struct indicators *x, const struct store *s, const char *id,
                        enum st (*take)(const struct indicator_about *a, void *arg), void *arg,
                        const char **near)
{
    size_t n = x->catalogue ? indicator_catalogue_count(x->catalogue) : 0;
    const struct indicator_def *defs[INDICATOR_FILES_MAX];
    const char *ids[INDICATOR_FILES_MAX];
    enum st st = id ? ST_NOT_FOUND : ST_OK;
    for (size_t i = 0; i < n; i++)
        defs[i] = indicator_catalogue_at(x->catalogue, i);
    qsort(defs, n, sizeof(struct indicator_def *), by_id);
    *near = NULL;
    for (size_t i = 0; i < n; i++) {
        ids[i] = defs[i]->id;
        if (!id && st == ST_OK)
            st = tell(x, s, defs[i], take, arg);
        else if (id && strcmp(id, ids[i]) == 0)
            return tell(x, s, defs[i], take, arg);
    }
    if (id)
        *near = cfg_nearest(id, ids, n);
    return st;
}
