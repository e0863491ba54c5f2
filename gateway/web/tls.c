/* The page's own certificate: made on the device, for the names and addresses under which it is
 * found. The key stays for good, so whoever pinned it need not again, but where it is damaged; the
 * certificate is made anew where it nears its end, is damaged or lacks a name, and the server takes
 * it up without a restart. It keeps the names of the one before: an address that comes and goes
 * costs one warning and not one each time. */
#include "gateway/web/web_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)
#define LIFE_MS (800 * DAY_MS) /* phones refuse more than 825 days */
#define PEM_MAX 16384
/* While the clock is not set, the phone's is: a certificate that is good whatever it says. */
#define ANY_FROM_MS INT64_C(1704067200000) /* 2024 */
#define ANY_TO_MS INT64_C(2493072000000)   /* 2049 */

enum st web_tls_paths(const struct web_cfg *cfg, const char *store, char cert[DROP_PATH_BYTES],
                      char key[DROP_PATH_BYTES], struct err *e)
{
    int n = snprintf(cert, DROP_PATH_BYTES, "%s%s", cfg->cert ? cfg->cert : store,
                     cfg->cert ? "" : WEB_TLS_CERT);
    int k = snprintf(key, DROP_PATH_BYTES, "%s%s", cfg->cert ? cfg->cert : store,
                     cfg->cert ? "" : WEB_TLS_KEY);
    return n < DROP_PATH_BYTES && k < DROP_PATH_BYTES
               ? ST_OK
               : err_set(e, ST_BAD, "store.path is too long");
}

/* ---- the certificate ---- */

static int64_t date_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000;
}

/* What is wrong with the kept pair; "": nothing. */
struct fault {
    char text[160];
    bool key; /* the key, too, is to be another one */
};

/* The two halves must be one key: of the public one there is a copy in the file. */
static bool signs(const struct wire_key *k)
{
    static const uint8_t hash[WIRE_HASH_BYTES] = {1};
    const struct wire_signer *s = wire_key_signer(k);
    uint8_t sig[64];
    return s->sign(s->ctx, hash, sig, NULL) == ST_OK &&
           wire_pub_check(s->pub, hash, sig, NULL) == ST_OK;
}

/* *out NULL: it is to be made. What cannot be read now may be good. */
static enum st load_key(struct wire_key **out, const char *path, struct fault *f, struct err *e)
{
    struct err why = {.text = ""};
    *out = NULL;
    enum st st = wire_key_load(out, path, &why);
    if (st == ST_OK && !signs(*out)) {
        wire_key_free(*out);
        *out = NULL;
        st = err_set(&why, ST_BAD, "%s: its two halves do not fit", path);
    }
    if (st == ST_OK)
        return ST_OK;
    if (st != ST_BAD && st != ST_REFUSED && st != ST_NOT_FOUND)
        return err_set(e, st, "%s", why.text);
    f->key = true;
    if (st != ST_NOT_FOUND)
        (void)snprintf(f->text, sizeof f->text, "%.150s", why.text);
    return ST_OK;
}

/* The clock is that of the machine. whole: the certificate is, and of the kept key. */
static void judge(const struct web_door *d, const struct buf *pem, bool whole, bool known,
                  struct fault *f)
{
    struct wire_cert c;
    int64_t now = date_ms();
    const char *why = NULL;
    if (!whole || wire_cert_read_pem(&c, pem->p, pem->n, NULL) != ST_OK)
        why = "the one before was damaged, or of another key";
    else if (known && !(c.from_ms <= now && now < c.to_ms - LIFE_MS / 3 &&
                        c.to_ms - c.from_ms <= LIFE_MS + 2 * DAY_MS))
        why = "the dates of the one before do not fit any more";
    if (why)
        (void)snprintf(f->text, sizeof f->text, "%s", why);
    for (size_t i = 0; i < d->names.n && !f->text[0]; i++)
        if (!wire_cert_names(pem->p, pem->n, d->names.text[i]))
            (void)snprintf(f->text, sizeof f->text, "the one before was not for %s",
                           d->names.text[i]);
}

/* The names of today and, as far as there is room, those of the certificate before. */
static void all_names(struct web_names *all, const struct web_door *d, const struct buf *before)
{
    char old[WEB_NAMES_MAX][WIRE_NAME_TEXT];
    *all = d->names;
    size_t n = before ? wire_cert_list(before->p, before->n, old, WEB_NAMES_MAX) : 0;
    for (size_t i = 0; i < n; i++)
        web_names_add(all, old[i]);
}

static enum st make(const struct web *w, const char *cert, const char *key, bool known,
                    const struct buf *before, struct err *e)
{
    struct web_names all;
    const char *names[WEB_NAMES_MAX];
    struct buf pem, out;
    all_names(&all, w->door, before);
    for (size_t i = 0; i < all.n; i++)
        names[i] = all.text[i];
    const struct wire_self s = {.cn = w->site.id ? w->site.id : "fieldpost",
                                .names = names,
                                .n = all.n,
                                .from_ms = known ? date_ms() - DAY_MS : ANY_FROM_MS,
                                .to_ms = known ? date_ms() + LIFE_MS : ANY_TO_MS};
    buf_init(&pem, PEM_MAX);
    buf_init(&out, PEM_MAX);
    enum st st = wire_file_get(key, &pem, e);
    if (st == ST_OK)
        st = wire_self_sign(&s, &pem, &out, e);
    if (st == ST_OK)
        st = wire_file_put(cert, out.p, out.n, 0644, true, e);
    if (pem.p)
        explicit_bzero(pem.p, pem.cap);
    buf_done(&pem);
    buf_done(&out);
    return st;
}

/* A key that is of no use is worth nothing to anybody: it vouches for this page alone. */
static enum st another_key(const char *key, struct err *e)
{
    if (unlink(key) != 0 && errno != ENOENT)
        return err_set(e, ST_IO, "%s: %s", key, strerror(errno));
    return wire_key_make(key, e);
}

static enum st ready(struct web *w, bool *made, struct fault *f, struct err *e)
{
    char cert[DROP_PATH_BYTES], key[DROP_PATH_BYTES];
    bool known = clk_now(w->clk).grade != CLK_UNKNOWN;
    struct wire_key *k = NULL;
    struct web_names names;
    struct buf pem;
    *made = false;
    web_names_find(&names, &w->door->cfg, w->site.id, !web_is_loopback(w->door->cfg.listen));
    pthread_mutex_lock(&w->door->lock); /* requests ask for them: files are not waited for in it */
    w->door->names = names;
    pthread_mutex_unlock(&w->door->lock);
    ERR_TRY(web_tls_paths(&w->door->cfg, store_path(w->store), cert, key, e));
    if (w->door->cfg.cert) {
        web_vouched_forget(w);
        return ST_OK; /* whoever put it there renews it */
    }
    if (web_vouched_ready(w, cert, key, known))
        return ST_OK;
    buf_init(&pem, PEM_MAX);
    bool there = wire_file_get(cert, &pem, NULL) == ST_OK;
    enum st st = load_key(&k, key, f, e);
    if (f->key && !f->text[0] && there)
        (void)snprintf(f->text, sizeof f->text, "the key of the one before is gone");
    bool whole = k && there && wire_self_is_of(pem.p, pem.n, wire_key_pub(k));
    if (k && there)
        judge(w->door, &pem, whole, known, f);
    *made = st == ST_OK && (f->key || f->text[0] || !there);
    wire_key_free(k);
    if (*made && f->key) {
        web_vouched_forget(w);
        st = another_key(key, e);
    }
    if (*made && st == ST_OK)
        st = make(w, cert, key, known, whole ? &pem : NULL, e);
    buf_done(&pem);
    return st;
}

enum st web_tls_ready(struct web *w, bool *made, struct err *e)
{
    struct fault f = {.text = ""}, again = {.text = ""};
    bool more;
    enum st st = ready(w, made, &f, e);
    if (st == ST_OK && *made) /* there is a key now, for which the city can be asked */
        st = ready(w, &more, &again, e);
    if (st != ST_OK)
        return err_wrap(e, st, "the page's certificate");
    web_certificate_tell(w, f.text, f.key && f.text[0]); /* whoever pinned it is warned */
    return ST_OK;
}

void web_print(const uint8_t hash[WIRE_HASH_BYTES], char out[WEB_PRINT_TEXT])
{
    for (size_t i = 0; i < WIRE_HASH_BYTES; i++)
        (void)snprintf(out + 3 * i, 4, "%02X%s", hash[i], i + 1 < WIRE_HASH_BYTES ? ":" : "");
}

enum st web_tls_read(const struct web_cfg *cfg, const char *store, struct wire_cert *out,
                     struct buf *pem, struct err *e)
{
    char cert[DROP_PATH_BYTES], key[DROP_PATH_BYTES];
    struct wire_certs all;
    struct buf text;
    ERR_TRY(web_tls_paths(cfg, store, cert, key, e));
    buf_init(&text, PEM_MAX);
    enum st st = wire_file_get(cert, &text, e);
    if (st == ST_OK && (st = wire_cert_read_pem(out, text.p, text.n, e)) != ST_OK)
        (void)err_wrap(e, st, "%s", cert);
    if (st == ST_OK && pem && (st = wire_certs_pem(&all, text.p, text.n, e)) == ST_OK) {
        for (size_t i = 0; i < all.n && st == ST_OK; i++)
            st = wire_cert_pem(all.v[i], pem);
        wire_certs_done(&all);
    }
    if (text.p)
        explicit_bzero(text.p, text.cap);
    buf_done(&text);
    return st;
}
