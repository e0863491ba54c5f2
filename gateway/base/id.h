/* Names that stand in the configuration, in batches, in paths and in addresses. */
#ifndef GATEWAY_BASE_ID_H
#define GATEWAY_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>

#define ID_MAX_BYTES 64
/* Whether these n bytes are an id: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64. Pure. */
bool id_is(const void *p, size_t n);
bool id_is_text(const char *text); /* the same for a text */

#endif
