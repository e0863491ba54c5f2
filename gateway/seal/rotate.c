/* The next key takes over: a `key` entry, signed by the old key, is the last batch of its chain,
 * and the next chain is the new key's (batch.md rule 3). The store learns of both in one
 * transaction, which alone says whose turn it is; the names of the key files follow. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/seal/seal_int.h"

#define AGAIN_MS 60000 /* a key file whose name could not be changed */

static enum st ask_path(const char *store, char out[SIGNER_PATH], struct err *e)
{
    int n = snprintf(out, SIGNER_PATH, "%s.rotate", store);
    return n > 0 && n < SIGNER_PATH ? ST_OK : err_set(e, ST_BAD, "store.path is too long");
}

enum st seal_rotation_ask(const char *store, struct err *e)
{
    char path[SIGNER_PATH];
    struct stat owner, sb;
    ERR_TRY(ask_path(store, path, e));
    if (stat(store, &owner) != 0)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", store, strerror(errno));
    /* root may ask, in a folder of another user: what stands there is not followed, nor given away
     */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return ST_OK; /* asked before */
    bool good = fd >= 0 && fstat(fd, &sb) == 0 &&
                (sb.st_uid == owner.st_uid || fchown(fd, owner.st_uid, owner.st_gid) == 0) &&
                fsync(fd) == 0;
    enum st st = good ? ST_OK : err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* ---- which key is in force ---- */

enum st seal_key_open(struct seal *l, struct err *e)
{
    struct buf named;
    const char *fault;
    if (!l->cfg.signer) {
        ERR_TRY(signer_here(&l->own_signer, l->cfg.key, l->cfg.next_key, e));
        l->cfg.signer = l->own_signer;
    }
    l->key = signer_now(l->cfg.signer);
    const struct wire_signer *next = signer_next(l->cfg.signer, &fault);
    if (!next)
        return ST_OK;
    buf_init(&named, 64);
    enum st st = store_meta_get(l->store, STORE_META_KEY, &named, e);
    if (st == ST_OK && named.n == WIRE_ID_BYTES &&
        memcmp(named.p, wire_pub_kid(next->pub), WIRE_ID_BYTES) == 0)
        l->key = next; /* cut before its file got its name */
    buf_done(&named);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- taking over ---- */

/* Whoever asks has made the next key before. A cut from here on is none the worse: a start looks
 * for that key in any case. */
static void look_when_asked(struct seal *l)
{
    char path[SIGNER_PATH];
    struct err e = {.text = ""};
    const char *fault;
    if (l->ask_stays || ask_path(store_path(l->store), path, NULL) != ST_OK ||
        access(path, F_OK) != 0)
        return;
    if (unlink(path) != 0) {
        l->ask_stays = true;
        store_event(l->store, STORE_WARNING, "key.rotate", NULL, "%s cannot be removed: %s", path,
                    strerror(errno));
    }
    enum st st = signer_look(l->cfg.signer, &e);
    if (st != ST_OK)
        store_event(l->store, STORE_ERROR, "key.rotate", NULL, "%s", e.text);
    else if (!signer_next(l->cfg.signer, &fault))
        store_event(l->store, STORE_ERROR, "key.rotate", NULL, "the next key cannot be used: %s",
                    fault ? fault : "there is none");
}

static void promote(struct seal *l)
{
    struct err e = {.text = ""};
    int64_t now_ms = clk_mono(l->clk).ms;
    if (now_ms < l->promote_at.ms)
        return;
    if (signer_promote(l->cfg.signer, &e) == ST_OK)
        return;
    l->promote_at.ms = now_ms + AGAIN_MS;
    store_event(l->store, STORE_ERROR, "key.rotate", NULL,
                "the new key signs, but its file keeps its old name: %s", e.text);
}

static enum st hand_over(struct seal *l, const struct wire_signer *next, struct err *e)
{
    char was[WIRE_ID_TEXT], is[WIRE_ID_TEXT];
    uint8_t kid[WIRE_ID_BYTES];
    memcpy(kid, wire_pub_kid(next->pub), sizeof kid);
    l->payload.n = 0;
    enum st st = wire_put_array(&l->payload, 1);
    if (st == ST_OK)
        st = wire_put_key(&l->payload, next->pub);
    if (st != ST_OK)
        return err_set(e, st, "seal: a key entry could not be encoded");
    struct seal_window w = seal_control_window(l);
    w.next_kid = kid;
    ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    wire_hex(wire_pub_kid(l->key->pub), WIRE_ID_BYTES, was);
    wire_hex(kid, WIRE_ID_BYTES, is);
    l->key = next;
    store_key(l->store, next->pub);
    store_event(l->store, STORE_INFO, "key.rotated", is,
                "key %s signs from here on; key %s has named it in the last batch of its chain", is,
                was);
    return ST_OK;
}

/* A signing process that has ended is told when it does, and not only when the window does. */
static enum st signer_is_ready(struct seal *l, struct err *e)
{
    struct err why = {.text = ""};
    enum st st = signer_ready(l->cfg.signer, &why);
    const char *how;
    unsigned ends = signer_ends(l->cfg.signer, &how);
    if (ends != l->ends)
        store_event(l->store, STORE_ERROR, "signer.ended", NULL, "%s", how);
    else if (st != ST_OK && !l->down)
        store_event(l->store, STORE_ERROR, "signer.down", NULL, "%s", why.text);
    if (st == ST_OK && (l->down || ends != l->ends))
        store_event(l->store, STORE_INFO, "signer.up", NULL, "the signing process works again");
    l->ends = ends;
    l->down = st != ST_OK;
    return st == ST_OK ? ST_OK : err_set(e, st, "nothing can be sealed: %s", why.text);
}

enum st seal_rotate(struct seal *l, bool *over, struct err *e)
{
    const char *fault;
    ERR_TRY(signer_is_ready(l, e));
    look_when_asked(l);
    const struct wire_signer *next = signer_next(l->cfg.signer, &fault);
    if (!next)
        return ST_OK;
    if (next == l->key) {
        promote(l);
        return ST_OK;
    }
    /* A `time` entry reaches the batches of its own chain only: one that is owed comes first. */
    if (l->chain.last_seq == 0 || seal_starts_wait(l))
        return ST_OK;
    /* So does the digest of the day so far, which can only be told in its own chain. */
    bool told = false;
    ERR_TRY(seal_digest_close(l, &told, e));
    if (!told)
        return ST_OK;
    ERR_TRY(hand_over(l, next, e));
    *over = true;
    promote(l);
    return ST_OK;
}
