/* TLS files that were replaced, without a restart: a second daemon on the same socket shows the new
 * ones; the first takes no more connections, and those that it has end with their next answer. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/clk.h"
#include "gateway/http/http_int.h"

#define LOOK_MS 1000
#define OLD_TIMES 10

static void note(const char *path, struct http_file_id *id)
{
    struct stat s;

    memset(id, 0, sizeof *id);
    if (path == NULL || stat(path, &s) != 0)
        return;
    id->ino = s.st_ino;
    id->mtime = s.st_mtim;
    id->size = s.st_size;
}

void http_renew_note(const struct http_server_cfg *cfg, struct http_file_id id[HTTP_TLS_FILES])
{
    note(cfg->cert, &id[0]);
    note(cfg->key, &id[1]);
    note(cfg->client_ca, &id[2]);
}

static bool same(const struct http_file_id *a, const struct http_file_id *b)
{
    return memcmp(a, b, HTTP_TLS_FILES * sizeof *a) == 0;
}

/* Its socket is a copy of ours. */
static void retire(struct http_server *s, struct MHD_Daemon *d)
{
    MHD_socket fd = MHD_quiesce_daemon(d);

    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    s->renew.old = d;
    s->renew.old_end_ms = clk_mono(clk_real()).ms + OLD_TIMES * s->timeout_ms;
}

/* When its last connection has ended. Each ends with the answer that it is owed, and whoever waits
 * for one has it long before the bound: libmicrohttpd must not be stopped while one waits. */
static void end_old(struct http_renew *r)
{
    const union MHD_DaemonInfo *i =
        r->old != NULL ? MHD_get_daemon_info(r->old, MHD_DAEMON_INFO_CURRENT_CONNECTIONS) : NULL;

    if (r->old == NULL ||
        (i != NULL && i->num_connections > 0 && clk_mono(clk_real()).ms < r->old_end_ms))
        return;
    MHD_stop_daemon(r->old);
    r->old = NULL;
}

static void look(struct http_server *s)
{
    struct http_renew *r = &s->renew;
    struct http_file_id now[HTTP_TLS_FILES];
    struct MHD_Daemon *next = NULL;
    struct err e = {.text = ""};

    http_renew_note(&s->cfg, now);
    if (same(now, r->used) || r->old != NULL)
        return;
    /* certificate and key come one behind the other: what does not fit is looked at again */
    enum st st = http_server_start(s, &next, &e);
    if (st == ST_OK) {
        retire(s, s->daemon);
        s->daemon = next;
        atomic_fetch_add(&s->generation, 1);
        memcpy(r->used, now, sizeof r->used);
        (void)snprintf(e.text, sizeof e.text, "%s is in use", s->cfg.cert);
    }
    bool again = st == ST_OK || same(now, r->unfit);
    memcpy(r->unfit, now, sizeof r->unfit);
    if (!again || same(now, r->told))
        return;
    if (s->cfg.renewed != NULL)
        s->cfg.renewed(s->ctx, st, e.text);
    memcpy(r->told, now, sizeof r->told);
}

static void renew_main(void *arg)
{
    struct http_server *s = arg;

    while (!thr_stop_wait(&s->renew.stop, LOOK_MS)) {
        end_old(&s->renew);
        look(s);
    }
}

enum st http_renew_open(struct http_server *s, struct err *e)
{
    ERR_TRY(thr_stop_open(&s->renew.stop, e));
    return thr_start(&s->renew.thread, "http-renew", renew_main, s, e);
}

void http_renew_close(struct http_renew *r)
{
    if (r->stop.fd >= 0)
        thr_stop_now(&r->stop);
    thr_join(&r->thread);
    thr_stop_close(&r->stop);
    if (r->old != NULL)
        MHD_stop_daemon(r->old);
    r->old = NULL;
}
