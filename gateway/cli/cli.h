/* The subcommands of `fieldpost` but `run`, which main provides. */
#ifndef GATEWAY_CLI_CLI_H
#define GATEWAY_CLI_CLI_H

#define CLI_DEFAULT_CONFIG "/etc/fieldpost/fieldpost.yaml"
#define CLI_VERSION "0.1.0"

/* Exit codes of every program of ours. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
    const char *name;                   /* ends the table when NULL */
    int (*main)(int argc, char **argv); /* argv[0] is the subcommand; returns the exit code */
    const char *help;                   /* one line */
};
/* Finds argv[1] among `run` and the other subcommands and runs it; --help and --version too. */
int cli_main(int argc, char **argv, int (*run)(int argc, char **argv));
/* Parses `--config FILE` and `--help` for a subcommand without further options. Returns the path,
 * or NULL with *exit_code set when the program shall end. */
const char *cli_config_option(int argc, char **argv, const char *usage, int *exit_code);
/* Prints the complaints of a configuration to stderr; how many. */
struct cfg;
int cli_complain(const struct cfg *c);

#endif
