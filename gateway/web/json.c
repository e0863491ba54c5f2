/* JSON (RFC 8259), written straight into the answer: a tree in between would cost several times
 * its text, and numbers keep all their digits. */
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <string.h>

void web_json_begin(struct web_json *j, struct buf *out)
{
    *j = (struct web_json){.out = out};
}

enum st web_json_end(struct web_json *j)
{
    return j->st;
}

static void put(struct web_json *j, const void *p, size_t n)
{
    if (j->st == ST_OK)
        j->st = buf_put(j->out, p, n);
}

size_t web_utf8_length(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n == 0 || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) /* stops at the NUL, too */
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* How much of it goes out as it is, at once. */
static size_t plain(const unsigned char *p)
{
    size_t n = 0;
    while (p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' && p[n] != '\\')
        n++;
    return n;
}

static void put_string(struct web_json *j, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    put(j, "\"", 1);
    for (;;) {
        size_t run = plain(p);
        put(j, p, run);
        p += run;
        if (!*p)
            break;
        size_t n = web_utf8_length((const char *)p);
        if (n == 0) { /* a message cut within a character */
            put(j, "\xef\xbf\xbd", 3);
            p++;
            continue;
        }
        if (*p == '"' || *p == '\\') {
            put(j, "\\", 1);
            put(j, p, 1);
        } else if (*p < 0x20 || *p == 0x7f) {
            if (j->st == ST_OK)
                j->st = buf_printf(j->out, "\\u%04x", *p);
        } else {
            put(j, p, n);
        }
        p += n;
    }
    put(j, "\"", 1);
}

static void name(struct web_json *j, const char *key)
{
    if (j->comma)
        put(j, ",", 1);
    j->comma = true;
    if (key) {
        put_string(j, key);
        put(j, ":", 1);
    }
}

void web_json_open(struct web_json *j, const char *key, char bracket)
{
    name(j, key);
    put(j, &bracket, 1);
    j->comma = false;
}

void web_json_close(struct web_json *j, char bracket)
{
    put(j, &bracket, 1);
    j->comma = true;
}

void web_json_text(struct web_json *j, const char *key, const char *text)
{
    name(j, key);
    if (text)
        put_string(j, text);
    else
        put(j, "null", 4);
}

void web_json_int(struct web_json *j, const char *key, int64_t v)
{
    name(j, key);
    if (j->st == ST_OK)
        j->st = buf_printf(j->out, "%" PRId64, v);
}

void web_json_bool(struct web_json *j, const char *key, bool v)
{
    name(j, key);
    put(j, v ? "true" : "false", v ? 4 : 5);
}

void web_json_num(struct web_json *j, const char *key, struct num v)
{
    char text[NUM_TEXT_BYTES];
    name(j, key);
    const char *digits = v.kind == NUM_NONE ? "null" : num_text(v, text);
    put(j, digits, strlen(digits));
}
