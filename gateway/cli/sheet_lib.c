#include "gateway/cli/sheet_lib.h"

#include <dlfcn.h>
#include <string.h>

enum st sheet_lib_open(const struct sheet_symbol *symbols, const char *package, void *table,
                       struct err *e)
{
    for (const struct sheet_symbol *s = symbols; s->name; s++) {
        void *from = dlopen(s->library, RTLD_NOW | RTLD_LOCAL); /* opened once, however often */
        if (!from)
            return err_set(e, ST_UNSUPPORTED, "this format needs %s: install the package %s",
                           s->library, package);
        void *at = dlsym(from, s->name);
        if (!at)
            return err_set(e, ST_UNSUPPORTED, "%s lacks %s: it is older than that of Debian 12",
                           s->library, s->name);
        memcpy((char *)table + s->at, &at, sizeof at); /* ISO C converts no object pointer */
    }
    return ST_OK;
}
