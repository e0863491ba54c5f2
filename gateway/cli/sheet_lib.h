/* Private to the CLI: libraries that one form of a sheet needs, opened when it is asked for. The
 * gateway that runs is the same program: linked to them it would carry them in its memory. */
#ifndef GATEWAY_CLI_SHEET_LIB_H
#define GATEWAY_CLI_SHEET_LIB_H

#include <stddef.h>

#include "gateway/base/err.h"

struct sheet_symbol {
    const char *library, *name; /* "libcairo.so.2"; ends with a NULL name */
    size_t at;                  /* of its pointer in the table */
};
/* A line of an X-macro of calls as a member of the table, and as a symbol of it. */
#define SHEET_CALL(name) __typeof__(name) *name;
/* Fills the table; the libraries stay open to the end of the program. ST_UNSUPPORTED: `package` is
 * to be installed, or is too old. */
enum st sheet_lib_open(const struct sheet_symbol *symbols, const char *package, void *table,
                       struct err *e) ST_MUST_CHECK;

#endif
