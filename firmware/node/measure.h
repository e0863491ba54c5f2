/* When which chip is asked, and what its values are worth.
 *
 * One turn makes at most one call of a driver, so that the line waits for no more than that. A chip
 * is started once a period; what fails is tried once more at once, and then believed. A point that
 * is no counter shows the median of its last three measurements (the newest while there are fewer):
 * one that leaps away is not seen.
 *
 * Pure: the clock is given, in ms that wrap. One thread. */
#ifndef FIRMWARE_MEASURE_H
#define FIRMWARE_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/node/config.h"
#include "firmware/node/counters.h"
#include "firmware/node/limits.h"
#include "sensors/node.h"
#include "sensors/sensor.h"

#define MEASURE_PATIENCE 10U  /* periods that a conversion may take */
#define MEASURE_STALE 3U      /* periods after which a value is old */
#define MEASURE_AGAIN_MS 100U /* before the second try */
#define MEASURE_MEDIAN 3U
#define MEASURE_CALIBRATING_MAX 1440U /* minutes */
#define MEASURE_PERIOD_MIN 5U         /* 0.1 s */

struct measure_sensor {
    uint32_t due_ms, begun_ms, good_ms; /* next call; of this conversion; of the last good one */
    uint32_t calibrating_ms;            /* its end */
    uint16_t samples, errors;
    uint8_t first, counters; /* its first point, and its first counter's number */
    uint8_t state;           /* GOOD, STARTING, ABSENT or FAULT of enum node_state */
    uint8_t have : 2;        /* measurements in a row, up to MEASURE_MEDIAN */
    bool started : 1, trying : 1, doubtful : 1, ever : 1, old : 1, calibrating : 1;
};

struct measure {
    struct sensor *chips;
    const struct config_kept *config;
    struct counters *counters;
    uint8_t nsensors, npoints, next;
    uint8_t sensor_of[LIMITS_POINTS];
    struct measure_sensor sensor[LIMITS_SENSORS];
    int32_t last[LIMITS_POINTS][MEASURE_MEDIAN]; /* the newest first */
};

struct measure_value {
    int32_t raw; /* NODE_NO_VALUE: none */
    uint8_t state;
    uint16_t age_ds, samples;
};

/* Chips, or points of them, beyond limits.h are left out. */
void measure_start(struct measure *m, struct sensor *chips, unsigned n,
                   const struct config_kept *config, struct counters *counters, uint32_t now_ms);
/* Whether it called a driver. */
bool measure_turn(struct measure *m, uint32_t now_ms);
/* What a point is; and its value. p < npoints, i < nsensors. */
const struct sensor_output *measure_point(const struct measure *m, unsigned p);
struct measure_value measure_value(const struct measure *m, unsigned p, uint32_t now_ms);
/* The whole chip's state. */
enum node_state measure_state(const struct measure *m, unsigned i, uint32_t now_ms);
uint16_t measure_period_ds(const struct measure *m, unsigned i);
/* The configuration has another period now: it begins with a conversion. */
void measure_period_changed(struct measure *m, unsigned i, uint32_t now_ms);
/* Minutes that are left of somebody's work on it; and sets them, 0 ends it. */
uint16_t measure_calibrating(const struct measure *m, unsigned i, uint32_t now_ms);
void measure_calibrate(struct measure *m, unsigned i, uint16_t minutes, uint32_t now_ms);

#endif
