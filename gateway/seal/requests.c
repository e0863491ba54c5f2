/* What people ask for: files in a folder beside the store, which only its owner and root can write.
 * Each is read strictly, checked against what is due and configured, sealed in a control batch of
 * its own, and removed only behind the commit, which remembers its id: a kill in between seals
 * nothing twice. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/seal/seal_int.h"

#define NAME_BYTES 64
#define A_TURN 4       /* taken in one step of the seal */
#define STUCK_MS 10000 /* after the folder failed */
#define LATER_MS 2000  /* while something has to wait */
#define REFUSED_KEPT 16

struct asked {
    struct seal *l;
    int folder;
    char name[NAME_BYTES];
    uint8_t bytes[WIRE_REQUEST_MAX];
    size_t n;
    struct wire_request q;
    char series[WIRE_SERIES_BYTES];
    bool stuck; /* a file cannot be read, set aside or removed */
    bool short_of_memory;
    bool later; /* it has to wait, and others go on */
    struct store_entered entered;
    struct store_planned *retired; /* with names of their own */
    size_t nretired;
};

/* ---- the folder ---- */

/* The first name with that suffix behind `after`, how many there are; false: none. */
static bool first_name(int folder, const char *suffix, const char *after, char name[NAME_BYTES],
                       size_t *n)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    *n = 0;
    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    for (const struct dirent *f; (f = readdir(d));)
        if (store_request_name(f->d_name, suffix) && strcmp(f->d_name, after) > 0 &&
            ((*n)++ == 0 || strcmp(f->d_name, name) < 0))
            (void)snprintf(name, NAME_BYTES, "%s", f->d_name);
    (void)closedir(d);
    return *n > 0;
}

/* The folder's fault, which must not hold up the sealing. */
static enum st io(struct asked *a, const char *what, struct err *e)
{
    a->stuck = true;
    return err_set(e, ST_IO, "%s%s/%s: %s: %s", store_path(a->l->store), STORE_REQUESTS, a->name,
                   what, strerror(errno));
}

/* Who may have put something there: this user, or root. */
static bool is_trusted(const struct stat *sb, mode_t others)
{
    return (sb->st_uid == geteuid() || sb->st_uid == 0) && !(sb->st_mode & others);
}

/* The bytes of the file: a plain one, and nobody else's. ST_REFUSED. */
static enum st read_file(struct asked *a, struct err *e)
{
    struct stat sb;
    int fd = openat(a->folder, a->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? err_set(e, ST_REFUSED, "a link") : io(a, "cannot be read", e);
    enum st st = fstat(fd, &sb) == 0 ? ST_OK : io(a, "cannot be looked at", e);
    if (st == ST_OK && (!S_ISREG(sb.st_mode) || !is_trusted(&sb, 077)))
        st = err_set(e, ST_REFUSED, "not a file that its owner alone may use");
    if (st == ST_OK && sb.st_size > (off_t)sizeof a->bytes)
        st = err_set(e, ST_REFUSED, "larger than %zu bytes", sizeof a->bytes);
    a->n = 0;
    for (ssize_t got = 1; st == ST_OK && got > 0 && a->n < sizeof a->bytes;) {
        got = read(fd, a->bytes + a->n, sizeof a->bytes - a->n);
        if (got < 0)
            st = io(a, "cannot be read", e);
        else
            a->n += (size_t)got;
    }
    (void)close(fd);
    return st;
}

/* Keeps it aside, the reason behind it; the oldest of too many goes. */
static enum st set_aside(struct asked *a, const char *why, struct err *e)
{
    char refused[NAME_BYTES], oldest[NAME_BYTES];
    size_t n;
    (void)snprintf(refused, sizeof refused, "%.*s%s", STORE_REQUEST_NAME, a->name,
                   STORE_REQUEST_REFUSED);
    int fd = openat(a->folder, a->name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        if (dprintf(fd, "\n%s\n", why) < 0)
            errno = 0; /* the event says it as well */
        (void)close(fd);
    }
    if (renameat(a->folder, a->name, a->folder, refused) != 0)
        return io(a, "cannot be set aside", e);
    while (first_name(a->folder, STORE_REQUEST_REFUSED, "", oldest, &n) && n > REFUSED_KEPT)
        if (unlinkat(a->folder, oldest, 0) != 0)
            return io(a, "those refused before cannot be removed", e);
    return ST_OK;
}

/* ---- what may be sealed ---- */

static void retire_one(void *ctx, const char *series)
{
    struct asked *a = ctx;
    struct store_planned *v = reallocarray(a->retired, a->nretired + 1, sizeof *v);
    if (v)
        a->retired = v;
    char *name = v ? strdup(series) : NULL;
    if (name)
        v[a->nretired++] = (struct store_planned){.series = name, .from_ms = a->q.x.at_ms};
    a->short_of_memory = a->short_of_memory || !name;
}

/* What is for the person who asked: nothing else that a check says is. */
static bool is_verdict(enum st st)
{
    return st == ST_BAD || st == ST_REFUSED || st == ST_NOT_FOUND || st == ST_CONFLICT;
}

static enum st check(struct asked *a, struct err *e)
{
    const struct wire_entry *x = &a->q.x;
    char id[WIRE_ID_TEXT];
    ERR_TRY(wire_request_open(&a->q, a->bytes, a->n, e));
    wire_hex(a->q.id, sizeof a->q.id, id);
    if (memcmp(a->name + 17, id, 16) != 0)
        return err_set(e, ST_REFUSED, "its name is not that of what it holds");
    if (x->series.n >= sizeof a->series)
        return err_set(e, ST_BAD, "a name that is too long");
    (void)snprintf(a->series, sizeof a->series, "%.*s", (int)x->series.n,
                   (const char *)x->series.p);
    struct clk_time now = clk_now(a->l->clk); /* a slip may be of this moment */
    int64_t now_ms = now.grade == CLK_UNKNOWN ? 0 : now.utc_ms;
    ERR_TRY(store_request_check(a->l->store, NULL, &a->q, now_ms, retire_one, a, e));
    if (x->kind == WIRE_ENTRY_ENTERED) {
        ERR_TRY(store_enter_of(a->l->store, &a->q, now_ms, &a->entered, e));
        a->entered.grade = now.grade;
    }
    return a->short_of_memory ? err_set(e, ST_MEMORY, "seal: no memory for what is asked") : ST_OK;
}

/* ---- sealing ---- */

/* The author is who asked. */
static const char *author(const struct asked *a, char who[WIRE_WHO_MAX + 1])
{
    (void)snprintf(who, WIRE_WHO_MAX + 1, "%.*s", (int)a->q.who.n, (const char *)a->q.who.p);
    return who;
}

static enum st put_entered(struct asked *a, struct buf *b)
{
    char who[WIRE_WHO_MAX + 1], note[WIRE_REQUEST_MAX];
    (void)author(a, who);
    (void)snprintf(note, sizeof note, "%.*s", (int)a->q.x.reason.n, (const char *)a->q.x.reason.p);
    return wire_put_entered(b, a->series, a->entered.t_ms, a->entered.v, who,
                            a->q.x.reason.n ? note : NULL);
}

static enum st encode(struct asked *a, struct err *e)
{
    struct buf *b = &a->l->payload;
    char reason[WIRE_REQUEST_MAX], who[WIRE_WHO_MAX + 1];
    bool retires = a->q.x.kind == WIRE_ENTRY_RETIRE, enters = a->q.x.kind == WIRE_ENTRY_ENTERED;
    b->n = 0;
    enum st st = wire_put_array(b, retires ? a->nretired + 1 : 1);
    (void)snprintf(reason, sizeof reason, "%.*s", (int)a->q.x.text.n, (const char *)a->q.x.text.p);
    for (size_t i = 0; retires && st == ST_OK && i < a->nretired; i++)
        st = wire_put_retire(b, a->retired[i].series, a->q.x.at_ms, reason);
    if (retires && st == ST_OK) /* whose word it was: `retire` has no place for it */
        st = wire_put_change(b, a->q.at_ms, "retire", a->series, reason, author(a, who));
    else if (st == ST_OK)
        st = enters ? put_entered(a, b) : buf_put(b, a->q.entry.p, a->q.entry.n);
    return st == ST_OK ? ST_OK : err_set(e, st, "seal: what was asked for could not be encoded");
}

static enum st seal_it(struct asked *a, struct err *e)
{
    struct seal *l = a->l;
    struct seal_window w = seal_control_window(l);
    ERR_TRY(encode(a, e));
    w.request = a->q.id;
    w.plan = a->retired;
    w.nplan = a->nretired;
    w.entered = a->q.x.kind == WIRE_ENTRY_ENTERED ? &a->entered : NULL;
    ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    for (size_t i = 0; i < a->nretired; i++) {
        uint32_t s = gaps_find_absent(l->gaps, a->retired[i].series);
        if (s != UINT32_MAX)
            gaps_retire(l->gaps, s, a->q.x.at_ms);
    }
    return ST_OK;
}

static void tell(struct asked *a, enum st st, const char *why)
{
    char at[CLK_TEXT_BYTES];
    int who = (int)a->q.who.n, name = (int)a->q.x.name.n;
    if (st == ST_OK && a->q.x.kind == WIRE_ENTRY_CHANGE)
        return; /* whoever did it has told it (gateway/web/change.c) */
    if (st == ST_OK && a->q.x.kind == WIRE_ENTRY_SETUP)
        store_event(a->l->store, STORE_INFO, "device.setup", NULL, "%.*s, by %.*s; batch %llu",
                    (int)a->q.x.text.n, (const char *)a->q.x.text.p, who, (const char *)a->q.who.p,
                    (unsigned long long)a->l->chain.last_seq);
    else if (st == ST_OK)
        store_event(a->l->store, STORE_INFO, "request.sealed", a->series,
                    "%.*s: %.*s asked at %s; batch %llu", name, (const char *)a->q.x.name.p, who,
                    (const char *)a->q.who.p, clk_text(a->q.at_ms, at),
                    (unsigned long long)a->l->chain.last_seq);
    else if (who && name)
        store_event(a->l->store, STORE_WARNING, "request.refused", a->series,
                    "%.*s: %.*s asked at %s; refused: %s", name, (const char *)a->q.x.name.p, who,
                    (const char *)a->q.who.p, clk_text(a->q.at_ms, at), why);
    else
        store_event(a->l->store, STORE_WARNING, "request.refused", a->name, "refused: %s", why);
}

/* A slip that came before the clock, or while too much waits to be sealed, holds up nobody. */
static bool may_wait(const struct asked *a, enum st st)
{
    return a->q.x.kind == WIRE_ENTRY_ENTERED && (st == ST_BUSY || st == ST_FULL);
}

/* Takes the file; ST_OK when it is gone then, or has to wait. */
static enum st take(struct asked *a, struct err *e)
{
    struct err why = {0};
    bool done = false;
    enum st st = read_file(a, &why);
    if (st == ST_OK)
        st = check(a, &why);
    if (a->q.x.kind != WIRE_ENTRY_PLAN && a->q.who.n) /* it was read: it may be sealed already */
        ERR_TRY(store_request_done(a->l->store, a->q.id, &done, e));
    if (!done && is_verdict(st)) {
        tell(a, st, why.text);
        return set_aside(a, why.text, e);
    }
    if (!done && st == ST_OK)
        st = seal_it(a, &why);
    a->later = !done && may_wait(a, st);
    if (a->later)
        return ST_OK;
    if (!done && st != ST_OK)
        return err_set(e, st, "%s", why.text);
    if (!done)
        tell(a, ST_OK, "");
    return unlinkat(a->folder, a->name, 0) == 0 ? ST_OK : io(a, "cannot be removed", e);
}

enum st seal_requests(struct seal *l, struct err *e)
{
    char path[1100], after[NAME_BYTES] = "";
    struct err why = {0};
    bool later = false;
    size_t n;
    int64_t now_ms = clk_mono(l->clk).ms;
    if (now_ms < l->asked_due.ms)
        return ST_OK;
    if (snprintf(path, sizeof path, "%s" STORE_REQUESTS, store_path(l->store)) >= (int)sizeof path)
        return ST_OK; /* the command line refuses it */
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return ST_OK; /* nobody ever asked for anything */
    struct asked *a = calloc(1, sizeof *a);
    struct stat sb;
    enum st st = a ? ST_OK : err_set(&why, ST_MEMORY, "seal: no memory for what is asked");
    if (a && (fstat(folder, &sb) != 0 || !is_trusted(&sb, 022))) {
        a->stuck = true;
        st = err_set(&why, ST_REFUSED,
                     "%s: others than the gateway's user may write there: nothing of it is taken; "
                     "chown and chmod 700 it",
                     path);
    }
    for (int taken = 0; st == ST_OK && taken < A_TURN;) {
        memset(a, 0, offsetof(struct asked, bytes));
        memset(&a->q, 0, sizeof *a - offsetof(struct asked, q));
        a->l = l;
        a->folder = folder;
        if (!first_name(folder, STORE_REQUEST_WAITS, after, a->name, &n))
            break;
        st = take(a, &why);
        taken += !a->later;
        later = later || a->later;
        if (a->later)
            memcpy(after, a->name, sizeof after);
        for (size_t k = 0; k < a->nretired; k++)
            free((char *)(uintptr_t)a->retired[k].series);
        free(a->retired);
    }
    bool stuck = a && a->stuck;
    free(a);
    (void)close(folder);
    buf_done(&l->payload);
    if (later)
        l->asked_due.ms = now_ms + LATER_MS;
    if (st == ST_OK)
        return ST_OK;
    if (!stuck)
        return err_set(e, st, "%s", why.text);
    store_event(l->store, STORE_WARNING, "request.stuck", NULL, "%s", why.text);
    l->asked_due.ms = now_ms + STUCK_MS;
    return ST_OK;
}
