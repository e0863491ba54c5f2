/* fieldpost keygen: the key that signs this gateway's batches. */
#include <getopt.h>
#include <stdio.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/wire/wire.h"

static const char usage[] =
    "usage: fieldpost keygen --out FILE\n"
    "\n"
    "Makes a P-256 key and writes it to FILE (mode 0600; a file that exists is never touched).\n"
    "The public key, which the city enrols, goes to standard output as PEM, the key's id (kid) to\n"
    "standard error.\n";

static int print_public(const char *path)
{
    struct wire_key *key = NULL;
    struct err e = {0};
    struct buf pem;
    int code = CLI_FAILED;
    buf_init(&pem, 4096);
    if (wire_key_load(&key, path, &e) != ST_OK) {
        log_error("%s", e.text);
        goto out;
    }
    const struct wire_pub *pub = wire_key_pub(key);
    char kid[WIRE_ID_TEXT];
    wire_hex(wire_pub_kid(pub), WIRE_ID_BYTES, kid);
    if (wire_pub_pem(pub, &pem) != ST_OK || fwrite(pem.p, 1, pem.n, stdout) != pem.n ||
        fflush(stdout) != 0) {
        log_error("the public key could not be printed; the private key is in %s", path);
        goto out;
    }
    (void)fprintf(stderr, "kid %s\n", kid);
    code = CLI_DONE;
out:
    buf_done(&pem);
    wire_key_free(key);
    return code;
}

int cli_keygen(int argc, char **argv)
{
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (o != 'o') {
            (void)cli_usage(o, usage, &code);
            return code;
        }
        path = optarg;
    }
    if (!path || optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    struct err e = {0};
    enum st st = wire_key_make(path, &e);
    if (st != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    return print_public(path);
}
