/* What somebody has set on a node, in its EEPROM.
 *
 * Where nothing is kept the node is at address 1, 9600 bit/s, 8N1: what the gateway's buses begin
 * with, and most of the devices that share such a line; the standard's own 8E1 hardly anybody has.
 * One thread. */
#ifndef FIRMWARE_CONFIG_H
#define FIRMWARE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/node/limits.h"
#include "firmware/node/record.h"

#define CONFIG_ROOM 640U /* bytes of a slot: a later version may have more to keep */
#define CONFIG_TEXT 16U

struct config_line {
    uint8_t address, parity, stop_bits, spare;
    uint16_t speed; /* 100 bit/s */
};

struct config_calibration {
    int32_t gain, offset; /* millionths; raw */
};

struct config_kept { /* as it is stored; a later version appends */
    struct config_line line;
    uint8_t points, sensors;            /* that there is room for: limits.h */
    uint32_t hash;                      /* of the points that the rest belongs to */
    uint16_t period_ds[LIMITS_SENSORS]; /* 0: the driver's */
    uint8_t serial[LIMITS_SENSORS][CONFIG_TEXT];
    struct config_calibration calibration[LIMITS_POINTS];
};

struct config {
    struct config_kept kept; /* whoever changes it says record_save */
    struct record record;
};

/* What register values are possible: sensors/node.def. */
bool config_line_is_good(const struct config_line *l);
/* Takes up what was kept, or the default; of other points, or limits, the line's part alone. Its
 * record has been placed. */
void config_start(struct config *c, uint32_t hash);

#endif
