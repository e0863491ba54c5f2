/* What somebody was let in by, while it lasts: how long he may watch, and how many connections he
 * may have. */
#include "gateway/web/web_int.h"

#include <arpa/inet.h>
#include <string.h>

/* Of all connections so many are for this machine's own tools alone, and so many more for addresses
 * that hold a session: strangers cannot take all. */
#define FOR_LOOPBACK 2U
#define FOR_KNOWN 8U
#define EACH_STRANGER 8U /* a browser opens six */
#define LOOK_MS 1000

bool web_session_user(struct web *w, struct web_session *s, struct web_user *u, struct err *e)
{
    struct web_users all;
    if (web_users_read(store_path(w->store), &all, e) != ST_OK)
        return false;
    const struct web_user *is = web_user_find(&all, s->name);
    if (!is || !wire_same(is->secret.salt, s->salt, sizeof s->salt)) {
        web_session_end(s); /* he is gone, or has another password since */
        return false;
    }
    *u = *is;
    return true;
}

static bool session_holds(struct web *w, const struct web_pass *pass)
{
    struct web_user u;
    struct web_session *s = web_session_of(w->door->session, pass->hash, clk_mono(w->clk));
    return s && web_session_user(w, s, &u, NULL) && u.role == pass->role;
}

static bool token_holds(struct web *w, const struct web_pass *pass)
{
    struct web_tokens all;
    struct clk_time now = clk_now(w->clk);
    bool is = false;
    if (web_tokens_read(store_path(w->store), &all, NULL) != ST_OK)
        return false;
    for (size_t i = 0; i < all.n; i++)
        is = is || (wire_same(all.v[i].hash, pass->hash, sizeof pass->hash) &&
                    (all.v[i].ends_ms == 0 ||
                     (now.grade != CLK_UNKNOWN && now.utc_ms < all.v[i].ends_ms)));
    return is;
}

bool web_pass_holds(struct web *w, struct web_pass *pass)
{
    struct mono now = clk_mono(w->clk);
    if (pass->looked.ms > 0 && now.ms - pass->looked.ms < LOOK_MS)
        return true;
    pass->looked = now;
    switch (pass->by) {
    case WEB_BY_SESSION:
        return session_holds(w, pass);
    case WEB_BY_TOKEN:
        return token_holds(w, pass);
    case WEB_BY_CONSOLE:
        return true; /* as long as this gateway runs */
    case WEB_BY_NOTHING:
        break;
    }
    return false;
}

static bool is_own(const char *peer)
{
    struct in6_addr v6;
    struct in_addr v4;
    return inet_pton(AF_INET6, peer, &v6) == 1
               ? IN6_IS_ADDR_LOOPBACK(&v6)
               : inet_pton(AF_INET, peer, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

void web_room(void *web, const char *peer, struct http_room *room)
{
    struct web *w = web;
    uint8_t hash[WIRE_HASH_BYTES];
    if (is_own(peer))
        return;
    room->all -= FOR_LOOPBACK;
    web_address_hash(&w->door->holds, peer, hash);
    if (web_session_from(w->door->session, hash, clk_mono(w->clk)))
        return;
    room->all -= FOR_KNOWN;
    room->each = EACH_STRANGER;
}
