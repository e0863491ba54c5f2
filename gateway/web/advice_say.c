/* A piece of advice in words: the page's own tables, for who has no page. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/web/advice_int.h"

static void append(char *out, const char *text, size_t n)
{
    size_t at = strlen(out);
    if (at + n < WEB_SENTENCE_BYTES) {
        memcpy(out + at, text, n);
        out[at + n] = '\0';
    }
}

/* Thousands apart, as the page writes them. */
static void fill_number(char *out, json_int_t v, char between)
{
    char digits[32];
    size_t n = (size_t)snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, v);
    for (size_t i = 0; i < n; i++) {
        append(out, &digits[i], 1);
        if (digits[i] != '-' && i + 1 < n && (n - i - 1) % 3 == 0)
            append(out, &between, 1);
    }
}

static void fill(char *out, const json_t *v, char between)
{
    char text[WEB_PARAM_BYTES] = "";
    if (json_is_integer(v))
        fill_number(out, json_integer_value(v), between);
    else if (json_is_string(v))
        web_plain(text, sizeof text, json_string_value(v));
    append(out, text, strlen(text));
}

/* Once through: a value that looks like a blank stays what it is. */
static bool say(const json_t *words, const char *code, const char *more, const json_t *params,
                char between, char out[WEB_SENTENCE_BYTES])
{
    char key[80];
    (void)snprintf(key, sizeof key, "advice.%.48s%s", code, more);
    const char *p = json_string_value(json_object_get(words, key));
    out[0] = '\0';
    if (!p)
        return false;
    while (*p) {
        size_t n = strcspn(p, "{"), name = p[n] ? strcspn(p + n, "}") : 0;
        append(out, p, n);
        p += n;
        if (!*p)
            break;
        (void)snprintf(key, sizeof key, "%.*s", (int)name - 1, p + 1);
        fill(out, json_object_get(params, key), between);
        p += name + (p[name] == '}');
    }
    return true;
}

bool web_say(const char *language, const void *json, char sentence[WEB_SENTENCE_BYTES],
             char next[WEB_SENTENCE_BYTES])
{
    const char *code = json_string_value(json_object_get(json, "code"));
    const json_t *params = json_object_get(json, "params");
    json_t *words = web_language_open(language);
    char between = strcmp(language, "vi") == 0 ? '.' : ',';
    bool done = words && code && say(words, code, "", params, between, sentence) &&
                say(words, code, ".next", params, between, next);
    web_language_close(words);
    return done;
}
