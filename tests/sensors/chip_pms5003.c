/* A virtual PMS5003: sends its frame each 1.1 s, and first 2 s after its power came. */
#include "tests/sensors/bench.h"

#include <string.h>

#include "sensors/driver/pms5003.h"

static struct {
    uint8_t frame[64];
    size_t n;
    uint32_t next_ms;
} chip;

static void power(void)
{
    chip.next_ms = bench.ms + 2000;
}

static void measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
    chip.n = n;
}

static void tick(void)
{
    if (bench.never_ready || (int32_t)(bench.ms - chip.next_ms) < 0)
        return;
    chip.next_ms = bench.ms + 1100;
    bench_sends(chip.frame, chip.n);
}

static const int32_t thirty_seconds[4] = {0}, at_once[4] = {-1};
/* clang-format off */
static const struct chip_frame frames[] = {
    {"a street", "42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0E 00 17 02 FD 00 FC 00 1D 00 0F 00 06 00 06 "
     "97 00 03 C7", ST_OK, {5, 14, 23}, NULL},
    {"after half a minute", "42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0E 00 17 02 FD 00 FC 00 1D 00 0F "
     "00 06 00 06 97 00 03 C7", ST_OK, {5, 14, 23}, thirty_seconds},
    {"at once", "42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0E 00 17 02 FD 00 FC 00 1D 00 0F 00 06 00 06 "
     "97 00 03 C7", ST_OK, {5, 14, 23}, at_once},
    {"clean air", "42 4D 00 1C 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
     "97 00 01 42", ST_OK, {0, 0, 0}, NULL},
    {"smoke, beyond what it can", "42 4D 00 1C 01 2C 03 E8 07 D0 01 2C 03 E8 04 B0 FF FF FF FF FF FF "
     "00 10 00 08 00 04 97 00 0B 13", ST_OK, {300, 1000, 1200}, NULL},
    {"the head of a frame among its values", "42 4D 00 1C 42 4D 00 1C 00 00 42 4D 00 1C 00 00 00 00 "
     "00 00 00 00 00 00 00 00 00 00 97 00 02 98", ST_OK, {0x424D, 0x1C, 0}, NULL},
    {"half a frame before it", "00 06 97 00 42 4D 42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0E 00 17 "
     "02 FD 00 FC 00 1D 00 0F 00 06 00 06 97 00 03 C7", ST_OK, {5, 14, 23}, NULL},
    {"a wrong sum", "42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0E 00 17 02 FD 00 FC 00 1D 00 0F 00 06 "
     "00 06 97 00 03 C6", ST_CORRUPT, {0}, NULL},
    {"an error code", "42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0E 00 17 02 FD 00 FC 00 1D 00 0F 00 06 "
     "00 06 97 04 03 CB", ST_BAD, {0}, NULL},
    {"another sensor's length", "42 4D 00 14 00 05 00 0D 00 16 00 05 00 0E 00 17 02 FD 00 FC 00 1D "
     "01 FF", ST_CORRUPT, {0}, NULL},
    {"noise", "00 FF 42 42 4D 4D 42 00", ST_CORRUPT, {0}, NULL},
};
/* clang-format on */

const struct chip chip_pms5003 = {
    .bus = CHIP_UART,
    .sensor = {.driver = &sensor_pms5003, .setting = {1}},
    .checked = true,
    .power = power,
    .measures = measures,
    .tick = tick,
    CHIP_FRAMES(frames),
};
