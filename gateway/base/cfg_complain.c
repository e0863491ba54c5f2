/* Mistakes and their places. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/cfg_int.h"

static bool complaints_text(struct cfg *c)
{
    c->text.n = 0;
    size_t shown = c->ncomplaints < CFG_COMPLAINTS_MAX ? c->ncomplaints : CFG_COMPLAINTS_MAX;
    for (size_t i = 0; i < shown; i++) {
        const struct cfg_complaint *p = &c->complaints[i];
        if (buf_printf(&c->text, "%s:%d:%d: %s\n", c->path, p->line, p->col, p->text) != ST_OK) {
            return false;
        }
    }
    if (c->ncomplaints > shown && buf_printf(&c->text, "%s: %zu more mistakes are not shown\n",
                                             c->path, c->ncomplaints - shown) != ST_OK) {
        return false;
    }
    return buf_put(&c->text, "", 1) == ST_OK;
}

/* File order; what is said later of the same place comes after. */
static void insert(struct cfg *c, int line, int col, const char *text)
{
    if (c->ncomplaints >= CFG_COMPLAINTS_MAX) {
        c->ncomplaints++;
        return;
    }
    size_t at = c->ncomplaints;
    size_t n = strlen(text) + 1;
    char *copy = cfg_arena_get(&c->arena, n);
    struct cfg_complaint *grown = realloc(c->complaints, (at + 1) * sizeof(*grown));
    if (grown) {
        c->complaints = grown;
    }
    if (!copy || !grown) {
        c->memory = true;
        return;
    }
    memcpy(copy, text, n);
    while (at > 0 &&
           (grown[at - 1].line > line || (grown[at - 1].line == line && grown[at - 1].col > col))) {
        grown[at] = grown[at - 1];
        at--;
    }
    grown[at] = (struct cfg_complaint){line, col, copy};
    c->ncomplaints++;
}

__attribute__((format(printf, 4, 0))) static void complain_v(struct cfg *c, int line, int col,
                                                             const char *fmt, va_list ap)
{
    char text[CFG_WHY_BYTES + 128];
    if (vsnprintf(text, sizeof(text), fmt, ap) < 0) {
        return;
    }
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            *p = ' '; /* one complaint, one line, whatever the file holds */
        }
    }
    insert(c, line, col, text);
    c->memory |= !complaints_text(c);
}

void cfg_complain_at(struct cfg *c, int line, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    complain_v(c, line, col, fmt, ap);
    va_end(ap);
}

/* The member's own place, else the smallest item around it. */
static struct cfg_place *place_of(const struct cfg *c, const void *member)
{
    struct cfg_place *best = NULL;
    for (size_t i = 0; member && i < c->nplaces; i++) {
        struct cfg_place *p = &c->places[i];
        uintptr_t at = (uintptr_t)member, from = (uintptr_t)p->member;
        if (p->size == 0 && p->member == member) {
            return p;
        }
        if (p->size > 0 && at >= from && at < from + p->size && (!best || p->size < best->size)) {
            best = p;
        }
    }
    return best;
}

void cfg_complain(struct cfg *c, const void *member, const char *fmt, ...)
{
    const struct cfg_place *p = place_of(c, member);
    if (p && p->size == 0 && p->bad) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    complain_v(c, p ? p->line : 1, p ? p->col : 1, fmt, ap);
    va_end(ap);
}

int cfg_line(const struct cfg *c, const void *member)
{
    const struct cfg_place *p = place_of(c, member);
    return p && (p->size == 0 || p->member == member) ? p->line : 0;
}

bool cfg_given(const struct cfg *c, const void *member)
{
    const struct cfg_place *p = place_of(c, member);
    return p && p->size == 0;
}

size_t cfg_complaints(const struct cfg *c, const char **text)
{
    if (text) {
        *text = c->text.n > 0 ? (const char *)c->text.p : "";
    }
    return c->ncomplaints;
}

const char *cfg_path(const struct cfg *c)
{
    return c->path;
}

void cfg_place_put(struct cfg *c, struct cfg_place p)
{
    if (c->nplaces == c->places_cap) {
        size_t cap = c->places_cap ? c->places_cap * 2 : 64;
        struct cfg_place *grown = realloc(c->places, cap * sizeof(*grown));
        if (!grown) {
            c->memory = true;
            return;
        }
        c->places = grown;
        c->places_cap = cap;
    }
    c->places[c->nplaces++] = p;
}
