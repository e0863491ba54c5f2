/* Host names to addresses without blocking the asker. */
#include "gateway/connectivity/connectivity_int.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOST_BYTES 256
#define ALL_BYTES 200 /* some ten addresses; further ones are left out */
/* Resolver modules of the system (nss-resolve, mDNS) run on it; only touched pages count. */
#define STACK_BYTES ((size_t)512 * 1024)

struct connectivity_lookup {
    atomic_int owners;
    atomic_bool done;
    struct connectivity_address found; /* all of these are written before done is set */
    int error;                         /* of getaddrinfo() */
    int64_t took_us;
    char all[ALL_BYTES];
    char host[HOST_BYTES];
};

static void list_all(const struct addrinfo *list, char all[ALL_BYTES])
{
    char text[NI_MAXHOST];
    size_t at = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        bool six = a->ai_family == AF_INET6;
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST))
            continue;
        int n = snprintf(all + at, ALL_BYTES - at, "%s%s%s%s", at > 0 ? "," : "", six ? "[" : "",
                         text, six ? "]" : "");
        if (n < 0 || (size_t)n >= ALL_BYTES - at) {
            all[at] = '\0';
            return;
        }
        at += (size_t)n;
    }
}

/* As getaddrinfo(); all may be NULL. */
static int resolve(const char *host, int flags, struct connectivity_address *out, char *all)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    out->n = 0;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error != 0)
        return error;
    if (list && list->ai_addrlen <= sizeof out->a) {
        memcpy(&out->a, list->ai_addr, list->ai_addrlen);
        out->n = list->ai_addrlen;
    }
    if (all)
        list_all(list, all);
    freeaddrinfo(list);
    return 0;
}

bool connectivity_address_parse(const char *host, struct connectivity_address *out)
{
    return resolve(host, AI_NUMERICHOST, out, NULL) == 0 && out->n > 0;
}

static void *lookup_main(void *arg)
{
    struct connectivity_lookup *l = arg;
    struct timespec from = {0}, to = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    l->error = resolve(l->host, AI_ADDRCONFIG, &l->found, l->all); /* then found.n is 0 */
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    l->took_us = (to.tv_sec - from.tv_sec) * INT64_C(1000000) + (to.tv_nsec - from.tv_nsec) / 1000;
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

int64_t connectivity_lookup_said(const struct connectivity_lookup *l, char *all, size_t n)
{
    (void)snprintf(all, n, "%s", l->all);
    return l->took_us;
}

bool connectivity_lookup_answered(const struct connectivity_lookup *l)
{
    return l->error != EAI_AGAIN; /* no server answered, or none could be asked */
}

void connectivity_lookup_drop(struct connectivity_lookup *l)
{
    if (l && atomic_fetch_sub(&l->owners, 1) == 1)
        free(l);
}
