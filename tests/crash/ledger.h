/* What the world outside the gateway knows: which readings their sources have been told are safe,
 * which bytes the city was handed, which it has accepted. Each entry says behind how many recorded
 * calls it became true. A store that comes back after a power cut is judged against it. */
#ifndef TESTS_CRASH_LEDGER_H
#define TESTS_CRASH_LEDGER_H

#include "tests/support/line.h"

#define LEDGER_NEVER SIZE_MAX
#define LEDGER_DEVICES 8
#define LEDGER_POINTS 16
#define LEDGER_SECONDS 65536 /* behind LINE_T0 */

struct ledger_poll {
    int64_t t_ms, v;  /* all its points have this value, in tenths */
    size_t put, safe; /* queued; acknowledged to its source */
    uint32_t points, device;
};
/* A batch that some store once held. */
struct ledger_batch {
    uint64_t seq;
    struct buf packed, cose;
    struct wire_batch batch;
    uint8_t hash[WIRE_HASH_BYTES];
    uint32_t *reading; /* poll * LEDGER_POINTS + point */
    size_t n;
    size_t noted;    /* first seen, by the script */
    size_t handed;   /* to the city */
    size_t accepted; /* by its receipt; or refused for ever */
    bool held;       /* by the store that is judged */
    bool voided;     /* by a control batch of that store */
    bool fresh;      /* only an image's store has it */
    bool past;       /* of before a cut that nobody has seen: its number may come again */
};
struct ledger {
    struct ledger_poll *poll;
    size_t npoll, cap;
    uint32_t *find; /* [device][second]: poll + 1 */
    struct ledger_batch *batch;
    size_t nbatch;
    struct wire_pub *pub;
    const struct line *line; /* its db and clock */
};

void ledger_init(struct ledger *g, const struct line *l);
void ledger_done(struct ledger *g);
void ledger_put(struct ledger *g, uint32_t device, uint32_t points, int64_t t_ms, int64_t v,
                size_t at);
/* What came behind `at` has not come to be: polls may be put again, with other values, and the city
 * was not handed what it was handed then. */
void ledger_forget(struct ledger *g, size_t at);
/* All polls that were put are safe. */
void ledger_safe(struct ledger *g, size_t at);
/* Looks at all batches of the store: new ones are verified and noted, and what they hold is safe.
 */
void ledger_harvest(struct ledger *g, struct store_reader *r, size_t at);
/* The city is handed this batch: the first time, or once more the same bytes. */
void ledger_hand(struct ledger *g, const struct store_batch *b, size_t at);
/* The city has stored this batch (with the whole prefix), or refuses it for ever. */
void ledger_accept(struct ledger *g, const uint8_t *chain, uint64_t seq, bool prefix, size_t at);

/* Whether these are the bytes of that batch. */
bool ledger_same(const struct ledger_batch *x, const struct store_batch *b);
/* Opens, verifies and notes a batch; NULL with *why when it is no batch of ours. */
struct ledger_batch *ledger_note(struct ledger *g, const struct store_batch *b, const char **why);
/* poll * LEDGER_POINTS + point of a reading; false when nobody has measured that. */
bool ledger_reading(struct ledger *g, const struct wire_reading *w, uint32_t *out);

/* What is wrong with a store that came back. */
enum { LEDGER_LOST = 1, LEDGER_DOUBLED = 2, LEDGER_CORRUPT = 4 };
struct ledger_view {
    int wrong;      /* a sum of the above; each is said on stderr */
    size_t sealed;  /* batches that the script has not seen */
    size_t pending; /* readings in the journal */
    int64_t oldest_pending_ms;
};
/* Judges the store at line->db; the power was cut behind `at` recorded calls. */
void ledger_judge(struct ledger *g, size_t at, struct ledger_view *out);

#endif
