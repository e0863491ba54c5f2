/* fieldpost status: from the running gateway's page, or from the store when it does not run. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/http/http.h"

static const char usage[] =
    "usage: fieldpost status [--config FILE] [--json]\n"
    "\n"
    "Asks the gateway that runs with this configuration how it does; when none answers, shows "
    "what\n"
    "its store says of the uplinks. Exit code 1 when neither can be read.\n";

#define ANSWER_MAX_BYTES (4 * 1024 * 1024)
#define PATH_BYTES 256

/* The page as this machine reaches it; false when there is none. */
static bool status_url(const char *listen, char *url, size_t n)
{
    const char *port = strrchr(listen, ':');
    if (!port) {
        return false;
    }
    size_t host = (size_t)(port - listen);
    bool any4 = host == 7 && memcmp(listen, "0.0.0.0", 7) == 0;
    bool any6 = host == 4 && memcmp(listen, "[::]", 4) == 0;
    int len = any4   ? snprintf(url, n, "http://127.0.0.1%s/api/v1/status", port)
              : any6 ? snprintf(url, n, "http://[::1]%s/api/v1/status", port)
                     : snprintf(url, n, "http://%s/api/v1/status", listen);
    return len > 0 && (size_t)len < n;
}

/* The address in `listen`, or where the running gateway says that its page is: port 0 is whichever
 * the system chose. "" when nobody ever said. */
static void page_of(const struct cli_config *c, char *out, size_t size)
{
    struct store_reader *r = NULL;
    struct buf page;
    const char *port = strrchr(c->web.listen, ':');
    (void)snprintf(out, size, "%s", c->web.listen);
    if (!port || strcmp(port, ":0") != 0) {
        return;
    }
    out[0] = '\0';
    buf_init(&page, size - 1);
    if (store_reader_open(&r, c->store.path, NULL) == ST_OK &&
        store_reader_meta(r, STORE_META_PAGE, &page, NULL) == ST_OK) {
        (void)snprintf(out, size, "%.*s", (int)page.n, (const char *)page.p);
    }
    store_reader_close(r);
    buf_done(&page);
}

static json_t *ask(const char *url)
{
    const struct http_client_cfg cfg = {.connect_ms = 2000,
                                        .total_ms = 5000,
                                        .max_answer = ANSWER_MAX_BYTES,
                                        .user_agent = "fieldpost"};
    const struct http_call call = {.method = "GET", .url = url};
    struct http_client *client = NULL;
    struct http_reply reply = {0};
    json_t *answer = NULL;
    buf_init(&reply.body, ANSWER_MAX_BYTES);
    if (http_client_open(&client, &cfg, NULL) == ST_OK &&
        http_client_do(client, &call, -1, &reply, NULL) == ST_OK && reply.status == 200) {
        answer = json_loadb((const char *)reply.body.p, reply.body.n, JSON_REJECT_DUPLICATES, NULL);
    }
    http_client_close(client);
    buf_done(&reply.body);
    return answer;
}

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

static int print_status(const struct cli_config *c, bool as_json)
{
    char page[160], url[200], path[PATH_BYTES] = "";
    struct err e = {0};
    page_of(c, page, sizeof(page));
    json_t *v = status_url(page, url, sizeof(url)) ? ask(url) : NULL;
    if (!v) {
        bool off = strcmp(page, "off") == 0;
        (void)fprintf(stderr, "%s %s%s; this is what its store says\n",
                      off ? "the gateway has no page: web.listen is"
                          : "the gateway does not answer",
                      off || !page[0] ? "" : "at ", page);
        v = from_store(c, &e);
    }
    if (!v) {
        log_error("%s", e.text[0] ? e.text : "no memory");
        return CLI_FAILED;
    }
    if (as_json) {
        (void)json_dumpf(v, stdout, JSON_INDENT(2));
        (void)puts("");
    } else {
        print_lines(v, path, 0);
    }
    json_decref(v);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cli_status(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    bool as_json = false;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'j') {
            as_json = true;
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
        code = print_status(&c, as_json);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return code;
}
