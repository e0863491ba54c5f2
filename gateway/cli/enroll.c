/* fieldpost enroll: the gateway's place at the city, from a code on a label. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/cli/restore.h"
#include "gateway/signer/signer.h"

static const char usage[] =
    "usage: fieldpost enroll [--config FILE] [--city URL] [--code C | --code-file F]\n"
    "                        [--pin P | --ca FILE] [--replaces ID]\n"
    "\n"
    "Enrols this gateway at the city: gets a TLS certificate for the claim code C, and registers\n"
    "the key that signs the batches. Without a code it goes on where an earlier call ended.\n"
    "\n"
    "  --city URL      which uplink of the configuration; not needed when there is one\n"
    "  --code C        the code of the label; - asks for it, which keeps it out of the list of\n"
    "                  processes and the shell's history\n"
    "  --code-file F   reads it from the first line of F\n"
    "  --pin P         the pin of the label, to know the city while its CA is not here\n"
    "  --ca FILE       the city's CA instead\n"
    "  --replaces ID   this box takes over from a dead one with the id ID, which is its own now; "
    "the\n"
    "                  configuration that the city keeps of that one comes back as FILE.restored.\n"
    "                  Where there is no FILE yet, one that will do for this is made (with "
    "--city)\n";

#define CODE_BYTES 128

struct options {
    const char *config, *city, *code, *code_file, *pin, *ca, *replaces;
};

static void print_line(const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
}

/* The first line, without its end. */
static bool read_line(FILE *f, char out[CODE_BYTES])
{
    if (!fgets(out, CODE_BYTES, f)) {
        return false;
    }
    out[strcspn(out, "\r\n")] = '\0';
    return out[0] != '\0';
}

/* From the terminal without an echo, or from a pipe. */
static bool ask(char out[CODE_BYTES])
{
    struct termios old, quiet;
    bool tty = tcgetattr(STDIN_FILENO, &old) == 0;
    if (tty) {
        (void)fputs("claim code: ", stderr);
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool good = read_line(stdin, out);
    if (tty) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        (void)fputs("\n", stderr);
    }
    return good;
}

static bool from_file(const char *path, char out[CODE_BYTES])
{
    FILE *f = fopen(path, "re");
    bool good = f && read_line(f, out);
    if (f) {
        (void)fclose(f);
    }
    return good;
}

/* false: it was told what is wrong. */
static bool code_of(const struct options *o, char out[CODE_BYTES])
{
    out[0] = '\0';
    if (o->code_file) {
        if (from_file(o->code_file, out)) {
            return true;
        }
        log_error("--code-file %s: its first line must be the claim code", o->code_file);
        return false;
    }
    if (!o->code) {
        return true;
    }
    if (strcmp(o->code, "-") == 0) {
        if (ask(out)) {
            return true;
        }
        log_error("no claim code was given");
        return false;
    }
    (void)snprintf(out, CODE_BYTES, "%s", o->code);
    return true;
}

static int enroll(const struct cli_config *c, const struct options *o, const char *code)
{
    struct signer *signer = NULL;
    struct err e = {0};
    if (o->replaces && strcmp(o->replaces, c->gateway.id) != 0) {
        log_error("--replaces %s: this box takes the id of the one that it replaces: write "
                  "gateway.id: %s into its configuration",
                  o->replaces, o->replaces);
        return CLI_USAGE;
    }
    enum st st = signer_here(&signer, c->seal.key, c->seal.next_key, &e);
    if (st != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    struct cli_restore restore = {.path = o->config, .c = c, .say = print_line};
    const struct uplink_enroll q = {.gateway = c->gateway.id,
                                    .uplinks = &c->uplinks_cfg,
                                    .beside = cli_identity_beside(c),
                                    .key = signer_now(signer),
                                    .city = o->city,
                                    .code = code[0] ? code : NULL,
                                    .pin = o->pin,
                                    .ca_file = o->ca,
                                    .replaces = o->replaces != NULL,
                                    .store_path = c->store.path,
                                    .say = print_line,
                                    .restore = cli_restore,
                                    .ctx = &restore};
    st = uplink_enroll(&q, &e);
    if (st != ST_OK) {
        log_error("%s", e.text);
    }
    signer_close(signer);
    return st == ST_OK ? CLI_DONE : CLI_FAILED;
}

static bool options_read(int argc, char **argv, struct options *o, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"city", required_argument, NULL, 'u'},
                                            {"code", required_argument, NULL, 'k'},
                                            {"code-file", required_argument, NULL, 'f'},
                                            {"pin", required_argument, NULL, 'p'},
                                            {"ca", required_argument, NULL, 'a'},
                                            {"replaces", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const struct {
        int letter;
        const char **to;
    } to[] = {{'c', &o->config}, {'u', &o->city}, {'k', &o->code},    {'f', &o->code_file},
              {'p', &o->pin},    {'a', &o->ca},   {'r', &o->replaces}};
    int k;
    optind = 0;
    while ((k = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        size_t i = 0;
        while (i < sizeof(to) / sizeof(to[0]) && to[i].letter != k) {
            i++;
        }
        if (i == sizeof(to) / sizeof(to[0])) {
            (void)cli_usage(k, usage, code);
            return false;
        }
        *to[i].to = optarg;
    }
    if (optind < argc || (o->code && o->code_file) || (o->pin && o->ca)) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

/* A box that replaces another may have nothing at all yet. */
static enum st begin(const struct options *o, struct err *e)
{
    if (!o->replaces || !o->city || access(o->config, F_OK) == 0) {
        return ST_OK;
    }
    ERR_TRY(cli_first_config(o->config, o->replaces, o->city, e));
    (void)fprintf(stderr, "%s is made, to begin with\n", o->config);
    return ST_OK;
}

int cli_enroll(int argc, char **argv)
{
    struct options o = {.config = CLI_DEFAULT_CONFIG};
    char typed[CODE_BYTES] = "";
    int code = CLI_USAGE;
    if (!options_read(argc, argv, &o, &code) || !code_of(&o, typed)) {
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    enum st st = begin(&o, &e);
    if (st != ST_OK) {
        log_error("%s", e.text);
        explicit_bzero(typed, sizeof(typed));
        return CLI_FAILED;
    }
    if (cli_config_load(&c, o.config, &e) == ST_OK) {
        code = enroll(&c, &o, typed);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    explicit_bzero(typed, sizeof(typed));
    cli_config_done(&c);
    return code;
}
