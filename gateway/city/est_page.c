/* The certificate of a gateway's page (decision 0044): with the gateway's certificate of enrolment,
 * under a label of its own (RFC 7030 3.2.2). Of the request its key counts, and its names as far as
 * they are the gateway's to have: its id, the same in the local network, and addresses that are
 * good in one network alone. */
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include "gateway/city/est_int.h"

#define NAMES_MAX 32

/* 10/8, 172.16/12, 192.168/16, 169.254/16, 127/8, fc00::/7, ::1: nobody's in the internet. */
static bool is_private(const uint8_t *a, size_t n)
{
    static const uint8_t loopback[16] = {[15] = 1};

    if (n == 4)
        return a[0] == 10 || a[0] == 127 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
               (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254);
    return n == 16 && ((a[0] & 0xfe) == 0xfc || memcmp(a, loopback, sizeof loopback) == 0);
}

static enum st add(char san[CITY_SAN_BYTES], const char *kind, const char *text, struct err *e)
{
    size_t at = strlen(san);
    int n = snprintf(san + at, CITY_SAN_BYTES - at, "%s%s:%s", at > 0 ? "," : "", kind, text);

    return n > 0 && (size_t)n < CITY_SAN_BYTES - at
               ? ST_OK
               : err_set(e, ST_BAD, "the request asks for more names than a certificate takes");
}

static enum st add_address(const struct city_ca *ca, const ASN1_OCTET_STRING *ip,
                           char san[CITY_SAN_BYTES], struct err *e)
{
    size_t n = (size_t)ASN1_STRING_length(ip);
    const uint8_t *a = ASN1_STRING_get0_data(ip);
    char text[INET6_ADDRSTRLEN] = "an address";

    if (n == 4 || n == 16)
        (void)inet_ntop(n == 4 ? AF_INET : AF_INET6, a, text, sizeof text);
    if (!is_private(a, n))
        return err_set(e, ST_REFUSED, "%s is no address of a private network", text);
    if (city_ca_is_own(ca, a, n))
        return err_set(e, ST_REFUSED, "%s is the city's own address", text);
    return add(san, "IP", text, e);
}

/* The id alone, or the id in the local network. */
static enum st add_name(const ASN1_STRING *name, const char *gw, char san[CITY_SAN_BYTES],
                        struct err *e)
{
    char local[80], text[80] = "";
    size_t n = (size_t)ASN1_STRING_length(name);

    (void)snprintf(local, sizeof local, "%s.local", gw);
    if (n < sizeof text)
        memcpy(text, ASN1_STRING_get0_data(name), n);
    if (strlen(text) == n && (strcmp(text, gw) == 0 || strcmp(text, local) == 0))
        return add(san, "DNS", text, e);
    return err_set(e, ST_REFUSED, "a page of %s has the names %s and %s.local, and no other", gw,
                   gw, gw);
}

enum st city_csr_names(const struct city_ca *ca, const struct city_csr *csr, const char *gw,
                       char san[CITY_SAN_BYTES], struct err *e)
{
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(csr->req);
    GENERAL_NAMES *names =
        all != NULL ? X509V3_get_d2i(all, NID_subject_alt_name, NULL, NULL) : NULL;
    int n = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
    enum st st = ST_OK;

    san[0] = '\0';
    if (n < 1 || n > NAMES_MAX)
        st = err_set(e, ST_BAD, "the request must ask for 1 to %d names", NAMES_MAX);
    for (int i = 0; i < n && st == ST_OK; i++) {
        const GENERAL_NAME *x = sk_GENERAL_NAME_value(names, i);
        if (x->type == GEN_DNS)
            st = add_name(x->d.dNSName, gw, san, e);
        else if (x->type == GEN_IPADD)
            st = add_address(ca, x->d.iPAddress, san, e);
        else
            st = err_set(e, ST_REFUSED, "a page has DNS names and addresses, and no others");
    }
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return st;
}

/* Inside a transaction. */
static enum city_refusal sign(struct city_est *s, const struct city_peer *p,
                              const struct city_csr *csr, struct city_cert *c, struct err *e)
{
    int64_t now_ms = clk_now(clk_real()).utc_ms, other;
    char san[CITY_SAN_BYTES], local[80];
    enum city_refusal r = city_est_look(&s->db, p, now_ms, e);

    if (r != CITY_R_NONE)
        return r;
    enum st st = city_csr_names(s->ca, csr, p->gw, san, e);
    if (st != ST_OK)
        return st == ST_REFUSED ? CITY_R_NAME : CITY_R_BAD;
    (void)snprintf(local, sizeof local, "%.64s.local", p->gw);
    st = city_gateway_find(&s->db, local, &other, NULL);
    if (st == ST_OK) {
        (void)err_set(e, ST_REFUSED, "%s is the id of another gateway", local);
        return CITY_R_NAME;
    }
    if (st != ST_NOT_FOUND ||
        city_ca_issue_page(s->ca, csr, p->gw, san, now_ms, s->page_life_ms, c, e) != ST_OK ||
        city_est_keep(&s->db, p->gw, c, NULL, now_ms, e) != ST_OK)
        return CITY_R_BUSY;
    return CITY_R_NONE;
}

/* Under the lock. */
static enum city_refusal page(struct city_est *s, const struct http_request *q,
                              const struct city_peer *p, struct city_cert *c, struct err *e)
{
    struct city_csr csr;

    if (city_csr_open(&csr, q->body, q->body_n, p->gw, e) != ST_OK)
        return CITY_R_BAD;
    enum city_refusal r =
        city_db_exec(&s->db, "BEGIN IMMEDIATE", e) == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
    if (r == CITY_R_NONE)
        r = city_est_commit(&s->db, sign(s, p, &csr, c, e), e);
    city_csr_done(&csr);
    return r;
}

void city_est_page(struct city_est *s, const struct http_request *q, struct http_answer *a)
{
    struct city_cert c = {.n = 0};
    struct city_peer p;
    struct err e = {.text = ""};
    enum city_refusal r = s == NULL                ? CITY_R_OFF
                          : s->page_life_ms == 0   ? CITY_R_NO_PAGES
                          : !city_est_is_pkcs10(q) ? CITY_R_TYPE
                                                   : city_est_peer(s, q, &p, &e);

    if (r == CITY_R_NONE) {
        pthread_mutex_lock(&s->lock);
        r = page(s, q, &p, &c, &e);
        pthread_mutex_unlock(&s->lock);
    }
    if (r == CITY_R_NONE)
        r = city_est_certs(s, a, &c, &e);
    if (r != CITY_R_NONE)
        city_est_refuse(a, r, e.text);
}
