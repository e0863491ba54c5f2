/* What all forms of messages share: numbers, times, limits, marks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/push_int.h"

uint64_t collect_mark(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    h = h ? h : UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(1099511628211);
    return h ? h : 1;
}

/* "23.4" was a decimal before a parser made a double of it: it becomes one again. */
struct num collect_num_of(double f)
{
    char text[NUM_TEXT_BYTES];
    struct num flt = num_flt(f), dec;
    if (flt.kind == NUM_FLT && num_parse(num_text(flt, text), &dec))
        return dec;
    return flt;
}

static struct num scaled(const struct collect_point *p, struct num raw)
{
    struct num v = {.kind = NUM_NONE};
    for (size_t i = 0; i < p->no_value.n; i++)
        if (raw.kind != NUM_NONE && num_cmp(raw, num_dec(p->no_value.v[i], 0)) == 0)
            return v;
    if (raw.kind == NUM_FLT)
        return num_flt(num_double(raw) * num_double(p->scale) + num_double(p->offset));
    if (raw.kind != NUM_NONE && !num_scale(raw, p->scale, p->offset, &v))
        v = num_flt(num_double(raw) * num_double(p->scale) + num_double(p->offset));
    return v;
}

enum st collect_pack_add(struct collect_pack *k, size_t point, struct num v, bool decoded,
                         int64_t t_ms)
{
    const struct collect_point *p = &k->profile->points[point];
    const struct collect_decoder *d = &p->decoder;
    if (!k->wanted[point])
        return ST_OK;
    if (k->n == STORE_POLL_MAX)
        return ST_FULL;
    if (!decoded)
        v = scaled(p, v);
    bool out = v.kind != NUM_NONE && ((d->min.kind != NUM_NONE && num_cmp(v, d->min) < 0) ||
                                      (d->max.kind != NUM_NONE && num_cmp(v, d->max) > 0));
    k->v[k->n++] = (struct collect_value){point, v, out ? WIRE_Q_LIMITS : 0, t_ms};
    return ST_OK;
}

/* ---- RFC 3339 ------------------------------------------------------------------------------- */

static bool digits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

static bool offset_parse(const char *p, int64_t *minutes)
{
    *minutes = 0;
    if ((*p == 'Z' || *p == 'z') && p[1] == '\0')
        return true;
    if ((*p != '+' && *p != '-') || strlen(p) != 6 || p[3] != ':' || !digits(p + 1, 2) ||
        !digits(p + 4, 2))
        return false;
    long h = strtol(p + 1, NULL, 10), m = strtol(p + 4, NULL, 10);
    *minutes = (*p == '-' ? -1 : 1) * (h * 60 + m);
    return h < 24 && m < 60;
}

/* clk_parse reads "2026-11-22T03:05:10.250Z"; here any fraction and any offset. */
bool collect_time_parse(const char *text, int64_t *utc_ms)
{
    char plain[32], ms[4] = "000";
    int64_t minutes, t;
    if (strnlen(text, 64) < 20 || strlen(text) > 48 || (text[10] != 'T' && text[10] != 't'))
        return false;
    const char *p = text + 19;
    if (*p == '.') {
        size_t n = strspn(p + 1, "0123456789");
        if (n == 0)
            return false;
        memcpy(ms, p + 1, n < 3 ? n : 3);
        p += 1 + n;
    }
    (void)snprintf(plain, sizeof plain, "%.10sT%.8s.%sZ", text, text + 11, ms);
    if (!offset_parse(p, &minutes) || !clk_parse(plain, &t))
        return false;
    *utc_ms = t - minutes * 60000;
    return true;
}
