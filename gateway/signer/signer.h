/* Who signs for this gateway: the key in force and, while a rotation is under way, the next one.
 *
 * `fieldpost run` uses signer_fork: the private keys are loaded by a process of its own (serve.c),
 * which a second one (keeper.c) starts again when it ends; this process never holds them. Tests and
 * tools that run nothing else use signer_here, which loads them into this process.
 *
 * A key in a file KEY: KEY is in force; the next key is made as KEY.next, and when it is in force
 * it takes the name KEY, and the old one that of KEY.<its kid>. None is ever overwritten.
 * A key in a PKCS#11 token is named by its RFC 7512 URI, with module-path and pin-source=file:…;
 * the next key, of a token too, is then `next` (seal.next_key; NULL: none), and keeps its name when
 * it is in force. A file may be followed by a token. After the start, one thread at a time. */
#ifndef GATEWAY_SIGNER_SIGNER_H
#define GATEWAY_SIGNER_SIGNER_H

#include "gateway/wire/wire.h"

struct signer;
/* Loads the keys here. ST_NOT_FOUND (says how to make it), ST_REFUSED (others can read it), ST_BAD.
 */
enum st signer_here(struct signer **out, const char *key, const char *next,
                    struct err *e) ST_MUST_CHECK;
/* Starts the signing process and its keeper and waits until it has the keys; errors as above.
 * Before this process has a thread, a key or a connection, and before it gives up rights: the two
 * keep those, and only they need to read the key. They end when this process does. */
enum st signer_fork(struct signer **out, const char *key, const char *next,
                    struct err *e) ST_MUST_CHECK;
void signer_close(struct signer *s); /* takes NULL */

/* ST_OK while it can sign. ST_IO: the signing process has ended (why), and is started again with
 * back-off; ST_CONFLICT: it came back with another key, which only a restart may bring. */
enum st signer_ready(struct signer *s, struct err *e) ST_MUST_CHECK;
/* How often the signing process has ended by itself, and how it did last; signer_ready finds it
 * out. It may be back already. */
unsigned signer_ends(const struct signer *s, const char **how);
/* How far the signing process is shut in: "" or what this kernel lacks. */
const char *signer_lacks(const struct signer *s);

/* Borrowed. What signer_next gave stays the same when it becomes signer_now. Each signature of the
 * signing process is checked before it is given out. */
const struct wire_signer *signer_now(const struct signer *s);
/* NULL: no key waits. A next key that cannot be used says so in *fault (NULL: none waits). */
const struct wire_signer *signer_next(const struct signer *s, const char **fault);
/* Looks again whether a next key is there. On failure it stands as it was. */
enum st signer_look(struct signer *s, struct err *e) ST_MUST_CHECK;
/* The next key is in force: its file gets the name of the old one, which is put aside. It may be
 * asked for again after a failure. The old key's wire_signer is gone then. */
enum st signer_promote(struct signer *s, struct err *e) ST_MUST_CHECK;

/* Makes KEY.next, owned by whoever owns KEY. ST_CONFLICT when it is there: a rotation waits. */
enum st signer_make_next(const char *key, struct err *e) ST_MUST_CHECK;
bool signer_is_token(const char *key); /* a URI, and no path */
/* The path of the next key. ST_BAD: too long. */
#define SIGNER_PATH 1024
enum st signer_next_path(const char *key, char out[SIGNER_PATH], struct err *e) ST_MUST_CHECK;

#endif
