/* Who may sign in at the page: a file beside the store, read at each use, so that a change counts
 * at once. Of a password it has PBKDF2 alone. */
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/id.h"

#define HEAD "fieldpost users 1\n"
#define FILE_MAX (sizeof HEAD + (size_t)WEB_USERS_MAX * WEB_KEPT_LINE)
#define ROUNDS 600000U /* decision 0040 */
#define ROUNDS_MAX 10000000

const char *const web_role_text[WEB_ROLES + 1] = {[WEB_VIEWER] = "viewer",
                                                  [WEB_TECHNICIAN] = "technician",
                                                  [WEB_ADMINISTRATOR] = "administrator"};

bool web_role_parse(const char *text, enum web_role *role)
{
    for (*role = WEB_VIEWER; *role < WEB_ROLES; ++*role)
        if (strcmp(web_role_text[*role], text) == 0)
            return true;
    return false;
}

/* ---- passwords ---- */

enum st web_password_check(const char *password, const char *name, struct err *e)
{
    size_t n = strlen(password);
    if (n < WEB_PASSWORD_MIN || n > WEB_PASSWORD_MAX)
        return err_set(e, ST_BAD, "a password has %d to %d bytes", WEB_PASSWORD_MIN,
                       WEB_PASSWORD_MAX);
    if (strcasecmp(password, name) == 0)
        return err_set(e, ST_BAD, "the name is no password");
    for (const char *p = password; *p;) {
        size_t k = web_utf8_length(p);
        if (k == 0 || (k == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f)))
            return err_set(e, ST_BAD, "a password is UTF-8 without control characters");
        p += k;
    }
    return ST_OK;
}

enum st web_secret_new(struct web_secret *s, struct err *e)
{
    *s = (struct web_secret){.rounds = ROUNDS};
    return wire_random(s->salt, sizeof s->salt, e);
}

void web_secret_hash(const struct web_secret *s, const char *password, uint8_t out[WIRE_HASH_BYTES])
{
    wire_password_hash(password, s->salt, sizeof s->salt, s->rounds, out);
}

/* ---- the file ---- */

static enum st put_line(struct buf *b, const struct web_user *u)
{
    char salt[2 * WEB_SALT_BYTES + 1], hash[2 * WIRE_HASH_BYTES + 1];
    wire_hex(u->secret.salt, sizeof u->secret.salt, salt);
    wire_hex(u->secret.hash, sizeof u->secret.hash, hash);
    return buf_printf(b, "%s %s %" PRId64 " %u %s %s\n", u->name, web_role_text[u->role],
                      u->made_ms, u->secret.rounds, salt, hash);
}

/* One line without its end: name, role, made, rounds, salt, hash, as put_line writes it. */
static bool parse_line(const char *line, size_t n, struct web_user *u)
{
    char copy[WEB_KEPT_LINE], *word[6];
    int64_t rounds;
    struct buf again;
    *u = (struct web_user){.role = WEB_VIEWER};
    if (!web_kept_words(line, n, copy, word, sizeof word / sizeof *word))
        return false;
    if (!id_is_text(word[0]) || !web_role_parse(word[1], &u->role) ||
        !web_kept_number(word[2], &u->made_ms) || !web_kept_number(word[3], &rounds) ||
        rounds < 1 || rounds > ROUNDS_MAX ||
        !wire_unhex(word[4], u->secret.salt, sizeof u->secret.salt) ||
        !wire_unhex(word[5], u->secret.hash, sizeof u->secret.hash))
        return false;
    u->secret.rounds = (unsigned)rounds;
    (void)snprintf(u->name, sizeof u->name, "%s", word[0]);
    buf_init(&again, WEB_KEPT_LINE);
    bool same = put_line(&again, u) == ST_OK && again.n == n + 1 && memcmp(again.p, line, n) == 0;
    buf_done(&again);
    return same;
}

static bool take_line(void *ctx, const char *line, size_t n)
{
    struct web_users *all = ctx;
    return parse_line(line, n, &all->v[all->n]) && ++all->n;
}

enum st web_users_read(const char *store, struct web_users *out, struct err *e)
{
    out->n = 0;
    enum st st = web_kept_lines(store, WEB_USERS, HEAD, WEB_USERS_MAX, take_line, out, e);
    out->n = st == ST_OK ? out->n : 0;
    return st;
}

static enum st change_users(const char *store, const struct web_users *all,
                            const struct web_change *c, bool anyway, struct err *e)
{
    struct buf b;
    buf_init(&b, FILE_MAX);
    enum st st = buf_put(&b, HEAD, strlen(HEAD));
    for (size_t i = 0; i < all->n && st == ST_OK; i++)
        st = put_line(&b, &all->v[i]);
    st = st == ST_OK ? web_change(store, WEB_USERS, &b, c, anyway, e)
                     : err_set(e, st, "no memory for users");
    buf_done(&b);
    return st;
}

struct web_user *web_user_find(struct web_users *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    return NULL;
}

bool web_user_is(const char *store, const char *name)
{
    struct web_users all;
    return web_users_read(store, &all, NULL) == ST_OK && web_user_find(&all, name);
}

static bool token_is(const char *store, const char *name)
{
    struct web_tokens *all = calloc(1, sizeof *all);
    bool is = false;
    if (all && web_tokens_read(store, all, NULL) == ST_OK)
        for (size_t i = 0; i < all->n; i++)
            is = is || strcmp(all->v[i].name, name) == 0;
    free(all);
    return is;
}

/* ---- changes ---- */

static size_t administrators(const struct web_users *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        n += all->v[i].role == WEB_ADMINISTRATOR;
    return n;
}

/* Without one nobody could add another from the page. */
static enum st last_stays(const struct web_users *before, const struct web_users *after, bool force,
                          struct err *e)
{
    if (force || administrators(after) > 0 || administrators(before) == 0)
        return ST_OK;
    return err_set(e, ST_REFUSED, "this is the last administrator: make another first");
}

static enum st apply(struct web_users *all, const struct web_user_put *p, struct clk_time now,
                     bool *added, struct err *e)
{
    struct web_user *u = web_user_find(all, p->name);
    *added = !u;
    if (u && p->how == WEB_USER_ADD)
        return err_set(e, ST_CONFLICT, "%s is a user already", p->name);
    if (!u && p->how == WEB_USER_CHANGE)
        return err_set(e, ST_NOT_FOUND, "%s is no user of this page", p->name);
    if (!u && (!p->role || !p->secret))
        return err_set(e, ST_BAD, "a new user has a role and a password");
    if (!u && all->n == WEB_USERS_MAX)
        return err_set(e, ST_FULL, "there are %d users: remove those who come no more",
                       WEB_USERS_MAX);
    if (!u) {
        u = &all->v[all->n++];
        *u = (struct web_user){.role = *p->role};
        (void)snprintf(u->name, sizeof u->name, "%s", p->name);
    }
    if (p->role)
        u->role = *p->role;
    if (p->secret) {
        u->secret = *p->secret;
        u->made_ms = now.utc_ms;
    }
    return ST_OK;
}

static enum st put(const char *store, const struct web_user_put *p, const char *by,
                   struct clk_time now, struct err *e)
{
    struct web_users before, all;
    bool added;
    char is[100];
    ERR_TRY(web_users_read(store, &before, e));
    all = before;
    ERR_TRY(apply(&all, p, now, &added, e));
    if (added && token_is(store, p->name)) /* each name in the chain is one author */
        return err_set(e, ST_CONFLICT, "a token has the name %s: take another", p->name);
    ERR_TRY(last_stays(&before, &all, p->force, e));
    (void)snprintf(is, sizeof is, "%s%s%s", web_role_text[web_user_find(&all, p->name)->role],
                   p->secret ? ", new password" : "", p->force ? ", at the console" : "");
    const struct web_change c = {.code = added ? "user.added" : "user.changed",
                                 .whom = p->name,
                                 .is = is,
                                 .by = by,
                                 .from = p->from ? p->from : "",
                                 .now = now};
    if (p->claim) { /* before the user is there: a cut between the two costs a code, and no more */
        ERR_TRY(web_change_can(store, e));
        ERR_TRY(web_kept_remove(store, WEB_CLAIM, e));
    }
    enum st st = change_users(store, &all, &c, false, e);
    return st == ST_OK || !p->claim
               ? st
               : err_wrap(e, st, "the code is used up, make another (fieldpost user claim)");
}

enum st web_user_put(const char *store, const struct web_user_put *p, const char *by,
                     struct clk_time now, struct err *e)
{
    int fd = -1;
    if (!id_is_text(p->name))
        return err_set(e, ST_BAD, "a name has 1 to 64 letters, digits, dots, _ and -");
    enum st st = web_kept_lock(store, &fd, e);
    if (st == ST_OK && p->claim) {
        st = web_claim_check(store, p->claim, e);
        if (st == ST_BAD || st == ST_CORRUPT) /* a code, but not this gateway's */
            st = ST_NOT_FOUND;
    }
    if (st == ST_OK)
        st = put(store, p, by, now, e);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum st take_away(const char *store, const char *name, bool force, const char *by,
                         struct clk_time now, struct err *e)
{
    struct web_users before, all;
    ERR_TRY(web_users_read(store, &before, e));
    all = before;
    struct web_user *u = web_user_find(&all, name);
    if (!u)
        return err_set(e, ST_NOT_FOUND, "%s is no user of this page", name);
    char is[40];
    (void)snprintf(is, sizeof is, "gone; was %s", web_role_text[u->role]);
    const struct web_change c = {
        .code = "user.removed", .whom = name, .is = is, .by = by, .from = "", .now = now};
    memmove(u, u + 1, (size_t)(&all.v[all.n] - (u + 1)) * sizeof *u);
    all.n--;
    ERR_TRY(last_stays(&before, &all, force, e));
    enum st st = change_users(store, &all, &c, true, e);
    return st == ST_OK ? ST_OK : err_wrap(e, st, "the user is removed, and no event says so");
}

enum st web_user_remove(const char *store, const char *name, bool force, const char *by,
                        struct clk_time now, struct err *e)
{
    int fd = -1;
    enum st st = web_kept_lock(store, &fd, e);
    if (st == ST_OK)
        st = take_away(store, name, force, by, now, e);
    if (fd >= 0)
        (void)close(fd);
    return st;
}
