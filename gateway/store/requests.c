/* The folder beside the store in which what people ask for waits, what became of it, and whether it
 * may be sealed at all. */
#include "gateway/store/store_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/drop.h"

#define AHEAD_MS INT64_C(60000)            /* a clock may differ that much */
#define KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from boot */
#define FILE_MAX (WIRE_REQUEST_MAX + ERR_TEXT_BYTES + 2)

/* ---- the folder ---- */

/* Whether it tells of what is done already, whatever the clock said. */
static bool is_done(enum wire_entry_kind kind)
{
    return kind == WIRE_ENTRY_SETUP || kind == WIRE_ENTRY_CHANGE;
}

enum st store_request_put(const char *path, const struct store_request *q, struct err *e)
{
    char folder_path[DROP_PATH_BYTES], name[64];
    int folder = -1;
    ERR_TRY(drop_open(path, STORE_REQUESTS, 0700, folder_path, &folder, e));
    (void)snprintf(name, sizeof name, "%016llx-%s" STORE_REQUEST_WAITS,
                   (unsigned long long)q->at_ms, q->hex);
    /* what was done finds room behind what people only ask for */
    size_t most = (size_t)STORE_REQUESTS_MAX * (is_done(q->open.x.kind) ? 2 : 1);
    enum st st =
        drop_put(folder, folder_path, name, q->bytes.p, q->bytes.n, most, STORE_REQUEST_REFUSED, e);
    (void)close(folder);
    return st;
}

bool store_request_name(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    return n == STORE_REQUEST_NAME + strlen(suffix) && strspn(name, "0123456789abcdef") == 16 &&
           name[16] == '-' && strspn(name + 17, "0123456789abcdef") == 16 &&
           strcmp(name + STORE_REQUEST_NAME, suffix) == 0;
}

/* The reason stands behind the request, in a line of its own; the request's own bytes may hold the
 * end of a line as well. */
static void read_reason(int folder, const char *name, char why[ERR_TEXT_BYTES])
{
    uint8_t text[FILE_MAX];
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        (void)close(fd);
    struct wire_reader r = {.start = text, .p = text, .end = text + (got > 0 ? got : 0)};
    size_t n = wire_skip(&r, NULL) == ST_OK ? (size_t)(r.end - r.p) : 0;
    if (n > 2 && r.p[0] == '\n' && r.p[n - 1] == '\n')
        (void)snprintf(why, ERR_TEXT_BYTES, "%.*s", (int)(n - 2), (const char *)r.p + 1);
    else
        (void)snprintf(why, ERR_TEXT_BYTES, "see the gateway's events");
}

/* ST_NOT_FOUND: it does not lie there. */
static enum st look(const char *path, const char *hex, struct store_fate *out)
{
    char folder_path[DROP_PATH_BYTES];
    enum st st = ST_NOT_FOUND;
    if (snprintf(folder_path, sizeof folder_path, "%s" STORE_REQUESTS, path) >=
        (int)sizeof folder_path)
        return st;
    DIR *d = opendir(folder_path);
    for (const struct dirent *f; d && st == ST_NOT_FOUND && (f = readdir(d));) {
        bool waits = store_request_name(f->d_name, STORE_REQUEST_WAITS);
        if ((!waits && !store_request_name(f->d_name, STORE_REQUEST_REFUSED)) ||
            strncmp(f->d_name + 17, hex, 16) != 0)
            continue;
        st = ST_OK;
        out->is = waits ? STORE_WAITS : STORE_REFUSED;
        if (!waits)
            read_reason(dirfd(d), f->d_name, out->why);
    }
    if (d)
        (void)closedir(d);
    return st;
}

static enum st sealed(struct store_reader *r, const uint8_t id[WIRE_ID_BYTES],
                      struct store_fate *out, struct err *e)
{
    struct store_db *d = store_reader_db(r);
    sqlite3_stmt *q = store_db_use(d, SQL_REQUEST_SEALED, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 1, id, WIRE_ID_BYTES, SQLITE_STATIC);
    enum st st = store_db_row(d, q, e);
    if (st == ST_OK) {
        out->is = STORE_SEALED;
        out->seq = store_batch_seq(sqlite3_column_int64(q, 0));
        if (!store_db_blob(q, 1, out->chain, sizeof out->chain))
            st = err_set(e, ST_CORRUPT, "store %s: a chain is damaged", d->path);
    }
    sqlite3_reset(q);
    return st;
}

/* The file goes behind the commit, and changes its name when it is refused: what neither place has
 * may have been on its way between the two looks. */
enum st store_request_fate(const char *path, struct store_reader *r, const char *hex,
                           struct store_fate *out, struct err *e)
{
    enum st st = ST_NOT_FOUND;
    uint8_t id[WIRE_ID_BYTES];
    *out = (struct store_fate){.seq = 0};
    for (int i = 0; wire_unhex(hex, id, sizeof id) && i < 2 && st == ST_NOT_FOUND; i++) {
        st = look(path, hex, out);
        if (st == ST_NOT_FOUND || out->is == STORE_WAITS) {
            enum st in = sealed(r, id, out, e);
            st = in == ST_NOT_FOUND ? st : in;
        }
    }
    return st == ST_NOT_FOUND ? err_set(e, st, "there is no such request here, or it is long ago")
                              : st;
}

/* ---- what may be sealed ---- */

struct check {
    const struct store *names;
    char target[WIRE_SERIES_BYTES];
    void (*each)(void *ctx, const char *series);
    void *ctx;
    bool any, configured;
};

static bool covers(const char *target, const char *series)
{
    size_t n = strlen(target);
    return strcmp(target, series) == 0 ||
           (n > 0 && target[n - 1] == '*' && strncmp(target, series, n - 1) == 0);
}

/* Whether the configuration has it, or something that it covers. */
static bool is_configured(const struct store *names, const char *target)
{
    char series[2 * WIRE_SERIES_BYTES];
    for (uint32_t i = 0; i < store_series_count(names); i++) {
        const struct store_series *s = store_series_at(names, i);
        (void)snprintf(series, sizeof series, "%s/%s", store_device_at(names, s->device)->id,
                       s->point);
        if (covers(target, series))
            return true;
    }
    return false;
}

static void due(void *ctx, const struct store_planned *p)
{
    struct check *x = ctx;
    if (!covers(x->target, p->series))
        return;
    x->any = true;
    if (x->each)
        x->each(x->ctx, p->series);
    x->configured = x->configured || is_configured(x->names, p->series);
}

static enum st check_retire(struct check *x, const struct wire_request *q, int64_t now_ms,
                            struct err *e)
{
    if (x->configured)
        return err_set(e, ST_CONFLICT,
                       "%s is still configured: take it out of the configuration and reload, then "
                       "retire it",
                       x->target);
    if (now_ms > 0 && q->x.at_ms > now_ms + AHEAD_MS)
        return err_set(e, ST_BAD, "the time lies ahead: retire it when it is over");
    return ST_OK;
}

/* What a series measures, as last planned or, when it is retired, as last configured; "": not
 * known. */
static enum st quantity_of(struct store_db *d, const char *series, char quantity[64], struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_KNOWN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, series, -1, SQLITE_STATIC);
    enum st st = store_db_row(d, q, e);
    if (st == ST_OK) {
        const char *text = (const char *)sqlite3_column_text(q, 0);
        (void)snprintf(quantity, 64, "%s", text ? text : "");
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? err_set(e, st, "%s: there never was such a series here", series)
                              : st;
}

static enum st check_correct(struct store_db *d, const char *series, const struct wire_request *q,
                             struct err *e)
{
    char from[64], to[64];
    struct wire_fix f;
    ERR_TRY(quantity_of(d, series, from, e));
    if (!wire_fix_of(&q->x, &f)) /* it was read so */
        return err_set(e, ST_BAD, "a correction without what it needs");
    if (f.what != WIRE_REASSIGN)
        return ST_OK;
    ERR_TRY(quantity_of(d, f.target, to, e));
    if (strcmp(from, to) == 0 && from[0])
        return ST_OK;
    return err_set(e, ST_CONFLICT, "%s measures %s and %s measures %s: readings cannot change over",
                   series, from[0] ? from : "what is not known", f.target,
                   to[0] ? to : "what is not known");
}

static enum st check_enter(struct store *s, struct store_db *d, const struct wire_request *q,
                           int64_t now_ms, struct err *e)
{
    struct store_entered x;
    char when[CLK_TEXT_BYTES], value[NUM_TEXT_BYTES];
    bool before = false;
    ERR_TRY(store_enter_of(s, q, now_ms, &x, e));
    ERR_TRY(store_entered_before(s, d, &x, &before, e));
    if (!before)
        return ST_OK;
    return err_set(e, ST_CONFLICT,
                   "%.*s has the value %s of %s already, by hand: the same slip counts once",
                   (int)q->x.series.n, (const char *)q->x.series.p, num_text(x.v, value),
                   clk_text(x.t_ms, when));
}

enum st store_request_check(struct store *s, struct store_reader *r, const struct wire_request *q,
                            int64_t now_ms, void (*each)(void *ctx, const char *series), void *ctx,
                            struct err *e)
{
    struct store_db *d = r ? store_reader_db(r) : &s->db;
    bool retires = q->x.kind == WIRE_ENTRY_RETIRE;
    struct check x = {.names = s, .ctx = ctx, .each = retires ? each : NULL};
    if (q->x.series.n >= sizeof x.target)
        return err_set(e, ST_BAD, "a name that is too long");
    (void)snprintf(x.target, sizeof x.target, "%.*s", (int)q->x.series.n,
                   (const char *)q->x.series.p);
    if (is_done(q->x.kind))
        return ST_OK;
    if (q->x.at_ms < KNOWN_MS)
        return err_set(e, ST_BAD, "a time before 1987");
    if (q->x.kind == WIRE_ENTRY_CORRECT)
        return check_correct(d, x.target, q, e);
    if (q->x.kind == WIRE_ENTRY_ENTERED)
        return check_enter(s, d, q, now_ms, e);
    ERR_TRY(store_planned_of(d, due, &x, e));
    if (!x.any && (retires || !is_configured(s, x.target)))
        return err_set(e, ST_NOT_FOUND, "%s: no such series is due; `fieldpost status` names them",
                       x.target);
    return retires ? check_retire(&x, q, now_ms, e) : ST_OK;
}
