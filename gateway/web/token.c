/* The tokens with which programs ask for changes: a file beside the store, read at each use, so
 * that an added or removed one counts at once.
 *
 * It holds SHA-256 of each token, without salt or stretching: these are for words that people
 * choose. A token has 256 random bits, and nobody finds it from its hash. */
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/id.h"

#define HEAD "fieldpost tokens 1\n"
#define FILE_MAX (sizeof HEAD + (size_t)WEB_TOKENS_MAX * WEB_KEPT_LINE)
#define PREFIX "fpt_"
#define RANDOM_BYTES 32
_Static_assert(WEB_TOKEN_TEXT == sizeof PREFIX + 2 * RANDOM_BYTES, "a token's text");

const char *const web_scope_text[WEB_SCOPES + 1] = {
    [WEB_CORRECT] = "correct", [WEB_MAINTAIN] = "maintain", [WEB_RETIRE] = "retire",
    [WEB_PUSH] = "push",       [WEB_ENTER] = "enter",       [WEB_PROBE] = "probe",
    [WEB_METRICS] = "metrics", [WEB_READ] = "read"};

bool web_scopes_parse(const char *text, unsigned *scopes)
{
    *scopes = 0;
    for (;;) {
        size_t n = strcspn(text, ","), i = 0;
        while (i < WEB_SCOPES &&
               (strlen(web_scope_text[i]) != n || memcmp(web_scope_text[i], text, n) != 0))
            i++;
        if (i == WEB_SCOPES)
            return false;
        *scopes |= 1U << i;
        if (text[n] == '\0')
            return true;
        text += n + 1;
    }
}

void web_scopes_print(unsigned scopes, char out[WEB_SCOPES_TEXT])
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < WEB_SCOPES; i++)
        if (scopes >> i & 1)
            n += (size_t)snprintf(out + n, WEB_SCOPES_TEXT - n, "%s%s", n ? "," : "",
                                  web_scope_text[i]);
}

/* ---- the file ---- */

static enum st put_line(struct buf *b, const struct web_token *t)
{
    char scopes[WEB_SCOPES_TEXT], hash[2 * WIRE_HASH_BYTES + 1];
    web_scopes_print(t->scopes, scopes);
    wire_hex(t->hash, sizeof t->hash, hash);
    return buf_printf(b, "%s %s %" PRId64 " %" PRId64 " %s\n", t->name, scopes, t->made_ms,
                      t->ends_ms, hash);
}

/* One line without its end: name, scopes, made, ends, hash. It must be as put_line writes it. */
static bool parse_line(const char *line, size_t n, struct web_token *t)
{
    char copy[WEB_KEPT_LINE], *word[5];
    struct buf again;
    *t = (struct web_token){.scopes = 0};
    if (!web_kept_words(line, n, copy, word, sizeof word / sizeof *word))
        return false;
    if (!id_is_text(word[0]) || !web_scopes_parse(word[1], &t->scopes) ||
        !web_kept_number(word[2], &t->made_ms) || !web_kept_number(word[3], &t->ends_ms) ||
        !wire_unhex(word[4], t->hash, sizeof t->hash))
        return false;
    (void)snprintf(t->name, sizeof t->name, "%s", word[0]);
    buf_init(&again, WEB_KEPT_LINE);
    bool same = put_line(&again, t) == ST_OK && again.n == n + 1 && memcmp(again.p, line, n) == 0;
    buf_done(&again);
    return same;
}

static bool take_line(void *ctx, const char *line, size_t n)
{
    struct web_tokens *all = ctx;
    return parse_line(line, n, &all->v[all->n]) && ++all->n;
}

enum st web_tokens_read(const char *store, struct web_tokens *out, struct err *e)
{
    out->n = 0;
    enum st st = web_kept_lines(store, WEB_TOKENS, HEAD, WEB_TOKENS_MAX, take_line, out, e);
    out->n = st == ST_OK ? out->n : 0;
    return st;
}

/* ---- adding, removing, comparing ---- */

static struct web_token *find(struct web_tokens *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    return NULL;
}

/* Writes them, and tells whose token was made or ends and what it may; never the token. */
static enum st change(const char *store, const struct web_tokens *all, const char *code,
                      const struct web_token *t, const char *by, struct clk_time now, bool anyway,
                      struct err *e)
{
    char scopes[WEB_SCOPES_TEXT], ends[CLK_TEXT_BYTES], is[160];
    const struct web_change c = {
        .code = code, .whom = t->name, .is = is, .by = by, .from = "", .now = now};
    struct buf b;
    web_scopes_print(t->scopes, scopes);
    (void)snprintf(is, sizeof is, "scopes %s, %s %s", scopes, t->ends_ms ? "ends" : "without",
                   t->ends_ms ? clk_text(t->ends_ms, ends) : "end");
    buf_init(&b, FILE_MAX);
    enum st st = buf_put(&b, HEAD, strlen(HEAD));
    for (size_t i = 0; i < all->n && st == ST_OK; i++)
        st = put_line(&b, &all->v[i]);
    st = st == ST_OK ? web_change(store, WEB_TOKENS, &b, &c, anyway, e)
                     : err_set(e, st, "no memory for tokens");
    buf_done(&b);
    return st;
}

static enum st add(const char *store, struct web_tokens *all, const struct web_token *t,
                   const char *by, struct clk_time now, struct err *e)
{
    ERR_TRY(web_tokens_read(store, all, e));
    if (find(all, t->name))
        return err_set(e, ST_CONFLICT, "%s has a token: remove it first", t->name);
    if (web_user_is(store, t->name)) /* each name in the chain is one author */
        return err_set(e, ST_CONFLICT, "%s is a user of the page: take another name", t->name);
    if (all->n == WEB_TOKENS_MAX)
        return err_set(e, ST_FULL, "there are %d tokens: remove those that nobody uses",
                       WEB_TOKENS_MAX);
    all->v[all->n++] = *t;
    return change(store, all, "token.made", t, by, now, false, e);
}

enum st web_token_add(const char *store, struct web_token *t, const char *by, struct clk_time now,
                      char text[WEB_TOKEN_TEXT], struct err *e)
{
    uint8_t random[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1];
    struct web_tokens *all = calloc(1, sizeof *all);
    int fd = -1;
    enum st st = all ? ST_OK : err_set(e, ST_MEMORY, "no memory for tokens");
    if (st == ST_OK && !id_is_text(t->name))
        st = err_set(e, ST_BAD, "a name has 1 to 64 letters, digits, dots, _ and -");
    if (st == ST_OK)
        st = wire_random(random, sizeof random, e);
    if (st == ST_OK) {
        wire_hex(random, sizeof random, hex);
        (void)snprintf(text, WEB_TOKEN_TEXT, PREFIX "%s", hex);
        wire_sha256(text, strlen(text), t->hash);
        st = web_kept_lock(store, &fd, e);
    }
    if (st == ST_OK)
        st = add(store, all, t, by, now, e);
    if (fd >= 0)
        (void)close(fd);
    explicit_bzero(random, sizeof random);
    explicit_bzero(hex, sizeof hex);
    free(all);
    return st;
}

enum st web_token_remove(const char *store, const char *name, const char *by, struct clk_time now,
                         struct err *e)
{
    struct web_tokens *all = calloc(1, sizeof *all);
    int fd = -1;
    enum st st = all ? web_kept_lock(store, &fd, e) : err_set(e, ST_MEMORY, "no memory for tokens");
    if (st == ST_OK)
        st = web_tokens_read(store, all, e);
    struct web_token *t = st == ST_OK ? find(all, name) : NULL;
    if (st == ST_OK && !t)
        st = err_set(e, ST_NOT_FOUND, "%s has no token: `fieldpost token list` names them", name);
    if (t) {
        struct web_token gone = *t;
        *t = all->v[--all->n];
        st = change(store, all, "token.removed", &gone, by, now, true, e);
        if (st != ST_OK)
            (void)err_wrap(e, st, "the token is removed, and no event says so");
    }
    if (fd >= 0)
        (void)close(fd);
    free(all);
    return st;
}

/* All of them, byte by byte: how long it takes tells nothing. */
const struct web_token *web_token_find(const struct web_tokens *all, const char *text)
{
    uint8_t hash[WIRE_HASH_BYTES];
    const struct web_token *found = NULL;
    wire_sha256(text, strlen(text), hash);
    for (size_t i = 0; i < all->n; i++)
        found = wire_same(all->v[i].hash, hash, sizeof hash) ? &all->v[i] : found;
    return found;
}
