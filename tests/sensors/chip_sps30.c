/* A virtual SPS30. A frame is its answer to 0x03 as it stands on the line; the answers to the other
 * commands are its own. Numbers were encoded with Python's struct. */
#include "tests/sensors/bench.h"

#include <string.h>

#include "sensors/driver/sps30.h"

static struct {
    uint8_t frame[128], answer[128];
    size_t n, nanswer;
    uint32_t answer_ms, deaf_until_ms, next_ms;
    bool measuring;
} chip;

static void power(void)
{
    chip.measuring = false;
    chip.nanswer = 0;
    chip.deaf_until_ms = bench.ms;
}

static void measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
    chip.n = n;
}

static void answers(const uint8_t *p, size_t n)
{
    memcpy(chip.answer, p, n);
    chip.nanswer = n;
    chip.answer_ms = bench.ms + 15;
}

static void sent(const uint8_t *p, size_t n)
{
    static const uint8_t reset[] = {0x7E, 0, 0xD3, 0, 0, 0x2C, 0x7E},
                         started[] = {0x7E, 0, 0x00, 0, 0, 0xFF, 0x7E},
                         refused[] = {0x7E, 0, 0x00, 0x43, 0, 0xBC, 0x7E},
                         idle[] = {0x7E, 0, 0x03, 0x43, 0, 0xB9, 0x7E},
                         nothing[] = {0x7E, 0, 0x03, 0, 0, 0xFC, 0x7E};
    if ((int32_t)(bench.ms - chip.deaf_until_ms) < 0 || n < 6)
        return;
    if (n == 6 && memcmp(p, "\x7E\x00\xD3\x00\x2C\x7E", 6) == 0) {
        answers(reset, sizeof reset);
        chip.measuring = false;
        chip.deaf_until_ms = bench.ms + 100;
    } else if (n == 8 && memcmp(p, "\x7E\x00\x00\x02\x01\x03\xF9\x7E", 8) == 0) {
        answers(chip.measuring ? refused : started, sizeof started);
        chip.measuring = true;
        chip.next_ms = bench.ms + 1000;
    } else if (n == 6 && memcmp(p, "\x7E\x00\x03\x00\xFC\x7E", 6) == 0) {
        if (!chip.measuring) {
            answers(idle, sizeof idle);
        } else if (bench.never_ready || (int32_t)(bench.ms - chip.next_ms) < 0) {
            answers(nothing, sizeof nothing);
        } else {
            chip.next_ms = bench.ms + 1000;
            answers(chip.frame, chip.n);
        }
    }
}

static void tick(void)
{
    if (chip.nanswer == 0 || (int32_t)(bench.ms - chip.answer_ms) < 0)
        return;
    bench_sends(chip.answer, chip.nanswer);
    chip.nanswer = 0;
}

static const int32_t thirty_seconds[4] = {0}, at_once[4] = {-1};
#define ONES "3F 80 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00"
/* clang-format off */
static const struct chip_frame frames[] = {
    {"12.5, 24.75, 33.0625", "7E 00 03 00 28 41 48 00 00 41 C6 00 00 41 F0 00 00 42 04 40 00 "
     "42 AA 00 00 42 C4 00 00 42 C6 00 00 42 C7 00 00 42 C7 00 00 3F 0C CC CD 9D 7E",
     ST_OK, {125, 248, 331}, NULL},
    {"after half a minute", "7E 00 03 00 28 41 48 00 00 41 C6 00 00 41 F0 00 00 42 04 40 00 "
     "42 AA 00 00 42 C4 00 00 42 C6 00 00 42 C7 00 00 42 C7 00 00 3F 0C CC CD 9D 7E",
     ST_OK, {125, 248, 331}, thirty_seconds},
    {"bytes that are stuffed: 9.0625, 63.5, 15.8125", "7E 00 03 00 28 41 7D 31 00 00 42 7D 5E 00 00 "
     "42 80 00 00 41 7D 5D 00 00 41 88 00 00 41 98 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00 "
     "3F 00 00 00 24 7E", ST_OK, {91, 635, 158}, at_once},
    {"nothing in the air", "7E 00 03 00 28 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
     "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 D4 7E", ST_OK, {0, 0, 0}, NULL},
    {"0.04999, 0.05001, 1e-30", "7E 00 03 00 28 3D 4C C2 50 3D 4C D7 49 00 00 00 00 0D A2 42 60 "
     "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 3F 7E",
     ST_OK, {0, 1, 0}, NULL},
    {"1000, 1000.04, 3276.7", "7E 00 03 00 28 44 7A 00 00 44 7A 02 8F 00 00 00 00 45 4C CB 33 "
     "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 38 7E",
     ST_OK, {10000, 10000, 32767}, NULL},
    {"minus zero", "7E 00 03 00 28 80 00 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00 " ONES " 9D 7E",
     ST_OK, {0, 10, 10}, NULL},
    {"less than nothing", "7E 00 03 00 28 BF C0 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00 " ONES " 9E 7E",
     ST_BAD, {0}, NULL},
    {"no number", "7E 00 03 00 28 7F C0 00 00 3F 80 00 00 3F 80 00 00 3F 80 00 00 " ONES " DE 7E",
     ST_BAD, {0}, NULL},
    {"without end", "7E 00 03 00 28 3F 80 00 00 7F 80 00 00 3F 80 00 00 3F 80 00 00 " ONES " 1E 7E",
     ST_BAD, {0}, NULL},
    {"1e20", "7E 00 03 00 28 3F 80 00 00 3F 80 00 00 3F 80 00 00 60 AD 78 EC " ONES " AC 7E",
     ST_BAD, {0}, NULL},
    {"its fan has a fault", "7E 00 03 80 28 41 48 00 00 41 C6 00 00 41 F0 00 00 42 04 40 00 "
     "42 AA 00 00 42 C4 00 00 42 C6 00 00 42 C7 00 00 42 C7 00 00 3F 0C CC CD 1D 7E",
     ST_BAD, {0}, NULL},
    {"it refuses", "7E 00 03 43 00 B9 7E", ST_BAD, {0}, NULL},
    {"half of the data", "7E 00 03 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
     "E8 7E", ST_BAD, {0}, NULL},
    {"a wrong sum", "7E 00 03 00 28 41 48 00 00 41 C6 00 00 41 F0 00 00 42 04 40 00 "
     "42 AA 00 00 42 C4 00 00 42 C6 00 00 42 C7 00 00 42 C7 00 00 3F 0C CC CD 9E 7E",
     ST_CORRUPT, {0}, NULL},
    {"a byte too few", "7E 00 03 00 28 41 48 00 00 7E", ST_CORRUPT, {0}, NULL},
    {"a flag within", "7E 00 03 00 28 41 7E 00 00 41 C6 00 00 7E", ST_CORRUPT, {0}, NULL},
};
/* clang-format on */

const struct chip chip_sps30 = {
    .bus = CHIP_UART,
    .sensor = {.driver = &sensor_sps30, .setting = {2}},
    .checked = true,
    .power = power,
    .measures = measures,
    .sent = sent,
    .tick = tick,
    CHIP_FRAMES(frames),
};
