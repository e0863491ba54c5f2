/* What collect asks of the store, kept in memory for a test to look at. Linked instead of it. */
#ifndef TESTS_GATEWAY_COLLECT_FAKE_H
#define TESTS_GATEWAY_COLLECT_FAKE_H

#include <stdatomic.h>

#include "gateway/store/store.h"

#define FAKE_VALUES_MAX 8
struct fake_poll {
    struct store_poll p;
    struct store_value v[FAKE_VALUES_MAX]; /* the first ones */
};

extern atomic_bool fake_full; /* store_put answers ST_FULL */

void fake_reset(void);
size_t fake_count(void);
struct fake_poll fake_at(size_t i);
/* The first poll from `after` on of this device whose first value is there (good) or missing.
 * Waits for it; SIZE_MAX when none comes within 20 s. */
size_t fake_wait_poll(uint32_t device, bool good, size_t after);
/* Waits until there are n events with this code; false when not within 20 s. */
bool fake_wait_events(const char *code, size_t n);
size_t fake_events(const char *code);
struct store_event fake_event(const char *code, size_t i);
struct store_health fake_health(uint32_t device);
/* What is asked of the chain is an event "fake.request". */
/* Whether the bus has that finding now. */
bool fake_finding(const char *code, struct store_finding *out);
/* What a `maintain` entry says; point "": of the whole device. */
void fake_work(const char *device, const char *point, const struct store_work *w);
/* What the store keeps of that kind ("serial" of a device, "counter" of a series); "": nothing. */
void fake_note(const char *kind, const char *name, char text[STORE_NOTE_BYTES]);
/* As if an earlier start had kept it. */
void fake_note_was(const char *kind, const char *name, const char *text);

#endif
