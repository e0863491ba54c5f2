/* What a node holds at most. Its memory is made for them, and the records in its EEPROM. */
#ifndef FIRMWARE_LIMITS_H
#define FIRMWARE_LIMITS_H

#define LIMITS_POINTS 32
#define LIMITS_SENSORS 16
#define LIMITS_COUNTERS 8 /* kept through power loss */

#endif
