/* Folders beside a file (the store), into which other programs put small files for the one that
 * owns it: how a tool hands something to the gateway that runs, or that will. Any thread. */
#ifndef GATEWAY_BASE_DROP_H
#define GATEWAY_BASE_DROP_H

#include <stddef.h>
#include <sys/stat.h>

#include "gateway/base/err.h"

#define DROP_PATH_BYTES 1024
/* Opens the folder <beside><suffix>, which is made with this mode when it is not there and handed
 * to whoever owns `beside`, or, where that is not there yet, its folder. *fd is the caller's to
 * close, path its name. ST_REFUSED: neither that user nor root asks; ST_BAD: the name is too long.
 */
enum st drop_open(const char *beside, const char *suffix, mode_t mode, char path[DROP_PATH_BYTES],
                  int *fd, struct err *e) ST_MUST_CHECK;
/* Takes away what is left of writers that were killed: files whose names end in ".part", untouched
 * for a minute by the machine's clock. The open folder's fd; or <beside><suffix>, which need not be
 * there: for the owner, at its start. */
void drop_clean(int folder);
void drop_clean_at(const char *beside, const char *suffix);
/* Hands the file over to the owner, as root may: that user must be able to take it away. `path` is
 * for the message. */
enum st drop_give(int fd, const char *path, const struct stat *owner, struct err *e) ST_MUST_CHECK;
/* Writes a file of n bytes into the open folder, mode 0600, under `name` only once it is whole and
 * synced. ST_FULL when `max` files lie there whose names do not end in `but`, those that are being
 * written among them. Nothing is left on failure, and of a kill until the next call (drop_clean).
 */
enum st drop_put(int folder, const char *folder_path, const char *name, const void *p, size_t n,
                 size_t max, const char *but, struct err *e) ST_MUST_CHECK;

#endif
