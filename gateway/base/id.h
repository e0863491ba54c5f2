/* Names that stand in the configuration, in batches, in paths and in addresses. */
#ifndef GATEWAY_BASE_ID_H
#define GATEWAY_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_MAX_BYTES 64
/* Whether these n bytes are an id: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64. Pure. */
bool id_is(const void *p, size_t n);
bool id_is_text(const char *text); /* the same for a text */

/* FNV-1a of 64 bits over n bytes more, to be begun with ID_HASH: the same on every machine
 * and in every version, so what hangs on it lasts. It keeps no secret. Pure. */
#define ID_HASH UINT64_C(14695981039346656037)
uint64_t id_hash(uint64_t h, const void *p, size_t n);

#endif
