/* fieldpost retire: a series that is not configured any more is no longer due. */
#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost retire [--config FILE] SERIES|DEVICE/* --reason TEXT [--by AUTHOR] [--at T]\n"
    "\n"
    "Whatever was once measured stays due: when a device or a point leaves the configuration, "
    "each\n"
    "window says that it is missing (`paused`). This ends it, in the signed chain, with the "
    "reason.\n"
    "A series that is still configured is refused: take it out and reload first.\n"
    "\n"
    "  --reason TEXT  why; the city reads it\n"
    "  --by AUTHOR    who says so; your user name is taken when this is left out\n"
    "  --at T         since when: 2026-11-22, 2026-11-22T03:05:10Z; now when it is left out\n";

static bool rest(int n, char **v, struct store_ask *a)
{
    a->series = n == 1 ? v[0] : NULL;
    return n == 1;
}

int cli_retire(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"reason", required_argument, NULL, 'w'},
        {"by", required_argument, NULL, 'w'},     {"at", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},         {0}};
    static const struct request_command command = {STORE_RETIRE, options, usage, NULL, rest};
    return request_main(&command, argc, argv);
}
