/* What tests that also run on target use of it: target.c. */
#ifndef TARGET_STDIO_H
#define TARGET_STDIO_H

#include <stddef.h>

int printf(const char *format, ...);
int snprintf(char *p, size_t room, const char *format, ...);

#endif
