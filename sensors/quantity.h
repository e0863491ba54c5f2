/* The catalogue of quantities: what a point can measure. One line per quantity in quantity.def.
 *
 * No floating point: limits are integers in units of 10^-decimals of the SenML unit (RFC 8428,
 * RFC 8798). Ids are the numbers on the node's own bus and are never reused. */
#ifndef SENSORS_QUANTITY_H
#define SENSORS_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum quantity_domain {
    QUANTITY_GENERAL,
    QUANTITY_AIR,
    QUANTITY_WATER,
    QUANTITY_WEATHER,
    QUANTITY_NOISE,
    QUANTITY_WASTE,
    QUANTITY_ENERGY,
    QUANTITY_CONNECTIVITY,
    QUANTITY_INDICATOR,
    QUANTITY_DOMAINS
};

struct quantity {
    uint16_t id;
    const char *key;  /* the name that profiles and configurations use, [a-z0-9_]+ */
    const char *unit; /* SenML unit; NULL for a bare number */
    uint8_t decimals; /* decimals that make sense on a display, and the scale of min and max */
    bool limited;     /* whether min and max apply */
    int64_t min, max; /* plausible limits, inclusive, in 10^-decimals units */
    bool counter; /* only grows until it starts over (energy, rain): differences mean something */
    int64_t most_per_hour; /* that a counter grows, in 10^-decimals units; 0: not known */
    uint16_t stuck_hours;  /* a sensor that says the same so long is stuck; 0: it may rest */
    enum quantity_domain domain;
    const char *vi, *en; /* labels, UTF-8 */
};

/* Their ids by key: QUANTITY_ID_temperature. For tables in C; who reads a key asks by key. */
#define QUANTITY(id, key, unit, decimals, limits, domain, vi, en) QUANTITY_ID_##key = (id),
enum quantity_id {
#include "sensors/quantity.def"
};
#undef QUANTITY

/* All quantities in the order of quantity.def. Static storage; any thread. */
extern const struct quantity quantity_table[];
extern const size_t quantity_count;

/* NULL when there is none. Any thread. */
const struct quantity *quantity_by_key(const char *key);
const struct quantity *quantity_by_id(uint16_t id);
const char *quantity_domain_name(enum quantity_domain d); /* "air", "water", … */

#endif
