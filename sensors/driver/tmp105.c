#include "sensors/driver/tmp105.h"

#include "sensors/chip.h"

enum { REG_TEMPERATURE = 0, REG_CONFIG = 1 };
enum { CONFIG_12_BITS = 0x60, CONFIG_OS = 0x80 }; /* OS reads as it likes */
enum { CONVERSION_MS = 320, STEP = 256 };         /* of the register, a Cel */

/* Whether it still is as it was set. */
static enum st look(struct sensor *s, bool *set)
{
    uint8_t at = REG_CONFIG, config;
    enum st st = chip_i2c(s, &at, 1, &config, 1);
    *set = st == ST_OK && (config & ~CONFIG_OS) == CONFIG_12_BITS;
    return st;
}

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    bool set;
    enum st st = look(s, &set);
    if (st == ST_OK && !set)
        st = chip_write8(s, REG_CONFIG, CONFIG_12_BITS);
    if (st != ST_OK)
        return chip_failed(s, st);
    *ready_ms = set ? 0 : CONVERSION_MS;
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    uint16_t value = 0;
    bool set;
    enum st st = chip_read16(s, REG_TEMPERATURE, &value);
    (void)ready_ms;
    if (st == ST_OK)
        st = look(s, &set);
    if (st != ST_OK)
        return chip_failed(s, st);
    if (!set || value & 0x000F)
        return chip_failed(s, ST_BAD); /* it began anew; a line that floats is not 0 in these */
    raw[0] = (int32_t)chip_div(chip_signed16(value) * 100, STEP);
    return ST_OK;
}

static const struct sensor_output outputs[] = {{QUANTITY_ID_temperature, -2, false, -4000, 12500}};
const struct sensor_driver sensor_tmp105 = {
    .name = "tmp105",
    .id = SENSOR_ID_tmp105,
    .noutputs = 1,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
