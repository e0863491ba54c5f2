/* Host names to addresses without blocking the asker. */
#include "gateway/connectivity/connectivity_int.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256
/* Resolver modules of the system (nss-resolve, mDNS) run on it; only touched pages count. */
#define STACK_BYTES ((size_t)512 * 1024)

struct connectivity_lookup {
    atomic_int owners;
    atomic_bool done;
    struct connectivity_address found; /* written before done is set */
    char host[HOST_BYTES];
};

static bool resolve(const char *host, int flags, struct connectivity_address *out)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    out->n = 0;
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return false;
    if (list && list->ai_addrlen <= sizeof out->a) {
        memcpy(&out->a, list->ai_addr, list->ai_addrlen);
        out->n = list->ai_addrlen;
    }
    freeaddrinfo(list);
    return out->n > 0;
}

bool connectivity_address_parse(const char *host, struct connectivity_address *out)
{
    return resolve(host, AI_NUMERICHOST, out);
}

static void *lookup_main(void *arg)
{
    struct connectivity_lookup *l = arg;
    (void)resolve(l->host, AI_ADDRCONFIG, &l->found); /* not found: found.n is 0 */
    atomic_store(&l->done, true);
    connectivity_lookup_drop(l);
    return NULL;
}

struct connectivity_lookup *connectivity_lookup_start(const char *host)
{
    struct connectivity_lookup *l = calloc(1, sizeof *l);
    pthread_attr_t attr;
    pthread_t id;
    sigset_t all, old;
    if (!l || strlen(host) >= sizeof l->host || pthread_attr_init(&attr) != 0) {
        free(l);
        return NULL;
    }
    strncpy(l->host, host, sizeof l->host - 1);
    atomic_init(&l->owners, 2);
    int bad = pthread_attr_setstacksize(&attr, STACK_BYTES);
    bad |= pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!bad)
        bad = pthread_create(&id, &attr, lookup_main, l);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (bad) {
        free(l);
        return NULL;
    }
    return l;
}

enum st connectivity_lookup_poll(struct connectivity_lookup *l, struct connectivity_address *out)
{
    if (!atomic_load(&l->done))
        return ST_BUSY;
    *out = l->found;
    return out->n > 0 ? ST_OK : ST_NOT_FOUND;
}

void connectivity_lookup_drop(struct connectivity_lookup *l)
{
    if (l && atomic_fetch_sub(&l->owners, 1) == 1)
        free(l);
}
