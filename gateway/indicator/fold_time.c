#include "gateway/indicator/fold_int.h"

/* ---- time: hours that an input was known, that a condition was true ------------------------- */

/* From the last reading of s until t_ms, at most two of its periods, at most to the period's end.
 */
static int64_t held(const struct fold *f, const struct fold_one *s, int64_t t_ms)
{
    int64_t end = s->seen_ms + 2 * s->about.period_ms;
    int64_t last = f->slots == 1 ? f->end_ms : s->hour_to;
    end = t_ms < end ? t_ms : end;
    end = last < end ? last : end;
    return end > s->seen_ms ? end - s->seen_ms : 0;
}

void fold_time_end(struct fold *f, const struct fold_one *s, struct fold_feed *feed, int64_t t_ms)
{
    /* no reading since: its hour is still that of s */
    f->term[feed->term].sum[fold_slot(f, s->hour)] += held(f, s, t_ms);
    feed->on = false;
}

enum fold_reason fold_time(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                           mpq_t out)
{
    int64_t ms = t->sum[p->slot] + (t->ninputs > 1 ? fold_pair_rest(f, t, p) : 0);
    for (uint32_t i = f->from[t->t->input]; i < f->from[t->t->input + 1]; i++) {
        const struct fold_one *s = &f->one[f->order[i]];
        for (uint32_t k = 0; k < s->nfeeds; k++) {
            const struct fold_feed *d = &f->feed[s->feed + k];
            if (d->on && &f->term[d->term] == t && fold_slot(f, s->hour) == p->slot) {
                ms += held(f, s, f->now_ms);
            }
        }
    }
    rational_set_ratio(out, ms, (uint64_t)INDICATOR_HOUR_MS);
    return FOLD_OK;
}

/* ---- peak: means of windows ----------------------------------------------------------------- */

void fold_peak_put(struct fold *f, const struct fold_one *s, const struct fold_feed *feed,
                   int64_t t_ms, int64_t v)
{
    int64_t length = f->term[feed->term].t->whole * INT64_C(60000);
    size_t i = (size_t)((t_ms - f->day_ms) / length);
    fold_add(f, s->about.input, s->hour, &feed->sum[i], v);
    feed->n[i]++;
}

enum fold_reason fold_peak(struct fold *f, const struct fold_term *t, const struct fold_span *p,
                           mpq_t out)
{
    int64_t length = t->t->whole * INT64_C(60000);
    size_t from = (size_t)((p->from_ms - f->day_ms) / length);
    size_t to = (size_t)((p->to_ms - f->day_ms) / length);
    bool any = false;
    for (size_t w = from; w < to; w++) {
        bool there = false;
        mpq_set_ui(f->r, 0, 1);
        for (uint32_t i = f->from[t->t->input]; i < f->from[t->t->input + 1]; i++) {
            const struct fold_one *s = &f->one[f->order[i]];
            for (uint32_t k = 0; k < s->nfeeds; k++) {
                const struct fold_feed *d = &f->feed[s->feed + k];
                if (&f->term[d->term] == t && d->n[w] > 0) {
                    rational_set_ratio(f->q, d->sum[w], (uint64_t)d->n[w] * RATIONAL_MILLION);
                    mpq_add(f->r, f->r, f->q);
                    there = true;
                }
            }
        }
        if (there && (!any || mpq_cmp(f->r, out) > 0)) {
            mpq_set(out, f->r);
        }
        any = any || there;
    }
    return any ? FOLD_OK : FOLD_MISSING;
}
