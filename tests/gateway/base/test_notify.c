/* What the service manager is told. */
#include "gateway/base/notify.h"
#include "tests/support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket that listens where `name` says; '@' for the abstract name space. */
static int listen_at(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, name, strlen(name));
    if (name[0] == '@')
        a.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    return fd;
}

static void hears(int fd, const char *state)
{
    char got[64] = "";
    assert_int_equal(recv(fd, got, sizeof got, 0), strlen(state));
    assert_memory_equal(got, state, strlen(state));
}

static void a_state_reaches_the_manager_at_a_path_or_an_abstract_name(void **unused)
{
    (void)unused;
    char dir[48], name[64];
    assert_non_null(mkdtemp(temp_name(dir, sizeof dir)));
    snprintf(name, sizeof name, "%s/socket", dir);
    int fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_send("READY=1");
    hears(fd, "READY=1");
    close(fd);
    unlink(name);
    rmdir(dir);

    snprintf(name, sizeof name, "@fieldpost-notify-%d", (int)getpid());
    fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_send("STOPPING=1");
    hears(fd, "STOPPING=1");
    close(fd);
}

static void without_a_usable_manager_nothing_happens(void **unused)
{
    (void)unused;
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = 0;
    const char *const bad[] = {"", "relative", longer, "/nowhere/at/all"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        notify_send("READY=1");
    }
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
}

static void the_watchdog_is_for_the_process_that_it_names(void **unused)
{
    (void)unused;
    char me[32];
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(notify_watchdog_us(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_us(), 30000000);
    snprintf(me, sizeof me, "%d", (int)getpid());
    setenv("WATCHDOG_PID", me, 1);
    assert_int_equal(notify_watchdog_us(), 30000000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_us(), 0);
    setenv("WATCHDOG_PID", me, 1);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(notify_watchdog_us(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_reaches_the_manager_at_a_path_or_an_abstract_name),
        cmocka_unit_test(without_a_usable_manager_nothing_happens),
        cmocka_unit_test(the_watchdog_is_for_the_process_that_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
