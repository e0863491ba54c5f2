/* A virtual BME280 or BMP280. */
#ifndef TESTS_SENSORS_BME280_MODEL_H
#define TESTS_SENSORS_BME280_MODEL_H

#include "tests/sensors/bench.h"

/* Its calibration, as its data sheet names it. */
struct bme280_calibration {
    int t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, h1, h2, h3, h4, h5, h6;
};
/* That of the example of BMP280's data sheet; humidity as of a part on a desk. */
#define BME280_EXAMPLE                                                                             \
    {                                                                                              \
        27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000, 75, 362, 0,  \
            313, 50, 30                                                                            \
    }

void bme280_is(uint8_t id, const struct bme280_calibration *c);
void bme280_power(void);
void bme280_measures(const uint8_t *frame, size_t n); /* from 0xF7 on */
enum st bme280_transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr);

#endif
