/* Registers of an unknown device: every way to read them, and which of these are likely. */
#include <math.h>

#include "gateway/collect/collect_int.h"

#define MARK_LOW 0x7fff
#define MARK_HIGH 0x8000
#define MARK_ALL 0xffff
#define FLOAT_MIN 0.001
#define FLOAT_MAX 1e7
#define TEXT_MIN 4 /* characters */

/* The largest plausible number of so many registers, and the lowest negative one. */
static const struct range {
    double most, least;
} ranges[] = {[1] = {32767, -10000}, [2] = {1e8, -1e8}, [4] = {1e12, -1e12}};

static bool all_zero(const uint8_t *p, unsigned regs)
{
    for (unsigned i = 0; i < 2 * regs; i++)
        if (p[i])
            return false;
    return true;
}

static bool is_mark(const uint8_t *p)
{
    unsigned w = (unsigned)p[0] << 8 | p[1];
    return w == MARK_LOW || w == MARK_HIGH || w == MARK_ALL;
}

static bool is_plausible(const uint8_t *p, unsigned regs, enum collect_form form, struct num n)
{
    double v = num_double(n);
    if (n.kind == NUM_NONE || all_zero(p, regs))
        return false;
    if (form == COLLECT_FLOAT)
        return fabs(v) >= FLOAT_MIN && fabs(v) <= FLOAT_MAX;
    if (form == COLLECT_BCD)
        return true; /* all its digits are decimal */
    if (regs == 1 && is_mark(p))
        return false;
    return form == COLLECT_SIGNED ? v < 0 && v >= ranges[regs].least : v <= ranges[regs].most;
}

/* Whether the order's word is one for this width. */
static bool fits(const struct collect_type_info *t, int order)
{
    if (t->regs == 1)
        return order == 0;
    return (order & COLLECT_ORDER_WIDE) == (t->regs == 4 ? COLLECT_ORDER_WIDE : 0);
}

static void view_at(const uint8_t *p, unsigned at, int type,
                    void (*each)(void *ctx, const struct collect_view *v), void *ctx)
{
    const struct collect_type_info *t = &collect_types[type];
    for (size_t k = 0; collect_order_words[k].word; k++) {
        int order = collect_order_words[k].value;
        struct collect_point point = {
            .type = type, .order = order, .scale = num_dec(1, 0), .offset = num_dec(0, 0)};
        struct collect_decoder d;
        struct collect_view v = {.at = at,
                                 .regs = t->regs,
                                 .type = collect_type_words[type].word,
                                 .order = collect_order_words[k].word};
        if (!fits(t, order))
            continue;
        collect_decoder_init(&d, &point);
        (void)collect_decode(&d, p, &v.v);
        v.plausible = is_plausible(p, t->regs, (enum collect_form)t->form, v.v);
        each(ctx, &v);
    }
}

void collect_views(const uint8_t *data, unsigned n,
                   void (*each)(void *ctx, const struct collect_view *v), void *ctx)
{
    for (unsigned at = 0; at < n; at++)
        for (int type = 0; type < COLLECT_TYPE_COUNT; type++)
            if (collect_types[type].regs > 0 && at + collect_types[type].regs <= n)
                view_at(data + (size_t)2 * at, at, type, each, ctx);
}

bool collect_view_text(const uint8_t *data, unsigned n, bool swapped, char *text)
{
    size_t bytes = (size_t)2 * n, end = 0;
    bool readable = true, padded = false;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = data[swapped ? i ^ 1 : i];
        bool printable = c >= ' ' && c < 0x7f;
        padded |= c == 0;
        readable &= padded ? c == 0 : printable;
        text[i] = (char)(printable ? c : '.');
        if (c != 0 && c != ' ')
            end = i + 1;
    }
    text[end] = '\0';
    return readable && end >= TEXT_MIN;
}
