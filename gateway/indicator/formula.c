#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/formula_parser_int.h"

void formula_space(struct formula_parser *x)
{
    while (*x->p == ' ' || *x->p == '\n' || *x->p == '\t' || *x->p == '\r') {
        x->p++;
    }
}

bool formula_takes(struct formula_parser *x, const char *sign)
{
    size_t n = strlen(sign);
    formula_space(x);
    if (strncmp(x->p, sign, n) != 0) {
        return false;
    }
    x->p += n;
    return true;
}

enum st formula_wants(struct formula_parser *x, const char *sign, const char *what)
{
    return formula_takes(x, sign) ? ST_OK
                                  : FORMULA_BAD(x, x->p, "\"%s\" is missing: %s", sign, what);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

size_t formula_word(const char *p)
{
    size_t n = 0;
    while (is_letter(p[n]) || (n > 0 && is_digit(p[n]))) {
        n++;
    }
    return n;
}

bool formula_op(struct formula_parser *x, enum indicator_op *op)
{
    static const struct {
        const char *sign; /* the longer before what it begins with */
        enum indicator_op op;
    } signs[] = {{"<=", INDICATOR_LE}, {"<", INDICATOR_LT},  {">=", INDICATOR_GE},
                 {">", INDICATOR_GT},  {"==", INDICATOR_EQ}, {"!=", INDICATOR_NE}};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (formula_takes(x, signs[i].sign)) {
            *op = signs[i].op;
            return true;
        }
    }
    return false;
}

/* Digits, and a point between digits. */
static enum st digits(struct formula_parser *x, bool minus, struct num *out)
{
    char text[64] = "-";
    const char *from = x->p;
    size_t n = 0;
    while (is_digit(from[n]) || (from[n] == '.' && n > 0)) {
        n++;
    }
    if (n + 2 > sizeof text) {
        return FORMULA_BAD(x, from, "a number of %zu digits is too long", n);
    }
    memcpy(text + 1, from, n);
    text[n + 1] = '\0';
    if (!num_parse(text + (minus ? 0 : 1), out)) {
        return FORMULA_BAD(x, from, "\"%s\" is no number that fits", text + 1);
    }
    x->p += n;
    return ST_OK;
}

static const struct indicator_param *param_of(const struct formula_parser *x, const char *name,
                                              size_t n)
{
    const struct indicator_param *v = x->scope->def->params.v;
    for (size_t i = 0; i < x->scope->def->params.n; i++) {
        if (strlen(v[i].id) == n && memcmp(v[i].id, name, n) == 0) {
            return &v[i];
        }
    }
    return NULL;
}

enum st formula_constant(struct formula_parser *x, struct formula_number *out)
{
    formula_space(x);
    const char *from = x->p;
    *out = (struct formula_number){.param = NULL};
    bool minus = formula_takes(x, "-");
    formula_space(x);
    if (is_digit(*x->p)) {
        return digits(x, minus, &out->value);
    }
    size_t n = formula_word(x->p);
    if (n == 0 || minus) {
        return FORMULA_BAD(x, from, "here stands a number or the name of a param");
    }
    out->param = param_of(x, x->p, n);
    if (!out->param) {
        return FORMULA_BAD(x, from, "no param \"%.*s\": here stands a number or a param's name",
                           (int)n, x->p);
    }
    x->p += n;
    return ST_OK;
}

enum st formula_small(struct formula_parser *x, int least, int most, int *out)
{
    formula_space(x);
    const char *from = x->p;
    char *end = NULL;
    long v = is_digit(*from) ? strtol(from, &end, 10) : -1;
    if (!end || v < least || v > most || *end == '.') {
        return FORMULA_BAD(x, from, "here stands a whole number from %d to %d", least, most);
    }
    x->p = end;
    *out = (int)v;
    return ST_OK;
}

enum st formula_node(struct formula_parser *x, struct formula_node n, uint16_t *out)
{
    if (x->f->nnodes == FORMULA_NODES_MAX) {
        return FORMULA_BAD(x, x->p, "more than %d parts in one formula", FORMULA_NODES_MAX);
    }
    n.next = FORMULA_NONE;
    x->f->node[x->f->nnodes] = n;
    *out = (uint16_t)x->f->nnodes++;
    return ST_OK;
}

static enum st number_node(struct formula_parser *x, struct formula_number v,
                           struct formula_value *out)
{
    struct formula *f = x->f;
    if (f->nnumbers == FORMULA_NUMBERS_MAX) {
        return FORMULA_BAD(x, x->p, "more than %d numbers in one formula", FORMULA_NUMBERS_MAX);
    }
    f->number[f->nnumbers] = v;
    struct formula_node n = {
        .kind = FORMULA_NUMBER, .at = (uint16_t)f->nnumbers++, .child = FORMULA_NONE};
    *out = (struct formula_value){.constant = true};
    return formula_node(x, n, &out->node);
}

static const char *unit_text(struct formula_value v)
{
    return v.unit ? v.unit : "a bare number";
}

/* One unit for both, as for a sum. */
static enum st same(struct formula_parser *x, const char *where, struct formula_value *a,
                    struct formula_value b)
{
    if (a->constant && !b.constant) {
        a->unit = b.unit;
        a->constant = false;
        return ST_OK;
    }
    bool equal = a->unit && b.unit ? strcmp(a->unit, b.unit) == 0 : !a->unit && !b.unit;
    return b.constant || equal
               ? ST_OK
               : FORMULA_BAD(x, where, "units do not fit: %s and %s", unit_text(*a), unit_text(b));
}

static enum st pair(struct formula_parser *x, enum formula_kind kind, struct formula_value *a,
                    struct formula_value b)
{
    x->f->node[a->node].next = b.node;
    return formula_node(x, (struct formula_node){.kind = (uint8_t)kind, .child = a->node},
                        &a->node);
}

/* The arguments e, …, as siblings; `most` of them. */
static enum st many(struct formula_parser *x, unsigned most, struct formula_value *out,
                    unsigned *count)
{
    struct formula_value next;
    ERR_TRY(formula_expression(x, out));
    uint16_t last = out->node;
    for (*count = 1; *count < most && formula_takes(x, ","); (*count)++) {
        const char *where = x->p;
        ERR_TRY(formula_expression(x, &next));
        ERR_TRY(same(x, where, out, next));
        x->f->node[last].next = next.node;
        last = next.node;
    }
    return ST_OK;
}

static enum st if_read(struct formula_parser *x, struct formula_value *out)
{
    struct formula_value left, right, a;
    enum indicator_op op;
    unsigned count = 0;
    ERR_TRY(formula_expression(x, &left));
    const char *where = x->p;
    if (!formula_op(x, &op)) {
        return FORMULA_BAD(x, where, "here stands one of < <= > >= == !=");
    }
    ERR_TRY(formula_expression(x, &right));
    ERR_TRY(same(x, where, &left, right));
    ERR_TRY(formula_wants(x, ",", "if(a < b, then, else)"));
    ERR_TRY(many(x, 2, &a, &count));
    if (count != 2) {
        return FORMULA_BAD(x, x->p, "if(a < b, then, else) has two values to choose from");
    }
    x->f->node[left.node].next = right.node;
    x->f->node[right.node].next = a.node;
    *out = a;
    return formula_node(
        x, (struct formula_node){.kind = FORMULA_IF, .small = (uint8_t)op, .child = left.node},
        &out->node);
}

/* Functions of expressions, behind the bracket. */
static enum st of_expressions(struct formula_parser *x, const struct formula_name *name,
                              struct formula_value *out)
{
    const char *where = x->p;
    int small = 0;
    unsigned count;
    if (name->shape == FORMULA_OF_IF) {
        return if_read(x, out);
    }
    ERR_TRY(many(x, name->shape == FORMULA_OF_MANY ? FORMULA_NODES_MAX : 1, out, &count));
    if (name->id == FORMULA_PRODUCT_OF && out->unit) {
        return FORMULA_BAD(x, where, "product_of takes bare numbers, not %s", out->unit);
    }
    if (name->shape == FORMULA_OF_EXPR_SMALL) {
        ERR_TRY(formula_wants(x, ",", name->takes));
        ERR_TRY(formula_small(x, name->least, name->most, &small));
    }
    if (name->unit == FORMULA_UNIT_BARE) {
        out->unit = NULL;
    }
    return formula_node(
        x, (struct formula_node){.kind = name->id, .small = (uint8_t)small, .child = out->node},
        &out->node);
}

static enum st function(struct formula_parser *x, const char *from, size_t n,
                        struct formula_value *out)
{
    const struct formula_name *name = formula_name(from, n);
    if (!name) {
        return FORMULA_BAD(x, from, "no function \"%.*s\"", (int)n, from);
    }
    uint8_t period = x->scope->def->period == INDICATOR_HOUR ? FORMULA_HOUR : FORMULA_DAY;
    if (!(name->flags & period)) {
        return FORMULA_BAD(x, from, "%s is for indicators of period: %s alone", name->name,
                           period == FORMULA_HOUR ? "day" : "hour");
    }
    if (name->shape < FORMULA_OF_COLUMN) {
        ERR_TRY(formula_term_read(x, name, out));
    } else if (name->shape == FORMULA_OF_COLUMN) {
        ERR_TRY(formula_table_read(x, out));
    } else {
        ERR_TRY(of_expressions(x, name, out));
    }
    return formula_wants(x, ")", name->takes);
}

static enum st primary(struct formula_parser *x, struct formula_value *out)
{
    formula_space(x);
    const char *from = x->p;
    if (is_digit(*from)) {
        struct formula_number v = {.param = NULL};
        ERR_TRY(digits(x, false, &v.value));
        return number_node(x, v, out);
    }
    if (formula_takes(x, "(")) {
        ERR_TRY(formula_expression(x, out));
        return formula_wants(x, ")", "the end of what the bracket holds");
    }
    size_t n = formula_word(from);
    if (n == 0) {
        return FORMULA_BAD(x, from,
                           *from ? "here stands a number, a function or a param"
                                 : "the formula ends where a value should stand");
    }
    x->p += n;
    if (formula_takes(x, "(")) {
        return function(x, from, n, out);
    }
    const struct indicator_param *param = param_of(x, from, n);
    if (!param) {
        return FORMULA_BAD(x, from, "no param \"%.*s\": an input stands within a function", (int)n,
                           from);
    }
    return number_node(x, (struct formula_number){.param = param}, out);
}

static enum st factor(struct formula_parser *x, struct formula_value *out)
{
    if (!formula_takes(x, "-")) {
        return primary(x, out);
    }
    if (++x->depth > FORMULA_DEPTH_MAX) {
        return FORMULA_BAD(x, x->p, "brackets nest deeper than %d", FORMULA_DEPTH_MAX);
    }
    ERR_TRY(factor(x, out));
    x->depth--;
    return formula_node(x, (struct formula_node){.kind = FORMULA_NEG, .child = out->node},
                        &out->node);
}

static enum st product(struct formula_parser *x, struct formula_value *out)
{
    struct formula_value b;
    ERR_TRY(factor(x, out));
    for (;;) {
        formula_space(x);
        const char *where = x->p;
        bool times = formula_takes(x, "*");
        if (!times && !formula_takes(x, "/")) {
            return ST_OK;
        }
        ERR_TRY(factor(x, &b));
        bool like = out->unit && b.unit && strcmp(out->unit, b.unit) == 0;
        if (b.unit && !(times ? !out->unit : like)) {
            return FORMULA_BAD(x, where, "%s %s %s has no unit: one of them must be a bare number",
                               unit_text(*out), times ? "times" : "by", unit_text(b));
        }
        out->unit = times && b.unit ? b.unit : like ? NULL : out->unit;
        out->constant = out->constant && b.constant;
        ERR_TRY(pair(x, times ? FORMULA_MUL : FORMULA_DIV, out, b));
    }
}

enum st formula_expression(struct formula_parser *x, struct formula_value *out)
{
    struct formula_value b;
    if (++x->depth > FORMULA_DEPTH_MAX) {
        return FORMULA_BAD(x, x->p, "brackets nest deeper than %d", FORMULA_DEPTH_MAX);
    }
    ERR_TRY(product(x, out));
    for (;;) {
        formula_space(x);
        const char *where = x->p;
        bool plus = formula_takes(x, "+");
        if (!plus && !formula_takes(x, "-")) {
            x->depth--;
            return ST_OK;
        }
        ERR_TRY(product(x, &b));
        ERR_TRY(same(x, where, out, b));
        ERR_TRY(pair(x, plus ? FORMULA_ADD : FORMULA_SUB, out, b));
    }
}

/* To the size that is needed: formulas stay as long as the program runs. */
static void *shrink(void *p, size_t bytes)
{
    void *q = bytes > 0 ? realloc(p, bytes) : NULL;
    if (bytes == 0) {
        free(p);
    }
    return bytes > 0 && !q ? p : q;
}

static enum st read_all(struct formula_parser *x, const char **unit)
{
    struct formula_value v;
    size_t n = strnlen(x->text, FORMULA_TEXT_MAX + 1);
    if (n > FORMULA_TEXT_MAX) {
        return FORMULA_BAD(x, x->text + FORMULA_TEXT_MAX, "a formula has %d bytes at most",
                           FORMULA_TEXT_MAX);
    }
    ERR_TRY(formula_expression(x, &v));
    formula_space(x);
    if (*x->p) {
        return FORMULA_BAD(x, x->p, "the formula should end here, or go on with + - * /");
    }
    x->f->root = v.node;
    *unit = v.unit;
    return ST_OK;
}

enum st formula_parse(struct formula **out, const char *text, const struct formula_scope *scope,
                      const char **unit, size_t *at, struct err *e)
{
    struct formula *f = calloc(1, sizeof *f);
    struct formula_parser x = {.text = text, .p = text, .scope = scope, .f = f, .e = e};
    *out = NULL;
    *at = 0;
    if (!f || !(f->node = calloc(FORMULA_NODES_MAX, sizeof *f->node)) ||
        !(f->term = calloc(FORMULA_NODES_MAX, sizeof *f->term)) ||
        !(f->number = calloc(FORMULA_NUMBERS_MAX, sizeof *f->number)) ||
        !(f->cond = calloc(FORMULA_CONDS_MAX, sizeof *f->cond))) {
        formula_free(f);
        return err_set(e, ST_MEMORY, "no memory for a formula");
    }
    enum st st = read_all(&x, unit);
    if (st != ST_OK) {
        *at = x.at;
        formula_free(f);
        return st;
    }
    f->node = shrink(f->node, f->nnodes * sizeof *f->node);
    f->term = shrink(f->term, f->nterms * sizeof *f->term);
    f->number = shrink(f->number, f->nnumbers * sizeof *f->number);
    f->cond = shrink(f->cond, f->nconds * sizeof *f->cond);
    *out = f;
    return ST_OK;
}

void formula_free(struct formula *f)
{
    if (f) {
        free(f->node);
        free(f->term);
        free(f->number);
        free(f->cond);
        free(f->table);
        free(f);
    }
}
