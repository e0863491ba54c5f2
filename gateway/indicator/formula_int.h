/* Formula: the tree that a text becomes. Its leaves are terms: a function over the readings of one
 * input, which the fold works out, each once; all else is arithmetic on what the terms give. */
#ifndef GATEWAY_INDICATOR_FORMULA_INT_H
#define GATEWAY_INDICATOR_FORMULA_INT_H

#include "gateway/indicator/indicator_int.h"

#define FORMULA_TEXT_MAX 4096
#define FORMULA_DEPTH_MAX 16
#define FORMULA_NODES_MAX 256
#define FORMULA_NUMBERS_MAX 256
#define FORMULA_CONDS_MAX 64
#define FORMULA_TOGETHER_MAX 8 /* inputs that one COND compares */
#define FORMULA_ROWS_MAX 32    /* of a norm's table */
#define FORMULA_NONE UINT16_MAX

/* A number that stands in the text, or a param, whose value is read when it is needed. */
struct formula_number {
    struct num value;
    const struct indicator_param *param;
};
struct num formula_number(const struct formula_number *n);

/* `input op number`, or `input in [number, …]` (op INDICATOR_EQ, of any). */
struct formula_cond {
    uint8_t input;
    uint8_t op;             /* enum indicator_op */
    uint16_t first, ncount; /* its numbers */
};

enum formula_fn {
    FORMULA_COUNT,
    FORMULA_COUNT_COND,
    FORMULA_DUE,
    FORMULA_MEAN,
    FORMULA_LEAST,
    FORMULA_LARGEST,
    FORMULA_HOUR_MEAN,
    FORMULA_HOUR_MAX,
    FORMULA_HOUR8_MAX,
    FORMULA_PERCENTILE,
    FORMULA_NOWCAST,
    FORMULA_GROWTH,
    FORMULA_DROPS,
    FORMULA_DROPS_VOLUME,
    FORMULA_COLLECTIONS,
    FORMULA_TIME,
    FORMULA_TIME_COND,
    FORMULA_PEAK,
    FORMULA_WINDOWS,
    FORMULA_EXCEED
};
struct formula_term {
    uint8_t fn;    /* enum formula_fn */
    uint8_t input; /* of a COND: its first */
    uint8_t whole; /* hours, minutes */
    uint8_t nconds;
    uint16_t cond;             /* its first */
    struct formula_number arg; /* p, least */
    const struct indicator_norm *norm;
    const char *parameter; /* the norm's own text */
};

enum formula_kind {
    FORMULA_NUMBER,
    FORMULA_TERM,
    FORMULA_NEG,
    FORMULA_ADD,
    FORMULA_SUB,
    FORMULA_MUL,
    FORMULA_DIV,
    FORMULA_TABLE, /* index, lookup */
    FORMULA_ROOT,
    FORMULA_ABS,
    FORMULA_ROUND,
    FORMULA_PLAIN, /* number(e) */
    FORMULA_MAX_OF,
    FORMULA_MIN_OF,
    FORMULA_SUM_OF,
    FORMULA_MEAN_OF,
    FORMULA_PRODUCT_OF,
    FORMULA_IF
};
struct formula_node {
    uint8_t kind;         /* enum formula_kind */
    uint8_t small;        /* root: n; round: decimals; if: enum indicator_op */
    uint16_t at;          /* number, term, table */
    uint16_t child, next; /* the first argument, and what follows among its siblings */
};
/* A column of a norm, its rows that are there: bp[i] <= bp[i + 1]. */
struct formula_table {
    const struct indicator_norm *norm;
    const struct indicator_column *column;
    size_t rows;
    struct num bp[FORMULA_ROWS_MAX], index[FORMULA_ROWS_MAX];
};
struct formula {
    uint16_t root;
    size_t nnodes, nterms, nnumbers, nconds, ntables;
    struct formula_node *node;
    struct formula_term *term;
    struct formula_number *number;
    struct formula_cond *cond;
    struct formula_table *table;
};

/* formula_names.c: the closed set. */
enum formula_shape {
    FORMULA_OF_INPUT,      /* f(x) */
    FORMULA_OF_COND,       /* f(x) or f(COND) */
    FORMULA_OF_NUMBER,     /* f(x, number) */
    FORMULA_OF_WHOLE,      /* f(x, whole number of a list) */
    FORMULA_OF_LIMIT,      /* f(x, norm, parameter, hours) */
    FORMULA_OF_COLUMN,     /* f(norm, column, e) */
    FORMULA_OF_EXPR,       /* f(e) */
    FORMULA_OF_EXPR_SMALL, /* f(e, whole number) */
    FORMULA_OF_MANY,       /* f(e, …) */
    FORMULA_OF_IF          /* if(e op e, a, b) */
};
enum formula_unit { FORMULA_UNIT_X, FORMULA_UNIT_BARE, FORMULA_UNIT_H, FORMULA_UNIT_M3 };
#define FORMULA_HOUR 1u /* where the indicator's period is an hour */
#define FORMULA_DAY 2u
#define FORMULA_ANY_UNIT 4u /* also of an input of any quantity */
#define FORMULA_COUNTER 8u  /* of counters alone */
#define FORMULA_PERCENT 16u /* of shares in /100 alone */
struct formula_name {
    const char *name;
    uint8_t shape;        /* enum formula_shape */
    uint8_t id;           /* enum formula_fn or, from FORMULA_OF_COLUMN on, formula_kind */
    uint8_t unit;         /* enum formula_unit */
    uint8_t flags;        /* FORMULA_HOUR | … */
    const char *takes;    /* what the arguments are, for a complaint */
    int least, most;      /* _SMALL: bounds of the whole number */
    const uint8_t *whole; /* _WHOLE, _LIMIT: those there are, 0 at the end */
};
const struct formula_name *formula_name(const char *text, size_t n);

#endif
