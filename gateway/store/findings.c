/* What is wrong with a bus as a whole: on the board, like health. */
#include <stdlib.h>
#include <string.h>

#include "gateway/store/store_int.h"

/* Most buses never have a finding, and a board for each would be most of what they take. */
enum st store_findings_set(struct store *s, uint32_t device, const struct store_finding *f,
                           size_t n)
{
    struct store_dev *d = &s->dev[device];
    struct store_findings *made = NULL;
    if (n > STORE_FINDINGS_MAX)
        n = STORE_FINDINGS_MAX;
    pthread_mutex_lock(&s->board_lock);
    bool none = !d->findings;
    pthread_mutex_unlock(&s->board_lock);
    if (none && n == 0)
        return ST_OK;
    if (none && !(made = calloc(1, sizeof *made)))
        return ST_MEMORY;
    pthread_mutex_lock(&s->board_lock);
    if (made) /* the bus has one thread: nobody else made one meanwhile */
        d->findings = made;
    if (n > 0)
        memcpy(d->findings->f, f, n * sizeof *f);
    d->findings->n = n;
    pthread_mutex_unlock(&s->board_lock);
    return ST_OK;
}

size_t store_findings_get(struct store *s, uint32_t device,
                          struct store_finding out[STORE_FINDINGS_MAX])
{
    size_t n = 0;
    pthread_mutex_lock(&s->board_lock);
    const struct store_findings *f = s->dev[device].findings;
    if (f) {
        n = f->n;
        memcpy(out, f->f, n * sizeof *out);
    }
    pthread_mutex_unlock(&s->board_lock);
    return n;
}
