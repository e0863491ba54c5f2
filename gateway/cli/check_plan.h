/* Private to the CLI: what `check --plan` prints. */
#ifndef GATEWAY_CLI_CHECK_PLAN_H
#define GATEWAY_CLI_CHECK_PLAN_H

#include "gateway/collect/collect.h"

/* Prints on standard output what is asked on each bus and what it takes of the line, and on
 * standard error, behind `path`, a warning for each period that cannot be met. false: it could not
 * be printed; the log says so. */
bool check_plan_print(const struct collect *k, const char *path, bool json);

#endif
