#include "gateway/city/city_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 10000 /* enroll beside serve: wait for the other's transaction */

static const char schema[] =
    "CREATE TABLE gateway(id INTEGER PRIMARY KEY, gw TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE key(id INTEGER PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway(id),"
    " kid BLOB NOT NULL, der BLOB NOT NULL, UNIQUE(gateway, der)) STRICT;"
    /* rows are born in the order in which the city first hears of a chain */
    "CREATE TABLE chain(id INTEGER PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway(id),"
    " chain BLOB NOT NULL, key INTEGER NOT NULL REFERENCES key(id), through_seq INTEGER NOT NULL,"
    " through_hash BLOB NOT NULL, after_chain BLOB, after_seq INTEGER, after_hash BLOB,"
    " UNIQUE(gateway, chain)) STRICT;"
    "CREATE TABLE batch(id INTEGER PRIMARY KEY, chain INTEGER NOT NULL REFERENCES chain(id),"
    " seq INTEGER NOT NULL, sha256 BLOB NOT NULL, prev BLOB, kind INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, boot BLOB NOT NULL, clk INTEGER NOT NULL,"
    " step INTEGER NOT NULL, n INTEGER NOT NULL, t_min INTEGER NOT NULL, t_max INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, broken INTEGER NOT NULL DEFAULT 0,"
    " cose BLOB NOT NULL) STRICT;" /* one zstd frame of the exact bytes */
    "CREATE UNIQUE INDEX batch_seq ON batch(chain, seq);"
    "CREATE INDEX batch_broken ON batch(chain, seq) WHERE broken = 1;"
    "CREATE TABLE receipt(batch INTEGER PRIMARY KEY REFERENCES batch(id), cose BLOB NOT NULL)"
    " STRICT;"
    "CREATE TABLE evidence(id INTEGER PRIMARY KEY, chain INTEGER NOT NULL REFERENCES chain(id),"
    " seq INTEGER NOT NULL, sha256 BLOB NOT NULL, received_ms INTEGER NOT NULL,"
    " cose BLOB NOT NULL, UNIQUE(chain, seq, sha256)) STRICT;"
    "CREATE TABLE gap(id INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batch(id),"
    " series TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,"
    " cause TEXT NOT NULL) STRICT;"
    "CREATE TABLE plan(id INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batch(id),"
    " series TEXT NOT NULL, quantity TEXT NOT NULL, unit TEXT, period_ms INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE retire(id INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batch(id),"
    " series TEXT NOT NULL, at_ms INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;"
    "CREATE TABLE void(id INTEGER PRIMARY KEY, chain INTEGER NOT NULL REFERENCES chain(id),"
    " seq_from INTEGER NOT NULL, seq_to INTEGER NOT NULL, last_hash BLOB, cause TEXT NOT NULL,"
    " batch INTEGER NOT NULL REFERENCES batch(id)) STRICT;"
    "CREATE INDEX void_chain ON void(chain, seq_to);";

/* Version 2: the raw batches that a thinned one stands for (its header's `for`). */
static const char schema_2[] =
    "CREATE TABLE thinned(batch INTEGER PRIMARY KEY REFERENCES batch(id),"
    " chain INTEGER NOT NULL REFERENCES chain(id), for_from INTEGER NOT NULL,"
    " for_to INTEGER NOT NULL) STRICT;"
    "CREATE INDEX thinned_for ON thinned(chain, for_to);"
    "PRAGMA user_version = 2;";

/* Version 3: what control batches say about sealed readings. */
static const char schema_3[] =
    "CREATE TABLE IF NOT EXISTS moved(batch INTEGER NOT NULL REFERENCES batch(id),"
    " n INTEGER NOT NULL, chain INTEGER NOT NULL, seq INTEGER NOT NULL, boot BLOB NOT NULL,"
    " seq_from INTEGER NOT NULL, seq_to INTEGER NOT NULL, add_ms INTEGER NOT NULL,"
    " err_ms INTEGER NOT NULL, PRIMARY KEY(batch, n)) STRICT;"
    "CREATE INDEX IF NOT EXISTS moved_chain ON moved(chain, boot, seq_from);";

/* Version 4: the gateways' digests of their days. */
static const char schema_4[] =
    "CREATE TABLE IF NOT EXISTS digest(batch INTEGER NOT NULL REFERENCES batch(id),"
    " n INTEGER NOT NULL, chain INTEGER NOT NULL, seq INTEGER NOT NULL, day INTEGER NOT NULL,"
    " seq_from INTEGER NOT NULL, seq_to INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " gaps INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY(batch, n)) STRICT;"
    "CREATE INDEX IF NOT EXISTS digest_day ON digest(chain, day, seq_from);"
    "CREATE INDEX IF NOT EXISTS batch_to ON batch(chain, to_ms);"
    "CREATE INDEX IF NOT EXISTS gap_batch ON gap(batch);";

/* Version 5: all windows of a gateway without their bytes, who lived when, refusals. The version is
 * told when all is filled. */
static const char schema_5[] =
    "CREATE INDEX IF NOT EXISTS batch_time ON batch(chain, seq, kind, n, from_ms, to_ms, t_min,"
    " t_max, step, boot);"
    "CREATE INDEX IF NOT EXISTS batch_live ON batch(chain, t_max, t_min, clk, seq, kind, n)"
    " WHERE kind = 0 AND n > 0;"
    "CREATE INDEX IF NOT EXISTS batch_received ON batch(chain, received_ms);"
    /* gateway 0: of none that is enrolled */
    "CREATE TABLE IF NOT EXISTS refused(gateway INTEGER NOT NULL, code TEXT NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL,"
    " why TEXT NOT NULL, PRIMARY KEY(gateway, code)) STRICT;";

/* Version 6: what is known of a key beside its bytes; of those that came before this table only
 * revocations.
 */
static const char schema_6[] =
    "CREATE TABLE IF NOT EXISTS key_state(key INTEGER PRIMARY KEY REFERENCES key(id),"
    " since_ms INTEGER, batch INTEGER REFERENCES batch(id), revoked_ms INTEGER, reason TEXT)"
    " STRICT;";

/* Version 7: `correct` entries whole (id and arguments are CBOR as sealed), and `maintain` entries.
 */
static const char schema_7[] =
    "DROP TABLE IF EXISTS corrected;"
    "CREATE TABLE corrected(batch INTEGER NOT NULL REFERENCES batch(id), n INTEGER NOT NULL,"
    " series TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, what TEXT NOT NULL,"
    " arguments BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY(batch, n)) STRICT;"
    "CREATE INDEX corrected_id ON corrected(id);"
    "CREATE TABLE IF NOT EXISTS maintained(batch INTEGER NOT NULL REFERENCES batch(id),"
    " n INTEGER NOT NULL, series TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER,"
    " work TEXT NOT NULL, map BLOB NOT NULL, PRIMARY KEY(batch, n)) STRICT;";

/* Version 8: enrolment. */
static const char schema_8[] =
    "CREATE TABLE IF NOT EXISTS claim(id INTEGER PRIMARY KEY, gw TEXT NOT NULL, salt BLOB NOT NULL,"
    " hash BLOB NOT NULL, made_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, used_ms INTEGER,"
    " spki BLOB, replaces INTEGER NOT NULL) STRICT;"
    "CREATE TABLE IF NOT EXISTS device(id INTEGER PRIMARY KEY,"
    " gateway INTEGER NOT NULL REFERENCES gateway(id), serial BLOB NOT NULL UNIQUE,"
    " spki BLOB NOT NULL, cert BLOB NOT NULL, claim INTEGER NOT NULL, replaces INTEGER NOT NULL,"
    " issued_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, revoked_ms INTEGER) STRICT;"
    "CREATE INDEX IF NOT EXISTS device_gateway ON device(gateway, issued_ms);"
    /* keys of boxes that were replaced: nothing that ends later is taken */
    "CREATE TABLE IF NOT EXISTS handed(key INTEGER PRIMARY KEY REFERENCES key(id),"
    " at_ms INTEGER NOT NULL) STRICT;";

/* Version 9: the gateways' configurations, and the hashes of those that their chains have named. */
static const char schema_9[] =
    "CREATE TABLE IF NOT EXISTS deposit(id INTEGER PRIMARY KEY,"
    " gateway INTEGER NOT NULL REFERENCES gateway(id), key INTEGER NOT NULL REFERENCES key(id),"
    " hash BLOB NOT NULL, sha256 BLOB NOT NULL, when_ms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, cose BLOB NOT NULL) STRICT;" /* one zstd frame */
    "CREATE INDEX IF NOT EXISTS deposit_gateway ON deposit(gateway, id);"
    "CREATE TABLE IF NOT EXISTS config_said(gateway INTEGER NOT NULL REFERENCES gateway(id),"
    " hash BLOB NOT NULL, PRIMARY KEY(gateway, hash)) STRICT, WITHOUT ROWID;";

/* Version 10: what the city announced of its own keys. */
static const char schema_10[] =
    "CREATE TABLE IF NOT EXISTS trust(n INTEGER PRIMARY KEY, from_ms INTEGER NOT NULL,"
    " has_key INTEGER NOT NULL, cose BLOB NOT NULL) STRICT;";

/* Version 11: digests of chains that ended before theirs was due, told in a later one. */
static const char schema_11[] =
    "CREATE TABLE IF NOT EXISTS rest(batch INTEGER NOT NULL REFERENCES batch(id),"
    " n INTEGER NOT NULL, gateway INTEGER NOT NULL, chain BLOB NOT NULL, day INTEGER NOT NULL,"
    " seq_from INTEGER NOT NULL, seq_to INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " gaps INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY(batch, n)) STRICT;"
    "CREATE INDEX IF NOT EXISTS rest_day ON rest(gateway, chain, day, seq_from);";

/* Version 12: which numbers of a chain are held, as runs without a hole: what is missing is told
 * without a look at each batch. */
static const char schema_12[] =
    "CREATE TABLE IF NOT EXISTS run(chain INTEGER NOT NULL REFERENCES chain(id),"
    " seq_from INTEGER NOT NULL, seq_to INTEGER NOT NULL, PRIMARY KEY(chain, seq_from)) STRICT,"
    " WITHOUT ROWID;"
    "DELETE FROM run;"
    "INSERT INTO run SELECT chain, min(seq), max(seq) FROM (SELECT chain, seq,"
    " seq - row_number() OVER (PARTITION BY chain ORDER BY seq) AS hole FROM batch)"
    " GROUP BY chain, hole;";

/* Version 13: what people changed at a gateway, and who. */
static const char schema_13[] =
    "CREATE TABLE IF NOT EXISTS change(batch INTEGER NOT NULL REFERENCES batch(id),"
    " n INTEGER NOT NULL, at_ms INTEGER NOT NULL, what TEXT NOT NULL, about TEXT,"
    " now TEXT NOT NULL, author TEXT NOT NULL, PRIMARY KEY(batch, n)) STRICT;";

/* Each may run again; the version is told when all of them are there and filled. */
static const char *const later[] = {schema_3, schema_4,  schema_5,  schema_6,  schema_7, schema_8,
                                    schema_9, schema_10, schema_11, schema_12, schema_13};
#define LATER (sizeof later / sizeof *later)
#define SCHEMA_VERSION (2 + (int)LATER)

static const char *const sql_text[SQL_COUNT] = {
#define SQL(name, text) [SQL_##name] = text,
#include "gateway/city/sql.def"
#undef SQL
};

enum st city_db_fail(struct city_db *d, struct err *e)
{
    return err_set(e, ST_IO, "database: %s", d->db != NULL ? sqlite3_errmsg(d->db) : "no memory");
}

enum st city_db_exec(struct city_db *d, const char *sql, struct err *e)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ST_OK : city_db_fail(d, e);
}

static enum st version_of(struct city_db *d, int *version, struct err *e)
{
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(d->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW) {
        sqlite3_finalize(s);
        return city_db_fail(d, e);
    }
    *version = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return ST_OK;
}

/* Two programs may come first at once: whoever gets the lock looks again. */
static enum st schema_make(struct city_db *d, struct err *e)
{
    int version = 0;
    enum st st = city_db_exec(d, "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE", e);

    if (st != ST_OK)
        return st;
    st = version_of(d, &version, e);
    if (st == ST_OK && version == 0)
        st = city_db_exec(d, schema, e);
    if (st == ST_OK && version < 2)
        st = city_db_exec(d, schema_2, e);
    for (size_t i = 0; i < LATER && st == ST_OK; i++)
        st = city_db_exec(d, later[i], e);
    if (st == ST_OK)
        st = city_db_exec(d, "COMMIT", e);
    if (st != ST_OK)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static enum st schema_fill(struct city_db *d, struct err *e)
{
    char done[64];
    enum st st = city_db_exec(d, "BEGIN IMMEDIATE", e);

    if (st != ST_OK)
        return st;
    st = city_correct_fill(d, e);
    (void)snprintf(done, sizeof done, "PRAGMA user_version = %d; COMMIT", SCHEMA_VERSION);
    if (st == ST_OK)
        st = city_db_exec(d, done, e);
    if (st != ST_OK)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

enum st city_db_open(struct city_db *d, const char *path, enum city_mode mode, struct err *e)
{
    int version = 0;
    enum st st;

    memset(d, 0, sizeof *d);
    if (mode == CITY_DB_READ && access(path, F_OK) != 0)
        return err_set(e, ST_NOT_FOUND, "%s: %s; `fieldpost-city enroll` makes it", path,
                       strerror(errno));
    /* a reader opens for writing too: SQLite wants to make the -shm file beside it */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                (mode == CITY_DB_WRITE ? SQLITE_OPEN_CREATE : 0);
    st = sqlite3_open_v2(path, &d->db, flags, NULL) == SQLITE_OK ? ST_OK : city_db_fail(d, e);
    if (st == ST_OK) {
        sqlite3_busy_timeout(d->db, BUSY_MS);
        st = version_of(d, &version, e);
    }
    if (st == ST_OK && version < SCHEMA_VERSION && mode == CITY_DB_WRITE)
        st = schema_make(d, e);
    else if (st == ST_OK && version != SCHEMA_VERSION)
        st = err_set(e, ST_UNSUPPORTED, "schema %d is not the %d of this program", version,
                     SCHEMA_VERSION);
    if (st == ST_OK)
        st = city_db_exec(
            d, mode == CITY_DB_WRITE ? "PRAGMA synchronous = FULL" : "PRAGMA query_only = 1", e);
    for (int i = 0; st == ST_OK && i < SQL_COUNT; i++) {
        if (sqlite3_prepare_v3(d->db, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT, &d->stmt[i],
                               NULL) != SQLITE_OK)
            st = city_db_fail(d, e);
    }
    if (st == ST_OK && version < SCHEMA_VERSION)
        st = schema_fill(d, e);
    if (st != ST_OK) {
        city_db_close(d);
        err_wrap(e, st, "%s", path);
    }
    return st;
}

void city_db_close(struct city_db *d)
{
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(d->stmt[i]);
    sqlite3_close(d->db);
    memset(d, 0, sizeof *d);
}

sqlite3_stmt *city_db_bind(struct city_db *d, enum city_sql which, const char *types, ...)
{
    sqlite3_stmt *s = d->stmt[which];
    va_list ap;

    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    va_start(ap, types);
    /* a failed bind leaves NULL, which the NOT NULL columns refuse */
    for (int i = 1; *types != '\0'; i++, types++) {
        if (*types == 'i') {
            sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
        } else if (*types == 't') {
            sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        } else {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            sqlite3_bind_blob64(s, i, p, n, SQLITE_STATIC);
        }
    }
    va_end(ap);
    return s;
}

enum st city_db_step(struct city_db *d, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s);

    if (rc == SQLITE_ROW)
        return ST_OK;
    enum st st = rc == SQLITE_DONE ? ST_NOT_FOUND : city_db_fail(d, e);
    sqlite3_reset(s);
    return st;
}

enum st city_db_run(struct city_db *d, sqlite3_stmt *s, struct err *e)
{
    enum st st = city_db_step(d, s, e);

    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

bool city_db_blob(sqlite3_stmt *s, int column, void *out, size_t n)
{
    struct wire_span p = city_db_span(s, column);

    if (p.n != n || p.p == NULL)
        return false;
    memcpy(out, p.p, n);
    return true;
}

struct wire_span city_db_span(sqlite3_stmt *s, int column)
{
    struct wire_span p = {.p = sqlite3_column_blob(s, column)};
    p.n = (size_t)sqlite3_column_bytes(s, column);
    return p;
}
