/* Private to collect: who turns the driver of an RS-485 line on while we send. */
#ifndef GATEWAY_COLLECT_DIRECTION_H
#define GATEWAY_COLLECT_DIRECTION_H

#include <stdbool.h>

struct _modbus; /* libmodbus' modbus_t */

/* Sets the open serial line of `line` to a mode of enum collect_rs485.
 *
 * COLLECT_RS485_OFF changes nothing: a port that the system has set to RS-485 stays so.
 * COLLECT_RS485_KERNEL keeps the polarity and the delays that the port has, from its device tree or
 * from an administrator. COLLECT_RS485_RTS_UP and _DOWN take the line back from the kernel first,
 * which would leave RTS to nobody else.
 *
 * The kernel keeps its mode when the line is closed: to end it would make the kernel forget the
 * port's polarity and delays.
 *
 * false with errno: the port cannot do it, and the line is not to be used. In any thread, one line
 * in one thread at a time. */
bool collect_direction_set(struct _modbus *line, int mode);

/* To be called before libmodbus opens the line: makes it ours alone, gateway or tool (flock),
 * before its settings are touched. A port is a terminal until somebody says otherwise, and sends
 * what it hears back to the line: from here on it is silent, open or closed. With
 * COLLECT_RS485_RTS_DOWN the line that is closed is not driven, though a closed port lets go of RTS
 * otherwise. The descriptor, to be closed behind libmodbus' own; -1 with errno, EBUSY: another
 * program has the line. */
int collect_direction_lock(const char *port, int mode);

#endif
