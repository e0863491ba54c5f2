/* Giving up rights. */
#ifndef GATEWAY_BASE_USER_H
#define GATEWAY_BASE_USER_H

#include "gateway/base/err.h"

/* From here on this process is that user, with the user's groups, and nothing gives root back. For
 * one thread that is alone. Started as another user than root and than `name`: ST_REFUSED. On
 * failure the process may be half way: it must end. */
enum st user_become(const char *name, struct err *e) ST_MUST_CHECK;

#endif
