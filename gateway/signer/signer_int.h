/* Private to the signer room. */
#ifndef GATEWAY_SIGNER_SIGNER_INT_H
#define GATEWAY_SIGNER_SIGNER_INT_H

#include "gateway/signer/signer.h"

#define SIGNER_TEXT 256 /* messages between the processes */

/* What here.c and client.c have in common: each embeds it first. */
struct signer {
    const struct wire_signer *now, *next;
    char fault[SIGNER_TEXT]; /* of the next key; "" */
    char lacks[SIGNER_TEXT];
    unsigned ends;
    char how[SIGNER_TEXT];
    enum st (*ready)(struct signer *s, struct err *e);
    enum st (*look)(struct signer *s, struct err *e);
    enum st (*promote)(struct signer *s, struct err *e);
    void (*close)(struct signer *s);
};

/* ---- ring.c: the private keys, wherever they are used ---- */

struct signer_ring {
    const struct wire_signer *now, *next; /* next: NULL when none waits, or it cannot be used */
    char fault[SIGNER_TEXT];              /* of the next key; "" */
    struct wire_key *files[2];
    struct signer_token *tokens[2];
};
/* next: seal.next_key, or NULL. */
enum st signer_ring_open(struct signer_ring *r, const char *key, const char *next,
                         struct err *e) ST_MUST_CHECK;
void signer_ring_close(struct signer_ring *r); /* takes a zeroed one */

/* ---- token.c ---- */

struct signer_token;

/* Loads the module and logs in. ST_REFUSED: not with this PIN. */
enum st signer_token_open(struct signer_token **out, const char *uri, struct err *e) ST_MUST_CHECK;
const struct wire_signer *signer_token_signer(const struct signer_token *t); /* borrowed */
void signer_token_close(struct signer_token *t);                             /* takes NULL */

/* ---- file.c ---- */

/* KEY gets a second name, KEY.<kid>, and KEY.next the name KEY; each step is durable before the
 * next, so that a cut leaves both keys under a name that is looked for. Done before: ST_OK. */
enum st signer_file_promote(const char *key, const uint8_t kid[WIRE_ID_BYTES],
                            struct err *e) ST_MUST_CHECK;

/* ---- what the processes say to each other: one message, one struct (SOCK_SEQPACKET) ---- */

#define SIGNER_SPKI 91 /* DER of a P-256 key */
enum signer_op {
    SIGNER_SIGN,
    SIGNER_AGAIN,  /* end, and be started again: are there other keys? */
    SIGNER_PROMOTE /* end, and be started again when the next key has the name of the old one */
};
struct signer_ask {
    uint32_t id;
    uint32_t op;
    uint8_t kid[WIRE_ID_BYTES]; /* whose signature */
    uint8_t hash[WIRE_HASH_BYTES];
};
enum signer_kind {
    SIGNER_READY,    /* has these keys */
    SIGNER_UNABLE,   /* has none: st, text; it ends */
    SIGNER_SIGNED,   /* sig */
    SIGNER_FAILED,   /* st, text */
    SIGNER_PROMOTED, /* by the keeper: st, text */
    SIGNER_ENDED     /* by the keeper: text says how */
};
struct signer_say {
    uint32_t id;
    uint32_t kind;
    uint32_t st;
    uint8_t sig[64];
    uint8_t now[SIGNER_SPKI], next[SIGNER_SPKI];
    uint8_t has_next;
    char text[SIGNER_TEXT]; /* of READY: the fault of the next key */
    char lacks[SIGNER_TEXT];
};
enum signer_exit {
    SIGNER_EXIT_DONE = 0,
    SIGNER_EXIT_UNABLE = 10,
    SIGNER_EXIT_REFUSED, /* as UNABLE, and trying again would lock the token */
    SIGNER_EXIT_AGAIN,
    SIGNER_EXIT_PROMOTE
};

/* keeper.c: the process that starts the signing process; never returns. fd: its end. */
void signer_keep(int fd, const char *key, const char *next) __attribute__((noreturn));
/* Sends; false when the other side is gone or does not listen. Never waits. */
bool signer_tell(int fd, const struct signer_say *say);
/* serve.c: the signing process; never returns. kid_fd: where the id of the old key goes before an
 * exit with SIGNER_EXIT_PROMOTE. */
void signer_serve(int fd, int kid_fd, const char *key, const char *next) __attribute__((noreturn));

/* ---- confine.c ---- */

/* Before keys are loaded: no dump, no other process looks in. */
enum st signer_shield(struct err *e) ST_MUST_CHECK;
/* Behind that: no rights, no new files or processes, and only the system calls that signing needs;
 * what else is tried fails with EPERM. token: and those that a module needs to look into its token;
 * a network is never among them. lacks (SIGNER_TEXT): "" or what the kernel cannot do. */
enum st signer_confine(bool token, char *lacks, struct err *e) ST_MUST_CHECK;

#endif
