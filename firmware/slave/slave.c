/* Answers. Everything that is taken of the frame is taken before the answer is written, which may
 * stand in the same memory. */
#include "firmware/slave/slave.h"

#include "firmware/bytes.h"

#define HEAD 2U /* address, function */
#define CRC 2U
#define MEI_IDENTIFICATION 14U
#define OBJECTS_BASIC 3U   /* 0 to 2 */
#define OBJECTS_REGULAR 7U /* 0 to 6 */
#define CONFORMITY 0x82U   /* regular, by stream and one by one */

uint16_t slave_crc(const uint8_t *p, size_t n)
{
    /* What half a byte leaves: by the bit, a long answer takes a millisecond at 24 MHz. */
    static const uint16_t half[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00,
                                      0x2800, 0xE401, 0xA001, 0x6C00, 0x7800, 0xB401,
                                      0x5000, 0x9C01, 0x8801, 0x4400};
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ half[crc & 15U];
        crc = crc >> 4 ^ half[crc & 15U];
    }
    return (uint16_t)crc;
}

bool slave_whole(const uint8_t *p, size_t n)
{
    if (n < SLAVE_FRAME_MIN || n > SLAVE_FRAME_MAX)
        return false;
    return slave_crc(p, n - CRC) == (p[n - 2] | p[n - 1] << 8);
}

/* ---- functions: what it gives is an exception, or the answer's length behind its head ----------
 */

struct call {
    const struct slave_map *map;
    const uint8_t *q; /* the frame */
    bool to_all;
    uint8_t *data; /* of the answer, behind its head */
    size_t n;      /* bytes there */
};

static bool beyond(unsigned at, unsigned count)
{
    return at + count > 65536U;
}

static enum slave_exception read_registers(struct call *c)
{
    unsigned at = bytes_u16(c->q + 2), count = bytes_u16(c->q + 4);
    if (count < 1 || count > SLAVE_READ_MAX)
        return SLAVE_VALUE;
    if (beyond(at, count))
        return SLAVE_ADDRESS;
    c->data[0] = (uint8_t)(2 * count);
    c->n = 1 + 2 * (size_t)count;
    return c->map->read(c->map->ctx, at, count, c->data + 1);
}

static enum slave_exception write_one(struct call *c)
{
    uint8_t echo[4] = {c->q[2], c->q[3], c->q[4], c->q[5]};
    enum slave_exception e = c->map->write(c->map->ctx, bytes_u16(echo), 1, echo + 2, c->to_all);
    for (size_t i = 0; i < sizeof echo; i++)
        c->data[i] = echo[i];
    c->n = sizeof echo;
    return e;
}

static enum slave_exception write_many(struct call *c)
{
    unsigned at = bytes_u16(c->q + 2), count = bytes_u16(c->q + 4);
    if (count < 1 || count > SLAVE_WRITE_MAX || c->q[6] != 2 * count)
        return SLAVE_VALUE;
    if (beyond(at, count))
        return SLAVE_ADDRESS;
    enum slave_exception e = c->map->write(c->map->ctx, at, count, c->q + 7, c->to_all);
    bytes_put_u16(c->data, (uint16_t)at);
    bytes_put_u16(c->data + 2, (uint16_t)count);
    c->n = 4;
    return e;
}

static void put_object(struct call *c, unsigned id, const char *text)
{
    size_t n = 0;
    uint8_t *p = c->data + c->n;
    for (; n < SLAVE_OBJECT_MAX && text[n]; n++)
        p[2 + n] = (uint8_t)text[n];
    p[0] = (uint8_t)id;
    p[1] = (uint8_t)n;
    c->n += 2 + n;
    c->data[5]++;
}

/* Code 1 and 2 (and 3, for there are no extended ones) bring all from the object on that is asked
 * for, code 4 that one alone. All of them fit in one answer. */
static enum slave_exception identify(struct call *c)
{
    if (c->q[2] != MEI_IDENTIFICATION)
        return SLAVE_FUNCTION;
    unsigned code = c->q[3], id = c->q[4];
    unsigned end = code == 1 ? OBJECTS_BASIC : OBJECTS_REGULAR;
    if (code < 1 || code > 4)
        return SLAVE_VALUE;
    const char *text = id < end ? c->map->object(c->map->ctx, id) : NULL;
    if (!text && code == 4)
        return SLAVE_ADDRESS;
    if (!text)
        id = 0;
    const uint8_t head[] = {MEI_IDENTIFICATION, (uint8_t)code, CONFORMITY, 0, 0, 0};
    for (size_t i = 0; i < sizeof head; i++)
        c->data[i] = head[i];
    c->n = sizeof head;
    if (code == 4)
        end = id + 1;
    for (; id < end; id++) {
        text = c->map->object(c->map->ctx, id);
        if (text)
            put_object(c, id, text);
    }
    return SLAVE_DONE;
}

/* What a frame must be long: the answers of another node with this address are not. */
static size_t length_8(const uint8_t *p)
{
    (void)p;
    return 8;
}

static size_t length_many(const uint8_t *p) /* its seventh byte says how many follow */
{
    return 9U + p[6];
}

static size_t length_identify(const uint8_t *p)
{
    return p[2] == MEI_IDENTIFICATION ? 7 : 0;
}

static const struct function {
    uint8_t number;
    uint8_t least; /* bytes, before its length is asked */
    bool to_all;
    size_t (*length)(const uint8_t *p); /* 0: that kind of frame may have any */
    enum slave_exception (*does)(struct call *c);
} functions[] = {
    {3, 8, false, length_8, read_registers},   {4, 8, false, length_8, read_registers},
    {6, 8, true, length_8, write_one},         {16, 9, true, length_many, write_many},
    {43, 5, false, length_identify, identify},
};

static const struct function *function_of(uint8_t number)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (functions[i].number == number)
            return &functions[i];
    }
    return NULL;
}

static bool length_fits(const struct function *f, const uint8_t *p, size_t n)
{
    return n >= f->least && (f->length(p) == n || f->length(p) == 0);
}

bool slave_is_request(const uint8_t *p, size_t n, uint8_t address)
{
    if (n < SLAVE_FRAME_MIN || (p[0] != address && p[0] != SLAVE_ALL))
        return false;
    const struct function *f = function_of(p[1]);
    return f && n >= f->least && f->length(p) == n && slave_whole(p, n);
}

/* ---- a frame ----------------------------------------------------------------------------------
 */

static bool is_echo(struct slave *s, const uint8_t *q, uint32_t now_ms)
{
    bool may_be = s->echo && q[1] == 6;
    s->echo = false;
    if (!may_be)
        return false;
    for (size_t i = 0; i < sizeof s->echo_of; i++) {
        if (s->echo_of[i] != q[2 + i])
            return false;
    }
    return now_ms - s->echo_ms < SLAVE_ECHO_MS;
}

size_t slave_answer(struct slave *s, const struct slave_map *map, const uint8_t *frame, size_t n,
                    uint32_t now_ms, uint8_t *answer)
{
    if (!slave_whole(frame, n) || (frame[0] != s->address && frame[0] != SLAVE_ALL))
        return 0;
    /* Another node with this address answers: its exceptions and its data are no requests. */
    const struct function *f = function_of(frame[1]);
    if (frame[1] & 0x80U || (f && !length_fits(f, frame, n)))
        return 0;
    struct call c = {
        .map = map, .q = frame, .to_all = frame[0] == SLAVE_ALL, .data = answer + HEAD};
    uint8_t unit = frame[0], number = frame[1];
    if (c.to_all) {
        if (f && f->to_all)
            (void)f->does(&c);
        return 0;
    }
    if (is_echo(s, frame, now_ms))
        return 0;
    s->requests++;
    enum slave_exception e = f ? f->does(&c) : SLAVE_FUNCTION;
    answer[0] = unit;
    answer[1] = number;
    if (e != SLAVE_DONE) {
        s->exceptions++;
        answer[1] = number | 0x80U;
        c.data[0] = (uint8_t)e;
        c.n = 1;
    } else if (number == 6) {
        s->echo = true;
        s->echo_ms = now_ms;
        for (size_t i = 0; i < sizeof s->echo_of; i++)
            s->echo_of[i] = c.data[i];
    }
    unsigned crc = slave_crc(answer, HEAD + c.n);
    c.data[c.n] = (uint8_t)crc;
    c.data[c.n + 1] = (uint8_t)(crc >> 8);
    return HEAD + c.n + CRC;
}
