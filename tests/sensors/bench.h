/* A bench for chip drivers: a sensor on a fake bus, a virtual chip at its other end, a clock that
 * goes on only when it is told, and faults at any step.
 *
 * Each driver NAME of sensors/driver/drivers.def has its virtual chip and its raw frames in
 * chip_NAME.c, as `struct chip chip_NAME`; test_drivers.c runs all of them. A virtual chip is
 * written from the data sheet and shares nothing with the driver but what the board gives. */
#ifndef TESTS_SENSORS_BENCH_H
#define TESTS_SENSORS_BENCH_H

#include "sensors/quantity.h"
#include "sensors/sensor.h"

/* What a transfer takes: 9 bits at 100 kbit/s; a reset and a byte of 1-Wire; a clock by hand. */
#define BENCH_I2C_BYTE_US 90U
#define BENCH_WIRE_RESET_US 960U
#define BENCH_WIRE_BYTE_US 560U
#define BENCH_CLOCK_US 20U
#define BENCH_CALL_US 2000U /* that a call may take */

enum fault {
    FAULT_NONE,
    FAULT_ABSENT,  /* nobody answers */
    FAULT_REFUSED, /* I2C: a byte is not acknowledged */
    FAULT_STUCK,   /* the bus is held; a serial port has no room to send */
    FAULT_FLIP,    /* a bit of what is read is wrong */
    FAULT_SHORT,   /* serial: a byte is lost */
    FAULT_NOISE,   /* all that is read is drawn by lot */
};

/* What the chip measured and what the driver makes of it. */
struct chip_frame {
    const char *what;
    const char *hex; /* as it stands in the chip's registers or on its line */
    enum st st;
    int32_t raw[SENSOR_OUTPUTS];
    const int32_t *setting; /* four; NULL: the chip's */
};

/* A virtual chip. What its kind of bus does not need is NULL. */
struct chip {
    enum { CHIP_I2C, CHIP_UART, CHIP_WIRE, CHIP_CLOCKED, CHIP_PULSES } bus;
    struct sensor sensor; /* as a board's table has it, but for io */
    bool checked;         /* what is measured carries a check sum */
    void (*power)(void);  /* its power came: what it was set to is lost */
    void (*measures)(const uint8_t *frame, size_t n); /* from now on */
    enum st (*transfer)(const uint8_t *w, size_t nw, uint8_t *r, size_t nr);
    void (*sent)(const uint8_t *p, size_t n); /* to it, on its serial line */
    void (*tick)(void);                       /* each ms */
    void (*wire_reset)(void);
    void (*wire_write)(uint8_t byte);
    uint8_t (*wire_read)(void);
    bool (*ready)(void);
    uint32_t (*clock)(unsigned pulses);
    uint32_t (*count)(void);
    const struct chip_frame *frames; /* the first with ST_OK */
    size_t nframes;
};
#define CHIP_FRAMES(list) .frames = list, .nframes = sizeof(list) / sizeof *(list)

struct bench {
    const struct chip *chip;
    struct sensor sensor;
    uint32_t ms;
    bool never_ready; /* for the virtual chip: it goes on measuring for ever */
    enum fault fault; /* at step `at`, and at all behind it if it lasts */
    unsigned at, step;
    bool lasts;
    uint32_t lot;
    unsigned flip;     /* which bit of a read, from its first byte's highest */
    unsigned power_at; /* its power fails and comes before that call of collect; 0: not */
    unsigned us;       /* that the call took so far */
    uint8_t line[128]; /* that a serial sensor sent and nobody took */
    size_t nline;
};
extern struct bench bench;

/* Puts the chip on the bench, just powered, with the frame; nothing is broken. */
void bench_put(const struct chip *chip, const struct chip_frame *frame);
void bench_measures(const char *hex);
/* Breaks it from now on: the step that comes next is 0. */
void bench_break(enum fault fault, unsigned at, bool lasts);
void bench_mend(void);
void bench_pass(unsigned ms);

struct outcome {
    enum st st;
    int32_t raw[SENSOR_OUTPUTS];
    unsigned calls;
};
/* One measurement: start, then collect as it asks for. Fails the test when a call takes too long,
 * when it is asked for ever, when the status is none that a driver may say, and when a failure
 * wrote a raw value. */
struct outcome bench_run(void);

/* From a virtual chip. */
void bench_sends(const uint8_t *p, size_t n); /* on its serial line */
uint8_t bench_crc8(uint8_t polynomial, uint8_t crc, const uint8_t *p,
                   size_t n); /* high bit first */
size_t bench_hex(const char *hex, uint8_t *out, size_t room);

#endif
