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
                                           {"long", SIM_FAULT_LONG},
                                           {"slow", SIM_FAULT_SLOW},
                                           {"joined", SIM_FAULT_JOINED},
                                           {"reset", SIM_FAULT_RESET},
                                           {"echo", SIM_FAULT_ECHO},
                                           {"noise", SIM_FAULT_NOISE},
                                           {"broadcast", SIM_FAULT_BROADCAST},
                                           {"swap", SIM_FAULT_SWAP},
                                           {"worn", SIM_FAULT_WORN},
                                           {"clash", SIM_FAULT_CLASH},
                                           {"speed", SIM_FAULT_SPEED},
                                           {NULL, 0}};

enum { FITS_RTU = 1, FITS_TCP = 2, SERVES = 4 };
static const uint8_t traits[SIM_FAULTS] = {[SIM_FAULT_NONE] = SERVES,
                                           [SIM_FAULT_DUPLICATE] = SERVES,
                                           [SIM_FAULT_SLOW] = SERVES,
                                           [SIM_FAULT_JOINED] = SERVES,
                                           [SIM_FAULT_CRC] = FITS_RTU,
                                           [SIM_FAULT_WORN] = FITS_RTU | SERVES,
                                           [SIM_FAULT_CLASH] = FITS_RTU,
                                           [SIM_FAULT_SPEED] = FITS_RTU,
                                           [SIM_FAULT_ECHO] = FITS_RTU | SERVES,
                                           [SIM_FAULT_NOISE] = FITS_RTU | SERVES,
                                           [SIM_FAULT_BROADCAST] = FITS_RTU | SERVES,
                                           [SIM_FAULT_WRONG_TID] = FITS_TCP,
                                           [SIM_FAULT_CLOSE] = FITS_TCP,
                                           [SIM_FAULT_RESET] = FITS_TCP};

bool sim_fault_fits(enum sim_fault f, bool tcp)
{
    return (traits[f] & (tcp ? FITS_RTU : FITS_TCP)) == 0;
}

bool sim_fault_serves(enum sim_fault f)
{
    return (traits[f] & SERVES) != 0;
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

static void poison(uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[i] = i % 2 == 0 ? SIM_POISON >> 8 : SIM_POISON & 0xff;
}

static void swap_words(uint8_t *data, size_t n)
{
    for (size_t i = 0; i + 4 <= n; i += 4) {
        const uint8_t high[2] = {data[i], data[i + 1]};
        memmove(data + i, data + i + 2, 2);
        memcpy(data + i + 2, high, 2);
    }
}

/* Spoils a PDU with values; returns its length. */
static size_t spoil(uint8_t *pdu, size_t n, enum sim_fault f)
{
    if (f == SIM_FAULT_SWAP)
        swap_words(pdu + 2, n - 2);
    else if (!sim_fault_serves(f))
        poison(pdu + 2, n - 2);
    if (f == SIM_FAULT_EXCEPTION || f == SIM_FAULT_REFUSE_JOINED) {
        pdu[0] |= 0x80;
        pdu[1] = f == SIM_FAULT_EXCEPTION ? 4 : 2;
        return 2;
    }
    if (f == SIM_FAULT_OTHER_FUNCTION)
        pdu[0] ^= 7; /* 3 and 4, 1 and 6, 2 and 5 */
    size_t step = n > 4 ? 2 : 1;
    if (f == SIM_FAULT_WRONG_LENGTH && n > 3) {
        pdu[1] = (uint8_t)(pdu[1] - step);
        return n - step;
    }
    if (f == SIM_FAULT_LONG && n + 2 <= SIM_PDU_MAX_BYTES) {
        poison(pdu + n, 2);
        pdu[1] = (uint8_t)(pdu[1] + 2);
        return n + 2;
    }
    return n;
}

static size_t noise(uint64_t *random, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(sim_random(random) >> 32);
    return n;
}

static size_t wear(uint64_t *random, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t r = sim_random(random) >> 32;
        if (r % 200 == 0)
            p[i] ^= (uint8_t)(1U << (r >> 16) % 8);
    }
    return n;
}

/* Both drive the line: what one pulls low is low. The second begins 1 to 3 bytes later. */
static size_t clash(uint64_t *random, uint8_t *p, size_t n)
{
    uint8_t other[SIM_PDU_MAX_BYTES + 3];
    size_t later = 1 + (size_t)(sim_random(random) >> 32) % 3;
    memcpy(other, p, n);
    other[n - 3] ^= 0x55; /* it measures something else */
    uint16_t crc = sim_crc(other, n - 2);
    other[n - 2] = (uint8_t)crc;
    other[n - 1] = (uint8_t)(crc >> 8);
    for (size_t i = later; i < n; i++)
        p[i] &= other[i - later];
    memcpy(p + n, other + n - later, later);
    return n + later;
}

/* The level of the line in bit i of n bytes that are sent at half the speed: each has a start bit,
 * 8 data bits and a stop bit; at rest it is high. */
static bool level(const uint8_t *p, size_t n, size_t i)
{
    size_t bit = i / 2 % 10;
    if (i / 20 >= n)
        return true;
    return bit == 9 || (bit > 0 && (p[i / 20] >> (bit - 1) & 1));
}

/* A byte whose stop bit is low is read as 0, as termios does. */
static size_t at_twice_the_speed(uint8_t *p, size_t n)
{
    uint8_t sent[SIM_PDU_MAX_BYTES + 3];
    size_t got = 0;
    memcpy(sent, p, n);
    for (size_t i = 0; i < 20 * n; i++) {
        unsigned byte = 0;
        if (level(sent, n, i))
            continue;
        for (unsigned k = 0; k < 8; k++)
            byte |= (unsigned)level(sent, n, i + 1 + k) << k;
        p[got++] = level(sent, n, i + 9) ? (uint8_t)byte : 0;
        i += 9;
    }
    return got;
}

/* What is heard before the answer. */
static size_t before(const struct sim_request *r, const uint8_t *pdu, size_t n, enum sim_fault f,
                     uint64_t *random, uint8_t *out)
{
    static const struct sim_request all = {.unit = 0};
    static const uint8_t write_one[] = {6, 0, 1, 0, 3};
    uint8_t other[SIM_PDU_MAX_BYTES];
    switch (f) {
    case SIM_FAULT_JOINED:
        memcpy(other, pdu, n);
        poison(other + 2, n - 2);
        return frame(r, other, n, r->tcp ? SIM_FAULT_WRONG_TID : SIM_FAULT_WRONG_UNIT, out);
    case SIM_FAULT_ECHO:
        return frame(r, r->pdu, r->n, SIM_FAULT_NONE, out);
    case SIM_FAULT_BROADCAST:
        return frame(&all, write_one, sizeof(write_one), SIM_FAULT_NONE, out);
    case SIM_FAULT_NOISE:
        return noise(random, out, 7);
    default:
        return 0;
    }
}

size_t sim_frame_answer(const struct sim_request *r, const uint8_t *pdu, size_t n, enum sim_fault f,
                        uint64_t *random, uint8_t out[SIM_FRAME_MAX_BYTES])
{
    uint8_t spoilt[SIM_PDU_MAX_BYTES];
    memcpy(spoilt, pdu, n);

    if (f == SIM_FAULT_SILENT || f == SIM_FAULT_SILENT_JOINED || f == SIM_FAULT_CLOSE)
        return 0;
    if ((pdu[0] & 0x80) == 0)
        n = spoil(spoilt, n, f);
    size_t head = before(r, pdu, n, f, random, out);
    size_t bytes = frame(r, spoilt, n, f, out + head);
    if (f == SIM_FAULT_HALF || f == SIM_FAULT_RESET)
        bytes /= 2;
    if (f == SIM_FAULT_GARBAGE)
        noise(random, out, bytes);
    if (f == SIM_FAULT_DUPLICATE) {
        memcpy(out + bytes, out, bytes);
        bytes *= 2;
    }
    if (f == SIM_FAULT_WORN)
        bytes = wear(random, out, bytes);
    if (f == SIM_FAULT_CLASH)
        bytes = clash(random, out, bytes);
    if (f == SIM_FAULT_SPEED)
        bytes = at_twice_the_speed(out, bytes);
    if (f == SIM_FAULT_NOISE)
        bytes += noise(random, out + head + bytes, 5);
    return head + bytes;
}
