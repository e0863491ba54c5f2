/* What the city's notices made of its keys, on the disk: beside the store, and never in the
 * administrator's own files. Two programs may write there, the gateway and `fieldpost trust`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/uplink/trust_int.h"

#define PEM_BYTES (512 * 1024)
#define PATH_BYTES (DROP_PATH_BYTES + 128)

enum st uplink_trust_path(const char *store_path, const char *id, const char *suffix, char *out,
                          size_t size, struct err *e)
{
    int n = snprintf(out, size, "%s" UPLINK_TRUST "/%s%s", store_path, id, suffix);
    return n > 0 && (size_t)n < size ? ST_OK : err_set(e, ST_BAD, "store.path is too long");
}

enum st uplink_trust_load(struct uplink_trust *t, const char *store_path, const char *id,
                          struct err *e)
{
    /* they counted when they were kept: what has ended since does not undo that */
    const struct uplink_trust_how how = {.by_hand = true, .now_ms = INT64_MIN};
    struct uplink_trust_took took;
    char path[PATH_BYTES];
    struct err why = {.text = ""};
    struct buf file;
    uplink_trust_forget(t);
    ERR_TRY(uplink_trust_path(store_path, id, UPLINK_NOTICES, path, sizeof(path), e));
    buf_init(&file, (size_t)WIRE_NOTICES_MAX * WIRE_NOTICE_MAX + 1);
    enum st st = wire_file_get(path, &file, &why);
    if (st == ST_OK) {
        st = uplink_trust_take(t, file.p, file.n, &how, &took, &why);
    }
    buf_done(&file);
    /* none of the files' keys signed them: the administrator has written newer ones there */
    return st == ST_OK || st == ST_NOT_FOUND ? ST_OK : err_set(e, st, "%s: %s", path, why.text);
}

static enum st locked(struct uplink_trust *t, const char *store_path, const char *id, const void *p,
                      size_t n, const struct uplink_trust_how *how, struct uplink_trust_took *took,
                      struct err *e)
{
    char path[PATH_BYTES];
    ERR_TRY(uplink_trust_path(store_path, id, UPLINK_NOTICES, path, sizeof(path), e));
    enum st st = uplink_trust_load(t, store_path, id, e);
    if (st != ST_OK && st != ST_BAD && st != ST_CORRUPT) { /* what of it is damaged is replaced */
        return st;
    }
    st = uplink_trust_take(t, p, n, how, took, e);
    if (took->fresh == 0) {
        return st;
    }
    struct err why = {.text = ""};
    enum st kept = wire_file_put(path, t->notices.p, t->notices.n, 0644, true, &why);
    if (kept != ST_OK) { /* what a restart would not know does not count now, and is asked again */
        took->fresh = 0;
        (void)!uplink_trust_load(t, store_path, id, NULL);
        return err_set(e, kept, "%s", why.text);
    }
    return st;
}

enum st uplink_trust_keep(struct uplink_trust *t, const char *store_path, const char *id,
                          const void *p, size_t n, const struct uplink_trust_how *how,
                          struct uplink_trust_took *took, struct err *e)
{
    char folder_path[DROP_PATH_BYTES];
    int folder = -1;
    *took = (struct uplink_trust_took){.fresh = 0};
    ERR_TRY(drop_open(store_path, UPLINK_TRUST, 0755, folder_path, &folder, e));
    enum st st = flock(folder, LOCK_EX) == 0
                     ? locked(t, store_path, id, p, n, how, took, e)
                     : err_set(e, ST_IO, "%s: %s", folder_path, strerror(errno));
    (void)close(folder); /* and with it the lock */
    return st;
}

/* Whether the file has just these bytes. */
static bool same(const char *path, const struct buf *b)
{
    struct buf file;
    buf_init(&file, PEM_BYTES + 1);
    bool is = wire_file_get(path, &file, NULL) == ST_OK && file.n == b->n &&
              memcmp(file.p, b->p, b->n) == 0;
    buf_done(&file);
    return is;
}

enum st uplink_trust_ca(const struct uplink_trust *t, const char *store_path, const char *id,
                        const char *ca_file, int64_t now_ms, char *out, size_t size, struct err *e)
{
    struct buf pem;
    ERR_TRY(uplink_trust_path(store_path, id, UPLINK_CA, out, size, e));
    if (t->ncas == 0) {
        (void)unlink(out); /* left from notices that do not count any more */
        int n = snprintf(out, size, "%s", ca_file);
        return n > 0 && (size_t)n < size ? ST_OK : err_set(e, ST_BAD, "ca: the path is too long");
    }
    buf_init(&pem, PEM_BYTES);
    enum st st = now_ms < t->ca_until_ms ? wire_file_get(ca_file, &pem, e) : ST_OK;
    if (st == ST_OK && pem.n > 0 && pem.p[pem.n - 1] != '\n') {
        st = buf_put(&pem, "\n", 1);
    }
    if (st == ST_OK) {
        st = uplink_trust_cas(t, now_ms, &pem, e);
    }
    if (st == ST_OK && !same(out, &pem)) {
        st = wire_file_put(out, pem.p, pem.n, 0644, true, e);
    }
    buf_done(&pem);
    return st;
}
