/* fieldpost survey: where in the ward which operator's 5G was measured. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost survey import [--config FILE] [--operator MCCMNC] [--technology T]\n"
    "                        [--time T] [--utc-offset +07:00] FILE...\n"
    "       fieldpost survey report [--config FILE] [--format text|geojson] [--from T] [--to T]\n"
    "\n"
    "import takes the CSV file of a survey app on a phone: columns are found by their names, and\n"
    "the manual lists these. A line that cannot be used is told with its number; all others are\n"
    "kept, or none when something fails. A sample that was imported before counts once.\n"
    "\n"
    "report tells for each operator and day how many cells of the ward's grid were visited and\n"
    "covered, from imported samples and from those of the gateway's own walk.\n"
    "\n"
    "  --operator MCCMNC  of a file that does not name it, such as 45204\n"
    "  --technology T     of a file that does not name it: lte, en-dc, sa, nr (5G) or other\n"
    "  --time T           of a file without times: 2026-11-22T03:05:10Z\n"
    "  --utc-offset O     of times that do not say theirs; +07:00 when it is left out\n"
    "  --format F         text, which is usual; geojson: cells and samples for a map\n"
    "  --from T, --to T   only samples from T on, and before T\n";

#define REPORT_BYTES ((size_t)256 * 1024 * 1024)

struct asked {
    const char *config;
    bool geojson;
    int64_t from_ms, to_ms;
    struct connectivity_csv_ask csv;
};

/* ---- options
 * -------------------------------------------------------------------------------------- */

/* "+07:00", "-03:30" */
static bool offset_parse(const char *text, int64_t *ms)
{
    static const char form[] = "+dd:dd";
    bool good = strlen(text) == strlen(form) && (text[0] == '+' || text[0] == '-');
    for (size_t i = 1; good && form[i]; i++) {
        good = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
    }
    if (!good) {
        return false;
    }
    int hours = (text[1] - '0') * 10 + text[2] - '0',
        minutes = (text[4] - '0') * 10 + text[5] - '0';
    *ms = (text[0] == '-' ? -1 : 1) * INT64_C(60000) * (hours * 60 + minutes);
    return hours <= 14 && minutes < 60;
}

static bool operator_parse(const char *text, uint32_t *plmn)
{
    size_t n = strspn(text, "0123456789");
    if ((n != 5 && n != 6) || text[n]) {
        return false;
    }
    *plmn = (uint32_t)strtoul(text, NULL, 10);
    return *plmn >= 10000;
}

static bool technology_parse(const char *text, struct connectivity_csv_ask *a)
{
    a->has_tech = true;
    for (int i = 0; i < CONNECTIVITY_SURVEY_TECHS; i++) {
        if (strcmp(text, connectivity_survey_tech_text[i]) == 0) {
            a->tech = (enum connectivity_survey_tech)i;
            return true;
        }
    }
    return false;
}

/* false: it is told what is wrong, and *code is set. */
static bool options_of(int argc, char **argv, struct asked *a, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"operator", required_argument, NULL, 'o'},
                                            {"technology", required_argument, NULL, 't'},
                                            {"time", required_argument, NULL, 'w'},
                                            {"utc-offset", required_argument, NULL, 'u'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"from", required_argument, NULL, 'a'},
                                            {"to", required_argument, NULL, 'z'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 0;
    *a = (struct asked){.config = CLI_DEFAULT_CONFIG,
                        .from_ms = INT64_MIN,
                        .to_ms = INT64_MAX,
                        .csv = {.utc_offset_ms = INT64_C(25200000), .now_ms = cli_utc_ms()}};
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        bool good = true;
        switch (o) {
        case 'c':
            a->config = optarg;
            break;
        case 'o':
            good = operator_parse(optarg, &a->csv.plmn);
            break;
        case 't':
            good = technology_parse(optarg, &a->csv);
            break;
        case 'w':
            good = clk_parse(optarg, &a->csv.t_ms) && a->csv.t_ms > 0;
            break;
        case 'u':
            good = offset_parse(optarg, &a->csv.utc_offset_ms);
            break;
        case 'f':
            a->geojson = strcmp(optarg, "geojson") == 0;
            good = a->geojson || strcmp(optarg, "text") == 0;
            break;
        case 'a':
            good = clk_parse(optarg, &a->from_ms);
            break;
        case 'z':
            good = clk_parse(optarg, &a->to_ms);
            break;
        default:
            (void)cli_usage(o, usage, code);
            return false;
        }
        if (!good) {
            (void)fprintf(stderr, "fieldpost survey: \"%s\" is not what that option takes\n",
                          optarg);
            (void)cli_usage('?', usage, code);
            return false;
        }
    }
    return true;
}

/* ---- import
 * --------------------------------------------------------------------------------------- */

static void tell_file(const char *path, const struct connectivity_csv *c, uint32_t fresh,
                      const struct connectivity_area *area)
{
    uint32_t outside = 0;
    for (uint32_t i = 0; i < c->bad && i < CONNECTIVITY_CSV_TOLD; i++) {
        (void)fprintf(stderr, "%s:%u: %s\n", path, c->told[i].line, c->told[i].why);
    }
    if (c->bad > CONNECTIVITY_CSV_TOLD) {
        (void)fprintf(stderr, "%s: and %u more lines that cannot be used\n", path,
                      c->bad - CONNECTIVITY_CSV_TOLD);
    }
    for (size_t i = 0; area && i < c->n; i++) {
        outside += !connectivity_area_has(area, c->sample[i].lat, c->sample[i].lon);
    }
    (void)printf("%s: %u lines: %zu samples, %u of them new", path, c->rows, c->n, fresh);
    if (area) {
        (void)printf(", %u outside of the area", outside);
    }
    (void)printf("; %u lines cannot be used, %u are of cells that did not serve\n", c->bad,
                 c->neighbour);
}

static enum st import_file(const char *path, const struct asked *a, const struct cli_config *c,
                           const struct connectivity_area *area, struct err *e)
{
    struct connectivity_csv csv = {.n = 0};
    struct buf b;
    uint32_t fresh = 0;
    enum st st = connectivity_csv_load(path, &b, e);
    if (st == ST_OK) {
        st = connectivity_csv_read(&csv, path, b.p, b.n, &a->csv, e);
    }
    if (st == ST_OK) {
        st = connectivity_import(c->store.path, &csv, &fresh, e);
    }
    if (st == ST_OK) {
        tell_file(path, &csv, fresh, area);
    }
    connectivity_csv_done(&csv);
    buf_done(&b);
    return st;
}

/* ---- report
 * --------------------------------------------------------------------------------------- */

static enum st report(const struct asked *a, const struct cli_config *c,
                      const struct connectivity_area *area, struct err *e)
{
    struct connectivity_survey_ask ask = {.cfg = &c->connectivity.survey,
                                          .area = area,
                                          .store_path = c->store.path,
                                          .gateway = c->gateway.id,
                                          .from_ms = a->from_ms,
                                          .to_ms = a->to_ms,
                                          .geojson = a->geojson};
    enum st st = ST_OK;
    struct buf out;
    if (!area) {
        return err_set(e, ST_BAD,
                       "name the ward's outline (connectivity.survey.area): a GeoJSON "
                       "file with a polygon");
    }
    buf_init(&out, REPORT_BYTES);
    if (access(c->store.path, F_OK) == 0 || errno != ENOENT) {
        st = store_reader_open(&ask.reader, c->store.path, e);
    }
    if (st == ST_OK) {
        st = connectivity_survey_report(&ask, &out, e);
    }
    if (st == ST_OK && (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0)) {
        st = err_set(e, ST_IO, "standard output: not everything could be written");
    }
    store_reader_close(ask.reader);
    buf_done(&out);
    return st;
}

/* ---- the command
 * ---------------------------------------------------------------------------------- */

static int run(const struct asked *a, bool import, int n, char **files)
{
    struct cli_config c;
    struct connectivity_area *area = NULL;
    struct err e = {.text = ""};
    int code = CLI_DONE;
    enum st st = cli_config_load(&c, a->config, &e);
    if (st == ST_OK && c.connectivity.survey.area) {
        st = connectivity_area_load(&area, c.connectivity.survey.area, &e);
    }
    if (st != ST_OK) {
        code = CLI_USAGE;
    } else if (!import && (st = report(a, &c, area, &e)) != ST_OK) {
        code = area ? CLI_FAILED : CLI_USAGE;
    }
    for (int i = 0; import && i < n && st == ST_OK; i++) {
        if ((st = import_file(files[i], a, &c, area, &e)) != ST_OK) {
            code = CLI_FAILED;
        }
    }
    if (st != ST_OK && cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    connectivity_area_free(area);
    cli_config_done(&c);
    return code;
}

int cli_survey(int argc, char **argv)
{
    struct asked a;
    int code = CLI_USAGE;
    const char *what = argc > 1 ? argv[1] : "";
    bool import = strcmp(what, "import") == 0;
    if (!import && strcmp(what, "report") != 0) {
        bool help = strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0;
        (void)cli_usage(help ? 'h' : '?', usage, &code);
        return code;
    }
    if (!options_of(argc - 1, argv + 1, &a, &code)) {
        return code;
    }
    int n = argc - 1 - optind;
    if (import ? n < 1 : n > 0) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    return run(&a, import, n, argv + 1 + optind);
}
