/* Handing something to the gateway that runs, or that will: a file of receipts, or the name of a
 * batch. It goes into a folder beside the store, which an uplink's thread looks into. The store
 * keeps its one writer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/uplink/uplink_int.h"

static enum st fail(const char *path, const char *what, struct err *e)
{
    return err_set(e, ST_IO, "%s: %s: %s", path, what, strerror(errno));
}

static enum st copy(int from, const char *from_path, int to, const char *to_path, struct err *e)
{
    uint8_t part[16384];
    for (;;) {
        ssize_t n = read(from, part, sizeof(part));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail(from_path, "cannot be read", e);
        }
        if (n == 0) {
            return ST_OK;
        }
        for (ssize_t at = 0; at < n;) {
            ssize_t got = write(to, part + at, (size_t)(n - at));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                return fail(to_path, "cannot be written", e);
            }
            at += got;
        }
    }
}

/* Under the name that the gateway looks for only when it is whole. */
static enum st hand_over(int folder, const char *folder_path, const char *path, const char *id,
                         char *name, size_t size, struct err *e)
{
    uint8_t random[WIRE_ID_BYTES];
    char hex[WIRE_ID_TEXT], part[32], full[96];
    struct stat owner;
    ERR_TRY(wire_random(random, sizeof(random), e));
    wire_hex(random, sizeof(random), hex);
    (void)snprintf(part, sizeof(part), "%s.part", hex);
    (void)snprintf(full, sizeof(full), "%s.%s", hex, id);
    if (snprintf(name, size, "%s/%s", folder_path, full) >= (int)size) {
        return err_set(e, ST_BAD, "store.path is too long");
    }
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0) {
        return fail(path, "cannot be read", e);
    }
    int to = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    enum st st =
        to >= 0 ? copy(from, path, to, name, e) : fail(folder_path, "cannot be written", e);
    if (st == ST_OK) {
        st = fstat(folder, &owner) == 0 ? drop_give(to, name, &owner, e) : fail(folder_path, "", e);
    }
    if (st == ST_OK && fsync(to) != 0) {
        st = fail(name, "cannot be synced", e);
    }
    if (to >= 0 && close(to) != 0 && st == ST_OK) {
        st = fail(name, "cannot be written", e);
    }
    (void)close(from);
    if (st == ST_OK && (renameat(folder, part, folder, full) != 0 || fsync(folder) != 0)) {
        st = fail(name, "cannot be named", e);
    }
    if (st != ST_OK) {
        (void)unlinkat(folder, part, 0);
    }
    return st;
}

enum st uplinks_hand_over(const struct uplinks *u, size_t i, const char *store_path,
                          const char *path, char *name, size_t size, struct err *e)
{
    char folder_path[DROP_PATH_BYTES];
    int folder = -1;
    enum st st = drop_open(store_path, UPLINK_SPOOL, 0755, folder_path, &folder, e);
    if (st == ST_OK) {
        drop_clean(folder);
        st = hand_over(folder, folder_path, path, uplinks_id(u, i), name, size, e);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return st;
}

enum st uplinks_ask_again(const char *store_path, const uint8_t chain[WIRE_ID_BYTES], uint64_t seq,
                          struct err *e)
{
    char folder_path[DROP_PATH_BYTES], hex[WIRE_ID_TEXT], name[64];
    int folder = -1;
    wire_hex(chain, WIRE_ID_BYTES, hex);
    (void)snprintf(name, sizeof(name), "%s-%llu", hex, (unsigned long long)seq);
    enum st st = drop_open(store_path, UPLINK_RESEND, 0755, folder_path, &folder, e);
    if (st == ST_OK) {
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || close(fd) != 0 || fsync(folder) != 0) {
            st = fail(folder_path, "cannot be written", e);
        }
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return st;
}
