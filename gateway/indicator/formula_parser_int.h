/* Formula: what the parser's files share. formula.c: expressions; formula_term.c: functions over
 * readings and tables of norms. */
#ifndef GATEWAY_INDICATOR_FORMULA_PARSER_INT_H
#define GATEWAY_INDICATOR_FORMULA_PARSER_INT_H

#include "gateway/indicator/formula_int.h"

struct formula_parser {
    const char *text, *p; /* p: what comes next */
    const struct formula_scope *scope;
    struct formula *f;
    unsigned depth;
    size_t at; /* where the mistake is */
    struct err *e;
};
/* An expression that was read. A constant is made of numbers and params alone and fits any unit. */
struct formula_value {
    uint16_t node;
    const char *unit;
    bool constant;
};

/* Complains about `where`; the status is for the caller to return. */
#define FORMULA_BAD(x, where, ...)                                                                 \
    ((x)->at = (size_t)((where) - (x)->text), err_set((x)->e, ST_BAD, __VA_ARGS__))

void formula_space(struct formula_parser *x);
bool formula_takes(struct formula_parser *x, const char *sign); /* and steps over it */
enum st formula_wants(struct formula_parser *x, const char *sign, const char *what) ST_MUST_CHECK;
/* The length of the name that begins at p: [A-Za-z_][A-Za-z0-9_]*; 0: none. */
size_t formula_word(const char *p);
/* "<", "<=", …; false: none is there. */
bool formula_op(struct formula_parser *x, enum indicator_op *op);
/* A number with or without a minus, or a param. */
enum st formula_constant(struct formula_parser *x, struct formula_number *out) ST_MUST_CHECK;
enum st formula_small(struct formula_parser *x, int least, int most, int *out) ST_MUST_CHECK;
enum st formula_node(struct formula_parser *x, struct formula_node n, uint16_t *out) ST_MUST_CHECK;
enum st formula_expression(struct formula_parser *x, struct formula_value *out) ST_MUST_CHECK;

/* formula_term.c; behind "name(", up to and with ")". */
enum st formula_term_read(struct formula_parser *x, const struct formula_name *name,
                          struct formula_value *out) ST_MUST_CHECK;
enum st formula_table_read(struct formula_parser *x, struct formula_value *out) ST_MUST_CHECK;

#endif
