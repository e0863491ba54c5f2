/* What the gateway that runs says of itself, by its page. */
#include "gateway/cli/page.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/http/http.h"

#define ANSWER_MAX_BYTES (4 * 1024 * 1024)

bool cli_page_url(const char *listen, const char *path, char *url, size_t n)
{
    const char *port = strrchr(listen, ':');
    if (!port) {
        return false;
    }
    size_t host = (size_t)(port - listen);
    bool any4 = host == 7 && memcmp(listen, "0.0.0.0", 7) == 0;
    bool any6 = host == 4 && memcmp(listen, "[::]", 4) == 0;
    int len = any4   ? snprintf(url, n, "https://127.0.0.1%s%s", port, path)
              : any6 ? snprintf(url, n, "https://[::1]%s%s", port, path)
                     : snprintf(url, n, "https://%s%s", listen, path);
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

/* The key that the page has, as a pin: no name and no date can be wrong with it. */
static enum st pin_of(const struct cli_config *c, char out[80], struct err *e)
{
    struct wire_cert cert;
    struct buf b;
    ERR_TRY(web_tls_read(&c->web, c->store.path, &cert, NULL, e));
    buf_init(&b, 64);
    enum st st = wire_base64(cert.spki, sizeof(cert.spki), &b);
    (void)snprintf(out, 80, "sha256//%.*s", (int)b.n, (const char *)b.p);
    buf_done(&b);
    return st == ST_OK ? ST_OK : err_set(e, st, "no memory");
}

static json_t *ask(const char *url, const char *pin, const char *token)
{
    const struct http_client_cfg cfg = {.pin = pin,
                                        .bearer = token,
                                        .connect_ms = 2000,
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

json_t *cli_page_ask(const struct cli_config *c, const char *path, struct err *why)
{
    char page[160], url[256], pin[80], token[WEB_TOKEN_TEXT] = "";
    struct err e = {.text = ""};
    json_t *v = NULL;
    page_of(c, page, sizeof(page));
    if (strcmp(page, "off") == 0) {
        err_set(why, ST_NOT_FOUND, "the gateway has no page: web.listen is off");
        return NULL;
    }
    if (cli_page_url(page, path, url, sizeof(url)) &&
        web_console_read(c->store.path, token, &e) == ST_OK && pin_of(c, pin, &e) == ST_OK) {
        v = ask(url, pin, token);
    }
    explicit_bzero(token, sizeof(token));
    if (!v) {
        err_set(why, ST_NOT_FOUND, "the gateway does not answer%s%s%s%s%s", page[0] ? " at " : "",
                page, e.text[0] ? " (" : "", e.text, e.text[0] ? ")" : "");
    }
    return v;
}

/* ---- fieldpost page ---- */

static const char usage[] =
    "usage: fieldpost page [--config FILE] [--pem]\n"
    "\n"
    "Prints where the page is, the SHA-256 fingerprint of its certificate, as a browser shows it\n"
    "when it asks whether to go on, and until when the certificate is good.\n"
    "\n"
    "  --pem  the certificate itself, for a browser, or for curl to verify by\n";

static int show(const struct cli_config *c, bool pem)
{
    char page[160], url[200] = "", print[WEB_PRINT_TEXT], ends[CLK_TEXT_BYTES];
    struct wire_cert cert;
    struct buf text;
    struct err e;
    buf_init(&text, ANSWER_MAX_BYTES);
    enum st st = web_tls_read(&c->web, c->store.path, &cert, &text, &e);
    if (st != ST_OK) {
        log_error("%s: the gateway makes its certificate when it first runs with a page", e.text);
    } else if (pem) {
        (void)fwrite(text.p, 1, text.n, stdout);
    } else {
        page_of(c, page, sizeof(page));
        web_print(cert.sha256, print);
        (void)printf("page %s\nfingerprint %s\nends %s\n",
                     cli_page_url(page, "/", url, sizeof(url)) ? url : "off", print,
                     clk_text(cert.to_ms, ends));
    }
    buf_done(&text);
    return st == ST_OK && fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cli_page(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"pem", no_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    struct cli_config c;
    struct err e = {.text = ""};
    bool pem = false;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o != 'c' && o != 'p') {
            (void)cli_usage(o, usage, &code);
            return code;
        }
        path = o == 'c' ? optarg : path;
        pem = pem || o == 'p';
    }
    if (optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    if (cli_config_load(&c, path, &e) == ST_OK) {
        code = show(&c, pem);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return code;
}
