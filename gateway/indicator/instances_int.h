/* Indicator: which series feed which input of whom. */
#ifndef GATEWAY_INDICATOR_INSTANCES_INT_H
#define GATEWAY_INDICATOR_INSTANCES_INT_H

#include "gateway/indicator/indicator_int.h"

/* The points of a result, in the order of a poll's records; `revision` begins each. */
enum instance_point {
    INSTANCE_REVISION,
    INSTANCE_VALUE,
    INSTANCE_NUMERATOR,
    INSTANCE_DENOMINATOR,
    INSTANCE_DUE,
    INSTANCE_GOOD,
    INSTANCE_REASON,
    INSTANCE_CATALOGUE,
    INSTANCE_POINTS
};
/* A series is what an input asks for, from one day to another (both inclusive). */
struct instance_member {
    uint32_t feed;
    uint32_t input;
    int32_t from_day, until_day;
    struct num capacity;
};
/* An input that takes the values of another instance. */
struct instance_source {
    uint32_t instance, input;
};
struct instance {
    const struct indicator_def *def;
    char *id;          /* the device of its results */
    const char *place; /* by place; else NULL */
    uint32_t of;       /* by device: the store's; else UINT32_MAX */
    struct instance_member *member;
    uint32_t nmembers;
    struct instance_source *source;
    uint32_t nsources;
    uint32_t device, series[INSTANCE_POINTS]; /* in the store */
};
/* A series that feeds any of them. */
struct instance_feed {
    const char *device, *point; /* borrowed from the store */
    uint32_t of;                /* the store's device */
    int64_t period_ms;
    const struct quantity *quantity;
};
struct instances {
    struct instance *v; /* each behind those whose values it takes */
    uint32_t n;
    struct instance_feed *feed;
    uint32_t nfeeds;
    uint32_t *slot; /* hash table of feeds, + 1; nslots is a power of two */
    uint32_t nslots;
};
/* What a device was up to, from one day to another, both inclusive. */
struct instance_stay {
    int32_t from_day, until_day;
    const char *stream, *role, *place;
    struct num capacity;
};
/* Its i-th time, from the earliest; false: there are no more. */
bool instances_stay(const struct store_device *d, uint32_t i, struct instance_stay *out);
/* What is said of a series; what is not said is NULL or "". */
struct instance_said {
    const char *device, *point, *quantity, *role, *stream, *place;
};
/* Whether that is what the input asks for. */
bool instances_fit(const struct indicator_input *in, const struct instance_said *w);
/* Finds them among the devices and series of the store. */
enum st instances_open(struct instances **out, const struct indicators *x, const struct store *s,
                       struct err *e) ST_MUST_CHECK;
void instances_close(struct instances *in);
/* Whether a series of the store ever was what the input asks for; an indicator's: has instances. */
bool instances_match(const struct instances *in, const struct store *s,
                     const struct indicator_input *input);
/* Whether the store's device has results. */
bool instances_own(const struct instances *in, uint32_t device);
/* Adds their devices and points to the store. */
enum st instances_declare(struct instances *in, struct store *s, struct err *e) ST_MUST_CHECK;
/* The series of that name, UINT32_MAX: nobody wants it. `like` is where the search begins: the one
 * that came before. */
uint32_t instances_find(const struct instances *in, struct wire_span device, struct wire_span point,
                        uint32_t like);

#endif
