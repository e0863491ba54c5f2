/* What a node holds at most. Its memory is made for them, and the records in its EEPROM. */
#ifndef FIRMWARE_LIMITS_H
#define FIRMWARE_LIMITS_H

#ifndef LIMITS_POINTS /* the images' are in board/cmake/node.cmake */
#define LIMITS_POINTS 32
#define LIMITS_SENSORS 16
#endif
#define LIMITS_COUNTERS 8 /* kept through power loss */

#endif
