/* Who is at the other end, and whether one more connection of his is taken: what he holds must not
 * keep others out. */
#include "gateway/http/http_int.h"

#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define PREFIX_BYTES 8 /* of IPv6: one house has all that is behind them */

void http_peer_key(const struct sockaddr *from, struct http_peer *key)
{
    const struct sockaddr_in *v4 = (const void *)from;
    const struct sockaddr_in6 *v6 = (const void *)from;

    memset(key, 0, sizeof *key);
    if (from == NULL)
        return;
    if (from->sa_family == AF_INET) { /* as IPv6 sees it */
        memset(key->bytes + 10, 0xff, 2);
        memcpy(key->bytes + 12, &v4->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        memcpy(key->bytes, &v6->sin6_addr, mapped ? sizeof key->bytes : PREFIX_BYTES);
    }
}

const char *http_peer_text(const struct sockaddr *from, char *text, size_t n)
{
    socklen_t len = from == NULL                  ? 0
                    : from->sa_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                  : (socklen_t)sizeof(struct sockaddr_in);

    if (len == 0 || getnameinfo(from, len, text, (socklen_t)n, NULL, 0, NI_NUMERICHOST))
        text[0] = '\0';
    return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}

enum MHD_Result http_peer_taken(void *server, const struct sockaddr *from, socklen_t len)
{
    struct http_server *s = server;
    const struct http_server_cfg *cfg = &s->cfg;
    struct http_room room = {cfg->max_connections, cfg->per_ip > 0 ? cfg->per_ip : UINT_MAX};
    struct http_peer key;
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE];
    size_t each;

    (void)len;
    http_peer_key(from, &key);
    if (cfg->room != NULL) {
        http_turn_begin(s);
        cfg->room(s->ctx, http_peer_text(from, text, sizeof text), &room);
        http_turn_end(s);
    }
    size_t all = http_watch_count(&s->watch, &key, &each);
    bool any = cfg->room == NULL; /* then libmicrohttpd's own limit is all */
    return (any || all < room.all) && each < room.each ? MHD_YES : MHD_NO;
}
