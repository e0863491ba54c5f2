/* SenML packs of others, in JSON and CBOR. Beside the sanitizers: what is taken fits a poll, has a
 * name of the mapping and a time that a batch can hold, and what is refused says why. */
// uses: collect store mqtt
// seeds: tests/fuzz/corpus/senml/*
#include "gateway/collect/push_int.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define NOW INT64_C(1795000000000)
#define FAR_MS INT64_C(253402300799999)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct collect_point points[] = {{.name = (char *)(uintptr_t) "temperature"},
                                            {.name = (char *)(uintptr_t) "humidity"}};
    static struct collect_source sources[2];
    static const bool wanted[2] = {true, true};
    static struct collect_profile profile = {.points = points, .sources = sources, .n = 2};
    static struct collect_pack k;
    struct err e = {.text = ""};
    for (size_t i = 0; i < 2; i++) {
        points[i].scale = num_dec(1, 0);
        points[i].offset = num_dec(0, 0);
        points[i].type = COLLECT_TYPE_f64;
        points[i].quantity = quantity_by_key(points[i].name);
        collect_decoder_init(&points[i].decoder, &points[i]);
    }
    k = (struct collect_pack){.profile = &profile, .wanted = wanted, .now_ms = NOW};
    enum st st = collect_senml_read(&k, "dev:", data, n, &e);
    demand(st == ST_OK || (st == ST_BAD && e.text[0]));
    demand(k.n <= STORE_POLL_MAX);
    for (size_t i = 0; i < k.n; i++) {
        demand(k.v[i].point < 2);
        demand(k.v[i].t_ms >= 0 && k.v[i].t_ms <= FAR_MS);
        PLANT(st == ST_OK && k.v[i].v.kind == NUM_DEC && k.v[i].v.exp == -1);
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    (void)seed;
    return LLVMFuzzerMutate(data, n, max);
}
