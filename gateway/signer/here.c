/* Keys in this process. */
#include <stdlib.h>
#include <string.h>

#include "gateway/signer/signer_int.h"

struct here {
    struct signer s;
    char *key, *next; /* as configured */
    struct signer_ring ring;
};

static void show(struct here *h)
{
    h->s.now = h->ring.now;
    h->s.next = h->ring.next;
    memcpy(h->s.fault, h->ring.fault, sizeof h->s.fault);
}

static enum st ready(struct signer *s, struct err *e)
{
    (void)s;
    (void)e;
    return ST_OK;
}

static enum st look(struct signer *s, struct err *e)
{
    struct here *h = (struct here *)s;
    struct signer_ring again;
    if (h->ring.next || h->next)
        return ST_OK;
    ERR_TRY(signer_ring_open(&again, h->key, NULL, e));
    /* the key in force stays the one that it is */
    wire_key_free(again.files[0]);
    signer_token_close(again.tokens[0]);
    h->ring.files[1] = again.files[1];
    h->ring.next = again.next;
    memcpy(h->ring.fault, again.fault, sizeof h->ring.fault);
    show(h);
    return ST_OK;
}

static enum st promote(struct signer *s, struct err *e)
{
    struct here *h = (struct here *)s;
    struct signer_ring *r = &h->ring;
    if (!r->next || h->next)
        return ST_OK;
    ERR_TRY(signer_file_promote(h->key, wire_pub_kid(r->now->pub), e));
    wire_key_free(r->files[0]);
    r->files[0] = r->files[1];
    r->files[1] = NULL;
    r->now = r->next;
    r->next = NULL;
    show(h);
    return ST_OK;
}

static void close_here(struct signer *s)
{
    struct here *h = (struct here *)s;
    signer_ring_close(&h->ring);
    free(h->key);
    free(h->next);
    free(h);
}

enum st signer_here(struct signer **out, const char *key, const char *next, struct err *e)
{
    struct here *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(e, ST_MEMORY, "signer: no memory");
    h->s.ready = ready;
    h->s.look = look;
    h->s.promote = promote;
    h->s.close = close_here;
    h->key = strdup(key);
    h->next = next ? strdup(next) : NULL;
    enum st st = h->key && !h->next == !next ? signer_ring_open(&h->ring, key, next, e)
                                             : err_set(e, ST_MEMORY, "signer: no memory");
    if (st != ST_OK) {
        close_here(&h->s);
        return st;
    }
    show(h);
    *out = &h->s;
    return ST_OK;
}

/* ---- what both kinds share ---- */

void signer_close(struct signer *s)
{
    if (s)
        s->close(s);
}

enum st signer_ready(struct signer *s, struct err *e)
{
    return s->ready(s, e);
}

unsigned signer_ends(const struct signer *s, const char **how)
{
    *how = s->how;
    return s->ends;
}

const char *signer_lacks(const struct signer *s)
{
    return s->lacks;
}

const struct wire_signer *signer_now(const struct signer *s)
{
    return s->now;
}

const struct wire_signer *signer_next(const struct signer *s, const char **fault)
{
    *fault = s->fault[0] ? s->fault : NULL;
    return s->next;
}

enum st signer_look(struct signer *s, struct err *e)
{
    return s->look(s, e);
}

enum st signer_promote(struct signer *s, struct err *e)
{
    return s->promote(s, e);
}
