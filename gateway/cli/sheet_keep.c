/* The files of sheets. An act writes NAME.new, hands over its entry under an id that follows from
 * these bytes, and only then gives the file its name: after a kill the next act finds NAME.new and
 * does the rest, and the gateway seals a request that comes twice once. */
#include "gateway/cli/sheet_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/store/store.h"

#define BASE_BYTES (64 + 1 + REPORT_PERIOD_TEXT)
#define NAME_MAX_BYTES 64 /* it is an id in the entry */

struct place {
    char folder[DROP_PATH_BYTES];
    char base[BASE_BYTES];      /* TERRITORY.PERIOD */
    char name[BASE_BYTES + 16]; /* the same, and .vN from the second version on */
    int fd;                     /* of the folder, locked */
};

static void name_it(struct place *p, unsigned version)
{
    char number[16] = "";
    if (version > 1)
        (void)snprintf(number, sizeof number, ".v%u", version);
    (void)snprintf(p->name, sizeof p->name, "%s%s", p->base, number);
}

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
    int a = snprintf(p->base, sizeof p->base, "%s.%s", territory, period);
    int b = snprintf(p->folder, sizeof p->folder, "%s" STORE_SHEETS, store);
    name_it(p, 1);
    return a < (int)sizeof p->base && b < (int)sizeof p->folder
               ? ST_OK
               : err_set(e, ST_BAD, "store.path is too long");
}

static bool is_there(struct place *p, unsigned version, const char *end)
{
    char path[DROP_PATH_BYTES];
    struct stat sb;
    name_it(p, version);
    return path_of(p, end, path) && stat(path, &sb) == 0;
}

/* A file that was copied to another's name says the truth of another sheet. */
static enum st read_version(struct report *out, struct place *p, unsigned version, struct err *e)
{
    char path[DROP_PATH_BYTES], base[2 * BASE_BYTES];
    report_init(out);
    name_it(p, version);
    if (!path_of(p, STORE_SHEET, path))
        return err_set(e, ST_BAD, "store.path is too long");
    ERR_TRY(read_path(out, path, e));
    (void)snprintf(base, sizeof base, "%s.%s", out->territory, out->period.text);
    return strcmp(base, p->base) == 0 && out->version == version
               ? ST_OK
               : err_set(e, ST_CORRUPT, "%s: the sheet of %s %s, version %u", path, out->territory,
                         out->period.text, out->version);
}

/* What all the versions need to be told of, with texts of its own. */
struct note {
    char digest[2 * WIRE_HASH_BYTES + 1], reason[SHEET_WHY_MAX + 1];
    char approved[SHEET_WHO_MAX + 1], submitted[SHEET_WHO_MAX + 1];
    int64_t approved_ms, submitted_ms;
};

static struct note note_of(const struct report *r)
{
    struct note n = {.approved_ms = r->approved.at_ms, .submitted_ms = r->submitted.at_ms};
    (void)snprintf(n.digest, sizeof n.digest, "%s", r->digest);
    (void)snprintf(n.reason, sizeof n.reason, "%s", r->reason);
    (void)snprintf(n.approved, sizeof n.approved, "%s", r->approved.who);
    (void)snprintf(n.submitted, sizeof n.submitted, "%s", r->submitted.who);
    return n;
}

/* Only what was submitted has another in its place. */
static bool follows(const struct note *before, const struct report *r)
{
    return before->submitted[0] && strcmp(before->digest, r->replaces) == 0;
}

/* Each version, from the first to the newest; out is the last of them that is wanted. */
static enum st walk(struct report *out, struct place *p, unsigned wanted, struct note *all,
                    unsigned *n, struct err *e)
{
    enum st st = ST_OK;
    for (*n = 0; st == ST_OK && *n < SHEET_VERSIONS;) {
        struct report r;
        st = read_version(&r, p, *n + 1, e);
        if (st == ST_OK && *n > 0 && !follows(&all[*n - 1], &r))
            st = err_set(e, ST_CORRUPT, "%s/%s" STORE_SHEET ": it does not follow version %u",
                         p->folder, p->name, *n);
        if (st == ST_OK) {
            bool counts = wanted == SHEET_IN_FORCE ? *n == 0 || r.state == REPORT_SUBMITTED
                                                   : wanted == SHEET_NEWEST || wanted == *n + 1;
            all[(*n)++] = note_of(&r);
            if (counts) {
                report_done(out);
                *out = r;
                continue;
            }
        }
        report_done(&r);
    }
    if (st == ST_NOT_FOUND && is_there(p, *n + 2, STORE_SHEET))
        return err_set(e, ST_CORRUPT, "%s: version %u of %s is gone", p->folder, *n + 1, p->base);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st tell_versions(struct report *r, const struct note *all, unsigned n, struct err *e)
{
    struct report_version *v = report_bytes(r, (n + 1) * sizeof *v);
    bool good = v != NULL;
    for (unsigned i = 0; good && i < n; i++) {
        v[i] = (struct report_version){
            .number = i + 1,
            .digest = report_text(r, all[i].digest),
            .reason = report_text(r, all[i].reason),
            .approved = {report_text(r, all[i].approved), all[i].approved_ms},
            .submitted = {report_text(r, all[i].submitted), all[i].submitted_ms}};
        good = v[i].digest && v[i].reason && v[i].approved.who && v[i].submitted.who;
    }
    r->versions = v;
    r->nversions = n;
    return good ? ST_OK : err_set(e, ST_MEMORY, "no memory for a report");
}

enum st sheet_get(struct report *out, const char *store, const char *territory, const char *period,
                  unsigned version, struct err *e)
{
    struct note *all = calloc(SHEET_VERSIONS, sizeof *all);
    struct place p;
    unsigned n = 0;
    report_init(out);
    enum st st = all ? place_of(&p, store, territory, period, e)
                     : err_set(e, ST_MEMORY, "no memory for a report");
    if (st == ST_OK)
        st = walk(out, &p, version, all, &n, e);
    if (st == ST_OK && out->version == 0)
        st = err_set(e, ST_NOT_FOUND, "the sheet %s has no version %u; it has %u", p.base, version,
                     n);
    if (st == ST_OK)
        st = tell_versions(out, all, n, e);
    free(all);
    return st;
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
    char now[3 * sizeof r->digest + SHEET_WHY_MAX], instead[40] = "";
    const struct report_act *a = submitted ? &r->submitted : &r->approved;
    const struct store_change c = {.at_ms = a->at_ms,
                                   .what = submitted ? "report.submitted" : "report.approved",
                                   .about = p->name,
                                   .now = now,
                                   .author = a->who};
    struct store_event v = {.t_ms = a->at_ms, .grade = CLK_HOLDOVER, .severity = STORE_INFO};
    uint8_t id[WIRE_ID_BYTES];
    struct store_request q;
    id_of(file, id, hex);
    if (r->version > 1) {
        (void)snprintf(now, sizeof now, "%s replaces %s: %s", r->digest, r->replaces, r->reason);
        (void)snprintf(instead, sizeof instead, ", in place of version %u", r->version - 1);
    } else {
        (void)snprintf(now, sizeof now, "%s", r->digest);
    }
    (void)snprintf(v.code, sizeof v.code, "%s", c.what);
    (void)snprintf(v.subject, sizeof v.subject, "%s", p->name);
    (void)snprintf(v.text, sizeof v.text, "by %s: digest %s%s", a->who, r->digest, instead);
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
    if (st == ST_OK && (strlen(p->name) > NAME_MAX_BYTES || !path_of(p, STORE_SHEET_NEW, path)))
        st = err_set(e, ST_BAD, "%s, or store.path, is too long", p->name);
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

/* What an earlier act left: of the newest version, or of the one behind it. */
static enum st finish_left(const char *store, struct place *p, struct err *e)
{
    char hex[WIRE_ID_TEXT];
    unsigned next = 1;
    while (next <= SHEET_VERSIONS && is_there(p, next, STORE_SHEET))
        next++;
    for (unsigned v = next > 1 ? next - 1 : 1; v <= next; v++)
        if (is_there(p, v, STORE_SHEET_NEW))
            return finish(store, p, hex, e);
    return ST_OK;
}

/* The folder's lock is held until it is closed; what an earlier act left is finished first. */
static enum st enter(struct place *p, const char *store, const struct report *r, struct err *e)
{
    ERR_TRY(place_of(p, store, r->territory, r->period.text, e));
    ERR_TRY(drop_open(store, STORE_SHEETS, 0700, p->folder, &p->fd, e));
    while (flock(p->fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return err_set(e, ST_IO, "%s: %s", p->folder, strerror(errno));
    return finish_left(store, p, e);
}

/* A text that a file of ours can have in one line. */
static enum st check_text(const char *text, const char *option, const char *what, size_t max,
                          struct err *e)
{
    struct report r;
    report_init(&r);
    const char *whole = report_text(&r, text);
    bool good = whole && text[0] && strlen(text) <= max && strcmp(whole, text) == 0;
    report_done(&r);
    return good ? ST_OK
                : err_set(e, ST_BAD, "--%s: %s of 1 to %zu bytes in one line", option, what, max);
}

/* In r's place: r as it will be kept, in a copy that shares its texts; kept: the newest version, or
 * NULL. */
typedef enum st prepare(struct report *act, const struct report *kept, struct err *e);

static enum st was_submitted(const struct report *kept, struct err *e)
{
    char when[CLK_TEXT_BYTES];
    return err_set(
        e, ST_CONFLICT,
        "the sheet was submitted by %s at %s: it stays so, and what changed since stands "
        "beside it; to hand over another in its place: fieldpost report approve --why",
        kept->submitted.who, clk_text(kept->submitted.at_ms, when));
}

static enum st approve(struct report *act, const struct report *kept, struct err *e)
{
    bool next = kept && kept->state == REPORT_SUBMITTED;
    if (!next && (!kept || kept->version == 1))
        return act->reason[0] ? err_set(e, ST_CONFLICT,
                                        "--why: no sheet of this period was submitted that another "
                                        "could take the place of")
                              : ST_OK;
    if (next && !act->reason[0])
        return was_submitted(kept, e);
    act->version = kept->version + next;
    act->replaces = next ? kept->digest : kept->replaces;
    act->reason = act->reason[0] ? act->reason : kept->reason;
    if (act->version > SHEET_VERSIONS)
        return err_set(e, ST_FULL, "the sheet has %d versions, more are not kept", SHEET_VERSIONS);
    return strcmp(act->digest, act->replaces) != 0
               ? ST_OK
               : err_set(e, ST_CONFLICT, "the figures are those that were submitted");
}

static enum st submit(struct report *act, const struct report *kept, struct err *e)
{
    char when[CLK_TEXT_BYTES];
    if (!kept)
        return err_set(e, ST_NOT_FOUND, "the sheet was not approved: fieldpost report approve");
    if (kept->state == REPORT_SUBMITTED)
        return was_submitted(kept, e);
    if (strcmp(kept->digest, act->digest) != 0)
        return err_set(e, ST_CONFLICT,
                       "the figures are not those that %s approved at %s: look at what changed "
                       "(fieldpost report), then approve them again",
                       kept->approved.who, clk_text(kept->approved.at_ms, when));
    act->approved = kept->approved;
    act->version = kept->version;
    act->replaces = kept->replaces;
    act->reason = kept->reason;
    return ST_OK;
}

static enum st act(const char *store, const struct report *r, const struct report *as,
                   prepare *ready, struct sheet_done *done, struct err *e)
{
    struct place p = {.fd = -1};
    struct report kept, copy = *r;
    copy.approved = as->approved;
    copy.submitted = as->submitted;
    copy.state = as->state;
    copy.version = 1;
    copy.reason = as->reason;
    report_init(&kept);
    enum st st = enter(&p, store, r, e);
    if (st == ST_OK) {
        st = sheet_get(&kept, store, r->territory, r->period.text, SHEET_NEWEST, e);
        if (st == ST_OK || st == ST_NOT_FOUND)
            st = ready(&copy, st == ST_OK ? &kept : NULL, e);
    }
    if (st == ST_OK) {
        name_it(&p, copy.version);
        done->version = copy.version;
        st = write_new(store, &p, &copy, e);
    }
    if (st == ST_OK)
        st = finish(store, &p, done->entry, e);
    report_done(&kept);
    if (p.fd >= 0)
        (void)close(p.fd);
    return st;
}

enum st sheet_approve(const char *store, const struct report *r, const char *who, const char *why,
                      int64_t now_ms, struct sheet_done *done, struct err *e)
{
    struct report as = {.approved = {who, now_ms},
                        .submitted = {"", 0},
                        .state = REPORT_APPROVED,
                        .reason = why ? why : ""};
    ERR_TRY(check_text(who, "by", "a name", SHEET_WHO_MAX, e));
    if (why)
        ERR_TRY(check_text(why, "why", "a reason", SHEET_WHY_MAX, e));
    if (r->until_day < r->period.from_day)
        return err_set(e, ST_CONFLICT, "no day of the period is over: there is nothing to approve");
    return act(store, r, &as, approve, done, e);
}

enum st sheet_submit(const char *store, const struct report *r, const char *who, int64_t now_ms,
                     struct sheet_done *done, struct err *e)
{
    struct report as = {
        .approved = {"", 0}, .submitted = {who, now_ms}, .state = REPORT_SUBMITTED, .reason = ""};
    ERR_TRY(check_text(who, "by", "a name", SHEET_WHO_MAX, e));
    return act(store, r, &as, submit, done, e);
}
