/* Configuration. */
#include "firmware/node/config.h"

#define KIND 0xF901U
#define ADDRESS_MAX 247U

_Static_assert(sizeof(struct config_kept) + RECORD_OVERHEAD <= CONFIG_ROOM, "it has room");

static const struct config_line line_default = {.address = 1, .stop_bits = 1, .speed = 96};

bool config_line_is_good(const struct config_line *l)
{
    static const uint16_t speeds[] = {12, 24, 48, 96, 192, 384, 576, 1152};
    bool speed = false;
    for (unsigned i = 0; i < sizeof speeds / sizeof *speeds; i++)
        speed = speed || speeds[i] == l->speed;
    return speed && l->address >= 1 && l->address <= ADDRESS_MAX && l->parity <= 2 &&
           l->stop_bits >= 1 && l->stop_bits <= 2;
}

void config_start(struct config *c, uint32_t hash)
{
    c->record.kind = KIND;
    c->record.size = sizeof c->kept;
    c->record.data = (uint8_t *)&c->kept;
    bool read = record_load(&c->record);
    struct config_line line = c->kept.line;
    if (!read || c->kept.hash != hash || c->kept.points != LIMITS_POINTS ||
        c->kept.sensors != LIMITS_SENSORS)
        c->kept =
            (struct config_kept){.hash = hash, .points = LIMITS_POINTS, .sensors = LIMITS_SENSORS};
    c->kept.line = read && config_line_is_good(&line) ? line : line_default;
}
