#include "sensors/quantity.h"

#define LIMITS(lo, hi) true, (lo), (hi), false, 0, 0
#define MOVES(lo, hi, hours) true, (lo), (hi), false, 0, (hours)
#define GROWS(lo, hi, most) true, (lo), (hi), true, (most), 0
#define NO_LIMITS false, 0, 0, false, 0, 0
#define QUANTITY(id, key, unit, decimals, limits, domain, vi, en)                                  \
    {id, #key, unit, decimals, limits, QUANTITY_##domain, vi, en},

const struct quantity quantity_table[] = {
#include "sensors/quantity.def"
};
const size_t quantity_count = sizeof(quantity_table) / sizeof(quantity_table[0]);

static const char *const domain_names[QUANTITY_DOMAINS] = {
    [QUANTITY_GENERAL] = "general",     [QUANTITY_AIR] = "air",
    [QUANTITY_WATER] = "water",         [QUANTITY_WEATHER] = "weather",
    [QUANTITY_NOISE] = "noise",         [QUANTITY_WASTE] = "waste",
    [QUANTITY_ENERGY] = "energy",       [QUANTITY_CONNECTIVITY] = "connectivity",
    [QUANTITY_INDICATOR] = "indicator",
};

/* strcmp without <string.h>, which a freestanding compiler need not have. */
static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const struct quantity *quantity_by_key(const char *key)
{
    for (size_t i = 0; i < quantity_count; i++)
        if (same(quantity_table[i].key, key))
            return &quantity_table[i];
    return NULL;
}

const struct quantity *quantity_by_id(uint16_t id)
{
    for (size_t i = 0; i < quantity_count; i++)
        if (quantity_table[i].id == id)
            return &quantity_table[i];
    return NULL;
}

const char *quantity_domain_name(enum quantity_domain d)
{
    return (unsigned)d < QUANTITY_DOMAINS ? domain_names[d] : "unknown";
}
