/* The page's certificate from the city's CA (decision 0044). The page asks for its names in the
 * local network, for the key that it has; an uplink that is enrolled takes that to the city and
 * leaves the answer (gateway/uplink/page.c). While there is none that is good, the page's own is in
 * use. And whichever is: another than before is told in the chain. */
#include "gateway/web/web_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CITY ".page.city.crt" /* what the city gave, and was good when it came */
#define OWN ".page.own.crt"   /* the page's own one, meanwhile */
#define SAID ".page.said"     /* SHA-256 of the certificate that was told last, and how many were */
#define SAID_BYTES (2 * WIRE_HASH_BYTES + 24)
#define PAUSE_MS INT64_C(60000)
#define PAUSE_MAX_MS (360 * PAUSE_MS)

/* What the page asks for: it holds nothing that the city would have to trust it in. */
struct names {
    struct web_names all;
    const char *list[WEB_NAMES_MAX];
    char line[WEB_NAMES_MAX * WIRE_NAME_TEXT];
    bool fits;  /* web.names has none that the city does not sign */
    bool needs; /* somebody in the network can reach the page */
};

static enum st path_of(const struct web *w, const char *suffix, char path[DROP_PATH_BYTES],
                       struct err *e)
{
    return snprintf(path, DROP_PATH_BYTES, "%s%s", store_path(w->store), suffix) < DROP_PATH_BYTES
               ? ST_OK
               : err_set(e, ST_BAD, "store.path is too long");
}

/* ---- names ---- */

/* An address that is good in this network alone: 10/8, 172.16/12, 192.168/16, 169.254/16, fc00::/7,
 * and those of this machine that are not everybody's. */
static bool is_local(const char *text)
{
    uint8_t a[16];
    if (inet_pton(AF_INET, text, a) == 1)
        return a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168) ||
               (a[0] == 169 && a[1] == 254) || (a[0] == 127 && strcmp(text, "127.0.0.1") != 0);
    return inet_pton(AF_INET6, text, a) == 1 && (a[0] & 0xfe) == 0xfc;
}

static void names_of(const struct web *w, struct names *x)
{
    char local[80];
    *x = (struct names){.fits = true};
    web_names_add(&x->all, w->site.id);
    (void)snprintf(local, sizeof local, "%s.local", w->site.id);
    web_names_add(&x->all, local);
    size_t always = x->all.n;
    for (size_t i = 0; i < w->door->names.n; i++)
        if (is_local(w->door->names.text[i]))
            web_names_add(&x->all, w->door->names.text[i]);
    x->needs = x->all.n > always;
    for (size_t i = 0, at = 0; i < x->all.n; i++) {
        x->list[i] = x->all.text[i];
        at += (size_t)snprintf(x->line + at, sizeof x->line - at, "%s%s", i ? "," : "", x->list[i]);
    }
    for (size_t i = 0; i < w->door->cfg.names.n; i++)
        x->fits = x->fits && web_names_have(&x->all, w->door->cfg.names.v[i]);
}

/* ---- whether one is good ---- */

/* The last moment before it is to be renewed: two thirds of its life, and up to a thirtieth more,
 * by its hash, so that boxes that came together do not come together again. */
static int64_t renew_at(const struct wire_cert *c)
{
    int64_t life = c->to_ms - c->from_ms;
    return c->from_ms + life / 3 * 2 + life / 30 / 256 * c->sha256[0];
}

/* Of the page's key, for all names, by one of the CAs that came with it. */
static enum st check(const struct names *x, const char *id, const struct wire_pub *pub,
                     const struct buf *pem, struct wire_span *leaf, struct wire_span *ca,
                     struct wire_certs *all, struct err *e)
{
    enum st st = wire_certs_pem(all, pem->p, pem->n, e);
    if (st == ST_OK && all->n < 2)
        st = err_set(e, ST_BAD, "the city's answer has no CA");
    for (size_t i = 0; st == ST_OK && i < x->all.n; i++)
        if (!wire_cert_names(pem->p, pem->n, x->list[i]))
            st = err_set(e, ST_CONFLICT, "the city's certificate lacks the name %s", x->list[i]);
    if (st != ST_OK)
        return st;
    *leaf = all->v[0];
    for (size_t i = 1; i < all->n; i++) {
        *ca = all->v[i];
        if ((st = wire_cert_check(*leaf, *ca, pub, id, e)) == ST_OK)
            return st;
    }
    return st;
}

/* What is kept of the city's; ST_NOT_FOUND and the like: none that is good now. */
static enum st read_good(const struct web *w, const struct names *x, const char *key, bool known,
                         struct buf *pem, struct wire_cert *out, struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct wire_key *k = NULL;
    struct wire_certs all = {.n = 0};
    struct wire_span leaf, ca;
    int64_t now_ms = clk_now(w->clk).utc_ms;
    ERR_TRY(path_of(w, CITY, path, e));
    ERR_TRY(wire_file_get(path, pem, e));
    enum st st = wire_key_load(&k, key, e);
    if (st == ST_OK)
        st = check(x, w->site.id, wire_key_pub(k), pem, &leaf, &ca, &all, e);
    if (st == ST_OK)
        st = wire_cert_read(out, leaf, e);
    if (st == ST_OK && known && (now_ms < out->from_ms || now_ms >= out->to_ms))
        st = err_set(e, ST_TIMEOUT, "the city's certificate is out of its dates");
    wire_certs_done(&all);
    wire_key_free(k);
    return st;
}

/* ---- the answer ---- */

/* Takes what an uplink left; what is no good is told and thrown away. false: there was nothing. */
static bool take(struct web *w, const struct names *x, const char *key)
{
    char given[DROP_PATH_BYTES], city[DROP_PATH_BYTES];
    struct wire_key *k = NULL;
    struct wire_certs all = {.n = 0};
    struct wire_span leaf, ca;
    struct buf pem, out;
    struct err e = {.text = ""};
    buf_init(&pem, STORE_PAGE_BYTES);
    buf_init(&out, STORE_PAGE_BYTES);
    enum st st = path_of(w, STORE_PAGE_GIVEN, given, &e);
    if (st == ST_OK)
        st = path_of(w, CITY, city, &e);
    if (st == ST_OK)
        st = wire_file_get(given, &pem, &e);
    bool answered = st != ST_NOT_FOUND;
    if (!answered)
        goto out;
    if (st == ST_OK)
        st = wire_key_load(&k, key, &e);
    if (st == ST_OK)
        st = check(x, w->site.id, wire_key_pub(k), &pem, &leaf, &ca, &all, &e);
    if (st == ST_OK)
        st = wire_cert_pem(leaf, &out);
    if (st == ST_OK)
        st = wire_cert_pem(ca, &out);
    if (st == ST_OK)
        st = wire_file_put(city, out.p, out.n, 0644, true, &e);
    if (st != ST_OK)
        store_event(w->store, STORE_WARNING, "page.refused", NULL,
                    "the page keeps its own certificate: %s", e.text);
    (void)unlink(given);
out:
    wire_certs_done(&all);
    wire_key_free(k);
    buf_done(&pem);
    buf_done(&out);
    return answered;
}

/* Leaves a request, unless the same lies there. */
static enum st ask(const struct web *w, const struct names *x, const char *key, struct err *e)
{
    char path[DROP_PATH_BYTES];
    size_t n = strlen(x->line);
    struct wire_pub *pub = NULL;
    struct buf was, out;
    ERR_TRY(path_of(w, STORE_PAGE_ASKED, path, e));
    buf_init(&was, STORE_PAGE_BYTES);
    buf_init(&out, STORE_PAGE_BYTES);
    bool there = wire_file_get(path, &was, NULL) == ST_OK && was.n > n && was.p[n] == '\n' &&
                 memcmp(was.p, x->line, n) == 0;
    enum st st = there ? ST_OK : buf_printf(&out, "%s\n", x->line);
    if (st == ST_OK && !there)
        st = wire_csr_names(key, w->site.id, x->list, x->all.n, &out, &pub, e);
    if (st == ST_OK && !there)
        st = buf_put(&out, "\n", 1);
    if (st == ST_OK && !there)
        st = wire_file_put(path, out.p, out.n, 0600, true, e);
    wire_pub_free(pub);
    buf_done(&was);
    buf_done(&out);
    return st;
}

/* ---- which is in use ---- */

static bool same_file(const char *path, const struct buf *text)
{
    struct buf is;
    buf_init(&is, STORE_PAGE_BYTES);
    bool same = wire_file_get(path, &is, NULL) == ST_OK && is.n == text->n &&
                memcmp(is.p, text->p, is.n) == 0;
    buf_done(&is);
    return same;
}

/* The page's own stands alone, the city's with its CA. */
static bool is_own(const struct buf *pem)
{
    struct wire_certs all = {.n = 0};
    bool own = wire_certs_pem(&all, pem->p, pem->n, NULL) == ST_OK && all.n == 1;
    wire_certs_done(&all);
    return own;
}

static enum st use_city(const struct web *w, const char *cert, const struct buf *pem, struct err *e)
{
    char own[DROP_PATH_BYTES];
    struct buf is;
    ERR_TRY(path_of(w, OWN, own, e));
    buf_init(&is, STORE_PAGE_BYTES);
    enum st st = ST_OK;
    if (wire_file_get(cert, &is, NULL) == ST_OK && is_own(&is))
        st = wire_file_put(own, is.p, is.n, 0644, true, e);
    buf_done(&is);
    return st == ST_OK ? wire_file_put(cert, pem->p, pem->n, 0644, true, e) : st;
}

/* Back to it, should the city's be in use. */
static void use_own(const struct web *w, const char *cert)
{
    char own[DROP_PATH_BYTES];
    struct buf is, was;
    buf_init(&is, STORE_PAGE_BYTES);
    buf_init(&was, STORE_PAGE_BYTES);
    if (wire_file_get(cert, &is, NULL) == ST_OK && !is_own(&is)) {
        if (path_of(w, OWN, own, NULL) != ST_OK || wire_file_get(own, &was, NULL) != ST_OK ||
            wire_file_put(cert, was.p, was.n, 0644, true, NULL) != ST_OK)
            (void)unlink(cert); /* then it is made anew */
    }
    buf_done(&is);
    buf_done(&was);
}

/* Whose answer was of no use asks again, but more and more seldom. served: nothing is wanted. */
static bool may_ask(struct web_door *d, bool answered, bool served, struct mono now)
{
    if (served) {
        d->vouched_pause_ms = 0;
    } else if (answered) {
        int64_t pause_ms = d->vouched_pause_ms > 0 ? 2 * d->vouched_pause_ms : PAUSE_MS;
        d->vouched_pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
        d->vouched_again.ms = now.ms + d->vouched_pause_ms;
    }
    return d->vouched_pause_ms == 0 || now.ms >= d->vouched_again.ms;
}

void web_vouched_forget(const struct web *w)
{
    static const char *const left[] = {STORE_PAGE_ASKED, STORE_PAGE_GIVEN};
    char path[DROP_PATH_BYTES];
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (path_of(w, left[i], path, NULL) == ST_OK)
            (void)unlink(path);
}

bool web_vouched_ready(struct web *w, const char *cert, const char *key, bool known)
{
    struct names *x = malloc(sizeof *x);
    struct wire_cert c = {.to_ms = 0};
    struct buf pem;
    struct err e = {.text = ""};
    if (!x || !w->site.id || access(key, R_OK) != 0) {
        free(x);
        return false;
    }
    buf_init(&pem, STORE_PAGE_BYTES);
    names_of(w, x);
    bool answered = take(w, x, key);
    /* held: the city gave one that is good; another is no help when it cannot be put to use */
    bool held = x->fits && read_good(w, x, key, known, &pem, &c, &e) == ST_OK, good = held;
    if (held && !same_file(cert, &pem)) {
        good = use_city(w, cert, &pem, &e) == ST_OK;
        web_trouble(w, WEB_TROUBLE_USE, good ? NULL : e.text);
    }
    if (!good)
        use_own(w, cert);
    int64_t now_ms = clk_now(w->clk).utc_ms, renew_ms = held ? renew_at(&c) : 0;
    w->door->vouched_due_ms = !held ? INT64_MAX : now_ms < renew_ms ? renew_ms : c.to_ms;
    bool may = may_ask(w->door, answered, held && now_ms < renew_ms, clk_mono(w->clk));
    if (known && x->fits && x->needs && may && now_ms >= renew_ms)
        web_trouble(w, WEB_TROUBLE_ASK, ask(w, x, key, &e) == ST_OK ? NULL : e.text);
    buf_done(&pem);
    free(x);
    return good;
}

bool web_vouched_waits(const struct web *w)
{
    char path[DROP_PATH_BYTES];
    struct clk_time now = clk_now(w->clk);
    if (now.grade != CLK_UNKNOWN && now.utc_ms >= w->door->vouched_due_ms)
        return true;
    return path_of(w, STORE_PAGE_GIVEN, path, NULL) == ST_OK && access(path, F_OK) == 0;
}

/* ---- telling which ---- */

/* Of what was told before and of what is now: told again after a kill it is sealed once. */
static void id_of(const char *said, const char *hex, uint8_t hash[WIRE_HASH_BYTES])
{
    char both[2 * SAID_BYTES];
    int n = snprintf(both, sizeof both, "%s%s", said, hex);
    wire_sha256(both, (size_t)n, hash);
}

/* In the chain a citizen or a technician finds the fingerprint that a phone shows. Told before it
 * is noted as told: what a kill leaves between the two is told twice, and sealed once. */
void web_certificate_tell(struct web *w, const char *why, bool lost)
{
    const char *store = store_path(w->store);
    char hex[2 * WIRE_HASH_BYTES + 1], said[SAID_BYTES] = "", ends[CLK_TEXT_BYTES];
    uint8_t id[WIRE_HASH_BYTES];
    char print[WEB_PRINT_TEXT], is[200], more[100];
    struct wire_cert c;
    struct buf all, b;
    struct err e = {.text = ""};
    buf_init(&all, STORE_PAGE_BYTES);
    buf_init(&b, sizeof said);
    enum st st = web_tls_read(&w->door->cfg, store, &c, &all, &e);
    if (st == ST_OK) {
        wire_hex(c.sha256, sizeof c.sha256, hex);
        (void)!web_kept_read(store, SAID, said, sizeof said, NULL);
    }
    if (st == ST_OK && strncmp(said, hex, strlen(hex)) != 0) {
        web_print(c.sha256, print);
        (void)snprintf(is, sizeof is, "%s until %s, SHA-256 %s",
                       w->door->cfg.cert ? "that of web.cert"
                       : is_own(&all)    ? "one of its own"
                                         : "one of the city's CA",
                       clk_text(c.to_ms, ends), print);
        (void)snprintf(more, sizeof more, "%s%s%.70s%s", lost ? ", with another key" : "",
                       why[0] ? " (" : "", why, why[0] ? ")" : "");
        const struct web_change x = {.code = "page.renewed",
                                     .whom = "",
                                     .is = is,
                                     .by = WEB_GATEWAY,
                                     .from = "",
                                     .more = more,
                                     .severity = lost ? STORE_WARNING : STORE_INFO,
                                     .now = clk_now(w->clk)};
        size_t n = strlen(said) > strlen(hex) ? strtoul(said + strlen(hex), NULL, 10) : 0;
        id_of(said, hex, id);
        st = web_change_tell(store, &x, id, &e);
        if (st == ST_OK)
            st = buf_printf(&b, "%s %zu\n", hex, n + 1);
        if (st == ST_OK)
            st = web_kept_write(store, SAID, &b, &e);
    }
    if (st != ST_OK)
        (void)err_wrap(&e, st, "which one is in use cannot be told");
    web_trouble(w, WEB_TROUBLE_TELL, st == ST_OK ? NULL : e.text);
    buf_done(&all);
    buf_done(&b);
}
