/* Acknowledged by a tool beside the gateway: a file in a folder beside the store, named by the
 * alarm, with the name of the person; it goes when it is taken. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/indicator/alarm_int.h"

#define LOOK_NS 100000000

static bool path_of(char out[DROP_PATH_BYTES], const char *store_path, const char *id)
{
    int n = snprintf(out, DROP_PATH_BYTES, "%s" ALARM_ASKED "/%s", store_path, id);
    return n > 0 && n < DROP_PATH_BYTES;
}

bool alarm_asked_take(const char *store_path, const char *id, char by[ALARM_NAME_BYTES])
{
    char path[DROP_PATH_BYTES];
    struct stat sb;
    int fd = path_of(path, store_path, id)
                 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
                 : -1;
    if (fd < 0)
        return false;
    /* of this user, or root, and of nobody else's */
    bool ours = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && !(sb.st_mode & 077) &&
                (sb.st_uid == geteuid() || sb.st_uid == 0);
    ssize_t n = ours ? read(fd, by, ALARM_NAME_BYTES - 1) : -1;
    (void)close(fd);
    (void)unlink(path);
    by[n > 0 ? n : 0] = '\0';
    return n > 0 && !alarm_name_wrong(by);
}

enum st alarms_ask(const char *store_path, const char *id, const char *by, int64_t wait_ms,
                   struct err *e)
{
    char folder[DROP_PATH_BYTES], path[DROP_PATH_BYTES];
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    const char *wrong = alarm_name_wrong(by);
    int fd = -1;
    if (wrong || !path_of(path, store_path, id))
        return err_set(e, ST_BAD, "%s", wrong ? wrong : "store.path is too long");
    ERR_TRY(drop_open(store_path, ALARM_ASKED, S_IRWXU, folder, &fd, e));
    enum st st = drop_put(fd, folder, id, by, strlen(by), 2 * ALARMS_MAX, "", e);
    (void)close(fd);
    if (st != ST_OK)
        return st;
    for (int64_t until = clk_mono(clk_real()).ms + wait_ms; access(path, F_OK) == 0;) {
        if (clk_mono(clk_real()).ms > until && unlink(path) == 0)
            return err_set(e, ST_TIMEOUT, "no gateway runs with this store: start it");
        (void)nanosleep(&pause, NULL);
    }
    return ST_OK;
}
