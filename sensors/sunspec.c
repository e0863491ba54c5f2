#include "sensors/sunspec.h"

#define SUNSPEC_MODELS(from, to, length, count, first, size, source)                               \
    {from, to, length, count, first, size},
static const struct sunspec_models models[] = {
#include "sensors/sunspec.def"
};
#undef SUNSPEC_MODELS

#define SUNSPEC_POINT(from, to, name, type, offset, size, factor)                                  \
    {from, to, #name, SUNSPEC_##type, offset, size, factor},
const struct sunspec_point sunspec_points[] = {
#include "sensors/sunspec.def"
};
#undef SUNSPEC_POINT
const size_t sunspec_point_count = sizeof(sunspec_points) / sizeof(sunspec_points[0]);

const struct sunspec_models *sunspec_models_of(unsigned id)
{
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (id >= models[i].from && id <= models[i].to)
            return &models[i];
    return NULL;
}

/* strcmp without <string.h>, which a freestanding compiler need not have. */
static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const struct sunspec_point *sunspec_point_of(unsigned id, const char *name)
{
    for (size_t i = 0; i < sunspec_point_count; i++) {
        const struct sunspec_point *p = &sunspec_points[i];
        if (id >= p->from && id <= p->to && same(p->name, name))
            return p;
    }
    return NULL;
}

unsigned sunspec_offset(const struct sunspec_point *p, unsigned length, unsigned blocks,
                        unsigned block)
{
    const struct sunspec_models *m = sunspec_models_of(p->from);
    unsigned offset = p->offset;
    bool repeats = m && m->size > 0 && p->offset >= m->first;
    if (block == 0 || block > (repeats ? blocks : 1))
        return 0;
    if (repeats)
        offset += m->size * (block - 1);
    return offset + p->size <= SUNSPEC_HEAD + length ? offset : 0;
}
