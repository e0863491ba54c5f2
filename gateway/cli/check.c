/* fieldpost check: all mistakes of a configuration at once, and what it will ask of its buses. */
#include <getopt.h>
#include <stdio.h>

#include "gateway/base/log.h"
#include "gateway/cli/check_plan.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost check [--config FILE] [--plan [--json]]\n"
    "\n"
    "Reads the configuration (default " CLI_DEFAULT_CONFIG ") with all that it names: profiles,\n"
    "buses, keys of the city. Prints every mistake as file:line:col: what is wrong, what would be\n"
    "right. Exit code 0 when there is none, else 2. Touches neither devices nor the store. Says "
    "of\n"
    "each profile that is used whether its register map is verified, and where it is from, and\n"
    "warns of each device that feeds no indicator for want of a place, a role or a stream.\n"
    "\n"
    "--plan  prints the requests to each device, what each takes of the line and how busy the\n"
    "        buses are; a period that cannot be met is a warning, and leaves the exit code 0.\n"
    "--json  the same for machines.\n";

struct asked {
    const char *path;
    bool plan, json;
};

/* false: the usage was printed, and *code is set. */
static bool options_of(int argc, char **argv, struct asked *a, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"plan", no_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 0;
    *a = (struct asked){.path = CLI_DEFAULT_CONFIG};
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            a->path = optarg;
        } else if (o == 'p') {
            a->plan = true;
        } else if (o == 'j') {
            a->json = true;
        } else {
            (void)cli_usage(o, usage, code);
            return false;
        }
    }
    if (optind != argc || (a->json && !a->plan)) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

/* The outline is for `survey` alone: the gateway collects without it, and so starts without it. */
static bool area_is_good(const struct connectivity_survey_cfg *cfg, struct err *e)
{
    struct connectivity_area *area = NULL;
    struct connectivity_grid *grid = NULL;
    enum st st = ST_OK;
    if (cfg->area) {
        st = connectivity_area_load(&area, cfg->area, e);
    }
    if (st == ST_OK && area) {
        st = connectivity_grid_open(&grid, area, cfg->cell_m, e);
    }
    connectivity_grid_close(grid);
    connectivity_area_free(area);
    return st == ST_OK;
}

/* What feeds no indicator though it could. */
static void note_indicators(struct cli_config *c, const char *path)
{
    struct store *s = NULL;
    struct err e = {0};
    if (cli_config_series(c, &s, &e) == ST_OK) {
        cli_note_unfed(c, s, path);
    } else {
        log_error("%s", e.text);
    }
    store_close(s);
}

int cli_check(int argc, char **argv)
{
    int code = CLI_DONE;
    struct asked a;
    if (!options_of(argc, argv, &a, &code)) {
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    enum st st = cli_config_open(&c, a.path, &e);
    int n = cli_complain(c.cfg);
    if (st != ST_OK && n == 0) {
        log_error("%s", e.text);
    }
    if (st != ST_OK || n > 0) {
        code = CLI_USAGE;
    } else if (!area_is_good(&c.connectivity.survey, &e)) {
        log_error("%s", e.text);
        code = CLI_USAGE;
    } else if (a.plan && !check_plan_print(c.collect_room, a.path, a.json)) {
        code = CLI_FAILED;
    } else {
        cli_note_profiles(c.collect_room);
        note_indicators(&c, a.path);
        (void)fprintf(stderr, "%s: good\n", a.path);
    }
    cli_config_done(&c);
    return code;
}
