/* Whom of the city an uplink trusts: the administrator's files first, then what the city's notices
 * say, each signed by the receipt key that the one before it left (decision 0023). Pure: bytes in,
 * verdict out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/uplink/trust_int.h"

#define NO_END INT64_MAX

enum st uplink_trust_init(struct uplink_trust *t, size_t files, struct err *e)
{
    *t = (struct uplink_trust){.ca_until_ms = NO_END};
    buf_init(&t->notices, (size_t)WIRE_NOTICES_MAX * WIRE_NOTICE_MAX);
    t->keys = calloc(files + WIRE_NOTICES_MAX, sizeof(*t->keys));
    return t->keys ? ST_OK : err_set(e, ST_MEMORY, "no memory for the city's keys");
}

void uplink_trust_done(struct uplink_trust *t)
{
    for (size_t i = 0; i < t->nkeys; i++) {
        wire_pub_free(t->keys[i].pub);
    }
    free(t->keys);
    buf_done(&t->notices);
    *t = (struct uplink_trust){.n = 0};
}

void uplink_trust_forget(struct uplink_trust *t)
{
    while (t->nkeys > t->files) {
        wire_pub_free(t->keys[--t->nkeys].pub);
    }
    for (size_t i = 0; i < t->nkeys; i++) {
        t->keys[i].until_ms = NO_END;
    }
    t->n = t->first = 0;
    t->ncas = 0;
    t->ca_until_ms = NO_END;
    t->notices.n = 0;
}

/* ---- one notice ------------------------------------------------------------------------------ */

enum st uplink_signer_of(const struct wire_cose *cose, const struct uplink_key *keys, size_t nkeys,
                         int64_t at_ms, size_t *i, struct err *e)
{
    for (*i = 0; *i < nkeys; (*i)++) {
        enum st st = uplink_key_counts(&keys[*i], at_ms)
                         ? wire_cose_verify(cose, keys[*i].pub, NULL)
                         : ST_CORRUPT;
        if (st == ST_MEMORY) {
            return err_set(e, st,
                           "no memory to check a signature of the city: it is checked again; see "
                           "what takes the memory of this machine");
        }
        if (st == ST_OK) {
            return ST_OK;
        }
    }
    return ST_CORRUPT;
}

static bool has_kid(const struct uplink_trust *t, const uint8_t kid[WIRE_ID_BYTES])
{
    for (size_t i = 0; i < t->nkeys; i++) {
        if (memcmp(wire_pub_kid(t->keys[i].pub), kid, WIRE_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* The kept notice of that number. */
static bool kept(const struct uplink_trust *t, uint64_t n, struct wire_notice *x)
{
    struct wire_span rest = {t->notices.p, t->notices.n}, item = {NULL, 0};
    struct wire_cose cose;
    while (wire_notice_next(&rest, &item, NULL) == ST_OK) {
        if (wire_notice_open(x, &cose, item.p, item.n, NULL) == ST_OK && x->n == n) {
            return true;
        }
    }
    return false;
}

/* Whether it is one that counts already, or that came before those; if not, why it never can. */
static enum st known(const struct uplink_trust *t, const struct wire_notice *x, bool *is,
                     struct err *e)
{
    struct wire_notice ours;
    *is = t->n > 0 && x->n <= t->n;
    if (!*is || x->n < t->first) {
        return ST_OK;
    }
    if (!kept(t, x->n, &ours) || memcmp(ours.hash, x->hash, sizeof(ours.hash)) != 0) {
        return err_set(e, ST_CORRUPT,
                       "notice %" PRIu64
                       " is another than the one of this number that counts here: "
                       "it is refused; ask the city which is its own",
                       x->n);
    }
    return ST_OK;
}

static size_t find_key(const struct uplink_trust *t, const struct wire_pub *pub)
{
    struct wire_span a = wire_pub_der(pub), b;
    size_t i = 0;
    for (; i < t->nkeys; i++) {
        b = wire_pub_der(t->keys[i].pub);
        if (a.n == b.n && memcmp(a.p, b.p, a.n) == 0) {
            break;
        }
    }
    return i;
}

/* Who must have signed it, and that it goes on where the last one ended. *signer: nkeys with
 * ST_NOT_FOUND, before the first notice: none of the files' keys, a later one may be. */
static enum st check(const struct uplink_trust *t, const struct wire_notice *x,
                     const struct wire_cose *cose, size_t *signer, struct err *e)
{
    char hex[WIRE_ID_TEXT];
    wire_hex(x->kid, WIRE_ID_BYTES, hex);
    if (uplink_signer_of(cose, t->keys, t->nkeys, INT64_MIN, signer, e) == ST_MEMORY) {
        return ST_MEMORY;
    }
    if (t->n > 0 && (x->n != t->n + 1 || memcmp(x->prev, t->last, sizeof(t->last)) != 0)) {
        return err_set(e, ST_CORRUPT,
                       "notice %" PRIu64 " does not follow notice %" PRIu64
                       ", the last that counts here: bring all of them",
                       x->n, t->n);
    }
    if (*signer == t->nkeys && has_kid(t, x->kid)) {
        return err_set(e, ST_CORRUPT,
                       "notice %" PRIu64 " is forged or damaged: it is not signed by the key %s "
                       "that it names",
                       x->n, hex);
    }
    if (*signer == t->nkeys) {
        return err_set(e, t->n > 0 ? ST_CORRUPT : ST_NOT_FOUND,
                       "notice %" PRIu64 " is signed by the key %s, which this uplink does not "
                       "trust: it is another city's, or notices before it are missing",
                       x->n, hex);
    }
    if (t->n > 0 && *signer != t->newest) {
        return err_set(e, ST_CORRUPT,
                       "notice %" PRIu64 " is signed by the key %s, which the city has replaced: "
                       "it is refused",
                       x->n, hex);
    }
    return ST_OK;
}

static void apply_key(struct uplink_trust *t, struct wire_pub *next, size_t signer,
                      int64_t until_ms)
{
    size_t i = find_key(t, next);
    if (i < t->nkeys) { /* the administrator has it, too */
        wire_pub_free(next);
    } else {
        t->keys[t->nkeys++] = (struct uplink_key){next, NO_END};
    }
    t->keys[signer].until_ms = until_ms;
    t->newest = i;
}

static enum st apply(struct uplink_trust *t, const struct wire_notice *x, struct wire_span bytes,
                     size_t signer, struct err *e)
{
    struct wire_pub *next = NULL;
    ERR_TRY(x->key.n > 0 ? wire_pub_parse(&next, x->key.p, x->key.n, e) : ST_OK);
    size_t i = next ? find_key(t, next) : t->nkeys;
    enum st st = ST_OK;
    if (next && (i == signer || (i < t->nkeys && t->keys[i].until_ms != NO_END))) {
        st = err_set(e, ST_CORRUPT,
                     "notice %" PRIu64 " names a receipt key that was replaced, or signs it: it "
                     "is refused",
                     x->n);
    } else if (t->n - t->first + 1 >= WIRE_NOTICES_MAX && t->n > 0) {
        st = err_set(e, ST_FULL,
                     "more than %d notices count here: write the city's keys of now into "
                     "receipt_keys and ca",
                     WIRE_NOTICES_MAX);
    } else if (buf_put(&t->notices, bytes.p, bytes.n) != ST_OK) {
        st = err_set(e, ST_MEMORY, "no memory for the city's notices");
    }
    if (st != ST_OK) {
        wire_pub_free(next);
        return st;
    }
    t->newest = signer;
    if (next) {
        apply_key(t, next, signer, x->until_ms);
    }
    if (x->ncas > 0) {
        t->ca_until_ms = x->until_ms < t->ca_until_ms ? x->until_ms : t->ca_until_ms;
        for (size_t k = 0; k < t->ncas; k++) {
            int64_t *until_ms = &t->cas[k].until_ms;
            *until_ms = x->until_ms < *until_ms ? x->until_ms : *until_ms;
        }
        t->cas[t->ncas++] = (struct uplink_ca){x->n, NO_END};
    }
    t->first = t->n > 0 ? t->first : x->n;
    t->n = x->n;
    memcpy(t->last, x->hash, sizeof(t->last));
    return ST_OK;
}

/* ---- many ------------------------------------------------------------------------------------ */

static enum st take_one(struct uplink_trust *t, struct wire_span item,
                        const struct uplink_trust_how *how, struct uplink_trust_took *took,
                        struct err *e)
{
    struct wire_notice x;
    struct wire_cose cose;
    size_t signer = 0;
    bool is = false;
    ERR_TRY(wire_notice_open(&x, &cose, item.p, item.n, e));
    ERR_TRY(known(t, &x, &is, e));
    if (is) {
        took->known++;
        return ST_OK;
    }
    ERR_TRY(check(t, &x, &cose, &signer, e));
    /* What ends the key that signs it, and has ended it, is worth no more than that key: whoever
     * found an old key must not get at gateways through the network. */
    if (!how->by_hand && x.key.n > 0 && x.until_ms <= how->now_ms) {
        return err_set(e, ST_REFUSED,
                       "the city's receipt key was replaced by notice %" PRIu64
                       " while this gateway "
                       "was offline, and has ended: bring the notices in a file (fieldpost trust "
                       "--file)",
                       x.n);
    }
    ERR_TRY(apply(t, &x, item, signer, e));
    took->fresh++;
    if (how->each) {
        how->each(how->ctx, &x);
    }
    return ST_OK;
}

enum st uplink_trust_take(struct uplink_trust *t, const void *p, size_t n,
                          const struct uplink_trust_how *how, struct uplink_trust_took *took,
                          struct err *e)
{
    struct wire_span rest = {p, n}, item = {NULL, 0};
    struct err why = {.text = ""};
    enum st st = ST_OK;
    *took = (struct uplink_trust_took){.fresh = 0};
    while (st == ST_OK && rest.n > 0) {
        st = wire_notice_next(&rest, &item, &why);
        if (st == ST_OK) {
            st = take_one(t, item, how, took, &why);
        }
        if (st == ST_NOT_FOUND) { /* from before the files' keys */
            took->before++;
            st = ST_OK;
        }
    }
    if (st == ST_OK && took->fresh + took->known == 0 && took->before > 0) {
        st = ST_NOT_FOUND;
    }
    return st == ST_OK ? ST_OK : err_set(e, st, "%s", why.text);
}

/* ---- what counts now ------------------------------------------------------------------------- */

bool uplink_key_counts(const struct uplink_key *k, int64_t at_ms)
{
    return at_ms < k->until_ms;
}

enum st uplink_trust_cas(const struct uplink_trust *t, int64_t now_ms, struct buf *pem,
                         struct err *e)
{
    struct wire_notice x;
    for (size_t i = 0; i < t->ncas; i++) {
        if (now_ms >= t->cas[i].until_ms || !kept(t, t->cas[i].notice, &x)) {
            continue;
        }
        for (size_t k = 0; k < x.ncas; k++) {
            if (wire_cert_pem(x.ca[k], pem) != ST_OK) {
                return err_set(e, ST_FULL, "too many certificates of the city");
            }
        }
    }
    return ST_OK;
}

int64_t uplink_trust_next_end(const struct uplink_trust *t, int64_t now_ms)
{
    int64_t next = t->ca_until_ms > now_ms ? t->ca_until_ms : NO_END;
    for (size_t i = 0; i < t->nkeys; i++) {
        int64_t until_ms = t->keys[i].until_ms;
        next = until_ms > now_ms && until_ms < next ? until_ms : next;
    }
    for (size_t i = 0; i < t->ncas; i++) {
        int64_t until_ms = t->cas[i].until_ms;
        next = until_ms > now_ms && until_ms < next ? until_ms : next;
    }
    return next;
}
