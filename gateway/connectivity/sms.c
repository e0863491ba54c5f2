/* An SMS as the modem keeps it: 3GPP TS 23.040 (SMS-DELIVER) and 23.038 (alphabets). No library of
 * Debian reads one without a whole phone manager (decision 0052). */
#include "gateway/connectivity/modem_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PDU_BYTES 200 /* 12 of the service centre, 164 of the message, and some */
#define SHORT_MIN 3   /* digits of a number that an operator or a service sends by */
#define SHORT_MAX 6
#define REPLACED 0xfffd

/* ---- characters ----------------------------------------------------------------------------- */

struct out {
    char *p;
    size_t n, size;
    bool full;
};

/* Ends of lines are blanks, and what steers a terminal or turns text around is left out. */
static bool is_left_out(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static void put(struct out *o, uint32_t c)
{
    char b[4];
    size_t n;
    c = c == '\n' ? ' ' : c;
    if (is_left_out(c))
        return;
    if (c < 0x80) {
        b[0] = (char)c;
        n = 1;
    } else {
        n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--, c >>= 6)
            b[i] = (char)(0x80 | (c & 0x3f));
        b[0] = (char)((0xf00U >> n & 0xf0U) | c);
    }
    o->full |= o->n + n >= o->size;
    if (o->full)
        return;
    memcpy(o->p + o->n, b, n);
    o->n += n;
    o->p[o->n] = '\0';
}

void connectivity_text_copy(char *out, size_t size, const char *utf8)
{
    struct out o = {.p = out, .size = size};
    const unsigned char *p = (const unsigned char *)utf8;
    out[0] = '\0';
    while (*p) {
        size_t more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t c = more == 0 ? *p : *p & (0x3fU >> more);
        bool good = *p < 0x80 || more > 0;
        p++;
        for (; more > 0 && (*p & 0xc0) == 0x80; more--)
            c = c << 6 | (*p++ & 0x3f);
        put(&o, good && more == 0 && c < 0x110000 ? c : REPLACED);
    }
}

/* 23.038, 6.2.1: the default alphabet; 0x1b leads to the extension. */
static const uint16_t alphabet[128] = {
    '@',   0xa3, '$',  0xa5,  0xe8, 0xe9,  0xf9,  0xec,  0xf2,  0xc7,  '\n',  0xd8,  0xf8,
    '\r',  0xc5, 0xe5, 0x394, '_',  0x3a6, 0x393, 0x39b, 0x3a9, 0x3a0, 0x3a8, 0x3a3, 0x398,
    0x39e, 0xa0, 0xc6, 0xe6,  0xdf, 0xc9,  ' ',   '!',   '"',   '#',   0xa4,  '%',   '&',
    '\'',  '(',  ')',  '*',   '+',  ',',   '-',   '.',   '/',   '0',   '1',   '2',   '3',
    '4',   '5',  '6',  '7',   '8',  '9',   ':',   ';',   '<',   '=',   '>',   '?',   0xa1,
    'A',   'B',  'C',  'D',   'E',  'F',   'G',   'H',   'I',   'J',   'K',   'L',   'M',
    'N',   'O',  'P',  'Q',   'R',  'S',   'T',   'U',   'V',   'W',   'X',   'Y',   'Z',
    0xc4,  0xd6, 0xd1, 0xdc,  0xa7, 0xbf,  'a',   'b',   'c',   'd',   'e',   'f',   'g',
    'h',   'i',  'j',  'k',   'l',  'm',   'n',   'o',   'p',   'q',   'r',   's',   't',
    'u',   'v',  'w',  'x',   'y',  'z',   0xe4,  0xf6,  0xf1,  0xfc,  0xe0};
#define ESCAPE 0x1b

static uint32_t extended(unsigned c)
{
    static const struct {
        uint8_t from;
        uint16_t to;
    } rows[] = {{0x0a, '\n'}, {0x14, '^'}, {0x28, '{'}, {0x29, '}'}, {0x2f, '\\'},
                {0x3c, '['},  {0x3d, '~'}, {0x3e, ']'}, {0x40, '|'}, {0x65, 0x20ac}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].from == c)
            return rows[i].to;
    return alphabet[c]; /* as 23.038 wants it for a character that is not known */
}

/* `n` septets from bit `at` on; whoever calls has seen that the bytes are there. */
static void put_septets(struct out *o, const uint8_t *p, size_t at, size_t n)
{
    bool escaped = false;
    for (size_t i = 0; i < n; i++, at += 7) {
        unsigned c = (unsigned)p[at / 8] >> at % 8;
        if (at % 8 > 1)
            c |= (unsigned)p[at / 8 + 1] << (8 - at % 8);
        c &= 0x7f;
        if (!escaped && c == ESCAPE) {
            escaped = true;
            continue;
        }
        put(o, escaped ? extended(c) : alphabet[c]);
        escaped = false;
    }
}

/* UCS-2, and UTF-16 for those who send it. */
static void put_wide(struct out *o, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint32_t c = (uint32_t)p[i] << 8 | p[i + 1];
        uint32_t next = i + 3 < n ? (uint32_t)p[i + 2] << 8 | p[i + 3] : 0;
        if (c >= 0xd800 && c < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
            i += 2;
        }
        put(o, c >= 0xd800 && c < 0xe000 ? REPLACED : c);
    }
}

/* ---- fields of the message ------------------------------------------------------------------ */

struct in {
    const uint8_t *p;
    size_t n;
    bool short_; /* it ended too soon */
};

/* The next n bytes; NULL: there are not so many. */
static const uint8_t *next(struct in *in, size_t n)
{
    const uint8_t *p = in->p;
    in->short_ |= n > in->n;
    if (in->short_)
        return NULL;
    in->p += n;
    in->n -= n;
    return p;
}

static unsigned byte(struct in *in)
{
    const uint8_t *p = next(in, 1);
    return p ? *p : 0;
}

/* An address: a name in septets, or digits. */
static void from_read(struct in *in, char *out, size_t size)
{
    struct out o = {.p = out, .size = size};
    unsigned digits = byte(in), type = byte(in);
    const uint8_t *p = next(in, (digits + 1) / 2);
    out[0] = '\0';
    if (!p || digits > 20) { /* 23.040: ten bytes at most */
        in->short_ = true;
        return;
    }
    if ((type & 0x70) == 0x50) {
        put_septets(&o, p, 0, digits * 4 / 7);
        return;
    }
    if ((type & 0x70) == 0x10)
        put(&o, '+');
    for (unsigned i = 0; i < digits; i++)
        put(&o, (uint32_t) "0123456789*#abc?"[i % 2 ? p[i / 2] >> 4 : p[i / 2] & 15]);
}

/* Days and hours within their ranges, or 0. */
static int64_t utc_of(struct tm t, int offset_min)
{
    if (t.tm_mon < 0 || t.tm_mon > 11 || t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour < 0 ||
        t.tm_hour > 23 || t.tm_min < 0 || t.tm_min > 59 || t.tm_sec < 0 || t.tm_sec > 60)
        return 0;
    return ((int64_t)timegm(&t) - offset_min * 60) * 1000;
}

/* Seven pairs of digits, the lower half first; the last is quarters of an hour and a sign. */
static int64_t stamp_read(struct in *in)
{
    int v[7];
    const uint8_t *p = next(in, 7);
    for (size_t i = 0; i < 7; i++) {
        unsigned low = p ? p[i] & (i == 6 ? 7 : 15) : 15, high = p ? p[i] >> 4 : 15;
        if (low > 9 || high > 9)
            return 0;
        v[i] = (int)(low * 10 + high);
    }
    int offset_min = v[6] * 15 * (p[6] & 8 ? -1 : 1);
    const struct tm t = {.tm_year = 100 + v[0],
                         .tm_mon = v[1] - 1,
                         .tm_mday = v[2],
                         .tm_hour = v[3],
                         .tm_min = v[4],
                         .tm_sec = v[5]};
    return utc_of(t, offset_min);
}

/* n digits, with what stands before them ('\0': nothing). */
static bool digits(const char **at, char before, int n, int *out)
{
    const char *p = *at;
    if (before && *p++ != before)
        return false;
    for (*out = 0; n > 0; n--, p++) {
        if (*p < '0' || *p > '9')
            return false;
        *out = *out * 10 + (*p - '0');
    }
    *at = p;
    return true;
}

int64_t connectivity_sms_time(const char *text)
{
    int y, mo, d, h, mi, s, oh = 0, om = 0;
    if (!digits(&text, '\0', 4, &y) || !digits(&text, '-', 2, &mo) || !digits(&text, '-', 2, &d) ||
        !digits(&text, 'T', 2, &h) || !digits(&text, ':', 2, &mi) || !digits(&text, ':', 2, &s) ||
        y < 2000 || y > 2999)
        return 0;
    char sign = *text;
    if (sign == '+' || sign == '-') {
        if (!digits(&text, sign, 2, &oh) || oh > 23)
            return 0;
        if (*text == ':' && (!digits(&text, ':', 2, &om) || om > 59))
            return 0;
    }
    const struct tm t = {.tm_year = y - 1900,
                         .tm_mon = mo - 1,
                         .tm_mday = d,
                         .tm_hour = h,
                         .tm_min = mi,
                         .tm_sec = s};
    return utc_of(t, (sign == '-' ? -1 : 1) * (oh * 60 + om));
}

enum coding { SEPTETS, BYTES, WIDE };

/* TP-DCS (23.038, 4); what is compressed is taken for bytes. */
static enum coding coding_of(unsigned dcs)
{
    static const enum coding by_bits[] = {SEPTETS, BYTES, WIDE, SEPTETS};
    if (dcs < 0x80)
        return dcs & 0x20 ? BYTES : by_bits[dcs >> 2 & 3];
    if (dcs >= 0xf0)
        return dcs & 4 ? BYTES : SEPTETS;
    return dcs >= 0xe0 ? WIDE : SEPTETS;
}

/* The header before the text: which part of which message it is. */
static void parts_read(const uint8_t *p, size_t n, struct connectivity_sms *out)
{
    for (size_t i = 0; i + 2 <= n && i + 2 + p[i + 1] <= n; i += 2U + p[i + 1]) {
        const uint8_t *v = p + i + 2;
        bool wide = p[i] == 8 && p[i + 1] == 4;
        if (!wide && !(p[i] == 0 && p[i + 1] == 3))
            continue;
        const uint8_t *k = v + (wide ? 2 : 1);
        if (k[0] == 0 || k[1] == 0 || k[1] > k[0])
            continue;
        out->ref = (uint16_t)(wide ? v[0] << 8 | v[1] : v[0]);
        out->of = k[0];
        out->part = k[1];
    }
}

static bool text_read(struct in *in, enum coding coding, bool headed, struct connectivity_sms *out)
{
    struct out o = {.p = out->text, .size = sizeof out->text};
    size_t length = byte(in), bytes = coding == SEPTETS ? (length * 7 + 7) / 8 : length;
    const uint8_t *p = next(in, bytes);
    size_t header = p && headed && bytes > 0 ? p[0] + 1U : 0;
    if (!p || header > bytes || coding == BYTES)
        return false;
    if (header > 0)
        parts_read(p + 1, header - 1, out);
    size_t skip = (header * 8 + 6) / 7; /* the text begins at a septet */
    if (coding == WIDE)
        put_wide(&o, p + header, bytes - header);
    else if (length > skip)
        put_septets(&o, p, skip * 7, length - skip);
    return true;
}

static int hex_of(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool connectivity_sms_read(const char *hex, struct connectivity_sms *out)
{
    uint8_t pdu[PDU_BYTES];
    size_t n = strlen(hex);
    *out = (struct connectivity_sms){.part = 1, .of = 1};
    if (n % 2 || n / 2 > sizeof pdu)
        return false;
    for (size_t i = 0; i < n / 2; i++) {
        int high = hex_of(hex[2 * i]), low = hex_of(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        pdu[i] = (uint8_t)(high << 4 | low);
    }
    struct in in = {.p = pdu, .n = n / 2};
    (void)next(&in, byte(&in)); /* the service centre */
    unsigned first = byte(&in);
    if (in.short_ || (first & 3) != 0) /* SMS-DELIVER alone */
        return false;
    from_read(&in, out->from, sizeof out->from);
    (void)byte(&in); /* TP-PID */
    enum coding coding = coding_of(byte(&in));
    out->at_ms = stamp_read(&in);
    return !in.short_ && text_read(&in, coding, first & 0x40, out);
}

bool connectivity_sms_operator(const char *from)
{
    size_t n = strlen(from), digits = strspn(from, "0123456789");
    bool letters = false;
    for (size_t i = 0; i < n; i++)
        letters |= isalpha((unsigned char)from[i]) != 0;
    if (digits == n)
        return n >= SHORT_MIN && n <= SHORT_MAX;
    return letters && from[0] != '+';
}
