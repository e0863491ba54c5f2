/* A whole node: the line, its registers, its chips, what it keeps. firmware/main.c turns it; tests
 * turn it over a port of their own.
 *
 * A turn reads what came, answers, and then makes one call of a chip or one transfer of the EEPROM,
 * each of at most 2 ms: so an answer waits for no more than that. One thread. */
#ifndef FIRMWARE_NODE_H
#define FIRMWARE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/node/config.h"
#include "firmware/node/counters.h"
#include "firmware/node/line.h"
#include "firmware/node/measure.h"
#include "firmware/port.h"
#include "firmware/slave/frame.h"
#include "firmware/slave/slave.h"

#define NODE_VENDOR "Fieldpost"
#ifndef NODE_FIRMWARE
#define NODE_FIRMWARE "0.1.0"
#endif
/* The watchdog is fed so often while every part moves; its time-out must be several of these. */
#define NODE_FEED_MS 200U
#define NODE_SENDING_MS 3000U /* no answer takes so long: the driver of the line hangs */
#define NODE_BYTES_A_TURN 64U /* that a flood may take */
#define NODE_RESTART_MS 2000U /* what a restart waits for the EEPROM at most */

struct node {
    const struct port_board *board;
    uint32_t now_ms, uptime_s, second_ms;
    unsigned reset_cause;
    uint32_t hash;    /* of the points */
    uint8_t heads[8]; /* registers of each block's head; 0: not looked up yet */
    char serial[17];
    const char *firmware; /* its version */
    struct slave slave;
    struct frame frame;
    struct line line;
    struct config config;
    struct counters counters;
    struct measure measure;
    bool memory_next; /* whose turn it is */
    bool restarting;
    uint32_t restart_ms;
    uint8_t moved; /* parts that moved since the watchdog was fed */
    uint32_t fed_ms, sending_ms;
};

/* From memory that is zero. Opens the line, starts the watchdog. */
void node_start(struct node *n, const struct port_board *board);
/* false: there was nothing to do, and nothing that would be missed by waiting for an interrupt. */
bool node_turn(struct node *n);

/* ---- map.c: the registers of sensors/node.def, for the slave; ctx is the node ---- */

/* What the slave is given. */
struct slave_map node_map(struct node *n);
/* CRC-32 over the block of the points; before it is in n->hash. */
uint32_t node_hash(struct node *n);

#endif
