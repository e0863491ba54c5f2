/* Sessions: 256 random bits in a cookie, their hash here, times by the clock that nobody sets. */
#include "gateway/web/web_int.h"

#include <stdio.h>
#include <string.h>

#define NAME WEB_COOKIE "="

bool web_cookie_read(const char *header, char id[WEB_SESSION_HEX + 1])
{
    size_t found = 0;
    uint8_t bits[WEB_SESSION_HEX / 2];
    while (header && *header) {
        header += strspn(header, "; ");
        size_t n = strcspn(header, ";");
        if (n >= strlen(NAME) && memcmp(header, NAME, strlen(NAME)) == 0) {
            if (n != strlen(NAME) + WEB_SESSION_HEX || ++found > 1)
                return false;
            memcpy(id, header + strlen(NAME), WEB_SESSION_HEX);
            id[WEB_SESSION_HEX] = '\0';
        }
        header += n;
    }
    bool good = found == 1 && wire_unhex(id, bits, sizeof bits);
    explicit_bzero(bits, sizeof bits);
    return good;
}

/* Made of the id, which no other site's page can read: nothing is kept of it. */
void web_csrf(const char *id, char out[2 * WIRE_HASH_BYTES + 1])
{
    char text[32 + WEB_SESSION_HEX];
    uint8_t hash[WIRE_HASH_BYTES];
    int n = snprintf(text, sizeof text, "fieldpost csrf %s", id);
    wire_sha256(text, (size_t)n, hash);
    wire_hex(hash, sizeof hash, out);
    explicit_bzero(text, sizeof text);
}

static bool is_over(const struct web_session *s, struct mono now)
{
    return now.ms - s->used.ms >= WEB_SESSION_IDLE_MS || now.ms - s->begun.ms >= WEB_SESSION_MAX_MS;
}

static struct web_session *place_for(struct web_session *all, const char *name, struct mono now)
{
    struct web_session *own = NULL, *any = NULL;
    size_t n = 0;
    for (size_t i = 0; i < WEB_SESSIONS; i++) {
        struct web_session *s = &all[i];
        if (s->is && is_over(s, now))
            web_session_end(s);
        bool mine = s->is && strcmp(s->name, name) == 0;
        n += mine;
        if (mine && (!own || s->used.ms < own->used.ms))
            own = s;
        if (!any || (any->is && (!s->is || s->used.ms < any->used.ms)))
            any = s;
    }
    return n >= WEB_SESSIONS_EACH ? own : any;
}

enum st web_session_begin(struct web_session *all, const struct web_user *u, struct mono now,
                          char id[WEB_SESSION_HEX + 1], struct err *e)
{
    uint8_t random[WEB_SESSION_HEX / 2];
    ERR_TRY(wire_random(random, sizeof random, e));
    wire_hex(random, sizeof random, id);
    explicit_bzero(random, sizeof random);
    struct web_session *s = place_for(all, u->name, now);
    *s = (struct web_session){.is = true, .begun = now, .used = now};
    wire_sha256(id, WEB_SESSION_HEX, s->id);
    (void)snprintf(s->name, sizeof s->name, "%s", u->name);
    memcpy(s->salt, u->secret.salt, sizeof s->salt);
    return ST_OK;
}

struct web_session *web_session_of(struct web_session *all, const uint8_t id[WIRE_HASH_BYTES],
                                   struct mono now)
{
    struct web_session *found = NULL;
    for (size_t i = 0; i < WEB_SESSIONS; i++) {
        bool same = wire_same(all[i].id, id, WIRE_HASH_BYTES);
        found = same && all[i].is ? &all[i] : found;
    }
    if (found && is_over(found, now)) {
        web_session_end(found);
        found = NULL;
    }
    return found;
}

struct web_session *web_session_find(struct web_session *all, const char *id, struct mono now,
                                     bool use)
{
    uint8_t hash[WIRE_HASH_BYTES];
    wire_sha256(id, strlen(id), hash);
    struct web_session *found = web_session_of(all, hash, now);
    if (found && use)
        found->used = now;
    return found;
}

bool web_session_from(const struct web_session *all, const uint8_t peer[WIRE_HASH_BYTES],
                      struct mono now)
{
    bool is = false;
    for (size_t i = 0; i < WEB_SESSIONS; i++)
        is = is || (all[i].is && !is_over(&all[i], now) &&
                    memcmp(all[i].peer, peer, sizeof all[i].peer) == 0);
    return is;
}

void web_session_end(struct web_session *s)
{
    *s = (struct web_session){.is = false};
}
