/* The full node in QEMU: README.md says how it is started and what it proves. */
#include <stddef.h>

#include "firmware/mcu/cmsdk/cmsdk.h"
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/port.h"
#include "sensors/driver/24cxx.h"
#include "sensors/driver/ads1115.h"
#include "sensors/driver/bme280.h"
#include "sensors/driver/hx711.h"
#include "sensors/driver/ina226.h"
#include "sensors/driver/pms5003.h"
#include "sensors/driver/pulses.h"
#include "sensors/driver/scd4x.h"
#include "sensors/driver/sht4x.h"
#include "sensors/driver/tmp105.h"
#include "sensors/driver/ultrasonic.h"
#include "sensors/node.h"
#include "sensors/quantity.h"

/* What QEMU has no model of is played through its external memory, which the host shares. The
 * README has the offsets. */
struct shared {
    uint32_t mark;
    uint32_t supply_mv;
    int32_t temperature_dc;
    uint32_t pulses[2];
    uint32_t weight;  /* what an HX711 shifts out, 24 bits */
    uint32_t sda_low; /* pulses of the clock for which a chip holds SDA low */
    char serial[16];
};
#define SHARED ((volatile struct shared *)0x21000000U)
#define SHARED_MARK 0x46506873U /* "FPhs" */

static bool is_shared(void)
{
    return SHARED->mark == SHARED_MARK;
}

/* ---- I2C: shield 1, TMP105 and 24C32 ---- */

static void scl(bool high)
{
    if (high) {
        CMSDK_SBCON3->CONTROLS = CMSDK_SBCON_SCL;
        return;
    }
    if (SHARED->sda_low > 0 && (CMSDK_SBCON3->CONTROLS & CMSDK_SBCON_SCL) != 0 && is_shared())
        SHARED->sda_low--;
    CMSDK_SBCON3->CONTROLC = CMSDK_SBCON_SCL;
}

static void sda(bool high)
{
    if (high)
        CMSDK_SBCON3->CONTROLS = CMSDK_SBCON_SDA;
    else
        CMSDK_SBCON3->CONTROLC = CMSDK_SBCON_SDA;
}

static bool scl_is(void)
{
    return (CMSDK_SBCON3->CONTROLS & CMSDK_SBCON_SCL) != 0;
}

static bool sda_is(void)
{
    return (CMSDK_SBCON3->CONTROLS & CMSDK_SBCON_SDA) != 0 && !(is_shared() && SHARED->sda_low > 0);
}

static void no_wait(void) /* the emulator's chips are as quick as we are */
{
}

static uint16_t recoveries;
static const struct pins_i2c pins = {scl, sda, scl_is, sda_is, no_wait, &recoveries};
static const struct sensor_i2c i2c = {pins_i2c_transfer, (void *)&pins};

uint16_t port_i2c_recoveries(void)
{
    return recoveries;
}

/* ---- what stays: a 24C32 ---- */

#define MEMORY_BYTES 4096U
#define MEMORY_PAGE 32U
static struct sensor_eeprom memory = {
    .bus = &i2c, .now_ms = port_ms, .bytes = MEMORY_BYTES, .page = MEMORY_PAGE, .address = 0x50};

enum st port_memory_read(uint32_t at, uint8_t *p, size_t n)
{
    return sensor_eeprom_read(&memory, at, p, n);
}

enum st port_memory_write(uint32_t at, const uint8_t *p, size_t n)
{
    return sensor_eeprom_write(&memory, at, p, n);
}

/* ---- what the host plays ---- */

uint16_t port_supply_mv(void)
{
    return is_shared() ? (uint16_t)SHARED->supply_mv : NODE_UNKNOWN_U16;
}

int16_t port_temperature_dc(void)
{
    return is_shared() ? (int16_t)SHARED->temperature_dc : NODE_UNKNOWN_S16;
}

void port_serial(char text[17])
{
    size_t n = 0;
    for (; is_shared() && n < 16 && SHARED->serial[n] != '\0'; n++)
        text[n] = SHARED->serial[n];
    text[n] = '\0';
}

static uint32_t at_start[2]; /* what the host's counters said */

static uint32_t pulses(void *ctx)
{
    const uint32_t *start = ctx;
    return is_shared() ? SHARED->pulses[start - at_start] - *start : 0;
}

static const struct sensor_pulses energy_pulses = {pulses, &at_start[0]};
static const struct sensor_pulses water_pulses = {pulses, &at_start[1]};

static bool weight_ready(void *ctx)
{
    (void)ctx;
    return is_shared();
}

static uint32_t weight_clock(void *ctx, unsigned n)
{
    (void)ctx;
    uint32_t word = SHARED->weight & 0xFFFFFFU;
    /* Behind its 24 bits the line is high. */
    return n <= 24 ? word >> (24 - n) : word << (n - 24) | ((1U << (n - 24)) - 1);
}

static const struct sensor_clocked cell = {weight_ready, weight_clock, NULL};

/* ---- the chips ---- */

/* An emulator's pulses: a meter of 1600 a kWh, a water meter of one a liter; two loops: a river's
 * level up to 5 m, and its pH. */
static const struct sensor_output energy = {QUANTITY_ID_energy_import, -3, true, 0, INT32_MAX};
static const struct sensor_output water = {QUANTITY_ID_water_total, -3, true, 0, INT32_MAX};
static const struct sensor_output fill = {QUANTITY_ID_fill, -1, false, 0, 1000};
static const struct sensor_output loops[] = {
    {QUANTITY_ID_water_level, -3, false, 0, 5000},
    {QUANTITY_ID_ph, -2, false, 0, 1400},
};

/* The first six are there or played; the others are what a node in the field has, and ABSENT. */
static struct sensor sensors[] = {
    {.driver = &sensor_tmp105, .io = &i2c, .address = 0x48},
    {.driver = &sensor_pms5003, .io = &cmsdk_uarts[0], .setting = {-1}},
    {.driver = &sensor_ultrasonic,
     .io = &cmsdk_uarts[1],
     .noutputs = 1,
     .outputs = &fill,
     .setting = {0, 2000, 300}},
    {.driver = &sensor_hx711, .io = &cell, .setting = {84000, 21, 1}},
    {.driver = &sensor_pulses,
     .io = &energy_pulses,
     .noutputs = 1,
     .outputs = &energy,
     .setting = {5, 8}},
    {.driver = &sensor_pulses, .io = &water_pulses, .noutputs = 1, .outputs = &water},
    {.driver = &sensor_sht4x, .io = &i2c, .address = 0x44},
    {.driver = &sensor_ads1115,
     .io = &i2c,
     .address = 0x49,
     .noutputs = 2,
     .outputs = loops,
     .setting = {150000}},
    {.driver = &sensor_scd4x, .io = &i2c, .address = 0x62},
    {.driver = &sensor_bme280, .io = &i2c, .address = 0x76},
    {.driver = &sensor_ina226, .io = &i2c, .address = 0x40},
};

const struct port_board port_board = {
    .model = "mps2-an385",
    /* An emulator stops in the midst of a frame for tens of milliseconds. */
    .t15_us = 50000,
    .t35_us = 50000,
    .by_content = true,
    .memory_bytes = MEMORY_BYTES,
    .memory_page = MEMORY_PAGE,
    .sensors = sensors,
    .nsensors = sizeof sensors / sizeof *sensors,
};

_Noreturn void board_main(void)
{
    for (unsigned i = 0; i < 2; i++)
        at_start[i] = SHARED->pulses[i];
    cmsdk_time_start();
    cmsdk_uart_start(1, 9600); /* particles */
    cmsdk_uart_start(2, 9600); /* level */
    firmware_main();
}
