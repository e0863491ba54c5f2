/* The code with which the first person becomes administrator, and with which one who forgot the
 * password does again. 75 random bits need no slow hash (decision 0021 says the same of the
 * city's). */
#include "gateway/web/web_int.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD "fieldpost claim 1\n"
#define FILE_MAX (sizeof HEAD + 2 * WIRE_HASH_BYTES + 1)
#define RANDOM_BYTES 10

static enum st keep(const char *store, const char *symbols, const char *by, struct clk_time now,
                    struct err *e)
{
    const struct web_change c = {.code = "claim.made",
                                 .whom = "",
                                 .is = "a code for an administrator of the page",
                                 .by = by,
                                 .from = "",
                                 .now = now};
    uint8_t hash[WIRE_HASH_BYTES];
    char hex[2 * WIRE_HASH_BYTES + 1];
    struct buf b;
    wire_sha256(symbols, WEB_CLAIM_SYMBOLS, hash);
    wire_hex(hash, sizeof hash, hex);
    buf_init(&b, FILE_MAX);
    enum st st = buf_printf(&b, HEAD "%s\n", hex);
    st = st == ST_OK ? web_change(store, WEB_CLAIM, &b, &c, false, e)
                     : err_set(e, st, "no memory for a code");
    buf_done(&b);
    return st;
}

enum st web_claim_make(const char *store, const char *by, struct clk_time now,
                       char text[WEB_CLAIM_TEXT], struct err *e)
{
    uint8_t random[RANDOM_BYTES];
    char symbols[WEB_CLAIM_SYMBOLS + 1];
    int fd = -1;
    ERR_TRY(wire_random(random, sizeof random, e));
    wire_code_write(random, WEB_CLAIM_SYMBOLS, text);
    explicit_bzero(random, sizeof random);
    ERR_TRY(wire_code_read(text, WEB_CLAIM_SYMBOLS, symbols, e));
    enum st st = web_kept_lock(store, &fd, e);
    if (st == ST_OK)
        st = keep(store, symbols, by, now, e);
    if (fd >= 0)
        (void)close(fd);
    explicit_bzero(symbols, sizeof symbols);
    return st;
}

enum st web_claim_check(const char *store, const char *text, struct err *e)
{
    char symbols[WEB_CLAIM_SYMBOLS + 1], kept[FILE_MAX + 1];
    uint8_t want[WIRE_HASH_BYTES], hash[WIRE_HASH_BYTES];
    ERR_TRY(wire_code_read(text, WEB_CLAIM_SYMBOLS, symbols, e));
    wire_sha256(symbols, WEB_CLAIM_SYMBOLS, hash);
    explicit_bzero(symbols, sizeof symbols);
    enum st st = web_kept_read(store, WEB_CLAIM, kept, sizeof kept, e);
    if (st == ST_NOT_FOUND)
        return err_set(e, st, "there is no code, or it was used: `fieldpost user claim` makes one");
    if (st != ST_OK)
        return st == ST_CORRUPT ? ST_IO : st; /* the file is no good, whatever the code */
    size_t head = strlen(HEAD), n = strlen(kept);
    if (n != FILE_MAX - 1 || strncmp(kept, HEAD, head) != 0 || kept[n - 1] != '\n')
        return err_set(e, ST_IO, "%s" WEB_CLAIM ": not written by fieldpost", store);
    kept[n - 1] = '\0';
    if (!wire_unhex(kept + head, want, sizeof want))
        return err_set(e, ST_IO, "%s" WEB_CLAIM ": not written by fieldpost", store);
    return wire_same(want, hash, sizeof hash)
               ? ST_OK
               : err_set(e, ST_CORRUPT, "this is not the code of this gateway");
}
