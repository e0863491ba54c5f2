/* What a JSON text is held against before a parser reads it. Pure, any thread. */
#ifndef GATEWAY_BASE_DEPTH_H
#define GATEWAY_BASE_DEPTH_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it nests `most` objects and arrays at the most: jansson goes down for each bracket, and
 * our threads have small stacks. What is no JSON may pass: the parser refuses it. */
bool depth_fits(const char *p, size_t n, unsigned most);

#endif
