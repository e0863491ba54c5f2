/* What the firmware asks of silicon, and what a board says of itself. A board's folder and the
 * mcu/<family> that it uses implement this; nothing else of them is seen.
 *
 * One loop calls these; only interrupt handlers inside the port run beside it. */
#ifndef FIRMWARE_PORT_H
#define FIRMWARE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensors/sensor.h"

/* ---- time ---- */
uint32_t port_us(void); /* since the start, wraps after 71 minutes */
uint32_t port_ms(void); /* since the start, wraps after 49 days */
void port_idle(void);   /* until the next interrupt; returns at once when a byte is waiting */

/* ---- the RS-485 line ---- */
struct port_line {
    uint32_t baud;
    uint8_t parity; /* 0 none, 1 even, 2 odd */
    uint8_t stop_bits;
};
/* Takes effect at once; what was received is dropped. */
void port_line_open(const struct port_line *as);
/* A byte that came, and when (port_us). flaw: with a framing or parity error, or bytes before it
 * were lost. false: none is waiting. */
bool port_line_get(uint8_t *byte, uint32_t *at_us, bool *flaw);
/* Turns the driver on, sends, turns it off behind the last stop bit. The bytes are copied; at most
 * 256. What the node itself sends is not received. */
void port_line_send(const uint8_t *p, size_t n);
bool port_line_sending(void);

/* ---- what stays ---- */
/* An EEPROM, or what stands in for one, of `port_memory_bytes`. ST_BUSY: it is still writing. One
 * call writes at most one page, within it. ST_IO, ST_NOT_FOUND. */
enum st port_memory_read(uint32_t at, uint8_t *p, size_t n);
enum st port_memory_write(uint32_t at, const uint8_t *p, size_t n);

/* ---- life ---- */
/* Why the processor began (enum node_reset of sensors/node.h), as the hardware says it. */
unsigned port_reset_cause(void);
void port_watchdog_start(void);
void port_watchdog_feed(void); /* 200 ms after the one before or later, which is where a window
                                * may open; a time-out is several of these */
_Noreturn void port_restart(void);
/* A word that a reset keeps and a power loss need not. */
extern volatile uint32_t port_kept;
/* NODE_UNKNOWN_U16 and NODE_UNKNOWN_S16 of sensors/node.h where it cannot know. */
uint16_t port_supply_mv(void);
int16_t port_temperature_dc(void);
uint16_t port_stack_free(void);
/* How often an I2C bus had to be clocked free. */
uint16_t port_i2c_recoveries(void);
/* The processor's own number in hexadecimal, ended by NUL. */
void port_serial(char text[17]);

/* ---- the board ---- */
struct port_board {
    const char *model;       /* at most 16 letters */
    uint32_t t15_us, t35_us; /* silences above 19200 bit/s, where the standard has 750 and 1750 µs;
                              * up to it they follow from the speed */
    bool by_content;         /* silence tells nothing there (an emulator): a frame is what ends as a
                              * whole request to this node; t35_us ends what nobody understood */
    uint32_t memory_bytes, memory_page;
    struct sensor *sensors; /* in the order of the map's SENSORS */
    uint8_t nsensors;
};
extern const struct port_board port_board;

/* firmware/main.c: never returns. The board's start-up code calls it with memory set up. */
_Noreturn void firmware_main(void);

#endif
