/* What a server is started with: its PEM files and its socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/http/http_int.h"

#define PEM_MAX_BYTES (256 * 1024)

enum st http_pem_read(const char *path, char **out, struct err *e)
{
    FILE *f = fopen(path, "re");
    char *p = NULL;
    enum st st = ST_OK;

    if (f == NULL)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path, strerror(errno));
    p = malloc(PEM_MAX_BYTES + 1);
    size_t n = p != NULL ? fread(p, 1, PEM_MAX_BYTES, f) : 0;
    if (p == NULL)
        st = err_set(e, ST_MEMORY, "%s: no memory", path);
    else if (ferror(f))
        st = err_set(e, ST_IO, "%s: cannot be read", path);
    else if (n == 0 || n == PEM_MAX_BYTES)
        st = err_set(e, ST_BAD, "%s: is no PEM file", path);
    else
        p[n] = '\0';
    fclose(f);
    if (st != ST_OK) {
        free(p);
        p = NULL;
    }
    *out = p;
    return st;
}

/* "host:port" or "[host]:port" with a numeric host. */
static enum st address_parse(const char *listen_at, struct addrinfo **out, struct err *e)
{
    char host[64];
    const char *start = listen_at, *end, *colon = strrchr(listen_at, ':');
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};

    if (colon == NULL || colon == listen_at)
        goto bad;
    end = colon;
    if (*start == '[') {
        start++;
        end--;
        if (end <= start || *end != ']')
            goto bad;
    } else if (memchr(start, ':', (size_t)(end - start)) != NULL) {
        goto bad;
    }
    if ((size_t)(end - start) >= sizeof host)
        goto bad;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    if (colon[1] == '\0' || getaddrinfo(host, colon + 1, &hints, out) != 0)
        goto bad;
    return ST_OK;
bad:
    return err_set(e, ST_BAD,
                   "listen \"%s\": write address:port, such as 127.0.0.1:8080 or [::1]:0",
                   listen_at);
}

enum st http_socket_open(const char *listen_at, int *out, unsigned *port, bool *v6, struct err *e)
{
    struct addrinfo *a = NULL;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } got = {0};
    socklen_t len = sizeof got;
    int one = 1, fd = -1;
    enum st st = address_parse(listen_at, &a, e);

    if (st != ST_OK)
        return st;
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, &got.any, &len) != 0) {
        st = err_set(e, ST_IO, "listen %s: %s", listen_at, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    *v6 = a->ai_family == AF_INET6;
    *port = ntohs(*v6 ? got.v6.sin6_port : got.v4.sin_port);
    *out = fd;
    freeaddrinfo(a);
    return st;
}

bool http_cfg_copy(struct http_server_cfg *to, const struct http_server_cfg *from)
{
    *to = *from;
    to->listen = strdup(from->listen);
    to->cert = from->cert != NULL ? strdup(from->cert) : NULL;
    to->key = from->key != NULL ? strdup(from->key) : NULL;
    to->client_ca = from->client_ca != NULL ? strdup(from->client_ca) : NULL;
    to->policy = from->policy != NULL ? strdup(from->policy) : NULL;
    return to->listen != NULL && !from->cert == !to->cert && !from->key == !to->key &&
           !from->client_ca == !to->client_ca && !from->policy == !to->policy;
}

void http_cfg_done(struct http_server_cfg *c)
{
    union {
        const char *in;
        void *out;
    } text[] = {{c->listen}, {c->cert}, {c->key}, {c->client_ca}, {c->policy}};

    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free(text[i].out);
}
