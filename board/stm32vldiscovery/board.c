/* A node on ST's STM32VLDISCOVERY (STM32F100RB): README.md has the wiring. */
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/stm32f1/stm32f1.h"
#include "firmware/port.h"
#include "sensors/driver/24cxx.h"
#include "sensors/driver/bme280.h"
#include "sensors/driver/ds18b20.h"
#include "sensors/driver/hx711.h"
#include "sensors/driver/pms5003.h"
#include "sensors/driver/pulses.h"
#include "sensors/driver/scd4x.h"
#include "sensors/driver/sht4x.h"
#include "sensors/driver/ultrasonic.h"
#include "sensors/quantity.h"

enum pin { SCL = 6, SDA = 7, WIRE = 12, CELL_DOUT = 0, CELL_SCK = 1 }; /* all of port B */

static void drive(enum pin pin, bool high)
{
    GPIOB->BSRR = high ? 1U << pin : 1U << (pin + 16U);
}

static bool level(enum pin pin)
{
    return (GPIOB->IDR & 1U << pin) != 0;
}

/* ---- I2C ---- */

static void scl(bool high)
{
    drive(SCL, high);
}

static void sda(bool high)
{
    drive(SDA, high);
}

static bool scl_is(void)
{
    return level(SCL);
}

static bool sda_is(void)
{
    return level(SDA);
}

static void half_period(void)
{
    stm32f1_wait_us(4); /* the calls around it take the fifth */
}

static uint16_t recoveries;
static const struct pins_i2c i2c_pins = {scl, sda, scl_is, sda_is, half_period, &recoveries};
static const struct sensor_i2c i2c = {pins_i2c_transfer, (void *)&i2c_pins};

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

/* ---- 1-Wire, and the load cell ---- */

static void wire_line(bool high)
{
    drive(WIRE, high);
}

static bool wire_is(void)
{
    return level(WIRE);
}

static const struct pins_wire wire_pins = {wire_line, wire_is, stm32f1_wait_us, stm32f1_mask,
                                           stm32f1_unmask};
static const struct sensor_wire wire = {pins_wire_reset, pins_wire_write, pins_wire_read,
                                        (void *)&wire_pins};

static void cell_sck(bool high)
{
    drive(CELL_SCK, high);
}

static bool cell_dout(void)
{
    return level(CELL_DOUT);
}

static void one_us(void)
{
    stm32f1_wait_us(1);
}

static const struct pins_clocked cell_pins = {cell_sck, cell_dout, one_us, stm32f1_mask,
                                              stm32f1_unmask};
static const struct sensor_clocked cell = {pins_clocked_ready, pins_clocked_clock,
                                           (void *)&cell_pins};

/* ---- the chips ---- */

static const struct sensor_output energy = {QUANTITY_ID_energy_import, -3, true, 0, INT32_MAX};
static const struct sensor_output rain = {QUANTITY_ID_rain, -1, true, 0, INT32_MAX};
static const struct sensor_output fill = {QUANTITY_ID_fill, -1, false, 0, 1000};

static const struct sensor_output waste = {QUANTITY_ID_waste_temperature, -2, false, -5500, 12500};

static struct sensor sensors[] = {
    {.driver = &sensor_sht4x, .io = &i2c, .address = 0x44},
    {.driver = &sensor_bme280, .io = &i2c, .address = 0x76},
    {.driver = &sensor_scd4x, .io = &i2c, .address = 0x62},
    {.driver = &sensor_ds18b20, .io = &wire, .noutputs = 1, .outputs = &waste},
    {.driver = &sensor_pms5003, .io = &stm32f1_uarts[0]},
    {.driver = &sensor_ultrasonic,
     .io = &stm32f1_uarts[1],
     .noutputs = 1,
     .outputs = &fill,
     .setting = {0, 1200, 300}},
    {.driver = &sensor_hx711, .io = &cell},
    {.driver = &sensor_pulses,
     .io = &stm32f1_pulses[0],
     .noutputs = 1,
     .outputs = &energy,
     .setting = {1, 1}},
    {.driver = &sensor_pulses,
     .io = &stm32f1_pulses[1],
     .noutputs = 1,
     .outputs = &rain,
     .setting = {2, 1}},
};

const struct port_board port_board = {
    .model = "stm32vldiscovery",
    .t15_us = 750,
    .t35_us = 1750,
    .by_content = false,
    .memory_bytes = MEMORY_BYTES,
    .memory_page = MEMORY_PAGE,
    .sensors = sensors,
    .nsensors = sizeof sensors / sizeof *sensors,
};

_Noreturn void board_main(void)
{
    stm32f1_start();
    static const struct {
        uint8_t pin, as;
    } pins[] = {
        {SCL, STM32F1_OPEN_DRAIN},     {SDA, STM32F1_OPEN_DRAIN},  {WIRE, STM32F1_OPEN_DRAIN},
        {CELL_DOUT, STM32F1_FLOATING}, {CELL_SCK, STM32F1_OUTPUT},
    };
    for (unsigned i = 0; i < sizeof pins / sizeof *pins; i++) {
        drive((enum pin)pins[i].pin, pins[i].pin != CELL_SCK);
        stm32f1_pin(GPIOB, pins[i].pin, (enum stm32f1_pin)pins[i].as);
    }
    stm32f1_pulses_start();
    stm32f1_uart_start(2, 9600); /* particles */
    stm32f1_uart_start(3, 9600); /* level */
    firmware_main();
}
