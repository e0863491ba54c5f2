/* A virtual SHT3x or SHT4x: two words with their check sums behind a command. */
#ifndef TESTS_SENSORS_SHT_MODEL_H
#define TESTS_SENSORS_SHT_MODEL_H

#include "tests/sensors/bench.h"

/* The command that measures, n bytes, and how long it takes. Its power has come. */
void sht_is(const char *command, size_t n, uint32_t ms);
void sht_measures(const uint8_t *frame, size_t n);
enum st sht_transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr);

#endif
