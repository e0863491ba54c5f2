/* fieldpost run: starts the rooms left to right, stops them right to left. The only file that
 * sees all rooms. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/base/notify.h"
#include "gateway/base/user.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/config.h"
#include "gateway/cli/page.h"
#include "gateway/cli/site.h"

#define MACHINE_ID_BYTES 128
#define LARGE_BYTES (64 * 1024) /* allocations from here on are mappings of their own */

/* What is done once, before the first life of the line; a new configuration cannot change it. */
struct start {
    char *key, *next_key, *user; /* as configured; the last two may be NULL */
    struct signer *signer;
};

#define PAGE_AGAIN_MS 15000

struct line {
    struct cli_config c;
    const struct clk *clk;
    struct store *store;
    struct seal *seal;
    struct web *web;
    struct cli_site site;
    struct web_site page;
    struct mono page_due; /* it could not be opened: when it is tried again */
    bool page_down;
    struct thr_stop stop;
    struct thr *threads;
    size_t nthreads;
    struct thr writer;
    atomic_bool writer_stop;
    atomic_uint writer_beats;
    struct collect_bus_job *bus_jobs;
    struct collect_ctl *ctl;
    struct uplink_job *uplink_jobs;
    struct connectivity_job connectivity_job;
    struct connectivity_path_job *path_jobs;
    struct indicators_job indicators_job;
    struct alarms_job alarms_job;
    bool same_boot; /* the machine has not booted since the run before */
};

/* As a person would ask for it. */
static void start_over(void *none)
{
    (void)none;
    (void)kill(getpid(), SIGHUP);
}

/* The writer: the store's journal and the seals, on one thread. */
static void writer_main(void *arg)
{
    struct line *l = arg;
    struct log_limit store_limit = {0}, seal_limit = {0};
    bool asked = false;
    while (!atomic_load(&l->writer_stop)) {
        struct err e;
        atomic_fetch_add(&l->writer_beats, 1);
        atomic_store(&l->site.writer_ms, clk_mono(l->clk).ms);
        if (store_step(l->store, false, &e) != ST_OK)
            log_limited(&store_limit, 2, LOG_LEVEL_ERROR, "%s", e.text);
        if (seal_step(l->seal, &e) != ST_OK)
            log_limited(&seal_limit, 2, LOG_LEVEL_ERROR, "%s", e.text);
        if (store_clock_note(l->store, &e) != ST_OK)
            log_limited(&store_limit, 2, LOG_LEVEL_ERROR, "%s", e.text);
        if (store_damaged(l->store) && !asked) { /* it is set aside when it is opened again */
            asked = true;
            log_error("the store is damaged: the line starts over and rescues what is readable");
            start_over(NULL);
        }
        struct mono until = seal_due(l->seal), journal = store_due(l->store);
        atomic_store(&l->site.writer_ms, 0);
        store_wait(l->store, journal.ms < until.ms ? journal : until);
    }
    struct err e;
    if (store_step(l->store, true, &e) != ST_OK)
        log_error("at the end: %s", e.text);
}

/* A stable identity of this machine: a store that is moved to another begins a new chain. Without
 * one the gateway works, but cannot tell. */
static void machine_id(char id[MACHINE_ID_BYTES])
{
    static const char *const path[] = {"/etc/machine-id", "/sys/class/dmi/id/product_uuid",
                                       "/proc/device-tree/serial-number"};
    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        int fd = open(path[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, id, MACHINE_ID_BYTES - 1);
        close(fd);
        if (n <= 0)
            continue;
        id[n] = 0;
        id[strcspn(id, "\n")] = 0;
        if (id[0])
            return;
    }
    log_warn("no machine identity, so a store copied to another machine is not recognised: run "
             "systemd-machine-id-setup, or write /etc/machine-id");
    (void)snprintf(id, MACHINE_ID_BYTES, "none");
}

/* ---- start, left to right ---- */

/* The clock's grade rests on what earlier runs know: before anything is stamped. */
static enum st recall_clock(struct line *l, struct err *e)
{
    struct clk_past past;
    ERR_TRY(store_clock_recall(l->store, &past, e));
    clk_recall(&past);
    l->same_boot = past.same_boot;
    return ST_OK;
}

/* A run that never said that it stops. */
static enum st note_cut(struct line *l, struct err *e)
{
    struct store_last_run last;
    char at[CLK_TEXT_BYTES] = "a time that is not known";
    ERR_TRY(store_last_run(l->store, &last, e));
    if (last.life_ms > 0)
        clk_text(last.life_ms, at);
    if (last.cut)
        store_event(l->store, STORE_WARNING, l->same_boot ? "run.killed" : "power.cut",
                    l->c.gateway.id, "%s; its last sign of life is of %s",
                    l->same_boot ? "the program ended without a word (killed, or a fault)"
                                 : "the machine went off without a word (power cut, or a crash)",
                    at);
    return ST_OK;
}

/* The configuration itself, for the city's keeping. */
static void deposit(struct line *l)
{
    struct buf files;
    struct err e = {.text = ""};
    enum st st = ST_OK;
    buf_init(&files, WIRE_DEPOSIT_MAX);
    if (uplinks_count(l->c.uplinks_room) > 0)
        st = cli_deposit_files(&l->c, &files, &e);
    if (st == ST_OK)
        seal_deposit(l->seal, &files);
    else
        store_event(l->store, STORE_WARNING, "config.deposit", NULL,
                    "the city cannot keep this configuration: %s", e.text);
    buf_done(&files);
    buf_done(&l->c.raw);
}

static enum st open_rooms(struct line *l, struct err *e)
{
    struct cli_config *c = &l->c;
    char id[MACHINE_ID_BYTES];
    machine_id(id);
    enum st st = store_open(&l->store, &c->store, c->gateway.id, l->clk, e);
    if (st == ST_OK)
        st = collect_declare(c->collect_room, l->store, e);
    if (st == ST_OK)
        st = connectivity_declare(c->connectivity_room, l->store, e);
    if (st == ST_OK)
        st = uplinks_declare(c->uplinks_room, l->store, e);
    if (st == ST_OK)
        st = indicators_declare(c->indicators_room, l->store, e); /* of all that is declared */
    if (st == ST_OK)
        st = alarms_declare(c->alarms_room, l->store, NULL, e);
    if (st == ST_OK)
        st = store_start(l->store, e);
    if (st == ST_OK)
        st = recall_clock(l, e);
    if (st == ST_OK)
        st = note_cut(l, e);
    if (st == ST_OK)
        alarms_rest_tell(c->alarms_room, l->store);
    if (st == ST_OK)
        st = seal_open(&l->seal, &c->seal, c->gateway.id, id, l->store, l->clk, e);
    if (st == ST_OK) {
        seal_config(l->seal, c->hash, c->owner);
        deposit(l);
    }
    return st;
}

static size_t web_uplinks(void *ctx, struct web_uplink *out, size_t max)
{
    struct line *l = ctx;
    size_t n = uplinks_count(l->c.uplinks_room);
    for (size_t i = 0; i < n && i < max; i++) {
        struct uplink_status s;
        uplinks_status(l->c.uplinks_room, i, &s);
        out[i] = (struct web_uplink){.online = s.online,
                                     .required = s.required,
                                     .last_ok_ms = s.last_ok_ms,
                                     .sent = s.sent,
                                     .acknowledged = s.acknowledged,
                                     .bytes = s.bytes,
                                     .wire_bytes = s.wire_bytes,
                                     .metered = s.metered,
                                     .month_bytes = s.month_bytes,
                                     .budget_bytes = s.budget_bytes,
                                     .renews_ms = s.renews_ms};
        snprintf(out[i].id, sizeof out[i].id, "%s", uplinks_id(l->c.uplinks_room, i));
        snprintf(out[i].text, sizeof out[i].text, "%s", s.text);
        out[i].why = s.why;
        out[i].unproven = s.unproven;
        out[i].clock_off_ms = s.clock_off_ms;
        out[i].cert_to_ms = s.cert_to_ms;
        snprintf(out[i].cert_text, sizeof out[i].cert_text, "%s", s.cert_text);
        out[i].trust_n = s.trust_n;
        out[i].trust_to_ms = s.trust_to_ms;
        snprintf(out[i].trust_text, sizeof out[i].trust_text, "%s", s.trust_text);
    }
    return n < max ? n : max;
}

/* For the modem: no uplink goes, and one of them for want of the city. */
static bool city_lost(void *ctx)
{
    const struct line *l = ctx;
    bool lost = false;
    for (size_t i = 0; i < uplinks_count(l->c.uplinks_room); i++) {
        struct uplink_status s;
        uplinks_status(l->c.uplinks_room, i, &s);
        if (s.online)
            return false;
        lost |= s.why && strncmp(s.why, "city_", 5) == 0;
    }
    return lost;
}

/* For alarms. */
static bool city_online(void *ctx)
{
    const struct line *l = ctx;
    for (size_t i = 0; i < uplinks_count(l->c.uplinks_room); i++) {
        struct uplink_status s;
        uplinks_status(l->c.uplinks_room, i, &s);
        if (s.online)
            return true;
    }
    return false;
}

static void alarm_sms(void *ctx, const char *text)
{
    const struct line *l = ctx;
    connectivity_sms(l->c.connectivity_room, text);
}

/* For what measures the line: not now. */
static bool line_used(void *ctx)
{
    const struct line *l = ctx;
    return uplinks_busy(l->c.uplinks_room);
}

static void uploaded(void *ctx, const char *interface, int64_t bytes, int64_t us)
{
    const struct line *l = ctx;
    connectivity_uploaded(l->c.connectivity_room, interface, bytes, us, clk_mono(l->clk));
}

/* For paths. */
static bool city_reach(void *ctx, const char *uplink, struct connectivity_city *out)
{
    const struct line *l = ctx;
    const struct uplinks *u = l->c.uplinks_room;
    struct uplink_reach reach;
    struct uplink_status s;
    size_t i = 0;
    while (i < uplinks_count(u) && uplink && strcmp(uplinks_id(u, i), uplink) != 0)
        i++;
    if (i == uplinks_count(u))
        return false;
    uplinks_reach(u, i, &reach);
    uplinks_status(u, i, &s);
    *out = (struct connectivity_city){
        .url = reach.url, .identity = reach.identity, .online = s.online, .ok_ms = s.last_ok_ms};
    (void)snprintf(out->ca, sizeof out->ca, "%s", reach.ca);
    return true;
}

/* Where the page is, for `fieldpost status`, when the system chose its port. */
static void note_page(struct line *l)
{
    struct err e;
    const char *listen = l->c.web.listen, *port = strrchr(listen, ':');
    char page[160];
    if (!l->web || !port || strcmp(port, ":0") != 0)
        return;
    int n = snprintf(page, sizeof page, "%.*s:%u", (int)(port - listen), listen, web_port(l->web));
    if (store_meta_set(l->store, STORE_META_PAGE, page, (size_t)n, &e) != ST_OK)
        log_warn("fieldpost status will not find the page: %s", e.text);
}

/* For whoever stands before it: where the page is, by what a browser shows of it, and how to get in
 * for the first time. The code itself is no line of a log. */
static void say_page(const struct line *l)
{
    struct web_users all;
    struct wire_cert cert;
    const char *listen = l->c.web.listen, *port = strrchr(listen, ':');
    char print[WEB_PRINT_TEXT], at[160], url[256];
    if (!l->web || !port)
        return;
    if (web_tls_read(&l->c.web, l->c.store.path, &cert, NULL, NULL) == ST_OK) {
        web_print(cert.sha256, print);
        log_info("the page's certificate has the SHA-256 fingerprint %s", print);
    }
    if (web_users_read(l->c.store.path, &all, NULL) == ST_OK && all.n == 0)
        log_info("nobody can sign in at the page yet: fieldpost user claim prints a code");
    (void)snprintf(at, sizeof at, "%.*s:%u", (int)(port - listen), listen, web_port(l->web));
    if (cli_page_url(at, "/", url, sizeof url))
        log_info("page %s", url);
}

static enum st web_post(void *ctx, const void *pack, size_t n, size_t *taken, struct err *e)
{
    const struct line *l = ctx;
    return collect_post(l->c.collect_room, pack, n, taken, e);
}

static enum st open_site(struct line *l, struct err *e)
{
    const struct cli_gateway *g = &l->c.gateway;
    l->page = (struct web_site){.id = g->id,
                                .name = g->name,
                                .territory = g->territory,
                                .language = cli_language_text[g->language],
                                .version = CLI_VERSION,
                                .lat = g->location.lat,
                                .lon = g->location.lon,
                                .located = l->c.located,
                                .uplinks = web_uplinks,
                                .uplinks_ctx = l,
                                .post = web_post,
                                .post_ctx = l};
    return cli_site_open(&l->site, &l->c, l->clk, l->c.seal.signer, &l->page.rooms, e);
}

/* Readings do not wait for it. What it lacks, room on a disk, an address, a file, may be
 * there later. */
static void open_page(struct line *l)
{
    struct err e = {.text = ""};
    bool was_down = l->page_down;
    l->page_down = web_open(&l->web, &l->c.web, &l->page, l->store, l->clk, &e) != ST_OK;
    l->page_due.ms = clk_mono(l->clk).ms + PAGE_AGAIN_MS;
    if (l->page_down && !was_down) {
        log_warn("%s: the gateway goes on without its page and tries again", e.text);
        store_event(l->store, STORE_WARNING, "page.down", NULL, "%s", e.text);
    } else if (was_down && !l->page_down) {
        store_event(l->store, STORE_INFO, "page.up", NULL, "the page is there");
        say_page(l);
    }
}

static enum st start_thread(struct line *l, const char *name, void (*fn)(void *), void *arg,
                            struct err *e)
{
    enum st st = thr_start(&l->threads[l->nthreads], name, fn, arg, e);
    if (st == ST_OK)
        l->nthreads++;
    return st;
}

/* Readings do not wait for it: without it `fieldpost read`, `scan`, `probe` and `setup` find no
 * gateway. */
static void open_control(struct line *l)
{
    struct err e = {.text = ""};
    if (collect_ctl_open(&l->ctl, l->c.collect_room, l->c.store.path, l->clk, &l->stop, &e) ==
        ST_OK)
        return;
    log_warn("%s", e.text);
    store_event(l->store, STORE_WARNING, "control.down", NULL,
                "fieldpost read, scan, probe and setup cannot reach the gateway: %s", e.text);
}

/* The table of threads: the writer, one per bus, one for what is asked of them and one for setting
 * a device up, one for connectivity, one for the modem, one for the walk, one for throughput, one
 * per path, one per uplink, one for indicators, one for
 * the alarms. */
static enum st start_threads(struct line *l, struct err *e)
{
    struct cli_config *c = &l->c;
    size_t buses = collect_bus_count(c->collect_room), ups = uplinks_count(c->uplinks_room);
    size_t paths = connectivity_path_count(c->connectivity_room);
    l->threads = calloc(buses + ups + paths + 7, sizeof *l->threads);
    l->path_jobs = calloc(paths + 1, sizeof *l->path_jobs);
    l->bus_jobs = calloc(buses + 1, sizeof *l->bus_jobs);
    l->uplink_jobs = calloc(ups + 1, sizeof *l->uplink_jobs);
    if (!l->threads || !l->bus_jobs || !l->uplink_jobs || !l->path_jobs)
        return err_set(e, ST_MEMORY, "no memory for threads");
    enum st st = thr_start(&l->writer, "writer", writer_main, l, e);
    for (size_t i = 0; i < ups && st == ST_OK; i++) {
        l->uplink_jobs[i] =
            (struct uplink_job){c->uplinks_room, i, l->store, l->clk, &l->stop, uploaded, l};
        st = start_thread(l, "uplink", uplink_main, &l->uplink_jobs[i], e);
    }
    l->connectivity_job = (struct connectivity_job){.connectivity = c->connectivity_room,
                                                    .store = l->store,
                                                    .clk = l->clk,
                                                    .stop = &l->stop,
                                                    .city_lost = city_lost,
                                                    .city_ctx = l,
                                                    .line_used = line_used,
                                                    .line_ctx = l,
                                                    .city = city_reach};
    if (st == ST_OK)
        st = start_thread(l, "connectivity", connectivity_main, &l->connectivity_job, e);
    if (st == ST_OK && connectivity_has_modem(c->connectivity_room))
        st = start_thread(l, "modem", connectivity_modem_main, &l->connectivity_job, e);
    if (st == ST_OK && connectivity_walks(c->connectivity_room))
        st = start_thread(l, "walk", connectivity_walk_main, &l->connectivity_job, e);
    if (st == ST_OK && connectivity_has_throughput(c->connectivity_room))
        st = start_thread(l, "throughput", connectivity_throughput_main, &l->connectivity_job, e);
    for (size_t i = 0; i < paths && st == ST_OK; i++) {
        l->path_jobs[i] = (struct connectivity_path_job){&l->connectivity_job, i};
        st = start_thread(l, "path", connectivity_path_main, &l->path_jobs[i], e);
    }
    l->alarms_job =
        (struct alarms_job){.alarms = c->alarms_room,
                            .store = l->store,
                            .clk = l->clk,
                            .stop = &l->stop,
                            .gateway = c->gateway.name ? c->gateway.name : c->gateway.id,
                            .english = c->gateway.language == CLI_EN,
                            .online = city_online,
                            .sms = connectivity_has_sms(c->connectivity_room) ? alarm_sms : NULL,
                            .ctx = l};
    if (st == ST_OK && alarms_count(c->alarms_room) > 0)
        st = start_thread(l, "alarms", alarms_main, &l->alarms_job, e);
    for (size_t i = 0; i < buses && st == ST_OK; i++) {
        l->bus_jobs[i] = (struct collect_bus_job){.collect = c->collect_room,
                                                  .bus = i,
                                                  .store = l->store,
                                                  .clk = l->clk,
                                                  .stop = &l->stop,
                                                  .reload = start_over};
        st = start_thread(l, "bus", collect_bus_main, &l->bus_jobs[i], e);
    }
    l->indicators_job = (struct indicators_job){
        .indicators = c->indicators_room, .store = l->store, .clk = l->clk, .stop = &l->stop};
    if (st == ST_OK && indicators_any(c->indicators_room))
        st = start_thread(l, "indicators", indicators_main, &l->indicators_job, e);
    if (st == ST_OK)
        open_control(l);
    if (st == ST_OK && l->ctl)
        st = start_thread(l, "control", collect_ctl_main, l->ctl, e);
    if (st == ST_OK && l->ctl)
        st = start_thread(l, "setup", collect_ctl_setup_main, l->ctl, e);
    return st;
}

/* ---- stop, right to left ---- */

static void close_line(struct line *l)
{
    web_close(l->web);
    if (l->stop.fd >= 0)
        thr_stop_now(&l->stop);
    for (size_t i = l->nthreads; i-- > 0;)
        thr_join(&l->threads[i]);
    collect_ctl_close(l->ctl);
    atomic_store(&l->writer_stop, true);
    if (l->store)
        store_stop(l->store);
    thr_join(&l->writer);
    seal_close(l->seal);
    store_close(l->store);
    free(l->threads);
    free(l->bus_jobs);
    free(l->uplink_jobs);
    free(l->path_jobs);
    cli_site_done(&l->site);
    cli_config_done(&l->c);
    thr_stop_close(&l->stop);
}

/* ---- run ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The signing process has its key, and this one has given up the right to read another. */
static enum st check_start(const struct start *s, const struct cli_config *c, struct err *e)
{
    if (same_text(c->seal.key, s->key) && same_text(c->seal.next_key, s->next_key) &&
        same_text(c->gateway.user, s->user))
        return ST_OK;
    return err_set(e, ST_REFUSED,
                   "seal.key, seal.next_key or gateway.user has changed: that takes a restart of "
                   "fieldpost");
}

/* Whether the file can be used now; says why not. */
static bool config_is_good(const struct start *s, const char *path)
{
    struct cli_config c = {0};
    struct err e = {0};
    enum st st = cli_config_open(&c, path, &e);
    if (st == ST_OK)
        st = check_start(s, &c, &e);
    if (st != ST_OK && cli_complain(c.cfg) == 0)
        log_error("%s", e.text);
    cli_config_done(&c);
    return st == ST_OK;
}

/* How long to wait for a signal: until the watchdog or the page wants something; -1: for ever. */
static int wait_ms(const struct line *l, uint64_t watchdog_us)
{
    int ms = watchdog_us ? (int)(watchdog_us / 2000) : -1;
    return l->page_down && (ms < 0 || ms > PAGE_AGAIN_MS) ? PAGE_AGAIN_MS : ms;
}

/* systemd kills us when the writer stands still: only its progress feeds the watchdog. */
static void feed_watchdog(struct line *l, unsigned *seen)
{
    unsigned beats = atomic_load(&l->writer_beats);
    if (beats != *seen)
        notify_send("WATCHDOG=1");
    *seen = beats;
}

/* Serves signals until one ends the run: SIGTERM and SIGINT stop, SIGHUP asks for a restart with
 * the new configuration (refused while that has mistakes). */
static bool wait_for_end(struct line *l, const struct start *start, int signals, const char *path)
{
    uint64_t watchdog_us = notify_watchdog_us();
    unsigned seen = 0;
    for (;;) {
        struct pollfd p = {signals, POLLIN, 0};
        struct signalfd_siginfo s;
        if (poll(&p, 1, wait_ms(l, watchdog_us)) == 0) {
            feed_watchdog(l, &seen);
            if (l->page_down && clk_mono(l->clk).ms >= l->page_due.ms)
                open_page(l);
            continue;
        }
        ssize_t n = read(signals, &s, sizeof s);
        if (n == sizeof s && s.ssi_signo == SIGHUP) {
            if (config_is_good(start, path))
                return true;
            log_error("SIGHUP: the new configuration has mistakes; the old one stays");
            store_event(l->store, STORE_ERROR, "config.refused", path,
                        "the new configuration has mistakes; the old one stays");
        } else if (n == sizeof s) {
            return false;
        } else if (n < 0 && errno != EINTR) {
            log_error("signals: %s", strerror(errno));
            return false;
        }
    }
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* One life of the line. *again: start over with the configuration as it is then. */
static int run_once(const struct start *start, const char *path, int signals, bool *again)
{
    struct line l = {.clk = clk_real(), .stop = {.fd = -1}};
    struct err e = {0};
    *again = false;
    enum st st = cli_config_open(&l.c, path, &e);
    if (st != ST_OK) {
        if (cli_complain(l.c.cfg) == 0)
            log_error("%s", e.text);
        cli_config_done(&l.c);
        return CLI_USAGE;
    }
    l.c.seal.signer = start->signer;
    st = check_start(start, &l.c, &e);
    if (st == ST_OK)
        st = thr_stop_open(&l.stop, &e);
    if (st == ST_OK)
        st = open_rooms(&l, &e);
    malloc_trim(0); /* what loading took is not needed again */
    if (st == ST_OK)
        st = open_site(&l, &e);
    if (st == ST_OK) {
        open_page(&l);
        note_page(&l);
        st = start_threads(&l, &e);
    }
    if (st != ST_OK) {
        log_error("%s", e.text);
        close_line(&l);
        return CLI_FAILED;
    }
    store_event(l.store, STORE_INFO, "start", l.c.gateway.id, "fieldpost " CLI_VERSION " started");
    if (signer_lacks(start->signer)[0])
        store_event(l.store, STORE_WARNING, "signer.open", NULL, "%s", signer_lacks(start->signer));
    say_page(&l);
    notify_send("READY=1");
    *again = wait_for_end(&l, start, signals, path);
    notify_send(*again ? "RELOADING=1" : "STOPPING=1");
    store_event(l.store, STORE_INFO, "stop", l.c.gateway.id,
                *again ? "restart with a new configuration" : "stopped");
    close_line(&l);
    return CLI_DONE;
}

/* The signing process first: behind it this one has neither the key nor the right to read it. */
static int open_start(struct start *s, const char *path)
{
    struct cli_config c = {0};
    struct signer *signer = NULL;
    struct err e = {0};
    enum st st = cli_config_load(&c, path, &e);
    if (st != ST_OK) {
        cli_config_done(&c);
        (void)config_is_good(s, path); /* all mistakes at once */
        return CLI_USAGE;
    }
    s->key = strdup(c.seal.key);
    s->user = c.gateway.user ? strdup(c.gateway.user) : NULL;
    s->next_key = c.seal.next_key ? strdup(c.seal.next_key) : NULL;
    if (!s->key || !s->user != !c.gateway.user || !s->next_key != !c.seal.next_key)
        st = err_set(&e, ST_MEMORY, "no memory");
    cli_config_done(&c);
    if (st == ST_OK)
        st = signer_fork(&signer, s->key, s->next_key, &e);
    s->signer = signer;
    if (st == ST_OK && s->user)
        st = user_become(s->user, &e);
    if (st == ST_OK && signer_lacks(s->signer)[0])
        log_warn("%s", signer_lacks(s->signer));
    if (st == ST_OK)
        return CLI_DONE;
    log_error("%s", e.text);
    return CLI_FAILED;
}

static void close_start(struct start *s)
{
    signer_close(s->signer);
    free(s->key);
    free(s->next_key);
    free(s->user);
}

static int run_main(int argc, char **argv)
{
    struct start start = {.signer = NULL};
    int code = CLI_DONE;
    const char *path = cli_config_option(
        argc, argv, "usage: fieldpost run [--config FILE]\n\nRuns the gateway in the foreground.\n",
        &code);
    if (!path)
        return code;
    mallopt(M_ARENA_MAX, 1); /* a heap per thread would cost more than the threads */
    /* What a batch takes while it is sealed goes back to the kernel; set, the limit stays. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    log_open("fieldpost", LOG_LEVEL_INFO);
    int signals = open_signals();
    if (signals < 0) {
        log_error("signals: %s", strerror(errno));
        return CLI_FAILED;
    }
    bool again = true;
    code = open_start(&start, path);
    while (again && code == CLI_DONE)
        code = run_once(&start, path, signals, &again);
    close_start(&start);
    close(signals);
    return code;
}

int main(int argc, char **argv)
{
    return cli_main(argc, argv, run_main);
}
