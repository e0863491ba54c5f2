/* Where what is installed with the programs lies. Any thread. */
#ifndef GATEWAY_BASE_SHARE_H
#define GATEWAY_BASE_SHARE_H

#include <stddef.h>

/* Folder `what` ("profile", "indicator") of the installed files: ../share/fieldpost/WHAT beside the
 * program that runs, /usr/share/fieldpost/WHAT when it cannot be told or n bytes do not hold it.
 * Returns buf. */
const char *share_path(const char *what, char *buf, size_t n);

#endif
