/* The body of a request: a flat JSON object of the words that its kind takes. The rules for words
 * are the store's, the same as for the command line. */
#include "gateway/base/depth.h"
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define DEPTH_MAX 2 /* an object, and `details` in it */

/* The parser copies texts as it goes, and a password is one. */
void web_json_wipes(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&done))
        json_set_alloc_funcs(malloc, buf_wipe_free);
}

enum st web_json_read(void **json, const void *body, size_t n, struct err *e)
{
    json_error_t why;
    if (n == 0)
        return err_set(e, ST_BAD, "an empty body: an object belongs here");
    if (!depth_fits(body, n, DEPTH_MAX))
        return err_set(e, ST_BAD, "an object of words and, in it, `details`: nothing deeper");
    *json = json_loadb(body, n, JSON_REJECT_DUPLICATES, &why);
    if (!*json)
        return err_set(e, ST_BAD, "line %d, column %d: %s", why.line, why.column, why.text);
    return json_is_object((json_t *)*json) ? ST_OK
                                           : err_set(e, ST_BAD, "an object belongs here: {…}");
}

/* The text of a member; a whole number or a truth, where it may be one, becomes its text. Decimals
 * must be texts: a number would pass through binary64 on its way. */
static enum st text_of(json_t *object, void *member, bool number, bool flag, const char **out,
                       struct err *e)
{
    const char *key = json_object_iter_key(member);
    const json_t *v = json_object_iter_value(member);
    if ((number && json_is_integer(v)) || (flag && json_is_boolean(v))) {
        json_t *text = json_is_integer(v)
                           ? json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(v))
                           : json_string(json_is_true(v) ? "true" : "false");
        if (!text || json_object_iter_set_new(object, member, text) != 0)
            return err_set(e, ST_MEMORY, "no memory for the request");
        v = text;
    }
    *out = json_string_value(v);
    if (*out)
        return ST_OK;
    return err_set(e, ST_REFUSED, "%.40s: %s", key,
                   number ? "a text belongs here, or a whole number: write \"0.1\", not 0.1"
                   : flag ? "true or false belongs here"
                          : "a text belongs here");
}

static enum st read_details(struct store_ask *a, json_t *details, struct err *e)
{
    if (a->kind != STORE_MAINTAIN || !json_is_object(details))
        return err_set(e, ST_REFUSED, "details: %s",
                       a->kind == STORE_MAINTAIN ? "an object of texts belongs here"
                                                 : "no such word here");
    if (json_object_size(details) > STORE_ASK_DETAILS)
        return err_set(e, ST_REFUSED, "details: at most %d", STORE_ASK_DETAILS);
    for (void *m = json_object_iter(details); m; m = json_object_iter_next(details, m)) {
        struct store_ask_detail *d = &a->detail[a->details++];
        d->key = json_object_iter_key(m);
        ERR_TRY(text_of(details, m, true, false, &d->value, e));
    }
    return ST_OK;
}

enum st web_ask_read(struct web_ask *out, enum store_ask_kind kind, const void *body, size_t n,
                     struct err *e)
{
    *out = (struct web_ask){.ask.kind = kind};
    enum st st = web_json_read(&out->json, body, n, e);
    json_t *root = out->json;
    for (void *m = st == ST_OK ? json_object_iter(root) : NULL; m && st == ST_OK;
         m = json_object_iter_next(root, m)) {
        const char *key = json_object_iter_key(m);
        const struct store_ask_word *w = store_ask_word_of(kind, key);
        if (w)
            st = text_of(root, m, w->number, w->flag, store_ask_at(&out->ask, w), e);
        else if (strcmp(key, "details") == 0)
            st = read_details(&out->ask, json_object_iter_value(m), e);
        else
            st = err_set(e, ST_REFUSED, "%.40s: no such word here", key);
    }
    return st;
}

void web_ask_done(struct web_ask *a)
{
    json_decref(a->json);
    a->json = NULL;
}

enum st web_words_read(void **json, const struct web_word *words, const void *body, size_t n,
                       struct err *e)
{
    *json = NULL;
    ERR_TRY(web_json_read(json, body, n, e));
    for (void *m = json_object_iter(*json); m; m = json_object_iter_next(*json, m)) {
        const struct web_word *w = words;
        const json_t *v = json_object_iter_value(m);
        while (w->key && strcmp(w->key, json_object_iter_key(m)) != 0)
            w++;
        if (!w->key)
            return err_set(e, ST_REFUSED, "%.40s: no such word here", json_object_iter_key(m));
        if (w->text ? !json_is_string(v) : !json_is_integer(v))
            return err_set(e, ST_REFUSED, "%s: a %s belongs here", w->key,
                           w->text ? "text" : "whole number");
        if (w->text)
            *w->text = json_string_value(v);
        else
            *w->number = json_integer_value(v);
    }
    for (const struct web_word *w = words; w->key; w++)
        if (w->needed && w->text && !*w->text)
            return err_set(e, ST_REFUSED, "%s: is missing", w->key);
    return ST_OK;
}

void web_words_done(void *json)
{
    json_decref(json);
}
