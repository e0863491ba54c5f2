/* Units that people write for a quantity, and what they are in its own: exactly, or not at all (no
 * km/h as m/s, no degrees of Fahrenheit). */
#include "gateway/store/store_int.h"

#include <string.h>

/* value in `to` = value x scale x 10^exp + offset / 100. SenML's units (RFC 8428, RFC 8798), and
 * beside them those that stand on slips and displays. */
static const struct {
    const char *from, *to;
    int16_t scale;
    int8_t exp;
    int16_t offset;
} units[] = {
    {"t", "kg", 1000, 0, 0},
    {"g", "kg", 1, -3, 0},
    {"mg", "kg", 1, -6, 0},
    {"km", "m", 1000, 0, 0},
    {"dm", "m", 1, -1, 0},
    {"cm", "m", 1, -2, 0},
    {"mm", "m", 1, -3, 0},
    {"m", "mm", 1000, 0, 0},
    {"cm", "mm", 10, 0, 0},
    {"l", "m3", 1, -3, 0},
    {"L", "m3", 1, -3, 0},
    {"ml", "m3", 1, -6, 0},
    {"l/s", "m3/s", 1, -3, 0},
    {"L/s", "m3/s", 1, -3, 0},
    {"Wh", "kWh", 1, -3, 0},
    {"MWh", "kWh", 1000, 0, 0},
    {"varh", "kvarh", 1, -3, 0},
    {"Mvarh", "kvarh", 1000, 0, 0},
    {"kW", "W", 1000, 0, 0},
    {"MW", "W", 1000, 3, 0},
    {"kvar", "var", 1000, 0, 0},
    {"kVA", "VA", 1000, 0, 0},
    {"mV", "V", 1, -3, 0},
    {"kV", "V", 1000, 0, 0},
    {"V", "mV", 1000, 0, 0},
    {"mA", "A", 1, -3, 0},
    {"kA", "A", 1000, 0, 0},
    {"K", "Cel", 1, 0, -27315},
    {"\xc2\xb0"
     "C",
     "Cel", 1, 0, 0},
    {"Pa", "hPa", 1, -2, 0},
    {"kPa", "hPa", 10, 0, 0},
    {"mbar", "hPa", 1, 0, 0},
    {"bar", "hPa", 1000, 0, 0},
    {"mg/m3", "ug/m3", 1000, 0, 0},
    {"g/l", "mg/l", 1000, 0, 0},
    {"ug/l", "mg/l", 1, -3, 0},
    {"mg/l", "g/l", 1, -3, 0},
    {"mg/l", "ug/l", 1000, 0, 0},
    {"ppm", "ppb", 1000, 0, 0},
    {"ppb", "ppm", 1, -3, 0},
    {"uS/cm", "S/m", 1, -4, 0},
    {"mS/cm", "S/m", 1, -1, 0},
    {"mS/m", "S/m", 1, -3, 0},
    {"%", "/100", 1, 0, 0},
    {"%", "%RH", 1, 0, 0},
    {"%", "%EL", 1, 0, 0},
    {"ms", "s", 1, -3, 0},
    {"min", "s", 60, 0, 0},
    {"h", "s", 3600, 0, 0},
    {"s", "ms", 1000, 0, 0},
    {"kHz", "Hz", 1000, 0, 0},
    {"kbit/s", "Mbit/s", 1, -3, 0},
    {"Gbit/s", "Mbit/s", 1000, 0, 0},
};
#define UNITS (sizeof units / sizeof *units)

enum st store_unit_convert(struct num v, const char *unit, const char *to, struct num *out,
                           struct err *e)
{
    size_t i = 0;
    *out = v;
    if (strcmp(unit, to) == 0)
        return ST_OK;
    while (i < UNITS && (strcmp(units[i].from, unit) != 0 || strcmp(units[i].to, to) != 0))
        i++;
    if (i == UNITS)
        return err_set(e, ST_BAD, "unit: \"%s\" does not become %s exactly: give the value in %s",
                       unit, to, to);
    struct num scale = units[i].exp > 0 ? num_dec(units[i].scale * INT64_C(1000), 0)
                                        : num_dec(units[i].scale, units[i].exp);
    return num_scale(v, scale, num_dec(units[i].offset, -2), out)
               ? ST_OK
               : err_set(e, ST_BAD, "value: it has too many digits in %s", to);
}
