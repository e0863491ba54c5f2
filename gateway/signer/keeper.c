/* The keeper: starts the signing process, and again when it ends, with back-off; gives the next key
 * file its name. It keeps the rights that `fieldpost run` started with, because key files may be
 * closed to all others; it reads nothing that anybody sends, only how its child ended. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/signer/signer_int.h"

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 30000
#define STEADY_MS 60000 /* who lived so long begins with the shortest pause again */
#define FD 3            /* where the socket is in both processes; behind it the pipe for a kid */

bool signer_tell(int fd, const struct signer_say *say)
{
    ssize_t n;
    do
        n = send(fd, say, sizeof *say, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *say;
}

/* Only 0 to `last` stay open; what the three standard ones led to is gone. */
static bool close_others(int last)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (dup2(null, i) < 0)
            return false;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return false;
    for (const struct dirent *f; (f = readdir(d));) {
        long fd = strtol(f->d_name, NULL, 10);
        if (fd > last && fd != dirfd(d))
            (void)close((int)fd);
    }
    (void)closedir(d);
    return true;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC_RAW,
                        &t); /* what two processes owe each other is no time of the site */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits, unless the gateway ends meanwhile: false. */
static bool pause_ms(int64_t ms)
{
    struct pollfd p = {FD, 0, 0};
    return poll(&p, 1, (int)ms) == 0 || !(p.revents & (POLLHUP | POLLERR));
}

static pid_t start(const char *key, const char *next, int pipe_end)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_NAME, "fp-signer", 0, 0, 0);
    if (dup2(pipe_end, FD + 1) < 0 || !close_others(FD + 1))
        _exit(SIGNER_EXIT_UNABLE);
    signer_serve(FD, FD + 1, key, next);
}

static void promote(const char *key, int pipe_end)
{
    struct signer_say say = {.kind = SIGNER_PROMOTED};
    struct err e = {.text = ""};
    uint8_t kid[WIRE_ID_BYTES];
    enum st st = read(pipe_end, kid, sizeof kid) == (ssize_t)sizeof kid
                     ? signer_file_promote(key, kid, &e)
                     : err_set(&e, ST_IO, "the signing process did not say which key was in force");
    say.st = st;
    (void)snprintf(say.text, sizeof say.text, "%s", e.text);
    if (!signer_tell(FD, &say))
        _exit(0);
}

static void tell_end(int status, int64_t pause)
{
    struct signer_say say = {.kind = SIGNER_ENDED, .st = ST_IO};
    const char *how = WIFSIGNALED(status) ? "signal" : "exit code";
    int what = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    (void)snprintf(say.text, sizeof say.text,
                   "the signing process has ended (%s %d): it starts again in %lld.%lld s", how,
                   what, (long long)pause / 1000, (long long)pause % 1000 / 100);
    if (!signer_tell(FD, &say))
        _exit(0);
}

/* One life of the signing process; how long to wait before the next. */
static int64_t one_life(const char *key, const char *next, int64_t pause)
{
    int ends[2], status = 0;
    int64_t since = now_ms();
    pid_t pid = pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? start(key, next, ends[1]) : -1;
    if (pid < 0) {
        (void)pause_ms(pause);
        return pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == SIGNER_EXIT_DONE || code == SIGNER_EXIT_REFUSED)
        _exit(0);
    if (code == SIGNER_EXIT_PROMOTE)
        promote(key, ends[0]);
    (void)close(ends[0]);
    (void)close(ends[1]);
    if (code == SIGNER_EXIT_PROMOTE || code == SIGNER_EXIT_AGAIN)
        return PAUSE_FIRST_MS;
    if (now_ms() - since >= STEADY_MS)
        pause = PAUSE_FIRST_MS;
    if (code != SIGNER_EXIT_UNABLE) /* that one has said why itself */
        tell_end(status, pause);
    if (!pause_ms(pause))
        _exit(0);
    return pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
}

void signer_keep(int fd, const char *key, const char *next)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    int64_t pause = PAUSE_FIRST_MS;
    sigset_t none;
    (void)prctl(PR_SET_NAME, "fp-keeper", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* whoever stops the gateway may send a signal to all of its processes: these stay until it has
     * ended, which closes the socket */
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void)signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if ((fd != FD && dup2(fd, FD) < 0) || !close_others(FD))
        _exit(1);
    for (;;)
        pause = one_life(key, next, pause);
}
