/* Events of ChirpStack, by object and by payload. Beside the sanitizers: what is taken is of the
 * mapping and has the event's time, and what is refused says why. */
// uses: collect store mqtt
// seeds: tests/fuzz/corpus/chirpstack/*
#include "gateway/collect/push_int.h"
#include "tests/fuzz/fuzz.h"

#define EUI "a81758fffe0512f3"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct collect_point points[] = {{.name = (char *)(uintptr_t) "fill"},
                                            {.name = (char *)(uintptr_t) "temperature"},
                                            {.name = (char *)(uintptr_t) "snr"}};
    static struct collect_source sources[] = {
        {.from = (char *)(uintptr_t) "/object/fill", .port = 85, .raw = COLLECT_RAW_u8},
        {.port = 85, .at = 1, .raw = COLLECT_RAW_s24, .little = true},
        {.from = (char *)(uintptr_t) "/rxInfo/0/snr"}};
    static const bool wanted[3] = {true, true, true};
    static struct collect_profile profile = {.points = points, .sources = sources, .n = 3};
    static struct collect_pack k;
    struct err e = {.text = ""};
    for (size_t i = 0; i < 3; i++) {
        points[i].scale = num_dec(1, -1);
        points[i].offset = num_dec(0, 0);
        points[i].type = COLLECT_TYPE_f64;
        collect_decoder_init(&points[i].decoder, &points[i]);
    }
    k = (struct collect_pack){.profile = &profile, .wanted = wanted, .now_ms = 1};
    enum st st = collect_chirpstack_read(&k, EUI, data, n, &e);
    demand(st == ST_OK || (st == ST_BAD && e.text[0]));
    demand(k.n <= 6 && (!k.empty || k.n == 0));
    for (size_t i = 0; i < k.n; i++)
        demand(k.v[i].point < 3 && k.v[i].t_ms > 0 && k.v[i].t_ms == k.v[0].t_ms);
    PLANT(st == ST_OK && k.n == 2 && k.v[1].point == 1 && k.v[1].v.kind == NUM_DEC &&
          k.v[1].v.i < -1000);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    (void)seed;
    return LLVMFuzzerMutate(data, n, max);
}
