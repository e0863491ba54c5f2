#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/formula_parser_int.h"

static const struct indicator_input *inputs(const struct formula_parser *x)
{
    return x->scope->def->inputs.v;
}

/* The input whose name begins at p. */
static enum st input_read(struct formula_parser *x, uint8_t *out)
{
    formula_space(x);
    size_t n = formula_word(x->p);
    for (size_t i = 0; i < x->scope->def->inputs.n; i++) {
        if (n > 0 && strlen(inputs(x)[i].id) == n && memcmp(inputs(x)[i].id, x->p, n) == 0) {
            x->p += n;
            *out = (uint8_t)i;
            return ST_OK;
        }
    }
    return FORMULA_BAD(x, x->p, n > 0 ? "no input \"%.*s\"" : "here stands the name of an input",
                       (int)n, x->p);
}

static enum st condition_number(struct formula_parser *x, struct formula_cond *c)
{
    struct formula *f = x->f;
    if (f->nnumbers == FORMULA_NUMBERS_MAX) {
        return FORMULA_BAD(x, x->p, "more than %d numbers in one formula", FORMULA_NUMBERS_MAX);
    }
    ERR_TRY(formula_constant(x, &f->number[f->nnumbers]));
    f->nnumbers++;
    c->ncount++;
    return ST_OK;
}

/* What stands behind the name of an input in a COND. */
static enum st condition_rest(struct formula_parser *x, struct formula_cond *c)
{
    enum indicator_op op;
    c->first = (uint16_t)x->f->nnumbers;
    if (formula_op(x, &op)) {
        c->op = (uint8_t)op;
        return condition_number(x, c);
    }
    if (formula_word(x->p) != 2 || !formula_takes(x, "in")) {
        return FORMULA_BAD(x, x->p, "here stands one of < <= > >= == != in");
    }
    c->op = INDICATOR_EQ;
    ERR_TRY(formula_wants(x, "[", "input in [1, 2]"));
    do {
        ERR_TRY(condition_number(x, c));
    } while (formula_takes(x, ","));
    return formula_wants(x, "]", "input in [1, 2]");
}

/* How many inputs the conditions of t compare. */
static unsigned compared(const struct formula_parser *x, const struct formula_term *t)
{
    uint32_t seen = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < t->nconds; i++) {
        uint32_t bit = UINT32_C(1) << x->f->cond[t->cond + i].input;
        n += !(seen & bit);
        seen |= bit;
    }
    return n;
}

static enum st conditions(struct formula_parser *x, struct formula_term *t)
{
    struct formula *f = x->f;
    struct formula_cond c = {.input = t->input};
    t->fn++; /* count, time: the same of a COND */
    t->cond = (uint16_t)f->nconds;
    for (;;) {
        if (x->scope->quantities[c.input] == NULL) {
            return FORMULA_BAD(x, x->p, "input \"%s\" has no one unit to compare in",
                               inputs(x)[c.input].id);
        }
        if (f->nconds == FORMULA_CONDS_MAX) {
            return FORMULA_BAD(x, x->p, "more than %d conditions in one formula",
                               FORMULA_CONDS_MAX);
        }
        ERR_TRY(condition_rest(x, &c));
        f->cond[f->nconds++] = c;
        t->nconds++;
        if (compared(x, t) > FORMULA_TOGETHER_MAX) {
            return FORMULA_BAD(x, x->p, "one condition compares %d inputs at most",
                               FORMULA_TOGETHER_MAX);
        }
        formula_space(x);
        if (formula_word(x->p) != 3 || !formula_takes(x, "and")) {
            return ST_OK;
        }
        c = (struct formula_cond){.input = 0};
        ERR_TRY(input_read(x, &c.input));
    }
}

/* A name of a norm, a column, a parameter: hyphens and points belong to it. */
static enum st name_read(struct formula_parser *x, const char *what, char *out, size_t size)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    formula_space(x);
    size_t n = strspn(x->p, letters);
    if (n == 0 || n >= size) {
        return FORMULA_BAD(x, x->p, "here stands the name of a %s", what);
    }
    memcpy(out, x->p, n);
    out[n] = '\0';
    x->p += n;
    return ST_OK;
}

static enum st norm_read(struct formula_parser *x, const struct indicator_norm **out)
{
    char id[65];
    formula_space(x);
    const char *from = x->p;
    ERR_TRY(name_read(x, "norm", id, sizeof id));
    *out = x->scope->norm ? x->scope->norm(x->scope->ctx, id) : NULL;
    if (!*out) {
        return FORMULA_BAD(x, from, "no norm \"%s\"", id);
    }
    return formula_wants(x, ",", "behind the norm stands what of it is meant");
}

static bool same_unit(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static enum st whole_read(struct formula_parser *x, const struct formula_name *name,
                          struct formula_term *t)
{
    char text[64] = "";
    int v = 0;
    size_t n = 0;
    formula_space(x);
    const char *from = x->p;
    ERR_TRY(formula_small(x, 1, 60, &v));
    t->whole = (uint8_t)v;
    for (const uint8_t *w = name->whole; *w; w++) {
        if (*w == v) {
            bool day = name->whole[0] == 1 && v > 1; /* hours, and more than one */
            return day && x->scope->def->period == INDICATOR_HOUR
                       ? FORMULA_BAD(x, from, "an hour has no windows of %d hours", v)
                       : ST_OK;
        }
        n += (size_t)snprintf(text + n, sizeof text - n, " %d", *w);
    }
    return FORMULA_BAD(x, from, "here stands one of%s", text);
}

static enum st limit_read(struct formula_parser *x, const struct formula_name *name,
                          struct formula_term *t, const char *unit)
{
    char parameter[65], window[8];
    ERR_TRY(norm_read(x, &t->norm));
    formula_space(x);
    const char *from = x->p;
    ERR_TRY(name_read(x, "parameter", parameter, sizeof parameter));
    ERR_TRY(formula_wants(x, ",", name->takes));
    ERR_TRY(whole_read(x, name, t));
    (void)snprintf(window, sizeof window, "%dh", t->whole);
    const struct indicator_limit *v = t->norm->limit.v;
    for (size_t i = 0; i < t->norm->limit.n; i++) {
        if (strcmp(v[i].parameter, parameter) == 0 && strcmp(v[i].window, window) == 0) {
            if (!same_unit(v[i].unit, unit)) {
                return FORMULA_BAD(x, from, "units do not fit: the limit is in %s, the input in %s",
                                   v[i].unit ? v[i].unit : "no unit", unit ? unit : "no unit");
            }
            t->parameter = v[i].parameter;
        }
    }
    return t->parameter ? ST_OK
                        : FORMULA_BAD(x, from, "norm %s has no limit of %s over %s", t->norm->id,
                                      parameter, window);
}

/* Whether the function may be asked of the input. */
static enum st fits(struct formula_parser *x, const struct formula_name *name, const char *from,
                    const struct formula_term *t)
{
    const char *id = inputs(x)[t->input].id;
    const struct quantity *q = x->scope->quantities[t->input];
    if (!q) {
        return name->flags & FORMULA_ANY_UNIT
                   ? ST_OK
                   : FORMULA_BAD(x, from, "input \"%s\" has no one unit: count, due and time alone",
                                 id);
    }
    if (name->flags & FORMULA_COUNTER && !q->counter) {
        return FORMULA_BAD(x, from, "%s is of counters alone: %s of input \"%s\" is none",
                           name->name, q->key, id);
    }
    if (name->flags & FORMULA_PERCENT && !same_unit(q->unit, "/100")) {
        return FORMULA_BAD(x, from, "%s is of shares in /100: %s of input \"%s\" is in %s",
                           name->name, q->key, id, q->unit ? q->unit : "no unit");
    }
    return ST_OK;
}

static enum st term_node(struct formula_parser *x, const struct formula_term *t,
                         struct formula_value *out)
{
    struct formula *f = x->f;
    if (f->nterms < FORMULA_NODES_MAX) { /* else the node is refused */
        f->term[f->nterms] = *t;
    }
    struct formula_node n = {
        .kind = FORMULA_TERM, .at = (uint16_t)f->nterms, .child = FORMULA_NONE};
    ERR_TRY(formula_node(x, n, &out->node));
    f->nterms++;
    return ST_OK;
}

enum st formula_term_read(struct formula_parser *x, const struct formula_name *name,
                          struct formula_value *out)
{
    static const char *const units[] = {
        [FORMULA_UNIT_BARE] = NULL, [FORMULA_UNIT_H] = "h", [FORMULA_UNIT_M3] = "m3"};
    struct formula_term t = {.fn = name->id};
    formula_space(x);
    const char *from = x->p;
    ERR_TRY(input_read(x, &t.input));
    ERR_TRY(fits(x, name, from, &t));
    const struct quantity *q = x->scope->quantities[t.input];
    formula_space(x);
    if (name->shape == FORMULA_OF_COND && *x->p != ')') {
        ERR_TRY(conditions(x, &t));
    }
    if (name->shape >= FORMULA_OF_NUMBER && name->shape <= FORMULA_OF_LIMIT) {
        ERR_TRY(formula_wants(x, ",", name->takes));
    }
    if (name->shape == FORMULA_OF_NUMBER) {
        ERR_TRY(formula_constant(x, &t.arg));
    } else if (name->shape == FORMULA_OF_WHOLE) {
        ERR_TRY(whole_read(x, name, &t));
    } else if (name->shape == FORMULA_OF_LIMIT) {
        ERR_TRY(limit_read(x, name, &t, q->unit));
    }
    *out =
        (struct formula_value){.unit = name->unit == FORMULA_UNIT_X ? q->unit : units[name->unit]};
    return term_node(x, &t, out);
}

/* The rows of a column that are there, in order. */
static enum st rows(struct formula_parser *x, const char *from, struct formula_table *t)
{
    const struct cfg_strings *bp = &t->column->bp, *index = &t->norm->index;
    for (size_t i = 0; i < bp->n && i < index->n && t->rows < FORMULA_ROWS_MAX; i++) {
        if (strcmp(bp->v[i], "-") != 0) {
            if (!num_parse(bp->v[i], &t->bp[t->rows]) ||
                !num_parse(index->v[i], &t->index[t->rows]) ||
                (t->rows > 0 && num_cmp(t->bp[t->rows - 1], t->bp[t->rows]) > 0)) {
                return FORMULA_BAD(x, from, "norm %s: row %zu of column %s is no breakpoint",
                                   t->norm->id, i + 1, t->column->id);
            }
            t->rows++;
        }
    }
    return t->rows > 0 && bp->n <= index->n && index->n <= FORMULA_ROWS_MAX
               ? ST_OK
               : FORMULA_BAD(x, from, "norm %s: column %s has no rows, or too many", t->norm->id,
                             t->column->id);
}

static enum st column_read(struct formula_parser *x, struct formula_table *t)
{
    char column[65];
    ERR_TRY(norm_read(x, &t->norm));
    formula_space(x);
    const char *from = x->p;
    ERR_TRY(name_read(x, "column", column, sizeof column));
    const struct indicator_column *v = t->norm->column.v;
    for (size_t i = 0; i < t->norm->column.n; i++) {
        if (strcmp(v[i].id, column) == 0) {
            t->column = &v[i];
            return rows(x, from, t);
        }
    }
    return FORMULA_BAD(x, from, "norm %s has no column \"%s\"", t->norm->id, column);
}

enum st formula_table_read(struct formula_parser *x, struct formula_value *out)
{
    struct formula *f = x->f;
    struct formula_table table = {.rows = 0}, *more;
    struct formula_value v;
    ERR_TRY(column_read(x, &table));
    ERR_TRY(formula_wants(x, ",", "index(norm, column, expression)"));
    formula_space(x);
    const char *from = x->p;
    ERR_TRY(formula_expression(x, &v));
    if (!v.constant && !same_unit(v.unit, table.column->unit)) {
        return FORMULA_BAD(x, from, "units do not fit: column %s is in %s, this in %s",
                           table.column->id, table.column->unit ? table.column->unit : "no unit",
                           v.unit ? v.unit : "no unit");
    }
    more = realloc(f->table, (f->ntables + 1) * sizeof *more);
    if (!more) {
        return err_set(x->e, ST_MEMORY, "no memory for a formula");
    }
    f->table = more;
    f->table[f->ntables] = table;
    *out = (struct formula_value){.constant = false};
    return formula_node(
        x,
        (struct formula_node){.kind = FORMULA_TABLE, .child = v.node, .at = (uint16_t)f->ntables++},
        &out->node);
}
