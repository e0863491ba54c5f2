/* Private to collect: how a device is given its address, speed and parity. The only code that
 * writes to a device is here, and only `fieldpost setup` calls it, by itself or through the gateway
 * that runs (commission.c): the ports that poll (port.c) know requests that read, and no other. */
#ifndef GATEWAY_COLLECT_SETUP_INT_H
#define GATEWAY_COLLECT_SETUP_INT_H

#include "gateway/collect/collect_int.h"

/* ---- what a profile says of it (setup_cfg.c) ------------------------------------------------ */

/* A code for a baud rate, or for parity and stop bits. */
struct collect_setup_code {
    int64_t code, baud, stop_bits;
    int parity; /* 'N' 'E' 'O' */
};
/* A register, or two, that is written, or read to know the model. */
struct collect_setup_place {
    int64_t function; /* 3 or 4 of identity; else 6 or 16 */
    int64_t address;
    int type, order;
    struct num value;       /* of unlock, save */
    struct cfg_ints values; /* of identity: what it may say */
    struct cfg_items codes; /* of baud, parity: struct collect_setup_code */
    bool given;
};
/* A request that makes the device measure. */
struct collect_setup_start {
    int64_t function, address, count, value;
    bool given;
};
enum collect_setup_what {
    COLLECT_SETUP_UNLOCK, /* in the order in which they are written */
    COLLECT_SETUP_PARITY,
    COLLECT_SETUP_BAUD,
    COLLECT_SETUP_UNIT,
    COLLECT_SETUP_SAVE,
    COLLECT_SETUP_IDENTITY, /* read alone */
    COLLECT_SETUP_PLACES
};
struct collect_setup {
    struct collect_setup_place place[COLLECT_SETUP_PLACES];
    struct collect_setup_start start;
    bool power_cycle;                  /* what was written counts then */
    char *before, *terminals, *supply; /* for people; NULL */
};
#define COLLECT_SETUP_CODES_MAX 16
#define COLLECT_SETUP_TEXT_BYTES 160
extern const struct cfg_table collect_setup_table;
/* What is wrong with it; fills what the tables cannot. Whether the file has any of it. */
bool collect_setup_check(struct cfg *c, struct collect_setup *s);

/* A value as the registers of a place hold it: how many bytes, 0: it does not fit. Pure. */
size_t collect_setup_encode(const struct collect_setup_place *p, struct num v, uint8_t out[8]);

/* ---- one request on a line of our own (setup_line.c) ----------------------------------------- */

/* Where a device is. */
struct collect_setup_where {
    int unit;
    int64_t baud, stop_bits; /* of a serial line */
    int parity;
};
enum collect_heard_what {
    COLLECT_HEARD_NOTHING,
    COLLECT_HEARD_ONE,     /* one whole answer, and nothing else */
    COLLECT_HEARD_REFUSAL, /* the same, an exception */
    COLLECT_HEARD_MORE,    /* damaged, another's, or more than one: two devices, or a bad line */
    COLLECT_HEARD_LOST     /* the line is gone */
};
struct collect_setup_answer {
    uint8_t pdu[256];
    size_t n;
};
/* What n bytes on a line mean that were heard after a request to `unit` (`sent` as it went out: PDU
 * between unit and CRC). An echo of the request may stand before the answer. Pure. */
enum collect_heard_what collect_setup_heard(const uint8_t *sent, size_t nsent, const uint8_t *heard,
                                            size_t n, struct collect_setup_answer *out);

struct collect_setup_line {
    const struct collect_bus_cfg *bus;
    struct _modbus *ctx; /* NULL: closed */
    int lock;            /* of a serial line that is open */
    struct collect_setup_where as;
    uint16_t transaction;
    int64_t timeout_ms;
    struct thr_stop *stop; /* ends what waits; set before it is opened */
};
/* Opens the bus's line with w's speed and parity, for us alone: ST_BUSY when another program, such
 * as a gateway, has it. */
enum st collect_setup_open(struct collect_setup_line *l, const struct collect_bus_cfg *bus,
                           const struct collect_setup_where *w, struct err *e) ST_MUST_CHECK;
void collect_setup_close(struct collect_setup_line *l); /* takes a zeroed one */
/* Sends a PDU and takes what comes. whole: listens for the whole time-out, so that a second answer
 * is heard, too. */
enum collect_heard_what collect_setup_ask(struct collect_setup_line *l, int unit,
                                          const uint8_t *pdu, size_t n, bool whole,
                                          struct collect_setup_answer *out);

/* ---- one setup (setup.c), and who is there (setup_who.c) --------------------------------------
 */

struct collect_setup_job {
    const struct collect_bus_cfg *bus;
    const struct collect_profile *profile;
    struct collect_profile *node; /* the same, of one of our nodes; NULL: it is none */
    const struct collect_setup *setup;
    const struct collect_setup_ask *ask;
    const struct collect_setup_talk *talk;
    struct collect_setup_where from, at, to; /* where it was, is, and is to be */
    struct collect_setup_line line;
    struct collect_setup_done *done;
};
static inline bool collect_setup_same_line(const struct collect_setup_where *a,
                                           const struct collect_setup_where *b)
{
    return a->baud == b->baud && a->parity == b->parity && a->stop_bits == b->stop_bits;
}
/* "unit 11 at 9600 8N1" */
const char *collect_setup_where_text(const struct collect_setup_job *j,
                                     const struct collect_setup_where *w, char text[64]);
/* The PDU of a request that reads; its length. */
size_t collect_setup_read(unsigned function, unsigned address, unsigned count, uint8_t pdu[5]);
/* Opens the line with w's settings, unless it is open with them. */
enum st collect_setup_go(struct collect_setup_job *j, const struct collect_setup_where *w,
                         struct err *e) ST_MUST_CHECK;
/* Why the line does not go on: ST_IO, it is gone; ST_STOPPED. */
enum st collect_setup_lost(const struct collect_setup_job *j, struct err *e);
/* Asks a unit for a sign of life on the open line; whole: as collect_setup_ask. */
enum collect_heard_what collect_setup_probe(struct collect_setup_job *j, int unit, bool whole,
                                            struct collect_setup_answer *a);
/* ST_CONFLICT: somebody answers as j->to.unit with the settings of w. */
enum st collect_setup_free(struct collect_setup_job *j, const struct collect_setup_where *w,
                           struct err *e) ST_MUST_CHECK;
/* Finds the one device, with the bus's settings or those as delivered: j->at. ST_NOT_FOUND: nobody
 * answers; ST_CONFLICT: two seem to, or another model. */
enum st collect_setup_find(struct collect_setup_job *j, struct err *e) ST_MUST_CHECK;

/* ---- one of our nodes (setup_node.c) ----------------------------------------------------------
 */

/* What is known of all of them; to be freed also after a failure. ST_MEMORY. */
enum st collect_setup_node(struct collect_profile *p) ST_MUST_CHECK;
/* Behind collect_setup_find: reads where its registers are, puts that into j->node, and looks again
 * by its serial number whether it is one alone. */
enum st collect_setup_node_find(struct collect_setup_job *j, struct err *e) ST_MUST_CHECK;

#endif
