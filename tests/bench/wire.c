/* What a batch takes: wire LIST MINUTES LEVEL… <polls.
 *
 * Standard input holds one poll a line, `DEVICE T_MS VALUE…`, in order of time, with as many values
 * as LIST (lines `device,point,unit,kind,…`) names for that device; kind `dec` is an exact decimal,
 * `f32` the float32 nearest to the value. Makes signed batches of MINUTES each, packs them at every
 * LEVEL of zstd, reads them back, and prints raw counts as `name value` lines. Times are processor
 * time of this thread, the best of ROUNDS. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/wire/wire.h"
#include "tests/support/temp.h"

#define ROUNDS 7
#define GATEWAY "bench-0001" /* 10 characters */
#define SERIES_MAX 256
#define POLLS_MAX 20000
#define WINDOWS_MAX 2000
#define FIRST_SEQ 1000

static struct series {
    char device[32];
    struct wire_point point;
    bool single;
} series[SERIES_MAX];
static size_t nseries;

struct poll {
    char base[64];
    int64_t t_ms;
    size_t n;
    struct wire_record *r;
};
static struct poll polls[POLLS_MAX];
static size_t npolls;

struct window {
    size_t first, end; /* of polls */
    int64_t from_ms;
    uint64_t n;
    struct buf senml, cose, packed;
};
static struct window windows[WINDOWS_MAX];
static size_t nwindows;

static void need(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "wire: %s\n", what);
        exit(2);
    }
}

static void good(enum st st, const struct err *e)
{
    need(st == ST_OK, e->text);
}

static int64_t now_ns(void)
{
    struct timespec t;
    need(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0, "no clock of the thread");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- input ---- */

static void read_list(const char *path)
{
    char line[8192];
    FILE *f = fopen(path, "r");
    need(f && fgets(line, sizeof line, f), "the list of series cannot be read");
    while (fgets(line, sizeof line, f)) {
        struct err e = {0};
        char *save = NULL;
        const char *device = strtok_r(line, ",\n", &save), *point = strtok_r(NULL, ",\n", &save),
                   *unit = strtok_r(NULL, ",\n", &save), *kind = strtok_r(NULL, ",\n", &save);
        need(kind && nseries < SERIES_MAX, "a line of the list is: device,point,unit,kind,…");
        struct series *s = &series[nseries++];
        (void)snprintf(s->device, sizeof s->device, "%s", device);
        s->single = strcmp(kind, "f32") == 0;
        good(wire_point_init(&s->point, point, strcmp(unit, "-") == 0 ? NULL : unit, &e), &e);
    }
    (void)fclose(f);
}

static struct num value_of(const struct series *s, const char *text)
{
    struct num v = {.kind = NUM_NONE};
    need(text && num_parse(text, &v), "a value is a decimal number");
    return s->single ? num_flt((double)strtof(text, NULL)) : v;
}

static void read_polls(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char *save = NULL;
        const char *device = strtok_r(line, " \n", &save), *t = strtok_r(NULL, " \n", &save);
        need(device && t && npolls < POLLS_MAX, "a poll is: DEVICE T_MS VALUE…");
        struct poll *p = &polls[npolls++];
        (void)snprintf(p->base, sizeof p->base, GATEWAY "/%s/", device);
        p->t_ms = strtoll(t, NULL, 10);
        p->r = calloc(nseries, sizeof *p->r);
        need(p->r, "no memory");
        for (size_t i = 0; i < nseries; i++) {
            const struct series *s = &series[i];
            if (strcmp(s->device, device) == 0)
                p->r[p->n++] =
                    (struct wire_record){&s->point, value_of(s, strtok_r(NULL, " \n", &save)), 0};
        }
    }
    free(line);
}

static void cut_windows(int64_t every_ms)
{
    for (size_t i = 0; i < npolls; i++) {
        int64_t from = polls[i].t_ms - polls[i].t_ms % every_ms;
        if (nwindows == 0 || windows[nwindows - 1].from_ms != from) {
            need(nwindows < WINDOWS_MAX, "too many windows");
            struct window *w = &windows[nwindows++];
            *w = (struct window){.first = i, .from_ms = from};
            buf_init(&w->senml, WIRE_BATCH_MAX);
            buf_init(&w->cose, WIRE_BATCH_MAX);
            buf_init(&w->packed, 2 * WIRE_BATCH_MAX);
        }
        windows[nwindows - 1].end = i + 1;
        windows[nwindows - 1].n += polls[i].n;
    }
    need(nwindows > 0, "no polls");
}

/* ---- there ---- */

static void encode(struct window *w)
{
    w->senml.n = 0;
    need(wire_put_array(&w->senml, w->n) == ST_OK, "no memory");
    for (size_t i = w->first; i < w->end; i++)
        need(wire_senml_poll(&w->senml, polls[i].base, polls[i].t_ms, polls[i].r, polls[i].n) ==
                 ST_OK,
             "a poll that cannot be encoded");
}

static void sign(struct window *w, size_t i, int64_t every_ms, const struct wire_key *key,
                 uint8_t prev[WIRE_HASH_BYTES])
{
    struct err e = {0};
    struct wire_header h = {.kind = WIRE_DATA,
                            .gw = GATEWAY,
                            .chain = "chain-id",
                            .boot = "boot--id",
                            .seq = FIRST_SEQ + i,
                            .from_ms = w->from_ms,
                            .to_ms = w->from_ms + every_ms};
    memcpy(h.kid, wire_pub_kid(wire_key_pub(key)), sizeof h.kid);
    memcpy(h.prev, prev, sizeof h.prev);
    w->cose.n = 0;
    good(wire_batch_sign(&h, w->senml.p, w->senml.n, wire_key_signer(key), &w->cose, &e), &e);
    wire_sha256(w->cose.p, w->cose.n, prev);
}

static size_t pack(struct window *w, struct wire_zstd *z, int level)
{
    struct err e = {0};
    w->packed.n = 0;
    good(wire_zstd_pack(z, level, w->cose.p, w->cose.n, &w->packed, &e), &e);
    return w->packed.n;
}

/* ---- and back ---- */

static uint64_t decode(const struct window *w)
{
    struct err e = {0};
    struct wire_batch b;
    struct wire_senml s;
    struct wire_reading r;
    struct buf cose;
    uint64_t n = 0;
    enum st st;
    buf_init(&cose, WIRE_BATCH_MAX);
    good(wire_zstd_unpack(w->packed.p, w->packed.n, WIRE_BATCH_MAX, &cose, &e), &e);
    good(wire_batch_open(&b, cose.p, cose.n, &e), &e);
    good(wire_senml_open(&s, b.cose.payload.p, b.cose.payload.n, GATEWAY, NULL, &e), &e);
    while ((st = wire_senml_next(&s, &r, &e)) == ST_OK)
        n++;
    need(st == ST_NOT_FOUND, "a batch that cannot be read back");
    wire_batch_done(&b);
    buf_done(&cose);
    return n;
}

static int64_t verify(const struct window *w, const struct wire_pub *pub)
{
    struct err e = {0};
    struct wire_batch b;
    good(wire_batch_open(&b, w->cose.p, w->cose.n, &e), &e);
    int64_t t = now_ns();
    good(wire_cose_verify(&b.cose, pub, &e), &e);
    t = now_ns() - t;
    wire_batch_done(&b);
    return t;
}

static void keep_best(int64_t *best, int64_t ns)
{
    *best = *best == 0 || ns < *best ? ns : *best;
}

/* level 0: the product's choice. */
static int64_t measure(struct wire_zstd *z, int level, uint64_t *bytes)
{
    int64_t best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t t = now_ns();
        *bytes = 0;
        for (size_t i = 0; i < nwindows; i++)
            *bytes += pack(&windows[i], z, level ? level : wire_batch_level(windows[i].cose.n));
        keep_best(&best, now_ns() - t);
    }
    return best;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    need(argc >= 4, "usage: wire LIST MINUTES LEVEL… <polls");
    read_list(argv[1]);
    read_polls();
    int64_t every_ms = strtoll(argv[2], NULL, 10) * 60000;
    need(every_ms > 0, "MINUTES is a number above 0");
    cut_windows(every_ms);

    char dir[48], path[64];
    need(mkdtemp(temp_name(dir, sizeof dir)), "no temporary folder");
    (void)snprintf(path, sizeof path, "%s/device.key", dir);
    struct wire_key *key = NULL;
    good(wire_key_make(path, &e), &e);
    good(wire_key_load(&key, path, &e), &e);
    need(remove(path) == 0 && remove(dir) == 0, "the temporary folder stays");

    struct wire_zstd *z = NULL;
    good(wire_zstd_open(&z, &e), &e);
    int64_t encode_ns = 0, sign_ns = 0, decode_ns = 0, verify_ns = 0;
    uint64_t readings = 0, read = 0, payload = 0, envelope = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t t = now_ns();
        for (size_t i = 0; i < nwindows; i++)
            encode(&windows[i]);
        keep_best(&encode_ns, now_ns() - t);
    }
    uint8_t prev[WIRE_HASH_BYTES];
    wire_sha256("", 0, prev);
    sign_ns = now_ns();
    for (size_t i = 0; i < nwindows; i++)
        sign(&windows[i], i, every_ms, key, prev);
    sign_ns = now_ns() - sign_ns;
    uint64_t bytes = 0;
    for (int i = 3; i < argc; i++) {
        int level = (int)strtol(argv[i], NULL, 10);
        int64_t ns = measure(z, level, &bytes);
        printf("level_%d_bytes %" PRIu64 "\nlevel_%d_ns %" PRId64 "\n", level, bytes, level, ns);
    }
    int64_t pack_ns = measure(z, 0, &bytes); /* this is what is read back */
    for (size_t i = 0; i < nwindows; i++) {
        readings += windows[i].n;
        payload += windows[i].senml.n;
        envelope += windows[i].cose.n - windows[i].senml.n;
        verify_ns += verify(&windows[i], wire_key_pub(key));
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t t = now_ns();
        read = 0;
        for (size_t i = 0; i < nwindows; i++)
            read += decode(&windows[i]);
        keep_best(&decode_ns, now_ns() - t);
    }
    need(read == readings, "not as many readings came back");
    printf("windows %zu\npolls %zu\nreadings %" PRIu64 "\npayload_bytes %" PRIu64
           "\nenvelope_bytes %" PRIu64 "\ndefault_bytes %" PRIu64 "\ndefault_ns %" PRId64 "\n",
           nwindows, npolls, readings, payload, envelope, bytes, pack_ns);
    printf("encode_ns %" PRId64 "\nsign_ns %" PRId64 "\ndecode_ns %" PRId64 "\nverify_ns %" PRId64
           "\n",
           encode_ns, sign_ns, decode_ns, verify_ns);
    wire_zstd_close(z);
    wire_key_free(key);
    return 0;
}
