/* SunSpec models: which register of a model holds what. One line per register in sunspec.def, which
 * names the documents.
 *
 * A device has a chain of models behind the word "SunS": each begins with its number (ID) and the
 * registers that follow (L), and the number 0xFFFF ends it. Where a model lies is found by walking
 * there; only offsets within a model are fixed. */
#ifndef SENSORS_SUNSPEC_H
#define SENSORS_SUNSPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUNSPEC_MARK 0x53756E53U /* "SunS" */
#define SUNSPEC_END 0xFFFFU      /* the ID behind the last model */
#define SUNSPEC_COMMON 1U /* the model that says who a device is; each device begins with it */
#define SUNSPEC_HEAD 2U   /* registers: ID and L */
#define SUNSPEC_NO_FACTOR (-32768)
#define SUNSPEC_FACTOR_MAX 10 /* a scale factor is 10 to the power of -10 to 10 */

#define SUNSPEC_TYPE(type, as, none) SUNSPEC_##type,
enum sunspec_type {
#include "sensors/sunspec.def"
    SUNSPEC_TYPES
};
#undef SUNSPEC_TYPE

struct sunspec_models {          /* of one layout */
    uint16_t from, to;           /* first and last ID */
    uint16_t length;             /* the usual L */
    uint16_t count, first, size; /* blocks, see sunspec.def; 0: none */
};

struct sunspec_point {
    uint16_t from, to; /* of its models */
    const char *name;
    enum sunspec_type type;
    uint16_t offset, size; /* registers, offset from ID */
    uint16_t factor;       /* offset of its scale factor, 0: none */
};

extern const struct sunspec_point sunspec_points[];
extern const size_t sunspec_point_count;

/* NULL: no line of sunspec.def is of this model. Any thread, and so are the others. */
const struct sunspec_models *sunspec_models_of(unsigned id);
/* A register of this model by its name, or NULL. */
const struct sunspec_point *sunspec_point_of(unsigned id, const char *name);
/* Where the point stands in a model of that length, in block `block` (from 1): its offset from ID;
 * 0: the model is too short for it, or has fewer blocks, or the point is of no block and block is
 * not 1. blocks: as the model's own count says. */
unsigned sunspec_offset(const struct sunspec_point *p, unsigned length, unsigned blocks,
                        unsigned block);

#endif
