/* A modem on a pseudo-terminal that plays a script, well or ill, on a thread of its own: it is
 * static and ended by a teardown, for a failed assertion leaves the test's stack behind. It shares
 * nothing with the product: commands are compared with the script's text, answers are the script's
 * bytes. */
#ifndef TESTS_GATEWAY_CONNECTIVITY_PTY_H
#define TESTS_GATEWAY_CONNECTIVITY_PTY_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct pty_answer {
    const char *command; /* without its \r; NULL ends the script */
    const char *says;    /* as it goes over the wire; NULL: nothing at all */
};
struct pty {
    int master, slave; /* slave: held open, so that the line does not hang up between polls */
    char name[64], link[96];
    const struct pty_answer *_Atomic script;
    atomic_bool echo, mute, noise, stop;
    atomic_bool talks;  /* a short line after the other, that nobody asked for */
    atomic_bool broken; /* it could not come back; asserted by the test's own thread */
    atomic_int asked;   /* commands */
    atomic_int reborn;  /* this many more commands, then the modem goes and comes back elsewhere */
    atomic_bool asleep; /* the next command wakes it and is lost */
    const char *_Atomic late;   /* comes once, with the command behind the one left unanswered */
    const char *_Atomic before; /* comes unasked, once, when the next command comes */
    pthread_t thread;
};

static void pty_say(int fd, const char *text)
{
    size_t at = 0, n = strlen(text);
    while (at < n) {
        ssize_t put = write(fd, text + at, n - at);
        if (put <= 0)
            return;
        at += (size_t)put;
    }
}

/* A new line under the same by-id name. Both threads come here, and an assertion may fail on the
 * test's alone. */
static bool pty_plug(struct pty *p)
{
    char fresh[112];
    struct termios t;
    p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->master < 0 || grantpt(p->master) != 0 || unlockpt(p->master) != 0 ||
        ptsname_r(p->master, p->name, sizeof p->name) != 0)
        return false;
    p->slave = open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->slave < 0 || tcgetattr(p->slave, &t) != 0)
        return false;
    cfmakeraw(&t);
    (void)snprintf(fresh, sizeof fresh, "%s.new", p->link);
    return tcsetattr(p->slave, TCSANOW, &t) == 0 && symlink(p->name, fresh) == 0 &&
           rename(fresh, p->link) == 0;
}

static void pty_pull(struct pty *p)
{
    (void)close(p->slave);
    (void)close(p->master);
    (void)unlink(p->link);
}

static void pty_answer(struct pty *p, const char *command)
{
    const char *unasked = atomic_exchange(&p->before, NULL);
    atomic_fetch_add(&p->asked, 1);
    if (atomic_exchange(&p->asleep, false))
        return;
    if (unasked)
        pty_say(p->master, unasked);
    if (atomic_load(&p->echo)) {
        pty_say(p->master, command);
        pty_say(p->master, "\r\n");
    }
    for (const struct pty_answer *a = atomic_load(&p->script); a->command; a++)
        if (strcmp(a->command, command) == 0) {
            if (a->says)
                pty_say(p->master, a->says);
            else
                atomic_store(&p->before, atomic_exchange(&p->late, NULL));
            return;
        }
    pty_say(p->master, "\r\nERROR\r\n");
}

static void *pty_main(void *arg)
{
    struct pty *p = arg;
    char command[128];
    size_t n = 0;
    while (!atomic_load(&p->stop)) {
        char c;
        struct pollfd f = {.fd = p->master, .events = POLLIN};
        if (atomic_load(&p->noise))
            pty_say(p->master, "\xf0\x9f zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n");
        if (atomic_load(&p->talks))
            pty_say(p->master, "$GP\r\n");
        if (poll(&f, 1, 5) <= 0 || read(p->master, &c, 1) != 1)
            continue;
        if (c != '\r') {
            command[n] = c;
            n += n < sizeof command - 1;
            continue;
        }
        command[n] = '\0';
        n = 0;
        int reborn = atomic_load(&p->reborn);
        if (reborn > 0 && atomic_fetch_sub(&p->reborn, 1) == 1) {
            int master = p->master, slave = p->slave; /* so that the number is another */
            if (!pty_plug(p))
                atomic_store(&p->broken, true);
            (void)close(slave);
            (void)close(master);
        } else if (!atomic_load(&p->mute))
            pty_answer(p, command);
    }
    return NULL;
}

static void pty_start(struct pty *p, const char *dir, const struct pty_answer *script)
{
    memset(p, 0, sizeof *p);
    (void)snprintf(p->link, sizeof p->link, "%s/by-id", dir);
    atomic_store(&p->script, script);
    assert_true(pty_plug(p));
    assert_int_equal(pthread_create(&p->thread, NULL, pty_main, p), 0);
}

static void pty_end(struct pty *p)
{
    atomic_store(&p->stop, true);
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    pty_pull(p);
}

#endif
