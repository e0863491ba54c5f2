/* The tokens with which programs ask for changes: a file beside the store, read at each use, so
 * that an added or removed one counts at once.
 *
 * It holds SHA-256 of each token, without salt or stretching: these are for words that people
 * choose. A token has 256 random bits, and nobody finds it from its hash. */
#include "gateway/web/web_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/drop.h"

#define HEAD "fieldpost tokens 1\n"
#define LINE_BYTES 256
#define FILE_MAX (sizeof HEAD + (size_t)WEB_TOKENS_MAX * LINE_BYTES)
#define PREFIX "fpt_"
#define RANDOM_BYTES 32
_Static_assert(WEB_TOKEN_TEXT == sizeof PREFIX + 2 * RANDOM_BYTES, "a token's text");

const char *const web_scope_text[WEB_SCOPES + 1] = {[WEB_CORRECT] = "correct",
                                                    [WEB_MAINTAIN] = "maintain",
                                                    [WEB_RETIRE] = "retire",
                                                    [WEB_PUSH] = "push"};

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

bool web_token_name(const char *name)
{
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(name);
    return n > 0 && n < sizeof((struct web_token *)0)->name && !strchr("._-", name[0]) &&
           strspn(name, more) == n;
}

/* ---- the file ---- */

static enum st path_of(const char *store, char path[DROP_PATH_BYTES], struct err *e)
{
    return snprintf(path, DROP_PATH_BYTES, "%s" WEB_TOKENS, store) < DROP_PATH_BYTES
               ? ST_OK
               : err_set(e, ST_BAD, "store.path is too long");
}

/* Whoever else may read it knows no token, and whoever may write it would make some. */
static enum st read_file(const char *path, char text[FILE_MAX + 1], struct err *e)
{
    struct stat sb;
    size_t n = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ST_NOT_FOUND;
    if (fd < 0)
        return err_set(e, ST_IO, "%s: %s: it must be the gateway's user's", path, strerror(errno));
    bool good = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && !(sb.st_mode & 077) &&
                (sb.st_uid == geteuid() || sb.st_uid == 0 || geteuid() == 0);
    while (good && got > 0 && n < FILE_MAX) {
        got = read(fd, text + n, FILE_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    if (!good)
        return err_set(e, ST_REFUSED, "%s: not a file that its owner alone may use: chmod 600 it",
                       path);
    if (got < 0)
        return err_set(e, ST_IO, "%s: cannot be read", path);
    text[n] = '\0';
    return strlen(text) == n && n < FILE_MAX ? ST_OK
                                             : err_set(e, ST_CORRUPT, "%s: no such file", path);
}

static bool number(const char *text, int64_t *out)
{
    struct num v;
    bool good = num_parse(text, &v) && v.kind == NUM_DEC && v.exp == 0;
    *out = good ? v.i : 0;
    return good;
}

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
    char copy[LINE_BYTES], *at = copy, *word[5];
    struct buf again;
    *t = (struct web_token){.scopes = 0};
    if (n >= sizeof copy)
        return false;
    memcpy(copy, line, n);
    copy[n] = '\0';
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (!(word[i] = strsep(&at, " ")))
            return false;
    if (!web_token_name(word[0]) || !web_scopes_parse(word[1], &t->scopes) ||
        !number(word[2], &t->made_ms) || !number(word[3], &t->ends_ms) ||
        !wire_unhex(word[4], t->hash, sizeof t->hash))
        return false;
    (void)snprintf(t->name, sizeof t->name, "%s", word[0]);
    buf_init(&again, LINE_BYTES);
    bool same = put_line(&again, t) == ST_OK && again.n == n + 1 && memcmp(again.p, line, n) == 0;
    buf_done(&again);
    return same;
}

enum st web_tokens_read(const char *store, struct web_tokens *out, struct err *e)
{
    char path[DROP_PATH_BYTES], text[FILE_MAX + 1];
    out->n = 0;
    ERR_TRY(path_of(store, path, e));
    enum st st = read_file(path, text, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    if (strncmp(text, HEAD, strlen(HEAD)) != 0)
        return err_set(e, ST_CORRUPT, "%s: not written by `fieldpost token`", path);
    for (const char *at = text + strlen(HEAD); *at;) {
        size_t n = strcspn(at, "\n");
        if (out->n == WEB_TOKENS_MAX || at[n] != '\n' || !parse_line(at, n, &out->v[out->n])) {
            size_t line = out->n + 2;
            out->n = 0;
            return err_set(e, ST_CORRUPT, "%s: line %zu is not what `fieldpost token` writes", path,
                           line);
        }
        out->n++;
        at += n + 1;
    }
    return ST_OK;
}

static enum st write_tokens(const char *store, const struct web_tokens *all, struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct stat owner;
    struct buf b;
    ERR_TRY(path_of(store, path, e));
    buf_init(&b, FILE_MAX);
    enum st st = buf_put(&b, HEAD, strlen(HEAD));
    for (size_t i = 0; i < all->n && st == ST_OK; i++)
        st = put_line(&b, &all->v[i]);
    st = st == ST_OK ? wire_file_put(path, b.p, b.n, 0600, true, e)
                     : err_set(e, st, "no memory for tokens");
    buf_done(&b);
    if (st != ST_OK ||
        stat(store, &owner) != 0) /* the store is not there yet: its folder's owner */
        return st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    st = fd >= 0 ? drop_give(fd, path, &owner, e)
                 : err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* Two who change the file at once would lose what one of them did. The lock is on the folder: the
 * file itself is another one each time. Nobody but the store's user and root goes on. */
static enum st lock(const char *store, int *fd, struct err *e)
{
    char folder[DROP_PATH_BYTES];
    const char *slash = strrchr(store, '/');
    struct stat owner;
    if (stat(store, &owner) == 0 && geteuid() != 0 && geteuid() != owner.st_uid)
        return err_set(e, ST_REFUSED,
                       "%s: the store is that of user %u: run this as that user or as root", store,
                       (unsigned)owner.st_uid);
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - store) + 1 : 1,
                   slash ? store : ".");
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0 && flock(*fd, LOCK_EX) == 0)
        return ST_OK;
    return err_set(e, ST_IO, "%s: %s", folder, strerror(errno));
}

/* ---- adding, removing, comparing ---- */

static struct web_token *find(struct web_tokens *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    return NULL;
}

static enum st add(const char *store, struct web_tokens *all, const struct web_token *t,
                   struct err *e)
{
    ERR_TRY(web_tokens_read(store, all, e));
    if (find(all, t->name))
        return err_set(e, ST_CONFLICT, "%s has a token: remove it first", t->name);
    if (all->n == WEB_TOKENS_MAX)
        return err_set(e, ST_FULL, "there are %d tokens: remove those that nobody uses",
                       WEB_TOKENS_MAX);
    all->v[all->n++] = *t;
    return write_tokens(store, all, e);
}

enum st web_token_add(const char *store, struct web_token *t, char text[WEB_TOKEN_TEXT],
                      struct err *e)
{
    uint8_t random[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1];
    struct web_tokens *all = calloc(1, sizeof *all);
    int fd = -1;
    enum st st = all ? ST_OK : err_set(e, ST_MEMORY, "no memory for tokens");
    if (st == ST_OK && !web_token_name(t->name))
        st = err_set(e, ST_BAD, "a name has 1 to 64 letters, digits, dots, _ and -");
    if (st == ST_OK)
        st = wire_random(random, sizeof random, e);
    if (st == ST_OK) {
        wire_hex(random, sizeof random, hex);
        (void)snprintf(text, WEB_TOKEN_TEXT, PREFIX "%s", hex);
        wire_sha256(text, strlen(text), t->hash);
        st = lock(store, &fd, e);
    }
    if (st == ST_OK)
        st = add(store, all, t, e);
    if (fd >= 0)
        (void)close(fd);
    explicit_bzero(random, sizeof random);
    explicit_bzero(hex, sizeof hex);
    free(all);
    return st;
}

enum st web_token_remove(const char *store, const char *name, struct err *e)
{
    struct web_tokens *all = calloc(1, sizeof *all);
    int fd = -1;
    enum st st = all ? lock(store, &fd, e) : err_set(e, ST_MEMORY, "no memory for tokens");
    if (st == ST_OK)
        st = web_tokens_read(store, all, e);
    struct web_token *t = st == ST_OK ? find(all, name) : NULL;
    if (st == ST_OK && !t)
        st = err_set(e, ST_NOT_FOUND, "%s has no token: `fieldpost token list` names them", name);
    if (t) {
        *t = all->v[--all->n];
        st = write_tokens(store, all, e);
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
    for (size_t i = 0; i < all->n; i++) {
        unsigned differs = 0;
        for (size_t k = 0; k < sizeof hash; k++)
            differs |= (unsigned)(all->v[i].hash[k] ^ hash[k]);
        found = differs == 0 ? &all->v[i] : found;
    }
    return found;
}
