/* Store: what people ask for, retire, correct, maintain, enter, from their words to the entry
 * that the chain is to have (decisions 0018, 0025, 0036). A part of store.h, which includes it. */
#ifndef GATEWAY_STORE_ASKED_H
#define GATEWAY_STORE_ASKED_H

#include "gateway/base/clk.h"
#include "gateway/wire/wire.h"

struct store;
struct store_reader;

/* In words, as a command line or a form has them: texts, NULL where nothing is said, borrowed. */
enum store_ask_kind { STORE_CORRECT, STORE_MAINTAIN, STORE_RETIRE, STORE_ENTER, STORE_ASK_KINDS };
#define STORE_ASK_DETAILS 16
struct store_ask_detail {
    const char *key, *value;
};
struct store_ask {
    enum store_ask_kind kind;
    const char *series;         /* device/point; maintain and retire take device/STAR, too */
    const char *from, *to, *at; /* times, as clk_parse takes them */
    const char *change;         /* "invalidate"; "rescale": scale, offset; "reassign": target */
    const char *scale, *offset, *target;
    const char *id;   /* takes the place of that correction */
    const char *undo; /* that correction was a mistake: this and a reason alone */
    const char *work; /* "calibration", "swap", "meter" */
    const char *reason;
    const char *value, *unit; /* a reading that was made by hand; unit NULL: the quantity's own */
    const char *note;         /* what its author says of it */
    const char *force;        /* "true": also outside of its limits */
    const char *by;           /* who says so: for the caller to use */
    struct store_ask_detail detail[STORE_ASK_DETAILS]; /* of work: serials, what a meter showed … */
    size_t details;
};
/* The words that each kind takes, but for details; ends with NULL. */
struct store_ask_word {
    const char *name;
    size_t offset;
    unsigned kinds; /* a bit for each */
    bool number;    /* may be written as a number where a form can */
    bool flag;      /* "true" or "false": as a truth where a form can */
};
extern const struct store_ask_word store_ask_words[];
const struct store_ask_word *store_ask_word_of(enum store_ask_kind kind, const char *name);
const char **store_ask_at(struct store_ask *a, const struct store_ask_word *w); /* its place in a */

/* A request as the seal takes it. */
#define STORE_CORRECTION_BYTES 129
struct store_request {
    uint8_t id[WIRE_ID_BYTES];
    char hex[WIRE_ID_TEXT]; /* the same */
    char who[WIRE_WHO_MAX + 1];
    char correction[STORE_CORRECTION_BYTES]; /* its id; "" where it is none */
    int64_t at_ms;
    struct buf bytes;
    struct wire_request open; /* spans into bytes */
};
/* Encodes what is asked for under a fresh id. who: the author; r is needed for `undo` and for the
 * end of a calibration alone, NULL: it cannot be read now (ST_IO). ST_BAD: which word, and why;
 * ST_NOT_FOUND: no such correction. Free it, also after a failure. */
enum st store_request_make(struct store_request *q, const struct store_ask *a, const char *who,
                           int64_t at_ms, struct store_reader *r, struct err *e) ST_MUST_CHECK;
/* The same of what was written to a device while commissioning: a `setup` entry. */
enum st store_request_setup(struct store_request *q, const char *what, const char *who,
                            int64_t at_ms, struct err *e) ST_MUST_CHECK;
/* The same of a change that is done: a `change` entry (decision 0044). The id is the caller's, so
 * that what is handed over twice is sealed once. ST_BAD: a word that the entry cannot have. */
struct store_change {
    int64_t at_ms;
    const char *what, *about; /* "user.added"; a user's or token's name, "" */
    const char *now, *author;
};
enum st store_request_change(struct store_request *q, const struct store_change *a,
                             const uint8_t id[WIRE_ID_BYTES], struct err *e) ST_MUST_CHECK;
void store_request_free(struct store_request *q);
/* Whether it may be sealed: about what is due and known. `s` says what is configured; r NULL: on
 * its writer thread. now_ms: 0 when it is not known. `each` (may be NULL) is told each series that
 * a retirement ends. ST_BAD: a time or unit; ST_NOT_FOUND: no such series; ST_CONFLICT: still
 * configured, of another quantity, read by a device, outside its limits, or entered before;
 * ST_BUSY: it has to wait until the clock is known. */
enum st store_request_check(struct store *s, struct store_reader *r, const struct wire_request *q,
                            int64_t now_ms, void (*each)(void *ctx, const char *series), void *ctx,
                            struct err *e) ST_MUST_CHECK;
/* The reading that such a request brings: its series is configured and manual, the unit is the
 * quantity's or becomes it exactly, the value lies within the limits (or is forced and flagged),
 * the time does not lie ahead. Not whether it was entered before. Failures as above. Any thread. */
struct store_entered {
    uint32_t series;
    int64_t t_ms; /* UTC */
    struct num v; /* NUM_DEC, in the quantity's unit */
    uint16_t q;   /* WIRE_Q_HAND, and WIRE_Q_LIMITS */
    enum clk_grade grade;
};
enum st store_enter_of(struct store *s, const struct wire_request *q, int64_t now_ms,
                       struct store_entered *out, struct err *e) ST_MUST_CHECK;
/* A value in `unit` as one in the unit `to`, both SenML units or what people write (t, km, l). Only
 * what comes out exactly: ST_BAD else. */
enum st store_unit_convert(struct num v, const char *unit, const char *to, struct num *out,
                           struct err *e) ST_MUST_CHECK;
/* Folder beside the store (the path and this) with one file for each, named by the time of asking,
 * so that they are taken in order: 16 hexadecimal digits, a minus and the id, and the first of
 * these two. What was refused is kept under the other, the reason behind the request. */
#define STORE_REQUESTS ".requests"
#define STORE_REQUEST_WAITS ".request"
#define STORE_REQUEST_REFUSED ".refused"
#define STORE_REQUEST_NAME (16 + 1 + 16)
#define STORE_REQUESTS_MAX 64                                  /* that wait */
bool store_request_name(const char *name, const char *suffix); /* whether it is one of them */
/* Puts it there for the gateway that runs on the store at path, or that will. ST_FULL: too many
 * wait; ST_REFUSED: this user may not. */
enum st store_request_put(const char *path, const struct store_request *q,
                          struct err *e) ST_MUST_CHECK;
/* What became of it, by its id in hex. ST_NOT_FOUND: there is no such request, or it is long ago
 * (the last 256 that were sealed and 16 that were refused are remembered). */
struct store_fate {
    enum { STORE_WAITS, STORE_SEALED, STORE_REFUSED } is;
    uint8_t chain[WIRE_ID_BYTES]; /* sealed */
    uint64_t seq;
    char why[ERR_TEXT_BYTES]; /* refused */
};
enum st store_request_fate(const char *path, struct store_reader *r, const char *hex,
                           struct store_fate *out, struct err *e) ST_MUST_CHECK;

#endif
