/* The signing process: loads the keys, shuts itself in, and signs the hashes that it is asked for.
 * It ends when nobody is left to ask. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/signer/signer_int.h"

struct serve {
    int fd, kid_fd;
    struct signer_ring ring;
    struct signer_say say;
};

static void tell(struct serve *v)
{
    if (!signer_tell(v->fd, &v->say))
        _exit(SIGNER_EXIT_DONE); /* nobody listens */
}

static void put_spki(uint8_t out[SIGNER_SPKI], const struct wire_signer *w)
{
    struct wire_span der = wire_pub_der(w->pub);
    memcpy(out, der.p, der.n < SIGNER_SPKI ? der.n : SIGNER_SPKI);
}

static void open_keys(struct serve *v, const char *key, const char *next)
{
    struct err e = {.text = ""};
    enum st st = signer_shield(&e);
    v->say = (struct signer_say){.kind = SIGNER_READY};
    if (st == ST_OK)
        st = signer_ring_open(&v->ring, key, next, &e);
    if (st == ST_OK)
        st = signer_confine(v->ring.tokens[0] || v->ring.tokens[1], v->say.lacks, &e);
    if (st != ST_OK) {
        v->say.kind = SIGNER_UNABLE;
        v->say.st = st;
        (void)snprintf(v->say.text, sizeof v->say.text, "%s", e.text);
        tell(v);
        _exit(st == ST_REFUSED ? SIGNER_EXIT_REFUSED : SIGNER_EXIT_UNABLE);
    }
    put_spki(v->say.now, v->ring.now);
    if (v->ring.next)
        put_spki(v->say.next, v->ring.next);
    v->say.has_next = v->ring.next != NULL;
    memcpy(v->say.text, v->ring.fault, sizeof v->say.text);
    tell(v);
}

static bool is_kid(const struct wire_signer *w, const uint8_t kid[WIRE_ID_BYTES])
{
    return w && memcmp(wire_pub_kid(w->pub), kid, WIRE_ID_BYTES) == 0;
}

static void sign(struct serve *v, const struct signer_ask *ask)
{
    struct err e = {.text = ""};
    const struct wire_signer *w = is_kid(v->ring.now, ask->kid)    ? v->ring.now
                                  : is_kid(v->ring.next, ask->kid) ? v->ring.next
                                                                   : NULL;
    enum st st = w ? w->sign(w->ctx, ask->hash, v->say.sig, &e)
                   : err_set(&e, ST_NOT_FOUND, "the signing process does not have this key");
    v->say.kind = st == ST_OK ? SIGNER_SIGNED : SIGNER_FAILED;
    v->say.st = st;
    (void)snprintf(v->say.text, sizeof v->say.text, "%s", e.text);
    tell(v);
    if (st == ST_IO) /* a token that was pulled, a session that was lost: from the beginning */
        _exit(SIGNER_EXIT_UNABLE);
}

/* The files' names are the keeper's to change, which can open them; it must know the old key's id.
 */
static void hand_to_keeper(struct serve *v)
{
    const uint8_t *kid = wire_pub_kid(v->ring.now->pub);
    if (!v->ring.next)
        _exit(SIGNER_EXIT_AGAIN);
    if (write(v->kid_fd, kid, WIRE_ID_BYTES) != WIRE_ID_BYTES)
        _exit(SIGNER_EXIT_UNABLE);
    _exit(SIGNER_EXIT_PROMOTE);
}

void signer_serve(int fd, int kid_fd, const char *key, const char *next)
{
    struct serve v = {.fd = fd, .kid_fd = kid_fd};
    open_keys(&v, key, next);
    for (;;) {
        struct signer_ask ask;
        ssize_t n = recv(fd, &ask, sizeof ask, MSG_TRUNC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(SIGNER_EXIT_DONE);
        v.say = (struct signer_say){.id = ask.id};
        if (n != sizeof ask)
            continue; /* none of ours; nobody waits for the answer to it */
        if (ask.op == SIGNER_SIGN)
            sign(&v, &ask);
        else if (ask.op == SIGNER_AGAIN)
            _exit(SIGNER_EXIT_AGAIN);
        else if (ask.op == SIGNER_PROMOTE)
            hand_to_keeper(&v);
    }
}
