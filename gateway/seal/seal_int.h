/* Private to seal. Writer thread only. */
#ifndef GATEWAY_SEAL_SEAL_INT_H
#define GATEWAY_SEAL_SEAL_INT_H

#include "gateway/seal/gaps.h"
#include "gateway/seal/seal.h"

#define SEAL_A_STEP 64                          /* bounded work: the rest at the next step */
#define SEAL_KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from boot: 8 years of it */

/* Batches of one start whose times are no longer those that they were stamped with. */
struct seal_moved {
    uint8_t boot[WIRE_ID_BYTES];
    uint64_t seq_from, seq_to;
    int64_t since_ms;       /* time since boot of the oldest reading in them, or before */
    int64_t base_ms;        /* what was added already before they were sealed */
    int64_t add_ms, err_ms; /* as the last entry says, or with base_ms; in all */
};
#define SEAL_MOVED (2 * STORE_STARTS)
struct seal {
    struct seal_cfg cfg;
    char *gateway, *machine;
    struct store *store;
    const struct clk *clk;
    const struct wire_signer *key; /* in force */
    struct signer *own_signer;
    bool down;              /* nothing can be signed now, which was told */
    unsigned ends;          /* of the signing process, which were told */
    bool ask_stays;         /* a request for a rotation that cannot be removed */
    struct mono promote_at; /* when to try again */
    struct gaps *gaps;
    struct store_chain chain;        /* id all zero: none yet */
    int64_t from_ms;                 /* of the next window */
    int64_t start_ms;                /* this start, in the time base of then */
    bool entered;                    /* the chain is known; before, nothing is sealed */
    enum store_cause silence;        /* of what is missing before this start */
    bool old_done;                   /* frames of earlier runs are sealed */
    bool first;                      /* no window of this run is sealed yet */
    bool step;                       /* the next window does not abut */
    bool running;                    /* the first step is done: series are tracked */
    bool from_unknown;               /* from_ms counts from boot */
    int64_t known_end_ms;            /* latest end of a window in UTC; 0: none */
    bool planned;                    /* the inventory stands in the chain */
    uint8_t config[WIRE_HASH_BYTES]; /* of the file that is in force */
    char config_who[65];             /* "": it is said, or nobody told */
    struct seal_deposit {
        struct buf files;             /* not signed yet; empty: in the store, or none */
        bool given;                   /* there were some */
        uint8_t chain[WIRE_ID_BYTES]; /* in which it was signed last */
        struct mono again;            /* when to try again */
        bool told;                    /* that it cannot be done */
    } deposit;
    struct buf underway, underway_now; /* underway.c: as the store has it; scratch */
    size_t seen;                       /* frames that the gap tracker has seen */
    struct clk_time last;              /* at the last look */
    struct mono last_mono;
    struct mono due, asked_due; /* the next step; the next look at what is asked for */
    bool known;                 /* windows of this run were in UTC once */
    bool paused;                /* one turn waits for polls that are on their way */
    struct store_starts blind;  /* sealed in time since boot, by this start and those before it */
    bool blind_unsaved;         /* the store does not know it yet */
    bool told;                  /* all in blind have their time */
    struct seal_moved moved[SEAL_MOVED]; /* moved by an entry, or sealed with corrected times */
    size_t nmoved;
    struct {
        int64_t add_ms, err_ms, since_ms; /* of this run; err 0: none yet */
    } offset;
    struct { /* a clock that was found: what is to be sealed because of it */
        bool open, entry, off;
        int64_t start_ms; /* of what the unknown time covers, in UTC */
        struct clk_time now;
        struct mono mono;
    } found;
    bool *use;               /* per frame: it is in the window */
    struct wire_span *parts; /* the array head and the records of these frames */
    size_t nuse, nparts;
    struct buf payload; /* of a control batch; of a data batch its array head */
    struct seal_digest {
        uint8_t chain[WIRE_ID_BYTES]; /* that the days are of */
        struct wire_days days;        /* open.seq_from 0: not begun */
    } digest;
    struct seal_rest {
        struct store_chain of; /* an earlier chain */
        struct wire_days days;
        bool open;                      /* these two count */
        uint8_t none_in[WIRE_ID_BYTES]; /* while this is the newest chain nothing is left */
    } rest;
    int64_t thin_at[STORE_LEVELS]; /* per level: the batch up to which it has been looked at */
    bool thinning;                 /* space is short and something was given up for it */
};

/* What one batch says, beside its gaps. */
struct seal_window {
    enum wire_kind kind;
    int64_t from_ms, to_ms;
    const uint8_t *boot;
    enum clk_grade grade;
    uint64_t n;
    bool fold; /* l->use says which frames */
    const struct store_planned *plan;
    size_t nplan;
    const uint64_t *voided;
    size_t nvoided;
    struct wire_span digested;           /* as in struct store_sealed */
    const uint8_t *next_kid;             /* the chain ends with it */
    const uint8_t *request;              /* that asked for it; NULL */
    const uint8_t *config;               /* whose hash it says; NULL */
    const struct store_entered *entered; /* the reading whose author it names; NULL */
    enum store_level level;              /* of a thinned batch: */
    uint64_t for_from, for_to;
};

/* One batch, signed and packed, not stored yet. `packed` holds what b.packed points to. */
struct seal_made {
    struct store_sealed b;
    struct buf packed;
    struct wire_day_batch day; /* borrows b's hash */
};
/* seal.c: makes the batch that follows `at`; nothing has changed then. ST_FULL: it is too large. */
enum st seal_make(struct seal *l, const struct store_chain *at, const struct seal_window *w,
                  const struct wire_gap *gaps, size_t ngaps, struct seal_made *out,
                  struct err *e) ST_MUST_CHECK;
void seal_made_done(struct seal_made *m); /* takes a zeroed one */
/* The chain as it stands behind b. */
void seal_chain_move(struct store_chain *c, const struct store_sealed *b);

/* seal.c: signs the payload (or, with fold, the parts) and stores the batch; moves the chain on.
 * What it takes meanwhile, some bytes for each byte of the payload, it gives back. */
enum st seal_batch(struct seal *l, const struct seal_window *w, const struct wire_gap *gaps,
                   size_t ngaps, struct err *e) ST_MUST_CHECK;

/* Seals what falls into [from_ms, to_ms): group says how many leading frames may go in. */
enum st seal_data_window(struct seal *l, size_t group, int64_t to_ms, struct err *e);
/* Seals all waiting frames of the first group, to `to` at least. */
enum st seal_cut_group(struct seal *l, int64_t to_ms, struct err *e);
bool seal_same_group(const struct store_frame *a, const struct store_frame *b);
enum st seal_room_for(struct seal *l, size_t nframes, struct err *e);

/* chain.c */
/* A new chain, which follows the one before when there is one. */
enum st seal_chain_begin(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Begins or goes on with a chain: l->entered. Waits while the store may still find the one to
 * follow, unless it must be now. */
enum st seal_enter(struct seal *l, bool now, struct err *e) ST_MUST_CHECK;
/* Seals, each as a window of its own, the times of which a damaged store has lost all. */
enum st seal_holes(struct seal *l, struct err *e) ST_MUST_CHECK;

/* rotate.c */
/* Finds out which key is in force. */
enum st seal_key_open(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Lets the next key take over, where one waits; *over: it has, and the chain is ended. */
enum st seal_rotate(struct seal *l, bool *over, struct err *e) ST_MUST_CHECK;

/* clock.c: what steps of the clock, and a clock that comes late, do to windows. */
/* The next window begins here and does not abut: a new store, another time base, a step back. */
void seal_begin_at(struct seal *l, int64_t now_ms);
/* Where the windows go on at now_ms, after a start or a step of the clock. */
void seal_go_on(struct seal *l, int64_t now_ms);
/* Whether seal_look_at_clock would find a step or another grade. */
bool seal_clock_moved(const struct seal *l);
/* Ends windows at steps and changes of grade; gives what was polled under an unknown clock its
 * time. *wait: nothing more this turn, which must be followed by another at once. */
enum st seal_look_at_clock(struct seal *l, bool *wait, struct err *e);
/* Frames that came too late for the time base that they are in. */
enum st seal_strays(struct seal *l, struct err *e);
/* A boot before this one found its time and was cut before all of that was sealed. */
enum st seal_last_boot(struct seal *l, struct err *e);
/* One control batch with a `time` entry for each of the n ranges. */
enum st seal_entries(struct seal *l, const struct seal_moved *m, size_t n, struct err *e);
/* A window without readings, in which the program was off. */
enum st seal_off(struct seal *l, const uint8_t *boot, int64_t from_ms, int64_t to_ms,
                 struct err *e);
/* What time since boot wants to be UTC. */
int64_t seal_offset_ms(struct clk_time now, struct mono mono);

/* underway.c: polls that are under way when a window ends. */
/* Before a window that ends there is sealed: keeps what nothing tells of, where it is another. */
enum st seal_underway_keep(struct seal *l, int64_t to_ms, struct err *e);
/* At a start: what was under way when the run before ended owes its reading still. */
enum st seal_underway_owe(struct seal *l, struct err *e);

/* starts.c: starts in one boot of the machine whose time is unknown. */
/* What the offset may be off for times from since_ms on: the clock's own error, and what the time
 * since boot has drifted meanwhile. */
int64_t seal_offset_err_ms(struct clk_time now, struct mono mono, int64_t since_ms);
enum st seal_starts_open(struct seal *l, struct err *e);
/* The grade at the last look is new: this start is one of them now, or is none. */
void seal_starts_own(struct seal *l, int64_t since_ms);
/* A chain begins: no entry reaches back. */
void seal_starts_chain(struct seal *l);
/* Before anything is sealed in time since boot: the next start must know of it. */
enum st seal_starts_save(struct seal *l, struct err *e);
/* Whether a `time` entry has to be sealed once the clock is found. */
bool seal_starts_wait(const struct seal *l);
/* Where the windows in time since boot begin that wait for it. */
int64_t seal_starts_from_ms(const struct seal *l);
/* Whether that is a start before this one which waits for it. */
bool seal_starts_waits(struct seal *l, const uint8_t *boot);
/* Time since boot of the oldest reading that may wait for it. */
int64_t seal_starts_since_ms(const struct seal *l);
enum st seal_starts_move(struct seal *l, int64_t add_ms, struct clk_time now, struct mono mono,
                         struct err *e);
/* An entry from elsewhere moves all that this start has sealed. */
void seal_starts_told(struct seal *l, const uint8_t *boot, int64_t add_ms);
/* Before what they left is sealed: tells the starts before this one their time, where it is known
 * now. And behind that. */
enum st seal_starts_past(struct seal *l, struct err *e);
void seal_starts_done(struct seal *l);
/* As store_boot_offset, of the start before this one that was the last to seal readings, whose id
 * goes to boot; from_ms is of the first of those that were moved with it. */
enum st seal_starts_offset(struct seal *l, uint8_t boot[WIRE_ID_BYTES], struct store_offset *o,
                           struct err *e);
/* The windows of a start before this one ended on the same time since boot. */
bool seal_starts_abut(const struct seal *l);
/* Whether the time since boot of that start is another boot's of the machine than what was sealed
 * last without a clock: the window before does not go on in it. */
bool seal_starts_rebased(const struct seal *l, const uint8_t *boot);
/* Frames of a start before this one get their time, where it is known. */
enum st seal_restamp_old(struct seal *l, const uint8_t *boot, struct err *e);
/* A batch was sealed: remembers it where a `time` entry may have to name it. */
void seal_note_range(struct seal *l, const struct seal_window *w, uint64_t seq);

/* plan.c: the control batches. */
/* Where a control batch stands: at the end of the batch before it; it says no time of its own. */
struct seal_window seal_control_window(const struct seal *l);
/* Once: the series that are due and not configured any more. */
enum st seal_absent(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Series that the signed plan knows go on owing from where the last window ended; others, and all
 * of a new store, from this start. */
enum st seal_owe(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Brings the chain's plan to what is configured; more than one batch where it must. */
enum st seal_plan(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Says which configuration is in force, once its time can be told. */
enum st seal_say_config(struct seal *l, struct err *e) ST_MUST_CHECK;
/* deposit.c: signs the configuration for the city, once in each chain. What fails there is told and
 * tried again; nothing waits for it. */
void seal_deposit_step(struct seal *l);
/* Gives up, in the chain, what an uplink has refused for ever. */
enum st seal_voids(struct seal *l, struct err *e) ST_MUST_CHECK;
/* digest.c: reckons with what was sealed and seals the digest of a day that is over (bounded work:
 * the rest at the next call). */
enum st seal_digests(struct seal *l, struct err *e) ST_MUST_CHECK;
/* What has just been stored, where it is next in order, need not be read for that. */
void seal_digest_stored(struct seal *l, const struct wire_day_batch *b);
/* The chain is about to end: its last day is digested as far as it is sealed. *done: false, when
 * there is more to read, at the next step. */
enum st seal_digest_close(struct seal *l, bool *done, struct err *e) ST_MUST_CHECK;

/* How far: the chain of the last digest and the last number that it covers. ST_NOT_FOUND: none was
 * ever sealed; ST_CORRUPT: that is not known. */
enum st seal_digested(struct seal *l, uint8_t chain[WIRE_ID_BYTES], uint64_t *seq,
                      struct err *e) ST_MUST_CHECK;
/* Reckons with one more batch of that chain; *over: days->run is complete. ST_BUSY: of a forked
 * chain, and not acknowledged. */
enum st seal_digest_follow(struct seal *l, const struct store_chain *c, struct wire_days *days,
                           bool *over, struct err *e) ST_MUST_CHECK;
/* Seals the digest of days->run, of that chain, in a control batch of its own; goes on behind it.
 */
enum st seal_digest_put(struct seal *l, const uint8_t *chain, struct wire_days *days,
                        struct err *e) ST_MUST_CHECK;
/* rest.c: digests what the chains before the newest one held behind their last digests (bounded
 * work: the rest at the next call). now: without waiting for anybody. *done: nothing is left. */
enum st seal_rest(struct seal *l, bool now, bool *done, struct err *e) ST_MUST_CHECK;

/* again.c: seals once more, under new numbers, what the city has another batch in the place of
 * (bounded work: the rest at the next call). */
enum st seal_again(struct seal *l, struct err *e) ST_MUST_CHECK;
/* requests.c: seals what people asked for with the command line (bounded work: the rest at the next
 * call). */
enum st seal_requests(struct seal *l, struct err *e) ST_MUST_CHECK;

/* thin.c: while the store is short of space and nothing acknowledged is left to forget, puts values
 * of a minute, then of a quarter of an hour, in the place of unsent readings (bounded work: the
 * rest at the next call). */
enum st seal_thin(struct seal *l, struct err *e) ST_MUST_CHECK;

#endif
