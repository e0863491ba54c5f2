/* fieldpost digest: what the gateway sealed of a day, and its proof as a QR code. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/cli/qr.h"

static const char usage[] =
    "usage: fieldpost digest [--config FILE] [--day DAY] [--format text|json|svg|pbm]\n"
    "\n"
    "Prints what the gateway sealed of a day that is over (00:00 to 24:00 of Viet Nam): how many\n"
    "readings and gaps, and one hash over all its batches. The QR code holds the signed digest\n"
    "itself: fieldpost verify and verify.html check it against the gateway's public key, and the\n"
    "city's answer to /v1/gateways/GATEWAY/digest?day=DAY must say the same. The gateway may run.\n"
    "\n"
    "  --day DAY      such as 2026-11-25; without it the last day that has a digest\n"
    "  --format F     text: for people, with the QR code; json: one object a digest, with the "
    "text\n"
    "                 of the QR code as proof; svg, pbm: the QR code as a picture\n";

enum form { FORM_TEXT, FORM_JSON, FORM_SVG, FORM_PBM };
static const char *const forms[] = {"text", "json", "svg", "pbm", NULL};

struct run {
    const char *gw;
    int64_t day; /* INT64_MIN: the first that is met */
    enum form form;
    size_t found;
    struct buf cose, text;
    struct err e;
};

static enum st print_text(struct run *x, const struct wire_header *h, const uint8_t *of,
                          const struct wire_digest *d, struct wire_span proof)
{
    char day[WIRE_DAY_TEXT], chain[WIRE_ID_TEXT], kid[WIRE_ID_TEXT], hash[2 * WIRE_HASH_BYTES + 1];
    char in[WIRE_ID_TEXT];
    bool own = memcmp(of, h->chain, WIRE_ID_BYTES) == 0;
    ERR_TRY(wire_day_text(d->day, day));
    wire_hex(of, WIRE_ID_BYTES, chain);
    wire_hex(h->chain, WIRE_ID_BYTES, in);
    wire_hex(h->kid, WIRE_ID_BYTES, kid);
    wire_hex(d->hash, WIRE_HASH_BYTES, hash);
    const unsigned long long n[] = {d->seq_from, d->seq_to, h->seq, d->readings, d->gaps};
    if (x->form == FORM_JSON) {
        (void)printf("{\"gateway\":\"%s\",\"day\":\"%s\",\"chain\":\"%s\",\"seq_from\":%llu,"
                     "\"seq_to\":%llu,\"sealed_in\":%llu,\"sealed_chain\":\"%s\",\"readings\":%llu,"
                     "\"gaps\":%llu,\"hash\":\"%s\",\"key\":\"%s\",\"proof\":\"%.*s\"}\n",
                     h->gw, day, chain, n[0], n[1], n[2], in, n[3], n[4], hash, kid, (int)proof.n,
                     (const char *)proof.p);
        return ST_OK;
    }
    (void)printf(
        "gateway   %s\nday       %s (UTC+7)\nbatches   %llu to %llu of chain %s\n"
        "readings  %llu\ngaps      %llu\nhash      %s\nkey       %s\nsealed in batch %llu%s%s\n",
        h->gw, day, n[0], n[1], chain, n[3], n[4], hash, kid, n[2], own ? "" : " of chain ",
        own ? "" : in);
    return qr_print(proof, isatty(STDOUT_FILENO) ? QR_COLOURS : QR_BLOCKS, stdout, &x->e);
}

/* chain: whose batches it is of. */
static enum st print(struct run *x, const struct wire_batch *b, const uint8_t *chain,
                     const struct wire_digest *d)
{
    x->text.n = 0;
    enum st st = qr_proof_put(&x->text, b->header.gw, d->day, b->cose.whole);
    if (st != ST_OK)
        return err_set(&x->e, st, "the digest of a day that cannot be shown");
    struct wire_span proof = {x->text.p, x->text.n};
    if (x->found++ == 0 || x->form == FORM_TEXT || x->form == FORM_JSON)
        return x->form == FORM_SVG   ? qr_print(proof, QR_SVG, stdout, &x->e)
               : x->form == FORM_PBM ? qr_print(proof, QR_PBM, stdout, &x->e)
                                     : print_text(x, &b->header, chain, d, proof);
    return ST_OK;
}

/* A digest stands alone in its batch. */
static enum st look(struct run *x, const struct store_batch *row)
{
    struct wire_batch b;
    struct wire_control c;
    struct wire_entry entry;
    x->cose.n = 0;
    ERR_TRY(wire_zstd_unpack(row->packed.p, row->packed.n, WIRE_BATCH_MAX, &x->cose, &x->e));
    ERR_TRY(wire_batch_open(&b, x->cose.p, x->cose.n, &x->e));
    enum st st = wire_control_open(&c, b.cose.payload.p, b.cose.payload.n, &x->e);
    if (st == ST_OK)
        st = wire_control_next(&c, &entry, &x->e);
    if (st == ST_OK && (entry.kind == WIRE_ENTRY_DIGEST || entry.kind == WIRE_ENTRY_REST) &&
        (x->day == INT64_MIN || x->day == entry.digest.day)) {
        x->day = entry.digest.day;
        st = print(x, &b, entry.kind == WIRE_ENTRY_REST ? entry.chain.p : b.header.chain,
                   &entry.digest);
    }
    wire_batch_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st walk(struct run *x, const char *path)
{
    struct store_reader *r = NULL;
    struct store_batch row = {.id = 0};
    enum st st = store_reader_open(&r, path, &x->e);
    while (st == ST_OK && (st = store_control_before(r, row.id, &row, &x->e)) == ST_OK)
        st = look(x, &row);
    store_reader_close(r);
    if (st != ST_NOT_FOUND)
        return st;
    if (x->found == 0)
        return err_set(&x->e, ST_NOT_FOUND,
                       "store %s: no digest of %s: a day's is sealed when the day is over and the "
                       "gateway runs",
                       path, x->day == INT64_MIN ? "any day" : "that day");
    if (x->found > 1 && x->form >= FORM_SVG)
        log_info("the day has %zu digests (the clock was set back, or batches were lost): the "
                 "picture is of the last one",
                 x->found);
    return ST_OK;
}

static bool parse_options(int argc, char **argv, struct run *x, const char **config, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"day", required_argument, NULL, 'd'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        size_t k = 0;
        if (o == 'c') {
            *config = optarg;
        } else if (o == 'd') {
            if (!wire_day_parse((struct wire_span){(const uint8_t *)optarg, strlen(optarg)},
                                &x->day)) {
                (void)fprintf(stderr, "fieldpost digest: \"%s\" is not a day such as 2026-11-25\n",
                              optarg);
                return false;
            }
        } else if (o == 'f') {
            while (forms[k] && strcmp(forms[k], optarg) != 0)
                k++;
            if (!forms[k]) {
                (void)fprintf(stderr, "fieldpost digest: \"%s\" is not a format\n", optarg);
                return false;
            }
            x->form = (enum form)k;
        } else {
            (void)cli_usage(o, usage, code);
            return false;
        }
    }
    if (optind < argc) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

int cli_digest(int argc, char **argv)
{
    struct run x = {.day = INT64_MIN};
    const char *path = CLI_DEFAULT_CONFIG;
    struct cli_config c;
    int code = CLI_USAGE;
    if (!parse_options(argc, argv, &x, &path, &code))
        return code;
    buf_init(&x.cose, WIRE_BATCH_MAX);
    buf_init(&x.text, WIRE_BATCH_MAX);
    if (cli_config_load(&c, path, &x.e) == ST_OK) {
        code = walk(&x, c.store.path) == ST_OK && fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
        if (code == CLI_FAILED)
            log_error("%s", x.e.text[0] ? x.e.text : "standard output cannot be written");
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", x.e.text);
    }
    cli_config_done(&c);
    buf_done(&x.cose);
    buf_done(&x.text);
    return code;
}
