/* The chain of SunSpec models: found and walked, never trusted. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/sunspec_int.h"

#define LAST_HEAD 65534U /* ID and L of a model fit there */
#define NO_LENGTH 65535U

const uint16_t collect_bases[COLLECT_BASES] = {40000, 0, 50000};

void collect_walk_begin(struct collect_walk *w, unsigned base)
{
    *w = (struct collect_walk){.base = base % COLLECT_BASES};
}

bool collect_walk_next(const struct collect_walk *w, uint16_t *address, uint16_t *count)
{
    const struct collect_chain *c = &w->chain;
    *count = 2;
    switch (w->state) {
    case COLLECT_WALK_MARK:
        *address = collect_bases[w->base];
        return true;
    case COLLECT_WALK_HEAD:
        *address = (uint16_t)w->at;
        return true;
    case COLLECT_WALK_BLOCKS:
        *address = (uint16_t)(c->models[c->n - 1].address +
                              sunspec_models_of(c->models[c->n - 1].id)->count);
        *count = 1;
        return true;
    case COLLECT_WALK_LAST:
        *address = (uint16_t)w->at;
        *count = 1;
        return true;
    case COLLECT_WALK_DONE:
    case COLLECT_WALK_BAD:
        break;
    }
    return false;
}

__attribute__((format(printf, 2, 3))) static void refuse(struct collect_walk *w, const char *format,
                                                         ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    w->state = COLLECT_WALK_BAD;
}

static void heard_mark(struct collect_walk *w, uint32_t word, bool refused)
{
    if (!refused && word == SUNSPEC_MARK) {
        w->chain.base = collect_bases[w->base];
        w->at = w->chain.base + 2U;
        w->state = COLLECT_WALK_HEAD;
        return;
    }
    w->base = (w->base + 1) % COLLECT_BASES;
    if (++w->tried == COLLECT_BASES)
        refuse(w, "\"SunS\" stands neither at 40000 nor at 0 or 50000: it is no SunSpec device, or "
                  "SunSpec is turned off in its settings");
}

static void heard_head(struct collect_walk *w, unsigned id, unsigned length, bool refused)
{
    struct collect_chain *c = &w->chain;
    const struct sunspec_models *known;
    if (refused)
        w->state = COLLECT_WALK_LAST;
    else if (id == SUNSPEC_END && c->n == 0)
        refuse(w, "its chain of SunSpec models is empty");
    else if (id == SUNSPEC_END)
        w->state = COLLECT_WALK_DONE;
    else if (id == 0)
        refuse(w, "its chain of SunSpec models breaks off: at address %u there is no model", w->at);
    else if (length == NO_LENGTH || w->at + SUNSPEC_HEAD + length > LAST_HEAD)
        refuse(w, "its SunSpec model %u at address %u cannot be %u registers long", id, w->at,
               length);
    else if (c->n == COLLECT_CHAIN_MAX)
        refuse(w, "its chain of SunSpec models has no end: more than %d", COLLECT_CHAIN_MAX);
    else {
        c->models[c->n++] = (struct collect_model){
            .id = (uint16_t)id, .length = (uint16_t)length, .address = (uint16_t)w->at};
        w->at += SUNSPEC_HEAD + length;
        known = sunspec_models_of(id);
        if (known && known->size > 0 && SUNSPEC_HEAD + length >= known->first)
            w->state = COLLECT_WALK_BLOCKS;
    }
}

/* The mark of the end may be a device's last register, without a length behind it. */
static void heard_last(struct collect_walk *w, unsigned id, bool refused)
{
    if (!refused && id == SUNSPEC_END)
        heard_head(w, id, 0, false);
    else
        refuse(w,
               "its chain of SunSpec models breaks off: it refuses address %u, where a model "
               "should begin",
               w->at);
}

/* A count that is not there, or says too much, is that of the length. */
static void heard_blocks(struct collect_walk *w, unsigned count)
{
    struct collect_model *m = &w->chain.models[w->chain.n - 1];
    const struct sunspec_models *known = sunspec_models_of(m->id);
    unsigned room = (SUNSPEC_HEAD + m->length - known->first) / known->size;
    m->blocks = (uint16_t)(count < room ? count : room);
    w->state = COLLECT_WALK_HEAD;
}

void collect_walk_heard(struct collect_walk *w, const uint8_t *data)
{
    unsigned first = data ? (unsigned)data[0] << 8 | data[1] : NO_LENGTH, second = 0;
    if (data && w->state != COLLECT_WALK_BLOCKS && w->state != COLLECT_WALK_LAST)
        second = (unsigned)data[2] << 8 | data[3];
    switch (w->state) {
    case COLLECT_WALK_MARK:
        heard_mark(w, first << 16 | second, !data);
        break;
    case COLLECT_WALK_HEAD:
        heard_head(w, first, second, !data);
        break;
    case COLLECT_WALK_BLOCKS:
        heard_blocks(w, first);
        break;
    case COLLECT_WALK_LAST:
        heard_last(w, first, !data);
        break;
    case COLLECT_WALK_DONE:
    case COLLECT_WALK_BAD:
        break;
    }
}

const struct collect_model *collect_chain_find(const struct collect_chain *c,
                                               const struct cfg_ints *ids, int64_t instance,
                                               size_t anchor)
{
    const struct collect_model *common = NULL;
    for (size_t i = 0; i < c->n; i++) {
        bool is = false;
        for (size_t k = 0; k < ids->n; k++)
            is |= ids->v[k] == c->models[i].id;
        if (!is)
            continue;
        if (c->models[i].id == SUNSPEC_COMMON) {
            if (i < anchor || !common)
                common = &c->models[i];
        } else if (--instance == 0) {
            return &c->models[i];
        }
    }
    return common;
}
