/* What the tests of this room share: a key in an own folder, a sample batch, assertions that print
 * the error. Include cmocka.h first. */
#ifndef TESTS_GATEWAY_WIRE_WIRE_TEST_H
#define TESTS_GATEWAY_WIRE_WIRE_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/wire/wire.h"
#include "tests/support/temp.h"

struct fixture {
    char folder[64], path[80];
    struct wire_key *key;
};

#define assert_ok(call, e)                                                                         \
    do {                                                                                           \
        enum st st_ = (call);                                                                      \
        if (st_)                                                                                   \
            fail_msg("%s: %s", #call, (e)->text);                                                  \
    } while (0)

static inline void assert_span(struct wire_span s, const char *text)
{
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

static inline int setup(void **state)
{
    static struct fixture f;
    struct err e = {0};

    if (!mkdtemp(temp_name(f.folder, sizeof f.folder)))
        return -1;
    (void)snprintf(f.path, sizeof(f.path), "%s/device.key", f.folder);
    if (wire_key_make(f.path, &e) || wire_key_load(&f.key, f.path, &e)) {
        (void)fprintf(stderr, "%s\n", e.text);
        return -1;
    }
    *state = &f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    wire_key_free(f->key);
    unlink(f->path);
    return rmdir(f->folder);
}

#define SAMPLE_MS INT64_C(1795318200000)

/* Two polls, three records. */
static inline struct buf sample_payload(void)
{
    struct wire_point power, state, pm25;
    struct wire_record meter[2] = {{&power, num_dec(2305, -1), 0},
                                   {&state, num_dec(1, 0), WIRE_Q_FAULT}};
    struct wire_record air = {&pm25, num_flt(12.3), 0};
    struct err e = {0};
    struct buf b;

    buf_init(&b, WIRE_BATCH_MAX);
    assert_ok(wire_point_init(&power, "power", "W", &e), &e);
    assert_ok(wire_point_init(&state, "state", NULL, &e), &e);
    assert_ok(wire_point_init(&pm25, "pm25", "ug/m3", &e), &e);
    assert_int_equal(wire_put_array(&b, 3), ST_OK);
    assert_int_equal(wire_senml_poll(&b, "tra-cau-01/meter-1/", SAMPLE_MS, meter, 2), ST_OK);
    assert_int_equal(wire_senml_poll(&b, "tra-cau-01/air-1/", SAMPLE_MS + 250, &air, 1), ST_OK);
    return b;
}

static inline struct wire_header sample_header(uint64_t seq)
{
    static const struct wire_gap gap = {"meter-1/power", SAMPLE_MS, SAMPLE_MS + 60000, "bus"};

    return (struct wire_header){.kind = WIRE_DATA,
                                .gw = "tra-cau-01",
                                .chain = {1, 2, 3, 4, 5, 6, 7, 8},
                                .seq = seq,
                                .prev = {0x11},
                                .boot = {9, 9, 9},
                                .from_ms = SAMPLE_MS,
                                .to_ms = SAMPLE_MS + 300000,
                                .gaps = &gap,
                                .ngaps = 1};
}

static inline struct buf sample(const struct fixture *f, uint64_t seq)
{
    struct buf payload = sample_payload(), out;
    struct wire_header h = sample_header(seq);
    struct err e = {0};

    buf_init(&out, 2 * WIRE_BATCH_MAX);
    assert_ok(wire_batch_sign(&h, payload.p, payload.n, wire_key_signer(f->key), &out, &e), &e);
    buf_done(&payload);
    return out;
}

#endif
