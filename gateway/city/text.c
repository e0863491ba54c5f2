#include <string.h>

#include "gateway/city/city_int.h"

/* What a terminal would obey: a gateway's words are shown to people, and a gateway may be in wrong
 * hands. Bytes of it; U+0080 to U+009F are two. */
static size_t control(const unsigned char *p)
{
    return p[0] < 0x20 || p[0] == 0x7f ? 1 : p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

static enum st put_control(struct buf *out, const unsigned char *p, size_t n, bool json)
{
    if (json)
        return buf_printf(out, "\\u%04x", n == 2 ? p[1] : p[0]);
    return buf_put(out, strchr("\t\r\n", p[0]) != NULL ? (const char *)p : "?", 1);
}

enum st city_put_text(struct buf *out, const char *text, bool json)
{
    bool quoted = json || strpbrk(text, ",\"\r\n") != NULL;
    bool formula = !json && text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
    enum st st = quoted ? buf_put(out, "\"", 1) : ST_OK;

    if (st == ST_OK && formula) /* a spreadsheet would work out what somebody typed */
        st = buf_put(out, "'", 1);

    for (const unsigned char *p = (const unsigned char *)text; st == ST_OK && *p != '\0';) {
        size_t n = control(p);
        if (n > 0)
            st = put_control(out, p, n, json);
        else if (*p == '"' || (json && *p == '\\'))
            st = buf_printf(out, json ? "\\%c" : "\"%c", *p);
        else
            st = buf_put(out, p, 1);
        p += n > 0 ? n : 1;
    }
    return st == ST_OK && quoted ? buf_put(out, "\"", 1) : st;
}
