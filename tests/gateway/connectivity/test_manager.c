/* A D-Bus daemon that hangs: nothing of the gateway hangs with it. A real ModemManager is asked in
 * tests/system/modemmanager.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/connectivity/modem_int.h"
#include "tests/support/skip.h"
#include "tests/support/temp.h"

/* A socket that takes connections and what is written, as that of a stopped daemon does. */
struct hung {
    char dir[64];
    struct sockaddr_un at;
    int fd;
};

static void hung_open(struct hung *h)
{
    char address[160];
    *h = (struct hung){.at.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(temp_name(h->dir, sizeof h->dir)));
    (void)snprintf(h->at.sun_path, sizeof h->at.sun_path, "%s/bus", h->dir);
    h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(h->fd, (struct sockaddr *)&h->at, sizeof h->at), 0);
    assert_int_equal(listen(h->fd, 4), 0);
    (void)snprintf(address, sizeof address, "unix:path=%s", h->at.sun_path);
    assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1), 0);
}

static void hung_close(struct hung *h)
{
    (void)close(h->fd);
    assert_int_equal(unlink(h->at.sun_path), 0);
    assert_int_equal(rmdir(h->dir), 0);
}

static int64_t now(void)
{
    return clk_mono(clk_real()).ms;
}

static void a_bus_that_hangs_costs_its_bound_and_a_stop_nothing(void **state)
{
    (void)state;
    struct hung h;
    struct thr_stop stop;
    struct connectivity_setup setup = {.refused = 0};
    struct connectivity_radio r;
    struct err e = {.text = ""};
    void *library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        SKIP("libsystemd0 is not installed");
    hung_open(&h);
    assert_int_equal(thr_stop_open(&stop, NULL), ST_OK);
    int64_t from = now();
    assert_int_equal(connectivity_manager_ask(1000, &stop, &setup, &r, &e),
                     CONNECTIVITY_MODEM_SILENT);
    int64_t took = now() - from;
    assert_true(took >= 1900 && took < 4500);
    assert_string_equal(e.text, "D-Bus does not answer");
    thr_stop_now(&stop);
    from = now();
    (void)connectivity_manager_ask(1000, &stop, &setup, &r, &e);
    assert_true(now() - from < 1900);
    thr_stop_close(&stop);
    hung_close(&h);
    (void)dlclose(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bus_that_hangs_costs_its_bound_and_a_stop_nothing),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
