/* fieldpost report: the figures of a period, as people hand them over. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/cli/request.h"
#include "gateway/cli/sheet.h"
#include "gateway/cli/sheet_keep.h"

static const char usage[] =
    "usage: fieldpost report [--config FILE] --period P [--territory T] --format F [--out FILE]\n"
    "                        [--language vi|en] [--closing calendar|14] [--draft]\n"
    "                        [--version N]\n"
    "       fieldpost report approve [--config FILE] --period P [--territory T] [--by NAME]\n"
    "                        [--why TEXT]\n"
    "       fieldpost report submit  [--config FILE] --period P [--territory T] [--by NAME]\n"
    "\n"
    "Prints the sheet of a period: each indicator with its figure, the target, how far it is from\n"
    "it, how complete the readings are, and who answers for it. Days that are not over are not in\n"
    "it. The gateway may run.\n"
    "\n"
    "approve   freezes the figures as they are now: NAME stands for them\n"
    "submit    says that the sheet was handed over as it was approved; it stays so, and what\n"
    "          changes later stands beside it. To hand over others, approve them with --why and\n"
    "          submit them: the next version, which takes the place of what stays\n"
    "Both are entries of the signed chain with the digest of the sheet.\n"
    "\n"
    "  --period P       2026-07, 2026-Q3, 2026-H1, 2026-9M, 2026, or 2026-01-15..2026-06-14\n"
    "  --territory T    official code, name or id; without it gateway.territory\n"
    "  --format F       pdf, xlsx, html: for people; csv, json: all that is known, with digits as\n"
    "                   they are\n"
    "  --out FILE       instead of standard output\n"
    "  --language L     vi or en; without it gateway.language\n"
    "  --closing C      calendar, or 14: periods end on the 14th; without it as the territory "
    "does\n"
    "  --draft          the figures as they are now, also of a sheet that was approved\n"
    "  --version N      of a sheet that was handed over more than once; without it the last one\n"
    "  --by NAME        who does so; your user name is taken when this is left out\n"
    "  --why TEXT       why another version takes the place of what was submitted\n";

enum act { PRINT, APPROVE, SUBMIT };
struct run {
    const char *config, *period, *territory, *format, *out, *language, *closing, *by, *why,
        *version;
    bool draft;
    unsigned number; /* of the version that is wanted, or SHEET_IN_FORCE */
    enum act act;
    const struct sheet_form *form;
    enum report_language l;
    /* what it is made of */
    struct cli_config c;
    struct indicators *indicators;
    struct report_territory t;
    struct report_period p;
    struct store *names;
    struct store_reader *r;
    struct err e;
};

/* ---- options ------------------------------------------------------------------------------------
 */

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"period", required_argument, NULL, 'p'},
                                        {"territory", required_argument, NULL, 't'},
                                        {"format", required_argument, NULL, 'f'},
                                        {"out", required_argument, NULL, 'o'},
                                        {"language", required_argument, NULL, 'l'},
                                        {"closing", required_argument, NULL, 'z'},
                                        {"by", required_argument, NULL, 'b'},
                                        {"why", required_argument, NULL, 'y'},
                                        {"version", required_argument, NULL, 'v'},
                                        {"draft", no_argument, NULL, 'd'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};
#define ON(act) (1U << (act))
#define ANY (ON(PRINT) | ON(APPROVE) | ON(SUBMIT))
static const struct {
    int option;
    size_t at;     /* of its text in struct run */
    unsigned acts; /* with which it goes */
} words[] = {{'c', offsetof(struct run, config), ANY},
             {'p', offsetof(struct run, period), ANY},
             {'t', offsetof(struct run, territory), ANY},
             {'f', offsetof(struct run, format), ON(PRINT)},
             {'o', offsetof(struct run, out), ON(PRINT)},
             {'l', offsetof(struct run, language), ON(PRINT)},
             {'z', offsetof(struct run, closing), ON(PRINT)},
             {'v', offsetof(struct run, version), ON(PRINT)},
             {'b', offsetof(struct run, by), ON(APPROVE) | ON(SUBMIT)},
             {'y', offsetof(struct run, why), ON(APPROVE)}};
#define WORDS (sizeof(words) / sizeof(words[0]))

/* false: it does not go with what is to be done. */
static bool take(struct run *x, int option)
{
    size_t i = 0;
    while (i < WORDS && words[i].option != option)
        i++;
    if (option == 'd')
        x->draft = true;
    else if (i < WORDS)
        memcpy((char *)x + words[i].at, &optarg, sizeof(optarg));
    return option == 'd' ? x->act == PRINT : i < WORDS && (words[i].acts & ON(x->act));
}

/* false: wrong usage, or help; *code. */
static bool parse(int argc, char **argv, struct run *x, int *code)
{
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'h' || !take(x, o)) {
            (void)cli_usage(o == 'h' ? o : '?', usage, code);
            return false;
        }
    }
    if (optind == argc && x->period)
        return true;
    (void)cli_usage('?', usage, code);
    return false;
}

static bool wrong(const char *option, const char *said, const char *right)
{
    (void)fprintf(stderr, "fieldpost report: --%s: \"%s\": write %s\n", option, said, right);
    return false;
}

static bool choose(struct run *x)
{
    for (x->form = sheet_forms; x->format && x->form->name; x->form++)
        if (strcmp(x->form->name, x->format) == 0)
            break;
    if (x->act == PRINT && (!x->format || !x->form->name))
        return wrong("format", x->format ? x->format : "", "pdf, xlsx, html, csv or json");
    if (x->language && strcmp(x->language, "vi") != 0 && strcmp(x->language, "en") != 0)
        return wrong("language", x->language, "vi or en");
    if (x->closing && strcmp(x->closing, "14") != 0 && strcmp(x->closing, "calendar") != 0)
        return wrong("closing", x->closing, "calendar or 14");
    struct num n = {.kind = NUM_NONE};
    if (x->version && (!num_parse(x->version, &n) || n.kind != NUM_DEC || n.exp != 0 || n.i < 1 ||
                       n.i > SHEET_VERSIONS))
        return wrong("version", x->version, "the number of a version, from 1 on");
    x->number = n.kind == NUM_DEC ? (unsigned)n.i : SHEET_IN_FORCE;
    struct err e;
    if (report_period_parse(&x->p, x->period, REPORT_CALENDAR, &e) != ST_OK) {
        (void)fprintf(stderr, "fieldpost report: --%s\n", e.text);
        return false;
    }
    return true;
}

/* ---- what it is made of
 * -------------------------------------------------------------------------- */

/* ST_BAD: told. */
static enum st find_territory(struct run *x)
{
    const char *wanted = x->territory ? x->territory : x->c.gateway.territory, *complaints = "";
    if (!wanted)
        return err_set(&x->e, ST_BAD,
                       "which territory? Say --territory, or gateway.territory in %s", x->config);
    enum st st =
        report_territory_find(&x->t, &x->c.indicator, x->c.cfg, wanted, &complaints, &x->e);
    if (st == ST_BAD)
        (void)fputs(complaints, stderr);
    return st == ST_NOT_FOUND ? ST_BAD : st; /* a name that is none is wrong usage */
}

static enum st open_all(struct run *x)
{
    ERR_TRY(indicators_open(&x->indicators, &x->c.indicator, x->c.cfg, &x->e));
    ERR_TRY(find_territory(x));
    int closing = !x->closing                     ? x->t.closing
                  : strcmp(x->closing, "14") == 0 ? REPORT_ON_14TH
                                                  : REPORT_CALENDAR;
    ERR_TRY(report_period_parse(&x->p, x->period, (enum report_closing)closing, &x->e));
    x->draft = x->draft || closing != x->t.closing; /* sheets are kept as the territory closes */
    ERR_TRY(cli_config_declared(&x->c, &x->names, &x->e));
    return store_reader_open(&x->r, x->c.store.path, &x->e);
}

static enum st make(struct run *x, struct report *out, int32_t until_day)
{
    const struct report_ask ask = {.gateway = x->c.gateway.id,
                                   .site = x->c.gateway.name,
                                   .territory = &x->t,
                                   .period = &x->p,
                                   .now_ms = cli_utc_ms(),
                                   .until_day = until_day,
                                   .names = x->names};
    return report_make(out, x->indicators, &ask, x->r, &x->e);
}

/* ---- printing
 * ------------------------------------------------------------------------------------ */

static enum st write_out(struct run *x, const struct buf *b)
{
    if (x->out)
        return wire_file_put(x->out, b->p, b->n, 0644, true, &x->e);
    if (fwrite(b->p, 1, b->n, stdout) == b->n && fflush(stdout) == 0)
        return ST_OK;
    return err_set(&x->e, ST_IO, "standard output: not everything could be written");
}

#define FILE_MAX ((size_t)32 * 1024 * 1024)
static enum st print(struct run *x, const struct report *r)
{
    struct buf b;
    bool binary = strcmp(x->form->name, "pdf") == 0 || strcmp(x->form->name, "xlsx") == 0;
    if (binary && !x->out && isatty(STDOUT_FILENO))
        return err_set(&x->e, ST_BAD, "a terminal does not show %s: say --out FILE", x->form->name);
    buf_init(&b, FILE_MAX);
    enum st st = x->form->write(&b, r, x->l, &x->e);
    if (st == ST_OK)
        st = write_out(x, &b);
    buf_done(&b);
    return st;
}

/* The sheet that is kept, with what its days say by now. */
static enum st print_kept(struct run *x, struct report *kept)
{
    struct report now;
    enum st st = make(x, &now, kept->until_day);
    if (st == ST_OK)
        st = sheet_compare(kept, &now, x->r, &x->e);
    report_done(&now);
    kept->made_ms = cli_utc_ms();
    return st == ST_OK ? print(x, kept) : st;
}

static enum st show(struct run *x)
{
    struct report r;
    report_init(&r);
    if (x->draft && x->version)
        return err_set(&x->e, ST_BAD,
                       "--version: sheets are kept as the territory closes; without --draft");
    enum st st = x->draft ? ST_NOT_FOUND
                          : sheet_get(&r, x->c.store.path, x->t.id, x->p.text, x->number, &x->e);
    if (st == ST_OK) {
        st = print_kept(x, &r);
    } else if (st == ST_NOT_FOUND && !x->version) {
        report_done(&r);
        st = make(x, &r, INT32_MAX);
        st = st == ST_OK ? print(x, &r) : st;
    }
    report_done(&r);
    return st;
}

/* ---- acting
 * -------------------------------------------------------------------------------------- */

/* What was approved stays the sheet of those days, however many are over by now. */
static int32_t approved_until(struct run *x)
{
    struct report kept;
    bool is = sheet_get(&kept, x->c.store.path, x->t.id, x->p.text, SHEET_NEWEST, NULL) == ST_OK;
    int32_t day = is ? kept.until_day : INT32_MAX;
    report_done(&kept);
    return day;
}

static enum st act(struct run *x)
{
    char who[CLI_USER_BYTES], version[32] = "";
    const char *store = x->c.store.path;
    struct sheet_done done;
    bool submits = x->act == SUBMIT;
    struct report r;
    if (!request_author(x->by, who))
        return err_set(&x->e, ST_BAD, "who does so?");
    enum st st = make(x, &r, submits ? approved_until(x) : INT32_MAX);
    if (st == ST_OK)
        st = submits ? sheet_submit(store, &r, who, cli_utc_ms(), &done, &x->e)
                     : sheet_approve(store, &r, who, x->why, cli_utc_ms(), &done, &x->e);
    if (st == ST_OK && done.version > 1)
        (void)snprintf(version, sizeof version, " version %u", done.version);
    if (st == ST_OK)
        (void)printf("%s: %s %s%s %s\nentry: %s\n", submits ? "submitted" : "approved", x->t.id,
                     x->p.text, version, r.digest, done.entry);
    report_done(&r);
    return st;
}

static int run(struct run *x)
{
    enum st st = open_all(x);
    if (cli_complain(x->c.cfg) > 0)
        return CLI_USAGE;
    x->l = x->language ? strcmp(x->language, "en") == 0 ? REPORT_EN : REPORT_VI
           : x->c.gateway.language == CLI_EN ? REPORT_EN
                                             : REPORT_VI;
    if (st == ST_OK)
        st = x->act == PRINT ? show(x) : act(x);
    if (st == ST_OK)
        return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
    log_error("%s", x->e.text);
    return st == ST_BAD ? CLI_USAGE : CLI_FAILED;
}

int cli_report(int argc, char **argv)
{
    struct run x = {.config = CLI_DEFAULT_CONFIG};
    int code = CLI_USAGE;
    x.act = argc > 1 && strcmp(argv[1], "approve") == 0  ? APPROVE
            : argc > 1 && strcmp(argv[1], "submit") == 0 ? SUBMIT
                                                         : PRINT;
    int named = x.act != PRINT;
    if (!parse(argc - named, argv + named, &x, &code) || !choose(&x))
        return code;
    if (cli_config_load(&x.c, x.config, &x.e) == ST_OK)
        code = run(&x);
    else if (cli_complain(x.c.cfg) == 0)
        log_error("%s", x.e.text);
    store_reader_close(x.r);
    store_close(x.names);
    report_territory_close(&x.t);
    indicators_close(x.indicators);
    cli_config_done(&x.c);
    return code;
}
