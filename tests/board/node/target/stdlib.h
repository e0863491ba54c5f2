/* What tests that also run on target use of it: target.c. */
#ifndef TARGET_STDLIB_H
#define TARGET_STDLIB_H

#include <stddef.h>

void *malloc(size_t n);
void free(void *p);             /* and what was taken after it */
char *getenv(const char *name); /* NULL */
void srand(unsigned seed);
int rand(void);
unsigned long strtoul(const char *s, char **end, int base);

#endif
