/* Batches that a person wants to be sealed and sent once more. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/uplink/uplink_int.h"

/* CHAIN-SEQ, as uplinks_ask_again names it. */
static bool parse(const char *name, uint8_t chain[WIRE_ID_BYTES], uint64_t *seq)
{
    char hex[WIRE_ID_TEXT];
    size_t n = WIRE_ID_TEXT - 1;
    if (strlen(name) <= n + 1 || name[n] != '-' ||
        strspn(name + n + 1, "0123456789") != strlen(name + n + 1)) {
        return false;
    }
    memcpy(hex, name, n);
    hex[n] = '\0';
    errno = 0;
    *seq = strtoull(name + n + 1, NULL, 10);
    return errno == 0 && *seq > 0 && wire_unhex(hex, chain, WIRE_ID_BYTES);
}

/* Whether the file may go: it is done, or nothing can be done about it. */
static bool take(struct store *s, const char *name)
{
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    struct err e = {.text = ""};
    if (!parse(name, chain, &seq)) {
        return false; /* not ours */
    }
    enum st st = store_refused_again(s, chain, seq, &e);
    if (st == ST_OK) {
        store_event(s, STORE_INFO, "batch.resend", name,
                    "the readings of this refused batch go out once more, under a new number");
    } else if (st == ST_NOT_FOUND) {
        store_event(s, STORE_WARNING, "batch.resend", name,
                    "the store holds no batch of this name that was refused");
    }
    return st == ST_OK ||
           st == ST_NOT_FOUND; /* else: not given up in its chain yet, or the store */
}

void uplink_again_all(struct store *s)
{
    char folder[1024];
    if (snprintf(folder, sizeof(folder), "%s" UPLINK_RESEND, store_path(s)) >=
        (int)sizeof(folder)) {
        return;
    }
    DIR *d = opendir(folder);
    if (!d) {
        return; /* nobody ever asked */
    }
    for (const struct dirent *f; (f = readdir(d));) {
        if (take(s, f->d_name)) {
            (void)unlinkat(dirfd(d), f->d_name, 0); /* what stays is not found the next time */
        }
    }
    (void)closedir(d);
}
