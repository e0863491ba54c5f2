/* What is due and not configured: in /api/v1/status, and in the first sentence. A site has
 * thousands of series, and all that are due are gone through: once for each commit of the store,
 * and they come in order of their names, so a device is looked for once. */
#include <stdio.h>
#include <string.h>

#include "gateway/web/web_int.h"

#define NAMES_BYTES (32 * 1024)

/* Where a walk through all that is due has come to. */
struct walk {
    struct store *s;
    struct web_due *out;
    char device[80]; /* that was looked for last; they come in order */
    uint32_t first;  /* its first series; UINT32_MAX: it is not configured */
    bool told;       /* as a whole */
};

static void find_device(struct walk *x, const char *id, size_t n)
{
    uint32_t d = 0, i = 0, count = store_series_count(x->s);
    if (x->device[0] && strlen(x->device) == n && memcmp(x->device, id, n) == 0)
        return;
    (void)snprintf(x->device, sizeof x->device, "%.*s", (int)n, id);
    x->told = false;
    while (d < store_device_count(x->s) && strcmp(store_device_at(x->s, d)->id, x->device) != 0)
        d++;
    while (i < count && store_series_at(x->s, i)->device != d)
        i++;
    x->first = i < count ? i : UINT32_MAX;
}

/* A device's series lie beside each other. */
static bool has_point(const struct walk *x, const char *point)
{
    uint32_t device = store_series_at(x->s, x->first)->device;
    for (uint32_t i = x->first; i < store_series_count(x->s); i++) {
        const struct store_series *s = store_series_at(x->s, i);
        if (s->device != device)
            return false;
        if (strcmp(s->point, point) == 0)
            return true;
    }
    return false;
}

static bool is_here(struct walk *x, const char *series)
{
    const char *slash = strchr(series, '/');
    if (!slash)
        return true; /* no series of a device */
    find_device(x, series, (size_t)(slash - series));
    return x->first < UINT32_MAX && has_point(x, slash + 1);
}

static void add(void *ctx, const struct store_planned *p)
{
    struct walk *x = ctx;
    char all[sizeof x->device + 2];
    if (is_here(x, p->series))
        return;
    if (!x->out->first[0])
        (void)snprintf(x->out->first, sizeof x->out->first, "%s", p->series);
    bool one = x->first < UINT32_MAX;
    if ((!one && x->told) || x->out->n == WEB_DUE_MAX)
        return;
    x->told = true;
    (void)snprintf(all, sizeof all, "%s/*", x->device);
    const char *name = one ? p->series : all;
    if (buf_put(&x->out->names, name, strlen(name) + 1) == ST_OK)
        x->out->n++;
}

/* What cannot be read now says nothing: the store's own fault does. */
const struct web_due *web_due_look(struct web *w)
{
    struct web_due *d = &w->due;
    struct store_reader *from = web_reader(w);
    struct walk x = {.s = w->store, .out = d};
    int64_t version = 0;
    bool known = from && store_reader_version(from, &version, NULL) == ST_OK;
    if (known && d->known && version == d->version)
        return d;
    web_due_done(d);
    buf_init(&d->names, NAMES_BYTES);
    d->known = known && store_due_each(from, add, &x, NULL) == ST_OK;
    d->version = version;
    if (!d->known) {
        d->n = 0;
        d->first[0] = '\0';
    }
    return d;
}

void web_due_done(struct web_due *d)
{
    buf_done(&d->names);
    *d = (struct web_due){.n = 0};
}

/* Series that windows say `paused` for, until they are configured again or retired. */
void web_put_not_configured(struct web_json *j, struct web *w)
{
    const struct web_due *d = web_due_look(w);
    const char *name = (const char *)d->names.p;
    web_json_open(j, "not_configured", '[');
    for (size_t i = 0; i < d->n; i++, name += strlen(name) + 1)
        web_json_text(j, NULL, name);
    web_json_close(j, ']');
}
