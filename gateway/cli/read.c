/* fieldpost read: registers as they are, and all that they may mean. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/asking.h"
#include "gateway/cli/cli_int.h"

static const char usage[] =
    "usage: fieldpost read [--config FILE] [--json] BUS UNIT FUNCTION ADDRESS COUNT\n"
    "\n"
    "Reads COUNT registers, or bits, of a unit (function 1 coils, 2 discrete inputs, 3 holding "
    "registers,\n"
    "4 input registers; the address from 0, as on the wire), and shows them in every type and "
    "order "
    "of\n"
    "bytes; * marks what is plausible. Works while the gateway runs, between its polls, and "
    "without "
    "it.\n"
    "Exit code 1 when the unit refuses or does not answer.\n";

#define ORDERS 4

/* The number in a document that counts from 1, with the digit of its table in front. */
static unsigned long reference(unsigned function, unsigned address)
{
    static const unsigned long table[] = {[1] = 0, [2] = 1, [3] = 4, [4] = 3};
    return table[function] * (address < 9999 ? 10000UL : 100000UL) + address + 1;
}

static unsigned word_at(const uint8_t *data, unsigned i)
{
    return (unsigned)data[2 * i] << 8 | data[2 * i + 1];
}

static bool bit_at(const uint8_t *data, unsigned i)
{
    return data[i / 8] >> i % 8 & 1;
}

/* ---- for people ----------------------------------------------------------------------------- */

/* One width of number: a table of its own. */
struct table {
    const struct collect_ask *q;
    const uint8_t *data;
    unsigned regs, column;
    const char *type;
};

static const char *shown(const struct collect_view *v, char text[NUM_TEXT_BYTES])
{
    if (v->v.kind == NUM_NONE) {
        return "-";
    }
    if (v->v.kind == NUM_FLT) { /* all digits of a float are in --json */
        (void)snprintf(text, NUM_TEXT_BYTES, "%.7g", v->v.f);
        return text;
    }
    return num_text(v->v, text);
}

static void print_word_view(void *ctx, const struct collect_view *v)
{
    char text[NUM_TEXT_BYTES];
    if (v->regs == 1) {
        (void)printf(" %*s%c", 7, shown(v, text), v->plausible ? '*' : ' ');
    }
    (void)ctx;
}

static void print_bits(unsigned word)
{
    for (int bit = 15; bit >= 0; bit--) {
        (void)putchar(word >> bit & 1 ? '1' : '0');
        if (bit % 4 == 0 && bit > 0) {
            (void)putchar(' ');
        }
    }
}

static char letter(unsigned c)
{
    return c >= ' ' && c < 0x7f ? (char)c : '.';
}

static void print_words(const struct collect_ask *q, const uint8_t *data)
{
    (void)printf("%7s %6s  %-4s  %-4s %7s  %7s  %7s   %-19s  %s\n", "address", "", "addr", "hex",
                 "u16", "s16", "bcd16", "bits", "text");
    for (unsigned i = 0; i < q->count; i++) {
        unsigned w = word_at(data, i);
        (void)printf("%7u %6lu  %04x  %04x", q->address + i, reference(q->function, q->address + i),
                     q->address + i, w);
        collect_views(data + (size_t)2 * i, 1, print_word_view, NULL);
        (void)printf("  ");
        print_bits(w);
        (void)printf("  %c%c\n", letter(w >> 8), letter(w & 0xff));
    }
}

static void print_wide_view(void *ctx, const struct collect_view *v)
{
    struct table *t = ctx;
    char text[NUM_TEXT_BYTES];
    if (v->at != 0 || v->regs != t->regs) {
        return;
    }
    if (t->type != v->type) {
        (void)printf("%s%7s  %-6s", t->type ? "\n" : "", "", v->type);
        t->type = v->type;
    }
    (void)printf(" %*s%c", (int)t->column, shown(v, text), v->plausible ? '*' : ' ');
}

static void print_wide(const struct collect_ask *q, const uint8_t *data, unsigned regs)
{
    static const char *const orders[][ORDERS] = {{"ABCD", "CDAB", "BADC", "DCBA"},
                                                 {"ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"}};
    unsigned column = regs == 2 ? 14 : 22;
    if (q->count < regs) {
        return;
    }
    (void)printf("\n%7s  %-6s", "address", "type");
    for (unsigned k = 0; k < ORDERS; k++) {
        (void)printf(" %*s ", (int)column, orders[regs / 4][k]);
    }
    (void)putchar('\n');
    for (unsigned i = 0; i + regs <= q->count; i++) {
        struct table t = {.q = q, .data = data, .regs = regs, .column = column};
        (void)printf("%7u\n", q->address + i);
        collect_views(data + (size_t)2 * i, regs, print_wide_view, &t);
        (void)putchar('\n');
    }
}

static void print_text(const uint8_t *data, unsigned n)
{
    char text[COLLECT_DATA_BYTES + 1];
    for (int swapped = 0; swapped < 2; swapped++) {
        bool readable = collect_view_text(data, n, swapped != 0, text);
        (void)printf("%stext, %s byte first: \"%s\"%s\n", swapped ? "" : "\n",
                     swapped ? "low" : "high", text, readable ? " *" : "");
    }
}

static void print_people(const struct collect_ask *q, const struct collect_reply *r)
{
    (void)printf("unit %d on %s, function %u, address %u, count %u: answered after %lld ms\n",
                 q->unit, q->bus, q->function, q->address, q->count, (long long)r->took_ms);
    if (q->function <= 2) {
        for (unsigned i = 0; i < q->count; i++) {
            (void)printf("%7u %06lu  %d\n", q->address + i, reference(q->function, q->address + i),
                         bit_at(r->data, i));
        }
        return;
    }
    print_words(q, r->data);
    print_wide(q, r->data, 2);
    print_wide(q, r->data, 4);
    print_text(r->data, q->count);
}

/* ---- for machines --------------------------------------------------------------------------- */

static void print_view_json(void *ctx, const struct collect_view *v)
{
    const struct collect_ask *q = ctx;
    char text[NUM_TEXT_BYTES];
    if (v->v.kind == NUM_NONE) {
        return;
    }
    (void)printf(",\n  {\"address\":%u,\"type\":\"%s\",\"order\":\"%s\",\"value\":%s,"
                 "\"plausible\":%s}",
                 q->address + v->at, v->type, v->order, num_text(v->v, text),
                 v->plausible ? "true" : "false");
}

static void print_text_json(const struct collect_ask *q, const uint8_t *data)
{
    char text[COLLECT_DATA_BYTES + 1];
    for (int swapped = 0; swapped < 2; swapped++) {
        bool readable = collect_view_text(data, q->count, swapped != 0, text);
        (void)printf("%s\n  {\"address\":%u,\"type\":\"string\",\"order\":\"%s\",\"value\":\"",
                     swapped ? "," : "", q->address, swapped ? "BADC" : "ABCD");
        for (const char *c = text; *c; c++) {
            (void)printf("%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
        }
        (void)printf("\",\"plausible\":%s}", readable ? "true" : "false");
    }
}

/* Ids are letters, digits and ._- alone: nothing in them is to be escaped. */
static void print_json(const struct collect_ask *q, const struct collect_reply *r)
{
    (void)printf("{\"bus\":\"%s\",\"unit\":%d,\"function\":%u,\"address\":%u,\"count\":%u,"
                 "\"ms\":%lld,\n \"%s\":[",
                 q->bus, q->unit, q->function, q->address, q->count, (long long)r->took_ms,
                 q->function <= 2 ? "bits" : "words");
    for (unsigned i = 0; i < q->count; i++) {
        if (q->function <= 2) {
            (void)printf("%s%d", i > 0 ? "," : "", bit_at(r->data, i));
        } else {
            (void)printf("%s\"%04x\"", i > 0 ? "," : "", word_at(r->data, i));
        }
    }
    (void)printf("]");
    if (q->function > 2) {
        (void)printf(",\n \"values\":[");
        print_text_json(q, r->data);
        collect_views(r->data, q->count, print_view_json, (void *)(uintptr_t)q);
        (void)printf("]");
    }
    (void)printf("}\n");
}

/* ---- the command ---------------------------------------------------------------------------- */

static bool ask_of(char **words, struct collect_ask *q)
{
    unsigned unit, function, address, count;
    if (!asking_number("UNIT", words[1], 0, 255, &unit) ||
        !asking_number("FUNCTION", words[2], 1, 4, &function) ||
        !asking_number("ADDRESS", words[3], 0, 65535, &address)) {
        return false;
    }
    long most = function <= 2 ? 8 * COLLECT_DATA_BYTES : COLLECT_DATA_BYTES / 2;
    long left = 65536 - (long)address;
    if (!asking_number("COUNT", words[4], 1, most < left ? most : left, &count)) {
        return false;
    }
    *q = (struct collect_ask){.op = COLLECT_READ,
                              .unit = (int)unit,
                              .function = function,
                              .address = address,
                              .count = count};
    if (snprintf(q->bus, sizeof(q->bus), "%s", words[0]) >= (int)sizeof(q->bus)) {
        log_error("BUS: no bus has such a long name");
        return false;
    }
    return true;
}

static int run(struct asking *a, const struct collect_ask *q, bool json)
{
    struct collect_reply r;
    struct err e = {.text = ""};
    if (asking_ask(a, q, &r, NULL, &e) != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    if (r.st != ST_OK || r.fault != COLLECT_GOOD) {
        log_error("%s", r.text);
        return CLI_FAILED;
    }
    if (r.bytes < (q->function <= 2 ? (q->count + 7) / 8 : 2 * q->count)) {
        log_error("the gateway's reply is too short: it may be of another version");
        return CLI_FAILED;
    }
    (json ? print_json : print_people)(q, &r);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("standard output cannot be written");
        return CLI_FAILED;
    }
    return CLI_DONE;
}

int cli_read(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    bool json = false;
    struct asking a;
    struct collect_ask q;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'j') {
            json = true;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (argc - optind != 5) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    if (!ask_of(argv + optind, &q)) {
        return CLI_USAGE;
    }
    code = asking_open(&a, path, q.bus);
    if (code == CLI_DONE) {
        code = run(&a, &q, json);
    }
    asking_close(&a);
    return code;
}
