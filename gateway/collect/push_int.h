/* Private to collect: readings that are sent to us instead of asked for. A message names its device
 * by its topic; a mapping (a profile of another kind) says which value is which point. */
#ifndef GATEWAY_COLLECT_PUSH_INT_H
#define GATEWAY_COLLECT_PUSH_INT_H

#include "gateway/collect/collect_int.h"

/* ---- mappings ------------------------------------------------------------------------------- */

enum collect_raw { COLLECT_RAW_UNSIGNED, COLLECT_RAW_SIGNED, COLLECT_RAW_FLOAT, COLLECT_RAW_BIT };
/* Types in the payload of a radio, which counts bytes: name, bytes, form. */
#define COLLECT_RAWS(X)                                                                            \
    X(u8, 1, UNSIGNED)                                                                             \
    X(s8, 1, SIGNED)                                                                               \
    X(u16, 2, UNSIGNED)                                                                            \
    X(s16, 2, SIGNED)                                                                              \
    X(u24, 3, UNSIGNED)                                                                            \
    X(s24, 3, SIGNED)                                                                              \
    X(u32, 4, UNSIGNED)                                                                            \
    X(s32, 4, SIGNED)                                                                              \
    X(f32, 4, FLOAT)                                                                               \
    X(bit, 1, BIT)
#define COLLECT_RAW_ENUM(name, bytes, form) COLLECT_RAW_##name,
enum { COLLECT_RAWS(COLLECT_RAW_ENUM) COLLECT_RAW_COUNT };

/* Where a message holds a point; beside the profile's point of the same index. */
struct collect_source {
    char *from;       /* a JSON pointer, or the end of a SenML name; NULL: none */
    int64_t port, at; /* FPort, and the first byte; port 0: not in the payload */
    int64_t bit;      /* of the byte, 0 is the lowest */
    int raw;          /* COLLECT_RAW_… */
    bool little;      /* the lowest byte comes first */
};
/* Reads a mapping; the errors, and what is to be freed, as with collect_profile_load. */
enum st collect_mapping_load(struct collect_profile *p, const char *path,
                             struct buf *why) ST_MUST_CHECK;

/* ---- messages ------------------------------------------------------------------------------- */

enum collect_format { COLLECT_CHIRPSTACK = 1, COLLECT_SENML, COLLECT_JSON };
#define COLLECT_MESSAGE_MAX COLLECT_POST_MAX /* bytes */
#define COLLECT_UPLINK_MAX 242               /* bytes of a LoRaWAN payload */

struct collect_value {
    size_t point;
    struct num v; /* NUM_NONE: the message says that there is none */
    uint16_t q;
    int64_t t_ms; /* UTC; 0: the message does not say */
};
/* What one message says of one device. Every function below reads hostile bytes. */
struct collect_pack {
    const struct collect_profile *profile;
    const bool *wanted; /* one flag per point */
    int64_t now_ms;     /* UTC of its arrival: relative times count from there */
    struct collect_value v[STORE_POLL_MAX];
    size_t n;
    size_t strange;    /* values that are no numbers, or have another unit */
    uint64_t marks[2]; /* of an uplink, whichever way it comes again; 0: none */
    bool empty;        /* nothing in it is for this device */
};
/* A number as it came: scaled, unless somebody decoded it before, checked against the limits, and
 * added. ST_FULL. */
enum st collect_pack_add(struct collect_pack *k, size_t point, struct num v, bool decoded,
                         int64_t t_ms) ST_MUST_CHECK;
/* base: the names' beginning that is this device; NULL: none. SenML (RFC 8428) in JSON or CBOR,
 * whichever the first byte shows. */
enum st collect_senml_read(struct collect_pack *k, const char *base, const void *p, size_t n,
                           struct err *e) ST_MUST_CHECK;
enum st collect_json_read(struct collect_pack *k, const void *p, size_t n,
                          struct err *e) ST_MUST_CHECK;
/* An event `up` of ChirpStack v4 in JSON; dev_eui: 16 hex digits. */
enum st collect_chirpstack_read(struct collect_pack *k, const char *dev_eui, const void *p,
                                size_t n, struct err *e) ST_MUST_CHECK;
/* The points of this FPort. Bytes that are not there leave a point out. */
enum st collect_payload_read(struct collect_pack *k, int64_t port, const uint8_t *p, size_t n,
                             int64_t t_ms) ST_MUST_CHECK;

/* NULL with the reason in e; json_decref. */
struct json_t *collect_json_load(const void *p, size_t n, struct err *e);

/* RFC 3339 with any offset and fraction; false: it is none. */
bool collect_time_parse(const char *text, int64_t *utc_ms);
/* A double as the decimal that it was written as, where that is exact enough. */
struct num collect_num_of(double f);
uint64_t collect_mark(uint64_t h, const void *p, size_t n); /* FNV-1a; begin with 0 */

/* ---- buses ---------------------------------------------------------------------------------- */

struct collect_push; /* of one bus */
/* Reads the password file, and names the topics of the bus's devices. */
enum st collect_push_make(struct collect_bus *b, struct err *e) ST_MUST_CHECK;
void collect_push_free(struct collect_push *p);
/* The thread of a bus whose devices send. */
void collect_push_main(const struct collect_bus_job *job, struct collect_bus *b);
/* Checks of the configuration; mistakes go to c. What is absent gets its default. */
void collect_push_check_bus(struct cfg *c, struct collect_bus_cfg *b); /* of a broker */
void collect_push_check_device(struct cfg *c, const struct collect_bus *b,
                               struct collect_device_cfg *d);
void collect_push_check_points(struct cfg *c, const struct collect_device *d);
/* The first line of a file that nobody else may read. Caller frees. */
enum st collect_push_password(char **out, const char *path, struct err *e) ST_MUST_CHECK;
/* Its topic, and what belongs to its points. */
enum st collect_push_open_device(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_push_close_device(struct collect_device *d);

struct collect_point_seen {
    uint32_t series; /* of the store */
    bool silent;     /* told */
    int64_t last_ms; /* its newest reading */
};

/* What was taken lately: reading or uplink, by its mark. */
#define COLLECT_SEEN_MAX 2048
struct collect_seen {
    uint64_t mark[COLLECT_SEEN_MAX];
    size_t at;
};
bool collect_seen_has(const struct collect_seen *s, uint64_t mark);
void collect_seen_add(struct collect_seen *s, uint64_t mark);
uint64_t collect_reading_mark(const char *device, size_t device_n, const char *point,
                              size_t point_n, int64_t t_ms, struct num v);
/* Fills it with what the store took last of the bus's devices; a stop ends it early. While the
 * clock is unknown only what is not sealed yet is looked at. */
enum st collect_seen_recall(struct collect_seen *s, const struct collect_bus_job *job,
                            const struct collect_bus *b, struct clk_time now,
                            struct err *e) ST_MUST_CHECK;

#endif
