/* A Modbus RTU slave: what it answers to one whole frame (MODBUS Application Protocol V1.1b3,
 * MODBUS over Serial Line V1.02). Functions 3 and 4 (the same registers), 6, 16 and 43/14.
 *
 * Pure but for the map that it is given; one thread. */
#ifndef FIRMWARE_SLAVE_H
#define FIRMWARE_SLAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAVE_FRAME_MAX 256U
#define SLAVE_FRAME_MIN 4U /* address, function, CRC */
#define SLAVE_ALL 0U       /* the address of a broadcast */
#define SLAVE_READ_MAX 125U
#define SLAVE_WRITE_MAX 123U
#define SLAVE_OBJECT_MAX 32U /* letters of an object of the identification */
/* A frame that says what was just answered to function 6 looks like the request: within this time
 * the first is taken for the echo of a line that hears itself, or for a twin with this address, and
 * not answered, or two nodes would answer each other for ever. */
#define SLAVE_ECHO_MS 100U

enum slave_exception {
    SLAVE_DONE = 0, /* none */
    SLAVE_FUNCTION = 1,
    SLAVE_ADDRESS = 2,
    SLAVE_VALUE = 3,
    SLAVE_DEVICE = 4, /* what was asked for cannot be kept */
};

/* What the slave shows. A refused call has changed nothing. */
struct slave_map {
    /* count (1 to 125) registers from `at` on to p, two bytes each; at + count <= 65536. */
    enum slave_exception (*read)(void *ctx, unsigned at, unsigned count, uint8_t *p);
    /* The same of p (1 to 123). to_all: it was a broadcast, and nobody hears what it gives. */
    enum slave_exception (*write)(void *ctx, unsigned at, unsigned count, const uint8_t *p,
                                  bool to_all);
    /* An object of the identification, at most SLAVE_OBJECT_MAX letters; NULL: there is none. 0 to
     * 2 (vendor, product code, revision) must be there; 3 to 6 are the regular ones. */
    const char *(*object)(void *ctx, unsigned id);
    void *ctx;
};

struct slave {
    uint8_t address;     /* 1 to 247 */
    uint32_t requests;   /* to this address alone, with a right CRC */
    uint32_t exceptions; /* that were answered */
    bool echo;           /* an answer to function 6 may come back */
    uint8_t echo_of[4];
    uint32_t echo_ms;
};

/* CRC-16/MODBUS (reflected 0xA001, begins with 0xFFFF) of n bytes; its low byte goes first. */
uint16_t slave_crc(const uint8_t *p, size_t n);
/* Whether the n bytes end with the right CRC. */
bool slave_whole(const uint8_t *p, size_t n);
/* Whether the n bytes are, from the first to the last, a request of a known function to this
 * address or to all, with its right length and CRC. */
bool slave_is_request(const uint8_t *p, size_t n, uint8_t address);
/* Does what the frame asks for and writes the answer, of which it gives the length; 0: there is
 * none: the frame is broken, not for this node, itself an answer, or for all. `answer` has room for
 * SLAVE_FRAME_MAX bytes and may be the memory of the frame. */
size_t slave_answer(struct slave *s, const struct slave_map *map, const uint8_t *frame, size_t n,
                    uint32_t now_ms, uint8_t *answer);

#endif
