#include "tests/sensors/sht_model.h"

#include <string.h>

static struct {
    uint8_t frame[6];
    uint32_t done_ms;
    bool measured;
    const char *command;
    size_t ncommand;
    uint32_t ms;
} chip;

void sht_is(const char *command, size_t n, uint32_t ms)
{
    chip.measured = false;
    chip.command = command;
    chip.ncommand = n;
    chip.ms = ms;
}

void sht_measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
}

static bool measuring(void)
{
    return chip.measured && (bench.never_ready || (int32_t)(bench.ms - chip.done_ms) < 0);
}

enum st sht_transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    if (nw > 0) {
        if (measuring())
            return ST_NOT_FOUND;
        if (nw != chip.ncommand || memcmp(w, chip.command, nw) != 0)
            return ST_REFUSED;
        chip.measured = true;
        chip.done_ms = bench.ms + chip.ms;
    }
    if (nr > 0) {
        if (!chip.measured || measuring() || nr > sizeof chip.frame)
            return ST_NOT_FOUND;
        memcpy(r, chip.frame, nr);
        chip.measured = false;
    }
    return ST_OK;
}
