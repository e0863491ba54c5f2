/* An indicator put together in a test: inputs by quantity, params, formulas, and norms of its own.
 */
#ifndef TESTS_GATEWAY_INDICATOR_KIT_H
#define TESTS_GATEWAY_INDICATOR_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/indicator/indicator_int.h"

#define KIT_MAX 8

struct kit {
    struct indicator_def def;
    struct indicator_input inputs[KIT_MAX];
    const struct quantity *quantities[KIT_MAX];
    struct indicator_param params[KIT_MAX];
    const struct indicator_norm *norms;
    size_t nnorms;
    const char *unit; /* of the formula that was parsed last */
    size_t at;
    struct err e;
};

static inline char *kit_text(const char *literal)
{
    union {
        const char *c;
        char *v;
    } u = {literal};
    return u.v;
}

static inline const struct indicator_norm *kit_norm(void *ctx, const char *id)
{
    const struct kit *k = ctx;
    for (size_t i = 0; i < k->nnorms; i++) {
        if (strcmp(k->norms[i].id, id) == 0) {
            return &k->norms[i];
        }
    }
    return NULL;
}

/* A day's indicator of a value in `quantity`; as much has to be there as the catalogue's usual. */
static inline void kit_open(struct kit *k, enum indicator_period period, const char *quantity)
{
    *k = (struct kit){.def = {.id = kit_text("made-up"), .completeness = 75, .period = period}};
    k->def.q = quantity_by_key(quantity);
    assert_non_null(k->def.q);
    assert_true(num_parse("1", &k->def.factor));
    k->def.inputs.v = k->inputs;
    k->def.params.v = k->params;
}

/* quantity NULL: any. */
static inline struct indicator_input *kit_input(struct kit *k, const char *id, const char *quantity)
{
    size_t i = k->def.inputs.n++;
    assert_true(i < KIT_MAX);
    k->inputs[i].id = kit_text(id);
    k->quantities[i] = quantity ? quantity_by_key(quantity) : NULL;
    assert_true(!quantity || k->quantities[i]);
    return &k->inputs[i];
}

static inline void kit_param(struct kit *k, const char *id, const char *value)
{
    size_t i = k->def.params.n++;
    assert_true(i < KIT_MAX);
    k->params[i].id = kit_text(id);
    assert_true(num_parse(value, &k->params[i].value));
}

static inline enum st kit_parse(struct kit *k, const char *text, struct formula **out)
{
    const struct formula_scope scope = {
        .def = &k->def, .quantities = k->quantities, .norm = kit_norm, .ctx = k};
    k->unit = "";
    k->e.text[0] = '\0';
    return formula_parse(out, text, &scope, &k->unit, &k->at, &k->e);
}

/* den NULL: one formula. */
static inline void kit_formulas(struct kit *k, const char *num, const char *den)
{
    if (kit_parse(k, num, &k->def.num) != ST_OK ||
        (den && kit_parse(k, den, &k->def.den) != ST_OK)) {
        fail_msg("%zu: %s", k->at, k->e.text);
    }
}

static inline void kit_close(struct kit *k)
{
    formula_free(k->def.num);
    formula_free(k->def.den);
}

#endif
