/* The city's PUT on any body: from the bytes to a stored batch and its receipt, in a database in
 * memory that is as it was again afterwards. Beside the sanitizers: a refused body leaves no batch;
 * an accepted one has a receipt over its hash that verifies, gets the same receipt when it comes
 * again, and reads back as many readings as the receipt counts. */
// uses: city wire sqlite3
// seeds: tests/golden/*.hex tests/fuzz/corpus/batch/*
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/city/city_int.h"
#include "tests/fuzz/envelope.h"

#define GW "tra-cau-01" /* of the seeds, as are the key and the chain */
#define NOW_MS INT64_C(1795400000000)
#define TYPE "application/cose; cose-type=\"cose-sign1\""

static struct city_db db;
static struct wire_key *key;

/* RFC 9052's public example of a key pair. */
static void key_open(void)
{
    static const char pem[] = "-----BEGIN EC PRIVATE KEY-----\n"
                              "MHcCAQEEIFfJIHdmQUbodnYMlSDQVKqTw6+wTjBnBdtgkDCFB7TToAoGCCqGSM49\n"
                              "AwEHoUQDQgAEusWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8gE4v4LcG2\n"
                              "1WK+D6VKt4BKOmS21yzP7Wtvtu0ou/wRfg==\n"
                              "-----END EC PRIVATE KEY-----\n";
    char path[64];
    int fd = memfd_create("key", MFD_CLOEXEC);

    demand(fd >= 0 && fchmod(fd, 0600) == 0);
    demand(write(fd, pem, sizeof pem - 1) == (ssize_t)sizeof pem - 1);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    demand(wire_key_load(&key, path, NULL) == ST_OK);
    (void)close(fd);
}

static void set_up(void)
{
    struct wire_span der;

    key_open();
    der = wire_pub_der(wire_key_pub(key));
    demand(city_db_open(&db, ":memory:", CITY_DB_WRITE, NULL) == ST_OK);
    demand(city_db_run(&db, city_db_bind(&db, SQL_GATEWAY_ADD, "t", GW), NULL) == ST_OK);
    demand(city_db_run(&db,
                       city_db_bind(&db, SQL_KEY_ADD, "ibb", INT64_C(1),
                                    wire_pub_kid(wire_key_pub(key)), (size_t)WIRE_ID_BYTES, der.p,
                                    der.n),
                       NULL) == ST_OK);
}

static int64_t batches(void)
{
    sqlite3_stmt *s;
    int64_t n;

    demand(sqlite3_prepare_v2(db.db, "SELECT count(*) FROM batch", -1, &s, NULL) == SQLITE_OK);
    demand(sqlite3_step(s) == SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static bool is_packed(const uint8_t *data, size_t n)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};

    return n >= sizeof zstd && memcmp(data, zstd, sizeof zstd) == 0;
}

/* The URL that the gateway would have used, as far as the body tells. */
static struct city_where where(const uint8_t *data, size_t n)
{
    struct city_where w = {.gw = GW, .seq = 1};
    struct wire_batch b;
    struct buf plain;

    buf_init(&plain, WIRE_BATCH_MAX);
    if (is_packed(data, n) && wire_zstd_unpack(data, n, WIRE_BATCH_MAX, &plain, NULL) == ST_OK) {
        data = plain.p;
        n = plain.n;
    }
    if (wire_batch_open(&b, data, n, NULL) == ST_OK) {
        memcpy(w.chain, b.header.chain, sizeof w.chain);
        w.seq = b.header.seq;
        wire_batch_done(&b);
    }
    buf_done(&plain);
    return w;
}

static enum city_code put(const uint8_t *data, size_t n, struct city_batch *b)
{
    struct city_where w = where(data, n);
    enum city_code code =
        city_ingest(&db, &w, TYPE, is_packed(data, n) ? "zstd" : "identity", data, n, b, NULL);
    bool same;

    if (code == CITY_OK && !b->known) {
        code = city_keep(&db, key, b, NOW_MS, &same, NULL);
        demand(code != CITY_OK || !same); /* city_ingest has looked */
    }
    return code;
}

static void check_receipt(const struct city_batch *b)
{
    struct wire_receipt r;
    struct wire_cose c;

    demand(wire_receipt_open(&r, &c, b->receipt.p, b->receipt.n, NULL) == ST_OK);
    demand(wire_cose_verify(&c, wire_key_pub(key), NULL) == ST_OK);
    demand(memcmp(r.sha256, b->sha256, sizeof r.sha256) == 0);
    demand(r.seq == b->batch.header.seq && r.n == b->n);
}

static void check_readings(const struct city_batch *b)
{
    const struct city_query all = {
        .gateway = 1, .from_ms = INT64_MIN, .to_ms = INT64_MAX, .limit = 100000};
    int64_t row, index;
    uint64_t lines = 0;
    struct buf out;

    buf_init(&out, 16 * 1024 * 1024);
    demand(city_readings(&db, &all, &out, &row, &index, NULL) == ST_OK && row == 0);
    for (size_t i = 0; i < out.n; i++)
        lines += out.p[i] == '\n';
    demand(lines == 1 + b->n);
    out.n = 0;
    demand(city_gaps(&db, &all, &out, &row, NULL) == ST_OK);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct city_batch b, again;

    if (key == NULL)
        set_up();
    demand(city_db_exec(&db, "BEGIN", NULL) == ST_OK);
    if (put(data, n, &b) == CITY_OK) {
        check_receipt(&b);
        check_readings(&b);
        demand(put(data, n, &again) == CITY_OK && again.known);
        demand(again.receipt.n == b.receipt.n &&
               memcmp(again.receipt.p, b.receipt.p, b.receipt.n) == 0);
        city_batch_done(&again);
        demand(batches() == 1);
        PLANT(b.batch.header.seq > 8);
    } else {
        demand(batches() == 0);
    }
    city_batch_done(&b);
    demand(city_db_exec(&db, "ROLLBACK", NULL) == ST_OK);
    return 0;
}

/* What is well formed is signed, so that the fuzzer's work goes behind the signature. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    struct wire_batch b;
    struct buf out;

    if (key == NULL)
        set_up();
    n = envelope_mutate(data, n, max, seed);
    if (seed % 64 == 1 || wire_batch_open(&b, data, n, NULL) != ST_OK)
        return n;
    buf_init(&out, WIRE_BATCH_MAX);
    demand(wire_cose_sign(b.cose.protected_, b.cose.payload, wire_key_signer(key), &out, NULL) ==
           ST_OK);
    wire_batch_done(&b);
    demand(out.n == n);
    memcpy(data, out.p, n);
    buf_done(&out);
    return n;
}
