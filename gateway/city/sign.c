/* The keys with which the city signs receipts and heads. The private halves lie in files: sign_key,
 * and sign_key.N for notice N. Each is read long before the day on which it is used: one that
 * cannot be is told while the key before it still signs. */
#include "gateway/city/city_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct city_sign {
    pthread_mutex_t lock;
    char *path;
    struct {
        int64_t notice; /* that named it; 0: the first */
        struct wire_key *key;
    } key[1 + WIRE_NOTICES_MAX]; /* others sign with an older one until they ask again */
    size_t n;
};

enum st city_key_path(const char *sign_key, int64_t n, char out[CITY_PATH_BYTES], struct err *e)
{
    int len = n > 0 ? snprintf(out, CITY_PATH_BYTES, "%s.%" PRId64, sign_key, n)
                    : snprintf(out, CITY_PATH_BYTES, "%s", sign_key);
    return len > 0 && len < CITY_PATH_BYTES
               ? ST_OK
               : err_set(e, ST_BAD, "sign_key: the path is longer than %d bytes",
                         CITY_PATH_BYTES - 8);
}

enum st city_sign_load(const char *sign_key, const struct wire_notice *x, struct wire_key **key,
                       struct err *e)
{
    char path[CITY_PATH_BYTES];

    ERR_TRY(city_key_path(sign_key, (int64_t)x->n, path, e));
    ERR_TRY(wire_key_load(key, path, e));
    struct wire_span der = wire_pub_der(wire_key_pub(*key));
    if (der.n == x->key.n && memcmp(der.p, x->key.p, der.n) == 0)
        return ST_OK;
    wire_key_free(*key);
    *key = NULL;
    return err_set(e, ST_CORRUPT, "%s: is not the key that notice %" PRIu64 " names", path, x->n);
}

/* Under the lock. x NULL: the first key. */
static enum st load(struct city_sign *s, const struct wire_notice *x, struct err *e)
{
    if (s->n == sizeof s->key / sizeof *s->key)
        return err_set(e, ST_FULL, "too many receipt keys since the start: start serve again");
    ERR_TRY(x != NULL ? city_sign_load(s->path, x, &s->key[s->n].key, e)
                      : wire_key_load(&s->key[s->n].key, s->path, e));
    s->key[s->n++].notice = x != NULL ? (int64_t)x->n : 0;
    return ST_OK;
}

enum st city_sign_open(struct city_sign **out, const char *path, struct err *e)
{
    struct city_sign *s = calloc(1, sizeof *s);
    enum st st = ST_OK;

    *out = NULL;
    if (s == NULL)
        return err_set(e, ST_MEMORY, "no memory for the receipt key");
    pthread_mutex_init(&s->lock, NULL);
    s->path = strdup(path);
    if (s->path == NULL)
        st = err_set(e, ST_MEMORY, "no memory for the receipt key");
    if (st == ST_OK)
        st = load(s, NULL, e);
    if (st != ST_OK) {
        city_sign_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void city_sign_close(struct city_sign *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        wire_key_free(s->key[i].key);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

enum st city_sign_notice_at(struct city_db *d, int64_t now_ms, int64_t *n, struct err *e)
{
    sqlite3_stmt *q = city_db_bind(d, SQL_TRUST_KEY_AT, "i", now_ms);
    enum st st = city_db_step(d, q, e);

    *n = st == ST_OK ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Under the lock: its place among those that are loaded; s->n: not there. */
static size_t find(const struct city_sign *s, int64_t notice)
{
    size_t i = 0;

    while (i < s->n && s->key[i].notice != notice)
        i++;
    return i;
}

/* Loads the key of a notice, when that is not done: from the row of q, whose columns are its number
 * and its bytes. */
static enum st need(struct city_sign *s, sqlite3_stmt *q, struct err *e)
{
    struct wire_span bytes = city_db_span(q, 1);
    struct wire_cose cose;
    struct wire_notice x;
    enum st st = ST_OK;

    pthread_mutex_lock(&s->lock);
    if (find(s, sqlite3_column_int64(q, 0)) == s->n) {
        st = wire_notice_open(&x, &cose, bytes.p, bytes.n, e);
        st = st == ST_OK ? load(s, &x, e) : st;
    }
    pthread_mutex_unlock(&s->lock);
    return st == ST_NOT_FOUND ? ST_IO : st; /* the file is: there is such a notice */
}

enum st city_sign_now(struct city_sign *s, struct city_db *d, int64_t now_ms,
                      const struct wire_key **key, struct err *e)
{
    sqlite3_stmt *q = city_db_bind(d, SQL_TRUST_KEY_AT, "i", now_ms);
    enum st st = city_db_step(d, q, e);
    int64_t notice = st == ST_OK ? sqlite3_column_int64(q, 0) : 0;

    if (st == ST_OK)
        st = need(s, q, e);
    sqlite3_reset(q);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    pthread_mutex_lock(&s->lock);
    *key = s->key[find(s, notice)].key;
    pthread_mutex_unlock(&s->lock);
    return ST_OK;
}

enum st city_sign_ahead(struct city_sign *s, struct city_db *d, int64_t now_ms, struct err *e)
{
    sqlite3_stmt *q = city_db_bind(d, SQL_TRUST_KEYS_AHEAD, "i", now_ms);
    char from[CLK_TEXT_BYTES];
    struct err why = {.text = ""};
    enum st st;

    while ((st = city_db_step(d, q, e)) == ST_OK) {
        st = need(s, q, &why);
        if (st == ST_OK)
            continue;
        err_set(e, st,
                "the receipt key of notice %" PRId64
                " cannot be used, and nothing is signed without it from %s on: %s; the user of "
                "serve must be able to read it",
                (int64_t)sqlite3_column_int64(q, 0), clk_text(sqlite3_column_int64(q, 2), from),
                why.text);
        break;
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}
