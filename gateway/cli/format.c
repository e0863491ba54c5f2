#include "gateway/cli/format.h"

#include <stdio.h>
#include <string.h>

static void csv_row(const struct format_row *r)
{
    char value[NUM_TEXT_BYTES];
    (void)printf("%s,%lld,%s,%u,", r->series, (long long)r->reading->t_ms,
                 num_text(r->reading->v, value), (unsigned)r->reading->q);
    if (r->chain) {
        (void)printf("%s,%llu\n", r->chain, (unsigned long long)r->seq);
    } else {
        (void)puts(",");
    }
}

static void jsonl_row(const struct format_row *r)
{
    char value[NUM_TEXT_BYTES];
    /* names are letters, digits and ._- only: nothing to escape */
    (void)printf("{\"series\":\"%s\",\"ts_ms\":%lld,\"value\":%s,\"quality\":%u,", r->series,
                 (long long)r->reading->t_ms, num_text(r->reading->v, value),
                 (unsigned)r->reading->q);
    if (r->chain) {
        (void)printf("\"chain\":\"%s\",\"seq\":%llu}\n", r->chain, (unsigned long long)r->seq);
    } else {
        (void)puts("\"chain\":null,\"seq\":null}");
    }
}

/* A JSON string; what comes is valid UTF-8. */
static void put_string(struct wire_span s)
{
    (void)putchar('"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ') {
            (void)printf("\\u%04x", (unsigned)s.p[i]);
            continue;
        }
        if (s.p[i] == '"' || s.p[i] == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(s.p[i]);
    }
    (void)putchar('"');
}

/* RFC 8428 section 5, resolved (4.6): each record stands for itself. */
static void senml_row(const struct format_row *r)
{
    char value[NUM_TEXT_BYTES], t[NUM_TEXT_BYTES];
    (void)printf("{\"n\":\"%s/%s\",", r->gw, r->series);
    if (r->reading->unit.p) {
        (void)fputs("\"u\":", stdout);
        put_string(r->reading->unit);
        (void)putchar(',');
    }
    (void)printf("\"v\":%s,\"t\":%s", num_text(r->reading->v, value),
                 num_text(num_dec(r->reading->t_ms, -3), t));
    if (r->reading->q) {
        (void)printf(",\"q\":%u", (unsigned)r->reading->q);
    }
    (void)putchar('}');
}

static const struct format formats[] = {
    {"csv", "series,ts_ms,value,quality,chain,seq\n", "", "", csv_row},
    {"jsonl", "", "", "", jsonl_row},
    {"senml", "[\n", ",\n", "\n]\n", senml_row},
};

const struct format *format_find(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}
