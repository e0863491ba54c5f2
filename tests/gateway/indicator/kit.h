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

#define KIT_MAX 12
#define KIT_2026 20454 /* 2026-01-01 */
#define KIT_MINUTE INT64_C(60000)
#define KIT_HOUR INDICATOR_HOUR_MS

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
    struct fold_series series[KIT_MAX];
    size_t nseries;
    int64_t day_ms;
    struct fold *fold;
    struct fold_result out;
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
    *k =
        (struct kit){.def = {.id = kit_text("made-up"), .completeness = 75, .period = (int)period}};
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

/* A series of a device of that number; a reading a minute. */
static inline struct fold_series *kit_series(struct kit *k, uint32_t input, uint32_t device)
{
    struct fold_series *s = &k->series[k->nseries++];
    assert_true(k->nseries <= KIT_MAX);
    *s = (struct fold_series){.input = input,
                              .device = device,
                              .period_ms = KIT_MINUTE,
                              .due_from_ms = INT64_MIN,
                              .due_to_ms = INT64_MAX,
                              .quantity = k->quantities[input]};
    return s;
}

static inline void kit_day(struct kit *k, int32_t day)
{
    fold_close(k->fold);
    k->day_ms = indicator_day_ms(day);
    if (!k->out.num->_mp_den._mp_d) {
        fold_result_init(&k->out);
    }
    if (fold_open(&k->fold, &k->def, day, k->series, k->nseries, &k->e) != ST_OK) {
        fail_msg("%s", k->e.text);
    }
}

/* With the quality flags q, so many ms into the day. */
static inline enum st kit_put_q(struct kit *k, uint32_t series, int64_t at_ms, const char *value,
                                uint16_t q)
{
    struct fold_reading r = {.series = series, .t_ms = k->day_ms + at_ms, .q = q};
    assert_true(num_parse(value, &r.v));
    return fold_put(k->fold, &r, &k->e);
}

static inline void kit_put(struct kit *k, uint32_t series, int64_t at_ms, const char *value)
{
    if (kit_put_q(k, series, at_ms, value, 0) != ST_OK) {
        fail_msg("%s", k->e.text);
    }
}

/* One value each minute in [from, to). */
static inline void kit_minutes(struct kit *k, uint32_t series, int64_t from_ms, int64_t to_ms,
                               const char *value)
{
    for (int64_t t = from_ms; t < to_ms; t += KIT_MINUTE) {
        kit_put(k, series, t, value);
    }
}

static inline const struct fold_result *kit_result(struct kit *k, int64_t from_ms)
{
    if (fold_result(k->fold, k->day_ms + from_ms, INT64_MAX, &k->out, &k->e) != ST_OK) {
        fail_msg("%s", k->e.text);
    }
    return &k->out;
}

#define kit_is(k, from_ms, value) kit_is_(k, from_ms, value, __FILE__, __LINE__)
static inline void kit_is_(struct kit *k, int64_t from_ms, const char *value, const char *file,
                           int line)
{
    char text[NUM_TEXT_BYTES];
    const struct fold_result *r = kit_result(k, from_ms);
    (void)num_text(r->value, text);
    if (r->reason != FOLD_OK || strcmp(text, value) != 0) {
        print_error("%s:%d: %s \"%s\" instead of %s, due %llu good %llu\n", file, line,
                    fold_reason_text[r->reason], text, value, (unsigned long long)r->due,
                    (unsigned long long)r->good);
        fail();
    }
}

#define kit_none(k, from_ms, why) kit_none_(k, from_ms, why, __FILE__, __LINE__)
static inline void kit_none_(struct kit *k, int64_t from_ms, enum fold_reason why, const char *file,
                             int line)
{
    char text[NUM_TEXT_BYTES];
    const struct fold_result *r = kit_result(k, from_ms);
    if (r->reason != why || r->value.kind != NUM_NONE) {
        print_error("%s:%d: %s \"%s\" instead of %s\n", file, line, fold_reason_text[r->reason],
                    num_text(r->value, text), fold_reason_text[why]);
        fail();
    }
}

/* The same indicator with another formula; the inputs and series stay. */
static inline void kit_again(struct kit *k, const char *num, const char *den, int32_t day)
{
    fold_close(k->fold);
    k->fold = NULL;
    formula_free(k->def.num);
    formula_free(k->def.den);
    k->def.num = k->def.den = NULL;
    kit_formulas(k, num, den);
    kit_day(k, day);
}

static inline void kit_close(struct kit *k)
{
    fold_close(k->fold);
    if (k->out.num->_mp_den._mp_d) {
        fold_result_done(&k->out);
    }
    formula_free(k->def.num);
    formula_free(k->def.den);
}

#endif
