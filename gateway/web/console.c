/* How tools on this machine read the API: whoever may read the file may. */
#include <stdio.h>
#include <string.h>

#include "gateway/web/web_int.h"

#define PREFIX "fpt_"

enum st web_console_make(const char *store, uint8_t hash[WIRE_HASH_BYTES], struct err *e)
{
    uint8_t random[WIRE_HASH_BYTES];
    char text[WEB_TOKEN_TEXT] = PREFIX;
    struct buf b;
    ERR_TRY(wire_random(random, sizeof random, e));
    wire_hex(random, sizeof random, text + strlen(PREFIX));
    wire_sha256(text, strlen(text), hash);
    buf_init(&b, sizeof text);
    enum st st = buf_put(&b, text, strlen(text));
    st = st == ST_OK ? web_kept_write(store, WEB_CONSOLE, &b, e) : err_set(e, st, "web: no memory");
    buf_done(&b);
    explicit_bzero(text, sizeof text);
    explicit_bzero(random, sizeof random);
    return st;
}

enum st web_console_read(const char *store, char text[WEB_TOKEN_TEXT], struct err *e)
{
    char kept[WEB_TOKEN_TEXT + 1];
    enum st st = web_kept_read(store, WEB_CONSOLE, kept, sizeof kept, e);
    if (st == ST_NOT_FOUND)
        return err_set(e, st,
                       "no gateway with a page runs on the store %s: start `fieldpost run` with "
                       "web.listen, in the folder of this call when store.path is a relative one",
                       store);
    ERR_TRY(st);
    (void)snprintf(text, WEB_TOKEN_TEXT, "%s", kept);
    return ST_OK;
}
