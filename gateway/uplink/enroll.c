/* fieldpost enroll: from a code on a label to a gateway that the city knows. Each step that is done
 * stays done; the same command again goes on where the last one ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/uplink/enrol_int.h"

#define PATH_BYTES 512
#define PIN_SYMBOLS                                                                                \
    24 /* as the city prints them: the first 115 bits of the hash of its TLS key                   \
        */
#define CODE_SYMBOLS 16

struct run {
    const struct uplink_enroll *q;
    const struct uplink_cfg *u;
    char identity[PATH_BYTES], try[PATH_BYTES], ca[DROP_PATH_BYTES + 128];
    struct uplink_est est;
    struct wire_certs cas;
};

static void say(const struct run *r, const char *what, const char *where)
{
    char text[640];
    (void)snprintf(text, sizeof(text), "%s%s", what, where);
    r->q->say(text);
}

/* ---- which city ---- */

static bool same_url(const char *a, const char *b)
{
    size_t n = uplink_url_base(a);
    return n == uplink_url_base(b) && memcmp(a, b, n) == 0;
}

static enum st find(struct run *r, struct err *e)
{
    const struct uplink_enroll *q = r->q;
    const struct uplink_cfg *v = q->uplinks->v;
    ERR_TRY(q->city ? uplink_url_check(q->city, e) : ST_OK);
    for (size_t i = 0; i < q->uplinks->n; i++) {
        if (q->city ? same_url(v[i].url, q->city) : q->uplinks->n == 1) {
            r->u = &v[i];
        }
    }
    if (!r->u) {
        return err_set(e, ST_BAD,
                       q->city ? "no uplink of the configuration has the url %s: write it "
                                 "under uplinks"
                               : "the configuration has not just one uplink%s: say which "
                                 "with --city URL",
                       q->city ? q->city : "");
    }
    ERR_TRY(uplink_url_check(r->u->url, e));
    r->est = (struct uplink_est){.url = r->u->url, .gw = q->gateway, .stop_fd = -1};
    return uplink_identity_path(r->u->identity, q->beside, r->u->id, r->identity,
                                sizeof(r->identity), e);
}

/* ---- whom to trust ---- */

/* The full pin, as libcurl wants it, of whoever answers, when the label's pin is its beginning. */
static enum st pin_of(const struct run *r, char out[64], struct err *e)
{
    char want[WIRE_CODE_MAX + 1], got[WIRE_CODE_MAX + 1], text[WIRE_CODE_TEXT(PIN_SYMBOLS)];
    struct wire_cert cert;
    struct buf b;
    enum st st = wire_code_read(r->q->pin, PIN_SYMBOLS, want, e);
    if (st != ST_OK) {
        return err_wrap(e, st, "the pin on the label");
    }
    buf_init(&b, 64 * 1024);
    st = http_server_cert(r->u->url, UPLINK_CONNECT_MS, &b, e);
    if (st == ST_OK && buf_put(&b, "", 1) != ST_OK) {
        st = err_set(e, ST_MEMORY, "no memory for a certificate");
    }
    if (st == ST_OK) {
        st = wire_cert_read_pem(&cert, b.p, b.n - 1, e);
    }
    if (st == ST_OK) {
        wire_code_write(cert.spki, PIN_SYMBOLS, text);
        st = wire_code_read(text, PIN_SYMBOLS, got, e);
    }
    if (st == ST_OK && memcmp(want, got, PIN_SYMBOLS) != 0) {
        st = err_set(e, ST_CORRUPT,
                     "%s: whoever answers there is not the city of this label (its pin would be "
                     "%s). Nothing was sent",
                     r->u->url, text);
    }
    b.n = 0;
    if (st == ST_OK && (wire_base64(cert.spki, sizeof(cert.spki), &b) != ST_OK)) {
        st = err_set(e, ST_MEMORY, "no memory for a pin");
    }
    if (st == ST_OK) {
        (void)snprintf(out, 64, "sha256//%.*s", (int)b.n, (const char *)b.p);
    }
    buf_done(&b);
    return st;
}

/* Which of the certificates the city's TLS stands under: the first with which a verified connection
 * comes about. That of the device CA does not, unless the city's TLS is its own. */
static enum st keep_first(struct run *r, const struct wire_certs *certs, struct err *e)
{
    struct buf pem;
    enum st st = ST_NOT_FOUND;
    buf_init(&pem, 16 * 1024);
    for (size_t i = 0; i < certs->n && st != ST_OK; i++) {
        pem.n = 0;
        st = wire_cert_pem(certs->v[i], &pem);
        if (st == ST_OK) {
            st = wire_file_put(r->try, pem.p, pem.n, 0644, true, e);
        }
        if (st == ST_OK) {
            const struct uplink_est s = {
                .url = r->u->url, .gw = r->q->gateway, .ca = r->try, .stop_fd = -1};
            wire_certs_done(&r->cas);
            st = uplink_est_cacerts(&s, &r->cas, e);
        }
    }
    if (st == ST_OK) {
        st = wire_file_put(r->u->ca, pem.p, pem.n, 0644, false, e);
    }
    (void)unlink(r->try);
    buf_done(&pem);
    return st;
}

static enum st trust_pin(struct run *r, struct err *e)
{
    char pin[64];
    struct wire_certs certs = {.n = 0};
    ERR_TRY(pin_of(r, pin, e));
    const struct uplink_est s = {.url = r->u->url, .gw = r->q->gateway, .pin = pin, .stop_fd = -1};
    ERR_TRY(uplink_est_cacerts(&s, &certs, e));
    enum st st = keep_first(r, &certs, e);
    wire_certs_done(&certs);
    return st;
}

/* A CA that was brought along; it is kept once the city has answered under it. */
static enum st trust_file(struct run *r, struct err *e)
{
    struct buf pem;
    struct wire_cert cert;
    buf_init(&pem, 256 * 1024);
    r->est.ca = r->q->ca_file;
    enum st st = wire_file_get(r->q->ca_file, &pem, e);
    if (st == ST_OK && (st = wire_cert_read_pem(&cert, pem.p, pem.n, e)) != ST_OK) {
        err_wrap(e, st, "%s", r->q->ca_file);
    }
    if (st == ST_OK) {
        st = uplink_est_cacerts(&r->est, &r->cas, e);
    }
    if (st == ST_OK) {
        st = wire_file_put(r->u->ca, pem.p, pem.n, 0644, false, e);
    }
    buf_done(&pem);
    return st;
}

static enum st trust(struct run *r, struct err *e)
{
    enum st st;
    bool known = access(r->u->ca, F_OK) == 0;
    if (known) { /* and what the city has named since */
        st = uplink_trust_path(r->q->store_path, r->u->id, UPLINK_CA, r->ca, sizeof(r->ca), e);
        r->est.ca = st == ST_OK && access(r->ca, R_OK) == 0 ? r->ca : r->u->ca;
        return uplink_est_cacerts(&r->est, &r->cas, e);
    }
    if (r->q->ca_file) {
        st = trust_file(r, e);
    } else if (r->q->pin) {
        st = trust_pin(r, e);
    } else {
        return err_set(e, ST_BAD,
                       "%s: the city's CA is not there: give the pin of the label (--pin), or "
                       "the CA itself (--ca FILE)",
                       r->u->ca);
    }
    r->est.ca = r->u->ca;
    if (st == ST_OK) {
        say(r, "the city's CA is now in ", r->u->ca);
    }
    return st;
}

/* ---- the certificate ---- */

static enum st certify(struct run *r, struct wire_cert *cert, struct err *e)
{
    char code[WIRE_CODE_MAX + 1];
    struct wire_certs certs = {.n = 0};
    struct wire_pub *pub = NULL;
    struct buf csr;
    enum st st = wire_code_read(r->q->code, CODE_SYMBOLS, code, e);
    if (st != ST_OK) {
        return err_wrap(e, st, "the claim code");
    }
    buf_init(&csr, 8192);
    st = uplink_identity_request(r->identity, r->q->gateway, &csr, &pub, e);
    if (st == ST_OK) {
        st = uplink_est_enroll(&r->est, &csr, code, &certs, e);
    }
    /* used, by us: what it gave is here, and the steps behind are still to be done */
    if (st == ST_CONFLICT &&
        uplink_identity_read(r->identity, r->q->gateway, cert, NULL) == ST_OK) {
        st = ST_OK;
    } else if (st == ST_OK) {
        st = uplink_identity_put(r->identity, r->q->gateway, pub, &certs, &r->cas, cert, e);
    }
    if (st == ST_OK && certs.n > 0) {
        say(r, "key and certificate are in ", r->identity);
    }
    explicit_bzero(code, sizeof(code));
    wire_certs_done(&certs);
    wire_pub_free(pub);
    buf_done(&csr);
    return st;
}

/* ---- the batch key and the city's receipt keys ---- */

/* The next PEM block behind *at, which moves behind it; empty at the end. */
static struct wire_span next_block(const struct buf *pem, size_t *at)
{
    static const char begin[] = "-----BEGIN PUBLIC KEY-----\n",
                      end[] = "-----END PUBLIC KEY-----\n";
    const uint8_t *p = pem->n > *at ? pem->p + *at : NULL, *stop = NULL;
    if (p) {
        p = memmem(p, pem->n - *at, begin, sizeof(begin) - 1);
    }
    if (p) {
        stop = memmem(p, (size_t)(pem->p + pem->n - p), end, sizeof(end) - 1);
    }
    if (!stop) {
        return (struct wire_span){NULL, 0};
    }
    stop += sizeof(end) - 1;
    *at = (size_t)(stop - pem->p);
    return (struct wire_span){p, (size_t)(stop - p)};
}

static enum st keep_receipt_keys(const struct run *r, const struct buf *pem, struct err *e)
{
    const struct cfg_strings *files = &r->u->receipt_keys;
    size_t at = 0, known = 0;
    for (size_t i = 0; i < files->n; i++) {
        if (access(files->v[i], F_OK) == 0) { /* trusted before, and never overwritten */
            known++;
            continue;
        }
        struct wire_span block = next_block(pem, &at);
        if (block.n == 0) {
            break;
        }
        struct wire_pub *pub = NULL;
        enum st st = wire_file_put(files->v[i], block.p, block.n, 0644, false, e);
        if (st == ST_OK && (st = wire_pub_load(&pub, files->v[i], e)) != ST_OK) {
            (void)unlink(files->v[i]);
        }
        wire_pub_free(pub);
        if (st != ST_OK) {
            return st;
        }
        known++;
        say(r, "the key of the city's receipts is now in ", files->v[i]);
    }
    return known > 0 ? ST_OK
                     : err_set(e, ST_BAD,
                               "the city named no key for its receipts, and none of receipt_keys "
                               "is there");
}

static enum st bind(struct run *r, const struct wire_cert *cert, struct err *e)
{
    struct wire_bind b = {.replaces = r->q->replaces};
    struct buf proof, pem;
    (void)snprintf(b.gw, sizeof(b.gw), "%s", r->q->gateway);
    memcpy(b.cert, cert->sha256, sizeof(b.cert));
    buf_init(&proof, 4096);
    buf_init(&pem, WIRE_EST_MAX);
    r->est.cert = r->identity;
    enum st st = wire_bind_sign(&b, r->q->key, &proof, e);
    if (st == ST_OK) {
        st = uplink_est_bind(&r->est, &proof, &pem, e);
    }
    if (st == ST_OK) {
        say(r, "the city takes the batches of this gateway", "");
        st = keep_receipt_keys(r, &pem, e);
    }
    if (st == ST_OK && r->q->replaces) {
        st = uplink_follow(&r->est, &r->u->receipt_keys, &pem, r->q->store_path, e);
    }
    buf_done(&proof);
    buf_done(&pem);
    return st;
}

/* All that makes it a gateway is done; what fails here is tried again by the same command. */
static enum st restore(const struct run *r, struct err *e)
{
    struct wire_deposit *d = calloc(1, sizeof(*d));
    struct err why = {.text = ""};
    struct buf cose;
    if (!d) {
        return err_set(e, ST_MEMORY, "no memory for a configuration");
    }
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = uplink_restore(&r->est, &cose, d, &why);
    if (st == ST_OK || st == ST_NOT_FOUND) {
        st = r->q->restore(r->q->ctx, st == ST_OK ? d : NULL, why.text, e);
    } else {
        err_set(e, st, "this box is enrolled, but the configuration did not come back: %s",
                why.text);
    }
    buf_done(&cose);
    free(d);
    return st;
}

enum st uplink_enroll(const struct uplink_enroll *q, struct err *e)
{
    struct run r = {.q = q};
    struct wire_cert cert;
    ERR_TRY(find(&r, e));
    if ((size_t)snprintf(r.try, sizeof(r.try), "%s.try", r.u->ca) >= sizeof(r.try)) {
        return err_set(e, ST_BAD, "%s: the path is too long", r.u->ca);
    }
    if (q->replaces && access(q->store_path, F_OK) == 0) {
        return err_set(
            e, ST_CONFLICT,
            "%s: this box has a store already, with a chain of its own; one that replaces "
            "another begins without: move it away",
            q->store_path);
    }
    enum st st = trust(&r, e);
    if (st == ST_OK && q->code) {
        st = certify(&r, &cert, e);
    } else if (st == ST_OK) {
        st = uplink_identity_read(r.identity, q->gateway, &cert, e);
        if (st == ST_NOT_FOUND) {
            err_set(e, st, "this gateway has no certificate yet: give the claim code (--code)");
        }
    }
    if (st == ST_OK) {
        st = bind(&r, &cert, e);
    }
    if (st == ST_OK && q->replaces && q->restore) {
        st = restore(&r, e);
    }
    wire_certs_done(&r.cas);
    return st;
}

enum st uplink_identity_path(const char *named, const char *beside, const char *id, char *out,
                             size_t size, struct err *e)
{
    const char *slash = strrchr(beside, '/');
    int n = named ? snprintf(out, size, "%s", named)
                  : snprintf(out, size, "%.*s%s.pem", slash ? (int)(slash - beside) + 1 : 0, beside,
                             id);
    return n > 0 && (size_t)n < size ? ST_OK
                                     : err_set(e, ST_BAD, "%s: the path is too long", beside);
}
