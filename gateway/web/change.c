/* A change of who may do what, told twice: as an event of the gateway's and as an entry of the
 * signed chain (decision 0044). A note beside the store says first what the file is to hold: after
 * a kill or a power cut whoever comes next tells the change when the file holds it, and forgets the
 * note when it does not. So there is no right without its entry, and no entry without its change.
 */
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/drop.h"

#define NOTE ".changing"
#define HEAD "fieldpost change 1"
#define NOTE_MAX 1024
#define KEPT_MAX ((size_t)64 * 1024)
#define NOTHING "-" /* the file is to be gone */
#define DONE "*"    /* it is so, whatever the file holds by now */
#define HOUR_MS INT64_C(3600000)

/* The note, read: texts point into it. */
struct note {
    char text[NOTE_MAX];
    const char *suffix, *hash;
    uint8_t id[WIRE_ID_BYTES];
    struct web_change c;
};

/* ---- telling ---- */

/* An event may be told twice when the power goes in between; the entry is sealed once. */
static enum st tell(const char *store, const struct web_change *c, const uint8_t id[WIRE_ID_BYTES],
                    struct err *e)
{
    const struct store_change a = {
        .at_ms = c->now.utc_ms, .what = c->code, .about = c->whom, .now = c->is, .author = c->by};
    struct store_event v = {.t_ms = c->now.utc_ms, .grade = c->now.grade, .severity = c->severity};
    struct store_request q;
    (void)snprintf(v.code, sizeof v.code, "%s", c->code);
    (void)snprintf(v.subject, sizeof v.subject, "%s", c->whom);
    (void)snprintf(v.text, sizeof v.text, "by %.64s%s%.46s: %s%s", c->by,
                   c->from[0] ? ", from " : "", c->from, c->is, c->more ? c->more : "");
    enum st st = store_request_change(&q, &a, id, e);
    if (st == ST_OK)
        st = store_request_put(store, &q, e);
    store_request_free(&q);
    return st == ST_OK ? store_tell(store, &v, e) : st;
}

enum st web_change_tell(const char *store, const struct web_change *c,
                        const uint8_t id[WIRE_ID_BYTES], struct err *e)
{
    uint8_t own[WIRE_ID_BYTES];
    if (!id)
        ERR_TRY(wire_random(own, sizeof own, e));
    return tell(store, c, id ? id : own, e);
}

/* Whether both can be told at all: nothing is changed that nobody would hear of. */
static enum st can_tell(const char *store, struct err *e)
{
    static const char *const folders[] = {STORE_REQUESTS, STORE_TOLD};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[DROP_PATH_BYTES];
        int fd = -1;
        ERR_TRY(drop_open(store, folders[i], 0700, path, &fd, e));
        (void)close(fd);
    }
    return ST_OK;
}

/* ---- the note ---- */

static enum st write_note(const char *store, const struct note *n, struct err *e)
{
    const struct web_change *c = &n->c;
    char id[WIRE_ID_TEXT];
    struct buf b;
    if (strpbrk(c->by, "\r\n") || !c->by[0])
        return err_set(e, ST_BAD, "whoever changes this needs a name of one line");
    wire_hex(n->id, sizeof n->id, id);
    buf_init(&b, NOTE_MAX - 1);
    enum st st = buf_printf(&b, HEAD "\n%s\n%s\n%s\n%" PRId64 "\n%d\n%s\n%s\n%s\n%s\n%s\n",
                            n->suffix, n->hash, id, c->now.utc_ms, (int)c->now.grade, c->code,
                            c->whom, c->is, c->by, c->from);
    st = st == ST_OK ? web_kept_write(store, NOTE, &b, e)
                     : err_set(e, st, "a change that is too long to be told");
    buf_done(&b);
    return st;
}

static enum st note(const char *store, const char *suffix, const struct buf *after,
                    const struct web_change *c, struct err *e)
{
    char hex[2 * WIRE_HASH_BYTES + 1] = NOTHING;
    uint8_t hash[WIRE_HASH_BYTES];
    struct note n = {.suffix = suffix, .hash = hex, .c = *c};
    ERR_TRY(wire_random(n.id, sizeof n.id, e));
    if (after) {
        wire_sha256(after->p, after->n, hash);
        wire_hex(hash, sizeof hash, hex);
    }
    return write_note(store, &n, e);
}

/* ST_NOT_FOUND: there is none. */
static enum st read_note(const char *store, struct note *n, struct err *e)
{
    enum { FIELDS = 11 };
    char *field[FIELDS] = {NULL}, *at = n->text;
    int64_t grade = 0;
    ERR_TRY(web_kept_read(store, NOTE, n->text, sizeof n->text, e));
    size_t got = 0;
    while (got < FIELDS && (field[got] = strsep(&at, "\n")) && at)
        got++;
    bool good = got == FIELDS && !*at && strcmp(field[0], HEAD) == 0 &&
                wire_unhex(field[3], n->id, sizeof n->id) &&
                web_kept_number(field[4], &n->c.now.utc_ms) && web_kept_number(field[5], &grade) &&
                grade >= 0 && grade <= CLK_UNKNOWN;
    if (!good)
        return err_set(e, ST_CORRUPT,
                       "%s" NOTE ": damaged, or not written by fieldpost. Look at it, then remove "
                       "it: the change of rights that it was to tell is lost",
                       store);
    n->suffix = field[1];
    n->hash = field[2];
    n->c.now.grade = (enum clk_grade)grade;
    n->c.code = field[6];
    n->c.whom = field[7];
    n->c.is = field[8];
    n->c.by = field[9];
    n->c.from = field[10];
    return ST_OK;
}

/* Whether the file holds now what it was to hold. */
static enum st is_so(const char *store, const struct note *n, bool *yes, struct err *e)
{
    char path[DROP_PATH_BYTES], hex[2 * WIRE_HASH_BYTES + 1] = NOTHING;
    uint8_t hash[WIRE_HASH_BYTES];
    struct buf b;
    if (snprintf(path, sizeof path, "%s%s", store, n->suffix) >= (int)sizeof path)
        return err_set(e, ST_BAD, "store.path is too long");
    buf_init(&b, KEPT_MAX);
    enum st st = wire_file_get(path, &b, e);
    if (st == ST_OK) {
        wire_sha256(b.p, b.n, hash);
        wire_hex(hash, sizeof hash, hex);
    }
    buf_done(&b);
    *yes = strcmp(hex, n->hash) == 0 || strcmp(n->hash, DONE) == 0;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st settle(const char *store, struct err *e)
{
    struct note n = {.suffix = NULL};
    bool yes = false;
    enum st st = read_note(store, &n, e);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st == ST_OK)
        st = is_so(store, &n, &yes, e);
    if (st == ST_OK && yes && (st = tell(store, &n.c, n.id, e)) != ST_OK) {
        n.hash = DONE; /* the next change of the file must not make it untrue */
        (void)!write_note(store, &n, NULL);
    }
    return st == ST_OK ? web_kept_remove(store, NOTE, e) : st;
}

enum st web_change_can(const char *store, struct err *e)
{
    ERR_TRY(settle(store, e));
    return can_tell(store, e);
}

enum st web_change_settle(const char *store, struct err *e)
{
    int fd = -1;
    enum st st = web_kept_lock(store, &fd, e);
    if (st == ST_OK)
        st = settle(store, e);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

enum st web_change(const char *store, const char *suffix, const struct buf *after,
                   const struct web_change *c, bool anyway, struct err *e)
{
    struct err why = {.text = ""};
    enum st told = settle(store, &why);
    if (told == ST_OK)
        told = can_tell(store, &why);
    if (told == ST_OK)
        told = note(store, suffix, after, c, &why);
    if (told != ST_OK && !anyway)
        return err_set(e, told, "%s", why.text);
    enum st st =
        after ? web_kept_write(store, suffix, after, e) : web_kept_remove(store, suffix, e);
    if (st != ST_OK || told == ST_OK) /* what the note cannot tell now, it tells later */
        (void)!settle(store, NULL);
    return st != ST_OK || told == ST_OK ? st : err_set(e, told, "%s", why.text);
}

/* ---- who is locked out ---- */

/* Strangers bring it about, so it is told seldom: of a user once an hour, of as many as there is
 * room for. */
void web_change_locked(struct web *w, const char *name, int64_t delay_ms)
{
    struct mono now = clk_mono(w->clk);
    struct web_locked *room = NULL;
    char is[64];
    struct err e;
    for (size_t i = 0; i < WEB_LOCKED; i++) {
        struct web_locked *l = &w->door->locked[i];
        if (l->name[0] && now.ms - l->at.ms >= HOUR_MS)
            l->name[0] = '\0';
        if (strcmp(l->name, name) == 0 && name[0])
            return;
        room = !l->name[0] ? l : room;
    }
    if (!room || !web_user_is(store_path(w->store), name))
        return;
    (void)snprintf(room->name, sizeof room->name, "%s", name);
    room->at = now;
    (void)snprintf(is, sizeof is, "many wrong passwords: locked out, at first for %" PRId64 " s",
                   delay_ms / 1000);
    const struct web_change c = {.code = "user.locked",
                                 .whom = name,
                                 .is = is,
                                 .by = WEB_GATEWAY,
                                 .from = "",
                                 .now = clk_now(w->clk)};
    if (web_change_tell(store_path(w->store), &c, NULL, &e) != ST_OK)
        store_event(w->store, STORE_WARNING, "user.locked", name, "%s; not sealed: %s", is, e.text);
}
