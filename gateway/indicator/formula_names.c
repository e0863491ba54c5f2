#include <string.h>

#include "gateway/indicator/formula_int.h"

static const uint8_t minutes[] = {5, 6, 10, 12, 15, 20, 30, 60, 0}, hours[] = {1, 8, 24, 0};

#define BOTH (FORMULA_HOUR | FORMULA_DAY)
static const struct formula_name names[] = {
    {"count", FORMULA_OF_COND, FORMULA_COUNT, FORMULA_UNIT_BARE, BOTH | FORMULA_ANY_UNIT,
     "count(input) or count(condition)", 0, 0, NULL},
    {"due", FORMULA_OF_INPUT, FORMULA_DUE, FORMULA_UNIT_BARE, BOTH | FORMULA_ANY_UNIT, "due(input)",
     0, 0, NULL},
    {"mean", FORMULA_OF_INPUT, FORMULA_MEAN, FORMULA_UNIT_X, BOTH, "mean(input)", 0, 0, NULL},
    {"min", FORMULA_OF_INPUT, FORMULA_LEAST, FORMULA_UNIT_X, BOTH, "min(input)", 0, 0, NULL},
    {"max", FORMULA_OF_INPUT, FORMULA_LARGEST, FORMULA_UNIT_X, BOTH, "max(input)", 0, 0, NULL},
    {"hour_mean", FORMULA_OF_INPUT, FORMULA_HOUR_MEAN, FORMULA_UNIT_X, BOTH, "hour_mean(input)", 0,
     0, NULL},
    {"hour_max", FORMULA_OF_INPUT, FORMULA_HOUR_MAX, FORMULA_UNIT_X, BOTH, "hour_max(input)", 0, 0,
     NULL},
    {"hour8_max", FORMULA_OF_INPUT, FORMULA_HOUR8_MAX, FORMULA_UNIT_X, FORMULA_DAY,
     "hour8_max(input)", 0, 0, NULL},
    {"percentile", FORMULA_OF_NUMBER, FORMULA_PERCENTILE, FORMULA_UNIT_X, BOTH,
     "percentile(input, p)", 0, 0, NULL},
    {"nowcast", FORMULA_OF_INPUT, FORMULA_NOWCAST, FORMULA_UNIT_X, FORMULA_HOUR, "nowcast(input)",
     0, 0, NULL},
    {"growth", FORMULA_OF_INPUT, FORMULA_GROWTH, FORMULA_UNIT_X, BOTH | FORMULA_COUNTER,
     "growth(input)", 0, 0, NULL},
    {"drops", FORMULA_OF_NUMBER, FORMULA_DROPS, FORMULA_UNIT_X, BOTH, "drops(input, least)", 0, 0,
     NULL},
    {"drops_volume", FORMULA_OF_NUMBER, FORMULA_DROPS_VOLUME, FORMULA_UNIT_M3,
     BOTH | FORMULA_PERCENT, "drops_volume(input, least)", 0, 0, NULL},
    {"collections", FORMULA_OF_NUMBER, FORMULA_COLLECTIONS, FORMULA_UNIT_BARE, BOTH,
     "collections(input, least)", 0, 0, NULL},
    {"time", FORMULA_OF_COND, FORMULA_TIME, FORMULA_UNIT_H, BOTH | FORMULA_ANY_UNIT,
     "time(input) or time(condition)", 0, 0, NULL},
    {"peak", FORMULA_OF_WHOLE, FORMULA_PEAK, FORMULA_UNIT_X, BOTH, "peak(input, minutes)", 0, 0,
     minutes},
    {"windows", FORMULA_OF_WHOLE, FORMULA_WINDOWS, FORMULA_UNIT_BARE, BOTH, "windows(input, hours)",
     0, 0, hours},
    {"exceed", FORMULA_OF_LIMIT, FORMULA_EXCEED, FORMULA_UNIT_BARE, BOTH,
     "exceed(input, norm, parameter, hours)", 0, 0, hours},
    {"index", FORMULA_OF_COLUMN, FORMULA_TABLE, FORMULA_UNIT_BARE, BOTH,
     "index(norm, column, expression)", 0, 0, NULL},
    {"lookup", FORMULA_OF_COLUMN, FORMULA_TABLE, FORMULA_UNIT_BARE, BOTH,
     "lookup(norm, column, expression)", 0, 0, NULL},
    {"root", FORMULA_OF_EXPR_SMALL, FORMULA_ROOT, FORMULA_UNIT_X, BOTH, "root(expression, n)", 2, 9,
     NULL},
    {"abs", FORMULA_OF_EXPR, FORMULA_ABS, FORMULA_UNIT_X, BOTH, "abs(expression)", 0, 0, NULL},
    {"round", FORMULA_OF_EXPR_SMALL, FORMULA_ROUND, FORMULA_UNIT_X, BOTH,
     "round(expression, decimals)", 0, 12, NULL},
    {"number", FORMULA_OF_EXPR, FORMULA_PLAIN, FORMULA_UNIT_BARE, BOTH, "number(expression)", 0, 0,
     NULL},
    {"max_of", FORMULA_OF_MANY, FORMULA_MAX_OF, FORMULA_UNIT_X, BOTH, "max_of(expression, …)", 0, 0,
     NULL},
    {"min_of", FORMULA_OF_MANY, FORMULA_MIN_OF, FORMULA_UNIT_X, BOTH, "min_of(expression, …)", 0, 0,
     NULL},
    {"sum_of", FORMULA_OF_MANY, FORMULA_SUM_OF, FORMULA_UNIT_X, BOTH, "sum_of(expression, …)", 0, 0,
     NULL},
    {"mean_of", FORMULA_OF_MANY, FORMULA_MEAN_OF, FORMULA_UNIT_X, BOTH, "mean_of(expression, …)", 0,
     0, NULL},
    {"product_of", FORMULA_OF_MANY, FORMULA_PRODUCT_OF, FORMULA_UNIT_BARE, BOTH,
     "product_of(number, …)", 0, 0, NULL},
    {"if", FORMULA_OF_IF, FORMULA_IF, FORMULA_UNIT_X, BOTH, "if(expression < expression, a, b)", 0,
     0, NULL},
};

const struct formula_name *formula_name(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i].name) == n && memcmp(names[i].name, text, n) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

struct num formula_number(const struct formula_number *n)
{
    return n->param ? n->param->value : n->value;
}
