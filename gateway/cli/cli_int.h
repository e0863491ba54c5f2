/* Private to the CLI: its subcommands. */
#ifndef GATEWAY_CLI_CLI_INT_H
#define GATEWAY_CLI_CLI_INT_H

#include <stdint.h>

#include "gateway/cli/cli.h"
#include "gateway/collect/collect.h"

int cli_check(int argc, char **argv);
int cli_profiles(int argc, char **argv);
int cli_indicators(int argc, char **argv);
int cli_keygen(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_enroll(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_receipts(int argc, char **argv);
int cli_trust(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_probe(int argc, char **argv);
int cli_read(int argc, char **argv);
int cli_scan(int argc, char **argv);
int cli_resend(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_digest(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_retire(int argc, char **argv);
int cli_correct(int argc, char **argv);
int cli_enter(int argc, char **argv);
int cli_maintain(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_people(int argc, char **argv);
int cli_page(int argc, char **argv);
int cli_setup(int argc, char **argv);
int cli_survey(int argc, char **argv);
int cli_alarm(int argc, char **argv);
int cli_throughput(int argc, char **argv);

/* Prints the usage where `option` (a return value of getopt_long: 'h' or wrong) wants it and sets
 * the exit code. Always NULL, for functions that return an option's value. */
const char *cli_usage(int option, const char *usage_text, int *exit_code);

/* Says on stderr, for each profile in use, how far its register map is to be trusted, and why. */
void cli_note_profiles(const struct collect *k);

/* How long a command waits for another that changes users or tokens. */
#define CLI_KEPT_WAIT_MS 10000

/* The name of the user who runs this, or "uid N". */
#define CLI_USER_BYTES 65
void cli_user(char out[CLI_USER_BYTES]);

/* The date as this machine has it, known or not: for what a person asks for now. */
int64_t cli_utc_ms(void);

#endif
