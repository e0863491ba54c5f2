#include "tests/sim/frame.h"

#include <string.h>

const struct cfg_word sim_fault_words[] = {{"exception", SIM_FAULT_EXCEPTION},
                                           {"garbage", SIM_FAULT_GARBAGE},
                                           {"wrong_unit", SIM_FAULT_WRONG_UNIT},
                                           {"late", SIM_FAULT_LATE},
                                           {"silent", SIM_FAULT_SILENT},
                                           {"half", SIM_FAULT_HALF},
                                           {"crc", SIM_FAULT_CRC},
                                           {"wrong_length", SIM_FAULT_WRONG_LENGTH},
                                           {"other_function", SIM_FAULT_OTHER_FUNCTION},
                                           {"duplicate", SIM_FAULT_DUPLICATE},
                                           {"wrong_tid", SIM_FAULT_WRONG_TID},
                                           {"close", SIM_FAULT_CLOSE},
                                           {"refuse_joined", SIM_FAULT_REFUSE_JOINED},
                                           {"silent_joined", SIM_FAULT_SILENT_JOINED},
                                           {NULL, 0}};

bool sim_fault_fits(enum sim_fault f, bool tcp)
{
    if (f == SIM_FAULT_CRC)
        return !tcp;
    if (f == SIM_FAULT_WRONG_TID || f == SIM_FAULT_CLOSE)
        return tcp;
    return true;
}

uint64_t sim_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

uint16_t sim_crc(const uint8_t *p, size_t n)
{
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
    }
    return crc;
}

/* MBAP: transaction, protocol 0, length of what follows (unit and PDU), unit. */
static size_t take_tcp(const uint8_t *buf, size_t n, struct sim_request *out)
{
    if (n < 7)
        return 0;
    size_t length = (size_t)(buf[4] << 8 | buf[5]);
    if ((buf[2] | buf[3]) != 0 || length < 2 || length > SIM_PDU_MAX_BYTES + 1)
        return n; /* out of step for good */
    if (n < 6 + length)
        return 0;
    out->tid = (uint16_t)(buf[0] << 8 | buf[1]);
    out->unit = buf[6];
    out->pdu = buf + 7;
    out->n = length - 1;
    return 6 + length;
}

/* A serial request has no length: functions 1 to 6 have 8 bytes, 15 and 16 carry a count; for any
 * other the sum says where one ends. A byte that begins no request is skipped. */
static size_t take_rtu(const uint8_t *buf, size_t n, struct sim_request *out)
{
    size_t whole = 8;
    if (n < 4)
        return 0;
    if (buf[1] == 15 || buf[1] == 16) {
        if (n < 7)
            return 0;
        whole = 9u + buf[6];
    } else if (buf[1] == 0 || buf[1] > 6) {
        whole = n;
    }
    if (n < whole)
        return 0;
    uint16_t crc = sim_crc(buf, whole - 2);
    if (buf[whole - 2] != (crc & 0xff) || buf[whole - 1] != crc >> 8)
        return 1;
    out->unit = buf[0];
    out->pdu = buf + 1;
    out->n = whole - 3;
    return whole;
}

size_t sim_frame_take(bool tcp, const uint8_t *buf, size_t n, struct sim_request *out)
{
    *out = (struct sim_request){.tcp = tcp};
    return tcp ? take_tcp(buf, n, out) : take_rtu(buf, n, out);
}

static size_t frame(const struct sim_request *r, const uint8_t *pdu, size_t n, enum sim_fault f,
                    uint8_t *out)
{
    uint8_t unit = (uint8_t)(r->unit + (f == SIM_FAULT_WRONG_UNIT));
    uint16_t tid = (uint16_t)(r->tid + (f == SIM_FAULT_WRONG_TID)), crc;
    if (r->tcp) {
        const uint8_t head[7] = {(uint8_t)(tid >> 8),     (uint8_t)tid,     0,   0,
                                 (uint8_t)((n + 1) >> 8), (uint8_t)(n + 1), unit};
        memcpy(out, head, 7);
        memcpy(out + 7, pdu, n);
        return n + 7;
    }
    out[0] = unit;
    memcpy(out + 1, pdu, n);
    crc = sim_crc(out, n + 1);
    if (f == SIM_FAULT_CRC)
        crc ^= 0x0101;
    out[n + 1] = (uint8_t)crc;
    out[n + 2] = (uint8_t)(crc >> 8);
    return n + 3;
}

size_t sim_frame_answer(const struct sim_request *r, const uint8_t *pdu, size_t n, enum sim_fault f,
                        uint64_t *random, uint8_t out[SIM_FRAME_MAX_BYTES])
{
    uint8_t spoilt[SIM_PDU_MAX_BYTES];
    memcpy(spoilt, pdu, n);

    switch (f) {
    case SIM_FAULT_SILENT:
    case SIM_FAULT_SILENT_JOINED:
    case SIM_FAULT_CLOSE:
        return 0;
    case SIM_FAULT_EXCEPTION:
    case SIM_FAULT_REFUSE_JOINED:
        spoilt[0] = (uint8_t)(pdu[0] | 0x80);
        spoilt[1] = f == SIM_FAULT_EXCEPTION ? 4 : 2;
        n = 2;
        break;
    case SIM_FAULT_OTHER_FUNCTION:
        spoilt[0] ^= 7; /* 3 and 4, 1 and 6, 2 and 5 */
        break;
    case SIM_FAULT_WRONG_LENGTH:
        if (n > 3) {
            size_t less = n > 4 ? 2 : 1;
            spoilt[1] = (uint8_t)(spoilt[1] - less);
            n -= less;
        }
        break;
    default:
        break;
    }
    size_t bytes = frame(r, spoilt, n, f, out);
    if (f == SIM_FAULT_HALF)
        bytes /= 2;
    if (f == SIM_FAULT_GARBAGE)
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)(sim_random(random) >> 32);
    if (f == SIM_FAULT_DUPLICATE) {
        memcpy(out + bytes, out, bytes);
        bytes *= 2;
    }
    return bytes;
}
