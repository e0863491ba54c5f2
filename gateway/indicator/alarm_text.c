/* Words of alarms: what is kept of one, names, and text for telephones. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/alarm_int.h"

/* ---- Vietnamese without marks --------------------------------------------------------------- */

/* Runs of Unicode's letters that differ in marks alone; where `pairs`, each second one is small. */
static const struct {
    uint16_t from, to;
    char large, small;
    bool pairs;
} letters[] = {
    {0xc0, 0xc3, 'A', 'A', false},    {0xc8, 0xca, 'E', 'E', false},
    {0xcc, 0xcd, 'I', 'I', false},    {0xd2, 0xd5, 'O', 'O', false},
    {0xd9, 0xda, 'U', 'U', false},    {0xdd, 0xdd, 'Y', 'Y', false},
    {0xe0, 0xe3, 'a', 'a', false},    {0xe8, 0xea, 'e', 'e', false},
    {0xec, 0xed, 'i', 'i', false},    {0xf2, 0xf5, 'o', 'o', false},
    {0xf9, 0xfa, 'u', 'u', false},    {0xfd, 0xfd, 'y', 'y', false},
    {0x102, 0x103, 'A', 'a', true},   {0x110, 0x111, 'D', 'd', true},
    {0x128, 0x129, 'I', 'i', true},   {0x168, 0x169, 'U', 'u', true},
    {0x1a0, 0x1a1, 'O', 'o', true},   {0x1af, 0x1af, 'U', 'U', false},
    {0x1b0, 0x1b0, 'u', 'u', false},  {0x1ea0, 0x1eb7, 'A', 'a', true},
    {0x1eb8, 0x1ec7, 'E', 'e', true}, {0x1ec8, 0x1ecb, 'I', 'i', true},
    {0x1ecc, 0x1ee3, 'O', 'o', true}, {0x1ee4, 0x1ef1, 'U', 'u', true},
    {0x1ef2, 0x1ef9, 'Y', 'y', true},
};

/* '\0': it is left out. Of ASCII what the GSM alphabet has in its first table. */
static char plain(uint32_t c)
{
    if (c >= ' ' && c < 0x7f)
        return strchr("[]{}\\^~|`", (int)c) ? '?' : (char)c;
    if (c >= 0x300 && c < 0x370) /* marks of their own */
        return '\0';
    if (c < ' ')
        return ' ';
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (c >= letters[i].from && c <= letters[i].to)
            return letters[i].pairs && (c - letters[i].from) % 2 ? letters[i].small
                                                                 : letters[i].large;
    return '?';
}

void alarm_plain(char *out, size_t size, const char *utf8)
{
    const unsigned char *p = (const unsigned char *)utf8;
    size_t n = 0;
    while (*p && n + 1 < size) {
        size_t more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t c = more == 0 ? *p : *p & (0x3fU >> more);
        for (p++; more > 0 && (*p & 0xc0) == 0x80; more--)
            c = c << 6 | (*p++ & 0x3f);
        char to = plain(more ? 0xfffd : c);
        if (to)
            out[n++] = to;
    }
    out[n] = '\0';
}

void alarm_cut(char *utf8, size_t bytes)
{
    if (strlen(utf8) <= bytes)
        return;
    while (bytes > 0 && ((unsigned char)utf8[bytes] & 0xc0) == 0x80)
        bytes--;
    utf8[bytes] = '\0';
}

/* ---- names ---------------------------------------------------------------------------------- */

const char *alarm_name_wrong(const char *by)
{
    size_t n = strlen(by);
    if (n == 0 || n >= ALARM_NAME_BYTES)
        return "a name has 1 to 64 bytes";
    for (const char *p = by; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return "a name has no control characters";
    return NULL;
}

/* ---- what is kept --------------------------------------------------------------------------- */

void alarm_kept_text(const struct alarm_kept *k, char out[STORE_NOTE_BYTES])
{
    (void)snprintf(out, STORE_NOTE_BYTES, "%d %" PRId64 " %" PRId64 " %s", (int)k->state,
                   k->since_ms, k->known_ms, k->by);
}

/* A number and the blank behind it. */
static bool take(const char **at, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(*at, &end, 10);
    bool good = errno == 0 && end != *at && *end == ' ' && v >= 0 && v <= max;
    *out = good ? v : 0;
    *at = good ? end + 1 : "";
    return good;
}

bool alarm_kept_read(const char *text, struct alarm_kept *out)
{
    int64_t state = 0;
    *out = (struct alarm_kept){.state = ALARM_QUIET};
    bool good = take(&text, ALARM_STATES - 1, &state) && take(&text, INT64_MAX, &out->since_ms) &&
                take(&text, INT64_MAX, &out->known_ms) && strlen(text) < sizeof out->by;
    if (!good) {
        *out = (struct alarm_kept){.state = ALARM_QUIET};
        return false;
    }
    out->state = (enum alarm_state)state;
    (void)snprintf(out->by, sizeof out->by, "%s", text);
    return true;
}
