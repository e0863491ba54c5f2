/* The city's keys for a person: what counts now, and notices that come in a file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

#define FILE_BYTES (WIRE_NOTICES_MAX * WIRE_NOTICE_MAX)
#define TEXT_BYTES 320

static const char *end_text(int64_t until_ms, char out[CLK_TEXT_BYTES])
{
    return until_ms == INT64_MAX ? "no end is known" : clk_text(until_ms, out);
}

enum st uplinks_trust_open(struct uplinks *us, const char *store_path, struct err *e)
{
    enum st worst = ST_OK;
    for (size_t i = 0; i < us->n; i++) {
        struct err why = {.text = ""};
        enum st st = uplink_trust_load(&us->v[i].t.trust, store_path, us->v[i].id, &why);
        if (st != ST_OK && worst == ST_OK) {
            worst = err_set(e, st, "%s", why.text);
        }
    }
    return worst;
}

void uplinks_trust_say(const struct uplinks *us, size_t i, void (*say)(const char *text))
{
    const struct uplink *u = &us->v[i];
    const struct uplink_trust *t = &u->t.trust;
    char text[TEXT_BYTES], hex[WIRE_ID_TEXT], until[CLK_TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "%s: notice %" PRIu64 " counts last", u->id, t->n);
    say(t->n > 0 ? text : u->id);
    for (size_t k = 0; k < t->nkeys; k++) {
        wire_hex(wire_pub_kid(t->keys[k].pub), WIRE_ID_BYTES, hex);
        (void)snprintf(text, sizeof(text), "  receipt key %s from %s, until: %s", hex,
                       k < t->files ? "receipt_keys" : "a notice",
                       end_text(t->keys[k].until_ms, until));
        say(text);
    }
    (void)snprintf(text, sizeof(text), "  CA from %s, until: %s", u->ca,
                   end_text(t->ca_until_ms, until));
    say(text);
    for (size_t k = 0; k < t->ncas; k++) {
        (void)snprintf(text, sizeof(text), "  CA from notice %" PRIu64 ", until: %s",
                       t->cas[k].notice, end_text(t->cas[k].until_ms, until));
        say(text);
    }
}

struct telling {
    const char *id;
    void (*say)(const char *text);
};

static void tell(void *ctx, const struct wire_notice *x)
{
    const struct telling *t = ctx;
    char text[TEXT_BYTES], from[CLK_TEXT_BYTES], until[CLK_TEXT_BYTES], hex[WIRE_ID_TEXT];
    struct wire_pub *pub = NULL;
    struct wire_cert cert;
    (void)clk_text(x->from_ms, from);
    (void)clk_text(x->until_ms, until);
    if (x->key.n > 0 && wire_pub_parse(&pub, x->key.p, x->key.n, NULL) == ST_OK) {
        wire_hex(wire_pub_kid(pub), WIRE_ID_BYTES, hex);
        (void)snprintf(text, sizeof(text),
                       "%s: notice %" PRIu64
                       ": the next receipt key is %s, in use from %s; the one "
                       "before counts until %s",
                       t->id, x->n, hex, from, until);
        t->say(text);
    }
    wire_pub_free(pub);
    for (size_t i = 0; i < x->ncas; i++) {
        if (wire_cert_read(&cert, x->ca[i], NULL) != ST_OK) {
            continue;
        }
        wire_hex(cert.sha256, WIRE_ID_BYTES, hex);
        (void)snprintf(text, sizeof(text),
                       "%s: notice %" PRIu64 ": the next CA is %s, in use from %s; the ones before "
                       "count until %s",
                       t->id, x->n, hex, from, until);
        t->say(text);
    }
}

enum st uplinks_trust_take(struct uplinks *us, size_t i, const char *store_path, const char *file,
                           const struct clk *clk, void (*say)(const char *text),
                           struct uplink_trusted *n, struct err *e)
{
    struct uplink *u = &us->v[i];
    struct telling t = {u->id, say};
    const struct uplink_trust_how how = {
        .by_hand = true, .now_ms = uplink_trust_now(clk), .each = tell, .ctx = &t};
    struct uplink_trust_took took = {.fresh = 0};
    struct buf b;
    *n = (struct uplink_trusted){.fresh = 0};
    buf_init(&b, FILE_BYTES + 1);
    enum st st = wire_file_get(file, &b, e);
    if (st == ST_OK && b.n == 0) {
        st = err_set(e, ST_BAD, "%s: is empty", file);
    }
    if (st == ST_OK) {
        st = uplink_trust_keep(&u->t.trust, store_path, u->id, b.p, b.n, &how, &took, e);
    }
    if (took.fresh > 0) { /* for what asks the city before the gateway runs */
        enum st made = uplink_trust_ca(&u->t.trust, store_path, u->id, u->ca, how.now_ms, u->t.ca,
                                       sizeof(u->t.ca), st == ST_OK ? e : NULL);
        st = st == ST_OK ? made : st;
    }
    buf_done(&b);
    n->fresh = took.fresh;
    n->known = took.known;
    return st;
}
