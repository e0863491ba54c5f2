/* The batches of a day against the digest that the gateway sealed of it (batch.cddl, "the days of a
 * chain"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/verify.h"

static void fault(struct verify_set *s, const char *path, const char *text)
{
    (void)fprintf(stderr, "%s: %s\n", path, text);
    s->faults++;
}

/* As wire_day_batch says, for what is remembered of a batch. */
static struct wire_day_batch seen(const struct verify_batch *b)
{
    struct wire_day_batch x;
    wire_day_batch(&x, &b->h, b->n, b->hash);
    return x;
}

static bool covers(const struct verify_digest *g, const char *gw, const uint8_t *chain,
                   uint64_t seq)
{
    return strcmp(g->gw, gw) == 0 && memcmp(g->chain, chain, WIRE_ID_BYTES) == 0 &&
           g->d.seq_from <= seq && g->d.seq_to >= seq;
}

/* What the batches of a digest come to. */
struct sum {
    struct wire_digest d;
    uint64_t held, given_up, missing; /* missing: the first that is */
    bool other_day, ends_right;
};

static void reckon(const struct verify_set *s, const struct verify_digest *g, struct sum *out)
{
    *out = (struct sum){.d = {.day = g->d.day}};
    for (uint64_t seq = g->d.seq_from; seq <= g->d.seq_to; seq++) {
        const struct verify_batch *b = verify_find(s, g->gw, g->chain, seq);
        const uint8_t *hash = b ? b->hash : verify_voided(s, g->chain, seq);
        if (!hash) {
            out->missing = seq;
            return;
        }
        wire_days_fold(out->d.hash, hash);
        out->given_up += !b;
        out->held += b != NULL;
        out->ends_right = !b; /* nobody knows what that one was */
        if (b) {
            struct wire_day_batch x = seen(b);
            out->d.readings += x.readings;
            out->d.gaps += x.gaps;
            out->ends_right = x.tells;
            out->other_day |= x.tells && wire_day_of(x.to_ms - 1) != g->d.day;
        }
    }
}

static void check_digest(struct verify_set *s, const struct verify_digest *g, const char *day)
{
    char text[128], hash[2 * WIRE_HASH_BYTES + 1];
    struct sum sum;
    if (g->d.seq_from > g->d.seq_to || (g->seq && g->d.seq_to >= g->seq)) {
        fault(s, g->path, "its digest names batches that were not sealed before it");
        return;
    }
    reckon(s, g, &sum);
    if (sum.missing) {
        (void)snprintf(text, sizeof(text), "batch %llu of the day that it digests is missing",
                       (unsigned long long)sum.missing);
        fault(s, g->path, text);
        return;
    }
    if (memcmp(sum.d.hash, g->d.hash, WIRE_HASH_BYTES) != 0) {
        fault(s, g->path, "the batches are not those that it digests");
    }
    /* what a batch that was given up had is counted in the digest alone */
    if (sum.given_up == 0 && (sum.d.readings != g->d.readings || sum.d.gaps != g->d.gaps)) {
        fault(s, g->path, "its digest counts other readings or gaps than the batches have");
    }
    if (sum.other_day || !sum.ends_right) {
        fault(s, g->path, "its digest is of batches that are not of its day");
    }
    wire_hex(g->d.hash, WIRE_HASH_BYTES, hash);
    (void)printf("%s %s: batches %llu to %llu, %llu readings, %llu gaps, hash %s\n", g->gw, day,
                 (unsigned long long)g->d.seq_from, (unsigned long long)g->d.seq_to,
                 (unsigned long long)g->d.readings, (unsigned long long)g->d.gaps, hash);
    if (sum.given_up) {
        (void)printf("  %llu of these batches were given up: their readings cannot be counted\n",
                     (unsigned long long)sum.given_up);
    }
}

/* The last number of a chain that another one follows and names with its hash: what no digest
 * covers is proven by that link, when all is here that lies between. 0: none follows. */
static uint64_t followed_at(const struct verify_set *s, const struct verify_batch *b)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct verify_batch *x = &s->v[i];
        if (x->h.seq == 1 && x->h.after && strcmp(x->gw, b->gw) == 0 &&
            memcmp(x->h.after_chain, b->h.chain, WIRE_ID_BYTES) == 0) {
            return x->h.after_seq;
        }
    }
    return 0;
}

/* A box that was replaced digests its last day no more, and the one that follows has not its
 * batches. */
static void check_end(struct verify_set *s, const struct verify_batch *b, uint64_t last)
{
    uint64_t seq = b->h.seq;
    while (seq <= last &&
           (verify_find(s, b->gw, b->h.chain, seq) || verify_voided(s, b->h.chain, seq))) {
        seq++;
    }
    if (last == 0 || b->h.seq > last) {
        fault(s, b->path, "is of that day, and no digest that is here covers it");
    } else if (seq <= last) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "is of that day, no digest covers it, and %llu, which leads to the end of "
                       "its chain, is missing",
                       (unsigned long long)seq);
        fault(s, b->path, text);
    } else {
        s->linked++;
    }
}

static void check_covered(struct verify_set *s, const struct verify_batch *b, int64_t day)
{
    uint64_t last = 0;
    for (size_t i = 0; i < s->ndigests; i++) {
        const struct verify_digest *g = &s->digests[i];
        if (covers(g, b->gw, b->h.chain, b->h.seq)) {
            if (g->d.day != day) {
                fault(s, b->path, "is of that day, and the digest of another day covers it");
            }
            return;
        }
        if (covers(g, b->gw, b->h.chain, g->d.seq_to) && g->d.seq_to > last) {
            last = g->d.seq_to;
        }
    }
    check_end(s, b, b->h.seq < last ? 0 : followed_at(s, b));
}

void verify_day(struct verify_set *s, int64_t day)
{
    char text[WIRE_DAY_TEXT] = "";
    size_t digests = 0;
    if (wire_day_text(day, text) != ST_OK) {
        return;
    }
    for (size_t i = 0; i < s->ndigests; i++) {
        if (s->digests[i].d.day == day) {
            check_digest(s, &s->digests[i], text);
            digests++;
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        struct wire_day_batch x = seen(&s->v[i]);
        if (x.tells && wire_day_of(x.to_ms - 1) == day) {
            check_covered(s, &s->v[i], day);
        }
    }
    if (s->linked) {
        (void)printf("%s: %llu batches are in no digest; the chain that follows theirs names its "
                     "last one, and they lead there without a hole\n",
                     text, (unsigned long long)s->linked);
    } else if (digests == 0) {
        fault(s, text, "no digest of this day is among the batches");
    }
}
