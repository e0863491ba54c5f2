/* Every call of the uplink and of what it stands on fails, once and for ever, while it sends to the
 * real fieldpost-city over TLS. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "gateway/uplink/uplink_int.h"
#include "tests/crash/nth_case.h"
#include "tests/support/cert.h"
#include "tests/support/line.h"
#include "tests/support/temp.h"

#define GW "gw-01"
#define WINDOWS 3
#define POLLS (WINDOWS * 6) /* of each device */
#define READINGS (POLLS * LINE_DEVICES * LINE_POINTS)
#define STEPS_MAX 60000 /* of 1 ms and more */
#define SICK_STEPS 1500 /* how long a fault for ever lasts when it does not show */

static const struct nth_fault faults[] = {
    {NTH_SEND, ECONNRESET, "ECONNRESET"}, {NTH_SEND, EPIPE, "EPIPE"},
    {NTH_RECV, ECONNRESET, "ECONNRESET"}, {NTH_RECV, ENOMEM, "ENOMEM"},
    {NTH_OPEN, EMFILE, "EMFILE"},         {NTH_READ, EIO, "EIO"},
    {NTH_WRITE, ENOSPC, "ENOSPC"},        {NTH_SYNC, EIO, "EIO"},
    {NTH_MEMORY, ENOMEM, "ENOMEM"},       {NTH_STEP, SQLITE_IOERR, "IOERR"},
    {NTH_STEP, SQLITE_BUSY, "BUSY"},      {NTH_STEP, SQLITE_FULL, "FULL"},
    {NTH_PREPARE, SQLITE_NOMEM, "NOMEM"},
};

/* ---- the city ---- */

static struct {
    char *dir;
    char cert[300], tls_key[300], sign_key[300], sign_pub[300], device_key[300], device_pub[300],
        config[300], url[64];
    pid_t pid;
} city;

static void write_text(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "w");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0) {
        printf("%s: %s\n", path, strerror(errno));
        exit(1);
    }
}

static void key_pair(const char *key_path, const char *pub_path)
{
    struct wire_key *k = NULL;
    struct buf pem;
    buf_init(&pem, 4096);
    if (wire_key_make(key_path, NULL) != ST_OK || wire_key_load(&k, key_path, NULL) != ST_OK ||
        wire_pub_pem(wire_key_pub(k), &pem) != ST_OK) {
        printf("%s: no key\n", key_path);
        exit(1);
    }
    write_text(pub_path, pem.p, pem.n);
    buf_done(&pem);
    wire_key_free(k);
}

/* Starts FP_CITY with these arguments; its stream `fd` comes through *from. */
static pid_t city_spawn(const char *const *args, int fd, FILE **from)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        const char *argv[12] = {FP_CITY};
        for (int i = 0; args[i]; i++)
            argv[i + 1] = args[i];
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves no city */
        (void)dup2(ends[1], fd);
        close(ends[0]);
        close(ends[1]);
        execv(FP_CITY, (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(ends[1]);
    *from = fdopen(ends[0], "r");
    return pid;
}

static void city_open(void)
{
    char text[2048], line[512];
    unsigned port = 0;
    FILE *from = NULL;
    int status = 0;
    city.dir = temp_make();
    const struct {
        char *to;
        const char *name;
    } paths[] = {{city.cert, "tls.pem"},          {city.tls_key, "tls.key"},
                 {city.sign_key, "sign.key"},     {city.sign_pub, "sign.pub"},
                 {city.device_key, "device.key"}, {city.device_pub, "device.pub"},
                 {city.config, "city.yaml"}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        snprintf(paths[i].to, 300, "%s/%s", city.dir, paths[i].name);
    if (!cert_make(city.cert, city.tls_key)) {
        printf("openssl makes no certificate\n");
        exit(1);
    }
    key_pair(city.sign_key, city.sign_pub);
    key_pair(city.device_key, city.device_pub);
    int n = snprintf(text, sizeof text,
                     "listen: \"127.0.0.1:0\"\ncert: %s\nkey: %s\nsign_key: %s\ndb: %s/city.db\n",
                     city.cert, city.tls_key, city.sign_key, city.dir);
    write_text(city.config, text, (size_t)n);
    const char *enroll[] = {"enroll", "--config", city.config,     "--id",
                            GW,       "--key",    city.device_pub, NULL};
    pid_t pid = city_spawn(enroll, STDOUT_FILENO, &from);
    fclose(from);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        printf("fieldpost-city enroll: %d\n", status);
        exit(1);
    }
    const char *serve[] = {"serve", "--config", city.config, NULL};
    city.pid = city_spawn(serve, STDERR_FILENO, &from);
    while (port == 0 && fgets(line, sizeof line, from)) {
        const char *at = strstr(line, "listening on https://");
        if (at)
            (void)sscanf(strrchr(at, ':'), ":%u", &port);
    }
    if (port == 0) {
        printf("fieldpost-city does not listen: %s\n", line);
        exit(1);
    }
    snprintf(city.url, sizeof city.url, "https://127.0.0.1:%u", port);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each chain that the city holds has each reading of its script once. */
static int city_judge(void)
{
    FILE *from = NULL;
    char **row = NULL, line[512];
    size_t n = 0, chains = 0, wrong = 0;
    const char *dump[] = {"dump", "--config", city.config, "--raw", "--format", "csv", NULL};
    pid_t pid = city_spawn(dump, STDOUT_FILENO, &from);
    while (fgets(line, sizeof line, from)) {
        char series[128], chain[32];
        long long t, seq;
        if (sscanf(line, "%*[^,],%127[^,],%lld,%*[^,],%*[^,],%31[^,],%lld", series, &t, chain,
                   &seq) != 4)
            continue;
        row = realloc(row, (n + 1) * sizeof *row);
        assert_true(asprintf(&row[n++], "%s %s %lld", chain, series, t) > 0);
    }
    fclose(from);
    (void)waitpid(pid, NULL, 0);
    if (n)
        qsort(row, n, sizeof *row, by_text);
    for (size_t i = 0, k; i < n; i += k, chains++) {
        for (k = 0; i + k < n && strncmp(row[i], row[i + k], 2 * WIRE_ID_BYTES) == 0; k++)
            wrong += k > 0 && strcmp(row[i + k], row[i + k - 1]) == 0;
        wrong += k != READINGS;
    }
    printf("city: %zu readings of %zu chains, %zu chains or readings wrong\n", n, chains, wrong);
    for (size_t i = 0; i < n; i++)
        free(row[i]);
    free(row);
    return n == 0 || wrong > 0;
}

static void city_close(void)
{
    (void)kill(city.pid, SIGTERM);
    (void)waitpid(city.pid, NULL, 0);
    temp_done(city.dir);
}

/* ---- the gateway ---- */

struct rig {
    struct line l;
    struct uplinks *uplinks;
    struct uplink_cfg entry;
    struct cfg_items cfg;
    char *keys[1];
    struct uplink_job job;
    struct thr_stop stop;
    struct thr thread;
    atomic_bool begun, go, ended;
    bool shown; /* the uplink's text or the store's fault was seen */
};

static bool was_hit(void)
{
    return atomic_load(&nth_control()->failed) > 0;
}

static struct uplink_status status_of(struct rig *r)
{
    struct uplink_status s;
    uplinks_status(r->uplinks, 0, &s);
    return s;
}

static void open_uplinks(struct rig *r)
{
    static char id[] = "city";
    r->keys[0] = city.sign_pub;
    r->entry = (struct uplink_cfg){
        .id = id, .url = city.url, .ca = city.cert, .receipt_keys = {r->keys, 1}, .required = true};
    r->cfg = (struct cfg_items){&r->entry, 1};
    struct err e = {0};
    if (uplinks_open(&r->uplinks, &r->cfg, GW, NULL, &e) != ST_OK)
        fail_msg("the uplink does not open: %s", e.text);
}

/* Three windows, sealed and not sent. */
static void fill(struct rig *r)
{
    struct line *l = &r->l;
    line_init(l);
    free(l->key);
    l->key = strdup(city.device_key);
    l->seal_cfg.key = l->key;
    l->utc_ms = LINE_M1;
    line_start(l);
    line_run(l, LINE_M1 + WINDOWS * LINE_MINUTE);
    l->utc_ms += 3000;
    l->mono_ms += 3000;
    line_step(l, true);
}

static void rig_main(void *arg)
{
    struct rig *r = arg;
    atomic_store(&r->begun, true);
    while (!atomic_load(&r->go))
        sched_yield();
    uplink_main(&r->job);
    atomic_store(&r->ended, true);
}

/* A turn of the writer; with flush it writes what is acknowledged. Whether it worked. */
static bool step(struct rig *r, bool flush)
{
    struct err e = {0};
    struct store_stats stats;
    bool good = store_step(r->l.store, flush, &e) == ST_OK;
    if (!good && !was_hit())
        fail_msg("the store fails without a cause: %s", e.text);
    r->l.mono_ms += 20;
    store_stats(r->l.store, &stats);
    r->shown = r->shown || status_of(r).text[0] || stats.fault[0];
    (void)poll(NULL, 0, 1);
    return good;
}

static void run(struct rig *r)
{
    int sick = 0;
    for (int i = 0;; i++) {
        struct store_stats stats;
        store_stats(r->l.store, &stats);
        if (i == STEPS_MAX) {
            const struct uplink *u = &r->uplinks->v[0];
            fail_msg("%lld batches are not acknowledged, or its fault stays: \"%s\"; asked %d, "
                     "sent %llu, failures %u, held %zu, in its run %zu",
                     (long long)stats.batches_unsent, status_of(r).text, u->asked,
                     (unsigned long long)status_of(r).sent, u->failures, u->nheld, u->run.count);
        }
        sick += was_hit();
        if (sick > 0 && (r->shown || sick > SICK_STEPS))
            nth_disarm();
        bool sent = stats.batches_unsent == 0;
        if (step(r, sent) && sent && !status_of(r).text[0])
            return;
    }
}

static void end(struct rig *r)
{
    thr_stop_now(&r->stop);
    for (int i = 0; !atomic_load(&r->ended); i++) {
        assert_true(i < STEPS_MAX);
        (void)step(r, false);
    }
    thr_join(&r->thread);
    thr_stop_close(&r->stop);
}

/* All is acknowledged, durably. */
static void assert_sent(struct rig *r)
{
    struct err e = {0};
    struct store_reader *reader = NULL;
    int64_t batches = 1, readings = 1;
    assert_int_equal(store_step(r->l.store, true, &e), ST_OK);
    assert_int_equal(store_reader_open(&reader, r->l.db, &e), ST_OK);
    assert_int_equal(store_unsent(reader, "city", &batches, &readings, &e), ST_OK);
    store_reader_close(reader);
    assert_int_equal(batches, 0);
}

static void script(const struct nth_case *c)
{
    static struct rig r;
    struct err e = {0};
    fill(&r);
    open_uplinks(&r);
    assert_int_equal(thr_stop_open(&r.stop, &e), ST_OK);
    r.job = (struct uplink_job){r.uplinks, 0, r.l.store, &r.l.clk, &r.stop, NULL, NULL};
    nth_begin(c);
    nth_pause();
    assert_int_equal(thr_start(&r.thread, "uplink", rig_main, &r, &e), ST_OK);
    while (!atomic_load(&r.begun)) /* a sanitizer's thread takes memory before it runs */
        sched_yield();
    nth_resume();
    atomic_store(&r.go, true);
    run(&r);
    if (c->forever && was_hit() && (c->fault->class == NTH_SEND || c->fault->class == NTH_RECV) &&
        !r.shown)
        fail_msg("nothing is sent, and nobody is told");
    nth_disarm();
    end(&r);
    assert_sent(&r);
    uplinks_close(r.uplinks);
    store_stop(r.l.store);
    line_done(&r.l);
}

int main(int argc, char **argv)
{
    /* libcurl goes on with a certificate for which GnuTLS had no memory, and neither looks; and
     * what GnuTLS lends GNU MP to allocate with calls abort() (below gnutls_pubkey_verify_data2) */
    static const char *const frail[] = {"libgnutls", "libtasn1", NULL};
    const struct nth_plan plan = {.frail = frail,
                                  .faults = faults,
                                  .nfaults = sizeof faults / sizeof *faults,
                                  .script = script,
                                  .deadline_s = 90,
                                  .samples = 8,
                                  .jobs = 8};
    city_open();
    int bad = nth_run(&plan, argc, argv);
    bad |= city_judge();
    city_close();
    return bad;
}
