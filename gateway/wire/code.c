/* Codes for people: what a label carries and somebody types. */
#include <ctype.h>

#include "gateway/wire/wire_int.h"

static const char symbols[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford: no I, L, O, U */

/* times x in GF(32), modulo x^5 + x^2 + 1 */
static unsigned twice(unsigned v)
{
    return v & 16 ? ((v << 1) ^ 0x25) & 31 : v << 1;
}

/* Every symbol has a weight of its own among the powers of x, which has order 31: one wrong symbol,
 * or any two that changed places, cannot give the same sum. */
static unsigned sum(const uint8_t *v, size_t n)
{
    unsigned s = 0;

    for (size_t i = 0; i < n; i++)
        s = twice(s) ^ v[i];
    return s;
}

void wire_code_write(const uint8_t *bytes, size_t n, char *out)
{
    uint8_t v[WIRE_CODE_MAX] = {0};

    for (size_t i = 0; i + 1 < n; i++) {
        for (size_t bit = 5 * i; bit < 5 * i + 5; bit++)
            v[i] = (uint8_t)(v[i] << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1));
    }
    v[n - 1] = (uint8_t)twice(sum(v, n - 1));
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && i % 4 == 0)
            *out++ = '-';
        *out++ = symbols[v[i]];
    }
    *out = '\0';
}

/* What people write for what they read. */
static char meant(char c)
{
    c = (char)toupper((unsigned char)c);
    return c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
}

enum st wire_code_read(const char *text, size_t n, char *out, struct err *e)
{
    uint8_t v[WIRE_CODE_MAX] = {0};
    size_t got = 0, all = 0;

    for (; *text != '\0'; text++) {
        if (strchr(" -\t\r\n", *text))
            continue;
        char c = meant(*text);
        const char *at = strchr(symbols, c);
        if (!at)
            return err_set(e, ST_BAD, "character %zu is none that a code has: read it again",
                           all + 1);
        if (got < n) {
            v[got] = (uint8_t)(at - symbols);
            out[got++] = c;
        }
        all++;
    }
    out[got] = '\0';
    if (all != n)
        return err_set(e, ST_BAD, "%zu characters, it has %zu", all, n);
    if (sum(v, n) != 0)
        return err_set(e, ST_BAD, "mistyped: its check character does not fit");
    return ST_OK;
}
