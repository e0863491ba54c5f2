/* The scripted life of a gateway's store, recorded. Each run has a folder, a log and a ledger of
 * its own. */
#ifndef TESTS_CRASH_SCRIPT_H
#define TESTS_CRASH_SCRIPT_H

#include "tests/crash/ledger.h"
#include "tests/crash/recorder.h"

#define SCRIPT_PHASES(X)                                                                           \
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
    X(CONFIG, "configuration")  /* a restart with other devices */
enum script_phase {
#define X(id, text) PHASE_##id,
    SCRIPT_PHASES(X)
#undef X
        PHASES
};

struct script_mark { /* how the gateway was set from this call on */
    size_t at;
    int64_t utc_ms, mono_ms;
    uint32_t devices;
    const char *machine;
};
struct script_run {
    const char *name;
    unsigned number; /* among those of its name */
    struct line line;
    char *dir; /* of the store: what is recorded */
    struct rec_log log;
    struct ledger ledger;
    struct script_mark *mark;
    size_t nmark;
    struct store_reader *reader; /* the uplink's */
    uint64_t random;
    bool recording;
    size_t cut;          /* while not recording: the calls that were made before the power cut */
    bool may_fill, full; /* the store may be full; it is */
    bool stays;          /* its devices are the same throughout */
    bool stuck;          /* it does not give unsent batches up for space */
};
struct script_runs {
    struct script_run **v;
    size_t n;
};

/* Plays and records all runs; `rounds` scales their length. */
void script_play(struct script_runs *out, uint64_t seed, unsigned rounds);
void script_free(struct script_runs *runs);
/* The phase that call `i` of the run belongs to. */
enum script_phase script_phase_of(const struct script_run *r, size_t i);

/* The power is back: makes *r the same gateway on the store in `dir`, cut behind `at` calls, some
 * time later. Then it goes on to the end of its second window. */
void script_come_back(struct script_run *r, size_t at, const char *dir);
void script_go_on(struct script_run *r);
/* Of the store as it was judged last: every tick of every device has a reading or lies in a gap,
 * and not both. For a run whose devices stay. */
void script_assert_told(const struct script_run *r);

#endif
