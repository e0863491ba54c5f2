/* Uplink: sends sealed batches to where they are wanted and stores the receipts. One thread per
 * uplink; format/<name>.c is one feed. */
#ifndef GATEWAY_UPLINK_UPLINK_H
#define GATEWAY_UPLINK_UPLINK_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

extern const struct cfg_table uplink_table; /* of one entry of the map `uplinks` */

/* ST_BAD, and what is wrong with the url of a city, in words that hold nothing of it. */
enum st uplink_url_check(const char *url, struct err *e) ST_MUST_CHECK;

struct uplinks;
/* cfg: the filled map. Loads receipt keys, checks files and URLs; mistakes go to c. */
enum st uplinks_open(struct uplinks **out, const struct cfg_items *cfg, const char *gateway,
                     struct cfg *c, struct err *e) ST_MUST_CHECK;
/* After it: where no `identity` is configured it is ID.pem beside this key. */
enum st uplinks_beside(struct uplinks *u, const char *seal_key, struct err *e) ST_MUST_CHECK;
enum st uplinks_declare(struct uplinks *u, struct store *s, struct err *e) ST_MUST_CHECK;
void uplinks_close(struct uplinks *u);

size_t uplinks_count(const struct uplinks *u);
const char *uplinks_id(const struct uplinks *u, size_t i);
/* Where its TLS key and certificate are. */
const char *uplinks_identity(const struct uplinks *u, size_t i);
/* How its city is reached: borrowed, but for the CA, whose file may be another with the city's next
 * notice. Any thread. */
#define UPLINK_CA_BYTES 1280
struct uplink_reach {
    const char *url, *identity;
    char ca[UPLINK_CA_BYTES]; /* PEM file */
};
void uplinks_reach(const struct uplinks *u, size_t i, struct uplink_reach *out);
/* What the page shows of an uplink. Any thread. */
struct uplink_status {
    bool online, required;
    char text[200];  /* last fault and what to do; "" when all is well */
    const char *why; /* what it is about: a code of gateway/web/advice.def; NULL when all is well */
    bool unproven;   /* the latest receipts are of no key that counts */
    int64_t
        clock_off_ms;   /* how far the city's clock is ahead of the one here, where that is much */
    int64_t last_ok_ms; /* UTC; 0: never since start */
    uint64_t sent, acknowledged, bytes;
    uint64_t wire_bytes;  /* since start: both ways, TLS and heads of packets */
    bool metered;         /* the link of now costs by the byte */
    int64_t month_bytes;  /* over such links in this calendar month of Viet Nam */
    int64_t budget_bytes; /* of a month; 0: none */
    int64_t renews_ms;    /* UTC: when the next month begins; 0: the date is not known */
    int64_t cert_to_ms;   /* UTC: when the TLS certificate ends; 0: there is none */
    char cert_text[200];  /* what is wrong with it, from 30 days before its end on; "" */
    uint64_t trust_n;     /* the city's notice that counts last; 0: none does */
    int64_t trust_to_ms;  /* UTC: when something that it replaced ends; 0: nothing does */
    char trust_text[200]; /* why a notice is refused; "" */
};
void uplinks_status(const struct uplinks *u, size_t i, struct uplink_status *out);

/* Receipts that were carried here in a file, a CBOR sequence (RFC 8742) of receipts as the city
 * signed them; the file's order does not matter. */
struct uplink_carried {
    uint64_t acked;     /* for batches that waited for them */
    uint64_t known;     /* for batches acknowledged before */
    uint64_t absent;    /* for batches that the store does not hold (any more) */
    uint64_t foreign;   /* for other gateways */
    uint64_t other;     /* for other bytes than ours under this number */
    uint64_t unsigned_; /* signed by none of the uplink's receipt_keys */
    uint64_t strange;   /* not receipts */
};
/* Counts what uplink i would make of the file, and changes nothing. ST_BAD: it is cut off or no
 * file of receipts; n has what stands before that. */
enum st uplinks_carried(const struct uplinks *u, size_t i, struct store_reader *r, const char *path,
                        struct uplink_carried *n, struct err *e) ST_MUST_CHECK;
/* Puts the file where uplink i of the gateway on this store looks for such files: into the folder
 * STORE.receipts, under a name that goes to `name`. The gateway takes it within seconds, or when it
 * next starts, and then removes it. */
#define UPLINK_SPOOL ".receipts"
enum st uplinks_hand_over(const struct uplinks *u, size_t i, const char *store_path,
                          const char *path, char *name, size_t size, struct err *e) ST_MUST_CHECK;

/* ---- the city's own keys (decision 0023) ---- */

/* Reads what the city's notices changed, from beside the store: after uplinks_open, where no thread
 * runs. ST_BAD and ST_CORRUPT: something of it is damaged; what verified counts. */
enum st uplinks_trust_open(struct uplinks *u, const char *store_path, struct err *e) ST_MUST_CHECK;
/* Says what uplink i trusts and until when, a line each. */
void uplinks_trust_say(const struct uplinks *u, size_t i, void (*say)(const char *text));
/* Takes the notices in a file (a CBOR sequence, as the city gives them) that a person brought, up
 * to the first that is refused; say() is told what each changes. They are kept beside the store,
 * and a gateway that runs uses them within a second. ST_NOT_FOUND: signed by nobody whom it trusts;
 * ST_CORRUPT: forged, out of order or replayed; ST_BAD: no such file; and those of the files. */
struct uplink_trusted {
    uint64_t fresh, known; /* notices that count now; that did before */
};
enum st uplinks_trust_take(struct uplinks *u, size_t i, const char *store_path, const char *file,
                           const struct clk *clk, void (*say)(const char *text),
                           struct uplink_trusted *n, struct err *e) ST_MUST_CHECK;

/* What the store knows of the uplink's month: when it began (UTC; 0: the date was never known) and
 * what went over links that cost by the byte since. The gateway writes it once an hour. */
enum st uplinks_spent(struct store_reader *r, const char *id, int64_t *since_ms, int64_t *bytes,
                      struct err *e) ST_MUST_CHECK;
/* Asks the gateway on this store, through the folder STORE.resend, for the readings of a batch that
 * was refused for ever to be sealed and sent once more: it looks there every second, or when it
 * next starts, and does it with the next window. Asked twice is asked once. */
#define UPLINK_RESEND ".resend"
enum st uplinks_ask_again(const char *store_path, const uint8_t chain[WIRE_ID_BYTES], uint64_t seq,
                          struct err *e) ST_MUST_CHECK;

/* ---- enrolment ---- */

/* What `fieldpost enroll` asks for. */
struct uplink_enroll {
    const char *gateway;
    const struct cfg_items *uplinks; /* of the configuration; their files need not be there yet */
    const char *beside;              /* the key that seals: identities stand beside it */
    const struct wire_signer *key;   /* that key */
    const char *city;                /* its url; NULL: the only uplink's */
    const char *code;                /* the claim code; NULL: the certificate is there already */
    const char *pin, *ca_file;       /* how the city is known, while `ca` is not there; NULL */
    bool replaces;                   /* the box that had this id; the store must not be there yet */
    const char *store_path;          /* where it will be */
    void (*say)(const char *text);   /* what was done, a line each */
    /* With replaces: what the city kept of the other box's configuration, once it is verified;
     * NULL: it kept none, and `why` says so. Its failure is uplink_enroll's. */
    enum st (*restore)(void *ctx, const struct wire_deposit *d, const char *why, struct err *e);
    void *ctx;
};
/* Learns the city's CA and receipt key where the configuration's files are not there yet (none is
 * ever overwritten), gets a certificate for a key that is made here, and registers the batch key.
 * Nothing is sent to anybody but the city that the CA or the pin names; the code is in no message.
 * After a failure all that was told stays done, and the same call again goes on. ST_REFUSED: the
 * city says no; ST_CORRUPT: it is not the city; ST_BAD, ST_BUSY and those of the network. */
enum st uplink_enroll(const struct uplink_enroll *q, struct err *e) ST_MUST_CHECK;

struct uplink_job {
    struct uplinks *uplinks;
    size_t i;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
    /* May be NULL. A batch was answered for: so many bytes in so many us (http_reply.call_us), over
     * this interface, "": not known. On the uplink's thread. */
    void (*uploaded)(void *ctx, const char *interface, int64_t bytes, int64_t us);
    void *ctx;
};
/* Whether one of them talks to its city now, or goes on with its backlog at once. Any thread. */
bool uplinks_busy(const struct uplinks *u);
void uplink_main(void *uplink_job);

#endif
