/* What tests that also run on target use of it: firmware/mcu/cortexm/memory.c and target.c. */
#ifndef TARGET_STRING_H
#define TARGET_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t most);
int strcmp(const char *a, const char *b);
char *strchr(const char *s, int c);

#endif
