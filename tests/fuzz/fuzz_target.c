/* The target of a request (path and query) on any bytes, at the page's real server over a made-up
 * store. Beside the sanitizers: there is an answer, its status is one that a request can bring, and
 * what says that it is JSON is JSON. */
// uses: web jansson gnutls
// seeds: tests/fuzz/corpus/target/*
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "tests/gateway/web/site.h"
#include "tests/support/tls.h"

#define TARGET_MAX 1024
#define ANSWER_MAX (256 * 1024)
#define PATIENCE_MS 20000

static struct site site;
static char answer[ANSWER_MAX + 1];

static struct tls *line; /* kept between requests: shaking hands takes most of the time */

static void hang_up(void)
{
    if (line)
        tls_close(line);
    line = NULL;
}

static void close_site(void)
{
    hang_up();
    site_close(&site);
}

static void dial(void)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)web_port(site.web)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {1, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    demand(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
    demand(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    line = tls_open(fd, site.cert);
}

/* How long the whole answer is; 0: its head is not there yet, or says nothing of it. */
static size_t length(void)
{
    const char *end = strstr(answer, "\r\n\r\n"),
               *says = strcasestr(answer, "\r\nContent-Length: ");
    return end && says && says < end ? (size_t)(end + 4 - answer) + strtoul(says + 18, NULL, 10)
                                     : 0;
}

/* answer "": none came. */
static void ask(const char *request, size_t n)
{
    size_t have = 0, want = 0;
    ssize_t got = 1;
    if (!line)
        dial();
    answer[0] = '\0';
    if (tls_send(line, request, n))
        while (have < ANSWER_MAX && (want == 0 || have < want) && got > 0) {
            got = tls_recv(line, answer + have, ANSWER_MAX - have, PATIENCE_MS);
            have += got > 0 ? (size_t)got : 0;
            answer[have] = '\0';
            want = want ? want : length();
        }
    if (want == 0 || have != want || strcasestr(answer, "\r\nConnection: close"))
        hang_up();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char live[] = "/api/v1/live"; /* has no end: unit.gateway.web.live */
    char request[TARGET_MAX + 256];
    if (n > TARGET_MAX || n == 0 || memchr(data, ' ', n) || memchr(data, '\r', n) ||
        memchr(data, '\n', n) || memchr(data, '\t', n) || memchr(data, 0, n)) {
        return 0; /* the end of the target, and so libmicrohttpd's own */
    }
    if (n >= sizeof live - 1 && memcmp(data, live, sizeof live - 1) == 0) {
        return 0;
    }
    if (!site.web) {
        site_open(&site, "127.0.0.1:0");
        (void)atexit(close_site);
    }
    int size = snprintf(request, sizeof request,
                        "GET %.*s HTTP/1.1\r\nHost: localhost\r\n"
                        "Authorization: Bearer %s\r\n\r\n",
                        (int)n, (const char *)data, site.console);
    for (int i = 0; i < 50 && (i == 0 || !answer[0]); i++) { /* none: those before still end */
        (void)poll(NULL, 0, i > 0 ? 20 : 0);
        ask(request, (size_t)size);
    }
    demand(strncmp(answer, "HTTP/1.1 ", 9) == 0);
    int status = (int)strtol(answer + 9, NULL, 10);
    const char *body = strstr(answer, "\r\n\r\n");
    demand(status == 200 || status / 100 == 4 || status == 503);
    demand(body);
    if (strstr(answer, "Content-Type: application/json") ||
        strstr(answer, "Content-Type: application/problem+json")) {
        json_t *j = json_loads(body + 4, JSON_REJECT_DUPLICATES, NULL);
        demand(j);
        json_decref(j);
    }
    /* the events' own check of a number: behind the path, the door and the query */
    bool rare = status == 400 && strstr(body, "limit");
    (void)rare;
    PLANT(rare);
    return 0;
}
