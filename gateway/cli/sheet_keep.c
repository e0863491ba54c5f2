/* The files of sheets. An act writes NAME.new, hands over its entry under an id that follows from
 * these bytes, and only then gives the file its name: after a kill the next act finds NAME.new and
 * does the rest, and the gateway seals a request that comes twice once. */
#include "gateway/cli/sheet_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/store/store.h"

struct place {
    char folder[DROP_PATH_BYTES];
    char name[64 + 1 + REPORT_PERIOD_TEXT]; /* TERRITORY.PERIOD */
    int fd;                                 /* of the folder, locked */
};

/* false: it is too long. */
static bool path_of(const struct place *p, const char *end, char path[DROP_PATH_BYTES])
{
    return snprintf(path, DROP_PATH_BYTES, "%s/%s%s", p->folder, p->name, end) < DROP_PATH_BYTES;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static enum st read_path(struct report *out, const char *path, struct err *e)
{
    struct buf b;
    buf_init(&b, SHEET_FILE_MAX);
    report_init(out);
    enum st st = wire_file_get(path, &b, e);
    if (st == ST_OK)
        st = sheet_file_read(out, (const char *)b.p, b.n, e);
    if (st == ST_CORRUPT)
        (void)err_wrap(e, st, "%s", path);
    buf_done(&b);
    return st;
}

static enum st place_of(struct place *p, const char *store, const char *territory,
                        const char *period, struct err *e)
{
    *p = (struct place){.fd = -1};
    int a = snprintf(p->name, sizeof p->name, "%s.%s", territory, period);
    int b = snprintf(p->folder, sizeof p->folder, "%s" STORE_SHEETS, store);
    return a < (int)sizeof p->name && b < (int)sizeof p->folder
               ? ST_OK
               : err_set(e, ST_BAD, "store.path is too long");
}

enum st sheet_get(struct report *out, const char *store, const char *territory, const char *period,
                  struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct place p;
    report_init(out);
    ERR_TRY(place_of(&p, store, territory, period, e));
    if (!path_of(&p, STORE_SHEET, path))
        return err_set(e, ST_BAD, "store.path is too long");
    ERR_TRY(read_path(out, path, e));
    /* a file that was copied to another's name says the truth of another period */
    return strcmp(out->territory, territory) == 0 && strcmp(out->period.text, period) == 0
               ? ST_OK
               : err_set(e, ST_CORRUPT, "%s: the sheet of %s %s", path, out->territory,
                         out->period.text);
}

/* ---- telling
 * ------------------------------------------------------------------------------------- */

static void id_of(const struct buf *file, uint8_t id[WIRE_ID_BYTES], char hex[WIRE_ID_TEXT])
{
    uint8_t hash[WIRE_HASH_BYTES];
    wire_sha256(file->p, file->n, hash);
    memcpy(id, hash, WIRE_ID_BYTES);
    wire_hex(id, WIRE_ID_BYTES, hex);
}

static enum st tell(const char *store, const struct place *p, const struct report *r,
                    const struct buf *file, char hex[WIRE_ID_TEXT], struct err *e)
{
    bool submitted = r->state == REPORT_SUBMITTED;
    const struct report_act *a = submitted ? &r->submitted : &r->approved;
    const struct store_change c = {.at_ms = a->at_ms,
                                   .what = submitted ? "report.submitted" : "report.approved",
                                   .about = p->name,
                                   .now = r->digest,
                                   .author = a->who};
    struct store_event v = {.t_ms = a->at_ms, .grade = CLK_HOLDOVER, .severity = STORE_INFO};
    uint8_t id[WIRE_ID_BYTES];
    struct store_request q;
    id_of(file, id, hex);
    (void)snprintf(v.code, sizeof v.code, "%s", c.what);
    (void)snprintf(v.subject, sizeof v.subject, "%s", p->name);
    (void)snprintf(v.text, sizeof v.text, "by %s: digest %s", a->who, r->digest);
    enum st st = store_request_change(&q, &c, id, e);
    if (st == ST_OK)
        st = store_request_put(store, &q, e);
    store_request_free(&q);
    return st == ST_OK ? store_tell(store, &v, e) : st;
}

static enum st take_name(const struct place *p, struct err *e)
{
    char from[DROP_PATH_BYTES], to[DROP_PATH_BYTES];
    if (!path_of(p, STORE_SHEET_NEW, from) || !path_of(p, STORE_SHEET, to))
        return err_set(e, ST_BAD, "store.path is too long");
    return rename(from, to) == 0 && fsync(p->fd) == 0
               ? ST_OK
               : err_set(e, ST_IO, "%s: %s", to, strerror(errno));
}

/* Tells what NAME.new holds, and names it. */
static enum st finish(const char *store, const struct place *p, char hex[WIRE_ID_TEXT],
                      struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct report r;
    struct buf b;
    if (!path_of(p, STORE_SHEET_NEW, path))
        return err_set(e, ST_BAD, "store.path is too long");
    buf_init(&b, SHEET_FILE_MAX);
    enum st st = wire_file_get(path, &b, e);
    report_init(&r);
    if (st == ST_OK)
        st = sheet_file_read(&r, (const char *)b.p, b.n, e);
    if (st == ST_CORRUPT)
        (void)err_wrap(e, st, "%s: move it away", path);
    if (st == ST_OK)
        st = tell(store, p, &r, &b, hex, e);
    if (st == ST_OK)
        st = take_name(p, e);
    report_done(&r);
    buf_done(&b);
    return st;
}

/* ---- acting
 * -------------------------------------------------------------------------------------- */

/* What could not be read back is not written: it would be in the way of every later act. */
static enum st look_back(const struct buf *file, struct err *e)
{
    struct report r;
    enum st st = sheet_file_read(&r, (const char *)file->p, file->n, e);
    report_done(&r);
    return st == ST_CORRUPT ? err_wrap(e, ST_UNSUPPORTED, "the sheet cannot be kept") : st;
}

static enum st write_new(const char *store, const struct place *p, const struct report *r,
                         struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct stat owner;
    struct buf b;
    buf_init(&b, SHEET_FILE_MAX + 1);
    enum st st = sheet_file_write(&b, r, e);
    if (st == ST_OK)
        st = buf_put(&b, "", 1);
    if (st == ST_OK) {
        b.n--;
        st = look_back(&b, e);
    }
    if (st == ST_OK && !path_of(p, STORE_SHEET_NEW, path))
        st = err_set(e, ST_BAD, "store.path is too long");
    if (st == ST_OK)
        st = wire_file_put(path, b.p, b.n, 0600, true, e);
    buf_done(&b);
    if (st != ST_OK || stat(store, &owner) != 0)
        return st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    st = fd >= 0 ? drop_give(fd, path, &owner, e)
                 : err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* The folder's lock is held until it is closed; what an earlier act left is finished first. */
static enum st enter(struct place *p, const char *store, const struct report *r, struct err *e)
{
    char path[DROP_PATH_BYTES], hex[WIRE_ID_TEXT];
    struct stat sb;
    ERR_TRY(place_of(p, store, r->territory, r->period.text, e));
    ERR_TRY(drop_open(store, STORE_SHEETS, 0700, p->folder, &p->fd, e));
    while (flock(p->fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return err_set(e, ST_IO, "%s: %s", p->folder, strerror(errno));
    if (!path_of(p, STORE_SHEET_NEW, path))
        return err_set(e, ST_BAD, "store.path is too long");
    if (stat(path, &sb) == 0)
        return finish(store, p, hex, e);
    return ST_OK;
}

static enum st do_it(const char *store, struct place *p, struct report *r, char hex[WIRE_ID_TEXT],
                     struct err *e)
{
    ERR_TRY(write_new(store, p, r, e));
    return finish(store, p, hex, e);
}

static enum st check_who(const char *who, struct err *e)
{
    size_t n = strlen(who);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)who[i] < 0x20 || who[i] == 0x7f)
            n = 0;
    return n > 0 && n <= SHEET_WHO_MAX
               ? ST_OK
               : err_set(e, ST_BAD, "--by: a name of 1 to %d bytes in one line", SHEET_WHO_MAX);
}

static enum st was_submitted(const struct report *kept, struct err *e)
{
    char when[CLK_TEXT_BYTES];
    return err_set(e, ST_CONFLICT,
                   "the sheet was submitted by %s at %s: it stays so; what changed since stands "
                   "beside it",
                   kept->submitted.who, clk_text(kept->submitted.at_ms, when));
}

typedef enum st prepare(struct report *act, struct report *kept, bool is_kept, struct err *e);

static enum st approve(struct report *act, struct report *kept, bool is_kept, struct err *e)
{
    (void)act;
    return is_kept && kept->state == REPORT_SUBMITTED ? was_submitted(kept, e) : ST_OK;
}

static enum st submit(struct report *act, struct report *kept, bool is_kept, struct err *e)
{
    char when[CLK_TEXT_BYTES];
    if (!is_kept)
        return err_set(e, ST_NOT_FOUND, "the sheet was not approved: fieldpost report approve");
    if (kept->state == REPORT_SUBMITTED)
        return was_submitted(kept, e);
    if (strcmp(kept->digest, act->digest) != 0)
        return err_set(e, ST_CONFLICT,
                       "the figures are not those that %s approved at %s: look at what changed "
                       "(fieldpost report), then approve them again",
                       kept->approved.who, clk_text(kept->approved.at_ms, when));
    act->approved = kept->approved;
    return ST_OK;
}

/* r as it will be kept, in a copy that shares its texts. */
static enum st act(const char *store, const struct report *r, const struct report *as,
                   prepare *ready, char hex[WIRE_ID_TEXT], struct err *e)
{
    struct place p = {.fd = -1};
    struct report kept, copy = *r;
    copy.approved = as->approved;
    copy.submitted = as->submitted;
    copy.state = as->state;
    report_init(&kept);
    enum st st = enter(&p, store, r, e);
    if (st == ST_OK) {
        st = sheet_get(&kept, store, r->territory, r->period.text, e);
        bool is_kept = st == ST_OK;
        if (st == ST_OK || st == ST_NOT_FOUND)
            st = ready(&copy, &kept, is_kept, e);
    }
    if (st == ST_OK)
        st = do_it(store, &p, &copy, hex, e);
    report_done(&kept);
    if (p.fd >= 0)
        (void)close(p.fd);
    return st;
}

enum st sheet_approve(const char *store, const struct report *r, const char *who, int64_t now_ms,
                      char hex[WIRE_ID_TEXT], struct err *e)
{
    struct report as = {.approved = {who, now_ms}, .submitted = {"", 0}, .state = REPORT_APPROVED};
    ERR_TRY(check_who(who, e));
    if (r->until_day < r->period.from_day)
        return err_set(e, ST_CONFLICT, "no day of the period is over: there is nothing to approve");
    return act(store, r, &as, approve, hex, e);
}

enum st sheet_submit(const char *store, const struct report *r, const char *who, int64_t now_ms,
                     char hex[WIRE_ID_TEXT], struct err *e)
{
    struct report as = {.approved = {"", 0}, .submitted = {who, now_ms}, .state = REPORT_SUBMITTED};
    ERR_TRY(check_who(who, e));
    return act(store, r, &as, submit, hex, e);
}
