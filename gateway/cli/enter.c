/* fieldpost enter: a reading that no device brings, such as that of a weighing slip. */
#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost enter [--config FILE] SERIES VALUE [--unit U] [--at T] [--by AUTHOR]\n"
    "                       [--note TEXT] [--force]\n"
    "\n"
    "Enters a reading of SERIES by hand, such as the net weight of a weighing slip. The series is "
    "of\n"
    "a device on a bus of type manual. The reading is marked as entered by hand, and a signed "
    "entry\n"
    "says who entered it. The same slip (series, time and value) counts once.\n"
    "\n"
    "  --unit U     the unit of VALUE, where it is not that of the quantity: t for kg; what does "
    "not\n"
    "               become it exactly is refused\n"
    "  --at T       when it was measured: 2026-11-22T03:05:10Z; now when it is left out\n"
    "  --by AUTHOR  who says so; your user name is taken when this is left out\n"
    "  --note TEXT  what the slip says beside: its number, the truck; the city reads it\n"
    "  --force      also a value outside of its limits, which is flagged then\n"
    "\n"
    "Write -- before a value below zero.\n";

static bool rest(int n, char **v, struct store_ask *a)
{
    a->series = n == 2 ? v[0] : NULL;
    a->value = n == 2 ? v[1] : NULL;
    return n == 2;
}

int cli_enter(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"unit", required_argument, NULL, 'w'},
        {"at", required_argument, NULL, 'w'},     {"by", required_argument, NULL, 'w'},
        {"note", required_argument, NULL, 'w'},   {"force", no_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},         {0}};
    static const struct request_command command = {STORE_ENTER, options, usage, NULL, rest};
    return request_main(&command, argc, argv);
}
