/* What does not wait for its window, nor in the queue of an uplink. */
#include "gateway/store/store_int.h"

void store_urge(struct store *s, int64_t t_ms)
{
    pthread_mutex_lock(&s->lock);
    s->urge.asked_ms = t_ms + 1;
    s->woken = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

int64_t store_urged(const struct store *s)
{
    return s->urge.seen_ms;
}

/* Before the queue is drained: what was put before it urged is then among the frames. */
void store_urge_see(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    s->urge.seen_ms = s->urge.asked_ms;
    pthread_mutex_unlock(&s->lock);
}

void store_urge_sealed(struct store *s, const struct store_sealed *b, int64_t id)
{
    struct store_urge *u = &s->urge;
    bool window = b->kind == WIRE_DATA && b->level == STORE_RAW && !b->again;
    if (!window || b->from_ms >= u->seen_ms || b->to_ms < u->seen_ms)
        return;
    pthread_mutex_lock(&s->lock);
    u->id[u->next++ % STORE_URGENT] = id;
    pthread_mutex_unlock(&s->lock);
}

int64_t store_urgent_behind(struct store *s, int64_t after)
{
    int64_t first = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < STORE_URGENT; i++) {
        int64_t id = s->urge.id[i];
        if (id > after && (first == 0 || id < first))
            first = id;
    }
    pthread_mutex_unlock(&s->lock);
    return first;
}
