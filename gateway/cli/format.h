/* Private to the CLI: the forms in which `export` prints readings on standard output. */
#ifndef GATEWAY_CLI_FORMAT_H
#define GATEWAY_CLI_FORMAT_H

#include "gateway/wire/wire.h"

struct format_row {
    const char *gw, *series;
    const char *chain; /* NULL: no batch holds it yet */
    uint64_t seq;
    const struct wire_reading *reading;
};
struct format {
    const char *name;
    const char *head, *between, *tail; /* around all rows, and before each but the first */
    void (*row)(const struct format_row *r);
};
/* NULL when there is none of that name. */
const struct format *format_find(const char *name);

#endif
