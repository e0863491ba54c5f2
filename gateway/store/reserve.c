/* The reserve: a file of nothing beside the database, whose blocks are given back when the disk is
 * full. What acknowledging and deleting then need has room, and readings wait until it is there
 * again: on a full disk the file may not grow, as if max_size were what it has.
 *
 * Its size is what the file grows by when a whole WAL is folded into it, which must not fail before
 * the WAL can be used again, and what one turn of deleting and acknowledging writes on top. On file
 * systems that copy on write or compress (btrfs, f2fs with compression) it promises nothing. */
#include "gateway/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TURN_BYTES (64 * 1024) /* 8 batches deleted, the acknowledgements of 32 */
#define TURN_PART 200          /* of a small max_size: the reserve is part of it */
#define AGAIN_MS 10000         /* between two looks for room */
#define ROOMY 4                /* times the reserve must be free before it is taken again */

static int64_t free_bytes(const char *path)
{
    struct statvfs v;
    return statvfs(path, &v) == 0 ? (int64_t)v.f_bavail * (int64_t)v.f_frsize : 0;
}

/* Takes the blocks; false: there is no room, and nothing is left behind. */
static bool take(const char *path, int64_t bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    int code = ftruncate(fd, bytes) == 0 ? posix_fallocate(fd, 0, bytes) : errno;
    close(fd);
    if (code != 0)
        (void)unlink(path);
    errno = code;
    return code == 0;
}

/* On a full disk the database keeps to what it had then, and to what one turn needs. */
static enum st set_limit(struct store *s, struct err *e)
{
    if (!s->reserve_out)
        s->full_bytes = 0;
    else if (s->full_bytes == 0)
        ERR_TRY(store_db_bytes(&s->db, &s->full_bytes, e));
    s->limit_bytes =
        s->reserve_out ? s->full_bytes / STORE_FILE_PERCENT * 100 : s->cfg.max_size_bytes;
    return store_db_limit(
        &s->db,
        s->reserve_out ? s->full_bytes + TURN_BYTES : s->limit_bytes / 100 * STORE_FILE_PERCENT, e);
}

enum st store_reserve_open(struct store *s, struct err *e)
{
    ERR_TRY(set_limit(s, e));
    int64_t turn = s->cfg.max_size_bytes / TURN_PART;
    s->reserve_bytes = s->db.wal_bytes + (turn < TURN_BYTES ? turn : TURN_BYTES);
    if (take(s->reserve_path, s->reserve_bytes))
        return ST_OK;
    s->db.full = errno == EDQUOT ? EDQUOT : ENOSPC; /* the first turn says so */
    return ST_OK;
}

static void give_back(struct store *s)
{
    (void)unlink(s->reserve_path);
    s->reserve_out = true;
    store_fault(s, STORE_SPACE,
                "the disk (or its quota) is full: free space on it; until then acknowledged "
                "history goes early, and readings are kept where it went");
}

void store_reserve_step(struct store *s)
{
    int64_t now = clk_mono(s->clk).ms;
    int full = s->db.full ? s->db.full : s->jfile.full;
    s->db.full = s->jfile.full = 0;
    if (full)
        s->quota = full == EDQUOT;
    if (s->reserve_out ? now < s->reserve_due.ms : !full)
        return;
    /* What a quota leaves is not told: only taking it shows. */
    bool roomy = free_bytes(s->path) >= ROOMY * s->reserve_bytes;
    s->reserve_due.ms = now + AGAIN_MS;
    if (s->reserve_out)
        s->reserve_out = !((roomy || s->quota) && take(s->reserve_path, s->reserve_bytes));
    else if (!roomy || s->quota) /* else it is max_size that is used up */
        give_back(s);
    else
        return;
    if (set_limit(s, NULL) == ST_OK && !s->reserve_out)
        store_fault(s, STORE_SPACE, "");
}
