/* What a person did with a tool beside the gateway, as an event of the gateway's: the tool leaves a
 * file, for it must not write the store of a gateway that runs, and the writer makes an event of
 * it. The file goes behind the commit: a power cut in between tells it twice, and never not at all.
 */
#include "gateway/store/store_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/drop.h"

#define END ".told"
#define WAIT_MAX 256 /* files */
#define A_TURN 16
#define LOOK_MS 1000
#define HEAD "fieldpost told 1"
#define FILE_MAX 512
#define NAME_BYTES 64

/* ---- the tool's side ---- */

enum st store_tell(const char *path, const struct store_event *v, struct err *e)
{
    char folder_path[DROP_PATH_BYTES], name[NAME_BYTES], text[FILE_MAX], hex[WIRE_ID_TEXT];
    uint8_t id[WIRE_ID_BYTES];
    int folder = -1;
    ERR_TRY(wire_random(id, sizeof id, e));
    wire_hex(id, sizeof id, hex);
    (void)snprintf(name, sizeof name, "%016" PRIx64 "-%s" END, (uint64_t)v->t_ms, hex);
    int n = snprintf(text, sizeof text, HEAD "\n%" PRId64 " %d %d\n%s\n%s\n%s\n", v->t_ms,
                     (int)v->grade, (int)v->severity, v->code, v->subject, v->text);
    if (n < 0 || (size_t)n >= sizeof text)
        return err_set(e, ST_BAD, "what is to be told is too long");
    ERR_TRY(drop_open(path, STORE_TOLD, 0700, folder_path, &folder, e));
    enum st st = drop_put(folder, folder_path, name, text, (size_t)n, WAIT_MAX, "", e);
    (void)close(folder);
    return st;
}

/* ---- the gateway's side ---- */

static bool is_ours(const char *name)
{
    return strlen(name) == 16 + 1 + 16 + sizeof END - 1 && strspn(name, "0123456789abcdef") == 16 &&
           name[16] == '-' && strspn(name + 17, "0123456789abcdef") == 16 &&
           strcmp(name + 33, END) == 0;
}

/* Of this user, or root, and of nobody else's. */
static bool is_trusted(int fd, mode_t others)
{
    struct stat sb;
    return fstat(fd, &sb) == 0 && (sb.st_uid == geteuid() || sb.st_uid == 0) &&
           !(sb.st_mode & others);
}

/* The next line of a text, without control characters, into out. */
static bool line(char **at, char *out, size_t size)
{
    const char *text = strsep(at, "\n");
    for (const char *c = text; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return text && *at && snprintf(out, size, "%s", text) < (int)size;
}

/* The next number of a line, from 0 to max. */
static bool number(char **at, int64_t max, int64_t *out)
{
    const char *word = strsep(at, " ");
    struct num v;
    bool good =
        word && num_parse(word, &v) && v.kind == NUM_DEC && v.exp == 0 && v.i >= 0 && v.i <= max;
    *out = good ? v.i : 0;
    return good;
}

static bool parse(char *text, struct store_event *v)
{
    char head[32], numbers[64], *at = numbers;
    int64_t grade, severity;
    *v = (struct store_event){.t_ms = 0};
    if (!line(&text, head, sizeof head) || strcmp(head, HEAD) != 0 ||
        !line(&text, numbers, sizeof numbers) || !number(&at, INT64_MAX, &v->t_ms) ||
        !number(&at, CLK_UNKNOWN, &grade) || !number(&at, STORE_ERROR, &severity) || at ||
        !line(&text, v->code, sizeof v->code) || !line(&text, v->subject, sizeof v->subject) ||
        !line(&text, v->text, sizeof v->text))
        return false;
    v->grade = (enum clk_grade)grade;
    v->severity = (enum store_severity)severity;
    return !*text && v->code[0];
}

/* false: it is not what a tool leaves there. */
static bool read_told(int folder, const char *name, struct store_event *v)
{
    char text[FILE_MAX + 1];
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd >= 0 && is_trusted(fd, 077) ? read(fd, text, FILE_MAX) : -1;
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return strlen(text) == (size_t)n && parse(text, v);
}

static enum st take(struct store *s, int folder, const char *name, struct err *e)
{
    struct store_event v;
    if (read_told(folder, name, &v)) {
        ERR_TRY(store_db_begin(&s->db, e));
        ERR_TRY(store_db_end(&s->db, store_event_write(s, &v, e), e));
    } else {
        store_event(s, STORE_WARNING, "told.bad", name, "not written by a tool of fieldpost");
    }
    return unlinkat(folder, name, 0) == 0
               ? ST_OK
               : err_set(e, ST_IO, "%s" STORE_TOLD "/%s: cannot be removed: %s", s->path, name,
                         strerror(errno));
}

/* In order of time, as their names are. */
static size_t list(int folder, char name[A_TURN][NAME_BYTES])
{
    size_t n = 0;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0)
        (void)close(fd);
    for (const struct dirent *f; d && (f = readdir(d));) {
        size_t at = n;
        if (!is_ours(f->d_name))
            continue;
        while (at > 0 && strcmp(name[at - 1], f->d_name) > 0)
            at--;
        if (at == A_TURN)
            continue;
        n += n < A_TURN;
        memmove(name[at + 1 < A_TURN ? at + 1 : at], name[at], (n - at - 1) * sizeof name[0]);
        (void)snprintf(name[at], NAME_BYTES, "%s", f->d_name);
    }
    if (d)
        (void)closedir(d);
    return n;
}

enum st store_told_step(struct store *s, struct err *e)
{
    char path[DROP_PATH_BYTES], name[A_TURN][NAME_BYTES];
    int64_t now_ms = clk_mono(s->clk).ms;
    bool room = false;
    if (now_ms < s->told_due.ms)
        return ST_OK;
    s->told_due.ms = now_ms + LOOK_MS;
    if (snprintf(path, sizeof path, "%s" STORE_TOLD, s->path) >= (int)sizeof path)
        return ST_OK; /* the tool refuses it */
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return ST_OK; /* nobody ever told anything */
    size_t n = is_trusted(folder, 022) ? list(folder, name) : 0;
    enum st st = n > 0 ? store_event_room(s, &room, e) : ST_OK;
    for (size_t i = 0; i < n && room && st == ST_OK; i++)
        st = take(s, folder, name[i], e);
    (void)close(folder);
    return st;
}
