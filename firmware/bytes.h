/* Numbers on the wire: the high byte first, as Modbus has them. */
#ifndef FIRMWARE_BYTES_H
#define FIRMWARE_BYTES_H

#include <stdint.h>

static inline uint16_t bytes_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t bytes_u32(const uint8_t *p)
{
    return (uint32_t)bytes_u16(p) << 16 | bytes_u16(p + 2);
}

static inline void bytes_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

#endif
