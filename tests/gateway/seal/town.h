/* A real city in this process and a model of the uplink that feeds it from a line's store, so that
 * a test can compare what was polled with what the city holds. */
#ifndef TESTS_GATEWAY_SEAL_TOWN_H
#define TESTS_GATEWAY_SEAL_TOWN_H

#include "tests/gateway/city/site.h"
#include "tests/support/line.h"

/* What the header of a batch says that the city got. */
struct town_batch {
    uint64_t seq, for_from, for_to, n;
    int64_t from_ms, to_ms;
    enum wire_kind kind;
    uint8_t hash[WIRE_HASH_BYTES];
};
struct town_gap {
    char series[64], cause[16];
    int64_t from_ms, to_ms;
};
struct town {
    struct site *site;
    struct line *line;
    struct store_reader *reader;
    struct town_batch *batch; /* all that the city holds, in order of arrival */
    struct town_gap *gap;     /* their gaps, but what is thinned */
    size_t nbatch, ngap;
    struct wire_receipt last; /* verified */
};

static inline void town_open(struct town *t, struct line *l)
{
    struct err e = {.text = ""};
    struct wire_key *key;
    char pub[128], kid[17];

    memset(t, 0, sizeof *t);
    t->line = l;
    t->site = site_open();
    snprintf(pub, sizeof pub, "%s/line.pub", l->dir);
    assert_int_equal(wire_key_load(&key, l->key, &e), ST_OK);
    site_pub_write(key, pub);
    wire_key_free(key);
    assert_int_equal(city_enroll(&t->site->cfg, "gw-01", pub, kid, &e), ST_OK);
    if (store_reader_open_in(&t->reader, l->store, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static inline void town_close(struct town *t)
{
    store_reader_close(t->reader);
    site_close(t->site);
    free(t->batch);
    free(t->gap);
}

static inline void town_note(struct town *t, const struct wire_batch *b, const uint8_t *hash)
{
    const struct wire_header *h = &b->header;
    for (size_t i = 0; i < t->nbatch; i++)
        if (t->batch[i].seq == h->seq)
            return; /* a repeat */
    t->batch = realloc(t->batch, (t->nbatch + 1) * sizeof *t->batch);
    assert_non_null(t->batch);
    struct town_batch *x = &t->batch[t->nbatch++];
    *x = (struct town_batch){.seq = h->seq,
                             .for_from = h->for_from,
                             .for_to = h->for_to,
                             .from_ms = h->from_ms,
                             .to_ms = h->to_ms,
                             .kind = h->kind};
    memcpy(x->hash, hash, sizeof x->hash);
    for (size_t i = 0; i < h->ngaps; i++) {
        const struct wire_gap *g = &h->gaps[i];
        if (strcmp(g->cause, "thinned") == 0)
            continue;
        t->gap = realloc(t->gap, (t->ngap + 1) * sizeof *t->gap);
        assert_non_null(t->gap);
        struct town_gap *to = &t->gap[t->ngap++];
        snprintf(to->series, sizeof to->series, "%s", g->series);
        snprintf(to->cause, sizeof to->cause, "%s", g->cause);
        to->from_ms = g->from_ms;
        to->to_ms = g->to_ms;
    }
}

/* PUTs one batch and checks the receipt. */
static inline void town_put(struct town *t, const struct store_batch *b)
{
    char chain[WIRE_ID_TEXT];
    struct buf cose;
    struct wire_batch w;
    struct err e = {.text = ""};

    wire_hex(b->chain, sizeof b->chain, chain);
    int status = site_put_as(t->site, "gw-01", chain, b->seq, b->packed.p, b->packed.n, TYPE,
                             "Content-Encoding: zstd");
    if (status != 201 && status != 200)
        fail_msg("batch %llu: %d %.*s", (unsigned long long)b->seq, status,
                 (int)t->site->reply.body.n, (const char *)t->site->reply.body.p);
    t->last = site_receipt(t->site);
    assert_int_equal(t->last.seq, b->seq);
    assert_memory_equal(t->last.sha256, b->hash, sizeof b->hash);
    buf_init(&cose, WIRE_BATCH_MAX);
    assert_int_equal(wire_zstd_unpack(b->packed.p, b->packed.n, WIRE_BATCH_MAX, &cose, &e), ST_OK);
    if (wire_batch_open(&w, cose.p, cose.n, &e) != ST_OK)
        fail_msg("%s", e.text);
    town_note(t, &w, b->hash);
    wire_batch_done(&w);
    buf_done(&cose);
}

static inline bool town_pick(struct town *t, enum store_pick pick, struct store_batch *b)
{
    struct err e = {.text = ""};
    enum st st = store_pick_batch_but(t->reader, "city", pick, NULL, 0, b, &e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        fail_msg("%s", e.text);
    return st == ST_OK;
}

/* Sends all that is unsent and acknowledges it: control, then the newest, then the oldest first. A
 * writer thread must run. */
static inline void town_drain(struct town *t)
{
    struct store_batch b;
    struct err e = {.text = ""};
    bool newest = true;

    for (;;) {
        bool got = town_pick(t, STORE_PICK_CONTROL, &b);
        if (!got && newest)
            got = town_pick(t, STORE_PICK_NEWEST, &b);
        newest = newest && got && b.kind == WIRE_CONTROL;
        if (!got && !town_pick(t, STORE_PICK_OLDEST, &b))
            return;
        uint8_t chain[WIRE_ID_BYTES];
        uint64_t seq = b.seq;
        memcpy(chain, b.chain, sizeof chain);
        town_put(t, &b);
        struct wire_span receipt = {t->site->reply.body.p, t->site->reply.body.n};
        bool prefix = t->last.through_seq == seq;
        if (store_ack(t->line->store, 0, chain, seq, prefix, receipt, &e) != ST_OK)
            fail_msg("%s", e.text);
    }
}

/* Sends the oldest unsent batch, and the answer gets lost: the store does not hear of it. */
static inline void town_lose_an_answer(struct town *t)
{
    struct store_batch b;
    if (town_pick(t, STORE_PICK_OLDEST, &b))
        town_put(t, &b);
}

/* One line of the dump that is no header; false at the end. */
struct town_row {
    char series[96], value[64];
    long long ts_ms;
    unsigned q;
    unsigned long long seq;
};
static inline bool town_row(const char **at, struct town_row *r)
{
    char chain[32];
    while (*at && **at) {
        const char *line = *at, *end = strchr(line, '\n');
        *at = end ? end + 1 : NULL;
        if (sscanf(line, "gw-01,%95[^,],%lld,%63[^,],%u,%31[^,],%llu", r->series, &r->ts_ms,
                   r->value, &r->q, chain, &r->seq) == 6)
            return true;
        if (strncmp(line, "gateway,", 8) != 0)
            fail_msg("a line of the dump that is none: %.80s", line);
    }
    return false;
}

#endif
