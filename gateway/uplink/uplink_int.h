/* Private to the uplink room. */
#ifndef GATEWAY_UPLINK_UPLINK_INT_H
#define GATEWAY_UPLINK_UPLINK_INT_H

#include <sys/types.h>
#include <time.h>

#include "gateway/base/drop.h"
#include "gateway/base/log.h"
#include "gateway/http/http.h"
#include "gateway/uplink/trust_int.h"
#include "gateway/uplink/uplink.h"

/* One entry of the map `uplinks`. */
struct uplink_cfg {
    char *id;
    int type;
    char *url, *ca;
    struct cfg_strings receipt_keys;
    char *identity; /* NULL: ID.pem beside the key that seals */
    bool required;
    int64_t budget_bytes; /* 0: none */
    int metered;          /* enum uplink_metered */
};

/* ---- what an answer means (answer.c, pure) ---- */

enum uplink_action {
    UPLINK_ACCEPTED, /* the body claims to be a receipt */
    UPLINK_REFUSED,  /* for ever, by the city itself, about these very bytes */
    UPLINK_CONFLICT, /* the city holds other bytes under this number */
    UPLINK_HOLD,     /* not now, and it is about this batch: let others pass */
    UPLINK_KEY,      /* not now, and it is about the key of its chain: let other chains pass */
    UPLINK_RETRY,    /* not now, for any batch */
};
#define UPLINK_CODE_BYTES 32
struct uplink_verdict {
    enum uplink_action action;
    char code[UPLINK_CODE_BYTES]; /* the city's problem code, or "" */
    const char *advice;           /* for the technician: what it means and what to do */
    const char *why;              /* the code of gateway/web/advice.def that it comes to */
};
/* Only a problem document about our hash may refuse; everything that is not understood is tried
 * again. The caller has had the answer over verified TLS. */
struct uplink_verdict uplink_judge(const struct http_reply *r, const uint8_t hash[WIRE_HASH_BYTES]);
/* The text member `name` of a flat JSON object into out (cut off: false). false when the object
 * is not well formed, holds the name twice or not at all. */
bool uplink_problem_member(const uint8_t *p, size_t n, const char *name, char *out, size_t size);

/* ---- back-off (answer.c, pure) ---- */

#define UPLINK_BACKOFF_FIRST_MS 1000
#define UPLINK_BACKOFF_MAX_MS 60000
#define UPLINK_RETRY_AFTER_MAX_MS 600000
/* How long to wait after `failures` > 0 in a row: full jitter below an exponential ceiling, never
 * less than Retry-After (bounded). */
int64_t uplink_backoff_ms(unsigned failures, uint32_t random, long retry_after_s);

/* ---- what a month may cost (budget.c) ---- */

enum uplink_metered { UPLINK_METERED_AUTO, UPLINK_METERED_ALWAYS, UPLINK_METERED_NEVER };
/* Whether what goes over this interface costs by the byte: a modem does (wwan, ppp, modems on USB);
 * what has no device of its own, and "", is judged by the default route's. `root` is put before the
 * paths: "" for the machine's own (link.c). */
bool uplink_link_metered(const char *root, const char *interface);

/* ---- a certificate whose dates do not hold by the clock here (clock.c) ---- */

/* For the technician: which side, what the clock says, what to do. The time must come from NTP or
 * an RTC, never from a peer: one that is not verified may say any date, an old one too, to pass off
 * a certificate that has expired. */
void uplink_clock_words(const struct http_reply *r, enum clk_grade grade, char *out, size_t n);
/* Nothing but the clock, or the city, can mend it: waits a minute, or until the clock has moved or
 * is worth something else, or the stop. */
void uplink_clock_wait(const struct uplink_job *job);

/* ---- the run: accepted batches whose receipts are not verified yet (run.c) ---- */

#define UPLINK_RUN_MAX 64
#define UPLINK_RECEIPT_MAX 2048
struct uplink_sent {
    int64_t id;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq, readings;
    int64_t to_ms; /* the end of its window */
    uint8_t hash[WIRE_HASH_BYTES];
    uint64_t through_seq;
    uint8_t through_hash[WIRE_HASH_BYTES];
    size_t at, n; /* its receipt within the bytes */
};
struct uplink_run {
    struct uplink_sent sent[UPLINK_RUN_MAX];
    size_t count;
    struct buf bytes;
    struct mono since; /* of the first */
    bool ask;          /* a `through` reaches further than what was sent: the head must say more */
};
/* Checks that the receipt is about this batch of this gateway and keeps it. ST_FULL: settle
 * first; ST_CORRUPT: it speaks of something else. */
enum st uplink_run_add(struct uplink_run *run, const char *gw, const struct store_batch *b,
                       const struct buf *receipt, struct mono now, struct err *e) ST_MUST_CHECK;
/* Whether the last receipt names a key that is none of these. */
bool uplink_run_stranger(const struct uplink_run *run, const struct uplink_key *keys, size_t nkeys);
/* Verifies the last receipt and acknowledges what its signature covers, until the run is empty
 * (store NULL: all but the acknowledging).
 * A key that the city has replaced speaks of nothing that was received, or sealed, behind its end.
 * A receipt that does not verify is dropped, and its batch will be sent again: ST_CORRUPT. Other
 * failures, among them no memory to verify it, leave the rest of the run. acked() is told each
 * batch that is durably acknowledged. */
enum st uplink_run_settle(struct uplink_run *run, const struct uplink_key *keys, size_t nkeys,
                          struct store *store, uint32_t uplink,
                          void (*acked)(void *ctx, const struct uplink_sent *s), void *ctx,
                          struct err *e) ST_MUST_CHECK;

/* ---- receipts in files (carried.c) ---- */

/* On whose behalf a file is read. */
struct uplink_taker {
    const char *id, *gw;
    const struct uplink_key *keys;
    size_t nkeys;
    uint32_t index; /* in the store */
    struct store_reader *reader;
    struct store *store;   /* NULL: only count what it would acknowledge */
    struct thr_stop *stop; /* may be NULL */
};
/* Acknowledges every batch for which the file holds a receipt that one of the keys signed and that
 * is about this gateway and these very bytes. ST_BAD: from some place on it is no file of receipts,
 * but all before that is done; ST_STOPPED and the store's errors: try the whole file again. */
enum st uplink_carried_take(const struct uplink_taker *t, const char *path,
                            struct uplink_carried *n, struct err *e) ST_MUST_CHECK;
/* The same with all files that wait beside the store for this uplink, which are removed then; says
 * of each in an event what it was. */
enum st uplink_carried_all(const struct uplink_taker *t, uint64_t *acked,
                           struct err *e) ST_MUST_CHECK;

/* ---- batches that a person wants to be sent once more (again.c) ---- */

/* Hands the store all that was asked for through its folder, and says so in an event. */
void uplink_again_all(struct store *s);

/* ---- what the city holds (head.c) ---- */

/* The head is asked for at the start, before anything is sent; then about every hour; and soon when
 * something says that the city has not what it had: a receipt whose `through` is lower than an
 * earlier one, a key that it does not know, a 409, a `through` beyond what was sent. */
#define UPLINK_HEAD_EVERY_MS 3600000 /* plus or minus a quarter, at random */
#define UPLINK_HEAD_SOON_MS 10000    /* not sooner after the one before */
#define UPLINK_HEAD_AGAIN_MS 300000  /* after one that took something back: there may be more */
/* What the city had acknowledged and lost is sent again one batch in so many ms, behind all else: a
 * day of 5-minute windows in 10 minutes, 60 days in 10 hours. */
#define UPLINK_AGAIN_MS 2000

/* ---- addresses (url.c) ---- */

#define UPLINK_URL_BYTES 512
/* How long it is without slashes at its end. */
size_t uplink_url_base(const char *url);
/* That, and the path behind it; ST_BAD: too long. */
enum st uplink_url_put(char out[UPLINK_URL_BYTES], const char *url, struct err *e, const char *fmt,
                       ...) __attribute__((format(printf, 4, 5))) ST_MUST_CHECK;

#define UPLINK_CONNECT_MS 10000
#define UPLINK_CALL_MS 60000
#define UPLINK_SLOWEST 4 /* bytes a ms of a batch's upload, on top: 1 MiB has five minutes */
/* What the head says of the gateway's configuration. */
struct uplink_city_config {
    bool keeps; /* this city keeps configurations */
    uint8_t sha256[WIRE_HASH_BYTES];
};
struct uplink_head_call {
    struct http_client *client;
    const char *url, *gw;
    const struct uplink_key *keys;
    size_t nkeys;
    int64_t now_ms; /* UTC; INT64_MIN: the date is not known */
    int stop_fd;
    struct uplink_city_config *config; /* may be NULL */
};
/* Asks for the signed head with a fresh nonce and gives what it says to the store; trust: the
 * number of the city's last notice; lacks: what the city has lost of what it had acknowledged.
 * Nothing is applied unverified. reply: how the call went (status 0: no answer, for the reason that
 * http_client_do gave); its body is scratch. With an answer: ST_NOT_FOUND: it is not a head;
 * ST_CORRUPT: one that does not verify; else the store could not take it. */
enum st uplink_head_ask(const struct uplink_head_call *c, struct store *s, uint32_t uplink,
                        struct store_lacks *lacks, uint64_t *trust, struct http_reply *reply,
                        struct err *e) ST_MUST_CHECK;
/* ST_OK when it answers this question and one of the keys that count then signed it; ST_CORRUPT;
 * ST_MEMORY: it is not known. */
enum st uplink_head_check(const struct wire_head *h, const struct wire_cose *cose, const char *gw,
                          const char *nonce, const struct uplink_key *keys, size_t nkeys,
                          int64_t now_ms, struct err *e) ST_MUST_CHECK;

/* ---- feeds (format/<name>.c) ---- */

/* PUTs the stored bytes of a batch. The result is http_client_do's. */
enum st uplink_city_put(struct http_client *c, const char *url, const char *gw,
                        const struct store_batch *b, bool backfill, int stop_fd,
                        struct http_reply *r, struct err *e) ST_MUST_CHECK;

/* ---- an uplink (uplink.c opens it, send.c runs it) ---- */

#define UPLINK_HELD_MAX 16
#define UPLINK_ANSWER_MAX 16384
/* A batch that the city cannot take now; others pass it. */
struct uplink_held {
    int64_t id;
    struct mono until;
};

/* The TLS certificate that this uplink shows, and when it is renewed (renew.c). */
#define UPLINK_PATH_BYTES 512
struct uplink_identity {
    char path[UPLINK_PATH_BYTES]; /* "": none */
    bool looked, good, ended;
    struct wire_cert cert;
    ino_t ino; /* of what was read */
    struct timespec mtime;
    off_t size;
    struct mono next_look;
    int64_t renew_ms, warned_ms; /* UTC */
    unsigned failures;
};

/* What the page asks the city's CA for (page.c). */
struct uplink_page {
    ino_t ino;             /* of the request that was tried last, … */
    struct timespec mtime; /* and its time */
    struct mono due, look;
    unsigned failures;
    char said[200]; /* why not, as told */
};

/* The configuration that the city is to keep (deposit.c). */
struct uplink_deposit {
    struct uplink_city_config city;
    bool look;     /* whether the store has another */
    unsigned seen; /* as store_deposits says */
    bool told;     /* that it is there */
    struct mono due;
    unsigned failures;
};

/* Whom of the city it trusts, and the file that says so (trust_step.c). */
struct uplink_trusting {
    struct uplink_trust trust;
    bool looked;
    ino_t ino; /* of what was read */
    struct timespec mtime;
    off_t size;
    char ca[DROP_PATH_BYTES + 128]; /* the PEM file for TLS now */
    bool reopen;                    /* connections under other CAs than these are to end */
    struct mono next_look, next_ask;
    int64_t at_ms;   /* UTC: the time by which the CAs were chosen */
    int64_t ends_ms; /* UTC: when something of it ends */
    uint64_t heard;  /* the last notice that a head told of and that was asked for */
    bool told;       /* an event says why a notice is refused */
};

struct uplink {
    char *id, *url, *ca;
    bool required;
    struct uplink_trusting t;
    uint32_t index; /* in the store */
    enum uplink_metered metered;
    pthread_mutex_t lock;
    struct uplink_status status; /* under lock */
    atomic_bool busy;            /* see uplinks_busy */

    /* The thread's own. */
    struct uplink_job *job;
    const char *gw;
    struct store_reader *reader;
    struct http_client *client;
    struct http_reply reply;
    struct uplink_run run;
    struct uplink_held held[UPLINK_HELD_MAX];
    size_t nheld;
    int64_t live_id; /* newest data batch that was sent */
    /* of what urges: none up to here is to be sent; for none up to here a pause ends */
    int64_t urgent_id, urgent_tried;
    bool asked; /* the city has been asked what it holds */
    struct {
        struct mono at, due;
        uint8_t chain[WIRE_ID_BYTES];   /* of the last receipt … */
        uint64_t through;               /* … and its `through` */
        uint8_t keyless[WIRE_ID_BYTES]; /* the last chain whose key the city did not take */
        bool good;                      /* a signed one has come behind the last fault */
    } head;
    int64_t again_id; /* up to this id what is unsent is sent again, at its pace; 0: nothing */
    struct mono again_due;
    uint8_t ended[WIRE_ID_BYTES]; /* the chain whose conflict was told last */
    struct http_wire wire;
    int64_t counted; /* of the wire */
    struct store_budget budget;
    bool stopped; /* status.text tells of the budget */
    unsigned failures;
    uint64_t random;
    struct log_limit acked_limit;
    bool of_store; /* status.text tells of what fails here */
    struct uplink_identity identity;
    struct uplink_page page;
    struct uplink_deposit deposit;
};
/* deposit.c: the head has said what the city keeps; and: no batch waits, so the configuration may
 * go out. false: there is nothing to do now. What fails is tried again later and keeps nothing
 * back. */
void uplink_deposit_heard(struct uplink *u, const struct uplink_city_config *c);
bool uplink_deposit_step(struct uplink *u);

uint32_t uplink_draw(struct uplink *u); /* 32 random bits */
/* How long to wait after failure *failures, which counts this one then: `first_ms` doubled for each
 * before it, at most `most_ms`, half of it at random. For what a city need not see at once. */
int64_t uplink_again_ms(struct uplink *u, int64_t first_ms, int64_t most_ms, unsigned *failures);
/* Reads the certificate again when its file has changed, renews it when it is time, and says when
 * it ends; at most once a second. The client is closed (NULL) when another is to be shown. */
void uplink_renew_step(struct uplink *u);
/* Takes what the page asks for to the city, with the certificate of enrolment, and leaves the
 * answer. A refusal is an event, once in its words; it is tried again after a minute, up to six
 * hours. */
void uplink_page_step(struct uplink *u);
/* What to show: NULL without one, or when it has ended, for batches go without it. */
const char *uplink_client_cert(const struct uplink *u);

/* Reads the notices again when their file has changed, and looks what has ended; at most once a
 * second. The client is closed (NULL) when other CAs count. ST_IO: the file for TLS cannot be
 * written, so nothing can be sent. */
enum st uplink_trust_step(struct uplink *u, struct err *e) ST_MUST_CHECK;
/* Asks the city for its notices and takes them. true: there are new ones. */
bool uplink_trust_ask(struct uplink *u);
/* A head says that there are notices up to that number. */
void uplink_trust_heard(struct uplink *u, uint64_t n);
/* Now, for what ends; INT64_MIN: the date is not known. */
int64_t uplink_trust_now(const struct clk *clk);

/* status.c: what fails on the way to the city and back; what fails here, in the store or for want
 * of memory, which is over when that works again, batch or no batch; and what went well. */
void uplink_set_fault(struct uplink *u, const char *text);
/* why: a code of gateway/web/advice.def; that of uplink_set_fault is city_trouble. */
void uplink_set_fault_as(struct uplink *u, const char *why, const char *text);
/* Whether the latest receipts verify; what a new one says of the clock here. */
void uplink_set_unproven(struct uplink *u, bool is);
void uplink_set_clock_off(struct uplink *u, const struct wire_receipt *r);
void uplink_set_store_fault(struct uplink *u, const char *text);
void uplink_set_store_good(struct uplink *u);
/* Nothing waits: a fault is over when a signed head has come behind it. */
void uplink_set_settled(struct uplink *u);
void uplink_set_good(struct uplink *u);
/* An event about this uplink, in the log, too. */
void uplink_event(struct uplink *u, enum store_severity severity, const char *what,
                  const char *text);
/* Nothing may go out, for this reason; NULL: it may. No event of its own. */
void uplink_set_stopped(struct uplink *u, const char *text);
/* http_client_do gave st: without an answer. */
void uplink_call_failed(struct uplink *u, enum st st, const struct http_reply *r,
                        const struct err *e);

/* pick.c: the next batch and whether it is backlog, which only comes where all may be spent; what
 * urges (store_urge) comes also where nothing may. ST_NOT_FOUND: nothing now. */
enum st uplink_pick(struct uplink *u, enum store_spend spend, struct store_batch *b, bool *backfill,
                    struct err *e) ST_MUST_CHECK;
bool uplink_urged(const struct uplink *u); /* there may be some of it */
/* The city cannot take it now: others pass it for a minute. */
void uplink_hold(struct uplink *u, int64_t id);
/* The same for so long; -id: all batches of its chain. */
void uplink_hold_for(struct uplink *u, int64_t id, int64_t ms);

/* budget.c: counts what the last call took (at_end: and saves it), and says what may go out now. */
void uplink_count(struct uplink *u, bool at_end);
enum store_spend uplink_may_spend(struct uplink *u);

/* ask.c */
bool uplink_head_due(const struct uplink *u);
void uplink_head_soon(struct uplink *u);
/* The city does not take the key of this chain. */
void uplink_head_for_key(struct uplink *u, const uint8_t *chain);
/* A batch was accepted; this is what its receipt claims. */
void uplink_head_heard(struct uplink *u, const struct uplink_sent *s);
void uplink_ask_head(struct uplink *u);

struct uplinks {
    char *gw;
    struct uplink *v;
    size_t n;
};

#endif
