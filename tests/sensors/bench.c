#include "tests/sensors/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct bench bench;

/* ---- faults ---- */
static bool broken(enum fault fault)
{
    return bench.fault == fault &&
           (bench.lasts ? bench.step > bench.at : bench.step == bench.at + 1);
}

static uint32_t draw(void)
{
    bench.lot = bench.lot * 1664525U + 1013904223U;
    return bench.lot >> 8;
}

static void flip(uint8_t *r, size_t n)
{
    for (size_t i = 0; i < n && broken(FAULT_NOISE); i++)
        r[i] = (uint8_t)draw();
    if (broken(FAULT_FLIP) && bench.flip / 8 < n)
        r[bench.flip / 8] ^= (uint8_t)(0x80U >> bench.flip % 8);
}

/* ---- buses ---- */
static enum st transfer(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                        size_t nr)
{
    (void)ctx;
    bench.step++;
    bench.us += BENCH_I2C_BYTE_US * (unsigned)(1 + nw + nr + (nw > 0 && nr > 0));
    if (broken(FAULT_STUCK))
        return ST_IO;
    if (broken(FAULT_ABSENT) || address != bench.chip->sensor.address)
        return ST_NOT_FOUND;
    if (broken(FAULT_REFUSED) && nw > 0)
        return ST_REFUSED;
    enum st st = bench.chip->transfer(w, nw, r, nr);
    if (st == ST_OK && nr > 0)
        flip(r, nr);
    return st;
}

static size_t uart_read(void *ctx, uint8_t *p, size_t room)
{
    size_t n = 0, taken = 0;
    (void)ctx;
    if (broken(FAULT_NOISE)) {
        n = draw() % (room + 1);
        flip(p, n);
        return n;
    }
    for (; n < room && taken < bench.nline; taken++) {
        bench.step++;
        if (broken(FAULT_ABSENT) || broken(FAULT_SHORT))
            continue;
        p[n] = bench.line[taken];
        if (broken(FAULT_FLIP))
            p[n] ^= (uint8_t)(0x80U >> bench.flip % 8);
        n++;
    }
    memmove(bench.line, bench.line + taken, bench.nline - taken);
    bench.nline -= taken;
    return n;
}

static enum st uart_write(void *ctx, const uint8_t *p, size_t n)
{
    (void)ctx;
    bench.step++;
    if (broken(FAULT_STUCK))
        return ST_BUSY;
    if (!broken(FAULT_ABSENT) && bench.chip->sent)
        bench.chip->sent(p, n);
    return ST_OK;
}

static enum st wire_reset(void *ctx)
{
    (void)ctx;
    bench.step++;
    bench.us += BENCH_WIRE_RESET_US;
    if (broken(FAULT_STUCK))
        return ST_IO;
    if (broken(FAULT_ABSENT))
        return ST_NOT_FOUND;
    bench.chip->wire_reset();
    return ST_OK;
}

static void wire_write(void *ctx, uint8_t byte)
{
    (void)ctx;
    bench.step++;
    bench.us += BENCH_WIRE_BYTE_US;
    if (!broken(FAULT_STUCK) && !broken(FAULT_ABSENT))
        bench.chip->wire_write(byte);
}

static uint8_t wire_read(void *ctx)
{
    (void)ctx;
    bench.step++;
    bench.us += BENCH_WIRE_BYTE_US;
    if (broken(FAULT_STUCK))
        return 0;
    if (broken(FAULT_ABSENT))
        return 0xFF;
    uint8_t byte = bench.chip->wire_read();
    flip(&byte, 1);
    return byte;
}

/* Its data line has a pull-up: high when nobody is there. */
static bool clocked_ready(void *ctx)
{
    (void)ctx;
    bench.step++;
    if (broken(FAULT_ABSENT))
        return false;
    return broken(FAULT_STUCK) || broken(FAULT_NOISE) || bench.chip->ready();
}

static uint32_t clocked_clock(void *ctx, unsigned pulses)
{
    (void)ctx;
    bench.step++;
    bench.us += BENCH_CLOCK_US * pulses;
    assert_in_range(pulses, 1, 32);
    if (broken(FAULT_ABSENT))
        return (uint32_t)((UINT64_C(1) << pulses) - 1);
    if (broken(FAULT_NOISE))
        return draw() << 8 >> (32 - pulses);
    return broken(FAULT_STUCK) ? 0 : bench.chip->clock(pulses);
}

static uint32_t pulses_count(void *ctx)
{
    (void)ctx;
    return bench.chip->count();
}

static const struct sensor_i2c i2c = {transfer, NULL};
static const struct sensor_uart uart = {uart_read, uart_write, NULL};
static const struct sensor_wire wire = {wire_reset, wire_write, wire_read, NULL};
static const struct sensor_clocked clocked = {clocked_ready, clocked_clock, NULL};
static const struct sensor_pulses pulses = {pulses_count, NULL};
static const void *const buses[] = {[CHIP_I2C] = &i2c,
                                    [CHIP_UART] = &uart,
                                    [CHIP_WIRE] = &wire,
                                    [CHIP_CLOCKED] = &clocked,
                                    [CHIP_PULSES] = &pulses};

/* ---- the bench ---- */
size_t bench_hex(const char *hex, uint8_t *out, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        const char *high = strchr(digits, hex[0]), *low = hex[1] ? strchr(digits, hex[1]) : NULL;
        if (!high || !low || n == room)
            fail_msg("no bytes in hexadecimal, or too many: %s", hex);
        else
            out[n++] = (uint8_t)((high - digits) << 4 | (low - digits));
        hex++;
    }
    return n;
}

void bench_measures(const char *hex)
{
    uint8_t frame[256];
    size_t n = bench_hex(hex, frame, sizeof frame);
    bench.chip->measures(frame, n);
}

void bench_put(const struct chip *chip, const struct chip_frame *frame)
{
    memset(&bench, 0, sizeof bench);
    bench.chip = chip;
    bench.sensor = chip->sensor;
    bench.sensor.io = buses[chip->bus];
    if (frame->setting)
        memcpy(bench.sensor.setting, frame->setting, sizeof bench.sensor.setting);
    if (chip->power)
        chip->power();
    bench_measures(frame->hex);
}

void bench_break(enum fault fault, unsigned at, bool lasts)
{
    bench.fault = fault;
    bench.at = at;
    bench.step = 0;
    bench.lasts = lasts;
}

void bench_mend(void)
{
    bench.fault = FAULT_NONE;
}

void bench_pass(unsigned ms)
{
    for (; ms > 0; ms--) {
        bench.ms++;
        if (bench.chip->tick)
            bench.chip->tick();
    }
}

void bench_sends(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bench.nline == sizeof bench.line)
            memmove(bench.line, bench.line + 1, --bench.nline);
        bench.line[bench.nline++] = p[i];
    }
}

uint8_t bench_crc8(uint8_t polynomial, uint8_t crc, const uint8_t *p, size_t n)
{
    for (size_t bit = 0; bit < n * 8; bit++) {
        bool one = (crc >> 7 & 1) != (p[bit / 8] >> (7 - bit % 8) & 1);
        crc = (uint8_t)(crc << 1);
        if (one)
            crc ^= polynomial;
    }
    return crc;
}

/* ---- a measurement ---- */
#define UNTOUCHED 0x5A5A5A5A
#define UNSAID 65535

static bool within(enum st st, const char *call)
{
    const char *name = bench.sensor.driver->name;
    if (bench.us > BENCH_CALL_US)
        fail_msg("%s: %s keeps the processor for %u us", name, call, bench.us);
    if (st != ST_OK && st != ST_BUSY && st != ST_NOT_FOUND && st != ST_CORRUPT && st != ST_BAD &&
        st != ST_IO)
        fail_msg("%s: %s says %d, which no driver may", name, call, st);
    bench.us = 0;
    return st == ST_BUSY;
}

struct outcome bench_run(void)
{
    struct sensor *s = &bench.sensor;
    const struct sensor_driver *d = s->driver;
    struct outcome o = {.calls = 1};
    uint16_t wait = UNSAID;
    for (size_t i = 0; i < SENSOR_OUTPUTS; i++)
        o.raw[i] = UNTOUCHED;
    bench.us = 0;
    o.st = d->start(s, &wait);
    if (within(o.st, "start"))
        fail_msg("%s: start says ST_BUSY", d->name);
    for (unsigned busy = 0; o.st == ST_OK || o.st == ST_BUSY; busy++) {
        if (wait == UNSAID)
            fail_msg("%s: says not when to ask", d->name);
        if (busy > SENSOR_BUSY_MAX)
            fail_msg("%s: has no end", d->name);
        bench_pass(wait ? wait : 1);
        wait = UNSAID;
        if (o.calls == bench.power_at && bench.chip->power)
            bench.chip->power();
        o.st = d->collect(s, o.raw, &wait);
        o.calls++;
        if (!within(o.st, "collect"))
            break;
    }
    unsigned said = o.st == ST_OK ? sensor_noutputs(s) : 0;
    for (size_t i = 0; i < SENSOR_OUTPUTS; i++)
        if ((o.raw[i] != UNTOUCHED) != (i < said))
            fail_msg("%s: output %zu is %swritten with status %d", d->name, i,
                     i < said ? "not " : "", o.st);
    bench_pass(100);
    return o;
}
