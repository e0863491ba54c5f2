/* One gateway of the power cuts: the product's store and seal on a driven clock, its devices and
 * its city. What it does to the disk is recorded; what the world outside learns goes into its
 * ledger. */
#ifndef TESTS_CRASH_SITE_H
#define TESTS_CRASH_SITE_H

#include "tests/crash/ledger.h"
#include "tests/crash/recorder.h"

#define SITE_TICK 10000 /* between polls, ms */

#define SITE_PHASES(X)                                                                             \
    X(NONE, "-")                                                                                   \
    X(BIRTH, "birth")           /* a new store, its first chain and plan */                        \
    X(POLL, "poll")             /* polls come in and the journal is committed */                   \
    X(FOLD, "fold")             /* a seal of what the journal holds, some of which stays there */  \
    X(SEAL, "seal")             /* a seal of what no journal holds, or of an empty window */       \
    X(UPLOAD, "upload")         /* a seal beside an uplink that sends whatever it can see */       \
    X(RECEIPT, "receipt")       /* the city's answers and the seal that may carry them */          \
    X(CHECKPOINT, "checkpoint") /* calls on the database file itself */                            \
    X(RETENTION, "retention")   /* a seal that drops what is old and acknowledged */               \
    X(THINNING, "thinning")     /* a seal in a full store of unsent batches */                     \
    X(MIGRATION, "migration")   /* a store of schema 1, opened by this version */                  \
    X(CONFIG, "configuration")  /* a restart with other devices */                                 \
    X(AGAIN, "second cut")      /* a start after one power cut, in any phase, and then another */
enum site_phase {
#define X(id, text) PHASE_##id,
    SITE_PHASES(X)
#undef X
        PHASES
};

struct site_mark { /* how the gateway was set from this call on */
    size_t at;
    int64_t utc_ms, mono_ms;
    uint32_t devices;
    const char *machine;
};
struct site {
    const char *name;
    unsigned number; /* among those of its name */
    struct line line;
    char *dir; /* of the store: what is recorded */
    struct rec_log log;
    struct ledger ledger;
    struct site_mark *mark;
    size_t nmark;
    struct store_reader *reader; /* the uplink's */
    uint64_t random;
    bool recording;
    size_t before;       /* calls that were made before the first of this log */
    size_t cut;          /* while not recording: the calls that were made before the power cut */
    bool may_fill, full; /* the store may be full; it is */
    bool stays;          /* its devices are the same throughout */
    bool stuck;          /* it does not give unsent batches up for space */
};

void site_ok(enum st st, const struct err *e); /* or the test fails */

/* Opens store, seal and the uplink's reader, and takes the first step. */
void site_start(struct site *r);
/* When another program (a person's) has the file open too, its WAL stays, as after a kill. */
void site_stop(struct site *r, bool shared);
/* Both clocks go to t; site_to also lets the writer work. */
void site_clock_to(struct site *r, int64_t t_ms);
void site_to(struct site *r, int64_t t_ms);
/* One tick of all devices; now and then one of them does not answer. */
void site_poll(struct site *r);
int64_t site_value(uint32_t device, int64_t t_ms); /* what a device measures */
/* Commits the journal: what was polled is safe. */
void site_flush(struct site *r);
/* To behind the end of the next window. The first `flushed` ticks are journalled one by one; behind
 * `ticks` ticks nobody polls, and nothing tells of it. The last tick already belongs to the window
 * behind it, and is there when this one is sealed. */
void site_window(struct site *r, unsigned ticks, unsigned flushed, enum site_phase poll,
                 enum site_phase seal);
uint64_t site_dice(struct site *r, uint64_t n); /* 0 … n-1 */

/* Sends all that the reader shows, oldest first. */
void site_drain(struct site *r);
/* For rec_watch: an uplink that is faster than the writer. Behind each of its calls to the disk it
 * looks for something to send. */
void site_eager(void *run);
/* The city accepts the newest batch that it was handed (all of them), alone or with all before. */
void site_answer(struct site *r, bool prefix);
void site_answer_all(struct site *r);
/* The city refuses that batch for ever. */
void site_refuse(struct site *r);

#endif
