/* The city's side: what it has, what waits, what was given up, and the digest of the last day. */
#include <string.h>

#include "gateway/web/web_int.h"

#define RECEIPTS_MAX 20
#define LIST_MAX 50
#define CONTROLS_MAX 64 /* control batches that are looked through */

static void put_id(struct web_json *j, const char *key, const uint8_t id[WIRE_ID_BYTES])
{
    char hex[WIRE_ID_TEXT];
    wire_hex(id, WIRE_ID_BYTES, hex);
    web_json_text(j, key, hex);
}

/* ---- uplinks -------------------------------------------------------------------------------- */

static void put_unsent(struct web_json *j, struct store_reader *r, const char *uplink)
{
    int64_t batches, readings;
    if (!r || store_unsent(r, uplink, &batches, &readings, NULL) != ST_OK) {
        web_json_text(j, "unsent", NULL);
        return;
    }
    web_json_open(j, "unsent", '{');
    web_json_int(j, "batches", batches);
    web_json_int(j, "readings", readings);
    web_json_close(j, '}');
}

/* Of the day that it is in Viet Nam; of no day while the clock is not set. */
static void put_today(struct web_json *j, struct store_reader *r, const char *uplink,
                      struct clk_time now)
{
    char day[WIRE_DAY_TEXT];
    struct store_since x;
    int64_t from_ms = wire_day_begin_ms(wire_day_of(now.utc_ms));
    if (!r || now.grade == CLK_UNKNOWN || wire_day_text(wire_day_of(now.utc_ms), day) != ST_OK ||
        store_sealed_since(r, uplink, from_ms, &x, NULL) != ST_OK) {
        web_json_text(j, "today", NULL);
        return;
    }
    web_json_open(j, "today", '{');
    web_json_text(j, "day", day);
    web_json_int(j, "from_ms", from_ms);
    web_json_int(j, "batches", x.batches);
    web_json_int(j, "batches_acknowledged", x.acked_batches);
    web_json_int(j, "readings", x.readings);
    web_json_int(j, "readings_acknowledged", x.acked_readings);
    web_json_close(j, '}');
}

static void put_receipt(void *ctx, const struct store_batch *b, int64_t at_ms)
{
    struct web_json *j = ctx;
    web_json_open(j, NULL, '{');
    put_id(j, "chain", b->chain);
    web_json_int(j, "seq", (int64_t)b->seq);
    web_json_int(j, "at_ms", at_ms);
    web_json_text(j, "kind", b->kind == WIRE_CONTROL ? "control" : "data");
    web_json_int(j, "from_ms", b->from_ms);
    web_json_int(j, "to_ms", b->to_ms);
    web_json_int(j, "readings", (int64_t)b->n);
    web_json_close(j, '}');
}

static enum st put_uplinks(struct web_json *j, struct web *w, struct store_reader *r, struct err *e)
{
    struct web_uplink up[WEB_UPLINKS_MAX];
    size_t n = web_uplinks(w, up);
    enum st st = ST_OK;
    web_json_open(j, "uplinks", '[');
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        web_json_open(j, NULL, '{');
        web_put_uplink(j, w, &up[i]);
        put_unsent(j, r, up[i].id);
        put_today(j, r, up[i].id, clk_now(w->clk));
        web_json_open(j, "receipts", '[');
        st = store_each_receipt(r, up[i].id, RECEIPTS_MAX, put_receipt, j, e);
        web_json_close(j, ']');
        web_json_close(j, '}');
    }
    web_json_close(j, ']');
    return st;
}

/* ---- refused -------------------------------------------------------------------------------- */

struct list {
    struct web_json *j;
    int n;
};

static bool put_refusal(void *ctx, const struct store_refusal *f)
{
    struct list *x = ctx;
    web_json_open(x->j, NULL, '{');
    put_id(x->j, "chain", f->chain);
    web_json_int(x->j, "seq", (int64_t)f->seq);
    web_json_int(x->j, "readings", (int64_t)f->n);
    web_json_int(x->j, "at_ms", f->at_ms);
    web_json_text(x->j, "code", f->code);
    web_json_close(x->j, '}');
    return ++x->n < LIST_MAX;
}

static void put_chain(struct web_json *j, struct store_reader *r)
{
    struct store_chain c;
    if (store_chain_newest(r, &c, NULL) != ST_OK || c.last_seq == 0) {
        web_json_text(j, "chain", NULL);
        return;
    }
    web_json_open(j, "chain", '{');
    put_id(j, "chain", c.id);
    web_json_int(j, "seq", (int64_t)c.last_seq);
    web_json_close(j, '}');
}

/* ---- what the last control batches say ------------------------------------------------------ */

struct said {
    struct web *w;
    struct web_json *j; /* voids go here; NULL: only the digest is wanted */
    struct buf cose, proof;
    int voids;
    bool found; /* a digest, the newest: */
    struct wire_digest digest;
    uint8_t chain[WIRE_ID_BYTES], sealed_chain[WIRE_ID_BYTES], kid[WIRE_ID_BYTES];
    uint64_t sealed_in;
};

static void put_void(struct said *x, const struct wire_header *h, const struct wire_entry *v)
{
    char cause[64];
    if (!x->j || x->voids++ >= LIST_MAX)
        return;
    (void)snprintf(cause, sizeof cause, "%.*s", (int)v->text.n, (const char *)v->text.p);
    web_json_open(x->j, NULL, '{');
    put_id(x->j, "chain", h->chain);
    web_json_int(x->j, "seq_from", (int64_t)v->seq_from);
    web_json_int(x->j, "seq_to", (int64_t)v->seq_to);
    web_json_text(x->j, "cause", cause);
    web_json_int(x->j, "said_in", (int64_t)h->seq);
    web_json_close(x->j, '}');
}

static enum st keep_digest(struct said *x, const struct wire_batch *b, const struct wire_entry *v)
{
    const struct web_rooms *m = &x->w->site.rooms;
    if (x->found || !m->proof)
        return ST_OK;
    x->found = true;
    x->digest = v->digest;
    x->sealed_in = b->header.seq;
    memcpy(x->sealed_chain, b->header.chain, WIRE_ID_BYTES);
    memcpy(x->kid, b->header.kid, WIRE_ID_BYTES);
    memcpy(x->chain, v->kind == WIRE_ENTRY_REST ? v->chain.p : b->header.chain, WIRE_ID_BYTES);
    return m->proof(&x->proof, b->header.gw, v->digest.day, b->cose.whole);
}

static enum st look(struct said *x, const struct store_batch *row, struct err *e)
{
    struct wire_batch b;
    struct wire_control c;
    struct wire_entry v;
    x->cose.n = 0;
    ERR_TRY(wire_zstd_unpack(row->packed.p, row->packed.n, WIRE_BATCH_MAX, &x->cose, e));
    ERR_TRY(wire_batch_open_sealed(&b, x->cose.p, x->cose.n, e));
    enum st st = wire_control_open(&c, b.cose.payload.p, b.cose.payload.n, e);
    while (st == ST_OK && (st = wire_control_next(&c, &v, e)) == ST_OK) {
        if (v.kind == WIRE_ENTRY_VOID)
            put_void(x, &b.header, &v);
        else if (v.kind == WIRE_ENTRY_DIGEST || v.kind == WIRE_ENTRY_REST)
            st = keep_digest(x, &b, &v);
    }
    wire_batch_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st look_back(struct said *x, struct store_reader *r, struct err *e)
{
    struct store_batch row = {.id = 0};
    enum st st = ST_OK;
    buf_init(&x->cose, WIRE_BATCH_MAX);
    buf_init(&x->proof, 4096);
    for (int i = 0; i < CONTROLS_MAX && st == ST_OK && (x->j || !x->found); i++) {
        st = store_control_before(r, row.id, &row, e);
        if (st == ST_OK)
            st = look(x, &row, e);
    }
    buf_done(&x->cose);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st put_digest(struct web_json *j, struct said *x)
{
    char day[WIRE_DAY_TEXT], hash[2 * WIRE_HASH_BYTES + 1];
    if (!x->found || wire_day_text(x->digest.day, day) != ST_OK) {
        web_json_text(j, "digest", NULL);
        return ST_OK;
    }
    wire_hex(x->digest.hash, WIRE_HASH_BYTES, hash);
    ERR_TRY(buf_put(&x->proof, "", 1));
    web_json_open(j, "digest", '{');
    web_json_text(j, "day", day);
    put_id(j, "chain", x->chain);
    web_json_int(j, "seq_from", (int64_t)x->digest.seq_from);
    web_json_int(j, "seq_to", (int64_t)x->digest.seq_to);
    web_json_int(j, "readings", (int64_t)x->digest.readings);
    web_json_int(j, "gaps", (int64_t)x->digest.gaps);
    web_json_text(j, "sha256", hash);
    put_id(j, "key", x->kid);
    put_id(j, "sealed_chain", x->sealed_chain);
    web_json_int(j, "sealed_in", (int64_t)x->sealed_in);
    web_json_text(j, "proof", (const char *)x->proof.p);
    web_json_close(j, '}');
    return ST_OK;
}

static enum st put_all(struct web_json *j, struct web *w, struct store_reader *r, struct err *e)
{
    struct list refused = {j, 0};
    struct said x = {.w = w, .j = j};
    web_json_int(j, "now_ms", clk_now(w->clk).utc_ms);
    ERR_TRY(put_uplinks(j, w, r, e));
    put_chain(j, r);
    web_json_open(j, "refused", '[');
    ERR_TRY(store_each_refusal(r, put_refusal, &refused, e));
    web_json_close(j, ']');
    web_json_open(j, "voided", '[');
    enum st st = look_back(&x, r, e);
    web_json_close(j, ']');
    if (st == ST_OK)
        st = put_digest(j, &x);
    buf_done(&x.proof);
    return st;
}

void web_api_city(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    struct err e = {.text = "the store cannot be read"};
    struct store_reader *r = web_reader(w);
    (void)q;
    web_answer_begin(a, &j);
    enum st st = r ? put_all(&j, w, r, &e) : ST_IO;
    web_answer_end(a, &j, 200);
    if (st != ST_OK)
        http_problem(a, 503, "unavailable", e.text, NULL, NULL);
}

void web_api_digest_svg(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct said x = {.w = w};
    struct err e = {.text = "the store cannot be read"};
    struct store_reader *r = web_reader(w);
    (void)q;
    enum st st = r ? look_back(&x, r, &e) : ST_IO;
    if (st == ST_OK && x.found && w->site.rooms.picture) {
        buf_init(&a->body, 256 * 1024);
        st = w->site.rooms.picture((struct wire_span){x.proof.p, x.proof.n}, &a->body, &e);
        a->status = 200;
        a->content_type = "image/svg+xml";
        http_answer_header(a, "Cache-Control", "no-store");
    } else if (st == ST_OK) {
        http_problem(a, 404, "not_found",
                     "no digest yet: a day's is sealed when the day is over and the gateway runs",
                     NULL, NULL);
    }
    if (st != ST_OK)
        http_problem(a, 503, "unavailable", e.text, NULL, NULL);
    buf_done(&x.proof);
}
