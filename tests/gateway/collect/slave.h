/* A Modbus slave that misbehaves on demand, over TCP or a pty; a thread of its own.
 *
 * Its first register counts the requests to the unit, the others hold their address, those from
 * SLAVE_SET on what a test puts there. Whatever it
 * should not say carries SLAVE_POISON in every register, so that a wrong value shows. */
#ifndef TESTS_GATEWAY_COLLECT_SLAVE_H
#define TESTS_GATEWAY_COLLECT_SLAVE_H

#include <stdatomic.h>

#define SLAVE_POISON 0xDEAD
#define SLAVE_LATE_MS 300
#define SLAVE_PIECES_MS 20
#define SLAVE_SET 300
#define SLAVE_SETS 8
#define SLAVE_BEHIND_MAX 4

enum slave_mood {
    SLAVE_GOOD,
    SLAVE_PIECES, /* a good answer in two pieces, SLAVE_PIECES_MS apart */
    SLAVE_MUTE,
    SLAVE_REFUSE,         /* exception 2 */
    SLAVE_GARBAGE,        /* bytes without sense */
    SLAVE_HALF,           /* the first half of an answer */
    SLAVE_OTHER_UNIT,     /* another unit's answer */
    SLAVE_OTHER_FUNCTION, /* an answer to another function */
    SLAVE_OTHER_REQUEST,  /* TCP: wrong transaction; serial: wrong CRC */
    SLAVE_SHORT,          /* well-formed, but a register short */
    SLAVE_LATE,           /* a well-formed answer after SLAVE_LATE_MS, on whatever line there is */
    SLAVE_TWICE,          /* a good answer and at once another one */
    SLAVE_HANG_UP,        /* TCP: closes the connection */
    SLAVE_REFUSE_JOINED,  /* exception 2 to more than one register, else good */
    SLAVE_MUTE_JOINED,    /* the same, silent */
    SLAVE_MUTE_LONG,      /* silent to more than two registers, else good */
    SLAVE_MOODS
};

/* The registers of a unit that has no others: it refuses a request that is not all among them, or
 * (mute) does not answer it. */
struct slave_words {
    unsigned from, n;
    const unsigned short *v;
    int mute;
};

struct slave {
    atomic_int mood[256];
    atomic_uint requests[256];
    atomic_uint behind[256]; /* serial: a converter gives each answer so many requests later */
    atomic_uint held;        /* answers that it has not given yet; of one such unit at a time */
    atomic_uint set[256][SLAVE_SETS];
    atomic_int mute_function;                       /* which it never answers; 0: none */
    _Atomic(const struct slave_words *) words[256]; /* NULL: as above; swapped as one */
    char address[64];                               /* TCP port, or name of the pty */
    /* private */
    atomic_bool stop;
    int wake[2], listener, line, keep;
    struct slave_late *late;
    unsigned long thread;
};

/* port "": a free one. 0 when it runs. */
int slave_open_tcp(struct slave *s, const char *port);
int slave_open_serial(struct slave *s);
void slave_close(struct slave *s); /* takes a zeroed one that never opened */

#endif
