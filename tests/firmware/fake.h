/* A port.h that tests drive: a clock that they move, a line that they speak on, an EEPROM that
 * loses its power in the midst of a write or wears out, and chips that do as they are told. */
#ifndef TESTS_FIRMWARE_FAKE_H
#define TESTS_FIRMWARE_FAKE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/node/node.h"
#include "firmware/port.h"

#define FAKE_MEMORY 4096U
#define FAKE_QUEUE 4096U
#define FAKE_CHIPS 20U

/* What a chip does when it is asked. */
struct fake_chip {
    enum st start, collect;
    int32_t raw[SENSOR_OUTPUTS];
    uint16_t ready_ms;
    uint32_t takes_us; /* a call */
    unsigned starts, collects;
};

struct fake {
    uint64_t us;      /* since the start */
    uint32_t turn_us; /* what a turn of the loop takes; fake_new: 20 */
    /* the line */
    struct {
        uint8_t byte;
        uint64_t at_us;
        bool flaw;
    } queue[FAKE_QUEUE];
    size_t put, got;
    uint8_t sent[SLAVE_FRAME_MAX];
    size_t nsent;
    unsigned sends;
    uint64_t sent_us, sending_us; /* when the last send began and ends */
    bool hangs;                   /* the driver of the line: it never ends */
    struct port_line line;
    /* the EEPROM */
    uint8_t memory[FAKE_MEMORY];
    uint32_t page;
    enum st memory_st;      /* ST_OK, or what it always says */
    uint64_t memory_us;     /* it is writing until then */
    uint64_t written;       /* bytes, ever */
    uint64_t cut_at;        /* the power goes when so many are; 0: never */
    bool torn;              /* and takes the rest of that page with it */
    bool worn[FAKE_MEMORY]; /* cells that keep what they have */
    unsigned writes;
    /* life */
    unsigned reset_cause;
    unsigned feeds;
    uint64_t fed_us, worst_feed_us, soonest_feed_us;
    bool watchdog, restarted;
    jmp_buf gone; /* where a cut or a restart goes on */
    const char *serial;
    struct port_board board;
    struct sensor chips[FAKE_CHIPS];
    struct fake_chip does[FAKE_CHIPS];
    struct node node;
};
extern struct fake fake;

/* Everything as new: memory erased, board without chips, silences of 750 and 1750 us. */
void fake_new(void);
/* A chip with these outputs, which must stay; its number, also its driver's id. It measures GOOD
 * zeroes each second. */
unsigned fake_add(const struct sensor_output *outputs, unsigned n);
/* Power on: the node starts anew with the memory as it is. false: the power was cut. */
bool fake_boot(void);
/* The loop turns for so long. false: the power was cut, or it restarted. */
bool fake_run(uint64_t us);
/* Bytes come, one behind the other, the first beginning after `after_us`. */
void fake_say(const uint8_t *p, size_t n, uint64_t after_us);
/* The same with its CRC behind it. */
void fake_ask(const uint8_t *p, size_t n);
/* Asks and brings the answer, without its CRC, which must be right; 0: there was none. */
size_t fake_exchange(const uint8_t *p, size_t n, uint8_t answer[SLAVE_FRAME_MAX]);
/* Whole numbers by function 3, 6 and 16; the exception, 0: none, -1: no answer. */
int fake_read(uint8_t unit, unsigned at, unsigned count, uint16_t *to);
int fake_write(uint8_t unit, unsigned at, unsigned value);
int fake_write_many(uint8_t unit, unsigned at, unsigned count, const uint16_t *values);
/* The address of a block's first register behind its L, found in the chain as a master does. */
unsigned fake_block(uint8_t unit, unsigned id);
/* What ended the frames that a test asks for: the CRC, by the book. */
uint16_t fake_crc(const uint8_t *p, size_t n);

#endif
