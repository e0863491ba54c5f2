/* Delays for those who guess: longer each time, five minutes at most, forgiven after ten. */
#include "gateway/web/web_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define FORGET_MS 600000 /* without another wrong one */

int64_t web_hold_left(struct web_hold *h, struct mono now)
{
    int64_t left = h->until.ms - now.ms;
    if (h->n > 0 && now.ms - h->last.ms > FORGET_MS)
        h->n = 0;
    return h->n > WEB_HOLD_FREE && left > 0 ? left : 0;
}

int64_t web_hold_wrong(struct web_hold *h, struct mono now)
{
    int64_t delay = 0;
    h->last = now;
    if (++h->n > WEB_HOLD_FREE) {
        unsigned twice = h->n - WEB_HOLD_FREE - 1;
        delay = twice < 9 ? INT64_C(1000) << twice : WEB_HOLD_MAX_MS;
        delay = delay < WEB_HOLD_MAX_MS ? delay : WEB_HOLD_MAX_MS;
    }
    h->until.ms = now.ms + delay;
    return delay;
}

/* An IPv6 host has 2^64 addresses of its own. */
static void hash_address(const char *peer, const uint8_t seed[16], const char *name,
                         uint8_t out[WIRE_HASH_BYTES])
{
    uint8_t all[16 + 1 + 65 + 64] = {0};
    struct in6_addr v6;
    char plain[48];
    size_t n = 16 + 1;
    (void)snprintf(plain, sizeof plain, "%.*s", (int)strcspn(peer, "%"), peer); /* no zone */
    memcpy(all, seed, 16);
    n += (size_t)snprintf((char *)all + n, 66, "%s", name) + 1;
    if (inet_pton(AF_INET6, plain, &v6) == 1) {
        memcpy(all + n, &v6, 8);
        n += 8;
    } else {
        n += (size_t)snprintf((char *)all + n, 48, "%.46s", plain);
    }
    wire_sha256(all, n, out);
}

static struct web_hold *at(struct web_hold *table, const uint8_t hash[WIRE_HASH_BYTES])
{
    _Static_assert(WEB_HOLDS == 256, "a byte chooses");
    return &table[hash[0]];
}

void web_address_hash(const struct web_holds *seed, const char *peer, uint8_t out[WIRE_HASH_BYTES])
{
    hash_address(peer, seed->seed, "", out);
}

struct web_hold *web_hold_of(struct web_hold table[WEB_HOLDS], const struct web_holds *seed,
                             const char *peer)
{
    uint8_t hash[WIRE_HASH_BYTES];
    web_address_hash(seed, peer, hash);
    return at(table, hash);
}

/* The delay of this name, of this address, or of the two that are known together. */
static size_t holds_of(struct web_holds *h, const char *name, const char *peer,
                       struct web_hold *out[2])
{
    uint8_t hash[WIRE_HASH_BYTES];
    size_t n = 0;
    hash_address(peer, h->seed, name, hash);
    for (size_t i = 0; i < WEB_KNOWN && name[0]; i++)
        if (h->known[i].is && memcmp(h->known[i].who, hash, sizeof hash) == 0) {
            out[0] = &h->known[i].hold;
            return 1;
        }
    if (name[0]) {
        hash_address("", h->seed, name, hash);
        out[n++] = at(h->name, hash);
    }
    hash_address(peer, h->seed, "", hash);
    out[n++] = at(h->address, hash);
    return n;
}

int64_t web_holds_left(struct web_holds *h, const char *name, const char *peer, struct mono now)
{
    struct web_hold *of[2];
    int64_t most = 0;
    for (size_t i = 0, n = holds_of(h, name, peer, of); i < n; i++) {
        int64_t left = web_hold_left(of[i], now);
        most = left > most ? left : most;
    }
    return most;
}

int64_t web_holds_wrong(struct web_holds *h, const char *name, const char *peer, struct mono now)
{
    struct web_hold *of[2];
    int64_t most = 0;
    for (size_t i = 0, n = holds_of(h, name, peer, of); i < n; i++) {
        int64_t delay = web_hold_wrong(of[i], now);
        most = delay > most ? delay : most;
    }
    return most;
}

void web_holds_right(struct web_holds *h, const char *name, const char *peer, struct mono now)
{
    uint8_t hash[WIRE_HASH_BYTES];
    struct web_hold *of[2];
    struct web_met *k = &h->known[0];
    for (size_t i = 0, n = holds_of(h, name, peer, of); i < n; i++)
        *of[i] = (struct web_hold){.n = 0};
    hash_address(peer, h->seed, name, hash);
    for (size_t i = 0; i < WEB_KNOWN; i++) {
        struct web_met *x = &h->known[i];
        if (x->is && memcmp(x->who, hash, sizeof hash) == 0) {
            k = x;
            break;
        }
        if (k->is && (!x->is || x->last.ms < k->last.ms))
            k = x;
    }
    *k = (struct web_met){.last = now, .is = true};
    memcpy(k->who, hash, sizeof hash);
}
