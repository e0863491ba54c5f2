/* The page's certificate, from the city's CA: the page leaves a request beside the store, and this
 * takes it there with the certificate of enrolment (EST, RFC 7030). Whether the answer is any good
 * is for the page to say, which has the key. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/uplink/enrol_int.h"

#define LOOK_MS 2000
#define AGAIN_MIN_MS 60000
#define AGAIN_MAX_MS (6 * 3600000)

static bool beside(const struct uplink *u, const char *suffix, char path[UPLINK_PATH_BYTES])
{
    return snprintf(path, UPLINK_PATH_BYTES, "%s%s", store_path(u->job->store), suffix) <
           UPLINK_PATH_BYTES;
}

/* The second line of the file. */
static enum st read_request(const char *path, struct buf *csr, struct err *e)
{
    struct buf text;
    buf_init(&text, STORE_PAGE_BYTES);
    enum st st = wire_file_get(path, &text, e);
    const char *all = (const char *)text.p, *line = st == ST_OK ? strchr(all, '\n') : NULL;
    if (st == ST_OK && !line) {
        st = err_set(e, ST_CORRUPT, "%s: not written by fieldpost", path);
    }
    if (st == ST_OK) {
        st = buf_put(csr, line + 1, strcspn(line + 1, "\n"));
    }
    buf_done(&text);
    return st;
}

static enum st put_all(const struct wire_certs *certs, struct buf *pem)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < certs->n && st == ST_OK; i++) {
        st = wire_cert_pem(certs->v[i], pem);
    }
    return st;
}

static enum st ask(struct uplink *u, const char *asked, const char *given, struct err *e)
{
    const struct uplink_est est = {.url = u->url,
                                   .gw = u->gw,
                                   .ca = u->t.ca,
                                   .cert = u->identity.path,
                                   .stop_fd = u->job->stop->fd};
    struct wire_certs cas = {.n = 0}, certs = {.n = 0};
    struct buf csr, pem;
    buf_init(&csr, STORE_PAGE_BYTES);
    buf_init(&pem, STORE_PAGE_BYTES);
    enum st st = read_request(asked, &csr, e);
    if (st == ST_OK) {
        st = uplink_est_cacerts(&est, &cas, e);
    }
    if (st == ST_OK) {
        st = uplink_est_page(&est, &csr, &certs, e);
    }
    if (st == ST_OK && (put_all(&certs, &pem) != ST_OK || put_all(&cas, &pem) != ST_OK)) {
        st = err_set(e, ST_FULL, "the city's answer is too large");
    }
    if (st == ST_OK) {
        st = wire_file_put(given, pem.p, pem.n, 0600, true, e);
    }
    wire_certs_done(&cas);
    wire_certs_done(&certs);
    buf_done(&csr);
    buf_done(&pem);
    return st;
}

static void tell(struct uplink *u, const char *why)
{
    struct uplink_page *p = &u->page;
    char text[ERR_TEXT_BYTES + 80];
    if (strncmp(p->said, why, sizeof(p->said) - 1) == 0) {
        return;
    }
    (void)snprintf(p->said, sizeof(p->said), "%s", why);
    (void)snprintf(text, sizeof(text), "the page keeps its own certificate: %s", why);
    uplink_event(u, STORE_WARNING, "page.refused", text);
}

/* Whether it is the request that was tried last: the page puts each there as a new file. */
static bool is_same(const struct uplink_page *p, const struct stat *s)
{
    return s->st_ino == p->ino && s->st_mtim.tv_sec == p->mtime.tv_sec &&
           s->st_mtim.tv_nsec == p->mtime.tv_nsec;
}

/* That one is answered; another that came meanwhile is not. */
static void take_away(const struct uplink_page *p, const char *asked)
{
    struct stat s;
    if (stat(asked, &s) == 0 && is_same(p, &s)) {
        (void)unlink(asked);
    }
}

void uplink_page_step(struct uplink *u)
{
    struct uplink_page *p = &u->page;
    char asked[UPLINK_PATH_BYTES], given[UPLINK_PATH_BYTES];
    int64_t now_ms = clk_mono(u->job->clk).ms;
    struct stat s;
    struct err e = {.text = ""};
    if (now_ms < p->look.ms) {
        return;
    }
    p->look.ms = now_ms + LOOK_MS;
    if (!uplink_client_cert(u) || clk_now(u->job->clk).grade == CLK_UNKNOWN ||
        !beside(u, STORE_PAGE_ASKED, asked) || !beside(u, STORE_PAGE_GIVEN, given) ||
        stat(asked, &s) != 0) {
        return;
    }
    bool same = is_same(p, &s);
    if (same && now_ms < p->due.ms) {
        return;
    }
    p->failures = same ? p->failures : 0;
    p->ino = s.st_ino;
    p->mtime = s.st_mtim;
    enum st st = ask(u, asked, given, &e);
    if (st == ST_OK) {
        p->said[0] = '\0';
        p->due.ms = now_ms + AGAIN_MIN_MS; /* should the page not like it */
        take_away(p, asked);
    } else if (st != ST_STOPPED) {
        tell(u, e.text);
        p->due.ms = now_ms + uplink_again_ms(u, AGAIN_MIN_MS, AGAIN_MAX_MS, &p->failures);
    }
}
