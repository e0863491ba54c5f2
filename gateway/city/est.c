/* Enrolment over Secure Transport (RFC 7030): cacerts, simpleenroll with a claim code as HTTP Basic
 * (3.2.3), simplereenroll with the certificate that ends (3.3.2). One at a time: they are rare, and
 * SQLite has one writer. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/city/est_int.h"

#define ANSWER_MAX (32 * 1024)
#define A_DAY_MS INT64_C(86400000)
#define A_DAYS_CERTS 100 /* of one gateway */

static const struct {
    int status;
    const char *code, *words; /* words NULL: those of the error */
} refusals[] = {
    [CITY_R_BAD] = {400, "bad_request", NULL},
    [CITY_R_OFF] = {404, "enrolment_off", "this city enrols nobody: its configuration has no ca"},
    [CITY_R_WHO] = {401, "unauthorized", "HTTP Basic: the gateway's id and its claim code"},
    [CITY_R_TYPE] = {415, "unsupported_type", "Content-Type: application/pkcs10"},
    [CITY_R_MISTYPED] = {400, "code_mistyped", "the claim code is mistyped: read the label again"},
    [CITY_R_UNKNOWN] = {401, "code_unknown", "there is no such claim code: ask for a new one"},
    [CITY_R_FOREIGN] =
        {403, "code_foreign",
         "this claim code is for another gateway: see gateway.id, or ask for a new one"},
    [CITY_R_EXPIRED] = {403, "code_expired", "this claim code has ended: ask for a new one"},
    [CITY_R_USED] =
        {403, "code_used",
         "this claim code was used before; if it was not you, tell the city: somebody else "
         "has enrolled as this gateway. Ask for a new one"},
    [CITY_R_RATE] = {429, "rate", "too many attempts: wait a little"},
    [CITY_R_NO_CERT] = {401, "unauthorized", "this needs the gateway's TLS certificate"},
    [CITY_R_CERT_UNKNOWN] = {403, "certificate_unknown", NULL},
    [CITY_R_CERT_EXPIRED] = {403, "certificate_expired",
                             "the gateway's certificate is out of its dates: look at its clock, or "
                             "enrol it again with a new claim code"},
    [CITY_R_CERT_REVOKED] =
        {403, "certificate_revoked",
         "the gateway's certificate was taken back: ask the city for a claim code"},
    [CITY_R_GATEWAY] = {403, "wrong_gateway",
                        "the URL, the certificate and the proof must name one gateway"},
    [CITY_R_COSE_TYPE] = {415, "unsupported_type",
                          "Content-Type: application/cose; cose-type=\"cose-sign1\""},
    [CITY_R_CBOR] = {400, "bad_cbor", NULL},
    [CITY_R_SIGNATURE] = {400, "bad_signature", "the proof is not signed by the key that it names"},
    [CITY_R_PROOF] = {403, "wrong_certificate", "the proof is for another TLS certificate"},
    [CITY_R_KEY_EXISTS] =
        {409, "key_exists",
         "this gateway has another key: it names its next key itself, in its chain. "
         "For a new box in its place get a code from fieldpost-city claim "
         "--replaces, and use fieldpost enroll --replaces"},
    [CITY_R_REPLACES] = {409, "replaces",
                         "this code is for a box that replaces another: say so with fieldpost "
                         "enroll --replaces"},
    [CITY_R_NAME] = {403, "wrong_name", NULL},
    [CITY_R_NO_PAGES] =
        {404, "pages_off",
         "this city signs nothing for pages: ca.page_life is 0 in its configuration"},
    [CITY_R_BUSY] = {503, "unavailable", NULL},
};
static const enum city_refusal of_claim[] = {
    [CITY_CLAIM_GOOD] = CITY_R_NONE,        [CITY_CLAIM_MISTYPED] = CITY_R_MISTYPED,
    [CITY_CLAIM_UNKNOWN] = CITY_R_UNKNOWN,  [CITY_CLAIM_FOREIGN] = CITY_R_FOREIGN,
    [CITY_CLAIM_EXPIRED] = CITY_R_EXPIRED,  [CITY_CLAIM_USED] = CITY_R_USED,
    [CITY_CLAIM_UNAVAILABLE] = CITY_R_BUSY,
};

void city_est_refuse(struct http_answer *a, enum city_refusal r, const char *why)
{
    http_problem(a, refusals[r].status, refusals[r].code,
                 refusals[r].words != NULL ? refusals[r].words : why, NULL, NULL);
    if (refusals[r].status == 401 && r != CITY_R_NO_CERT)
        http_answer_header(a, "WWW-Authenticate", "Basic realm=\"claim code\"");
    if (r == CITY_R_RATE || r == CITY_R_BUSY)
        http_answer_header(a, "Retry-After", "60");
}

/* ---- open ------------------------------------------------------------------------------------ */

enum st city_est_open(struct city_est **out, const struct city_cfg *cfg, struct err *e)
{
    *out = NULL;
    if (!city_enrols(cfg))
        return ST_OK;
    struct city_est *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(e, ST_MEMORY, "no memory for enrolment");
    pthread_mutex_init(&s->lock, NULL);
    s->life_ms = cfg->ca.life_ms;
    s->page_life_ms = cfg->ca.page_life_ms;
    enum st st = city_ca_open(&s->ca, cfg, e);
    if (st == ST_OK)
        st = city_guesses_init(&s->guesses, e);
    if (st == ST_OK)
        st = city_db_open(&s->db, cfg->db, CITY_DB_WRITE, e);
    if (st != ST_OK) {
        city_est_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void city_est_close(struct city_est *s)
{
    if (s == NULL)
        return;
    city_db_close(&s->db);
    city_ca_close(s->ca);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- answers --------------------------------------------------------------------------------- */

enum city_refusal city_est_certs(const struct city_est *s, struct http_answer *a,
                                 const struct city_cert *c, struct err *e)
{
    buf_done(&a->body);
    buf_init(&a->body, ANSWER_MAX);
    if (city_ca_answer(s->ca, c != NULL ? c->der : NULL, c != NULL ? c->n : 0, &a->body, e) !=
        ST_OK)
        return CITY_R_BUSY;
    a->status = 200;
    a->content_type =
        c != NULL ? "application/pkcs7-mime; smime-type=certs-only" : "application/pkcs7-mime";
    http_answer_header(a, "Content-Transfer-Encoding", "base64");
    return CITY_R_NONE;
}

void city_est_cacerts(struct city_est *s, struct http_answer *a)
{
    struct err e = {.text = ""};
    enum city_refusal r = s == NULL ? CITY_R_OFF : city_est_certs(s, a, NULL, &e);

    if (r != CITY_R_NONE)
        city_est_refuse(a, r, e.text);
}

/* ---- who asks ---------------------------------------------------------------------------------
 */

static int base64_value(char c)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(all, c) : NULL;
    return at != NULL ? (int)(at - all) : -1;
}

/* "Basic BASE64(gw:code)" (RFC 7617); false when it is none. */
static bool basic(const char *header, char text[160], const char **code)
{
    unsigned bits = 0, have = 0;
    size_t n = 0;

    if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
        return false;
    for (header += 6; base64_value(*header) >= 0; header++) {
        bits = bits << 6 | (unsigned)base64_value(*header);
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (n == 159)
                return false;
            text[n++] = (char)(bits >> have & 0xff);
        }
    }
    text[n] = '\0';
    header += strspn(header, "=");
    char *colon = strchr(text, ':');
    if (*header != '\0' || colon == NULL || strlen(text) != n)
        return false;
    *colon = '\0';
    *code = colon + 1;
    return true;
}

bool city_est_is_pkcs10(const struct http_request *q)
{
    static const char type[] = "application/pkcs10";
    const char *got = http_header(q, "Content-Type");
    size_t n = sizeof type - 1;

    return got != NULL && strncasecmp(got, type, n) == 0 &&
           (got[n] == '\0' || strchr("; \t", got[n]));
}

/* ---- certificates in the database -------------------------------------------------------------
 */

enum st city_est_keep(struct city_db *d, const char *gw, const struct city_cert *c,
                      const struct city_claim *claim, int64_t now_ms, struct err *e)
{
    ERR_TRY(city_db_run(d, city_db_bind(d, SQL_DEVICE_FORGET, "i", now_ms - 90 * A_DAY_MS), e));
    ERR_TRY(city_db_run(d, city_db_bind(d, SQL_GATEWAY_ADD, "t", gw), e));
    ERR_TRY(city_db_run(
        d,
        city_db_bind(d, SQL_DEVICE_ADD, "tbbbiiii", gw, c->serial, sizeof c->serial, c->spki,
                     sizeof c->spki, c->der, c->n, claim != NULL ? claim->id : (int64_t)0,
                     (int64_t)(claim != NULL && claim->replaces), now_ms, c->until_ms),
        e));
    return claim == NULL ? ST_OK
                         : city_db_run(d,
                                       city_db_bind(d, SQL_CLAIM_USE, "iib", claim->id, now_ms,
                                                    c->spki, sizeof c->spki),
                                       e);
}

/* The certificate that this code gave before. */
static enum st cert_of_claim(struct city_db *d, int64_t claim, struct city_cert *c, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_DEVICE_OF_CLAIM, "i", claim);
    enum st st = city_db_step(d, s, e);
    struct wire_span der = st == ST_OK ? city_db_span(s, 0) : (struct wire_span){NULL, 0};

    if (st == ST_OK && der.n > 0 && der.n <= sizeof c->der) {
        memcpy(c->der, der.p, der.n);
        c->n = der.n;
    }
    sqlite3_reset(s);
    return st == ST_OK && c->n == 0 ? err_set(e, ST_IO, "a stored certificate is damaged") : st;
}

enum city_refusal city_est_known(struct city_db *d, const struct city_peer *p, bool *replaces,
                                 struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_DEVICE_FIND, "b", p->serial, sizeof p->serial);
    enum st st = city_db_step(d, s, e);
    bool revoked = st == ST_OK && sqlite3_column_int(s, 0) != 0;

    *replaces = st == ST_OK && sqlite3_column_int(s, 1) != 0;
    sqlite3_reset(s);
    /* a restored city may not remember one that it signed */
    return st != ST_OK && st != ST_NOT_FOUND ? CITY_R_BUSY
           : revoked                         ? CITY_R_CERT_REVOKED
                                             : CITY_R_NONE;
}

enum city_refusal city_est_look(struct city_db *d, const struct city_peer *p, int64_t now_ms,
                                struct err *e)
{
    bool replaces, many;
    enum city_refusal r = city_est_known(d, p, &replaces, e);

    if (r != CITY_R_NONE)
        return r;
    sqlite3_stmt *s = city_db_bind(d, SQL_DEVICES_SINCE, "ti", p->gw, now_ms - A_DAY_MS);
    enum st st = city_db_step(d, s, e);
    many = st == ST_OK && sqlite3_column_int64(s, 0) >= A_DAYS_CERTS;
    sqlite3_reset(s);
    return st != ST_OK ? CITY_R_BUSY : many ? CITY_R_RATE : CITY_R_NONE;
}

/* ---- simpleenroll -----------------------------------------------------------------------------
 */

/* Inside a transaction. */
static enum city_refusal enroll_in(struct city_est *s, const char *gw, const char *code,
                                   const struct city_csr *csr, struct city_cert *c, struct err *e)
{
    int64_t now_ms = clk_now(clk_real()).utc_ms;
    struct city_claim claim;
    enum city_claim_is is = city_claim_find(&s->db, gw, code, csr->spki, now_ms, &claim, e);

    if (is != CITY_CLAIM_GOOD)
        return of_claim[is];
    if (claim.again)
        return cert_of_claim(&s->db, claim.id, c, e) == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
    enum st st = city_ca_issue(s->ca, csr, gw, now_ms, s->life_ms, c, e);
    if (st == ST_OK)
        st = city_est_keep(&s->db, gw, c, &claim, now_ms, e);
    return st == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
}

enum city_refusal city_est_commit(struct city_db *d, enum city_refusal r, struct err *e)
{
    if (r == CITY_R_NONE && city_db_exec(d, "COMMIT", e) != ST_OK)
        r = CITY_R_BUSY;
    if (r != CITY_R_NONE)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

/* Under the lock. */
static enum city_refusal enroll(struct city_est *s, const struct http_request *q, const char *gw,
                                const char *code, struct city_cert *c, struct err *e)
{
    int64_t now = clk_mono(clk_real()).ms, wait_s;
    struct city_csr csr;

    if (!city_guesses_may(&s->guesses, q->peer, gw, now, &wait_s))
        return CITY_R_RATE;
    if (city_csr_open(&csr, q->body, q->body_n, gw, e) != ST_OK)
        return CITY_R_BAD;
    enum city_refusal r =
        city_db_exec(&s->db, "BEGIN IMMEDIATE", e) == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
    if (r == CITY_R_NONE)
        r = city_est_commit(&s->db, enroll_in(s, gw, code, &csr, c, e), e);
    if (r == CITY_R_UNKNOWN || r == CITY_R_FOREIGN)
        city_guesses_wrong(&s->guesses, q->peer, gw, now);
    city_csr_done(&csr);
    return r;
}

void city_est_enroll(struct city_est *s, const struct http_request *q, struct http_answer *a)
{
    struct city_cert c = {.n = 0};
    struct err e = {.text = ""};
    char who[160];
    const char *code = "";
    enum city_refusal r = s == NULL                                             ? CITY_R_OFF
                          : !city_est_is_pkcs10(q)                              ? CITY_R_TYPE
                          : !basic(http_header(q, "Authorization"), who, &code) ? CITY_R_WHO
                          : !id_is_text(who)                                    ? CITY_R_UNKNOWN
                                                                                : CITY_R_NONE;
    if (r == CITY_R_NONE) {
        pthread_mutex_lock(&s->lock);
        r = enroll(s, q, who, code, &c, &e);
        pthread_mutex_unlock(&s->lock);
    }
    explicit_bzero(who, sizeof who);
    if (r == CITY_R_NONE)
        r = city_est_certs(s, a, &c, &e);
    if (r != CITY_R_NONE)
        city_est_refuse(a, r, e.text);
}

/* ---- simplereenroll ---------------------------------------------------------------------------
 */

enum city_refusal city_est_peer(const struct city_est *s, const struct http_request *q,
                                struct city_peer *p, struct err *e)
{
    size_t n;
    const uint8_t *der = http_peer_cert(q, &n);

    if (der == NULL)
        return CITY_R_NO_CERT;
    enum st st = city_ca_check(s->ca, der, n, clk_now(clk_real()).utc_ms, p, e);
    return st == ST_OK ? CITY_R_NONE : st == ST_TIMEOUT ? CITY_R_CERT_EXPIRED : CITY_R_CERT_UNKNOWN;
}

/* Under the lock. */
static enum city_refusal reenroll(struct city_est *s, const struct http_request *q,
                                  const struct city_peer *p, struct city_cert *c, struct err *e)
{
    int64_t now_ms = clk_now(clk_real()).utc_ms;
    struct city_csr csr;

    if (city_csr_open(&csr, q->body, q->body_n, p->gw, e) != ST_OK)
        return CITY_R_BAD;
    enum city_refusal r =
        city_db_exec(&s->db, "BEGIN IMMEDIATE", e) == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
    if (r == CITY_R_NONE) {
        r = city_est_look(&s->db, p, now_ms, e);
        if (r == CITY_R_NONE &&
            (city_ca_issue(s->ca, &csr, p->gw, now_ms, s->life_ms, c, e) != ST_OK ||
             city_est_keep(&s->db, p->gw, c, NULL, now_ms, e) != ST_OK))
            r = CITY_R_BUSY;
        r = city_est_commit(&s->db, r, e);
    }
    city_csr_done(&csr);
    return r;
}

void city_est_reenroll(struct city_est *s, const struct http_request *q, struct http_answer *a)
{
    struct city_cert c = {.n = 0};
    struct city_peer p;
    struct err e = {.text = ""};
    enum city_refusal r = s == NULL                ? CITY_R_OFF
                          : !city_est_is_pkcs10(q) ? CITY_R_TYPE
                                                   : city_est_peer(s, q, &p, &e);

    if (r == CITY_R_NONE) {
        pthread_mutex_lock(&s->lock);
        r = reenroll(s, q, &p, &c, &e);
        pthread_mutex_unlock(&s->lock);
    }
    if (r == CITY_R_NONE)
        r = city_est_certs(s, a, &c, &e);
    if (r != CITY_R_NONE)
        city_est_refuse(a, r, e.text);
}
