/* fieldpost correct: readings that were wrong. What is sealed stays; an entry says what to make of
 * it, and readers do. */
#include <string.h>

#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost correct [--config FILE] SERIES --from T --to T --reason TEXT [--by AUTHOR]\n"
    "                         --invalidate | --rescale SCALE[,OFFSET] | --reassign SERIES\n"
    "                         [--id ID]\n"
    "       fieldpost correct [--config FILE] --undo ID --reason TEXT [--by AUTHOR]\n"
    "\n"
    "Says in the signed chain what is wrong with readings of SERIES from T on and before T. What\n"
    "is sealed never changes: exports, charts and the city show what the correction makes of it,\n"
    "and raw exports what was sealed.\n"
    "\n"
    "  --invalidate           they say nothing: left out\n"
    "  --rescale SCALE[,OFFSET]  the value is value x SCALE + OFFSET\n"
    "  --reassign SERIES      they were measured by that series, of the same quantity\n"
    "  --id ID                this one takes the place of that correction\n"
    "  --undo ID              that correction was a mistake: as if it had never been\n"
    "  --reason TEXT          why; the city reads it\n"
    "  --by AUTHOR            who says so; your user name is taken when this is left out\n";

/* SCALE, or SCALE,OFFSET. */
static bool say_rescale(char *arg, struct store_ask *a)
{
    char *comma = strchr(arg, ',');
    if (comma) {
        *comma = '\0';
    }
    return request_say(a, "scale", arg) && (!comma || request_say(a, "offset", comma + 1));
}

static bool option(const char *name, char *arg, struct store_ask *a)
{
    bool good = request_say(a, "change", name);
    if (good && strcmp(name, "rescale") == 0) {
        good = say_rescale(arg, a);
    } else if (good && strcmp(name, "reassign") == 0) {
        good = request_say(a, "target", arg);
    }
    return good;
}

static bool rest(int n, char **v, struct store_ask *a)
{
    a->series = n == 1 ? v[0] : NULL;
    return n == (a->undo ? 0 : 1);
}

int cli_correct(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"from", required_argument, NULL, 'w'},
        {"to", required_argument, NULL, 'w'},      {"invalidate", no_argument, NULL, 'o'},
        {"rescale", required_argument, NULL, 'o'}, {"reassign", required_argument, NULL, 'o'},
        {"reason", required_argument, NULL, 'w'},  {"by", required_argument, NULL, 'w'},
        {"id", required_argument, NULL, 'w'},      {"undo", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},          {0}};
    static const struct request_command command = {STORE_CORRECT, options, usage, option, rest};
    return request_main(&command, argc, argv);
}
