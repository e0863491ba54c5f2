/* The port. */
#include "tests/firmware/fake.h"

#include <string.h>

#include "sensors/node.h"

struct fake fake;
volatile uint32_t port_kept;

#define TURN_US 20       /* what the loop itself takes */
#define TICK_US 1000U    /* an interrupt comes at least so often */
#define WRITE_US 5000U   /* of an EEPROM's page */
#define ANSWER_US 300000 /* what fake_exchange waits */

/* ---- time ---- */

uint32_t port_us(void)
{
    return (uint32_t)fake.us;
}

uint32_t port_ms(void)
{
    return (uint32_t)(fake.us / 1000);
}

/* ---- the line ---- */

/* The loop never sleeps here: fake_run moves the clock. */
void port_idle(void)
{
}

void port_line_open(const struct port_line *as)
{
    if (port_line_sending()) /* nobody understands what is on its way */
        fake.nsent = 0;
    fake.line = *as;
    while (fake.got < fake.put && fake.queue[fake.got].at_us <= fake.us)
        fake.got++;
}

bool port_line_get(uint8_t *byte, uint32_t *at_us, bool *flaw)
{
    if (fake.got == fake.put || fake.queue[fake.got].at_us > fake.us)
        return false;
    *byte = fake.queue[fake.got].byte;
    *at_us = (uint32_t)fake.queue[fake.got].at_us;
    *flaw = fake.queue[fake.got++].flaw;
    return true;
}

static uint32_t char_us(void)
{
    unsigned bits = 9U + (fake.line.parity > 0) + fake.line.stop_bits;
    return bits * 1000000U / fake.line.baud;
}

void port_line_send(const uint8_t *p, size_t n)
{
    memcpy(fake.sent, p, n);
    fake.nsent = n;
    fake.sends++;
    fake.sent_us = fake.us;
    fake.sending_us = fake.us + n * char_us();
}

bool port_line_sending(void)
{
    return fake.hangs || fake.us < fake.sending_us;
}

/* ---- the EEPROM ---- */

enum st port_memory_read(uint32_t at, uint8_t *p, size_t n)
{
    fake.us += 90 * (n + 4);
    if (fake.memory_st != ST_OK)
        return fake.memory_st;
    if (fake.us < fake.memory_us)
        return ST_BUSY;
    if (at + n > FAKE_MEMORY)
        return ST_BAD;
    memcpy(p, fake.memory + at, n);
    return ST_OK;
}

enum st port_memory_write(uint32_t at, const uint8_t *p, size_t n)
{
    fake.us += 90 * (n + 3);
    if (fake.memory_st != ST_OK)
        return fake.memory_st;
    if (fake.us < fake.memory_us)
        return ST_BUSY;
    if (at + n > FAKE_MEMORY || at / fake.page != (at + n - 1) / fake.page)
        return ST_BAD;
    fake.writes++;
    for (size_t i = 0; i < n; i++) {
        if (!fake.worn[at + i])
            fake.memory[at + i] = p[i];
        if (++fake.written != fake.cut_at)
            continue;
        uint32_t begin = at / fake.page * fake.page;
        for (uint32_t k = 0; fake.torn && k < fake.page; k++) {
            if (begin + k < at || begin + k > at + i) /* erased, or half programmed */
                fake.memory[begin + k] = k % 3 ? 0xFF : (uint8_t)(fake.memory[begin + k] | 0x5A);
        }
        longjmp(fake.gone, 1);
    }
    fake.memory_us = fake.us + WRITE_US;
    return ST_OK;
}

/* ---- life ---- */

unsigned port_reset_cause(void)
{
    return fake.reset_cause;
}

void port_watchdog_start(void)
{
    fake.watchdog = true;
    fake.fed_us = fake.us;
}

void port_watchdog_feed(void)
{
    uint64_t since = fake.us - fake.fed_us;
    if (since > fake.worst_feed_us)
        fake.worst_feed_us = since;
    if (since < fake.soonest_feed_us)
        fake.soonest_feed_us = since;
    fake.fed_us = fake.us;
    fake.feeds++;
}

_Noreturn void port_restart(void)
{
    fake.restarted = true;
    longjmp(fake.gone, 1);
}

uint16_t port_supply_mv(void)
{
    return 3312;
}

int16_t port_temperature_dc(void)
{
    return 287;
}

uint16_t port_stack_free(void)
{
    return 612;
}

uint16_t port_i2c_recoveries(void)
{
    return 1;
}

void port_serial(char text[17])
{
    memset(text, 0, 17);
    memcpy(text, fake.serial, strnlen(fake.serial, 16));
}

/* ---- chips ---- */

static enum st chip_start(struct sensor *s, uint16_t *ready_ms)
{
    struct fake_chip *c = &fake.does[s->address];
    c->starts++;
    fake.us += c->takes_us;
    *ready_ms = c->ready_ms;
    return c->start;
}

static enum st chip_collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    struct fake_chip *c = &fake.does[s->address];
    c->collects++;
    fake.us += c->takes_us;
    *ready_ms = c->ready_ms;
    for (unsigned i = 0; c->collect == ST_OK && i < s->noutputs; i++)
        raw[i] = c->raw[i];
    return c->collect;
}

/* One driver for each, for their ids. */
#define CHIP(number)                                                                               \
    {                                                                                              \
        "fake", (number), 0, NULL, 10, chip_start, chip_collect                                    \
    }
static const struct sensor_driver drivers[FAKE_CHIPS] = {
    CHIP(1),  CHIP(12), CHIP(3),  CHIP(4),  CHIP(5),  CHIP(6),  CHIP(7),
    CHIP(8),  CHIP(9),  CHIP(10), CHIP(11), CHIP(2),  CHIP(13), CHIP(14),
    CHIP(15), CHIP(16), CHIP(17), CHIP(18), CHIP(19), CHIP(20),
};

unsigned fake_add(const struct sensor_output *outputs, unsigned n)
{
    unsigned i = fake.board.nsensors++;
    fake.chips[i] = (struct sensor){
        .driver = &drivers[i], .address = (uint8_t)i, .noutputs = (uint8_t)n, .outputs = outputs};
    return i;
}

/* ---- what a test does ---- */

void fake_new(void)
{
    memset(&fake, 0, sizeof fake);
    memset(fake.memory, 0xFF, sizeof fake.memory);
    fake.turn_us = TURN_US;
    fake.page = 32;
    fake.serial = "0011223344556677";
    fake.reset_cause = NODE_RESET_POWER;
    fake.us = 0xFFF00000U; /* the clock of µs comes around soon */
    fake.board = (struct port_board){.model = "example-1",
                                     .t15_us = 750,
                                     .t35_us = 1750,
                                     .memory_bytes = FAKE_MEMORY,
                                     .memory_page = 32,
                                     .sensors = fake.chips};
    fake.soonest_feed_us = UINT64_MAX;
}

bool fake_boot(void)
{
    fake.restarted = false;
    fake.got = fake.put;
    fake.memory_us = fake.sending_us = 0;
    fake.fed_us = fake.us;
    memset(&fake.node, 0, sizeof fake.node);
    if (setjmp(fake.gone))
        return false;
    node_start(&fake.node, &fake.board);
    return true;
}

bool fake_run(uint64_t us)
{
    uint64_t end = fake.us + us;
    if (setjmp(fake.gone))
        return false;
    while (fake.us < end) {
        bool busy = node_turn(&fake.node);
        uint64_t next = fake.us / TICK_US * TICK_US + TICK_US;
        fake.us += fake.turn_us;
        if (busy)
            continue;
        if (fake.got < fake.put && fake.queue[fake.got].at_us < next)
            next = fake.queue[fake.got].at_us;
        if (next > fake.us)
            fake.us = next;
    }
    return true;
}

void fake_say(const uint8_t *p, size_t n, uint64_t after_us)
{
    uint64_t at = fake.us;
    if (fake.put > fake.got && fake.queue[fake.put - 1].at_us > at)
        at = fake.queue[fake.put - 1].at_us;
    if (fake.got == fake.put)
        fake.got = fake.put = 0;
    at += after_us;
    for (size_t i = 0; i < n && fake.put < FAKE_QUEUE; i++) {
        at += char_us();
        fake.queue[fake.put].byte = p[i];
        fake.queue[fake.put].flaw = false;
        fake.queue[fake.put++].at_us = at;
    }
}

uint16_t fake_crc(const uint8_t *p, size_t n)
{
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < 8 * n; i++) {
        if (i % 8 == 0)
            crc ^= p[i / 8];
        crc = crc >> 1 ^ (crc & 1 ? 0xA001U : 0);
    }
    return (uint16_t)crc;
}

void fake_ask(const uint8_t *p, size_t n)
{
    uint8_t frame[SLAVE_FRAME_MAX + 2];
    uint16_t crc = fake_crc(p, n);
    memcpy(frame, p, n);
    frame[n] = (uint8_t)crc;
    frame[n + 1] = (uint8_t)(crc >> 8);
    fake_say(frame, n + 2, 5000);
}

size_t fake_exchange(const uint8_t *p, size_t n, uint8_t answer[SLAVE_FRAME_MAX])
{
    unsigned sends = fake.sends;
    fake_ask(p, n);
    uint64_t end = fake.us + ANSWER_US;
    while (fake.sends == sends && fake.us < end) {
        if (!fake_run(1000))
            return 0;
    }
    if (fake.sends == sends)
        return 0;
    while (port_line_sending() && !fake.hangs) {
        if (!fake_run(1000))
            return 0;
    }
    if (!fake_run(1000)) /* what comes in force behind the answer */
        return 0;
    if (fake.nsent < 4 || fake_crc(fake.sent, fake.nsent - 2) !=
                              (fake.sent[fake.nsent - 2] | fake.sent[fake.nsent - 1] << 8))
        return 0;
    memcpy(answer, fake.sent, fake.nsent - 2);
    return fake.nsent - 2;
}

int fake_read(uint8_t unit, unsigned at, unsigned count, uint16_t *to)
{
    uint8_t a[SLAVE_FRAME_MAX];
    const uint8_t q[] = {unit,          3, (uint8_t)(at >> 8), (uint8_t)at, (uint8_t)(count >> 8),
                         (uint8_t)count};
    size_t n = fake_exchange(q, sizeof q, a);
    if (n == 3 && a[1] == 0x83)
        return a[2];
    if (n != 3 + 2 * count || a[0] != unit || a[1] != 3 || a[2] != 2 * count)
        return -1;
    for (unsigned i = 0; i < count; i++)
        to[i] = (uint16_t)(a[3 + 2 * i] << 8 | a[4 + 2 * i]);
    return 0;
}

int fake_write(uint8_t unit, unsigned at, unsigned value)
{
    uint8_t a[SLAVE_FRAME_MAX];
    const uint8_t q[] = {unit,          6, (uint8_t)(at >> 8), (uint8_t)at, (uint8_t)(value >> 8),
                         (uint8_t)value};
    size_t n = fake_exchange(q, sizeof q, a);
    if (n == 3 && a[1] == 0x86)
        return a[2];
    return n == sizeof q && memcmp(a, q, n) == 0 ? 0 : -1;
}

int fake_write_many(uint8_t unit, unsigned at, unsigned count, const uint16_t *values)
{
    uint8_t a[SLAVE_FRAME_MAX];
    uint8_t q[SLAVE_FRAME_MAX] = {unit,
                                  16,
                                  (uint8_t)(at >> 8),
                                  (uint8_t)at,
                                  (uint8_t)(count >> 8),
                                  (uint8_t)count,
                                  (uint8_t)(2 * count)};
    for (unsigned i = 0; i < count; i++) {
        q[7 + 2 * i] = (uint8_t)(values[i] >> 8);
        q[8 + 2 * i] = (uint8_t)values[i];
    }
    size_t n = fake_exchange(q, 7 + 2 * count, a);
    if (n == 3 && a[1] == 0x90)
        return a[2];
    return n == 6 && memcmp(a, q, n) == 0 ? 0 : -1;
}

unsigned fake_block(uint8_t unit, unsigned id)
{
    uint16_t head[2];
    unsigned at = NODE_FIRST;
    while (fake_read(unit, at, 2, head) == 0 && head[0] != NODE_END) {
        if (head[0] == id)
            return at + 2;
        at += 2U + head[1];
    }
    return 0;
}
