/* What a stranger says at the door, on any bytes: the first says whether the rest is a Cookie
 * header, the JSON of a sign-in or of a new user, or a claim code. Beside the sanitizers: what is
 * taken has the form that the next step relies on. */
// uses: web
// seeds: tests/fuzz/corpus/login/*
#include <stdlib.h>
#include <string.h>

#include "gateway/web/web_int.h"
#include "tests/fuzz/fuzz.h"

static void cookie(const char *text)
{
    char id[WEB_SESSION_HEX + 1];
    struct web_session all[WEB_SESSIONS] = {0};
    if (!web_cookie_read(text, id)) {
        return;
    }
    demand(strlen(id) == WEB_SESSION_HEX && strspn(id, "0123456789abcdef") == WEB_SESSION_HEX);
    demand(strstr(text, id));
    demand(!web_session_find(all, id, (struct mono){1000}, true));
    bool rare = id[0] == '7' && strncmp(text, "__Host-fp_", 10) != 0; /* behind another cookie */
    (void)rare;
    PLANT(rare);
}

static void json(const char *text, size_t n)
{
    const char *name = NULL, *password = NULL, *role = NULL;
    int64_t days = -1;
    const struct web_word words[] = {{"name", &name, NULL, true},
                                     {"password", &password, NULL, true},
                                     {"role", &role, NULL, false},
                                     {"days", NULL, &days, false},
                                     {NULL, NULL, NULL, false}};
    struct err e = {.text = ""};
    void *root = NULL;
    enum st st = web_words_read(&root, words, text, n, &e);
    demand(st == ST_OK || ((st == ST_BAD || st == ST_REFUSED) && e.text[0]));
    if (st == ST_OK) {
        demand(name && password);
        demand(web_password_check(password, name, NULL) != ST_OK ||
               (strlen(password) >= WEB_PASSWORD_MIN && strlen(password) <= WEB_PASSWORD_MAX));
    }
    web_words_done(root);
}

static void code(const char *text)
{
    char symbols[WEB_CLAIM_SYMBOLS + 1];
    if (wire_code_read(text, WEB_CLAIM_SYMBOLS, symbols, NULL) == ST_OK) {
        demand(strlen(symbols) == WEB_CLAIM_SYMBOLS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n - 1 > WEB_ASK_MAX) {
        return 0;
    }
    char *text = malloc(n); /* of exactly this size: a byte too far is seen */
    demand(text);
    memcpy(text, data + 1, n - 1);
    text[n - 1] = '\0';
    if (data[0] == 'c') {
        cookie(text);
    } else if (data[0] == 'j') {
        json(text, n - 1);
    } else {
        code(text);
    }
    free(text);
    return 0;
}
