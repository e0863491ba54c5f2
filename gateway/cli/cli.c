/* The table of subcommands, and what all of them share. */
#include "gateway/cli/cli.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/cfg.h"
#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"

static const struct cli_command commands[] = {
    {"check", cli_check, "check a configuration; prints all mistakes at once"},
    {"profiles", cli_profiles, "list the device models, and where their register maps are from"},
    {"indicators", cli_indicators, "list the indicators, and what each is computed from"},
    {"keygen", cli_keygen, "make the gateway's signing key"},
    {"key", cli_key, "show the signing key, or change it for the next one"},
    {"enroll", cli_enroll, "enrol the gateway at the city with a claim code"},
    {"status", cli_status, "show how the gateway does"},
    {"doctor", cli_doctor, "say what is wrong with a line, and what to do"},
    {"probe", cli_probe, "try devices that do not answer now"},
    {"setup", cli_setup, "give a new device its number, speed and parity"},
    {"read", cli_read, "read registers of a device, in every type and order"},
    {"scan", cli_scan, "find the devices on a bus, and which profiles fit them"},
    {"alarm", cli_alarm, "show how the alarms stand; acknowledge one"},
    {"throughput", cli_throughput, "measure the line's throughput once, now"},
    {"report", cli_report, "print the figures of a period; approve and submit its sheet"},
    {"export", cli_export, "print readings, or write the sealed batches to a stick"},
    {"receipts", cli_receipts, "take the city's receipts that came back on a stick"},
    {"trust", cli_trust, "show the city's keys that count here, or take their change from a file"},
    {"resend", cli_resend, "list what the city has refused for ever, and send it once more"},
    {"backup", cli_backup, "copy the store while the gateway runs"},
    {"digest", cli_digest, "show what was sealed of a day, and its proof as a QR code"},
    {"verify", cli_verify, "check a batch file or a USB export offline"},
    {"correct", cli_correct, "say what was wrong with readings: take back, rescale, rename"},
    {"maintain", cli_maintain, "note a calibration, a new sensor or a new meter"},
    {"enter", cli_enter, "enter a reading by hand, such as that of a weighing slip"},
    {"retire", cli_retire, "end a series that is not configured any more"},
    {"survey", cli_survey, "import a survey app's file; tell where 5G covers the ward"},
    {"page", cli_page, "show where the page is, and the certificate that it has"},
    {"user", cli_people, "say who may sign in at the page; print the code of the first"},
    {"token", cli_token, "make, list and remove the tokens of the API"},
    {NULL, NULL, NULL}};

static void usage(FILE *to)
{
    (void)fputs("usage: fieldpost COMMAND [options]\n\n", to);
    (void)fprintf(to, "  %-10s %s\n", "run", "run the gateway in the foreground");
    for (const struct cli_command *c = commands; c->name; c++) {
        (void)fprintf(to, "  %-10s %s\n", c->name, c->help);
    }
    (void)fputs("\nfieldpost help COMMAND says more. Exit codes: 0 done, 1 failed at run time,\n"
                "2 wrong usage or configuration.\n",
                to);
}

int cli_main(int argc, char **argv, int (*run)(int argc, char **argv))
{
    const char *name = argc > 1 ? argv[1] : "";
    const char *known[sizeof(commands) / sizeof(commands[0])] = {"run"};
    size_t n = 1;
    log_open("fieldpost", LOG_LEVEL_INFO);
    if (strcmp(name, "help") == 0 && argc == 3) {
        char option[] = "--help", *explain[] = {argv[0], argv[2], option, NULL};
        return cli_main(3, explain, run);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        usage(stdout);
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        (void)puts("fieldpost " CLI_VERSION);
        return CLI_DONE;
    }
    if (strcmp(name, "run") == 0) {
        return run(argc - 1, argv + 1);
    }
    for (const struct cli_command *c = commands; c->name; c++) {
        if (strcmp(name, c->name) == 0) {
            return c->main(argc - 1, argv + 1);
        }
        known[n++] = c->name;
    }
    if (name[0]) {
        const char *near = cfg_nearest(name, known, n);
        (void)fprintf(stderr, "fieldpost: unknown command \"%s\"%s%s%s\n", name,
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    usage(stderr);
    return CLI_USAGE;
}

const char *cli_config_option(int argc, char **argv, const char *usage_text, int *exit_code)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else {
            return cli_usage(o, usage_text, exit_code);
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "fieldpost %s: unexpected \"%s\"\n", argv[0], argv[optind]);
        return cli_usage('?', usage_text, exit_code);
    }
    return path;
}

void cli_user(char out[CLI_USER_BYTES])
{
    const struct passwd *user = getpwuid(getuid());
    if (user) {
        (void)snprintf(out, CLI_USER_BYTES, "%s", user->pw_name);
    } else {
        (void)snprintf(out, CLI_USER_BYTES, "uid %u", (unsigned)getuid());
    }
}

int64_t cli_utc_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *cli_usage(int option, const char *usage_text, int *exit_code)
{
    *exit_code = option == 'h' ? CLI_DONE : CLI_USAGE;
    (void)fputs(usage_text, option == 'h' ? stdout : stderr);
    return NULL;
}

int cli_complain(const struct cfg *c)
{
    const char *text = "";
    size_t n = c ? cfg_complaints(c, &text) : 0;
    (void)fputs(text, stderr);
    return (int)n;
}
