/* Points of SunSpec models in profiles: what the model says of them, and how a factor scales them.
 */
#include <stdlib.h>

#include "gateway/collect/sunspec_int.h"

/* What a profile's words call the types of sunspec.def. */
#define SUNSPEC_TYPE(type, as, none) [SUNSPEC_##type] = COLLECT_TYPE_##as,
static const int types[SUNSPEC_TYPES] = {
#include "sensors/sunspec.def"
};
#undef SUNSPEC_TYPE
/* What the device does not have. Never written. */
#define SUNSPEC_TYPE(type, as, none) [SUNSPEC_##type] = none,
static int64_t nones[SUNSPEC_TYPES] = {
#include "sensors/sunspec.def"
};
#undef SUNSPEC_TYPE

static void complain_register(struct cfg *c, const struct collect_point *p, unsigned id)
{
    const char **known = calloc(sunspec_point_count + 1, sizeof *known), *near = NULL;
    size_t n = 0;
    for (size_t i = 0; known && i < sunspec_point_count; i++)
        if (id >= sunspec_points[i].from && id <= sunspec_points[i].to)
            known[n++] = sunspec_points[i].name;
    if (n > 0)
        near = cfg_nearest(p->reg, known, n);
    cfg_complain(c, &p->reg, "%s: SunSpec model %u has no register \"%s\" here%s%s%s", p->name, id,
                 p->reg, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(known);
}

/* Both come of the model. */
static void check_given(struct cfg *c, const struct collect_point *p)
{
    const struct {
        const void *member;
        const char *key;
    } keys[] = {{&p->address, "address"}, {&p->type, "type"},         {&p->order, "order"},
                {&p->count, "count"},     {&p->no_value, "no_value"}, {&p->offset, "offset"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (cfg_given(c, keys[i].member))
            cfg_complain(c, keys[i].member,
                         "%s: a register of a SunSpec model has no %s of its own", p->name,
                         keys[i].key);
}

static void check_fixed(struct cfg *c, const struct collect_point *p)
{
    const struct {
        const void *member;
        const char *key;
    } keys[] = {{&p->function, "function"}, {&p->address, "address"}, {&p->type, "type"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!cfg_given(c, keys[i].member))
            cfg_complain(c, p, "%s: \"%s\" is missing", p->name, keys[i].key);
    if (p->reg || cfg_given(c, &p->block))
        cfg_complain(c, p, "%s: register and block are of SunSpec models: \"models\" is missing",
                     p->name);
}

void collect_sunspec_check(struct cfg *c, struct collect_point *p)
{
    const struct sunspec_point *first = NULL;
    if (p->models.n == 0) {
        check_fixed(c, p);
        return;
    }
    check_given(c, p);
    if (p->function == 0)
        p->function = 3;
    if (!p->reg)
        cfg_complain(c, p, "%s: \"register\" is missing: its name in the model", p->name);
    for (size_t i = 0; p->reg && i < p->models.n; i++) {
        unsigned id =
            p->models.v[i] > 0 && p->models.v[i] < SUNSPEC_END ? (unsigned)p->models.v[i] : 0;
        const struct sunspec_point *it = sunspec_point_of(id, p->reg);
        if (!sunspec_models_of(id))
            cfg_complain(c, &p->models, "%s: SunSpec model %lld is not known here", p->name,
                         (long long)p->models.v[i]);
        else if (!it)
            complain_register(c, p, id);
        else if (first && it->type != first->type)
            cfg_complain(c, &p->models, "%s: model %u has another type of %s than model %lld",
                         p->name, id, p->reg, (long long)p->models.v[0]);
        first = first ? first : it;
    }
    if (!first)
        return;
    p->type = types[first->type];
    if (first->type == SUNSPEC_string)
        p->count = first->size;
    else if (first->type != SUNSPEC_float32) /* that is NaN */
        p->no_value = (struct cfg_ints){&nones[first->type], 1};
}

bool collect_sunspec_scale(struct collect_point *p, struct num scale, int factor)
{
    int64_t i = scale.i;
    int exp = scale.exp + factor;
    if (factor < -SUNSPEC_FACTOR_MAX || factor > SUNSPEC_FACTOR_MAX)
        return false;
    for (; exp > 0; exp--)
        if (__builtin_mul_overflow(i, INT64_C(10), &i))
            return false;
    struct num scaled = num_dec(i, exp);
    if (scaled.kind == NUM_NONE)
        return false;
    p->scale = scaled;
    collect_decoder_init(&p->decoder, p);
    return true;
}
