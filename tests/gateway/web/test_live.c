/* What GET /api/v1/live promises to many and to slow viewers, and to a gateway without any; who
 * gets a table of readings, and how long; and what /healthz says. A store of 4000 series; but for
 * the table nobody writes it, the board is all that is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "gateway/web/web_int.h"
#include "tests/gateway/web/site.h"
#include "tests/support/temp.h"
#include "tests/support/tls.h"

#define DEVICES 40
#define POINTS 100
#define VIEWERS 8

static struct site site;
static atomic_bool dead;

static bool is_alive(void *ctx)
{
    (void)ctx;
    return !atomic_load(&dead);
}

static int start(void **state)
{
    (void)state;
    char id[16], point[16];
    uint32_t i;
    SITE_TRY(mkdtemp(temp_name(site.dir, sizeof site.dir)) ? ST_OK : ST_IO);
    snprintf(site.path, sizeof site.path, "%s/store.db", site.dir);
    site.clk = (struct clk){site_now, site_mono, NULL, &site};
    const struct store_cfg sc = {.path = site.path,
                                 .max_size_bytes = 1 << 30,
                                 .keep_ms = 86400000,
                                 .journal_every_ms = 1000};
    SITE_TRY(store_open(&site.store, &sc, "gw", &site.clk, e));
    for (uint32_t d = 0; d < DEVICES; d++) {
        snprintf(id, sizeof id, "d-%u", d);
        (void)site_device(&site, id, NULL, NULL, "plant", "unit", "test", 1000);
        for (unsigned p = 0; p < POINTS; p++) {
            snprintf(point, sizeof point, "point-%u", p);
            const struct store_series s = {.device = d,
                                           .point = point,
                                           .quantity = quantity_by_key("number"),
                                           .period_ms = 1000};
            SITE_TRY(store_add_series(site.store, &s, &i, e));
        }
    }
    SITE_TRY(store_start(site.store, e));
    snprintf(site.at, sizeof site.at, "127.0.0.1:0");
    snprintf(site.cert, sizeof site.cert, "%s" WEB_TLS_CERT, site.path);
    const struct web_cfg wc = {.listen = site.at};
    const struct web_site ws = {
        .id = "gw", .version = "0", .language = "vi", .rooms.alive = is_alive};
    SITE_TRY(web_open(&site.web, &wc, &ws, site.store, &site.clk, e));
    SITE_TRY(web_console_read(site.path, site.console, e));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    site_close(&site);
    return 0;
}

/* Every value of every device is another one than before. */
static void put_all(void)
{
    static int64_t n;
    struct store_value v[POINTS];
    for (uint32_t d = 0; d < DEVICES; d++) {
        for (uint32_t p = 0; p < POINTS; p++)
            v[p] = (struct store_value){num_dec(++n, -3), d * POINTS + p, 0};
        int64_t t = site_now(&site).utc_ms;
        const struct store_poll p = {d, t, t, CLK_SYNCED, STORE_DEVICE, POINTS};
        enum st st = store_put(site.store, &p, v, 0); /* full: the board has them all the same */
        assert_true(st == ST_OK || st == ST_FULL);
    }
}

/* header: who asks. */
static struct tls *ask_as(const char *method, const char *path, const char *header, int room)
{
    char text[512];
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)web_port(site.web)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct linger at_once = {1, 0}; /* what is closed is gone, without a word */
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    if (room > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    struct tls *t = tls_open(fd, site.cert);
    int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", method,
                     path, header);
    assert_true(tls_send(t, text, (size_t)n));
    return t;
}

static struct tls *ask(const char *path, int room)
{
    char header[128];
    snprintf(header, sizeof header, "Authorization: Bearer %s", site.console);
    return ask_as("GET", path, header, room);
}

/* Reads for ms; what came, up to size. *over: the other end hung up. */
static size_t hear(struct tls *fd, char *text, size_t size, int ms, const char *until, bool *over)
{
    size_t n = 0;
    int64_t end = clk_mono(clk_real()).ms + ms;
    bool hung = false;
    for (int64_t left = ms; left > 0 && !hung; left = end - clk_mono(clk_real()).ms) {
        ssize_t got = tls_recv(fd, text + n, size - 1 - n, (int)left);
        hung = got == 0 || got == -1;
        n += got > 0 ? (size_t)got : 0;
        text[n] = '\0';
        if (n == size - 1) /* the end is what is looked at */
            memmove(text, text + size / 2, n = size - 1 - size / 2);
        text[n] = '\0';
        if (until && strstr(text, until))
            break;
    }
    if (over)
        *over = hung;
    return n;
}

static char text[1 << 20];

static bool comes(struct tls *fd, const char *what, int ms)
{
    (void)hear(fd, text, sizeof text, ms, what, NULL);
    return strstr(text, what) != NULL;
}

/* Watches; those of before are given up within a second. */
static struct tls *watch_as(const char *path, const char *header, int room)
{
    for (int k = 0; k < 200; k++) {
        struct tls *t = ask_as("GET", path, header, room);
        char first[16] = "";
        (void)hear(t, first, sizeof first, 10000, " ", NULL); /* the status, whichever it is */
        if (strstr(first, " 200"))
            return t;
        tls_close(t);
        (void)poll(NULL, 0, 100);
    }
    fail_msg("%s: nobody was given up", path);
    return NULL;
}

static struct tls *watch(const char *path, int room)
{
    char header[128];
    snprintf(header, sizeof header, "Authorization: Bearer %s", site.console);
    return watch_as(path, header, room);
}

static void health_says_whether_the_threads_live_and_nothing_else(void **state)
{
    (void)state;
    struct tls *fd = ask("/healthz", 0);
    assert_true(comes(fd, "{\"ok\":true}", 5000));
    assert_non_null(strstr(text, "HTTP/1.1 200 "));
    atomic_store(&dead, true);
    tls_close(fd);
    fd = ask("/healthz", 0);
    assert_true(comes(fd, "{\"ok\":false}", 5000));
    assert_non_null(strstr(text, "HTTP/1.1 503 "));
    atomic_store(&dead, false);
    tls_close(fd);
}

/* "voluntary_ctxt_switches" of the thread with this name: it grows when it wakes and sleeps again.
 */
static long switches_of(const char *name)
{
    DIR *d = opendir("/proc/self/task");
    long found = -1;
    assert_non_null(d);
    for (const struct dirent *t; (t = readdir(d)) && found < 0;) {
        char path[300], line[128];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", t->d_name);
        FILE *f = fopen(path, "re");
        bool is = false;
        while (f && fgets(line, sizeof line, f)) {
            char said[64];
            if (sscanf(line, "Name: %63s", said) == 1)
                is = strcmp(said, name) == 0;
            else if (is)
                (void)sscanf(line, "voluntary_ctxt_switches: %ld", &found);
        }
        if (f)
            fclose(f);
    }
    closedir(d);
    return found;
}

static void nothing_turns_while_nobody_watches(void **state)
{
    (void)state;
    struct tls *fd = watch("/api/v1/live", 0);
    assert_true(comes(fd, "event: states", 5000));
    tls_close(fd);
    /* the gateway sees the end with its next look; then all is still */
    long was = -1, now = switches_of("live");
    assert_true(now >= 0);
    for (int i = 0; i < 12 && was != now; i++) {
        was = now;
        (void)poll(NULL, 0, 1300);
        now = switches_of("live");
    }
    assert_int_equal(was, now);
}

static void whoever_comes_hears_all_of_it_and_then_a_beat(void **state)
{
    (void)state;
    put_all();
    struct tls *fd = watch("/api/v1/live?device=d-7", 0);
    assert_true(comes(fd, "event: readings", 5000));
    (void)hear(fd, text + strlen(text), sizeof text / 2, 300, NULL, NULL);
    const char *hello = strstr(text, "event: hello\ndata: {"),
               *states = strstr(text, "event: states");
    assert_true(hello && states && hello < states);
    assert_non_null(strstr(text, "Content-Type: text/event-stream"));
    assert_non_null(strstr(text, "{\"id\":\"d-39\",\"state\":\"never\""));
    assert_non_null(strstr(text, "\"devices\":{\"d-7\":[[\"point-0\","));
    assert_null(strstr(text, "\"d-8\":["));
    assert_true(comes(fd, "event: beat\ndata: {\"now_ms\":", 7000));
    assert_null(strstr(text, "event: readings"));
    store_health_set(site.store, 7, &(struct store_health){.state = STORE_SILENT, .text = "gone"});
    assert_true(comes(fd, "[{\"id\":\"d-7\",\"state\":\"silent\",\"text\":\"gone\"", 3000));
    tls_close(fd);
}

static void only_so_many_may_watch(void **state)
{
    (void)state;
    struct tls *fd[VIEWERS + 1];
    for (int i = 0; i < VIEWERS; i++)
        fd[i] = watch("/api/v1/live", 0);
    fd[VIEWERS] = ask("/api/v1/live", 0);
    assert_true(comes(fd[VIEWERS], "\"code\":\"busy\"", 5000));
    assert_non_null(strstr(text, "Retry-After"));
    for (int i = 0; i <= VIEWERS; i++)
        tls_close(fd[i]);
}

/* As a browser does: it says that it says no more, and the connection ends in good order. */
static void leave(struct tls *t)
{
    const struct linger in_order = {0, 0};
    assert_int_equal(setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &in_order, sizeof in_order), 0);
    assert_int_equal(gnutls_bye(t->session, GNUTLS_SHUT_WR), 0);
    tls_close(t);
}

static void who_leaves_makes_room_before_another_hears_a_beat(void **state)
{
    (void)state;
    struct tls *fd[VIEWERS], *next = NULL;
    for (int i = 0; i < VIEWERS; i++)
        fd[i] = watch("/api/v1/live", 0);
    assert_true(comes(fd[0], "event: beat", 20000));
    for (int i = 1; i < VIEWERS; i++) /* the beats of all are behind them */
        assert_true(comes(fd[i], "event: beat", 20000));
    leave(fd[1]);
    while (!next) {
        next = ask("/api/v1/live", 0);
        assert_true(comes(next, "\r\n\r\n", 20000));
        if (!strstr(text, " 200")) {
            tls_close(next);
            next = NULL;
        }
        assert_false(comes(fd[0], "event: beat", 100));
    }
    tls_close(next);
    tls_close(fd[0]);
    for (int i = 2; i < VIEWERS; i++)
        tls_close(fd[i]);
}

static void who_reads_too_slowly_is_hung_up_on_and_others_are_not(void **state)
{
    (void)state;
    struct tls *slow = watch("/api/v1/live?device=all", 65536);
    struct tls *good = watch("/api/v1/live?device=all", 0);
    bool over = false;
    for (int i = 0; i < 6; i++) { /* some 180 kB a second */
        put_all();
        assert_true(comes(good, "event: readings", 20000));
        (void)hear(good, text, sizeof text, 800, NULL, &over);
        assert_false(over);
    }
    (void)hear(slow, text, sizeof text, 10000, NULL, &over); /* what is under way, then the end */
    assert_true(over);
    put_all();
    assert_true(comes(good, "event: readings", 20000));
    tls_close(slow);
    tls_close(good);
}

/* ---- who may watch, and how long ---- */

/* Begun as the server would, which is idle meanwhile. */
static void sign_in(const char *name, char cookie[256])
{
    struct web_users all;
    char id[WEB_SESSION_HEX + 1], csrf[2 * WIRE_HASH_BYTES + 1];
    SITE_TRY(web_users_read(site.path, &all, e));
    const struct web_user *u = web_user_find(&all, name);
    assert_non_null(u);
    SITE_TRY(web_session_begin(site.web->door->session, u, site_mono(&site), id, e));
    web_csrf(id, csrf);
    snprintf(cookie, 256, "Cookie: " WEB_COOKIE "=%s\r\nX-CSRF-Token: %s", id, csrf);
}

#define PASSWORD "trà đá vỉa hè"
enum { LEFT, LOCKED, DEMOTED, CHANGED, TOKEN, STAYS, WATCHERS };

static void who_may_no_longer_watch_is_hung_up_on_within_seconds(void **state)
{
    (void)state;
    static const char *const names[] = {"an", "binh", "cuc", "dung", "e-1", "giang"};
    struct web_token t = {.name = "e-1", .scopes = 1U << WEB_READ, .made_ms = 1};
    struct tls *fd[WATCHERS];
    char header[WATCHERS][256], token[WEB_TOKEN_TEXT];
    const enum web_role role = WEB_VIEWER;
    bool over[WATCHERS] = {false};
    for (int i = 0; i < WATCHERS; i++) {
        if (i == TOKEN) {
            SITE_TRY(web_token_add(site.path, &t, "test", site_now(&site), token, e));
            snprintf(header[i], sizeof header[i], "Authorization: Bearer %s", token);
            continue;
        }
        site_user(&site, names[i], WEB_TECHNICIAN, PASSWORD);
        sign_in(names[i], header[i]);
    }
    for (int i = 0; i < WATCHERS; i++)
        fd[i] = watch_as("/api/v1/live", header[i], 0);
    site.back_ms -= WEB_SESSION_IDLE_MS / 2;
    struct tls *out = ask_as("DELETE", "/api/v1/session", header[LEFT], 0);
    assert_true(comes(out, " 204", 5000));
    tls_close(out);
    SITE_TRY(web_user_remove(site.path, names[LOCKED], true, "test", site_now(&site), e));
    const struct web_user_put p = {
        .name = names[DEMOTED], .role = &role, .how = WEB_USER_CHANGE, .force = true};
    SITE_TRY(web_user_put(site.path, &p, "test", site_now(&site), e));
    site_user(&site, names[CHANGED], WEB_TECHNICIAN, PASSWORD);
    SITE_TRY(web_token_remove(site.path, names[TOKEN], "test", site_now(&site), e));
    int64_t end = clk_mono(clk_real()).ms + 9000; /* a beat, and what a busy machine takes */
    for (int i = 0; i < STAYS; i++) {
        int64_t left = end - clk_mono(clk_real()).ms;
        (void)hear(fd[i], text, sizeof text, left > 0 ? (int)left : 1, NULL, &over[i]);
    }
    bool stays = comes(fd[STAYS], "event: beat", 9000);
    /* the half hour comes, for what was watched in its midst is no use */
    site.back_ms -= WEB_SESSION_IDLE_MS / 2;
    (void)hear(fd[STAYS], text, sizeof text, 9000, NULL, &over[STAYS]);
    for (int i = 0; i < WATCHERS; i++)
        tls_close(fd[i]);
    site.back_ms = 0;
    assert_true(stays);
    for (int i = 0; i < WATCHERS; i++)
        if (!over[i])
            fail_msg("%s watches on", names[i]);
}

/* ---- a table, which is sent as slowly as it is read ---- */

#define ROWS_OF 8 /* series */
#define POLLS 1500

static void put_many(void)
{
    struct store_value v[ROWS_OF];
    int64_t now = site_now(&site).utc_ms;
    for (int64_t k = POLLS; k > 0; k--) {
        for (uint32_t p = 0; p < ROWS_OF; p++)
            v[p] = (struct store_value){num_dec(k, -3), p, 0};
        const struct store_poll p = {0,          now - k * 1000, now - k * 1000,
                                     CLK_SYNCED, STORE_DEVICE,   ROWS_OF};
        SITE_TRY(store_put(site.store, &p, v, 0));
    }
    SITE_TRY(store_step(site.store, true, e));
}

static void a_table_ends_with_the_right_to_it_and_only_so_many_are_sent(void **state)
{
    (void)state;
    static const char last[] = "\r\n0\r\n\r\n"; /* chunk */
    struct web_token t = {.name = "e-2", .scopes = 1U << WEB_READ, .made_ms = 1};
    char token[WEB_TOKEN_TEXT], header[256], path[512] = "/api/v1/readings.csv?series=d-0/point-0";
    bool over = false;
    put_many();
    for (int i = 1; i < ROWS_OF; i++)
        (void)snprintf(path + strlen(path), sizeof path - strlen(path), ",d-0/point-%d", i);
    (void)snprintf(path + strlen(path), sizeof path - strlen(path), "&from=%lld&to=%lld",
                   (long long)site_now(&site).utc_ms - 3600000, (long long)site_now(&site).utc_ms);
    SITE_TRY(web_token_add(site.path, &t, "test", site_now(&site), token, e));
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s", token);
    struct tls *ends = watch_as(path, header, 16384), *stays = watch(path, 16384);
    struct tls *third = ask(path, 0);
    assert_true(comes(third, "\"code\":\"busy\"", 5000));
    assert_non_null(strstr(text, "Retry-After"));
    tls_close(third);
    SITE_TRY(web_token_remove(site.path, t.name, "test", site_now(&site), e));
    (void)poll(NULL, 0, 1100); /* it is looked at once a second */
    size_t n = hear(ends, text, sizeof text, 20000, last, &over);
    assert_true(over && n < sizeof text - 1);
    assert_null(strstr(text, last));
    tls_close(ends);
    (void)hear(stays, text, sizeof text, 20000, last, NULL);
    assert_non_null(strstr(text, last));
    tls_close(stays);
    tls_close(watch(path, 0)); /* there is room again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_ends_with_the_right_to_it_and_only_so_many_are_sent),
        cmocka_unit_test(who_may_no_longer_watch_is_hung_up_on_within_seconds),
        cmocka_unit_test(health_says_whether_the_threads_live_and_nothing_else),
        cmocka_unit_test(nothing_turns_while_nobody_watches),
        cmocka_unit_test(whoever_comes_hears_all_of_it_and_then_a_beat),
        cmocka_unit_test(only_so_many_may_watch),
        cmocka_unit_test(who_leaves_makes_room_before_another_hears_a_beat),
        cmocka_unit_test(who_reads_too_slowly_is_hung_up_on_and_others_are_not),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
