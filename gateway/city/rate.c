/* How fast one client may ask about one gateway: a bucket of requests for each pair, in a table
 * that never grows. A stranger who uses a gateway's name uses up his own bucket, not the gateway's.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/city/city_int.h"

#define SETS 1024
#define WAYS 4
#define REQUEST INT64_C(60000) /* what one takes; a millisecond brings per_minute of it */

struct bucket {
    uint64_t who;  /* 0: free */
    int64_t at_ms; /* when `left` was true */
    int64_t left;
};
struct city_rate {
    int64_t per_minute;
    pthread_mutex_t lock;
    struct bucket bucket[SETS][WAYS];
};

enum st city_rate_open(struct city_rate **out, int64_t per_minute, struct err *e)
{
    struct city_rate *r = calloc(1, sizeof *r);

    *out = r;
    if (r == NULL)
        return err_set(e, ST_MEMORY, "no memory for the city");
    r->per_minute = per_minute;
    pthread_mutex_init(&r->lock, NULL);
    return ST_OK;
}

void city_rate_close(struct city_rate *r)
{
    if (r == NULL)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static uint64_t who_is(const char *gw, const char *peer)
{
    uint64_t h = id_hash(id_hash(ID_HASH, gw, strlen(gw) + 1), peer, strlen(peer));

    return (h ^ (h >> 32)) | 1;
}

/* The bucket of that pair; a new one is full, in the place of the one that was used longest ago. */
static struct bucket *bucket_of(struct city_rate *r, uint64_t who, int64_t now_ms)
{
    struct bucket *set = r->bucket[who / 2 % SETS], *oldest = set;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].who == who)
            return &set[i];
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    *oldest = (struct bucket){who, now_ms, r->per_minute * REQUEST};
    return oldest;
}

bool city_rate_take(struct city_rate *r, const char *gw, const char *peer, int64_t now_ms,
                    int64_t *wait_s)
{
    const int64_t full = r->per_minute * REQUEST;
    bool may = true;

    *wait_s = 0;
    if (r->per_minute == 0)
        return true;
    pthread_mutex_lock(&r->lock);
    struct bucket *b = bucket_of(r, who_is(gw, peer), now_ms);
    int64_t since_ms = now_ms - b->at_ms;
    b->left = since_ms >= 60000 ? full : b->left + since_ms * r->per_minute;
    b->left = b->left > full ? full : b->left;
    b->at_ms = now_ms;
    may = b->left >= REQUEST;
    if (may)
        b->left -= REQUEST;
    else
        *wait_s = ((REQUEST - b->left) / r->per_minute + 1000) / 1000;
    pthread_mutex_unlock(&r->lock);
    return may;
}
