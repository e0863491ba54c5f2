#include "tests/crash/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

void ledger_init(struct ledger *g, const struct line *l)
{
    struct err e = {0};
    struct wire_key *key;
    *g = (struct ledger){.line = l};
    g->find = calloc((size_t)LEDGER_DEVICES * LEDGER_SECONDS, sizeof *g->find);
    assert_non_null(g->find);
    ok(wire_key_load(&key, l->key, &e), &e);
    struct wire_span der = wire_pub_der(wire_key_pub(key));
    ok(wire_pub_parse(&g->pub, der.p, der.n, &e), &e);
    wire_key_free(key);
}

void ledger_done(struct ledger *g)
{
    for (size_t i = 0; i < g->nbatch; i++) {
        wire_batch_done(&g->batch[i].batch);
        buf_done(&g->batch[i].cose);
        buf_done(&g->batch[i].packed);
        free(g->batch[i].reading);
    }
    free(g->batch);
    free(g->poll);
    free(g->find);
    wire_pub_free(g->pub);
}

/* ---- polls ---- */

/* Where the poll of that device and time is noted; NULL: no such poll can be. */
static uint32_t *place(struct ledger *g, uint32_t device, int64_t t_ms)
{
    int64_t second = (t_ms - LINE_T0) / 1000;
    if (device >= LEDGER_DEVICES || t_ms < LINE_T0 || second >= LEDGER_SECONDS || t_ms % 1000)
        return NULL;
    return &g->find[(size_t)device * LEDGER_SECONDS + (size_t)second];
}

void ledger_put(struct ledger *g, uint32_t device, uint32_t points, int64_t t_ms, int64_t v,
                size_t at)
{
    if (g->npoll == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 1024;
        g->poll = realloc(g->poll, g->cap * sizeof *g->poll);
        assert_non_null(g->poll);
    }
    uint32_t *p = place(g, device, t_ms);
    assert_non_null(p);
    assert_int_equal(*p, 0);
    g->poll[g->npoll++] = (struct ledger_poll){t_ms, v, at, LEDGER_NEVER, points, device};
    *p = (uint32_t)g->npoll;
}

void ledger_forget(struct ledger *g, size_t at)
{
    for (size_t i = g->npoll; i-- > 0;) {
        struct ledger_poll *p = &g->poll[i];
        uint32_t *there = place(g, p->device, p->t_ms);
        if (p->put > at && *there == i + 1) /* not of one behind an earlier cut */
            *there = 0;
        if (p->safe > at)
            p->safe = LEDGER_NEVER - 1; /* nor does a commit after the cut make it safe */
    }
    for (size_t i = 0; i < g->nbatch; i++) {
        struct ledger_batch *x = &g->batch[i];
        x->handed = x->handed > at ? LEDGER_NEVER : x->handed;
        x->accepted = x->accepted > at ? LEDGER_NEVER : x->accepted;
        x->past = x->noted > at && x->handed == LEDGER_NEVER;
    }
}

void ledger_safe(struct ledger *g, size_t at)
{
    for (size_t i = g->npoll; i-- > 0;)
        if (g->poll[i].safe == LEDGER_NEVER)
            g->poll[i].safe = at;
}

static bool number_behind(struct wire_span text, const char *prefix, uint32_t *n)
{
    char copy[16], *end;
    size_t skip = strlen(prefix);
    if (text.n <= skip || text.n >= sizeof copy || memcmp(text.p, prefix, skip) != 0)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    *n = (uint32_t)strtoul(copy + skip, &end, 10);
    return *end == 0;
}

bool ledger_reading(struct ledger *g, const struct wire_reading *w, uint32_t *out)
{
    uint32_t device, point;
    if (!number_behind(w->device, g->line->device_name, &device) ||
        !number_behind(w->point, g->line->point_name, &point))
        return false;
    const uint32_t *p = place(g, device, w->t_ms);
    if (!p || !*p || point >= g->poll[*p - 1].points ||
        num_cmp(w->v, num_dec(g->poll[*p - 1].v, -1)) != 0)
        return false;
    *out = (*p - 1) * LEDGER_POINTS + point;
    return true;
}

/* ---- batches ---- */

/* The batch of that number that b must be. */
static struct ledger_batch *find_batch(struct ledger *g, const struct store_batch *b)
{
    for (size_t i = g->nbatch; i-- > 0;) {
        struct ledger_batch *x = &g->batch[i];
        if (x->seq == b->seq && memcmp(x->batch.header.chain, b->chain, WIRE_ID_BYTES) == 0 &&
            (!x->past || ledger_same(x, b)))
            return x;
    }
    return NULL;
}

bool ledger_same(const struct ledger_batch *x, const struct store_batch *b)
{
    return x->packed.n == b->packed.n && memcmp(x->packed.p, b->packed.p, b->packed.n) == 0 &&
           memcmp(x->hash, b->hash, WIRE_HASH_BYTES) == 0;
}

static const char *readings_of(struct ledger *g, struct ledger_batch *x)
{
    struct wire_senml s;
    struct wire_reading w;
    uint64_t count = 0;
    const struct wire_span *payload = &x->batch.cose.payload;
    if (x->batch.header.kind != WIRE_DATA || x->batch.header.for_from)
        return NULL; /* thinned values stand for others */
    if (wire_senml_open(&s, payload->p, payload->n, "gw-01", &count, NULL) != ST_OK)
        return "its readings cannot be read";
    x->reading = calloc(count + 1, sizeof *x->reading);
    assert_non_null(x->reading);
    while (wire_senml_next(&s, &w, NULL) == ST_OK)
        if (!ledger_reading(g, &w, &x->reading[x->n++]))
            return "it holds a reading that nobody has measured";
    return NULL;
}

struct ledger_batch *ledger_note(struct ledger *g, const struct store_batch *b, const char **why)
{
    g->batch = realloc(g->batch, (g->nbatch + 1) * sizeof *g->batch);
    assert_non_null(g->batch);
    struct ledger_batch *x = &g->batch[g->nbatch];
    *x = (struct ledger_batch){.seq = b->seq, .handed = LEDGER_NEVER, .accepted = LEDGER_NEVER};
    buf_init(&x->packed, 2 * WIRE_BATCH_MAX);
    buf_init(&x->cose, WIRE_BATCH_MAX);
    assert_int_equal(buf_put(&x->packed, b->packed.p, b->packed.n), ST_OK);
    memcpy(x->hash, b->hash, WIRE_HASH_BYTES);
    uint8_t hash[WIRE_HASH_BYTES];
    *why = NULL;
    if (wire_zstd_unpack(b->packed.p, b->packed.n, WIRE_BATCH_MAX, &x->cose, NULL) != ST_OK ||
        wire_batch_open(&x->batch, x->cose.p, x->cose.n, NULL) != ST_OK)
        *why = "it cannot be read";
    else if (wire_cose_verify(&x->batch.cose, g->pub, NULL) != ST_OK)
        *why = "its signature does not fit";
    if (!*why) {
        wire_sha256(x->cose.p, x->cose.n, hash);
        if (memcmp(hash, b->hash, sizeof hash) != 0 || x->batch.header.seq != b->seq ||
            memcmp(x->batch.header.chain, b->chain, WIRE_ID_BYTES) != 0)
            *why = "its row does not fit its bytes";
        else
            *why = readings_of(g, x);
    }
    g->nbatch++; /* a bad one too: it is freed with the rest */
    return *why ? NULL : x;
}

struct harvest {
    struct ledger *g;
    size_t at;
};

static bool harvest_one(void *ctx, const struct store_batch *b)
{
    struct harvest *h = ctx;
    struct ledger_batch *x = find_batch(h->g, b);
    if (x) {
        assert_true(ledger_same(x, b));
        x->past = false;
        return true;
    }
    const char *why;
    x = ledger_note(h->g, b, &why);
    if (!x)
        fail_msg("batch %llu: %s", (unsigned long long)b->seq, why);
    x->noted = h->at;
    for (size_t i = 0; i < x->n; i++) {
        struct ledger_poll *p = &h->g->poll[x->reading[i] / LEDGER_POINTS];
        p->safe = p->safe >= LEDGER_NEVER - 1 ? h->at : p->safe;
    }
    return true;
}

void ledger_harvest(struct ledger *g, struct store_reader *r, size_t at)
{
    struct err e = {0};
    struct harvest h = {g, at};
    ok(line_each_batch(r, harvest_one, &h, &e), &e);
}

void ledger_hand(struct ledger *g, const struct store_batch *b, size_t at)
{
    struct ledger_batch *x = find_batch(g, b);
    if (x && !ledger_same(x, b))
        fail_msg("the city was handed two batches %llu", (unsigned long long)b->seq);
    const char *why = NULL;
    if (!x)
        x = ledger_note(g, b, &why);
    if (!x)
        fail_msg("the city was handed batch %llu: %s", (unsigned long long)b->seq, why);
    x->past = false;
    x->noted = x->noted ? x->noted : at;
    if (x->handed == LEDGER_NEVER)
        x->handed = at;
}

void ledger_accept(struct ledger *g, const uint8_t *chain, uint64_t seq, bool prefix, size_t at)
{
    for (size_t i = 0; i < g->nbatch; i++) {
        struct ledger_batch *x = &g->batch[i];
        if (memcmp(x->batch.header.chain, chain, WIRE_ID_BYTES) == 0 &&
            (x->seq == seq || (prefix && x->seq < seq)) && x->accepted == LEDGER_NEVER) {
            assert_true(x->handed != LEDGER_NEVER);
            x->accepted = at;
        }
    }
}
