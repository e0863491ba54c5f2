#include "gateway/city/city_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CA(member) offsetof(struct city_cfg_ca, member)
static const struct cfg_field ca_fields[] = {
    {.key = "cert",
     .kind = CFG_STRING,
     .offset = CA(cert),
     .required = true,
     .help = "PEM file with the certificate of the CA that signs the gateways' certificates"},
    {.key = "key",
     .kind = CFG_STRING,
     .offset = CA(key),
     .required = true,
     .help = "its private key, PEM, mode 0600"},
    {.key = "tls",
     .kind = CFG_STRING,
     .offset = CA(tls),
     .help = "PEM file with the CA of this city's TLS certificate, for gateways that enrol"},
    {.key = "life",
     .kind = CFG_TIME,
     .offset = CA(life_ms),
     .dflt = "365d",
     .min = 10000,
     .max = 3650.0 * 86400000,
     .help = "how long a gateway's certificate holds; it is renewed at two thirds of that"},
    {.key = "page_life",
     .kind = CFG_TIME,
     .offset = CA(page_life_ms),
     .dflt = "30d",
     .min = 0,
     .max = 398.0 * 86400000,
     .help = "how long that of a gateway's page holds, at most 398 days; 0s: none is given"},
    {.key = NULL}};
static const struct cfg_table ca_table = {sizeof(struct city_cfg_ca), ca_fields};

static const struct cfg_field fields[] = {
    {.key = "listen",
     .kind = CFG_STRING,
     .offset = offsetof(struct city_cfg, listen),
     .required = true,
     .help = "address and port of the HTTPS server"},
    {.key = "cert",
     .kind = CFG_STRING,
     .offset = offsetof(struct city_cfg, cert),
     .required = true,
     .help = "TLS certificate, PEM"},
    {.key = "key",
     .kind = CFG_STRING,
     .offset = offsetof(struct city_cfg, key),
     .required = true,
     .help = "its private key, PEM"},
    {.key = "sign_key",
     .kind = CFG_STRING,
     .offset = offsetof(struct city_cfg, sign_key),
     .required = true,
     .help = "P-256 key that signs receipts and heads, mode 0600"},
    {.key = "db",
     .kind = CFG_STRING,
     .offset = offsetof(struct city_cfg, db),
     .required = true,
     .help = "path of the SQLite database"},
    {.key = "read_token_file",
     .kind = CFG_STRING,
     .offset = offsetof(struct city_cfg, read_token_file),
     .help = "who knows the token in it may read readings, gaps, completeness and alarms; "
             "without: loopback only"},
    {.key = "timeout",
     .kind = CFG_TIME,
     .offset = offsetof(struct city_cfg, timeout_ms),
     .dflt = "30s",
     .min = 1000,
     .max = 3600000,
     .help = "what a silent or slow client may take"},
    {.key = "rate",
     .kind = CFG_INT,
     .offset = offsetof(struct city_cfg, rate),
     .dflt = "60000",
     .min = 1,
     .max = 1000000,
     .help =
         "requests a minute that one address may make about one gateway; more are answered 429"},
    {.key = "ca",
     .kind = CFG_STRUCT,
     .offset = offsetof(struct city_cfg, ca),
     .sub = &ca_table,
     .help = "the CA that signs the gateways' TLS certificates; without it nobody can enrol"},
    {.key = NULL},
};
const struct cfg_table city_table = {sizeof(struct city_cfg), fields};

enum st city_cfg_check(const struct city_cfg *cfg, struct err *e)
{
    if (strncmp(cfg->db, "postgresql:", 11) == 0 || strncmp(cfg->db, "postgres:", 9) == 0)
        return err_set(e, ST_REFUSED,
                       "db: this build has no PostgreSQL; write the path of a "
                       "SQLite file, such as /var/lib/fieldpost/city.db");
    return ST_OK;
}

enum st city_gateway_find(struct city_db *d, const char *gw, int64_t *id, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_GATEWAY_FIND, "t", gw);
    enum st st = city_db_step(d, s, e);

    if (st == ST_OK)
        *id = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? err_set(e, st, "%s: this gateway is not enrolled", gw) : st;
}

enum st city_gateway_each(struct city_db *d, const char *gw,
                          enum st (*each)(void *ctx, int64_t id, const char *gw, struct err *e),
                          void *ctx, struct err *e)
{
    int64_t only = 0;
    enum st st;

    if (gw != NULL) {
        st = city_gateway_find(d, gw, &only, e);
        return st == ST_OK ? each(ctx, only, gw, e) : st;
    }
    sqlite3_stmt *s = city_db_bind(d, SQL_GATEWAYS, "");
    while ((st = city_db_step(d, s, e)) == ST_OK &&
           (st = each(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
                      e)) == ST_OK)
        ;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Taking a key back is not undone by enrolling it again, and must not look as if it were. */
static enum st not_revoked(struct city_db *d, int64_t gateway, const struct wire_pub *pub,
                           const char *id, struct err *e)
{
    struct wire_span der = wire_pub_der(pub);
    sqlite3_stmt *s =
        city_db_bind(d, SQL_KEYS, "ib", gateway, wire_pub_kid(pub), (size_t)WIRE_ID_BYTES);
    bool revoked = false;
    enum st st;

    while ((st = city_db_step(d, s, e)) == ST_OK) {
        struct wire_span held = city_db_span(s, 1);
        if (held.n == der.n && memcmp(held.p, der.p, der.n) == 0)
            revoked = sqlite3_column_int(s, 2) != 0;
    }
    if (st == ST_NOT_FOUND && revoked)
        return err_set(e, ST_REFUSED,
                       "this key of %s was revoked, for good: make another on the gateway", id);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_enroll(const struct city_cfg *cfg, const char *id, const char *pub_path, char *kid,
                    struct err *e)
{
    struct wire_pub *pub = NULL;
    struct city_db d = {0};
    int64_t gateway = 0;
    enum st st = city_cfg_check(cfg, e);

    if (st != ST_OK)
        return st;
    if (!id_is_text(id))
        return err_set(e, ST_BAD, "\"%s\": an id is [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 bytes",
                       id);
    st = wire_pub_load(&pub, pub_path, e);
    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_WRITE, e);
    if (st == ST_OK)
        st = city_db_exec(&d, "BEGIN IMMEDIATE", e);
    if (st == ST_OK)
        st = city_db_run(&d, city_db_bind(&d, SQL_GATEWAY_ADD, "t", id), e);
    if (st == ST_OK) {
        sqlite3_stmt *s = city_db_bind(&d, SQL_GATEWAY_FIND, "t", id);
        st = city_db_step(&d, s, e);
        gateway = st == ST_OK ? sqlite3_column_int64(s, 0) : 0;
        sqlite3_reset(s);
    }
    if (st == ST_OK) {
        wire_hex(wire_pub_kid(pub), WIRE_ID_BYTES, kid);
        st = city_key_add(&d, gateway, pub, 0, clk_now(clk_real()).utc_ms, e);
    }
    if (st == ST_OK)
        st = not_revoked(&d, gateway, pub, id, e);
    if (st == ST_OK)
        st = city_db_exec(&d, "COMMIT", e);
    city_db_close(&d);
    wire_pub_free(pub);
    return st;
}

static enum st file_read(const char *path, struct buf *out, struct err *e)
{
    FILE *f = fopen(path, "re");
    enum st st = ST_OK;
    uint8_t part[8192];
    size_t n;

    if (f == NULL)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", strerror(errno));
    while (st == ST_OK && (n = fread(part, 1, sizeof part, f)) > 0)
        st = buf_put(out, part, n);
    if (st != ST_OK)
        err_set(e, st, "longer than a batch can be");
    else if (ferror(f))
        st = err_set(e, ST_IO, "cannot be read");
    fclose(f);
    return st;
}

static enum st verify(struct city_db *d, const struct buf *file, struct buf *cose,
                      char text[CITY_VERIFY_TEXT], struct err *e)
{
    static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    struct wire_batch b = {0};
    int64_t gateway = 0, key;
    bool zstd = file->n >= 4 && memcmp(file->p, zstd_magic, 4) == 0;
    enum st st = zstd ? wire_zstd_unpack(file->p, file->n, WIRE_BATCH_MAX, cose, e)
                      : buf_put(cose, file->p, file->n);

    if (st == ST_OK)
        st = wire_batch_open(&b, cose->p, cose->n, e);
    if (st != ST_OK)
        goto out;
    sqlite3_stmt *s = city_db_bind(d, SQL_GATEWAY_FIND, "t", b.header.gw);
    st = city_db_step(d, s, e);
    if (st == ST_OK)
        gateway = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    if (st == ST_NOT_FOUND)
        err_set(e, st, "gateway %s is not enrolled", b.header.gw);
    if (st == ST_OK && city_check_key(d, gateway, &b, &key, e) != CITY_OK)
        st = ST_CORRUPT;
    if (st == ST_OK) {
        char chain[WIRE_ID_TEXT];
        wire_hex(b.header.chain, WIRE_ID_BYTES, chain);
        snprintf(text, CITY_VERIFY_TEXT, "%s %s/%llu %s, signature good", b.header.gw, chain,
                 (unsigned long long)b.header.seq, b.header.kind == WIRE_DATA ? "data" : "control");
    }
out:
    wire_batch_done(&b);
    return st;
}

enum st city_verify(const struct city_cfg *cfg, const char *path, char text[CITY_VERIFY_TEXT],
                    struct err *e)
{
    struct buf file, cose;
    struct city_db d = {0};
    enum st st = city_cfg_check(cfg, e);

    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    if (st != ST_OK)
        return st;
    buf_init(&file, WIRE_BATCH_MAX + 64 * 1024);
    buf_init(&cose, WIRE_BATCH_MAX);
    st = file_read(path, &file, e);
    if (st == ST_OK)
        st = verify(&d, &file, &cose, text, e);
    if (st != ST_OK)
        err_wrap(e, st, "%s", path);
    buf_done(&file);
    buf_done(&cose);
    city_db_close(&d);
    return st;
}
