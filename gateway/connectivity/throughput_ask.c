/* Measure now: files in a folder beside the store. ID asks, ID.said is the answer; both go when
 * they are read. */
#include "gateway/connectivity/throughput_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/base/log.h"

#define SAID ".said"
#define NAME_BYTES 80
#define LOOK_NS 100000000
#define TAKE_MS 10000 /* a gateway looks every second, but for while it measures for another */
#define FILES_MAX 64
#define ANSWER_MAX 4096

static bool path_of(char out[DROP_PATH_BYTES], const char *store_path, const char *id,
                    const char *ending)
{
    int n = snprintf(out, DROP_PATH_BYTES, "%s" CONNECTIVITY_ASKED "/%s%s", store_path, id, ending);
    return n > 0 && n < DROP_PATH_BYTES;
}

/* ---- the gateway's side --------------------------------------------------------------------- */

bool connectivity_asked_take(const char *store_path, const char *id)
{
    char path[DROP_PATH_BYTES];
    return path_of(path, store_path, id, "") && unlink(path) == 0;
}

void connectivity_asked_answer(const char *store_path, const char *id, const char *json)
{
    char folder[DROP_PATH_BYTES], name[NAME_BYTES];
    struct err e = {.text = ""};
    int fd = -1;
    (void)snprintf(name, sizeof name, "%s" SAID, id);
    enum st st = drop_open(store_path, CONNECTIVITY_ASKED, S_IRWXU, folder, &fd, &e);
    if (st == ST_OK)
        st = drop_put(fd, folder, name, json, strlen(json), FILES_MAX, "", &e);
    if (fd >= 0)
        (void)close(fd);
    if (st != ST_OK)
        log_warn("%s: whoever asked for its throughput gets no answer: %s", id, e.text);
}

/* ---- whoever asks --------------------------------------------------------------------------- */

/* Until done() says so; false after ms. */
static bool look(const char *path, int64_t ms, bool (*done)(const char *path))
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    int64_t until = clk_mono(clk_real()).ms + ms;
    while (!done(path)) {
        if (clk_mono(clk_real()).ms > until)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

static bool is_gone(const char *path)
{
    return access(path, F_OK) != 0;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum st answer_read(const char *path, struct buf *answer, struct err *e)
{
    char text[ANSWER_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    int failed = errno;
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return err_set(e, ST_IO, "%s: %s", path, n < 0 ? strerror(failed) : "it is empty");
    (void)unlink(path);
    return buf_put(answer, text, (size_t)n);
}

enum st connectivity_throughput_ask(const char *store_path, const char *id, int64_t wait_ms,
                                    struct buf *answer, struct err *e)
{
    char folder[DROP_PATH_BYTES], ask[DROP_PATH_BYTES], said[DROP_PATH_BYTES];
    int fd = -1;
    if (!path_of(ask, store_path, id, "") || !path_of(said, store_path, id, SAID))
        return err_set(e, ST_BAD, "store.path is too long");
    ERR_TRY(drop_open(store_path, CONNECTIVITY_ASKED, S_IRWXU, folder, &fd, e));
    (void)unlink(said); /* of somebody who did not wait for it */
    enum st st = drop_put(fd, folder, id, "", 0, FILES_MAX, "", e);
    (void)close(fd);
    if (st != ST_OK)
        return st;
    if (!look(ask, TAKE_MS, is_gone) && unlink(ask) == 0)
        return err_set(e, ST_NOT_FOUND,
                       "no gateway runs with this store, or it measures for another: start it, or "
                       "ask again");
    if (!look(said, wait_ms, is_there))
        return err_set(e, ST_TIMEOUT, "%s: the gateway has not answered in time: see its log", id);
    return answer_read(said, answer, e);
}
