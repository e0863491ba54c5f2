/* A configuration that a gateway left, on any bytes, as the city and the box that replaces it read
 * it. Beside the sanitizers: what is taken lies within the input, one behind the other, has the
 * hash that it says, can be shown on a terminal, and is written again as the same bytes. */
// uses: wire
// seeds: tests/fuzz/corpus/deposit/*
#include "tests/fuzz/envelope.h"

/* Where the hash stands and the configuration; false: that is not its form. */
static bool find(const uint8_t *data, size_t n, size_t *hash, struct wire_span *config)
{
    struct wire_cose c;
    struct wire_item it;
    if (wire_cose_open(&c, data, n, NULL)) {
        return false;
    }
    struct wire_reader r = wire_reader_of(c.payload.p, c.payload.n);
    for (int i = 0; i < 14; i++) {
        if (wire_next(&r, &it, NULL)) {
            return false;
        }
        if (i == 6) {
            if (it.type != WIRE_BYTES || it.span.n != WIRE_HASH_BYTES) {
                return false;
            }
            *hash = (size_t)(it.span.p - data);
        }
    }
    *config = it.span;
    return it.type == WIRE_TEXT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct wire_deposit d;
    struct wire_cose cose;
    struct err e = {.text = ""};
    uint8_t hash[WIRE_HASH_BYTES];
    struct buf again;
    if (wire_deposit_open(&d, &cose, data, n, &e)) {
        demand(e.text[0]);
        return 0;
    }
    demand(d.gw[0] && memchr(d.gw, 0, sizeof(d.gw)) && !strpbrk(d.gw, "/\\ "));
    demand(d.nfiles >= 1 && d.nfiles <= WIRE_DEPOSIT_FILES && d.when_ms >= 0);
    const uint8_t *at = data;
    for (size_t i = 0; i < d.nfiles; i++) {
        const struct wire_span parts[] = {d.file[i].name, d.file[i].content};
        demand(parts[0].n > 0 && parts[0].n <= WIRE_DEPOSIT_NAME);
        for (size_t k = 0; k < 2; k++) {
            demand(parts[k].p >= at && parts[k].p + parts[k].n <= data + n);
            demand(!memchr(parts[k].p, 0x1b, parts[k].n) && !memchr(parts[k].p, 0, parts[k].n));
            at = parts[k].p + parts[k].n;
        }
    }
    wire_sha256(d.file[0].content.p, d.file[0].content.n, hash);
    demand(memcmp(hash, d.hash, sizeof(hash)) == 0);
    buf_init(&again, 1024 * 1024);
    demand(wire_deposit_files(d.file, d.nfiles, &again, NULL) == ST_OK);
    demand(again.n == d.files.n && memcmp(again.p, d.files.p, again.n) == 0);
    buf_done(&again);
    PLANT(d.nfiles > 2 && d.file[0].content.n > 0 && d.file[0].content.p[0] != 'g');
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    size_t hash = 0;
    struct wire_span config;
    uint8_t is[WIRE_HASH_BYTES];
    n = envelope_mutate(data, n, max, seed);
    if (seed % 64 != 1 && find(data, n, &hash, &config)) {
        wire_sha256(config.p, config.n, is);
        memcpy(data + hash, is, sizeof(is));
    }
    return n;
}
