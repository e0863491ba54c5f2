/* The page's own key and certificate: damaged ones are made anew, and what they are good for is
 * neither forgotten nor more than what lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/stat.h>

#include "gateway/store/store_int.h"
#include "gateway/web/web_int.h"
#include "tests/gateway/web/site.h"

static struct site site;
static struct web web;
static struct web_door door;
static char key[128], cert[128];

static int start(void **state)
{
    (void)state;
    site_open(&site, "127.0.0.1:0");
    web_close(site.web); /* its files stay */
    site.web = NULL;
    web =
        (struct web){.site = {.id = "gw-1"}, .store = site.store, .clk = &site.clk, .door = &door};
    door.cfg.listen = site.at;
    pthread_mutex_init(&door.lock, NULL);
    snprintf(key, sizeof key, "%s" WEB_TLS_KEY, site.path);
    snprintf(cert, sizeof cert, "%s" WEB_TLS_CERT, site.path);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    door.cfg.names.n = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pthread_mutex_destroy(&door.lock);
    site_close(&site);
    return 0;
}

static void get(const char *path, struct buf *b)
{
    buf_init(b, 65536);
    SITE_TRY(wire_file_get(path, b, e));
}

static void put(const char *path, const void *p, size_t n)
{
    SITE_TRY(wire_file_put(path, p, n, 0600, true, e));
}

static bool makes(void)
{
    bool made;
    SITE_TRY(web_tls_ready(&web, &made, e));
    return made;
}

static bool same(const char *path, const struct buf *was)
{
    struct buf now;
    get(path, &now);
    bool is = now.n == was->n && memcmp(now.p, was->p, now.n) == 0;
    buf_done(&now);
    return is;
}

/* The pair is one that a server can use, and nothing more is done about it. */
static void good(void)
{
    struct wire_key *k = NULL;
    struct buf pem;
    SITE_TRY(wire_key_load(&k, key, e));
    get(cert, &pem);
    assert_true(wire_self_is_of(pem.p, pem.n, wire_key_pub(k)));
    buf_done(&pem);
    wire_key_free(k);
    assert_false(makes());
}

static bool has(const char *name)
{
    struct buf pem;
    get(cert, &pem);
    bool is = wire_cert_names(pem.p, pem.n, name);
    buf_done(&pem);
    return is;
}

struct last {
    const char *code;
    struct store_event event;
    int n;
};

static bool keep_last(void *ctx, const struct store_event *v)
{
    struct last *last = ctx;
    if (strcmp(v->code, last->code) != 0)
        return true;
    last->event = *v;
    return false;
}

static struct store_event last_of(const char *code)
{
    struct last last = {.code = code};
    struct store_reader *r = NULL;
    site.store->told_due.ms = 0; /* what was told is taken in now, and not within a second */
    SITE_TRY(store_step(site.store, true, e));
    SITE_TRY(store_reader_open(&r, site.path, e));
    SITE_TRY(store_each_event(r, 0, 100, keep_last, &last, e));
    store_reader_close(r);
    return last.event;
}

static bool count_event(void *ctx, const struct store_event *v)
{
    struct last *last = ctx;
    last->n += strcmp(v->code, last->code) == 0;
    return true;
}

static int count_of(const char *code)
{
    struct last last = {.code = code};
    struct store_reader *r = NULL;
    (void)last_of(code); /* takes in what was told */
    SITE_TRY(store_reader_open(&r, site.path, e));
    SITE_TRY(store_each_event(r, 0, 1000, count_event, &last, e));
    store_reader_close(r);
    return last.n;
}

static void told(enum store_severity severity, const char *part)
{
    struct store_event last = last_of("page.renewed");
    assert_int_equal(last.severity, severity);
    assert_non_null(strstr(last.text, part));
}

static void what_is_whole_stays(void **state)
{
    (void)state;
    struct buf k, c;
    makes();
    get(key, &k);
    get(cert, &c);
    assert_false(makes());
    assert_true(same(key, &k) && same(cert, &c));
    buf_done(&k);
    buf_done(&c);
}

static void a_certificate_of_another_key_is_made_anew(void **state)
{
    (void)state;
    struct buf k, c;
    makes();
    get(cert, &c);
    assert_int_equal(unlink(key), 0);
    SITE_TRY(wire_key_make(key, e)); /* as of a backup that had one of the two */
    get(key, &k);
    assert_true(makes());
    told(STORE_INFO, "of another key");
    assert_true(same(key, &k));
    assert_false(same(cert, &c));
    good();
    buf_done(&k);
    buf_done(&c);
}

static void a_damaged_certificate_is_made_anew_and_the_key_stays(void **state)
{
    (void)state;
    struct buf k, c;
    makes();
    get(key, &k);
    get(cert, &c);
    char *last = strstr((char *)c.p, "-----END") - 30; /* in the signature: all else is readable */
    *last = *last >= 'A' && *last <= 'P' ? 'g' : 'A';
    put(cert, c.p, c.n);
    assert_true(makes());
    told(STORE_INFO, "damaged");
    assert_true(same(key, &k));
    good();
    put(cert, "", 0);
    assert_true(makes());
    assert_true(same(key, &k));
    good();
    buf_done(&k);
    buf_done(&c);
}

/* A line of the base64 is another one; the file is empty, half, or others could have read it. */
static void a_damaged_key_is_made_anew(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct buf k;
        makes();
        get(key, &k);
        char *line = strchr((char *)k.p, '\n') + 20; /* of the secret number, in SEC 1 */
        if (how == 0)
            *line = *line == 'A' ? 'g' : 'A';
        if (how < 3)
            put(key, k.p, how == 0 ? k.n : how == 1 ? 0 : k.n / 2);
        else
            assert_int_equal(chmod(key, 0640), 0);
        assert_true(makes());
        told(STORE_WARNING, "another key");
        assert_false(same(key, &k));
        good();
        buf_done(&k);
    }
}

static void a_name_that_was_good_once_stays_good(void **state)
{
    (void)state;
    char old[] = "10.1.2.3", new[] = "box-1.local", *name[] = {old};
    door.cfg.names = (struct cfg_strings){.v = name, .n = 1};
    assert_true(makes());
    told(STORE_INFO, "was not for 10.1.2.3");
    name[0] = new; /* as an address that went */
    assert_true(makes());
    assert_true(has(old) && has(new) && has("localhost") && has("::1"));
    assert_false(web_names_have(&door.names, old)); /* but no request may name it as its host */
    name[0] = old;
    assert_false(makes()); /* and comes back: nobody is warned again */
    door.cfg.names.n = 0;
    assert_false(makes());
}

static void the_names_have_a_bound(void **state)
{
    (void)state;
    char name[WIRE_NAME_TEXT], *names[] = {name}, found[2 * WEB_NAMES_MAX][WIRE_NAME_TEXT];
    struct buf pem;
    door.cfg.names = (struct cfg_strings){.v = names, .n = 1};
    for (int i = 0; i < 2 * WEB_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "%s%d.example",
                 "a-name-that-is-nearly-as-long-as-a-name-may-be-and-then-one-more-no", i);
        assert_true(makes());
        assert_true(has(name));
    }
    get(cert, &pem);
    assert_int_equal(wire_cert_list(pem.p, pem.n, found, 2 * WEB_NAMES_MAX), WEB_NAMES_MAX);
    buf_done(&pem);
    assert_true(has("localhost") && has("127.0.0.1"));
    good();
    door.cfg.names.n = 0;
}

/* A pair of the owner's that does not fit any more: the one before goes on, and he is told. */
static void a_configured_pair_that_does_not_fit_is_told(void **state)
{
    (void)state;
    struct buf k, c, k2, c2;
    char own[160];
    struct web *w = NULL;
    makes();
    get(key, &k);
    get(cert, &c);
    SITE_TRY(buf_put(&k, c.p, c.n));
    snprintf(own, sizeof own, "%s/own.pem", site.dir);
    put(own, k.p, k.n);
    const struct web_cfg wc = {.listen = site.at, .cert = own};
    const struct web_site ws = {.id = "gw-1", .version = "0.1.0", .language = "vi"};
    SITE_TRY(web_open(&w, &wc, &ws, site.store, &site.clk, e));
    put(own, c.p, c.n); /* without a key */
    for (int i = 0; i < 500 && !last_of("page.certificate").text[0]; i++)
        (void)poll(NULL, 0, 20);
    struct store_event bad = last_of("page.certificate");
    assert_int_equal(bad.severity, STORE_WARNING);
    assert_non_null(strstr(bad.text, own));
    /* another one that fits: what is in use is told, within a minute, and once */
    char name[] = "page.example", *names[] = {name};
    struct wire_cert is;
    char print[WEB_PRINT_TEXT];
    door.cfg.names = (struct cfg_strings){.v = names, .n = 1};
    assert_true(makes());
    get(key, &k2);
    get(cert, &c2);
    SITE_TRY(wire_cert_read_pem(&is, c2.p, c2.n, e));
    web_print(is.sha256, print);
    SITE_TRY(buf_put(&k2, c2.p, c2.n));
    name[0] = 'P'; /* the page's own moves on: it was told just now */
    name[1] = 'l';
    assert_true(makes());
    int before = count_of("page.renewed");
    put(own, k2.p, k2.n);
    for (int i = 0; i < 500 && count_of("page.renewed") == before; i++)
        (void)poll(NULL, 0, 20);
    told(STORE_INFO, print);
    assert_non_null(strstr(last_of("page.renewed").text, "that of web.cert"));
    assert_int_equal(count_of("page.renewed"), before + 1);
    web_close(w);
    assert_int_equal(unlink(own), 0);
    buf_done(&k);
    buf_done(&c);
    buf_done(&k2);
    buf_done(&c2);
}

static void whoever_pinned_a_key_that_is_gone_is_warned(void **state)
{
    (void)state;
    makes();
    assert_int_equal(unlink(key), 0);
    assert_true(makes());
    told(STORE_WARNING, "the key of the one before is gone");
    good();
}

static void a_trouble_is_told_when_it_is_another(void **state)
{
    (void)state;
    int before = count_of("change.untold");
    for (int i = 0; i < 3; i++)
        web_trouble(&web, WEB_TROUBLE_CHANGE, "the disk is full");
    assert_int_equal(count_of("change.untold"), before + 1);
    web_trouble(&web, WEB_TROUBLE_CHANGE, "the disk cannot be written");
    assert_int_equal(count_of("change.untold"), before + 2);
    web_trouble(&web, WEB_TROUBLE_CHANGE, NULL); /* over, and once more */
    web_trouble(&web, WEB_TROUBLE_CHANGE, "the disk cannot be written");
    assert_int_equal(count_of("change.untold"), before + 3);
}

/* ---- interfaces ---- */

#define GLOBAL "20010db8000000010000000000000001 02 40 00 80     eth0\n"
static char eth[] = "eth0", tunnel[] = "wg0", modem[] = "ppp0", lo[] = "lo";
static struct sockaddr_in v4[4];
static struct ifaddrs faces[4] = {
    {&faces[1], lo, IFF_UP | IFF_LOOPBACK, NULL, NULL, {NULL}, NULL},
    {&faces[2], eth, IFF_UP | IFF_BROADCAST, NULL, NULL, {NULL}, NULL},
    {&faces[3], tunnel, IFF_UP | IFF_POINTOPOINT, NULL, NULL, {NULL}, NULL},
    {NULL, modem, IFF_UP | IFF_POINTOPOINT, NULL, NULL, {NULL}, NULL}};

static void a_point_to_point_address_is_no_name(void **state)
{
    (void)state;
    static const char *const text[] = {"127.0.0.1", "192.168.1.5", "10.9.0.2", "100.64.3.4"};
    struct web_names names = {.n = 0};
    for (size_t i = 0; i < 4; i++) {
        v4[i].sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text[i], &v4[i].sin_addr), 1);
        faces[i].ifa_addr = (struct sockaddr *)&v4[i];
    }
    web_names_add_v4(&names, faces);
    assert_int_equal(names.n, 1);
    assert_string_equal(names.text[0], "192.168.1.5");
}

static void of_ipv6_only_what_lasts_is_a_name(void **state)
{
    (void)state;
    static const char lines[] =
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe80000000000000021122fffe334455 02 40 20 80     eth0\n" /* a zone */
        "20010db80000000112f3a1b2c3d4e5f6 02 40 00 01     eth0\n" /* drawn */
        "20010db80000000112f3a1b2c3d4e5f7 02 40 00 21     eth0\n" /* and old */
        "20010db8000000010000000000000009 02 40 00 c0     eth0\n" /* untried */
        "20010db8000000010000000000000008 02 40 00 88     eth0\n" /* taken */
        "fd000000000000000000000000000002 03 40 00 80      wg0\n"
        "20010db8000000010000000000000007 09 40 00 80    gone0\n"
        "not a line at all\n\n"
        "2001 02 40 00 80     eth0\n" GLOBAL
        "fd000000000000010000000000000005 02 40 00 80     eth0\n";
    struct web_names names = {.n = 0};
    char copy[sizeof lines];
    memcpy(copy, lines, sizeof lines);
    FILE *f = fmemopen(copy, sizeof copy - 1, "r");
    assert_non_null(f);
    web_names_add_v6(&names, f, faces);
    fclose(f);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.text[0], "2001:db8:0:1::1");
    assert_string_equal(names.text[1], "fd00:0:0:1::5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_whole_stays, fresh),
        cmocka_unit_test_setup(a_certificate_of_another_key_is_made_anew, fresh),
        cmocka_unit_test_setup(a_damaged_certificate_is_made_anew_and_the_key_stays, fresh),
        cmocka_unit_test_setup(a_damaged_key_is_made_anew, fresh),
        cmocka_unit_test_setup(a_name_that_was_good_once_stays_good, fresh),
        cmocka_unit_test_setup(a_configured_pair_that_does_not_fit_is_told, fresh),
        cmocka_unit_test_setup(whoever_pinned_a_key_that_is_gone_is_warned, fresh),
        cmocka_unit_test_setup(a_trouble_is_told_when_it_is_another, fresh),
        cmocka_unit_test_setup(a_point_to_point_address_is_no_name, fresh),
        cmocka_unit_test_setup(of_ipv6_only_what_lasts_is_a_name, fresh),
        cmocka_unit_test_setup(the_names_have_a_bound, fresh),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
