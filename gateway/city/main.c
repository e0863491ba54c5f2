/* fieldpost-city: the reference receiver. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/clk.h"
#include "gateway/base/log.h"
#include "gateway/city/city.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: fieldpost-city serve  --config FILE\n"
    "       fieldpost-city enroll --config FILE --id ID --key pub.pem\n"
    "       fieldpost-city revoke --config FILE --id ID --kid KID --reason TEXT\n"
    "       fieldpost-city keys   --config FILE [--json]\n"
    "       fieldpost-city dump   --config FILE [--raw] [--format csv]\n"
    "       fieldpost-city verify --config FILE BATCH...\n"
    "       fieldpost-city import --config FILE [--receipts FILE] DIR\n"
    "       fieldpost-city report --config FILE [--gateway ID] [--from T] [--to T]\n"
    "                             [--by hour|day|total] [--format csv|json]\n"
    "       fieldpost-city retired --config FILE [--gateway ID] [--format csv|json]\n"
    "       fieldpost-city changes --config FILE [--gateway ID] [--from T] [--to T]\n"
    "                             [--format csv|json]\n"
    "       fieldpost-city alarms --config FILE [--gateway ID] [--json]\n"
    "       fieldpost-city ca --config FILE\n"
    "       fieldpost-city claim  --config FILE --id ID [--valid 7d] [--replaces]\n"
    "       fieldpost-city certs  --config FILE\n"
    "       fieldpost-city distrust --config FILE --id ID\n"
    "       fieldpost-city config --config FILE --id ID [--list | --file NAME]\n"
    "       fieldpost-city announce --config FILE [--next-key] [--next-ca FILE] [--after 7d]\n"
    "                             [--both 90d]\n"
    "       fieldpost-city trust  --config FILE [--out FILE | --restore FILE]\n"
    "\n"
    "serve   receives batches over HTTPS until SIGTERM\n"
    "enroll  makes a gateway and its public key known; also beside a running serve\n"
    "revoke  takes a key back: nothing new that it signs is taken; what is stored stays\n"
    "keys    prints the keys of all gateways: since when, how each came, revoked and why\n"
    "dump    prints all readings: gateway,series,ts_ms,value,quality,chain,seq;\n"
    "        --raw prints them as sealed, without the chains' corrections\n"
    "verify  checks batch files (.cose, .cose.zst) against the enrolled keys\n"
    "import  takes the batches of a stick (fieldpost export --sealed), also beside a running "
    "serve;\n"
    "        the new file of receipts goes back to the gateways (fieldpost receipts)\n"
    "report  how complete every series is, by hour, day (of Viet Nam) or in all, and what each "
    "missing\n"
    "        minute is: against the plan that the gateway signed\n"
    "retired lists the series that are due no longer, with the reason that was signed\n"
    "changes lists what people changed at gateways, users and tokens among it, and who did it\n"
    "alarms  says which gateways are silent, run twice, fork, or miss batches, and what to do\n"
    "ca      makes the CA that the configuration names\n"
    "claim   prints a one-time code for a gateway's label (fieldpost enroll); --replaces: for a "
    "new\n"
    "        box that takes over from the one that has this id\n"
    "certs   lists the TLS certificates of the gateways; distrust takes those of one back\n"
    "config  prints the configuration that a gateway left here, or one of its profiles; --list: "
    "all\n"
    "        that are kept\n"
    "announce  changes the city's own receipt key, or the CA of its TLS certificate: gateways "
    "learn it\n"
    "        from a notice that the key of now signs, and trust both for 90 days\n"
    "trust   lists these notices; --out: writes them into a new file for gateways that were "
    "offline\n"
    "        longer; --restore: takes those of such a file that a restored database has forgotten\n"
    "\n"
    "FILE has listen, cert, key, sign_key, db, and may have read_token_file, timeout, rate\n"
    "and ca.\n"
    "Exit: 0 done, 1 failed, 2 wrong usage or configuration.\n";

struct options {
    const char *config, *id, *key, *format, *receipts, *kid, *reason, *valid;
    const char *next_ca, *after, *both, *out, *restore;
    const char *gateway, *from, *to, *by, *file;
    bool raw, json, replaces, list, next_key;
    char **files;
    int nfiles;
};

static int failed(const struct err *e)
{
    log_error("%s", e->text);
    return EXIT_FAILED;
}

static struct thr_stop stop;

static void on_signal(int sig)
{
    (void)sig;
    thr_stop_now(&stop);
}

static int serve(const struct city_cfg *cfg, const struct options *o)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct city *c = NULL;
    struct err e = {.text = ""};

    (void)o;
    if (thr_stop_open(&stop, &e) != ST_OK)
        return failed(&e);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    if (city_open(&c, cfg, &e) != ST_OK) {
        thr_stop_close(&stop);
        return failed(&e);
    }
    log_info("listening on https://%.*s:%u", (int)(strrchr(cfg->listen, ':') - cfg->listen),
             cfg->listen, city_port(c));
    thr_stop_wait(&stop, -1);
    city_close(c);
    log_info("stopped");
    thr_stop_close(&stop);
    return EXIT_DONE;
}

static int enroll(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    char kid[17];

    if (o->id == NULL || o->key == NULL) {
        log_error("enroll needs --id and --key");
        return EXIT_USAGE;
    }
    if (city_enroll(cfg, o->id, o->key, kid, &e) != ST_OK)
        return failed(&e);
    log_info("enrolled %s with key %s", o->id, kid);
    return EXIT_DONE;
}

static int take_back(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};

    if (o->id == NULL || o->kid == NULL || o->reason == NULL) {
        log_error("revoke needs --id, --kid and --reason");
        return EXIT_USAGE;
    }
    if (city_revoke(cfg, o->id, o->kid, o->reason, &e) != ST_OK)
        return failed(&e);
    log_info("revoked key %s of %s", o->kid, o->id);
    return EXIT_DONE;
}

static int keys(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};

    return city_keys(cfg, o->json, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int dump(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};

    if (o->format != NULL && strcmp(o->format, "csv") != 0) {
        log_error("--format %s: csv is what there is", o->format);
        return EXIT_USAGE;
    }
    return city_dump(cfg, o->raw, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int verify(const struct city_cfg *cfg, const struct options *o)
{
    int rc = EXIT_DONE;

    if (o->nfiles == 0) {
        log_error("verify needs batch files");
        return EXIT_USAGE;
    }
    for (int i = 0; i < o->nfiles; i++) {
        char text[CITY_VERIFY_TEXT];
        struct err e = {.text = ""};
        if (city_verify(cfg, o->files[i], text, &e) == ST_OK)
            printf("%s: %s\n", o->files[i], text);
        else
            rc = failed(&e);
    }
    return rc;
}

static void say_refused(void *ctx, const char *what, const char *why)
{
    (void)ctx;
    log_warn("%s: %s", what, why);
}

static int import(const struct city_cfg *cfg, const struct options *o)
{
    const struct city_import_to to = {.refused = say_refused};
    struct city_imported n;
    struct err e = {.text = ""};

    if (o->nfiles != 1) {
        log_error("import needs one folder");
        return EXIT_USAGE;
    }
    log_open("fieldpost-city", LOG_LEVEL_WARN); /* not a line for each batch */
    enum st st = city_import(cfg, o->files[0], o->receipts, &to, &n, &e);
    if (n.stored + n.known + n.refused > 0)
        printf("%llu batches stored, %llu were there already, %llu refused\n",
               (unsigned long long)n.stored, (unsigned long long)n.known,
               (unsigned long long)n.refused);
    if (n.incomplete > 0)
        printf("the stick was full: more is to come\n");
    if (st != ST_OK)
        return failed(&e);
    return fflush(stdout) == 0 && n.refused == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* What report, retired, changes and alarms are asked for; false: it was told what is wrong. */
static bool ask_of(const struct options *o, struct city_ask *q)
{
    static const char *const bys[] = {"hour", "day", "total"};

    *q = (struct city_ask){
        .gateway = o->gateway, .to_ms = INT64_MAX, .json = o->format && !strcmp(o->format, "json")};
    if (o->format != NULL && !q->json && strcmp(o->format, "csv") != 0) {
        log_error("--format %s: csv or json", o->format);
        return false;
    }
    if ((o->from != NULL && !clk_parse(o->from, &q->from_ms)) ||
        (o->to != NULL && !clk_parse(o->to, &q->to_ms)) || q->from_ms < 0) {
        log_error("--from and --to: write 2026-11-22, 2026-11-22T03:05:10Z or milliseconds");
        return false;
    }
    size_t by = 0;
    while (o->by != NULL && by < 3 && strcmp(o->by, bys[by]) != 0)
        by++;
    if (by == 3)
        log_error("--by %s: hour, day or total", o->by);
    q->by = (enum city_by)by;
    return by < 3;
}

static int report(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    struct city_ask q;

    if (!ask_of(o, &q))
        return EXIT_USAGE;
    return city_completeness(cfg, &q, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int retired(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    struct city_ask q;

    if (!ask_of(o, &q))
        return EXIT_USAGE;
    return city_retired(cfg, &q, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int changes(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    struct city_ask q;

    if (!ask_of(o, &q))
        return EXIT_USAGE;
    return city_changes(cfg, &q, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int alarms(const struct city_cfg *cfg, const struct options *o)
{
    const struct city_ask q = {.gateway = o->gateway, .json = o->json};
    struct err e = {.text = ""};

    return city_alarms(cfg, &q, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int make_ca(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};

    (void)o;
    if (city_ca_make(cfg, &e) != ST_OK)
        return failed(&e);
    log_info("made the CA %s with the key %s", cfg->ca.cert, cfg->ca.key);
    return EXIT_DONE;
}

static int claim(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    struct city_claimed c;
    char until[CLK_TEXT_BYTES];
    int64_t valid_ms = 0;

    if (o->id == NULL || !cfg_time_parse(o->valid != NULL ? o->valid : "7d", &valid_ms) ||
        valid_ms < 1000 || valid_ms > INT64_C(90) * 86400000) {
        log_error("claim needs --id, and may have --valid: 7d, 12h, at most 90d");
        return EXIT_USAGE;
    }
    if (city_claim(cfg, o->id, valid_ms, o->replaces, &c, &e) != ST_OK)
        return failed(&e);
    printf("gateway %s%s\ncode    %s\npin     %s\nuntil   %s\n", o->id,
           o->replaces ? " (replaces the box that has this id)" : "", c.code, c.pin,
           clk_text(c.until_ms, until));
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int certs(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};

    (void)o;
    return city_certs(cfg, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static int distrust(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    int64_t n = 0;

    if (o->id == NULL) {
        log_error("distrust needs --id");
        return EXIT_USAGE;
    }
    if (city_distrust(cfg, o->id, &n, &e) != ST_OK)
        return failed(&e);
    log_info("took back %lld certificates of %s", (long long)n, o->id);
    return n > 0 ? EXIT_DONE : EXIT_FAILED;
}

static int config(const struct city_cfg *cfg, const struct options *o)
{
    const struct city_config_ask q = {.list = o->list, .file = o->file};
    struct err e = {.text = ""};

    if (o->id == NULL || (o->list && o->file != NULL)) {
        log_error("config needs --id, and may have --list or --file NAME");
        return EXIT_USAGE;
    }
    return city_config(cfg, o->id, &q, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

/* A time span of an option within its bounds; false: it was told. */
static bool span_of(const char *name, const char *text, int64_t least_ms, int64_t *ms)
{
    if (cfg_time_parse(text, ms) && *ms >= least_ms && *ms <= INT64_C(3650) * 86400000)
        return true;
    log_error("%s %s: write a time such as 7d or 12h, at most 3650d", name, text);
    return false;
}

static int announce(const struct city_cfg *cfg, const struct options *o)
{
    struct city_announce q = {.key = o->next_key, .ca = o->next_ca};
    struct err e = {.text = ""};
    uint64_t n = 0;

    if (!span_of("--after", o->after != NULL ? o->after : "7d", 0, &q.after_ms) ||
        !span_of("--both", o->both != NULL ? o->both : "90d", 1, &q.both_ms))
        return EXIT_USAGE;
    if (!q.key && q.ca == NULL) {
        log_error("announce needs --next-key, --next-ca FILE, or both");
        return EXIT_USAGE;
    }
    if (city_announce(cfg, &q, &n, &e) != ST_OK)
        return failed(&e);
    log_info("announced in notice %llu", (unsigned long long)n);
    return EXIT_DONE;
}

static int trust(const struct city_cfg *cfg, const struct options *o)
{
    struct err e = {.text = ""};
    uint64_t n = 0;

    if (o->restore != NULL) {
        if (city_trust_restore(cfg, o->restore, &n, &e) != ST_OK)
            return failed(&e);
        log_info("took %llu notices back", (unsigned long long)n);
    }
    return city_trust(cfg, o->out, stdout, &e) == ST_OK ? EXIT_DONE : failed(&e);
}

static const struct {
    const char *name;
    int (*run)(const struct city_cfg *cfg, const struct options *o);
    bool takes_files;
} commands[] = {
    {"serve", serve, false},       {"enroll", enroll, false},     {"revoke", take_back, false},
    {"keys", keys, false},         {"dump", dump, false},         {"verify", verify, true},
    {"import", import, true},      {"report", report, false},     {"retired", retired, false},
    {"alarms", alarms, false},     {"ca", make_ca, false},        {"claim", claim, false},
    {"certs", certs, false},       {"distrust", distrust, false}, {"config", config, false},
    {"announce", announce, false}, {"trust", trust, false},       {"changes", changes, false}};

static bool options_read(int argc, char **argv, struct options *o, bool *help)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"id", required_argument, NULL, 'i'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"format", required_argument, NULL, 'f'},
                                          {"raw", no_argument, NULL, 'r'},
                                          {"receipts", required_argument, NULL, 'a'},
                                          {"gateway", required_argument, NULL, 'g'},
                                          {"from", required_argument, NULL, 'F'},
                                          {"to", required_argument, NULL, 'T'},
                                          {"by", required_argument, NULL, 'b'},
                                          {"kid", required_argument, NULL, 'd'},
                                          {"reason", required_argument, NULL, 'w'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"valid", required_argument, NULL, 'v'},
                                          {"replaces", no_argument, NULL, 'p'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"file", required_argument, NULL, 'x'},
                                          {"next-key", no_argument, NULL, 'n'},
                                          {"next-ca", required_argument, NULL, 'C'},
                                          {"after", required_argument, NULL, 'A'},
                                          {"both", required_argument, NULL, 'B'},
                                          {"out", required_argument, NULL, 'o'},
                                          {"restore", required_argument, NULL, 'R'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    const struct {
        int letter;
        const char **text; /* NULL: a flag */
        bool *flag;
    } to[] = {{'c', &o->config, NULL},   {'i', &o->id, NULL},      {'k', &o->key, NULL},
              {'f', &o->format, NULL},   {'r', NULL, &o->raw},     {'a', &o->receipts, NULL},
              {'g', &o->gateway, NULL},  {'F', &o->from, NULL},    {'T', &o->to, NULL},
              {'b', &o->by, NULL},       {'d', &o->kid, NULL},     {'w', &o->reason, NULL},
              {'j', NULL, &o->json},     {'v', &o->valid, NULL},   {'p', NULL, &o->replaces},
              {'n', NULL, &o->next_key}, {'C', &o->next_ca, NULL}, {'A', &o->after, NULL},
              {'B', &o->both, NULL},     {'o', &o->out, NULL},     {'R', &o->restore, NULL},
              {'l', NULL, &o->list},     {'x', &o->file, NULL},    {'h', NULL, help}};
    const size_t n = sizeof to / sizeof *to;
    int k;

    while ((k = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        size_t i = 0;
        while (i < n && to[i].letter != k)
            i++;
        if (i == n)
            return false;
        if (to[i].text != NULL)
            *to[i].text = optarg;
        else
            *to[i].flag = true;
    }
    o->files = argv + optind;
    o->nfiles = argc - optind;
    return true;
}

static int with_config(size_t command, const struct options *o)
{
    struct city_cfg cfg = {0};
    struct cfg *loaded = NULL;
    struct err e = {.text = ""};
    const char *complaints = "";
    int rc = EXIT_USAGE;

    if (cfg_load_struct(&loaded, o->config, &city_table, &cfg, &e) != ST_OK) {
        if (loaded == NULL || cfg_complaints(loaded, &complaints) == 0)
            log_error("%s", e.text);
        else
            fputs(complaints, stderr);
    } else if (city_cfg_check(&cfg, &e) != ST_OK) {
        log_error("%s: %s", o->config, e.text);
    } else {
        rc = commands[command].run(&cfg, o);
    }
    cfg_free(loaded);
    return rc;
}

int main(int argc, char **argv)
{
    const size_t n = sizeof commands / sizeof *commands;
    struct options o = {0};
    bool help = false;
    size_t command = 0;

    log_open("fieldpost-city", LOG_LEVEL_INFO);
    while (argc > 1 && command < n && strcmp(argv[1], commands[command].name) != 0)
        command++;
    bool named = argc > 1 && command < n;
    if (!options_read(argc - named, argv + named, &o, &help))
        return EXIT_USAGE;
    if (help) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (!named || o.config == NULL || (o.nfiles > 0 && !commands[command].takes_files)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return with_config(command, &o);
}
