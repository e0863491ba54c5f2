/* What the gateway that runs with a configuration says of itself. */
#ifndef GATEWAY_CLI_PAGE_H
#define GATEWAY_CLI_PAGE_H

#include <jansson.h>

#include "gateway/cli/config.h"

/* Its answer to GET `path` ("/api/v1/status"), the caller's to free; NULL: `why` says why there is
 * none. Blocks for 5 s at most. */
json_t *cli_page_ask(const struct cli_config *c, const char *path, struct err *why);

/* The address of `path` on the page that listens there, as this machine reaches it. url NULL-ended
 * within n; false when there is no page, or no room. */
bool cli_page_url(const char *listen, const char *path, char *url, size_t n);

#endif
