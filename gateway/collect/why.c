/* What stands behind a value: the registers of the poll that brought it, and the profile. */
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "gateway/collect/sunspec_int.h"

enum st collect_kept_open(struct collect_device *d, struct err *e)
{
    if (pthread_mutex_init(&d->kept.lock, NULL) != 0)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    d->kept.v = calloc(d->profile->n + 1, sizeof *d->kept.v);
    if (d->kept.v)
        return ST_OK;
    (void)pthread_mutex_destroy(&d->kept.lock);
    return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
}

void collect_kept_done(struct collect_device *d)
{
    if (d->kept.v)
        (void)pthread_mutex_destroy(&d->kept.lock);
    free(d->kept.v);
    d->kept.v = NULL;
}

static void keep(struct collect_kept_point *to, const struct collect_planned *of,
                 const struct collect_point *p, const struct store_value *v)
{
    bool bit = p->decoder.form == COLLECT_BIT;
    to->address = (uint16_t)p->address;
    to->bytes = bit ? 2 : (uint8_t)(2U * of->width);
    memcpy(to->raw, of->raw, sizeof to->raw);
    if (bit) {
        to->raw[0] = 0;
        to->raw[1] = v->v.i != 0;
    }
}

void collect_kept_take(struct collect_device *d, const struct store_value *v)
{
    if (!d->kept.v)
        return;
    (void)pthread_mutex_lock(&d->kept.lock);
    for (size_t i = 0; i < collect_device_values(d); i++) {
        uint16_t point = collect_device_point(d, i);
        if (v[i].v.kind !=
            NUM_NONE) /* else the board keeps the value before, and so its registers */
            keep(&d->kept.v[point], &d->plan.values[i], &d->profile->points[point], &v[i]);
    }
    (void)pthread_mutex_unlock(&d->kept.lock);
}

static struct collect_device *device_of(const struct collect *k, const char *id)
{
    for (size_t i = 0; i < k->ndevices; i++)
        if (strcmp(k->devices[i].cfg->id, id) == 0)
            return &k->devices[i];
    return NULL;
}

static const char *word_of(const struct cfg_word *words, int value)
{
    while (words->word && words->value != value)
        words++;
    return words->word;
}

static bool is_read(const struct collect_point *p)
{
    return p->name && p->quantity && !p->hidden && p->type != COLLECT_TYPE_string;
}

bool collect_behind_of(const struct collect *k, const char *device, const char *point,
                       struct collect_behind *out)
{
    struct collect_device *d = device_of(k, device);
    size_t i = 0;
    if (!d || !d->kept.v)
        return false;
    const struct collect_profile *said = collect_sunspec_said(d);
    while (i < said->n && (!is_read(&said->points[i]) || strcmp(said->points[i].name, point) != 0))
        i++;
    if (i == said->n)
        return false;
    const struct collect_point *p = &said->points[i];
    (void)pthread_mutex_lock(&d->kept.lock);
    const struct collect_kept_point kept = d->kept.v[i];
    (void)pthread_mutex_unlock(&d->kept.lock);
    *out =
        (struct collect_behind){.function = (unsigned)p->function,
                                .address = kept.address,
                                .type = word_of(collect_type_words, p->type),
                                .order = word_of(collect_order_words, p->order),
                                .scaled = !d->sunspec, /* else its bus's thread finds the scale */
                                .bytes = kept.bytes};
    if (out->scaled) {
        out->scale = p->scale;
        out->offset = p->offset;
    }
    memcpy(out->raw, kept.raw, sizeof out->raw);
    return kept.bytes > 0;
}

bool collect_about_of(const struct collect *k, const char *device, struct collect_about *out)
{
    const struct collect_device *d = device_of(k, device);
    if (!d)
        return false;
    *out = (struct collect_about){.name = d->cfg->profile,
                                  .model = d->profile->model,
                                  .what = d->profile->what,
                                  .source = d->profile->source,
                                  .verified = d->profile->verified};
    return true;
}
