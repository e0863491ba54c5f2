/* Opens what a bus stands on. Both return non-blocking descriptors and say where they are. */
#ifndef TESTS_SIM_OPEN_H
#define TESTS_SIM_OPEN_H

#include <stddef.h>

#include "gateway/base/err.h"

/* listen: IPv4 address:port, port 0 for a free one. where: the real address:port. */
enum st sim_open_tcp(const char *listen, int *fd, char *where, size_t size,
                     struct err *e) ST_MUST_CHECK;
/* A pty in raw mode; where: the name of its slave side, which link (may be NULL) points to from
 * then on (an old symlink is replaced, anything else is not). *slave stays open with it. */
enum st sim_open_pty(const char *link, int *fd, int *slave, char *where, size_t size,
                     struct err *e) ST_MUST_CHECK;

#endif
