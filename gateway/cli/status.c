/* fieldpost status: from the running gateway's page, or from the store when it does not run. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/cli/page.h"

static const char usage[] =
    "usage: fieldpost status [--config FILE] [--lang en|vi] [--json]\n"
    "\n"
    "Says in a sentence whether all is well, or what is the most important, and what to do next; "
    "then\n"
    "all that the gateway which runs with this configuration tells of itself. When none answers, "
    "shows\n"
    "what its store says of the uplinks. Exit code 1 when neither can be read.\n"
    "\n"
    "  --lang LANG  the language of the sentence: en (the default) or vi, as the page has them\n";

#define PATH_BYTES 256

static json_t *uplink_of_store(struct store_reader *r, const char *id, struct err *e)
{
    struct store_receipt last;
    int64_t batches = 0, readings = 0;
    enum st st = store_unsent(r, id, &batches, &readings, e);
    if (st != ST_OK) {
        return NULL;
    }
    int64_t since_ms = 0, spent = 0;
    if (uplinks_spent(r, id, &since_ms, &spent, e) != ST_OK) {
        return NULL;
    }
    json_t *u =
        json_pack("{s:s, s:I, s:I, s:I}", "id", id, "unsent_batches", (json_int_t)batches,
                  "unsent_readings", (json_int_t)readings, "month_bytes", (json_int_t)spent);
    st = store_last_receipt(r, id, &last, e);
    if (u && st == ST_OK) {
        char chain[WIRE_ID_TEXT], at[CLK_TEXT_BYTES];
        wire_hex(last.chain, WIRE_ID_BYTES, chain);
        json_t *l = json_pack("{s:s, s:I, s:s}", "chain", chain, "seq", (json_int_t)last.seq, "at",
                              clk_text(last.at_ms, at));
        if (json_object_set_new(u, "last_acknowledged", l) != 0) {
            st = ST_MEMORY;
        }
    }
    if (st != ST_OK && st != ST_NOT_FOUND) {
        json_decref(u);
        return NULL;
    }
    return u;
}

/* What the file alone can say. */
static json_t *from_store(const struct cli_config *c, struct err *e)
{
    struct store_reader *r = NULL;
    if (store_reader_open(&r, c->store.path, e) != ST_OK) {
        return NULL;
    }
    json_t *uplinks = json_array();
    const char *item = c->uplinks_cfg.v;
    for (size_t i = 0; uplinks && i < c->uplinks_cfg.n; i++, item += uplink_table.struct_size) {
        const char *id = *(char *const *)(const void *)item; /* a map's items begin with their id */
        if (json_array_append_new(uplinks, uplink_of_store(r, id, e)) != 0) {
            json_decref(uplinks);
            uplinks = NULL;
        }
    }
    store_reader_close(r);
    return uplinks ? json_pack("{s:b, s:s, s:s, s:o}", "running", 0, "gateway", c->gateway.id,
                               "store", c->store.path, "uplinks", uplinks)
                   : NULL;
}

/* One line per leaf: "uplinks[0].id: city". */
static void print_lines(const json_t *v, char *path, size_t at)
{
    const char *key;
    const json_t *item;
    size_t i;
    if (json_is_object(v)) {
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            int n = snprintf(path + at, PATH_BYTES - at, "%s%s", at ? "." : "", key);
            if (n > 0 && (size_t)n < PATH_BYTES - at) {
                print_lines(item, path, at + (size_t)n);
            }
        }
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, item)
        {
            int n = snprintf(path + at, PATH_BYTES - at, "[%zu]", i);
            if (n > 0 && (size_t)n < PATH_BYTES - at) {
                print_lines(item, path, at + (size_t)n);
            }
        }
    } else {
        path[at] = '\0';
        char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY);
        (void)printf("%s: %s\n", path, text ? text : json_is_string(v) ? json_string_value(v) : "");
        free(text);
    }
}

/* The first sentence, with its words: what the page shows on top. Takes `advice`; NULL: no memory,
 * or words that this program does not have. */
static json_t *in_words(json_t *advice, const char *language)
{
    char sentence[WEB_SENTENCE_BYTES], next[WEB_SENTENCE_BYTES];
    if (advice && web_say(language, advice, sentence, next) &&
        json_object_set_new(advice, "sentence", json_string(sentence)) == 0 &&
        json_object_set_new(advice, "next", json_string(next)) == 0) {
        return advice;
    }
    json_decref(advice);
    return NULL;
}

/* Both of the gateway that runs, or both of what its store says. */
static json_t *whole_status(const struct cli_config *c, const char *language, struct err *e)
{
    struct err why = {.text = ""};
    json_t *v = cli_page_ask(c, "/api/v1/status", &why);
    json_t *advice = v ? cli_page_ask(c, "/api/v1/advice", &why) : NULL;
    if (!advice) {
        (void)fprintf(stderr, "%s; this is what its store says\n", why.text);
        json_decref(v);
        v = from_store(c, e);
        advice = json_pack("{ss ss s{}}", "code", "no_gateway", "level", "act", "params");
    }
    advice = in_words(advice, language);
    if (v && (!advice || json_object_set(v, "advice", advice) != 0)) {
        err_set(e, ST_BAD,
                "the gateway says what this program has no words for: is it of another "
                "version?");
        json_decref(v);
        v = NULL;
    }
    json_decref(advice);
    return v;
}

static int print_status(const struct cli_config *c, const char *language, bool as_json)
{
    char path[PATH_BYTES] = "";
    struct err e = {0};
    json_t *v = whole_status(c, language, &e);
    if (!v) {
        log_error("%s", e.text[0] ? e.text : "no memory");
        return CLI_FAILED;
    }
    if (as_json) {
        (void)json_dumpf(v, stdout, JSON_INDENT(2));
        (void)puts("");
    } else {
        json_t *advice = json_object_get(v, "advice");
        (void)printf("%s\n%s\n\n", json_string_value(json_object_get(advice, "sentence")),
                     json_string_value(json_object_get(advice, "next")));
        (void)json_object_del(v, "advice");
        print_lines(v, path, 0);
    }
    json_decref(v);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cli_status(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"lang", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG, *language = "en";
    bool as_json = false;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'j') {
            as_json = true;
        } else if (o == 'l' && (strcmp(optarg, "en") == 0 || strcmp(optarg, "vi") == 0)) {
            language = optarg;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    if (cli_config_load(&c, path, &e) == ST_OK) {
        code = print_status(&c, language, as_json);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return code;
}
