/* How the city's own keys change: notices, each signed by the receipt key before it (decision
 * 0023). The private halves lie in files, see sign.c. */
#include "gateway/city/city_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/clk.h"

#define CA_FILE_BYTES (64 * 1024)

/* ---- what there is --------------------------------------------------------------------------- */

enum st city_trust_last(struct city_db *d, uint64_t *n, struct err *e)
{
    sqlite3_stmt *q = city_db_bind(d, SQL_TRUST_LAST, "");
    enum st st = city_db_step(d, q, e);

    *n = st == ST_OK ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_trust_put(struct city_db *d, struct buf *out, struct err *e)
{
    sqlite3_stmt *q = city_db_bind(d, SQL_TRUST_LIST, "i", (int64_t)WIRE_NOTICES_MAX);
    enum st st;

    while ((st = city_db_step(d, q, e)) == ST_OK) {
        struct wire_span cose = city_db_span(q, 0);
        st = buf_put(out, cose.p, cose.n);
        if (st != ST_OK) {
            err_set(e, st, "no room for the notices");
            break;
        }
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- another notice -------------------------------------------------------------------------- */

/* The key that signs the next one: that of the last notice with a key, used already or not; and its
 * file. */
static enum st signer_of(struct city_db *d, const char *sign_key, struct wire_key **key,
                         char path[CITY_PATH_BYTES], struct err *e)
{
    int64_t notice = 0;

    ERR_TRY(city_sign_notice_at(d, INT64_MAX, &notice, e));
    ERR_TRY(city_key_path(sign_key, notice, path, e));
    return wire_key_load(key, path, e);
}

/* Belongs to whoever has the key before it: serve must be able to read it. Through the open file:
 * the folder may be that user's, who could put another one there meanwhile. */
static enum st give(const char *path, const char *like, struct err *e)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool good =
        fd >= 0 && stat(like, &s) == 0 && (geteuid() != 0 || fchown(fd, s.st_uid, s.st_gid) == 0);
    int why = errno;

    if (fd >= 0)
        close(fd);
    return good ? ST_OK
                : err_set(e, ST_IO, "%s: cannot be handed to the owner of %s: %s", path, like,
                          strerror(why));
}

/* One that is there is left from a try that was cut short, or is named by a notice that a restored
 * database has forgotten. like: the key before it. */
static enum st next_key(const char *path, const char *like, struct wire_key **key, struct err *e)
{
    if (access(path, F_OK) == 0)
        return err_set(e, ST_CONFLICT,
                       "%s is there, and no notice here names it: when the database was restored, "
                       "take its notices back first (trust --restore); when an announcement was "
                       "cut short, remove the file",
                       path);
    ERR_TRY(wire_key_make(path, e));
    enum st st = give(path, like, e);
    if (st == ST_OK)
        st = wire_key_load(key, path, e);
    if (st != ST_OK)
        unlink(path);
    return st;
}

static enum st read_cas(const char *path, int64_t until_ms, struct wire_certs *certs,
                        struct wire_notice *x, struct err *e)
{
    struct wire_cert cert;
    struct buf pem;

    buf_init(&pem, CA_FILE_BYTES);
    enum st st = wire_file_get(path, &pem, e);
    if (st == ST_OK && (st = wire_certs_pem(certs, pem.p, pem.n, e)) != ST_OK)
        err_wrap(e, st, "%s", path);
    if (st == ST_OK && certs->n > WIRE_NOTICE_CAS)
        st = err_set(e, ST_BAD, "%s: has %zu certificates, a notice takes %d", path, certs->n,
                     WIRE_NOTICE_CAS);
    for (size_t i = 0; i < certs->n && st == ST_OK; i++) {
        st = wire_cert_read(&cert, certs->v[i], e);
        if (st == ST_OK && cert.to_ms <= until_ms)
            st = err_set(e, ST_BAD, "%s: a certificate that ends before the one it replaces", path);
        x->ca[x->ncas++] = certs->v[i];
    }
    buf_done(&pem);
    return st;
}

/* Inside a transaction. */
static enum st announce(struct city_db *d, const struct city_cfg *cfg,
                        const struct city_announce *q, struct wire_notice *x, struct err *e)
{
    struct wire_certs certs = {.n = 0};
    struct wire_key *signer = NULL, *key = NULL;
    char like[CITY_PATH_BYTES], path[CITY_PATH_BYTES];
    struct buf cose;
    sqlite3_stmt *s = city_db_bind(d, SQL_TRUST_LAST, "");
    enum st st = city_db_step(d, s, e);

    if (st == ST_OK) {
        struct wire_span before = city_db_span(s, 1);
        x->n = (uint64_t)sqlite3_column_int64(s, 0);
        wire_sha256(before.p, before.n, x->prev);
    }
    sqlite3_reset(s);
    x->n++;
    st = st == ST_NOT_FOUND ? ST_OK : st;
    if (st == ST_OK)
        st = signer_of(d, cfg->sign_key, &signer, like, e);
    if (st == ST_OK && q->ca != NULL)
        st = read_cas(q->ca, x->until_ms, &certs, x, e);
    if (st == ST_OK)
        st = city_key_path(cfg->sign_key, (int64_t)x->n, path, e);
    if (st == ST_OK && q->key)
        st = next_key(path, like, &key, e);
    if (st == ST_OK && key != NULL)
        x->key = wire_pub_der(wire_key_pub(key));
    buf_init(&cose, WIRE_NOTICE_MAX + 256);
    if (st == ST_OK)
        st = wire_notice_sign(x, wire_key_signer(signer), &cose, e);
    if (st == ST_OK)
        st = city_db_run(d,
                         city_db_bind(d, SQL_TRUST_ADD, "iiib", (int64_t)x->n, x->from_ms,
                                      (int64_t)(key != NULL), cose.p, cose.n),
                         e);
    if (st != ST_OK && key != NULL)
        unlink(path); /* no notice names it, and the next try makes another */
    buf_done(&cose);
    wire_certs_done(&certs);
    wire_key_free(signer);
    wire_key_free(key);
    return st;
}

enum st city_announce(const struct city_cfg *cfg, const struct city_announce *q, uint64_t *n,
                      struct err *e)
{
    struct clk_time now = clk_now(clk_real());
    struct city_db d = {0};
    struct wire_notice x = {.at_ms = now.utc_ms};

    ERR_TRY(city_cfg_check(cfg, e));
    if (now.grade == CLK_UNKNOWN)
        return err_set(e, ST_BUSY, "the clock is not set: the notice would carry wrong times");
    if (!q->key && q->ca == NULL)
        return err_set(e, ST_BAD, "say what changes: --next-key, --next-ca FILE or both");
    x.from_ms = now.utc_ms + q->after_ms;
    x.until_ms = x.from_ms + q->both_ms;
    ERR_TRY(city_db_open(&d, cfg->db, CITY_DB_WRITE, e));
    enum st st = city_db_exec(&d, "BEGIN IMMEDIATE", e);
    if (st == ST_OK)
        st = announce(&d, cfg, q, &x, e);
    if (st == ST_OK)
        st = city_db_exec(&d, "COMMIT", e);
    city_db_close(&d); /* rolls back what was not committed */
    *n = x.n;
    return st;
}

/* ---- notices that a restored database has forgotten ------------------------------------------ */

static enum st take_back(struct city_db *d, const char *sign_key, struct wire_span item,
                         uint64_t *taken, struct err *e)
{
    struct wire_notice x;
    struct wire_cose cose;
    struct wire_key *signer = NULL, *key = NULL;
    char path[CITY_PATH_BYTES];
    uint8_t last[WIRE_HASH_BYTES] = {0};
    sqlite3_stmt *s = city_db_bind(d, SQL_TRUST_LAST, "");
    enum st st = city_db_step(d, s, e);
    uint64_t n = st == ST_OK ? (uint64_t)sqlite3_column_int64(s, 0) : 0;

    if (st == ST_OK) {
        struct wire_span before = city_db_span(s, 1);
        wire_sha256(before.p, before.n, last);
    }
    sqlite3_reset(s);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    ERR_TRY(wire_notice_open(&x, &cose, item.p, item.n, e));
    if (x.n <= n)
        return ST_OK;
    if (x.n != n + 1 || memcmp(x.prev, last, sizeof last) != 0)
        return err_set(e, ST_CORRUPT,
                       "notice %" PRIu64 " does not follow notice %" PRIu64 " of here", x.n, n);
    ERR_TRY(signer_of(d, sign_key, &signer, path, e));
    st = wire_cose_verify(&cose, wire_key_pub(signer), e);
    wire_key_free(signer);
    if (st == ST_OK && x.key.n > 0)
        st = city_sign_load(sign_key, &x, &key, e); /* its private half lies here */
    wire_key_free(key);
    if (st == ST_OK)
        st = city_db_run(d,
                         city_db_bind(d, SQL_TRUST_ADD, "iiib", (int64_t)x.n, x.from_ms,
                                      (int64_t)(x.key.n > 0), item.p, item.n),
                         e);
    *taken += st == ST_OK;
    return st;
}

enum st city_trust_restore(const struct city_cfg *cfg, const char *file, uint64_t *taken,
                           struct err *e)
{
    struct wire_span rest, item = {NULL, 0};
    struct city_db d = {0};
    struct buf all;

    *taken = 0;
    ERR_TRY(city_cfg_check(cfg, e));
    ERR_TRY(city_db_open(&d, cfg->db, CITY_DB_WRITE, e));
    buf_init(&all, WIRE_NOTICES_MAX * WIRE_NOTICE_MAX + 1);
    enum st st = wire_file_get(file, &all, e);
    if (st == ST_OK)
        st = city_db_exec(&d, "BEGIN IMMEDIATE", e);
    rest = (struct wire_span){all.p, all.n};
    while (st == ST_OK && rest.n > 0) {
        st = wire_notice_next(&rest, &item, e);
        if (st == ST_OK)
            st = take_back(&d, cfg->sign_key, item, taken, e);
    }
    if (st == ST_OK)
        st = city_db_exec(&d, "COMMIT", e);
    city_db_close(&d);
    buf_done(&all);
    return st;
}

/* ---- for people ------------------------------------------------------------------------------ */

static enum st print_notice(struct wire_span cose_bytes, FILE *out, struct err *e)
{
    char from[CLK_TEXT_BYTES], until[CLK_TEXT_BYTES], by[WIRE_ID_TEXT], hex[WIRE_ID_TEXT];
    struct wire_cose cose;
    struct wire_notice x;
    struct wire_cert cert;
    struct wire_pub *pub = NULL;

    ERR_TRY(wire_notice_open(&x, &cose, cose_bytes.p, cose_bytes.n, e));
    wire_hex(x.kid, sizeof x.kid, by);
    fprintf(out, "notice %" PRIu64 " signed by %s, in use from %s, the one before counts until %s",
            x.n, by, clk_text(x.from_ms, from), clk_text(x.until_ms, until));
    if (x.key.n > 0) {
        ERR_TRY(wire_pub_parse(&pub, x.key.p, x.key.n, e));
        wire_hex(wire_pub_kid(pub), WIRE_ID_BYTES, hex);
        wire_pub_free(pub);
        fprintf(out, ", receipt key %s", hex);
    }
    for (size_t i = 0; i < x.ncas; i++) {
        ERR_TRY(wire_cert_read(&cert, x.ca[i], e));
        wire_hex(cert.sha256, WIRE_ID_BYTES, hex);
        fprintf(out, ", CA %s until %s", hex, clk_text(cert.to_ms, until));
    }
    fputc('\n', out);
    return ST_OK;
}

enum st city_trust(const struct city_cfg *cfg, const char *file, FILE *out, struct err *e)
{
    struct wire_span rest, item = {NULL, 0};
    struct city_db d = {0};
    struct buf all;

    ERR_TRY(city_cfg_check(cfg, e));
    ERR_TRY(city_db_open(&d, cfg->db, CITY_DB_READ, e));
    buf_init(&all, WIRE_NOTICES_MAX * WIRE_NOTICE_MAX);
    enum st st = city_trust_put(&d, &all, e);
    city_db_close(&d);
    if (st == ST_OK && all.n == 0)
        st = err_set(e, ST_NOT_FOUND, "this city has given no notice: see announce");
    if (st == ST_OK && file != NULL)
        st = wire_file_put(file, all.p, all.n, 0644, false, e);
    rest = (struct wire_span){all.p, all.n};
    while (st == ST_OK && rest.n > 0) {
        st = wire_notice_next(&rest, &item, e);
        if (st == ST_OK)
            st = print_notice(item, out, e);
    }
    buf_done(&all);
    return st == ST_OK && fflush(out) != 0 ? err_set(e, ST_IO, "cannot write") : st;
}
